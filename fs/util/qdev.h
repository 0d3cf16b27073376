/*
 * QEMU's names of devices. A "qdev" is an id, or the QOM path of the device or of a part of it. Pure.
 */
#ifndef FS_QDEV_H
#define FS_QDEV_H

#include "qmp/util.h"

#define QDEV_PERIPHERAL      "/machine/peripheral"
#define QDEV_PERIPHERAL_ANON "/machine/peripheral-anon"

/* Far longer than any real id. The limit exists because each of thousands of qom-get commands contains the path. */
#define QDEV_ID_MAX 4096

/*
 * Whether a QOM path can name a device with this id. -device '{json}' accepts any string as an id. If it is empty or
 * contains a slash, no QOM path leads to the device (that of "a/b" would lead to a part of "a"). Ids longer than
 * QDEV_ID_MAX are not supported.
 */
bool qdev_id_is_usable(const char *id);

/*
 * The QOM path of a qdev. An id, which must be usable, is a name under /machine/peripheral. Owned by the caller;
 * NULL: out of memory.
 */
char *qdev_path(const char *qdev);

/*
 * The path of the whole device, for device_del: up to the component under peripheral or peripheral-anon, since
 * device_del on a part of it ("…/virtio-backend") fails. A path elsewhere ("/machine/unattached/device[0]") is
 * returned unchanged. Owned by the caller; NULL: out of memory.
 */
char *qdev_target(const char *qdev);

/* The last component of qdev_target(@path): *ret_size bytes, borrowed from the path. */
const char *qdev_target_name(const char *path, size_t *ret_size);

/* Whether the path is below peripheral or peripheral-anon, which contain the devices that users have added. */
bool qdev_is_pluggable(const char *path);

/* The user's id in the path of a device under /machine/peripheral, NULL for others. Borrowed from @path. */
const char *qdev_id(const char *path);

#endif
