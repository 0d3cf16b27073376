/*
 * Converts arguments written by a user to the JSON that a command expects, and checks them against the schema before
 * anything is sent.
 *
 * There are two notations: JSON, and KEY=VALUE pairs as on QEMU's command line (util/keyval.c): dotted keys for
 * nested members and list elements (file.driver=qcow2, capabilities.0.state=on), pairs separated by a comma or
 * blanks, ",," for a comma in a value. As an extension, a value may be a JSON string ("with blanks, and commas"), or
 * a JSON object or list where the schema does not accept a plain string. The word null is JSON's null where the
 * schema accepts null.
 *
 * Error messages consist of names from the schema, positions and types. They never quote the input, since any part of
 * it may be a secret, if only because a quote is missing.
 */
#ifndef QMP_ARGS_H
#define QMP_ARGS_H

#include "qmp/schema.h"

struct qmp_args;

/*
 * Parses a text without regard to the command. Pairs must be on one line; JSON may have several. Returns 0, -ENOMEM,
 * or -EINVAL with an error message in *ret_why, which the caller owns. Here and below, *ret_why is NULL after
 * -ENOMEM.
 */
int qmp_args_parse(const char *text, struct qmp_args **ret_args, char **ret_why);
/*
 * Called for each word between the pairs that may stand for itself ("nowait", "timeout=3"): @size bytes at @word, up to
 * a comma or blank. Returns 1: it is such a word; 0: it is part of the arguments; -ENOMEM; or -EINVAL with *ret_why.
 */
typedef int (*qmp_args_word_fn)(void *userdata, const char *word, size_t size, char **ret_why);
/* The same for arguments that have such words among or before the pairs, or before the JSON. @fn may be NULL. */
int qmp_args_parse_words(const char *text, qmp_args_word_fn fn, void *userdata, struct qmp_args **ret_args,
                         char **ret_why);
struct qmp_args *qmp_args_free(struct qmp_args *args);

static inline void qmp_args_freep(struct qmp_args **args)
{
        qmp_args_free(*args);
}

/*
 * The string value of a top-level key, needed before the other arguments can be interpreted. Borrowed; NULL if
 * absent.
 */
const char *qmp_args_get(const struct qmp_args *args, const char *key);

/*
 * Builds the arguments of @command. @properties is the result of device-list-properties for a command that also
 * accepts properties as arguments, else NULL; if it is an empty list, the properties are not known and QEMU checks
 * them. The caller owns *ret_arguments, which is NULL if there are no arguments. Returns 0, -ENOMEM or -EINVAL.
 */
int qmp_args_build(const struct qmp_args *args, const struct qmp_entity *command, struct json_object *properties,
                   struct json_object **ret_arguments, char **ret_why);

/*
 * For arguments that are written for several commands, or under other names: the value of the top-level key @key as
 * the argument @name of @command. It is converted, but not checked. The caller owns *ret_value; NULL is also JSON's
 * null. Returns 0, -ENOENT if absent, -ENOMEM or -EINVAL.
 */
int qmp_args_value(const struct qmp_args *args, const char *key, const struct qmp_entity *command, const char *name,
                   struct json_object **ret_value, char **ret_why);
/* Checks arguments that were built from such values. Returns 0, -ENOMEM or -EINVAL. */
int qmp_args_check_command(const struct qmp_entity *command, struct json_object *arguments, char **ret_why);
/* Checks that there are no other top-level keys than @keys, ended by NULL. Returns 0, -ENOMEM or -EINVAL. */
int qmp_args_check_keys(const struct qmp_args *args, const char *const *keys, char **ret_why);

/*
 * Converts a text to the value of a QOM property of type @type ("bool", "uint32", "string", …). Strings are taken
 * literally, and must be on one line; integers are written as in number.h and must be in the range of the type;
 * booleans are on or off. For other types, a text that begins like a JSON object, list or string is parsed as JSON,
 * and anything else is a string. The caller owns *ret_value. Returns 0, -ENOMEM or -EINVAL.
 */
int qmp_args_property(const char *type, const char *text, struct json_object **ret_value, char **ret_why);

#endif
