#include "fs/util/qdev.h"

#include "tests/lib/test.h"

static const struct {
        const char *qdev, *path, *target;
        bool pluggable;
        const char *id; /* of the target; NULL: none */
} cases[] = {
        { "nv0", "/machine/peripheral/nv0", "/machine/peripheral/nv0", true, "nv0" },
        { "/machine/peripheral/nv0", "/machine/peripheral/nv0", "/machine/peripheral/nv0", true, "nv0" },
        { "/machine/peripheral/vd0/virtio-backend", "/machine/peripheral/vd0/virtio-backend",
          "/machine/peripheral/vd0", true, "vd0" },
        { "/machine/peripheral/us0/us0.0/legacy[0]", "/machine/peripheral/us0/us0.0/legacy[0]",
          "/machine/peripheral/us0", true, "us0" },
        { "/machine/peripheral-anon/device[0]", "/machine/peripheral-anon/device[0]",
          "/machine/peripheral-anon/device[0]", true, NULL },
        { "/machine/peripheral-anon/device[10]/virtio-backend", "/machine/peripheral-anon/device[10]/virtio-backend",
          "/machine/peripheral-anon/device[10]", true, NULL },
        { "/machine/unattached/device[23]", "/machine/unattached/device[23]", "/machine/unattached/device[23]", false,
          NULL },
        { "/machine/unattached/device[23]/lapic", "/machine/unattached/device[23]/lapic",
          "/machine/unattached/device[23]/lapic", false, NULL },
        { "/machine/peripheral", "/machine/peripheral", "/machine/peripheral", false, NULL },
        { "/machine/peripheralx/a/b", "/machine/peripheralx/a/b", "/machine/peripheralx/a/b", false, NULL },
        { "/", "/", "/", false, NULL },
        { "id with blanks", "/machine/peripheral/id with blanks", "/machine/peripheral/id with blanks", true,
          "id with blanks" },
        { "..", "/machine/peripheral/..", "/machine/peripheral/..", true, ".." },
};

START_TEST(qdev_names_a_device)
{
        _cleanup_(qmp_freep) char *path = qdev_path(cases[_i].qdev), *target = qdev_target(cases[_i].qdev);

        ck_assert_str_eq(path, cases[_i].path);
        ck_assert_str_eq(target, cases[_i].target);
        ck_assert(qdev_is_pluggable(target) == cases[_i].pluggable);
        if (cases[_i].id)
                ck_assert_str_eq(qdev_id(target), cases[_i].id);
        else
                ck_assert_ptr_null(qdev_id(target));
}
END_TEST

START_TEST(ids_with_slashes_are_told_apart_from_paths)
{
        /* they come from -device '{json}'; no path leads to such a device */
        ck_assert(!qdev_id_is_usable("a/b"));
        ck_assert(!qdev_id_is_usable("/"));
        ck_assert(!qdev_id_is_usable("a/"));
        ck_assert(!qdev_id_is_usable(""));
        ck_assert(qdev_id_is_usable("a"));
        ck_assert(qdev_id_is_usable(".."));
        ck_assert(qdev_id_is_usable("a b"));
        ck_assert(qdev_id_is_usable("\n"));
        ck_assert(qdev_id_is_usable("device[0]"));
}
END_TEST

START_TEST(ids_have_a_length)
{
        char id[QDEV_ID_MAX + 2];

        memset(id, 'x', sizeof(id));
        id[QDEV_ID_MAX + 1] = '\0';
        ck_assert(!qdev_id_is_usable(id));
        id[QDEV_ID_MAX] = '\0';
        ck_assert(qdev_id_is_usable(id));
}
END_TEST

static void check_name(const char *path, const char *want)
{
        size_t size;
        const char *name = qdev_target_name(path, &size);

        ck_assert_uint_eq(size, strlen(want));
        ck_assert_mem_eq(name, want, size);
}

START_TEST(a_path_has_the_name_of_its_target)
{
        check_name("/machine/peripheral/nv0", "nv0");
        check_name("/machine/peripheral/vd0/virtio-backend", "vd0");
        check_name("/machine/peripheral-anon/device[0]", "device[0]");
        check_name("/machine/unattached/device[23]/lapic", "lapic");
        check_name("nv0", "nv0");
        check_name("/objects/", "");
        check_name("", "");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(qdev_names_a_device, ARRAY_SIZE(cases)),
                TEST(ids_with_slashes_are_told_apart_from_paths),
                TEST(ids_have_a_length),
                TEST(a_path_has_the_name_of_its_target),
        };

        return test_main("qdev", tests, ARRAY_SIZE(tests), NULL, NULL);
}
