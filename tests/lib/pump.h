/*
 * Turning the loop on which all parties of a test live: until a condition holds, or for some time. No sleeps.
 */
#ifndef TESTS_PUMP_H
#define TESTS_PUMP_H

#include "qmp/loop.h"
#include "tests/lib/check.h"
#include "tests/lib/clock.h"

#define MS  NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

/*
 * How deep it is in the tests' own callbacks, which run on the loop of the code under test: the peers'. Each begins with
 * IN_HARNESS(); the allocation tests spare their memory.
 */
extern unsigned test_in_harness;

static inline void test_leave_harness(const unsigned *depth)
{
        test_in_harness = *depth;
}

#define IN_HARNESS() __attribute__((__cleanup__(test_leave_harness), __unused__)) unsigned _depth = test_in_harness++

/* Turns the loop once; fails after @real_limit. Used by the macros below. */
void pump_turn(struct qmp_loop *loop, uint64_t until, uint64_t real_limit, const char *file, int line,
               const char *what);

/* Turns @loop until @condition holds; fails after @limit ns. */
#define PUMP_WITHIN(loop, limit, condition)                                                                          \
        do {                                                                                                         \
                uint64_t _until = qmp_now() + (limit), _real = test_real_now() + 60 * SEC;                           \
                                                                                                                     \
                while (!(condition)) {                                                                               \
                        CHECK_MSG(qmp_now() < _until, "still not: %s", #condition);                                  \
                        pump_turn((loop), _until, _real, __FILE__, __LINE__, #condition);                            \
                }                                                                                                    \
        } while (0)
#define PUMP(loop, condition) PUMP_WITHIN(loop, 10 * SEC, condition)

/* Lets @ns pass. With the virtual clock this also means that everything that can be done was done. */
#define PUMP_FOR(loop, ns)                                                                                           \
        do {                                                                                                         \
                uint64_t _until = qmp_now() + (ns), _real = test_real_now() + 60 * SEC;                              \
                                                                                                                     \
                while (qmp_now() < _until)                                                                           \
                        pump_turn((loop), _until, _real, __FILE__, __LINE__, "time passes");                         \
        } while (0)

#endif
