/*
 * The directories in the root, each with a source of its own: the data of their rows, as data only.
 */
#ifndef FS_TREE_DIRECTORIES_H
#define FS_TREE_DIRECTORIES_H

#include "fs/kinds/catalog.h"
#include "fs/kinds/kinds.h"

/* collections: the data of kind_collection */
extern const struct each tree_block, tree_cpus, tree_devices, tree_memory;

/* schema.c: the data of kind_catalog, and of kind_dir */
extern const struct catalog tree_commands, tree_queries, tree_types;
extern const struct row tree_schema_rows[];

/* qom.c: the data of kind_qom */
extern const struct qom_rows tree_qom;

#endif
