#include "fs/vm/object.h"

#include <errno.h>
#include <time.h>

#include "fs/util/binding.h"
#include "fs/util/qdev.h"
#include "fs/util/render.h"
#include "fs/vm/vm.h"
#include "qmp/message.h"

/* The limits of recorded deletions: devices, and the bytes of their paths. */
#define DELETED_MAX       1000
#define DELETED_MAX_BYTES (256 * 1024)

int collection_get(struct vm *vm, const struct each *each, struct collection **ret_collection)
{
        struct collection *c;
        int r;

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
        c->vm = vm;
        c->each = each;
        c->objects = lh_kchar_table_new(16, NULL);
        r = c->objects ? query_get(&vm->peer, &each->query, &c->query) : -ENOMEM;
        if (r < 0) {
                if (c->objects)
                        lh_table_free(c->objects);
                free(c);
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
        free(object);
        return NULL;
}

/* The collection lets go of it. */
static void object_end(struct object *object)
{
        lh_table_delete(object->collection->objects, object->name);
        object->collection->n_left++;
        object->alive = false;
        object_unref(object);
}

static void kill_at(struct object *object, uint64_t stamp)
{
        struct collection *c = object->collection;

        if (!object->alive)
                return;
        c->ended = object->ended = stamp;
        c->synced = 0;
        object_end(object);
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

/* An object whose device is one of those, or may be. */
static bool is_deleted(struct object *object, struct json_object *paths, bool any_anonymous)
{
        const char *path = object->device ? object->device : object->anonymous;

        if (path)
                object->deleted = json_object_object_get_ex(paths, path, NULL);
        else
                object->doubtful = any_anonymous && object->collection->each->has_anonymous;
        return object->deleted || object->doubtful;
}

static void collection_kill(struct collection *c, struct json_object *paths, uint64_t stamp)
{
        bool any_anonymous = paths && c->each->has_anonymous && is_any_anonymous(paths);
        struct lh_entry *entry, *next;

        for (entry = lh_table_head(c->objects); entry; entry = next) {
                struct object *object = lh_entry_v(entry);

                next = lh_entry_next(entry);
                if (!paths || is_deleted(object, paths, any_anonymous))
                        kill_at(object, stamp);
        }
}

/* Carries out what events have noted: one walk, however many there were. */
static void settle(struct objects *objects)
{
        struct json_object *paths = take_ptr(objects->deleted);

        if (!paths)
                return;
        objects->deleted_bytes = 0;
        list_for_each(i, &objects->collections)
                collection_kill(list_entry(i, struct collection, link), paths, objects->deleted_stamp);
        json_object_put(paths);
}

static void kill_all(struct objects *objects)
{
        json_object_put(take_ptr(objects->deleted));
        objects->deleted_bytes = 0;
        list_for_each(i, &objects->collections)
                collection_kill(list_entry(i, struct collection, link), NULL, objects->vm->peer.context->stamp);
}

/* Only notes it, since QEMU may send any number of events; the next use of the objects carries it out. */
static void note_deleted(struct objects *objects, const char *path)
{
        if (!objects->deleted)
                objects->deleted = json_object_new_object();
        if (!objects->deleted || json_object_object_add(objects->deleted, path, NULL) < 0) {
                kill_all(objects);
                return;
        }
        objects->deleted_stamp = objects->vm->peer.context->stamp;
        objects->deleted_bytes += strlen(path);
        if (json_object_object_length(objects->deleted) >= DELETED_MAX || objects->deleted_bytes >= DELETED_MAX_BYTES)
                settle(objects);
}

static void handle_event(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct objects *objects = container_of(subscriber, struct objects, subscriber);
        const char *path = qmp_json_get_string(event->data, "path");

        (void)line;
        if (!path)
                return;
        note_deleted(objects, path);
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
        static const char *const names[] = { "DEVICE_DELETED", NULL };

        *objects = (struct objects){ .vm = vm, .subscriber = { .names = names, .event = handle_event, .up = up } };
        list_init(&objects->collections);
        bus_join(&vm->peer.bus, &objects->subscriber);
}

void objects_deinit(struct objects *objects)
{
        bus_leave(&objects->vm->peer.bus, &objects->subscriber);
        kill_all(objects);
        list_for_each_safe(i, &objects->collections) {
                struct collection *c = list_entry(i, struct collection, link);

                list_unlink(&c->link);
                lh_table_free(c->objects);
                query_release(c->query);
                free(c);
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
        if (object && !same(object->identity, identity)) {
                object_end(object);
                object = NULL;
        }
        if (!object && object_new(c, &name, &identity, &object) < 0)
                return -ENOMEM;
        object->pass = c->pass;
        object->twins = 0;
        object->index = index;
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
                if (object->pass == c->pass)
                        continue;
                object->missing = true;
                object->ended = c->vm->peer.context->stamp;
                object_end(object);
        }
        c->synced = c->query->serial;
        return 0;
}

/* Whether the result is from before an event that ended an object, and would bring it back to life. */
static bool is_outdated(const struct collection *c)
{
        return c->synced != c->query->serial && c->query->value_stamp <= c->ended;
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
                if (w->stamp < c->ended)
                        w->stamp = c->ended;
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

        if (!object_is_alive(object) || c->synced != c->query->serial || !c->query->has_value)
                return NULL;
        return json_object_array_get_idx(c->query->value, object->index);
}
