#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fs/tree/tree.h"
#include "fs/fuse/inode.h"
#include "tests/lib/clock.h"

/* More turns than any input of a few kilobytes can keep it busy for. */
#define TURNS_MAX 1000000
/* What the kernel's largest reply is. */
#define PACKET_MAX (1 << 20)
/* QEMU reads nothing deeper: its answer would be several errors, and everybody's replies out of step. */
#define COMMAND_DEPTH_MAX 1024

struct rig rig;

static void fuse_said(enum fuse_log_level level, const char *format, va_list args)
{
        (void)level;
        (void)format;
        (void)args;
}

void rig_init(void)
{
        test_time_virtual();
        fuse_set_log_func(fuse_said);
        signal(SIGPIPE, SIG_IGN);
}

static void *grow(void *array, size_t n, size_t size)
{
        /* by doubling */
        if ((n & (n - 1)) == 0)
                array = reallocarray(array, n ? 2 * n : 1, size);
        MUST(array);
        return array;
}

static char *copy(const char *text)
{
        char *to = strdup(text);

        MUST(to);
        return to;
}

_printf_(1, 2) static char *format(const char *how, ...)
{
        va_list args;
        char *text;

        va_start(args, how);
        MUST(vasprintf(&text, how, args) >= 0);
        va_end(args);
        return text;
}

/* --- time -------------------------------------------------------------------------------------------------------- */

static void turn(unsigned *turns, int timeout_ms)
{
        MUST_MSG(++*turns < TURNS_MAX, "no end of turns");
        MUST(qmp_loop_turn(rig.loop, timeout_ms) == 0);
}

void rig_pass(uint64_t ns)
{
        uint64_t until = qmp_now() + ns, now;
        unsigned turns = 0;

        while ((now = qmp_now()) < until) {
                uint64_t ms = (until - now + MS - 1) / MS;

                turn(&turns, ms > 1000 ? 1000 : (int)ms);
        }
}

void rig_settle(void)
{
        rig_pass(MS);
}

/* --- the kernel: what it believes -------------------------------------------------------------------------------- */

static struct rig_node *find_node(uint64_t id)
{
        for (size_t i = 0; i < rig.n_nodes; i++)
                if (rig.nodes[i].id == id)
                        return &rig.nodes[i];
        return NULL;
}

static void check_attr(const struct fuse_attr *attr)
{
        MUST(S_ISREG(attr->mode) || S_ISDIR(attr->mode) || S_ISLNK(attr->mode));
        MUST(attr->ino != 0);
        MUST(attr->size <= INT64_MAX);
}

static void forget(uint64_t id, uint64_t lookups)
{
        struct fuse_forget_in in = { .nlookup = lookups };
        struct fuse_in_header header = { .len = sizeof(header) + sizeof(in), .opcode = FUSE_FORGET, .nodeid = id };
        struct iovec iov[] = { { &header, sizeof(header) }, { &in, sizeof(in) } };
        unsigned turns = 0;

        header.unique = rig.unique += 2;
        while (writev(rig.kernel_fd, iov, 2) < 0) {
                MUST(errno == EAGAIN);
                turn(&turns, 0);
        }
}

static void know(const struct rig_request *request, const struct fuse_entry_out *entry)
{
        struct rig_node *node = find_node(entry->nodeid);

        MUST(entry->nodeid != 0);
        check_attr(&entry->attr);
        if (node) {
                MUST(node->mode == entry->attr.mode);
                node->lookups++;
        } else if (rig.n_nodes < RIG_NODES_MAX) {
                rig.nodes[rig.n_nodes++] = (struct rig_node){
                        .id = entry->nodeid,
                        .lookups = 1,
                        .mode = entry->attr.mode,
                        .depth = request->node.depth + 1,
                        .is_stream = request->is_stream,
                };
        } else {
                forget(entry->nodeid, 1);
        }
}

static void opened(const struct rig_request *request, const struct fuse_open_out *out)
{
        bool dir = request->opcode == FUSE_OPENDIR;
        struct rig_file file = { out->fh, request->node, request->flags, dir };

        if (rig.n_files < RIG_FILES_MAX) {
                rig.files[rig.n_files++] = file;
                return;
        }
        rig_release(&file);
}

static void check_target(const struct rig_request *request, const char *target, size_t size)
{
        unsigned up = 0;

        MUST(size > 0 && strlen(target) == size);
        MUST_MSG(*target != '/', "a link leads out of the mount: %s", target);
        while (startswith(target, "../")) {
                up++;
                target += 3;
        }
        if (streq(target, "..")) {
                up++;
                target += 2;
        }
        MUST_MSG(up < request->node.depth, "a link leads out of the mount: %s", target);
        size = strlen(target);
        MUST_MSG(!strstr(target, "/../") && (size < 3 || !streq(target + size - 3, "/..")), "a link goes astray: %s",
                 target);
}

const struct fuse_dirent *rig_next_entry(const struct rig_reply *reply, size_t *at)
{
        const struct fuse_dirent *entry = (const struct fuse_dirent *)(const void *)(reply->data + *at);
        char name[256];

        if (*at >= reply->size)
                return NULL;
        MUST(*at + FUSE_NAME_OFFSET <= reply->size);
        MUST(entry->namelen > 0 && entry->namelen <= 255);
        *at += FUSE_DIRENT_SIZE(entry);
        MUST(*at <= reply->size);
        MUST(entry->ino != 0);
        MUST(!memchr(entry->name, '/', entry->namelen) && !memchr(entry->name, '\0', entry->namelen));
        MUST(is_utf8(entry->name, entry->namelen) && is_printable(entry->name, entry->namelen, ""));
        memcpy(name, entry->name, entry->namelen);
        name[entry->namelen] = '\0';
        /* only where they belong */
        MUST(!streq(name, ".") || entry->off == 1);
        MUST(!streq(name, "..") || entry->off == 2);
        return entry;
}

static void check_entries(const struct rig_reply *reply)
{
        for (size_t at = 0; rig_next_entry(reply, &at);)
                ;
}

/* A success. */
static void book(const struct rig_request *request, const struct rig_reply *reply)
{
        const void *data = reply->data;

        switch (request->opcode) {
        case FUSE_LOOKUP:
                MUST(reply->size == sizeof(struct fuse_entry_out));
                know(request, data);
                break;
        case FUSE_GETATTR:
        case FUSE_SETATTR:
                MUST(reply->size == sizeof(struct fuse_attr_out));
                check_attr(&((const struct fuse_attr_out *)data)->attr);
                MUST(((const struct fuse_attr_out *)data)->attr.mode == request->node.mode);
                break;
        case FUSE_READLINK:
                check_target(request, data, reply->size);
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                MUST(reply->size == sizeof(struct fuse_open_out));
                opened(request, data);
                break;
        case FUSE_READ:
                MUST(reply->size <= request->size);
                break;
        case FUSE_READDIR:
                MUST(reply->size <= request->size);
                check_entries(reply);
                break;
        case FUSE_WRITE:
                MUST(reply->size == sizeof(struct fuse_write_out));
                MUST(((const struct fuse_write_out *)data)->size == request->size);
                break;
        case FUSE_POLL:
                MUST(reply->size == sizeof(struct fuse_poll_out));
                break;
        case FUSE_STATFS:
                MUST(reply->size == sizeof(struct fuse_statfs_out));
                break;
        case FUSE_INIT:
                MUST(reply->size == sizeof(struct fuse_init_out));
                break;
        default:
                MUST(reply->size == 0);
        }
}

/* --- the kernel: packets ----------------------------------------------------------------------------------------- */

static void take_notification(const struct fuse_out_header *header, size_t size)
{
        if (header->error == FUSE_NOTIFY_INVAL_INODE)
                MUST(size == sizeof(struct fuse_notify_inval_inode_out));
        else if (header->error == FUSE_NOTIFY_POLL)
                MUST(size == sizeof(struct fuse_notify_poll_wakeup_out));
        else
                fuzz_failed(__FILE__, __LINE__, "an unknown notification: %d", header->error);
}

static void take_reply(const struct fuse_out_header *header, const char *data, size_t size)
{
        struct rig_reply reply = { header->unique, header->error, NULL, size };
        struct rig_request request;
        size_t i;

        for (i = 0; i < rig.n_requests && rig.requests[i].unique != header->unique; i++)
                ;
        MUST_MSG(i < rig.n_requests, "an answer to no request, or a second one: %llu",
                 (unsigned long long)header->unique);
        request = rig.requests[i];
        rig.requests[i] = rig.requests[--rig.n_requests];
        MUST(header->error <= 0 && header->error > -512);
        MUST_MSG(header->error == 0 || strerrorname_np(-header->error), "no errno: %d", header->error);
        MUST(header->error == 0 || size == 0);
        /* exactly as large as it is, and aligned */
        reply.data = malloc(size + 1);
        MUST(reply.data);
        memcpy(reply.data, data, size);
        reply.data[size] = '\0';
        if (reply.error == 0)
                book(&request, &reply);
        if (!request.kept) {
                free(reply.data);
                return;
        }
        MUST(!rig.has_reply);
        rig.reply = reply;
        rig.has_reply = true;
}

static void kernel_receive(struct qmp_source *source, uint32_t revents)
{
        static char packet[PACKET_MAX];
        struct fuse_out_header header;
        ssize_t n;

        (void)revents;
        while ((n = recv(source->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
                size_t size = (size_t)n - sizeof(header);

                MUST((size_t)n >= sizeof(header));
                memcpy(&header, packet, sizeof(header));
                MUST(header.len == (size_t)n);
                if (header.unique == 0)
                        take_notification(&header, size);
                else if (header.unique & 1)
                        /* libfuse tells of an interrupt that it found no request for */
                        MUST(header.error == -EAGAIN);
                else
                        take_reply(&header, packet + sizeof(header), size);
        }
}

static void put(uint32_t opcode, uint64_t unique, uint64_t node, const void *a, size_t na, const void *b, size_t nb)
{
        struct fuse_in_header header = {
                .len = (uint32_t)(sizeof(header) + na + nb),
                .opcode = opcode,
                .unique = unique,
                .nodeid = node,
                .uid = getuid(),
                .gid = getgid(),
                .pid = (uint32_t)getpid(),
        };
        struct iovec iov[] = {
                { &header, sizeof(header) },
                { (void *)(uintptr_t)a, na },
                { (void *)(uintptr_t)b, nb },
        };
        unsigned turns = 0;

        while (writev(rig.kernel_fd, iov, ARRAY_SIZE(iov)) < 0) {
                MUST_MSG(errno == EAGAIN, "%s", strerror(errno));
                turn(&turns, 0);
        }
}

/* Always: one that is answered at once, of which there is room for some more. */
static struct rig_request *add_request(uint32_t opcode, const struct rig_node *node)
{
        struct rig_request *request = &rig.requests[rig.n_requests++];

        MUST(rig.n_requests < ARRAY_SIZE(rig.requests));
        *request = (struct rig_request){ .unique = rig.unique += 2, .opcode = opcode, .node = *node };
        return request;
}

static struct rig_request *new_request(uint32_t opcode, const struct rig_node *node)
{
        return rig.ended || rig.n_requests >= RIG_REQUESTS_MAX ? NULL : add_request(opcode, node);
}

uint64_t rig_send(uint32_t opcode, const struct rig_node *node, const void *a, size_t na, const void *b, size_t nb)
{
        struct rig_request *request = new_request(opcode, node);
        uint64_t unique = request ? request->unique : 0;

        if (request)
                put(opcode, unique, node->id, a, na, b, nb);
        return unique;
}

static void drop_reply(void)
{
        if (rig.has_reply)
                free(take_ptr(rig.reply.data));
        rig.has_reply = false;
}

/* Sends the request, which may be NULL, and waits for its reply. */
static int wait_for(struct rig_request *request, const void *a, size_t na, const void *b, size_t nb)
{
        uint64_t unique, node;
        uint32_t opcode;

        drop_reply();
        if (!request)
                return -ETIME;
        request->kept = true;
        unique = request->unique;
        opcode = request->opcode;
        node = request->node.id;
        put(opcode, unique, node, a, na, b, nb);
        for (unsigned i = 0; i < 20 && !rig.has_reply; i++)
                rig_settle();
        if (rig.has_reply)
                return rig.reply.error;
        for (size_t i = 0; i < rig.n_requests; i++)
                if (rig.requests[i].unique == unique)
                        rig.requests[i].kept = false;
        return -ETIME;
}

int rig_call(uint32_t opcode, const struct rig_node *node, const void *a, size_t na, const void *b, size_t nb)
{
        return wait_for(new_request(opcode, node), a, na, b, nb);
}

/* --- the kernel: requests ---------------------------------------------------------------------------------------- */

static struct rig_request *lookup_request(const struct rig_node *dir, const char *name)
{
        struct rig_request *request = new_request(FUSE_LOOKUP, dir);

        if (request)
                request->is_stream = dir->depth == 0 && streq(name, "events");
        return request;
}

uint64_t rig_send_lookup(const struct rig_node *dir, const char *name)
{
        struct rig_request *request = lookup_request(dir, name);
        uint64_t unique = request ? request->unique : 0;

        if (request)
                put(FUSE_LOOKUP, unique, dir->id, name, strlen(name) + 1, NULL, 0);
        return unique;
}

int rig_lookup(const struct rig_node *dir, const char *name, struct rig_node **ret_node)
{
        struct fuse_entry_out entry;
        int r = wait_for(lookup_request(dir, name), name, strlen(name) + 1, NULL, 0);

        if (r < 0)
                return r;
        memcpy(&entry, rig.reply.data, sizeof(entry));
        *ret_node = find_node(entry.nodeid);
        return *ret_node ? 0 : -ETIME;
}

int rig_walk(const char *path, struct rig_node **ret_node)
{
        char *names = copy(path), *save = NULL;
        struct rig_node *node = &rig.nodes[0];
        int r = 0;

        for (char *name = strtok_r(names, "/", &save); name && r == 0; name = strtok_r(NULL, "/", &save)) {
                struct rig_node dir = *node;

                /* the kernel asks for nothing longer, and finds "." and ".." by itself */
                if (strlen(name) > 255 || streq(name, ".") || streq(name, ".."))
                        r = -ENOENT;
                else
                        r = rig_lookup(&dir, name, &node);
        }
        free(names);
        if (r == 0)
                *ret_node = node;
        return r;
}

static struct rig_request *open_request(const struct rig_node *node, int flags)
{
        struct rig_request *request = new_request(flags & O_DIRECTORY ? FUSE_OPENDIR : FUSE_OPEN, node);

        if (request)
                request->flags = flags;
        return request;
}

uint64_t rig_send_open(const struct rig_node *node, int flags)
{
        struct fuse_open_in in = { .flags = (uint32_t)flags };
        struct rig_request *request = open_request(node, flags);
        uint64_t unique = request ? request->unique : 0;

        if (request)
                put(request->opcode, unique, node->id, &in, sizeof(in), NULL, 0);
        return unique;
}

int rig_open(const struct rig_node *node, int flags, struct rig_file **ret_file)
{
        struct fuse_open_in in = { .flags = (uint32_t)flags };
        int r = wait_for(open_request(node, flags), &in, sizeof(in), NULL, 0);
        struct fuse_open_out out;

        if (r < 0)
                return r;
        memcpy(&out, rig.reply.data, sizeof(out));
        *ret_file = rig.n_files > 0 ? &rig.files[rig.n_files - 1] : NULL;
        return *ret_file && (*ret_file)->handle == out.fh ? 0 : -ETIME;
}

int rig_open_path(const char *path, int flags, struct rig_file **ret_file)
{
        struct rig_node *node;
        int r = rig_walk(path, &node);

        if (r == 0)
                r = rig_open(node, flags, ret_file);
        if (r != -ESTALE)
                return r;
        /* as do_filp_open() */
        r = rig_walk(path, &node);
        return r < 0 ? r : rig_open(node, flags, ret_file);
}

static struct rig_request *read_request(const struct rig_file *file, uint64_t offset, uint32_t size,
                                        struct fuse_read_in *in)
{
        struct rig_request *request = new_request(file->dir ? FUSE_READDIR : FUSE_READ, &file->node);

        *in = (struct fuse_read_in){
                .fh = file->handle,
                .offset = offset,
                .size = size <= RIG_READ_MAX ? size : RIG_READ_MAX,
                .read_flags = FUSE_READ_LOCKOWNER,
                .lock_owner = 1,
                .flags = (uint32_t)file->flags,
        };
        if (request) {
                request->size = in->size;
                request->patient = file->node.is_stream && (file->flags & O_ACCMODE) == O_RDWR;
        }
        return request;
}

uint64_t rig_send_read(const struct rig_file *file, uint64_t offset, uint32_t size)
{
        struct fuse_read_in in;
        struct rig_request *request = read_request(file, offset, size, &in);
        uint64_t unique = request ? request->unique : 0;

        if (request)
                put(request->opcode, unique, file->node.id, &in, sizeof(in), NULL, 0);
        return unique;
}

int rig_read(const struct rig_file *file, uint64_t offset, uint32_t size)
{
        struct fuse_read_in in;
        struct rig_request *request = read_request(file, offset, size, &in);

        return wait_for(request, &in, sizeof(in), NULL, 0);
}

int rig_read_all(const struct rig_file *file, char **ret_text, size_t *ret_size)
{
        struct rig_file f = *file;
        char *text = NULL;
        size_t size = 0, n;

        do {
                int r = rig_read(&f, size, RIG_READ_MAX);

                if (r < 0) {
                        free(text);
                        return r;
                }
                n = rig.reply.size;
                text = realloc(text, size + n + 1);
                MUST(text);
                memcpy(text + size, rig.reply.data, n + 1);
                size += n;
        } while (n > 0);
        *ret_text = text;
        *ret_size = size;
        return 0;
}

int rig_cat(const char *path, char **ret_text, size_t *ret_size)
{
        struct rig_file *file;
        uint64_t handle;
        int r = rig_open_path(path, O_RDONLY, &file);

        if (r < 0)
                return r;
        handle = file->handle;
        r = rig_read_all(file, ret_text, ret_size);
        for (size_t i = 0; i < rig.n_files; i++)
                if (rig.files[i].handle == handle)
                        rig_release(&rig.files[i]);
        return r;
}

int rig_getattr(const struct rig_node *node, struct fuse_attr *ret_attr)
{
        struct fuse_getattr_in in = { 0 };
        struct fuse_attr_out out;
        int r = rig_call(FUSE_GETATTR, node, &in, sizeof(in), NULL, 0);

        if (r < 0)
                return r;
        memcpy(&out, rig.reply.data, sizeof(out));
        *ret_attr = out.attr;
        return 0;
}

static struct rig_request *write_request(const struct rig_file *file, uint64_t offset, const char *data, size_t size,
                                         struct fuse_write_in *in)
{
        struct rig_request *request = new_request(FUSE_WRITE, &file->node);

        *in = (struct fuse_write_in){
                .fh = file->handle,
                .offset = offset,
                .size = (uint32_t)size,
                .flags = (uint32_t)file->flags,
        };
        if (request) {
                request->size = size;
                /* whoever writes how long it may take gets what is asked for */
                request->patient = size > 8 && memmem(data, size, "timeout=", 8);
        }
        return request;
}

uint64_t rig_send_write(const struct rig_file *file, uint64_t offset, const char *data, size_t size)
{
        struct fuse_write_in in;
        struct rig_request *request = write_request(file, offset, data, size, &in);
        uint64_t unique = request ? request->unique : 0;

        if (request)
                put(FUSE_WRITE, unique, file->node.id, &in, sizeof(in), data, size);
        return unique;
}

int rig_write(const struct rig_file *file, uint64_t offset, const char *data, size_t size)
{
        struct fuse_write_in in;
        struct rig_request *request = write_request(file, offset, data, size, &in);

        return wait_for(request, &in, sizeof(in), data, size);
}

void rig_release(struct rig_file *file)
{
        struct fuse_release_in in = { .fh = file->handle, .flags = (uint32_t)file->flags };
        struct rig_node node = file->node;
        bool dir = file->dir;

        if (rig.ended)
                return;
        (void)add_request(dir ? FUSE_RELEASEDIR : FUSE_RELEASE, &node);
        for (size_t i = 0; i < rig.n_files; i++) {
                if (rig.files[i].handle == in.fh) {
                        rig.files[i] = rig.files[--rig.n_files];
                        break;
                }
        }
        put(dir ? FUSE_RELEASEDIR : FUSE_RELEASE, rig.unique, node.id, &in, sizeof(in), NULL, 0);
}

void rig_interrupt(uint64_t unique)
{
        struct fuse_interrupt_in in = { .unique = unique };

        if (rig.ended)
                return;
        put(FUSE_INTERRUPT, unique | 1, 0, &in, sizeof(in), NULL, 0);
        /* one that finds no request waits in libfuse for the next that comes, and if none does it is never freed */
        put(FUSE_STATFS, add_request(FUSE_STATFS, &rig.nodes[0])->unique, FUSE_ROOT_ID, NULL, 0, NULL, 0);
}

void rig_forget(struct rig_node *node, uint64_t lookups)
{
        uint64_t id = node->id;

        if (rig.ended || id == FUSE_ROOT_ID)
                return;
        if (lookups > node->lookups)
                lookups = node->lookups;
        node->lookups -= lookups;
        if (node->lookups == 0)
                *node = rig.nodes[--rig.n_nodes];
        forget(id, lookups);
}

/* --- QEMU -------------------------------------------------------------------------------------------------------- */

static void command_free(struct rig_command *command)
{
        free(command->key);
        free(command->text);
        free(command->id);
}

static void drop_commands(void)
{
        while (rig.n_commands > 0)
                command_free(&rig.commands[--rig.n_commands]);
        while (rig.n_oob_commands > 0)
                command_free(&rig.oob_commands[--rig.n_oob_commands]);
        free(take_ptr(rig.commands));
        free(take_ptr(rig.oob_commands));
}

void rig_disconnect(void)
{
        if (rig.qemu_fd < 0)
                return;
        qmp_loop_remove(rig.loop, &rig.qemu);
        close(rig.qemu_fd);
        rig.qemu_fd = -1;
        qmp_task_cancel(&rig.saying);
        free(take_ptr(rig.out));
        free(take_ptr(rig.received));
        rig.n_out = rig.n_received = 0;
        drop_commands();
}

/* A chunk at a time; the daemon gets each by itself. */
static void say_more(struct qmp_task *task)
{
        /* of a flood no more than thousands of pieces */
        size_t chunk = rig.chunk > rig.n_out / 2048 ? rig.chunk : rig.n_out / 2048;
        size_t n = rig.chunk > 0 && chunk < rig.n_out ? chunk : rig.n_out;
        ssize_t sent = send(rig.qemu_fd, rig.out, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        /* nobody listens any more, which shows when receiving */
        if (sent < 0 && errno != EAGAIN)
                sent = (ssize_t)rig.n_out;
        if (sent > 0) {
                rig.n_out -= (size_t)sent;
                memmove(rig.out, rig.out + sent, rig.n_out);
        }
        if (rig.n_out > 0)
                qmp_task_defer(rig.loop, task);
}

void rig_say(const char *bytes, size_t size)
{
        if (rig.qemu_fd < 0 || size == 0)
                return;
        rig.out = realloc(rig.out, rig.n_out + size);
        MUST(rig.out);
        memcpy(rig.out + rig.n_out, bytes, size);
        rig.n_out += size;
        qmp_task_defer(rig.loop, &rig.saying);
}

static void say(char *text)
{
        rig_say(text, strlen(text));
        free(text);
}

static const char *find_answer(const char *key)
{
        const char *found = NULL;

        for (size_t i = 0; i < rig.n_answers; i++) {
                size_t n = strlen(rig.answers[i].key);

                if (streq(rig.answers[i].key, key))
                        return rig.answers[i].text;
                /* what all paths have */
                if (strncmp(rig.answers[i].key, key, n) == 0 && key[n] == ':')
                        found = rig.answers[i].text;
        }
        return found;
}

void rig_on(const char *key, const char *text)
{
        for (size_t i = 0; i < rig.n_answers; i++) {
                if (streq(rig.answers[i].key, key)) {
                        free(rig.answers[i].text);
                        rig.answers[i].text = copy(text);
                        return;
                }
        }
        rig.answers = grow(rig.answers, rig.n_answers, sizeof(*rig.answers));
        rig.answers[rig.n_answers++] = (struct rig_answer){ copy(key), copy(text) };
}

static void reply_to(const struct rig_command *command, const char *text)
{
        if (!text)
                text = find_answer(command->key);
        if (!text)
                text = strchr(command->key, ':') ? "!DeviceNotFound|Device not found"
                                                 : "!CommandNotFound|The command has not been found";
        if (*text == '!') {
                const char *bar = strchrnul(text, '|');
                struct json_object *class = json_object_new_string_len(text + 1, (int)(bar - text - 1));
                struct json_object *desc = json_object_new_string(*bar ? bar + 1 : "");

                say(format("{%s%s%s\"error\": {\"class\": %s, \"desc\": %s}}\r\n", command->id ? "\"id\": " : "",
                           command->id ? command->id : "", command->id ? ", " : "", json_object_to_json_string(class),
                           json_object_to_json_string(desc)));
                json_object_put(class);
                json_object_put(desc);
        } else {
                say(format("{\"return\": %s%s%s}\r\n", text, command->id ? ", \"id\": " : "",
                           command->id ? command->id : ""));
        }
}

static bool answer_first(struct rig_command *commands, size_t *n, const char *text)
{
        struct rig_command command;

        if (*n == 0)
                return false;
        command = commands[0];
        memmove(commands, commands + 1, --*n * sizeof(*commands));
        reply_to(&command, text);
        command_free(&command);
        return true;
}

bool rig_answer(const char *text)
{
        return answer_first(rig.commands, &rig.n_commands, text);
}

bool rig_answer_oob(const char *text)
{
        return answer_first(rig.oob_commands, &rig.n_oob_commands, text);
}

static const char *get_string(struct json_object *object, const char *key)
{
        struct json_object *value = NULL;

        if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value))
                return NULL;
        return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static void take_command(const char *text, size_t size)
{
        struct json_object *json, *arguments = NULL, *id;
        struct rig_command command = { 0 };
        const char *name, *path, *property;
        bool oob;

        MUST_MSG(is_json(text, size, COMMAND_DEPTH_MAX), "no command: %.*s", (int)size, text);
        MUST_MSG(parse_json(text, size, &json), "json-c can't read: %.*s", (int)size, text);
        name = get_string(json, "execute");
        oob = !name;
        if (oob)
                name = get_string(json, "exec-oob");
        MUST_MSG(name, "no command: %.*s", (int)size, text);
        if (json_object_object_get_ex(json, "arguments", &arguments))
                MUST(json_object_is_type(arguments, json_type_object));
        path = get_string(arguments, "path");
        property = get_string(arguments, "property");
        command.key = format("%s%s%s%s%s", name, path ? ":" : "", path ? path : "", property ? ":" : "",
                             property ? property : "");
        command.text = strndup(text, size);
        if (json_object_object_get_ex(json, "id", &id))
                command.id = copy(json_object_to_json_string(id));
        MUST(command.text);
        MUST(oob == (command.id != NULL));
        json_object_put(json);
        if (rig.on_command && rig.on_command(rig.userdata, &command)) {
                command_free(&command);
        } else if (!rig.manual) {
                reply_to(&command, NULL);
                command_free(&command);
        } else if (oob) {
                rig.oob_commands = grow(rig.oob_commands, rig.n_oob_commands, sizeof(command));
                rig.oob_commands[rig.n_oob_commands++] = command;
        } else {
                rig.commands = grow(rig.commands, rig.n_commands, sizeof(command));
                rig.commands[rig.n_commands++] = command;
        }
}

/* Whole objects; what is between them is nothing at all. */
static size_t next_command(const char *text, size_t size)
{
        bool in_string = false;
        size_t depth = 0;

        MUST(size == 0 || *text == '{');
        for (size_t i = 0; i < size; i++) {
                if (in_string && text[i] == '\\')
                        i++;
                else if (text[i] == '"')
                        in_string = !in_string;
                else if (!in_string && (text[i] == '{' || text[i] == '['))
                        depth++;
                else if (!in_string && (text[i] == '}' || text[i] == ']') && --depth == 0)
                        return i + 1;
        }
        return 0;
}

static void qemu_receive(struct qmp_source *source, uint32_t revents)
{
        char bytes[65536];
        ssize_t n = recv(source->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        size_t size, done = 0;
        char *text;

        (void)revents;
        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                rig_disconnect();
                return;
        }
        text = realloc(rig.received, rig.n_received + (size_t)n);
        MUST(text);
        memcpy(text + rig.n_received, bytes, (size_t)n);
        n += (ssize_t)rig.n_received;
        rig.received = text;
        rig.n_received = (size_t)n;
        while ((size = next_command(text + done, (size_t)n - done)) > 0) {
                take_command(text + done, size);
                done += size;
        }
        rig.n_received -= done;
        memmove(text, text + done, rig.n_received);
}

static void enlarge(int fd)
{
        int size = 1 << 20;

        /* as much as may be */
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void rig_connect(const char *greeting)
{
        int fds[2];

        if (rig.qemu_fd >= 0 || rig.vm->client == NULL)
                return;
        /* the last one's end has been heard of */
        rig_settle();
        MUST(!rig.vm->up);
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        enlarge(fds[0]);
        enlarge(fds[1]);
        rig.qemu_fd = fds[0];
        MUST(qmp_client_start_fd(rig.vm->client, fds[1]) == 0);
        MUST(qmp_loop_add(rig.loop, &rig.qemu, rig.qemu_fd, EPOLLIN, qemu_receive) == 0);
        greeting = greeting ? greeting : RIG_GREETING;
        rig_say(greeting, strlen(greeting));
        rig_settle();
}

void rig_plain_vm(void)
{
        static const struct {
                const char *key, *text;
        } plain[] = {
                { "qmp_capabilities", "{}" },
                { "query-status", "{\"status\": \"running\", \"singlestep\": false, \"running\": true}" },
                { "query-name", "{\"name\": \"vm1\"}" },
                { "query-uuid", "{\"UUID\": \"00000000-0000-0000-0000-00000000000a\"}" },
                { "query-version", RIG_VERSION },
                { "query-block",
                  "[{\"device\": \"d\", \"qdev\": \"nv0\", \"inserted\": {\"node-name\": \"#n1\", \"image\": "
                  "{\"virtual-size\": 42949672960}, \"children\": [1, {\"a\": null}, []]}}, {\"device\": \"\", "
                  "\"qdev\": \"/machine/peripheral-anon/device[0]/virtio-backend\"}]" },
                { "query-cpus-fast",
                  "[{\"thread-id\": 1, \"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0}, "
                  "{\"thread-id\": 2, \"qom-path\": \"/machine/peripheral/cpu1\", \"cpu-index\": 1}]" },
                { "query-memory-devices",
                  "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/m1\", \"slot\": 0, \"id\": "
                  "\"dimm1\"}}, {\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/m2\", \"slot\": 1}}]" },
                { "query-hotpluggable-cpus",
                  "[{\"props\": {\"core-id\": 1}, \"qom-path\": \"/machine/peripheral/cpu1\"}]" },
                { "query-yank", "[]" },
                { "query-qmp-schema",
                  "[{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"}, "
                  "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"}, "
                  "{\"name\": \"any\", \"meta-type\": \"builtin\", \"json-type\": \"value\"}, "
                  "{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, "
                  "{\"name\": \"1\", \"meta-type\": \"object\", \"members\": [{\"name\": \"driver\", \"type\": "
                  "\"str\"}, {\"name\": \"id\", \"type\": \"str\", \"default\": null}, {\"name\": \"size\", "
                  "\"type\": \"int\", \"default\": null}]}, "
                  "{\"name\": \"device_add\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": "
                  "\"0\"}, "
                  "{\"name\": \"query-status\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": "
                  "\"any\"}, "
                  "{\"name\": \"query-yank\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": "
                  "\"any\", \"allow-oob\": true}, "
                  "{\"name\": \"x-query-jit\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": "
                  "\"any\", \"features\": [\"unstable\"]}, "
                  "{\"name\": \"block_resize\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": "
                  "\"0\"}, "
                  "{\"name\": \"SHUTDOWN\", \"meta-type\": \"event\", \"arg-type\": \"1\"}]" },
                { "x-query-jit", "{\"human-readable-text\": \"a\\nb\\n\"}" },
                { "block_resize", "{}" },
                { "device_add", "{}" },
                { "device_del", "{}" },
                { "stop", "{}" },
                { "cont", "{}" },
                { "system_reset", "{}" },
                { "system_powerdown", "{}" },
                { "quit", "{}" },
                { "human-monitor-command", "\"a\\r\\nb\\r\\n\"" },
                { "qom-list-types", "[{\"name\": \"nvme\"}, {\"name\": \"a/b\"}, {\"name\": \"e1000\"}]" },
                { "device-list-properties",
                  "[{\"name\": \"drive\", \"type\": \"str\", \"description\": \"a node\"}, {\"name\": "
                  "\"bootindex\", \"type\": \"int32\", \"default-value\": -1}]" },
                { "qom-list:/", "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"machine\", \"type\": "
                                "\"child<pc-machine>\"}, {\"name\": \"objects\", \"type\": \"child<container>\"}]" },
                { "qom-list:/machine",
                  "[{\"name\": \"peripheral\", \"type\": \"child<container>\"}, {\"name\": \"l\", \"type\": "
                  "\"link<cpu>\"}, {\"name\": \"b\", \"type\": \"bool\"}]" },
                { "qom-get:/machine:l", "\"/machine/peripheral/nv0\"" },
                { "qom-get:/machine:b", "true" },
                { "qom-set:/machine:b", "{}" },
                { "qom-list:/objects", "[{\"name\": \"m1\", \"type\": \"child<memory-backend-ram>\"}]" },
                { "qom-list:/machine/peripheral",
                  "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"nv0\", \"type\": \"child<nvme>\"}, "
                  "{\"name\": \"cpu1\", \"type\": \"child<max-x86_64-cpu>\"}, {\"name\": \"dimm1\", \"type\": "
                  "\"child<pc-dimm>\"}]" },
                { "qom-list:/machine/peripheral-anon",
                  "[{\"name\": \"device[0]\", \"type\": \"child<virtio-blk-pci>\"}, {\"name\": \"device[1]\", "
                  "\"type\": \"child<pc-dimm>\"}]" },
                { "qom-list:/machine/peripheral/nv0",
                  "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"drive\", \"type\": \"str\"}, "
                  "{\"name\": \"serial\", \"type\": \"str\"}]" },
                { "qom-list:/machine/peripheral/cpu1", "[{\"name\": \"type\", \"type\": \"string\"}]" },
                { "qom-list:/machine/peripheral/dimm1", "[{\"name\": \"type\", \"type\": \"string\"}]" },
                { "qom-list:/machine/peripheral-anon/device[0]", "[]" },
                { "qom-list:/machine/peripheral-anon/device[0]/virtio-backend", "[]" },
                { "qom-get:/machine/peripheral/nv0:drive", "\"d\"" },
                { "qom-get:/machine/peripheral/nv0:type", "\"nvme\"" },
                { "qom-get:/machine/peripheral/nv0:serial", "\"abc\"" },
                { "qom-get:/machine/peripheral-anon/device[0]/virtio-backend:drive", "\"\"" },
                { "qom-get:/machine/peripheral-anon/device[1]:memdev", "\"/objects/m2\"" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                rig_on(plain[i].key, plain[i].text);
}

/* --- the daemon -------------------------------------------------------------------------------------------------- */

void rig_unmount(void)
{
        if (rig.ended)
                return;
        rig.ended = true;
        rig.n_requests = 0;
        qmp_loop_remove(rig.loop, &rig.kernel);
        MUST(shutdown(rig.kernel_fd, SHUT_RDWR) == 0);
}

static void session_ended(struct session *session)
{
        (void)session;
        rig.ended = true;
}

static void say_init(void)
{
        struct fuse_init_in in = {
                .major = FUSE_KERNEL_VERSION,
                .minor = FUSE_KERNEL_MINOR_VERSION,
                .max_readahead = 131072,
                .flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS |
                         FUSE_MAX_PAGES,
        };
        struct rig_node none = { 0 };

        MUST(rig_call(FUSE_INIT, &none, &in, sizeof(in), NULL, 0) == 0);
}

void rig_new(void)
{
        struct vm_options options = {
                .timeout_ns = 10 * SEC,
                .unplug_timeout_ns = 30 * SEC,
                .command_timeout_ns = 60 * SEC,
                .structure_ttl_ns = 100 * MS,
                .max_load = 10,
        };
        struct session_options session_options = { .root = &tree_root, .uid = 1000, .gid = 100 };
        char *argv[] = { (char *)(uintptr_t) "qmpfs", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(1, argv);
        int fds[2];

        rig = (struct rig){ .kernel_fd = -1, .qemu_fd = -1, .kernel.fd = -1, .qemu.fd = -1 };
        qmp_task_init(&rig.saying, say_more);
        MUST(qmp_loop_new(&rig.loop) == 0);
        MUST(vm_new(rig.loop, "/run/vm.sock", &options, &rig.vm) == 0);
        MUST(session_new(rig.loop, rig.vm, &args, &session_options, &rig.session) == 0);
        fuse_opt_free_args(&args);
        rig.session->ended = session_ended;
        MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        enlarge(fds[0]);
        enlarge(fds[1]);
        rig.kernel_fd = fds[0];
        MUST(session_attach(rig.session, fds[1]) == 0);
        MUST(qmp_loop_add(rig.loop, &rig.kernel, rig.kernel_fd, EPOLLIN, kernel_receive) == 0);
        rig.nodes[rig.n_nodes++] = (struct rig_node){ .id = FUSE_ROOT_ID, .lookups = 1, .mode = S_IFDIR | 0755 };
        say_init();
}

static size_t live(const struct slots *slots)
{
        size_t n = 0;

        for (uint32_t i = 0; i < slots->n; i++)
                n += slots->slots[i].pointer != NULL;
        return n;
}

/* Nobody waits for ever who did not ask for it, and who did can be interrupted. */
static void end_requests(void)
{
        rig_pass(rig.n_requests > 0 || !list_empty(&rig.vm->removals) ? RIG_LIMIT : SEC);
        for (size_t i = 0; i < rig.n_requests; i++)
                MUST_MSG(rig.requests[i].patient, "no answer to request %u, opcode %u",
                         (unsigned)rig.requests[i].unique, rig.requests[i].opcode);
        for (size_t i = rig.n_requests; i-- > 0;)
                rig_interrupt(rig.requests[i].unique);
        rig_pass(SEC);
        MUST_MSG(rig.n_requests == 0, "a request does not end by an interrupt");
}

static void check_nothing_left(void)
{
        MUST(list_empty(&rig.vm->requests));
        MUST(list_empty(&rig.vm->listeners));
        MUST(live(&rig.session->inodes.files) == 0);
        MUST(live(&rig.session->inodes.nodes) == 1);
        MUST(rig.session->inodes.n == 0);
        for (size_t i = 0; i < N_CHANNELS; i++)
                MUST(list_empty(&rig.vm->news[i].watchers));
}

void rig_free(void)
{
        if (!rig.ended) {
                end_requests();
                while (rig.n_files > 0) {
                        rig_release(&rig.files[0]);
                        rig_settle();
                }
                while (rig.n_nodes > 1)
                        rig_forget(&rig.nodes[1], rig.nodes[1].lookups);
                rig_settle();
                MUST(rig.n_requests == 0);
                check_nothing_left();
        }
        drop_reply();
        rig.session = session_free(rig.session);
        rig.vm = vm_free(rig.vm);
        rig_disconnect();
        qmp_loop_remove(rig.loop, &rig.kernel);
        close(rig.kernel_fd);
        rig.loop = qmp_loop_free(rig.loop);
        for (size_t i = 0; i < rig.n_answers; i++) {
                free(rig.answers[i].key);
                free(rig.answers[i].text);
        }
        free(rig.answers);
}
