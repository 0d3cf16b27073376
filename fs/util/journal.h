/*
 * A log of lines that is read as a file. The last lines are kept, each at its original offset.
 *
 * Offsets count from the first line ever written, so a reader that follows (tail -f) keeps its position while old
 * lines are dropped. A reader that starts at 0 gets the lines that are kept, see journal_read().
 */
#ifndef FS_JOURNAL_H
#define FS_JOURNAL_H

#include "qmp/util.h"

struct journal {
        struct list lines;
        size_t n_lines, max_lines;
        uint64_t start, end; /* offsets of the first byte that is kept, and after the last byte */
};

void journal_init(struct journal *journal, size_t max_lines);
void journal_deinit(struct journal *journal);

/* Appends a line (given without newline). Beyond max_lines, the oldest line is dropped. 0 or -ENOMEM. */
int journal_append(struct journal *journal, const char *text, size_t size);

/*
 * Copies up to @size bytes at @offset + *shift. If that position has been dropped, the copy starts with the oldest
 * line that is kept, and *shift grows accordingly. *shift belongs to the reader and starts at 0. Returns the number
 * of bytes; 0 at the end.
 */
size_t journal_read(const struct journal *journal, uint64_t offset, uint64_t *shift, char *buffer, size_t size);

#endif
