/*
 * Inodes: what the kernel has looked up, and open files.
 *
 * An inode lives as long as the kernel counts lookups of it or something here refers to it: its children, open files,
 * requests. It refers to its parent and, inside of an object, to the object. Two lookups of one name find the same
 * inode while it lives (but for kinds with own_inode).
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "content.h"
#include "slots.h"
#include "writing.h"

struct snapshot;

struct inode {
        struct session *session;
        struct vm *vm;
        uint64_t nodeid;  /* the kernel's handle; never used again */
        uint64_t ino;     /* st_ino: the same for the same file at any time */
        uint64_t lookups; /* the kernel's count */
        unsigned refs;    /* ours */
        struct inode *parent;
        char *name;
        const struct kind *kind;
        const struct row *row;     /* what declares it; NULL for members */
        struct object *object;     /* what it is or is in; a reference, NULL outside of objects */
        struct snapshot *snapshot; /* a query of its own; a reference, or NULL */
        struct content *content;   /* what those who have it open share; borrowed from them, NULL: nobody has */
        int64_t size;              /* of the content when it was last read; -1: never */
        int64_t told;              /* the kernel's idea of the size is not below this; -1: it has none */
        unsigned writers;          /* open files that can be written */
        bool announced;            /* the kernel knows that its attributes are not valid any more */
        struct timespec born;
        uint64_t epoch; /* the vm's, when it was made */
        struct inode *hash_next;
};

struct inode_table {
        struct slots nodes;
        struct slots files;
        struct inode **buckets;
        size_t n_buckets, n;
        uint64_t seed; /* of the hash: QEMU gives the names, and shall not know which of them meet */
};

/* One open file or directory. */
struct file {
        unsigned refs;
        uint64_t handle;
        struct inode *inode;
        int flags; /* as opened */

        struct content *content; /* of the opening, or the last read at offset 0; a reference, NULL: not yet */
        bool unread;             /* nobody has read the content that came with the opening from its start */
        struct writing writing;
        struct listing listing;              /* directories */
        bool has_listing;
        uint64_t seen;  /* the channel's generation when it was last read */
        uint64_t shift; /* of a journal's reader */
        struct fuse_pollhandle *poll;
        struct list watcher;
        void *stream; /* the kind's */
};

int inode_table_init(struct session *session, struct vm *vm, const struct row *root);
void inode_table_deinit(struct session *session);

/* Borrowed; NULL for what was never issued. */
struct inode *inode_find(struct session *session, uint64_t nodeid);

/* What a child is made of. */
struct inode_args {
        const struct kind *kind;
        const struct row *row;
        struct object *object;     /* NULL: the parent's */
        struct snapshot *snapshot; /* taken over, also on failure */
        uint64_t ino;              /* 0: made from the parent's and the name */
        uint64_t since;            /* one that was made before this epoch of the vm's is another */
};

/* The child of that name, made if there is none (or if the name is of another kind or object now, see also since). The caller gets a
 * reference. 0 or -ENOMEM. */
int inode_child(struct inode *dir, const char *name, const struct inode_args *args, struct inode **ret_inode);

/*
 * Another inode of the same name, number and meaning, which lookups of the name find from now on. The caller gets a
 * reference. 0 or -ENOMEM.
 */
int inode_renew(struct inode *inode, struct inode **ret_inode);

/* The inode number that the child will have. */
uint64_t inode_child_ino(const struct inode *dir, const char *name);

struct inode *inode_ref(struct inode *inode);
struct inode *inode_unref(struct inode *inode);
void inode_forget(struct inode *inode, uint64_t lookups);

void inode_attr(struct inode *inode, struct stat *ret_attr);
/* The content has that size; the kernel hears of it if it believes another. */
void inode_set_size(struct inode *inode, int64_t size);

/* "/block/NVME1/remove"; the caller's; NULL: out of memory. */
char *inode_path(const struct inode *inode);

int file_new(struct inode *inode, int flags, struct file **ret_file);
struct file *file_find(struct session *session, uint64_t handle);
struct file *file_ref(struct file *file);
struct file *file_unref(struct file *file);

#endif
