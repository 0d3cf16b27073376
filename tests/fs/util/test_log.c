#include "fs/util/log.h"

#include <fcntl.h>
#include <stdio.h>

#include "tests/lib/test.h"

START_TEST(what_is_logged_is_one_line)
{
        const char *path = test_path("log");
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), saved = dup(STDERR_FILENO);
        char text[200] = "";

        ck_assert(fd >= 0 && saved >= 0);
        ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
        log_init(true, false);
        log_warning("QEMU exited (%s)", "x)\nqmpfs: connected to QEMU 9\033[2J\177");
        log_info("%s", "");
        log_debug("not wanted");
        ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
        ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
        ck_assert_str_eq(text, "qmpfs: QEMU exited (x)\\x0aqmpfs: connected to QEMU 9\\x1b[2J\\x7f)\nqmpfs: \n");
        close(fd);
        close(saved);
}
END_TEST

int main(void)
{
        const struct test tests[] = { TEST(what_is_logged_is_one_line) };

        return test_main("log", tests, ARRAY_SIZE(tests), NULL, NULL);
}
