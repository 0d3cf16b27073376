#include "tests/lib/conversation.h"

#include <dirent.h>
#include <stdarg.h>

#include "fs/vm/reads.h"

/* Commands of a part. */
#define PART 5

struct turn {
        const char *command; /* by its name the daemon's command is known */
        char *id;            /* the recorded one, as text; NULL: none */
        char **messages;     /* without ids */
        size_t n_messages;
        bool has_reply, is_error, ends, resets;
        char *path, *text; /* of the operation; owned */
        struct op op;
};

struct conversation {
        char *name, *greeting, *schema, *devices;
        struct fake_line *lines;
        size_t n_lines;
        struct turn *turns;
        struct op *ops;
        size_t n_turns;
        char **ids; /* of devices that are removed */
        size_t n_ids;
        struct scenario part;
        size_t part_at;
};

/* The one that is played. */
static struct conversation *playing;
static struct turn *current;
static bool is_played;
static size_t n_played;

#define GROW(array, n)                                                                                               \
        do {                                                                                                         \
                (array) = reallocarray((array), (n) + 1, sizeof(*(array)));                                          \
                CHECK(array);                                                                                        \
        } while (0)

_printf_(1, 2) static char *print(const char *format, ...)
{
        va_list args;
        char *text;

        va_start(args, format);
        CHECK(vasprintf(&text, format, args) >= 0);
        va_end(args);
        return text;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

char **conversations_list(size_t *ret_n)
{
        DIR *dir = opendir(TEST_DATA);
        struct dirent *entry;
        char **names = NULL;
        size_t n = 0;

        CHECK(dir);
        while ((entry = readdir(dir))) {
                const char *dot = strrchr(entry->d_name, '.');

                if (!dot || !streq(dot, ".txt") || streq(entry->d_name, "counts.txt"))
                        continue;
                GROW(names, n);
                names[n++] = strdup(entry->d_name);
        }
        closedir(dir);
        CHECK(n > 0);
        qsort(names, n, sizeof(*names), compare);
        *ret_n = n;
        return names;
}

void conversations_free(char **names, size_t n)
{
        while (n > 0)
                free(names[--n]);
        free(names);
}

static struct json_object *get(struct json_object *object, const char *key)
{
        struct json_object *value = NULL;

        if (json_object_is_type(object, json_type_object))
                json_object_object_get_ex(object, key, &value);
        return value;
}

static const char *get_string(struct json_object *object, const char *key)
{
        struct json_object *value = get(object, key);

        return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

/* The command's name; NULL: it is none that the daemon would send for anybody. */
static const char *command_of(struct json_object *json)
{
        const char *in_band = get_string(json, "execute"), *oob = get_string(json, "exec-oob");

        if (!in_band == !oob)
                return NULL;
        json_object_object_foreach(json, key, value) {
                bool is_arguments = streq(key, "arguments");

                if (is_arguments && !json_object_is_type(value, json_type_object))
                        return NULL;
                if (!is_arguments && !streq(key, "id") && !streq(key, "execute") && !streq(key, "exec-oob"))
                        return NULL;
        }
        return in_band ? in_band : oob;
}

/* In QEMU's spelling, without the id, which it puts before "error" and behind "return". */
static void add_message(struct turn *turn, const char *text, bool has_id)
{
        const char *error = has_id && startswith(text, "{\"id\": ") ? strstr(text, "\"error\": ") : NULL;
        char *copy = error ? print("{%s", error) : strdup(text), *id = NULL;

        if (has_id && !error) {
                for (char *next = copy; (next = strstr(next, ", \"id\": ")); next++)
                        id = next;
                CHECK(id);
                strcpy(id, "}");
        }
        GROW(turn->messages, turn->n_messages);
        turn->messages[turn->n_messages++] = copy;
}

static bool has_event(const struct turn *turn, const char *name, const char *path)
{
        for (size_t i = 0; i < turn->n_messages; i++) {
                struct json_object *event = json_tokener_parse(turn->messages[i]);
                const char *is = get_string(event, "event"), *has = get_string(get(event, "data"), "path");
                bool found = is && streq(is, name) && (!path || (has && streq(has, path)));

                json_object_put(event);
                if (found)
                        return true;
        }
        return false;
}

/* Whose reply it is: by its id, else the latest. */
static struct turn *find_turn(struct conversation *c, struct json_object *reply)
{
        struct json_object *id = get(reply, "id");
        bool has_id = json_object_object_get_ex(reply, "id", NULL);

        for (size_t i = c->n_turns; i-- > 0;) {
                struct turn *turn = &c->turns[i];

                if (turn->has_reply)
                        continue;
                if (!has_id || (turn->id && streq(turn->id, json_object_to_json_string(id))))
                        return turn;
        }
        return NULL;
}

static struct turn *add_turn(struct conversation *c, struct json_object *json)
{
        bool has_id = json_object_is_type(json, json_type_object) && json_object_object_get_ex(json, "id", NULL);

        GROW(c->turns, c->n_turns);
        c->turns[c->n_turns] = (struct turn){
                .id = has_id ? strdup(json_object_to_json_string(get(json, "id"))) : NULL,
        };
        return &c->turns[c->n_turns++];
}

static void read_line(struct conversation *c, const struct fake_line *line)
{
        struct turn *turn = c->n_turns > 0 ? &c->turns[c->n_turns - 1] : NULL;

        if (line->direction == 'C') {
                add_turn(c, line->json);
        } else if (line->direction == '-') {
                CHECK(turn);
                turn->resets |= !turn->ends && strstr(line->text, "ECONNRESET");
                turn->ends = true;
        } else if (get(line->json, "QMP")) {
                if (!c->greeting)
                        c->greeting = print("%s\r\n", line->text);
        } else if (get(line->json, "event")) {
                CHECK(turn);
                add_message(turn, line->text, false);
        } else if (line->json) {
                turn = find_turn(c, line->json);
                if (!turn)
                        return;
                turn->has_reply = true;
                turn->is_error = json_object_object_get_ex(line->json, "error", NULL);
                add_message(turn, line->text, json_object_object_get_ex(line->json, "id", NULL));
        }
}

/* --- operations -------------------------------------------------------------------------------------------------- */

static const struct {
        const char *command;
        enum op_verb verb;
        const char *path, *text;
        const char *until; /* the operation waits for that event */
} files[] = {
        { "query-status", OP_CAT, "status", NULL, NULL },
        { "query-name", OP_CAT, "name", NULL, NULL },
        { "query-uuid", OP_CAT, "uuid", NULL, NULL },
        { "query-version", OP_CAT, "version", NULL, NULL },
        { "query-block", OP_LS, "block", NULL, NULL },
        { "query-cpus-fast", OP_LS, "cpus", NULL, NULL },
        { "query-memory-devices", OP_LS, "memory", NULL, NULL },
        { "stop", OP_ECHO, "ctl", "stop", NULL },
        { "cont", OP_ECHO, "ctl", "cont", NULL },
        { "system_reset", OP_ECHO, "ctl", "reset", "RESET" },
        { "system_powerdown", OP_ECHO, "ctl", "powerdown nowait", NULL },
        { "system_wakeup", OP_ECHO, "ctl", "wakeup", "WAKEUP" },
        { "inject-nmi", OP_ECHO, "ctl", "nmi", NULL },
        { "quit", OP_ECHO, "ctl", "quit", NULL },
};

/* A directory that has just been listed needs not be asked for again. */
static bool is_known(const struct conversation *c, const struct turn *turn, const char *command)
{
        for (const struct turn *i = turn; i-- > c->turns && turn - i < PART;)
                if (streq(i->command, command))
                        return true;
        return false;
}

static bool choose_file(const struct conversation *c, struct turn *turn, const char *command)
{
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                if (!streq(files[i].command, command) || (files[i].verb == OP_LS && is_known(c, turn, command)))
                        continue;
                if (files[i].until && !turn->is_error && !has_event(turn, files[i].until, NULL))
                        return false;
                turn->op = (struct op){ .verb = files[i].verb, .path = files[i].path, .text = files[i].text };
                return true;
        }
        return false;
}

static bool is_plain(const char *id)
{
        return *id && id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0';
}

static void add_id(struct conversation *c, const char *id)
{
        for (size_t i = 0; i < c->n_ids; i++)
                if (streq(c->ids[i], id))
                        return;
        GROW(c->ids, c->n_ids);
        c->ids[c->n_ids++] = strdup(id);
}

static bool choose_remove(struct conversation *c, struct turn *turn, const char *id)
{
        _cleanup_(qmp_freep) char *path = NULL;

        if (!id || !is_plain(id))
                return false;
        path = print("/machine/peripheral/%s", id);
        turn->path = print("devices/%s/remove", id);
        turn->op = (struct op){
                .verb = OP_ECHO,
                .path = turn->path,
                .text = has_event(turn, "DEVICE_DELETED", path) ? "1" : "nowait",
        };
        add_id(c, id);
        return true;
}

static bool choose_query(struct conversation *c, struct turn *turn, const char *command)
{
        const char *name = startswith(command, "query-"), *unstable = startswith(command, "x-query-");
        char *schema;

        if (!name && !unstable)
                return false;
        turn->path = name ? print("query/%s", name) : print("query/unstable/%s", unstable);
        turn->op = (struct op){
                .verb = reads_may_send(command) ? OP_CAT : OP_ASK,
                .path = turn->path,
                .text = "",
        };
        schema = print("%s, {\"name\": \"%s\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": "
                       "\"any\"}",
                       c->schema, command);
        free(c->schema);
        c->schema = schema;
        return true;
}

/* By which operation the daemon is made to send it. */
static void choose(struct conversation *c, struct turn *turn, struct json_object *json)
{
        const char *command = command_of(json);
        struct json_object *arguments = get(json, "arguments");
        const char *line = get_string(arguments, "command-line");

        turn->command = command ? command : "query-name";
        if (command && !arguments && get(json, "execute") &&
            (choose_file(c, turn, command) || choose_query(c, turn, command)))
                return;
        if (command && streq(command, "device_del") && choose_remove(c, turn, get_string(arguments, "id")))
                return;
        if (command && streq(command, "human-monitor-command") && line && *line) {
                turn->op = (struct op){ .verb = OP_ASK, .path = "hmp", .text = line };
                return;
        }
        if (command) {
                struct json_object *copy = NULL;

                CHECK(json_object_deep_copy(json, &copy, NULL) == 0);
                json_object_object_del(copy, "id");
                turn->text = strdup(json_object_to_json_string_ext(copy, JSON_C_TO_STRING_NOSLASHESCAPE));
                json_object_put(copy);
        }
        turn->op = (struct op){
                .verb = OP_ASK,
                .path = "qmp",
                .text = command ? turn->text : "{\"execute\":\"query-name\"}",
        };
}

static void add_default_reply(struct turn *turn)
{
        const char *reply = startswith(turn->command, "qom-list") ? "{\"return\": []}"
                            : streq(turn->command, "query-status")
                                    ? "{\"return\": {\"status\": \"running\", \"running\": true}}"
                                    : "{\"return\": {}}";

        GROW(turn->messages, turn->n_messages);
        turn->messages[turn->n_messages++] = strdup(reply);
        turn->has_reply = true;
}

/* Its messages come before those of the next one. */
static void move_messages(struct turn *from, struct turn *to)
{
        size_t n = from->n_messages + to->n_messages;

        from->messages = reallocarray(from->messages, n + 1, sizeof(*from->messages));
        CHECK(from->messages);
        if (to->n_messages > 0)
                memcpy(from->messages + from->n_messages, to->messages, to->n_messages * sizeof(*to->messages));
        free(to->messages);
        to->messages = take_ptr(from->messages);
        to->n_messages = n;
        from->n_messages = 0;
}

static void turn_deinit(struct turn *turn)
{
        for (size_t i = 0; i < turn->n_messages; i++)
                free(turn->messages[i]);
        free(turn->messages);
        free(turn->id);
        free(turn->path);
        free(turn->text);
}

/* The negotiation is the daemon's own; what came after its reply comes after the first command, if any. */
static void take_negotiation(struct conversation *c)
{
        struct turn *turn = &c->turns[0], *next;

        CHECK(turn->n_messages > 0);
        CHECK(startswith(turn->messages[0], "{\"return\""));
        free(turn->messages[0]);
        memmove(turn->messages, turn->messages + 1, --turn->n_messages * sizeof(*turn->messages));
        if (c->n_turns == 1) {
                next = add_turn(c, NULL);
                turn = &c->turns[0];
                next->ends = turn->ends;
                next->resets = turn->resets;
                next->command = "query-status";
                next->op = (struct op){ .verb = OP_CAT, .path = "status" };
        }
        move_messages(turn, &c->turns[1]);
        turn_deinit(turn);
        memmove(c->turns, c->turns + 1, --c->n_turns * sizeof(*c->turns));
}

struct conversation *conversation_load(const char *name)
{
        struct conversation *c = calloc(1, sizeof(*c));
        size_t at = 0;
        bool negotiates;

        CHECK(c);
        c->name = strdup(name);
        c->schema = strdup("{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, {\"name\": \"any\", "
                           "\"meta-type\": \"builtin\", \"json-type\": \"value\"}");
        c->lines = fake_read_record(name, &c->n_lines);
        for (size_t i = 0; i < c->n_lines; i++)
                read_line(c, &c->lines[i]);
        CHECK(c->greeting && c->n_turns > 0);
        for (size_t i = 0; i < c->n_lines; i++)
                if (c->lines[i].direction == 'C')
                        choose(c, &c->turns[at++], c->lines[i].json);
        CHECK(at == c->n_turns);
        negotiates = streq(c->turns[0].command, "qmp_capabilities");
        if (negotiates)
                take_negotiation(c);
        c->ops = calloc(c->n_turns, sizeof(*c->ops));
        CHECK(c->ops);
        for (size_t i = 0; i < c->n_turns; i++) {
                if (!c->turns[i].has_reply && !c->turns[i].ends)
                        add_default_reply(&c->turns[i]);
                c->ops[i] = c->turns[i].op;
        }
        c->devices = strdup("[");
        for (size_t i = 0; i < c->n_ids; i++) {
                char *devices = print("%s%s{\"name\": \"%s\", \"type\": \"child<device>\"}", c->devices,
                                      i > 0 ? ", " : "", c->ids[i]);

                free(c->devices);
                c->devices = devices;
        }
        return c;
}

struct conversation *conversation_free(struct conversation *c)
{
        playing = NULL;
        current = NULL;
        for (size_t i = 0; i < c->n_turns; i++)
                turn_deinit(&c->turns[i]);
        for (size_t i = 0; i < c->n_ids; i++)
                free(c->ids[i]);
        fake_free_record(c->lines, c->n_lines);
        free(c->ids);
        free(c->turns);
        free(c->ops);
        free(c->name);
        free(c->greeting);
        free(c->schema);
        free(c->devices);
        free(c);
        return NULL;
}

void conversation_each_message(const struct conversation *c,
                               void (*fn)(const char *command, const char *event, const char *message))
{
        for (size_t i = 0; i < c->n_turns; i++) {
                for (size_t j = 0; j < c->turns[i].n_messages; j++) {
                        struct json_object *json = json_tokener_parse(c->turns[i].messages[j]);
                        const char *event = get_string(json, "event");

                        fn(event ? NULL : c->turns[i].command, event, c->turns[i].messages[j]);
                        json_object_put(json);
                }
        }
}

/* --- playing ----------------------------------------------------------------------------------------------------- */

static void setup(void)
{
        _cleanup_(qmp_freep) char *schema = print("[%s]", playing->schema);
        _cleanup_(qmp_freep) char *devices = print("%s]", playing->devices);

        rig.fake->greeting = playing->greeting;
        fake_on(rig.fake, "query-qmp-schema", schema);
        rig_qom("/machine/peripheral", NULL, devices);
        rig_qom("/machine/peripheral-anon", NULL, "[]");
        for (size_t i = 0; i < playing->n_ids; i++) {
                _cleanup_(qmp_freep) char *path = print("/machine/peripheral/%s", playing->ids[i]);

                rig_qom(path, NULL, "[]");
        }
}

static void begin(void)
{
        current = NULL;
        n_played = 0;
}

static void begin_turn(size_t op)
{
        current = &playing->turns[playing->part_at + op];
        is_played = false;
}

static void send_one(struct fake_qemu *fake, const struct fake_command *command, const char *message)
{
        _cleanup_(qmp_freep) char *with_id = NULL;

        if (command->has_id && !startswith(message, "{\"timestamp\""))
                with_id = print("{\"id\": %s, %s", json_object_to_json_string(command->id), message + 1);
        fake_message(fake, with_id ? with_id : message);
}

static bool answer(struct fake_qemu *fake, const struct fake_command *command)
{
        if (!current || is_played || !streq(command->name, current->command))
                return false;
        is_played = true;
        n_played++;
        for (size_t i = 0; i < current->n_messages; i++)
                send_one(fake, command, current->messages[i]);
        if (current->ends)
                faults_end_connection(current->resets);
        return true;
}

size_t conversation_n_parts(const struct conversation *c)
{
        return (c->n_turns + PART - 1) / PART;
}

const struct scenario *conversation_part(struct conversation *c, size_t part)
{
        playing = c;
        c->part_at = part * PART;
        c->part = (struct scenario){
                .name = c->name,
                .ops = c->ops + c->part_at,
                .n_ops = c->n_turns - c->part_at < PART ? c->n_turns - c->part_at : PART,
                .setup = setup,
                .begin = begin,
                .turn = begin_turn,
                .answer = answer,
        };
        return &c->part;
}

size_t conversation_n_messages(const struct conversation *c, size_t part)
{
        size_t n = 0;

        for (size_t i = part * PART; i < c->n_turns && i < (part + 1) * PART; i++)
                n += c->turns[i].n_messages;
        return n;
}

bool conversation_is_played(void)
{
        size_t n = 0;

        while (n < playing->part.n_ops && (n == 0 || !playing->turns[playing->part_at + n - 1].ends))
                n++;
        return n_played == n;
}
