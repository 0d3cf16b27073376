/*
 * `events` and `errors` as logs, `events` as a stream, and poll(2).
 */
#include <fnmatch.h>
#include <poll.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define LINE(name) "{\"timestamp\":{\"seconds\":1795164681,\"microseconds\":361414},\"event\":\"" name "\"}\n"

/* An event of our own, whose time is the host's; a pattern for fnmatch(). */
#define OWN(name, data)                                                                                              \
        "{\"timestamp\":{\"seconds\":*,\"microseconds\":*},\"event\":\"" name "\",\"data\":{" data "}}\n"
#define DOWN(reason) OWN("QMPFS_DOWN", "\"reason\":\"" reason "\"")
#define UP           OWN("QMPFS_UP", "\"version\":\"7.2.22 (Debian 1:7.2)\"")
#define LOST(count)  OWN("QMPFS_EVENTS_LOST", "\"count\":" count)

#define ASSERT_LIKE(text, pattern) ck_assert_msg(fnmatch((pattern), (text), 0) == 0, "not like %s: %s", pattern, text)

#define ASSERT_REPLY_LIKE(unique, pattern)                                                                           \
        do {                                                                                                         \
                struct k_reply *_reply = k_wait(unique);                                                             \
                                                                                                                     \
                ck_assert_msg(_reply->error == 0, "%s", strerrorname_np(-_reply->error));                            \
                ASSERT_LIKE(_reply->data, pattern);                                                                  \
                free(_reply);                                                                                        \
        } while (0)

/* Which events this QEMU has. */
static void know_events(void)
{
        fake_on(rig.fake, "query-qmp-schema",
                "[{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []},"
                "{\"name\": \"STOP\", \"meta-type\": \"event\", \"arg-type\": \"0\"},"
                "{\"name\": \"RESUME\", \"meta-type\": \"event\", \"arg-type\": \"0\"},"
                "{\"name\": \"LAST\", \"meta-type\": \"event\", \"arg-type\": \"0\"},"
                "{\"name\": \"DEVICE_DELETED\", \"meta-type\": \"event\", \"arg-type\": \"0\"}]");
}

static void set_up(void)
{
        rig_up();
        know_events();
}

static struct k_file stream(const char *filter)
{
        struct k_file file = rig_must_open("events", O_RDWR);

        if (filter)
                ck_assert_int_eq(k_wait_error(k_send_write(&file, filter, strlen(filter))), 0);
        return file;
}

static void event(const char *name)
{
        rig_event(name, "%s", "");
        SETTLE();
}

/* --- the log ----------------------------------------------------------------------------------------------------- */

START_TEST(log_ends_and_grows)
{
        struct k_file file = rig_must_open("events", O_RDONLY);
        struct fuse_attr attr;

        ck_assert_uint_eq(file.open_flags & FOPEN_STREAM, 0);
        ck_assert_uint_ne(file.open_flags & FOPEN_DIRECT_IO, 0);
        ASSERT_REPLY(k_send_read(&file, 0, 4096), "");
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
        ASSERT_REPLY(k_send_read(&file, strlen(LINE("STOP")), 4096), "");
        event("RESUME");
        ASSERT_REPLY(k_send_read(&file, strlen(LINE("STOP")), 4096), LINE("RESUME"));
        ASSERT_REPLY(k_send_read(&file, 3, 4), "imes");
        ASSERT_CAT("events", LINE("STOP") LINE("RESUME"));
        ASSERT_OK(k_getattr(file.node, &attr));
        ck_assert_uint_eq(attr.size, strlen(LINE("STOP") LINE("RESUME")));
        ASSERT_SENT("");
}
END_TEST

START_TEST(log_keeps_a_thousand_lines_for_whoever_follows)
{
        struct k_file follower = rig_must_open("events", O_RDONLY), late;
        _cleanup_(qmp_freep) char *text = NULL;
        size_t line = strlen(LINE("E0000")), size;
        struct fuse_attr attr;
        char name[8];

        for (unsigned i = 0; i < 1500; i++) {
                sprintf(name, "E%04u", i);
                event(name);
                if (i == 1199)
                        ck_assert_int_eq(k_wait_error(k_send_read(&follower, 1190 * line, 65536)), 0);
        }
        late = rig_must_open("events", O_RDONLY);
        ASSERT_OK(rig_read_all(&late, &text, &size));
        ck_assert_uint_eq(size, 1000 * line);
        /* sendfile(2) must find the end of the text there, although mmap(2) would rather have the whole st_size */
        ASSERT_REPLY(k_send_readpages(&late, 999 * line, 4096), LINE("E1499"));
        ASSERT_REPLY(k_send_readpages(&late, 1000 * line, 4096), "");
        ck_assert_ptr_eq(strstr(text, "\"E0500\""), text + strlen(LINE("")) - strlen("\"\"}\n"));
        ASSERT_REPLY(k_send_read(&follower, 1200 * line, (uint32_t)line), LINE("E1200"));
        /* who fell behind goes on with the oldest that there is */
        ASSERT_REPLY(k_send_read(&follower, 100 * line, (uint32_t)line), LINE("E0500"));
        ASSERT_OK(k_getattr(late.node, &attr));
        ck_assert_uint_eq(attr.size, 1500 * line);
}
END_TEST

START_TEST(log_survives_the_connection)
{
        _cleanup_(qmp_freep) char *text = NULL;

        event("STOP");
        fake_close(rig.fake);
        SETTLE();
        ASSERT_OK(rig_cat("events", &text));
        ASSERT_LIKE(text, LINE("STOP") DOWN("*"));
}
END_TEST

START_TEST(log_takes_no_filter)
{
        ASSERT_ERROR(rig_echo("events", "STOP"), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /events EINVAL - a filter needs a file open for reading and writing");
}
END_TEST

START_TEST(events_of_odd_content_stay_on_one_line)
{
        _cleanup_(qmp_freep) char *text = NULL;

        rig_event("VSERPORT_CHANGE", "{\"id\": \"a\\nb\\u0000c/d\", \"open\": true, \"x\": null}");
        SETTLE();
        ASSERT_OK(rig_cat("events", &text));
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
        ck_assert_contains(text, "\"data\":{\"id\":\"a\\nb\\u0000c/d\",\"open\":true,\"x\":null}}\n");
}
END_TEST

START_TEST(failures_are_told_of_a_line_each)
{
        _cleanup_(qmp_freep) char *text = NULL, *who = NULL;

        fake_on_error(rig.fake, "query-name", "GenericError", "two\nlines\x01 and a \\");
        ASSERT_ERROR(rig_cat("name", NULL), EIO);
        ASSERT_ERROR(rig_echo("ctl", "nosuch\nverb"), EINVAL);
        ASSERT_OK(rig_cat("errors", &text));
        ck_assert_int_gt(asprintf(&who, "Z uid=%u pid=%d /", getuid(), getpid()), 0);
        ck_assert_contains(text, who);
        ck_assert_contains(text, " /name EIO GenericError two\\x0alines\\x01 and a \\\n");
        ck_assert_contains(text, " /ctl EINVAL - more than one line in a write: a request is one line\n");
        ck_assert_ptr_nonnull(strchr(text, '\n'));
        ck_assert_ptr_eq(strchr(strchr(text, '\n') + 1, '\n'), text + strlen(text) - 1);
        /* 2026-11-20T10:11:12.345Z */
        ck_assert_int_eq(text[4], '-');
        ck_assert_int_eq(text[10], 'T');
        ck_assert_int_eq(text[23], 'Z');
}
END_TEST

/* What somebody polls is a line and then one with a count, so that the last line is mostly one's own. */
START_TEST(repeats_of_a_failure_are_counted)
{
        struct k_file follower = rig_must_open("errors", O_RDONLY);
        _cleanup_(qmp_freep) char *text = NULL;
        uint64_t size;

        fake_on_error(rig.fake, "query-name", "GenericError", "no");
        for (unsigned i = 0; i < 20; i++)
                ASSERT_ERROR(rig_cat("name", NULL), EIO);
        ASSERT_ERROR(rig_echo("ctl", "x"), EINVAL);
        for (unsigned i = 0; i < 20; i++)
                ASSERT_ERROR(rig_cat("name", NULL), EIO);
        ASSERT_OK(rig_cat("errors", &text));
        size = strlen(text);
        ck_assert_contains(text, " /name EIO GenericError no\n");
        ck_assert_contains(text, " /ctl EINVAL - ");
        ck_assert_ptr_eq(strchr(strchr(text, '\n') + 1, '\n'), text + size - 1);
        /* what was read stays as it was, and what was counted comes behind it */
        PUMP_FOR(rig.loop, 11 * SEC);
        free(take_ptr(text));
        ASSERT_OK(rig_cat("errors", &text));
        ck_assert_contains(text + size, " /name EIO GenericError no (repeated 39 times)\n");
        ck_assert_ptr_eq(strchr(text + size, '\n'), text + strlen(text) - 1);
        ck_assert_uint_eq(k_poll(&follower, 0) & (unsigned)POLLIN, POLLIN);
        /* and that's all */
        PUMP_FOR(rig.loop, 1000 * SEC);
        size = strlen(text);
        free(take_ptr(text));
        ASSERT_OK(rig_cat("errors", &text));
        ck_assert_uint_eq(strlen(text), size);
        /* after such a time it is new */
        ASSERT_ERROR(rig_cat("name", NULL), EIO);
        free(take_ptr(text));
        ASSERT_OK(rig_cat("errors", &text));
        ck_assert_contains(text + size, " /name EIO GenericError no\n");
}
END_TEST

/* --- the stream -------------------------------------------------------------------------------------------------- */

START_TEST(stream_waits_for_what_comes_after_it_was_opened)
{
        struct k_file file;
        uint64_t read;

        event("BEFORE");
        file = stream(NULL);
        ck_assert_uint_ne(file.open_flags & FOPEN_STREAM, 0);
        event("FIRST");
        event("SECOND");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("FIRST") LINE("SECOND"));
        read = k_send_read(&file, 500, 4096);
        PUMP_FOR(rig.loop, 200 * SEC);
        ck_assert(!k_is_answered(read));
        event("THIRD");
        ASSERT_REPLY(read, LINE("THIRD"));
        ASSERT_SENT("");
}
END_TEST

START_TEST(each_stream_has_a_queue_of_its_own)
{
        struct k_file a = stream(NULL), b = stream("STOP"), c;

        event("STOP");
        c = stream(NULL);
        event("RESUME");
        ASSERT_REPLY(k_send_read(&a, 0, 4096), LINE("STOP") LINE("RESUME"));
        ASSERT_REPLY(k_send_read(&b, 0, 4096), LINE("STOP"));
        ASSERT_REPLY(k_send_read(&c, 0, 4096), LINE("RESUME"));
}
END_TEST

START_TEST(two_readers_of_one_stream_get_each_line_once)
{
        struct k_file file = stream(NULL);
        uint64_t a = k_send_read(&file, 0, 4096), b = k_send_read(&file, 0, 4096);

        SETTLE();
        event("FIRST");
        ASSERT_REPLY(a, LINE("FIRST"));
        SETTLE();
        ck_assert(!k_is_answered(b));
        event("SECOND");
        ASSERT_REPLY(b, LINE("SECOND"));
}
END_TEST

START_TEST(lines_are_read_byte_by_byte)
{
        struct k_file file = stream(NULL);
        char text[500] = "";
        size_t n;

        event("FIRST");
        event("SECOND");
        n = strlen(LINE("FIRST") LINE("SECOND"));
        for (size_t i = 0; i < n; i++) {
                struct k_reply *reply = k_wait(k_send_read(&file, 0, 1));

                ck_assert_uint_eq(reply->size, 1);
                strcat(text, reply->data);
                free(reply);
        }
        ck_assert_str_eq(text, LINE("FIRST") LINE("SECOND"));
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
}
END_TEST

START_TEST(filter_chooses)
{
        struct k_file file = stream("DEVICE_DELETED device=nv0\n");

        event("STOP");
        rig_deleted("/machine/peripheral/dimm1");
        rig_deleted("/machine/peripheral/nv0/part");
        rig_deleted("/machine/peripheral/nv0");
        SETTLE();
        ASSERT_REPLY(k_send_read(&file, 0, 4096),
                     "{\"timestamp\":{\"seconds\":1795164681,\"microseconds\":361414},\"event\":\"DEVICE_DELETED\","
                     "\"data\":{\"device\":\"nv0\",\"path\":\"/machine/peripheral/nv0\"}}\n");
}
END_TEST

START_TEST(filter_is_for_what_waits_too)
{
        struct k_file file = stream(NULL);

        event("STOP");
        event("RESUME");
        event("STOP");
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "RESUME", 6)), 0);
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("RESUME"));
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
        /* an empty one takes it away */
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "\n", 1)), 0);
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
}
END_TEST

START_TEST(filter_leaves_the_line_that_is_half_read)
{
        struct k_file file = stream(NULL);

        event("STOP");
        event("STOP");
        event("RESUME");
        ASSERT_REPLY(k_send_read(&file, 0, 5), "{\"tim");
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "RESUME", 6)), 0);
        ASSERT_REPLY(k_send_read(&file, 0, 4096), (LINE("STOP") LINE("RESUME")) + 5);
}
END_TEST

START_TEST(wrong_filter_leaves_the_old_one)
{
        struct k_file file = stream("STOP");

        ASSERT_ERROR(k_wait_error(k_send_write(&file, "what?", 5)), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /events EINVAL - the word at character 1 is not an EVENT_NAME, KEY=VALUE, "
                                      "JSON object or timeout=SEC");
        event("RESUME");
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
}
END_TEST

START_TEST(names_that_qemu_has_not_are_refused)
{
        struct k_file file = stream("STOP");
        static const struct {
                const char *filter, *why;
        } wrong[] = {
                { "DEVICE_DELETD timeout=60",
                  "no such event in this QEMU (nearest: 'DEVICE_DELETED'); schema/events/ lists them" },
                { "STOP QMPFS_UPP", "no such event in this QEMU (nearest: 'QMPFS_UP'); schema/events/" },
                { "NOTHING_LIKE_IT", "no such event in this QEMU; schema/events/ lists them" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                uint64_t before = qmp_now();

                ASSERT_ERROR(k_wait_error(k_send_write(&file, wrong[i].filter, strlen(wrong[i].filter))), EINVAL);
                ck_assert_uint_lt(qmp_now() - before, SEC);
                ASSERT_CAT_CONTAINS("errors", wrong[i].why);
        }
        /* the filter before stays */
        event("RESUME");
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
}
END_TEST

START_TEST(names_cost_one_schema_per_connection)
{
        struct k_file file = rig_must_open("events", O_RDWR);

        ASSERT_OK(k_wait_error(k_send_write(&file, "timeout=1 device=x", 18)));
        ASSERT_OK(k_wait_error(k_send_write(&file, "QMPFS_UP QMPFS_DOWN QMPFS_EVENTS_LOST", 37)));
        ASSERT_SENT("");
        ASSERT_OK(k_wait_error(k_send_write(&file, "STOP RESUME", 11)));
        ASSERT_SENT("query-qmp-schema");
        ASSERT_OK(k_wait_error(k_send_write(&file, "LAST", 4)));
        ASSERT_SENT("");
        /* there is nobody to ask, and it may be for the next QEMU */
        fake_close(rig.fake);
        SETTLE();
        ASSERT_OK(k_wait_error(k_send_write(&file, "JOB_STATUS_CHANGE", 17)));
}
END_TEST

START_TEST(limit_ends_a_read)
{
        struct k_file file = stream("timeout=2.5");
        uint64_t before = qmp_now();

        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ETIMEDOUT);
        ck_assert_uint_ge(qmp_now() - before, 2500 * MS);
        ck_assert_uint_lt(qmp_now() - before, 2510 * MS);
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
}
END_TEST

START_TEST(unwilling_to_wait_gets_eagain)
{
        struct k_file file = rig_must_open("events", O_RDWR | O_NONBLOCK);

        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EAGAIN);
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EAGAIN);
}
END_TEST

/* A daemon that connects again by itself. */
static void reconnecting(void)
{
        const char *path = test_path("qmp.sock");

        rig_unmake();
        rig_make(path);
        k_mount();
        know_events();
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        PUMP(rig.loop, rig.vm->peer.up);
}

/* The connection ends and comes back. */
static void gap(void)
{
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        PUMP(rig.loop, rig.vm->peer.up);
        SETTLE();
}

START_TEST(log_marks_the_end_of_a_connection_and_the_next_one)
{
        _cleanup_(qmp_freep) char *text = NULL;

        reconnecting();
        ASSERT_CAT("events", "");
        rig_event("SHUTDOWN", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
        SETTLE();
        gap();
        event("STOP");
        ASSERT_OK(rig_cat("events", &text));
        ASSERT_LIKE(text, "*\"SHUTDOWN\"*\n" DOWN("QEMU exited (host-qmp-quit)") UP LINE("STOP"));
}
END_TEST

START_TEST(attempts_in_vain_leave_one_mark)
{
        _cleanup_(qmp_freep) char *text = NULL;
        struct k_file file;

        reconnecting();
        file = stream(NULL);
        fake_unlisten(rig.fake);
        fake_close(rig.fake);
        PUMP_FOR(rig.loop, 20 * SEC);
        ASSERT_REPLY_LIKE(k_send_read(&file, 0, 4096), DOWN("*closed the connection"));
        ASSERT_OK(rig_cat("events", &text));
        ASSERT_LIKE(text, DOWN("*closed the connection"));
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(stream_tells_of_a_gap_in_order_and_once)
{
        struct k_file file;
        uint64_t read;

        reconnecting();
        file = stream(NULL);
        event("SHUTDOWN");
        fake_unlisten(rig.fake);
        fake_close(rig.fake);
        SETTLE();
        ASSERT_REPLY_LIKE(k_send_read(&file, 0, 4096), LINE("SHUTDOWN") DOWN("QEMU exited (shutdown)"));
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", " /events EHOSTDOWN - down: QEMU exited (shutdown), next try in ");
        /* told: from now on it waits for what comes next */
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
        read = k_send_read(&file, 0, 4096);
        PUMP_FOR(rig.loop, 10 * SEC);
        ck_assert(!k_is_answered(read));
        fake_listen(rig.fake, test_path("qmp.sock"));
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_REPLY_LIKE(read, UP);
        event("STOP");
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("STOP"));
}
END_TEST

START_TEST(gap_between_two_reads_is_told)
{
        struct k_file file;

        reconnecting();
        file = stream(NULL);
        event("STOP");
        gap();
        event("RESUME");
        ASSERT_REPLY_LIKE(k_send_read(&file, 0, 4096), LINE("STOP") DOWN("*"));
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EHOSTDOWN);
        ASSERT_CAT_CONTAINS("errors", " /events EHOSTDOWN - the connection was lost and is back");
        ASSERT_REPLY_LIKE(k_send_read(&file, 0, 4096), UP LINE("RESUME"));
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
}
END_TEST

START_TEST(filter_keeps_no_gap_from_its_reader)
{
        struct k_file deleted, marks;
        uint64_t waiting;

        reconnecting();
        deleted = stream("DEVICE_DELETED device=nv0");
        marks = stream("QMPFS_UP QMPFS_DOWN");
        waiting = k_send_read(&deleted, 0, 4096);
        SETTLE();
        gap();
        ASSERT_ERROR(k_wait_error(waiting), EHOSTDOWN);
        ck_assert_uint_eq(k_poll(&deleted, 0) & POLLIN, 0);
        ASSERT_REPLY_LIKE(k_send_read(&marks, 0, 4096), DOWN("*"));
        ASSERT_ERROR(k_wait_error(k_send_read(&marks, 0, 4096)), EHOSTDOWN);
        ASSERT_REPLY_LIKE(k_send_read(&marks, 0, 4096), UP);
        /* nor one that nobody read of yet, nor several */
        ck_assert_uint_eq(k_poll(&deleted, 1) & POLLIN, 0);
        gap();
        ck_assert(k_was_woken(1));
        gap();
        ck_assert_uint_ne(k_poll(&deleted, 0) & POLLIN, 0);
        ASSERT_ERROR(k_wait_error(k_send_read(&deleted, 0, 4096)), EHOSTDOWN);
        ck_assert_uint_eq(k_poll(&deleted, 0) & POLLIN, 0);
        rig_deleted("/machine/peripheral/nv0");
        SETTLE();
        ASSERT_REPLY_LIKE(k_send_read(&deleted, 0, 4096), "*DEVICE_DELETED*");
}
END_TEST

START_TEST(gap_stays_where_it_was_when_the_lines_around_it_go)
{
        struct k_file file;

        reconnecting();
        file = stream(NULL);
        event("STOP");
        event("RESUME");
        gap();
        event("RESUME");
        ASSERT_REPLY(k_send_read(&file, 0, 5), "{\"tim");
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "RESUME", 6)), 0);
        ASSERT_REPLY(k_send_read(&file, 0, 4096), (LINE("STOP") LINE("RESUME")) + 5);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EHOSTDOWN);
        ASSERT_REPLY(k_send_read(&file, 0, 4096), LINE("RESUME"));
        gap();
        event("RESUME");
        ck_assert_int_eq(k_wait_error(k_send_write(&file, "STOP", 4)), 0);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EHOSTDOWN);
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
}
END_TEST

START_TEST(stream_without_a_connection_fails_once)
{
        struct k_file file;
        uint64_t read;

        fake_close(rig.fake);
        SETTLE();
        file = stream("timeout=5");
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, POLLIN);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), EHOSTDOWN);
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
        read = k_send_read(&file, 0, 4096);
        ASSERT_ERROR(k_wait_error(read), ETIMEDOUT);
}
END_TEST

static void many(unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                fake_send_text(rig.fake, "{\"event\": \"E\", \"timestamp\": {}}\r\n");
        event("LAST");
}

/* Removes the first line of @text, which must be like @pattern. */
static void assert_first_line(char *text, const char *pattern)
{
        char *end = strchr(text, '\n'), *line;

        ck_assert_ptr_nonnull(end);
        line = strndup(text, (size_t)(end + 1 - text));
        ASSERT_LIKE(line, pattern);
        free(line);
        memmove(text, end + 1, strlen(end + 1) + 1);
}

/* All that the stream has; the caller's. */
static char *drain(struct k_file *file)
{
        size_t size = 0;
        char *text = calloc(1, 2 << 20);

        while (k_poll(file, 0) & POLLIN) {
                struct k_reply *reply = k_wait(k_send_read(file, 0, 65536));

                if (reply->error == 0)
                        memcpy(text + size, reply->data, reply->size + 1);
                else
                        size += (size_t)sprintf(text + size, "%s\n", strerrorname_np(-reply->error));
                size += reply->size;
                free(reply);
        }
        return text;
}

START_TEST(reader_who_falls_behind_is_told_how_many_are_lost)
{
        struct k_file file = stream(NULL), other = stream("LAST");
        char *text;

        many(10499);
        text = drain(&file);
        assert_first_line(text, LOST("500"));
        ck_assert_ptr_null(strstr(text, "QMPFS_EVENTS_LOST"));
        ck_assert_uint_eq(strlen(text), 9999 * strlen("{\"event\":\"E\",\"timestamp\":{}}\n") + strlen(LINE("LAST")));
        ASSERT_REPLY(k_send_read(&other, 0, 4096), LINE("LAST"));
        free(text);
}
END_TEST

START_TEST(reader_who_falls_behind_hears_of_a_gap)
{
        struct k_file file;
        char *text;

        reconnecting();
        file = stream(NULL);
        event("FIRST");
        gap();
        many(10000);
        text = drain(&file);
        /* what of the gap is lost is its marks */
        assert_first_line(text, "EHOSTDOWN\n");
        assert_first_line(text, LOST("4"));
        assert_first_line(text, "*\"E\"*");
        ck_assert_ptr_null(strstr(text, "EHOSTDOWN"));
        free(text);
}
END_TEST

START_TEST(the_loss_is_told_where_the_gap_is)
{
        struct k_file file = stream(NULL);
        struct k_reply *reply;
        char text[400] = "";

        event("FIRST");
        ASSERT_REPLY(k_send_read(&file, 0, 5), "{\"tim");
        many(10099);
        /* the rest of the line that was half read, then the notice, then what follows the gap */
        while (strlen(text) < strlen(LINE("FIRST")) + 120) {
                reply = k_wait(k_send_read(&file, 0, 120));
                strcat(text, reply->data);
                free(reply);
        }
        ASSERT_LIKE(text, "*\"FIRST\"}\n" LOST("101") "{\"event\":\"E\"*");
}
END_TEST

START_TEST(reader_of_a_closed_stream_is_still_served)
{
        struct k_file file = stream("STOP");
        uint64_t a = k_send_read(&file, 0, 4096), b = k_send_read(&file, 0, 4096);

        SETTLE();
        k_release(&file);
        event("STOP");
        ASSERT_REPLY(a, LINE("STOP"));
        SETTLE();
        ck_assert(!k_is_answered(b));
        event("STOP");
        ASSERT_REPLY(b, LINE("STOP"));
        event("STOP");
}
END_TEST

/* --- poll -------------------------------------------------------------------------------------------------------- */

START_TEST(poll_of_the_state)
{
        struct k_file file = rig_must_open("state", O_RDONLY);

        /* not read yet: news */
        ck_assert_uint_eq(k_poll(&file, 0), POLLIN | POLLRDNORM | POLLPRI);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 71), 0);
        event("BALLOON_CHANGE");
        ck_assert(!k_was_woken(71));
        event("STOP");
        ck_assert(k_was_woken(71));
        ck_assert_uint_eq(k_poll(&file, 0), POLLIN | POLLRDNORM | POLLPRI);
        /* once */
        event("RESUME");
        ck_assert_uint_eq(kernel.n_woken, 1);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 72), 0);
        fake_close(rig.fake);
        SETTLE();
        ck_assert(k_was_woken(72));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "down\n");
        ck_assert_uint_eq(k_poll(&file, 0), 0);
}
END_TEST

/* QEMU sends no event of all that changes it: a paused VM that has been migrated is "postmigrate". */
START_TEST(state_may_change_with_each_command_that_is_written)
{
        struct k_file file = rig_must_open("state", O_RDONLY);

        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 4) & POLLIN, 0);
        fake_on(rig.fake, "migrate", "{}");
        ASSERT_OK(rig_echo("qmp", "{\"execute\": \"migrate\"}"));
        ck_assert(k_was_woken(4));
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 5) & POLLIN, 0);
        fake_on(rig.fake, "cont", "{}");
        ASSERT_OK(rig_echo("ctl", "cont"));
        ck_assert(k_was_woken(5));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 6) & POLLIN, 0);
        fake_on(rig.fake, "human-monitor-command", "\"\"");
        ASSERT_OK(rig_echo("hmp", "c"));
        ck_assert(k_was_woken(6));
        /* who asks something whenever he is woken is not woken by that */
        ASSERT_REPLY(k_send_read(&file, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&file, 7) & POLLIN, 0);
        ASSERT_OK(rig_echo("qmp", "{\"execute\": \"query-name\"}"));
        ck_assert(!k_was_woken(7));
}
END_TEST

/* The writer has been answered long since. */
START_TEST(state_may_change_with_a_command_that_is_answered_late)
{
        static const char *const writes[][3] = {
                { "qmp", "{\"execute\": \"migrate\"}", "migrate" },
                { "hmp", "migrate", "human-monitor-command" },
                { "ctl", "cont", "cont" },
        };
        const char *command = writes[_i / 2][2];
        struct k_file state = rig_must_open("state", O_RDONLY), file = rig_must_open(writes[_i / 2][0], O_WRONLY);
        bool interrupted = _i % 2;
        uint64_t write;

        ASSERT_REPLY(k_send_read(&state, 0, 100), "running\n");
        ck_assert_uint_eq(k_poll(&state, 4) & POLLIN, 0);
        fake_on_nothing(rig.fake, command);
        write = k_send_write(&file, writes[_i / 2][1], strlen(writes[_i / 2][1]));
        SETTLE();
        if (interrupted)
                k_interrupt(write);
        ASSERT_ERROR(k_wait_error(write), interrupted ? ECANCELED : ETIMEDOUT);
        ck_assert(!k_was_woken(4));
        fake_return(rig.fake, rig_last(command), "{}");
        SETTLE();
        ck_assert(k_was_woken(4));
        ck_assert_uint_ne(k_poll(&state, 0) & POLLIN, 0);
}
END_TEST

START_TEST(change_while_the_state_is_read_is_news)
{
        struct k_file file = rig_must_open_and_read("state", O_RDONLY);
        const char *paused = "{\"status\": \"paused\", \"running\": false}";
        uint64_t read;

        fake_on_nothing(rig.fake, "query-status");
        read = k_send_read(&file, 0, 100);
        SETTLE();
        /* what is answered before the event may be old; it must not hide the event */
        fake_return(rig.fake, rig_last("query-status"), "{\"status\": \"running\"}");
        fake_event(rig.fake, "STOP", NULL);
        fake_on(rig.fake, "query-status", paused);
        ASSERT_REPLY(read, "running\n");
        SETTLE();
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "paused\n");
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
}
END_TEST

START_TEST(poll_of_the_connection)
{
        struct k_file file = rig_must_open("connection", O_RDONLY), name = rig_must_open_and_read("name", O_RDONLY);

        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ck_assert_int_eq(k_wait_error(k_send_read(&file, 0, 4096)), 0);
        ck_assert_uint_eq(k_poll(&file, 9), 0);
        fake_on_nothing(rig.fake, "query-name");
        (void)k_send_read(&name, 0, 100);
        PUMP_FOR(rig.loop, 500 * MS);
        ck_assert(!k_was_woken(9));
        PUMP_FOR(rig.loop, 700 * MS);
        ck_assert(k_was_woken(9));
        ck_assert_int_eq(k_wait_error(k_send_read(&file, 0, 4096)), 0);
        ck_assert_uint_eq(k_poll(&file, 10), 0);
        fake_close(rig.fake);
        PUMP(rig.loop, k_was_woken(10));
        PUMP(rig.loop, k_n_pending() == 0);
}
END_TEST

START_TEST(poll_of_the_log)
{
        struct k_file file = rig_must_open("events", O_RDONLY);

        ck_assert_uint_eq(k_poll(&file, 1) & POLLIN, 0);
        event("STOP");
        ck_assert(k_was_woken(1));
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ASSERT_REPLY(k_send_read(&file, 0, 10), "{\"timestam");
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ck_assert_int_eq(k_wait_error(k_send_read(&file, 10, 4096)), 0);
        ck_assert_uint_eq(k_poll(&file, 0) & POLLIN, 0);
}
END_TEST

START_TEST(poll_of_a_stream)
{
        struct k_file file = stream("STOP");

        ck_assert_uint_eq(k_poll(&file, 1), POLLOUT | POLLWRNORM);
        event("RESUME");
        ck_assert(!k_was_woken(1));
        event("STOP");
        ck_assert(k_was_woken(1));
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
        ck_assert_int_eq(k_wait_error(k_send_read(&file, 0, 4096)), 0);
        ck_assert_uint_eq(k_poll(&file, 2) & POLLIN, 0);
        fake_close(rig.fake);
        SETTLE();
        ck_assert(k_was_woken(2));
}
END_TEST

START_TEST(poll_of_the_errors)
{
        struct k_file file = rig_must_open("errors", O_RDONLY);

        ck_assert_uint_eq(k_poll(&file, 1), 0);
        ASSERT_ERROR(rig_echo("ctl", "nosuch"), EINVAL);
        ck_assert(k_was_woken(1));
        ck_assert_uint_ne(k_poll(&file, 0) & POLLIN, 0);
}
END_TEST

START_TEST(other_files_are_always_ready)
{
        struct k_file name = rig_must_open("name", O_RDONLY), ctl = rig_must_open("ctl", O_RDWR);
        struct k_file member = rig_must_open("block/NVME1/type", O_RDONLY);

        ck_assert_uint_eq(k_poll(&name, 1), POLLIN | POLLRDNORM);
        ck_assert_uint_eq(k_poll(&member, 2), POLLIN | POLLRDNORM);
        ck_assert_uint_eq(k_poll(&ctl, 3), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
        event("STOP");
        ck_assert_uint_eq(kernel.n_woken, 0);
}
END_TEST

START_TEST(a_new_handle_takes_the_place_of_the_old_one)
{
        struct k_file file = rig_must_open("events", O_RDONLY);

        (void)k_poll(&file, 1);
        (void)k_poll(&file, 2);
        event("STOP");
        ck_assert_uint_eq(kernel.n_woken, 1);
        ck_assert(k_was_woken(2));
        /* and a closed file's is forgotten */
        ck_assert_int_eq(k_wait_error(k_send_read(&file, 0, 4096)), 0);
        (void)k_poll(&file, 3);
        k_release(&file);
        event("STOP");
        ck_assert_uint_eq(kernel.n_woken, 1);
}
END_TEST

START_TEST(poll_of_no_file)
{
        struct fuse_poll_in in = { .fh = 99, .kh = 1, .flags = FUSE_POLL_SCHEDULE_NOTIFY };

        ASSERT_ERROR(k_wait_error(k_send(FUSE_POLL, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0)), EBADF);
        in.flags = 0;
        ASSERT_ERROR(k_wait_error(k_send(FUSE_POLL, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0)), EBADF);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(log_ends_and_grows),
                TEST(log_keeps_a_thousand_lines_for_whoever_follows),
                TEST(log_survives_the_connection),
                TEST(log_takes_no_filter),
                TEST(events_of_odd_content_stay_on_one_line),
                TEST(failures_are_told_of_a_line_each),
                TEST(repeats_of_a_failure_are_counted),
                TEST(stream_waits_for_what_comes_after_it_was_opened),
                TEST(each_stream_has_a_queue_of_its_own),
                TEST(two_readers_of_one_stream_get_each_line_once),
                TEST(lines_are_read_byte_by_byte),
                TEST(filter_chooses),
                TEST(filter_is_for_what_waits_too),
                TEST(filter_leaves_the_line_that_is_half_read),
                TEST(wrong_filter_leaves_the_old_one),
                TEST(names_that_qemu_has_not_are_refused),
                TEST(names_cost_one_schema_per_connection),
                TEST(limit_ends_a_read),
                TEST(unwilling_to_wait_gets_eagain),
                TEST(log_marks_the_end_of_a_connection_and_the_next_one),
                TEST(attempts_in_vain_leave_one_mark),
                TEST(stream_tells_of_a_gap_in_order_and_once),
                TEST(gap_between_two_reads_is_told),
                TEST(filter_keeps_no_gap_from_its_reader),
                TEST(gap_stays_where_it_was_when_the_lines_around_it_go),
                TEST(stream_without_a_connection_fails_once),
                TEST(reader_who_falls_behind_is_told_how_many_are_lost),
                TEST(reader_who_falls_behind_hears_of_a_gap),
                TEST(the_loss_is_told_where_the_gap_is),
                TEST(reader_of_a_closed_stream_is_still_served),
                TEST(poll_of_the_state),
                TEST(state_may_change_with_each_command_that_is_written),
                TEST_EACH(state_may_change_with_a_command_that_is_answered_late, 6),
                TEST(change_while_the_state_is_read_is_news),
                TEST(poll_of_the_connection),
                TEST(poll_of_the_log),
                TEST(poll_of_a_stream),
                TEST(poll_of_the_errors),
                TEST(other_files_are_always_ready),
                TEST(a_new_handle_takes_the_place_of_the_old_one),
                TEST(poll_of_no_file),
        };

        return test_main("fuse_events", tests, ARRAY_SIZE(tests), set_up, rig_down);
}
