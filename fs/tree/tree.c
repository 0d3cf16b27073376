/*
 * The tree: rows, and how the records of each collection are named and what their devices are. A new file is a new
 * row here, a test, and its line in docs/tree.md.
 */
#include "fs/tree/tree.h"

#include <errno.h>
#include <stdio.h>

#include "fs/kinds/catalog.h"
#include "fs/util/qdev.h"
#include "qmp/message.h"

static char *copy(const char *s, size_t *ret_size)
{
        *ret_size = strlen(s);
        return strdup(s);
}

/* A string's bytes, which may hold NUL. */
static char *copy_string(struct json_object *string, size_t *ret_size)
{
        size_t size = (size_t)json_object_get_string_len(string);
        char *text = malloc(size + 1);

        if (text)
                memcpy(text, json_object_get_string(string), size + 1);
        *ret_size = size;
        return text;
}

/* For an id that may contain NUL, which no path can. */
static bool is_usable(struct json_object *id)
{
        const char *s = json_object_get_string(id);

        return strlen(s) == (size_t)json_object_get_string_len(id) && qdev_id_is_usable(s);
}

static int target_of(const char *qdev, char **ret_path)
{
        *ret_path = qdev_target(qdev);
        return *ret_path ? 0 : -ENOMEM;
}

static const char *non_empty(const char *s)
{
        return s && *s ? s : NULL;
}

/* --- devices: /machine/peripheral and /machine/peripheral-anon -------------------------------------------------- */

static char *device_name(struct json_object *record, size_t *ret_size)
{
        return copy_string(qmp_json_get(record, "id"), ret_size);
}

static int device_device(struct json_object *record, char **ret_path)
{
        const char *path = qmp_json_get_string(record, "path");

        if (!path || !is_usable(qmp_json_get(record, "id")))
                return 0;
        *ret_path = strdup(path);
        return *ret_path ? 0 : -ENOMEM;
}

static const struct remove device_remove = { 0 };

static const struct row device_rows[] = {
        { .name = "driver", .kind = &kind_record_value, .mode = 0444, .member = "driver" },
        { .name = "status", .kind = &kind_properties, .mode = 0444 },
        { .name = "qom", .kind = &kind_qom_object_link },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &device_remove },
        { 0 },
};

static const struct each devices_each = {
        .query = { .plan = &plan_devices },
        .name = device_name,
        .device = device_device,
        .rows = device_rows,
        .properties = true,
};

/* --- block: query-block ----------------------------------------------------------------------------------------- */

static const char *block_qdev(struct json_object *record)
{
        return qmp_json_get_string(record, "qdev");
}

static const char *block_legacy_drive(struct json_object *record)
{
        return non_empty(qmp_json_get_string(record, "device"));
}

static const char *block_node(struct json_object *record)
{
        return qmp_json_get_string(qmp_json_get(record, "inserted"), "node-name");
}

/* What the device's property "drive" is, if it is the device of this entry. */
static const char *block_drive(struct json_object *record)
{
        const char *drive = block_legacy_drive(record);

        if (!drive)
                drive = block_node(record);
        return drive ? drive : "";
}

static char *block_name(struct json_object *record, size_t *ret_size)
{
        const char *name = block_legacy_drive(record);
        const char *qdev = block_qdev(record);

        if (!name && qdev) {
                _cleanup_(qmp_freep) char *target = qdev_target(qdev);

                /* an id is taken as it is, slashes and all */
                return target ? copy(*qdev == '/' ? qdev_last(target) : qdev, ret_size) : NULL;
        }
        if (!name)
                name = block_node(record);
        return copy(name ? name : "", ret_size);
}

static bool block_has_qdev(struct json_object *record)
{
        const char *qdev = block_qdev(record);

        return qdev && (*qdev == '/' || qdev_id_is_usable(qdev));
}

static int block_device(struct json_object *record, char **ret_path)
{
        return block_has_qdev(record) ? target_of(block_qdev(record), ret_path) : 0;
}

static bool block_has_device(struct json_object *record)
{
        const char *qdev = block_qdev(record);

        return block_has_qdev(record) && (*qdev != '/' || qdev_is_pluggable(qdev));
}

static const struct remove block_remove = {
        .qdev = block_qdev,
        .drive = block_drive,
        .legacy_drive = block_legacy_drive,
        .node = block_node,
};

static const struct row block_rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &devices_each, .present = block_has_device },
        { .name = "qom", .kind = &kind_qom_object_link, .present = block_has_qdev },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &block_remove },
        { 0 },
};

static const struct each block_each = {
        .query = { .plan = &plan_command, .a = "query-block" },
        .name = block_name,
        .device = block_device,
        .identity = block_legacy_drive,
        .rows = block_rows,
};

/* --- cpus: query-cpus-fast -------------------------------------------------------------------------------------- */

static char *cpu_name(struct json_object *record, size_t *ret_size)
{
        char *name;
        int n = asprintf(&name, "%lld", (long long)json_object_get_int64(qmp_json_get(record, "cpu-index")));

        if (n < 0)
                return NULL;
        *ret_size = (size_t)n;
        return name;
}

static int cpu_device(struct json_object *record, char **ret_path)
{
        const char *path = qmp_json_get_string(record, "qom-path");

        return path ? target_of(path, ret_path) : 0;
}

/* A vCPU that was unplugged and plugged again has another thread; under TCG no event tells of it (QEMU 7.2). */
static const char *cpu_identity(struct json_object *record)
{
        static char id[24];

        snprintf(id, sizeof(id), "%lld", (long long)json_object_get_int64(qmp_json_get(record, "thread-id")));
        return id;
}

static bool cpu_has_device(struct json_object *record)
{
        const char *path = qmp_json_get_string(record, "qom-path");

        return path && qdev_is_pluggable(path);
}

static const struct remove cpu_remove = { 0 };

static const struct row cpu_rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &devices_each, .present = cpu_has_device },
        { .name = "qom", .kind = &kind_qom_object_link },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &cpu_remove },
        { 0 },
};

static const struct each cpus_each = {
        .query = { .plan = &plan_command, .a = "query-cpus-fast" },
        .name = cpu_name,
        .device = cpu_device,
        .identity = cpu_identity,
        .rows = cpu_rows,
};

/* --- memory: query-memory-devices ------------------------------------------------------------------------------- */

static struct json_object *memory_id(struct json_object *record)
{
        struct json_object *id = qmp_json_get(qmp_json_get(record, "data"), "id");

        return json_object_is_type(id, json_type_string) ? id : NULL;
}

static int memory_slot(struct json_object *record)
{
        struct json_object *slot = qmp_json_get(qmp_json_get(record, "data"), "slot");

        return json_object_is_type(slot, json_type_int) ? json_object_get_int(slot) : -1;
}

static char *memory_name(struct json_object *record, size_t *ret_size)
{
        struct json_object *id = memory_id(record);
        const char *memdev = qmp_json_get_string(qmp_json_get(record, "data"), "memdev");
        char name[32];

        if (id)
                return copy_string(id, ret_size);
        if (memory_slot(record) >= 0) {
                snprintf(name, sizeof(name), "slot-%d", memory_slot(record));
                return copy(name, ret_size);
        }
        /* virtio-mem and virtio-pmem have no slot, but each has a back end of its own */
        return copy(memdev ? qdev_last(memdev) : "", ret_size);
}

static int memory_device(struct json_object *record, char **ret_path)
{
        struct json_object *id = memory_id(record);

        if (!id || !is_usable(id))
                return 0;
        *ret_path = qdev_path(json_object_get_string(id));
        return *ret_path ? 0 : -ENOMEM;
}

/* A slot, and with it the name, may be another DIMM's soon. */
static const char *memory_identity(struct json_object *record)
{
        return qmp_json_get_string(qmp_json_get(record, "data"), "memdev");
}

static const struct remove memory_remove = { .slot = memory_slot };

static const struct row memory_rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &devices_each },
        { .name = "qom", .kind = &kind_qom_object_link },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &memory_remove },
        { 0 },
};

static const struct each memory_each = {
        .query = { .plan = &plan_command, .a = "query-memory-devices" },
        .name = memory_name,
        .device = memory_device,
        .identity = memory_identity,
        .has_anonymous = true,
        .rows = memory_rows,
};

/* --- what introspection tells ----------------------------------------------------------------------------------- */

static const struct row query_file = { .name = "NAME", .kind = &kind_query_file, .mode = 0444, .dynamic = true };

/* what no plain read may ask for; see reads.h */
static const struct row query_asked = { .name = "OTHER", .kind = &kind_query_asked, .mode = 0644, .dynamic = true };

static const struct catalog unstable_queries = {
        .file = &query_file,
        .asked = &query_asked,
        .require = schema_require,
        .find = queries_find,
        .name = queries_name,
        .unstable = true,
};

static const struct row query_rows[] = {
        { .name = "unstable", .kind = &kind_catalog, .data = &unstable_queries },
        { 0 },
};

static const struct catalog queries = {
        .rows = query_rows,
        .file = &query_file,
        .asked = &query_asked,
        .require = schema_require,
        .find = queries_find,
        .name = queries_name,
};

static const struct row command_file = { .name = "NAME", .kind = &kind_command, .mode = 0600, .dynamic = true };

static const struct catalog commands = {
        .file = &command_file,
        .require = schema_require,
        .find = schema_find,
        .name = schema_name,
        .meta = QMP_META_COMMAND,
};

static const struct row schema_file = { .name = "NAME", .kind = &kind_schema, .mode = 0444, .dynamic = true };

static const struct catalog schema_commands = {
        .file = &schema_file,
        .require = schema_require,
        .find = schema_find,
        .name = schema_name,
        .meta = QMP_META_COMMAND,
};

static const struct catalog schema_events = {
        .file = &schema_file,
        .require = schema_require,
        .find = schema_find,
        .name = schema_name,
        .meta = QMP_META_EVENT,
};

static const struct catalog schema_types = {
        .file = &schema_file,
        .require = schema_require,
        .find = schema_find,
        .name = schema_name,
        .meta = QMP_META_OBJECT,
};

static const struct row schema_rows[] = {
        { .name = "commands", .kind = &kind_catalog, .data = &schema_commands },
        { .name = "events", .kind = &kind_catalog, .data = &schema_events },
        { .name = "types", .kind = &kind_catalog, .data = &schema_types },
        { 0 },
};

static const struct row type_rows[] = {
        { .name = "list", .kind = &kind_type_list, .mode = 0644, .needs = "qom-list-types", .owner = true },
        { 0 },
};

static const struct row type_file = { .name = "DRIVER", .kind = &kind_type, .mode = 0644, .dynamic = true };

static const struct catalog types = {
        .rows = type_rows,
        .file = &type_file,
        .require = types_require,
        .find = types_find,
        .name = types_name,
};

static const struct row qom_property = {
        .name = "PROPERTY", .kind = &kind_qom_property, .mode = 0644, .dynamic = true
};

/* What -object made, secrets among it, whose text anybody could read by qom-get. */
static const struct row qom_objects = { .name = "objects", .kind = &kind_qom, .mode = 0700, .dynamic = true };

static const struct qom_rows qom = { .property = &qom_property, .objects = &qom_objects };

/* --- the VM ----------------------------------------------------------------------------------------------------- */

/*
 * A guest that is still booting loses a press of the power button: QEMU drops it until the guest has enabled the ACPI
 * event, and the guest's kernel until a program listens. A press too many must do no harm, though. systemd-logind,
 * acpid and init(8) ignore it while they shut down; a desktop that asks its user asks again. Presses in quick
 * succession are something else to some guests: illumos cancels the shutdown at a second one within 1.5 s. OpenStack
 * Nova has sent one each 10 s to guests of all kinds since 2014. libvirt and Proxmox send a single one, as "once"
 * does.
 */
#define PRESS_AGAIN_NS (10 * NSEC_PER_SEC)

static const struct verb vm_verbs[] = {
        { .name = "stop", .help = "pause the VM", .command = "stop" },
        { .name = "cont", .help = "resume the VM", .command = "cont" },
        { .name = "reset",
          .help = "reset the VM like its reset button",
          .command = "system_reset",
          .until = { "RESET", "SHUTDOWN" } },
        { .name = "powerdown",
          .help = "press the power button every 10 s until the guest is down; powerdown once, nowait, timeout=SEC",
          .command = "system_powerdown",
          .until = { "SHUTDOWN" },
          .guest = true,
          .repeat_ns = PRESS_AGAIN_NS,
          .told_by = "POWERDOWN" },
        { .name = "wakeup",
          .help = "wake the guest from suspend",
          .command = "system_wakeup",
          .until = { "WAKEUP" } },
        { .name = "nmi", .help = "inject a non-maskable interrupt", .command = "inject-nmi" },
        { .name = "quit", .help = "end QEMU immediately", .command = "quit", .ends = true },
        { 0 },
};

static const struct row vm_rows[] = {
        { .name = "status", .kind = &kind_json, .mode = 0444, .query = "query-status" },
        { .name = "state",
          .kind = &kind_state,
          .mode = 0444,
          .query = "query-status",
          .needs = "",
          .member = "status",
          .channel = CHANNEL_STATE },
        { .name = "name",
          .kind = &kind_value,
          .mode = 0444,
          .query = "query-name",
          .member = "name",
          .optional = true },
        { .name = "uuid", .kind = &kind_value, .mode = 0444, .query = "query-uuid", .member = "UUID" },
        { .name = "version", .kind = &kind_version, .mode = 0444, .query = "query-version" },
        {
                .name = "connection",
                .kind = &kind_connection,
                .mode = 0444,
                .channel = CHANNEL_CONNECTION,
        },
        { .name = "ctl", .kind = &kind_ctl, .mode = 0644, .data = vm_verbs },
        { .name = "events", .kind = &kind_events, .mode = 0644, .channel = CHANNEL_EVENTS },
        { .name = "errors", .kind = &kind_errors, .mode = 0440, .channel = CHANNEL_ERRORS },
        { .name = "block", .kind = &kind_collection, .data = &block_each },
        { .name = "cpus", .kind = &kind_collection, .data = &cpus_each },
        { .name = "memory", .kind = &kind_collection, .data = &memory_each },
        { .name = "devices", .kind = &kind_collection, .needs = "device_del", .data = &devices_each },
        { .name = "query", .kind = &kind_catalog, .data = &queries },
        { .name = "cmd", .kind = &kind_catalog, .mode = 0700, .data = &commands, .raw = true },
        { .name = "schema", .kind = &kind_dir, .data = schema_rows },
        { .name = "types", .kind = &kind_catalog, .needs = "device-list-properties", .data = &types },
        { .name = "qom", .kind = &kind_qom, .needs = "qom-list", .data = &qom },
        { .name = "qmp", .kind = &kind_qmp, .mode = 0600, .raw = true },
        { .name = "hmp", .kind = &kind_hmp, .mode = 0600, .needs = "human-monitor-command", .raw = true },
        { 0 },
};

const struct row tree_root = { .name = "/", .kind = &kind_dir, .data = vm_rows };
