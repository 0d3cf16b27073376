/*
 * A row declares one file of the tree. A kind defines the behaviour of files of one sort.
 *
 * tree.c declares the rows, as data only. A kind is a table of functions, called by ops.c. They return:
 *   0               done
 *   WAITER_PARKED  it waits; the request is remembered by what it waits for, and its step runs again when that
 *                   comes. So everything up to the wait is done again, with the results at hand: a function asks
 *                   for all that it needs from the top, and keeps state only where doing it twice would matter
 *   a negative errno
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <sys/stat.h>

#include "fs/util/text.h"
#include "fs/vm/news.h"
#include "fs/vm/waiter.h"

#define READ_CONTENT 2

struct file;
struct inode;
struct kind;
struct listing;
struct object;
struct request;
struct vm;

struct row {
        const char *name;
        const struct kind *kind;
        /*
         * The permission bits; 0 for a directory: 0755. With "-o gid=", the group gets the owner's write bit, if
         * others may read and the row is neither [dynamic] nor [owner]. A bit of the group that others lack has an
         * effect only with "-o gid=".
         */
        unsigned mode;
        const char *query; /* the QMP command whose result the file shows; NULL: defined by the kind */
        /* a command without which the file is absent; NULL: query; "": none. The kind may need others */
        const char *needs;
        const char *member;   /* a member of the result; NULL: the complete result */
        bool optional;        /* the member may be absent: an empty line */
        const void *data;     /* further data, defined by the kind */
        enum channel channel; /* the channel of poll(2); CHANNEL_NONE: always ready, like a regular file */
        bool raw;             /* absent under "-o noraw" */
        bool dynamic;         /* the name comes from QEMU and is looked up each time */
        bool owner;           /* only the owner may write, regardless of "-o gid=" */
        /*
         * rows of objects: the object has the file if its record has a value of this plain binding (binding.h) and its
         * kind agrees; NULL: always
         */
        const char *present;
};

struct kind {
        mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
        bool stream; /* if open for reading and writing, reads wait and have no offset */
        /*
         * Writes may take long. The kernel holds the lock of the inode during a write, and open(2) with O_TRUNC takes
         * the same lock. So each lookup creates a new inode; otherwise one `echo` would wait for another in the
         * kernel, where Ctrl-C has no effect.
         */
        bool own_inode;

        /*
         * Whether the server has the commands that the row needs besides query, see introspection_has(); NULL:
         * always.
         */
        bool (*supported)(const struct vm *vm, const struct row *row);
        /* rows with [present]: whether the object @dir may have the file; NULL: yes */
        bool (*present)(const struct inode *dir);

        /* directories; the caller gets a reference to the inode */
        int (*lookup)(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode);
        int (*list)(struct request *r, struct inode *dir, struct listing *listing);
        /* links: the target, owned by the caller */
        int (*readlink)(struct request *r, struct inode *inode, char **ret_target);

        /* files with a content: the complete current content, owned by the caller */
        int (*render)(struct request *r, struct inode *inode, struct text *ret_text);
        /*
         * Other files: reads r->size bytes at r->offset. *ret_text is owned by the caller, and empty at the end of
         * the file. READ_CONTENT: this open file has the content of render().
         */
        int (*read)(struct request *r, struct file *file, struct text *ret_text);
        /* one line: r->data, r->size, NUL-terminated, without its newline; see also json */
        int (*write)(struct request *r, struct file *file);
        /*
         * A request that begins with one of these characters, perhaps after blanks, is JSON and may have several
         * lines, if they come in one write. NULL: each request is one line.
         */
        const char *json;
        bool or_text; /* … or is a plain text that begins like JSON */
        /* a line was refused before write() was called; may be NULL */
        void (*refuse)(struct request *r, struct file *file, int error);
        int (*open)(struct request *r, struct file *file);
        void (*release)(struct file *file);
        bool (*readable)(struct file *file); /* for poll(2); NULL: by the row's channel */

        /* st_size, as far as known; negative, or no function: the size of the last read */
        int64_t (*size)(struct inode *inode);
};

/* The names of a directory at the time of open or rewind. */
struct listing {
        struct listing_entry {
                char *name;
                mode_t type;
                uint64_t ino;
        } * entries;
        size_t n, size;
        size_t bytes; /* of memory, approximately */
};

/* 0 or -ENOMEM. */
int listing_add(struct listing *listing, const char *name, mode_t type, uint64_t ino);
void listing_deinit(struct listing *listing);

#endif
