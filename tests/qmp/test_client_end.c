/*
 * The QMP client: what becomes of commands when the connection ends.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "tests/lib/client.h"
#include "tests/lib/test.h"

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
        client_tear_down();
        client_set_up();
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
                client_tear_down();
                client_set_up();
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
                client_tear_down();
                client_set_up();
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

int main(void)
{
        const struct test tests[] = {
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
        };

        return test_main("client_end", tests, ARRAY_SIZE(tests), client_set_up, client_tear_down);
}
