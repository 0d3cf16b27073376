/*
 * The process outside the sandbox, which acts for the daemon where the sandbox forbids it.
 *
 * It connects to QEMU's socket (and to no other), passes the daemon's messages to syslog, and unmounts when the
 * daemon ends, even after a crash or SIGKILL. It is a child of the daemon, started when the tree is mounted, and has
 * a child of its own: if one of the two is killed, the other continues, or starts it again. It reads no data from
 * QEMU and no requests of the kernel. The functions of this header are all that the daemon may request from it.
 */
#ifndef FS_OUTSIDE_H
#define FS_OUTSIDE_H

#include "qmp/address.h"

struct outside;

/*
 * Starts the process. It has its own copies of @address and @mountpoint (absolute; the daemon has just mounted
 * there). @foreground: it keeps standard error. 0 or a negative errno.
 */
int outside_start(const struct qmp_address *address, const char *mountpoint, bool foreground,
                  struct outside **ret_outside);

/* A descriptor that reports EPOLLHUP when the process has ended finally. Borrowed. */
int outside_get_fd(const struct outside *outside);

/*
 * qmp_address_connect() in the outside process; @userdata is the struct outside. Blocks until the answer, at most for
 * a second. Further errors: -EOWNERDEAD: the process has ended; -ETIME: it did not answer; -ENOTCONN: its answer has
 * no socket.
 */
int outside_connect(void *userdata, size_t index, int *ret_fd, bool *ret_connecting);

/* Sends a line to syslog. It is lost if the socket's buffer is full. @userdata is the struct outside. */
void outside_log(void *userdata, int priority, const char *text);

/*
 * Ends the process. @mounted: it unmounts first, and the call waits for that. Otherwise the tree is unmounted
 * already, and another mount may be in its place. Always returns NULL.
 */
struct outside *outside_end(struct outside *outside, bool mounted);

#endif
