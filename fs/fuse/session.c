#include "fs/fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "fs/fuse/ops.h"

/* Requests taken per wakeup, so that QEMU's answers get their turn. */
#define REQUESTS_PER_WAKEUP 32

static void end(struct session *session, int error)
{
        session->over = true;
        session->error = error == -ENODEV ? 0 : error;
        qmp_loop_remove(session->loop, &session->source);
        if (session->ended)
                session->ended(session);
}

/*
 * After a request that was answered at once there mostly is no other, and to find that out costs as much as to be
 * woken again. While one waits for QEMU it costs nothing, and others who want the same can share its query.
 */
static void dispatch(struct qmp_source *source, uint32_t revents)
{
        struct session *session = container_of(source, struct session, source);

        (void)revents;
        for (unsigned i = 0; i < REQUESTS_PER_WAKEUP; i++) {
                int r = fuse_session_receive_buf(session->fuse, &session->buffer);

                if (r > 0)
                        fuse_session_process_buf(session->fuse, &session->buffer);
                if (fuse_session_exited(session->fuse) || (r < 0 && r != -EINTR && r != -EAGAIN && r != -ENOMEM)) {
                        /* after a request libfuse gives up only over the first */
                        end(session, r > 0 ? -EPROTO : r);
                        return;
                }
                if (r > 0 && !session->begun) {
                        session->begun = true;
                        if (session->started)
                                session->started(session);
                }
                /*
                 * -ENOMEM: libfuse had none for its buffer, which it keeps once it has it; the request is still there
                 */
                if (r == -EAGAIN || r == -ENOMEM || session->context->n_fetches == 0)
                        return;
        }
}

int session_new(struct context *context, struct vm *vm, struct fuse_args *args, const struct session_options *options,
                struct session **ret_session)
{
        struct session *session = calloc(1, sizeof(*session));
        int r;

        if (!session)
                return -ENOMEM;
        session->context = context;
        session->loop = context->loop;
        list_init(&session->requests);
        outcomes_init(&session->outcomes);
        session->vm = vm;
        session->options = *options;
        session->source.fd = -1;
        content_pool_init(&session->contents);
        clock_gettime(CLOCK_REALTIME, &session->born);
        session->fuse = fuse_session_new(args, &session_ops, sizeof(session_ops), session);
        if (!session->fuse) {
                free(session);
                return -EINVAL;
        }
        r = inode_table_init(session, vm, options->root);
        if (r < 0) {
                session_free(session);
                return r;
        }
        *ret_session = session;
        return 0;
}

struct session *session_free(struct session *session)
{
        if (!session)
                return NULL;
        request_finish_all(session, -ENODEV);
        qmp_loop_remove(session->loop, &session->source);
        fuse_session_unmount(session->fuse);
        content_pool_deinit(session);
        inode_table_deinit(session);
        outcomes_deinit(&session->outcomes);
        fuse_session_destroy(session->fuse);
        free(session->buffer.mem);
        free(session);
        return NULL;
}

static int watch(struct session *session)
{
        int fd = fuse_session_fd(session->fuse);
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        return qmp_loop_add(session->loop, &session->source, fd, EPOLLIN, dispatch);
}

int session_mount(struct session *session, const char *mountpoint)
{
        if (fuse_session_mount(session->fuse, mountpoint) < 0)
                return -EIO;
        return watch(session);
}

void session_forget_mount(struct session *session)
{
        int fd = fuse_session_fd(session->fuse), fds[2];

        request_finish_all(session, -ENODEV);
        qmp_loop_remove(session->loop, &session->source);
        /* libfuse takes POLLERR of poll(2) for an unmount; a pipe without a reader also reports POLLERR */
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        close(fds[0]);
        (void)dup2(fds[1], fd);
        close(fds[1]);
}

static ssize_t socket_writev(int fd, struct iovec *iov, int count, void *userdata)
{
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)count };

        (void)userdata;
        return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static ssize_t socket_read(int fd, void *buffer, size_t size, void *userdata)
{
        ssize_t n = recv(fd, buffer, size, 0);

        (void)userdata;
        if (n == 0) {
                errno = ENODEV; /* what /dev/fuse says after an unmount */
                return -1;
        }
        return n;
}

int session_attach(struct session *session, int fd)
{
        static const struct fuse_custom_io io = { .writev = socket_writev, .read = socket_read };
        int r = fuse_session_custom_io(session->fuse, &io, fd);

        return r != 0 ? -EINVAL : watch(session);
}
