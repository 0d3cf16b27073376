/*
 * qom/: the object model as a tree; the links that lead there; and what an object's properties cost QEMU.
 */
#include <limits.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define PROPERTY(name, type) "{\"name\": \"" name "\", \"type\": \"" type "\"}"

static void fill(void)
{
        fake_on(rig.fake, "qom-set", "{}");
        rig_qom("/", NULL,
                "[" PROPERTY("type", "string") ", " PROPERTY("machine", "child<pc-machine>") ", " PROPERTY(
                        "objects", "child<container>") "]");
        rig_qom("/", "type", "\"container\"");
        rig_qom("/objects", NULL, "[]");
        rig_qom("/machine", NULL,
                "[" PROPERTY("type", "string") ", " PROPERTY("peripheral", "child<container>") ", " PROPERTY("vcpu", "link<cpu>") ", " PROPERTY(
                        "none",
                        "link<cpu>") ", " PROPERTY("size",
                                                   "uint64") ", " PROPERTY("on",
                                                                           "bool") ", " PROPERTY("tree",
                                                                                                 "struct tm") "]");
        rig_qom("/machine", "type", "\"pc-machine\"");
        rig_qom("/machine", "vcpu", "\"/machine/unattached/device[0]\"");
        rig_qom("/machine", "none", "\"\"");
        rig_qom("/machine", "size", "18446744073709551615");
        rig_qom("/machine", "on", "true");
        rig_qom("/machine", "tree", "{\"tm_year\": 126}");
}

static void up(void)
{
        rig_up();
        fill();
}

static char *readlink_of(const char *path)
{
        static char *target;
        int r;

        free(take_ptr(target));
        r = rig_readlink(path, &target);
        ck_assert_msg(r == 0, "%s: %s", path, strerror(-r));
        return target;
}

/* --- what there is ----------------------------------------------------------------------------------------------- */

START_TEST(children_are_directories_and_links_are_links)
{
        static const struct {
                const char *path;
                unsigned mode;
        } modes[] = {
                { "qom", S_IFDIR | 0755 },
                { "qom/machine", S_IFDIR | 0755 },
                { "qom/type", S_IFREG | 0644 },
                { "qom/machine/vcpu", S_IFLNK | 0777 },
                { "qom/machine/on", S_IFREG | 0644 },
                { "qom/machine/peripheral/nv0", S_IFDIR | 0755 },
        };
        struct fuse_entry_out entry;

        ASSERT_LS("qom", "type machine objects");
        ASSERT_LS("qom/machine", "type peripheral vcpu none size on tree");
        ASSERT_LS("qom/machine/peripheral", "type nv0 dimm1 cpu1");
        ASSERT_LS("qom/objects", "");
        for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
                ASSERT_OK(rig_walk(modes[i].path, &entry));
                ck_assert_msg(entry.attr.mode == modes[i].mode, "%s: %o", modes[i].path, entry.attr.mode);
        }
        ASSERT_ERROR(rig_walk("qom/nosuch", &entry), ENOENT);
        ASSERT_ERROR(rig_walk("qom/machine/nosuch/x", &entry), ENOENT);
        /* -o gid opens no more to the group than the files that say what they do */
        rig.session->options.group_writes = true;
        ASSERT_OK(rig_walk("qom/machine/on", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0644);
        /* secrets can be read by qom-get */
        ASSERT_OK(rig_walk("qom/objects", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFDIR | 0700);
}
END_TEST

START_TEST(properties_are_read_bare_or_as_json)
{
        ASSERT_CAT("qom/type", "container\n");
        ASSERT_CAT("qom/machine/type", "pc-machine\n");
        ASSERT_CAT("qom/machine/size", "18446744073709551615\n");
        ASSERT_CAT("qom/machine/on", "true\n");
        ASSERT_CAT("qom/machine/tree", "{\n  \"tm_year\": 126\n}\n");
        ck_assert_str_eq(rig_last("qom-get")->text,
                         "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"tree\"}}");
        ASSERT_CAT("qom/machine/peripheral/nv0/serial", "abc\n");
        ck_assert_str_eq(rig_last("qom-get")->text, "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/"
                                                    "peripheral/nv0\",\"property\":\"serial\"}}");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(size_is_that_of_what_was_last_read)
{
        struct fuse_entry_out entry;
        struct fuse_attr attr;
        struct k_file file;
        char *text;

        ASSERT_OK(rig_walk("qom/machine/size", &entry));
        ck_assert_uint_eq(entry.attr.size, 4096);
        ASSERT_OK(k_open(entry.nodeid, O_RDONLY, &file));
        ASSERT_OK(rig_read_all(&file, &text, NULL));
        free(text);
        ASSERT_OK(k_getattr(entry.nodeid, &attr));
        ck_assert_uint_eq(attr.size, 21);
        PUMP_FOR(rig.loop, 2 * SEC);
        ASSERT_OK(k_getattr(entry.nodeid, &attr));
        ck_assert_uint_eq(attr.size, 21);
        ASSERT_OK(rig_walk("qom/machine/size", &entry));
        ck_assert_uint_eq(entry.attr.size, 21);
}
END_TEST

static const struct {
        const char *name, *file;
} names[] = {
        { "a/b", "a%2Fb" }, { "%", "%25" },   { ".", "%2E" },         { "..", "%2E%2E" },
        { "", "%empty" },   { "\\n", "%0A" }, { "a%2Fb", "a%252Fb" }, { "with blank", "with blank" },
};

START_TEST(names_become_file_names)
{
        _cleanup_(qmp_freep) char *list = NULL, *path = NULL, *link = NULL, *name = NULL;
        struct json_object *json;

        ck_assert_int_gt(asprintf(&name, "\"%s\"", names[_i].name), 0);
        json = json_tokener_parse(name);
        ck_assert_int_gt(asprintf(&list, "[{\"name\": \"%s\", \"type\": \"string\"}]", names[_i].name), 0);
        rig_qom("/objects", NULL, list);
        rig_qom("/objects", json_object_get_string(json), "\"x\"");
        ASSERT_LS("qom/objects", names[_i].file);
        ck_assert_int_gt(asprintf(&path, "qom/objects/%s", names[_i].file), 0);
        ASSERT_CAT(path, "x\n");
        ASSERT_OK(rig_echo(path, "new"));
        ck_assert_str_eq(json_object_get_string(json_object_object_get(rig_last("qom-set")->arguments, "property")),
                         json_object_get_string(json));
        /* a link of that name */
        PUMP_FOR(rig.loop, 200 * MS);
        ck_assert_int_gt(asprintf(&link, "[{\"name\": \"%s\", \"type\": \"link<x>\"}]", names[_i].name), 0);
        rig_qom("/objects", NULL, link);
        rig_qom("/objects", json_object_get_string(json), "\"/machine\"");
        ck_assert_str_eq(readlink_of(path), "../machine");
        json_object_put(json);
}
END_TEST

START_TEST(object_that_no_path_leads_to_says_so)
{
        struct fuse_entry_out entry;

        rig_qom("/objects", NULL,
                "[" PROPERTY("a/b", "child<x>") ", " PROPERTY("", "child<x>") ", " PROPERTY("..", "child<x>") "]");
        rig_qom("/objects/..", NULL, "[" PROPERTY("p", "string") "]");
        ASSERT_LS("qom/objects", "a%2Fb %empty %2E%2E");
        ASSERT_OK(rig_walk("qom/objects/a%2Fb", &entry));
        ASSERT_ERROR(rig_ls("qom/objects/a%2Fb", NULL), ENODEV);
        ASSERT_ERROR(rig_walk("qom/objects/a%2Fb/x", &entry), ENODEV);
        ASSERT_ERROR(rig_ls("qom/objects/%empty", NULL), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /qom/objects/a%2Fb ENODEV - QEMU has no path to an object with this name\n");
        ASSERT_LS("qom/objects/%2E%2E", "p");
}
END_TEST

START_TEST(list_that_makes_no_sense_is_passed_over)
{
        rig_qom("/machine", NULL,
                "[1, null, {}, {\"name\": 1, \"type\": \"x\"}, {\"name\": \"n\"}, {\"type\": \"t\"}, "
                "{\"name\": \"t\", \"type\": []}, " PROPERTY("a", "") ", " PROPERTY("a", "string") ", " PROPERTY(
                        "b", "child<") ", " PROPERTY("c", "child") "]");
        rig_qom("/machine", "a", "1");
        ASSERT_LS("qom/machine", "a b c");
        ASSERT_CAT("qom/machine/a", "1\n");
        rig_qom("/machine", NULL, "{}");
        PUMP_FOR(rig.loop, SEC);
        ASSERT_ERROR(rig_ls("qom/machine", NULL), EPROTO);
        ASSERT_CAT_CONTAINS("errors", " /qom/machine EPROTO - QEMU's answer is not a list\n");
}
END_TEST

START_TEST(property_that_becomes_a_child_is_another_file)
{
        struct k_file file = rig_must_open("qom/machine/on", O_RDONLY);
        struct fuse_entry_out entry;
        char *text;

        rig_qom("/machine", NULL, "[" PROPERTY("on", "child<x>") "]");
        rig_qom("/machine/on", NULL, "[" PROPERTY("p", "string") "]");
        PUMP_FOR(rig.loop, 200 * MS);
        ASSERT_OK(rig_walk("qom/machine/on", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFDIR | 0755);
        ck_assert_uint_ne(entry.nodeid, file.node);
        ASSERT_LS("qom/machine/on", "p");
        ASSERT_OK(rig_read_all(&file, &text, NULL));
        free(text);
}
END_TEST

/* --- what is asked ----------------------------------------------------------------------------------------------- */

START_TEST(what_was_asked_is_not_asked_again_so_soon)
{
        struct fuse_entry_out entry;
        struct k_file file;
        char *text;

        ASSERT_LS("qom/machine", "type peripheral vcpu none size on tree");
        ASSERT_SENT("qom-list qom-list");
        ASSERT_OK(rig_walk("qom/machine/size", &entry));
        ASSERT_OK(rig_walk("qom/machine/peripheral", &entry));
        ASSERT_OK(rig_ls("qom/machine", &text));
        free(text);
        ASSERT_SENT("");
        /* a name that isn't there is asked for again, and so is all after a tenth of a second */
        ASSERT_ERROR(rig_walk("qom/machine/nosuch", &entry), ENOENT);
        ASSERT_SENT("qom-list");
        PUMP_FOR(rig.loop, 101 * MS);
        ASSERT_OK(rig_walk("qom/machine/size", &entry));
        ASSERT_SENT("qom-list qom-list");
        /* what was asked for the sake of a lookup is not asked twice for it */
        PUMP_FOR(rig.loop, 101 * MS);
        ASSERT_ERROR(rig_walk("qom/machine/nosuch", &(struct fuse_entry_out){ 0 }), ENOENT);
        ASSERT_SENT("qom-list qom-list");
        /* nothing but the value is asked when it is read */
        ASSERT_OK(k_open(entry.nodeid, O_RDONLY, &file));
        ASSERT_OK(rig_read_all(&file, &text, NULL));
        free(text);
        ASSERT_SENT("qom-get");
        ASSERT_OK(rig_walk("qom/machine/vcpu", &entry));
        ASSERT_OK(k_wait_error(k_send_readlink(entry.nodeid)));
        ASSERT_SENT("qom-get");
}
END_TEST

START_TEST(an_event_or_a_write_ends_what_was_known)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk("qom/machine", &entry));
        free(rig_sent());
        ASSERT_OK(rig_walk("qom/machine", &entry));
        ASSERT_SENT("");
        rig_event("STOP", "%s", "");
        SETTLE();
        ASSERT_OK(rig_walk("qom/machine", &entry));
        ASSERT_SENT("qom-list");
        ASSERT_OK(rig_echo("qom/machine/on", "off"));
        ASSERT_SENT("qom-list qom-set");
        ASSERT_OK(rig_walk("qom/machine/on", &entry));
        ASSERT_SENT("qom-list qom-list");
}
END_TEST

START_TEST(property_that_came_just_now_is_found)
{
        struct fuse_entry_out entry;

        ASSERT_ERROR(rig_walk("qom/objects/new", &entry), ENOENT);
        rig_qom("/objects", NULL, "[" PROPERTY("new", "string") "]");
        ASSERT_OK(rig_walk("qom/objects/new", &entry));
}
END_TEST

START_TEST(a_listing_with_attributes_asks_for_no_more)
{
        char *text;

        ASSERT_OK(rig_ls("qom/machine", &text));
        ck_assert_str_eq(text, "type peripheral vcpu none size on tree");
        free(text);
        ASSERT_SENT("qom-list qom-list");
}
END_TEST

/* --- writing ----------------------------------------------------------------------------------------------------- */

static const struct {
        const char *type, *written, *value;
} writes[] = {
        { "string", "x y\n", "\"x y\"" },
        { "str", "{\"a\"}", "\"{\\\"a\\\"}\"" },
        { "string", "", "\"\"" },
        { "string", "12", "\"12\"" },
        { "bool", "on\n", "true" },
        { "bool", "no", "false" },
        { "int", "-5", "-5" },
        { "uint8", "0x10", "16" },
        { "uint64", "18446744073709551615", "18446744073709551615" },
        { "size", "1.5G", "1610612736" },
        { "int64", "4k", "4096" },
        { "number", "1.5", "1.5" },
        { "OnOffAuto", "auto", "\"auto\"" },
        { "struct tm", "{\"a\": [1, null]}", "{\"a\":[1,null]}" },
        { "whatever", "[1]", "[1]" },
        { "whatever", "\"quoted\"", "\"quoted\"" },
        { "whatever", "12", "\"12\"" },
};

START_TEST(what_is_written_is_typed_by_the_property)
{
        _cleanup_(qmp_freep) char *list = NULL, *sent = NULL;

        ck_assert_int_gt(asprintf(&list, "[{\"name\": \"p\", \"type\": \"%s\"}]", writes[_i].type), 0);
        rig_qom("/objects", NULL, list);
        ASSERT_OK(rig_echo("qom/objects/p", writes[_i].written));
        ck_assert_int_gt(asprintf(&sent,
                                  "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects\",\"property\":\"p\","
                                  "\"value\":%s}}",
                                  writes[_i].value),
                         0);
        ck_assert_str_eq(rig_last("qom-set")->text, sent);
        ASSERT_CAT("errors", "");
}
END_TEST

static const struct {
        const char *type, *written, *why;
} refused[] = {
        { "bool", "maybe", "expected a boolean, but it is not one of on, off," },
        { "bool", "", "expected a boolean, but it is not one of on, off," },
        { "uint32", "much", "expected an integer (uint32), but it does not begin with a digit" },
        { "uint32", "+1", "expected an integer (uint32), but a '+' sign is not accepted" },
        { "uint32", "-1", "expected an integer (uint32), but it is negative" },
        { "number", "x", "expected a number, but it does not begin with a digit" },
        { "struct tm", "{\"a\": 1", "the JSON value is incomplete" },
        { "whatever", "[1] 2", "trailing data after the JSON value" },
        { "string", "\xff", "invalid UTF-8" },
};

START_TEST(what_does_not_fit_the_type_is_refused)
{
        _cleanup_(qmp_freep) char *list = NULL;

        ck_assert_int_gt(asprintf(&list, "[{\"name\": \"p\", \"type\": \"%s\"}]", refused[_i].type), 0);
        rig_qom("/objects", NULL, list);
        ASSERT_ERROR(rig_echo("qom/objects/p", refused[_i].written), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /qom/objects/p EINVAL - ");
        ASSERT_CAT_CONTAINS("errors", refused[_i].why);
        ck_assert_uint_eq(rig_count("qom-set"), 0);
}
END_TEST

START_TEST(what_qemu_refuses_fails_so)
{
        rig_qom_error("/machine", "size", "GenericError", "Property 'pc-machine.size' is not readable");
        ASSERT_ERROR(rig_cat("qom/machine/size", NULL), EACCES);
        ASSERT_CAT_CONTAINS("errors", " /qom/machine/size EACCES GenericError Property 'pc-machine.size' is not "
                                      "readable\n");
        fake_on_error(rig.fake, "qom-set", "GenericError", "Insufficient permission to perform this operation");
        ASSERT_ERROR(rig_echo("qom/machine/size", "1"), EACCES);
        fake_on_error(rig.fake, "qom-set", "GenericError",
                      "Attempt to set property 'serial' on device 'nv0' (type 'nvme') after it was realized");
        ASSERT_ERROR(rig_echo("qom/machine/size", "1"), EBUSY);
        fake_on_nothing(rig.fake, "qom-set");
        ASSERT_ERROR(rig_echo("qom/machine/size", "1"), ETIMEDOUT);
        ASSERT_CAT_CONTAINS("errors",
                            " ETIMEDOUT - QEMU did not answer qom-set within 60 s; it may still carry it out\n");
}
END_TEST

START_TEST(a_write_has_its_time_whatever_was_asked_before_it)
{
        struct k_file file = rig_must_open("qom/machine/on", O_WRONLY);
        uint64_t write, before;

        PUMP_FOR(rig.loop, SEC);
        fake_on_nothing(rig.fake, "qom-set");
        before = qmp_now();
        write = k_send_write(&file, "on", 2);
        PUMP_FOR(rig.loop, 50 * SEC);
        ck_assert(!k_is_answered(write));
        fake_return(rig.fake, rig_last("qom-set"), "{}");
        ASSERT_OK(k_wait_error(write));
        /* and no more */
        before = qmp_now();
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "on", 2)), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 60 * SEC);
        ck_assert_uint_lt(qmp_now() - before, 61 * SEC);
}
END_TEST

START_TEST(what_has_vanished_is_gone)
{
        struct k_file value = rig_must_open("qom/machine/size", O_RDWR),
                      serial = rig_must_open("qom/machine/peripheral/nv0/serial", O_RDWR);
        struct fuse_entry_out dir, entry, link;

        ASSERT_OK(rig_walk("qom/machine/peripheral/nv0", &dir));
        ASSERT_OK(rig_walk("qom/machine/vcpu", &link));
        PUMP_FOR(rig.loop, SEC);
        /* the property */
        rig_qom("/machine", NULL, "[]");
        rig_qom_error("/machine", "size", "GenericError", "Property 'pc-machine.size' not found");
        rig_qom_error("/machine", "vcpu", "GenericError", "Property 'pc-machine.vcpu' not found");
        ASSERT_ERROR(k_wait_error(k_send_read(&value, 0, 100)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_write(&value, "1", 1)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_readlink(link.nodeid)), ENODEV);
        ASSERT_CAT_CONTAINS("errors",
                            " /qom/machine/size ENODEV GenericError Property 'pc-machine.size' not found\n");
        /* the object */
        rig_qom("/machine/peripheral/nv0", NULL, NULL);
        rig_qom("/machine/peripheral/nv0", "serial", NULL);
        rig_deleted("/machine/peripheral/nv0");
        ASSERT_ERROR(k_wait_error(k_send_read(&serial, 0, 100)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_write(&serial, "1", 1)), ENODEV);
        ASSERT_ERROR(k_lookup(dir.nodeid, "serial", &entry), ENODEV);
        ASSERT_ERROR(k_lookup(dir.nodeid, "nosuch", &entry), ENODEV);
        ck_assert_uint_eq(rig_count("qom-set"), 0);
}
END_TEST

static uint64_t ino_of(const char *path)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk(path, &entry));
        return entry.attr.ino;
}

/* The numbers that a directory lists are those of what is looked up. */
static void check_listed_inos(const char *path)
{
        struct fuse_entry_out dir, entry;
        struct k_reply *reply;
        struct k_file file;
        size_t n = 0;

        ASSERT_OK(rig_walk(path, &dir));
        ASSERT_OK(k_opendir(dir.nodeid, &file));
        reply = k_wait(k_send_readdir(&file, 0, 65536));
        ck_assert_int_eq(reply->error, 0);
        for (size_t at = 0; at < reply->size; n++) {
                struct fuse_dirent *e = (struct fuse_dirent *)(void *)(reply->data + at);
                _cleanup_(qmp_freep) char *name = strndup(e->name, e->namelen);

                at += FUSE_DIRENT_SIZE(e);
                if (n < 2) /* ".", ".." */
                        continue;
                ASSERT_OK(k_lookup(dir.nodeid, name, &entry));
                ck_assert_msg(e->ino == entry.attr.ino, "%s/%s", path, name);
        }
        ck_assert_uint_gt(n, 2);
        free(reply);
}

static const char *const deleted_paths[] = { "/machine/peripheral/nv0", "/machine/peripheral" };

START_TEST(file_of_a_deleted_device_is_not_the_next_ones)
{
        struct k_file serial = rig_must_open("qom/machine/peripheral/nv0/serial", O_RDWR),
                      size = rig_must_open("qom/machine/size", O_RDWR);
        struct fuse_entry_out dir, entry;
        uint64_t ino = ino_of("qom/machine/peripheral/nv0"), ino_serial = ino_of("qom/machine/peripheral/nv0/serial"),
                 ino_size = ino_of("qom/machine/size");

        ASSERT_OK(rig_walk("qom/machine/peripheral/nv0", &dir));
        ASSERT_REPLY(k_send_read(&serial, 0, 100), "abc\n");
        /* others' devices, and parts of this one */
        rig_deleted("/machine/peripheral/nv0/virtio-backend");
        rig_deleted("/machine/peripheral/nv");
        rig_deleted("/machine/peripheral/nv00");
        ASSERT_REPLY(k_send_read(&serial, 0, 100), "abc\n");
        ck_assert_uint_eq(ino_of("qom/machine/peripheral/nv0"), ino);
        /* unplugged, and plugged again under its name */
        rig_deleted(deleted_paths[_i]);
        ASSERT_CAT("qom/machine/peripheral/nv0/serial", "abc\n");
        ASSERT_ERROR(k_wait_error(k_send_read(&serial, 0, 100)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_write(&serial, "1", 1)), ENODEV);
        ASSERT_ERROR(k_lookup(dir.nodeid, "serial", &entry), ENODEV);
        ck_assert_uint_eq(rig_count("qom-set"), 0);
        ck_assert_uint_ne(ino_of("qom/machine/peripheral/nv0"), ino);
        ck_assert_uint_ne(ino_of("qom/machine/peripheral/nv0/serial"), ino_serial);
        check_listed_inos("qom/machine");
        check_listed_inos("qom/machine/peripheral");
        check_listed_inos("qom/machine/peripheral/nv0");
        /* what it isn't in */
        ck_assert_uint_eq(ino_of("qom/machine/size"), ino_size);
        ASSERT_REPLY(k_send_read(&size, 0, 100), "18446744073709551615\n");
}
END_TEST

START_TEST(value_that_comes_with_the_end_is_not_shown)
{
        struct fuse_entry_out serial;
        uint64_t open;

        ASSERT_OK(rig_walk("qom/machine/peripheral/nv0/serial", &serial));
        fake_on_nothing(rig.fake, "qom-get");
        open = k_send_open(serial.nodeid, O_RDONLY);
        PUMP(rig.loop, rig_count("qom-get") == 1);
        rig_deleted("/machine/peripheral/nv0");
        fake_return(rig.fake, rig_last("qom-get"), "\"of the next one\"");
        ASSERT_ERROR(k_wait_error(open), ENODEV);
}
END_TEST

START_TEST(property_with_an_encoded_name_may_vanish_too)
{
        struct fuse_entry_out entry;
        struct k_file file;

        rig_qom("/objects", NULL, "[" PROPERTY("a/b", "string") "]");
        rig_qom("/objects", "a/b", "\"x\"");
        ASSERT_OK(rig_walk("qom/objects/a%2Fb", &entry));
        rig_qom("/objects", NULL, "[]");
        rig_qom("/objects", "a/b", NULL);
        PUMP_FOR(rig.loop, SEC);
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &file), ENODEV);
}
END_TEST

START_TEST(property_with_an_encoded_name_may_vanish_while_it_is_open)
{
        struct k_file file;

        rig_qom("/objects", NULL, "[" PROPERTY("a/b", "string") "]");
        rig_qom("/objects", "a/b", "\"x\"");
        file = rig_must_open_and_read("qom/objects/a%2Fb", O_RDONLY);
        rig_qom("/objects", NULL, "[]");
        rig_qom("/objects", "a/b", NULL);
        PUMP_FOR(rig.loop, SEC);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 100)), ENODEV);
}
END_TEST

START_TEST(no_connection_no_objects)
{
        struct k_file file = rig_must_open("qom/machine/size", O_RDWR);
        struct fuse_entry_out link;

        ASSERT_OK(rig_walk("qom/machine/vcpu", &link));
        fake_close(rig.fake);
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 100)), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "1", 1)), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(k_send_readlink(link.nodeid)), EHOSTDOWN);
        ASSERT_ERROR(rig_ls("qom", NULL), EHOSTDOWN);
}
END_TEST

/* --- links ------------------------------------------------------------------------------------------------------- */

START_TEST(links_are_relative)
{
        rig_qom("/", NULL,
                "[" PROPERTY("machine", "child<pc>") ", " PROPERTY("l", "link<x>") ", " PROPERTY("root",
                                                                                                 "link<x>") "]");
        rig_qom("/", "l", "\"/machine/peripheral\"");
        rig_qom("/", "root", "\"/\"");
        rig_qom("/machine/peripheral/nv0", NULL,
                "[" PROPERTY("l", "link<x>") ", " PROPERTY("root", "link<x>") ", " PROPERTY("odd", "link<x>") "]");
        rig_qom("/machine/peripheral/nv0", "l", "\"/machine\"");
        rig_qom("/machine/peripheral/nv0", "root", "\"/\"");
        rig_qom("/machine/peripheral/nv0", "odd", "\"//a//%/../é/\"");
        ck_assert_str_eq(readlink_of("qom/l"), "machine/peripheral");
        ck_assert_str_eq(readlink_of("qom/root"), ".");
        ck_assert_str_eq(readlink_of("qom/machine/vcpu"), "../machine/unattached/device[0]");
        ck_assert_str_eq(readlink_of("qom/machine/peripheral/nv0/l"), "../../../machine");
        ck_assert_str_eq(readlink_of("qom/machine/peripheral/nv0/root"), "../../..");
        /* names are encoded as everywhere */
        ck_assert_str_eq(readlink_of("qom/machine/peripheral/nv0/odd"), "../../../a/%25/%2E%2E/é");
}
END_TEST

static const char *const nowhere[] = { "\"\"", "\"garbage\"", "\"../x\"", "null", "1", "{}", "[]", "true" };

START_TEST(link_that_is_not_set_leads_nowhere)
{
        struct fuse_entry_out entry;

        rig_qom("/machine", "none", nowhere[_i]);
        ck_assert_str_eq(readlink_of("qom/machine/none"), "%none");
        ASSERT_ERROR(rig_walk("qom/machine/%none", &entry), ENOENT);
}
END_TEST

START_TEST(link_that_cannot_be_read_says_why)
{
        char *target;

        rig_qom_error("/machine", "vcpu", "GenericError", "Property 'pc.vcpu' is not readable");
        ASSERT_ERROR(rig_readlink("qom/machine/vcpu", &target), EACCES);
        ASSERT_CAT_CONTAINS("errors", " /qom/machine/vcpu EACCES GenericError ");
}
END_TEST

START_TEST(target_that_is_too_long_is_told)
{
        char *json = malloc(PATH_MAX + 100), *target;

        /* "../" and what is up to the limit, its terminating NUL included */
        memset(json, 'a', PATH_MAX + 100);
        memcpy(json, "\"/", 2);
        for (size_t i = 102; i < PATH_MAX + 90; i += 101)
                json[i] = '/';
        strcpy(json + 2 + PATH_MAX - 1 - 3, "\"");
        rig_qom("/machine", "vcpu", json);
        ck_assert_uint_eq(strlen(readlink_of("qom/machine/vcpu")), PATH_MAX - 1);
        strcpy(json + 2 + PATH_MAX - 1 - 3, "b\"");
        rig_qom("/machine", "vcpu", json);
        ASSERT_ERROR(rig_readlink("qom/machine/vcpu", &target), ENAMETOOLONG);
        free(json);
}
END_TEST

static void answer_deep(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        (void)userdata;
        fake_return(fake, command, "[" PROPERTY("a", "child<a>") ", " PROPERTY("l", "link<a>") "]");
}

START_TEST(objects_nested_too_deep_end)
{
        char path[256] = "qom", *target;
        struct fuse_entry_out entry;
        int r = 0;
        unsigned depth;

        fake_on_call(rig.fake, "qom-list", answer_deep, NULL);
        for (depth = 0; r == 0 && depth < 100; depth++) {
                strcat(path, "/a");
                r = rig_walk(path, &entry);
        }
        ck_assert_int_eq(r, -ELOOP);
        ck_assert_uint_eq(depth, 13);
        ASSERT_CAT_CONTAINS("errors", " ELOOP - objects nested more than 12 deep\n");
        /* a listing with attributes shows it, without any */
        path[strlen(path) - 2] = '\0';
        ASSERT_OK(rig_ls(path, &target));
        ck_assert_str_eq(target, "a l");
        free(target);
}
END_TEST

static unsigned n_children;

static void answer_wide(struct fake_qemu *fake, const struct fake_command *command, void *userdata)
{
        char *list = strdup("["), *longer;

        (void)userdata;
        for (unsigned i = 0; i < n_children; i++) {
                ck_assert_int_gt(asprintf(&longer, "%s%s" PROPERTY("%u", "child<a>"), list, i > 0 ? ", " : "", i), 0);
                free(list);
                list = longer;
        }
        ck_assert_int_gt(asprintf(&longer, "%s]", list), 0);
        fake_return(fake, command, longer);
        free(longer);
        free(list);
}

/* Each has 128 children: 2^28 objects in the fourth level, and no fifth. */
START_TEST(objects_with_too_many_children_end)
{
        struct fuse_entry_out entry;

        n_children = 128;
        fake_on_call(rig.fake, "qom-list", answer_wide, NULL);
        ASSERT_OK(rig_walk("qom/0/1/2/3", &entry));
        ASSERT_ERROR(rig_walk("qom/0/1/2/3/4", &entry), ELOOP);
        ASSERT_CAT_CONTAINS("errors", " ELOOP - too many objects: the product of the numbers of children along the "
                                      "path exceeds 268435456\n");
        /* the objects that were seen count, also if QEMU lists fewer of them from now on */
        n_children = 5;
        peer_invalidate(&rig.vm->peer);
        ASSERT_ERROR(rig_walk("qom/0/1/2/3/4", &entry), ELOOP);
        /* other paths have their own product */
        ASSERT_OK(rig_walk("qom/0/3/2/3/4", &entry));
}
END_TEST

START_TEST(objects_have_links_to_qom)
{
        static const struct {
                const char *path, *target;
        } links[] = {
                { "block/NVME1/qom", "../../qom/machine/peripheral/nv0" },
                { "block/virtio0/qom", "../../qom/machine/peripheral-anon/device[0]" },
                { "block/ide0/qom", "../../qom/machine/unattached/device[5]/ide.0" },
                { "cpus/0/qom", "../../qom/machine/unattached/device[0]" },
                { "cpus/1/qom", "../../qom/machine/peripheral/cpu1" },
                { "memory/dimm1/qom", "../../qom/machine/peripheral/dimm1" },
                { "devices/nv0/qom", "../../qom/machine/peripheral/nv0" },
                { "devices/device[0]/qom", "../../qom/machine/peripheral-anon/device[0]" },
        };
        struct fuse_entry_out entry;
        struct k_reply *reply;
        _cleanup_(qmp_freep) char *list = NULL;

        ck_assert_int_gt(asprintf(&list, "[%s, %s, %s, %s]", rig_drive("NVME1", "nv0"),
                                  rig_drive("virtio0", "/machine/peripheral-anon/device[0]/virtio-backend"),
                                  rig_drive("ide0", "/machine/unattached/device[5]/ide.0"), rig_drive("cd", NULL)),
                         0);
        fake_on(rig.fake, "query-block", list);
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                ck_assert_str_eq(readlink_of(links[i].path), links[i].target);
        /* a drive without a device has none, and what has gone leads nowhere */
        ASSERT_ERROR(rig_walk("block/cd/qom", &entry), ENOENT);
        ASSERT_OK(rig_walk("devices/nv0/qom", &entry));
        rig_deleted("/machine/peripheral/nv0");
        SETTLE();
        reply = k_wait(k_send_readlink(entry.nodeid));
        ck_assert_int_eq(reply->error, -ENODEV);
        free(reply);
}
END_TEST

START_TEST(anonymous_memory_has_a_link_to_qom)
{
        fake_on(rig.fake, "query-memory-devices",
                "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/mem2\", \"slot\": 1}}]");
        rig_qom("/machine/peripheral-anon/device[0]", "memdev", "\"/objects/mem2\"");
        ck_assert_str_eq(readlink_of("memory/slot-1/qom"), "../../qom/machine/peripheral-anon/device[0]");
}
END_TEST

START_TEST(device_that_qemu_cannot_name_has_no_target)
{
        char *target;

        rig_qom("/machine/peripheral", NULL, "[" PROPERTY("a/b", "child<nvme>") "]");
        ASSERT_ERROR(rig_readlink("devices/a%2Fb/qom", &target), ENODEV);
        ASSERT_CAT_CONTAINS("errors", " /devices/a%2Fb/qom ENODEV - ");
}
END_TEST

/* --- qom-list-get ------------------------------------------------------------------------------------------------ */

#define VALUED                                                                                                       \
        "[{\"properties\": [{\"name\": \"type\", \"type\": \"string\", \"value\": \"nvme\"}, "                       \
        "{\"name\": \"serial\", \"type\": \"str\", \"value\": \"abc\"}, "                                            \
        "{\"name\": \"nothing\", \"type\": \"x\", \"value\": null}, " PROPERTY("secret", "str") ", " PROPERTY(       \
                "part", "child<x>") "]}]"

START_TEST(properties_come_in_one_answer_where_qemu_can)
{
        fake_on(rig.fake, "qom-list-get", VALUED);
        rig_qom_error("/machine/peripheral/nv0", "secret", "GenericError", "Property 'nvme.secret' is not readable");
        ASSERT_CAT("devices/nv0/status",
                   "{\n  \"type\": \"nvme\",\n  \"serial\": \"abc\",\n  \"nothing\": null\n}\n");
        ASSERT_SENT("qom-list qom-list qom-list-get");
        ck_assert_str_eq(rig_last("qom-list-get")->text,
                         "{\"execute\":\"qom-list-get\",\"arguments\":{\"paths\":[\"/machine/peripheral/nv0\"]}}");
        /* which can be read: only what has no value is tried */
        ASSERT_LS("devices/nv0", "type serial nothing driver status qom remove");
        ASSERT_SENT("qom-list-get qom-get");
        /* and known for the type then */
        ASSERT_OK(rig_echo("qom/type", "x"));
        free(rig_sent());
        rig_qom("/machine/peripheral/nv0", NULL,
                "[" PROPERTY("type", "string") ", " PROPERTY("secret", "str") ", " PROPERTY("serial", "str") "]");
        ASSERT_LS("devices/nv0", "type serial driver status qom remove");
        ASSERT_SENT("qom-list qom-list qom-list");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(property_that_cannot_be_read_now_is_listed)
{
        fake_on(rig.fake, "qom-list-get", VALUED);
        rig_qom_error("/machine/peripheral/nv0", "secret", "GenericError", "it is asleep");
        ASSERT_LS("devices/nv0", "type serial nothing secret driver status qom remove");
        ASSERT_ERROR(rig_cat("devices/nv0/secret", NULL), EIO);
}
END_TEST

START_TEST(qemu_without_it_is_asked_once)
{
        struct fuse_entry_out entry;

        ASSERT_CAT_CONTAINS("devices/nv0/status", "\"serial\": \"abc\"");
        ASSERT_SENT("qom-list qom-list qom-list-get qom-list qom-get qom-get qom-get qom-get");
        ASSERT_CAT_CONTAINS("devices/nv0/status", "\"serial\": \"abc\"");
        ASSERT_OK(rig_walk("devices/nv0/serial", &entry));
        ASSERT_OK(rig_walk("devices/device[0]/type", &entry));
        ck_assert_uint_eq(rig_count("qom-list-get"), 1);
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(another_qemu_is_asked_again)
{
        struct k_file type, serial;
        uint64_t ino;
        const char *path = test_path("qmp.sock");

        rig_unmake();
        rig_make(path);
        k_mount();
        fill();
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT_CONTAINS("devices/nv0/status", "\"serial\": \"abc\"");
        type = rig_must_open("qom/type", O_RDONLY);
        serial = rig_must_open("qom/machine/peripheral/nv0/serial", O_RDONLY);
        ino = ino_of("qom/machine/peripheral/nv0");
        ASSERT_REPLY(k_send_read(&serial, 0, 100), "abc\n");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        fake_on(rig.fake, "qom-list-get", VALUED);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT_CONTAINS("devices/nv0/status", "\"nothing\": null");
        ck_assert_uint_eq(rig_count("qom-list-get"), 2);
        ASSERT_ERROR(k_wait_error(k_send_read(&serial, 0, 100)), ENODEV);
        ASSERT_ERROR(k_wait_error(k_send_read(&type, 0, 100)), ENODEV);
        ASSERT_CAT("qom/type", "container\n");
        ASSERT_CAT("qom/machine/peripheral/nv0/serial", "abc\n");
        ck_assert_uint_ne(ino_of("qom/machine/peripheral/nv0"), ino);
        check_listed_inos("qom");
}
END_TEST

START_TEST(qemu_without_it_is_asked_once_for_a_listing_too)
{
        ASSERT_LS("devices/nv0", "type drive serial addr driver status qom remove");
        ASSERT_SENT("qom-list qom-list qom-list-get qom-list qom-get qom-get qom-get qom-get");
        ASSERT_LS("devices/dimm1", "type driver status qom remove");
        ck_assert_uint_eq(rig_count("qom-list-get"), 1);
}
END_TEST

START_TEST(schema_tells_whether_qemu_has_it)
{
        char *text;

        fake_on(rig.fake, "query-qmp-schema", "[]");
        ASSERT_OK(rig_ls("cmd", &text));
        free(text);
        ASSERT_CAT_CONTAINS("devices/nv0/status", "\"serial\": \"abc\"");
        ASSERT_LS("devices/nv0", "type drive serial addr driver status qom remove");
        ck_assert_uint_eq(rig_count("qom-list-get"), 0);
}
END_TEST

static const struct {
        const char *answer, *status;
        int error;
} odd[] = {
        { "[]", NULL, EPROTO },
        { "[{}]", NULL, EPROTO },
        { "[null]", NULL, EPROTO },
        { "[{\"properties\": {}}]", NULL, EPROTO },
        { "[{\"properties\": []}]", "{}\n", 0 },
        { "[{\"properties\": [1, {}, {\"name\": \"a\"}, {\"name\": \"b\", \"type\": \"x\", \"value\": 1}]}]",
          "{\n  \"b\": 1\n}\n", 0 },
        { "{}", NULL, EPROTO },
        { "null", NULL, EPROTO },
};

START_TEST(odd_answers_do_no_harm)
{
        fake_on(rig.fake, "qom-list-get", odd[_i].answer);
        if (odd[_i].error) {
                ASSERT_ERROR(rig_cat("devices/nv0/status", NULL), odd[_i].error);
                ASSERT_ERROR(rig_ls("devices/nv0", NULL), odd[_i].error);
        } else {
                ASSERT_CAT("devices/nv0/status", odd[_i].status);
                ASSERT_LS("devices/nv0", *odd[_i].status == '{' && odd[_i].status[1] == '}'
                                                 ? "driver status qom remove"
                                                 : "b driver status qom remove");
        }
}
END_TEST

START_TEST(device_that_has_gone_meanwhile_is_told)
{
        struct k_file file, other;

        fake_on(rig.fake, "qom-list-get", VALUED);
        file = rig_must_open_and_read("devices/nv0/status", O_RDONLY);
        fake_on_error(rig.fake, "qom-list-get", "DeviceNotFound", "Device '/machine/peripheral/nv0' not found");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 100)), ENODEV);
        ASSERT_ERROR(k_open_once(file.node, O_RDONLY, &other), ENODEV);
        ASSERT_ERROR(rig_ls("devices/nv0", NULL), ENODEV);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(children_are_directories_and_links_are_links),
                TEST(properties_are_read_bare_or_as_json),
                TEST(size_is_that_of_what_was_last_read),
                TEST_EACH(names_become_file_names, ARRAY_SIZE(names)),
                TEST(object_that_no_path_leads_to_says_so),
                TEST(list_that_makes_no_sense_is_passed_over),
                TEST(property_that_becomes_a_child_is_another_file),
                TEST(what_was_asked_is_not_asked_again_so_soon),
                TEST(an_event_or_a_write_ends_what_was_known),
                TEST(property_that_came_just_now_is_found),
                TEST(a_listing_with_attributes_asks_for_no_more),
                TEST_EACH(what_is_written_is_typed_by_the_property, ARRAY_SIZE(writes)),
                TEST_EACH(what_does_not_fit_the_type_is_refused, ARRAY_SIZE(refused)),
                TEST(what_qemu_refuses_fails_so),
                TEST(a_write_has_its_time_whatever_was_asked_before_it),
                TEST(what_has_vanished_is_gone),
                TEST_EACH(file_of_a_deleted_device_is_not_the_next_ones, ARRAY_SIZE(deleted_paths)),
                TEST(value_that_comes_with_the_end_is_not_shown),
                TEST(property_with_an_encoded_name_may_vanish_too),
                TEST(property_with_an_encoded_name_may_vanish_while_it_is_open),
                TEST(no_connection_no_objects),
                TEST(links_are_relative),
                TEST_EACH(link_that_is_not_set_leads_nowhere, ARRAY_SIZE(nowhere)),
                TEST(link_that_cannot_be_read_says_why),
                TEST(target_that_is_too_long_is_told),
                TEST(objects_nested_too_deep_end),
                TEST(objects_with_too_many_children_end),
                TEST(objects_have_links_to_qom),
                TEST(anonymous_memory_has_a_link_to_qom),
                TEST(device_that_qemu_cannot_name_has_no_target),
                TEST(properties_come_in_one_answer_where_qemu_can),
                TEST(property_that_cannot_be_read_now_is_listed),
                TEST(qemu_without_it_is_asked_once),
                TEST(another_qemu_is_asked_again),
                TEST(qemu_without_it_is_asked_once_for_a_listing_too),
                TEST(schema_tells_whether_qemu_has_it),
                TEST_EACH(odd_answers_do_no_harm, ARRAY_SIZE(odd)),
                TEST(device_that_has_gone_meanwhile_is_told),
        };

        return test_main("fuse_qom", tests, ARRAY_SIZE(tests), up, rig_down);
}
