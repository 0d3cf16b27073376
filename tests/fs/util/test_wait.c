#include "fs/util/wait.h"

#include <errno.h>

#include "tests/lib/test.h"

static const struct {
        const char *word;
        bool nowait;
        uint64_t limit_ns;
} right[] = {
        { "nowait", true, 0 },
        { "timeout=1", false, NSEC_PER_SEC },
        { "timeout=60", false, 60 * NSEC_PER_SEC },
        { "timeout=0.5", false, 500 * NSEC_PER_MSEC },
        { "timeout=2.25", false, 2250 * NSEC_PER_MSEC },
        { "timeout=0.000000001", false, 1 },
        { "timeout=1000000", false, 1000000 * NSEC_PER_SEC },
};

START_TEST(word)
{
        struct wait wait = { .limit_ns = 5, .nowait = !right[_i].nowait };

        ck_assert_int_eq(wait_parse(right[_i].word, &wait), 0);
        ck_assert(wait.nowait == right[_i].nowait);
        ck_assert_uint_eq(wait.limit_ns, right[_i].limit_ns);
}
END_TEST

static const char *const wrong[] = {
        "",
        "nowai",
        "nowait ",
        "NOWAIT",
        "1",
        "timeout",
        "timeout=",
        "timeout=0",
        "timeout=0.0",
        "timeout=-1",
        "timeout=+1",
        "timeout= 1",
        "timeout=1 ",
        "timeout=1s",
        "timeout=1e3",
        "timeout=inf",
        "timeout=nan",
        "timeout=0x10",
        "timeout=.5",
        "timeout=1.2.3",
        "timeout=1,5",
        "timeout=1000001",
        "timeout=.",
        "timeout=2.",
        "timeout=007",
        "timeout=1_000",
        "timeout=99999999999999999999",
        "timeout=0.0000000001",
};

START_TEST(other_words_are_refused)
{
        struct wait wait = { .limit_ns = 5 };

        ck_assert_msg(wait_parse(wrong[_i], &wait) == -EINVAL, "%s", wrong[_i]);
        ck_assert_uint_eq(wait.limit_ns, 5);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(word, ARRAY_SIZE(right)),
                TEST_EACH(other_words_are_refused, ARRAY_SIZE(wrong)),
        };

        return test_main("wait", tests, ARRAY_SIZE(tests), NULL, NULL);
}
