/*
 * Arguments as people write them, by a real QEMU's schema or by any.
 *
 * Input: a line that is the name of a command of QEMU 7.2, or a schema whose first command is taken; behind a blank "+"
 * stands for properties of a device, "-" for unknown ones. Then what somebody wrote.
 *
 * What is accepted goes to QEMU: it must be JSON by the letter and in QEMU's bounds, and be accepted as JSON, too, with the
 * same meaning. What isn't is refused in words.
 */
#include <errno.h>
#include <stdio.h>

#include "fuzz.h"
#include "qmp/args.h"
#include "qmp/json.h"
#include "qmp/schema.h"

/* QEMU's own limit is 1024 for the whole command; and its parser is out of step with us once that is exceeded. */
#define DEPTH_MAX 1020

static struct qmp_schema *real;
static struct json_object *properties, *no_properties;

static const char property_list[] = "[{\"name\": \"drive\", \"type\": \"str\"}, {\"name\": \"addr\", \"type\": "
                                    "\"int32\"}, {\"name\": \"bootindex\", "
                                    "\"type\": \"int32\"}, {\"name\": \"sse4.1\", \"type\": \"bool\"}, {\"name\": "
                                    "\"sse4.2\", \"type\": \"bool\"}, "
                                    "{\"name\": \"sse4\", \"type\": \"size\"}, {\"name\": \"rate\", \"type\": "
                                    "\"number\"}, {\"name\": \"x\", \"type\": "
                                    "\"any\"}, {\"name\": \"serial\", \"type\": \"string\"}, {\"name\": 5}, null, "
                                    "{\"name\": \"untyped\"}, {\"name\": "
                                    "\"id\", \"type\": \"OnOffAuto\"}]";

static struct qmp_schema *read_schema(const char *text, size_t size)
{
        struct qmp_schema *schema = NULL;
        struct json_object *json;

        if (!parse_json(text, size, &json))
                return NULL;
        if (qmp_schema_new(json, &schema) < 0)
                schema = NULL;
        json_object_put(json);
        return schema;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        FILE *f = fopen(TEST_DATA "/query-qmp-schema.json", "re");
        char *text = malloc(1 << 20);
        size_t size;

        (void)argc;
        (void)argv;
        CHECK(f && text);
        size = fread(text, 1, 1 << 20, f);
        fclose(f);
        real = read_schema(text, size);
        free(text);
        CHECK(real);
        CHECK(parse_json(property_list, strlen(property_list), &properties));
        no_properties = json_object_new_array();
        return 0;
}

static void check_refusal(int r, char *why)
{
        CHECK(r == -EINVAL);
        CHECK(why && *why);
        free(why);
}

/* The same as JSON. */
static void check_accepted(const struct qmp_entity *command, struct json_object *with, struct json_object *arguments)
{
        struct json_object *again = NULL, *parsed;
        struct qmp_args *args;
        const char *text;
        char *why = NULL;
        size_t size;

        CHECK(json_object_is_type(arguments, json_type_object) && json_object_object_length(arguments) > 0);
        text = json_object_to_json_string_length(arguments, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                                                 &size);
        CHECK_MSG(is_json(text, size, DEPTH_MAX), "no JSON for QEMU: %s", text);
        CHECK_MSG(qmp_json_parse(text, &parsed, &why) == 0, "%s: %s", text, why);
        CHECK_MSG(same_json(parsed, arguments), "not the same: %s", text);
        json_object_put(parsed);
        CHECK_MSG(qmp_args_parse(text, &args, &why) == 0, "%s: %s", text, why);
        CHECK_MSG(qmp_args_build(args, command, with, &again, &why) == 0, "%s: %s", text, why);
        CHECK(same_json(again, arguments));
        json_object_put(again);
        qmp_args_free(args);
}

/* Value by value it is the same. */
static void check_values(const struct qmp_args *args, const struct qmp_entity *command, struct json_object *arguments)
{
        struct json_object *values = json_object_new_object();
        char *why = NULL;

        json_object_object_foreach(arguments, key, all) {
                struct json_object *value = NULL;

                (void)all;
                CHECK_MSG(qmp_args_value(args, key, command, key, &value, &why) == 0, "%s: %s", key, why);
                CHECK(json_object_object_add(values, key, value) == 0);
        }
        CHECK(same_json(values, arguments));
        CHECK_MSG(qmp_args_check_command(command, values, &why) == 0, "%s", why);
        json_object_put(values);
}

static int take_word(void *userdata, const char *word, size_t size, char **ret_why)
{
        bool *taken = userdata;

        CHECK(size > 0 && strlen(word) >= size);
        if (size == 3 && memcmp(word, "bad", 3) == 0)
                return qmp_invalid(ret_why, "refused");
        *taken |= *word == 'n';
        return *word == 'n';
}

static void run_words(const char *text, int without)
{
        static const char *const keys[] = { "driver", "id", NULL };
        struct qmp_args *args;
        bool taken = false;
        char *why = NULL;
        int r = qmp_args_parse_words(text, take_word, &taken, &args, &why);

        if (r < 0) {
                check_refusal(r, why);
                return;
        }
        CHECK(taken || without == 0);
        r = qmp_args_check_keys(args, keys, &why);
        if (r < 0)
                check_refusal(r, why);
        qmp_args_free(args);
}

static void run(const struct qmp_entity *command, struct json_object *with, const char *text)
{
        struct json_object *arguments = NULL;
        struct qmp_args *args;
        char *why = NULL;
        int r = qmp_args_parse(text, &args, &why);

        run_words(text, r);
        if (r < 0) {
                check_refusal(r, why);
                return;
        }
        (void)qmp_args_get(args, "driver");
        r = qmp_args_build(args, command, with, &arguments, &why);
        if (r < 0)
                check_refusal(r, why);
        else if (arguments)
                check_accepted(command, with, arguments);
        if (arguments && !with)
                check_values(args, command, arguments);
        json_object_put(arguments);
        qmp_args_free(args);
}

/* A QOM property of any type that is written alone. */
static void run_property(const char *type, const char *text)
{
        struct json_object *value = NULL;
        char *why = NULL;
        int r = qmp_args_property(type, text, &value, &why);
        const char *json;
        size_t size;

        if (r < 0) {
                check_refusal(r, why);
                return;
        }
        json = json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN, &size);
        CHECK_MSG(is_json(json, size, DEPTH_MAX), "no JSON for QEMU: %s", json);
        json_object_put(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };
        char *line = input_until(&input, '\n', NULL), *text = input_until(&input, 0, NULL);
        struct json_object *with = NULL;
        const struct qmp_entity *command;
        struct qmp_schema *schema = NULL;
        size_t n = strlen(line);

        if (n > 2 && line[n - 2] == ' ' && strchr("+-", line[n - 1])) {
                with = line[n - 1] == '+' ? properties : no_properties;
                line[n - 2] = '\0';
        }
        if (*line == '[')
                schema = read_schema(line, strlen(line));
        if (schema)
                command = schema->commands.n > 0 ? schema->commands.all[0] : NULL;
        else
                command = qmp_entities_find(&real->commands, line);
        if (command)
                run(command, with, text);
        else
                run_property(line, text);
        qmp_schema_free(schema);
        free(line);
        free(text);
        return 0;
}
