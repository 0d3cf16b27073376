/*
 * Operations: what is under way in QEMU and outlives its waiters, such as the removal of a device.
 *
 * A waiter starts an operation, or joins the one for the same target. The operation goes on when its last waiter has
 * left. Its state can be read at any time. When it is over, its outcome is kept, to be read, until the operation
 * begins again or is forgotten. Each sort of operation is a class: a table of functions, and a struct that begins
 * with a struct operation.
 *
 * An operation exists from its start until operation_forget(): by the class, by the end of the connection unless
 * the class keeps it, by newer outcomes (see `kept`), or by the end of the VM. A reply that comes later still finds
 * its memory.
 */
#ifndef FS_VM_OPERATION_H
#define FS_VM_OPERATION_H

#include "fs/vm/peer.h"

struct operation;

/* The result of join(): the target is a new object that has taken the name. */
#define OPERATION_REPLACED 1

struct operation_class {
        size_t size;        /* of its struct */
        unsigned kept;      /* the limit of kept outcomes: beyond it, the oldest is forgotten */
        bool keeps_success; /* false: only failures are kept, and an operation that has succeeded is forgotten */
        const char *failed; /* the word before the reason of a failure in the state: "refused" */
        const char *const *events; /* that it hears, ended by NULL */

        /* Whether the operation is the one for this target. */
        bool (*is_for)(const struct operation *op, const void *target);
        /* Makes it, zeroed before; it is over until begin(). 0 or -ENOMEM; free() is called in any case. */
        int (*init)(struct operation *op, const void *target);
        /* Begins, perhaps again, after an outcome that no longer counts. An error: it is forgotten. */
        int (*begin)(struct operation *op, const void *target);
        /* Another waiter is about to join. 0, OPERATION_REPLACED after its end or a negative errno. NULL: nothing */
        int (*join)(struct operation *op, const void *target);
        /* Events that it hears also when it is over. May be NULL. */
        void (*event)(struct operation *op, const struct qmp_event *event);
        /*
         * The connection has ended. Waiters that are not answered here fail with EHOSTDOWN. True: it is kept. NULL: it
         * is forgotten.
         */
        bool (*down)(struct operation *op);
        /* Adds to the state "pending 3.2 s", "timed out after 30 s, still pending" or "done". May be NULL. */
        void (*describe)(const struct operation *op, FILE *out);
        /*
         * The last waiter has left. Returns a text that replaces the state for this waiter, or NULL. May end the
         * operation. May be NULL.
         */
        const char *(*give_up)(struct operation *op);
        /* Nothing more is to be asked of QEMU: it is over or forgotten. Stops timers and commands. May be NULL. */
        void (*settle)(struct operation *op);
        /* Frees what the struct owns. No timer is to be armed any more. */
        void (*free)(struct operation *op);
};

struct operation {
        const struct operation_class *class;
        struct operations *operations;
        struct peer *peer;
        struct list link; /* unlinked when it has been forgotten */
        unsigned refs;    /* the list's, and one for each command under way */
        struct subscriber subscriber;
        struct list waiters;
        uint64_t started;
        uint64_t timed_out_ns; /* the time limit that the last waiter has exceeded; 0: none has */
        bool over;             /* nothing is under way; the outcome can be read */
        int error;             /* over: 0 or a negative errno … */
        uint64_t ended;        /* … since when … */
        char *outcome; /* … and why, in words for people (peer_words()); NULL: none, or there was no memory */
};

/* Embedded in what waits. */
struct operation_waiter {
        struct list link;            /* must be initialised */
        struct operation *operation; /* while linked */
        unsigned until;              /* flags of the class, each of which ends the wait; 0: the end alone */
        /*
         * Called once, with 0 or a negative errno and its reason (@class may be NULL); never after operation_leave().
         * The link is unlinked before. May start, join and leave operations.
         */
        void (*done)(struct operation_waiter *waiter, int error, const char *class, const char *text);
};

/* All operations of a peer. */
struct operations {
        struct peer *peer;
        struct list all;
};

void operations_init(struct operations *operations, struct peer *peer);
/* After the end of the connection. Nothing may wait any more. */
void operations_deinit(struct operations *operations);

/*
 * Starts or joins the operation for @target, which is the class's. 0, -ENOMEM, -EHOSTDOWN, or as the class's begin()
 * and join() return. done() is never called before the return.
 */
int operation_start(struct operations *operations, const struct operation_class *class, const void *target,
                    struct operation_waiter *waiter);

/*
 * Stops waiting. @timed_out_ns: the time limit that was exceeded; 0: another reason. Returns the state, owned by the
 * caller; NULL: the waiter was not waiting, or out of memory.
 */
char *operation_leave(struct operation_waiter *waiter, uint64_t timed_out_ns);

/* Borrowed until control returns to the event loop; NULL: there is none. */
struct operation *operation_find(const struct operations *operations, const struct operation_class *class,
                                 const void *target);

/*
 * The state: "idle" (@op is NULL), "pending 3.2 s", "timed out after 30 s, still pending", "done", or the class's word
 * for a failure and its reason, "refused: …". Owned by the caller; NULL: out of memory.
 */
char *operation_describe(const struct operation *op);

/* --- for classes ------------------------------------------------------------------------------------------------ */

/* A command of an operation. Embedded in the class's struct, zeroed before. */
struct operation_command {
        struct operation *op;
        struct qmp_command *command; /* under way; NULL: none */
        void (*done)(struct operation *op, const struct qmp_result *result);
};

/*
 * Sends a command without a time limit: its reply matters even if nobody waits. @command must not be under
 * way. @arguments may be NULL and remains the caller's. @effect: see struct qmp_send_options. done() is called once,
 * also after the operation was forgotten. 0, -EHOSTDOWN or -ENOMEM.
 */
int operation_send(struct operation *op, struct operation_command *command, const char *name,
                   struct json_object *arguments, bool effect,
                   void (*done)(struct operation *op, const struct qmp_result *result));
bool operation_command_is_sent(const struct operation_command *command);
/* Calls done() if the command is under way. QEMU still carries out what was sent. */
void operation_command_cancel(struct operation_command *command);
/* The same for a command that has not been sent. True: it never will be, or there is none. */
bool operation_command_withdraw(struct operation_command *command);

bool operation_is_awaited(const struct operation *op);

/*
 * Answers the waiters whose `until` has one of the flags. May free the operation, unless the caller holds a
 * reference.
 */
void operation_answer(struct operation *op, unsigned flags, int error, const char *class, const char *text);
/* The flags for all waiters. */
#define OPERATION_ALL (~0U)

/*
 * The operation is over: the outcome is kept, see keeps_success, results obtained before are not used again, and all
 * waiters are answered. @class may be NULL, and so may @text on success. May free the operation.
 */
void operation_end(struct operation *op, int error, const char *class, const char *text);

/* It can no longer be found. Nothing may wait for it, or the caller answers all waiters. May free the operation. */
void operation_forget(struct operation *op);

struct operation *operation_ref(struct operation *op);
/* Always returns NULL. */
struct operation *operation_unref(struct operation *op);

#endif
