#include "qmp/json.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/test.h"

static struct json_object *value;
static char *why;

static void teardown(void)
{
        json_object_put(take_ptr(value));
        free(take_ptr(why));
}

static int parse(const char *text)
{
        teardown();
        return qmp_json_parse(text, &value, &why);
}

static const char *plain(void)
{
        return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static const struct {
        const char *text, *json;
} values[] = {
        { "{}", "{}" },
        { " \t\r\n{ } \t\r\n", "{}" },
        { "[]", "[]" },
        { "null", "null" },
        { "true", "true" },
        { "false", "false" },
        { "0", "0" },
        { "-0", "0" },
        { "12", "12" },
        { "-12", "-12" },
        { "1.5", "1.5" },
        { "-0.0", "-0.0" },
        { "1e5", "1e5" },
        { "1E+5", "1E+5" },
        { "1.25e-3", "1.25e-3" },
        { "9223372036854775807", "9223372036854775807" },
        { "9223372036854775808", "9223372036854775808" },
        { "18446744073709551615", "18446744073709551615" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "123456789012345678901234567890.0", "123456789012345678901234567890.0" },
        { "\"\"", "\"\"" },
        { "\"a b\"", "\"a b\"" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
        { "\"\\u00e9\"", "\"\303\251\"" },
        { "\"\\u00E9\"", "\"\303\251\"" },
        { "\"\303\251\342\202\254\360\237\230\200\"", "\"\303\251\342\202\254\360\237\230\200\"" },
        { "\"\\ud83d\\ude00\"", "\"\360\237\230\200\"" },
        { "\"\\uDBFF\\uDFFD\"", "\"\364\217\277\275\"" },
        { "\"\\u0000\"", "\"\\u0000\"" },
        { "\"a\\u0000b\"", "\"a\\u0000b\"" },
        { "{\"k\":\"\\u0000\"}", "{\"k\":\"\\u0000\"}" },
        { "[\"\\u0000\",\"b:\"]", "[\"\\u0000\",\"b:\"]" },
        { "\"\\\\u0000\"", "\"\\\\u0000\"" },
        { "{\"\\\\u0000\":1}", "{\"\\\\u0000\":1}" },
        { "\"\177\"", "\"\177\"" },
        { "{\"a\": {\"a\": [{\"a\": 1}, {\"a\": 2}]}}", "{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}" },
        { "{\"\": 1, \"a:b\": \":\", \"\\\":\": [\":\", \"}\", \"//\", \"NaN\", \"'\"]}",
          "{\"\":1,\"a:b\":\":\",\"\\\":\":[\":\",\"}\",\"//\",\"NaN\",\"'\"]}" },
        { "[1,-1,true,null,{}]", "[1,-1,true,null,{}]" },
};

START_TEST(value_without_loss)
{
        ck_assert_msg(parse(values[_i].text) == 0, "%s: %s", values[_i].text, why);
        ck_assert_str_eq(plain(), values[_i].json);
        ck_assert_ptr_null(why);
}
END_TEST

static const struct {
        const char *text;
        int result;
} beginnings[] = {
        { "{", QMP_JSON_INCOMPLETE },
        { " [", QMP_JSON_INCOMPLETE },
        { "{\"a\": [{}, ", QMP_JSON_INCOMPLETE },
        { "{\"a\": \"}", QMP_JSON_INCOMPLETE },
        { "{} {", QMP_JSON_INCOMPLETE },
        { "", 0 },
        { "{}", 0 },
        { "{} ", 0 },
        { "{} {}", 0 },
        { "{} t", -EINVAL },
        { "tru", -EINVAL },
        { "}", -EINVAL },
        { "{{", -EINVAL },
        { "{\"a\": 1{", -EINVAL },
};

START_TEST(beginning_of_json)
{
        ck_assert_int_eq(qmp_json_check(beginnings[_i].text), beginnings[_i].result);
}
END_TEST

static const struct {
        const char *text, *why;
} refused[] = {
        { "", "incomplete" },
        { " \n", "incomplete" },
        { "{", "incomplete" },
        { "{\"a\"", "incomplete" },
        { "{\"a\":", "incomplete" },
        { "{\"a\":1", "incomplete" },
        { "[1,", "incomplete" },
        { "\"a", "incomplete" },
        { "\"a\\", "incomplete" },
        { "\"a\\\"", "incomplete" },
        { "\"\\u00", "incomplete" },
        { "tru", "incomplete" },
        { "-", "incomplete" },
        { "1e", "incomplete" },
        { "}", "invalid JSON at character 1:" },
        { "  }", "invalid JSON at character 3:" },
        { "[1 2]", "invalid JSON at character 4:" },
        { "[1,]", "invalid JSON at character 4:" },
        { "[,1]", "invalid JSON" },
        { "[1,,2]", "invalid JSON" },
        { "{\"a\":1,}", "invalid JSON" },
        { "{\"a\"}", "invalid JSON" },
        { "{\"a\" 1}", "invalid JSON" },
        { "{\"a\":}", "invalid JSON" },
        { "{1:2}", "invalid JSON" },
        { "{a:1}", "invalid JSON" },
        { "[1}", "invalid JSON" },
        { "{\"a\":1]", "invalid JSON" },
        { "\"\\x\"", "invalid JSON" },
        { "\"\\u12g4\"", "invalid JSON" },
        /* what json-c takes beyond JSON */
        { "'a'", "invalid JSON" },
        { "['a']", "invalid JSON" },
        { "{'a':1}", "invalid JSON" },
        { "{'1':1}", "invalid JSON" },
        { "{'':1}", "invalid JSON" },
        { "{'true':1}", "invalid JSON" },
        { "NaN", "invalid JSON" },
        { "[nan]", "invalid JSON" },
        { "Infinity", "invalid JSON" },
        { "-Infinity", "invalid JSON" },
        { "{\"a\":-Infinity}", "invalid JSON" },
        { "TRUE", "invalid JSON" },
        { "[True]", "invalid JSON" },
        { "NULL", "invalid JSON" },
        { "nullx", "invalid JSON" },
        { "word", "invalid JSON" },
        { "/* c */ 1", "invalid JSON" },
        { "[1 /* c */]", "invalid JSON" },
        { "[1] // c", "trailing data after the JSON value, at character 5" },
        { "01", "" },
        { "-01", "invalid JSON" },
        { "[00]", "" },
        { "[-00]", "" },
        { "1.", "invalid JSON" },
        { "[1.]", "invalid JSON" },
        { "{\"a\":1.,\"b\":2}", "invalid JSON" },
        { "[1.e5]", "invalid JSON" },
        { "[.5]", "invalid JSON" },
        { "[+1]", "invalid JSON" },
        { "[1e]", "invalid JSON" },
        { "[1e+]", "invalid JSON" },
        { "[-]", "invalid JSON" },
        { "[1.5.5]", "invalid JSON" },
        { "1-2", "invalid JSON" },
        { "\v1", "invalid JSON" },
        { "[\f1]", "invalid JSON" },
        { "\"a\nb\"", "a string contains a control character, which must be written as \\u000a" },
        { "\"\t\"", "written as \\u0009" },
        { "\"\x1f\"", "written as \\u001f" },
        { "{\"\n\":1}", "written as \\u000a" },
        /* and what it would change */
        { "18446744073709551616", "the integer at character 1 is out of range" },
        { "[-9223372036854775809]", "the integer at character 2 is out of range" },
        { "{\"a\":100000000000000000000000000000000000000000000000000}",
          "the integer at character 6 is out of range" },
        { "{\"a\":1,\"a\":1}", "twice" },
        { "{\"a\":1,\"b\":2,\"a\":null}", "twice" },
        { "[{\"x\":{\"a\":1,\"\\u0061\":1}}]", "twice" },
        { "{\"a\\u0000\":1}", "a key contains \\u0000" },
        { "{\"a\":{\"\\u0000b\" :1}}", "a key contains \\u0000" },
        { "\"\\ud800\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\ud800x\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\ud800\\n\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\ud800\\u0041\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\ud800\\ud800\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\udc00\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "{\"\\uDFFF\":1}", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\uffff\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\uFDD0\"", "invalid JSON: an escape in a string is not a Unicode character" },
        { "\"\\ud83f\\udffe\"", "invalid JSON: an escape in a string is not a Unicode character" },
        /* no UTF-8 */
        { "\"\377\"", "utf" },
        { "\"\200\"", "utf" },
        { "\"\303\"", "" },
        { "\"\303(\"", "" },
        { "\"\300\200\"", "UTF-8" },
        { "\"\340\200\200\"", "UTF-8" },
        { "\"\360\200\200\200\"", "UTF-8" },
        { "\"\355\240\200\"", "UTF-8" },
        { "\"\364\220\200\200\"", "UTF-8" },
        { "\"\357\277\277\"", "UTF-8" },
        { "{\"\355\240\200\":1}", "UTF-8" },
        { "\302\240{}", "invalid JSON" },
        { "\357\273\277{}", "invalid JSON" },
        /* more than one */
        { "{} {}", "trailing data after the JSON value, at character 4" },
        { "{},", "trailing data after the JSON value, at character 3" },
        { "1 2", "trailing data after the JSON value, at character 3" },
        { "\"a\"b", "trailing data after the JSON value, at character 4" },
        { "null null", "trailing data after the JSON value, at character 6" },
};

START_TEST(all_else_is_refused)
{
        ck_assert_msg(parse(refused[_i].text) == -EINVAL, "%s: %s", refused[_i].text, plain());
        ck_assert_contains(why, refused[_i].why);
        ck_assert_uint_gt(strlen(why), 0);
        ck_assert_ptr_null(value);
}
END_TEST

START_TEST(values_one_after_the_other)
{
        static const char text[] = " {\"a\":1}\n[2]\"x\"-3 null\t true ";
        static const struct {
                const char *json;
                size_t offset;
        } each[] = {
                { "{\"a\":1}", 9 }, { "[2]", 12 }, { "\"x\"", 15 }, { "-3", 18 }, { "null", 24 }, { "true", 29 }
        };
        size_t offset = 0;

        for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
                teardown();
                ck_assert_int_eq(qmp_json_next(text, &offset, &value, &why), 0);
                ck_assert_str_eq(plain(), each[i].json);
                ck_assert_uint_eq(offset, each[i].offset);
        }
        teardown();
        ck_assert_int_eq(text[offset], '\0');
        ck_assert_int_eq(qmp_json_next(text, &offset, &value, &why), -EINVAL);
        ck_assert_str_eq(why, "the JSON value is incomplete");
}
END_TEST

START_TEST(error_leaves_the_offset_and_counts_from_the_beginning)
{
        static const char text[] = "{} {} {]";
        size_t offset = 0;

        for (unsigned i = 0; i < 2; i++) {
                ck_assert_int_eq(qmp_json_next(text, &offset, &value, &why), 0);
                teardown();
        }
        ck_assert_uint_eq(offset, 6);
        ck_assert_int_eq(qmp_json_next(text, &offset, &value, &why), -EINVAL);
        ck_assert_uint_eq(offset, 6);
        ck_assert_contains(why, "at character 8:");
}
END_TEST

/* @depth lists in each other. */
static char *nested(size_t depth)
{
        char *text = calloc(2 * depth + 1, 1);

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        return text;
}

START_TEST(depth_has_a_limit)
{
        _cleanup_(qmp_freep) char *most = nested(1000), *more = nested(1001), *far_more = nested(1000000);

        ck_assert_int_eq(parse(most), 0);
        ck_assert_int_eq(parse(more), -EINVAL);
        ck_assert_contains(why, "nesting");
        ck_assert_int_eq(parse(far_more), -EINVAL);
        ck_assert_contains(why, "nesting");
}
END_TEST

static const struct {
        const char *begin, *again, *end;
        bool good;
} long_texts[] = {
        { "[", "1,", "1]", true },        { "{\"a\":[", "{\"a\":1},", "1]}", true },
        { "\"", "\\u0041", "\"", true },  { "\"", "\\ud83d\\ude00", "\"", true },
        { "\"", "\303\251", "\"", true }, { "\"", "x", "\"", true },
        { "\"", "\\\"", "", false },      { "[", "1 ", "]", false },
        { "", "1", "", false },           { "1.", "1", "", true },
        { "", " ", "1", true },           { "", "-", "", false },
        { "[", "\"\",", "\"\"]", true },  { "{", "\"a\":1,", "\"a\":1}", false },
};

START_TEST(long_text_takes_no_time)
{
        _cleanup_(qmp_freep) char *text = calloc(1, 1 << 21);
        uint64_t start = test_real_now();
        char *to = stpcpy(text, long_texts[_i].begin);

        while (to - text < 1 << 20)
                to = stpcpy(to, long_texts[_i].again);
        strcpy(to, long_texts[_i].end);
        ck_assert_int_eq(parse(text), long_texts[_i].good ? 0 : -EINVAL);
        ck_assert_uint_lt(test_real_now() - start, 10 * NSEC_PER_SEC);
}
END_TEST

START_TEST(sequence_takes_no_time)
{
        _cleanup_(qmp_freep) char *text = calloc(1, 65537);
        uint64_t start = test_real_now();
        size_t offset = 0, n = 0;

        for (size_t i = 0; i < 65536; i += 2)
                memcpy(text + i, "1 ", 2);
        for (; text[offset]; n++) {
                if (qmp_json_next(text, &offset, &value, &why) < 0)
                        ck_abort_msg("%s", why);
                teardown();
        }
        ck_assert_uint_eq(n, 32768);
        ck_assert_uint_lt(test_real_now() - start, 10 * NSEC_PER_SEC);
}
END_TEST

START_TEST(any_byte_anywhere_does_no_harm)
{
        static const char text[] =
                "{\"a\\u0041\\ud83d\\ude00\": [1.5e3, -12, true, null, \"\303\251\"], \"b\": {\"c\": \"\"}}";

        for (size_t i = 0; i < sizeof(text) - 1; i++) {
                for (unsigned c = 0; c < 256; c++) {
                        char changed[sizeof(text)];
                        int r;

                        memcpy(changed, text, sizeof(text));
                        changed[i] = (char)c;
                        r = parse(changed);
                        if (r != 0 && (r != -EINVAL || !why || value))
                                ck_abort_msg("%s: %d", changed, r);
                }
        }
}
END_TEST

static const struct {
        const char *text;
        size_t bad; /* the byte, from 1 */
} utf8s[] = {
        { "", 0 },
        { "plain\n\x7f", 0 },
        { "\303\251\342\202\254\360\237\230\200\364\217\277\275", 0 },
        { "a\200", 2 },
        { "\303", 1 },
        { "ab\303(", 3 },
        { "\342\202", 1 },
        { "\300\200", 1 },
        { "\301\277", 1 },
        { "\340\237\277", 1 },
        { "\360\217\277\275", 1 },
        { "\355\240\200", 1 },
        { "\355\277\277", 1 },
        { "\364\220\200\200", 1 },
        { "\365\200\200\200", 1 },
        { "\370\200\200\200\200", 1 },
        { "\376", 1 },
        { "\357\277\276", 1 },
        { "\357\267\220", 1 },
};

START_TEST(utf8_is_checked)
{
        ck_assert_int_eq(qmp_utf8_check(utf8s[_i].text, &why), utf8s[_i].bad ? -EINVAL : 0);
        if (utf8s[_i].bad) {
                char expected[64];

                snprintf(expected, sizeof(expected), "invalid UTF-8 at byte %zu", utf8s[_i].bad);
                ck_assert_str_eq(why, expected);
        }
}
END_TEST

START_TEST(invalid_in_words)
{
        ck_assert_int_eq(qmp_invalid(&why, "%s %d", "a", 1), -EINVAL);
        ck_assert_str_eq(why, "a 1");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(value_without_loss, ARRAY_SIZE(values)),
                TEST_EACH(beginning_of_json, ARRAY_SIZE(beginnings)),
                TEST_EACH(all_else_is_refused, ARRAY_SIZE(refused)),
                TEST(values_one_after_the_other),
                TEST(error_leaves_the_offset_and_counts_from_the_beginning),
                TEST(depth_has_a_limit),
                TEST_EACH(long_text_takes_no_time, ARRAY_SIZE(long_texts)),
                TEST(sequence_takes_no_time),
                TEST(any_byte_anywhere_does_no_harm),
                TEST_EACH(utf8_is_checked, ARRAY_SIZE(utf8s)),
                TEST(invalid_in_words),
        };

        return test_main("json", tests, ARRAY_SIZE(tests), NULL, teardown);
}
