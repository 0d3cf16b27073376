/*
 * A QEMU made of a table: the peer of a QMP client, driven by the same loop and thread as the client under test. It
 * greets, negotiates, records what it was sent, and answers as QEMU 7.2 does: in order, with the id of the command if
 * it had one and without if not, one client at a time. It can also be late, slow, stuck, stopped, gone or hostile.
 *
 * What it needs to parse commands is its own, not the code under test. The client's commands must be well-formed JSON, with
 * nothing between them. Whatever goes wrong inside fails the test.
 */
#ifndef TESTS_FAKE_QEMU_H
#define TESTS_FAKE_QEMU_H

#include "tests/lib/pump.h"

#define FAKE_VERSION      "{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"Debian 1:7.2\"}"
#define FAKE_GREETING     "{\"QMP\": {\"version\": " FAKE_VERSION ", \"capabilities\": []}}\r\n"
#define FAKE_GREETING_OOB "{\"QMP\": {\"version\": " FAKE_VERSION ", \"capabilities\": [\"oob\"]}}\r\n"

struct fake_qemu;

/* A command as it arrived. Valid until the fake is freed. */
struct fake_command {
        char *text; /* its bytes, without what may have been between it and the one before */
        char *name;
        char *key; /* NAME, NAME:PATH or NAME:PATH:PROPERTY, by the arguments of these names */
        struct json_object *json, *arguments, *id; /* arguments and id may be NULL */
        bool has_id, oob;
        size_t connection; /* 1, 2, … */
        uint64_t received_at;
};

typedef void (*fake_command_fn)(struct fake_qemu *fake, const struct fake_command *command, void *userdata);

struct fake_qemu {
        struct qmp_loop *loop;

        /* To be set by the test at any time; what concerns the start of a connection, before it. */
        const char *greeting;           /* FAKE_GREETING; NULL: says nothing at all */
        const char *before_greeting;    /* NULL */
        const char *negotiation_error;  /* NULL; refuses qmp_capabilities with this description */
        bool negotiation_silent;        /* never answers qmp_capabilities */
        uint64_t delay_ns;              /* from a command's arrival to its reply */
        size_t read_chunk, write_chunk; /* at most so many bytes per wakeup; 0: no limit */
        bool pretty;                    /* -qmp-pretty */
        long close_after;               /* closes when so many bytes of this connection were written; -1: doesn't */
        size_t close_at_command;        /* closes when it has read its Nth command of this connection, 1 being
                                         * qmp_capabilities, instead of answering; 0: doesn't */
        /* Sees each message, the greeting too, before it leaves; true: it has sent what is to leave instead. NULL: none. */
        bool (*filter)(struct fake_qemu *fake, const char *bytes, size_t size);
        /* Told of each command before all else, even the negotiation; true: it is taken care of. NULL: none. */
        bool (*on_command)(struct fake_qemu *fake, const struct fake_command *command);
        /* Asked before the table for an answer; true: it has given one. NULL: none. */
        bool (*answer)(struct fake_qemu *fake, const struct fake_command *command);
        /* The client's own descriptor, which fake_reset_behind() needs. */
        int (*client_fd)(struct fake_qemu *fake);

        /* What the test may look at. */
        struct fake_command **commands; /* all that ever arrived, qmp_capabilities too */
        size_t n_commands, n_connections;
        size_t n_negotiated; /* commands seen when the last negotiation was complete: the first one after it */
        char *raw;           /* every byte received on this or the last connection, terminated */
        size_t raw_size;
        size_t n_written; /* bytes sent on this or the last connection */
        bool connected, negotiated, oob;

        /* Its own. */
        struct qmp_source source, listener;
        struct qmp_timer timer;
        int fd, listen_fd;
        uint32_t events;
        size_t raw_parsed, n_on_connection;
        bool stuck, stopped;
        struct fake_command **held;
        size_t n_held;
        struct list out, answers;
        struct fake_script *script;
};

struct fake_qemu *fake_new(struct qmp_loop *loop);
struct fake_qemu *fake_free(struct fake_qemu *fake);

/* Connects: returns the descriptor for the client, the caller's. @buffer: of both sockets' sending sides; 0: default */
int fake_connect(struct fake_qemu *fake, int buffer);
/* Listens as -qmp unix:PATH,server=on,wait=off does. Leaves the client to connect. */
void fake_listen(struct fake_qemu *fake, const char *path);
/* The same by TCP, on a free port of 127.0.0.1; returns "tcp:…", the caller's. Wants the real clock. */
char *fake_listen_tcp(struct fake_qemu *fake);
/* Stops listening; the socket file stays as a stale one does. */
void fake_unlisten(struct fake_qemu *fake);

/*
 * What commands are answered from now on. @name: of a command, or the key of some of its uses, see struct fake_command;
 * what has the longest key is used. Without a key, all of its uses. Unknown commands get CommandNotFound.
 */
void fake_on(struct fake_qemu *fake, const char *name, const char *return_text);
void fake_on_error(struct fake_qemu *fake, const char *name, const char *error_class, const char *desc);
void fake_on_call(struct fake_qemu *fake, const char *name, fake_command_fn fn, void *userdata);
void fake_on_nothing(struct fake_qemu *fake, const char *name);
/* Forgets what was set for exactly that. */
void fake_off(struct fake_qemu *fake, const char *name);
/* Whether it would answer exactly that with a value. */
bool fake_knows(struct fake_qemu *fake, const char *name);
/* Answers as the table has it. */
void fake_answer(struct fake_qemu *fake, const struct fake_command *command);

/* Answers a command that fake_on_call or fake_on_nothing left open. */
void fake_return(struct fake_qemu *fake, const struct fake_command *command, const char *return_text);
void fake_error(struct fake_qemu *fake, const struct fake_command *command, const char *error_class,
                const char *desc);
/* @data: an object's text, or NULL. */
void fake_event(struct fake_qemu *fake, const char *name, const char *data);
/* One message, as it is. */
void fake_message(struct fake_qemu *fake, const char *text);
/* Any bytes, in order with all the rest, past the filter. */
void fake_send(struct fake_qemu *fake, const void *bytes, size_t n);
void fake_send_text(struct fake_qemu *fake, const char *text);

/* Ends the connection: at once (what is not yet written is lost), or behind all that was to be sent. */
void fake_close(struct fake_qemu *fake);
void fake_close_behind(struct fake_qemu *fake);
/* Behind all that was to be sent: what the client reads then is ECONNRESET, as of a QEMU that was killed. */
void fake_reset_behind(struct fake_qemu *fake);

/* SIGSTOP and SIGCONT: neither reads, writes nor accepts. */
void fake_stop(struct fake_qemu *fake);
void fake_cont(struct fake_qemu *fake);
/* The main loop hangs: only out-of-band commands are answered, and no more than 8 others are read. */
void fake_stick(struct fake_qemu *fake);
void fake_unstick(struct fake_qemu *fake);

/* How many bytes wait to be sent. */
size_t fake_n_unsent(struct fake_qemu *fake);

/* The Nth command since the negotiation, 0 being the first; NULL if it did not arrive. */
const struct fake_command *fake_command(struct fake_qemu *fake, size_t n);
size_t fake_n_commands(struct fake_qemu *fake);
/* Forgets the commands that have arrived so far, for tests that last. */
void fake_forget(struct fake_qemu *fake);
/* How often a command of this name arrived, on all connections. */
size_t fake_count(struct fake_qemu *fake, const char *name);

/*
 * Plays a recorded conversation of tests/data: what QEMU sent up to the first command is the greeting; the reply to
 * each recorded command, and what followed up to the next one, is sent when the client sends a command of that name.
 * Recorded ids become those of the client. A command that is not the next recorded one is answered by the table; with
 * FAKE_PLAY_SKIP, where the table does not know it, by its next appearance in the record, and of what is skipped only
 * the events are sent. With FAKE_PLAY_TIMED the pauses are those of the record. EOF in the record closes.
 */
enum {
        FAKE_PLAY_SKIP = 1 << 0,
        FAKE_PLAY_TIMED = 1 << 1,
};
void fake_play(struct fake_qemu *fake, const char *data_name, unsigned flags);
/* Whether the record has been played to its end. */
bool fake_played(struct fake_qemu *fake);

/* A line of a record. */
struct fake_line {
        double seconds;
        char direction; /* 'C', 'S', '-' (the end of the connection) */
        char *text;
        struct json_object *json; /* NULL for '-' and for what is not JSON */
};
/* Reads a record of tests/data; lines that were cut, comments and other channels are left out. */
struct fake_line *fake_read_record(const char *data_name, size_t *ret_n);
void fake_free_record(struct fake_line *lines, size_t n);

#endif
