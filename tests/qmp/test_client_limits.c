/*
 * The QMP client: commands that are late, and a server that stalls.
 */
#include <errno.h>

#include "tests/lib/client.h"
#include "tests/lib/test.h"

/* --- time limits ------------------------------------------------------------------------------------------------- */

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

START_TEST(lasting_command_has_its_reply_however_late)
{
        struct qmp_send_options lasting = { .effect = true, .lasting = true };
        struct call calls[3] = { 0 }, lost = { 0 };

        fake_on(fake, "stop", "{}");
        up();
        fake_stick(fake);
        ck_assert_int_eq(
                qmp_client_send(client, "stop", NULL, SEC, &lasting, called_back, &calls[0], &calls[0].command), 0);
        PUMP_FOR(loop, 2 * SEC);
        ck_assert(qmp_client_is_overdue(client));
        /* one that QEMU has not seen has a limit: it is known not to be carried out */
        ck_assert_int_eq(
                qmp_client_send(client, "stop", NULL, SEC, &lasting, called_back, &calls[1], &calls[1].command), 0);
        PUMP(loop, calls[1].n);
        assert_ended(&calls[1], QMP_TIMEOUT, -ETIMEDOUT);
        ck_assert_str_eq(calls[1].text, "QEMU is stalled: stop was not sent within 1 s");
        ck_assert_uint_eq(calls[0].n, 0);
        fake_unstick(fake);
        PUMP(loop, calls[0].n);
        assert_value(&calls[0], "{}");
        ck_assert(!qmp_client_is_overdue(client));
        fake_stick(fake);
        ck_assert_int_eq(qmp_client_send(client, "stop", NULL, SEC, &lasting, called_back, &lost, &lost.command), 0);
        PUMP_FOR(loop, 2 * SEC);
        fake_close(fake);
        PUMP(loop, lost.n);
        ck_assert_int_eq(lost.outcome, QMP_DISCONNECTED);
        calls_done(calls, 2);
        call_done(&lost);
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

/* --- stalls ------------------------------------------------------------------------------------------------------ */

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

int main(void)
{
        const struct test tests[] = {
                TEST(late_reply_after_timeout_is_dropped_and_the_next_one_matches),
                TEST(late_reply_to_a_command_with_side_effects_is_told),
                TEST(timeout_comes_in_time),
                TEST(queued_command_that_timed_out_is_never_sent),
                TEST(every_later_command_matches_after_a_full_window_timed_out),
                TEST(late_out_of_band_reply_is_dropped),
                TEST(lasting_command_has_its_reply_however_late),
                TEST(overdue_qemu_shortens_the_limits_of_others),
                TEST(command_within_its_limit_shortens_nothing),
                TEST(overdue_shortens_after_a_cancel_too),
                TEST(command_that_timed_out_soon_after_it_left_the_queue_shortens_too),
                TEST(command_with_an_effect_is_not_sent_while_another_is_overdue),
                TEST(patient_query_keeps_its_limit_while_another_is_overdue),
                TEST(queries_in_vain_wait_less_and_less),
                TEST(out_of_band_limits_are_not_shortened),
                TEST(stuck_qemu_shows_as_stalled_and_alive),
                TEST(stopped_qemu_shows_as_stalled_and_not_alive),
                TEST(stopped_qemu_is_alive_again_when_the_next_stall_begins),
                TEST(probes_do_not_pile_up_in_a_stopped_qemu),
                TEST(probe_that_is_no_command_proves_life_too),
                TEST(without_oob_nothing_is_probed),
                TEST(busy_qemu_that_answers_is_not_stalled),
        };

        return test_main("client_limits", tests, ARRAY_SIZE(tests), client_set_up, client_tear_down);
}
