/*
 * Converts scalars written by users.
 */
#include <errno.h>

#include "qmp/args_internal.h"
#include "qmp/json.h"
#include "qmp/number.h"

static struct json_object *new_integer(const struct qmp_integer *i)
{
        if (i->negative)
                return json_object_new_int64((int64_t)(0 - i->magnitude));
        return i->magnitude > INT64_MAX ? json_object_new_uint64(i->magnitude)
                                        : json_object_new_int64((int64_t)i->magnitude);
}

static const char *parse_int(const char *text, struct json_object **ret_value)
{
        struct qmp_integer i;
        const char *why = qmp_number_integer(text, &i);

        if (!why)
                *ret_value = new_integer(&i);
        return why;
}

static const char *parse_number(const char *text, struct json_object **ret_value)
{
        const char *why = parse_int(text, ret_value), *why_not_json;
        double number;

        if (!why)
                return NULL;
        why_not_json = qmp_number_json(text, &number);
        if (why_not_json)
                return strpbrk(text, ".eE") ? why_not_json : why;
        *ret_value = json_object_new_double(number);
        return NULL;
}

/* The words of QEMU's qapi_bool_parse(). */
static const char *parse_bool(const char *text, struct json_object **ret_value)
{
        static const char *const on[] = { "on", "true", "yes", "y" }, *const off[] = { "off", "false", "no", "n" };

        for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
                if (streq(text, on[i]) || streq(text, off[i])) {
                        *ret_value = json_object_new_boolean(streq(text, on[i]));
                        return NULL;
                }
        }
        return "it is not one of on, off, true, false, yes, no, y, n";
}

/* Converts a text where any value is accepted: to JSON if it is JSON, else to a string. */
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

const char *qmp_args_builtin(enum qmp_json_type type, const char *text, struct json_object **ret_value)
{
        switch (type) {
        case QMP_JSON_STRING:
                *ret_value = json_object_new_string(text);
                return NULL;
        case QMP_JSON_INT:
                return parse_int(text, ret_value);
        case QMP_JSON_NUMBER:
                return parse_number(text, ret_value);
        case QMP_JSON_BOOLEAN:
                return parse_bool(text, ret_value);
        case QMP_JSON_NULL:
                *ret_value = NULL;
                return streq(text, "null") ? NULL : "it is not the word null";
        case QMP_JSON_ANY:
                break;
        }
        *ret_value = guess(text);
        return NULL;
}

/* The names of integer types in QOM. "int" stands for any integer type, including uint64_t. */
static const struct integer_type {
        const char *name;
        unsigned bits;
        bool is_unsigned;
} integer_types[] = {
        { "int", 0, false },    { "size", 64, true },   { "int8", 8, false }, { "int16", 16, false },
        { "int32", 32, false }, { "int64", 64, false }, { "uint8", 8, true }, { "uint16", 16, true },
        { "uint32", 32, true }, { "uint64", 64, true }, { "u8", 8, true },    { "u16", 16, true },
        { "u32", 32, true },    { "u64", 64, true },
};

static const struct integer_type *find_integer_type(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(integer_types); i++)
                if (streq(name, integer_types[i].name))
                        return &integer_types[i];
        return NULL;
}

/* Returns NULL if the value is in the range of the type, else the error. */
static const char *check_range(const struct integer_type *type, const struct qmp_integer *i)
{
        uint64_t max = UINT64_MAX;

        if (type->is_unsigned && i->negative)
                return "it is negative";
        if (type->bits > 0)
                max >>= 64 - type->bits + !type->is_unsigned;
        return i->magnitude - i->negative > max ? "it is out of range" : NULL;
}

static int convert_integer(const struct integer_type *type, const char *text, struct json_object **ret_value,
                           char **ret_why)
{
        struct qmp_integer i = { 0 };
        const char *why = qmp_number_integer(text, &i);

        if (!why)
                why = check_range(type, &i);
        if (why)
                return qmp_invalid(ret_why, "expected an integer (%s), but %s", type->name, why);
        *ret_value = new_integer(&i);
        return *ret_value ? 0 : -ENOMEM;
}

int qmp_args_property(const char *type, const char *text, struct json_object **ret_value, char **ret_why)
{
        bool is_text = streq(type, "string") || streq(type, "str");
        bool is_json = *text == '"' || *text == '{' || *text == '[';
        const struct integer_type *integer = find_integer_type(type);
        const char *why = NULL, *what = "a boolean";

        *ret_why = NULL;
        if (qmp_utf8_check(text, ret_why) < 0)
                return -EINVAL;
        if (is_json && !is_text)
                return qmp_json_parse(text, ret_value, ret_why);
        if (integer)
                return convert_integer(integer, text, ret_value, ret_why);
        if (streq(type, "bool")) {
                why = parse_bool(text, ret_value);
        } else if (streq(type, "number") || streq(type, "double")) {
                what = "a number";
                why = parse_number(text, ret_value);
        } else {
                if (strchr(text, '\n'))
                        return qmp_invalid(ret_why, "a string must be on one line");
                *ret_value = json_object_new_string(text);
        }
        if (why)
                return qmp_invalid(ret_why, "expected %s, but %s", what, why);
        return *ret_value ? 0 : -ENOMEM;
}
