/*
 * Commands that users write to cmd/: what is sent, what is read afterwards, and how it fails.
 */
#include <poll.h>

#include "fs/vm/introspection.h"
#include "tests/lib/command_vm.h"
#include "tests/lib/test.h"

/* --- cmd/: what is sent ------------------------------------------------------------------------------------------ */

START_TEST(what_nothing_was_written_to_reads_as_its_usage)
{
        struct fuse_entry_out entry;
        struct k_file file;
        char *text;

        ASSERT_OK(rig_cat("cmd/block_resize", &text));
        ck_assert_str_eq(text, "{ echo 'node-name=STRING size=INTEGER' >&3 && cat <&3; } 3<>block_resize\n"
                               "\n"
                               "command block_resize\n"
                               "\n"
                               "arguments:\n"
                               "    device                   [optional] string\n"
                               "    node-name                string\n"
                               "    size                     integer\n"
                               "\n"
                               "returns: nothing\n"
                               "\n"
                               "last write: none\n");
        ASSERT_OK(rig_walk("cmd/block_resize", &entry));
        ck_assert_uint_eq(entry.attr.size, strlen(text));
        /* for those who can write, too, and from anywhere */
        file = rig_must_open("cmd/block_resize", O_RDWR);
        ASSERT_READ(&file, 2, 4, "echo");
        ASSERT_READ(&file, 100000, 4, "");
        ASSERT_CAT_CONTAINS("cmd/device_add",
                            "The properties of the driver, listed in types/, are also arguments.\n");
        ASSERT_CAT_CONTAINS("cmd/stop", "{ echo '' >&3 && cat <&3; } 3<>stop\n");
        ck_assert_uint_eq(rig_count("block_resize"), 0);
        free(text);
}
END_TEST

static const struct {
        const char *command, *written, *sent;
} arguments[] = {
        { "block_resize", "node-name=disk0 size=20G\n",
          "{\"execute\":\"block_resize\",\"arguments\":{\"node-name\":\"disk0\",\"size\":21474836480}}" },
        { "blockdev-add", "driver=https timeout=7 url=x",
          "{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"https\",\"timeout\":7,\"url\":\"x\"}}" },
        { "block_resize", "size=0x1000,node-name=a,,b",
          "{\"execute\":\"block_resize\",\"arguments\":{\"size\":4096,\"node-name\":\"a,b\"}}" },
        { "block_resize", "node-name=\"a b\" size=1 device=d",
          "{\"execute\":\"block_resize\",\"arguments\":{\"node-name\":\"a b\",\"size\":1,\"device\":\"d\"}}" },
        { "block_resize", " {\"size\": 18446744073709551615, \"node-name\": \"é/\"} \n",
          "{\"execute\":\"block_resize\",\"arguments\":{\"size\":18446744073709551615,\"node-name\":\"é/\"}}" },
        { "stop", "\n", "{\"execute\":\"stop\"}" },
        { "stop", "{}", "{\"execute\":\"stop\"}" },
        { "stop", " ", "{\"execute\":\"stop\"}" },
        { "get", "v.a=1 v.b.0=x", "{\"execute\":\"get\",\"arguments\":{\"v\":{\"a\":1,\"b\":[\"x\"]}}}" },
        { "get", "{\"v\": null}", "{\"execute\":\"get\",\"arguments\":{\"v\":null}}" },
        { "yank", "instances=[{\"type\":\"chardev\"}]",
          "{\"execute\":\"yank\",\"arguments\":{\"instances\":[{\"type\":\"chardev\"}]}}" },
};

START_TEST(arguments_are_sent_as_the_schema_has_them)
{
        _cleanup_(qmp_freep) char *path = NULL;

        ck_assert_int_gt(asprintf(&path, "cmd/%s", arguments[_i].command), 0);
        ASSERT_OK(rig_echo(path, arguments[_i].written));
        ck_assert_str_eq(rig_last(arguments[_i].command)->text, arguments[_i].sent);
        ASSERT_CAT("errors", "");
}
END_TEST

static const struct {
        const char *path, *written, *why;
} refused[] = {
        { "cmd/block_resize", "", "'node-name' is missing; expected string" },
        { "cmd/block_resize", "node-name=x", "'size' is missing; expected integer" },
        { "cmd/block_resize", "node-name=x size=much",
          "'size': expected integer, but it does not begin with a digit" },
        { "cmd/block_resize", "node-name=x size=+64M", "'size': expected integer, but a '+' sign is not accepted" },
        { "cmd/block_resize", "node-name=x size=1 nosuch=2",
          "the key at character 20 is unknown; expected: device, node-name, size" },
        { "cmd/block_resize", "node-name=x node-name=y size=1", "the key at character 13 is given twice" },
        { "cmd/block_resize", "disk0", "expected KEY=VALUE at character 1; a value that contains blanks" },
        { "cmd/block_resize", "{\"node-name\": \"x\"", "the JSON value is incomplete" },
        { "cmd/block_resize", "{\"node-name\": \"x\", \"size\": \"1\"}", "'size': expected integer" },
        { "cmd/block_resize", "node-name=\xff size=1", "invalid UTF-8" },
        { "cmd/blockdev-add", "driver=file timeout=7", "the key at character 13 is unknown" },
        { "cmd/stop", "now=true", "the key at character 1 is unknown; the command takes no arguments" },
        { "cmd/device_add", "id=x", "'driver' is missing; expected string" },
};

START_TEST(what_does_not_fit_the_schema_is_refused)
{
        const char *name = refused[_i].path + strlen("cmd/");
        struct k_file file = rig_must_open(refused[_i].path, O_RDWR);

        ASSERT_ERROR(write_text(&file, refused[_i].written), EINVAL);
        ck_assert_uint_eq(rig_count(name), 0);
        ck_assert_uint_eq(n_errors(), 1);
        ASSERT_CAT_CONTAINS("errors", " EINVAL - ");
        ASSERT_CAT_CONTAINS("errors", refused[_i].path);
        ASSERT_CAT_CONTAINS("errors", refused[_i].why);
        ASSERT_READ_CONTAINS(&file, "{\n  \"error\": {\n    \"desc\": \"");
        ASSERT_READ_CONTAINS(&file, refused[_i].why);
}
END_TEST

START_TEST(write_that_is_too_long_or_has_nul_is_refused)
{
        static const char *const paths[] = { "cmd/get", "hmp", "qmp" };
        char *text = calloc(1, 65538);

        memset(text, ' ', 65537);
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct k_file file = rig_must_open(paths[i], O_RDWR);

                ASSERT_ERROR(k_wait_error(k_send_write(&file, text, 65537)), EMSGSIZE);
                ASSERT_ERROR(k_wait_error(k_send_write(&file, "a\0b", 3)), EINVAL);
        }
        ck_assert_uint_eq(rig_count("get"), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
        ASSERT_CAT_CONTAINS("errors", " /cmd/get EMSGSIZE - ");
        ASSERT_CAT_CONTAINS("errors", " /qmp EINVAL - the line contains a NUL byte");
        /* just not too long */
        ASSERT_OK(rig_echo("cmd/get", text + 1));
        free(text);
}
END_TEST

START_TEST(device_add_is_typed_by_its_driver)
{
        static const char properties[] =
                "[{\"name\": \"serial\", \"type\": \"str\"}, {\"name\": \"num_queues\", \"type\": \"uint32\"}, "
                "{\"name\": \"sse4.1\", \"type\": \"bool\"}]";

        fake_on(rig.fake, "device-list-properties", properties);
        ASSERT_OK(rig_echo("cmd/device_add", "driver=nvme id=n1 serial=007 num_queues=0x10 sse4.1=on"));
        ck_assert_str_eq(rig_last("device-list-properties")->text,
                         "{\"execute\":\"device-list-properties\",\"arguments\":{\"typename\":\"nvme\"}}");
        ck_assert_str_eq(rig_last("device_add")->text,
                         "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"nvme\",\"id\":\"n1\","
                         "\"serial\":\"007\",\"num_queues\":16,\"sse4.1\":true}}");
        ASSERT_SENT("query-qmp-schema device-list-properties device_add");
        /* types/ knows it now, and nobody has to ask again */
        ASSERT_CAT_CONTAINS("types/nvme", "num_queues                       uint32");
        ASSERT_OK(rig_echo("cmd/device_add", "driver=nvme id=n1 num_queues=2"));
        ASSERT_SENT("device_add");
        /* JSON may have members that the schema does not know */
        ASSERT_OK(rig_echo("cmd/device_add", "{\"driver\": \"nvme\", \"serial\": \"x\"}"));
        ck_assert_str_eq(rig_last("device_add")->text, "{\"execute\":\"device_add\",\"arguments\":{\"driver\":"
                                                       "\"nvme\",\"serial\":\"x\"}}");
        ASSERT_ERROR(rig_echo("cmd/device_add", "driver=nvme nosuch=1"), EINVAL);
        ASSERT_CAT_CONTAINS(
                "errors", " /cmd/device_add EINVAL - the key at character 13 is not a property of this type; types/ "
                          "lists them\n");
        ck_assert_uint_eq(rig_count("device_add"), 3);
        ck_assert_uint_eq(rig_count("device-list-properties"), 1);
}
END_TEST

/* It may be an alias, such as virtio-net, which device-list-properties doesn't know. */
START_TEST(device_add_of_an_unknown_type_is_judged_by_qemu)
{
        fake_on_error(rig.fake, "device-list-properties", "DeviceNotFound", "Device 'virtio-net' not found");
        fake_on(rig.fake, "device_add", "{}");
        ASSERT_OK(rig_echo("cmd/device_add", "driver=virtio-net id=n0 mac=52:54:00:12:34:56 mq=on"));
        ck_assert_str_eq(rig_last("device_add")->text,
                         "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"virtio-net\",\"id\":\"n0\","
                         "\"mac\":\"52:54:00:12:34:56\",\"mq\":\"on\"}}");
        fake_on_error(rig.fake, "device_add", "GenericError", "'nosuch' is not a valid device model name");
        ASSERT_ERROR(rig_echo("cmd/device_add", "driver=nosuch"), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " EINVAL GenericError 'nosuch' is not a valid device model name\n");
        /* what the schema itself knows is judged by it */
        ASSERT_ERROR(rig_echo("cmd/device_add", "driver=nosuch id.x=1"), EINVAL);
        ck_assert_uint_eq(rig_count("device_add"), 2);
}
END_TEST

/* QEMU 7.2 aborts in device-list-properties of some types. */
START_TEST(explained_device_add_asks_for_no_properties)
{
        struct k_file file = rig_must_open("cmd/device_add", O_RDWR);

        fake_on(rig.fake, "device-list-properties", "[{\"name\": \"num_queues\", \"type\": \"uint32\"}]");
        ASSERT_OK(write_text(&file, "driver=nvme explain num_queues=0x10"));
        ASSERT_SENT("query-qmp-schema");
        ASSERT_READ(&file, 0, 4096,
                    "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"nvme\",\"num_queues\":\"0x10\"}}\n");
        /* what is known is used */
        ASSERT_OK(rig_echo("types/nvme", ""));
        ASSERT_OK(write_text(&file, "driver=nvme explain num_queues=0x10"));
        ASSERT_READ_CONTAINS(&file, "\"num_queues\":16}}\n");
        ASSERT_ERROR(write_text(&file, "driver=nvme explain nosuch=1"), EINVAL);
        ASSERT_SENT("device-list-properties");
}
END_TEST

START_TEST(command_goes_out_of_band_where_both_can)
{
        struct k_file yank, stop;
        uint64_t write;

        command_vm_up_again_with_oob();
        yank = rig_must_open("cmd/yank", O_RDWR);
        stop = rig_must_open("cmd/stop", O_RDWR);
        ASSERT_OK(write_text(&stop, ""));
        ck_assert(!rig_last("stop")->oob);
        /* just then it is needed */
        fake_stick(rig.fake);
        write = send_text(&stop, "");
        ASSERT_OK(write_text(&yank, "instances=[]"));
        ck_assert(rig_last("yank")->oob);
        ck_assert(!k_is_answered(write));
        ASSERT_READ(&yank, 0, 100, "{}\n");
        fake_unstick(rig.fake);
        ASSERT_OK(k_wait_error(write));
}
END_TEST

START_TEST(command_goes_in_band_where_out_of_band_was_not_negotiated)
{
        ASSERT_OK(rig_echo("cmd/yank", "instances=[]"));
        ck_assert(!rig_last("yank")->oob);
}
END_TEST

/* --- cmd/: what is read ------------------------------------------------------------------------------------------ */

START_TEST(reply_is_read_behind_what_was_written_or_from_the_start)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR), other = rig_must_open("cmd/get", O_RDWR);

        fake_on(rig.fake, "get", "\"0123456789\"");
        ASSERT_OK(write_text(&file, "v=1\n"));
        /* right behind it, in parts; seeking back within it reads again */
        ASSERT_READ(&file, 4, 3, "012");
        ASSERT_READ(&file, 7, 3, "345");
        ASSERT_READ(&file, 5, 3, "123");
        ASSERT_READ(&file, 10, 100, "6789\n");
        ASSERT_READ(&file, 15, 100, "");
        ASSERT_READ(&file, 1000, 100, "");
        /* from the start */
        ASSERT_READ(&file, 0, 3, "012");
        ASSERT_READ(&file, 3, 100, "3456789\n");
        ASSERT_READ(&file, 11, 100, "");
        /* it is nobody else's */
        ASSERT_READ_CONTAINS(&other, "command get\n");
        ck_assert_uint_eq(rig_count("get"), 1);
}
END_TEST

static const struct {
        const char *value, *text;
} values[] = {
        { "{}", "{}\n" },         { "{\"a\": [1, null]}", "{\n  \"a\": [\n    1,\n    null\n  ]\n}\n" },
        { "[1]", "[\n  1\n]\n" }, { "\"a\\u0000b\"", "a" },
        { "\"\"", "\n" },         { "18446744073709551615", "18446744073709551615\n" },
        { "1.50", "1.50\n" },     { "true", "true\n" },
        { "null", "null\n" },
};

START_TEST(reply_is_a_structure_as_json_or_a_bare_scalar)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);

        fake_on(rig.fake, "get", values[_i].value);
        ASSERT_OK(write_text(&file, ""));
        ASSERT_READ(&file, 0, 4096, values[_i].text);
}
END_TEST

START_TEST(another_write_replaces_the_reply)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t write;

        fake_on(rig.fake, "get", "\"first\"");
        ASSERT_OK(k_wait_error(send_text_at(&file, 0, "v=1\n")));
        ASSERT_READ(&file, 4, 100, "first\n");
        fake_on(rig.fake, "get", "\"second, longer\"");
        ASSERT_OK(k_wait_error(send_text_at(&file, 10, "v=2\n")));
        ASSERT_READ(&file, 14, 100, "second, longer\n");
        ASSERT_READ(&file, 29, 100, "");
        ASSERT_READ(&file, 0, 6, "second");
        fake_on_error(rig.fake, "get", "GenericError", "no third");
        ASSERT_ERROR(k_wait_error(send_text_at(&file, 29, "v=3\n")), EIO);
        ASSERT_READ(&file, 33, 100,
                    "{\n  \"error\": {\n    \"class\": \"GenericError\",\n    \"desc\": \"no third\"\n"
                    "  }\n}\n");
        /* while it is under way there is none */
        fake_on_nothing(rig.fake, "get");
        write = send_text(&file, "");
        SETTLE();
        ASSERT_READ(&file, 0, 100, "");
        fake_return(rig.fake, rig_last("get"), "4");
        ASSERT_OK(k_wait_error(write));
        ASSERT_READ(&file, 0, 100, "4\n");
}
END_TEST

START_TEST(error_of_qemu_is_that_of_the_write_and_is_read)
{
        struct k_file file = rig_must_open("cmd/block_resize", O_RDWR);

        fake_on_error(rig.fake, "block_resize", "GenericError", "Device 'x' is locked");
        ASSERT_ERROR(write_text(&file, "node-name=x size=1"), EBUSY);
        ASSERT_READ(&file, 19, 4096,
                    "{\n  \"error\": {\n    \"class\": \"GenericError\",\n    \"desc\": \"Device 'x' is "
                    "locked\"\n  }\n}\n");
        ASSERT_CAT_CONTAINS("errors", " /cmd/block_resize EBUSY GenericError Device 'x' is locked\n");
        ck_assert_uint_eq(n_errors(), 1);
        fake_on_error(rig.fake, "block_resize", "GenericError", "Could not open '/x': No such file or directory");
        ASSERT_ERROR(write_text(&file, "node-name=x size=1"), ENOENT);
        fake_on_error(rig.fake, "block_resize", "CommandNotFound", "The command block_resize has not been found");
        ASSERT_ERROR(write_text(&file, "node-name=x size=1"), EOPNOTSUPP);
}
END_TEST

START_TEST(large_reply_is_read_whole)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        size_t size = 1 << 20, n;
        char *text = malloc(size + 3), *read;

        text[0] = '"';
        for (size_t i = 0; i < size; i++)
                text[i + 1] = (char)('a' + i % 23);
        memcpy(text + size + 1, "\"", 2);
        fake_on(rig.fake, "get", text);
        ASSERT_OK(write_text(&file, ""));
        ASSERT_OK(rig_read_all(&file, &read, &n));
        ck_assert_uint_eq(n, size + 1);
        ck_assert_int_eq(memcmp(read, text + 1, size), 0);
        ck_assert_str_eq(read + size, "\n");
        free(read);
        free(text);
}
END_TEST

START_TEST(who_only_writes_gets_the_error_too)
{
        struct k_file file = rig_must_open("cmd/get", O_WRONLY);

        ASSERT_OK(write_text(&file, ""));
        fake_on_error(rig.fake, "get", "GenericError", "no");
        ASSERT_ERROR(write_text(&file, ""), EIO);
}
END_TEST

/* --- cmd/: what goes wrong meanwhile ----------------------------------------------------------------------------- */

START_TEST(interrupted_before_it_is_sent_it_is_not_carried_out)
{
        struct k_file files[4], file = rig_must_open("cmd/get", O_RDWR);
        uint64_t write;

        fill_the_window(files);
        write = send_text(&file, "");
        SETTLE();
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        empty_the_window();
        ck_assert_uint_eq(rig_count("get"), 0);
        ASSERT_READ(&file, 0, 4096, "{\n  \"error\": {\n    \"desc\": \"Interrupted system call\"\n  }\n}\n");
        ASSERT_CAT("errors", "");
        ASSERT_OK(write_text(&file, ""));
        ASSERT_READ(&file, 0, 4096, "{}\n");
}
END_TEST

START_TEST(interrupted_after_it_was_sent_its_reply_is_dropped)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t write;

        fake_on_nothing(rig.fake, "get");
        write = send_text(&file, "");
        SETTLE();
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), ECANCELED);
        fake_return(rig.fake, rig_last("get"), "\"late\"");
        SETTLE();
        ASSERT_READ(&file, 0, 4096,
                    "{\n  \"error\": {\n    \"desc\": \"interrupted; QEMU may still carry it out\"\n  }\n}\n");
        fake_on(rig.fake, "get", "\"next\"");
        ASSERT_OK(write_text(&file, ""));
        ASSERT_READ(&file, 0, 4096, "next\n");
        /* and one whose interrupt came first */
        k_interrupt(kernel.unique + 2);
        SETTLE();
        fake_on_nothing(rig.fake, "get");
        ASSERT_ERROR(write_text(&file, ""), ECANCELED);
}
END_TEST

START_TEST(words_stand_among_the_arguments)
{
        struct k_file file = rig_must_open("cmd/block_resize", O_RDWR), other = rig_must_open("cmd/get", O_RDWR);
        uint64_t before = qmp_now();

        ASSERT_OK(write_text(&file, "node-name=disk0 explain size=20G"));
        ASSERT_READ(&file, 0, 4096,
                    "{\"execute\":\"block_resize\",\"arguments\":{\"node-name\":\"disk0\",\"size\":21474836480}}\n");
        ASSERT_OK(write_text(&file, "explain {\"node-name\": \"disk0\", \"size\": 512}"));
        ASSERT_READ_CONTAINS(&file, "\"size\":512}}\n");
        ASSERT_ERROR(write_text(&file, "explain node-name=disk0"), EINVAL);
        ASSERT_READ_CONTAINS(&file, "'size' is missing");
        ck_assert_uint_eq(rig_count("block_resize"), 0);
        fake_on_nothing(rig.fake, "block_resize");
        ASSERT_ERROR(write_text(&file, "node-name=disk0 size=20G timeout=0.5"), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, SEC);
        ASSERT_CAT_CONTAINS("errors", "QEMU did not answer block_resize within 0.5 s; it may still carry it out\n");
        fake_return(rig.fake, rig_last("block_resize"), "{}");
        ASSERT_OK(write_text(&other, "v=1 nowait"));
        ck_assert_contains(rig_last("get")->text, "{\"v\":1}");
}
END_TEST

START_TEST(written_limit_may_be_longer_than_the_usual_one)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t write;

        fake_on_nothing(rig.fake, "get");
        write = send_text(&file, "v=1 timeout=300");
        PUMP_FOR(rig.loop, 299 * SEC);
        ck_assert(!k_is_answered(write));
        fake_return(rig.fake, rig_last("get"), "7");
        ASSERT_OK(k_wait_error(write));
        ASSERT_READ(&file, 0, 100, "7\n");
        write = send_text(&file, "v=1 timeout=300");
        PUMP_FOR(rig.loop, 301 * SEC);
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", "QEMU did not answer get within 300 s; it may still carry it out\n");
}
END_TEST

START_TEST(command_without_a_reply_times_out)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t before = qmp_now();

        fake_on_nothing(rig.fake, "get");
        ASSERT_ERROR(write_text(&file, ""), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 60 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 60 * SEC + 20 * MS);
        ASSERT_CAT_CONTAINS("errors",
                            " /cmd/get ETIMEDOUT - QEMU did not answer get within 60 s; it may still carry it out\n");
        ASSERT_READ_CONTAINS(&file, "\"desc\": \"QEMU did not answer get within 60 s; it may still carry it out\"");
        fake_return(rig.fake, rig_last("get"), "\"late\"");
        SETTLE();
        ASSERT_READ_CONTAINS(&file, "\"desc\": \"QEMU did not answer get within 60 s; it may still carry it out\"");
        fake_on(rig.fake, "get", "\"next\"");
        ASSERT_OK(write_text(&file, ""));
        ASSERT_READ(&file, 0, 4096, "next\n");
}
END_TEST

START_TEST(command_that_was_not_sent_in_time_says_so)
{
        struct k_file files[4], file = rig_must_open("cmd/get", O_RDWR);

        rig.vm->peer.options.command_timeout_ns = 5 * SEC;
        fill_the_window(files);
        ASSERT_ERROR(write_text(&file, ""), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors", " /cmd/get ETIMEDOUT - QEMU is stalled: get was not sent within 5 s\n");
        empty_the_window();
        ck_assert_uint_eq(rig_count("get"), 0);
}
END_TEST

START_TEST(command_has_its_time_whatever_was_asked_before_it)
{
        struct k_file file = rig_must_open("cmd/device_add", O_RDWR);
        uint64_t write, before = qmp_now();

        fake_on_nothing(rig.fake, "device-list-properties");
        fake_on_nothing(rig.fake, "device_add");
        write = send_text(&file, "driver=nvme");
        PUMP_FOR(rig.loop, 2 * SEC);
        fake_return(rig.fake, rig_last("device-list-properties"), "[]");
        PUMP_FOR(rig.loop, 50 * SEC);
        ck_assert_uint_eq(rig_count("device_add"), 1);
        ck_assert(!k_is_answered(write));
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        /* from when it was sent */
        ck_assert_uint_ge(qmp_now() - before, 62 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 63 * SEC);
}
END_TEST

START_TEST(what_was_known_meanwhile_is_not_used_after_the_reply)
{
        struct fuse_entry_out entry;
        struct k_file yank, qmp;
        uint64_t write;

        /* out of band, so that others are answered while it is under way */
        command_vm_up_again_with_oob();
        fake_on_nothing(rig.fake, "yank");
        yank = rig_must_open("cmd/yank", O_RDWR);
        qmp = rig_must_open("qmp", O_RDWR);
        for (unsigned i = 0; i < 2; i++) {
                write = i ? send_text(&qmp, "{\"exec-oob\":\"yank\"}") : send_text(&yank, "instances=[]");
                SETTLE();
                free(rig_sent());
                ASSERT_OK(rig_walk("block/NVME1", &entry));
                ASSERT_SENT("query-block");
                fake_return(rig.fake, rig_last("yank"), "{}");
                ASSERT_OK(k_wait_error(write));
                ASSERT_OK(rig_walk("block/NVME1", &entry));
                ASSERT_SENT("query-block");
        }
}
END_TEST

START_TEST(qemu_that_is_gone_is_told)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR), hmp = rig_must_open("hmp", O_RDWR),
                      qmp = rig_must_open("qmp", O_RDWR);
        uint64_t write;

        fake_on_nothing(rig.fake, "get");
        write = send_text(&file, "");
        SETTLE();
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", " /cmd/get EHOSTDOWN - ");
        ASSERT_CAT_CONTAINS("errors", "closed the connection; it may have been carried out\n");
        ASSERT_READ_CONTAINS(&file, "closed the connection; it may have been carried out\"");
        /* later there is nobody to send it to */
        ASSERT_ERROR(write_text(&file, ""), EHOSTDOWN);
        ASSERT_READ_CONTAINS(&file, "\"desc\": \"down: ");
        ASSERT_ERROR(write_text(&hmp, "info"), EHOSTDOWN);
        ASSERT_READ_CONTAINS(&hmp, "\"desc\": \"down: ");
        ASSERT_ERROR(write_text(&qmp, "{\"execute\":\"get\"}"), EHOSTDOWN);
        ASSERT_READ(&qmp, 0, 100, "");
        ASSERT_CAT_CONTAINS("errors", " /hmp EHOSTDOWN - down: ");
        ASSERT_CAT_CONTAINS("errors", " /qmp EHOSTDOWN - down: ");
}
END_TEST

START_TEST(connection_that_ends_before_it_was_sent_leaves_no_doubt)
{
        struct k_file files[4], file = rig_must_open("cmd/get", O_RDWR);
        _cleanup_(qmp_freep) char *errors = NULL;
        uint64_t write;

        fill_the_window(files);
        write = send_text(&file, "");
        SETTLE();
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        ASSERT_OK(rig_cat("errors", &errors));
        ck_assert_contains(errors, " /cmd/get EHOSTDOWN - ");
        ck_assert_ptr_null(strstr(errors, "may have been carried out"));
}
END_TEST

START_TEST(writes_wait_for_the_schema)
{
        struct k_file a = rig_must_open("cmd/get", O_RDWR), b = rig_must_open("cmd/stop", O_RDWR);
        uint64_t writes[3], read;

        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        fake_on(rig.fake, "get", "1");
        free(rig_sent());
        writes[0] = send_text(&a, "");
        writes[1] = send_text(&b, "");
        writes[2] = send_text(&b, "wrong=1");
        read = k_send_read(&b, 0, 4096);
        SETTLE();
        ASSERT_SENT("query-qmp-schema");
        fake_return(rig.fake, rig_last("query-qmp-schema"), command_vm_schema);
        ASSERT_OK(k_wait_error(writes[0]));
        ASSERT_OK(k_wait_error(writes[1]));
        ASSERT_ERROR(k_wait_error(writes[2]), EINVAL);
        ASSERT_OK(k_wait_error(read));
        ASSERT_SENT("get stop");
        ASSERT_READ(&a, 0, 100, "1\n");
}
END_TEST

START_TEST(schema_that_fails_fails_the_write_and_is_asked_for_again)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR), usage = rig_must_open_and_read("cmd/get", O_RDONLY);

        rig_forget_introspection();
        fake_on_error(rig.fake, "query-qmp-schema", "GenericError", "it is tired");
        ASSERT_ERROR(write_text(&file, ""), EIO);
        ASSERT_CAT_CONTAINS("errors", " /cmd/get EIO GenericError it is tired\n");
        ASSERT_READ(&file, 0, 4096,
                    "{\n  \"error\": {\n    \"class\": \"GenericError\",\n    \"desc\": \"it is tired\"\n  }\n}\n");
        ASSERT_ERROR(k_wait_error(k_send_read(&usage, 0, 100)), EIO);
        fake_on(rig.fake, "query-qmp-schema", "{\"not\": \"a list\"}");
        ASSERT_ERROR(write_text(&file, ""), EPROTO);
        ASSERT_CAT_CONTAINS("errors", " /cmd/get EPROTO - QEMU's answer is not a list\n");
        ASSERT_ERROR(rig_ls("cmd", NULL), EPROTO);
        ck_assert_uint_eq(rig_count("get"), 0);
        fake_on(rig.fake, "query-qmp-schema", "[]");
        ASSERT_ERROR(write_text(&file, ""), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /cmd/get ENODEV - this QEMU has no 'get'\n");
        ASSERT_READ_CONTAINS(&file, "this QEMU has no 'get'");
        rig_forget_introspection();
        fake_on(rig.fake, "query-qmp-schema", command_vm_schema);
        ASSERT_OK(write_text(&file, ""));
        ASSERT_READ(&file, 0, 100, "{}\n");
}
END_TEST

START_TEST(what_ends_while_it_waits_for_the_schema_has_its_error_to_read)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t write;

        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        write = send_text(&file, "");
        SETTLE();
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        ASSERT_READ(&file, 0, 4096, "{\n  \"error\": {\n    \"desc\": \"Interrupted system call\"\n  }\n}\n");
        ASSERT_ERROR(write_text(&file, ""), ETIMEDOUT);
        ASSERT_READ_CONTAINS(&file, "\"desc\": \"");
        ASSERT_CAT_CONTAINS("errors", " /cmd/get ETIMEDOUT - ");
        ck_assert_uint_eq(rig_count("get"), 0);
}
END_TEST

START_TEST(qemu_that_goes_while_the_schema_is_fetched_is_told)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t writes[3];

        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
                writes[i] = send_text(&file, "");
        SETTLE();
        fake_close(rig.fake);
        for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
                ASSERT_ERROR(k_wait_error(writes[i]), EHOSTDOWN);
        ASSERT_READ_CONTAINS(&file, "closed the connection");
}
END_TEST

START_TEST(writers_do_not_wait_for_each_other)
{
        struct k_file a = rig_must_open("cmd/get", O_RDWR), b = rig_must_open("cmd/get", O_RDWR);
        const struct fake_command *first, *second;
        uint64_t write_a, write_b, again;

        /* each lookup has an inode of its own, by whose lock the kernel would make one wait for the other */
        ck_assert_uint_ne(a.node, b.node);
        fake_on_nothing(rig.fake, "get");
        write_a = send_text(&a, "v=1");
        SETTLE();
        first = rig_last("get");
        write_b = send_text(&b, "v=2");
        SETTLE();
        second = rig_last("get");
        ck_assert_ptr_ne(first, second);
        fake_return(rig.fake, first, "\"one\"");
        fake_return(rig.fake, second, "\"two\"");
        ASSERT_OK(k_wait_error(write_a));
        ASSERT_OK(k_wait_error(write_b));
        ASSERT_READ(&a, 0, 100, "one\n");
        ASSERT_READ(&b, 0, 100, "two\n");
        /* who share an open file see the last reply */
        write_a = send_text(&a, "v=1");
        SETTLE();
        first = rig_last("get");
        again = send_text(&a, "v=2");
        SETTLE();
        fake_return(rig.fake, first, "\"one\"");
        ASSERT_OK(k_wait_error(write_a));
        ck_assert(!k_is_answered(again));
        fake_return(rig.fake, rig_last("get"), "\"two\"");
        ASSERT_OK(k_wait_error(again));
        ASSERT_READ(&a, 0, 100, "two\n");
}
END_TEST

START_TEST(many_writers_of_one_open_file_are_all_answered)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);
        uint64_t writes[40];

        rig_forget_introspection();
        for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
                writes[i] = send_text(&file, i % 3 ? "v=1" : "nosuch=1");
        for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
                ASSERT_ERROR(k_wait_error(writes[i]), i % 3 ? 0 : EINVAL);
        ck_assert_uint_eq(rig_count("query-qmp-schema"), 2);
}
END_TEST

/* Writes that wait, for all three files. */
static uint64_t park_command(void)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);

        fake_on_nothing(rig.fake, "get");
        return send_text(&file, "");
}

static uint64_t park_schema(void)
{
        struct k_file file = rig_must_open("cmd/get", O_RDWR);

        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        return send_text(&file, "");
}

static uint64_t park_usage(void)
{
        struct k_file file = rig_must_open_and_read("cmd/get", O_RDONLY);

        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        return k_send_read(&file, 0, 4096);
}

static uint64_t park_properties(void)
{
        struct k_file file = rig_must_open("cmd/device_add", O_RDWR);

        fake_on_nothing(rig.fake, "device-list-properties");
        return send_text(&file, "driver=nvme");
}

static uint64_t park_hmp(void)
{
        struct k_file file = rig_must_open("hmp", O_RDWR);

        fake_on_nothing(rig.fake, "human-monitor-command");
        return send_text(&file, "info");
}

static uint64_t park_qmp(void)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);

        fake_on(rig.fake, "stop", "{}");
        fake_on_nothing(rig.fake, "get");
        return send_text(&file, "{\"execute\":\"stop\"}{\"execute\":\"get\"}{\"execute\":\"get\"}");
}

static const struct {
        uint64_t (*park)(void);
        const char *command;
        unsigned n;     /* so often QEMU owes an answer to it */
        bool committed; /* QEMU has been told */
} parks[] = {
        { park_command, "get", 1, true },
        { park_schema, "query-qmp-schema", 1, false },
        { park_usage, "query-qmp-schema", 1, false },
        { park_properties, "device-list-properties", 1, false },
        { park_hmp, "human-monitor-command", 1, true },
        { park_qmp, "get", 2, true },
};

static void answer_late(int i)
{
        fake_on(rig.fake, parks[i].command, "[]");
        for (unsigned n = 0; n < parks[i].n; n++)
                fake_return(rig.fake, rig_last(parks[i].command), "[]");
}

START_TEST(released_while_it_waits)
{
        uint64_t unique = parks[_i].park();

        SETTLE();
        ck_assert(!k_is_answered(unique));
        k_drop_all();
        SETTLE();
        ck_assert(!k_is_answered(unique));
        answer_late(_i);
        (void)k_wait_error(unique);
}
END_TEST

START_TEST(interrupted_while_it_waits)
{
        uint64_t unique = parks[_i].park();

        SETTLE();
        k_interrupt(unique);
        ASSERT_ERROR(k_wait_error(unique), parks[_i].committed ? ECANCELED : EINTR);
        if (!parks[_i].committed)
                ASSERT_CAT("errors", "");
        answer_late(_i);
        SETTLE();
        ASSERT_CAT("state", "running\n");
}
END_TEST

START_TEST(destroyed_while_it_waits)
{
        uint64_t unique = parks[_i].park();

        SETTLE();
        rig_end();
        qmp_loop_turn(rig.loop, 0);
        ASSERT_ERROR(k_wait_error(unique), ENODEV);
}
END_TEST

START_TEST(disconnected_while_it_waits)
{
        uint64_t unique = parks[_i].park();

        SETTLE();
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(unique), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", " EHOSTDOWN - ");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(what_nothing_was_written_to_reads_as_its_usage),
                TEST_EACH(arguments_are_sent_as_the_schema_has_them, ARRAY_SIZE(arguments)),
                TEST_EACH(what_does_not_fit_the_schema_is_refused, ARRAY_SIZE(refused)),
                TEST(write_that_is_too_long_or_has_nul_is_refused),
                TEST(device_add_is_typed_by_its_driver),
                TEST(device_add_of_an_unknown_type_is_judged_by_qemu),
                TEST(explained_device_add_asks_for_no_properties),
                TEST(command_goes_out_of_band_where_both_can),
                TEST(command_goes_in_band_where_out_of_band_was_not_negotiated),
                TEST(reply_is_read_behind_what_was_written_or_from_the_start),
                TEST_EACH(reply_is_a_structure_as_json_or_a_bare_scalar, ARRAY_SIZE(values)),
                TEST(another_write_replaces_the_reply),
                TEST(error_of_qemu_is_that_of_the_write_and_is_read),
                TEST(large_reply_is_read_whole),
                TEST(who_only_writes_gets_the_error_too),
                TEST(interrupted_before_it_is_sent_it_is_not_carried_out),
                TEST(interrupted_after_it_was_sent_its_reply_is_dropped),
                TEST(words_stand_among_the_arguments),
                TEST(written_limit_may_be_longer_than_the_usual_one),
                TEST(command_without_a_reply_times_out),
                TEST(command_that_was_not_sent_in_time_says_so),
                TEST(command_has_its_time_whatever_was_asked_before_it),
                TEST(what_was_known_meanwhile_is_not_used_after_the_reply),
                TEST(qemu_that_is_gone_is_told),
                TEST(connection_that_ends_before_it_was_sent_leaves_no_doubt),
                TEST(writes_wait_for_the_schema),
                TEST(schema_that_fails_fails_the_write_and_is_asked_for_again),
                TEST(what_ends_while_it_waits_for_the_schema_has_its_error_to_read),
                TEST(qemu_that_goes_while_the_schema_is_fetched_is_told),
                TEST(writers_do_not_wait_for_each_other),
                TEST(many_writers_of_one_open_file_are_all_answered),
                TEST_EACH(released_while_it_waits, ARRAY_SIZE(parks)),
                TEST_EACH(interrupted_while_it_waits, ARRAY_SIZE(parks)),
                TEST_EACH(destroyed_while_it_waits, ARRAY_SIZE(parks)),
                TEST_EACH(disconnected_while_it_waits, ARRAY_SIZE(parks)),
        };

        return test_main("fuse_commands", tests, ARRAY_SIZE(tests), command_vm_up, rig_down);
}
