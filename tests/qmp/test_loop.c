#include "qmp/loop.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/lib/test.h"

static struct qmp_loop *loop;
/* what ran, a letter each */
static char trace[4096];

static void setup(void)
{
        test_time_virtual();
        ck_assert_int_eq(qmp_loop_new(&loop), 0);
}

static void teardown(void)
{
        loop = qmp_loop_free(loop);
        test_time_real();
}

static void note(char c)
{
        size_t n = strlen(trace);

        ck_assert_uint_lt(n + 1, sizeof(trace));
        trace[n] = c;
}

/* --- timers --- */

struct timer {
        struct qmp_timer timer;
        char letter;
        struct timer *disarms, *arms;
        uint64_t deadline; /* for @arms, from now */
        uint64_t fired_at;
};

static void fired(struct qmp_timer *timer)
{
        struct timer *t = container_of(timer, struct timer, timer);

        t->fired_at = qmp_now();
        ck_assert_uint_ge(t->fired_at, timer->deadline);
        ck_assert(!timer->armed);
        note(t->letter);
        if (t->disarms)
                qmp_timer_disarm(loop, &t->disarms->timer);
        if (t->arms)
                qmp_timer_arm(loop, &t->arms->timer, qmp_now() + t->deadline);
}

static void arm(struct timer *t, char letter, uint64_t from_now)
{
        t->letter = letter;
        t->timer.fire = fired;
        qmp_timer_arm(loop, &t->timer, qmp_now() + from_now);
}

START_TEST(timers_fire_in_the_order_of_their_deadlines)
{
        struct timer t[5] = { 0 };

        arm(&t[0], 'd', 40 * MS);
        arm(&t[1], 'a', 10 * MS);
        arm(&t[2], 'e', 50 * MS);
        arm(&t[3], 'b', 20 * MS);
        arm(&t[4], 'c', 30 * MS);
        PUMP_FOR(loop, 25 * MS);
        ck_assert_str_eq(trace, "ab");
        PUMP_FOR(loop, 100 * MS);
        ck_assert_str_eq(trace, "abcde");
}
END_TEST

START_TEST(timer_does_not_fire_early_nor_more_than_a_millisecond_late)
{
        struct timer t = { 0 };
        uint64_t start = qmp_now();

        arm(&t, 'a', 7 * MS + 123456);
        PUMP(loop, t.fired_at);
        ck_assert_uint_ge(t.fired_at - start, 7 * MS + 123456);
        ck_assert_uint_le(t.fired_at - start, 8 * MS + 123456);
}
END_TEST

START_TEST(timer_fires_by_the_real_clock_too)
{
        struct timer t = { 0 };
        uint64_t start;

        test_time_real();
        start = qmp_now();
        arm(&t, 'a', 20 * MS);
        PUMP(loop, t.fired_at);
        ck_assert_uint_ge(qmp_now() - start, 20 * MS);
        test_time_virtual();
}
END_TEST

START_TEST(timer_of_the_past_fires_in_the_next_turn)
{
        struct timer t = { 0 };

        t.letter = 'a';
        t.timer.fire = fired;
        qmp_timer_arm(loop, &t.timer, 1);
        ck_assert_str_eq(trace, "");
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "a");
}
END_TEST

START_TEST(rearming_moves_a_timer_both_ways)
{
        struct timer t[4] = { 0 };

        arm(&t[0], 'a', 10 * MS);
        arm(&t[1], 'b', 20 * MS);
        arm(&t[2], 'c', 30 * MS);
        arm(&t[3], 'd', 40 * MS);
        arm(&t[0], 'a', 50 * MS);
        arm(&t[3], 'd', 5 * MS);
        PUMP_FOR(loop, 100 * MS);
        ck_assert_str_eq(trace, "dbca");
}
END_TEST

START_TEST(disarmed_timer_does_not_fire)
{
        struct timer t[3] = { 0 };

        for (int i = 0; i < 3; i++)
                arm(&t[i], (char)('a' + i), 10 * MS);
        qmp_timer_disarm(loop, &t[1].timer);
        qmp_timer_disarm(loop, &t[1].timer);
        PUMP_FOR(loop, 20 * MS);
        ck_assert_uint_eq(strlen(trace), 2);
        ck_assert_ptr_null(strchr(trace, 'b'));
}
END_TEST

START_TEST(timer_disarmed_by_the_one_before_it_does_not_fire)
{
        struct timer t[3] = { 0 };

        arm(&t[0], 'a', 10 * MS);
        arm(&t[1], 'b', 11 * MS);
        arm(&t[2], 'c', 12 * MS);
        t[0].disarms = &t[1];
        /* all three are due in the same turn */
        while (qmp_now() < t[2].timer.deadline)
                ;
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_str_eq(trace, "ac");
}
END_TEST

START_TEST(timer_may_disarm_and_rearm_itself)
{
        struct timer t = { 0 };

        t.disarms = t.arms = &t;
        t.deadline = 10 * MS;
        arm(&t, 'a', 10 * MS);
        PUMP_FOR(loop, 35 * MS);
        qmp_timer_disarm(loop, &t.timer);
        ck_assert_str_eq(trace, "aaa");
}
END_TEST

static void fire_at_once_again(struct qmp_timer *timer)
{
        note('x');
        ck_assert_uint_lt(strlen(trace), 100);
        qmp_timer_arm(loop, timer, 1);
}

START_TEST(timer_that_is_always_due_does_not_starve_the_loop)
{
        struct qmp_timer timer = { .fire = fire_at_once_again };

        qmp_timer_arm(loop, &timer, 1);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        qmp_timer_disarm(loop, &timer);
        ck_assert_str_eq(trace, "xxx");
}
END_TEST

static uint64_t last_deadline;
static size_t n_fired;

static void fired_sorted(struct qmp_timer *timer)
{
        ck_assert_uint_ge(timer->deadline, last_deadline);
        last_deadline = timer->deadline;
        n_fired++;
}

START_TEST(a_thousand_timers_armed_moved_and_disarmed_at_random_stay_in_order)
{
        static struct qmp_timer timers[1000];
        uint64_t start = qmp_now(), seed = 1 + (uint64_t)_i;
        size_t n_armed = 0;

        for (int i = 0; i < 20000; i++) {
                struct qmp_timer *timer;

                seed = seed * 6364136223846793005 + 1442695040888963407;
                timer = &timers[(seed >> 33) % ARRAY_SIZE(timers)];
                timer->fire = fired_sorted;
                if ((seed >> 20) % 3 == 0)
                        qmp_timer_disarm(loop, timer);
                else
                        qmp_timer_arm(loop, timer, start + (seed >> 40) % 1000 * MS);
        }
        for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
                n_armed += timers[i].armed;
        ck_assert_uint_gt(n_armed, 300);
        PUMP_FOR(loop, 1100 * MS);
        ck_assert_uint_eq(n_fired, n_armed);
}
END_TEST

START_TEST(the_wait_is_bounded_by_its_argument)
{
        struct timer t = { 0 };
        uint64_t start = qmp_now();

        arm(&t, 'a', 10000 * MS);
        ck_assert_int_eq(qmp_loop_turn(loop, 5), 0);
        ck_assert_uint_le(qmp_now() - start, 6 * MS);
        qmp_timer_disarm(loop, &t.timer);
}
END_TEST

START_TEST(a_deadline_of_centuries_does_no_harm)
{
        struct timer t = { 0 };

        t.timer.fire = fired;
        qmp_timer_arm(loop, &t.timer, UINT64_MAX);
        ck_assert_int_eq(qmp_loop_turn(loop, 5), 0);
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "");
        qmp_timer_disarm(loop, &t.timer);
}
END_TEST

/* --- sources --- */

struct source {
        struct qmp_source source;
        char letter;
        int fd;
        uint32_t revents;
        struct source *removes[2];
        bool frees_removed;
};

static void dispatched(struct qmp_source *source, uint32_t revents)
{
        struct source *s = container_of(source, struct source, source);

        note(s->letter);
        s->revents = revents;
        for (size_t i = 0; i < ARRAY_SIZE(s->removes); i++) {
                struct source *other = take_ptr(s->removes[i]);

                if (!other)
                        continue;
                qmp_loop_remove(loop, &other->source);
                close(other->fd);
                if (s->frees_removed)
                        free(other);
        }
}

/* A source that is always ready. */
static void add(struct source *s, char letter)
{
        s->letter = letter;
        s->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        ck_assert_int_ge(s->fd, 0);
        ck_assert_int_eq(qmp_loop_add(loop, &s->source, s->fd, EPOLLIN, dispatched), 0);
}

static void drop(struct source *s)
{
        if (s->source.fd < 0)
                return;
        qmp_loop_remove(loop, &s->source);
        close(s->fd);
}

START_TEST(sources_are_dispatched_with_what_happened)
{
        struct source a = { 0 };
        int fds[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        a.letter = 'a';
        a.fd = fds[0];
        ck_assert_int_eq(qmp_loop_add(loop, &a.source, fds[0], EPOLLIN, dispatched), 0);
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_str_eq(trace, "");
        ck_assert_int_eq(write(fds[1], "x", 1), 1);
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_uint_eq(a.revents, EPOLLIN);
        ck_assert_int_eq(qmp_loop_modify(loop, &a.source, EPOLLOUT), 0);
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_uint_eq(a.revents, EPOLLOUT);
        ck_assert_int_eq(qmp_loop_modify(loop, &a.source, 0), 0);
        close(fds[1]);
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert(a.revents & EPOLLHUP);
        ck_assert_str_eq(trace, "aaa");
        drop(&a);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_an_error)
{
        struct source a = { .source.fd = -1 };

        ck_assert_int_eq(qmp_loop_add(loop, &a.source, 1000000, EPOLLIN, dispatched), -EBADF);
        ck_assert_int_eq(a.source.fd, -1);
        qmp_loop_remove(loop, &a.source);
}
END_TEST

START_TEST(source_removed_by_another_in_the_same_batch_is_not_dispatched)
{
        struct source *s = calloc(3, sizeof(*s));

        for (int i = 0; i < 3; i++)
                add(&s[i], (char)('a' + i));
        for (int i = 0; i < 3; i++) {
                s[i].removes[0] = &s[(i + 1) % 3];
                s[i].removes[1] = &s[(i + 2) % 3];
        }
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_uint_eq(strlen(trace), 1);
        for (int i = 0; i < 3; i++)
                drop(&s[i]);
        free(s);
}
END_TEST

START_TEST(source_freed_by_another_in_the_same_batch_is_not_touched)
{
        struct source *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b)), *left;

        add(a, 'a');
        add(b, 'b');
        a->removes[0] = b;
        b->removes[0] = a;
        a->frees_removed = b->frees_removed = true;
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_uint_eq(strlen(trace), 1);
        left = trace[0] == 'a' ? a : b;
        drop(left);
        free(left);
}
END_TEST

START_TEST(source_may_remove_itself)
{
        struct source a = { 0 };

        add(&a, 'a');
        a.removes[0] = &a;
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_int_eq(a.source.fd, -1);
        qmp_loop_remove(loop, &a.source);
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_str_eq(trace, "a");
}
END_TEST

static struct source reborn;

static void replace(struct qmp_source *source, uint32_t revents)
{
        (void)source;
        (void)revents;
        drop(&reborn);
        add(&reborn, 'n');
}

START_TEST(source_replaced_in_the_same_batch_waits_for_its_own_events)
{
        struct source first = { 0 };

        add(&first, 'f');
        first.source.dispatch = replace;
        add(&reborn, 'o');
        first.removes[0] = NULL;
        /* whichever comes first, the new one is not told what the old one was to hear */
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_ptr_null(strchr(trace, 'n'));
        drop(&first);
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_ptr_nonnull(strchr(trace, 'n'));
        drop(&reborn);
}
END_TEST

START_TEST(more_ready_sources_than_a_batch_all_get_their_turn)
{
        static struct source sources[200];
        struct timer t = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
                add(&sources[i], 's');
        arm(&t, 't', 0);
        /* timers are not starved by sources that are always ready */
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_ptr_nonnull(strchr(trace, 't'));
        for (int i = 0; i < 10; i++)
                ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                ck_assert_uint_eq(sources[i].revents, EPOLLIN);
                drop(&sources[i]);
        }
}
END_TEST

/* --- tasks --- */

struct task {
        struct qmp_task task;
        char letter;
        struct task *defers, *cancels;
};

static void ran(struct qmp_task *task)
{
        struct task *t = container_of(task, struct task, task);

        note(t->letter);
        if (t->defers)
                qmp_task_defer(loop, &t->defers->task);
        if (t->cancels)
                qmp_task_cancel(&t->cancels->task);
}

static void task_init(struct task *t, char letter)
{
        *t = (struct task){ .letter = letter };
        qmp_task_init(&t->task, ran);
}

START_TEST(tasks_run_once_in_order_and_not_from_the_call_that_defers)
{
        struct task t[3];

        for (int i = 0; i < 3; i++)
                task_init(&t[i], (char)('a' + i));
        qmp_task_defer(loop, &t[1].task);
        qmp_task_defer(loop, &t[0].task);
        qmp_task_defer(loop, &t[1].task);
        qmp_task_defer(loop, &t[2].task);
        ck_assert_str_eq(trace, "");
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "bac");
        ck_assert_int_eq(qmp_loop_turn(loop, 0), 0);
        ck_assert_str_eq(trace, "bac");
}
END_TEST

START_TEST(task_that_defers_itself_waits_for_the_next_turn)
{
        struct task t;

        task_init(&t, 'a');
        t.defers = &t;
        qmp_task_defer(loop, &t.task);
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "a");
        /* and does not wait for anything else then */
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "aa");
        qmp_task_cancel(&t.task);
}
END_TEST

START_TEST(cancelled_task_does_not_run)
{
        struct task t[3];

        for (int i = 0; i < 3; i++)
                task_init(&t[i], (char)('a' + i));
        t[0].cancels = &t[1];
        for (int i = 0; i < 3; i++)
                qmp_task_defer(loop, &t[i].task);
        qmp_task_cancel(&t[2].task);
        qmp_task_cancel(&t[2].task);
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "a");
        qmp_task_defer(loop, &t[1].task);
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "ab");
}
END_TEST

START_TEST(task_deferred_by_a_timer_runs_without_further_wait)
{
        struct task task;
        struct timer t = { 0 };

        task_init(&task, 'b');
        arm(&t, 'a', 10 * MS);
        PUMP(loop, t.fired_at);
        qmp_task_defer(loop, &task.task);
        ck_assert_int_eq(qmp_loop_turn(loop, -1), 0);
        ck_assert_str_eq(trace, "ab");
}
END_TEST

/* --- running --- */

static void quit_42(struct qmp_task *task)
{
        (void)task;
        note('q');
        qmp_loop_quit(loop, 42);
}

START_TEST(run_ends_with_quit_and_can_be_repeated)
{
        struct qmp_task task;

        qmp_task_init(&task, quit_42);
        for (int i = 0; i < 2; i++) {
                qmp_task_defer(loop, &task);
                ck_assert_int_eq(qmp_loop_run(loop), 42);
        }
        ck_assert_str_eq(trace, "qq");
}
END_TEST

START_TEST(quit_before_run_ends_it_at_once)
{
        /* what starts before the loop may fail before the loop */
        qmp_loop_quit(loop, 7);
        ck_assert_int_eq(qmp_loop_run(loop), 7);
}
END_TEST

START_TEST(freeing_no_loop_is_fine)
{
        ck_assert_ptr_null(qmp_loop_free(NULL));
}
END_TEST

START_TEST(freeing_forgets_deferred_tasks)
{
        struct task t;

        task_init(&t, 'a');
        qmp_task_defer(loop, &t.task);
        loop = qmp_loop_free(loop);
        ck_assert(list_empty(&t.task.link));
        ck_assert_str_eq(trace, "");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(timers_fire_in_the_order_of_their_deadlines),
                TEST(timer_does_not_fire_early_nor_more_than_a_millisecond_late),
                TEST(timer_fires_by_the_real_clock_too),
                TEST(timer_of_the_past_fires_in_the_next_turn),
                TEST(rearming_moves_a_timer_both_ways),
                TEST(disarmed_timer_does_not_fire),
                TEST(timer_disarmed_by_the_one_before_it_does_not_fire),
                TEST(timer_may_disarm_and_rearm_itself),
                TEST(timer_that_is_always_due_does_not_starve_the_loop),
                TEST_EACH(a_thousand_timers_armed_moved_and_disarmed_at_random_stay_in_order, 5),
                TEST(the_wait_is_bounded_by_its_argument),
                TEST(a_deadline_of_centuries_does_no_harm),
                TEST(sources_are_dispatched_with_what_happened),
                TEST(a_descriptor_that_cannot_be_watched_is_an_error),
                TEST(source_removed_by_another_in_the_same_batch_is_not_dispatched),
                TEST(source_freed_by_another_in_the_same_batch_is_not_touched),
                TEST(source_may_remove_itself),
                TEST(source_replaced_in_the_same_batch_waits_for_its_own_events),
                TEST(more_ready_sources_than_a_batch_all_get_their_turn),
                TEST(tasks_run_once_in_order_and_not_from_the_call_that_defers),
                TEST(task_that_defers_itself_waits_for_the_next_turn),
                TEST(cancelled_task_does_not_run),
                TEST(task_deferred_by_a_timer_runs_without_further_wait),
                TEST(run_ends_with_quit_and_can_be_repeated),
                TEST(quit_before_run_ends_it_at_once),
                TEST(freeing_no_loop_is_fine),
                TEST(freeing_forgets_deferred_tasks),
        };

        return test_main("loop", tests, ARRAY_SIZE(tests), setup, teardown);
}
