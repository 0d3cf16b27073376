/*
 * The QAPI schema of a QEMU, as returned by query-qmp-schema (QEMU's docs/devel/qapi-code-gen, "Client JSON Protocol
 * introspection"): its commands, events and types. It is parsed once into a compact, immutable model, which owns all
 * its parts. The schema masks the names of types ("49" instead of "BlockdevOptions"), so users are shown the place of
 * a type: "argument file of blockdev-add".
 *
 * The reply is not trusted. Malformed entries, and entries with names that QAPI does not allow, are skipped, so all
 * names are safe for files, terminals and shells. A reference to an unknown type is NULL, which stands for any value.
 * Types may refer to each other in cycles.
 */
#ifndef QMP_SCHEMA_H
#define QMP_SCHEMA_H

#include "qmp/util.h"

enum qmp_meta_type {
        QMP_META_BUILTIN,
        QMP_META_ENUM,
        QMP_META_ARRAY,
        QMP_META_OBJECT,
        QMP_META_ALTERNATE,
        QMP_META_COMMAND,
        QMP_META_EVENT,
};

/* The JSON type of a builtin type; all integer types are the same. */
enum qmp_json_type {
        QMP_JSON_ANY,
        QMP_JSON_STRING,
        QMP_JSON_INT,
        QMP_JSON_NUMBER,
        QMP_JSON_BOOLEAN,
        QMP_JSON_NULL,
};

struct qmp_entity;

/* A use of a type: by another type, which is itself used somewhere, or by a command or event. */
struct qmp_use {
        const struct qmp_entity *user; /* NULL: not reachable from a command or event */
        const char *member; /* of an object; NULL: as a variant, an element, a branch, argument, result, data */
        const char *value;  /* as a variant: of the user's tag; else NULL */
};

/* Feature names such as "deprecated" and "unstable", terminated by NULL; NULL if there are none. */
typedef const char *const *qmp_features;

struct qmp_member {
        const char *name; /* of an alternate's branch: NULL */
        const struct qmp_entity *type;
        qmp_features features;
        bool optional;
};

struct qmp_variant {
        const char *value; /* of the tag */
        const struct qmp_entity *type;
};

struct qmp_entity {
        const char *name;
        enum qmp_meta_type meta;
        enum qmp_json_type json;          /* builtin */
        bool allow_oob;                   /* command: may be executed out of band */
        const struct qmp_entity *arg;     /* command, event: an object type; NULL: unknown */
        const struct qmp_entity *ret;     /* command: type of the return value; NULL: unknown */
        const struct qmp_entity *element; /* array; NULL: unknown */
        struct qmp_member *members;       /* enum: values; object: members; alternate: branches */
        size_t n_members;
        /* object: at least one member is not optional; saves a search, since there may be a million */
        bool has_mandatory;
        const char *tag; /* union: the member that selects the variant; else NULL */
        struct qmp_variant *variants;
        size_t n_variants;
        qmp_features features;
        /* types: the use with the fewest steps from a command or event; of several, the first by name */
        struct qmp_use first_use;
        size_t text_size; /* of the description, once it has been made; else 0 */
};

/* Entities by name, in the order of strcmp(). */
struct qmp_entities {
        const struct qmp_entity **all;
        size_t n;
};

struct qmp_schema {
        struct qmp_entities commands, events, types; /* types: all other entities */
        void *arena;
};

/*
 * Parses the return value of query-qmp-schema, which remains the caller's. Returns 0, -ENOMEM, or -EPROTO if it is
 * not a list.
 */
int qmp_schema_new(struct json_object *reply, struct qmp_schema **ret_schema);
struct qmp_schema *qmp_schema_free(struct qmp_schema *schema);

/* Returns NULL if there is no such entity. */
const struct qmp_entity *qmp_entities_find(const struct qmp_entities *entities, const char *name);

/* The member or value of that name, or NULL. */
const struct qmp_member *qmp_entity_find_member(const struct qmp_entity *entity, const char *name);
/* The type with the additional members of an object of type @entity whose tag is @value, or NULL. */
const struct qmp_entity *qmp_entity_find_variant(const struct qmp_entity *entity, const char *value);

bool qmp_features_have(qmp_features features, const char *feature);

/* Whether a command can be called without arguments. */
bool qmp_command_needs_nothing(const struct qmp_entity *command);

/*
 * Describes an entity for users: arguments, data or members with their types and features, and variants by case.
 * Structures are spelled out where they first occur, and later referred to by that place. The description of a type
 * also lists its uses. The text ends with a newline and belongs to the caller. Returns 0 or -ENOMEM.
 */
int qmp_schema_describe(const struct qmp_schema *schema, const struct qmp_entity *entity, char **ret_text,
                        size_t *ret_size);

/*
 * A short name of a type for messages: "integer", "list of string", "object {driver, …}" with the mandatory members.
 * The caller owns the result; NULL if out of memory.
 */
char *qmp_type_words(const struct qmp_entity *type);

#endif
