/*
 * `remove`: success means gone. Each script of events is one that QEMU 7.2 was seen to send.
 */
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define NV0  "/machine/peripheral/nv0"
#define ANON "/machine/peripheral-anon/device[0]"

static struct k_file file;

/* Writes to a `remove`, and waits until QEMU has the request. */
static uint64_t start(const char *path, const char *text)
{
        size_t n = rig_count("device_del");
        uint64_t write;

        file = rig_must_open(path, O_RDWR);
        write = k_send_write(&file, text, strlen(text));
        PUMP(rig.loop, rig_count("device_del") > n);
        SETTLE();
        return write;
}

static void pass(uint64_t ns)
{
        PUMP_FOR(rig.loop, ns);
}

static void ost(const char *device, int source, int status, const char *slot, const char *type)
{
        char member[100] = "";

        if (device)
                snprintf(member, sizeof(member), "\"device\": \"%s\", ", device);
        rig_event("ACPI_DEVICE_OST",
                  "{\"info\": {%s\"source\": %d, \"status\": %d, \"slot\": \"%s\", \"slot-type\": \"%s\"}}", member,
                  source, status, slot, type);
        SETTLE();
}

/* The device is no longer in the tree of objects. */
static void vanish(const char *path)
{
        rig_qom(path, NULL, NULL);
        rig_qom(path, "drive", NULL);
}

/* --- success ----------------------------------------------------------------------------------------------------- */

START_TEST(device_is_removed_when_qemu_says_that_it_is_gone)
{
        uint64_t write;

        file = rig_must_open("devices/dimm1/remove", O_RDWR);
        free(rig_sent());
        write = start("devices/dimm1/remove", "1\n");
        ck_assert_str_eq(rig_last("device_del")->text,
                         "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral/dimm1\"}}");
        pass(800 * MS);
        ck_assert(!k_is_answered(write));
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 7), "pending");
        rig_deleted("/machine/peripheral/dimm1");
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_CAT("errors", "");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 100)), ENODEV);
}
END_TEST

START_TEST(device_file_costs_its_lists_and_the_request)
{
        uint64_t write = start("devices/dimm1/remove", "1");

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
        uint64_t write = start("block/virtio0/remove", "1");

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
        pass(200 * MS);
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
        write = start("devices/nv0/remove", "1");
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
        write = start("block/NVME1/remove", "1");
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
        uint64_t write = start("block/NVME1/remove", "1");
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block", rig_list(rig_drive("virtio0", ANON "/virtio-backend"), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_LS("block", "virtio0");
        ASSERT_ERROR(rig_walk("block/NVME1", &entry), ENOENT);
        /* who comes a moment later with the old file wanted the same */
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "1", 1)), 0);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

START_TEST(removal_by_somebody_else_ends_the_object)
{
        file = rig_must_open("block/NVME1/remove", O_RDWR);
        rig_deleted(NV0);
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "1", 1)), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /block/NVME1/remove ENODEV - it no longer exists\n");
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

START_TEST(cpu_under_tcg_is_gone_when_it_has_left_the_tree)
{
        uint64_t write = start("cpus/1/remove", "1"), before;

        ost("cpu1", 3, 132, "1", "CPU");
        pass(40 * MS);
        vanish("/machine/peripheral/cpu1");
        rig_deleted("/machine/peripheral/cpu1/lapic");
        before = qmp_now();
        ost(NULL, 3, 0, "1", "CPU");
        ck_assert_int_eq(k_wait_error(write), 0);
        /* its own event had time to come */
        ck_assert_uint_ge(qmp_now() - before, 400 * MS);
        ck_assert_uint_lt(qmp_now() - before, 600 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

START_TEST(cpu_under_kvm_has_its_event)
{
        uint64_t write = start("cpus/1/remove", "1"), before;

        ost("cpu1", 3, 132, "1", "CPU");
        vanish("/machine/peripheral/cpu1");
        rig_deleted("/machine/peripheral/cpu1/lapic");
        before = qmp_now();
        rig_deleted("/machine/peripheral/cpu1");
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_lt(qmp_now() - before, 10 * MS);
}
END_TEST

START_TEST(part_that_goes_while_the_device_stays_is_no_end)
{
        uint64_t write = start("cpus/1/remove", "timeout=0.9");

        /* the device is still in the tree */
        rig_deleted("/machine/peripheral/cpu1/lapic");
        ost(NULL, 3, 0, "0", "DIMM");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
}
END_TEST

START_TEST(device_that_qemu_no_longer_finds_is_gone)
{
        uint64_t write = start("devices/nv0/remove", "1"), before = qmp_now();

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
        uint64_t a = start("devices/nv0/remove", "1"), b;
        struct k_file other = rig_must_open("devices/nv0/remove", O_WRONLY);

        fake_on_error(rig.fake, "device_del", "DeviceNotFound", "Device '" NV0 "' not found");
        b = k_send_write(&other, "1", 1);
        pass(50 * MS);
        ck_assert(!k_is_answered(a) && !k_is_answered(b));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(a), 0);
        ck_assert_int_eq(k_wait_error(b), 0);
}
END_TEST

/* --- asking again ------------------------------------------------------------------------------------------------ */

START_TEST(request_is_repeated_while_somebody_waits)
{
        uint64_t write = start("devices/nv0/remove", "timeout=4");

        pass(900 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 1);
        pass(200 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        pass(1800 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        pass(200 * MS);
        ck_assert_uint_eq(rig_count("device_del"), 3);
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        pass(20 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 3);
}
END_TEST

START_TEST(already_in_the_process_is_no_error)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError", "Device nv0 is already in the process of unplug");
        write = start("devices/nv0/remove", "1");
        pass(500 * MS);
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
        write = start("devices/nv0/remove", "1");
        pass(100 * MS);
        ck_assert(!k_is_answered(write));
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 200),
                          "pending 0.1 s: Hot-unplug failed: guest is busy (power indicator blinking)\n");
        fake_on(rig.fake, "device_del", "{}");
        pass(SEC);
        ck_assert_uint_eq(rig_count("device_del"), 2);
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 200), "pending 1.1 s\n");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(error_of_a_repeated_request_waits_for_the_end)
{
        uint64_t write = start("devices/nv0/remove", "timeout=2");

        fake_on_error(rig.fake, "device_del", "GenericError", "device_del not allowed while migrating");
        pass(1100 * MS);
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
        pass(10 * SEC);
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
        uint64_t write = start("memory/dimm1/remove", "1");

        ost("dimm1", 3, 132, "0", "DIMM");
        ost("dimm2", 3, 130, "0", "DIMM");
        ost("dimm1", 1, 130, "0", "DIMM");
        ck_assert(!k_is_answered(write));
        ost("dimm1", 3, 130, "0", "DIMM");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        ASSERT_CAT_LINE("memory/dimm1/remove",
                        "refused: the guest refused: the device is busy (ACPI _OST status 130)\n");
        ASSERT_CAT_LINE("devices/dimm1/remove",
                        "refused: the guest refused: the device is busy (ACPI _OST status 130)\n");
        ASSERT_CAT_CONTAINS("errors", " /memory/dimm1/remove EBUSY - the guest refused: the device is busy");
        /* it is not asked again */
        pass(10 * SEC);
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
        write = start("memory/slot-3/remove", "1");
        ck_assert_str_eq(
                rig_last("device_del")->text,
                "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral-anon/device[1]\"}}");
        ost(NULL, 3, 130, "0", "DIMM");
        ost(NULL, 3, 130, "3", "CPU");
        ost("other", 3, 130, "3", "DIMM");
        ck_assert(!k_is_answered(write));
        ost(NULL, 3, 128, "3", "DIMM");
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
        file = rig_must_open("memory/slot-3/remove", O_RDWR);
        anonymous_dimm("device[2]", "/objects/m1");
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "1", 1)), ENODEV);
        ck_assert_uint_eq(rig_count("device_del"), 0);
}
END_TEST

/* The next one has the same slot and the same back end. Whether the path of the first one is known, or might have been this. */
START_TEST(anonymous_dimm_ends_with_its_device)
{
        struct fuse_entry_out before, after;
        uint64_t write;

        anonymous_dimm("device[1]", "/objects/m0");
        file = rig_must_open("memory/slot-3/remove", _i == 0 ? O_WRONLY : O_RDWR);
        ASSERT_OK(rig_walk("memory/slot-3", &before));
        if (_i == 1)
                ASSERT_REPLY_LINE(k_send_read(&file, 0, 100), "idle\n");
        anonymous_dimm("device[2]", "/objects/m0");
        rig_deleted("/machine/peripheral-anon/device[1]");
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "1", 1)), ENODEV);
        ASSERT_CAT_CONTAINS("errors",
                            _i == 0 ? "ENODEV - an anonymous device was deleted, and it may have been this one\n"
                                    : "ENODEV - it no longer exists\n");
        ck_assert_uint_eq(rig_count("device_del"), 0);
        ASSERT_OK(rig_walk("memory/slot-3", &after));
        ck_assert_uint_ne(before.attr.ino, after.attr.ino);
        write = start("memory/slot-3/remove", "1");
        ck_assert_str_eq(rig_last("device_del")->text, "{\"execute\":\"device_del\",\"arguments\":{\"id\":"
                                                       "\"/machine/peripheral-anon/device[2]\"}}");
        rig_deleted("/machine/peripheral-anon/device[2]");
        ck_assert_int_eq(k_wait_error(write), 0);
}
END_TEST

START_TEST(anonymous_dimm_outlives_what_others_are)
{
        anonymous_dimm("device[1]", "/objects/m0");
        file = rig_must_open("memory/slot-3/remove", O_RDWR);
        /* neither is an anonymous device */
        rig_deleted("/machine/peripheral/dimm7");
        rig_deleted("/machine/peripheral-anon/device[0]/virtio-backend");
        SETTLE();
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 100), "idle\n");
        /* from now on it is known which one it is */
        rig_deleted("/machine/peripheral-anon/device[0]");
        SETTLE();
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "nowait", 6)), 0);
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

/* No event, but another path for the same back end. */
START_TEST(anonymous_dimm_that_is_elsewhere_is_another)
{
        anonymous_dimm("device[1]", "/objects/m0");
        file = rig_must_open("memory/slot-3/remove", O_RDWR);
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 100), "idle\n");
        anonymous_dimm("device[2]", "/objects/m0");
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "1", 1)), ENODEV);
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
        write = start("devices/device[1]/remove", "1");
        ck_assert_uint_eq(rig_count("qom-get"), 1);
        ost(NULL, 3, 130, "2", "DIMM");
        ck_assert(!k_is_answered(write));
        ost(NULL, 3, 130, "3", "DIMM");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        rig_qom("/machine/peripheral-anon/device[1]", "slot", "\"three\"");
        write = start("devices/device[1]/remove", "1");
        ost(NULL, 3, 130, "3", "DIMM");
        ck_assert(!k_is_answered(write));
        rig_deleted("/machine/peripheral-anon/device[1]");
        ASSERT_OK(k_wait_error(write));
}
END_TEST

START_TEST(refusal_by_the_slot_reaches_who_asked_by_another_path)
{
        uint64_t by_device, by_memory;

        anonymous_dimm("device[1]", "/objects/m0");
        by_device = start("devices/device[1]/remove", "1");
        by_memory = start("memory/slot-3/remove", "1");
        ost(NULL, 3, 130, "3", "DIMM");
        ASSERT_ERROR(k_wait_error(by_device), EBUSY);
        ASSERT_ERROR(k_wait_error(by_memory), EBUSY);
}
END_TEST

START_TEST(guest_refuses_elsewhere_than_on_x86)
{
        uint64_t write = start("devices/nv0/remove", "1"), memory;

        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"path\": \"" NV0 "/part\"}");
        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"device\": \"nv0\", \"path\": \"/machine/peripheral/nv1\"}");
        SETTLE();
        ck_assert(!k_is_answered(write));
        rig_event("DEVICE_UNPLUG_GUEST_ERROR", "%s", "{\"device\": \"nv0\", \"path\": \"" NV0 "\"}");
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        ASSERT_CAT_CONTAINS("devices/nv0/remove", "refused: the guest refused");
        memory = start("memory/dimm1/remove", "1");
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
        ost("dimm1", 3, 130, "0", "DIMM");
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
        vanish(NV0);
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
        write = start("block/usb/remove", "1");
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
        write = start("block/cd0/remove", "1");
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
        write = start("block/bd0/remove", "1");
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
        write = start("block/bd0/remove", "1");
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
        uint64_t write = start("block/NVME1/remove", text);

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
        uint64_t write = start("block/NVME1/remove", "1");

        /* somebody was quick: the drive has a device again */
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", "nv9"), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(device_alone_leaves_the_drive)
{
        uint64_t write = start("devices/nv0/remove", "1");

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
        file = rig_must_open("block/NVME1/remove", O_RDWR);
        fake_on(rig.fake, "query-block", "[]");
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "1", 1)), 0);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
        /* who comes later finds nothing */
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "1", 1)), ENODEV);
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

/* --- how long it waits ------------------------------------------------------------------------------------------- */

START_TEST(guest_that_ignores_it_times_out_and_it_is_still_pending)
{
        uint64_t before = qmp_now(), write;

        rig.vm->peer.options.unplug_timeout_ns = 3 * SEC;
        write = start("devices/nv0/remove", "1");
        ASSERT_ERROR(k_wait_error(write), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 3 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 3100 * MS);
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 200), "timed out after 3 s, still pending\n");
        ASSERT_CAT_CONTAINS("errors", " /devices/nv0/remove ETIMEDOUT - timed out after 3 s, still pending\n");
        rig_event("STOP", "%s", "");
        SETTLE();
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 200), "timed out after 3 s, still pending, the VM is paused\n");
        rig_event("RESUME", "%s", "");
        /* the next who asks finds it so */
        write = k_send_write(&file, "timeout=5", 9);
        pass(100 * MS);
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 200), "pending 3.1 s\n");
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
        write = start("block/NVME1/remove", "nowait\n");
        pass(100 * MS);
        ck_assert(!k_is_answered(write));
        fake_on(rig.fake, "device_del", "{}");
        fake_return(rig.fake, rig_last("device_del"), "{}");
        ck_assert_int_eq(k_wait_error(write), 0);
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 7), "pending");
        /* nobody waits: it is not asked again */
        pass(20 * SEC);
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
        static const char *const wrong[] = { "0",
                                             "2",
                                             "11",
                                             "yes",
                                             "1 ",
                                             " 1",
                                             "no wait",
                                             "timeout=",
                                             "timeout=0",
                                             "timeout=-1",
                                             "timeout=inf",
                                             "timeout=1e3",
                                             "nowait timeout=3",
                                             "1\n1" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                ck_assert_msg(rig_echo("block/NVME1/remove", wrong[i]) == -EINVAL, "%s", wrong[i]);
        ck_assert_uint_eq(rig_count("device_del"), 0);
        ASSERT_CAT_CONTAINS("errors", " EINVAL - expected 1, nowait or timeout=SEC\n");
}
END_TEST

START_TEST(two_writers_wait_for_one_removal)
{
        uint64_t a = start("block/NVME1/remove", "1"), b, c;
        struct k_file block = rig_must_open("block/NVME1/remove", O_WRONLY);
        struct k_file device = rig_must_open("devices/nv0/remove", O_WRONLY);

        b = k_send_write(&block, "1", 1);
        c = k_send_write(&device, "1", 1);
        pass(100 * MS);
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
        uint64_t a = start("memory/dimm1/remove", "1"), b = start("devices/dimm1/remove", "1");

        ost("dimm1", 3, 131, "0", "DIMM");
        ASSERT_ERROR(k_wait_error(a), EBUSY);
        ASSERT_ERROR(k_wait_error(b), EBUSY);
}
END_TEST

START_TEST(one_writer_may_give_up)
{
        uint64_t a = start("devices/nv0/remove", "timeout=0.5"), b = start("devices/nv0/remove", "1");

        ASSERT_ERROR(k_wait_error(a), ETIMEDOUT);
        /* somebody waits still */
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 7), "pending");
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(b), 0);
}
END_TEST

START_TEST(who_waits_for_the_device_does_not_wait_for_the_drive)
{
        uint64_t block = start("block/NVME1/remove", "1"), device = start("devices/nv0/remove", "1");

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
        uint64_t write = start("block/NVME1/remove", "1");

        pass(1200 * MS);
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 100), "pending 1.2 s\n");
        ck_assert_uint_eq(rig_count("device_del"), 2);
        pass(20 * SEC);
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
        write = start("devices/nv0/remove", "1");
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
        ASSERT_ERROR(k_wait_error(start("devices/nv0/remove", "timeout=20")), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 20 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 21 * SEC);
        /* QEMU may have taken it */
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 100),
                          "timed out after 20 s, still pending, QEMU has not answered yet\n");
        ck_assert_uint_eq(rig_count("device_del"), 1);
}
END_TEST

/* A request for @file's device that waits behind four commands that QEMU doesn't answer. */
static uint64_t start_behind_others(uint64_t *reads)
{
        static const char *const busy[] = { "name", "uuid", "version", "cpus/0/status" };
        struct k_file others[4];
        uint64_t write;
        size_t n_lists;

        file = rig_must_open("devices/nv0/remove", O_RDWR);
        for (size_t i = 0; i < 4; i++)
                others[i] = rig_must_open_and_read(busy[i], O_RDONLY);
        fake_on_nothing(rig.fake, "query-name");
        fake_on_nothing(rig.fake, "query-uuid");
        fake_on_nothing(rig.fake, "query-version");
        fake_on_nothing(rig.fake, "query-cpus-fast");
        n_lists = rig_count("qom-list");
        /* what it asks first is on the wire when the others come, and the request behind them when that is answered */
        fake_stick(rig.fake);
        write = k_send_write(&file, "timeout=3", 9);
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
        pass(10 * SEC);
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
        ASSERT_REPLY_LINE(k_send_read(&file, 0, 100), "idle\n");
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
        uint64_t write = start("devices/nv0/remove", "1"), other;
        struct k_file second;

        vanish(NV0);
        rig_deleted(NV0 "/part");
        pass(10 * MS);
        rig_qom(NV0, NULL, "[{\"name\": \"drive\", \"type\": \"str\"}]");
        /* the repeat would have come after 1 s, the end without the event after 5 */
        pass(2 * SEC);
        ck_assert_uint_eq(rig_count("device_del"), 1);
        /* who asks now means the new one, and is not told of the old one's end */
        second = rig_must_open("devices/nv0/remove", O_RDWR);
        other = k_send_write(&second, "1", 1);
        PUMP(rig.loop, rig_count("device_del") == 2);
        ck_assert_int_eq(k_wait_error(write), 0);
        pass(10 * SEC);
        ck_assert(!k_is_answered(other));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(other), 0);
}
END_TEST

START_TEST(request_that_was_never_taken_is_not_pending)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError", "Hot-unplug failed: guest is busy");
        write = start("block/NVME1/remove", "1");
        pass(500 * MS);
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
        ASSERT_CAT_LINE("block/NVME1/remove", "refused: Hot-unplug failed: guest is busy\n");
        /* so what somebody else removes later keeps its drive */
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        rig_deleted(NV0);
        pass(SEC);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(drive_of_an_earlier_request_is_forgotten)
{
        uint64_t write;

        fake_on_error(rig.fake, "device_del", "GenericError", "device_del not allowed while migrating");
        ASSERT_ERROR(k_wait_error(start("block/NVME1/remove", "1")), EAGAIN);
        fake_on(rig.fake, "device_del", "{}");
        write = start("devices/nv0/remove", "1");
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", NULL), NULL, NULL));
        rig_deleted(NV0);
        ck_assert_int_eq(k_wait_error(write), 0);
        pass(SEC);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

START_TEST(refusal_does_not_take_back_a_repeat_that_qemu_has)
{
        uint64_t write = start("block/NVME1/remove", "1");

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
        uint64_t first = start("block/NVME1/remove", "1"), second;
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
        write = start("devices/nv0/remove", "1");
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
        uint64_t write = start("devices/cpu1/remove", "1");

        ASSERT_CAT_CONTAINS("cpus/1/remove", "pending");
        ASSERT_CAT_LINE("cpus/0/remove", "idle\n");
        k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), EINTR);
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
                TEST(node_without_a_device_has_none_to_remove),
                TEST(drive_names_are_no_monitor_commands),
                TEST(guest_that_ignores_it_times_out_and_it_is_still_pending),
                TEST(limit_can_be_said),
                TEST(nowait_returns_when_qemu_has_taken_it),
                TEST(nowait_of_what_is_refused_fails),
                TEST(other_words_are_refused),
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

        return test_main("fuse_remove", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
