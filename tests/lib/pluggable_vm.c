#include "tests/lib/pluggable_vm.h"

#include "tests/lib/files.h"

#define COMMAND(name, arg, ret, more)                                                                                \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"" ret       \
        "\"" more "}"
#define BUILTIN(name, json)   "{\"name\": \"" name "\", \"meta-type\": \"builtin\", \"json-type\": \"" json "\"}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"
#define OPTIONAL(name, type)  "{\"name\": \"" name "\", \"type\": \"" type "\", \"default\": null}"
#define PROPERTY(name, type)  "{\"name\": \"" name "\", \"type\": \"" type "\"}"

// clang-format off
const char pluggable_schema[] =
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
        OBJECT("1", OPTIONAL("device", "str") ", " OPTIONAL("node-name", "str") ", " MEMBER("size", "int")) ", "
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

struct pluggable pluggable;

void pluggable_update(void)
{
        char text[4096];

        snprintf(text, sizeof(text), "[%s%s%s" PROPERTY("type", "string") "]",
                 pluggable.nv0 ? PROPERTY("nv0", "child<nvme>") ", " : "",
                 pluggable.dimm1 ? PROPERTY("dimm1", "child<pc-dimm>") ", " : "",
                 pluggable.cpu1 ? PROPERTY("cpu1", "child<max-x86_64-cpu>") ", " : "");
        rig_qom("/machine/peripheral", NULL, text);
        rig_qom(NV0, NULL,
                pluggable.nv0 ? "[" PROPERTY("type", "string") ", " PROPERTY("drive", "str") ", " PROPERTY(
                                 "serial", "str") ", " PROPERTY("secret", "str") ", " PROPERTY("a/b", "str") "]"
                       : NULL);
        rig_qom(NV0, "type", pluggable.nv0 ? "\"nvme\"" : NULL);
        rig_qom(NV0, "drive", pluggable.nv0 ? "\"NVME1\"" : NULL);
        rig_qom(NV0, "serial", pluggable.nv0 ? "\"a serial number that is longer than forty bytes\"" : NULL);
        rig_qom(NV0, "a/b", pluggable.nv0 ? "[1, {}]" : NULL);
        rig_qom_error(NV0, "secret", "GenericError", "Property 'nvme.secret' is not readable");
        rig_qom(DIMM1, NULL, pluggable.dimm1 ? "[" PROPERTY("type", "string") "]" : NULL);
        rig_qom(CPU1, NULL, pluggable.cpu1 ? "[" PROPERTY("type", "string") "]" : NULL);
        snprintf(text, sizeof(text),
                 "[%s%s%s%s%s{\"device\": \"virtio0\", \"qdev\": "
                 "\"/machine/peripheral-anon/device[0]/virtio-backend\", \"type\": \"unknown\"}]",
                 pluggable.drive ? "{\"device\": \"NVME1\", " : "", pluggable.drive && pluggable.nv0 ? "\"qdev\": \"nv0\", " : "",
                 pluggable.drive ? "\"inserted\": {\"node-name\": \"#block1\", \"ro\": false, \"image\": {\"virtual-size\": 42949672960}}, " : "", pluggable.drive ? MORE : "",
                 pluggable.drive ? "}, " : "");
        fake_on(rig.fake, "query-block", text);
        fake_on(rig.fake, "query-memory-devices",
                pluggable.dimm1 ? "[{\"type\": \"dimm\", \"data\": {\"slot\": 0, \"id\": \"dimm1\"}}]" : "[]");
        snprintf(text, sizeof(text),
                 "[{\"thread-id\": 100, \"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0}%s]",
                 pluggable.cpu1 ? ", {\"thread-id\": 101, \"qom-path\": \"" CPU1 "\", \"cpu-index\": 1}" : "");
        fake_on(rig.fake, "query-cpus-fast", text);
        fake_on(rig.fake, "query-hotpluggable-cpus",
                /* still, when it is asked for: an unplug takes its time */
                "[{\"qom-path\": \"" CPU1 "\"}, {\"type\": \"x\"}]");
}

void pluggable_plug_in(void)
{
        pluggable.nv0 = pluggable.dimm1 = pluggable.cpu1 = pluggable.drive = pluggable.cpu_event = true;
        pluggable.silent = pluggable.refused = false;
        pluggable_update();
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
        bool *plugged = streq(path, NV0)     ? &pluggable.nv0
                        : streq(path, DIMM1) ? &pluggable.dimm1
                        : streq(path, CPU1)  ? &pluggable.cpu1
                                             : NULL;

        (void)userdata;
        CHECK_MSG(plugged != NULL, "device_del of '%s'", path);
        if (!*plugged) {
                fake_error(fake, command, "DeviceNotFound", "Device 'x' not found");
                return;
        }
        fake_return(fake, command, "{}");
        if (pluggable.silent)
                return;
        if (pluggable.refused) {
                rig_event("ACPI_DEVICE_OST",
                          "{\"info\": {\"device\": \"%s\", \"source\": 3, \"status\": 130, "
                          "\"slot\": \"0\", \"slot-type\": \"DIMM\"}}",
                          strrchr(path, '/') + 1);
                return;
        }
        *plugged = false;
        pluggable_update();
        rig_event("DEVICE_DELETED", "{\"path\": \"%s/lapic\"}", path);
        if (plugged != &pluggable.cpu1 || pluggable.cpu_event)
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
        CHECK_STR(line, "drive_del NVME1");
        fake_return(fake, command, "\"\"");
        pluggable.drive = false;
        pluggable_update();
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

const char *pluggable_path;

void pluggable_up(void)
{
        static char big[BIG + 100];
        struct fake_qemu *f;

        test_time_virtual();
        pluggable_path = test_path("qmp.sock");
        rig_make(pluggable_path);
        k_mount();
        f = rig.fake;
        /* no test may take long by its own clock, see tests/lib/test.h */
        rig.vm->peer.options.timeout_ns = 2 * SEC;
        rig.vm->peer.options.command_timeout_ns = 3 * SEC;
        rig.vm->peer.options.unplug_timeout_ns = 8 * SEC;
        f->greeting = FAKE_GREETING_OOB;
        pluggable_plug_in();
        fake_on(f, "query-qmp-schema", pluggable_schema);
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
        fake_listen(f, pluggable_path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        SETTLE();
}
