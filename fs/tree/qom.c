/*
 * qom/: the object model.
 */
#include "fs/tree/directories.h"

static const struct row qom_property = {
        .name = "PROPERTY", .kind = &kind_qom_property, .mode = 0644, .dynamic = true
};

/* What -object made, secrets among it, whose text anybody could read by qom-get. */
static const struct row qom_objects = { .name = "objects", .kind = &kind_qom, .mode = 0700, .dynamic = true };

const struct qom_rows tree_qom = { .property = &qom_property, .objects = &qom_objects };
