/*
 * readers -- many who read at once, and one who is interrupted:
 *
 *   readers interrupt MODE FILE COUNT   a process blocked in read() gets a signal: µs from kill() to EINTR, as a JSON list
 *   readers together FILE COUNT MSEC    COUNT threads read FILE for so long, at least once each: {"reads", "errors",
 *                                       "seconds"}
 *   readers park FILE COUNT             COUNT threads, each blocked in a read of a descriptor of its own; says "parked"
 *                                       when they are, and ends with its standard input
 *
 * MODE is r or rw: how the file is opened. park opens for reading and writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE (64 << 10)
/* So few descriptors and threads for one process that no ordinary limit is in the way. */
#define PARKED_PER_PROCESS 500
#define SETTLE_US          3000
#define PARK_SETTLE_US     1000000

static const char *path;

static void die(const char *what)
{
        fprintf(stderr, "readers: %s '%s': %s\n", what, path, strerror(errno));
        exit(1);
}

static double now_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void start_thread(void *(*run)(void *), pthread_t *ret_thread)
{
        pthread_attr_t attr;

        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, STACK_SIZE);
        errno = pthread_create(ret_thread, &attr, run, NULL);
        if (errno != 0)
                die("cannot start a thread for");
        pthread_attr_destroy(&attr);
}

/* --- interrupt --------------------------------------------------------------------------------------------------- */

static void on_signal(int signal)
{
        (void)signal;
}

/* The child: reads, and tells for each EINTR when it came. */
static void be_interrupted(int flags, int out)
{
        struct sigaction action = { .sa_handler = on_signal };
        char buffer[4096];
        int fd = open(path, flags);

        sigaction(SIGUSR1, &action, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fd < 0)
                die("cannot open");
        for (;;) {
                ssize_t n = read(fd, buffer, sizeof(buffer));
                double now = now_us();

                if (n >= 0 || errno != EINTR)
                        die("a read of it ended by itself:");
                if (write(out, &now, sizeof(now)) != sizeof(now))
                        _exit(0);
        }
}

static void interrupt(int flags, size_t count)
{
        int ends[2];
        pid_t pid;

        if (pipe(ends) < 0 || (pid = fork()) < 0)
                die("cannot fork for");
        if (pid == 0)
                be_interrupted(flags, ends[1]);
        close(ends[1]);
        usleep(10 * SETTLE_US);
        printf("[");
        for (size_t i = 0; i < count; i++) {
                double sent, came;

                usleep(SETTLE_US); /* until it is blocked again */
                sent = now_us();
                kill(pid, SIGUSR1);
                if (read(ends[0], &came, sizeof(came)) != sizeof(came))
                        die("no interrupted reader of");
                printf("%s%.2f", i > 0 ? ", " : "", came - sent);
        }
        printf("]\n");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

/* --- together ---------------------------------------------------------------------------------------------------- */

static pthread_barrier_t barrier;
static atomic_ulong n_reads, n_errors;
static double duration_us;

static void read_once(void)
{
        char buffer[4096];
        ssize_t n = -1;
        int fd = open(path, O_RDONLY);

        if (fd >= 0) {
                while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                        ;
                close(fd);
        }
        atomic_fetch_add(n < 0 ? &n_errors : &n_reads, 1);
}

static void *read_together(void *arg)
{
        double begin;

        pthread_barrier_wait(&barrier);
        begin = now_us();
        do
                read_once();
        while (now_us() - begin < duration_us);
        return arg;
}

static void together(size_t count, double msec)
{
        pthread_t *threads = calloc(count, sizeof(*threads));
        double begin;

        duration_us = msec * 1e3;
        pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
        for (size_t i = 0; i < count; i++)
                start_thread(read_together, &threads[i]);
        pthread_barrier_wait(&barrier);
        begin = now_us();
        for (size_t i = 0; i < count; i++)
                pthread_join(threads[i], NULL);
        printf("{\"reads\": %lu, \"errors\": %lu, \"seconds\": %.6f}\n", n_reads, n_errors, (now_us() - begin) / 1e6);
        free(threads);
}

/* --- park -------------------------------------------------------------------------------------------------------- */

static void *read_for_ever(void *arg)
{
        char byte;
        int fd = open(path, O_RDWR);

        if (fd < 0)
                die("cannot open");
        atomic_fetch_add(&n_reads, 1);
        if (read(fd, &byte, 1) < 0)
                die("cannot read");
        die("a read of it ended by itself:");
        return arg;
}

static void park_here(size_t count, int out)
{
        pthread_t thread;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0; i < count; i++)
                start_thread(read_for_ever, &thread);
        while (n_reads < count)
                usleep(1000);
        if (write(out, "", 1) != 1)
                exit(1);
        for (;;)
                pause();
}

static void park(size_t count)
{
        size_t n_children = (count + PARKED_PER_PROCESS - 1) / PARKED_PER_PROCESS;
        pid_t *pids = calloc(n_children, sizeof(*pids));
        int ends[2];
        char byte;

        if (pipe(ends) < 0)
                die("no pipe for");
        for (size_t i = 0; i < n_children; i++) {
                size_t left = count - i * PARKED_PER_PROCESS;

                pids[i] = fork();
                if (pids[i] == 0)
                        park_here(left < PARKED_PER_PROCESS ? left : PARKED_PER_PROCESS, ends[1]);
                if (pids[i] < 0 || read(ends[0], &byte, 1) != 1)
                        die("cannot park readers of");
        }
        usleep(PARK_SETTLE_US);
        puts("parked");
        fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        for (size_t i = 0; i < n_children; i++)
                kill(pids[i], SIGKILL);
        for (size_t i = 0; i < n_children; i++)
                waitpid(pids[i], NULL, 0);
        free(pids);
}

int main(int argc, char **argv)
{
        const char *what = argc > 1 ? argv[1] : "";

        path = argc > 3 ? argv[strcmp(what, "interrupt") == 0 ? 3 : 2] : "";
        if (argc == 5 && strcmp(what, "interrupt") == 0)
                interrupt(strcmp(argv[2], "rw") == 0 ? O_RDWR : O_RDONLY, strtoul(argv[4], NULL, 10));
        else if (argc == 5 && strcmp(what, "together") == 0)
                together(strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
        else if (argc == 4 && strcmp(what, "park") == 0)
                park(strtoul(argv[3], NULL, 10));
        else
                return 2;
        return 0;
}
