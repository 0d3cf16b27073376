#include "fs/vm/object.h"

#include <errno.h>
#include <time.h>

#include "fs/util/binding.h"
#include "fs/util/qdev.h"
#include "fs/util/render.h"
#include "fs/vm/kept.h"
#include "fs/vm/vm.h"
#include "qmp/message.h"

static void collection_free(struct collection *c)
{
        if (!c)
                return;
        list_unlink(&c->link);
        if (c->objects)
                lh_table_free(c->objects);
        if (c->query)
                query_release(c->query);
        free(c);
}

/* What is noted of the event, shared by all collections that it concerns alike. 0 or -ENOMEM. */
static int get_ended(struct objects *objects, const struct each *each, struct ended **ret_ended)
{
        struct ended *e;

        list_for_each(i, &objects->ended) {
                e = list_entry(i, struct ended, link);
                if (ended_is_of(e, &each->ended, !each->device)) {
                        *ret_ended = e;
                        return 0;
                }
        }
        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        *e = (struct ended){ .ending = &each->ended, .by_name = !each->device };
        list_append(&objects->ended, &e->link);
        *ret_ended = e;
        return 0;
}

int collection_get(struct vm *vm, const struct each *each, struct collection **ret_collection)
{
        struct collection *c;
        int r = 0;

        list_for_each(i, &vm->objects.collections) {
                c = list_entry(i, struct collection, link);
                if (c->each == each) {
                        *ret_collection = c;
                        return 0;
                }
        }
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        list_init(&c->link);
        list_init(&c->kept);
        c->vm = vm;
        c->each = each;
        c->objects = lh_kchar_table_new(16, NULL);
        if (each->ended.event)
                r = get_ended(&vm->objects, each, &c->ended);
        if (r == 0)
                r = c->objects ? query_get(&vm->peer, &each->query, &c->query) : -ENOMEM;
        if (r < 0) {
                collection_free(c);
                return r;
        }
        list_append(&vm->objects.collections, &c->link);
        *ret_collection = c;
        return 0;
}

struct object *object_ref(struct object *object)
{
        object->refs++;
        return object;
}

struct object *object_unref(struct object *object)
{
        if (!object || --object->refs > 0)
                return NULL;
        free(object->name);
        free(object->identity);
        free(object->device);
        free(object->anonymous);
        json_object_put(object->record);
        json_object_put(object->outcome);
        free(object);
        return NULL;
}

/* The collection lets go of it. */
static void object_end(struct object *object)
{
        struct collection *c = object->collection;

        lh_table_delete(c->objects, object->name);
        c->n_left++;
        if (object->kept) {
                list_unlink(&object->link);
                c->n_kept--;
        }
        object->alive = object->kept = false;
        object_unref(object);
}

/* Its record becomes the one that is kept. 0, -ENOMEM or -E2BIG. */
static int conclude(struct object *object, struct json_object *outcome)
{
        struct json_object *record;
        int r = kept_record(object->record, outcome, &record);

        if (r < 0)
                return r;
        if (!kept_fits(record)) {
                json_object_put(record);
                return -E2BIG;
        }
        json_object_put(object->record);
        object->record = record;
        return 0;
}

/* Its record has gone. The object is kept if its collection says so; then forget_oldest() is to be called. */
static void object_lose(struct object *object)
{
        struct collection *c = object->collection;

        if (c->each->keep == 0 || conclude(object, object->outcome) < 0) {
                object_end(object);
                return;
        }
        /* which may be another object's now */
        free(take_ptr(object->device));
        free(take_ptr(object->anonymous));
        object->kept = true;
        list_append(&c->kept, &object->link);
        c->n_kept++;
}

/* Not while somebody walks through the objects. */
static void forget_oldest(struct collection *c)
{
        while (c->n_kept > c->each->keep)
                object_end(list_entry(c->kept.next, struct object, link));
}

int object_set_outcome(struct object *object, struct json_object *outcome)
{
        if (object->kept)
                return conclude(object, outcome);
        json_object_put(object->outcome);
        object->outcome = json_object_get(outcome);
        return 0;
}

int object_forget(struct object *object)
{
        if (!object_is_alive(object))
                return 0;
        if (!object->kept)
                return -EBUSY;
        object_end(object);
        return 0;
}

static void kill_at(struct object *object, uint64_t stamp)
{
        struct collection *c = object->collection;

        if (!object->alive || object->kept)
                return;
        c->ended_at = object->ended = stamp;
        c->synced = 0;
        object_lose(object);
}

void object_kill(struct object *object)
{
        struct vm *vm = object->collection->vm;

        /* no event reported it: a CPU under TCG */
        if (object->alive && object->device && gone_since(&vm->objects.gone, object->device) <= object->epoch) {
                peer_invalidate(&vm->peer);
                gone_note(&vm->objects.gone, object->device, vm->peer.epoch);
        }
        kill_at(object, vm->peer.context->stamp);
        forget_oldest(object->collection);
}

int object_set_anonymous(struct object *object, const char *path)
{
        if (object->anonymous && !streq(object->anonymous, path)) {
                object_kill(object);
                return -ENODEV;
        }
        /* without memory it stays one of which nothing is known */
        if (!object->anonymous)
                object->anonymous = strdup(path);
        return 0;
}

static bool is_any_anonymous(struct json_object *paths)
{
        json_object_object_foreach(paths, path, value) {
                const char *id = startswith(path, QDEV_PERIPHERAL_ANON "/");

                (void)value;
                if (id && !strchr(id, '/'))
                        return true;
        }
        return false;
}

/* An object that is one of those, or whose device is, or may be. */
static bool is_deleted(struct object *object, struct json_object *values, bool any_anonymous)
{
        const char *path = object->device ? object->device : object->anonymous;

        if (object->collection->ended->by_name)
                object->deleted = ended_has(values, object->name);
        else if (path)
                object->deleted = ended_has(values, path);
        else
                object->doubtful = any_anonymous && object->collection->each->has_anonymous;
        return object->deleted || object->doubtful;
}

/* @values: of what has ended; NULL: all objects have. */
static void collection_kill(struct collection *c, struct json_object *values, uint64_t stamp)
{
        bool any_anonymous = values && c->each->has_anonymous && is_any_anonymous(values);
        struct lh_entry *entry, *next;

        for (entry = lh_table_head(c->objects); entry; entry = next) {
                struct object *object = lh_entry_v(entry);

                next = lh_entry_next(entry);
                if (!object->kept && (!values || is_deleted(object, values, any_anonymous)))
                        kill_at(object, stamp);
        }
        forget_oldest(c);
}

static void collections_kill(struct objects *objects, const struct ended *ended, struct json_object *values,
                             uint64_t stamp)
{
        list_for_each(i, &objects->collections) {
                struct collection *c = list_entry(i, struct collection, link);

                if (!ended || c->ended == ended)
                        collection_kill(c, values, stamp);
        }
}

/* Carries out what events have reported: one walk, however many there were. */
static void settle_one(struct objects *objects, struct ended *ended)
{
        struct json_object *values = ended_take(ended);

        if (values)
                collections_kill(objects, ended, values, ended->stamp);
        json_object_put(values);
}

static void settle(struct objects *objects)
{
        list_for_each(i, &objects->ended)
                settle_one(objects, list_entry(i, struct ended, link));
}

static void kill_all(struct objects *objects)
{
        list_for_each(i, &objects->ended)
                json_object_put(ended_take(list_entry(i, struct ended, link)));
        collections_kill(objects, NULL, NULL, objects->vm->peer.context->stamp);
}

static void handle_event(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct objects *objects = container_of(subscriber, struct objects, subscriber);
        const char *path = streq(event->name, "DEVICE_DELETED") ? qmp_json_get_string(event->data, "path") : NULL;

        (void)line;
        list_for_each(i, &objects->ended) {
                struct ended *ended = list_entry(i, struct ended, link);
                int r = ended_note(ended, event, objects->vm->peer.context->stamp);

                if (r == ENDED_FULL) {
                        settle_one(objects, ended);
                } else if (r < 0) {
                        json_object_put(ended_take(ended));
                        collections_kill(objects, ended, NULL, objects->vm->peer.context->stamp);
                }
        }
        if (path)
                gone_note(&objects->gone, path, objects->vm->peer.epoch);
}

/* There is another QEMU, as far as anybody can tell. */
static void up(struct subscriber *subscriber)
{
        struct objects *objects = container_of(subscriber, struct objects, subscriber);

        kill_all(objects);
        gone_note(&objects->gone, NULL, objects->vm->peer.epoch);
}

void objects_init(struct objects *objects, struct vm *vm)
{
        *objects = (struct objects){ .vm = vm, .subscriber = { .event = handle_event, .up = up } };
        list_init(&objects->collections);
        list_init(&objects->ended);
        bus_join(&vm->peer.bus, &objects->subscriber);
}

void objects_deinit(struct objects *objects)
{
        bus_leave(&objects->vm->peer.bus, &objects->subscriber);
        list_for_each_safe(i, &objects->collections) {
                struct collection *c = list_entry(i, struct collection, link);

                for (struct lh_entry *entry = lh_table_head(c->objects), *next; entry; entry = next) {
                        next = lh_entry_next(entry);
                        object_end(lh_entry_v(entry));
                }
                collection_free(c);
        }
        list_for_each_safe(i, &objects->ended) {
                struct ended *ended = list_entry(i, struct ended, link);

                list_unlink(&ended->link);
                json_object_put(ended->values);
                free(ended);
        }
        gone_deinit(&objects->gone);
}

bool object_is_alive(struct object *object)
{
        settle(&object->collection->vm->objects);
        return object->alive;
}

struct object *collection_find(struct collection *c, const char *name)
{
        void *object;

        return lh_table_lookup_ex(c->objects, name, &object) ? object : NULL;
}

struct object *collection_find_device(struct collection *c, const char *device)
{
        for (struct lh_entry *i = lh_table_head(c->objects); i; i = lh_entry_next(i)) {
                struct object *object = lh_entry_v(i);

                if (object->device && streq(object->device, device))
                        return object;
        }
        return NULL;
}

static bool same(const char *a, const char *b)
{
        return a == b || (a && b && streq(a, b));
}

/* Takes over @name and @identity, on success. */
static int object_new(struct collection *c, char **name, char **identity, struct object **ret_object)
{
        struct object *object = calloc(1, sizeof(*object));

        if (!object || lh_table_insert(c->objects, *name, object) != 0) {
                free(object);
                return -ENOMEM;
        }
        object->refs = 1;
        object->collection = c;
        object->name = take_ptr(*name);
        object->identity = take_ptr(*identity);
        list_init(&object->link);
        object->alive = true;
        object->serial = ++c->vm->peer.context->serial;
        object->epoch = c->vm->peer.epoch;
        clock_gettime(CLOCK_REALTIME, &object->born);
        *ret_object = object;
        return 0;
}

/* A record without a name has an empty one. */
static int name_of(const struct each *each, struct json_object *record, char **ret_name)
{
        _cleanup_(qmp_freep) char *raw = NULL;
        size_t size = 0;

        if (binding_text(each->name, record, &raw, &size) == -ENOMEM)
                return -ENOMEM;
        *ret_name = render_name(raw ? raw : "", size);
        return *ret_name ? 0 : -ENOMEM;
}

static int sync_device(struct object *object, struct json_object *record)
{
        const struct each *each = object->collection->each;
        _cleanup_(qmp_freep) char *device = NULL;

        if (each->device && binding_device(each->device, record, &device) == -ENOMEM)
                return -ENOMEM;
        /* kept where it is the same, which it nearly always is: others may hold it while they ask for more */
        if (same(object->device, device))
                return 0;
        free(object->device);
        object->device = take_ptr(device);
        return 0;
}

static int sync_record(struct collection *c, struct json_object *record, size_t index)
{
        _cleanup_(qmp_freep) char *name = NULL, *identity = NULL;
        struct object *object;
        size_t size;

        if (name_of(c->each, record, &name) < 0)
                return -ENOMEM;
        if (c->each->identity && binding_text(c->each->identity, record, &identity, &size) == -ENOMEM)
                return -ENOMEM;
        object = collection_find(c, name);
        if (object && object->pass == c->pass) {
                /* an earlier record of this result has the name */
                char *again = render_name_again(name, ++object->twins + 1);

                free(name);
                if (!again)
                        return -ENOMEM;
                name = again;
                object = collection_find(c, name);
        }
        /* another one has the name now */
        if (object && (object->kept || !same(object->identity, identity))) {
                object_end(object);
                object = NULL;
        }
        if (!object && object_new(c, &name, &identity, &object) < 0)
                return -ENOMEM;
        object->pass = c->pass;
        object->twins = 0;
        object->index = index;
        if (c->each->keep > 0) {
                json_object_put(object->record);
                object->record = json_object_get(record);
        }
        return sync_device(object, record);
}

/*
 * What leaves a table of json-c (0.16) leaves a place that is neither taken nor empty, and a search for what isn't
 * there goes on to an empty one. Where new names come and go without end it would go through the whole table, for
 * each name.
 */
static void renew_table(struct collection *c)
{
        int size = 16;

        if (c->n_left <= (size_t)c->objects->size / 8)
                return;
        while (size < 2 * lh_table_length(c->objects))
                size *= 2;
        if (lh_table_resize(c->objects, size) == 0)
                c->n_left = 0;
}

static int collection_sync(struct collection *c)
{
        struct json_object *records = c->query->value;
        struct lh_entry *entry, *next;

        if (c->synced == c->query->serial)
                return 0;
        if (!json_object_is_type(records, json_type_array))
                return -EPROTO;
        renew_table(c);
        c->pass++;
        for (size_t i = 0; i < json_object_array_length(records); i++) {
                int r = sync_record(c, json_object_array_get_idx(records, i), i);

                if (r < 0)
                        return r;
        }
        for (entry = lh_table_head(c->objects); entry; entry = next) {
                struct object *object = lh_entry_v(entry);

                next = lh_entry_next(entry);
                if (object->pass == c->pass || object->kept)
                        continue;
                object->missing = true;
                object->ended = c->vm->peer.context->stamp;
                object_lose(object);
        }
        forget_oldest(c);
        c->synced = c->query->serial;
        return 0;
}

/* Whether the result is from before an event that ended an object, and would bring it back to life. */
static bool is_outdated(const struct collection *c)
{
        return c->synced != c->query->serial && c->query->value_stamp <= c->ended_at;
}

int collection_require(struct collection *c, struct waiter *w, enum freshness freshness)
{
        const struct query *query;
        int e = query_require(w, &c->query->spec, freshness, &query);

        if (e)
                return e;
        settle(&c->vm->objects);
        if (is_outdated(c)) {
                /* as if the waiter had come after the event */
                if (w->stamp < c->ended_at)
                        w->stamp = c->ended_at;
                e = query_require(w, &c->query->spec, freshness, &query);
                if (e)
                        return e;
        }
        e = collection_sync(c);
        if (e == -EPROTO)
                return waiter_fail(w, e, NULL, "QEMU's answer is not a list");
        return e;
}

int object_require(struct object *object, struct waiter *w, enum freshness freshness, struct json_object **ret_record)
{
        int e;

        if (!object_is_alive(object))
                return -ENODEV;
        if (object->kept) {
                *ret_record = object->record;
                return 0;
        }
        e = collection_require(object->collection, w, freshness);
        if (e)
                return e;
        if (!object->alive)
                return -ENODEV;
        *ret_record = object_record(object);
        return 0;
}

struct json_object *object_record(struct object *object)
{
        struct collection *c = object->collection;

        if (object_is_alive(object) && object->kept)
                return object->record;
        if (!object->alive || c->synced != c->query->serial || !c->query->has_value)
                return NULL;
        return json_object_array_get_idx(c->query->value, object->index);
}
