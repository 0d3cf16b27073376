#include "fs/util/outcomes.h"

#include <errno.h>

#include "tests/lib/test.h"

static struct outcomes outcomes;

static void setup(void)
{
        outcomes_init(&outcomes);
}

static void teardown(void)
{
        outcomes_deinit(&outcomes);
}

/* Of the line without the time, in a static buffer. */
static const char *print(uint64_t ino)
{
        static char line[10000];
        char *text, *time;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        outcomes_print(&outcomes, ino, out);
        ck_assert_int_eq(qmp_close_text(out, &text), 0);
        time = strstr(text, "Z uid=");
        snprintf(line, sizeof(line), "%s", time ? time + 2 : text);
        if (time)
                ck_assert_ptr_eq(time - strlen("2026-11-20T10:11:12.345"), text + strlen("last write: "));
        free(text);
        return line;
}

START_TEST(last_write_of_each_file)
{
        ck_assert_str_eq(print(1), "last write: none\n");
        outcomes_note(&outcomes, 1, (struct who){ 1000, 5 }, EINVAL, NULL, "bad\nline\x01");
        outcomes_note(&outcomes, 2, (struct who){ 0, 6 }, EIO, "GenericError", "no");
        ck_assert_str_eq(print(1), "uid=1000 pid=5 EINVAL - bad\\x0aline\\x01\n");
        ck_assert_str_eq(print(2), "uid=0 pid=6 EIO GenericError no\n");
        outcomes_note(&outcomes, 2, (struct who){ 0, 7 }, 0, NULL, NULL);
        ck_assert_str_eq(print(2), "uid=0 pid=7 OK\n");
        outcomes_note(&outcomes, 2, (struct who){ 0, 7 }, EINTR, NULL, NULL);
        ck_assert_str_eq(print(2), "uid=0 pid=7 EINTR - Interrupted system call\n");
        ck_assert_str_eq(print(1), "uid=1000 pid=5 EINVAL - bad\\x0aline\\x01\n");
}
END_TEST

START_TEST(file_that_was_written_to_longest_ago_is_forgotten)
{
        for (uint64_t i = 0; i < OUTCOMES_MAX; i++)
                outcomes_note(&outcomes, i, (struct who){ 0, 1 }, 0, NULL, NULL);
        outcomes_note(&outcomes, 0, (struct who){ 0, 2 }, 0, NULL, NULL);
        outcomes_note(&outcomes, 1000, (struct who){ 0, 1 }, 0, NULL, NULL);
        ck_assert_uint_eq(outcomes.n, OUTCOMES_MAX);
        ck_assert_str_eq(print(0), "uid=0 pid=2 OK\n");
        ck_assert_str_eq(print(1), "last write: none\n");
        ck_assert_str_eq(print(2), "uid=0 pid=1 OK\n");
        ck_assert_str_eq(print(1000), "uid=0 pid=1 OK\n");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(last_write_of_each_file),
                TEST(file_that_was_written_to_longest_ago_is_forgotten),
        };

        return test_main("outcomes", tests, ARRAY_SIZE(tests), setup, teardown);
}
