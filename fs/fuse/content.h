/*
 * The content of a file: the text for its readers, fetched when the file is opened.
 *
 * The kernel has one size and one page cache for each inode. So all open files of an inode share one content, and its
 * size is the inode's. If a later open(2) finds that the content has changed, it gets another inode of the same name
 * and number. In this case, and if the content is longer than the kernel's st_size, open(2) is made to start again:
 * the reply is ESTALE, upon which the kernel (do_filp_open(), since Linux 2.6) looks the path up again and opens the
 * result, once. The content is held for that second attempt. Thus fstat(2), lseek(2), sendfile(2) and mmap(2) have
 * the exact size, also without an fstat() before.
 */
#ifndef FS_CONTENT_H
#define FS_CONTENT_H

#include "fs/fuse/request.h"

struct content {
        unsigned refs;
        struct session *session;
        struct inode *inode; /* the inode whose ->content this is; NULL: none any more */
        bool foreign;        /* opened by a user other than the owner of the mount */
        struct text text;
        uint64_t epoch, generation; /* the vm's epoch and the channel's generation when the answer came */
        uint64_t asked;             /* after that stamp */
};

struct content_pool {
        struct list repeats; /* open requests that start again */
};

void content_pool_init(struct content_pool *pool);
/* To be called before the inodes are freed. */
void content_pool_deinit(struct session *session);

/*
 * Fetches the content of r->inode for an open(2) for reading. 0: the content is owned by the caller; WAITER_PARKED;
 * -ESTALE: open(2) starts again; or a negative errno, with its reason in @r.
 */
int content_open(struct request *r, struct content **ret_content);

/* Fetches the content of an open file again and stores it in @file. 0, WAITER_PARKED or a negative errno. */
int content_renew(struct request *r, struct file *file);

/* Whether nothing that could have changed the content has happened since the query was sent. */
bool content_is_current(const struct content *content, const struct inode *inode);

struct content *content_unref(struct content *content);

/*
 * For stat(2) by path under "-o sizes=exact": ensures that inode->size is the current size of the content. 0,
 * WAITER_PARKED or -ENOMEM. A file that cannot be read has size 0.
 */
int content_require_size(struct request *r, struct inode *inode);

#endif
