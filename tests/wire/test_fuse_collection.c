/*
 * Collections as data, shown by some that the product does not have: names and ends of objects, lists of our own, kept
 * outcomes.
 */
#include "fs/vm/kept.h"
#include "tests/lib/collections.h"
#include "tests/lib/test.h"

/* Nothing is young enough to be used again. */
static void age(void)
{
        PUMP_FOR(rig.loop, 200 * MS);
}

static void become(const char *command, const char *json)
{
        fake_on(rig.fake, command, json);
        age();
}

static uint64_t inode_of(const char *path)
{
        struct fuse_entry_out entry;

        ASSERT_OK(rig_walk(path, &entry));
        return entry.attr.ino;
}

static void assert_read(const struct k_file *file, const char *expected)
{
        struct k_reply *reply = k_wait(k_send_read(file, 0, 4096));

        ck_assert_int_eq(reply->error, 0);
        ck_assert_str_eq(reply->data, expected);
        free(reply);
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

START_TEST(a_table_is_a_collection)
{
        struct k_file file;

        fake_on(rig.fake, "query-iothreads",
                "[{\"id\": \"io/1\", \"thread-id\": 17}, {\"id\": \"io2\", \"poll-max-ns\": 32768}, {\"id\": 3}, {}, "
                "4, "
                "{\"id\": \"io2\"}]");
        ASSERT_LS("iothreads", "io%2F1 io2 3 %empty %empty%~2 io2%~2");
        ASSERT_LS("iothreads/io%2F1", "status thread id thread-id");
        ASSERT_LS("iothreads/io2", "status id poll-max-ns");
        ASSERT_CAT("iothreads/io%2F1/thread", "17\n");
        ASSERT_CAT("iothreads/io2/poll-max-ns", "32768\n");
        ASSERT_CAT("iothreads/io2/status", "{\n  \"id\": \"io2\",\n  \"poll-max-ns\": 32768\n}\n");
        ASSERT_ERROR(rig_open("iothreads/io2/thread", O_RDONLY, &file), ENOENT);
        fake_on(rig.fake, "query-named-block-nodes", "[{\"node-name\": \"#block1\", \"drv\": \"qcow2\"}]");
        ASSERT_CAT("nodes/#block1/drv", "qcow2\n");
}
END_TEST

START_TEST(an_identity_is_part_of_the_name)
{
        struct k_file file;
        uint64_t ino;

        fake_on(rig.fake, "query-named-block-nodes", "[{\"node-name\": \"a\", \"drv\": \"qcow2\"}]");
        file = rig_must_open_and_read("nodes/a/drv", O_RDONLY);
        ino = inode_of("nodes/a");
        age();
        ck_assert_uint_eq(inode_of("nodes/a"), ino);
        become("query-named-block-nodes", "[{\"node-name\": \"a\", \"drv\": \"raw\"}]");
        ck_assert_uint_ne(inode_of("nodes/a"), ino);
        ASSERT_ERROR(k_wait_error(k_send_read(&file, 0, 4096)), ENODEV);
}
END_TEST

/* --- ended by an event ------------------------------------------------------------------------------------------- */

START_TEST(an_event_ends_the_object_that_it_names)
{
        struct k_file a, b;

        fake_on(rig.fake, "query-block-exports", "[{\"id\": \"a/b\", \"n\": 1}, {\"id\": \"b\", \"n\": 2}]");
        a = rig_must_open_and_read("exports/a%2Fb/n", O_RDONLY);
        b = rig_must_open_and_read("exports/b/n", O_RDONLY);
        /* other events, other members, other types */
        rig_event("DEVICE_DELETED", "{\"id\": \"b\", \"path\": \"b\"}");
        rig_event("BLOCK_EXPORT_DELETED", "{\"name\": \"b\"}");
        rig_event("BLOCK_EXPORT_DELETED", "{\"id\": [\"b\"]}");
        rig_event("BLOCK_EXPORT_DELETED", "{\"id\": \"c\"}");
        rig_event("BLOCK_EXPORT_DELETED", "%s", "");
        rig_event("BLOCK_EXPORT_DELETED", "{\"id\": \"a/b\"}");
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_read(&a, 0, 4096)), ENODEV);
        assert_read(&b, "2\n");
        /* what QEMU says after it is another one */
        ASSERT_CAT("exports/a%2Fb/n", "1\n");
        ASSERT_ERROR(k_wait_error(k_send_read(&a, 0, 4096)), ENODEV);
}
END_TEST

START_TEST(a_result_from_before_the_end_brings_nothing_back)
{
        uint64_t ino, lookup;
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block-exports", "[{\"id\": \"a\"}]");
        ino = inode_of("exports/a");
        age();
        free(rig_sent());
        fake_on_nothing(rig.fake, "query-block-exports");
        ASSERT_OK(rig_walk("exports", &entry));
        lookup = k_send_lookup(entry.nodeid, "a");
        PUMP(rig.loop, rig_count("query-block-exports") == 2);
        rig_event("BLOCK_EXPORT_DELETED", "{\"id\": \"a\"}");
        SETTLE();
        fake_on(rig.fake, "query-block-exports", "[]");
        fake_return(rig.fake, rig_last("query-block-exports"), "[{\"id\": \"a\"}]");
        ASSERT_ERROR(k_wait_error(lookup), ENOENT);
        ASSERT_SENT("query-block-exports query-block-exports");
        become("query-block-exports", "[{\"id\": \"a\"}]");
        ck_assert_uint_ne(inode_of("exports/a"), ino);
}
END_TEST

static size_t n_noted(void)
{
        size_t n = 0;

        list_for_each(i, &rig.vm->objects.ended) {
                struct ended *ended = list_entry(i, struct ended, link);

                n += ended->values ? (size_t)json_object_object_length(ended->values) : 0;
        }
        return n;
}

START_TEST(a_flood_of_ends_is_bounded)
{
        struct k_file a, b;
        char name[10000] = "";

        fake_on(rig.fake, "query-block-exports", "[{\"id\": \"a\", \"n\": 1}, {\"id\": \"b\", \"n\": 2}]");
        a = rig_must_open_and_read("exports/a/n", O_RDONLY);
        b = rig_must_open_and_read("exports/b/n", O_RDONLY);
        rig_event("BLOCK_EXPORT_DELETED", "{\"id\": \"a\"}");
        memset(name, 'x', sizeof(name) - 1);
        for (unsigned i = 0; i < 3000; i++) {
                rig_event("BLOCK_EXPORT_DELETED", "{\"id\": \"%u%s\"}", i, i % 10 == 0 ? name : "");
                if (i % 50 == 0) {
                        PUMP(rig.loop, list_empty(&rig.fake->out));
                        SETTLE();
                }
                ck_assert_uint_lt(n_noted(), ENDED_MAX);
        }
        PUMP(rig.loop, list_empty(&rig.fake->out));
        SETTLE();
        ASSERT_ERROR(k_wait_error(k_send_read(&a, 0, 4096)), ENODEV);
        assert_read(&b, "2\n");
        ck_assert_uint_eq(n_noted(), 0);
}
END_TEST

/* --- a list of our own ------------------------------------------------------------------------------------------- */

START_TEST(a_list_of_our_own_needs_no_command)
{
        struct collection *c;
        uint64_t a, b;
        unsigned pass;

        own_set("[{\"name\": \"a\", \"n\": 1}, {\"name\": \"b\", \"n\": 2}]");
        ASSERT_LS("own", "a b");
        ASSERT_CAT("own/a/n", "1\n");
        ASSERT_ERROR(rig_walk("own/c", &(struct fuse_entry_out){ 0 }), ENOENT);
        a = inode_of("own/a");
        b = inode_of("own/b");
        /* the same list is not looked through again */
        c = list_entry(rig.vm->objects.collections.next, struct collection, link);
        pass = c->pass;
        ASSERT_CAT("own/b/n", "2\n");
        ck_assert_uint_eq(c->pass, pass);
        /* at once, and what stays the same is the same */
        own_set("[{\"name\": \"c\", \"n\": 3}, {\"name\": \"b\", \"n\": 4}]");
        ASSERT_LS("own", "b c");
        ASSERT_CAT("own/b/n", "4\n");
        ASSERT_ERROR(rig_walk("own/a", &(struct fuse_entry_out){ 0 }), ENOENT);
        ck_assert_uint_eq(inode_of("own/b"), b);
        own_set("[{\"name\": \"a\", \"n\": 5}]");
        ck_assert_uint_ne(inode_of("own/a"), a);
        age();
        ASSERT_CAT("own/a/n", "5\n");
        ASSERT_SENT("");
        ck_assert_uint_gt(n_own_calls, 0);
}
END_TEST

START_TEST(a_list_of_our_own_needs_no_connection)
{
        struct k_file file;

        own_set("[{\"name\": \"a\", \"n\": 1}]");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_LS("own", "a");
        file = rig_must_open("own/a/n", O_RDONLY);
        assert_read(&file, "1\n");
        ASSERT_ERROR(rig_ls("jobs", &(char *){ 0 }), EHOSTDOWN);
}
END_TEST

START_TEST(a_list_of_our_own_may_fail)
{
        own_set("{}");
        ASSERT_ERROR(rig_ls("own", &(char *){ 0 }), EPROTO);
        json_object_put(take_ptr(own_list));
        ASSERT_ERROR(rig_ls("own", &(char *){ 0 }), ENOMEM);
        own_set("[{\"name\": \"a\"}]");
        ASSERT_LS("own", "a");
}
END_TEST

/* --- kept outcomes ----------------------------------------------------------------------------------------------- */

START_TEST(an_object_whose_record_has_gone_stays)
{
        struct k_file state, status;
        uint64_t ino;

        fake_on(rig.fake, "query-jobs",
                "[{\"id\": \"j\", \"state\": \"running\"}, {\"id\": \"k\", \"state\": \"x\"}]");
        state = rig_must_open_and_read("jobs/j/state", O_RDONLY);
        status = rig_must_open_and_read("jobs/j/status", O_RDONLY);
        ino = inode_of("jobs/j");
        set_outcome("j", "{\"state\": \"failed\", \"error\": \"no space\", \"none\": null}");
        age();
        /* not before it has gone */
        assert_read(&state, "running\n");
        become("query-jobs", "[{\"id\": \"k\", \"state\": \"x\"}]");
        ASSERT_LS("jobs", "j k");
        ck_assert_uint_eq(inode_of("jobs/j"), ino);
        ASSERT_LS("jobs/j", "status dismiss id state error none");
        assert_read(&state, "failed\n");
        assert_read(
                &status,
                "{\n  \"id\": \"j\",\n  \"state\": \"failed\",\n  \"error\": \"no space\",\n  \"none\": null\n}\n");
        ASSERT_CAT("jobs/j/error", "no space\n");
        ASSERT_CAT("jobs/k/state", "x\n");
        /* who learns it later tells it later */
        set_outcome("j", "{\"error\": \"another\"}");
        ASSERT_CAT("jobs/j/error", "another\n");
        ASSERT_CAT("jobs/j/state", "failed\n");
        /* its own files ask nothing more */
        free(rig_sent());
        age();
        assert_read(&state, "failed\n");
        ASSERT_SENT("");
}
END_TEST

START_TEST(an_event_keeps_the_object_too)
{
        struct k_file state;

        fake_on(rig.fake, "query-jobs", "[{\"id\": \"j\", \"state\": \"running\"}]");
        state = rig_must_open_and_read("jobs/j/state", O_RDONLY);
        set_outcome("j", "{\"state\": \"done\"}");
        /* other changes end nothing */
        rig_event("JOB_STATUS_CHANGE", "{\"id\": \"j\", \"status\": \"concluded\"}");
        rig_event("JOB_STATUS_CHANGE", "{\"id\": \"j\", \"status\": [\"null\"]}");
        rig_event("JOB_STATUS_CHANGE", "{\"id\": \"j\"}");
        SETTLE();
        assert_read(&state, "running\n");
        rig_event("JOB_STATUS_CHANGE", "{\"id\": \"j\", \"status\": \"null\"}");
        SETTLE();
        assert_read(&state, "done\n");
        /* twice is as good as once */
        rig_event("JOB_STATUS_CHANGE", "{\"id\": \"j\", \"status\": \"null\"}");
        SETTLE();
        assert_read(&state, "done\n");
        become("query-jobs", "[]");
        ASSERT_LS("jobs", "j");
        ASSERT_CAT("jobs/j/state", "done\n");
}
END_TEST

START_TEST(the_name_used_again_is_another_object)
{
        struct k_file state;
        uint64_t ino;

        fake_on(rig.fake, "query-jobs", "[{\"id\": \"j\", \"state\": \"running\"}]");
        state = rig_must_open_and_read("jobs/j/state", O_RDONLY);
        ino = inode_of("jobs/j");
        become("query-jobs", "[]");
        ck_assert_uint_eq(inode_of("jobs/j"), ino);
        become("query-jobs", "[{\"id\": \"j\", \"state\": \"new\"}, {\"id\": \"j\", \"state\": \"twin\"}]");
        ASSERT_LS("jobs", "j j%~2");
        ck_assert_uint_ne(inode_of("jobs/j"), ino);
        ASSERT_CAT("jobs/j/state", "new\n");
        ASSERT_CAT("jobs/j%~2/state", "twin\n");
        ASSERT_ERROR(k_wait_error(k_send_read(&state, 0, 4096)), ENODEV);
}
END_TEST

START_TEST(a_kept_object_can_be_forgotten)
{
        struct k_file state;

        fake_on(rig.fake, "query-jobs", "[{\"id\": \"j\", \"state\": \"running\"}]");
        state = rig_must_open_and_read("jobs/j/state", O_RDONLY);
        ck_assert_int_eq(object_forget(find_job("j")), -EBUSY);
        become("query-jobs", "[]");
        ASSERT_LS("jobs", "j");
        ck_assert_int_eq(object_forget(find_job("j")), 0);
        ASSERT_LS("jobs", "");
        ASSERT_ERROR(k_wait_error(k_send_read(&state, 0, 4096)), ENODEV);
        ASSERT_ERROR(rig_walk("jobs/j", &(struct fuse_entry_out){ 0 }), ENOENT);
}
END_TEST

// clang-format off
static const char schema[] =
        "[{\"name\": \"str\", \"meta-type\": \"builtin\", \"json-type\": \"string\"},"
        " {\"name\": \"0\", \"meta-type\": \"object\", \"members\": []},"
        " {\"name\": \"1\", \"meta-type\": \"object\", \"members\": [{\"name\": \"id\", \"type\": \"str\"}]},"
        " {\"name\": \"job-dismiss\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": \"0\"}]";
// clang-format on

START_TEST(an_action_ends_with_the_record)
{
        struct k_file dismiss;
        uint64_t write;

        fake_on(rig.fake, "query-qmp-schema", schema);
        fake_on(rig.fake, "job-dismiss", "{}");
        fake_on(rig.fake, "query-jobs", "[{\"id\": \"j\", \"state\": \"concluded\"}]");
        dismiss = rig_must_open("jobs/j/dismiss", O_WRONLY);
        write = k_send_write(&dismiss, "1", 1);
        PUMP(rig.loop, rig_count("job-dismiss") == 1);
        SETTLE();
        ck_assert(!k_is_answered(write));
        become("query-jobs", "[]");
        PUMP(rig.loop, k_is_answered(write));
        ASSERT_OK(k_wait_error(write));
        ASSERT_CAT("jobs/j/state", "concluded\n");
        /* nothing is done to what may have the name now */
        ASSERT_ERROR(rig_echo("jobs/j/dismiss", "1"), ENODEV);
        ck_assert_uint_eq(rig_count("job-dismiss"), 1);
}
END_TEST

START_TEST(newer_ones_displace_the_oldest)
{
        char json[100];

        ck_assert_int_eq(JOBS_KEPT, 3);
        for (unsigned i = 1; i <= 4; i++) {
                snprintf(json, sizeof(json), "[{\"id\": \"j%u\", \"n\": %u}]", i, i);
                become("query-jobs", json);
                ASSERT_CAT("jobs/j1/n", "1\n");
        }
        ASSERT_LS("jobs", "j1 j2 j3 j4");
        become("query-jobs", "[{\"id\": \"j5\"}]");
        ASSERT_LS("jobs", "j2 j3 j4 j5");
        ASSERT_ERROR(rig_walk("jobs/j1", &(struct fuse_entry_out){ 0 }), ENOENT);
}
END_TEST

START_TEST(outcomes_outlive_the_connection)
{
        struct k_file state;
        uint64_t ino;

        fake_on(rig.fake, "query-jobs", "[{\"id\": \"j\", \"state\": \"a\"}, {\"id\": \"k\", \"state\": \"b\"}]");
        state = rig_must_open_and_read("jobs/k/state", O_RDONLY);
        ASSERT_LS("jobs", "j k");
        become("query-jobs", "[{\"id\": \"k\", \"state\": \"b\"}]");
        ASSERT_LS("jobs", "j k");
        ino = inode_of("jobs/j");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_CAT("jobs/j/state", "a\n");
        /* of the others nothing is known, nor which there are */
        ASSERT_ERROR(k_wait_error(k_send_read(&state, 0, 4096)), EHOSTDOWN);
        ASSERT_ERROR(rig_walk("jobs/k", &(struct fuse_entry_out){ 0 }), EHOSTDOWN);
        ASSERT_ERROR(rig_ls("jobs", &(char *){ 0 }), EHOSTDOWN);
        fake_on(rig.fake, "query-jobs", "[]");
        rig_connect();
        /* it is as if the other QEMU had dropped them */
        ASSERT_LS("jobs", "j k");
        ck_assert_uint_eq(inode_of("jobs/j"), ino);
        assert_read(&state, "b\n");
}
END_TEST

START_TEST(names_that_come_and_go_take_no_memory)
{
        struct collection *c = NULL;
        char *json = malloc(1000 * 40);

        for (unsigned round = 0; round < 60; round++) {
                char *to = json;

                for (unsigned i = 0; i < 1000; i++)
                        to += sprintf(to, "%s{\"id\": \"d%u.%u\"}", i ? ", " : "[", round, i);
                strcpy(to, "]");
                become("query-jobs", json);
                ASSERT_ERROR(rig_walk("jobs/x", &(struct fuse_entry_out){ 0 }), ENOENT);
        }
        ck_assert_int_eq(collection_get(rig.vm, &test_jobs, &c), 0);
        ck_assert_int_eq(lh_table_length(c->objects), 1000 + JOBS_KEPT);
        ck_assert_uint_eq(c->n_kept, JOBS_KEPT);
        ck_assert_int_lt(c->objects->size, 10000);
        /* the walk that ends them all */
        become("query-jobs", "[]");
        ASSERT_LS("jobs", "d59.997 d59.998 d59.999");
        free(json);
}
END_TEST

START_TEST(a_record_that_is_too_large_is_not_kept)
{
        char *text = malloc(KEPT_RECORD_MAX + 1), *json;
        struct json_object *outcome;

        memset(text, 'x', KEPT_RECORD_MAX);
        text[KEPT_RECORD_MAX] = '\0';
        ck_assert_int_gt(asprintf(&json,
                                  "[{\"id\": \"big\", \"text\": \"%s\"}, {\"id\": \"small\"}, {\"id\": \"told\"}]",
                                  text),
                         0);
        fake_on(rig.fake, "query-jobs", json);
        ASSERT_LS("jobs", "big small told");
        outcome = json_object_new_object();
        json_object_object_add(outcome, "error", json_object_new_string(text));
        ck_assert_int_eq(object_set_outcome(find_job("told"), outcome), 0);
        become("query-jobs", "[]");
        ASSERT_LS("jobs", "small");
        ck_assert_int_eq(object_set_outcome(find_job("small"), outcome), -E2BIG);
        ASSERT_LS("jobs/small", "status dismiss id");
        json_object_put(outcome);
        free(json);
        free(text);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(a_table_is_a_collection),
                TEST(an_identity_is_part_of_the_name),
                TEST(an_event_ends_the_object_that_it_names),
                TEST(a_result_from_before_the_end_brings_nothing_back),
                TEST(a_flood_of_ends_is_bounded),
                TEST(a_list_of_our_own_needs_no_command),
                TEST(a_list_of_our_own_needs_no_connection),
                TEST(a_list_of_our_own_may_fail),
                TEST(an_object_whose_record_has_gone_stays),
                TEST(an_event_keeps_the_object_too),
                TEST(the_name_used_again_is_another_object),
                TEST(a_kept_object_can_be_forgotten),
                TEST(an_action_ends_with_the_record),
                TEST(newer_ones_displace_the_oldest),
                TEST(outcomes_outlive_the_connection),
                TEST(names_that_come_and_go_take_no_memory),
                TEST(a_record_that_is_too_large_is_not_kept),
        };

        return test_main("fuse_collection", tests, ARRAY_SIZE(tests), collections_up, collections_down);
}
