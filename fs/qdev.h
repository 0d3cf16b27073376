/*
 * What QEMU's names of devices mean: a "qdev" is an id, or a QOM path of the device or of a part of it. Pure.
 */
#ifndef FS_QDEV_H
#define FS_QDEV_H

#include "qmp/util.h"

#define QDEV_PERIPHERAL      "/machine/peripheral"
#define QDEV_PERIPHERAL_ANON "/machine/peripheral-anon"

/* Far longer than any id; each of a device's thousands of properties is asked for with its path. */
#define QDEV_ID_MAX 4096

/*
 * Whether a device of that id can be told to QEMU. An id may come from -device '{json}', which takes any string; where it
 * is empty or holds a slash, no QOM path leads to the device (that of "a/b" would lead to a part of "a"). What is longer
 * than QDEV_ID_MAX is no id.
 */
bool qdev_id_is_usable(const char *id);

/* The QOM path that a qdev names: an id, which must be usable, lives under /machine/peripheral. The caller's; NULL: out of
 * memory. */
char *qdev_path(const char *qdev);

/*
 * The path of the whole device that can be unplugged: up to the component under peripheral or peripheral-anon, since
 * device_del on a part of it ("…/virtio-backend") fails. A path elsewhere ("/machine/unattached/device[0]") is returned
 * as it is. The caller's; NULL: out of memory.
 */
char *qdev_target(const char *qdev);

/* Whether the path is below peripheral or peripheral-anon, where user-made devices live. */
bool qdev_is_pluggable(const char *path);

/* The user's id in the path of a device under /machine/peripheral, NULL for others. Borrowed from @path. */
const char *qdev_id(const char *path);

/* What follows the last slash. Borrowed. */
const char *qdev_last(const char *path);

#endif
