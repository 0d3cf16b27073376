#include "fs/daemon/mountpoint.h"

#include <errno.h>

#include "tests/lib/test.h"

static const char mountinfo[] =
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n"
        "271 27 0:52 / /mnt/a\\040-\\040b rw - fuse.qmpfs /run/v\\040m\\134.qmp rw,user_id=0\n"
        "272 27 0:53 / /mnt/cut rw - fuse.qmpfs\n"
        "273 27 0:53 / /mnt/cut rw\n"
        "274 27 0:54 / /mnt/empty rw -  none rw\n"
        "275 27 0:54 / /mnt/last rw - tmpfs \\04 x";

static const struct {
        uint64_t id;
        int r;
        const char *type, *source;
} rows[] = {
        { 22, 0, "proc", "proc" },  { 27, 0, "ext4", "/dev/vda" }, { 271, 0, "fuse.qmpfs", "/run/v m\\.qmp" },
        { 2, -ENOENT, NULL, NULL }, { 272, 0, "fuse.qmpfs", "" },  { 273, -EPROTO, NULL, NULL },
        { 274, 0, "", "none" },     { 275, 0, "tmpfs", "\\04" },
};

START_TEST(type_and_source_are_found_by_number)
{
        _cleanup_(qmp_freep) char *type = NULL, *source = NULL;
        FILE *file = fmemopen((char *)(uintptr_t)mountinfo, sizeof(mountinfo) - 1, "r");

        ck_assert_int_eq(mountpoint_read(file, rows[_i].id, &type, &source), rows[_i].r);
        ck_assert_pstr_eq(type, rows[_i].type);
        ck_assert_pstr_eq(source, rows[_i].source);
        fclose(file);
}
END_TEST

START_TEST(number_is_that_of_the_mount_not_of_the_directory)
{
        const char *path = test_path("");
        _cleanup_(qmp_freep) char *dir = strndup(path, strlen(path) - 1);
        uint64_t a = 0, b = 0, proc = 0;
        bool unique;

        ck_assert_int_eq(mountpoint_get_id(path, &a, &unique), 0);
        ck_assert_int_eq(mountpoint_get_id(dir, &b, &unique), 0);
        ck_assert_int_eq(mountpoint_get_id("/proc", &proc, &unique), 0);
        ck_assert_uint_eq(a, b);
        ck_assert_uint_ne(a, proc);
        ck_assert_int_eq(mountpoint_get_id(test_path("none"), &a, &unique), -ENOENT);
        ck_assert_int_eq(mountpoint_get_id("/proc/self", &a, &unique), -ENOTDIR);
}
END_TEST

START_TEST(other_mounts_and_directories_are_not_ours)
{
        char *source = NULL;

        ck_assert_int_eq(mountpoint_find_qmpfs(_i == 0 ? "/proc" : _i == 1 ? test_path("") : "/", &source), -ENOENT);
        ck_assert_ptr_null(source);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(type_and_source_are_found_by_number, ARRAY_SIZE(rows)),
                TEST(number_is_that_of_the_mount_not_of_the_directory),
                TEST_EACH(other_mounts_and_directories_are_not_ours, 3),
        };

        return test_main("mountpoint", tests, ARRAY_SIZE(tests), NULL, NULL);
}
