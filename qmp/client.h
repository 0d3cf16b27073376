/*
 * A QMP client over one socket: connects, negotiates, matches replies, delivers events, reconnects.
 *
 * In-band replies come in the order of their commands, so in-band commands carry no "id": QEMU spends 4 µs on each byte
 * that it reads. Few commands are on the wire at a time (QEMU stops reading, out-of-band commands included, when 8
 * wait); the others wait here, where they can still be taken back. A command that ran into its time limit or was
 * cancelled after it had been sent keeps its place in the order: its late reply is consumed and dropped.
 *
 * Every command that qmp_client_send() accepted ends in exactly one callback, never before that call returned: a
 * result from QEMU, the time limit, cancellation or the end of the connection. Callbacks and event handlers may send
 * and cancel commands and subscribe; they must not free the client.
 */
#ifndef QMP_CLIENT_H
#define QMP_CLIENT_H

#include "address.h"
#include "loop.h"

struct qmp_client;
struct qmp_command;

enum qmp_outcome {
        QMP_OK,           /* QEMU returned a value */
        QMP_ERROR,        /* QEMU returned an error */
        QMP_TIMEOUT,      /* no answer within the command's limit; QEMU may still carry it out */
        QMP_CANCELLED,    /* by qmp_command_cancel() */
        QMP_DISCONNECTED, /* the connection ended before the reply; QEMU may have carried it out */
};

struct qmp_result {
        enum qmp_outcome outcome;
        int error;                 /* 0 (QMP_OK) or a negative errno */
        bool sent;                 /* false: QEMU has not seen it and never will */
        struct json_object *value; /* QMP_OK: borrowed during the callback */
        const char *error_class;   /* QMP_ERROR: borrowed; else NULL */
        const char *text;          /* not QMP_OK: QEMU's description or our words; borrowed */
        uint64_t busy_ns;          /* QMP_OK, QMP_ERROR: how long QEMU was at it, others' commands not counted */
};

typedef void (*qmp_reply_fn)(void *userdata, const struct qmp_result *result);

struct qmp_event {
        const char *name;
        struct json_object *data;    /* an object, or NULL */
        struct json_object *message; /* the whole event, with its timestamp */
};

/* Embedded in the subscriber. The handler may remove its own subscription, no other. Everything is borrowed. */
struct qmp_subscription {
        struct list link;
        void (*handle)(struct qmp_subscription *subscription, const struct qmp_event *event);
};

enum qmp_client_state {
        QMP_CLIENT_DOWN,        /* waiting for the next try */
        QMP_CLIENT_CONNECTING,  /* tcp: connect(2) under way; then until the greeting */
        QMP_CLIENT_NEGOTIATING, /* greeting received, qmp_capabilities sent; then asked which VM it is */
        QMP_CLIENT_UP,
};

struct qmp_client_config {
        const char *address;   /* see address.h; copied */
        uint64_t handshake_ns; /* how long to wait for greeting and negotiation before it counts as a failure */
        /*
         * Whether each connection begins with query-uuid and query-name, before it is up, and must be to the VM that was
         * up for the first time. Another VM gets no other command, its events are dropped, and the connection is closed;
         * the next try may find the first one again. VMs with neither UUID nor name count as the same.
         */
        bool identify;
        void (*changed)(void *userdata); /* the state, the failure or the stall changed; may be NULL */
        /* each message as it goes out or has come in, for debugging; may be NULL */
        void (*trace)(void *userdata, bool sent, const char *text);
        void *userdata;
};

struct qmp_client_info {
        enum qmp_client_state state;
        const char *failure;    /* not UP: why, in words for users; NULL before the first attempt ended */
        int error;              /* not UP: the failure's negative errno */
        const char *version;    /* UP: "7.2.22 (Debian …)" */
        int64_t since;          /* UP: seconds since the epoch (CLOCK_REALTIME) */
        uint64_t next_try_ns;   /* DOWN: time until the next try; 0: none is planned, or it is due */
        const char *stalled_in; /* UP: the command that QEMU has not answered for over a second, else NULL */
        uint64_t stalled_ns;    /* for how long */
        bool can_probe;         /* out-of-band execution is on */
        bool probed;            /* stalled: whether QEMU still answers out of band (query-yank) has been found out */
        bool alive;             /* and it does: only its main loop is stuck */
};

/* 0, or as qmp_address_parse() fails. It does not connect yet. */
int qmp_client_new(struct qmp_loop *loop, const struct qmp_client_config *config, struct qmp_client **ret_client);
/* Ends all commands (QMP_DISCONNECTED) and the connection. Always returns NULL. */
struct qmp_client *qmp_client_free(struct qmp_client *client);

/*
 * Connects now, and again whenever the connection ends, 0.1 s to 5 s apart. A unix socket must be served then by the user
 * who served it when it was up for the first time, by root or by our own user: whoever can write to its directory could
 * put one of his own there as soon as QEMU has ended.
 */
void qmp_client_start(struct qmp_client *client);

/*
 * As qmp_address_connect(). Also -ETIME: who makes connections gives no answer; -EOWNERDEAD: it is gone, and no further attempt
 * is made.
 */
typedef int (*qmp_connect_fn)(void *userdata, size_t index, int *ret_fd, bool *ret_connecting);
/* From now on connections are made by @fn, for a process that may not do so itself; by @who, for messages: static. */
void qmp_client_connect_by(struct qmp_client *client, qmp_connect_fn fn, void *userdata, const char *who);
/* What the configuration's address was found to be; the client's. */
const struct qmp_address *qmp_client_get_address(const struct qmp_client *client);

/* Uses a connected stream socket, which becomes the client's, instead of connecting; no reconnect. 0 or negative errno. */
int qmp_client_start_fd(struct qmp_client *client, int fd);

/* Everything borrowed until the loop turns. */
void qmp_client_get_info(struct qmp_client *client, struct qmp_client_info *ret_info);

struct qmp_send_options {
        /* out of band; from send -EOPNOTSUPP where that was not negotiated, -EBUSY where many are unanswered already */
        bool oob;
        bool prefer_oob; /* out of band where that works, else in band */
        /*
         * It changes something. While QEMU has left another command unanswered beyond its limit, such a one stays in the
         * queue, for its own limit in full, so that one that failed by its limit has really not been carried out.
         */
        bool effect;
        bool patient; /* a query that keeps its limit in full, too, while QEMU is stalled */
};

/*
 * Queues a command. @arguments stays the caller's and may be NULL; @timeout_ns is the time until QMP_TIMEOUT, queueing
 * included (while QEMU has left a command unanswered beyond its own limit, qmp_client_patience()). @options may be
 * NULL. *ret_command (which may be NULL) is valid until the callback.
 * 0, or without any callback: -EHOSTDOWN (not connected), -EOPNOTSUPP, -EBUSY, -ENOMEM.
 */
int qmp_client_send(struct qmp_client *client, const char *name, struct json_object *arguments, uint64_t timeout_ns,
                    const struct qmp_send_options *options, qmp_reply_fn fn, void *userdata,
                    struct qmp_command **ret_command);

/* Whether QEMU has left a command unanswered beyond its limit. */
bool qmp_client_is_overdue(struct qmp_client *client);
/*
 * How long a query may take that is not patient: @timeout_ns, or, while QEMU is overdue, a fiftieth of it, and less and less
 * the more have been asked in vain since its last answer, so that a walk over thousands of files ends.
 */
uint64_t qmp_client_patience(struct qmp_client *client, uint64_t timeout_ns);

/* Calls the callback (QMP_CANCELLED) before it returns. A command that was sent is still carried out by QEMU. */
void qmp_command_cancel(struct qmp_command *command);
/* Whether any byte of it was handed to the socket: a command that was not can still be shared by a later reader. */
bool qmp_command_is_sent(const struct qmp_command *command);

void qmp_client_subscribe(struct qmp_client *client, struct qmp_subscription *subscription);
void qmp_subscription_remove(struct qmp_subscription *subscription);

#endif
