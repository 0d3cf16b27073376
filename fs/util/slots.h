/*
 * 64-bit handles for the kernel (node ids, file handles), made of a place and a serial. A handle is never used again.
 * slots_find() returns NULL for a handle that was never issued.
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
/* NULL if @handle is not valid. */
void *slots_find(const struct slots *slots, uint64_t handle);
void slots_remove(struct slots *slots, uint64_t handle);

#endif
