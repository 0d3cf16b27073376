/*
 * QOM properties as files: which there are comes from qom-list, each value from a qom-get of its own. A property is
 * always one file, scalars bare and structures as JSON: what type it has shows only when it is read.
 */
#include <errno.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "qmp/message.h"
#include "fs/util/render.h"

static const struct kind kind_property;

/* The query for the list of the properties of an object's device. */
static struct query_spec list_of(const struct object *object, struct json_object *record)
{
        return (struct query_spec){
                .plan = &plan_properties,
                .a = object->device,
                .b = qmp_json_get_string(record, "driver"),
        };
}

/*
 * Makes sure of the list of the properties of the object in directory @dir. *ret_is_news: it comes from a query after
 * the request's arrival.
 */
static int require_list(struct request *r, struct inode *dir, enum freshness freshness,
                        struct json_object **ret_properties, bool *ret_is_news)
{
        const struct query *query;
        struct query_spec spec;
        struct json_object *record;
        int e = object_require(dir->object, &r->waiter, FRESH_STRUCTURE, &record);

        if (e)
                return e;
        /* no path leads to the object, so its properties can't be queried */
        *ret_properties = NULL;
        *ret_is_news = true;
        if (!dir->object->device)
                return 0;
        spec = list_of(dir->object, record);
        e = query_require(&r->waiter, &spec, freshness, &query);
        if (e)
                return e;
        *ret_properties = query->value;
        *ret_is_news = query_is_news(query, &r->waiter);
        return 0;
}

int property_find(struct json_object *properties, const char *file_name, const char **ret_name, const char **ret_type)
{
        _cleanup_(qmp_freep) char *own = render_name(file_name, strlen(file_name));
        struct lh_entry *entry = NULL;

        if (!own)
                return -ENOMEM;
        if (!properties)
                return -ENOENT;
        /* a name without "%" and the characters that it escapes is the property's own name, if there is one */
        if (streq(own, file_name)) {
                entry = lh_table_lookup_entry(json_object_get_object(properties), file_name);
        } else {
                for (entry = lh_table_head(json_object_get_object(properties)); entry; entry = lh_entry_next(entry)) {
                        char *encoded = render_name(lh_entry_k(entry), strlen(lh_entry_k(entry)));
                        bool failed = !encoded, is_it = encoded && streq(encoded, file_name);

                        free(encoded);
                        if (failed)
                                return -ENOMEM;
                        if (is_it)
                                break;
                }
        }
        if (!entry)
                return -ENOENT;
        *ret_name = lh_entry_k(entry);
        if (ret_type)
                *ret_type = json_object_get_string(lh_entry_v(entry));
        return 0;
}

/* The name, borrowed, of the property behind a file in @dir. */
static int require_name(struct request *r, struct inode *dir, const char *file_name, const char **ret_name)
{
        struct json_object *properties;
        bool is_news;
        int e = require_list(r, dir, FRESH_STRUCTURE, &properties, &is_news);

        if (e)
                return e;
        e = property_find(properties, file_name, ret_name, NULL);
        if (e != -ENOENT || is_news)
                return e;
        e = require_list(r, dir, FRESH_CONTENT, &properties, &is_news);
        return e ? e : property_find(properties, file_name, ret_name, NULL);
}

int property_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        struct inode_args args = { .kind = &kind_property };
        int e = require_name(r, dir, name, &args.qemu_name);

        return e ? e : inode_child(dir, name, &args, ret_inode);
}

static int add_property(struct inode *dir, const struct row *hidden, const char *property, struct listing *listing)
{
        _cleanup_(qmp_freep) char *name = render_name(property, strlen(property));

        if (!name)
                return -ENOMEM;
        return rows_have(hidden, name) ? 0 : listing_add(listing, name, S_IFREG, inode_child_ino(dir, name));
}

int property_list(struct request *r, struct inode *dir, const struct row *hidden, struct listing *listing)
{
        struct json_object *properties;
        bool is_news;
        int e = require_list(r, dir, FRESH_STRUCTURE, &properties, &is_news);

        if (e || !properties)
                return e;
        json_object_object_foreach(properties, property, type) {
                (void)type;
                e = add_property(dir, hidden, property, listing);
                if (e < 0)
                        return e;
        }
        return 0;
}

bool property_has_gone(const struct request *r, int error)
{
        return error == -ENOENT || (error == -EINVAL && r->waiter.reason && strstr(r->waiter.reason, "' not found"));
}

static int property_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct query_spec spec = { .plan = &plan_property, .b = inode->name };
        const struct query *query;
        int e = object_is_alive(inode->object) ? 0 : -ENODEV;

        spec.a = inode->object->device;
        if (inode->qemu_name)
                spec.b = inode->qemu_name;
        if (e == 0)
                e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        if (e)
                return property_has_gone(r, e) ? -ENODEV : e;
        return render_value(query->value, &ret_text->data, &ret_text->size);
}

static const struct kind kind_property = {
        .type = S_IFREG,
        .render = property_render,
};

static int properties_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct query_spec spec = { .plan = &plan_object, .a = inode->object->device };
        const struct query *query;
        int e;

        if (!object_is_alive(inode->object))
                return -ENODEV;
        if (!spec.a)
                return request_fail(r, -ENODEV, NULL, "QEMU cannot name a device with this id");
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        return e ? e : render_json(query->value, &ret_text->data, &ret_text->size);
}

const struct kind kind_properties = {
        .type = S_IFREG,
        .render = properties_render,
};
