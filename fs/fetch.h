/*
 * Asking QEMU for one JSON value, by one command or by several. One callback ends each fetch, never before
 * fetch_start() returned.
 */
#ifndef FS_FETCH_H
#define FS_FETCH_H

#include "vm.h"

enum fetch_kind {
        FETCH_COMMAND,    /* what command @a returns */
        FETCH_DEVICES,    /* [{"id", "driver", "path"}]: all devices under peripheral and peripheral-anon */
        FETCH_PROPERTIES, /* {name: type} of the QOM object @a, of type @b, that can be read; not its children */
        FETCH_PROPERTY,   /* what qom-get gives for property @b of the QOM object @a */
        FETCH_OBJECT,     /* {name: value} of all properties of the QOM object @a that qom-get gives */
        FETCH_MEMDEVS,    /* {memdev: path} of the anonymous devices that have one */
        FETCH_LIST,       /* {name: type} of the QOM object @a: all it has */
        FETCH_TYPES,      /* [{"name"}] of all device types that are not abstract */
        FETCH_TYPE,       /* [{"name", "type", "description", "default-value"}] of the device type @a */
};

struct fetch_spec {
        enum fetch_kind kind;
        const char *a, *b; /* NULL where not used */
        bool oob;          /* FETCH_COMMAND: out of band, where the connection can do that */
        bool asked;        /* a write asked for it: also for what reads.h lets no plain read send */
};

struct fetch_result {
        int error;                      /* 0 or a negative errno */
        struct json_object *value;      /* borrowed */
        const char *error_class, *text; /* on error; class may be NULL */
        uint64_t busy_ns;               /* how long QEMU was at it … */
        unsigned n_commands;            /* … and in how many commands */
};

struct fetch;
typedef void (*fetch_fn)(void *userdata, const struct fetch_result *result);

/* @patient: see struct qmp_send_options. 0, -EHOSTDOWN, -ENOMEM, or -EPERM: it needs a command that no plain
 * read may send, and no write asked. *ret_fetch is valid until the callback. */
int fetch_start(struct vm *vm, const struct fetch_spec *spec, bool patient, fetch_fn fn, void *userdata,
                struct fetch **ret_fetch);

/* The command that it begins with; static, or @spec's. */
const char *fetch_command(const struct fetch_spec *spec);

/* Whether QEMU may have begun with it. */
bool fetch_is_sent(const struct fetch *fetch);

#endif
