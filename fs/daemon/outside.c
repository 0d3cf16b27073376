#include "fs/daemon/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

#include "fs/util/log.h"
#include "fs/daemon/mountpoint.h"
#include "qmp/loop.h"

#define CONNECT_MS 1000
#define UNMOUNT_MS 10000
#define LINE_MAX   1024
#define RESTART_NS NSEC_PER_SEC
#define KEPT_FD    3

enum order { ORDER_CONNECT, ORDER_LOG, ORDER_UNMOUNT, ORDER_END };

/* One packet each way; ORDER_LOG and ORDER_END get no answer. */
struct request_packet {
        enum order order;
        uint32_t serial;
        uint32_t number;     /* ORDER_CONNECT: index, ORDER_LOG: priority */
        char text[LINE_MAX]; /* ORDER_LOG: as long as it is, without NUL */
};

struct answer_packet {
        uint32_t serial;
        int32_t result;
        bool connecting;
};

#define REQUEST_SIZE offsetof(struct request_packet, text)

struct outside {
        int fd;
        uint32_t serial;
};

/* A socket that goes along with a packet. */
union control {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
};

/* --- in the other process --------------------------------------------------------------------------------------- */

struct helper {
        const struct qmp_address *address;
        const char *mountpoint;
        uint64_t mount_id;
        bool unique; /* mount_id */
        int fd;
};

/* As fusermount3(1) does it for users who may not. */
static int spawn_fusermount(const char *mountpoint)
{
        const char *const argv[] = { "fusermount3", "-u", "-q", "-z", "--", mountpoint, NULL };
        posix_spawnattr_t attributes;
        sigset_t none;
        int r, status;
        pid_t pid;

        sigemptyset(&none);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        r = posix_spawnp(&pid, argv[0], NULL, &attributes, (char *const *)argv, environ);
        posix_spawnattr_destroy(&attributes);
        if (r != 0)
                return -r;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return status == 0 ? 0 : -EIO;
}

static int unmount(const struct helper *h)
{
        uint64_t id = 0;
        bool unique;
        int r;

        /*
         * Whoever took ours away may have mounted another there. Before Linux 6.8 that may have the same number: then
         * one that comes to its place between the daemon's death and this look is taken for ours.
         */
        if (mountpoint_get_id(h->mountpoint, &id, &unique) < 0 || id != h->mount_id)
                return 0;
        /* lazily, as libfuse does: somebody's working directory may be in there */
        r = umount2(h->mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
        if (r == -EPERM)
                r = spawn_fusermount(h->mountpoint);
        if (r < 0)
                log_error("cannot unmount '%s': %s", h->mountpoint, strerror(-r));
        return r;
}

static void send_answer(const struct helper *h, const struct answer_packet *answer, int fd)
{
        struct iovec iov = { .iov_base = (void *)answer, .iov_len = sizeof(*answer) };
        union control control = { 0 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(fd));
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
        }
        (void)sendmsg(h->fd, &message, MSG_NOSIGNAL);
}

static void answer_connect(const struct helper *h, const struct request_packet *request)
{
        _cleanup_(qmp_closep) int fd = -1;
        struct answer_packet answer = { .serial = request->serial };

        answer.result = qmp_address_connect(h->address, request->number, &fd, &answer.connecting);
        send_answer(h, &answer, fd);
}

static void answer_unmount(const struct helper *h, const struct request_packet *request)
{
        struct answer_packet answer = { .serial = request->serial, .result = unmount(h) };

        send_answer(h, &answer, -1);
}

/* Until the daemon says or shows that it ends. */
static void serve(const struct helper *h)
{
        struct request_packet request;

        for (;;) {
                ssize_t n = recv(h->fd, &request, sizeof(request), 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < (ssize_t)REQUEST_SIZE) {
                        /* it has crashed, or was killed */
                        (void)unmount(h);
                        return;
                }
                switch (request.order) {
                case ORDER_CONNECT:
                        answer_connect(h, &request);
                        break;
                case ORDER_LOG:
                        syslog((int)(request.number & LOG_PRIMASK), "%.*s", (int)((size_t)n - REQUEST_SIZE),
                               request.text);
                        break;
                case ORDER_UNMOUNT:
                        answer_unmount(h, &request);
                        return;
                default:
                        /* the connection is severed, but that is no unmount if somebody wrote to its `abort` */
                        if (h->unique)
                                (void)unmount(h);
                        return;
                }
        }
}

/* Nothing of the daemon's stays: its monitor and its mount are to end with it. */
static int keep_only(int fd, bool foreground)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int i = 0; i < (foreground ? 2 : 3) && null >= 0; i++)
                dup2(null, i);
        /* fusermount3 shall not have it */
        if (fd != KEPT_FD)
                (void)dup3(fd, KEPT_FD, O_CLOEXEC);
        closefrom(KEPT_FD + 1);
        return KEPT_FD;
}

/*
 * There are two processes, of which one serves and the other waits for it, and starts one again that was killed:
 * without any the mount could not be taken away. If it is the one that waits that is killed, the other goes on.
 */
static bool has_served(const struct helper *h)
{
        uint64_t begin = qmp_now();
        pid_t pid = fork();
        int status = 0;

        if (pid <= 0) {
                /* or there is no second one to be had */
                serve(h);
                _exit(0);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return true;
        if (WIFEXITED(status))
                return true;
        /* one that is killed at once shall not be killed a thousand times a second */
        if (qmp_now() - begin < RESTART_NS)
                (void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
        return false;
}

_Noreturn static void run(struct helper *h, bool foreground)
{
        /* a Ctrl-C at the terminal is for the daemon */
        (void)setsid();
        signal(SIGCHLD, SIG_DFL);
        (void)!chdir("/");
        (void)prctl(PR_SET_NAME, "qmpfs-outside");
        (void)prctl(PR_SET_DUMPABLE, 0);
        h->fd = keep_only(h->fd, foreground);
        log_init(foreground, false);
        while (!has_served(h))
                ;
        _exit(0);
}

/* --- in the daemon ---------------------------------------------------------------------------------------------- */

int outside_start(const struct qmp_address *address, const char *mountpoint, bool foreground,
                  struct outside **ret_outside)
{
        struct helper h = { .address = address, .mountpoint = mountpoint };
        struct outside *outside;
        int fds[2], r;
        pid_t pid;

        r = mountpoint_get_id(mountpoint, &h.mount_id, &h.unique);
        if (r < 0)
                return r;
        outside = calloc(1, sizeof(*outside));
        if (!outside)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
                free(outside);
                return -errno;
        }
        pid = fork();
        if (pid < 0) {
                r = -errno;
                close(fds[0]);
                close(fds[1]);
                free(outside);
                return r;
        }
        if (pid == 0) {
                h.fd = fds[1];
                run(&h, foreground);
        }
        close(fds[1]);
        outside->fd = fds[0];
        *ret_outside = outside;
        return 0;
}

int outside_get_fd(const struct outside *o)
{
        return o->fd;
}

static int order(struct outside *o, struct request_packet *request, size_t size)
{
        request->serial = ++o->serial;
        if (send(o->fd, request, size, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                return 0;
        return errno == EPIPE || errno == ECONNRESET ? -EOWNERDEAD : -errno;
}

static int received_fd(struct msghdr *message)
{
        struct cmsghdr *header = CMSG_FIRSTHDR(message);
        int fd;

        if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                return -1;
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        return fd;
}

/* The answer to the last order; *ret_fd is -1 if no socket came with it. */
static int await(struct outside *o, int limit_ms, struct answer_packet *ret_answer, int *ret_fd)
{
        uint64_t end = qmp_now() + (uint64_t)limit_ms * NSEC_PER_MSEC;

        for (;;) {
                struct iovec iov = { .iov_base = ret_answer, .iov_len = sizeof(*ret_answer) };
                union control control;
                struct msghdr message = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
                };
                struct pollfd pollfd = { .fd = o->fd, .events = POLLIN };
                uint64_t now = qmp_now();
                ssize_t n;

                if (now >= end || poll(&pollfd, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) == 0)
                        return -ETIME;
                n = recvmsg(o->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n != sizeof(*ret_answer))
                        return -EOWNERDEAD;
                *ret_fd = received_fd(&message);
                if (ret_answer->serial == o->serial)
                        return ret_answer->result;
                /* of an order that nobody waits for any more */
                if (*ret_fd >= 0)
                        close(*ret_fd);
        }
}

int outside_connect(void *userdata, size_t index, int *ret_fd, bool *ret_connecting)
{
        struct outside *o = userdata;
        struct request_packet request = { .order = ORDER_CONNECT, .number = (uint32_t)index };
        struct answer_packet answer;
        int fd = -1, r;

        r = order(o, &request, REQUEST_SIZE);
        if (r == 0)
                r = await(o, CONNECT_MS, &answer, &fd);
        if (r < 0)
                return r;
        if (fd < 0)
                return -ENOTCONN;
        *ret_fd = fd;
        *ret_connecting = answer.connecting;
        return 0;
}

void outside_log(void *userdata, int priority, const char *text)
{
        struct request_packet request = { .order = ORDER_LOG, .number = (uint32_t)priority };
        size_t size = strnlen(text, sizeof(request.text));

        memcpy(request.text, text, size);
        (void)order(userdata, &request, REQUEST_SIZE + size);
}

struct outside *outside_end(struct outside *o, bool mounted)
{
        struct request_packet request = { .order = mounted ? ORDER_UNMOUNT : ORDER_END };
        struct answer_packet answer;
        int fd;

        if (!o)
                return NULL;
        if (order(o, &request, REQUEST_SIZE) == 0 && mounted)
                (void)await(o, UNMOUNT_MS, &answer, &fd);
        close(o->fd);
        free(o);
        return NULL;
}
