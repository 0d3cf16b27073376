/*
 * The whole daemon in one test or fuzz target: a fake QEMU (fake_qemu.h), the vm and the session on one loop, and the
 * kernel's side of FUSE (kernel.h). k_… speaks the protocol; rig_… does what a shell does: walks, cat, ls, echo. Errors are
 * negative errnos.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "fs/fuse/inode.h"
#include "fs/fuse/session.h"
#include "fs/kinds/kinds.h"
#include "fs/vm/vm.h"
#include "tests/lib/fake_qemu.h"
#include "tests/lib/kernel.h"

/* The one daemon of a test. */
struct rig {
        struct qmp_loop *loop;
        struct context context;
        struct fake_qemu *fake;
        struct vm *vm;
        struct session *session;
        size_t mark; /* of rig_sent() */
};

extern struct rig rig;

/* What the next daemon serves, if not tree_root as that of rig.vm. */
struct rig_mount {
        const struct row *root; /* NULL: tree_root */
        bool above_vms;         /* the root has no VM */
};

extern struct rig_mount rig_mount;

/* A daemon that is connected to a fake QEMU that answers as a plain VM does, INIT done; for checked fixtures. */
void rig_up(void);
/* The same in steps: everything but the connection; options of the vm may be changed before rig_connect(). */
void rig_make(const char *address);
/* The same with other options than the usual ones. */
void rig_make_with(const char *address, const struct peer_options *options);
void rig_connect(void);
/* Closes and forgets all as the kernel does, and checks that nothing is left. All requests must have been answered. */
void rig_forget(void);
/* The same, and ends the daemon. */
void rig_unmake(void);
void rig_down(void);
/* Whether the bus has no subscribers but the vm's modules and operations without waiters. */
bool rig_is_deserted(void);
/* Ends session and vm, in the midst of whatever is under way. */
void rig_end(void);

/* Lets 1 ms pass: everything that can be done was done. */
#define SETTLE() PUMP_FOR(rig.loop, MS)

/* --- as a shell --- */

int rig_walk(const char *path, struct fuse_entry_out *ret_entry);
int rig_open(const char *path, int flags, struct k_file *ret_file);
struct k_file rig_must_open(const char *path, int flags);
/* And reads the content that comes with the opening, so that the next read at the start asks again; as rig_sent(). */
struct k_file rig_must_open_and_read(const char *path, int flags);
int rig_read_all(const struct k_file *file, char **ret_text, size_t *ret_size);
int rig_cat(const char *path, char **ret_text);
/* With the size; what is read may hold NUL. */
int rig_cat_all(const char *path, char **ret_text, size_t *ret_size);
/* Names in the order they come, with a blank between. */
int rig_ls(const char *path, char **ret_names);
/* What the table of the root has, as rig_ls() has it; @is_there: or only these rows. The caller frees. */
char *rig_root(bool (*is_there)(const struct row *row));
int rig_readlink(const char *path, char **ret_target);
int rig_echo(const char *path, const char *text);

/* --- what QEMU knows (plain_vm.c) --- */

/* A VM of two drives, two vCPUs and a DIMM; rig_make() has done so. */
void rig_plain_vm(void);
/*
 * qom-list of the path, or qom-get of its property (@property not NULL); @json NULL: unknown from now on. Unknown paths get
 * DeviceNotFound, unknown properties of known paths GenericError.
 */
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
                CHECK_MSG(_cat_r == 0, "%s: %s", (path), strerror(-_cat_r));                                         \
                CHECK_STR(_cat, (expected));                                                                         \
                free(_cat);                                                                                          \
        } while (0)

#define ASSERT_CAT_CONTAINS(path, expected)                                                                          \
        do {                                                                                                         \
                char *_cat = NULL;                                                                                   \
                int _cat_r = rig_cat((path), &_cat);                                                                 \
                                                                                                                     \
                CHECK_MSG(_cat_r == 0, "%s: %s", (path), strerror(-_cat_r));                                         \
                CHECK_MSG(strstr(_cat, (expected)), "'%s' is not in '%s'", (expected), _cat);                        \
                free(_cat);                                                                                          \
        } while (0)

/* The first line alone, as of `remove`. */
#define ASSERT_CAT_LINE(path, expected)                                                                              \
        do {                                                                                                         \
                char *_cat = NULL;                                                                                   \
                int _cat_r = rig_cat((path), &_cat);                                                                 \
                                                                                                                     \
                CHECK_MSG(_cat_r == 0, "%s: %s", (path), strerror(-_cat_r));                                         \
                _cat[strcspn(_cat, "\n") + 1] = '\0';                                                                \
                CHECK_STR(_cat, (expected));                                                                         \
                free(_cat);                                                                                          \
        } while (0)

#define ASSERT_LS(path, expected)                                                                                    \
        do {                                                                                                         \
                char *_ls = NULL;                                                                                    \
                int _ls_r = rig_ls((path), &_ls);                                                                    \
                                                                                                                     \
                CHECK_MSG(_ls_r == 0, "%s: %s", (path), strerror(-_ls_r));                                           \
                CHECK_STR(_ls, (expected));                                                                          \
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
                CHECK_STR(_sent, (expected));                                                                        \
                free(_sent);                                                                                         \
        } while (0)

/* @call gives 0 or a negative errno; @error: a positive one or 0. */
#define ASSERT_ERROR(call, error)                                                                                    \
        do {                                                                                                         \
                int _error = (call), _wanted = (error);                                                              \
                                                                                                                     \
                CHECK_MSG(_error == -_wanted, "%s: %s, not %s", #call,                                               \
                          _error > 0 ? "positive" : strerrorname_np(-_error), strerrorname_np(_wanted));             \
        } while (0)
#define ASSERT_OK(call) ASSERT_ERROR(call, 0)

/* The reply has come or comes, is no error, and its first line is this. */
#define ASSERT_REPLY_LINE(unique, expected)                                                                          \
        do {                                                                                                         \
                struct k_reply *_reply = k_wait(unique);                                                             \
                                                                                                                     \
                CHECK_MSG(_reply->error == 0, "%s", strerrorname_np(-_reply->error));                                \
                if (strchr(_reply->data, '\n'))                                                                      \
                        strchr(_reply->data, '\n')[1] = '\0';                                                        \
                CHECK_STR(_reply->data, (expected));                                                                 \
                free(_reply);                                                                                        \
        } while (0)

/* The reply has come or comes, is no error, and is this text. */
#define ASSERT_REPLY(unique, expected)                                                                               \
        do {                                                                                                         \
                struct k_reply *_reply = k_wait(unique);                                                             \
                                                                                                                     \
                CHECK_MSG(_reply->error == 0, "%s", strerrorname_np(-_reply->error));                                \
                CHECK_STR(_reply->data, (expected));                                                                 \
                free(_reply);                                                                                        \
        } while (0)

/* As at the end of the connection. */
void rig_forget_introspection(void);
void rig_forget_asked(void);

#endif
