#include "fs/util/load.h"

static uint64_t owed(const struct load *load, unsigned percent, uint64_t now)
{
        uint64_t earned = (now - load->at) / 100 * percent;

        return load->debt_ns > earned ? load->debt_ns - earned : 0;
}

void load_add(struct load *load, unsigned percent, uint64_t advance_ns, uint64_t busy_ns, uint64_t now)
{
        uint64_t most = advance_ns + LOAD_PAUSE_MAX_NS / 100 * percent;
        uint64_t debt = owed(load, percent, now);

        /* more than that is never waited for */
        load->debt_ns = busy_ns < most && debt < most - busy_ns ? debt + busy_ns : most;
        load->at = now;
}

uint64_t load_pause_ns(const struct load *load, unsigned percent, uint64_t advance_ns, uint64_t now)
{
        uint64_t debt = owed(load, percent, now);

        return percent < 100 && debt > advance_ns ? (debt - advance_ns) / percent * 100 : 0;
}
