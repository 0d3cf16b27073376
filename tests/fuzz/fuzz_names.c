/*
 * Strings of QEMU's as file names: always a legal name, and two strings never have the same.
 *
 * Input: a byte that says how often a name comes, two strings, with a newline between them.
 */
#include <stdio.h>

#include "fs/util/qdev.h"
#include "fs/util/render.h"
#include "qmp/message.h"
#include "fuzz.h"

static void check_legal(const char *name)
{
        size_t n = strlen(name);

        CHECK(n > 0);
        CHECK(n <= 255);
        CHECK(!streq(name, ".") && !streq(name, ".."));
        CHECK(!strchr(name, '/'));
        CHECK_MSG(is_utf8(name, n), "not UTF-8: %s", name);
        CHECK(is_printable(name, n, ""));
}

/* The value of a hexadecimal digit, of which names have the large ones only. */
static unsigned digit(char c)
{
        CHECK((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
        return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* What the name was made of, unless it was cut: then that begins with what stands before the mark. */
static void check_decodes(const char *name, const char *string, size_t size)
{
        size_t n = 0;

        if (streq(name, "%empty")) {
                CHECK(size == 0);
                return;
        }
        for (; *name; n++) {
                unsigned char c = (unsigned char)*name;

                CHECK(n < size);
                if (c == '%' && name[1] == '~') {
                        CHECK(strlen(name) == 2 + 64);
                        CHECK(strspn(name + 2, "0123456789abcdef") == 64);
                        return;
                }
                if (c == '%') {
                        c = (unsigned char)(16 * digit(name[1]) + digit(name[2]));
                        name += 2;
                }
                CHECK(c == (unsigned char)string[n]);
                name++;
        }
        CHECK(n == size);
}

static char *check_name(const char *string, size_t size)
{
        char *name = render_name(string, size), *again;

        CHECK(name);
        check_legal(name);
        check_decodes(name, string, size);
        again = render_name(string, size);
        CHECK(streq(name, again));
        free(again);
        return name;
}

/* The names of several objects of one name. */
static void check_again(const char *a, const char *b, unsigned nth)
{
        char *second = render_name_again(a, nth), *third = render_name_again(a, nth + 1),
             *other = render_name_again(b, nth);

        check_legal(second);
        check_legal(third);
        check_legal(other);
        CHECK(!streq(second, third));
        CHECK(streq(a, b) || !streq(second, other));
        /* nor is it any string's */
        CHECK(!streq(second, a) && !streq(second, b));
        check_legal(other);
        free(second);
        free(third);
        free(other);
}

static void check_line(const char *string)
{
        char *line = qmp_words(string);

        CHECK(line);
        CHECK(is_printable(line, strlen(line), ""));
        free(line);
}

/* Paths of devices, which are QEMU's strings, too. */
static void check_qdev(const char *string)
{
        char *path = NULL, *target = NULL;
        size_t size;

        (void)qdev_target_name(string, &size);
        (void)qdev_id(string);
        if (*string != '/' && !qdev_id_is_usable(string))
                return;
        path = qdev_path(string);
        target = qdev_target(string);
        CHECK(path && *path == '/');
        CHECK(target && strncmp(path, target, strlen(target)) == 0);
        if (qdev_is_pluggable(target)) {
                const char *id = qdev_id(target);

                CHECK(qdev_is_pluggable(path));
                CHECK(!id || !strchr(id, '/'));
                CHECK(*string == '/' || streq(id, string));
        } else {
                CHECK(streq(path, target));
        }
        free(path);
        free(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };
        unsigned nth = 2 + input_byte(&input);
        size_t size_a, size_b;
        char *a = input_until(&input, '\n', &size_a), *b = input_until(&input, '\n', &size_b);
        char *name_a = check_name(a, size_a), *name_b = check_name(b, size_b);
        bool same = size_a == size_b && memcmp(a, b, size_a) == 0;

        CHECK_MSG(streq(name_a, name_b) == same, "two strings have the name %s", name_a);
        check_again(name_a, name_b, nth > 200 ? nth * 20000000 : nth);
        check_line(a);
        check_qdev(a);
        free(a);
        free(b);
        free(name_a);
        free(name_b);
        return 0;
}
