/*
 * One command that a request wants carried out, and waits for.
 */
#ifndef FS_CALL_H
#define FS_CALL_H

#include "request.h"

struct call {
        const char *command;           /* borrowed for the call to call_start() */
        struct json_object *arguments; /* borrowed; may be NULL */
        bool oob;                      /* out of band, where the connection can do that */
        /* takes what QEMU returned; 0 or a negative errno, which the request ends with */
        int (*done)(struct request *r, struct json_object *value);
        /* the request is about to fail, for whatever reason (see r->reason); may be NULL */
        void (*failed)(struct request *r, int error);
};

/*
 * Sends it; the request ends with it, or after command_timeout. REQUEST_PARKED, or -EHOSTDOWN or -ENOMEM. An error of
 * QEMU's is the request's. Nothing that was known of the VM is used again afterwards.
 */
int call_start(struct request *r, const struct call *call);

#endif
