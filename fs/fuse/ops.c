#include "fs/fuse/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>

#include "fs/fuse/memory.h"
#include "fs/fuse/poll.h"
#include "fs/fuse/rows.h"
#include "fs/vm/object.h"
#include "qmp/nearest.h"
#include "fs/fuse/session.h"

/*
 * More than that, so that the kernel doesn't cut what is too long, or what is in many pieces (each at least a page
 * for it), into two requests that look fine.
 */
#define KERNEL_WRITE_MAX (1024 * 1024)

/* What is declared in a row doesn't change while mounted; all else is asked for each time. */
#define FOREVER 3600.0

/* Linux 5.16; older kernels ask for each close(2). */
#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1 << 5)
#endif
#ifndef FOPEN_STREAM
#define FOPEN_STREAM (1 << 4)
#endif
/* Linux 6.2; older kernels ignore it, and let only one writer at a time into a file. */
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

static struct session *session_of(fuse_req_t req)
{
        return fuse_req_userdata(req);
}

static void ops_init(void *userdata, struct fuse_conn_info *conn)
{
        (void)userdata;
        conn->max_write = KERNEL_WRITE_MAX;
        conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
        /* names and attributes must not be cached, or not for long, so it would only create unused inodes */
        conn->want &= ~(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
        /*
         * Else opening with O_TRUNC would set the kernel's idea of the size to 0, and a write beyond the end takes
         * the inode's lock alone: two who write to one open file would wait for each other.
         */
        conn->want &= ~FUSE_CAP_ATOMIC_O_TRUNC;
}

/* --- names and attributes --------------------------------------------------------------------------------------- */

static double entry_timeout(const struct inode *inode)
{
        return inode->row && !inode->row->present && !inode->row->dynamic && !inode->kind->own_inode ? FOREVER : 0;
}

/*
 * Only the size may change. The kernel wants attributes twice for each open(2), so it may keep them as long as
 * structure may be old, and is told when a read finds another size. What has no content of QEMU's (logs, streams,
 * answers) grows while somebody looks: its size is asked for each time, unless the inode is that of one lookup alone
 * and has just got it.
 */
static double attr_timeout(const struct inode *inode)
{
        const struct kind *kind = inode->kind;

        if (!S_ISREG(kind->type))
                return FOREVER;
        return kind->render && (!kind->read || (kind->own_inode && !kind->stream)) && inode->vm
                       ? (double)inode->vm->peer.options.structure_ttl_ns / NSEC_PER_SEC
                       : 0;
}

static void fill_entry(struct inode *inode, struct fuse_entry_param *ret_entry)
{
        *ret_entry = (struct fuse_entry_param){
                .ino = inode->nodeid,
                .entry_timeout = entry_timeout(inode),
                .attr_timeout = attr_timeout(inode),
        };
        inode_attr(inode, &ret_entry->attr);
}

static int lookup_step(struct request *r)
{
        struct fuse_entry_param entry;
        struct inode *inode;
        int e;

        if (!r->inode->kind->lookup)
                return -ENOTDIR;
        e = r->found ? 0 : r->inode->kind->lookup(r, r->inode, r->data, &r->found);
        if (e == 0)
                e = content_require_size(r, r->found);
        if (e)
                return e;
        inode = take_ptr(r->found);
        fill_entry(inode, &entry);
        inode->lookups++;
        /* a reply to an interrupted request does not count as a lookup */
        if (fuse_reply_entry(request_take(r), &entry) == -ENOENT)
                inode_forget(inode, 1);
        inode_unref(inode);
        return 0;
}

/* A request about a name in a directory. */
static void run_by_name(fuse_req_t req, fuse_ino_t parent, const char *name, int (*step)(struct request *))
{
        struct request *r = request_new(session_of(req), req, parent, step);

        if (!r)
                return;
        r->data = strdup(name);
        if (r->data)
                request_run(r);
        else
                request_finish(r, -ENOMEM);
}

static void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        run_by_name(req, parent, name, lookup_step);
}

static void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
        struct inode *inode = inode_find(session_of(req), ino);

        if (inode)
                inode_forget(inode, lookups);
        fuse_reply_none(req);
}

static void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        for (size_t i = 0; i < count; i++) {
                struct inode *inode = inode_find(session_of(req), forgets[i].ino);

                if (inode)
                        inode_forget(inode, forgets[i].nlookup);
        }
        fuse_reply_none(req);
}

static int getattr_step(struct request *r)
{
        struct stat attr;
        int e = content_require_size(r, r->inode);

        if (e)
                return e;
        inode_attr(r->inode, &attr);
        fuse_reply_attr(request_take(r), &attr, attr_timeout(r->inode));
        return 0;
}

static void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct request *r = request_new(session_of(req), req, ino, getattr_step);

        (void)fi;
        if (r)
                request_run(r);
}

static void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
        const int now = FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW;
        struct request *r = request_new(session_of(req), req, ino, getattr_step);

        (void)attr;
        (void)fi;
        if (!r)
                return;
        /*
         * "echo 1 > file" truncates first, which means nothing here, and an NFS server sets the time of the change
         * then. No other attribute can be changed.
         */
        if (!r->inode->kind->write || (to_set != FUSE_SET_ATTR_SIZE && (to_set != now || r->inode->writers == 0)))
                request_finish(r, -EPERM);
        else
                request_run(r);
}

static int readlink_step(struct request *r)
{
        _cleanup_(qmp_freep) char *target = NULL;
        int e;

        if (!r->inode->kind->readlink)
                return -EINVAL;
        e = r->inode->kind->readlink(r, r->inode, &target);
        if (e)
                return e;
        fuse_reply_readlink(request_take(r), target);
        return 0;
}

static void ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
        struct request *r = request_new(session_of(req), req, ino, readlink_step);

        if (r)
                request_run(r);
}

static void ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
        struct statvfs statfs = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };

        (void)ino;
        fuse_reply_statfs(req, &statfs);
}

/* --- what only a write to a documented file may do -------------------------------------------------------------- */

static void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
        (void)parent, (void)name, (void)mode, (void)rdev;
        fuse_reply_err(req, EPERM);
}

static void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
        (void)parent, (void)name, (void)mode;
        fuse_reply_err(req, EPERM);
}

static void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        (void)parent, (void)name;
        fuse_reply_err(req, EPERM);
}

static void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
        (void)target, (void)parent, (void)name;
        fuse_reply_err(req, EPERM);
}

static void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                       const char *new_name, unsigned flags)
{
        (void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
        fuse_reply_err(req, EPERM);
}

static void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
        (void)ino, (void)new_parent, (void)new_name;
        fuse_reply_err(req, EPERM);
}

/*
 * A file is to be opened, and made since it isn't there: mostly a typo in `> cmd/NAME`. The kernel has just looked
 * the name up, so the names next to it are known, too.
 */
static int create_step(struct request *r)
{
        struct listing listing = { 0 };
        struct qmp_nearest nearest;
        const char *name;
        int e = r->inode->kind->list ? r->inode->kind->list(r, r->inode, &listing) : 0;

        qmp_nearest_init(&nearest, r->data);
        for (size_t i = 0; e == 0 && i < listing.n; i++)
                qmp_nearest_offer(&nearest, listing.entries[i].name);
        listing_deinit(&listing);
        if (e == WAITER_PARKED)
                return e;
        name = qmp_nearest_get(&nearest);
        return request_fail(r, -ENOENT, NULL, "no file '%s' is here%s%s%s", r->data, name ? " (nearest: '" : "",
                            name ? name : "", name ? "')" : "");
}

static void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
        (void)mode;
        (void)fi;
        run_by_name(req, parent, name, create_step);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static int check_access(const struct inode *inode, int flags)
{
        const struct kind *kind = inode->kind;
        int mode = flags & O_ACCMODE;

        if (!S_ISREG(kind->type))
                return S_ISDIR(kind->type) ? -EISDIR : -ELOOP;
        /* of an earlier server: the kernel looks it up again */
        if (inode->row && !row_is_supported(inode->vm, inode->row))
                return -ESTALE;
        if (inode->object && !object_is_alive(inode->object))
                return -ENODEV;
        /* the modes don't restrict root; a file without write() can't be changed by any user */
        if (mode != O_RDONLY && !kind->write)
                return -EPERM;
        if (mode != O_WRONLY && !kind->render && !kind->read)
                return -EACCES;
        return 0;
}

/* fuse_reply_open() of libfuse 3.14 knows none of the last three flags. */
static void reply_open(fuse_req_t req, struct file *file)
{
        struct fuse_open_out out = {
                .fh = file->handle,
                .open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
        };

        if ((file->flags & O_ACCMODE) == O_RDONLY)
                out.open_flags |= FOPEN_NOFLUSH;
        /* no file position, whose lock would make those who share a descriptor wait for each other */
        if (file_is_stream(file))
                out.open_flags |= FOPEN_STREAM;
        if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) == -ENOENT)
                file_unref(file);
}

static int open_step(struct request *r)
{
        struct content *content = NULL;
        struct file *file;
        int e = check_access(r->inode, r->flags);

        /* files open for writing as well are queried on read */
        if (e == 0 && r->inode->kind->render && (r->flags & O_ACCMODE) == O_RDONLY)
                e = content_open(r, &content);
        if (e)
                return e;
        e = file_new(r->inode, r->flags, &file);
        if (e < 0) {
                content_unref(content);
                return e;
        }
        file->foreign = memory_is_foreign(r);
        file->content = content;
        file->unread = content != NULL;
        if (file_channel(file) != CHANNEL_NONE)
                file->seen = r->vm->news[file_channel(file)].generation - 1;
        if (r->inode->kind->readable)
                file->seen = 0;
        if (r->inode->kind->open) {
                e = r->inode->kind->open(r, file);
                if (e) {
                        file_unref(file);
                        return e;
                }
        }
        reply_open(request_take(r), file);
        return 0;
}

static void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct request *r = request_new(session_of(req), req, ino, open_step);

        if (!r)
                return;
        r->flags = fi->flags;
        request_run(r);
}

static void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct file *file = file_find(session_of(req), fi->fh);

        (void)ino;
        if (file)
                file_unref(file);
        fuse_reply_err(req, 0);
}

/* A request about an open file. */
static struct request *file_request(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
                                    int (*step)(struct request *))
{
        struct file *file = file_find(session_of(req), fi->fh);
        struct request *r;

        if (!file || file->inode->nodeid != ino) {
                fuse_reply_err(req, EBADF);
                return NULL;
        }
        r = request_new(session_of(req), req, ino, step);
        if (r) {
                r->file = file_ref(file);
                r->flags = fi->flags;
                r->owner = fi->lock_owner;
        }
        return r;
}

static void reply_slice(struct request *r, const struct text *text, uint64_t offset)
{
        size_t n = 0;

        if (offset < text->size)
                n = text->size - offset < r->size ? text->size - offset : r->size;
        writing_note_read(&r->file->writing, r->offset + (off_t)n);
        fuse_reply_buf(request_take(r), n > 0 ? text->data + offset : NULL, n);
}

/*
 * A read at the start asks again, but for the first one after the opening, unless something has happened in between.
 * One further on continues what was read there, and so does the page cache (sendfile(2), mmap(2)), all of whose pages
 * shall be of one content. Only its reads have no owner.
 */
static bool needs_content(const struct request *r)
{
        const struct file *file = r->file;

        if (!file->content)
                return true;
        return r->offset == 0 && r->owner != 0 && !(file->unread && content_is_current(file->content, file->inode));
}

static int read_step(struct request *r)
{
        const struct kind *kind = r->inode->kind;
        struct file *file = r->file;
        struct text text = { 0 };
        int e = kind->read ? kind->read(r, file, &text) : READ_CONTENT;

        if (e == 0) {
                reply_slice(r, &text, 0);
                free(text.data);
                return 0;
        }
        if (e == READ_CONTENT)
                e = needs_content(r) ? content_renew(r, file) : 0;
        if (e)
                return e;
        if (r->offset == 0) {
                file->unread = false;
                file->seen = file->content->generation;
        }
        reply_slice(r, &file->content->text, (uint64_t)r->offset);
        return 0;
}

static void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        struct request *r = file_request(req, ino, fi, read_step);

        if (!r)
                return;
        r->size = size;
        r->offset = offset;
        request_run(r);
}

static void write_answer(struct request *r)
{
        fuse_reply_write(request_take(r), r->written);
}

static int write_step(struct request *r)
{
        int e = r->inode->kind->write(r, r->file);

        if (e == 0)
                write_answer(r);
        return e;
}

static void ops_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                      struct fuse_file_info *fi)
{
        struct request *r = file_request(req, ino, fi, write_step);
        int e;

        if (!r)
                return;
        r->offset = offset;
        r->answer = write_answer;
        r->waiter.patient = true;
        e = r->inode->kind->write ? writing_take(r, data, size) : -EBADF;
        if (e < 0 && r->inode->kind->refuse)
                r->inode->kind->refuse(r, r->file, e);
        /* a piece of a line is not a request yet, so there is no outcome to store */
        if (e == WRITING_KEPT)
                r->waiter.patient = false;
        if (e == 0)
                request_run(r);
        else
                request_finish(r, e == WRITING_KEPT ? 0 : e);
}

/* Each close(2) of a file that can be written, not only the last: a child of a shell closes its copies. */
static void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct file *file = file_find(session_of(req), fi->fh);

        (void)ino;
        fuse_reply_err(req, file ? -writing_flush(file, fi->lock_owner) : 0);
}

static void ops_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
        struct file *file = file_find(session_of(req), fi->fh);
        unsigned events;
        bool ready;

        if (!file || file->inode->nodeid != ino) {
                if (handle)
                        fuse_pollhandle_destroy(handle);
                fuse_reply_err(req, EBADF);
                return;
        }
        ready = file_has_news(file);
        events = ready ? POLLIN | POLLRDNORM : 0;
        if (ready && file_channel(file) != CHANNEL_NONE)
                events |= POLLPRI;
        if (file->inode->kind->write)
                events |= POLLOUT | POLLWRNORM;
        if (handle)
                file_poll(file, handle);
        fuse_reply_poll(req, events);
}

/* --- directories ------------------------------------------------------------------------------------------------ */

static int opendir_step(struct request *r)
{
        struct fuse_file_info fi = { 0 };
        struct file *file;
        int e;

        if (!r->inode->kind->list)
                return -ENOTDIR;
        if (r->inode->row && !row_is_supported(r->vm, r->inode->row))
                return -ESTALE;
        e = file_new(r->inode, O_RDONLY, &file);
        if (e < 0)
                return e;
        file->foreign = memory_is_foreign(r);
        fi.fh = file->handle;
        if (fuse_reply_open(request_take(r), &fi) == -ENOENT)
                file_unref(file);
        return 0;
}

static void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct request *r = request_new(session_of(req), req, ino, opendir_step);

        (void)fi;
        if (r)
                request_run(r);
}

/* The names as they are now, with "." and "..". */
static int list(struct request *r)
{
        struct inode *dir = r->inode;
        struct listing listing = { 0 };
        int e = listing_add(&listing, ".", S_IFDIR, dir->ino);

        if (e == 0)
                e = listing_add(&listing, "..", S_IFDIR, dir->parent ? dir->parent->ino : dir->ino);
        if (e == 0)
                e = dir->kind->list(r, dir, &listing);
        if (e == 0 && file_hold(r->file, &r->file->listing_held, listing.bytes) < 0)
                e = memory_fail(r, r->file->foreign);
        if (e) {
                listing_deinit(&listing);
                return e;
        }
        listing_deinit(&r->file->listing);
        r->file->listing = listing;
        r->file->has_listing = true;
        return 0;
}

static int readdir_step(struct request *r)
{
        _cleanup_(qmp_freep) char *buffer = NULL;
        const struct listing *listing = &r->file->listing;
        size_t used = 0;
        int e = 0;

        if (r->offset == 0 || !r->file->has_listing)
                e = list(r);
        if (e)
                return e;
        buffer = malloc(r->size);
        if (!buffer)
                return -ENOMEM;
        for (uint64_t i = (uint64_t)r->offset; i < listing->n; i++) {
                const struct listing_entry *entry = &listing->entries[i];
                struct stat attr = { .st_ino = entry->ino, .st_mode = entry->type };
                size_t n =
                        fuse_add_direntry(r->req, buffer + used, r->size - used, entry->name, &attr, (off_t)(i + 1));

                if (n > r->size - used)
                        break;
                used += n;
        }
        fuse_reply_buf(request_take(r), buffer, used);
        return 0;
}

static void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        struct request *r = file_request(req, ino, fi, readdir_step);

        if (!r)
                return;
        r->size = size;
        r->offset = offset;
        if (r->inode->kind->list)
                request_run(r);
        else
                request_finish(r, -ENOTDIR);
}

const struct fuse_lowlevel_ops session_ops = {
        .init = ops_init,
        .lookup = ops_lookup,
        .forget = ops_forget,
        .forget_multi = ops_forget_multi,
        .getattr = ops_getattr,
        .setattr = ops_setattr,
        .readlink = ops_readlink,
        .statfs = ops_statfs,
        .mknod = ops_mknod,
        .mkdir = ops_mkdir,
        .unlink = ops_unlink,
        .rmdir = ops_unlink,
        .symlink = ops_symlink,
        .rename = ops_rename,
        .link = ops_link,
        .create = ops_create,
        .open = ops_open,
        .read = ops_read,
        .write = ops_write,
        .flush = ops_flush,
        .release = ops_release,
        .poll = ops_poll,
        .opendir = ops_opendir,
        .readdir = ops_readdir,
        .releasedir = ops_release,
};
