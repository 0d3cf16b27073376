#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

unsigned test_in_harness;

void test_turn(struct qmp_loop *loop, uint64_t until, uint64_t real_limit, const char *file, int line,
               const char *what)
{
        uint64_t now = qmp_now();
        uint64_t ms = until > now ? (until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;

        /* not ck_assert(), of which libcheck remembers each: there are hundreds of thousands of turns */
        if (test_real_now() >= real_limit)
                ck_abort_msg("%s:%d: no end of turns: %s", file, line, what);
        if (qmp_loop_turn(loop, ms > 1000 ? 1000 : (int)ms) != 0)
                ck_abort_msg("%s:%d: the loop failed: %s", file, line, what);
}

static char *directory;
static pid_t directory_owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static void remove_directory(void)
{
        if (directory_owner == getpid())
                nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(take_ptr(directory));
}

static char *paths[64];
static size_t n_paths;

static void free_paths(void)
{
        while (n_paths > 0)
                free(paths[--n_paths]);
}

const char *test_path(const char *name)
{
        if (!directory) {
                const char *tmp = getenv("TMPDIR");

                ck_assert_int_gt(asprintf(&directory, "%s/qmpfs-test-XXXXXX", tmp ? tmp : "/tmp"), 0);
                ck_assert_ptr_nonnull(mkdtemp(directory));
                directory_owner = getpid();
                atexit(remove_directory);
                atexit(free_paths);
        }
        ck_assert_uint_lt(n_paths, ARRAY_SIZE(paths));
        ck_assert_int_gt(asprintf(&paths[n_paths], "%s/%s", directory, name), 0);
        return paths[n_paths++];
}

char *test_data(const char *name, size_t *ret_size)
{
        _cleanup_(qmp_freep) char *path = NULL;
        struct stat st;
        char *bytes;
        FILE *f;

        ck_assert_int_gt(asprintf(&path, "%s/%s", TEST_DATA, name), 0);
        f = fopen(path, "re");
        ck_assert_msg(f && fstat(fileno(f), &st) == 0, "cannot open '%s': %s", path, strerror(errno));
        bytes = calloc(1, (size_t)st.st_size + 1);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_eq(fread(bytes, 1, (size_t)st.st_size, f), (size_t)st.st_size);
        fclose(f);
        if (ret_size)
                *ret_size = (size_t)st.st_size;
        return bytes;
}

int test_main(const char *name, const struct test *tests, size_t n, void (*setup)(void), void (*teardown)(void))
{
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        SRunner *runner;
        int n_failed;

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
