/*
 * Inodes, which the kernel has looked up, and open files.
 *
 * An inode lives as long as its lookup count is not zero, or a child, open file or request holds a reference. It
 * holds references to its parent and, inside an object, to the object. While it lives, lookups of its name find the
 * same inode, except for kinds with own_inode.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "fs/fuse/content.h"
#include "fs/fuse/node.h"
#include "fs/util/slots.h"
#include "fs/fuse/writing.h"

struct inode {
        struct session *session;
        struct vm *vm;    /* NULL: the inode is above the VMs */
        uint64_t nodeid;  /* the kernel's node id; never used again */
        uint64_t ino;     /* st_ino: the same for the same file at any time */
        uint64_t lookups; /* the kernel's lookup count */
        unsigned refs;    /* ours */
        struct inode *parent;
        char *name;
        const struct kind *kind;
        const struct row *row;   /* the declaration; NULL for members */
        struct object *object;   /* the object that it is, or is in; a reference, NULL outside objects */
        char *qemu_name;         /* the kind's: QEMU's name or path, where it is not the file's name; or NULL */
        struct content *content; /* shared by its open files and borrowed from them; NULL: not open */
        int64_t size;            /* of the content when it was last read; -1: never */
        int64_t told;            /* the kernel's st_size is at least this; -1: it has none */
        unsigned writers;        /* open files that can be written */
        bool announced;          /* the kernel knows that its attributes are not valid any more */
        struct timespec born;
        uint64_t epoch; /* the vm's, when it was made */
        /* in qom/: the largest number of children that the object has had, and the serial of the last list counted */
        uint64_t n_children, counted;
        struct inode *hash_next;
};

struct inode_table {
        struct slots nodes;
        struct slots files;
        struct inode **buckets;
        size_t n_buckets, n;
        uint64_t
                seed; /* of the hash: the names come from QEMU, which must not be able to choose names that collide */
};

/* One open file or directory. */
struct file {
        unsigned refs;
        uint64_t handle;
        struct inode *inode;
        int flags; /* as opened */

        struct content *content; /* of the open, or of the last read at offset 0; a reference, NULL: none yet */
        bool unread;             /* the content of the open has not been read from its start yet */
        struct writing writing;
        struct listing listing; /* directories */
        bool has_listing;
        size_t listing_held;
        uint64_t seen;  /* the channel's generation when it was last read */
        uint64_t shift; /* of a journal's reader */
        struct fuse_pollhandle *poll;
        struct watcher watcher;
        void *stream; /* the kind's */

        bool foreign; /* opened by a user other than the owner of the mount */
        size_t held;  /* what it holds besides its content, in bytes, see file_hold() */
};

int inode_table_init(struct session *session, struct vm *vm, const struct row *root);
void inode_table_deinit(struct session *session);

/* Borrowed; NULL for a node id that was never issued. */
struct inode *inode_find(struct session *session, uint64_t nodeid);

/* The properties of a new child. */
struct inode_args {
        const struct kind *kind;
        const struct row *row;
        struct vm *vm;         /* NULL: the parent's; it must live as long as the inode */
        struct object *object; /* NULL: the parent's */
        const char *qemu_name; /* copied; or NULL */
        uint64_t ino;          /* 0: derived from the parent's number and the name */
        uint64_t since;        /* a child created before this epoch of the vm is another file */
};

/*
 * Finds the child of this name, or creates it if there is none, or if the name belongs to another kind, VM or object now
 * (see also since). The caller gets a reference. 0 or -ENOMEM.
 */
int inode_child(struct inode *dir, const char *name, const struct inode_args *args, struct inode **ret_inode);

/*
 * Creates another inode of the same name, number and meaning, which later lookups of the name find. The caller gets a
 * reference. 0 or -ENOMEM.
 */
int inode_renew(struct inode *inode, struct inode **ret_inode);

/* The inode number of a child, whether it exists or not. */
uint64_t inode_child_ino(const struct inode *dir, const char *name);

struct inode *inode_ref(struct inode *inode);
struct inode *inode_unref(struct inode *inode);
void inode_forget(struct inode *inode, uint64_t lookups);

void inode_attr(struct inode *inode, struct stat *ret_attr);
/* Sets the size of the content, and notifies the kernel if its st_size differs. */
void inode_set_size(struct inode *inode, int64_t size);

/* The path in the mount, such as "/block/NVME1/remove"; owned by the caller; NULL: out of memory. */
char *inode_path(const struct inode *inode);

int file_new(struct inode *inode, int flags, struct file **ret_file);
/* Whether it has no file position: of a kind with streams, and open for reading and writing. */
bool file_is_stream(const struct file *file);
/*
 * A part of the open file, which held *@held bytes, is to hold @bytes. 0, or -ENOMEM: nothing was changed, since all
 * open files would exceed their limit (memory.h). Less is always possible. What is left is released with the file.
 */
int file_hold(struct file *file, size_t *held, size_t bytes);
struct file *file_find(struct session *session, uint64_t handle);
struct file *file_ref(struct file *file);
struct file *file_unref(struct file *file);

#endif
