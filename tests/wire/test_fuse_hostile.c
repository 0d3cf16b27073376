/*
 * Nothing from QEMU is trusted: wrong types, names that are paths, floods. Whatever it says, the mount stays, each request
 * has one answer, each listed name can be looked up, and no failure looks like an empty directory.
 */
#include <dirent.h>

#include "fs/vm/collection.h"
#include "tests/lib/operation.h"
#include "tests/lib/test.h"

static const char *const values[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "18446744073709551615",
        "1e400",
        "\"\"",
        "\"x\"",
        "\"/\"",
        "\"..\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "[[[]]]",
        "[{}]",
        "[0, \"x\", null, {}, []]",
        "{\"data\": {}}",
        "{\"return\": []}",
        "[{\"device\": null}]",
        "[{\"device\": 5, \"qdev\": 6, \"inserted\": 7}]",
        "[{\"device\": [], \"qdev\": {}, \"inserted\": \"x\"}]",
        "[{\"device\": \"\", \"qdev\": \"\", \"inserted\": {\"node-name\": \"\"}}]",
        "[{\"device\": \"\", \"qdev\": \"/\", \"inserted\": {\"node-name\": 5}}]",
        "[{\"device\": \"\", \"qdev\": \"/machine/peripheral/\"}]",
        "[{\"device\": \"\", \"qdev\": \"/machine/peripheral\"}]",
        "[{\"device\": \"\", \"qdev\": \"//\"}]",
        "[{\"device\": \"a\\u0000b\", \"a\\u0000b\": 1, \"\": 2, \".\": 3, \"..\": 4, \"a/b\": 5, \"%\": 6}]",
        "[{\"cpu-index\": \"x\", \"qom-path\": 5, \"thread-id\": {}}]",
        "[{\"cpu-index\": -1, \"qom-path\": \"\"}]",
        "[{\"cpu-index\": 1e300, \"qom-path\": \"/machine/peripheral/\"}]",
        "[{\"type\": 5, \"data\": []}]",
        "[{\"type\": \"dimm\", \"data\": {\"id\": 5, \"slot\": \"x\", \"memdev\": []}}]",
        "[{\"type\": \"dimm\", \"data\": {\"id\": null, \"slot\": -5}}]",
        "[{\"type\": \"dimm\", \"data\": {\"id\": \"a/b\\u0000c\", \"slot\": 99999999999999}}]",
        "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/\"}}]",
        "[{\"name\": 5, \"type\": \"child<x>\"}, {\"name\": \"y\", \"type\": []}, {\"name\": \"z\"}]",
        "[{\"name\": \"..\", \"type\": \"child<..>\"}, {\"name\": \"\", \"type\": \"child<\"}, {\"name\": \"a/b\", "
        "\"type\": "
        "\"child<>\"}, {\"name\": \"status\", \"type\": \"\"}, {\"name\": \"p\", \"type\": \"int\"}, {\"name\": "
        "\"p\", "
        "\"type\": \"int\"}]",
        "{\"status\": {}, \"running\": \"x\", \"name\": [1], \"UUID\": {\"a\": 1}, \"qemu\": 7}",
        "{\"status\": null, \"running\": null, \"name\": null, \"UUID\": null, \"qemu\": {\"major\": \"x\"}}",
        "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}, \"package\": 5}",
};

static bool names_are_unique(char *names)
{
        struct {
                char *name;
        } seen[200];
        char *save = NULL;
        size_t n = 0;

        for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                for (size_t i = 0; i < n; i++)
                        if (streq(seen[i].name, name))
                                return false;
                if (n < ARRAY_SIZE(seen))
                        seen[n++].name = name;
        }
        return true;
}

/* Opens what can be, and reads it twice: what came with the opening, and what is asked for again. */
static void visit_file(uint64_t node, const char *name)
{
        struct k_file file;
        int r = k_open(node, O_RDONLY, &file);

        ck_assert_msg(op_error_is_documented(r), "'%s' is not opened: %s", name, strerrorname_np(-r));
        if (r < 0)
                return;
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_(qmp_freep) char *text = NULL;

                r = rig_read_all(&file, &text, NULL);
                ck_assert_msg(op_error_is_documented(r), "'%s' is not read: %s", name, strerrorname_np(-r));
        }
        k_release(&file);
}

/* Lists, looks up and reads whatever is under @path, and tries its `remove` and its polls. */
static void visit(uint64_t node, unsigned depth)
{
        struct fuse_entry_out entry;
        struct k_file dir, file;
        struct k_reply *reply;

        /* what says of any path that there are more objects has no end but ours, which would take a while */
        if (depth >= 4)
                return;
        ASSERT_OK(k_opendir(node, &dir));
        reply = k_wait(k_send_readdir(&dir, 0, 65536));
        for (size_t at = 0; reply->error == 0 && at < reply->size;) {
                struct fuse_dirent *e = (struct fuse_dirent *)(void *)(reply->data + at);
                _cleanup_(qmp_freep) char *name = strndup(e->name, e->namelen);
                int r;

                at += FUSE_DIRENT_SIZE(e);
                if (streq(name, ".") || streq(name, ".."))
                        continue;
                CHECK(e->namelen > 0);
                CHECK(e->namelen <= 255);
                CHECK(strlen(name) == e->namelen);
                ck_assert_ptr_null(strchr(name, '/'));
                r = k_lookup(node, name, &entry);
                ck_assert_msg(r == 0, "'%s' is listed, but: %s", name, strerrorname_np(-r));
                CHECK((entry.attr.mode & S_IFMT) == (uint32_t)e->type << 12);
                if (e->type == DT_DIR) {
                        visit(entry.nodeid, depth + 1);
                } else if (e->type == DT_LNK) {
                        (void)k_wait_error(k_send_readlink(entry.nodeid));
                } else {
                        visit_file(entry.nodeid, name);
                        if (streq(name, "remove")) {
                                ASSERT_OK(k_open(entry.nodeid, O_WRONLY, &file));
                                (void)k_wait_error(k_send_write(&file, "nowait", 6));
                                k_release(&file);
                        }
                }
        }
        free(reply);
        k_release(&dir);
}

START_TEST(any_value_anywhere)
{
        static const char *const commands[] = { "query-status",  "query-name",           "query-uuid",
                                                "query-version", "query-block",          "qom-list",
                                                "qom-get",       "query-cpus-fast",      "query-memory-devices",
                                                "device_del",    "human-monitor-command" };

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                fake_on(rig.fake, commands[i], values[_i]);
        visit(FUSE_ROOT_ID, 0);
        ck_assert(rig.vm->peer.up);
        rig_event("STOP", "%s", "");
        SETTLE();
        visit(FUSE_ROOT_ID, 0);
}
END_TEST

/* As above, but only one answer is odd. */
START_TEST(any_value_of_one_command)
{
        static const char *const commands[] = { "query-status", "query-version", "query-block", "query-cpus-fast",
                                                "query-memory-devices" };

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
                rig_unmake();
                rig_make("/run/fake.sock");
                k_mount();
                fake_on(rig.fake, commands[i], values[_i]);
                rig_connect();
                visit(FUSE_ROOT_ID, 0);
                ck_assert(rig.vm->peer.up);
        }
}
END_TEST

START_TEST(any_value_in_qom)
{
        rig_qom("/machine/peripheral", NULL, values[_i]);
        visit(FUSE_ROOT_ID, 0);
        rig_qom("/machine/peripheral", NULL, "[{\"name\": \"nv0\", \"type\": \"child<nvme>\"}]");
        rig_qom("/machine/peripheral/nv0", NULL, values[_i]);
        PUMP_FOR(rig.loop, 200 * MS);
        visit(FUSE_ROOT_ID, 0);
        rig_qom("/machine/peripheral/nv0", NULL, "[{\"name\": \"p\", \"type\": \"x\"}]");
        rig_qom("/machine/peripheral/nv0", "p", values[_i]);
        rig_qom("/machine/peripheral/nv0", "drive", values[_i]);
        PUMP_FOR(rig.loop, 200 * MS);
        visit(FUSE_ROOT_ID, 0);
}
END_TEST

/* Asked for again by those who have the files open since all was well. */
START_TEST(any_value_after_the_opening)
{
        static const char *const paths[] = {
                "status",
                "state",
                "name",
                "uuid",
                "version",
                "block/NVME1/status",
                "block/NVME1/inserted/ro",
                "cpus/1/status",
                "cpus/1/thread-id",
                "memory/dimm1/status",
                "memory/dimm1/data/size",
                "devices/nv0/status",
                "devices/nv0/serial",
                "qom/machine/peripheral/nv0/serial",
        };
        static const char *const commands[] = { "query-status",  "query-name",      "query-uuid",
                                                "query-version", "query-block",     "qom-list",
                                                "qom-get",       "query-cpus-fast", "query-memory-devices" };
        struct k_file files[ARRAY_SIZE(paths)];

        rig_qom("/", NULL, "[{\"name\": \"machine\", \"type\": \"child<pc>\"}]");
        rig_qom("/machine", NULL, "[{\"name\": \"peripheral\", \"type\": \"child<container>\"}]");
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                files[i] = rig_must_open_and_read(paths[i], O_RDONLY);
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                fake_on(rig.fake, commands[i], values[_i]);
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                size_t n = rig.fake->n_commands;
                int r = k_wait_error(k_send_read(&files[i], 0, 65536));

                ck_assert_msg(op_error_is_documented(r), "%s: %s", paths[i], strerrorname_np(-r));
                /* what is known to have gone needs no question */
                ck_assert_msg(rig.fake->n_commands > n || r == -ENODEV, "%s is not asked for", paths[i]);
        }
        ck_assert(rig.vm->peer.up);
}
END_TEST

START_TEST(any_value_in_an_event)
{
        static const char *const names[] = { "DEVICE_DELETED",
                                             "DEVICE_UNPLUG_GUEST_ERROR",
                                             "MEM_UNPLUG_ERROR",
                                             "ACPI_DEVICE_OST",
                                             "RESET",
                                             "SHUTDOWN",
                                             "STOP",
                                             "RESUME" };
        struct k_file stream = rig_must_open("events", O_RDWR), block = rig_must_open("block/NVME1/remove", O_WRONLY);
        struct k_file memory = rig_must_open("memory/dimm1/remove", O_WRONLY), ctl = rig_must_open("ctl", O_WRONLY);
        uint64_t a, b, c, d;

        fake_on(rig.fake, "system_powerdown", "{}");
        ck_assert_int_eq(k_wait_error(k_send_write(&stream, "x.y=z {\"a\":{}}", 14)), 0);
        a = k_send_write(&block, "1", 1);
        b = k_send_write(&memory, "1", 1);
        c = k_send_write(&ctl, "powerdown", 9);
        d = k_send_read(&stream, 0, 100);
        SETTLE();
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (streq(names[i], "SHUTDOWN"))
                        continue;
                rig_event(names[i], "{\"path\": %s, \"device\": %s, \"msg\": %s, \"info\": %s}", values[_i],
                          values[_i], values[_i], values[_i]);
                rig_event(names[i], "{\"info\": {\"source\": %s, \"status\": %s, \"slot\": %s, \"device\": %s}}",
                          values[_i], values[_i], values[_i], values[_i]);
                rig_event(names[i], "{\"info\": {\"source\": 3, \"status\": %s, \"slot\": %s, \"slot-type\": %s}}",
                          values[_i], values[_i], values[_i]);
                if (values[_i][0] == '{')
                        rig_event(names[i], "%s", values[_i]);
        }
        SETTLE();
        ck_assert(rig.vm->peer.up);
        ck_assert(!k_is_answered(a) && !k_is_answered(b) && !k_is_answered(c) && !k_is_answered(d));
        k_interrupt(a);
        k_interrupt(b);
        k_interrupt(c);
        k_interrupt(d);
        PUMP(rig.loop, k_n_pending() == 0);
}
END_TEST

START_TEST(what_is_no_list_is_no_empty_directory)
{
        static const char *const wrong[] = { "null", "{}", "\"\"", "5", "true" };
        static const char *const commands[] = { "query-block", "query-cpus-fast", "query-memory-devices",
                                                "qom-list" };
        static const char *const dirs[] = { "block", "cpus", "memory", "devices" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(dirs); j++) {
                        struct fuse_entry_out entry;
                        _cleanup_(qmp_freep) char *names = NULL, *path = NULL;
                        int r;

                        fake_on(rig.fake, commands[j], wrong[i]);
                        PUMP_FOR(rig.loop, 200 * MS);
                        r = rig_ls(dirs[j], &names);
                        ck_assert_msg(r == -EPROTO, "%s of %s is %s", dirs[j], wrong[i], strerrorname_np(-r));
                        ck_assert_int_gt(asprintf(&path, "%s/x", dirs[j]), 0);
                        ASSERT_ERROR(rig_walk(path, &entry), EPROTO);
                }
        }
        ASSERT_CAT_CONTAINS("errors", " /block EPROTO - QEMU's answer is not a list\n");
}
END_TEST

START_TEST(properties_that_are_no_list_are_no_empty_directory)
{
        char *names;

        rig_qom("/machine/peripheral/nv0", NULL, "{}");
        ASSERT_ERROR(rig_ls("devices/nv0", &names), EPROTO);
        ASSERT_ERROR(rig_cat("devices/nv0/status", NULL), EPROTO);
}
END_TEST

START_TEST(names_that_are_paths)
{
        fake_on(rig.fake, "query-block",
                "[{\"device\": \"../../etc/passwd\", \"a\": 1}, {\"device\": \"/\", \"a\": 2}, {\"device\": \"..\", "
                "\"a\": 3}, "
                "{\"device\": \".\", \"a\": 4}, {\"device\": \"%2F\", \"a\": 5}, {\"device\": \"a\\nb\", \"a\": 6}, "
                "{\"device\": \"\\u00e9\", \"a\": 7}, {\"device\": \"x\", \"..\": {\"..\": 8}, \"a/b\": 9, \"\": 10, "
                "\"%2E\": 11}]");
        ASSERT_LS("block", "..%2F..%2Fetc%2Fpasswd %2F %2E%2E %2E %252F a%0Ab \303\251 x");
        ASSERT_CAT("block/..%2F..%2Fetc%2Fpasswd/a", "1\n");
        ASSERT_CAT("block/%2F/a", "2\n");
        ASSERT_CAT("block/%2E%2E/a", "3\n");
        ASSERT_CAT("block/%2E/a", "4\n");
        ASSERT_CAT("block/%252F/a", "5\n");
        ASSERT_CAT("block/a%0Ab/a", "6\n");
        ASSERT_CAT("block/\303\251/a", "7\n");
        ASSERT_LS("block/x", "status remove %2E%2E a%2Fb %empty %252E");
        ASSERT_CAT("block/x/%2E%2E/%2E%2E", "8\n");
        ASSERT_CAT("block/x/a%2Fb", "9\n");
        ASSERT_CAT("block/x/%empty", "10\n");
        ASSERT_CAT("block/x/%252E", "11\n");
}
END_TEST

START_TEST(a_name_has_one_spelling)
{
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block",
                "[{\"device\": \"a\\nb\", \"k\\ny\": 1, \"p\\u007fq\": 2, \"o\": {\"k\\ny\": 1}}]");
        ASSERT_CAT("block/a%0Ab/k%0Ay", "1\n");
        ASSERT_CAT("block/a%0Ab/p%7Fq", "2\n");
        ASSERT_ERROR(rig_walk("block/a\nb", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("block/a%0Ab/k\ny", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("block/a%0Ab/p\177q", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("block/a%0Ab/o/k\ny", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("block/a%0Ab/k%0ay", &entry), ENOENT);
}
END_TEST

START_TEST(long_names_are_cut_and_told_apart)
{
        _cleanup_(qmp_freep) char *json = NULL, *ls = NULL, *path = NULL;
        char name[301];

        memset(name, 'x', 300);
        name[300] = '\0';
        ck_assert_int_gt(
                asprintf(&json, "[{\"device\": \"%s1\", \"k\": 1}, {\"device\": \"%s2\", \"k\": 2}]", name, name), 0);
        fake_on(rig.fake, "query-block", json);
        ASSERT_OK(rig_ls("block", &ls));
        ck_assert_uint_eq(strlen(ls), 255 + 1 + 255);
        ck_assert(names_are_unique(strdupa(ls)));
        ls[255] = '\0';
        ck_assert_int_gt(asprintf(&path, "block/%s/k", ls), 0);
        ASSERT_CAT(path, "1\n");
}
END_TEST

START_TEST(connection_is_one_line_whatever_the_version_is)
{
        _cleanup_(qmp_freep) char *text = NULL;

        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        rig.fake->greeting = "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 9}, \"package\": "
                             "\"a\\ndown: \\u001b[2J\"}, \"capabilities\": []}}\r\n";
        rig_connect();
        ASSERT_OK(rig_cat("connection", &text));
        ck_assert_contains(text, "QEMU 9.0.0 (a\\x0adown: \\x1b[2J)\n");
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(state_of_a_removal_is_one_line_whatever_the_reason_is)
{
        fake_on_error(rig.fake, "device_del", "GenericError", "no\nidle\033[2J");
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "1"), EIO);
        ASSERT_CAT_LINE("devices/nv0/remove", "refused: no\\x0aidle\\x1b[2J\n");
}
END_TEST

START_TEST(five_thousand_objects_of_one_name)
{
        struct fuse_entry_out dir, entry;
        struct k_file file;
        char *json = malloc(5000 * 60), *to = json;
        bool *seen = calloc(5001, sizeof(*seen));
        uint64_t offset = 0, began = test_real_now();
        size_t n = 0;

        for (unsigned i = 0; i < 5000; i++)
                to += sprintf(to, "%s{\"device\": \"d\", \"i\": %u}", i ? ", " : "[", i);
        strcpy(to, "]");
        fake_on(rig.fake, "query-block", json);
        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_OK(k_opendir(dir.nodeid, &file));
        for (bool more = true; more;) {
                struct k_reply *reply = k_wait(k_send_readdir(&file, offset, 32768));

                CHECK(reply->error == 0);
                more = reply->size > 0;
                for (size_t at = 0; at < reply->size;) {
                        struct fuse_dirent *e = (struct fuse_dirent *)(void *)(reply->data + at);
                        _cleanup_(qmp_freep) char *name = strndup(e->name, e->namelen);
                        unsigned nth = 1;

                        at += FUSE_DIRENT_SIZE(e);
                        offset = e->off;
                        if (name[0] == '.')
                                continue;
                        if (!streq(name, "d"))
                                CHECK(sscanf(name, "d%%~%u", &nth) == 1);
                        CHECK(nth >= 1);
                        CHECK(nth <= 5000);
                        CHECK(!seen[nth]);
                        seen[nth] = true;
                        n++;
                }
                free(reply);
        }
        CHECK(n == 5000);
        ASSERT_OK(rig_walk("block/d%~4711", &entry));
        ASSERT_CAT("block/d%~4711/i", "4710\n");
        CHECK(test_real_now() - began < 10 * SEC);
        free(json);
        free(seen);
}
END_TEST

START_TEST(new_names_without_end_are_found_as_fast_as_ever)
{
        struct collection *c;
        char *json = malloc(1000 * 40);
        struct fuse_entry_out entry;
        int n_empty = 0;

        for (unsigned round = 0; round < 60; round++) {
                char *to = json;

                for (unsigned i = 0; i < 1000; i++)
                        to += sprintf(to, "%s{\"device\": \"d%u.%u\"}", i ? ", " : "[", round, i);
                strcpy(to, "]");
                fake_on(rig.fake, "query-block", json);
                PUMP_FOR(rig.loop, 200 * MS);
                ASSERT_ERROR(rig_walk("block/x", &entry), ENOENT);
        }
        ASSERT_OK(rig_walk("block/d59.999", &entry));
        c = list_entry(rig.vm->objects.collections.next, struct collection, link);
        ck_assert_str_eq(c->each->query.a, "query-block");
        ck_assert_int_eq(lh_table_length(c->objects), 1000);
        /* where a search ends for what isn't there */
        for (int i = 0; i < c->objects->size; i++)
                n_empty += c->objects->table[i].k == LH_EMPTY;
        ck_assert_int_gt(n_empty, c->objects->size / 8);
        free(json);
}
END_TEST

/* Or QEMU could give its objects names that all meet in one place of the table. */
START_TEST(which_names_meet_in_the_table_is_not_foreseeable)
{
        uint64_t seed = rig.session->inodes.seed, other;

        rig_unmake();
        rig_make("/run/fake.sock");
        other = rig.session->inodes.seed;
        ck_assert_uint_ne(seed, other);
        rig_unmake();
        rig_make("/run/fake.sock");
        ck_assert_uint_ne(rig.session->inodes.seed, other);
}
END_TEST

START_TEST(objects_of_one_name_stay_who_they_are)
{
        struct fuse_entry_out a, b, again;
        const char *two = rig_list(rig_drive("d", "x"), rig_drive("d", "y"), NULL);

        fake_on(rig.fake, "query-block", two);
        ASSERT_LS("block", "d d%~2");
        ASSERT_CAT("block/d%~2/qdev", "y\n");
        ASSERT_OK(rig_walk("block/d", &a));
        ASSERT_OK(rig_walk("block/d%~2", &b));
        PUMP_FOR(rig.loop, 200 * MS);
        ASSERT_OK(rig_walk("block/d", &again));
        ck_assert_uint_eq(again.nodeid, a.nodeid);
        ASSERT_OK(rig_walk("block/d%~2", &again));
        ck_assert_uint_eq(again.nodeid, b.nodeid);
}
END_TEST

/* What a terminal would do something for, in a word that is longer than any. */
static char *nasty(const char *format)
{
        size_t size = 100000;
        char *word = malloc(size + 40), *json;

        strcpy(word, "\\u001b]0;x\\u0007\\n\\u009b2J");
        memset(word + strlen(word), 'x', size - strlen(word));
        word[size] = '\0';
        CHECK(asprintf(&json, format, word) > 0);
        free(word);
        return json;
}

/* The file's lines are of what is safe to show; all but `remove` have one. */
static void assert_plain(const char *path, const char *part)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t lines = strstr(path, "remove") ? 3 : 1, n = 0;

        ASSERT_OK(rig_cat(path, &text));
        ck_assert_uint_lt(strlen(text), 10000);
        ck_assert_contains(text, part);
        for (const unsigned char *c = (unsigned char *)text; *c; c++)
                ck_assert_msg(*c >= 0x20 && *c != 0x7f && (*c != 0xc2 || c[1] >= 0xa0)
                                      ? true
                                      : *c == '\n' && ++n <= lines && (n < lines || !c[1]),
                              "%s: byte %d is %02x", path, (int)((char *)c - text), *c);
}

/* Each of them would be asked for with the whole path. */
START_TEST(the_properties_of_a_device_of_a_long_id_are_not_asked_for)
{
        size_t size = 1 << 20;
        _cleanup_(qmp_freep) char *id = calloc(1, size + 1), *list = NULL, *ls = NULL, *path = NULL;

        memset(id, 'x', size);
        ck_assert_int_gt(asprintf(&list, "[{\"name\": \"%s\", \"type\": \"child<nvme>\"}]", id), 0);
        rig_qom("/machine/peripheral", NULL, list);
        rig_qom("/machine/peripheral-anon", NULL, "[]");
        rig_qom("/", NULL, list);
        ASSERT_OK(rig_ls("devices", &ls));
        ck_assert_int_gt(asprintf(&path, "devices/%s/status", ls), 0);
        ASSERT_ERROR(rig_cat(path, NULL), ENODEV);
        free(take_ptr(path));
        ck_assert_int_gt(asprintf(&path, "devices/%s", ls), 0);
        ASSERT_LS(path, "driver status qom remove");
        free(take_ptr(path));
        ck_assert_int_gt(asprintf(&path, "qom/%s", ls), 0);
        ASSERT_ERROR(rig_ls(path, NULL), ENODEV);
        for (size_t i = 0; i < rig.fake->n_commands; i++)
                ck_assert_uint_lt(strlen(rig.fake->commands[i]->text), 1000);
}
END_TEST

static size_t longest_key(struct json_object *object)
{
        size_t longest = 0;

        for (struct lh_entry *e = object ? json_object_get_object(object)->head : NULL; e; e = lh_entry_next(e))
                if (strlen(lh_entry_k(e)) > longest)
                        longest = strlen(lh_entry_k(e));
        return longest;
}

START_TEST(types_without_end_are_not_all_remembered)
{
        size_t size = 100 * 1024;
        _cleanup_(qmp_freep) char *type = calloc(1, size + 1);

        memset(type, 'x', size);
        rig_qom("/machine/peripheral/nv0", NULL, "[{\"name\": \"p\", \"type\": \"x\"}]");
        rig_qom_error("/machine/peripheral/nv0", "p", "GenericError", "Property 'x.p' is not readable");
        for (unsigned i = 0; i < 50; i++) {
                _cleanup_(qmp_freep) char *list = NULL, *ls = NULL;

                sprintf(type, "%03u", i);
                type[3] = 'x';
                ck_assert_int_gt(asprintf(&list,
                                          "[{\"name\": \"nv0\", \"type\": \"child<%s>\"}, {\"name\": \"t\", "
                                          "\"type\": \"%s\"}]",
                                          type, type),
                                 0);
                rig_qom("/machine/peripheral", NULL, list);
                rig_qom("/", NULL, list);
                PUMP_FOR(rig.loop, 200 * MS);
                /* each time it is found out which can't be read */
                ASSERT_LS("devices/nv0", "driver status qom remove");
                ASSERT_OK(rig_ls("qom", &ls));
        }
        ck_assert_int_lt(json_object_object_length(rig.vm->peer.plan_memory.unreadable), 20);
        ck_assert_uint_lt(longest_key(rig.vm->peer.plan_memory.type_names), 1000);
        ck_assert_int_lt(json_object_object_length(rig.vm->peer.plan_memory.type_names), 20);
}
END_TEST

START_TEST(long_paths_of_deleted_devices_are_not_kept)
{
        _cleanup_(qmp_freep) char *path = calloc(1, 64 * 1024);
        struct k_file status = rig_must_open("block/NVME1/status", O_RDONLY);
        struct ended *ended = list_entry(rig.vm->objects.ended.next, struct ended, link);
        size_t bytes = 0;

        rig_deleted("/machine/peripheral/nv0");
        memset(path, 'x', 64 * 1024 - 10);
        for (unsigned i = 0; i < 100; i++) {
                sprintf(path, "%03u", i);
                path[3] = 'x';
                rig_event("DEVICE_DELETED", "{\"path\": \"/machine/peripheral/%s\"}", path);
                PUMP(rig.loop, list_empty(&rig.fake->out));
                SETTLE();
                for (struct lh_entry *e = ended->values ? json_object_get_object(ended->values)->head : NULL; e;
                     e = lh_entry_next(e))
                        bytes += strlen(lh_entry_k(e));
                ck_assert_uint_lt(bytes, 1 << 20);
                bytes = 0;
        }
        /* and what was noted before them has been heard */
        ASSERT_ERROR(k_wait_error(k_send_read(&status, 0, 4096)), ENODEV);
}
END_TEST

START_TEST(what_qemu_says_of_itself_is_no_escape_sequence)
{
        static const char escaped[] = "\\x1b]0;x\\x07\\x0a\\xc2\\x9b2Jxxx";
        _cleanup_(qmp_freep) char *version = nasty("{\"qemu\": {\"major\": 7}, \"package\": \"%s\"}");
        _cleanup_(qmp_freep) char *greeting = nasty("{\"QMP\": {\"version\": {\"qemu\": {}, \"package\": \"%s\"}}}");
        _cleanup_(qmp_freep) char *reason = nasty("{\"guest\": false, \"reason\": \"%s\"}");

        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        rig.fake->greeting = greeting;
        fake_on(rig.fake, "query-version", version);
        rig_connect();
        assert_plain("connection", escaped);
        assert_plain("version", escaped);
        rig_event("SHUTDOWN", "%s", reason);
        SETTLE();
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        assert_plain("connection", escaped);
}
END_TEST

START_TEST(what_qemu_says_of_a_failure_is_no_escape_sequence)
{
        static const char escaped[] = "\\x1b]0;x\\x07\\x0a\\xc2\\x9b2J";
        _cleanup_(qmp_freep) char *msg = nasty("{\"device\": \"dimm1\", \"msg\": \"%s\"}");
        _cleanup_(qmp_freep) char *desc = nasty("\033]0;x\a\n\302\2332J%s");
        struct k_file remove = rig_must_open("memory/dimm1/remove", O_WRONLY);
        uint64_t write;

        fake_on_error(rig.fake, "query-name", desc, desc);
        ASSERT_ERROR(rig_cat("name", NULL), EIO);
        assert_plain("errors", escaped);
        fake_on_error(rig.fake, "device_del", "GenericError", desc);
        ASSERT_ERROR(rig_echo("devices/nv0/remove", "1"), EIO);
        assert_plain("devices/nv0/remove", escaped);
        fake_on(rig.fake, "device_del", "{}");
        write = k_send_write(&remove, "1", 1);
        SETTLE();
        rig_event("MEM_UNPLUG_ERROR", "%s", msg);
        ASSERT_ERROR(k_wait_error(write), EBUSY);
        assert_plain("memory/dimm1/remove", escaped);
}
END_TEST

START_TEST(a_refused_negotiation_is_told_in_plain_words)
{
        _cleanup_(qmp_freep) char *desc = nasty("\033]0;x\a\n\302\2332J%s");
        int fd;

        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        rig.fake->negotiation_error = desc;
        fd = fake_connect(rig.fake, 0);
        CHECK(qmp_client_start_fd(rig.vm->peer.client, fd) == 0);
        SETTLE();
        assert_plain("connection", "refused the negotiation: \\x1b]0;x\\x07\\x0a\\xc2\\x9b2J");
}
END_TEST

START_TEST(a_flood_of_large_events_is_kept_within_bounds)
{
        char *data = malloc((4 << 20) + 100);
        struct k_file stream = rig_must_open("events", O_RDWR);
        struct k_reply *reply;

        strcpy(data, "{\"x\": \"");
        memset(data + 7, 'y', 4 << 20);
        strcpy(data + 7 + (4 << 20), "\"}");
        for (unsigned i = 0; i < 20; i++) {
                fake_event(rig.fake, "BIG", data);
                PUMP(rig.loop, list_empty(&rig.fake->out));
                SETTLE();
        }
        ck_assert(rig.vm->peer.up);
        /* the newest is there, all of them are not */
        ck_assert_uint_ge(rig.vm->events.journal.end - rig.vm->events.journal.start, 4 << 20);
        ck_assert_uint_le(rig.vm->events.journal.end - rig.vm->events.journal.start, 64 << 20);
        /* and who doesn't read is told of the loss */
        reply = k_wait(k_send_read(&stream, 0, 65536));
        ck_assert_int_eq(reply->error, 0);
        /* of the event that follows the first bytes are there, too, which is too much for a message */
        reply->data[200] = '\0';
        ck_assert_contains(reply->data, "\"event\":\"QMPFS_EVENTS_LOST\",\"data\":{\"count\":18}}\n");
        free(reply);
        free(data);
}
END_TEST

START_TEST(a_device_of_too_many_properties_is_refused)
{
        char *json = malloc(5000 * 40), *to = json;

        for (unsigned i = 0; i < 5000; i++)
                to += sprintf(to, "%s{\"name\": \"p%u\", \"type\": \"int\"}", i ? ", " : "[", i);
        strcpy(to, "]");
        rig_qom("/machine/peripheral/nv0", NULL, json);
        ASSERT_ERROR(rig_cat("devices/nv0/status", &to), EPROTO);
        ASSERT_CAT_CONTAINS("errors", "EPROTO - QEMU lists too many properties\n");
        ck_assert_uint_lt(rig_count("qom-get"), 5000);
        ASSERT_CAT("name", "vm1\n");
        free(json);
}
END_TEST

START_TEST(endless_nesting_and_size_end_the_connection_only)
{
        char *deep = malloc(100000);

        memset(deep, '[', 99999);
        deep[99999] = '\0';
        fake_send_text(rig.fake, deep);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_CAT("state", "down\n");
        ASSERT_CAT_CONTAINS("connection", "down: '/run/fake.sock'");
        ASSERT_ERROR(rig_ls("block", NULL), EHOSTDOWN);
        free(deep);
}
END_TEST

START_TEST(garbage_ends_the_connection_only)
{
        static const char *const garbage[] = { "hello\r\n",
                                               "{\"return\": 1}",
                                               "{\"foo\": 1}",
                                               "[]",
                                               "{\"QMP\": {}}",
                                               "{\"event\": 5}",
                                               "{\"error\": {\"class\": 5}}",
                                               "}" };

        for (size_t i = 0; i < 2 * ARRAY_SIZE(garbage); i++) {
                bool is_reply = i / 2 == 1;
                struct k_file name;
                uint64_t unique;

                if (i > 0) {
                        rig_unmake();
                        rig_make("/run/fake.sock");
                        k_mount();
                        rig_connect();
                }
                name = rig_must_open_and_read("name", O_RDONLY);
                fake_on_nothing(rig.fake, "query-name");
                unique = i % 2 ? k_send_open(name.node, O_RDONLY) : k_send_read(&name, 0, 100);
                SETTLE();
                fake_send_text(rig.fake, garbage[i / 2]);
                /* a reply is the one that was waited for, whatever it holds */
                ASSERT_ERROR(k_wait_error(unique), is_reply ? EPROTO : EHOSTDOWN);
                ck_assert_int_eq(rig.vm->peer.up, is_reply);
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(any_value_anywhere, ARRAY_SIZE(values)),
                TEST_EACH(any_value_of_one_command, ARRAY_SIZE(values)),
                TEST_EACH(any_value_in_qom, ARRAY_SIZE(values)),
                TEST_EACH(any_value_after_the_opening, ARRAY_SIZE(values)),
                TEST_EACH(any_value_in_an_event, ARRAY_SIZE(values)),
                TEST(what_is_no_list_is_no_empty_directory),
                TEST(properties_that_are_no_list_are_no_empty_directory),
                TEST(names_that_are_paths),
                TEST(a_name_has_one_spelling),
                TEST(long_names_are_cut_and_told_apart),
                TEST(connection_is_one_line_whatever_the_version_is),
                TEST(state_of_a_removal_is_one_line_whatever_the_reason_is),
                TEST(five_thousand_objects_of_one_name),
                TEST(new_names_without_end_are_found_as_fast_as_ever),
                TEST(which_names_meet_in_the_table_is_not_foreseeable),
                TEST(objects_of_one_name_stay_who_they_are),
                TEST(the_properties_of_a_device_of_a_long_id_are_not_asked_for),
                TEST(types_without_end_are_not_all_remembered),
                TEST(long_paths_of_deleted_devices_are_not_kept),
                TEST(what_qemu_says_of_itself_is_no_escape_sequence),
                TEST(what_qemu_says_of_a_failure_is_no_escape_sequence),
                TEST(a_refused_negotiation_is_told_in_plain_words),
                TEST(a_flood_of_large_events_is_kept_within_bounds),
                TEST(a_device_of_too_many_properties_is_refused),
                TEST(endless_nesting_and_size_end_the_connection_only),
                TEST(garbage_ends_the_connection_only),
        };

        return test_main("fuse_hostile", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
