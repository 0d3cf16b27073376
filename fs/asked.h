/*
 * Answers to commands that no plain read may send (see reads.h). A write to the file sends the command. From then on
 * the file contains the answer, for all readers, until the next write or the end of the connection. Before the first
 * write, the file contains a line that explains how to send the command.
 */
#ifndef FS_ASKED_H
#define FS_ASKED_H

#include "node.h"

/*
 * The limit of all answers together, as JSON texts. Beyond it, the oldest answers are dropped. QEMU 7.2 has 600 types
 * of 4 KB.
 */
#define ASKED_MAX_BYTES (16 * 1024 * 1024)

struct query_spec;
struct vm;

/* Embedded in struct vm. */
struct asked {
        struct json_object *answers; /* {command and argument: JSON text}, the oldest first; NULL: none */
        size_t bytes;                /* of the texts and keys */
};

void asked_forget(struct vm *vm);

/* The stored answer, owned by the caller. 0, -ENOENT, or -ENOMEM. */
int asked_find(struct vm *vm, const struct query_spec *spec, struct json_object **ret_value);
/*
 * Stores an answer, in place of an earlier one. 0, -ENOMEM, or -EPROTO: the answer is larger than half of
 * ASKED_MAX_BYTES, or its JSON text could not be parsed again.
 */
int asked_keep(struct vm *vm, const struct query_spec *spec, struct json_object *value);

/*
 * For a kind's write(): expects an empty line, sends the command even if the answer is known, and calls @keep, for
 * example asked_keep(), to store the answer. 0, WAITER_PARKED, -EINVAL, or the error of the query or of @keep. An
 * earlier answer of asked_keep() is dropped in any case.
 */
int asked_write(struct request *r, const struct query_spec *spec,
                int (*keep)(struct vm *vm, const struct query_spec *spec, struct json_object *value));

/* The line that explains the effect of @command and how to send it. Owned by the caller; 0 or -ENOMEM. */
int asked_usage(const struct inode *inode, const char *command, struct text *ret_text);

#endif
