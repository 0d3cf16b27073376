/*
 * The command: connects, mounts, goes to the background when the tree can be used, ends with the mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/util/log.h"
#include "fs/daemon/mountpoint.h"
#include "fs/daemon/options.h"
#include "fs/daemon/outside.h"
#include "fs/daemon/sandbox.h"

struct daemon {
        struct options options;
        struct qmp_loop *loop;
        struct context context;
        struct subscriber subscriber; /* while the first connection is made */
        struct vm *vm;
        struct session *session;
        struct outside *outside; /* NULL without the sandbox */
        struct qmp_source signals, outside_end, parent;
        int signal_fd;
        int ready_fd; /* to the parent, who waits for the tree; -1 in the foreground */
        bool mounted;
        bool alone; /* the process outside is gone */
        char sandbox[128];
};

/* What the loop's result says. */
enum { ENDED = 0, USABLE = 1, FAILED = 2, INTERRUPTED = 3 };

static void handle_signal(struct qmp_source *source, uint32_t revents)
{
        struct daemon *d = container_of(source, struct daemon, signals);
        struct signalfd_siginfo info;

        (void)revents;
        if (read(source->fd, &info, sizeof(info)) != sizeof(info))
                return;
        if (d->mounted)
                log_info("ended by %s", strsignal((int)info.ssi_signo));
        qmp_loop_quit(d->loop, d->mounted ? ENDED : INTERRUPTED);
}

static int watch_signals(struct daemon *d)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        signal(SIGPIPE, SIG_IGN);
        d->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (d->signal_fd < 0)
                return -errno;
        return qmp_loop_add(d->loop, &d->signals, d->signal_fd, EPOLLIN, handle_signal);
}

static void handle_parents_end(struct qmp_source *source, uint32_t revents)
{
        struct daemon *d = container_of(source, struct daemon, parent);

        (void)revents;
        qmp_loop_remove(d->loop, source);
        qmp_loop_quit(d->loop, INTERRUPTED);
}

/* The parent waits for the tree. If it was killed, nobody wants the mount any more. */
static int watch_parent(struct daemon *d)
{
        return d->ready_fd < 0 ? 0 : qmp_loop_add(d->loop, &d->parent, d->ready_fd, 0, handle_parents_end);
}

static void session_started(struct session *session)
{
        qmp_loop_quit(session->loop, USABLE);
}

static void session_ended(struct session *session)
{
        qmp_loop_quit(session->loop, session->error < 0 ? FAILED : ENDED);
}

/* Until the first attempt to connect has ended: well or not. */
static void connection_changed(struct subscriber *subscriber)
{
        struct daemon *d = container_of(subscriber, struct daemon, subscriber);
        struct qmp_client_info info;

        qmp_client_get_info(d->vm->peer.client, &info);
        if (info.state == QMP_CLIENT_UP)
                qmp_loop_quit(d->loop, USABLE);
        else if (info.failure)
                qmp_loop_quit(d->loop, FAILED);
}

static int connect_vm(struct daemon *d)
{
        struct qmp_client_info info;
        int r;

        d->subscriber = (struct subscriber){ .changed = connection_changed };
        bus_join(&d->vm->peer.bus, &d->subscriber);
        qmp_client_start(d->vm->peer.client);
        qmp_client_get_info(d->vm->peer.client, &info);
        /* a refusal comes at once */
        r = info.failure ? FAILED : qmp_loop_run(d->loop);
        bus_leave(&d->vm->peer.bus, &d->subscriber);
        if (r == FAILED) {
                qmp_client_get_info(d->vm->peer.client, &info);
                log_error("%s", info.failure);
        }
        return r == USABLE ? 0 : -EIO;
}

/*
 * Makes it absolute, without links on the way: libfuse unmounts by this path at the end, when the daemon has left its
 * directory, and a link may lead elsewhere then.
 */
static int check_mountpoint(char **mountpoint)
{
        const char *path = *mountpoint;
        struct stat st;
        char *real;

        if (stat(path, &st) < 0) {
                log_error("cannot mount on '%s': %s%s", path, strerror(errno),
                          errno == ENOTCONN ? " (stale mount of a dead daemon; fusermount3 -u removes it)" : "");
                return -errno;
        }
        if (!S_ISDIR(st.st_mode)) {
                log_error("cannot mount on '%s': %s", path, strerror(ENOTDIR));
                return -ENOTDIR;
        }
        real = realpath(path, NULL);
        if (!real) {
                int e = errno;

                log_error("cannot mount on '%s': %s", path, strerror(e));
                return -e;
        }
        free(*mountpoint);
        *mountpoint = real;
        return 0;
}

/*
 * The kernel lets any mount cover any other. To cover one of qmpfs's is a mistake: of the same VM there would be two,
 * of which the lower one holds the monitor; of another VM, paths that were used so far would lead to the wrong one.
 */
static int refuse_to_cover(const char *mountpoint)
{
        _cleanup_(qmp_freep) char *source = NULL;

        if (mountpoint_find_qmpfs(mountpoint, &source) < 0)
                return 0;
        log_error("cannot mount on '%s': '%s' is mounted there already", mountpoint, source);
        return -EBUSY;
}

/*
 * The mount is shown with the source, if no other name was given, as its device, and "fuse.qmpfs" as its type. A
 * daemon that was taken over must not serve setuid programs or devices there: mount(8)'s helper mount.fuse3 adds
 * "suid,dev" for root, so these options come last.
 */
static int add_fuse_options(struct options *options)
{
        _cleanup_(qmp_freep) char *fsname = NULL;
        char *all = NULL;
        int r = -ENOMEM;

        if (asprintf(&fsname, "fsname=%s", options->fsname ? options->fsname : options->source) < 0)
                fsname = NULL;
        if (fsname && fuse_opt_add_opt_escaped(&all, fsname) == 0 &&
            fuse_opt_add_opt(&all, "subtype=qmpfs,default_permissions,nosuid,nodev,noexec") == 0 &&
            (!options->debug || fuse_opt_add_opt(&all, "debug") == 0) &&
            fuse_opt_add_arg(&options->fuse, "-o") == 0 && fuse_opt_add_arg(&options->fuse, all) == 0)
                r = 0;
        free(all);
        return r;
}

static void fuse_failed(const char *what, const char *on)
{
        _cleanup_(qmp_freep) char *why = log_take_fuse();

        /* for users it is fusermount3 that mounts, and tells why not by itself */
        log_error("%s '%s': %s", what, on,
                  why              ? why
                  : geteuid() != 0 ? "see the message of fusermount3"
                                   : "libfuse gave no reason");
}

static int set_up(struct daemon *d)
{
        struct options *o = &d->options;
        int r = check_mountpoint(&o->mountpoint);

        if (r == 0)
                r = refuse_to_cover(o->mountpoint);
        if (r < 0)
                return r;
        r = qmp_loop_new(&d->loop);
        if (r == 0)
                r = watch_signals(d);
        if (r == 0)
                r = watch_parent(d);
        if (r == 0)
                r = add_fuse_options(o);
        if (r < 0) {
                log_error("cannot start: %s", strerror(-r));
                return r;
        }
        context_init(&d->context, d->loop);
        r = vm_new(&d->context, o->source, &o->vm, &d->vm);
        if (r < 0) {
                log_error("cannot use '%s': %s", o->source,
                          r == -EINVAL          ? "expected PATH, unix:PATH or tcp:HOST:PORT"
                          : r == -ERANGE        ? "expected a port from 1 to 65535"
                          : r == -EADDRNOTAVAIL ? "no such host or port"
                                                : strerror(-r));
                return r;
        }
        r = session_new(&d->context, d->vm, &o->fuse, &o->session, &d->session);
        if (r < 0) {
                _cleanup_(qmp_freep) char *why = log_take_fuse();

                log_error("%s", why ? why : strerror(-r));
                return r;
        }
        r = connect_vm(d);
        /* that may have taken its time */
        if (r == 0)
                r = refuse_to_cover(o->mountpoint);
        if (r < 0)
                return r;
        r = session_mount(d->session, o->mountpoint);
        if (r < 0) {
                fuse_failed("cannot mount on", o->mountpoint);
                return r;
        }
        d->mounted = true;
        d->session->started = session_started;
        d->session->ended = session_ended;
        return 0;
}

#define OUTSIDE "the process outside the sandbox"

/* What is there goes on. But nobody can connect again, nor unmount. */
static void handle_outside_end(struct qmp_source *source, uint32_t revents)
{
        struct daemon *d = container_of(source, struct daemon, outside_end);

        (void)revents;
        qmp_loop_remove(d->loop, source);
        d->alone = true;
        snprintf(d->sandbox, sizeof(d->sandbox), "%s; " OUTSIDE " has ended: unmount and mount again",
                 sandbox_describe());
        vm_set_sandbox(d->vm, d->sandbox);
        /* without it this is heard in the foreground only */
        log_error(OUTSIDE " has ended: unmount '%s' and mount again", d->options.mountpoint);
}

static int enter_sandbox(struct daemon *d)
{
        const char *failed = "start a process outside it";
        int r;

        if (d->options.no_sandbox) {
                vm_set_sandbox(d->vm, "off");
                return 0;
        }
        vm_set_sandbox(d->vm, sandbox_describe());
        r = outside_start(qmp_client_get_address(d->vm->peer.client), d->options.mountpoint, d->options.foreground,
                          &d->outside);
        if (r == 0) {
                qmp_client_connect_by(d->vm->peer.client, outside_connect, d->outside, OUTSIDE);
                log_init_by(outside_log, d->outside);
                r = qmp_loop_add(d->loop, &d->outside_end, outside_get_fd(d->outside), 0, handle_outside_end);
        }
        if (r == 0) {
                const struct sandbox_fds fds = { outside_get_fd(d->outside), fuse_session_fd(d->session->fuse) };

                failed = "give up rights";
                r = sandbox_enter(&fds, &failed);
        }
        if (r < 0)
                log_error("cannot enter the sandbox: cannot %s: %s; -o sandbox=off runs without it", failed,
                          strerror(-r));
        return r;
}

/*
 * mount(2) succeeds before the kernel and libfuse have agreed on anything: that is what the first request is for,
 * which is there at once.
 */
static int await_start(struct daemon *d)
{
        const char *where = d->options.mountpoint;
        int r = qmp_loop_run(d->loop);

        if (r == USABLE)
                return 0;
        if (r == FAILED)
                fuse_failed("cannot serve", where);
        else if (r < 0)
                log_error("cannot serve '%s': the event loop failed: %s", where, strerror(-r));
        else if (d->session->over)
                log_error("cannot serve '%s': it was unmounted immediately", where);
        return -EIO;
}

/* Tells the parent that the tree can be used, and leaves its terminal. -EPIPE: there is no parent any more. */
static int go_to_background(struct daemon *d, int null)
{
        int r;

        for (int fd = 0; fd < 3 && null >= 0; fd++)
                dup2(null, fd);
        if (null > 2)
                close(null);
        r = write(d->ready_fd, "", 1) < 0 ? -errno : 0;
        qmp_loop_remove(d->loop, &d->parent);
        close(d->ready_fd);
        return r;
}

static int serve(struct daemon *d)
{
        bool background = d->ready_fd >= 0;
        int null = background ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1, r;

        if (background) {
                (void)setsid();
                (void)!chdir("/");
        }
        r = enter_sandbox(d);
        if (r == 0)
                r = await_start(d);
        if (r < 0)
                return 1;
        log_init(d->options.foreground, d->options.debug);
        if (background && go_to_background(d, null) < 0)
                return 1;
        r = qmp_loop_run(d->loop);
        if (r < 0)
                log_error("the event loop failed: %s", strerror(-r));
        else if (r == FAILED)
                log_error("cannot serve '%s' any longer: %s", d->options.mountpoint, strerror(-d->session->error));
        return r == ENDED ? 0 : 1;
}

static void tear_down(struct daemon *d)
{
        if (d->alone && !d->session->over)
                log_error("cannot unmount '%s': " OUTSIDE " has ended; fusermount3 -u removes the mount",
                          d->options.mountpoint);
        if (d->outside) {
                qmp_loop_remove(d->loop, &d->outside_end);
                /* what session_free() did otherwise, it may not */
                log_init_by(NULL, NULL);
                d->outside = outside_end(d->outside, !(d->session->over && d->session->error == 0));
                session_forget_mount(d->session);
        }
        session_free(d->session);
        vm_free(d->vm);
        if (d->loop)
                qmp_loop_remove(d->loop, &d->signals);
        if (d->loop)
                qmp_loop_remove(d->loop, &d->parent);
        if (d->signal_fd >= 0)
                close(d->signal_fd);
        qmp_loop_free(d->loop);
        options_deinit(&d->options);
}

static int run(struct daemon *d)
{
        int r = set_up(d) < 0 ? 1 : serve(d);

        /* a dead mount is left */
        if (d->alone && !d->session->over)
                r = 1;
        tear_down(d);
        return r;
}

/* The parent's part: it ends when the child has the tree ready, or with the child. */
static int wait_for(pid_t child, int fd)
{
        int status;
        char ready;
        ssize_t n;

        do
                n = read(fd, &ready, 1);
        while (n < 0 && errno == EINTR);
        if (n == 1)
                return 0;
        if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
                log_error("the daemon was killed before the tree was ready: %s", strsignal(WTERMSIG(status)));
        return 1;
}

static int run_in_background(struct daemon *d)
{
        int fds[2];
        pid_t child;

        if (pipe2(fds, O_CLOEXEC) < 0 || (child = fork()) < 0) {
                log_error("cannot run in the background: %s", strerror(errno));
                return 1;
        }
        if (child > 0) {
                close(fds[1]);
                options_deinit(&d->options);
                return wait_for(child, fds[0]);
        }
        close(fds[0]);
        d->ready_fd = fds[1];
        return run(d);
}

static void print_version(void)
{
        printf("qmpfs %s\nlibfuse %s\njson-c %s\nsandbox %s\n", QMPFS_VERSION, fuse_pkgversion(), json_c_version(),
               sandbox_describe());
}

/*
 * Descriptors of the caller's must not stay: a file could be read in the sandbox, and a shell's lock would be held as
 * long as the mount. The C library falls back to /proc where the kernel has no close_range(2).
 */
static void close_others(void)
{
        closefrom(STDERR_FILENO + 1);
}

/*
 * Whoever starts us may have closed standard input, output or error. A descriptor of ours that got such a number
 * would be written to as if it were a terminal, and replaced on the way to the background.
 */
static int open_standard_fds(void)
{
        for (int fd = 0; fd <= STDERR_FILENO; fd++)
                /* those below are open, so it gets this number */
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
                        return -errno;
        return 0;
}

int main(int argc, char **argv)
{
        struct daemon d = {
                .signals = { .fd = -1 },
                .outside_end = { .fd = -1 },
                .parent = { .fd = -1 },
                .signal_fd = -1,
                .ready_fd = -1,
        };
        _cleanup_(qmp_freep) char *why = NULL;
        int r = open_standard_fds();

        if (r < 0) {
                log_error("cannot open '/dev/null': %s", strerror(-r));
                return 1;
        }
        close_others();
        log_catch_fuse();
        r = options_parse(argc, argv, &d.options, &why);
        if (r < 0) {
                log_error("%s", why ? why : strerror(ENOMEM));
        } else if (d.options.help) {
                options_help(stdout);
        } else if (d.options.version) {
                print_version();
        } else {
                return d.options.foreground ? run(&d) : run_in_background(&d);
        }
        options_deinit(&d.options);
        return r < 0 ? 1 : 0;
}
