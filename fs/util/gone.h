/*
 * The deleted paths of QEMU's object model: a device that is added again under the same path is another object. A
 * path is recorded when its object is deleted and is not dropped later, since the kernel may use an earlier lookup at
 * any time. Pure.
 */
#ifndef FS_GONE_H
#define FS_GONE_H

#include "qmp/util.h"

/* Limits. Beyond this number of paths, or of bytes, all paths count as deleted, and the record starts empty. */
#define GONE_MAX       1000
#define GONE_MAX_BYTES (256 * 1024)

struct gone {
        struct json_object *paths; /* {path: epoch}; NULL: none */
        size_t bytes;
        uint64_t all; /* the last epoch in which all objects ended; 0: never */
};

/*
 * Records that the object at @path, or all of them (NULL), ended in this @epoch, which is not 0. If memory is out,
 * all objects count as ended.
 */
void gone_note(struct gone *gone, const char *path, uint64_t epoch);

/*
 * The last epoch in which the object at @path ended, alone or with all; 0: never. NULL: the last epoch in which all
 * ended. Results older than that epoch belong to another object.
 */
uint64_t gone_since(const struct gone *gone, const char *path);

void gone_deinit(struct gone *gone);

#endif
