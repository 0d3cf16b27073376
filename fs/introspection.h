/*
 * What of a QEMU never changes while it runs: its schema and its device types. Asked once per connection, when somebody
 * first needs it (the schema costs QEMU 20 ms), and forgotten with the connection.
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
        struct constant schema_constant, types_constant;
        struct qmp_schema *schema;
        struct json_object *types; /* names, sorted */
};

void introspection_init(struct vm *vm);
/* The connection has ended, or another one begun. Who waits hears of it by the fetch. */
void introspection_forget(struct vm *vm);

/*
 * Makes sure of the schema, or of the list of the names of all device types that are not abstract. 0; REQUEST_PARKED;
 * or the query's error, with its reason noted in @r. Borrowed until the loop turns.
 */
int introspection_schema(struct request *r, const struct qmp_schema **ret_schema);
int introspection_types(struct request *r, struct json_object **ret_types);

#endif
