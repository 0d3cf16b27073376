/*
 * What args.c (taking the text apart), args_build.c (giving the parts their types) and args_check.c (judging JSON by
 * the schema) share.
 */
#ifndef QMP_ARGS_INTERNAL_H
#define QMP_ARGS_INTERNAL_H

#include "args.h"
#include "nearest.h"

/* What was written, as a tree by dotted keys. */
struct qmp_args_node {
        struct qmp_args_node *next; /* sibling */
        struct qmp_args_node *children, *last;
        char *key;                /* the component of the dotted key */
        size_t at;                /* where that stands in the text, in characters from 1 on */
        char *text;               /* the value; NULL: there are children only */
        bool has_json;            /* the text is JSON, too: … */
        struct json_object *json; /* … a string, object or list */
        char *why;                /* it begins as an object or list, but this is wrong with it; else NULL */
};

struct qmp_args {
        bool is_json;
        struct json_object *json; /* is_json */
        struct qmp_args_node root;
};

/*
 * Where an error is: "file.driver". A list on the stack; NULL or its root: the whole. Keys are names that the schema
 * or the list of properties has: what somebody wrote is never quoted, see args.h.
 */
struct qmp_args_path {
        const struct qmp_args_path *parent;
        const char *key; /* NULL: @index */
        size_t index;
        const struct qmp_args_node *root; /* without parent and key: what the whole was made of; may be NULL */
};
/* For a key that is anybody's. */
#define QMP_ARGS_ANY_KEY "?"

struct qmp_args_node *qmp_args_find(const struct qmp_args_node *node, const char *key, size_t size);

/* The path in quotes; the caller's; NULL: out of memory. */
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

/* Also where the type is unknown. */
static inline bool qmp_type_is_any(const struct qmp_entity *type)
{
        return !type || (type->meta == QMP_META_BUILTIN && type->json == QMP_JSON_ANY);
}

/* The value of a tag in what is to be an object; NULL: none. */
typedef const char *(*qmp_args_get_tag)(const void *object, const char *tag);

/*
 * The type behind an object's type: that of the variant which the tag in it chooses, and which may be a union itself.
 * NULL: there is no more; *ret_any: since its members are not known.
 */
const struct qmp_entity *qmp_args_next_type(const struct qmp_entity *type, qmp_args_get_tag get, const void *object,
                                            bool *ret_any);

/* The type of a member, be it of a variant; false: there is no such member. */
bool qmp_args_find_member(const struct qmp_entity *type, qmp_args_get_tag get, const void *object, const char *key,
                          const struct qmp_entity **ret_type);

/*
 * As the builtin type. NULL; or why it is none of that type, static words for "expected …, but REASON". *ret_value
 * may be NULL for null, and without memory.
 */
const char *qmp_args_builtin(enum qmp_json_type type, const char *text, struct json_object **ret_value);

/* Whether an object may have the property: it is listed, or nothing is known (an empty list). */
bool qmp_args_may_have(struct json_object *properties, const char *name);
/* "(nearest: 'NAME')" for what is none of the properties' names, with a blank before it, or nothing, into @buffer. */
#define QMP_ARGS_HINT_SIZE (QMP_NEAREST_MAX + 16)
const char *qmp_args_hint(const struct qmp_nearest *nearest, char buffer[QMP_ARGS_HINT_SIZE]);
/* Sets *ret_why: the key there is not a property; returns -EINVAL. */
int qmp_args_no_property(struct json_object *properties, const char *name, const char *where, char **ret_why);

/*
 * Judges an object. @properties: NULL, or what it may have besides the members of @type. @root: the pairs that it was
 * made of, to tell where a key stands. 0, -ENOMEM or -EINVAL.
 */
int qmp_args_check(const struct qmp_entity *type, struct json_object *value, struct json_object *properties,
                   const struct qmp_args_node *root, char **ret_why);

#endif
