/*
 * What of a QEMU never changes while it runs: its schema and its device types. The schema is asked for once per
 * connection, when somebody first needs it (it costs QEMU 20 ms), types when a write asks; both are forgotten
 * with the connection.
 */
#ifndef FS_INTROSPECTION_H
#define FS_INTROSPECTION_H

#include "qmp/schema.h"

struct fetch;
struct request;
struct vm;

struct constant {
        struct vm *vm;
        struct fetch *fetch; /* under way, or NULL */
        struct list waiters; /* requests */
};

struct introspection {
        struct constant schema_constant;
        struct qmp_schema *schema;
        struct json_object *types; /* names of device types that are known, sorted; NULL: none yet */
        bool all_types;            /* those are all that are not abstract */
        bool probing;              /* query-status is under way */
        bool limited;              /* the server has no query-status, and so may lack other commands, too */
        struct list probe_waiters; /* requests */
        /* {name: null}: all commands of a limited server; kept until the next connection. NULL: not limited, or not known */
        struct json_object *commands;
};

void introspection_init(struct vm *vm);
/* The connection has ended. Requests that wait hear of it by the fetch. */
void introspection_forget(struct vm *vm);
/* The same, and what outlives a connection; no request waits any more. */
void introspection_deinit(struct vm *vm);

/*
 * Which commands a server has decides which rows are there, but its schema is too costly to be asked for by each `ls`. So the
 * answer to query-status, with which each connection begins, tells the two sorts of servers apart: QEMU has it, and all
 * commands that rows need; any other (qemu-storage-daemon) is asked for its schema at once.
 */
/* There is another connection; query-status has been sent, if @probing. */
void introspection_begin(struct vm *vm, bool probing);
/* It was answered, or will not be soon: the server has it (or nobody knows), or it has not. */
void introspection_probed(struct vm *vm, bool limited);
/* Makes sure that introspection_has() knows what there is to know. As introspection_schema(). */
int introspection_commands(struct request *r);
/* Whether the server has the command, as far as is known: true of all commands of a QEMU. */
bool introspection_has(const struct vm *vm, const char *command);

/*
 * Makes sure of the schema. 0; REQUEST_PARKED; or the query's error, with its reason noted in @r. Borrowed until the loop
 * turns.
 */
int introspection_schema(struct request *r, const struct qmp_schema **ret_schema);

/* What a write has asked for. All types: what qom-list-types returned, a list. 0 or -ENOMEM. */
int introspection_set_types(struct vm *vm, struct json_object *reply);
/* One type that QEMU has. 0 or -ENOMEM. */
int introspection_add_type(struct vm *vm, const char *name);

#endif
