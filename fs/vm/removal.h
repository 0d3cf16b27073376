/*
 * The removal of a device: device_del, and the wait for its end.
 *
 * There is one removal per device, regardless of the number of writers and the paths of their files. QEMU's "return"
 * only means that the request was passed on to the guest. The removal ends with DEVICE_DELETED for exactly the
 * device's path. While a writer waits, the request is repeated, since a booting guest loses it. See docs/design.md
 * for the states.
 */
#ifndef FS_REMOVAL_H
#define FS_REMOVAL_H

#include "fs/vm/operation.h"

struct removal_target {
        const char *path;  /* of the device; NULL: only the drive is to be deleted */
        const char *drive; /* a legacy drive (-drive) to delete if QEMU keeps it; or NULL */
        const char *node;  /* of that drive, to distinguish it from another of the same name; NULL: an empty drive */
        int slot;          /* of a memory device, which identifies an anonymous one in a refusal; negative: none */
};

/* What a waiter may wait for; without a flag, it waits until the legacy drive is deleted as well. */
enum {
        REMOVAL_ACCEPTED = 1 << 0, /* QEMU has taken the request */
        REMOVAL_GONE = 1 << 1,     /* the device is gone */
};

/* The targets are struct removal_target. */
extern const struct operation_class removal_class;

/*
 * Prints the commands of the removal that change something, one JSON text on each line: device_del, and drive_del,
 * which is sent only if QEMU keeps the drive. 0, -ENOMEM, or -EINVAL: drive_del does not accept the drive's name.
 */
int removal_explain(const struct removal_target *target, FILE *out);

#endif
