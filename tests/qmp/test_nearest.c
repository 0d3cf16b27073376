#include "qmp/nearest.h"

#include "tests/lib/test.h"

static const char *const names[] = {
        "stop",         "cont",        "block_resize", "blockdev-add",   "blockdev-backup", "blockdev-del",
        "device_add",   "device_del",  "query-status", "DEVICE_DELETED", "SHUTDOWN",        "ab",
        "set_password", "transaction", "object-add",   "x-blockdev-del",
};

static const struct {
        const char *wanted, *nearest;
} cases[] = {
        { "blockdev_add", "blockdev-add" },
        { "BLOCKDEV-ADD", "blockdev-add" },
        { "Block-Resize", "block_resize" },
        { "block_resise", "block_resize" },
        { "blokc_resize", "block_resize" },
        { "blockresize", "block_resize" },
        { "blockdev-dell", "blockdev-del" },
        { "deviceadd", "device_add" },
        { "device_ad", "device_add" },
        { "DEVICE_DELETE", "DEVICE_DELETED" },
        { "shutdown", "SHUTDOWN" },
        { "SHUTDWON", "SHUTDOWN" },
        { "cnt", "cont" },
        { "stop", "stop" },
        { "AB", "ab" },
        { "ac", NULL },
        { "xyz", NULL },
        { "", NULL },
        { "query", NULL },
        { "screendump", NULL },
        { "/", NULL },
};

static const char *find(struct qmp_nearest *nearest, const char *wanted)
{
        qmp_nearest_init(nearest, wanted);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                qmp_nearest_offer(nearest, names[i]);
        return qmp_nearest_get(nearest);
}

START_TEST(nearest_name_of_a_list)
{
        struct qmp_nearest nearest;
        const char *found = find(&nearest, cases[_i].wanted);

        if (cases[_i].nearest)
                ck_assert_str_eq(found ? found : "none", cases[_i].nearest);
        else
                ck_assert_msg(!found, "'%s' for '%s'", found, cases[_i].wanted);
}
END_TEST

START_TEST(first_of_equals_wins)
{
        struct qmp_nearest nearest;

        qmp_nearest_init(&nearest, "blockdev");
        qmp_nearest_offer(&nearest, "blockdex");
        qmp_nearest_offer(&nearest, "blockdez");
        ck_assert_str_eq(qmp_nearest_get(&nearest), "blockdex");
        /* another case counts less than another character, even several times */
        qmp_nearest_offer(&nearest, "BLOCKDEV");
        ck_assert_str_eq(qmp_nearest_get(&nearest), "BLOCKDEV");
}
END_TEST

START_TEST(long_names_are_like_nothing)
{
        char text[2 * QMP_NEAREST_MAX + 1], almost[2 * QMP_NEAREST_MAX + 1];

        for (size_t size = QMP_NEAREST_MAX - 1; size < sizeof(text); size++) {
                struct qmp_nearest nearest;

                memset(text, 'a', size);
                text[size] = '\0';
                memcpy(almost, text, size + 1);
                almost[0] = 'b';
                qmp_nearest_init(&nearest, text);
                qmp_nearest_offer(&nearest, almost);
                ck_assert_int_eq(!!qmp_nearest_get(&nearest), size <= QMP_NEAREST_MAX);
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(nearest_name_of_a_list, ARRAY_SIZE(cases)),
                TEST(first_of_equals_wins),
                TEST(long_names_are_like_nothing),
        };

        return test_main("nearest", tests, ARRAY_SIZE(tests), NULL, NULL);
}
