/*
 * The QMP client: addresses, connecting again, and whom it trusts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/client.h"
#include "tests/lib/test.h"

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

int main(void)
{
        const struct test tests[] = {
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
        };

        return test_main("client_connecting", tests, ARRAY_SIZE(tests), client_set_up, client_tear_down);
}
