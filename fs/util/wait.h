/*
 * The words that set how long a write waits: "nowait", "timeout=SEC". Pure.
 */
#ifndef FS_WAIT_H
#define FS_WAIT_H

#include "qmp/util.h"

struct wait {
        bool nowait;
        uint64_t limit_ns; /* 0: not given */
};

/* 0, or -EINVAL for any other word. Seconds are decimal, greater than 0 and at most a million. */
int wait_parse(const char *word, struct wait *ret_wait);

#endif
