/*
 * Links from an object to its device in devices/, and what the device of an object is.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "fs/util/qdev.h"
#include "qmp/message.h"

/*
 * An anonymous memory device tells nothing of its path. A back end belongs to one device at most, so the one that has
 * the same memdev is it.
 */
static int find_by_memdev(struct request *r, struct object *object, struct json_object *record, const char **ret_path)
{
        static const struct query_spec spec = { .plan = &plan_memdevs };
        const char *memdev = qmp_json_get_string(qmp_json_get(record, "data"), "memdev");
        const struct query *query;
        int e;

        if (!memdev)
                return request_fail(r, -ENODEV, NULL, "QEMU cannot name a device with this id");
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        if (e)
                return e;
        *ret_path = qmp_json_get_string(query->value, memdev);
        return *ret_path ? object_set_anonymous(object, *ret_path) : -ENODEV;
}

int object_device(struct request *r, struct object *object, const char **ret_path)
{
        struct json_object *record;
        int e = object_require(object, &r->waiter, FRESH_CONTENT, &record);

        if (e)
                return e;
        if (object->kept)
                return -ENODEV;
        if (!object->device)
                return find_by_memdev(r, object, record, ret_path);
        *ret_path = object->device;
        return 0;
}

static int device_readlink(struct request *r, struct inode *inode, char **ret_target)
{
        struct collection *devices;
        struct object *device;
        const char *path;
        int e = object_device(r, inode->object, &path);

        if (e == 0)
                e = collection_get(r->vm, inode->row->data, &devices);
        if (e == 0)
                e = collection_require(devices, &r->waiter, FRESH_STRUCTURE);
        if (e)
                return e;
        device = collection_find_device(devices, path);
        if (!device)
                return -ENODEV;
        return asprintf(ret_target, "../../devices/%s", device->name) < 0 ? -ENOMEM : 0;
}

/* From three directories below the mount's root: block/NAME/qom. */
static int qom_readlink(struct request *r, struct inode *inode, char **ret_target)
{
        _cleanup_(qmp_freep) char *target = NULL;
        const char *path;
        int e = object_device(r, inode->object, &path);

        if (e == 0)
                e = qom_target(path, 0, &target);
        if (e)
                return e;
        return asprintf(ret_target, "../../qom/%s", target) < 0 ? -ENOMEM : 0;
}

static bool has_device(const struct inode *dir)
{
        return dir->object->device != NULL;
}

static bool has_pluggable_device(const struct inode *dir)
{
        return has_device(dir) && qdev_is_pluggable(dir->object->device);
}

const struct kind kind_qom_object_link = {
        .type = S_IFLNK,
        .present = has_device,
        .readlink = qom_readlink,
};

const struct kind kind_device_link = {
        .type = S_IFLNK,
        .present = has_pluggable_device,
        .readlink = device_readlink,
};
