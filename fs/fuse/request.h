/*
 * One request of the kernel: a waiter that is answered once, is interruptible, and has a deadline.
 *
 * ops.c creates a request and runs its step. The request ends in request_finish(), which answers it if the step did
 * not. A parked request belongs to exactly one object, which will run it again or finish it: a list of waiters, or an
 * operation of the kind with a cancel function. The deadline and the kernel's interrupt also finish it. In this case
 * cancel() is called, and the request leaves the list of waiters.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include <fuse_lowlevel.h>

#include "fs/vm/vm.h"
#include "fs/vm/waiter.h"

struct session;

struct request {
        struct waiter waiter;
        struct session *session;
        struct vm *vm;  /* NULL: the inode is above the VMs */
        fuse_req_t req; /* NULL once answered */
        int (*step)(struct request *r);
        void (*answer)(struct request *r); /* a success that comes after parking without another step; may be NULL */
        /*
         * Whether a command was sent that QEMU may carry out even if the request ends. Such a request does not end
         * with EINTR, after which programs (Python, by default) would write again. It ends with ECANCELED after a
         * short grace time. NULL: no.
         */
        bool (*is_committed)(const struct request *r);
        /* cancels and frees the operation under way; runs once, before the end, with the result; may be NULL */
        void (*cancel)(struct request *r, int error);

        struct list link; /* in the vm */
        uint64_t begun;   /* the first stamp of an open(2) that has begun again; otherwise the waiter's arrival */

        struct who who;
        struct inode *inode; /* the inode of the request; a reference */
        struct file *file;   /* a reference, or NULL */
        char *data;          /* the name, or the written data; owned */
        size_t size;         /* of data, or of the buffer of a read */
        size_t held;         /* of a long line that was written, see file_hold() */
        size_t written;      /* the reply to a write: its original size */
        off_t offset;
        int flags;
        /*
         * The kernel's lock owner of a read or write: the process, by its table of descriptors, which its threads
         * share. 0: a read of the page cache's (fuse_send_read(), Linux 2.6.29).
         */
        uint64_t owner;

        unsigned phase; /* the kind's */
        void *op;       /* the kind's; released by cancel() or before finishing */

        struct inode *found; /* by a lookup that still needs its size; a reference, or NULL */

        bool registering, interrupted;
        bool explained; /* a write that was only to be explained: not the last write of the file, see outcomes.h */
        bool repeated;  /* an open(2) that has started again, see content.h */
};

/* Takes over @req. NULL: it was answered with ENOMEM, or with ENOENT, since the node doesn't exist. */
struct request *request_new(struct session *session, fuse_req_t req, fuse_ino_t ino, int (*step)(struct request *));

/* Runs the step, and finishes the request unless it is parked. The request may be freed afterwards. */
void request_run(struct request *r);

/*
 * Ends the request: answers it with -@error, unless it was answered (or by answer(), if @error is 0), logs and frees
 * it.
 */
void request_finish(struct request *r, int error);

/* Takes the handle, for the one answer. */
fuse_req_t request_take(struct request *r);

/* The reason of a failure, for `errors`; see waiter_fail(). */
#define request_fail(r, ...) waiter_fail(&(r)->waiter, __VA_ARGS__)
#define request_fail_down(r) waiter_fail_down(&(r)->waiter)

/*
 * Adds a line about the request to `errors`, even if it succeeds. @error is a positive errno; @class and @words may
 * be NULL.
 */
void request_log(const struct request *r, int error, const char *class, const char *words);

/* Ends all requests of the session with @error. */
void request_finish_all(struct session *session, int error);

#endif
