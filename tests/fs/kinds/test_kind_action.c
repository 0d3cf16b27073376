/*
 * Files that do something, by their rows alone: in a collection of a tree of its own.
 */
#include "fs/kinds/kinds.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define COMMAND(name, arg)                                                                                           \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"0\"}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"

// clang-format off
static const char schema[] =
        "[{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"},"
        "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"},"
        OBJECT("0", "") ","
        OBJECT("1", MEMBER("node-name", "str") "," MEMBER("size", "int")) ","
        OBJECT("2", MEMBER("node-name", "str")) ","
        OBJECT("3", MEMBER("device", "str") "," MEMBER("target", "str")) ","
        COMMAND("make-node", "1") "," COMMAND("drop-node", "2") "," COMMAND("copy", "3") "," COMMAND("eject", "2") "]";
// clang-format on

static const struct action_file copy_file = {
        .help = "target=NAME size=BYTES: copies the disk to a new node",
        .action = {
                .steps = {
                        { .does = { "make-node",
                                    { { .name = "node-name", .written = "target" },
                                      { .name = "size", .written = "size" } } },
                          .undo = { "drop-node", { { .name = "node-name", .written = "target" } } } },
                        { .does = { "copy",
                                    { { .name = "device", .record = "{device}" },
                                      { .name = "target", .written = "target" } } } },
                },
        },
};

static const struct action_file eject_file = {
        .help = "an empty line: takes the disk away",
        .action = {
                .steps = { { .does = { "eject", { { .name = "node-name", .record = "{device}" } } } } },
                .until = ACTION_GONE,
        },
};

static const struct row disk_rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "copy", .kind = &kind_action, .mode = 0644, .data = &copy_file },
        { .name = "eject", .kind = &kind_action, .mode = 0644, .data = &eject_file },
        { 0 },
};

static const struct each disks = {
        .query = { .plan = &plan_command, .a = "query-block" },
        .name = "{device}",
        .rows = disk_rows,
};

static const struct row rows[] = {
        { .name = "disks", .kind = &kind_collection, .data = &disks },
        { 0 },
};

static const struct row root = { .name = "/", .kind = &kind_dir, .data = rows };

static void up(void)
{
        rig_up();
        inode_find(rig.session, FUSE_ROOT_ID)->row = &root;
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "query-block", "[{\"device\": \"d0\"}, {\"device\": \"d1\"}]");
        fake_on(rig.fake, "make-node", "{}");
        fake_on(rig.fake, "drop-node", "{}");
        fake_on(rig.fake, "copy", "{\"job\": \"copy-1\"}");
        fake_on(rig.fake, "eject", "{}");
}

START_TEST(reading_tells_the_use_and_the_last_write)
{
        _cleanup_(qmp_freep) char *text = NULL;
        struct fuse_entry_out entry;

        ASSERT_CAT("disks/d0/copy", "target=NAME size=BYTES: copies the disk to a new node\nlast write: none\n");
        ASSERT_ERROR(rig_echo("disks/d0/copy", "target=t quux=1"), EINVAL);
        ASSERT_OK(rig_cat("disks/d0/copy", &text));
        ck_assert_contains(text, "last write: ");
        ck_assert_contains(text, "EINVAL");
        ck_assert_contains(text, "target");
        ASSERT_OK(rig_walk("disks/d0/copy", &entry));
        ck_assert_uint_eq(entry.attr.size, strlen(text));
}
END_TEST

START_TEST(writing_does_it_to_the_object)
{
        struct k_file file = rig_must_open("disks/d1/copy", O_RDWR);

        ASSERT_OK(k_wait_error(k_send_write(&file, "target=t size=1k", 16)));
        ck_assert_str_eq(rig_last("make-node")->text,
                         "{\"execute\":\"make-node\",\"arguments\":{\"node-name\":\"t\",\"size\":1024}}");
        ck_assert_str_eq(rig_last("copy")->text,
                         "{\"execute\":\"copy\",\"arguments\":{\"device\":\"d1\",\"target\":\"t\"}}");
        ASSERT_REPLY(k_send_read(&file, 0, 1000), "{\n  \"job\": \"copy-1\"\n}\n");
        k_release(&file);
        /* JSON as well */
        ASSERT_OK(rig_echo("disks/d1/copy", "{\"target\": \"u\", \"size\": 5}"));
        ck_assert_str_eq(rig_last("copy")->text,
                         "{\"execute\":\"copy\",\"arguments\":{\"device\":\"d1\",\"target\":\"u\"}}");
}
END_TEST

START_TEST(failed_step_undoes_those_before_it)
{
        struct k_file file = rig_must_open("disks/d0/copy", O_RDWR);

        fake_on_error(rig.fake, "copy", "GenericError", "no space");
        free(rig_sent());
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "target=t size=1", 15)), EIO);
        ASSERT_SENT("query-block query-qmp-schema make-node copy drop-node");
        ASSERT_REPLY(
                k_send_read(&file, 0, 1000),
                "{\n  \"error\": {\n    \"class\": \"GenericError\",\n    \"desc\": \"copy: no space\"\n  }\n}\n");
        k_release(&file);
}
END_TEST

START_TEST(explain_shows_the_commands_and_sends_none)
{
        struct k_file file = rig_must_open("disks/d0/copy", O_RDWR);

        ASSERT_OK(k_wait_error(k_send_write(&file, "target=t size=1 explain", 23)));
        ASSERT_REPLY(k_send_read(&file, 0, 1000),
                     "{\"execute\":\"make-node\",\"arguments\":{\"node-name\":\"t\",\"size\":1}}\n"
                     "{\"execute\":\"copy\",\"arguments\":{\"device\":\"d0\",\"target\":\"t\"}}\n");
        ck_assert_uint_eq(rig_count("make-node"), 0);
        k_release(&file);
}
END_TEST

START_TEST(until_gone_waits_for_the_object_to_go)
{
        struct k_file file = rig_must_open("disks/d0/eject", O_WRONLY);
        uint64_t write = k_send_write(&file, "", 0);

        PUMP_FOR(rig.loop, SEC);
        ck_assert(!k_is_answered(write));
        ck_assert_uint_eq(rig_count("eject"), 1);
        fake_on(rig.fake, "query-block", "[{\"device\": \"d1\"}]");
        ASSERT_OK(k_wait_error(write));
        ck_assert_uint_eq(rig_count("eject"), 1);
        k_release(&file);
        ASSERT_LS("disks", "d1");
}
END_TEST

START_TEST(tables_are_sane)
{
        ck_assert_ptr_null(action_mistake(&copy_file.action));
        ck_assert_ptr_null(action_mistake(&eject_file.action));
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(tables_are_sane),
                TEST(reading_tells_the_use_and_the_last_write),
                TEST(writing_does_it_to_the_object),
                TEST(failed_step_undoes_those_before_it),
                TEST(explain_shows_the_commands_and_sends_none),
                TEST(until_gone_waits_for_the_object_to_go),
        };

        return test_main("kind_action", tests, ARRAY_SIZE(tests), up, rig_down);
}
