/*
 * The sandbox limits what the daemon can do if QEMU's side takes it over. It is entered once, when the tree is
 * mounted, and cannot be left. outside.h provides the few operations outside the sandbox.
 */
#ifndef FS_SANDBOX_H
#define FS_SANDBOX_H

#include "qmp/util.h"

/* Descriptors that the filter knows by number; -1: none. */
struct sandbox_fds {
        int outside; /* the only one from which others may be received, see outside_get_fd() */
        int mount;   /* may be replaced, besides standard input, output and error */
};

/*
 * Gives up all capabilities and the right to gain any, core dumps and tracers, the file system and new sockets
 * (Landlock, as far as this kernel has it) and all system calls except those that an event loop with open descriptors
 * needs (seccomp); others fail with EPERM. For a process of one thread. 0, or a negative errno and the failed step in
 * *ret_failed; other steps may be in force then.
 */
int sandbox_enter(const struct sandbox_fds *fds, const char **ret_failed);

/*
 * One layer of it: no file can be opened, and no TCP connection be made. 0, or -EOPNOTSUPP: the kernel lacks
 * Landlock.
 */
int sandbox_enter_landlock(void);

/* The features of this machine that sandbox_enter() uses, for users: "seccomp, Landlock ABI 7". Static. */
const char *sandbox_describe(void);

#endif
