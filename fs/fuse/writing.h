/*
 * Assembles the writes to an open file to lines. One line is one request, regardless of the number of writes. A line
 * is not carried out before its newline has arrived.
 *
 * Programs with a full buffer write a piece of a line: bash with a terminal at its start (1,024 bytes), stdio
 * (st_blksize), sftp-server and NFS servers (some KiB). Such a piece fills a buffer, so its size is a multiple of 512
 * bytes; it is kept until the rest arrives. Any other piece is refused, and so is a line without its newline, since
 * it may be the beginning of a longer line ("python3 -u" writes each argument of print() separately). Only close(2)
 * shows that nothing follows, but shells ignore its error. The rest of a refused piece is refused as well.
 *
 * All pieces of a line come from one process. If two processes share a descriptor, the line of the second could
 * otherwise become the end of a line that the first has begun. Several programs that write a line together, such as
 * "{ head -c 4096 file; echo; } > ctl", are refused as well: most of their pieces do not fill a buffer anyway.
 * Processes are told apart by the kernel's lock owner; a pid would be that of a thread, and the threads of a Go
 * program or of an NFS server write pieces of one line. The lock owner is made from the address of the process's
 * table of descriptors, which may be that of the next process after the end of the first. So a line ends with the
 * close(2) by its process, which comes at the latest with its end.
 *
 * Only JSON may have several lines, in one write. If its lines come one by one, the first is refused, since it is
 * incomplete, and the others are refused up to the end of the text: an empty line or "{}" in the midst of it would be
 * a request by itself. This also holds if words come before the JSON ("nowait {").
 */
#ifndef FS_WRITING_H
#define FS_WRITING_H

#include "fs/fuse/request.h"

/* The maximum size of a line, without its newline. QEMU reads its monitor at 270 KB/s. */
#define WRITING_MAX (64 * 1024)

/* A piece of a line was kept: the write has succeeded, and there is nothing to carry out. */
#define WRITING_KEPT 1

/* Of an open file. */
struct writing {
        char *piece;      /* of an incomplete line; owned, NULL: none */
        size_t size;      /* of it */
        size_t held;      /* see file_hold() */
        struct who who;   /* the last writer of it */
        uint64_t owner;   /* the process of it, see struct request */
        uint64_t broken;  /* the process whose line was broken by another's, up to its end or close(2); 0: none */
        char *json;       /* refused lines that are the beginning of a JSON text; owned, NULL: none */
        size_t json_held; /* see file_hold() */
        int refused; /* a piece of the line was refused with this errno, and so is the rest up to its end; or 0 */
        /*
         * Possible file positions: the start and end of the last write, the end of the last read, and the farthest
         * end of the reads since that write (some may have used pread(2)).
         */
        off_t from, to, read_to, farthest;
};

/*
 * To be called on each close(2), by the process @owner. Its incomplete line is dropped, with a line in `errors`, and
 * the rest of it will be refused up to its newline. 0, or -EINVAL if the line of any process is incomplete.
 */
int writing_flush(struct file *file, uint64_t owner);

/* To be called on the last close: an incomplete line is dropped, with a line in `errors`. */
void writing_end(struct file *file);

/*
 * Takes the @size bytes written by @r at r->offset. Sets r->written and, for a complete line, r->data and r->size
 * (without the newline); a long line counts as memory of the open file until the request ends. 0; WRITING_KEPT; or a
 * negative errno with its reason in @r: -EINVAL, -EMSGSIZE, -ENOMEM.
 */
int writing_take(struct request *r, const char *data, size_t size);

/* To be called after a read, with its end. */
void writing_note_read(struct writing *writing, off_t to);

#endif
