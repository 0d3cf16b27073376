/*
 * What is written to an open file, put together to requests: one line is one request, however many writes it comes in, and
 * nothing is carried out before its newline is there.
 *
 * Writers whose buffer is full write a piece of a line: bash to what was a terminal when it started (1,024 bytes), stdio
 * (st_blksize), sftp-server and NFS servers (some KiB). Such a piece fills a buffer, so it has a multiple of 512 bytes; it is
 * kept until the rest comes. Any other piece is refused, as a line without its newline: neither can be told from the
 * beginning of a longer one ("python3 -u" writes each argument of print() by itself), and close(2), which would tell that
 * nothing follows, has no caller that looks at its error in a shell. What continues a piece that was refused is refused.
 */
#ifndef FS_WRITING_H
#define FS_WRITING_H

#include "request.h"

/* What one request may be, without its newline. QEMU reads its monitor at 270 KB/s. */
#define WRITING_MAX (64 * 1024)

/* It is a piece of a line: the write has succeeded, and nothing is to be done. */
#define WRITING_KEPT 1

/* Of an open file. */
struct writing {
        char *piece;    /* of a line that is not at its end yet; owned, NULL: none */
        size_t size;    /* of it */
        struct who who; /* wrote the last of it */
        bool refused;   /* a piece of the line was, and so is what comes up to its end */
        /* Where a file position may be: where the last write began and ended, where the last read ended, and the farthest
         * of the reads since that write (some may have been by pread(2)). */
        off_t from, to, read_to, farthest;
};

/* The file is closed: what has not come to the end of its line is dropped, with a line in `errors`. */
void writing_end(struct file *file);

/*
 * Takes what was written by @r, at r->offset, and sets r->written and, for a whole line, r->data and r->size (without the
 * newline). 0; WRITING_KEPT; or a negative errno with its reason in @r: -EINVAL, -EMSGSIZE, -ENOMEM.
 */
int writing_take(struct request *r, const char *data, size_t size);

/* The file was read up to there. */
void writing_note_read(struct writing *writing, off_t to);

#endif
