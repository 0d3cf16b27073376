/*
 * block/: query-block.
 */
#include "fs/tree/directories.h"

static const struct remove block_remove = {
        .qdev = "{qdev}",
        .drive = "{device}|{inserted.node-name}",
        .legacy_drive = "{device}",
        .node = "{inserted.node-name}",
};

/* QEMU takes any size for a raw image, rounds it up, and shows that; qcow2 refuses it. */
static const struct attribute block_size = {
        .value = "{inserted.image.virtual-size}",
        .argument = "size",
        .multiple_of = 512,
        .lower = "shrink",
        .action = {
                .steps = { { .does = { "block_resize",
                                       { { .name = "device", .record = "{device}" },
                                         { .name = "node-name", .record = "{inserted.node-name}", .otherwise = true },
                                         { .name = "size", .written = "size" } } } } },
                .until = ACTION_SHOWN,
                .words = { "shrink" },
        },
};

static const struct row rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &tree_devices, .present = "{qdev}" },
        { .name = "qom", .kind = &kind_qom_object_link, .present = "{qdev}" },
        { .name = "size",
          .kind = &kind_attribute,
          .mode = 0644,
          .data = &block_size,
          .owner = true, /* shrinking loses data */
          .present = "{inserted.image.virtual-size}" },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &block_remove },
        { 0 },
};

const struct each tree_block = {
        .query = { .plan = &plan_command, .a = "query-block" },
        .name = "{device}|{qdev/}|{inserted.node-name}",
        .device = "{qdev/}",
        .identity = "{device}",
        .ended = { .event = "DEVICE_DELETED", .member = "path" },
        .rows = rows,
};
