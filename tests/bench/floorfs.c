/*
 * floorfs MOUNTPOINT -- the least that a FUSE filesystem costs here: the same kernel requests, direct I/O and nothing
 * cached, answered at once from memory.
 *
 *   s<N>  a file of N bytes
 *   d<N>  a directory of N files, s<N>_0 to s<N>_<N-1>, each of 100 bytes; readdirplus gives their attributes
 */
#define FUSE_USE_VERSION 35

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_MAX_FILE (16 << 20)
#define ENTRY_SIZE    100

/* Inode numbers say it all: 1 the root, FILE_BIT | size, DIR_BIT | entries, and files of directories. */
#define FILE_BIT  (UINT64_C(1) << 40)
#define DIR_BIT   (UINT64_C(1) << 41)
#define ENTRY_BIT (UINT64_C(1) << 42)

static char zeros[SIZE_MAX_FILE];

static size_t size_of(fuse_ino_t ino)
{
        return ino & FILE_BIT ? ino & (FILE_BIT - 1) : ino & ENTRY_BIT ? ENTRY_SIZE : 0;
}

static void fill(fuse_ino_t ino, struct stat *ret_attr)
{
        int is_dir = ino == FUSE_ROOT_ID || ino & DIR_BIT;

        *ret_attr = (struct stat){
                .st_ino = ino,
                .st_mode = is_dir ? S_IFDIR | 0755 : S_IFREG | 0444,
                .st_nlink = 1,
                .st_size = (off_t)size_of(ino),
        };
}

static int find(const char *name, fuse_ino_t *ret_ino)
{
        unsigned long n, m;
        char end;

        if (sscanf(name, "s%lu_%lu%c", &n, &m, &end) == 2)
                *ret_ino = ENTRY_BIT | m;
        else if (sscanf(name, "s%lu%c", &n, &end) == 1 && n <= SIZE_MAX_FILE)
                *ret_ino = FILE_BIT | n;
        else if (sscanf(name, "d%lu%c", &n, &end) == 1)
                *ret_ino = DIR_BIT | n;
        else
                return -1;
        return 0;
}

static void floor_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        struct fuse_entry_param entry = { 0 };

        (void)parent;
        if (find(name, &entry.ino) < 0) {
                fuse_reply_err(req, ENOENT);
                return;
        }
        fill(entry.ino, &entry.attr);
        fuse_reply_entry(req, &entry);
}

static void floor_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct stat attr;

        (void)fi;
        fill(ino, &attr);
        fuse_reply_attr(req, &attr, 0);
}

static void floor_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        (void)ino;
        fi->direct_io = 1;
        fuse_reply_open(req, fi);
}

static void floor_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        size_t total = size_of(ino), n = 0;

        (void)fi;
        if ((size_t)offset < total)
                n = total - (size_t)offset < size ? total - (size_t)offset : size;
        fuse_reply_buf(req, zeros, n);
}

static void floor_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, int plus)
{
        size_t n = ino & DIR_BIT ? ino & (DIR_BIT - 1) : 0, used = 0;
        char *buffer = malloc(size);

        for (size_t i = (size_t)offset; i < n; i++) {
                struct fuse_entry_param entry = { .ino = ENTRY_BIT | i };
                char name[64];
                size_t need;

                snprintf(name, sizeof(name), "s%zu_%zu", n, i);
                fill(entry.ino, &entry.attr);
                need = plus ? fuse_add_direntry_plus(req, buffer + used, size - used, name, &entry, (off_t)(i + 1))
                            : fuse_add_direntry(req, buffer + used, size - used, name, &entry.attr, (off_t)(i + 1));
                if (need > size - used)
                        break;
                used += need;
        }
        fuse_reply_buf(req, buffer, used);
        free(buffer);
}

static void floor_plain(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        (void)fi;
        floor_readdir(req, ino, size, offset, 0);
}

static void floor_plus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        (void)fi;
        floor_readdir(req, ino, size, offset, 1);
}

static const struct fuse_lowlevel_ops ops = {
        .lookup = floor_lookup,
        .getattr = floor_getattr,
        .open = floor_open,
        .read = floor_read,
        .readdir = floor_plain,
        .readdirplus = floor_plus,
};

int main(int argc, char **argv)
{
        struct fuse_args args = FUSE_ARGS_INIT(1, argv);
        struct fuse_session *session;
        int r;

        if (argc != 2)
                return 2;
        session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
        if (!session || fuse_session_mount(session, argv[1]) < 0 || fuse_set_signal_handlers(session) < 0)
                return 1;
        r = fuse_session_loop(session);
        fuse_session_unmount(session);
        fuse_session_destroy(session);
        return r < 0;
}
