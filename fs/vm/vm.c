#include "fs/vm/vm.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "fs/util/log.h"
#include "fs/vm/object.h"
#include "qmp/conceal.h"
#include "qmp/message.h"
#include "fs/vm/reads.h"
#include "fs/vm/removal.h"
#include "fs/util/render.h"

/* After these `state` may have another word. */
static const char *const state_events[] = {
        "STOP",   "RESUME",         "SHUTDOWN",          "RESET",     "SUSPEND",  "SUSPEND_DISK",
        "WAKEUP", "GUEST_PANICKED", "GUEST_CRASHLOADED", "MIGRATION", "WATCHDOG",
};

const char *const vm_event_names[] = { "QMPFS_DOWN", "QMPFS_UP", "QMPFS_EVENTS_LOST", NULL };

/* A reply can have megabytes; what a log line shows of it. */
#define TRACE_MAX 1000

void vm_invalidate(struct vm *vm)
{
        vm->epoch++;
}

void vm_listen(struct vm *vm, struct vm_listener *listener)
{
        list_append(&vm->listeners, &listener->link);
}

void vm_listener_remove(struct vm_listener *listener)
{
        list_unlink(&listener->link);
}

static void news(struct vm *vm, enum channel channel)
{
        news_add(&vm->news[channel]);
}

void vm_note_command(struct vm *vm, const char *command)
{
        vm_invalidate(vm);
        /* who asks on each wake-up must not be woken by that */
        if (!reads_may_send(command))
                news(vm, CHANNEL_STATE);
}

/* Whose @words, which hold all but time and process, are a line of `errors` now. */
static void write_error(struct vm *vm, struct who who, const char *words, const char *more)
{
        _cleanup_(qmp_freep) char *line = NULL;
        char at[RENDER_TIME_SIZE];
        int n;

        clock_gettime(CLOCK_REALTIME, &vm->errors_at);
        render_time(&vm->errors_at, at);
        n = asprintf(&line, "%s uid=%u pid=%d %s%s", at, who.uid, who.pid, words, more);
        if (n < 0) {
                line = NULL;
                return;
        }
        if (journal_append(&vm->errors, line, (size_t)n) < 0)
                return;
        news(vm, CHANNEL_ERRORS);
}

static void arm_repeats(struct vm *vm)
{
        uint64_t due = repeats_due(&vm->repeats);

        if (due > 0)
                qmp_timer_arm(vm->loop, &vm->repeats_timer, due);
}

static void repeats_are_due(struct qmp_timer *timer)
{
        struct vm *vm = container_of(timer, struct vm, repeats_timer);
        struct repeated *repeat;

        while ((repeat = repeats_next(&vm->repeats, qmp_now()))) {
                char more[60];

                snprintf(more, sizeof(more), " (repeated %lu times)", repeat->count);
                repeat->count = 0;
                write_error(vm, (struct who){ repeat->uid, repeat->pid }, repeat->text, more);
        }
        arm_repeats(vm);
}

char *vm_words(const struct vm *vm, const char *text)
{
        _cleanup_(qmp_freep) char *shown = text && vm->options.conceal ? qmp_conceal_text(text) : NULL;

        if (!text || (vm->options.conceal && !shown))
                return NULL;
        return qmp_words(shown ? shown : text);
}

void vm_log_error(struct vm *vm, struct who who, const char *path, int error, const char *class, const char *text)
{
        const char *name = strerrorname_np(error);
        _cleanup_(qmp_freep) char *words = NULL, *which = qmp_words(class ? class : "-"),
                                  *why = vm_words(vm, text ? text : "");

        if (!which || !why || asprintf(&words, "%s %s %s %s", path, name ? name : "?", which, why) < 0) {
                words = NULL;
                return;
        }
        if (repeats_note(&vm->repeats, who.uid, who.pid, words, qmp_now()))
                write_error(vm, who, words, "");
        arm_repeats(vm);
}

static void trace(void *userdata, bool sent, const char *text)
{
        _cleanup_(qmp_freep) char *shown = qmp_conceal_message(text), *words = shown ? qmp_words(shown) : NULL;

        (void)userdata;
        if (words)
                log_debug("%s %.*s%s", sent ? "->" : "<-", TRACE_MAX, words, strlen(words) > TRACE_MAX ? " …" : "");
}

size_t vm_format_lost(uint64_t count, char *buffer, size_t size)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (size_t)snprintf(buffer, size,
                                "{\"timestamp\":{\"seconds\":%lld,\"microseconds\":%ld},"
                                "\"event\":\"QMPFS_EVENTS_LOST\",\"data\":{\"count\":%llu}}",
                                (long long)now.tv_sec, now.tv_nsec / 1000, (unsigned long long)count);
}

/* A gap in the log must be seen by its reader. */
static int log_lost(struct vm *vm)
{
        char line[VM_LOST_SIZE];
        size_t n;

        if (vm->events_lost == 0)
                return 0;
        n = vm_format_lost(vm->events_lost, line, sizeof(line));
        if (journal_append(&vm->events, line, n) < 0)
                return -ENOMEM;
        vm->events_lost = 0;
        return 0;
}

static void log_event(struct vm *vm)
{
        const struct text *line = &vm->event_line;

        if (log_lost(vm) == 0 && line->data && journal_append(&vm->events, line->data, line->size) == 0)
                clock_gettime(CLOCK_REALTIME, &vm->events_at);
        else
                vm->events_lost++;
}

/* The event goes to the log and to all listeners. */
static void publish(struct vm *vm, const struct qmp_event *event)
{
        struct text line;

        /* without memory to hide them there is no line either, and the event counts as lost */
        if (event->message && (!vm->options.conceal || qmp_conceal_credentials(event->message) == 0) &&
            render_json_line(event->message, &line.data, &line.size) == 0)
                vm->event_line = line;
        log_event(vm);
        list_for_each_safe(i, &vm->listeners) {
                struct vm_listener *listener = list_entry(i, struct vm_listener, link);

                if (listener->event)
                        listener->event(listener, event);
        }
        free(take_ptr(vm->event_line.data));
        vm->event_line.size = 0;
}

/* {"timestamp": {"seconds", "microseconds"}, "event": @name, "data": {@key: @value}}; NULL: out of memory. */
static struct json_object *make_event(const char *name, const char *key, const char *value)
{
        struct json_object *event = json_object_new_object(), *timestamp = json_object_new_object(),
                           *data = json_object_new_object();
        struct timespec now;
        bool ok;

        clock_gettime(CLOCK_REALTIME, &now);
        ok = timestamp && qmp_json_add(timestamp, "seconds", json_object_new_int64(now.tv_sec)) &&
             qmp_json_add(timestamp, "microseconds", json_object_new_int64(now.tv_nsec / 1000));
        ok = ok && data && qmp_json_add_string(data, key, value);
        ok = ok && event && qmp_json_add(event, "timestamp", json_object_get(timestamp)) &&
             qmp_json_add_string(event, "event", name) && qmp_json_add(event, "data", json_object_get(data));
        json_object_put(timestamp);
        json_object_put(data);
        if (ok)
                return event;
        json_object_put(event);
        return NULL;
}

/* An event of our own, as if QEMU had sent it. */
static void mark(struct vm *vm, const char *name, const char *key, const char *value)
{
        _cleanup_(qmp_json_putp) struct json_object *message = make_event(name, key, value);
        struct qmp_event event = { .name = name, .data = qmp_json_get(message, "data"), .message = message };

        publish(vm, &event);
}

static void handle_late(struct qmp_subscription *subscription, const char *command)
{
        vm_note_command(container_of(subscription, struct vm, subscription), command);
}

static void handle_event(struct qmp_subscription *subscription, const struct qmp_event *event)
{
        struct vm *vm = container_of(subscription, struct vm, subscription);

        vm_invalidate(vm);
        if (streq(event->name, "STOP"))
                vm->paused = true;
        else if (streq(event->name, "RESUME"))
                vm->paused = false;
        if (streq(event->name, "DEVICE_DELETED")) {
                const char *path = qmp_json_get_string(event->data, "path");

                if (path) {
                        objects_kill(vm, path);
                        gone_note(&vm->gone, path, vm->epoch);
                }
        }
        publish(vm, event);
        removals_event(vm, event);
        for (size_t i = 0; i < ARRAY_SIZE(state_events); i++)
                if (streq(event->name, state_events[i]))
                        news(vm, CHANNEL_STATE);
        news(vm, CHANNEL_EVENTS);
}

static void status_known(void *userdata, const struct qmp_result *result)
{
        struct vm *vm = userdata;
        struct json_object *running;

        introspection_probed(vm, result->error_class && streq(result->error_class, "CommandNotFound"));
        /* an event that came meanwhile knows better, but says the same */
        if (result->outcome != QMP_OK)
                return;
        running = qmp_json_get(result->value, "running");
        vm->paused = running && !json_object_get_boolean(running);
}

static void client_changed(void *userdata)
{
        struct vm *vm = userdata;
        struct qmp_client_info info;
        bool was_up = vm->up;

        qmp_client_get_info(vm->client, &info);
        vm->up = info.state == QMP_CLIENT_UP;
        if (vm->up != was_up) {
                vm_invalidate(vm);
                introspection_forget(vm);
                asked_forget(vm);
                if (vm->up) {
                        /* another QEMU, as far as anybody can tell */
                        objects_kill(vm, NULL);
                        gone_note(&vm->gone, NULL, vm->epoch);
                        plan_memory_forget(&vm->plan_memory);
                        vm->paused = false;
                        vm->queries.load = vm->queries.costly_load = (struct load){ 0 };
                        introspection_begin(vm,
                                            qmp_client_send(vm->client, "query-status", NULL, vm->options.timeout_ns,
                                                            NULL, status_known, vm, NULL) == 0);
                        log_info("connected to QEMU %s", info.version);
                        /* the first connection is where the log begins, later ones are behind a gap in it */
                        if (vm->was_down)
                                mark(vm, "QMPFS_UP", "version", info.version);
                } else {
                        const char *why = info.failure ? info.failure : "the connection ended";

                        log_warning("%s", why);
                        vm->was_down = true;
                        mark(vm, "QMPFS_DOWN", "reason", why);
                        list_for_each_safe(i, &vm->listeners) {
                                struct vm_listener *listener = list_entry(i, struct vm_listener, link);

                                if (listener->down)
                                        listener->down(listener);
                        }
                        removals_end(vm);
                }
                news(vm, CHANNEL_STATE);
                news(vm, CHANNEL_EVENTS);
        }
        /* a listing must not wait for a stalled QEMU, which may still answer later */
        if (info.stalled_in && vm->introspection.probing)
                introspection_probed(vm, false);
        news(vm, CHANNEL_CONNECTION);
        if (vm->changed)
                vm->changed(vm->userdata);
}

void vm_set_sandbox(struct vm *vm, const char *sandbox)
{
        vm->sandbox = sandbox;
        news(vm, CHANNEL_CONNECTION);
}

char *vm_describe_connection(struct vm *vm)
{
        struct qmp_client_info info;
        char *text;
        int n;

        qmp_client_get_info(vm->client, &info);
        if (info.state == QMP_CLIENT_UP && info.stalled_in) {
                n = asprintf(&text, "stalled %.0f s in %s%s", (double)info.stalled_ns / NSEC_PER_SEC, info.stalled_in,
                             !info.probed ? ""
                             : info.alive ? ", QEMU is busy but answers out of band"
                                          : ", QEMU does not answer at all");
        } else if (info.state == QMP_CLIENT_UP) {
                char since[40];
                time_t t = (time_t)info.since;
                struct tm tm;

                localtime_r(&t, &tm);
                strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
                n = asprintf(&text, "up since %s, QEMU %s", since, info.version);
        } else if (info.next_try_ns > 0) {
                double s = (double)info.next_try_ns / NSEC_PER_SEC;

                n = asprintf(&text, "down: %s, next try in %.*f s", info.failure ? info.failure : "not connected",
                             s < 1 ? 1 : 0, s);
        } else if (info.state == QMP_CLIENT_DOWN && info.failure) {
                n = asprintf(&text, "down: %s", info.failure);
        } else {
                n = asprintf(&text, "down: %s, %s", info.failure ? info.failure : "not connected",
                             info.failure ? "waiting for it" : "connecting");
        }
        return n < 0 ? NULL : text;
}

int vm_new(struct qmp_loop *loop, const char *address, const struct vm_options *options, struct vm **ret_vm)
{
        struct vm *vm = calloc(1, sizeof(*vm));
        struct qmp_client_config config = {
                .address = address,
                .handshake_ns = options->timeout_ns,
                .identify = !options->any_vm,
                .changed = client_changed,
                .trace = options->trace ? trace : NULL,
                .userdata = vm,
        };
        int r;

        if (!vm)
                return -ENOMEM;
        vm->loop = loop;
        vm->options = *options;
        vm->epoch = 1;
        vm->serial = 1; /* the root's inode number; objects come after it */
        introspection_init(vm);
        list_init(&vm->requests);
        list_init(&vm->collections);
        list_init(&vm->removals);
        list_init(&vm->listeners);
        for (unsigned i = 0; i < N_CHANNELS; i++)
                news_init(&vm->news[i]);
        journal_init(&vm->events, VM_JOURNAL_LINES);
        journal_init(&vm->errors, VM_JOURNAL_LINES);
        repeats_init(&vm->repeats);
        vm->repeats_timer.fire = repeats_are_due;
        outcomes_init(&vm->outcomes);
        clock_gettime(CLOCK_REALTIME, &vm->events_at);
        vm->errors_at = vm->events_at;
        r = qmp_client_new(loop, &config, &vm->client);
        if (r == 0)
                r = queries_init(vm);
        if (r < 0) {
                qmp_client_free(vm->client);
                free(vm);
                return r;
        }
        vm->subscription.handle = handle_event;
        vm->subscription.late = handle_late;
        qmp_client_subscribe(vm->client, &vm->subscription);
        *ret_vm = vm;
        return 0;
}

struct vm *vm_free(struct vm *vm)
{
        if (!vm)
                return NULL;
        /* first, so that what is under way ends while everything is still there */
        vm->changed = NULL;
        removals_end(vm);
        qmp_client_free(vm->client);
        collections_free(vm);
        gone_deinit(&vm->gone);
        queries_deinit(vm);
        plan_memory_forget(&vm->plan_memory);
        introspection_deinit(vm);
        asked_forget(vm);
        journal_deinit(&vm->events);
        journal_deinit(&vm->errors);
        qmp_timer_disarm(vm->loop, &vm->repeats_timer);
        repeats_deinit(&vm->repeats);
        outcomes_deinit(&vm->outcomes);
        free(vm);
        return NULL;
}
