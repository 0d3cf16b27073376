/*
 * What can't be done in there. Each probe runs in a process of its own that enters the sandbox first, as the daemon does, and ends
 * with the errno of what it tried.
 */
#include "fs/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "helper_test.h"

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

static int enter(void)
{
        const char *failed;

        return sandbox_enter(&failed);
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

static const struct {
        const char *what;
        int (*probe)(void);
} forbidden[] = {
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
                TEST(failed_assertion_still_ends_the_process),
                TEST(landlock_alone),
                TEST(kernel_tells_the_same),
        };

        return test_main("sandbox", tests, ARRAY_SIZE(tests), NULL, NULL);
}
