#include "qmp/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "qmp/client_internal.h"
#include "qmp/jsonc.h"

/* Reads from the socket per wakeup, so that a flood of events leaves time for others. */
#define READS_PER_WAKEUP    16
#define MESSAGES_PER_WAKEUP 1000
#define BACKOFF_MIN         (100 * NSEC_PER_MSEC)
#define BACKOFF_MAX         (5 * NSEC_PER_SEC)
/* Out of memory for input or output: time until the next attempt, and number of attempts for input. */
#define MEMORY_NS    (100 * NSEC_PER_MSEC)
#define MEMORY_TRIES 50

static void begin(struct qmp_client *client);

void qmp_client_changed(struct qmp_client *client)
{
        if (client->changed)
                client->changed(client->userdata);
}

static void set_failure(struct qmp_client *client, int error, const char *format, va_list args)
{
        _cleanup_(qmp_freep) char *text = NULL;

        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        free(client->failure);
        /* it may contain a text from QEMU */
        client->failure = text ? qmp_words(text) : NULL;
        client->error = error;
}

static void detach(struct qmp_client *client)
{
        int fd = client->source.fd;

        qmp_loop_remove(client->loop, &client->source);
        if (fd >= 0)
                close(fd);
        qmp_timer_disarm(client->loop, &client->handshake_timer);
}

/* Ends the connection or the attempt, records the reason, and schedules the next attempt. */
_printf_(3, 4) static void disconnect(struct qmp_client *client, int error, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        set_failure(client, error, format, args);
        va_end(args);
        detach(client);
        qmp_timer_disarm(client->loop, &client->stall_timer);
        qmp_timer_disarm(client->loop, &client->memory_timer);
        /* a server that accepts and hangs up at once must not be contacted ten times a second */
        if (client->state == QMP_CLIENT_UP && qmp_now() - client->up_at > NSEC_PER_SEC)
                client->backoff_ns = BACKOFF_MIN;
        client->state = QMP_CLIENT_DOWN;
        client->oob = client->stalled = client->connecting = client->starved = false;
        client->identifying = NOT_IDENTIFYING;
        client->n_starved = 0;
        client->n_wire = client->n_oob = 0;
        client->n_received = 0;
        client->out_start = client->out_end = 0;
        qmp_framer_reset(&client->framer);
        qmp_task_cancel(&client->more);
        if (!client->once) {
                qmp_timer_arm(client->loop, &client->retry_timer, qmp_now() + client->backoff_ns);
                client->backoff_ns = 2 * client->backoff_ns < BACKOFF_MAX ? 2 * client->backoff_ns : BACKOFF_MAX;
        }
        qmp_client_end_commands(client, &client->wire);
        qmp_client_end_commands(client, &client->oob_wire);
        qmp_client_end_commands(client, &client->queue);
        qmp_client_changed(client);
}

static void handle_event(struct qmp_client *client, const struct qmp_message *m)
{
        struct qmp_event event = { .name = m->event, .data = m->data, .message = m->value };

        /* it may be another VM's */
        if (client->state != QMP_CLIENT_UP && client->had_identity)
                return;
        if (streq(m->event, "RESUME") || streq(m->event, "RESET")) {
                /* with -no-shutdown the VM goes on */
                free(take_ptr(client->shutdown_reason));
        } else if (streq(m->event, "SHUTDOWN")) {
                const char *reason = qmp_json_get_string(m->data, "reason");

                free(client->shutdown_reason);
                client->shutdown_reason = qmp_words(reason ? reason : "shutdown");
        }
        list_for_each_safe(i, &client->subscriptions) {
                struct qmp_subscription *s = list_entry(i, struct qmp_subscription, link);

                s->handle(s, &event);
        }
}

static void handshake_done(struct qmp_client *client)
{
        qmp_timer_disarm(client->loop, &client->handshake_timer);
        client->address_index = 0;
        if (!client->had_peer) {
                client->had_peer = true;
                client->first_peer = client->peer;
        }
        client->state = QMP_CLIENT_UP;
        client->up_at = client->last_reply_at = qmp_now();
        client->since = (int64_t)time(NULL);
        client->alive = true;
        free(take_ptr(client->failure));
        free(take_ptr(client->shutdown_reason));
        qmp_client_changed(client);
        qmp_client_pump(client);
}

/* Which VM is it? Nothing else is sent before that is known. */
static void identify(struct qmp_client *client)
{
        static const char uuid[] = "{\"execute\":\"query-uuid\"}", name[] = "{\"execute\":\"query-name\"}";
        int r;

        if (!client->identify || client->once) {
                handshake_done(client);
                return;
        }
        client->identifying = AWAITING_UUID;
        r = qmp_client_put(client, uuid, sizeof(uuid) - 1);
        if (r == 0)
                r = qmp_client_put(client, name, sizeof(name) - 1);
        if (r < 0)
                disconnect(client, r, "cannot ask '%s' which VM it is: %s", client->address.text, strerror(-r));
        else
                qmp_client_flush(client);
}

static void identified(struct qmp_client *client)
{
        _cleanup_(qmp_freep) char *how = NULL;

        client->identifying = NOT_IDENTIFYING;
        if (!client->had_identity) {
                client->had_identity = true;
                client->first_identity = client->identity;
                client->identity = (struct qmp_identity){ 0 };
        } else if (!qmp_identity_is(&client->identity, &client->first_identity)) {
                how = qmp_identity_describe(&client->identity, &client->first_identity);
                disconnect(client, -EPERM, "'%s' is another VM now%s%s: mount again to accept it",
                           client->address.text, how ? ", " : "", how ? how : "");
                return;
        }
        handshake_done(client);
}

/* An answer to identify(); an error is one, too. */
static void handle_identity(struct qmp_client *client, const struct qmp_message *m)
{
        struct json_object *returned = m->kind == QMP_MESSAGE_RETURN ? m->value : NULL;
        bool is_uuid = client->identifying == AWAITING_UUID;
        int r = is_uuid ? qmp_identity_set_uuid(&client->identity, returned)
                        : qmp_identity_set_name(&client->identity, returned);

        if (r < 0)
                disconnect(client, r, "no memory for the answer of '%s' which VM it is", client->address.text);
        else if (is_uuid)
                client->identifying = AWAITING_NAME;
        else
                identified(client);
}

static void handle_greeting(struct qmp_client *client, const struct qmp_message *m)
{
        static const char plain[] = "{\"execute\":\"qmp_capabilities\"}";
        static const char oob[] = "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}";
        char *version = NULL;
        int r;

        r = qmp_version_format(qmp_json_get(m->value, "version"), &version);
        if (r < 0) {
                if (r == -ENOMEM)
                        disconnect(client, r, "out of memory for the greeting from '%s'", client->address.text);
                else
                        disconnect(client, -EPROTO, "'%s' sent a greeting without a version", client->address.text);
                return;
        }
        free(client->version);
        client->version = version;
        client->state = QMP_CLIENT_NEGOTIATING;
        client->oob = qmp_greeting_offers(m->value, "oob");
        r = client->oob ? qmp_client_put(client, oob, sizeof(oob) - 1)
                        : qmp_client_put(client, plain, sizeof(plain) - 1);
        if (r < 0) {
                disconnect(client, r, "cannot negotiate with '%s': %s", client->address.text, strerror(-r));
                return;
        }
        qmp_client_flush(client);
        /*
         * with another client before us, the greeting may arrive long after the first limit; this one is for the
         * negotiation
         */
        if (!client->handshake_timer.armed)
                qmp_timer_arm(client->loop, &client->handshake_timer, qmp_now() + client->handshake_ns);
}

static void handle_message(struct qmp_client *client, const struct qmp_message *m)
{
        if (m->kind == QMP_MESSAGE_EVENT) {
                /* events may arrive at any time, even before the greeting */
                handle_event(client, m);
        } else if (client->state == QMP_CLIENT_CONNECTING && m->kind == QMP_MESSAGE_GREETING) {
                handle_greeting(client, m);
        } else if (client->identifying && (m->kind == QMP_MESSAGE_RETURN || m->kind == QMP_MESSAGE_ERROR)) {
                handle_identity(client, m);
        } else if (client->state == QMP_CLIENT_NEGOTIATING && m->kind == QMP_MESSAGE_RETURN) {
                identify(client);
        } else if (client->state == QMP_CLIENT_NEGOTIATING && m->kind == QMP_MESSAGE_ERROR) {
                disconnect(client, -EPROTO, "'%s' refused the negotiation: %s", client->address.text, m->error_desc);
        } else if (client->state == QMP_CLIENT_UP && m->kind != QMP_MESSAGE_GREETING) {
                if (!qmp_client_take_reply(client, m))
                        disconnect(client, -EPROTO, "'%s' sent a reply that no command asked for",
                                   client->address.text);
        } else {
                disconnect(client, -EPROTO, "'%s' broke the protocol: unexpected %s", client->address.text,
                           m->kind == QMP_MESSAGE_GREETING ? "greeting" : "reply");
        }
}

static void framing_failed(struct qmp_client *client, int error)
{
        const char *where = client->address.text;
        char excerpt[41];
        const char *rest;
        size_t size, i;

        switch (error) {
        case -EMSGSIZE:
                disconnect(client, error, "'%s' sent a message of more than %llu MiB", where,
                           (unsigned long long)(QMP_FRAMER_MAX_TEXT >> 20));
                return;
        case -E2BIG:
                disconnect(client, error, "'%s' sent a message with too many values", where);
                return;
        case -ELOOP:
                disconnect(client, error, "'%s' sent a message that is nested more than %d deep", where,
                           QMP_FRAMER_MAX_DEPTH);
                return;
        case -ENOMEM:
                disconnect(client, error, "out of memory for a message from '%s'", where);
                return;
        default:
                break;
        }
        rest = qmp_framer_rest(&client->framer, &size);
        for (i = 0; i < size && i < sizeof(excerpt) - 1; i++)
                excerpt[i] = isprint((unsigned char)rest[i]) ? rest[i] : '.';
        excerpt[i] = '\0';
        /* "QEMU 7.2.22 monitor - type 'help' for more information" */
        if (client->state == QMP_CLIENT_CONNECTING && startswith(excerpt, "QEMU ") && strstr(excerpt, " monitor"))
                disconnect(client, -EPROTO, "'%s' is a human monitor (HMP), not a QMP monitor", where);
        else
                disconnect(client, -EPROTO, "'%s' sent something that is not QMP: %s", where, excerpt);
}

void qmp_client_watch(struct qmp_client *client)
{
        (void)qmp_loop_modify(client->loop, &client->source,
                              (client->starved ? 0 : EPOLLIN) | (client->wants_room ? EPOLLOUT : 0));
}

void qmp_client_try_later(struct qmp_client *client)
{
        if (!client->memory_timer.armed)
                qmp_timer_arm(client->loop, &client->memory_timer, qmp_now() + MEMORY_NS);
}

/* Out of memory for input: it stays where it is until the next attempt. */
static void starve(struct qmp_client *client)
{
        if (client->n_starved++ >= MEMORY_TRIES) {
                framing_failed(client, -ENOMEM);
                return;
        }
        client->starved = true;
        qmp_client_watch(client);
        qmp_client_try_later(client);
}

/* Whether this may be the incomplete banner of HMP: "QEMU 7.2.22 monitor - type 'help' …". */
static bool may_be_banner(struct qmp_client *client)
{
        size_t size;
        const char *rest = qmp_framer_rest(&client->framer, &size);

        if (client->state != QMP_CLIENT_CONNECTING || size > 40)
                return false;
        return memcmp(rest, "QEMU ", size < 5 ? size : 5) == 0 && !memmem(rest, size, " monitor", 8) &&
               !memchr(rest, '\n', size);
}

static void trace(struct qmp_client *client, struct json_object *value)
{
        const char *text;
        size_t size;

        if (client->trace && qmp_json_text(value, JSON_C_TO_STRING_PLAIN, &text, &size) == 0)
                client->trace(client->userdata, false, text);
}

/* Handles up to *budget complete values. Returns false if the connection has ended or the budget is used up. */
static bool handle_input(struct qmp_client *client, unsigned *budget)
{
        int fd = client->source.fd;

        for (;; (*budget)--) {
                struct json_object *value = NULL;
                struct qmp_message m;
                int r;

                if (*budget == 0) {
                        qmp_task_defer(client->loop, &client->more);
                        return false;
                }
                r = qmp_framer_next(&client->framer, &value);
                if (r == QMP_FRAMER_MORE)
                        return true;
                if (r == -EBADMSG && may_be_banner(client))
                        return true;
                if (r == -ENOMEM) {
                        starve(client);
                        return false;
                }
                if (r < 0) {
                        framing_failed(client, r);
                        return false;
                }
                client->n_starved = 0;
                trace(client, value);
                if (qmp_message_classify(value, &m) < 0)
                        disconnect(client, -EPROTO, "'%s' sent a JSON value that is not a QMP message",
                                   client->address.text);
                else
                        handle_message(client, &m);
                json_object_put(value);
                if (client->source.fd != fd)
                        return false;
        }
}

static void closed(struct qmp_client *client, int error)
{
        const char *where = client->address.text;
        const char *reason = client->shutdown_reason;

        if (client->state == QMP_CLIENT_UP && reason)
                disconnect(client, -EHOSTDOWN, "QEMU exited (%s)", reason);
        else if (client->state == QMP_CLIENT_UP && error)
                disconnect(client, -EHOSTDOWN, "the connection to '%s' broke: %s", where, strerror(error));
        else if (client->state == QMP_CLIENT_UP)
                disconnect(client, -EHOSTDOWN, "'%s' closed the connection", where);
        else if (client->state == QMP_CLIENT_NEGOTIATING)
                disconnect(client, -ECONNRESET, "'%s' closed the connection during negotiation", where);
        else
                disconnect(client, -ECONNRESET, "'%s' closed the connection before the greeting", where);
}

static void receive(struct qmp_client *client)
{
        unsigned budget = MESSAGES_PER_WAKEUP;

        /* values left by an earlier wakeup come first */
        if (!handle_input(client, &budget))
                return;
        for (unsigned i = 0; i < READS_PER_WAKEUP; i++) {
                char *room;
                size_t size;
                ssize_t n;
                int r = qmp_framer_room(&client->framer, &room, &size);

                if (r < 0) {
                        starve(client);
                        return;
                }
                n = recv(client->source.fd, room, size, MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        closed(client, n < 0 ? errno : 0);
                        return;
                }
                qmp_framer_fed(&client->framer, (size_t)n);
                client->n_received += (size_t)n;
                if (!handle_input(client, &budget) || (size_t)n < size)
                        return;
        }
}

static void receive_more(struct qmp_task *task)
{
        struct qmp_client *client = container_of(task, struct qmp_client, more);

        if (client->source.fd >= 0 && !client->starved)
                receive(client);
}

static void try_again(struct qmp_timer *timer)
{
        struct qmp_client *client = container_of(timer, struct qmp_client, memory_timer);

        qmp_client_pump(client);
        if (!client->starved)
                return;
        client->starved = false;
        qmp_client_watch(client);
        receive(client);
}

static void connect_failed(struct qmp_client *client, int error)
{
        if (client->connect && (error == -EOWNERDEAD || error == -ETIME)) {
                client->once = error == -EOWNERDEAD;
                disconnect(client, error, "cannot connect to '%s': %s %s", client->address.text, client->connect_name,
                           client->once ? "has ended; unmount and mount again" : "does not answer");
                return;
        }
        /* a name may have several addresses: trying all of them is one attempt */
        if (client->address_index % qmp_address_count(&client->address) != 0) {
                detach(client);
                begin(client);
                return;
        }
        if (error == -EAGAIN)
                disconnect(client, -EBUSY,
                           "cannot connect to '%s': its queue is full; another client holds this monitor",
                           client->address.text);
        else
                disconnect(client, error,
                           error == -ETIMEDOUT ? "no answer from '%s': %s" : "cannot connect to '%s': %s",
                           client->address.text, strerror(-error));
}

static void dispatch(struct qmp_source *source, uint32_t revents)
{
        struct qmp_client *client = container_of(source, struct qmp_client, source);

        if (client->connecting) {
                int error = 0;
                socklen_t size = sizeof(error);

                if (!(revents & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
                        return;
                (void)getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error) {
                        connect_failed(client, -error);
                        return;
                }
                client->connecting = false;
        }
        if (revents & EPOLLOUT)
                qmp_client_flush(client);
        /* EPOLLHUP and EPOLLERR cannot be masked, and waiting for memory is pointless once the peer has gone */
        if (client->starved && (revents & (EPOLLHUP | EPOLLERR)))
                framing_failed(client, -ENOMEM);
        else if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(client);
}

static void handshake_timeout(struct qmp_timer *timer)
{
        struct qmp_client *client = container_of(timer, struct qmp_client, handshake_timer);
        double seconds = (double)client->handshake_ns / NSEC_PER_SEC;

        if (client->connecting) {
                connect_failed(client, -ETIMEDOUT);
                return;
        }
        if (client->state == QMP_CLIENT_NEGOTIATING) {
                disconnect(client, -ETIMEDOUT, "'%s' did not answer the negotiation within %.3g s",
                           client->address.text, seconds);
                return;
        }
        /*
         * A monitor that has a client accepts the next one only when the first leaves, and a stopped QEMU looks just
         * the same. Staying connected keeps our place in the queue.
         */
        free(client->failure);
        /* over tcp, a proxy or a tunnel may have accepted the connection for a host that is down */
        if (asprintf(&client->failure,
                     client->address.path
                             ? "'%s' sent no QMP greeting within %.3g s: another client holds this monitor, "
                               "QEMU is stopped, or it is not a monitor"
                             : "no answer from '%s': connected, but no QMP greeting within %.3g s: another "
                               "client holds this monitor, QEMU is stopped, or no monitor is there",
                     client->address.text, seconds) < 0)
                client->failure = NULL;
        client->error = -EBUSY;
        qmp_client_changed(client);
}

static int attach(struct qmp_client *client, int fd, uint32_t events)
{
        int r = qmp_loop_add(client->loop, &client->source, fd, events, dispatch);

        if (r < 0)
                return r;
        qmp_timer_arm(client->loop, &client->handshake_timer, qmp_now() + client->handshake_ns);
        client->wants_room = events & EPOLLOUT;
        client->state = QMP_CLIENT_CONNECTING;
        return 0;
}

/*
 * The credentials belong to the connection, so the peer cannot change between check and use. Root and our own user
 * have full control over this process anyway.
 */
static bool is_trusted(const struct qmp_client *client)
{
        return !client->had_peer || client->peer == client->first_peer || client->peer == 0 ||
               client->peer == client->user;
}

static void begin(struct qmp_client *client)
{
        int fd, r;

        if (client->connect)
                r = client->connect(client->connect_userdata, client->address_index++, &fd, &client->connecting);
        else
                r = qmp_address_connect(&client->address, client->address_index++, &fd, &client->connecting);
        if (r < 0) {
                connect_failed(client, r);
                return;
        }
        if (client->address.path)
                r = qmp_address_peer(fd, &client->peer);
        if (r == 0 && client->address.path && !is_trusted(client)) {
                close(fd);
                disconnect(client, -EPERM,
                           "'%s' is now served by user %u, not by user %u as before: not trusted; mount again to "
                           "accept it",
                           client->address.text, (unsigned)client->peer, (unsigned)client->first_peer);
                return;
        }
        if (r == 0)
                r = attach(client, fd, client->connecting ? EPOLLOUT : EPOLLIN);
        if (r < 0) {
                close(fd);
                connect_failed(client, r);
        }
}

static void retry(struct qmp_timer *timer)
{
        begin(container_of(timer, struct qmp_client, retry_timer));
}

int qmp_client_new(struct qmp_loop *loop, const struct qmp_client_config *config, struct qmp_client **ret_client)
{
        struct qmp_client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        r = qmp_address_parse(config->address, &client->address);
        if (r < 0) {
                free(client);
                return r;
        }
        client->loop = loop;
        client->user = geteuid();
        client->handshake_ns = config->handshake_ns;
        client->changed = config->changed;
        client->trace = config->trace;
        client->identify = config->identify;
        client->userdata = config->userdata;
        client->source.fd = -1;
        client->handshake_timer.fire = handshake_timeout;
        client->retry_timer.fire = retry;
        client->memory_timer.fire = try_again;
        qmp_task_init(&client->more, receive_more);
        client->stall_timer.fire = qmp_client_stall_tick;
        client->backoff_ns = BACKOFF_MIN;
        qmp_framer_init(&client->framer);
        list_init(&client->queue);
        list_init(&client->wire);
        list_init(&client->oob_wire);
        list_init(&client->subscriptions);
        *ret_client = client;
        return 0;
}

void qmp_client_connect_by(struct qmp_client *client, qmp_connect_fn fn, void *userdata, const char *name)
{
        client->connect_name = name;
        client->connect = fn;
        client->connect_userdata = userdata;
}

const struct qmp_address *qmp_client_get_address(const struct qmp_client *client)
{
        return &client->address;
}

struct qmp_client *qmp_client_free(struct qmp_client *client)
{
        if (!client)
                return NULL;
        client->changed = NULL;
        client->trace = NULL;
        client->once = true;
        disconnect(client, -EHOSTDOWN, "the client is shutting down");
        qmp_timer_disarm(client->loop, &client->retry_timer);
        list_for_each_safe(i, &client->subscriptions)
                list_unlink(i);
        qmp_framer_deinit(&client->framer);
        qmp_address_deinit(&client->address);
        qmp_identity_deinit(&client->identity);
        qmp_identity_deinit(&client->first_identity);
        free(client->out);
        free(client->failure);
        free(client->version);
        free(client->shutdown_reason);
        free(client);
        return NULL;
}

void qmp_client_start(struct qmp_client *client)
{
        begin(client);
}

int qmp_client_start_fd(struct qmp_client *client, int fd)
{
        client->once = true;
        return attach(client, fd, EPOLLIN);
}

void qmp_client_get_info(struct qmp_client *client, struct qmp_client_info *ret_info)
{
        struct qmp_client_info info = {
                .state = client->state,
                .can_probe = client->oob,
                .oob_room = client->oob ? QMP_OOB_MAX - client->n_oob : 0,
                .probed = client->probed,
                .alive = client->alive,
        };
        uint64_t now = qmp_now();

        if (client->state == QMP_CLIENT_UP) {
                info.version = client->version;
                info.since = client->since;
                if (client->stalled && !list_empty(&client->wire)) {
                        struct qmp_command *head = list_entry(client->wire.next, struct qmp_command, link);
                        uint64_t from = head->sent_at;

                        if (client->last_reply_at > from)
                                from = client->last_reply_at;
                        info.stalled_in = head->name;
                        info.stalled_ns = now - from;
                }
        } else {
                info.failure = client->failure;
                info.error = client->error;
                if (client->retry_timer.armed && client->retry_timer.deadline > now)
                        info.next_try_ns = client->retry_timer.deadline - now;
        }
        *ret_info = info;
}

void qmp_client_subscribe(struct qmp_client *client, struct qmp_subscription *subscription)
{
        list_append(&client->subscriptions, &subscription->link);
}

void qmp_subscription_remove(struct qmp_subscription *subscription)
{
        list_unlink(&subscription->link);
}
