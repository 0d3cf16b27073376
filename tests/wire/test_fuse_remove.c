/*
 * `remove`: success means gone. Each script of events is one that QEMU 7.2 was seen to send.
 */
#include "tests/lib/unplug.h"
#include "tests/lib/test.h"

/* --- success ----------------------------------------------------------------------------------------------------- */

START_TEST(device_is_removed_when_qemu_says_that_it_is_gone)
{
        uint64_t write;

        unplug_file = rig_must_open("devices/dimm1/remove", O_RDWR);
        free(rig_sent());
        write = unplug_start("devices/dimm1/remove", "1\n");
        ck_assert_str_eq(rig_last("device_del")->text,
                         "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral/dimm1\"}}");
        PUMP_FOR(rig.loop, 800 * MS);
        ck_assert(!k_is_answered(write));
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 7), "pending");
        rig_deleted("/machine/peripheral/dimm1");
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_CAT("errors", "");
        ASSERT_ERROR(k_wait_error(k_send_read(&unplug_file, 0, 100)), ENODEV);
}
END_TEST

START_TEST(device_file_costs_its_lists_and_the_request)
{
        uint64_t write = unplug_start("devices/dimm1/remove", "1");

        /* two for the name; the same two again, fresh, to be sure that it is still there; is it a CPU? */
        ASSERT_SENT("qom-list qom-list qom-list qom-list device_del query-hotpluggable-cpus");
        rig_deleted("/machine/peripheral/dimm1");
        ck_assert_int_eq(k_wait_error(write), 0);
        SETTLE();
        ASSERT_SENT("");
}
END_TEST

START_TEST(events_of_children_and_of_others_do_not_count)
{
        uint64_t write = unplug_start("block/virtio0/remove", "1");

        ck_assert_str_eq(rig_last("device_del")->text,
                         "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"" ANON "\"}}");
        rig_deleted(ANON "/virtio-backend");
        rig_deleted("/machine/peripheral-anon/device[0");
        rig_deleted("/machine/peripheral-anon/device[01]");
        rig_deleted("/machine/peripheral-anon");
        rig_deleted(NV0);
        rig_event("DEVICE_DELETED", "%s", "{\"device\": \"device[0]\", \"path\": \"/machine/peripheral/device[0]\"}");
        rig_event("DEVICE_DELETED", "%s", "{\"device\": \"" ANON "\"}");
        rig_event("DEVICE_DELETED", "%s", "{\"path\": 5}");
        rig_event("DEVICE_DELETED", "%s", "");
        PUMP_FOR(rig.loop, 200 * MS);
        ck_assert(!k_is_answered(write));
        fake_on(rig.fake, "query-block", "[]");
        rig_deleted(ANON);
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(event_may_come_before_the_reply)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "device_del");
        write = unplug_start("devices/nv0/remove", "1");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        fake_return(rig.fake, rig_last("device_del"), "{}");
        SETTLE();
        ASSERT_CAT("state", "running\n");
}
END_TEST

START_TEST(error_after_the_event_is_success)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "device_del");
        write = unplug_start("block/NVME1/remove", "1");
        fake_on(rig.fake, "query-block", "[]");
        rig_deleted(NV0);
        fake_error(rig.fake, rig_last("device_del"), "GenericError",
                   "Device nv0 is already in the process of unplug");
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(directory_is_gone_when_the_write_returns)
{
        uint64_t write = unplug_start("block/NVME1/remove", "1");
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block", rig_list(rig_drive("virtio0", ANON "/virtio-backend"), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_LS("block", "virtio0");
        ASSERT_ERROR(rig_walk("block/NVME1", &entry), ENOENT);
        /* who comes a moment later with the old file wanted the same */
        ck_assert_int_eq(k_wait_error(k_send_write(&unplug_file, "1", 1)), 0);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

START_TEST(removal_by_somebody_else_ends_the_object)
{
        unplug_file = rig_must_open("block/NVME1/remove", O_RDWR);
        rig_deleted(NV0);
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_write(&unplug_file, "1", 1)), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /block/NVME1/remove ENODEV - it no longer exists\n");
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(cpu_under_tcg_is_gone_when_it_has_left_the_tree)
{
        uint64_t write = unplug_start("cpus/1/remove", "1"), before;

        unplug_ost("cpu1", 3, 132, "1", "CPU");
        PUMP_FOR(rig.loop, 40 * MS);
        unplug_vanish("/machine/peripheral/cpu1");
        rig_deleted("/machine/peripheral/cpu1/lapic");
        before = qmp_now();
        unplug_ost(NULL, 3, 0, "1", "CPU");
        ck_assert_int_eq(k_wait_error(write), 0);
        /* its own event had time to come */
        ck_assert_uint_ge(qmp_now() - before, 400 * MS);
        ck_assert_uint_lt(qmp_now() - before, 600 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

START_TEST(cpu_under_kvm_has_its_event)
{
        uint64_t write = unplug_start("cpus/1/remove", "1"), before;

        unplug_ost("cpu1", 3, 132, "1", "CPU");
        unplug_vanish("/machine/peripheral/cpu1");
        rig_deleted("/machine/peripheral/cpu1/lapic");
        before = qmp_now();
        rig_deleted("/machine/peripheral/cpu1");
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_lt(qmp_now() - before, 10 * MS);
}
END_TEST

START_TEST(part_that_goes_while_the_device_stays_is_no_end)
{
        uint64_t write = unplug_start("cpus/1/remove", "timeout=0.9");

        /* the device is still in the tree */
        rig_deleted("/machine/peripheral/cpu1/lapic");
        unplug_ost(NULL, 3, 0, "0", "DIMM");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
}
END_TEST

START_TEST(device_that_qemu_no_longer_finds_is_gone)
{
        uint64_t write = unplug_start("devices/nv0/remove", "1"), before = qmp_now();

        /* no event at all, and the repeated request says so; the event has time to come */
        fake_on_error(rig.fake, "device_del", "DeviceNotFound", "Device '" NV0 "' not found");
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_ge(qmp_now() - before, 5900 * MS);
        ck_assert_uint_lt(qmp_now() - before, 6100 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 2);
}
END_TEST

START_TEST(second_request_of_scsi_finds_nothing_and_the_event_follows)
{
        uint64_t a = unplug_start("devices/nv0/remove", "1"), b;
        struct k_file other = rig_must_open("devices/nv0/remove", O_WRONLY);

        fake_on_error(rig.fake, "device_del", "DeviceNotFound", "Device '" NV0 "' not found");
        b = k_send_write(&other, "1", 1);
        PUMP_FOR(rig.loop, 50 * MS);
        ck_assert(!k_is_answered(a) && !k_is_answered(b));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(a), 0);
        ck_assert_int_eq(k_wait_error(b), 0);
}
END_TEST

/* --- asking again ------------------------------------------------------------------------------------------------ */

START_TEST(request_is_repeated_while_somebody_waits)
{
        uint64_t write = unplug_start("devices/nv0/remove", "timeout=4");

        PUMP_FOR(rig.loop, 900 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 1);
        PUMP_FOR(rig.loop, 200 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        PUMP_FOR(rig.loop, 1800 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        PUMP_FOR(rig.loop, 200 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 3);
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        PUMP_FOR(rig.loop, 20 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 3);
}
END_TEST

START_TEST(already_in_the_process_is_no_error)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError", "Device nv0 is already in the process of unplug");
        write = unplug_start("devices/nv0/remove", "1");
        PUMP_FOR(rig.loop, 500 * MS);
        ck_assert(!k_is_answered(write));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(busy_guest_is_asked_again)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError",
                      "Hot-unplug failed: guest is busy (power indicator blinking)");
        write = unplug_start("devices/nv0/remove", "1");
        PUMP_FOR(rig.loop, 100 * MS);
        ck_assert(!k_is_answered(write));
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 200),
                          "pending 0.1 s: Hot-unplug failed: guest is busy (power indicator blinking)\n");
        fake_on(rig.fake, "device_del", "{}");
        PUMP_FOR(rig.loop, SEC);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 200), "pending 1.1 s\n");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(error_of_a_repeated_request_waits_for_the_end)
{
        uint64_t write = unplug_start("devices/nv0/remove", "timeout=2");

        fake_on_error(rig.fake, "device_del", "GenericError", "device_del not allowed while migrating");
        PUMP_FOR(rig.loop, 1100 * MS);
        ck_assert(!k_is_answered(write));
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ASSERT_CAT_LINE("devices/nv0/remove",
                        "timed out after 2 s, still pending: device_del not allowed while migrating\n");
}
END_TEST

/* --- refusals ---------------------------------------------------------------------------------------------------- */

static const struct {
        const char *class, *desc;
        int error;
} errors[] = {
        { "GenericError", "Bus 'ide.1' does not support hotplugging", EOPNOTSUPP },
        { "GenericError", "Device 'PIIX3' does not support hotplugging", EOPNOTSUPP },
        { "GenericError", "Boot CPU is unpluggable", EOPNOTSUPP },
        { "GenericError", "nvdimm device hot unplug is not supported yet.", EOPNOTSUPP },
        { "GenericError", "virtio based memory devices cannot be unplugged.", EOPNOTSUPP },
        { "GenericError", "device_del not allowed while migrating", EAGAIN },
        { "DeviceNotFound", "Device '/machine/peripheral/nv0' not found", ENODEV },
        { "GenericError", "something else", EIO },
};

START_TEST(error_of_qemu_is_that_of_the_write)
{
        _cleanup_(qmp_freep) char *line = NULL, *refused = NULL;

        fake_on_error(rig.fake, "device_del", errors[_i].class, errors[_i].desc);
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "1"), errors[_i].error);
        ck_assert_int_gt(asprintf(&line, " /devices/nv0/remove %s %s %s\n", strerrorname_np(errors[_i].error),
                                  errors[_i].class, errors[_i].desc),
                         0);
        ASSERT_CAT_CONTAINS("errors", line);
        ck_assert_int_gt(asprintf(&refused, "refused: %s\n", errors[_i].desc), 0);
        ASSERT_CAT_LINE("devices/nv0/remove", refused);
        PUMP_FOR(rig.loop, 10 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 1);
        /* and it can be tried again */
        fake_on(rig.fake, "device_del", "{}");
        ASSERT_OK(rig_echo("devices/nv0/remove", "nowait"));
        ASSERT_CAT_LINE("devices/nv0/remove", "pending 0.0 s\n");
        rig_deleted(NV0);
        SETTLE();
        ASSERT_CAT_LINE("devices/nv0/remove", "idle\n");
}
END_TEST

START_TEST(guest_refuses_a_dimm_by_its_id)
{
        uint64_t write = unplug_start("memory/dimm1/remove", "1");

        unplug_ost("dimm1", 3, 132, "0", "DIMM");
        unplug_ost("dimm2", 3, 130, "0", "DIMM");
        unplug_ost("dimm1", 1, 130, "0", "DIMM");
        ck_assert(!k_is_answered(write));
        unplug_ost("dimm1", 3, 130, "0", "DIMM");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        ASSERT_CAT_LINE("memory/dimm1/remove",
                        "refused: the guest refused: the device is busy (ACPI _OST status 130)\n");
        ASSERT_CAT_LINE("devices/dimm1/remove",
                        "refused: the guest refused: the device is busy (ACPI _OST status 130)\n");
        ASSERT_CAT_CONTAINS("errors", " /memory/dimm1/remove EBUSY - the guest refused: the device is busy");
        /* it is not asked again */
        PUMP_FOR(rig.loop, 10 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

static void anonymous_dimm(const char *device, const char *memdev)
{
        _cleanup_(qmp_freep) char *devices = NULL, *list = NULL, *path = NULL, *quoted = NULL;

        ck_assert_int_gt(
                asprintf(&devices, "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"%s\", \"slot\": 3}}]", memdev), 0);
        ck_assert_int_gt(asprintf(&list, "[{\"name\": \"%s\", \"type\": \"child<pc-dimm>\"}]", device), 0);
        ck_assert_int_gt(asprintf(&path, "/machine/peripheral-anon/%s", device), 0);
        ck_assert_int_gt(asprintf(&quoted, "\"%s\"", memdev), 0);
        fake_on(rig.fake, "query-memory-devices", devices);
        rig_qom("/machine/peripheral-anon", NULL, list);
        rig_qom(path, NULL, "[]");
        rig_qom(path, "memdev", quoted);
}

START_TEST(guest_refuses_an_anonymous_dimm_by_its_slot)
{
        uint64_t write;

        anonymous_dimm("device[1]", "/objects/m0");
        write = unplug_start("memory/slot-3/remove", "1");
        ck_assert_str_eq(
                rig_last("device_del")->text,
                "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral-anon/device[1]\"}}");
        unplug_ost(NULL, 3, 130, "0", "DIMM");
        unplug_ost(NULL, 3, 130, "3", "CPU");
        unplug_ost("other", 3, 130, "3", "DIMM");
        ck_assert(!k_is_answered(write));
        unplug_ost(NULL, 3, 128, "3", "DIMM");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        ASSERT_CAT_LINE(
                "memory/slot-3/remove",
                "refused: the guest refused: it does not support ejecting this device (ACPI _OST status 128)\n");
}
END_TEST

/* The slot is another DIMM's now. */
START_TEST(anonymous_dimm_is_known_by_its_back_end)
{
        anonymous_dimm("device[1]", "/objects/m0");
        unplug_file = rig_must_open("memory/slot-3/remove", O_RDWR);
        anonymous_dimm("device[2]", "/objects/m1");
        ASSERT_ERROR(k_wait_error(k_send_write(&unplug_file, "1", 1)), ENODEV);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

/* The next one has the same slot and the same back end. Whether the path of the first one is known, or might have been this. */
START_TEST(anonymous_dimm_ends_with_its_device)
{
        struct fuse_entry_out before, after;
        uint64_t write;

        anonymous_dimm("device[1]", "/objects/m0");
        unplug_file = rig_must_open("memory/slot-3/remove", _i == 0 ? O_WRONLY : O_RDWR);
        ASSERT_OK(rig_walk("memory/slot-3", &before));
        if (_i == 1)
                ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 100), "idle\n");
        anonymous_dimm("device[2]", "/objects/m0");
        rig_deleted("/machine/peripheral-anon/device[1]");
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_write(&unplug_file, "1", 1)), ENODEV);
        ASSERT_CAT_CONTAINS("errors",
                            _i == 0 ? "ENODEV - an anonymous device was deleted, and it may have been this one\n"
                                    : "ENODEV - it no longer exists\n");
        ck_assert_uint_eq(rig_count("device_del"), 0);
        ASSERT_OK(rig_walk("memory/slot-3", &after));
        ck_assert_uint_ne(before.attr.ino, after.attr.ino);
        write = unplug_start("memory/slot-3/remove", "1");
        ck_assert_str_eq(rig_last("device_del")->text, "{\"execute\":\"device_del\",\"arguments\":{\"id\":"
                                                       "\"/machine/peripheral-anon/device[2]\"}}");
        rig_deleted("/machine/peripheral-anon/device[2]");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(anonymous_dimm_outlives_what_others_are)
{
        anonymous_dimm("device[1]", "/objects/m0");
        unplug_file = rig_must_open("memory/slot-3/remove", O_RDWR);
        /* neither is an anonymous device */
        rig_deleted("/machine/peripheral/dimm7");
        rig_deleted("/machine/peripheral-anon/device[0]/virtio-backend");
        SETTLE();
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 100), "idle\n");
        /* from now on it is known which one it is */
        rig_deleted("/machine/peripheral-anon/device[0]");
        SETTLE();
        ck_assert_int_eq(k_wait_error(k_send_write(&unplug_file, "nowait", 6)), 0);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

/* No event, but another path for the same back end. */
START_TEST(anonymous_dimm_that_is_elsewhere_is_another)
{
        anonymous_dimm("device[1]", "/objects/m0");
        unplug_file = rig_must_open("memory/slot-3/remove", O_RDWR);
        ASSERT_REPLY_LINE(k_send_read(&unplug_file, 0, 100), "idle\n");
        anonymous_dimm("device[2]", "/objects/m0");
        ASSERT_ERROR(k_wait_error(k_send_write(&unplug_file, "1", 1)), ENODEV);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

/* The record of devices/ has no slot, so it is queried, which may fail. */
START_TEST(guest_refuses_an_anonymous_dimm_of_devices_by_its_slot)
{
        uint64_t write;

        anonymous_dimm("device[1]", "/objects/m0");
        rig_qom("/machine/peripheral-anon/device[1]", "slot", "3");
        ASSERT_OK(rig_walk("devices/device[1]/remove", &(struct fuse_entry_out){ 0 }));
        free(rig_sent());
        write = unplug_start("devices/device[1]/remove", "1");
        ck_assert_uint_eq(rig_count("qom-get"), 1);
        unplug_ost(NULL, 3, 130, "2", "DIMM");
        ck_assert(!k_is_answered(write));
        unplug_ost(NULL, 3, 130, "3", "DIMM");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        rig_qom("/machine/peripheral-anon/device[1]", "slot", "\"three\"");
        write = unplug_start("devices/device[1]/remove", "1");
        unplug_ost(NULL, 3, 130, "3", "DIMM");
        ck_assert(!k_is_answered(write));
        rig_deleted("/machine/peripheral-anon/device[1]");
        ASSERT_OK(k_wait_error(write));
}
END_TEST

START_TEST(refusal_by_the_slot_reaches_who_asked_by_another_path)
{
        uint64_t by_device, by_memory;

        anonymous_dimm("device[1]", "/objects/m0");
        by_device = unplug_start("devices/device[1]/remove", "1");
        by_memory = unplug_start("memory/slot-3/remove", "1");
        unplug_ost(NULL, 3, 130, "3", "DIMM");
        ASSERT_ERROR(k_wait_error(by_device), EBUSY);
        ASSERT_ERROR(k_wait_error(by_memory), EBUSY);
}
END_TEST

START_TEST(guest_refuses_elsewhere_than_on_x86)
{
        uint64_t write = unplug_start("devices/nv0/remove", "1"), memory;

        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"path\": \"" NV0 "/part\"}");
        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"device\": \"nv0\", \"path\": \"/machine/peripheral/nv1\"}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"device\": \"nv0\", \"path\": \"" NV0 "\"}");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        ASSERT_CAT_CONTAINS("devices/nv0/remove", "refused: the guest refused");
        memory = unplug_start("memory/dimm1/remove", "1");
        rig_event("MEM_UNPLUG_ERROR", "%s", "{\"device\": \"dimm2\", \"msg\": \"no\"}");
        SETTLE();
        ck_assert(!k_is_answered(memory));
        rig_event("MEM_UNPLUG_ERROR", "%s", "{\"device\": \"dimm1\", \"msg\": \"it is pinned\"}");
        ASSERT_ERROR(k_wait_error(memory), EBUSY);
        ASSERT_CAT_LINE("memory/dimm1/remove", "refused: it is pinned\n");
}
END_TEST

START_TEST(refusal_of_nobodys_request_changes_nothing)
{
        unplug_ost("dimm1", 3, 130, "0", "DIMM");
        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"path\": \"" NV0 "\"}");
        SETTLE();
        ASSERT_CAT_LINE("memory/dimm1/remove", "idle\n");
        ASSERT_CAT_LINE("devices/nv0/remove", "idle\n");
        ASSERT_CAT("errors", "");
}
END_TEST

/* --- the drive --------------------------------------------------------------------------------------------------- */

START_TEST(block_entry_is_believed_only_if_the_device_has_the_drive)
{
        rig_qom(NV0, "drive", "\"other\"");
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), ENODEV);
        ASSERT_CAT_CONTAINS("errors",
                            " /block/NVME1/remove ENODEV - query-block names the device 'nv0', but its drive is "
                            "'other', not 'NVME1'\n");
        unplug_vanish(NV0);
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), ENODEV);
        ASSERT_CAT_CONTAINS("errors", "query-block names the device 'nv0', which does not exist\n");
        rig_qom(NV0, NULL, "[]");
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), EINVAL);
        rig_qom(NV0, "drive", "{\"a\": 1}");
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), ENODEV);
        rig_qom(NV0, "drive", "null");
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), ENODEV);
        ck_assert_uint_eq(rig_count("device_del"), 0);
        rig_qom(NV0, "drive", "\"NVME1\"");
        ASSERT_OK(rig_echo("block/NVME1/remove", "nowait"));
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

START_TEST(drive_of_usb_storage_is_that_of_its_part)
{
        uint64_t write;

        fake_on(rig.fake, "query-block",
                rig_list(rig_drive("usb", "/machine/peripheral/us0/us0.0/legacy[0]"), NULL, NULL));
        rig_qom("/machine/peripheral/us0", NULL, "[]");
        rig_qom("/machine/peripheral/us0/us0.0/legacy[0]", NULL, "[]");
        rig_qom("/machine/peripheral/us0/us0.0/legacy[0]", "drive", "\"usb\"");
        write = unplug_start("block/usb/remove", "1");
        ck_assert_str_eq(
                rig_last("qom-get")->text,
                "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/us0/us0.0/legacy[0]\","
                "\"property\":\"drive\"}}");
        ck_assert_str_eq(rig_last("device_del")->text,
                         "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral/us0\"}}");
        fake_on(rig.fake, "query-block", "[]");
        rig_deleted("/machine/peripheral/us0/us0.0/legacy[0]");
        rig_deleted("/machine/peripheral/us0");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(empty_cd_has_an_empty_drive)
{
        uint64_t write;

        fake_on(rig.fake, "query-block", "[{\"device\": \"\", \"qdev\": \"cd0\", \"removable\": true}]");
        rig_qom("/machine/peripheral/cd0", NULL, "[]");
        rig_qom("/machine/peripheral/cd0", "drive", "\"\"");
        write = unplug_start("block/cd0/remove", "1");
        rig_deleted("/machine/peripheral/cd0");
        ck_assert_int_eq(k_wait_error(write), 0);
        /* there is no legacy drive to look after */
        ck_assert_uint_eq(rig_count("query-block"), 2);
}
END_TEST

/* A query-block entry of a node that -blockdev made. */
#define NODE(qdev, node) "{\"device\": \"\", \"qdev\": \"" qdev "\", \"inserted\": {\"node-name\": \"" node "\"}}"
#define BD0              "/machine/peripheral/bd0/virtio-backend"

START_TEST(blockdev_is_known_by_its_node)
{
        uint64_t write;

        fake_on(rig.fake, "query-block", "[" NODE(BD0, "disk1") "," NODE("bd2", "disk2") "]");
        rig_qom("/machine/peripheral/bd0/virtio-backend", NULL, "[]");
        rig_qom("/machine/peripheral/bd0/virtio-backend", "drive", "\"disk2\"");
        ASSERT_ERROR(rig_echo("block/bd0/remove", "1"), ENODEV);
        rig_qom("/machine/peripheral/bd0/virtio-backend", "drive", "\"\"");
        ASSERT_ERROR(rig_echo("block/bd0/remove", "1"), ENODEV);
        rig_qom("/machine/peripheral/bd0/virtio-backend", "drive", "\"disk1\"");
        write = unplug_start("block/bd0/remove", "1");
        rig_deleted("/machine/peripheral/bd0");
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

/* A job's own node is on top of the entry's; query-block passes over it. */
START_TEST(blockdev_is_removed_while_a_job_runs)
{
        uint64_t write;

        fake_on(rig.fake, "query-block", "[" NODE(BD0, "disk1") "," NODE("bd2", "disk2") "]");
        rig_qom(BD0, NULL, "[]");
        rig_qom(BD0, "drive", "\"#block477\"");
        write = unplug_start("block/bd0/remove", "1");
        rig_deleted("/machine/peripheral/bd0");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(jobs_node_decides_nothing_between_two_entries_of_one_device)
{
        fake_on(rig.fake, "query-block", "[" NODE(BD0, "disk1") "," NODE(BD0, "disk2") "]");
        rig_qom(BD0, NULL, "[]");
        rig_qom(BD0, "drive", "\"#block477\"");
        ASSERT_ERROR(rig_echo("block/bd0/remove", "1"), ENODEV);
        ASSERT_CAT_CONTAINS("errors", "but its drive is '#block477', not 'disk1'\n");
        /* nor is one of its own known for a legacy drive, whose name the device has to the letter */
        rig_qom(NV0, "drive", "\"#block477\"");
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", "nv0"), NULL, NULL));
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), ENODEV);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(device_that_qemu_made_itself_is_asked_for_without_its_drive)
{
        fake_on(rig.fake, "query-block",
                rig_list(rig_drive("floppy0", "/machine/unattached/device[12]"), NULL, NULL));
        fake_on_error(rig.fake, "device_del", "GenericError", "Bus 'floppy-bus.0' does not support hotplugging");
        ASSERT_ERROR(rig_echo("block/floppy0/remove", "1"), EOPNOTSUPP);
}
END_TEST

/* After an unplug nvme's legacy drive stays, without a qdev. */
static uint64_t nvme_gone(const char *text)
{
        uint64_t write = unplug_start("block/NVME1/remove", text);

        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        free(rig_sent());
        rig_deleted(NV0);
        return write;
}

START_TEST(legacy_drive_that_is_left_is_deleted)
{
        uint64_t write;

        fake_on_nothing(rig.fake, "human-monitor-command");
        write = nvme_gone("1");
        PUMP(rig.loop, rig_count("human-monitor-command") == 1);
        ck_assert_str_eq(
                rig_last("human-monitor-command")->text,
                "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"drive_del NVME1\"}}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        fake_on(rig.fake, "query-block", "[]");
        fake_return(rig.fake, rig_last("human-monitor-command"), "\"\"");
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_SENT("query-block human-monitor-command");
        ASSERT_LS("block", "");
}
END_TEST

START_TEST(legacy_drive_that_cannot_be_deleted_is_a_failure)
{
        uint64_t write;

        fake_on(rig.fake, "human-monitor-command",
                "\"Error: Node 'NVME1' is busy: block device is in use by block job: "
                "commit\\r\\n\"");
        write = nvme_gone("1");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        ASSERT_CAT_CONTAINS("errors", " /block/NVME1/remove EBUSY - the device is gone, but its drive 'NVME1' stays: "
                                      "Error: Node 'NVME1' is busy: block device is in use by block job: commit\n");
}
END_TEST

START_TEST(legacy_drive_of_a_new_device_is_left_alone)
{
        uint64_t write = unplug_start("block/NVME1/remove", "1");

        /* somebody was quick: the drive has a device again */
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", "nv9"), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(device_alone_leaves_the_drive)
{
        uint64_t write = unplug_start("devices/nv0/remove", "1");

        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

/* Somebody else was faster. */
START_TEST(legacy_drive_that_is_gone_already_is_no_failure)
{
        fake_on(rig.fake, "human-monitor-command", "\"Device 'NVME1' not found\\r\\n\"");
        ck_assert_int_eq(k_wait_error(nvme_gone("1")), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 1);
        fake_on(rig.fake, "human-monitor-command", "\"Error: Device 'other' not found\\r\\n\"");
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME2", NULL), NULL, NULL));
        ASSERT_ERROR(rig_echo("block/NVME2/remove", "1"), ENODEV);
        ASSERT_CAT_CONTAINS("errors", "ENODEV - drive 'NVME2' stays: Error: Device 'other' not found\n");
}
END_TEST

START_TEST(drive_without_a_device_that_goes_before_it_is_asked_for_is_no_failure)
{
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        unplug_file = rig_must_open("block/NVME1/remove", O_RDWR);
        fake_on(rig.fake, "query-block", "[]");
        ck_assert_int_eq(k_wait_error(k_send_write(&unplug_file, "1", 1)), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
        /* who comes later finds nothing */
        ASSERT_ERROR(k_wait_error(k_send_write(&unplug_file, "1", 1)), ENODEV);
}
END_TEST

START_TEST(drive_without_a_device_is_deleted)
{
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        ASSERT_OK(rig_echo("block/NVME1/remove", "1"));
        ck_assert_str_eq(
                rig_last("human-monitor-command")->text,
                "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"drive_del NVME1\"}}");
        ck_assert_uint_eq(rig_count("device_del"), 0);
        fake_on(rig.fake, "human-monitor-command", "\"Error: no\\r\\n\"");
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "1"), EIO);
        ASSERT_CAT_CONTAINS("errors", "EIO - drive 'NVME1' stays: Error: no\n");
        ASSERT_CAT_LINE("block/NVME1/remove", "refused: drive 'NVME1' stays: Error: no\n");
}
END_TEST

/* --- explain ----------------------------------------------------------------------------------------------------- */

#define DEVICE_DEL(path) "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"" path "\"}}\n"
#define DRIVE_DEL(name)                                                                                              \
        "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"drive_del " name "\"}}\n"

static const struct {
        const char *path, *sent, *reply;
} explained[] = {
        { "block/NVME1/remove", "query-block query-block qom-get", DEVICE_DEL(NV0) DRIVE_DEL("NVME1") },
        { "block/virtio0/remove", "query-block query-block qom-get", DEVICE_DEL(ANON) DRIVE_DEL("virtio0") },
        { "devices/nv0/remove", "qom-list qom-list qom-list qom-list", DEVICE_DEL(NV0) },
        { "cpus/1/remove", "query-cpus-fast query-cpus-fast", DEVICE_DEL("/machine/peripheral/cpu1") },
        { "memory/dimm1/remove", "query-memory-devices query-memory-devices",
          DEVICE_DEL("/machine/peripheral/dimm1") },
};

START_TEST(explain_tells_what_would_be_sent)
{
        struct k_file opened = rig_must_open(explained[_i].path, O_RDWR);

        ASSERT_OK(k_wait_error(k_send_write(&opened, "explain", 7)));
        ASSERT_SENT(explained[_i].sent);
        ASSERT_REPLY(k_send_read(&opened, 8, 4096), explained[_i].reply);
        ASSERT_REPLY(k_send_read(&opened, 0, 4096), explained[_i].reply);
        ck_assert(list_empty(&rig.vm->operations.all));
        ASSERT_CAT_LINE(explained[_i].path, "idle\n");
        ASSERT_CAT_CONTAINS(explained[_i].path, "\nlast write: none\n");
        /* what is carried out has no reply: the file is what it was */
        ASSERT_OK(k_wait_error(k_send_write(&opened, "nowait", 6)));
        ck_assert_uint_eq(rig_count("device_del"), 1);
        ASSERT_REPLY_LINE(k_send_read(&opened, 0, 7), "pending");
}
END_TEST

START_TEST(explain_of_what_is_under_way_changes_nothing)
{
        uint64_t write = unplug_start("block/NVME1/remove", "1");
        struct k_file opened = rig_must_open("block/NVME1/remove", O_RDWR);

        ASSERT_OK(k_wait_error(k_send_write(&opened, "explain timeout=3", 17)));
        ASSERT_REPLY(k_send_read(&opened, 0, 4096), DEVICE_DEL(NV0) DRIVE_DEL("NVME1"));
        ck_assert_uint_eq(rig_count("device_del"), 1);
        ck_assert(!k_is_answered(write));
        fake_on(rig.fake, "query-block", "[]");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        /* it is done: there is nothing to be sent */
        ASSERT_OK(k_wait_error(k_send_write(&opened, "explain", 7)));
        ASSERT_REPLY(k_send_read(&opened, 0, 4096), "");
}
END_TEST

START_TEST(explain_checks_what_a_removal_checks)
{
        rig_qom(NV0, "drive", "\"another\"");
        ASSERT_ERROR(rig_echo("block/NVME1/remove", "explain"), ENODEV);
        ASSERT_CAT_CONTAINS("errors", "but its drive is 'another', not 'NVME1'\n");
        fake_on(rig.fake, "query-block", "[{\"device\": \"a; quit\"}]");
        ASSERT_ERROR(rig_echo("block/a; quit/remove", "explain"), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " EINVAL - drive_del does not accept the name 'a; quit'\n");
        ck_assert_uint_eq(rig_count("device_del") + rig_count("human-monitor-command"), 0);
}
END_TEST

/* No path leads to it, and what query-block shows with a device is not deleted as a drive alone. */
START_TEST(device_without_a_usable_name_is_not_taken_for_none)
{
        static const char *const qdevs[] = { "\"a/b\"", "\"a\\u0000b\"", "5" };

        for (size_t i = 0; i < ARRAY_SIZE(qdevs); i++) {
                _cleanup_(qmp_freep) char *blocks = NULL;

                ck_assert_int_gt(asprintf(&blocks, "[{\"device\": \"d\", \"qdev\": %s}]", qdevs[i]), 0);
                fake_on(rig.fake, "query-block", blocks);
                ASSERT_ERROR(rig_echo("block/d/remove", "1"), ENODEV);
                ASSERT_CAT_CONTAINS("errors", " ENODEV - QEMU cannot name the device '");
        }
        ck_assert_uint_eq(rig_count("device_del") + rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(node_without_a_device_has_none_to_remove)
{
        fake_on(rig.fake, "query-block", "[{\"device\": \"\", \"inserted\": {\"node-name\": \"n1\"}}]");
        ASSERT_ERROR(rig_echo("block/n1/remove", "1"), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /block/n1/remove ENODEV - no device has this drive\n");
        ASSERT_CAT_LINE("block/n1/remove", "idle\n");
}
END_TEST

START_TEST(drive_names_are_no_monitor_commands)
{
        static const char *const names[] = { "a; quit", "a b", "a\\nquit", "a\\\"b", "$x", "\\u0000", "a/b" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(qmp_freep) char *ls = NULL, *path = NULL;

                fake_on(rig.fake, "query-block", rig_list(rig_drive(names[i], NULL), NULL, NULL));
                PUMP_FOR(rig.loop, 200 * MS);
                ASSERT_OK(rig_ls("block", &ls));
                ck_assert_int_gt(asprintf(&path, "block/%s/remove", ls), 0);
                ck_assert_int_lt(rig_echo(path, "1"), 0);
        }
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(device_is_removed_when_qemu_says_that_it_is_gone),
                TEST(device_file_costs_its_lists_and_the_request),
                TEST(events_of_children_and_of_others_do_not_count),
                TEST(event_may_come_before_the_reply),
                TEST(error_after_the_event_is_success),
                TEST(directory_is_gone_when_the_write_returns),
                TEST(removal_by_somebody_else_ends_the_object),
                TEST(cpu_under_tcg_is_gone_when_it_has_left_the_tree),
                TEST(cpu_under_kvm_has_its_event),
                TEST(part_that_goes_while_the_device_stays_is_no_end),
                TEST(device_that_qemu_no_longer_finds_is_gone),
                TEST(second_request_of_scsi_finds_nothing_and_the_event_follows),
                TEST(request_is_repeated_while_somebody_waits),
                TEST(already_in_the_process_is_no_error),
                TEST(busy_guest_is_asked_again),
                TEST(error_of_a_repeated_request_waits_for_the_end),
                TEST_EACH(error_of_qemu_is_that_of_the_write, ARRAY_SIZE(errors)),
                TEST(guest_refuses_a_dimm_by_its_id),
                TEST(guest_refuses_an_anonymous_dimm_by_its_slot),
                TEST(anonymous_dimm_is_known_by_its_back_end),
                TEST_EACH(anonymous_dimm_ends_with_its_device, 2),
                TEST(anonymous_dimm_outlives_what_others_are),
                TEST(anonymous_dimm_that_is_elsewhere_is_another),
                TEST(guest_refuses_an_anonymous_dimm_of_devices_by_its_slot),
                TEST(refusal_by_the_slot_reaches_who_asked_by_another_path),
                TEST(guest_refuses_elsewhere_than_on_x86),
                TEST(refusal_of_nobodys_request_changes_nothing),
                TEST(block_entry_is_believed_only_if_the_device_has_the_drive),
                TEST(drive_of_usb_storage_is_that_of_its_part),
                TEST(empty_cd_has_an_empty_drive),
                TEST(blockdev_is_known_by_its_node),
                TEST(blockdev_is_removed_while_a_job_runs),
                TEST(jobs_node_decides_nothing_between_two_entries_of_one_device),
                TEST(device_that_qemu_made_itself_is_asked_for_without_its_drive),
                TEST(legacy_drive_that_is_left_is_deleted),
                TEST(legacy_drive_that_cannot_be_deleted_is_a_failure),
                TEST(legacy_drive_of_a_new_device_is_left_alone),
                TEST(device_alone_leaves_the_drive),
                TEST(legacy_drive_that_is_gone_already_is_no_failure),
                TEST(drive_without_a_device_that_goes_before_it_is_asked_for_is_no_failure),
                TEST(drive_without_a_device_is_deleted),
                TEST_EACH(explain_tells_what_would_be_sent, ARRAY_SIZE(explained)),
                TEST(explain_of_what_is_under_way_changes_nothing),
                TEST(explain_checks_what_a_removal_checks),
                TEST(device_without_a_usable_name_is_not_taken_for_none),
                TEST(node_without_a_device_has_none_to_remove),
                TEST(drive_names_are_no_monitor_commands),
        };

        return test_main("fuse_remove", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
