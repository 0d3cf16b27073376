#include "fs/vm/operation.h"

#include <assert.h>

/* For an answer of QEMU, which may take its time: only waiters have limits. */
#define ANSWER_LIMIT_NS (1000000 * NSEC_PER_SEC)

struct operation *operation_ref(struct operation *op)
{
        op->refs++;
        return op;
}

struct operation *operation_unref(struct operation *op)
{
        if (--op->refs > 0)
                return NULL;
        assert(list_empty(&op->waiters));
        op->class->free(op);
        free(op->outcome);
        free(op);
        return NULL;
}

static void settle(struct operation *op)
{
        op->over = true;
        if (op->class->settle)
                op->class->settle(op);
}

void operation_forget(struct operation *op)
{
        if (list_empty(&op->link))
                return;
        list_unlink(&op->link);
        bus_leave(&op->peer->bus, &op->subscriber);
        settle(op);
        operation_unref(op);
}

/* --- waiters ---------------------------------------------------------------------------------------------------- */

bool operation_is_awaited(const struct operation *op)
{
        return !list_empty(&op->waiters);
}

void operation_answer(struct operation *op, unsigned flags, int error, const char *class, const char *text)
{
        struct list answering;

        /* done() may start, join and leave operations, this one included */
        list_init(&answering);
        list_for_each_safe(i, &op->waiters) {
                if (flags != OPERATION_ALL && !(list_entry(i, struct operation_waiter, link)->until & flags))
                        continue;
                list_unlink(i);
                list_append(&answering, i);
        }
        operation_ref(op);
        while (!list_empty(&answering)) {
                struct operation_waiter *w = list_entry(answering.next, struct operation_waiter, link);

                list_unlink(&w->link);
                w->done(w, error, class, text);
        }
        operation_unref(op);
}

char *operation_leave(struct operation_waiter *waiter, uint64_t timed_out_ns)
{
        struct operation *op = waiter->operation;
        const char *instead = NULL;
        char *state;

        if (list_empty(&waiter->link))
                return NULL;
        list_unlink(&waiter->link);
        if (operation_is_awaited(op) || op->over)
                return operation_describe(op);
        op->timed_out_ns = timed_out_ns;
        state = operation_describe(op);
        if (op->class->give_up)
                instead = op->class->give_up(op);
        if (instead) {
                free(state);
                state = strdup(instead);
        }
        return state;
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

/* Forgets the oldest outcome of the class if there are too many. */
static void limit_outcomes(const struct operation *latest)
{
        struct operation *oldest = NULL;
        unsigned n = 0;

        list_for_each(i, &latest->operations->all) {
                struct operation *op = list_entry(i, struct operation, link);

                if (op->class != latest->class || !op->over)
                        continue;
                n++;
                if (op != latest && (!oldest || op->ended < oldest->ended))
                        oldest = op;
        }
        if (oldest && n > latest->class->kept)
                operation_forget(oldest);
}

void operation_end(struct operation *op, int error, const char *class, const char *text)
{
        operation_ref(op);
        settle(op);
        op->error = error;
        op->ended = qmp_now();
        free(op->outcome);
        op->outcome = peer_words(op->peer, text);
        peer_invalidate(op->peer);
        /* before the waiters hear of it, who may start it again */
        if (error || op->class->keeps_success)
                limit_outcomes(op);
        else
                operation_forget(op);
        operation_answer(op, OPERATION_ALL, error, class, text);
        operation_unref(op);
}

static void down(struct subscriber *subscriber)
{
        struct operation *op = operation_ref(container_of(subscriber, struct operation, subscriber));
        _cleanup_(qmp_freep) char *why = peer_describe(op->peer);
        bool kept = op->class->down && op->class->down(op);

        operation_answer(op, OPERATION_ALL, -EHOSTDOWN, NULL, why ? why : "the connection ended");
        if (!kept)
                operation_forget(op);
        operation_unref(op);
}

/* --- the beginning ---------------------------------------------------------------------------------------------- */

static void hear(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct operation *op = container_of(subscriber, struct operation, subscriber);

        (void)line;
        op->class->event(op, event);
}

struct operation *operation_find(const struct operations *operations, const struct operation_class *class,
                                 const void *target)
{
        list_for_each(i, &operations->all) {
                struct operation *op = list_entry(i, struct operation, link);

                if (op->class == class && class->is_for(op, target))
                        return op;
        }
        return NULL;
}

static int operation_new(struct operations *operations, const struct operation_class *class, const void *target,
                         struct operation **ret_operation)
{
        struct operation *op = calloc(1, class->size);
        int r;

        if (!op)
                return -ENOMEM;
        *op = (struct operation){
                .class = class,
                .operations = operations,
                .peer = operations->peer,
                .refs = 1,
                .subscriber = { .names = class->events, .event = class->event ? hear : NULL, .down = down },
                .over = true,
        };
        list_init(&op->link);
        list_init(&op->waiters);
        r = class->init(op, target);
        if (r < 0) {
                operation_unref(op);
                return r;
        }
        list_append(&operations->all, &op->link);
        bus_join(&op->peer->bus, &op->subscriber);
        *ret_operation = op;
        return 0;
}

/* From over: what an earlier one wanted or met no longer counts. */
static int begin(struct operation *op, const void *target)
{
        int r;

        op->over = false;
        op->started = qmp_now();
        free(take_ptr(op->outcome));
        r = op->class->begin(op, target);
        /* nothing was asked */
        if (r < 0)
                operation_forget(op);
        return r;
}

int operation_start(struct operations *operations, const struct operation_class *class, const void *target,
                    struct operation_waiter *waiter)
{
        struct operation *op = operation_find(operations, class, target);
        int r = 0;

        if (op && !op->over && class->join) {
                r = class->join(op, target);
                if (r == OPERATION_REPLACED)
                        op = NULL;
        }
        if (r >= 0 && !op)
                r = operation_new(operations, class, target, &op);
        if (r >= 0 && op->over)
                r = begin(op, target);
        if (r < 0)
                return r;
        op->timed_out_ns = 0;
        waiter->operation = op;
        list_append(&op->waiters, &waiter->link);
        return 0;
}

/* --- the state -------------------------------------------------------------------------------------------------- */

char *operation_describe(const struct operation *op)
{
        struct text text = { 0 };
        FILE *out = open_memstream(&text.data, &text.size);

        if (!out)
                return NULL;
        if (!op)
                fputs("idle", out);
        else if (op->over && op->error)
                fprintf(out, "%s: %s", op->class->failed, op->outcome ? op->outcome : "unknown");
        else if (op->over)
                fputs("done", out);
        else if (op->timed_out_ns > 0)
                fprintf(out, "timed out after %.3g s, still pending", (double)op->timed_out_ns / NSEC_PER_SEC);
        else
                fprintf(out, "pending %.1f s", (double)(qmp_now() - op->started) / NSEC_PER_SEC);
        if (op && !(op->over && op->error) && op->class->describe)
                op->class->describe(op, out);
        return qmp_close_text(out, &text.data) == 0 ? text.data : NULL;
}

/* --- commands --------------------------------------------------------------------------------------------------- */

static void replied(void *userdata, const struct qmp_result *result)
{
        struct operation_command *c = userdata;
        struct operation *op = c->op;

        c->command = NULL;
        c->done(op, result);
        operation_unref(op);
}

int operation_send(struct operation *op, struct operation_command *command, const char *name,
                   struct json_object *arguments, bool effect,
                   void (*done)(struct operation *op, const struct qmp_result *result))
{
        struct qmp_send_options options = { .effect = effect, .patient = true };
        int r;

        assert(!command->command);
        command->op = op;
        command->done = done;
        r = qmp_client_send(op->peer->client, name, arguments, ANSWER_LIMIT_NS, &options, replied, command,
                            &command->command);
        if (r == 0)
                operation_ref(op);
        return r;
}

bool operation_command_is_sent(const struct operation_command *command)
{
        return command->command && qmp_command_is_sent(command->command);
}

void operation_command_cancel(struct operation_command *command)
{
        if (command->command)
                qmp_command_cancel(command->command);
}

bool operation_command_withdraw(struct operation_command *command)
{
        if (operation_command_is_sent(command))
                return false;
        operation_command_cancel(command);
        return true;
}

/* --- all operations --------------------------------------------------------------------------------------------- */

void operations_init(struct operations *operations, struct peer *peer)
{
        operations->peer = peer;
        list_init(&operations->all);
}

void operations_deinit(struct operations *operations)
{
        while (!list_empty(&operations->all))
                operation_forget(list_entry(operations->all.next, struct operation, link));
}
