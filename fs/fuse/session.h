/*
 * The FUSE session on the loop: a mount, or one end of a socket pair in tests.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include "fs/fuse/content.h"
#include "fs/fuse/inode.h"
#include "fs/fuse/memory.h"

struct session_options {
        const struct row *root; /* the root of the tree */
        uid_t uid;
        gid_t gid;
        bool group_writes; /* -o gid= was given */
        bool noraw;        /* raw rows are absent */
        bool exact_sizes;  /* stat(2) by path also queries the content; otherwise sizes are exact from open(2) on */
};

struct session {
        struct context *context;
        struct qmp_loop *loop; /* the context's */
        struct fuse_session *fuse;
        struct qmp_source source;
        struct fuse_buf buffer;
        struct session_options options;
        struct vm *vm;
        struct inode_table inodes;
        struct outcomes outcomes; /* of the latest write to each action's file */
        struct list requests;     /* of the kernel, in order of arrival */
        struct content_pool contents;
        struct memory memory;
        struct timespec born;
        bool begun; /* the first request, FUSE_INIT, has been answered */
        bool over;  /* there are no more requests, because of … */
        int error;  /* … an unmount (0), or an error of libfuse, which logged it (a negative errno) */
        void (*started)(struct session *session); /* begun; may be NULL */
        void (*ended)(struct session *session);   /* over; may be NULL */
        void *userdata;
};

/* @args are for libfuse, which may change them. 0, -ENOMEM, or -EINVAL: libfuse logged an unknown option. */
int session_new(struct context *context, struct vm *vm, struct fuse_args *args, const struct session_options *options,
                struct session **ret_session);
/* Ends all requests; unmounts if mounted. Always returns NULL. */
struct session *session_free(struct session *session);

/* Mounts. 0 or -EIO: libfuse logged the reason. */
int session_mount(struct session *session, const char *mountpoint);

/*
 * Ends all requests and closes the mount without unmounting it, for a process that may not unmount. Another process
 * unmounts it, or has done so. session_free() does not unmount after this call.
 */
void session_forget_mount(struct session *session);

/* Serves a SOCK_SEQPACKET socket instead of /dev/fuse. @fd is taken over. */
int session_attach(struct session *session, int fd);

#endif
