/*
 * Journals as files: `errors`, and `events` when it is opened for reading only.
 */
#ifndef FS_LOG_FILE_H
#define FS_LOG_FILE_H

#include "fs/util/journal.h"
#include "fs/fuse/request.h"

/* Answers a read from the journal and stores the reader's position in @file. 0 or -ENOMEM. */
int log_file_read(const struct journal *journal, struct request *r, struct file *file, struct text *ret_text);

#endif
