#include "qmp/message.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/test.h"

static struct json_object *json;
static struct qmp_message m;

static void teardown(void)
{
        json_object_put(take_ptr(json));
}

/* The value stays in @json, since the message borrows from it. */
static int classify(const char *text)
{
        json_object_put(json);
        json = json_tokener_parse(text);
        return qmp_message_classify(json, &m);
}

START_TEST(greeting)
{
        ck_assert_int_eq(classify("{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
                                  "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}"),
                         0);
        ck_assert_int_eq(m.kind, QMP_MESSAGE_GREETING);
        ck_assert_ptr_eq(m.value, json_object_object_get(json, "QMP"));
        ck_assert(qmp_greeting_offers(m.value, "oob"));
        ck_assert(!qmp_greeting_offers(m.value, "oo"));
        ck_assert(!qmp_greeting_offers(m.value, "oob2"));
}
END_TEST

static const char *const no_offers[] = {
        "{}",
        "{\"capabilities\": []}",
        "{\"capabilities\": {\"oob\": 1}}",
        "{\"capabilities\": \"oob\"}",
        "{\"capabilities\": null}",
        "{\"capabilities\": [1, null, [\"oob\"], {\"oob\": 1}, \"OOB\"]}",
};

START_TEST(greeting_without_the_capability)
{
        json = json_tokener_parse(no_offers[_i]);
        ck_assert(!qmp_greeting_offers(json, "oob"));
        ck_assert(!qmp_greeting_offers(NULL, "oob"));
}
END_TEST

START_TEST(return_with_a_value)
{
        ck_assert_int_eq(classify("{\"return\": {\"status\": \"running\"}}"), 0);
        ck_assert_int_eq(m.kind, QMP_MESSAGE_RETURN);
        ck_assert_str_eq(qmp_json_get_string(m.value, "status"), "running");
        ck_assert(!m.has_id);
        ck_assert_ptr_null(m.id);
}
END_TEST

static const char *const returns[] = {
        "{\"return\": {}}", "{\"return\": []}",   "{\"return\": \"\"}",
        "{\"return\": 0}",  "{\"return\": null}", "{\"return\": false}",
};

START_TEST(return_of_any_type)
{
        ck_assert_int_eq(classify(returns[_i]), 0);
        ck_assert_int_eq(m.kind, QMP_MESSAGE_RETURN);
}
END_TEST

START_TEST(reply_with_an_id)
{
        ck_assert_int_eq(classify("{\"return\": {}, \"id\": \"o1\"}"), 0);
        ck_assert(m.has_id);
        ck_assert_str_eq(json_object_get_string(m.id), "o1");
        ck_assert_int_eq(classify("{\"id\": 7, \"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}"), 0);
        ck_assert(m.has_id);
        ck_assert_int_eq(json_object_get_int(m.id), 7);
}
END_TEST

START_TEST(id_null_is_an_id)
{
        ck_assert_int_eq(classify("{\"return\": {}, \"id\": null}"), 0);
        ck_assert(m.has_id);
        ck_assert_ptr_null(m.id);
}
END_TEST

START_TEST(error)
{
        ck_assert_int_eq(classify("{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not found\"}}"),
                         0);
        ck_assert_int_eq(m.kind, QMP_MESSAGE_ERROR);
        ck_assert_str_eq(m.error_class, "DeviceNotFound");
        ck_assert_str_eq(m.error_desc, "Device 'x' not found");
        ck_assert(!m.has_id);
}
END_TEST

START_TEST(error_with_an_empty_description_and_more_members)
{
        ck_assert_int_eq(
                classify("{\"error\": {\"class\": \"GenericError\", \"desc\": \"\", \"data\": {}}, \"x\": 1}"), 0);
        ck_assert_str_eq(m.error_desc, "");
}
END_TEST

START_TEST(event_with_data)
{
        ck_assert_int_eq(classify("{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RESET\", "
                                  "\"data\": {\"guest\": true}}"),
                         0);
        ck_assert_int_eq(m.kind, QMP_MESSAGE_EVENT);
        ck_assert_str_eq(m.event, "RESET");
        ck_assert_ptr_eq(m.value, json);
        ck_assert_ptr_eq(m.data, json_object_object_get(json, "data"));
}
END_TEST

START_TEST(event_without_data)
{
        ck_assert_int_eq(classify("{\"event\": \"STOP\"}"), 0);
        ck_assert_str_eq(m.event, "STOP");
        ck_assert_ptr_null(m.data);
        ck_assert_int_eq(classify("{\"event\": \"STOP\", \"data\": null}"), 0);
        ck_assert_ptr_null(m.data);
}
END_TEST

static const char *const malformed[] = {
        "null",
        "[]",
        "1",
        "\"return\"",
        "{}",
        "{\"id\": 1}",
        "{\"timestamp\": {}}",
        "{\"Return\": {}}",
        "{\"execute\": \"query-status\"}",
        "{\"error\": null}",
        "{\"error\": \"x\"}",
        "{\"error\": []}",
        "{\"error\": {}}",
        "{\"error\": {\"class\": \"GenericError\"}}",
        "{\"error\": {\"desc\": \"x\"}}",
        "{\"error\": {\"class\": 1, \"desc\": \"x\"}}",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": null}}",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": [\"x\"]}}",
        "{\"event\": null}",
        "{\"event\": 1}",
        "{\"event\": {\"STOP\": 1}}",
        "{\"event\": \"STOP\", \"data\": []}",
        "{\"event\": \"STOP\", \"data\": \"x\"}",
        "{\"QMP\": null}",
        "{\"QMP\": []}",
        "{\"QMP\": \"7.2\"}",
};

START_TEST(malformed_message_is_refused_and_the_result_untouched)
{
        struct qmp_message before;

        memset(&m, 0x5a, sizeof(m));
        before = m;
        ck_assert_int_eq(classify(malformed[_i]), -EBADMSG);
        ck_assert_mem_eq(&m, &before, sizeof(m));
}
END_TEST

static const struct {
        const char *json, *text;
} versions[] = {
        { "{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"Debian 1:7.2+dfsg-7\"}",
          "7.2.22 (Debian 1:7.2+dfsg-7)" },
        { "{\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 10}, \"package\": \"\"}", "10.0.0" },
        { "{\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 10}}", "10.0.0" },
        { "{\"qemu\": {\"micro\": 1, \"minor\": 2, \"major\": 3}, \"package\": 7}", "3.2.1" },
        { "{\"qemu\": {}, \"package\": \"%s%n\"}", "0.0.0 (%s%n)" },
        { "{\"qemu\": {}, \"package\": \"a\\u001b[2J\\n\"}", "0.0.0 (a\\x1b[2J\\x0a)" },
};

START_TEST(version_for_people)
{
        _cleanup_(qmp_freep) char *text = NULL;

        json = json_tokener_parse(versions[_i].json);
        ck_assert_int_eq(qmp_version_format(json, &text), 0);
        ck_assert_str_eq(text, versions[_i].text);
}
END_TEST

static const char *const no_versions[] = { "{}", "[]", "{\"qemu\": \"7.2\"}", "{\"qemu\": null}", "7" };

START_TEST(version_that_is_none)
{
        char *text = NULL;

        json = json_tokener_parse(no_versions[_i]);
        ck_assert_int_eq(qmp_version_format(json, &text), -EBADMSG);
        ck_assert_int_eq(qmp_version_format(NULL, &text), -EBADMSG);
        ck_assert_ptr_null(text);
}
END_TEST

static const struct {
        const char *name, *arguments, *oob_id, *text;
} commands[] = {
        { "query-status", NULL, NULL, "{\"execute\":\"query-status\"}" },
        { "query-yank", NULL, "o1", "{\"exec-oob\":\"query-yank\",\"id\":\"o1\"}" },
        { "device_del", "{ \"id\": \"/machine/peripheral/x\" }", NULL,
          "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral/x\"}}" },
        { "qom-set", "{\"value\": 18446744073709551615, \"b\": [1, -1, true, null, {}]}", "o2",
          "{\"exec-oob\":\"qom-set\",\"arguments\":{\"value\":18446744073709551615,\"b\":[1,-1,true,null,{}]},"
          "\"id\":\"o2\"}" },
        { "x", "{}", NULL, "{\"execute\":\"x\",\"arguments\":{}}" },
        { "x", "{\"v\": 1.50}", NULL, "{\"execute\":\"x\",\"arguments\":{\"v\":1.50}}" },
        { "x", "{\"v\": \"\\u00e9\\n\\\"\\\\\"}", NULL,
          "{\"execute\":\"x\",\"arguments\":{\"v\":\"\xC3\xA9\\n\\\"\\\\\"}}" },
        { "x", "{\"v\": \"a\\u0000b\"}", NULL, "{\"execute\":\"x\",\"arguments\":{\"v\":\"a\\u0000b\"}}" },
        { "a\"b\n", NULL, NULL, "{\"execute\":\"a\\\"b\\n\"}" },
};

START_TEST(command_is_compact_and_has_no_newline)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t size;

        json = commands[_i].arguments ? json_tokener_parse(commands[_i].arguments) : NULL;
        ck_assert_int_eq(qmp_command_format(commands[_i].name, json, commands[_i].oob_id, &text, &size), 0);
        ck_assert_str_eq(text, commands[_i].text);
        ck_assert_uint_eq(size, strlen(text));
}
END_TEST

START_TEST(arguments_stay_the_callers)
{
        char *text;
        size_t size;

        json = json_tokener_parse("{\"id\": \"x\"}");
        ck_assert_int_eq(qmp_command_format("device_del", json, NULL, &text, &size), 0);
        free(text);
        /* put answers 1 when it was the last reference */
        ck_assert_int_eq(json_object_put(take_ptr(json)), 1);
}
END_TEST

START_TEST(members)
{
        json = json_tokener_parse("{\"a\": {\"b\": \"c\"}, \"n\": null, \"i\": 1, \"e\": \"\"}");
        ck_assert_str_eq(qmp_json_get_string(qmp_json_get(json, "a"), "b"), "c");
        ck_assert_ptr_null(qmp_json_get(json, "n"));
        ck_assert_ptr_null(qmp_json_get(json, "x"));
        ck_assert_ptr_null(qmp_json_get(NULL, "a"));
        ck_assert_ptr_null(qmp_json_get(qmp_json_get(json, "i"), "a"));
        ck_assert_ptr_null(qmp_json_get_string(json, "i"));
        ck_assert_ptr_null(qmp_json_get_string(json, "n"));
        ck_assert_ptr_null(qmp_json_get_string(NULL, "a"));
        ck_assert_str_eq(qmp_json_get_string(json, "e"), "");
}
END_TEST

START_TEST(words_have_no_control_characters)
{
        _cleanup_(qmp_freep) char *a = qmp_words("a\nb\tc\x7f\x1b[2J d\303\251\\"), *b = qmp_words("");
        _cleanup_(qmp_freep) char *c1 = qmp_words("\302\200\302\2332J\302\237 \302\240\302\251");

        ck_assert_str_eq(a, "a\\x0ab\\x09c\\x7f\\x1b[2J d\303\251\\");
        ck_assert_str_eq(b, "");
        /* CSI and its like, which a terminal may take for the ESC sequence, but not the characters that follow them */
        ck_assert_str_eq(c1, "\\xc2\\x80\\xc2\\x9b2J\\xc2\\x9f \302\240\302\251");
}
END_TEST

START_TEST(words_are_cut_between_characters)
{
        /* of one and of three bytes each: the limit is within the last one but for one of three offsets */
        for (size_t i = 0; i < 3; i++) {
                _cleanup_(qmp_freep) char *text = calloc(1, 3 * QMP_WORDS_MAX + 1), *words = NULL;

                memset(text, 'x', i);
                for (size_t at = i; at + 3 <= 3 * QMP_WORDS_MAX; at += 3)
                        memcpy(text + at, "\342\202\254", 3);
                words = qmp_words(text);
                ck_assert_uint_eq(strlen(words), QMP_WORDS_MAX - (QMP_WORDS_MAX - i) % 3 + strlen(" …"));
                ck_assert_int_eq(strncmp(words, text, strlen(words) - strlen(" …")), 0);
                ck_assert_str_eq(words + strlen(words) - strlen(" …"), " …");
                text[QMP_WORDS_MAX] = '\0';
                free(words);
                words = qmp_words(text);
                ck_assert_str_eq(words, text);
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(greeting),
                TEST_EACH(greeting_without_the_capability, ARRAY_SIZE(no_offers)),
                TEST(return_with_a_value),
                TEST_EACH(return_of_any_type, ARRAY_SIZE(returns)),
                TEST(reply_with_an_id),
                TEST(id_null_is_an_id),
                TEST(error),
                TEST(error_with_an_empty_description_and_more_members),
                TEST(event_with_data),
                TEST(event_without_data),
                TEST_EACH(malformed_message_is_refused_and_the_result_untouched, ARRAY_SIZE(malformed)),
                TEST_EACH(version_for_people, ARRAY_SIZE(versions)),
                TEST_EACH(version_that_is_none, ARRAY_SIZE(no_versions)),
                TEST_EACH(command_is_compact_and_has_no_newline, ARRAY_SIZE(commands)),
                TEST(arguments_stay_the_callers),
                TEST(members),
                TEST(words_have_no_control_characters),
                TEST(words_are_cut_between_characters),
        };

        return test_main("message", tests, ARRAY_SIZE(tests), NULL, teardown);
}
