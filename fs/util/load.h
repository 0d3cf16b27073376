/*
 * The limit of QEMU's time that queries may take: `max_load` per cent, and an advance, so that only long series of
 * queries are delayed. Pure: the caller provides the time.
 */
#ifndef FS_LOAD_H
#define FS_LOAD_H

#include "qmp/util.h"

/* The longest pause before a query, however large the debt. */
#define LOAD_PAUSE_MAX_NS (1 * NSEC_PER_SEC)

/* All zero: no debt. */
struct load {
        uint64_t debt_ns; /* of QEMU's time, used and not yet earned … */
        uint64_t at;      /* … at this time of qmp_now() */
};

/*
 * Adds @busy_ns of QEMU's time, used by queries. They may use @percent (1 to 100) of it in the long run, and
 * @advance_ns in advance.
 */
void load_add(struct load *load, unsigned percent, uint64_t advance_ns, uint64_t busy_ns, uint64_t now);

/* The pause before the next query, in ns: 0 to LOAD_PAUSE_MAX_NS, always 0 with 100 per cent. */
uint64_t load_pause_ns(const struct load *load, unsigned percent, uint64_t advance_ns, uint64_t now);

#endif
