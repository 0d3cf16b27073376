#include "fs/util/journal.h"

#include <errno.h>

/* Besides the number of lines: QEMU may send lines of any length. */
#define MAX_BYTES (16 << 20)

struct line {
        struct list link;
        size_t size; /* with its newline */
        char text[];
};

void journal_init(struct journal *journal, size_t max_lines)
{
        *journal = (struct journal){ .max_lines = max_lines };
        list_init(&journal->lines);
}

static void drop_oldest(struct journal *journal)
{
        struct line *line = list_entry(journal->lines.next, struct line, link);

        journal->start += line->size;
        journal->n_lines--;
        list_unlink(&line->link);
        free(line);
}

void journal_deinit(struct journal *journal)
{
        while (journal->n_lines > 0)
                drop_oldest(journal);
}

int journal_append(struct journal *journal, const char *text, size_t size)
{
        struct line *line = malloc(sizeof(*line) + size + 1);

        if (!line)
                return -ENOMEM;
        memcpy(line->text, text, size);
        line->text[size] = '\n';
        line->size = size + 1;
        list_append(&journal->lines, &line->link);
        journal->end += line->size;
        journal->n_lines++;
        while (journal->n_lines > journal->max_lines ||
               (journal->n_lines > 1 && journal->end - journal->start > MAX_BYTES))
                drop_oldest(journal);
        return 0;
}

size_t journal_read(const struct journal *journal, uint64_t offset, uint64_t *shift, char *buffer, size_t size)
{
        uint64_t at = journal->start, want;
        size_t done = 0;

        if (offset + *shift < journal->start)
                *shift = journal->start - offset;
        want = offset + *shift;
        list_for_each(i, &journal->lines) {
                struct line *line = list_entry(i, struct line, link);
                size_t skip, n;

                if (at + line->size > want) {
                        skip = (size_t)(want - at);
                        n = line->size - skip;
                        if (n > size - done)
                                n = size - done;
                        memcpy(buffer + done, line->text + skip, n);
                        done += n;
                        want += n;
                        if (done == size)
                                break;
                }
                at += line->size;
        }
        return done;
}
