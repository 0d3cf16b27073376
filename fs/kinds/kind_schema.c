/*
 * schema/: what the schema has, as text for people. The catalogs of what the schema lists say in which list.
 */
#include <errno.h>

#include "fs/kinds/catalog.h"
#include "fs/fuse/inode.h"

static const struct qmp_schema *schema_of(const struct inode *inode)
{
        return inode->vm->introspection.schema;
}

static const struct qmp_entities *entities_of(const struct inode *dir)
{
        const struct catalog *catalog = dir->row->data;
        const struct qmp_schema *schema = schema_of(dir);

        switch (catalog->meta) {
        case QMP_META_COMMAND:
                return &schema->commands;
        case QMP_META_EVENT:
                return &schema->events;
        default:
                return &schema->types;
        }
}

int schema_require(struct request *r, struct inode *dir)
{
        const struct qmp_schema *schema;

        (void)dir;
        return introspection_schema(&r->vm->introspection, &r->waiter, &schema);
}

/* The schema's names are file names. */
int schema_find(struct inode *dir, const char *file_name, const char **ret_name)
{
        const struct qmp_entity *entity = qmp_entities_find(entities_of(dir), file_name);

        if (!entity)
                return -ENOENT;
        *ret_name = entity->name;
        return 0;
}

bool schema_name(struct inode *dir, size_t i, char **ret_file_name)
{
        const struct qmp_entities *entities = entities_of(dir);

        if (i >= entities->n)
                return false;
        *ret_file_name = strdup(entities->all[i]->name);
        return true;
}

/*
 * A line to copy, which waits for an event. It stands here, since `events` itself is nothing but lines of JSON for
 * those who read them. The caller's; NULL: out of memory.
 */
static char *usage(const struct qmp_entity *entity)
{
        char *text = NULL;

        if (entity->meta != QMP_META_EVENT)
                return strdup("");
        if (asprintf(&text, "\n{ echo '%s timeout=60' >&3 && read -r event <&3; } 3<>events\n", entity->name) < 0)
                return NULL;
        return text;
}

static int schema_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        _cleanup_(qmp_freep) char *line = NULL;
        const struct qmp_entity *entity;
        struct text text;
        const char *name;
        char *whole;
        int e = catalog_require_name(r, inode, &name);

        if (e)
                return e;
        entity = qmp_entities_find(entities_of(inode->parent), name);
        line = usage(entity);
        e = line ? qmp_schema_describe(schema_of(inode), entity, &text.data, &text.size) : -ENOMEM;
        if (e < 0)
                return e;
        whole = realloc(text.data, text.size + strlen(line) + 1);
        if (!whole) {
                free(text.data);
                return -ENOMEM;
        }
        memcpy(whole + text.size, line, strlen(line) + 1);
        ret_text->data = whole;
        ret_text->size = text.size + strlen(line);
        return 0;
}

int64_t schema_text_size(const struct qmp_schema *schema, const struct qmp_entity *entity)
{
        struct text text;

        if (entity->text_size > 0)
                return (int64_t)entity->text_size;
        if (qmp_schema_describe(schema, entity, &text.data, &text.size) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

static int64_t schema_size(struct inode *inode)
{
        const struct qmp_entity *entity =
                schema_of(inode) ? qmp_entities_find(entities_of(inode->parent), inode->name) : NULL;

        _cleanup_(qmp_freep) char *line = entity ? usage(entity) : NULL;
        int64_t size = line ? schema_text_size(schema_of(inode), entity) : -1;

        return size < 0 ? -1 : size + (int64_t)strlen(line);
}

const struct kind kind_schema = {
        .type = S_IFREG,
        .render = schema_render,
        .size = schema_size,
};
