/*
 * devices/: /machine/peripheral and /machine/peripheral-anon.
 */
#include "fs/tree/directories.h"

static const struct remove device_remove = { 0 };

static const struct row rows[] = {
        { .name = "driver", .kind = &kind_record_value, .mode = 0444, .member = "driver" },
        { .name = "status", .kind = &kind_properties, .mode = 0444 },
        { .name = "qom", .kind = &kind_qom_object_link },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &device_remove },
        { 0 },
};

const struct each tree_devices = {
        .query = { .plan = &plan_devices },
        .name = "{id}",
        .device = "{path/}",
        .ended = { .event = "DEVICE_DELETED", .member = "path" },
        .rows = rows,
        .properties = true,
};
