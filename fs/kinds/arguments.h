/*
 * What is written to actions: arguments, as pairs with dotted keys or as JSON (see qmp/args.h), and the words that
 * every action takes besides them:
 *   nowait       return when QEMU has taken it
 *   timeout=SEC  the time limit
 *   explain      check everything and send nothing: the reply has the commands
 */
#ifndef FS_KINDS_ARGUMENTS_H
#define FS_KINDS_ARGUMENTS_H

#include "fs/fuse/request.h"
#include "qmp/args.h"

#define WORDS_OWN_MAX 3

struct words {
        const char *const *own;         /* further words of the action, up to a NULL; or NULL */
        const struct qmp_entity *after; /* the command whose arguments they are among; NULL: none */
        bool given[WORDS_OWN_MAX];      /* of these */
        bool nowait, explain;
        uint64_t limit_ns; /* 0: not given */
};

/*
 * Takes a text that consists of words alone, in any order. @subject: what takes them, for the error. 0, -ENOMEM, or
 * -EINVAL with the reason in the request.
 */
int words_parse(struct request *r, struct words *words, const char *subject, const char *text);

/* Whether one of the action's own words was given. */
bool words_are_given(const struct words *words, const char *word);

/* Parses arguments and the words among them; @words may be NULL: none are possible. 0, -ENOMEM, or -EINVAL with the reason in the request. */
int arguments_parse(struct request *r, const char *text, struct words *words, struct qmp_args **ret_args);

/*
 * The arguments of @command, checked by the schema and, for a command that takes the properties of a device type, by
 * these. *ret_arguments is the caller's. If they are only to be explained (@words, which may be NULL), nothing is sent:
 * properties that are not known are not checked. 0, WAITER_PARKED, -ENOMEM, -EINVAL with the reason in the request, or
 * the error of the query for the properties.
 */
int arguments_build(struct request *r, const struct qmp_args *args, const struct words *words,
                    const struct qmp_entity *command, struct json_object **ret_arguments);

/* The argument that names the type whose properties @command also takes; NULL: it takes none. */
const char *arguments_type(const char *command);

#endif
