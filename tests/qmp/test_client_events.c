/*
 * The QMP client: events, and conversations as they were recorded.
 */
#include <errno.h>
#include <stdio.h>

#include "tests/lib/client.h"
#include "tests/lib/test.h"

/* --- events ------------------------------------------------------------------------------------------------------ */

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

/* --- recorded conversations -------------------------------------------------------------------------------------- */

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
                TEST(events_reach_all_subscribers_in_order),
                TEST_EACH(subscriber_may_leave_inside_its_handler, 3),
                TEST(command_may_be_sent_inside_a_handler),
                TEST(events_and_replies_keep_their_order),
                TEST(subscription_outlives_the_connection),
                TEST(flood_of_100000_events_arrives_whole_and_leaves_time_for_others),
                TEST(recorded_quit),
                TEST_EACH(recorded_ends, 3),
                TEST(recorded_order_of_events_and_replies),
                TEST(recorded_probe_overtakes_a_stuck_migration),
                TEST(recorded_crash),
                TEST(record_is_skipped_to_the_command_asked_for),
        };

        return test_main("client_events", tests, ARRAY_SIZE(tests), client_set_up, client_tear_down);
}
