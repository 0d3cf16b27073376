#include "fs/vm/collection.h"

#include <errno.h>
#include <time.h>

#include "fs/util/binding.h"
#include "fs/util/qdev.h"
#include "fs/util/render.h"
#include "fs/util/table.h"
#include "fs/vm/vm.h"

static void collection_discard(struct collection *c)
{
        list_unlink(&c->link);
        if (c->objects)
                lh_table_free(c->objects);
        if (c->query)
                query_release(c->query);
        free(c);
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
                r = objects_get_ended(&vm->objects, each, &c->ended);
        if (r == 0)
                r = c->objects ? query_get(&vm->peer, &each->query, &c->query) : -ENOMEM;
        if (r < 0) {
                collection_discard(c);
                return r;
        }
        list_append(&vm->objects.collections, &c->link);
        *ret_collection = c;
        return 0;
}

struct collection *collection_free(struct collection *c)
{
        struct lh_entry *entry, *next;

        for (entry = lh_table_head(c->objects); entry; entry = next) {
                next = lh_entry_next(entry);
                object_end(lh_entry_v(entry));
        }
        collection_discard(c);
        return NULL;
}

void collection_forget_oldest(struct collection *c)
{
        while (c->n_kept > c->each->keep)
                object_end(list_entry(c->kept.next, struct object, link));
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

void collection_kill(struct collection *c, struct json_object *values, uint64_t stamp)
{
        bool any_anonymous = values && c->each->has_anonymous && is_any_anonymous(values);
        struct lh_entry *entry, *next;

        for (entry = lh_table_head(c->objects); entry; entry = next) {
                struct object *object = lh_entry_v(entry);

                next = lh_entry_next(entry);
                if (!object->kept && (!values || is_deleted(object, values, any_anonymous)))
                        object_kill_at(object, stamp);
        }
        collection_forget_oldest(c);
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
        if (streq_or_null(object->device, device))
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
        if (object && (object->kept || !streq_or_null(object->identity, identity))) {
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

static int collection_sync(struct collection *c)
{
        struct json_object *records = c->query->value;
        struct lh_entry *entry, *next;

        if (c->synced == c->query->serial)
                return 0;
        if (!json_object_is_type(records, json_type_array))
                return -EPROTO;
        table_renew(c->objects, &c->n_left);
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
        collection_forget_oldest(c);
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
        objects_settle(&c->vm->objects);
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
