#include "fs/util/table.h"

void table_renew(struct lh_table *table, size_t *n_left)
{
        int size = 16;

        if (*n_left <= (size_t)table->size / 8)
                return;
        while (size < 2 * lh_table_length(table))
                size *= 2;
        if (lh_table_resize(table, size) == 0)
                *n_left = 0;
}
