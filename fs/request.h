/*
 * One request of the kernel: parked where it waits, answered once, interruptible, with a deadline.
 *
 * A request is made by ops.c, runs its step, and ends in request_finish(), which answers it if the step did not. A step
 * that parks leaves the request in the hands of exactly one thing that will run it again or finish it: a snapshot's list
 * of waiters, or an operation of the kind with a cancel function. The deadline and the kernel's interrupt finish it too;
 * whatever it waited for is told by cancel() and by its link leaving the list.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include <fuse_lowlevel.h>

#include "vm.h"

struct session;
struct snapshot;

struct request {
        struct session *session;
        struct vm *vm;
        fuse_req_t req; /* NULL once answered */
        int (*step)(struct request *r);
        void (*answer)(struct request *r); /* a success that comes after parking without another step; may be NULL */
        /*
         * Whether QEMU has been told to do something, and may do it whatever becomes of the request. Such a one does not end
         * with EINTR, after which programs (Python, by itself) would write again: it is given a moment, and then ends with
         * ECANCELED. NULL: no.
         */
        bool (*is_committed)(const struct request *r);
        /* takes back what is under way and frees it; runs once, before the end, with the outcome; may be NULL */
        void (*cancel)(struct request *r, int error);

        struct list link;   /* in the vm */
        struct list waiter; /* in a snapshot */
        struct list
                asking; /* in the vm, while it waits for a snapshot, and may need those again that it has asked for before */
        struct qmp_timer deadline;
        uint64_t limit_ns; /* from the arrival; 0: none */
        uint64_t arrived, stamp;
        uint64_t arrival; /* the stamp at first: a request may come to want newer results */

        struct who who;
        struct inode *inode; /* what it is about; a reference */
        struct file *file;   /* a reference, or NULL */
        char *data;          /* the name, or what is written; owned */
        size_t size;         /* of data, or of the buffer of a read */
        size_t written;      /* what to answer to a write: the size as it came */
        off_t offset;
        int flags;
        bool is_direct; /* a read(2), not one of the page cache's */
        bool patient;   /* a write: what it asks first keeps its limit, too, while QEMU is stalled */

        unsigned phase; /* the kind's */
        void *op;       /* the kind's; released by cancel() or before finishing */

        struct snapshot *snapshot; /* a query that the kind needs for this one; a reference, or NULL */
        struct inode *found;       /* by a lookup that still needs its size; a reference, or NULL */

        char *reason_class, *reason; /* why it failed, for `errors`; owned */
        bool parked, registering, interrupted;
        bool repeated; /* an open(2) that has begun again, see content.h */
};

/* Takes over @req. NULL after having answered ENOMEM, or ENOENT for a node that doesn't exist. */
struct request *request_new(struct session *session, fuse_req_t req, fuse_ino_t ino, int (*step)(struct request *));

/* Runs the step and does with the outcome what is due. The request may be gone afterwards. */
void request_run(struct request *r);

/* Ends it: answers with -@error if nothing has been answered (or by answer(), if @error is 0), logs, frees. */
void request_finish(struct request *r, int error);

/* The handle, for the one answer. */
fuse_req_t request_take(struct request *r);

/* Notes why it will fail; the last reason counts. @class may be NULL. Returns @error, for "return request_fail(…)". */
_printf_(4, 5) int request_fail(struct request *r, int error, const char *class, const char *format, ...);
#ifdef __clang_analyzer__ /* it sees one source at a time, and would take it for a success */
#define request_fail(r, error, ...) (request_fail(r, error, __VA_ARGS__), (error))
#endif

/* The same for -EHOSTDOWN: how the connection is. */
int request_fail_down(struct request *r);

/* Adds a line to `errors` about it, whether it fails or not. @error is a positive errno; @class and @words may be NULL. */
void request_log(const struct request *r, int error, const char *class, const char *words);

/* Counts the limit from the arrival; effective while it is parked. 0: none. */
void request_set_limit(struct request *r, uint64_t limit_ns);

/* Lets it wait no longer than so from now, if it would. */
void request_hurry(struct request *r, uint64_t within_ns);

/* What of @text was asked for by r->offset and r->size, as a read's result. 0 or -ENOMEM. */
int request_slice(struct request *r, const struct text *text, struct text *ret_text);

/* Runs all that wait in the list, which is empty afterwards but for those that wait again. */
void requests_run(struct list *waiters);

/* Ends all requests of the session with @error. */
void request_finish_all(struct session *session, int error);

#endif
