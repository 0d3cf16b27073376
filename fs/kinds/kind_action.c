/*
 * Files that do something when they are written: what they do is the table of their row. Reading tells how they are
 * used and how the last write ended. After a write, the same open file has the reply of the last command, or the
 * error.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/answer.h"
#include "fs/kinds/kinds.h"
#include "fs/util/render.h"

/* Every argument of every command could be one that is written. */
#define KEYS_MAX (2 * ACTION_STEPS_MAX * ACTION_ARGUMENTS_MAX)

/* Adds the names under which a command takes what is written. */
static size_t add_keys(const struct action_command *command, const char **keys, size_t n)
{
        for (const struct action_argument *a = command->arguments; a->name; a++) {
                bool known = !a->written;

                for (size_t i = 0; !known && i < n; i++)
                        known = streq(keys[i], a->written);
                if (!known)
                        keys[n++] = a->written;
        }
        return n;
}

static int check_keys(struct request *r, const struct action *action, const struct qmp_args *args)
{
        const char *keys[KEYS_MAX + 1] = { 0 };
        _cleanup_(qmp_freep) char *why = NULL;
        size_t n = 0;
        int e;

        for (size_t i = 0; i < ACTION_STEPS_MAX && action->steps[i].does.command; i++) {
                n = add_keys(&action->steps[i].does, keys, n);
                n = add_keys(&action->steps[i].undo, keys, n);
        }
        e = qmp_args_check_keys(args, keys, &why);
        return why ? request_fail(r, e, NULL, "%s", why) : e;
}

/* An empty object, as most commands return, is nothing to read. */
static int action_done(struct request *r, struct json_object *value)
{
        struct text text;
        int e;

        if (json_object_is_type(value, json_type_object) && json_object_object_length(value) == 0)
                return 0;
        e = render_value(value, &text.data, &text.size);
        return e == 0 ? answer_set(r->file, &text) : e;
}

static void action_failed(struct request *r, int error)
{
        if (error < 0)
                answer_set_error(r->file, r, error);
}

static int action_gone(struct request *r, bool *ret_shown)
{
        struct json_object *record;
        int e = object_require(r->inode->object, &r->waiter, FRESH_CONTENT, &record);

        *ret_shown = e == -ENODEV;
        return e == -ENODEV ? 0 : e;
}

static int start(struct request *r, const struct action_file *file)
{
        struct action_use use = {
                .action = &file->action,
                .name = r->inode->name,
                .words.own = file->action.words,
                .done = action_done,
                .failed = action_failed,
                .shown = file->action.until == ACTION_GONE ? action_gone : NULL,
        };
        _cleanup_(qmp_args_freep) struct qmp_args *args = NULL;
        int e = arguments_parse(r, r->data, &use.words, &args);

        if (e == 0)
                e = check_keys(r, &file->action, args);
        if (e == 0 && r->inode->object)
                e = object_require(r->inode->object, &r->waiter, FRESH_CONTENT, &use.record);
        if (e)
                return e;
        use.args = args;
        return action_start(r, &use);
}

static int action_write(struct request *r, struct file *file)
{
        int e;

        if (r->op)
                return action_continue(r);
        e = answer_begin(r, file);
        if (e < 0)
                return e;
        r->cancel = action_failed;
        return start(r, file->inode->row->data);
}

static int action_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        const struct action_file *file = inode->row->data;

        (void)r;
        return usage_render(inode, file->help, ret_text);
}

static int action_read(struct request *r, struct file *file, struct text *ret_text)
{
        int e;

        return answer_read(r, file, ret_text, &e) ? e : READ_CONTENT;
}

static int64_t action_size(struct inode *inode)
{
        const struct action_file *file = inode->row->data;

        return usage_size(inode, file->help);
}

static bool action_supported(const struct vm *vm, const struct row *row)
{
        const struct action_file *file = row->data;

        return action_is_supported(vm, &file->action);
}

const struct kind kind_action = {
        .type = S_IFREG,
        .supported = action_supported,
        .own_inode = true,
        .render = action_render,
        .read = action_read,
        .write = action_write,
        .json = "{",
        .refuse = answer_refuse,
        .release = answer_free,
        .size = action_size,
};
