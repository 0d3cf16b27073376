/*
 * One VM: its connection, and what is known about it.
 *
 * A field belongs to the module of its type; the others are shared as their comments say.
 */
#ifndef FS_VM_VM_H
#define FS_VM_VM_H

#include "fs/vm/asked.h"
#include "fs/vm/error_log.h"
#include "fs/vm/event_log.h"
#include "fs/vm/introspection.h"
#include "fs/vm/news.h"
#include "fs/vm/object.h"
#include "fs/vm/peer.h"
#include "fs/vm/operation.h"

struct vm {
        struct peer peer;
        struct introspection introspection;
        struct asked asked;
        struct objects objects;
        struct event_log events;
        struct error_log errors;
        struct operations operations;

        struct subscriber subscriber;
        struct news news[N_CHANNELS]; /* added to by the modules that have some, watched by pollers */
        uint64_t pressed_at;          /* kinds/action's: when a command that it repeats was sent last, by anybody */
        const char *sandbox;          /* the daemon's, read by kind_connection; see vm_set_sandbox(); NULL: nothing */
};

/* Nothing is connected yet: see qmp_client_start(). 0, -ENOMEM, or as qmp_address_parse() fails. */
int vm_new(struct context *context, const char *address, const struct peer_options *options, struct vm **ret_vm);
/* To be called after all inodes are freed. Always returns NULL. */
struct vm *vm_free(struct vm *vm);

/* Adds a line to `errors`, or counts it, see repeats.h. @error is a positive errno; @class and @text may be NULL. */
void vm_log_error(struct vm *vm, struct who who, const char *path, int error, const char *class, const char *text);

/* Sets the text about the sandbox in `connection`; not copied. */
void vm_set_sandbox(struct vm *vm, const char *sandbox);

#endif
