#include "tests/lib/compose.h"

#include "fs/kinds/answer.h"

#define COMMAND(name, arg)                                                                                           \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"0\"}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"

// clang-format off
static const char schema[] =
        "[{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"},"
        "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"},"
        "{\"name\": \"bool\", \"meta-type\": \"builtin\", \"json-type\": \"boolean\"},"
        OBJECT("0", "") ","
        OBJECT("1", MEMBER("id", "str")) ","
        OBJECT("2", MEMBER("of", "str") "," MEMBER("size", "int") "," MEMBER("on", "bool")) ","
        OBJECT("3", MEMBER("node", "str")) ","
        COMMAND("make-a", "1") "," COMMAND("drop-a", "1") ","
        COMMAND("make-b", "2") "," COMMAND("drop-b", "1") ","
        COMMAND("make-c", "3") "]";
// clang-format on

const struct action compose_action = {
        .steps = {
                { .does = { "make-a", { { .name = "id", .written = "name" } } },
                  .undo = { "drop-a", { { .name = "id", .written = "name" } } } },
                { .does = { "make-b",
                            { { .name = "of", .reply = "{path}", .step = 0 },
                              { .name = "size", .written = "size" },
                              { .name = "on", .constant = "true" } } },
                  .undo = { "drop-b", { { .name = "id", .reply = "{name}", .step = 1 } } } },
                { .does = { "make-c",
                            { { .name = "node", .record = "{missing}" },
                              { .name = "node", .record = "{node}", .otherwise = true },
                              { .name = "node", .record = "{wrong}", .otherwise = true } } } },
        },
        .until = ACTION_EVENT,
        .events = { "MADE" },
        .member = "node",
        .equals = "{node}",
};

static const char *const keys[] = { "name", "size", NULL };

static struct json_object *record;

static int compose_write(struct request *r, struct file *file)
{
        _cleanup_(qmp_args_freep) struct qmp_args *args = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        struct action_use use = { .action = &compose_action, .name = "compose", .record = record };
        int e = arguments_parse(r, r->data, &use.words, &args);

        (void)file;
        if (e == 0)
                e = qmp_args_check_keys(args, keys, &why);
        if (e < 0)
                return why ? request_fail(r, e, NULL, "%s", why) : e;
        use.args = args;
        return action_start(r, &use);
}

static int compose_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        (void)r;
        return usage_render(inode, "compose", ret_text);
}

static int compose_read(struct request *r, struct file *file, struct text *ret_text)
{
        int e;

        return answer_read(r, file, ret_text, &e) ? e : READ_CONTENT;
}

static const struct kind kind_compose = {
        .type = S_IFREG,
        .own_inode = true,
        .render = compose_render,
        .read = compose_read,
        .write = compose_write,
        .release = answer_free,
};

static const struct row rows[] = {
        { .name = "compose", .kind = &kind_compose, .mode = 0644 },
        { .name = "errors", .kind = &kind_errors, .mode = 0440, .channel = CHANNEL_ERRORS },
        { .name = "status", .kind = &kind_json, .mode = 0444, .query = "query-status" },
        { 0 },
};

static const struct row root = { .name = "/", .kind = &kind_dir, .data = rows };

struct k_file compose_file;

void compose_up(void)
{
        rig_up();
        if (!record)
                record = json_tokener_parse("{\"missing\": \"\", \"node\": \"disk0\", \"wrong\": \"x\"}");
        inode_find(rig.session, FUSE_ROOT_ID)->row = &root;
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "make-a", "{\"path\": \"/a\"}");
        fake_on(rig.fake, "make-b", "{\"name\": \"b0\"}");
        fake_on(rig.fake, "make-c", "{}");
        fake_on(rig.fake, "drop-a", "{}");
        fake_on(rig.fake, "drop-b", "{}");
        compose_file = rig_must_open("compose", O_RDWR);
        /* the schema is known from now on */
        ASSERT_OK(k_wait_error(k_send_write(&compose_file, "name=x size=1 explain", 21)));
        free(rig_sent());
}

uint64_t compose_begin(const char *text)
{
        uint64_t write = k_send_write(&compose_file, text, strlen(text));

        SETTLE();
        return write;
}
