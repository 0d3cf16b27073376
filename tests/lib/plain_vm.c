#include "tests/lib/rig.h"

static char *keep(char *text)
{
        static char *kept[16];
        static size_t n;
        char **place = &kept[n++ % ARRAY_SIZE(kept)];

        free(*place);
        *place = text;
        return text;
}

const char *rig_drive(const char *device, const char *qdev)
{
        char *text;

        if (qdev)
                CHECK(asprintf(&text,
                               "{\"device\": \"%s\", \"locked\": false, \"removable\": false, \"qdev\": \"%s\", "
                               "\"inserted\": {\"image\": {\"virtual-size\": 42949672960, \"filename\": "
                               "\"a.img\"}, \"node-name\": \"#block1\", \"ro\": false}, \"type\": \"unknown\"}",
                               device, qdev) >= 0);
        else
                CHECK(asprintf(&text,
                               "{\"device\": \"%s\", \"locked\": false, \"removable\": true, \"inserted\": "
                               "{\"node-name\": \"#block1\", \"ro\": false}, \"type\": \"unknown\"}",
                               device) >= 0);
        return keep(text);
}

const char *rig_list(const char *a, const char *b, const char *c)
{
        char *text;

        CHECK(asprintf(&text, "[%s%s%s%s%s]", a ? a : "", b ? ", " : "", b ? b : "", c ? ", " : "", c ? c : "") >= 0);
        return keep(text);
}

static char *qom_key(const char *path, const char *property)
{
        char *key;

        CHECK(asprintf(&key, "%s:%s%s%s", property ? "qom-get" : "qom-list", path, property ? ":" : "",
                       property ? property : "") > 0);
        return key;
}

void rig_qom(const char *path, const char *property, const char *json)
{
        _cleanup_(qmp_freep) char *key = qom_key(path, property);

        if (json)
                fake_on(rig.fake, key, json);
        else
                fake_off(rig.fake, key);
}

void rig_qom_error(const char *path, const char *property, const char *error_class, const char *desc)
{
        _cleanup_(qmp_freep) char *key = qom_key(path, property);

        fake_on_error(rig.fake, key, error_class, desc);
}

/* What the table does not have. */
static void answer_unknown(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        _cleanup_(qmp_freep) char *text = NULL, *list = NULL;
        struct json_object *path = NULL, *property = NULL;
        const char *p;

        (void)userdata;
        CHECK(json_object_object_get_ex(command->arguments, "path", &path));
        (void)json_object_object_get_ex(command->arguments, "property", &property);
        p = json_object_get_string(path);
        list = qom_key(p, NULL);
        if (property && fake_knows(fake, list)) {
                CHECK(asprintf(&text, "Property '%s.%s' not found", p, json_object_get_string(property)) >= 0);
                fake_error(fake, command, "GenericError", text);
        } else {
                CHECK(asprintf(&text, "Device '%s' not found", p) >= 0);
                fake_error(fake, command, "DeviceNotFound", text);
        }
}

void rig_plain_vm(void)
{
        static const char devices[] =
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"nv0\", \"type\": \"child<nvme>\"}, "
                "{\"name\": \"dimm1\", \"type\": \"child<pc-dimm>\"}, "
                "{\"name\": \"cpu1\", \"type\": \"child<max-x86_64-cpu>\"}]";
        static const char anonymous[] = "[{\"name\": \"type\", \"type\": \"string\"}, "
                                        "{\"name\": \"device[0]\", \"type\": \"child<virtio-blk-pci>\"}]";
        static const char properties[] =
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"drive\", \"type\": \"str\"}, "
                "{\"name\": \"serial\", \"type\": \"str\"}, {\"name\": \"addr\", \"type\": \"int32\"}, "
                "{\"name\": \"nvme[0]\", \"type\": \"child<memory-region>\"}]";
        struct fake_qemu *f = rig.fake;

        fake_on(f, "query-status", "{\"status\": \"running\", \"singlestep\": false, \"running\": true}");
        fake_on(f, "query-name", "{\"name\": \"vm1\"}");
        fake_on(f, "query-uuid", "{\"UUID\": \"00000000-0000-0000-0000-00000000000a\"}");
        fake_on(f, "query-version", FAKE_VERSION);
        fake_on(f, "query-block",
                rig_list(rig_drive("NVME1", "nv0"),
                         rig_drive("virtio0", "/machine/peripheral-anon/device[0]/virtio-backend"), NULL));
        fake_on(f, "query-cpus-fast",
                "[{\"thread-id\": 100, \"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 0}, "
                "\"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0, \"target\": \"x86_64\"}, "
                "{\"thread-id\": 101, \"props\": {\"core-id\": 1, \"thread-id\": 0, \"socket-id\": 0}, "
                "\"qom-path\": \"/machine/peripheral/cpu1\", \"cpu-index\": 1, \"target\": \"x86_64\"}]");
        fake_on(f, "query-memory-devices",
                "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/mem1\", \"hotplugged\": true, \"addr\": "
                "4294967296, \"hotpluggable\": true, \"size\": 134217728, \"slot\": 0, \"node\": 0, \"id\": "
                "\"dimm1\"}}]");
        fake_on(f, "query-hotpluggable-cpus",
                "[{\"props\": {\"core-id\": 1}, \"vcpus-count\": 1, \"qom-path\": \"/machine/peripheral/cpu1\", "
                "\"type\": "
                "\"max-x86_64-cpu\"}, {\"props\": {\"core-id\": 2}, \"vcpus-count\": 1, \"type\": "
                "\"max-x86_64-cpu\"}]");
        fake_on(f, "device_del", "{}");
        fake_on_call(f, "qom-list", answer_unknown, NULL);
        fake_on_call(f, "qom-get", answer_unknown, NULL);
        rig_qom("/machine/peripheral", NULL, devices);
        rig_qom("/machine/peripheral-anon", NULL, anonymous);
        rig_qom("/machine/peripheral/nv0", NULL, properties);
        rig_qom("/machine/peripheral/nv0", "type", "\"nvme\"");
        rig_qom("/machine/peripheral/nv0", "drive", "\"NVME1\"");
        rig_qom("/machine/peripheral/nv0", "serial", "\"abc\"");
        rig_qom("/machine/peripheral/nv0", "addr", "32");
        rig_qom("/machine/peripheral/dimm1", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        rig_qom("/machine/peripheral/cpu1", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        rig_qom("/machine/peripheral-anon/device[0]", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        rig_qom("/machine/peripheral-anon/device[0]/virtio-backend", NULL, "[]");
        rig_qom("/machine/peripheral-anon/device[0]/virtio-backend", "drive", "\"virtio0\"");
}
