#include "fs/vm/event_log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

size_t event_format_lost(uint64_t count, char *buffer, size_t size)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (size_t)snprintf(buffer, size,
                                "{\"timestamp\":{\"seconds\":%lld,\"microseconds\":%ld},"
                                "\"event\":\"QMPFS_EVENTS_LOST\",\"data\":{\"count\":%llu}}",
                                (long long)now.tv_sec, now.tv_nsec / 1000, (unsigned long long)count);
}

/* A gap in the log must be seen by its reader. */
static int log_lost(struct event_log *log)
{
        char line[EVENT_LOST_SIZE];
        size_t n;

        if (log->lost == 0)
                return 0;
        n = event_format_lost(log->lost, line, sizeof(line));
        if (journal_append(&log->journal, line, n) < 0)
                return -ENOMEM;
        log->lost = 0;
        return 0;
}

static void hear(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct event_log *log = container_of(subscriber, struct event_log, subscriber);

        (void)event;
        if (log_lost(log) == 0 && line->data && journal_append(&log->journal, line->data, line->size) == 0)
                clock_gettime(CLOCK_REALTIME, &log->at);
        else
                log->lost++;
}

void event_log_init(struct event_log *log, struct peer *peer)
{
        *log = (struct event_log){ .peer = peer, .subscriber = { .event = hear } };
        journal_init(&log->journal, LOG_LINES);
        clock_gettime(CLOCK_REALTIME, &log->at);
        bus_join(&peer->bus, &log->subscriber);
}

void event_log_deinit(struct event_log *log)
{
        bus_leave(&log->peer->bus, &log->subscriber);
        journal_deinit(&log->journal);
}
