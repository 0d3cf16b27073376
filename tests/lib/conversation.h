/*
 * The recorded conversations of tests/data as scenarios (see tests/lib/faults.h). Each command that was recorded is asked by
 * an operation in the mount that leads to it: `cat status`, `ls block`, `echo reset > ctl`, `echo 1 > devices/ID/remove`,
 * `cat query/NAME`, `hmp`; what has no file of its own goes through `qmp`. What QEMU sent after it follows: events and the
 * reply, in their order. Whatever else the daemon asks is answered from the fake's table.
 *
 * What a client sent that is no command (monitor.txt) the daemon can't be made to send; QEMU's reply to it is then that to
 * a query-name. Of several replies to one such mistake the first one is played.
 */
#ifndef TESTS_CONVERSATION_H
#define TESTS_CONVERSATION_H

#include "tests/lib/faults.h"

struct conversation;

/* The records, by their names in tests/data, sorted; to be freed with conversations_free(). */
char **conversations_list(size_t *ret_n);
void conversations_free(char **names, size_t n);

struct conversation *conversation_load(const char *name);
struct conversation *conversation_free(struct conversation *conversation);

/* Tells of each message of it but the handshake's: the command that it answers, or (@command NULL) the event that it is. */
void conversation_each_message(const struct conversation *conversation,
                               void (*fn)(const char *command, const char *event, const char *message));

/* A long conversation is played in parts of a few commands each, so that what comes late in it is not more costly. */
size_t conversation_n_parts(const struct conversation *conversation);
/* Valid until the next call. */
const struct scenario *conversation_part(struct conversation *conversation, size_t part);
/* How many recorded messages the part has. */
size_t conversation_n_messages(const struct conversation *conversation, size_t part);
/* Whether the daemon has asked all its commands, up to the end of the connection, in the last case. */
bool conversation_is_played(void);

#endif
