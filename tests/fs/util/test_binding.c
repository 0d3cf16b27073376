#include "fs/util/binding.h"

#include <errno.h>

#include "tests/lib/test.h"

static struct json_object *record;

static void setup(void)
{
        record = json_tokener_parse(
                "{\"device\": \"\", \"qdev\": \"NVME1\", \"index\": 3, \"slot\": -1, \"yes\": true,"
                " \"big\": 18446744073709551615, \"none\": null, \"float\": 1.5, \"list\": [1],"
                " \"part\": \"/machine/peripheral/vd0/virtio-backend\", \"slash\": \"a/b\","
                " \"root\": \"/a/b\", \"path0\": \"/a\\u0000b\", \"zero\": \"a\\u0000b\", \"inserted\": "
                "{\"node-name\": \"disk\", \"image\":"
                " {\"virtual-size\": 1024}, \"empty\": \"\"}}");
        ck_assert_ptr_nonnull(record);
}

static void teardown(void)
{
        json_object_put(record);
}

/* @want: NULL: no value. */
static void check_text(const char *binding, const char *want, size_t size)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t n = 0;
        int r = binding_text(binding, record, &text, &n);

        if (!want) {
                ck_assert_msg(r == -ENOENT, "%s", binding);
                return;
        }
        ck_assert_msg(r == 0, "%s", binding);
        ck_assert_uint_eq(n, size);
        ck_assert_mem_eq(text, want, size + 1);
}

#define check_string(binding, want) check_text(binding, want, (want) ? strlen((want) ? (want) : "") : 0)

START_TEST(first_alternative_with_a_value_counts)
{
        check_string("{qdev}", "NVME1");
        check_string("{device}|{qdev}", "NVME1");
        check_string("{qdev}|{device}", "NVME1");
        check_string("{device}|{missing}|{inserted.node-name}", "disk");
        check_string("{device}|{missing}", NULL);
        check_string("{missing}|fallback", "fallback");
        check_string("constant", "constant");
}
END_TEST

START_TEST(value_is_set_into_its_template)
{
        check_string("slot-{index}", "slot-3");
        check_string("a{index}b", "a3b");
        check_string("a{missing}b", NULL);
        check_string("slot-{slot}|dev-{qdev}", "dev-NVME1");
}
END_TEST

START_TEST(scalars_have_a_text)
{
        check_string("{index}", "3");
        check_string("{yes}", "true");
        check_string("{big}", "18446744073709551615");
        check_string("{inserted.image.virtual-size}", "1024");
        check_text("<{zero}>", "<a\0b>", 5);
}
END_TEST

START_TEST(what_is_no_value_has_no_text)
{
        static const char *const bindings[] = { "{slot}",
                                                "{none}",
                                                "{device}",
                                                "{float}",
                                                "{list}",
                                                "{inserted}",
                                                "{inserted.empty}",
                                                "{inserted.image.virtual-size.x}",
                                                "{device.node-name}",
                                                "{list.0}" };

        for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
                check_string(bindings[i], NULL);
        json_object_put(record);
        record = NULL;
        check_string("{device}", NULL);
        record = json_object_new_array();
        check_string("{device}", NULL);
        ck_assert_ptr_null(binding_get("{device}", NULL));
}
END_TEST

START_TEST(a_path_shows_the_name_of_its_target)
{
        check_string("{part}", "/machine/peripheral/vd0/virtio-backend");
        check_string("{part/}", "vd0");
        check_string("<{root/}>", "<b>");
        check_string("{qdev/}", "NVME1");
        check_string("{slash/}", "a/b");
        check_string("{device/}|{inserted.node-name/}", "disk");
        check_string("{index/}", "3");
        check_text("{path0/}", "/a\0b", 4);
}
END_TEST

static void check_device(const char *binding, const char *want)
{
        _cleanup_(qmp_freep) char *path = NULL;
        int r = binding_device(binding, record, &path);

        ck_assert_msg(r == (want ? 0 : -ENOENT), "%s", binding);
        if (want)
                ck_assert_str_eq(path, want);
}

START_TEST(a_device_has_a_path)
{
        check_device("{qdev}", "/machine/peripheral/NVME1");
        check_device("{qdev/}", "/machine/peripheral/NVME1");
        check_device("{part/}", "/machine/peripheral/vd0");
        check_device("{root/}", "/a/b");
        /* ids that no path leads to */
        check_device("{part}", NULL);
        check_device("{root}", NULL);
        check_device("{slash/}", NULL);
        check_device("{zero/}|{path0/}", NULL);
        check_device("{device/}|{index}|{missing}", NULL);
        check_device("{slash}|{qdev}", "/machine/peripheral/NVME1");
}
END_TEST

START_TEST(values_are_borrowed)
{
        ck_assert_str_eq(binding_string("{device}|{index}|{qdev}", record), "NVME1");
        ck_assert_ptr_null(binding_string("{zero}|{index}|{none}|{missing}", record));
        ck_assert_int_eq(json_object_get_int(binding_get("{slot}|{none}|{index}|{qdev}", record)), 3);
        ck_assert(json_object_is_type(binding_get("{list}", record), json_type_array));
        ck_assert_ptr_null(binding_get("{device}|{none}|{slot}", record));
}
END_TEST

START_TEST(validity)
{
        static const char *const valid[] = { "{a}",  "{a}|{b.c}", "x", "x{a}y|z", "{inserted.image.virtual-size}",
                                             "{a/}", "x{a.b/}" };
        static const char *const invalid[] = { "",     "|",       "{a}|",  "|{a}", "{a}||{b}", "{}",    "{a",
                                               "a}",   "{a}{b}",  "{a.}",  "{.a}", "{a..b}",   "{a|b}", "{{a}}",
                                               "{a}}", "{a}b{c}", "{a}|{", "}",    "x{a}|y}",  "{/}",   "{a./}" };
        char name[BINDING_NAME_MAX + 4];

        for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
                ck_assert_msg(binding_is_valid(valid[i]), "%s", valid[i]);
        for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
                ck_assert_msg(!binding_is_valid(invalid[i]), "%s", invalid[i]);
        ck_assert(!binding_is_valid(NULL));
        memset(name, 'a', sizeof(name));
        name[0] = '{';
        name[sizeof(name) - 2] = '}';
        name[sizeof(name) - 1] = '\0';
        ck_assert(!binding_is_valid(name));
        name[sizeof(name) - 3] = '}';
        name[sizeof(name) - 2] = '\0';
        ck_assert(binding_is_valid(name));
        ck_assert(binding_is_plain("{a}|{b.c}"));
        ck_assert(!binding_is_plain("{a}|b"));
        ck_assert(!binding_is_plain("x{a}"));
        ck_assert(!binding_is_plain("{a}|"));
        ck_assert(!binding_is_plain("{a/}"));
        ck_assert(binding_is_of_devices("{a/}|{b.c}"));
        ck_assert(!binding_is_of_devices("x{a/}"));
        ck_assert(!binding_is_of_devices("{a/}|b"));
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(first_alternative_with_a_value_counts),
                TEST(value_is_set_into_its_template),
                TEST(scalars_have_a_text),
                TEST(what_is_no_value_has_no_text),
                TEST(a_path_shows_the_name_of_its_target),
                TEST(a_device_has_a_path),
                TEST(values_are_borrowed),
                TEST(validity),
        };

        return test_main("binding", tests, ARRAY_SIZE(tests), setup, teardown);
}
