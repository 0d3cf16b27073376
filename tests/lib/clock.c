#include "tests/lib/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "qmp/util.h"

static bool time_is_virtual;
static uint64_t virtual_now;

/* Both take the place of libc's in the programs that use this file. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
        if (!time_is_virtual || id != CLOCK_MONOTONIC)
                return (int)syscall(SYS_clock_gettime, id, ts);
        /* time is never read twice the same */
        virtual_now++;
        ts->tv_sec = (time_t)(virtual_now / NSEC_PER_SEC);
        ts->tv_nsec = (long)(virtual_now % NSEC_PER_SEC);
        return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int n_events, int timeout)
{
        int n = epoll_pwait(fd, events, n_events, time_is_virtual ? 0 : timeout, NULL);

        if (n != 0 || !time_is_virtual || timeout == 0)
                return n;
        if (timeout < 0) {
                fputs("the loop waits for ever\n", stderr);
                abort();
        }
        virtual_now += (uint64_t)timeout * NSEC_PER_MSEC;
        return 0;
}

uint64_t test_real_now(void)
{
        struct timespec ts;

        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void test_time_virtual(void)
{
        virtual_now = test_real_now();
        time_is_virtual = true;
}

void test_time_real(void)
{
        time_is_virtual = false;
}
