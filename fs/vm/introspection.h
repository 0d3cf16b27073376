/*
 * QEMU's schema and device types, which do not change while it runs. The schema is queried once per connection, when
 * a request first needs it (it takes 20 ms of QEMU's time). Types are queried on a write. Both are dropped when the
 * connection ends.
 */
#ifndef FS_INTROSPECTION_H
#define FS_INTROSPECTION_H

#include "qmp/schema.h"

struct fetch;
struct vm;
struct waiter;

struct introspection {
        struct vm *vm;
        struct qmp_schema *schema; /* NULL: not known */
        struct fetch *fetch;       /* of the schema, under way, or NULL */
        struct list waiters;       /* for it */
        int error;                 /* of the last failed fetch … */
        char *error_class, *error_text;
        uint64_t error_stamp;      /* … with the vm's stamp then */
        struct json_object *types; /* names of the known device types, sorted; NULL: none yet */
        bool all_types;            /* these are all types that are not abstract */
        bool probing;              /* query-status is under way */
        bool limited;              /* the server has no query-status, and may also lack other commands */
        struct list probe_waiters;
        /* {name: null}: all commands of a limited server, until the next connection; NULL: not limited, or unknown */
        struct json_object *commands;
};

void introspection_init(struct vm *vm);
/* To be called when the connection has ended. Waiting requests fail with the fetch. */
void introspection_forget(struct vm *vm);
/* The same, and frees the data that outlives a connection. No request may be waiting. */
void introspection_deinit(struct vm *vm);

/*
 * The commands of the server determine which rows are present, but its schema is too costly to be queried for each
 * `ls`. Each connection begins with query-status, which distinguishes two sorts of servers. QEMU has this command,
 * and all commands that rows need. Any other server (qemu-storage-daemon) is queried for its schema immediately.
 */
/* To be called for a new connection. @probing: query-status has been sent. */
void introspection_begin(struct vm *vm, bool probing);
/* To be called when query-status was answered, or will not be answered soon. @limited: the server lacks it. */
void introspection_probed(struct vm *vm, bool limited);
/* Ensures that introspection_has() can give a definite answer. Returns as introspection_schema(). */
int introspection_commands(struct waiter *waiter);
/* Whether the server has the command, as far as is known. Always true for QEMU. */
bool introspection_has(const struct vm *vm, const char *command);

/*
 * Ensures that the schema is known. 0, WAITER_PARKED, or the error of the query, with its reason in the waiter. *ret_schema
 * is borrowed until control returns to the event loop.
 */
int introspection_schema(struct waiter *waiter, const struct qmp_schema **ret_schema);

/* Stores all types after a write has queried them. @reply: the list that qom-list-types returned. 0 or -ENOMEM. */
int introspection_set_types(struct vm *vm, struct json_object *reply);
/* Adds one type that QEMU has. 0 or -ENOMEM. */
int introspection_add_type(struct vm *vm, const char *name);

#endif
