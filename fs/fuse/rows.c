#include "fs/fuse/rows.h"

#include <errno.h>

#include "fs/fuse/session.h"
#include "fs/util/binding.h"

static const char *needed(const struct row *row)
{
        const char *command = row->needs ? row->needs : row->query;

        return command && *command ? command : NULL;
}

bool row_is_supported(const struct vm *vm, const struct row *row)
{
        const char *command = needed(row);

        /* above the VMs there is none to ask */
        if (!vm)
                return true;
        return (!command || introspection_has(&vm->introspection, command)) &&
               (!row->kind->supported || row->kind->supported(vm, row));
}

/* A row without commands is always present, and needs no wait. */
static int require(struct request *r, const struct row *row)
{
        if (!r->vm || (!needed(row) && !row->kind->supported))
                return 0;
        return introspection_commands(&r->vm->introspection, &r->waiter);
}

static bool is_present(const struct inode *dir, const struct row *row, struct json_object *record)
{
        if ((row->raw && dir->session->options.noraw) || !row_is_supported(dir->vm, row))
                return false;
        if (!row->present)
                return true;
        return binding_get(row->present, record) && (!row->kind->present || row->kind->present(dir));
}

bool rows_have(const struct row *rows, const char *name)
{
        for (const struct row *row = rows; row->name; row++)
                if (streq(row->name, name))
                        return true;
        return false;
}

int rows_lookup(struct request *r, const struct row *rows, struct inode *dir, const char *name,
                struct json_object *record, struct inode **ret_inode)
{
        for (const struct row *row = rows; row->name; row++) {
                int e;

                if (!streq(row->name, name))
                        continue;
                e = require(r, row);
                if (e)
                        return e;
                if (is_present(dir, row, record))
                        return inode_child(dir, name, &(struct inode_args){ .kind = row->kind, .row = row },
                                           ret_inode);
        }
        return -ENOENT;
}

int rows_list(struct request *r, const struct row *rows, struct inode *dir, struct json_object *record,
              struct listing *listing)
{
        for (const struct row *row = rows; row->name; row++) {
                int e = require(r, row);

                if (e == 0 && is_present(dir, row, record))
                        e = listing_add(listing, row->name, row->kind->type, inode_child_ino(dir, row->name));
                if (e)
                        return e;
        }
        return 0;
}
