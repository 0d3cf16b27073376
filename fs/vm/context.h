/*
 * What all VMs of one mount share: the loop, and the numbers that order what happens and identify what there is.
 */
#ifndef FS_VM_CONTEXT_H
#define FS_VM_CONTEXT_H

#include "qmp/loop.h"

struct context {
        struct qmp_loop *loop;
        uint64_t stamp;     /* orders the arrivals of waiters and the starts of queries */
        uint64_t serial;    /* of objects; their inode numbers */
        unsigned n_fetches; /* under way, of all VMs */
};

/* The loop is borrowed. The first serial is the root's inode number; objects come after it. */
static inline void context_init(struct context *context, struct qmp_loop *loop)
{
        *context = (struct context){ .loop = loop, .serial = 1 };
}

#endif
