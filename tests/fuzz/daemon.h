/*
 * The whole daemon in a fuzz target: the rig of the tests (tests/lib/rig.h), with a kernel that does not wait for what
 * does not come, and a QEMU that may say anything.
 *
 * A reply that does not come without time passing is ETIME. Time is the virtual clock's.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "fuzz.h"
#include "tests/lib/rig.h"

/* What all requests but the patient ones are answered within. */
#define DAEMON_LIMIT (100 * SEC)
/* Of requests under way: what the sockets hold, and what is quick. */
#define DAEMON_REQUESTS_MAX 32

/* What QEMU does. */
struct daemon_qemu {
        bool manual;  /* nothing is answered by itself */
        size_t chunk; /* bytes at a time of what it says; 0: all */
        /* told of each command before it is answered */
        void (*on_command)(const struct fake_command *command);
};

extern struct daemon_qemu daemon_qemu;

/* Once in a process. */
void daemon_init(void);

/* A daemon, not connected, INIT done; QEMU will answer as a plain VM does. */
void daemon_new(void);
/* Lets all time pass that a request may take, interrupts the patient ones, closes, forgets, and ends the daemon. Nothing may be
 * left. */
void daemon_free(void);

/* As open(2) of a path of any length; -ENOENT of names that the kernel asks for nothing of. */
int daemon_walk(const char *path, struct fuse_entry_out *ret_entry);
int daemon_open(const char *path, int flags, struct k_file *ret_file);
void daemon_interrupt(uint64_t unique);

/* Connects and greets; @greeting NULL: as QEMU 7.2 does. Nothing if there is a connection. */
void daemon_connect(const char *greeting);
/* Any bytes. */
void daemon_say(const char *bytes, size_t size);
/* The reply to the oldest command: what the table has, or @text as the table would have it. False: there is no command. */
bool daemon_answer(const char *text);
bool daemon_answer_oob(const char *text);
/* What the table says from now on: of a return value, or "!CLASS|DESC". @key: see struct fake_command. */
void daemon_on(const char *key, const char *text);

#endif
