/*
 * `remove`: how long a writer waits, and what goes on when he does not.
 */
#include "tests/lib/unplug.h"
#include "tests/lib/test.h"

START_TEST(guest_that_ignores_it_times_out_and_it_is_still_pending)
{
        uint64_t before = qmp_now(), write;

        rig.vm->peer.options.unplug_timeout_ns = 3 * SEC;
        write = unplug_start("devices/nv0/remove", "1");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 3 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 3100 * MS);
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 200), "timed out after 3 s, still pending\n");
        ASSERT_CAT_CONTAINS("errors", " /devices/nv0/remove ETIMEDOUT - timed out after 3 s, still pending\n");
        rig_event("STOP", "%s", "");
        SETTLE();
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 200),
                          "timed out after 3 s, still pending, the VM is paused\n");
        rig_event("RESUME", "%s", "");
        /* the next who asks finds it so */
        write = k_send_write(&unplug_file, "timeout=5", 9);
        PUMP_FOR(rig.loop, 100 * MS);
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 200), "pending 3.1 s\n");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

/* The values that told what to remove are let go of, and nothing ticks. */
START_TEST(who_waits_for_the_guest_keeps_no_values)
{
        uint64_t write = unplug_start("block/NVME1/remove", "timeout=60");

        PUMP_FOR(rig.loop, 2 * SEC);
        ck_assert(!k_is_answered(write));
        for (struct lh_entry *i = lh_table_head(rig.vm->peer.queries.all); i; i = lh_entry_next(i))
                ck_assert(!((const struct query *)lh_entry_v(i))->has_value);
        ck_assert(!rig.vm->peer.queries.sweep.armed);
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(limit_can_be_said)
{
        uint64_t before = qmp_now();

        ASSERT_ERROR(rig_echo("devices/nv0/remove", "timeout=0.25"), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 300 * MS);
        ASSERT_CAT_LINE("devices/nv0/remove", "timed out after 0.25 s, still pending\n");
        before = qmp_now();
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "timeout=60"), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 60 * SEC);
}
END_TEST

START_TEST(nowait_returns_when_qemu_has_taken_it)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "device_del");
        write = unplug_start("block/NVME1/remove", "nowait\n");
        PUMP_FOR(rig.loop, 100 * MS);
        ck_assert(!k_is_answered(write));
        fake_on(rig.fake, "device_del", "{}");
        fake_return(rig.fake, rig_last("device_del"), "{}");
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 7), "pending");
        /* nobody waits: it is not asked again */
        PUMP_FOR(rig.loop, 20 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 1);
        /* but the drive that is left behind goes too */
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        rig_deleted(NV0);
        PUMP(rig.loop, rig_count("human-monitor-command") == 1);
}
END_TEST

START_TEST(nowait_of_what_is_refused_fails)
{
        fake_on_error(rig.fake, "device_del", "GenericError", "Bus 'ide.1' does not support hotplugging");
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "nowait"), EOPNOTSUPP);
        fake_on_error(rig.fake, "device_del", "GenericError",
                      "Hot-unplug failed: guest is busy (power indicator blinking)");
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "nowait"), EBUSY);
}
END_TEST

START_TEST(other_words_are_refused)
{
        static const char *const wrong[] = {
                "0",       "2",        "11",        "yes",        " 1",          "1 now",       "explains",
                "no wait", "timeout=", "timeout=0", "timeout=-1", "timeout=inf", "timeout=1e3", "nowait timeout=3",
                "",        "1\n1"
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                ck_assert_msg(rig_echo("block/NVME1/remove", wrong[i]) == -EINVAL, "%s", wrong[i]);
        ck_assert_uint_eq(rig_count("device_del"), 0);
        ASSERT_CAT_CONTAINS("errors", " EINVAL - 'remove' takes only 1, nowait, timeout=SEC and explain\n");
        ASSERT_CAT_CONTAINS("errors", " EINVAL - expected 1, nowait, timeout=SEC or explain\n");
}
END_TEST

START_TEST(words_can_be_combined)
{
        uint64_t write = unplug_start("devices/nv0/remove", "1 nowait");

        ck_assert_int_eq(k_wait_error(write), 0);
        write = unplug_start("devices/dimm1/remove", "timeout=0.5 1");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ASSERT_CAT_LINE("devices/dimm1/remove", "timed out after 0.5 s, still pending\n");
}
END_TEST

START_TEST(two_writers_wait_for_one_removal)
{
        uint64_t a = unplug_start("block/NVME1/remove", "1"), b, c;
        struct k_file block = rig_must_open("block/NVME1/remove", O_WRONLY);
        struct k_file device = rig_must_open("devices/nv0/remove", O_WRONLY);

        b = k_send_write(&block, "1", 1);
        c = k_send_write(&device, "1", 1);
        PUMP_FOR(rig.loop, 100 * MS);
        ck_assert(!k_is_answered(a) && !k_is_answered(b) && !k_is_answered(c));
        fake_on(rig.fake, "query-block", "[]");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(a), 0);
        ck_assert_int_eq(k_wait_error(b), 0);
        ck_assert_int_eq(k_wait_error(c), 0);
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(two_writers_are_refused_together)
{
        uint64_t a = unplug_start("memory/dimm1/remove", "1"), b = unplug_start("devices/dimm1/remove", "1");

        unplug_ost("dimm1", 3, 131, "0", "DIMM");
        ASSERT_ERROR(k_wait_error(a), EBUSY);
        ASSERT_ERROR(k_wait_error(b), EBUSY);
}
END_TEST

START_TEST(one_writer_may_give_up)
{
        uint64_t a = unplug_start("devices/nv0/remove", "timeout=0.5"), b = unplug_start("devices/nv0/remove", "1");

        ASSERT_ERROR(k_wait_error(a), ETIMEDOUT);
        /* somebody waits still */
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 7), "pending");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(b), 0);
}
END_TEST

START_TEST(who_waits_for_the_device_does_not_wait_for_the_drive)
{
        uint64_t block = unplug_start("block/NVME1/remove", "1"), device = unplug_start("devices/nv0/remove", "1");

        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        fake_on_nothing(rig.fake, "human-monitor-command");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(device), 0);
        PUMP(rig.loop, rig_count("human-monitor-command") == 1);
        SETTLE();
        ck_assert(!k_is_answered(block));
        fake_return(rig.fake, rig_last("human-monitor-command"), "\"\"");
        ck_assert_int_eq(k_wait_error(block), 0);
}
END_TEST

START_TEST(interrupt_leaves_the_request_with_the_guest)
{
        uint64_t write = unplug_start("block/NVME1/remove", "1");

        PUMP_FOR(rig.loop, 1200 * MS);
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 100), "pending 1.2 s\n");
        ck_assert_uint_eq(rig_count("device_del"), 2);
        PUMP_FOR(rig.loop, 20 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        ASSERT_CAT("errors", "");
        /* the guest lets go of it: the drive goes too */
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        rig_deleted(NV0);
        PUMP(rig.loop, rig_count("human-monitor-command") == 1);
}
END_TEST

START_TEST(interrupt_while_the_request_is_on_its_way)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "device_del");
        write = unplug_start("devices/nv0/remove", "1");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        fake_error(rig.fake, rig_last("device_del"), "GenericError", "no");
        SETTLE();
        ASSERT_CAT_LINE("devices/nv0/remove", "refused: no\n");
}
END_TEST

START_TEST(silent_qemu_times_out)
{
        uint64_t before = qmp_now();

        fake_on_nothing(rig.fake, "device_del");
        ASSERT_ERROR(k_wait_error(unplug_start("devices/nv0/remove", "timeout=20")), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 20 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 21 * SEC);
        /* QEMU may have taken it */
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 100),
                          "timed out after 20 s, still pending, QEMU has not answered yet\n");
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

/* A request for unplug_file's device that waits behind four commands that QEMU doesn't answer. */
static uint64_t start_behind_others(uint64_t *reads)
{
        static const char *const busy[] = { "name", "uuid", "version", "cpus/0/status" };
        struct k_file others[4];
        uint64_t write;
        size_t n_lists;

        unplug_file = rig_must_open("devices/nv0/remove", O_RDWR);
        for (size_t i = 0; i < 4; i++)
                others[i] = rig_must_open_and_read(busy[i], O_RDONLY);
        fake_on_nothing(rig.fake, "query-name");
        fake_on_nothing(rig.fake, "query-uuid");
        fake_on_nothing(rig.fake, "query-version");
        fake_on_nothing(rig.fake, "query-cpus-fast");
        n_lists = rig_count("qom-list");
        /* what it asks first is on the wire when the others come, and the request behind them when that is answered */
        fake_stick(rig.fake);
        write = k_send_write(&unplug_file, "timeout=3", 9);
        SETTLE();
        for (size_t i = 0; i < 4; i++)
                reads[i] = k_send_read(&others[i], 0, 4096);
        SETTLE();
        fake_unstick(rig.fake);
        SETTLE();
        ck_assert(!k_is_answered(write));
        ck_assert_uint_eq(rig_count("qom-list"), n_lists + 2);
        ck_assert_uint_eq(rig_count("device_del"), 0);
        return write;
}

static void answer_others(const uint64_t *reads)
{
        fake_return(rig.fake, rig_last("query-name"), "{}");
        fake_return(rig.fake, rig_last("query-uuid"), "{}");
        fake_return(rig.fake, rig_last("query-version"), "{}");
        fake_return(rig.fake, rig_last("query-cpus-fast"), "[]");
        for (size_t i = 0; i < 4; i++)
                (void)k_wait_error(reads[i]);
        PUMP_FOR(rig.loop, 10 * SEC);
}

START_TEST(request_that_qemu_has_not_heard_of_is_taken_back)
{
        uint64_t reads[4], write = start_behind_others(reads);

        if (_i == 0) {
                k_interrupt(write);
                ASSERT_ERROR(k_wait_error(write), EINTR);
        } else {
                ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        }
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 100), "idle\n");
        answer_others(reads);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(request_is_not_sent_for_what_has_gone_meanwhile)
{
        uint64_t reads[4], write = start_behind_others(reads);

        /* by then a new device may have the path */
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        answer_others(reads);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

/* Another monitor plugs a device of the same id before the first one's own event. */
START_TEST(device_that_took_the_path_is_not_asked_for)
{
        uint64_t write = unplug_start("devices/nv0/remove", "1"), other;
        struct k_file second;

        unplug_vanish(NV0);
        rig_deleted(NV0 "/part");
        PUMP_FOR(rig.loop, 10 * MS);
        rig_qom(NV0, NULL, "[{\"name\": \"drive\", \"type\": \"str\"}]");
        /* the repeat would have come after 1 s, the end without the event after 5 */
        PUMP_FOR(rig.loop, 2 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 1);
        /* who asks now means the new one, and is not told of the old one's end */
        second = rig_must_open("devices/nv0/remove", O_RDWR);
        other = k_send_write(&second, "1", 1);
        PUMP(rig.loop, rig_count("device_del") == 2);
        ck_assert_int_eq(k_wait_error(write), 0);
        PUMP_FOR(rig.loop, 10 * SEC);
        ck_assert(!k_is_answered(other));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(other), 0);
}
END_TEST

START_TEST(request_that_was_never_taken_is_not_pending)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError", "Hot-unplug failed: guest is busy");
        write = unplug_start("block/NVME1/remove", "1");
        PUMP_FOR(rig.loop, 500 * MS);
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        ASSERT_CAT_LINE("block/NVME1/remove", "refused: Hot-unplug failed: guest is busy\n");
        /* so what somebody else removes later keeps its drive */
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        rig_deleted(NV0);
        PUMP_FOR(rig.loop, SEC);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(drive_of_an_earlier_request_is_forgotten)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError", "device_del not allowed while migrating");
        ASSERT_ERROR(k_wait_error(unplug_start("block/NVME1/remove", "1")), EAGAIN);
        fake_on(rig.fake, "device_del", "{}");
        write = unplug_start("devices/nv0/remove", "1");
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        PUMP_FOR(rig.loop, SEC);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(refusal_does_not_take_back_a_repeat_that_qemu_has)
{
        uint64_t write = unplug_start("block/NVME1/remove", "1");

        fake_on_nothing(rig.fake, "device_del");
        PUMP(rig.loop, rig_count("device_del") == 2);
        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "{\"path\": \"" NV0 "\"}");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        /* the repeat is taken: the guest has a request, and its drive goes with the device */
        fake_return(rig.fake, rig_last("device_del"), "{}");
        SETTLE();
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        rig_deleted(NV0);
        PUMP(rig.loop, rig_count("human-monitor-command") == 1);
}
END_TEST

/* The first writer has given up, and the device goes while the second one's entry is still being looked at. */
START_TEST(writer_who_is_overtaken_by_the_end_succeeds)
{
        uint64_t first = unplug_start("block/NVME1/remove", "1"), second;
        struct k_file other = rig_must_open("block/NVME1/remove", O_RDWR);
        size_t n;

        k_interrupt(first);
        ASSERT_ERROR(k_wait_error(first), EINTR);
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        fake_on_nothing(rig.fake, "query-block");
        n = rig_count("query-block");
        second = k_send_write(&other, "1", 1);
        PUMP(rig.loop, rig_count("query-block") == n + 1);
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        /* at once, so that what is asked next is answered next */
        fake_send_text(rig.fake, "{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": \"" NV0 "\"}}"
                                 "{\"return\": []}");
        ck_assert_int_eq(k_wait_error(second), 0);
        ck_assert_uint_ge(rig_count("human-monitor-command"), 1);
}
END_TEST

START_TEST(disconnect_ends_the_wait_and_forgets_the_removal)
{
        const char *path = test_path("qmp.sock");
        uint64_t write;

        rig_unmake();
        rig_make(path);
        k_mount();
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        write = unplug_start("devices/nv0/remove", "1");
        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(write), EHOSTDOWN);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT_LINE("devices/nv0/remove", "idle\n");
}
END_TEST

START_TEST(reading_remove_starts_nothing)
{
        static const char *const paths[] = { "block/NVME1/remove", "cpus/0/remove", "cpus/1/remove",
                                             "memory/dimm1/remove", "devices/nv0/remove" };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                ASSERT_CAT_LINE(paths[i], "idle\n");
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(the_state_is_the_devices_by_whichever_path)
{
        uint64_t write = unplug_start("devices/cpu1/remove", "1");

        ASSERT_CAT_CONTAINS("cpus/1/remove", "pending");
        ASSERT_CAT_LINE("cpus/0/remove", "idle\n");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(guest_that_ignores_it_times_out_and_it_is_still_pending),
                TEST(who_waits_for_the_guest_keeps_no_values),
                TEST(limit_can_be_said),
                TEST(nowait_returns_when_qemu_has_taken_it),
                TEST(nowait_of_what_is_refused_fails),
                TEST(other_words_are_refused),
                TEST(words_can_be_combined),
                TEST(two_writers_wait_for_one_removal),
                TEST(two_writers_are_refused_together),
                TEST(one_writer_may_give_up),
                TEST(who_waits_for_the_device_does_not_wait_for_the_drive),
                TEST(interrupt_leaves_the_request_with_the_guest),
                TEST(interrupt_while_the_request_is_on_its_way),
                TEST(silent_qemu_times_out),
                TEST_EACH(request_that_qemu_has_not_heard_of_is_taken_back, 2),
                TEST(request_is_not_sent_for_what_has_gone_meanwhile),
                TEST(device_that_took_the_path_is_not_asked_for),
                TEST(request_that_was_never_taken_is_not_pending),
                TEST(drive_of_an_earlier_request_is_forgotten),
                TEST(refusal_does_not_take_back_a_repeat_that_qemu_has),
                TEST(writer_who_is_overtaken_by_the_end_succeeds),
                TEST(disconnect_ends_the_wait_and_forgets_the_removal),
                TEST(reading_remove_starts_nothing),
                TEST(the_state_is_the_devices_by_whichever_path),
        };

        return test_main("fuse_remove_waits", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
