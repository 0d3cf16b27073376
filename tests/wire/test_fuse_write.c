/*
 * Writing: what may be written where, the verbs of `ctl`, and everything that a file system may not do to this tree.
 */
#include "tests/lib/command_vm.h"
#include "tests/lib/test.h"

/* --- nothing else changes anything ------------------------------------------------------------------------------- */

static uint64_t k_name(uint32_t opcode, uint64_t node, const char *name)
{
        return k_send(opcode, node, name, strlen(name) + 1, NULL, 0);
}

START_TEST(only_writing_changes_anything)
{
        struct fuse_mknod_in mknod = { .mode = S_IFREG | 0644 };
        struct fuse_mkdir_in mkdir = { .mode = 0755 };
        struct fuse_rename_in rename = { .newdir = FUSE_ROOT_ID };
        struct fuse_rename2_in rename2 = { .newdir = FUSE_ROOT_ID };
        struct fuse_create_in create = { .flags = O_WRONLY | O_CREAT, .mode = 0644 };
        struct fuse_link_in link;
        struct fuse_entry_out block, object;

        ASSERT_OK(rig_walk("block", &block));
        ASSERT_OK(rig_walk("block/NVME1", &object));
        free(rig_sent());
        link.oldnodeid = object.nodeid;
        ASSERT_ERROR(k_wait_error(k_name(FUSE_UNLINK, object.nodeid, "remove")), EPERM);
        ASSERT_ERROR(k_wait_error(k_name(FUSE_UNLINK, object.nodeid, "nosuch")), EPERM);
        ASSERT_ERROR(k_wait_error(k_name(FUSE_RMDIR, block.nodeid, "NVME1")), EPERM);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_MKDIR, block.nodeid, &mkdir, sizeof(mkdir), "x", 2)), EPERM);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_MKNOD, block.nodeid, &mknod, sizeof(mknod), "x", 2)), EPERM);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_CREATE, block.nodeid, &create, sizeof(create), "x", 2)), ENOENT);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_SYMLINK, block.nodeid, "x\0y", 4, NULL, 0)), EPERM);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_LINK, block.nodeid, &link, sizeof(link), "x", 2)), EPERM);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_RENAME, block.nodeid, &rename, sizeof(rename), "NVME1\0x", 8)), EPERM);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_RENAME2, block.nodeid, &rename2, sizeof(rename2), "NVME1\0x", 8)),
                     EPERM);
        ASSERT_SENT("");
}
END_TEST

/* What a shell does for `> cmd/device-del`: LOOKUP, which finds nothing, and CREATE. */
static int create(const char *dir, const char *name)
{
        struct fuse_create_in in = { .flags = O_WRONLY | O_CREAT | O_TRUNC, .mode = 0644 };
        struct fuse_entry_out entry, found;

        ASSERT_OK(rig_walk(dir, &entry));
        ASSERT_ERROR(k_lookup(entry.nodeid, name, &found), ENOENT);
        return k_wait_error(k_send(FUSE_CREATE, entry.nodeid, &in, sizeof(in), name, strlen(name) + 1));
}

static const struct {
        const char *dir, *name, *told;
} typos[] = {
        { "cmd", "query_block", " /cmd ENOENT - no file 'query_block' is here (nearest: 'query-block')\n" },
        { "query", "blokc", " /query ENOENT - no file 'blokc' is here (nearest: 'block')\n" },
        { "block", "nvme1", " /block ENOENT - no file 'nvme1' is here (nearest: 'NVME1')\n" },
        { "block/NVME1", "remoev", " /block/NVME1 ENOENT - no file 'remoev' is here (nearest: 'remove')\n" },
        { "block/NVME1", "zzzz", " /block/NVME1 ENOENT - no file 'zzzz' is here\n" },
        { "block/NVME1/inserted", "nodename", " ENOENT - no file 'nodename' is here (nearest: 'node-name')\n" },
        { "schema", "command", " /schema ENOENT - no file 'command' is here (nearest: 'commands')\n" },
        { "qom", "typ", " /qom ENOENT - no file 'typ' is here (nearest: 'type')\n" },
};

START_TEST(file_that_would_have_to_be_made_is_not_there)
{
        struct fuse_create_in in = { .flags = O_WRONLY | O_CREAT, .mode = 0644 };
        struct fuse_entry_out dir, found;

        fake_on(rig.fake, "query-qmp-schema",
                "[{\"name\": \"query-block\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"0\"},"
                "{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}]");
        rig_qom("/", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        ASSERT_ERROR(create(typos[_i].dir, typos[_i].name), ENOENT);
        ASSERT_CAT_CONTAINS("errors", typos[_i].told);
        /* the kernel has just asked for the name: that costs nothing more */
        ASSERT_OK(rig_walk(typos[_i].dir, &dir));
        ASSERT_ERROR(k_lookup(dir.nodeid, typos[_i].name, &found), ENOENT);
        free(rig_sent());
        ASSERT_ERROR(k_wait_error(k_send(FUSE_CREATE, dir.nodeid, &in, sizeof(in), typos[_i].name,
                                         strlen(typos[_i].name) + 1)),
                     ENOENT);
        ASSERT_SENT("");
}
END_TEST

START_TEST(attributes_cannot_be_changed)
{
        static const uint32_t valid[] = { FATTR_MODE,
                                          FATTR_UID,
                                          FATTR_GID,
                                          FATTR_ATIME,
                                          FATTR_MTIME,
                                          FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW,
                                          FATTR_SIZE | FATTR_MODE };
        static const char *const paths[] = { "ctl", "status", "block", "block/NVME1/remove", "block/NVME1/device" };
        struct fuse_entry_out entry;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                ASSERT_OK(rig_walk(paths[i], &entry));
                for (size_t j = 0; j < ARRAY_SIZE(valid); j++)
                        ASSERT_ERROR(k_setattr(entry.nodeid, valid[j], 0), EPERM);
        }
}
END_TEST

START_TEST(truncating_is_fine_where_writing_is)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk("ctl", &entry));
        ASSERT_OK(k_setattr(entry.nodeid, FATTR_SIZE, 0));
        ASSERT_OK(rig_walk("events", &entry));
        ASSERT_OK(k_setattr(entry.nodeid, FATTR_SIZE, 0));
        ASSERT_OK(rig_walk("block/NVME1/remove", &entry));
        ASSERT_OK(k_setattr(entry.nodeid, FATTR_SIZE, 0));
        ASSERT_OK(rig_walk("status", &entry));
        ASSERT_ERROR(k_setattr(entry.nodeid, FATTR_SIZE, 0), EPERM);
        ASSERT_OK(rig_walk("block", &entry));
        ASSERT_ERROR(k_setattr(entry.nodeid, FATTR_SIZE, 0), EPERM);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(files_that_are_not_for_writing_are_not_opened_so)
{
        static const char *const paths[] = { "status",
                                             "state",
                                             "name",
                                             "connection",
                                             "errors",
                                             "block/NVME1/status",
                                             "block/NVME1/type",
                                             "devices/nv0/driver",
                                             "devices/nv0/serial" };
        struct k_file file;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                ASSERT_ERROR(rig_open(paths[i], O_WRONLY, &file), EPERM);
                ASSERT_ERROR(rig_open(paths[i], O_RDWR | O_TRUNC, &file), EPERM);
        }
}
END_TEST

START_TEST(write_that_is_too_long_is_refused_whole)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = malloc(128 * 1024);

        memset(text, ' ', 128 * 1024);
        memcpy(text, "stop", 4);
        fake_on(rig.fake, "stop", "{}");
        ASSERT_ERROR(k_wait_error(k_send_write(&file, text, 65537)), EMSGSIZE);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, text, 128 * 1024)), EMSGSIZE);
        ASSERT_SENT("");
        ASSERT_CAT_CONTAINS("errors", " /ctl EMSGSIZE - a request is one line of at most 64 KiB");
        /* just not */
        ck_assert_int_eq(k_wait_error(k_send_write(&file, text, 65536)), 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

START_TEST(nul_bytes_are_refused)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);

        ASSERT_ERROR(k_wait_error(k_send_write(&file, "stop\0", 5)), EINVAL);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "\0", 1)), EINVAL);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "st\0p", 4)), EINVAL);
        ASSERT_SENT("");
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - the line contains a NUL byte");
}
END_TEST

START_TEST(one_newline_is_dropped)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        struct fuse_write_out out;
        struct k_reply *reply;

        fake_on(rig.fake, "stop", "{}");
        reply = k_wait(k_send_write(&file, "stop\n", 5));
        ck_assert_int_eq(reply->error, 0);
        memcpy(&out, reply->data, sizeof(out));
        ck_assert_uint_eq(out.size, 5);
        free(reply);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "stop\n\n", 6)), EINVAL);
        ASSERT_SENT("stop");
}
END_TEST

START_TEST(empty_writes_are_refused)
{
        struct k_file ctl = rig_must_open("ctl", O_WRONLY), remove = rig_must_open("block/NVME1/remove", O_WRONLY);

        ASSERT_ERROR(k_wait_error(k_send_pwrite(&ctl, "", 0, 0)), EINVAL);
        ASSERT_ERROR(k_wait_error(k_send_write(&ctl, "\n", 1)), EINVAL);
        ASSERT_ERROR(k_wait_error(k_send_write(&remove, "\n", 1)), EINVAL);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

/* --- ctl --------------------------------------------------------------------------------------------------------- */

static const struct {
        const char *verb, *command, *text;
} plain[] = {
        { "stop", "stop", "{\"execute\":\"stop\"}" },
        { "cont", "cont", "{\"execute\":\"cont\"}" },
        { "nmi", "inject-nmi", "{\"execute\":\"inject-nmi\"}" },
};

START_TEST(plain_verb_is_done_with_its_reply)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on_nothing(rig.fake, plain[_i].command);
        write = k_send_write(&file, plain[_i].verb, strlen(plain[_i].verb));
        SETTLE();
        ASSERT_SENT(plain[_i].command);
        ck_assert_str_eq(rig_last(plain[_i].command)->text, plain[_i].text);
        ck_assert(!k_is_answered(write));
        fake_return(rig.fake, rig_last(plain[_i].command), "{}");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(reading_lists_the_verbs)
{
        static const char *const verbs[] = { "stop", "cont", "reset", "powerdown", "wakeup", "nmi", "quit" };
        _cleanup_(qmp_freep) char *text = NULL;
        char *save = NULL, *line;
        size_t n = 0;

        ASSERT_OK(rig_cat("ctl", &text));
        for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
                if (startswith(line, "last write: "))
                        break;
                ck_assert_uint_lt(n, ARRAY_SIZE(verbs));
                ck_assert(startswith(line, verbs[n]) && line[strlen(verbs[n])] == ' ');
        }
        ck_assert_uint_eq(n, ARRAY_SIZE(verbs));
}
END_TEST

START_TEST(error_of_qemu_is_that_of_the_write)
{
        fake_on_error(rig.fake, "inject-nmi", "GenericError", "machine does not provide NMIs");
        fake_on_error(rig.fake, "cont", "CommandNotFound", "The command cont has not been found");
        ASSERT_ERROR(rig_echo("ctl", "nmi"), EIO);
        ASSERT_ERROR(rig_echo("ctl", "cont"), EOPNOTSUPP);
        ASSERT_CAT_CONTAINS("errors", " /ctl EIO GenericError machine does not provide NMIs\n");
}
END_TEST

START_TEST(what_is_no_verb_is_refused)
{
        static const char *const wrong[] = { "sto",
                                             "stopp",
                                             "STOP",
                                             " stop",
                                             "stop now",
                                             "quit timeouts=3",
                                             "powerdown timeout=0",
                                             "powerdown timeout=-1",
                                             "powerdown soon",
                                             "powerdown nowait timeout=3",
                                             "powerdown timeout=3 timeout=4",
                                             "powerdown twice",
                                             "stop once",
                                             "{\"execute\":\"quit\"}",
                                             "stop;quit",
                                             "stop\nquit" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                ck_assert_msg(rig_echo("ctl", wrong[i]) == -EINVAL, "%s", wrong[i]);
        ASSERT_SENT("");
}
END_TEST

static const struct {
        const char *text, *reply;
} explained[] = {
        { "stop explain", "{\"execute\":\"stop\"}\n" },
        { "powerdown explain once nowait", "{\"execute\":\"system_powerdown\"}\n" },
        { "quit timeout=3 explain", "{\"execute\":\"quit\"}\n" },
};

START_TEST(explain_tells_what_would_be_sent)
{
        struct k_file file = rig_must_open("ctl", O_RDWR);
        const char *text = explained[_i].text;

        ASSERT_OK(k_wait_error(k_send_write(&file, text, strlen(text))));
        ASSERT_SENT("");
        ASSERT_REPLY(k_send_read(&file, strlen(text) + 1, 4096), explained[_i].reply);
        ASSERT_REPLY(k_send_read(&file, 0, 4096), explained[_i].reply);
        ASSERT_CAT_CONTAINS("ctl", "\nlast write: none\n");
        /* what is wrong is refused as if it were to be done */
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "stop explain now", 16)), EINVAL);
        ASSERT_CAT_CONTAINS("errors", "'stop' takes only nowait, timeout=SEC and explain\n");
        /* a verb that is carried out has no reply: the file is what it was */
        fake_on(rig.fake, "stop", "{}");
        ASSERT_OK(k_wait_error(k_send_write(&file, "stop", 4)));
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 4096), "stop       pause the VM\n");
}
END_TEST

START_TEST(every_verb_has_a_limit_that_can_be_written)
{
        uint64_t before = qmp_now();

        fake_on(rig.fake, "system_reset", "{}");
        ASSERT_ERROR(rig_echo("ctl", "reset timeout=0.5"), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 600 * MS);
        ASSERT_CAT_CONTAINS("errors", "'reset' was passed on but not completed within 0.5 s\n");
        ASSERT_OK(rig_echo("ctl", "reset nowait"));
        fake_on_nothing(rig.fake, "stop");
        ASSERT_ERROR(rig_echo("ctl", "stop timeout=0.5"), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", "QEMU did not answer stop within 0.5 s; it may still carry it out\n");
}
END_TEST

START_TEST(reset_waits_for_the_reset)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        /* the event before the reply, as QEMU has it */
        fake_on_nothing(rig.fake, "system_reset");
        write = k_send_write(&file, "reset", 5);
        SETTLE();
        rig_event("RESET", "%s", "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        fake_return(rig.fake, rig_last("system_reset"), "{}");
        ck_assert_int_eq(k_wait_error(write), 0);
        /* and behind it */
        fake_on(rig.fake, "system_reset", "{}");
        write = k_send_write(&file, "reset", 5);
        SETTLE();
        rig_event("RESUME", "%s", "");
        SETTLE();
        ck_assert(!k_is_answered(write));
        rig_event("RESET", "%s", "");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(reset_before_the_command_is_not_its_own)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY), files[4];
        uint64_t write;

        fake_on(rig.fake, "system_reset", "{}");
        fill_the_window(files);
        write = k_send_write(&file, "reset", 5);
        SETTLE();
        ck_assert_uint_eq(rig_count("system_reset"), 0);
        rig_event("RESET", "%s", "{\"guest\": true, \"reason\": \"guest-reset\"}");
        empty_the_window();
        ck_assert_uint_eq(rig_count("system_reset"), 1);
        ck_assert(!k_is_answered(write));
        rig_event("RESET", "%s", "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

/* QEMU carries out one after the other, and the event comes before the reply. */
START_TEST(each_of_two_resets_has_its_own_event)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY), other = rig_must_open("ctl", O_WRONLY);
        const struct fake_command *first;
        uint64_t write, second;

        fake_on_nothing(rig.fake, "system_reset");
        write = k_send_write(&file, "reset", 5);
        SETTLE();
        first = rig_last("system_reset");
        second = k_send_write(&other, "reset", 5);
        SETTLE();
        ck_assert_ptr_ne(rig_last("system_reset"), first);
        rig_event("RESET", "%s", "");
        fake_return(rig.fake, first, "{}");
        ck_assert_int_eq(k_wait_error(write), 0);
        fake_return(rig.fake, rig_last("system_reset"), "{}");
        SETTLE();
        ck_assert(!k_is_answered(second));
        rig_event("RESET", "%s", "");
        ck_assert_int_eq(k_wait_error(second), 0);
}
END_TEST

START_TEST(powerdown_waits_for_the_guest)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on(rig.fake, "system_powerdown", "{}");
        write = k_send_write(&file, "powerdown", 9);
        SETTLE();
        rig_event("POWERDOWN", "%s", "");
        PUMP_FOR(rig.loop, 25 * SEC);
        ck_assert(!k_is_answered(write));
        rig_event("SHUTDOWN", "%s", "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(powerdown_is_repeated_while_somebody_waits)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        /* as a guest that is booting: it loses all presses before the third */
        fake_on(rig.fake, "system_powerdown", "{}");
        write = k_send_write(&file, "powerdown", 9);
        PUMP_FOR(rig.loop, 9900 * MS);
        ck_assert_uint_eq(rig_count("system_powerdown"), 1);
        PUMP_FOR(rig.loop, 200 * MS);
        ck_assert_uint_eq(rig_count("system_powerdown"), 2);
        PUMP_FOR(rig.loop, 9 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 2);
        PUMP_FOR(rig.loop, SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 3);
        rig_event("SHUTDOWN", "%s", "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
        ck_assert_int_eq(k_wait_error(write), 0);
        /* and not when nobody waits any more */
        ASSERT_ERROR(rig_echo("ctl", "powerdown timeout=1"), ETIMEDOUT);
        ASSERT_OK(rig_echo("ctl", "powerdown nowait"));
        PUMP_FOR(rig.loop, 60 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 5);
}
END_TEST

START_TEST(powerdown_once_is_a_single_press)
{
        uint64_t before = qmp_now();

        fake_on(rig.fake, "system_powerdown", "{}");
        ASSERT_ERROR(rig_echo("ctl", "powerdown once"), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 30 * SEC);
        ASSERT_ERROR(rig_echo("ctl", "powerdown timeout=25 once"), ETIMEDOUT);
        ASSERT_OK(rig_echo("ctl", "powerdown once nowait"));
        ck_assert_uint_eq(rig_count("system_powerdown"), 3);
}
END_TEST

START_TEST(a_press_too_many_is_not_made)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t a, b;

        fake_on(rig.fake, "system_powerdown", "{}");
        /* several who wait press as often as one */
        a = k_send_write(&file, "powerdown timeout=100", 21);
        PUMP_FOR(rig.loop, 5 * SEC);
        b = k_send_write(&file, "powerdown timeout=100", 21);
        PUMP_FOR(rig.loop, 9 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 2);
        PUMP_FOR(rig.loop, 2 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 3);
        /* at 16 s; somebody else does at 23 s */
        PUMP_FOR(rig.loop, 7 * SEC);
        rig_event("POWERDOWN", "%s", "");
        PUMP_FOR(rig.loop, 9 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 3);
        PUMP_FOR(rig.loop, 2 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 4);
        /* a guest that stands still keeps the press that it has */
        rig_event("STOP", "%s", "");
        PUMP_FOR(rig.loop, 30 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 4);
        rig_event("RESUME", "%s", "");
        PUMP_FOR(rig.loop, 10 * SEC);
        ck_assert_uint_eq(rig_count("system_powerdown"), 5);
        rig_event("SHUTDOWN", "%s", "");
        ck_assert_int_eq(k_wait_error(a), 0);
        ck_assert_int_eq(k_wait_error(b), 0);
}
END_TEST

START_TEST(press_that_qemu_has_no_time_for_ends_no_wait)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on(rig.fake, "system_powerdown", "{}");
        write = k_send_write(&file, "powerdown timeout=60", 20);
        SETTLE();
        fake_stick(rig.fake);
        PUMP_FOR(rig.loop, 40 * SEC);
        ck_assert(!k_is_answered(write));
        fake_unstick(rig.fake);
        SETTLE();
        rig_event("SHUTDOWN", "%s", "");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(powerdown_without_a_shutdown_is_none)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on(rig.fake, "system_powerdown", "{}");
        write = k_send_write(&file, "powerdown", 9);
        SETTLE();
        /* a QEMU that only dies has not been powered down */
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
}
END_TEST

START_TEST(powerdown_that_the_guest_ignores_times_out)
{
        uint64_t before = qmp_now();

        fake_on(rig.fake, "system_powerdown", "{}");
        ASSERT_ERROR(rig_echo("ctl", "powerdown"), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 30 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 31 * SEC);
        before = qmp_now();
        ASSERT_ERROR(rig_echo("ctl", "powerdown timeout=0.5"), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 600 * MS);
        before = qmp_now();
        ASSERT_OK(rig_echo("ctl", "powerdown nowait"));
        ck_assert_uint_lt(qmp_now() - before, 100 * MS);
        ASSERT_CAT_CONTAINS("errors", "ETIMEDOUT - 'powerdown' was passed on but not completed within 30 s\n");
        rig_event("STOP", "%s", "");
        SETTLE();
        ASSERT_ERROR(rig_echo("ctl", "powerdown timeout=2"), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", "not completed within 2 s, the VM is paused\n");
}
END_TEST

START_TEST(wakeup_waits_for_it)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on(rig.fake, "system_wakeup", "{}");
        write = k_send_write(&file, "wakeup", 6);
        SETTLE();
        ck_assert(!k_is_answered(write));
        rig_event("WAKEUP", "%s", "");
        ck_assert_int_eq(k_wait_error(write), 0);
        fake_on_error(rig.fake, "system_wakeup", "GenericError",
                      "Unable to wake up: guest is not in suspended state");
        ASSERT_ERROR(rig_echo("ctl", "wakeup"), EBUSY);
}
END_TEST

START_TEST(quit_ends_with_the_connection)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on_nothing(rig.fake, "quit");
        write = k_send_write(&file, "quit", 4);
        SETTLE();
        rig_event("SHUTDOWN", "%s", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
        fake_return(rig.fake, rig_last("quit"), "{}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        fake_close(rig.fake);
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_CAT("state", "down\n");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(quit_without_a_reply_is_a_success)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on_nothing(rig.fake, "quit");
        write = k_send_write(&file, "quit", 4);
        SETTLE();
        fake_close(rig.fake);
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

/* QEMU may go on. */
START_TEST(quit_is_not_done_where_we_hang_up)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write;

        fake_on_nothing(rig.fake, "quit");
        write = k_send_write(&file, "quit", 4);
        SETTLE();
        if (_i == 1)
                fake_return(rig.fake, rig_last("quit"), "{}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        fake_send_text(rig.fake, "]garbage\r\n");
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", "; it may have been carried out\n");
        ASSERT_CAT_CONTAINS("errors", "sent something that is not QMP");
}
END_TEST

START_TEST(stop_without_a_reply_is_none)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t write, reset;

        fake_on(rig.fake, "system_reset", "{}");
        fake_on_nothing(rig.fake, "stop");
        reset = k_send_write(&file, "reset", 5);
        SETTLE();
        write = k_send_write(&file, "stop", 4);
        SETTLE();
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(reset), EHOSTDOWN);
}
END_TEST

START_TEST(writers_do_not_wait_for_each_other)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        uint64_t powerdown;

        fake_on(rig.fake, "system_powerdown", "{}");
        fake_on(rig.fake, "stop", "{}");
        powerdown = k_send_write(&file, "powerdown", 9);
        SETTLE();
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "stop", 4)), 0);
        ck_assert(!k_is_answered(powerdown));
        rig_event("SHUTDOWN", "%s", "");
        ck_assert_int_eq(k_wait_error(powerdown), 0);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(only_writing_changes_anything),
                TEST_EACH(file_that_would_have_to_be_made_is_not_there, ARRAY_SIZE(typos)),
                TEST(attributes_cannot_be_changed),
                TEST(truncating_is_fine_where_writing_is),
                TEST(files_that_are_not_for_writing_are_not_opened_so),
                TEST(write_that_is_too_long_is_refused_whole),
                TEST(nul_bytes_are_refused),
                TEST(one_newline_is_dropped),
                TEST(empty_writes_are_refused),
                TEST_EACH(plain_verb_is_done_with_its_reply, ARRAY_SIZE(plain)),
                TEST(reading_lists_the_verbs),
                TEST(error_of_qemu_is_that_of_the_write),
                TEST(what_is_no_verb_is_refused),
                TEST_EACH(explain_tells_what_would_be_sent, ARRAY_SIZE(explained)),
                TEST(every_verb_has_a_limit_that_can_be_written),
                TEST(reset_waits_for_the_reset),
                TEST(reset_before_the_command_is_not_its_own),
                TEST(each_of_two_resets_has_its_own_event),
                TEST(powerdown_waits_for_the_guest),
                TEST(powerdown_is_repeated_while_somebody_waits),
                TEST(powerdown_once_is_a_single_press),
                TEST(a_press_too_many_is_not_made),
                TEST(press_that_qemu_has_no_time_for_ends_no_wait),
                TEST(powerdown_without_a_shutdown_is_none),
                TEST(powerdown_that_the_guest_ignores_times_out),
                TEST(wakeup_waits_for_it),
                TEST(quit_ends_with_the_connection),
                TEST(quit_without_a_reply_is_a_success),
                TEST_EACH(quit_is_not_done_where_we_hang_up, 2),
                TEST(stop_without_a_reply_is_none),
                TEST(writers_do_not_wait_for_each_other),
        };

        return test_main("fuse_write", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
