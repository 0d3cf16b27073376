/*
 * What can't be done in there. Each probe runs in a process of its own that enters the sandbox first, as the daemon does, and ends
 * with the errno of what it tried.
 */
#include "fs/daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/lib/test.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(address_sanitizer) || defined(__SANITIZE_ADDRESS__)
#define BIG 4096 /* its own allocator wants files for more */
#else
#define BIG (64 << 20)
#endif

/* Not an errno. */
enum { NOT_ENTERED = 250, SUCCEEDED = 251, SIGNALLED = 252 };

/* What is open when the sandbox is entered: as if QEMU's socket had passed it, and the one from the process outside. */
static struct {
        int stream[2], datagram, tcp, outside[2];
} open_fds;

static struct sockaddr_un victim = { .sun_family = AF_UNIX };
static struct sockaddr_in loopback = { .sin_family = AF_INET };

static int enter(void)
{
        const struct sandbox_fds fds = { open_fds.outside[0], -1 };
        const char *failed;

        return sandbox_enter(&fds, &failed);
}

/* A 0600 socket that listens for datagrams, and a port on the loopback interface. */
static void setup(void)
{
        socklen_t size = sizeof(loopback);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(victim.sun_path, sizeof(victim.sun_path), "%s", test_path("victim"));
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&victim, sizeof(victim)), 0);
        loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        loopback.sin_port = 0;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)), 0);
        ck_assert_int_eq(listen(fd, 5), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&loopback, &size), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, open_fds.stream), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, open_fds.outside), 0);
        open_fds.datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        open_fds.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(open_fds.datagram, 0);
        ck_assert_int_ge(open_fds.tcp, 0);
}

/* How it ended for a child that calls @probe after @enter: 0 or an errno, see above. */
static int inside(int (*enter_it)(void), int (*probe)(void))
{
        int status;
        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                int r;

                if (enter_it() < 0)
                        _exit(NOT_ENTERED);
                errno = 0;
                r = probe();
                /* not _exit(), at which a sanitizer wants more than it may have, and ends with 1, which is EPERM */
                syscall(SYS_exit_group, r < 0 ? errno : SUCCEEDED);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED;
}

static int open_passwd(void)
{
        return open("/etc/passwd", O_RDONLY);
}

static int open_own_maps(void)
{
        return open("/proc/self/maps", O_RDONLY);
}

static int open_path(void)
{
        return open("/etc/passwd", O_PATH);
}

static int create_file(void)
{
        return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

static int run_program(void)
{
        static char program[] = "/bin/true";
        char *argv[] = { program, NULL };

        return execv(argv[0], argv);
}

static int run_descriptor(void)
{
        static char program[] = "true";
        char *argv[] = { program, NULL }, *none[] = { NULL };

        return (int)syscall(SYS_execveat, 0, "", argv, none, 0x1000);
}

static int start_process(void)
{
        return fork();
}

static int new_thread(void)
{
        return (int)syscall(SYS_clone, CLONE_VM | SIGCHLD, NULL, NULL, NULL, NULL);
}

static int unix_socket(void)
{
        return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int inet_socket(void)
{
        return socket(AF_INET, SOCK_STREAM, 0);
}

static int signal_parent(void)
{
        return kill(getppid(), 0);
}

static int signal_init(void)
{
        return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int trace_parent(void)
{
        return (int)ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static int executable_memory(void)
{
        return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                       ? -1
                       : 0;
}

static int memory_made_executable(void)
{
        static char page[8192] __attribute__((aligned(4096)));

        return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int mount_something(void)
{
        return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static int unmount_something(void)
{
        return umount2("/", MNT_DETACH);
}

static int remove_file(void)
{
        return unlink("/tmp/qmpfs-none");
}

static int change_user(void)
{
        return setuid(0);
}

static int control_device(void)
{
        return (int)syscall(SYS_ioctl, 0, 0x5412, "x"); /* TIOCSTI: types at a terminal */
}

static int raise_limit(void)
{
        return (int)syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0);
}

static char byte_to_send[] = "x";

/* A socket that QEMU passed, unbound. */
static int datagram_to_a_path(void)
{
        return (int)sendto(open_fds.datagram, "x", 1, 0, (struct sockaddr *)&victim, sizeof(victim));
}

static int message_to_a_path(void)
{
        struct iovec iov = { .iov_base = byte_to_send, .iov_len = 1 };
        struct msghdr message = {
                .msg_name = &victim, .msg_namelen = sizeof(victim), .msg_iov = &iov, .msg_iovlen = 1
        };

        return (int)sendmsg(open_fds.datagram, &message, 0);
}

static int messages_to_a_path(void)
{
        struct iovec iov = { .iov_base = byte_to_send, .iov_len = 1 };
        struct mmsghdr message = {
                .msg_hdr = { .msg_name = &victim, .msg_namelen = sizeof(victim), .msg_iov = &iov, .msg_iovlen = 1 }
        };

        return sendmmsg(open_fds.datagram, &message, 1, 0);
}

/* One whose connecting was refused. */
static int connect_by_sending(void)
{
        return (int)sendto(open_fds.tcp, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&loopback,
                           sizeof(loopback));
}

static int send_fast_open(void)
{
        return (int)sendto(open_fds.stream[0], "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, NULL, 0);
}

static int connect_socket(void)
{
        return connect(open_fds.tcp, (struct sockaddr *)&loopback, sizeof(loopback));
}

static int bind_socket(void)
{
        return bind(open_fds.datagram, &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t));
}

static int listen_on_socket(void)
{
        return listen(open_fds.tcp, 1);
}

static int accept_on_socket(void)
{
        return accept(open_fds.tcp, NULL, NULL);
}

static int set_option(void)
{
        return setsockopt(open_fds.tcp, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
}

/* A descriptor of the peer, Linux 6.5. */
static int peer_descriptor(void)
{
        int fd;
        socklen_t size = sizeof(fd);

        return getsockopt(open_fds.stream[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, &fd, &size);
}

static int receive(int fd)
{
        char byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        return (int)recvmsg(fd, &message, MSG_DONTWAIT);
}

static int receive_descriptors(void)
{
        return receive(open_fds.stream[0]);
}

static int receive_many(void)
{
        struct mmsghdr message = { 0 };

        return recvmmsg(open_fds.stream[0], &message, 1, MSG_DONTWAIT, NULL);
}

static int put_a_socket_there(void)
{
        return dup2(open_fds.stream[0], open_fds.outside[0]);
}

/* The kernel takes descriptors for ints. */
static int put_a_socket_there_wide(void)
{
        return (int)syscall(SYS_dup3, (long)open_fds.stream[0], (1L << 32) | open_fds.outside[0], 0L);
}

static int owner_of_signals(void)
{
        return fcntl(open_fds.stream[0], F_SETOWN, getppid());
}

static int copy_descriptor(void)
{
        return fcntl(open_fds.stream[0], F_DUPFD, 50);
}

static int ring(void)
{
        return (int)syscall(425 /* io_uring_setup */, 1, NULL);
}

static int splice_it(void)
{
        return (int)splice(0, NULL, 1, NULL, 1, 0);
}

static const struct {
        const char *what;
        int (*probe)(void);
} forbidden[] = {
        { "send a datagram to a path", datagram_to_a_path },
        { "send a message to a path", message_to_a_path },
        { "send messages to a path", messages_to_a_path },
        { "connect by sending", connect_by_sending },
        { "fast open", send_fast_open },
        { "connect", connect_socket },
        { "bind", bind_socket },
        { "listen", listen_on_socket },
        { "accept", accept_on_socket },
        { "set a socket's option", set_option },
        { "descriptor of the peer", peer_descriptor },
        { "receive descriptors", receive_descriptors },
        { "receive many", receive_many },
        { "put a socket in the place of that outside", put_a_socket_there },
        { "the same, by a wide argument", put_a_socket_there_wide },
        { "let signals be sent", owner_of_signals },
        { "copy a descriptor", copy_descriptor },
        { "io_uring", ring },
        { "splice", splice_it },
        { "open /etc/passwd", open_passwd },
        { "open /proc/self/maps", open_own_maps },
        { "open a path", open_path },
        { "create a file", create_file },
        { "run a program", run_program },
        { "run a descriptor", run_descriptor },
        { "start a process", start_process },
        { "start a thread", new_thread },
        { "unix socket", unix_socket },
        { "inet socket", inet_socket },
        { "signal to the parent", signal_parent },
        { "signal to init", signal_init },
        { "trace the parent", trace_parent },
        { "executable memory", executable_memory },
        { "memory made executable", memory_made_executable },
        { "mount", mount_something },
        { "unmount", unmount_something },
        { "remove a file", remove_file },
        { "change the user", change_user },
        { "ioctl", control_device },
        { "be traceable again", raise_limit },
};

START_TEST(is_forbidden)
{
        int r = inside(enter, forbidden[_i].probe);

        ck_assert_msg(r == EPERM, "%s: %d", forbidden[_i].what, r);
}
END_TEST

/* What an event loop over descriptors that are open already does. */
static int ordinary_work(void)
{
        struct epoll_event event = { .events = EPOLLOUT };
        int fds[2], epoll = -1;
        char byte;
        time_t t = 0;
        struct tm tm;
        char *big;

        if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], "x", 1) != 1 || read(fds[0], &byte, 1) != 1)
                return -1;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event) == 0 || errno != EBADF)
                return -1;
        big = malloc(BIG);
        if (!big)
                return -1;
        memset(big, 1, BIG);
        big = realloc(big, 2 * BIG);
        free(big);
        (void)qmp_now();
        return localtime_r(&t, &tm) ? 0 : -1;
}

START_TEST(ordinary_work_goes_on)
{
        int r = inside(enter, ordinary_work);

        ck_assert_msg(r == SUCCEEDED, "%s", strerror(r));
}
END_TEST

/* Of the monitor, and of the process outside: what they need of sockets. */
static int talk(void)
{
        int error;
        socklen_t size = sizeof(error);
        struct ucred peer;
        char byte;

        if (send(open_fds.stream[0], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 ||
            recv(open_fds.stream[1], &byte, 1, MSG_DONTWAIT) != 1 ||
            getsockopt(open_fds.stream[0], SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                return -1;
        size = sizeof(peer);
        if (getsockopt(open_fds.stream[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
            send(open_fds.outside[1], "x", 1, MSG_NOSIGNAL) != 1 || receive(open_fds.outside[0]) != 1)
                return -1;
        return dup2(open_fds.stream[0], 2) == 2 ? 0 : -1;
}

START_TEST(talking_goes_on)
{
        int r = inside(enter, talk);

        ck_assert_msg(r == SUCCEEDED, "%s", strerror(r));
}
END_TEST

static int fail_assertion(void)
{
        (void)close(2);
        abort();
}

START_TEST(failed_assertion_still_ends_the_process)
{
        int r = inside(enter, fail_assertion);

        /* a sanitizer reports the signal and exits */
        ck_assert_msg(r == SIGNALLED || r == 1, "%d", r);
}
END_TEST

/* The layers hold each for itself: without the filter it is Landlock that says no. */
START_TEST(landlock_alone)
{
        static int (*const probes[])(void) = { open_passwd, create_file, run_program };
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
                r = inside(sandbox_enter_landlock, probes[i]);
                if (r == NOT_ENTERED && strstr(sandbox_describe(), "no Landlock")) {
                        fputs("SKIP landlock_alone: this kernel has no Landlock\n", stderr);
                        return;
                }
                ck_assert_msg(r == EACCES, "%zu: %d", i, r);
        }
}
END_TEST

static int wait_for_end(void)
{
        char byte;

        return (int)read(0, &byte, 1);
}

/* The value of a line of /proc/PID/status. */
static void status_of(pid_t pid, const char *key, char *value, size_t size)
{
        char path[64], line[256];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        *value = '\0';
        while (fgets(line, sizeof(line), file))
                if (startswith(line, key) && line[strlen(key)] == ':') {
                        line[strcspn(line, "\n")] = '\0';
                        snprintf(value, size, "%s", line + strlen(key) + 1 + strspn(line + strlen(key) + 1, " \t"));
                }
        fclose(file);
}

START_TEST(kernel_tells_the_same)
{
        static const struct {
                const char *key, *value;
        } lines[] = {
                { "CapInh", "0000000000000000" },
                { "CapPrm", "0000000000000000" },
                { "CapEff", "0000000000000000" },
                { "CapAmb", "0000000000000000" },
                { "NoNewPrivs", "1" },
                { "Seccomp", "2" },
        };
        int in[2], out[2];
        char value[64], limits[4096], path[64], byte;
        FILE *file;
        pid_t pid;
        size_t n;

        ck_assert_int_eq(pipe(in), 0);
        ck_assert_int_eq(pipe(out), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                dup2(in[0], 0);
                if (enter() < 0 || write(out[1], "", 1) != 1)
                        _exit(1);
                _exit(wait_for_end() < 0);
        }
        ck_assert_int_eq(read(out[0], &byte, 1), 1);
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                status_of(pid, lines[i].key, value, sizeof(value));
                ck_assert_msg(streq(value, lines[i].value), "%s: %s", lines[i].key, value);
        }
        snprintf(path, sizeof(path), "/proc/%d/limits", pid);
        file = fopen(path, "re");
        if (file) { /* those of a process that is not dumpable are root's to see */
                n = fread(limits, 1, sizeof(limits) - 1, file);
                limits[n] = '\0';
                fclose(file);
                ck_assert_contains(limits, "Max core file size        0                    0 ");
        }
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(is_forbidden, ARRAY_SIZE(forbidden)),
                TEST(ordinary_work_goes_on),
                TEST(talking_goes_on),
                TEST(failed_assertion_still_ends_the_process),
                TEST(landlock_alone),
                TEST(kernel_tells_the_same),
        };

        return test_main("sandbox", tests, ARRAY_SIZE(tests), setup, NULL);
}
