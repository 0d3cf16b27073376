/*
 * The daemon's log: standard error in the foreground, syslog in the background. One line each, without newline.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <stdbool.h>

#include "qmp/util.h"

/* Until then, and with @foreground, it goes to standard error. */
void log_init(bool foreground, bool debug);

/* From now on syslog is reached through @fn, for a process that can't do so itself; NULL: no longer. */
void log_init_by(void (*fn)(void *userdata, int priority, const char *text), void *userdata);

_printf_(1, 2) void log_error(const char *format, ...);
_printf_(1, 2) void log_warning(const char *format, ...);
_printf_(1, 2) void log_info(const char *format, ...);
_printf_(1, 2) void log_debug(const char *format, ...);

/* What libfuse has to say is kept for log_take_fuse() until log_init() was called, then it is logged. */
void log_catch_fuse(void);
/* The last thing that libfuse said, without its "fuse: "; the caller's; NULL if nothing. */
char *log_take_fuse(void);

#endif
