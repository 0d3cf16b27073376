/*
 * schema/: what the schema has, as text for people. The catalogs of what the schema lists say in which list.
 */
#include <errno.h>

#include "catalog.h"
#include "inode.h"
#include "render.h"

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
        return introspection_schema(r, &schema);
}

const char *schema_find(struct inode *dir, const char *file_name)
{
        const struct qmp_entities *entities = entities_of(dir);
        const struct qmp_entity *entity = strchr(file_name, '%') ? NULL : qmp_entities_find(entities, file_name);

        if (entity)
                return entity->name;
        /* only a name that is not its own file name is not found by it */
        for (size_t i = 0; strchr(file_name, '%') && i < entities->n; i++) {
                const char *name = entities->all[i]->name;
                _cleanup_(qmp_freep) char *encoded = render_name(name, strlen(name));

                if (encoded && streq(encoded, file_name))
                        return name;
        }
        return NULL;
}

bool schema_name(struct inode *dir, size_t i, char **ret_file_name)
{
        const struct qmp_entities *entities = entities_of(dir);

        if (i >= entities->n)
                return false;
        *ret_file_name = render_name(entities->all[i]->name, strlen(entities->all[i]->name));
        return true;
}

static int describe(struct inode *inode, struct text *ret_text)
{
        const char *name = schema_find(inode->parent, inode->name);
        const struct qmp_entity *entity = name ? qmp_entities_find(entities_of(inode->parent), name) : NULL;

        return entity ? qmp_schema_describe(schema_of(inode), entity, &ret_text->data, &ret_text->size) : -ENODEV;
}

static int schema_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        const char *name;
        int e = catalog_require_name(r, inode, &name);

        return e ? e : describe(inode, ret_text);
}

static int64_t schema_size(struct inode *inode)
{
        struct text text;

        if (!schema_of(inode) || describe(inode, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

const struct kind kind_schema = {
        .type = S_IFREG,
        .render = schema_render,
        .size = schema_size,
};
