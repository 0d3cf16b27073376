#include "fs/util/slots.h"

#include <assert.h>
#include <errno.h>

void slots_deinit(struct slots *s)
{
        free(s->slots);
        *s = (struct slots){ 0 };
}

/* The place is in the low half, counted from 1, so that the first handle of all is FUSE_ROOT_ID. */
int slots_add(struct slots *s, void *pointer, uint64_t *ret_handle)
{
        uint32_t at;

        if (s->free == 0) {
                if (s->n == s->size) {
                        uint32_t size = s->size ? 2 * s->size : 64;
                        struct slot *slots = reallocarray(s->slots, size, sizeof(*slots));

                        if (!slots)
                                return -ENOMEM;
                        s->slots = slots;
                        s->size = size;
                }
                at = s->n++;
                s->slots[at] = (struct slot){ 0 };
        } else {
                at = s->free - 1;
                s->free = s->slots[at].next_free;
        }
        s->slots[at].pointer = pointer;
        *ret_handle = (uint64_t)s->slots[at].serial << 32 | (at + 1);
        return 0;
}

void *slots_find(const struct slots *s, uint64_t handle)
{
        uint32_t at = (uint32_t)handle - 1;

        if (at >= s->n || s->slots[at].serial != handle >> 32)
                return NULL;
        return s->slots[at].pointer;
}

void slots_remove(struct slots *s, uint64_t handle)
{
        uint32_t at = (uint32_t)handle - 1;

        assert(slots_find(s, handle));
        s->slots[at].pointer = NULL;
        s->slots[at].serial++;
        s->slots[at].next_free = s->free;
        s->free = at + 1;
}
