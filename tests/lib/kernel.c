#include "tests/lib/kernel.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/lib/judge.h"

/* How long a reply may take, by the clock of the test: no limit of the daemon's is longer. */
#define REPLY_LIMIT (100 * SEC)
/* What the kernel's largest reply is. */
#define PACKET_MAX (2 << 20)

struct kernel kernel;

#define GROW(array, n, size)                                                                                         \
        do {                                                                                                         \
                if ((n) == (size)) {                                                                                 \
                        (size) = (size) ? 2 * (size) : 16;                                                           \
                        (array) = reallocarray((array), (size), sizeof(*(array)));                                   \
                        CHECK(array);                                                                                \
                }                                                                                                    \
        } while (0)

/* --- what the kernel keeps --------------------------------------------------------------------------------------- */

struct k_node *k_find_node(uint64_t id)
{
        for (size_t i = 0; i < kernel.n_nodes; i++)
                if (kernel.nodes[i].id == id)
                        return &kernel.nodes[i];
        return NULL;
}

static const struct k_file *find_file(uint64_t fh)
{
        for (size_t i = 0; i < kernel.n_files; i++)
                if (kernel.files[i].fh == fh)
                        return &kernel.files[i];
        return NULL;
}

static void check_attr(const struct fuse_attr *attr)
{
        CHECK(S_ISREG(attr->mode) || S_ISDIR(attr->mode) || S_ISLNK(attr->mode));
        CHECK(attr->ino != 0);
        CHECK(attr->size <= INT64_MAX);
}

static void know(const struct k_request *request, const struct fuse_entry_out *entry)
{
        struct k_node *node = k_find_node(entry->nodeid);

        CHECK(entry->nodeid != 0);
        check_attr(&entry->attr);
        if (node) {
                CHECK(node->mode == entry->attr.mode);
                node->lookups++;
                return;
        }
        GROW(kernel.nodes, kernel.n_nodes, kernel.nodes_size);
        kernel.nodes[kernel.n_nodes++] = (struct k_node){
                .id = entry->nodeid,
                .lookups = 1,
                .mode = entry->attr.mode,
                .depth = request->node.depth + 1,
                .is_stream = request->is_stream,
        };
}

static void opened(const struct k_request *request, const struct fuse_open_out *out)
{
        GROW(kernel.files, kernel.n_files, kernel.files_size);
        kernel.files[kernel.n_files++] = (struct k_file){
                .node = request->node.id,
                .fh = out->fh,
                .open_flags = out->open_flags,
                .flags = request->flags,
                .is_stream = request->node.is_stream,
        };
}

/* --- what a reply may be ----------------------------------------------------------------------------------------- */

static void check_target(const struct k_request *request, const char *target, size_t size)
{
        unsigned up = 0;

        CHECK(size > 0 && strlen(target) == size);
        CHECK_MSG(*target != '/', "a link leads out of the mount: %s", target);
        while (startswith(target, "../")) {
                up++;
                target += 3;
        }
        if (streq(target, "..")) {
                up++;
                target += 2;
        }
        CHECK_MSG(up < request->node.depth, "a link leads out of the mount: %s", target);
        size = strlen(target);
        CHECK_MSG(!strstr(target, "/../") && (size < 3 || !streq(target + size - 3, "/..")), "a link goes astray: %s",
                  target);
}

const struct fuse_dirent *k_next_entry(const struct k_reply *reply, size_t *at)
{
        const struct fuse_dirent *entry = (const struct fuse_dirent *)(const void *)(reply->data + *at);
        char name[256];

        if (*at >= reply->size)
                return NULL;
        CHECK(*at + FUSE_NAME_OFFSET <= reply->size);
        CHECK(entry->namelen > 0 && entry->namelen <= 255);
        *at += FUSE_DIRENT_SIZE(entry);
        CHECK(*at <= reply->size);
        CHECK(entry->ino != 0);
        CHECK(!memchr(entry->name, '/', entry->namelen) && !memchr(entry->name, '\0', entry->namelen));
        CHECK(is_utf8(entry->name, entry->namelen) && is_printable(entry->name, entry->namelen, ""));
        memcpy(name, entry->name, entry->namelen);
        name[entry->namelen] = '\0';
        /* only where they belong */
        CHECK(!streq(name, ".") || entry->off == 1);
        CHECK(!streq(name, "..") || entry->off == 2);
        return entry;
}

static void check_entries(const struct k_reply *reply)
{
        for (size_t at = 0; k_next_entry(reply, &at);)
                ;
}

/* What a success of a request may be, and what it means for the kernel's books. */
static void book(const struct k_request *request, const struct k_reply *reply)
{
        const void *data = reply->data;

        switch (request->opcode) {
        case FUSE_LOOKUP:
                CHECK(reply->size == sizeof(struct fuse_entry_out));
                know(request, data);
                break;
        case FUSE_GETATTR:
        case FUSE_SETATTR:
                CHECK(reply->size == sizeof(struct fuse_attr_out));
                check_attr(&((const struct fuse_attr_out *)data)->attr);
                CHECK(request->node.lookups == 0 ||
                      ((const struct fuse_attr_out *)data)->attr.mode == request->node.mode);
                break;
        case FUSE_READLINK:
                check_target(request, data, reply->size);
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                CHECK(reply->size == sizeof(struct fuse_open_out));
                opened(request, data);
                break;
        case FUSE_READ:
                CHECK(reply->size <= request->size);
                break;
        case FUSE_READDIR:
                CHECK(reply->size <= request->size);
                check_entries(reply);
                break;
        case FUSE_WRITE:
                CHECK(reply->size == sizeof(struct fuse_write_out));
                CHECK(((const struct fuse_write_out *)data)->size == request->size);
                break;
        case FUSE_POLL:
                CHECK(reply->size == sizeof(struct fuse_poll_out));
                break;
        case FUSE_STATFS:
                CHECK(reply->size == sizeof(struct fuse_statfs_out));
                break;
        case FUSE_INIT:
                CHECK(reply->size == sizeof(struct fuse_init_out));
                break;
        default:
                CHECK(reply->size == 0);
        }
}

/* --- packets ----------------------------------------------------------------------------------------------------- */

static void take_notification(const struct fuse_out_header *header, const char *data, size_t size)
{
        struct fuse_notify_poll_wakeup_out out;

        if (header->error == FUSE_NOTIFY_INVAL_INODE) {
                struct fuse_notify_inval_inode_out inval;

                CHECK(size == sizeof(inval));
                memcpy(&inval, data, sizeof(inval));
                CHECK(inval.off == -1);
                kernel.n_invalidated++;
                return;
        }
        CHECK_MSG(header->error == FUSE_NOTIFY_POLL, "an unknown notification: %d", header->error);
        CHECK(size == sizeof(out));
        memcpy(&out, data, sizeof(out));
        kernel.woken = reallocarray(kernel.woken, kernel.n_woken + 1, sizeof(*kernel.woken));
        CHECK(kernel.woken);
        kernel.woken[kernel.n_woken++] = out.kh;
}

static void take_reply(const struct fuse_out_header *header, const char *data, size_t size)
{
        struct k_request request;
        struct k_reply *reply;
        size_t i;

        for (i = 0; i < kernel.n_requests && kernel.requests[i].unique != header->unique; i++)
                ;
        if (i == kernel.n_requests && kernel.no_memory && header->error == -ENOMEM)
                return;
        CHECK_MSG(i < kernel.n_requests, "an answer to no request, or a second one: %llu",
                  (unsigned long long)header->unique);
        request = kernel.requests[i];
        kernel.requests[i] = kernel.requests[--kernel.n_requests];
        CHECK(header->error <= 0 && header->error > -512);
        CHECK_MSG(header->error == 0 || strerrorname_np(-header->error), "no errno: %d", header->error);
        CHECK(header->error == 0 || size == 0);
        /* exactly as large as it is, so that the sanitizers see each byte beyond */
        reply = malloc(sizeof(*reply) + size + 1);
        CHECK(reply);
        *reply = (struct k_reply){ .unique = header->unique, .error = header->error, .size = size };
        memcpy(reply->data, data, size);
        reply->data[size] = '\0';
        if (reply->error == 0)
                book(&request, reply);
        if (request.dropped)
                free(reply);
        else
                list_append(&kernel.replies, &reply->link);
}

static void receive(struct qmp_source *source, uint32_t revents)
{
        static char packet[PACKET_MAX];
        struct fuse_out_header header;
        ssize_t n;
        IN_HARNESS();

        (void)revents;
        while ((n = recv(source->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
                size_t size = (size_t)n - sizeof(header);

                CHECK((size_t)n >= sizeof(header));
                memcpy(&header, packet, sizeof(header));
                CHECK(header.len == (size_t)n);
                if (header.unique == 0)
                        take_notification(&header, packet + sizeof(header), size);
                else if (header.unique & 1)
                        /* libfuse tells of an interrupt that it found no request for */
                        CHECK(header.error == -EAGAIN || (kernel.no_memory && header.error == -ENOMEM));
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
                .uid = kernel.uid,
                .gid = getgid(),
                .pid = kernel.pid,
        };
        struct iovec iov[] = {
                { &header, sizeof(header) },
                { (void *)(uintptr_t)a, na },
                { (void *)(uintptr_t)b, nb },
        };
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
        uint64_t real_limit = test_real_now() + 60 * SEC;
        ssize_t n;

        while ((n = sendmsg(kernel.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EAGAIN)
                pump_turn(kernel.loop, 0, real_limit, __FILE__, __LINE__, "room for a request");
        CHECK(n == (ssize_t)header.len);
}

/* What the reply will be judged by. */
static void describe(struct k_request *request, const void *a, size_t na, const void *b, size_t nb)
{
        const struct fuse_read_in *read = a;
        const struct fuse_write_in *write = a;
        const struct fuse_open_in *open = a;
        const struct k_file *file;

        switch (request->opcode) {
        case FUSE_LOOKUP:
                request->is_stream = request->node.depth == 0 && streq(a, "events");
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                CHECK(na == sizeof(*open));
                request->flags = (int)open->flags;
                break;
        case FUSE_READ:
        case FUSE_READDIR:
                CHECK(na == sizeof(*read));
                request->size = read->size;
                file = find_file(read->fh);
                request->patient = file && file->is_stream && (file->flags & O_ACCMODE) == O_RDWR;
                break;
        case FUSE_WRITE:
                CHECK(na == sizeof(*write));
                request->size = write->size;
                /* who writes how long it may take gets what is asked for */
                request->patient = nb > 8 && memmem(b, nb, "timeout=", 8);
                break;
        default:
                break;
        }
}

uint64_t k_send(uint32_t opcode, uint64_t node, const void *a, size_t na, const void *b, size_t nb)
{
        struct k_request request = { .unique = kernel.unique + 2, .opcode = opcode, .node.id = node };
        bool closes = opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR;

        if (kernel.ended || (kernel.n_requests_max > 0 && kernel.n_requests >= kernel.n_requests_max && !closes))
                return 0;
        if (k_find_node(node))
                request.node = *k_find_node(node);
        describe(&request, a, na, b, nb);
        kernel.unique = request.unique;
        GROW(kernel.requests, kernel.n_requests, kernel.requests_size);
        kernel.requests[kernel.n_requests++] = request;
        put(opcode, request.unique, node, a, na, b, nb);
        return request.unique;
}

void k_send_only(uint32_t opcode, uint64_t node, const void *a, size_t na)
{
        if (!kernel.ended)
                put(opcode, kernel.unique += 2, node, a, na, NULL, 0);
}

/* --- replies ----------------------------------------------------------------------------------------------------- */

static struct k_reply *take(uint64_t unique)
{
        list_for_each(i, &kernel.replies) {
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
        list_for_each(i, &kernel.replies)
                if (list_entry(i, struct k_reply, link)->unique == unique)
                        return true;
        return false;
}

size_t k_n_pending(void)
{
        return kernel.n_requests;
}

static struct k_reply *give_up(uint64_t unique)
{
        struct k_reply *reply = calloc(1, sizeof(*reply) + 1);

        CHECK(reply);
        reply->error = -ETIME;
        for (size_t i = 0; i < kernel.n_requests; i++)
                if (kernel.requests[i].unique == unique)
                        kernel.requests[i].dropped = true;
        return reply;
}

/* All is done that can be done without time passing, and that some times over. */
static struct k_reply *wait_a_moment(uint64_t unique)
{
        uint64_t until = qmp_now() + kernel.moment_ns;

        while (unique != 0 && qmp_now() < until) {
                PUMP_FOR(kernel.loop, MS);
                if (k_is_answered(unique))
                        return take(unique);
        }
        return give_up(unique);
}

struct k_reply *k_wait(uint64_t unique)
{
        if (kernel.moment_ns > 0)
                return wait_a_moment(unique);
        PUMP_WITHIN(kernel.loop, REPLY_LIMIT, k_is_answered(unique));
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

/* --- requests ---------------------------------------------------------------------------------------------------- */

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
        struct k_node *known = k_find_node(node);

        if (known && node != FUSE_ROOT_ID) {
                CHECK(known->lookups >= lookups);
                known->lookups -= lookups;
                if (known->lookups == 0)
                        *known = kernel.nodes[--kernel.n_nodes];
        }
        k_send_only(FUSE_FORGET, node, &in, sizeof(in));
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

uint64_t k_send_open(uint64_t node, int flags)
{
        struct fuse_open_in in = { .flags = (uint32_t)flags };

        return k_send(flags & O_DIRECTORY ? FUSE_OPENDIR : FUSE_OPEN, node, &in, sizeof(in), NULL, 0);
}

int k_opened(uint64_t unique, struct k_file *ret_file)
{
        struct fuse_open_out out;
        int r = wait_struct(unique, &out, sizeof(out));

        if (r == 0)
                *ret_file = *find_file(out.fh);
        return r;
}

int k_open_once(uint64_t node, int flags, struct k_file *ret_file)
{
        return k_opened(k_send_open(node, flags), ret_file);
}

int k_open(uint64_t node, int flags, struct k_file *ret_file)
{
        int r = k_open_once(node, flags, ret_file);

        return r == -ESTALE ? k_open_once(node, flags, ret_file) : r;
}

int k_opendir(uint64_t node, struct k_file *ret_file)
{
        return k_open_once(node, O_RDONLY | O_DIRECTORY, ret_file);
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
                .write_flags = kernel.owner ? FUSE_WRITE_LOCKOWNER : 0,
                .lock_owner = kernel.owner,
                .flags = (uint32_t)file->flags,
        };

        return k_send(FUSE_WRITE, file->node, &in, sizeof(in), data, size);
}

uint64_t k_send_readdir(const struct k_file *file, uint64_t offset, uint32_t size)
{
        struct fuse_read_in in = { .fh = file->fh, .offset = offset, .size = size };

        return k_send(FUSE_READDIR, file->node, &in, sizeof(in), NULL, 0);
}

uint64_t k_send_release(const struct k_file *file)
{
        struct fuse_release_in in = { .fh = file->fh, .flags = (uint32_t)file->flags };
        uint64_t node = file->node;
        size_t i;
        bool dir;

        for (i = 0; i < kernel.n_files && kernel.files[i].fh != in.fh; i++)
                ;
        CHECK(i < kernel.n_files);
        dir = kernel.files[i].flags & O_DIRECTORY;
        kernel.files[i] = kernel.files[--kernel.n_files];
        return k_send(dir ? FUSE_RELEASEDIR : FUSE_RELEASE, node, &in, sizeof(in), NULL, 0);
}

void k_release(const struct k_file *file)
{
        /* libfuse can't tell the kernel that it had no memory for it */
        IN_HARNESS();

        CHECK(k_wait_error(k_send_release(file)) == 0);
}

void k_forget_all(void)
{
        IN_HARNESS();

        while (!kernel.ended && kernel.n_nodes > 1)
                k_forget(kernel.nodes[1].id, kernel.nodes[1].lookups);
}

void k_drop_all(void)
{
        while (!kernel.ended && kernel.n_files > 0)
                k_release(&kernel.files[0]);
        k_forget_all();
}

void k_interrupt(uint64_t unique)
{
        struct fuse_interrupt_in in = { .unique = unique };

        /* what libfuse can't find it may answer with EAGAIN, later */
        if (!kernel.ended)
                put(FUSE_INTERRUPT, unique | 1, 0, &in, sizeof(in), NULL, 0);
}

uint64_t k_send_poll(const struct k_file *file, uint64_t handle)
{
        struct fuse_poll_in in = {
                .fh = file->fh,
                .kh = handle,
                .flags = handle ? FUSE_POLL_SCHEDULE_NOTIFY : 0,
        };

        return k_send(FUSE_POLL, file->node, &in, sizeof(in), NULL, 0);
}

unsigned k_poll(const struct k_file *file, uint64_t handle)
{
        struct fuse_poll_out out;

        CHECK(wait_struct(k_send_poll(file, handle), &out, sizeof(out)) == 0);
        return out.revents;
}

bool k_was_woken(uint64_t handle)
{
        for (size_t i = 0; i < kernel.n_woken; i++)
                if (kernel.woken[i] == handle)
                        return true;
        return false;
}

/* --- the mount --------------------------------------------------------------------------------------------------- */

void k_mount(void)
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

void k_unmount(void)
{
        if (kernel.ended)
                return;
        kernel.ended = true;
        kernel.n_requests = 0;
        qmp_loop_remove(kernel.loop, &kernel.source);
        CHECK(shutdown(kernel.fd, SHUT_RDWR) == 0);
}

void k_init(struct qmp_loop *loop, int *ret_fd)
{
        int fds[2], size = 1 << 20;

        kernel = (struct kernel){
                .loop = loop,
                .source.fd = -1,
                .uid = getuid(),
                .pid = (uint32_t)getpid(),
        };
        list_init(&kernel.replies);
        GROW(kernel.nodes, kernel.n_nodes, kernel.nodes_size);
        kernel.nodes[kernel.n_nodes++] = (struct k_node){ .id = FUSE_ROOT_ID, .lookups = 1, .mode = S_IFDIR | 0755 };
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        /* as much as may be */
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        kernel.fd = fds[0];
        CHECK(qmp_loop_add(loop, &kernel.source, kernel.fd, EPOLLIN, receive) == 0);
        *ret_fd = fds[1];
}

void k_deinit(void)
{
        qmp_loop_remove(kernel.loop, &kernel.source);
        close(kernel.fd);
        list_for_each_safe(i, &kernel.replies) {
                list_unlink(i);
                free(list_entry(i, struct k_reply, link));
        }
        free(take_ptr(kernel.requests));
        free(take_ptr(kernel.nodes));
        free(take_ptr(kernel.files));
        free(take_ptr(kernel.woken));
}
