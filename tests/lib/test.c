#include "tests/lib/test.h"

#include <stdlib.h>

static void fail_test(const char *file, int line, const char *text)
{
        ck_abort_msg("%s:%d: %s", file, line, text);
}

int test_main(const char *name, const struct test *tests, size_t n, void (*setup)(void), void (*teardown)(void))
{
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        SRunner *runner;
        int n_failed;

        check_handler = fail_test;
        if (setup || teardown)
                tcase_add_checked_fixture(tcase, setup, teardown);
        /* generous: under the sanitizers, on a busy machine */
        tcase_set_timeout(tcase, 100);
        for (size_t i = 0; i < n; i++)
                tcase_add_loop_test(tcase, tests[i].test, tests[i].from, tests[i].to);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
