/*
 * The rows of a directory: which of them are present, by name and in a listing.
 */
#ifndef FS_FUSE_ROWS_H
#define FS_FUSE_ROWS_H

#include "fs/fuse/inode.h"

/*
 * Finds or creates the child for the row of this name in @rows. -ENOENT: the name is not in @rows. @record: the record of
 * the object, or NULL. Rows whose commands the server lacks are absent; the test may park the request
 * (WAITER_PARKED), or fail.
 */
int rows_lookup(struct request *r, const struct row *rows, struct inode *dir, const char *name,
                struct json_object *record, struct inode **ret_inode);
int rows_list(struct request *r, const struct row *rows, struct inode *dir, struct json_object *record,
              struct listing *listing);
/* Whether the server has the commands that the row needs, as far as is known. */
bool row_is_supported(const struct vm *vm, const struct row *row);
/* Whether a row has this name, present or not. A row hides a member of the same name. */
bool rows_have(const struct row *rows, const char *name);

#endif
