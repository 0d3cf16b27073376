/*
 * json-c's hash tables, whose keys come and go.
 */
#ifndef FS_UTIL_TABLE_H
#define FS_UTIL_TABLE_H

#include "qmp/util.h"

/*
 * Rebuilds the table if many keys were removed: *n_left is their number since the last rebuild. A key that leaves a
 * table of json-c (0.16) leaves a place that is neither taken nor empty, and a search for an absent key goes on to an
 * empty place. With new keys without end it would go through the whole table each time. Without memory the table stays
 * as it is.
 */
void table_renew(struct lh_table *table, size_t *n_left);

#endif
