/*
 * query/: each query that needs no arguments, as JSON. What a QEMU has of them its schema says.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/kinds/asked_file.h"
#include "fs/kinds/catalog.h"
#include "fs/fuse/inode.h"
#include "fs/util/render.h"
#include "fs/vm/query.h"

static const struct qmp_entities *commands_of(const struct inode *inode)
{
        return &inode->vm->introspection.schema->commands;
}

/*
 * The name without its prefix; NULL: it is no query, or one that wants arguments. Before QEMU 6.2 nothing but the
 * prefix x- tells that a command is unstable.
 */
static const char *short_name(const struct qmp_entity *command, bool *ret_unstable)
{
        const char *stable = startswith(command->name, "query-"),
                   *experimental = startswith(command->name, "x-query-");
        const char *name = stable ? stable : experimental;

        if (!name || !*name || !qmp_command_needs_nothing(command))
                return NULL;
        *ret_unstable = experimental || qmp_features_have(command->features, "unstable");
        return name;
}

/* Whether the catalog has another file of that name: one of its rows, or a query that comes first. */
static bool is_taken(const struct catalog *catalog, const struct qmp_entities *commands, const char *name,
                     const struct qmp_entity *command)
{
        static const char *const prefixes[] = { "query-", "x-query-" };
        char other_name[300];

        if (catalog->rows && rows_have(catalog->rows, name))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
                const struct qmp_entity *other;
                bool unstable;

                /* no command's name has more than 255 bytes */
                snprintf(other_name, sizeof(other_name), "%s%s", prefixes[i], name);
                other = qmp_entities_find(commands, other_name);
                if (other == command)
                        return false;
                if (other && short_name(other, &unstable) && unstable == catalog->unstable)
                        return true;
        }
        return false;
}

/* The file name in that catalog, the caller's; empty: it is in none, or in the other one. NULL: out of memory. */
static char *file_name_of(const struct catalog *catalog, const struct qmp_entities *commands,
                          const struct qmp_entity *command)
{
        bool unstable;
        const char *name = short_name(command, &unstable);

        if (!name || unstable != catalog->unstable)
                return strdup("");
        if (is_taken(catalog, commands, name, command))
                name = command->name;
        return strdup(name);
}

bool queries_name(struct inode *dir, size_t i, char **ret_file_name)
{
        const struct qmp_entities *commands = commands_of(dir);

        if (i >= commands->n)
                return false;
        *ret_file_name = file_name_of(dir->row->data, commands, commands->all[i]);
        return true;
}

int queries_find(struct inode *dir, const char *file_name, const char **ret_name)
{
        const struct qmp_entities *commands = commands_of(dir);

        for (size_t i = 0; i < commands->n; i++) {
                _cleanup_(qmp_freep) char *name = NULL;
                bool unstable;

                /* most names differ at their ends, so that the name need not be built */
                if (!short_name(commands->all[i], &unstable) || !strstr(commands->all[i]->name, file_name))
                        continue;
                name = file_name_of(dir->row->data, commands, commands->all[i]);
                if (!name)
                        return -ENOMEM;
                if (streq(name, file_name)) {
                        *ret_name = commands->all[i]->name;
                        return 0;
                }
        }
        return -ENOENT;
}

static int query_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct query_spec spec = { .plan = &plan_command };
        const struct query *query;
        int e = catalog_require_name(r, inode, &spec.a);

        if (e)
                return e;
        spec.oob = qmp_entities_find(commands_of(inode), spec.a)->allow_oob;
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        return e ? e : render_json(query->value, &ret_text->data, &ret_text->size);
}

const struct kind kind_query_file = {
        .type = S_IFREG,
        .render = query_render,
};

/* --- those that no plain read may send -------------------------------------------------------------------------- */

static int asked_text(struct inode *inode, const char *name, struct text *ret_text)
{
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        int e = asked_find(&inode->vm->asked, &(struct query_spec){ .plan = &plan_command, .a = name }, &value);

        if (e == -ENOENT)
                return asked_usage(inode, name, ret_text);
        return e ? e : render_json(value, &ret_text->data, &ret_text->size);
}

static int asked_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        const char *name;
        int e = catalog_require_name(r, inode, &name);

        return e ? e : asked_text(inode, name, ret_text);
}

static int64_t asked_size(struct inode *inode)
{
        struct text text = { 0 };
        const char *name;

        if (!inode->vm->introspection.schema || queries_find(inode->parent, inode->name, &name) < 0 ||
            asked_text(inode, name, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

static int keep(struct vm *vm, const struct query_spec *spec, struct json_object *value)
{
        return asked_keep(&vm->asked, spec, value);
}

static int query_asked_write(struct request *r, struct file *file)
{
        struct query_spec spec = { .plan = &plan_command, .asked = true };
        int e = catalog_require_name(r, file->inode, &spec.a);

        if (e)
                return e;
        spec.oob = qmp_entities_find(commands_of(file->inode), spec.a)->allow_oob;
        return asked_write(r, &spec, keep);
}

const struct kind kind_query_asked = {
        .type = S_IFREG,
        .own_inode = true,
        .render = asked_render,
        .write = query_asked_write,
        .size = asked_size,
};
