/*
 * The QAPI schema of one QEMU, from its query-qmp-schema (QEMU's docs/devel/qapi-code-gen, "Client JSON Protocol
 * introspection"): which commands, events and types there are. Parsed once into a compact model that never changes
 * afterwards; everything in it belongs to the schema. Types' names are masked there: "49" instead of
 * "BlockdevOptions". So people are told a type by its place: "argument file of blockdev-add".
 *
 * Nothing is assumed of what QEMU sent: entries that make no sense or have names that QAPI doesn't allow are passed
 * over (names here are safe for files, terminals and shells), what refers to an unknown type has the type NULL, which
 * stands for any value, and types may refer to each other in circles.
 */
#ifndef QMP_SCHEMA_H
#define QMP_SCHEMA_H

#include "util.h"

enum qmp_meta_type {
        QMP_META_BUILTIN,
        QMP_META_ENUM,
        QMP_META_ARRAY,
        QMP_META_OBJECT,
        QMP_META_ALTERNATE,
        QMP_META_COMMAND,
        QMP_META_EVENT,
};

/* What a builtin type is in JSON; all integer types and sizes are one. */
enum qmp_json_type {
        QMP_JSON_ANY,
        QMP_JSON_STRING,
        QMP_JSON_INT,
        QMP_JSON_NUMBER,
        QMP_JSON_BOOLEAN,
        QMP_JSON_NULL,
};

struct qmp_entity;

/* Where a type is used: in another type, which has a use in turn; or in a command or an event. */
struct qmp_use {
        const struct qmp_entity *user; /* NULL: nowhere that a command or event leads to */
        const char *member; /* of an object; NULL: as a variant, an element, a branch, argument, result, data */
        const char *value;  /* as a variant: of the user's tag; else NULL */
};

/* Words such as "deprecated" and "unstable"; ended by NULL, or NULL if there are none. */
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
        const struct qmp_entity *ret;     /* command: what it returns; NULL: unknown */
        const struct qmp_entity *element; /* array; NULL: unknown */
        struct qmp_member *members;       /* enum: values; object: members; alternate: branches */
        size_t n_members;
        bool has_mandatory; /* object: a member that is not optional; there may be a million members to look through */
        const char *tag;    /* object that is a union: the member that tells the variant; else NULL */
        struct qmp_variant *variants;
        size_t n_variants;
        qmp_features features;
        struct qmp_use
                first_use; /* types: the one with the fewest steps from a command, or event, the first of these by name */
        size_t text_size; /* of its description, once that was made; else 0 */
};

/* Entities by name, in the order of strcmp(). */
struct qmp_entities {
        const struct qmp_entity **all;
        size_t n;
};

struct qmp_schema {
        struct qmp_entities commands, events, types; /* types: all else */
        void *arena;
};

/* From what query-qmp-schema returned, which stays the caller's. 0, -ENOMEM, or -EPROTO: that is no list. */
int qmp_schema_new(struct json_object *reply, struct qmp_schema **ret_schema);
struct qmp_schema *qmp_schema_free(struct qmp_schema *schema);

/* NULL: there is none. */
const struct qmp_entity *qmp_entities_find(const struct qmp_entities *entities, const char *name);

/* The member or value of that name; NULL: none. */
const struct qmp_member *qmp_entity_find_member(const struct qmp_entity *entity, const char *name);
/* The type whose members an object of @entity has besides, if its tag is @value; NULL: none. */
const struct qmp_entity *qmp_entity_find_variant(const struct qmp_entity *entity, const char *value);

bool qmp_features_have(qmp_features features, const char *feature);

/* Whether a command can be called without arguments. */
bool qmp_command_needs_nothing(const struct qmp_entity *command);

/*
 * A text for people: the arguments, data or members with their types, structures spelled out where they first occur
 * and referred to by that place afterwards, variants by case, features of all of these. Of a type also the places
 * where it is used. It ends with a newline and is the caller's. 0 or -ENOMEM.
 */
int qmp_schema_describe(const struct qmp_schema *schema, const struct qmp_entity *entity, char **ret_text,
                        size_t *ret_size);

/* A type in a few words: "integer", "list of string", "object {driver, …}" with the members that it must have; for
 * messages. The caller's; NULL: no memory. */
char *qmp_type_words(const struct qmp_entity *type);

#endif
