/*
 * memory/: query-memory-devices.
 */
#include "fs/tree/directories.h"

static const struct remove memory_remove = { .slot = "{data.slot}" };

static const struct row rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &tree_devices },
        { .name = "qom", .kind = &kind_qom_object_link },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &memory_remove },
        { 0 },
};

const struct each tree_memory = {
        .query = { .plan = &plan_command, .a = "query-memory-devices" },
        /* virtio-mem and virtio-pmem have no slot, but each has a back end of its own */
        .name = "{data.id}|slot-{data.slot}|{data.memdev/}",
        .device = "{data.id}",
        /* a slot, and with it the name, may be another DIMM's soon */
        .identity = "{data.memdev}",
        .ended = { .event = "DEVICE_DELETED", .member = "path" },
        .has_anonymous = true,
        .rows = rows,
};
