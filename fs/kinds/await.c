#include "fs/kinds/await.h"

struct await {
        struct operation_waiter waiter;
        struct request *r;
        void (*succeeded)(struct request *r);
};

static void await_cancel(struct request *r, int error)
{
        struct await *await = take_ptr(r->op);
        bool timed_out = error == -ETIMEDOUT;
        _cleanup_(qmp_freep) char *state = operation_leave(&await->waiter, timed_out ? r->waiter.limit_ns : 0);

        if (timed_out && state)
                request_fail(r, error, NULL, "%s", state);
        free(await);
}

static void await_done(struct operation_waiter *waiter, int error, const char *class, const char *text)
{
        const struct await *await = container_of(waiter, struct await, waiter);
        struct request *r = await->r;

        if (error < 0)
                request_fail(r, error, class, "%s", text);
        else
                await->succeeded(r);
        request_finish(r, error);
}

int await_operation(struct request *r, const struct operation_class *class, const void *target, unsigned until,
                    void (*succeeded)(struct request *r))
{
        struct await *await = calloc(1, sizeof(*await));
        int e;

        if (!await)
                return -ENOMEM;
        await->r = r;
        await->succeeded = succeeded;
        await->waiter.until = until;
        await->waiter.done = await_done;
        list_init(&await->waiter.link);
        e = operation_start(&r->vm->operations, class, target, &await->waiter);
        if (e < 0) {
                free(await);
                return e;
        }
        r->op = await;
        r->cancel = await_cancel;
        /* the target is known; the values that told it would be kept as long as the guest takes */
        queries_release(&r->waiter);
        return WAITER_PARKED;
}
