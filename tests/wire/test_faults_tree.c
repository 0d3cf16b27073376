/*
 * One fault at each message while all of the tree is used: records, members, links, properties, queries, commands, verbs,
 * removals; one after the other, and many at once. And the faults that are so large that a few places must do for them.
 */
#include "tests/lib/faults.h"
#include "tests/lib/test.h"

#define STRIDE 3
#define LEAST  4200

// clang-format off
static const char schema[] =
        "[{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, "
        "{\"name\": \"1\", \"meta-type\": \"object\", \"members\": ["
                "{\"name\": \"value\", \"type\": \"int\"}, {\"name\": \"id\", \"type\": \"str\", \"default\": null}]}, "
        "{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"}, "
        "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"}, "
        "{\"name\": \"query-status\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"any\"}, "
        "{\"name\": \"query-block\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"any\"}, "
        "{\"name\": \"x-query-jit\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"any\"}, "
        "{\"name\": \"balloon\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": \"0\"}, "
        "{\"name\": \"2\", \"meta-type\": \"object\", \"members\": ["
                "{\"name\": \"device\", \"type\": \"str\"}, {\"name\": \"size\", \"type\": \"int\"}]}, "
        "{\"name\": \"block_resize\", \"meta-type\": \"command\", \"arg-type\": \"2\", \"ret-type\": \"0\"}, "
        "{\"name\": \"STOP\", \"meta-type\": \"event\", \"arg-type\": \"0\"}]";
// clang-format on

static bool is_deleted;

static void stop(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        fake_event(fake, streq(command->name, "cont") ? "RESUME" : "STOP", NULL);
        fake_return(fake, command, "{}");
}

static void reset(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        fake_event(fake, "RESET", "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}");
        fake_return(fake, command, "{}");
        fake_event(fake, "RESET", "{\"guest\": true, \"reason\": \"guest-reset\"}");
}

/* As QEMU does for nvme: the device goes, its drive stays until it is deleted. */
static void delete (struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        struct json_object *id;

        (void)userdata;
        CHECK(json_object_object_get_ex(command->arguments, "id", &id));
        fake_return(fake, command, "{}");
        if (strstr(json_object_get_string(id), "nv0")) {
                is_deleted = true;
                fake_event(fake, "DEVICE_DELETED", "{\"path\": \"/machine/peripheral/nv0/child\"}");
                fake_event(fake, "DEVICE_DELETED", "{\"device\": \"nv0\", \"path\": \"/machine/peripheral/nv0\"}");
        } else {
                fake_event(fake, "ACPI_DEVICE_OST",
                           "{\"info\": {\"device\": \"dimm1\", \"source\": 3, \"status\": 1, \"slot\": \"0\", "
                           "\"slot-type\": \"DIMM\"}}");
        }
}

static void blocks(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        fake_return(fake, command,
                    rig_list(rig_drive("NVME1", is_deleted ? NULL : "nv0"),
                             rig_drive("virtio0", "/machine/peripheral-anon/device[0]/virtio-backend"), NULL));
}

static void setup(void)
{
        struct fake_qemu *f = rig.fake;

        f->greeting = FAKE_GREETING_OOB;
        fake_on(f, "query-qmp-schema", schema);
        fake_on(f, "x-query-jit", "{\"human-readable-text\": \"x\"}");
        fake_on(f, "balloon", "{}");
        fake_on(f, "block_resize", "{}");
        fake_on(f, "qom-set", "{}");
        fake_on(f, "query-yank", "[]");
        fake_on(f, "human-monitor-command", "\"\"");
        fake_on(f, "qom-list-types", "[{\"name\": \"nvme\", \"parent\": \"pci-device\"}, {\"name\": \"e1000\"}]");
        fake_on(f, "device-list-properties",
                "[{\"name\": \"serial\", \"type\": \"str\"}, {\"name\": \"addr\", \"type\": \"int32\", "
                "\"default-value\": -1, \"description\": \"Slot\"}]");
        fake_on_call(f, "stop", stop, NULL);
        fake_on_call(f, "cont", stop, NULL);
        fake_on_call(f, "system_reset", reset, NULL);
        fake_on_call(f, "device_del", delete, NULL);
        fake_on_call(f, "query-block", blocks, NULL);
        rig_qom("/", NULL,
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"machine\", \"type\": \"child<pc>\"}]");
        rig_qom("/machine", NULL, "[{\"name\": \"peripheral\", \"type\": \"child<container>\"}]");
        rig_qom("/machine/peripheral/nv0", "link", "\"/machine\"");
        rig_qom("/machine/peripheral/nv0", NULL,
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"drive\", \"type\": \"str\"}, "
                "{\"name\": \"serial\", \"type\": \"str\"}, {\"name\": \"link\", \"type\": \"link<pc>\"}]");
}

static void setup_recorded(void)
{
        _cleanup_(qmp_freep) char *recorded = test_data("query-qmp-schema.json", NULL);

        setup();
        fake_on(rig.fake, "query-qmp-schema", recorded);
}

static void begin(void)
{
        is_deleted = false;
}

static const struct op ops[] = {
        { .verb = OP_CAT, .path = "status" },
        { .verb = OP_CAT, .path = "state" },
        { .verb = OP_CAT, .path = "name" },
        { .verb = OP_CAT, .path = "version" },
        { .verb = OP_CAT, .path = "ctl", .offline = true },
        { .verb = OP_LS, .path = "block" },
        { .verb = OP_LS, .path = "block/NVME1/inserted" },
        { .verb = OP_CAT, .path = "block/NVME1/inserted/image/virtual-size" },
        { .verb = OP_CAT, .path = "block/NVME1/status" },
        { .verb = OP_LINK, .path = "block/NVME1/device" },
        { .verb = OP_LINK, .path = "block/virtio0/qom" },
        { .verb = OP_LS, .path = "cpus" },
        { .verb = OP_CAT, .path = "cpus/1/props/core-id" },
        { .verb = OP_CAT, .path = "memory/dimm1/data/size" },
        { .verb = OP_LS, .path = "devices" },
        { .verb = OP_LS, .path = "devices/nv0" },
        { .verb = OP_CAT, .path = "devices/nv0/status" },
        { .verb = OP_CAT, .path = "devices/nv0/serial" },
        { .verb = OP_CAT, .path = "devices/nv0/driver" },
};

static const struct op more_ops[] = {
        { .verb = OP_LS, .path = "query" },
        { .verb = OP_CAT, .path = "query/status" },
        { .verb = OP_CAT, .path = "query/unstable/jit" },
        { .verb = OP_CAT, .path = "cmd/balloon" },
        { .verb = OP_ASK, .path = "cmd/balloon", .text = "value=1G" },
        { .verb = OP_ECHO, .path = "cmd/balloon", .text = "{\"value\": 5}" },
        { .verb = OP_CAT, .path = "schema/events/STOP" },
        { .verb = OP_ECHO, .path = "types/list", .text = "" },
        { .verb = OP_ECHO, .path = "types/nvme", .text = "" },
        { .verb = OP_LS, .path = "qom/machine/peripheral" },
        { .verb = OP_CAT, .path = "qom/machine/peripheral/nv0/serial" },
        { .verb = OP_LINK, .path = "qom/machine/peripheral/nv0/link" },
        { .verb = OP_ECHO, .path = "qom/machine/peripheral/nv0/serial", .text = "x" },
        { .verb = OP_CAT, .path = "hmp", .offline = true },
        { .verb = OP_ASK, .path = "hmp", .text = "info status" },
        { .verb = OP_ASK,
          .path = "qmp",
          .text = "{\"execute\":\"query-status\",\"id\":1}{\"execute\":\"query-name\"}{\"execute\":\"query-uuid\"}" },
        { .verb = OP_ASK, .path = "qmp", .text = "{\"exec-oob\":\"query-yank\",\"id\":[]}" },
};

static const struct op writes[] = {
        { .verb = OP_ECHO, .path = "ctl", .text = "stop" },
        { .verb = OP_ECHO, .path = "ctl", .text = "cont" },
        { .verb = OP_ECHO, .path = "ctl", .text = "reset" },
        { .verb = OP_ECHO, .path = "block/NVME1/size", .text = "40G" },
        { .verb = OP_ASK, .path = "block/NVME1/size", .text = "80G explain" },
        { .verb = OP_ECHO, .path = "memory/dimm1/remove", .text = "1" },
        { .verb = OP_ECHO, .path = "block/virtio0/remove", .text = "nowait" },
        { .verb = OP_ECHO, .path = "block/NVME1/remove", .text = "1" },
        { .verb = OP_ECHO, .path = "cpus/1/remove", .text = "nowait" },
};

static const struct op herds[] = {
        { .verb = OP_HERD,
          .path = "status state name uuid version block/NVME1/status block/virtio0/inserted/ro cpus/1/status "
                  "memory/dimm1/data/size devices/nv0/serial devices/nv0/status query/unstable/jit query/block "
                  "query/status "
                  "qom/machine/peripheral/nv0/serial hmp=help ctl=stop cmd/balloon=value=1" },
        { .verb = OP_CAT, .path = "status" },
};

/* With the schema of a real QEMU, a reply of 200 KB. */
static const struct op recorded_ops[] = {
        { .verb = OP_LS, .path = "query" },
        { .verb = OP_LS, .path = "cmd" },
        { .verb = OP_CAT, .path = "cmd/blockdev-add" },
        { .verb = OP_ECHO, .path = "cmd/balloon", .text = "value=1M" },
};

static const struct scenario scenarios[] = {
        { "the tree", ops, ARRAY_SIZE(ops), setup, begin, NULL, NULL },
        { "introspection and commands", more_ops, ARRAY_SIZE(more_ops), setup, begin, NULL, NULL },
        { "verbs and removals", writes, ARRAY_SIZE(writes), setup, begin, NULL, NULL },
        { "the recorded schema", recorded_ops, ARRAY_SIZE(recorded_ops), setup_recorded, begin, NULL, NULL },
        { "many at once", herds, ARRAY_SIZE(herds), setup, begin, NULL, NULL },
};

START_TEST(any_fault_at_each_message)
{
        const struct scenario *scenario = &scenarios[_i];

        faults_up(scenario);
        for (size_t i = 0; i < scenario->n_ops; i++)
                ck_assert_msg(faults_result(i)->error == 0 || streq(scenario->ops[i].path, "memory/dimm1/remove"),
                              "%s: %s", scenario->ops[i].path, strerror(-faults_result(i)->error));
        faults_try_all(AT_HANDSHAKE, FAULTS_HANDSHAKE);
        faults_try_all(AT_MESSAGE, faults_n_messages());
        faults_down();
}
END_TEST

/* At the greeting, the negotiation, a reply that somebody waits for, and in the midst of many. */
START_TEST(any_large_fault_at_a_few_messages)
{
        static const struct {
                const struct scenario *scenario;
                enum fault_where where;
                size_t at;
        } places[] = {
                { &scenarios[0], AT_HANDSHAKE, 0 },
                { &scenarios[0], AT_HANDSHAKE, 1 },
                { &scenarios[2], AT_MESSAGE, 1 },
                { &scenarios[4], AT_MESSAGE, 12 },
        };

        for (size_t i = 0; i < n_fault_kinds; i++) {
                struct fault fault = { &fault_kinds[i], places[_i].where, places[_i].at };

                if (fault_kinds[i].size != SIZE_LARGE)
                        continue;
                faults_up(places[_i].scenario);
                if (faults_try_always())
                        faults_case(&fault);
                faults_down();
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(any_fault_at_each_message, ARRAY_SIZE(scenarios)),
                TEST_EACH(any_large_fault_at_a_few_messages, 4),
        };
        int r;

        faults_begin(STRIDE);
        r = test_main("faults_tree", tests, ARRAY_SIZE(tests), NULL, NULL);
        return faults_end(LEAST) ? r : EXIT_FAILURE;
}
