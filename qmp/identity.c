#include "qmp/identity.h"

#include <errno.h>
#include <stdio.h>

#include "qmp/message.h"

#define NO_UUID "00000000-0000-0000-0000-000000000000"

void qmp_identity_deinit(struct qmp_identity *identity)
{
        free(identity->uuid);
        free(identity->name);
        *identity = (struct qmp_identity){ 0 };
}

static int set(char **string, const char *value)
{
        free(*string);
        *string = value && *value ? strndup(value, QMP_IDENTITY_MAX) : NULL;
        return value && *value && !*string ? -ENOMEM : 0;
}

int qmp_identity_set_uuid(struct qmp_identity *identity, struct json_object *returned)
{
        const char *uuid = qmp_json_get_string(returned, "UUID");

        return set(&identity->uuid, uuid && streq(uuid, NO_UUID) ? NULL : uuid);
}

int qmp_identity_set_name(struct qmp_identity *identity, struct json_object *returned)
{
        return set(&identity->name, qmp_json_get_string(returned, "name"));
}

static bool is_same(const char *a, const char *b)
{
        return a && b ? streq(a, b) : a == b;
}

bool qmp_identity_is(const struct qmp_identity *identity, const struct qmp_identity *first)
{
        return is_same(identity->uuid, first->uuid) && is_same(identity->name, first->name);
}

char *qmp_identity_describe(const struct qmp_identity *identity, const struct qmp_identity *first)
{
        bool by_uuid = !is_same(identity->uuid, first->uuid);
        const char *is = by_uuid ? identity->uuid : identity->name;
        const char *was = by_uuid ? first->uuid : first->name;
        const char *quote = "'", *is_quote = is ? quote : "", *was_quote = was ? quote : "";
        char *text;

        if (qmp_identity_is(identity, first))
                return NULL;
        if (asprintf(&text, "its %s is %s%s%s, at first it was %s%s%s", by_uuid ? "UUID" : "name", is_quote,
                     is ? is : "not set", is_quote, was_quote, was ? was : "not set", was_quote) < 0)
                return NULL;
        return text;
}
