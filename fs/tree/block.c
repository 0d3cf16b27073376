/*
 * block/: query-block.
 */
#include "fs/tree/directories.h"
#include "qmp/message.h"

static const char *non_empty(const char *s)
{
        return s && *s ? s : NULL;
}

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

static const struct remove block_remove = {
        .qdev = block_qdev,
        .drive = block_drive,
        .legacy_drive = block_legacy_drive,
        .node = block_node,
};

static const struct row rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "device", .kind = &kind_device_link, .data = &tree_devices, .present = "{qdev}" },
        { .name = "qom", .kind = &kind_qom_object_link, .present = "{qdev}" },
        { .name = "remove", .kind = &kind_remove, .mode = 0644, .data = &block_remove },
        { 0 },
};

const struct each tree_block = {
        .query = { .plan = &plan_command, .a = "query-block" },
        .name = "{device}|{qdev/}|{inserted.node-name}",
        .device = "{qdev/}",
        .identity = "{device}",
        .rows = rows,
};
