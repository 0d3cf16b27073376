/*
 * Which mount is at a path. The mount itself is asked nothing, so this works on one whose daemon is dead, stopped, or the
 * caller.
 */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

#include "qmp/util.h"

/*
 * The kernel's number of the mount that the directory @path (no link) is in. *ret_unique: no other mount ever gets that number
 * (Linux 6.8); else another may as soon as this one is gone. 0 or a negative errno: -EOPNOTSUPP before Linux 5.8.
 */
int mountpoint_get_id(const char *path, uint64_t *ret_id, bool *ret_unique);

/*
 * The source of the mount of type "fuse.qmpfs" whose root is the directory @path (no link); the caller's. 0, -ENOENT: no such
 * mount is there, -ENOMEM, or another negative errno: it can't be told.
 */
int mountpoint_find_qmpfs(const char *path, char **ret_source);

/* Its part that reads: type and source, as they were given to mount(2), of the mount @id in a proc_pid_mountinfo(5). */
int mountpoint_read(FILE *mountinfo, uint64_t id, char **ret_type, char **ret_source);

#endif
