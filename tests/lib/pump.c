#include "tests/lib/pump.h"

unsigned test_in_harness;

void pump_turn(struct qmp_loop *loop, uint64_t until, uint64_t real_limit, const char *file, int line,
               const char *what)
{
        uint64_t now = qmp_now();
        uint64_t ms = until > now ? (until - now + MS - 1) / MS : 0;

        if (test_real_now() >= real_limit)
                check_failed(file, line, "no end of turns: %s", what);
        if (qmp_loop_turn(loop, ms > 1000 ? 1000 : (int)ms) != 0)
                check_failed(file, line, "the loop failed: %s", what);
}
