/*
 * The content of a file: the text that readers get, fetched when the file is opened.
 *
 * The kernel has one size and one page cache for each inode, so all who have an inode open share one content, and its
 * size is the inode's. Whoever opens the file later and finds that the content has changed gets another inode of the
 * same name and number. For that, and where the content is longer than the kernel believes, open(2) is made to begin
 * again: the reply is ESTALE, upon which the kernel (do_filp_open(), since Linux 2.6) looks the path up again and opens
 * what it finds, once. The content waits for that. Thus fstat(2), lseek(2), sendfile(2) and mmap(2) have the exact size,
 * also without an fstat() before.
 */
#ifndef FS_CONTENT_H
#define FS_CONTENT_H

#include "request.h"

/* What the contents of all open files may take; users other than the mount's own may have half of it. */
#define CONTENT_MAX ((size_t)256 << 20)

struct content {
        unsigned refs;
        struct session *session;
        struct inode *inode; /* whose ->content this is; NULL: nobody's any more */
        bool foreign;        /* opened by another user than the mount's own */
        struct text text;
        uint64_t epoch, generation; /* the vm's epoch and the channel's generation when the answer came */
};

struct content_pool {
        size_t bytes, foreign_bytes; /* of all contents; of those that are foreign */
        size_t high;                 /* the most since memory was last given back */
        struct list repeats;         /* openings that begin again */
};

void content_pool_init(struct content_pool *pool);
/* Before the inodes go. */
void content_pool_deinit(struct session *session);

/*
 * Fetches the content of r->inode for an open(2) for reading. 0: it is the caller's; REQUEST_PARKED; -ESTALE: the opening
 * begins again; or an error, with its reason in @r.
 */
int content_open(struct request *r, struct content **ret_content);

/* Fetches it again for a file that is open, and puts it into the file. 0, REQUEST_PARKED or an error. */
int content_renew(struct request *r, struct file *file);

/* Whether nothing has happened since it was asked for that could have changed it. */
bool content_is_current(const struct content *content, const struct inode *inode);

struct content *content_unref(struct content *content);

/*
 * The size that stat(2) by path is to tell under "-o sizes=exact": makes sure that inode->size is the size of the content
 * as of now. 0, REQUEST_PARKED, -ENOMEM. What cannot be read has size 0.
 */
int content_require_size(struct request *r, struct inode *inode);

#endif
