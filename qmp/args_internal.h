/*
 * Shared by args.c (parsing), args_build.c (conversion to the types of the schema) and args_check.c (checking JSON
 * against the schema).
 */
#ifndef QMP_ARGS_INTERNAL_H
#define QMP_ARGS_INTERNAL_H

#include "qmp/args.h"
#include "qmp/nearest.h"

/* The pairs of the input, as a tree of the components of dotted keys. */
struct qmp_args_node {
        struct qmp_args_node *next; /* sibling */
        struct qmp_args_node *children, *last;
        char *key;                /* one component of a dotted key */
        size_t at;                /* its position in the text, in characters, from 1 */
        char *text;               /* the value; NULL if there are only children */
        bool has_json;            /* the text is also JSON: … */
        struct json_object *json; /* … a string, object or list */
        char *why;                /* the error in a value that begins like an object or list; else NULL */
};

struct qmp_args {
        bool is_json;
        struct json_object *json; /* is_json */
        struct qmp_args_node root;
};

/*
 * The place of an error, such as "file.driver": a linked list on the stack. NULL or its root stands for all
 * arguments. Keys are names from the schema or from the list of properties; input is never quoted, see args.h.
 */
struct qmp_args_path {
        const struct qmp_args_path *parent;
        const char *key; /* NULL: @index */
        size_t index;
        const struct qmp_args_node *root; /* of the root: the pairs of the input; may be NULL */
};
/* Stands for a key that comes from the input. */
#define QMP_ARGS_ANY_KEY "?"

struct qmp_args_node *qmp_args_find(const struct qmp_args_node *node, const char *key, size_t size);

/* The path in quotes, owned by the caller; NULL if out of memory. */
char *qmp_args_where(const struct qmp_args_path *path);
/* Sets *ret_why to "'a.b': expected WHAT, but WHY"; returns -EINVAL. @why may be NULL. */
int qmp_args_expected(const struct qmp_args_path *path, const char *what, const char *why, char **ret_why);
int qmp_args_expected_type(const struct qmp_args_path *path, const struct qmp_entity *type, const char *why,
                           char **ret_why);

#ifdef __clang_analyzer__ /* see qmp_invalid() */
#define qmp_args_expected(...)      (qmp_args_expected(__VA_ARGS__), -EINVAL)
#define qmp_args_expected_type(...) (qmp_args_expected_type(__VA_ARGS__), -EINVAL)
#endif

static inline bool qmp_type_is(const struct qmp_entity *type, enum qmp_json_type json)
{
        return type && type->meta == QMP_META_BUILTIN && type->json == json;
}

/* True also if the type is unknown. */
static inline bool qmp_type_is_any(const struct qmp_entity *type)
{
        return !type || (type->meta == QMP_META_BUILTIN && type->json == QMP_JSON_ANY);
}

/* Gets the value of a tag from an object, or from the pairs for one; NULL if absent. */
typedef const char *(*qmp_args_get_tag)(const void *object, const char *tag);

/*
 * The type of the variant that the tag in @object selects, which may itself be a union. NULL if there is none;
 * *ret_any is set if that is because the members of the variant are not known.
 */
const struct qmp_entity *qmp_args_next_type(const struct qmp_entity *type, qmp_args_get_tag get, const void *object,
                                            bool *ret_any);

/* The type of a member, including those of variants. Returns false if there is no such member. */
bool qmp_args_find_member(const struct qmp_entity *type, qmp_args_get_tag get, const void *object, const char *key,
                          const struct qmp_entity **ret_type);

/*
 * Converts a text to a builtin type. Returns NULL, or the reason of the failure for "expected …, but REASON" as a
 * static string. On success *ret_value may be NULL: for null, or if out of memory.
 */
const char *qmp_args_builtin(enum qmp_json_type type, const char *text, struct json_object **ret_value);

/* Whether an object may have the property: it is listed, or the properties are not known (an empty list). */
bool qmp_args_may_have(struct json_object *properties, const char *name);
/* Writes " (nearest: 'NAME')" to @buffer, or an empty string if no name is near. Returns @buffer. */
#define QMP_ARGS_HINT_SIZE (QMP_NEAREST_MAX + 16)
const char *qmp_args_hint(const struct qmp_nearest *nearest, char buffer[QMP_ARGS_HINT_SIZE]);
/* Sets *ret_why to the message that the key at @where is not a property. Returns -EINVAL. */
int qmp_args_no_property(struct json_object *properties, const char *name, const char *where, char **ret_why);

/*
 * Checks an object. @properties: NULL, or the properties that are accepted in addition to the members of @type.
 * @root: the pairs that it was built from, for the positions of keys. Returns 0, -ENOMEM or -EINVAL.
 */
int qmp_args_check(const struct qmp_entity *type, struct json_object *value, struct json_object *properties,
                   const struct qmp_args_node *root, char **ret_why);

#endif
