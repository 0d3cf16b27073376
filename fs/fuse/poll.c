#include "fs/fuse/poll.h"

enum channel file_channel(const struct file *file)
{
        return file->inode->row && file->inode->vm ? file->inode->row->channel : CHANNEL_NONE;
}

bool file_has_news(struct file *file)
{
        const struct inode *inode = file->inode;
        enum channel channel = file_channel(file);

        if (inode->kind->readable)
                return inode->kind->readable(file);
        return channel == CHANNEL_NONE || file->seen != inode->vm->news[channel].generation;
}

void file_notify(struct file *file)
{
        if (!file->poll || !file_has_news(file))
                return;
        (void)fuse_lowlevel_notify_poll(file->poll);
        fuse_pollhandle_destroy(take_ptr(file->poll));
        list_unlink(&file->watcher.link);
}

static void wake(struct watcher *watcher)
{
        file_notify(container_of(watcher, struct file, watcher));
}

void file_poll(struct file *file, struct fuse_pollhandle *handle)
{
        if (file->poll)
                fuse_pollhandle_destroy(file->poll);
        file->poll = handle;
        file->watcher.wake = wake;
        if (file_channel(file) != CHANNEL_NONE)
                news_watch(&file->inode->vm->news[file_channel(file)], &file->watcher);
}
