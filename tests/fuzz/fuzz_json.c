/*
 * JSON that people write: what is accepted is JSON by the letter, means the same to everybody, and is all there.
 *
 * Input: the text.
 */
#include <errno.h>

#include "fuzz.h"
#include "qmp/json.h"

#define DEPTH_MAX 1000

static size_t count_members(struct json_object *value)
{
        size_t n = 0;

        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member) {
                        (void)key;
                        n += 1 + count_members(member);
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        n += count_members(json_object_array_get_idx(value, i));
        }
        return n;
}

/* One value that was taken from [from, to). */
static void check_value(const char *text, size_t from, size_t to, struct json_object *value)
{
        char *one = strndup(text + from, to - from), *why;
        struct json_object *again;
        const char *plain;
        size_t size;

        CHECK(one);
        CHECK_MSG(is_json(one, to - from, DEPTH_MAX), "no JSON: %s", one);
        CHECK_MSG(count_members(value) == count_json_members(one, to - from), "not all members of %s", one);
        CHECK(qmp_utf8_check(one, &why) == 0);
        CHECK(qmp_json_parse(one, &again, &why) == 0);
        CHECK(same_json(value, again));
        json_object_put(again);
        /* what is sent on */
        plain = json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                                                  &size);
        CHECK_MSG(is_json(plain, size, DEPTH_MAX), "no JSON: %s", plain);
        CHECK_MSG(same_json_numbers(one, plain), "other numbers in %s than in %s", plain, one);
        CHECK_MSG(qmp_json_parse(plain, &again, &why) == 0, "%s: %s", plain, why);
        CHECK_MSG(same_json(value, again), "%s is not what was written: %s", plain, one);
        json_object_put(again);
        free(one);
}

static void check_refusal(int r, char *why)
{
        CHECK(r == -EINVAL);
        CHECK(why && *why);
        CHECK(strlen(why) < 200);
        free(why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };
        char *text = input_until(&input, 0, NULL), *why;
        struct json_object *value;
        size_t offset = 0, n = 0;
        int r = 0;

        while (text[offset] && r == 0) {
                size_t from = offset;

                r = qmp_json_next(text, &offset, &value, &why);
                if (r < 0) {
                        check_refusal(r, why);
                        break;
                }
                CHECK(offset > from && offset <= strlen(text));
                check_value(text, from, offset, value);
                json_object_put(value);
                n++;
        }
        r = qmp_json_parse(text, &value, &why);
        if (r == 0) {
                CHECK(n == 1);
                json_object_put(value);
        } else {
                CHECK(n != 1 || text[offset]);
                check_refusal(r, why);
        }
        r = qmp_utf8_check(text, &why);
        if (r == 0)
                CHECK(is_utf8(text, strlen(text)));
        else
                check_refusal(r, why);
        free(text);
        return 0;
}
