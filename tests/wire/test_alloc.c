/*
 * Memory that runs out: each operation of the tree is done once for each allocation in it, which fails, that one alone;
 * and once with all from that one on. The operation then ends with ENOMEM, or with what it ends with otherwise, and never
 * with a wrong answer; afterwards it succeeds, and the connection is up and nothing is left.
 *
 * Where memory is refused: see shortage.h. What is not reached so:
 *
 * - json-c 0.16 does not check its own allocations everywhere: see json_c_as_it_is in test_alloc_outside.c, which shows what
 *   becomes of each.
 * - libfuse 3.14 needs memory for each request, FORGET, RELEASE and INTERRUPT among them. It answers ENOMEM to all of them, to
 *   which the kernel pays no heed: see what_libfuse_loses there. The inode and the open file stay until the unmount. FORGET and
 *   RELEASE are spared in the operations.
 */
#include <poll.h>
#include <sys/mman.h>

#include "tests/wire/shortage.h"
#include "fs/vm/introspection.h"
#include "tests/lib/pluggable_vm.h"
#include "tests/lib/test.h"

struct deed {
        const char *name;
        int (*run)(const struct deed *op, char **ret_text);
        const char *path, *text;
        void (*before)(void);
        int ends;    /* how it ends with memory: 0 or a negative errno */
        int also[2]; /* how it may end without, besides ENOMEM */
        bool loose;  /* the text may differ */
        bool drops;  /* the connection ends, and comes back */
};

static int cat(const struct deed *op, char **ret_text)
{
        return rig_cat(op->path, ret_text);
}

static int ls(const struct deed *op, char **ret_text)
{
        return rig_ls(op->path, ret_text);
}

static int follow(const struct deed *op, char **ret_text)
{
        return rig_readlink(op->path, ret_text);
}

static int echo(const struct deed *op, char **ret_text)
{
        *ret_text = strdup("");
        return rig_echo(op->path, op->text);
}

static void add(char **text, const char *format, ...) __attribute__((__format__(__printf__, 2, 3)));
static void add(char **text, const char *format, ...)
{
        _cleanup_(qmp_freep) char *more = NULL;
        char *whole;
        va_list args;

        va_start(args, format);
        CHECK(vasprintf(&more, format, args) >= 0);
        va_end(args);
        CHECK(asprintf(&whole, "%s%s", *text ? *text : "", more) >= 0);
        free(*text);
        *text = whole;
}

/* ls -l: names with their kinds and inode numbers, which stay the same. */
static int ls_l(const struct deed *op, char **ret_text)
{
        _cleanup_(qmp_freep) char *names = NULL;
        char *save = NULL;
        int r = rig_ls(op->path, &names);

        if (r < 0)
                return r;
        *ret_text = NULL;
        for (char *name = strtok_r(names, " ", &save); name && r == 0; name = strtok_r(NULL, " ", &save)) {
                _cleanup_(qmp_freep) char *path = NULL;
                struct fuse_entry_out entry;
                struct fuse_attr attr;

                CHECK(asprintf(&path, "%s/%s", op->path, name) >= 0);
                r = rig_walk(path, &entry);
                if (r == 0)
                        r = k_getattr(entry.nodeid, &attr);
                /* those of which each lookup makes one are the same file, too */
                if (r == 0)
                        add(ret_text, "%s %o %llu\n", name, attr.mode, (unsigned long long)attr.ino);
        }
        if (r < 0)
                free(take_ptr(*ret_text));
        return r;
}

/* { echo TEXT >&3; cat <&3; } 3<>PATH */
static int ask(const struct deed *op, char **ret_text)
{
        struct k_file file;
        int r = rig_open(op->path, O_RDWR, &file);

        if (r < 0)
                return r;
        r = k_wait_error(k_send_write(&file, op->text, strlen(op->text)));
        if (r == op->ends) {
                int read = rig_read_all(&file, ret_text, NULL);

                if (read < 0)
                        r = read;
        }
        k_release(&file);
        return r;
}

static int rename_it(const struct deed *op, char **ret_text)
{
        static const char names[] = "status\0name";
        struct fuse_rename_in in = { .newdir = FUSE_ROOT_ID };

        (void)op;
        *ret_text = strdup("");
        return k_wait_error(k_send(FUSE_RENAME, FUSE_ROOT_ID, &in, sizeof(in), names, sizeof(names)));
}

static int change_mode(const struct deed *op, char **ret_text)
{
        struct fuse_entry_out entry;
        int r = rig_walk(op->path, &entry);

        *ret_text = strdup("");
        return r < 0 ? r : k_setattr(entry.nodeid, FATTR_MODE, 0);
}

/* As "> file" does it. */
static int truncate_it(const struct deed *op, char **ret_text)
{
        struct fuse_entry_out entry;
        int r = rig_walk(op->path, &entry);

        *ret_text = strdup("");
        return r < 0 ? r : k_setattr(entry.nodeid, FATTR_SIZE, 0);
}

/* Somebody else removes a device that we know. */
static int gone(const struct deed *op, char **ret_text)
{
        char *text = NULL;
        int r = rig_cat("devices/dimm1/driver", &text);

        (void)op;
        free(text);
        if (r < 0)
                return r;
        pluggable.dimm1 = false;
        pluggable_update();
        rig_deleted(DIMM1);
        PUMP_FOR(rig.loop, SEC);
        r = rig_ls("devices", ret_text);
        ck_assert_msg(shortage.all || r < 0 || !strstr(*ret_text, "dimm1"), "it is still there: %s", *ret_text);
        return r;
}

static int stat_fs(const struct deed *op, char **ret_text)
{
        (void)op;
        *ret_text = strdup("");
        return k_wait_error(k_send(FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0));
}

static int removed(const struct deed *op, char **ret_text)
{
        int r = echo(op, ret_text);

        /* success means done */
        if (r == 0 && !streq(op->text, "nowait"))
                CHECK(strstr(op->path, "dimm1")  ? !pluggable.dimm1
                      : strstr(op->path, "cpus") ? !pluggable.cpu1
                                                 : !pluggable.nv0);
        if (r == 0 && startswith(op->path, "block/"))
                CHECK(!pluggable.drive);
        return r;
}

static void cpu_without_event(void)
{
        pluggable_plug_in();
        pluggable.cpu_event = false;
}

static void silent(void)
{
        pluggable_plug_in();
        pluggable.silent = true;
}

static void refused(void)
{
        pluggable_plug_in();
        pluggable.refused = true;
}

/* Ctrl-C, once it has come to QEMU. */
static int interrupt(const struct deed *op, char **ret_text)
{
        const char *command = op->text ? "device_del" : "query-name";
        size_t n = rig_count(command);
        struct fuse_entry_out entry;
        struct k_file file;
        uint64_t request;
        int r = rig_walk(op->path, &entry);

        *ret_text = strdup("");
        if (r == 0 && op->text)
                r = k_open(entry.nodeid, O_WRONLY, &file);
        if (r < 0)
                return r;
        request = op->text ? k_send_write(&file, op->text, strlen(op->text)) : k_send_open(entry.nodeid, O_RDONLY);
        PUMP_WITHIN(rig.loop, 60 * SEC, k_is_answered(request) || rig_count(command) > n);
        SETTLE();
        if (!k_is_answered(request))
                k_interrupt(request);
        r = k_wait_error(request);
        if (op->text)
                k_release(&file);
        return r;
}

static size_t silent_from;

static void no_name(void)
{
        silent_from = rig.fake->n_commands;
        fake_on_nothing(rig.fake, "query-name");
}

/* What QEMU owes is given, and is nobody's. */
static void name_again(void)
{
        for (size_t i = silent_from; i < rig.fake->n_commands; i++) {
                const struct fake_command *command = rig.fake->commands[i];

                if (streq(command->name, "query-name") && command->connection == rig.fake->n_connections)
                        fake_return(rig.fake, command, "{\"name\": \"late\"}");
        }
        SETTLE();
        fake_on(rig.fake, "query-name", "{\"name\": \"vm1\"}");
}

/* QEMU is silent until the limit, for so long that it is asked whether it lives; its answer comes late. */
static int late(const struct deed *op, char **ret_text)
{
        int r;

        no_name();
        r = rig_cat("name", ret_text);
        (void)op;
        name_again();
        return r;
}

static int interrupt_late(const struct deed *op, char **ret_text)
{
        int r;

        no_name();
        r = interrupt(op, ret_text);
        name_again();
        return r;
}

/* QEMU goes and comes back; the daemon connects anew by itself. */
static int reconnect(const struct deed *op, char **ret_text)
{
        (void)op;
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP_FOR(rig.loop, 3 * SEC);
        shortage.armed = false;
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        shortage.armed = true;
        return rig_cat("name", ret_text);
}

/* It comes back as a server that is no QEMU; then it is what it was. */
static int limited(const struct deed *op, char **ret_text)
{
        int r;

        shortage.armed = false;
        fake_on_error(rig.fake, "query-status", "CommandNotFound", "The command query-status has not been found");
        shortage.armed = true;
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP_FOR(rig.loop, 3 * SEC);
        shortage.armed = false;
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        shortage.armed = true;
        r = rig_ls(op->path, ret_text);
        shortage.armed = false;
        k_drop_all();
        fake_on(rig.fake, "query-status", "{\"status\": \"running\", \"running\": true}");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        return r;
}

/* While there is no connection. */
static int down(const struct deed *op, char **ret_text)
{
        int r;

        shortage.armed = false;
        fake_unlisten(rig.fake);
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        shortage.armed = true;
        r = rig_cat(op->path, ret_text);
        shortage.armed = false;
        fake_listen(rig.fake, pluggable_path);
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        return r;
}

/* An event that nobody asked for; it is in the log, or that it was lost is. */
static int event(const struct deed *op, char **ret_text)
{
        int r;

        fake_event(rig.fake, "STOP", "{" MORE "}");
        PUMP_FOR(rig.loop, SEC);
        shortage.armed = false;
        rig_event("RESUME", "{}");
        SETTLE();
        r = rig_cat("events", ret_text);
        CHECK(r == 0);
        (void)op;
        ck_assert_contains(*ret_text, "RESUME");
        r = strstr(*ret_text, "STOP") ? 0 : -ENOMEM;
        ck_assert_msg(r == 0 || strstr(*ret_text, "QMPFS_EVENTS_LOST"), "an event was lost, and nobody is told: %s",
                      *ret_text);
        return r;
}

/* Of an open file, once; it must be this event, or be told that one was lost. */
static int read_event(const struct k_file *file, const char *name, char **ret_text)
{
        struct k_reply *reply = k_wait(k_send_read(file, 0, 65536));
        int r = reply->error;

        if (r == 0) {
                ck_assert_msg(reply->size > 0, "a stream has no end");
                if (strstr(reply->data, "QMPFS_EVENTS_LOST"))
                        r = -ENOMEM;
                else
                        ck_assert_contains(reply->data, name);
                *ret_text = strdup(reply->data);
        }
        free(reply);
        return r;
}

/* A filtered stream; the event comes while the reader waits. */
static int stream(const struct deed *op, char **ret_text)
{
        static const char filter[] = "DEVICE_DELETED path=/x {\"part\": {\"a\": [1]}} timeout=60";
        struct k_file file;
        struct k_reply *reply;
        uint64_t read;
        int r = rig_open("events", O_RDWR, &file);

        (void)op;
        if (r < 0)
                return r;
        r = k_wait_error(k_send_write(&file, filter, strlen(filter)));
        if (r < 0)
                goto out;
        read = k_send_read(&file, 0, 65536);
        SETTLE();
        rig_event("STOP", "{}");
        rig_event("DEVICE_DELETED", "{\"path\": \"/y\", \"part\": {\"a\": [1]}}");
        rig_event("DEVICE_DELETED", "{\"path\": \"/x\", \"part\": {\"a\": [1], \"b\": 2}}");
        PUMP_FOR(rig.loop, SEC);
        if (!k_is_answered(read)) {
                /* its one event can't wait for memory: at least that one was lost must be told, when there is some */
                ck_assert_msg(shortage.all, "the event is lost, and the reader waits");
                shortage.armed = false;
                rig_event("DEVICE_DELETED", "{\"path\": \"/x\", \"part\": {\"a\": [1], \"b\": 2}}");
        }
        reply = k_wait(read);
        r = reply->error;
        shortage.armed = false;
        if (r == 0) {
                ck_assert_msg(reply->size > 0, "a stream has no end");
                *ret_text = strdup(reply->data);
                if (strstr(*ret_text, "QMPFS_EVENTS_LOST"))
                        r = -ENOMEM;
                else
                        ck_assert_msg(strstr(*ret_text, "\"/x\"") && !strstr(*ret_text, "\"/y\""), "%s", *ret_text);
        } else if (r == -ENOMEM) {
                int again = read_event(&file, "\"/x\"", ret_text);

                CHECK(again == 0 || again == -ENOMEM);
        }
        free(reply);
out:
        k_release(&file);
        return r;
}

/* A filter for what is queued already. */
static int filter_late(const struct deed *op, char **ret_text)
{
        static const char filter[] = "RESUME {\"a\": 1}";
        struct k_file file;
        int r;

        (void)op;
        shortage.armed = false;
        file = rig_must_open("events", O_RDWR);
        rig_event("STOP", "{\"a\": 1}");
        rig_event("RESUME", "{\"a\": 1, \"b\": \"a text that is longer than forty bytes, by far\"}");
        SETTLE();
        shortage.armed = true;
        r = k_wait_error(k_send_write(&file, filter, strlen(filter)));
        shortage.armed = false;
        if (r == 0) {
                r = read_event(&file, "RESUME", ret_text);
                CHECK(r == 0);
                ck_assert_msg(!strstr(*ret_text, "STOP"), "not what was asked for: %s", *ret_text);
        } else {
                /* nothing of it was done */
                int again = read_event(&file, "RESUME", ret_text);

                CHECK(again == 0);
                ck_assert_msg(strstr(*ret_text, "STOP"), "an event is gone: %s", *ret_text);
        }
        k_release(&file);
        return r;
}

static int poll_state(const struct deed *op, char **ret_text)
{
        static uint64_t handle = 100;
        struct fuse_poll_in in = { .kh = ++handle, .flags = FUSE_POLL_SCHEDULE_NOTIFY };
        struct k_file file;
        char *text = NULL;
        int r = rig_open("state", O_RDONLY, &file);

        (void)op;
        *ret_text = strdup("");
        if (r < 0)
                return r;
        r = rig_read_all(&file, &text, NULL);
        free(text);
        in.fh = file.fh;
        if (r == 0)
                r = k_wait_error(k_send(FUSE_POLL, file.node, &in, sizeof(in), NULL, 0));
        if (r == 0) {
                rig_event("STOP", "{}");
                PUMP_FOR(rig.loop, SEC);
                shortage.armed = false;
                ck_assert_msg(shortage.all || k_was_woken(handle), "nobody was woken");
                PUMP(rig.loop, k_was_woken(handle));
        }
        k_release(&file);
        return r;
}

/* More readers at once than the loop had timers for. */
static int many(const struct deed *op, char **ret_text)
{
        uint64_t reads[40];
        struct k_file file;
        int r;

        shortage.armed = false;
        file = rig_must_open("name", O_RDONLY);
        fake_on_nothing(rig.fake, "query-name");
        shortage.armed = true;
        for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
                reads[i] = k_send_read(&file, 0, 100);
        SETTLE();
        fake_on(rig.fake, "query-name", "{\"name\": \"vm1\"}");
        if (rig_count("query-name") > 0)
                fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"vm1\"}");
        r = 0;
        for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
                struct k_reply *reply = k_wait(reads[i]);

                if (reply->error < 0)
                        r = reply->error;
                else
                        ck_assert_str_eq(reply->data, "vm1\n");
                free(reply);
        }
        (void)op;
        *ret_text = strdup("");
        k_release(&file);
        return r;
}

static void forget_schema(void)
{
        pluggable_plug_in();
        rig_forget_introspection();
        rig_forget_asked();
}

/* A type that has not been met since the connection came up. */
static void forget_types(void)
{
        pluggable_plug_in();
        plan_memory_forget(&rig.vm->peer.plan_memory);
}

static void known_schema(void)
{
        char *text;

        pluggable_plug_in();
        if (!rig.vm->introspection.schema && rig_cat("cmd/much", &text) == 0)
                free(text);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): strings that are joined */
#define CAT(file)                                                                                                    \
        {                                                                                                            \
                .name = "cat " file, .run = cat, .path = file                                                        \
        }
#define LS(dir)                                                                                                      \
        {                                                                                                            \
                .name = "ls " dir, .run = ls, .path = dir                                                            \
        }
#define LS_L(dir)                                                                                                    \
        {                                                                                                            \
                .name = "ls -l " dir, .run = ls_l, .path = dir                                                       \
        }
#define FOLLOW(link)                                                                                                 \
        {                                                                                                            \
                .name = "readlink " link, .run = follow, .path = link                                                \
        }
#define ASK(what, file, written, error)                                                                              \
        {                                                                                                            \
                .name = file ": " what, .run = ask, .path = file, .text = written, .ends = error                     \
        }

/* NOLINTEND(bugprone-macro-parentheses) */

static const struct deed deeds[] = {
        { .name = "mkdir's like: rename", .run = rename_it, .ends = -EPERM },
        { .name = "chmod", .run = change_mode, .path = "status", .ends = -EPERM },
        { .name = "truncate", .run = truncate_it, .path = "ctl" },
        { .name = "statfs", .run = stat_fs },

        LS(""),
        LS_L(""),
        CAT("status"),
        CAT("state"),
        CAT("name"),
        CAT("uuid"),
        CAT("version"),
        { .name = "cat connection", .run = cat, .path = "connection", .loose = true },
        CAT("ctl"),
        { .name = "cat events", .run = cat, .path = "events", .loose = true },
        { .name = "cat errors", .run = cat, .path = "errors", .loose = true },
        { .name = "cat nothing", .run = cat, .path = "nothing", .ends = -ENOENT },

        LS("block"),
        LS_L("block"),
        LS("block/NVME1"),
        LS_L("block/NVME1"),
        LS_L("block/NVME1/inserted"),
        LS_L("block/NVME1/a%2Fb"),
        CAT("block/NVME1/status"),
        CAT("block/NVME1/inserted/node-name"),
        CAT("block/NVME1/text"),
        CAT("block/NVME1/float"),
        CAT("block/NVME1/a%2Fb/%25/1"),
        CAT("block/NVME1/remove"),
        { .name = "cat block/NVME1/none", .run = cat, .path = "block/NVME1/none", .ends = -ENOENT },
        { .name = "cat block/none/status", .run = cat, .path = "block/none/status", .ends = -ENOENT },
        FOLLOW("block/NVME1/device"),
        FOLLOW("block/NVME1/qom"),
        FOLLOW("block/virtio0/device"),
        LS_L("cpus"),
        LS_L("cpus/1"),
        CAT("cpus/1/status"),
        CAT("cpus/1/thread-id"),
        FOLLOW("cpus/1/device"),
        LS_L("memory"),
        LS_L("memory/dimm1"),
        CAT("memory/dimm1/status"),
        CAT("memory/dimm1/remove"),
        FOLLOW("memory/dimm1/qom"),
        LS_L("devices"),
        LS_L("devices/nv0"),
        { .name = "ls devices/nv0, a new type", .run = ls, .path = "devices/nv0", .before = forget_types },
        CAT("devices/nv0/driver"),
        CAT("devices/nv0/serial"),
        CAT("devices/nv0/a%2Fb"),
        CAT("devices/nv0/status"),
        { .name = "cat devices/nv0/status, first", .run = cat, .path = "devices/nv0/status", .before = forget_types },
        CAT("devices/nv0/remove"),
        FOLLOW("devices/nv0/qom"),

        { .name = "ls query, first", .run = ls, .path = "query", .before = forget_schema },
        LS_L("query"),
        LS_L("query/unstable"),
        CAT("query/status"),
        CAT("query/unstable/name"),
        ASK("an empty line", "query/unstable/name", "", 0),
        LS_L("query/unstable"),
        CAT("query/unstable/jit"),
        LS_L("cmd"),
        CAT("cmd/much"),
        { .name = "cat cmd/device_add, first", .run = cat, .path = "cmd/device_add", .before = forget_schema },
        LS_L("schema/commands"),
        LS_L("schema/events"),
        LS_L("schema/types"),
        CAT("schema/commands/much"),
        CAT("schema/events/STOP"),
        CAT("schema/types/u"),
        { .name = "ls types, first", .run = ls, .path = "types", .before = forget_schema },
        CAT("types/list"),
        ASK("an empty line", "types/list", "", 0),
        LS_L("types"),
        CAT("types/nvme"),
        ASK("an empty line", "types/nvme", "", 0),
        ASK("an empty line", "types/a%2Fb", "", 0),
        ASK("no empty line", "types/nvme", "1", -EINVAL),
        LS_L("types"),
        LS_L("qom"),
        LS_L("qom/machine"),
        LS_L("qom/machine/peripheral/nv0"),
        CAT("qom/machine/size"),
        CAT("qom/machine/peripheral/nv0/a%2Fb"),
        FOLLOW("qom/machine/vcpu"),
        CAT("hmp"),
        CAT("qmp"),

        ASK("a line", "hmp", "info block", 0),
        ASK("two commands", "qmp",
            "{\"execute\": \"query-status\"} {\"execute\": \"much\", \"id\": [1, \"two\"], \"arguments\": {\"v\": "
            "1.5}}",
            0),
        ASK("one out of band", "qmp", "{\"exec-oob\": \"query-yank\"}", 0),
        ASK("an error", "qmp", "{\"execute\": \"none\"}", 0),
        ASK("half a command", "qmp", "{\"execute\": ", -EINVAL),
        { .name = "cmd/much: pairs",
          .run = ask,
          .path = "cmd/much",
          .text = "u.kind=one u.node-name=x u.size=10G list.0=1 list.1=0x10 a=text v={\"a\":[1.5]} on=off",
          .before = known_schema },
        ASK("JSON", "cmd/much", "{\"u\": {\"kind\": \"two\"}, \"list\": [1, 2], \"v\": null}", 0),
        ASK("a wrong enum", "cmd/much", "u.kind=three", -EINVAL),
        ASK("an unknown key", "cmd/much", "none=1", -EINVAL),
        ASK("a missing key", "cmd/block_resize", "device=a", -EINVAL),
        ASK("no JSON", "cmd/block_resize", "{\"size\": }", -EINVAL),
        { .name = "cmd/device_add: properties, first",
          .run = ask,
          .path = "cmd/device_add",
          .text = "driver=nvme,serial=abc,addr=06.0,sse4.1=on,id=n1",
          .before = forget_schema },
        ASK("properties", "cmd/device_add", "driver=nvme,serial=abc,addr=06.0,sse4.1=on,id=n1", 0),
        ASK("no such property", "cmd/device_add", "driver=nvme,none=1", -EINVAL),
        ASK("explain", "block/NVME1/remove", "explain", 0),
        ASK("explain", "devices/nv0/remove", "explain timeout=3", 0),
        { .name = "echo explain it > devices/nv0/remove",
          .run = echo,
          .path = "devices/nv0/remove",
          .text = "explain it",
          .ends = -EINVAL },
        { .name = "echo > qom/machine/size", .run = echo, .path = "qom/machine/size", .text = "1k" },
        { .name = "echo > qom/machine/tree", .run = echo, .path = "qom/machine/tree", .text = "{\"tm_year\": 1}" },
        { .name = "echo stop > ctl", .run = echo, .path = "ctl", .text = "stop" },
        { .name = "echo reset > ctl", .run = echo, .path = "ctl", .text = "reset" },
        { .name = "echo powerdown > ctl", .run = echo, .path = "ctl", .text = "powerdown timeout=5" },
        ASK("a verb that is explained", "ctl", "reset explain", 0),
        ASK("a command that is explained", "cmd/much", "u.kind=two explain", 0),
        CAT("block/NVME1/size"),
        ASK("the size that it has", "block/NVME1/size", "40G", 0),
        ASK("a size that is explained", "block/NVME1/size", "80G explain", 0),
        ASK("a lower size", "block/NVME1/size", "20G", -EINVAL),
        { .name = "echo none > ctl", .run = echo, .path = "ctl", .text = "none", .ends = -EINVAL },
        { .name = "echo quit > ctl",
          .run = echo,
          .path = "ctl",
          .text = "quit",
          /* there was no memory for QEMU's message, so that it is this side that hangs up */
          .also = { -EHOSTDOWN },
          .drops = true },

        { .name = "remove: a device",
          .run = removed,
          .path = "devices/dimm1/remove",
          .text = "1",
          .before = pluggable_plug_in },
        { .name = "remove: a disk with its drive",
          .run = removed,
          .path = "block/NVME1/remove",
          .text = "timeout=3",
          .before = pluggable_plug_in },
        { .name = "remove: a CPU that says nothing",
          .run = removed,
          .path = "cpus/1/remove",
          .text = "1",
          .before = cpu_without_event },
        { .name = "remove: nowait",
          .run = removed,
          .path = "devices/nv0/remove",
          .text = "nowait",
          .before = pluggable_plug_in },
        { .name = "remove: nothing happens",
          .run = removed,
          .path = "memory/dimm1/remove",
          .text = "timeout=1",
          .before = silent,
          .ends = -ETIMEDOUT },
        { .name = "remove: refused",
          .run = removed,
          .path = "memory/dimm1/remove",
          .text = "1",
          .before = refused,
          .ends = -EBUSY },
        { .name = "remove: interrupted",
          .run = interrupt,
          .path = "memory/dimm1/remove",
          .text = "1",
          .before = silent,
          .ends = -EINTR,
          /* libfuse lost the interrupt */
          .also = { -ETIMEDOUT } },
        { .name = "an interrupted opening",
          .run = interrupt_late,
          .path = "name",
          .ends = -EINTR,
          .also = { -ETIMEDOUT } },
        { .name = "no answer in time", .run = late, .ends = -ETIMEDOUT },
        { .name = "the connection is lost", .run = reconnect },
        /* without memory for the one answer or the other it may pass for a QEMU */
        { .name = "ls of a limited server", .run = limited, .path = "", .loose = true, .drops = true },
        { .name = "cat state without a connection", .run = down, .path = "state" },
        { .name = "cat status without a connection", .run = down, .path = "status", .ends = -EHOSTDOWN },
        { .name = "an event", .run = event, .loose = true },
        { .name = "a device that somebody else removes", .run = gone, .before = pluggable_plug_in, .loose = true },
        { .name = "a stream", .run = stream, .loose = true },
        { .name = "a filter for what is queued", .run = filter_late, .loose = true },
        { .name = "poll", .run = poll_state },
        { .name = "40 readers", .run = many },
};

/* Over all tests, which are processes. */
static struct totals {
        unsigned long refusals, operations, allocations;
} * totals;

static bool may_end(const struct deed *op, int r)
{
        if (r == op->ends || r == -ENOMEM)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(op->also); i++)
                if (op->also[i] && r == op->also[i])
                        return true;
        /* that outlasted the limits, which is to be told, too */
        return shortage.all && (r == -ETIMEDOUT || r == -EHOSTDOWN);
}

/* Nothing of it is left. */
static void check_rest(const struct deed *op, unsigned long k)
{
        PUMP_WITHIN(rig.loop, 100 * SEC, k_n_pending() == 0);
        k_drop_all();
        PUMP_WITHIN(rig.loop, 2 * SEC, list_empty(&rig.session->contents.repeats));
        SETTLE();
        ck_assert_msg(shortage.all || op->drops || rig.vm->peer.up, "%s, %lu: the connection is down", op->name, k);
        PUMP_WITHIN(rig.loop, 30 * SEC, rig.vm->peer.up);
        SETTLE();
        /* a removal outlives who waited for it */
        for (size_t i = 0; i < 20 && !list_empty(&rig.vm->operations.all); i++)
                PUMP_FOR(rig.loop, 50 * MS);
        CHECK(list_empty(&rig.session->requests));
        CHECK(rig_is_deserted());
        CHECK(rig.session->inodes.n == 0);
        for (size_t i = 0; i < N_CHANNELS; i++)
                CHECK(list_empty(&rig.vm->news[i].watchers));
}

static int run(const struct deed *op, char **ret_text)
{
        int r;

        if (op->before)
                op->before();
        /* nothing is young enough to be used again */
        PUMP_FOR(rig.loop, 300 * MS);
        *ret_text = NULL;
        shortage.n = shortage.refused = 0;
        kernel.no_memory = shortage.at > 0;
        shortage.armed = true;
        r = op->run(op, ret_text);
        shortage.armed = false;
        return r;
}

/* As it is with memory. */
static void run_well(const struct deed *op, char **text)
{
        _cleanup_(qmp_freep) char *got = NULL;
        unsigned long at = shortage.at;
        int r;

        shortage.at = 0;
        r = run(op, &got);
        ck_assert_msg(r == op->ends, "%s, after %lu: %s, not %s", op->name, at, strerrorname_np(-r),
                      strerrorname_np(-op->ends));
        if (!*text)
                *text = take_ptr(got);
        else if (got && !op->loose)
                ck_assert_msg(streq(got, *text), "%s, after %lu: '%s', not '%s'", op->name, at, got, *text);
        check_rest(op, at);
        shortage.at = at;
}

static void refuse_each(const struct deed *op, bool all, unsigned long step)
{
        _cleanup_(qmp_freep) char *text = NULL;
        unsigned long n = 0;

        shortage.all = all;
        run_well(op, &text);
        for (unsigned long k = 1;; k += 1 + k * step / 4) {
                _cleanup_(qmp_freep) char *got = NULL;
                unsigned long refused_now;
                int r;

                shortage.at = k;
                r = run(op, &got);
                refused_now = shortage.refused;
                if (getenv("QMPFS_TEST_VERBOSE"))
                        printf("%s, %lu: %s\n", op->name, k, r ? strerrorname_np(-r) : "0");
                ck_assert_msg(may_end(op, r), "%s, %lu: %s", op->name, k, strerrorname_np(-r));
                /* the words of an error may have got lost */
                if (r == 0 && got && text && !op->loose)
                        ck_assert_msg(streq(got, text), "%s, %lu: '%s', not '%s'", op->name, k, got, text);
                check_rest(op, k);
                if (refused_now == 0)
                        break;
                n += refused_now;
                totals->allocations += !all;
                run_well(op, &text);
                ck_assert_msg(k < 100000, "%s: no end of allocations", op->name);
        }
        shortage.at = 0;
        totals->refusals += n;
        totals->operations += !all;
}

/* So many to a process, at the end of which LeakSanitizer takes longer than some of them do. */
#define CHUNK    8
#define N_CHUNKS ((ARRAY_SIZE(deeds) + CHUNK - 1) / CHUNK)

static void refuse_chunk(int chunk, bool all, unsigned long step)
{
        for (size_t i = (size_t)chunk * CHUNK; i < ARRAY_SIZE(deeds) && i < (size_t)(chunk + 1) * CHUNK; i++)
                refuse_each(&deeds[i], all, step);
        /* by its own clock this takes longer than libcheck can tell */
        test_time_real();
}

START_TEST(each_allocation_may_fail_once)
{
        refuse_chunk(_i, false, 0);
}
END_TEST

START_TEST(all_memory_may_be_gone_for_a_while)
{
        refuse_chunk(_i, true, 1);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(each_allocation_may_fail_once, N_CHUNKS),
                TEST_EACH(all_memory_may_be_gone_for_a_while, N_CHUNKS),
        };
        int r;

        totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (totals == MAP_FAILED)
                return EXIT_FAILURE;
        r = test_main("alloc", tests, ARRAY_SIZE(tests), pluggable_up, rig_down);
        printf("%lu allocations of %lu operations failed one by one; with those that failed together: %lu\n",
               totals->allocations, totals->operations, totals->refusals);
        return r;
}
