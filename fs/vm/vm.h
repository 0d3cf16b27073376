/*
 * One VM: its connection, the data known about it, and the requests that wait for it.
 */
#ifndef FS_VM_H
#define FS_VM_H

#include "fs/vm/asked.h"
#include "fs/util/gone.h"
#include "fs/vm/introspection.h"
#include "fs/util/journal.h"
#include "fs/util/text.h"
#include "fs/vm/news.h"
#include "fs/util/outcomes.h"
#include "fs/vm/plan.h"
#include "qmp/client.h"
#include "fs/vm/query.h"
#include "fs/util/repeats.h"

/* The number of lines that `events` and `errors` keep. */
#define VM_JOURNAL_LINES 1000

struct vm_options {
        uint64_t timeout_ns;         /* for an answer of QEMU */
        uint64_t command_timeout_ns; /* for a command that a user wrote */
        uint64_t unplug_timeout_ns;  /* for the guest to release a device, and to power down */
        uint64_t structure_ttl_ns;   /* maximum age of names and kinds of files */
        unsigned max_load; /* per cent of QEMU's time that queries may take in the long run; 100: no limit */
        bool any_vm;       /* whichever VM is behind the address when it is connected again */
        bool trace;        /* log each QMP message at debug level */
        bool conceal;      /* others than the owner read: no credentials in what reads and events give */
};

struct vm;

/*
 * Events of qmpfs itself, in the format of QEMU's events; the list ends with NULL. QMPFS_DOWN {"reason"}: the
 * connection has ended, and what happens from then on is not known. QMPFS_UP {"version"}: there is one again.
 * QMPFS_EVENTS_LOST {"count"}: so many events are missing here.
 */
extern const char *const vm_event_names[];

#define VM_LOST_SIZE 160
/*
 * Formats the line of QMPFS_EVENTS_LOST with the current time, without newline. Returns its length, less than
 * VM_LOST_SIZE. Does not allocate memory.
 */
size_t vm_format_lost(uint64_t count, char *buffer, size_t size);

/*
 * A subscriber to events and to the end of the connection, called after the vm has processed them. Embedded. A
 * callback may remove its own listener, but no other.
 */
struct vm_listener {
        struct list link;
        /* may be NULL. Our own events come here, too; one for which there was no memory has no data and no message */
        void (*event)(struct vm_listener *listener, const struct qmp_event *event);
        void (*down)(struct vm_listener *listener); /* may be NULL */
};

struct vm {
        struct qmp_loop *loop;
        struct qmp_client *client;
        struct qmp_subscription subscription;
        struct vm_options options;

        uint64_t stamp;      /* orders the arrivals of requests and the starts of queries */
        uint64_t epoch;      /* grows with each event that may have changed any result */
        uint64_t serial;     /* of objects; their inode numbers */
        bool paused;         /* by the last STOP or RESUME event; false before the first */
        uint64_t pressed_at; /* when the power button was pressed last, as far as a verb that repeats it knows */

        bool up;
        bool was_down; /* a connection has ended since vm_new() */

        struct plan_memory plan_memory;
        struct introspection introspection;
        struct asked asked; /* the answers to queries by writes */

        struct json_object *deleted; /* {path: null}: see objects_kill(); NULL: none */
        size_t deleted_bytes;        /* of its paths */
        uint64_t deleted_stamp;      /* when the last one was noted */

        struct gone gone; /* paths that lead to other objects now, see kind_qom.c */

        struct list requests; /* of the kernel, in order of arrival */
        struct queries queries;
        struct list collections;
        struct list removals;
        struct list listeners;
        struct text event_line; /* during the calls of listeners: the event as in `events`, without newline */

        const char *sandbox; /* see vm_set_sandbox(); NULL: nothing */

        struct journal events, errors;
        uint64_t events_lost;           /* events for which `events` had no memory, not reported yet */
        struct repeats repeats;         /* of lines of `errors` */
        struct qmp_timer repeats_timer; /* for those that were counted */
        struct outcomes outcomes;
        struct timespec events_at, errors_at; /* of the last line */
        struct news news[N_CHANNELS];

        void (*changed)(void *userdata); /* the connection's state; may be NULL */
        void *userdata;
};

/* Nothing is connected yet: see qmp_client_start(). 0, -ENOMEM, or as qmp_address_parse() fails. */
int vm_new(struct qmp_loop *loop, const char *address, const struct vm_options *options, struct vm **ret_vm);
/* To be called after all inodes are freed. Always returns NULL. */
struct vm *vm_free(struct vm *vm);

/* Later requests must not use any result obtained before this call. */
void vm_invalidate(struct vm *vm);

/*
 * A command that somebody wrote has been answered, perhaps after its writer gave up: the run state may be another, of
 * which no event need tell.
 */
void vm_note_command(struct vm *vm, const char *command);

void vm_listen(struct vm *vm, struct vm_listener *listener);
void vm_listener_remove(struct vm_listener *listener);

/*
 * A copy of @text for files that others than the owner may read: qmp_words() of it, under options.conceal without
 * credentials. The caller owns the result; NULL: @text is NULL, or out of memory.
 */
char *vm_words(const struct vm *vm, const char *text);

/* Adds a line to `errors`, or counts it, see repeats.h. @error is a positive errno; @class and @text may be NULL. */
void vm_log_error(struct vm *vm, struct who who, const char *path, int error, const char *class, const char *text);

/* Sets the text about the sandbox in `connection`; not copied. */
void vm_set_sandbox(struct vm *vm, const char *sandbox);

/* The text of `connection`, without newline; owned by the caller; NULL: out of memory. */
char *vm_describe_connection(struct vm *vm);

#endif
