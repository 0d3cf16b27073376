/*
 * Shared by client.c (the connection) and commands.c (the commands on it); not included elsewhere.
 */
#ifndef QMP_CLIENT_INTERNAL_H
#define QMP_CLIENT_INTERNAL_H

#include "qmp/client.h"
#include "qmp/framer.h"
#include "qmp/identity.h"
#include "qmp/message.h"

struct qmp_command {
        struct list link; /* in queue, wire or oob */
        struct qmp_client *client;
        char *name;
        char *text;
        size_t size;
        char id[24];     /* out of band only */
        qmp_reply_fn fn; /* NULL after the callback: only the place in the order remains */
        void *userdata;
        struct qmp_timer timer;
        uint64_t limit_ns;
        uint64_t sent_at;    /* 0: not yet */
        uint64_t sent_after; /* bytes received by then: the reply is not among them */
        bool overdue;
        bool effect, lasting; /* see struct qmp_send_options */
        bool is_probe;
};

struct qmp_client {
        struct qmp_loop *loop;
        struct qmp_address address;
        qmp_connect_fn connect; /* NULL: qmp_address_connect() */
        void *connect_userdata;
        const char *connect_name;
        uint64_t handshake_ns;
        void (*changed)(void *userdata);
        void (*trace)(void *userdata, bool sent, const char *text);
        void *userdata;

        enum qmp_client_state state;
        bool once; /* never reconnect: given a descriptor, or the connecting process has exited */
        size_t address_index;
        struct qmp_source source;
        bool connecting;        /* connect(2) is under way */
        uid_t peer, first_peer; /* users serving the unix socket: now, on the first connection */
        bool had_peer;
        uid_t user; /* our effective user */
        bool identify;
        enum { NOT_IDENTIFYING, AWAITING_UUID, AWAITING_NAME } identifying; /* replies are due */
        struct qmp_identity identity,
                first_identity;        /* of the VM now, and of the one that was up for the first time … */
        bool had_identity;             /* … if one was */
        bool wants_room;               /* EPOLLOUT is being watched */
        bool starved;                  /* EPOLLIN is not watched: out of memory for input, to be retried … */
        unsigned n_starved;            /* … (attempts so far) … */
        struct qmp_timer memory_timer; /* … when this fires */
        struct qmp_framer framer;
        uint64_t n_received;  /* bytes, on this connection */
        struct qmp_task more; /* handles received messages that were left for the next turn */
        char *out;
        size_t out_size, out_start, out_end;
        struct qmp_timer handshake_timer, retry_timer, stall_timer;
        uint64_t backoff_ns, up_at;

        bool oob;
        unsigned oob_serial;
        bool alive, probed, stalled;
        unsigned in_vain; /* queries since the last reply, while QEMU was overdue */
        struct list queue, wire, oob_wire;
        unsigned n_wire, n_oob;
        uint64_t last_reply_at;

        struct list subscriptions;
        char *failure;
        int error;
        char *version;
        char *shutdown_reason;
        int64_t since;
};

/* client.c: runs the "changed" callback. */
void qmp_client_changed(struct qmp_client *client);

/* Appends bytes to the output buffer. Returns 0 or -ENOMEM. */
int qmp_client_put(struct qmp_client *client, const char *text, size_t size);
/* Schedules another attempt at work that ran out of memory. */
void qmp_client_try_later(struct qmp_client *client);
/* Updates the events for which the socket is watched. */
void qmp_client_watch(struct qmp_client *client);
/* Sends as much output as the socket accepts; the rest follows on EPOLLOUT. */
void qmp_client_flush(struct qmp_client *client);
/* Moves commands from the queue to the wire as far as the window allows. */
void qmp_client_pump(struct qmp_client *client);
/* Ends the command that the reply belongs to. Returns false if there is none. */
bool qmp_client_take_reply(struct qmp_client *client, const struct qmp_message *message);
/* Ends all commands of a list because the connection has ended. */
void qmp_client_end_commands(struct qmp_client *client, struct list *commands);
/* Callback of the stall timer. */
void qmp_client_stall_tick(struct qmp_timer *timer);

#endif
