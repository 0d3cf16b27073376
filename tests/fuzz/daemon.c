#include "daemon.h"

#include <fuse_log.h>
#include <signal.h>
#include <stdarg.h>

struct daemon_qemu daemon_qemu;

/* Commands that QEMU has not answered. */
static struct waiting {
        const struct fake_command **commands;
        size_t n;
} waiting, waiting_oob;

static void fuse_said(enum fuse_log_level level, const char *format, va_list args)
{
        (void)level;
        (void)format;
        (void)args;
}

void daemon_init(void)
{
        test_time_virtual();
        fuse_set_log_func(fuse_said);
        signal(SIGPIPE, SIG_IGN);
}

/* --- the kernel -------------------------------------------------------------------------------------------------- */

/* It asks for nothing longer, and finds "." and ".." by itself. */
static bool is_asked_for(const char *path)
{
        while (*path) {
                size_t n = strcspn(path, "/");

                if (n > 255 || (n == 1 && *path == '.') || (n == 2 && startswith(path, "..")))
                        return false;
                path += n + (path[n] == '/');
        }
        return true;
}

int daemon_walk(const char *path, struct fuse_entry_out *ret_entry)
{
        return is_asked_for(path) ? rig_walk(path, ret_entry) : -ENOENT;
}

int daemon_open(const char *path, int flags, struct k_file *ret_file)
{
        return is_asked_for(path) ? rig_open(path, flags, ret_file) : -ENOENT;
}

void daemon_interrupt(uint64_t unique)
{
        k_interrupt(unique);
        /* one that finds no request waits in libfuse for the next that comes, and if none does it is never freed */
        (void)k_send(FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);
}

/* --- QEMU -------------------------------------------------------------------------------------------------------- */

void daemon_say(const char *bytes, size_t size)
{
        size_t least;

        if (rig.fake->fd < 0 || size == 0)
                return;
        fake_send(rig.fake, bytes, size);
        /* of a flood no more than thousands of pieces */
        least = fake_n_unsent(rig.fake) / 2048;
        rig.fake->write_chunk = daemon_qemu.chunk > 0 && daemon_qemu.chunk < least ? least : daemon_qemu.chunk;
}

/* Calls @fn with the class and the description. */
static void split_error(const char *text, void (*fn)(const void *of, const char *class, const char *desc),
                        const void *of)
{
        const char *bar = strchrnul(text, '|');
        char *class = strndup(text + 1, (size_t)(bar - text - 1));

        CHECK(class);
        fn(of, class, *bar ? bar + 1 : "");
        free(class);
}

static void set_error(const void *of, const char *class, const char *desc)
{
        fake_on_error(rig.fake, of, class, desc);
}

static void send_error(const void *of, const char *class, const char *desc)
{
        fake_error(rig.fake, of, class, desc);
}

void daemon_on(const char *key, const char *text)
{
        if (*text == '!')
                split_error(text, set_error, key);
        else
                fake_on(rig.fake, key, text);
}

static void answer(const struct fake_command *command, const char *text)
{
        if (!text)
                fake_answer(rig.fake, command);
        else if (*text == '!')
                split_error(text, send_error, command);
        else
                fake_return(rig.fake, command, text);
}

static bool answer_first(struct waiting *w, const char *text)
{
        const struct fake_command *command;

        if (rig.fake->fd < 0)
                w->n = 0;
        if (w->n == 0)
                return false;
        command = w->commands[0];
        memmove(w->commands, w->commands + 1, --w->n * sizeof(struct fake_command *));
        answer(command, text);
        return true;
}

bool daemon_answer(const char *text)
{
        return answer_first(&waiting, text);
}

bool daemon_answer_oob(const char *text)
{
        return answer_first(&waiting_oob, text);
}

/* All of them, the negotiation's too. */
static bool take_command(struct fake_qemu *fake, const struct fake_command *command)
{
        struct waiting *w = command->oob ? &waiting_oob : &waiting;

        if (daemon_qemu.on_command)
                daemon_qemu.on_command(command);
        if (!daemon_qemu.manual) {
                fake_answer(fake, command);
                return true;
        }
        w->commands = reallocarray(w->commands, w->n + 1, sizeof(struct fake_command *));
        CHECK(w->commands);
        w->commands[w->n++] = command;
        return true;
}

void daemon_connect(const char *greeting)
{
        if (rig.fake->fd >= 0)
                return;
        /* the last one's end has been heard of */
        SETTLE();
        CHECK(!rig.vm->peer.up);
        waiting.n = waiting_oob.n = 0;
        rig.fake->greeting = NULL;
        CHECK(qmp_client_start_fd(rig.vm->peer.client, fake_connect(rig.fake, 1 << 20)) == 0);
        greeting = greeting ? greeting : FAKE_GREETING;
        daemon_say(greeting, strlen(greeting));
        SETTLE();
}

/* What else than the plain VM's the targets ask for. */
static void plain_vm(void)
{
        static const struct {
                const char *key, *text;
        } words[] = {
                { "qmp_capabilities", "{}" },
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
                { "qom-list:/machine/peripheral-anon/device[0]", "[]" },
                { "qom-get:/machine/peripheral/nv0:drive", "\"d\"" },
                { "qom-get:/machine/peripheral-anon/device[0]/virtio-backend:drive", "\"\"" },
                { "qom-get:/machine/peripheral-anon/device[1]:memdev", "\"/objects/m2\"" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                daemon_on(words[i].key, words[i].text);
}

/* --- the daemon -------------------------------------------------------------------------------------------------- */

void daemon_new(void)
{
        rig_make("/run/vm.sock");
        kernel.moment_ns = 20 * MS;
        kernel.n_requests_max = DAEMON_REQUESTS_MAX;
        daemon_qemu = (struct daemon_qemu){ 0 };
        rig.fake->on_command = take_command;
        plain_vm();
        k_mount();
}

/* Nobody waits for ever who did not ask for it, and who did can be interrupted. */
static void end_requests(void)
{
        kernel.n_requests_max = 0;
        PUMP_FOR(rig.loop, kernel.n_requests > 0 || !list_empty(&rig.vm->operations.all) ? DAEMON_LIMIT : SEC);
        for (size_t i = 0; i < kernel.n_requests; i++)
                CHECK_MSG(kernel.requests[i].patient, "no answer to request %u, opcode %u",
                          (unsigned)kernel.requests[i].unique, kernel.requests[i].opcode);
        for (size_t i = kernel.n_requests; i-- > 0;)
                daemon_interrupt(kernel.requests[i].unique);
        PUMP_FOR(rig.loop, SEC);
        CHECK_MSG(kernel.n_requests == 0, "a request does not end by an interrupt");
}

void daemon_free(void)
{
        if (!kernel.ended)
                end_requests();
        rig_unmake();
        free(take_ptr(waiting.commands));
        free(take_ptr(waiting_oob.commands));
        waiting = waiting_oob = (struct waiting){ 0 };
}
