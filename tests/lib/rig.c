#include "tests/lib/rig.h"
#include "fs/tree/tree.h"

#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* How long a reply may take, by the clock of the test: no limit of the daemon's is longer. */
#define REPLY_LIMIT (100 * SEC)

struct rig rig;

struct k_pending {
        uint64_t unique, node;
        uint32_t opcode;
};

struct rig_qom {
        char *path, *property, *json, *error_class, *desc;
};

#define GROW(array, n, size)                                                                                         \
        do {                                                                                                         \
                if ((n) == (size)) {                                                                                 \
                        (size) = (size) ? 2 * (size) : 16;                                                           \
                        (array) = reallocarray((array), (size), sizeof(*(array)));                                   \
                        CHECK(array);                                                                                \
                }                                                                                                    \
        } while (0)

/* --- what the kernel keeps --- */

static void know(uint64_t node)
{
        if (node == 0)
                return;
        for (size_t i = 0; i < rig.n_known; i++) {
                if (rig.known[i].node == node) {
                        rig.known[i].lookups++;
                        return;
                }
        }
        GROW(rig.known, rig.n_known, rig.known_size);
        rig.known[rig.n_known++] = (struct k_known){ node, 1 };
}

static void opened(uint64_t node, uint64_t fh, bool dir)
{
        GROW(rig.open, rig.n_open, rig.open_size);
        rig.open[rig.n_open++] = (struct k_open){ node, fh, dir };
}

static const struct fuse_dirent *next_entry(const struct k_reply *reply, size_t *at)
{
        const struct fuse_dirent *entry = (const struct fuse_dirent *)(const void *)(reply->data + *at);

        if (*at >= reply->size)
                return NULL;
        CHECK(*at + FUSE_NAME_OFFSET <= reply->size);
        *at += FUSE_DIRENT_SIZE(entry);
        CHECK(*at <= reply->size);
        return entry;
}

/* What a success of a request means for the kernel's books. */
static void book(const struct k_pending *pending, const struct k_reply *reply)
{
        const void *data = reply->data;

        switch (pending->opcode) {
        case FUSE_LOOKUP:
                CHECK(reply->size == sizeof(struct fuse_entry_out));
                know(((const struct fuse_entry_out *)data)->nodeid);
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                CHECK(reply->size == sizeof(struct fuse_open_out));
                opened(pending->node, ((const struct fuse_open_out *)data)->fh, pending->opcode == FUSE_OPENDIR);
                break;
        default:
                break;
        }
}

/* --- packets --- */

static void receive(struct qmp_source *source, uint32_t revents)
{
        static char packet[2 << 20];
        struct fuse_out_header header;
        ssize_t n;
        IN_HARNESS();

        (void)revents;
        while ((n = recv(source->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
                size_t size = (size_t)n - sizeof(header), i;
                struct k_reply *reply;

                CHECK((size_t)n >= sizeof(header));
                memcpy(&header, packet, sizeof(header));
                CHECK(header.len == (size_t)n);
                if (header.unique == 0) {
                        struct fuse_notify_poll_wakeup_out out;

                        if (header.error == FUSE_NOTIFY_INVAL_INODE) {
                                struct fuse_notify_inval_inode_out inval;

                                CHECK(size == sizeof(inval));
                                memcpy(&inval, packet + sizeof(header), sizeof(inval));
                                CHECK(inval.off == -1);
                                rig.n_invalidated++;
                                continue;
                        }
                        CHECK(header.error == FUSE_NOTIFY_POLL);
                        CHECK(size == sizeof(out));
                        memcpy(&out, packet + sizeof(header), sizeof(out));
                        rig.woken = reallocarray(rig.woken, rig.n_woken + 1, sizeof(*rig.woken));
                        CHECK(rig.woken);
                        rig.woken[rig.n_woken++] = out.kh;
                        continue;
                }
                if (header.unique & 1) {
                        /* libfuse tells of an interrupt that it found no request for */
                        CHECK(header.error == -EAGAIN || (rig.no_memory && header.error == -ENOMEM));
                        continue;
                }
                for (i = 0; i < rig.n_pending && rig.pending[i].unique != header.unique; i++)
                        ;
                if (i == rig.n_pending && rig.no_memory && header.error == -ENOMEM)
                        continue;
                ck_assert_msg(i < rig.n_pending, "an answer to no request, or a second one: %llu",
                              (unsigned long long)header.unique);
                CHECK(header.error <= 0);
                CHECK(header.error == 0 || size == 0);
                reply = malloc(sizeof(*reply) + size + 1);
                CHECK(reply);
                *reply = (struct k_reply){ .unique = header.unique, .error = header.error, .size = size };
                memcpy(reply->data, packet + sizeof(header), size);
                reply->data[size] = '\0';
                list_append(&rig.replies, &reply->link);
                if (reply->error == 0)
                        book(&rig.pending[i], reply);
                rig.pending[i] = rig.pending[--rig.n_pending];
        }
}

static void put(uint32_t opcode, uint64_t unique, uint64_t node, const void *a, size_t na, const void *b, size_t nb)
{
        struct fuse_in_header header = {
                .len = (uint32_t)(sizeof(header) + na + nb),
                .opcode = opcode,
                .unique = unique,
                .nodeid = node,
                .uid = rig.uid,
                .gid = getgid(),
                .pid = rig.pid,
        };
        struct iovec iov[] = {
                { &header, sizeof(header) },
                { (void *)(uintptr_t)a, na },
                { (void *)(uintptr_t)b, nb },
        };
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
        ssize_t n;

        while ((n = sendmsg(rig.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EAGAIN)
                CHECK(qmp_loop_turn(rig.loop, 0) == 0);
        CHECK(n == (ssize_t)header.len);
}

uint64_t k_send(uint32_t opcode, uint64_t node, const void *a, size_t na, const void *b, size_t nb)
{
        rig.unique += 2;
        GROW(rig.pending, rig.n_pending, rig.pending_size);
        rig.pending[rig.n_pending++] = (struct k_pending){ rig.unique, node, opcode };
        put(opcode, rig.unique, node, a, na, b, nb);
        return rig.unique;
}

static struct k_reply *take(uint64_t unique)
{
        list_for_each(i, &rig.replies) {
                struct k_reply *reply = list_entry(i, struct k_reply, link);

                if (reply->unique == unique) {
                        list_unlink(i);
                        return reply;
                }
        }
        return NULL;
}

bool k_is_answered(uint64_t unique)
{
        list_for_each(i, &rig.replies)
                if (list_entry(i, struct k_reply, link)->unique == unique)
                        return true;
        return false;
}

size_t k_n_pending(void)
{
        return rig.n_pending;
}

struct k_reply *k_wait(uint64_t unique)
{
        PUMP_WITHIN(rig.loop, REPLY_LIMIT, k_is_answered(unique));
        return take(unique);
}

int k_wait_error(uint64_t unique)
{
        struct k_reply *reply = k_wait(unique);
        int error = reply->error;

        free(reply);
        return error;
}

/* Waits for a reply of a struct; 0 or the error. */
static int wait_struct(uint64_t unique, void *ret, size_t size)
{
        struct k_reply *reply = k_wait(unique);
        int error = reply->error;

        if (error == 0) {
                CHECK(reply->size == size);
                if (ret)
                        memcpy(ret, reply->data, size);
        }
        free(reply);
        return error;
}

uint64_t k_send_lookup(uint64_t parent, const char *name)
{
        return k_send(FUSE_LOOKUP, parent, name, strlen(name) + 1, NULL, 0);
}

int k_lookup(uint64_t parent, const char *name, struct fuse_entry_out *ret_entry)
{
        return wait_struct(k_send_lookup(parent, name), ret_entry, sizeof(*ret_entry));
}

void k_forget(uint64_t node, uint64_t lookups)
{
        struct fuse_forget_in in = { .nlookup = lookups };

        for (size_t i = 0; i < rig.n_known; i++) {
                if (rig.known[i].node == node) {
                        CHECK(rig.known[i].lookups >= lookups);
                        rig.known[i].lookups -= lookups;
                        if (rig.known[i].lookups == 0)
                                rig.known[i] = rig.known[--rig.n_known];
                        break;
                }
        }
        put(FUSE_FORGET, rig.unique += 2, node, &in, sizeof(in), NULL, 0);
}

int k_getattr(uint64_t node, struct fuse_attr *ret_attr)
{
        struct fuse_getattr_in in = { 0 };
        struct fuse_attr_out out;
        int r = wait_struct(k_send(FUSE_GETATTR, node, &in, sizeof(in), NULL, 0), &out, sizeof(out));

        if (r == 0)
                *ret_attr = out.attr;
        return r;
}

int k_setattr(uint64_t node, uint32_t valid, uint64_t size)
{
        struct fuse_setattr_in in = { .valid = valid, .size = size };

        return k_wait_error(k_send(FUSE_SETATTR, node, &in, sizeof(in), NULL, 0));
}

uint64_t k_send_readlink(uint64_t node)
{
        return k_send(FUSE_READLINK, node, NULL, 0, NULL, 0);
}

static uint64_t send_open(uint32_t opcode, uint64_t node, int flags)
{
        struct fuse_open_in in = { .flags = (uint32_t)flags };

        return k_send(opcode, node, &in, sizeof(in), NULL, 0);
}

static int take_open(uint64_t unique, uint64_t node, int flags, struct k_file *ret_file)
{
        struct fuse_open_out out;
        int r = wait_struct(unique, &out, sizeof(out));

        if (r == 0)
                *ret_file = (struct k_file){ node, out.fh, out.open_flags, flags };
        return r;
}

uint64_t k_send_open(uint64_t node, int flags)
{
        return send_open(FUSE_OPEN, node, flags);
}

int k_opened(uint64_t unique, uint64_t node, int flags, struct k_file *ret_file)
{
        return take_open(unique, node, flags, ret_file);
}

int k_open_once(uint64_t node, int flags, struct k_file *ret_file)
{
        return take_open(k_send_open(node, flags), node, flags, ret_file);
}

int k_open(uint64_t node, int flags, struct k_file *ret_file)
{
        int r = k_open_once(node, flags, ret_file);

        return r == -ESTALE ? k_open_once(node, flags, ret_file) : r;
}

int k_opendir(uint64_t node, struct k_file *ret_file)
{
        int flags = O_RDONLY | O_DIRECTORY;

        return take_open(send_open(FUSE_OPENDIR, node, flags), node, flags, ret_file);
}

uint64_t k_send_read(const struct k_file *file, uint64_t offset, uint32_t size)
{
        /* by read(2) */
        struct fuse_read_in in = {
                .fh = file->fh,
                .offset = offset,
                .size = size,
                .flags = (uint32_t)file->flags,
                .read_flags = FUSE_READ_LOCKOWNER,
                .lock_owner = 1,
        };

        return k_send(FUSE_READ, file->node, &in, sizeof(in), NULL, 0);
}

uint64_t k_send_readpages(const struct k_file *file, uint64_t offset, uint32_t size)
{
        struct fuse_read_in in = { .fh = file->fh, .offset = offset, .size = size, .flags = (uint32_t)file->flags };

        return k_send(FUSE_READ, file->node, &in, sizeof(in), NULL, 0);
}

uint64_t k_send_write(const struct k_file *file, const void *data, size_t size)
{
        const char *text = data;
        _cleanup_(qmp_freep) char *line = NULL;

        if (size > 0 && text[size - 1] == '\n')
                return k_send_pwrite(file, data, size, 0);
        line = malloc(size + 1);
        CHECK(line);
        memcpy(line, text, size);
        line[size] = '\n';
        return k_send_pwrite(file, line, size + 1, 0);
}

uint64_t k_send_pwrite(const struct k_file *file, const void *data, size_t size, uint64_t offset)
{
        struct fuse_write_in in = {
                .fh = file->fh,
                .offset = offset,
                .size = (uint32_t)size,
                .write_flags = rig.owner ? FUSE_WRITE_LOCKOWNER : 0,
                .lock_owner = rig.owner,
                .flags = (uint32_t)file->flags,
        };

        return k_send(FUSE_WRITE, file->node, &in, sizeof(in), data, size);
}

uint64_t k_send_readdir(const struct k_file *file, uint64_t offset, uint32_t size)
{
        struct fuse_read_in in = { .fh = file->fh, .offset = offset, .size = size };

        return k_send(FUSE_READDIR, file->node, &in, sizeof(in), NULL, 0);
}

void k_release(const struct k_file *file)
{
        struct fuse_release_in in = { .fh = file->fh, .flags = (uint32_t)file->flags };
        bool dir = false;
        size_t i;
        /* libfuse can't tell the kernel that it had no memory for it */
        IN_HARNESS();

        for (i = 0; i < rig.n_open && rig.open[i].fh != file->fh; i++)
                ;
        CHECK(i < rig.n_open);
        dir = rig.open[i].dir;
        rig.open[i] = rig.open[--rig.n_open];
        ck_assert_int_eq(
                k_wait_error(k_send(dir ? FUSE_RELEASEDIR : FUSE_RELEASE, file->node, &in, sizeof(in), NULL, 0)), 0);
}

void k_drop_all(void)
{
        IN_HARNESS();

        while (!rig.ended && rig.n_open > 0) {
                struct k_file file = { .node = rig.open[0].node, .fh = rig.open[0].fh };

                k_release(&file);
        }
        while (!rig.ended && rig.n_known > 0)
                k_forget(rig.known[0].node, rig.known[0].lookups);
}

void k_interrupt(uint64_t unique)
{
        struct fuse_interrupt_in in = { .unique = unique };

        /* what libfuse can't find it may answer with EAGAIN, later */
        put(FUSE_INTERRUPT, unique | 1, 0, &in, sizeof(in), NULL, 0);
}

unsigned k_poll(const struct k_file *file, uint64_t handle)
{
        struct fuse_poll_in in = {
                .fh = file->fh,
                .kh = handle,
                .flags = handle ? FUSE_POLL_SCHEDULE_NOTIFY : 0,
        };
        struct fuse_poll_out out;

        CHECK(wait_struct(k_send(FUSE_POLL, file->node, &in, sizeof(in), NULL, 0), &out, sizeof(out)) == 0);
        return out.revents;
}

bool k_was_woken(uint64_t handle)
{
        for (size_t i = 0; i < rig.n_woken; i++)
                if (rig.woken[i] == handle)
                        return true;
        return false;
}

/* --- as a shell --- */

int rig_walk(const char *path, struct fuse_entry_out *ret_entry)
{
        struct fuse_entry_out entry = { .nodeid = FUSE_ROOT_ID };
        _cleanup_(qmp_freep) char *copy = strdup(path);
        char *save = NULL;

        for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
                int r = k_lookup(entry.nodeid, name, &entry);

                if (r < 0)
                        return r;
                CHECK(entry.nodeid != 0);
        }
        *ret_entry = entry;
        return 0;
}

int rig_open(const char *path, int flags, struct k_file *ret_file)
{
        struct fuse_entry_out entry;
        int r = rig_walk(path, &entry);

        if (r == 0)
                r = k_open_once(entry.nodeid, flags, ret_file);
        if (r != -ESTALE)
                return r;
        /* as do_filp_open() */
        r = rig_walk(path, &entry);
        return r < 0 ? r : k_open_once(entry.nodeid, flags, ret_file);
}

struct k_file rig_must_open(const char *path, int flags)
{
        struct k_file file;
        int r = rig_open(path, flags, &file);

        ck_assert_msg(r == 0, "%s: %s", path, strerror(-r));
        return file;
}

struct k_file rig_must_open_and_read(const char *path, int flags)
{
        struct k_file file = rig_must_open(path, flags);

        ck_assert_int_eq(k_wait_error(k_send_read(&file, 0, 1)), 0);
        free(rig_sent());
        return file;
}

int rig_read_all(const struct k_file *file, char **ret_text, size_t *ret_size)
{
        char *text = calloc(1, 1);
        size_t size = 0;

        for (;;) {
                struct k_reply *reply = k_wait(k_send_read(file, size, 65536));
                int error = reply->error;
                size_t n = reply->size;

                CHECK(n <= 65536);
                if (error == 0 && n > 0) {
                        text = realloc(text, size + n + 1);
                        CHECK(text);
                        memcpy(text + size, reply->data, n + 1);
                        size += n;
                }
                free(reply);
                if (error < 0) {
                        free(text);
                        return error;
                }
                if (n == 0)
                        break;
        }
        *ret_text = text;
        if (ret_size)
                *ret_size = size;
        return 0;
}

int rig_cat(const char *path, char **ret_text)
{
        struct k_file file;
        int r = rig_open(path, O_RDONLY, &file);

        if (r < 0)
                return r;
        r = rig_read_all(&file, ret_text, NULL);
        k_release(&file);
        return r;
}

static void add_name(char **names, const char *name, size_t size)
{
        char *more;

        if ((size == 1 && name[0] == '.') || (size == 2 && memcmp(name, "..", 2) == 0))
                return;
        CHECK(asprintf(&more, "%s%s%.*s", *names, **names ? " " : "", (int)size, name) >= 0);
        free(*names);
        *names = more;
}

int rig_ls(const char *path, char **ret_names)
{
        struct fuse_entry_out entry;
        struct k_file file;
        char *names = strdup("");
        uint64_t offset = 0;
        int r = rig_walk(path, &entry);

        if (r == 0)
                r = k_opendir(entry.nodeid, &file);
        if (r < 0) {
                free(names);
                return r;
        }
        for (;;) {
                struct k_reply *reply = k_wait(k_send_readdir(&file, offset, 4096));
                const struct fuse_dirent *e;
                bool end = reply->size == 0;

                r = reply->error;
                for (size_t at = 0; (e = next_entry(reply, &at)); offset = e->off)
                        add_name(&names, e->name, e->namelen);
                free(reply);
                if (r < 0 || end)
                        break;
        }
        k_release(&file);
        if (r < 0)
                free(names);
        else
                *ret_names = names;
        return r;
}

char *rig_root(bool (*is_there)(const struct row *row))
{
        char *names = strdup("");

        for (const struct row *row = tree_root.data; row->name; row++)
                if (!is_there || is_there(row))
                        add_name(&names, row->name, strlen(row->name));
        return names;
}

int rig_readlink(const char *path, char **ret_target)
{
        struct fuse_entry_out entry;
        struct k_reply *reply;
        int r = rig_walk(path, &entry);

        if (r < 0)
                return r;
        reply = k_wait(k_send_readlink(entry.nodeid));
        r = reply->error;
        if (r == 0)
                *ret_target = strdup(reply->data);
        free(reply);
        return r;
}

int rig_echo(const char *path, const char *text)
{
        struct k_file file;
        struct k_reply *reply;
        int r = rig_open(path, O_WRONLY | O_TRUNC, &file);

        if (r < 0)
                return r;
        reply = k_wait(k_send_write(&file, text, strlen(text)));
        r = reply->error;
        if (r == 0) {
                struct fuse_write_out out;

                CHECK(reply->size == sizeof(out));
                memcpy(&out, reply->data, sizeof(out));
                CHECK(out.size == strlen(text) || out.size == strlen(text) + 1);
        }
        free(reply);
        k_release(&file);
        return r;
}

/* --- QEMU --- */

static struct rig_qom *find_qom(const char *path, const char *property)
{
        for (size_t i = 0; i < rig.n_qom; i++) {
                struct rig_qom *q = &rig.qom[i];

                if (streq(q->path, path) && (property ? q->property && streq(q->property, property) : !q->property))
                        return q;
        }
        return NULL;
}

static struct rig_qom *set_qom(const char *path, const char *property)
{
        struct rig_qom *q = find_qom(path, property);

        if (!q) {
                rig.qom = reallocarray(rig.qom, rig.n_qom + 1, sizeof(*rig.qom));
                CHECK(rig.qom);
                q = &rig.qom[rig.n_qom++];
                *q = (struct rig_qom){ .path = strdup(path), .property = property ? strdup(property) : NULL };
        }
        free(take_ptr(q->json));
        free(take_ptr(q->error_class));
        free(take_ptr(q->desc));
        return q;
}

void rig_qom(const char *path, const char *property, const char *json)
{
        struct rig_qom *q = set_qom(path, property);

        if (json)
                q->json = strdup(json);
}

void rig_qom_error(const char *path, const char *property, const char *error_class, const char *desc)
{
        struct rig_qom *q = set_qom(path, property);

        q->error_class = strdup(error_class);
        q->desc = strdup(desc);
}

static void answer_qom(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        struct json_object *path = NULL, *property = NULL;
        _cleanup_(qmp_freep) char *text = NULL;
        struct rig_qom *q;
        const char *p;

        (void)userdata;
        CHECK(json_object_object_get_ex(command->arguments, "path", &path));
        (void)json_object_object_get_ex(command->arguments, "property", &property);
        p = json_object_get_string(path);
        q = find_qom(p, property ? json_object_get_string(property) : NULL);
        if (q && q->desc) {
                fake_error(fake, command, q->error_class, q->desc);
        } else if (q && q->json) {
                fake_return(fake, command, q->json);
        } else if (property && find_qom(p, NULL) && find_qom(p, NULL)->json) {
                ck_assert_int_ge(asprintf(&text, "Property '%s.%s' not found", p, json_object_get_string(property)),
                                 0);
                fake_error(fake, command, "GenericError", text);
        } else {
                CHECK(asprintf(&text, "Device '%s' not found", p) >= 0);
                fake_error(fake, command, "DeviceNotFound", text);
        }
}

void rig_event(const char *name, const char *data_format, ...)
{
        _cleanup_(qmp_freep) char *data = NULL;
        va_list args;

        va_start(args, data_format);
        CHECK(vasprintf(&data, data_format, args) >= 0);
        va_end(args);
        fake_event(rig.fake, name, *data ? data : NULL);
}

void rig_deleted(const char *path)
{
        const char *id = startswith(path, "/machine/peripheral/");

        if (id && !strchr(id, '/'))
                rig_event("DEVICE_DELETED", "{\"device\": \"%s\", \"path\": \"%s\"}", id, path);
        else
                rig_event("DEVICE_DELETED", "{\"path\": \"%s\"}", path);
}

char *rig_sent(void)
{
        char *names = strdup("");

        for (; rig.mark < rig.fake->n_commands; rig.mark++)
                add_name(&names, rig.fake->commands[rig.mark]->name, strlen(rig.fake->commands[rig.mark]->name));
        return names;
}

const struct fake_command *rig_last(const char *name)
{
        for (size_t i = rig.fake->n_commands; i > 0; i--)
                if (streq(rig.fake->commands[i - 1]->name, name))
                        return rig.fake->commands[i - 1];
        ck_abort_msg("QEMU never got %s", name);
        return NULL;
}

size_t rig_count(const char *name)
{
        return fake_count(rig.fake, name);
}

static char *keep(char *text)
{
        static char *kept[16];
        static size_t n;
        char **place = &kept[n++ % ARRAY_SIZE(kept)];

        free(*place);
        *place = text;
        return text;
}

const char *rig_drive(const char *device, const char *qdev)
{
        char *text;

        if (qdev)
                ck_assert_int_ge(
                        asprintf(&text,
                                 "{\"device\": \"%s\", \"locked\": false, \"removable\": false, \"qdev\": \"%s\", "
                                 "\"inserted\": {\"image\": {\"virtual-size\": 42949672960, \"filename\": "
                                 "\"a.img\"}, \"node-name\": \"#block1\", \"ro\": false}, \"type\": \"unknown\"}",
                                 device, qdev),
                        0);
        else
                ck_assert_int_ge(
                        asprintf(&text,
                                 "{\"device\": \"%s\", \"locked\": false, \"removable\": true, \"inserted\": "
                                 "{\"node-name\": \"#block1\", \"ro\": false}, \"type\": \"unknown\"}",
                                 device),
                        0);
        return keep(text);
}

const char *rig_list(const char *a, const char *b, const char *c)
{
        char *text;

        ck_assert_int_ge(
                asprintf(&text, "[%s%s%s%s%s]", a ? a : "", b ? ", " : "", b ? b : "", c ? ", " : "", c ? c : ""), 0);
        return keep(text);
}

static void plain_vm(void)
{
        static const char devices[] =
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"nv0\", \"type\": \"child<nvme>\"}, "
                "{\"name\": \"dimm1\", \"type\": \"child<pc-dimm>\"}, "
                "{\"name\": \"cpu1\", \"type\": \"child<max-x86_64-cpu>\"}]";
        static const char anonymous[] = "[{\"name\": \"type\", \"type\": \"string\"}, "
                                        "{\"name\": \"device[0]\", \"type\": \"child<virtio-blk-pci>\"}]";
        static const char properties[] =
                "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"drive\", \"type\": \"str\"}, "
                "{\"name\": \"serial\", \"type\": \"str\"}, {\"name\": \"addr\", \"type\": \"int32\"}, "
                "{\"name\": \"nvme[0]\", \"type\": \"child<memory-region>\"}]";
        struct fake_qemu *f = rig.fake;

        fake_on(f, "query-status", "{\"status\": \"running\", \"singlestep\": false, \"running\": true}");
        fake_on(f, "query-name", "{\"name\": \"vm1\"}");
        fake_on(f, "query-uuid", "{\"UUID\": \"00000000-0000-0000-0000-00000000000a\"}");
        fake_on(f, "query-version", FAKE_VERSION);
        fake_on(f, "query-block",
                rig_list(rig_drive("NVME1", "nv0"),
                         rig_drive("virtio0", "/machine/peripheral-anon/device[0]/virtio-backend"), NULL));
        fake_on(f, "query-cpus-fast",
                "[{\"thread-id\": 100, \"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 0}, "
                "\"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0, \"target\": \"x86_64\"}, "
                "{\"thread-id\": 101, \"props\": {\"core-id\": 1, \"thread-id\": 0, \"socket-id\": 0}, "
                "\"qom-path\": \"/machine/peripheral/cpu1\", \"cpu-index\": 1, \"target\": \"x86_64\"}]");
        fake_on(f, "query-memory-devices",
                "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/mem1\", \"hotplugged\": true, \"addr\": "
                "4294967296, \"hotpluggable\": true, \"size\": 134217728, \"slot\": 0, \"node\": 0, \"id\": "
                "\"dimm1\"}}]");
        fake_on(f, "query-hotpluggable-cpus",
                "[{\"props\": {\"core-id\": 1}, \"vcpus-count\": 1, \"qom-path\": \"/machine/peripheral/cpu1\", "
                "\"type\": "
                "\"max-x86_64-cpu\"}, {\"props\": {\"core-id\": 2}, \"vcpus-count\": 1, \"type\": "
                "\"max-x86_64-cpu\"}]");
        fake_on(f, "device_del", "{}");
        fake_on_call(f, "qom-list", answer_qom, NULL);
        fake_on_call(f, "qom-get", answer_qom, NULL);
        rig_qom("/machine/peripheral", NULL, devices);
        rig_qom("/machine/peripheral-anon", NULL, anonymous);
        rig_qom("/machine/peripheral/nv0", NULL, properties);
        rig_qom("/machine/peripheral/nv0", "type", "\"nvme\"");
        rig_qom("/machine/peripheral/nv0", "drive", "\"NVME1\"");
        rig_qom("/machine/peripheral/nv0", "serial", "\"abc\"");
        rig_qom("/machine/peripheral/nv0", "addr", "32");
        rig_qom("/machine/peripheral/dimm1", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        rig_qom("/machine/peripheral/cpu1", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        rig_qom("/machine/peripheral-anon/device[0]", NULL, "[{\"name\": \"type\", \"type\": \"string\"}]");
        rig_qom("/machine/peripheral-anon/device[0]/virtio-backend", NULL, "[]");
        rig_qom("/machine/peripheral-anon/device[0]/virtio-backend", "drive", "\"virtio0\"");
}

/* --- the daemon --- */

static void session_ended(struct session *session)
{
        (void)session;
        rig.ended = true;
}

void rig_make_with(const char *address, const struct vm_options *options)
{
        struct session_options session_options = { .root = &tree_root, .uid = 1000, .gid = 100 };
        char *argv[] = { (char *)(uintptr_t) "qmpfs", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(1, argv);
        int fds[2];

        rig = (struct rig){ .source.fd = -1, .fd = -1, .uid = getuid(), .pid = (uint32_t)getpid() };
        list_init(&rig.replies);
        CHECK(qmp_loop_new(&rig.loop) == 0);
        rig.fake = fake_new(rig.loop);
        plain_vm();
        CHECK(vm_new(rig.loop, address, options, &rig.vm) == 0);
        CHECK(session_new(rig.loop, rig.vm, &args, &session_options, &rig.session) == 0);
        fuse_opt_free_args(&args);
        rig.session->ended = session_ended;
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        rig.fd = fds[0];
        CHECK(session_attach(rig.session, fds[1]) == 0);
        CHECK(qmp_loop_add(rig.loop, &rig.source, rig.fd, EPOLLIN, receive) == 0);
}

void rig_make(const char *address)
{
        rig_make_with(address, &(struct vm_options){
                                       .timeout_ns = 10 * SEC,
                                       .unplug_timeout_ns = 30 * SEC,
                                       .command_timeout_ns = 60 * SEC,
                                       .structure_ttl_ns = 100 * MS,
                                       .max_load = 10,
                               });
}

void rig_connect(void)
{
        size_t n = rig_count("query-status");
        int fd = fake_connect(rig.fake, 0);

        CHECK(qmp_client_start_fd(rig.vm->client, fd) == 0);
        PUMP(rig.loop, rig.vm->up && rig_count("query-status") == n + 1);
        SETTLE();
        rig.mark = rig.fake->n_commands;
}

void rig_init(void)
{
        struct fuse_init_in in = {
                .major = FUSE_KERNEL_VERSION,
                .minor = FUSE_KERNEL_MINOR_VERSION,
                .max_readahead = 131072,
                .flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_SPLICE_READ |
                         FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                         FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES,
        };
        struct fuse_init_out out;

        CHECK(wait_struct(k_send(FUSE_INIT, 0, &in, sizeof(in), NULL, 0), &out, sizeof(out)) == 0);
        CHECK(out.major == FUSE_KERNEL_VERSION);
        CHECK(out.max_write > 65536);
        CHECK(!(out.flags & FUSE_ATOMIC_O_TRUNC));
        /* what can't be cached is not worth to be looked up beforehand */
        CHECK(!(out.flags & FUSE_DO_READDIRPLUS));
}

void rig_up(void)
{
        test_time_virtual();
        rig_make("/run/fake.sock");
        rig_init();
        rig_connect();
}

static size_t live(const struct slots *slots)
{
        size_t n = 0;

        for (uint32_t i = 0; i < slots->n; i++)
                n += slots->slots[i].pointer != NULL;
        return n;
}

void rig_end(void)
{
        rig.session = session_free(rig.session);
        rig.vm = vm_free(rig.vm);
}

void rig_forget(void)
{
        k_drop_all();
        if (rig.ended)
                return;
        PUMP(rig.loop, list_empty(&rig.session->contents.repeats));
        SETTLE();
        CHECK(rig.n_pending == 0);
        CHECK(list_empty(&rig.vm->requests));
        CHECK(live(&rig.session->inodes.files) == 0);
        CHECK(live(&rig.session->inodes.nodes) == 1);
        CHECK(rig.session->inodes.n == 0);
        CHECK(list_empty(&rig.vm->listeners));
        for (size_t i = 0; i < N_CHANNELS; i++)
                CHECK(list_empty(&rig.vm->news[i].watchers));
}

void rig_unmake(void)
{
        if (rig.session && !rig.ended)
                rig_forget();
        rig_end();
        qmp_loop_remove(rig.loop, &rig.source);
        close(rig.fd);
        rig.fake = fake_free(rig.fake);
        rig.loop = qmp_loop_free(rig.loop);
        list_for_each_safe(i, &rig.replies) {
                list_unlink(i);
                free(list_entry(i, struct k_reply, link));
        }
        for (size_t i = 0; i < rig.n_qom; i++) {
                free(rig.qom[i].path);
                free(rig.qom[i].property);
                free(rig.qom[i].json);
                free(rig.qom[i].error_class);
                free(rig.qom[i].desc);
        }
        free(rig.qom);
        free(rig.pending);
        free(rig.known);
        free(rig.open);
        free(rig.woken);
}

void rig_down(void)
{
        rig_unmake();
        test_time_real();
}
