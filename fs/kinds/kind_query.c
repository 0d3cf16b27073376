#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "qmp/message.h"
#include "fs/util/render.h"

/* The part of a query's result that the row shows. -EPROTO: it is missing. */
static int render_row(const struct row *row, struct json_object *result, struct text *ret_text)
{
        struct json_object *value;

        if (!row->member)
                return render_json(result, &ret_text->data, &ret_text->size);
        if (!json_object_is_type(result, json_type_object))
                return -EPROTO;
        if (json_object_object_get_ex(result, row->member, &value))
                return render_value(value, &ret_text->data, &ret_text->size);
        if (!row->optional)
                return -EPROTO;
        ret_text->data = strdup("\n");
        ret_text->size = 1;
        return ret_text->data ? 0 : -ENOMEM;
}

static int answer_row(struct request *r, const struct row *row, struct json_object *result, struct text *ret_text)
{
        int e = render_row(row, result, ret_text);

        if (e == -EPROTO)
                return request_fail(r, e, NULL, "QEMU's answer has no '%s'", row->member);
        return e;
}

static int require(struct request *r, struct inode *inode, struct json_object **ret_value)
{
        struct query_spec spec = { .plan = &plan_command, .a = inode->row->query };
        const struct query *query;
        int e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);

        if (e == 0)
                *ret_value = query->value;
        return e;
}

/* The latest result, however old; NULL: none. */
static const struct query *peek(const struct inode *inode)
{
        return query_peek(&inode->vm->peer, &(struct query_spec){ .plan = &plan_command, .a = inode->row->query });
}

static int query_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct json_object *value;
        int e = require(r, inode, &value);

        return e ? e : answer_row(r, inode->row, value, ret_text);
}

static int64_t query_size(struct inode *inode)
{
        const struct query *query = peek(inode);
        struct text text;

        if (!query || render_row(inode->row, query->value, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

const struct kind kind_json = {
        .type = S_IFREG,
        .render = query_render,
        .size = query_size,
};

const struct kind kind_value = {
        .type = S_IFREG,
        .render = query_render,
        .size = query_size,
};

static int state_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        int e = query_render(r, inode, ret_text);
        bool answers = e < 0 && r->waiter.reason_class && streq(r->waiter.reason_class, "CommandNotFound");

        /* a server that has no run state (qemu-storage-daemon) runs as long as it says so */
        if (e != -EHOSTDOWN && !answers)
                return e;
        ret_text->data = strdup(answers ? "running\n" : "down\n");
        if (!ret_text->data)
                return -ENOMEM;
        ret_text->size = strlen(ret_text->data);
        return 0;
}

const struct kind kind_state = {
        .type = S_IFREG,
        .render = state_render,
        .size = query_size,
};

/* 0, -ENOMEM, or -EBADMSG: not a version. */
static int version_line(struct json_object *result, char **ret_line)
{
        _cleanup_(qmp_freep) char *version = NULL;
        int r = qmp_version_format(result, &version);

        if (r < 0)
                return r;
        return asprintf(ret_line, "%s\n", version) < 0 ? -ENOMEM : 0;
}

static int version_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct json_object *value;
        int e = require(r, inode, &value);

        if (e == 0)
                e = version_line(value, &ret_text->data);
        if (e == -EBADMSG)
                return request_fail(r, -EPROTO, NULL, "query-version returned no version");
        if (e)
                return e;
        ret_text->size = strlen(ret_text->data);
        return 0;
}

static int64_t version_size(struct inode *inode)
{
        const struct query *query = peek(inode);
        _cleanup_(qmp_freep) char *line = NULL;

        if (!query || version_line(query->value, &line) < 0)
                return -1;
        return (int64_t)strlen(line);
}

const struct kind kind_version = {
        .type = S_IFREG,
        .render = version_render,
        .size = version_size,
};

static int record_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct json_object *record;
        int e = object_require(inode->object, &r->waiter, FRESH_CONTENT, &record);

        return e ? e : answer_row(r, inode->row, record, ret_text);
}

static int64_t record_size(struct inode *inode)
{
        struct json_object *record = object_record(inode->object);
        struct text text;

        if (!record || render_row(inode->row, record, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

const struct kind kind_record = {
        .type = S_IFREG,
        .render = record_render,
        .size = record_size,
};

const struct kind kind_record_value = {
        .type = S_IFREG,
        .render = record_render,
        .size = record_size,
};
