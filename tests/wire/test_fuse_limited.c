/*
 * Servers that are no QEMU (qemu-storage-daemon): rows whose commands they lack are absent, from the first look on, and
 * an ordinary QEMU is asked nothing for that.
 */
#include <poll.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define COMMAND(name) "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"0\"}"

// clang-format off
static const char schema[] =
        "[{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, "
        COMMAND("query-version") ", "
        COMMAND("query-block") ", "
        COMMAND("query-jobs") ", "
        COMMAND("query-qmp-schema") ", "
        COMMAND("qom-list") ", "
        COMMAND("quit") "]";
// clang-format on

/* The rows of the root that need other commands. */
static const char *const absent[] = { "status", "name", "uuid", "cpus", "memory", "devices", "types", "hmp" };

static bool is_left(const struct row *row)
{
        for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
                if (streq(row->name, absent[i]))
                        return false;
        return true;
}

static void lack(const char *command)
{
        _cleanup_(qmp_freep) char *words = NULL;

        CHECK(asprintf(&words, "The command %s has not been found", command) > 0);
        fake_on_error(rig.fake, command, "CommandNotFound", words);
}

/* The fake is a storage daemon from the next connection on. */
static void be_limited(void)
{
        static const char *const lacking[] = { "query-status",         "query-name",           "query-uuid",
                                               "query-cpus-fast",      "query-memory-devices", "device_del",
                                               "human-monitor-command" };

        for (size_t i = 0; i < ARRAY_SIZE(lacking); i++)
                lack(lacking[i]);
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "quit", "{}");
}

static void set_up(void)
{
        test_time_virtual();
        rig_make("/run/fake.sock");
        k_mount();
        be_limited();
}

/* A daemon that connects again by itself, to whichever server is there. */
static void reconnecting(void)
{
        const char *path = test_path("qmp.sock");
        struct peer_options options = rig.vm->peer.options;

        options.any_vm = true;
        rig_unmake();
        rig_make_with(path, &options);
        k_mount();
        fake_listen(rig.fake, path);
}

static void connect_again(void)
{
        if (rig.vm->peer.up)
                fake_close(rig.fake);
        else
                qmp_client_start(rig.vm->peer.client);
        SETTLE();
        PUMP(rig.loop, rig.vm->peer.up);
}

START_TEST(rows_are_those_of_its_schema)
{
        struct fuse_entry_out entry;

        rig_connect();
        ASSERT_LS_ROOT(is_left);
        for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
                ASSERT_ERROR(k_lookup(FUSE_ROOT_ID, absent[i], &entry), ENOENT);
        ASSERT_LS("query", "unstable block jobs qmp-schema version");
        ASSERT_CAT("version", "7.2.22 (Debian 1:7.2)\n");
        ck_assert_uint_eq(rig_count("query-qmp-schema"), 1);
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(objects_have_what_it_can_do)
{
        struct fuse_entry_out entry;
        _cleanup_(qmp_freep) char *names = NULL;

        rig_connect();
        ASSERT_OK(rig_ls("block/NVME1", &names));
        ck_assert_ptr_null(strstr(names, "remove"));
        ASSERT_ERROR(rig_walk("block/NVME1/remove", &entry), ENOENT);
        ASSERT_OK(rig_walk("block/NVME1/status", &entry));
}
END_TEST

START_TEST(verbs_are_those_that_it_has)
{
        _cleanup_(qmp_freep) char *text = NULL;

        rig_connect();
        ASSERT_OK(rig_cat("ctl", &text));
        ck_assert_ptr_nonnull(startswith(text, "quit       end QEMU immediately\n\n"));
        ASSERT_ERROR(rig_echo("ctl", "stop"), EOPNOTSUPP);
        ASSERT_CAT_CONTAINS("errors", " /ctl EOPNOTSUPP - this server has no command 'stop'\n");
        ASSERT_ERROR(rig_echo("ctl", "stopp"), EINVAL);
        ck_assert_uint_eq(rig_count("stop"), 0);
}
END_TEST

START_TEST(state_is_running_as_long_as_it_answers)
{
        struct k_file file;

        rig_connect();
        file = rig_must_open("state", O_RDONLY);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 1) & POLLIN, 0);
        fake_stop(rig.fake);
        ASSERT_ERROR(rig_cat("state", NULL), ETIMEDOUT);
        fake_cont(rig.fake);
        SETTLE();
        fake_close(rig.fake);
        SETTLE();
        ck_assert(k_was_woken(1));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "down\n");
        ASSERT_CAT("state", "down\n");
        /* what it had it may have again */
        ASSERT_LS_ROOT(is_left);
}
END_TEST

START_TEST(qemu_itself_is_asked_nothing_more)
{
        reconnecting();
        connect_again();
        ASSERT_LS_ROOT(NULL);
        ASSERT_SENT("qmp_capabilities query-status");
}
END_TEST

/* Looks at the root while the first answer is still to come. */
static uint64_t look(struct k_file *dir, uint64_t *ret_lookup)
{
        struct fuse_entry_out entry;

        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        be_limited();
        fake_on_nothing(rig.fake, "query-status");
        CHECK(qmp_client_start_fd(rig.vm->peer.client, fake_connect(rig.fake, 0)) == 0);
        PUMP(rig.loop, rig_count("query-status") == 1);
        ASSERT_OK(k_opendir(FUSE_ROOT_ID, dir));
        *ret_lookup = k_send_lookup(FUSE_ROOT_ID, "status");
        /* what needs no command is there at any time */
        ASSERT_OK(k_lookup(FUSE_ROOT_ID, "connection", &entry));
        ASSERT_OK(k_lookup(FUSE_ROOT_ID, "errors", &entry));
        ASSERT_OK(k_lookup(FUSE_ROOT_ID, "state", &entry));
        return k_send_readdir(dir, 0, 4096);
}

START_TEST(first_look_waits_for_the_first_answer)
{
        struct k_file dir;
        uint64_t lookup, list = look(&dir, &lookup);

        PUMP_FOR(rig.loop, 500 * MS);
        ck_assert(!k_is_answered(lookup) && !k_is_answered(list));
        fake_error(rig.fake, rig_last("query-status"), "CommandNotFound",
                   "The command query-status has not been found");
        ASSERT_ERROR(k_wait_error(lookup), ENOENT);
        ASSERT_OK(k_wait_error(list));
        ASSERT_LS_ROOT(is_left);
        ck_assert_uint_eq(rig_count("query-qmp-schema"), 1);
}
END_TEST

START_TEST(first_look_does_not_wait_for_a_server_that_hangs)
{
        struct k_file dir;
        uint64_t before, lookup, list = look(&dir, &lookup);

        before = qmp_now();
        ASSERT_OK(k_wait_error(lookup));
        ASSERT_OK(k_wait_error(list));
        ck_assert_uint_lt(qmp_now() - before, 2 * SEC);
        ASSERT_LS_ROOT(NULL);
        /* it is found out all the same */
        fake_error(rig.fake, rig_last("query-status"), "CommandNotFound",
                   "The command query-status has not been found");
        SETTLE();
        ASSERT_LS_ROOT(is_left);
}
END_TEST

START_TEST(look_ends_with_the_connection)
{
        struct k_file dir;
        uint64_t lookup, list = look(&dir, &lookup);

        fake_close(rig.fake);
        ASSERT_OK(k_wait_error(lookup));
        ASSERT_OK(k_wait_error(list));
}
END_TEST

START_TEST(schema_that_fails_is_an_error_and_asked_for_again)
{
        struct fuse_entry_out entry;
        char *names;

        fake_on_error(rig.fake, "query-qmp-schema", "GenericError", "it is tired");
        rig_connect();
        ASSERT_ERROR(rig_ls("", &names), EIO);
        ASSERT_OK(k_lookup(FUSE_ROOT_ID, "connection", &entry));
        fake_on(rig.fake, "query-qmp-schema", schema);
        ASSERT_LS_ROOT(is_left);
}
END_TEST

START_TEST(without_a_schema_all_rows_are_there)
{
        lack("query-qmp-schema");
        rig_connect();
        ASSERT_LS_ROOT(NULL);
}
END_TEST

START_TEST(another_server_has_other_rows)
{
        struct fuse_entry_out status, types;
        struct k_file file;

        reconnecting();
        connect_again();
        ASSERT_LS_ROOT(NULL);
        ASSERT_OK(k_lookup(FUSE_ROOT_ID, "status", &status));
        ASSERT_OK(k_lookup(FUSE_ROOT_ID, "types", &types));
        ck_assert_uint_ne(status.entry_valid, 0);
        be_limited();
        connect_again();
        ASSERT_LS_ROOT(is_left);
        /* names that the kernel keeps: told that they are stale it looks them up again */
        ASSERT_ERROR(k_open(status.nodeid, O_RDONLY, &file), ESTALE);
        ASSERT_ERROR(k_opendir(types.nodeid, &file), ESTALE);
        fake_on(rig.fake, "query-status", "{\"status\": \"running\", \"running\": true}");
        connect_again();
        ASSERT_LS_ROOT(NULL);
        ASSERT_OK(k_open(status.nodeid, O_RDONLY, &file));
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(rows_are_those_of_its_schema),
                TEST(objects_have_what_it_can_do),
                TEST(verbs_are_those_that_it_has),
                TEST(state_is_running_as_long_as_it_answers),
                TEST(qemu_itself_is_asked_nothing_more),
                TEST(first_look_waits_for_the_first_answer),
                TEST(first_look_does_not_wait_for_a_server_that_hangs),
                TEST(look_ends_with_the_connection),
                TEST(schema_that_fails_is_an_error_and_asked_for_again),
                TEST(without_a_schema_all_rows_are_there),
                TEST(another_server_has_other_rows),
        };

        return test_main("fuse_limited", tests, ARRAY_SIZE(tests), set_up, rig_down);
}
