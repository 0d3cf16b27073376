/*
 * The log of events.
 */
#ifndef FS_VM_EVENT_LOG_H
#define FS_VM_EVENT_LOG_H

#include "fs/util/journal.h"
#include "fs/vm/peer.h"

/* The number of lines that a log keeps. */
#define LOG_LINES 1000

/* Embedded in struct vm. */
struct event_log {
        struct peer *peer;
        struct subscriber subscriber;
        struct journal journal;
        uint64_t lost;      /* events for which there was no memory, not reported yet */
        struct timespec at; /* of the last line */
};

void event_log_init(struct event_log *log, struct peer *peer);
void event_log_deinit(struct event_log *log);

#define EVENT_LOST_SIZE 160
/*
 * Formats the line of QMPFS_EVENTS_LOST with the current time, without newline. Returns its length, less than
 * EVENT_LOST_SIZE. Does not allocate memory.
 */
size_t event_format_lost(uint64_t count, char *buffer, size_t size);

#endif
