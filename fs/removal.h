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
        struct list link;        /* must be initialised */
        struct removal *removal; /* while linked */
        bool until_accepted;     /* "nowait": done when QEMU has taken the request */
        bool wants_drive;        /* done when the legacy drive is gone too */
        /* Once: 0 or a negative errno with its reason (@class may be NULL). Not called after removal_waiter_remove(). */
        void (*done)(struct removal_waiter *waiter, int error, const char *class, const char *text);
};

struct removal_target {
        const char *path;  /* of the device; NULL: there is none, only the drive is to be deleted */
        const char *drive; /* the name of a legacy drive (-drive) to be deleted too, should QEMU leave it; or NULL */
        const char *node;  /* of that drive, which tells it from another of its name; NULL: an empty one */
        int slot;          /* of a memory device, by which refusals of an anonymous one are known; negative: none */
};

/* Asks for the removal and waits for it. 0, -EHOSTDOWN or -ENOMEM; the waiter is only called later. */
int removal_start(struct vm *vm, const struct removal_target *target, struct removal_waiter *waiter);

/* The waiter gave up. @timed_out_ns: because it waited so long; 0: for another reason. The state as it is then, the
 * caller's; NULL: it was not waiting any more, or out of memory. */
char *removal_waiter_remove(struct removal_waiter *waiter, uint64_t timed_out_ns);

/* "idle", "pending 3.2 s", "refused: …", "timed out after 30 s, still pending"; the caller's; NULL: out of memory. */
char *removal_describe(struct vm *vm, const struct removal_target *target);

/* To be called by the vm for each event, after objects have been killed, and when the connection ended. */
void removals_event(struct vm *vm, const struct qmp_event *event);
void removals_end(struct vm *vm);

#endif
