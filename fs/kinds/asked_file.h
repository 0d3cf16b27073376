/*
 * Files whose content is the answer to a command that only a write sends, see fs/vm/asked.h.
 */
#ifndef FS_KINDS_ASKED_FILE_H
#define FS_KINDS_ASKED_FILE_H

#include "fs/fuse/request.h"
#include "fs/vm/asked.h"

/*
 * For a kind's write(): expects an empty line, sends the command even if the answer is known, and calls @keep, for
 * example asked_keep(), to store the answer. 0, WAITER_PARKED, -EINVAL, or the error of the query or of @keep. An
 * earlier answer of asked_keep() is dropped in any case.
 */
int asked_write(struct request *r, const struct query_spec *spec,
                int (*keep)(struct vm *vm, const struct query_spec *spec, struct json_object *value));

/* The line that explains the effect of @command and how to send it. Owned by the caller; 0 or -ENOMEM. */
int asked_usage(const struct inode *inode, const char *command, struct text *ret_text);

#endif
