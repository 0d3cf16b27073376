#include "fs/vm/ended.h"

#include <errno.h>

#include "fs/util/render.h"
#include "qmp/message.h"

bool ended_is_of(const struct ended *e, const struct ending *ending, bool by_name)
{
        return streq_or_null(e->ending->event, ending->event) && streq_or_null(e->ending->member, ending->member) &&
               streq_or_null(e->ending->when, ending->when) && streq_or_null(e->ending->equals, ending->equals) &&
               e->by_name == by_name;
}

/* The value that the event reports, borrowed; NULL: it reports no end. */
static const char *value_of(const struct ending *ending, const struct qmp_event *event)
{
        const char *is;

        if (!streq(event->name, ending->event))
                return NULL;
        is = ending->when ? qmp_json_get_string(event->data, ending->when) : NULL;
        if (ending->when && !(is && streq(is, ending->equals)))
                return NULL;
        return qmp_json_get_string(event->data, ending->member);
}

int ended_note(struct ended *e, const struct qmp_event *event, uint64_t stamp)
{
        const char *value = value_of(e->ending, event);
        _cleanup_(qmp_freep) char *name = NULL;

        if (!value)
                return 0;
        if (e->by_name) {
                value = name = render_name(value, strlen(value));
                if (!name)
                        return -ENOMEM;
        }
        if (!e->values)
                e->values = json_object_new_object();
        if (!e->values || json_object_object_add(e->values, value, NULL) < 0)
                return -ENOMEM;
        e->stamp = stamp;
        e->bytes += strlen(value);
        return json_object_object_length(e->values) >= ENDED_MAX || e->bytes >= ENDED_MAX_BYTES ? ENDED_FULL : 0;
}

struct json_object *ended_take(struct ended *e)
{
        e->bytes = 0;
        return take_ptr(e->values);
}

bool ended_has(struct json_object *values, const char *value)
{
        return json_object_object_get_ex(values, value, NULL);
}
