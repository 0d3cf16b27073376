/*
 * What an action's table says: its steps and their arguments. For action.c, which carries it out.
 */
#ifndef FS_KINDS_ACTION_TABLE_H
#define FS_KINDS_ACTION_TABLE_H

#include "fs/kinds/action.h"

unsigned action_count_steps(const struct action *action);
/* Whether a command of it has arguments, which need the schema. */
bool action_has_arguments(const struct action *action);
bool action_has_undo(const struct action *action);

/*
 * The arguments of one command as far as they are known: those from replies are missing, or explained. *ret_arguments is
 * the caller's; NULL: none. 0, -ENOMEM, or -EINVAL or -EOPNOTSUPP with the reason in the request.
 */
int action_build(struct request *r, const struct action_use *use, const struct qmp_schema *schema,
                 const struct action_command *command, struct json_object **ret_arguments);

#endif
