/*
 * qom/: QEMU's object model. A child<> is a directory, a link<> a symbolic link, any other property a file: reading
 * is qom-get, writing qom-set, typed by the property's type. Which properties an object has comes from qom-list. A
 * directory knows its path from when it was looked up; what is in it finds its own name in the directory's list.
 *
 * A path may come to lead to another object. So what was looked up before the object was deleted, or one that it is
 * in, or before the connection was made again, is ENODEV from then on; what is looked up afterwards is another inode.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "fs/util/qdev.h"
#include "qmp/args.h"
#include "qmp/message.h"
#include "fs/util/render.h"
#include "fs/vm/query.h"

static const struct kind kind_qom_link;

/*
 * A walk over a tree that QEMU makes up as it is asked must end. The depth alone does not ensure that: with k children
 * for each object there are k^12 of them. So the product of the numbers of children along a path is limited as well.
 * Objects without children, each weighted with the reciprocal of its product, add up to at most 1 (Kraft's
 * inequality). So a walk meets at most PRODUCT_MAX of them, and at most DEPTH_MAX * PRODUCT_MAX objects.
 *
 * Of the machines of QEMU 7.2, xlnx-versal-virt has the maximum depth (7) and npcm750-evb the maximum product (54
 * million: the inputs of an interrupt controller are objects). q35 with 255 CPUs and 400 devices (7,656 objects) has 5
 * and 84,000, virt with 128 CPUs 5 and 13 million.
 */
#define DEPTH_MAX   12
#define PRODUCT_MAX (UINT64_C(1) << 28)

/* The target of an unset link, which is never an object's file name, see render_name(). */
#define NO_TARGET "%none"

static bool is_root(const struct inode *dir)
{
        return dir->parent->kind != &kind_qom;
}

/* Whether this was looked up when its path led to another object. */
static bool is_of_another(const struct inode *inode)
{
        const struct gone *gone = &inode->vm->objects.gone;
        const struct inode *dir = inode->kind == &kind_qom ? inode : inode->parent;

        if (inode->kind == &kind_qom && is_root(inode))
                return false;
        if (inode->epoch < gone_since(gone, NULL))
                return true;
        for (; !is_root(dir); dir = dir->parent)
                if (dir->epoch < gone_since(gone, dir->qemu_name))
                        return true;
        return false;
}

static int fail_gone(struct request *r)
{
        return request_fail(r, -ENODEV, NULL, "the object was deleted");
}

/* The number never shrinks, so that nothing is gained by showing a walk one child at a time. */
static void count_children(struct inode *dir, const struct query *list)
{
        uint64_t n = 0;

        if (dir->counted == list->serial)
                return;
        json_object_object_foreach(list->value, property, type) {
                (void)property;
                n += startswith(json_object_get_string(type), "child<") != NULL;
        }
        if (n > dir->n_children)
                dir->n_children = n;
        dir->counted = list->serial;
}

/* Whether the directory's children are still among the objects that a walk may meet. */
static int check_product(struct request *r, const struct inode *dir)
{
        uint64_t product = 1;

        for (;; dir = dir->parent) {
                /* neither factor exceeds 2^32: a list has at most 64 MiB */
                product *= dir->n_children ? dir->n_children : 1;
                if (product > PRODUCT_MAX)
                        return request_fail(r, -ELOOP, NULL,
                                            "too many objects: the product of the numbers of children along the path "
                                            "exceeds %" PRIu64,
                                            PRODUCT_MAX);
                if (is_root(dir))
                        return 0;
        }
}

/* The object's path, borrowed; NULL: QEMU has none. */
static const char *path_of(const struct inode *dir)
{
        return is_root(dir) ? "/" : dir->qemu_name;
}

/* Makes sure of the list of what the object has. *ret_is_news: it comes from a query after the request's arrival. */
static int require_list(struct request *r, struct inode *dir, enum freshness freshness,
                        struct json_object **ret_properties, bool *ret_is_news)
{
        struct query_spec spec = { .plan = &plan_list, .a = path_of(dir) };
        const struct query *query;
        int e;

        if (is_of_another(dir))
                return fail_gone(r);
        if (!spec.a)
                return request_fail(r, -ENODEV, NULL, "QEMU has no path to an object with this name");
        e = query_require(&r->waiter, &spec, freshness, &query);
        if (e)
                return e;
        count_children(dir, query);
        *ret_properties = query->value;
        *ret_is_news = query_is_news(query, &r->waiter);
        return 0;
}

static int require_property(struct request *r, struct inode *dir, const char *file_name, const char **ret_name,
                            const char **ret_type)
{
        struct json_object *properties;
        bool is_news;
        int e = require_list(r, dir, FRESH_STRUCTURE, &properties, &is_news);

        if (e)
                return e;
        e = property_find(properties, file_name, ret_name, ret_type);
        if (e != -ENOENT || is_news)
                return e;
        e = require_list(r, dir, FRESH_CONTENT, &properties, &is_news);
        return e ? e : property_find(properties, file_name, ret_name, ret_type);
}

static const struct kind *kind_of(const char *type)
{
        return startswith(type, "child<")  ? &kind_qom
               : startswith(type, "link<") ? &kind_qom_link
                                           : &kind_qom_property;
}

static unsigned depth_of(const char *path)
{
        unsigned depth = 0;

        for (; *path; path++)
                depth += *path == '/';
        return depth;
}

/* The path of a child, owned by the caller; NULL: QEMU has no path to it. 0 or -ENOMEM. */
static int child_path(const struct inode *dir, const char *name, char **ret_path)
{
        const char *parent = path_of(dir);

        *ret_path = NULL;
        /* QEMU takes a path apart at the slashes, whatever names there are */
        if (qdev_id_is_usable(name) && asprintf(ret_path, "%s/%s", streq(parent, "/") ? "" : parent, name) < 0) {
                *ret_path = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* An inode number belongs to one object: that of a path's next one is another. */
static uint64_t child_ino(const struct inode *dir, const char *file_name, uint64_t since)
{
        uint64_t ino = inode_child_ino(dir, file_name);

        return since ? (ino ^ since * UINT64_C(0x9e3779b97f4a7c15)) | UINT64_C(1) << 63 : ino;
}

static const struct qom_rows *rows_of(const struct inode *dir)
{
        while (!is_root(dir))
                dir = dir->parent;
        return dir->row->data;
}

static int qom_lookup(struct request *r, struct inode *dir, const char *file_name, struct inode **ret_inode)
{
        _cleanup_(qmp_freep) char *path = NULL;
        const struct qom_rows *rows = rows_of(dir);
        struct inode_args args = { 0 };
        const char *name, *type;
        int e = require_property(r, dir, file_name, &name, &type);

        if (e)
                return e;
        args.kind = kind_of(type);
        args.row = args.kind == &kind_qom_property                      ? rows->property
                   : streq(path_of(dir), "/") && streq(name, "objects") ? rows->objects
                                                                        : NULL;
        if (args.kind == &kind_qom && depth_of(path_of(dir)) >= DEPTH_MAX)
                return request_fail(r, -ELOOP, NULL, "objects nested more than %d deep", DEPTH_MAX);
        if (args.kind == &kind_qom)
                e = check_product(r, dir);
        if (e == 0 && args.kind == &kind_qom)
                e = child_path(dir, name, &path);
        if (e < 0)
                return e;
        args.since = gone_since(&dir->vm->objects.gone, path);
        args.ino = child_ino(dir, file_name, args.since);
        args.qemu_name = args.kind == &kind_qom ? path : name;
        return inode_child(dir, file_name, &args, ret_inode);
}

static int list_child(struct inode *dir, const char *property, const struct kind *kind, struct listing *listing)
{
        _cleanup_(qmp_freep) char *name = render_name(property, strlen(property)), *path = NULL;
        int e = name ? 0 : -ENOMEM;

        if (e == 0 && kind == &kind_qom)
                e = child_path(dir, property, &path);
        if (e < 0)
                return e;
        return listing_add(listing, name, kind->type, child_ino(dir, name, gone_since(&dir->vm->objects.gone, path)));
}

static int qom_list(struct request *r, struct inode *dir, struct listing *listing)
{
        struct json_object *properties;
        bool is_news;
        int e = require_list(r, dir, FRESH_STRUCTURE, &properties, &is_news);

        if (e)
                return e;
        json_object_object_foreach(properties, property, type) {
                e = list_child(dir, property, kind_of(json_object_get_string(type)), listing);
                if (e < 0)
                        return e;
        }
        return 0;
}

const struct kind kind_qom = {
        .type = S_IFDIR,
        .lookup = qom_lookup,
        .list = qom_list,
};

/* Makes sure of the property's value. */
static int require_value(struct request *r, struct inode *inode, struct json_object **ret_value)
{
        struct query_spec spec = { .plan = &plan_property, .a = path_of(inode->parent), .b = inode->name };
        const struct query *query;
        int e;

        if (is_of_another(inode))
                return fail_gone(r);
        if (inode->qemu_name)
                spec.b = inode->qemu_name;
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        if (e == 0)
                *ret_value = query->value;
        return property_has_gone(r, e) ? -ENODEV : e;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static int property_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct json_object *value;
        int e = require_value(r, inode, &value);

        return e ? e : render_value(value, &ret_text->data, &ret_text->size);
}

static int property_set(struct request *r, struct json_object *value)
{
        (void)r;
        (void)value;
        return 0;
}

static int property_write(struct request *r, struct file *file)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = json_object_new_object();
        _cleanup_(qmp_freep) char *why = NULL;
        struct inode *dir = file->inode->parent;
        struct json_object *value;
        const char *name, *type;
        int e = is_of_another(file->inode) ? fail_gone(r) : require_property(r, dir, file->inode->name, &name, &type);

        if (e)
                return e == -ENOENT ? -ENODEV : e;
        e = qmp_args_property(type, r->data, &value, &why);
        if (e < 0)
                return why ? request_fail(r, e, NULL, "%s", why) : e;
        if (!arguments || !qmp_json_add_string(arguments, "path", path_of(dir)) ||
            !qmp_json_add_string(arguments, "property", name)) {
                json_object_put(value);
                return -ENOMEM;
        }
        if (!qmp_json_add(arguments, "value", value))
                return -ENOMEM;
        return action_start(r, &(struct action_use){
                                       .action = &action_written,
                                       .name = "qom-set",
                                       .command = "qom-set",
                                       .arguments = arguments,
                                       .done = property_set,
                               });
}

const struct kind kind_qom_property = {
        .type = S_IFREG,
        .render = property_render,
        .write = property_write,
        .json = "{[",
        .or_text = true,
};

/* --- links ------------------------------------------------------------------------------------------------------ */

int qom_target(const char *path, unsigned up, char **ret_target)
{
        char *target = NULL;
        size_t size;
        FILE *out = open_memstream(&target, &size);
        const char *separator = "";
        bool failed = false;
        int r;

        if (!out)
                return -ENOMEM;
        for (; up > 0; up--, separator = "/")
                fprintf(out, "%s..", separator);
        while (*path) {
                size_t n = strcspn(path, "/");
                _cleanup_(qmp_freep) char *name = n > 0 ? render_name(path, n) : NULL;

                failed |= n > 0 && !name;
                if (name) {
                        fprintf(out, "%s%s", separator, name);
                        separator = "/";
                }
                path += n + (path[n] == '/');
        }
        /* the root itself, seen from the root */
        if (!*separator)
                fputc('.', out);
        r = qmp_close_text(out, &target);
        if (r == 0 && failed)
                r = -ENOMEM;
        if (r == 0 && size >= PATH_MAX)
                r = -ENAMETOOLONG;
        if (r < 0) {
                free(target);
                return r;
        }
        *ret_target = target;
        return 0;
}

static int link_readlink(struct request *r, struct inode *inode, char **ret_target)
{
        struct json_object *value;
        const char *path;
        unsigned up = 0;
        int e = require_value(r, inode, &value);

        if (e)
                return e;
        path = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
        if (*path != '/') {
                *ret_target = strdup(NO_TARGET);
                return *ret_target ? 0 : -ENOMEM;
        }
        /* up to the directory that is the root of the object model */
        for (const struct inode *dir = inode->parent; !dir->row || dir->row->dynamic; dir = dir->parent)
                up++;
        return qom_target(path, up, ret_target);
}

static const struct kind kind_qom_link = {
        .type = S_IFLNK,
        .readlink = link_readlink,
};
