/*
 * The tree that is mounted.
 */
#ifndef FS_TREE_TREE_H
#define FS_TREE_TREE_H

#include "fs/fuse/node.h"

extern const struct row tree_root;

#endif
