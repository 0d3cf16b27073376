/*
 * query/, cmd/, schema/ and types/: what introspection tells.
 */
#include "fs/tree/directories.h"

/* --- query/ and cmd/ --------------------------------------------------------------------------------------------- */

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

const struct catalog tree_queries = {
        .rows = query_rows,
        .file = &query_file,
        .asked = &query_asked,
        .require = schema_require,
        .find = queries_find,
        .name = queries_name,
};

static const struct row command_file = { .name = "NAME", .kind = &kind_command, .mode = 0600, .dynamic = true };

const struct catalog tree_commands = {
        .file = &command_file,
        .require = schema_require,
        .find = schema_find,
        .name = schema_name,
        .meta = QMP_META_COMMAND,
};

/* --- schema/ ---------------------------------------------------------------------------------------------------- */

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

const struct row tree_schema_rows[] = {
        { .name = "commands", .kind = &kind_catalog, .data = &schema_commands },
        { .name = "events", .kind = &kind_catalog, .data = &schema_events },
        { .name = "types", .kind = &kind_catalog, .data = &schema_types },
        { 0 },
};

/* --- types/ ----------------------------------------------------------------------------------------------------- */

static const struct row type_rows[] = {
        { .name = "list", .kind = &kind_type_list, .mode = 0644, .needs = "qom-list-types", .owner = true },
        { 0 },
};

static const struct row type_file = { .name = "DRIVER", .kind = &kind_type, .mode = 0644, .dynamic = true };

const struct catalog tree_types = {
        .rows = type_rows,
        .file = &type_file,
        .require = types_require,
        .find = types_find,
        .name = types_name,
};
