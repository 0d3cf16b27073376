/*
 * The row: one file of the tree, and the kind: how files of that sort behave.
 *
 * tree.c declares the rows, data only. A kind is a table of functions that ops.c calls. What a function returns:
 *   0               done
 *   REQUEST_PARKED  it waits; the request is remembered by what it waits for, and its step runs again when that
 *                   comes. So everything up to the wait is done again, with the results at hand: a function asks
 *                   for all that it needs from the top, and keeps state only where doing it twice would matter
 *   a negative errno
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <sys/stat.h>

#include "qmp/util.h"

#define REQUEST_PARKED 1
#define READ_CONTENT   2

struct file;
struct inode;
struct kind;
struct listing;
struct object;
struct request;
struct vm;

/* What a poll(2) can wait for. */
enum channel {
        CHANNEL_NONE,
        CHANNEL_STATE,      /* the run state may have changed */
        CHANNEL_CONNECTION, /* up, down, stalled, recovered */
        CHANNEL_EVENTS,     /* an event came */
        CHANNEL_ERRORS,     /* a request failed */
        N_CHANNELS,
};

struct text {
        char *data;
        size_t size;
};

struct row {
        const char *name;
        const struct kind *kind;
        /* permission bits; "-o gid=" gives the owner's write bit to the group too, where others may read and the row is neither
         * [dynamic] nor the [owner]'s; of directories: 0 is 0755; a group's bit without others' counts under "-o gid=" only */
        unsigned mode;
        const char *query; /* the QMP command that the file shows; NULL where the kind knows */
        /* a command without which the file is absent; NULL: that of query; "": none. The kind may know others */
        const char *needs;
        const char *member;   /* which member of its result; NULL: all of it */
        bool optional;        /* the member may be absent: an empty line */
        const void *data;     /* what else the kind wants, see there */
        enum channel channel; /* what poll(2) waits for; CHANNEL_NONE: always ready, as regular files are */
        bool raw;             /* absent under "-o noraw" */
        bool dynamic;         /* its name is QEMU's, and is asked for each time */
        bool owner;           /* nobody else may write, whatever "-o gid=" says */
        /* rows of objects: whether this object has the file; NULL: each has */
        bool (*present)(struct json_object *record);
};

struct kind {
        mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
        bool stream; /* reads wait and have no offset when the file is opened for reading and writing */
        /*
         * Writes may take long. Opening with O_TRUNC takes the kernel's lock of the inode, which a write holds until it is
         * answered, so each lookup makes an inode of its own: nobody's `echo` waits in the kernel for another's, where
         * Ctrl-C can't reach it.
         */
        bool own_inode;

        /* Whether a server has what the row needs besides its own query, see introspection_has(); NULL: it needs nothing. */
        bool (*supported)(const struct vm *vm, const struct row *row);

        /* directories; the inode's reference goes to the caller */
        int (*lookup)(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode);
        int (*list)(struct request *r, struct inode *dir, struct listing *listing);
        /* links: the target, the caller's */
        int (*readlink)(struct request *r, struct inode *inode, char **ret_target);

        /* files with a content: all of it, as of now; the caller's */
        int (*render)(struct request *r, struct inode *inode, struct text *ret_text);
        /*
         * Other files: r->offset and r->size say what; *ret_text is the caller's, empty at the end. READ_CONTENT: this open
         * file shows what render() makes.
         */
        int (*read)(struct request *r, struct file *file, struct text *ret_text);
        /* one request: r->data, r->size, terminated, without its newline */
        int (*write)(struct request *r, struct file *file);
        /* such a one was refused before it came here; may be NULL */
        void (*refuse)(struct request *r, struct file *file, int error);
        int (*open)(struct request *r, struct file *file);
        void (*release)(struct file *file);
        bool (*readable)(struct file *file); /* for poll; NULL: by the row's channel */

        /* st_size by what is known now; negative, or no function: as it was last read */
        int64_t (*size)(struct inode *inode);
};

/* A directory's names as they are when it is opened or rewound. */
struct listing {
        struct listing_entry {
                char *name;
                mode_t type;
                uint64_t ino;
        } * entries;
        size_t n, size;
};

/* 0 or -ENOMEM. */
int listing_add(struct listing *listing, const char *name, mode_t type, uint64_t ino);
void listing_deinit(struct listing *listing);

#endif
