/*
 * What is the same file, and what is another one of the same name.
 */
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

START_TEST(same_name_after_an_unplug_is_another_object)
{
        struct fuse_entry_out before, after, link;
        struct k_file status, member, remove, gone;

        ASSERT_OK(rig_walk("block/NVME1", &before));
        ASSERT_OK(rig_walk("block/NVME1/device", &link));
        status = rig_must_open("block/NVME1/status", O_RDONLY);
        member = rig_must_open("block/NVME1/inserted/image/virtual-size", O_RDONLY);
        remove = rig_must_open("block/NVME1/remove", O_RDWR);
        ASSERT_REPLY(k_send_read(&member, 0, 5), "42949");
        rig_deleted("/machine/peripheral/nv0");
        SETTLE();
        /* plugged again at once: the query shows the same */
        ASSERT_ERROR(k_wait_error(k_send_read(&status, 0, 4096)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_read(&member, 0, 4096)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_read(&remove, 0, 4096)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_write(&remove, "1", 1)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_readlink(link.nodeid)), ENODEV);
        ASSERT_ERROR(k_open(status.node, O_RDONLY, &gone), ENODEV);
        ASSERT_ERROR(k_lookup(before.nodeid, "status", &after), ENODEV);
        /* what was begun can be read to its end */
        ASSERT_REPLY(k_send_read(&member, 5, 100), "672960\n");
        ASSERT_OK(rig_walk("block/NVME1", &after));
        ck_assert_uint_ne(after.nodeid, before.nodeid);
        ck_assert_uint_ne(after.attr.ino, before.attr.ino);
        ASSERT_CAT_CONTAINS("block/NVME1/status", "NVME1");
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(an_event_ends_no_other_object)
{
        struct fuse_entry_out before, after;

        ASSERT_OK(rig_walk("block/virtio0", &before));
        rig_deleted("/machine/peripheral/nv0");
        rig_deleted("/machine/peripheral-anon/device[0]/virtio-backend");
        rig_deleted("/machine/peripheral-anon/device[0");
        SETTLE();
        ASSERT_OK(rig_walk("block/virtio0", &after));
        ck_assert_uint_eq(after.nodeid, before.nodeid);
        ck_assert_uint_eq(after.attr.ino, before.attr.ino);
}
END_TEST

START_TEST(object_that_a_query_does_not_show_is_gone_for_good)
{
        struct fuse_entry_out before, after;
        struct k_file file = rig_must_open_and_read("block/NVME1/status", O_RDONLY);

        ASSERT_OK(rig_walk("block/NVME1", &before));
        fake_on(rig.fake, "query-block", "[]");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", "nv0"), NULL, NULL));
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
        ASSERT_OK(rig_walk("block/NVME1", &after));
        ck_assert_uint_ne(after.attr.ino, before.attr.ino);
}
END_TEST

START_TEST(vcpu_with_another_thread_is_another)
{
        struct fuse_entry_out before, after;
        struct k_file file = rig_must_open_and_read("cpus/1/status", O_RDONLY);

        ASSERT_OK(rig_walk("cpus/1", &before));
        fake_on(rig.fake, "query-cpus-fast",
                "[{\"thread-id\": 999, \"qom-path\": \"/machine/peripheral/cpu1\", \"cpu-index\": 1}]");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
        ASSERT_OK(rig_walk("cpus/1", &after));
        ck_assert_uint_ne(after.attr.ino, before.attr.ino);
}
END_TEST

START_TEST(member_that_vanishes_or_changes_its_kind)
{
        struct k_file file = rig_must_open_and_read("block/NVME1/inserted/ro", O_RDONLY);
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block", "[{\"device\": \"NVME1\", \"qdev\": \"nv0\", \"inserted\": {\"ro\": [1]}}]");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
        ASSERT_OK(rig_walk("block/NVME1/inserted/ro", &entry));
        ck_assert(S_ISDIR(entry.attr.mode));
        ck_assert_uint_ne(entry.nodeid, file.node);
        fake_on(rig.fake, "query-block", "[{\"device\": \"NVME1\", \"qdev\": \"nv0\", \"inserted\": 5}]");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
        PUMP_FOR(rig.loop, 200 * MS);
        ASSERT_ERROR(k_lookup(entry.nodeid, "0", &entry), ENODEV);
        ASSERT_CAT("block/NVME1/inserted", "5\n");
}
END_TEST

/* "-o allow_other" */
START_TEST(credentials_are_hidden_where_others_may_read)
{
        static const char block[] =
                "[{\"device\": \"disk0\", \"qdev\": \"disk0\", \"inserted\": {\"file\": \"%1$s\", "
                "\"node-name\": \"node0\", \"image\": {\"backing-filename\": \"%1$s\"}}}]";
        _cleanup_(qmp_freep) char *list = NULL;

        rig.vm->peer.options.conceal = true;
        ck_assert_int_gt(asprintf(&list, block, "https://bob:hunter2@host/a"), 0);
        fake_on(rig.fake, "query-block", list);
        ASSERT_CAT("block/disk0/inserted/file", "https://…@host/a\n");
        ASSERT_CAT("block/disk0/inserted/image/backing-filename", "https://…@host/a\n");
        ASSERT_CAT_CONTAINS("block/disk0/status", "https://…@host/a");
        rig_event("BLOCK_JOB_ERROR", "{\"device\": \"%s\"}", "http://bob:hunter2@host/b");
        SETTLE();
        ASSERT_CAT_CONTAINS("events", "http://…@host/b");
}
END_TEST

/* In QEMU's words for a failure. */
START_TEST(credentials_in_errors_are_hidden_where_others_may_read)
{
        char *text;

        rig.vm->peer.options.conceal = true;
        fake_on_error(rig.fake, "cont", "GenericError", "Could not open 'http://bob:hunter2@host/a': denied");
        ASSERT_ERROR(rig_echo("ctl", "cont"), EIO);
        ASSERT_CAT_CONTAINS("ctl", "GenericError Could not open 'http://…@host/a': denied\n");
        ASSERT_CAT_CONTAINS("errors", "GenericError Could not open 'http://…@host/a': denied\n");
        fake_on_error(rig.fake, "device_del", "GenericError", "rbd:pool/image:key=hunter2");
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "1"), EIO);
        ASSERT_CAT_LINE("devices/nv0/remove", "refused: rbd:pool/image:…\n");
        fake_on_error(rig.fake, "query-name", "GenericError", "bad cookie=hunter2");
        ASSERT_ERROR(rig_cat("name", &text), EIO);
        ASSERT_CAT_CONTAINS("errors", "/name EIO GenericError bad cookie=…\n");
        ASSERT_OK(rig_cat("errors", &text));
        ck_assert_ptr_null(strstr(text, "hunter2"));
        free(text);
        ASSERT_OK(rig_cat("devices/nv0/remove", &text));
        ck_assert_ptr_null(strstr(text, "hunter2"));
        free(text);
}
END_TEST

START_TEST(credentials_are_shown_to_the_only_one_who_may_read)
{
        fake_on(rig.fake, "query-block",
                "[{\"device\": \"disk0\", \"inserted\": {\"file\": \"https://bob:hunter2@host/a\"}}]");
        ASSERT_CAT("block/disk0/inserted/file", "https://bob:hunter2@host/a\n");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(same_name_after_an_unplug_is_another_object),
                TEST(an_event_ends_no_other_object),
                TEST(object_that_a_query_does_not_show_is_gone_for_good),
                TEST(vcpu_with_another_thread_is_another),
                TEST(member_that_vanishes_or_changes_its_kind),
                TEST(credentials_are_hidden_where_others_may_read),
                TEST(credentials_in_errors_are_hidden_where_others_may_read),
                TEST(credentials_are_shown_to_the_only_one_who_may_read),
        };

        return test_main("fuse_identity", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
