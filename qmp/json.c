#include "json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* QEMU's own limit is 1024, for the whole command. */
#define DEPTH_MAX 1000

#define BLANKS " \t\r\n"

int qmp_invalid(char **ret_why, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        if (vasprintf(ret_why, format, args) < 0)
                *ret_why = NULL;
        va_end(args);
        return -EINVAL;
}

static void tokener_freep(struct json_tokener **tokener)
{
        if (*tokener)
                json_tokener_free(*tokener);
}

/* How many members the objects of the tree have. */
static size_t count_members(struct json_object *value)
{
        size_t n = 0;

        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        (void)key;
                        n += 1 + count_members(member);
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        n += count_members(json_object_array_get_idx(value, i));
        }
        return n;
}

/* A number's text: whether it is an integer that json-c would clamp. */
static bool is_clamped(const char *s, size_t size)
{
        char digits[24];

        for (size_t i = 0; i < size; i++)
                if (s[i] == '.' || s[i] == 'e' || s[i] == 'E')
                        return false;
        /* without leading zeros, which JSON has not */
        if (size >= sizeof(digits))
                return true;
        memcpy(digits, s, size);
        digits[size] = '\0';
        errno = 0;
        if (digits[0] == '-')
                (void)strtoll(digits, NULL, 10);
        else
                (void)strtoull(digits, NULL, 10);
        return errno == ERANGE;
}

static bool is_word(const char *s, size_t size)
{
        static const char *const words[] = { "true", "false", "null" };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strlen(words[i]) == size && strncmp(s, words[i], size) == 0)
                        return true;
        return false;
}

/* Looks at the text of a value that has been parsed for what the tree doesn't tell. */
static int check_text(const char *text, size_t size, struct json_object *value, char **ret_why)
{
        size_t colons = 0;

        for (size_t i = 0; i < size; i++) {
                if (text[i] == '"') {
                        for (i++; i < size && text[i] != '"'; i++)
                                i += text[i] == '\\';
                } else if (text[i] == ':') {
                        colons++;
                } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
                        size_t n = strspn(text + i, "-+.eE0123456789");

                        if (is_clamped(text + i, n))
                                return qmp_invalid(ret_why, "the integer %.*s is out of range", n > 40 ? 40 : (int)n,
                                                   text + i);
                        i += n - 1;
                } else if (text[i] >= 'A' && text[i] <= 'z' && text[i] != '[' && text[i] != ']') {
                        size_t n = strcspn(text + i, ",]} \t\r\n");

                        /* json-c takes NaN and Infinity, too */
                        if (!is_word(text + i, n))
                                return qmp_invalid(ret_why, "not JSON: %.*s", n > 40 ? 40 : (int)n, text + i);
                        i += n - 1;
                }
        }
        if (colons != count_members(value))
                return qmp_invalid(ret_why, "a key occurs twice in one JSON object");
        return 0;
}

int qmp_json_next(const char *text, size_t *offset, struct json_object **ret_value, char **ret_why)
{
        _cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        size_t start = *offset + strspn(text + *offset, BLANKS), used;
        enum json_tokener_error error;
        int r;

        *ret_why = NULL;
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener,
                               JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
        /* with its NUL, which ends a number */
        value = json_tokener_parse_ex(tokener, text + start, (int)strlen(text + start) + 1);
        error = json_tokener_get_error(tokener);
        used = json_tokener_get_parse_end(tokener);
        if (error == json_tokener_continue || error == json_tokener_error_parse_eof ||
            (error == json_tokener_success && used > strlen(text + start)))
                return qmp_invalid(ret_why, "the JSON value is not complete");
        if (error != json_tokener_success)
                return qmp_invalid(ret_why, "not JSON, at character %zu: %s", start + used + 1,
                                   json_tokener_error_desc(error));
        r = check_text(text + start, used, value, ret_why);
        if (r < 0)
                return r;
        *offset = start + used + strspn(text + start + used, BLANKS);
        *ret_value = take_ptr(value);
        return 0;
}

int qmp_json_parse(const char *text, struct json_object **ret_value, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        size_t offset = 0;
        int r = qmp_json_next(text, &offset, &value, ret_why);

        if (r < 0)
                return r;
        if (text[offset])
                return qmp_invalid(ret_why, "more behind the JSON value, at character %zu", offset + 1);
        *ret_value = take_ptr(value);
        return 0;
}
