/*
 * A log of lines that is read as a file: the last lines are kept, each at the offset it always had.
 *
 * The offsets count from the first line ever, so that a reader who follows (tail -f) stays exact while old lines are
 * dropped. A reader who starts at 0 gets what is kept: see journal_read().
 */
#ifndef FS_JOURNAL_H
#define FS_JOURNAL_H

#include "qmp/util.h"

struct journal {
        struct list lines;
        size_t n_lines, max_lines;
        uint64_t start, end; /* offsets of the first byte that is kept and behind the last */
};

void journal_init(struct journal *journal, size_t max_lines);
void journal_deinit(struct journal *journal);

/* Appends a line (without newline); the oldest one goes when there are too many. 0 or -ENOMEM. */
int journal_append(struct journal *journal, const char *text, size_t size);

/*
 * Copies up to @size bytes at @offset + *shift. Where that has been dropped, it starts with the oldest line that is kept
 * and *shift grows accordingly; *shift is the reader's, 0 at first. Returns the number of bytes, 0 at the end.
 */
size_t journal_read(const struct journal *journal, uint64_t offset, uint64_t *shift, char *buffer, size_t size);

#endif
