#include "fs/vm/peer.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "fs/util/log.h"
#include "fs/util/render.h"
#include "qmp/conceal.h"
#include "qmp/message.h"

const char *const peer_event_names[] = { "QMPFS_DOWN", "QMPFS_UP", "QMPFS_EVENTS_LOST", NULL };

/* A reply can have megabytes; what a log line shows of it. */
#define TRACE_MAX 1000

void peer_invalidate(struct peer *peer)
{
        peer->epoch++;
}

void peer_note_command(struct peer *peer, const char *command)
{
        peer_invalidate(peer);
        bus_commanded(&peer->bus, command);
}

static void trace(void *userdata, bool sent, const char *text)
{
        _cleanup_(qmp_freep) char *shown = qmp_conceal_message(text), *words = shown ? qmp_words(shown) : NULL;

        (void)userdata;
        if (words)
                log_debug("%s %.*s%s", sent ? "->" : "<-", TRACE_MAX, words, strlen(words) > TRACE_MAX ? " …" : "");
}

static void publish(struct peer *peer, const struct qmp_event *event)
{
        struct text line = { 0 }, rendered;

        /* an event whose credentials could not be hidden for lack of memory has no line, and counts as lost */
        if (event->message && (!peer->options.conceal || qmp_conceal_credentials(event->message) == 0) &&
            render_json_line(event->message, &rendered.data, &rendered.size) == 0)
                line = rendered;
        bus_event(&peer->bus, event, &line);
        free(line.data);
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
static void mark(struct peer *peer, const char *name, const char *key, const char *value)
{
        _cleanup_(qmp_json_putp) struct json_object *message = make_event(name, key, value);
        struct qmp_event event = { .name = name, .data = qmp_json_get(message, "data"), .message = message };

        publish(peer, &event);
}

static void handle_event(struct qmp_subscription *subscription, const struct qmp_event *event)
{
        struct peer *peer = container_of(subscription, struct peer, subscription);

        peer_invalidate(peer);
        if (streq(event->name, "STOP"))
                peer->paused = true;
        else if (streq(event->name, "RESUME"))
                peer->paused = false;
        publish(peer, event);
}

static void handle_late(struct qmp_subscription *subscription, const char *command)
{
        peer_note_command(container_of(subscription, struct peer, subscription), command);
}

static void begin(struct peer *peer, const struct qmp_client_info *info)
{
        peer->paused = false;
        plan_memory_forget(&peer->plan_memory);
        queries_forget_load(&peer->queries);
        bus_up(&peer->bus);
        log_info("connected to QEMU %s", info->version);
        /* the first connection is where the log begins, later ones are behind a gap in it */
        if (peer->was_down)
                mark(peer, "QMPFS_UP", "version", info->version);
}

static void end(struct peer *peer, const struct qmp_client_info *info)
{
        const char *why = info->failure ? info->failure : "the connection ended";

        log_warning("%s", why);
        peer->was_down = true;
        mark(peer, "QMPFS_DOWN", "reason", why);
        bus_down(&peer->bus);
}

static void client_changed(void *userdata)
{
        struct peer *peer = userdata;
        struct qmp_client_info info;
        bool was_up = peer->up;

        qmp_client_get_info(peer->client, &info);
        peer->up = info.state == QMP_CLIENT_UP;
        if (peer->up != was_up)
                peer_invalidate(peer);
        if (peer->up && !was_up)
                begin(peer, &info);
        else if (!peer->up && was_up)
                end(peer, &info);
        bus_changed(&peer->bus);
}

char *peer_words(const struct peer *peer, const char *text)
{
        _cleanup_(qmp_freep) char *shown = text && peer->options.conceal ? qmp_conceal_text(text) : NULL;

        if (!text || (peer->options.conceal && !shown))
                return NULL;
        return qmp_words(shown ? shown : text);
}

char *peer_describe(struct peer *peer)
{
        struct qmp_client_info info;
        char *text;
        int n;

        qmp_client_get_info(peer->client, &info);
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

int peer_init(struct peer *peer, struct context *context, const char *address, const struct peer_options *options)
{
        struct qmp_client_config config = {
                .address = address,
                .handshake_ns = options->timeout_ns,
                .identify = !options->any_vm,
                .changed = client_changed,
                .trace = options->trace ? trace : NULL,
                .userdata = peer,
        };
        int r;

        *peer = (struct peer){ .context = context, .options = *options, .epoch = 1 };
        bus_init(&peer->bus);
        r = qmp_client_new(context->loop, &config, &peer->client);
        if (r == 0)
                r = queries_init(&peer->queries, peer);
        if (r < 0) {
                peer_end(peer);
                return r;
        }
        peer->subscription.handle = handle_event;
        peer->subscription.late = handle_late;
        qmp_client_subscribe(peer->client, &peer->subscription);
        return 0;
}

void peer_end(struct peer *peer)
{
        bus_down(&peer->bus);
        peer->client = qmp_client_free(peer->client);
}

void peer_deinit(struct peer *peer)
{
        queries_deinit(&peer->queries);
        plan_memory_forget(&peer->plan_memory);
}
