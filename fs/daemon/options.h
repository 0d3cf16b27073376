/*
 * The command line: qmpfs [-o OPTIONS] [-f] [-d] SOURCE MOUNTPOINT, as mount(8) calls a helper.
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <fuse_opt.h>
#include <stdio.h>

#include "fs/fuse/session.h"
#include "fs/vm/vm.h"

struct options {
        char *source, *mountpoint;
        char *fsname; /* the source in /proc/mounts; NULL: source */
        bool foreground, debug, help, version, no_sandbox;
        struct peer_options vm;
        struct session_options session;
        struct fuse_args fuse; /* the remaining options, for libfuse */
};

/*
 * 0, or -EINVAL with the reason in *ret_why, owned by the caller (NULL: out of memory). *ret_options must be
 * deinitialised in either case.
 */
int options_parse(int argc, char **argv, struct options *ret_options, char **ret_why);
void options_deinit(struct options *options);

/* Prints the text of -h. */
void options_help(FILE *out);

#endif
