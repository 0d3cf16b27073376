/*
 * One command that a request sends and waits for.
 */
#ifndef FS_CALL_H
#define FS_CALL_H

#include "fs/fuse/request.h"

struct call {
        const char *command;           /* borrowed during call_start() */
        struct json_object *arguments; /* borrowed; may be NULL */
        bool oob;                      /* out of band, if the connection supports it */
        /* receives QEMU's return value; returns 0 or a negative errno, with which the request ends */
        int (*done)(struct request *r, struct json_object *value);
        /* the request is about to fail, see r->waiter.reason; may be NULL */
        void (*failed)(struct request *r, int error);
};

/*
 * Sends the command. The request ends with its reply, or after command_timeout. WAITER_PARKED, -EHOSTDOWN or
 * -ENOMEM. An error reply of QEMU becomes the error of the request. Results obtained before are not used again
 * afterwards.
 */
int call_start(struct request *r, const struct call *call);

#endif
