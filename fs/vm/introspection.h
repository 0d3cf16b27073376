/*
 * QEMU's schema and device types, which do not change while it runs. The schema is queried once per connection, when
 * a request first needs it (it takes 20 ms of QEMU's time). Types are queried on a write. Both are dropped when the
 * connection ends.
 */
#ifndef FS_INTROSPECTION_H
#define FS_INTROSPECTION_H

#include "fs/vm/bus.h"
#include "qmp/schema.h"

struct fetch;
struct peer;
struct waiter;

struct introspection {
        struct peer *peer;
        struct subscriber subscriber;
        struct qmp_schema *schema; /* NULL: not known */
        struct fetch *fetch;       /* of the schema, under way, or NULL */
        struct list waiters;       /* for it */
        int error;                 /* of the last failed fetch … */
        char *error_class, *error_text;
        uint64_t error_stamp;      /* … with the context's stamp then */
        struct json_object *types; /* names of the known device types, sorted; NULL: none yet */
        bool all_types;            /* these are all types that are not abstract */
        bool probing;              /* query-status is under way */
        bool limited;              /* the server has no query-status, and may also lack other commands */
        struct list probe_waiters;
        /* {name: null}: all commands of a limited server, until the next connection; NULL: not limited, or unknown */
        struct json_object *commands;
};

/* The peer is borrowed; its bus tells when the connection begins and ends. */
void introspection_init(struct introspection *introspection, struct peer *peer);
/* No waiter may be waiting. */
void introspection_deinit(struct introspection *introspection);

/*
 * The commands of the server determine which rows are present, but its schema is too costly to be queried for each
 * `ls`. Each connection begins with query-status, which distinguishes two sorts of servers. QEMU has this command,
 * and all commands that rows need. Any other server (qemu-storage-daemon) is queried for its schema immediately.
 */
/* Ensures that introspection_has() can give a definite answer. Returns as introspection_schema(). */
int introspection_commands(struct introspection *introspection, struct waiter *waiter);
/* Whether the server has the command, as far as is known. Always true for QEMU. */
bool introspection_has(const struct introspection *introspection, const char *command);

/*
 * Ensures that the schema is known. 0, WAITER_PARKED, or the error of the query, with its reason in the waiter.
 * *ret_schema is borrowed until control returns to the event loop.
 */
int introspection_schema(struct introspection *introspection, struct waiter *waiter,
                         const struct qmp_schema **ret_schema);

/* Stores all types after a write has queried them. @reply: the list that qom-list-types returned. 0 or -ENOMEM. */
int introspection_set_types(struct introspection *introspection, struct json_object *reply);
/* Adds one type that QEMU has. 0 or -ENOMEM. */
int introspection_add_type(struct introspection *introspection, const char *name);

#endif
