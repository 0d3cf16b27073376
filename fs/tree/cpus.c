/*
 * cpus/: query-cpus-fast.
 */
#include "fs/tree/directories.h"

static const struct remove cpu_remove = { 0 };

static const struct row rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &tree_devices, .present = "{qom-path}" },
        { .name = "qom", .kind = &kind_qom_object_link },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &cpu_remove },
        { 0 },
};

const struct each tree_cpus = {
        .query = { .plan = &plan_command, .a = "query-cpus-fast" },
        .name = "{cpu-index}",
        .device = "{qom-path/}",
        /* a vCPU that was unplugged and plugged again has another thread; under TCG no event tells of it (QEMU 7.2) */
        .identity = "{thread-id}",
        .ended = { .event = "DEVICE_DELETED", .member = "path" },
        .rows = rows,
};
