/*
 * The kernel's side of FUSE, in the packets of <linux/fuse.h> over a socket pair; one in a process.
 *
 * A call sends a request, and its reply is waited for (by turning the loop), taken, or asserted not to have come. Nodes,
 * lookup counts and open files are kept as the kernel keeps them. What must always hold is checked here: each request
 * that wants a reply gets one and no second, no answer comes unasked, a reply is what its request may be answered with,
 * names are legal, links stay within the mount. What the kernel sends is well-formed; k_send() can send anything else.
 *
 * Errors are negative errnos.
 */
#ifndef TESTS_KERNEL_H
#define TESTS_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/stat.h>

#include "qmp/loop.h"
#include "tests/lib/pump.h"

struct k_node {
        uint64_t id, lookups;
        uint32_t mode;
        unsigned depth; /* of directories from the mount's root to it: 0 is the root */
        bool is_stream; /* opened for reading and writing, it waits for ever */
};

struct k_file {
        uint64_t node, fh;
        uint32_t open_flags; /* FOPEN_… */
        int flags;           /* O_… */
        bool is_stream;
};

struct k_reply {
        struct list link;
        uint64_t unique;
        int error; /* 0 or a negative errno */
        size_t size;
        char data[]; /* terminated */
};

/* A request without a reply. */
struct k_request {
        uint64_t unique;
        uint32_t opcode;
        struct k_node node; /* as it was; of one that is not known only the id */
        size_t size;        /* of a read, or of what is written */
        int flags;          /* of an opening */
        bool is_stream;     /* of a lookup: that is what is looked for */
        bool patient;       /* it may wait for longer than any limit */
        bool dropped;       /* nobody waits for the reply */
};

struct kernel {
        struct qmp_loop *loop;
        int fd;
        struct qmp_source source;
        bool ended; /* the file system has ended, or the kernel is gone: nothing is sent any more */
        uint64_t unique;
        struct list replies; /* not yet taken */
        struct k_request *requests;
        size_t n_requests, requests_size;
        struct k_node *nodes; /* the first is the root */
        size_t n_nodes, nodes_size;
        struct k_file *files; /* open ones */
        size_t n_files, files_size;
        uint64_t *woken; /* the handles of FUSE_NOTIFY_POLL, in order */
        size_t n_woken;
        size_t n_invalidated; /* how often it was told that it has wrong attributes */

        /* To be set by the test at any time. */
        uint32_t uid, pid;  /* of the process that the next requests come from */
        uint64_t owner;     /* of writes: the process, to which threads with different pids may belong; 0: not sent */
        uint64_t moment_ns; /* a reply that takes longer is ETIME, and is dropped then; 0: that is a failure */
        size_t n_requests_max; /* what is beyond is not sent: ETIME; 0: no limit */
        bool no_memory;        /* libfuse may answer ENOMEM to what wants no answer: FORGET, INTERRUPT */
};

extern struct kernel kernel;

/* With the end of the socket for the session, which is the caller's. */
void k_init(struct qmp_loop *loop, int *ret_fd);
/* INIT, which comes first. */
void k_mount(void);
/* Goes away with all that it has open and is waiting for. */
void k_unmount(void);
void k_deinit(void);

/* Sends a request with @a and then @b; returns its unique number, or 0: it was not sent. */
uint64_t k_send(uint32_t opcode, uint64_t node, const void *a, size_t na, const void *b, size_t nb);
/* The same for what has no reply. */
void k_send_only(uint32_t opcode, uint64_t node, const void *a, size_t na);
/* Waits for the reply; the caller frees. */
struct k_reply *k_wait(uint64_t unique);
/* Waits, and returns the error alone. */
int k_wait_error(uint64_t unique);
bool k_is_answered(uint64_t unique);
/* How many requests have no answer yet. */
size_t k_n_pending(void);
/* NULL: the kernel does not know it. Borrowed until the next lookup. */
struct k_node *k_find_node(uint64_t id);
/* The next name of a READDIR reply, *at from 0 on; NULL: no more. */
const struct fuse_dirent *k_next_entry(const struct k_reply *reply, size_t *at);

uint64_t k_send_lookup(uint64_t parent, const char *name);
int k_lookup(uint64_t parent, const char *name, struct fuse_entry_out *ret_entry);
void k_forget(uint64_t node, uint64_t lookups);
int k_getattr(uint64_t node, struct fuse_attr *ret_attr);
int k_setattr(uint64_t node, uint32_t valid, uint64_t size);
uint64_t k_send_readlink(uint64_t node);
/* As open(2) of what has been looked up: after ESTALE it tries once more. */
int k_open(uint64_t node, int flags, struct k_file *ret_file);
/* The same in two steps; with O_DIRECTORY a directory. */
uint64_t k_send_open(uint64_t node, int flags);
int k_opened(uint64_t unique, struct k_file *ret_file);
/* One FUSE_OPEN. */
int k_open_once(uint64_t node, int flags, struct k_file *ret_file);
int k_opendir(uint64_t node, struct k_file *ret_file);
uint64_t k_send_read(const struct k_file *file, uint64_t offset, uint32_t size);
/* By the page cache: sendfile(2), mmap(2). */
uint64_t k_send_readpages(const struct k_file *file, uint64_t offset, uint32_t size);
/* A line: with a newline, if @data has none at its end. */
uint64_t k_send_write(const struct k_file *file, const void *data, size_t size);
uint64_t k_send_pwrite(const struct k_file *file, const void *data, size_t size, uint64_t offset);
uint64_t k_send_readdir(const struct k_file *file, uint64_t offset, uint32_t size);
uint64_t k_send_release(const struct k_file *file);
void k_release(const struct k_file *file);
/* The kernel's caches are dropped: what was looked up, and what is open. */
void k_forget_all(void);
void k_drop_all(void);
void k_interrupt(uint64_t unique);
/* @handle: 0, or what comes back with FUSE_NOTIFY_POLL. */
uint64_t k_send_poll(const struct k_file *file, uint64_t handle);
/* Returns revents. */
unsigned k_poll(const struct k_file *file, uint64_t handle);
bool k_was_woken(uint64_t handle);

#endif
