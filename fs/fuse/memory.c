#include "fs/fuse/memory.h"

#include <errno.h>
#include <malloc.h>

#include "fs/fuse/session.h"

/* From this size on it is worth returning memory to the system. */
#define TRIM_MIN ((size_t)4 << 20)

size_t memory_limit(bool foreign)
{
        return foreign ? MEMORY_MAX / 2 : MEMORY_MAX;
}

static bool is_too_much(size_t bytes, size_t limit, size_t more)
{
        return bytes > limit || more > limit - bytes;
}

int memory_change(struct memory *m, bool foreign, size_t from, size_t to)
{
        if (to > from && (is_too_much(m->bytes, MEMORY_MAX, to - from) ||
                          (foreign && is_too_much(m->foreign_bytes, memory_limit(true), to - from))))
                return -ENOMEM;
        m->bytes += to;
        m->bytes -= from;
        if (foreign) {
                m->foreign_bytes += to;
                m->foreign_bytes -= from;
        }
        if (m->bytes > m->high)
                m->high = m->bytes;
        if (to < from && m->high - m->bytes > TRIM_MIN && m->bytes <= m->high / 2) {
                m->high = m->bytes;
                malloc_trim(0);
        }
        return 0;
}

bool memory_is_foreign(const struct request *r)
{
        return r->who.uid != 0 && r->who.uid != r->session->options.uid;
}

int memory_fail(struct request *r, bool foreign)
{
        return request_fail(r, -ENOMEM, NULL, "the contents of all open files would exceed %zu MiB%s",
                            memory_limit(foreign) >> 20, foreign ? ", the limit of other users" : "");
}
