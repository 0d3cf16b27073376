/*
 * The result of the last write to each action's file (ctl, remove, cmd/NAME, hmp, qmp), shown in the file itself. So
 * a writer finds the reason of a failure even if others have added lines to `errors` since. Pure.
 *
 * Results are stored by inode number, which never changes for a file and is never used again for another object.
 */
#ifndef FS_OUTCOMES_H
#define FS_OUTCOMES_H

#include <time.h>

#include "qmp/util.h"

/* The limit of stored results. Beyond it, the result of the oldest write is dropped. */
#define OUTCOMES_MAX 256

/* The user and process of a request, as reported by the kernel. pid is a thread id; 0: from another PID namespace. */
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

/* @error: 0 or a positive errno. @class and @words may be NULL; they may contain text from QEMU. */
void outcomes_note(struct outcomes *outcomes, uint64_t ino, struct who who, int error, const char *class,
                   const char *words);

/*
 * Prints the line, as in `errors` but without the path: "last write: TIME uid=0 pid=1234 EINVAL - why", "… OK", "last
 * write: none".
 */
void outcomes_print(const struct outcomes *outcomes, uint64_t ino, FILE *out);

#endif
