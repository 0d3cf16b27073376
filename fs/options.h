/*
 * The command line: qmpfs [-o OPTIONS] [-f] [-d] SOURCE MOUNTPOINT, as mount(8) calls a helper.
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <fuse_opt.h>
#include <stdio.h>

#include "session.h"
#include "vm.h"

struct options {
        char *source, *mountpoint;
        char *fsname; /* as which the mount is shown; NULL: source */
        bool foreground, debug, help, version, no_sandbox;
        struct vm_options vm;
        struct session_options session;
        struct fuse_args fuse; /* what is left for libfuse */
};

/* 0, or -EINVAL with the caller's *ret_why (NULL: out of memory). To be deinitialised in either case. */
int options_parse(int argc, char **argv, struct options *ret_options, char **ret_why);
void options_deinit(struct options *options);

/* What -h prints. */
void options_help(FILE *out);

#endif
