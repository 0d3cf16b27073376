#include "sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* --- capabilities, tracers, core dumps ------------------------------------------------------------------------------ */

static int drop_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

        /* Only who has CAP_SETPCAP may do this; for others no_new_privs says the same. */
        for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
                capability++;
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int forbid_dumps(void)
{
        static const struct rlimit none = { 0, 0 };

        /* not dumpable: no core by a handler either, and nobody of the same user may trace us or read our memory */
        return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

static int forbid_privileges(void)
{
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- Landlock ------------------------------------------------------------------------------------------------------- */

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
        /* A right that is handled and given by no rule is nobody's. */
        fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
        if (fd < 0)
                return -errno;
        r = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
        close(fd);
        return r;
}

static int enter_landlock(void)
{
        int r = sandbox_enter_landlock();

        /* the filter forbids the same, only without the kernel's knowing why */
        return r == -EOPNOTSUPP ? 0 : r;
}

/* --- seccomp -------------------------------------------------------------------------------------------------------- */

/* What is allowed with any arguments. There is no open, no socket, no connect, no fork, no exec, no kill among them. */
static const int allowed[] = {
        /* requests and answers: /dev/fuse, QEMU's socket, standard error in the foreground, signalfd */
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(writev),
        /* QEMU's socket, and the process outside */
        SCMP_SYS(recvfrom),
        SCMP_SYS(sendto),
        SCMP_SYS(recvmsg),
        SCMP_SYS(sendmsg),
        SCMP_SYS(getsockopt),
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
        SCMP_SYS(dup2),
        SCMP_SYS(dup3),
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

static int allow_all(scmp_filter_ctx filter)
{
        const struct scmp_arg_cmp no_code = {
                .arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0
        };
        const struct scmp_arg_cmp anonymous = {
                .arg = 3, .op = SCMP_CMP_MASKED_EQ, .datum_a = MAP_ANONYMOUS, .datum_b = MAP_ANONYMOUS
        };
        const struct scmp_arg_cmp ourselves = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid() };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
        /* more memory, but nothing that could be run */
        if (r == 0)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                                           (const struct scmp_arg_cmp[]){ no_code, anonymous });
        if (r == 0)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &no_code);
        /* abort(), by a failed assertion: a signal to ourselves */
        if (r == 0)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &ourselves);
        return r;
}

static int enter_seccomp(void)
{
        /* not the end of the process: whatever a C library comes to need one day shall not take a mount with it */
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r;

        if (!filter)
                return -ENOMEM;
        /* looks for the call by halves, not one by one */
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        r = allow_all(filter);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

/* -------------------------------------------------------------------------------------------------------------------- */

int sandbox_enter(const char **ret_failed)
{
        static const struct {
                const char *what;
                int (*enter)(void);
        } layers[] = {
                { "forbid core dumps", forbid_dumps },          { "give up capabilities", drop_capabilities },
                { "forbid new privileges", forbid_privileges }, { "restrict access to files", enter_landlock },
                { "filter system calls", enter_seccomp },
        };

        /* localtime_r() shall know its zone, whose file can't be read later */
        tzset();
        for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
                int r = layers[i].enter();

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
