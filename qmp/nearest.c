#include "qmp/nearest.h"

#include <ctype.h>

/* One mistake outweighs any number of differences in case and of '_' for '-'. */
#define MISTAKE (QMP_NEAREST_MAX + 1)

static unsigned min(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

static int fold(char c)
{
        return c == '_' ? '-' : tolower((unsigned char)c);
}

static unsigned cost(char a, char b)
{
        if (a == b)
                return 0;
        return fold(a) == fold(b) ? 1 : MISTAKE;
}

/* Restricted Damerau-Levenshtein distance, with three rows of its table. Both sizes are at most QMP_NEAREST_MAX. */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
        unsigned rows[3][QMP_NEAREST_MAX + 1] = { 0 };
        unsigned *before = rows[0], *last = rows[1], *row = rows[2];

        for (size_t j = 0; j <= b_size; j++)
                last[j] = (unsigned)j * MISTAKE;
        for (size_t i = 1; i <= a_size; i++) {
                unsigned *oldest = before;

                row[0] = (unsigned)i * MISTAKE;
                for (size_t j = 1; j <= b_size; j++) {
                        row[j] = min(min(last[j], row[j - 1]) + MISTAKE, last[j - 1] + cost(a[i - 1], b[j - 1]));
                        if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                                row[j] = min(row[j], before[j - 2] + MISTAKE);
                }
                before = last;
                last = row;
                row = oldest;
        }
        return last[b_size];
}

void qmp_nearest_init(struct qmp_nearest *nearest, const char *wanted)
{
        size_t size = strnlen(wanted, QMP_NEAREST_MAX + 1);
        unsigned mistakes = size == 3 ? 1 : (unsigned)size / 4;

        *nearest = (struct qmp_nearest){ .wanted = wanted };
        if (size > 0 && size <= QMP_NEAREST_MAX)
                nearest->distance = (mistakes + 1) * MISTAKE;
}

void qmp_nearest_offer(struct qmp_nearest *nearest, const char *candidate)
{
        size_t size = strnlen(candidate, QMP_NEAREST_MAX + 1), wanted_size;
        unsigned d;

        if (nearest->distance == 0 || size == 0 || size > QMP_NEAREST_MAX)
                return;
        wanted_size = strlen(nearest->wanted);
        /* each byte of difference in size is a mistake */
        if ((size > wanted_size ? size - wanted_size : wanted_size - size) * MISTAKE >= nearest->distance)
                return;
        d = distance(nearest->wanted, wanted_size, candidate, size);
        if (d >= nearest->distance)
                return;
        nearest->distance = d;
        memcpy(nearest->best, candidate, size + 1);
}

const char *qmp_nearest_get(const struct qmp_nearest *nearest)
{
        return nearest->best[0] ? nearest->best : NULL;
}
