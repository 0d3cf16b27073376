/*
 * rounds [-r ROUNDS] [-n CALLS] [-b MSEC] [-w] NAME=OPERATION... -- times operations round robin, so that whatever the
 * machine does meanwhile hits all of them alike, and prints as JSON
 * {NAME: {"rounds": [median µs of each round], "p50": µs, "p99": µs, "calls": how many}}.
 *
 *   -r  rounds (20)
 *   -n  calls of each operation in a round (100)
 *   -b  once they have taken this long, a round of an operation ends; one call is made anyway (300)
 *   -w  nothing is called once beforehand to warm up
 *
 * An operation, its arguments apart by '|':
 *   cat|PATH                    open, fstat, read to the end, close
 *   ls|PATH                     opendir, readdir, lstat of each entry
 *   find|PATH                   a walk over a directory tree, as find does
 *   qmp|SOCKET|COMMAND          a QMP command: write it, read its reply
 *   parse|SOCKET|COMMAND        the same, and json-c parses the reply
 *   print|SOCKET|COMMAND|N      the same, and json-c prints element N of what was returned
 *   tree|SOCKET                 a walk over the object model, qom-list by qom-list
 *   run|INPUT|PROGRAM|ARG|...   a whole process, from its start to its end
 * With "cold:" before it, each call is preceded by a pause in which whatever was cached gets stale.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX       15
#define OPERATIONS_MAX 64
#define BUFFER_SIZE    (4 << 20)
#define PAUSE_US       150000 /* longer than structure_ttl, and than anything is shared for */
#define EXIT_NO_EXEC   127

struct operation {
        const char *name;
        void (*run)(const struct operation *);
        char *args[ARGS_MAX + 1]; /* NULL behind the last */
        int fd;
        bool cold;
        double *rounds; /* µs */
        double *calls;  /* all of them, µs */
        size_t n_calls;
};

extern char **environ;
static char buffer[BUFFER_SIZE];

static void die(const char *what, const char *on)
{
        fprintf(stderr, "rounds: %s '%s': %s\n", what, on, strerror(errno));
        exit(1);
}

static double now_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* --- operations -------------------------------------------------------------------------------------------------- */

static void run_cat(const struct operation *op)
{
        struct stat st;
        ssize_t n;
        int fd = open(op->args[0], O_RDONLY);

        if (fd < 0 || fstat(fd, &st) < 0)
                die("cannot open", op->args[0]);
        while ((n = read(fd, buffer, 128 << 10)) > 0)
                ;
        if (n < 0)
                die("cannot read", op->args[0]);
        close(fd);
}

static void run_ls(const struct operation *op)
{
        DIR *dir = opendir(op->args[0]);
        struct dirent *entry;
        struct stat st;

        if (!dir)
                die("cannot open", op->args[0]);
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        die("cannot stat", entry->d_name);
        closedir(dir);
}

static void walk(int parent, const char *name)
{
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!dir)
                die("cannot open", name);
        while ((entry = readdir(dir)))
                if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        walk(fd, entry->d_name);
        closedir(dir);
}

static void run_find(const struct operation *op)
{
        walk(AT_FDCWD, op->args[0]);
}

/* One reply: a monitor ends each with a newline. Events are passed over. */
static size_t ask(int fd, const char *command)
{
        size_t n = 0;
        ssize_t r;

        if (write(fd, command, strlen(command)) != (ssize_t)strlen(command))
                die("cannot write", command);
        for (;;) {
                r = read(fd, buffer + n, sizeof(buffer) - n - 1);
                if (r <= 0)
                        die("no reply to", command);
                n += (size_t)r;
                if (buffer[n - 1] != '\n')
                        continue;
                buffer[n] = '\0';
                if (strncmp(buffer, "{\"timestamp\"", 12) != 0)
                        return n;
                n = 0;
        }
}

static void run_qmp(const struct operation *op)
{
        ask(op->fd, op->args[1]);
}

static struct json_object *parse(size_t size)
{
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *reply = json_tokener_parse_ex(tokener, buffer, (int)size);

        json_tokener_free(tokener);
        if (!reply)
                die("cannot parse", "a reply");
        return reply;
}

static void run_parse(const struct operation *op)
{
        json_object_put(parse(ask(op->fd, op->args[1])));
}

static void run_print(const struct operation *op)
{
        struct json_object *reply = parse(ask(op->fd, op->args[1])), *result;

        json_object_object_get_ex(reply, "return", &result);
        result = json_object_array_get_idx(result, (size_t)atoi(op->args[2]));
        if (!json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED))
                die("cannot print", op->args[1]);
        json_object_put(reply);
}

static void list(int fd, const char *path)
{
        char command[4096];
        struct json_object *string = json_object_new_string(path), *reply, *result;

        snprintf(command, sizeof(command), "{\"execute\":\"qom-list\",\"arguments\":{\"path\":%s}}",
                 json_object_to_json_string_ext(string, JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(string);
        reply = parse(ask(fd, command));
        json_object_object_get_ex(reply, "return", &result);
        for (size_t i = 0; i < json_object_array_length(result); i++) {
                struct json_object *item = json_object_array_get_idx(result, i), *type, *name;
                char below[2048];

                json_object_object_get_ex(item, "type", &type);
                json_object_object_get_ex(item, "name", &name);
                if (strncmp(json_object_get_string(type), "child<", 6) != 0)
                        continue;
                snprintf(below, sizeof(below), "%s/%s", strcmp(path, "/") == 0 ? "" : path,
                         json_object_get_string(name));
                list(fd, below);
        }
        json_object_put(reply);
}

static void run_tree(const struct operation *op)
{
        list(op->fd, "/");
}

/*
 * The output goes to a file: some programs, grep among them, do less work if they see that nobody reads it. That a program
 * fails is fine, since a grep over thousands of files may well fail for one of them.
 */
static void run_process(const struct operation *op)
{
        static int output = -1;
        posix_spawn_file_actions_t actions;
        char *const *argv = op->args + 1;
        pid_t pid;
        int status;

        if (output < 0)
                output = memfd_create("output", 0);
        if (ftruncate(output, 0) < 0 || lseek(output, 0, SEEK_SET) < 0)
                die("cannot empty", "the output");
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, op->args[0], O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
        if (errno != 0)
                die("cannot run", argv[0]);
        posix_spawn_file_actions_destroy(&actions);
        waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) == EXIT_NO_EXEC)
                die("it ended in a bad way:", argv[0]);
}

static const struct {
        const char *name;
        void (*run)(const struct operation *);
        bool connects;
} kinds[] = {
        { "cat", run_cat, false },     { "ls", run_ls, false },    { "find", run_find, false },
        { "run", run_process, false }, { "qmp", run_qmp, true },   { "parse", run_parse, true },
        { "print", run_print, true },  { "tree", run_tree, true },
};

/* --- set-up ------------------------------------------------------------------------------------------------------ */

/* A monitor serves one client at a time: one connection for each socket. */
static int connect_monitor(const char *path)
{
        static struct {
                const char *path;
                int fd;
        } known[8];
        static size_t n;
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        for (size_t i = 0; i < n; i++)
                if (strcmp(known[i].path, path) == 0)
                        return known[i].fd;
        known[n].path = path;
        known[n].fd = socket(AF_UNIX, SOCK_STREAM, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (connect(known[n].fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                die("cannot connect to", path);
        if (read(known[n].fd, buffer, sizeof(buffer)) <= 0)
                die("no greeting from", path);
        ask(known[n].fd, "{\"execute\":\"qmp_capabilities\"}");
        return known[n++].fd;
}

static void set_up(struct operation *op, char *text)
{
        char *kind = strchr(text, '=');
        size_t n = 0, k = 0;

        if (!kind)
                die("expected NAME=OPERATION, not", text);
        *kind++ = '\0';
        op->name = text;
        if (strncmp(kind, "cold:", 5) == 0) {
                op->cold = true;
                kind += 5;
        }
        for (char *arg = strchr(kind, '|'); arg && n < ARGS_MAX; arg = strchr(arg, '|')) {
                *arg++ = '\0';
                op->args[n++] = arg;
        }
        for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[k].name, kind) != 0; k++)
                ;
        if (k == sizeof(kinds) / sizeof(kinds[0]) || n == 0)
                die("no such operation", kind);
        op->run = kinds[k].run;
        if (kinds[k].connects)
                op->fd = connect_monitor(op->args[0]);
}

static int compare(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static double percentile(double *values, size_t n, double p)
{
        qsort(values, n, sizeof(*values), compare);
        return values[(size_t)(p * (double)(n - 1) + 0.5)];
}

/* What is slow needs fewer calls to be known: the round ends when its time is over. */
static void run_round(struct operation *op, size_t round, size_t n_calls, double budget_us)
{
        double *calls = op->calls + op->n_calls;
        double begin = now_us();
        size_t n = 0;

        do {
                double from;

                if (op->cold)
                        usleep(PAUSE_US);
                from = now_us();
                op->run(op);
                calls[n++] = now_us() - from;
        } while (n < n_calls && now_us() - begin < budget_us);
        op->rounds[round] = percentile(calls, n, 0.5);
        op->n_calls += n;
}

static void print(const struct operation *op, size_t n_rounds, bool last)
{
        printf("\"%s\": {\"rounds\": [", op->name);
        for (size_t i = 0; i < n_rounds; i++)
                printf("%s%.2f", i > 0 ? ", " : "", op->rounds[i]);
        printf("], \"p50\": %.2f, \"p99\": %.2f, \"calls\": %zu}%s\n", percentile(op->calls, op->n_calls, 0.5),
               percentile(op->calls, op->n_calls, 0.99), op->n_calls, last ? "" : ",");
}

int main(int argc, char **argv)
{
        static struct operation operations[OPERATIONS_MAX];
        size_t n_rounds = 20, n_calls = 100, n = 0;
        double budget_us = 300e3;
        bool warm_up = true;
        int option;

        while ((option = getopt(argc, argv, "r:n:b:w")) >= 0) {
                if (option == 'r')
                        n_rounds = strtoul(optarg, NULL, 10);
                else if (option == 'n')
                        n_calls = strtoul(optarg, NULL, 10);
                else if (option == 'b')
                        budget_us = strtod(optarg, NULL) * 1e3;
                else if (option == 'w')
                        warm_up = false;
                else
                        return 2;
        }
        if (n_rounds == 0 || n_calls == 0)
                return 2;
        for (; optind < argc && n < OPERATIONS_MAX; optind++, n++) {
                set_up(&operations[n], argv[optind]);
                operations[n].rounds = calloc(n_rounds, sizeof(double));
                operations[n].calls = calloc(n_rounds * n_calls, sizeof(double));
        }
        for (size_t i = 0; i < n && warm_up; i++)
                operations[i].run(&operations[i]);
        for (size_t round = 0; round < n_rounds; round++)
                for (size_t i = 0; i < n; i++)
                        run_round(&operations[i], round, n_calls, budget_us);
        printf("{");
        for (size_t i = 0; i < n; i++)
                print(&operations[i], n_rounds, i + 1 == n);
        printf("}\n");
        return 0;
}
