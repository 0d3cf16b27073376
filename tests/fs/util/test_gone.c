#include "fs/util/gone.h"

#include <stdio.h>

#include "tests/lib/test.h"

static struct gone gone;

static void teardown(void)
{
        gone_deinit(&gone);
}

START_TEST(path_is_gone_since_it_was_last_noted)
{
        ck_assert_uint_eq(gone_since(&gone, "/a"), 0);
        gone_note(&gone, "/a", 5);
        ck_assert_uint_eq(gone_since(&gone, "/a"), 5);
        ck_assert_uint_eq(gone_since(&gone, "/a/b"), 0);
        ck_assert_uint_eq(gone_since(&gone, "/"), 0);
        ck_assert_uint_eq(gone_since(&gone, NULL), 0);
        gone_note(&gone, "/a", 7);
        gone_note(&gone, "/b", 8);
        ck_assert_uint_eq(gone_since(&gone, "/a"), 7);
        ck_assert_uint_eq(gone_since(&gone, "/b"), 8);
}
END_TEST

START_TEST(all_are_gone_with_the_connection)
{
        gone_note(&gone, "/a", 5);
        gone_note(&gone, NULL, 9);
        ck_assert_uint_eq(gone_since(&gone, "/a"), 9);
        ck_assert_uint_eq(gone_since(&gone, "/x"), 9);
        ck_assert_uint_eq(gone_since(&gone, NULL), 9);
        gone_note(&gone, "/a", 10);
        ck_assert_uint_eq(gone_since(&gone, "/a"), 10);
        ck_assert_uint_eq(gone_since(&gone, "/x"), 9);
}
END_TEST

/* QEMU gives the paths: whatever they are, none that was noted is forgotten for less than "all". */
START_TEST(paths_are_bounded)
{
        static char path[10000];

        for (uint64_t epoch = 1; epoch <= 3 * GONE_MAX; epoch++) {
                snprintf(path, sizeof(path), "/%llu", (unsigned long long)epoch);
                gone_note(&gone, path, epoch);
                ck_assert_uint_ge(gone_since(&gone, path), epoch);
                ck_assert_uint_ge(gone_since(&gone, "/1"), 1);
        }
        ck_assert(!gone.paths || json_object_object_length(gone.paths) <= GONE_MAX);
        ck_assert_uint_gt(gone.all, 0);
        for (uint64_t epoch = 4000; epoch <= 4100; epoch++) {
                memset(path, 'x', sizeof(path) - 1);
                snprintf(path, 20, "%llu", (unsigned long long)epoch);
                path[strlen(path)] = 'x';
                gone_note(&gone, path, epoch);
                ck_assert_uint_eq(gone_since(&gone, path), epoch);
                ck_assert_uint_le(gone.bytes, GONE_MAX_BYTES);
        }
        ck_assert_uint_gt(gone.all, 4000);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(path_is_gone_since_it_was_last_noted),
                TEST(all_are_gone_with_the_connection),
                TEST(paths_are_bounded),
        };

        return test_main("gone", tests, ARRAY_SIZE(tests), NULL, teardown);
}
