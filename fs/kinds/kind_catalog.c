/*
 * Directories whose names come from QEMU and are all of one sort: commands, types.
 */
#include "fs/kinds/catalog.h"

#include <errno.h>

#include "fs/fuse/inode.h"
#include "fs/vm/reads.h"

static int catalog_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        const struct catalog *catalog = dir->row->data;
        const struct row *row = catalog->file;
        const char *qemu_name;
        int e = catalog->rows ? rows_lookup(r, catalog->rows, dir, name, NULL, ret_inode) : -ENOENT;

        if (e != -ENOENT)
                return e;
        e = catalog->require(r, dir);
        if (e == 0)
                e = catalog->find(dir, name, &qemu_name);
        if (e)
                return e;
        if (catalog->asked && !reads_may_send(qemu_name))
                row = catalog->asked;
        return inode_child(dir, name, &(struct inode_args){ .kind = row->kind, .row = row }, ret_inode);
}

static int catalog_list(struct request *r, struct inode *dir, struct listing *listing)
{
        const struct catalog *catalog = dir->row->data;
        char *name;
        int e = catalog->require(r, dir);

        if (e == 0 && catalog->rows)
                e = rows_list(r, catalog->rows, dir, NULL, listing);
        for (size_t i = 0; e == 0 && catalog->name(dir, i, &name); i++) {
                if (!name)
                        return -ENOMEM;
                /* a name that another catalog has, or that one of its rows hides */
                if (*name)
                        e = listing_add(listing, name, S_IFREG, inode_child_ino(dir, name));
                free(name);
        }
        return e;
}

int catalog_require_name(struct request *r, struct inode *inode, const char **ret_name)
{
        const struct catalog *catalog = inode->parent->row->data;
        int e = catalog->require(r, inode->parent);

        if (e == 0)
                e = catalog->find(inode->parent, inode->name, ret_name);
        return e == -ENOENT ? request_fail(r, -ENODEV, NULL, "this QEMU has no '%s'", inode->name) : e;
}

const struct kind kind_catalog = {
        .type = S_IFDIR,
        .lookup = catalog_lookup,
        .list = catalog_list,
};
