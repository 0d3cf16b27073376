/*
 * Direct access to the monitors, hmp and qmp: what is sent, what is read afterwards, and how it fails; and who may.
 */
#include <poll.h>

#include "tests/lib/command_vm.h"
#include "tests/lib/test.h"

/* --- hmp --------------------------------------------------------------------------------------------------------- */

START_TEST(hmp_takes_a_line_and_gives_its_text)
{
        struct k_file file = rig_must_open("hmp", O_RDWR);

        fake_on(rig.fake, "human-monitor-command", "\"a: x\\r\\n    b\\rc\\r\\n\\r\\nlast\"");
        ASSERT_OK(write_text(&file, "info block -v \"x\"\n"));
        ck_assert_str_eq(rig_last("human-monitor-command")->text,
                         "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info block -v "
                         "\\\"x\\\"\"}}");
        ASSERT_READ(&file, 18, 10, "a: x\n    b");
        ASSERT_READ(&file, 28, 100, "\rc\n\nlast\n");
        ASSERT_READ(&file, 37, 100, "");
        ASSERT_READ(&file, 0, 4, "a: x");
        /* what says nothing reads as nothing */
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        ASSERT_OK(write_text(&file, "stop"));
        ASSERT_READ(&file, 0, 100, "");
        fake_on(rig.fake, "human-monitor-command", "\"x\\r\\n\"");
        ASSERT_OK(write_text(&file, ""));
        ASSERT_READ(&file, 0, 100, "x\n");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(hmp_tells_its_usage_first)
{
        struct fuse_entry_out entry;
        char *text;

        ASSERT_OK(rig_walk("hmp", &entry));
        ASSERT_OK(rig_cat("hmp", &text));
        ck_assert_contains(text, "info block");
        ck_assert_uint_eq(entry.attr.size, strlen(text));
        free(text);
        ASSERT_OK(rig_walk("qmp", &entry));
        ASSERT_OK(rig_cat("qmp", &text));
        ck_assert_contains(text, "query-status");
        ck_assert_uint_eq(entry.attr.size, strlen(text));
        free(text);
        ASSERT_SENT("");
}
END_TEST

/*
 * QEMU quotes what it was given (7.2: "Parameter 'policy' does not accept value '…'"); and what was meant as a value may stand
 * anywhere. SECRET is then neither in `errors`, nor in what the next reader of the file sees, nor in what this one does.
 */
static const struct {
        const char *path, *written, *error;
} secrets[] = {
        { "cmd/get", "v=SECRET", "bad value 'SECRET'" },
        { "cmd/get", "v=\"two SECRET\"", "bad value 'two SECRET', at SECRET" },
        { "cmd/get", "v={\"a\":[\"SECRET\"]}", "SECRET is bad" },
        { "cmd/get", "{\"v\":{\"password\":\"SECRET\"}}", "'SECRET'" },
        { "cmd/get", "v=two SECRET", NULL },
        { "cmd/get", "v=two SECRET=1", NULL },
        { "cmd/get", "SECRET", NULL },
        { "cmd/block_resize", "node-name=SECRET", NULL },
        { "cmd/block_resize", "node-name=x size=SECRET", NULL },
        { "cmd/block_resize", "{\"node-name\":\"x\",\"size\":SECRET}", NULL },
        { "cmd/device_add", "driver=nvme passwort=SECRET bus.SECRET=1", NULL },
        { "hmp", "SECRET\377", NULL },
        { "qmp", "{\"execute\":\"get\",\"arguments\":{\"v\":\"SECRET\"}", NULL },
        { "qmp", "{\"execute\":\"get\",\"arguments\":\"SECRET\"}", NULL },
        { "qmp", "{\"execute\":\"get\",\"SECRET\":\"SECRET\"}", NULL },
        { "qmp", "{\"execute\":\"get\",\"arguments\":{\"v\":SECRET}}", NULL },
        { "ctl", "SECRET", NULL },
        { "ctl", "stop SECRET", NULL },
        { "ctl", "powerdown timeout=SECRET", NULL },
        { "block/NVME1/remove", "SECRET", NULL },
        { "block/NVME1/remove", "timeout=SECRET", NULL },
};

START_TEST(what_was_written_is_told_nowhere)
{
        bool can_read = !streq(secrets[_i].path, "ctl") && !strchr(secrets[_i].path, 'N');
        struct k_file file = rig_must_open(secrets[_i].path, can_read ? O_RDWR : O_WRONLY);
        const char *const paths[] = { "errors", secrets[_i].path };

        if (secrets[_i].error)
                fake_on_error(rig.fake, "get", "GenericError", secrets[_i].error);
        fake_on(rig.fake, "device-list-properties", "[{\"name\": \"password\", \"type\": \"str\"}]");
        ck_assert_int_lt(write_text(&file, secrets[_i].written), 0);
        for (size_t i = 0; i < ARRAY_SIZE(paths) + can_read; i++) {
                _cleanup_(qmp_freep) char *text = NULL;

                if (i < ARRAY_SIZE(paths))
                        ASSERT_OK(rig_cat(paths[i], &text));
                else
                        ck_assert_int_eq(rig_read_all(&file, &text, NULL), 0);
                ck_assert_msg(!strstr(text, "SECRET"), "%zu: %s", i, text);
        }
        ck_assert_uint_eq(n_errors(), 1);
}
END_TEST

/* A reply to `qmp` is QEMU's to the letter, for the one who wrote. */
START_TEST(error_in_a_reply_of_qmp_is_told_nowhere_else)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        _cleanup_(qmp_freep) char *errors = NULL, *usage = NULL;

        fake_on_error(rig.fake, "get", "GenericError", "bad value 'SECRET'");
        ASSERT_OK(write_text(&file, "{\"execute\":\"get\",\"arguments\":{\"v\":\"SECRET\"}}"));
        ASSERT_READ_CONTAINS(&file, "bad value 'SECRET'");
        ASSERT_CAT_CONTAINS("errors", " /qmp EIO GenericError bad value '…'\n");
        ASSERT_OK(rig_cat("errors", &errors));
        ASSERT_OK(rig_cat("qmp", &usage));
        ck_assert(!strstr(errors, "SECRET") && !strstr(usage, "SECRET"));
}
END_TEST

START_TEST(hmp_that_fails_is_noted_without_its_words)
{
        _cleanup_(qmp_freep) char *errors = NULL;

        fake_on(rig.fake, "human-monitor-command", "\"Error: 'SECRET' is too short\\r\\n\"");
        ASSERT_OK(rig_echo("hmp", "set_password vnc SECRET"));
        ASSERT_OK(rig_cat("errors", &errors));
        ck_assert_contains(errors, "Error: '…' is too short\n");
}
END_TEST

/* --- how the last write ended ------------------------------------------------------------------------------------ */

static const struct {
        const char *path, *bad, *good, *how;
} actions[] = {
        { "cmd/stop", "x=1", "", "EINVAL - the key at character 1 is unknown" },
        { "cmd/get", "SECRET", "", "EINVAL - expected KEY=VALUE" },
        { "hmp", "\377", "info", "EINVAL - invalid UTF-8 at byte 1\n" },
        { "qmp", "{", "{\"execute\":\"stop\"}", "EINVAL - the JSON value is incomplete\n" },
        { "ctl", "sotp", "stop", "EINVAL - no such verb (nearest: 'stop'); read the file for a list\n" },
        { "devices/nv0/remove", "yes", "nowait",
          "EINVAL - 'remove' takes only 1, nowait, timeout=SEC and explain\n" },
};

START_TEST(actions_tell_how_the_last_write_ended)
{
        static const char *const others[] = { "cmd/stop", "hmp", "qmp", "ctl", "block/NVME1/remove" };
        _cleanup_(qmp_freep) char *who = NULL;
        struct fuse_entry_out entry;
        char *text;

        fake_on(rig.fake, "human-monitor-command", "\"\"");
        fake_on(rig.fake, "device_del", "{}");
        ASSERT_CAT_CONTAINS(actions[_i].path, "\nlast write: none\n");
        ASSERT_ERROR(rig_echo(actions[_i].path, actions[_i].bad), EINVAL);
        /* whatever others do */
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (!streq(others[i], actions[_i].path))
                        (void)rig_echo(others[i], "{");
        ASSERT_OK(rig_cat(actions[_i].path, &text));
        ck_assert_int_gt(asprintf(&who, "Z uid=%u pid=%d ", getuid(), getpid()), 0);
        ck_assert_contains(text, "\nlast write: 2");
        ck_assert_contains(text, who);
        ck_assert_contains(text, actions[_i].how);
        ASSERT_OK(rig_walk(actions[_i].path, &entry));
        ck_assert_uint_eq(entry.attr.size, strlen(text));
        /* it is the last line */
        ck_assert_ptr_eq(strchr(strstr(text, "\nlast write: ") + 1, '\n'), text + strlen(text) - 1);
        free(text);
        ASSERT_OK(rig_echo(actions[_i].path, actions[_i].good));
        ASSERT_CAT_CONTAINS(actions[_i].path, " OK\n");
}
END_TEST

static const struct {
        const char *text, *logged;
} failures[] = {
        { "Error: Device 'x' not found\\r\\n", " /hmp ENODEV - Error: Device 'x' not found\n" },
        { "unknown command: 'frob'\\r\\n", " /hmp EOPNOTSUPP - unknown command: '…'\n" },
        { "info: extraneous characters at the end of line\\r\\nmore\\r\\n",
          " /hmp EIO - info: extraneous characters at the end of line\n" },
        { "Try \\\"help eject\\\" for more information\\r\\n", " /hmp EIO - Try \"help eject\" for more" },
        { "eject: string expected\\r\\nTry \\\"help eject\\\" for more information\\r\\n",
          " /hmp EIO - eject: string expected\n" },
};

START_TEST(what_fails_in_hmp_is_noted_while_the_write_succeeds)
{
        struct k_file file = rig_must_open("hmp", O_RDWR);
        _cleanup_(qmp_freep) char *json = NULL;

        ck_assert_int_gt(asprintf(&json, "\"%s\"", failures[_i].text), 0);
        fake_on(rig.fake, "human-monitor-command", json);
        ASSERT_OK(write_text(&file, "frob"));
        ck_assert_uint_eq(n_errors(), 1);
        ASSERT_CAT_CONTAINS("errors", failures[_i].logged);
        ASSERT_READ_CONTAINS(&file, "\n");
}
END_TEST

START_TEST(hmp_fails_as_its_command_does)
{
        struct k_file file = rig_must_open("hmp", O_RDWR);

        ASSERT_ERROR(write_text(&file, "info"), EOPNOTSUPP);
        ASSERT_READ_CONTAINS(&file, "\"class\": \"CommandNotFound\"");
        fake_on(rig.fake, "human-monitor-command", "{}");
        ASSERT_ERROR(write_text(&file, "info"), EPROTO);
        ASSERT_CAT_CONTAINS("errors", " /hmp EPROTO - QEMU's answer is not a string\n");
        ASSERT_READ_CONTAINS(&file, "QEMU's answer is not a string");
        fake_on_nothing(rig.fake, "human-monitor-command");
        ASSERT_ERROR(write_text(&file, "info"), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", " ETIMEDOUT - QEMU did not answer human-monitor-command within 60 s");
        ASSERT_READ_CONTAINS(&file, "may still carry it out");
}
END_TEST

START_TEST(hmp_takes_no_bytes_that_qemu_could_not_read)
{
        struct k_file file = rig_must_open("hmp", O_RDWR);

        fake_on(rig.fake, "human-monitor-command", "\"\"");
        ASSERT_ERROR(write_text(&file, "info \xff"), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /hmp EINVAL - invalid UTF-8 at byte 6\n");
        ASSERT_READ_CONTAINS(&file, "invalid UTF-8");
        ASSERT_SENT("");
        ASSERT_OK(write_text(&file, "info é\x01\""));
        ck_assert_str_eq(rig_last("human-monitor-command")->text,
                         "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info "
                         "é\\u0001\\\"\"}}");
}
END_TEST

/* --- qmp --------------------------------------------------------------------------------------------------------- */

START_TEST(qmp_answers_several_commands_in_their_order)
{
        static const char *const ids[] = {
                "1",    "-1", "18446744073709551615", "1.5",         "\"x\"", "\"\"", "null",
                "true", "[]", "{\"a\":[1,null]}",     "\"\xc3\xa9\""
        };
        struct k_file file = rig_must_open("qmp", O_RDWR);
        _cleanup_(qmp_freep) char *expected = strdup(""), *written = strdup("");
        char *read, *more;

        fake_on(rig.fake, "get", "{\"b\": 1.50, \"a\": [true, \"/\"]}");
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
                ck_assert_int_gt(
                        asprintf(&more, "%s{\"id\": %s, \"execute\": \"get\"}%s", written, ids[i], i % 2 ? "\n" : ""),
                        0);
                free(written);
                written = more;
                ck_assert_int_gt(asprintf(&more, "%s{\"id\":%s,\"return\":{\"b\":1.50,\"a\":[true,\"/\"]}}\n",
                                          expected, ids[i]),
                                 0);
                free(expected);
                expected = more;
        }
        ASSERT_OK(write_text(&file, written));
        ASSERT_OK(rig_read_all(&file, &read, NULL));
        ck_assert_str_eq(read, expected);
        free(read);
        /* the ids stay here, replies are matched by their order */
        ck_assert_str_eq(rig_last("get")->text, "{\"execute\":\"get\"}");
        ck_assert_uint_eq(rig_count("get"), ARRAY_SIZE(ids));
        /* then comes the end */
        ASSERT_READ(&file, 0, 100, "");
        ASSERT_OK(write_text(&file, " {\"execute\": \"get\", \"arguments\": {\"x\": 1}} "));
        ASSERT_READ(&file, 0, 14, "{\"return\":{\"b\"");
        ASSERT_READ(&file, 1000, 100, ":1.50,\"a\":[true,\"/\"]}}\n");
        ASSERT_READ(&file, 0, 100, "");
        ck_assert_str_eq(rig_last("get")->text, "{\"execute\":\"get\",\"arguments\":{\"x\":1}}");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(qmp_replies_of_several_writes_follow_each_other)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);

        fake_on(rig.fake, "get", "1");
        ASSERT_OK(write_text(&file, "{\"execute\":\"get\",\"id\":1}"));
        ASSERT_READ(&file, 0, 3, "{\"i");
        ASSERT_OK(write_text(&file, "{\"execute\":\"get\",\"id\":2}{\"execute\":\"get\",\"id\":3}"));
        ASSERT_READ(&file, 0, 1000, "d\":1,\"return\":1}\n{\"id\":2,\"return\":1}\n{\"id\":3,\"return\":1}\n");
}
END_TEST

START_TEST(qmp_error_is_a_reply_where_it_can_be_read)
{
        struct k_file file = rig_must_open("qmp", O_RDWR), blind = rig_must_open("qmp", O_WRONLY);

        fake_on_error(rig.fake, "get", "GenericError", "it is \"tired\"");
        ASSERT_OK(write_text(&file, "{\"execute\":\"stop\"}{\"execute\":\"get\",\"id\":7}{\"execute\":\"nosuch\"}"));
        ASSERT_READ(
                &file, 0, 1000,
                "{\"return\":{}}\n{\"id\":7,\"error\":{\"class\":\"GenericError\",\"desc\":\"it is "
                "\\\"tired\\\"\"}}\n{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"The command nosuch has not "
                "been found\"}}\n");
        ck_assert_uint_eq(n_errors(), 2);
        ASSERT_CAT_CONTAINS("errors", " /qmp EIO GenericError it is \"tired\"\n");
        ASSERT_CAT_CONTAINS("errors", " /qmp EOPNOTSUPP CommandNotFound The command nosuch has not been found\n");
        /* where it can't, it is the write's; the first one counts, and all are carried out */
        free(rig_sent());
        ASSERT_ERROR(write_text(&blind, "{\"execute\":\"stop\"}{\"execute\":\"nosuch\"}{\"execute\":\"get\"}"
                                        "{\"execute\":\"stop\"}"),
                     EOPNOTSUPP);
        ASSERT_SENT("stop nosuch get stop");
        /* the same as before: counted */
        ck_assert_uint_eq(n_errors(), 2);
        ASSERT_CAT_CONTAINS("qmp", " EOPNOTSUPP CommandNotFound The command nosuch has not been found\n");
        ASSERT_OK(write_text(&blind, "{\"execute\":\"stop\"}"));
}
END_TEST

static const struct {
        const char *written, *why;
} wrong[] = {
        { "", "incomplete" },
        { " \n", "incomplete" },
        { "{\"execute\":\"stop\"", "the JSON value is incomplete" },
        { "{\"execute\":\"stop\"} {", "the JSON value is incomplete" },
        { "{\"execute\":\"stop\"} x", "invalid JSON" },
        { "{'execute':'stop'}", "invalid JSON" },
        { "[{\"execute\":\"stop\"}]", "a command is a JSON object: {\"execute\": …}" },
        { "\"stop\"", "a command is a JSON object" },
        { "null", "a command is a JSON object" },
        { "{}", "a command has either 'execute' or 'exec-oob'" },
        { "{\"execute\":\"stop\",\"exec-oob\":\"stop\"}", "a command has either 'execute' or 'exec-oob'" },
        { "{\"execute\":\"stop\"}{\"id\":1}", "a command has either 'execute' or 'exec-oob'" },
        { "{\"execute\":1}", "'execute': expected the name of a command" },
        { "{\"execute\":null}", "'execute': expected the name of a command" },
        { "{\"execute\":\"stop\\u0000x\"}", "'execute': expected the name of a command" },
        { "{\"exec-oob\":[]}", "'exec-oob': expected the name of a command" },
        { "{\"execute\":\"stop\",\"arguments\":[]}", "'arguments': expected an object" },
        { "{\"execute\":\"stop\",\"arguments\":null}", "'arguments': expected an object" },
        { "{\"execute\":\"stop\",\"argument\":{}}", "unknown key; expected execute, exec-oob, arguments or id" },
        { "{\"execute\":\"stop\",\"id\":1,\"id\":2}", "occurs twice" },
        { "{\"execute\":\"stop\",\"id\":\"\xff\"}", "" },
};

START_TEST(qmp_refuses_what_is_no_command_and_sends_nothing)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);

        ASSERT_ERROR(write_text(&file, wrong[_i].written), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /qmp EINVAL - ");
        ASSERT_CAT_CONTAINS("errors", wrong[_i].why);
        ck_assert_uint_eq(n_errors(), 1);
        ASSERT_SENT("");
        ASSERT_READ(&file, 0, 100, "");
}
END_TEST

START_TEST(qmp_executes_out_of_band)
{
        struct k_file file;
        uint64_t write;

        command_vm_up_again_with_oob();
        fake_on(rig.fake, "get", "1");
        file = rig_must_open("qmp", O_RDWR);
        free(rig_sent());
        fake_stick(rig.fake);
        write = send_text(&file, "{\"execute\":\"get\",\"id\":\"in\"}{\"exec-oob\":\"yank\",\"id\":\"out\"}");
        SETTLE();
        ck_assert(rig_last("yank")->oob);
        ck_assert(!rig_last("get")->oob);
        ck_assert(!k_is_answered(write));
        fake_unstick(rig.fake);
        ASSERT_OK(k_wait_error(write));
        /* the reply that came first is not the first one */
        ASSERT_READ(&file, 0, 1000, "{\"id\":\"in\",\"return\":1}\n{\"id\":\"out\",\"return\":{}}\n");
}
END_TEST

/* @n commands in a write. */
static uint64_t send_yanks(const struct k_file *file, size_t n)
{
        static const char yank[] = "{\"exec-oob\":\"yank\"}";
        _cleanup_(qmp_freep) char *text = calloc(n, sizeof(yank));

        for (size_t i = 0; i < n; i++)
                strcat(text, yank);
        return send_text(file, text);
}

START_TEST(qmp_sends_nothing_where_not_all_have_room_out_of_band)
{
        struct k_file file, other;
        uint64_t write;

        command_vm_up_again_with_oob();
        file = rig_must_open("qmp", O_RDWR);
        other = rig_must_open("qmp", O_RDWR);
        free(rig_sent());
        ASSERT_ERROR(k_wait_error(send_yanks(&file, QMP_OOB_MAX + 1)), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /qmp EINVAL - more than 64 commands with 'exec-oob' in one write\n");
        ASSERT_SENT("");
        ASSERT_OK(k_wait_error(send_yanks(&file, QMP_OOB_MAX)));
        ck_assert_uint_eq(rig_count("yank"), QMP_OOB_MAX);
        /* some of the places are taken */
        fake_on_nothing(rig.fake, "yank");
        write = send_yanks(&other, QMP_OOB_MAX - 1);
        SETTLE();
        free(rig_sent());
        ASSERT_ERROR(k_wait_error(send_yanks(&file, 2)), EBUSY);
        ASSERT_CAT_CONTAINS("errors",
                            " /qmp EBUSY - 2 commands with 'exec-oob', and 63 of at most 64 are unanswered\n");
        ASSERT_SENT("");
        ck_assert(!k_is_answered(write));
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
}
END_TEST

START_TEST(qmp_sends_nothing_where_it_cannot_execute_out_of_band)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);

        ASSERT_ERROR(write_text(&file, "{\"execute\":\"stop\"}{\"exec-oob\":\"yank\"}"), EOPNOTSUPP);
        ASSERT_CAT_CONTAINS("errors", " /qmp EOPNOTSUPP - this monitor does not execute out of band\n");
        SETTLE();
        ASSERT_SENT("");
        ASSERT_READ(&file, 0, 100, "");
}
END_TEST

START_TEST(qmp_replies_are_of_one_open_file)
{
        struct k_file a = rig_must_open("qmp", O_RDWR), b = rig_must_open("qmp", O_RDWR);
        const struct fake_command *first;
        uint64_t write_a, write_b;

        fake_on_nothing(rig.fake, "get");
        write_a = send_text(&a, "{\"execute\":\"get\",\"id\":\"a\"}");
        SETTLE();
        first = rig_last("get");
        write_b = send_text(&b, "{\"execute\":\"get\",\"id\":\"b\"}");
        SETTLE();
        ck_assert_uint_ne(a.node, b.node);
        fake_return(rig.fake, first, "1");
        fake_return(rig.fake, rig_last("get"), "2");
        ASSERT_OK(k_wait_error(write_a));
        ASSERT_OK(k_wait_error(write_b));
        ASSERT_READ(&b, 0, 100, "{\"id\":\"b\",\"return\":2}\n");
        ASSERT_READ(&a, 0, 100, "{\"id\":\"a\",\"return\":1}\n");
        ASSERT_READ(&a, 0, 100, "");
        ASSERT_READ(&b, 0, 100, "");
}
END_TEST

START_TEST(qmp_takes_no_more_where_too_much_is_unread)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        size_t size = 16 << 20;
        char *text = malloc(size + 3);

        memset(text, 'x', size + 1);
        text[0] = '"';
        memcpy(text + size + 1, "\"", 2);
        fake_on(rig.fake, "get", text);
        free(text);
        for (size_t i = 0; i < 4; i++)
                ASSERT_OK(write_text(&file, "{\"execute\":\"get\"}"));
        ck_assert_uint_eq(rig_count("get"), 4);
        ASSERT_ERROR(write_text(&file, "{\"execute\":\"stop\"}"), ENOBUFS);
        ASSERT_CAT_CONTAINS("errors", " /qmp ENOBUFS - more than 64 MiB of replies are unread\n");
        ck_assert_uint_eq(rig_count("stop"), 0);
        /* there is room again when some were read */
        for (size_t i = 0; i < 10; i++)
                ASSERT_OK(k_wait_error(k_send_read(&file, 0, 65536)));
        ASSERT_OK(write_text(&file, "{\"execute\":\"stop\"}"));
}
END_TEST

START_TEST(qmp_delivers_what_was_answered_before_the_end)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        uint64_t write;

        /* some of it is answered, some sent, and the rest isn't */
        fake_on_nothing(rig.fake, "get");
        write = send_text(&file,
                          "{\"execute\":\"stop\",\"id\":1}{\"execute\":\"nosuch\",\"id\":2}{\"execute\":\"get\"}"
                          "{\"execute\":\"get\"}{\"execute\":\"get\"}{\"execute\":\"get\"}{\"execute\":\"get\"}"
                          "{\"execute\":\"get\"}");
        SETTLE();
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", "closed the connection; it may have been carried out\n");
        ASSERT_READ(
                &file, 0, 4096,
                "{\"id\":1,\"return\":{}}\n{\"id\":2,\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"The command "
                "nosuch has not been found\"}}\n");
        ASSERT_READ(&file, 0, 100, "");
}
END_TEST

START_TEST(qmp_times_out)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        uint64_t before = qmp_now();

        fake_on_nothing(rig.fake, "get");
        ASSERT_ERROR(write_text(&file, "{\"execute\":\"stop\",\"id\":1}{\"execute\":\"get\"}{\"execute\":\"get\"}"),
                     ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 60 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 60 * SEC + 20 * MS);
        ASSERT_CAT_CONTAINS("errors",
                            " /qmp ETIMEDOUT - QEMU did not answer within 60 s; it may still carry it out\n");
        ASSERT_READ(&file, 0, 100, "{\"id\":1,\"return\":{}}\n");
        fake_return(rig.fake, rig_last("get"), "1");
        fake_return(rig.fake, rig_last("get"), "2");
        SETTLE();
        ASSERT_READ(&file, 0, 100, "");
        ASSERT_OK(write_text(&file, "{\"execute\":\"stop\",\"id\":2}"));
        ASSERT_READ(&file, 0, 100, "{\"id\":2,\"return\":{}}\n");
}
END_TEST

START_TEST(qmp_that_was_not_sent_in_time_says_so)
{
        struct k_file files[4], file = rig_must_open("qmp", O_RDWR);

        rig.vm->peer.options.command_timeout_ns = 5 * SEC;
        fill_the_window(files);
        ASSERT_ERROR(write_text(&file, "{\"execute\":\"get\"}"), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", " /qmp ETIMEDOUT - QEMU is stalled: nothing was sent within 5 s\n");
        empty_the_window();
        ck_assert_uint_eq(rig_count("get"), 0);
}
END_TEST

START_TEST(qmp_is_interrupted)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        uint64_t write;

        fake_on_nothing(rig.fake, "get");
        write = send_text(&file, "{\"execute\":\"stop\",\"id\":1}{\"execute\":\"get\"}{\"execute\":\"get\"}"
                                 "{\"execute\":\"get\"}{\"execute\":\"get\"}{\"execute\":\"block_resize\"}");
        SETTLE();
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        ASSERT_READ(&file, 0, 100, "{\"id\":1,\"return\":{}}\n");
        for (size_t i = rig_count("get"); i > 0; i--)
                fake_return(rig.fake, rig_last("get"), "1");
        SETTLE();
        ASSERT_READ(&file, 0, 100, "");
        /* what was not yet sent never is */
        ck_assert_uint_eq(rig_count("block_resize"), 0);
        ASSERT_CAT_CONTAINS("errors", " /qmp ECANCELED - interrupted; QEMU may still carry it out\n");
        ASSERT_CAT("state", "running\n");
}
END_TEST

START_TEST(refused_write_replaces_the_reply)
{
        static char text[70000];
        struct k_file file = rig_must_open("cmd/get", O_RDWR), hmp = rig_must_open("hmp", O_RDWR);

        fake_on(rig.fake, "get", "\"first\"");
        ASSERT_OK(write_text(&file, ""));
        memset(text, 'x', sizeof(text));
        ASSERT_ERROR(k_wait_error(k_send_write(&file, text, sizeof(text))), EMSGSIZE);
        ASSERT_READ_CONTAINS(&file, "at most 64 KiB");
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "a\0b", 3)), EINVAL);
        ASSERT_READ_CONTAINS(&file, "a NUL byte");
        ASSERT_ERROR(k_wait_error(k_send_write(&hmp, "a\0b", 3)), EINVAL);
        ASSERT_READ_CONTAINS(&hmp, "a NUL byte");
}
END_TEST

START_TEST(reply_wakes_who_polls_qmp)
{
        struct k_file file = rig_must_open("qmp", O_RDWR), other = rig_must_open("qmp", O_RDWR);
        size_t n = kernel.n_woken;

        ck_assert_uint_eq(k_poll(&file, 1) & POLLIN, 0);
        ck_assert_uint_eq(k_poll(&other, 2) & POLLIN, 0);
        ASSERT_OK(write_text(&file, "{\"execute\":\"stop\"}"));
        SETTLE();
        ck_assert_uint_eq(kernel.n_woken, n + 1);
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, POLLIN);
        ck_assert_uint_eq(k_poll(&other, 0) & POLLIN, 0);
}
END_TEST

START_TEST(qmp_is_readable_when_there_is_a_reply)
{
        struct k_file file = rig_must_open("qmp", O_RDWR), usage = rig_must_open("qmp", O_RDONLY);

        ck_assert_uint_eq(k_poll(&usage, 0) & POLLIN, POLLIN);
        ck_assert_uint_eq(k_poll(&file, 0) & (POLLIN | POLLOUT), POLLOUT);
        ASSERT_OK(write_text(&file, "{\"execute\":\"stop\"}"));
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, POLLIN);
        ASSERT_READ(&file, 0, 100, "{\"return\":{}}\n");
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
        /* no file position, whose lock would make those who share it wait for each other */
        ck_assert_uint_ne(file.open_flags & (1 << 4), 0);
}
END_TEST

START_TEST(qmp_takes_thousands_of_commands_in_a_write)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        size_t n = 3000, lines = 0;
        char *text = malloc(n * 20 + 1), *to = text, *read;

        for (size_t i = 0; i < n; i++)
                to = stpcpy(to, "{\"execute\":\"stop\"}");
        ASSERT_OK(write_text(&file, text));
        ASSERT_OK(rig_read_all(&file, &read, NULL));
        for (const char *c = read; *c; c++)
                lines += *c == '\n';
        ck_assert_uint_eq(lines, n);
        free(read);
        free(text);
}
END_TEST

/* --- access ------------------------------------------------------------------------------------------------------ */

static const char *const raw[] = { "cmd", "qmp", "hmp" };

START_TEST(raw_access_is_the_owners)
{
        static const struct {
                const char *path;
                unsigned mode;
        } modes[] = {
                { "cmd", S_IFDIR | 0700 },
                { "cmd/get", S_IFREG | 0600 },
                { "qmp", S_IFREG | 0600 },
                { "hmp", S_IFREG | 0600 },
                { "query", S_IFDIR | 0755 },
                { "query/unstable", S_IFDIR | 0755 },
                { "schema", S_IFDIR | 0755 },
                { "schema/commands", S_IFDIR | 0755 },
                { "types", S_IFDIR | 0755 },
                { "qom", S_IFDIR | 0755 },
                { "schema/commands/get", S_IFREG | 0444 },
        };

        for (unsigned gid = 0; gid < 2; gid++) {
                rig.session->options.group_writes = gid;
                for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
                        struct fuse_entry_out entry;
                        struct fuse_attr attr;

                        ASSERT_OK(rig_walk(modes[i].path, &entry));
                        ASSERT_OK(k_getattr(entry.nodeid, &attr));
                        ck_assert_msg(attr.mode == modes[i].mode, "%s: %o", modes[i].path, attr.mode);
                }
        }
}
END_TEST

static bool is_not_raw(const struct row *row)
{
        return !row->raw;
}

START_TEST(raw_access_can_be_left_out)
{
        struct fuse_entry_out entry;

        rig.session->options.noraw = true;
        for (size_t i = 0; i < ARRAY_SIZE(raw); i++)
                ASSERT_ERROR(rig_walk(raw[i], &entry), ENOENT);
        ASSERT_LS_ROOT(is_not_raw);
        ASSERT_SENT("");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(hmp_takes_a_line_and_gives_its_text),
                TEST(hmp_tells_its_usage_first),
                TEST_EACH(what_was_written_is_told_nowhere, ARRAY_SIZE(secrets)),
                TEST(error_in_a_reply_of_qmp_is_told_nowhere_else),
                TEST(hmp_that_fails_is_noted_without_its_words),
                TEST_EACH(actions_tell_how_the_last_write_ended, ARRAY_SIZE(actions)),
                TEST_EACH(what_fails_in_hmp_is_noted_while_the_write_succeeds, ARRAY_SIZE(failures)),
                TEST(hmp_fails_as_its_command_does),
                TEST(hmp_takes_no_bytes_that_qemu_could_not_read),
                TEST(qmp_answers_several_commands_in_their_order),
                TEST(qmp_replies_of_several_writes_follow_each_other),
                TEST(qmp_error_is_a_reply_where_it_can_be_read),
                TEST_EACH(qmp_refuses_what_is_no_command_and_sends_nothing, ARRAY_SIZE(wrong)),
                TEST(qmp_executes_out_of_band),
                TEST(qmp_sends_nothing_where_not_all_have_room_out_of_band),
                TEST(qmp_sends_nothing_where_it_cannot_execute_out_of_band),
                TEST(qmp_replies_are_of_one_open_file),
                TEST(qmp_takes_no_more_where_too_much_is_unread),
                TEST(qmp_delivers_what_was_answered_before_the_end),
                TEST(qmp_times_out),
                TEST(qmp_that_was_not_sent_in_time_says_so),
                TEST(qmp_is_interrupted),
                TEST(refused_write_replaces_the_reply),
                TEST(reply_wakes_who_polls_qmp),
                TEST(qmp_is_readable_when_there_is_a_reply),
                TEST(qmp_takes_thousands_of_commands_in_a_write),
                TEST(raw_access_is_the_owners),
                TEST(raw_access_can_be_left_out),
        };

        return test_main("fuse_monitors", tests, ARRAY_SIZE(tests), command_vm_up, rig_down);
}
