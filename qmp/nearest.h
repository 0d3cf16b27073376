/*
 * Finds the name that is most similar to a mistyped one, for "did you mean …". Pure, without allocations.
 *
 * Names are compared by their edit distance: an insertion, a deletion, another character, or two neighbours that have
 * been swapped count as one mistake each. A different case, or '_' for '-', hardly counts. One mistake is allowed for
 * every four bytes, and one in a name of three bytes; less similar names would not be helpful.
 */
#ifndef QMP_NEAREST_H
#define QMP_NEAREST_H

#include "qmp/util.h"

/* Maximum size of a name in bytes. Longer names never match. */
#define QMP_NEAREST_MAX 64

struct qmp_nearest {
        const char *wanted; /* borrowed */
        unsigned distance;  /* of best; initially the smallest distance that is too great */
        char best[QMP_NEAREST_MAX + 1];
};

void qmp_nearest_init(struct qmp_nearest *nearest, const char *wanted);
/* Of several names at the same distance, the first one offered wins. */
void qmp_nearest_offer(struct qmp_nearest *nearest, const char *candidate);
/* Borrowed from @nearest; NULL if no name is near. */
const char *qmp_nearest_get(const struct qmp_nearest *nearest);

#endif
