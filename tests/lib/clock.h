/*
 * A clock that jumps: after test_time_virtual() CLOCK_MONOTONIC stands still while there is work, and where the loop would
 * wait in epoll_wait(2) it jumps by the time to be waited. All parties of a test live in one thread and one loop, so that a
 * test of a limit of 30 s takes no time, and its outcome does not depend on the machine. Peers outside of the loop (real
 * processes, TCP) want the real clock, which is the default.
 */
#ifndef TESTS_CLOCK_H
#define TESTS_CLOCK_H

#include <stdint.h>

void test_time_virtual(void);
void test_time_real(void);
/* The real CLOCK_MONOTONIC in ns, whatever is told to everybody else. */
uint64_t test_real_now(void);

#endif
