/*
 * The sandbox: what a daemon that has been taken over from QEMU's side can't do. Entered once, when the tree is mounted; there is
 * no way out. What has to be done outside is outside.h's.
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
 * Gives up all capabilities and the right to gain any, core dumps and tracers, the file system and new sockets (Landlock, as far as
 * this kernel has it) and all system calls but those that an event loop with open descriptors needs (seccomp); others
 * fail with EPERM. For a process of one thread. 0, or a negative errno and in *ret_failed what could not be done; part of it may be
 * in force then.
 */
int sandbox_enter(const struct sandbox_fds *fds, const char **ret_failed);

/* One of its layers: no file can be opened, no TCP connection made. 0, or -EOPNOTSUPP where the kernel has no Landlock. */
int sandbox_enter_landlock(void);

/* What sandbox_enter() makes use of on this machine, for people: "seccomp, Landlock ABI 7". Static. */
const char *sandbox_describe(void);

#endif
