#include "fs/fuse/writing.h"

#include <errno.h>
#include <fcntl.h>

#include "fs/fuse/inode.h"
#include "fs/fuse/memory.h"
#include "qmp/json.h"
#include "fs/fuse/session.h"

/* No writer has a smaller buffer. */
#define BUFFER_MIN 512

/* A shorter line takes no more than its request, and is taken even if open files leave no memory. */
#define LINE_SHORT 4096

static void drop(struct file *file)
{
        struct writing *w = &file->writing;

        free(take_ptr(w->piece));
        w->size = 0;
        (void)file_hold(file, &w->held, 0);
}

/* Its writes have succeeded, so this is the only word of it that everybody gets. */
static void drop_with_a_word(struct file *file)
{
        struct writing *w = &file->writing;
        _cleanup_(qmp_freep) char *path = w->piece ? inode_path(file->inode) : NULL;
        char text[100];

        if (!w->piece)
                return;
        snprintf(text, sizeof(text), "a line of %zu bytes without a newline at its end: nothing was done", w->size);
        if (file->inode->vm)
                vm_log_error(file->inode->vm, w->who, path ? path : "?", EINVAL, NULL, text);
        if (file->inode->kind->own_inode)
                outcomes_note(&file->inode->session->outcomes, file->inode->ino, w->who, EINVAL, NULL, text);
        drop(file);
}

void writing_end(struct file *file)
{
        drop_with_a_word(file);
        free(take_ptr(file->writing.json));
}

int writing_flush(struct file *file, uint64_t owner)
{
        struct writing *w = &file->writing;

        if (w->broken == owner)
                w->broken = 0;
        if (!w->piece)
                return 0;
        if (w->owner == owner) {
                drop_with_a_word(file);
                w->refused = -EINVAL;
        }
        return -EINVAL;
}

void writing_note_read(struct writing *w, off_t to)
{
        w->read_to = to;
        if (to > w->farthest)
                w->farthest = to;
}

/*
 * A request is written at offset 0, as those write who open a file for it (sftp-server, NFS servers and bindfs by
 * pwrite(2)), or wherever the file position of a shell that keeps the file open has come to. It stays where it was
 * when a write fails, and moves with what is read. Anything else would be a piece of something larger.
 */
static int check_offset(struct request *r)
{
        struct writing *w = &r->file->writing;
        off_t at = r->offset;

        /* a piece that was kept has moved the position: what is written there again would be in the line twice */
        if (at != 0 && (at != w->from || w->piece) && at != w->to && at != w->read_to && at != w->farthest &&
            !(r->flags & O_APPEND))
                return request_fail(
                        r, -EINVAL, NULL,
                        "a write at offset %lld: a request begins at offset 0 or where the last one ended",
                        (long long)at);
        w->from = at;
        w->to = w->farthest = at + (off_t)r->written;
        return 0;
}

/* The line so far, with what is written now. */
static int append(struct request *r, const char *data, size_t size)
{
        struct writing *w = &r->file->writing;
        char *piece;

        if (w->size + size - (data[size - 1] == '\n') > WRITING_MAX)
                return request_fail(r, -EMSGSIZE, NULL, "a request is one line of at most 64 KiB");
        piece = realloc(w->piece, w->size + size + 1);
        if (!piece)
                return -ENOMEM;
        memcpy(piece + w->size, data, size);
        w->piece = piece;
        w->size += size;
        piece[w->size] = '\0';
        return 0;
}

/*
 * Several lines that arrive in one write would be several requests if their writer had a smaller buffer, or one for
 * each line. A line of JSON is mostly no JSON by itself.
 */
static int check_lines(struct request *r)
{
        const char *json = r->inode->kind->json;
        char first = r->data[strspn(r->data, " \t\r")];

        if (!strchr(r->data, '\n') || (json && first && strchr(json, first)))
                return 0;
        return request_fail(r, -EINVAL, NULL, "more than one line in a write: a request is one line%s",
                            !json              ? ""
                            : streq(json, "{") ? ", unless it is a JSON object"
                                               : ", unless it is a JSON object or list");
}

/*
 * Where the JSON of a text begins: after words ("nowait", "timeout=3"), and after the empty lines and words of
 * earlier lines. Only such words are skipped whose end is certain, so a brace in a quoted value is not its beginning.
 */
static const char *find_json(const char *text)
{
        static const char separators[] = ", \t\r\n";
        const char *at = text + strspn(text, separators);

        while (*at && *at != '{' && *at != '[') {
                size_t size = strcspn(at, separators);

                if (memchr(at, '"', size))
                        return text;
                at += size;
                at += strspn(at, separators);
        }
        return at;
}

/*
 * A JSON text whose lines come one by one. The first is refused here, not by its kind, for the sake of the others:
 * each is refused as long as it continues the text, even if it is a request by itself.
 */
static int check_json(struct request *r)
{
        struct writing *w = &r->file->writing;
        _cleanup_(qmp_freep) char *before = take_ptr(w->json), *text = NULL;
        bool continues = before != NULL;
        int e;

        if (!r->inode->kind->json || r->inode->kind->or_text)
                return 0;
        if (asprintf(&text, "%s%s%s", continues ? before : "", continues ? "\n" : "",
                     continues ? r->data : find_json(r->data)) < 0)
                text = NULL;
        e = text ? qmp_json_check(text) : -ENOMEM;
        if (e == -EINVAL && continues) {
                /* something else */
                free(text);
                text = strdup(find_json(r->data));
                e = text ? qmp_json_check(text) : -ENOMEM;
                continues = false;
        }
        if (e == -ENOMEM) {
                w->json = take_ptr(before);
                return e;
        }
        if (e == QMP_JSON_INCOMPLETE && strlen(text) <= WRITING_MAX)
                w->json = take_ptr(text);
        free(take_ptr(before));
        if (file_hold(r->file, &w->json_held, w->json ? strlen(w->json) : 0) < 0) {
                free(take_ptr(w->json));
                (void)file_hold(r->file, &w->json_held, 0);
                return memory_fail(r, r->file->foreign);
        }
        if (continues)
                return request_fail(r, -EINVAL, NULL, "the rest of a refused JSON text, up to its end");
        if (e == QMP_JSON_INCOMPLETE)
                return request_fail(r, -EINVAL, NULL, "the JSON value is incomplete");
        return 0;
}

static int take_line(struct request *r)
{
        struct writing *w = &r->file->writing;
        int e;

        r->size = w->size - 1;
        r->data = take_ptr(w->piece);
        r->data[r->size] = '\0';
        w->size = 0;
        (void)file_hold(r->file, &w->held, 0);
        if (r->size >= LINE_SHORT && file_hold(r->file, &r->held, r->size + 1) < 0)
                return memory_fail(r, r->file->foreign);
        if (strlen(r->data) < r->size)
                return request_fail(r, -EINVAL, NULL, "the line contains a NUL byte");
        e = check_json(r);
        return e < 0 ? e : check_lines(r);
}

static int fail_rest(struct request *r, int error)
{
        return request_fail(r, error, NULL, "the rest of a %s, up to the next newline",
                            error == -EMSGSIZE ? "line of more than 64 KiB" : "refused line");
}

static int take(struct request *r, const char *data, size_t size, bool ends)
{
        struct writing *w = &r->file->writing;
        int e;

        if (w->refused) {
                e = w->refused;
                w->refused = ends ? 0 : e;
                return fail_rest(r, e);
        }
        e = append(r, data, size);
        if (e == 0 && ends)
                return take_line(r);
        if (e == 0 && size % BUFFER_MIN == 0) {
                if (file_hold(r->file, &w->held, w->size + 1) == 0)
                        return WRITING_KEPT;
                e = memory_fail(r, r->file->foreign);
        }
        w->refused = ends ? 0 : e == -EMSGSIZE ? e : -EINVAL;
        return e < 0 ? e : request_fail(r, -EINVAL, NULL, "a line without a newline at its end: nothing was done");
}

/* Neither a line that two processes have written together nor the rest of it is carried out. */
static int check_owner(struct request *r, bool ends)
{
        struct writing *w = &r->file->writing;

        if (w->broken && w->broken == r->owner) {
                w->broken = ends ? 0 : w->broken;
                return fail_rest(r, -EINVAL);
        }
        if (!w->piece || w->owner == r->owner)
                return 0;
        drop_with_a_word(r->file);
        w->broken = w->owner;
        w->refused = ends ? 0 : -EINVAL;
        return request_fail(r, -EINVAL, NULL,
                            "another process has written the beginning of this line: nothing was done");
}

int writing_take(struct request *r, const char *data, size_t size)
{
        struct writing *w = &r->file->writing;
        bool ends = size > 0 && data[size - 1] == '\n';
        int e;

        r->written = size;
        if (size == 0)
                return request_fail(r, -EINVAL, NULL, "an empty write");
        /* another line; that of another process would leave the rest of this one to be a request by itself */
        if (w->piece && w->owner == r->owner && r->offset == 0 && w->to > 0 && !file_is_stream(r->file) &&
            !(r->flags & O_APPEND))
                drop_with_a_word(r->file);
        e = check_owner(r, ends);
        if (e < 0)
                return e;
        w->who = r->who;
        w->owner = r->owner;
        e = check_offset(r);
        if (e == 0)
                e = take(r, data, size, ends);
        if (e < 0)
                drop(r->file);
        return e;
}
