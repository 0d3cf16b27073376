/*
 * `remove`: what is written says how long to wait; the device to remove is found anew each time, and, for a block
 * device, only believed when the device itself says that its drive is this one.
 */
#include <errno.h>
#include <stdio.h>

#include "inode.h"
#include "kinds.h"
#include "qdev.h"
#include "removal.h"
#include "wait.h"

struct remove_op {
        struct removal_waiter waiter;
        struct request *r;
        char *path;
};

static void remove_cancel(struct request *r, int error)
{
        struct remove_op *op = take_ptr(r->op);

        if (!list_empty(&op->waiter.link)) {
                removal_waiter_remove(r->vm, op->path, &op->waiter, error == -ETIMEDOUT ? r->limit_ns : 0);
                if (error == -ETIMEDOUT) {
                        _cleanup_(qmp_freep) char *state = removal_describe(r->vm, op->path);

                        request_fail(r, error, NULL, "%s", state ? state : "timed out");
                }
        }
        free(op->path);
        free(op);
}

static void remove_done(struct removal_waiter *waiter, int error, const char *class, const char *text)
{
        struct request *r = container_of(waiter, struct remove_op, waiter)->r;

        if (error < 0)
                request_fail(r, error, class, "%s", text);
        else if (!waiter->until_accepted)
                r->inode->object->removed = true;
        request_finish(r, error);
}

static int begin(struct request *r, const char *path, const char *drive, int slot, bool nowait)
{
        struct remove_op *op = calloc(1, sizeof(*op));
        int e = -ENOMEM;

        if (!op)
                return -ENOMEM;
        list_init(&op->waiter.link);
        op->waiter.until_accepted = nowait;
        op->waiter.wants_drive = drive && !nowait;
        op->waiter.done = remove_done;
        op->r = r;
        op->path = strdup(path);
        if (op->path)
                e = removal_start(r->vm, path, drive, slot, &op->waiter);
        if (e < 0) {
                free(op->path);
                free(op);
                return request_fail(r, e, NULL, "cannot ask for the removal of '%s': %s", path, strerror(-e));
        }
        r->op = op;
        r->cancel = remove_cancel;
        return REQUEST_PARKED;
}

/* The inode's one snapshot, for another question than last time. */
static int ask_property(struct inode *inode, const char *path, const char *property)
{
        struct fetch_spec spec = { .kind = FETCH_PROPERTY, .a = path, .b = property };
        struct snapshot *snapshot;
        int r = snapshot_new(inode->vm, &spec, &snapshot);

        if (r < 0)
                return r;
        snapshot_unref(inode->snapshot);
        inode->snapshot = snapshot;
        return 0;
}

/*
 * "qdev" can lie: after a failed device_add nvme (QEMU 7.2) query-block names a device that doesn't exist, and a later
 * one of that id has another drive. The device's own "drive" is the drive's name, else its node's, else empty.
 */
static int check_drive(struct request *r, const char *qdev, const char *name)
{
        _cleanup_(qmp_freep) char *path = qdev_path(qdev);
        struct json_object *drive;
        const char *is;
        int e = path ? ask_property(r->inode, path, "drive") : -ENOMEM;

        if (e < 0)
                return e;
        e = snapshot_require(r->inode->snapshot, r, FRESH_CONTENT);
        if (e == -ENODEV)
                return request_fail(r, e, NULL, "query-block names the device '%s', but there is none", qdev);
        if (e)
                return e;
        drive = r->inode->snapshot->value;
        is = json_object_is_type(drive, json_type_string) ? json_object_get_string(drive) : "";
        if (!streq(is, name))
                return request_fail(r, -ENODEV, NULL,
                                    "query-block names the device '%s', but the drive of that is '%s', not '%s'",
                                    qdev, is, name);
        return 0;
}

static int remove_block(struct request *r, const struct remove *spec, bool nowait)
{
        struct object *object = r->inode->object;
        struct json_object *record;
        const char *qdev, *drive;
        int e = object_require(object, r, FRESH_CONTENT, &record);

        if (e)
                return e;
        qdev = spec->qdev(record);
        drive = spec->legacy_drive(record);
        if (!qdev) {
                if (!drive)
                        return request_fail(r, -ENODEV, NULL, "no device has this drive");
                return begin(r, "", drive, -1, nowait);
        }
        if (!object->device)
                return request_fail(r, -ENODEV, NULL, "QEMU has no way to name the device '%s'", qdev);
        /* what QEMU made itself was never the target of a device_add, and may have no "drive" (a floppy's unit) */
        if (qdev_is_pluggable(object->device))
                e = check_drive(r, qdev, spec->drive(record));
        return e ? e : begin(r, object->device, drive, -1, nowait);
}

static int remove_device(struct request *r, const struct remove *spec, bool nowait)
{
        struct json_object *record;
        const char *path;
        int e = object_require(r->inode->object, r, FRESH_CONTENT, &record);

        if (e == 0)
                e = object_device(r, r->inode->object, &path);
        return e ? e : begin(r, path, NULL, spec->slot ? spec->slot(record) : -1, nowait);
}

static int remove_write(struct request *r, struct file *file)
{
        const struct remove *spec = file->inode->row->data;
        struct object *object = r->inode->object;
        struct wait wait = { 0 };
        int e;

        if (!streq(r->data, "1") && wait_parse(r->data, &wait) < 0)
                return request_fail(r, -EINVAL, NULL, "expected 1, nowait or timeout=SEC, not '%s'", r->data);
        if (wait.limit_ns)
                request_set_limit(r, wait.limit_ns);
        else if (!wait.nowait)
                request_set_limit(r, r->vm->options.unplug_timeout_ns);
        e = spec->qdev ? remove_block(r, spec, wait.nowait) : remove_device(r, spec, wait.nowait);
        /*
         * Two who write at the same time may come one after the other: a kernel before 6.2 holds the second back until
         * the first is done. What it asks for is done too.
         */
        if (e == -ENODEV && object->removed)
                return 0;
        if (e == -ENODEV && !r->reason)
                request_fail(r, e, NULL, "it has gone");
        return e;
}

static int remove_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        _cleanup_(qmp_freep) char *state = NULL;
        const char *path;
        int n, e = inode->object->alive ? 0 : -ENODEV;

        if (e == 0 && inode->object->device)
                path = inode->object->device;
        else if (e == 0)
                e = object_device(r, inode->object, &path);
        if (e == -ENODEV && inode->object->alive) {
                path = "";
                e = 0;
        }
        if (e)
                return e;
        state = removal_describe(inode->vm, path);
        n = state ? asprintf(&ret_text->data, "%s\n", state) : -1;
        if (n < 0)
                return -ENOMEM;
        ret_text->size = (size_t)n;
        return 0;
}

static int64_t remove_size(struct inode *inode)
{
        const char *path = inode->object->device;
        _cleanup_(qmp_freep) char *state = removal_describe(inode->vm, path ? path : "");

        return state ? (int64_t)strlen(state) + 1 : -1;
}

const struct kind kind_remove = {
        .type = S_IFREG,
        .own_inode = true,
        .render = remove_render,
        .write = remove_write,
        .size = remove_size,
};
