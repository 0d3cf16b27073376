/*
 * What is written, put together to requests: where it is written, and lines that come in pieces.
 */
#include "fs/fuse/writing.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

/* --- where it is written ----------------------------------------------------------------------------------------- */

/* A file position after the writes and reads so far; @error: what a write there gives. */
static void write_at(const struct k_file *file, uint64_t offset, const char *text, int error)
{
        ASSERT_ERROR(k_wait_error(k_send_pwrite(file, text, strlen(text), offset)), error);
}

START_TEST(writes_at_the_start_or_one_behind_the_other)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);

        ck_assert_uint_eq(file.open_flags & FOPEN_STREAM, 0);
        free(rig_sent());
        write_at(&file, 0, "stop\n", 0);
        write_at(&file, 0, "stop\n", 0);
        write_at(&file, 5, "cont\n", 0);
        write_at(&file, 10, "stop\n", 0);
        ASSERT_SENT("stop stop cont stop");
        write_at(&file, 100, "cont\n", EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - a write at offset 100: a request begins at offset 0 or "
                                      "where the last one ended\n");
        ASSERT_SENT("");
        /* the position stays where it was when a write fails */
        write_at(&file, 15, "nonsense\n", EINVAL);
        write_at(&file, 15, "cont\n", 0);
        ASSERT_SENT("cont");
}
END_TEST

START_TEST(writes_where_reading_has_come_to)
{
        struct k_file file = rig_must_open("cmd/stop", O_RDWR);

        fake_on(rig.fake, "stop", "\"reply\"");
        write_at(&file, 0, "\n", 0);
        ASSERT_REPLY(k_send_read(&file, 1, 100), "reply\n");
        ASSERT_REPLY(k_send_read(&file, 7, 100), "");
        write_at(&file, 7, "\n", 0);
        ASSERT_REPLY(k_send_read(&file, 8, 100), "reply\n");
        write_at(&file, 9, "\n", EINVAL);
}
END_TEST

/* The kernel takes the size for the offset. */
START_TEST(appending_is_fine)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY | O_APPEND);

        write_at(&file, 4096, "stop\n", 0);
        write_at(&file, 4096, "stop\n", 0);
}
END_TEST

/* As an NFS server does after truncating. */
START_TEST(time_may_be_set_to_now_while_it_is_open_for_writing)
{
        const uint32_t now = FATTR_MTIME | FATTR_MTIME_NOW;
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("qom/a", &entry));
        ASSERT_ERROR(k_setattr(entry.nodeid, now, 0), EPERM);
        ASSERT_OK(k_open(entry.nodeid, O_WRONLY, &file));
        ASSERT_OK(k_setattr(entry.nodeid, now, 0));
        ASSERT_ERROR(k_setattr(entry.nodeid, FATTR_MTIME, 0), EPERM);
        ASSERT_ERROR(k_setattr(entry.nodeid, now | FATTR_ATIME | FATTR_ATIME_NOW, 0), EPERM);
        k_release(&file);
        ASSERT_ERROR(k_setattr(entry.nodeid, now, 0), EPERM);
}
END_TEST

/* --- lines in pieces --------------------------------------------------------------------------------------------- */

static char *line_of(size_t n)
{
        char *text = malloc(n + 2);

        CHECK(text);
        memset(text, ' ', n);
        memcpy(text, "stop", 4);
        strcpy(text + n, "\n");
        return text;
}

/* Those of bash on a terminal, stdio, sftp-server and this file's st_blksize. */
static const size_t buffers[] = { 512, 1024, 4096, 32768, 65536 };

START_TEST(line_in_pieces_is_one_request)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        size_t size = WRITING_MAX, piece = buffers[_i];
        char *text = line_of(size);

        for (unsigned run = 0; run < 2; run++) {
                for (size_t at = 0; at < size; at += piece) {
                        ASSERT_OK(k_wait_error(k_send_pwrite(&file, text + at, piece, run * (size + 1) + at)));
                        ASSERT_SENT("");
                }
                write_at(&file, run * (size + 1) + size, "\n", 0);
                ASSERT_SENT("stop");
        }
        free(text);
        ASSERT_CAT("errors", "");
}
END_TEST

/* Of a stream each write has the offset 0. */
START_TEST(line_in_pieces_of_a_stream)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        char *text = malloc(1025);

        memset(text, ' ', 1024);
        text[1024] = '\0';
        memcpy(text, "{\"execute\":\"stop\"", 17);
        write_at(&file, 0, text, 0);
        ASSERT_SENT("");
        write_at(&file, 0, "}\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

static const char *const pieces[] = { "s", "stop", "stop nowait=", "{\"a\":1}", " " };

START_TEST(piece_that_fills_no_buffer_is_refused_and_so_is_the_rest)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);

        write_at(&file, 0, pieces[_i], EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - a line without a newline at its end: nothing was done\n");
        /* the file position has not moved */
        write_at(&file, 0, "cont", EINVAL);
        write_at(&file, 0, "stop\n", EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - the rest of a refused line, up to the next newline\n");
        ASSERT_SENT("");
        write_at(&file, 0, "stop\n", 0);
        ASSERT_SENT("stop");
}
END_TEST

START_TEST(last_piece_without_a_newline_is_refused)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_at(&file, 0, text, 0);
        write_at(&file, 1024, "   ", EINVAL);
        write_at(&file, 1024, "\n", EINVAL);
        ASSERT_SENT("");
        write_at(&file, 1024, "stop\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

START_TEST(line_in_pieces_that_is_too_long_is_refused_whole)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(32768);

        text[32768] = '\0';
        write_at(&file, 0, text, 0);
        write_at(&file, 32768, text, 0);
        write_at(&file, 65536, text, EMSGSIZE);
        write_at(&file, 65536, "stop\n", EMSGSIZE);
        ASSERT_SENT("");
        ASSERT_CAT_CONTAINS("errors", " /ctl EMSGSIZE - a request is one line of at most 64 KiB\n");
        ASSERT_CAT_CONTAINS("errors", " /ctl EMSGSIZE - the rest of a line of more than 64 KiB, up to the next "
                                      "newline\n");
        write_at(&file, 65536, "stop\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

/* The kernel divides a write of more than max_write. It sends no more of it after an error, but a program might. */
START_TEST(rest_of_a_write_that_is_too_long_is_refused)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        size_t size = 2 * WRITING_MAX;
        char *text = line_of(size);

        ASSERT_ERROR(k_wait_error(k_send_pwrite(&file, text, size, 0)), EMSGSIZE);
        write_at(&file, size, "stop\n", EMSGSIZE);
        ASSERT_CAT_CONTAINS("errors", " /ctl EMSGSIZE - the rest of a line of more than 64 KiB, up to the next "
                                      "newline\n");
        ASSERT_SENT("");
        write_at(&file, 0, "stop\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

/* --- processes that share a descriptor ----------------------------------------------------------------------------- */

static void write_by(uint64_t owner, const struct k_file *file, uint64_t offset, const char *text, int error)
{
        kernel.owner = owner;
        write_at(file, offset, text, error);
}

START_TEST(piece_of_another_process_does_not_end_the_line)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_by(1, &file, 0, text, 0);
        write_by(2, &file, 1024, "\n", EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - a line of 1024 bytes without a newline at its end");
        ASSERT_CAT_CONTAINS("errors",
                            " /ctl EINVAL - another process has written the beginning of this line: nothing "
                            "was done\n");
        /* either of them may go on */
        write_by(2, &file, 1024, "cont\n", 0);
        ASSERT_SENT("cont");
        write_by(1, &file, 1029, "stop\n", EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - the rest of a refused line, up to the next newline\n");
        ASSERT_SENT("");
        write_by(1, &file, 1029, "stop\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

START_TEST(pieces_of_two_processes_are_both_refused_up_to_their_newlines)
{
        struct k_file file = rig_must_open("qmp", O_RDWR);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_by(1, &file, 0, text, 0);
        write_by(2, &file, 0, text, EINVAL);
        write_by(1, &file, 0, "stop\n", EINVAL);
        write_by(2, &file, 0, text, EINVAL);
        write_by(2, &file, 0, "stop\n", EINVAL);
        ASSERT_SENT("");
        write_by(1, &file, 0, "{\"execute\":\"stop\"}\n", 0);
        write_by(2, &file, 0, "{\"execute\":\"cont\"}\n", 0);
        ASSERT_SENT("stop cont");
        free(text);
}
END_TEST

/* Its line ends where the first process would continue: the rest would be a request by itself. */
START_TEST(line_of_another_process_at_the_start_is_refused_as_well)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1023), *piece = line_of(1024);

        piece[1024] = '\0';
        write_by(1, &file, 0, piece, 0);
        write_by(2, &file, 0, text, EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - another process has written the beginning of this line");
        write_by(1, &file, 1024, "cont\n", EINVAL);
        ASSERT_SENT("");
        write_by(2, &file, 0, text, 0);
        write_by(1, &file, 1024, "cont\n", 0);
        ASSERT_SENT("stop cont");
        free(piece);
        free(text);
}
END_TEST

/* Their ids differ, as those of Go's threads and of an NFS server's. */
START_TEST(pieces_of_threads_make_one_line)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_by(1, &file, 0, text, 0);
        kernel.pid++;
        write_by(1, &file, 1024, "\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

static int flush(const struct k_file *file)
{
        struct fuse_flush_in in = { .fh = file->fh, .lock_owner = kernel.owner };

        return k_wait_error(k_send(FUSE_FLUSH, file->node, &in, sizeof(in), NULL, 0));
}

/* A shell closes copies of a descriptor in the middle of a line. */
START_TEST(close_tells_of_a_line_without_its_end)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY), reader = rig_must_open("ctl", O_RDONLY);
        char *text = line_of(1024);

        ck_assert_uint_eq(file.open_flags & FOPEN_NOFLUSH, 0);
        ck_assert_uint_ne(reader.open_flags & FOPEN_NOFLUSH, 0);
        text[1024] = '\0';
        ASSERT_OK(flush(&file));
        write_by(1, &file, 0, text, 0);
        kernel.owner = 2;
        ASSERT_ERROR(flush(&file), EINVAL);
        write_by(1, &file, 1024, "\n", 0);
        ASSERT_SENT("stop");
        ASSERT_OK(flush(&file));
        write_at(&file, 0, text, 0);
        k_release(&file);
        ASSERT_SENT("");
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - a line of 1024 bytes without a newline at its end: nothing was "
                                      "done\n");
        free(text);
}
END_TEST

/* "{ cat a; cat b; } > ctl": the kernel may give the owner of the first to the second, since it is an address. */
START_TEST(process_that_has_closed_does_not_go_on_with_its_line)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_by(1, &file, 0, text, 0);
        ASSERT_ERROR(flush(&file), EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - a line of 1024 bytes without a newline at its end: nothing was "
                                      "done\n");
        write_by(1, &file, 1024, "   nowait\n", EINVAL);
        ASSERT_CAT_CONTAINS("errors", " /ctl EINVAL - the rest of a refused line, up to the next newline\n");
        ASSERT_SENT("");
        ASSERT_OK(flush(&file));
        write_by(1, &file, 1024, "stop\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

START_TEST(process_with_the_owner_of_a_broken_line_is_not_refused)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_by(1, &file, 0, text, 0);
        write_by(2, &file, 1024, "\n", EINVAL);
        kernel.owner = 1;
        ASSERT_OK(flush(&file));
        write_by(1, &file, 1024, "stop\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

/* As a server does that writes each request by pwrite(2). */
START_TEST(write_at_the_start_begins_another_line)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_at(&file, 0, text, 0);
        write_at(&file, 0, "cont\n", 0);
        ASSERT_SENT("cont");
        ASSERT_CAT_CONTAINS("errors", "a line of 1024 bytes without a newline at its end");
        free(text);
}
END_TEST

/* `qmp` is a stream only for those who read it, too. */
START_TEST(write_at_the_start_of_qmp_begins_another_line)
{
        struct k_file file = rig_must_open("qmp", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        memcpy(text, "{\"execute\":\"stop\"}", 18);
        write_at(&file, 0, text, 0);
        write_at(&file, 0, "{\"execute\":\"cont\"}\n", 0);
        ASSERT_SENT("cont");
        ASSERT_CAT_CONTAINS("errors", " /qmp EINVAL - a line of 1024 bytes without a newline at its end");
        write_at(&file, 0, text, 0);
        write_at(&file, 1024, "\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

/* As a server does that sends a write again whose reply was lost. */
START_TEST(piece_that_is_written_twice_is_not_in_the_line_twice)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_at(&file, 0, "cont\n", 0);
        ASSERT_SENT("cont");
        write_at(&file, 5, text, 0);
        write_at(&file, 5, text, EINVAL);
        ASSERT_SENT("");
        free(text);
}
END_TEST

/* The size, which the kernel takes for the offset, may be 0 at any time. */
START_TEST(line_in_pieces_that_is_appended)
{
        struct k_file file = rig_must_open("ctl", O_WRONLY | O_APPEND);
        char *text = line_of(1024);

        text[1024] = '\0';
        write_at(&file, 0, text, 0);
        write_at(&file, 0, "x\n", EINVAL);
        ASSERT_SENT("");
        write_at(&file, 0, text, 0);
        write_at(&file, 0, "\n", 0);
        ASSERT_SENT("stop");
        free(text);
}
END_TEST

/* --- several lines in one write ---------------------------------------------------------------------------------- */

/* The same from a writer with a line buffer (bash on a terminal) would be several requests. */
static const struct {
        const char *path, *text, *words;
} several[] = {
        { "ctl", "stop\ncont\n", "a request is one line" },
        { "ctl", "stop\n\n", "a request is one line" },
        { "ctl", "\nstop\n", "a request is one line" },
        { "ctl", "{\n}\n", "a request is one line" },
        { "hmp", "stop\ncont\n", "a request is one line" },
        { "hmp", "{\nstop\n", "a request is one line" },
        { "devices/nv0/remove", "1\n1\n", "a request is one line" },
        { "devices/nv0/remove", "timeout=1\nnowait\n", "a request is one line" },
        { "qom/a", "a\nb\n", "a request is one line, unless it is a JSON object or list" },
        { "cmd/set", "a=[\n]\n", "a request is one line, unless it is a JSON object" },
        { "cmd/set", "a=1\nb=2\n", "a request is one line, unless it is a JSON object" },
        { "cmd/set", "\n\n", "a request is one line, unless it is a JSON object" },
        { "cmd/set", "\n{}\n", "a request is one line, unless it is a JSON object" },
};

START_TEST(several_lines_are_no_request)
{
        struct k_file file = rig_must_open(several[_i].path, O_RDWR);
        _cleanup_(qmp_freep) char *line = NULL;

        free(rig_sent());
        write_at(&file, 0, several[_i].text, EINVAL);
        ASSERT_SENT("");
        ck_assert_int_gt(asprintf(&line, " /%s EINVAL - more than one line in a write: %s\n", several[_i].path,
                                  several[_i].words),
                         0);
        ASSERT_CAT_CONTAINS("errors", line);
}
END_TEST

START_TEST(filter_of_several_lines_is_refused)
{
        struct k_file file = rig_must_open("events", O_RDWR);

        write_at(&file, 0, "STOP\nRESUME\n", EINVAL);
        write_at(&file, 0, "{\"event\":\n\"STOP\"}\n", 0);
}
END_TEST

static const struct {
        const char *path, *text, *sent;
} json[] = {
        { "cmd/set", "{\"a\": 1,\n\n  \"b\": 2\n}\n", "set" },
        { "qom/a", "{\n  \"b\": 2\n}\n", "qom-set" },
        { "qom/a", "[\n1\n]\n", "qom-set" },
        { "qmp", "{\"execute\":\n\"stop\"}\n{\"execute\": \"cont\"}\n", "stop cont" },
};

START_TEST(json_may_have_several_lines)
{
        struct k_file file = rig_must_open(json[_i].path, O_RDWR);

        free(rig_sent());
        write_at(&file, 0, json[_i].text, 0);
        ASSERT_SENT(json[_i].sent);
}
END_TEST

static const struct {
        const char *path, *text, *then;
} one_by_one[] = {
        { "cmd/set", "{\n\n\"a\":\n1\n}\n", "set" },
        { "cmd/set", "{\"a\":\n{}\n}\n", "set" },
        { "cmd/set", "{\"a\":[\n{\"a\":1}\n]}\n", "set" },
        { "cmd/set", "{\n\n", "set" },
        { "cmd/set", "timeout=3 {\n\n}\n", "set" },
        { "cmd/set", "nowait {\"a\":1,\n\n}\n", "set" },
        { "cmd/set", " nowait\texplain  { \n\n\"a\":\n{}\n}\n", "set" },
        { "cmd/set", "nowait, {\n\n}\n", "set" },
        { "qmp", "[\n{\"execute\":\"stop\"}\n]\n", "stop" },
        { "qmp", "{\"execute\":\"stop\"} {\n\"execute\":\"cont\"\n}\n", "stop" },
        { "qmp", "{\"execute\":\"stop\",\"arguments\":\n{\"execute\":\"cont\"}\n}\n", "stop" },
};

/* By a writer with a buffer for each line, which does not end at an error: bash. */
START_TEST(json_whose_lines_come_one_by_one_is_refused_whole)
{
        struct k_file file = rig_must_open(one_by_one[_i].path, O_RDWR);
        bool is_qmp = streq(one_by_one[_i].path, "qmp");

        free(rig_sent());
        for (const char *line = one_by_one[_i].text; *line; line = strchr(line, '\n') + 1)
                ASSERT_ERROR(k_wait_error(k_send_pwrite(&file, line, strcspn(line, "\n") + 1, 0)), EINVAL);
        ASSERT_SENT("");
        ASSERT_CAT_CONTAINS("errors", " EINVAL - the JSON value is incomplete\n");
        /* what does not continue it is another request */
        write_at(&file, 0, is_qmp ? "{\"execute\":\"stop\"}\n" : "a=1\n", 0);
        ASSERT_SENT(one_by_one[_i].then);
}
END_TEST

/* A write of several lines is refused, and so is what follows if it is a part of the same text. */
static const char *const begun[] = { "\n{\n", "nowait\n{\n\n", "timeout=3 {\n\n" };

START_TEST(json_that_begins_in_a_write_of_several_lines_is_refused_whole)
{
        struct k_file file = rig_must_open("cmd/set", O_RDWR);

        free(rig_sent());
        write_at(&file, 0, begun[_i], EINVAL);
        write_at(&file, 0, "\n", EINVAL);
        write_at(&file, 0, "}\n", EINVAL);
        ASSERT_SENT("");
        write_at(&file, 0, "\n", 0);
        ASSERT_SENT("set");
}
END_TEST

static const char *const braces[] = { "a=\"x {\"\n", "a={\n", "\"nowait {\n", "a {b\n" };

START_TEST(brace_in_pairs_is_not_the_beginning_of_json)
{
        struct k_file file = rig_must_open("cmd/set", O_RDWR);

        free(rig_sent());
        write_at(&file, 0, braces[_i], EINVAL);
        write_at(&file, 0, "\n", 0);
        ASSERT_SENT("set");
}
END_TEST

START_TEST(files_that_can_be_written_ask_for_long_writes)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk("ctl", &entry));
        ck_assert_uint_eq(entry.attr.blksize, 65536);
        ASSERT_OK(rig_walk("status", &entry));
        ck_assert_uint_eq(entry.attr.blksize, 4096);
}
END_TEST

static void up(void)
{
        rig_up();
        fake_on(rig.fake, "stop", "{}");
        fake_on(rig.fake, "cont", "{}");
        fake_on(rig.fake, "set", "{}");
        fake_on(rig.fake, "qom-set", "{}");
        fake_on(rig.fake, "query-qmp-schema",
                "[{\"meta-type\": \"command\", \"name\": \"stop\", \"arg-type\": \"0\", \"ret-type\": \"0\"},"
                "{\"meta-type\": \"command\", \"name\": \"set\", \"arg-type\": \"1\", \"ret-type\": \"0\"},"
                "{\"meta-type\": \"object\", \"name\": \"0\", \"members\": []},"
                "{\"meta-type\": \"object\", \"name\": \"1\", \"members\": ["
                "{\"name\": \"a\", \"type\": \"int\", \"default\": null},"
                "{\"name\": \"b\", \"type\": \"int\", \"default\": null}]},"
                "{\"meta-type\": \"builtin\", \"name\": \"int\", \"json-type\": \"int\"}]");
        rig_qom("/", NULL, "[{\"name\": \"a\", \"type\": \"any\"}]");
        rig_qom("/", "a", "\"abc\"");
        free(rig_sent());
}

int main(void)
{
        const struct test tests[] = {
                TEST(writes_at_the_start_or_one_behind_the_other),
                TEST(writes_where_reading_has_come_to),
                TEST(appending_is_fine),
                TEST(time_may_be_set_to_now_while_it_is_open_for_writing),
                TEST_EACH(line_in_pieces_is_one_request, ARRAY_SIZE(buffers)),
                TEST(line_in_pieces_of_a_stream),
                TEST_EACH(piece_that_fills_no_buffer_is_refused_and_so_is_the_rest, ARRAY_SIZE(pieces)),
                TEST(last_piece_without_a_newline_is_refused),
                TEST(line_in_pieces_that_is_too_long_is_refused_whole),
                TEST(rest_of_a_write_that_is_too_long_is_refused),
                TEST(piece_of_another_process_does_not_end_the_line),
                TEST(pieces_of_two_processes_are_both_refused_up_to_their_newlines),
                TEST(line_of_another_process_at_the_start_is_refused_as_well),
                TEST(pieces_of_threads_make_one_line),
                TEST(close_tells_of_a_line_without_its_end),
                TEST(process_that_has_closed_does_not_go_on_with_its_line),
                TEST(process_with_the_owner_of_a_broken_line_is_not_refused),
                TEST(write_at_the_start_begins_another_line),
                TEST(write_at_the_start_of_qmp_begins_another_line),
                TEST(piece_that_is_written_twice_is_not_in_the_line_twice),
                TEST(line_in_pieces_that_is_appended),
                TEST_EACH(several_lines_are_no_request, ARRAY_SIZE(several)),
                TEST(filter_of_several_lines_is_refused),
                TEST_EACH(json_may_have_several_lines, ARRAY_SIZE(json)),
                TEST_EACH(json_whose_lines_come_one_by_one_is_refused_whole, ARRAY_SIZE(one_by_one)),
                TEST_EACH(json_that_begins_in_a_write_of_several_lines_is_refused_whole, ARRAY_SIZE(begun)),
                TEST_EACH(brace_in_pairs_is_not_the_beginning_of_json, ARRAY_SIZE(braces)),
                TEST(files_that_can_be_written_ask_for_long_writes),
        };

        return test_main("fuse_lines", tests, ARRAY_SIZE(tests), up, rig_down);
}
