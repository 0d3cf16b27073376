/*
 * `ctl`: one verb a write, which returns when the verb is done, not when QEMU has heard it.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "qmp/nearest.h"
#include "fs/util/wait.h"
#include "fs/fuse/session.h"

struct ctl_op {
        struct subscriber subscriber;
        struct request *r;
        const struct verb *verb;
        struct qmp_command *command; /* NULL once it has ended */
        bool replied, happened, nowait;
        struct qmp_timer again; /* for verbs that are repeated */
};

static void ctl_cancel(struct request *r, int error)
{
        struct ctl_op *op = take_ptr(r->op);
        const char *verb = op->verb->name;
        double limit = (double)r->waiter.limit_ns / NSEC_PER_SEC;

        if (error == -ETIMEDOUT && op->replied)
                request_fail(r, error, NULL, "'%s' was passed on but not completed within %.3g s%s", verb, limit,
                             r->vm->peer.paused ? ", the VM is paused" : "");
        else if (error == -ETIMEDOUT && op->command && qmp_command_is_sent(op->command))
                request_fail(r, error, NULL, "QEMU did not answer '%s' within %.3g s", op->verb->command, limit);
        else if (error == -ETIMEDOUT)
                request_fail(r, error, NULL, "QEMU is stalled: '%s' was not sent within %.3g s", op->verb->command,
                             limit);
        bus_leave(&r->vm->peer.bus, &op->subscriber);
        qmp_timer_disarm(r->vm->peer.context->loop, &op->again);
        op->r = NULL;
        if (op->command)
                qmp_command_cancel(op->command);
        free(op);
}

static bool ctl_is_committed(const struct request *r)
{
        const struct ctl_op *op = r->op;

        /* the request was passed on to the guest, and users may repeat it */
        return !op->verb->guest && (op->replied || !op->command || qmp_command_is_sent(op->command));
}

static void arm(struct ctl_op *op, uint64_t since)
{
        qmp_timer_arm(op->r->vm->peer.context->loop, &op->again, since + op->verb->repeat_ns);
}

static void check(struct ctl_op *op)
{
        if (op->replied && (op->happened || op->nowait || (!op->verb->until[0] && !op->verb->ends)))
                request_finish(op->r, 0);
}

static void ctl_replied(void *userdata, const struct qmp_result *result)
{
        struct ctl_op *op = userdata;
        struct request *r = op->r;

        op->command = NULL;
        if (!r)
                return;
        if (result->outcome == QMP_OK) {
                op->replied = true;
                peer_note_command(&r->vm->peer, op->verb->command);
                if (op->again.fire)
                        arm(op, qmp_now());
                check(op);
        } else if (result->outcome == QMP_DISCONNECTED && result->sent && op->verb->ends) {
                request_finish(r, 0);
        } else if (op->replied && result->outcome != QMP_DISCONNECTED) {
                /* it was passed on before, and that counts */
                arm(op, qmp_now());
        } else {
                request_fail(r, result->error, result->error_class, "%s", result->text);
                request_finish(r, result->error);
        }
}

static int ctl_send(struct ctl_op *op)
{
        struct vm *vm = op->r->vm;
        int e = qmp_client_send(vm->peer.client, op->verb->command, NULL, vm->peer.options.timeout_ns,
                                &(struct qmp_send_options){ .effect = true }, ctl_replied, op, &op->command);

        if (e == 0 && op->verb->repeat_ns)
                vm->pressed_at = qmp_now();
        return e;
}

static void ctl_again(struct qmp_timer *timer)
{
        struct ctl_op *op = container_of(timer, struct ctl_op, again);
        struct vm *vm = op->r->vm;
        uint64_t now = qmp_now();

        if (now - vm->pressed_at < op->verb->repeat_ns)
                arm(op, vm->pressed_at);
        /* a paused guest gets the earlier request when it is resumed */
        else if (vm->peer.paused || ctl_send(op) < 0)
                arm(op, now);
}

static void ctl_event(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct ctl_op *op = container_of(subscriber, struct ctl_op, subscriber);

        (void)line;
        for (size_t i = 0; i < ARRAY_SIZE(op->verb->until) && op->verb->until[i]; i++)
                op->happened |= streq(event->name, op->verb->until[i]);
        if (op->verb->told_by && streq(event->name, op->verb->told_by))
                op->r->vm->pressed_at = qmp_now();
        check(op);
}

static void ctl_down(struct subscriber *subscriber)
{
        struct ctl_op *op = container_of(subscriber, struct ctl_op, subscriber);
        struct request *r = op->r;
        int error = op->verb->ends ? 0 : -EHOSTDOWN;

        if (error)
                request_fail_down(r);
        request_finish(r, error);
}

static const struct verb *find(const struct verb *verbs, const char *name, size_t size)
{
        for (; verbs->name; verbs++)
                if (strlen(verbs->name) == size && strncmp(verbs->name, name, size) == 0)
                        return verbs;
        return NULL;
}

static int parse_words(struct request *r, const struct verb *verb, const char *words, bool *ret_once,
                       struct wait *ret_wait)
{
        char *save = NULL;
        _cleanup_(qmp_freep) char *copy = strdup(words);

        *ret_once = false;
        *ret_wait = (struct wait){ 0 };
        if (!copy)
                return -ENOMEM;
        for (char *word = strtok_r(copy, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
                struct wait wait = { 0 };
                bool is_once = verb->repeat_ns && streq(word, "once");

                if (!verb->guest)
                        return request_fail(r, -EINVAL, NULL, "'%s' takes no arguments", verb->name);
                if (!is_once && wait_parse(word, &wait) < 0)
                        return request_fail(r, -EINVAL, NULL, "'%s' takes only %snowait or timeout=SEC", verb->name,
                                            verb->repeat_ns ? "once, " : "");
                if (!is_once && (ret_wait->nowait || ret_wait->limit_ns))
                        return request_fail(r, -EINVAL, NULL, "'%s' takes one of nowait and timeout=SEC, not both",
                                            verb->name);
                *ret_once |= is_once;
                if (!is_once)
                        *ret_wait = wait;
        }
        return 0;
}

/* The error for an unknown verb: the first @n bytes of the written line. */
static int no_verb(struct request *r, const struct verb *verbs, size_t n)
{
        struct qmp_nearest nearest;
        const char *name;

        r->data[n] = '\0';
        qmp_nearest_init(&nearest, r->data);
        for (; verbs->name; verbs++)
                qmp_nearest_offer(&nearest, verbs->name);
        name = qmp_nearest_get(&nearest);
        return request_fail(r, -EINVAL, NULL, "no such verb%s%s%s; read the file for a list",
                            name ? " (nearest: '" : "", name ? name : "", name ? "')" : "");
}

static int parse(struct request *r, const struct verb *verbs, const struct verb **ret_verb, bool *ret_once,
                 struct wait *ret_wait)
{
        size_t n = strcspn(r->data, " \t");

        *ret_verb = find(verbs, r->data, n);
        if (!*ret_verb)
                return no_verb(r, verbs, n);
        if (!introspection_has(&r->vm->introspection, (*ret_verb)->command))
                return request_fail(r, -EOPNOTSUPP, NULL, "this server has no command '%s'", (*ret_verb)->command);
        return parse_words(r, *ret_verb, r->data + n, ret_once, ret_wait);
}

static int ctl_write(struct request *r, struct file *file)
{
        const struct verb *verb;
        struct ctl_op *op;
        struct wait wait;
        bool once;
        int e = parse(r, file->inode->row->data, &verb, &once, &wait);

        if (e < 0)
                return e;
        op = calloc(1, sizeof(*op));
        if (!op)
                return -ENOMEM;
        *op = (struct ctl_op){
                .subscriber = { .event = ctl_event, .down = ctl_down },
                .r = r,
                .verb = verb,
                .nowait = wait.nowait,
                .again = { .fire = verb->repeat_ns && !once ? ctl_again : NULL },
        };
        e = ctl_send(op);
        if (e < 0) {
                free(op);
                return e == -EHOSTDOWN ? request_fail_down(r) : e;
        }
        /* heard from before the reply on: RESET and SHUTDOWN come first */
        bus_join(&r->vm->peer.bus, &op->subscriber);
        r->op = op;
        r->cancel = ctl_cancel;
        r->is_committed = ctl_is_committed;
        if (wait.limit_ns)
                waiter_set_limit(&r->waiter, wait.limit_ns);
        else if (verb->guest && !wait.nowait)
                waiter_set_limit(&r->waiter, r->vm->peer.options.unplug_timeout_ns);
        peer_invalidate(&r->vm->peer);
        return WAITER_PARKED;
}

static int ctl_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        FILE *out;

        (void)r;
        out = open_memstream(&ret_text->data, &ret_text->size);
        if (!out)
                return -ENOMEM;
        for (const struct verb *verb = inode->row->data; verb->name; verb++)
                if (introspection_has(&inode->vm->introspection, verb->command))
                        fprintf(out, "%-10s %s\n", verb->name, verb->help);
        fputc('\n', out);
        outcomes_print(&inode->session->outcomes, inode->ino, out);
        return qmp_close_text(out, &ret_text->data);
}

static int64_t ctl_size(struct inode *inode)
{
        struct text text;
        int64_t size = -1;

        if (ctl_render(NULL, inode, &text) == 0) {
                size = (int64_t)text.size;
                free(text.data);
        }
        return size;
}

static bool ctl_supported(const struct vm *vm, const struct row *row)
{
        for (const struct verb *verb = row->data; verb->name; verb++)
                if (introspection_has(&vm->introspection, verb->command))
                        return true;
        return false;
}

const struct kind kind_ctl = {
        .type = S_IFREG,
        .supported = ctl_supported,
        .own_inode = true,
        .render = ctl_render,
        .write = ctl_write,
        .size = ctl_size,
};
