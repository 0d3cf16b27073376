/*
 * The files of block/: which command each write sends, by the schema of a real QEMU.
 */
#include "tests/lib/files.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static void up(void)
{
        _cleanup_(qmp_freep) char *schema = test_data("query-qmp-schema.json", NULL);

        rig_up();
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "block_resize", "{}");
}

#define RECORD(device, size)                                                                                         \
        "[{\"device\": \"" device "\", \"qdev\": \"nv0\", \"inserted\": {\"node-name\": \"node\", \"image\": "       \
        "{\"virtual-size\": " size "}}}]"

static const struct {
        const char *device, *arguments;
} disks[] = {
        { "NVME1", "{\"device\":\"NVME1\",\"size\":2147483648}" },
        { "", "{\"node-name\":\"node\",\"size\":2147483648}" },
};

START_TEST(disk_grows_by_the_name_that_the_record_has)
{
        bool is_drive = *disks[_i].device;
        struct k_file file;
        uint64_t write;

        fake_on(rig.fake, "query-block", is_drive ? RECORD("NVME1", "1048576") : RECORD("", "1048576"));
        file = rig_must_open(is_drive ? "block/NVME1/size" : "block/nv0/size", O_RDWR);
        ASSERT_REPLY(k_send_read(&file, 0, 4096), "1048576\n");
        write = k_send_write(&file, "2G", 2);
        SETTLE();
        ck_assert_contains(rig_last("block_resize")->text, disks[_i].arguments);
        ck_assert(!k_is_answered(write));
        fake_on(rig.fake, "query-block", is_drive ? RECORD("NVME1", "2147483648") : RECORD("", "2147483648"));
        ASSERT_OK(k_wait_error(write));
        ASSERT_REPLY(k_send_read(&file, 0, 4096), "2147483648\n");
        ck_assert_uint_eq(rig_count("block_resize"), 1);
}
END_TEST

static const struct {
        const char *written, *why;
} wrong[] = {
        { "512K", "'size' is 1048576 now; a lower value needs the word 'shrink'" },
        { "1048577", "'size': expected a multiple of 512" },
        { "2Q", "'size': expected integer" },
        { "2G grow", "'size' takes only shrink, nowait, timeout=SEC and explain" },
};

START_TEST(wrong_size_is_refused_before_anything_is_sent)
{
        fake_on(rig.fake, "query-block", RECORD("NVME1", "1048576"));
        ASSERT_ERROR(rig_echo("block/NVME1/size", wrong[_i].written), EINVAL);
        ASSERT_CAT_CONTAINS("errors", wrong[_i].why);
        ck_assert_uint_eq(rig_count("block_resize"), 0);
}
END_TEST

START_TEST(size_is_absent_where_nothing_is_inserted)
{
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block", "[{\"device\": \"cd\", \"removable\": true}]");
        ASSERT_LS("block/cd", "status remove removable");
        ASSERT_ERROR(rig_walk("block/cd/size", &entry), ENOENT);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(disk_grows_by_the_name_that_the_record_has, ARRAY_SIZE(disks)),
                TEST_EACH(wrong_size_is_refused_before_anything_is_sent, ARRAY_SIZE(wrong)),
                TEST(size_is_absent_where_nothing_is_inserted),
        };

        return test_main("block", tests, ARRAY_SIZE(tests), up, rig_down);
}
