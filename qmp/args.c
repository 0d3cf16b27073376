#include "qmp/args.h"

#include <errno.h>

#include "qmp/args_internal.h"
#include "qmp/json.h"
#include "qmp/message.h"

/* Longer input must be JSON, whose parser does not get slower with the number of members. */
#define PAIRS_MAX 4096
#define DEPTH_MAX 64

#define BLANKS " \t\r\n"

static void node_free(struct qmp_args_node *node)
{
        while (node->children) {
                struct qmp_args_node *child = node->children;

                node->children = child->next;
                node_free(child);
                free(child);
        }
        free(node->key);
        free(node->text);
        free(node->why);
        json_object_put(node->json);
}

struct qmp_args *qmp_args_free(struct qmp_args *args)
{
        if (!args)
                return NULL;
        json_object_put(args->json);
        node_free(&args->root);
        free(args);
        return NULL;
}

struct qmp_args_node *qmp_args_find(const struct qmp_args_node *node, const char *key, size_t size)
{
        for (struct qmp_args_node *child = node->children; child; child = child->next)
                if (strlen(child->key) == size && memcmp(child->key, key, size) == 0)
                        return child;
        return NULL;
}

/* The position of @at in @text, in characters, from 1. */
static size_t position(const char *text, const char *at)
{
        size_t n = 1;

        for (; text < at; text++)
                n += ((unsigned char)*text & 0xc0) != 0x80;
        return n;
}

static struct qmp_args_node *add_child(struct qmp_args_node *node, const char *key, size_t size, size_t at)
{
        struct qmp_args_node *child = calloc(1, sizeof(*child));

        if (child)
                child->key = strndup(key, size);
        if (!child || !child->key) {
                free(child);
                return NULL;
        }
        child->at = at;
        if (node->last)
                node->last->next = child;
        else
                node->children = child;
        node->last = child;
        return child;
}

/* Finds or creates the node for the dotted key at position @at of the text. */
static int find_node(struct qmp_args_node *root, const char *key, size_t size, size_t at,
                     struct qmp_args_node **ret_node, char **ret_why)
{
        struct qmp_args_node *node = root;
        unsigned depth = 0;

        for (const char *part = key; part <= key + size;) {
                const char *dot = memchr(part, '.', (size_t)(key + size - part));
                size_t n = (size_t)((dot ? dot : key + size) - part);
                struct qmp_args_node *child;

                if (n == 0)
                        return qmp_invalid(ret_why, "the key at character %zu has an empty part", at);
                if (++depth > DEPTH_MAX)
                        return qmp_invalid(ret_why, "the key at character %zu has more than %d parts", at, DEPTH_MAX);
                if (node->text)
                        return qmp_invalid(ret_why, "the key at character %zu is below a key that has a value", at);
                child = qmp_args_find(node, part, n);
                if (!child)
                        child = add_child(node, part, n, at + position(key, part) - 1);
                if (!child)
                        return -ENOMEM;
                node = child;
                part += n + 1;
        }
        if (node->text)
                return qmp_invalid(ret_why, "the key at character %zu is given twice", at);
        if (node->children)
                return qmp_invalid(ret_why, "the key at character %zu has both a value and members", at);
        *ret_node = node;
        return 0;
}

static bool ends_value(char c)
{
        return c == '\0' || c == ',' || strchr(BLANKS, c);
}

/*
 * Parses a value that is JSON. Returns 1 and advances *at past it, or 0 if it is not JSON. A value that begins with a
 * quote must be a JSON string, since an incomplete quotation is certainly a mistake.
 */
static int parse_json_value(const char *text, const char **at, struct qmp_args_node *node, char **ret_why)
{
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        const char *start = *at;
        size_t used = 0;
        int r;

        if (*start != '"' && *start != '{' && *start != '[')
                return 0;
        r = qmp_json_next(start, &used, &value, &why);
        if (r == -ENOMEM)
                return r;
        /* the blanks after it are a separator */
        while (r == 0 && used > 0 && strchr(BLANKS, start[used - 1]))
                used--;
        if (r < 0 || !ends_value(start[used])) {
                if (*start != '"') {
                        if (r == 0)
                                (void)qmp_invalid(&why, "trailing data after the JSON value");
                        if (!why)
                                return -ENOMEM;
                        node->why = take_ptr(why);
                        return 0;
                }
                return qmp_invalid(ret_why,
                                   "the value at character %zu: a quoted value must be a JSON string, followed by a "
                                   "comma or a blank",
                                   position(text, start));
        }
        node->text = *start == '"' ? strdup(json_object_get_string(value)) : strndup(start, used);
        if (!node->text)
                return -ENOMEM;
        node->json = take_ptr(value);
        node->has_json = true;
        *at = start + used;
        return 1;
}

static int parse_value(const char *text, const char **at, struct qmp_args_node *node, char **ret_why)
{
        int r = parse_json_value(text, at, node, ret_why);
        const char *s = *at;
        char *to;

        if (r != 0)
                return r < 0 ? r : 0;
        node->text = to = malloc(strlen(s) + 1);
        if (!to)
                return -ENOMEM;
        while (!ends_value(*s) || (s[0] == ',' && s[1] == ',')) {
                s += s[0] == ',';
                *to++ = *s++;
        }
        *to = '\0';
        /* the rest of the text may be long, and there may be many values */
        to = realloc(node->text, (size_t)(to - node->text) + 1);
        if (to)
                node->text = to;
        *at = s;
        return 0;
}

/* Advances *at past the words before the arguments. 0 or as @fn fails. */
static int skip_words(const char **at, qmp_args_word_fn fn, void *userdata, char **ret_why)
{
        int r = 1;

        while (r > 0) {
                size_t size;

                *at += strspn(*at, " \t\r");
                size = strcspn(*at, "," BLANKS);
                r = fn && size > 0 ? fn(userdata, *at, size, ret_why) : 0;
                if (r > 0)
                        *at += size;
        }
        return r;
}

static int parse_pairs(const char *text, const char *from, qmp_args_word_fn fn, void *userdata, struct qmp_args *args,
                       char **ret_why)
{
        const struct qmp_args_node *last = NULL;
        const char *counted = text;
        size_t character = 1;
        unsigned n = 0;

        /* a writer with a line buffer writes each line by itself, and the first one would be the whole request */
        if (strchr(text, '\n'))
                return qmp_invalid(ret_why, "the arguments must be on one line, unless they are a JSON object");
        for (const char *at = from; *at;) {
                const char *key = at;
                size_t size = strcspn(at, "=," BLANKS), word = strcspn(at, "," BLANKS);
                struct qmp_args_node *node = NULL;
                int r = fn && word > 0 ? fn(userdata, at, word, ret_why) : 0;

                if (r < 0)
                        return r;
                if (r > 0) {
                        at += word;
                        at += strspn(at, BLANKS);
                        continue;
                }
                at += size;
                if ((*at != '=' || size == 0) && last && last->why)
                        return qmp_invalid(ret_why, "the value of the key at character %zu: %s", last->at, last->why);
                if (*at != '=' || size == 0)
                        return qmp_invalid(ret_why,
                                           "expected KEY=VALUE at character %zu; a value that contains blanks must "
                                           "be quoted: \"…\"",
                                           position(text, key));
                at++;
                if (++n > PAIRS_MAX)
                        return qmp_invalid(ret_why, "more than %d pairs; use JSON instead", PAIRS_MAX);
                /* counted incrementally, since there may be thousands */
                character += position(counted, key) - 1;
                counted = key;
                r = find_node(&args->root, key, size, character, &node, ret_why);
                if (r == 0)
                        r = parse_value(text, &at, node, ret_why);
                if (r < 0)
                        return r;
                last = node;
                at += strspn(at, BLANKS);
                if (*at == ',')
                        at += 1 + strspn(at + 1, BLANKS);
        }
        return 0;
}

int qmp_args_parse(const char *text, struct qmp_args **ret_args, char **ret_why)
{
        return qmp_args_parse_words(text, NULL, NULL, ret_args, ret_why);
}

int qmp_args_parse_words(const char *text, qmp_args_word_fn fn, void *userdata, struct qmp_args **ret_args,
                         char **ret_why)
{
        _cleanup_(qmp_args_freep) struct qmp_args *args = calloc(1, sizeof(*args));
        const char *at = text;
        int r;

        *ret_why = NULL;
        if (!args)
                return -ENOMEM;
        r = qmp_utf8_check(text, ret_why);
        if (r == 0)
                r = skip_words(&at, fn, userdata, ret_why);
        args->is_json = *at == '{';
        if (r == 0)
                r = args->is_json ? qmp_json_parse(at, &args->json, ret_why)
                                  : parse_pairs(text, at, fn, userdata, args, ret_why);
        if (r < 0)
                return r;
        *ret_args = take_ptr(args);
        return 0;
}

const char *qmp_args_get(const struct qmp_args *args, const char *key)
{
        const struct qmp_args_node *node;

        if (args->is_json)
                return qmp_json_get_string(args->json, key);
        node = qmp_args_find(&args->root, key, strlen(key));
        return node ? node->text : NULL;
}
