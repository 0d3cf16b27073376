/*
 * Converts pairs to JSON by their types in the schema. The result is checked afterwards, in the same way as JSON
 * input.
 */
#include <errno.h>
#include <stdio.h>

#include "qmp/args_internal.h"
#include "qmp/json.h"
#include "qmp/message.h"

static int convert(const struct qmp_entity *type, struct qmp_args_node *node, const struct qmp_args_path *path,
                   struct json_object **ret_value, char **ret_why);

static bool is_index(const char *key)
{
        return key[0] && strspn(key, "0123456789") == strlen(key) && (key[0] != '0' || !key[1]);
}

static bool is_list(const struct qmp_args_node *node)
{
        for (const struct qmp_args_node *child = node->children; child; child = child->next)
                if (!is_index(child->key))
                        return false;
        return node->children != NULL;
}

static int bad_index(const struct qmp_args_node *node, const char *why, char **ret_why)
{
        return qmp_invalid(ret_why, "the key at character %zu %s", node->at, why);
}

static int convert_list(const struct qmp_entity *element, struct qmp_args_node *node,
                        const struct qmp_args_path *path, struct json_object **ret_value, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *list = json_object_new_array();
        size_t n = 0;

        if (!list)
                return -ENOMEM;
        for (struct qmp_args_node *child = node->children; child; child = child->next)
                n++;
        for (struct qmp_args_node *child = node->children; child; child = child->next) {
                struct qmp_args_path below = { .parent = path };
                struct json_object *value = NULL;
                size_t index;
                int r;

                if (!is_index(child->key))
                        return bad_index(child, "is not the index of a list element", ret_why);
                index = strtoul(child->key, NULL, 10);
                if (strlen(child->key) > 9 || index >= n)
                        return bad_index(child, "leaves a gap in the list", ret_why);
                below.index = index;
                r = convert(element, child, &below, &value, ret_why);
                if (r < 0)
                        return r;
                if (json_object_array_put_idx(list, index, value) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        *ret_value = take_ptr(list);
        return 0;
}

static const char *get_tag(const void *object, const char *tag)
{
        const struct qmp_args_node *node = qmp_args_find(object, tag, strlen(tag));

        return node ? node->text : NULL;
}

static int convert_object(const struct qmp_entity *type, struct qmp_args_node *node, const struct qmp_args_path *path,
                          struct json_object **ret_value, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *object = json_object_new_object();

        if (!object)
                return -ENOMEM;
        for (struct qmp_args_node *child = node->children; child; child = child->next) {
                struct qmp_args_path below = { .parent = path, .key = QMP_ARGS_ANY_KEY };
                const struct qmp_entity *member = NULL;
                struct json_object *value = NULL;
                int r;

                if (type && qmp_args_find_member(type, get_tag, node, child->key, &member) && member)
                        below.key = child->key;
                r = convert(member, child, &below, &value, ret_why);
                if (r < 0)
                        return r;
                if (json_object_object_add(object, child->key, value) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        *ret_value = take_ptr(object);
        return 0;
}

/* The first branch of an alternate with that meta type, or NULL. */
static const struct qmp_entity *find_branch(const struct qmp_entity *alternate, enum qmp_meta_type meta)
{
        for (size_t i = 0; i < alternate->n_members; i++)
                if (alternate->members[i].type && alternate->members[i].type->meta == meta)
                        return alternate->members[i].type;
        return NULL;
}

static bool may_be(const struct qmp_entity *type, enum qmp_json_type json)
{
        if (!type)
                return false;
        if (type->meta != QMP_META_ALTERNATE)
                return qmp_type_is(type, json);
        for (size_t i = 0; i < type->n_members; i++)
                if (qmp_type_is(type->members[i].type, json))
                        return true;
        return false;
}

/* Converts a scalar that may be of several types to the narrowest type that fits. QAPI rules out ambiguities. */
static struct json_object *convert_scalar_alternate(const struct qmp_entity *type, const char *text)
{
        static const enum qmp_json_type order[] = { QMP_JSON_BOOLEAN, QMP_JSON_INT, QMP_JSON_NUMBER };
        struct json_object *value;

        /* if strings are accepted, an unquoted null is still JSON's null, as in QEMU's documentation */
        if (streq(text, "null") && may_be(type, QMP_JSON_NULL))
                return NULL;
        if (may_be(type, QMP_JSON_STRING))
                return json_object_new_string(text);
        for (size_t i = 0; i < type->n_members; i++) {
                const struct qmp_entity *branch = type->members[i].type;

                if (branch && branch->meta == QMP_META_ENUM && qmp_entity_find_member(branch, text))
                        return json_object_new_string(text);
        }
        for (size_t o = 0; o < ARRAY_SIZE(order); o++)
                for (size_t i = 0; i < type->n_members; i++)
                        if (qmp_type_is(type->members[i].type, order[o]) && !qmp_args_builtin(order[o], text, &value))
                                return value;
        return json_object_new_string(text);
}

static int not_json(const struct qmp_args_path *path, const char *why, char **ret_why)
{
        _cleanup_(qmp_freep) char *where = qmp_args_where(path);

        return qmp_invalid(ret_why, "%s: %s", where ? where : "?", why);
}

static int convert_text(const struct qmp_entity *type, struct qmp_args_node *node, const struct qmp_args_path *path,
                        struct json_object **ret_value, char **ret_why)
{
        bool quoted = node->has_json && json_object_is_type(node->json, json_type_string);

        if (node->has_json && (quoted || !may_be(type, QMP_JSON_STRING) ||
                               (type && json_object_is_type(node->json, json_type_object) &&
                                type->meta == QMP_META_ALTERNATE && find_branch(type, QMP_META_OBJECT)))) {
                *ret_value = json_object_get(node->json);
                return 0;
        }
        if (node->why && type &&
            (type->meta == QMP_META_ARRAY || type->meta == QMP_META_OBJECT ||
             (type->meta == QMP_META_ALTERNATE && find_branch(type, QMP_META_OBJECT))))
                return not_json(path, node->why, ret_why);
        if (qmp_type_is_any(type)) {
                (void)qmp_args_builtin(QMP_JSON_ANY, node->text, ret_value);
        } else if (type->meta == QMP_META_BUILTIN) {
                const char *why = qmp_args_builtin(type->json, node->text, ret_value);

                if (why)
                        return qmp_args_expected_type(path, type, why, ret_why);
        } else if (type->meta == QMP_META_ALTERNATE) {
                *ret_value = convert_scalar_alternate(type, node->text);
        } else if (type->meta == QMP_META_ENUM) {
                *ret_value = json_object_new_string(node->text);
        } else {
                _cleanup_(qmp_freep) char *words = qmp_type_words(type), *where = qmp_args_where(path);
                bool list = type->meta == QMP_META_ARRAY;

                if (!words || !where)
                        return -ENOMEM;
                return qmp_invalid(ret_why, "%s: expected %s, as %.*s.%s=… or JSON", where, words,
                                   (int)strlen(where) - 2, where + 1, list ? "0" : "KEY");
        }
        /* NULL is also JSON's null */
        return *ret_value || streq(node->text, "null") ? 0 : -ENOMEM;
}

static int convert(const struct qmp_entity *type, struct qmp_args_node *node, const struct qmp_args_path *path,
                   struct json_object **ret_value, char **ret_why)
{
        const struct qmp_entity *structure = type;

        if (node->text)
                return convert_text(type, node, path, ret_value, ret_why);
        if (qmp_type_is_any(type))
                return is_list(node) ? convert_list(NULL, node, path, ret_value, ret_why)
                                     : convert_object(NULL, node, path, ret_value, ret_why);
        /* an unknown type is any, which too deep a path forgets */
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        if (type->meta == QMP_META_ALTERNATE) {
                structure = is_list(node) ? find_branch(type, QMP_META_ARRAY) : NULL;
                if (!structure)
                        structure = find_branch(type, QMP_META_OBJECT);
        }
        if (structure && structure->meta == QMP_META_ARRAY)
                return convert_list(structure->element, node, path, ret_value, ret_why);
        if (structure && structure->meta == QMP_META_OBJECT)
                return convert_object(structure, node, path, ret_value, ret_why);
        return qmp_args_expected_type(path, type, NULL, ret_why);
}

/* The name of the property's type, or NULL if there is no such property. Borrowed. */
static const char *find_property(struct json_object *properties, const char *name)
{
        size_t n = json_object_is_type(properties, json_type_array) ? json_object_array_length(properties) : 0;

        for (size_t i = 0; i < n; i++) {
                struct json_object *property = json_object_array_get_idx(properties, i);
                const char *found = qmp_json_get_string(property, "name");

                if (found && streq(found, name))
                        return qmp_json_get_string(property, "type");
        }
        return NULL;
}

static int convert_property(const char *name, const char *type, struct qmp_args_node *node,
                            struct json_object **ret_value, char **ret_why)
{
        struct qmp_args_path path = { .key = name };
        _cleanup_(qmp_freep) char *why = NULL;
        int r;

        if (!node->text) {
                /* QEMU 7.2 has no structured properties; those of later versions are left to QEMU to check */
                return convert(NULL, node, &path, ret_value, ret_why);
        }
        if (node->has_json && json_object_is_type(node->json, json_type_string)) {
                *ret_value = json_object_get(node->json);
                return 0;
        }
        /* a PCI address is hexadecimal, as 06.0 or 10; QEMU would take the integer 16 as slot 0x16 */
        if (streq(name, "addr") && streq(type, "int32"))
                type = "str";
        r = qmp_args_property(type, node->text, ret_value, &why);
        return r == -EINVAL ? qmp_invalid(ret_why, "'%s': %s", name, why ? why : "unacceptable") : r;
}

bool qmp_args_may_have(struct json_object *properties, const char *name)
{
        return !json_object_is_type(properties, json_type_array) || json_object_array_length(properties) == 0 ||
               find_property(properties, name);
}

int qmp_args_no_property(struct json_object *properties, const char *name, const char *where, char **ret_why)
{
        struct qmp_nearest nearest;
        char hint[QMP_ARGS_HINT_SIZE];

        qmp_nearest_init(&nearest, name);
        for (size_t i = 0; i < json_object_array_length(properties); i++) {
                const char *property = qmp_json_get_string(json_object_array_get_idx(properties, i), "name");

                if (property && find_property(properties, property))
                        qmp_nearest_offer(&nearest, property);
        }
        return qmp_invalid(ret_why, "%s is not a property of this type%s; types/ lists them", where,
                           qmp_args_hint(&nearest, hint));
}

/* Adds the pair, or all pairs that begin with @name, as properties. Their names may contain dots: sse4.1. */
static int add_properties(struct json_object *properties, const char *name, struct qmp_args_node *node,
                          struct json_object *object, char **ret_why)
{
        const char *type = find_property(properties, name);
        struct json_object *value = NULL;
        int r;

        if (!type && !node->children && qmp_args_may_have(properties, name))
                type = "str";
        if (!type && !node->children) {
                char where[64];

                snprintf(where, sizeof(where), "the key at character %zu", node->at);
                return qmp_args_no_property(properties, name, where, ret_why);
        }
        for (struct qmp_args_node *child = type ? NULL : node->children; child; child = child->next) {
                char *below;

                if (asprintf(&below, "%s.%s", name, child->key) < 0)
                        return -ENOMEM;
                r = add_properties(properties, below, child, object, ret_why);
                free(below);
                if (r < 0)
                        return r;
        }
        if (!type)
                return 0;
        r = convert_property(name, type, node, &value, ret_why);
        if (r < 0)
                return r;
        if (json_object_object_add(object, name, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

/* Converts the arguments of a command that also accepts properties: all pairs that the schema does not list. */
static int convert_open(const struct qmp_entity *type, struct json_object *properties, struct qmp_args_node *root,
                        struct json_object **ret_value, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *object = json_object_new_object();

        if (!object)
                return -ENOMEM;
        for (struct qmp_args_node *child = root->children; child; child = child->next) {
                struct qmp_args_path path = { .key = child->key };
                const struct qmp_member *member = type ? qmp_entity_find_member(type, child->key) : NULL;
                struct json_object *value = NULL;
                int r;

                if (!member) {
                        r = add_properties(properties, child->key, child, object, ret_why);
                        if (r < 0)
                                return r;
                        continue;
                }
                r = convert(member->type, child, &path, &value, ret_why);
                if (r < 0)
                        return r;
                if (json_object_object_add(object, child->key, value) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        *ret_value = take_ptr(object);
        return 0;
}

int qmp_args_value(const struct qmp_args *args, const char *key, const struct qmp_entity *command, const char *name,
                   struct json_object **ret_value, char **ret_why)
{
        struct qmp_args_path path = { .key = key };
        const struct qmp_entity *type = NULL;
        struct qmp_args_node *node;
        struct json_object *value;

        *ret_why = NULL;
        if (args->is_json) {
                if (!json_object_object_get_ex(args->json, key, &value))
                        return -ENOENT;
                *ret_value = json_object_get(value);
                return 0;
        }
        node = qmp_args_find(&args->root, key, strlen(key));
        if (!node)
                return -ENOENT;
        /* which variant's it is, where the tag was written, too */
        if (command->arg)
                (void)qmp_args_find_member(command->arg, get_tag, &args->root, name, &type);
        return convert(type, node, &path, ret_value, ret_why);
}

int qmp_args_build(const struct qmp_args *args, const struct qmp_entity *command, struct json_object *properties,
                   struct json_object **ret_arguments, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        struct qmp_args_node *root = (struct qmp_args_node *)&args->root;
        int r = 0;

        *ret_why = NULL;
        if (args->is_json)
                arguments = json_object_get(args->json);
        else if (properties)
                r = convert_open(command->arg, properties, root, &arguments, ret_why);
        else
                r = convert_object(command->arg, root, NULL, &arguments, ret_why);
        /* dotted keys around a JSON value may exceed the limit together */
        if (r == 0 && qmp_json_is_too_deep(arguments))
                r = qmp_invalid(ret_why, "the arguments are nested more than %d deep", QMP_JSON_DEPTH_MAX);
        if (r == 0 && command->arg)
                r = qmp_args_check(command->arg, arguments, properties, args->is_json ? NULL : root, ret_why);
        if (r < 0)
                return r;
        *ret_arguments = json_object_object_length(arguments) > 0 ? take_ptr(arguments) : NULL;
        return 0;
}
