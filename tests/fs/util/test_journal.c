#include "fs/util/journal.h"

#include <stdio.h>

#include "tests/lib/test.h"

static struct journal journal;

static void setup(void)
{
        journal_init(&journal, 3);
}

static void teardown(void)
{
        journal_deinit(&journal);
}

static void append(const char *line)
{
        ck_assert_int_eq(journal_append(&journal, line, strlen(line)), 0);
}

/* What a reader gets; valid until the next call. */
static const char *get(uint64_t offset, uint64_t *shift, size_t size)
{
        static char buffer[4096];

        memset(buffer, '#', sizeof(buffer));
        ck_assert_uint_lt(size, sizeof(buffer));
        buffer[journal_read(&journal, offset, shift, buffer, size)] = '\0';
        return buffer;
}

START_TEST(empty_at_first)
{
        uint64_t shift = 0;

        ck_assert_str_eq(get(0, &shift, 100), "");
        ck_assert_str_eq(get(5, &shift, 100), "");
        ck_assert_uint_eq(shift, 0);
}
END_TEST

START_TEST(reads_at_any_offset_and_size)
{
        const char *all = "one\n\nthree\n";
        uint64_t shift = 0;

        append("one");
        append("");
        append("three");
        for (size_t from = 0; from <= strlen(all) + 2; from++) {
                for (size_t size = 0; size < 20; size++) {
                        char wanted[20];

                        snprintf(wanted, size + 1, "%s", from < strlen(all) ? all + from : "");
                        ck_assert_str_eq(get(from, &shift, size), wanted);
                }
        }
        ck_assert_uint_eq(shift, 0);
        ck_assert_uint_eq(journal.end, strlen(all));
}
END_TEST

START_TEST(oldest_line_goes_and_offsets_stay)
{
        uint64_t shift = 0, late = 0;

        append("one");
        append("two");
        append("three");
        append("four");
        ck_assert_uint_eq(journal.n_lines, 3);
        ck_assert_uint_eq(journal.start, 4);
        ck_assert_uint_eq(journal.end, 19);
        /* who is further on sees no change */
        ck_assert_str_eq(get(4, &shift, 100), "two\nthree\nfour\n");
        ck_assert_str_eq(get(14, &shift, 100), "four\n");
        ck_assert_uint_eq(shift, 0);
        /* who begins gets what there is, as if it were the start */
        ck_assert_str_eq(get(0, &late, 4), "two\n");
        ck_assert_uint_eq(late, 4);
        ck_assert_str_eq(get(4, &late, 100), "three\nfour\n");
        ck_assert_str_eq(get(15, &late, 100), "");
        append("five");
        ck_assert_str_eq(get(15, &late, 100), "five\n");
        ck_assert_uint_eq(late, 4);
}
END_TEST

START_TEST(reader_who_falls_behind_goes_on_with_the_oldest_line)
{
        uint64_t shift = 0;

        append("one");
        ck_assert_str_eq(get(0, &shift, 2), "on");
        for (unsigned i = 0; i < 10; i++) {
                char line[8];

                snprintf(line, sizeof(line), "line%u", i);
                append(line);
        }
        ck_assert_str_eq(get(2, &shift, 6), "line7\n");
        ck_assert_str_eq(get(8, &shift, 100), "line8\nline9\n");
        append("x");
        ck_assert_str_eq(get(20, &shift, 100), "x\n");
        ck_assert_str_eq(get(22, &shift, 100), "");
}
END_TEST

START_TEST(lines_may_hold_nul)
{
        uint64_t shift = 0;
        char buffer[10];

        ck_assert_int_eq(journal_append(&journal, "a\0b", 3), 0);
        ck_assert_uint_eq(journal_read(&journal, 0, &shift, buffer, 10), 4);
        ck_assert_mem_eq(buffer, "a\0b\n", 4);
}
END_TEST

START_TEST(far_offsets_are_the_end)
{
        uint64_t shift = 0;

        append("one");
        ck_assert_str_eq(get(INT64_MAX, &shift, 100), "");
        ck_assert_str_eq(get(0, &shift, 100), "one\n");
}
END_TEST

START_TEST(large_lines_push_others_out)
{
        char *line = malloc(10 << 20);

        memset(line, 'x', 10 << 20);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_int_eq(journal_append(&journal, line, 10 << 20), 0);
        ck_assert_uint_eq(journal.n_lines, 1);
        ck_assert_uint_eq(journal.end - journal.start, (10 << 20) + 1);
        free(line);
        /* one line is always kept, and small ones follow again */
        append("a");
        append("b");
        ck_assert_uint_eq(journal.n_lines, 3);
}
END_TEST

START_TEST(deinit_twice_is_fine)
{
        append("one");
        journal_deinit(&journal);
        journal_deinit(&journal);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(empty_at_first),
                TEST(reads_at_any_offset_and_size),
                TEST(oldest_line_goes_and_offsets_stay),
                TEST(reader_who_falls_behind_goes_on_with_the_oldest_line),
                TEST(lines_may_hold_nul),
                TEST(far_offsets_are_the_end),
                TEST(large_lines_push_others_out),
                TEST(deinit_twice_is_fine),
        };

        return test_main("journal", tests, ARRAY_SIZE(tests), setup, teardown);
}
