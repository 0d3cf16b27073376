#include "qmp/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/*
 * getaddrinfo(3) takes a number modulo 65536, so that "99999" is 34463 and "-1" is 65535. Names of services, which
 * contain a letter (RFC 6335), are left to it.
 */
static int check_port(const char *port)
{
        static const char digits[] = "0123456789";

        if (port[strspn(port, digits)])
                return strpbrk(port, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ? 0 : -EINVAL;
        /* strtoul() returns ULONG_MAX for a number that is out of range */
        return strtoul(port, NULL, 10) - 1 < 65535 ? 0 : -ERANGE;
}

static int parse_tcp(const char *text, struct qmp_address *a)
{
        const char *colon = strrchr(text, ':');
        const char *host = text, *host_end = colon;
        /* not AI_ADDRCONFIG, which fails to resolve localhost on a host without a network; each address is tried */
        struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        int r;

        if (!colon || colon == text || !colon[1])
                return -EINVAL;
        r = check_port(colon + 1);
        if (r < 0)
                return r;
        if (*host == '[' && host_end[-1] == ']') {
                host++;
                host_end--;
        }
        a->host = strndup(host, (size_t)(host_end - host));
        a->port = strdup(colon + 1);
        if (!a->host || !a->port)
                return -ENOMEM;
        return getaddrinfo(a->host, a->port, &hints, &a->infos) == 0 ? 0 : -EADDRNOTAVAIL;
}

static int parse_unix(const char *path, struct qmp_address *a)
{
        _cleanup_(qmp_freep) char *cwd = NULL;

        if (!*path)
                return -EINVAL;
        if (*path == '/') {
                a->path = strdup(path);
                return a->path ? 0 : -ENOMEM;
        }
        cwd = getcwd(NULL, 0);
        if (!cwd)
                return -errno;
        return asprintf(&a->path, "%s/%s", cwd, path) < 0 ? -ENOMEM : 0;
}

int qmp_address_parse(const char *text, struct qmp_address *ret_address)
{
        struct qmp_address a = { 0 };
        const char *rest;
        int r;

        a.text = strdup(text);
        if (!a.text)
                return -ENOMEM;
        rest = startswith(text, "tcp:");
        if (rest) {
                r = parse_tcp(rest, &a);
        } else {
                rest = startswith(text, "unix:");
                r = parse_unix(rest ? rest : text, &a);
        }
        if (r < 0) {
                qmp_address_deinit(&a);
                return r;
        }
        *ret_address = a;
        return 0;
}

void qmp_address_deinit(struct qmp_address *a)
{
        free(a->text);
        free(a->path);
        free(a->host);
        free(a->port);
        if (a->infos)
                freeaddrinfo(a->infos);
        *a = (struct qmp_address){ 0 };
}

size_t qmp_address_count(const struct qmp_address *a)
{
        size_t n = 0;

        for (struct addrinfo *i = a->infos; i; i = i->ai_next)
                n++;
        return n > 0 ? n : 1;
}

static int connect_fd(int fd, const struct sockaddr *address, socklen_t size, bool *ret_connecting)
{
        *ret_connecting = false;
        if (connect(fd, address, size) < 0) {
                if (errno != EINPROGRESS)
                        return -errno;
                *ret_connecting = true;
        }
        return 0;
}

static int connect_unix(const char *path, int *ret_fd, bool *ret_connecting)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        _cleanup_(qmp_closep) int dir_fd = -1;
        _cleanup_(qmp_closep) int fd = -1;
        int r;

        if (strlen(path) < sizeof(un.sun_path)) {
                memcpy(un.sun_path, path, strlen(path) + 1);
        } else {
                /* longer than a sockaddr_un holds: go through the directory's descriptor */
                const char *slash = strrchr(path, '/');
                _cleanup_(qmp_freep) char *dir = strndup(path, (size_t)(slash - path) + 1);

                if (!dir)
                        return -ENOMEM;
                dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (dir_fd < 0)
                        return -errno;
                r = snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dir_fd, slash + 1);
                if (r >= (int)sizeof(un.sun_path))
                        return -ENAMETOOLONG;
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        r = connect_fd(fd, (struct sockaddr *)&un, sizeof(un), ret_connecting);
        if (r == 0) {
                *ret_fd = take_fd(&fd);
        } else if (r == -ECONNREFUSED) {
                /* the kernel reports the same error for a stale socket and for a regular file; distinguish them */
                struct stat st;

                if (stat(un.sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
                        r = -ENOTSOCK;
        }
        return r;
}

static int connect_tcp(const struct addrinfo *info, int *ret_fd, bool *ret_connecting)
{
        static const int on = 1, idle = 10, interval = 5, count = 3, unacknowledged_ms = QMP_ADDRESS_SILENCE_MS;
        _cleanup_(qmp_closep) int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r;

        if (fd < 0)
                return -errno;
        /* commands are small and wait for replies; a host that has vanished is detected within half a minute */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
        /* while a command is unacknowledged there are no keepalives, and Linux sends it again for 15 minutes */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
        r = connect_fd(fd, info->ai_addr, info->ai_addrlen, ret_connecting);
        if (r == 0)
                *ret_fd = take_fd(&fd);
        return r;
}

int qmp_address_connect(const struct qmp_address *a, size_t index, int *ret_fd, bool *ret_connecting)
{
        struct addrinfo *info = a->infos;

        if (a->path)
                return connect_unix(a->path, ret_fd, ret_connecting);
        for (index %= qmp_address_count(a); index > 0; index--)
                info = info->ai_next;
        return connect_tcp(info, ret_fd, ret_connecting);
}

int qmp_address_peer(int fd, uid_t *ret_uid)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        *ret_uid = peer.uid;
        return 0;
}
