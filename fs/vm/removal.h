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

#include "fs/vm/peer.h"

struct vm;

struct removal_waiter {
        struct list link;        /* must be initialised */
        struct removal *removal; /* while linked */
        bool until_accepted;     /* "nowait": done when QEMU has taken the request */
        bool wants_drive;        /* done when the legacy drive is deleted as well */
        /*
         * Called once, with 0 or a negative errno and its reason (@class may be NULL); never after
         * removal_waiter_remove().
         */
        void (*done)(struct removal_waiter *waiter, int error, const char *class, const char *text);
};

struct removal_target {
        const char *path;  /* of the device; NULL: only the drive is to be deleted */
        const char *drive; /* a legacy drive (-drive) to delete if QEMU keeps it; or NULL */
        const char *node;  /* of that drive, to distinguish it from another of the same name; NULL: an empty drive */
        int slot;          /* of a memory device, which identifies an anonymous one in a refusal; negative: none */
};

/* Starts or joins the removal. 0, -EHOSTDOWN or -ENOMEM. The waiter is never called before the return. */
int removal_start(struct vm *vm, const struct removal_target *target, struct removal_waiter *waiter);

/*
 * Stops waiting. @timed_out_ns: the time limit that was exceeded; 0: another reason. Returns the state of the
 * removal, owned by the caller; NULL: the waiter was not waiting, or out of memory.
 */
char *removal_waiter_remove(struct removal_waiter *waiter, uint64_t timed_out_ns);

/*
 * The state: "idle", "pending 3.2 s", "refused: …" or "timed out after 30 s, still pending". Owned by the caller;
 * NULL: out of memory.
 */
char *removal_describe(struct vm *vm, const struct removal_target *target);

/* All removals of a VM. Embedded in struct vm. */
struct removals {
        struct subscriber subscriber;
        struct list all;
};

void removals_init(struct removals *removals, struct peer *peer);
/* After the end of the connection. */
void removals_deinit(struct removals *removals, struct peer *peer);

#endif
