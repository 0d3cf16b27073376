/*
 * Attributes of a private table, for the objects of query-block: an integer, a string and a boolean.
 */
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"
#define COMMAND(name, arg)                                                                                           \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"0\"}"

// clang-format off
static const char schema[] =
        "[{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"},"
        "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"},"
        "{\"name\": \"bool\", \"meta-type\": \"builtin\", \"json-type\": \"boolean\"},"
        OBJECT("0", "") ","
        OBJECT("1", MEMBER("id", "str") "," MEMBER("to", "int")) ","
        OBJECT("2", MEMBER("text", "str")) ","
        OBJECT("3", MEMBER("on", "bool")) ","
        COMMAND("set-size", "1") "," COMMAND("set-text", "2") "," COMMAND("set-flag", "3") ","
        COMMAND("drop", "2") "]";
// clang-format on

static const struct attribute size = {
        .value = "{size}",
        .argument = "size",
        .multiple_of = 512,
        .lower = "shrink",
        .action = { .steps = { { .does = { "set-size",
                                           { { .name = "id", .record = "{device}" },
                                             { .name = "to", .written = "size" } } } } },
                    .until = ACTION_SHOWN,
                    .words = { "shrink" } },
};

static const struct attribute text = {
        .value = "{text}",
        .argument = "text",
        .action = { .steps = { { .does = { "set-text", { { .name = "text", .written = "text" } } } } },
                    .until = ACTION_SHOWN },
};

static const struct attribute flag = {
        .value = "{flag}",
        .argument = "on",
        .action = { .steps = { { .does = { "set-flag", { { .name = "on", .written = "on" } } } } },
                    .until = ACTION_SHOWN },
};

/* Not an attribute: an action of the object, which ends it however long that takes. */
static const struct action drop = {
        .steps = { { .does = { "drop", { { .name = "text", .record = "{device}" } } } } },
        .until = ACTION_GONE,
        .limit = ACTION_ENDLESS,
};

static int drop_write(struct request *r, struct file *file)
{
        struct action_use use = { .action = &drop, .name = "drop" };
        int e;

        (void)file;
        if (r->op)
                return action_continue(r);
        e = object_require(r->inode->object, &r->waiter, FRESH_CONTENT, &use.record);
        return e ? e : action_start(r, &use);
}

static const struct kind kind_drop = { .type = S_IFREG, .own_inode = true, .write = drop_write };

static const struct row disk_rows[] = {
        { .name = "drop", .kind = &kind_drop, .mode = 0200 },
        { .name = "bytes", .kind = &kind_attribute, .mode = 0644, .data = &size, .present = "{size}" },
        { .name = "words", .kind = &kind_attribute, .mode = 0644, .data = &text },
        { .name = "switch", .kind = &kind_attribute, .mode = 0644, .data = &flag },
        { 0 },
};

static const struct each disks = {
        .query = { .plan = &plan_command, .a = "query-block" },
        .name = "{device}",
        .rows = disk_rows,
};

static const struct row rows[] = {
        { .name = "disks", .kind = &kind_collection, .data = &disks },
        { .name = "errors", .kind = &kind_errors, .mode = 0440, .channel = CHANNEL_ERRORS },
        { 0 },
};

static const struct row root = { .name = "/", .kind = &kind_dir, .data = rows };

static void show(const char *members)
{
        _cleanup_(qmp_freep) char *records = NULL;

        ck_assert_int_gt(asprintf(&records, "[{\"device\": \"a\"%s%s}]", *members ? ", " : "", members), 0);
        fake_on(rig.fake, "query-block", records);
}

static void up(void)
{
        rig_up();
        inode_find(rig.session, FUSE_ROOT_ID)->row = &root;
        fake_on(rig.fake, "query-qmp-schema", schema);
        show("\"size\": 1024, \"text\": \"old\", \"flag\": false");
        fake_on(rig.fake, "set-size", "{}");
        fake_on(rig.fake, "set-text", "{}");
        fake_on(rig.fake, "set-flag", "{}");
        free(rig_sent());
}

static uint64_t begin(const char *path, const char *written)
{
        struct k_file file = rig_must_open(path, O_RDWR);
        uint64_t write = k_send_write(&file, written, strlen(written));

        SETTLE();
        return write;
}

START_TEST(reading_shows_the_value_as_it_is)
{
        ASSERT_CAT("disks/a/bytes", "1024\n");
        ASSERT_CAT("disks/a/words", "old\n");
        ASSERT_CAT("disks/a/switch", "false\n");
        show("\"size\": 2048, \"text\": \"new\", \"flag\": true");
        ASSERT_CAT("disks/a/bytes", "2048\n");
        ASSERT_CAT("disks/a/words", "new\n");
        ASSERT_CAT("disks/a/switch", "true\n");
        ck_assert_uint_eq(rig_count("set-size") + rig_count("query-qmp-schema"), 0);
}
END_TEST

START_TEST(value_that_is_missing_is_no_file_or_no_device)
{
        struct k_file file = rig_must_open("disks/a/bytes", O_RDWR);
        struct fuse_entry_out entry;

        show("");
        PUMP_FOR(rig.loop, SEC);
        ASSERT_ERROR(rig_walk("disks/a/bytes", &entry), ENOENT);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "2048", 4)), ENODEV);
        ck_assert_uint_eq(rig_count("set-size"), 0);
}
END_TEST

START_TEST(write_is_done_when_the_value_is_shown)
{
        uint64_t write = begin("disks/a/bytes", "2k");

        ck_assert_str_eq(rig_last("set-size")->text,
                         "{\"execute\":\"set-size\",\"arguments\":{\"id\":\"a\",\"to\":2048}}");
        PUMP_FOR(rig.loop, 5 * SEC);
        ck_assert(!k_is_answered(write));
        show("\"size\": 2048");
        ASSERT_OK(k_wait_error(write));
        ck_assert_uint_eq(rig_count("set-size"), 1);
        /* it looks once a second at last */
        ck_assert_uint_lt(rig_count("query-block"), 16);
}
END_TEST

START_TEST(query_that_is_not_answered_in_time_ends_no_wait)
{
        uint64_t write = begin("disks/a/bytes", "2048");

        fake_stick(rig.fake);
        PUMP_FOR(rig.loop, 25 * SEC);
        ck_assert(!k_is_answered(write));
        show("\"size\": 2048");
        fake_unstick(rig.fake);
        ASSERT_OK(k_wait_error(write));
}
END_TEST

START_TEST(event_has_the_value_looked_at)
{
        uint64_t before, write = begin("disks/a/bytes", "2048");

        PUMP_FOR(rig.loop, 4 * SEC + 100 * MS);
        show("\"size\": 2048");
        before = qmp_now();
        rig_event("BLOCK_RESIZED", "%s", "");
        ASSERT_OK(k_wait_error(write));
        ck_assert_uint_lt(qmp_now() - before, 200 * MS);
}
END_TEST

static const struct {
        const char *path, *written, *sent, *members;
} values[] = {
        { "disks/a/bytes", "1M", "\"to\":1048576}", "\"size\": 1048576" },
        { "disks/a/bytes", " 0x800 ", "\"to\":2048}", "\"size\": 2048" },
        { "disks/a/bytes", "1.5k", "\"to\":1536}", "\"size\": 1536" },
        { "disks/a/bytes", "1024", "\"to\":1024}", "\"size\": 1024" },
        { "disks/a/bytes", "512 shrink", "\"to\":512}", "\"size\": 512" },
        { "disks/a/bytes", "2048 shrink timeout=5", "\"to\":2048}", "\"size\": 2048" },
        { "disks/a/words", "new", "{\"text\":\"new\"}", "\"text\": \"new\"" },
        { "disks/a/words", "a,b=c", "{\"text\":\"a,b=c\"}", "\"text\": \"a,b=c\"" },
        { "disks/a/words", "\"a \\\"b\\\" c\"", "{\"text\":\"a \\\"b\\\" c\"}", "\"text\": \"a \\\"b\\\" c\"" },
        { "disks/a/words", "7", "{\"text\":\"7\"}", "\"text\": \"7\"" },
        { "disks/a/switch", "on", "{\"on\":true}", "\"flag\": true" },
        { "disks/a/switch", "true", "{\"on\":true}", "\"flag\": true" },
        { "disks/a/switch", "off", "{\"on\":false}", "\"flag\": false" },
};

START_TEST(value_is_sent_as_the_schema_has_it)
{
        uint64_t write = begin(values[_i].path, values[_i].written);

        show(values[_i].members);
        ASSERT_OK(k_wait_error(write));
        for (size_t i = 0; i < fake_n_commands(rig.fake); i++)
                if (startswith(fake_command(rig.fake, i)->name, "set-"))
                        ck_assert_contains(fake_command(rig.fake, i)->text, values[_i].sent);
}
END_TEST

static const struct {
        const char *path, *written, *why;
} wrong[] = {
        { "disks/a/bytes", "big", "'size': expected integer" },
        { "disks/a/bytes", "10Q", "'size': expected integer" },
        { "disks/a/bytes", "size=1k", "'size': expected integer" },
        { "disks/a/bytes", "{\"size\": 1024}", "'bytes' takes only shrink, nowait, timeout=SEC and explain" },
        { "disks/a/bytes", "\"2048\"", "'to': expected integer" },
        { "disks/a/bytes", "2048,x=1", "'size': expected integer" },
        { "disks/a/bytes", "1000", "'size': expected a multiple of 512" },
        { "disks/a/bytes", "1025", "'size': expected a multiple of 512" },
        { "disks/a/bytes", "-512", "'size': expected a number that is not negative" },
        { "disks/a/bytes", "512", "'size' is 1024 now; a lower value needs the word 'shrink'" },
        { "disks/a/bytes", "2048 grow", "'bytes' takes only shrink, nowait, timeout=SEC and explain" },
        { "disks/a/bytes", "2048 4096", "'bytes' takes only shrink, nowait, timeout=SEC and explain" },
        { "disks/a/bytes", "2048 nowait timeout=1", "one of nowait and timeout=SEC is possible, not both" },
        { "disks/a/words", "a b", "'words' takes only nowait, timeout=SEC and explain" },
        { "disks/a/words", "\"a b", "a quoted value must be a JSON string" },
        { "disks/a/switch", "maybe", "'on': expected boolean" },
};

START_TEST(wrong_values_are_refused_before_anything_is_sent)
{
        ASSERT_ERROR(rig_echo(wrong[_i].path, wrong[_i].written), EINVAL);
        ASSERT_CAT_CONTAINS("errors", wrong[_i].why);
        ck_assert_uint_eq(rig_count("set-size") + rig_count("set-text") + rig_count("set-flag"), 0);
}
END_TEST

START_TEST(explain_and_nowait)
{
        struct k_file file = rig_must_open("disks/a/bytes", O_RDWR);

        ASSERT_OK(k_wait_error(k_send_write(&file, "4096 explain", 12)));
        ASSERT_REPLY(k_send_read(&file, 0, 4096),
                     "{\"execute\":\"set-size\",\"arguments\":{\"id\":\"a\",\"to\":4096}}\n");
        ck_assert_uint_eq(rig_count("set-size"), 0);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "512 explain", 11)), EINVAL);
        ASSERT_OK(k_wait_error(k_send_write(&file, "4096 nowait", 11)));
        ck_assert_uint_eq(rig_count("set-size"), 1);
        /* the answer is gone: the file shows its value */
        ASSERT_REPLY(k_send_read(&file, 0, 4096), "1024\n");
}
END_TEST

START_TEST(value_that_is_not_shown_in_time)
{
        uint64_t before = qmp_now();

        ASSERT_ERROR(rig_echo("disks/a/bytes", "2048 timeout=3"), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 3 * SEC + 100 * MS);
        ASSERT_CAT_CONTAINS("errors", " ETIMEDOUT - 'bytes' was passed on but not completed within 3 s\n");
        before = qmp_now();
        ASSERT_ERROR(rig_echo("disks/a/bytes", "2048"), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 60 * SEC);
        fake_on_nothing(rig.fake, "set-size");
        ASSERT_ERROR(rig_echo("disks/a/bytes", "2048 timeout=3"), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", "QEMU did not answer set-size within 3 s; it may still carry it out\n");
}
END_TEST

START_TEST(failures_are_those_of_the_write)
{
        uint64_t write;

        fake_on_error(rig.fake, "set-size", "GenericError", "Node 'x' is in use");
        ASSERT_ERROR(rig_echo("disks/a/bytes", "2048"), EBUSY);
        fake_on(rig.fake, "set-size", "{}");
        write = begin("disks/a/bytes", "2048");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        write = begin("disks/a/bytes", "2048");
        fake_on(rig.fake, "query-block", "[]");
        ASSERT_ERROR(k_wait_error(write), ENODEV);
        show("\"size\": 1024");
        PUMP_FOR(rig.loop, SEC);
        write = begin("disks/a/bytes", "2048");
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
}
END_TEST

START_TEST(action_may_wait_for_the_end_of_its_object)
{
        struct k_file file = rig_must_open("disks/a/drop", O_WRONLY);
        uint64_t write;

        fake_on(rig.fake, "drop", "{}");
        write = k_send_write(&file, "1", 1);
        /* without a limit */
        PUMP_FOR(rig.loop, 600 * SEC);
        ck_assert(!k_is_answered(write));
        ck_assert_contains(rig_last("drop")->text, "{\"text\":\"a\"}");
        fake_on(rig.fake, "query-block", "[]");
        ASSERT_OK(k_wait_error(write));
        ck_assert_uint_eq(rig_count("drop"), 1);
}
END_TEST

START_TEST(file_is_absent_without_its_command)
{
        struct fuse_entry_out entry;

        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        inode_find(rig.session, FUSE_ROOT_ID)->row = &root;
        fake_on_error(rig.fake, "query-status", "CommandNotFound", "The command query-status has not been found");
        fake_on(rig.fake, "query-qmp-schema",
                "[" OBJECT("0", "") "," COMMAND("query-block", "0") "," COMMAND("set-text", "0") "]");
        show("\"size\": 1024, \"text\": \"x\", \"flag\": true");
        rig_connect();
        ASSERT_OK(rig_walk("disks/a/words", &entry));
        ASSERT_ERROR(rig_walk("disks/a/bytes", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("disks/a/switch", &entry), ENOENT);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(reading_shows_the_value_as_it_is),
                TEST(value_that_is_missing_is_no_file_or_no_device),
                TEST(write_is_done_when_the_value_is_shown),
                TEST(query_that_is_not_answered_in_time_ends_no_wait),
                TEST(event_has_the_value_looked_at),
                TEST_EACH(value_is_sent_as_the_schema_has_it, ARRAY_SIZE(values)),
                TEST_EACH(wrong_values_are_refused_before_anything_is_sent, ARRAY_SIZE(wrong)),
                TEST(explain_and_nowait),
                TEST(value_that_is_not_shown_in_time),
                TEST(failures_are_those_of_the_write),
                TEST(action_may_wait_for_the_end_of_its_object),
                TEST(file_is_absent_without_its_command),
        };

        return test_main("attribute", tests, ARRAY_SIZE(tests), up, rig_down);
}
