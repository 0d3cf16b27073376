/*
 * Actions of several steps, see tests/lib/compose.h: how they succeed, fail, end early, and are undone.
 */
#include "fs/kinds/action.h"

#include "tests/lib/compose.h"
#include "tests/lib/test.h"

static void assert_text(const char *command, const char *text)
{
        ck_assert_str_eq(rig_last(command)->text, text);
}

static size_t n_errors(void)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t n = 0;

        ASSERT_OK(rig_cat("errors", &text));
        for (const char *c = text; *c; c++)
                n += *c == '\n';
        return n;
}

START_TEST(table_is_sane)
{
        ck_assert_ptr_null(action_mistake(&compose_action));
}
END_TEST

static const struct {
        const char *mistake;
        struct action action;
} mistakes[] = {
        { "source", { .steps = { { .does = { "x", { { .name = "a" } } } } } } },
        { "source", { .steps = { { .does = { "x", { { .name = "a", .record = "{a}", .constant = "1" } } } } } } },
        { "plain", { .steps = { { .does = { "x", { { .name = "a", .record = "x{a}" } } } } } } },
        { "JSON", { .steps = { { .does = { "x", { { .name = "a", .constant = "x" } } } } } } },
        { "reply", { .steps = { { .does = { "x", { { .name = "a", .reply = "{a}", .step = 0 } } } } } } },
        { "before it",
          { .steps = { { .does = { "x", { { .name = "a", .record = "{a}", .otherwise = true } } } } } } },
        { "ACTION_EVENT", { .steps = { { .does.command = "x" } }, .until = ACTION_EVENT } },
        { "ACTION_EVENT", { .steps = { { .does.command = "x" } }, .events = { "X" } } },
        { "belong",
          { .steps = { { .does.command = "x" } }, .until = ACTION_EVENT, .events = { "X" }, .member = "a" } },
};

START_TEST(mistakes_in_tables_are_found)
{
        const char *mistake = action_mistake(&mistakes[_i].action);

        ck_assert_contains(mistake, mistakes[_i].mistake);
}
END_TEST

START_TEST(steps_follow_each_other)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "make-b");
        write = compose_begin("name=x size=1k");
        ASSERT_SENT("make-a make-b");
        assert_text("make-a", "{\"execute\":\"make-a\",\"arguments\":{\"id\":\"x\"}}");
        assert_text("make-b", "{\"execute\":\"make-b\",\"arguments\":{\"size\":1024,\"on\":true,\"of\":\"/a\"}}");
        fake_return(rig.fake, rig_last("make-b"), "{}");
        SETTLE();
        ASSERT_SENT("make-c");
        assert_text("make-c", "{\"execute\":\"make-c\",\"arguments\":{\"node\":\"disk0\"}}");
        /* until the event of this object */
        rig_event("MADE", "%s", "");
        rig_event("MADE", "%s", "{\"node\": \"disk1\"}");
        rig_event("UNMADE", "%s", "{\"node\": \"disk0\"}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        rig_event("MADE", "%s", "{\"node\": \"disk0\"}");
        ASSERT_OK(k_wait_error(write));
        ck_assert_uint_eq(n_errors(), 0);
}
END_TEST

START_TEST(nowait_returns_with_the_last_reply)
{
        ASSERT_OK(k_wait_error(compose_begin("name=x size=1 nowait")));
        ASSERT_SENT("make-a make-b make-c");
}
END_TEST

START_TEST(explain_sends_nothing)
{
        ASSERT_OK(k_wait_error(compose_begin("explain name=x size=1")));
        ASSERT_SENT("");
        ASSERT_REPLY(
                k_send_read(&compose_file, 0, 4096),
                "{\"execute\":\"make-a\",\"arguments\":{\"id\":\"x\"}}\n"
                "{\"execute\":\"make-b\",\"arguments\":{\"of\":\"<{path} of reply 1>\",\"size\":1,\"on\":true}}\n"
                "{\"execute\":\"make-c\",\"arguments\":{\"node\":\"disk0\"}}\n");
}
END_TEST

static const struct {
        const char *text, *why;
} wrong[] = {
        { "name=x size=big", "'size': expected integer" },
        { "size=1", "'id' is missing" },
        { "name=x size=1 mode=1", "the key at character 15 is unknown; expected: name, size" },
        { "name=x size=1 timeout=0", "'timeout': expected a number of seconds greater than 0" },
        { "name=x size=1 nowait timeout=1", "one of nowait and timeout=SEC is possible, not both" },
        { "name=x size=1 later", "expected KEY=VALUE at character 15" },
        { "name=x size=1 explain=yes", "the key at character 15 is unknown" },
        { "{\"name\": 7, \"size\": 1}", "'id': expected string" },
};

START_TEST(what_is_wrong_is_refused_before_anything_is_sent)
{
        ASSERT_ERROR(k_wait_error(compose_begin(wrong[_i].text)), EINVAL);
        ASSERT_SENT("");
        ASSERT_CAT_CONTAINS("errors", wrong[_i].why);
}
END_TEST

START_TEST(failure_undoes_the_steps_before_it)
{
        fake_on_error(rig.fake, "make-b", "GenericError", "Node 'b' is in use");
        ASSERT_ERROR(k_wait_error(compose_begin("name=x size=1")), EBUSY);
        ASSERT_SENT("make-a make-b drop-a");
        assert_text("drop-a", "{\"execute\":\"drop-a\",\"arguments\":{\"id\":\"x\"}}");
        ASSERT_CAT_CONTAINS("errors", " /compose EBUSY GenericError make-b: Node 'b' is in use\n");
        fake_on(rig.fake, "make-b", "{\"name\": \"b0\"}");
        fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        ASSERT_ERROR(k_wait_error(compose_begin("name=x size=1")), EIO);
        ASSERT_SENT("make-a make-b make-c drop-b drop-a");
        assert_text("drop-b", "{\"execute\":\"drop-b\",\"arguments\":{\"id\":\"b0\"}}");
        ck_assert_uint_eq(n_errors(), 2);
}
END_TEST

START_TEST(answer_is_given_when_all_is_undone)
{
        uint64_t write;

        fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        fake_on_nothing(rig.fake, "drop-b");
        write = compose_begin("name=x size=1");
        ck_assert(!k_is_answered(write));
        fake_return(rig.fake, rig_last("drop-b"), "{}");
        ASSERT_ERROR(k_wait_error(write), EIO);
        ASSERT_SENT("make-a make-b make-c drop-b drop-a");
}
END_TEST

START_TEST(what_could_not_be_undone_is_named)
{
        fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        fake_on_error(rig.fake, "drop-b", "GenericError", "b is busy");
        ASSERT_ERROR(k_wait_error(compose_begin("name=x size=1")), EIO);
        ASSERT_SENT("make-a make-b make-c drop-b drop-a");
        ASSERT_CAT_CONTAINS("errors", " EIO GenericError make-c: no c; make-b was not undone: b is busy\n");
        fake_on_error(rig.fake, "drop-a", "GenericError", "a is busy");
        ASSERT_ERROR(k_wait_error(compose_begin("name=x size=1")), EIO);
        ASSERT_CAT_CONTAINS(
                "errors", "make-c: no c; make-b was not undone: b is busy; make-a of x was not undone: a is busy\n");
}
END_TEST

START_TEST(reply_without_the_member_is_a_failure)
{
        fake_on(rig.fake, "make-a", "{\"path\": 7.5}");
        fake_on(rig.fake, "make-b", "{}");
        fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        ASSERT_ERROR(k_wait_error(compose_begin("name=x size=1")), EIO);
        /* what undoes make-b needs its reply */
        ASSERT_SENT("make-a make-b make-c drop-a");
        ASSERT_CAT_CONTAINS("errors", "make-c: no c; make-b was not undone: Protocol error\n");
        fake_on(rig.fake, "make-a", "{}");
        ASSERT_ERROR(k_wait_error(compose_begin("name=x size=1")), EPROTO);
        ASSERT_SENT("make-a drop-a");
        ASSERT_CAT_CONTAINS("errors", " EPROTO - QEMU's answer to make-a has no {path}\n");
}
END_TEST

START_TEST(connection_that_ends_between_the_steps_is_told)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "make-b");
        write = compose_begin("name=x size=1");
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", "; it may have been carried out; make-a of x was not undone: Host is down\n");
}
END_TEST

START_TEST(interrupted_steps_are_undone_when_qemu_answers)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "make-b");
        write = compose_begin("name=x size=1");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        ASSERT_CAT_CONTAINS("errors", " ECANCELED - interrupted; what QEMU has done is undone\n");
        ASSERT_SENT("make-a make-b");
        if (_i == 0)
                fake_return(rig.fake, rig_last("make-b"), "{\"name\": \"b0\"}");
        else
                fake_error(rig.fake, rig_last("make-b"), "GenericError", "no b");
        SETTLE();
        ASSERT_SENT(_i == 0 ? "drop-b drop-a" : "drop-a");
        ck_assert_uint_eq(n_errors(), 1);
}
END_TEST

START_TEST(interrupt_in_a_moment_before_the_end_is_none)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "make-b");
        write = compose_begin("name=x size=1 nowait");
        k_interrupt(write);
        PUMP_FOR(rig.loop, 100 * MS);
        fake_return(rig.fake, rig_last("make-b"), "{\"name\": \"b0\"}");
        ASSERT_OK(k_wait_error(write));
        ASSERT_SENT("make-a make-b make-c");
}
END_TEST

START_TEST(interrupted_wait_leaves_what_is_whole)
{
        uint64_t write = compose_begin("name=x size=1");

        ASSERT_SENT("make-a make-b make-c");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        PUMP_FOR(rig.loop, SEC);
        ASSERT_SENT("");
}
END_TEST

START_TEST(interrupted_while_it_is_undone_it_goes_on)
{
        uint64_t write;

        fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        fake_on_nothing(rig.fake, "drop-b");
        write = compose_begin("name=x size=1");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        fake_error(rig.fake, rig_last("drop-b"), "GenericError", "b is busy");
        SETTLE();
        ASSERT_SENT("make-a make-b make-c drop-b drop-a");
        ASSERT_CAT_CONTAINS("errors", " /compose ECANCELED - make-b was not undone: b is busy\n");
}
END_TEST

START_TEST(late_steps_are_undone_when_qemu_answers)
{
        uint64_t write, before = qmp_now();

        fake_on_nothing(rig.fake, "make-b");
        write = compose_begin("name=x size=1 timeout=3");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 4 * SEC);
        ASSERT_CAT_CONTAINS("errors",
                            " ETIMEDOUT - QEMU did not answer make-b within 3 s; it is undone when QEMU answers\n");
        PUMP_FOR(rig.loop, 1000 * SEC);
        ASSERT_SENT("make-a make-b");
        fake_return(rig.fake, rig_last("make-b"), "{\"name\": \"b0\"}");
        SETTLE();
        ASSERT_SENT("drop-b drop-a");
        ck_assert_uint_eq(n_errors(), 1);
}
END_TEST

START_TEST(step_that_was_not_sent_in_time_is_not_carried_out)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "make-a");
        fake_on_nothing(rig.fake, "query-status");
        write = compose_begin("name=x size=1 timeout=30");
        /* nothing with an effect is sent while this is overdue */
        ASSERT_ERROR(rig_cat("status", NULL), ETIMEDOUT);
        fake_return(rig.fake, rig_last("make-a"), "{\"path\": \"/a\"}");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ASSERT_SENT("make-a query-status");
        fake_return(rig.fake, rig_last("query-status"), "{}");
        SETTLE();
        ASSERT_SENT("drop-a");
        ASSERT_CAT_CONTAINS("errors", " /compose ETIMEDOUT - QEMU is stalled: make-b was not sent within 30 s\n");
}
END_TEST

START_TEST(late_step_of_a_connection_that_ends_is_named)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "make-b");
        write = compose_begin("name=x size=1 timeout=3");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        fake_close(rig.fake);
        SETTLE();
        ASSERT_CAT_CONTAINS("errors", " /compose ETIMEDOUT - make-b may have been carried out: ");
        ASSERT_CAT_CONTAINS("errors", "; make-a of x was not undone: Host is down\n");
}
END_TEST

START_TEST(mount_ends_while_it_is_undone)
{
        uint64_t write;

        fake_on_nothing(rig.fake, _i == 0 ? "make-b" : "drop-a");
        fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        write = compose_begin("name=x size=1");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        rig_end();
}
END_TEST

START_TEST(mount_ends_in_the_midst_of_the_steps)
{
        fake_on_nothing(rig.fake, "make-b");
        (void)compose_begin("name=x size=1");
        rig_end();
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(table_is_sane),
                TEST_EACH(mistakes_in_tables_are_found, ARRAY_SIZE(mistakes)),
                TEST(steps_follow_each_other),
                TEST(nowait_returns_with_the_last_reply),
                TEST(explain_sends_nothing),
                TEST_EACH(what_is_wrong_is_refused_before_anything_is_sent, ARRAY_SIZE(wrong)),
                TEST(failure_undoes_the_steps_before_it),
                TEST(answer_is_given_when_all_is_undone),
                TEST(what_could_not_be_undone_is_named),
                TEST(reply_without_the_member_is_a_failure),
                TEST(connection_that_ends_between_the_steps_is_told),
                TEST_EACH(interrupted_steps_are_undone_when_qemu_answers, 2),
                TEST(interrupt_in_a_moment_before_the_end_is_none),
                TEST(interrupted_wait_leaves_what_is_whole),
                TEST(interrupted_while_it_is_undone_it_goes_on),
                TEST(late_steps_are_undone_when_qemu_answers),
                TEST(step_that_was_not_sent_in_time_is_not_carried_out),
                TEST(late_step_of_a_connection_that_ends_is_named),
        };
        const struct test ends[] = {
                TEST_EACH(mount_ends_while_it_is_undone, 2),
                TEST(mount_ends_in_the_midst_of_the_steps),
        };
        int r = test_main("action", tests, ARRAY_SIZE(tests), compose_up, rig_down);
        int s = test_main("action_ends", ends, ARRAY_SIZE(ends), compose_up, NULL);

        return r != EXIT_SUCCESS ? r : s;
}
