/*
 * Commands that users write: cmd/, hmp and qmp. What is sent, what is read afterwards, and how it fails.
 */
#include <poll.h>

#include "fs/vm/introspection.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define COMMAND(name, arg, ret, more)                                                                                \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"" ret       \
        "\"" more "}"
#define BUILTIN(name, json)   "{\"name\": \"" name "\", \"meta-type\": \"builtin\", \"json-type\": \"" json "\"}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"
#define OPTIONAL(name, type)  "{\"name\": \"" name "\", \"type\": \"" type "\", \"default\": null}"

// clang-format off
static const char schema[] =
        "[" BUILTIN("str", "string") ", "
        BUILTIN("int", "int") ", "
        BUILTIN("bool", "boolean") ", "
        BUILTIN("any", "value") ", "
        OBJECT("0", "") ", "
        OBJECT("1", OPTIONAL("device", "str") ", " MEMBER("node-name", "str") ", " MEMBER("size", "int")) ", "
        OBJECT("2", MEMBER("driver", "str") ", " OPTIONAL("bus", "str") ", " OPTIONAL("id", "str")) ", "
        OBJECT("3", MEMBER("instances", "[any]")) ", "
        OBJECT("4", OPTIONAL("v", "any")) ", "
        "{\"name\": \"[any]\", \"meta-type\": \"array\", \"element-type\": \"any\"}, "
        COMMAND("block_resize", "1", "0", "") ", "
        COMMAND("device_add", "2", "0", "") ", "
        COMMAND("stop", "0", "0", "") ", "
        COMMAND("get", "4", "any", "") ", "
        COMMAND("yank", "3", "0", ", \"allow-oob\": true") "]";
// clang-format on

static void up(void)
{
        rig_up();
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "stop", "{}");
        fake_on(rig.fake, "get", "{}");
        fake_on(rig.fake, "block_resize", "{}");
        fake_on(rig.fake, "yank", "{}");
        fake_on(rig.fake, "device_add", "{}");
}

/* The same of a QEMU that executes out of band. */
static void up_again_with_oob(void)
{
        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        rig.fake->greeting = FAKE_GREETING_OOB;
        rig_connect();
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "stop", "{}");
        fake_on(rig.fake, "get", "{}");
        fake_on(rig.fake, "yank", "{}");
}

static uint64_t send_text(const struct k_file *file, const char *text)
{
        return k_send_write(file, text, strlen(text));
}

static uint64_t send_text_at(const struct k_file *file, uint64_t offset, const char *text)
{
        struct fuse_write_in in = {
                .fh = file->fh,
                .offset = offset,
                .size = (uint32_t)strlen(text),
                .flags = (uint32_t)file->flags,
        };

        return k_send(FUSE_WRITE, file->node, &in, sizeof(in), text, strlen(text));
}

static int write_text(const struct k_file *file, const char *text)
{
        return k_wait_error(send_text(file, text));
}

#define ASSERT_READ(file, offset, size, expected) ASSERT_REPLY(k_send_read((file), (offset), (size)), (expected))

#define ASSERT_READ_CONTAINS(file, expected)                                                                         \
        do {                                                                                                         \
                struct k_reply *_read = k_wait(k_send_read((file), 0, 65536));                                       \
                                                                                                                     \
                ck_assert_int_eq(_read->error, 0);                                                                   \
                ck_assert_contains(_read->data, (expected));                                                         \
                free(_read);                                                                                         \
        } while (0)

static size_t n_errors(void)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t n = 0;

        ASSERT_OK(rig_cat("errors", &text));
        for (const char *c = text; *c; c++)
                n += *c == '\n';
        return n;
}

/* Fills the window of commands on the wire with reads that QEMU leaves open. */
static void fill_the_window(struct k_file files[4])
{
        static const char *const paths[] = { "status", "name", "uuid", "version" };
        static const char *const queries[] = { "query-status", "query-name", "query-uuid", "query-version" };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                files[i] = rig_must_open_and_read(paths[i], O_RDONLY);
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                fake_on_nothing(rig.fake, queries[i]);
                (void)k_send_read(&files[i], 0, 4096);
        }
        SETTLE();
}

static void empty_the_window(void)
{
        fake_return(rig.fake, rig_last("query-status"), "{\"status\": \"x\"}");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"x\"}");
        fake_return(rig.fake, rig_last("query-uuid"), "{\"UUID\": \"x\"}");
        fake_return(rig.fake, rig_last("query-version"), FAKE_VERSION);
        SETTLE();
}

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

START_TEST(command_goes_out_of_band_where_both_can)
{
        struct k_file yank, stop;
        uint64_t write;

        up_again_with_oob();
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
        up_again_with_oob();
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
        fake_return(rig.fake, rig_last("query-qmp-schema"), schema);
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
        fake_on(rig.fake, "query-qmp-schema", schema);
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
        { "devices/nv0/remove", "yes", "nowait", "EINVAL - expected 1, nowait or timeout=SEC\n" },
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

        up_again_with_oob();
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
                TEST(what_nothing_was_written_to_reads_as_its_usage),
                TEST_EACH(arguments_are_sent_as_the_schema_has_them, ARRAY_SIZE(arguments)),
                TEST_EACH(what_does_not_fit_the_schema_is_refused, ARRAY_SIZE(refused)),
                TEST(write_that_is_too_long_or_has_nul_is_refused),
                TEST(device_add_is_typed_by_its_driver),
                TEST(device_add_of_an_unknown_type_is_judged_by_qemu),
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

        return test_main("fuse_commands", tests, ARRAY_SIZE(tests), up, rig_down);
}
