#include "qmp/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "qmp/jsonc.h"
#include "qmp/utf8.h"

#define BLANKS " \t\r\n"

/* Bytes of json-c's tree per byte of text, for a list of one-digit numbers. */
#define TREE_PER_BYTE 60

#undef qmp_invalid
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

/* The number of members of all objects in the tree. */
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

/* Whether QEMU accepts the code point: surrogates and Unicode's noncharacters are rejected. */
static bool is_character(uint32_t c)
{
        return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) && (c < 0xfdd0 || c > 0xfdef) && (c & 0xfffe) != 0xfffe;
}

/* The length of the character at @text; 0 if it is not valid. */
static size_t character_length(const char *text)
{
        size_t n = qmp_utf8_length(text, strnlen(text, 4));
        uint32_t c = (unsigned char)*text & (0x7fu >> n);

        for (size_t i = 1; i < n; i++)
                c = c << 6 | (text[i] & 0x3f);
        return n < 2 || is_character(c) ? n : 0;
}

int qmp_utf8_check(const char *text, char **ret_why)
{
        for (size_t i = 0, n; text[i]; i += n) {
                n = character_length(text + i);
                if (n == 0)
                        return qmp_invalid(ret_why, "invalid UTF-8 at byte %zu", i + 1);
        }
        return 0;
}

/* Whether a text that json-c accepts as a number is a JSON number. */
static bool is_number(const char *s, size_t size)
{
        static const char digits[] = "0123456789";
        const char *end = s + size;
        size_t n;

        s += *s == '-';
        n = strspn(s, digits);
        if (n == 0 || (*s == '0' && n > 1))
                return false;
        s += n;
        if (s < end && *s == '.') {
                n = strspn(++s, digits);
                s += n;
        }
        if (n > 0 && s < end && (*s == 'e' || *s == 'E')) {
                s += 1 + (s[1] == '-' || s[1] == '+');
                n = strspn(s, digits);
                s += n;
        }
        return n > 0 && s == end;
}

/* Whether the number is an integer that json-c would clamp. */
static bool is_clamped(const char *s, size_t size)
{
        char digits[24];

        for (size_t i = 0; i < size; i++)
                if (s[i] == '.' || s[i] == 'e' || s[i] == 'E')
                        return false;
        /* JSON has no leading zeros */
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

/* Reads four hexadecimal digits, which json-c has already checked. */
static uint32_t read_hex(const char *s)
{
        char digits[5] = { s[0], s[1], s[2], s[3] };

        return (uint32_t)strtoul(digits, NULL, 16);
}

/* The length of an escape \uXXXX, or of a surrogate pair of them; 0 if it is not a valid character. */
static size_t escape_length(const char *s, uint32_t *ret_c)
{
        uint32_t c = read_hex(s + 2);

        if (c >= 0xd800 && c <= 0xdbff && s[6] == '\\' && s[7] == 'u') {
                uint32_t low = read_hex(s + 8);

                if (low < 0xdc00 || low > 0xdfff)
                        return 0;
                *ret_c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                return is_character(*ret_c) ? 12 : 0;
        }
        *ret_c = c;
        return is_character(c) ? 6 : 0;
}

/* Checks the string at *at, and advances *at to its closing quote. */
static int check_string(const char *text, size_t *at, char **ret_why)
{
        bool has_nul = false;
        size_t i = *at + 1, n;

        for (; text[i] != '"'; i += n) {
                uint32_t c = (unsigned char)text[i];

                if (c < 0x20)
                        return qmp_invalid(ret_why,
                                           "invalid JSON: a string contains a control character, which must be "
                                           "written as \\u%04x",
                                           (unsigned)c);
                if (c != '\\')
                        n = character_length(text + i);
                else
                        n = text[i + 1] == 'u' ? escape_length(text + i, &c) : 2;
                if (n == 0 && text[i] == '\\')
                        return qmp_invalid(ret_why, "invalid JSON: an escape in a string is not a Unicode character");
                if (n == 0)
                        return qmp_invalid(ret_why, "invalid UTF-8 in a string");
                has_nul = has_nul || c == 0;
        }
        *at = i;
        /* json-c ends a key there */
        if (has_nul && text[i + 1 + strspn(text + i + 1, BLANKS)] == ':')
                return qmp_invalid(ret_why, "a key contains \\u0000");
        return 0;
}

/* Checks the text of a parsed value for errors that json-c's tree does not show. @at: the offset of the text. */
static int check_text(const char *text, size_t size, size_t at, struct json_object *value, char **ret_why)
{
        size_t colons = 0;

        for (size_t i = 0; i < size; i++) {
                if (text[i] == '"') {
                        int r = check_string(text, &i, ret_why);

                        if (r < 0)
                                return r;
                } else if (text[i] == ':') {
                        colons++;
                } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
                        size_t n = strspn(text + i, "-+.eE0123456789");

                        /* json-c also accepts 1. and -01, and below NaN and Infinity */
                        if (!is_number(text + i, n))
                                return qmp_invalid(ret_why, "invalid JSON at character %zu: malformed number",
                                                   at + i + 1);
                        if (is_clamped(text + i, n))
                                return qmp_invalid(ret_why, "the integer at character %zu is out of range",
                                                   at + i + 1);
                        i += n - 1;
                } else if (!strchr(BLANKS "{}[],", text[i])) {
                        size_t n = strcspn(text + i, ",]} \t\r\n");

                        if (!is_word(text + i, n))
                                return qmp_invalid(ret_why, "invalid JSON at character %zu: unknown word",
                                                   at + i + 1);
                        i += n - 1;
                }
        }
        if (colons != count_members(value))
                return qmp_invalid(ret_why, "a key occurs twice in a JSON object");
        return 0;
}

/* qmp_json_next(), and whether the text may go on. */
static int next(const char *text, size_t *offset, struct json_object **ret_value, bool *ret_incomplete,
                char **ret_why)
{
        _cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(QMP_JSON_DEPTH_MAX);
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        size_t start = *offset + strspn(text + *offset, BLANKS), rest, used;
        enum json_tokener_error error;
        int r;

        *ret_why = NULL;
        *ret_incomplete = false;
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener,
                               JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
        /* test once whether there is memory for all values of the text */
        rest = strlen(text + start);
        r = qmp_json_reserve(tokener, rest, *offset == 0 ? TREE_PER_BYTE * rest : 0);
        if (r < 0)
                return r;
        /* including the NUL, which terminates a number */
        value = json_tokener_parse_ex(tokener, text + start, (int)rest + 1);
        error = json_tokener_get_error(tokener);
        used = json_tokener_get_parse_end(tokener);
        if (error == json_tokener_continue || error == json_tokener_error_parse_eof ||
            (error == json_tokener_success && used > rest)) {
                *ret_incomplete = true;
                return qmp_invalid(ret_why, "the JSON value is incomplete");
        }
        if (error != json_tokener_success && qmp_json_lacks_memory(tokener))
                return -ENOMEM;
        if (error != json_tokener_success)
                return qmp_invalid(ret_why, "invalid JSON at character %zu: %s", start + used + 1,
                                   json_tokener_error_desc(error));
        /* json-c does not report this as an error */
        if (!value && text[start] != 'n')
                return -ENOMEM;
        r = check_text(text + start, used, start, value, ret_why);
        if (r < 0)
                return r;
        *offset = start + used + strspn(text + start + used, BLANKS);
        *ret_value = take_ptr(value);
        return 0;
}

int qmp_json_next(const char *text, size_t *offset, struct json_object **ret_value, char **ret_why)
{
        bool incomplete;

        return next(text, offset, ret_value, &incomplete, ret_why);
}

int qmp_json_check(const char *text)
{
        size_t offset = strspn(text, BLANKS);

        while (text[offset] == '{' || text[offset] == '[') {
                _cleanup_(qmp_json_putp) struct json_object *value = NULL;
                _cleanup_(qmp_freep) char *why = NULL;
                bool incomplete;
                int r = next(text, &offset, &value, &incomplete, &why);

                if (r < 0)
                        return incomplete ? QMP_JSON_INCOMPLETE : r;
        }
        return text[offset] ? -EINVAL : 0;
}

int qmp_json_parse(const char *text, struct json_object **ret_value, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        size_t offset = 0;
        int r = qmp_json_next(text, &offset, &value, ret_why);

        if (r < 0)
                return r;
        if (text[offset])
                return qmp_invalid(ret_why, "trailing data after the JSON value, at character %zu", offset + 1);
        *ret_value = take_ptr(value);
        return 0;
}

static bool is_deeper(struct json_object *value, unsigned levels)
{
        if (levels == 0)
                return true;
        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        (void)key;
                        if (is_deeper(member, levels - 1))
                                return true;
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        if (is_deeper(json_object_array_get_idx(value, i), levels - 1))
                                return true;
        }
        return false;
}

bool qmp_json_is_too_deep(struct json_object *value)
{
        return is_deeper(value, QMP_JSON_DEPTH_MAX);
}
