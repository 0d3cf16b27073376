/*
 * What operations cost QEMU: how many commands and bytes, and how many requests the kernel makes of them. The numbers are
 * in data/counts.txt, of which real/test_counts.py checks the same ones on a real mount, and more.
 *
 * The kernel is played with its caches: names and attributes are asked for again as soon as the daemon's timeouts say so.
 */
#include "fs/tree/tree.h"
#include "fs/kinds/kinds.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define SD "/machine/peripheral/sd"
/* --- the table --------------------------------------------------------------------------------------------------- */

/* commands, bytes, requests */
#define N_COLUMNS 3

struct row_counts {
        char *operation, *state;
        long n[N_COLUMNS]; /* -1: not counted */
};

static struct row_counts *table;
static size_t n_table;

static char *trim(char *s)
{
        char *end = s + strlen(s);

        while (*s == ' ')
                s++;
        while (end > s && end[-1] == ' ')
                *--end = '\0';
        return s;
}

/* The rows that are ours: those with an "f" in the last column. */
static void read_table(void)
{
        size_t size;
        char *text = test_data("counts.txt", &size), *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *fields[8], *rest = line, *field;
                struct row_counts row;
                size_t n = 0;

                if (*line == '#')
                        continue;
                while ((field = strsep(&rest, "|"))) {
                        CHECK(n < ARRAY_SIZE(fields));
                        fields[n++] = trim(field);
                }
                ck_assert_msg(n == ARRAY_SIZE(fields), "not %zu fields: %s", ARRAY_SIZE(fields), line);
                if (!strchr(fields[7], 'f'))
                        continue;
                row = (struct row_counts){ .operation = strdup(fields[0]), .state = strdup(fields[1]) };
                for (size_t i = 0; i < N_COLUMNS; i++)
                        row.n[i] = streq(fields[2 + i], "-") ? -1 : strtol(fields[2 + i], NULL, 10);
                table = reallocarray(table, n_table + 1, sizeof(*table));
                CHECK(table);
                table[n_table++] = row;
        }
        free(text);
}

static void free_table(void)
{
        for (size_t i = 0; i < n_table; i++) {
                free(table[i].operation);
                free(table[i].state);
        }
        free(take_ptr(table));
        n_table = 0;
}

/* --- the kernel, with its caches --------------------------------------------------------------------------------- */

struct dentry {
        char *path;
        uint64_t node;
        uint64_t valid; /* until then the name needs no lookup */
};

struct attr {
        uint64_t node;
        uint64_t valid;
        bool read; /* so its atime is to be asked for */
};

static struct dentry *dentries;
static size_t n_dentries;
static struct attr *attrs;
static size_t n_attrs;
static size_t requests;

static uint64_t until(uint64_t seconds, uint32_t ns)
{
        return seconds == 0 && ns == 0 ? 0 : qmp_now() + seconds * SEC + ns;
}

static struct dentry *dentry_of(const char *path)
{
        for (size_t i = 0; i < n_dentries; i++)
                if (streq(dentries[i].path, path))
                        return &dentries[i];
        dentries = reallocarray(dentries, n_dentries + 1, sizeof(*dentries));
        CHECK(dentries);
        dentries[n_dentries] = (struct dentry){ .path = strdup(path) };
        return &dentries[n_dentries++];
}

static struct attr *attr_of(uint64_t node)
{
        for (size_t i = 0; i < n_attrs; i++)
                if (attrs[i].node == node)
                        return &attrs[i];
        attrs = reallocarray(attrs, n_attrs + 1, sizeof(*attrs));
        CHECK(attrs);
        attrs[n_attrs] = (struct attr){ .node = node };
        return &attrs[n_attrs++];
}

static void forget_all(void)
{
        for (size_t i = 0; i < n_dentries; i++)
                free(dentries[i].path);
        free(take_ptr(dentries));
        free(take_ptr(attrs));
        n_dentries = n_attrs = 0;
}

static void need_attr(uint64_t node)
{
        struct fuse_getattr_in in = { 0 };
        struct fuse_attr_out out;
        struct attr *attr = attr_of(node);
        struct k_reply *reply;

        if (qmp_now() < attr->valid)
                return;
        reply = k_wait(k_send(FUSE_GETATTR, node, &in, sizeof(in), NULL, 0));
        requests++;
        ck_assert_int_eq(reply->error, 0);
        CHECK(reply->size == sizeof(out));
        memcpy(&out, reply->data, sizeof(out));
        attr->valid = until(out.attr_valid, out.attr_valid_nsec);
        attr->read = false;
        free(reply);
}

static void remember(const char *path, const struct fuse_entry_out *entry)
{
        struct dentry *dentry = dentry_of(path);
        struct attr *attr = attr_of(entry->nodeid);

        dentry->node = entry->nodeid;
        dentry->valid = until(entry->entry_valid, entry->entry_valid_nsec);
        attr->valid = until(entry->attr_valid, entry->attr_valid_nsec);
        attr->read = false;
}

static void need_all_attr(uint64_t node)
{
        static size_t n_invalidated;

        /* the daemon said so, of the file that has just been opened */
        if (attr_of(node)->read || kernel.n_invalidated != n_invalidated)
                attr_of(node)->valid = 0;
        n_invalidated = kernel.n_invalidated;
        need_attr(node);
}

/* The node behind a path. To go through a directory, the kernel looks at its mode. */
static uint64_t walk(const char *path)
{
        uint64_t node = FUSE_ROOT_ID;
        char *copy = strdup(path), *end;

        for (char *name = copy; *name; name = end) {
                struct fuse_entry_out entry;
                struct dentry *dentry;
                char at;

                end = strchrnul(name, '/');
                at = *end;
                need_attr(node);
                *end = '\0';
                dentry = dentry_of(copy);
                if (qmp_now() >= dentry->valid) {
                        int r = k_lookup(node, name, &entry);
                        bool another = dentry->node && r == 0 && entry.nodeid != dentry->node;

                        requests++;
                        if (another) {
                                /* the name means something else now: the kernel drops both, and asks again */
                                k_forget(entry.nodeid, 1);
                                dentry->node = 0;
                                r = k_lookup(node, name, &entry);
                                requests++;
                        }
                        ck_assert_msg(r == 0, "%s: %s", copy, strerror(-r));
                        remember(copy, &entry);
                }
                node = dentry_of(copy)->node;
                *end = at;
                end += at == '/';
        }
        free(copy);
        return node;
}

static struct k_file open_file(const char *path, int flags)
{
        uint64_t node = walk(path);
        struct k_file file;

        /* may it be opened? */
        need_attr(node);
        ASSERT_OK(k_open(node, flags, &file));
        requests++;
        if (flags & O_TRUNC) {
                ASSERT_OK(k_setattr(node, FATTR_SIZE, 0));
                requests++;
        }
        return file;
}

static void close_file(const struct k_file *file)
{
        k_release(file);
        requests++;
}

static size_t read_at(const struct k_file *file, uint64_t offset)
{
        struct k_reply *reply = k_wait(k_send_read(file, offset, 131072));
        size_t n = reply->size;

        requests++;
        ck_assert_int_eq(reply->error, 0);
        free(reply);
        attr_of(file->node)->read = true;
        return n;
}

static void cat(const char *path)
{
        struct k_file file = open_file(path, O_RDONLY);
        size_t n, offset = 0;

        need_all_attr(file.node); /* fstat */
        while ((n = read_at(&file, offset)) > 0)
                offset += n;
        close_file(&file);
}

static void echo(const char *text, const char *path)
{
        struct k_file file = open_file(path, O_WRONLY | O_TRUNC);
        struct fuse_flush_in flush = { .fh = file.fh };

        ASSERT_OK(k_wait_error(k_send_write(&file, text, strlen(text))));
        requests++;
        ASSERT_OK(k_wait_error(k_send(FUSE_FLUSH, file.node, &flush, sizeof(flush), NULL, 0)));
        requests++;
        close_file(&file);
}

struct name {
        char *name;
        bool dir;
};

/* The first piece of a listing comes with attributes. Only the first piece is counted: how long it is the kernel says. */
static struct name *list(const char *path, size_t *ret_n)
{
        uint64_t node = walk(path), offset = 0;
        struct name *names = NULL;
        struct k_file dir;
        size_t n = 0;

        need_attr(node);
        ASSERT_OK(k_opendir(node, &dir));
        requests++;
        need_all_attr(node); /* fstat, by opendir(3) */
        requests++;          /* READDIRPLUS */
        for (;;) {
                struct k_reply *reply = k_wait(k_send_readdir(&dir, offset, 4096));

                ck_assert_int_eq(reply->error, 0);
                if (reply->size == 0) {
                        free(reply);
                        break;
                }
                for (size_t at = 0; at < reply->size;) {
                        const struct fuse_dirent *e = (const void *)(reply->data + at);
                        _cleanup_(qmp_freep) char *name = strndup(e->name, e->namelen), *child = NULL;

                        at += FUSE_DIRENT_SIZE(e);
                        offset = e->off;
                        if (streq(name, ".") || streq(name, ".."))
                                continue;
                        CHECK(asprintf(&child, "%s%s%s", path, *path ? "/" : "", name) > 0);
                        names = reallocarray(names, n + 1, sizeof(*names));
                        CHECK(names);
                        names[n++] = (struct name){ take_ptr(name), e->type == S_IFDIR >> 12 };
                }
                free(reply);
        }
        close_file(&dir);
        attr_of(node)->read = true;
        *ret_n = n;
        return names;
}

static void free_names(struct name *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(names[i].name);
        free(names);
}

static void ls(const char *path)
{
        size_t n;
        struct name *names = list(path, &n);

        free_names(names, n);
}

static size_t ls_long(const char *path)
{
        size_t n;
        struct name *names = list(path, &n);

        for (size_t i = 0; i < n; i++) {
                _cleanup_(qmp_freep) char *child = NULL;

                CHECK(asprintf(&child, "%s/%s", path, names[i].name) > 0);
                need_all_attr(walk(child));
        }
        free_names(names, n);
        return n;
}

/* How many directories there are. */
static size_t find(const char *path)
{
        size_t n, found = 1;
        struct name *names = list(path, &n);

        for (size_t i = 0; i < n; i++) {
                _cleanup_(qmp_freep) char *child = NULL;

                CHECK(asprintf(&child, "%s/%s", path, names[i].name) > 0);
                if (names[i].dir)
                        found += find(child);
        }
        free_names(names, n);
        return found;
}

/* --- counting ---------------------------------------------------------------------------------------------------- */

static size_t mark;

static void begin(void)
{
        SETTLE();
        mark = rig.fake->n_commands;
        requests = 0;
}

/* What was sent since begin() must be what the table says. */
static void check(const char *operation, const char *state)
{
        _cleanup_(qmp_freep) char *sent = strdup("");
        long counted[N_COLUMNS] = { 0, 0, (long)requests };
        bool same = true;
        size_t row;

        SETTLE();
        for (size_t i = mark; i < rig.fake->n_commands; i++) {
                char *more;

                counted[0]++;
                counted[1] += (long)strlen(rig.fake->commands[i]->text);
                CHECK(asprintf(&more, "%s\n  %s", sent, rig.fake->commands[i]->text) > 0);
                free(sent);
                sent = more;
        }
        /* no blank in between either: QEMU spends 4 us on each byte */
        CHECK(rig.fake->raw_parsed == rig.fake->raw_size);
        for (row = 0; row < n_table; row++)
                if (streq(table[row].operation, operation) && streq(table[row].state, state))
                        break;
        for (size_t i = 0; row < n_table && i < N_COLUMNS; i++)
                same = same && (table[row].n[i] < 0 || table[row].n[i] == counted[i]);
        ck_assert_msg(row < n_table && same, "%s\ncounted: %s | %s | %ld | %ld | %ld\nsent:%s",
                      row < n_table ? "other counts than in the table" : "no such row for this test", operation,
                      state, counted[0], counted[1], counted[2], sent);
        begin();
}

/* --- a VM of scsi disks, as the other test has it ----------------------------------------------------------------- */

#define PROPERTY(name, type) "{\"name\": \"" name "\", \"type\": \"" type "\"}"

static void set_disks(unsigned n)
{
        _cleanup_(qmp_freep) char *blocks = NULL, *devices = NULL;
        size_t size;
        FILE *block = open_memstream(&blocks, &size), *device = open_memstream(&devices, &size);

        CHECK(block && device);
        fputs("[", block);
        fputs("[" PROPERTY("type", "string") ", " PROPERTY("scsi0", "child<virtio-scsi-pci>"), device);
        for (unsigned i = 0; i < n; i++) {
                fprintf(block,
                        "%s{\"io-status\": \"ok\", \"device\": \"\", \"locked\": false, \"removable\": false, "
                        "\"qdev\": \"sd%u\", \"type\": \"unknown\", \"inserted\": {\"node-name\": \"n%u\", \"ro\": "
                        "false, \"image\": {\"virtual-size\": 1048576, \"filename\": \"null-co://\"}}}",
                        i ? ", " : "", i, i);
                fprintf(device, ", {\"name\": \"sd%u\", \"type\": \"child<scsi-hd>\"}", i);
        }
        fputs("]", block);
        fputs("]", device);
        fclose(block);
        fclose(device);
        fake_on(rig.fake, "query-block", blocks);
        rig_qom("/machine/peripheral", NULL, devices);
}

/* Each object of qom/ below @path: @children of them, with @children of their own each, @depth deep. */
static void set_objects(const char *path, unsigned children, unsigned depth)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        CHECK(out);
        fputs("[" PROPERTY("type", "string"), out);
        for (unsigned i = 0; depth > 0 && i < children; i++)
                fprintf(out, ", {\"name\": \"o%u\", \"type\": \"child<container>\"}", i);
        fputs("]", out);
        fclose(out);
        rig_qom(path, NULL, text);
        for (unsigned i = 0; depth > 0 && i < children; i++) {
                _cleanup_(qmp_freep) char *child = NULL;

                CHECK(asprintf(&child, "%s/o%u", streq(path, "/") ? "" : path, i) > 0);
                set_objects(child, children, depth - 1);
        }
}

static void remove_at_once(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        /* in this order (QEMU 7.2) */
        fake_return(fake, command, "{}");
        rig_deleted(SD "0");
}

static void up(void)
{
        static const char schema[] =
                "[{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, "
                "{\"name\": \"any\", \"meta-type\": \"builtin\", \"json-type\": \"value\"}, "
                "{\"name\": \"query-status\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": "
                "\"any\"}, "
                "{\"name\": \"stop\", \"meta-type\": \"command\", \"arg-type\": \"0\", \"ret-type\": \"0\"}, "
                "{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"}, "
                "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"}, "
                "{\"name\": \"1\", \"meta-type\": \"object\", \"members\": ["
                "{\"name\": \"device\", \"type\": \"str\", \"default\": null}, "
                "{\"name\": \"node-name\", \"type\": \"str\", \"default\": null}, "
                "{\"name\": \"size\", \"type\": \"int\"}]}, "
                "{\"name\": \"block_resize\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": \"0\"}, "
                "{\"name\": \"STOP\", \"meta-type\": \"event\", \"arg-type\": \"0\"}]";
        static const char properties[] = "[" PROPERTY("type", "string") ", " PROPERTY("drive", "str") ", " PROPERTY(
                "serial", "str") ", " PROPERTY("scsi-id",
                                               "uint32") ", " PROPERTY("child",
                                                                       "child<x>") ", " PROPERTY("wwn", "uint64") "]";
        static const char *const names[] = { "type", "drive", "serial", "scsi-id", "wwn" };
        static const char *const values[] = { "\"scsi-hd\"", "\"n0\"", "\"abc\"", "0", "0" };
        rig_up();
        read_table();
        set_disks(2);
        rig_qom("/machine/peripheral-anon", NULL, "[]");
        for (unsigned i = 0; i < 2; i++) {
                const char *path = i ? SD "1" : SD "0";

                rig_qom(path, NULL, properties);
                for (size_t p = 0; p < ARRAY_SIZE(names); p++)
                        rig_qom(path, names[p], values[p]);
        }
        rig_qom("/", NULL, "[" PROPERTY("type", "string") ", " PROPERTY("machine", "child<pc-machine>") "]");
        rig_qom("/machine", NULL, "[" PROPERTY("type", "string") ", " PROPERTY("peripheral", "child<container>") "]");
        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "stop", "{}");
        fake_on_call(rig.fake, "device_del", remove_at_once, NULL);
        /* nothing gets old by itself, nothing is used again for being costly */
        rig.vm->peer.options.max_load = 100;
        rig.vm->peer.options.structure_ttl_ns = 1000 * SEC;
        /* what the kernel asks only once */
        ls("");
        for (const struct row *row = tree_root.data; row->name; row++)
                if (S_ISDIR(row->kind->type) || row->query || row->channel)
                        walk(row->name);
        begin();
}

static void down(void)
{
        forget_all();
        free_table();
        rig_down();
}

static void event(void)
{
        rig_event("STOP", "%s", "");
        begin();
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static const char *const any_files[] = { "connection", "status", "state" };

START_TEST(files_of_the_vm)
{
        _cleanup_(qmp_freep) char *operation = NULL;

        CHECK(asprintf(&operation, "cat %s", any_files[_i]) > 0);
        cat(any_files[_i]);
        begin();
        for (unsigned run = 0; run < 3; run++) {
                cat(any_files[_i]);
                check(operation, "any");
        }
}
END_TEST

static const char *const files[] = {
        "block/sd0/status",
        "block/sd0/inserted/image/virtual-size",
        "devices/sd0/serial",
        "qom/machine/peripheral/sd0/serial",
};

START_TEST(files_of_an_object)
{
        _cleanup_(qmp_freep) char *operation = NULL;

        CHECK(asprintf(&operation, "cat %s", files[_i]) > 0);
        cat(files[_i]);
        for (unsigned run = 0; run < 3; run++) {
                event();
                cat(files[_i]);
                check(operation, "cold");
                cat(files[_i]);
                check(operation, "warm");
        }
}
END_TEST

static const unsigned sizes[] = { 1, 32, 200 };

START_TEST(lists_of_disks)
{
        _cleanup_(qmp_freep) char *operation = NULL;

        CHECK(asprintf(&operation, "ls -l block/ of %u", sizes[_i]) > 0);
        set_disks(sizes[_i]);
        ck_assert_uint_eq(ls_long("block"), sizes[_i]);
        for (unsigned run = 0; run < 3; run++) {
                event();
                ls_long("block");
                check(operation, "cold");
                ls_long("block");
                check(operation, "warm");
        }
}
END_TEST

START_TEST(properties_of_a_type)
{
        ls("devices");
        begin();
        ls("devices/sd0");
        check("ls devices/sd0 of 5 properties", "first of type");
        ls("devices/sd1");
        check("ls devices/sd1", "second of type");
        ls("devices/sd0");
        check("ls devices/sd0", "warm");
}
END_TEST

START_TEST(objects_of_qom)
{
        size_t lists;

        /* 1 + 5 + 25, and one of these is QEMU's affair elsewhere */
        set_objects("/", 5, 2);
        rig_qom("/o4/o4", NULL, NULL);
        rig_qom("/o4", NULL,
                "[" PROPERTY("o0", "child<x>") ", " PROPERTY("o1", "child<x>") ", " PROPERTY(
                        "o2", "child<x>") ", " PROPERTY("o3", "child<x>") "]");
        lists = rig_count("qom-list");
        ck_assert_uint_eq(find("qom"), 30);
        ck_assert_uint_eq(rig_count("qom-list") - lists, 30);
        check("find qom/ of 30 objects", "cold");
}
END_TEST

START_TEST(introspection)
{
        cat("query/status");
        check("cat query/status", "first");
        for (unsigned run = 0; run < 3; run++) {
                cat("query/status");
                check("cat query/status", "later");
        }
}
END_TEST

START_TEST(commands)
{
        echo("\n", "cmd/stop");
        check("echo > cmd/stop", "first");
        for (unsigned run = 0; run < 3; run++) {
                echo("\n", "cmd/stop");
                check("echo > cmd/stop", "later");
        }
}
END_TEST

START_TEST(filters)
{
        struct k_file file = rig_must_open("events", O_RDWR);

        begin();
        ASSERT_OK(k_wait_error(k_send_write(&file, "timeout=1 a=b", 13)));
        requests++;
        check("write(events), no name in it", "any");
        ASSERT_OK(k_wait_error(k_send_write(&file, "STOP", 4)));
        requests++;
        check("write(events)", "first");
        ASSERT_OK(k_wait_error(k_send_write(&file, "STOP", 4)));
        requests++;
        check("write(events)", "later");
}
END_TEST

START_TEST(removal)
{
        set_disks(1);
        cat("block/sd0/status");
        begin();
        echo("1\n", "block/sd0/remove");
        check("echo 1 > block/sd0/remove", "warm");
}
END_TEST

START_TEST(sizes_of_disks)
{
        set_disks(1);
        fake_on(rig.fake, "block_resize", "{}");
        cat("block/sd0/size");
        begin();
        cat("block/sd0/size");
        check("cat block/sd0/size", "warm");
        /* the schema, once */
        echo("1M\n", "block/sd0/size");
        check("echo 1M > block/sd0/size", "first");
        echo("1M\n", "block/sd0/size");
        check("echo 1M > block/sd0/size", "later");
}
END_TEST

/* The first one answers when all requests have come; the second one before the next is looked at. */
static const struct {
        uint64_t delay_ns;
        const char *state;
} qemus[] = { { MS, "QEMU is busy" }, { 0, "QEMU is not" } };

START_TEST(readers_at_once)
{
        struct k_file open[16];
        uint64_t reads[ARRAY_SIZE(open)];

        for (size_t i = 0; i < ARRAY_SIZE(open); i++)
                open[i] = open_file("status", O_RDONLY);
        for (size_t i = 0; i < ARRAY_SIZE(open); i++)
                read_at(&open[i], 0);
        rig.fake->delay_ns = qemus[_i].delay_ns;
        for (unsigned run = 0; run < 3; run++) {
                begin();
                for (size_t i = 0; i < ARRAY_SIZE(open); i++)
                        reads[i] = k_send_read(&open[i], 0, 4096);
                for (size_t i = 0; i < ARRAY_SIZE(open); i++)
                        ASSERT_OK(k_wait_error(reads[i]));
                requests += ARRAY_SIZE(open);
                check("pread(status, offset=0) by 16 at once", qemus[_i].state);
        }
}
END_TEST

START_TEST(single_requests)
{
        struct k_file open = open_file("status", O_RDONLY);

        read_at(&open, 0);
        need_all_attr(open.node);
        walk("block/sd0");
        for (unsigned run = 0; run < 3; run++) {
                begin();
                read_at(&open, 0);
                check("pread(status, offset=0)", "any");
                read_at(&open, 1);
                check("pread(status, offset=1)", "any");
                need_all_attr(open.node);
                check("fstat(status)", "after a read");
                need_all_attr(open.node);
                check("fstat(status)", "again");
                event();
                need_all_attr(walk("block/sd0"));
                check("lstat(block/sd0)", "cold");
                need_all_attr(walk("block/sd0"));
                check("lstat(block/sd0)", "warm");
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(files_of_the_vm, ARRAY_SIZE(any_files)),
                TEST_EACH(files_of_an_object, ARRAY_SIZE(files)),
                TEST_EACH(lists_of_disks, ARRAY_SIZE(sizes)),
                TEST(properties_of_a_type),
                TEST(objects_of_qom),
                TEST(introspection),
                TEST(commands),
                TEST(filters),
                TEST(removal),
                TEST(sizes_of_disks),
                TEST_EACH(readers_at_once, ARRAY_SIZE(qemus)),
                TEST(single_requests),
        };

        return test_main("counts", tests, ARRAY_SIZE(tests), up, down);
}
