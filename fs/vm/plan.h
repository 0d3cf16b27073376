/*
 * What a query asks of QEMU: one command, or several whose results make one value.
 */
#ifndef FS_PLAN_H
#define FS_PLAN_H

#include "qmp/util.h"

struct fetch;
struct peer;
struct query_spec;

struct plan {
        const char *name;      /* distinguishes it */
        const char *command;   /* the first command; NULL: the one that spec->a names */
        const char *keys[2];   /* of the only command: the names of the arguments that spec->a and spec->b give */
        const char *arguments; /* of the only command: further arguments, as JSON; NULL: none */
        /* plans of several commands: adds the first ones, see fetch_add(). 0 or a negative errno */
        int (*begin)(struct fetch *fetch);
        /* … and completes fetch->value after the last one; false: out of memory. May be NULL */
        bool (*finish)(struct fetch *fetch);
        /*
         * Plans without commands: a list of the daemon's own. The value is borrowed until the next call, and must not
         * change as long as it is the same one. 0 or a negative errno.
         */
        int (*own)(struct peer *peer, const struct query_spec *spec, struct json_object **ret_value);
        bool transient; /* contents only: a value is not kept for structure_ttl, since names do not depend on it */
};

struct query_spec {
        const struct plan *plan;
        const char *a, *b; /* see the plan; NULL where not used */
        bool oob;          /* plan_command: out of band, if the connection supports it */
        bool asked;        /* for a write: commands that no plain read may send (reads.h) are allowed */
};

/* plan.c: one command each. */
extern const struct plan plan_command;  /* the return value of command @a; @b: its arguments as JSON, or NULL */
extern const struct plan plan_property; /* the value of property @b of the QOM object @a, by qom-get */
extern const struct plan plan_types;    /* [{"name"}] of all device types that are not abstract */
extern const struct plan plan_type;     /* [{"name", "type", "description", "default-value"}] of the type @a */

/* plan_qom.c: several commands. */
extern const struct plan
        plan_devices; /* [{"id", "driver", "path"}] under peripheral and peripheral-anon; no path leads to some ids */
extern const struct plan
        plan_properties;               /* {name: type} of the readable properties, but children, of @a of type @b */
extern const struct plan plan_object;  /* {name: value} of all properties of the object @a that qom-get can read */
extern const struct plan plan_memdevs; /* {memdev: path} of the anonymous devices that have a memdev */
extern const struct plan plan_list;    /* {name: type} of all properties of the QOM object @a */

/* The first command; static, or borrowed from @spec. NULL: the plan has none. */
const char *query_command(const struct query_spec *spec);

/* What plans have learned of the QEMU that is connected. */
struct plan_memory {
        /* {driver: {property: null}}: what the types of devices seen so far let nobody read; NULL: none yet */
        struct json_object *unreadable;
        size_t unreadable_bytes;
        struct json_object
                *type_names; /* {type: type} of QOM properties, which share these strings; NULL: none yet */
        bool no_list_get;    /* QEMU has no qom-list-get */
};

/* To be called when there is another QEMU. */
void plan_memory_forget(struct plan_memory *memory);

#endif
