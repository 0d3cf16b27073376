#include "fs/util/render.h"

#include <errno.h>
#include <stdio.h>

#include "qmp/jsonc.h"
#include "qmp/message.h"
#include "qmp/utf8.h"
#include "fs/util/sha256.h"

/* Whether the character there, of so many bytes, can stay as it is. Control characters are also U+0080 to U+009F. */
static bool is_plain(const unsigned char *s, size_t length)
{
        if (length == 1)
                return *s >= 0x20 && *s != 0x7f && *s != '/' && *s != '%';
        return length > 2 || (length == 2 && (s[0] != 0xc2 || s[1] >= 0xa0));
}

#define MARK_SIZE (2 + SHA256_HEX_SIZE)

/* Cuts the name at @cut and appends the digest of the whole string. */
static void close_name(char *name, size_t cut, const char *whole, size_t size)
{
        memcpy(name + cut, "%~", 2);
        sha256_hex(whole, size, name + cut + 2);
}

char *render_name(const char *string, size_t size)
{
        char name[RENDER_NAME_MAX + 1];
        size_t n = 0, cut = 0;
        bool all_dots = size == 1 || size == 2;

        if (size == 0)
                return strdup("%empty");
        for (size_t i = 0; i < size; i++)
                all_dots = all_dots && string[i] == '.';
        for (size_t i = 0; i < size;) {
                const unsigned char *s = (const unsigned char *)string + i;
                size_t length = qmp_utf8_length(string + i, size - i);
                bool plain = is_plain(s, length) && !all_dots;
                size_t wants = plain ? length : 3;

                /* where it can be cut, should it turn out too long */
                if (n + MARK_SIZE <= RENDER_NAME_MAX)
                        cut = n;
                if (n + wants > RENDER_NAME_MAX) {
                        close_name(name, cut, string, size);
                        return strdup(name);
                }
                if (plain)
                        memcpy(name + n, s, length);
                else
                        snprintf(name + n, 4, "%%%02X", *s);
                n += wants;
                i += plain ? length : 1;
        }
        name[n] = '\0';
        return strdup(name);
}

char *render_name_again(const char *name, unsigned nth)
{
        char again[RENDER_NAME_MAX + 1], suffix[16];
        size_t size = strlen(name), cut = size;

        snprintf(suffix, sizeof(suffix), "%%~%u", nth);
        if (size + strlen(suffix) <= RENDER_NAME_MAX) {
                memcpy(again, name, size);
        } else {
                cut = RENDER_NAME_MAX - strlen(suffix) - MARK_SIZE;
                /* not within a character, nor within a %XX */
                while (cut > 0 && ((unsigned char)name[cut] & 0xc0) == 0x80)
                        cut--;
                for (size_t i = 1; i <= 2 && i <= cut; i++)
                        if (name[cut - i] == '%')
                                cut -= i;
                memcpy(again, name, cut);
                close_name(again, cut, name, size);
                cut += MARK_SIZE;
        }
        memcpy(again + cut, suffix, strlen(suffix) + 1);
        return strdup(again);
}

static int render(struct json_object *value, int flags, const char *end, char **ret_text, size_t *ret_size)
{
        size_t size, n_end = strlen(end);
        const char *json;
        char *text;
        int r;

        /* json-c breaks the line even in empty structures */
        if ((json_object_is_type(value, json_type_object) && json_object_object_length(value) == 0) ||
            (json_object_is_type(value, json_type_array) && json_object_array_length(value) == 0))
                flags = JSON_C_TO_STRING_PLAIN;
        r = qmp_json_text(value, flags | JSON_C_TO_STRING_NOSLASHESCAPE, &json, &size);
        if (r < 0)
                return r;
        text = malloc(size + n_end + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, json, size);
        memcpy(text + size, end, n_end + 1);
        *ret_text = text;
        *ret_size = size + n_end;
        return 0;
}

int render_value(struct json_object *value, char **ret_text, size_t *ret_size)
{
        size_t size;
        char *text;

        /* numbers keep the digits that QEMU sent: integers are exact, and json-c remembers the text of a float */
        if (!json_object_is_type(value, json_type_string))
                return render_json(value, ret_text, ret_size);
        size = (size_t)json_object_get_string_len(value);
        text = malloc(size + 2);
        if (!text)
                return -ENOMEM;
        memcpy(text, json_object_get_string(value), size);
        memcpy(text + size, "\n", 2);
        *ret_text = text;
        *ret_size = size + 1;
        return 0;
}

/* The bytes of indentation that pretty JSON has; stops counting beyond the limit. */
static size_t indentation(struct json_object *value, size_t depth)
{
        size_t total = 0;

        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        (void)key;
                        if (total > RENDER_INDENT_MAX)
                                break;
                        total += 2 * depth + indentation(member, depth + 1);
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value) && total <= RENDER_INDENT_MAX; i++)
                        total += 2 * depth + indentation(json_object_array_get_idx(value, i), depth + 1);
        }
        return total + 2 * depth;
}

int render_json(struct json_object *value, char **ret_text, size_t *ret_size)
{
        int flags = indentation(value, 0) > RENDER_INDENT_MAX ? JSON_C_TO_STRING_SPACED
                                                              : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;

        return render(value, flags, "\n", ret_text, ret_size);
}

int render_json_line(struct json_object *value, char **ret_text, size_t *ret_size)
{
        return render(value, JSON_C_TO_STRING_PLAIN, "", ret_text, ret_size);
}

int render_command(const char *command, struct json_object *arguments, FILE *out)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t size;
        int r = qmp_command_format(command, arguments, NULL, &text, &size);

        if (r == 0)
                fprintf(out, "%s\n", text);
        return r;
}

void render_time(const struct timespec *ts, char buffer[RENDER_TIME_SIZE])
{
        struct tm tm;
        size_t n;

        gmtime_r(&ts->tv_sec, &tm);
        n = strftime(buffer, RENDER_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(buffer + n, RENDER_TIME_SIZE - n, ".%03ldZ", ts->tv_nsec / 1000000);
}
