/*
 * The commands that a request sends for a user: any number, at once or one after the other. Here is what all of them
 * have in common: their time limit, the words when QEMU is late, gone or refuses, and what an interrupt may still stop.
 */
#ifndef FS_CALL_H
#define FS_CALL_H

#include "fs/fuse/request.h"

/* One command. Embedded in what its owner knows of it, which must stay until its end or until calls_end(). */
struct call {
        struct list link; /* in calls->under_way */
        struct calls *calls;
        struct qmp_command *command;   /* under way, or NULL */
        char *name;                    /* owned, as are … */
        struct json_object *arguments; /* … these, whose values QEMU's error may quote; or NULL */
};

/* All commands of one request. Embedded. */
struct calls {
        struct vm *vm;
        struct request *r; /* NULL once it has ended */
        uint64_t limit_ns; /* of each command */
        bool lasting;      /* see struct qmp_send_options */
        struct list under_way;
        size_t n_answered;
        /*
         * A command has ended, but not by calls_end(). May end the request, and free @call and its calls. @call has
         * left under_way; its words remain for calls_fail().
         */
        void (*replied)(struct call *call, const struct qmp_result *result);
};

void calls_init(struct calls *calls, struct request *r, uint64_t limit_ns,
                void (*replied)(struct call *call, const struct qmp_result *result));

/*
 * Sends a command, and invalidates all results obtained before. @call is zeroed, or has ended before. @options:
 * in or out of band; the rest is set here. 0, -EHOSTDOWN with the reason in the request, -EOPNOTSUPP, -EBUSY or
 * -ENOMEM.
 */
int calls_send(struct calls *calls, struct call *call, const char *command, struct json_object *arguments,
               struct qmp_send_options options);

/* Frees what the call owns. It must not be under way. */
void call_deinit(struct call *call);

/* Whether one of the commands under way was sent, … */
bool calls_is_any_sent(const struct calls *calls);
/* … or QEMU has answered one: what the request set out to do may have been done, even if it ends now. */
bool calls_is_committed(const struct calls *calls);

/*
 * The words for the failure of a command, owned by the caller: QEMU's, without what was written (conceal.h), or those
 * of the connection, and whether the command may have been carried out. NULL: out of memory.
 */
char *call_words(const struct call *call, const struct qmp_result *result);
/* Sets them as the reason of the request. Returns result->error. */
int call_fail(const struct call *call, const struct qmp_result *result);
/* Sets the reason for a failure to store a reply. Returns -ENOMEM. */
int calls_fail_memory(struct calls *calls);
/*
 * The request has exceeded its time limit: sets the reason, unless nothing is under way. @name: of the command; NULL:
 * they are told apart by number alone. @then: what happens if QEMU answers.
 */
void calls_expire(struct calls *calls, const char *name, const char *then);

/* Ends all commands under way without another callback. QEMU still carries out those that were sent. */
void calls_end(struct calls *calls);

#endif
