/*
 * "did you mean …": the name among many that a mistyped one is most like. Pure, without allocations.
 *
 * Names are compared by their edit distance: an insertion, a deletion, another character, or two neighbours that have
 * changed places count as one mistake each. A different case, or '_' for '-', hardly counts. One mistake is allowed
 * for each four bytes, and one in three bytes: what is less alike is no help.
 */
#ifndef QMP_NEAREST_H
#define QMP_NEAREST_H

#include "util.h"

/* Bytes of a name. Longer ones are like nothing. */
#define QMP_NEAREST_MAX 64

struct qmp_nearest {
        const char *wanted; /* borrowed */
        unsigned distance;  /* of best; at first the least that is too much */
        char best[QMP_NEAREST_MAX + 1];
};

void qmp_nearest_init(struct qmp_nearest *nearest, const char *wanted);
/* Of several that are equally near the first one offered wins. */
void qmp_nearest_offer(struct qmp_nearest *nearest, const char *candidate);
/* Borrowed from @nearest; NULL: no name is near. */
const char *qmp_nearest_get(const struct qmp_nearest *nearest);

#endif
