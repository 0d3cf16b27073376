/*
 * Operations, by two classes made for this test: each one's target is a name, and it asks "test-start" at its beginning
 * and ends with the event TEST_ENDED of its name. One of them keeps its successes.
 */
#include "fs/vm/operation.h"

#include "qmp/message.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

enum {
        HALFWAY = 1 << 0,
        NEARLY = 1 << 1,
};

struct task {
        struct operation op;
        char *name;
        struct operation_command command, second;
        unsigned n_joined, n_settled;
};

/* How the class behaves. */
static struct {
        int init, begin, join;
        bool keeps_on_down, answers_on_down;
        const char *give_up;
        void (*also)(struct task *task); /* in give_up() */
} how;

static unsigned n_tasks, n_replies;
static enum qmp_outcome last_outcome;

static struct task *task_of(struct operation *op)
{
        return container_of(op, struct task, op);
}

static bool task_is_for(const struct operation *op, const void *target)
{
        const struct task *task = container_of(op, struct task, op);

        return task->name && streq(task->name, target);
}

static int task_init(struct operation *op, const void *target)
{
        n_tasks++;
        task_of(op)->name = strdup(target);
        return how.init;
}

static void started(struct operation *op, const struct qmp_result *result)
{
        n_replies++;
        last_outcome = result->outcome;
        if (result->outcome == QMP_ERROR && !op->over)
                operation_end(op, result->error, result->error_class, result->text);
}

static int task_begin(struct operation *op, const void *target)
{
        (void)target;
        return how.begin < 0 ? how.begin
                             : operation_send(op, &task_of(op)->command, "test-start", NULL, true, started);
}

static int task_join(struct operation *op, const void *target)
{
        (void)target;
        task_of(op)->n_joined++;
        if (how.join == OPERATION_REPLACED) {
                free(take_ptr(task_of(op)->name));
                operation_end(op, 0, NULL, NULL);
        }
        return how.join;
}

static void task_event(struct operation *op, const struct qmp_event *event)
{
        const char *name = qmp_json_get_string(event->data, "name");
        const char *error = qmp_json_get_string(event->data, "error");
        struct task *task = task_of(op);

        if (!name || !task->name || !streq(name, task->name))
                return;
        if (streq(event->name, "TEST_HALFWAY"))
                operation_answer(op, HALFWAY, 0, NULL, NULL);
        else if (op->over)
                operation_forget(op);
        else
                operation_end(op, error ? -EIO : 0, error ? "TestClass" : NULL, error);
}

static bool task_down(struct operation *op)
{
        if (how.answers_on_down)
                operation_end(op, 0, NULL, NULL);
        return how.keeps_on_down;
}

static void task_describe(const struct operation *op, FILE *out)
{
        fprintf(out, ", %u joined", container_of(op, struct task, op)->n_joined);
}

static const char *task_give_up(struct operation *op)
{
        if (how.also)
                how.also(task_of(op));
        return how.give_up;
}

static void task_settle(struct operation *op)
{
        task_of(op)->n_settled++;
        operation_command_cancel(&task_of(op)->command);
}

static void task_free(struct operation *op)
{
        n_tasks--;
        free(task_of(op)->name);
}

#define TASK                                                                                                         \
        .size = sizeof(struct task), .kept = 3, .failed = "failed",                                                  \
        .events = (const char *const[]){ "TEST_HALFWAY", "TEST_ENDED", NULL }, .is_for = task_is_for,                \
        .init = task_init, .begin = task_begin, .join = task_join, .event = task_event, .down = task_down,           \
        .describe = task_describe, .give_up = task_give_up, .settle = task_settle, .free = task_free

static const struct operation_class forgetful = { TASK }, keeping = { TASK, .keeps_success = true };

/* Only what a class must have. */
static int bare_begin(struct operation *op, const void *target)
{
        (void)op;
        (void)target;
        return 0;
}

static const struct operation_class bare = {
        .size = sizeof(struct task),
        .failed = "failed",
        .is_for = task_is_for,
        .init = task_init,
        .begin = bare_begin,
        .free = task_free,
};

/* --- who waits --------------------------------------------------------------------------------------------------- */

struct waiting {
        struct operation_waiter waiter;
        unsigned n;
        int error;
        char class[20], text[100];
        void (*also)(struct waiting *waiting); /* when it is answered */
};

static struct waiting a, b, c;

static void answered(struct operation_waiter *waiter, int error, const char *class, const char *text)
{
        struct waiting *waiting = container_of(waiter, struct waiting, waiter);

        ck_assert(list_empty(&waiter->link));
        waiting->n++;
        waiting->error = error;
        snprintf(waiting->class, sizeof(waiting->class), "%s", class ? class : "");
        snprintf(waiting->text, sizeof(waiting->text), "%s", text ? text : "");
        if (waiting->also)
                waiting->also(waiting);
}

static int try_wait(const struct operation_class *class, const char *name, struct waiting *waiting, unsigned until)
{
        waiting->waiter.until = until;
        return operation_start(&rig.vm->operations, class, name, &waiting->waiter);
}

static void wait_for(const struct operation_class *class, const char *name, struct waiting *waiting)
{
        ck_assert_int_eq(try_wait(class, name, waiting, 0), 0);
        ck_assert_uint_eq(waiting->n, 0);
        SETTLE();
}

/* Nobody waits for them in the end. */
static void wait_for_each(const struct operation_class *class, const char *const names[], size_t n)
{
        for (size_t i = 0; i < n; i++) {
                wait_for(class, names[i], &a);
                free(operation_leave(&a.waiter, 0));
        }
}

static struct operation *find(const struct operation_class *class, const char *name)
{
        return operation_find(&rig.vm->operations, class, name);
}

static void is(const struct operation_class *class, const char *name, const char *expected)
{
        _cleanup_(qmp_freep) char *state = operation_describe(find(class, name));

        ck_assert_str_eq(state, expected);
}

static void leaves(struct waiting *waiting, uint64_t timed_out_ns, const char *expected)
{
        _cleanup_(qmp_freep) char *state = operation_leave(&waiting->waiter, timed_out_ns);

        ck_assert_str_eq(state, expected);
        ck_assert(list_empty(&waiting->waiter.link));
}

static void event(const char *event, const char *name)
{
        rig_event(event, "{\"name\": \"%s\"}", name);
        SETTLE();
}

static void fails(const char *name, const char *why)
{
        rig_event("TEST_ENDED", "{\"name\": \"%s\", \"error\": \"%s\"}", name, why);
        SETTLE();
}

static void is_answered(const struct waiting *waiting, int error, const char *text)
{
        ck_assert_uint_eq(waiting->n, 1);
        ck_assert_int_eq(waiting->error, error);
        ck_assert_str_eq(waiting->text, text);
}

static void setup(void)
{
        struct waiting *const all[] = { &a, &b, &c };

        rig_up();
        fake_on(rig.fake, "test-start", "{}");
        memset(&how, 0, sizeof(how));
        n_tasks = n_replies = 0;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                *all[i] = (struct waiting){ .waiter.done = answered };
                list_init(&all[i]->waiter.link);
        }
}

static void teardown(void)
{
        rig_end();
        ck_assert_uint_eq(n_tasks, 0);
        rig_down();
}

/* --- the life of one --------------------------------------------------------------------------------------------- */

START_TEST(begins_once_and_ends_for_all)
{
        is(&forgetful, "x", "idle");
        wait_for(&forgetful, "x", &a);
        is(&forgetful, "x", "pending 0.0 s, 0 joined");
        PUMP_FOR(rig.loop, 3200 * MS);
        is(&forgetful, "x", "pending 3.2 s, 0 joined");
        wait_for(&forgetful, "x", &b);
        is(&forgetful, "x", "pending 3.2 s, 1 joined");
        ck_assert_uint_eq(rig_count("test-start"), 1);
        event("TEST_ENDED", "x");
        is_answered(&a, 0, "");
        is_answered(&b, 0, "");
        is(&forgetful, "x", "idle");
        ck_assert_uint_eq(n_tasks, 0);
}
END_TEST

START_TEST(another_target_or_class_is_another_operation)
{
        wait_for(&forgetful, "x", &a);
        wait_for(&forgetful, "y", &b);
        wait_for(&keeping, "x", &c);
        ck_assert_uint_eq(rig_count("test-start"), 3);
        event("TEST_ENDED", "y");
        is_answered(&b, 0, "");
        ck_assert_uint_eq(a.n + c.n, 0);
        event("TEST_ENDED", "x");
        is_answered(&a, 0, "");
        is_answered(&c, 0, "");
}
END_TEST

START_TEST(only_events_of_the_class_are_heard)
{
        wait_for(&forgetful, "x", &a);
        event("TEST_OTHER", "x");
        ck_assert_uint_eq(a.n, 0);
}
END_TEST

START_TEST(class_without_anything_works)
{
        wait_for(&bare, "x", &a);
        wait_for(&bare, "x", &b);
        event("TEST_ENDED", "x");
        is(&bare, "x", "pending 0.0 s");
        leaves(&a, 0, "pending 0.0 s");
        leaves(&b, 30 * SEC, "timed out after 30 s, still pending");
}
END_TEST

/* --- who outlives whom ------------------------------------------------------------------------------------------- */

START_TEST(goes_on_without_its_waiters)
{
        wait_for(&keeping, "x", &a);
        wait_for(&keeping, "x", &b);
        leaves(&a, 30 * SEC, "pending 0.0 s, 1 joined");
        leaves(&b, 30 * SEC, "timed out after 30 s, still pending, 1 joined");
        is(&keeping, "x", "timed out after 30 s, still pending, 1 joined");
        ck_assert_ptr_null(operation_leave(&a.waiter, 0));
        wait_for(&keeping, "x", &c);
        is(&keeping, "x", "pending 0.0 s, 2 joined");
        leaves(&c, 0, "pending 0.0 s, 2 joined");
        event("TEST_ENDED", "x");
        is(&keeping, "x", "done, 2 joined");
        ck_assert_uint_eq(a.n + b.n + c.n, 0);
}
END_TEST

START_TEST(state_of_who_gives_up_may_have_other_words)
{
        how.give_up = "it was too early";
        wait_for(&forgetful, "x", &a);
        leaves(&a, 30 * SEC, "it was too early");
        is(&forgetful, "x", "timed out after 30 s, still pending, 0 joined");
}
END_TEST

static void forget(struct task *task)
{
        operation_forget(&task->op);
}

static void end(struct task *task)
{
        operation_end(&task->op, -EBUSY, NULL, "nobody waits");
}

START_TEST(may_end_with_its_last_waiter)
{
        how.also = forget;
        wait_for(&forgetful, "x", &a);
        leaves(&a, 0, "pending 0.0 s, 0 joined");
        is(&forgetful, "x", "idle");
        ck_assert_uint_eq(n_tasks, 0);
        how.also = end;
        wait_for(&forgetful, "x", &a);
        leaves(&a, SEC, "timed out after 1 s, still pending, 0 joined");
        is(&forgetful, "x", "failed: nobody waits");
}
END_TEST

START_TEST(reply_has_no_time_limit)
{
        fake_on_nothing(rig.fake, "test-start");
        wait_for(&forgetful, "x", &a);
        PUMP_FOR(rig.loop, 30 * 60 * SEC);
        ck_assert_uint_eq(n_replies, 0);
        fake_error(rig.fake, rig_last("test-start"), "GenericError", "no");
        SETTLE();
        is_answered(&a, -EIO, "no");
        ck_assert_str_eq(a.class, "GenericError");
        is(&forgetful, "x", "failed: no");
}
END_TEST

/* --- the outcome ------------------------------------------------------------------------------------------------- */

START_TEST(failure_is_kept_until_it_begins_again)
{
        wait_for(&forgetful, "x", &a);
        fails("x", "out\\u001b of paper");
        is_answered(&a, -EIO, "out\x1b of paper");
        ck_assert_str_eq(a.class, "TestClass");
        /* safe to be shown */
        is(&forgetful, "x", "failed: out\\x1b of paper");
        PUMP_FOR(rig.loop, 60 * SEC);
        is(&forgetful, "x", "failed: out\\x1b of paper");
        wait_for(&forgetful, "x", &b);
        is(&forgetful, "x", "pending 0.0 s, 0 joined");
        ck_assert_uint_eq(rig_count("test-start"), 2);
        ck_assert_uint_eq(n_tasks, 1);
        fails("x", "again");
        /* it hears events when it is over, too */
        event("TEST_ENDED", "x");
        is(&forgetful, "x", "idle");
}
END_TEST

START_TEST(oldest_outcomes_are_forgotten)
{
        static const char *const names[] = { "1", "2", "3", "4", "5" };

        wait_for(&keeping, "running", &b);
        wait_for(&forgetful, "other", &c);
        fails("other", "of another class");
        wait_for_each(&keeping, names, ARRAY_SIZE(names));
        ck_assert_uint_eq(n_tasks, 7);
        /* the order is that of the ends */
        event("TEST_ENDED", "5");
        event("TEST_ENDED", "4");
        fails("1", "bad luck");
        is(&keeping, "5", "done, 0 joined");
        event("TEST_ENDED", "2");
        is(&keeping, "5", "idle");
        event("TEST_ENDED", "3");
        is(&keeping, "4", "idle");
        is(&keeping, "1", "failed: bad luck");
        is(&keeping, "2", "done, 0 joined");
        is(&keeping, "3", "done, 0 joined");
        ck_assert_ptr_nonnull(find(&keeping, "running"));
        is(&forgetful, "other", "failed: of another class");
}
END_TEST

START_TEST(results_from_before_the_end_are_not_used_again)
{
        uint64_t epoch;

        wait_for(&forgetful, "x", &a);
        epoch = rig.vm->peer.epoch;
        operation_end(find(&forgetful, "x"), 0, NULL, NULL);
        ck_assert_uint_gt(rig.vm->peer.epoch, epoch);
}
END_TEST

/* --- who is answered --------------------------------------------------------------------------------------------- */

START_TEST(waiters_may_wait_for_less_than_the_end)
{
        ck_assert_int_eq(try_wait(&forgetful, "x", &a, HALFWAY | NEARLY), 0);
        ck_assert_int_eq(try_wait(&forgetful, "x", &b, NEARLY), 0);
        ck_assert_int_eq(try_wait(&forgetful, "x", &c, 0), 0);
        SETTLE();
        event("TEST_HALFWAY", "x");
        is_answered(&a, 0, "");
        ck_assert_uint_eq(b.n + c.n, 0);
        is(&forgetful, "x", "pending 0.0 s, 2 joined");
        fails("x", "stuck");
        is_answered(&b, -EIO, "stuck");
        is_answered(&c, -EIO, "stuck");
}
END_TEST

static void b_leaves(struct waiting *waiting)
{
        (void)waiting;
        free(operation_leave(&b.waiter, 0));
}

START_TEST(waiter_may_leave_while_others_are_answered)
{
        wait_for(&forgetful, "x", &a);
        wait_for(&forgetful, "x", &b);
        wait_for(&forgetful, "x", &c);
        a.also = b_leaves;
        event("TEST_ENDED", "x");
        is_answered(&a, 0, "");
        is_answered(&c, 0, "");
        ck_assert_uint_eq(b.n, 0);
        ck_assert_uint_eq(n_tasks, 0);
}
END_TEST

START_TEST(last_waiter_may_leave_and_end_it_while_others_are_answered)
{
        how.also = forget;
        ck_assert_int_eq(try_wait(&forgetful, "x", &a, HALFWAY), 0);
        ck_assert_int_eq(try_wait(&forgetful, "x", &b, HALFWAY), 0);
        SETTLE();
        a.also = b_leaves;
        event("TEST_HALFWAY", "x");
        is_answered(&a, 0, "");
        ck_assert_uint_eq(b.n, 0);
        ck_assert_uint_eq(n_tasks, 0);
}
END_TEST

static void start_again(struct waiting *waiting)
{
        (void)waiting;
        ck_assert_int_eq(try_wait(&forgetful, "x", &c, 0), 0);
}

START_TEST(waiter_may_start_it_again_while_others_are_answered)
{
        wait_for(&forgetful, "x", &a);
        wait_for(&forgetful, "x", &b);
        a.also = start_again;
        event("TEST_ENDED", "x");
        is_answered(&a, 0, "");
        is_answered(&b, 0, "");
        /* another one that has nothing to do with the first */
        ck_assert_uint_eq(c.n, 0);
        is(&forgetful, "x", "pending 0.0 s, 0 joined");
        ck_assert_uint_eq(n_tasks, 1);
        a.n = b.n = 0;
        a.also = NULL;
        fails("x", "no");
        is_answered(&c, -EIO, "no");
        ck_assert_uint_eq(a.n + b.n, 0);
}
END_TEST

START_TEST(failed_one_may_begin_again_while_others_are_answered)
{
        wait_for(&forgetful, "x", &a);
        wait_for(&forgetful, "x", &b);
        a.also = start_again;
        fails("x", "no");
        is_answered(&a, -EIO, "no");
        is_answered(&b, -EIO, "no");
        is(&forgetful, "x", "pending 0.0 s, 1 joined");
        ck_assert_uint_eq(c.n, 0);
        event("TEST_ENDED", "x");
        is_answered(&c, 0, "");
}
END_TEST

/* --- the name ---------------------------------------------------------------------------------------------------- */

START_TEST(new_object_of_the_name_has_its_own_operation)
{
        wait_for(&forgetful, "x", &a);
        how.join = OPERATION_REPLACED;
        wait_for(&forgetful, "x", &b);
        is_answered(&a, 0, "");
        ck_assert_uint_eq(rig_count("test-start"), 2);
        is(&forgetful, "x", "pending 0.0 s, 0 joined");
        event("TEST_ENDED", "x");
        is_answered(&b, 0, "");
}
END_TEST

/* --- what fails at once ------------------------------------------------------------------------------------------ */

START_TEST(what_cannot_begin_is_forgotten)
{
        how.init = -ENOMEM;
        ck_assert_int_eq(try_wait(&forgetful, "x", &a, 0), -ENOMEM);
        ck_assert_uint_eq(n_tasks, 0);
        how.init = 0;
        how.begin = -EINVAL;
        ck_assert_int_eq(try_wait(&forgetful, "x", &a, 0), -EINVAL);
        ck_assert_uint_eq(n_tasks, 0);
        ck_assert(list_empty(&a.waiter.link));
        is(&forgetful, "x", "idle");
        how.begin = 0;
        wait_for(&forgetful, "x", &a);
        fails("x", "no");
        /* an earlier outcome no longer counts */
        how.begin = -ENOMEM;
        ck_assert_int_eq(try_wait(&forgetful, "x", &b, 0), -ENOMEM);
        is(&forgetful, "x", "idle");
        ck_assert_uint_eq(n_tasks, 0);
        ck_assert_uint_eq(b.n, 0);
}
END_TEST

START_TEST(who_cannot_join_disturbs_nobody)
{
        wait_for(&forgetful, "x", &a);
        leaves(&a, SEC, "timed out after 1 s, still pending, 0 joined");
        how.join = -ENOMEM;
        ck_assert_int_eq(try_wait(&forgetful, "x", &b, 0), -ENOMEM);
        is(&forgetful, "x", "timed out after 1 s, still pending, 1 joined");
        how.join = 0;
        wait_for(&forgetful, "x", &c);
        event("TEST_ENDED", "x");
        is_answered(&c, 0, "");
        ck_assert_uint_eq(a.n + b.n, 0);
}
END_TEST

/* --- commands ---------------------------------------------------------------------------------------------------- */

START_TEST(reply_after_the_end_still_finds_its_memory)
{
        fake_on_nothing(rig.fake, "test-start");
        wait_for(&forgetful, "x", &a);
        ck_assert_int_eq(operation_send(find(&forgetful, "x"), &task_of(find(&forgetful, "x"))->second, "test-start",
                                        NULL, true, started),
                         0);
        SETTLE();
        event("TEST_ENDED", "x");
        is_answered(&a, 0, "");
        /* the first was cancelled by settle(), and QEMU has the second */
        ck_assert_uint_eq(n_replies, 1);
        ck_assert_int_eq(last_outcome, QMP_CANCELLED);
        ck_assert_uint_eq(n_tasks, 1);
        is(&forgetful, "x", "idle");
        fake_return(rig.fake, rig_last("test-start"), "{}");
        fake_return(rig.fake, rig_last("test-start"), "{}");
        SETTLE();
        ck_assert_uint_eq(n_replies, 2);
        ck_assert_int_eq(last_outcome, QMP_OK);
        ck_assert_uint_eq(n_tasks, 0);
}
END_TEST

START_TEST(only_a_command_that_was_not_sent_is_withdrawn)
{
        static const char *const others[] = { "1", "2", "3", "4" };
        struct task *task;

        fake_on_nothing(rig.fake, "test-start");
        /* there are never more on the wire */
        wait_for_each(&forgetful, others, ARRAY_SIZE(others));
        wait_for(&forgetful, "x", &a);
        task = task_of(find(&forgetful, "x"));
        ck_assert(!operation_command_is_sent(&task->command));
        ck_assert(operation_command_withdraw(&task->command));
        ck_assert_uint_eq(n_replies, 1);
        ck_assert_int_eq(last_outcome, QMP_CANCELLED);
        /* there is none any more */
        ck_assert(operation_command_withdraw(&task->command));
        operation_command_cancel(&task->command);
        ck_assert_uint_eq(n_replies, 1);
        ck_assert_uint_eq(rig_count("test-start"), 4);
        task = task_of(find(&forgetful, "1"));
        ck_assert(operation_command_is_sent(&task->command));
        ck_assert(!operation_command_withdraw(&task->command));
        ck_assert_uint_eq(n_replies, 1);
}
END_TEST

/* --- the end of the connection ----------------------------------------------------------------------------------- */

START_TEST(end_of_the_connection_ends_it)
{
        wait_for(&forgetful, "x", &a);
        wait_for(&keeping, "y", &b);
        wait_for(&keeping, "z", &c);
        event("TEST_ENDED", "z");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ck_assert_uint_eq(a.n, 1);
        ck_assert_int_eq(a.error, -EHOSTDOWN);
        ck_assert_contains(a.text, "down: ");
        ck_assert_int_eq(b.error, -EHOSTDOWN);
        ck_assert(list_empty(&rig.vm->operations.all));
        ck_assert_int_eq(try_wait(&forgetful, "x", &a, 0), -EHOSTDOWN);
        ck_assert_uint_eq(n_tasks, 0);
}
END_TEST

START_TEST(class_may_keep_it_beyond_the_connection)
{
        how.keeps_on_down = true;
        wait_for(&keeping, "x", &a);
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ck_assert_int_eq(a.error, -EHOSTDOWN);
        is(&keeping, "x", "pending 0.0 s, 0 joined");
        /* and then ends with the VM: see teardown() */
}
END_TEST

START_TEST(class_may_know_better_what_the_end_of_the_connection_means)
{
        how.answers_on_down = how.keeps_on_down = true;
        wait_for(&keeping, "x", &a);
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        is_answered(&a, 0, "");
        is(&keeping, "x", "done, 0 joined");
}
END_TEST

START_TEST(end_of_the_vm_ends_all)
{
        fake_on_nothing(rig.fake, "test-start");
        wait_for(&forgetful, "x", &a);
        wait_for(&keeping, "y", &b);
        fails("y", "kept");
        rig_end();
        ck_assert_int_eq(a.error, -EHOSTDOWN);
        is_answered(&b, -EIO, "kept");
        ck_assert_uint_eq(n_tasks, 0);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(begins_once_and_ends_for_all),
                TEST(another_target_or_class_is_another_operation),
                TEST(only_events_of_the_class_are_heard),
                TEST(class_without_anything_works),
                TEST(goes_on_without_its_waiters),
                TEST(state_of_who_gives_up_may_have_other_words),
                TEST(may_end_with_its_last_waiter),
                TEST(reply_has_no_time_limit),
                TEST(failure_is_kept_until_it_begins_again),
                TEST(oldest_outcomes_are_forgotten),
                TEST(results_from_before_the_end_are_not_used_again),
                TEST(waiters_may_wait_for_less_than_the_end),
                TEST(waiter_may_leave_while_others_are_answered),
                TEST(last_waiter_may_leave_and_end_it_while_others_are_answered),
                TEST(waiter_may_start_it_again_while_others_are_answered),
                TEST(failed_one_may_begin_again_while_others_are_answered),
                TEST(new_object_of_the_name_has_its_own_operation),
                TEST(what_cannot_begin_is_forgotten),
                TEST(who_cannot_join_disturbs_nobody),
                TEST(reply_after_the_end_still_finds_its_memory),
                TEST(only_a_command_that_was_not_sent_is_withdrawn),
                TEST(end_of_the_connection_ends_it),
                TEST(class_may_keep_it_beyond_the_connection),
                TEST(class_may_know_better_what_the_end_of_the_connection_means),
                TEST(end_of_the_vm_ends_all),
        };

        return test_main("operation", tests, ARRAY_SIZE(tests), setup, teardown);
}
