#include "fs/vm/object.h"

#include <errno.h>

#include "fs/vm/collection.h"
#include "fs/vm/kept.h"
#include "fs/vm/vm.h"
#include "qmp/message.h"

int objects_get_ended(struct objects *objects, const struct each *each, struct ended **ret_ended)
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

void object_end(struct object *object)
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

void object_lose(struct object *object)
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

void object_kill_at(struct object *object, uint64_t stamp)
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
        struct collection *c = object->collection;
        struct vm *vm = c->vm;

        /* no event reported it: a CPU under TCG */
        if (object->alive && object->device && gone_since(&vm->objects.gone, object->device) <= object->epoch) {
                peer_invalidate(&vm->peer);
                gone_note(&vm->objects.gone, object->device, vm->peer.epoch);
        }
        object_kill_at(object, vm->peer.context->stamp);
        collection_forget_oldest(c);
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

void objects_settle(struct objects *objects)
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
        list_for_each_safe(i, &objects->collections)
                collection_free(list_entry(i, struct collection, link));
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
        objects_settle(&object->collection->vm->objects);
        return object->alive;
}
