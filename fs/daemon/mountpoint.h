/*
 * Finds the mount at a path. No request is sent to the mount, so this works even if its daemon is dead, stopped, or
 * the caller.
 */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

#include "qmp/util.h"

/*
 * Finds the kernel's id of the mount that contains the directory @path (not a link). *ret_unique: the id is never
 * used again (Linux 6.8); otherwise another mount may get it after this one is unmounted. 0 or a negative errno:
 * -EOPNOTSUPP before Linux 5.8.
 */
int mountpoint_get_id(const char *path, uint64_t *ret_id, bool *ret_unique);

/*
 * Finds the source of the mount of type "fuse.qmpfs" whose root is the directory @path (not a link); owned by the
 * caller. 0, -ENOENT: there is no such mount, -ENOMEM, or another negative errno: unknown.
 */
int mountpoint_find_qmpfs(const char *path, char **ret_source);

/* Reads the type and source of the mount @id, as passed to mount(2), from a file as in proc_pid_mountinfo(5). */
int mountpoint_read(FILE *mountinfo, uint64_t id, char **ret_type, char **ret_source);

#endif
