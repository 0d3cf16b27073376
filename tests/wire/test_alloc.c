/*
 * Memory that runs out: each operation of the tree is done once for each allocation in it, which fails, that one alone;
 * and once with all from that one on. The operation then ends with ENOMEM, or with what it ends with otherwise, and never
 * with a wrong answer; afterwards it succeeds, and the connection is up and nothing is left.
 *
 * malloc() and its like are replaced in this program, so what libfuse, json-c and libc allocate for the daemon fails, too.
 * Memory is refused only within a turn of the loop, and there not to the peers, see IN_HARNESS(). What is not reached so:
 *
 * - json-c 0.16 does not check its own allocations everywhere: see json_c_as_it_is, which shows what becomes of each. Its
 *   parser fails here as a whole (--wrap, see CMakeLists.txt); what it allocates inside is spared, after qmp_json_reserve()
 *   has found out that it is there. All its other functions are refused all.
 * - libfuse 3.14 needs memory for each request, FORGET, RELEASE and INTERRUPT among them. It answers ENOMEM to all of them, to
 *   which the kernel pays no heed: see what_libfuse_loses. The inode and the open file stay until the unmount. FORGET and
 *   RELEASE are spared in the operations.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "fs/tree/tree.h"
#include "fs/vm/introspection.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "qmp/jsonc.h"

/* --- refusing memory --------------------------------------------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
#define PLAIN __attribute__((__no_sanitize__("address", "undefined")))

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *p, size_t size);

static struct {
        bool armed;
        unsigned turns;   /* depth of qmp_loop_turn() */
        unsigned inside;  /* of a function that fails as a whole only */
        unsigned long n;  /* allocations since it was armed */
        unsigned long at; /* this one is refused; 0: none */
        bool all;         /* and all that follow */
        unsigned long refused;
} memory;

PLAIN static bool refuse(void)
{
        if (!memory.armed || memory.turns == 0 || memory.inside > 0 || test_in_harness > 0)
                return false;
        memory.n++;
        if (memory.at == 0 || memory.n < memory.at || (memory.n > memory.at && !memory.all))
                return false;
        memory.refused++;
        errno = ENOMEM;
        return true;
}

PLAIN void *malloc(size_t size)
{
        return refuse() ? NULL : REAL(malloc)(size);
}

PLAIN void *calloc(size_t n, size_t size)
{
        return refuse() ? NULL : REAL(calloc)(n, size);
}

PLAIN void *realloc(void *p, size_t size)
{
        return refuse() ? NULL : REAL(realloc)(p, size);
}

PLAIN void *reallocarray(void *p, size_t n, size_t size)
{
        size_t bytes;

        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(p, bytes);
}

/* AddressSanitizer's own would not ask malloc(). */
PLAIN char *strndup(const char *s, size_t n)
{
        size_t size = strnlen(s, n);
        char *copy = malloc(size + 1);

        if (copy) {
                memcpy(copy, s, size);
                copy[size] = '\0';
        }
        return copy;
}

PLAIN char *strdup(const char *s)
{
        return strndup(s, strlen(s));
}

int __real_qmp_loop_turn(struct qmp_loop *loop, int timeout_ms);
int __wrap_qmp_loop_turn(struct qmp_loop *loop, int timeout_ms);

int __wrap_qmp_loop_turn(struct qmp_loop *loop, int timeout_ms)
{
        int r;

        memory.turns++;
        r = __real_qmp_loop_turn(loop, timeout_ms);
        memory.turns--;
        return r;
}

/* Fails as a whole, as it does when it is refused its first object. */
struct json_object *__real_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size);
struct json_object *__wrap_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size);

struct json_object *__wrap_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size)
{
        int room = tokener->pb->size;
        struct json_object *value;

        if (refuse()) {
                tokener->char_offset = 0;
                tokener->err = json_tokener_success;
                return NULL;
        }
        memory.inside++;
        value = __real_json_tokener_parse_ex(tokener, text, size);
        memory.inside--;
        /* strings whose buffer has to grow would be cut in silence; qmp_json_reserve() has made it large enough */
        if (tokener->pb->size != room) {
                memory.armed = false;
                ck_abort_msg("a token that was not reckoned with: %.200s", text);
        }
        return value;
}

/* json-c's: when a table can't grow, json_object_object_add() loses its copy of the key. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:json_object_object_add_ex\n";
}

/* --- the VM ------------------------------------------------------------------------------------------------------ */

#define NV0   "/machine/peripheral/nv0"
#define DIMM1 "/machine/peripheral/dimm1"
#define CPU1  "/machine/peripheral/cpu1"

#define COMMAND(name, arg, ret, more)                                                                                \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"" ret       \
        "\"" more "}"
#define BUILTIN(name, json)   "{\"name\": \"" name "\", \"meta-type\": \"builtin\", \"json-type\": \"" json "\"}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"
#define OPTIONAL(name, type)  "{\"name\": \"" name "\", \"type\": \"" type "\", \"default\": null}"
#define PROPERTY(name, type)  "{\"name\": \"" name "\", \"type\": \"" type "\"}"

// clang-format off
static const char schema[] =
        "[" BUILTIN("str", "string") ", "
        BUILTIN("int", "int") ", "
        BUILTIN("bool", "boolean") ", "
        BUILTIN("any", "value") ", "
        "{\"name\": \"[int]\", \"meta-type\": \"array\", \"element-type\": \"int\"}, "
        "{\"name\": \"e\", \"meta-type\": \"enum\", \"members\": [{\"name\": \"one\"}, {\"name\": \"two\", "
                "\"features\": [\"deprecated\"]}]}, "
        "{\"name\": \"a\", \"meta-type\": \"alternate\", \"members\": [{\"type\": \"str\"}, {\"type\": \"1\"}]}, "
        "{\"name\": \"u\", \"meta-type\": \"object\", \"tag\": \"kind\", \"members\": [" MEMBER("kind", "e") "], "
                "\"variants\": [{\"case\": \"one\", \"type\": \"1\"}, {\"case\": \"two\", \"type\": \"0\"}]}, "
        OBJECT("0", "") ", "
        OBJECT("1", OPTIONAL("device", "str") ", " MEMBER("node-name", "str") ", " MEMBER("size", "int")) ", "
        OBJECT("2", MEMBER("driver", "str") ", " OPTIONAL("bus", "str") ", " OPTIONAL("id", "str")) ", "
        OBJECT("3", OPTIONAL("u", "u") ", " OPTIONAL("list", "[int]") ", " OPTIONAL("a", "a") ", "
                OPTIONAL("v", "any") ", " OPTIONAL("on", "bool")) ", "
        COMMAND("block_resize", "1", "0", "") ", "
        COMMAND("device_add", "2", "0", "") ", "
        COMMAND("much", "3", "3", "") ", "
        COMMAND("query-status", "0", "any", "") ", "
        COMMAND("query-name", "0", "any", "") ", "
        COMMAND("x-query-name", "0", "any", ", \"features\": [\"unstable\"]") ", "
        COMMAND("x-query-jit", "0", "any", "") ", "
        "{\"name\": \"DEVICE_DELETED\", \"meta-type\": \"event\", \"arg-type\": \"1\"}, "
        "{\"name\": \"RESUME\", \"meta-type\": \"event\", \"arg-type\": \"1\"}, "
        "{\"name\": \"STOP\", \"meta-type\": \"event\", \"arg-type\": \"1\"}]";
// clang-format on

/* A record with what is longer than json-c's first buffers, a float, and names that are not file names. */
#define MORE                                                                                                         \
        "\"text\": \"a text that is longer than forty bytes: \\\"quoted\\\", and \\u00e4 too\", \"float\": "         \
        "0.12345678901234567890123456789012345678901234567890, \"a/b\": {\"%\": [1, true, null]}"

static struct {
        bool nv0, dimm1, cpu1; /* plugged in */
        bool drive;            /* NVME1 */
        bool silent;           /* device_del is taken, and nothing follows */
        bool refused;          /* the guest refuses it */
        bool cpu_event;        /* the CPU's own */
} vm;

static void update(void)
{
        char text[4096];

        snprintf(text, sizeof(text), "[%s%s%s" PROPERTY("type", "string") "]",
                 vm.nv0 ? PROPERTY("nv0", "child<nvme>") ", " : "",
                 vm.dimm1 ? PROPERTY("dimm1", "child<pc-dimm>") ", " : "",
                 vm.cpu1 ? PROPERTY("cpu1", "child<max-x86_64-cpu>") ", " : "");
        rig_qom("/machine/peripheral", NULL, text);
        rig_qom(NV0, NULL,
                vm.nv0 ? "[" PROPERTY("type", "string") ", " PROPERTY("drive", "str") ", " PROPERTY(
                                 "serial", "str") ", " PROPERTY("secret", "str") ", " PROPERTY("a/b", "str") "]"
                       : NULL);
        rig_qom(NV0, "type", vm.nv0 ? "\"nvme\"" : NULL);
        rig_qom(NV0, "drive", vm.nv0 ? "\"NVME1\"" : NULL);
        rig_qom(NV0, "serial", vm.nv0 ? "\"a serial number that is longer than forty bytes\"" : NULL);
        rig_qom(NV0, "a/b", vm.nv0 ? "[1, {}]" : NULL);
        rig_qom_error(NV0, "secret", "GenericError", "Property 'nvme.secret' is not readable");
        rig_qom(DIMM1, NULL, vm.dimm1 ? "[" PROPERTY("type", "string") "]" : NULL);
        rig_qom(CPU1, NULL, vm.cpu1 ? "[" PROPERTY("type", "string") "]" : NULL);
        snprintf(text, sizeof(text),
                 "[%s%s%s%s%s{\"device\": \"virtio0\", \"qdev\": "
                 "\"/machine/peripheral-anon/device[0]/virtio-backend\", \"type\": \"unknown\"}]",
                 vm.drive ? "{\"device\": \"NVME1\", " : "", vm.drive && vm.nv0 ? "\"qdev\": \"nv0\", " : "",
                 vm.drive ? "\"inserted\": {\"node-name\": \"#block1\", \"ro\": false}, " : "", vm.drive ? MORE : "",
                 vm.drive ? "}, " : "");
        fake_on(rig.fake, "query-block", text);
        fake_on(rig.fake, "query-memory-devices",
                vm.dimm1 ? "[{\"type\": \"dimm\", \"data\": {\"slot\": 0, \"id\": \"dimm1\"}}]" : "[]");
        snprintf(text, sizeof(text),
                 "[{\"thread-id\": 100, \"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0}%s]",
                 vm.cpu1 ? ", {\"thread-id\": 101, \"qom-path\": \"" CPU1 "\", \"cpu-index\": 1}" : "");
        fake_on(rig.fake, "query-cpus-fast", text);
        fake_on(rig.fake, "query-hotpluggable-cpus",
                /* still, when it is asked for: an unplug takes its time */
                "[{\"qom-path\": \"" CPU1 "\"}, {\"type\": \"x\"}]");
}

static void plug_in(void)
{
        vm.nv0 = vm.dimm1 = vm.cpu1 = vm.drive = vm.cpu_event = true;
        vm.silent = vm.refused = false;
        update();
}

static const char *string_of(const struct fake_command *command, const char *key)
{
        struct json_object *value = NULL;

        CHECK(json_object_object_get_ex(command->arguments, key, &value));
        return json_object_get_string(value);
}

static void delete_device(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        const char *path = string_of(command, "id");
        bool *plugged = streq(path, NV0)     ? &vm.nv0
                        : streq(path, DIMM1) ? &vm.dimm1
                        : streq(path, CPU1)  ? &vm.cpu1
                                             : NULL;

        (void)userdata;
        ck_assert_msg(plugged != NULL, "device_del of '%s'", path);
        if (!*plugged) {
                fake_error(fake, command, "DeviceNotFound", "Device 'x' not found");
                return;
        }
        fake_return(fake, command, "{}");
        if (vm.silent)
                return;
        if (vm.refused) {
                rig_event("ACPI_DEVICE_OST",
                          "{\"info\": {\"device\": \"%s\", \"source\": 3, \"status\": 130, "
                          "\"slot\": \"0\", \"slot-type\": \"DIMM\"}}",
                          strrchr(path, '/') + 1);
                return;
        }
        *plugged = false;
        update();
        rig_event("DEVICE_DELETED", "{\"path\": \"%s/lapic\"}", path);
        if (plugged != &vm.cpu1 || vm.cpu_event)
                rig_deleted(path);
}

/* HMP: drive_del, and nothing else. */
static void monitor(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        const char *line = string_of(command, "command-line");

        (void)userdata;
        if (streq(line, "info block")) {
                fake_return(fake, command,
                            "\"NVME1: a line\\r\\nand another that is longer than forty bytes\\r\\n\"");
                return;
        }
        ck_assert_str_eq(line, "drive_del NVME1");
        fake_return(fake, command, "\"\"");
        vm.drive = false;
        update();
}

static void with_event(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        fake_event(fake, userdata, NULL);
        fake_return(fake, command, "{}");
}

static void quit(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        fake_event(fake, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
        fake_return(fake, command, "{}");
        fake_close_behind(fake);
}

/* What no first buffer has room for. */
#define BIG 80000

static const char *qmp_path;

static void up(void)
{
        static char big[BIG + 100];
        struct fake_qemu *f;

        test_time_virtual();
        qmp_path = test_path("qmp.sock");
        rig_make(qmp_path);
        k_mount();
        f = rig.fake;
        /* no test may take long by its own clock, see tests/lib/test.h */
        rig.vm->peer.options.timeout_ns = 2 * SEC;
        rig.vm->peer.options.command_timeout_ns = 3 * SEC;
        rig.vm->peer.options.unplug_timeout_ns = 8 * SEC;
        f->greeting = FAKE_GREETING_OOB;
        plug_in();
        fake_on(f, "query-qmp-schema", schema);
        fake_on(f, "qom-list-types", "[{\"name\": \"nvme\"}, {\"name\": \"a/b\"}, {\"name\": \"e1000\"}]");
        fake_on(f, "device-list-properties",
                "[" PROPERTY(
                        "serial",
                        "str") ", {\"name\": \"addr\", \"type\": \"int32\", \"description\": \"Slot and "
                               "optional function number, example: 06.0 or 06\", \"default-value\": -1}, " PROPERTY(
                                       "sse4.1", "bool") "]");
        fake_on(f, "query-yank", "[]");
        fake_on(f, "x-query-name", "{\"x\": 1}");
        snprintf(big, sizeof(big), "{\"human-readable-text\": \"%0*d\"}", BIG, 1);
        fake_on(f, "x-query-jit", big);
        fake_on(f, "block_resize", "{}");
        fake_on(f, "much", "{\"list\": [1, 2, 3], " MORE "}");
        fake_on(f, "device_add", "{}");
        fake_on(f, "qom-set", "{}");
        fake_on_call(f, "device_del", delete_device, NULL);
        fake_on_call(f, "human-monitor-command", monitor, NULL);
        fake_on_call(f, "stop", with_event, (void *)(uintptr_t) "STOP");
        fake_on_call(f, "system_reset", with_event, (void *)(uintptr_t) "RESET");
        fake_on_call(f, "system_powerdown", with_event, (void *)(uintptr_t) "SHUTDOWN");
        fake_on_call(f, "quit", quit, NULL);
        rig_qom("/", NULL, "[" PROPERTY("type", "string") ", " PROPERTY("machine", "child<pc-machine>") "]");
        rig_qom("/", "type", "\"container\"");
        rig_qom("/machine", NULL,
                "[" PROPERTY("type", "string") ", " PROPERTY("peripheral", "child<container>") ", " PROPERTY(
                        "vcpu", "link<cpu>") ", " PROPERTY("size", "uint64") ", " PROPERTY("tree", "struct tm") "]");
        rig_qom("/machine", "type", "\"pc-machine\"");
        rig_qom("/machine", "vcpu", "\"/machine/unattached/device[0]\"");
        rig_qom("/machine", "size", "18446744073709551615");
        rig_qom("/machine", "tree", "{\"tm_year\": 126}");
        fake_listen(f, qmp_path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        SETTLE();
}

/* --- operations -------------------------------------------------------------------------------------------------- */

struct operation {
        const char *name;
        int (*run)(const struct operation *op, char **ret_text);
        const char *path, *text;
        void (*before)(void);
        int ends;    /* how it ends with memory: 0 or a negative errno */
        int also[2]; /* how it may end without, besides ENOMEM */
        bool loose;  /* the text may differ */
        bool drops;  /* the connection ends, and comes back */
};

static int cat(const struct operation *op, char **ret_text)
{
        return rig_cat(op->path, ret_text);
}

static int ls(const struct operation *op, char **ret_text)
{
        return rig_ls(op->path, ret_text);
}

static int follow(const struct operation *op, char **ret_text)
{
        return rig_readlink(op->path, ret_text);
}

static int echo(const struct operation *op, char **ret_text)
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
static int ls_l(const struct operation *op, char **ret_text)
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
static int ask(const struct operation *op, char **ret_text)
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

static int rename_it(const struct operation *op, char **ret_text)
{
        static const char names[] = "status\0name";
        struct fuse_rename_in in = { .newdir = FUSE_ROOT_ID };

        (void)op;
        *ret_text = strdup("");
        return k_wait_error(k_send(FUSE_RENAME, FUSE_ROOT_ID, &in, sizeof(in), names, sizeof(names)));
}

static int change_mode(const struct operation *op, char **ret_text)
{
        struct fuse_entry_out entry;
        int r = rig_walk(op->path, &entry);

        *ret_text = strdup("");
        return r < 0 ? r : k_setattr(entry.nodeid, FATTR_MODE, 0);
}

/* As "> file" does it. */
static int truncate_it(const struct operation *op, char **ret_text)
{
        struct fuse_entry_out entry;
        int r = rig_walk(op->path, &entry);

        *ret_text = strdup("");
        return r < 0 ? r : k_setattr(entry.nodeid, FATTR_SIZE, 0);
}

/* Somebody else removes a device that we know. */
static int gone(const struct operation *op, char **ret_text)
{
        char *text = NULL;
        int r = rig_cat("devices/dimm1/driver", &text);

        (void)op;
        free(text);
        if (r < 0)
                return r;
        vm.dimm1 = false;
        update();
        rig_deleted(DIMM1);
        PUMP_FOR(rig.loop, SEC);
        r = rig_ls("devices", ret_text);
        ck_assert_msg(memory.all || r < 0 || !strstr(*ret_text, "dimm1"), "it is still there: %s", *ret_text);
        return r;
}

static int stat_fs(const struct operation *op, char **ret_text)
{
        (void)op;
        *ret_text = strdup("");
        return k_wait_error(k_send(FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0));
}

static int removed(const struct operation *op, char **ret_text)
{
        int r = echo(op, ret_text);

        /* success means done */
        if (r == 0 && !streq(op->text, "nowait"))
                CHECK(strstr(op->path, "dimm1") ? !vm.dimm1 : strstr(op->path, "cpus") ? !vm.cpu1 : !vm.nv0);
        if (r == 0 && startswith(op->path, "block/"))
                CHECK(!vm.drive);
        return r;
}

static void cpu_without_event(void)
{
        plug_in();
        vm.cpu_event = false;
}

static void silent(void)
{
        plug_in();
        vm.silent = true;
}

static void refused(void)
{
        plug_in();
        vm.refused = true;
}

/* Ctrl-C, once it has come to QEMU. */
static int interrupt(const struct operation *op, char **ret_text)
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
static int late(const struct operation *op, char **ret_text)
{
        int r;

        no_name();
        r = rig_cat("name", ret_text);
        (void)op;
        name_again();
        return r;
}

static int interrupt_late(const struct operation *op, char **ret_text)
{
        int r;

        no_name();
        r = interrupt(op, ret_text);
        name_again();
        return r;
}

/* QEMU goes and comes back; the daemon connects anew by itself. */
static int reconnect(const struct operation *op, char **ret_text)
{
        (void)op;
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP_FOR(rig.loop, 3 * SEC);
        memory.armed = false;
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        memory.armed = true;
        return rig_cat("name", ret_text);
}

/* It comes back as a server that is no QEMU; then it is what it was. */
static int limited(const struct operation *op, char **ret_text)
{
        int r;

        memory.armed = false;
        fake_on_error(rig.fake, "query-status", "CommandNotFound", "The command query-status has not been found");
        memory.armed = true;
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP_FOR(rig.loop, 3 * SEC);
        memory.armed = false;
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        memory.armed = true;
        r = rig_ls(op->path, ret_text);
        memory.armed = false;
        k_drop_all();
        fake_on(rig.fake, "query-status", "{\"status\": \"running\", \"running\": true}");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        return r;
}

/* While there is no connection. */
static int down(const struct operation *op, char **ret_text)
{
        int r;

        memory.armed = false;
        fake_unlisten(rig.fake);
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        memory.armed = true;
        r = rig_cat(op->path, ret_text);
        memory.armed = false;
        fake_listen(rig.fake, qmp_path);
        PUMP_WITHIN(rig.loop, 20 * SEC, rig.vm->peer.up);
        return r;
}

/* An event that nobody asked for; it is in the log, or that it was lost is. */
static int event(const struct operation *op, char **ret_text)
{
        int r;

        fake_event(rig.fake, "STOP", "{" MORE "}");
        PUMP_FOR(rig.loop, SEC);
        memory.armed = false;
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
static int stream(const struct operation *op, char **ret_text)
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
                ck_assert_msg(memory.all, "the event is lost, and the reader waits");
                memory.armed = false;
                rig_event("DEVICE_DELETED", "{\"path\": \"/x\", \"part\": {\"a\": [1], \"b\": 2}}");
        }
        reply = k_wait(read);
        r = reply->error;
        memory.armed = false;
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
static int filter_late(const struct operation *op, char **ret_text)
{
        static const char filter[] = "RESUME {\"a\": 1}";
        struct k_file file;
        int r;

        (void)op;
        memory.armed = false;
        file = rig_must_open("events", O_RDWR);
        rig_event("STOP", "{\"a\": 1}");
        rig_event("RESUME", "{\"a\": 1, \"b\": \"a text that is longer than forty bytes, by far\"}");
        SETTLE();
        memory.armed = true;
        r = k_wait_error(k_send_write(&file, filter, strlen(filter)));
        memory.armed = false;
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

static int poll_state(const struct operation *op, char **ret_text)
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
                memory.armed = false;
                ck_assert_msg(memory.all || k_was_woken(handle), "nobody was woken");
                PUMP(rig.loop, k_was_woken(handle));
        }
        k_release(&file);
        return r;
}

/* More readers at once than the loop had timers for. */
static int many(const struct operation *op, char **ret_text)
{
        uint64_t reads[40];
        struct k_file file;
        int r;

        memory.armed = false;
        file = rig_must_open("name", O_RDONLY);
        fake_on_nothing(rig.fake, "query-name");
        memory.armed = true;
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
        plug_in();
        rig_forget_introspection();
        rig_forget_asked();
}

/* A type that has not been met since the connection came up. */
static void forget_types(void)
{
        plug_in();
        plan_memory_forget(&rig.vm->peer.plan_memory);
}

static void known_schema(void)
{
        char *text;

        plug_in();
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

static const struct operation operations[] = {
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
        ASK("a missing key", "cmd/block_resize", "size=1", -EINVAL),
        ASK("no JSON", "cmd/block_resize", "{\"size\": }", -EINVAL),
        { .name = "cmd/device_add: properties, first",
          .run = ask,
          .path = "cmd/device_add",
          .text = "driver=nvme,serial=abc,addr=06.0,sse4.1=on,id=n1",
          .before = forget_schema },
        ASK("properties", "cmd/device_add", "driver=nvme,serial=abc,addr=06.0,sse4.1=on,id=n1", 0),
        ASK("no such property", "cmd/device_add", "driver=nvme,none=1", -EINVAL),
        { .name = "echo > qom/machine/size", .run = echo, .path = "qom/machine/size", .text = "1k" },
        { .name = "echo > qom/machine/tree", .run = echo, .path = "qom/machine/tree", .text = "{\"tm_year\": 1}" },
        { .name = "echo stop > ctl", .run = echo, .path = "ctl", .text = "stop" },
        { .name = "echo reset > ctl", .run = echo, .path = "ctl", .text = "reset" },
        { .name = "echo powerdown > ctl", .run = echo, .path = "ctl", .text = "powerdown timeout=5" },
        { .name = "echo none > ctl", .run = echo, .path = "ctl", .text = "none", .ends = -EINVAL },
        { .name = "echo quit > ctl", .run = echo, .path = "ctl", .text = "quit", .drops = true },

        { .name = "remove: a device",
          .run = removed,
          .path = "devices/dimm1/remove",
          .text = "1",
          .before = plug_in },
        { .name = "remove: a disk with its drive",
          .run = removed,
          .path = "block/NVME1/remove",
          .text = "timeout=3",
          .before = plug_in },
        { .name = "remove: a CPU that says nothing",
          .run = removed,
          .path = "cpus/1/remove",
          .text = "1",
          .before = cpu_without_event },
        { .name = "remove: nowait",
          .run = removed,
          .path = "devices/nv0/remove",
          .text = "nowait",
          .before = plug_in },
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
        { .name = "a device that somebody else removes", .run = gone, .before = plug_in, .loose = true },
        { .name = "a stream", .run = stream, .loose = true },
        { .name = "a filter for what is queued", .run = filter_late, .loose = true },
        { .name = "poll", .run = poll_state },
        { .name = "40 readers", .run = many },
};

/* Over all tests, which are processes. */
static struct totals {
        unsigned long refusals, operations, allocations;
} * totals;

static bool may_end(const struct operation *op, int r)
{
        if (r == op->ends || r == -ENOMEM)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(op->also); i++)
                if (op->also[i] && r == op->also[i])
                        return true;
        /* that outlasted the limits, which is to be told, too */
        return memory.all && (r == -ETIMEDOUT || r == -EHOSTDOWN);
}

/* Nothing of it is left. */
static void check_rest(const struct operation *op, unsigned long k)
{
        PUMP_WITHIN(rig.loop, 100 * SEC, k_n_pending() == 0);
        k_drop_all();
        PUMP_WITHIN(rig.loop, 2 * SEC, list_empty(&rig.session->contents.repeats));
        SETTLE();
        ck_assert_msg(memory.all || op->drops || rig.vm->peer.up, "%s, %lu: the connection is down", op->name, k);
        PUMP_WITHIN(rig.loop, 30 * SEC, rig.vm->peer.up);
        SETTLE();
        /* a removal outlives who waited for it */
        for (size_t i = 0; i < 20 && !list_empty(&rig.vm->removals.all); i++)
                PUMP_FOR(rig.loop, 50 * MS);
        CHECK(list_empty(&rig.session->requests));
        CHECK(rig.vm->peer.bus.subscribers.prev == &rig.vm->subscriber.link);
        CHECK(rig.session->inodes.n == 0);
        for (size_t i = 0; i < N_CHANNELS; i++)
                CHECK(list_empty(&rig.vm->news[i].watchers));
}

static int run(const struct operation *op, char **ret_text)
{
        int r;

        if (op->before)
                op->before();
        /* nothing is young enough to be used again */
        PUMP_FOR(rig.loop, 300 * MS);
        *ret_text = NULL;
        memory.n = memory.refused = 0;
        kernel.no_memory = memory.at > 0;
        memory.armed = true;
        r = op->run(op, ret_text);
        memory.armed = false;
        return r;
}

/* As it is with memory. */
static void run_well(const struct operation *op, char **text)
{
        _cleanup_(qmp_freep) char *got = NULL;
        unsigned long at = memory.at;
        int r;

        memory.at = 0;
        r = run(op, &got);
        ck_assert_msg(r == op->ends, "%s, after %lu: %s, not %s", op->name, at, strerrorname_np(-r),
                      strerrorname_np(-op->ends));
        if (!*text)
                *text = take_ptr(got);
        else if (got && !op->loose)
                ck_assert_msg(streq(got, *text), "%s, after %lu: '%s', not '%s'", op->name, at, got, *text);
        check_rest(op, at);
        memory.at = at;
}

static void refuse_each(const struct operation *op, bool all, unsigned long step)
{
        _cleanup_(qmp_freep) char *text = NULL;
        unsigned long n = 0;

        memory.all = all;
        run_well(op, &text);
        for (unsigned long k = 1;; k += 1 + k * step / 4) {
                _cleanup_(qmp_freep) char *got = NULL;
                unsigned long refused_now;
                int r;

                memory.at = k;
                r = run(op, &got);
                refused_now = memory.refused;
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
        memory.at = 0;
        totals->refusals += n;
        totals->operations += !all;
}

/* So many to a process, at the end of which LeakSanitizer takes longer than some of them do. */
#define CHUNK    8
#define N_CHUNKS ((ARRAY_SIZE(operations) + CHUNK - 1) / CHUNK)

static void refuse_chunk(int chunk, bool all, unsigned long step)
{
        for (size_t i = (size_t)chunk * CHUNK; i < ARRAY_SIZE(operations) && i < (size_t)(chunk + 1) * CHUNK; i++)
                refuse_each(&operations[i], all, step);
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

/* --- what is outside of operations ------------------------------------------------------------------------------- */

/* As the daemon starts. */
START_TEST(mounting_without_memory_fails)
{
        struct peer_options options = { .timeout_ns = SEC, .max_load = 10 };
        struct session_options session_options = { .root = &tree_root };
        bool refused_any = true;

        for (unsigned long k = 1; refused_any; k++) {
                char *argv[] = { (char *)(uintptr_t) "qmpfs", NULL };
                struct fuse_args args = FUSE_ARGS_INIT(1, argv);
                struct session *session = NULL;
                struct qmp_loop *loop = NULL;
                struct context context;
                struct vm *made = NULL;
                int r;

                memory.n = memory.refused = 0;
                memory.at = k;
                memory.turns = 1;
                memory.armed = true;
                r = qmp_loop_new(&loop);
                if (r == 0)
                        context_init(&context, loop);
                if (r == 0)
                        r = vm_new(&context, "/run/vm.sock", &options, &made);
                if (r == 0)
                        r = session_new(&context, made, &args, &session_options, &session);
                memory.armed = false;
                memory.turns = 0;
                refused_any = memory.refused > 0;
                totals->refusals += memory.refused;
                totals->allocations += memory.refused;
                /* EINVAL: libfuse does not tell why */
                ck_assert_msg(r == (refused_any ? -ENOMEM : 0) || (refused_any && r == -EINVAL), "%lu: %s", k,
                              strerrorname_np(-r));
                fuse_opt_free_args(&args);
                session_free(session);
                vm_free(made);
                qmp_loop_free(loop);
        }
}
END_TEST

static void fired(struct qmp_timer *timer)
{
        timer->deadline = 0;
}

/* Reconnecting, ending a removal, letting go of what is old: what depends on a timer would never happen. */
START_TEST(timers_need_no_memory)
{
        struct qmp_timer timers[1000];
        struct qmp_loop *loop;

        test_time_virtual();
        CHECK(qmp_loop_new(&loop) == 0);
        memory.at = 1;
        memory.all = true;
        memory.armed = true;
        for (size_t i = 0; i < ARRAY_SIZE(timers); i++) {
                memory.turns = 1;
                timers[i] = (struct qmp_timer){ .fire = fired };
                qmp_timer_arm(loop, &timers[i], qmp_now() + (i * 7919 % 1000 + 1) * MS);
                memory.turns = 0;
        }
        PUMP_FOR(loop, 2 * SEC);
        memory.armed = false;
        for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
                CHECK(timers[i].deadline == 0);
        qmp_loop_free(loop);
        test_time_real();
}
END_TEST

/* It has no memory for the request, says so to a kernel that pays no heed, and calls nobody. */
START_TEST(what_libfuse_loses)
{
        struct fuse_release_in in;
        struct k_file file;

        up();
        file = rig_must_open("status", O_RDONLY);
        in = (struct fuse_release_in){ .fh = file.fh };
        memory.all = kernel.no_memory = memory.armed = true;
        memory.n = 0;
        memory.at = 1;
        CHECK(k_wait_error(k_send(FUSE_RELEASE, file.node, &in, sizeof(in), NULL, 0)) == -ENOMEM);
        k_forget(file.node, 1);
        SETTLE();
        memory.armed = false;
        CHECK(rig.session->inodes.n == 1);
        CHECK(file_find(rig.session, file.fh) != NULL);
        /* it takes nothing else with it: both can still be done, though no kernel would */
        k_forget(file.node, 1);
        k_drop_all();
        SETTLE();
        CHECK(rig.session->inodes.n == 0);
        rig_down();
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
static void limit_memory(rlim_t more)
{
        struct rlimit limit;
        unsigned long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");

        CHECK(f && fscanf(f, "%lu", &pages) == 1);
        fclose(f);
        CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
        limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

/*
 * Not refused one by one, but for real: QEMU sends an object for which there is no memory. json-c would have left out what it
 * had no memory for, or dereferenced NULL.
 */
START_TEST(a_message_beyond_the_limit_of_memory_is_no_answer)
{
        size_t n = 200000, size = 0;
        char *big = malloc(n * 48), *text = NULL;
        struct k_file file;
        uint64_t read;
        int r;

        CHECK(big);
        for (size_t i = 0; i < n; i++)
                size += (size_t)sprintf(big + size, "%c\"a key of about thirty bytes %zu\":0", i > 0 ? ',' : '{', i);
        strcpy(big + size, "}");
        up();
        file = rig_must_open_and_read("status", O_RDONLY);
        fake_on_nothing(rig.fake, "query-status");
        read = k_send_read(&file, 0, 65536);
        SETTLE();
        fake_return(rig.fake, rig_last("query-status"), big);
        fake_on(rig.fake, "query-status", "{\"status\": \"running\", \"running\": true}");
        limit_memory(48 << 20);
        r = k_wait_error(read);
        ck_assert_msg(r == -ETIMEDOUT || r == -EHOSTDOWN, "%s", strerrorname_np(-r));
        PUMP(rig.loop, !rig.vm->peer.up);
        limit_memory(RLIM_INFINITY);
        ASSERT_OK(rig_cat("connection", &text));
        ck_assert_contains(text, "out of memory for a message");
        free(text);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT("name", "vm1\n");
        free(big);
        rig_down();
}
END_TEST
#endif

/* --- json-c ------------------------------------------------------------------------------------------------------ */

enum outcome { TOLD = 10, RIGHT, WRONG, NOT_REACHED };

static const char sample[] =
        "{\"return\": [{\"a key that is longer than forty bytes, which is the first buffer\": \"a text that is "
        "longer "
        "than forty bytes, which is the first buffer\", \"b\": 1}, {\"c\": [1, 2.5, true, null], \"d\": "
        "18446744073709551615, \"e\": {}, \"f\": 1, \"g\": 2, \"h\": 3, \"i\": 4, \"j\": 5, \"k\": 6, \"l\": 7, "
        "\"m\": 8, \"n\": 9, \"o\": 10, \"p\": 11, \"q\": 12, \"r\": 13, \"s\": 14, \"t\": 15, \"u\": 16}]}";

static enum outcome parse_sample(struct json_object *expected, bool reserved)
{
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *value;

        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        if (reserved)
                CHECK(qmp_json_reserve(tokener, sizeof(sample), 0) == 0);
        memory.armed = true;
        value = __real_json_tokener_parse_ex(tokener, sample, sizeof(sample) - 1);
        memory.armed = false;
        if (!value || json_tokener_get_parse_end(tokener) != sizeof(sample) - 1)
                return TOLD;
        return json_object_equal(value, expected) ? RIGHT : WRONG;
}

static enum outcome print_sample(struct json_object *expected, bool reserved)
{
        _cleanup_(qmp_freep) char *text = strdup(json_object_to_json_string_ext(expected, JSON_C_TO_STRING_PRETTY));
        struct json_object *again = json_tokener_parse(sample);
        const char *said = NULL;
        size_t size;

        memory.armed = true;
        if (!reserved)
                said = json_object_to_json_string_length(again, JSON_C_TO_STRING_PRETTY, &size);
        else if (qmp_json_text(again, JSON_C_TO_STRING_PRETTY, &said, &size) < 0)
                said = NULL;
        memory.armed = false;
        return !said ? TOLD : streq(said, text) ? RIGHT : WRONG;
}

static enum outcome add_sample(struct json_object *expected, bool reserved)
{
        struct json_object *object = json_object_new_object();
        int r;

        (void)expected;
        (void)reserved;
        memory.armed = true;
        r = json_object_object_add(object, "key", NULL);
        memory.armed = false;
        return r < 0 ? TOLD : json_object_object_get_ex(object, "key", NULL) ? RIGHT : WRONG;
}

/* Refuses the @k-th allocation in a process of its own. What ASan or a signal ends has crashed. */
static int try(enum outcome (*fn)(struct json_object *, bool), struct json_object *expected, bool reserved,
               unsigned long k)
{
        enum outcome r;
        int status;
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
                CHECK(freopen("/dev/null", "w", stderr) != NULL);
                /* a sanitizer would take its time to tell */
                signal(SIGSEGV, SIG_DFL);
                memory.at = k;
                memory.n = 0;
                memory.turns = 1;
                r = fn(expected, reserved);
                _exit(memory.refused > 0 ? (int)r : (int)NOT_REACHED);
        }
        CHECK(waitpid(child, &status, 0) == child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Not what ought to be, but what is: why the functions above fail as a whole here, and what qmp/json.c does about it. */
START_TEST(json_c_as_it_is)
{
        static const struct {
                const char *name;
                enum outcome (*fn)(struct json_object *, bool);
                bool reserved, safe;
        } functions[] = {
                { "json_object_object_add()", add_sample, false, true },
                { "json_object_to_json_string_length()", print_sample, false, false },
                { "  by qmp_json_text()", print_sample, true, true },
                { "json_tokener_parse_ex()", parse_sample, false, false },
                { "  after qmp_json_reserve()", parse_sample, true, false },
        };
        struct json_object *expected = json_tokener_parse(sample);

        printf("json-c %s, allocations refused one by one: %-38s %6s %6s %6s %6s\n", json_c_version(), "", "told",
               "right", "wrong", "crash");
        for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
                unsigned n[4] = { 0 };

                for (unsigned long k = 1; k < 1000; k++) {
                        int outcome = try(functions[i].fn, expected, functions[i].reserved, k);

                        if (outcome == NOT_REACHED)
                                break;
                        n[outcome == TOLD ? 0 : outcome == RIGHT ? 1 : outcome == WRONG ? 2 : 3]++;
                }
                printf("%-80s %6u %6u %6u %6u\n", functions[i].name, n[0], n[1], n[2], n[3]);
                if (functions[i].safe)
                        CHECK(n[2] == 0 && n[3] == 0);
        }
        json_object_put(expected);
}
END_TEST

/* The room that qmp_json_text() makes is enough: there is nothing to be asked for afterwards. */
START_TEST(a_text_needs_room_only_once)
{
        static const char *const texts[] = {
                sample,
                schema,
                "[]",
                "{}",
                "[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]",
                "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":[null,true,false,0,-9223372036854775808]}}}}}",
                "[\"\\u0000\\u0001\\u001f\\u007f\\b\\n\\r\\t\\f/////////////////////\\\"\\\"\\\"\\\\\\\\\"]",
                "{\"\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001//////\":1.5e+300,\"\":0.1}",
                "[1.0000000000000000000000000000000000000000000000000000000000000001,1e1]",
                "\"////////////////////////////////////////////////\"",
                "1.0000000000000000000000000000000000000000000000000000000000000001",
                "-9223372036854775808",
                "true",
        };
        static const int flags[] = {
                JSON_C_TO_STRING_PLAIN,
                JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                JSON_C_TO_STRING_SPACED,
                JSON_C_TO_STRING_PRETTY,
                JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE,
        };
        size_t size;

        memory.turns = 1;
        for (size_t i = 0; i < ARRAY_SIZE(texts) * ARRAY_SIZE(flags); i++) {
                struct json_object *value = json_tokener_parse(texts[i / ARRAY_SIZE(flags)]);
                int how = flags[i % ARRAY_SIZE(flags)];
                _cleanup_(qmp_freep) char *expected = strdup(json_object_to_json_string_ext(value, how));
                const char *text;

                json_object_put(value);
                value = json_tokener_parse(texts[i / ARRAY_SIZE(flags)]);
                memory.n = memory.at = 0;
                memory.armed = true;
                CHECK(qmp_json_text(value, how, &text, &size) == 0);
                memory.armed = false;
                ck_assert_str_eq(text, expected);
                CHECK(size == strlen(expected));
                /* the buffer, its first room, and all the room */
                ck_assert_msg(memory.n <= 3, "%lu allocations for %s", memory.n, expected);
                json_object_put(value);
        }
        memory.turns = 0;
}
END_TEST

int main(void)
{
        const struct test on_the_rig[] = {
                TEST_EACH(each_allocation_may_fail_once, N_CHUNKS),
                TEST_EACH(all_memory_may_be_gone_for_a_while, N_CHUNKS),
        };
        const struct test alone[] = {
                TEST(mounting_without_memory_fails),
                TEST(timers_need_no_memory),
                TEST(what_libfuse_loses),
#ifndef __SANITIZE_ADDRESS__
                /* AddressSanitizer's shadow alone is beyond any limit */
                TEST(a_message_beyond_the_limit_of_memory_is_no_answer),
#endif

                TEST(json_c_as_it_is),
                TEST(a_text_needs_room_only_once),
        };
        int r;

        totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (totals == MAP_FAILED)
                return EXIT_FAILURE;
        r = test_main("alloc", on_the_rig, ARRAY_SIZE(on_the_rig), up, rig_down);
        if (test_main("alloc alone", alone, ARRAY_SIZE(alone), NULL, NULL) != EXIT_SUCCESS)
                r = EXIT_FAILURE;
        printf("%lu allocations of %lu operations failed one by one; with those that failed together: %lu\n",
               totals->allocations, totals->operations, totals->refusals);
        return r;
}
