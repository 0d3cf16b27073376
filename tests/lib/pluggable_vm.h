/*
 * A VM for what needs all of the tree: devices that can be unplugged and plugged in again, a schema of all kinds of types,
 * texts that are longer than first buffers.
 */
#ifndef TESTS_PLUGGABLE_VM_H
#define TESTS_PLUGGABLE_VM_H

#include "tests/lib/rig.h"

#define NV0   "/machine/peripheral/nv0"
#define DIMM1 "/machine/peripheral/dimm1"
#define CPU1  "/machine/peripheral/cpu1"

// clang-format on

/* A record with what is longer than json-c's first buffers, a float, and names that are not file names. */
#define MORE                                                                                                         \
        "\"text\": \"a text that is longer than forty bytes: \\\"quoted\\\", and \\u00e4 too\", \"float\": "         \
        "0.12345678901234567890123456789012345678901234567890, \"a/b\": {\"%\": [1, true, null]}"

struct pluggable {
        bool nv0, dimm1, cpu1; /* plugged in */
        bool drive;            /* NVME1 */
        bool silent;           /* device_del is taken, and nothing follows */
        bool refused;          /* the guest refuses it */
        bool cpu_event;        /* the CPU's own */
};

extern struct pluggable pluggable;
extern const char pluggable_schema[];
extern const char *pluggable_path; /* of its monitor's socket, on which it listens */

/* The fixture: the daemon, mounted and connected. */
void pluggable_up(void);
/* All is plugged in, and the guest obeys. */
void pluggable_plug_in(void);
/* After each change of what is plugged in. */
void pluggable_update(void);

#endif
