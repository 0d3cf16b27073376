/*
 * Contents: fetched when a file is opened, of an exact size from then on, shared by those who have it open, and bounded.
 */
#include "fs/fuse/content.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

/* QEMU has a name of so many characters, so that `name` has one byte more. */
static void name_of(size_t n, char c)
{
        char *json = malloc(n + 20);
        size_t at;

        CHECK(json);
        at = (size_t)sprintf(json, "{\"name\": \"");
        memset(json + at, c, n);
        strcpy(json + at + n, "\"}");
        fake_on(rig.fake, "query-name", json);
        free(json);
}

static uint64_t size_of(uint64_t node)
{
        struct fuse_attr attr;

        ASSERT_OK(k_getattr(node, &attr));
        return attr.size;
}

static struct k_file open_name(void)
{
        return rig_must_open("name", O_RDONLY);
}

/* --- one content for an opening ---------------------------------------------------------------------------------- */

START_TEST(first_read_returns_the_content_of_the_opening)
{
        struct k_file file;

        free(rig_sent());
        file = open_name();
        ASSERT_SENT("query-name");
        PUMP_FOR(rig.loop, 60 * SEC);
        name_of(5, 'x');
        ASSERT_REPLY(k_send_read(&file, 1, 100), "m1\n");
        ASSERT_REPLY(k_send_read(&file, 0, 100), "vm1\n");
        ASSERT_SENT("");
        ASSERT_REPLY(k_send_read(&file, 0, 100), "xxxxx\n");
        ASSERT_SENT("query-name");
}
END_TEST

START_TEST(first_read_asks_again_if_something_has_happened)
{
        struct k_file file = open_name();

        name_of(5, 'x');
        rig_event("STOP", "{}");
        SETTLE();
        ASSERT_REPLY(k_send_read(&file, 0, 100), "xxxxx\n");
        file = open_name();
        name_of(5, 'y');
        ASSERT_OK(rig_echo("ctl", "stop\n"));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "yyyyy\n");
}
END_TEST

/* Its pages must be of one content, also where the kernel drops some and reads them again. */
START_TEST(page_cache_reads_the_content_of_the_opening)
{
        struct k_file file = open_name();

        name_of(5, 'x');
        rig_event("STOP", "{}");
        SETTLE();
        free(rig_sent());
        ASSERT_REPLY(k_send_readpages(&file, 0, 4096), "vm1\n");
        ASSERT_REPLY(k_send_readpages(&file, 0, 4096), "vm1\n");
        ASSERT_SENT("");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), "xxxxx\n");
        ASSERT_REPLY(k_send_readpages(&file, 0, 4096), "xxxxx\n");
}
END_TEST

START_TEST(opening_fails_as_its_query_does)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        fake_on_error(rig.fake, "query-name", "GenericError", "not today");
        ASSERT_ERROR(k_open(entry.nodeid, O_RDONLY, &file), EIO);
        ASSERT_CAT_CONTAINS("errors", " /name EIO GenericError not today\n");
}
END_TEST

START_TEST(opening_for_writing_asks_nothing)
{
        const char *const path = "qom/a";
        struct k_file file = rig_must_open("block/NVME1/remove", O_WRONLY);

        k_release(&file);
        ASSERT_CAT(path, "abc\n");
        free(rig_sent());
        file = rig_must_open(path, O_RDWR);
        ASSERT_SENT("");
        ASSERT_REPLY(k_send_read(&file, 0, 100), "abc\n");
        ASSERT_SENT("qom-get");
}
END_TEST

/* --- its size ---------------------------------------------------------------------------------------------------- */

START_TEST(size_is_exact_from_the_opening_on)
{
        struct k_file file = open_name();

        ck_assert_uint_eq(size_of(file.node), 4);
        name_of(7, 'x');
        ck_assert_uint_eq(size_of(file.node), 4);
        k_release(&file);
        file = open_name();
        ck_assert_uint_eq(size_of(file.node), 8);
}
END_TEST

/* A shorter one needs no more: a reader of the page cache finds the end, and fstat(2) asks. */
START_TEST(kernel_hears_of_a_shorter_content)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        ck_assert_uint_eq(entry.attr.size, 4096);
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ck_assert_uint_eq(kernel.n_invalidated, 1);
        k_release(&file);
        /* it has heard */
        name_of(2, 'x');
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ck_assert_uint_eq(kernel.n_invalidated, 1);
        ck_assert_uint_eq(size_of(file.node), 3);
        k_release(&file);
        name_of(1, 'x');
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ck_assert_uint_eq(kernel.n_invalidated, 2);
}
END_TEST

/* What asks nobody may change without any event. */
START_TEST(first_read_asks_again_if_there_is_news)
{
        struct k_file name = rig_must_open_and_read("name", O_RDONLY), file = rig_must_open("connection", O_RDONLY);
        uint64_t read;

        fake_on_nothing(rig.fake, "query-name");
        read = k_send_read(&name, 0, 100);
        PUMP_FOR(rig.loop, 1500 * MS);
        ASSERT_REPLY(k_send_read(&file, 0, 7), "stalled");
        fake_return(rig.fake, rig_last("query-name"), "{}");
        ck_assert_int_eq(k_wait_error(read), 0);
}
END_TEST

START_TEST(longer_content_makes_the_opening_begin_again)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        free(rig_sent());
        name_of(5000, 'x');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &file), ESTALE);
        ASSERT_SENT("query-name");
        /* what the path leads to now has the size */
        name_of(5, 'x');
        ASSERT_OK(rig_walk("name", &entry));
        ck_assert_uint_eq(entry.attr.size, 5001);
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ck_assert_uint_eq(size_of(file.node), 5001);
        ASSERT_SENT("");
        k_release(&file);
        /* the size is known */
        name_of(5000, 'y');
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ASSERT_CAT("errors", "");
}
END_TEST

/* The second time the kernel would return ESTALE to the user. */
START_TEST(opening_begins_again_only_once)
{
        struct fuse_entry_out entry, other;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        ASSERT_OK(rig_walk("status", &other));
        name_of(5000, 'x');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &file), ESTALE);
        /* the path leads elsewhere now */
        fake_on(rig.fake, "query-status", "{\"a\": [0]}");
        other.attr.size = 0;
        inode_find(rig.session, other.nodeid)->told = 0;
        ASSERT_OK(k_open_once(other.nodeid, O_RDONLY, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 8), "{\n  \"a\":");
}
END_TEST

/* Another process asks for itself: what it reads must come from a command that was sent after its opening. */
START_TEST(opening_that_begins_again_is_not_another_processes)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        name_of(5000, 'x');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &file), ESTALE);
        free(rig_sent());
        kernel.pid++;
        ASSERT_OK(rig_walk("name", &entry));
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ASSERT_SENT("query-name");
        kernel.pid--;
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ASSERT_SENT("");
}
END_TEST

static const struct {
        const char *what;
        uint32_t pid;
        bool exact, many;
} plain[] = {
        { "a process of another PID namespace", 0, false, false },
        { "an NFS server's, which would return ESTALE to its client", 1, true, false },
};

START_TEST(opening_does_not_begin_again_for)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        rig.session->options.exact_sizes = plain[_i].exact;
        kernel.pid = plain[_i].pid;
        name_of(5000, 'x');
        ASSERT_OK(k_open_once(entry.nodeid, O_RDONLY, &file));
        ck_assert_uint_eq(kernel.n_invalidated, 1);
        ck_assert_uint_eq(size_of(file.node), 5001);
}
END_TEST

START_TEST(opening_that_does_not_come_again_leaves_nothing)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        name_of(5000, 'x');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &file), ESTALE);
        ck_assert_uint_eq(rig.session->memory.bytes, 5001);
        PUMP_FOR(rig.loop, 2 * SEC);
        ck_assert_uint_eq(rig.session->memory.bytes, 0);
        ck_assert(list_empty(&rig.session->contents.repeats));
}
END_TEST

START_TEST(session_may_end_before_the_opening_comes_again)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("name", &entry));
        name_of(5000, 'x');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &file), ESTALE);
        rig_end();
}
END_TEST

/* --- several at once --------------------------------------------------------------------------------------------- */

START_TEST(equal_contents_are_one)
{
        struct k_file files[100];

        name_of(999, 'x');
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                files[i] = open_name();
        ck_assert_uint_eq(rig.session->memory.bytes, 1000);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                k_release(&files[i]);
        ck_assert_uint_eq(rig.session->memory.bytes, 0);
}
END_TEST

/* The kernel has one size and one page cache for an inode. */
START_TEST(another_content_is_another_inode)
{
        struct k_file first = open_name(), second, third;
        struct fuse_attr a, b;

        name_of(7, 'x');
        second = open_name();
        ck_assert_uint_ne(second.node, first.node);
        ASSERT_OK(k_getattr(first.node, &a));
        ASSERT_OK(k_getattr(second.node, &b));
        ck_assert_uint_eq(a.ino, b.ino);
        ck_assert_uint_eq(a.size, 4);
        ck_assert_uint_eq(b.size, 8);
        third = open_name();
        ck_assert_uint_eq(third.node, second.node);
        k_release(&second);
        /* also if it is as long */
        name_of(7, 'y');
        second = open_name();
        ck_assert_uint_ne(second.node, third.node);
        ASSERT_REPLY(k_send_readpages(&first, 0, 100), "vm1\n");
        ASSERT_REPLY(k_send_readpages(&third, 0, 100), "xxxxxxx\n");
        k_release(&first);
        k_release(&second);
        k_release(&third);
        name_of(7, 'z');
        first = open_name();
        ck_assert_uint_eq(first.node, second.node);
}
END_TEST

/* Two processes open what is another content for each; the one that comes second takes the path from the first. */
START_TEST(openings_at_the_same_time_have_the_size_of_what_they_read)
{
        struct k_file old = open_name(), first, second;
        struct fuse_entry_out entry, first_entry, second_entry;

        ASSERT_OK(rig_walk("name", &entry));
        name_of(7, 'x');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &first), ESTALE);
        kernel.pid++;
        name_of(8, 'y');
        ASSERT_ERROR(k_open_once(entry.nodeid, O_RDONLY, &second), ESTALE);
        name_of(9, 'z');
        ASSERT_OK(rig_walk("name", &second_entry));
        ASSERT_OK(k_open_once(second_entry.nodeid, O_RDONLY, &second));
        kernel.pid--;
        ASSERT_OK(rig_walk("name", &first_entry));
        ASSERT_OK(k_open_once(first_entry.nodeid, O_RDONLY, &first));
        ck_assert_uint_eq(size_of(second.node), 9);
        ASSERT_REPLY(k_send_read(&second, 0, 100), "yyyyyyyy\n");
        ck_assert_uint_eq(size_of(first.node), 9);
        ASSERT_REPLY(k_send_read(&first, 0, 100), "yyyyyyyy\n");
        ck_assert_uint_eq(size_of(old.node), 4);
        /* who comes later has what there is then */
        first = open_name();
        ck_assert_uint_eq(size_of(first.node), 10);
        ASSERT_REPLY(k_send_read(&first, 0, 100), "zzzzzzzzz\n");
}
END_TEST

START_TEST(reading_again_leaves_the_size_to_the_others)
{
        struct k_file a = open_name(), b = open_name();

        ck_assert_uint_eq(a.node, b.node);
        name_of(7, 'x');
        ASSERT_REPLY(k_send_read(&a, 0, 100), "vm1\n");
        ASSERT_REPLY(k_send_read(&a, 0, 100), "xxxxxxx\n");
        ck_assert_uint_eq(size_of(b.node), 4);
        ASSERT_REPLY(k_send_readpages(&b, 0, 100), "vm1\n");
        k_release(&a);
        /* alone, it has the size of what it read */
        ASSERT_REPLY(k_send_read(&b, 0, 100), "xxxxxxx\n");
        ck_assert_uint_eq(size_of(b.node), 8);
}
END_TEST

/* --- bounds ------------------------------------------------------------------------------------------------------ */

START_TEST(contents_are_bounded)
{
        struct fuse_entry_out entry;
        struct k_file file = open_name();

        ASSERT_OK(rig_walk("uuid", &entry));
        rig.session->memory.bytes += MEMORY_MAX - 10;
        ASSERT_ERROR(k_open(entry.nodeid, O_RDONLY, &file), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", " /uuid ENOMEM - the contents of all open files would exceed 256 MiB\n");
        /* another user comes to his limit sooner */
        rig.session->memory.bytes = MEMORY_MAX / 2;
        rig.session->memory.foreign_bytes = MEMORY_MAX / 2 - 10;
        kernel.uid = 4321;
        ASSERT_ERROR(k_open(entry.nodeid, O_RDONLY, &file), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", "would exceed 128 MiB, the limit of other users\n");
        kernel.uid = 1000;
        ASSERT_OK(k_open(entry.nodeid, O_RDONLY, &file));
        kernel.uid = 0;
        ASSERT_OK(k_open(entry.nodeid, O_RDONLY, &file));
}
END_TEST

/* Leaves so many bytes of the limit; returns the number that open files really hold. */
static size_t leave(size_t bytes)
{
        size_t held = rig.session->memory.bytes;

        rig.session->memory.bytes = MEMORY_MAX - bytes;
        return held;
}

START_TEST(listings_are_bounded)
{
        struct fuse_entry_out entry;
        struct k_file dir, other;
        size_t held;

        ASSERT_OK(rig_walk("block", &entry));
        ASSERT_OK(k_opendir(entry.nodeid, &dir));
        ASSERT_OK(k_opendir(entry.nodeid, &other));
        ASSERT_OK(k_wait_error(k_send_readdir(&dir, 0, 4096)));
        held = leave(100);
        ck_assert_uint_gt(held, 100);
        ASSERT_ERROR(k_wait_error(k_send_readdir(&other, 0, 4096)), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", " /block ENOMEM - the contents of all open files would exceed 256 MiB\n");
        /* a listing is replaced by one of the same size */
        ASSERT_OK(k_wait_error(k_send_readdir(&dir, 0, 4096)));
        k_release(&dir);
        ASSERT_OK(k_wait_error(k_send_readdir(&other, 0, 4096)));
        k_release(&other);
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 100 - held);
        /* another user's counts as such */
        rig.session->memory.bytes = 0;
        kernel.uid = 4321;
        ASSERT_OK(k_opendir(entry.nodeid, &dir));
        ASSERT_OK(k_wait_error(k_send_readdir(&dir, 0, 4096)));
        ck_assert_uint_eq(rig.session->memory.foreign_bytes, held);
        k_release(&dir);
        ck_assert_uint_eq(rig.session->memory.foreign_bytes, 0);
        ck_assert_uint_eq(rig.session->memory.bytes, 0);
}
END_TEST

/* No event is lost silently. */
START_TEST(streams_of_events_are_bounded)
{
        struct k_file stream = rig_must_open("events", O_RDWR);
        struct k_reply *reply;

        rig_event("A", "{\"x\": \"%0500d\"}", 0);
        SETTLE();
        ck_assert_uint_gt(rig.session->memory.bytes, 500);
        (void)leave(300);
        rig_event("B", "{\"x\": \"%0500d\"}", 0);
        SETTLE();
        reply = k_wait(k_send_read(&stream, 0, 4096));
        ck_assert_int_eq(reply->error, 0);
        ck_assert_contains(reply->data, "\"event\":\"QMPFS_EVENTS_LOST\",\"data\":{\"count\":1}}\n");
        ck_assert_contains(reply->data, "\"event\":\"B\"");
        free(reply);
        /* not one that is half read, but the new one */
        (void)leave(1000);
        rig_event("C", "{\"x\": \"%0500d\"}", 0);
        SETTLE();
        ASSERT_REPLY(k_send_read(&stream, 0, 5), "{\"tim");
        rig_event("D", "{\"x\": \"%0500d\"}", 0);
        SETTLE();
        reply = k_wait(k_send_read(&stream, 0, 4096));
        ck_assert_contains(reply->data, "\"event\":\"C\"");
        free(reply);
        reply = k_wait(k_send_read(&stream, 0, 4096));
        ck_assert_contains(reply->data, "\"data\":{\"count\":1}}\n");
        free(reply);
        k_release(&stream);
}
END_TEST

START_TEST(replies_are_bounded)
{
        static const char command[] = "{\"execute\": \"query-name\"}";
        struct k_file qmp = rig_must_open("qmp", O_RDWR), hmp = rig_must_open("hmp", O_RDWR);
        size_t n = rig_count("query-name");

        name_of(2000, 'x');
        fake_on(rig.fake, "human-monitor-command", "\"a reply of some length\"");
        (void)leave(1000);
        ASSERT_ERROR(k_wait_error(k_send_write(&qmp, command, strlen(command))), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", " /qmp ENOMEM - no memory for QEMU's reply; it has been carried out\n");
        ck_assert_uint_eq(rig_count("query-name"), n + 1);
        /* with room for one copy, but not for growth */
        (void)leave(5000);
        ASSERT_OK(k_wait_error(k_send_write(&qmp, command, strlen(command))));
        ck_assert_uint_gt(rig.session->memory.bytes, MEMORY_MAX - 5000 + 2000);
        ck_assert_int_eq(k_wait_error(k_send_read(&qmp, 0, 65536)), 0);
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 5000);
        (void)leave(10);
        ASSERT_ERROR(k_wait_error(k_send_write(&hmp, "info", 4)), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", " /hmp ENOMEM - no memory for QEMU's reply; it has been carried out\n");
        (void)leave(100);
        ASSERT_OK(k_wait_error(k_send_write(&hmp, "info", 4)));
        ck_assert_uint_gt(rig.session->memory.bytes, MEMORY_MAX - 100);
        k_release(&hmp);
        k_release(&qmp);
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 100);
        /* a file that is not open for reading keeps no reply */
        hmp = rig_must_open("hmp", O_WRONLY);
        (void)leave(10);
        ASSERT_OK(k_wait_error(k_send_write(&hmp, "info", 4)));
}
END_TEST

START_TEST(incomplete_lines_are_bounded)
{
        struct k_file file = rig_must_open("hmp", O_WRONLY);
        char piece[1024];

        memset(piece, 'x', sizeof(piece));
        (void)leave(1500);
        ASSERT_OK(k_wait_error(k_send_pwrite(&file, piece, sizeof(piece), 0)));
        ck_assert_uint_gt(rig.session->memory.bytes, MEMORY_MAX - 1500 + 1000);
        ASSERT_ERROR(k_wait_error(k_send_pwrite(&file, piece, sizeof(piece), 1024)), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", " /hmp ENOMEM - the contents of all open files would exceed 256 MiB\n");
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 1500);
        ASSERT_ERROR(k_wait_error(k_send_pwrite(&file, "x\n", 2, 2048)), EINVAL);
        ASSERT_OK(k_wait_error(k_send_pwrite(&file, piece, sizeof(piece), 0)));
        k_release(&file);
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 1500);
        ck_assert_uint_eq(rig_count("human-monitor-command"), 0);
}
END_TEST

/* "timeout=6 powerdown" and 64,000 blanks, by hundreds of writers. */
START_TEST(lines_of_waiting_writers_are_bounded)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *line = malloc(60001);
        uint64_t first, second;

        memset(line, ' ', 60000);
        memcpy(line, "stop", 4);
        strcpy(line + 59999, "\n");
        fake_on_nothing(rig.fake, "stop");
        (void)leave(150000);
        first = k_send_pwrite(&file, line, 60000, 0);
        second = k_send_pwrite(&file, line, 60000, 0);
        SETTLE();
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 150000 + 2 * 60000);
        ASSERT_ERROR(k_wait_error(k_send_pwrite(&file, line, 60000, 0)), ENOMEM);
        ASSERT_CAT_CONTAINS("errors", " /ctl ENOMEM - the contents of all open files would exceed 256 MiB\n");
        ck_assert_uint_eq(rig_count("stop"), 2);
        k_interrupt(first);
        ASSERT_ERROR(k_wait_error(first), ECANCELED);
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 150000 + 60000);
        k_release(&file);
        for (size_t i = 0; i < fake_n_commands(rig.fake); i++)
                if (streq(fake_command(rig.fake, i)->name, "stop"))
                        fake_return(rig.fake, fake_command(rig.fake, i), "{}");
        ASSERT_OK(k_wait_error(second));
        ck_assert_uint_eq(rig.session->memory.bytes, MEMORY_MAX - 150000);
        /* a short line takes no more than any request */
        (void)leave(0);
        ASSERT_OK(rig_echo("ctl", "cont\n"));
        free(line);
}
END_TEST

/* --- -o sizes=exact ---------------------------------------------------------------------------------------------- */

START_TEST(exact_sizes_are_those_of_the_contents)
{
        struct fuse_entry_out entry;

        rig.session->options.exact_sizes = true;
        free(rig_sent());
        ASSERT_OK(rig_walk("name", &entry));
        ck_assert_uint_eq(entry.attr.size, 4);
        ASSERT_SENT("query-name");
        name_of(7, 'x');
        ck_assert_uint_eq(size_of(entry.nodeid), 8);
        ASSERT_SENT("query-name");
        ASSERT_OK(rig_walk("block/NVME1/status", &entry));
        ASSERT_OK(rig_walk("cmd/stop", &entry));
        ASSERT_OK(rig_walk("ctl", &entry));
        ASSERT_OK(rig_walk("block/NVME1/remove", &entry));
        ASSERT_OK(rig_walk("block", &entry));
        ASSERT_OK(rig_walk("errors", &entry));
}
END_TEST

START_TEST(what_cannot_be_read_has_no_size_and_no_failure)
{
        struct fuse_entry_out entry;
        struct k_file file;

        rig.session->options.exact_sizes = true;
        fake_on_error(rig.fake, "query-name", "GenericError", "not today");
        ASSERT_OK(rig_walk("name", &entry));
        ck_assert_uint_eq(entry.attr.size, 0);
        ASSERT_CAT("errors", "");
        ASSERT_ERROR(k_open(entry.nodeid, O_RDONLY, &file), EIO);
}
END_TEST

START_TEST(exact_size_of_a_file_that_is_open_is_its_contents)
{
        struct k_file file;

        rig.session->options.exact_sizes = true;
        file = open_name();
        name_of(7, 'x');
        free(rig_sent());
        ck_assert_uint_eq(size_of(file.node), 4);
        ASSERT_SENT("");
}
END_TEST

START_TEST(lookup_for_an_exact_size_may_be_interrupted)
{
        struct fuse_entry_out entry;
        uint64_t lookup;

        rig.session->options.exact_sizes = true;
        ASSERT_OK(rig_walk("block/NVME1", &entry));
        fake_on_nothing(rig.fake, "query-name");
        lookup = k_send_lookup(FUSE_ROOT_ID, "name");
        SETTLE();
        ck_assert(!k_is_answered(lookup));
        k_interrupt(lookup);
        ASSERT_ERROR(k_wait_error(lookup), EINTR);
        fake_return(rig.fake, rig_last("query-name"), "{}");
}
END_TEST

static void up(void)
{
        rig_up();
        fake_on(rig.fake, "stop", "{}");
        fake_on(rig.fake, "cont", "{}");
        fake_on(rig.fake, "qom-set", "{}");
        fake_on(rig.fake, "query-qmp-schema",
                "[{\"meta-type\": \"command\", \"name\": \"stop\", \"arg-type\": \"0\", \"ret-type\": \"0\"},"
                "{\"meta-type\": \"object\", \"name\": \"0\", \"members\": []}]");
        rig_qom("/", NULL, "[{\"name\": \"a\", \"type\": \"str\"}]");
        rig_qom("/", "a", "\"abc\"");
        free(rig_sent());
}

int main(void)
{
        const struct test tests[] = {
                TEST(first_read_returns_the_content_of_the_opening),
                TEST(first_read_asks_again_if_something_has_happened),
                TEST(first_read_asks_again_if_there_is_news),
                TEST(page_cache_reads_the_content_of_the_opening),
                TEST(opening_fails_as_its_query_does),
                TEST(opening_for_writing_asks_nothing),
                TEST(size_is_exact_from_the_opening_on),
                TEST(kernel_hears_of_a_shorter_content),
                TEST(longer_content_makes_the_opening_begin_again),
                TEST(opening_begins_again_only_once),
                TEST(opening_that_begins_again_is_not_another_processes),
                TEST_EACH(opening_does_not_begin_again_for, ARRAY_SIZE(plain)),
                TEST(opening_that_does_not_come_again_leaves_nothing),
                TEST(session_may_end_before_the_opening_comes_again),
                TEST(equal_contents_are_one),
                TEST(another_content_is_another_inode),
                TEST(openings_at_the_same_time_have_the_size_of_what_they_read),
                TEST(reading_again_leaves_the_size_to_the_others),
                TEST(contents_are_bounded),
                TEST(listings_are_bounded),
                TEST(streams_of_events_are_bounded),
                TEST(replies_are_bounded),
                TEST(incomplete_lines_are_bounded),
                TEST(lines_of_waiting_writers_are_bounded),
                TEST(exact_sizes_are_those_of_the_contents),
                TEST(what_cannot_be_read_has_no_size_and_no_failure),
                TEST(exact_size_of_a_file_that_is_open_is_its_contents),
                TEST(lookup_for_an_exact_size_may_be_interrupted),
        };

        return test_main("fuse_content", tests, ARRAY_SIZE(tests), up, rig_down);
}
