/*
 * The commands of a client: queued, on the wire and out of band. Owns their order, time limits and completion, and
 * detects stalls.
 */
#include "qmp/client_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "qmp/errors.h"

/* Maximum of in-band commands on the wire. QEMU stops reading, also probes, when 8 are queued. */
#define WINDOW 4
/* While QEMU is overdue: the time limit is halved after each IN_VAIN queries, at most IN_VAIN_HALVINGS times. */
#define IN_VAIN          32
#define IN_VAIN_HALVINGS 7
/* After a command has been unanswered for this time, and at this interval from then on, QEMU is probed. */
#define STALL_NS (1 * NSEC_PER_SEC)

static struct qmp_command *command_free(struct qmp_command *command)
{
        qmp_timer_disarm(command->client->loop, &command->timer);
        list_unlink(&command->link);
        free(command->name);
        free(command->text);
        free(command);
        return NULL;
}

/* The only place that runs callbacks. The command keeps its place in the order if QEMU still owes a reply. */
static void command_end(struct qmp_command *command, const struct qmp_result *result)
{
        qmp_reply_fn fn = take_ptr(command->fn);

        qmp_timer_disarm(command->client->loop, &command->timer);
        /* still queued: it must not be sent any more, whatever the callback does */
        if (command->sent_at == 0)
                list_unlink(&command->link);
        if (fn)
                fn(command->userdata, result);
}

void qmp_client_end_commands(struct qmp_client *client, struct list *commands)
{
        struct list ending;

        list_init(&ending);
        list_splice(&ending, commands);
        while (!list_empty(&ending)) {
                struct qmp_command *command = list_entry(ending.next, struct qmp_command, link);

                list_unlink(&command->link);
                command_end(command, &(struct qmp_result){
                                             .outcome = QMP_DISCONNECTED,
                                             .error = -EHOSTDOWN,
                                             .sent = command->sent_at != 0,
                                             .text = client->failure ? client->failure : "the connection ended",
                                     });
                command_free(command);
        }
}

/* Starts or stops watching EPOLLOUT. Most commands are sent at once and need no system call here. */
static void watch_room(struct qmp_client *client, bool wanted)
{
        if (client->wants_room == wanted)
                return;
        client->wants_room = wanted;
        qmp_client_watch(client);
}

void qmp_client_flush(struct qmp_client *client)
{
        while (client->out_start < client->out_end) {
                ssize_t n = send(client->source.fd, client->out + client->out_start,
                                 client->out_end - client->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        /*
                         * EAGAIN: wait for room. Other errors are reported by recv(), after the peer's last messages.
                         */
                        if (errno != EAGAIN)
                                client->out_start = client->out_end;
                        break;
                }
                client->out_start += (size_t)n;
        }
        if (client->out_start == client->out_end)
                client->out_start = client->out_end = 0;
        watch_room(client, client->out_end > 0);
}

int qmp_client_put(struct qmp_client *client, const char *text, size_t size)
{
        if (client->out_size - client->out_end < size) {
                size_t used = client->out_end - client->out_start;
                char *out;

                if (used > 0)
                        memmove(client->out, client->out + client->out_start, used);
                client->out_start = 0;
                client->out_end = used;
                if (client->out_size - used < size) {
                        out = realloc(client->out, used + size + 512);
                        if (!out)
                                return -ENOMEM;
                        client->out = out;
                        client->out_size = used + size + 512;
                }
        }
        memcpy(client->out + client->out_end, text, size);
        client->out_end += size;
        if (client->trace)
                client->trace(client->userdata, true, text);
        return 0;
}

static void watch_stall(struct qmp_client *client)
{
        struct qmp_command *head;

        if (list_empty(&client->wire)) {
                qmp_timer_disarm(client->loop, &client->stall_timer);
        } else if (!client->stall_timer.armed) {
                head = list_entry(client->wire.next, struct qmp_command, link);
                qmp_timer_arm(client->loop, &client->stall_timer, head->sent_at + STALL_NS);
        }
}

bool qmp_client_is_overdue(struct qmp_client *client)
{
        list_for_each(i, &client->wire) {
                struct qmp_command *command = list_entry(i, struct qmp_command, link);

                /* also by the clock, since the timer is disarmed after a cancellation */
                if (command->overdue || qmp_now() - command->sent_at > command->limit_ns)
                        return true;
        }
        return false;
}

uint64_t qmp_client_patience(struct qmp_client *client, uint64_t timeout_ns)
{
        unsigned halvings;

        if (!qmp_client_is_overdue(client))
                return timeout_ns;
        halvings = client->in_vain++ / IN_VAIN;
        return timeout_ns / 50 >> (halvings < IN_VAIN_HALVINGS ? halvings : IN_VAIN_HALVINGS);
}

void qmp_client_pump(struct qmp_client *client)
{
        if (client->state != QMP_CLIENT_UP)
                return;
        while (client->n_wire < WINDOW && !list_empty(&client->queue)) {
                struct qmp_command *command = list_entry(client->queue.next, struct qmp_command, link);

                if (command->effect && qmp_client_is_overdue(client))
                        break;
                assert(command->text);
                if (qmp_client_put(client, command->text, command->size) < 0) {
                        qmp_client_try_later(client);
                        break;
                }
                free(take_ptr(command->text));
                command->sent_at = qmp_now();
                command->sent_after = client->n_received;
                list_unlink(&command->link);
                list_append(&client->wire, &command->link);
                client->n_wire++;
        }
        watch_stall(client);
        qmp_client_flush(client);
}

static void command_timeout(struct qmp_timer *timer)
{
        struct qmp_command *command = container_of(timer, struct qmp_command, timer);
        struct qmp_result result = { .outcome = QMP_TIMEOUT, .error = -ETIMEDOUT, .sent = command->sent_at != 0 };
        double seconds = (double)command->limit_ns / NSEC_PER_SEC;
        _cleanup_(qmp_freep) char *text = NULL;
        int n;

        if (result.sent && command->lasting) {
                command->overdue = true;
                return;
        }
        if (result.sent)
                n = asprintf(&text, "QEMU did not answer %s within %.3g s", command->name, seconds);
        else
                n = asprintf(&text, "QEMU is stalled: %s was not sent within %.3g s", command->name, seconds);
        result.text = n >= 0 ? text : "QEMU did not answer in time";
        if (n < 0)
                text = NULL;
        command->overdue = true;
        command_end(command, &result);
        if (command->sent_at == 0)
                command_free(command);
}

void qmp_command_cancel(struct qmp_command *command)
{
        command_end(command, &(struct qmp_result){
                                     .outcome = QMP_CANCELLED,
                                     .error = -EINTR,
                                     .sent = command->sent_at != 0,
                                     .text = "interrupted",
                             });
        if (command->sent_at == 0)
                command_free(command);
}

bool qmp_command_is_sent(const struct qmp_command *command)
{
        return command->sent_at != 0;
}

bool qmp_command_is_next(const struct qmp_command *command)
{
        return command->sent_at != 0 && (*command->id || command->client->wire.next == &command->link);
}

int qmp_client_send(struct qmp_client *client, const char *name, struct json_object *arguments, uint64_t timeout_ns,
                    const struct qmp_send_options *options, qmp_reply_fn fn, void *userdata,
                    struct qmp_command **ret_command)
{
        bool has_room = client->n_oob < QMP_OOB_MAX;
        bool oob = options && (options->oob || (options->prefer_oob && client->oob && has_room));
        struct qmp_command *command;
        int r;

        if (client->state != QMP_CLIENT_UP)
                return -EHOSTDOWN;
        if (oob && !client->oob)
                return -EOPNOTSUPP;
        if (oob && !has_room)
                return -EBUSY;
        command = calloc(1, sizeof(*command));
        if (!command)
                return -ENOMEM;
        list_init(&command->link);
        command->client = client;
        command->fn = fn;
        command->userdata = userdata;
        command->timer.fire = command_timeout;
        command->limit_ns = timeout_ns;
        command->effect = options && options->effect;
        command->lasting = options && options->lasting;
        if (!oob && !command->effect && !(options && options->patient))
                command->limit_ns = qmp_client_patience(client, timeout_ns);
        if (oob)
                snprintf(command->id, sizeof(command->id), "o%u", client->oob_serial++);
        command->name = strdup(name);
        r = command->name ? 0 : -ENOMEM;
        if (r == 0)
                r = qmp_command_format(name, arguments, oob ? command->id : NULL, &command->text, &command->size);
        if (r == 0 && oob)
                r = qmp_client_put(client, command->text, command->size);
        if (r < 0) {
                command_free(command);
                return r;
        }
        qmp_timer_arm(client->loop, &command->timer, qmp_now() + command->limit_ns);
        if (oob) {
                command->sent_at = qmp_now();
                free(take_ptr(command->text));
                list_append(&client->oob_wire, &command->link);
                client->n_oob++;
                qmp_client_flush(client);
        } else {
                list_append(&client->queue, &command->link);
                qmp_client_pump(client);
        }
        if (ret_command)
                *ret_command = command;
        return 0;
}

static void probe_answered(void *userdata, const struct qmp_result *result)
{
        struct qmp_client *client = userdata;
        /* any reply proves that QEMU is alive, including "no such command" */
        bool alive = result->outcome == QMP_OK || result->outcome == QMP_ERROR;

        if ((client->alive != alive || !client->probed) && client->state == QMP_CLIENT_UP) {
                client->alive = alive;
                client->probed = true;
                qmp_client_changed(client);
        }
}

static bool is_probing(const struct qmp_client *client)
{
        list_for_each(i, &client->oob_wire)
                if (list_entry(i, struct qmp_command, link)->is_probe)
                        return true;
        return false;
}

void qmp_client_stall_tick(struct qmp_timer *timer)
{
        struct qmp_client *client = container_of(timer, struct qmp_client, stall_timer);
        struct qmp_command *head;
        uint64_t now = qmp_now();
        bool was_stalled = client->stalled;

        if (list_empty(&client->wire))
                return;
        head = list_entry(client->wire.next, struct qmp_command, link);
        if (now - head->sent_at < STALL_NS || now - client->last_reply_at < STALL_NS) {
                uint64_t from = head->sent_at > client->last_reply_at ? head->sent_at : client->last_reply_at;

                qmp_timer_arm(client->loop, timer, from + STALL_NS);
                return;
        }
        if (!client->stalled)
                client->probed = false;
        client->stalled = true;
        /* a single unanswered probe is enough: more would only pile up in a stopped QEMU */
        if (client->oob && !is_probing(client)) {
                struct qmp_command *probe;

                if (qmp_client_send(client, "query-yank", NULL, STALL_NS, &(struct qmp_send_options){ .oob = true },
                                    probe_answered, client, &probe) == 0)
                        probe->is_probe = true;
        }
        qmp_timer_arm(client->loop, timer, now + STALL_NS);
        if (!was_stalled)
                qmp_client_changed(client);
}

static struct qmp_command *find_oob(struct qmp_client *client, struct json_object *id)
{
        if (!json_object_is_type(id, json_type_string))
                return NULL;
        list_for_each(i, &client->oob_wire) {
                struct qmp_command *command = list_entry(i, struct qmp_command, link);

                if (streq(command->id, json_object_get_string(id)))
                        return command;
        }
        return NULL;
}

/* Returns the text, or a truncated copy that is also stored in *ret_cut for the caller to free. */
static const char *bounded(const char *text, char **ret_cut)
{
        size_t size = qmp_words_size(text);

        if (text[size] == '\0')
                return text;
        *ret_cut = strndup(text, size);
        return *ret_cut ? *ret_cut : "";
}

/* Whether the reply being handled was received before the command was sent: a surplus reply to an earlier one. */
static bool came_before(const struct qmp_client *client, const struct qmp_command *command)
{
        size_t rest;

        (void)qmp_framer_rest(&client->framer, &rest);
        return client->n_received - rest <= command->sent_after;
}

static void tell_late(struct qmp_client *client, const struct qmp_command *command)
{
        list_for_each_safe(i, &client->subscriptions) {
                struct qmp_subscription *s = list_entry(i, struct qmp_subscription, link);

                if (s->late)
                        s->late(s, command->name);
        }
}

bool qmp_client_take_reply(struct qmp_client *client, const struct qmp_message *m)
{
        struct qmp_result result = { .outcome = QMP_OK, .sent = true, .value = m->value };
        struct qmp_command *command = NULL;
        _cleanup_(qmp_freep) char *class = NULL, *text = NULL;
        uint64_t now = qmp_now(), from;

        if (m->has_id)
                command = find_oob(client, m->id);
        else if (!list_empty(&client->wire))
                command = list_entry(client->wire.next, struct qmp_command, link);
        if (!command || (!m->has_id && came_before(client, command)))
                return false;
        if (m->kind == QMP_MESSAGE_ERROR) {
                result.outcome = QMP_ERROR;
                /* it is stored and searched, and QEMU determines its size */
                result.error_class = bounded(m->error_class, &class);
                result.text = bounded(m->error_desc, &text);
                result.error = -qmp_error_to_errno(result.error_class, result.text);
        }
        from = command->sent_at;
        if (!m->has_id) {
                if (client->last_reply_at > from)
                        from = client->last_reply_at;
                client->last_reply_at = now;
                client->in_vain = 0;
                client->n_wire--;
        } else {
                client->n_oob--;
        }
        result.busy_ns = now - from;
        result.memory = client->framer.memory;
        list_unlink(&command->link);
        if (!m->has_id && client->stalled) {
                client->stalled = false;
                client->alive = true;
                qmp_client_changed(client);
        }
        qmp_client_pump(client);
        if (command->effect && !command->fn)
                tell_late(client, command);
        command_end(command, &result);
        command_free(command);
        return true;
}
