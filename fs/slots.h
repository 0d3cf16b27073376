/*
 * Handles that the kernel gives back to us (node ids, file handles): a place and a serial in 64 bits. A handle is never
 * used again, and one that was not issued finds nothing.
 */
#ifndef FS_SLOTS_H
#define FS_SLOTS_H

#include "qmp/util.h"

struct slots {
        struct slot {
                void *pointer;
                uint32_t serial;
                uint32_t next_free; /* 1 + place; 0: none */
        } * slots;
        uint32_t n, size, free;
};

void slots_deinit(struct slots *slots);
/* 0 or -ENOMEM. Handles are never 0; the first one is 1. */
int slots_add(struct slots *slots, void *pointer, uint64_t *ret_handle);
/* NULL for what is no handle. */
void *slots_find(const struct slots *slots, uint64_t handle);
void slots_remove(struct slots *slots, uint64_t handle);

#endif
