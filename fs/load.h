/*
 * How much of QEMU's time queries may take: `max_load` per cent, with some of it in advance, so that only who asks for long
 * is held back. Pure: whoever has an account brings the time.
 */
#ifndef FS_LOAD_H
#define FS_LOAD_H

#include "qmp/util.h"

/* What is owed waits to be earned, but nobody waits longer than this. */
#define LOAD_PAUSE_MAX_NS (1 * NSEC_PER_SEC)

/* All zero: nothing is owed. */
struct load {
        uint64_t debt_ns; /* of QEMU's time, had and not yet earned … */
        uint64_t at;      /* … then, on qmp_now()'s clock */
};

/* Queries took `busy_ns` of QEMU's time, `percent` (1 to 100) of which may be had, and `advance_ns` at once. */
void load_add(struct load *load, unsigned percent, uint64_t advance_ns, uint64_t busy_ns, uint64_t now);

/* How long the next query has to wait; 0 to LOAD_PAUSE_MAX_NS, always 0 with 100 per cent. */
uint64_t load_pause_ns(const struct load *load, unsigned percent, uint64_t advance_ns, uint64_t now);

#endif
