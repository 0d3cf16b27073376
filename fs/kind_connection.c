#include <errno.h>
#include <stdio.h>

#include "inode.h"
#include "kinds.h"

/* Never fails and asks nobody: it is what one reads when nothing else works. */
static int connection_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        _cleanup_(qmp_freep) char *text = vm_describe_connection(inode->vm);
        int n;

        (void)r;
        n = text ? asprintf(&ret_text->data, "%s\n", text) : -1;
        if (n < 0)
                return -ENOMEM;
        ret_text->size = (size_t)n;
        return 0;
}

static int64_t connection_size(struct inode *inode)
{
        _cleanup_(qmp_freep) char *text = vm_describe_connection(inode->vm);

        return text ? (int64_t)strlen(text) + 1 : -1;
}

const struct kind kind_connection = {
        .type = S_IFREG,
        .render = connection_render,
        .size = connection_size,
};
