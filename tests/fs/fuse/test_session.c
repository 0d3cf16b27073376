/*
 * How a session begins and ends: what the tree answers is looked at elsewhere.
 */
#include "fs/tree/tree.h"
#include "fs/fuse/session.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/socket.h>

#include "fs/util/log.h"
#include "tests/lib/test.h"

static struct qmp_loop *loop;
static struct vm *vm;
static struct session *session;
static int peer = -1;
static unsigned n_started, n_ended;

static void started(struct session *s)
{
        ck_assert(s->begun && !s->over);
        n_started++;
}

static struct context context;

static void ended(struct session *s)
{
        ck_assert(s->over);
        n_ended++;
}

static void make(const char *option)
{
        static const struct session_options options = { .root = &tree_root };
        char *argv[] = { (char *)(uintptr_t) "qmpfs", (char *)(uintptr_t) "-o", (char *)(uintptr_t)option, NULL };
        struct fuse_args args = FUSE_ARGS_INIT(option ? 3 : 1, argv);
        int fds[2];

        ck_assert_int_eq(session_new(&context, vm, &args, &options, &session), 0);
        fuse_opt_free_args(&args);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        ck_assert_int_eq(session_attach(session, fds[1]), 0);
        session->started = started;
        session->ended = ended;
        peer = fds[0];
}

static void setup(void)
{
        static const struct peer_options options = { .timeout_ns = NSEC_PER_SEC, .max_load = 100 };

        log_catch_fuse();
        ck_assert_int_eq(qmp_loop_new(&loop), 0);
        context_init(&context, loop);
        ck_assert_int_eq(vm_new(&context, test_path("monitor"), &options, &vm), 0);
}

static void teardown(void)
{
        if (peer >= 0)
                close(peer);
        session = session_free(session);
        vm = vm_free(vm);
        loop = qmp_loop_free(loop);
        free(log_take_fuse());
}

/* What the kernel sends first; the error of the answer. */
static int init(unsigned major)
{
        struct {
                struct fuse_in_header header;
                struct fuse_init_in init;
        } request = {
                .header = { .len = sizeof(request), .opcode = FUSE_INIT, .unique = 1 },
                .init = { .major = major, .minor = 31, .max_readahead = 65536 },
        };
        struct fuse_out_header answer[8] = { 0 };
        struct pollfd p = { .events = POLLIN };
        ssize_t n;

        ck_assert_int_eq(send(peer, &request, sizeof(request), 0), sizeof(request));
        p.fd = peer;
        for (int i = 0; i < 100 && poll(&p, 1, 0) == 0; i++)
                ck_assert_int_eq(qmp_loop_turn(loop, 100), 0);
        n = recv(peer, answer, sizeof(answer), MSG_DONTWAIT);
        ck_assert_int_ge(n, (ssize_t)sizeof(answer[0]));
        return answer[0].error;
}

START_TEST(begins_when_the_kernel_is_answered)
{
        make(NULL);
        ck_assert(!session->begun);
        ck_assert_int_eq(init(7), 0);
        ck_assert(session->begun && !session->over);
        ck_assert_uint_eq(n_started, 1);
        ck_assert_uint_eq(n_ended, 0);
}
END_TEST

/* max_read is one of what libfuse takes with the other options, and refuses when the mount is there. */
START_TEST(what_libfuse_gives_up_over_is_an_error)
{
        _cleanup_(qmp_freep) char *why = NULL;

        make("max_read=4096");
        ck_assert_int_eq(init(7), -EPROTO);
        ck_assert(!session->begun && session->over);
        ck_assert_int_eq(session->error, -EPROTO);
        ck_assert_uint_eq(n_started, 0);
        ck_assert_uint_eq(n_ended, 1);
        why = log_take_fuse();
        ck_assert_contains(why, "maximum read size");
}
END_TEST

START_TEST(unmount_is_no_error)
{
        make(NULL);
        ck_assert_int_eq(_i == 0 ? 0 : init(7), 0);
        close(peer);
        peer = -1;
        PUMP_WITHIN(loop, 10 * NSEC_PER_SEC, session->over);
        ck_assert_int_eq(session->error, 0);
        ck_assert_uint_eq(n_ended, 1);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(begins_when_the_kernel_is_answered),
                TEST(what_libfuse_gives_up_over_is_an_error),
                TEST_EACH(unmount_is_no_error, 2),
        };

        return test_main("session", tests, ARRAY_SIZE(tests), setup, teardown);
}
