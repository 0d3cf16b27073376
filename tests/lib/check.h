/*
 * Checks of what the tests share. A check that fails ends the program, or, under libcheck (see test_main()), the test. So
 * the fake QEMU and the fake kernel serve test programs and fuzz targets alike.
 *
 * Unlike ck_assert(), of which libcheck remembers each, these are fast enough for what is done thousands of times.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include "qmp/util.h"

/* What is called with the words of a failed check; must not return. NULL: prints them, and aborts. */
extern void (*check_handler)(const char *file, int line, const char *text);

_printf_(3, 4) _Noreturn void check_failed(const char *file, int line, const char *format, ...);

#define CHECK(condition)                                                                                             \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        check_failed(__FILE__, __LINE__, "not so: %s", #condition);                                  \
        } while (0)
#define CHECK_MSG(condition, ...)                                                                                    \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        check_failed(__FILE__, __LINE__, __VA_ARGS__);                                               \
        } while (0)
#define CHECK_STR(text, expected)                                                                                    \
        do {                                                                                                         \
                const char *_text = (text), *_expected = (expected);                                                 \
                                                                                                                     \
                CHECK_MSG(streq(_text, _expected), "%s is '%s', not '%s'", #text, _text, _expected);                 \
        } while (0)

#endif
