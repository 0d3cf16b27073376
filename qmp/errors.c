#include "errors.h"

#include <errno.h>
#include <string.h>

/* The first row that fits wins: an exact class (or any, NULL) and a part of the description (or any, NULL). */
static const struct {
        const char *error_class;
        const char *part;
        int error;
} table[] = {
        { "DeviceNotFound", NULL, ENODEV },
        { "CommandNotFound", NULL, EOPNOTSUPP },
        { "DeviceNotActive", NULL, ENODEV },
        { "KVMMissingCap", NULL, EOPNOTSUPP },
        { NULL, "JSON parse error", EINVAL },
        { NULL, "unknown command: '", EOPNOTSUPP }, /* HMP */
        { NULL, "limit exceeded", EINVAL },         /* JSON nesting depth, JSON token count */
        { NULL, "QMP input ", EINVAL },
        { NULL, "allowed while migrating", EAGAIN },          /* device_add, device_del */
        { NULL, "does not support hotplugging", EOPNOTSUPP }, /* Bus 'ide.1', Device 'PIIX3' */
        { NULL, "is unpluggable", EOPNOTSUPP },               /* Boot CPU */
        { NULL, "is not a hotpluggable device", EOPNOTSUPP },
        { NULL, "unplug is not supported", EOPNOTSUPP }, /* nvdimm device hot unplug */
        { NULL, "cannot be unplugged", EOPNOTSUPP },     /* virtio based memory devices */
        { NULL, "unplug request for not supported device", EOPNOTSUPP },
        { NULL, "unplug request for unsupported device", EOPNOTSUPP },
        { NULL, "unplug not supported", EOPNOTSUPP },
        { NULL, "not supported", EOPNOTSUPP },
        { NULL, "not currently supported", EOPNOTSUPP },
        { NULL, "does not support", EOPNOTSUPP },
        { NULL, "is not removable", EOPNOTSUPP },
        { NULL, "No free slots", ENOSPC },
        { NULL, "no free slots", ENOSPC },
        { NULL, "no slot/function available", ENOSPC },
        { NULL, "already exists", EEXIST },
        { NULL, "Duplicate ", EEXIST },
        { NULL, "duplicate ", EEXIST },
        { NULL, "attempt to add duplicate property", EEXIST },
        { NULL, "Job ID '", EEXIST },
        { NULL, "already in use", EBUSY },
        { NULL, "already busy", EBUSY },
        { NULL, "dump in process", EBUSY },
        { NULL, "is in use", EBUSY },
        { NULL, "is busy", EBUSY },
        { NULL, "in the process of unplug", EBUSY },
        { NULL, "is locked", EBUSY },
        { NULL, "Permission conflict on node", EBUSY },
        { NULL, "Failed to get shared \"", EBUSY }, /* … "write" lock: another process has the image */
        { NULL, "Failed to get \"", EBUSY },
        /* qom-set of a property of what is in use */
        { NULL, "after it was realized", EBUSY },
        { NULL, "cannot be set after initialization", EBUSY },
        { NULL, "cannot change property", EBUSY },
        { NULL, "can no longer be set", EBUSY },
        { NULL, "is not readable", EACCES },
        { NULL, "is not writable", EACCES },
        { NULL, "Insufficient permission", EACCES },
        { NULL, "Permission denied", EACCES },
        { NULL, "Property '", EINVAL }, /* 'nvme.nosuch' not found, can't find value */
        { NULL, "Invalid parameter", EINVAL },
        { NULL, "Invalid addr", EINVAL },
        { NULL, "invalid slot number", EINVAL },
        { NULL, "doesn't take value", EINVAL },
        { NULL, "is ambiguous", EINVAL },
        { NULL, "has to be multiples of", EINVAL },
        { NULL, "cannot exceed", EINVAL },
        { NULL, "which exceeds", EINVAL },
        { NULL, "must be in range", EINVAL },
        { NULL, "does not accept value", EINVAL },
        { NULL, "is missing", EINVAL },
        { NULL, "is unexpected", EINVAL },
        { NULL, " expects ", EINVAL },
        { NULL, "must be a", EINVAL },
        { NULL, "is not a valid", EINVAL },
        { NULL, "not found", ENODEV }, /* object, chardev, job */
        { NULL, "Failed to find", ENODEV },
        { NULL, "Cannot find", ENODEV },
};

int qmp_error_to_errno(const char *error_class, const char *error_desc)
{
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                if (table[i].error_class && strcmp(table[i].error_class, error_class) != 0)
                        continue;
                if (table[i].part && !strstr(error_desc, table[i].part))
                        continue;
                return table[i].error;
        }
        return EIO;
}
