#include "qmp/client.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "tests/lib/fake_qemu.h"
#include "tests/lib/test.h"

static struct qmp_loop *loop;
static struct fake_qemu *fake;
static struct qmp_client *client;
static size_t n_changed;

static void setup(void)
{
        test_time_virtual();
        ck_assert_int_eq(qmp_loop_new(&loop), 0);
        fake = fake_new(loop);
        n_changed = 0;
}

static void teardown(void)
{
        client = qmp_client_free(client);
        fake = fake_free(fake);
        loop = qmp_loop_free(loop);
        test_time_real();
}

/* Takes the place of libc's: these two names have two addresses, of which one refuses. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        bool first_refuses = streq(host, "first-refuses.test");
        int r;

        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        if (!first_refuses && !streq(host, "second-refuses.test"))
                return real(host, port, hints, ret);
        r = real(first_refuses ? "127.0.0.2" : "127.0.0.1", port, hints, ret);
        return r ? r : real(first_refuses ? "127.0.0.1" : "127.0.0.2", port, hints, &(*ret)->ai_next);
}

/* Takes the place of libc's: who serves a unix socket, which only root could try for real. -1: as it is. */
static int64_t peer_uid = -1;

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
        int (*real)(int, int, int, void *, socklen_t *);
        int r;

        *(void **)&real = dlsym(RTLD_NEXT, "getsockopt");
        r = real(fd, level, name, value, size);
        if (r == 0 && level == SOL_SOCKET && name == SO_PEERCRED && peer_uid >= 0)
                ((struct ucred *)value)->uid = (uid_t)peer_uid;
        return r;
}

/* --- the client's side --- */

/* A command and what became of it. More than one callback, or one from within the call that sends, fails the test. */
struct call {
        struct qmp_command *command;
        size_t n;
        bool sending;
        enum qmp_outcome outcome;
        int error;
        char *value, *error_class, *text;
        uint64_t busy_ns, ended_at;
        void (*then)(struct call *call); /* from inside the callback */
        struct call *other;
};

static void called_back(void *userdata, const struct qmp_result *result)
{
        struct call *call = userdata;

        ck_assert_msg(!call->sending, "called back before the send returned");
        ck_assert_uint_eq(call->n, 0);
        call->n++;
        call->command = NULL;
        call->outcome = result->outcome;
        call->error = result->error;
        call->busy_ns = result->busy_ns;
        call->ended_at = qmp_now();
        ck_assert((result->outcome == QMP_OK) == (result->error == 0));
        ck_assert_int_le(result->error, 0);
        ck_assert((result->outcome == QMP_ERROR) == (result->error_class != NULL));
        ck_assert((result->outcome == QMP_OK) == (result->text == NULL));
        if (result->outcome == QMP_OK)
                call->value = strdup(json_object_to_json_string_ext(result->value, JSON_C_TO_STRING_PLAIN));
        else
                call->text = strdup(result->text);
        if (result->error_class)
                call->error_class = strdup(result->error_class);
        if (call->then)
                call->then(call);
}

static int try_send(struct call *call, const char *name, uint64_t timeout, bool oob)
{
        struct qmp_send_options options = { .oob = oob };
        int r;

        call->sending = true;
        r = qmp_client_send(client, name, NULL, timeout, oob ? &options : NULL, called_back, call, &call->command);
        call->sending = false;
        if (r < 0)
                ck_assert_uint_eq(call->n, 0);
        return r;
}

static void send_limited(struct call *call, const char *name, uint64_t timeout)
{
        ck_assert_int_eq(try_send(call, name, timeout, false), 0);
}

static void send_command(struct call *call, const char *name)
{
        send_limited(call, name, 30 * SEC);
}

static void call_done(struct call *call)
{
        free(take_ptr(call->value));
        free(take_ptr(call->error_class));
        free(take_ptr(call->text));
        *call = (struct call){ 0 };
}

static void calls_done(struct call *calls, size_t n)
{
        for (size_t i = 0; i < n; i++)
                call_done(&calls[i]);
}

/* Ended, by a value of this text. */
static void assert_value(const struct call *call, const char *value)
{
        ck_assert_uint_eq(call->n, 1);
        ck_assert_msg(call->outcome == QMP_OK, "%s", call->text);
        ck_assert_str_eq(call->value, value);
}

static void assert_ended(const struct call *call, enum qmp_outcome outcome, int error)
{
        ck_assert_uint_eq(call->n, 1);
        ck_assert_int_eq(call->outcome, outcome);
        ck_assert_int_eq(call->error, error);
}

static struct qmp_client_info info(void)
{
        struct qmp_client_info i;

        qmp_client_get_info(client, &i);
        return i;
}

static enum qmp_client_state state(void)
{
        return info().state;
}

static void changed(void *userdata)
{
        ck_assert_ptr_eq(userdata, &n_changed);
        n_changed++;
        if (client)
                (void)info();
}

static bool identify;

static void new_client(const char *address)
{
        ck_assert_int_eq(qmp_client_new(loop,
                                        &(struct qmp_client_config){ .address = address,
                                                                     .handshake_ns = 5 * SEC,
                                                                     .identify = identify,
                                                                     .changed = changed,
                                                                     .userdata = &n_changed },
                                        &client),
                         0);
}

/* A client on a socket pair, not yet pumped. */
static void start_pair(int buffer)
{
        new_client("/pair");
        ck_assert_int_eq(qmp_client_start_fd(client, fake_connect(fake, buffer)), 0);
}

static void up(void)
{
        start_pair(0);
        PUMP(loop, state() == QMP_CLIENT_UP);
}

static void up_oob(void)
{
        fake->greeting = FAKE_GREETING_OOB;
        up();
}

/* A client that reaches a listening fake by path. */
static const char *start_listening(void)
{
        const char *path = test_path("qmp.sock");

        fake_listen(fake, path);
        new_client(path);
        qmp_client_start(client);
        return path;
}

static void assert_down(const char *why)
{
        struct qmp_client_info i = info();

        ck_assert_int_eq(i.state, QMP_CLIENT_DOWN);
        ck_assert_int_lt(i.error, 0);
        ck_assert_contains(i.failure, why);
        ck_assert_ptr_null(i.version);
        ck_assert_ptr_null(strchr(i.failure, '\n'));
}

/* Pumps until it is down, for this reason. */
static void goes_down(const char *why)
{
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        assert_down(why);
}

/* --- handshake --- */

START_TEST(greeting_and_negotiation_without_oob)
{
        struct qmp_client_info i;

        start_pair(0);
        ck_assert_int_eq(state(), QMP_CLIENT_CONNECTING);
        ck_assert_ptr_null(info().failure);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_str_eq(fake->raw, "{\"execute\":\"qmp_capabilities\"}");
        i = info();
        ck_assert_str_eq(i.version, "7.2.22 (Debian 1:7.2)");
        ck_assert(!i.can_probe);
        ck_assert_ptr_null(i.failure);
        ck_assert_ptr_null(i.stalled_in);
        ck_assert_int_le(i.since, (int64_t)time(NULL));
        ck_assert_int_ge(i.since, (int64_t)time(NULL) - 100);
        ck_assert_uint_eq(n_changed, 1);
}
END_TEST

static unsigned count_fds(void)
{
        unsigned n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* A QEMU that was taken over passes an unbound socket: what is sent by it would leave by the client's rights. */
START_TEST(descriptors_that_qemu_passes_are_not_received)
{
        char byte = '\n';
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {
                .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
        };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        struct call call = { 0 };
        int pair[2];
        unsigned n;

        up();
        fake_on(fake, "query-status", "{}");
        n = count_fds();
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        memcpy(CMSG_DATA(&control.header), &pair[1], sizeof(int));
        ck_assert_int_eq(sendmsg(fake->fd, &message, MSG_NOSIGNAL), 1);
        close(pair[1]);
        send_command(&call, "query-status");
        PUMP(loop, call.n == 1);
        ck_assert_uint_eq(count_fds(), n + 1);
        /* nobody has the other end any more */
        ck_assert_int_eq(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
        close(pair[0]);
        call_done(&call);
}
END_TEST

START_TEST(oob_is_enabled_where_it_is_offered)
{
        up_oob();
        ck_assert_str_eq(fake->raw, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}");
        ck_assert(info().can_probe);
}
END_TEST

static const char *const odd_greetings[] = {
        "\r\n\r\n{\"QMP\":{\"version\":{\"qemu\":{\"major\":9}},\"future\":[1,2,3]}}",
        "{\"QMP\":{\"version\":{\"qemu\":{\"major\":9}},\"capabilities\":[\"other\",7,null,{}]}}\n",
        "{\r\n  \"QMP\": {\r\n    \"version\": {\r\n\"qemu\": {\"major\": 9\r\n}},\r\n\"capabilities\": [\r\n]}}",
};

START_TEST(greeting_in_any_spelling)
{
        fake->greeting = odd_greetings[_i];
        fake->write_chunk = 1;
        up();
        ck_assert_str_eq(info().version, "9.0.0");
}
END_TEST

struct listener {
        struct qmp_subscription subscription;
        size_t n;
        char names[4096];
        char *data;
        bool leaves;
        struct call *sends;
};

static void heard(struct qmp_subscription *subscription, const struct qmp_event *event)
{
        struct listener *l = container_of(subscription, struct listener, subscription);

        l->n++;
        if (strlen(l->names) + strlen(event->name) + 2 < sizeof(l->names)) {
                strcat(l->names, event->name);
                strcat(l->names, " ");
        }
        free(l->data);
        l->data = NULL;
        if (event->data)
                l->data = strdup(json_object_to_json_string_ext(event->data, JSON_C_TO_STRING_PLAIN |
                                                                                     JSON_C_TO_STRING_NOSLASHESCAPE));
        ck_assert_str_eq(json_object_get_string(json_object_object_get(event->message, "event")), event->name);
        if (l->leaves)
                qmp_subscription_remove(subscription);
        if (l->sends && l->sends->n == 0 && !l->sends->command)
                send_command(l->sends, "query-status");
}

/* A listener on the stack must not outlive its test, at the end of which the client still lives. */
static void leave(struct listener *l)
{
        if (l->subscription.link.next)
                qmp_subscription_remove(&l->subscription);
        free(take_ptr(l->data));
}

static void listen_to(struct listener *l)
{
        l->subscription.handle = heard;
        qmp_client_subscribe(client, &l->subscription);
}

START_TEST(event_before_the_greeting_is_delivered)
{
        _cleanup_(leave) struct listener l = { 0 };

        fake->before_greeting = "{\"timestamp\": {\"seconds\": 1}, \"event\": \"NIC_RX_FILTER_CHANGED\"}\r\n";
        start_pair(0);
        listen_to(&l);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_str_eq(l.names, "NIC_RX_FILTER_CHANGED ");
}
END_TEST

START_TEST(event_while_negotiating_is_delivered)
{
        _cleanup_(leave) struct listener l = { 0 };

        fake->negotiation_silent = true;
        start_pair(0);
        listen_to(&l);
        PUMP(loop, fake->n_commands == 1);
        ck_assert_int_eq(state(), QMP_CLIENT_NEGOTIATING);
        fake_send_text(fake, "{\"event\": \"STOP\"}{\"return\": {}}");
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_str_eq(l.names, "STOP ");
}
END_TEST

START_TEST(no_command_is_accepted_before_it_is_up)
{
        struct call call = { 0 };

        fake->negotiation_silent = true;
        start_pair(0);
        ck_assert_int_eq(try_send(&call, "query-status", SEC, false), -EHOSTDOWN);
        PUMP(loop, fake->n_commands == 1);
        ck_assert_int_eq(try_send(&call, "query-status", SEC, false), -EHOSTDOWN);
        PUMP_FOR(loop, SEC);
        ck_assert_uint_eq(fake->n_commands, 1);
        ck_assert_uint_eq(call.n, 0);
}
END_TEST

START_TEST(refused_negotiation_says_why)
{
        fake->negotiation_error = "Go away";
        start_pair(0);
        goes_down("'/pair' refused the negotiation: Go away");
        ck_assert_int_eq(info().error, -EPROTO);
}
END_TEST

START_TEST(silence_while_negotiating_ends_in_time)
{
        fake->negotiation_silent = true;
        start_pair(0);
        PUMP_FOR(loop, 4900 * MS);
        ck_assert_int_eq(state(), QMP_CLIENT_NEGOTIATING);
        PUMP_FOR(loop, 200 * MS);
        assert_down("'/pair' did not answer the negotiation within 5 s");
        ck_assert_int_eq(info().error, -ETIMEDOUT);
}
END_TEST

START_TEST(silence_while_negotiating_ends_in_time_after_a_late_greeting_too)
{
        fake->greeting = NULL;
        fake->negotiation_silent = true;
        start_pair(0);
        PUMP_FOR(loop, 20 * SEC);
        ck_assert_int_eq(state(), QMP_CLIENT_CONNECTING);
        fake_send_text(fake, FAKE_GREETING);
        PUMP(loop, state() == QMP_CLIENT_NEGOTIATING);
        PUMP_FOR(loop, 6 * SEC);
        assert_down("did not answer the negotiation");
}
END_TEST

START_TEST(no_greeting_in_time_is_told_and_the_place_kept)
{
        struct qmp_client_info i;

        fake->greeting = NULL;
        start_pair(0);
        PUMP_FOR(loop, 4900 * MS);
        ck_assert_ptr_null(info().failure);
        PUMP_FOR(loop, 200 * MS);
        i = info();
        ck_assert_int_eq(i.state, QMP_CLIENT_CONNECTING);
        ck_assert_int_eq(i.error, -EBUSY);
        ck_assert_contains(i.failure, "'/pair' sent no QMP greeting within 5 s: another client holds this monitor");
        ck_assert_uint_eq(n_changed, 1);
        fake_send_text(fake, FAKE_GREETING);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_ptr_null(info().failure);
}
END_TEST

/* What a peer may send instead of a greeting, and what the user is told. */
static const struct {
        const char *sent, *why;
} strangers[] = {
        { "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ",
          "'/pair' is a human monitor (HMP), not a QMP monitor" },
        { "QEMU guest\n", "'/pair' sent something that is not QMP: QEMU guest." },
        { "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "not QMP: SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3.." },
        { "HTTP/1.1 400 Bad Request and a lot more text that nobody wants to see",
          "not QMP: HTTP/1.1 400 Bad Request" },
        { "\x1b[2Jdanger\x07\xff\n", "not QMP: .[2Jdanger..." },
        { "[]", "not QMP: []" },
        { "{\"QMP\":{\"version\":garbage}}", "not QMP: {\"QMP\":{\"version\":garbage}}" },
        { "{\"error\": 1}", "'/pair' sent a JSON value that is not a QMP message" },
        { "{}", "is not a QMP message" },
        { "{\"QMP\": []}", "is not a QMP message" },
        { "{\"QMP\": {}}", "'/pair' sent a greeting without a version" },
        { "{\"QMP\": {\"version\": \"7.2\"}}", "sent a greeting without a version" },
        { "{\"return\": {}}", "'/pair' broke the protocol: unexpected reply" },
        { "{\"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}", "unexpected reply" },
        { FAKE_GREETING FAKE_GREETING, "'/pair' broke the protocol: unexpected greeting" },
        { "\xEF\xBB\xBF{\"QMP\":{}}", "not QMP: ...{\"QMP\":{}}" },
};

START_TEST(stranger_is_recognised)
{
        fake->greeting = strangers[_i].sent;
        start_pair(0);
        goes_down(strangers[_i].why);
        ck_assert_int_eq(info().error, -EPROTO);
        /* given a descriptor, there is nowhere to reconnect to */
        ck_assert_uint_eq(info().next_try_ns, 0);
        PUMP_FOR(loop, 10 * SEC);
        ck_assert(!fake->connected);
}
END_TEST

START_TEST(human_monitor_is_recognised_by_pieces_of_its_banner)
{
        static const char *const pieces[] = { "Q", "EMU 7.2.22 mon", "itor - type 'help'" };

        fake->greeting = NULL;
        start_pair(0);
        for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
                ck_assert(state() == QMP_CLIENT_CONNECTING);
                fake_send_text(fake, pieces[i]);
                PUMP_FOR(loop, SEC);
        }
        goes_down("'/pair' is a human monitor (HMP), not a QMP monitor");
}
END_TEST

START_TEST(closed_before_the_greeting)
{
        fake->greeting = NULL;
        start_pair(0);
        fake_close(fake);
        goes_down("'/pair' closed the connection before the greeting");
        ck_assert_int_eq(info().error, -ECONNRESET);
}
END_TEST

START_TEST(closed_in_the_middle_of_the_greeting)
{
        fake->close_after = 20;
        start_pair(0);
        goes_down("'/pair' closed the connection before the greeting");
}
END_TEST

START_TEST(closed_while_negotiating)
{
        fake->close_at_command = 1;
        start_pair(0);
        goes_down("'/pair' closed the connection during negotiation");
        ck_assert_int_eq(info().error, -ECONNRESET);
}
END_TEST

/* --- commands --- */

START_TEST(commands_carry_neither_id_nor_newline)
{
        struct call calls[3] = { 0 };
        struct json_object *arguments = json_tokener_parse("{\"path\": \"/machine\", \"property\": \"type\"}");

        fake_on(fake, "query-status", "{\"status\": \"running\"}");
        fake_on(fake, "qom-get", "\"pc\"");
        up();
        send_command(&calls[0], "query-status");
        ck_assert_int_eq(qmp_client_send(client, "qom-get", arguments, SEC, NULL, called_back, &calls[1], NULL), 0);
        ck_assert_int_eq(json_object_put(arguments), 1);
        send_command(&calls[2], "query-status");
        PUMP(loop, calls[2].n);
        ck_assert_str_eq(fake->raw,
                         "{\"execute\":\"qmp_capabilities\"}"
                         "{\"execute\":\"query-status\"}"
                         "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"type\"}}"
                         "{\"execute\":\"query-status\"}");
        assert_value(&calls[0], "{\"status\":\"running\"}");
        assert_value(&calls[1], "\"pc\"");
        assert_value(&calls[2], "{\"status\":\"running\"}");
        calls_done(calls, 3);
}
END_TEST

START_TEST(out_of_band_command_carries_an_id_and_may_overtake)
{
        struct call slow = { 0 }, fast = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-yank", "[1]");
        up_oob();
        fake_stick(fake);
        send_command(&slow, "query-block");
        ck_assert_int_eq(try_send(&fast, "query-yank", SEC, true), 0);
        ck_assert_int_eq(try_send(&next, "query-yank", SEC, true), 0);
        PUMP(loop, next.n);
        assert_value(&fast, "[1]");
        ck_assert_uint_eq(slow.n, 0);
        ck_assert(fake_command(fake, 1)->has_id && fake_command(fake, 2)->has_id);
        ck_assert_int_eq(json_object_equal(fake_command(fake, 1)->id, fake_command(fake, 2)->id), 0);
        fake_unstick(fake);
        PUMP(loop, slow.n);
        assert_value(&slow, "[]");
        call_done(&slow);
        call_done(&fast);
        call_done(&next);
}
END_TEST

START_TEST(out_of_band_needs_the_capability)
{
        struct call call = { 0 };

        up();
        ck_assert_int_eq(try_send(&call, "query-yank", SEC, true), -EOPNOTSUPP);
        PUMP_FOR(loop, 2 * SEC);
        ck_assert_uint_eq(call.n, 0);
        ck_assert_uint_eq(fake_n_commands(fake), 0);
}
END_TEST

START_TEST(error_reply_becomes_an_errno_with_words)
{
        struct call call = { 0 };

        fake_on_error(fake, "device_del", "DeviceNotFound", "Device 'é\n\"x\"' not found");
        up();
        send_command(&call, "device_del");
        PUMP(loop, call.n);
        assert_ended(&call, QMP_ERROR, -ENODEV);
        ck_assert_str_eq(call.error_class, "DeviceNotFound");
        ck_assert_str_eq(call.text, "Device 'é\n\"x\"' not found");
        call_done(&call);
        send_command(&call, "no-such");
        PUMP(loop, call.n);
        assert_ended(&call, QMP_ERROR, -EOPNOTSUPP);
        call_done(&call);
}
END_TEST

START_TEST(reply_null_is_a_value)
{
        struct call call = { 0 };

        fake_on(fake, "x", "null");
        up();
        send_command(&call, "x");
        PUMP(loop, call.n);
        assert_value(&call, "null");
        call_done(&call);
}
END_TEST

/* Answers each command with the number of its arrival. */
static void count_up(struct fake_qemu *f, const struct fake_command *command, void *userdata)
{
        size_t *n = userdata;
        char text[32];

        snprintf(text, sizeof(text), "%zu", (*n)++);
        fake_return(f, command, text);
}

START_TEST(replies_are_matched_in_order)
{
        static struct call calls[100];
        size_t n = 0;

        fake_on_call(fake, "count", count_up, &n);
        fake->pretty = _i & 1;
        fake->write_chunk = _i & 2 ? 1 : 0;
        fake->read_chunk = _i & 4 ? 1 : 0;
        up();
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                send_command(&calls[i], "count");
        PUMP(loop, calls[99].n);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                char text[32];

                snprintf(text, sizeof(text), "%zu", i);
                assert_value(&calls[i], text);
        }
        calls_done(calls, ARRAY_SIZE(calls));
}
END_TEST

START_TEST(at_most_4_commands_are_on_the_wire)
{
        static struct call calls[20];

        fake_on_nothing(fake, "count");
        up();
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                send_command(&calls[i], "count");
                ck_assert_int_eq(qmp_command_is_sent(calls[i].command), i < 4);
        }
        PUMP_FOR(loop, 500 * MS);
        ck_assert_uint_eq(fake_n_commands(fake), 4);
        /* each reply lets one more pass */
        for (size_t i = 0; i < 3; i++) {
                fake_send_text(fake, "{\"return\": 7}");
                PUMP_FOR(loop, 10 * MS);
                ck_assert_uint_eq(fake_n_commands(fake), 5 + i);
                ck_assert(!qmp_command_is_sent(calls[5 + i].command));
        }
        client = qmp_client_free(client);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                ck_assert_uint_eq(calls[i].n, 1);
        calls_done(calls, ARRAY_SIZE(calls));
}
END_TEST

START_TEST(out_of_band_does_not_wait_for_the_window)
{
        struct call calls[6] = { 0 }, oob = { 0 };

        fake_on(fake, "query-yank", "[]");
        up_oob();
        fake_stick(fake);
        for (size_t i = 0; i < 6; i++)
                send_command(&calls[i], "query-block");
        ck_assert_int_eq(try_send(&oob, "query-yank", SEC, true), 0);
        PUMP_WITHIN(loop, 100 * MS, oob.n);
        assert_value(&oob, "[]");
        client = qmp_client_free(client);
        calls_done(calls, 6);
        call_done(&oob);
}
END_TEST

START_TEST(unanswered_commands_out_of_band_are_bounded)
{
        struct call calls[1000] = { 0 }, last = { 0 };
        struct qmp_send_options prefer = { .prefer_oob = true };
        size_t n = 0;

        fake_on_nothing(fake, "query-yank");
        fake_on(fake, "query-block", "[]");
        up_oob();
        /* each of them is given up at once */
        while (n < ARRAY_SIZE(calls) && try_send(&calls[n], "query-yank", SEC, true) == 0)
                qmp_command_cancel(calls[n++].command);
        ck_assert_uint_gt(n, 10);
        ck_assert_uint_lt(n, 100);
        ck_assert_int_eq(try_send(&last, "query-yank", SEC, true), -EBUSY);
        ck_assert_int_eq(qmp_client_send(client, "query-block", NULL, SEC, &prefer, called_back, &last, NULL), 0);
        PUMP(loop, last.n);
        assert_value(&last, "[]");
        ck_assert(!fake_command(fake, fake_n_commands(fake) - 1)->oob);
        call_done(&last);
        fake_return(fake, fake_command(fake, 0), "[]");
        PUMP_FOR(loop, MS);
        ck_assert_int_eq(qmp_client_send(client, "query-block", NULL, SEC, &prefer, called_back, &last, NULL), 0);
        PUMP(loop, last.n);
        ck_assert(fake_command(fake, fake_n_commands(fake) - 1)->oob);
        call_done(&last);
        calls_done(calls, n);
}
END_TEST

START_TEST(large_command_goes_out_bit_by_bit)
{
        struct call call = { 0 };
        struct json_object *arguments = json_object_new_object();
        char *big = malloc(300001);

        memset(big, 'x', 300000);
        big[300000] = '\0';
        json_object_object_add(arguments, "data", json_object_new_string(big));
        fake_on(fake, "ringbuf-write", "{}");
        fake->read_chunk = 1000;
        start_pair(4096);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_int_eq(qmp_client_send(client, "ringbuf-write", arguments, SEC, NULL, called_back, &call, NULL), 0);
        json_object_put(arguments);
        PUMP(loop, call.n);
        assert_value(&call, "{}");
        ck_assert_str_eq(json_object_get_string(json_object_object_get(fake_command(fake, 0)->arguments, "data")),
                         big);
        call_done(&call);
        free(big);
}
END_TEST

START_TEST(many_large_commands_and_one_byte_reads_stay_in_order)
{
        struct call calls[12] = { 0 };
        size_t n = 0;
        char big[5001];

        memset(big, 'y', 5000);
        big[5000] = '\0';
        fake_on_call(fake, "count", count_up, &n);
        start_pair(2048);
        fake->read_chunk = 7;
        fake->write_chunk = 1;
        PUMP(loop, state() == QMP_CLIENT_UP);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                struct json_object *arguments = json_object_new_object();

                json_object_object_add(arguments, "data", json_object_new_string(big + i * 100));
                ck_assert_int_eq(
                        qmp_client_send(client, "count", arguments, 10 * SEC, NULL, called_back, &calls[i], NULL), 0);
                json_object_put(arguments);
        }
        PUMP(loop, calls[11].n);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                char text[32];

                snprintf(text, sizeof(text), "%zu", i);
                assert_value(&calls[i], text);
                ck_assert_int_eq(
                        json_object_get_string_len(json_object_object_get(fake_command(fake, i)->arguments, "data")),
                        5000 - (int)i * 100);
        }
        calls_done(calls, ARRAY_SIZE(calls));
}
END_TEST

START_TEST(blocking_descriptor_does_not_block_the_client)
{
        struct call call = { 0 };
        struct json_object *arguments = json_object_new_object();
        int fd = fake_connect(fake, 4096), length = 4 * 1024 * 1024;
        char *big = malloc((size_t)length);

        memset(big, 'x', (size_t)length);
        json_object_object_add(arguments, "data", json_object_new_string_len(big, length));
        free(big);
        ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
        new_client("/pair");
        ck_assert_int_eq(qmp_client_start_fd(client, fd), 0);
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_stop(fake);
        ck_assert_int_eq(qmp_client_send(client, "x", arguments, SEC, NULL, called_back, &call, NULL), 0);
        json_object_put(arguments);
        PUMP(loop, call.n);
        assert_ended(&call, QMP_TIMEOUT, -ETIMEDOUT);
        call_done(&call);
}
END_TEST

static void send_again(struct call *call)
{
        if (call->other)
                send_command(call->other, "count");
}

/* Two replies to one command, after which another one leaves: the second reply is not the other's. */
START_TEST(reply_that_was_there_before_its_command_is_none)
{
        struct call second = { 0 }, first = { .then = send_again, .other = &second };

        fake_on_nothing(fake, "query-status");
        up();
        send_command(&first, "query-status");
        PUMP(loop, fake_n_commands(fake) == 1);
        fake_send_text(fake, "{\"return\": 1}\r\n{\"return\": 1}\r\n");
        PUMP(loop, second.n);
        assert_value(&first, "1");
        assert_ended(&second, QMP_DISCONNECTED, -EHOSTDOWN);
        assert_down("'/pair' sent a reply that no command asked for");
        call_done(&first);
        call_done(&second);
}
END_TEST

START_TEST(commands_may_be_sent_from_callbacks)
{
        static struct call calls[50];
        size_t n = 0;

        fake_on_call(fake, "count", count_up, &n);
        up();
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                calls[i].then = send_again;
                calls[i].other = i + 1 < ARRAY_SIZE(calls) ? &calls[i + 1] : NULL;
        }
        send_command(&calls[0], "count");
        PUMP(loop, calls[49].n);
        assert_value(&calls[49], "49");
        calls_done(calls, ARRAY_SIZE(calls));
}
END_TEST

START_TEST(busy_time_is_qemus_own)
{
        struct call calls[3] = { 0 };

        fake_on(fake, "slow", "{}");
        fake_on(fake, "quick", "{}");
        up();
        fake->delay_ns = 300 * MS;
        send_command(&calls[0], "slow");
        PUMP(loop, fake_n_commands(fake) == 1);
        fake->delay_ns = 310 * MS;
        send_command(&calls[1], "quick");
        PUMP(loop, calls[1].n);
        /* the first took 300 ms; the second only what came after it */
        ck_assert_uint_ge(calls[0].busy_ns, 300 * MS);
        ck_assert_uint_le(calls[0].busy_ns, 303 * MS);
        ck_assert_uint_le(calls[1].busy_ns, 13 * MS);
        /* and idle time counts for nobody */
        PUMP_FOR(loop, SEC);
        send_command(&calls[2], "quick");
        PUMP(loop, calls[2].n);
        ck_assert_uint_ge(calls[2].busy_ns, 310 * MS);
        ck_assert_uint_le(calls[2].busy_ns, 313 * MS);
        calls_done(calls, 3);
}
END_TEST

/* --- time limits --- */

START_TEST(late_reply_after_timeout_is_dropped_and_the_next_one_matches)
{
        struct call late = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "\"late\"");
        fake_on(fake, "query-status", "\"next\"");
        up();
        fake_stick(fake);
        send_limited(&late, "query-block", 100 * MS);
        PUMP(loop, late.n);
        assert_ended(&late, QMP_TIMEOUT, -ETIMEDOUT);
        ck_assert_str_eq(late.text, "QEMU did not answer query-block within 0.1 s");
        send_command(&next, "query-status");
        PUMP_FOR(loop, 10 * MS);
        fake_unstick(fake);
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        ck_assert_uint_eq(late.n, 1);
        call_done(&late);
        call_done(&next);
}
END_TEST

static void send_effect(struct call *call, const char *name, uint64_t timeout)
{
        ck_assert_int_eq(qmp_client_send(client, name, NULL, timeout, &(struct qmp_send_options){ .effect = true },
                                         called_back, call, &call->command),
                         0);
}

static void heard_late(struct qmp_subscription *subscription, const char *command)
{
        struct listener *l = container_of(subscription, struct listener, subscription);

        strcat(strcat(l->names, command), " ");
        if (l->leaves)
                qmp_subscription_remove(subscription);
}

START_TEST(late_reply_to_a_command_with_side_effects_is_told)
{
        struct listener listener = { .subscription.late = heard_late }, leaver = listener, events = { 0 };
        struct call calls[4] = { 0 };

        fake_on(fake, "stop", "{}");
        fake_on_error(fake, "cont", "GenericError", "no");
        fake_on(fake, "query-block", "[]");
        up();
        leaver.leaves = true;
        listen_to(&events);
        listen_to(&leaver);
        listen_to(&listener);
        fake_stick(fake);
        send_effect(&calls[0], "stop", 100 * MS);
        send_effect(&calls[1], "cont", 30 * SEC);
        send_effect(&calls[2], "stop", 30 * SEC);
        send_limited(&calls[3], "query-block", 100 * MS);
        PUMP(loop, calls[0].n && calls[3].n);
        qmp_command_cancel(calls[1].command);
        ck_assert_str_eq(listener.names, "");
        fake_unstick(fake);
        PUMP(loop, calls[2].n);
        PUMP_FOR(loop, 10 * MS);
        /* neither that which still had a waiter nor the query */
        ck_assert_str_eq(listener.names, "stop cont ");
        ck_assert_str_eq(leaver.names, "stop ");
        calls_done(calls, 4);
        leave(&listener);
        leave(&leaver);
        leave(&events);
}
END_TEST

START_TEST(timeout_comes_in_time)
{
        struct call call = { 0 };
        uint64_t start;

        up();
        fake_stop(fake);
        start = qmp_now();
        send_limited(&call, "query-block", 2500 * MS);
        PUMP(loop, call.n);
        ck_assert_uint_ge(call.ended_at - start, 2500 * MS);
        ck_assert_uint_le(call.ended_at - start, 2502 * MS);
        call_done(&call);
}
END_TEST

START_TEST(queued_command_that_timed_out_is_never_sent)
{
        struct call calls[4] = { 0 }, queued = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-status", "\"next\"");
        up();
        fake_stick(fake);
        for (int i = 0; i < 4; i++)
                send_command(&calls[i], "query-block");
        send_limited(&queued, "device_del", 200 * MS);
        PUMP(loop, queued.n);
        assert_ended(&queued, QMP_TIMEOUT, -ETIMEDOUT);
        fake_unstick(fake);
        send_command(&next, "query-status");
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        ck_assert_uint_eq(fake_count(fake, "device_del"), 0);
        calls_done(calls, 4);
        call_done(&queued);
        call_done(&next);
}
END_TEST

START_TEST(every_later_command_matches_after_a_full_window_timed_out)
{
        struct call calls[6] = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-status", "\"next\"");
        up();
        fake_stick(fake);
        for (int i = 0; i < 6; i++)
                send_limited(&calls[i], "query-block", 100 * MS);
        PUMP(loop, calls[5].n);
        send_command(&next, "query-status");
        /* the window stays full: QEMU still owes 4 replies */
        PUMP_FOR(loop, 100 * MS);
        ck_assert_uint_eq(fake_n_commands(fake), 4);
        fake_unstick(fake);
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        ck_assert_uint_eq(fake_count(fake, "query-block"), 4);
        calls_done(calls, 6);
        call_done(&next);
}
END_TEST

START_TEST(late_out_of_band_reply_is_dropped)
{
        struct call late = { 0 }, next = { 0 };

        fake_on_nothing(fake, "query-yank");
        up_oob();
        ck_assert_int_eq(try_send(&late, "query-yank", 100 * MS, true), 0);
        PUMP(loop, late.n);
        assert_ended(&late, QMP_TIMEOUT, -ETIMEDOUT);
        fake_return(fake, fake_command(fake, 0), "\"late\"");
        fake_on(fake, "query-yank", "\"next\"");
        ck_assert_int_eq(try_send(&next, "query-yank", 100 * MS, true), 0);
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        call_done(&late);
        call_done(&next);
}
END_TEST

START_TEST(overdue_qemu_shortens_the_limits_of_others)
{
        struct call head = { 0 }, second = { 0 }, third = { 0 };
        uint64_t start;

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-status", "{}");
        up();
        fake_stick(fake);
        send_limited(&head, "query-block", SEC);
        PUMP(loop, head.n);
        start = qmp_now();
        send_limited(&second, "query-status", 5 * SEC);
        PUMP(loop, second.n);
        assert_ended(&second, QMP_TIMEOUT, -ETIMEDOUT);
        ck_assert_uint_ge(second.ended_at - start, 100 * MS);
        ck_assert_uint_le(second.ended_at - start, 103 * MS);
        /* as soon as it answers, they have their full time again */
        fake_unstick(fake);
        PUMP_FOR(loop, 10 * MS);
        fake->delay_ns = 4 * SEC;
        send_limited(&third, "query-status", 5 * SEC);
        PUMP(loop, third.n);
        assert_value(&third, "{}");
        call_done(&head);
        call_done(&second);
        call_done(&third);
}
END_TEST

START_TEST(command_within_its_limit_shortens_nothing)
{
        struct call head = { 0 }, second = { 0 };

        up();
        fake_stick(fake);
        send_limited(&head, "migrate", 60 * SEC);
        PUMP_FOR(loop, 20 * SEC);
        send_limited(&second, "query-status", 5 * SEC);
        PUMP_FOR(loop, 4900 * MS);
        ck_assert_uint_eq(second.n, 0);
        client = qmp_client_free(client);
        call_done(&head);
        call_done(&second);
}
END_TEST

START_TEST(overdue_shortens_after_a_cancel_too)
{
        struct call head = { 0 }, second = { 0 };

        up();
        fake_stick(fake);
        send_limited(&head, "query-block", SEC);
        PUMP_FOR(loop, 500 * MS);
        qmp_command_cancel(head.command);
        PUMP_FOR(loop, SEC);
        /* nobody waits for it any more, but QEMU is no less stuck in it */
        send_limited(&second, "query-status", 5 * SEC);
        PUMP_FOR(loop, 200 * MS);
        ck_assert_uint_eq(second.n, 1);
        call_done(&head);
        call_done(&second);
}
END_TEST

START_TEST(command_that_timed_out_soon_after_it_left_the_queue_shortens_too)
{
        struct call calls[5] = { 0 }, last = { 0 };

        up();
        fake_stick(fake);
        for (int i = 0; i < 5; i++)
                send_limited(&calls[i], "query-block", i < 4 ? 60 * SEC : SEC);
        PUMP_FOR(loop, 900 * MS);
        fake_send_text(fake, "{\"return\": []}");
        PUMP(loop, calls[4].n);
        ck_assert_int_eq(calls[4].outcome, QMP_TIMEOUT);
        ck_assert_uint_eq(fake_n_commands(fake), 5);
        send_limited(&last, "query-status", 5 * SEC);
        PUMP_FOR(loop, 200 * MS);
        ck_assert_uint_eq(last.n, 1);
        client = qmp_client_free(client);
        calls_done(calls, 5);
        call_done(&last);
}
END_TEST

START_TEST(command_with_an_effect_is_not_sent_while_another_is_overdue)
{
        struct qmp_send_options effect = { .effect = true };
        struct call head = { 0 }, lost = { 0 }, kept = { 0 };
        uint64_t begin;

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "quit", "{}");
        up();
        fake_stick(fake);
        send_limited(&head, "query-block", SEC);
        PUMP(loop, head.n);
        begin = qmp_now();
        ck_assert_int_eq(qmp_client_send(client, "quit", NULL, 3 * SEC, &effect, called_back, &lost, &lost.command),
                         0);
        PUMP(loop, lost.n);
        /* its whole limit, and QEMU never hears of it */
        assert_ended(&lost, QMP_TIMEOUT, -ETIMEDOUT);
        ck_assert_uint_ge(lost.ended_at - begin, 3 * SEC);
        ck_assert_str_eq(lost.text, "QEMU is stalled: quit was not sent within 3 s");
        ck_assert_int_eq(qmp_client_send(client, "quit", NULL, 30 * SEC, &effect, called_back, &kept, &kept.command),
                         0);
        PUMP_FOR(loop, SEC);
        ck_assert(!qmp_command_is_sent(kept.command));
        fake_unstick(fake);
        PUMP(loop, kept.n);
        assert_value(&kept, "{}");
        call_done(&head);
        call_done(&lost);
        call_done(&kept);
}
END_TEST

START_TEST(patient_query_keeps_its_limit_while_another_is_overdue)
{
        struct qmp_send_options patient = { .patient = true };
        struct call head = { 0 }, query = { 0 };
        uint64_t begin;

        fake_on(fake, "query-block", "[]");
        up();
        fake_stick(fake);
        send_limited(&head, "query-block", SEC);
        PUMP(loop, head.n);
        begin = qmp_now();
        ck_assert_int_eq(
                qmp_client_send(client, "query-block", NULL, 3 * SEC, &patient, called_back, &query, &query.command),
                0);
        PUMP(loop, query.n);
        ck_assert_uint_ge(query.ended_at - begin, 3 * SEC);
        call_done(&head);
        call_done(&query);
}
END_TEST

START_TEST(queries_in_vain_wait_less_and_less)
{
        struct call head = { 0 }, last = { 0 };
        uint64_t begin;

        fake_on(fake, "query-block", "[]");
        up();
        fake_stick(fake);
        send_limited(&head, "query-block", SEC);
        PUMP(loop, head.n);
        begin = qmp_now();
        for (int i = 0; i < 1000; i++) {
                struct call query = { 0 };

                send_limited(&query, "query-block", 10 * SEC);
                PUMP(loop, query.n);
                ck_assert_int_eq(query.outcome, QMP_TIMEOUT);
                call_done(&query);
        }
        /* not a fiftieth of the limit each, which would be 200 s */
        ck_assert_uint_lt(qmp_now() - begin, 20 * SEC);
        fake_unstick(fake);
        PUMP_FOR(loop, SEC);
        /* with an answer it is over */
        begin = qmp_now();
        fake_stick(fake);
        send_limited(&last, "query-block", 2 * SEC);
        PUMP(loop, last.n);
        ck_assert_uint_ge(last.ended_at - begin, 2 * SEC);
        call_done(&head);
        call_done(&last);
}
END_TEST

START_TEST(out_of_band_limits_are_not_shortened)
{
        struct call head = { 0 }, oob = { 0 };

        fake_on_nothing(fake, "query-yank");
        up_oob();
        fake_stick(fake);
        send_limited(&head, "query-block", 100 * MS);
        PUMP(loop, head.n);
        ck_assert_int_eq(try_send(&oob, "query-yank", 5 * SEC, true), 0);
        PUMP_FOR(loop, 4 * SEC);
        ck_assert_uint_eq(oob.n, 0);
        PUMP(loop, oob.n);
        call_done(&head);
        call_done(&oob);
}
END_TEST

/* --- cancelling --- */

START_TEST(late_reply_after_cancel_is_dropped)
{
        struct call call = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "\"late\"");
        fake_on(fake, "query-status", "\"next\"");
        up();
        fake_stick(fake);
        send_command(&call, "query-block");
        PUMP(loop, fake_n_commands(fake) == 1);
        qmp_command_cancel(call.command);
        assert_ended(&call, QMP_CANCELLED, -EINTR);
        send_command(&next, "query-status");
        PUMP_FOR(loop, 10 * MS);
        fake_unstick(fake);
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        PUMP_FOR(loop, 60 * SEC);
        call_done(&call);
        call_done(&next);
}
END_TEST

START_TEST(cancelled_queued_command_is_never_sent)
{
        struct call calls[4] = { 0 }, queued = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-status", "\"next\"");
        up();
        fake_stick(fake);
        for (int i = 0; i < 4; i++)
                send_command(&calls[i], "query-block");
        send_command(&queued, "device_del");
        send_command(&next, "query-status");
        ck_assert(!qmp_command_is_sent(queued.command));
        qmp_command_cancel(queued.command);
        assert_ended(&queued, QMP_CANCELLED, -EINTR);
        fake_unstick(fake);
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        ck_assert_uint_eq(fake_count(fake, "device_del"), 0);
        calls_done(calls, 4);
        call_done(&queued);
        call_done(&next);
}
END_TEST

static void cancel_other(struct call *call)
{
        if (call->other->command)
                qmp_command_cancel(call->other->command);
}

START_TEST(callback_may_cancel_another_command)
{
        /* sent, or still queued */
        struct call calls[6] = { 0 }, next = { 0 };
        int victim = _i;

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-status", "\"next\"");
        up();
        calls[0].then = cancel_other;
        calls[0].other = &calls[victim];
        for (int i = 0; i < 6; i++)
                send_command(&calls[i], "query-block");
        send_command(&next, "query-status");
        PUMP(loop, next.n);
        assert_value(&next, "\"next\"");
        for (int i = 0; i < 6; i++)
                if (i == victim)
                        assert_ended(&calls[i], QMP_CANCELLED, -EINTR);
                else
                        assert_value(&calls[i], "[]");
        calls_done(calls, 6);
        call_done(&next);
}
END_TEST

static struct call *cancelled_when_changed, *sent_when_cancelled;

static void send_when_cancelled(struct call *call)
{
        (void)call;
        send_command(sent_when_cancelled, "query-status");
}

static void cancel_when_changed(void *userdata)
{
        (void)userdata;
        if (cancelled_when_changed && cancelled_when_changed->command)
                qmp_command_cancel(cancelled_when_changed->command);
}

START_TEST(queued_command_cancelled_while_another_ends_is_never_sent)
{
        struct call calls[4] = { 0 }, queued = { 0 }, next = { 0 };

        fake_on(fake, "query-block", "[]");
        fake_on(fake, "query-status", "\"next\"");
        ck_assert_int_eq(qmp_client_new(loop,
                                        &(struct qmp_client_config){ .address = "/pair",
                                                                     .handshake_ns = 5 * SEC,
                                                                     .changed = cancel_when_changed },
                                        &client),
                         0);
        ck_assert_int_eq(qmp_client_start_fd(client, fake_connect(fake, 0)), 0);
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_stick(fake);
        for (int i = 0; i < 4; i++)
                send_command(&calls[i], "query-block");
        send_command(&queued, "device_del");
        PUMP_FOR(loop, 2 * SEC);
        ck_assert_ptr_nonnull(info().stalled_in);
        /* the end of the stall is told between the reply and the next command's departure */
        cancelled_when_changed = &queued;
        sent_when_cancelled = &next;
        queued.then = send_when_cancelled;
        fake_unstick(fake);
        PUMP(loop, next.n);
        assert_ended(&queued, QMP_CANCELLED, -EINTR);
        ck_assert_uint_eq(fake_count(fake, "device_del"), 0);
        assert_value(&next, "\"next\"");
        calls_done(calls, 4);
        call_done(&queued);
        call_done(&next);
}
END_TEST

START_TEST(every_second_of_many_commands_is_cancelled)
{
        static struct call calls[40];
        size_t n = 0;

        fake_on_call(fake, "count", count_up, &n);
        up();
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                send_command(&calls[i], "count");
        for (size_t i = 0; i < ARRAY_SIZE(calls); i += 2)
                qmp_command_cancel(calls[i].command);
        PUMP(loop, calls[39].n);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                ck_assert_uint_eq(calls[i].n, 1);
                ck_assert_int_eq(calls[i].outcome, i % 2 ? QMP_OK : QMP_CANCELLED);
        }
        /* 0 and 2 were on their way already */
        assert_value(&calls[1], "1");
        assert_value(&calls[3], "3");
        assert_value(&calls[5], "4");
        assert_value(&calls[39], "21");
        calls_done(calls, ARRAY_SIZE(calls));
}
END_TEST

/* --- the end of the connection --- */

/* All there is to a connection: handshake, events, an error, out of band, a queue longer than the window. */
static struct call life[10];

static void live(void)
{
        fake->greeting = FAKE_GREETING_OOB;
        fake->delay_ns = MS;
        fake_on(fake, "query-status", "{\"status\": \"running\"}");
        fake_on(fake, "query-yank", "[]");
        start_pair(0);
        while (state() != QMP_CLIENT_UP && state() != QMP_CLIENT_DOWN)
                ck_assert_int_eq(qmp_loop_turn(loop, 100), 0);
        for (size_t i = 0; i < ARRAY_SIZE(life); i++) {
                const char *name = i == 3 ? "no-such" : i == 2 ? "query-yank" : "query-status";

                if (try_send(&life[i], name, 20 * SEC, i == 2) < 0)
                        life[i].n = 99;
        }
        if (fake->connected)
                fake_event(fake, "STOP", NULL);
        PUMP_FOR(loop, SEC);
}

/* What a whole life sends and receives. */
static size_t life_written, life_commands;

static void measure_life(void)
{
        live();
        for (size_t i = 0; i < ARRAY_SIZE(life); i++)
                ck_assert_uint_eq(life[i].n, 1);
        life_written = fake->n_written;
        life_commands = fake->n_commands;
        calls_done(life, ARRAY_SIZE(life));
        teardown();
        setup();
}

/* Each command was refused, answered or disconnected, once. */
static void assert_life_ended(void)
{
        size_t n_disconnected = 0;

        ck_assert_int_eq(state(), QMP_CLIENT_DOWN);
        for (size_t i = 0; i < ARRAY_SIZE(life); i++) {
                ck_assert_msg(life[i].n == 1 || life[i].n == 99, "%zu: %zu callbacks", i, life[i].n);
                if (life[i].n == 99)
                        continue;
                if (life[i].outcome == QMP_DISCONNECTED) {
                        ck_assert_int_eq(life[i].error, -EHOSTDOWN);
                        ck_assert_str_eq(life[i].text, info().failure);
                        n_disconnected++;
                } else {
                        ck_assert_int_eq(life[i].outcome, i == 3 ? QMP_ERROR : QMP_OK);
                        /* in order: none is answered behind one that was not; the probe goes its own way */
                        ck_assert(n_disconnected == 0 || i == 2 || (n_disconnected == 1 && life[2].outcome));
                }
        }
        calls_done(life, ARRAY_SIZE(life));
}

START_TEST(closed_after_any_number_of_bytes_every_command_ends_once)
{
        measure_life();
        ck_assert_uint_gt(life_written, 300);
        for (size_t n = 0; n < life_written; n++) {
                fake->close_after = (long)n;
                live();
                assert_life_ended();
                teardown();
                setup();
        }
}
END_TEST

START_TEST(closed_at_any_command_every_command_ends_once)
{
        measure_life();
        ck_assert_uint_eq(life_commands, 11);
        for (size_t n = 1; n <= life_commands; n++) {
                fake->close_at_command = n;
                live();
                assert_life_ended();
                teardown();
                setup();
        }
}
END_TEST

START_TEST(freeing_the_client_ends_every_command_once)
{
        struct call calls[6] = { 0 }, oob = { 0 };

        up_oob();
        fake_stick(fake);
        fake_on_nothing(fake, "query-yank");
        for (int i = 0; i < 6; i++)
                send_command(&calls[i], "query-block");
        ck_assert_int_eq(try_send(&oob, "query-yank", 20 * SEC, true), 0);
        PUMP_FOR(loop, 10 * MS);
        n_changed = 0;
        client = qmp_client_free(client);
        for (int i = 0; i < 6; i++) {
                assert_ended(&calls[i], QMP_DISCONNECTED, -EHOSTDOWN);
                ck_assert_str_eq(calls[i].text, "the client is shutting down");
        }
        assert_ended(&oob, QMP_DISCONNECTED, -EHOSTDOWN);
        ck_assert_uint_eq(n_changed, 0);
        ck_assert_ptr_null(qmp_client_free(NULL));
        calls_done(calls, 6);
        call_done(&oob);
}
END_TEST

static void try_to_send(struct call *call)
{
        struct call more = { 0 };

        ck_assert_int_eq(try_send(&more, "query-status", SEC, false), -EHOSTDOWN);
        if (call->other->command)
                qmp_command_cancel(call->other->command);
}

START_TEST(callback_of_a_disconnect_may_cancel_others_and_cannot_send)
{
        struct call calls[6] = { 0 };

        up();
        fake_stick(fake);
        for (int i = 0; i < 6; i++) {
                calls[i].then = try_to_send;
                calls[i].other = &calls[(i + 3) % 6];
                send_command(&calls[i], "query-block");
        }
        PUMP_FOR(loop, 10 * MS);
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        for (int i = 0; i < 6; i++) {
                ck_assert_uint_eq(calls[i].n, 1);
                ck_assert_int_eq(calls[i].outcome, i < 3 ? QMP_DISCONNECTED : QMP_CANCELLED);
        }
        calls_done(calls, 6);
}
END_TEST

START_TEST(failure_names_the_reason_of_the_shutdown)
{
        struct call call = { 0 };

        up();
        send_command(&call, "query-block");
        fake_on_nothing(fake, "query-block");
        fake_event(fake, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-signal\"}");
        fake_close_behind(fake);
        goes_down("QEMU exited (host-signal)");
        ck_assert_int_eq(info().error, -EHOSTDOWN);
        ck_assert_str_eq(call.text, "QEMU exited (host-signal)");
        call_done(&call);
}
END_TEST

static const struct {
        const char *data;
} odd_shutdowns[] = { { NULL }, { "{}" }, { "{\"reason\": null}" }, { "{\"reason\": [1]}" } };

START_TEST(shutdown_without_a_reason)
{
        up();
        fake_event(fake, "SHUTDOWN", odd_shutdowns[_i].data);
        fake_close_behind(fake);
        goes_down("QEMU exited (shutdown)");
}
END_TEST

START_TEST(closed_without_shutdown)
{
        up();
        fake_close(fake);
        goes_down("'/pair' closed the connection");
        ck_assert_int_eq(info().error, -EHOSTDOWN);
}
END_TEST

START_TEST(reset_connection_is_a_failure_with_its_cause)
{
        struct call call = { 0 };

        up();
        fake_stop(fake);
        send_command(&call, "query-block");
        /* closing with unread input resets */
        fake_close(fake);
        goes_down("the connection to '/pair' broke: Connection reset by peer");
        assert_ended(&call, QMP_DISCONNECTED, -EHOSTDOWN);
        call_done(&call);
}
END_TEST

START_TEST(last_words_are_heard_when_sending_fails)
{
        struct call call = { 0 };
        _cleanup_(leave) struct listener l = { 0 };

        up();
        listen_to(&l);
        fake_event(fake, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
        fake_close_behind(fake);
        /* the fake writes and closes, the client has not read yet */
        while (fake->connected)
                fake->source.dispatch(&fake->source, EPOLLOUT);
        send_command(&call, "query-block");
        goes_down("QEMU exited (host-qmp-quit)");
        ck_assert_str_eq(l.names, "SHUTDOWN ");
        assert_ended(&call, QMP_DISCONNECTED, -EHOSTDOWN);
        call_done(&call);
}
END_TEST

/* What breaks the protocol once it is up, and why the connection is closed. */
static const struct {
        const char *sent, *why;
        int error;
} breaches[] = {
        { "{\"return\": {}}", "'/pair' sent a reply that no command asked for", EPROTO },
        { "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}", "no command asked for",
          EPROTO },
        { "{\"return\": {}, \"id\": \"o77\"}", "no command asked for", EPROTO },
        { "{\"return\": {}, \"id\": null}", "no command asked for", EPROTO },
        { "{\"return\": {}, \"id\": 0}", "no command asked for", EPROTO },
        { FAKE_GREETING, "'/pair' broke the protocol: unexpected greeting", EPROTO },
        { "{\"result\": {}}", "'/pair' sent a JSON value that is not a QMP message", EPROTO },
        { "{\"event\": [\"STOP\"]}", "'/pair' sent a JSON value that is not a QMP message", EPROTO },
        { "garbage", "'/pair' sent something that is not QMP: garbage", EPROTO },
        { "QEMU 7.2.22 monitor - type 'help'", "not QMP: QEMU 7.2.22 monitor", EPROTO },
        { "{\"event\": \"\xff\"}", "not QMP: {\"event\": \".\"}", EPROTO },
        { "}", "not QMP: }", EPROTO },
};

START_TEST(breach_of_protocol_closes_with_a_reason)
{
        struct call oob = { 0 };

        up_oob();
        fake_on_nothing(fake, "query-yank");
        ck_assert_int_eq(try_send(&oob, "query-yank", 20 * SEC, true), 0);
        PUMP(loop, fake_n_commands(fake) == 1);
        fake_send_text(fake, breaches[_i].sent);
        goes_down(breaches[_i].why);
        ck_assert_int_eq(info().error, -breaches[_i].error);
        assert_ended(&oob, QMP_DISCONNECTED, -EHOSTDOWN);
        PUMP(loop, !fake->connected);
        call_done(&oob);
}
END_TEST

START_TEST(nothing_behind_a_breach_is_handled)
{
        static const char start[] = "{\"event\":\"STOP\"}{\"return\":{}}{\"event\":\"RESUME\"}{\"event\":\"RESET\"}";
        char text[100000] = { 0 };
        _cleanup_(leave) struct listener l = { 0 };

        up();
        listen_to(&l);
        /* more than is read at once */
        memset(text, ' ', sizeof(text) - 1);
        memcpy(text, start, sizeof(start) - 1);
        fake_send_text(fake, text);
        goes_down("no command asked for");
        PUMP_FOR(loop, SEC);
        ck_assert_str_eq(l.names, "STOP ");
        ck_assert_uint_eq(n_changed, 2);
}
END_TEST

START_TEST(message_nested_too_deep_closes_with_a_reason)
{
        char deep[1100];

        memset(deep, '[', sizeof(deep));
        memcpy(deep, "{\"return\":", 10);
        deep[1099] = '\0';
        up();
        fake_send_text(fake, deep);
        goes_down("'/pair' sent a message that is nested more than 1024 deep");
        ck_assert_int_eq(info().error, -ELOOP);
}
END_TEST

START_TEST(message_that_is_too_big_closes_with_a_reason)
{
        _cleanup_(qmp_freep) char *piece = malloc(1 << 20);

        memset(piece, 'x', 1 << 20);
        up();
        fake_send_text(fake, "{\"return\":\"");
        for (int i = 0; i < 65; i++)
                fake_send(fake, piece, 1 << 20);
        goes_down("'/pair' sent a message of more than 64 MiB");
        ck_assert_int_eq(info().error, -EMSGSIZE);
}
END_TEST

/* --- stalls --- */

START_TEST(stuck_qemu_shows_as_stalled_and_alive)
{
        struct call call = { 0 };
        struct qmp_client_info i;

        fake_on(fake, "query-yank", "[]");
        fake_on(fake, "query-block", "[]");
        up_oob();
        fake_stick(fake);
        n_changed = 0;
        send_command(&call, "query-block");
        PUMP_FOR(loop, 900 * MS);
        ck_assert_ptr_null(info().stalled_in);
        ck_assert_uint_eq(n_changed, 0);
        PUMP_FOR(loop, 200 * MS);
        i = info();
        ck_assert_str_eq(i.stalled_in, "query-block");
        ck_assert(i.can_probe);
        ck_assert(i.alive);
        ck_assert_uint_ge(i.stalled_ns, 1000 * MS);
        ck_assert_uint_le(i.stalled_ns, 1110 * MS);
        ck_assert_uint_eq(n_changed, 2);
        PUMP_FOR(loop, 9900 * MS);
        i = info();
        ck_assert_uint_ge(i.stalled_ns, 10900 * MS);
        ck_assert_uint_le(i.stalled_ns, 11100 * MS);
        ck_assert(i.alive);
        ck_assert_uint_ge(fake_count(fake, "query-yank"), 9);
        fake_unstick(fake);
        PUMP(loop, call.n);
        ck_assert_ptr_null(info().stalled_in);
        ck_assert_uint_eq(info().stalled_ns, 0);
        ck_assert_uint_eq(n_changed, 3);
        /* no more probes */
        PUMP_FOR(loop, 2 * SEC);
        ck_assert_uint_le(fake_count(fake, "query-yank"), 12);
        call_done(&call);
}
END_TEST

START_TEST(stopped_qemu_shows_as_stalled_and_not_alive)
{
        struct call call = { 0 };

        fake_on(fake, "query-yank", "[]");
        fake_on(fake, "query-block", "[]");
        up_oob();
        fake_stop(fake);
        n_changed = 0;
        send_command(&call, "query-block");
        PUMP_FOR(loop, 2200 * MS);
        ck_assert_str_eq(info().stalled_in, "query-block");
        ck_assert(!info().alive);
        ck_assert_uint_eq(n_changed, 2);
        fake_cont(fake);
        PUMP(loop, call.n);
        assert_value(&call, "[]");
        ck_assert_ptr_null(info().stalled_in);
        /* and the next stall starts from nothing */
        call_done(&call);
        fake_stick(fake);
        send_command(&call, "query-block");
        PUMP_FOR(loop, 2200 * MS);
        ck_assert_str_eq(info().stalled_in, "query-block");
        ck_assert(info().alive);
        client = qmp_client_free(client);
        call_done(&call);
}
END_TEST

START_TEST(stopped_qemu_is_alive_again_when_the_next_stall_begins)
{
        struct call call = { 0 };

        fake_on(fake, "query-yank", "[]");
        fake_on(fake, "query-block", "[]");
        up_oob();
        fake_stop(fake);
        send_command(&call, "query-block");
        PUMP_FOR(loop, 5 * SEC);
        ck_assert(!info().alive);
        fake_cont(fake);
        PUMP(loop, call.n);
        ck_assert(info().alive);
        call_done(&call);
}
END_TEST

START_TEST(probes_do_not_pile_up_in_a_stopped_qemu)
{
        struct call call = { 0 };

        fake_on(fake, "query-yank", "[]");
        fake_on(fake, "query-block", "[]");
        up_oob();
        fake_stop(fake);
        send_command(&call, "query-block");
        PUMP_FOR(loop, 1000 * SEC);
        fake_cont(fake);
        PUMP_FOR(loop, 10 * MS);
        ck_assert_uint_le(fake_count(fake, "query-yank"), 2);
        call_done(&call);
}
END_TEST

START_TEST(probe_that_is_no_command_proves_life_too)
{
        struct call call = { 0 };

        up_oob();
        fake_stick(fake);
        send_command(&call, "query-block");
        PUMP_FOR(loop, 3 * SEC);
        ck_assert_ptr_nonnull(info().stalled_in);
        ck_assert(info().alive);
        client = qmp_client_free(client);
        call_done(&call);
}
END_TEST

START_TEST(without_oob_nothing_is_probed)
{
        struct call call = { 0 };

        up();
        fake_stick(fake);
        send_command(&call, "query-block");
        PUMP_FOR(loop, 5 * SEC);
        ck_assert_str_eq(info().stalled_in, "query-block");
        ck_assert(!info().can_probe);
        ck_assert_uint_eq(fake_n_commands(fake), 1);
        client = qmp_client_free(client);
        call_done(&call);
}
END_TEST

START_TEST(busy_qemu_that_answers_is_not_stalled)
{
        static struct call calls[30];
        size_t n = 0;

        fake_on_call(fake, "count", count_up, &n);
        up_oob();
        n_changed = 0;
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                send_command(&calls[i], "count");
        /* each takes 0.9 s, so that the fourth waits for 3.6 s, but never is QEMU silent for a second */
        fake_stop(fake);
        for (size_t i = 0; i < 20; i++) {
                PUMP_FOR(loop, 900 * MS);
                ck_assert_ptr_null(info().stalled_in);
                fake_cont(fake);
                fake_stick(fake);
                PUMP_FOR(loop, MS);
                ck_assert_uint_ge(fake->n_held, 1);
                fake_return(fake, fake->held[0], "1");
                fake->n_held--;
                memmove(fake->held, fake->held + 1, fake->n_held * sizeof(*fake->held));
                PUMP_FOR(loop, MS);
                fake_stop(fake);
        }
        ck_assert_uint_eq(n_changed, 0);
        client = qmp_client_free(client);
        calls_done(calls, ARRAY_SIZE(calls));
}
END_TEST

/* --- events --- */

START_TEST(events_reach_all_subscribers_in_order)
{
        _cleanup_(leave) struct listener a = { 0 }, b = { 0 };

        up();
        listen_to(&a);
        listen_to(&b);
        fake_event(fake, "STOP", NULL);
        fake_event(fake, "RESET", "{\"guest\":true}");
        fake_event(fake, "RESUME", NULL);
        fake_event(fake, "DEVICE_DELETED", "{\"path\":\"/machine/peripheral/x\"}");
        PUMP(loop, b.n == 4);
        ck_assert_str_eq(a.names, "STOP RESET RESUME DEVICE_DELETED ");
        ck_assert_str_eq(b.names, a.names);
        ck_assert_str_eq(a.data, "{\"path\":\"/machine/peripheral/x\"}");
}
END_TEST

START_TEST(subscriber_may_leave_inside_its_handler)
{
        struct listener l[3] = { 0 };

        up();
        for (int i = 0; i < 3; i++)
                listen_to(&l[i]);
        l[_i].leaves = true;
        fake_event(fake, "STOP", NULL);
        fake_event(fake, "RESUME", NULL);
        PUMP(loop, l[(_i + 1) % 3].n == 2);
        for (int i = 0; i < 3; i++)
                ck_assert_uint_eq(l[i].n, i == _i ? 1 : 2);
        for (int i = 0; i < 3; i++)
                leave(&l[i]);
}
END_TEST

START_TEST(command_may_be_sent_inside_a_handler)
{
        _cleanup_(leave) struct listener l = { 0 };
        struct call call = { 0 };

        fake_on(fake, "query-status", "{}");
        up();
        listen_to(&l);
        l.sends = &call;
        fake_event(fake, "STOP", NULL);
        PUMP(loop, call.n);
        assert_value(&call, "{}");
        call_done(&call);
}
END_TEST

static void stop_and_reply(struct fake_qemu *f, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        fake_event(f, "STOP", NULL);
        fake_return(f, command, "{}");
        fake_event(f, "RESUME", NULL);
}

static struct listener *order;

static void note_order(struct call *call)
{
        (void)call;
        strcat(order->names, "reply ");
}

START_TEST(events_and_replies_keep_their_order)
{
        _cleanup_(leave) struct listener l = { 0 };
        struct call call = { .then = note_order };

        fake_on_call(fake, "stop", stop_and_reply, NULL);
        up();
        listen_to(&l);
        order = &l;
        send_command(&call, "stop");
        PUMP(loop, l.n == 2);
        ck_assert_str_eq(l.names, "STOP reply RESUME ");
        call_done(&call);
}
END_TEST

START_TEST(subscription_outlives_the_connection)
{
        _cleanup_(leave) struct listener l = { 0 };

        start_listening();
        listen_to(&l);
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_event(fake, "STOP", NULL);
        PUMP(loop, l.n == 1);
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_event(fake, "RESUME", NULL);
        PUMP(loop, l.n == 2);
        ck_assert_str_eq(l.names, "STOP RESUME ");
}
END_TEST

static struct listener *watched;
static size_t n_ticks, n_before, most_in_a_turn;

static void tick(struct qmp_task *task)
{
        n_ticks++;
        if (watched->n - n_before > most_in_a_turn)
                most_in_a_turn = watched->n - n_before;
        n_before = watched->n;
        qmp_task_defer(loop, task);
}

START_TEST(flood_of_100000_events_arrives_whole_and_leaves_time_for_others)
{
        _cleanup_(leave) struct listener l = { 0 };
        struct call call = { 0 };
        struct qmp_task task;
        _cleanup_(qmp_freep) char *block = malloc(100 * 64);
        size_t size = 0;

        for (int i = 0; i < 100; i++)
                size += (size_t)sprintf(block + size, "{\"event\":\"FLOOD\",\"data\":{\"n\":%d}}\r\n", i);
        fake_on(fake, "query-status", "{}");
        start_pair(4 * 1024 * 1024);
        PUMP(loop, state() == QMP_CLIENT_UP);
        listen_to(&l);
        watched = &l;
        for (int i = 0; i < 1000; i++)
                fake_send(fake, block, size);
        qmp_task_init(&task, tick);
        qmp_task_defer(loop, &task);
        PUMP(loop, l.n > 1000);
        send_command(&call, "query-status");
        PUMP(loop, l.n == 100000 && call.n);
        assert_value(&call, "{}");
        /* other work had its turn in between, many times */
        ck_assert_uint_gt(n_ticks, 20);
        ck_assert_uint_lt(most_in_a_turn, 5000);
        qmp_task_cancel(&task);
        call_done(&call);
}
END_TEST

/* --- connecting --- */

START_TEST(connects_by_path)
{
        start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_uint_eq(fake->n_connections, 1);
}
END_TEST

static void fails_at_once(const char *path, const char *why, int error)
{
        new_client(path);
        qmp_client_start(client);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        assert_down(why);
        ck_assert_contains(info().failure, path);
        ck_assert_int_eq(info().error, -error);
        ck_assert_uint_gt(info().next_try_ns, 90 * MS);
        ck_assert_uint_le(info().next_try_ns, 100 * MS);
        ck_assert_uint_eq(n_changed, 1);
}

START_TEST(no_such_socket)
{
        fails_at_once(test_path("missing"), "No such file or directory", ENOENT);
}
END_TEST

START_TEST(stale_socket)
{
        const char *path = test_path("stale");

        fake_listen(fake, path);
        fake_unlisten(fake);
        fails_at_once(path, "cannot connect to", ECONNREFUSED);
        ck_assert_contains(info().failure, "Connection refused");
}
END_TEST

START_TEST(plain_file)
{
        const char *path = test_path("file");

        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        fails_at_once(path, "Socket operation on non-socket", ENOTSOCK);
}
END_TEST

/* A listening socket of 127.0.0.1 that accepts nobody, and its address as text. */
static int listen_tcp(char **ret_text)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(in);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
        ck_assert_int_eq(listen(fd, 0), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
        ck_assert_int_gt(asprintf(ret_text, "tcp:127.0.0.1:%d", ntohs(in.sin_port)), 0);
        return fd;
}

START_TEST(tcp_host_that_does_not_answer)
{
        _cleanup_(qmp_freep) char *text = NULL, *why = NULL;
        int listener = listen_tcp(&text), fds[4];
        struct sockaddr_in in;
        socklen_t size = sizeof(in);

        /* whose queue is full drops further requests, as a host that is not there */
        ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&in, &size), 0);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)connect(fds[i], (struct sockaddr *)&in, size);
        }
        ck_assert_int_gt(asprintf(&why, "no answer from '%s': Connection timed out", text), 0);
        new_client(text);
        qmp_client_start(client);
        goes_down(why);
        ck_assert_int_eq(info().error, -ETIMEDOUT);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close(fds[i]);
        close(listener);
}
END_TEST

START_TEST(tcp_host_that_connects_and_is_silent)
{
        _cleanup_(qmp_freep) char *text = NULL, *why = NULL;
        int listener = listen_tcp(&text);

        ck_assert_int_gt(asprintf(&why, "no answer from '%s': connected, but no QMP greeting within 5 s: ", text), 0);
        new_client(text);
        qmp_client_start(client);
        PUMP(loop, info().failure);
        ck_assert_int_eq(state(), QMP_CLIENT_CONNECTING);
        ck_assert_contains(info().failure, why);
        close(listener);
}
END_TEST

START_TEST(full_queue)
{
        const char *path = test_path("full");
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fds[16], n = 0, r;

        strcpy(un.sun_path, path);
        fake_listen(fake, path);
        do {
                ck_assert_int_lt(n, 16);
                fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                r = connect(fds[n++], (struct sockaddr *)&un, sizeof(un));
        } while (r == 0);
        ck_assert_int_eq(errno, EAGAIN);
        fails_at_once(path, "its queue is full; another client holds this monitor", EBUSY);
        while (n > 0)
                close(fds[--n]);
        /* they left: now it is served */
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

START_TEST(held_by_another_client_and_served_when_that_one_leaves)
{
        const char *path = test_path("held");
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(un.sun_path, path);
        fake_listen(fake, path);
        ck_assert_int_eq(connect(other, (struct sockaddr *)&un, sizeof(un)), 0);
        PUMP(loop, fake->connected);
        new_client(path);
        qmp_client_start(client);
        PUMP_FOR(loop, 6 * SEC);
        ck_assert_int_eq(state(), QMP_CLIENT_CONNECTING);
        ck_assert_contains(info().failure, "another client holds this monitor");
        ck_assert_int_eq(info().error, -EBUSY);
        PUMP_FOR(loop, 600 * SEC);
        ck_assert_int_eq(state(), QMP_CLIENT_CONNECTING);
        close(other);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_uint_eq(fake->n_connections, 2);
}
END_TEST

START_TEST(reconnects_at_growing_intervals)
{
        static const uint64_t intervals[] = { 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
        uint64_t last = 0;

        new_client(test_path("missing"));
        qmp_client_start(client);
        PUMP(loop, n_changed == 1);
        last = qmp_now();
        for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
                uint64_t now;

                ck_assert_uint_le(info().next_try_ns, intervals[i] * MS);
                PUMP(loop, n_changed == i + 2);
                now = qmp_now();
                ck_assert_uint_ge(now - last, intervals[i] * MS);
                ck_assert_uint_le(now - last, (intervals[i] + 2) * MS);
                last = now;
        }
}
END_TEST

START_TEST(comes_up_when_the_socket_appears)
{
        const char *path = test_path("later");

        new_client(path);
        qmp_client_start(client);
        PUMP_FOR(loop, 3 * SEC);
        assert_down("No such file or directory");
        fake_listen(fake, path);
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

static int connector_result;
static unsigned n_connector;

static int connector(void *userdata, size_t index, int *ret_fd, bool *ret_connecting)
{
        (void)userdata, (void)index;
        *ret_fd = -1;
        *ret_connecting = false;
        n_connector++;
        return connector_result;
}

START_TEST(who_connects_is_named_and_asked_no_more_when_it_is_gone)
{
        new_client("/somewhere");
        qmp_client_connect_by(client, connector, NULL, "the other");
        connector_result = -ETIME;
        qmp_client_start(client);
        PUMP(loop, n_connector == 3);
        assert_down("cannot connect to '/somewhere': the other does not answer");
        ck_assert_uint_gt(info().next_try_ns, 0);
        connector_result = -EOWNERDEAD;
        PUMP(loop, n_connector == 4);
        assert_down("cannot connect to '/somewhere': the other has ended; unmount and mount again");
        ck_assert_uint_eq(info().next_try_ns, 0);
        PUMP_FOR(loop, 60 * SEC);
        ck_assert_uint_eq(n_connector, 4);
}
END_TEST

/* QEMU ends, and somebody else is there. */
static void served_by(const char *path, int64_t uid)
{
        fake_unlisten(fake);
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        peer_uid = uid;
        fake_listen(fake, path);
}

START_TEST(another_users_socket_is_not_taken_for_the_first)
{
        const char *path;

        peer_uid = 20001;
        path = start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        served_by(path, 20002);
        PUMP_FOR(loop, 20 * SEC);
        assert_down("is now served by user 20002, not by user 20001 as before: not trusted; mount again to "
                    "accept it");
        ck_assert_int_eq(info().error, -EPERM);
        ck_assert_uint_gt(info().next_try_ns, 0);
        /* it has not been told a word, nor waited for to say one */
        ck_assert_uint_gt(fake->n_connections, 3);
        ck_assert_uint_lt(fake->n_connections, 15);
        ck_assert_uint_eq(fake->raw_size, 0);
        served_by(path, 20001);
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

START_TEST(root_and_ourselves_are_trusted_whoever_was_first)
{
        const char *path;

        peer_uid = 20001;
        path = start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        served_by(path, _i ? 0 : (int64_t)geteuid());
        PUMP(loop, state() == QMP_CLIENT_UP);
        /* and the first one as before */
        served_by(path, 20001);
        PUMP(loop, state() == QMP_CLIENT_UP);
        served_by(path, 20002);
        PUMP_FOR(loop, 5 * SEC);
        assert_down("is now served by user 20002");
}
END_TEST

START_TEST(who_was_never_up_was_not_the_first)
{
        const char *path;

        peer_uid = 20002;
        fake->greeting = "hello\r\n";
        path = start_listening();
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        assert_down("not QMP");
        fake->greeting = FAKE_GREETING;
        served_by(path, 20001);
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

#define NO_UUID "00000000-0000-0000-0000-000000000000"
#define UUID_A  "6b3f1f1e-0000-4000-8000-00000000000a"
#define UUID_B  "6b3f1f1e-0000-4000-8000-00000000000b"

/* What query-uuid and query-name answer; NULL: CommandNotFound. */
static void is_vm(const char *uuid, const char *name)
{
        if (uuid)
                fake_on(fake, "query-uuid", uuid);
        else
                fake_on_error(fake, "query-uuid", "CommandNotFound", "no");
        if (name)
                fake_on(fake, "query-name", name);
        else
                fake_on_error(fake, "query-name", "CommandNotFound", "no");
}

START_TEST(which_vm_it_is_costs_two_commands_before_it_is_up)
{
        struct call call = { 0 };
        const char *path;

        identify = true;
        is_vm("{\"UUID\": \"" UUID_A "\"}", "{\"name\": \"a\"}");
        path = start_listening();
        for (int i = 0; i < 2; i++) {
                size_t n = fake->n_commands;

                fake_on_nothing(fake, "query-uuid");
                PUMP(loop, fake->n_commands == n + 3);
                PUMP_FOR(loop, 10 * MS);
                ck_assert_int_eq(state(), QMP_CLIENT_NEGOTIATING);
                ck_assert_int_eq(qmp_client_send(client, "stop", NULL, SEC, NULL, called_back, &call, NULL),
                                 -EHOSTDOWN);
                ck_assert_str_eq(fake->commands[n]->name, "qmp_capabilities");
                ck_assert_str_eq(fake->commands[n + 1]->text, "{\"execute\":\"query-uuid\"}");
                ck_assert_str_eq(fake->commands[n + 2]->text, "{\"execute\":\"query-name\"}");
                fake_return(fake, fake->commands[n + 1], "{\"UUID\": \"" UUID_A "\"}");
                PUMP(loop, state() == QMP_CLIENT_UP);
                PUMP_FOR(loop, 10 * MS);
                ck_assert_uint_eq(fake->n_commands, n + 3);
                served_by(path, -1);
        }
}
END_TEST

static const struct {
        const char *uuid, *name, *now_uuid, *now_name;
        const char *why; /* NULL: the same */
} vms[] = {
        { UUID_A, "a", UUID_A, "a", NULL },
        { NO_UUID, NULL, NO_UUID, NULL, NULL },
        { NO_UUID, "a", NO_UUID, "a", NULL },
        { UUID_A, "a", UUID_B, "a", "its UUID is '" UUID_B "', at first it was '" UUID_A "'" },
        { UUID_A, "a", UUID_A, "b", "its name is 'b', at first it was 'a'" },
        { NO_UUID, "a", NO_UUID, "b", "its name is 'b', at first it was 'a'" },
        { NO_UUID, "a", NO_UUID, NULL, "its name is not set, at first it was 'a'" },
        { NO_UUID, NULL, NO_UUID, "b", "its name is 'b', at first it was not set" },
        { NO_UUID, NULL, UUID_B, NULL, "its UUID is '" UUID_B "', at first it was not set" },
        { UUID_A, NULL, NO_UUID, NULL, "its UUID is not set, at first it was '" UUID_A "'" },
};

static void is_vm_of(const char *uuid, const char *name)
{
        _cleanup_(qmp_freep) char *u = NULL, *n = NULL;

        ck_assert_int_gt(asprintf(&u, "{\"UUID\": \"%s\"}", uuid), 0);
        ck_assert_int_gt(asprintf(&n, name ? "{\"name\": \"%s\"}" : "{}", name), 0);
        is_vm(u, n);
}

START_TEST(another_vm_is_not_taken_for_the_first)
{
        _cleanup_(leave) struct listener l = { 0 };
        const char *path;

        identify = true;
        is_vm_of(vms[_i].uuid, vms[_i].name);
        path = start_listening();
        listen_to(&l);
        PUMP(loop, state() == QMP_CLIENT_UP);
        is_vm_of(vms[_i].now_uuid, vms[_i].now_name);
        fake->before_greeting = "{\"event\": \"STOP\"}\r\n";
        served_by(path, -1);
        if (!vms[_i].why) {
                PUMP(loop, state() == QMP_CLIENT_UP);
                return;
        }
        PUMP_FOR(loop, 20 * SEC);
        assert_down("' is another VM now, ");
        assert_down(vms[_i].why);
        assert_down(": mount again to accept it");
        ck_assert_int_eq(info().error, -EPERM);
        ck_assert_str_eq(l.names, "");
        ck_assert_uint_gt(fake->n_connections, 3);
        ck_assert_uint_lt(fake->n_connections, 15);
        for (size_t i = 3; i < fake->n_commands; i++)
                ck_assert_str_eq(fake->commands[i]->name, i % 3 == 0   ? "qmp_capabilities"
                                                          : i % 3 == 1 ? "query-uuid"
                                                                       : "query-name");
        /* the first one is back, and stays the first */
        is_vm_of(vms[_i].uuid, vms[_i].name);
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

static const struct {
        const char *uuid, *name;
} no_identities[] = {
        { NULL, NULL },
        { "{}", "{}" },
        { "[]", "5" },
        { "{\"UUID\": 5}", "{\"name\": null}" },
        { "{\"UUID\": \"\"}", "{\"name\": \"\"}" },
        { "{\"UUID\": \"" NO_UUID "\"}", "{\"name\": [\"a\"]}" },
};

/* A storage daemon has neither command; and nothing from there is trusted. */
START_TEST(vm_without_uuid_and_name_is_taken_for_any_such_one)
{
        const char *path;

        identify = true;
        is_vm(no_identities[_i].uuid, no_identities[_i].name);
        path = start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        is_vm("{\"UUID\": \"" NO_UUID "\"}", "{}");
        served_by(path, -1);
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

START_TEST(silence_about_which_vm_it_is_ends_in_time)
{
        identify = true;
        fake_on_nothing(fake, "query-uuid");
        (void)start_listening();
        PUMP(loop, state() == QMP_CLIENT_NEGOTIATING);
        goes_down("did not answer the negotiation within 5 s");
        is_vm(NULL, NULL);
        PUMP(loop, state() == QMP_CLIENT_UP);
}
END_TEST

START_TEST(reconnects_soon_after_a_long_connection)
{
        struct call call = { 0 };
        uint64_t start;

        fake_on(fake, "query-status", "{}");
        start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        PUMP_FOR(loop, 5 * SEC);
        start = qmp_now();
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_uint_ge(qmp_now() - start, 100 * MS);
        ck_assert_uint_le(qmp_now() - start, 110 * MS);
        send_command(&call, "query-status");
        PUMP(loop, call.n);
        assert_value(&call, "{}");
        ck_assert_uint_eq(fake_command(fake, 0)->connection, 2);
        call_done(&call);
}
END_TEST

START_TEST(peer_that_hangs_up_at_once_is_asked_less_and_less)
{
        fake->close_after = sizeof(FAKE_GREETING) - 1;
        start_listening();
        PUMP_FOR(loop, 30 * SEC);
        ck_assert_uint_ge(fake->n_connections, 9);
        ck_assert_uint_le(fake->n_connections, 12);
}
END_TEST

START_TEST(peer_that_negotiates_and_hangs_up_is_asked_less_and_less)
{
        start_listening();
        for (size_t i = 1; i <= 5; i++) {
                PUMP(loop, state() == QMP_CLIENT_UP);
                ck_assert_uint_eq(fake->n_connections, i);
                fake_close(fake);
                PUMP(loop, state() == QMP_CLIENT_DOWN);
        }
        ck_assert_uint_gt(info().next_try_ns, 1500 * MS);
}
END_TEST

START_TEST(nothing_of_the_old_connection_reaches_the_new_one)
{
        struct call calls[6] = { 0 }, next = { 0 };

        fake_on(fake, "query-status", "\"new\"");
        start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_stick(fake);
        for (int i = 0; i < 6; i++)
                send_command(&calls[i], "query-block");
        /* half a message, and commands on the wire and in the queue */
        fake_send_text(fake, "{\"return\": [\"half");
        PUMP_FOR(loop, 10 * MS);
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        for (int i = 0; i < 6; i++)
                assert_ended(&calls[i], QMP_DISCONNECTED, -EHOSTDOWN);
        PUMP(loop, state() == QMP_CLIENT_UP);
        send_command(&next, "query-status");
        PUMP(loop, next.n);
        assert_value(&next, "\"new\"");
        ck_assert_str_eq(fake->raw, "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}");
        calls_done(calls, 6);
        call_done(&next);
}
END_TEST

START_TEST(half_sent_command_is_forgotten_with_its_connection)
{
        struct call call = { 0 }, next = { 0 };
        struct json_object *arguments = json_object_new_object();
        int length = 1 << 20;
        char *big = malloc((size_t)length);

        memset(big, 'x', (size_t)length);
        json_object_object_add(arguments, "data", json_object_new_string_len(big, length));
        free(big);
        fake_on(fake, "query-status", "\"new\"");
        start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_stop(fake);
        ck_assert_int_eq(qmp_client_send(client, "x", arguments, SEC, NULL, called_back, &call, NULL), 0);
        json_object_put(arguments);
        if (_i)
                ck_assert_int_eq(send(fake->fd, "garbage", 7, MSG_NOSIGNAL), 7);
        else
                fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_UP);
        /* at the first try: it did not have to get rid of remains by a time limit */
        ck_assert_uint_eq(fake->n_connections, 2);
        send_command(&next, "query-status");
        PUMP(loop, next.n);
        assert_value(&next, "\"new\"");
        call_done(&call);
        call_done(&next);
}
END_TEST

START_TEST(version_is_that_of_the_latest_connection)
{
        start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_str_eq(info().version, "7.2.22 (Debian 1:7.2)");
        fake->greeting =
                "{\"QMP\":{\"version\":{\"qemu\":{\"major\":9,\"minor\":1,\"micro\":2}},\"capabilities\":[\"oob\"]}}";
        fake_close(fake);
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        PUMP(loop, state() == QMP_CLIENT_UP);
        ck_assert_str_eq(info().version, "9.1.2");
        ck_assert(info().can_probe);
}
END_TEST

START_TEST(reason_of_a_shutdown_is_not_that_of_the_next_end)
{
        start_listening();
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_event(fake, "SHUTDOWN", "{\"reason\": \"guest-shutdown\"}");
        fake_close_behind(fake);
        goes_down("QEMU exited (guest-shutdown)");
        PUMP(loop, state() == QMP_CLIENT_UP);
        fake_close(fake);
        goes_down("closed the connection");
}
END_TEST

START_TEST(connects_by_tcp)
{
        _cleanup_(qmp_freep) char *text = NULL;
        struct call call = { 0 };

        test_time_real();
        fake_on(fake, "query-status", "{}");
        text = fake_listen_tcp(fake);
        new_client(text);
        qmp_client_start(client);
        PUMP(loop, state() == QMP_CLIENT_UP);
        send_command(&call, "query-status");
        PUMP(loop, call.n);
        assert_value(&call, "{}");
        call_done(&call);
}
END_TEST

START_TEST(refused_by_tcp)
{
        _cleanup_(qmp_freep) char *text = NULL;

        test_time_real();
        text = fake_listen_tcp(fake);
        fake_unlisten(fake);
        new_client(text);
        qmp_client_start(client);
        PUMP(loop, info().failure);
        ck_assert_contains(info().failure, "cannot connect to 'tcp:127.0.0.1:");
        ck_assert_contains(info().failure, "Connection refused");
        ck_assert_int_eq(info().error, -ECONNREFUSED);
}
END_TEST

START_TEST(all_addresses_of_a_name_are_one_attempt)
{
        _cleanup_(qmp_freep) char *text = NULL, *name = NULL;

        test_time_real();
        text = fake_listen_tcp(fake);
        ck_assert_int_gt(
                asprintf(&name, "tcp:%s.test%s", _i ? "first-refuses" : "second-refuses", strrchr(text, ':')), 0);
        new_client(name);
        qmp_client_start(client);
        for (int i = 0; i < 3; i++) {
                PUMP(loop, state() == QMP_CLIENT_UP);
                /* the address that refuses is no failure to speak of, and it begins with the first each time */
                ck_assert_uint_eq(n_changed, 1);
                fake_close(fake);
                PUMP(loop, state() == QMP_CLIENT_DOWN);
                n_changed = 0;
        }
        fake_unlisten(fake);
        PUMP(loop, n_changed > 0);
        assert_down("Connection refused");
        ck_assert_uint_eq(n_changed, 1);
}
END_TEST

START_TEST(malformed_address_makes_no_client)
{
        struct qmp_client *none = NULL;

        ck_assert_int_eq(qmp_client_new(loop, &(struct qmp_client_config){ .address = "tcp:" }, &none), -EINVAL);
        ck_assert_ptr_null(none);
}
END_TEST

START_TEST(client_that_was_never_started_can_be_freed)
{
        new_client("/nowhere");
        ck_assert_int_eq(state(), QMP_CLIENT_DOWN);
        ck_assert_ptr_null(info().failure);
        ck_assert_uint_eq(info().next_try_ns, 0);
}
END_TEST

/* --- recorded conversations --- */

START_TEST(recorded_quit)
{
        _cleanup_(leave) struct listener l = { 0 };
        struct call call = { 0 };

        fake_play(fake, "exit-quit.txt", 0);
        up();
        ck_assert_str_eq(info().version, "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)");
        listen_to(&l);
        send_command(&call, "quit");
        PUMP(loop, call.n);
        assert_value(&call, "{}");
        goes_down("QEMU exited (host-qmp-quit)");
        ck_assert_str_eq(l.names, "SHUTDOWN ");
        call_done(&call);
}
END_TEST

START_TEST(recorded_ends)
{
        static const struct {
                const char *record, *why;
        } ends[] = {
                { "exit-SIGKILL.txt", "'/pair' closed the connection" },
                { "exit-SIGTERM.txt", "QEMU exited (host-signal)" },
                { "exit-guest-poweroff.txt", "QEMU exited (guest-shutdown)" },
        };

        fake_play(fake, ends[_i].record, FAKE_PLAY_TIMED);
        start_pair(0);
        PUMP(loop, state() == QMP_CLIENT_UP);
        goes_down(ends[_i].why);
}
END_TEST

START_TEST(recorded_order_of_events_and_replies)
{
        static const char *const names[] = { "stop",
                                             "cont",
                                             "system_reset",
                                             "eject",
                                             "blockdev-open-tray",
                                             "blockdev-close-tray",
                                             "system_powerdown" };
        _cleanup_(leave) struct listener l = { 0 };
        struct call call = { .then = note_order };

        fake_play(fake, "eventorder.txt", 0);
        up();
        listen_to(&l);
        order = &l;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                send_command(&call, names[i]);
                PUMP(loop, call.n);
                assert_value(&call, "{}");
                call_done(&call);
                call.then = note_order;
        }
        PUMP_FOR(loop, 10 * MS);
        ck_assert_str_eq(l.names, "STOP reply RESUME reply RESET reply RESET RESET DEVICE_TRAY_MOVED reply reply "
                                  "DEVICE_TRAY_MOVED reply POWERDOWN reply ");
}
END_TEST

START_TEST(recorded_probe_overtakes_a_stuck_migration)
{
        struct call migrate = { 0 }, add = { 0 }, status = { 0 }, probe = { 0 };

        fake_play(fake, "oob.txt", FAKE_PLAY_TIMED);
        up();
        ck_assert(info().can_probe);
        send_command(&migrate, "migrate");
        PUMP(loop, migrate.n);
        send_command(&add, "device_add");
        send_command(&status, "query-status");
        PUMP(loop, fake_n_commands(fake) == 3);
        ck_assert_int_eq(try_send(&probe, "query-yank", SEC, true), 0);
        PUMP(loop, probe.n);
        ck_assert_int_eq(probe.outcome, QMP_OK);
        ck_assert_contains(probe.value, "compat_monitor0");
        ck_assert_uint_eq(add.n, 0);
        PUMP(loop, status.n);
        assert_ended(&add, QMP_ERROR, -EAGAIN);
        ck_assert_uint_ge(add.ended_at - probe.ended_at, 2 * SEC);
        assert_value(&status, "{\"status\":\"running\",\"singlestep\":false,\"running\":true}");
        call_done(&migrate);
        call_done(&add);
        call_done(&status);
        call_done(&probe);
}
END_TEST

START_TEST(recorded_crash)
{
        struct call add = { 0 };

        fake_play(fake, "cpucrash-sameid.txt", 0);
        up();
        for (int i = 0; i < 3; i++) {
                static const char *const names[] = { "query-hotpluggable-cpus", "device_add", "device_del" };
                struct call call = { 0 };

                send_command(&call, names[i]);
                PUMP(loop, call.n);
                ck_assert_int_eq(call.outcome, QMP_OK);
                call_done(&call);
        }
        send_command(&add, "device_add");
        PUMP(loop, add.n);
        assert_ended(&add, QMP_DISCONNECTED, -EHOSTDOWN);
        call_done(&add);
}
END_TEST

START_TEST(record_is_skipped_to_the_command_asked_for)
{
        _cleanup_(leave) struct listener l = { 0 };
        struct call call = { 0 };

        fake_play(fake, "eventorder.txt", FAKE_PLAY_SKIP);
        up();
        listen_to(&l);
        send_command(&call, "set_link");
        PUMP(loop, call.n);
        assert_ended(&call, QMP_ERROR, -ENODEV);
        ck_assert(startswith(l.names, "STOP RESUME RESET ") != NULL);
        call_done(&call);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(greeting_and_negotiation_without_oob),
                TEST(descriptors_that_qemu_passes_are_not_received),
                TEST(oob_is_enabled_where_it_is_offered),
                TEST_EACH(greeting_in_any_spelling, ARRAY_SIZE(odd_greetings)),
                TEST(event_before_the_greeting_is_delivered),
                TEST(event_while_negotiating_is_delivered),
                TEST(no_command_is_accepted_before_it_is_up),
                TEST(refused_negotiation_says_why),
                TEST(silence_while_negotiating_ends_in_time),
                TEST(silence_while_negotiating_ends_in_time_after_a_late_greeting_too),
                TEST(no_greeting_in_time_is_told_and_the_place_kept),
                TEST_EACH(stranger_is_recognised, ARRAY_SIZE(strangers)),
                TEST(human_monitor_is_recognised_by_pieces_of_its_banner),
                TEST(closed_before_the_greeting),
                TEST(closed_in_the_middle_of_the_greeting),
                TEST(closed_while_negotiating),
                TEST(commands_carry_neither_id_nor_newline),
                TEST(out_of_band_command_carries_an_id_and_may_overtake),
                TEST(out_of_band_needs_the_capability),
                TEST(error_reply_becomes_an_errno_with_words),
                TEST(reply_null_is_a_value),
                TEST_EACH(replies_are_matched_in_order, 8),
                TEST(at_most_4_commands_are_on_the_wire),
                TEST(out_of_band_does_not_wait_for_the_window),
                TEST(unanswered_commands_out_of_band_are_bounded),
                TEST(large_command_goes_out_bit_by_bit),
                TEST(many_large_commands_and_one_byte_reads_stay_in_order),
                TEST(blocking_descriptor_does_not_block_the_client),
                TEST(commands_may_be_sent_from_callbacks),
                TEST(reply_that_was_there_before_its_command_is_none),
                TEST(busy_time_is_qemus_own),
                TEST(late_reply_after_timeout_is_dropped_and_the_next_one_matches),
                TEST(late_reply_to_a_command_with_side_effects_is_told),
                TEST(timeout_comes_in_time),
                TEST(queued_command_that_timed_out_is_never_sent),
                TEST(every_later_command_matches_after_a_full_window_timed_out),
                TEST(late_out_of_band_reply_is_dropped),
                TEST(overdue_qemu_shortens_the_limits_of_others),
                TEST(command_within_its_limit_shortens_nothing),
                TEST(overdue_shortens_after_a_cancel_too),
                TEST(command_that_timed_out_soon_after_it_left_the_queue_shortens_too),
                TEST(command_with_an_effect_is_not_sent_while_another_is_overdue),
                TEST(patient_query_keeps_its_limit_while_another_is_overdue),
                TEST(queries_in_vain_wait_less_and_less),
                TEST(out_of_band_limits_are_not_shortened),
                TEST(late_reply_after_cancel_is_dropped),
                TEST(cancelled_queued_command_is_never_sent),
                { callback_may_cancel_another_command, 1, 6 },
                TEST(queued_command_cancelled_while_another_ends_is_never_sent),
                TEST(every_second_of_many_commands_is_cancelled),
                TEST(closed_after_any_number_of_bytes_every_command_ends_once),
                TEST(closed_at_any_command_every_command_ends_once),
                TEST(freeing_the_client_ends_every_command_once),
                TEST(callback_of_a_disconnect_may_cancel_others_and_cannot_send),
                TEST(failure_names_the_reason_of_the_shutdown),
                TEST_EACH(shutdown_without_a_reason, ARRAY_SIZE(odd_shutdowns)),
                TEST(closed_without_shutdown),
                TEST(reset_connection_is_a_failure_with_its_cause),
                TEST(last_words_are_heard_when_sending_fails),
                TEST_EACH(breach_of_protocol_closes_with_a_reason, ARRAY_SIZE(breaches)),
                TEST(nothing_behind_a_breach_is_handled),
                TEST(message_nested_too_deep_closes_with_a_reason),
                TEST(message_that_is_too_big_closes_with_a_reason),
                TEST(stuck_qemu_shows_as_stalled_and_alive),
                TEST(stopped_qemu_shows_as_stalled_and_not_alive),
                TEST(stopped_qemu_is_alive_again_when_the_next_stall_begins),
                TEST(probes_do_not_pile_up_in_a_stopped_qemu),
                TEST(probe_that_is_no_command_proves_life_too),
                TEST(without_oob_nothing_is_probed),
                TEST(busy_qemu_that_answers_is_not_stalled),
                TEST(events_reach_all_subscribers_in_order),
                TEST_EACH(subscriber_may_leave_inside_its_handler, 3),
                TEST(command_may_be_sent_inside_a_handler),
                TEST(events_and_replies_keep_their_order),
                TEST(subscription_outlives_the_connection),
                TEST(flood_of_100000_events_arrives_whole_and_leaves_time_for_others),
                TEST(connects_by_path),
                TEST(no_such_socket),
                TEST(stale_socket),
                TEST(plain_file),
                TEST(tcp_host_that_does_not_answer),
                TEST(tcp_host_that_connects_and_is_silent),
                TEST(full_queue),
                TEST(held_by_another_client_and_served_when_that_one_leaves),
                TEST(reconnects_at_growing_intervals),
                TEST(comes_up_when_the_socket_appears),
                TEST(who_connects_is_named_and_asked_no_more_when_it_is_gone),
                TEST(another_users_socket_is_not_taken_for_the_first),
                TEST_EACH(root_and_ourselves_are_trusted_whoever_was_first, 2),
                TEST(who_was_never_up_was_not_the_first),
                TEST(which_vm_it_is_costs_two_commands_before_it_is_up),
                TEST_EACH(another_vm_is_not_taken_for_the_first, ARRAY_SIZE(vms)),
                TEST_EACH(vm_without_uuid_and_name_is_taken_for_any_such_one, ARRAY_SIZE(no_identities)),
                TEST(silence_about_which_vm_it_is_ends_in_time),
                TEST(reconnects_soon_after_a_long_connection),
                TEST(peer_that_hangs_up_at_once_is_asked_less_and_less),
                TEST(peer_that_negotiates_and_hangs_up_is_asked_less_and_less),
                TEST(nothing_of_the_old_connection_reaches_the_new_one),
                TEST_EACH(half_sent_command_is_forgotten_with_its_connection, 2),
                TEST(version_is_that_of_the_latest_connection),
                TEST(reason_of_a_shutdown_is_not_that_of_the_next_end),
                TEST(connects_by_tcp),
                TEST(refused_by_tcp),
                TEST_EACH(all_addresses_of_a_name_are_one_attempt, 2),
                TEST(malformed_address_makes_no_client),
                TEST(client_that_was_never_started_can_be_freed),
                TEST(recorded_quit),
                TEST_EACH(recorded_ends, 3),
                TEST(recorded_order_of_events_and_replies),
                TEST(recorded_probe_overtakes_a_stuck_migration),
                TEST(recorded_crash),
                TEST(record_is_skipped_to_the_command_asked_for),
        };

        return test_main("client", tests, ARRAY_SIZE(tests), setup, teardown);
}
