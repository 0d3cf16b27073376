/*
 * Collections and the object directories in them. A collection holds nothing but objects; an object directory holds
 * the rows of its collection and then the object's members, or the properties of its device.
 */
#include <errno.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"

static int object_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        const struct each *each = dir->object->collection->each;
        struct json_object *record;
        int e = object_require(dir->object, &r->waiter, FRESH_STRUCTURE, &record);

        if (e)
                return e;
        e = rows_lookup(r, each->rows, dir, name, record, ret_inode);
        if (e != -ENOENT || rows_have(each->rows, name))
                return e;
        if (each->properties)
                return property_lookup(r, dir, name, ret_inode);
        e = member_lookup(dir, record, name, ret_inode);
        if (e != -ENOENT || query_is_news(dir->object->collection->query, &r->waiter))
                return e;
        e = object_require(dir->object, &r->waiter, FRESH_CONTENT, &record);
        return e ? e : member_lookup(dir, record, name, ret_inode);
}

static int object_list(struct request *r, struct inode *dir, struct listing *listing)
{
        const struct each *each = dir->object->collection->each;
        struct json_object *record;
        int e = object_require(dir->object, &r->waiter, FRESH_STRUCTURE, &record);

        if (e)
                return e;
        if (each->properties) {
                e = property_list(r, dir, each->rows, listing);
                return e ? e : rows_list(r, each->rows, dir, record, listing);
        }
        e = rows_list(r, each->rows, dir, record, listing);
        return e ? e : member_list(dir, record, each->rows, listing);
}

static const struct kind kind_object = {
        .type = S_IFDIR,
        .lookup = object_lookup,
        .list = object_list,
};

static int collection_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        struct collection *c;
        struct object *object;
        int e = collection_get(dir->vm, dir->row->data, &c);

        if (e)
                return e;
        e = collection_require(c, &r->waiter, FRESH_STRUCTURE);
        object = collection_find(c, name);
        /* without a connection, an outcome can still be read: there is nothing else that has the name */
        if (e && !(e == -EHOSTDOWN && object && object->kept))
                return e;
        if (!object && !query_is_news(c->query, &r->waiter)) {
                /* it may have come just now */
                e = collection_require(c, &r->waiter, FRESH_CONTENT);
                if (e)
                        return e;
                object = collection_find(c, name);
        }
        if (!object)
                return -ENOENT;
        return inode_child(dir, name,
                           &(struct inode_args){ .kind = &kind_object, .object = object, .ino = object->serial },
                           ret_inode);
}

static int collection_list(struct request *r, struct inode *dir, struct listing *listing)
{
        struct collection *c;
        int e = collection_get(dir->vm, dir->row->data, &c);

        if (e)
                return e;
        e = collection_require(c, &r->waiter, FRESH_STRUCTURE);
        if (e)
                return e;
        for (struct lh_entry *i = lh_table_head(c->objects); i; i = lh_entry_next(i)) {
                struct object *object = lh_entry_v(i);

                e = listing_add(listing, object->name, S_IFDIR, object->serial);
                if (e < 0)
                        return e;
        }
        return 0;
}

static bool collection_supported(const struct vm *vm, const struct row *row)
{
        const struct each *each = row->data;
        const char *command = query_command(&each->query);

        return !command || introspection_has(&vm->introspection, command);
}

const struct kind kind_collection = {
        .type = S_IFDIR,
        .supported = collection_supported,
        .lookup = collection_lookup,
        .list = collection_list,
};
