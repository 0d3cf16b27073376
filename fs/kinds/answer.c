#include "fs/kinds/answer.h"

#include <errno.h>
#include <fcntl.h>

#include "fs/fuse/inode.h"
#include "qmp/message.h"
#include "fs/util/render.h"
#include "fs/fuse/session.h"

static void clear(struct file *file, struct answer *a)
{
        free(take_text(&a->text).data);
        (void)file_hold(file, &a->held, 0);
}

int answer_begin(struct request *r, struct file *file)
{
        struct answer *a = file->stream;

        if (!a)
                file->stream = a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        clear(file, a);
        *a = (struct answer){ .behind = r->offset + (off_t)r->written, .origin = -1 };
        return 0;
}

int answer_set(struct file *file, struct text *text)
{
        struct answer *a = file->stream;
        int r = 0;

        clear(file, a);
        if ((file->flags & O_ACCMODE) == O_RDWR) {
                r = file_hold(file, &a->held, text->size);
                if (r == 0)
                        a->text = take_text(text);
        }
        free(take_text(text).data);
        return r;
}

int answer_explain(struct request *r, struct text *text)
{
        int e = answer_begin(r, r->file);

        if (e == 0)
                e = answer_set(r->file, text);
        free(take_text(text).data);
        r->explained = e == 0;
        return e;
}

void answer_set_error(struct file *file, const struct request *r, int error)
{
        _cleanup_(qmp_json_putp) struct json_object *answer = json_object_new_object();
        struct json_object *what = json_object_new_object();
        struct text text;

        if (!answer || !what || json_object_object_add(answer, "error", what) < 0) {
                json_object_put(what);
                return;
        }
        if ((!r->waiter.reason_class || qmp_json_add_string(what, "class", r->waiter.reason_class)) &&
            qmp_json_add_string(what, "desc", r->waiter.reason ? r->waiter.reason : strerror(-error)) &&
            render_json(answer, &text.data, &text.size) == 0)
                (void)answer_set(file, &text);
}

void answer_refuse(struct request *r, struct file *file, int error)
{
        if (answer_begin(r, file) == 0)
                answer_set_error(file, r, error);
}

bool answer_read(struct request *r, struct file *file, struct text *ret_text, int *ret_error)
{
        struct answer *a = file->stream;
        uint64_t at;

        if (!a)
                return false;
        if (a->origin < 0 || r->offset < a->origin)
                a->origin = r->offset >= a->behind ? a->behind : 0;
        at = (uint64_t)(r->offset - a->origin);
        *ret_text = (struct text){ 0 };
        *ret_error = 0;
        if (at >= a->text.size)
                return true;
        ret_text->size = a->text.size - at < r->size ? a->text.size - at : r->size;
        ret_text->data = malloc(ret_text->size);
        if (ret_text->data)
                memcpy(ret_text->data, a->text.data + at, ret_text->size);
        else
                *ret_error = -ENOMEM;
        return true;
}

int answer_or_content(struct request *r, struct file *file, struct text *ret_text)
{
        int e;

        return answer_read(r, file, ret_text, &e) ? e : READ_CONTENT;
}

int usage_render(const struct inode *inode, const char *usage, struct text *ret_text)
{
        FILE *out = open_memstream(&ret_text->data, &ret_text->size);

        if (!out)
                return -ENOMEM;
        fprintf(out, "%s\n", usage);
        outcomes_print(&inode->session->outcomes, inode->ino, out);
        return qmp_close_text(out, &ret_text->data);
}

int64_t usage_size(const struct inode *inode, const char *usage)
{
        struct text text;

        if (usage_render(inode, usage, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

void answer_drop(struct file *file)
{
        if (file->stream)
                clear(file, file->stream);
        answer_free(file);
}

void answer_free(struct file *file)
{
        struct answer *a = take_ptr(file->stream);

        if (!a)
                return;
        free(a->text.data);
        free(a);
}
