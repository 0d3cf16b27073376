#include "fs/vm/vm.h"

#include <errno.h>
#include <stdio.h>

#include "fs/vm/reads.h"
#include "qmp/message.h"

void vm_log_error(struct vm *vm, struct who who, const char *path, int error, const char *class, const char *text)
{
        const char *name = strerrorname_np(error);
        _cleanup_(qmp_freep) char *words = NULL, *which = qmp_words(class ? class : "-"),
                                  *why = peer_words(&vm->peer, text ? text : "");

        if (!which || !why || asprintf(&words, "%s %s %s %s", path, name ? name : "?", which, why) < 0) {
                words = NULL;
                return;
        }
        error_log_add(&vm->errors, who, words);
}

/* --- news ------------------------------------------------------------------------------------------------------- */

/* After these `state` may have another word. */
static const char *const state_events[] = {
        "STOP",   "RESUME",         "SHUTDOWN",          "RESET",     "SUSPEND",  "SUSPEND_DISK",
        "WAKEUP", "GUEST_PANICKED", "GUEST_CRASHLOADED", "MIGRATION", "WATCHDOG",
};

static void hear(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct vm *vm = container_of(subscriber, struct vm, subscriber);

        (void)line;
        for (size_t i = 0; i < ARRAY_SIZE(state_events); i++)
                if (streq(event->name, state_events[i]))
                        news_add(&vm->news[CHANNEL_STATE]);
        news_add(&vm->news[CHANNEL_EVENTS]);
}

static void up_or_down(struct subscriber *subscriber)
{
        struct vm *vm = container_of(subscriber, struct vm, subscriber);

        news_add(&vm->news[CHANNEL_STATE]);
        news_add(&vm->news[CHANNEL_EVENTS]);
}

static void changed(struct subscriber *subscriber)
{
        news_add(&container_of(subscriber, struct vm, subscriber)->news[CHANNEL_CONNECTION]);
}

static void commanded(struct subscriber *subscriber, const char *command)
{
        /* who asks on each wake-up must not be woken by that */
        if (!reads_may_send(command))
                news_add(&container_of(subscriber, struct vm, subscriber)->news[CHANNEL_STATE]);
}

void vm_set_sandbox(struct vm *vm, const char *sandbox)
{
        vm->sandbox = sandbox;
        news_add(&vm->news[CHANNEL_CONNECTION]);
}

/* --- the VM ----------------------------------------------------------------------------------------------------- */

int vm_new(struct context *context, const char *address, const struct peer_options *options, struct vm **ret_vm)
{
        struct vm *vm = calloc(1, sizeof(*vm));
        int r;

        if (!vm)
                return -ENOMEM;
        r = peer_init(&vm->peer, context, address, options);
        if (r < 0) {
                free(vm);
                return r;
        }
        for (unsigned i = 0; i < N_CHANNELS; i++)
                news_init(&vm->news[i]);
        /* in the order in which they hear of an event: objects end before anybody looks for them */
        introspection_init(&vm->introspection, &vm->peer);
        asked_init(&vm->asked, &vm->peer);
        objects_init(&vm->objects, vm);
        event_log_init(&vm->events, &vm->peer);
        error_log_init(&vm->errors, context->loop, &vm->news[CHANNEL_ERRORS]);
        operations_init(&vm->operations, &vm->peer);
        vm->subscriber = (struct subscriber){
                .event = hear,
                .up = up_or_down,
                .down = up_or_down,
                .changed = changed,
                .commanded = commanded,
        };
        bus_join(&vm->peer.bus, &vm->subscriber);
        *ret_vm = vm;
        return 0;
}

struct vm *vm_free(struct vm *vm)
{
        if (!vm)
                return NULL;
        /* first, so that what is under way ends while everything is still there */
        peer_end(&vm->peer);
        bus_leave(&vm->peer.bus, &vm->subscriber);
        operations_deinit(&vm->operations);
        error_log_deinit(&vm->errors);
        event_log_deinit(&vm->events);
        objects_deinit(&vm->objects);
        asked_deinit(&vm->asked);
        introspection_deinit(&vm->introspection);
        peer_deinit(&vm->peer);
        free(vm);
        return NULL;
}
