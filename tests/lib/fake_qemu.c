#include "tests/lib/fake_qemu.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/files.h"
#include "tests/lib/judge.h"

/* QEMU reads nothing deeper: its answer would be several errors, and all replies out of step. */
#define COMMAND_DEPTH_MAX 1024
/* QEMU's QMP_REQ_QUEUE_LEN_MAX */
#define HELD_MAX 8

struct answer {
        struct list link;
        char *name, *return_text, *error_class, *desc;
        fake_command_fn fn;
        void *userdata;
        bool nothing;
};

struct out {
        struct list link;
        uint64_t due;
        bool close, reset;
        size_t size, done;
        char bytes[];
};

struct fake_script {
        struct fake_line *lines;
        size_t n, at;
        unsigned flags;
        /* of each recorded command that was played: its recorded id and the client's command */
        struct {
                const char *recorded;
                const struct fake_command *command;
        } * played;
        size_t n_played;
};

static void update(struct fake_qemu *fake);
static void write_out(struct fake_qemu *fake);
static void accept_one(struct qmp_source *source, uint32_t revents);

static void *xrealloc(void *p, size_t size)
{
        p = realloc(p, size);
        CHECK(p);
        return p;
}

static char *xstrndup(const char *s, size_t n)
{
        char *copy = strndup(s, n);

        CHECK(copy);
        return copy;
}

_printf_(1, 2) static char *xasprintf(const char *format, ...)
{
        va_list args;
        char *text;

        va_start(args, format);
        CHECK(vasprintf(&text, format, args) >= 0);
        va_end(args);
        return text;
}

/* --- output --- */

static struct out *queue_out(struct fake_qemu *fake, const void *bytes, size_t n, uint64_t due)
{
        struct out *out = xrealloc(NULL, sizeof(*out) + n);

        *out = (struct out){ .due = due, .size = n };
        if (n > 0)
                memcpy(out->bytes, bytes, n);
        list_append(&fake->out, &out->link);
        update(fake);
        return out;
}

void fake_send(struct fake_qemu *fake, const void *bytes, size_t n)
{
        queue_out(fake, bytes, n, 0);
}

void fake_send_text(struct fake_qemu *fake, const char *text)
{
        fake_send(fake, text, strlen(text));
}

/* One whole message. */
static void put_message(struct fake_qemu *fake, const char *text, uint64_t due)
{
        if (!fake->filter || !fake->filter(fake, text, strlen(text)))
                queue_out(fake, text, strlen(text), due);
}

/* The same, in QEMU's spelling. */
static void send_message(struct fake_qemu *fake, const char *text, uint64_t due)
{
        _cleanup_(qmp_freep) char *line = NULL;

        if (fake->pretty) {
                struct json_object *json = json_tokener_parse(text);

                CHECK_MSG(json != NULL, "not JSON: %s", text);
                line = xasprintf("%s\r\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY |
                                                                                        JSON_C_TO_STRING_SPACED));
                json_object_put(json);
        } else {
                line = xasprintf("%s\r\n", text);
        }
        put_message(fake, line, due);
}

void fake_message(struct fake_qemu *fake, const char *text)
{
        send_message(fake, text, 0);
}

static char *id_text(const struct fake_command *command, const char *before, const char *after)
{
        if (!command->has_id)
                return xstrndup("", 0);
        return xasprintf("%s\"id\": %s%s", before, json_object_to_json_string(command->id), after);
}

void fake_return(struct fake_qemu *fake, const struct fake_command *command, const char *return_text)
{
        _cleanup_(qmp_freep) char *id = id_text(command, ", ", "");
        _cleanup_(qmp_freep) char *text = xasprintf("{\"return\": %s%s}", return_text, id);

        send_message(fake, text, fake->delay_ns ? qmp_now() + fake->delay_ns : 0);
}

void fake_error(struct fake_qemu *fake, const struct fake_command *command, const char *error_class, const char *desc)
{
        _cleanup_(qmp_freep) char *id = id_text(command, "", ", ");
        struct json_object *class = json_object_new_string(error_class), *words = json_object_new_string(desc);
        _cleanup_(qmp_freep) char *text =
                xasprintf("{%s\"error\": {\"class\": %s, \"desc\": %s}}", id, json_object_to_json_string(class),
                          json_object_to_json_string(words));

        json_object_put(class);
        json_object_put(words);
        send_message(fake, text, fake->delay_ns ? qmp_now() + fake->delay_ns : 0);
}

void fake_event(struct fake_qemu *fake, const char *name, const char *data)
{
        _cleanup_(qmp_freep) char *text = xasprintf(
                "{\"timestamp\": {\"seconds\": 1795164681, \"microseconds\": 361414}, \"event\": \"%s\"%s%s}", name,
                data ? ", \"data\": " : "", data ? data : "");

        send_message(fake, text, 0);
}

static void drop_out(struct fake_qemu *fake)
{
        list_for_each_safe(i, &fake->out) {
                list_unlink(i);
                free(list_entry(i, struct out, link));
        }
}

void fake_close(struct fake_qemu *fake)
{
        if (fake->fd < 0)
                return;
        qmp_loop_remove(fake->loop, &fake->source);
        qmp_timer_disarm(fake->loop, &fake->timer);
        close(fake->fd);
        fake->fd = -1;
        fake->events = 0;
        fake->connected = fake->negotiated = fake->oob = fake->stopped = fake->stuck = false;
        fake->n_held = 0;
        drop_out(fake);
        if (fake->listen_fd >= 0 && fake->listener.fd < 0)
                CHECK(qmp_loop_add(fake->loop, &fake->listener, fake->listen_fd, EPOLLIN, accept_one) == 0);
}

void fake_close_behind(struct fake_qemu *fake)
{
        queue_out(fake, NULL, 0, 0)->close = true;
}

void fake_reset_behind(struct fake_qemu *fake)
{
        struct out *out = queue_out(fake, NULL, 0, 0);

        out->close = out->reset = true;
}

static void timer_fired(struct qmp_timer *timer)
{
        IN_HARNESS();

        update(container_of(timer, struct fake_qemu, timer));
}

/* Watches for what there is to do: input unless held up, room if something is due. */
static void update(struct fake_qemu *fake)
{
        uint32_t events = fake->n_held < HELD_MAX ? EPOLLIN : 0;

        if (fake->fd < 0 || fake->stopped)
                return;
        if (!list_empty(&fake->out)) {
                struct out *out = list_entry(fake->out.next, struct out, link);

                if (out->due <= qmp_now())
                        events |= EPOLLOUT;
                else
                        qmp_timer_arm(fake->loop, &fake->timer, out->due);
        }
        if (events == fake->events)
                return;
        fake->events = events;
        CHECK(qmp_loop_modify(fake->loop, &fake->source, events) == 0);
}

static void write_out(struct fake_qemu *fake)
{
        size_t budget = fake->write_chunk ? fake->write_chunk : SIZE_MAX;

        while (budget > 0 && !list_empty(&fake->out)) {
                struct out *out = list_entry(fake->out.next, struct out, link);
                size_t n = out->size - out->done;
                ssize_t done;

                if (out->due > qmp_now())
                        break;
                if (out->close) {
                        int client = out->reset ? fake->client_fd(fake) : -1;

                        /*
                         * who closes without having read all resets: so Linux has it for sockets of this family, too;
                         * unless the client has hung up before
                         */
                        if (client >= 0)
                                CHECK(send(client, " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1);
                        fake_close(fake);
                        return;
                }
                if (n > budget)
                        n = budget;
                if (fake->close_after >= 0 && n > (size_t)fake->close_after - fake->n_written)
                        n = (size_t)fake->close_after - fake->n_written;
                done = n > 0 ? send(fake->fd, out->bytes + out->done, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
                if (done < 0) {
                        if (errno == EAGAIN)
                                break;
                        fake_close(fake);
                        return;
                }
                out->done += (size_t)done;
                fake->n_written += (size_t)done;
                budget -= (size_t)done;
                if (fake->close_after >= 0 && fake->n_written == (size_t)fake->close_after) {
                        fake_close(fake);
                        return;
                }
                if (out->done == out->size) {
                        list_unlink(&out->link);
                        free(out);
                }
        }
        update(fake);
}

/* --- the record --- */

static char *line_json(char *line, struct fake_line *ret_line)
{
        char *rest = line, *end;

        /* "SECONDS DIR JSON", or "         S JSON" for what came in the same read */
        ret_line->seconds = isspace((unsigned char)*line) ? -1 : strtod(line, &rest);
        if (rest == line && !isspace((unsigned char)*line))
                return NULL;
        rest += strspn(rest, " ");
        ret_line->direction = *rest;
        end = rest + 1;
        if (!strchr("CS-", *rest) || *end != ' ')
                return NULL;
        return end + 1;
}

struct fake_line *fake_read_record(const char *data_name, size_t *ret_n)
{
        _cleanup_(qmp_freep) char *text = test_data(data_name, NULL);
        struct fake_line *lines = NULL;
        size_t n = 0;
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                struct fake_line l = { 0 };
                char *json;

                if (*line == '#')
                        continue;
                if (*line == '{') {
                        /* two commands were sent at once */
                        l.direction = 'C';
                        l.seconds = -1;
                        json = line;
                } else {
                        json = line_json(line, &l);
                }
                if (!json)
                        continue;
                if (l.seconds < 0)
                        l.seconds = n > 0 ? lines[n - 1].seconds : 0;
                if (l.direction != '-') {
                        l.json = json_tokener_parse(json);
                        if (!json_object_is_type(l.json, json_type_object)) {
                                json_object_put(l.json);
                                l.json = NULL;
                        }
                }
                l.text = xstrndup(json, strlen(json));
                lines = xrealloc(lines, (n + 1) * sizeof(*lines));
                lines[n++] = l;
        }
        *ret_n = n;
        return lines;
}

void fake_free_record(struct fake_line *lines, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                free(lines[i].text);
                json_object_put(lines[i].json);
        }
        free(lines);
}

static void script_free(struct fake_script *script)
{
        if (!script)
                return;
        fake_free_record(script->lines, script->n);
        free(script->played);
        free(script);
}

static const char *command_name(struct json_object *json)
{
        struct json_object *name;

        if (json_object_object_get_ex(json, "execute", &name) || json_object_object_get_ex(json, "exec-oob", &name))
                return json_object_get_string(name);
        return NULL;
}

/* Sends a recorded line under the id of the client's command. */
static void play_line(struct fake_qemu *fake, struct fake_line *line, uint64_t due)
{
        struct fake_script *script = fake->script;
        const struct fake_command *command = NULL;
        struct json_object *id;

        if (line->direction == '-') {
                queue_out(fake, NULL, 0, due)->close = true;
                return;
        }
        CHECK_MSG(line->json != NULL, "cannot play: %s", line->text);
        if (json_object_object_get_ex(line->json, "id", &id)) {
                const char *recorded = json_object_to_json_string(id);

                for (size_t i = 0; i < script->n_played && !command; i++)
                        if (streq(script->played[i].recorded, recorded))
                                command = script->played[i].command;
                json_object_object_del(line->json, "id");
                if (command && command->has_id)
                        json_object_object_add(line->json, "id", json_object_get(command->id));
        }
        send_message(
                fake,
                json_object_to_json_string_ext(line->json, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE),
                due);
}

static bool line_is_event(const struct fake_line *line)
{
        return line->direction == 'S' && json_object_object_get_ex(line->json, "event", NULL);
}

/* Whether the record answers the command. */
static bool play(struct fake_qemu *fake, const struct fake_command *command, bool known)
{
        struct fake_script *script = fake->script;
        struct json_object *id;
        size_t at = script->at;
        double start;

        while (at < script->n) {
                const char *name = script->lines[at].direction == 'C' ? command_name(script->lines[at].json) : NULL;

                if (name && streq(name, command->name))
                        break;
                if (known || !(script->flags & FAKE_PLAY_SKIP))
                        return false;
                at++;
        }
        if (at == script->n)
                return false;
        for (size_t i = script->at; i < at; i++)
                if (line_is_event(&script->lines[i]))
                        play_line(fake, &script->lines[i], 0);
        start = script->lines[at].seconds;
        script->played = xrealloc(script->played, (script->n_played + 1) * sizeof(*script->played));
        script->played[script->n_played].recorded = "";
        script->played[script->n_played].command = command;
        if (json_object_object_get_ex(script->lines[at].json, "id", &id))
                script->played[script->n_played].recorded = json_object_to_json_string(id);
        script->n_played++;
        for (script->at = at + 1; script->at < script->n && script->lines[script->at].direction != 'C';
             script->at++) {
                struct fake_line *line = &script->lines[script->at];
                uint64_t due = 0;

                if (script->flags & FAKE_PLAY_TIMED)
                        due = command->received_at + (uint64_t)((line->seconds - start) * (double)NSEC_PER_SEC);
                play_line(fake, line, due);
        }
        return true;
}

void fake_play(struct fake_qemu *fake, const char *data_name, unsigned flags)
{
        script_free(fake->script);
        fake->script = xrealloc(NULL, sizeof(*fake->script));
        *fake->script = (struct fake_script){ .flags = flags };
        fake->script->lines = fake_read_record(data_name, &fake->script->n);
        CHECK_MSG(fake->script->n > 0, "nothing recorded in %s", data_name);
}

bool fake_played(struct fake_qemu *fake)
{
        return fake->script->at == fake->script->n && list_empty(&fake->out);
}

/* --- commands --- */

static struct answer *find_answer(struct fake_qemu *fake, const char *name, size_t size)
{
        list_for_each(i, &fake->answers) {
                struct answer *answer = list_entry(i, struct answer, link);

                if (strncmp(answer->name, name, size) == 0 && answer->name[size] == '\0')
                        return answer;
        }
        return NULL;
}

/* What has the longest key. */
static struct answer *find_answer_to(struct fake_qemu *fake, const struct fake_command *command)
{
        size_t name = strlen(command->name), path = name;
        struct answer *answer = find_answer(fake, command->key, strlen(command->key));
        struct json_object *value;

        if (!answer && command->arguments && json_object_object_get_ex(command->arguments, "path", &value) &&
            json_object_is_type(value, json_type_string)) {
                path += 1 + strlen(json_object_get_string(value));
                answer = find_answer(fake, command->key, path);
        }
        return answer ? answer : find_answer(fake, command->key, name);
}

static struct answer *answer_free(struct answer *answer)
{
        list_unlink(&answer->link);
        free(answer->name);
        free(answer->return_text);
        free(answer->error_class);
        free(answer->desc);
        free(answer);
        return NULL;
}

void fake_off(struct fake_qemu *fake, const char *name)
{
        struct answer *answer = find_answer(fake, name, strlen(name));

        if (answer)
                answer_free(answer);
}

bool fake_knows(struct fake_qemu *fake, const char *name)
{
        struct answer *answer = find_answer(fake, name, strlen(name));

        return answer && answer->return_text;
}

static struct answer *set_answer(struct fake_qemu *fake, const char *name)
{
        struct answer *answer = xrealloc(NULL, sizeof(*answer));
        size_t n = strlen(name);

        fake_off(fake, name);
        if (!strchr(name, ':')) {
                list_for_each_safe(i, &fake->answers) {
                        struct answer *use = list_entry(i, struct answer, link);

                        if (strncmp(use->name, name, n) == 0 && use->name[n] == ':')
                                answer_free(use);
                }
        }
        *answer = (struct answer){ .name = xstrndup(name, n) };
        list_append(&fake->answers, &answer->link);
        return answer;
}

void fake_on(struct fake_qemu *fake, const char *name, const char *return_text)
{
        set_answer(fake, name)->return_text = xstrndup(return_text, strlen(return_text));
}

void fake_on_error(struct fake_qemu *fake, const char *name, const char *error_class, const char *desc)
{
        struct answer *answer = set_answer(fake, name);

        answer->error_class = xstrndup(error_class, strlen(error_class));
        answer->desc = xstrndup(desc, strlen(desc));
}

void fake_on_call(struct fake_qemu *fake, const char *name, fake_command_fn fn, void *userdata)
{
        struct answer *answer = set_answer(fake, name);

        answer->fn = fn;
        answer->userdata = userdata;
}

void fake_on_nothing(struct fake_qemu *fake, const char *name)
{
        set_answer(fake, name)->nothing = true;
}

void fake_answer(struct fake_qemu *fake, const struct fake_command *command)
{
        struct answer *answer = find_answer_to(fake, command);

        if (fake->script && play(fake, command, answer != NULL))
                return;
        if (!answer) {
                _cleanup_(qmp_freep) char *desc = xasprintf("The command %s has not been found", command->name);

                fake_error(fake, command, "CommandNotFound", desc);
        } else if (answer->fn) {
                answer->fn(fake, command, answer->userdata);
        } else if (answer->return_text) {
                fake_return(fake, command, answer->return_text);
        } else if (answer->desc) {
                fake_error(fake, command, answer->error_class, answer->desc);
        }
}

static bool wants_oob(const struct fake_command *command)
{
        struct json_object *enable;

        return command->arguments && json_object_object_get_ex(command->arguments, "enable", &enable) &&
               strstr(json_object_to_json_string(enable), "\"oob\"");
}

static void negotiate(struct fake_qemu *fake, const struct fake_command *command)
{
        if (!streq(command->name, "qmp_capabilities")) {
                fake_error(fake, command, "CommandNotFound",
                           "Expecting capabilities negotiation with 'qmp_capabilities'");
                return;
        }
        if (fake->negotiation_silent)
                return;
        if (fake->negotiation_error) {
                fake_error(fake, command, "GenericError", fake->negotiation_error);
                return;
        }
        if (wants_oob(command) && !fake->script && !(fake->greeting && strstr(fake->greeting, "\"oob\""))) {
                fake_error(fake, command, "GenericError", "Capability 'oob' is not available");
                return;
        }
        fake->negotiated = true;
        fake->oob = wants_oob(command);
        fake->n_negotiated = fake->n_commands;
        if (!fake->script || !play(fake, command, false))
                fake_return(fake, command, "{}");
}

static void handle_command(struct fake_qemu *fake, const struct fake_command *command)
{
        if (fake->on_command && fake->on_command(fake, command))
                return;
        if (!fake->negotiated)
                negotiate(fake, command);
        else if (fake->answer && fake->answer(fake, command))
                return;
        else if (streq(command->name, "qmp_capabilities"))
                fake_error(fake, command, "CommandNotFound",
                           "Capabilities negotiation is already complete, command ignored");
        else if (command->oob && !fake->oob)
                fake_error(fake, command, "GenericError", "QMP input member 'exec-oob' is unexpected");
        else
                fake_answer(fake, command);
}

static const char *argument(const struct fake_command *command, const char *name)
{
        struct json_object *value = NULL;

        if (!json_object_is_type(command->arguments, json_type_object) ||
            !json_object_object_get_ex(command->arguments, name, &value))
                return NULL;
        return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static char *command_key(const struct fake_command *command)
{
        const char *path = argument(command, "path"), *property = path ? argument(command, "property") : NULL;

        return xasprintf("%s%s%s%s%s", command->name, path ? ":" : "", path ? path : "", property ? ":" : "",
                         property ? property : "");
}

static void record_command(struct fake_qemu *fake, const char *text, size_t n)
{
        struct fake_command *command = xrealloc(NULL, sizeof(*command));

        *command = (struct fake_command){ .text = xstrndup(text, n), .connection = fake->n_connections };
        CHECK_MSG(is_json(text, n, COMMAND_DEPTH_MAX), "the client sent: %s", command->text);
        CHECK_MSG(parse_json(text, n, &command->json), "json-c can't read: %s", command->text);
        CHECK_MSG(command_name(command->json), "no command: %s", command->text);
        command->name = xstrndup(command_name(command->json), strlen(command_name(command->json)));
        command->oob = json_object_object_get_ex(command->json, "exec-oob", NULL);
        if (json_object_object_get_ex(command->json, "arguments", &command->arguments))
                CHECK(json_object_is_type(command->arguments, json_type_object));
        command->key = command_key(command);
        command->has_id = json_object_object_get_ex(command->json, "id", &command->id);
        CHECK(command->oob == command->has_id);
        command->received_at = qmp_now();
        fake->commands = xrealloc(fake->commands, (fake->n_commands + 1) * sizeof(*fake->commands));
        fake->commands[fake->n_commands++] = command;
        if (++fake->n_on_connection == fake->close_at_command) {
                fake_close(fake);
                return;
        }
        if (fake->stuck && !command->oob) {
                fake->held = xrealloc(fake->held, (fake->n_held + 1) * sizeof(*fake->held));
                fake->held[fake->n_held++] = command;
        } else {
                handle_command(fake, command);
        }
}

/* Takes complete objects off the input. */
static void parse_input(struct fake_qemu *fake)
{
        size_t depth = 0, from = fake->raw_parsed;
        bool in_string = false;

        for (size_t i = fake->raw_parsed; i < fake->raw_size; i++) {
                char c = fake->raw[i];

                if (in_string) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                } else if (c == '"') {
                        in_string = true;
                } else if (depth == 0 && c != '{') {
                        check_failed(__FILE__, __LINE__, "between commands: %s", fake->raw + i);
                } else if (c == '{' || c == '[') {
                        if (depth++ == 0)
                                from = i;
                } else if ((c == '}' || c == ']') && --depth == 0) {
                        fake->raw_parsed = i + 1;
                        record_command(fake, fake->raw + from, i + 1 - from);
                        if (fake->fd < 0)
                                return;
                }
        }
}

static void dispatch(struct qmp_source *source, uint32_t revents)
{
        struct fake_qemu *fake = container_of(source, struct fake_qemu, source);
        char bytes[65536];
        size_t chunk = fake->read_chunk ? fake->read_chunk : sizeof(bytes);
        ssize_t n;
        IN_HARNESS();

        if (revents & EPOLLOUT) {
                write_out(fake);
                if (fake->fd < 0)
                        return;
        }
        if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return;
        n = recv(fake->fd, bytes, chunk < sizeof(bytes) ? chunk : sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                fake_close(fake);
                return;
        }
        fake->raw = xrealloc(fake->raw, fake->raw_size + (size_t)n + 1);
        memcpy(fake->raw + fake->raw_size, bytes, (size_t)n);
        fake->raw_size += (size_t)n;
        fake->raw[fake->raw_size] = '\0';
        parse_input(fake);
        update(fake);
}

/* --- connections --- */

static void attach(struct fake_qemu *fake, int fd)
{
        fake->fd = fd;
        fake->connected = true;
        fake->n_connections++;
        fake->raw_size = fake->raw_parsed = fake->n_written = fake->n_on_connection = 0;
        fake->events = EPOLLIN;
        CHECK(qmp_loop_add(fake->loop, &fake->source, fd, EPOLLIN, dispatch) == 0);
        if (fake->script) {
                struct fake_script *script = fake->script;

                for (script->at = 0; script->at < script->n && script->lines[script->at].direction != 'C';
                     script->at++)
                        play_line(fake, &script->lines[script->at], 0);
                return;
        }
        if (fake->before_greeting)
                fake_send_text(fake, fake->before_greeting);
        if (fake->greeting && fake->pretty) {
                send_message(fake, fake->greeting, 0);
        } else if (fake->greeting) {
                put_message(fake, fake->greeting, 0);
        }
}

static void accept_one(struct qmp_source *source, uint32_t revents)
{
        struct fake_qemu *fake = container_of(source, struct fake_qemu, listener);
        int fd = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        IN_HARNESS();

        (void)revents;
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
                return;
        CHECK(fd >= 0);
        /* the next one waits in the queue until this one leaves */
        qmp_loop_remove(fake->loop, source);
        attach(fake, fd);
}

int fake_connect(struct fake_qemu *fake, int buffer)
{
        int fds[2];

        CHECK(fake->fd < 0);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        if (buffer > 0) {
                CHECK(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) == 0);
                CHECK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) == 0);
        }
        attach(fake, fds[1]);
        return fds[0];
}

static void listen_on(struct fake_qemu *fake, const void *address, socklen_t size, int family)
{
        fake->listen_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(fake->listen_fd >= 0);
        CHECK(bind(fake->listen_fd, address, size) == 0);
        CHECK(listen(fake->listen_fd, 1) == 0);
        if (fake->fd < 0)
                CHECK(qmp_loop_add(fake->loop, &fake->listener, fake->listen_fd, EPOLLIN, accept_one) == 0);
}

void fake_listen(struct fake_qemu *fake, const char *path)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        CHECK(strlen(path) < sizeof(un.sun_path));
        strcpy(un.sun_path, path);
        (void)unlink(path);
        listen_on(fake, &un, sizeof(un), AF_UNIX);
}

char *fake_listen_tcp(struct fake_qemu *fake)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(in);

        listen_on(fake, &in, sizeof(in), AF_INET);
        CHECK(getsockname(fake->listen_fd, (struct sockaddr *)&in, &size) == 0);
        return xasprintf("tcp:127.0.0.1:%d", ntohs(in.sin_port));
}

void fake_unlisten(struct fake_qemu *fake)
{
        qmp_loop_remove(fake->loop, &fake->listener);
        if (fake->listen_fd >= 0)
                close(fake->listen_fd);
        fake->listen_fd = -1;
}

void fake_stop(struct fake_qemu *fake)
{
        fake->stopped = true;
        qmp_loop_remove(fake->loop, &fake->source);
        qmp_timer_disarm(fake->loop, &fake->timer);
}

void fake_cont(struct fake_qemu *fake)
{
        fake->stopped = false;
        fake->events = EPOLLIN;
        CHECK(qmp_loop_add(fake->loop, &fake->source, fake->fd, EPOLLIN, dispatch) == 0);
        update(fake);
}

void fake_stick(struct fake_qemu *fake)
{
        fake->stuck = true;
}

void fake_unstick(struct fake_qemu *fake)
{
        size_t n = fake->n_held;

        fake->stuck = false;
        fake->n_held = 0;
        for (size_t i = 0; i < n && fake->fd >= 0; i++)
                handle_command(fake, fake->held[i]);
        update(fake);
}

size_t fake_n_unsent(struct fake_qemu *fake)
{
        size_t n = 0;

        list_for_each(i, &fake->out) {
                struct out *out = list_entry(i, struct out, link);

                n += out->size - out->done;
        }
        return n;
}

const struct fake_command *fake_command(struct fake_qemu *fake, size_t n)
{
        return n < fake_n_commands(fake) ? fake->commands[fake->n_negotiated + n] : NULL;
}

size_t fake_n_commands(struct fake_qemu *fake)
{
        return fake->n_negotiated > 0 ? fake->n_commands - fake->n_negotiated : 0;
}

static void free_commands(struct fake_qemu *fake)
{
        for (size_t i = 0; i < fake->n_commands; i++) {
                free(fake->commands[i]->text);
                free(fake->commands[i]->name);
                free(fake->commands[i]->key);
                json_object_put(fake->commands[i]->json);
                free(fake->commands[i]);
        }
        fake->n_commands = fake->n_negotiated = 0;
}

void fake_forget(struct fake_qemu *fake)
{
        CHECK(fake->n_held == 0);
        CHECK(!fake->script);
        free_commands(fake);
}

size_t fake_count(struct fake_qemu *fake, const char *name)
{
        size_t count = 0;

        for (size_t i = 0; i < fake->n_commands; i++)
                count += streq(fake->commands[i]->name, name);
        return count;
}

struct fake_qemu *fake_new(struct qmp_loop *loop)
{
        struct fake_qemu *fake = xrealloc(NULL, sizeof(*fake));

        *fake = (struct fake_qemu){
                .loop = loop,
                .greeting = FAKE_GREETING,
                .close_after = -1,
                .fd = -1,
                .listen_fd = -1,
                .source.fd = -1,
                .listener.fd = -1,
                .timer.fire = timer_fired,
        };
        list_init(&fake->out);
        list_init(&fake->answers);
        return fake;
}

struct fake_qemu *fake_free(struct fake_qemu *fake)
{
        if (!fake)
                return NULL;
        fake_unlisten(fake);
        fake_close(fake);
        drop_out(fake);
        list_for_each_safe(i, &fake->answers)
                answer_free(list_entry(i, struct answer, link));
        free_commands(fake);
        free(fake->commands);
        free(fake->held);
        free(fake->raw);
        script_free(fake->script);
        free(fake);
        return NULL;
}
