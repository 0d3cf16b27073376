/*
 * What every test program shares: running a table of tests by libcheck, and the parts of the library that most of them
 * use.
 *
 * With the virtual clock (tests/lib/clock.h) no test may last over 35 virtual minutes, since libcheck itself takes the time
 * of tests by this clock, in an int of microseconds.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <check.h>

#include "tests/lib/files.h"
#include "tests/lib/pump.h"

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

/* Runs the tests, each in a process and with @setup before and @teardown after it (both may be NULL). Exit code. */
int test_main(const char *name, const struct test *tests, size_t n, void (*setup)(void), void (*teardown)(void));

#define ck_assert_contains(text, part)                                                                               \
        do {                                                                                                         \
                const char *_text = (text);                                                                          \
                                                                                                                     \
                ck_assert_msg(_text &&strstr(_text, (part)), "'%s' is not in '%s'", (part),                          \
                              _text ? _text : "(null)");                                                             \
        } while (0)

#endif
