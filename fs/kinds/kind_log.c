#include <errno.h>

#include "fs/fuse/inode.h"
#include "fs/kinds/kinds.h"
#include "fs/kinds/log_file.h"

int log_file_read(const struct journal *journal, struct request *r, struct file *file, struct text *ret_text)
{
        uint64_t kept = journal->end - journal->start;

        ret_text->data = malloc(r->size < kept ? r->size + 1 : kept + 1);
        if (!ret_text->data)
                return -ENOMEM;
        ret_text->size = journal_read(journal, (uint64_t)r->offset, &file->shift, ret_text->data,
                                      r->size < kept ? r->size : kept);
        file->seen = (uint64_t)r->offset + file->shift + ret_text->size;
        return 0;
}

static int errors_read(struct request *r, struct file *file, struct text *ret_text)
{
        return log_file_read(&r->vm->errors.journal, r, file, ret_text);
}

static bool errors_readable(struct file *file)
{
        return file->inode->vm->errors.journal.end > file->seen;
}

static int64_t errors_size(struct inode *inode)
{
        return (int64_t)inode->vm->errors.journal.end;
}

const struct kind kind_errors = {
        .type = S_IFREG,
        .read = errors_read,
        .readable = errors_readable,
        .size = errors_size,
};
