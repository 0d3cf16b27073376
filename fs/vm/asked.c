#include "fs/vm/asked.h"

#include <errno.h>
#include <stdio.h>

#include "qmp/json.h"
#include "qmp/jsonc.h"
#include "qmp/message.h"
#include "fs/vm/plan.h"
#include "fs/vm/peer.h"

static void forget(struct subscriber *subscriber)
{
        struct asked *asked = container_of(subscriber, struct asked, subscriber);

        json_object_put(take_ptr(asked->answers));
        asked->bytes = 0;
}

void asked_init(struct asked *asked, struct peer *peer)
{
        *asked = (struct asked){ .peer = peer, .subscriber = { .up = forget, .down = forget } };
        bus_join(&peer->bus, &asked->subscriber);
}

void asked_deinit(struct asked *asked)
{
        bus_leave(&asked->peer->bus, &asked->subscriber);
        forget(&asked->subscriber);
}

/* The caller's; NULL: out of memory. */
static char *key_of(const struct query_spec *spec)
{
        char *key;

        return asprintf(&key, "%s %s", query_command(spec), spec->plan == &plan_type ? spec->a : "") < 0 ? NULL : key;
}

static size_t weight(const char *key, struct json_object *text)
{
        return strlen(key) + (size_t)json_object_get_string_len(text);
}

static void drop(struct asked *asked, const char *key)
{
        struct json_object *text;

        if (!json_object_object_get_ex(asked->answers, key, &text))
                return;
        asked->bytes -= weight(key, text);
        json_object_object_del(asked->answers, key);
}

static void make_room(struct asked *asked)
{
        while (asked->bytes > ASKED_MAX_BYTES) {
                struct json_object_iterator first = json_object_iter_begin(asked->answers);
                const char *key = json_object_iter_peek_name(&first);

                drop(asked, key);
        }
}

int asked_find(struct asked *asked, const struct query_spec *spec, struct json_object **ret_value)
{
        _cleanup_(qmp_freep) char *key = key_of(spec), *why = NULL;
        struct json_object *text;

        if (!key)
                return -ENOMEM;
        if (!asked->answers || !json_object_object_get_ex(asked->answers, key, &text))
                return -ENOENT;
        /* asked_keep() has made sure that it can be parsed */
        return qmp_json_parse(json_object_get_string(text), ret_value, &why) < 0 ? -ENOMEM : 0;
}

/* Does not store JSON that could not be parsed again, which only a hostile QEMU sends. 0, -EPROTO or -ENOMEM. */
static int check(const char *string, size_t size)
{
        _cleanup_(qmp_json_putp) struct json_object *value = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        int e = size > ASKED_MAX_BYTES / 2 ? -EINVAL : qmp_json_parse(string, &value, &why);

        return e == -EINVAL ? -EPROTO : e;
}

int asked_keep(struct asked *asked, const struct query_spec *spec, struct json_object *value)
{
        _cleanup_(qmp_freep) char *key = key_of(spec);
        struct json_object *text;
        const char *string;
        size_t size;
        int e;

        if (!key || qmp_json_text(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &string, &size) < 0)
                return -ENOMEM;
        e = check(string, size);
        if (e < 0)
                return e;
        if (!asked->answers)
                asked->answers = json_object_new_object();
        text = asked->answers ? json_object_new_string_len(string, (int)size) : NULL;
        if (!text)
                return -ENOMEM;
        drop(asked, key);
        if (!qmp_json_add(asked->answers, key, text))
                return -ENOMEM;
        asked->bytes += weight(key, text);
        make_room(asked);
        return 0;
}

int asked_drop(struct asked *asked, const struct query_spec *spec)
{
        _cleanup_(qmp_freep) char *key = key_of(spec);

        if (!key)
                return -ENOMEM;
        if (asked->answers)
                drop(asked, key);
        return 0;
}
