/*
 * What no plain read may ask QEMU for (see reads.h): a write to the file asks, and from then on the file reads
 * as the answer, for each reader, until the next write or the end of the connection. Before that it reads as a
 * line that says how to ask.
 */
#ifndef FS_ASKED_H
#define FS_ASKED_H

#include "node.h"

/* What all answers together may take, as JSON texts; beyond that the oldest are forgotten. QEMU 7.2 has 600
 * types of 4 KB. */
#define ASKED_MAX_BYTES (16 * 1024 * 1024)

struct fetch_spec;
struct vm;

/* In the vm. */
struct asked {
        struct json_object *answers; /* {command and argument: JSON text}, the oldest first; NULL: none */
        size_t bytes;                /* of the texts and keys */
};

void asked_forget(struct vm *vm);

/* The answer that is kept, the caller's. 0, -ENOENT, or -ENOMEM. */
int asked_find(struct vm *vm, const struct fetch_spec *spec, struct json_object **ret_value);
/* Keeps an answer, in place of an earlier one. 0, -ENOMEM, or -EPROTO: it is larger than half of
 * ASKED_MAX_BYTES, or JSON that nobody could read back. */
int asked_keep(struct vm *vm, const struct fetch_spec *spec, struct json_object *value);

/*
 * For a kind's write: takes an empty line, asks QEMU whether or not the answer is known, and has @keep keep it,
 * for example asked_keep(). 0; REQUEST_PARKED; -EINVAL; or the query's error or that of @keep. What
 * asked_keep() kept before is forgotten in any case.
 */
int asked_write(struct request *r, const struct fetch_spec *spec,
                int (*keep)(struct vm *vm, const struct fetch_spec *spec, struct json_object *value));

/* The line that says what @command does and how to ask for it. The caller's; 0 or -ENOMEM. */
int asked_usage(const struct inode *inode, const char *command, struct text *ret_text);

#endif
