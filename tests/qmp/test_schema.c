#include "qmp/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/lib/test.h"

/* Of ck_assert() libcheck remembers each: too slow for what is checked for each of a thousand entities. */

static struct qmp_schema *schema;

static void teardown(void)
{
        schema = qmp_schema_free(schema);
}

static void load(const char *text)
{
        struct json_object *reply = json_tokener_parse(text);

        teardown();
        ck_assert_msg(reply != NULL, "no JSON: %.200s", text);
        ck_assert_int_eq(qmp_schema_new(reply, &schema), 0);
        json_object_put(reply);
}

static void load_real(void)
{
        _cleanup_(qmp_freep) char *text = test_data("query-qmp-schema.json", NULL);

        load(text);
}

static const struct qmp_entity *find(const char *name)
{
        const struct qmp_entity *entity = qmp_entities_find(&schema->commands, name);

        if (!entity)
                entity = qmp_entities_find(&schema->events, name);
        if (!entity)
                entity = qmp_entities_find(&schema->types, name);
        return entity;
}

/* The caller frees. */
static char *describe(const struct qmp_entity *entity)
{
        char *text = NULL;
        size_t size = 0;

        CHECK(entity);
        CHECK(qmp_schema_describe(schema, entity, &text, &size) == 0);
        CHECK(strlen(text) == size);
        return text;
}

static size_t count(const char *text, const char *part)
{
        size_t n = 0;

        for (const char *s = text; (s = strstr(s, part)); s += strlen(part))
                n++;
        return n;
}

/* --- QEMU 7.2 ---------------------------------------------------------------------------------------------------- */

START_TEST(all_entities_are_there)
{
        const struct qmp_entities *groups[] = { &schema->commands, &schema->events, &schema->types };

        ck_assert_uint_eq(schema->commands.n, 216);
        ck_assert_uint_eq(schema->events.n, 52);
        ck_assert_uint_eq(schema->types.n, 783);
        for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
                for (size_t i = 0; i < groups[g]->n; i++) {
                        CHECK(i == 0 || strcmp(groups[g]->all[i - 1]->name, groups[g]->all[i]->name) < 0);
                        CHECK(qmp_entities_find(groups[g], groups[g]->all[i]->name) == groups[g]->all[i]);
                }
        }
        ck_assert_ptr_null(qmp_entities_find(&schema->commands, ""));
        ck_assert_ptr_null(qmp_entities_find(&schema->commands, "query-statu"));
        ck_assert_ptr_null(qmp_entities_find(&schema->commands, "zzz"));
        ck_assert_ptr_null(qmp_entities_find(&schema->commands, "RESET"));
        ck_assert_ptr_null(qmp_entities_find(&schema->events, "quit"));
        ck_assert_ptr_null(qmp_entities_find(&schema->types, "quit"));
}
END_TEST

START_TEST(every_reference_is_known)
{
        for (size_t i = 0; i < schema->commands.n; i++) {
                CHECK(schema->commands.all[i]->meta == QMP_META_COMMAND);
                CHECK(schema->commands.all[i]->arg && schema->commands.all[i]->ret);
        }
        for (size_t i = 0; i < schema->events.n; i++) {
                CHECK(schema->events.all[i]->meta == QMP_META_EVENT);
                CHECK(schema->events.all[i]->arg && !schema->events.all[i]->ret);
        }
        for (size_t i = 0; i < schema->types.n; i++) {
                const struct qmp_entity *type = schema->types.all[i];

                CHECK(type->meta != QMP_META_COMMAND && type->meta != QMP_META_EVENT);
                CHECK((type->meta == QMP_META_ARRAY) == (type->element != NULL));
                for (size_t k = 0; k < type->n_members; k++) {
                        CHECK((type->meta == QMP_META_ENUM) == !type->members[k].type);
                        CHECK((type->meta == QMP_META_ALTERNATE) == !type->members[k].name);
                }
                CHECK((type->tag != NULL) == (type->n_variants > 0));
                for (size_t k = 0; k < type->n_variants; k++)
                        CHECK(type->variants[k].type->meta == QMP_META_OBJECT);
        }
}
END_TEST

START_TEST(builtin_types)
{
        static const struct {
                const char *name;
                enum qmp_json_type json;
        } builtins[] = { { "any", QMP_JSON_ANY },       { "str", QMP_JSON_STRING },   { "int", QMP_JSON_INT },
                         { "number", QMP_JSON_NUMBER }, { "bool", QMP_JSON_BOOLEAN }, { "null", QMP_JSON_NULL } };

        for (size_t i = 0; i < ARRAY_SIZE(builtins); i++) {
                const struct qmp_entity *type = find(builtins[i].name);

                ck_assert_int_eq(type->meta, QMP_META_BUILTIN);
                ck_assert_int_eq(type->json, builtins[i].json);
        }
}
END_TEST

START_TEST(members_of_a_command)
{
        const struct qmp_entity *arg = find("block_resize")->arg;

        ck_assert_uint_eq(arg->n_members, 3);
        ck_assert(qmp_entity_find_member(arg, "device")->optional);
        ck_assert(qmp_entity_find_member(arg, "node-name")->optional);
        ck_assert(!qmp_entity_find_member(arg, "size")->optional);
        ck_assert_ptr_eq(qmp_entity_find_member(arg, "size")->type, find("int"));
        ck_assert_ptr_null(qmp_entity_find_member(arg, "siz"));
        ck_assert_ptr_null(qmp_entity_find_member(arg, ""));
        ck_assert_ptr_null(arg->tag);
        ck_assert_ptr_null(qmp_entity_find_variant(arg, "x"));
        ck_assert(!qmp_command_needs_nothing(find("block_resize")));
        ck_assert(qmp_command_needs_nothing(find("query-block")));
        ck_assert(qmp_command_needs_nothing(find("set-action")));
}
END_TEST

START_TEST(variants_by_the_tag)
{
        const struct qmp_entity *arg = find("blockdev-add")->arg;

        ck_assert_str_eq(arg->tag, "driver");
        ck_assert_int_eq(qmp_entity_find_member(arg, "driver")->type->meta, QMP_META_ENUM);
        ck_assert_ptr_nonnull(qmp_entity_find_member(qmp_entity_find_member(arg, "driver")->type, "qcow2"));
        ck_assert_ptr_nonnull(qmp_entity_find_member(qmp_entity_find_variant(arg, "file"), "filename"));
        ck_assert_ptr_eq(qmp_entity_find_variant(arg, "bochs"), qmp_entity_find_variant(arg, "cloop"));
        ck_assert_ptr_null(qmp_entity_find_variant(arg, "nonsense"));
        ck_assert_ptr_null(qmp_entity_find_member(arg, "filename"));
}
END_TEST

START_TEST(features_and_out_of_band)
{
        static const char *const oob[] = { "migrate-recover", "migrate-pause", "yank", "query-yank" };
        size_t n = 0;

        for (size_t i = 0; i < schema->commands.n; i++)
                n += schema->commands.all[i]->allow_oob;
        ck_assert_uint_eq(n, ARRAY_SIZE(oob));
        for (size_t i = 0; i < ARRAY_SIZE(oob); i++)
                ck_assert(find(oob[i])->allow_oob);
        ck_assert(qmp_features_have(find("device_add")->features, "json-cli"));
        ck_assert(qmp_features_have(find("device_add")->features, "json-cli-hotplug"));
        ck_assert(!qmp_features_have(find("device_add")->features, "json-cl"));
        ck_assert(!qmp_features_have(find("quit")->features, "unstable"));
        ck_assert_ptr_null(find("quit")->features);
        ck_assert(qmp_features_have(qmp_entity_find_member(find("11"), "device")->features, "deprecated"));
        ck_assert(qmp_features_have(qmp_entity_find_member(find("407"), "x-colo")->features, "unstable"));
}
END_TEST

static const struct {
        const char *name, *text;
} descriptions[] = {
        { "quit", "command quit\n"
                  "\n"
                  "arguments: none\n"
                  "\n"
                  "returns: nothing\n" },
        { "block_resize", "command block_resize\n"
                          "\n"
                          "arguments:\n"
                          "    device                   [optional] string\n"
                          "    node-name                [optional] string\n"
                          "    size                     integer\n"
                          "\n"
                          "returns: nothing\n" },
        { "query-yank", "command query-yank\n"
                        "can run out of band\n"
                        "\n"
                        "arguments: none\n"
                        "\n"
                        "returns: list of object\n"
                        "    type                     one of block-node, chardev, migration\n"
                        "    when type is block-node:\n"
                        "        node-name                string\n"
                        "    when type is chardev:\n"
                        "        id                       string\n" },
        { "human-monitor-command", "command human-monitor-command\n"
                                   "features: savevm-monitor-nodes\n"
                                   "\n"
                                   "arguments:\n"
                                   "    command-line             string\n"
                                   "    cpu-index                [optional] integer\n"
                                   "\n"
                                   "returns: string\n" },
        { "qom-set", "command qom-set\n"
                     "\n"
                     "arguments:\n"
                     "    path                     string\n"
                     "    property                 string\n"
                     "    value                    any value\n"
                     "\n"
                     "returns: nothing\n" },
        { "STOP", "event STOP\n\ndata: none\n" },
        { "RESET",
          "event RESET\n"
          "\n"
          "data:\n"
          "    guest                    boolean\n"
          "    reason                   one of none, host-error, host-qmp-quit, host-qmp-system-reset, host-signal,\n"
          "            host-ui, guest-shutdown, guest-reset, guest-panic, subsystem-reset, snapshot-load\n" },
        { "263", "type 263: one of none, host-error, host-qmp-quit, host-qmp-system-reset, host-signal, host-ui,\n"
                 "        guest-shutdown, guest-reset, guest-panic, subsystem-reset, snapshot-load\n"
                 "\n"
                 "used as\n"
                 "    member reason of SHUTDOWN\n"
                 "    member reason of RESET\n" },
        { "290", "type 290: string or object\n"
                 "    node                     string\n"
                 "    name                     string\n"
                 "\n"
                 "used as\n"
                 "    argument bitmaps of block-export-add when type is nbd\n"
                 "    argument bitmaps of block-dirty-bitmap-merge\n" },
        { "334", "type 334: string or null\n"
                 "\n"
                 "used as\n"
                 "    argument tls-creds of migrate-set-parameters\n"
                 "    argument tls-hostname of migrate-set-parameters\n"
                 "    argument tls-authz of migrate-set-parameters\n"
                 "    argument iothread of x-blockdev-set-iothread\n" },
        { "528", "type 528: either of\n"
                 "    - object\n"
                 "        template                 [optional] one of none, constant, cached, all\n"
                 "        main-header              [optional] boolean\n"
                 "        active-l1                [optional] boolean\n"
                 "        active-l2                [optional] boolean\n"
                 "        refcount-table           [optional] boolean\n"
                 "        refcount-block           [optional] boolean\n"
                 "        snapshot-table           [optional] boolean\n"
                 "        inactive-l1              [optional] boolean\n"
                 "        inactive-l2              [optional] boolean\n"
                 "        bitmap-directory         [optional] boolean\n"
                 "    - one of none, constant, cached, all\n"
                 "\n"
                 "used as\n"
                 "    argument overlap-check of blockdev-add when driver is qcow2\n" },
        { "626", "type 626: integer or boolean or list of integer\n"
                 "\n"
                 "used as\n"
                 "    member stats.value of the return value of query-stats\n" },
        { "301", "type 301: object (features: dynamic-auto-read-only)\n"
                 "    filename                 string\n"
                 "    pr-manager               [optional] string\n"
                 "    locking                  [optional] one of auto, on, off\n"
                 "    aio                      [optional] one of threads, native, io_uring\n"
                 "    aio-max-batch            [optional] integer\n"
                 "    drop-cache               [optional] boolean\n"
                 "    x-check-cache-dropped    [optional] [unstable] boolean\n"
                 "\n"
                 "used as\n"
                 "    the arguments of blockdev-add when driver is file\n"
                 "    the arguments of blockdev-add when driver is host_cdrom\n"
                 "    the arguments of blockdev-add when driver is host_device\n" },
};

START_TEST(description)
{
        _cleanup_(qmp_freep) char *text = describe(find(descriptions[_i].name));

        ck_assert_str_eq(text, descriptions[_i].text);
}
END_TEST

START_TEST(description_of_a_type_names_its_places)
{
        _cleanup_(qmp_freep) char *yank = describe(find("222")), *bitmap = describe(find("37")),
                                  *empty = describe(find("0")), *node = describe(find("49"));

        ck_assert_contains(yank, "\nused as\n    an element of the return value of query-yank\n"
                                 "    argument instances of yank\n");
        ck_assert_contains(bitmap, "\n    the arguments of block-dirty-bitmap-clear, block-dirty-bitmap-disable,");
        ck_assert_contains(bitmap, ",\n            block-dirty-bitmap-remove,");
        ck_assert_contains(bitmap, "\n    argument bitmap of blockdev-add when driver is copy-before-write\n");
        ck_assert_contains(empty, "type 0: empty object\n\nused as\n    the arguments of cont, inject-nmi,");
        ck_assert_contains(empty, "\n    the return value of add_client,");
        ck_assert_contains(empty, "\n    the data of POWERDOWN, RESUME,");
        ck_assert_contains(node, "\n    the arguments of blockdev-add\n");
        ck_assert_contains(node, "\n    argument file of blockdev-add when driver is luks\n");
}
END_TEST

START_TEST(description_of_blockdev_add)
{
        _cleanup_(qmp_freep) char *text = describe(find("blockdev-add"));

        ck_assert_contains(text, "\n    when driver is qcow2:\n");
        ck_assert_contains(
                text, "\n    when driver is file, host_cdrom, host_device: (features: dynamic-auto-read-only)\n");
        ck_assert_contains(text, "\narguments:\n");
        ck_assert_contains(text, "string or object, as the arguments above\n");
        ck_assert_contains(text,
                           "server                   object, as argument server when driver is gluster above\n");
        ck_assert_contains(text,
                           "server                   object, as argument server when driver is gluster and type is "
                           "inet above\n");
        ck_assert_contains(text,
                           "when format is aes: the members of argument encrypt when driver is qcow2 and format "
                           "is aes above\n");
        ck_assert_contains(text, " event                    one of l1_update,");
        ck_assert_contains(text,
                           " event                    one of the values of argument inject-error.event when driver "
                           "is blkdebug\n                    above\n");
        ck_assert_uint_eq(count(text, "overlap-check "), 1);
        ck_assert_uint_eq(count(text, "l1_grow_alloc_table"), 1);
        ck_assert_uint_gt(count(text, "one of off, on, unmap"), 0);
        ck_assert_uint_lt(strlen(text), 40000);
}
END_TEST

START_TEST(features_are_shown_wherever_they_are)
{
        static const char *const parts[] = {
                "features: savevm-monitor-nodes\n",
                "[optional] [deprecated] string",
                "x-colo (unstable)",
                "[optional] [unstable] object",
        };
        _cleanup_(qmp_freep) char *texts[] = { describe(find("human-monitor-command")),
                                               describe(find("block-commit")),
                                               describe(find("migrate-set-capabilities")),
                                               describe(find("drive-backup")) };

        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                ck_assert_contains(texts[i], parts[i]);
        for (size_t i = 1; i < ARRAY_SIZE(parts); i++)
                free(texts[i]);
}
END_TEST

/* "argument a.b when … above": the member of that name is there, before. */
static void check_references(const char *text)
{
        static const char *const nouns[] = { "as argument ", "as member ", "of argument ", "of member " };

        for (size_t i = 0; i < ARRAY_SIZE(nouns); i++) {
                for (const char *s = text; (s = strstr(s, nouns[i])); s++) {
                        const char *path = s + strlen(nouns[i]), *end = path + strcspn(path, " \n"), *last = end,
                                   *line;
                        _cleanup_(qmp_freep) char *member = NULL;

                        if (strstr(text, "\nused as\n") && s > strstr(text, "\nused as\n"))
                                break;
                        while (last > path && last[-1] != '.')
                                last--;
                        CHECK(asprintf(&member, "  %.*s ", (int)(end - last), last) > 0);
                        line = strstr(text, member);
                        CHECK(line && line < s);
                        CHECK(strstr(end, "above"));
                }
        }
}

START_TEST(all_descriptions_are_tidy)
{
        const struct qmp_entities *groups[] = { &schema->commands, &schema->events, &schema->types };
        size_t total = 0;

        for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
                for (size_t i = 0; i < groups[g]->n; i++) {
                        _cleanup_(qmp_freep) char *text = describe(groups[g]->all[i]);
                        size_t size = strlen(text);

                        CHECK(size > 8 && text[size - 1] == '\n' && text[size - 2] != '\n');
                        CHECK(!strstr(text, "(type "));
                        CHECK(!strstr(text, " \n") && !strstr(text, "\n\n\n") && !strchr(text, '\t'));
                        CHECK(!strstr(text, ",,") && !strstr(text, "\n,") && !strstr(text, " ,"));
                        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
                                CHECK(strcspn(line, "\n") <= 150);
                        check_references(text);
                        CHECK(size < 40000);
                        total += size;
                }
        }
        ck_assert_uint_lt(total, 1500000);
}
END_TEST

static const struct {
        const char *type, *words;
} words[] = {
        { "str", "string" },
        { "int", "integer" },
        { "number", "number" },
        { "bool", "boolean" },
        { "null", "null" },
        { "any", "any value" },
        { "[int]", "list of integer" },
        { "487", "one of block-node, chardev, migration" },
        { "334", "string or null" },
        { "626", "integer or boolean or list of integer" },
        { "49", "object {driver, …}" },
        { "37", "object {node, name}" },
        { "293", "object" },
        { "518", "object {driver, …} or string" },
};

START_TEST(types_in_words)
{
        _cleanup_(qmp_freep) char *text = qmp_type_words(find(words[_i].type)), *any = qmp_type_words(NULL);

        ck_assert_str_eq(text, words[_i].words);
        ck_assert_str_eq(any, "any value");
}
END_TEST

/* --- nonsense ---------------------------------------------------------------------------------------------------- */

static const char *const no_lists[] = { "{}", "{\"return\":[]}", "\"\"", "1", "true" };

START_TEST(reply_that_is_no_list_is_refused)
{
        struct json_object *reply = json_tokener_parse(no_lists[_i]);

        ck_assert_int_eq(qmp_schema_new(reply, &schema), -EPROTO);
        ck_assert_int_eq(qmp_schema_new(NULL, &schema), -EPROTO);
        ck_assert_ptr_null(schema);
        json_object_put(reply);
}
END_TEST

/* Describes all, within the time. */
static size_t exercise(void)
{
        const struct qmp_entities *groups[] = { &schema->commands, &schema->events, &schema->types };
        uint64_t start = test_real_now();
        size_t total = 0;

        for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
                for (size_t i = 0; i < groups[g]->n && i < 500; i++) {
                        const struct qmp_entity *entity = groups[g]->all[i];
                        _cleanup_(qmp_freep) char *text = describe(entity), *in_words = qmp_type_words(entity);

                        CHECK(qmp_entities_find(groups[g], entity->name) == entity);
                        (void)qmp_entity_find_member(entity, "x");
                        (void)qmp_entity_find_variant(entity, "x");
                        if (entity->meta == QMP_META_COMMAND)
                                (void)qmp_command_needs_nothing(entity);
                        CHECK(text[strlen(text) - 1] == '\n');
                        CHECK(*in_words && strlen(in_words) < 4000000);
                        total += strlen(text);
                }
        }
        CHECK(test_real_now() - start < 20 * NSEC_PER_SEC);
        return total;
}

START_TEST(whether_a_command_needs_arguments_is_not_counted_out_each_time)
{
        char *text = malloc(200 + 40000 * 60), *to = text;
        const struct qmp_entity *command;
        uint64_t start;

        to += sprintf(to, "[{\"name\": \"c\", \"meta-type\": \"command\", \"arg-type\": \"o\"}, "
                          "{\"name\": \"o\", \"meta-type\": \"object\", \"members\": [");
        for (unsigned i = 0; i < 40000; i++)
                to += sprintf(to, "%s{\"name\": \"m\", \"default\": null}", i ? ", " : "");
        strcpy(to, "]}]");
        load(text);
        free(text);
        command = find("c");
        ck_assert_uint_eq(command->arg->n_members, 40000);
        start = test_real_now();
        /* a directory of so many commands asks it of each, for each name that is looked up */
        for (unsigned i = 0; i < 500000; i++)
                CHECK(qmp_command_needs_nothing(command));
        CHECK(test_real_now() - start < 5 * NSEC_PER_SEC);
}
END_TEST

/* Of each member any type of value. */
static const char *const odd_values[] = { "null",
                                          "0",
                                          "true",
                                          "1.5",
                                          "\"\"",
                                          "\"x\"",
                                          "\"c\"",
                                          "\"t\"",
                                          "\"a\"",
                                          "[]",
                                          "{}",
                                          "[null]",
                                          "[[]]",
                                          "[{}]",
                                          "[\"x\"]",
                                          "[1,true,{\"name\":1}]",
                                          "{\"name\":\"x\"}",
                                          "[{\"name\":\"x\",\"type\":[]}]",
                                          "[{\"name\":\"x\",\"type\":\"t\",\"features\":{}}]",
                                          "[{\"case\":\"x\",\"type\":\"int\"}]",
                                          "[{\"case\":[],\"type\":\"t\"}]" };
static const char *const keys[] = { "name",    "meta-type", "arg-type", "ret-type", "allow-oob",    "features",
                                    "members", "values",    "variants", "tag",      "element-type", "json-type" };
static const char *const metas[] = { "builtin", "enum", "array", "object", "alternate", "command", "event" };

START_TEST(members_of_any_type_do_no_harm)
{
        for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
                for (size_t m = 0; m < ARRAY_SIZE(metas); m++) {
                        struct json_object *reply = json_tokener_parse(
                                "[{\"name\":\"a\",\"meta-type\":\"array\",\"element-type\":\"x\"},"
                                "{\"name\":\"c\",\"meta-type\":\"command\",\"arg-type\":\"x\",\"ret-type\":\"x\"},"
                                "{\"name\":\"t\",\"meta-type\":\"object\",\"members\":[{\"name\":\"x\",\"type\":"
                                "\"x\"}]}]");
                        struct json_object *item = json_tokener_parse(
                                "{\"name\":\"x\",\"arg-type\":\"t\",\"ret-type\":\"t\",\"allow-oob\":true,"
                                "\"features\":[\"f\"],\"members\":[{\"name\":\"m\",\"type\":\"a\"}],\"values\":["
                                "\"v\"],"
                                "\"variants\":[{\"case\":\"v\",\"type\":\"t\"}],\"tag\":\"m\",\"element-type\":\"t\","
                                "\"json-type\":\"int\"}");

                        json_object_object_add(item, "meta-type", json_object_new_string(metas[m]));
                        json_object_object_add(item, keys[k], json_tokener_parse(odd_values[_i]));
                        json_object_array_add(reply, item);
                        teardown();
                        CHECK(qmp_schema_new(reply, &schema) == 0);
                        json_object_put(reply);
                        CHECK(exercise() < 20000);
                }
        }
}
END_TEST

#define ENTITY(name, meta, more) "{\"name\":\"" name "\",\"meta-type\":\"" meta "\"" more "}"

#define ALTERNATE(name, types) ENTITY(name, "alternate", ",\"members\":[" types "]")
#define T(type)                "{\"type\":\"" type "\"}"
#define T4(type)               T(type) "," T(type) "," T(type) "," T(type)
#define T16(type)              T4(type) "," T4(type) "," T4(type) "," T4(type)
#define M(name, type)          "{\"name\":\"" name "\",\"type\":\"" type "\"}"

static const struct {
        const char *entities, *name, *text;
} odd_schemas[] = {
        { "", NULL, NULL },
        { "null,1,\"x\",[],{},[{}]", NULL, NULL },
        { "{\"name\":\"x\"},{\"meta-type\":\"command\"}", NULL, NULL },
        { ENTITY("x", "macro", "") "," ENTITY("y", "Command", "") "," ENTITY("z", "", ""), NULL, NULL },
        { ENTITY("x", "command", ""), "x", "command x\n\narguments: any members\n\nreturns: any value\n" },
        { ENTITY("x", "command", ",\"arg-type\":\"77\",\"ret-type\":\"77\""), "x",
          "command x\n\narguments: any members\n\nreturns: any value\n" },
        { ENTITY("x", "command", ",\"arg-type\":\"int\",\"ret-type\":\"x\"") "," ENTITY("int", "builtin",
                                                                                        ",\"json-type\":\"int\""),
          "x", "command x\n\narguments: any members\n\nreturns: any value\n" },
        { ENTITY("x", "event", ",\"arg-type\":\"x\""), "x", "event x\n\ndata: any members\n" },
        { ENTITY("x", "command", ",\"allow-oob\":\"false\",\"features\":[1,null,{}]"), "x",
          "command x\n\narguments: any members\n\nreturns: any value\n" },
        { ENTITY("x", "command", ",\"features\":[1,\"a\",null,\"b\"]"), "x",
          "command x\nfeatures: a, b\n\narguments: any members\n\nreturns: any value\n" },
        { ENTITY("x", "builtin", ""), "x", "type x: any value\n" },
        { ENTITY("x", "builtin", ",\"json-type\":\"complex\""), "x", "type x: any value\n" },
        { ENTITY("x", "array", ""), "x", "type x: list of any value\n" },
        { ENTITY("x", "enum", ""), "x", "type x: one of nothing\n" },
        { ENTITY("x", "alternate", ""), "x", "type x: nothing\n" },
        { ENTITY("x", "object", ""), "x", "type x: empty object\n" },
        /* before QEMU 6.2 */
        { ENTITY("x", "enum", ",\"values\":[\"a\",1,\"b\",null]"), "x", "type x: one of a, b\n" },
        { ENTITY("x", "enum", ",\"values\":[\"a\"],\"members\":[{\"name\":\"b\"},{},{\"name\":1}]"), "x",
          "type x: one of b\n" },
        { ENTITY("x", "enum", ",\"members\":[{\"name\":\"a\",\"features\":[\"deprecated\"]},{\"name\":\"b\"}]"), "x",
          "type x: one of a (deprecated), b\n" },
        { ENTITY("x", "object",
                 ",\"members\":[{\"name\":\"a\",\"type\":\"y\",\"features\":[\"u\"],\"default\":null}]"),
          "x", "type x: object\n    a                        [optional] [u] any value\n" },
        /* the first of several */
        { ENTITY("x", "enum", ",\"values\":[\"a\"]") "," ENTITY("x", "array", "") "," ENTITY("x", "enum", ""), "x",
          "type x: one of a\n" },
        { ENTITY("x", "object", ",\"tag\":\"t\",\"members\":[]"), "x", "type x: empty object\n" },
        { ENTITY("x", "object", ",\"variants\":[{\"case\":\"a\",\"type\":\"x\"}]"), "x", "type x: empty object\n" },
        { ENTITY("x", "object",
                 ",\"tag\":\"t\",\"variants\":[{\"case\":\"a\",\"type\":\"e\"},{\"case\":\"b\"}]") "," ENTITY("e",
                                                                                                              "enum",
                                                                                                              ""),
          "x", "type x: object\n    when t is a, b: any members\n" },
        { ENTITY("x", "object", ",\"tag\":\"t\",\"variants\":[{\"case\":\"a\",\"type\":\"x\"}]"), "x",
          "type x: object\n    when t is a: the members of the type above\n\nused as\n    type x when t is a\n" },
        { ENTITY("x", "object", ",\"members\":[{\"name\":\"a\",\"type\":\"x\"}]"), "x",
          "type x: object\n    a                        object, as the type above\n\nused as\n    member a of type "
          "x\n" },
        /* what QAPI has no such names for, and a terminal or a shell would take for something else */
        { ENTITY("x\\u0000y", "enum", ",\"values\":[\"a\"]"), NULL, NULL },
        { ENTITY("", "enum", ",\"values\":[\"a\"]"), NULL, NULL },
        { ENTITY("%s%n", "command", ""), NULL, NULL },
        { ENTITY("a/b", "event", ""), NULL, NULL },
        { ENTITY(".", "command", ""), NULL, NULL },
        { ENTITY("..", "command", ""), NULL, NULL },
        { ENTITY("\\u001b[31mred", "command", ""), NULL, NULL },
        { ENTITY("x';touch y;'", "command", ""), NULL, NULL },
        { ENTITY("é", "command", ""), NULL, NULL },
        { ENTITY("x", "enum", ",\"values\":[\"a b\",\"c\",\"d\\u0000\",\"\"],\"features\":[\"f\\n\",\"g\"]"), "x",
          "type x: one of (features: g) c\n" },
        { ENTITY("x", "object", ",\"members\":[{\"name\":\"$(id)\"},{\"name\":\"a\"}]"), "x",
          "type x: object\n    a                        any value\n" },
        /* features of types */
        { ENTITY("x", "object", ",\"members\":[" M("a", "y") "," M("b", "z") "," M("c", "e") "," M("d", "l") "],\"features\":[\"f\"]") "," ENTITY(
                  "y", "object",
                  ",\"features\":[\"g\",\"h\"]") "," ENTITY("z", "object",
                                                            ",\"features\":[\"i\"],\"members\":[{\"name\":"
                                                            "\"m\"}]") "," ENTITY("e", "enum",
                                                                                  ",\"features\":[\"j\"],"
                                                                                  "\"values\":[\"v\"]") "," ENTITY("l",
                                                                                                                   "a"
                                                                                                                   "l"
                                                                                                                   "t"
                                                                                                                   "e"
                                                                                                                   "r"
                                                                                                                   "n"
                                                                                                                   "a"
                                                                                                                   "t"
                                                                                                                   "e",
                                                                                                                   ","
                                                                                                                   "\"features\":[\"k\"],\"members\":[{\"type\":\"e\"},{\"type\":\"z\"}]"),
          "x",
          "type x: object (features: f)\n"
          "    a                        empty object (features: g, h)\n"
          "    b                        object (features: i)\n"
          "        m                        any value\n"
          "    c                        one of (features: j) v\n"
          "    d                        either of (features: k)\n"
          "        - one of (features: j) v\n"
          "        - object, as member b above\n" },
        { ENTITY("x", "command", ",\"arg-type\":\"y\"") "," ENTITY("y", "object", ",\"features\":[\"f\"]"), "x",
          "command x\n\narguments: none (features: f)\n\nreturns: any value\n" },
        { ENTITY("x", "object", ",\"tag\":\"t\",\"variants\":[{\"case\":\"a\",\"type\":\"y\"}]") "," ENTITY(
                  "y", "object", ",\"features\":[\"f\"]"),
          "x", "type x: object\n    when t is a: none (features: f)\n" },
};

START_TEST(odd_schema_has_a_sane_result)
{
        _cleanup_(qmp_freep) char *list = NULL;

        ck_assert_int_gt(asprintf(&list, "[%s]", odd_schemas[_i].entities), 0);
        load(list);
        exercise();
        if (odd_schemas[_i].name) {
                _cleanup_(qmp_freep) char *text = describe(find(odd_schemas[_i].name));

                ck_assert_str_eq(text, odd_schemas[_i].text);
        } else {
                ck_assert_uint_eq(schema->commands.n + schema->events.n + schema->types.n, 0);
                ck_assert_ptr_null(find("x"));
        }
}
END_TEST

/* All of these have no end, or an exponential one, if nothing stops it. */
static const char *const circles[] = {
        ENTITY("x", "array", ",\"element-type\":\"x\""),
        ENTITY("x", "array", ",\"element-type\":\"y\"") "," ENTITY("y", "array", ",\"element-type\":\"x\""),
        ALTERNATE("x", T("x")),
        ALTERNATE("x", T16("x")),
        ALTERNATE("x", T16("y")) "," ALTERNATE("y", T16("x")),
        ALTERNATE("x", T16("y")) "," ENTITY("y", "array", ",\"element-type\":\"x\""),
        ALTERNATE("x", T("y")) "," ENTITY("y", "array", ",\"element-type\":\"x\""),
        ALTERNATE("x", T16("z")) "," ENTITY("z", "object", ",\"members\":[" M("a", "x") "," M("b", "x") "]"),
        ENTITY("x", "object", ",\"members\":[" M("a", "y") "," M("b", "y") "]") "," ENTITY(
                "y", "object", ",\"members\":[" M("a", "x") "," M("b", "x") "]"),
        ENTITY("x", "object",
               ",\"tag\":\"t\",\"members\":[" M(
                       "t", "x") "],\"variants\":["
                                 "{\"case\":\"a\",\"type\":\"y\"},{\"case\":\"b\",\"type\":\"x\"}"
                                 "]") "," ENTITY("y", "object",
                                                 ",\"tag\":\"t\",\"members\":[" M(
                                                         "t", "y") "],\"variants\":["
                                                                   "{\"case\":\"a\",\"type\":\"x\"},{"
                                                                   "\"case\":\"b\",\"type\":\"y\"}]"),
};

START_TEST(circles_end)
{
        _cleanup_(qmp_freep) char *list = NULL;

        ck_assert_int_gt(asprintf(&list, "[%s," ENTITY("c", "command", ",\"arg-type\":\"x\",\"ret-type\":\"x\"") "]",
                                  circles[_i]),
                         0);
        load(list);
        ck_assert_uint_lt(exercise(), 20000);
}
END_TEST

START_TEST(chain_of_objects_is_cut)
{
        struct json_object *reply = json_object_new_array();
        _cleanup_(qmp_freep) char *text = NULL;

        for (unsigned i = 0; i < 1000; i++) {
                char item[128];

                snprintf(
                        item, sizeof(item),
                        "{\"name\":\"t%u\",\"meta-type\":\"object\",\"members\":[{\"name\":\"m\",\"type\":\"t%u\"}]}",
                        i, i + 1);
                json_object_array_add(reply, json_tokener_parse(item));
        }
        ck_assert_int_eq(qmp_schema_new(reply, &schema), 0);
        json_object_put(reply);
        text = describe(find("t0"));
        ck_assert_contains(text, "m                        see schema/types/t10\n");
        ck_assert_ptr_null(strstr(text, "t11"));
        ck_assert_uint_lt(exercise(), 2000000);
}
END_TEST

/* The list of @n times @format with the number. */
static void load_many(const char *before, size_t n, const char *format, const char *after)
{
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fputs(before, out);
        for (size_t i = 0; i < n; i++) {
                fputs(i > 0 ? "," : "", out);
                for (const char *s = format; *s; s++) {
                        if (*s == '#')
                                fprintf(out, "%zu", i);
                        else
                                fputc(*s, out);
                }
        }
        fputs(after, out);
        fclose(out);
        load(text);
        free(text);
}

START_TEST(many_values)
{
        _cleanup_(qmp_freep) char *in_words = NULL;

        load_many("[{\"name\":\"x\",\"meta-type\":\"enum\",\"values\":[", 100000, "\"v#\"",
                  "]}," ALTERNATE("y", T16("x")) "," ENTITY(
                          "z", "object",
                          ",\"members\":[" M("a", "x") "," M("b", "x") "," M("c", "y") "," M("d", "y") "]") "]");
        ck_assert_uint_eq(find("x")->n_members, 100000);
        ck_assert_ptr_nonnull(qmp_entity_find_member(find("x"), "v99999"));
        ck_assert_ptr_null(qmp_entity_find_member(find("x"), "v100000"));
        ck_assert_uint_lt(exercise(), 4000000);
        in_words = qmp_type_words(find("x"));
        ck_assert_contains(in_words, "one of v0, v1, v2, ");
        ck_assert_contains(in_words, ", …");
        ck_assert_uint_lt(strlen(in_words), 10000);
}
END_TEST

START_TEST(many_commands)
{
        load_many("[", 10000,
                  "{\"name\":\"c#\",\"meta-type\":\"command\",\"arg-type\":\"t#\"},"
                  "{\"name\":\"t#\",\"meta-type\":\"object\",\"members\":[{\"name\":\"m\",\"type\":\"t0\"}]}",
                  "]");
        ck_assert_uint_eq(schema->commands.n, 10000);
        ck_assert_uint_eq(schema->types.n, 10000);
        ck_assert_ptr_eq(find("c9999")->arg, find("t9999"));
        ck_assert_ptr_eq(find("t9999")->members[0].type, find("t0"));
        exercise();
}
END_TEST

START_TEST(many_variants)
{
        load_many("[" ENTITY("o", "object",
                             "") ",{\"name\":\"x\",\"meta-type\":\"object\",\"tag\":\"t\",\"variants\":[",
                  10000, "{\"case\":\"v#\",\"type\":\"o\"},{\"case\":\"w#\",\"type\":\"p\"}", "]}]");
        ck_assert_uint_eq(find("x")->n_variants, 20000);
        exercise();
}
END_TEST

START_TEST(many_variants_of_as_many_types)
{
        _cleanup_(qmp_freep) char *text = NULL;
        struct json_object *reply = json_object_new_array();
        struct json_object *all = json_tokener_parse(ENTITY("a", "object", ",\"tag\":\"t\""));
        struct json_object *variants = json_object_new_array();
        uint64_t start;

        json_object_object_add(all, "variants", variants);
        json_object_array_add(reply, all);
        for (unsigned i = 0; i < 100000; i++) {
                struct json_object *type = json_object_new_object(), *variant = json_object_new_object();
                char name[16];

                snprintf(name, sizeof(name), "t%u", i);
                json_object_object_add(type, "name", json_object_new_string(name));
                json_object_object_add(type, "meta-type", json_object_new_string("object"));
                json_object_object_add(type, "members", json_tokener_parse("[{\"name\":\"m\"}]"));
                json_object_array_add(reply, type);
                json_object_object_add(variant, "case", json_object_new_string(name));
                json_object_object_add(variant, "type", json_object_new_string(name));
                json_object_array_add(variants, variant);
        }
        ck_assert_int_eq(qmp_schema_new(reply, &schema), 0);
        json_object_put(reply);
        start = test_real_now();
        text = describe(find("a"));
        ck_assert_uint_lt(test_real_now() - start, 4 * NSEC_PER_SEC);
        ck_assert_contains(text, "\n    when t is t999:\n        m                        any value\n");
        /* it ends somewhere */
        ck_assert_uint_lt(strlen(text), 300000);
        ck_assert_contains(text + strlen(text) - 10, "…\n");
}
END_TEST

START_TEST(many_branches)
{
        load_many(
                "[" ENTITY("x", "object",
                           ",\"members\":[" M("a", "y") "," M("b", "y") "," M(
                                   "c",
                                   "y") "]") "," ENTITY("s", "builtin",
                                                        ",\"json-type\":\"string\"") ",{\"name\":\"y\",\"meta-type\":"
                                                                                     "\"alternate\",\"members\":[",
                10000, "{\"type\":\"s\"}", "]}]");
        ck_assert_uint_lt(exercise(), 300000);
}
END_TEST

START_TEST(long_names)
{
        _cleanup_(qmp_freep) char *name = calloc(1, 100001), *list = NULL;

        memset(name, 'x', 100000);
        ck_assert_int_gt(
                asprintf(&list,
                         "[{\"name\":\"%s\",\"meta-type\":\"enum\",\"values\":[\"%s\"],\"features\":[\"%s\"]},"
                         "{\"name\":\"%s\",\"meta-type\":\"command\"},"
                         "{\"name\":\"o\",\"meta-type\":\"object\",\"tag\":\"%s\",\"members\":[{\"name\":\"%s\","
                         "\"type\":\"%s\"},{\"name\":\"b\",\"type\":\"%s\"}],\"variants\":[{\"case\":\"%s\"}]}]",
                         name, name, name, name, name, name, name, name, name),
                0);
        load(list);
        /* no file could have the name */
        ck_assert_ptr_null(qmp_entities_find(&schema->types, name));
        ck_assert_ptr_null(qmp_entities_find(&schema->commands, name));
        name[255] = '\0';
        ck_assert_ptr_null(qmp_entities_find(&schema->commands, name));
        ck_assert_uint_lt(exercise(), 1000);
}
END_TEST

START_TEST(few_long_values_are_spelled_out_once)
{
        _cleanup_(qmp_freep) char *value = calloc(1, 256), *list = NULL, *text = NULL;

        memset(value, 'x', 255);
        ck_assert_int_gt(
                asprintf(&list,
                         "[{\"name\":\"e\",\"meta-type\":\"enum\",\"values\":[\"%s\"]}," ENTITY(
                                 "o", "object", ",\"members\":[" M("a", "e") "," M("b", "e") "," M("c", "e") "]") "]",
                         value),
                0);
        load(list);
        text = describe(find("o"));
        ck_assert_uint_eq(count(text, value), 1);
        ck_assert_uint_eq(count(text, "one of the values of member a above"), 2);
}
END_TEST

START_TEST(freeing_nothing)
{
        ck_assert_ptr_null(qmp_schema_free(NULL));
}
END_TEST

int main(void)
{
        const struct test real[] = {
                TEST(all_entities_are_there),
                TEST(every_reference_is_known),
                TEST(builtin_types),
                TEST(members_of_a_command),
                TEST(variants_by_the_tag),
                TEST(features_and_out_of_band),
                TEST_EACH(description, ARRAY_SIZE(descriptions)),
                TEST(description_of_a_type_names_its_places),
                TEST(description_of_blockdev_add),
                TEST(features_are_shown_wherever_they_are),
                TEST(all_descriptions_are_tidy),
                TEST_EACH(types_in_words, ARRAY_SIZE(words)),
        };
        const struct test odd[] = {
                TEST_EACH(reply_that_is_no_list_is_refused, ARRAY_SIZE(no_lists)),
                TEST_EACH(members_of_any_type_do_no_harm, ARRAY_SIZE(odd_values)),
                TEST_EACH(odd_schema_has_a_sane_result, ARRAY_SIZE(odd_schemas)),
                TEST_EACH(circles_end, ARRAY_SIZE(circles)),
                TEST(whether_a_command_needs_arguments_is_not_counted_out_each_time),
                TEST(chain_of_objects_is_cut),
                TEST(many_values),
                TEST(many_commands),
                TEST(many_variants),
                TEST(many_variants_of_as_many_types),
                TEST(many_branches),
                TEST(long_names),
                TEST(few_long_values_are_spelled_out_once),
                TEST(freeing_nothing),
        };
        int r = test_main("schema", real, ARRAY_SIZE(real), load_real, teardown);
        int s = test_main("schema_odd", odd, ARRAY_SIZE(odd), NULL, teardown);

        return r != EXIT_SUCCESS ? r : s;
}
