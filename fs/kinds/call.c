#include "fs/kinds/call.h"

#include <errno.h>

#include "qmp/conceal.h"

struct call_op {
        struct request *r; /* NULL once it has ended */
        struct qmp_command *command;
        char *name;
        struct json_object *arguments; /* whose values its errors may quote */
        int (*done)(struct request *r, struct json_object *value);
        void (*failed)(struct request *r, int error);
        bool ended; /* the command has */
};

static void op_free(struct call_op *op)
{
        free(op->name);
        json_object_put(op->arguments);
        free(op);
}

static void call_cancel(struct request *r, int error)
{
        struct call_op *op = take_ptr(r->op);
        double limit = (double)r->vm->peer.options.command_timeout_ns / NSEC_PER_SEC;

        if (error == -ETIMEDOUT && !op->ended && qmp_command_is_sent(op->command))
                request_fail(r, error, NULL, "QEMU did not answer %s within %.3g s; it may still carry it out",
                             op->name, limit);
        else if (error == -ETIMEDOUT && !op->ended)
                request_fail(r, error, NULL, "QEMU is stalled: %s was not sent within %.3g s", op->name, limit);
        if (error < 0 && op->failed)
                op->failed(r, error);
        op->r = NULL;
        if (!op->ended)
                qmp_command_cancel(op->command);
        op_free(op);
}

static bool call_is_committed(const struct request *r)
{
        const struct call_op *op = r->op;

        return qmp_command_is_sent(op->command);
}

static int done(struct call_op *op, struct json_object *value)
{
        int e = op->done(op->r, value);

        return e == -ENOMEM ? request_fail(op->r, e, NULL, "no memory for QEMU's reply; it has been carried out") : e;
}

static void call_failed(struct call_op *op, const struct qmp_result *result)
{
        _cleanup_(qmp_freep) char *words = qmp_conceal_values(result->text, op->arguments);

        request_fail(op->r, result->error, result->error_class, "%s%s",
                     words ? words : "no memory for QEMU's error message",
                     result->outcome == QMP_ERROR || !result->sent ? ""
                     : result->outcome == QMP_TIMEOUT              ? "; it may still carry it out"
                                                                   : "; it may have been carried out");
}

static void call_replied(void *userdata, const struct qmp_result *result)
{
        struct call_op *op = userdata;
        struct request *r = op->r;
        int e = result->error;

        if (!r)
                return;
        op->ended = true;
        if (result->outcome == QMP_OK || result->outcome == QMP_ERROR)
                peer_note_command(&r->vm->peer, op->name);
        if (result->outcome == QMP_OK)
                e = done(op, result->value);
        else
                call_failed(op, result);
        request_finish(r, e);
}

int call_start(struct request *r, const struct call *call)
{
        struct qmp_send_options options = { .prefer_oob = call->oob, .effect = true };
        uint64_t limit_ns = r->vm->peer.options.command_timeout_ns;
        struct call_op *op = calloc(1, sizeof(*op));
        int e = -ENOMEM;

        if (!op)
                return -ENOMEM;
        op->r = r;
        op->done = call->done;
        op->failed = call->failed;
        op->arguments = json_object_get(call->arguments);
        op->name = strdup(call->command);
        if (op->name)
                e = qmp_client_send(r->vm->peer.client, call->command, call->arguments, limit_ns, &options,
                                    call_replied, op, &op->command);
        if (e < 0) {
                op_free(op);
                return e == -EHOSTDOWN ? request_fail_down(r) : e;
        }
        r->op = op;
        r->cancel = call_cancel;
        r->is_committed = call_is_committed;
        waiter_set_limit(&r->waiter, qmp_now() - r->waiter.arrived + limit_ns);
        peer_invalidate(&r->vm->peer);
        return WAITER_PARKED;
}
