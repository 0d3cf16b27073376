/*
 * Fetches one JSON value from QEMU, by one command or by several. Exactly one callback ends each fetch, never before
 * fetch_start() has returned.
 */
#ifndef FS_FETCH_H
#define FS_FETCH_H

#include "vm.h"

enum fetch_kind {
        FETCH_COMMAND,    /* the return value of command @a */
        FETCH_DEVICES,    /* [{"id", "driver", "path"}]: all devices under peripheral and peripheral-anon */
        FETCH_PROPERTIES, /* {name: type} of the readable properties, except children, of object @a of type @b */
        FETCH_PROPERTY,   /* the value of property @b of the QOM object @a, by qom-get */
        FETCH_OBJECT,     /* {name: value} of all properties of the QOM object @a that qom-get can read */
        FETCH_MEMDEVS,    /* {memdev: path} of the anonymous devices that have a memdev */
        FETCH_LIST,       /* {name: type} of all properties of the QOM object @a */
        FETCH_TYPES,      /* [{"name"}] of all device types that are not abstract */
        FETCH_TYPE,       /* [{"name", "type", "description", "default-value"}] of the device type @a */
};

struct fetch_spec {
        enum fetch_kind kind;
        const char *a, *b; /* NULL where not used */
        bool oob;          /* FETCH_COMMAND: out of band, if the connection supports it */
        bool asked;        /* for a write: commands that no plain read may send (reads.h) are allowed */
};

struct fetch_result {
        int error;                      /* 0 or a negative errno */
        struct json_object *value;      /* borrowed */
        const char *error_class, *text; /* on error; class may be NULL */
        uint64_t busy_ns;               /* QEMU's processing time … */
        unsigned n_commands;            /* … and the number of commands */
};

struct fetch;
typedef void (*fetch_fn)(void *userdata, const struct fetch_result *result);

/*
 * Starts a fetch. @patient: see struct qmp_send_options. 0, -EHOSTDOWN, -ENOMEM, or -EPERM: the fetch needs a command
 * that no plain read may send, and spec->asked is not set. *ret_fetch is valid until the callback.
 */
int fetch_start(struct vm *vm, const struct fetch_spec *spec, bool patient, fetch_fn fn, void *userdata,
                struct fetch **ret_fetch);

/* The first command of the fetch; static, or borrowed from @spec. */
const char *fetch_command(const struct fetch_spec *spec);

/* Whether QEMU may have started to carry it out. */
bool fetch_is_sent(const struct fetch *fetch);

#endif
