/*
 * cmd/: each command as a file. Its arguments are written, its reply is read from the same open file; who has written
 * nothing reads how it is used.
 */
#include <errno.h>
#include <stdio.h>

#include "answer.h"
#include "call.h"
#include "catalog.h"
#include "inode.h"
#include "qmp/args.h"
#include "render.h"
#include "snapshot.h"

/*
 * Commands that take more than the schema says, because a type's properties are their arguments: which argument names
 * the type. (QEMU 7.2 to 10.1; object-add and netdev_add are whole in the schema.)
 */
static const struct {
        const char *command, *type;
} open_commands[] = {
        { "device_add", "driver" },
};

static const char *type_argument(const char *command)
{
        for (size_t i = 0; i < ARRAY_SIZE(open_commands); i++)
                if (streq(open_commands[i].command, command))
                        return open_commands[i].type;
        return NULL;
}

static int require(struct request *r, struct inode *inode, const struct qmp_schema **ret_schema,
                   const struct qmp_entity **ret_command)
{
        const char *name;
        int e = catalog_require_name(r, inode, &name);

        if (e == 0)
                e = introspection_schema(r, ret_schema);
        if (e)
                return e;
        *ret_command = qmp_entities_find(&(*ret_schema)->commands, name);
        return 0;
}

/* --- the usage --------------------------------------------------------------------------------------------------- */

static void put_argument(FILE *out, const char *separator, const struct qmp_member *argument)
{
        _cleanup_(qmp_freep) char *words = qmp_type_words(argument->type);
        char *end = words ? words + strcspn(words, " (,") : NULL;

        /* "object (type 49)", "one of a, b", "list of string": the first word will do, but for the choice */
        if (end)
                *end = '\0';
        for (char *c = words; c && *c; c++)
                *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        fprintf(out, "%s%s=%s", separator, argument->name, !words || streq(words, "ONE") ? "WORD" : words);
}

static int usage(const struct qmp_schema *schema, const struct qmp_entity *command, struct text *ret_text)
{
        _cleanup_(qmp_freep) char *description = NULL;
        const char *separator = "";
        size_t size;
        FILE *out;
        int e = qmp_schema_describe(schema, command, &description, &size);

        if (e < 0)
                return e;
        out = open_memstream(&ret_text->data, &ret_text->size);
        if (!out)
                return -ENOMEM;
        fprintf(out, "{ echo '");
        for (size_t i = 0; command->arg && i < command->arg->n_members; i++) {
                if (command->arg->members[i].optional)
                        continue;
                put_argument(out, separator, &command->arg->members[i]);
                separator = " ";
        }
        fprintf(out, "' >&3 && cat <&3; } 3<>%s\n\n%s", command->name, description);
        if (type_argument(command->name))
                fprintf(out, "\nand the properties of the %s: see types/\n", type_argument(command->name));
        e = ferror(out) ? -ENOMEM : 0;
        if (fclose(out) != 0)
                e = -ENOMEM;
        if (e < 0)
                free(ret_text->data);
        return e;
}

static int command_read(struct request *r, struct file *file, struct text *ret_text)
{
        const struct qmp_schema *schema;
        const struct qmp_entity *command;
        struct text text;
        int e;

        if (answer_read(r, file, ret_text, &e))
                return e;
        e = require(r, r->inode, &schema, &command);
        if (e == 0)
                e = usage(schema, command, &text);
        if (e)
                return e;
        return request_slice(r, &text, ret_text);
}

static int64_t command_size(struct inode *inode)
{
        const struct qmp_schema *schema = inode->vm->introspection.schema;
        const char *name = schema ? schema_find(inode->parent, inode->name) : NULL;
        struct text text;

        if (!name || usage(schema, qmp_entities_find(&schema->commands, name), &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

/* --- the call ---------------------------------------------------------------------------------------------------- */

static int command_done(struct request *r, struct json_object *value)
{
        struct text text;
        int e = render_value(value, &text.data, &text.size);

        if (e == 0)
                answer_set(r->file, &text);
        return e;
}

/* Both of the call and, as long as the request waits for something else, of the request itself. */
static void command_failed(struct request *r, int error)
{
        if (error < 0)
                answer_set_error(r->file, r, error);
}

/* The properties that are arguments, too; NULL if the command has no such. */
static int require_properties(struct request *r, const struct qmp_args *args, const struct qmp_entity *command,
                              struct json_object **ret_properties)
{
        struct fetch_spec spec = { .kind = FETCH_TYPE };
        const char *argument = type_argument(command->name);
        int e;

        *ret_properties = NULL;
        spec.a = argument ? qmp_args_get(args, argument) : NULL;
        if (!spec.a)
                return 0;
        if (!r->snapshot) {
                e = snapshot_new(r->vm, &spec, &r->snapshot);
                if (e < 0)
                        return e;
        }
        e = snapshot_require(r->snapshot, r, FRESH_CONTENT);
        if (e == 0)
                *ret_properties = r->snapshot->value;
        /* QEMU's words are about the arguments of the query, which the user hasn't heard of */
        if (e == -ENODEV || e == -EINVAL)
                return request_fail(r, -EINVAL, NULL, "'%s': no such device type: '%.60s'; types/ lists them",
                                    argument, spec.a);
        return e;
}

static int parse(struct request *r, const struct qmp_entity *command, struct json_object **ret_arguments)
{
        _cleanup_(qmp_args_freep) struct qmp_args *args = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        struct json_object *properties;
        int e = qmp_args_parse(r->data, &args, &why);

        if (e == 0)
                e = require_properties(r, args, command, &properties);
        if (e == 0)
                e = qmp_args_build(args, command, properties, ret_arguments, &why);
        return why ? request_fail(r, e, NULL, "%s", why) : e;
}

static int start(struct request *r)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        const struct qmp_schema *schema;
        const struct qmp_entity *command;
        int e = require(r, r->inode, &schema, &command);

        if (e == 0)
                e = parse(r, command, &arguments);
        if (e)
                return e;
        return call_start(r, &(struct call){
                                     .command = command->name,
                                     .arguments = arguments,
                                     .oob = command->allow_oob,
                                     .done = command_done,
                                     .failed = command_failed,
                             });
}

static int command_write(struct request *r, struct file *file)
{
        int e = answer_begin(r, file);

        if (e < 0)
                return e;
        r->cancel = command_failed;
        return start(r);
}

const struct kind kind_command = {
        .type = S_IFREG,
        .own_inode = true,
        .read = command_read,
        .write = command_write,
        .release = answer_free,
        .size = command_size,
};
