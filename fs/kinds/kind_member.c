/*
 * A JSON value as files: a scalar is a file, an object or array a directory of its members or elements. A member's
 * inode knows its object and, by its name and its parents', the way to its value from the object's record; nothing is
 * kept that a new record could make wrong.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "fs/util/render.h"

static const struct kind kind_member, kind_member_dir;

static bool is_structure(struct json_object *value)
{
        return json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array);
}

static bool find_index(struct json_object *array, const char *name, struct json_object **ret_value)
{
        char *end;
        unsigned long i;

        /* exactly as it is listed: no sign, no leading zero */
        if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && name[1]))
                return false;
        errno = 0;
        i = strtoul(name, &end, 10);
        if (errno || *end || i >= json_object_array_length(array))
                return false;
        *ret_value = json_object_array_get_idx(array, i);
        return true;
}

/* By file name: 0, -ENOENT or -ENOMEM. A value may be JSON null, which is NULL. */
static int find(struct json_object *value, const char *name, struct json_object **ret_value)
{
        _cleanup_(qmp_freep) char *own = NULL;

        if (json_object_is_type(value, json_type_array))
                return find_index(value, name, ret_value) ? 0 : -ENOENT;
        if (!json_object_is_type(value, json_type_object))
                return -ENOENT;
        /* a name without "%" and the characters that it escapes is the key itself, if there is one */
        own = render_name(name, strlen(name));
        if (!own)
                return -ENOMEM;
        if (streq(own, name))
                return json_object_object_get_ex(value, name, ret_value) ? 0 : -ENOENT;
        json_object_object_foreach(value, key, member) {
                _cleanup_(qmp_freep) char *encoded = render_name(key, strlen(key));

                if (!encoded)
                        return -ENOMEM;
                if (streq(encoded, name)) {
                        *ret_value = member;
                        return 0;
                }
        }
        return -ENOENT;
}

/* The member's value within its object's @record; as find(). */
static int resolve(struct inode *inode, struct json_object *record, struct json_object **ret_value)
{
        struct json_object *parent = record;
        int r = inode->parent->kind == &kind_member_dir ? resolve(inode->parent, record, &parent) : 0;

        return r < 0 ? r : find(parent, inode->name, ret_value);
}

int member_lookup(struct inode *dir, struct json_object *value, const char *name, struct inode **ret_inode)
{
        struct json_object *member;
        int r = find(value, name, &member);

        if (r < 0)
                return r;
        return inode_child(dir, name,
                           &(struct inode_args){ .kind = is_structure(member) ? &kind_member_dir : &kind_member },
                           ret_inode);
}

static int add(struct inode *dir, struct listing *listing, const char *name, struct json_object *value)
{
        return listing_add(listing, name, is_structure(value) ? S_IFDIR : S_IFREG, inode_child_ino(dir, name));
}

int member_list(struct inode *dir, struct json_object *value, const struct row *hidden, struct listing *listing)
{
        int r;

        if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++) {
                        char name[24];

                        snprintf(name, sizeof(name), "%zu", i);
                        r = add(dir, listing, name, json_object_array_get_idx(value, i));
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        if (!json_object_is_type(value, json_type_object))
                return 0;
        json_object_object_foreach(value, key, member) {
                _cleanup_(qmp_freep) char *name = render_name(key, strlen(key));

                if (!name)
                        return -ENOMEM;
                if (hidden && rows_have(hidden, name))
                        continue;
                r = add(dir, listing, name, member);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* -ENODEV: the object or this member of it has gone. */
static int require(struct request *r, struct inode *inode, enum freshness freshness, struct json_object **ret_value)
{
        struct json_object *record;
        int e = object_require(inode->object, &r->waiter, freshness, &record);

        if (e == 0)
                e = resolve(inode, record, ret_value);
        return e == -ENOENT ? -ENODEV : e;
}

static int member_dir_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        struct json_object *value;
        int e = require(r, dir, FRESH_STRUCTURE, &value);

        if (e)
                return e;
        e = member_lookup(dir, value, name, ret_inode);
        if (e != -ENOENT || query_is_news(dir->object->collection->query, &r->waiter))
                return e;
        e = require(r, dir, FRESH_CONTENT, &value);
        return e ? e : member_lookup(dir, value, name, ret_inode);
}

static int member_dir_list(struct request *r, struct inode *dir, struct listing *listing)
{
        struct json_object *value;
        int e = require(r, dir, FRESH_STRUCTURE, &value);

        if (e)
                return e;
        return is_structure(value) ? member_list(dir, value, NULL, listing) : -ENODEV;
}

static int member_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct json_object *value;
        int e = require(r, inode, FRESH_CONTENT, &value);

        if (e)
                return e;
        return is_structure(value) ? -ENODEV : render_value(value, &ret_text->data, &ret_text->size);
}

static int64_t member_size(struct inode *inode)
{
        struct json_object *record = object_record(inode->object), *value;
        size_t size;
        char *text;

        if (!record || resolve(inode, record, &value) < 0 || render_value(value, &text, &size) < 0)
                return -1;
        free(text);
        return (int64_t)size;
}

static const struct kind kind_member_dir = {
        .type = S_IFDIR,
        .lookup = member_dir_lookup,
        .list = member_dir_list,
};

static const struct kind kind_member = {
        .type = S_IFREG,
        .render = member_render,
        .size = member_size,
};
