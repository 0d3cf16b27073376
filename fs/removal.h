/*
 * Removing a device: device_del, and waiting until it is gone.
 *
 * There is one removal per device, however many wait for it and by whichever path they asked. QEMU's "return" only
 * means that the request was passed on; the end is DEVICE_DELETED with exactly the device's path. While somebody waits
 * the request is repeated, since a guest that is still booting loses it. See docs/design.md for the states.
 */
#ifndef FS_REMOVAL_H
#define FS_REMOVAL_H

#include "vm.h"

struct removal_waiter {
        struct list link;    /* must be initialised */
        bool until_accepted; /* "nowait": done when QEMU has taken the request */
        bool wants_drive;    /* done when the legacy drive is gone too */
        /* Once: 0 or a negative errno with its reason (@class may be NULL). Not called after removal_waiter_remove(). */
        void (*done)(struct removal_waiter *waiter, int error, const char *class, const char *text);
};

/*
 * Asks for the removal of the device at @path and waits for it. @drive, if not NULL, is the name of a legacy drive
 * (-drive) that goes with it, should QEMU leave it behind. An empty @path: only the drive is to be deleted.
 * @slot: of an anonymous memory device, by which its refusals are known; negative: none.
 * 0, -EHOSTDOWN or -ENOMEM; the waiter is only called later.
 */
int removal_start(struct vm *vm, const char *path, const char *drive, int slot, struct removal_waiter *waiter);

/* The waiter gave up. @timed_out_ns: because it waited so long; 0: for another reason. */
void removal_waiter_remove(struct vm *vm, const char *path, struct removal_waiter *waiter, uint64_t timed_out_ns);

/* "idle", "pending 3.2 s", "refused: …", "timed out after 30 s, still pending"; the caller's; NULL: out of memory. */
char *removal_describe(struct vm *vm, const char *path);

/* To be called by the vm for each event, after objects have been killed, and when the connection ended. */
void removals_event(struct vm *vm, const struct qmp_event *event);
void removals_end(struct vm *vm);

#endif
