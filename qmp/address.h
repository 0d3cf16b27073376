/*
 * Where a monitor listens: "PATH", "unix:PATH" or "tcp:HOST:PORT" (an IPv6 host in brackets).
 */
#ifndef QMP_ADDRESS_H
#define QMP_ADDRESS_H

#include <sys/types.h>

#include "qmp/util.h"

struct qmp_address {
        char *text; /* as it was given, for messages */
        char *path; /* absolute; NULL for tcp */
        char *host, *port;
        struct addrinfo *infos;
};

/*
 * Parses an address. A path is made absolute, so that the caller may change its directory afterwards. A host name is
 * resolved, which may block; this is done only once, before the loop runs. PORT is a decimal number from 1 to 65535
 * or the name of a service. Returns 0, -EINVAL for a malformed text, -ERANGE for a port number out of range, -ENOMEM,
 * or -EADDRNOTAVAIL if the host or service could not be resolved. After a failure there is nothing to free.
 */
int qmp_address_parse(const char *text, struct qmp_address *ret_address);
void qmp_address_deinit(struct qmp_address *address);

/* The number of addresses to try, at least 1. */
size_t qmp_address_count(const struct qmp_address *address);

/* A host that has vanished ends a TCP connection after that long, whether or not a command is on its way to it. */
#define QMP_ADDRESS_SILENCE_MS 25000

/*
 * Creates a socket that is connected or connecting to the @index-th address (modulo their number). Does not block.
 * Returns 0 or a negative errno, such as -ENOENT, -ECONNREFUSED, -EAGAIN (a unix socket whose queue is full),
 * -ENOTSOCK. If *ret_connecting is set, EPOLLOUT and SO_ERROR report the result.
 */
int qmp_address_connect(const struct qmp_address *address, size_t index, int *ret_fd, bool *ret_connecting);

/* The user that called listen(2) on the other end of a connected unix socket. Returns 0 or a negative errno. */
int qmp_address_peer(int fd, uid_t *ret_uid);

#endif
