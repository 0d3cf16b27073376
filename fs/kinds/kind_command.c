/*
 * cmd/: each command as a file. Its arguments are written, its reply is read from the same open file; who has written
 * nothing reads how it is used.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/kinds/answer.h"
#include "fs/kinds/asked_file.h"
#include "fs/kinds/call.h"
#include "fs/kinds/catalog.h"
#include "fs/fuse/inode.h"
#include "qmp/args.h"
#include "fs/util/render.h"
#include "fs/vm/query.h"
#include "fs/fuse/session.h"

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
                e = introspection_schema(&r->vm->introspection, &r->waiter, ret_schema);
        if (e)
                return e;
        *ret_command = qmp_entities_find(&(*ret_schema)->commands, name);
        return 0;
}

/* --- the usage -------------------------------------------------------------------------------------------------- */

static const char *word_for(const struct qmp_entity *type)
{
        switch (type ? type->meta : QMP_META_EVENT) {
        case QMP_META_ARRAY:
                return "LIST";
        case QMP_META_OBJECT:
                return "OBJECT";
        case QMP_META_BUILTIN:
                return type->json == QMP_JSON_STRING    ? "STRING"
                       : type->json == QMP_JSON_INT     ? "INTEGER"
                       : type->json == QMP_JSON_NUMBER  ? "NUMBER"
                       : type->json == QMP_JSON_BOOLEAN ? "BOOLEAN"
                                                        : "VALUE";
        default:
                return "VALUE";
        }
}

/* A line to copy: the arguments that must be there. */
static void put_head(FILE *out, const struct qmp_entity *command)
{
        const char *separator = "";

        fputs("{ echo '", out);
        for (size_t i = 0; command->arg && i < command->arg->n_members; i++) {
                const struct qmp_member *argument = &command->arg->members[i];

                if (argument->optional)
                        continue;
                fprintf(out, "%s%s=%s", separator, argument->name, word_for(argument->type));
                separator = " ";
        }
        fprintf(out, "' >&3 && cat <&3; } 3<>%s\n\n", command->name);
        if (type_argument(command->name))
                fprintf(out, "The properties of the %s, listed in types/, are also arguments.\n\n",
                        type_argument(command->name));
}

/* All of it, @description in the middle. */
static int usage(const struct inode *inode, const struct qmp_entity *command, const char *description,
                 struct text *ret_text)
{
        FILE *out = open_memstream(&ret_text->data, &ret_text->size);

        if (!out)
                return -ENOMEM;
        put_head(out, command);
        fprintf(out, "%s\n", description);
        outcomes_print(&inode->session->outcomes, inode->ino, out);
        return qmp_close_text(out, &ret_text->data);
}

static int describe(const struct inode *inode, const struct qmp_schema *schema, const struct qmp_entity *command,
                    struct text *ret_text)
{
        _cleanup_(qmp_freep) char *description = NULL;
        size_t size;
        int e = qmp_schema_describe(schema, command, &description, &size);

        return e < 0 ? e : usage(inode, command, description, ret_text);
}

static int command_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        const struct qmp_schema *schema;
        const struct qmp_entity *command;
        int e = require(r, inode, &schema, &command);

        return e ? e : describe(inode, schema, command, ret_text);
}

static int command_read(struct request *r, struct file *file, struct text *ret_text)
{
        int e;

        return answer_read(r, file, ret_text, &e) ? e : READ_CONTENT;
}

static int64_t command_size(struct inode *inode)
{
        const struct qmp_schema *schema = inode->vm->introspection.schema;
        const struct qmp_entity *command = schema ? qmp_entities_find(&schema->commands, inode->name) : NULL;
        int64_t size = command ? schema_text_size(schema, command) : -1;
        struct text text;

        if (size < 0 || usage(inode, command, "", &text) < 0)
                return -1;
        free(text.data);
        return size + (int64_t)text.size;
}

/* --- the call --------------------------------------------------------------------------------------------------- */

static int command_done(struct request *r, struct json_object *value)
{
        struct text text;
        int e = render_value(value, &text.data, &text.size);

        return e == 0 ? answer_set(r->file, &text) : e;
}

/* Both of the call and, as long as the request waits for something else, of the request itself. */
static void command_failed(struct request *r, int error)
{
        if (error < 0)
                answer_set_error(r->file, r, error);
}

/*
 * The properties that are also arguments, owned by the caller; NULL: the command has none; empty: left to QEMU's
 * check.
 */
static int require_properties(struct request *r, const struct qmp_args *args, const struct qmp_entity *command,
                              struct json_object **ret_properties)
{
        struct query_spec spec = { .plan = &plan_type, .asked = true };
        const struct query *query;
        const char *argument = type_argument(command->name);
        int e;

        *ret_properties = NULL;
        spec.a = argument ? qmp_args_get(args, argument) : NULL;
        if (!spec.a)
                return 0;
        e = asked_find(&r->vm->asked, &spec, ret_properties);
        if (e != -ENOENT)
                return e;
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        if (e == 0) {
                *ret_properties = json_object_get(query->value);
                e = types_keep(r->vm, &spec, *ret_properties);
                /* what can't be kept is good for now */
                return e == -EPROTO ? 0 : e;
        }
        /* an alias ("virtio-net"), or a mistake; the command's own words for that are better than the query's */
        if (e == -ENODEV || e == -EINVAL) {
                *ret_properties = json_object_new_array();
                e = *ret_properties ? 0 : -ENOMEM;
        }
        return e;
}

static int parse(struct request *r, const struct qmp_entity *command, struct json_object **ret_arguments)
{
        _cleanup_(qmp_args_freep) struct qmp_args *args = NULL;
        _cleanup_(qmp_json_putp) struct json_object *properties = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
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
        return call_start(r, &(struct call_args){
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
        .render = command_render,
        .read = command_read,
        .write = command_write,
        .json = "{",
        .refuse = answer_refuse,
        .release = answer_free,
        .size = command_size,
};
