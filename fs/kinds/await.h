/*
 * A request that waits for an operation.
 */
#ifndef FS_KINDS_AWAIT_H
#define FS_KINDS_AWAIT_H

#include "fs/fuse/request.h"
#include "fs/vm/operation.h"

/*
 * Starts or joins the operation, and waits for it or for one of @until, see struct operation_waiter. If the time limit
 * is exceeded, the reason of the failure is the operation's state. @succeeded: called before a request that succeeds
 * ends. WAITER_PARKED, or as operation_start().
 */
int await_operation(struct request *r, const struct operation_class *class, const void *target, unsigned until,
                    void (*succeeded)(struct request *r));

#endif
