/*
 * Arguments as people write them, to the JSON that a command wants; checked against the schema before anything is
 * sent.
 *
 * Two notations: JSON, or KEY=VALUE pairs as QEMU's command line has them (util/keyval.c): dotted keys for members of
 * members and elements of lists (file.driver=qcow2, capabilities.0.state=on), pairs apart by a comma or blanks, ",,"
 * for a comma in a value. Beyond QEMU's: a value may be a JSON string ("with blanks, and commas"), or a JSON object
 * or list where the schema has no plain string in that place. The word null is JSON's null where the schema has that.
 *
 * What is wrong is told in words that hold nothing of what was written, since any part of it may be a secret, if only
 * by a missing quote: names of the schema, positions, types.
 */
#ifndef QMP_ARGS_H
#define QMP_ARGS_H

#include "schema.h"

struct qmp_args;

/*
 * Takes a text apart, without knowing what it is for. 0, -ENOMEM, or -EINVAL with *ret_why: what is wrong in words,
 * the caller's. ret_why is NULL after -ENOMEM, here and below.
 */
int qmp_args_parse(const char *text, struct qmp_args **ret_args, char **ret_why);
struct qmp_args *qmp_args_free(struct qmp_args *args);

static inline void qmp_args_freep(struct qmp_args **args)
{
        qmp_args_free(*args);
}

/*
 * The plain string behind a key of the first level, to know more before the rest makes sense; NULL: none. Borrowed.
 */
const char *qmp_args_get(const struct qmp_args *args, const char *key);

/*
 * The arguments of @command. @properties: NULL, or what device-list-properties returned, for a command whose further
 * arguments are properties; an empty list: it isn't known which, so they are QEMU's to judge. *ret_arguments is the
 * caller's, NULL where there are none. 0, -ENOMEM or -EINVAL.
 */
int qmp_args_build(const struct qmp_args *args, const struct qmp_entity *command, struct json_object *properties,
                   struct json_object **ret_arguments, char **ret_why);

/*
 * The value for a QOM property of that type name ("bool", "uint32", "string", …) out of what somebody wrote: strings
 * as they are; integers as in number.h, in the type's range; on and off; anything of other types as JSON if it begins
 * as an object, list or JSON string does, else as a string. *ret_value is the caller's. 0, -ENOMEM or -EINVAL.
 */
int qmp_args_property(const char *type, const char *text, struct json_object **ret_value, char **ret_why);

#endif
