/*
 * The whole daemon in one test: a fake QEMU, the vm and the session on one loop, and the kernel's side of FUSE played
 * here, in the packets of <linux/fuse.h> over a socket pair.
 *
 * k_… speaks the protocol: a call sends a request, and its reply is waited for (by turning the loop), taken, or
 * asserted not to have come. Each request may be answered once and no answer may come unasked; lookup counts and open
 * files are kept as the kernel keeps them. rig_… does what a shell does: walks, cat, ls, echo. Errors are negative
 * errnos. Whatever is wrong with the protocol fails the test.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "fs/fuse/session.h"
#include "fs/vm/vm.h"
#include "tests/lib/fake_qemu.h"

/* Like ck_assert(), of which libcheck remembers each: too slow for what is done thousands of times. */
#define CHECK(condition)                                                                                             \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        ck_abort_msg("not so: %s", #condition);                                                      \
        } while (0)

#define MS  NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

struct k_reply {
        struct list link;
        uint64_t unique;
        int error; /* 0 or a negative errno */
        size_t size;
        char data[]; /* terminated */
};

struct k_file {
        uint64_t node, fh;
        uint32_t open_flags; /* FOPEN_… */
        int flags;           /* O_… */
};

/* The one daemon of a test. */
struct rig {
        struct qmp_loop *loop;
        struct fake_qemu *fake;
        struct vm *vm;
        struct session *session;
        bool ended; /* the session said that the kernel is gone */

        int fd;
        struct qmp_source source;
        uint64_t unique;
        struct list replies;       /* not yet taken */
        struct k_pending *pending; /* requests without a reply */
        size_t n_pending, pending_size;
        struct k_known { /* what the kernel has in its caches */
                uint64_t node, lookups;
        } * known;
        size_t n_known, known_size;
        struct k_open {
                uint64_t node, fh;
                bool dir;
        } * open;
        size_t n_open, open_size;
        uint64_t *woken; /* the handles of FUSE_NOTIFY_POLL, in order */
        size_t n_woken;
        size_t n_invalidated; /* how often the kernel was told that it has wrong attributes */
        bool no_memory;       /* libfuse may answer ENOMEM to what wants no answer: FORGET, INTERRUPT */

        struct rig_qom *qom;
        size_t n_qom;
        size_t mark; /* of rig_sent() */

        /* who asks: of the next requests */
        uint32_t uid, pid;
        uint64_t owner; /* of writes: the process, to which threads with different pids may belong */
};

extern struct rig rig;

/* A daemon that is connected to a fake QEMU that answers as a plain VM does, INIT done; for checked fixtures. */
void rig_up(void);
/* The same in steps: everything but the connection; options of the vm may be changed before rig_connect(). */
void rig_make(const char *address);
/* The same with other options than the usual ones. */
void rig_make_with(const char *address, const struct vm_options *options);
void rig_connect(void);
void rig_init(void);
/* Closes and forgets all as the kernel does, and checks that nothing is left. All requests must have been answered. */
void rig_forget(void);
/* The same, and ends the daemon. */
void rig_unmake(void);
void rig_down(void);
/* Ends session and vm, in the midst of whatever is under way. */
void rig_end(void);

/* Lets 1 ms pass: everything that can be done was done. */
#define SETTLE() PUMP_FOR(rig.loop, MS)

/* --- the protocol --- */

/* Sends a request with @a and then @b; returns its unique number. */
uint64_t k_send(uint32_t opcode, uint64_t node, const void *a, size_t na, const void *b, size_t nb);
/* Waits for the reply; the caller frees. */
struct k_reply *k_wait(uint64_t unique);
/* Waits, and returns the error alone. */
int k_wait_error(uint64_t unique);
bool k_is_answered(uint64_t unique);
/* How many requests have no answer yet. */
size_t k_n_pending(void);

uint64_t k_send_lookup(uint64_t parent, const char *name);
int k_lookup(uint64_t parent, const char *name, struct fuse_entry_out *ret_entry);
void k_forget(uint64_t node, uint64_t lookups);
int k_getattr(uint64_t node, struct fuse_attr *ret_attr);
int k_setattr(uint64_t node, uint32_t valid, uint64_t size);
uint64_t k_send_readlink(uint64_t node);
/* As open(2) of what has been looked up: after ESTALE it tries once more. */
int k_open(uint64_t node, int flags, struct k_file *ret_file);
/* The same in two steps. */
uint64_t k_send_open(uint64_t node, int flags);
int k_opened(uint64_t unique, uint64_t node, int flags, struct k_file *ret_file);
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
void k_release(const struct k_file *file);
/* The kernel's caches are dropped: what was looked up, and what is open. */
void k_drop_all(void);
void k_interrupt(uint64_t unique);
/* Returns revents; @handle: 0, or what comes back with FUSE_NOTIFY_POLL. */
unsigned k_poll(const struct k_file *file, uint64_t handle);
bool k_was_woken(uint64_t handle);

/* --- as a shell --- */

int rig_walk(const char *path, struct fuse_entry_out *ret_entry);
int rig_open(const char *path, int flags, struct k_file *ret_file);
struct k_file rig_must_open(const char *path, int flags);
/* And reads the content that comes with the opening, so that the next read at the start asks again; as rig_sent(). */
struct k_file rig_must_open_and_read(const char *path, int flags);
int rig_read_all(const struct k_file *file, char **ret_text, size_t *ret_size);
int rig_cat(const char *path, char **ret_text);
/* Names in the order they come, with a blank between. */
int rig_ls(const char *path, char **ret_names);
/* What the table of the root has, as rig_ls() has it; @is_there: or only these rows. The caller frees. */
char *rig_root(bool (*is_there)(const struct row *row));
int rig_readlink(const char *path, char **ret_target);
int rig_echo(const char *path, const char *text);

/* --- what QEMU knows --- */

/* qom-list of the path, and qom-get of its property (@property not NULL); @json NULL: DeviceNotFound, which is also what
 * unknown paths get. Known paths with unknown properties get the error of QEMU. */
void rig_qom(const char *path, const char *property, const char *json);
void rig_qom_error(const char *path, const char *property, const char *error_class, const char *desc);
void rig_event(const char *name, const char *data_format, ...) __attribute__((__format__(__printf__, 2, 3)));
void rig_deleted(const char *path);
/* Names of the commands that arrived since the last call, with a blank between; the caller frees. */
char *rig_sent(void);
/* The last command of that name; fails if there was none. */
const struct fake_command *rig_last(const char *name);
/* How often it arrived. */
size_t rig_count(const char *name);
/* A query-block entry for a legacy drive: {"device", "qdev", "inserted": {"node-name", "image": …}}; valid until the next
 * sixteen calls. @qdev may be NULL. */
const char *rig_drive(const char *device, const char *qdev);
/* "[a,b]" of up to four; the same. */
const char *rig_list(const char *a, const char *b, const char *c);

#define ASSERT_CAT(path, expected)                                                                                   \
        do {                                                                                                         \
                char *_cat = NULL;                                                                                   \
                int _cat_r = rig_cat((path), &_cat);                                                                 \
                                                                                                                     \
                ck_assert_msg(_cat_r == 0, "%s: %s", (path), strerror(-_cat_r));                                     \
                ck_assert_str_eq(_cat, (expected));                                                                  \
                free(_cat);                                                                                          \
        } while (0)

#define ASSERT_CAT_CONTAINS(path, expected)                                                                          \
        do {                                                                                                         \
                char *_cat = NULL;                                                                                   \
                int _cat_r = rig_cat((path), &_cat);                                                                 \
                                                                                                                     \
                ck_assert_msg(_cat_r == 0, "%s: %s", (path), strerror(-_cat_r));                                     \
                ck_assert_contains(_cat, (expected));                                                                \
                free(_cat);                                                                                          \
        } while (0)

/* The first line alone, as of `remove`. */
#define ASSERT_CAT_LINE(path, expected)                                                                              \
        do {                                                                                                         \
                char *_cat = NULL;                                                                                   \
                int _cat_r = rig_cat((path), &_cat);                                                                 \
                                                                                                                     \
                ck_assert_msg(_cat_r == 0, "%s: %s", (path), strerror(-_cat_r));                                     \
                _cat[strcspn(_cat, "\n") + 1] = '\0';                                                                \
                ck_assert_str_eq(_cat, (expected));                                                                  \
                free(_cat);                                                                                          \
        } while (0)

#define ASSERT_LS(path, expected)                                                                                    \
        do {                                                                                                         \
                char *_ls = NULL;                                                                                    \
                int _ls_r = rig_ls((path), &_ls);                                                                    \
                                                                                                                     \
                ck_assert_msg(_ls_r == 0, "%s: %s", (path), strerror(-_ls_r));                                       \
                ck_assert_str_eq(_ls, (expected));                                                                   \
                free(_ls);                                                                                           \
        } while (0)

/* The root lists all rows of its table, or those. */
#define ASSERT_LS_ROOT(is_there)                                                                                     \
        do {                                                                                                         \
                char *_root = rig_root(is_there);                                                                    \
                                                                                                                     \
                ASSERT_LS("/", _root);                                                                               \
                free(_root);                                                                                         \
        } while (0)

#define ASSERT_SENT(expected)                                                                                        \
        do {                                                                                                         \
                char *_sent = rig_sent();                                                                            \
                                                                                                                     \
                ck_assert_str_eq(_sent, (expected));                                                                 \
                free(_sent);                                                                                         \
        } while (0)

/* @call gives 0 or a negative errno; @error: a positive one or 0. */
#define ASSERT_ERROR(call, error)                                                                                    \
        do {                                                                                                         \
                int _error = (call), _wanted = (error);                                                              \
                                                                                                                     \
                ck_assert_msg(_error == -_wanted, "%s: %s, not %s", #call,                                           \
                              _error > 0 ? "positive" : strerrorname_np(-_error), strerrorname_np(_wanted));         \
        } while (0)
#define ASSERT_OK(call) ASSERT_ERROR(call, 0)

/* The reply has come or comes, is no error, and its first line is this. */
#define ASSERT_REPLY_LINE(unique, expected)                                                                          \
        do {                                                                                                         \
                struct k_reply *_reply = k_wait(unique);                                                             \
                                                                                                                     \
                ck_assert_msg(_reply->error == 0, "%s", strerrorname_np(-_reply->error));                            \
                if (strchr(_reply->data, '\n'))                                                                      \
                        strchr(_reply->data, '\n')[1] = '\0';                                                        \
                ck_assert_str_eq(_reply->data, (expected));                                                          \
                free(_reply);                                                                                        \
        } while (0)

/* The reply has come or comes, is no error, and is this text. */
#define ASSERT_REPLY(unique, expected)                                                                               \
        do {                                                                                                         \
                struct k_reply *_reply = k_wait(unique);                                                             \
                                                                                                                     \
                ck_assert_msg(_reply->error == 0, "%s", strerrorname_np(-_reply->error));                            \
                ck_assert_str_eq(_reply->data, (expected));                                                          \
                free(_reply);                                                                                        \
        } while (0)

#endif
