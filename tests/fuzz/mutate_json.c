/*
 * For inputs of JSON: besides bytes, values are dropped, doubled, wrapped, and put in each other's place, so that most of
 * what comes out is JSON still, and names refer to what there is.
 */
#include <stdio.h>

#include "fuzz.h"
#include "mutate.h"

#define NODES_MAX 4000

/* A value in the tree; its parent is an object and @key, or an array and @index. */
struct node {
        struct json_object *parent, *value;
        const char *key;
        size_t index;
};

struct nodes {
        struct node node[NODES_MAX];
        size_t n;
};

static void collect(struct nodes *nodes, struct json_object *value)
{
        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        if (nodes->n < NODES_MAX)
                                nodes->node[nodes->n++] = (struct node){ value, member, key, 0 };
                        collect(nodes, member);
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++) {
                        struct json_object *element = json_object_array_get_idx(value, i);

                        if (nodes->n < NODES_MAX)
                                nodes->node[nodes->n++] = (struct node){ value, element, NULL, i };
                        collect(nodes, element);
                }
        }
}

static struct json_object *copy_of(struct json_object *value)
{
        struct json_object *copy = NULL;

        if (value)
                CHECK(json_object_deep_copy(value, &copy, NULL) == 0);
        return copy;
}

static void put(const struct node *node, struct json_object *value)
{
        if (node->key)
                json_object_object_add(node->parent, node->key, value);
        else
                json_object_array_put_idx(node->parent, node->index, value);
}

static struct json_object *interesting(unsigned n)
{
        static const char *const values[] = {
                "null",
                "true",
                "false",
                "0",
                "-1",
                "1",
                "1.5",
                "1e400",
                "-0.0",
                "9223372036854775807",
                "18446744073709551615",
                "-9223372036854775808",
                "\"\"",
                "\"a\"",
                "\"/\"",
                "\"..\"",
                "\"%\"",
                "\"\\u0000\"",
                "\"\\n\"",
                "\"\\u00e9\"",
                "[]",
                "{}",
                "[[]]",
                "[{}]",
                "{\"\":{}}",
                "{\"a\":[]}",
        };
        struct json_object *value = NULL;
        const char *text = values[n % ARRAY_SIZE(values)];

        CHECK(parse_json(text, strlen(text), &value));
        return value;
}

/* Wrapped in so many lists or objects. */
static struct json_object *wrapped(struct json_object *value, unsigned n, bool in_list)
{
        for (; n > 0; n--) {
                struct json_object *outer = in_list ? json_object_new_array() : json_object_new_object();

                if (in_list)
                        json_object_array_add(outer, value);
                else
                        json_object_object_add(outer, "a", value);
                value = outer;
        }
        return value;
}

static void rename_key(const struct node *node, const struct node *other)
{
        struct json_object *value = copy_of(node->value);
        char key[64];

        if (!node->key) {
                json_object_put(value);
                return;
        }
        /* of another member, or a new one */
        snprintf(key, sizeof(key), "%s", other->key ? other->key : "x");
        json_object_object_del(node->parent, node->key);
        json_object_object_add(node->parent, key, value);
}

static void double_it(const struct node *node)
{
        if (!node->key)
                json_object_array_add(node->parent, copy_of(node->value));
        else
                json_object_object_add(node->parent, "x", copy_of(node->value));
}

static void drop_it(const struct node *node)
{
        if (node->key)
                json_object_object_del(node->parent, node->key);
        else
                json_object_array_del_idx(node->parent, node->index, 1);
}

static void change(const struct node *node, const struct node *other, unsigned *seed)
{
        char text[64];

        switch (mutate_random(seed) % 8) {
        case 0:
                drop_it(node);
                break;
        case 1:
                double_it(node);
                break;
        case 2:
                rename_key(node, other);
                break;
        case 3:
                put(node, interesting(mutate_random(seed)));
                break;
        case 4:
                put(node, wrapped(copy_of(node->value), 1 + mutate_random(seed) % 3, mutate_random(seed) % 2));
                break;
        case 5:
                snprintf(text, sizeof(text), "%u", mutate_random(seed) % 4);
                put(node, json_object_new_string(text));
                break;
        default:
                put(node, copy_of(other->value));
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
        static struct nodes nodes;
        struct json_object *root;
        const char *text;
        size_t n;

        if (mutate_random(&seed) % 3 == 0 || !parse_json((const char *)data, size, &root))
                return LLVMFuzzerMutate(data, size, max);
        root = wrapped(root, 1, true);
        for (unsigned i = 1 + mutate_random(&seed) % 3; i > 0; i--) {
                nodes.n = 0;
                collect(&nodes, root);
                if (nodes.n > 0)
                        change(&nodes.node[mutate_random(&seed) % nodes.n],
                               &nodes.node[mutate_random(&seed) % nodes.n], &seed);
        }
        text = json_object_to_json_string_length(json_object_array_get_idx(root, 0),
                                                 JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
        if (n > 0 && n <= max)
                memcpy(data, text, n);
        else
                n = LLVMFuzzerMutate(data, size, max);
        json_object_put(root);
        return n;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max, unsigned seed)
{
        static struct nodes nodes;
        struct json_object *a, *b;
        const char *text;
        size_t n = 0;

        if (!parse_json((const char *)data1, size1, &a))
                return 0;
        if (!parse_json((const char *)data2, size2, &b)) {
                json_object_put(a);
                return 0;
        }
        nodes.n = 0;
        collect(&nodes, a);
        if (nodes.n > 0)
                put(&nodes.node[mutate_random(&seed) % nodes.n], json_object_get(b));
        text = json_object_to_json_string_length(a, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
        if (n <= max)
                memcpy(out, text, n);
        else
                n = 0;
        json_object_put(a);
        json_object_put(b);
        return n;
}
