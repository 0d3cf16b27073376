/*
 * A peer: one connection to a server that speaks QMP, its queries, and those who want to hear of its events.
 */
#ifndef FS_VM_PEER_H
#define FS_VM_PEER_H

#include "fs/vm/bus.h"
#include "fs/vm/context.h"
#include "fs/vm/plan.h"
#include "fs/vm/query.h"
#include "qmp/client.h"

struct peer_options {
        uint64_t timeout_ns;         /* for an answer of QEMU */
        uint64_t command_timeout_ns; /* for a command that a user wrote */
        uint64_t unplug_timeout_ns;  /* for the guest to release a device, and to power down */
        uint64_t structure_ttl_ns;   /* maximum age of names and kinds of files */
        unsigned max_load; /* per cent of QEMU's time that queries may take in the long run; 100: no limit */
        bool any_vm;       /* whichever VM is behind the address when it is connected again */
        bool trace;        /* log each QMP message at debug level */
        bool conceal;      /* others than the owner read: no credentials in what reads and events give */
};

/*
 * Events of qmpfs itself, in the format of QEMU's events; the list ends with NULL. QMPFS_DOWN {"reason"}: the
 * connection has ended, and what happens from then on is not known. QMPFS_UP {"version"}: there is one again.
 * QMPFS_EVENTS_LOST {"count"}: so many events are missing here.
 */
extern const char *const peer_event_names[];

struct peer {
        struct context *context;
        struct peer_options options;
        struct qmp_client *client;
        struct qmp_subscription subscription;
        struct bus bus;
        uint64_t epoch; /* grows with each event that may have changed any result */
        bool up;
        bool was_down; /* a connection has ended since peer_init() */
        bool paused;   /* the VM, by the last STOP or RESUME event; false before the first */
        struct queries queries;
        struct plan_memory plan_memory;
};

/* Nothing is connected yet: see qmp_client_start(). 0, -ENOMEM, or as qmp_address_parse() fails. */
int peer_init(struct peer *peer, struct context *context, const char *address, const struct peer_options *options);
/* Ends the connection and what is under way, which hears of it; queries may still be held. */
void peer_end(struct peer *peer);
/* After that, when nobody holds a query. */
void peer_deinit(struct peer *peer);

/* Later waiters must not use any result obtained before this call. */
void peer_invalidate(struct peer *peer);

/* A command that somebody wrote has been answered; see struct subscriber. Results from before are not used again. */
void peer_note_command(struct peer *peer, const char *command);

/*
 * A copy of @text for files that others than the owner may read: qmp_words() of it, under options.conceal without
 * credentials. The caller owns the result; NULL: @text is NULL, or out of memory.
 */
char *peer_words(const struct peer *peer, const char *text);

/* The state of the connection, without newline; owned by the caller; NULL: out of memory. */
char *peer_describe(struct peer *peer);

#endif
