/*
 * Kept outcomes: objects that stay in their collection after their record has gone, with the last record that they had.
 *
 * Pure but for the list. What is kept is bounded: by the number that the collection says, and for each by the memory of
 * its record, since names and records come from QEMU.
 */
#ifndef FS_VM_KEPT_H
#define FS_VM_KEPT_H

#include "qmp/util.h"

/* The limit of one record, in bytes of memory, approximately. An object with a larger one is not kept. */
#define KEPT_RECORD_MAX (64 * 1024)

/* Whether the record's memory is within the limit. */
bool kept_fits(struct json_object *record);

/*
 * A copy of the record in which the members of @outcome replace its own. Values are shared. NULL: no changes. 0 or
 * -ENOMEM.
 */
int kept_record(struct json_object *record, struct json_object *outcome, struct json_object **ret_record);

#endif
