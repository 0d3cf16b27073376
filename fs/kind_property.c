/*
 * QOM properties as files: which there are comes from qom-list, each value from a qom-get of its own. A property is
 * always one file, scalars bare and structures as JSON: what type it has shows only when it is read.
 */
#include <errno.h>

#include "inode.h"
#include "kinds.h"
#include "qmp/message.h"
#include "render.h"

static const struct kind kind_property;

/* The inode's own snapshot, made when it is first needed. */
static int own_snapshot(struct inode *inode, const struct fetch_spec *spec, struct snapshot **ret_snapshot)
{
        int r = inode->snapshot ? 0 : snapshot_new(inode->vm, spec, &inode->snapshot);

        if (r == 0)
                *ret_snapshot = inode->snapshot;
        return r;
}

/* Makes sure of the list of the properties of the object in directory @dir. */
static int require_list(struct request *r, struct inode *dir, enum freshness freshness,
                        struct json_object **ret_properties)
{
        struct fetch_spec spec = { .kind = FETCH_PROPERTIES };
        struct snapshot *snapshot;
        struct json_object *record;
        int e = object_require(dir->object, r, FRESH_STRUCTURE, &record);

        if (e)
                return e;
        /* no path leads to the object, so its properties can't be queried */
        *ret_properties = NULL;
        spec.a = dir->object->device;
        if (!spec.a)
                return 0;
        spec.b = qmp_json_get_string(record, "driver");
        e = own_snapshot(dir, &spec, &snapshot);
        if (e == 0)
                e = snapshot_require(snapshot, r, freshness);
        if (e)
                return e;
        *ret_properties = snapshot->value;
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
        int e = require_list(r, dir, FRESH_STRUCTURE, &properties);

        if (e)
                return e;
        e = property_find(properties, file_name, ret_name, NULL);
        if (e != -ENOENT || !properties || snapshot_is_news(dir->snapshot, r))
                return e;
        e = require_list(r, dir, FRESH_CONTENT, &properties);
        return e ? e : property_find(properties, file_name, ret_name, NULL);
}

int property_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        const char *property;
        int e = require_name(r, dir, name, &property);

        return e ? e : inode_child(dir, name, &(struct inode_args){ .kind = &kind_property }, ret_inode);
}

int property_list(struct request *r, struct inode *dir, const struct row *hidden, struct listing *listing)
{
        struct json_object *properties;
        int e = require_list(r, dir, FRESH_STRUCTURE, &properties);

        if (e || !properties)
                return e;
        json_object_object_foreach(properties, property, type) {
                _cleanup_(qmp_freep) char *name = render_name(property, strlen(property));

                (void)type;

                if (!name)
                        return -ENOMEM;
                if (rows_have(hidden, name))
                        continue;
                e = listing_add(listing, name, S_IFREG, inode_child_ino(dir, name));
                if (e < 0)
                        return e;
        }
        return 0;
}

bool property_has_gone(const struct request *r, int error)
{
        return error == -ENOENT || (error == -EINVAL && r->reason && strstr(r->reason, "' not found"));
}

static int property_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct fetch_spec spec = { .kind = FETCH_PROPERTY };
        struct snapshot *snapshot;
        const struct snapshot *list = inode->parent->snapshot;
        int e = object_is_alive(inode->object) ? 0 : -ENODEV;

        /*
         * Only those who are read have a snapshot: a walk that looks at all of them shall not cost that memory. What
         * the property is called can't have changed since the lookup.
         */
        if (e == 0 && !inode->snapshot && !strchr(inode->name, '%'))
                spec.b = inode->name;
        else if (e == 0 && !inode->snapshot && list && list->has_value)
                e = property_find(list->value, inode->name, &spec.b, NULL);
        if (e == -ENOENT)
                e = 0;
        if (e == 0 && !inode->snapshot && !spec.b)
                e = require_name(r, inode->parent, inode->name, &spec.b);
        spec.a = inode->object->device;
        if (e == 0)
                e = own_snapshot(inode, &spec, &snapshot);
        if (e == 0)
                e = snapshot_require(snapshot, r, FRESH_CONTENT);
        if (e)
                return property_has_gone(r, e) ? -ENODEV : e;
        return render_value(snapshot->value, &ret_text->data, &ret_text->size);
}

void property_release(struct file *file)
{
        struct inode *inode = file->inode;

        /* unless somebody waits for it, or it is costly and may be used again */
        if (inode->snapshot && snapshot_is_idle(inode->snapshot) && !snapshot_is_costly(inode->snapshot))
                inode->snapshot = snapshot_unref(inode->snapshot);
}

static const struct kind kind_property = {
        .type = S_IFREG,
        .render = property_render,
        .release = property_release,
};

static int properties_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct fetch_spec spec = { .kind = FETCH_OBJECT, .a = inode->object->device };
        struct snapshot *snapshot;
        int e;

        if (!object_is_alive(inode->object))
                return -ENODEV;
        if (!spec.a)
                return request_fail(r, -ENODEV, NULL, "QEMU cannot name a device with this id");
        e = own_snapshot(inode, &spec, &snapshot);
        if (e == 0)
                e = snapshot_require(snapshot, r, FRESH_CONTENT);
        return e ? e : render_json(snapshot->value, &ret_text->data, &ret_text->size);
}

const struct kind kind_properties = {
        .type = S_IFREG,
        .render = properties_render,
        .release = property_release,
};
