#include "fs/vm/waiter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "fs/vm/peer.h"

void waiter_init(struct waiter *w, struct context *context, struct peer *peer, uint64_t limit_ns,
                 void (*run)(struct waiter *), void (*expired)(struct qmp_timer *deadline))
{
        *w = (struct waiter){
                .context = context,
                .peer = peer,
                .run = run,
                .deadline = { .fire = expired },
                .limit_ns = limit_ns,
                .arrived = qmp_now(),
        };
        w->stamp = w->arrival = ++context->stamp;
        list_init(&w->link);
}

void waiter_deinit(struct waiter *w)
{
        list_unlink(&w->link);
        qmp_timer_disarm(w->context->loop, &w->deadline);
        queries_release(w);
        free(w->reason);
        free(w->reason_class);
}

void waiter_park(struct waiter *w)
{
        if (!w->parked && w->limit_ns > 0)
                qmp_timer_arm(w->context->loop, &w->deadline, w->arrived + w->limit_ns);
        w->parked = true;
}

void waiter_set_limit(struct waiter *w, uint64_t limit_ns)
{
        w->limit_ns = limit_ns;
        if (w->parked && limit_ns > 0)
                qmp_timer_arm(w->context->loop, &w->deadline, w->arrived + limit_ns);
        else if (w->parked)
                qmp_timer_disarm(w->context->loop, &w->deadline);
}

void waiter_hurry(struct waiter *w, uint64_t within_ns)
{
        uint64_t limit_ns = qmp_now() - w->arrived + within_ns;

        if (w->limit_ns > 0 && w->limit_ns > limit_ns)
                waiter_set_limit(w, limit_ns);
}

#undef waiter_fail
int waiter_fail(struct waiter *w, int error, const char *class, const char *format, ...)
{
        va_list args;

        free(w->reason);
        va_start(args, format);
        if (vasprintf(&w->reason, format, args) < 0)
                w->reason = NULL;
        va_end(args);
        free(w->reason_class);
        w->reason_class = class ? strdup(class) : NULL;
        return error;
}

int waiter_fail_down(struct waiter *w)
{
        _cleanup_(qmp_freep) char *why = peer_describe(w->peer);

        return waiter_fail(w, -EHOSTDOWN, NULL, "%s", why ? why : "");
}

void waiters_run(struct list *waiters)
{
        struct list running;

        list_init(&running);
        list_splice(&running, waiters);
        while (!list_empty(&running)) {
                struct waiter *w = list_entry(running.next, struct waiter, link);

                list_unlink(&w->link);
                w->run(w);
        }
}
