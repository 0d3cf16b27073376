/*
 * The whole daemon: requests of the kernel and words of QEMU, in any order.
 *
 * Input: lines, each a step; the first character says which, what is unknown is passed over. After each all is done that can
 * be done without time passing, unless the line begins with "&". Nodes, files and requests are named by a digit: the one of
 * that place, modulo how many there are.
 *
 *   the kernel                               QEMU
 *   L PATH       look up                     @            answers by itself, or waits to be told (at first: by itself)
 *   o F PATH     open; F: r w b n            + TEXT       reply to the oldest command: JSON, !CLASS|DESCRIPTION, nothing:
 *   d PATH       open a directory                         what the table has
 *   l N NAME     look up in node N           - TEXT       the same out of band
 *   O N F        open node N                 # KEY TEXT   what the table has from now on; KEY: NAME, NAME:PATH, …
 *   r F OFF SIZE read, or list               * NAME DATA  an event
 *   w F TEXT     write                       < TEXT       any bytes
 *   W F OFF TEXT the same somewhere          x            closes
 *                                            m N TEXT    the same, so often
 *   c F          close                       X TEXT       connects again, and greets so, or "!" with OOB, or properly
 *   p F          poll                        y N          so many bytes at a time; 0: all
 *   k N, g N     readlink, getattr
 *   s N MASK     setattr                     time
 *   f N COUNT    forget                      t MS         passes
 *   i R          interrupt
 *   z N OP NAME  another operation           u            unmounted in the midst of it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon.h"

#define STEPS_MAX 80
/* By the virtual clock, of one input. */
#define TIME_MAX (400 * SEC)

/* Enough for more events than a stream keeps, and no more in one input. */
#define FLOOD_MAX (160 * 1024)

static uint64_t time_left;
static size_t flood_left;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        daemon_init();
        return 0;
}

/* --- words of a line --------------------------------------------------------------------------------------------- */

static char *next_word(char **rest)
{
        char *word = *rest + strspn(*rest, " "), *end = word + strcspn(word, " ");

        *rest = *end ? end + 1 : end;
        *end = '\0';
        return word;
}

static uint64_t next_number(char **rest)
{
        return strtoull(next_word(rest), NULL, 10);
}

static size_t next_index(char **rest, size_t n)
{
        size_t i = (unsigned char)*next_word(rest);

        return n > 0 ? (i >= '0' ? i - '0' : i) % n : 0;
}

/* A copy, since the table changes under whoever uses it. */
static struct k_node next_node(char **rest)
{
        return kernel.nodes[next_index(rest, kernel.n_nodes)];
}

static bool next_file(char **rest, struct k_file *ret_file)
{
        size_t i = next_index(rest, kernel.n_files);

        if (kernel.n_files == 0)
                return false;
        *ret_file = kernel.files[i];
        return true;
}

static bool is_dir(const struct k_file *file)
{
        return file->flags & O_DIRECTORY;
}

static int next_flags(char **rest)
{
        const char *word = next_word(rest);
        int flags = O_RDONLY;

        for (; *word; word++)
                flags |= *word == 'w'   ? O_WRONLY
                         : *word == 'b' ? O_RDWR
                         : *word == 'n' ? O_NONBLOCK
                         : *word == 't' ? O_TRUNC
                                        : 0;
        return (flags & O_ACCMODE) == O_ACCMODE ? flags & ~O_WRONLY : flags;
}

/* --- the kernel's steps ------------------------------------------------------------------------------------------ */

static void step_open(char *rest)
{
        int flags = next_flags(&rest);
        struct k_file file;

        (void)daemon_open(rest, flags, &file);
}

static void step_opendir(char *rest)
{
        struct k_file file;

        (void)daemon_open(rest, O_RDONLY | O_DIRECTORY, &file);
}

static void step_walk(char *rest)
{
        struct fuse_entry_out entry;

        (void)daemon_walk(rest, &entry);
}

/* A name as the kernel sends them. */
static bool is_name(const char *name)
{
        return *name && strlen(name) <= 255 && !strchr(name, '/') && !streq(name, ".") && !streq(name, "..");
}

static void step_lookup(char *rest)
{
        struct k_node node = next_node(&rest);

        if (is_name(rest))
                (void)k_send_lookup(node.id, rest);
}

static void step_open_node(char *rest)
{
        struct k_node node = next_node(&rest);

        (void)k_send_open(node.id, S_ISDIR(node.mode) ? O_RDONLY | O_DIRECTORY : next_flags(&rest));
}

static void step_read(char *rest)
{
        struct k_file file;
        uint64_t offset;

        if (!next_file(&rest, &file))
                return;
        offset = next_number(&rest);
        offset &= INT64_MAX;
        if (is_dir(&file))
                (void)k_send_readdir(&file, offset, (uint32_t)next_number(&rest) % 8193);
        else
                (void)k_send_read(&file, offset, (uint32_t)next_number(&rest) % 8193);
}

static void step_write(char *rest)
{
        struct k_file file;

        if (next_file(&rest, &file) && !is_dir(&file))
                (void)k_send_pwrite(&file, rest, strlen(rest), 0);
}

static void step_write_at(char *rest)
{
        struct k_file file;
        uint64_t offset;

        if (!next_file(&rest, &file) || is_dir(&file))
                return;
        offset = next_number(&rest);
        (void)k_send_pwrite(&file, rest, strlen(rest), offset & INT64_MAX);
}

static void step_close(char *rest)
{
        struct k_file file;

        if (!kernel.ended && next_file(&rest, &file))
                (void)k_send_release(&file);
}

static void step_poll(char *rest)
{
        static uint64_t handle;
        struct k_file file;

        if (!next_file(&rest, &file) || is_dir(&file))
                return;
        (void)k_send_poll(&file, ++handle);
}

static void step_readlink(char *rest)
{
        (void)k_send_readlink(next_node(&rest).id);
}

static void step_getattr(char *rest)
{
        struct fuse_getattr_in in = { 0 };

        (void)k_send(FUSE_GETATTR, next_node(&rest).id, &in, sizeof(in), NULL, 0);
}

static void step_setattr(char *rest)
{
        struct fuse_setattr_in in = { 0 };
        struct k_node node = next_node(&rest);

        in.valid = (uint32_t)next_number(&rest);
        (void)k_send(FUSE_SETATTR, node.id, &in, sizeof(in), NULL, 0);
}

static void step_forget(char *rest)
{
        struct k_node node = next_node(&rest);
        uint64_t lookups = next_number(&rest);

        if (node.id == FUSE_ROOT_ID || kernel.ended)
                return;
        lookups = lookups > 0 ? lookups : 1;
        k_forget(node.id, lookups < node.lookups ? lookups : node.lookups);
}

static void step_interrupt(char *rest)
{
        size_t i = next_index(&rest, kernel.n_requests);

        /* and one that is not there, or not any more; with room for what follows it */
        if (kernel.n_requests < DAEMON_REQUESTS_MAX)
                daemon_interrupt(kernel.n_requests > 0 ? kernel.requests[i].unique : kernel.unique);
}

/* What the kernel may send, too. Each has a body of its own, and a name where it has one. */
static void step_other(char *rest)
{
        static const struct {
                uint32_t opcode;
                size_t body;
                bool name, two_names;
        } others[] = {
                { FUSE_STATFS, 0, false, false },
                { FUSE_MKNOD, sizeof(struct fuse_mknod_in), true, false },
                { FUSE_MKDIR, sizeof(struct fuse_mkdir_in), true, false },
                { FUSE_UNLINK, 0, true, false },
                { FUSE_RMDIR, 0, true, false },
                { FUSE_SYMLINK, 0, true, true },
                { FUSE_RENAME, sizeof(struct fuse_rename_in), true, true },
                { FUSE_RENAME2, sizeof(struct fuse_rename2_in), true, true },
                { FUSE_LINK, sizeof(struct fuse_link_in), true, false },
                { FUSE_CREATE, sizeof(struct fuse_create_in), true, false },
                { FUSE_ACCESS, sizeof(struct fuse_access_in), false, false },
                { FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), true, false },
                { FUSE_SETXATTR, sizeof(struct fuse_setxattr_in), true, true },
                { FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), false, false },
                { FUSE_REMOVEXATTR, 0, true, false },
                { FUSE_FLUSH, sizeof(struct fuse_flush_in), false, false },
                { FUSE_FSYNC, sizeof(struct fuse_fsync_in), false, false },
                { FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), false, false },
                { FUSE_GETLK, sizeof(struct fuse_lk_in), false, false },
                { FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), false, false },
                { FUSE_LSEEK, sizeof(struct fuse_lseek_in), false, false },
                { FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), false, false },
                { FUSE_BMAP, sizeof(struct fuse_bmap_in), false, false },
                { FUSE_IOCTL, sizeof(struct fuse_ioctl_in), false, false },
                { FUSE_READ, sizeof(struct fuse_read_in), false, false },
                { FUSE_READDIR, sizeof(struct fuse_read_in), false, false },
                { FUSE_READDIRPLUS, sizeof(struct fuse_read_in), false, false },
                { FUSE_POLL, sizeof(struct fuse_poll_in), false, false },
                { 4000, 0, false, false },
        };
        static const char zeros[256];
        struct k_node node = next_node(&rest);
        char names[600];
        size_t i, n = 0;

        i = next_index(&rest, ARRAY_SIZE(others));
        if (others[i].name) {
                if (!is_name(rest))
                        return;
                n = strlen(rest) + 1;
                memcpy(names, rest, n);
                if (others[i].two_names) {
                        memcpy(names + n, rest, n);
                        n *= 2;
                }
        }
        (void)k_send(others[i].opcode, node.id, zeros, others[i].body, names, n);
}

static void step_unmount(char *rest)
{
        (void)rest;
        k_unmount();
}

/* --- QEMU's steps ------------------------------------------------------------------------------------------------ */

static void step_manual(char *rest)
{
        (void)rest;
        daemon_qemu.manual = !daemon_qemu.manual;
        while (!daemon_qemu.manual && (daemon_answer(NULL) || daemon_answer_oob(NULL)))
                ;
}

static void step_answer(char *rest)
{
        (void)daemon_answer(*rest ? rest : NULL);
}

static void step_answer_oob(char *rest)
{
        (void)daemon_answer_oob(*rest ? rest : NULL);
}

static void step_table(char *rest)
{
        char *key = next_word(&rest);

        daemon_on(key, rest);
}

static void step_event(char *rest)
{
        char *name = next_word(&rest), *text;

        CHECK(asprintf(&text,
                       "{\"timestamp\": {\"seconds\": 1795164681, \"microseconds\": 361414}, \"event\": "
                       "\"%s\"%s%s}\r\n",
                       name, *rest ? ", \"data\": " : "", rest) >= 0);
        daemon_say(text, strlen(text));
        free(text);
}

static void step_say(char *rest)
{
        daemon_say(rest, strlen(rest));
}

static void step_flood(char *rest)
{
        size_t n = next_number(&rest), size = strlen(rest);
        char *all = malloc(FLOOD_MAX);

        CHECK(all);
        n = size > 0 && n > flood_left / size ? flood_left / size : n;
        for (size_t i = 0; i < n && size > 0; i++)
                memcpy(all + i * size, rest, size);
        daemon_say(all, n * size);
        flood_left -= n * size;
        free(all);
}

static void step_disconnect(char *rest)
{
        (void)rest;
        fake_close(rig.fake);
}

static void step_connect(char *rest)
{
        daemon_connect(streq(rest, "!") ? FAKE_GREETING_OOB : *rest ? rest : NULL);
}

static void step_chunk(char *rest)
{
        daemon_qemu.chunk = rig.fake->write_chunk = next_number(&rest);
}

static void step_time(char *rest)
{
        uint64_t ns = next_number(&rest) % 1000000 * MS;

        ns = ns < time_left ? ns : time_left;
        time_left -= ns;
        PUMP_FOR(rig.loop, ns);
}

/* --- */

static void run_step(char *line)
{
        static void (*const steps[128])(char *) = {
                ['L'] = step_walk,       ['o'] = step_open,    ['d'] = step_opendir,   ['l'] = step_lookup,
                ['O'] = step_open_node,  ['r'] = step_read,    ['w'] = step_write,     ['W'] = step_write_at,
                ['c'] = step_close,      ['p'] = step_poll,    ['k'] = step_readlink,  ['g'] = step_getattr,
                ['s'] = step_setattr,    ['f'] = step_forget,  ['i'] = step_interrupt, ['z'] = step_other,
                ['u'] = step_unmount,    ['@'] = step_manual,  ['+'] = step_answer,    ['-'] = step_answer_oob,
                ['#'] = step_table,      ['*'] = step_event,   ['<'] = step_say,       ['m'] = step_flood,
                ['x'] = step_disconnect, ['X'] = step_connect, ['y'] = step_chunk,     ['t'] = step_time,
        };
        bool at_once = *line == '&';
        unsigned char c;

        line += at_once;
        c = (unsigned char)*line;
        if (c >= ARRAY_SIZE(steps) || !steps[c])
                return;
        line++;
        steps[c](line + (*line == ' '));
        if (!at_once)
                SETTLE();
}

/* What is for people to read can't do anything to their terminals. */
static void check_texts(void)
{
        static const char *const lines[] = { "connection", "errors" };
        size_t size;
        char *text;

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                if (rig_cat_all(lines[i], &text, &size) < 0)
                        continue;
                CHECK(size == 0 || text[size - 1] == '\n');
                CHECK_MSG(is_printable(text, size, "\n"), "control characters in %s: %s", lines[i], text);
                CHECK(i > 0 || memchr(text, '\n', size) == text + size - 1);
                free(text);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };

        time_left = TIME_MAX;
        flood_left = FLOOD_MAX;
        daemon_new();
        daemon_connect(FAKE_GREETING_OOB);
        for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++) {
                char *line = input_until(&input, '\n', NULL);

                run_step(line);
                free(line);
        }
        SETTLE();
        check_texts();
        daemon_free();
        return 0;
}
