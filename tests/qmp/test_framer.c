#include "qmp/framer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "tests/lib/fake_qemu.h"
#include "tests/lib/test.h"

static struct qmp_framer framer;

static void setup(void)
{
        qmp_framer_init(&framer);
}

static void teardown(void)
{
        qmp_framer_deinit(&framer);
}

/* Gives the framer some bytes, without asking for values. */
static void put(const char *bytes, size_t n)
{
        while (n > 0) {
                char *room;
                size_t size;

                ck_assert_int_eq(qmp_framer_room(&framer, &room, &size), 0);
                ck_assert_uint_ge(size, 1);
                if (size > n)
                        size = n;
                memcpy(room, bytes, size);
                qmp_framer_fed(&framer, size);
                bytes += size;
                n -= size;
        }
}

/* Feeds @n bytes in chunks; the values' texts, each closed with ';', go to @ret. The last result. */
static int feed(const char *bytes, size_t n, size_t chunk, char **ret)
{
        char *all = strdup("");
        int r = QMP_FRAMER_MORE;

        while (n > 0) {
                size_t now = n < chunk ? n : chunk;

                put(bytes, now);
                bytes += now;
                n -= now;
                for (;;) {
                        struct json_object *value = NULL;
                        char *longer;

                        r = qmp_framer_next(&framer, &value);
                        if (r != QMP_FRAMER_VALUE)
                                break;
                        ck_assert_int_gt(asprintf(&longer, "%s%s;", all,
                                                  json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN)),
                                         0);
                        free(all);
                        all = longer;
                        json_object_put(value);
                }
                if (r < 0)
                        break;
        }
        if (ret)
                *ret = all;
        else
                free(all);
        return r;
}

static int feed_text(const char *text)
{
        return feed(text, strlen(text), SIZE_MAX, NULL);
}

/* Feeds one complete value and returns it. */
static struct json_object *one_value(const char *text)
{
        struct json_object *value = NULL, *none = NULL;

        put(text, strlen(text));
        ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_VALUE);
        ck_assert_int_eq(qmp_framer_next(&framer, &none), QMP_FRAMER_MORE);
        ck_assert_ptr_null(none);
        return value;
}

/* What is fed, and what comes out of it. */
static const struct {
        const char *in, *out;
} streams[] = {
        { "{}\r\n", "{};" },
        { "{}", "{};" },
        { "{}{}{}", "{};{};{};" },
        { "\r\n \t{} \n\n {\"a\":1}", "{};{\"a\":1};" },
        { "{\"return\": {}}\r\n{\"event\": \"STOP\"}\r\n", "{\"return\":{}};{\"event\":\"STOP\"};" },
        { "{\r\n    \"return\": {\r\n        \"status\": [\r\n            1,\r\n            2\r\n        ]\r\n    "
          "}\r\n}"
          "\r\n{\r\n    \"return\": {\r\n    }\r\n}\r\n",
          "{\"return\":{\"status\":[1,2]}};{\"return\":{}};" },
        { "{\"a\":\"}{][\"}{\"b\":\"]\"}", "{\"a\":\"}{][\"};{\"b\":\"]\"};" },
        { "{\"a\":\"\\\"}\"}{}", "{\"a\":\"\\\"}\"};{};" },
        { "{\"a\":\"\\\\\"}{}", "{\"a\":\"\\\\\"};{};" },
        { "{\"a\":\"\\\\\\\"}\"}{}", "{\"a\":\"\\\\\\\"}\"};{};" },
        { "{\"}\\\"{\":{\"]\":[]}}", "{\"}\\\"{\":{\"]\":[]}};" },
        { "{\"a\":\"\\u007D\\u0022\"}", "{\"a\":\"}\\\"\"};" },
        { "{\"a\":\"\xC3\xA9\xF0\x9F\x98\x80\"}", "{\"a\":\"\xC3\xA9\xF0\x9F\x98\x80\"};" },
        { "{\"a\":[true,false,null,-1,\"\"]}", "{\"a\":[true,false,null,-1,\"\"]};" },
};

START_TEST(values_come_out_the_same_however_they_are_split)
{
        const char *in = streams[_i].in;

        for (size_t chunk = 1; chunk <= strlen(in); chunk++) {
                _cleanup_(qmp_freep) char *out = NULL;

                qmp_framer_reset(&framer);
                ck_assert_int_eq(feed(in, strlen(in), chunk, &out), QMP_FRAMER_MORE);
                ck_assert_str_eq(out, streams[_i].out);
        }
}
END_TEST

START_TEST(ten_thousand_values_in_one_read)
{
        static const char event[] = "{\"event\":\"RTC_CHANGE\",\"data\":{\"offset\":0}}\r\n";
        size_t n = 0;

        for (int i = 0; i < 10000; i++)
                put(event, sizeof(event) - 1);
        for (;;) {
                struct json_object *value = NULL;
                int r = qmp_framer_next(&framer, &value);

                if (r == QMP_FRAMER_MORE)
                        break;
                ck_assert_int_eq(r, QMP_FRAMER_VALUE);
                json_object_put(value);
                n++;
        }
        ck_assert_uint_eq(n, 10000);
}
END_TEST

START_TEST(a_value_is_there_with_its_last_bracket)
{
        struct json_object *value = NULL;

        put("{\"return\":[{}]", 14);
        ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_MORE);
        put("}", 1);
        ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_VALUE);
        json_object_put(value);
}
END_TEST

START_TEST(a_long_stream_arrives_in_order_and_takes_bounded_memory)
{
        size_t n = 0, size = 0, done = 0;
        char text[300 * 1100];

        for (int i = 0; i < 300; i++)
                size += (size_t)sprintf(text + size, "{\"n\":%d,\"data\":{\"x\":\"%01000d\"}}\r\n", i, i);
        /* in pieces that hardly ever end with a value, so that there is always something to keep */
        while (done < size) {
                size_t chunk = size - done < 97 ? size - done : 97;
                struct json_object *value = NULL;

                put(text + done, chunk);
                done += chunk;
                while (qmp_framer_next(&framer, &value) == QMP_FRAMER_VALUE) {
                        ck_assert_int_eq(json_object_get_int(json_object_object_get(value, "n")), (int)n++);
                        json_object_put(value);
                }
                ck_assert_uint_le(framer.size, 64 * 1024);
        }
        ck_assert_uint_eq(n, 300);
}
END_TEST

static const char *const not_json[] = {
        "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ",
        "\x1b[K\x1b[Dhelp",
        "[1]",
        "\"return\"",
        "null",
        "7",
        "}",
        "]",
        ",",
        "HTTP/1.1 400 Bad Request\r\n",
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "\xff{}",
        "{]",
        "{\"a\":]}",
        "{\"a\":[}}",
        "{\"a\":[1}]",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{a:1}",
        "{'{':1}}",
        "{'a':1}",
        "{'a':'b'}",
        "{\"a\":tru}",
        "{\"a\":nul}",
        "{\"a\":True}",
        "{\"a\":garbage}",
        "{\"a\":1x}",
        "{\"a\":--1}",
        "{\"a\":1e}",
        "{\"a\":1.}",
        "{\"a\":[1.,2]}",
        "{\"a\":1.e5}",
        "{\"a\":01.5}",
        "{\"a\":-.5}",
        "{\"a\":[.5]}",
        "{\"a\":[-00e1]}",
        "{\"a\":-01}",
        "{\"a\":NaN}",
        "{\"a\":[-Infinity]}",
        "{/* comment */}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"\xc3(\"}",
        "{\"a\":\"\x80\"}",
        "{\"\xfe\":1}",
        "{\"\xc1\x81\":1}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\xe0\x80\xaf\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":[\"\xf4\x90\x80\x80\"]}",
        "{}garbage",
        "{} {} ]",
};

START_TEST(what_is_not_json_is_refused)
{
        ck_assert_msg(feed_text(not_json[_i]) == -EBADMSG, "accepted: %s", not_json[_i]);
        qmp_framer_reset(&framer);
        ck_assert_int_eq(feed(not_json[_i], strlen(not_json[_i]), 1, NULL), -EBADMSG);
}
END_TEST

START_TEST(nul_outside_of_a_string_is_refused)
{
        ck_assert_int_eq(feed("{\"a\":1\0}", 8, SIZE_MAX, NULL), -EBADMSG);
}
END_TEST

START_TEST(nul_between_values_is_refused)
{
        ck_assert_int_eq(feed("{}\0{}", 5, SIZE_MAX, NULL), -EBADMSG);
}
END_TEST

START_TEST(nul_in_a_string_is_refused)
{
        ck_assert_int_eq(feed("{\"a\":\"b\0c\"}", 11, SIZE_MAX, NULL), -EBADMSG);
}
END_TEST

START_TEST(nul_behind_a_value_does_not_hide_the_rest)
{
        /* a parser that stops at NUL would take the first part for the whole */
        ck_assert_int_eq(feed("{\"a\":{\0}}", 9, SIZE_MAX, NULL), -EBADMSG);
}
END_TEST

START_TEST(refused_bytes_can_be_seen)
{
        const char *rest;
        size_t n;

        ck_assert_int_eq(feed_text("{}\r\nQEMU 7.2.22 monitor"), -EBADMSG);
        rest = qmp_framer_rest(&framer, &n);
        ck_assert_uint_eq(n, 19);
        ck_assert_mem_eq(rest, "QEMU 7.2.22 monitor", n);
}
END_TEST

START_TEST(refused_value_can_be_seen_whole)
{
        const char *rest;
        size_t n;

        ck_assert_int_eq(feed_text("{\"a\":garbage}"), -EBADMSG);
        rest = qmp_framer_rest(&framer, &n);
        ck_assert_uint_eq(n, 13);
        ck_assert_mem_eq(rest, "{\"a\":garbage}", n);
}
END_TEST

START_TEST(nothing_is_left_of_nothing)
{
        size_t n = 1;

        (void)qmp_framer_rest(&framer, &n);
        ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(reset_forgets_half_a_value)
{
        ck_assert_int_eq(feed_text("{\"a\":[\"{\\"), QMP_FRAMER_MORE);
        qmp_framer_reset(&framer);
        json_object_put(one_value("{}"));
}
END_TEST

START_TEST(reset_keeps_the_limit_of_the_text)
{
        framer.max_text = 4;
        qmp_framer_reset(&framer);
        ck_assert_int_eq(feed_text("{\"abc\":1}"), -EMSGSIZE);
}
END_TEST

START_TEST(deinit_works_twice_and_on_zeroes)
{
        struct qmp_framer zero = { 0 };

        qmp_framer_deinit(&zero);
        ck_assert_int_eq(feed_text("{\"a\""), QMP_FRAMER_MORE);
        qmp_framer_deinit(&framer);
        qmp_framer_deinit(&framer);
}
END_TEST

/* --- size --- */

START_TEST(text_of_the_limit_passes_and_a_byte_more_does_not)
{
        static const char fits[] = "{\"a\":\"0123456789\"}", not [] = "{\"a\":\"01234567890\"}";

        for (size_t chunk = 1; chunk < sizeof(not ); chunk++) {
                qmp_framer_reset(&framer);
                framer.max_text = sizeof(fits) - 1;
                ck_assert_int_eq(feed(fits, sizeof(fits) - 1, chunk, NULL), QMP_FRAMER_MORE);
                ck_assert_int_eq(feed(fits, sizeof(fits) - 1, chunk, NULL), QMP_FRAMER_MORE);
                ck_assert_int_eq(feed(not, sizeof(not ) - 1, chunk, NULL), -EMSGSIZE);
        }
}
END_TEST

START_TEST(many_small_values_together_may_be_longer_than_the_limit)
{
        char text[4001];

        for (int i = 0; i < 2000; i++)
                memcpy(text + 2 * i, "{}", 2);
        framer.max_text = 2;
        ck_assert_int_eq(feed(text, 4000, SIZE_MAX, NULL), QMP_FRAMER_MORE);
}
END_TEST

START_TEST(a_string_without_end_is_refused_at_the_limit)
{
        char text[1000];

        memset(text, 'x', sizeof(text));
        memcpy(text, "{\"", 2);
        framer.max_text = 100000;
        for (int i = 0; i < 100; i++)
                ck_assert_int_eq(feed(text, i ? 1000 : 999, SIZE_MAX, NULL), QMP_FRAMER_MORE);
        memset(text, 'x', sizeof(text));
        ck_assert_int_eq(feed(text, 1000, SIZE_MAX, NULL), -EMSGSIZE);
}
END_TEST

START_TEST(a_reply_of_64_mib_passes_and_its_memory_is_given_back)
{
        const size_t size = 64 * 1024 * 1024;
        _cleanup_(qmp_freep) char *piece = malloc(65536);
        struct json_object *value = NULL;

        memset(piece, 'x', 65536);
        put("{\"return\":\"", 11);
        for (size_t i = 0; i < size / 65536; i++) {
                put(piece, 65536);
                ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_MORE);
        }
        put("\"}\r\n", 4);
        ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_VALUE);
        ck_assert_uint_eq(json_object_get_string_len(json_object_object_get(value, "return")), size);
        json_object_put(value);
        value = NULL;
        ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_MORE);
        json_object_put(one_value("{}"));
        ck_assert_uint_le(framer.size, 64 * 1024);
}
END_TEST

START_TEST(reset_gives_large_memory_back)
{
        _cleanup_(qmp_freep) char *piece = malloc(1 << 20);

        memset(piece, 'x', 1 << 20);
        put("{\"", 2);
        put(piece, 1 << 20);
        qmp_framer_reset(&framer);
        ck_assert_uint_le(framer.size, 64 * 1024);
}
END_TEST

/* --- depth --- */

/* {"a":[[[…1…]]]} or {"a":{"a":{"a":…1…}}} of @depth levels, the outer object being the first. */
static char *nested(size_t depth, bool objects)
{
        const char *open = objects ? "{\"a\":" : "[";
        char *text = malloc(depth * 8 + 32), *p = text;

        p += sprintf(p, "{\"a\":");
        for (size_t i = 1; i < depth; i++)
                p += sprintf(p, "%s", open);
        p += sprintf(p, "1");
        for (size_t i = 1; i < depth; i++)
                p += sprintf(p, "%s", objects ? "}" : "]");
        sprintf(p, "}");
        return text;
}

START_TEST(nesting_up_to_1024_levels_passes)
{
        for (size_t depth = 1022; depth <= 1024; depth++) {
                _cleanup_(qmp_freep) char *text = nested(depth, _i);
                _cleanup_(qmp_freep) char *out = NULL;
                size_t n = strlen(text);

                ck_assert_int_eq(feed(text, n, SIZE_MAX, &out), QMP_FRAMER_MORE);
                ck_assert_uint_eq(strlen(out), n + 1);
                ck_assert_mem_eq(out, text, n);
        }
}
END_TEST

START_TEST(nesting_of_1025_levels_is_refused)
{
        _cleanup_(qmp_freep) char *text = nested(1025, _i);

        ck_assert_int_eq(feed_text(text), -ELOOP);
}
END_TEST

START_TEST(too_deep_is_refused_at_the_bracket_that_is_too_much)
{
        ck_assert_int_eq(feed_text("{\"a\":"), QMP_FRAMER_MORE);
        for (int i = 0; i < 1023; i++)
                ck_assert_int_eq(feed_text("["), QMP_FRAMER_MORE);
        ck_assert_int_eq(feed_text("["), -ELOOP);
}
END_TEST

START_TEST(brackets_in_strings_are_no_depth)
{
        char text[4100];

        memset(text, '[', sizeof(text));
        memcpy(text, "{\"", 2);
        strcpy(text + 4090, "\":1}");
        ck_assert_int_eq(feed_text(text), QMP_FRAMER_MORE);
}
END_TEST

START_TEST(depth_starts_anew_with_each_value)
{
        for (int i = 0; i < 2000; i++)
                ck_assert_int_eq(feed_text("{\"a\":[[[]]]}"), QMP_FRAMER_MORE);
}
END_TEST

/* --- the tree --- */

static size_t peak_rss(void)
{
        struct rusage usage;

        getrusage(RUSAGE_SELF, &usage);
        return (size_t)usage.ru_maxrss * 1024;
}

static const char *const bombs[] = { "[],", "{},", "[[],[],{}],", "1,", "\"\"," };

START_TEST(a_text_whose_tree_would_be_huge_is_refused_in_bounded_memory)
{
        const char *piece = bombs[_i];
        size_t n = strlen(piece), fed = 0, before = peak_rss();
        _cleanup_(qmp_freep) char *block = malloc(65536);
        size_t block_size = 65536 / n * n;
        int r;

        for (size_t i = 0; i < block_size; i += n)
                memcpy(block + i, piece, n);
        r = feed_text("{\"return\":[");
        while (r == QMP_FRAMER_MORE && fed < 60 * 1024 * 1024) {
                r = feed(block, block_size, SIZE_MAX, NULL);
                fed += block_size;
        }
        ck_assert_int_eq(r, -E2BIG);
        /* the text, its copy while growing, and the allocator's slack; not the GBs of the tree */
        ck_assert_uint_lt(peak_rss() - before, 320 * 1024 * 1024);
}
END_TEST

START_TEST(an_array_of_a_million_numbers_passes)
{
        _cleanup_(qmp_freep) char *block = malloc(2000);
        struct json_object *value = NULL;

        for (size_t i = 0; i < 2000; i += 2)
                memcpy(block + i, "7,", 2);
        put("{\"return\":[", 11);
        for (int i = 0; i < 1000; i++)
                put(block, 2000);
        put("7]}", 3);
        ck_assert_int_eq(qmp_framer_next(&framer, &value), QMP_FRAMER_VALUE);
        ck_assert_uint_eq(json_object_array_length(json_object_object_get(value, "return")), 1000001);
        json_object_put(value);
}
END_TEST

/* --- values --- */

/* These come out as they went in. */
static const char *const numbers[] = {
        "0",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775808",
        "9007199254740993",
        "0.1",
        "1.50",
        "99.90000000000001",
        "1e3",
        "-0.0",
        "1.7976931348623157e+308",
        "5e-324",
};

START_TEST(numbers_are_exact)
{
        _cleanup_(qmp_freep) char *text = NULL, *out = NULL, *expect = NULL;

        ck_assert_int_gt(asprintf(&text, "{\"a\":%s}", numbers[_i]), 0);
        ck_assert_int_gt(asprintf(&expect, "%s;", text), 0);
        ck_assert_int_eq(feed(text, strlen(text), SIZE_MAX, &out), QMP_FRAMER_MORE);
        ck_assert_str_eq(out, expect);
}
END_TEST

START_TEST(unsigned_numbers_keep_64_bits)
{
        struct json_object *value = one_value("{\"a\":18446744073709551615}");

        ck_assert(json_object_get_uint64(json_object_object_get(value, "a")) == UINT64_MAX);
        json_object_put(value);
}
END_TEST

START_TEST(escaped_nul_stays_in_the_string)
{
        struct json_object *value = one_value("{\"a\":\"b\\u0000c\"}"), *a = json_object_object_get(value, "a");

        ck_assert_int_eq(json_object_get_string_len(a), 3);
        ck_assert_mem_eq(json_object_get_string(a), "b\0c", 3);
        json_object_put(value);
}
END_TEST

/* --- what QEMU really said --- */

static void check_record(const char *name)
{
        struct fake_line *lines;
        size_t n;

        lines = fake_read_record(name, &n);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(qmp_freep) char *out = NULL, *expect = NULL;

                if (lines[i].direction != 'S' || !lines[i].json)
                        continue;
                ck_assert_int_gt(asprintf(&expect, "%s;",
                                          json_object_to_json_string_ext(lines[i].json, JSON_C_TO_STRING_PLAIN)),
                                 0);
                ck_assert_int_eq(feed(lines[i].text, strlen(lines[i].text), 7, &out), QMP_FRAMER_MORE);
                ck_assert_str_eq(out, expect);
        }
        fake_free_record(lines, n);
}

START_TEST(every_recorded_line_is_one_value)
{
        DIR *dir = opendir(TEST_DATA);
        struct dirent *entry;
        size_t n = 0;

        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir))) {
                const char *dot = strrchr(entry->d_name, '.');

                if (!dot || !streq(dot, ".txt"))
                        continue;
                check_record(entry->d_name);
                n++;
        }
        closedir(dir);
        ck_assert_uint_gt(n, 30);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(values_come_out_the_same_however_they_are_split, ARRAY_SIZE(streams)),
                TEST(ten_thousand_values_in_one_read),
                TEST(a_value_is_there_with_its_last_bracket),
                TEST(a_long_stream_arrives_in_order_and_takes_bounded_memory),
                TEST_EACH(what_is_not_json_is_refused, ARRAY_SIZE(not_json)),
                TEST(nul_outside_of_a_string_is_refused),
                TEST(nul_between_values_is_refused),
                TEST(nul_in_a_string_is_refused),
                TEST(nul_behind_a_value_does_not_hide_the_rest),
                TEST(refused_bytes_can_be_seen),
                TEST(refused_value_can_be_seen_whole),
                TEST(nothing_is_left_of_nothing),
                TEST(reset_forgets_half_a_value),
                TEST(reset_keeps_the_limit_of_the_text),
                TEST(deinit_works_twice_and_on_zeroes),
                TEST(text_of_the_limit_passes_and_a_byte_more_does_not),
                TEST(many_small_values_together_may_be_longer_than_the_limit),
                TEST(a_string_without_end_is_refused_at_the_limit),
                TEST(a_reply_of_64_mib_passes_and_its_memory_is_given_back),
                TEST(reset_gives_large_memory_back),
                TEST_EACH(nesting_up_to_1024_levels_passes, 2),
                TEST_EACH(nesting_of_1025_levels_is_refused, 2),
                TEST(too_deep_is_refused_at_the_bracket_that_is_too_much),
                TEST(brackets_in_strings_are_no_depth),
                TEST(depth_starts_anew_with_each_value),
                TEST_EACH(a_text_whose_tree_would_be_huge_is_refused_in_bounded_memory, ARRAY_SIZE(bombs)),
                TEST(an_array_of_a_million_numbers_passes),
                TEST_EACH(numbers_are_exact, ARRAY_SIZE(numbers)),
                TEST(unsigned_numbers_keep_64_bits),
                TEST(escaped_nul_stays_in_the_string),
                TEST(every_recorded_line_is_one_value),
        };

        return test_main("framer", tests, ARRAY_SIZE(tests), setup, teardown);
}
