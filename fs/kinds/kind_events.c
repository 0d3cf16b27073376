/*
 * `events`: opened for reading it is a log that ends, so that cat and grep -r end; opened for reading and writing,
 * which no walker of trees does and the shell does with "<>", it is a stream of its own from then on, and reads wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "fs/util/event_filter.h"
#include "fs/fuse/poll.h"
#include "fs/kinds/kinds.h"
#include "fs/kinds/log_file.h"
#include "qmp/jsonc.h"
#include "qmp/nearest.h"

/* The most that a reader may fall behind, if all open files are within their limit (memory.h). */
#define STREAM_MAX_LINES 10000
#define STREAM_MAX_BYTES (8 << 20)

struct line {
        struct list link;
        size_t size;
        bool unwanted; /* for filter_lines() */
        bool ended;    /* the connection ended behind it */
        char text[];
};

struct stream {
        struct subscriber subscriber;
        struct file *file;
        struct list lines;
        size_t n_lines, n_bytes;
        size_t held;         /* see file_hold() */
        size_t at;           /* of the first line: the bytes already read */
        uint64_t lost;       /* lines dropped and not reported yet */
        bool ended;          /* the connection ended before the first line, and no read has failed for that yet */
        struct list readers; /* requests */
        struct event_filter filter;
};

static void drop(struct stream *s, struct line *line)
{
        /* that the connection ended there must be heard of, whatever becomes of the lines around */
        if (line->ended && line->link.prev == &s->lines)
                s->ended = true;
        else if (line->ended)
                list_entry(line->link.prev, struct line, link)->ended = true;
        list_unlink(&line->link);
        s->n_lines--;
        s->n_bytes -= line->size;
        free(line);
}

/* Whether a read has something to tell at once. */
static bool has_news(const struct stream *s)
{
        return s->n_lines > 0 || s->lost > 0 || s->ended;
}

/* In place of the lines that were dropped. Goes to the front, unless the first line is half read. 0 or -ENOMEM. */
static int tell_lost(struct stream *s)
{
        struct line *line;

        if (s->lost == 0 || s->at > 0)
                return 0;
        line = calloc(1, sizeof(*line) + EVENT_LOST_SIZE);
        if (!line)
                return -ENOMEM;
        line->size = event_format_lost(s->lost, line->text, EVENT_LOST_SIZE);
        line->text[line->size++] = '\n';
        s->lines.next->prev = &line->link;
        line->link.next = s->lines.next;
        line->link.prev = &s->lines;
        s->lines.next = &line->link;
        s->n_lines++;
        s->n_bytes += line->size;
        s->lost = 0;
        return 0;
}

/* 0 or -ENOMEM; less is always possible. */
static int hold(struct stream *s)
{
        return file_hold(s->file, &s->held, s->n_bytes + s->n_lines * sizeof(struct line));
}

static void drop_oldest(struct stream *s)
{
        /* not the one that is half read */
        struct list *oldest = s->at > 0 ? s->lines.next->next : s->lines.next;

        drop(s, list_entry(oldest, struct line, link));
        s->lost++;
}

/* There is something to read. */
static void tell(struct stream *s)
{
        struct file *file = file_ref(s->file);

        waiters_run(&s->readers);
        file_notify(file);
        file_unref(file);
}

static void stream_event(struct subscriber *subscriber, const struct qmp_event *event, const struct text *text)
{
        struct stream *s = container_of(subscriber, struct stream, subscriber);
        int matches = event->message ? event_filter_matches(&s->filter, event->message) : -ENOMEM;
        struct line *line;

        if (matches == 0)
                return;
        line = matches > 0 && text->data ? calloc(1, sizeof(*line) + text->size + 1) : NULL;
        if (!line) {
                /* a reader that waits for this event would wait for ever */
                s->lost++;
                tell(s);
                return;
        }
        memcpy(line->text, text->data, text->size);
        line->text[text->size] = '\n';
        line->size = text->size + 1;
        list_append(&s->lines, &line->link);
        s->n_bytes += line->size;
        s->n_lines++;
        while (s->n_lines > STREAM_MAX_LINES || (s->n_lines > 2 && s->n_bytes > STREAM_MAX_BYTES))
                drop_oldest(s);
        while (hold(s) < 0 && s->n_lines > (s->at > 0))
                drop_oldest(s);
        tell(s);
}

/* Each gap is told once, to those too who don't read before it is over: as the error of the read that comes to it. */
static void stream_down(struct subscriber *subscriber)
{
        struct stream *s = container_of(subscriber, struct stream, subscriber);

        if (s->n_lines > 0)
                list_entry(s->lines.prev, struct line, link)->ended = true;
        else
                s->ended = true;
        tell(s);
}

static int events_open(struct request *r, struct file *file)
{
        struct stream *s;

        if (!file_is_stream(file))
                return 0;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->file = file;
        s->subscriber = (struct subscriber){ .event = stream_event, .down = stream_down };
        s->ended = !r->vm->peer.up;
        list_init(&s->lines);
        list_init(&s->readers);
        bus_join(&r->vm->peer.bus, &s->subscriber);
        file->stream = s;
        return 0;
}

static void events_release(struct file *file)
{
        struct stream *s = take_ptr(file->stream);

        if (!s)
                return;
        bus_leave(&file->inode->vm->peer.bus, &s->subscriber);
        while (s->n_lines > 0)
                drop(s, list_entry(s->lines.next, struct line, link));
        event_filter_deinit(&s->filter);
        free(s);
}

static int take_lines(struct stream *s, size_t size, struct text *ret_text)
{
        size_t total = 0, done = 0;
        int r = tell_lost(s);

        if (r < 0)
                return r;
        list_for_each(i, &s->lines) {
                const struct line *line = list_entry(i, struct line, link);

                total += line->size;
                /* lines lost after a half-read line are reported next, and so is the end of the connection */
                if (total - s->at >= size || s->lost > 0 || line->ended)
                        break;
        }
        total = total - s->at < size ? total - s->at : size;
        ret_text->data = malloc(total);
        if (!ret_text->data)
                return -ENOMEM;
        while (done < total) {
                struct line *line = list_entry(s->lines.next, struct line, link);
                size_t n = line->size - s->at < total - done ? line->size - s->at : total - done;

                memcpy(ret_text->data + done, line->text + s->at, n);
                done += n;
                s->at += n;
                if (s->at == line->size) {
                        drop(s, line);
                        s->at = 0;
                }
        }
        ret_text->size = done;
        (void)hold(s);
        return 0;
}

static int tell_end(struct request *r, struct stream *s)
{
        s->ended = false;
        if (!r->vm->peer.up)
                return request_fail_down(r);
        return request_fail(r, -EHOSTDOWN, NULL,
                            "the connection was lost and is back, events in between are missing");
}

static int events_read(struct request *r, struct file *file, struct text *ret_text)
{
        struct stream *s = file->stream;

        if (!s)
                return log_file_read(&r->vm->events.journal, r, file, ret_text);
        if (s->ended)
                return tell_end(r, s);
        if (has_news(s))
                return take_lines(s, r->size, ret_text);
        if (r->flags & O_NONBLOCK)
                return -EAGAIN;
        waiter_set_limit(&r->waiter, s->filter.limit_ns);
        list_append(&s->readers, &r->waiter.link);
        return WAITER_PARKED;
}

/* Whether the filter lets the line pass; 1, 0 or -ENOMEM. */
static int passes(const struct event_filter *filter, const struct line *line)
{
        _cleanup_(qmp_json_putp) struct json_object *event = NULL;
        struct json_tokener *tokener = json_tokener_new();
        int r = tokener ? qmp_json_reserve(tokener, line->size, 0) : -ENOMEM;

        /* ours, and so well-formed */
        if (r == 0)
                event = json_tokener_parse_ex(tokener, line->text, (int)line->size);
        if (tokener)
                json_tokener_free(tokener);
        return event ? event_filter_matches(filter, event) : -ENOMEM;
}

/* Drops queued lines that the new filter does not match; all of them or none. 0 or -ENOMEM. */
static int filter_lines(struct stream *s, const struct event_filter *filter)
{
        struct list *first = s->lines.next;

        list_for_each(i, &s->lines) {
                struct line *line = list_entry(i, struct line, link);
                /* not the one that is half read */
                int r = i == first && s->at > 0 ? 1 : passes(filter, line);

                if (r < 0)
                        return r;
                line->unwanted = r == 0;
        }
        list_for_each_safe(i, &s->lines)
                if (list_entry(i, struct line, link)->unwanted)
                        drop(s, list_entry(i, struct line, link));
        (void)hold(s);
        return 0;
}

static bool is_own(const char *name)
{
        for (size_t i = 0; peer_event_names[i]; i++)
                if (streq(peer_event_names[i], name))
                        return true;
        return false;
}

static int no_event(struct request *r, const struct qmp_schema *schema, const char *name)
{
        struct qmp_nearest nearest;
        const char *like;

        qmp_nearest_init(&nearest, name);
        for (size_t i = 0; i < schema->events.n; i++)
                qmp_nearest_offer(&nearest, schema->events.all[i]->name);
        for (size_t i = 0; peer_event_names[i]; i++)
                qmp_nearest_offer(&nearest, peer_event_names[i]);
        like = qmp_nearest_get(&nearest);
        return request_fail(r, -EINVAL, NULL, "no such event in this QEMU%s%s%s; schema/events/ lists them",
                            like ? " (nearest: '" : "", like ? like : "", like ? "')" : "");
}

/*
 * A name that QEMU hasn't would be waited for in vain. Names of our own need no schema; and without a connection
 * there is no schema, while the filter may well be for the next one.
 */
static int check_names(struct request *r, const struct event_filter *filter)
{
        for (size_t i = 0; r->vm->peer.up && i < filter->n_names; i++) {
                const char *name = filter->names[i];
                const struct qmp_schema *schema;
                int e;

                if (is_own(name))
                        continue;
                e = introspection_schema(&r->vm->introspection, &r->waiter, &schema);
                if (e)
                        return e;
                if (!qmp_entities_find(&schema->events, name))
                        return no_event(r, schema, name);
        }
        return 0;
}

static int events_write(struct request *r, struct file *file)
{
        struct stream *s = file->stream;
        _cleanup_(qmp_freep) char *why = NULL;
        struct event_filter filter;
        int e;

        if (!s)
                return request_fail(r, -EINVAL, NULL,
                                    "a filter needs a file open for reading and writing (<> in the shell)");
        e = event_filter_parse(r->data, &filter, &why);
        if (e < 0)
                return why ? request_fail(r, e, NULL, "%s", why) : e;
        e = check_names(r, &filter);
        if (e == 0)
                e = filter_lines(s, &filter);
        if (e) {
                event_filter_deinit(&filter);
                return e;
        }
        event_filter_deinit(&s->filter);
        s->filter = filter;
        return 0;
}

static bool events_readable(struct file *file)
{
        struct stream *s = file->stream;

        return s ? has_news(s) : file->inode->vm->events.journal.end > file->seen;
}

static int64_t events_size(struct inode *inode)
{
        return (int64_t)inode->vm->events.journal.end;
}

const struct kind kind_events = {
        .type = S_IFREG,
        .stream = true,
        .open = events_open,
        .release = events_release,
        .read = events_read,
        .write = events_write,
        .json = "{",
        .readable = events_readable,
        .size = events_size,
};
