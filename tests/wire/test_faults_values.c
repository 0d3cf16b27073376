/*
 * Each member of each reply, event and greeting that the tree makes something of, as it was recorded and as QEMU has it in
 * other versions, is replaced by a value of each other type, and each string by names that are paths, too long, or no text.
 * Whatever comes of it, all names that are listed are names and can be looked up, no link leads out of the mount, each
 * request ends with an errno that is documented, and the connection stays.
 */
#include <dirent.h>

#include "tests/lib/conversation.h"
#include "tests/lib/test.h"
#include "qmp/message.h"

#define STRIDE 2
#define LEAST  5500

#define VISIT_DEPTH   4
#define VISIT_ENTRIES 10

// clang-format off
static const char schema[] =
        "[{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, "
        "{\"name\": \"1\", \"meta-type\": \"object\", \"tag\": \"id\", "
                "\"variants\": [{\"case\": \"x\", \"type\": \"0\"}], \"members\": ["
                "{\"name\": \"value\", \"type\": \"int\"}, "
                "{\"name\": \"id\", \"type\": \"2\", \"default\": null, \"features\": [\"unstable\"]}]}, "
        "{\"name\": \"2\", \"meta-type\": \"enum\", \"values\": [\"x\", \"y\"], \"members\": [{\"name\": \"x\"}]}, "
        "{\"name\": \"[2]\", \"meta-type\": \"array\", \"element-type\": \"2\"}, "
        "{\"name\": \"3\", \"meta-type\": \"alternate\", \"members\": [{\"type\": \"str\"}, {\"type\": \"int\"}]}, "
        "{\"name\": \"4\", \"meta-type\": \"object\", \"members\": [{\"name\": \"driver\", \"type\": \"str\"}]}, "
        "{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"}, "
        "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"}, "
        "{\"name\": \"query-status\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"3\", "
                "\"allow-oob\": true, \"features\": [\"deprecated\"]}, "
        "{\"name\": \"x-query-jit\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"[2]\"}, "
        "{\"name\": \"balloon\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": \"0\"}, "
        "{\"name\": \"device_add\", \"meta-type\": \"command\", \"arg-type\": \"4\", \"ret-type\": \"0\"}, "
        "{\"name\": \"DEVICE_DELETED\", \"meta-type\": \"event\", \"arg-type\": \"1\"}, "
        "{\"name\": \"STOP\", \"meta-type\": \"event\", \"arg-type\": \"1\"}]";

/* Besides the recorded ones: what other machines and later versions add, and what a plain VM has empty. */
static const struct {
        const char *command, *value;
} known[] = {
        { "query-status", "{\"status\": \"running\", \"singlestep\": false, \"running\": true}" },
        { "query-name", "{\"name\": \"vm1\"}" },
        { "query-uuid", "{\"UUID\": \"00000000-0000-0000-0000-00000000000a\"}" },
        { "query-version", FAKE_VERSION },
        { "query-memory-devices", "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/mem1\", \"hotplugged\": true, "
                "\"addr\": 4294967296, \"size\": 134217728, \"slot\": 0, \"node\": 0, \"id\": \"dimm1\"}}, "
                "{\"type\": \"virtio-mem\", \"data\": {\"memdev\": \"/objects/vmem0\", \"size\": 0}}]" },
        { "qom-list", "[{\"name\": \"nv0\", \"type\": \"child<nvme>\"}, {\"name\": \"p\", \"type\": \"str\"}, "
                "{\"name\": \"l\", \"type\": \"link<pc>\"}, {\"name\": \"objects\", \"type\": \"child<container>\"}]" },
        { "qom-get", "\"NVME1\"" },
        { "qom-list-get", "[{\"properties\": [{\"name\": \"p\", \"type\": \"str\", \"value\": \"x\"}, "
                "{\"name\": \"q\", \"type\": \"int\"}, {\"name\": \"c\", \"type\": \"child<x>\", \"value\": \"x\"}]}]" },
        { "qom-list-types", "[{\"name\": \"nvme\", \"parent\": \"pci-device\"}, {\"name\": \"e1000\"}]" },
        { "device-list-properties", "[{\"name\": \"serial\", \"type\": \"str\", \"default-value\": \"x\", "
                "\"description\": \"a b\"}, {\"name\": \"addr\", \"type\": \"int32\", \"default-value\": -1}]" },
        { "human-monitor-command", "\"text\\r\\n\"" },
        { "device_del", "{}" },
        { "query-qmp-schema", schema },
};
// clang-format on

static const char *const types[] = { "null",  "true", "-1", "18446744073709551615", "1e300",
                                     "\"x\"", "[]",   "{}", "[null, [], {}]" };

/* NULL: one of 10 KiB. */
static const char *const odd[] = {
        "\"\"",
        "\"/\"",
        "\".\"",
        "\"..\"",
        "\"../../etc/passwd\"",
        "\"/machine/peripheral/../../..\"",
        "\"a\\nb\"",
        "\"%2F\"",
        "\"\\u0000\"",
        "\"\\u001b[2J\"",
        "\"\\ud800\"",
        NULL,
};

/* --- what is done with them -------------------------------------------------------------------------------------- */

static const char *what;     /* is being tried, for messages */
static uint64_t errors_from; /* what `errors` had before */
static bool met_down;        /* an operation failed for want of a connection */

#define EXPECT(condition)                                                                                            \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        ck_abort_msg("%.300s: line %d: not so: %s", what, __LINE__, #condition);                     \
        } while (0)

static void expect_documented(const char *name, int error)
{
        if (!op_error_is_documented(error) && error != -ENAMETOOLONG)
                ck_abort_msg("%.300s: %s is %s", what, name, strerrorname_np(-error));
        met_down |= error == -EHOSTDOWN;
        /* that it was QEMU's fault is told */
        if (error == -EPROTO && !faults_errors_have(errors_from, " EPROTO - "))
                ck_abort_msg("%.300s: %s is EPROTO, of which errors has nothing", what, name);
}

/* A link from a directory that is @depth below the mount point. */
static void check_target(const char *target, unsigned depth)
{
        _cleanup_(qmp_freep) char *copy = strdup(target);
        char *save = NULL;

        EXPECT(*target && *target != '/');
        for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
                EXPECT(strlen(part) <= NAME_MAX);
                if (streq(part, "..")) {
                        EXPECT(depth > 0);
                        depth--;
                } else if (!streq(part, ".")) {
                        depth++;
                }
        }
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a directory, each of which is one; the caller's. */
static int list(uint64_t node, char ***ret_names, unsigned char **ret_types, size_t *ret_n)
{
        struct k_file dir;
        char **names = NULL;
        unsigned char *kinds = NULL;
        uint64_t offset = 0;
        size_t n = 0;
        int e = k_opendir(node, &dir);

        if (e < 0)
                return e;
        for (bool more = true; more && e == 0;) {
                struct k_reply *reply = k_wait(k_send_readdir(&dir, offset, 65536));

                e = reply->error;
                more = reply->size > 0;
                for (size_t at = 0; e == 0 && at < reply->size;) {
                        struct fuse_dirent *d = (struct fuse_dirent *)(void *)(reply->data + at);

                        at += FUSE_DIRENT_SIZE(d);
                        offset = d->off;
                        if (d->namelen > 0 && d->namelen <= 2 && memcmp(d->name, "..", d->namelen) == 0)
                                continue;
                        EXPECT(d->namelen > 0 && d->namelen <= NAME_MAX);
                        EXPECT(!memchr(d->name, '/', d->namelen) && !memchr(d->name, '\0', d->namelen));
                        names = reallocarray(names, n + 1, sizeof(*names));
                        kinds = realloc(kinds, n + 1);
                        CHECK(names && kinds);
                        names[n] = strndup(d->name, d->namelen);
                        kinds[n++] = (unsigned char)d->type;
                }
                free(reply);
        }
        k_release(&dir);
        *ret_names = names;
        *ret_types = kinds;
        *ret_n = n;
        return e;
}

static void check_unique(char **names, size_t n)
{
        char **sorted = reallocarray(NULL, n + 1, sizeof(*sorted));

        CHECK(sorted);
        if (n > 0)
                memcpy(sorted, names, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), compare);
        for (size_t i = 1; i < n; i++)
                EXPECT(!streq(sorted[i], sorted[i - 1]));
        free(sorted);
}

static void visit(uint64_t node, unsigned depth);

static size_t count(const char *text, char c)
{
        size_t n = 0;

        for (; *text; text++)
                n += *text == c;
        return n;
}

static void visit_file(uint64_t node, const char *name)
{
        struct k_file file;
        char *text = NULL;
        int e = k_open(node, O_RDONLY, &file);

        expect_documented(name, e);
        if (e == 0) {
                e = rig_read_all(&file, &text, NULL);
                expect_documented(name, e);
                if (e == 0 && streq(name, "remove"))
                        /* state, usage, last write */
                        EXPECT(count(text, '\n') == 3 && text[strlen(text) - 1] == '\n' && !strchr(text, '\033'));
                k_release(&file);
        }
        free(text);
        if (!streq(name, "remove"))
                return;
        e = k_open(node, O_WRONLY, &file);
        if (e == 0) {
                expect_documented(name, k_wait_error(k_send_write(&file, "nowait", 6)));
                k_release(&file);
        }
}

static void visit_entry(uint64_t dir, const char *name, unsigned char type, unsigned depth)
{
        struct fuse_entry_out entry;
        struct k_reply *reply;
        int e = k_lookup(dir, name, &entry);

        /* what was listed is there, unless it went when something beside it was removed */
        if (e < 0) {
                expect_documented(name, e);
                return;
        }
        EXPECT(entry.nodeid != 0);
        EXPECT((entry.attr.mode & S_IFMT) == (uint32_t)type << 12);
        if (type == DT_DIR) {
                visit(entry.nodeid, depth + 1);
        } else if (type == DT_LNK) {
                reply = k_wait(k_send_readlink(entry.nodeid));
                expect_documented(name, reply->error);
                if (reply->error == 0)
                        check_target(reply->data, depth);
                free(reply);
        } else {
                visit_file(entry.nodeid, name);
        }
}

/* Everything below a directory that is @depth below the mount point. */
static void visit(uint64_t node, unsigned depth)
{
        unsigned char *kinds;
        char **names;
        size_t n;
        int e;

        if (depth > VISIT_DEPTH)
                return;
        e = list(node, &names, &kinds, &n);
        expect_documented("a directory", e);
        check_unique(names, n);
        for (size_t i = 0; i < n && i < VISIT_ENTRIES; i++)
                visit_entry(node, names[i], kinds[i], depth);
        while (n > 0)
                free(names[--n]);
        free(names);
        free(kinds);
}

/* What makes something of the command's reply: directories end with a slash, and are visited. */
static const struct {
        const char *command;
        struct op ops[8];
} users[] = {
        { "query-status", { { .verb = OP_CAT, .path = "status" }, { .verb = OP_CAT, .path = "state" } } },
        { "query-name", { { .verb = OP_CAT, .path = "name" } } },
        { "query-uuid", { { .verb = OP_CAT, .path = "uuid" } } },
        { "query-version", { { .verb = OP_CAT, .path = "version" } } },
        { "query-block",
          { { .path = "block/" }, { .verb = OP_ECHO, .path = "block/NVME1/remove", .text = "nowait" } } },
        { "query-cpus-fast", { { .path = "cpus/" } } },
        { "query-memory-devices", { { .path = "memory/" } } },
        { "query-hotpluggable-cpus", { { .verb = OP_ECHO, .path = "cpus/1/remove", .text = "nowait" } } },
        { "qom-list", { { .path = "devices/" }, { .path = "qom/" }, { .path = "memory/" } } },
        { "qom-list-get", { { .path = "devices/" } } },
        { "qom-get",
          { { .verb = OP_CAT, .path = "devices/nv0/status" },
            { .verb = OP_CAT, .path = "devices/nv0/serial" },
            { .verb = OP_LINK, .path = "qom/machine/peripheral/nv0/link" },
            { .verb = OP_LINK, .path = "memory/slot-0/device" },
            { .verb = OP_ECHO, .path = "block/NVME1/remove", .text = "nowait" } } },
        { "qom-list-types", { { .verb = OP_ECHO, .path = "types/list", .text = "" }, { .path = "types/" } } },
        { "device-list-properties",
          { { .verb = OP_ASK, .path = "types/nvme", .text = "" },
            { .verb = OP_ECHO, .path = "cmd/device_add", .text = "driver=nvme serial=1 addr=2" } } },
        { "human-monitor-command", { { .verb = OP_ASK, .path = "hmp", .text = "info status" } } },
        { "device_del", { { .verb = OP_ECHO, .path = "devices/nv0/remove", .text = "nowait" } } },
        { "query-qmp-schema",
          { { .path = "query/" },
            { .path = "cmd/" },
            { .path = "schema/" },
            { .verb = OP_ASK, .path = "cmd/balloon", .text = "value=1G id=x" },
            { .verb = OP_ASK, .path = "cmd/device_add", .text = "{\"driver\": \"nvme\"}" } } },
};

static void use(const struct op *op)
{
        size_t size = strlen(op->path);
        struct fuse_entry_out entry;
        struct op_result result;
        int e;

        if (op->path[size - 1] == '/') {
                e = rig_walk(op->path, &entry);
                expect_documented(op->path, e);
                if (e == 0)
                        visit(entry.nodeid, 1);
                return;
        }
        op_run(op, &result);
        expect_documented(op->path, result.error);
        op_result_deinit(&result);
}

/* --- the variants of a message ----------------------------------------------------------------------------------- */

/* Is called with each variant of a message. */
static void (*try_variant)(const char *message);

/* Which members have had their variants: "query-block.return[].inserted.ro", of whichever sample. */
static struct json_object *done;

static const char *odd_text(size_t i)
{
        static char name[10 * 1024 + 3];

        if (odd[i])
                return odd[i];
        memset(name, 'n', sizeof(name) - 1);
        name[0] = name[sizeof(name) - 2] = '"';
        return name;
}

/* A value within a message. */
struct place {
        struct json_object *message, *parent;
        const char *key; /* in an object, or NULL, in an array: */
        size_t index;
};

static struct json_object *get(const struct place *p)
{
        struct json_object *value = NULL;

        if (p->key)
                json_object_object_get_ex(p->parent, p->key, &value);
        else
                value = json_object_array_get_idx(p->parent, p->index);
        return value;
}

/* Takes the value over. */
static void put(const struct place *p, struct json_object *value)
{
        if (p->key)
                CHECK(json_object_object_add(p->parent, p->key, value) == 0);
        else
                CHECK(json_object_array_put_idx(p->parent, p->index, value) == 0);
}

static void try_instead(const struct place *p, const char *text)
{
        struct json_object *old = json_object_get(get(p));
        _cleanup_(qmp_freep) char *message = NULL;

        put(p, json_tokener_parse(text));
        message = strdup(json_object_to_json_string_ext(p->message, JSON_C_TO_STRING_SPACED));
        put(p, old);
        try_variant(message);
}

static void vary(const struct place *p, const char *path);

static void vary_members(struct json_object *message, struct json_object *value, const char *path)
{
        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        _cleanup_(qmp_freep) char *below = NULL;

                        (void)member;
                        CHECK(asprintf(&below, "%s.%s", path, key) >= 0);
                        vary(&(struct place){ message, value, key, 0 }, below);
                }
        } else if (json_object_is_type(value, json_type_array)) {
                _cleanup_(qmp_freep) char *below = NULL;

                CHECK(asprintf(&below, "%s[]", path) >= 0);
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        vary(&(struct place){ message, value, NULL, i }, below);
        }
}

static void vary(const struct place *p, const char *path)
{
        if (!json_object_object_get_ex(done, path, NULL)) {
                json_object_object_add(done, path, NULL);
                for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                        try_instead(p, types[i]);
                for (size_t i = 0; i < ARRAY_SIZE(odd) && json_object_is_type(get(p), json_type_string); i++)
                        try_instead(p, odd_text(i));
        }
        vary_members(p->message, get(p), path);
}

/* The first key of each object a second time; the first or the last of the two is null. */
static void vary_keys(const char *json)
{
        size_t from[64], n = 0;
        bool in_string = false;

        for (size_t i = 0; json[i]; i++) {
                _cleanup_(qmp_freep) char *first = NULL, *last = NULL;
                const char *key, *end;

                if (in_string || json[i] == '"') {
                        i += in_string && json[i] == '\\';
                        in_string = json[i] != '"' || !in_string;
                        continue;
                }
                if (json[i] == '{' || json[i] == '[') {
                        CHECK(n < ARRAY_SIZE(from));
                        from[n++] = i + 1;
                }
                if (json[i] != '}' && json[i] != ']')
                        continue;
                key = json + from[--n];
                key += strspn(key, " ");
                end = *key == '"' ? strstr(key, "\":") : NULL;
                if (json[i] == ']' || !end)
                        continue;
                CHECK(asprintf(&first, "%.*s%.*s\": null, %s", (int)from[n], json, (int)(end - key), key,
                               json + from[n]) >= 0);
                CHECK(asprintf(&last, "%.*s, %.*s\": null%s", (int)i, json, (int)(end - key), key, json + i) >= 0);
                try_variant(first);
                try_variant(last);
        }
}

static void vary_sample(const char *name, const char *message)
{
        struct json_object *json = json_tokener_parse(message);
        _cleanup_(qmp_freep) char *keys = NULL;

        CHECK(json);
        CHECK(asprintf(&keys, "keys of %s", name) >= 0);
        vary_members(json, json, name);
        if (!json_object_object_get_ex(done, keys, NULL)) {
                json_object_object_add(done, keys, NULL);
                vary_keys(json_object_to_json_string_ext(json, JSON_C_TO_STRING_SPACED));
        }
        json_object_put(json);
}

/* Whether it is a message at all: what isn't ends the connection. */
static bool is_message(const char *text)
{
        struct json_object *json = json_tokener_parse(text);
        struct qmp_message m;
        bool is = qmp_message_classify(json, &m) == 0;

        json_object_put(json);
        return is;
}

/* --- the daemon -------------------------------------------------------------------------------------------------- */

static size_t connection;

static void up(void)
{
        faults_up_plain();
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (!startswith(known[i].command, "qom-list") && !streq(known[i].command, "qom-get"))
                        fake_on(rig.fake, known[i].command, known[i].value);
        fake_on(rig.fake, "qom-list-types", "[{\"name\": \"nvme\"}]");
        fake_on(rig.fake, "device_add", "{}");
        fake_on(rig.fake, "balloon", "{}");
        fake_on(rig.fake, "system_powerdown", "{}");
        rig_qom("/", NULL, "[{\"name\": \"machine\", \"type\": \"child<pc>\"}]");
        rig_qom("/machine", NULL, "[{\"name\": \"peripheral\", \"type\": \"child<container>\"}]");
        rig_qom("/machine/peripheral/nv0", "link", "\"/machine\"");
        rig_qom("/machine/peripheral/nv0", NULL,
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"drive\", \"type\": \"str\"}, "
                "{\"name\": \"serial\", \"type\": \"str\"}, {\"name\": \"link\", \"type\": \"link<pc>\"}]");
        faults_clean();
        connection = rig.fake->n_connections;
        errors_from = faults_errors_from();
        done = json_object_new_object();
}

static void down(void)
{
        json_object_put(done);
        done = NULL;
        faults_down();
}

/* After a case. */
static void clean(bool is_up)
{
        bool told = !met_down || faults_errors_have(errors_from, "sent a JSON value that is not a QMP message");

        EXPECT(rig.vm->peer.up == is_up);
        EXPECT(rig.fake->n_connections == connection);
        if (!is_up)
                ASSERT_CAT_CONTAINS("connection", "sent a JSON value that is not a QMP message");
        EXPECT(told);
        faults_clean();
        connection = rig.fake->n_connections;
        errors_from = faults_errors_from();
        met_down = false;
}

/* All that is recorded is looked through for samples: of the replies to a command, or of events. */
static const char *wanted;

static void vary_if_wanted(const char *command, const char *event, const char *message)
{
        if (wanted ? command && streq(command, wanted) : event != NULL)
                vary_sample(wanted ? wanted : event, message);
}

static void vary_recorded(const char *command)
{
        size_t n;
        char **names = conversations_list(&n);

        wanted = command;
        for (size_t i = 0; i < n; i++) {
                struct conversation *conversation = conversation_load(names[i]);

                conversation_each_message(conversation, vary_if_wanted);
                conversation_free(conversation);
        }
        conversations_free(names, n);
}

/* --- replies ----------------------------------------------------------------------------------------------------- */

static size_t user; /* of users[] */
static const char *variant;

static bool answer(struct fake_qemu *fake, const struct fake_command *command)
{
        if (!streq(command->name, users[user].command))
                return false;
        fake_message(fake, variant);
        return true;
}

static void try_reply(const char *message)
{
        if (!faults_try())
                return;
        what = variant = message;
        rig.fake->answer = answer;
        for (size_t i = 0; i < ARRAY_SIZE(users[user].ops) && users[user].ops[i].path; i++)
                use(&users[user].ops[i]);
        clean(is_message(message));
}

START_TEST(any_value_in_a_reply)
{
        user = (size_t)_i;
        up();
        try_variant = try_reply;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                _cleanup_(qmp_freep) char *message = NULL;

                if (!streq(known[i].command, users[user].command))
                        continue;
                CHECK(asprintf(&message, "{\"return\": %s}", known[i].value) >= 0);
                vary_sample(users[user].command, message);
        }
        vary_sample(users[user].command, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"it failed\"}}");
        vary_recorded(users[user].command);
        if (streq(users[user].command, "query-qmp-schema")) {
                _cleanup_(qmp_freep) char *recorded = test_data("query-qmp-schema.json", NULL), *message = NULL;

                CHECK(asprintf(&message, "{\"return\": %s}", recorded) >= 0);
                vary_sample(users[user].command, message);
        }
        ck_assert_int_ge(json_object_object_length(done), 3);
        down();
}
END_TEST

/* --- the greeting ------------------------------------------------------------------------------------------------ */

static void try_greeting(const char *message)
{
        static const char greeting[] = FAKE_GREETING;
        _cleanup_(qmp_freep) char *line = NULL, *text = NULL;
        size_t n = rig.fake->n_connections;

        if (!faults_try())
                return;
        what = message;
        CHECK(asprintf(&line, "%s\r\n", message) >= 0);
        rig.fake->greeting = line;
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP(rig.loop, rig.fake->n_connections > n);
        SETTLE();
        ASSERT_OK(rig_cat("connection", &text));
        EXPECT(startswith(text, "up since ") || strstr(text, "sent a greeting without a version") ||
               strstr(text, "sent a JSON value that is not a QMP message") || strstr(text, "broke the protocol"));
        EXPECT((startswith(text, "up since ") != NULL) == rig.vm->peer.up);
        /* one line, and nothing that a terminal obeys */
        EXPECT(strchr(text, '\n') == text + strlen(text) - 1);
        EXPECT(!strchr(text, '\033'));
        rig.fake->greeting = greeting;
        connection = rig.fake->n_connections;
        faults_clean();
}

START_TEST(any_value_in_the_greeting)
{
        up();
        try_variant = try_greeting;
        vary_sample("greeting", FAKE_GREETING_OOB);
        down();
}
END_TEST

/* --- events ------------------------------------------------------------------------------------------------------ */

/* Whatever waits for events is there when it comes. */
static void try_event(const char *message)
{
        struct k_file stream, block, memory, ctl;
        uint64_t waiting[4];

        if (!faults_try())
                return;
        what = message;
        stream = rig_must_open("events", O_RDWR);
        ASSERT_OK(k_wait_error(k_send_write(&stream, "DEVICE_DELETED x.y=z {\"a\":{}}", 29)));
        block = rig_must_open("block/NVME1/remove", O_WRONLY);
        memory = rig_must_open("memory/dimm1/remove", O_WRONLY);
        ctl = rig_must_open("ctl", O_WRONLY);
        waiting[0] = k_send_read(&stream, 0, 65536);
        waiting[1] = k_send_write(&block, "1", 1);
        waiting[2] = k_send_write(&memory, "1", 1);
        waiting[3] = k_send_write(&ctl, "powerdown", 9);
        SETTLE();
        fake_message(rig.fake, message);
        SETTLE();
        for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
                if (!k_is_answered(waiting[i]))
                        k_interrupt(waiting[i]);
        for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
                expect_documented("who waited", k_wait_error(waiting[i]));
        clean(is_message(message));
}

START_TEST(any_value_in_an_event)
{
        up();
        try_variant = try_event;
        vary_sample("DEVICE_DELETED", "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"nv0\", \"path\": "
                                      "\"/machine/peripheral/nv0\"}}");
        vary_sample("DEVICE_UNPLUG_GUEST_ERROR", "{\"event\": \"DEVICE_UNPLUG_GUEST_ERROR\", \"data\": {\"device\": "
                                                 "\"nv0\", \"path\": \"/machine/peripheral/nv0\"}}");
        vary_sample("MEM_UNPLUG_ERROR",
                    "{\"event\": \"MEM_UNPLUG_ERROR\", \"data\": {\"device\": \"dimm1\", \"msg\": \"no\"}}");
        vary_recorded(NULL);
        ck_assert_int_ge(json_object_object_length(done), 50);
        down();
}
END_TEST

/* --- numbers ----------------------------------------------------------------------------------------------------- */

#define MANY 5000
static const struct {
        const char *command, *item, *path;
        size_t n; /* names that the directory must have */
} crowds[] = {
        { "query-block", "{\"device\": \"d\"}", "block", MANY },
        { "query-cpus-fast", "{\"cpu-index\": 1}", "cpus", MANY },
        { "query-memory-devices", "{\"data\": {\"id\": \"d\"}}", "memory", MANY },
        { "qom-list", "{\"name\": \"d\", \"type\": \"child<x>\"}", "devices", 2 * MANY },
        { "qom-list", "{\"name\": \"d\", \"type\": \"str\"}", "qom", 1 },
        { "qom-list-types", "{\"name\": \"d\"}", "types", 1 },
        { "query-qmp-schema", "{\"name\": \"d\", \"meta-type\": \"command\"}", "cmd", 1 },
};

static const char *crowd_command;

static bool answer_crowd(struct fake_qemu *fake, const struct fake_command *command)
{
        if (!streq(command->name, crowd_command))
                return false;
        fake_return(fake, command, variant);
        return true;
}

START_TEST(thousands_of_one_name)
{
        size_t size = strlen(crowds[_i].item) + 2, n;
        _cleanup_(qmp_freep) char *json = malloc(MANY * size + 3);
        uint64_t began = test_real_now();
        struct fuse_entry_out dir, entry;
        unsigned char *kinds;
        char **names, *to = json;

        CHECK(json);
        for (size_t i = 0; i < MANY; i++)
                to += sprintf(to, "%c %s", i > 0 ? ',' : '[', crowds[_i].item);
        strcpy(to, "]");
        up();
        CHECK(faults_try_always());
        what = crowds[_i].path;
        crowd_command = crowds[_i].command;
        variant = json;
        rig.fake->answer = answer_crowd;
        ASSERT_OK(rig_walk(crowds[_i].path, &dir));
        ASSERT_OK(list(dir.nodeid, &names, &kinds, &n));
        ck_assert_uint_eq(n, crowds[_i].n);
        check_unique(names, n);
        ASSERT_OK(k_lookup(dir.nodeid, names[n - 1], &entry));
        ck_assert_uint_lt(test_real_now() - began, 10 * SEC);
        while (n > 0)
                free(names[--n]);
        free(names);
        free(kinds);
        clean(true);
        down();
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(any_value_in_a_reply, ARRAY_SIZE(users)),
                TEST(any_value_in_the_greeting),
                TEST(any_value_in_an_event),
                TEST_EACH(thousands_of_one_name, ARRAY_SIZE(crowds)),
        };
        int r;

        faults_begin(STRIDE);
        r = test_main("faults_values", tests, ARRAY_SIZE(tests), NULL, NULL);
        return faults_end(LEAST) ? r : EXIT_FAILURE;
}
