#include "qmp/errors.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "tests/lib/fake_qemu.h"
#include "tests/lib/test.h"
#include "qmp/message.h"

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

        /* the cause that QEMU adds */
        { GENERIC, "Could not create '/nonexistent/x.qcow2': No such file or directory", ENOENT },
        { GENERIC, "Could not open '/nonexistent': No such file or directory", ENOENT },
        { GENERIC, "Could not open '/nonexistent/x': No such file or directory", ENOENT },
        { GENERIC, "Could not open backing file: Could not open '/nonexistent/x': No such file or directory",
          ENOENT },
        { GENERIC, "failed to open file '/nonexistent/a.ppm': No such file or directory", ENOENT },
        { GENERIC, "Could not open '/root/x': Permission denied", EACCES },
        { GENERIC, "Could not open '/sys/x': Read-only file system", EROFS },
        { GENERIC, "Could not open '/tmp': Is a directory", EISDIR },
        { GENERIC, "Failed to grow the L1 table: File too large", EFBIG },
        { GENERIC, "Could not write to '/dev/full': No space left on device", ENOSPC },
        { GENERIC, "cannot set up guest memory 'm5': Cannot allocate memory", ENOMEM },
        { GENERIC, "can't open backing store /dev/hugepages for guest RAM: No such file or directory", ENOENT },
        { GENERIC, "could not get blockdev size: No medium found", ENOMEDIUM },
        { GENERIC, "Failed to connect to 'localhost:10809': Connection refused", ECONNREFUSED },
        { GENERIC, "Failed to bind socket to /run/x: Address already in use", EADDRINUSE },
        { GENERIC, "could not configure /dev/net/tun (tap0): Operation not permitted", EPERM },
        { GENERIC, "Failed to lock byte 100: Resource temporarily unavailable", EBUSY },
        { GENERIC, "Could not open 'x': Input/output error", EIO },
        { GENERIC, "x: Operation not supported", EOPNOTSUPP },
        { GENERIC, "Unable to read secret: Failed to open file \u201cx\u201d: No such file or directory", ENOENT },
        /* … but for those that mean something else when a file system gives them */
        { GENERIC, "x: Function not implemented", EOPNOTSUPP },
        { GENERIC, "Failed to connect to '10.0.0.1:1': Connection timed out", EHOSTUNREACH },
        { GENERIC, "Failed to connect to '10.0.0.1:1': Host is down", EHOSTUNREACH },
        { GENERIC, "x: Interrupted system call", EIO },
        { GENERIC, "x: Operation canceled", EIO },
        { GENERIC, "x: Transport endpoint is not connected", EIO },
        { GENERIC, "x: Software caused connection abort", EIO },
        { GENERIC, "x: Stale file handle", EIO },
        { GENERIC, "x: Success", EIO },
        { GENERIC, "x: Unknown error 41", EIO },
        { GENERIC, "No such file or directory", ENODEV }, /* no cause of anything */

        /* what was quoted does not decide */
        { GENERIC, "Could not open 'not found': Permission denied", EACCES },
        { GENERIC, "Could not open 'x: Permission denied': No such file or directory", ENOENT },
        { GENERIC, "Could not open 'is in use'", EIO },
        { GENERIC, "Could not open 'already exists'", EIO },
        { GENERIC, "Could not open 'x: Permission denied'", EIO },
        { GENERIC, "Could not open 'it' is in use, it's'", EIO },
        { GENERIC, "Could not open 'no free slots'", EIO },
        { GENERIC, "chardev \"is in use\" not found", ENODEV },
        { GENERIC, "Bitmap already exists: x: No such file or directory", EEXIST },

        /* the human monitor's */
        { GENERIC, "Error: Device 'x' not found", ENODEV },
        { GENERIC, "unknown command: 'nosuch'", EOPNOTSUPP },

        /* other classes of messages */
        { GENERIC, "The feature 'query-hotpluggable-cpus' is not enabled", EOPNOTSUPP },
        { GENERIC, "serial property not set", EINVAL },
        { GENERIC, "'memdev' property is not set", EINVAL },
        { GENERIC, "drive property not set", EINVAL },
        { GENERIC, "not enough space, currently 0x10000000 in use of total space for memory devices 0x20000000",
          ENOSPC },
        { GENERIC,
          "could not find position in guest address space for memory device - memory fragmented due to alignments",
          ENOSPC },
        { GENERIC, "no slots where allocated, please specify the 'slots' option", ENOSPC },
        { GENERIC, "PCI: slot 1 function 0 not available for nvme, in use by virtio-net-pci,id=n0", EBUSY },
        { GENERIC, "memory devices (e.g. for memory hotplug) are not enabled, please specify the maxmem option",
          EOPNOTSUPP },
        { GENERIC, "Device 'fd0' has no medium", ENOMEDIUM },
        { GENERIC, "Device needs media, but drive is empty", ENOMEDIUM },
        { GENERIC, "address resolution failed for nosuch:1: Name or service not known", EHOSTUNREACH },
        { GENERIC, "Block node is read-only", EACCES },
        { GENERIC, "Device does not have a block device backend", ENODEV },
        { GENERIC, "There is no console to take a screendump from", ENODEV },
        { GENERIC, "Image is not in qcow2 format", EINVAL },
        { GENERIC, "Unknown driver 'nosuch'", EINVAL },
        { GENERIC, "'nosuch' is not a valid device model name", EINVAL },
        { GENERIC, "Source and target image have different sizes", EINVAL },
        { GENERIC, "No file descriptor supplied via SCM_RIGHTS", EINVAL },
        { GENERIC, "Attempt to set property 'serial' on device 'nv0' (type 'nvme') after it was realized", EBUSY },
        { GENERIC, "Job is already paused", EBUSY },
        { GENERIC, "Job 'j' in state 'running' cannot accept command verb 'dismiss'", EBUSY },
        { GENERIC, "There's a migration process in progress", EBUSY },
        { GENERIC, "Unable to wake up: guest is not in suspended state", EBUSY },
        { GENERIC, "Internal profiler not compiled", EOPNOTSUPP },
        { GENERIC, "KVM not enabled", EOPNOTSUPP },
        { GENERIC, "No EPC regions defined, SGX not available", EOPNOTSUPP },
        { GENERIC, "SEV launch measurement is not available", EOPNOTSUPP },
        { GENERIC, "SGX is not enabled in KVM", EOPNOTSUPP },
        { GENERIC, "USB support not enabled", EOPNOTSUPP },

        /* all others */
        { GENERIC, "", EIO },
        { GENERIC, ": ", EIO },
        { GENERIC, "An IO error has occurred", EIO },
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

/*
 * All formats of messages of QEMU 7.2 that a command can get on a PC, from its sources (numbers are 7 there, and what
 * ends with an errno's text ends with ENOENT's), each with what it is to be.
 */
static void each_message(void (*check)(const char *format, int error))
{
        _cleanup_(qmp_freep) char *text = test_data("messages.tsv", NULL);
        size_t n = 0;

        for (char *line = text, *next; *line; line = next) {
                char *tab = strchr(line, '\t'), *end = strchr(line, '\n');
                int error = 0;

                ck_assert(tab && end && tab < end);
                *tab = *end = '\0';
                next = end + 1;
                for (int e = 1; e < 200 && error == 0; e++)
                        if (strerrorname_np(e) && streq(strerrorname_np(e), line))
                                error = e;
                ck_assert_msg(error != 0, "no errno: %s", line);
                check(tab + 1, error);
                n++;
        }
        ck_assert_uint_gt(n, 2500);
}

/* The format with a string in the place of each %s: of those in quotes, or of the others. */
static char *format_message(const char *format, const char *quoted, const char *other)
{
        char *message = NULL;
        size_t size;
        FILE *out = open_memstream(&message, &size);

        for (const char *s = format; *s; s++) {
                if (s[0] != '%' || s[1] != 's') {
                        fputc(*s, out);
                        continue;
                }
                fputs(s > format && (s[-1] == '\'' || s[-1] == '"') && s[2] == s[-1] ? quoted : other, out);
                s++;
        }
        fclose(out);
        return message;
}

static void check_message(const char *format, const char *quoted, int error)
{
        _cleanup_(qmp_freep) char *message = format_message(format, quoted, "abc1");
        int is = qmp_error_to_errno(GENERIC, message);

        if (is != error)
                ck_abort_msg("'%s' is %s, not %s", message, strerrorname_np(is), strerrorname_np(error));
}

static void check_plain(const char *format, int error)
{
        check_message(format, "abc1", error);
}

static void check_hostile(const char *format, int error)
{
        static const char *const names[] = { "not found",        "is in use",     "already exists",
                                             "x' is in use",     "must be",       "x: Permission denied",
                                             "does not support", "no free slots", "" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                check_message(format, names[i], error);
}

START_TEST(messages_of_qemu)
{
        each_message(check_plain);
}
END_TEST

START_TEST(names_that_users_gave_do_not_decide)
{
        each_message(check_hostile);
}
END_TEST

START_TEST(endless_words_are_cut)
{
        char words[3 * QMP_WORDS_MAX];

        memset(words, 'x', sizeof(words) - 1);
        words[sizeof(words) - 1] = '\0';
        ck_assert_int_eq(qmp_error_to_errno(GENERIC, words), EIO);
        memcpy(words, "Duplicate ", 10);
        ck_assert_int_eq(qmp_error_to_errno(GENERIC, words), EEXIST);
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
                TEST(messages_of_qemu),
                TEST(names_that_users_gave_do_not_decide),
                TEST(endless_words_are_cut),
                TEST(class_wins_over_words),
        };

        return test_main("errors", tests, ARRAY_SIZE(tests), NULL, NULL);
}
