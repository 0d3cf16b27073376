#include "fs/util/event_filter.h"

#include <ctype.h>
#include <errno.h>

#include "qmp/json.h"
#include "qmp/message.h"
#include "fs/util/render.h"
#include "fs/util/wait.h"

void event_filter_deinit(struct event_filter *f)
{
        for (size_t i = 0; i < f->n_names; i++)
                free(f->names[i]);
        for (size_t i = 0; i < f->n_conditions; i++) {
                free(f->conditions[i].key);
                free(f->conditions[i].value);
        }
        free(f->names);
        free(f->conditions);
        json_object_put(f->parts);
        *f = (struct event_filter){ 0 };
}

static int add_name(struct event_filter *f, const char *word)
{
        char **names = reallocarray(f->names, f->n_names + 1, sizeof(*names));

        if (!names)
                return -ENOMEM;
        f->names = names;
        names[f->n_names] = strdup(word);
        return names[f->n_names] ? (f->n_names++, 0) : -ENOMEM;
}

static int add_condition(struct event_filter *f, const char *word, const char *equals)
{
        struct condition *conditions = reallocarray(f->conditions, f->n_conditions + 1, sizeof(*conditions)), *c;

        if (!conditions)
                return -ENOMEM;
        f->conditions = conditions;
        c = &conditions[f->n_conditions++];
        c->key = strndup(word, (size_t)(equals - word));
        c->value = strdup(equals + 1);
        return c->key && c->value ? 0 : -ENOMEM;
}

static bool is_event_name(const char *word)
{
        return isupper((unsigned char)*word) && word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

/* @at: where it stands, from 1 on. */
static int parse_word(struct event_filter *f, const char *word, size_t at, char **ret_why)
{
        const char *equals = strchr(word, '=');
        struct wait wait;

        if (startswith(word, "timeout=")) {
                if (wait_parse(word, &wait) == 0) {
                        f->limit_ns = wait.limit_ns;
                        return 0;
                }
        } else if (equals && equals > word) {
                return add_condition(f, word, equals);
        } else if (is_event_name(word)) {
                return add_name(f, word);
        }
        return qmp_invalid(
                ret_why, "the word at character %zu is not an EVENT_NAME, KEY=VALUE, JSON object or timeout=SEC", at);
}

/* A JSON object at the start of @s; *ret_size bytes of it. */
static int parse_part(struct event_filter *f, const char *s, size_t at, size_t *ret_size, char **ret_why)
{
        _cleanup_(qmp_freep) char *why = NULL;
        struct json_object *part;
        int r;

        *ret_size = 0;
        if (!f->parts)
                f->parts = json_object_new_array();
        if (!f->parts)
                return -ENOMEM;
        r = qmp_json_next(s, ret_size, &part, &why);
        if (r == -EINVAL)
                return qmp_invalid(ret_why, "the JSON object at character %zu: %s", at, why ? why : "malformed");
        if (r < 0)
                return r;
        if (json_object_array_add(f->parts, part) < 0) {
                json_object_put(part);
                return -ENOMEM;
        }
        return 0;
}

int event_filter_parse(const char *line, struct event_filter *ret_filter, char **ret_why)
{
        struct event_filter f = { 0 };
        const char *start = line;
        int r = 0;

        *ret_why = NULL;
        while (r == 0) {
                size_t n = 0;

                line += strspn(line, " \t\n");
                if (!*line)
                        break;
                if (*line == '{') {
                        r = parse_part(&f, line, (size_t)(line - start) + 1, &n, ret_why);
                } else {
                        _cleanup_(qmp_freep) char *word = NULL;

                        n = strcspn(line, " \t\n");
                        word = strndup(line, n);
                        r = word ? parse_word(&f, word, (size_t)(line - start) + 1, ret_why) : -ENOMEM;
                }
                line += n;
        }
        if (r < 0) {
                event_filter_deinit(&f);
                return r;
        }
        *ret_filter = f;
        return 0;
}

static int holds(const struct condition *c, struct json_object *data)
{
        _cleanup_(qmp_freep) char *keys = strdup(c->key), *text = NULL;
        char *save = NULL;
        size_t size;

        if (!keys)
                return -ENOMEM;
        for (char *key = strtok_r(keys, ".", &save); key; key = strtok_r(NULL, ".", &save))
                if (!json_object_is_type(data, json_type_object) || !json_object_object_get_ex(data, key, &data))
                        return 0;
        if (render_value(data, &text, &size) < 0)
                return -ENOMEM;
        /* without the newline */
        return strlen(c->value) == size - 1 && memcmp(c->value, text, size - 1) == 0;
}

static bool is_part(struct json_object *part, struct json_object *whole)
{
        if (!json_object_is_type(part, json_type_object) || !json_object_is_type(whole, json_type_object))
                return json_object_equal(part, whole);
        json_object_object_foreach(part, key, value) {
                struct json_object *member;

                if (!json_object_object_get_ex(whole, key, &member) || !is_part(value, member))
                        return false;
        }
        return true;
}

int event_filter_matches(const struct event_filter *f, struct json_object *event)
{
        const char *name = qmp_json_get_string(event, "event");
        struct json_object *data = qmp_json_get(event, "data");
        int r = f->n_names == 0;

        for (size_t i = 0; i < f->n_names; i++)
                r = r || (name && streq(f->names[i], name));
        for (size_t i = 0; r > 0 && i < f->n_conditions; i++)
                r = holds(&f->conditions[i], data);
        for (size_t i = 0; r > 0 && f->parts && i < json_object_array_length(f->parts); i++)
                r = is_part(json_object_array_get_idx(f->parts, i), data);
        return r;
}
