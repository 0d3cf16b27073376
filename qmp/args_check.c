/*
 * Checks JSON against the schema, and composes the error messages.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "qmp/args_internal.h"
#include "qmp/json.h"
#include "qmp/message.h"

/* The maximum size of a list of names in a message; send-key has 150. */
#define NAMES_MAX 4000
/* Maximum nesting of unions: later versions of QEMU have two levels; a cycle would not end. */
#define UNIONS_MAX 8

static bool is_root(const struct qmp_args_path *path)
{
        return !path || (!path->parent && !path->key);
}

static void put_path(FILE *out, const struct qmp_args_path *path)
{
        if (!is_root(path->parent)) {
                put_path(out, path->parent);
                fputc('.', out);
        }
        if (path->key)
                fputs(path->key, out);
        else
                fprintf(out, "%zu", path->index);
}

char *qmp_args_where(const struct qmp_args_path *path)
{
        char *text = NULL;
        size_t size;
        FILE *out = is_root(path) ? NULL : open_memstream(&text, &size);

        if (is_root(path))
                return strdup("the arguments");
        if (!out)
                return NULL;
        fputc('\'', out);
        put_path(out, path);
        fputc('\'', out);
        return qmp_close_text(out, &text) == 0 ? text : NULL;
}

#undef qmp_args_expected
int qmp_args_expected(const struct qmp_args_path *path, const char *what, const char *why, char **ret_why)
{
        _cleanup_(qmp_freep) char *where = qmp_args_where(path);

        return qmp_invalid(ret_why, "%s: expected %s%s%s", where ? where : "?", what, why ? ", but " : "",
                           why ? why : "");
}

#undef qmp_args_expected_type
int qmp_args_expected_type(const struct qmp_args_path *path, const struct qmp_entity *type, const char *why,
                           char **ret_why)
{
        _cleanup_(qmp_freep) char *words = qmp_type_words(type);

        return qmp_args_expected(path, words ? words : "another type", why, ret_why);
}

const char *qmp_args_hint(const struct qmp_nearest *nearest, char buffer[QMP_ARGS_HINT_SIZE])
{
        const char *name = qmp_nearest_get(nearest);

        snprintf(buffer, QMP_ARGS_HINT_SIZE, "%s%s%s", name ? " (nearest: '" : "", name ? name : "",
                 name ? "')" : "");
        return buffer;
}

const struct qmp_entity *qmp_args_next_type(const struct qmp_entity *type, qmp_args_get_tag get, const void *object,
                                            bool *ret_any)
{
        const char *value = type->tag ? get(object, type->tag) : NULL;

        *ret_any = false;
        for (size_t i = 0; value && i < type->n_variants; i++) {
                if (!streq(type->variants[i].value, value))
                        continue;
                *ret_any = !type->variants[i].type;
                return type->variants[i].type;
        }
        return NULL;
}

bool qmp_args_find_member(const struct qmp_entity *type, qmp_args_get_tag get, const void *object, const char *key,
                          const struct qmp_entity **ret_type)
{
        const struct qmp_member *member = NULL;
        bool any = false;

        for (unsigned i = 0; type && i < UNIONS_MAX; i++) {
                member = qmp_entity_find_member(type, key);
                if (member)
                        break;
                type = qmp_args_next_type(type, get, object, &any);
        }
        *ret_type = member ? member->type : NULL;
        return member || any;
}

static const char *get_tag(const void *object, const char *tag)
{
        return qmp_json_get_string((struct json_object *)object, tag);
}

static int check(const struct qmp_entity *type, struct json_object *value, const struct qmp_args_path *path,
                 char **ret_why);

static bool fits_builtin(enum qmp_json_type json, struct json_object *value)
{
        switch (json) {
        case QMP_JSON_STRING:
                return json_object_is_type(value, json_type_string);
        case QMP_JSON_INT:
                return json_object_is_type(value, json_type_int);
        case QMP_JSON_NUMBER:
                return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
        case QMP_JSON_BOOLEAN:
                return json_object_is_type(value, json_type_boolean);
        case QMP_JSON_NULL:
                return !value;
        case QMP_JSON_ANY:
                break;
        }
        return true;
}

/* Whether the JSON type of @value is compatible with @type. */
static bool fits(const struct qmp_entity *type, struct json_object *value)
{
        if (qmp_type_is_any(type))
                return true;
        switch (type->meta) {
        case QMP_META_BUILTIN:
                return fits_builtin(type->json, value);
        case QMP_META_ENUM:
                return json_object_is_type(value, json_type_string);
        case QMP_META_ARRAY:
                return json_object_is_type(value, json_type_array);
        case QMP_META_OBJECT:
                return json_object_is_type(value, json_type_object);
        case QMP_META_ALTERNATE:
                for (size_t i = 0; i < type->n_members; i++)
                        /* the branches of an alternate are not alternates */
                        if (!type->members[i].type ||
                            (type->members[i].type->meta != QMP_META_ALTERNATE && fits(type->members[i].type, value)))
                                return true;
                return false;
        default:
                return true;
        }
}

/* Appends the names of the members or values to @n others. A list that is too long is cut. */
static void put_names(FILE *out, const struct qmp_entity *type, unsigned *n, struct qmp_nearest *nearest)
{
        for (size_t i = 0; type && i < type->n_members; i++) {
                const char *name = type->members[i].name;

                qmp_nearest_offer(nearest, name);
                if (ftell(out) + (long)strlen(name) > NAMES_MAX) {
                        fputs(", …", out);
                        return;
                }
                fprintf(out, "%s%s", (*n)++ > 0 ? ", " : "", name);
        }
}

static int check_enum(const struct qmp_entity *type, struct json_object *value, const struct qmp_args_path *path,
                      char **ret_why)
{
        _cleanup_(qmp_freep) char *names = NULL, *where = NULL;
        const char *s = json_object_get_string(value);
        struct qmp_nearest nearest;
        char hint[QMP_ARGS_HINT_SIZE];
        unsigned n = 0;
        size_t size;
        FILE *out;

        if (strlen(s) == (size_t)json_object_get_string_len(value) && qmp_entity_find_member(type, s))
                return 0;
        out = open_memstream(&names, &size);
        if (!out)
                return -ENOMEM;
        qmp_nearest_init(&nearest, s);
        put_names(out, type, &n, &nearest);
        if (qmp_close_text(out, &names) < 0)
                return -ENOMEM;
        where = qmp_args_where(path);
        /* the error comes first, since there may be a hundred names */
        return qmp_invalid(ret_why, "%s: no such value%s; expected one of: %s", where ? where : "?",
                           qmp_args_hint(&nearest, hint), n > 0 ? names : "nothing");
}

static int check_alternate(const struct qmp_entity *type, struct json_object *value, const struct qmp_args_path *path,
                           char **ret_why)
{
        int r = -EINVAL;

        for (size_t i = 0; i < type->n_members; i++)
                if (qmp_type_is_any(type->members[i].type))
                        return 0;
        for (size_t i = 0; i < type->n_members; i++) {
                const struct qmp_entity *branch = type->members[i].type;

                if (branch->meta == QMP_META_ALTERNATE || !fits(branch, value))
                        continue;
                free(take_ptr(*ret_why));
                r = check(branch, value, path, ret_why);
                /* several branches may be enums, and one match is enough; there is at most one object and one list */
                if (r != -EINVAL || branch->meta != QMP_META_ENUM)
                        return r;
        }
        return r;
}

/* The pairs from which the value at @path was built, or NULL if not known. */
static const struct qmp_args_node *find_node(const struct qmp_args_path *path)
{
        const struct qmp_args_node *parent;
        char index[24];

        if (is_root(path))
                return path ? path->root : NULL;
        parent = find_node(path->parent);
        if (!parent)
                return NULL;
        snprintf(index, sizeof(index), "%zu", path->index);
        return qmp_args_find(parent, path->key ? path->key : index, strlen(path->key ? path->key : index));
}

/* "the key at character 7" or "key 2 of 'file'", owned by the caller; NULL if out of memory. @path: of the object. */
static char *where_is_key(struct json_object *object, const char *key, const struct qmp_args_path *path)
{
        _cleanup_(qmp_freep) char *where = qmp_args_where(path);
        const struct qmp_args_node *node = find_node(path);
        size_t n = 0;
        char *text;

        if (!where)
                return NULL;
        node = node ? qmp_args_find(node, key, strlen(key)) : NULL;
        if (node)
                return asprintf(&text, "the key at character %zu", node->at) < 0 ? NULL : text;
        json_object_object_foreach(object, other, member) {
                (void)member;
                n++;
                if (streq(other, key))
                        break;
        }
        return asprintf(&text, "key %zu of %s", n, where) < 0 ? NULL : text;
}

static int unknown_key(const struct qmp_entity *type, struct json_object *object, const char *key,
                       const struct qmp_args_path *path, char **ret_why)
{
        _cleanup_(qmp_freep) char *where = where_is_key(object, key, path), *names = NULL;
        const char *tag = NULL, *value = NULL;
        struct qmp_nearest nearest;
        char hint[QMP_ARGS_HINT_SIZE];
        bool any, is_name = false;
        unsigned n = 0;
        size_t size;
        FILE *out = open_memstream(&names, &size);

        if (!out)
                return -ENOMEM;
        qmp_nearest_init(&nearest, key);
        for (unsigned i = 0; type && i < UNIONS_MAX; i++) {
                put_names(out, type, &n, &nearest);
                if (type->tag) {
                        const struct qmp_member *member = qmp_entity_find_member(type, type->tag);

                        tag = type->tag;
                        value = get_tag(object, tag);
                        /* a name from the schema, since check_tags() has accepted it */
                        is_name = member && member->type && member->type->meta == QMP_META_ENUM;
                }
                type = qmp_args_next_type(type, get_tag, object, &any);
        }
        if (qmp_close_text(out, &names) < 0)
                return -ENOMEM;
        qmp_args_hint(&nearest, hint);
        if (n == 0)
                return qmp_invalid(ret_why, "%s is unknown; %s", where ? where : "a key",
                                   is_root(path) ? "the command takes no arguments" : "no keys are accepted there");
        if (tag && !value)
                return qmp_invalid(ret_why, "%s is unknown while '%s' is missing%s; expected: %s",
                                   where ? where : "a key", tag, hint, names);
        is_name = is_name && tag;
        return qmp_invalid(ret_why, "%s is unknown%s%s%s%s%s; expected: %s", where ? where : "a key",
                           is_name ? " when " : "", is_name ? tag : "", is_name ? " is " : "", is_name ? value : "",
                           hint, names);
}

static int check_missing(const struct qmp_entity *type, struct json_object *value, const struct qmp_args_path *path,
                         char **ret_why)
{
        for (size_t i = 0; i < type->n_members; i++) {
                const struct qmp_member *member = &type->members[i];
                _cleanup_(qmp_freep) char *words = NULL, *where = NULL;
                struct qmp_args_path below = { .parent = path, .key = member->name };

                if (member->optional || json_object_object_get_ex(value, member->name, NULL))
                        continue;
                words = qmp_type_words(member->type);
                where = qmp_args_where(&below);
                return qmp_invalid(ret_why, "%s is missing; expected %s", where ? where : "?", words ? words : "?");
        }
        return 0;
}

/* Tags are checked first, since they determine the other members. */
static int check_tags(const struct qmp_entity *type, struct json_object *object, const struct qmp_args_path *path,
                      char **ret_why)
{
        bool any;

        for (unsigned i = 0; type && type->tag && i < UNIONS_MAX; i++) {
                const struct qmp_member *tag = qmp_entity_find_member(type, type->tag);
                struct qmp_args_path below = { .parent = path, .key = type->tag };
                struct json_object *value;
                int r = 0;

                /* a tag of any other type is ignored here, and checked with the other members */
                if (tag && tag->type && (tag->type->meta == QMP_META_ENUM || tag->type->meta == QMP_META_BUILTIN) &&
                    json_object_object_get_ex(object, type->tag, &value))
                        r = check(tag->type, value, &below, ret_why);
                if (r < 0)
                        return r;
                type = qmp_args_next_type(type, get_tag, object, &any);
        }
        return 0;
}

static int no_property(struct json_object *properties, struct json_object *object, const char *key,
                       const struct qmp_args_path *path, char **ret_why)
{
        _cleanup_(qmp_freep) char *where = where_is_key(object, key, path);

        return qmp_args_no_property(properties, key, where ? where : "a key", ret_why);
}

/* @properties: see qmp_args_build(); their values are checked by QEMU. */
static int check_object(const struct qmp_entity *type, struct json_object *value, struct json_object *properties,
                        const struct qmp_args_path *path, char **ret_why)
{
        bool any;
        int r = check_tags(type, value, path, ret_why);

        if (r < 0)
                return r;
        json_object_object_foreach(value, key, member) {
                struct qmp_args_path below = { .parent = path, .key = key };
                const struct qmp_entity *member_type;

                if (qmp_args_find_member(type, get_tag, value, key, &member_type))
                        r = check(member_type, member, &below, ret_why);
                else if (!properties)
                        r = unknown_key(type, value, key, path, ret_why);
                else if (!qmp_args_may_have(properties, key))
                        r = no_property(properties, value, key, path, ret_why);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; r == 0 && type && i < UNIONS_MAX; i++) {
                r = check_missing(type, value, path, ret_why);
                type = qmp_args_next_type(type, get_tag, value, &any);
        }
        return r;
}

static const char *json_words(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return "it is null";
        case json_type_boolean:
                return "it is a boolean";
        case json_type_double:
                return "it is a number with a fraction or an exponent";
        case json_type_int:
                return "it is an integer";
        case json_type_object:
                return "it is an object";
        case json_type_array:
                return "it is a list";
        default:
                return "it is a string";
        }
}

static int check(const struct qmp_entity *type, struct json_object *value, const struct qmp_args_path *path,
                 char **ret_why)
{
        if (qmp_type_is_any(type))
                return 0;
        assert(type);
        if (!fits(type, value))
                return qmp_args_expected_type(path, type, json_words(value), ret_why);
        switch (type->meta) {
        case QMP_META_ENUM:
                return check_enum(type, value, path, ret_why);
        case QMP_META_ARRAY:
                for (size_t i = 0; i < json_object_array_length(value); i++) {
                        int r = check(type->element, json_object_array_get_idx(value, i),
                                      &(struct qmp_args_path){ .parent = path, .index = i }, ret_why);

                        if (r < 0)
                                return r;
                }
                return 0;
        case QMP_META_OBJECT:
                return check_object(type, value, NULL, path, ret_why);
        case QMP_META_ALTERNATE:
                return check_alternate(type, value, path, ret_why);
        default:
                return 0;
        }
}

int qmp_args_check(const struct qmp_entity *type, struct json_object *value, struct json_object *properties,
                   const struct qmp_args_node *root, char **ret_why)
{
        struct qmp_args_path path = { .root = root };

        return check_object(type, value, properties, &path, ret_why);
}

int qmp_args_check_command(const struct qmp_entity *command, struct json_object *arguments, char **ret_why)
{
        *ret_why = NULL;
        /* a JSON value and the dotted keys around it may exceed the limit together */
        if (qmp_json_is_too_deep(arguments))
                return qmp_invalid(ret_why, "the arguments are nested more than %d deep", QMP_JSON_DEPTH_MAX);
        return command->arg ? qmp_args_check(command->arg, arguments, NULL, NULL, ret_why) : 0;
}

/* Refuses a top-level key that is not among @keys. @where: its place. */
static int check_key(const char *const *keys, const char *key, const char *where, char **ret_why)
{
        _cleanup_(qmp_freep) char *names = NULL;
        char hint[QMP_ARGS_HINT_SIZE];
        struct qmp_nearest nearest;
        size_t size;
        FILE *out;

        for (const char *const *k = keys; *k; k++)
                if (streq(*k, key))
                        return 0;
        out = open_memstream(&names, &size);
        if (!out)
                return -ENOMEM;
        qmp_nearest_init(&nearest, key);
        for (const char *const *k = keys; *k; k++) {
                fprintf(out, "%s%s", k == keys ? "" : ", ", *k);
                qmp_nearest_offer(&nearest, *k);
        }
        if (qmp_close_text(out, &names) < 0)
                return -ENOMEM;
        return qmp_invalid(ret_why, "%s is unknown%s; expected: %s", where, qmp_args_hint(&nearest, hint), names);
}

int qmp_args_check_keys(const struct qmp_args *args, const char *const *keys, char **ret_why)
{
        char where[64];
        size_t n = 0;
        int r = 0;

        *ret_why = NULL;
        if (args->is_json) {
                json_object_object_foreach(args->json, key, value) {
                        (void)value;
                        snprintf(where, sizeof(where), "key %zu of the arguments", ++n);
                        r = check_key(keys, key, where, ret_why);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        for (const struct qmp_args_node *node = args->root.children; node && r == 0; node = node->next) {
                snprintf(where, sizeof(where), "the key at character %zu", node->at);
                r = check_key(keys, node->key, where, ret_why);
        }
        return r;
}
