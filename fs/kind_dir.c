#include <errno.h>

#include "inode.h"
#include "kinds.h"
#include "session.h"

static bool is_present(const struct inode *dir, const struct row *row, struct json_object *record)
{
        if (row->raw && dir->session->options.noraw)
                return false;
        return !row->present || row->present(record);
}

bool rows_have(const struct row *rows, const char *name)
{
        for (const struct row *row = rows; row->name; row++)
                if (streq(row->name, name))
                        return true;
        return false;
}

int rows_lookup(const struct row *rows, struct inode *dir, const char *name, struct json_object *record,
                struct inode **ret_inode)
{
        for (const struct row *row = rows; row->name; row++)
                if (streq(row->name, name) && is_present(dir, row, record))
                        return inode_child(dir, name, &(struct inode_args){ .kind = row->kind, .row = row },
                                           ret_inode);
        return -ENOENT;
}

int rows_list(const struct row *rows, struct inode *dir, struct json_object *record, struct listing *listing)
{
        for (const struct row *row = rows; row->name; row++) {
                int r;

                if (!is_present(dir, row, record))
                        continue;
                r = listing_add(listing, row->name, row->kind->type, inode_child_ino(dir, row->name));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int dir_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        (void)r;
        return rows_lookup(dir->row->data, dir, name, NULL, ret_inode);
}

static int dir_list(struct request *r, struct inode *dir, struct listing *listing)
{
        (void)r;
        return rows_list(dir->row->data, dir, NULL, listing);
}

const struct kind kind_dir = {
        .type = S_IFDIR,
        .lookup = dir_lookup,
        .list = dir_list,
};
