/*
 * `hmp`: a line for the human monitor is written, its text is read from the same open file.
 */
#include <errno.h>

#include "fs/kinds/answer.h"
#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "qmp/conceal.h"
#include "qmp/errors.h"
#include "qmp/json.h"
#include "qmp/message.h"

static const char usage[] =
        "{ echo 'info block' >&3 && cat <&3; } 3<>hmp\n"
        "\n"
        "Write a line, then read its output from the same open file; 'help' lists the commands.\n";

/* HMP has no failures, only texts that tell of them (QEMU 7.2: hmp_handle_error(), monitor_parse_command()). */
static bool tells_failure(const char *text)
{
        static const char *const starts[] = { "Error: ",  "Error ",     "unknown ", "invalid ", "Invalid ",
                                              "Device '", "Could not ", "Failed ",  "Path '" };
        static const char *const parts[] = { "' not found", ": extraneous characters at the end of line",
                                             "Try \"help ", ": Cannot access memory" };

        for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
                if (startswith(text, starts[i]))
                        return true;
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                if (strstr(text, parts[i]))
                        return true;
        return false;
}

/* Lines end as a terminal wants them. The caller's; NULL: out of memory. */
static char *without_returns(const char *from, size_t size, size_t *ret_size)
{
        char *text = malloc(size + 2), *to = text;

        if (!text)
                return NULL;
        for (size_t i = 0; i < size; i++)
                if (from[i] != '\r' || i + 1 >= size || from[i + 1] != '\n')
                        *to++ = from[i];
        if (to > text && to[-1] != '\n')
                *to++ = '\n';
        *to = '\0';
        *ret_size = (size_t)(to - text);
        return text;
}

static int hmp_done(struct request *r, struct json_object *value)
{
        struct text text;

        if (!json_object_is_type(value, json_type_string))
                return request_fail(r, -EPROTO, NULL, "QEMU's answer is not a string");
        text.data =
                without_returns(json_object_get_string(value), (size_t)json_object_get_string_len(value), &text.size);
        if (!text.data)
                return -ENOMEM;
        if (tells_failure(text.data)) {
                _cleanup_(qmp_freep) char *line = strndup(text.data, strcspn(text.data, "\n"));
                _cleanup_(qmp_json_putp) struct json_object *written = json_object_new_string(r->data);
                _cleanup_(qmp_freep) char *words = line && written ? qmp_conceal_values(line, written) : NULL;

                request_log(r, qmp_error_to_errno("GenericError", line ? line : ""), NULL, words);
        }
        return answer_set(r->file, &text);
}

static void hmp_failed(struct request *r, int error)
{
        answer_set_error(r->file, r, error);
}

static int hmp_start(struct request *r)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = json_object_new_object();
        _cleanup_(qmp_freep) char *why = NULL;
        if (qmp_utf8_check(r->data, &why) < 0)
                return request_fail(r, -EINVAL, NULL, "%s", why ? why : "invalid UTF-8");
        if (!arguments || !qmp_json_add_string(arguments, "command-line", r->data))
                return -ENOMEM;
        return action_start(r, &(struct action_use){
                                       .action = &action_written,
                                       .name = "hmp",
                                       .command = "human-monitor-command",
                                       .arguments = arguments,
                                       .done = hmp_done,
                                       .failed = hmp_failed,
                               });
}

static int hmp_write(struct request *r, struct file *file)
{
        int e = answer_begin(r, file);

        if (e < 0)
                return e;
        e = hmp_start(r);
        if (e < 0)
                answer_set_error(file, r, e);
        return e;
}

static int hmp_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        (void)r;
        return usage_render(inode, usage, ret_text);
}

static int64_t hmp_size(struct inode *inode)
{
        return usage_size(inode, usage);
}

const struct kind kind_hmp = {
        .type = S_IFREG,
        .own_inode = true,
        .render = hmp_render,
        .read = answer_or_content,
        .write = hmp_write,
        .refuse = answer_refuse,
        .release = answer_free,
        .size = hmp_size,
};
