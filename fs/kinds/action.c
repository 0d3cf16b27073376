#include "fs/kinds/action.h"

#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/action_table.h"
#include "fs/kinds/answer.h"
#include "fs/util/binding.h"
#include "fs/util/render.h"
#include "fs/vm/collection.h"
#include "qmp/message.h"

/* While the effect is not shown yet: how soon it is looked for again, at first and at most. */
#define LOOK_MIN_NS (50 * NSEC_PER_MSEC)
#define LOOK_MAX_NS (1 * NSEC_PER_SEC)

struct action_op {
        struct calls calls;
        struct call call;
        const struct action *action;
        char *name, *first;                            /* the user's; the command of the first step */
        struct json_object *does[ACTION_STEPS_MAX];    /* the arguments of each step, … */
        struct json_object *undo[ACTION_STEPS_MAX];    /* … of what undoes it, … */
        struct json_object *replies[ACTION_STEPS_MAX]; /* … and its reply */
        char *equals;                                  /* see struct action; or NULL */
        unsigned n, step;                              /* number of steps; the next one, or that to undo */
        bool oob, nowait, happened, undoing;
        bool idle; /* waits for the next look */
        uint64_t limit_ns, look_ns;
        struct subscriber subscriber;
        struct qmp_timer again; /* the next look, or the next repetition */
        int (*done)(struct request *r, struct json_object *value);
        void (*failed)(struct request *r, int error);
        int (*shown)(struct request *r, bool *ret_shown);

        int error;      /* that of the request, while it is being undone or after its end */
        char *left;     /* what could not be undone; NULL: nothing */
        struct who who; /* after the end of the request: of its line in `errors` */
        char *path;
};

static void op_free(struct action_op *op)
{
        call_deinit(&op->call);
        for (unsigned i = 0; i < ACTION_STEPS_MAX; i++) {
                json_object_put(op->does[i]);
                json_object_put(op->undo[i]);
                json_object_put(op->replies[i]);
        }
        free(op->name);
        free(op->first);
        free(op->equals);
        free(op->left);
        free(op->path);
        free(op);
}

static void op_freep(struct action_op **op)
{
        if (*op)
                op_free(*op);
}

/* Adds what comes from earlier replies. 0, -ENOMEM, or -EPROTO with the name of the reply's command in *ret_of. */
static int complete(struct action_op *op, const struct action_command *c, struct json_object *arguments,
                    const struct action_argument **ret_missing)
{
        for (const struct action_argument *a = c->arguments; a->name; a++) {
                struct json_object *value = a->reply ? binding_get(a->reply, op->replies[a->step]) : NULL;

                if (!a->reply)
                        continue;
                if (!value) {
                        *ret_missing = a;
                        return -EPROTO;
                }
                if (!qmp_json_add(arguments, a->name, json_object_get(value)))
                        return -ENOMEM;
        }
        return 0;
}

static const char *command_of(const struct action_op *op, unsigned step)
{
        return step == 0 ? op->first : op->action->steps[step].does.command;
}

/* --- undoing ---------------------------------------------------------------------------------------------------- */

/* @more: why; may be NULL. */
static void note_left(struct action_op *op, unsigned step, const char *how, const char *more)
{
        const char *id = qmp_json_get_string(op->does[step], "id");
        char *left;

        if (!id)
                id = qmp_json_get_string(op->does[step], "node-name");
        if (asprintf(&left, "%s%s%s%s%s %s%s%s", op->left ? op->left : "", op->left ? "; " : "", command_of(op, step),
                     id ? " of " : "", id ? id : "", how, more ? ": " : "", more ? more : "") < 0)
                return;
        free(op->left);
        op->left = left;
}

/* The end of an action that failed, and was undone as far as possible. */
static void end_undo(struct action_op *op)
{
        struct request *r = op->calls.r;
        _cleanup_(qmp_freep) char *reason = NULL;

        op->undoing = false;
        if (!r) {
                if (op->left)
                        vm_log_error(op->calls.vm, op->who, op->path ? op->path : "?", -op->error, NULL, op->left);
                op_free(op);
                return;
        }
        reason = take_ptr(r->waiter.reason);
        if (op->left) {
                _cleanup_(qmp_freep) char *class = take_ptr(r->waiter.reason_class);

                request_fail(r, op->error, class, "%s; %s", reason ? reason : strerror(-op->error), op->left);
        } else {
                r->waiter.reason = take_ptr(reason);
        }
        request_finish(r, op->error);
}

/* Undoes the step before op->step, and so on. May end the request and free the op. */
static void undo_next(struct action_op *op)
{
        struct request *r = take_ptr(op->calls.r); /* which has its reason */

        op->undoing = true;
        op->calls.limit_ns = op->calls.vm->peer.options.command_timeout_ns;
        while (op->step > 0) {
                const struct action_command *undo = &op->action->steps[--op->step].undo;
                const struct action_argument *missing;
                int e;

                if (!undo->command)
                        continue;
                e = complete(op, undo, op->undo[op->step], &missing);
                if (e == 0)
                        e = calls_send(&op->calls, &op->call, undo->command, op->undo[op->step],
                                       (struct qmp_send_options){ 0 });
                if (e == 0) {
                        op->calls.r = r;
                        return;
                }
                note_left(op, op->step, "was not undone", strerror(-e));
        }
        op->calls.r = r;
        end_undo(op);
}

static void undone(struct action_op *op, const struct call *call, const struct qmp_result *result)
{
        if (result->outcome != QMP_OK) {
                _cleanup_(qmp_freep) char *words = call_words(call, result);

                note_left(op, op->step, "was not undone", words);
        }
        undo_next(op);
}

/* A step has failed, with its reason in the request. */
static void give_up(struct action_op *op, int error)
{
        op->error = error;
        undo_next(op);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static bool is_waiting(const struct action_op *op)
{
        return !op->undoing && op->step == op->n;
}

/* Leaves all but the commands. */
static void leave(struct action_op *op)
{
        bus_leave(&op->calls.vm->peer.bus, &op->subscriber);
        qmp_timer_disarm(op->calls.vm->peer.context->loop, &op->again);
}

static void set_reason(struct action_op *op, int error)
{
        struct request *r = op->calls.r;
        double limit = (double)op->limit_ns / NSEC_PER_SEC;
        bool is_undone = action_has_undo(op->action);

        if (error == -ETIMEDOUT && is_waiting(op))
                request_fail(r, error, NULL, "'%s' was passed on but not completed within %.3g s%s", op->name, limit,
                             r->vm->peer.paused ? ", the VM is paused" : "");
        else if (error == -ETIMEDOUT && !op->undoing)
                calls_expire(&op->calls, op->call.name,
                             is_undone ? "it is undone when QEMU answers" : "it may still carry it out");
        else if (error == -ECANCELED && !is_waiting(op) && is_undone)
                request_fail(r, error, NULL, "interrupted; what QEMU has done is undone");
}

static void action_cancel(struct request *r, int error)
{
        struct action_op *op = take_ptr(r->op);
        bool is_pending = !list_empty(&op->calls.under_way);

        if (error < 0)
                set_reason(op, error);
        if (error < 0 && op->failed)
                op->failed(r, error);
        leave(op);
        op->calls.r = NULL;
        if (!is_pending || is_waiting(op) || !action_has_undo(op->action)) {
                calls_end(&op->calls);
                op_free(op);
                return;
        }
        /* all or nothing, whether anybody waits for it or not */
        op->error = error;
        op->who = r->who;
        op->path = inode_path(r->inode);
        if (!op->undoing && !calls_is_any_sent(&op->calls)) {
                calls_end(&op->calls);
                undo_next(op);
        }
}

static bool action_is_committed(const struct request *r)
{
        const struct action_op *op = r->op;

        /* the request was passed on to the guest, and users may repeat it */
        return op->action->limit != ACTION_GUEST && calls_is_committed(&op->calls);
}

static int finish(struct action_op *op)
{
        int e = op->done ? op->done(op->calls.r, op->replies[op->n - 1]) : 0;

        return e == -ENOMEM ? calls_fail_memory(&op->calls) : e;
}

/* --- the effect ------------------------------------------------------------------------------------------------- */

static void look(struct action_op *op)
{
        struct request *r = op->calls.r;

        op->idle = false;
        qmp_timer_disarm(r->vm->peer.context->loop, &op->again);
        r->waiter.stamp = ++r->vm->peer.context->stamp;
        request_run(r);
}

int action_continue(struct request *r)
{
        struct action_op *op = r->op;
        bool shown = false;
        int e = op->shown(r, &shown);

        /* the limit of a query is not that of the action */
        if (e == -ETIMEDOUT) {
                free(take_ptr(r->waiter.reason));
                free(take_ptr(r->waiter.reason_class));
                e = 0;
        }
        if (e != 0)
                return e;
        if (shown)
                return finish(op);
        op->idle = true;
        qmp_timer_arm(r->vm->peer.context->loop, &op->again, qmp_now() + op->look_ns);
        op->look_ns = 2 * op->look_ns < LOOK_MAX_NS ? 2 * op->look_ns : LOOK_MAX_NS;
        return WAITER_PARKED;
}

/* May end the request. */
static void check(struct action_op *op)
{
        bool is_look = op->action->until == ACTION_SHOWN || op->action->until == ACTION_GONE;

        if (!is_waiting(op))
                return;
        if (op->nowait || op->happened || op->action->until == ACTION_REPLY)
                request_finish(op->calls.r, finish(op));
        else if (is_look)
                look(op);
}

static void repeat_after(struct action_op *op, uint64_t since)
{
        qmp_timer_arm(op->calls.vm->peer.context->loop, &op->again, since + op->action->repeat_ns);
}

static int send_step(struct action_op *op, unsigned step)
{
        const struct action_argument *missing = NULL;
        int e = complete(op, &op->action->steps[step].does, op->does[step], &missing);

        if (e == -EPROTO)
                return request_fail(op->calls.r, e, NULL, "QEMU's answer to %s has no %s",
                                    command_of(op, missing->step), missing->reply);
        if (e == 0)
                e = calls_send(&op->calls, &op->call, command_of(op, step), op->does[step],
                               (struct qmp_send_options){ .prefer_oob = op->oob });
        if (e == 0 && op->action->repeat_ns)
                op->calls.vm->pressed_at = qmp_now();
        return e;
}

/* The request is over, and a step that was under way has ended. */
static void abandoned(struct action_op *op, const struct qmp_result *result)
{
        if (result->outcome == QMP_OK)
                op->replies[op->step++] = json_object_get(result->value);
        else if (result->outcome == QMP_DISCONNECTED)
                note_left(op, op->step, "may have been carried out", result->text);
        undo_next(op);
}

static void step_failed(struct action_op *op, const struct call *call, const struct qmp_result *result)
{
        int e = call_fail(call, result);
        struct request *r = op->calls.r;

        /* which of several it was */
        if (op->n > 1 && result->outcome == QMP_ERROR && r->waiter.reason) {
                _cleanup_(qmp_freep) char *reason = take_ptr(r->waiter.reason);
                _cleanup_(qmp_freep) char *class = take_ptr(r->waiter.reason_class);

                request_fail(r, e, class, "%s: %s", call->name, reason);
        }
        give_up(op, e);
}

/* Whether the server ended the connection, not this side because of what came over it. */
static bool is_closed_by_server(const struct vm *vm)
{
        struct qmp_client_info info;

        qmp_client_get_info(vm->peer.client, &info);
        return info.state != QMP_CLIENT_UP && info.error == -EHOSTDOWN;
}

static void action_replied(struct call *call, const struct qmp_result *result)
{
        struct action_op *op = container_of(call, struct action_op, call);
        const struct action *action = op->action;
        int e = 0;

        if (op->undoing) {
                undone(op, call, result);
        } else if (!op->calls.r) {
                abandoned(op, result);
        } else if (result->outcome == QMP_DISCONNECTED && result->sent && action->until == ACTION_DOWN &&
                   is_closed_by_server(op->calls.vm)) {
                request_finish(op->calls.r, 0);
        } else if (op->step == op->n && result->outcome != QMP_DISCONNECTED) {
                /* a repetition; that it was passed on before counts */
                repeat_after(op, qmp_now());
        } else if (result->outcome != QMP_OK) {
                step_failed(op, call, result);
        } else {
                op->replies[op->step++] = json_object_get(result->value);
                if (op->step < op->n)
                        e = send_step(op, op->step);
                else if (op->again.fire && action->repeat_ns)
                        repeat_after(op, qmp_now());
                if (e < 0)
                        give_up(op, e);
                else
                        check(op);
        }
}

static void look_again(struct qmp_timer *timer)
{
        look(container_of(timer, struct action_op, again));
}

static void repeat(struct qmp_timer *timer)
{
        struct action_op *op = container_of(timer, struct action_op, again);
        const struct vm *vm = op->calls.vm;
        uint64_t now = qmp_now();

        if (now - vm->pressed_at < op->action->repeat_ns)
                repeat_after(op, vm->pressed_at);
        /* a paused guest gets the earlier request when it is resumed */
        else if (vm->peer.paused || send_step(op, op->n - 1) < 0)
                repeat_after(op, now);
}

/* Whether an event that comes now may be the effect of the last command, not of an earlier one of any writer. */
static bool may_have_effect(const struct action_op *op)
{
        const struct qmp_command *command = op->call.command;

        return !op->undoing &&
               (op->step == op->n || (op->step + 1 == op->n && command && qmp_command_is_next(command)));
}

static bool is_expected(const struct action_op *op, const struct qmp_event *event)
{
        const char *value;

        for (const char *const *name = op->action->events; *name; name++) {
                if (!streq(event->name, *name))
                        continue;
                value = op->action->member ? qmp_json_get_string(event->data, op->action->member) : NULL;
                if (!op->action->member || (value && op->equals && streq(value, op->equals)))
                        return true;
        }
        return false;
}

static void action_event(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct action_op *op = container_of(subscriber, struct action_op, subscriber);
        const char *told_by = op->action->told_by;

        (void)line;
        op->happened |= may_have_effect(op) && is_expected(op, event);
        if (told_by && streq(event->name, told_by))
                op->calls.vm->pressed_at = qmp_now();
        if (op->idle)
                look(op);
        else if (op->happened)
                check(op);
}

static void action_down(struct subscriber *subscriber)
{
        struct action_op *op = container_of(subscriber, struct action_op, subscriber);
        struct request *r = op->calls.r;
        bool is_down = op->action->until == ACTION_DOWN;
        _cleanup_(qmp_freep) char *why = NULL;

        if (is_down && is_closed_by_server(r->vm)) {
                request_finish(r, 0);
                return;
        }
        why = is_down ? peer_describe(&r->vm->peer) : NULL;
        if (why)
                request_fail(r, -EHOSTDOWN, NULL, "%s; it may have been carried out", why);
        else
                request_fail_down(r);
        request_finish(r, -EHOSTDOWN);
}

/* --- the start -------------------------------------------------------------------------------------------------- */

static int explain(struct request *r, const struct action_op *op)
{
        struct text text = { 0 };
        FILE *out = open_memstream(&text.data, &text.size);
        int e = out ? 0 : -ENOMEM;

        for (unsigned i = 0; e == 0 && i < op->n; i++)
                e = render_command(command_of(op, i), op->does[i], out);
        if (out && (qmp_close_text(out, &text.data) < 0 || e < 0)) {
                free(text.data);
                e = -ENOMEM;
        }
        return e < 0 ? e : answer_explain(r, &text);
}

/* ACTION_GONE */
static int is_gone(struct request *r, bool *ret_gone)
{
        struct json_object *record;
        int e = object_require(r->inode->object, &r->waiter, FRESH_CONTENT, &record);

        *ret_gone = e == -ENODEV || (e == 0 && r->inode->object->kept);
        return e == -ENODEV ? 0 : e;
}

static uint64_t limit_of(const struct request *r, const struct action_use *use)
{
        const struct peer_options *options = &r->vm->peer.options;

        if (use->words.limit_ns)
                return use->words.limit_ns;
        switch (use->action->limit) {
        case ACTION_ANSWER:
                return options->timeout_ns;
        case ACTION_GUEST:
                return use->words.nowait ? options->timeout_ns : options->unplug_timeout_ns;
        case ACTION_ENDLESS:
                return 0;
        default:
                return options->command_timeout_ns;
        }
}

/* The limit of each command: the guest, or a job, may take longer than QEMU may. What is written is the writer's. */
static uint64_t command_limit_of(const struct request *r, const struct action_use *use)
{
        const struct peer_options *options = &r->vm->peer.options;
        bool is_quick = use->action->limit == ACTION_ANSWER || use->action->limit == ACTION_GUEST;
        uint64_t limit_ns = is_quick ? options->timeout_ns : options->command_timeout_ns;

        if (use->words.limit_ns && use->action->limit == ACTION_WRITTEN)
                return use->words.limit_ns;
        return use->words.limit_ns && use->words.limit_ns < limit_ns ? use->words.limit_ns : limit_ns;
}

static int build_all(struct request *r, const struct action_use *use, struct action_op *op)
{
        const struct action *action = use->action;
        const struct qmp_schema *schema = NULL;
        int e = 0;

        if (action_has_arguments(action))
                e = introspection_schema(&r->vm->introspection, &r->waiter, &schema);
        if (e == 0 && use->arguments)
                op->does[0] = json_object_get(use->arguments);
        for (unsigned i = 0; e == 0 && i < op->n; i++) {
                if (i > 0 || !use->arguments)
                        e = action_build(r, use, schema, &action->steps[i].does, &op->does[i]);
                if (e == 0)
                        e = action_build(r, use, schema, &action->steps[i].undo, &op->undo[i]);
        }
        return e;
}

int action_start(struct request *r, const struct action_use *use)
{
        _cleanup_(op_freep) struct action_op *op = calloc(1, sizeof(*op));
        const struct action *action = use->action;
        const char *first = action->steps[0].does.command ? action->steps[0].does.command : use->command;
        int e;

        if (!op)
                return -ENOMEM;
        /* its name may be another one's by now, which QEMU would take for it */
        if (r->inode->object && r->inode->object->kept)
                return request_fail(r, -ENODEV, NULL, "it has ended");
        op->action = action;
        op->n = action_count_steps(action);
        op->name = strdup(use->name);
        op->first = strdup(first);
        if (!op->name || !op->first)
                return -ENOMEM;
        e = build_all(r, use, op);
        if (e == 0 && use->words.explain)
                return explain(r, op);
        if (e)
                return e;
        if (action->equals) {
                size_t size;

                e = binding_text(action->equals, use->record, &op->equals, &size);
                if (e == -ENOMEM)
                        return e;
        }
        op->oob = use->oob;
        op->nowait = use->words.nowait;
        op->done = use->done;
        op->failed = use->failed;
        op->shown = action->until == ACTION_GONE ? is_gone : use->shown;
        op->look_ns = LOOK_MIN_NS;
        op->limit_ns = limit_of(r, use);
        op->subscriber = (struct subscriber){ .event = action_event, .down = action_down };
        if (action->repeat_ns && !words_are_given(&use->words, "once"))
                op->again.fire = repeat;
        else if (op->shown)
                op->again.fire = look_again;
        calls_init(&op->calls, r, command_limit_of(r, use), action_replied);
        op->calls.lasting = action_has_undo(action);
        e = send_step(op, 0);
        if (e < 0)
                return e;
        /* heard from before the reply on: RESET and SHUTDOWN come first */
        bus_join(&r->vm->peer.bus, &op->subscriber);
        waiter_set_limit(&r->waiter, op->limit_ns ? qmp_now() - r->waiter.arrived + op->limit_ns : 0);
        r->cancel = action_cancel;
        r->is_committed = action_is_committed;
        r->op = take_ptr(op);
        /* what the values were needed for is known; they would be kept as long as the guest takes */
        queries_release(&r->waiter);
        return WAITER_PARKED;
}
