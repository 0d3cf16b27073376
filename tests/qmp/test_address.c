#include "qmp/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/lib/test.h"

static struct qmp_address address;

static void teardown(void)
{
        qmp_address_deinit(&address);
        qmp_address_deinit(&address);
}

static int listen_unix(const char *path, int backlog)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        ck_assert_uint_lt(strlen(path), sizeof(un.sun_path));
        strcpy(un.sun_path, path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
        ck_assert_int_eq(listen(fd, backlog), 0);
        return fd;
}

static int connect_to(const char *text, int *ret_fd)
{
        bool connecting = true;
        int r = qmp_address_parse(text, &address);

        ck_assert_int_eq(r, 0);
        r = qmp_address_connect(&address, 0, ret_fd, &connecting);
        if (r == 0)
                ck_assert(!connecting);
        return r;
}

static void connect_fails(const char *text, int error)
{
        int fd = -7;

        ck_assert_int_eq(connect_to(text, &fd), -error);
        ck_assert_int_eq(fd, -7);
}

START_TEST(absolute_path)
{
        ck_assert_int_eq(qmp_address_parse("/run/vm:1.sock", &address), 0);
        ck_assert_str_eq(address.path, "/run/vm:1.sock");
        ck_assert_str_eq(address.text, "/run/vm:1.sock");
        ck_assert_uint_eq(qmp_address_count(&address), 1);
}
END_TEST

START_TEST(unix_prefix)
{
        ck_assert_int_eq(qmp_address_parse("unix:/run/vm.sock", &address), 0);
        ck_assert_str_eq(address.path, "/run/vm.sock");
        ck_assert_str_eq(address.text, "unix:/run/vm.sock");
}
END_TEST

START_TEST(relative_path_survives_a_change_of_directory)
{
        const char *path = test_path("s");
        _cleanup_(qmp_freep) char *dir = strndup(path, strlen(path) - 2);
        int listener = listen_unix(path, 1), fd;
        bool connecting;

        ck_assert_int_eq(chdir(dir), 0);
        ck_assert_int_eq(qmp_address_parse(_i ? "s" : "unix:s", &address), 0);
        ck_assert_int_eq(chdir("/"), 0);
        ck_assert_int_eq(qmp_address_connect(&address, 0, &fd, &connecting), 0);
        close(fd);
        close(listener);
}
END_TEST

static const char *const malformed[] = {
        "",         "unix:",       "tcp:",         "tcp:host",     "tcp:host:",   "tcp::4444",
        "tcp:4444", "tcp:host:-1", "tcp:host:+80", "tcp:host: 80", "tcp:host:8 0"
};

START_TEST(malformed_address_is_refused)
{
        ck_assert_int_eq(qmp_address_parse(malformed[_i], &address), -EINVAL);
        ck_assert_ptr_null(address.text);
}
END_TEST

static const char *const no_ports[] = { "tcp:127.0.0.1:0", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:99999",
                                        "tcp:127.0.0.1:18446744073709551617", "tcp:127.0.0.1:99999999999999999999" };

START_TEST(port_that_does_not_exist_is_refused)
{
        ck_assert_int_eq(qmp_address_parse(no_ports[_i], &address), -ERANGE);
        ck_assert_ptr_null(address.text);
}
END_TEST

START_TEST(first_and_last_port)
{
        ck_assert_int_eq(qmp_address_parse(_i ? "tcp:127.0.0.1:65535" : "tcp:127.0.0.1:1", &address), 0);
        ck_assert_str_eq(address.port, _i ? "65535" : "1");
}
END_TEST

START_TEST(unknown_service_is_no_address)
{
        ck_assert_int_eq(qmp_address_parse("tcp:127.0.0.1:no-such-service", &address), -EADDRNOTAVAIL);
        ck_assert_ptr_null(address.text);
}
END_TEST

START_TEST(tcp_host_and_port)
{
        ck_assert_int_eq(qmp_address_parse("tcp:127.0.0.1:4444", &address), 0);
        ck_assert_ptr_null(address.path);
        ck_assert_str_eq(address.host, "127.0.0.1");
        ck_assert_str_eq(address.port, "4444");
        ck_assert_uint_eq(qmp_address_count(&address), 1);
}
END_TEST

START_TEST(tcp_host_of_ipv6_in_brackets)
{
        int r = qmp_address_parse("tcp:[::1]:4444", &address);

        /* a machine may be without IPv6 */
        if (r == -EADDRNOTAVAIL)
                return;
        ck_assert_int_eq(r, 0);
        ck_assert_str_eq(address.host, "::1");
        ck_assert_str_eq(address.port, "4444");
}
END_TEST

START_TEST(socket_is_connected_close_on_exec_and_does_not_block)
{
        const char *path = test_path("s");
        int listener = listen_unix(path, 1), fd;
        char c;

        ck_assert_int_eq(connect_to(path, &fd), 0);
        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        ck_assert_int_eq(recv(fd, &c, 1, 0), -1);
        ck_assert_int_eq(errno, EAGAIN);
        close(fd);
        close(listener);
}
END_TEST

START_TEST(peer_is_who_listens)
{
        const char *path = test_path("s");
        int listener = listen_unix(path, 1), fd;
        uid_t uid = (uid_t)-7;

        ck_assert_int_eq(connect_to(path, &fd), 0);
        ck_assert_int_eq(qmp_address_peer(fd, &uid), 0);
        ck_assert_uint_eq(uid, geteuid());
        close(fd);
        close(listener);
        ck_assert_int_eq(qmp_address_peer(-1, &uid), -EBADF);
}
END_TEST

START_TEST(path_longer_than_a_socket_address_works)
{
        _cleanup_(qmp_freep) char *dir = NULL, *path = NULL;
        char name[61];
        int listener, fd, dir_fd;
        char via[64];

        memset(name, 'd', 60);
        name[60] = '\0';
        ck_assert_int_gt(asprintf(&dir, "%s/", test_path("")), 0);
        for (int i = 0; i < 3; i++) {
                char *deeper;

                ck_assert_int_gt(asprintf(&deeper, "%s%s/", dir, name), 0);
                free(dir);
                dir = deeper;
                ck_assert_int_eq(mkdir(dir, 0700), 0);
        }
        dir_fd = open(dir, O_PATH | O_CLOEXEC);
        snprintf(via, sizeof(via), "/proc/self/fd/%d/s", dir_fd);
        listener = listen_unix(via, 1);
        ck_assert_int_gt(asprintf(&path, "%ss", dir), 0);
        ck_assert_uint_gt(strlen(path), 108);
        ck_assert_int_eq(connect_to(path, &fd), 0);
        close(fd);
        qmp_address_deinit(&address);
        /* errors too are those of the socket, not of the way to it */
        close(listener);
        connect_fails(path, ECONNREFUSED);
        qmp_address_deinit(&address);
        path[strlen(path) - 1] = 'x';
        connect_fails(path, ENOENT);
        close(dir_fd);
}
END_TEST

START_TEST(name_that_cannot_be_a_socket_is_too_long)
{
        char text[300];

        memset(text, 'x', sizeof(text));
        text[0] = '/';
        text[299] = '\0';
        connect_fails(text, ENAMETOOLONG);
}
END_TEST

START_TEST(no_such_file)
{
        connect_fails(test_path("missing"), ENOENT);
}
END_TEST

START_TEST(no_such_directory)
{
        connect_fails(test_path("missing/s"), ENOENT);
}
END_TEST

START_TEST(stale_socket_refuses)
{
        const char *path = test_path("s");

        close(listen_unix(path, 1));
        connect_fails(path, ECONNREFUSED);
}
END_TEST

START_TEST(plain_file_is_no_socket)
{
        const char *path = test_path("file");

        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        connect_fails(path, ENOTSOCK);
}
END_TEST

START_TEST(directory_is_no_socket)
{
        const char *path = test_path("directory");

        ck_assert_int_eq(mkdir(path, 0700), 0);
        connect_fails(path, ENOTSOCK);
}
END_TEST

START_TEST(socket_of_another_kind)
{
        const char *path = test_path("s");
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        strcpy(un.sun_path, path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
        connect_fails(path, EPROTOTYPE);
        close(fd);
}
END_TEST

START_TEST(full_queue_says_try_again)
{
        const char *path = test_path("s");
        int listener = listen_unix(path, 0), fds[8], n = 0, r;

        for (;;) {
                ck_assert_int_lt(n, 8);
                r = connect_to(path, &fds[n]);
                qmp_address_deinit(&address);
                if (r < 0)
                        break;
                n++;
        }
        ck_assert_int_eq(r, -EAGAIN);
        ck_assert_int_ge(n, 1);
        while (n > 0)
                close(fds[--n]);
        close(listener);
}
END_TEST

/* A listening socket of 127.0.0.1, and its address as text. */
static int listen_tcp(char **ret_text)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(in);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
        ck_assert_int_eq(listen(fd, 1), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
        ck_assert_int_gt(asprintf(ret_text, "tcp:127.0.0.1:%d", ntohs(in.sin_port)), 0);
        return fd;
}

/* What the attempt comes to. */
static int connect_end(int fd, bool connecting)
{
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        int error = 0;
        socklen_t size = sizeof(error);

        if (connecting)
                ck_assert_int_eq(poll(&p, 1, 10000), 1);
        ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
        return error;
}

START_TEST(tcp_connects)
{
        _cleanup_(qmp_freep) char *text = NULL;
        int listener = listen_tcp(&text), fd, accepted;
        bool connecting;

        ck_assert_int_eq(qmp_address_parse(text, &address), 0);
        /* any index: they repeat */
        ck_assert_int_eq(qmp_address_connect(&address, 7, &fd, &connecting), 0);
        accepted = accept(listener, NULL, NULL);
        ck_assert_int_ge(accepted, 0);
        ck_assert_int_eq(connect_end(fd, connecting), 0);
        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        close(accepted);
        close(fd);
        close(listener);
}
END_TEST

static int option(int fd, int level, int name)
{
        int value = -1;
        socklen_t size = sizeof(value);

        ck_assert_int_eq(getsockopt(fd, level, name, &value, &size), 0);
        return value;
}

/* Whether a command is unacknowledged then or not. */
START_TEST(vanished_tcp_host_is_noticed_in_time)
{
        _cleanup_(qmp_freep) char *text = NULL;
        int listener = listen_tcp(&text), fd;
        bool connecting;

        ck_assert_int_eq(qmp_address_parse(text, &address), 0);
        ck_assert_int_eq(qmp_address_connect(&address, 0, &fd, &connecting), 0);
        ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), QMP_ADDRESS_SILENCE_MS);
        ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        ck_assert_int_eq(1000 * (option(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
                                 option(fd, IPPROTO_TCP, TCP_KEEPCNT) * option(fd, IPPROTO_TCP, TCP_KEEPINTVL)),
                         QMP_ADDRESS_SILENCE_MS);
        close(fd);
        close(listener);
}
END_TEST

START_TEST(tcp_refused)
{
        _cleanup_(qmp_freep) char *text = NULL;
        bool connecting;
        int fd, r;

        close(listen_tcp(&text));
        ck_assert_int_eq(qmp_address_parse(text, &address), 0);
        r = qmp_address_connect(&address, 0, &fd, &connecting);
        if (r == 0) {
                ck_assert_int_eq(connect_end(fd, connecting), ECONNREFUSED);
                close(fd);
        } else {
                ck_assert_int_eq(r, -ECONNREFUSED);
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(absolute_path),
                TEST(unix_prefix),
                TEST_EACH(relative_path_survives_a_change_of_directory, 2),
                TEST_EACH(malformed_address_is_refused, ARRAY_SIZE(malformed)),
                TEST_EACH(port_that_does_not_exist_is_refused, ARRAY_SIZE(no_ports)),
                TEST_EACH(first_and_last_port, 2),
                TEST(unknown_service_is_no_address),
                TEST(tcp_host_and_port),
                TEST(tcp_host_of_ipv6_in_brackets),
                TEST(socket_is_connected_close_on_exec_and_does_not_block),
                TEST(peer_is_who_listens),
                TEST(path_longer_than_a_socket_address_works),
                TEST(name_that_cannot_be_a_socket_is_too_long),
                TEST(no_such_file),
                TEST(no_such_directory),
                TEST(stale_socket_refuses),
                TEST(plain_file_is_no_socket),
                TEST(directory_is_no_socket),
                TEST(socket_of_another_kind),
                TEST(full_queue_says_try_again),
                TEST(tcp_connects),
                TEST(vanished_tcp_host_is_noticed_in_time),
                TEST(tcp_refused),
        };

        return test_main("address", tests, ARRAY_SIZE(tests), NULL, teardown);
}
