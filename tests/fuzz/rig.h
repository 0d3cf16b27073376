/*
 * The whole daemon in a fuzz target: vm and session on one loop, the kernel's side of FUSE and QEMU's side of QMP played
 * over two socket pairs. The kernel's side is a kernel's: what it sends is well-formed. QEMU's may send anything.
 *
 * What must always hold is checked here: each request that wants a reply gets one and no second, a reply is what its
 * request may be answered with, links stay within the mount, and what goes to QEMU is whole commands.
 *
 * Time is the virtual clock's.
 */
#ifndef RIG_H
#define RIG_H

#include <linux/fuse.h>

#include "fs/fuse/session.h"
#include "fs/vm/vm.h"
#include "fuzz.h"

#define MS  NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

/* What all requests but those that say otherwise are answered within. */
#define RIG_LIMIT (100 * SEC)

/* Of requests under way, nodes and files: what the sockets hold, and what is quick. */
#define RIG_REQUESTS_MAX 32
#define RIG_NODES_MAX    256
#define RIG_FILES_MAX    16
#define RIG_READ_MAX     65536

struct rig_node {
        uint64_t id, lookups;
        uint32_t mode;
        unsigned depth; /* of directories from the mount's root to it: 0 is the root */
        bool is_stream; /* opened for reading and writing, it waits for ever */
};

struct rig_file {
        uint64_t handle;
        struct rig_node node; /* as it was */
        int flags;
        bool dir;
};

struct rig_request {
        uint64_t unique;
        uint32_t opcode;
        struct rig_node node;
        size_t size;    /* of a read, or of what is written */
        bool is_stream; /* of LOOKUP: that is what is looked for */
        int flags;
        bool patient; /* it may wait for longer than RIG_LIMIT */
        bool kept;    /* somebody waits for the reply */
};

struct rig_reply {
        uint64_t unique;
        int error; /* 0 or a negative errno */
        char *data;
        size_t size;
};

/* A command that QEMU has not answered. */
struct rig_command {
        char *key;  /* NAME, or NAME:PATH, or NAME:PATH:PROPERTY */
        char *text; /* all of it */
        char *id;   /* as JSON, or NULL */
};

struct rig_answer {
        char *key, *text; /* text: of the return value, or "!CLASS|DESC" */
};

struct rig {
        struct qmp_loop *loop;
        struct vm *vm;
        struct session *session;
        bool ended;

        int kernel_fd;
        struct qmp_source kernel;
        uint64_t unique;
        struct rig_node nodes[RIG_NODES_MAX];
        size_t n_nodes;
        struct rig_file files[RIG_FILES_MAX];
        size_t n_files;
        struct rig_request requests[2 * RIG_REQUESTS_MAX + 4];
        size_t n_requests;
        struct rig_reply reply; /* of the request that is kept */
        bool has_reply;

        int qemu_fd; /* -1: not connected */
        struct qmp_source qemu;
        char *received, *out;
        size_t n_received, n_out;
        struct qmp_task saying;
        struct rig_command *commands, *oob_commands;
        size_t n_commands, n_oob_commands;
        struct rig_answer *answers;
        size_t n_answers;
        bool manual;  /* nothing is answered by itself */
        size_t chunk; /* bytes at a time of what QEMU says; 0: all */
        /* told of each command before it is answered; true: it is taken care of */
        bool (*on_command)(void *userdata, const struct rig_command *command);
        void *userdata;
};

extern struct rig rig;

/* Once in a process. */
void rig_init(void);

/* A daemon, not connected, INIT done. */
void rig_new(void);
/* Lets all time pass that a request may take, interrupts the patient ones, closes, forgets, and ends the daemon. Nothing may be
 * left. */
void rig_free(void);

/* The kernel goes away with all that it has open and is waiting for. */
void rig_unmount(void);

/* All is done that can be done without time passing. */
void rig_settle(void);
/* So does that, for so long. */
void rig_pass(uint64_t ns);

/* --- the kernel --- */

/* 0: too many are under way. */
uint64_t rig_send(uint32_t opcode, const struct rig_node *node, const void *a, size_t na, const void *b, size_t nb);
/* Waits for the reply, which is rig.reply. Its error. -ETIME: none came without time passing, or it wasn't sent. */
int rig_call(uint32_t opcode, const struct rig_node *node, const void *a, size_t na, const void *b, size_t nb);

/* 0, a negative errno, or -ETIME. The result is borrowed until the next request. */
int rig_walk(const char *path, struct rig_node **ret_node);
int rig_lookup(const struct rig_node *dir, const char *name, struct rig_node **ret_node);
int rig_open(const struct rig_node *node, int flags, struct rig_file **ret_file);
int rig_open_path(const char *path, int flags, struct rig_file **ret_file);
/* The reply is rig.reply. */
int rig_read(const struct rig_file *file, uint64_t offset, uint32_t size);
int rig_write(const struct rig_file *file, uint64_t offset, const char *data, size_t size);
/* All of it; the caller frees. */
int rig_read_all(const struct rig_file *file, char **ret_text, size_t *ret_size);
int rig_cat(const char *path, char **ret_text, size_t *ret_size);
int rig_getattr(const struct rig_node *node, struct fuse_attr *ret_attr);

uint64_t rig_send_lookup(const struct rig_node *dir, const char *name);
uint64_t rig_send_open(const struct rig_node *node, int flags);
uint64_t rig_send_read(const struct rig_file *file, uint64_t offset, uint32_t size);
uint64_t rig_send_write(const struct rig_file *file, uint64_t offset, const char *data, size_t size);
void rig_release(struct rig_file *file);
void rig_interrupt(uint64_t unique);
void rig_forget(struct rig_node *node, uint64_t lookups);
/* The next name of a READDIR reply, *at from 0 on; NULL: no more. */
const struct fuse_dirent *rig_next_entry(const struct rig_reply *reply, size_t *at);

/* --- QEMU --- */

/* Connects and greets; @greeting NULL: as QEMU 7.2 does. Nothing if there is a connection. */
void rig_connect(const char *greeting);
#define RIG_GREETING     "{\"QMP\": {\"version\": " RIG_VERSION ", \"capabilities\": []}}\r\n"
#define RIG_GREETING_OOB "{\"QMP\": {\"version\": " RIG_VERSION ", \"capabilities\": [\"oob\"]}}\r\n"
#define RIG_VERSION      "{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"Debian 1:7.2\"}"
void rig_disconnect(void);

/* Any bytes. */
void rig_say(const char *bytes, size_t size);
/* The reply to the oldest command: what the table has, or @text as the table would have it. False: there is no command. */
bool rig_answer(const char *text);
bool rig_answer_oob(const char *text);
/* What the table says from now on. */
void rig_on(const char *key, const char *text);
/* A plain VM. */
void rig_plain_vm(void);

#endif
