/*
 * Where a monitor listens: "PATH", "unix:PATH" or "tcp:HOST:PORT" (an IPv6 host in brackets).
 */
#ifndef QMP_ADDRESS_H
#define QMP_ADDRESS_H

#include <sys/types.h>

#include "util.h"

struct qmp_address {
        char *text; /* as it was given, for messages */
        char *path; /* absolute; NULL for tcp */
        char *host, *port;
        struct addrinfo *infos;
};

/*
 * Takes the text apart, makes a path absolute (the caller may change its directory afterwards) and, for tcp, looks the
 * name up, which may block: it is done once, before the loop runs. PORT is a decimal number from 1 to 65535 or the name of a
 * service. 0, -EINVAL for a malformed text, -ERANGE for another number, -ENOMEM, -EADDRNOTAVAIL if the name of the host or
 * the service could not be resolved. A failure leaves nothing to free.
 */
int qmp_address_parse(const char *text, struct qmp_address *ret_address);
void qmp_address_deinit(struct qmp_address *address);

/* How many different addresses there are to try, at least 1. */
size_t qmp_address_count(const struct qmp_address *address);

/* A host that has vanished ends a TCP connection after that long, whether or not a command is on its way to it. */
#define QMP_ADDRESS_SILENCE_MS 25000

/*
 * A socket that is connected or connecting to the @index-th address (modulo their number); it does not block. 0 or a
 * negative errno, such as -ENOENT, -ECONNREFUSED, -EAGAIN (a unix socket whose queue is full), -ENOTSOCK.
 * *ret_connecting: the end shows by EPOLLOUT and SO_ERROR.
 */
int qmp_address_connect(const struct qmp_address *address, size_t index, int *ret_fd, bool *ret_connecting);

/* The user who serves a connected unix socket: whoever began to listen there. 0 or a negative errno. */
int qmp_address_peer(int fd, uid_t *ret_uid);

#endif
