#include "fs/util/binding.h"

#include <assert.h>
#include <errno.h>

#include "fs/util/qdev.h"

/* The parts of one alternative, as places in the binding. */
struct alternative {
        const char *prefix, *path, *suffix; /* path: NULL if there is none */
        size_t prefix_size, path_size, suffix_size;
        bool is_qom; /* "{path/}" */
};

/* The size of the part without "{", "}" and "|"; strcspn() builds a table for each, and lists have thousands of records. */
static size_t text_size(const char *s)
{
        const char *end = s;

        while (*end && *end != '{' && *end != '}' && *end != '|')
                end++;
        return (size_t)(end - s);
}

/* Advances *at past the alternative and the '|' after it; *at is NULL after the last one. False: it is malformed. */
static bool next(const char **at, struct alternative *ret_alternative)
{
        struct alternative a = { .prefix = *at };
        const char *end = strchrnul(*at, '|');
        bool valid = end > *at;

        *at = *end ? end + 1 : NULL;
        a.prefix_size = text_size(a.prefix);
        a.suffix = a.prefix + a.prefix_size;
        if (*a.suffix == '{') {
                a.path = a.suffix + 1;
                a.path_size = text_size(a.path);
                a.suffix = a.path + a.path_size;
                valid = valid && *a.suffix == '}';
                a.suffix += valid;
                a.is_qom = a.path_size > 0 && a.path[a.path_size - 1] == '/';
                a.path_size -= a.is_qom;
        }
        a.suffix_size = (size_t)(end - a.suffix);
        *ret_alternative = a;
        return valid && text_size(a.suffix) == a.suffix_size;
}

static bool is_path(const char *path, size_t size)
{
        for (const char *name = path; name <= path + size;) {
                const char *dot = memchr(name, '.', (size_t)(path + size - name));
                size_t n = (size_t)((dot ? dot : path + size) - name);

                if (n == 0 || n > BINDING_NAME_MAX)
                        return false;
                name += n + 1;
        }
        return true;
}

enum sort { ANY, OF_DEVICES, PLAIN };

static bool check(const char *binding, enum sort sort)
{
        struct alternative a;

        if (!binding)
                return false;
        for (const char *at = binding; at;)
                if (!next(&at, &a) || (a.path && !is_path(a.path, a.path_size)) ||
                    (sort != ANY && (!a.path || a.prefix_size > 0 || a.suffix_size > 0)) ||
                    (sort == PLAIN && a.is_qom))
                        return false;
        return true;
}

bool binding_is_valid(const char *binding)
{
        return check(binding, ANY);
}

bool binding_is_plain(const char *binding)
{
        return check(binding, PLAIN);
}

bool binding_is_of_devices(const char *binding)
{
        return check(binding, OF_DEVICES);
}

static bool has_value(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return false;
        case json_type_string:
                return json_object_get_string_len(value) > 0;
        case json_type_int:
                return json_object_get_int64(value) >= 0;
        default:
                return true;
        }
}

/* Borrowed; NULL: no value. */
static struct json_object *find(const struct alternative *a, struct json_object *record)
{
        const char *end = a->path + a->path_size;

        assert(a->path);
        for (const char *name = a->path; name <= end;) {
                const char *dot = memchr(name, '.', (size_t)(end - name));
                size_t n = (size_t)((dot ? dot : end) - name);
                char key[BINDING_NAME_MAX + 1];

                assert(n < sizeof(key));
                memcpy(key, name, n);
                key[n] = '\0';
                if (!json_object_is_type(record, json_type_object) ||
                    !json_object_object_get_ex(record, key, &record))
                        return NULL;
                name += n + 1;
        }
        return has_value(record) ? record : NULL;
}

/* A string without NUL; NULL: the value is none. */
static const char *string_of(struct json_object *value)
{
        const char *s = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;

        return s && strlen(s) == (size_t)json_object_get_string_len(value) ? s : NULL;
}

/* The text of a value, in @buffer or borrowed from the value; NULL: its type has none. */
static const char *text_of(struct json_object *value, char buffer[24], size_t *ret_size)
{
        switch (json_object_get_type(value)) {
        case json_type_string:
                *ret_size = (size_t)json_object_get_string_len(value);
                return json_object_get_string(value);
        case json_type_int:
                *ret_size = (size_t)snprintf(buffer, 24, "%llu", (unsigned long long)json_object_get_uint64(value));
                return buffer;
        case json_type_boolean:
                *ret_size = json_object_get_boolean(value) ? 4 : 5;
                return json_object_get_boolean(value) ? "true" : "false";
        default:
                return NULL;
        }
}

int binding_text(const char *binding, struct json_object *record, char **ret_text, size_t *ret_size)
{
        assert(binding_is_valid(binding));
        for (const char *at = binding; at;) {
                struct alternative a;
                struct json_object *value;
                const char *middle = "", *string;
                char buffer[24], *text, *to;
                size_t size = 0;

                (void)next(&at, &a);
                value = a.path ? find(&a, record) : NULL;
                if (a.path)
                        middle = value ? text_of(value, buffer, &size) : NULL;
                string = a.is_qom ? string_of(value) : NULL;
                if (string && *string == '/')
                        middle = qdev_target_name(string, &size);
                if (!middle)
                        continue;
                text = to = malloc(a.prefix_size + size + a.suffix_size + 1);
                if (!text)
                        return -ENOMEM;
                to = mempcpy(to, a.prefix, a.prefix_size);
                to = mempcpy(to, middle, size);
                to = mempcpy(to, a.suffix, a.suffix_size);
                *to = '\0';
                *ret_text = text;
                *ret_size = (size_t)(to - text);
                return 0;
        }
        return -ENOENT;
}

int binding_device(const char *binding, struct json_object *record, char **ret_path)
{
        assert(binding_is_of_devices(binding));
        for (const char *at = binding; at;) {
                struct alternative a;
                const char *string;

                (void)next(&at, &a);
                string = string_of(find(&a, record));
                if (!string || !((a.is_qom && *string == '/') || qdev_id_is_usable(string)))
                        continue;
                *ret_path = qdev_target(string);
                return *ret_path ? 0 : -ENOMEM;
        }
        return -ENOENT;
}

const char *binding_string(const char *binding, struct json_object *record)
{
        assert(binding_is_plain(binding));
        for (const char *at = binding; at;) {
                struct alternative a;
                const char *string;

                (void)next(&at, &a);
                string = string_of(find(&a, record));
                if (string)
                        return string;
        }
        return NULL;
}

struct json_object *binding_get(const char *binding, struct json_object *record)
{
        assert(binding_is_plain(binding));
        for (const char *at = binding; at;) {
                struct alternative a;
                struct json_object *value;

                (void)next(&at, &a);
                value = find(&a, record);
                if (value)
                        return value;
        }
        return NULL;
}
