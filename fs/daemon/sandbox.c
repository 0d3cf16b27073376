#include "fs/daemon/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

/* --- capabilities, tracers, core dumps -------------------------------------------------------------------------- */

static int drop_capabilities(const struct sandbox_fds *fds)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

        (void)fds;
        /* Requires CAP_SETPCAP; without it, no_new_privs has the same effect. */
        for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
                capability++;
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int forbid_dumps(const struct sandbox_fds *fds)
{
        static const struct rlimit none = { 0, 0 };

        (void)fds;
        /* not dumpable: no core by a handler either, and nobody of the same user may trace us or read our memory */
        return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

static int forbid_privileges(const struct sandbox_fds *fds)
{
        (void)fds;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- Landlock --------------------------------------------------------------------------------------------------- */

/* As of Linux 6.12; what <linux/landlock.h> knows is what the build machine's kernel did. */
struct ruleset {
        uint64_t fs;
        uint64_t net;    /* from ABI 4 */
        uint64_t scoped; /* from ABI 6 */
};

#define LANDLOCK_VERSION 1 /* a flag of landlock_create_ruleset(2) */

static int landlock_abi(void)
{
        return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
}

int sandbox_enter_landlock(void)
{
        /* How many rights to files each ABI knows; they are numbered from 0. */
        static const unsigned known[] = { 13, 14, 15, 15, 16 };
        struct ruleset ruleset = { 0 };
        size_t size = offsetof(struct ruleset, net);
        int abi = landlock_abi(), fd, r;
        size_t i;

        if (abi < 1)
                return -EOPNOTSUPP;
        i = (size_t)abi < ARRAY_SIZE(known) ? (size_t)abi - 1 : ARRAY_SIZE(known) - 1;
        ruleset.fs = (UINT64_C(1) << known[i]) - 1;
        if (abi >= 4) {
                ruleset.net = 3; /* bind and connect, TCP */
                size = offsetof(struct ruleset, scoped);
        }
        if (abi >= 6) {
                ruleset.scoped = 3; /* abstract sockets of others, signals to others */
                size = sizeof(ruleset);
        }
        /* A right that is handled, but that no rule grants, is denied. */
        fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
        if (fd < 0)
                return -errno;
        r = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
        close(fd);
        return r;
}

static int enter_landlock(const struct sandbox_fds *fds)
{
        int r = sandbox_enter_landlock();

        (void)fds;

        /* the filter forbids the same, only without the kernel's knowing why */
        return r == -EOPNOTSUPP ? 0 : r;
}

/* --- seccomp ---------------------------------------------------------------------------------------------------- */

/*
 * What is allowed with any arguments: nothing of it names a file, a peer, a process, or installs a descriptor that
 * somebody else chose. There is no open, no socket, no connect, no fork, no exec, no kill among them.
 */
static const int allowed[] = {
        /* requests and answers: /dev/fuse, QEMU's socket, standard error in the foreground, signalfd */
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(writev),
        /* QEMU's socket, and the process outside; descriptors that come with the bytes are closed by the kernel */
        SCMP_SYS(recvfrom),
        /* the loop, and who waits for the process outside */
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        /* where the C library can't ask the time without the kernel */
        SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday),
        /* memory; what can't be run, see below for the rest */
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        /* locks within libfuse and the C library */
        SCMP_SYS(futex),
        /* the end: of a connection, of the mount (session_forget_mount()), of the process, also by abort() */
        SCMP_SYS(close),
        SCMP_SYS(pipe2),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        /* the end, too, of a build with AddressSanitizer */
        SCMP_SYS(sigaltstack),
};

/* An argument that the kernel takes for an int: the upper half of the register does not count there either. */
#define IS(n, value)                                                                                                 \
        {                                                                                                            \
                .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = (uint32_t)(value)            \
        }
#define HAS(n, bits, value)                                                                                          \
        {                                                                                                            \
                .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = (value)                          \
        }

/* What is allowed with some arguments only, all of these at once. */
struct rule {
        int call;
        unsigned n;
        struct scmp_arg_cmp args[2];
};

static int allow(scmp_filter_ctx filter, const struct rule *rules, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].n, rules[i].args);
        return r;
}

/*
 * Over standard input, output and error, and over the mount: never over the socket from which descriptors may come.
 */
static int allow_dup(scmp_filter_ctx filter, int fd)
{
        const struct rule rules[] = {
                { SCMP_SYS(dup2), 1, { IS(1, fd) } },
                { SCMP_SYS(dup3), 1, { IS(1, fd) } },
        };

        return fd < 0 ? 0 : allow(filter, rules, ARRAY_SIZE(rules));
}

static int allow_all(scmp_filter_ctx filter, const struct sandbox_fds *fds)
{
        const struct rule rules[] = {
                /* more memory, but nothing that could be run */
                { SCMP_SYS(mmap), 2, { HAS(2, PROT_EXEC, 0), HAS(3, MAP_ANONYMOUS, MAP_ANONYMOUS) } },
                { SCMP_SYS(mprotect), 1, { HAS(2, PROT_EXEC, 0) } },
                /*
                 * To where the socket is connected to: an address would lead anywhere that the daemon's user may send
                 * to, past Landlock, and MSG_FASTOPEN connects.
                 */
                { SCMP_SYS(sendto), 2, { { .arg = 4, .op = SCMP_CMP_EQ, .datum_a = 0 }, HAS(3, MSG_FASTOPEN, 0) } },
                /* not SO_PEERPIDFD and its like, which make descriptors */
                { SCMP_SYS(getsockopt), 2, { IS(1, SOL_SOCKET), IS(2, SO_ERROR) } },
                { SCMP_SYS(getsockopt), 2, { IS(1, SOL_SOCKET), IS(2, SO_PEERCRED) } },
                /* abort(), by a failed assertion: a signal to ourselves */
                { SCMP_SYS(tgkill), 1, { IS(0, getpid()) } },
        };
        const struct rule receive = { SCMP_SYS(recvmsg), 1, { IS(0, fds->outside) } };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
        if (r == 0)
                r = allow(filter, rules, ARRAY_SIZE(rules));
        for (int fd = 0; fd <= STDERR_FILENO && r == 0; fd++)
                r = allow_dup(filter, fd);
        if (r == 0)
                r = allow_dup(filter, fds->mount);
        /* with descriptors: the new connection, which comes from there and from nowhere else */
        if (r == 0 && fds->outside >= 0)
                r = allow(filter, &receive, 1);
        return r;
}

static int enter_seccomp(const struct sandbox_fds *fds)
{
        /* not the end of the process: whatever a C library comes to need one day shall not take a mount with it */
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r;

        if (!filter)
                return -ENOMEM;
        /* looks for the call by halves, not one by one */
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        r = allow_all(filter, fds);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

/* ---------------------------------------------------------------------------------------------------------------- */

int sandbox_enter(const struct sandbox_fds *fds, const char **ret_failed)
{
        static const struct {
                const char *what;
                int (*enter)(const struct sandbox_fds *);
        } layers[] = {
                { "forbid core dumps", forbid_dumps },          { "give up capabilities", drop_capabilities },
                { "forbid new privileges", forbid_privileges }, { "restrict access to files", enter_landlock },
                { "filter system calls", enter_seccomp },
        };

        /* localtime_r() shall know its zone, whose file can't be read later */
        tzset();
        for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
                int r = layers[i].enter(fds);

                if (r < 0) {
                        *ret_failed = layers[i].what;
                        return r;
                }
        }
        return 0;
}

const char *sandbox_describe(void)
{
        static char text[64];
        int abi = landlock_abi();

        if (abi < 1)
                return "seccomp; no Landlock in this kernel";
        snprintf(text, sizeof(text), "seccomp, Landlock ABI %d", abi);
        return text;
}
