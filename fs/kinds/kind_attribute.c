/*
 * Attributes: a value of an object's record. Reading shows it as it is now. A write sets it by an action, and returns
 * when reading shows what was written.
 *
 * The value is the first word that is written, or a JSON string. Behind it come the words of the action.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/answer.h"
#include "fs/kinds/kinds.h"
#include "fs/util/binding.h"
#include "fs/util/render.h"
#include "qmp/number.h"

static const char blanks[] = " \t";

/* The value in what was written: *ret_value is in @text, *ret_size bytes. The rest of the text are words. */
static const char *split(const char *text, const char **ret_value, size_t *ret_size)
{
        const char *value = text + strspn(text, blanks), *end = value;

        if (*value == '"')
                for (end++; *end && *end != '"'; end++)
                        end += end[0] == '\\' && end[1];
        end += strcspn(end, blanks);
        *ret_value = value;
        *ret_size = (size_t)(end - value);
        return end;
}

/* Whether the value that is shown is the one that was written. 0 or -ENOMEM. */
static int compare(struct json_object *shown, const char *written, bool *ret_equal)
{
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        _cleanup_(qmp_freep) char *copy = NULL;
        struct qmp_integer integer;
        const char *text;
        size_t size;

        (void)split(written, &text, &size);
        copy = strndup(text, size);
        if (!copy)
                return -ENOMEM;
        value = *copy == '"' ? json_tokener_parse(copy) : json_object_new_string(copy);
        if (!value)
                return -ENOMEM;
        switch (json_object_get_type(shown)) {
        case json_type_int:
                *ret_equal = !qmp_number_integer(copy, &integer) && !integer.negative &&
                             json_object_get_uint64(shown) == integer.magnitude;
                break;
        case json_type_boolean:
                *ret_equal = streq(copy, json_object_get_boolean(shown) ? "on" : "off") ||
                             streq(copy, json_object_get_boolean(shown) ? "true" : "false");
                break;
        default:
                *ret_equal = json_object_equal(shown, value);
                break;
        }
        return 0;
}

/* The value now; -ENODEV: the object, or the value, has gone. */
static int require(struct request *r, struct inode *inode, struct json_object **ret_record,
                   struct json_object **ret_value)
{
        const struct attribute *attribute = inode->row->data;
        int e = object_require(inode->object, &r->waiter, FRESH_CONTENT, ret_record);

        if (e == 0)
                *ret_value = binding_get(attribute->value, *ret_record);
        return e == 0 && !*ret_value ? -ENODEV : e;
}

static int attribute_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct json_object *record, *value;
        int e = require(r, inode, &record, &value);

        return e ? e : render_value(value, &ret_text->data, &ret_text->size);
}

static int64_t attribute_size(struct inode *inode)
{
        const struct attribute *attribute = inode->row->data;
        struct json_object *value = binding_get(attribute->value, object_record(inode->object));
        struct text text;

        if (!value || render_value(value, &text.data, &text.size) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

static int attribute_shown(struct request *r, bool *ret_shown)
{
        struct json_object *record, *value;
        int e = require(r, r->inode, &record, &value);

        return e ? e : compare(value, r->data, ret_shown);
}

/* What the schema of the command cannot know. @text is not a number: the schema has the words for that. */
static int check(struct request *r, const struct attribute *attribute, const struct words *words, const char *text,
                 struct json_object *value)
{
        struct qmp_integer integer;

        if (!json_object_is_type(value, json_type_int) || qmp_number_integer(text, &integer))
                return 0;
        if (integer.negative)
                return request_fail(r, -EINVAL, NULL, "'%s': expected a number that is not negative",
                                    attribute->argument);
        if (attribute->multiple_of && integer.magnitude % attribute->multiple_of != 0)
                return request_fail(r, -EINVAL, NULL, "'%s': expected a multiple of %u", attribute->argument,
                                    attribute->multiple_of);
        if (attribute->lower && integer.magnitude < json_object_get_uint64(value) &&
            !words_are_given(words, attribute->lower))
                return request_fail(r, -EINVAL, NULL, "'%s' is %llu now; a lower value needs the word '%s'",
                                    attribute->argument, (unsigned long long)json_object_get_uint64(value),
                                    attribute->lower);
        return 0;
}

/* The value as an argument of the action, the caller's; NULL: out of memory. */
static char *as_argument(const struct attribute *attribute, const char *value, size_t size)
{
        size_t n = strlen(attribute->argument);
        char *text = malloc(n + 2 * size + 2), *to = text;

        if (!text)
                return NULL;
        to = mempcpy(to, attribute->argument, n);
        *to++ = '=';
        for (size_t i = 0; i < size; i++) {
                *to++ = value[i];
                /* that of a pair ends at a comma, unless there are two */
                if (value[i] == ',' && *value != '"')
                        *to++ = ',';
        }
        *to = '\0';
        return text;
}

static int start(struct request *r, const struct attribute *attribute)
{
        struct action_use use = {
                .action = &attribute->action,
                .name = r->inode->name,
                .words.own = attribute->action.words,
                .shown = attribute_shown,
        };
        _cleanup_(qmp_args_freep) struct qmp_args *args = NULL;
        _cleanup_(qmp_freep) char *text = NULL;
        struct json_object *value;
        const char *from;
        size_t size;
        int e = words_parse(r, &use.words, use.name, split(r->data, &from, &size));

        if (e < 0)
                return e;
        text = as_argument(attribute, from, size);
        e = text ? 0 : -ENOMEM;
        if (e == 0)
                e = arguments_parse(r, text, NULL, &args);
        if (e == 0)
                e = require(r, r->inode, &use.record, &value);
        if (e == 0)
                e = check(r, attribute, &use.words, text + strlen(attribute->argument) + 1, value);
        if (e)
                return e;
        use.args = args;
        return action_start(r, &use);
}

static int attribute_write(struct request *r, struct file *file)
{
        if (r->op)
                return action_continue(r);
        answer_drop(file);
        return start(r, file->inode->row->data);
}

static bool attribute_supported(const struct vm *vm, const struct row *row)
{
        const struct attribute *attribute = row->data;

        return action_is_supported(vm, &attribute->action);
}

const struct kind kind_attribute = {
        .type = S_IFREG,
        .supported = attribute_supported,
        .own_inode = true,
        .render = attribute_render,
        .read = answer_or_content,
        .write = attribute_write,
        .release = answer_free,
        .size = attribute_size,
};
