/*
 * The FUSE session on the loop: a mount, or one end of a socket pair in tests.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include "content.h"
#include "inode.h"

struct session_options {
        uid_t uid;
        gid_t gid;
        bool group_writes; /* -o gid= was given */
        bool noraw;        /* rows that are raw are absent */
        bool exact_sizes;  /* stat by path asks QEMU for the content, too; else sizes are exact from open on */
};

struct session {
        struct qmp_loop *loop;
        struct fuse_session *fuse;
        struct qmp_source source;
        struct fuse_buf buffer;
        struct session_options options;
        struct vm *vm;
        struct inode_table inodes;
        struct content_pool contents;
        struct timespec born;
        bool begun; /* the first request, which agrees on the protocol, has been answered */
        bool over;  /* there will be no more requests, because of … */
        int error; /* … an unmount (0), or a negative errno: what libfuse could not go on with, which is in its log */
        void (*started)(struct session *session); /* begun; may be NULL */
        void (*ended)(struct session *session);   /* over; may be NULL */
        void *userdata;
};

/* @args are for libfuse and may be changed by it. 0, -EINVAL (an option that libfuse doesn't know; it logged which), -ENOMEM. */
int session_new(struct qmp_loop *loop, struct vm *vm, struct fuse_args *args, const struct session_options *options,
                struct session **ret_session);
/* Ends all requests; unmounts if mounted. Always returns NULL. */
struct session *session_free(struct session *session);

/* Mounts. 0 or -EIO: libfuse logged why. */
int session_mount(struct session *session, const char *mountpoint);

/*
 * Ends all requests and lets go of the mount, without taking it away: somebody else does, or has done. For a process that may not;
 * session_free() won't try then.
 */
void session_forget_mount(struct session *session);

/* Serves a SOCK_SEQPACKET socket instead of /dev/fuse; it becomes the session's. */
int session_attach(struct session *session, int fd);

#endif
