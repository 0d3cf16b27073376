#include "fs/util/event_filter.h"

#include <errno.h>

#include "tests/lib/test.h"
#include "qmp/message.h"

#define DELETED                                                                                                      \
        "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"nv0\", \"path\": \"/machine/peripheral/nv0\"}}"
#define OST                                                                                                          \
        "{\"event\": \"ACPI_DEVICE_OST\", \"data\": {\"info\": {\"device\": \"d1\", \"source\": 3, \"status\": "     \
        "132, "                                                                                                      \
        "\"slot\": \"0\", \"slot-type\": \"DIMM\"}}}"
#define STOP "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1}}"
#define ODD                                                                                                          \
        "{\"event\": \"ODD\", \"data\": {\"b\": true, \"n\": null, \"i\": -5, \"u\": 18446744073709551615, \"f\": "  \
        "1.50, "                                                                                                     \
        "\"e\": \"\", \"l\": [1, {\"a\": 2}], \"o\": {\"x\": {\"y\": \"z=1\"}, \"w\": 1}, \"s\": \"a\\nb\"}}"

static const struct {
        const char *filter, *event;
        bool matches;
} cases[] = {
        { "", STOP, true },
        { " \t\n ", STOP, true },
        { "STOP", STOP, true },
        { "RESUME", STOP, false },
        { "RESUME STOP", STOP, true },
        { "  RESUME\tSTOP\n", STOP, true },
        { "STO", STOP, false },
        { "STOPP", STOP, false },
        { "DEVICE_DELETED device=nv0", DELETED, true },
        { "device=nv0", DELETED, true },
        { "device=nv0 DEVICE_DELETED", DELETED, true },
        { "device=nv1", DELETED, false },
        { "device=nv", DELETED, false },
        { "device=nv00", DELETED, false },
        { "device=", DELETED, false },
        { "nosuch=nv0", DELETED, false },
        { "device=nv0 path=/machine/peripheral/nv0", DELETED, true },
        { "device=nv0 path=/x", DELETED, false },
        { "STOP device=nv0", DELETED, false },
        { "device=nv0", STOP, false },
        { "{}", STOP, false },
        { "{}", DELETED, true },
        { "info.slot-type=DIMM", OST, true },
        { "info.slot-type=CPU", OST, false },
        { "info.status=132 info.source=3", OST, true },
        { "info.status=13", OST, false },
        { "info.slot.x=0", OST, false },
        { "info.nosuch.x=0", OST, false },
        { "{\"info\": {\"status\": 132}}", OST, true },
        { "{\"info\":{\"status\":132,\"slot\":\"0\"}}", OST, true },
        { "{\"info\": {\"status\": \"132\"}}", OST, false },
        { "{\"info\": {\"status\": 130}}", OST, false },
        { "{\"info\": {}}", OST, true },
        { "{\"info\": 5}", OST, false },
        { "{\"info\": null}", OST, false },
        { "{\"nosuch\": null}", OST, false },
        { "{\"info\": {\"status\": 132}} ACPI_DEVICE_OST info.slot=0", OST, true },
        { "{\"info\": {\"status\": 132}}STOP", OST, false },
        { "{\"info\": {\"status\": 132}} {\"info\": {\"slot\": \"0\"}}", OST, true },
        { "{\"info\": {\"status\": 130}} {\"info\": {\"slot\": \"0\"}}", OST, false },
        { "{\"info\": {\"slot\": \"0\"}} {\"info\": {\"status\": 130}}", OST, false },
        { "b=true", ODD, true },
        { "b=1", ODD, false },
        { "n=null", ODD, true },
        { "i=-5", ODD, true },
        { "u=18446744073709551615", ODD, true },
        { "f=1.50", ODD, true },
        { "f=1.5", ODD, false },
        { "e=", ODD, true },
        { "e=x", ODD, false },
        { "o.x.y=z=1", ODD, true },
        { "{\"n\": null}", ODD, true },
        { "{\"l\": [1, {\"a\": 2}]}", ODD, true },
        { "{\"l\": [1]}", ODD, false },
        { "{\"o\": {\"x\": {}}}", ODD, true },
        { "{\"b\": true, \"i\": -5, \"e\": \"\"}", ODD, true },
        { "{\"s\": \"a\\nb\"}", ODD, true },
        { "timeout=60", STOP, true },
        { "timeout=60 STOP", STOP, true },
        { "ODD", "{\"event\": 5, \"data\": {}}", false },
        { "", "{\"event\": 5}", true },
        { "x=1", "{\"event\": \"E\", \"data\": [1]}", false },
        { "{\"x\": 1}", "{\"event\": \"E\", \"data\": \"x\"}", false },
};

START_TEST(filter_matches)
{
        struct json_object *event = json_tokener_parse(cases[_i].event);
        struct event_filter filter;
        char *why = NULL;

        ck_assert_ptr_nonnull(event);
        ck_assert_int_eq(event_filter_parse(cases[_i].filter, &filter, &why), 0);
        ck_assert_ptr_null(why);
        ck_assert_msg(event_filter_matches(&filter, event) == cases[_i].matches, "'%s' on %s", cases[_i].filter,
                      cases[_i].event);
        event_filter_deinit(&filter);
        json_object_put(event);
}
END_TEST

START_TEST(limit_is_part_of_the_filter)
{
        struct event_filter filter;
        char *why;

        ck_assert_int_eq(event_filter_parse("STOP", &filter, &why), 0);
        ck_assert_uint_eq(filter.limit_ns, 0);
        event_filter_deinit(&filter);
        ck_assert_int_eq(event_filter_parse("timeout=1.5 STOP", &filter, &why), 0);
        ck_assert_uint_eq(filter.limit_ns, 1500 * NSEC_PER_MSEC);
        ck_assert_uint_eq(filter.n_names, 1);
        ck_assert_uint_eq(filter.n_conditions, 0);
        event_filter_deinit(&filter);
        ck_assert_int_eq(event_filter_parse("timeout=1 timeout=2", &filter, &why), 0);
        ck_assert_uint_eq(filter.limit_ns, 2 * NSEC_PER_SEC);
        event_filter_deinit(&filter);
}
END_TEST

static const struct {
        const char *filter, *why;
} wrong[] = {
        { "stop", "the word at character 1 is not an EVENT_NAME" },
        { "STOP what?", "the word at character 6 is not an EVENT_NAME" },
        { "Stop", "the word at character 1 is not an EVENT_NAME" },
        { "_STOP", "the word at character 1 is not an EVENT_NAME" },
        { "STOP,RESUME", "the word at character 1 is not an EVENT_NAME" },
        { "=x", "the word at character 1 is not an EVENT_NAME" },
        { "timeout=", "the word at character 1 is not an EVENT_NAME" },
        { "timeout=0", "the word at character 1 is not an EVENT_NAME" },
        { "timeout=x", "the word at character 1 is not an EVENT_NAME" },
        { "timeout=-1", "the word at character 1 is not an EVENT_NAME" },
        { "timeout=0.0000000001", "the word at character 1 is not an EVENT_NAME" },
        { "nowait", "the word at character 1 is not an EVENT_NAME" },
        { "{", "the JSON object at character 1: " },
        { "{\"a\": }", "the JSON object at character 1: " },
        { "{\"a\": 1", "the JSON object at character 1: " },
        { "{\"a\": 1} {\"b\"", "the JSON object at character 10: " },
        { "{}//", "the word at character 3 is not an EVENT_NAME" },
        { "{\"a\": 1}/*", "the word at character 9 is not an EVENT_NAME" },
        { "{\"a\": 1 // x", "the JSON object at character 1: " },
        { "{'a': 1}", "the JSON object at character 1: " },
        { "[1]", "the word at character 1 is not an EVENT_NAME" },
        { "\"x\"", "the word at character 1 is not an EVENT_NAME" },
};

START_TEST(wrong_filter_says_where)
{
        struct event_filter filter;
        char *why = NULL;

        memset(&filter, 0x55, sizeof(filter));
        ck_assert_int_eq(event_filter_parse(wrong[_i].filter, &filter, &why), -EINVAL);
        ck_assert_contains(why, wrong[_i].why);
        /* the result is untouched */
        ck_assert_uint_eq(filter.limit_ns, UINT64_C(0x5555555555555555));
        free(why);
}
END_TEST

START_TEST(deep_json_is_refused)
{
        struct event_filter filter;
        char *text = malloc(20001), *why = NULL;

        for (size_t i = 0; i < 20000; i += 5)
                memcpy(text + i, "{\"a\":", 5);
        text[20000] = '\0';
        ck_assert_int_eq(event_filter_parse(text, &filter, &why), -EINVAL);
        free(why);
        free(text);
}
END_TEST

START_TEST(many_words)
{
        char *text = malloc(64 * 1024 + 1), *why = NULL;
        struct json_object *event = json_tokener_parse(STOP);
        struct event_filter filter;

        for (size_t i = 0; i < 64 * 1024; i += 4)
                memcpy(text + i, i + 4 == 64 * 1024 ? "STOP" : "A_B ", 4);
        text[64 * 1024] = '\0';
        ck_assert_int_eq(event_filter_parse(text, &filter, &why), 0);
        ck_assert_uint_eq(filter.n_names, 16384);
        ck_assert(event_filter_matches(&filter, event));
        event_filter_deinit(&filter);
        /* twice is fine */
        event_filter_deinit(&filter);
        json_object_put(event);
        free(text);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(filter_matches, ARRAY_SIZE(cases)),
                TEST(limit_is_part_of_the_filter),
                TEST_EACH(wrong_filter_says_where, ARRAY_SIZE(wrong)),
                TEST(deep_json_is_refused),
                TEST(many_words),
        };

        return test_main("event_filter", tests, ARRAY_SIZE(tests), NULL, NULL);
}
