/*
 * The root: the rows of a VM. A new file is a new row, here or in the source of its directory, a test, and its line in
 * docs/tree.md.
 */
#include "fs/tree/tree.h"

#include "fs/tree/directories.h"

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
        { .name = "stop",
          .help = "pause the VM",
          .action = { .steps = { { .does.command = "stop" } }, .limit = ACTION_ANSWER } },
        { .name = "cont",
          .help = "resume the VM",
          .action = { .steps = { { .does.command = "cont" } }, .limit = ACTION_ANSWER } },
        { .name = "reset",
          .help = "reset the VM like its reset button",
          .action = { .steps = { { .does.command = "system_reset" } },
                      .until = ACTION_EVENT,
                      .events = { "RESET", "SHUTDOWN" },
                      .limit = ACTION_ANSWER } },
        { .name = "powerdown",
          .help = "press the power button every 10 s until the guest is down; powerdown once, nowait, timeout=SEC",
          .action = { .steps = { { .does.command = "system_powerdown" } },
                      .until = ACTION_EVENT,
                      .events = { "SHUTDOWN" },
                      .limit = ACTION_GUEST,
                      .words = { "once" },
                      .repeat_ns = PRESS_AGAIN_NS,
                      .told_by = "POWERDOWN" } },
        { .name = "wakeup",
          .help = "wake the guest from suspend",
          .action = { .steps = { { .does.command = "system_wakeup" } },
                      .until = ACTION_EVENT,
                      .events = { "WAKEUP" },
                      .limit = ACTION_ANSWER } },
        { .name = "nmi",
          .help = "inject a non-maskable interrupt",
          .action = { .steps = { { .does.command = "inject-nmi" } }, .limit = ACTION_ANSWER } },
        { .name = "quit",
          .help = "end QEMU immediately",
          .action = { .steps = { { .does.command = "quit" } }, .until = ACTION_DOWN, .limit = ACTION_ANSWER } },
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
        { .name = "block", .kind = &kind_collection, .data = &tree_block },
        { .name = "cpus", .kind = &kind_collection, .data = &tree_cpus },
        { .name = "memory", .kind = &kind_collection, .data = &tree_memory },
        { .name = "devices", .kind = &kind_collection, .needs = "device_del", .data = &tree_devices },
        { .name = "query", .kind = &kind_catalog, .data = &tree_queries },
        { .name = "cmd", .kind = &kind_catalog, .mode = 0700, .data = &tree_commands, .raw = true },
        { .name = "schema", .kind = &kind_dir, .data = tree_schema_rows },
        { .name = "types", .kind = &kind_catalog, .needs = "device-list-properties", .data = &tree_types },
        { .name = "qom", .kind = &kind_qom, .needs = "qom-list", .data = &tree_qom },
        { .name = "qmp", .kind = &kind_qmp, .mode = 0600, .raw = true },
        { .name = "hmp", .kind = &kind_hmp, .mode = 0600, .needs = "human-monitor-command", .raw = true },
        { 0 },
};

const struct row tree_root = { .name = "/", .kind = &kind_dir, .data = vm_rows };
