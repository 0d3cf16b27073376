/*
 * The answer to a write to an open file, read from the same open file.
 *
 * A shell reads on from the end of its write (`{ echo … >&3; cat <&3; } 3<>file`), and a program may seek to the
 * start first. Both get the answer from its beginning. A reader that seeks back within the answer, as bash's `read`
 * does, reads that part again.
 */
#ifndef FS_ANSWER_H
#define FS_ANSWER_H

#include "fs/fuse/request.h"

struct answer {
        struct text text;
        off_t behind; /* the end of the write, where a reader may begin */
        off_t origin; /* where the reader began; -1: not read yet */
        size_t held;  /* see file_hold() */
};

/* Gives the file an answer, if it has none: after a request, reads return the answer, not the usage. 0 or -ENOMEM. */
int answer_begin(struct request *r, struct file *file);
/*
 * Sets the text of the answer; @text is taken over. A file that is not open for reading keeps none. 0, or -ENOMEM: the
 * open files would exceed their limit (memory.h), and the file keeps no answer.
 */
int answer_set(struct file *file, struct text *text);
/* Both, for a write that was only to be explained. @text is taken over. As answer_begin() and answer_set(). */
int answer_explain(struct request *r, struct text *text);
/* Sets the answer to {"error": {"class", "desc"}}, from the request's reason. */
void answer_set_error(struct file *file, const struct request *r, int error);
/* Answers a write that was refused before the kind's write() was called. */
void answer_refuse(struct request *r, struct file *file, int error);
/* The part of the answer that a read at r->offset asks for. False: nothing has been written yet. */
bool answer_read(struct request *r, struct file *file, struct text *ret_text, int *ret_error);
/* A read() of a kind with content: the answer, or the content before a write. */
int answer_or_content(struct request *r, struct file *file, struct text *ret_text);
/* The content of an action's file before a write: its usage, and the result of the last write to it. */
int usage_render(const struct inode *inode, const char *usage, struct text *ret_text);
/* The size of that content; -1: out of memory. */
int64_t usage_size(const struct inode *inode, const char *usage);
/* Takes the answer away: reads return the content again. */
void answer_drop(struct file *file);
/* For release. */
void answer_free(struct file *file);

#endif
