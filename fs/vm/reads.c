#include "fs/vm/reads.h"

#include <stdlib.h>
#include <string.h>

#include "qmp/util.h"

// clang-format off
const struct reads_command reads_commands[] = {
        { "device-list-properties", false,
          "creates a device of that type, and aborts QEMU if a part of it is missing" },
        { "qom-get", true, "calls the getter of one property; no getter creates or opens anything" },
        { "qom-list", true, "walks an object's properties" },
        { "qom-list-get", true, "reads properties by the getters that qom-get uses" },
        { "qom-list-properties", false, "creates an object of that type" },
        { "qom-list-types", false, "loads all modules of QEMU" },
        { "query-acpi-ospm-status", true, "reads the guest's last status of its ACPI slots" },
        { "query-audiodevs", true, "copies the configuration" },
        { "query-balloon", true, "reads a variable of the balloon device" },
        { "query-block", true, "walks the block graph, and queries the open files for their size" },
        { "query-block-exports", true, "walks a list" },
        { "query-block-jobs", true, "walks a list" },
        { "query-blockstats", true, "reads counters" },
        { "query-chardev", true, "walks a list" },
        { "query-chardev-backends", true, "walks classes, which exist since QEMU's start" },
        { "query-colo-status", true, "reads variables" },
        { "query-command-line-options", true, "copies static tables" },
        { "query-commands", true, "copies a static table" },
        { "query-cpu-definitions", false, "creates a CPU of each model (x86, s390x)" },
        { "query-cpus-fast", true, "walks a list, and does not stop the vCPUs" },
        { "query-cryptodev", true, "walks a list" },
        { "query-current-machine", true, "reads a variable" },
        { "query-dirty-rate", true, "reads the last measurement, without starting one" },
        { "query-display-options", true, "copies the configuration" },
        { "query-dump", true, "reads the progress of a dump" },
        { "query-dump-guest-memory-capability", true, "copies a static list" },
        { "query-fdsets", true, "walks a list" },
        { "query-gic-capabilities", false, "opens /dev/kvm and creates a virtual machine (Arm)" },
        { "query-hotpluggable-cpus", true, "walks the list of slots" },
        { "query-hv-balloon-status-report", true, "reads the guest's last report" },
        { "query-iothreads", true, "walks a list" },
        { "query-jobs", true, "walks a list" },
        { "query-kvm", true, "reads variables" },
        { "query-machines", true, "walks classes, which exist since QEMU's start" },
        { "query-memdev", true, "reads the properties of memory backends" },
        { "query-memory-devices", true, "reads the properties of memory devices" },
        { "query-memory-size-summary", true, "adds up sizes" },
        { "query-mice", true, "walks a list" },
        { "query-migrate", true, "reads counters" },
        { "query-migrate-capabilities", true, "reads variables" },
        { "query-migrate-parameters", true, "copies the parameters" },
        { "query-migrationthreads", true, "walks a list" },
        { "query-name", true, "copies a string" },
        { "query-named-block-nodes", true, "walks the block graph, and queries the open files for their size" },
        { "query-pci", true, "reads the devices' configuration space, as kept by QEMU" },
        { "query-pr-managers", true, "walks a list" },
        { "query-qmp-schema", true, "copies a static table" },
        { "query-replay", true, "reads variables" },
        { "query-rx-filter", false, "arms the event NIC_RX_FILTER_CHANGED again, for which another client may wait" },
        { "query-s390x-cpu-polarization", true, "reads a variable" },
        { "query-sev", false,
          "treats any confidential guest as an SEV guest (QEMU 9.1 and later), which can abort QEMU" },
        { "query-sev-capabilities", false, "opens /dev/sev" },
        { "query-sev-launch-measure", true, "copies the measurement of the start" },
        { "query-sgx", true, "reads the machine's EPC sections" },
        { "query-sgx-capabilities", false, "opens /dev/sgx_vepc" },
        { "query-spice", true, "reads the server's state and its list of clients" },
        { "query-stats-schemas", false, "opens KVM's statistics" },
        { "query-status", true, "reads a variable" },
        { "query-target", true, "copies a constant" },
        { "query-tpm", true, "copies the configuration" },
        { "query-tpm-models", true, "walks classes, which exist since QEMU's start" },
        { "query-tpm-types", true, "finds classes by name, without loading modules" },
        { "query-uuid", true, "copies the UUID" },
        { "query-vcpu-dirty-limit", true, "reads limits" },
        { "query-version", true, "copies constants" },
        { "query-vm-generation-id", true, "copies the device's UUID" },
        { "query-vnc", true, "reads the server's state and its list of clients" },
        { "query-vnc-servers", false, "crashes QEMU 7.2 if the display device of a server was unplugged" },
        { "query-xen-replication-status", true, "reads the last error of the replication drivers" },
        { "query-yank", true, "walks a list" },
        { "x-query-interrupt-controllers", false,
          "runs code of each interrupt controller, which was not reviewed for all machines" },
        { "x-query-irq", true, "reads counters" },
        { "x-query-jit", true, "reads the translator's counters" },
        { "x-query-numa", true, "adds up sizes" },
        { "x-query-opcount", true, "reads counters" },
        { "x-query-profile", false, "resets the profiler's counters" },
        { "x-query-ramblock", true, "walks a list" },
        { "x-query-rdma", true, "reads counters" },
        { "x-query-roms", true, "walks a list" },
        { "x-query-usb", true, "walks a list" },
        { "x-query-virtio", false, "removes unrealized devices from QEMU's own list (7.2)" },
};
// clang-format on

const size_t n_reads_commands = ARRAY_SIZE(reads_commands);

static int compare(const void *name, const void *command)
{
        return strcmp(name, ((const struct reads_command *)command)->name);
}

static const struct reads_command *find(const char *name)
{
        return bsearch(name, reads_commands, n_reads_commands, sizeof(*reads_commands), compare);
}

bool reads_may_send(const char *name)
{
        const struct reads_command *command = find(name);

        return command && command->harmless;
}

const char *reads_why(const char *name)
{
        const struct reads_command *command = find(name);

        return command ? command->why : "is not known to be harmless";
}
