/*
 * What is said again and again, by somebody who polls what fails, is one line with a count. Pure; the caller has the
 * clock and writes the lines, which are never changed afterwards.
 *
 * The first time a text is a line at once. What follows within ten seconds is counted, and then one line tells how
 * often; after that the next twenty seconds are counted, forty, up to five minutes. A text that was not said in such
 * a time is new again. So a log that is read by its end shows others' repeats rarely, and its follower misses none.
 */
#ifndef FS_REPEATS_H
#define FS_REPEATS_H

#include "qmp/util.h"

/* Texts that are remembered; of more at once those beyond are lines each time. */
#define REPEATS_TEXTS_MAX 64

struct repeated {
        struct list link;
        unsigned uid; /* of one user only */
        int pid;      /* of the last time */
        uint64_t due, interval_ns;
        unsigned long count; /* since the last line */
        char text[];
};

struct repeats {
        struct list all;
        size_t n;
};

void repeats_init(struct repeats *repeats);
void repeats_deinit(struct repeats *repeats);

/* Whether it is to be a line now; false: it is counted. Without memory it is a line. */
bool repeats_note(struct repeats *repeats, unsigned uid, int pid, const char *text, uint64_t now);

/*
 * One that was counted and is due: its line is to be written now, and then its count is 0. Borrowed; NULL: there is
 * none.
 */
struct repeated *repeats_next(struct repeats *repeats, uint64_t now);

/* When to ask for the next; 0: not before something is noted. */
uint64_t repeats_due(const struct repeats *repeats);

#endif
