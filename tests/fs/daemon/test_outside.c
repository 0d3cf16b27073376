/*
 * The process outside the sandbox, but for the mount: that is looked at with a real one.
 */
#include "fs/daemon/outside.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/lib/test.h"

static struct qmp_address address;
static struct outside *outside;
static int listener = -1;
static char *dir; /* no mount point, so there is nothing to take away */

static void setup(void)
{
        const char *path = test_path("socket");
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        /* so that its end can be waited for */
        ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        strcpy(un.sun_path, path);
        ck_assert_int_eq(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
        ck_assert_int_eq(listen(listener, 5), 0);
        ck_assert_int_eq(qmp_address_parse(path, &address), 0);
        dir = strndup(path, (size_t)(strrchr(path, '/') - path));
        ck_assert_int_eq(outside_start(&address, dir, false, &outside), 0);
}

static void teardown(void)
{
        outside = outside_end(outside, false);
        qmp_address_deinit(&address);
        close(listener);
        free(dir);
}

/* The one child of a process, which may be about to be made; another one than @not. */
static pid_t child_of(pid_t parent, pid_t not )
{
        uint64_t end = test_real_now() + 10 * NSEC_PER_SEC;
        char path[64];
        pid_t pid = 0;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
        while (pid <= 0 || pid == not ) {
                FILE *file = fopen(path, "re");

                ck_assert_ptr_nonnull(file);
                if (fscanf(file, "%d", &pid) != 1)
                        pid = 0;
                fclose(file);
                ck_assert_uint_lt(test_real_now(), end);
        }
        return pid;
}

/* The process that waits for the one that serves. */
static pid_t child(void)
{
        return child_of(getpid(), 0);
}

static pid_t server(void)
{
        return child_of(child(), 0);
}

static void kill_it(pid_t pid)
{
        int status;

        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        /* that of the other process is not ours */
        if (waitpid(pid, &status, 0) < 0)
                ck_assert_int_eq(errno, ECHILD);
}

static int connect_it(int *ret_fd)
{
        bool connecting = true;
        int r = outside_connect(outside, 0, ret_fd, &connecting);

        if (r == 0)
                ck_assert(!connecting);
        return r;
}

START_TEST(connects)
{
        char byte = 0;
        int fd = -1, peer;

        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(connect_it(&fd), 0);
                peer = accept(listener, NULL, NULL);
                ck_assert_int_ge(peer, 0);
                ck_assert_int_eq(write(peer, "x", 1), 1);
                ck_assert_int_eq(read(fd, &byte, 1), 1);
                ck_assert_int_eq(byte, 'x');
                close(fd);
                /* it has kept none */
                ck_assert_int_eq(read(peer, &byte, 1), 0);
                close(peer);
        }
}
END_TEST

START_TEST(tells_why_it_can_not_connect)
{
        int fd = -7;

        close(listener);
        ck_assert_int_eq(connect_it(&fd), -ECONNREFUSED);
        ck_assert_int_eq(unlink(address.path), 0);
        ck_assert_int_eq(connect_it(&fd), -ENOENT);
        ck_assert_int_eq(fd, -7);
        listener = -1;
}
END_TEST

/* How often it serves. */
static void serves(int n)
{
        for (int i = 0; i < n; i++) {
                int fd = -1, r;

                /* an order may have gone down with the process that had taken it */
                do
                        r = connect_it(&fd);
                while (r == -ETIME);
                ck_assert_int_eq(r, 0);
                close(fd);
        }
}

START_TEST(one_that_is_killed_is_started_again)
{
        pid_t first = server(), second;

        serves(1);
        kill_it(first);
        second = child_of(child(), first);
        serves(2);
        kill_it(second);
        serves(1);
}
END_TEST

START_TEST(serves_without_who_waits_for_it)
{
        serves(1);
        kill_it(child());
        serves(2);
        /* and ends with the daemon */
        outside = outside_end(outside, true);
        ck_assert_int_gt(waitpid(-1, &(int){ 0 }, 0), 0);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(death_of_both_is_an_error)
{
        struct pollfd p = { .fd = outside_get_fd(outside) };
        pid_t waits = child(), serves = server();
        int fd = -7;

        ck_assert_int_eq(poll(&p, 1, 0), 0);
        kill_it(waits);
        ck_assert_int_eq(poll(&p, 1, 0), 0);
        kill_it(serves);
        ck_assert_int_eq(poll(&p, 1, 10000), 1);
        ck_assert_int_eq(p.revents, POLLHUP);
        ck_assert_int_eq(connect_it(&fd), -EOWNERDEAD);
        ck_assert_int_eq(fd, -7);
        outside_log(outside, 3, "to nobody");
        outside = outside_end(outside, true);
}
END_TEST

START_TEST(one_that_is_stopped_costs_a_second_at_most)
{
        uint64_t begin = test_real_now();
        pid_t pid = server();
        int fd = -7;

        ck_assert_int_eq(kill(pid, SIGSTOP), 0);
        ck_assert_int_eq(connect_it(&fd), -ETIME);
        ck_assert_int_eq(fd, -7);
        ck_assert_uint_lt(test_real_now() - begin, 5 * NSEC_PER_SEC);
        /* lines that nobody takes are lost, not waited for */
        for (int i = 0; i < 10000; i++)
                outside_log(outside, 3, "nobody reads this");
        ck_assert_int_eq(kill(pid, SIGCONT), 0);
}
END_TEST

START_TEST(late_answer_is_not_taken_for_the_next)
{
        pid_t pid = server();
        char byte;
        int fd = -7, first, second;

        ck_assert_int_eq(kill(pid, SIGSTOP), 0);
        ck_assert_int_eq(connect_it(&fd), -ETIME);
        ck_assert_int_eq(kill(pid, SIGCONT), 0);
        ck_assert_int_eq(connect_it(&fd), 0);
        first = accept(listener, NULL, NULL);
        second = accept(listener, NULL, NULL);
        /* the late one has been closed */
        ck_assert_int_eq(read(first, &byte, 1), 0);
        ck_assert_int_eq(write(second, "x", 1), 1);
        ck_assert_int_eq(read(fd, &byte, 1), 1);
        close(first);
        close(second);
        close(fd);
}
END_TEST

START_TEST(ends_with_whom_it_serves)
{
        pid_t pid = child();
        int status;

        outside = outside_end(outside, _i == 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

/* A daemon that crashes says nothing. */
START_TEST(ends_when_the_daemon_is_gone)
{
        pid_t daemon, helper = 0;
        int pids[2], status;

        ck_assert_int_eq(pipe(pids), 0);
        daemon = fork();
        ck_assert_int_ge(daemon, 0);
        if (daemon == 0) {
                struct outside *mine;

                if (outside_start(&address, dir, false, &mine) < 0)
                        _exit(1);
                helper = child();
                if (write(pids[1], &helper, sizeof(helper)) != sizeof(helper))
                        _exit(1);
                kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(daemon, &status, 0), daemon);
        ck_assert_int_eq(read(pids[0], &helper, sizeof(helper)), sizeof(helper));
        ck_assert_int_eq(waitpid(helper, &status, 0), helper);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

/* The monitor and the mount shall end with the daemon, so it may hold nothing of them. */
START_TEST(holds_no_descriptor_of_the_daemons)
{
        char path[64], target[256];
        struct dirent *entry;
        unsigned n = 0;
        DIR *fds;

        /* it has answered, so it has begun */
        ck_assert_int_eq(unlink(address.path), 0);
        ck_assert_int_eq(connect_it(&(int){ -1 }), -ENOENT);
        snprintf(path, sizeof(path), "/proc/%d/fd", _i ? server() : child());
        fds = opendir(path);
        if (!fds) {
                fputs("SKIP holds_no_descriptor_of_the_daemons: only root can look at a process that is not "
                      "dumpable\n",
                      stderr);
                return;
        }
        while ((entry = readdir(fds))) {
                ssize_t size = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

                if (size < 0)
                        continue;
                target[size] = '\0';
                if (!streq(target, "/dev/null"))
                        n++;
        }
        closedir(fds);
        ck_assert_uint_eq(n, 1);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(connects),
                TEST(tells_why_it_can_not_connect),
                TEST(one_that_is_killed_is_started_again),
                TEST(serves_without_who_waits_for_it),
                TEST(death_of_both_is_an_error),
                TEST(one_that_is_stopped_costs_a_second_at_most),
                TEST(late_answer_is_not_taken_for_the_next),
                TEST_EACH(ends_with_whom_it_serves, 2),
                TEST(ends_when_the_daemon_is_gone),
                TEST_EACH(holds_no_descriptor_of_the_daemons, 2),
        };

        return test_main("outside", tests, ARRAY_SIZE(tests), setup, teardown);
}
