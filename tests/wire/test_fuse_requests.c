/*
 * The lives of requests: interrupted, late, without a connection, released, destroyed.
 */
#include <poll.h>
#include <sys/socket.h>

#include "fs/vm/query.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

/* Requests that wait for QEMU, by kind; the command that QEMU leaves open. */
static uint64_t park_read(void)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);

        fake_on_nothing(rig.fake, "query-name");
        return k_send_read(&file, 0, 4096);
}

static uint64_t park_member_read(void)
{
        struct k_file file = rig_must_open_and_read("block/NVME1/type", O_RDONLY);

        fake_on_nothing(rig.fake, "query-block");
        return k_send_read(&file, 0, 4096);
}

static uint64_t park_open(void)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk("name", &entry));
        fake_on_nothing(rig.fake, "query-name");
        return k_send_open(entry.nodeid, O_RDONLY);
}

static uint64_t park_member_open(void)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk("block/NVME1/type", &entry));
        fake_on_nothing(rig.fake, "query-block");
        return k_send_open(entry.nodeid, O_RDONLY);
}

static uint64_t park_lookup(void)
{
        struct fuse_entry_out dir;

        fake_on_nothing(rig.fake, "query-block");
        ASSERT_OK(rig_walk("block", &dir));
        return k_send_lookup(dir.nodeid, "NVME1");
}

static uint64_t park_readdir(void)
{
        struct fuse_entry_out dir;
        struct k_file file;

        fake_on_nothing(rig.fake, "query-block");
        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_OK(k_opendir(dir.nodeid, &file));
        return k_send_readdir(&file, 0, 4096);
}

static uint64_t park_readlink(void)
{
        struct fuse_entry_out link;

        ASSERT_OK(rig_walk("block/NVME1/device", &link));
        fake_on_nothing(rig.fake, "query-block");
        return k_send_readlink(link.nodeid);
}

static uint64_t park_ctl(void)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);

        fake_on_nothing(rig.fake, "stop");
        return k_send_write(&file, "stop", 4);
}

static uint64_t park_remove(void)
{
        struct k_file file = rig_must_open("block/NVME1/remove", O_WRONLY);

        return k_send_write(&file, "timeout=10", 10);
}

static uint64_t park_remove_before(void)
{
        struct k_file file = rig_must_open("block/NVME1/remove", O_WRONLY);

        fake_on_nothing(rig.fake, "query-block");
        return k_send_write(&file, "timeout=10", 10);
}

static uint64_t park_properties(void)
{
        struct k_file file = rig_must_open_and_read("devices/nv0/status", O_RDONLY);

        fake_stick(rig.fake);
        return k_send_read(&file, 0, 4096);
}

static uint64_t park_properties_open(void)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk("devices/nv0/status", &entry));
        fake_stick(rig.fake);
        return k_send_open(entry.nodeid, O_RDONLY);
}

static uint64_t park_stream(void)
{
        struct k_file file = rig_must_open("events", O_RDWR);

        ck_assert_int_eq(k_wait_error(k_send_write(&file, "timeout=10", 10)), 0);
        return k_send_read(&file, 0, 4096);
}

static const struct {
        const char *name;
        uint64_t (*park)(void);
        const char *command; /* that can be answered late; NULL: none */
        const char *answer;
        int disconnected; /* what it gets then */
        bool committed;   /* QEMU has been told, and interrupting doesn't change that */
} parks[] = {
        { "read", park_read, "query-name", "{\"name\": \"x\"}", EHOSTDOWN, false },
        { "read of a member", park_member_read, "query-block", "[{\"device\": \"NVME1\", \"qdev\": \"nv0\"}]",
          EHOSTDOWN, false },
        { "open", park_open, "query-name", "{\"name\": \"x\"}", EHOSTDOWN, false },
        { "open of a member", park_member_open, "query-block", "[{\"device\": \"NVME1\", \"type\": \"x\"}]",
          EHOSTDOWN, false },
        { "lookup", park_lookup, "query-block", "[{\"device\": \"NVME1\"}]", EHOSTDOWN, false },
        { "readdir", park_readdir, "query-block", "[{\"device\": \"NVME1\"}]", EHOSTDOWN, false },
        { "readlink", park_readlink, "query-block", "[{\"device\": \"NVME1\", \"qdev\": \"nv0\"}]", EHOSTDOWN,
          false },
        { "ctl", park_ctl, "stop", "{}", EHOSTDOWN, true },
        { "remove", park_remove, NULL, NULL, EHOSTDOWN, false },
        { "remove, while it is still looking", park_remove_before, "query-block",
          "[{\"device\": \"NVME1\", \"qdev\": \"nv0\"}]", EHOSTDOWN, false },
        { "properties", park_properties, NULL, NULL, EHOSTDOWN, false },
        { "open of properties", park_properties_open, NULL, NULL, EHOSTDOWN, false },
        /* it reads QMPFS_DOWN */
        { "stream", park_stream, NULL, NULL, 0, false },
};

static uint64_t park(int i)
{
        uint64_t unique = parks[i].park();

        SETTLE();
        ck_assert_msg(!k_is_answered(unique), "%s", parks[i].name);
        return unique;
}

static void answer_late(int i)
{
        fake_unstick(rig.fake);
        SETTLE();
        if (!parks[i].command)
                return;
        fake_return(rig.fake, rig_last(parks[i].command), parks[i].answer);
        fake_on(rig.fake, parks[i].command, parks[i].answer);
        SETTLE();
}

START_TEST(interrupted_request_ends_at_once)
{
        uint64_t unique = park(_i), before = qmp_now();

        k_interrupt(unique);
        /* not what makes Python write again; and a moment later, since QEMU mostly needs no more */
        ASSERT_ERROR(k_wait_error(unique), parks[_i].committed ? ECANCELED : EINTR);
        ck_assert_uint_lt(qmp_now() - before, parks[_i].committed ? 201 * MS : MS);
        /* what QEMU answers later reaches nobody, and the next one is fine */
        answer_late(_i);
        ASSERT_CAT("state", "running\n");
        if (parks[_i].committed)
                ASSERT_CAT_CONTAINS("errors", " ECANCELED - interrupted; QEMU may still carry it out\n");
        else
                ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(interrupt_of_what_qemu_does_in_a_moment_is_none)
{
        struct k_file ctl = rig_must_open("ctl", O_WRONLY);
        uint64_t unique;

        fake_on_nothing(rig.fake, "stop");
        unique = k_send_write(&ctl, "stop", 4);
        SETTLE();
        k_interrupt(unique);
        PUMP_FOR(rig.loop, 100 * MS);
        ck_assert(!k_is_answered(unique));
        fake_return(rig.fake, rig_last("stop"), "{}");
        ck_assert_int_eq(k_wait_error(unique), 0);
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(interrupt_may_come_before_its_request)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);
        uint64_t unique;

        k_interrupt(kernel.unique + 2);
        SETTLE();
        fake_on_nothing(rig.fake, "query-name");
        unique = k_send_read(&file, 0, 100);
        ASSERT_ERROR(k_wait_error(unique), EINTR);
        k_interrupt(kernel.unique + 2);
        SETTLE();
        ASSERT_ERROR(k_open_once(file.node, O_RDONLY, &file), EINTR);
        fake_on(rig.fake, "query-name", "{\"name\": \"x\"}");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"x\"}");
        ASSERT_CAT("name", "x\n");
}
END_TEST

START_TEST(interrupt_before_its_request_of_any_kind)
{
        /* the park functions send more than one: interrupt whatever comes */
        struct fuse_entry_out entry;
        struct k_file ctl = rig_must_open("ctl", O_WRONLY), remove = rig_must_open("block/NVME1/remove", O_WRONLY);
        struct k_file events = rig_must_open("events", O_RDWR);

        fake_on_nothing(rig.fake, "stop");
        fake_on_nothing(rig.fake, "query-block");
        k_interrupt(kernel.unique + 2);
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_write(&ctl, "stop", 4)), ECANCELED);
        k_interrupt(kernel.unique + 2);
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_write(&remove, "1", 1)), EINTR);
        k_interrupt(kernel.unique + 2);
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_read(&events, 0, 100)), EINTR);
        ASSERT_OK(rig_walk("block", &entry));
        PUMP_FOR(rig.loop, 200 * MS);
        k_interrupt(kernel.unique + 2);
        SETTLE();
        ASSERT_ERROR(k_lookup(entry.nodeid, "virtio0", &entry), EINTR);
}
END_TEST

START_TEST(interrupt_of_what_needs_no_waiting_does_no_harm)
{
        struct k_file file = rig_must_open("connection", O_RDONLY);
        uint64_t unique;

        k_interrupt(kernel.unique + 2);
        SETTLE();
        unique = k_send_read(&file, 0, 4096);
        ck_assert_int_eq(k_wait_error(unique), 0);
        /* already answered */
        k_interrupt(unique);
        SETTLE();
        ASSERT_CAT("state", "running\n");
}
END_TEST

START_TEST(interrupting_one_reader_leaves_the_others)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);
        uint64_t a, b, c;

        fake_on_nothing(rig.fake, "query-name");
        a = k_send_read(&file, 0, 100);
        b = k_send_read(&file, 0, 100);
        SETTLE();
        c = k_send_read(&file, 0, 100);
        k_interrupt(a);
        ASSERT_ERROR(k_wait_error(a), EINTR);
        fake_on(rig.fake, "query-name", "{\"name\": \"second\"}");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"first\"}");
        ck_assert_int_eq(k_wait_error(b), 0);
        ck_assert_int_eq(k_wait_error(c), 0);
}
END_TEST

START_TEST(interrupting_one_opening_leaves_the_others)
{
        struct fuse_entry_out entry;
        struct k_file file;
        uint64_t a, b, c;

        ASSERT_OK(rig_walk("name", &entry));
        fake_on_nothing(rig.fake, "query-name");
        a = k_send_open(entry.nodeid, O_RDONLY);
        b = k_send_open(entry.nodeid, O_RDONLY);
        SETTLE();
        c = k_send_open(entry.nodeid, O_RDONLY);
        k_interrupt(a);
        ASSERT_ERROR(k_wait_error(a), EINTR);
        fake_on(rig.fake, "query-name", "{\"name\": \"x\"}");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"x\"}");
        ASSERT_OK(k_opened(b, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "x\n");
        ASSERT_OK(k_opened(c, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "x\n");
}
END_TEST

START_TEST(request_that_gets_no_answer_times_out)
{
        uint64_t before = qmp_now(), unique = park(_i), took;

        ASSERT_ERROR(k_wait_error(unique), ETIMEDOUT);
        took = qmp_now() - before;
        ck_assert_msg(took >= 10 * SEC && took < 10 * SEC + 20 * MS, "%s: %llu ms", parks[_i].name,
                      (unsigned long long)(took / MS));
        answer_late(_i);
        if (parks[_i].park == park_stream)
                return;
        ASSERT_CAT_CONTAINS("errors", " ETIMEDOUT - ");
}
END_TEST

START_TEST(query_that_fails_is_asked_for_again)
{
        struct fuse_entry_out entry;

        fake_on_error(rig.fake, "query-name", "GenericError", "it is tired");
        ASSERT_ERROR(rig_cat("name", NULL), EIO);
        ASSERT_CAT_CONTAINS("errors", " /name EIO GenericError it is tired\n");
        fake_on(rig.fake, "query-name", "{\"name\": \"x\"}");
        ASSERT_CAT("name", "x\n");
        fake_on_error(rig.fake, "query-block", "CommandNotFound", "The command query-block has not been found");
        ASSERT_ERROR(rig_ls("block", NULL), EOPNOTSUPP);
        ASSERT_ERROR(rig_ls("block/x", NULL), EOPNOTSUPP);
        /* what QEMU can't find is no name that isn't there */
        fake_on_error(rig.fake, "query-block", "GenericError", "Could not open '/x': No such file or directory");
        ASSERT_ERROR(rig_walk("block/x", &entry), EIO);
        ASSERT_ERROR(rig_ls("block", NULL), EIO);
}
END_TEST

START_TEST(stalled_connection_says_so_and_recovers)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);
        uint64_t unique;

        fake_on_nothing(rig.fake, "query-name");
        unique = k_send_read(&file, 0, 100);
        PUMP_FOR(rig.loop, 3 * SEC);
        ASSERT_CAT("connection", "stalled 3 s in query-name\n");
        fake_return(rig.fake, rig_last("query-name"), "{}");
        ASSERT_REPLY(unique, "\n");
        ASSERT_CAT_CONTAINS("connection", "up since ");
}
END_TEST

START_TEST(a_walk_while_qemu_is_silent_ends)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);
        uint64_t before;

        fake_stick(rig.fake);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 100)), ETIMEDOUT);
        before = qmp_now();
        for (unsigned i = 0; i < 20; i++)
                ASSERT_ERROR(rig_cat(i % 2 ? "uuid" : "status", NULL), ETIMEDOUT);
        ck_assert_uint_lt(qmp_now() - before, 5 * SEC);
        fake_unstick(rig.fake);
        SETTLE();
        ASSERT_CAT("name", "vm1\n");
}
END_TEST

/* --- without a connection ---------------------------------------------------------------------------------------- */

START_TEST(disconnect_ends_what_waits)
{
        uint64_t unique = park(_i);

        fake_close(rig.fake);
        ASSERT_ERROR(k_wait_error(unique), parks[_i].disconnected);
}
END_TEST

START_TEST(disconnect_ends_all_who_wait)
{
        struct k_file name = rig_must_open_and_read("name", O_RDONLY);
        struct k_file type = rig_must_open_and_read("block/NVME1/type", O_RDONLY);
        uint64_t unique[60];

        fake_stick(rig.fake);
        for (size_t i = 0; i < ARRAY_SIZE(unique); i++) {
                const struct k_file *file = i % 2 ? &name : &type;

                unique[i] = i % 4 < 2 ? k_send_read(file, 0, 100) : k_send_open(file->node, O_RDONLY);
                if (i == 19)
                        SETTLE();
        }
        SETTLE();
        fake_close(rig.fake);
        for (size_t i = 0; i < ARRAY_SIZE(unique); i++)
                ASSERT_ERROR(k_wait_error(unique[i]), EHOSTDOWN);
}
END_TEST

START_TEST(waiting_for_the_state_ends_with_down)
{
        struct k_file file = rig_must_open_and_read("state", O_RDONLY);
        uint64_t unique;

        fake_on_nothing(rig.fake, "query-status");
        unique = k_send_read(&file, 0, 100);
        SETTLE();
        fake_close(rig.fake);
        ASSERT_REPLY(unique, "down\n");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(opening_the_state_ends_with_down)
{
        struct fuse_entry_out entry;
        struct k_file file;
        uint64_t unique;

        ASSERT_OK(rig_walk("state", &entry));
        fake_on_nothing(rig.fake, "query-status");
        unique = k_send_open(entry.nodeid, O_RDONLY);
        SETTLE();
        ck_assert(!k_is_answered(unique));
        fake_close(rig.fake);
        ASSERT_OK(k_opened(unique, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "down\n");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(nothing_lists_as_empty_without_a_connection)
{
        static const char *const dirs[] = { "block",   "cpus",        "memory",
                                            "devices", "block/NVME1", "block/NVME1/inserted" };
        struct fuse_entry_out entry[ARRAY_SIZE(dirs)];
        struct k_file file[ARRAY_SIZE(dirs)];

        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                ASSERT_OK(rig_walk(dirs[i], &entry[i]));
                ASSERT_OK(k_opendir(entry[i].nodeid, &file[i]));
        }
        fake_close(rig.fake);
        SETTLE();
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                ASSERT_ERROR(k_wait_error(k_send_readdir(&file[i], 0, 4096)), EHOSTDOWN);
                ASSERT_ERROR(k_wait_error(k_send_readdir(&file[i], 0, 4096)), EHOSTDOWN);
                ASSERT_ERROR(k_lookup(entry[i].nodeid, "nosuch", &entry[i]), EHOSTDOWN);
        }
        ASSERT_LS_ROOT(NULL);
        ASSERT_CAT("state", "down\n");
        ASSERT_CAT_CONTAINS("connection", "down: ");
        ASSERT_ERROR(rig_cat("status", NULL), EHOSTDOWN);
        ASSERT_ERROR(rig_echo("ctl", "stop"), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", " /block EHOSTDOWN - down: ");
        ASSERT_CAT_CONTAINS("errors", " /ctl EHOSTDOWN - down: ");
}
END_TEST

START_TEST(never_connected_is_down)
{
        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        ASSERT_CAT("state", "down\n");
        ASSERT_CAT("connection", "down: not connected, connecting\n");
        ASSERT_ERROR(rig_ls("block", NULL), EHOSTDOWN);
}
END_TEST

START_TEST(another_qemu_on_the_socket_has_other_objects)
{
        const char *path = test_path("qmp.sock");
        struct fuse_entry_out before, after;
        struct k_file file, other;

        rig_unmake();
        rig_make(path);
        k_mount();
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_OK(rig_walk("block/NVME1", &before));
        file = rig_must_open("block/NVME1/type", O_RDONLY);
        ASSERT_REPLY(k_send_read(&file, 0, 3), "unk");
        fake_close(rig.fake);
        fake_unlisten(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_CAT_CONTAINS("connection", "next try in ");
        ASSERT_CAT_CONTAINS("connection", path);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 3)), EHOSTDOWN);
        ASSERT_ERROR(k_open_once(file.node, O_RDONLY, &other), EHOSTDOWN);
        ASSERT_REPLY(k_send_read(&file, 3, 3), "now");
        PUMP_FOR(rig.loop, 20 * SEC);
        fake_listen(rig.fake, path);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT("state", "running\n");
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 3)), ENODEV);
        ASSERT_ERROR(k_open_once(file.node, O_RDONLY, &other), ENODEV);
        ASSERT_OK(rig_walk("block/NVME1", &after));
        ck_assert_uint_ne(before.attr.ino, after.attr.ino);
        ck_assert_uint_ne(before.nodeid, after.nodeid);
        ASSERT_CAT("block/NVME1/type", "unknown\n");
}
END_TEST

/* QEMU ends, and in its place a script has started another VM. */
static void another_vm(bool any_vm)
{
        const char *path = test_path("qmp.sock");
        struct peer_options options = rig.vm->peer.options;

        options.any_vm = any_vm;
        rig_unmake();
        rig_make_with(path, &options);
        k_mount();
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        fake_on(rig.fake, "query-name", "{\"name\": \"vm2\"}");
        fake_on(rig.fake, "cont", "{}");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        free(rig_sent());
        PUMP(rig.loop, rig.fake->negotiated);
        rig_event("SUSPEND", "%s", "");
        SETTLE();
}

START_TEST(another_vm_on_the_socket_is_not_taken_for_the_first)
{
        _cleanup_(qmp_freep) char *events = NULL;
        struct k_file stream;

        another_vm(false);
        stream = rig_must_open("events", O_RDWR);
        ASSERT_ERROR(rig_echo("ctl", "cont"), EHOSTDOWN);
        PUMP_FOR(rig.loop, 20 * SEC);
        ASSERT_ERROR(rig_echo("ctl", "cont"), EHOSTDOWN);
        ck_assert_uint_gt(rig.fake->n_connections, 3);
        ck_assert_uint_lt(rig.fake->n_connections, 15);
        for (size_t i = rig.mark; i < rig.fake->n_commands; i++) {
                const char *name = rig.fake->commands[i]->name;

                ck_assert_msg(streq(name, "qmp_capabilities") || streq(name, "query-uuid") ||
                                      streq(name, "query-name"),
                              "%s", name);
        }
        ASSERT_CAT_CONTAINS("connection",
                            "' is another VM now, its name is 'vm2', at first it was 'vm1': mount again to "
                            "accept it, next try in ");
        ASSERT_CAT("state", "down\n");
        ASSERT_OK(rig_cat("events", &events));
        ck_assert_ptr_null(strstr(events, "SUSPEND"));
        ck_assert_ptr_null(strstr(events, "QMPFS_UP"));
        /* the first one is back */
        fake_on(rig.fake, "query-name", "{\"name\": \"vm1\"}");
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_OK(rig_echo("ctl", "cont"));
        ASSERT_ERROR(k_wait_error(k_send_read(&stream, 0, 4096)), EHOSTDOWN);
}
END_TEST

START_TEST(any_vm_is_taken_where_that_is_wanted)
{
        another_vm(true);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT("name", "vm2\n");
        ck_assert_uint_eq(rig_count("query-uuid"), 0);
}
END_TEST

START_TEST(costly_content_does_not_survive_a_reconnect)
{
        const char *path = test_path("qmp.sock");

        rig_unmake();
        rig_make(path);
        k_mount();
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
        rig.fake->delay_ns = 50 * MS;
        ASSERT_CAT("version", "7.2.22 (Debian 1:7.2)\n");
        rig.fake->delay_ns = 0;
        fake_on(rig.fake, "query-version",
                "{\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 8}, \"package\": \"\"}");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_ERROR(rig_cat("version", NULL), EHOSTDOWN);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT("version", "8.0.0\n");
}
END_TEST

/* --- released, forgotten, destroyed ------------------------------------------------------------------------------ */

START_TEST(released_while_it_waits)
{
        uint64_t unique = park(_i);

        k_drop_all();
        SETTLE();
        ck_assert(!k_is_answered(unique));
        if (parks[_i].command) {
                answer_late(_i);
        } else {
                k_interrupt(unique);
        }
        (void)k_wait_error(unique);
}
END_TEST

START_TEST(destroyed_while_it_waits)
{
        uint64_t unique = park(_i);

        rig_end();
        qmp_loop_turn(rig.loop, 0);
        ASSERT_ERROR(k_wait_error(unique), ENODEV);
}
END_TEST

START_TEST(destroyed_while_all_wait)
{
        struct k_file state = rig_must_open("state", O_RDONLY), log = rig_must_open("events", O_RDONLY);
        struct k_file name = rig_must_open_and_read("name", O_RDONLY), ctl = rig_must_open("ctl", O_WRONLY);
        struct k_file type = rig_must_open_and_read("block/NVME1/type", O_RDONLY);
        struct k_file stream = rig_must_open("events", O_RDWR);
        struct k_file remove = rig_must_open("block/NVME1/remove", O_RDWR);
        struct fuse_entry_out dir;

        ASSERT_OK(rig_walk("block", &dir));
        ck_assert_uint_eq(k_poll(&state, 1) & POLLIN, POLLIN);
        (void)k_poll(&log, 2);
        (void)k_poll(&stream, 3);
        (void)k_send_read(&stream, 0, 100);
        (void)k_send_read(&stream, 0, 100);
        (void)k_send_write(&remove, "1", 1);
        (void)k_send_write(&remove, "nowait", 6);
        SETTLE();
        fake_stick(rig.fake);
        for (size_t i = 0; i < 3; i++) {
                (void)k_send_read(&name, 0, 100);
                (void)k_send_read(&type, 0, 100);
                (void)k_send_open(name.node, O_RDONLY);
                (void)k_send_open(type.node, O_RDONLY);
                (void)k_send_lookup(dir.nodeid, "nosuch");
                (void)k_send_write(&ctl, "stop", 4);
                (void)k_send_write(&ctl, "powerdown", 9);
                (void)k_send_write(&remove, "1", 1);
                SETTLE();
        }
        ck_assert_uint_gt(k_n_pending(), 24);
        rig_end();
        PUMP(rig.loop, k_n_pending() == 0);
}
END_TEST

START_TEST(vm_ends_while_a_fetch_is_under_way_that_nobody_waits_for)
{
        uint64_t unique = park(_i);

        k_interrupt(unique);
        ASSERT_ERROR(k_wait_error(unique), parks[_i].committed ? ECANCELED : EINTR);
}
END_TEST

START_TEST(session_ends_when_the_kernel_is_gone)
{
        (void)park_read();
        (void)park_open();
        SETTLE();
        ck_assert(!kernel.ended);
        shutdown(kernel.fd, SHUT_RDWR);
        PUMP(rig.loop, kernel.ended);
}
END_TEST

START_TEST(destroy_ends_the_session)
{
        ck_assert_int_eq(k_wait_error(k_send(FUSE_DESTROY, 0, NULL, 0, NULL, 0)), 0);
        shutdown(kernel.fd, SHUT_RDWR);
        PUMP(rig.loop, kernel.ended);
}
END_TEST

START_TEST(a_hundred_parked_readers_are_answered)
{
        struct k_file file = rig_must_open_and_read("block/NVME1/inserted/ro", O_RDONLY);
        uint64_t unique[100];

        fake_on_nothing(rig.fake, "query-block");
        for (size_t i = 0; i < ARRAY_SIZE(unique); i++)
                unique[i] = k_send_read(&file, 0, 100);
        SETTLE();
        ck_assert_uint_eq(k_n_pending(), ARRAY_SIZE(unique));
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", "nv0"), NULL, NULL));
        fake_return(rig.fake, rig_last("query-block"), rig_list(rig_drive("NVME1", "nv0"), NULL, NULL));
        for (size_t i = 0; i < ARRAY_SIZE(unique); i++)
                ASSERT_REPLY(unique[i], "false\n");
}
END_TEST

START_TEST(a_hundred_parked_openings_are_answered)
{
        struct fuse_entry_out entry;
        struct k_file file;
        uint64_t unique[100];

        ASSERT_OK(rig_walk("block/NVME1/inserted/ro", &entry));
        fake_on_nothing(rig.fake, "query-block");
        for (size_t i = 0; i < ARRAY_SIZE(unique); i++)
                unique[i] = k_send_open(entry.nodeid, O_RDONLY);
        SETTLE();
        ck_assert_uint_eq(k_n_pending(), ARRAY_SIZE(unique));
        fake_on(rig.fake, "query-block", rig_list(rig_drive("NVME1", "nv0"), NULL, NULL));
        fake_return(rig.fake, rig_last("query-block"), rig_list(rig_drive("NVME1", "nv0"), NULL, NULL));
        for (size_t i = 0; i < ARRAY_SIZE(unique); i++) {
                ASSERT_OK(k_opened(unique[i], &file));
                ASSERT_REPLY(k_send_read(&file, 0, 100), "false\n");
        }
}
END_TEST

/* A guest that needs QEMU for its own work feels thousands of cheap queries, too. */
START_TEST(cheap_queries_wait_when_their_advance_is_used_up)
{
        struct k_file file = rig_must_open_and_read("status", O_RDONLY), ctl = rig_must_open("ctl", O_WRONLY);
        struct load used_up = { .debt_ns = QUERY_ADVANCE_NS + 30 * NSEC_PER_MSEC, .at = qmp_now() };
        struct k_file remove = rig_must_open("block/NVME1/remove", O_WRONLY);
        unsigned before = rig_count("query-status");
        uint64_t unique, opening, start;

        rig.vm->peer.queries.load = used_up;
        unique = k_send_read(&file, 0, 4096);
        opening = k_send_open(file.node, O_RDONLY);
        PUMP_FOR(rig.loop, 290 * NSEC_PER_MSEC);
        ck_assert(!k_is_answered(unique));
        ck_assert(!k_is_answered(opening));
        ck_assert_uint_eq(rig_count("query-status"), before);
        PUMP_FOR(rig.loop, 20 * NSEC_PER_MSEC);
        ck_assert_int_eq(k_wait_error(unique), 0);
        ck_assert_int_eq(k_wait_error(opening), 0);

        /* a write does not wait */
        rig.vm->peer.queries.load = used_up;
        rig.vm->peer.queries.load.at = qmp_now();
        fake_on(rig.fake, "cont", "{}");
        unique = k_send_write(&ctl, "cont\n", 5);
        SETTLE();
        ck_assert_uint_eq(rig_count("cont"), 1);

        /* also if it asks something first */
        start = k_send_write(&remove, "nowait\n", 7);
        SETTLE();
        ck_assert_uint_eq(rig_count("device_del"), 1);
        ck_assert(k_is_answered(start));

        /* nor does anybody where no guest runs */
        rig.vm->peer.paused = true;
        unique = k_send_read(&file, 0, 4096);
        opening = k_send_open(file.node, O_RDONLY);
        SETTLE();
        ck_assert(k_is_answered(unique));
        ck_assert(k_is_answered(opening));
}
END_TEST

START_TEST(readers_who_wait_for_the_load_outlive_a_write_that_cannot_be_sent)
{
        struct k_file file = rig_must_open_and_read("block/NVME1/status", O_RDONLY);
        struct k_file remove = rig_must_open("block/NVME1/remove", O_WRONLY);
        uint64_t unique, start = qmp_now();

        rig.vm->peer.queries.load = (struct load){ .debt_ns = QUERY_ADVANCE_NS + 50 * MS, .at = start };
        unique = k_send_read(&file, 0, 4096);
        SETTLE();
        ck_assert(!k_is_answered(unique));
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_ERROR(k_wait_error(k_send_write(&remove, "1", 1)), EHOSTDOWN);
        ASSERT_ERROR(k_wait_error(unique), EHOSTDOWN);
        ck_assert_uint_lt(qmp_now() - start, 2 * SEC);
}
END_TEST

/* By a command's usual cost, not by that of a busy host, and half as much again. */
START_TEST(cheap_queries_are_counted)
{
        struct k_file file = rig_must_open_and_read("status", O_RDONLY);
        uint64_t unique;

        fake_on_nothing(rig.fake, "query-status");
        rig.vm->peer.queries.load = (struct load){ 0 };
        unique = _i == 0 ? k_send_read(&file, 0, 4096) : k_send_open(file.node, O_RDONLY);
        PUMP_FOR(rig.loop, 50 * NSEC_PER_MSEC);
        fake_return(rig.fake, rig_last("query-status"),
                    "{\"status\": \"running\", \"singlestep\": false, \"running\": true}");
        ck_assert_int_eq(k_wait_error(unique), 0);
        ck_assert_uint_eq(rig.vm->peer.queries.load.debt_ns, QUERY_COMMAND_NS * 3 / 2);
}
END_TEST

START_TEST(requests_that_libfuse_does_not_know_are_refused)
{
        struct k_file file = rig_must_open("name", O_RDONLY);
        struct fuse_getxattr_in in = { .size = 100 };
        struct {
                struct fuse_getxattr_in in;
                char name[8];
        } get = { in, "user.x" };

        ASSERT_ERROR(k_wait_error(k_send(FUSE_GETXATTR, file.node, &get, sizeof(get), NULL, 0)), ENOSYS);
        ASSERT_ERROR(k_wait_error(k_send(FUSE_LISTXATTR, file.node, &in, sizeof(in), NULL, 0)), ENOSYS);
        ASSERT_ERROR(k_wait_error(k_send(999, file.node, NULL, 0, NULL, 0)), ENOSYS);
        ASSERT_CAT("name", "vm1\n");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(interrupted_request_ends_at_once, ARRAY_SIZE(parks)),
                TEST(interrupt_of_what_qemu_does_in_a_moment_is_none),
                TEST(interrupt_may_come_before_its_request),
                TEST(interrupt_before_its_request_of_any_kind),
                TEST(interrupt_of_what_needs_no_waiting_does_no_harm),
                TEST(interrupting_one_reader_leaves_the_others),
                TEST(interrupting_one_opening_leaves_the_others),
                TEST_EACH(request_that_gets_no_answer_times_out, ARRAY_SIZE(parks)),
                TEST(query_that_fails_is_asked_for_again),
                TEST(stalled_connection_says_so_and_recovers),
                TEST(a_walk_while_qemu_is_silent_ends),
                TEST_EACH(disconnect_ends_what_waits, ARRAY_SIZE(parks)),
                TEST(disconnect_ends_all_who_wait),
                TEST(waiting_for_the_state_ends_with_down),
                TEST(opening_the_state_ends_with_down),
                TEST(nothing_lists_as_empty_without_a_connection),
                TEST(never_connected_is_down),
                TEST(another_qemu_on_the_socket_has_other_objects),
                TEST(another_vm_on_the_socket_is_not_taken_for_the_first),
                TEST(any_vm_is_taken_where_that_is_wanted),
                TEST(costly_content_does_not_survive_a_reconnect),
                TEST_EACH(released_while_it_waits, ARRAY_SIZE(parks)),
                TEST_EACH(destroyed_while_it_waits, ARRAY_SIZE(parks)),
                TEST(destroyed_while_all_wait),
                TEST_EACH(vm_ends_while_a_fetch_is_under_way_that_nobody_waits_for, ARRAY_SIZE(parks)),
                TEST(session_ends_when_the_kernel_is_gone),
                TEST(destroy_ends_the_session),
                TEST(a_hundred_parked_readers_are_answered),
                TEST(a_hundred_parked_openings_are_answered),
                TEST(readers_who_wait_for_the_load_outlive_a_write_that_cannot_be_sent),
                TEST_EACH(cheap_queries_are_counted, 2),
                TEST(cheap_queries_wait_when_their_advance_is_used_up),
                TEST(requests_that_libfuse_does_not_know_are_refused),
        };

        return test_main("fuse_requests", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
