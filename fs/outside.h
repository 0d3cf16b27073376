/*
 * The process outside the sandbox: what the daemon must still be able to have done when it can do nothing itself any more.
 *
 * It connects to QEMU's socket (that one, no other), hands the daemon's messages to syslog, and takes the mount away when the
 * daemon ends, also when that crashed or was killed. It is a child of the daemon's, made when the tree is mounted, and has a
 * child of its own: if one of the two is killed, the other goes on, or starts it again. It reads nothing of QEMU's and nothing of
 * the kernel's requests, and what the daemon may ask it is this header.
 */
#ifndef FS_OUTSIDE_H
#define FS_OUTSIDE_H

#include "qmp/address.h"

struct outside;

/*
 * Starts it. It uses its own copies of @address and @mountpoint (absolute; the daemon has just mounted there). Standard
 * error stays its own if @foreground. 0 or a negative errno.
 */
int outside_start(const struct qmp_address *address, const char *mountpoint, bool foreground,
                  struct outside **ret_outside);

/* Becomes EPOLLHUP when the process is gone for good. It stays the struct's. */
int outside_get_fd(const struct outside *outside);

/*
 * qmp_address_connect() out there; @userdata is the struct outside. It waits for the answer, but no longer than a second. Also
 * -EOWNERDEAD: the process is gone; -ETIME: it gives no answer, -ENOTCONN: it gave one without a socket.
 */
int outside_connect(void *userdata, size_t index, int *ret_fd, bool *ret_connecting);

/* A line for syslog; it is lost if there is no room for it. @userdata is the struct outside. */
void outside_log(void *userdata, int priority, const char *text);

/*
 * Ends it. With @mounted it takes the mount away before that, and is waited for; without, the mount is gone already and
 * what may be mounted there now is somebody else's. Always returns NULL.
 */
struct outside *outside_end(struct outside *outside, bool mounted);

#endif
