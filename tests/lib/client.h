/*
 * A QMP client under test, against a fake QEMU on one loop: commands and what becomes of them, and listeners to events.
 * More than one callback for a command, or one from within the call that sends, fails the test.
 */
#ifndef TESTS_CLIENT_H
#define TESTS_CLIENT_H

#include "qmp/client.h"
#include "tests/lib/fake_qemu.h"

extern struct qmp_loop *loop;
extern struct fake_qemu *fake;
extern struct qmp_client *client;
extern size_t n_changed; /* calls of the client's changed() */
extern bool identify;    /* of the next client: it makes sure that the VM is the same as before */

/* The fixture: a loop with the virtual clock and a fake QEMU, no client yet. */
void client_set_up(void);
void client_tear_down(void);

/* A command and what became of it. More than one callback, or one from within the call that sends, fails the test. */
struct call {
        struct qmp_command *command;
        size_t n;
        bool sending;
        enum qmp_outcome outcome;
        int error;
        char *value, *error_class, *text;
        uint64_t busy_ns, ended_at;
        void (*then)(struct call *call); /* from inside the callback */
        struct call *other;
};

void called_back(void *userdata, const struct qmp_result *result);
int try_send(struct call *call, const char *name, uint64_t timeout, bool oob);
/* The same, without an error. */
void send_limited(struct call *call, const char *name, uint64_t timeout);
void send_command(struct call *call, const char *name);
/* Frees what it holds, so that it can be used again. */
void call_done(struct call *call);
void calls_done(struct call *calls, size_t n);

/* Ended, by a value of this text. */
void assert_value(const struct call *call, const char *value);
void assert_ended(const struct call *call, enum qmp_outcome outcome, int error);
struct qmp_client_info info(void);
enum qmp_client_state state(void);

void new_client(const char *address);

/* A client on a socket pair, not yet pumped. */
void start_pair(int buffer);
/* … which is up; and which may send commands out of band. */
void up(void);
void up_oob(void);

/* A client that reaches a listening fake by path. */
const char *start_listening(void);

void assert_down(const char *why);

/* Pumps until it is down, for this reason. */
void goes_down(const char *why);

/* Answers each command with the number of its arrival. */
void count_up(struct fake_qemu *f, const struct fake_command *command, void *userdata);

struct listener {
        struct qmp_subscription subscription;
        size_t n;
        char names[4096];
        char *data;
        bool leaves;
        struct call *sends;
};

/* A listener on the stack must not outlive its test, at the end of which the client still lives. */
void leave(struct listener *l);
void listen_to(struct listener *l);

#endif
