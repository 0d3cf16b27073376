/*
 * The daemon's log: standard error in the foreground, syslog in the background. One line each, without newline.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <stdbool.h>

#include "qmp/util.h"

/* Before this call, and with @foreground, messages go to standard error; otherwise to syslog. */
void log_init(bool foreground, bool debug);

/* Sends messages for syslog through @fn, for a process that has no access to syslog itself; NULL: directly again. */
void log_init_by(void (*fn)(void *userdata, int priority, const char *text), void *userdata);

_printf_(1, 2) void log_error(const char *format, ...);
_printf_(1, 2) void log_warning(const char *format, ...);
_printf_(1, 2) void log_info(const char *format, ...);
_printf_(1, 2) void log_debug(const char *format, ...);

/* Catches the messages of libfuse: before log_init() they are kept for log_take_fuse(), then they are logged. */
void log_catch_fuse(void);
/* The last message of libfuse, without its "fuse: " prefix; owned by the caller; NULL: none. */
char *log_take_fuse(void);

#endif
