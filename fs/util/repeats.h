/*
 * Combines repeated lines, such as those of a program that polls a failing file, to one line with a count. Pure: the
 * caller provides the time and writes the lines, which never change afterwards.
 *
 * The first occurrence of a text is a line immediately. Repeats within the next ten seconds are counted, and reported
 * in one line. The next interval is twenty seconds, then forty, up to five minutes. A text that did not occur in such
 * an interval is new again. So the end of the log shows other users' repeats rarely, and a reader that follows the
 * log sees them all.
 */
#ifndef FS_REPEATS_H
#define FS_REPEATS_H

#include "qmp/util.h"

/* The limit of stored texts. Beyond it, each occurrence of a further text is a line. */
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
