#include "fs/kinds/asked_file.h"

#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/vm/query.h"
#include "fs/vm/reads.h"

static bool asked_is_committed(const struct request *r)
{
        return queries_are_committed(&r->waiter);
}

int asked_write(struct request *r, const struct query_spec *spec,
                int (*keep)(struct vm *vm, const struct query_spec *spec, struct json_object *value))
{
        const struct query *query;
        int e;

        if (strspn(r->data, " \t") != r->size)
                return request_fail(r, -EINVAL, NULL, "expected an empty line");
        if (!query_is_required(&r->waiter, spec)) {
                e = asked_drop(&r->vm->asked, spec);
                if (e < 0)
                        return e;
        }
        r->is_committed = asked_is_committed;
        e = query_require(&r->waiter, spec, FRESH_CONTENT, &query);
        if (e)
                return e;
        e = keep(r->vm, spec, query->value);
        if (e == -EPROTO)
                return request_fail(r, e, NULL, "QEMU's answer is too large, or not JSON");
        if (e)
                return e;
        peer_invalidate(&r->vm->peer);
        inode_set_size(r->inode, r->inode->kind->size(r->inode));
        return 0;
}

int asked_usage(const struct inode *inode, const char *command, struct text *ret_text)
{
        _cleanup_(qmp_freep) char *path = inode_path(inode);
        int n = path ? asprintf(&ret_text->data, "not queried yet: %s %s; to query: echo > %s\n", command,
                                reads_why(command), path + 1)
                     : -1;

        if (n < 0)
                return -ENOMEM;
        ret_text->size = (size_t)n;
        return 0;
}
