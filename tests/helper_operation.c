#include "helper_operation.h"

#define HERD_MAX 32

/* One of many that are under way at once: PATH is read, PATH=TEXT written. */
struct member {
        struct k_file file;
        const char *text;
        uint64_t unique;
};

static int open_herd(char *words, struct member *members, size_t *ret_n)
{
        char *save = NULL;

        *ret_n = 0;
        for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                struct member *m = &members[*ret_n];
                char *text = strchr(word, '=');
                int e;

                CHECK(*ret_n < HERD_MAX);
                m->text = text ? text + 1 : NULL;
                if (text)
                        *text = '\0';
                e = rig_open(word, text ? O_WRONLY : O_RDONLY, &m->file);
                if (e < 0)
                        return e;
                ++*ret_n;
        }
        return 0;
}

/* The first error, or 0 and all that was read. */
static int herd(const char *paths, char **ret_text)
{
        _cleanup_(qmp_freep) char *words = strdup(paths), *text = strdup("");
        struct member members[HERD_MAX];
        size_t n;
        int e = open_herd(words, members, &n);
        bool is_open = e == 0;

        for (size_t i = 0; is_open && i < n; i++) {
                struct member *m = &members[i];

                m->unique =
                        m->text ? k_send_write(&m->file, m->text, strlen(m->text)) : k_send_read(&m->file, 0, 65536);
        }
        for (size_t i = 0; is_open && i < n; i++) {
                struct member *m = &members[i];
                struct k_reply *reply = k_wait(m->unique);
                char *more;

                if (e == 0)
                        e = reply->error;
                if (e == 0 && !m->text) {
                        CHECK(asprintf(&more, "%s%s", text, reply->data) >= 0);
                        free(text);
                        text = more;
                }
                free(reply);
        }
        for (size_t i = 0; i < n; i++)
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

void op_run(const struct op *op, struct op_result *ret_result)
{
        *ret_result = (struct op_result){ 0 };
        switch (op->verb) {
        case OP_CAT:
                ret_result->error = rig_cat(op->path, &ret_result->text);
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
