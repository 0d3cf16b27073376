#include "qmp/identity.h"

#include "tests/lib/test.h"
#include "qmp/message.h"

static void identity(struct qmp_identity *ret_identity, const char *uuid, const char *name)
{
        _cleanup_(qmp_json_putp) struct json_object *u = uuid ? json_tokener_parse(uuid) : NULL;
        _cleanup_(qmp_json_putp) struct json_object *n = name ? json_tokener_parse(name) : NULL;

        *ret_identity = (struct qmp_identity){ 0 };
        ck_assert_int_eq(qmp_identity_set_uuid(ret_identity, u), 0);
        ck_assert_int_eq(qmp_identity_set_name(ret_identity, n), 0);
}

#define A    "{\"UUID\":\"6b3f1f1e-0000-4000-8000-00000000000a\"}"
#define B    "{\"UUID\":\"6b3f1f1e-0000-4000-8000-00000000000b\"}"
#define ZERO "{\"UUID\":\"00000000-0000-0000-0000-000000000000\"}"

static const struct {
        const char *uuid, *name, *first_uuid, *first_name, *words;
} pairs[] = {
        { A, "{\"name\":\"a\"}", A, "{\"name\":\"a\"}", NULL },
        { NULL, NULL, NULL, NULL, NULL },
        { ZERO, "{}", NULL, NULL, NULL },
        { "{\"UUID\":\"\"}", "{\"name\":\"\"}", "[]", "{\"name\":5}", NULL },
        { B, "{\"name\":\"b\"}", A, "{\"name\":\"a\"}",
          "its UUID is '6b3f1f1e-0000-4000-8000-00000000000b', at first it was "
          "'6b3f1f1e-0000-4000-8000-00000000000a'" },
        { A, "{\"name\":\"b\"}", A, "{\"name\":\"a\"}", "its name is 'b', at first it was 'a'" },
        { A, NULL, A, "{\"name\":\"a\"}", "its name is not set, at first it was 'a'" },
        { ZERO, NULL, A, NULL, "its UUID is not set, at first it was '6b3f1f1e-0000-4000-8000-00000000000a'" },
};

START_TEST(vms_are_the_same_if_nothing_differs_that_is_set)
{
        _cleanup_(qmp_identity_deinit) struct qmp_identity identity_now, first;
        _cleanup_(qmp_freep) char *words = NULL;

        identity(&identity_now, pairs[_i].uuid, pairs[_i].name);
        identity(&first, pairs[_i].first_uuid, pairs[_i].first_name);
        ck_assert(qmp_identity_is(&identity_now, &first) == !pairs[_i].words);
        ck_assert(qmp_identity_is(&first, &identity_now) == !pairs[_i].words);
        words = qmp_identity_describe(&identity_now, &first);
        if (pairs[_i].words)
                ck_assert_str_eq(words, pairs[_i].words);
        else
                ck_assert_ptr_null(words);
}
END_TEST

START_TEST(answers_are_replaced_and_bounded)
{
        _cleanup_(qmp_identity_deinit) struct qmp_identity i = { 0 };
        struct json_object *object = json_object_new_object();
        _cleanup_(qmp_freep) char *name = malloc(2 * QMP_IDENTITY_MAX);

        memset(name, 'x', 2 * QMP_IDENTITY_MAX - 1);
        name[2 * QMP_IDENTITY_MAX - 1] = '\0';
        json_object_object_add(object, "name", json_object_new_string(name));
        ck_assert_int_eq(qmp_identity_set_name(&i, object), 0);
        ck_assert_uint_eq(strlen(i.name), QMP_IDENTITY_MAX);
        ck_assert_int_eq(qmp_identity_set_name(&i, NULL), 0);
        ck_assert_ptr_null(i.name);
        json_object_put(object);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(vms_are_the_same_if_nothing_differs_that_is_set, ARRAY_SIZE(pairs)),
                TEST(answers_are_replaced_and_bounded),
        };

        return test_main("identity", tests, ARRAY_SIZE(tests), NULL, NULL);
}
