/*
 * What every test program shares: running a table of tests, a directory that goes away with the program, recorded
 * files, pumping a loop, and a clock that jumps.
 *
 * With the virtual clock (tests/lib/clock.h) no test may last over 35 virtual minutes, since libcheck itself takes the time of
 * tests by this clock, in an int of microseconds.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <check.h>

#include "tests/lib/clock.h"
#include "qmp/loop.h"
#include "qmp/util.h"

struct test {
        const TTest *test;
        int from, to; /* of a looping test: _i goes from @from to @to - 1 */
};

#define TEST(name)                                                                                                   \
        {                                                                                                            \
                name, 0, 1                                                                                           \
        }
#define TEST_EACH(name, n)                                                                                           \
        {                                                                                                            \
                name, 0, (int)(n)                                                                                    \
        }

/*
 * How deep it is in the tests' own callbacks, which run on the loop of the code under test: the peers'. Each begins with
 * IN_HARNESS(); test_alloc.c spares their memory.
 */
extern unsigned test_in_harness;

static inline void test_leave_harness(const unsigned *depth)
{
        test_in_harness = *depth;
}

#define IN_HARNESS() __attribute__((__cleanup__(test_leave_harness), __unused__)) unsigned _depth = test_in_harness++

/* Runs the tests, each in a process and with @setup before and @teardown after it (both may be NULL). Exit code. */
int test_main(const char *name, const struct test *tests, size_t n, void (*setup)(void), void (*teardown)(void));

/* "DIR/NAME" in a temporary directory that is removed when the test process ends. Valid until the end. */
const char *test_path(const char *name);

/* A file of tests/data, terminated; the caller frees. */
char *test_data(const char *name, size_t *ret_size);

/* Turns the loop once; fails the test after @real_limit. Used by the macros below. */
void test_turn(struct qmp_loop *loop, uint64_t until, uint64_t real_limit, const char *file, int line,
               const char *what);

/* Turns @loop until @condition holds; fails the test after @limit ns. No sleeps. */
#define PUMP_WITHIN(loop, limit, condition)                                                                          \
        do {                                                                                                         \
                uint64_t _until = qmp_now() + (limit), _real = test_real_now() + 60 * NSEC_PER_SEC;                  \
                                                                                                                     \
                while (!(condition)) {                                                                               \
                        if (qmp_now() >= _until)                                                                     \
                                ck_abort_msg("%s:%d: still not: %s", __FILE__, __LINE__, #condition);                \
                        test_turn((loop), _until, _real, __FILE__, __LINE__, #condition);                            \
                }                                                                                                    \
        } while (0)
#define PUMP(loop, condition) PUMP_WITHIN(loop, 10 * NSEC_PER_SEC, condition)

/* Lets @ns pass. With the virtual clock this also means that everything that can be done was done. */
#define PUMP_FOR(loop, ns)                                                                                           \
        do {                                                                                                         \
                uint64_t _until = qmp_now() + (ns), _real = test_real_now() + 60 * NSEC_PER_SEC;                     \
                                                                                                                     \
                while (qmp_now() < _until)                                                                           \
                        test_turn((loop), _until, _real, __FILE__, __LINE__, "time passes");                         \
        } while (0)

#define ck_assert_contains(text, part)                                                                               \
        do {                                                                                                         \
                const char *_text = (text);                                                                          \
                                                                                                                     \
                ck_assert_msg(_text &&strstr(_text, (part)), "'%s' is not in '%s'", (part),                          \
                              _text ? _text : "(null)");                                                             \
        } while (0)

#endif
