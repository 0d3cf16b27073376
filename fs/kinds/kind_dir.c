#include <errno.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"

static int dir_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        return rows_lookup(r, dir->row->data, dir, name, NULL, ret_inode);
}

static int dir_list(struct request *r, struct inode *dir, struct listing *listing)
{
        return rows_list(r, dir->row->data, dir, NULL, listing);
}

/* One of its rows is there. */
static bool dir_supported(const struct vm *vm, const struct row *dir)
{
        for (const struct row *row = dir->data; row->name; row++)
                if (row_is_supported(vm, row))
                        return true;
        return false;
}

const struct kind kind_dir = {
        .type = S_IFDIR,
        .supported = dir_supported,
        .lookup = dir_lookup,
        .list = dir_list,
};
