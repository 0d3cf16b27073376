#include "fs/vm/error_log.h"

#include <stdio.h>
#include <time.h>

#include "fs/util/render.h"

static void add(struct error_log *log, struct who who, const char *words, const char *more)
{
        _cleanup_(qmp_freep) char *line = NULL;
        char at[RENDER_TIME_SIZE];
        int n;

        clock_gettime(CLOCK_REALTIME, &log->at);
        render_time(&log->at, at);
        n = asprintf(&line, "%s uid=%u pid=%d %s%s", at, who.uid, who.pid, words, more);
        if (n < 0) {
                line = NULL;
                return;
        }
        if (journal_append(&log->journal, line, (size_t)n) == 0)
                news_add(log->news);
}

static void arm(struct error_log *log)
{
        uint64_t due = repeats_due(&log->repeats);

        if (due > 0)
                qmp_timer_arm(log->loop, &log->timer, due);
}

static void repeats_are_due(struct qmp_timer *timer)
{
        struct error_log *log = container_of(timer, struct error_log, timer);
        struct repeated *repeat;

        while ((repeat = repeats_next(&log->repeats, qmp_now()))) {
                char more[60];

                snprintf(more, sizeof(more), " (repeated %lu times)", repeat->count);
                repeat->count = 0;
                add(log, (struct who){ repeat->uid, repeat->pid }, repeat->text, more);
        }
        arm(log);
}

void error_log_add(struct error_log *log, struct who who, const char *words)
{
        if (repeats_note(&log->repeats, who.uid, who.pid, words, qmp_now()))
                add(log, who, words, "");
        arm(log);
}

void error_log_init(struct error_log *log, struct qmp_loop *loop, struct news *news)
{
        *log = (struct error_log){ .loop = loop, .news = news, .timer = { .fire = repeats_are_due } };
        journal_init(&log->journal, LOG_LINES);
        repeats_init(&log->repeats);
        clock_gettime(CLOCK_REALTIME, &log->at);
}

void error_log_deinit(struct error_log *log)
{
        qmp_timer_disarm(log->loop, &log->timer);
        journal_deinit(&log->journal);
        repeats_deinit(&log->repeats);
}
