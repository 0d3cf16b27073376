#include "fs/util/render.h"

#include <stdio.h>

#include "fs/util/sha256.h"
#include "tests/lib/test.h"
#include "qmp/message.h"

/* Of ck_assert() libcheck remembers each: too slow for what is checked a million times. */

/* --- names ------------------------------------------------------------------------------------------------------- */

#define S(string) string, sizeof(string) - 1

static const struct {
        const char *string;
        size_t size;
        const char *name;
} names[] = {
        { S("NVME1"), "NVME1" },
        { S("a b"), "a b" },
        { S("a/b"), "a%2Fb" },
        { S("../../etc"), "..%2F..%2Fetc" },
        { S(""), "%empty" },
        { S("%empty"), "%25empty" },
        { S("."), "%2E" },
        { S(".."), "%2E%2E" },
        { S("..."), "..." },
        { S(".a"), ".a" },
        { S("%"), "%25" },
        { S("%2F"), "%252F" },
        { S("%~"), "%25~" },
        { S("\n"), "%0A" },
        { S("a\0b"), "a%00b" },
        { S("\0"), "%00" },
        { S("\x7f"), "%7F" },
        { S("\x1f "), "%1F " },
        { S("\t\x1b[1m"), "%09%1B[1m" },
        { S("\302\200\302\2332J\302\237"), "%C2%80%C2%9B2J%C2%9F" },
        { S("\302\240\302\277"), "\302\240\302\277" },
        { S("-rf"), "-rf" },
        { S("#block165"), "#block165" },
        { S("device[0]"), "device[0]" },
        { S("\\"), "\\" },
        { S("\303\251"), "\303\251" },
        { S("\342\202\254"), "\342\202\254" },
        { S("\360\237\230\200"), "\360\237\230\200" },
        { S("\364\217\277\277"), "\364\217\277\277" },
        /* no UTF-8: alone, cut, overlong, a surrogate, beyond Unicode */
        { S("\200"), "%80" },
        { S("\303"), "%C3" },
        { S("\303("), "%C3(" },
        { S("\342\202"), "%E2%82" },
        { S("\300\200"), "%C0%80" },
        { S("\301\277"), "%C1%BF" },
        { S("\340\200\200"), "%E0%80%80" },
        { S("\360\200\200\200"), "%F0%80%80%80" },
        { S("\355\240\200"), "%ED%A0%80" },
        { S("\364\220\200\200"), "%F4%90%80%80" },
        { S("\365\200\200\200"), "%F5%80%80%80" },
        { S("\377\376"), "%FF%FE" },
        { S("\303\251\303"), "\303\251%C3" },
};

START_TEST(name_of_a_string)
{
        _cleanup_(qmp_freep) char *name = render_name(names[_i].string, names[_i].size);

        ck_assert_str_eq(name, names[_i].name);
}
END_TEST

static void assert_is_legal(const char *name)
{
        size_t n = strlen(name);

        CHECK(n > 0);
        CHECK(n <= 255);
        CHECK(!streq(name, ".") && !streq(name, ".."));
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)name[i];

                CHECK(c >= 0x20 && c != 0x7f && c != '/');
        }
}

/* The string that a name was made of; false for those that were cut. */
static bool decode(const char *name, char *ret_string, size_t *ret_size)
{
        size_t n = 0;

        if (streq(name, "%empty")) {
                *ret_size = 0;
                return true;
        }
        while (*name) {
                unsigned c;

                if (*name != '%') {
                        ret_string[n++] = *name++;
                        continue;
                }
                if (name[1] == '~')
                        return false;
                CHECK(sscanf(name, "%%%2X", &c) == 1);
                ret_string[n++] = (char)c;
                name += 3;
        }
        *ret_size = n;
        return true;
}

START_TEST(names_are_legal_and_tell_their_string)
{
        static const char *const pieces[] = {
                "a",    "/", "%",  ".",   "\n", "\x7f", "~", "\303\251", "\303", "\251", "2", "F", "\360\237\230\200",
                "\xff", "e", "%~", "%2F", " "
        };
        char string[4096], back[4096];

        srandom(1);
        for (unsigned round = 0; round < 20000; round++) {
                size_t size = 0, n = (size_t)random() % 100, back_size;
                _cleanup_(qmp_freep) char *name = NULL;

                for (size_t i = 0; i < n; i++) {
                        if (random() % 8 == 0) {
                                string[size++] = (char)random();
                        } else {
                                const char *piece = pieces[(size_t)random() % ARRAY_SIZE(pieces)];

                                memcpy(string + size, piece, strlen(piece));
                                size += strlen(piece);
                        }
                }
                name = render_name(string, size);
                assert_is_legal(name);
                if (!decode(name, back, &back_size))
                        continue;
                CHECK(back_size == size);
                CHECK(size == 0 || memcmp(back, string, size) == 0);
        }
}
END_TEST

START_TEST(all_short_strings_have_names_of_their_own)
{
        static const unsigned char bytes[] = { 0,   '\n', '%',  '.',  '/',  '2',  '5', 'E',
                                               '~', 'a',  0x7f, 0x80, 0xc3, 0xa9, 0xff };
        char string[3], back[16];

        for (size_t n = 1; n <= 3; n++) {
                for (size_t code = 0; code < 15 * 15 * 15; code++) {
                        _cleanup_(qmp_freep) char *name = NULL;
                        size_t size;

                        string[0] = (char)bytes[code % 15];
                        string[1] = (char)bytes[code / 15 % 15];
                        string[2] = (char)bytes[code / 225];
                        name = render_name(string, n);
                        assert_is_legal(name);
                        CHECK(decode(name, back, &size));
                        CHECK(size == n);
                        CHECK(memcmp(back, string, n) == 0);
                }
        }
}
END_TEST

START_TEST(long_names_are_cut_between_characters)
{
        enum { MARK = 2 + 64 };
        /* 1: bytes of an "a", 2: of "é", 3: %XX, 4: four bytes */
        static const char *const units[] = { "a", "\303\251", "/", "\360\237\230\200" };
        char string[2001], hex[SHA256_HEX_SIZE + 1];

        for (size_t u = 0; u < ARRAY_SIZE(units); u++) {
                size_t unit = strlen(units[u]), wants = streq(units[u], "/") ? 3 : unit;

                for (size_t n = 1; n * unit < 1000; n++) {
                        _cleanup_(qmp_freep) char *name = NULL, *other = NULL;

                        for (size_t i = 0; i < n; i++)
                                memcpy(string + i * unit, units[u], unit);
                        name = render_name(string, n * unit);
                        assert_is_legal(name);
                        if (n * wants <= RENDER_NAME_MAX) {
                                ck_assert_uint_eq(strlen(name), n * wants);
                                continue;
                        }
                        /* cut: as much as fits, a mark, the digest of the whole */
                        ck_assert_uint_gt(strlen(name), RENDER_NAME_MAX - 4);
                        ck_assert(startswith(name + strlen(name) - MARK, "%~"));
                        sha256_hex(string, n * unit, hex);
                        ck_assert_str_eq(name + strlen(name) - 64, hex);
                        ck_assert_uint_eq((strlen(name) - MARK) % wants, 0);
                        /* of another end another name */
                        string[n * unit - 1] = 'b';
                        other = render_name(string, n * unit);
                        ck_assert_str_ne(name, other);
                        ck_assert(strncmp(name, other, strlen(name) - MARK) == 0);
                }
        }
}
END_TEST

START_TEST(equal_names_are_numbered)
{
        static const char *const some[] = { "d", "%empty", "d%~2" };
        static const unsigned nths[] = { 2, 3, 10, 99999, UINT32_MAX };
        char whole[256];

        for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(nths); j++) {
                        _cleanup_(qmp_freep) char *again = render_name_again(some[i], nths[j]), *wanted = NULL;

                        ck_assert_int_gt(asprintf(&wanted, "%s%%~%u", some[i], nths[j]), 0);
                        ck_assert_str_eq(again, wanted);
                }
        }
        /* no string has such a name */
        for (size_t fill = 180; fill <= 255; fill++) {
                _cleanup_(qmp_freep) char *a = NULL, *b = NULL, *c = NULL;

                memset(whole, 'x', fill);
                whole[fill] = '\0';
                a = render_name_again(whole, 2);
                c = render_name_again(whole, 3);
                whole[fill - 1] = 'y';
                b = render_name_again(whole, 2);
                assert_is_legal(a);
                ck_assert(strlen(a) >= 3 && streq(a + strlen(a) - 3, "%~2"));
                ck_assert_str_ne(a, b);
                ck_assert_str_ne(a, c);
        }
}
END_TEST

START_TEST(numbered_names_are_legal_wherever_they_are_cut)
{
        static const char *const units[] = { "a", "\303\251", "/", "\360\237\230\200", "%", "\xff" };
        char string[1000];

        for (size_t u = 0; u < ARRAY_SIZE(units); u++) {
                for (size_t lead = 0; lead < 6; lead++) {
                        _cleanup_(qmp_freep) char *name = NULL, *again = NULL, *rendered = NULL;
                        size_t size = lead;
                        const char *mark;

                        memset(string, 'x', lead);
                        while (size < 60 * strlen(units[u]) || size < 240) {
                                memcpy(string + size, units[u], strlen(units[u]));
                                size += strlen(units[u]);
                        }
                        name = render_name(string, size);
                        again = render_name_again(name, 4999);
                        assert_is_legal(again);
                        ck_assert(streq(again + strlen(again) - 6, "%~4999"));
                        /* what stays of the name is whole characters and whole %XX */
                        mark = strstr(again, "%~");
                        rendered = strndup(again, (size_t)(mark - again));
                        for (const char *p = rendered; *p; p++)
                                if (*p == '%')
                                        ck_assert(p[1] && p[2]);
                        if (u == 1 || u == 3) {
                                free(take_ptr(name));
                                name = render_name(rendered, strlen(rendered));
                                ck_assert_str_eq(name, rendered);
                        }
                }
        }
}
END_TEST

/* --- values ------------------------------------------------------------------------------------------------------ */

static const struct {
        const char *json, *text;
} values[] = {
        { "0", "0\n" },
        { "-1", "-1\n" },
        { "18446744073709551615", "18446744073709551615\n" },
        { "9223372036854775808", "9223372036854775808\n" },
        { "9223372036854775807", "9223372036854775807\n" },
        { "-9223372036854775808", "-9223372036854775808\n" },
        { "1.5", "1.5\n" },
        { "1.50", "1.50\n" },
        { "0.1", "0.1\n" },
        { "1e3", "1e3\n" },
        { "123456789012345.678901", "123456789012345.678901\n" },
        { "-0.0", "-0.0\n" },
        { "true", "true\n" },
        { "false", "false\n" },
        { "null", "null\n" },
        { "\"\"", "\n" },
        { "\"a/b \\\"c\\\"\"", "a/b \"c\"\n" },
        { "\"two\\nlines\\n\"", "two\nlines\n\n" },
        { "\"\\u00e9\"", "\303\251\n" },
        { "[1]", "[\n  1\n]\n" },
        { "{\"a\": {\"b\": \"c/d\"}}", "{\n  \"a\": {\n    \"b\": \"c/d\"\n  }\n}\n" },
};

START_TEST(value)
{
        /* null is NULL to json-c */
        struct json_object *json = json_tokener_parse(values[_i].json);
        _cleanup_(qmp_freep) char *text = NULL;
        size_t size;

        ck_assert_int_eq(render_value(json, &text, &size), 0);
        ck_assert_str_eq(text, values[_i].text);
        ck_assert_uint_eq(size, strlen(text));
        json_object_put(json);
}
END_TEST

START_TEST(string_with_nul_is_whole)
{
        struct json_object *json = json_tokener_parse("\"a\\u0000b\"");
        _cleanup_(qmp_freep) char *text = NULL;
        size_t size;

        ck_assert_int_eq(render_value(json, &text, &size), 0);
        ck_assert_uint_eq(size, 4);
        ck_assert_mem_eq(text, "a\0b\n", 5);
        json_object_put(json);
}
END_TEST

START_TEST(json_is_pretty_or_on_one_line)
{
        struct json_object *json = json_tokener_parse("{\"s\": \"a\\nb/c\", \"l\": [1, 2], \"n\": null}");
        _cleanup_(qmp_freep) char *pretty = NULL, *line = NULL, *null = NULL, *string = NULL;
        struct json_object *text = json_object_new_string("x");
        size_t size;

        ck_assert_int_eq(render_json(json, &pretty, &size), 0);
        ck_assert_str_eq(pretty, "{\n  \"s\": \"a\\nb/c\",\n  \"l\": [\n    1,\n    2\n  ],\n  \"n\": null\n}\n");
        ck_assert_uint_eq(size, strlen(pretty));
        ck_assert_int_eq(render_json_line(json, &line, &size), 0);
        ck_assert_str_eq(line, "{\"s\":\"a\\nb/c\",\"l\":[1,2],\"n\":null}");
        ck_assert_uint_eq(size, strlen(line));
        ck_assert_int_eq(render_json(NULL, &null, &size), 0);
        ck_assert_str_eq(null, "null\n");
        /* as JSON a string keeps its quotes */
        ck_assert_int_eq(render_json(text, &string, &size), 0);
        ck_assert_str_eq(string, "\"x\"\n");
        json_object_put(text);
        json_object_put(json);
}
END_TEST

START_TEST(indentation_is_bounded)
{
        enum { DEPTH = 500, WIDTH = 40000 };
        char *json = malloc(2 * DEPTH + 2 * WIDTH + 1), *to = json;
        _cleanup_(qmp_freep) char *text = NULL;
        struct json_tokener *tokener = json_tokener_new_ex(DEPTH + 10);
        struct json_object *deep;
        size_t size;

        /* 40,000 numbers, each 1,000 blanks to the right */
        memset(to, '[', DEPTH);
        to += DEPTH;
        for (size_t i = 0; i < WIDTH; i++)
                to += sprintf(to, "1,");
        memset(--to, ']', DEPTH);
        to[DEPTH] = '\0';
        deep = json_tokener_parse_ex(tokener, json, (int)strlen(json) + 1);
        ck_assert_ptr_nonnull(deep);
        ck_assert_int_eq(render_json(deep, &text, &size), 0);
        ck_assert_uint_lt(size, RENDER_INDENT_MAX);
        ck_assert_uint_eq(size, strlen(text));
        ck_assert_int_eq(text[size - 1], '\n');
        json_object_put(deep);
        json_tokener_free(tokener);
        free(json);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(name_of_a_string, ARRAY_SIZE(names)),
                TEST(names_are_legal_and_tell_their_string),
                TEST(all_short_strings_have_names_of_their_own),
                TEST(long_names_are_cut_between_characters),
                TEST(equal_names_are_numbered),
                TEST(numbered_names_are_legal_wherever_they_are_cut),
                TEST_EACH(value, ARRAY_SIZE(values)),
                TEST(string_with_nul_is_whole),
                TEST(json_is_pretty_or_on_one_line),
                TEST(indentation_is_bounded),
        };

        return test_main("render", tests, ARRAY_SIZE(tests), NULL, NULL);
}
