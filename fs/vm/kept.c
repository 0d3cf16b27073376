#include "fs/vm/kept.h"

#include <errno.h>

#include "qmp/message.h"

/* What json-c (0.16) takes for a value and for a member of an object, approximately. */
#define VALUE_BYTES  64
#define MEMBER_BYTES 64

/* Whether the value's memory is within *left, from which it is taken. */
static bool take(struct json_object *value, size_t bytes, size_t *left)
{
        bytes += VALUE_BYTES;
        if (json_object_is_type(value, json_type_string))
                bytes += (size_t)json_object_get_string_len(value);
        if (bytes > *left)
                return false;
        *left -= bytes;
        if (json_object_is_type(value, json_type_array))
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        if (!take(json_object_array_get_idx(value, i), 0, left))
                                return false;
        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        if (!take(member, MEMBER_BYTES + strlen(key), left))
                                return false;
                }
        }
        return true;
}

bool kept_fits(struct json_object *record)
{
        size_t left = KEPT_RECORD_MAX;

        return take(record, 0, &left);
}

static bool add_all(struct json_object *to, struct json_object *from)
{
        if (!json_object_is_type(from, json_type_object))
                return true;
        json_object_object_foreach(from, key, value) {
                if (json_object_object_add(to, key, json_object_get(value)) < 0) {
                        json_object_put(value);
                        return false;
                }
        }
        return true;
}

int kept_record(struct json_object *record, struct json_object *outcome, struct json_object **ret_record)
{
        _cleanup_(qmp_json_putp) struct json_object *copy = NULL;

        if (!outcome) {
                *ret_record = json_object_get(record);
                return 0;
        }
        copy = json_object_new_object();
        if (!copy || !add_all(copy, record) || !add_all(copy, outcome))
                return -ENOMEM;
        *ret_record = take_ptr(copy);
        return 0;
}
