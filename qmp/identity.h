/*
 * What tells one VM from another behind the same address: its UUID and its name, where it was started with them.
 */
#ifndef QMP_IDENTITY_H
#define QMP_IDENTITY_H

#include "qmp/util.h"

struct json_object;

/* All zero: nothing is known, and nothing is set. Strings are the struct's; NULL: not set. */
struct qmp_identity {
        char *uuid, *name;
};

void qmp_identity_deinit(struct qmp_identity *identity);

/*
 * From what query-uuid and query-name have returned. NULL: an error, which means that none is set; servers such as
 * qemu-storage-daemon have no such commands. QEMU returns a UUID of zeros where none was set. Strings are cut after
 * QMP_IDENTITY_MAX bytes. 0 or -ENOMEM.
 */
int qmp_identity_set_uuid(struct qmp_identity *identity, struct json_object *returned);
int qmp_identity_set_name(struct qmp_identity *identity, struct json_object *returned);

#define QMP_IDENTITY_MAX 4096

/* Whether both are the same in all that is set in either. Without UUID and name any VM is the same as any other. */
bool qmp_identity_is(const struct qmp_identity *identity, const struct qmp_identity *first);

/* What differs, for people: "its name is 'b', at first it was 'a'"; the caller's. NULL: nothing, or out of memory. */
char *qmp_identity_describe(const struct qmp_identity *identity, const struct qmp_identity *first);

#endif
