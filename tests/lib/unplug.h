/*
 * Scripts of a removal: the write to `remove`, and what QEMU 7.2 sends meanwhile.
 */
#ifndef TESTS_UNPLUG_H
#define TESTS_UNPLUG_H

#include "tests/lib/rig.h"

#define NV0  "/machine/peripheral/nv0"
#define ANON "/machine/peripheral-anon/device[0]"

/* Writes to a `remove`, and waits until QEMU has the request; the number of the write. */
uint64_t unplug_start(const char *path, const char *text);
/* The open file of the last one. */
extern struct k_file unplug_file;
/* ACPI_DEVICE_OST; @device may be NULL. */
void unplug_ost(const char *device, int source, int status, const char *slot, const char *type);
/* The device is no longer in the tree of objects. */
void unplug_vanish(const char *path);

#endif
