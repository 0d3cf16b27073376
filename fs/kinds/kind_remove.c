/*
 * `remove`: the written line sets the length of the wait. The device to remove is looked up each time, and, for a
 * block device, only believed when the device itself says that its drive is this one.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/answer.h"
#include "fs/kinds/arguments.h"
#include "fs/kinds/await.h"
#include "fs/kinds/kinds.h"
#include "fs/util/binding.h"
#include "fs/util/qdev.h"
#include "qmp/message.h"
#include "fs/vm/removal.h"
#include "fs/fuse/session.h"

/* The string at a binding of struct remove. Borrowed from the record; NULL: none. */
static const char *get(const char *binding, struct json_object *record)
{
        return binding ? binding_string(binding, record) : NULL;
}

/* The same, where an empty string is as good as none. */
static const char *get_drive(const struct remove *spec, struct json_object *record)
{
        const char *drive = get(spec->drive, record);

        return drive ? drive : "";
}

/* By what is known of the object, without asking. */
static struct removal_target known_target(struct inode *inode)
{
        const struct remove *spec = inode->row->data;
        struct json_object *record = object_record(inode->object);

        return (struct removal_target){
                .path = inode->object->device,
                .drive = get(spec->legacy_drive, record),
                .node = get(spec->node, record),
        };
}

static void removed(struct request *r)
{
        r->inode->object->removed = true;
        object_kill(r->inode->object);
}

static void accepted(struct request *r)
{
        (void)r;
}

static int begin(struct request *r, const struct removal_target *target, bool nowait)
{
        unsigned until = nowait ? REMOVAL_ACCEPTED | REMOVAL_GONE : target->drive ? 0 : REMOVAL_GONE;
        int e = await_operation(r, &removal_class, target, until, nowait ? accepted : removed);

        return e < 0 ? request_fail(r, e, NULL, "cannot ask for the removal of '%s': %s",
                                    target->path ? target->path : target->drive, strerror(-e))
                     : e;
}

static int explain(struct request *r, const struct removal_target *target)
{
        struct text text = { 0 };
        FILE *out = open_memstream(&text.data, &text.size);
        int e = out ? removal_explain(target, out) : -ENOMEM;

        if (out && qmp_close_text(out, &text.data) < 0)
                e = -ENOMEM;
        if (e == 0)
                return answer_explain(r, &text);
        free(text.data);
        return e == -EINVAL ? request_fail(r, e, NULL, "drive_del does not accept the name '%s'", target->drive) : e;
}

/*
 * Whether the drive @is may be that of the entry @record. The name of a legacy drive is the device's to the letter. A
 * node's is not while a job runs: mirror, commit and stream insert a node of their own, named '#block477',
 * which query-block skips and the device does not. So what is neither empty nor another entry's is this one's, unless
 * another entry names the same device.
 */
static bool has_drive(const struct remove *spec, const struct object *object, struct json_object *record,
                      const char *is)
{
        struct json_object *records = object->collection->query->value;
        const char *qdev = get(spec->qdev, record);

        if (streq(is, get_drive(spec, record)))
                return true;
        if (*is == '\0' || get(spec->legacy_drive, record))
                return false;
        for (size_t i = 0; i < json_object_array_length(records); i++) {
                struct json_object *other = json_object_array_get_idx(records, i);
                const char *its = get(spec->qdev, other);

                if (other != record && (streq(is, get_drive(spec, other)) || (its && streq(its, qdev))))
                        return false;
        }
        return true;
}

/*
 * "qdev" can lie: after a failed device_add nvme (QEMU 7.2) query-block names a device that doesn't exist, and a
 * later one of that id has another drive. The device's own "drive" is the drive's name, else its node's, else empty.
 */
static int check_drive(struct request *r, const struct remove *spec, struct json_object *record)
{
        const char *qdev = get(spec->qdev, record), *is;
        _cleanup_(qmp_freep) char *path = qdev_path(qdev);
        struct query_spec drive = { .plan = &plan_property, .a = path, .b = "drive" };
        const struct query *query;
        int e = path ? query_require(&r->waiter, &drive, FRESH_CONTENT, &query) : -ENOMEM;

        if (e == -ENODEV)
                return request_fail(r, e, NULL, "query-block names the device '%s', which does not exist", qdev);
        if (e)
                return e;
        is = json_object_is_type(query->value, json_type_string) ? json_object_get_string(query->value) : "";
        if (!has_drive(spec, r->inode->object, record, is))
                return request_fail(r, -ENODEV, NULL,
                                    "query-block names the device '%s', but its drive is '%s', not '%s'", qdev, is,
                                    get_drive(spec, record));
        return 0;
}

static int find_block(struct request *r, const struct remove *spec, struct removal_target *ret_target)
{
        struct object *object = r->inode->object;
        struct json_object *record;
        const char *qdev;
        bool has_device;
        int e = object_require(object, &r->waiter, FRESH_CONTENT, &record);

        if (e)
                return e;
        qdev = get(spec->qdev, record);
        has_device = binding_get(spec->qdev, record);
        *ret_target = (struct removal_target){
                .path = object->device,
                .drive = get(spec->legacy_drive, record),
                .node = get(spec->node, record),
                .slot = -1,
        };
        if (!has_device && !ret_target->drive)
                return request_fail(r, -ENODEV, NULL, "no device has this drive");
        if (has_device && !ret_target->path)
                return request_fail(r, -ENODEV, NULL, "QEMU cannot name the device '%s'", qdev ? qdev : "?");
        /* what QEMU made itself was never the target of a device_add, and may have no "drive" (a floppy's unit) */
        return qdev && qdev_is_pluggable(ret_target->path) ? check_drive(r, spec, record) : 0;
}

/*
 * The guest's refusal names an anonymous DIMM by its slot alone, which the record in devices/ does not have. A removal
 * is not made to depend on it: without the slot, only the refusal is missed.
 */
static int ask_slot(struct request *r, const struct removal_target *target, struct json_object *record, int *ret_slot)
{
        const char *driver = qmp_json_get_string(record, "driver");
        struct query_spec spec = { .plan = &plan_property, .a = target->path, .b = "slot" };
        const struct query *query;
        int e;

        if (!driver || (!streq(driver, "pc-dimm") && !streq(driver, "nvdimm")) || qdev_id(target->path))
                return 0;
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        if (e == WAITER_PARKED || e == -ENOMEM || e == -ENODEV || e == -EHOSTDOWN)
                return e;
        free(take_ptr(r->waiter.reason));
        free(take_ptr(r->waiter.reason_class));
        if (e == 0 && json_object_is_type(query->value, json_type_int))
                *ret_slot = json_object_get_int(query->value);
        return 0;
}

static int get_slot(const struct remove *spec, struct json_object *record)
{
        struct json_object *slot = binding_get(spec->slot, record);

        return json_object_is_type(slot, json_type_int) ? json_object_get_int(slot) : -1;
}

static int find_device(struct request *r, const struct remove *spec, struct removal_target *ret_target)
{
        struct removal_target target = { .slot = -1 };
        struct json_object *record;
        int e = object_require(r->inode->object, &r->waiter, FRESH_CONTENT, &record);

        if (e == 0)
                e = object_device(r, r->inode->object, &target.path);
        if (e == 0 && spec->slot)
                target.slot = get_slot(spec, record);
        else if (e == 0)
                e = ask_slot(r, &target, record, &target.slot);
        if (e == 0)
                *ret_target = target;
        return e;
}

/* The object has ended. 0: what was to be removed is gone but for the target, which may be empty; or -ENODEV. */
static int find_rest(struct request *r, const struct remove *spec, struct removal_target *ret_target)
{
        const struct object *object = r->inode->object;
        bool is_new = r->waiter.arrival <= object->ended;

        *ret_target = (struct removal_target){ .slot = -1 };
        /*
         * Two who write at the same time may come one after the other: a kernel may hold the second one back until
         * the first is done. What it asks for is done too.
         */
        if (object->removed)
                return 0;
        /* somebody was faster: it is done but for the drive, whose name is the identity of an entry that has one */
        if (object->deleted && is_new) {
                ret_target->drive = spec->legacy_drive ? object->identity : NULL;
                return 0;
        }
        /* the same of a drive that had no device, of which no event tells */
        if (object->missing && is_new && spec->legacy_drive && object->identity && !object->device)
                return 0;
        return r->waiter.reason
                       ? -ENODEV
                       : request_fail(r, -ENODEV, NULL,
                                      object->doubtful
                                              ? "an anonymous device was deleted, and it may have been this one"
                                              : "it no longer exists");
}

static int parse(struct request *r, struct words *words)
{
        static const char *const own[] = { "1", NULL };

        *words = (struct words){ .own = own };
        /* an empty line is not consent */
        if (*r->data == '\0' || *r->data == ' ' || *r->data == '\t')
                return request_fail(r, -EINVAL, NULL, "expected 1, nowait, timeout=SEC or explain");
        return words_parse(r, words, "remove", r->data);
}

static int remove_write(struct request *r, struct file *file)
{
        const struct remove *spec = file->inode->row->data;
        struct removal_target target;
        struct words words;
        int e = parse(r, &words);

        answer_drop(file);
        if (e < 0)
                return e;
        if (words.limit_ns)
                waiter_set_limit(&r->waiter, words.limit_ns);
        else if (!words.nowait && !words.explain)
                waiter_set_limit(&r->waiter, r->vm->peer.options.unplug_timeout_ns);
        e = spec->qdev ? find_block(r, spec, &target) : find_device(r, spec, &target);
        if (e == -ENODEV)
                e = find_rest(r, spec, &target);
        if (e == 0 && words.explain)
                return explain(r, &target);
        /* nothing is left to be done */
        if (e == 0 && !target.path && !target.drive)
                return 0;
        return e ? e : begin(r, &target, words.nowait);
}

/* The state is the first line, for scripts. */
static int render(struct inode *inode, const struct removal_target *target, struct text *ret_text)
{
        const struct operation *op = operation_find(&inode->vm->operations, &removal_class, target);
        _cleanup_(qmp_freep) char *state = operation_describe(op);
        FILE *out = state ? open_memstream(&ret_text->data, &ret_text->size) : NULL;

        if (!out)
                return -ENOMEM;
        fprintf(out,
                "%s\n"
                "write 1 to unplug it and wait until it is gone, timeout=SEC to limit the wait, nowait not to wait, "
                "explain to see the commands\n",
                state);
        outcomes_print(&inode->session->outcomes, inode->ino, out);
        return qmp_close_text(out, &ret_text->data);
}

static int remove_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct removal_target target = known_target(inode);
        int e = 0;

        if (!object_is_alive(inode->object))
                return -ENODEV;
        /* the path of an anonymous memory device has to be found out; if it can't be, there was no request either */
        if (!target.path && !target.drive)
                e = object_device(r, inode->object, &target.path);
        if (e && (e != -ENODEV || !object_is_alive(inode->object)))
                return e;
        return render(inode, &target, ret_text);
}

static int64_t remove_size(struct inode *inode)
{
        struct removal_target target = known_target(inode);
        struct text text;

        if ((!target.path && !target.drive) || render(inode, &target, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

static bool remove_supported(const struct vm *vm, const struct row *row)
{
        (void)row;
        return introspection_has(&vm->introspection, "device_del");
}

const struct kind kind_remove = {
        .type = S_IFREG,
        .supported = remove_supported,
        .own_inode = true,
        .render = remove_render,
        .read = answer_or_content,
        .write = remove_write,
        .release = answer_free,
        .size = remove_size,
};
