#include <errno.h>
#include <stdio.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"

static char *describe(struct vm *vm)
{
        _cleanup_(qmp_freep) char *connection = peer_describe(&vm->peer);
        char *text;
        int n;

        if (!connection)
                return NULL;
        n = vm->sandbox ? asprintf(&text, "%s\nsandbox: %s\n", connection, vm->sandbox)
                        : asprintf(&text, "%s\n", connection);
        return n < 0 ? NULL : text;
}

/* Never fails and sends no command, since users read this file when nothing else works. */
static int connection_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        char *text = describe(inode->vm);

        (void)r;
        if (!text)
                return -ENOMEM;
        *ret_text = (struct text){ text, strlen(text) };
        return 0;
}

static int64_t connection_size(struct inode *inode)
{
        _cleanup_(qmp_freep) char *text = describe(inode->vm);

        return text ? (int64_t)strlen(text) : -1;
}

const struct kind kind_connection = {
        .type = S_IFREG,
        .render = connection_render,
        .size = connection_size,
};
