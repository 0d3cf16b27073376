/*
 * The log of failed requests, in which repeated lines are counted.
 */
#ifndef FS_VM_ERROR_LOG_H
#define FS_VM_ERROR_LOG_H

#include "fs/util/journal.h"
#include "fs/util/outcomes.h"
#include "fs/util/repeats.h"
#include "fs/vm/event_log.h"
#include "fs/vm/news.h"

/* Embedded in struct vm. */
struct error_log {
        struct qmp_loop *loop;
        struct news *news; /* of lines */
        struct journal journal;
        struct repeats repeats;
        struct qmp_timer timer; /* for lines that were counted */
        struct timespec at;     /* of the last line */
};

/* The loop and the news are borrowed. */
void error_log_init(struct error_log *log, struct qmp_loop *loop, struct news *news);
void error_log_deinit(struct error_log *log);

/* Adds a line, or counts it, see repeats.h. @words: all of it but the time and @who. */
void error_log_add(struct error_log *log, struct who who, const char *words);

#endif
