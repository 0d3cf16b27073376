#include "tests/lib/operation.h"

#define HERD_MAX 32

/* One of many that are under way at once: PATH is opened and read, PATH=TEXT written. */
struct member {
        const char *path, *text;
        uint64_t node, unique;
        struct k_file file;
        bool is_open;
};

/* What is to be written is opened, what is to be read is looked up. */
static int gather(char *words, struct member *members, size_t *ret_n)
{
        char *save = NULL;

        *ret_n = 0;
        for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                struct member *m = &members[*ret_n];
                char *text = strchr(word, '=');
                struct fuse_entry_out entry;
                int e;

                CHECK(*ret_n < HERD_MAX);
                *m = (struct member){ .path = word };
                ++*ret_n;
                if (text) {
                        *text = '\0';
                        m->text = text + 1;
                        e = rig_open(word, O_WRONLY, &m->file);
                        m->is_open = e == 0;
                } else {
                        e = rig_walk(word, &entry);
                        if (e == 0)
                                m->node = entry.nodeid;
                }
                if (e < 0)
                        return e;
        }
        return 0;
}

/* Opens and writes all at once; the first error. */
static int open_and_write(struct member *members, size_t n)
{
        int first = 0;

        for (size_t i = 0; i < n; i++) {
                struct member *m = &members[i];

                m->unique =
                        m->text ? k_send_write(&m->file, m->text, strlen(m->text)) : k_send_open(m->node, O_RDONLY);
        }
        for (size_t i = 0; i < n; i++) {
                struct member *m = &members[i];
                int e = m->text ? k_wait_error(m->unique) : k_opened(m->unique, &m->file);

                /* as open(2) does */
                if (e == -ESTALE && !m->text)
                        e = rig_open(m->path, O_RDONLY, &m->file);
                if (e == 0)
                        m->is_open = true;
                if (first == 0)
                        first = e;
        }
        return first;
}

/* All at once; the first error, or 0 and all that was read, appended to the text. */
static int read_again(struct member *members, size_t n, char **text)
{
        int e = 0;

        for (size_t i = 0; i < n; i++)
                if (!members[i].text)
                        members[i].unique = k_send_read(&members[i].file, 0, 65536);
        for (size_t i = 0; i < n; i++) {
                struct k_reply *reply;
                char *more;

                if (members[i].text)
                        continue;
                reply = k_wait(members[i].unique);
                if (e == 0)
                        e = reply->error;
                if (e == 0) {
                        CHECK(asprintf(&more, "%s%s", *text, reply->data) >= 0);
                        free(*text);
                        *text = more;
                }
                free(reply);
        }
        return e;
}

/* The first error, or 0 and all that was read: what came with the openings, and what was asked for again. */
static int herd(const char *paths, char **ret_text)
{
        _cleanup_(qmp_freep) char *words = strdup(paths), *text = strdup("");
        struct member members[HERD_MAX];
        size_t n;
        int e = gather(words, members, &n);

        if (e == 0)
                e = open_and_write(members, n);
        for (size_t i = 0; e == 0 && i < 2; i++)
                e = read_again(members, n, &text);
        for (size_t i = 0; i < n; i++)
                if (members[i].is_open)
                        k_release(&members[i].file);
        if (e == 0)
                *ret_text = take_ptr(text);
        return e;
}

static int ask(const char *path, const char *text, char **ret_text)
{
        struct k_file file;
        int e = rig_open(path, O_RDWR, &file);

        if (e < 0)
                return e;
        e = k_wait_error(k_send_write(&file, text, strlen(text)));
        if (e == 0)
                e = rig_read_all(&file, ret_text, NULL);
        k_release(&file);
        return e;
}

/* When the last write was, and how it ended, is nothing that a second reading shows the same. */
static void hide_last_write(char *text)
{
        static const char head[] = "last write: ";
        char *line = text ? strstr(text, head) : NULL;

        if (line)
                memcpy(line + strlen(head), "\n", 2);
}

void op_run(const struct op *op, struct op_result *ret_result)
{
        *ret_result = (struct op_result){ 0 };
        switch (op->verb) {
        case OP_CAT:
                ret_result->error = rig_cat(op->path, &ret_result->text);
                hide_last_write(ret_result->text);
                break;
        case OP_LS:
                ret_result->error = rig_ls(op->path, &ret_result->text);
                break;
        case OP_LINK:
                ret_result->error = rig_readlink(op->path, &ret_result->text);
                break;
        case OP_ECHO:
                ret_result->error = rig_echo(op->path, op->text);
                break;
        case OP_ASK:
                ret_result->error = ask(op->path, op->text, &ret_result->text);
                break;
        case OP_HERD:
                ret_result->error = herd(op->path, &ret_result->text);
                break;
        }
}

void op_result_deinit(struct op_result *result)
{
        free(take_ptr(result->text));
}

bool op_error_is_documented(int error)
{
        static const int errors[] = { 0,      ENODEV, EOPNOTSUPP, EBUSY,     EEXIST, EINVAL,    ENOSPC,      ENOBUFS,
                                      ELOOP,  EAGAIN, EACCES,     ETIMEDOUT, EINTR,  EHOSTDOWN, EMSGSIZE,    EPERM,
                                      EPROTO, EIO,    ENOENT,     ENOTDIR,   EISDIR, ENOMEDIUM, EHOSTUNREACH };

        for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
                if (error == -errors[i])
                        return true;
        return false;
}
