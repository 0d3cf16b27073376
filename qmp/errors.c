/*
 * Maps QEMU's error descriptions to errnos. Descriptions quote user input, and a file called "is in use" must not
 * influence the result. So a pattern must match the whole description, with literal text at its beginning or end. A
 * pattern that is open at both ends is matched against the description without its quoted parts.
 */
#include "qmp/errors.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "qmp/message.h"

/* Matches any description that ends with ": " and the text of strerror(3), as made by error_setg_errno(). */
#define STRERROR (-1)

/* The largest errno in the kernel. */
#define ERRNO_MAX 4095

/*
 * The first matching row is used. "*" matches any text, including the empty text. A pattern that begins and ends with
 * "*" is matched outside of quotes. Collected from all calls of error_setg() in QEMU 7.2 that a command can reach on
 * a PC (tests/data/messages.tsv); all other descriptions are EIO.
 */
static const struct {
        int error;
        const char *pattern;
} table[] = {
        /* malformed requests, and rows that end with user input, which must not be mistaken for a cause */
        { EINVAL, "JSON parse error*" },
        { EINVAL, "JSON * limit exceeded" },
        { EINVAL, "QMP input *" },
        { EOPNOTSUPP, "unknown command: '*" }, /* HMP */
        { EEXIST, "Bitmap already exists: *" },
        { EINVAL, "Bitmap name too long: *" },
        { EEXIST, "Duplicate *" },
        { EEXIST, "There is already an instance of *" },
        { EEXIST, "virtio-serial-bus: A port already exists *" },
        { ENODEV, "Cannot find *" },
        { EBUSY, "can't use already *" }, /* busy memdev, used cryptodev backend */
        { EINVAL, "invalid object type: *" },
        { EINVAL, "invalid net client name: *" },
        { EINVAL, "invalid option name: *" },
        { EINVAL, "invalid parameter value: *" },
        { EINVAL, "Invalid interval length: *" },
        { EINVAL, "Invalid size *" },
        { EINVAL, "unknown migration protocol: *" },
        { EINVAL, "unsupported type name: *" },
        { EINVAL, "Unknown transport: *" },
        { EINVAL, "Unknown NFS parameter name: *" },
        { EINVAL, "Illegal value for NFS parameter: *" },
        { EINVAL, "Value for NFS parameter expected: *" },
        { EINVAL, "invalid URI *" },
        { EINVAL, "Failed to parse *" },
        { EBUSY, "Failed to lock byte *" }, /* of an image: EAGAIN to fcntl() */
        { EBUSY, "Failed to get shared \"*" },
        { EBUSY, "Failed to get \"*" },
        { EHOSTUNREACH, "address resolution failed for *" },
        { EHOSTUNREACH, "can't resolve host address *" },
        { EHOSTUNREACH, "could not resolve *" },

        { STRERROR, "" },

        /* not while a migration runs */
        { EAGAIN, "*_* not allowed while migrating" }, /* device_add, device_del */

        /* there is no room */
        { ENOSPC, "*no free slots*" },
        { ENOSPC, "*No free slots*" },
        { ENOSPC, "*no free memory slots*" },
        { ENOSPC, "*no more free *" },
        { ENOSPC, "no free *" },
        { ENOSPC, "no more on-board/default NIC slots available" },
        { ENOSPC, "PCI: no slot/function available for *" },
        { ENOSPC, "*not enough space*" },
        { ENOSPC, "*Not enough space*" },
        { ENOSPC, "*Insufficient space*" },
        { ENOSPC, "could not find position in guest address space for memory device*" },
        { ENOSPC, "can't add memory device*" }, /* device too big, outside of the range */
        { ENOSPC, "no slots where allocated, please specify the 'slots' option" },
        { ENOSPC, "Bus '*' is full" },
        { ENOSPC, "* address is full" },
        { ENOSPC, "usb-ccid card already full*" },
        { ENOSPC, "*no free ports" },
        { ENOSPC, "*all keyslots are in use" },
        { ENOSPC, "Can't create * unit *, bus supports only * units" },
        { ENOSPC, "Maximum number of * reached" },
        { ENOSPC, "Max number of * reached: *" },
        { ENOSPC, "*aximum port limit for this device reached" },
        { ENOSPC, "Too many ports! *" },
        { ENOSPC, "*Failed to allocate space *" },
        { ENOSPC, "device requires * bytes, block backend provides * bytes" },
        { ENOSPC, "*insufficient drive capacity*" },

        /* memory */
        { ENOMEM, "*out of memory*" },
        { ENOMEM, "No memory" },
        { ENOMEM, "*ailed to allocate memory*" },
        { ENOMEM, "*ould not allocate *" },
        { ENOMEM, "*Unable to allocate memory*" },
        { ENOMEM, "*allocating reftable memory" },

        { EBUSY, "PCI: slot * function * not available for *" }, /* in use by …, reserved */

        /* not supported by this device, machine, format, host or build */
        { EOPNOTSUPP, "The feature '*' is not enabled" },
        { EOPNOTSUPP, "Bus '*' does not support hotplugging" },
        { EOPNOTSUPP, "Device '*' does not support hotplugging" },
        { EOPNOTSUPP, "* is unpluggable" }, /* Boot CPU */
        { EOPNOTSUPP, "* is not a hotpluggable device" },
        { EOPNOTSUPP, "Device '*' can not be hotplugged on this machine" },
        { EOPNOTSUPP, "Device '*' is not removable" },
        { EOPNOTSUPP, "Device is not removable" },
        { EOPNOTSUPP, "*unplug is not supported*" }, /* nvdimm device hot unplug */
        { EOPNOTSUPP, "*unplug not supported*" },
        { EOPNOTSUPP, "*cannot be unplugged*" }, /* virtio based memory devices */
        { EOPNOTSUPP, "* for not supported device*" },
        { EOPNOTSUPP, "* for unsupported device*" },
        { EOPNOTSUPP, "*hotplug * has been disabled for this *" },
        { EOPNOTSUPP, "Hot-*plug failed: unsupported by *" },
        { EOPNOTSUPP, "Device '*' does not have a tray" },
        { EOPNOTSUPP, "*not supported*" },
        { EOPNOTSUPP, "*no longer supported*" },
        { EOPNOTSUPP, "*not currently supported*" },
        { EOPNOTSUPP, "*not yet supported*" },
        { EOPNOTSUPP, "*only supported *" },
        { EOPNOTSUPP, "*only supports *" },
        { EOPNOTSUPP, "*supported by neither *" },
        { EOPNOTSUPP, "*does not support*" },
        { EOPNOTSUPP, "*doesn't support*" },
        { EOPNOTSUPP, "*doesn't yet support*" },
        { EOPNOTSUPP, "*do not support*" },
        { EOPNOTSUPP, "*don't support*" },
        { EOPNOTSUPP, "*cannot support*" },
        { EOPNOTSUPP, "* '*' isn't supported *" },
        { EOPNOTSUPP, "Unsupported *" },
        { EOPNOTSUPP, "unsupported *" },
        { EOPNOTSUPP, "* unsupported" },
        { EOPNOTSUPP, "Support for USB devices not built-in" },
        { EOPNOTSUPP, "* support not enabled" }, /* USB */
        { EOPNOTSUPP, "* not enabled" },         /* KVM, spice */
        { EOPNOTSUPP, "* is not enabled*" },
        { EOPNOTSUPP, "* are not enabled, *" }, /* memory devices */
        { EOPNOTSUPP, "*isn't enabled" },
        { EOPNOTSUPP, "*not compiled*" },
        { EOPNOTSUPP, "*compiled without *" },
        { EOPNOTSUPP, "*not whitelisted" },
        { EOPNOTSUPP, "* support is disabled" },
        { EOPNOTSUPP, "* is disabled" },
        { EOPNOTSUPP, "*only available *" },
        { EOPNOTSUPP, "*not available*" },
        { EOPNOTSUPP, "* is unavailable*" },
        { EOPNOTSUPP, "*no kernel support*" },
        { EOPNOTSUPP, "*not implemented*" },
        { EOPNOTSUPP, "* requires KVM*" },
        { EOPNOTSUPP, "* requires kvm*" },
        { EOPNOTSUPP, "* requires GNUTLS*" },
        { EOPNOTSUPP, "* requires accel=*" },
        { EOPNOTSUPP, "*Enable PNG support with libpng*" },
        { EOPNOTSUPP, "Cannot grow *" },
        { EOPNOTSUPP, "no block device can store vmstate for snapshot" },
        { EOPNOTSUPP, "Obtaining memory mappings is unsupported *" },
        { EOPNOTSUPP, "Preallocation mode '*' unsupported *" },
        { EOPNOTSUPP, "Version '*' is not supported by client '*'" },
        { EOPNOTSUPP, "No '*' protocol is supported by client '*'" },
        { EOPNOTSUPP, "chardev \"*\" is not reconnectable" },
        { EOPNOTSUPP, "Cannot resize *" },
        { EOPNOTSUPP, "Can't resize *" },
        { EOPNOTSUPP, "State blocked by non-migratable device '*" },
        { EOPNOTSUPP, "Migration disabled: *" },
        { EOPNOTSUPP, "Device * is not migratable*" },
        { EOPNOTSUPP, "disallowing migration blocker *" },
        { EOPNOTSUPP, "* is not yet migratable" },
        { EOPNOTSUPP, "only * file descriptor passing" },
        { EOPNOTSUPP, "The only allowed filename for this driver is *" },

        /* the name is taken */
        { EEXIST, "*already exists*" },
        { EEXIST, "Snapshot with name '*' already exists on device '*'" },
        { EEXIST, "* already exist" },
        { EEXIST, "attempt to add duplicate property *" },
        { EEXIST, "duplicate *" },
        { EEXIST, "Job ID '*' already in use" },
        { EEXIST, "Block export id '*' is already in use" },
        { EEXIST, "New overlay node-name already in use" },
        { EEXIST, "CPU[*] with APIC ID * exists" },
        { EEXIST, "drive with bus=*, unit=* exists" },
        { EEXIST, "NBD server already has export named *" },
        { EEXIST, "There already is a FUSE export on *" },
        { EEXIST, "*conflicts with an existing node name" },
        { EEXIST, "*conflicting with a device id" },
        { EEXIST, "namespace id '*' already allocated" },

        /* in use, or not in this state */
        { EBUSY, "There is a dump in process*" },
        { EBUSY, "There's a migration process in progress" },
        { EBUSY, "* is in use*" },
        { EBUSY, "* '*' is already in use" },
        { EBUSY, "* '*' is currently in use *" },
        { EBUSY, "Drive '*' is already in use *" },
        { EBUSY, "*already in use" },
        { EBUSY, "* still in use*" },
        { EBUSY, "*it's in use" },
        { EBUSY, "*could be in use *" },
        { EBUSY, "* is used as *" },
        { EBUSY, "*already busy*" },
        { EBUSY, "* is busy*" },
        { EBUSY, "*specifies a busy memdev*" },
        { EBUSY, "*in the process of unplug*" },
        { EBUSY, "Device '*' is locked*" },
        { EBUSY, "Permission conflict on node*" },
        { EBUSY, "*already running" },
        { EBUSY, "*already activated" },
        { EBUSY, "*already been started" },
        { EBUSY, "*already initialized" },
        { EBUSY, "*already being measured." },
        { EBUSY, "*already connected" },
        { EBUSY, "*already attached" },
        { EBUSY, "*already open" },
        { EBUSY, "*already occupied *" },
        { EBUSY, "*already populated*" },
        { EBUSY, "*already shutting down" },
        { EBUSY, "*already paused" },
        { EBUSY, "*already assigned *" },
        { EBUSY, "*already been used" },
        { EBUSY, "lun already used by *" },
        { EBUSY, "*already has a parent" },
        { EBUSY, "There already is a medium in the device" },
        { EBUSY, "The overlay already has a backing image" },
        { EBUSY, "* '*' in state '*' cannot accept command verb '*'" },
        { EBUSY, "The active block job '*' cannot be completed" },
        { EBUSY, "The block job for device '*' is currently paused" },
        { EBUSY, "Can't resume a job that was not paused" },
        { EBUSY, "Tray of * is not open" },
        { EBUSY, "Unable to wake up: guest is not in suspended state" },
        { EBUSY, "VM not running" },
        { EBUSY, "Migration not in expected state: *" },
        { EBUSY, "Record/replay does not allow making snapshot right now*" },
        { EBUSY, "Block replication is running or done" },
        { EBUSY, "Device has active dirty bitmaps" },
        { EBUSY, "Node * is not owned by the monitor" },
        { EBUSY, "Guest is waiting for an incoming migration" },
        { EBUSY, "Dump not allowed during incoming migration." },
        { EBUSY, "*dump-guest-memory in progress" },
        { EBUSY, "Resetting the Virtual Machine is required" },
        { EBUSY, "*can only be run when *" },
        { EBUSY, "Migration is not finalized yet" },
        { EBUSY, "*must be started after *" },
        { EBUSY, "Cannot resume if there is no paused migration" },
        { EBUSY, "* is permitted only *" }, /* before, after machine initialization */
        { EBUSY, "Cannot change * of active block backend" },
        { EBUSY, "Cannot change * link *" },
        { EBUSY, "Cannot freeze '*" },
        { EBUSY, "address range conflicts with memory device *" },
        /* qom-set of a property of an object in use */
        { EBUSY, "* after it was realized" },
        { EBUSY, "*cannot be set after *" },
        { EBUSY, "cannot change property *" },
        { EBUSY, "Property '*' can no longer be set" },
        { EBUSY, "Property '*' can not be set now" },
        { EBUSY, "Cannot set properties after *" },

        /* a drive without a medium */
        { ENOMEDIUM, "Device '*' has no medium" },
        { ENOMEDIUM, "Device has no medium" },
        { ENOMEDIUM, "No medium inserted" },
        { ENOMEDIUM, "Device '*' is not inserted" },
        { ENOMEDIUM, "Device is not inserted: *" },
        { ENOMEDIUM, "*evice needs media, but drive is empty" },

        /* not allowed */
        { EACCES, "Property '*' is not readable" },
        { EACCES, "Property '*' is not writable" },
        { EACCES, "Insufficient permission to perform this operation" },
        { EACCES, "*Permission denied*" },
        { EACCES, "*is read-only" },
        { EACCES, "* is readonly*" },
        { EACCES, "* is read only*" },
        { EACCES, "Can't use a read-only drive" },
        { EACCES, "Cannot export read-only node as writable" },
        { EACCES, "Cannot open a * as read-write" },
        { EACCES, "No write access" },
        { EACCES, "*no write access *" },
        { EACCES, "host key *" },
        { EACCES, "no host key was found *" },
        { EACCES, "remote host * key fingerprint '*' does not match *" },
        { EACCES, "failed to authenticate *" },
        { EACCES, "Denied by server *" },
        { EACCES, "* check for * is denied" },
        { EACCES, "Invalid password, cannot unlock any keyslot" },
        { EACCES, "* does not have write permissions" },

        /* files of the host */
        { ENOENT, "failed to find romfile *" },
        { ENOENT, "image file not found" },
        { ENOENT, "Top image file * not found" },
        { ENOENT, "known_hosts file not found" },
        { ENOENT, "Could not find '*', please install it" },
        { ENOENT, "usb-mtp: rootdir does not exist/not readable" },

        /* nothing of that name or kind exists in QEMU */
        { EINVAL, "Property '*" }, /* 'nvme.nosuch' not found, can't find value */
        { ENODEV, "* not found" },
        { ENODEV, "* not found (in use?)" },
        { ENODEV, "*could not be found" },
        { ENODEV, "* has not been found" },
        { ENODEV, "Failed to find *" },
        { ENODEV, "failed to find host usb device *" },
        { ENODEV, "Can't find *" },
        { ENODEV, "Can not find *" },
        { ENODEV, "Did not find *" },
        { ENODEV, "* does not exist" },
        { ENODEV, "* does not exist in *" },
        { ENODEV, "* does not exist on device '*'" },
        { ENODEV, "*is nonexistent" },
        { ENODEV, "No TLS credentials with id '*" },
        { ENODEV, "No secret with id '*" },
        { ENODEV, "No persistent reservation manager with id '*" },
        { ENODEV, "No such *" },
        { ENODEV, "No block device node '*" },
        { ENODEV, "No export with name '*" },
        { ENODEV, "No '*' bus found for device '*" },
        { ENODEV, "There is no option group '*" },
        { ENODEV, "There is no console *" },
        { ENODEV, "The node * does not have a child named *" },
        { ENODEV, "Node '*' does not have child '*" },
        { ENODEV, "* does not have a block device backend" },
        { ENODEV, "NBD server not running" },
        { ENODEV, "Block replication is not running" },
        { ENODEV, "VNC display not active" },
        { ENODEV, "no surface" },
        { ENODEV, "Image does not have a backing file" },
        { ENODEV, "* is not in the backing chain of *" },
        { ENODEV, "* is not in this backing file chain" },
        { ENODEV, "* image file are not in the same chain" },
        { ENODEV, "Node '*' is not in a chain starting from *" },
        { ENODEV, "* is ejected" },
        { ENODEV, "'*' is not in the backing chain of '*'" },
        { ENODEV, "failed to open host usb device *" },
        { ENODEV, "Secret with id '*' has no data" },
        { ENODEV, "Bottom node '*' not opened" },
        { ENODEV, "Node '*' is not open" },
        { ENODEV, "Block node '*' is not opened" },
        { ENODEV, "unknown event *" },

        /* the input is wrong */
        { EINVAL, "Parameter*" },
        { EINVAL, "*nvalid *" },
        { EINVAL, "*ncompatible *" },
        { EINVAL, "* property *" },
        { EINVAL, "property *" },
        { EINVAL, "*doesn't take value*" },
        { EINVAL, "* is ambiguous" },
        { EINVAL, "* does not uniquely identify an object" },
        { EINVAL, "* has to be *" },
        { EINVAL, "*cannot exceed*" },
        { EINVAL, "*may not exceed*" },
        { EINVAL, "*must not exceed*" },
        { EINVAL, "*exceed*" },
        { EINVAL, "*out of range*" },
        { EINVAL, "*out if range*" },
        { EINVAL, "*ut-of-range*" },
        { EINVAL, "*outside *" },
        { EINVAL, "*must be *" },
        { EINVAL, "*must not *" },
        { EINVAL, "Must specify *" },
        { EINVAL, "*must provide *" },
        { EINVAL, "*must have *" },
        { EINVAL, "*needs to *" },
        { EINVAL, "*should *" },
        { EINVAL, "*cannot be *" },
        { EINVAL, "*can't be *" },
        { EINVAL, "*may not *" },
        { EINVAL, "*can only be *" },
        { EINVAL, "*is only valid *" },
        { EINVAL, "* only valid *" },
        { EINVAL, "* may be *" },
        { EINVAL, "*not permitted*" },
        { EINVAL, "*not allowed*" },
        { EINVAL, "*allowed only *" },
        { EINVAL, "*not valid*" },
        { EINVAL, "*missing*" },
        { EINVAL, "Missing *" },
        { EINVAL, "*is mandatory*" },
        { EINVAL, "*mutually exclusive" },
        { EINVAL, "*conflict*" },
        { EINVAL, "*Conflict*" },
        { EINVAL, "Unexpected 'id' parameter" },
        { EINVAL, "*not specified*" },
        { EINVAL, "*no * given" },
        { EINVAL, "*no * specified" },
        { EINVAL, "*specified, but *" },
        { EINVAL, "No * specified" },
        { EINVAL, "No * provided" },
        { EINVAL, "No file descriptor supplied via SCM_RIGHTS" },
        { EINVAL, "*is required*" },
        { EINVAL, "*requires *" },
        { EINVAL, "*require *" },
        { EINVAL, "* expects *" },
        { EINVAL, "'*" },
        { EINVAL, "Value '*" },
        { EINVAL, "Block format '*' does not support the option '*" },
        { EINVAL, "Block protocol '*' doesn't support the option '*" },
        { EINVAL, "Bitmap sync mode '*" },
        { EINVAL, "Bottom node '*' is a filter*" },
        { EINVAL, "Node '*' is a filter*" },
        { EINVAL, "Node '*' is not a *" },
        { EINVAL, "Object ID '*' is not a *" },
        { EINVAL, "Device '*' can't go on * bus" },
        { EINVAL, "Device '*' has * child bus*" },
        { EINVAL, "Property * on * is not *" },
        { EINVAL, "Header reported '*" },
        { EINVAL, "host address '*" },
        { EINVAL, "port number '*" },
        { EINVAL, "protocol '*" },
        { EINVAL, "option '*" },
        { EINVAL, "Username * not found in PSK file *" },
        { EINVAL, "Input handler not found *" },
        { EINVAL, "sync mode '*" },
        { EINVAL, "unrecognized backing format '*" },
        { EINVAL, "* not set" },
        { EINVAL, "*not compatible*" },
        { EINVAL, "* is invalid*" },
        { EINVAL, "Illegal *" },
        { EINVAL, "Bad range specifier" },
        { EINVAL, "Bad logfile template: *" },
        { EINVAL, "bad scsi *" },
        { EINVAL, "bad thread-pool*" },
        { EINVAL, "*bigger than *" },
        { EINVAL, "* is larger *" },
        { EINVAL, "*differs *" },
        { EINVAL, "*does not match*" },
        { EINVAL, "*doesn't match*" },
        { EINVAL, "*not aligned*" },
        { EINVAL, "*must start with *" },
        { EINVAL, "*must meet*" },
        { EINVAL, "Supported values *" },
        { EINVAL, "Max. supported *" },
        { EINVAL, "Maximum value for *" },
        { EINVAL, "Valid *" },
        { EINVAL, "* disabled" },
        { EINVAL, "*disabled but *" },
        { EINVAL, "*doesn't belong to *" },
        { EINVAL, "* doesn't have *" },
        { EINVAL, "*does not contain *" },
        { EINVAL, "*can't have *" },
        { EINVAL, "*cannot have *" },
        { EINVAL, "*cannot handle *" },
        { EINVAL, "*cannot reside on *" },
        { EINVAL, "*can be plugged into *" },
        { EINVAL, "*can be attached only to *" },
        { EINVAL, "*use copy-on-read*" },
        { EINVAL, "Enable postcopy with *" },
        { EINVAL, "*unsupported option" },
        { EINVAL, "Wrong *" },
        { EINVAL, "no group defined" },
        { EINVAL, "*needs a *" },
        { EINVAL, "*neither *" },
        { EINVAL, "don't set *" },
        { EINVAL, "*without *" },
        { EINVAL, "slots specified but *" },
        { EINVAL, "Should not *" },
        { EINVAL, "Not an *" },
        { EINVAL, "Internal snapshots prevent *" },
        { EINVAL, "incorrect cpu index specified" },
        { EINVAL, "*cannot switch context" },
        { EINVAL, "event * is not *" },
        { EINVAL, "Refusing to *" },
        { EINVAL, "*negative*" },
        { EINVAL, "*already *" },
        { EINVAL, "Expect*" },
        { EINVAL, "trailing *" },
        { EINVAL, "error parsing *" },
        { EINVAL, "could not parse *" },
        { EINVAL, "Could not parse *" },
        { EINVAL, "can't convert to a number: *" },
        { EINVAL, "parse error" },
        { EINVAL, "Unknown *" },
        { EINVAL, "unknown *" },
        { EINVAL, "* is not a *" },
        { EINVAL, "* isn't a *" },
        { EINVAL, "* '*' is not *" },
        { EINVAL, "*is abstract" },
        { EINVAL, "*not multiple of *" },
        { EINVAL, "*too large*" },
        { EINVAL, "*too small*" },
        { EINVAL, "*too big*" },
        { EINVAL, "*too long*" },
        { EINVAL, "*too high*" },
        { EINVAL, "*too deep*" },
        { EINVAL, "*too short*" },
        { EINVAL, "Too many *" },
        { EINVAL, "too many *" },
        { EINVAL, "* is longer than *" },
        { EINVAL, "* longer than *" },
        { EINVAL, "*maximum *" },
        { EINVAL, "*is under minimum*" },
        { EINVAL, "*less than *" },
        { EINVAL, "* is zero" },
        { EINVAL, "* is empty" },
        { EINVAL, "*the same *" },
        { EINVAL, "*different size*" },
        { EINVAL, "*is mapped twice" },
        { EINVAL, "*is used twice" },
        { EINVAL, "*was given twice" },
        { EINVAL, "Only *" },
        { EINVAL, "only *" },
        { EINVAL, "at most *" },
        { EINVAL, "*would create a cycle" },
        { EINVAL, "*not in * format*" }, /* Image is not in qcow2 format */
        { EINVAL, "Could not determine image format*" },
        { EINVAL, "Please *" },
        { EINVAL, "Use *" },
        { EINVAL, "Need *" },
        { EINVAL, "need *" },
        { EINVAL, "Cannot *" },
        { EINVAL, "cannot *" },
        { EINVAL, "Can't *" },
        { EINVAL, "either *" },
        { EINVAL, "None or one of *" },
};

/* Whether the pattern matches the whole text: its pieces occur in order, the last one at the end. */
static bool fits(const char *pattern, const char *text)
{
        const char *end = text + strlen(text);

        for (bool anchored = true;; anchored = false) {
                size_t n = strcspn(pattern, "*");
                bool last = pattern[n] == '\0';
                const char *at = text;

                if (last && !anchored)
                        at = (size_t)(end - text) >= n ? end - n : end;
                if (anchored || last) {
                        if (strncmp(at, pattern, n) != 0 || (last && at[n] != '\0'))
                                return false;
                } else {
                        at = memmem(text, (size_t)(end - text), pattern, n);
                        if (!at)
                                return false;
                }
                if (last)
                        return true;
                text = at + n;
                pattern += n + 1;
        }
}

static bool is_open(const char *pattern)
{
        size_t n = strlen(pattern);

        return n > 1 && pattern[0] == '*' && pattern[n - 1] == '*';
}

/* Whether it is a quote, as opposed to the apostrophe in "can't". */
static bool is_quote(const char *text, size_t i)
{
        bool is_apostrophe = i > 0 && isalnum((unsigned char)text[i - 1]) && isalnum((unsigned char)text[i + 1]);

        return text[i] == '"' || (text[i] == '\'' && !is_apostrophe);
}

/* Removes the text between the first quote and the last. */
static void remove_quoted(char *text)
{
        size_t first = 0, last = 0, size = strlen(text);

        for (size_t i = 0; i < size; i++) {
                if (!is_quote(text, i))
                        continue;
                if (last == 0)
                        first = i;
                last = i + 1;
        }
        if (last > first + 2)
                memmove(text + first + 1, text + last - 1, size - last + 2);
}

/* Replaces errnos that have a special meaning when a file system returns them. */
static int presentable(int error)
{
        switch (error) {
        case EINTR:        /* programs retry the write */
        case ECANCELED:    /* used by qmpfs: QEMU may still carry it out */
        case ENOTCONN:     /* the daemon of the mount has died, … */
        case ECONNABORTED: /* … or its connection was aborted */
        case ESTALE:       /* the kernel looks the path up again */
                return EIO;
        case ENOSYS: /* the kernel never asks again */
                return EOPNOTSUPP;
        case EHOSTDOWN: /* used by qmpfs: QEMU cannot be reached, … */
        case ETIMEDOUT: /* … or does not answer */
                return EHOSTUNREACH;
        default:
                return error;
        }
}

/* The errno for a text that ends like ": No such file or directory", else 0. */
static int from_strerror(const char *text)
{
        size_t size = strlen(text);

        for (int error = 1; error <= ERRNO_MAX; error++) {
                const char *words = strerrordesc_np(error);
                size_t n = words ? strlen(words) : 0;

                if (n > 0 && size > n + 2 && strcmp(text + size - n, words) == 0 &&
                    strncmp(text + size - n - 2, ": ", 2) == 0)
                        return presentable(error);
        }
        return 0;
}

static int from_words(const char *error_desc)
{
        char words[QMP_WORDS_MAX + 1], unquoted[QMP_WORDS_MAX + 1];
        const char *hmp = startswith(error_desc, "Error: ");
        size_t n;

        if (hmp)
                error_desc = hmp;
        n = strnlen(error_desc, QMP_WORDS_MAX);
        memcpy(words, error_desc, n);
        words[n] = '\0';
        memcpy(unquoted, words, n + 1);
        remove_quoted(unquoted);
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                const char *pattern = table[i].pattern;
                int error = table[i].error;

                if (error == STRERROR)
                        error = from_strerror(words);
                else if (!fits(pattern, is_open(pattern) ? unquoted : words))
                        error = 0;
                if (error)
                        return error;
        }
        return EIO;
}

int qmp_error_to_errno(const char *error_class, const char *error_desc)
{
        static const struct {
                const char *name;
                int error;
        } classes[] = {
                { "DeviceNotFound", ENODEV },
                { "CommandNotFound", EOPNOTSUPP },
                { "DeviceNotActive", ENODEV },
                { "KVMMissingCap", EOPNOTSUPP },
        };

        for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
                if (streq(classes[i].name, error_class))
                        return classes[i].error;
        return from_words(error_desc);
}
