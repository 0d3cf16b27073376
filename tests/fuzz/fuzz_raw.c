/*
 * `qmp` and `hmp`: what is written reaches QEMU as it was, and what QEMU answers is read, in order, with the ids.
 *
 * Input: "q" or "h", what is written, a NUL, and then QEMU's answers, a line each: JSON, or !CLASS|DESCRIPTION.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "daemon.h"
#include "qmp/json.h"

static struct {
        struct input answers;
        struct json_object *commands; /* what came to QEMU, without ids */
        struct json_object *replies;  /* what it said: {"return"} or {"error"} */
        bool on;
} qemu;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        daemon_init();
        return 0;
}

static struct json_object *new_reply(const char *text)
{
        struct json_object *reply = json_object_new_object(), *value, *error;
        const char *bar = strchrnul(text, '|');

        if (*text != '!') {
                CHECK(parse_json(text, strlen(text), &value));
                json_object_object_add(reply, "return", value);
                return reply;
        }
        error = json_object_new_object();
        json_object_object_add(error, "class", json_object_new_string_len(text + 1, (int)(bar - text - 1)));
        json_object_object_add(error, "desc", json_object_new_string(*bar ? bar + 1 : ""));
        json_object_object_add(reply, "error", error);
        return reply;
}

static void on_command(const struct fake_command *command)
{
        struct json_object *json;
        char *answer;

        if (!qemu.on)
                return;
        CHECK(parse_json(command->text, strlen(command->text), &json));
        json_object_object_del(json, "id");
        json_object_array_add(qemu.commands, json);
        answer = input_until(&qemu.answers, '\n', NULL);
        /* it is put into QEMU's reply as it is */
        if (!is_json(answer, strlen(answer), 900) && (*answer != '!' || !is_utf8(answer, strlen(answer)))) {
                free(answer);
                answer = strdup("{}");
        }
        json_object_array_add(qemu.replies, new_reply(answer));
        daemon_on(command->key, answer);
        free(answer);
}

/* What was written, one command: what QEMU got is the same but for the id. */
static void check_command(struct json_object *written, struct json_object *got)
{
        struct json_object *same = NULL;

        CHECK(json_object_deep_copy(written, &same, NULL) == 0);
        json_object_object_del(same, "id");
        CHECK_MSG(same_json(same, got), "QEMU got %s", json_object_to_json_string(got));
        json_object_put(same);
}

static void check_line(const char *line, size_t size, struct json_object *written, struct json_object *said)
{
        struct json_object *reply, *id, *found;

        CHECK_MSG(is_json(line, size, 1000), "no JSON: %s", line);
        CHECK(parse_json(line, size, &reply));
        CHECK(json_object_object_get_ex(written, "id", &id) == json_object_object_get_ex(reply, "id", &found));
        if (json_object_object_get_ex(written, "id", &id))
                CHECK(same_json(id, found));
        json_object_object_del(reply, "id");
        CHECK_MSG(same_json(reply, said), "read %s", line);
        json_object_put(reply);
}

/* All that was written was carried out, and all replies are there. */
static void check_replies(const char *text, const struct k_file *file)
{
        size_t size, offset = 0, n = 0;
        char *replies, *at, *why;

        CHECK(rig_read_all(file, &replies, &size) == 0);
        for (at = replies; text[offset]; n++) {
                struct json_object *written;
                char *end = memchr(at, '\n', size - (size_t)(at - replies));

                CHECK(qmp_json_next(text, &offset, &written, &why) == 0);
                CHECK(end);
                CHECK(n < json_object_array_length(qemu.commands));
                check_command(written, json_object_array_get_idx(qemu.commands, n));
                check_line(at, (size_t)(end - at), written, json_object_array_get_idx(qemu.replies, n));
                json_object_put(written);
                at = end + 1;
        }
        CHECK(at == replies + size);
        CHECK(n == json_object_array_length(qemu.commands));
        free(replies);
}

/* The text that a line's answer is: a terminal's line ends are ours. */
static void check_answer(const char *line, const struct k_file *file)
{
        struct json_object *command = json_object_array_get_idx(qemu.commands, 0), *value = NULL, *text;
        const char *said;
        size_t size, n, at = 0;
        char *read;

        CHECK(json_object_array_length(qemu.commands) == 1);
        CHECK(json_object_object_get_ex(command, "arguments", &value));
        CHECK(json_object_object_get_ex(value, "command-line", &text));
        CHECK(streq(json_object_get_string(text), line));
        CHECK(json_object_object_get_ex(json_object_array_get_idx(qemu.replies, 0), "return", &text));
        CHECK(json_object_is_type(text, json_type_string));
        said = json_object_get_string(text);
        n = (size_t)json_object_get_string_len(text);
        CHECK(rig_read_all(file, &read, &size) == 0);
        for (size_t i = 0; i < n; i++) {
                if (said[i] == '\r' && i + 1 < n && said[i + 1] == '\n')
                        continue;
                CHECK(at < size && read[at++] == said[i]);
        }
        if (at > 0 && read[at - 1] != '\n')
                CHECK(at < size && read[at++] == '\n');
        CHECK(at == size);
        free(read);
}

static void write_and_read(bool is_hmp, char *text, size_t size)
{
        struct k_file file;
        int r;

        CHECK(daemon_open(is_hmp ? "hmp" : "qmp", O_RDWR, &file) == 0);
        qemu.on = true;
        r = k_wait_error(k_send_pwrite(&file, text, size, 0));
        qemu.on = false;
        CHECK(r != -ETIME);
        if (size > 0 && text[size - 1] == '\n')
                text[--size] = '\0';
        if (r == -EINVAL)
                CHECK(json_object_array_length(qemu.commands) == 0 || is_hmp);
        if (r == 0 && is_hmp)
                check_answer(text, &file);
        else if (r == 0)
                check_replies(text, &file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };
        bool is_hmp = input_byte(&input) == 'h';
        size_t n;
        char *text = input_until(&input, '\0', &n);

        qemu.answers = input;
        qemu.commands = json_object_new_array();
        qemu.replies = json_object_new_array();
        daemon_new();
        daemon_qemu.on_command = on_command;
        daemon_connect(FAKE_GREETING_OOB);
        if (n > 0)
                write_and_read(is_hmp, text, n);
        CHECK(rig.vm->peer.up);
        daemon_free();
        json_object_put(qemu.commands);
        json_object_put(qemu.replies);
        free(text);
        return 0;
}
