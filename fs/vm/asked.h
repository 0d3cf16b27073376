/*
 * Answers to commands that no plain read may send (see reads.h). A write to the file sends the command. From then on
 * the file contains the answer, for all readers, until the next write or the end of the connection. Before the first
 * write, the file contains a line that explains how to send the command.
 */
#ifndef FS_ASKED_H
#define FS_ASKED_H

#include "fs/vm/bus.h"

/*
 * The limit of all answers together, as JSON texts. Beyond it, the oldest answers are dropped. QEMU 7.2 has 600 types
 * of 4 KB.
 */
#define ASKED_MAX_BYTES (16 * 1024 * 1024)

struct query_spec;
struct peer;

/* Embedded in struct vm. */
struct asked {
        struct peer *peer;
        struct subscriber subscriber;
        struct json_object *answers; /* {command and argument: JSON text}, the oldest first; NULL: none */
        size_t bytes;                /* of the texts and keys */
};

/* The peer is borrowed; its bus tells when the connection ends. */
void asked_init(struct asked *asked, struct peer *peer);
void asked_deinit(struct asked *asked);

/* The stored answer, owned by the caller. 0, -ENOENT, or -ENOMEM. */
int asked_find(struct asked *asked, const struct query_spec *spec, struct json_object **ret_value);
/*
 * Stores an answer, in place of an earlier one. 0, -ENOMEM, or -EPROTO: the answer is larger than half of
 * ASKED_MAX_BYTES, or its JSON text could not be parsed again.
 */
int asked_keep(struct asked *asked, const struct query_spec *spec, struct json_object *value);

/* Drops an earlier answer. 0 or -ENOMEM. */
int asked_drop(struct asked *asked, const struct query_spec *spec);

#endif
