#include "fs/util/repeats.h"

#include <stdio.h>

#include "tests/lib/test.h"

static struct repeats repeats;

static void setup(void)
{
        repeats_init(&repeats);
}

static void teardown(void)
{
        repeats_deinit(&repeats);
}

START_TEST(first_is_a_line_and_repeats_are_counted)
{
        struct repeated *repeat;

        ck_assert_uint_eq(repeats_due(&repeats), 0);
        ck_assert(repeats_note(&repeats, 1, 11, "a", 1 * SEC));
        ck_assert(!repeats_note(&repeats, 1, 12, "a", 2 * SEC));
        ck_assert(!repeats_note(&repeats, 1, 13, "a", 10 * SEC));
        ck_assert_uint_eq(repeats_due(&repeats), 11 * SEC);
        ck_assert_ptr_null(repeats_next(&repeats, 11 * SEC - 1));
        repeat = repeats_next(&repeats, 11 * SEC);
        ck_assert_ptr_nonnull(repeat);
        ck_assert_str_eq(repeat->text, "a");
        ck_assert_uint_eq(repeat->count, 2);
        ck_assert_uint_eq(repeat->uid, 1);
        ck_assert_int_eq(repeat->pid, 13);
}
END_TEST

START_TEST(another_text_or_user_is_another_line)
{
        ck_assert(repeats_note(&repeats, 1, 1, "a", SEC));
        ck_assert(repeats_note(&repeats, 1, 1, "b", SEC));
        ck_assert(repeats_note(&repeats, 2, 1, "a", SEC));
        ck_assert(!repeats_note(&repeats, 2, 2, "a", SEC));
        ck_assert(!repeats_note(&repeats, 1, 2, "b", SEC));
}
END_TEST

START_TEST(intervals_double_up_to_five_minutes)
{
        static const unsigned intervals[] = { 10, 20, 40, 80, 160, 300, 300 };
        uint64_t now = SEC;

        ck_assert(repeats_note(&repeats, 0, 1, "a", now));
        for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
                struct repeated *repeat;

                ck_assert(!repeats_note(&repeats, 0, 1, "a", now));
                now += intervals[i] * SEC;
                ck_assert_uint_eq(repeats_due(&repeats), now);
                repeat = repeats_next(&repeats, now);
                ck_assert_uint_eq(repeat->count, 1);
                repeat->count = 0;
        }
}
END_TEST

START_TEST(what_was_not_repeated_is_new_again)
{
        ck_assert(repeats_note(&repeats, 0, 1, "a", SEC));
        ck_assert(repeats_note(&repeats, 0, 1, "a", 11 * SEC));
        ck_assert(repeats_note(&repeats, 0, 1, "b", 11 * SEC));
        ck_assert_ptr_null(repeats_next(&repeats, 21 * SEC));
        ck_assert_uint_eq(repeats_due(&repeats), 0);
        ck_assert_uint_eq(repeats.n, 0);
        ck_assert(repeats_note(&repeats, 0, 1, "a", 21 * SEC));
}
END_TEST

/* A repeat that comes late, before the timer, is still counted: its count must not be lost. */
START_TEST(count_is_kept_until_it_is_told)
{
        ck_assert(repeats_note(&repeats, 0, 1, "a", SEC));
        ck_assert(!repeats_note(&repeats, 0, 1, "a", 2 * SEC));
        ck_assert(!repeats_note(&repeats, 0, 1, "a", 20 * SEC));
        ck_assert_uint_eq(repeats_next(&repeats, 20 * SEC)->count, 2);
}
END_TEST

START_TEST(number_of_texts_is_bounded)
{
        char text[16];

        for (unsigned i = 0; i < 2 * REPEATS_TEXTS_MAX; i++) {
                snprintf(text, sizeof(text), "%u", i);
                ck_assert(repeats_note(&repeats, 0, 1, text, SEC));
        }
        ck_assert_uint_eq(repeats.n, REPEATS_TEXTS_MAX);
        /* the oldest went */
        ck_assert(repeats_note(&repeats, 0, 1, "0", SEC));
        for (unsigned i = REPEATS_TEXTS_MAX + 1; i < 2 * REPEATS_TEXTS_MAX; i++) {
                snprintf(text, sizeof(text), "%u", i);
                ck_assert(!repeats_note(&repeats, 0, 1, text, SEC));
        }
        ck_assert(!repeats_note(&repeats, 0, 1, "0", SEC));
        /* where all have a count to be told, another is a line each time */
        ck_assert(repeats_note(&repeats, 0, 1, "x", SEC));
        ck_assert(repeats_note(&repeats, 0, 1, "x", SEC));
        ck_assert_uint_eq(repeats.n, REPEATS_TEXTS_MAX);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(first_is_a_line_and_repeats_are_counted), TEST(another_text_or_user_is_another_line),
                TEST(intervals_double_up_to_five_minutes),     TEST(what_was_not_repeated_is_new_again),
                TEST(count_is_kept_until_it_is_told),          TEST(number_of_texts_is_bounded),
        };

        return test_main("repeats", tests, ARRAY_SIZE(tests), setup, teardown);
}
