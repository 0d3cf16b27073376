/*
 * The low-level FUSE operations: thin, each makes a request and lets the inode's kind do the work.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#include <fuse_lowlevel.h>

/* With a struct session for userdata. */
extern const struct fuse_lowlevel_ops session_ops;

#endif
