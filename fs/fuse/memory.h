/*
 * The memory that open files hold: contents, listings, streams of events, replies that are not read yet, incomplete
 * lines, and long lines whose writers wait. All of it is within one limit, of which users other than the owner of the mount may use half. So a
 * user who opens thousands of files gets ENOMEM, and the daemon keeps running.
 */
#ifndef FS_MEMORY_H
#define FS_MEMORY_H

#include "qmp/util.h"

/* In bytes. */
#define MEMORY_MAX ((size_t)256 << 20)

struct request;

struct memory {
        size_t bytes, foreign_bytes; /* of all open files, and of those opened by other users */
        size_t high;                 /* the maximum since memory was last returned to the system */
};

/* The limit of the user. */
size_t memory_limit(bool foreign);

/*
 * Something that held @from bytes is to hold @to bytes. 0, or -ENOMEM: nothing was changed, since the limit would be
 * exceeded. Less is always possible; it is to be called after the memory was freed, as it may return memory to the
 * system.
 */
int memory_change(struct memory *memory, bool foreign, size_t from, size_t to);

/* Whether the request is one of another user than the owner of the mount and root. */
bool memory_is_foreign(const struct request *r);

/* -ENOMEM, with the limit as the reason of the request. */
int memory_fail(struct request *r, bool foreign);

#endif
