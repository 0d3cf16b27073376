#include "fs/vm/plan.h"

const struct plan plan_command = { .name = "command" };

const struct plan plan_property = {
        .name = "property",
        .command = "qom-get",
        .keys = { "path", "property" },
        .transient = true,
};

const struct plan plan_types = {
        .name = "types",
        .command = "qom-list-types",
        .arguments = "{\"abstract\":false,\"implements\":\"device\"}",
};

const struct plan plan_type = {
        .name = "type",
        .command = "device-list-properties",
        .keys = { "typename" },
};

const char *query_command(const struct query_spec *spec)
{
        if (spec->plan->own)
                return NULL;
        return spec->plan->command ? spec->plan->command : spec->a;
}
