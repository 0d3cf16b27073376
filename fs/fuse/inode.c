#include "fs/fuse/inode.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/random.h>
#include <time.h>

#include "fs/vm/object.h"
#include "fs/fuse/session.h"

/* Where a file's size isn't known without asking QEMU: as in sysfs. */
#define SIZE_UNKNOWN 4096
#define MIN_BUCKETS  64
/* What malloc() adds to a small piece of memory, approximately. */
#define ALLOCATION 16

static uint64_t mix(uint64_t h, const char *s)
{
        for (; *s; s++)
                h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
        h ^= h >> 32;
        return h * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t inode_child_ino(const struct inode *dir, const char *name)
{
        /* the upper half: the lower numbers are those of objects */
        return mix(dir->ino + UINT64_C(14695981039346656037), name) | UINT64_C(1) << 63;
}

static struct inode **bucket(struct inode_table *t, const struct inode *parent, const char *name)
{
        return &t->buckets[mix(parent->nodeid ^ t->seed, name) & (t->n_buckets - 1)];
}

static void resize(struct inode_table *t, size_t n_buckets)
{
        struct inode_table old = *t;

        t->buckets = calloc(n_buckets, sizeof(*t->buckets));
        if (!t->buckets) {
                /* the old one still works, only slower */
                t->buckets = old.buckets;
                return;
        }
        t->n_buckets = n_buckets;
        for (size_t i = 0; i < old.n_buckets; i++) {
                while (old.buckets[i]) {
                        struct inode *inode = old.buckets[i];
                        struct inode **head = bucket(t, inode->parent, inode->name);

                        old.buckets[i] = inode->hash_next;
                        inode->hash_next = *head;
                        *head = inode;
                }
        }
        free(old.buckets);
}

static void hash_add(struct inode_table *t, struct inode *inode)
{
        struct inode **head;

        if (t->n + 1 > t->n_buckets)
                resize(t, 2 * t->n_buckets);
        head = bucket(t, inode->parent, inode->name);
        inode->hash_next = *head;
        *head = inode;
        t->n++;
}

/* An inode that was replaced under its name is not in the table, nor is an inode of a kind with own_inode. */
static void hash_remove(struct inode_table *t, struct inode *inode)
{
        for (struct inode **i = bucket(t, inode->parent, inode->name); *i; i = &(*i)->hash_next) {
                if (*i == inode) {
                        *i = inode->hash_next;
                        t->n--;
                        if (t->n < t->n_buckets / 8 && t->n_buckets > MIN_BUCKETS) {
                                resize(t, t->n_buckets / 2);
                                /* the kernel has forgotten thousands of them */
                                malloc_trim(0);
                        }
                        return;
                }
        }
}

int inode_table_init(struct session *session, struct vm *vm, const struct row *root)
{
        struct inode_table *t = &session->inodes;
        struct inode *inode;
        int r;

        /* without random numbers yet, early in a boot, the time will do */
        if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
                t->seed = qmp_now();
        t->n_buckets = MIN_BUCKETS;
        t->buckets = calloc(t->n_buckets, sizeof(*t->buckets));
        inode = calloc(1, sizeof(*inode));
        if (!t->buckets || !inode) {
                free(inode);
                return -ENOMEM;
        }
        *inode = (struct inode){
                .session = session,
                .vm = vm,
                .ino = FUSE_ROOT_ID,
                .refs = 1, /* the table's own: the root stays */
                .kind = root->kind,
                .row = root,
                .born = session->born,
        };
        r = slots_add(&t->nodes, inode, &inode->nodeid);
        if (r < 0) {
                free(inode);
                return r;
        }
        assert(inode->nodeid == FUSE_ROOT_ID);
        return 0;
}

void inode_table_deinit(struct session *session)
{
        struct inode_table *t = &session->inodes;

        /* the kernel forgets nothing when it unmounts: drop its counts, children before parents */
        for (uint32_t i = t->files.n; i-- > 0;)
                if (t->files.slots[i].pointer)
                        file_unref(t->files.slots[i].pointer);
        for (uint32_t i = 0; i < t->nodes.n; i++) {
                struct inode *inode = t->nodes.slots[i].pointer;

                if (inode && inode->lookups > 0)
                        inode_forget(inode, inode->lookups);
        }
        if (t->nodes.n > 0)
                inode_unref(t->nodes.slots[0].pointer);
        slots_deinit(&t->nodes);
        slots_deinit(&t->files);
        free(t->buckets);
        t->buckets = NULL;
}

struct inode *inode_find(struct session *session, uint64_t nodeid)
{
        return slots_find(&session->inodes.nodes, nodeid);
}

struct inode *inode_ref(struct inode *inode)
{
        inode->refs++;
        return inode;
}

static void maybe_free(struct inode *inode)
{
        struct inode_table *t = &inode->session->inodes;
        struct inode *parent = inode->parent;

        if (inode->refs > 0 || inode->lookups > 0)
                return;
        if (parent)
                hash_remove(t, inode);
        slots_remove(&t->nodes, inode->nodeid);
        object_unref(inode->object);
        free(inode->qemu_name);
        free(inode->name);
        free(inode);
        inode_unref(parent);
}

struct inode *inode_unref(struct inode *inode)
{
        if (inode) {
                assert(inode->refs > 0);
                inode->refs--;
                maybe_free(inode);
        }
        return NULL;
}

void inode_forget(struct inode *inode, uint64_t lookups)
{
        inode->lookups -= lookups < inode->lookups ? lookups : inode->lookups;
        maybe_free(inode);
}

static int inode_new(struct inode *dir, const char *name, const struct inode_args *args, struct object *object,
                     struct inode **ret_inode)
{
        struct session *session = dir->session;
        const char *qemu_name = args->qemu_name && !streq(args->qemu_name, name) ? args->qemu_name : NULL;
        struct inode *inode = calloc(1, sizeof(*inode));
        int r = -ENOMEM;

        if (inode) {
                inode->name = strdup(name);
                inode->qemu_name = qemu_name ? strdup(qemu_name) : NULL;
        }
        if (inode && inode->name && (!qemu_name || inode->qemu_name))
                r = slots_add(&session->inodes.nodes, inode, &inode->nodeid);
        if (r < 0) {
                if (inode) {
                        free(inode->name);
                        free(inode->qemu_name);
                }
                free(inode);
                return r;
        }
        inode->session = session;
        inode->vm = args->vm ? args->vm : dir->vm;
        inode->epoch = inode->vm ? inode->vm->peer.epoch : 0;
        inode->refs = 1;
        inode->size = inode->told = -1;
        inode->parent = inode_ref(dir);
        inode->kind = args->kind;
        inode->row = args->row;
        inode->object = object ? object_ref(object) : NULL;
        inode->ino = args->ino ? args->ino : inode_child_ino(dir, name);
        if (object)
                inode->born = object->born;
        else
                inode->born = session->born;
        if (!inode->kind->own_inode)
                hash_add(&session->inodes, inode);
        *ret_inode = inode;
        return 0;
}

int inode_child(struct inode *dir, const char *name, const struct inode_args *args, struct inode **ret_inode)
{
        struct inode_table *t = &dir->session->inodes;
        struct object *object = args->object ? args->object : dir->object;
        struct vm *vm = args->vm ? args->vm : dir->vm;

        for (struct inode *i = *bucket(t, dir, name); i && !args->kind->own_inode; i = i->hash_next) {
                if (i->parent != dir || !streq(i->name, name))
                        continue;
                if (i->kind == args->kind && i->vm == vm && i->object == object && i->epoch >= args->since) {
                        *ret_inode = inode_ref(i);
                        return 0;
                }
                hash_remove(t, i);
                break;
        }
        return inode_new(dir, name, args, object, ret_inode);
}

int inode_renew(struct inode *inode, struct inode **ret_inode)
{
        struct inode_args args = {
                .kind = inode->kind,
                .row = inode->row,
                .vm = inode->vm,
                .object = inode->object,
                .qemu_name = inode->qemu_name,
                .ino = inode->ino,
        };

        assert(inode->parent && !inode->kind->own_inode);
        hash_remove(&inode->session->inodes, inode);
        return inode_child(inode->parent, inode->name, &args, ret_inode);
}

static unsigned permissions(const struct inode *inode)
{
        unsigned mode;

        if (S_ISDIR(inode->kind->type))
                return inode->row && inode->row->mode ? inode->row->mode : 0755;
        if (S_ISLNK(inode->kind->type))
                return 0777;
        mode = inode->row ? inode->row->mode : 0444;
        /* the group is one that is meant to have it */
        if (!(mode & 0004) && !inode->session->options.group_writes)
                mode &= ~0070u;
        if (inode->session->options.group_writes && (mode & 0200) && (mode & 0044) && !inode->row->dynamic &&
            !inode->row->owner)
                mode |= 0020;
        return mode;
}

void inode_attr(struct inode *inode, struct stat *ret_attr)
{
        struct session *session = inode->session;
        int64_t size = -1;

        if (inode->content)
                size = (int64_t)inode->content->text.size;
        else if (S_ISREG(inode->kind->type) && inode->kind->size)
                size = inode->kind->size(inode);
        if (size < 0)
                size = inode->size;
        *ret_attr = (struct stat){
                .st_ino = inode->ino,
                .st_mode = inode->kind->type | permissions(inode),
                .st_nlink = 1, /* for directories: "not counted", as btrfs has it */
                .st_uid = session->options.uid,
                .st_gid = session->options.gid,
                .st_size = S_ISREG(inode->kind->type) ? (size < 0 ? SIZE_UNKNOWN : size) : 0,
                /* so that stdio, jq, awk and shells write a long line in one piece */
                .st_blksize = inode->kind->write ? WRITING_MAX : 4096,
                .st_atim = inode->born,
                .st_mtim = inode->born,
                .st_ctim = inode->born,
        };
        inode->told = ret_attr->st_size;
        inode->announced = false;
        ret_attr->st_blocks = (ret_attr->st_size + 511) / 512;
        /* for programs that detect by the time that a log has grown */
        if (inode->vm && inode->row && inode->row->channel == CHANNEL_EVENTS)
                ret_attr->st_mtim = ret_attr->st_ctim = inode->vm->events.at;
        if (inode->vm && inode->row && inode->row->channel == CHANNEL_ERRORS)
                ret_attr->st_mtim = ret_attr->st_ctim = inode->vm->errors.at;
}

void inode_set_size(struct inode *inode, int64_t size)
{
        inode->size = size;
        if (inode->told < 0 || inode->told == size)
                return;
        /* a reader of the page cache finds the end of a shorter file by himself, and the kernel then has its size */
        if (size < inode->told)
                inode->told = size;
        if (inode->announced)
                return;
        inode->announced = true;
        (void)fuse_lowlevel_notify_inval_inode(inode->session->fuse, inode->nodeid, -1, 0);
}

char *inode_path(const struct inode *inode)
{
        size_t size = 0;
        char *path, *to;

        if (!inode->parent)
                return strdup("/");
        for (const struct inode *i = inode; i->parent; i = i->parent)
                size += 1 + strlen(i->name);
        path = malloc(size + 1);
        if (!path)
                return NULL;
        to = path + size;
        *to = '\0';
        for (const struct inode *i = inode; i->parent; i = i->parent) {
                size_t n = strlen(i->name);

                to -= n + 1;
                *to = '/';
                memcpy(to + 1, i->name, n);
        }
        return path;
}

int file_new(struct inode *inode, int flags, struct file **ret_file)
{
        struct file *file = calloc(1, sizeof(*file));
        int r;

        if (!file)
                return -ENOMEM;
        r = slots_add(&inode->session->inodes.files, file, &file->handle);
        if (r < 0) {
                free(file);
                return r;
        }
        file->refs = 1;
        file->inode = inode_ref(inode);
        file->flags = flags;
        if ((flags & O_ACCMODE) != O_RDONLY)
                inode->writers++;
        list_init(&file->watcher.link);
        *ret_file = file;
        return 0;
}

bool file_is_stream(const struct file *file)
{
        return file->inode->kind->stream && (file->flags & O_ACCMODE) == O_RDWR;
}

int file_hold(struct file *file, size_t *held, size_t bytes)
{
        if (memory_change(&file->inode->session->memory, file->foreign, *held, bytes) < 0)
                return -ENOMEM;
        file->held += bytes;
        file->held -= *held;
        *held = bytes;
        return 0;
}

struct file *file_find(struct session *session, uint64_t handle)
{
        return slots_find(&session->inodes.files, handle);
}

struct file *file_ref(struct file *file)
{
        file->refs++;
        return file;
}

struct file *file_unref(struct file *file)
{
        if (!file || --file->refs > 0)
                return NULL;
        if (file->inode->kind->release)
                file->inode->kind->release(file);
        list_unlink(&file->watcher.link);
        if (file->poll)
                fuse_pollhandle_destroy(file->poll);
        slots_remove(&file->inode->session->inodes.files, file->handle);
        writing_end(file);
        content_unref(file->content);
        if ((file->flags & O_ACCMODE) != O_RDONLY)
                file->inode->writers--;
        listing_deinit(&file->listing);
        (void)memory_change(&file->inode->session->memory, file->foreign, file->held, 0);
        inode_unref(file->inode);
        free(file);
        return NULL;
}

int listing_add(struct listing *l, const char *name, mode_t type, uint64_t ino)
{
        if (l->n == l->size) {
                size_t size = l->size ? 2 * l->size : 16;
                struct listing_entry *entries = reallocarray(l->entries, size, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                l->bytes += (size - l->size) * sizeof(*entries);
                l->entries = entries;
                l->size = size;
        }
        l->entries[l->n] = (struct listing_entry){ strdup(name), type, ino };
        l->bytes += strlen(name) + 1 + ALLOCATION;
        return l->entries[l->n].name ? (l->n++, 0) : -ENOMEM;
}

void listing_deinit(struct listing *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->entries[i].name);
        free(l->entries);
        *l = (struct listing){ 0 };
}
