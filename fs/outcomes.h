/*
 * How the last write to each action's file ended (ctl, remove, cmd/NAME, hmp, qmp), to be read there: whoever's
 * request has failed finds it, whatever others have added to `errors` meanwhile. Pure.
 *
 * By inode number, which is the same for a file at any time, and never used again for another object.
 */
#ifndef FS_OUTCOMES_H
#define FS_OUTCOMES_H

#include <time.h>

#include "qmp/util.h"

/* Files that are remembered; of more the one that was written to longest ago is forgotten. */
#define OUTCOMES_MAX 256

/* Who made a request, as the kernel says: a thread's id, 0 where it is of another PID namespace. */
struct who {
        unsigned uid;
        int pid;
};

struct outcomes {
        struct list all; /* the latest write is the last */
        size_t n;
};

void outcomes_init(struct outcomes *outcomes);
void outcomes_deinit(struct outcomes *outcomes);

/* @error: 0 or a positive errno. @class and @words may be NULL; they are QEMU's, or hold some of QEMU's. */
void outcomes_note(struct outcomes *outcomes, uint64_t ino, struct who who, int error, const char *class,
                   const char *words);

/*
 * The line, as in `errors` but for the path: "last write: TIME uid=0 pid=1234 EINVAL - why", "… OK", "last write:
 * none".
 */
void outcomes_print(const struct outcomes *outcomes, uint64_t ino, FILE *out);

#endif
