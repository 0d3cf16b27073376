/*
 * The QMP client: the greeting and the negotiation, and what is no QMP server.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/lib/client.h"
#include "tests/lib/test.h"

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
        };

        return test_main("client_handshake", tests, ARRAY_SIZE(tests), client_set_up, client_tear_down);
}
