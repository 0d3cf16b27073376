#include "fs/kinds/action_table.h"

#include <errno.h>
#include <stdio.h>

#include "fs/util/binding.h"
#include "qmp/json.h"
#include "qmp/message.h"

const struct action action_written = { .limit = ACTION_WRITTEN };

/* --- the table -------------------------------------------------------------------------------------------------- */

unsigned action_count_steps(const struct action *action)
{
        unsigned n = 1; /* the first command may be the user's */

        while (n < ACTION_STEPS_MAX && action->steps[n].does.command)
                n++;
        return n;
}

bool action_has_arguments(const struct action *action)
{
        for (unsigned i = 0; i < action_count_steps(action); i++)
                if (action->steps[i].does.arguments[0].name || action->steps[i].undo.arguments[0].name)
                        return true;
        return false;
}

bool action_has_undo(const struct action *action)
{
        for (unsigned i = 0; i < action_count_steps(action); i++)
                if (action->steps[i].undo.command)
                        return true;
        return false;
}

bool action_is_supported(const struct vm *vm, const struct action *action)
{
        for (unsigned i = 0; i < action_count_steps(action); i++) {
                const struct action_step *step = &action->steps[i];

                if ((step->does.command && !introspection_has(&vm->introspection, step->does.command)) ||
                    (step->undo.command && !introspection_has(&vm->introspection, step->undo.command)))
                        return false;
        }
        return true;
}

/* @last: replies of the steps up to this one are known by then. */
static const char *command_mistake(const struct action_command *command, int last)
{
        for (const struct action_argument *a = command->arguments; a->name; a++) {
                _cleanup_(qmp_json_putp) struct json_object *constant = NULL;
                _cleanup_(qmp_freep) char *why = NULL;

                if (a == &command->arguments[ACTION_ARGUMENTS_MAX])
                        return "too many arguments";
                if (!a->record + !a->written + !a->constant + !a->reply != 3)
                        return "an argument has not exactly one source";
                if ((a->record && !binding_is_plain(a->record)) || (a->reply && !binding_is_plain(a->reply)))
                        return "a binding is not plain";
                if (a->constant && qmp_json_parse(a->constant, &constant, &why) < 0)
                        return "a constant is not JSON";
                if (a->reply && (int)a->step > last)
                        return "a reply is used before it is there";
                if (a->otherwise && a == command->arguments)
                        return "the first argument has none before it";
        }
        return NULL;
}

const char *action_mistake(const struct action *action)
{
        const char *mistake = NULL;

        for (int i = 0; !mistake && i < (int)action_count_steps(action); i++) {
                mistake = command_mistake(&action->steps[i].does, i - 1);
                if (!mistake)
                        mistake = command_mistake(&action->steps[i].undo, i);
        }
        if (!mistake && action->steps[ACTION_STEPS_MAX].does.command)
                mistake = "too many steps";
        if (!mistake && (action->until == ACTION_EVENT) != (action->events[0] != NULL))
                mistake = "events without ACTION_EVENT, or ACTION_EVENT without events";
        if (!mistake && !action->member != !action->equals)
                mistake = "a member of the event and what it equals belong together";
        if (!mistake && action->equals && !binding_is_plain(action->equals))
                mistake = "a binding is not plain";
        return mistake;
}

/* --- arguments -------------------------------------------------------------------------------------------------- */

/* The value of an argument, the caller's; 0, -ENOENT: none, -EAGAIN: not before the reply, -ENOMEM, or -EINVAL. */
static int value_of(struct request *r, const struct action_use *use, const struct qmp_entity *command,
                    const struct action_argument *a, struct json_object **ret_value)
{
        _cleanup_(qmp_freep) char *why = NULL;
        int e;

        if (a->reply && use->words.explain) {
                char text[100];

                snprintf(text, sizeof(text), "<%.60s of reply %u>", a->reply, a->step + 1);
                *ret_value = json_object_new_string(text);
                return *ret_value ? 0 : -ENOMEM;
        }
        if (a->reply)
                return -EAGAIN;
        if (a->constant)
                return qmp_json_parse(a->constant, ret_value, &why);
        if (a->record) {
                *ret_value = json_object_get(binding_get(a->record, use->record));
                return *ret_value ? 0 : -ENOENT;
        }
        e = use->args ? qmp_args_value(use->args, a->written, command, a->name, ret_value, &why) : -ENOENT;
        return why ? request_fail(r, e, NULL, "%s", why) : e;
}

int action_build(struct request *r, const struct action_use *use, const struct qmp_schema *schema,
                 const struct action_command *c, struct json_object **ret_arguments)
{
        const struct qmp_entity *command;
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        bool has_value = true, is_whole = true;
        int e = 0;

        *ret_arguments = NULL;
        if (!c->arguments[0].name)
                return 0;
        command = qmp_entities_find(&schema->commands, c->command);
        if (!command)
                return request_fail(r, -EOPNOTSUPP, NULL, "this server has no command '%s'", c->command);
        arguments = json_object_new_object();
        if (!arguments)
                return -ENOMEM;
        for (const struct action_argument *a = c->arguments; a->name; a++) {
                struct json_object *value = NULL;

                if (a->otherwise && has_value)
                        continue;
                e = value_of(r, use, command, a, &value);
                has_value = e == 0 || e == -EAGAIN;
                is_whole = is_whole && e != -EAGAIN && !a->reply;
                if (e < 0 && e != -ENOENT && e != -EAGAIN)
                        return e;
                /* NULL: JSON's null */
                if (e == 0 && json_object_object_add(arguments, a->name, value) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        e = is_whole ? qmp_args_check_command(command, arguments, &why) : 0;
        if (e < 0)
                return why ? request_fail(r, e, NULL, "%s", why) : e;
        *ret_arguments = take_ptr(arguments);
        return 0;
}
