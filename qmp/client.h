/*
 * A QMP client over one socket: connects, negotiates, matches replies, delivers events, reconnects.
 *
 * In-band replies arrive in the order of their commands, so in-band commands carry no "id": QEMU spends 4 µs on each
 * byte that it reads. Only a few commands are on the wire at a time, since QEMU stops reading, out-of-band commands
 * included, when 8 are queued. The others wait here, where they can still be cancelled. A command that exceeded its
 * time limit or was cancelled after it had been sent keeps its place in the order: its late reply is consumed and
 * dropped. If the command has side effects, subscribers are notified of the reply.
 *
 * Every command that qmp_client_send() accepts ends in exactly one callback, which never runs before that call
 * returns: with a result from QEMU, by the time limit, by cancellation or by the end of the connection. Callbacks and
 * event handlers may send and cancel commands and subscribe; they must not free the client.
 */
#ifndef QMP_CLIENT_H
#define QMP_CLIENT_H

#include "qmp/address.h"
#include "qmp/loop.h"

/*
 * Maximum of unanswered out-of-band commands, more than can have a waiter. A sent command keeps its place until its
 * reply.
 */
#define QMP_OOB_MAX 64

struct qmp_client;
struct qmp_command;

enum qmp_outcome {
        QMP_OK,           /* QEMU returned a value */
        QMP_ERROR,        /* QEMU returned an error */
        QMP_TIMEOUT,      /* no reply within the time limit; QEMU may still carry out the command */
        QMP_CANCELLED,    /* by qmp_command_cancel() */
        QMP_DISCONNECTED, /* the connection ended before the reply; QEMU may have carried out the command */
};

struct qmp_result {
        enum qmp_outcome outcome;
        int error;                 /* 0 (QMP_OK) or a negative errno */
        bool sent;                 /* false: QEMU has not seen the command and never will */
        struct json_object *value; /* QMP_OK: borrowed during the callback */
        const char *error_class;   /* QMP_ERROR: borrowed; else NULL */
        const char *text;          /* not QMP_OK: QEMU's description or our message; borrowed */
        uint64_t memory;           /* QMP_OK: the memory of the value as json-c has it, estimated */
        uint64_t busy_ns; /* QMP_OK, QMP_ERROR: how long QEMU worked on it, without the time for earlier commands */
};

typedef void (*qmp_reply_fn)(void *userdata, const struct qmp_result *result);

struct qmp_event {
        const char *name;
        struct json_object *data;    /* an object, or NULL */
        struct json_object *message; /* the whole event, with its timestamp */
};

/*
 * Embedded in the subscriber. The handlers may remove their own subscription, but no other. Their arguments are
 * borrowed.
 */
struct qmp_subscription {
        struct list link;
        void (*handle)(struct qmp_subscription *subscription, const struct qmp_event *event);
        /* QEMU has replied to a command with side effects that had ended without its reply; may be NULL */
        void (*late)(struct qmp_subscription *subscription, const char *command);
};

enum qmp_client_state {
        QMP_CLIENT_DOWN,        /* waiting for the next try */
        QMP_CLIENT_CONNECTING,  /* tcp: connect(2) is in progress; then waiting for the greeting */
        QMP_CLIENT_NEGOTIATING, /* greeting received, qmp_capabilities sent; then asked which VM it is */
        QMP_CLIENT_UP,
};

struct qmp_client_config {
        const char *address;   /* see address.h; copied */
        uint64_t handshake_ns; /* time limit for the greeting, and again for the negotiation */
        /*
         * Whether each connection begins with query-uuid and query-name, before it is up, and must be to the VM that
         * was up for the first time. Another VM gets no other command, its events are dropped, and the connection is
         * closed; the next try may find the first one again. VMs with neither UUID nor name count as the same.
         */
        bool identify;
        void (*changed)(void *userdata); /* the state, the failure or the stall changed; may be NULL */
        /* called for each message that is sent or received, for debugging; may be NULL */
        void (*trace)(void *userdata, bool sent, const char *text);
        void *userdata;
};

struct qmp_client_info {
        enum qmp_client_state state;
        const char *failure;    /* not UP: the reason, for users; NULL until the first attempt has ended */
        int error;              /* not UP: the failure's negative errno */
        const char *version;    /* UP: "7.2.22 (Debian …)" */
        int64_t since;          /* UP: seconds since the epoch (CLOCK_REALTIME) */
        uint64_t next_try_ns;   /* DOWN: time until the next attempt; 0: none is planned, or it is due */
        const char *stalled_in; /* UP: the command that QEMU has not answered for more than a second, else NULL */
        uint64_t stalled_ns;    /* the time that it has been unanswered */
        bool can_probe;         /* out-of-band execution is on */
        unsigned oob_room;      /* UP: so many commands can be sent out of band before one is answered */
        bool probed;            /* stalled: an out-of-band command (query-yank) has been answered or timed out */
        bool alive;             /* stalled: it was answered, so only QEMU's main loop is stuck */
};

/* Returns 0 or an error of qmp_address_parse(). Does not connect yet. */
int qmp_client_new(struct qmp_loop *loop, const struct qmp_client_config *config, struct qmp_client **ret_client);
/* Ends all commands (QMP_DISCONNECTED) and the connection. Always returns NULL. */
struct qmp_client *qmp_client_free(struct qmp_client *client);

/*
 * Connects now, and again whenever the connection ends, at intervals of 0.1 s to 5 s. On each later connection, a
 * unix socket must be served by the same user as on the first one, by root or by our own user: any user who can write
 * to its directory could replace the socket as soon as QEMU has exited.
 */
void qmp_client_start(struct qmp_client *client);

/*
 * Makes a connection, with the results of qmp_address_connect(). Also returns -ETIME if the process that makes
 * connections does not answer, and -EOWNERDEAD if it has exited, in which case no further attempt is made.
 */
typedef int (*qmp_connect_fn)(void *userdata, size_t index, int *ret_fd, bool *ret_connecting);
/*
 * Makes all further connections with @fn, for a process that may not connect by itself. @name, a static string, names
 * the process that connects in messages.
 */
void qmp_client_connect_by(struct qmp_client *client, qmp_connect_fn fn, void *userdata, const char *name);
/* The parsed address of the configuration. Borrowed. */
const struct qmp_address *qmp_client_get_address(const struct qmp_client *client);

/*
 * Uses a connected stream socket, of which the client takes ownership. Never reconnects. Returns 0 or a negative
 * errno.
 */
int qmp_client_start_fd(struct qmp_client *client, int fd);

/* The strings in *ret_info are borrowed until the next turn of the loop. */
void qmp_client_get_info(struct qmp_client *client, struct qmp_client_info *ret_info);

struct qmp_send_options {
        /* out of band; qmp_client_send() returns -EOPNOTSUPP if not negotiated, -EBUSY if too many are unanswered */
        bool oob;
        bool prefer_oob; /* out of band if possible, else in band */
        /*
         * The command has side effects. While another command is unanswered beyond its time limit, it stays in the
         * queue for its own full limit, so that if it times out there it has not been carried out.
         */
        bool effect;
        bool patient; /* a query that keeps its full time limit while QEMU is stalled */
        /*
         * Once it was sent, there is no QMP_TIMEOUT: the callback comes with QEMU's reply, however late, or with the
         * end of the connection. QEMU is overdue nevertheless.
         */
        bool lasting;
};

/*
 * Queues a command. @arguments may be NULL and remains the caller's. @timeout_ns is the time until QMP_TIMEOUT,
 * including time in the queue; while another command is unanswered beyond its limit, it is reduced by
 * qmp_client_patience(). @options may be NULL. ret_command may be NULL; *ret_command is valid until the callback.
 * Returns 0, or one of these errors, after which there is no callback: -EHOSTDOWN (not connected), -EOPNOTSUPP,
 * -EBUSY, -ENOMEM.
 */
int qmp_client_send(struct qmp_client *client, const char *name, struct json_object *arguments, uint64_t timeout_ns,
                    const struct qmp_send_options *options, qmp_reply_fn fn, void *userdata,
                    struct qmp_command **ret_command);

/* Whether a command is unanswered beyond its time limit. */
bool qmp_client_is_overdue(struct qmp_client *client);
/*
 * The time limit of a query that is not patient: @timeout_ns, or, while QEMU is overdue, a fiftieth of it. The limit
 * shrinks further with the number of queries since the last reply, so that a walk over thousands of files ends.
 */
uint64_t qmp_client_patience(struct qmp_client *client, uint64_t timeout_ns);

/* Runs the callback (QMP_CANCELLED) before it returns. QEMU still carries out a command that was already sent. */
void qmp_command_cancel(struct qmp_command *command);
/*
 * Whether the command is the one that QEMU may be carrying out: it was sent, and those sent before it are answered.
 * QEMU's dispatcher takes one after the other, so an event that comes earlier is not the command's effect. Out of band:
 * it was sent.
 */
bool qmp_command_is_next(const struct qmp_command *command);
/* Whether the command has left the queue. The reply of one that has not can still be shared with a later reader. */
bool qmp_command_is_sent(const struct qmp_command *command);

void qmp_client_subscribe(struct qmp_client *client, struct qmp_subscription *subscription);
void qmp_subscription_remove(struct qmp_subscription *subscription);

#endif
