/*
 * For inputs of lines: besides bytes, whole lines are dropped, doubled, moved, exchanged, and mixed with those of another
 * input, so that what makes sense as a step is mostly kept as one.
 */
#include "fuzz.h"
#include "mutate.h"

#define LINES_MAX 200

struct lines {
        struct {
                const uint8_t *data;
                size_t size;
        } line[LINES_MAX];
        size_t n;
};

static void split(const uint8_t *data, size_t size, struct lines *lines)
{
        lines->n = 0;
        while (size > 0 && lines->n < LINES_MAX) {
                const uint8_t *end = memchr(data, '\n', size);
                size_t n = end ? (size_t)(end - data) : size;

                lines->line[lines->n].data = data;
                lines->line[lines->n++].size = n;
                n += end != NULL;
                data += n;
                size -= n;
        }
}

static size_t join(const struct lines *lines, uint8_t *out, size_t max)
{
        size_t size = 0;

        for (size_t i = 0; i < lines->n; i++) {
                if (size + lines->line[i].size + 1 > max)
                        break;
                memcpy(out + size, lines->line[i].data, lines->line[i].size);
                size += lines->line[i].size;
                out[size++] = '\n';
        }
        return size;
}

static void remove_at(struct lines *lines, size_t at)
{
        memmove(&lines->line[at], &lines->line[at + 1], (--lines->n - at) * sizeof(lines->line[0]));
}

static void insert_at(struct lines *lines, size_t at, const uint8_t *data, size_t size)
{
        if (lines->n == LINES_MAX)
                return;
        memmove(&lines->line[at + 1], &lines->line[at], (lines->n++ - at) * sizeof(lines->line[0]));
        lines->line[at].data = data;
        lines->line[at].size = size;
}

/* One line, changed byte by byte, which is then the caller's. */
static uint8_t *change(struct lines *lines, size_t at)
{
        size_t size = lines->line[at].size, max = size + 64;
        uint8_t *line = malloc(max);

        CHECK(line);
        memcpy(line, lines->line[at].data, size);
        size = LLVMFuzzerMutate(line, size, max);
        /* it stays one line */
        for (size_t i = 0; i < size; i++)
                if (line[i] == '\n')
                        line[i] = ' ';
        lines->line[at].data = line;
        lines->line[at].size = size;
        return line;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
        uint8_t *copy = malloc(size + 1), *changed = NULL;
        struct lines lines;
        size_t a, b;

        CHECK(copy);
        memcpy(copy, data, size);
        split(copy, size, &lines);
        if (lines.n == 0) {
                free(copy);
                return LLVMFuzzerMutate(data, size, max);
        }
        a = mutate_random(&seed) % lines.n;
        b = mutate_random(&seed) % lines.n;
        switch (mutate_random(&seed) % 8) {
        case 0:
                remove_at(&lines, a);
                break;
        case 1:
                insert_at(&lines, b, lines.line[a].data, lines.line[a].size);
                break;
        case 2:
                insert_at(&lines, lines.n, lines.line[a].data, lines.line[a].size);
                break;
        case 3: {
                __typeof__(lines.line[0]) line = lines.line[a];

                lines.line[a] = lines.line[b];
                lines.line[b] = line;
                break;
        }
        case 4:
                size = LLVMFuzzerMutate(data, size, max);
                free(copy);
                return size;
        default:
                changed = change(&lines, a);
        }
        size = join(&lines, data, max);
        free(changed);
        free(copy);
        return size;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max, unsigned seed)
{
        struct lines a, b;
        size_t at, from, n;

        split(data1, size1, &a);
        split(data2, size2, &b);
        if (b.n == 0 || a.n == 0)
                return 0;
        at = mutate_random(&seed) % (a.n + 1);
        from = mutate_random(&seed) % b.n;
        n = 1 + mutate_random(&seed) % (b.n - from);
        for (size_t i = 0; i < n; i++)
                insert_at(&a, at + i, b.line[from + i].data, b.line[from + i].size);
        return join(&a, out, max);
}
