#include "fs/fuse/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/session.h"
#include "qmp/message.h"

/* The grace time of a sent command. Most commands are done within it, and then the interrupt has no effect. */
#define COMMITTED_NS (200 * NSEC_PER_MSEC)

static void deadline(struct qmp_timer *timer)
{
        struct request *r = container_of(timer, struct request, waiter.deadline);

        if (r->interrupted) {
                request_fail(r, -ECANCELED, NULL, "interrupted; QEMU may still carry it out");
                request_finish(r, -ECANCELED);
                return;
        }
        if (!r->waiter.reason)
                request_fail(r, -ETIMEDOUT, NULL, "no answer within %.3g s",
                             (double)r->waiter.limit_ns / NSEC_PER_SEC);
        request_finish(r, -ETIMEDOUT);
}

static void run(struct waiter *waiter)
{
        request_run(container_of(waiter, struct request, waiter));
}

struct request *request_new(struct session *session, fuse_req_t req, fuse_ino_t ino, int (*step)(struct request *))
{
        struct inode *inode = inode_find(session, ino);
        struct request *r = inode ? calloc(1, sizeof(*r)) : NULL;

        if (!r) {
                fuse_reply_err(req, inode ? ENOMEM : ENOENT);
                return NULL;
        }
        r->session = session;
        r->vm = inode->vm;
        r->req = req;
        r->who = (struct who){ fuse_req_ctx(req)->uid, fuse_req_ctx(req)->pid };
        r->step = step;
        waiter_init(&r->waiter, session->context, r->vm ? &r->vm->peer : NULL,
                    r->vm ? r->vm->peer.options.timeout_ns : 0, run, deadline);
        r->begun = r->waiter.arrival;
        r->inode = inode_ref(inode);
        list_append(&r->session->requests, &r->link);
        return r;
}

fuse_req_t request_take(struct request *r)
{
        assert(r->req);
        return take_ptr(r->req);
}

void request_log(const struct request *r, int error, const char *class, const char *words)
{
        _cleanup_(qmp_freep) char *path = inode_path(r->inode);

        if (r->vm)
                vm_log_error(r->vm, r->who, path ? path : "?", error, class, words);
}

/* The reason of the failure for others to read. Owned by the caller; NULL: none, or out of memory. */
static char *words_of(const struct request *r)
{
        const char *reason = r->waiter.reason;

        if (r->vm)
                return peer_words(&r->vm->peer, reason);
        return reason ? qmp_words(reason) : NULL;
}

void request_finish(struct request *r, int error)
{
        void (*cancel)(struct request *, int) = take_ptr(r->cancel);

        list_unlink(&r->waiter.link);
        list_unlink(&r->link);
        qmp_timer_disarm(r->session->loop, &r->waiter.deadline);
        if (cancel)
                cancel(r, error);
        /* a caller that interrupts a request, or does not wait, knows of the failure */
        if (error < 0 && error != -EINTR && error != -EAGAIN && !r->waiter.reason && r->file)
                request_fail(r, error, NULL, "%s", strerror(-error));
        if (error < 0 && error != -EINTR && r->waiter.reason)
                request_log(r, -error, r->waiter.reason_class, r->waiter.reason);
        /* a write to an action's file */
        if (r->waiter.patient && r->inode->kind->own_inode && !r->explained) {
                _cleanup_(qmp_freep) char *words = words_of(r);

                outcomes_note(&r->session->outcomes, r->inode->ino, r->who, -error, r->waiter.reason_class, words);
        }
        if (r->req && error == 0) {
                assert(r->answer);
                r->answer(r);
        }
        if (r->req)
                fuse_reply_err(request_take(r), -error);
        free(r->data);
        if (r->held > 0)
                (void)file_hold(r->file, &r->held, 0);
        file_unref(r->file);
        inode_unref(r->found);
        inode_unref(r->inode);
        waiter_deinit(&r->waiter);
        free(r);
}

static void interrupt(struct request *r)
{
        if (r->is_committed && r->is_committed(r))
                qmp_timer_arm(r->session->loop, &r->waiter.deadline, qmp_now() + COMMITTED_NS);
        else
                request_finish(r, -EINTR);
}

static void interrupted(fuse_req_t req, void *userdata)
{
        struct request *r = userdata;

        (void)req;
        /* libfuse holds a lock of the handle while it registers this function: it must not be answered then */
        r->interrupted = true;
        if (!r->registering)
                interrupt(r);
}

/* It has something to wait for: from now on it can be interrupted and has a deadline. */
static void park(struct request *r)
{
        if (r->waiter.parked)
                return;
        waiter_park(&r->waiter);
        r->registering = true;
        fuse_req_interrupt_func(r->req, interrupted, r);
        r->registering = false;
        if (r->interrupted)
                interrupt(r);
}

void request_run(struct request *r)
{
        int e = r->step(r);

        if (e == WAITER_PARKED)
                park(r);
        else
                request_finish(r, e);
}

void request_finish_all(struct session *session, int error)
{
        while (!list_empty(&session->requests))
                request_finish(list_entry(session->requests.next, struct request, link), error);
}
