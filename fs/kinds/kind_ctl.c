/*
 * `ctl`: one verb a write, which returns when the verb is done, not when QEMU has heard it.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/answer.h"
#include "fs/kinds/kinds.h"
#include "qmp/nearest.h"
#include "fs/fuse/session.h"

static const struct verb *find(const struct verb *verbs, const char *name, size_t size)
{
        for (; verbs->name; verbs++)
                if (strlen(verbs->name) == size && strncmp(verbs->name, name, size) == 0)
                        return verbs;
        return NULL;
}

/* The error for an unknown verb: the first @n bytes of the written line. */
static int no_verb(struct request *r, const struct verb *verbs, size_t n)
{
        struct qmp_nearest nearest;
        const char *name;

        r->data[n] = '\0';
        qmp_nearest_init(&nearest, r->data);
        for (; verbs->name; verbs++)
                qmp_nearest_offer(&nearest, verbs->name);
        name = qmp_nearest_get(&nearest);
        return request_fail(r, -EINVAL, NULL, "no such verb%s%s%s; read the file for a list",
                            name ? " (nearest: '" : "", name ? name : "", name ? "')" : "");
}

static int ctl_write(struct request *r, struct file *file)
{
        const struct verb *verbs = file->inode->row->data, *verb;
        struct action_use use = { 0 };
        size_t n = strcspn(r->data, " \t");
        int e;

        answer_drop(file);
        verb = find(verbs, r->data, n);
        if (!verb)
                return no_verb(r, verbs, n);
        if (!action_is_supported(r->vm, &verb->action))
                return request_fail(r, -EOPNOTSUPP, NULL, "this server has no command '%s'",
                                    verb->action.steps[0].does.command);
        use.action = &verb->action;
        use.name = verb->name;
        use.words.own = verb->action.words;
        e = words_parse(r, &use.words, verb->name, r->data + n);
        return e < 0 ? e : action_start(r, &use);
}

static int ctl_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        FILE *out;

        (void)r;
        out = open_memstream(&ret_text->data, &ret_text->size);
        if (!out)
                return -ENOMEM;
        for (const struct verb *verb = inode->row->data; verb->name; verb++)
                if (action_is_supported(inode->vm, &verb->action))
                        fprintf(out, "%-10s %s\n", verb->name, verb->help);
        fputc('\n', out);
        outcomes_print(&inode->session->outcomes, inode->ino, out);
        return qmp_close_text(out, &ret_text->data);
}

static int64_t ctl_size(struct inode *inode)
{
        struct text text;
        int64_t size = -1;

        if (ctl_render(NULL, inode, &text) == 0) {
                size = (int64_t)text.size;
                free(text.data);
        }
        return size;
}

static bool ctl_supported(const struct vm *vm, const struct row *row)
{
        for (const struct verb *verb = row->data; verb->name; verb++)
                if (action_is_supported(vm, &verb->action))
                        return true;
        return false;
}

const struct kind kind_ctl = {
        .type = S_IFREG,
        .supported = ctl_supported,
        .own_inode = true,
        .render = ctl_render,
        .read = answer_or_content,
        .write = ctl_write,
        .release = answer_free,
        .size = ctl_size,
};
