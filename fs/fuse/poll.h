/*
 * poll(2) on open files.
 */
#ifndef FS_FUSE_POLL_H
#define FS_FUSE_POLL_H

#include "fs/fuse/inode.h"

/* The channel of the file's row. */
enum channel file_channel(const struct file *file);

/* Whether the file has data that was not read through it yet; always true for files without a channel. */
bool file_has_news(struct file *file);

/* Wakes the poller of this file, if it has new data. */
void file_notify(struct file *file);

/* The kernel wants to hear of new data. @handle is taken over. */
void file_poll(struct file *file, struct fuse_pollhandle *handle);

#endif
