/*
 * What QEMU tells of itself: query/, schema/ and types/; when it is asked, and for how long what it said is kept.
 */
#include "fs/vm/introspection.h"
#include "fs/vm/reads.h"
#include "fs/vm/query.h"
#include "tests/lib/command_vm.h"
#include "tests/lib/test.h"

#define COMMAND(name, arg, more)                                                                                     \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"any\"" more \
        "}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define UNSTABLE              ", \"features\": [\"unstable\"]"
#define TYPES                                                                                                        \
        "{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"}, "                               \
        "{\"name\": \"any\", \"meta-type\": \"builtin\", \"json-type\": \"value\"}, " OBJECT("0", "") ", " OBJECT(   \
                "1", "{\"name\": \"a\", \"type\": \"str\", \"default\": null}") ", " OBJECT("2",                     \
                                                                                            "{\"name\": \"b\", "     \
                                                                                            "\"type\": \"str\"}")

// clang-format off
static const char schema[] =
        "[" TYPES ", "
        COMMAND("query-status", "0", "") ", "
        COMMAND("query-mice", "1", "") ", "
        COMMAND("query-need", "2", "") ", "
        COMMAND("query-old", "0", ", \"features\": [\"deprecated\"]") ", "
        COMMAND("query-unstable", "0", "") ", "
        COMMAND("query-feat", "0", UNSTABLE) ", "
        COMMAND("x-query-feat", "0", "") ", "
        COMMAND("x-query-jit", "0", "") ", "
        COMMAND("x-query-numa", "0", UNSTABLE) ", "
        COMMAND("x-query-status", "0", "") ", "
        COMMAND("query-", "0", "") ", "
        COMMAND("x-blockdev-change", "0", UNSTABLE) ", "
        COMMAND("query-yank", "0", ", \"allow-oob\": true") ", "
        "{\"name\": \"SHUTDOWN\", \"meta-type\": \"event\", \"arg-type\": \"2\"}]";
// clang-format on

static const char device_types[] =
        "[{\"name\": \"nvme\", \"parent\": \"pci-device\"}, {\"name\": \"e1000\"}, {\"name\": \"a/b\"}, "
        "1, null, {}, {\"name\": 1}]";

static void up(void)
{
        rig_up();
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "qom-list-types", device_types);
        fake_on(rig.fake, "query-yank", "[]");
}

static char *ls(const char *path)
{
        static char *names;
        int r;

        free(take_ptr(names));
        r = rig_ls(path, &names);
        ck_assert_msg(r == 0, "%s: %s", path, strerror(-r));
        return names;
}

/* --- query/ ------------------------------------------------------------------------------------------------------ */

START_TEST(queries_that_need_no_arguments_are_files)
{
        static const char *const absent[] = { "query/need",
                                              "query/feat",
                                              "query/jit",
                                              "query/query-status",
                                              "query/",
                                              "query/%empty",
                                              "query/blockdev-change",
                                              "query/x-query-jit",
                                              "query/a",
                                              "query/unstable/status2",
                                              "query/unstable/mice",
                                              "query/unstable/x-blockdev-change",
                                              "query/unstable/x-query-jit" };
        struct fuse_entry_out entry;

        ASSERT_LS("query", "unstable mice old status query-unstable yank");
        ASSERT_LS("query/unstable", "feat x-query-feat jit numa status");
        for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
                if (absent[i][strlen(absent[i]) - 1] != '/')
                        ck_assert_msg(rig_walk(absent[i], &entry) == -ENOENT, "%s", absent[i]);
        ASSERT_OK(rig_walk("query/status", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0444);
        ck_assert_uint_eq(entry.entry_valid, 0);
        ASSERT_OK(rig_walk("query/unstable", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFDIR | 0755);
}
END_TEST

START_TEST(query_is_live_json)
{
        static const struct {
                const char *path, *command;
        } queries[] = {
                { "query/mice", "query-mice" },
                { "query/unstable/jit", "x-query-jit" },
                { "query/unstable/numa", "x-query-numa" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
                fake_on(rig.fake, queries[i].command, "{\"n\": 1}");
                ASSERT_CAT(queries[i].path, "{\n  \"n\": 1\n}\n");
                fake_on(rig.fake, queries[i].command, "\"text\"");
                ASSERT_CAT(queries[i].path, "\"text\"\n");
                ck_assert_uint_eq(rig_count(queries[i].command), 2);
                ck_assert_ptr_null(rig_last(queries[i].command)->arguments);
        }
        ASSERT_CAT("query/status",
                   "{\n  \"status\": \"running\",\n  \"singlestep\": false,\n  \"running\": true\n}\n");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(query_that_qemu_refuses_fails)
{
        struct fuse_entry_out entry;

        fake_on_error(rig.fake, "query-mice", "GenericError", "No balloon device is in use");
        ASSERT_ERROR(rig_cat("query/mice", NULL), EBUSY);
        ASSERT_CAT_CONTAINS("errors", " /query/mice EBUSY GenericError No balloon device is in use\n");
        fake_on_error(rig.fake, "query-mice", "GenericError", "Could not open '/x': No such file or directory");
        ASSERT_ERROR(rig_cat("query/mice", NULL), EIO);
        fake_on_error(rig.fake, "query-mice", "DeviceNotActive", "No balloon device has been activated");
        ASSERT_ERROR(rig_cat("query/mice", NULL), ENODEV);
        ASSERT_OK(rig_walk("query/mice", &entry));
        ck_assert_uint_eq(entry.attr.size, 4096);
        fake_on(rig.fake, "query-mice", "1");
        ASSERT_CAT("query/mice", "1\n");
}
END_TEST

START_TEST(query_goes_out_of_band_where_it_can)
{
        ASSERT_CAT("query/yank", "[]\n");
        ck_assert(!rig_last("query-yank")->oob);
        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        rig.fake->greeting = FAKE_GREETING_OOB;
        rig_connect();
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "query-yank", "[1]");
        ASSERT_LS("query", "unstable mice old status query-unstable yank");
        fake_stick(rig.fake);
        ASSERT_CAT("query/yank", "[\n  1\n]\n");
        ck_assert(rig_last("query-yank")->oob);
        fake_unstick(rig.fake);
        ASSERT_CAT_CONTAINS("query/status", "running");
        ck_assert(!rig_last("query-status")->oob);
}
END_TEST

START_TEST(readers_of_one_query_share_it)
{
        struct k_file a = rig_must_open_and_read("query/status", O_RDONLY);
        struct k_file b = rig_must_open_and_read("status", O_RDONLY);
        uint64_t read_a, read_b;

        fake_on_nothing(rig.fake, "query-status");
        free(rig_sent());
        fake_stick(rig.fake);
        read_a = k_send_read(&a, 0, 100);
        SETTLE();
        fake_unstick(rig.fake);
        read_b = k_send_read(&b, 0, 100);
        SETTLE();
        ASSERT_SENT("query-status");
        fake_on(rig.fake, "query-status", "2");
        fake_return(rig.fake, rig_last("query-status"), "1");
        ASSERT_REPLY(read_a, "1\n");
        ASSERT_REPLY(read_b, "2\n");
        ASSERT_SENT("query-status");
}
END_TEST

START_TEST(openings_of_one_query_share_it)
{
        struct fuse_entry_out a, b;
        uint64_t open_a, open_b;
        struct k_file file;

        ASSERT_OK(rig_walk("query/status", &a));
        ASSERT_OK(rig_walk("status", &b));
        fake_on_nothing(rig.fake, "query-status");
        free(rig_sent());
        fake_stick(rig.fake);
        open_a = k_send_open(a.nodeid, O_RDONLY);
        SETTLE();
        fake_unstick(rig.fake);
        open_b = k_send_open(b.nodeid, O_RDONLY);
        SETTLE();
        ASSERT_SENT("query-status");
        fake_on(rig.fake, "query-status", "2");
        fake_return(rig.fake, rig_last("query-status"), "1");
        ASSERT_OK(k_opened(open_a, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "1\n");
        ASSERT_OK(k_opened(open_b, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "2\n");
        ASSERT_SENT("query-status");
}
END_TEST

/* --- schema/ ----------------------------------------------------------------------------------------------------- */

START_TEST(schema_is_text_for_people)
{
        static const struct {
                const char *path, *text;
        } texts[] = {
                { "schema/commands/query-need",
                  "command query-need\n\narguments:\n    b                        string\n"
                  "\nreturns: any value\n" },
                { "schema/events/SHUTDOWN",
                  "event SHUTDOWN\n\ndata:\n    b                        string\n"
                  "\n{ echo 'SHUTDOWN timeout=60' >&3 && read -r event <&3; } 3<>events\n" },
                { "schema/types/2", "type 2: object\n    b                        string\n"
                                    "\nused as\n    the arguments of query-need\n    the data of SHUTDOWN\n" },
        };
        struct fuse_entry_out entry;

        ASSERT_LS("schema", "commands events types");
        ASSERT_LS("schema/events", "SHUTDOWN");
        ASSERT_LS("schema/types", "0 1 2 any str");
        ASSERT_LS("schema/commands", "query- query-feat query-mice query-need query-old query-status "
                                     "query-unstable query-yank x-blockdev-change x-query-feat x-query-jit "
                                     "x-query-numa x-query-status");
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                ASSERT_CAT(texts[i].path, texts[i].text);
                ASSERT_OK(rig_walk(texts[i].path, &entry));
                ck_assert_uint_eq(entry.attr.size, strlen(texts[i].text));
                ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0444);
        }
        ASSERT_ERROR(rig_walk("schema/commands/SHUTDOWN", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("schema/events/query-need", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("schema/types/query-need", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("schema/commands/query-a%2fb", &entry), ENOENT);
        ASSERT_SENT("query-qmp-schema");
}
END_TEST

static void check_all(const char *dir, size_t least, bool has_size)
{
        _cleanup_(qmp_freep) char *names = NULL;
        char *save = NULL;
        size_t n = 0;

        ASSERT_OK(rig_ls(dir, &names));
        for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save), n++) {
                _cleanup_(qmp_freep) char *path = NULL, *text = NULL;
                struct fuse_entry_out entry;

                CHECK(asprintf(&path, "%s/%s", dir, name) > 0);
                CHECK(rig_walk(path, &entry) == 0);
                if (!has_size)
                        continue;
                CHECK(rig_cat(path, &text) == 0);
                CHECK(entry.attr.size == strlen(text) && text[strlen(text) - 1] == '\n');
        }
        ck_assert_msg(n >= least, "%s: %zu", dir, n);
}

START_TEST(schema_of_a_real_qemu_is_all_there)
{
        _cleanup_(qmp_freep) char *text = test_data("query-qmp-schema.json", NULL);

        fake_on(rig.fake, "query-qmp-schema", text);
        check_all("schema/commands", 200, true);
        check_all("schema/events", 40, true);
        check_all("schema/types", 500, true);
        check_all("cmd", 200, true);
        check_all("query", 40, false);
        check_all("query/unstable", 5, false);
        ASSERT_SENT("query-qmp-schema");
}
END_TEST

/* --- types/ ------------------------------------------------------------------------------------------------------ */

static const char type_usage[] =
        "not queried yet: device-list-properties creates a device of that type, and aborts QEMU if a part "
        "of it is missing; to query: echo > types/nvme\n";

START_TEST(types_are_listed_when_a_write_has_asked)
{
        struct fuse_entry_out entry;

        ASSERT_LS("types", "list");
        ASSERT_CAT("types/list",
                   "not queried yet: qom-list-types loads all modules of QEMU; to query: echo > types/list\n");
        ASSERT_OK(rig_walk("types/list", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0644);
        ASSERT_ERROR(rig_echo("types/list", "1"), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /types/list EINVAL - expected an empty line\n");
        ASSERT_SENT("");
        ASSERT_OK(rig_echo("types/list", ""));
        ck_assert_str_eq(rig_last("qom-list-types")->text,
                         "{\"execute\":\"qom-list-types\",\"arguments\":{\"abstract\":"
                         "false,\"implements\":\"device\"}}");
        ASSERT_LS("types", "list a%2Fb e1000 nvme");
        ASSERT_CAT("types/list", "a%2Fb\ne1000\nnvme\n");
        ASSERT_ERROR(rig_walk("types/nosuch", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("types/a", &entry), ENOENT);
        ASSERT_OK(rig_walk("types/nvme", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0644);
        ASSERT_SENT("qom-list-types");
        fake_on(rig.fake, "device-list-properties", "[]");
        ASSERT_OK(rig_echo("types/a%2Fb", ""));
        ASSERT_CAT("types/a%2Fb", "");
        ck_assert_str_eq(rig_last("device-list-properties")->text,
                         "{\"execute\":\"device-list-properties\",\"arguments\":{\"typename\":\"a/b\"}}");
}
END_TEST

/* With any name that a type of QEMU's may have. */
START_TEST(type_can_be_asked_for_before_any_is_known)
{
        static const char *const names[] = { "virtio-net-pci", "SUNW,fdtwo", "imx.gpt", "486-v1-x86_64-cpu",
                                             "a_b+c" };
        static const char *const others[] = { ".hidden", "a b", "a%2Fb", "-x", "\303\244", "a:b", "Thumbs.db~" };
        struct fuse_entry_out entry;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(qmp_freep) char *path = NULL;

                ck_assert_int_gt(asprintf(&path, "types/%s", names[i]), 0);
                ASSERT_CAT_CONTAINS(path, "not queried yet: ");
        }
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                _cleanup_(qmp_freep) char *path = NULL;

                ck_assert_int_gt(asprintf(&path, "types/%s", others[i]), 0);
                ck_assert_msg(rig_walk(path, &entry) == -ENOENT, "%s", path);
        }
        ASSERT_CAT("types/nvme", type_usage);
        ASSERT_OK(rig_walk("types/nvme", &entry));
        ck_assert_uint_eq(entry.attr.size, strlen(type_usage));
        ASSERT_LS("types", "list");
        ASSERT_SENT("");
        fake_on(rig.fake, "device-list-properties", "[{\"name\": \"a\", \"type\": \"str\"}]");
        ASSERT_OK(rig_echo("types/nvme", ""));
        ASSERT_CAT_CONTAINS("types/nvme", "a  ");
        ASSERT_LS("types", "list nvme");
        ASSERT_SENT("device-list-properties");
        /* asked again when written again; what fails then leaves nothing of before */
        fake_on(rig.fake, "device-list-properties", "[{\"name\": \"b\", \"type\": \"str\"}]");
        ASSERT_OK(rig_echo("types/nvme", ""));
        ASSERT_CAT_CONTAINS("types/nvme", "b  ");
        fake_on_error(rig.fake, "device-list-properties", "DeviceNotFound", "Device 'nvme' not found");
        ASSERT_ERROR(rig_echo("types/nvme", ""), ENODEV);
        ASSERT_CAT("types/nvme", type_usage);
        ASSERT_SENT("device-list-properties device-list-properties");
}
END_TEST

START_TEST(type_has_a_line_for_each_property)
{
        struct fuse_entry_out entry;
        struct fuse_attr attr;
        char *text;

        fake_on(rig.fake, "device-list-properties",
                "[{\"name\": \"serial\", \"type\": \"str\"}, "
                "{\"name\": \"num_queues\", \"type\": \"uint32\", \"default-value\": 64, \"description\": \"\"}, "
                "{\"name\": \"addr\", \"type\": \"int32\", \"description\": \"Slot and optional function number, "
                "example: 06.0 or 06\", \"default-value\": -1}, "
                "{\"name\": \"nil\", \"type\": \"x\", \"default-value\": null}, "
                "{\"name\": \"path\", \"default-value\": \"/a b\", \"type\": 5}, "
                "{\"name\": \"a-name-that-is-longer-than-its-column\", \"type\": \"OnOffAuto\", \"description\": "
                "\"two\\nlines\"}, "
                "{\"type\": \"str\"}, 1, null, {\"name\": null, \"type\": \"x\"}]");
        ASSERT_OK(rig_walk("types/nvme", &entry));
        ASSERT_OK(rig_echo("types/nvme", ""));
        ASSERT_OK(rig_cat("types/nvme", &text));
        ck_assert_str_eq(text,
                         "a-name-that-is-longer-than-its-column OnOffAuto            -            two\\x0alines\n"
                         "addr                             int32                -1           Slot and optional "
                         "function number, "
                         "example: 06.0 or 06\n"
                         "nil                              x                    null\n"
                         "num_queues                       uint32               64\n"
                         "path                             -                    \"/a b\"\n"
                         "serial                           str                  -\n");
        ASSERT_OK(k_getattr(entry.nodeid, &attr));
        ck_assert_uint_eq(attr.size, strlen(text));
        free(text);
}
END_TEST

START_TEST(type_that_qemu_tells_nothing_of_fails)
{
        fake_on_error(rig.fake, "device-list-properties", "GenericError",
                      "Parameter 'typename' expects a non-abstract device type");
        ASSERT_ERROR(rig_echo("types/nvme", ""), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /types/nvme EINVAL GenericError Parameter 'typename' expects");
        fake_on(rig.fake, "device-list-properties", "{}");
        ASSERT_ERROR(rig_echo("types/nvme", ""), EPROTO);
        fake_on(rig.fake, "device-list-properties", "null");
        ASSERT_ERROR(rig_echo("types/nvme", ""), EPROTO);
        ASSERT_CAT("types/nvme", type_usage);
}
END_TEST

START_TEST(types_that_are_no_list_are_not_known)
{
        static const char *const wrong[] = { "{}", "null", "\"x\"" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                fake_on(rig.fake, "qom-list-types", wrong[i]);
                ASSERT_ERROR(rig_echo("types/list", ""), EPROTO);
        }
        ASSERT_CAT_CONTAINS("errors", " /types/list EPROTO - QEMU's answer is not a list\n");
        fake_on_error(rig.fake, "qom-list-types", "GenericError", "no");
        ASSERT_ERROR(rig_echo("types/list", ""), EIO);
        ASSERT_CAT_CONTAINS("errors", " /types/list EIO GenericError no\n");
        ASSERT_CAT_CONTAINS("types/list", "not queried yet");
        fake_on(rig.fake, "qom-list-types", "[]");
        ASSERT_OK(rig_echo("types/list", ""));
        ASSERT_LS("types", "list");
        ASSERT_CAT("types/list", "");
}
END_TEST

/* --- what only a write may ask ------------------------------------------------------------------------------------ */

START_TEST(query_that_is_not_known_to_be_harmless_is_asked_by_a_write)
{
        static const char usage[] =
                "not queried yet: query-feat is not known to be harmless; to query: echo > query/unstable/feat\n";
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("query/unstable/feat", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0644);
        ck_assert_uint_eq(entry.attr.size, strlen(usage));
        ASSERT_CAT("query/unstable/feat", usage);
        ASSERT_ERROR(rig_echo("query/unstable/feat", "a=1"), EINVAL);
        ASSERT_SENT("query-qmp-schema");
        fake_on(rig.fake, "query-feat", "{\"n\": 18446744073709551615, \"s\": \"\\u0000\"}");
        ASSERT_OK(rig_echo("query/unstable/feat", ""));
        ASSERT_SENT("query-feat");
        ASSERT_CAT("query/unstable/feat", "{\n  \"n\": 18446744073709551615,\n  \"s\": \"\\u0000\"\n}\n");
        ASSERT_CAT("query/unstable/x-query-feat",
                   "not queried yet: x-query-feat is not known to be harmless; to query: echo > "
                   "query/unstable/x-query-feat\n");
        /* not live: a read asks nothing */
        rig_event("STOP", "%s", "");
        fake_on(rig.fake, "query-feat", "null");
        ASSERT_CAT_CONTAINS("query/unstable/feat", "18446744073709551615");
        ASSERT_SENT("");
        ASSERT_OK(rig_echo("query/unstable/feat", ""));
        ASSERT_CAT("query/unstable/feat", "null\n");
        /* what fails leaves nothing of before */
        fake_on_error(rig.fake, "query-feat", "GenericError", "no");
        ASSERT_ERROR(rig_echo("query/unstable/feat", ""), EIO);
        ASSERT_CAT_CONTAINS("errors", " /query/unstable/feat EIO GenericError no\n");
        ASSERT_CAT("query/unstable/feat", usage);
        /* written and read through one open file */
        fake_on(rig.fake, "query-feat", "1");
        file = rig_must_open("query/unstable/feat", O_RDWR);
        ASSERT_OK(k_wait_error(k_send_write(&file, "\n", 1)));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "1\n");
        /* the harmless ones can't be written at all */
        ASSERT_ERROR(rig_echo("query/mice", ""), EPERM);
}
END_TEST

/* No kind can have it sent by mistake. */
START_TEST(interrupted_before_it_is_sent_it_is_not_asked)
{
        struct k_file file = rig_must_open("types/nvme", O_WRONLY), other = rig_must_open("types/nvme", O_WRONLY);
        struct k_file files[4];
        uint64_t write, second;

        fake_on(rig.fake, "device-list-properties", "[]");
        fill_the_window(files);
        write = k_send_write(&file, "\n", 1);
        SETTLE();
        second = k_send_write(&other, "\n", 1);
        SETTLE();
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        if (_i == 1) {
                k_interrupt(second);
                ASSERT_ERROR(k_wait_error(second), EINTR);
        }
        empty_the_window();
        if (_i == 0)
                ASSERT_OK(k_wait_error(second));
        ck_assert_uint_eq(rig_count("device-list-properties"), _i == 0);
        /* it can be asked again */
        ASSERT_OK(rig_echo("types/nvme", ""));
        ck_assert_uint_eq(rig_count("device-list-properties"), _i == 0 ? 2 : 1);
}
END_TEST

START_TEST(interrupted_after_it_was_sent_it_may_be_answered)
{
        struct k_file file = rig_must_open("types/nvme", O_WRONLY);
        uint64_t write;

        fake_on_nothing(rig.fake, "device-list-properties");
        write = k_send_write(&file, "\n", 1);
        SETTLE();
        k_interrupt(write);
        if (_i == 0) {
                ASSERT_ERROR(k_wait_error(write), ECANCELED);
                ASSERT_CAT_CONTAINS("errors", " /types/nvme ECANCELED - interrupted; QEMU may still carry it out\n");
                return;
        }
        PUMP_FOR(rig.loop, 100 * MS);
        fake_return(rig.fake, rig_last("device-list-properties"), "[]");
        ASSERT_OK(k_wait_error(write));
}
END_TEST

START_TEST(fetch_for_a_read_sends_no_other_command)
{
        static const struct query_spec specs[] = {
                { .plan = &plan_types },
                { .plan = &plan_type, .a = "nvme" },
                { .plan = &plan_command, .a = "stop" },
                { .plan = &plan_command, .a = "query-nothing" },
        };
        struct fetch *fetch;

        for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
                ASSERT_ERROR(fetch_start(&rig.vm->peer, &specs[i], false, NULL, NULL, &fetch), EPERM);
        for (size_t i = 0; i < n_reads_commands; i++) {
                struct query_spec spec = { .plan = &plan_command, .a = reads_commands[i].name };

                if (!reads_commands[i].harmless)
                        ASSERT_ERROR(fetch_start(&rig.vm->peer, &spec, true, NULL, NULL, &fetch), EPERM);
        }
        PUMP_FOR(rig.loop, SEC);
        ASSERT_SENT("");
}
END_TEST

START_TEST(answers_end_with_the_connection_and_are_bounded)
{
        enum { SIZE = ASKED_MAX_BYTES / 4 };
        static char big[SIZE + 8];
        struct query_spec spec = { .plan = &plan_command };
        struct json_object *value = NULL;

        memset(big, 'x', SIZE);
        for (unsigned i = 0; i < 20; i++) {
                _cleanup_(qmp_freep) char *name = NULL;
                _cleanup_(qmp_json_putp) struct json_object *text = json_object_new_string(big);

                ck_assert_int_gt(asprintf(&name, "query-%u", i), 0);
                spec.a = name;
                ASSERT_OK(asked_keep(&rig.vm->asked, &spec, text));
                ck_assert_uint_le(rig.vm->asked.bytes, ASKED_MAX_BYTES);
                ASSERT_OK(asked_find(&rig.vm->asked, &spec, &value));
                json_object_put(take_ptr(value));
        }
        spec.a = "query-0";
        ASSERT_ERROR(asked_find(&rig.vm->asked, &spec, &value), ENOENT);
        rig_forget_asked();
        ck_assert_uint_eq(rig.vm->asked.bytes, 0);
}
END_TEST

/* --- when it is asked -------------------------------------------------------------------------------------------- */

START_TEST(schema_is_asked_for_once)
{
        char *text;

        ASSERT_SENT("");
        ASSERT_LS_ROOT(NULL);
        ASSERT_LS("schema", "commands events types");
        ASSERT_SENT("");
        (void)ls("query");
        ASSERT_SENT("query-qmp-schema");
        /* for all attributes, too */
        (void)ls("cmd");
        (void)ls("query/unstable");
        (void)ls("schema/types");
        ASSERT_OK(rig_cat("cmd/query-mice", &text));
        free(text);
        ASSERT_OK(rig_cat("schema/events/SHUTDOWN", &text));
        free(text);
        rig_event("STOP", "%s", "");
        PUMP_FOR(rig.loop, 60 * SEC);
        (void)ls("schema/commands");
        ASSERT_SENT("");
        (void)ls("types");
        ASSERT_SENT("");
}
END_TEST

START_TEST(listing_goes_on_without_the_schema)
{
        struct fuse_entry_out entry;
        struct k_reply *first, *rest;
        struct k_file dir;

        ASSERT_OK(rig_walk("schema/commands", &entry));
        ASSERT_OK(k_opendir(entry.nodeid, &dir));
        first = k_wait(k_send_readdir(&dir, 0, 1024));
        ck_assert_int_eq(first->error, 0);
        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        rest = k_wait(k_send_readdir(&dir, 5, 1024));
        ck_assert_int_eq(rest->error, 0);
        ck_assert_uint_gt(rest->size, 0);
        free(first);
        free(rest);
        ASSERT_SENT("query-qmp-schema");
}
END_TEST

START_TEST(another_qemu_is_asked_anew)
{
        const char *path = test_path("qmp.sock");
        struct k_file query, usage, command, describe, type, other;
        struct fuse_entry_out dir, entry, other_type;

        rig_unmake();
        rig_make(path);
        k_mount();
        fake_listen(rig.fake, path);
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "qom-list-types", device_types);
        fake_on(rig.fake, "query-mice", "1");
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        (void)ls("query");
        ASSERT_OK(rig_echo("types/list", ""));
        query = rig_must_open("query/mice", O_RDONLY);
        usage = rig_must_open("cmd/query-mice", O_RDONLY);
        command = rig_must_open("cmd/query-mice", O_RDWR);
        describe = rig_must_open("schema/commands/query-mice", O_RDONLY);
        type = rig_must_open("types/nvme", O_RDONLY);
        ASSERT_OK(rig_walk("types/e1000", &other_type));
        ASSERT_OK(rig_walk("cmd", &dir));
        fake_close(rig.fake);
        fake_unlisten(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        /* what was known is not told any more */
        ck_assert_ptr_null(rig.vm->introspection.schema);
        ck_assert_ptr_null(rig.vm->introspection.types);
        ASSERT_ERROR(rig_ls("query", NULL), EHOSTDOWN);
        ASSERT_ERROR(rig_ls("cmd", NULL), EHOSTDOWN);
        ASSERT_LS("types", "list");
        ASSERT_ERROR(rig_echo("types/list", ""), EHOSTDOWN);
        ASSERT_ERROR(k_lookup(dir.nodeid, "query-mice", &entry), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(k_send_read(&query, 0, 10)), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(k_send_read(&usage, 0, 10)), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(k_send_read(&describe, 0, 10)), EHOSTDOWN);
        ASSERT_REPLY(k_send_read(&type, 0, 10), "not querie");
        ASSERT_ERROR(k_wait_error(k_send_write(&command, "", 0)), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", " /query EHOSTDOWN - down: ");
        fake_on(rig.fake, "query-qmp-schema", "[" TYPES ", " COMMAND("query-new", "0", "") "]");
        fake_on(rig.fake, "qom-list-types", "[{\"name\": \"other\"}]");
        fake_listen(rig.fake, path);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_LS("query", "unstable new");
        ASSERT_LS("cmd", "query-new");
        ASSERT_LS("types", "list");
        ASSERT_OK(rig_echo("types/list", ""));
        ASSERT_LS("types", "list other");
        ck_assert_uint_eq(rig_count("query-qmp-schema"), 2);
        ck_assert_uint_eq(rig_count("qom-list-types"), 2);
        ASSERT_ERROR(k_wait_error(k_send_read(&usage, 0, 10)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_read(&describe, 0, 10)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_write(&command, "", 0)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_read(&type, 0, 10)), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /types/nvme ENODEV - this QEMU has no 'nvme'\n");
        ASSERT_ERROR(k_open_once(usage.node, O_RDONLY, &other), ENODEV);
        ASSERT_ERROR(k_open_once(describe.node, O_RDONLY, &other), ENODEV);
        ASSERT_ERROR(k_open_once(other_type.nodeid, O_RDONLY, &other), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /types/e1000 ENODEV - this QEMU has no 'e1000'\n");
}
END_TEST

/* Requests that all wait for the schema. */
static size_t park(uint64_t unique[50])
{
        struct fuse_entry_out query, cmd, commands;
        struct k_file dir, file = rig_must_open("cmd/query-mice", O_RDWR),
                           usage = rig_must_open_and_read("cmd/query-mice", O_RDONLY);
        size_t n = 0;

        ASSERT_OK(rig_walk("query", &query));
        ASSERT_OK(rig_walk("cmd", &cmd));
        ASSERT_OK(rig_walk("schema/commands", &commands));
        ASSERT_OK(k_opendir(query.nodeid, &dir));
        rig_forget_introspection();
        fake_on_nothing(rig.fake, "query-qmp-schema");
        fake_on(rig.fake, "query-mice", "1");
        free(rig_sent());
        while (n < 50) {
                unique[n++] = k_send_lookup(query.nodeid, "mice");
                unique[n++] = k_send_readdir(&dir, 0, 4096);
                unique[n++] = k_send_lookup(commands.nodeid, "query-mice");
                unique[n] = n % 2 ? k_send_read(&usage, 0, 100) : k_send_open(usage.node, O_RDONLY);
                n++;
                unique[n++] = k_send_write(&file, "", 0);
        }
        SETTLE();
        ASSERT_SENT("query-qmp-schema");
        for (size_t i = 0; i < n; i++)
                ck_assert(!k_is_answered(unique[i]));
        return n;
}

START_TEST(all_who_wait_share_one_answer)
{
        uint64_t unique[50];
        size_t n = park(unique);

        fake_return(rig.fake, rig_last("query-qmp-schema"), schema);
        for (size_t i = 0; i < n; i++)
                ASSERT_OK(k_wait_error(unique[i]));
        ck_assert_uint_eq(rig_count("query-qmp-schema"), 2);
}
END_TEST

START_TEST(all_who_wait_hear_of_the_failure)
{
        uint64_t unique[50];
        size_t n = park(unique);

        fake_error(rig.fake, rig_last("query-qmp-schema"), "GenericError", "it is tired");
        for (size_t i = 0; i < n; i++)
                ASSERT_ERROR(k_wait_error(unique[i]), EIO);
        fake_on(rig.fake, "query-qmp-schema", schema);
        ASSERT_LS("query/unstable", "feat x-query-feat jit numa status");
}
END_TEST

START_TEST(all_who_wait_hear_of_the_end)
{
        uint64_t unique[50];
        size_t n = park(unique);

        k_interrupt(unique[0]);
        ASSERT_ERROR(k_wait_error(unique[0]), EINTR);
        fake_close(rig.fake);
        for (size_t i = 1; i < n; i++)
                ASSERT_ERROR(k_wait_error(unique[i]), EHOSTDOWN);
}
END_TEST

START_TEST(vm_may_end_while_all_wait)
{
        uint64_t unique[50];
        size_t n = park(unique);

        rig_end();
        qmp_loop_turn(rig.loop, 0);
        for (size_t i = 0; i < n; i++)
                ASSERT_ERROR(k_wait_error(unique[i]), ENODEV);
}
END_TEST

START_TEST(nobody_need_wait_for_what_was_asked)
{
        struct fuse_entry_out dir;
        uint64_t lookup;

        ASSERT_OK(rig_walk("query", &dir));
        fake_on_nothing(rig.fake, "query-qmp-schema");
        lookup = k_send_lookup(dir.nodeid, "mice");
        SETTLE();
        k_interrupt(lookup);
        ASSERT_ERROR(k_wait_error(lookup), EINTR);
        fake_return(rig.fake, rig_last("query-qmp-schema"), schema);
        SETTLE();
        (void)ls("query");
        ASSERT_SENT("query-qmp-schema");
}
END_TEST

START_TEST(readers_hurry_while_qemu_is_silent_and_writers_do_not)
{
        struct k_file file = rig_must_open("cmd/query-mice", O_RDWR);
        struct k_file name = rig_must_open_and_read("name", O_RDONLY);
        uint64_t before, write, read;
        struct fuse_entry_out dir;

        ASSERT_OK(rig_walk("schema/events", &dir));
        rig_forget_introspection();
        fake_stick(rig.fake);
        ASSERT_ERROR(k_wait_error(k_send_read(&name, 0, 100)), ETIMEDOUT);
        /* also where it was a reader who had it asked */
        before = qmp_now();
        read = k_send_lookup(dir.nodeid, "SHUTDOWN");
        write = k_send_write(&file, "", 0);
        ASSERT_ERROR(k_wait_error(read), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, SEC);
        for (size_t i = 0; i < 5; i++)
                ASSERT_ERROR(rig_ls("query", NULL), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 2 * SEC);
        PUMP_FOR(rig.loop, 5 * SEC);
        ck_assert(!k_is_answered(write));
        read = k_send_read(&name, 0, 100);
        fake_on(rig.fake, "query-mice", "1");
        fake_unstick(rig.fake);
        ASSERT_OK(k_wait_error(write));
        ASSERT_OK(k_wait_error(read));
        (void)ls("query");
}
END_TEST

/* --- of a QEMU that is none -------------------------------------------------------------------------------------- */

static const char *const hostile[] = {
        "[]",
        "[1, null, {}, [], \"x\", {\"name\": \"a\"}, {\"meta-type\": \"command\"}]",
        /* names */
        "[{\"name\": \"../../x\", \"meta-type\": \"command\"}, {\"name\": \"\", \"meta-type\": \"command\"}, "
        "{\"name\": \".\", \"meta-type\": \"event\"}, {\"name\": \"a\\u0000b\", \"meta-type\": \"object\"}, "
        "{\"name\": \"query-\\n\", \"meta-type\": \"command\"}, {\"name\": \"query-/\", \"meta-type\": \"command\"}, "
        "{\"name\": \"%2F\", \"meta-type\": \"command\"}, {\"name\": \"query-%empty\", \"meta-type\": \"command\"}]",
        /* twice */
        "[{\"name\": \"query-a\", \"meta-type\": \"command\"}, {\"name\": \"query-a\", \"meta-type\": \"command\"}, "
        "{\"name\": \"x-query-a\", \"meta-type\": \"command\"}, {\"name\": \"query-x-query-a\", \"meta-type\": "
        "\"command\"}]",
        /* in circles */
        "[{\"name\": \"o\", \"meta-type\": \"object\", \"members\": [{\"name\": \"a\", \"type\": \"o\"}, "
        "{\"name\": \"b\", \"type\": \"l\"}, {\"name\": \"c\", \"type\": \"alt\"}], \"tag\": \"a\", \"variants\": "
        "[{\"case\": \"x\", \"type\": \"o\"}]}, "
        "{\"name\": \"l\", \"meta-type\": \"array\", \"element-type\": \"l\"}, "
        "{\"name\": \"alt\", \"meta-type\": \"alternate\", \"members\": [{\"type\": \"alt\"}, {\"type\": \"o\"}, "
        "{\"type\": \"l\"}]}, "
        "{\"name\": \"query-o\", \"meta-type\": \"command\", \"arg-type\": \"o\", \"ret-type\": \"alt\"}, "
        "{\"name\": \"query-l\", \"meta-type\": \"command\", \"arg-type\": \"l\", \"ret-type\": \"l\"}, "
        "{\"name\": \"E\", \"meta-type\": \"event\", \"arg-type\": \"o\"}]",
        /* what isn't what it is used for */
        "[{\"name\": \"query-c\", \"meta-type\": \"command\", \"arg-type\": \"query-c\", \"ret-type\": \"query-c\", "
        "\"features\": 7, \"allow-oob\": \"yes\"}, "
        "{\"name\": \"query-d\", \"meta-type\": \"command\", \"arg-type\": 1, \"ret-type\": null}]",
};

START_TEST(any_schema_lists_and_ends)
{
        static const char *const dirs[] = { "query",           "query/unstable", "cmd",
                                            "schema/commands", "schema/events",  "schema/types" };

        fake_on(rig.fake, "query-qmp-schema", hostile[_i]);
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                _cleanup_(qmp_freep) char *names = strdup(ls(dirs[i]));
                char *save = NULL, *text;

                for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                        _cleanup_(qmp_freep) char *path = NULL;
                        struct fuse_entry_out entry;
                        int r;

                        ck_assert_int_gt(asprintf(&path, "%s/%s", dirs[i], name), 0);
                        ck_assert_msg(rig_walk(path, &entry) == 0, "%s", path);
                        if (S_ISDIR(entry.attr.mode))
                                continue;
                        /* queries are answered with CommandNotFound, most of them when a write asks */
                        r = rig_cat(path, &text);
                        ck_assert_msg(r == 0 || (i < 2 && r == -EOPNOTSUPP), "%s: %s", path, strerror(-r));
                        if (r == 0)
                                free(text);
                        if (r == 0 && i < 2)
                                ASSERT_ERROR(rig_echo(path, ""), EOPNOTSUPP);
                        if (i == 2)
                                ck_assert_int_le(rig_echo(path, "a.a.a=1 b.0.0=2"), 0);
                }
        }
}
END_TEST

START_TEST(schema_that_is_none_is_told)
{
        static const char *const wrong[] = { "{}", "null", "\"x\"", "1" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                fake_on(rig.fake, "query-qmp-schema", wrong[i]);
                ASSERT_ERROR(rig_ls("query", NULL), EPROTO);
                ASSERT_ERROR(rig_ls("query/unstable", NULL), EPROTO);
        }
        ASSERT_CAT_CONTAINS("errors", " /query EPROTO - QEMU's answer is not a list\n");
        fake_on(rig.fake, "query-qmp-schema", schema);
        (void)ls("query");
}
END_TEST

static size_t count(const char *dir)
{
        _cleanup_(qmp_freep) char *names = NULL;
        size_t n = 0;

        ASSERT_OK(rig_ls(dir, &names));
        for (const char *c = names; *c; c++)
                n += *c == ' ';
        return n + (*names != '\0');
}

/* Whoever closes the file must leave the query to who still waits for it. */
START_TEST(query_that_is_held_back_outlives_another_reader)
{
        struct k_file file, other;
        uint64_t unique;
        size_t before;

        file = rig_must_open_and_read("devices/nv0/serial", O_RDONLY);
        other = rig_must_open_and_read("devices/nv0/serial", O_RDONLY);
        rig.vm->peer.queries.load = (struct load){ .debt_ns = QUERY_ADVANCE_NS + 50 * MS, .at = qmp_now() };
        before = rig_count("qom-get");
        unique = _i == 0 ? k_send_read(&file, 0, 4096) : k_send_open(file.node, O_RDONLY);
        SETTLE();
        ck_assert_uint_eq(rig_count("qom-get"), before);
        k_release(&other);
        SETTLE();
        PUMP_FOR(rig.loop, 100 * MS);
        ck_assert(!k_is_answered(unique));
        PUMP_FOR(rig.loop, 500 * MS);
        ck_assert(k_is_answered(unique));
        ck_assert_int_eq(k_wait_error(unique), 0);
        ck_assert_uint_eq(rig_count("qom-get"), before + 1);
}
END_TEST

START_TEST(who_waits_for_a_query_that_is_held_back_may_go)
{
        struct k_file file;
        uint64_t unique;
        size_t before;

        file = rig_must_open_and_read("devices/nv0/serial", O_RDONLY);
        rig.vm->peer.queries.load = (struct load){ .debt_ns = QUERY_ADVANCE_NS + 50 * MS, .at = qmp_now() };
        before = rig_count("qom-get");
        unique = _i == 0 ? k_send_read(&file, 0, 4096) : k_send_open(file.node, O_RDONLY);
        SETTLE();
        k_interrupt(unique);
        ASSERT_ERROR(k_wait_error(unique), EINTR);
        k_release(&file);
        PUMP_FOR(rig.loop, SEC);
        ck_assert_uint_eq(rig_count("qom-get"), before);
}
END_TEST

START_TEST(ten_thousand_commands_list)
{
        size_t n = 10000, size;
        _cleanup_(qmp_freep) char *text = NULL;
        FILE *out = open_memstream(&text, &size);
        struct fuse_entry_out entry;

        fputs("[1", out);
        for (size_t i = 0; i < n; i++)
                fprintf(out, ", {\"name\": \"%squery-%zu%s\", \"meta-type\": \"command\"}", i % 3 ? "" : "x-", i,
                        i % 50 ? "" : ".x");
        fputs("]", out);
        fclose(out);
        fake_on(rig.fake, "query-qmp-schema", text);
        ck_assert_uint_eq(count("schema/commands"), n);
        ck_assert_uint_eq(count("cmd"), n);
        ck_assert_uint_eq(count("query"), 1 + 6666);
        ck_assert_uint_eq(count("query/unstable"), 3334);
        ASSERT_OK(rig_walk("cmd/query-1", &entry));
        ASSERT_OK(rig_walk("cmd/query-50.x", &entry));
}
END_TEST

/* --- what is kept ------------------------------------------------------------------------------------------------ */

START_TEST(values_are_let_go_of)
{
        static const char *const paths[] = { "status",     "block/NVME1/type",   "qom/machine",       "types/nvme",
                                             "query/mice", "devices/nv0/serial", "devices/nv0/status" };
        uint64_t sizes[ARRAY_SIZE(paths)], nodes[ARRAY_SIZE(paths)];
        struct fuse_attr attr;

        rig_qom("/", NULL, "[{\"name\": \"machine\", \"type\": \"child<x>\"}]");
        rig_qom("/machine", NULL, "[]");
        fake_on(rig.fake, "device-list-properties", "[{\"name\": \"a\", \"type\": \"str\"}]");
        fake_on(rig.fake, "query-mice", "{\"a\": 1}");
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct fuse_entry_out entry;
                struct k_file file;
                char *text;

                ASSERT_OK(rig_walk(paths[i], &entry));
                nodes[i] = entry.nodeid;
                sizes[i] = 0;
                if (S_ISDIR(entry.attr.mode)) {
                        (void)ls(paths[i]);
                        continue;
                }
                ASSERT_OK(k_open(entry.nodeid, O_RDONLY, &file));
                ASSERT_OK(rig_read_all(&file, &text, &sizes[i]));
                free(text);
        }
        ck_assert(!list_empty(&rig.vm->peer.queries.kept));
        ck_assert(rig.vm->peer.queries.sweep.armed);
        PUMP_FOR(rig.loop, 1100 * MS);
        ck_assert(list_empty(&rig.vm->peer.queries.kept));
        ck_assert(!rig.vm->peer.queries.sweep.armed);
        for (struct lh_entry *i = lh_table_head(rig.vm->peer.queries.all); i; i = lh_entry_next(i)) {
                const struct query *q = lh_entry_v(i);

                ck_assert(!q->has_value);
                ck_assert_ptr_null(q->value);
        }
        /* the sizes stay, and nothing is asked for them */
        free(rig_sent());
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                ASSERT_OK(k_getattr(nodes[i], &attr));
                ck_assert_msg(attr.size == sizes[i], "%s: %llu", paths[i], (unsigned long long)attr.size);
        }
        ASSERT_SENT("");
        /* and all can be read again */
        ASSERT_CAT("query/mice", "{\n  \"a\": 1\n}\n");
        ck_assert(rig.vm->peer.queries.sweep.armed);
        ASSERT_CAT("block/NVME1/type", "unknown\n");
        ASSERT_CAT("devices/nv0/serial", "abc\n");
        PUMP_FOR(rig.loop, 1100 * MS);
        ck_assert(list_empty(&rig.vm->peer.queries.kept));
        ck_assert(!rig.vm->peer.queries.sweep.armed);
}
END_TEST

START_TEST(values_in_use_are_kept_as_long_as_they_are_fresh)
{
        struct fuse_entry_out entry;

        /* each read makes it young again, and one that is older by now goes before it */
        ASSERT_CAT("state", "running\n");
        ASSERT_CAT("name", "vm1\n");
        for (size_t i = 0; i < 50; i++) {
                PUMP_FOR(rig.loop, 40 * MS);
                ASSERT_CAT("state", "running\n");
                ck_assert(!list_empty(&rig.vm->peer.queries.kept));
                ck_assert(rig.vm->peer.queries.sweep.armed);
        }
        ck_assert_ptr_eq(rig.vm->peer.queries.kept.next, rig.vm->peer.queries.kept.prev);
        /* what was asked a moment ago is there for all of its time */
        ASSERT_OK(rig_walk("block/NVME1", &entry));
        free(rig_sent());
        PUMP_FOR(rig.loop, 95 * MS);
        ASSERT_OK(rig_walk("block/NVME1", &entry));
        ASSERT_SENT("");
}
END_TEST

START_TEST(longer_structure_ttl_keeps_longer)
{
        struct fuse_entry_out entry;

        rig.vm->peer.options.structure_ttl_ns = 5 * SEC;
        ASSERT_OK(rig_walk("block/NVME1", &entry));
        free(rig_sent());
        PUMP_FOR(rig.loop, 4900 * MS);
        ASSERT_OK(rig_walk("block/NVME1", &entry));
        ASSERT_SENT("");
        PUMP_FOR(rig.loop, 200 * MS);
        ASSERT_OK(rig_walk("block/NVME1", &entry));
        ASSERT_SENT("query-block");
        PUMP_FOR(rig.loop, 6 * SEC);
        ck_assert(!rig.vm->peer.queries.sweep.armed);
}
END_TEST

START_TEST(value_that_fails_next_is_not_kept)
{
        ASSERT_CAT("name", "vm1\n");
        fake_on_error(rig.fake, "query-name", "GenericError", "no");
        ASSERT_ERROR(rig_cat("name", NULL), EIO);
        ck_assert(list_empty(&rig.vm->peer.queries.kept));
        PUMP_FOR(rig.loop, 1100 * MS);
        ck_assert(!rig.vm->peer.queries.sweep.armed);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(queries_that_need_no_arguments_are_files),
                TEST(query_is_live_json),
                TEST(query_that_qemu_refuses_fails),
                TEST(query_goes_out_of_band_where_it_can),
                TEST(readers_of_one_query_share_it),
                TEST(openings_of_one_query_share_it),
                TEST(schema_is_text_for_people),
                TEST(schema_of_a_real_qemu_is_all_there),
                TEST(types_are_listed_when_a_write_has_asked),
                TEST(type_can_be_asked_for_before_any_is_known),
                TEST(type_has_a_line_for_each_property),
                TEST(type_that_qemu_tells_nothing_of_fails),
                TEST(types_that_are_no_list_are_not_known),
                TEST(query_that_is_not_known_to_be_harmless_is_asked_by_a_write),
                TEST_EACH(interrupted_before_it_is_sent_it_is_not_asked, 2),
                TEST_EACH(interrupted_after_it_was_sent_it_may_be_answered, 2),
                TEST(fetch_for_a_read_sends_no_other_command),
                TEST(answers_end_with_the_connection_and_are_bounded),
                TEST(schema_is_asked_for_once),
                TEST(listing_goes_on_without_the_schema),
                TEST(another_qemu_is_asked_anew),
                TEST(all_who_wait_share_one_answer),
                TEST(all_who_wait_hear_of_the_failure),
                TEST(all_who_wait_hear_of_the_end),
                TEST(vm_may_end_while_all_wait),
                TEST(nobody_need_wait_for_what_was_asked),
                TEST(readers_hurry_while_qemu_is_silent_and_writers_do_not),
                TEST_EACH(any_schema_lists_and_ends, ARRAY_SIZE(hostile)),
                TEST(schema_that_is_none_is_told),
                TEST_EACH(query_that_is_held_back_outlives_another_reader, 2),
                TEST_EACH(who_waits_for_a_query_that_is_held_back_may_go, 2),
                TEST(ten_thousand_commands_list),
                TEST(values_are_let_go_of),
                TEST(values_in_use_are_kept_as_long_as_they_are_fresh),
                TEST(longer_structure_ttl_keeps_longer),
                TEST(value_that_fails_next_is_not_kept),
        };

        return test_main("fuse_introspection", tests, ARRAY_SIZE(tests), up, rig_down);
}
