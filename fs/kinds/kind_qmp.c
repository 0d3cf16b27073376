/*
 * `qmp`: the protocol itself. Commands are written, one or several in a write; their replies are read from the same
 * open file, in the commands' order, a line of JSON each. The commands go over the mount's own connection, so what
 * goes out is always whole, and the ids that a user gives stay here: replies are matched as the client does it.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/kinds/answer.h"
#include "fs/kinds/call.h"
#include "fs/fuse/poll.h"
#include "fs/kinds/kinds.h"
#include "qmp/json.h"
#include "qmp/message.h"
#include "fs/util/render.h"

/* The limit of unread replies of one open file. */
#define UNREAD_MAX (64 << 20)

static const char usage[] =
        "{ echo '{\"execute\":\"query-status\"}' >&3 && cat <&3; } 3<>qmp\n"
        "\n"
        "Write one or more complete QMP commands. Then read the replies from the same open file: one per line, in\n"
        "the order of the commands and with their ids, up to the end of the file.\n";

/* The unread replies. */
struct replies {
        char *data;
        size_t start, end, size;
        size_t held; /* see file_hold() */
};

/* One command of a write. */
struct item {
        struct call call;
        struct json_object *request;
        struct text reply; /* a line */
};

/* One write. */
struct qmp_op {
        struct calls calls;
        size_t n, size; /* size: of the replies */
        size_t held;    /* see file_hold() */
        int error;      /* the first one of QEMU's, if it is the write's */
        struct item items[];
};

/* --- what was written ------------------------------------------------------------------------------------------- */

/* One that ends where QEMU's does. */
static bool is_command_name(struct json_object *value)
{
        return json_object_is_type(value, json_type_string) &&
               strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

static int check_member(struct request *r, const char *key, struct json_object *value)
{
        bool is_name = streq(key, "execute") || streq(key, "exec-oob");

        if (is_name && !is_command_name(value))
                return request_fail(r, -EINVAL, NULL, "'%s': expected the name of a command", key);
        if (streq(key, "arguments") && !json_object_is_type(value, json_type_object))
                return request_fail(r, -EINVAL, NULL, "'arguments': expected an object");
        if (!is_name && !streq(key, "arguments") && !streq(key, "id"))
                return request_fail(r, -EINVAL, NULL, "unknown key; expected execute, exec-oob, arguments or id");
        return 0;
}

static bool lacks_oob(struct vm *vm)
{
        struct qmp_client_info info;

        qmp_client_get_info(vm->peer.client, &info);
        return info.state == QMP_CLIENT_UP && !info.can_probe;
}

static int check(struct request *r, struct json_object *request)
{
        bool in_band, oob;

        if (!json_object_is_type(request, json_type_object))
                return request_fail(r, -EINVAL, NULL, "a command is a JSON object: {\"execute\": …}");
        json_object_object_foreach(request, key, value) {
                int e = check_member(r, key, value);

                if (e < 0)
                        return e;
        }
        in_band = json_object_object_get_ex(request, "execute", NULL);
        oob = json_object_object_get_ex(request, "exec-oob", NULL);
        if (in_band == oob)
                return request_fail(r, -EINVAL, NULL, "a command has either 'execute' or 'exec-oob'");
        /* found out now: the commands before it are not to be carried out either */
        if (oob && lacks_oob(r->vm))
                return request_fail(r, -EOPNOTSUPP, NULL, "this monitor does not execute out of band");
        return 0;
}

/* All commands that are executed out of band are sent at once, and all or none of them. */
static int check_room(struct request *r, const struct qmp_op *op)
{
        struct qmp_client_info info;
        size_t n = 0;

        for (size_t i = 0; i < op->n; i++)
                n += json_object_object_get_ex(op->items[i].request, "exec-oob", NULL);
        if (n > QMP_OOB_MAX)
                return request_fail(r, -EINVAL, NULL, "more than %d commands with 'exec-oob' in one write",
                                    QMP_OOB_MAX);
        qmp_client_get_info(r->vm->peer.client, &info);
        if (info.state == QMP_CLIENT_UP && n > info.oob_room)
                return request_fail(r, -EBUSY, NULL,
                                    "%zu commands with 'exec-oob', and %u of at most %d are unanswered", n,
                                    QMP_OOB_MAX - info.oob_room, QMP_OOB_MAX);
        return 0;
}

static void op_free(struct qmp_op *op)
{
        for (size_t i = 0; i < op->n; i++) {
                call_deinit(&op->items[i].call);
                json_object_put(op->items[i].request);
                free(op->items[i].reply.data);
        }
        free(op);
}

/* All of the text, or nothing. */
static int parse(struct request *r, struct qmp_op **ret_op)
{
        struct qmp_op *op = calloc(1, sizeof(*op));
        size_t offset = 0;

        if (!op)
                return -ENOMEM;
        while (r->data[offset] || op->n == 0) {
                _cleanup_(qmp_json_putp) struct json_object *request = NULL;
                _cleanup_(qmp_freep) char *why = NULL;
                struct qmp_op *grown;
                int e = qmp_json_next(r->data, &offset, &request, &why);

                if (why)
                        request_fail(r, e, NULL, "%s", why);
                if (e == 0)
                        e = check(r, request);
                /* grown by doubling: at most a command for every few bytes of 64 KiB */
                if (e == 0 && (op->n & (op->n - 1)) == 0) {
                        grown = realloc(op, sizeof(*op) + (op->n ? 2 * op->n : 1) * sizeof(op->items[0]));
                        if (grown)
                                op = grown;
                        else
                                e = -ENOMEM;
                }
                if (e < 0) {
                        op_free(op);
                        return e;
                }
                op->items[op->n++] = (struct item){ .request = take_ptr(request) };
        }
        *ret_op = op;
        return 0;
}

/* --- replies ---------------------------------------------------------------------------------------------------- */

static int make_room(struct file *file, size_t room)
{
        struct replies *replies = file->stream;
        size_t unread = replies->end - replies->start, size = 2 * (unread + room);
        char *data;

        if (replies->size - replies->end >= room)
                return 0;
        if (file_hold(file, &replies->held, size) < 0) {
                size = unread + room;
                if (file_hold(file, &replies->held, size) < 0)
                        return -ENOMEM;
        }
        data = malloc(size);
        if (!data) {
                (void)file_hold(file, &replies->held, replies->size);
                return -ENOMEM;
        }
        if (unread > 0)
                memcpy(data, replies->data + replies->start, unread);
        free(replies->data);
        *replies = (struct replies){ data, 0, unread, size, replies->held };
        return 0;
}

static int add_reply(struct file *file, const struct text *reply)
{
        struct replies *replies = file->stream;

        if (make_room(file, reply->size + 1) < 0)
                return -ENOMEM;
        memcpy(replies->data + replies->end, reply->data, reply->size);
        replies->end += reply->size;
        replies->data[replies->end++] = '\n';
        return 0;
}

/* Delivers the replies received so far, in order. The other commands are dropped. */
static void deliver(struct qmp_op *op, struct file *file)
{
        for (size_t i = 0; file_is_stream(file) && i < op->n; i++)
                if (op->items[i].reply.data && add_reply(file, &op->items[i].reply) < 0)
                        break;
        file_notify(file);
}

static bool qmp_is_committed(const struct request *r)
{
        const struct qmp_op *op = r->op;

        return calls_is_committed(&op->calls);
}

static void qmp_cancel(struct request *r, int error)
{
        struct qmp_op *op = take_ptr(r->op);

        if (error == -ETIMEDOUT)
                calls_expire(&op->calls, NULL, "it may still carry it out");
        calls_end(&op->calls);
        deliver(op, r->file);
        (void)file_hold(r->file, &op->held, 0);
        op_free(op);
}

/* The reply as QEMU would have given it to the user. */
static int format_reply(const struct item *item, const struct qmp_result *result, struct text *ret_text)
{
        _cleanup_(qmp_json_putp) struct json_object *reply = json_object_new_object();
        _cleanup_(qmp_json_putp) struct json_object *error = NULL;
        struct json_object *id;

        if (!reply)
                return -ENOMEM;
        if (json_object_object_get_ex(item->request, "id", &id) && !qmp_json_add(reply, "id", json_object_get(id)))
                return -ENOMEM;
        if (result->outcome == QMP_OK) {
                if (!qmp_json_add(reply, "return", json_object_get(result->value)))
                        return -ENOMEM;
        } else {
                error = json_object_new_object();
                if (!error || !qmp_json_add_string(error, "class", result->error_class) ||
                    !qmp_json_add_string(error, "desc", result->text) ||
                    !qmp_json_add(reply, "error", json_object_get(error)))
                        return -ENOMEM;
        }
        return render_json_line(reply, &ret_text->data, &ret_text->size);
}

/* If the file is not open for reading, the write fails. The reply itself is unchanged. */
static void note_error(struct qmp_op *op, const struct call *call, const struct qmp_result *result)
{
        struct request *r = op->calls.r;

        if (file_is_stream(r->file)) {
                _cleanup_(qmp_freep) char *words = call_words(call, result);

                request_log(r, -result->error, result->error_class, words);
        } else if (!op->error) {
                op->error = call_fail(call, result);
        }
}

static void qmp_replied(struct call *call, const struct qmp_result *result)
{
        struct item *item = container_of(call, struct item, call);
        struct qmp_op *op = container_of(call->calls, struct qmp_op, calls);
        struct request *r = op->calls.r;
        bool last = list_empty(&op->calls.under_way);
        int e;

        if (result->outcome != QMP_OK && result->outcome != QMP_ERROR) {
                request_finish(r, call_fail(call, result));
                return;
        }
        if (result->outcome == QMP_ERROR)
                note_error(op, call, result);
        e = file_is_stream(r->file) ? format_reply(item, result, &item->reply) : 0;
        op->size += item->reply.size;
        if (e == 0 && op->size > UNREAD_MAX)
                e = request_fail(r, -ENOBUFS, NULL, "more than %d MiB of replies to one write", UNREAD_MAX >> 20);
        if (e == 0)
                e = file_hold(r->file, &op->held, op->size);
        /* a success means that all replies can be read */
        if (e == 0 && last && file_is_stream(r->file))
                e = make_room(r->file, op->size + op->n);
        if (e == -ENOMEM)
                calls_fail_memory(&op->calls);
        if (e < 0 || last)
                request_finish(r, e < 0 ? e : op->error);
}

static int send(struct qmp_op *op, struct item *item)
{
        struct json_object *name = NULL, *arguments = NULL;
        bool oob = json_object_object_get_ex(item->request, "exec-oob", &name);

        if (!oob)
                json_object_object_get_ex(item->request, "execute", &name);
        json_object_object_get_ex(item->request, "arguments", &arguments);
        return calls_send(&op->calls, &item->call, json_object_get_string(name), arguments,
                          (struct qmp_send_options){ .oob = oob });
}

static int qmp_write(struct request *r, struct file *file)
{
        struct replies *replies = file->stream;
        struct qmp_op *op;
        int e;

        if (replies && replies->end - replies->start > UNREAD_MAX)
                return request_fail(r, -ENOBUFS, NULL, "more than %d MiB of replies are unread", UNREAD_MAX >> 20);
        e = parse(r, &op);
        if (e < 0)
                return e;
        e = check_room(r, op);
        if (e < 0) {
                op_free(op);
                return e;
        }
        calls_init(&op->calls, r, r->vm->peer.options.command_timeout_ns, qmp_replied);
        r->op = op;
        r->cancel = qmp_cancel;
        r->is_committed = qmp_is_committed;
        waiter_set_limit(&r->waiter, r->vm->peer.options.command_timeout_ns);
        for (size_t i = 0; i < op->n; i++) {
                e = send(op, &op->items[i]);
                if (e < 0 && e != -EHOSTDOWN && calls_is_any_sent(&op->calls))
                        return request_fail(r, e, NULL, "%s; some may have been carried out", strerror(-e));
                if (e < 0)
                        return e;
        }
        return WAITER_PARKED;
}

static int qmp_open(struct request *r, struct file *file)
{
        (void)r;
        if (file_is_stream(file))
                file->stream = calloc(1, sizeof(struct replies));
        return file_is_stream(file) && !file->stream ? -ENOMEM : 0;
}

static void qmp_release(struct file *file)
{
        struct replies *replies = take_ptr(file->stream);

        if (replies)
                free(replies->data);
        free(replies);
}

static int qmp_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        (void)r;
        return usage_render(inode, usage, ret_text);
}

static int qmp_read(struct request *r, struct file *file, struct text *ret_text)
{
        struct replies *replies = file->stream;
        struct text text = { 0 };
        size_t n;

        if (!replies)
                return READ_CONTENT;
        n = replies->end - replies->start;
        if (n > r->size)
                n = r->size;
        if (n == 0)
                return 0;
        text.data = malloc(n);
        if (!text.data)
                return -ENOMEM;
        memcpy(text.data, replies->data + replies->start, n);
        text.size = n;
        *ret_text = text;
        replies->start += n;
        if (replies->start == replies->end) {
                free(replies->data);
                *replies = (struct replies){ .held = replies->held };
                (void)file_hold(file, &replies->held, 0);
        }
        return 0;
}

static bool qmp_readable(struct file *file)
{
        const struct replies *replies = file->stream;

        return !replies || replies->end > replies->start;
}

static int64_t qmp_size(struct inode *inode)
{
        return usage_size(inode, usage);
}

const struct kind kind_qmp = {
        .type = S_IFREG,
        .stream = true,
        .own_inode = true,
        .open = qmp_open,
        .release = qmp_release,
        .render = qmp_render,
        .read = qmp_read,
        .write = qmp_write,
        .json = "{",
        .readable = qmp_readable,
        .size = qmp_size,
};
