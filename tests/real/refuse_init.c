/*
 * Preloaded, a libfuse that gives up over the first request of each mount, as the real one does over options that it finds
 * out about only then.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <fuse_log.h>
#include <linux/fuse.h>
#include <unistd.h>

void fuse_session_process_buf(struct fuse_session *se, const struct fuse_buf *buf)
{
        const struct fuse_in_header *in = buf->mem;
        struct fuse_out_header out = { .len = sizeof(out), .error = -EPROTO, .unique = in->unique };

        fuse_log(FUSE_LOG_ERR, "fuse: error: nothing suits me\n");
        if (write(fuse_session_fd(se), &out, sizeof(out)) < 0)
                fuse_log(FUSE_LOG_ERR, "fuse: error: nor does the kernel\n");
        fuse_session_exit(se);
}
