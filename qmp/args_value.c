/*
 * Scalars as people write them.
 */
#include <ctype.h>
#include <errno.h>

#include "args_internal.h"
#include "json.h"

/* As QEMU's qemu_strtosz(). */
bool qmp_args_int(const char *text, struct json_object **ret_value)
{
        static const char suffixes[] = "BKMGTPE";
        bool negative = *text == '-';
        const char *s = text + (negative || *text == '+'), *suffix;
        bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
        unsigned long long n;
        unsigned __int128 value;
        unsigned shift = 0;
        char *end;

        if (!isdigit((unsigned char)*s))
                return false;
        errno = 0;
        n = strtoull(s, &end, hex ? 16 : 10);
        if (errno)
                return false;
        value = n;
        if (!hex && *end) {
                unsigned __int128 fraction = 0, scale = 1;
                bool has_fraction = *end == '.';

                if (has_fraction)
                        for (end++; isdigit((unsigned char)*end); end++) {
                                if (scale >= 1000000000000000000u)
                                        return false;
                                fraction = fraction * 10 + (unsigned)(*end - '0');
                                scale *= 10;
                        }
                suffix = *end ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
                if (!suffix || end[1] || (has_fraction && suffix == suffixes))
                        return false;
                shift = 10 * (unsigned)(suffix - suffixes);
                value = (value << shift) + ((fraction << shift) + scale / 2) / scale;
        } else if (*end) {
                return false;
        }
        if (negative) {
                if (value > (unsigned __int128)INT64_MAX + 1)
                        return false;
                *ret_value = json_object_new_int64((int64_t)(0 - (uint64_t)value));
        } else {
                if (value > UINT64_MAX)
                        return false;
                *ret_value = value > INT64_MAX ? json_object_new_uint64((uint64_t)value)
                                               : json_object_new_int64((int64_t)value);
        }
        return true;
}

static bool parse_number(const char *text, struct json_object **ret_value)
{
        double number;
        char *end;

        if (qmp_args_int(text, ret_value))
                return true;
        number = strtod(text, &end);
        if (*end || end == text || text[strspn(text, "+-.eE0123456789")] || number - number != 0)
                return false;
        *ret_value = json_object_new_double(number);
        return true;
}

/* The words of QEMU's qapi_bool_parse(). */
static bool parse_bool(const char *text, struct json_object **ret_value)
{
        static const char *const on[] = { "on", "true", "yes", "y" }, *const off[] = { "off", "false", "no", "n" };

        for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
                if (streq(text, on[i]) || streq(text, off[i])) {
                        *ret_value = json_object_new_boolean(streq(text, on[i]));
                        return true;
                }
        }
        return false;
}

/* Where any value may be: JSON if it is JSON, else a string. */
static struct json_object *guess(const char *text)
{
        _cleanup_(qmp_freep) char *why = NULL;
        struct json_object *value;
        int r;

        r = qmp_json_parse(text, &value, &why);
        if (r == 0)
                return value;
        return r == -ENOMEM ? NULL : json_object_new_string(text);
}

bool qmp_args_builtin(enum qmp_json_type type, const char *text, struct json_object **ret_value)
{
        switch (type) {
        case QMP_JSON_STRING:
                *ret_value = json_object_new_string(text);
                return true;
        case QMP_JSON_INT:
                return qmp_args_int(text, ret_value);
        case QMP_JSON_NUMBER:
                return parse_number(text, ret_value);
        case QMP_JSON_BOOLEAN:
                return parse_bool(text, ret_value);
        case QMP_JSON_NULL:
                *ret_value = NULL;
                return streq(text, "null");
        case QMP_JSON_ANY:
                break;
        }
        *ret_value = guess(text);
        return true;
}

bool qmp_args_is_int(const char *type)
{
        static const char *const names[] = {
                "int",    "size",   "int8",   "int16", "int32", "int64", "uint8",
                "uint16", "uint32", "uint64", "u8",    "u16",   "u32",   "u64",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (streq(type, names[i]))
                        return true;
        return false;
}

int qmp_args_property(const char *type, const char *text, struct json_object **ret_value, char **ret_why)
{
        bool is_text = streq(type, "string") || streq(type, "str");
        bool is_json = *text == '"' || *text == '{' || *text == '[';

        *ret_why = NULL;
        if (qmp_utf8_check(text, ret_why) < 0)
                return -EINVAL;
        if (is_json && !is_text) {
                return qmp_json_parse(text, ret_value, ret_why);
        } else if (streq(type, "bool")) {
                if (!parse_bool(text, ret_value))
                        return qmp_invalid(ret_why, "expected a boolean (on, off), not '%.60s'", text);
        } else if (qmp_args_is_int(type)) {
                if (!qmp_args_int(text, ret_value))
                        return qmp_invalid(ret_why, "expected an integer (%s), not '%.60s'", type, text);
        } else if (streq(type, "number") || streq(type, "double")) {
                if (!parse_number(text, ret_value))
                        return qmp_invalid(ret_why, "expected a number, not '%.60s'", text);
        } else {
                *ret_value = json_object_new_string(text);
        }
        return *ret_value ? 0 : -ENOMEM;
}
