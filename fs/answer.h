/*
 * The answer to what was written to an open file, read from the same open file.
 *
 * Both a shell, which reads on behind what it wrote (`{ echo … >&3; cat <&3; } 3<>file`), and a program that seeks to
 * the start first get it from its beginning; whoever seeks back within it, as bash's `read` does, reads it again.
 */
#ifndef FS_ANSWER_H
#define FS_ANSWER_H

#include "request.h"

struct answer {
        struct text text;
        off_t behind; /* the position behind what was written: where a reader may begin */
        off_t origin; /* where the reader began; -1: nobody has read it yet */
};

/* The file's, made if it has none: there was a request, so that the usage is no answer any more. 0 or -ENOMEM. */
int answer_begin(struct request *r, struct file *file);
/* Sets it; @text is taken over. */
void answer_set(struct file *file, struct text *text);
/* {"error": {"class", "desc"}} by the request's reason. */
void answer_set_error(struct file *file, const struct request *r, int error);
/* For a write that was refused before anybody looked at it. */
void answer_refuse(struct request *r, struct file *file, int error);
/* Of what was read at r->offset. False: nothing has been written yet. */
bool answer_read(struct request *r, struct file *file, struct text *ret_text, int *ret_error);
/* What an action's file has where nothing has been written: how it is used, and how the last write to it ended. */
int usage_render(const struct inode *inode, const char *usage, struct text *ret_text);
/* Its size; -1: out of memory. */
int64_t usage_size(const struct inode *inode, const char *usage);
/* For release. */
void answer_free(struct file *file);

#endif
