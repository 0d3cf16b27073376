#include "fs/kinds/arguments.h"

#include <errno.h>

#include "fs/kinds/catalog.h"
#include "fs/util/wait.h"
#include "qmp/json.h"

/*
 * Commands that take more than the schema says, because a type's properties are their arguments: which argument names
 * the type. (QEMU 7.2 to 10.1; object-add and netdev_add are whole in the schema.)
 */
static const struct {
        const char *command, *type;
} open_commands[] = {
        { "device_add", "driver" },
};

const char *arguments_type(const char *command)
{
        for (size_t i = 0; i < ARRAY_SIZE(open_commands); i++)
                if (streq(open_commands[i].command, command))
                        return open_commands[i].type;
        return NULL;
}

/* --- words ------------------------------------------------------------------------------------------------------ */

static bool is_word(const char *word, size_t size, const char *name)
{
        return strlen(name) == size && memcmp(word, name, size) == 0;
}

/* In how many types an argument is searched for. blockdev-add of QEMU 7.2 has 60 variants, and 130 with theirs. */
#define TYPES_MAX 1000

/* Whether the type or one of its variants has the member, or there are too many to tell. */
static bool may_have_member(const struct qmp_entity *type, const char *name, unsigned *n_types)
{
        if (++*n_types > TYPES_MAX || qmp_entity_find_member(type, name))
                return true;
        for (size_t i = 0; i < type->n_variants; i++)
                if (type->variants[i].type && may_have_member(type->variants[i].type, name, n_types))
                        return true;
        return false;
}

/* "timeout=" may also be an argument of the command. */
static bool is_timeout(const struct words *words, const char *word, size_t size)
{
        const struct qmp_entity *command = words->after;
        unsigned n_types = 0;

        if (size < strlen("timeout=") || !startswith(word, "timeout="))
                return false;
        return !command || (command->arg && !arguments_type(command->name) &&
                            !may_have_member(command->arg, "timeout", &n_types));
}

static int take_timeout(struct words *words, const char *word, size_t size, char **ret_why)
{
        _cleanup_(qmp_freep) char *copy = strndup(word, size);
        struct wait wait;

        if (!copy)
                return -ENOMEM;
        if (wait_parse(copy, &wait) < 0)
                return qmp_invalid(ret_why, "'timeout': expected a number of seconds greater than 0");
        if (words->limit_ns)
                return qmp_invalid(ret_why, "'timeout' is given twice");
        words->limit_ns = wait.limit_ns;
        return 1;
}

static int take_word(void *userdata, const char *word, size_t size, char **ret_why)
{
        struct words *words = userdata;
        int r = 1;

        if (is_word(word, size, "nowait"))
                words->nowait = true;
        else if (is_word(word, size, "explain"))
                words->explain = true;
        else if (is_timeout(words, word, size))
                r = take_timeout(words, word, size, ret_why);
        else
                r = 0;
        for (size_t i = 0; r == 0 && words->own && words->own[i]; i++)
                if (is_word(word, size, words->own[i]))
                        r = words->given[i] = true;
        if (r > 0 && words->nowait && words->limit_ns)
                return qmp_invalid(ret_why, "one of nowait and timeout=SEC is possible, not both");
        return r;
}

int words_parse(struct request *r, struct words *words, const char *subject, const char *text)
{
        static const char blanks[] = " \t";
        _cleanup_(qmp_freep) char *why = NULL, *own = NULL;

        for (const char *word = text + strspn(text, blanks); *word; word += strspn(word, blanks)) {
                size_t size = strcspn(word, blanks);
                int e = take_word(words, word, size, &why);

                if (e < 0)
                        return why ? request_fail(r, e, NULL, "%s", why) : e;
                if (e > 0) {
                        word += size;
                        continue;
                }
                own = strdup("");
                for (size_t i = 0; own && words->own && words->own[i]; i++) {
                        char *more;

                        if (asprintf(&more, "%s%s, ", own, words->own[i]) < 0)
                                more = NULL;
                        free(own);
                        own = more;
                }
                return own ? request_fail(r, -EINVAL, NULL, "'%s' takes only %snowait, timeout=SEC and explain",
                                          subject, own)
                           : -ENOMEM;
        }
        return 0;
}

bool words_are_given(const struct words *words, const char *word)
{
        for (size_t i = 0; words->own && words->own[i]; i++)
                if (streq(words->own[i], word))
                        return words->given[i];
        return false;
}

/* --- arguments -------------------------------------------------------------------------------------------------- */

int arguments_parse(struct request *r, const char *text, struct words *words, struct qmp_args **ret_args)
{
        _cleanup_(qmp_freep) char *why = NULL;
        int e = qmp_args_parse_words(text, words ? take_word : NULL, words, ret_args, &why);

        return why ? request_fail(r, e, NULL, "%s", why) : e;
}

/* Left to QEMU's check. */
static int unknown_properties(struct json_object **ret_properties)
{
        *ret_properties = json_object_new_array();
        return *ret_properties ? 0 : -ENOMEM;
}

/*
 * The properties that are also arguments, owned by the caller; NULL: the command has none; empty: left to QEMU's
 * check. @known: only if they are known already.
 */
static int require_properties(struct request *r, const struct qmp_args *args, bool known,
                              const struct qmp_entity *command, struct json_object **ret_properties)
{
        struct query_spec spec = { .plan = &plan_type, .asked = true };
        const struct query *query;
        const char *argument = arguments_type(command->name);
        int e;

        *ret_properties = NULL;
        spec.a = argument ? qmp_args_get(args, argument) : NULL;
        if (!spec.a)
                return 0;
        e = asked_find(&r->vm->asked, &spec, ret_properties);
        if (e != -ENOENT)
                return e;
        if (known)
                return unknown_properties(ret_properties);
        e = query_require(&r->waiter, &spec, FRESH_CONTENT, &query);
        if (e == 0) {
                *ret_properties = json_object_get(query->value);
                e = types_keep(r->vm, &spec, *ret_properties);
                /* what can't be kept is good for now */
                return e == -EPROTO ? 0 : e;
        }
        /* an alias ("virtio-net"), or a mistake; the command's own words for that are better than the query's */
        return e == -ENODEV || e == -EINVAL ? unknown_properties(ret_properties) : e;
}

int arguments_build(struct request *r, const struct qmp_args *args, const struct words *words,
                    const struct qmp_entity *command, struct json_object **ret_arguments)
{
        _cleanup_(qmp_json_putp) struct json_object *properties = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        int e = require_properties(r, args, words && words->explain, command, &properties);

        if (e == 0)
                e = qmp_args_build(args, command, properties, ret_arguments, &why);
        return why ? request_fail(r, e, NULL, "%s", why) : e;
}
