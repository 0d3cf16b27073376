/*
 * cmd/: each command as a file. Its arguments are written, its reply is read from the same open file; who has written
 * nothing reads how it is used.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/kinds/answer.h"
#include "fs/kinds/arguments.h"
#include "fs/kinds/catalog.h"
#include "fs/fuse/inode.h"
#include "fs/util/render.h"
#include "fs/fuse/session.h"

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
        if (arguments_type(command->name))
                fprintf(out, "The properties of the %s, listed in types/, are also arguments.\n\n",
                        arguments_type(command->name));
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

static int start(struct request *r)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        const struct qmp_schema *schema;
        const struct qmp_entity *command;
        _cleanup_(qmp_args_freep) struct qmp_args *args = NULL;
        struct action_use use = { .action = &action_written, .done = command_done, .failed = command_failed };
        int e = require(r, r->inode, &schema, &command);

        if (e)
                return e;
        use.words.after = command;
        e = arguments_parse(r, r->data, &use.words, &args);
        if (e == 0)
                e = arguments_build(r, args, &use.words, command, &arguments);
        if (e)
                return e;
        use.name = use.command = command->name;
        use.arguments = arguments;
        use.oob = command->allow_oob;
        return action_start(r, &use);
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
        .read = answer_or_content,
        .write = command_write,
        .json = "{",
        .refuse = answer_refuse,
        .release = answer_free,
        .size = command_size,
};
