#include "tests/lib/rig.h"

#include <stdarg.h>

#include "fs/tree/tree.h"

struct rig rig;
struct rig_mount rig_mount;

/* --- as a shell -------------------------------------------------------------------------------------------------- */

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

        CHECK_MSG(r == 0, "%s: %s", path, strerror(-r));
        return file;
}

struct k_file rig_must_open_and_read(const char *path, int flags)
{
        struct k_file file = rig_must_open(path, flags);

        CHECK(k_wait_error(k_send_read(&file, 0, 1)) == 0);
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

int rig_cat_all(const char *path, char **ret_text, size_t *ret_size)
{
        struct k_file file;
        int r = rig_open(path, O_RDONLY, &file);

        if (r < 0)
                return r;
        r = rig_read_all(&file, ret_text, ret_size);
        k_release(&file);
        return r;
}

int rig_cat(const char *path, char **ret_text)
{
        return rig_cat_all(path, ret_text, NULL);
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
                for (size_t at = 0; (e = k_next_entry(reply, &at)); offset = e->off)
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

/* --- QEMU -------------------------------------------------------------------------------------------------------- */

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
        check_failed(__FILE__, __LINE__, "QEMU never got %s", name);
}

size_t rig_count(const char *name)
{
        return fake_count(rig.fake, name);
}

/* --- the daemon -------------------------------------------------------------------------------------------------- */

static void session_ended(struct session *session)
{
        (void)session;
        kernel.ended = true;
}

void rig_make_with(const char *address, const struct peer_options *options)
{
        struct session_options session_options = {
                .root = rig_mount.root ? rig_mount.root : &tree_root,
                .uid = 1000,
                .gid = 100,
        };
        struct vm *vm;
        char *argv[] = { (char *)(uintptr_t) "qmpfs", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(1, argv);
        int fd;

        rig = (struct rig){ 0 };
        CHECK(qmp_loop_new(&rig.loop) == 0);
        rig.fake = fake_new(rig.loop);
        rig_plain_vm();
        context_init(&rig.context, rig.loop);
        CHECK(vm_new(&rig.context, address, options, &rig.vm) == 0);
        vm = rig_mount.above_vms ? NULL : rig.vm;
        CHECK(session_new(&rig.context, vm, &args, &session_options, &rig.session) == 0);
        fuse_opt_free_args(&args);
        rig.session->ended = session_ended;
        k_init(rig.loop, &fd);
        CHECK(session_attach(rig.session, fd) == 0);
}

void rig_make(const char *address)
{
        rig_make_with(address, &(struct peer_options){
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

        CHECK(qmp_client_start_fd(rig.vm->peer.client, fd) == 0);
        PUMP(rig.loop, rig.vm->peer.up && rig_count("query-status") == n + 1);
        SETTLE();
        rig.mark = rig.fake->n_commands;
}

void rig_up(void)
{
        test_time_virtual();
        rig_make("/run/fake.sock");
        k_mount();
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

bool rig_is_deserted(void)
{
        const struct list *at = rig.vm->subscriber.link.next;

        list_for_each(i, &rig.vm->operations.all) {
                const struct operation *op = list_entry(i, struct operation, link);

                if (at != &op->subscriber.link || operation_is_awaited(op))
                        return false;
                at = at->next;
        }
        return at == &rig.vm->peer.bus.subscribers;
}

void rig_forget(void)
{
        k_drop_all();
        if (kernel.ended)
                return;
        PUMP(rig.loop, list_empty(&rig.session->contents.repeats));
        PUMP(rig.loop, live(&rig.session->inodes.files) == 0 && live(&rig.session->inodes.nodes) == 1);
        SETTLE();
        CHECK(kernel.n_requests == 0);
        CHECK(list_empty(&rig.session->requests));
        CHECK(live(&rig.session->inodes.files) == 0);
        CHECK(live(&rig.session->inodes.nodes) == 1);
        CHECK(rig.session->inodes.n == 0);
        CHECK(rig_is_deserted());
        for (size_t i = 0; i < N_CHANNELS; i++)
                CHECK(list_empty(&rig.vm->news[i].watchers));
}

void rig_unmake(void)
{
        if (rig.session && !kernel.ended)
                rig_forget();
        rig_end();
        k_deinit();
        rig.fake = fake_free(rig.fake);
        rig.loop = qmp_loop_free(rig.loop);
}

void rig_down(void)
{
        rig_unmake();
        test_time_real();
}

void rig_forget_introspection(void)
{
        rig.vm->introspection.subscriber.down(&rig.vm->introspection.subscriber);
}

void rig_forget_asked(void)
{
        rig.vm->asked.subscriber.down(&rig.vm->asked.subscriber);
}
