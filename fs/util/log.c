#include "fs/util/log.h"

#include <fuse_log.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "qmp/message.h"

static struct {
        bool running, to_syslog, debug;
        void (*forward)(void *userdata, int priority, const char *text);
        void *userdata;
        char *fuse;
} state;

static void emit(int priority, const char *format, va_list args)
{
        _cleanup_(qmp_freep) char *text = NULL, *line = NULL;

        if (priority == LOG_DEBUG && !state.debug)
                return;
        /* the terminal from which it was started gets failures only */
        if (priority > LOG_ERR && !state.running)
                return;
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        /*
         * there are words of QEMU's in it, which are not to control a terminal, nor to look like lines of their own
         */
        line = text ? qmp_words(text) : NULL;
        if (!line)
                return;
        if (!state.to_syslog)
                fprintf(stderr, "qmpfs: %s\n", line);
        else if (state.forward)
                state.forward(state.userdata, priority, line);
        else
                syslog(priority, "%s", line);
}

#define LOGGER(name, priority)                                                                                       \
        void name(const char *format, ...)                                                                           \
        {                                                                                                            \
                va_list args;                                                                                        \
                                                                                                                     \
                va_start(args, format);                                                                              \
                emit(priority, format, args);                                                                        \
                va_end(args);                                                                                        \
        }

LOGGER(log_error, LOG_ERR)
LOGGER(log_warning, LOG_WARNING)
LOGGER(log_info, LOG_INFO)
LOGGER(log_debug, LOG_DEBUG)

void log_init(bool foreground, bool debug)
{
        state.running = true;
        state.debug = debug;
        state.to_syslog = !foreground;
        if (state.to_syslog)
                openlog("qmpfs", LOG_PID, LOG_DAEMON);
}

void log_init_by(void (*fn)(void *userdata, int priority, const char *text), void *userdata)
{
        state.forward = fn;
        state.userdata = userdata;
}

static void fuse_said(enum fuse_log_level level, const char *format, va_list args)
{
        char *text, *line;
        size_t n;

        if (vasprintf(&text, format, args) < 0)
                return;
        n = strcspn(text, "\n");
        text[n] = '\0';
        line = text + (startswith(text, "fuse: ") ? 6 : 0);
        if (state.running) {
                if (level <= FUSE_LOG_WARNING)
                        log_warning("%s", line);
                else
                        log_debug("%s", line);
        } else if (*line) {
                free(state.fuse);
                state.fuse = strdup(line);
        }
        free(text);
}

void log_catch_fuse(void)
{
        fuse_set_log_func(fuse_said);
}

char *log_take_fuse(void)
{
        return take_ptr(state.fuse);
}
