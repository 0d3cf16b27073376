/*
 * The QMP client: commands and their replies, and commands that nobody waits for any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "tests/lib/client.h"
#include "tests/lib/test.h"

/* --- commands ---------------------------------------------------------------------------------------------------- */

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
        ck_assert(qmp_command_is_next(slow.command) && qmp_command_is_next(next.command));
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
                ck_assert_int_eq(qmp_command_is_next(calls[i].command), i == 0);
        }
        PUMP_FOR(loop, 500 * MS);
        ck_assert_uint_eq(fake_n_commands(fake), 4);
        /* each reply lets one more pass */
        for (size_t i = 0; i < 3; i++) {
                fake_send_text(fake, "{\"return\": 7}");
                PUMP_FOR(loop, 10 * MS);
                ck_assert_uint_eq(fake_n_commands(fake), 5 + i);
                ck_assert(!qmp_command_is_sent(calls[5 + i].command));
                ck_assert(qmp_command_is_next(calls[i + 1].command));
                ck_assert(!qmp_command_is_next(calls[i + 2].command));
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
        ck_assert_uint_eq(n, QMP_OOB_MAX);
        ck_assert_uint_eq(info().oob_room, 0);
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

/* --- cancelling -------------------------------------------------------------------------------------------------- */

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

int main(void)
{
        const struct test tests[] = {
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
                TEST(reply_that_was_there_before_its_command_is_none),
                TEST(commands_may_be_sent_from_callbacks),
                TEST(busy_time_is_qemus_own),
                TEST(late_reply_after_cancel_is_dropped),
                TEST(cancelled_queued_command_is_never_sent),
                { callback_may_cancel_another_command, 1, 6 },
                TEST(queued_command_cancelled_while_another_ends_is_never_sent),
                TEST(every_second_of_many_commands_is_cancelled),
        };

        return test_main("client_commands", tests, ARRAY_SIZE(tests), client_set_up, client_tear_down);
}
