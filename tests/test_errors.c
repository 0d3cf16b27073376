#include "qmp/errors.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "helper_fake_qemu.h"

#define GENERIC "GenericError"

/* What QEMU 7.2 says, and the errno that the users get. All recorded errors of tests/data must be here. */
static const struct {
        const char *error_class, *desc;
        int error;
} errors[] = {
        /* gone, or never there */
        { "DeviceNotFound", "Device 'x' not found", ENODEV },
        { "DeviceNotFound", "Device '/machine/peripheral/vb0/virtio-backend' not found", ENODEV },
        { "DeviceNotActive", "No balloon device has been activated", ENODEV },
        { "DeviceNotActive", "Block job 'j1' not found", ENODEV },
        { GENERIC, "object 'm3' not found", ENODEV },
        { GENERIC, "Chardev 'c1' not found", ENODEV },
        { GENERIC, "Job not found", ENODEV },
        { GENERIC, "File descriptor named 'f1' not found", ENODEV },
        { GENERIC, "Failed to find node with node-name='node-bd'", ENODEV },
        { GENERIC, "Cannot find device='nosuch' nor node-name='nosuch'", ENODEV },
        { GENERIC, "Cannot find device='nosuch' nor node-name=''", ENODEV },
        { GENERIC, "VM Generation ID device not found", ENODEV },

        /* can't be done, with this device or at all */
        { "CommandNotFound", "The command nosuch has not been found", EOPNOTSUPP },
        { "CommandNotFound", "The command no-such has not been found", EOPNOTSUPP },
        { "CommandNotFound", "Capabilities negotiation is already complete, command ignored", EOPNOTSUPP },
        { "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'", EOPNOTSUPP },
        { "KVMMissingCap", "Using KVM without synchronous MMU, balloon unavailable", EOPNOTSUPP },
        { GENERIC, "Bus 'ide.1' does not support hotplugging", EOPNOTSUPP },
        { GENERIC, "Bus 'pcie.0' does not support hotplugging", EOPNOTSUPP },
        { GENERIC, "Device 'PIIX3' does not support hotplugging", EOPNOTSUPP },
        { GENERIC, "Boot CPU is unpluggable", EOPNOTSUPP },
        { GENERIC, "Property cannot be set after initialization", EBUSY },
        { GENERIC, "cannot change property 'size' of memory-backend-ram.", EBUSY },
        { GENERIC, "Property 'filename' can no longer be set", EBUSY },
        { GENERIC, "this feature or command is not currently supported", EOPNOTSUPP },
        { GENERIC, "poll-max-ns value must be in range [0, 9223372036854775807]", EINVAL },
        { GENERIC, "Failed to get shared \"write\" lock", EBUSY },
        { GENERIC, "Failed to get \"write\" lock", EBUSY },
        { GENERIC, "Permission conflict on node '#block125': permissions 'resize' are both required by …", EBUSY },
        { GENERIC, "acpi: device unplug request for not supported device type: max-x86_64-cpu", EOPNOTSUPP },
        { GENERIC, "virtio based memory devices cannot be unplugged.", EOPNOTSUPP },
        { GENERIC, "nvdimm device hot unplug is not supported yet.", EOPNOTSUPP },
        { GENERIC, "/machine is not a hotpluggable device", EOPNOTSUPP },
        { GENERIC, "/machine/unattached is not a hotpluggable device", EOPNOTSUPP },
        { GENERIC, " is not a hotpluggable device", EOPNOTSUPP },
        { GENERIC, "Device 'ide0-hd0' is not removable", EOPNOTSUPP },

        /* not now */
        { GENERIC, "Device nv0 is already in the process of unplug", EBUSY },
        { GENERIC, "Device /machine/peripheral/nv0 is already in the process of unplug", EBUSY },
        { GENERIC, "Hot-unplug failed: guest is busy (power indicator blinking)", EBUSY },
        { GENERIC, "object 'nvm1' is in use, can not be deleted", EBUSY },
        { GENERIC, "Node node-vb is in use", EBUSY },
        { GENERIC, "Node #block286 is in use", EBUSY },
        { GENERIC, "Node 'drv0' is busy: block device is in use by block job: mirror", EBUSY },
        { GENERIC, "Drive 'ok0' is already in use by another device", EBUSY },
        { GENERIC, "Drive 'empty0' is already in use by another device", EBUSY },
        { GENERIC, "Chardev 'ser0' is busy", EBUSY },
        { GENERIC, "Chardev 'compat_monitor0' is busy", EBUSY },
        { GENERIC, "can't use already busy memdev: m1", EBUSY },
        { GENERIC, "There is a dump in process, please wait.", EBUSY },
        { GENERIC, "Device 'ide0-cd0' is locked and force was not specified, wait for tray to open and try again",
          EBUSY },
        { GENERIC, "device_add not allowed while migrating", EAGAIN },
        { GENERIC, "device_del not allowed while migrating", EAGAIN },

        /* a name that is taken */
        { GENERIC, "Duplicate device ID 'vb0'", EEXIST },
        { GENERIC, "Duplicate ID 'n1'", EEXIST },
        { GENERIC, "Duplicate nodes with node-name='x'", EEXIST },
        { GENERIC, "Chardev with id 'c1' already exists", EEXIST },
        { GENERIC, "attempt to add duplicate property 'm1' to object (type 'container')", EEXIST },
        { GENERIC, "Job ID 'l' already in use", EEXIST },

        /* no room */
        { GENERIC, "no free slots available", ENOSPC },
        { GENERIC, "PCI: no slot/function available for virtio-net-pci, all in use or reserved", ENOSPC },

        /* what was written is wrong */
        { GENERIC, "Parameter 'null' does not accept value 'bogus'", EINVAL },
        { GENERIC, "Parameter 'type' does not accept value 'bogus'", EINVAL },
        { GENERIC, "Parameter 'format' does not accept value 'jpg'", EINVAL },
        { GENERIC, "Parameter 'x' is unexpected", EINVAL },
        { GENERIC, "Parameter 'qom-type' is missing", EINVAL },
        { GENERIC, "Parameter 'target' expects a size", EINVAL },
        { GENERIC, "Parameter 'size' expects uint64", EINVAL },
        { GENERIC, "Parameter 'size' expects a >0 size", EINVAL },
        { GENERIC, "Parameter 'uri' expects a valid migration protocol", EINVAL },
        { GENERIC, "Parameter 'fdname' expects a name not starting with a digit", EINVAL },
        { GENERIC, "Invalid parameter 'protocol'", EINVAL },
        { GENERIC, "Invalid parameter type for 'realized', expected: boolean", EINVAL },
        { GENERIC, "Invalid addr 0x0000000000000000/size 16 specified", EINVAL },
        { GENERIC, "invalid slot number 9, valid range is [0-1]", EINVAL },
        { GENERIC, "address must be aligned to 0x200000 bytes", EINVAL },
        { GENERIC, "property 'size' of memory-backend-ram doesn't take value '0'", EINVAL },
        { GENERIC, "Property 'virtio-net-device.netdev' can't find value 'nosuch'", EINVAL },
        { GENERIC, "Property 'nvme.nosuch' not found", EINVAL },
        { GENERIC, "Property 'pc-i440fx-7.2-machine.accel' not found", EINVAL },
        { GENERIC, "Path 'nv0' is ambiguous", EINVAL },
        { GENERIC, "Path '' is ambiguous", EINVAL },
        { GENERIC, "'requested-size' has to be multiples of 'block-size' (0x200000)", EINVAL },
        { GENERIC, "'requested-size' cannot exceed the memory backend size(0x20000000)", EINVAL },
        { GENERIC, "'DIMM property node has value 7' which exceeds the number of numa nodes: 1", EINVAL },
        { GENERIC, "QMP input member 'bogus' is unexpected", EINVAL },
        { GENERIC, "QMP input member 'exec' is unexpected", EINVAL },
        { GENERIC, "QMP input member 'exec-oob' is unexpected", EINVAL },
        { GENERIC, "QMP input member 'arguments' must be an object", EINVAL },
        { GENERIC, "QMP input member 'execute' must be a string", EINVAL },
        { GENERIC, "QMP input must be a JSON object", EINVAL },
        { GENERIC, "QMP input lacks member 'execute'", EINVAL },
        { GENERIC, "JSON parse error, expecting value", EINVAL },
        { GENERIC, "JSON parse error, duplicate key", EINVAL },
        { GENERIC, "JSON nesting depth limit exceeded", EINVAL },
        { GENERIC, "JSON token count limit exceeded", EINVAL },

        /* QOM's permissions; design.md names no errno for them */
        { GENERIC, "Property 'nvme.type' is not writable", EACCES },
        { GENERIC, "Insufficient permission to perform this operation", EACCES },

        /* all others */
        { GENERIC, "", EIO },
        { GENERIC, "Attempt to set property 'serial' on device 'nv0' (type 'nvme') after it was realized", EBUSY },
        { GENERIC, "Could not create '/nonexistent/x.qcow2': No such file or directory", EIO },
        { GENERIC, "Could not open '/nonexistent': No such file or directory", EIO },
        { GENERIC, "Could not open '/nonexistent/x': No such file or directory", EIO },
        { GENERIC, "Device does not have a block device backend", EIO },
        { GENERIC, "Failed to grow the L1 table: File too large", EIO },
        { GENERIC, "Internal profiler not compiled", EIO },
        { GENERIC, "Job is already paused", EIO },
        { GENERIC, "KVM not enabled", EIO },
        { GENERIC, "No EPC regions defined, SGX not available", EIO },
        { GENERIC, "No file descriptor supplied via SCM_RIGHTS", EIO },
        { GENERIC, "SEV launch measurement is not available", EIO },
        { GENERIC, "SGX is not enabled in KVM", EIO },
        { GENERIC, "Source and target image have different sizes", EIO },
        { GENERIC, "There is no console to take a screendump from", EIO },
        { GENERIC, "There's a migration process in progress", EIO },
        { GENERIC, "USB support not enabled", EIO },
        { GENERIC, "Unable to wake up: guest is not in suspended state", EIO },
        { GENERIC, "cannot set up guest memory 'm5': Cannot allocate memory", EIO },
        { GENERIC, "could not get blockdev size: No medium found", EIO },
        { GENERIC, "failed to open file '/nonexistent/a.ppm': No such file or directory", EIO },
        { "NoSuchClass", "whatever", EIO },
        { "", "", EIO },
};

START_TEST(error_has_its_errno)
{
        int error = qmp_error_to_errno(errors[_i].error_class, errors[_i].desc);

        ck_assert_msg(error == errors[_i].error, "'%s' is %s, not %s", errors[_i].desc, strerrorname_np(error),
                      strerrorname_np(errors[_i].error));
}
END_TEST

/* The same text but for the names in it: words with a quote or a digit. */
static bool same_kind(const char *a, const char *b)
{
        for (;;) {
                size_t n = strcspn(a, " "), m = strcspn(b, " ");

                if ((n != m || strncmp(a, b, n) != 0) &&
                    (strcspn(a, "'0123456789") >= n || strcspn(b, "'0123456789") >= m))
                        return false;
                a += n;
                b += m;
                if (!*a || !*b)
                        return *a == *b;
                a++;
                b++;
        }
}

static void check_record(const char *name, size_t *n_errors)
{
        struct fake_line *lines;
        size_t n;

        lines = fake_read_record(name, &n);
        for (size_t i = 0; i < n; i++) {
                struct json_object *error, *class, *desc;
                bool known = false;

                if (lines[i].direction != 'S' || !json_object_object_get_ex(lines[i].json, "error", &error))
                        continue;
                class = json_object_object_get(error, "class");
                desc = json_object_object_get(error, "desc");
                (*n_errors)++;
                for (size_t j = 0; j < ARRAY_SIZE(errors) && !known; j++) {
                        if (!streq(errors[j].error_class, json_object_get_string(class)) ||
                            !same_kind(errors[j].desc, json_object_get_string(desc)))
                                continue;
                        known = qmp_error_to_errno(json_object_get_string(class), json_object_get_string(desc)) ==
                                errors[j].error;
                }
                ck_assert_msg(known || startswith(json_object_get_string(desc), "JSON parse error"),
                              "%s: not in the table, or of another errno: %s", name, lines[i].text);
        }
        fake_free_record(lines, n);
}

START_TEST(every_recorded_error_is_known)
{
        DIR *dir = opendir(TEST_DATA);
        struct dirent *entry;
        size_t n_errors = 0;

        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir))) {
                const char *dot = strrchr(entry->d_name, '.');

                if (dot && streq(dot, ".txt"))
                        check_record(entry->d_name, &n_errors);
        }
        closedir(dir);
        ck_assert_uint_gt(n_errors, 150);
}
END_TEST

START_TEST(class_wins_over_words)
{
        ck_assert_int_eq(qmp_error_to_errno("DeviceNotFound", "Device 'is busy' not found"), ENODEV);
        ck_assert_int_eq(qmp_error_to_errno("CommandNotFound", "Parameter 'x' is missing"), EOPNOTSUPP);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(error_has_its_errno, ARRAY_SIZE(errors)),
                TEST(every_recorded_error_is_known),
                TEST(class_wins_over_words),
        };

        return test_main("errors", tests, ARRAY_SIZE(tests), NULL, NULL);
}
