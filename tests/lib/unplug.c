#include "tests/lib/unplug.h"

struct k_file unplug_file;

uint64_t unplug_start(const char *path, const char *text)
{
        size_t n = rig_count("device_del");
        uint64_t write;

        unplug_file = rig_must_open(path, O_RDWR);
        write = k_send_write(&unplug_file, text, strlen(text));
        PUMP(rig.loop, rig_count("device_del") > n);
        SETTLE();
        return write;
}

void unplug_ost(const char *device, int source, int status, const char *slot, const char *type)
{
        char member[100] = "";

        if (device)
                snprintf(member, sizeof(member), "\"device\": \"%s\", ", device);
        rig_event("ACPI_DEVICE_OST",
                  "{\"info\": {%s\"source\": %d, \"status\": %d, \"slot\": \"%s\", \"slot-type\": \"%s\"}}", member,
                  source, status, slot, type);
        SETTLE();
}

void unplug_vanish(const char *path)
{
        rig_qom(path, NULL, NULL);
        rig_qom(path, "drive", NULL);
}
