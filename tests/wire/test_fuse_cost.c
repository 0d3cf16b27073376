/*
 * What it costs: how many commands QEMU is asked, and what is kept of its answers.
 */
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

START_TEST(cat_status_is_one_command)
{
        ASSERT_CAT_CONTAINS("status", "running");
        ASSERT_SENT("query-status");
        ck_assert_str_eq(rig_last("query-status")->text, "{\"execute\":\"query-status\"}");
        ck_assert_uint_eq(rig.fake->raw_size, strlen("{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-"
                                                     "status\"}{\"execute\":\"query-status\"}"));
}
END_TEST

START_TEST(cat_block_status_is_two_commands)
{
        /* one for the name, which it never saw, and one for the content */
        ASSERT_CAT_CONTAINS("block/NVME1/status", "NVME1");
        ASSERT_SENT("query-block query-block");
        ck_assert_str_eq(rig_last("query-block")->text, "{\"execute\":\"query-block\"}");
        ASSERT_CAT_CONTAINS("block/NVME1/status", "NVME1");
        ASSERT_SENT("query-block");
}
END_TEST

/* A link wants the object's record and the list of devices: the first must still be there when the second comes. */
START_TEST(slow_qemu_is_not_asked_again_and_again)
{
        struct fuse_entry_out entry;
        uint64_t unique;

        ASSERT_OK(rig_walk("block/NVME1/device", &entry));
        PUMP_FOR(rig.loop, SEC);
        free(rig_sent());
        fake_on_nothing(rig.fake, "query-block");
        fake_on_nothing(rig.fake, "qom-list");
        unique = k_send_readlink(entry.nodeid);
        PUMP_FOR(rig.loop, 500 * MS);
        fake_return(rig.fake, rig_last("query-block"), "[{\"device\": \"NVME1\", \"qdev\": \"nv0\"}]");
        PUMP_FOR(rig.loop, 500 * MS);
        fake_return(rig.fake, rig_last("qom-list"), "[{\"name\": \"nv0\", \"type\": \"child<nvme>\"}]");
        PUMP_FOR(rig.loop, 500 * MS);
        fake_return(rig.fake, rig_last("qom-list"), "[]");
        ASSERT_REPLY(unique, "../../devices/nv0");
        ASSERT_SENT("query-block qom-list qom-list");
}
END_TEST

static const struct {
        const char *path, *command, *answer;
} costly[] = {
        { "name", "query-name", "{\"name\": \"x\"}" },
        { "uuid", "query-uuid", "{\"UUID\": \"x\"}" },
        { "status", "query-status", "{\"status\": \"running\", \"running\": true}" },
        { "version", "query-version", "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, \"package\": \"\"}" },
};

/* Reads all of them again and again, each costing QEMU 20 ms. How long QEMU was at it. */
static uint64_t read_costly(uint64_t duration)
{
        struct k_file files[ARRAY_SIZE(costly)];
        uint64_t end, busy = 0;

        for (size_t i = 0; i < ARRAY_SIZE(costly); i++)
                files[i] = rig_must_open(costly[i].path, O_RDONLY);
        for (size_t i = 0; i < ARRAY_SIZE(costly); i++)
                fake_on_nothing(rig.fake, costly[i].command);
        end = qmp_now() + duration;
        for (size_t i = 0; qmp_now() < end; i = (i + 1) % ARRAY_SIZE(costly)) {
                size_t before = rig_count(costly[i].command);
                uint64_t unique = k_send_read(&files[i], 0, 4096);

                PUMP(rig.loop, k_is_answered(unique) || rig_count(costly[i].command) > before);
                if (!k_is_answered(unique)) {
                        PUMP_FOR(rig.loop, 20 * MS);
                        busy += 20 * MS;
                        fake_return(rig.fake, rig_last(costly[i].command), costly[i].answer);
                }
                ck_assert_int_eq(k_wait_error(unique), 0);
                /* the reader's own time */
                PUMP_FOR(rig.loop, MS);
        }
        return busy;
}

START_TEST(several_costly_queries_share_the_limit)
{
        uint64_t busy = read_costly(20 * SEC);

        /* a tenth, what they have in advance, and the first two of each, which may have been hit by a busy host */
        ck_assert_uint_le(busy, 20 * SEC / 10 + SEC + ARRAY_SIZE(costly) * 40 * MS);
        ck_assert_uint_ge(busy, 20 * SEC / 20);
}
END_TEST

START_TEST(without_a_limit_costly_queries_are_not_held_back)
{
        rig.vm->peer.options.max_load = 100;
        ck_assert_uint_gt(read_costly(5 * SEC), 3 * SEC);
}
END_TEST

START_TEST(write_does_not_wait_for_what_costly_queries_owe)
{
        static const char block[] = "[{\"device\": \"NVME1\", \"qdev\": \"nv0\"}]";
        struct k_file file = rig_must_open("block/NVME1/remove", O_WRONLY);
        struct k_file status = rig_must_open_and_read("block/NVME1/status", O_RDONLY);
        uint64_t before, reader, writer;
        size_t n;

        fake_on_nothing(rig.fake, "query-block");
        for (unsigned i = 0; i < 4; i++) {
                PUMP_FOR(rig.loop, 200 * MS);
                reader = k_send_read(&status, 0, 4096);
                SETTLE();
                PUMP_FOR(rig.loop, 20 * MS);
                fake_return(rig.fake, rig_last("query-block"), block);
                ck_assert_int_eq(k_wait_error(reader), 0);
        }
        (void)read_costly(10 * SEC);
        n = rig_count("query-block");
        before = qmp_now();
        reader = k_send_read(&status, 0, 4096);
        SETTLE();
        ck_assert_uint_eq(rig_count("query-block"), n);
        writer = k_send_write(&file, "1", 1);
        PUMP(rig.loop, rig_count("query-block") > n);
        ck_assert_uint_lt(qmp_now() - before, 5 * MS);
        fake_return(rig.fake, rig_last("query-block"), "[]");
        /* and the reader has its answer with it */
        ASSERT_ERROR(k_wait_error(reader), ENODEV);
        ASSERT_ERROR(k_wait_error(writer), ENODEV);
}
END_TEST

START_TEST(property_is_asked_for_alone)
{
        ASSERT_LS("devices/nv0", "type drive serial addr driver status qom remove");
        PUMP_FOR(rig.loop, 200 * MS);
        free(rig_sent());
        ASSERT_CAT("devices/nv0/serial", "abc\n");
        ASSERT_SENT("qom-list qom-list qom-list qom-get");
        ck_assert_str_eq(rig_last("qom-get")->text,
                         "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/nv0\","
                         "\"property\":\"serial\"}}");
        ASSERT_CAT("devices/nv0/serial", "abc\n");
        ASSERT_SENT("qom-get");
}
END_TEST

START_TEST(property_can_be_read_long_after_it_was_opened)
{
        struct k_file file = rig_must_open_and_read("devices/nv0/serial", O_RDONLY);

        PUMP_FOR(rig.loop, 10 * NSEC_PER_SEC);
        free(rig_sent());
        ASSERT_REPLY(k_send_read(&file, 0, 100), "abc\n");
        ASSERT_SENT("qom-get");
}
END_TEST

/* One whose file name isn't its own, which has to be found in the list. */
START_TEST(property_can_be_read_after_its_directory_could_not_be_listed)
{
        static const char list[] = "[{\"name\": \"a/b\", \"type\": \"str\"}]";
        struct k_file file;
        char *names = NULL;

        rig_qom("/machine/peripheral/nv0", NULL, list);
        rig_qom("/machine/peripheral/nv0", "a/b", "\"abc\"");
        file = rig_must_open_and_read("devices/nv0/a%2Fb", O_RDONLY);
        /* the list of names is lost, and both it and the objects are asked for anew within one read */
        PUMP_FOR(rig.loop, 10 * NSEC_PER_SEC);
        rig_qom("/machine/peripheral/nv0", NULL, "false");
        ASSERT_ERROR(rig_ls("devices/nv0", &names), EPROTO);
        PUMP_FOR(rig.loop, 10 * NSEC_PER_SEC);
        rig_qom("/machine/peripheral/nv0", NULL, list);
        free(rig_sent());
        ASSERT_REPLY(k_send_read(&file, 0, 100), "abc\n");
        ASSERT_SENT("qom-get");
        k_release(&file);
        PUMP_FOR(rig.loop, 10 * NSEC_PER_SEC);
        /* the name is asked for again where the query has gone with the last reader */
        file = rig_must_open("devices/nv0/a%2Fb", O_RDONLY);
        ASSERT_SENT("qom-list qom-list qom-list qom-get");
}
END_TEST

START_TEST(read_at_the_start_asks_anew_and_later_ones_continue)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);

        fake_on(rig.fake, "query-name", "{\"name\": \"first-name\"}");
        ASSERT_REPLY(k_send_read(&file, 0, 5), "first");
        fake_on(rig.fake, "query-name", "{\"name\": \"other\"}");
        ASSERT_SENT("query-name");
        ASSERT_REPLY(k_send_read(&file, 5, 5), "-name");
        ASSERT_REPLY(k_send_read(&file, 10, 5), "\n");
        ASSERT_REPLY(k_send_read(&file, 11, 5), "");
        ASSERT_REPLY(k_send_read(&file, 1000, 5), "");
        ASSERT_SENT("");
        ASSERT_REPLY(k_send_read(&file, 0, 5), "other");
        ASSERT_SENT("query-name");
}
END_TEST

START_TEST(read_that_begins_further_on_asks_once)
{
        struct k_file file = rig_must_open("name", O_RDONLY);

        ASSERT_REPLY(k_send_read(&file, 2, 5), "1\n");
        ASSERT_REPLY(k_send_read(&file, 3, 5), "\n");
        ASSERT_SENT("query-name");
}
END_TEST

START_TEST(readers_at_once_cost_two_queries)
{
        struct k_file file = rig_must_open_and_read("name", O_RDONLY);
        uint64_t first, others[50];

        fake_on_nothing(rig.fake, "query-name");
        first = k_send_read(&file, 0, 100);
        SETTLE();
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                others[i] = k_send_read(&file, 0, 100);
        SETTLE();
        ASSERT_SENT("query-name");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"before\"}");
        ASSERT_REPLY(first, "before\n");
        SETTLE();
        /* the first answer may be older than the others' requests */
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                ck_assert(!k_is_answered(others[i]));
        ASSERT_SENT("query-name");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"after\"}");
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                ASSERT_REPLY(others[i], "after\n");
        ASSERT_SENT("");
}
END_TEST

START_TEST(readers_share_a_query_that_still_waits_for_its_turn)
{
        static const char *const busy[] = { "status", "uuid", "version", "cpus/0/status" };
        struct k_file files[4], file = rig_must_open_and_read("name", O_RDONLY);
        uint64_t reads[4], a, b;

        for (size_t i = 0; i < 4; i++)
                files[i] = rig_must_open_and_read(busy[i], O_RDONLY);
        fake_stick(rig.fake);
        for (size_t i = 0; i < 4; i++)
                reads[i] = k_send_read(&files[i], 0, 4096);
        a = k_send_read(&file, 0, 100);
        SETTLE();
        free(rig_sent());
        b = k_send_read(&file, 0, 100);
        SETTLE();
        ASSERT_SENT("");
        fake_unstick(rig.fake);
        ASSERT_REPLY(a, "vm1\n");
        ASSERT_REPLY(b, "vm1\n");
        for (size_t i = 0; i < 4; i++)
                ck_assert_int_eq(k_wait_error(reads[i]), 0);
        ASSERT_SENT("query-name");
}
END_TEST

START_TEST(cheap_content_is_never_used_again)
{
        for (unsigned i = 0; i < 5; i++)
                ASSERT_CAT("name", "vm1\n");
        ASSERT_SENT("query-name query-name query-name query-name query-name");
}
END_TEST

START_TEST(costly_content_is_used_again_within_the_load_limit)
{
        rig.fake->delay_ns = 5 * MS;
        ASSERT_CAT("name", "vm1\n");
        fake_on(rig.fake, "query-name", "{\"name\": \"new\"}");
        PUMP_FOR(rig.loop, 40 * MS);
        ASSERT_CAT("name", "vm1\n");
        ASSERT_SENT("query-name");
        PUMP_FOR(rig.loop, 6 * MS);
        ASSERT_CAT("name", "new\n");
        ASSERT_SENT("query-name");
}
END_TEST

START_TEST(costly_content_is_used_again_for_a_tenth_of_a_second_at_most)
{
        rig.fake->delay_ns = 300 * MS;
        ASSERT_CAT("name", "vm1\n");
        fake_on(rig.fake, "query-name", "{\"name\": \"new\"}");
        PUMP_FOR(rig.loop, 99 * MS);
        ASSERT_CAT("name", "vm1\n");
        PUMP_FOR(rig.loop, 2 * MS);
        ASSERT_CAT("name", "new\n");
        ASSERT_SENT("query-name query-name");
}
END_TEST

START_TEST(costly_content_is_not_used_after_an_event)
{
        rig.fake->delay_ns = 5 * MS;
        ASSERT_CAT("name", "vm1\n");
        rig_event("ANY", "%s", "");
        SETTLE();
        fake_on(rig.fake, "query-name", "{\"name\": \"new\"}");
        ASSERT_CAT("name", "new\n");
        ASSERT_SENT("query-name query-name");
}
END_TEST

START_TEST(costly_content_is_not_used_after_a_write)
{
        rig.fake->delay_ns = 5 * MS;
        fake_on(rig.fake, "stop", "{}");
        ASSERT_CAT("name", "vm1\n");
        ASSERT_OK(rig_echo("ctl", "stop"));
        ASSERT_CAT("name", "vm1\n");
        ASSERT_SENT("query-name stop query-name");
}
END_TEST

START_TEST(costly_content_is_not_used_with_the_limit_off)
{
        rig.vm->peer.options.max_load = 100;
        rig.fake->delay_ns = 5 * MS;
        ASSERT_CAT("name", "vm1\n");
        ASSERT_CAT("name", "vm1\n");
        ASSERT_SENT("query-name query-name");
}
END_TEST

START_TEST(a_busy_host_makes_no_cheap_query_costly)
{
        ASSERT_CAT("name", "vm1\n");
        rig.fake->delay_ns = 5 * MS;
        ASSERT_CAT("name", "vm1\n");
        ASSERT_CAT("name", "vm1\n");
        ASSERT_SENT("query-name query-name query-name");
}
END_TEST

START_TEST(structure_may_be_a_tenth_of_a_second_old)
{
        ASSERT_LS("block", "NVME1 virtio0");
        fake_on(rig.fake, "query-block", "[]");
        PUMP_FOR(rig.loop, 95 * MS);
        ASSERT_LS("block", "NVME1 virtio0");
        ASSERT_SENT("query-block");
        PUMP_FOR(rig.loop, 10 * MS);
        ASSERT_LS("block", "");
        ASSERT_SENT("query-block");
}
END_TEST

START_TEST(structure_is_never_older_than_an_event)
{
        ASSERT_LS("block", "NVME1 virtio0");
        fake_on(rig.fake, "query-block", "[]");
        rig_event("ANY", "%s", "");
        SETTLE();
        ASSERT_LS("block", "");
        ASSERT_SENT("query-block query-block");
}
END_TEST

START_TEST(structure_is_never_older_than_an_event_during_its_query)
{
        struct fuse_entry_out dir;
        struct k_file file;
        uint64_t list;

        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_OK(k_opendir(dir.nodeid, &file));
        fake_on_nothing(rig.fake, "query-block");
        list = k_send_readdir(&file, 0, 4096);
        SETTLE();
        rig_event("ANY", "%s", "");
        fake_return(rig.fake, rig_last("query-block"), "[]");
        ck_assert_int_eq(k_wait_error(list), 0);
        fake_on(rig.fake, "query-block", rig_list(rig_drive("d", NULL), NULL, NULL));
        ASSERT_LS("block", "d");
}
END_TEST

START_TEST(structure_is_never_older_than_a_write)
{
        fake_on(rig.fake, "stop", "{}");
        ASSERT_LS("block", "NVME1 virtio0");
        fake_on(rig.fake, "query-block", "[]");
        ASSERT_OK(rig_echo("ctl", "stop"));
        ASSERT_LS("block", "");
}
END_TEST

START_TEST(missing_name_is_asked_for_again)
{
        struct fuse_entry_out entry;

        /* nothing known: one query is news */
        ASSERT_ERROR(rig_walk("block/d2", &entry), ENOENT);
        ASSERT_SENT("query-block");
        /* known, but from before: it may have come */
        ASSERT_ERROR(rig_walk("block/d2", &entry), ENOENT);
        ASSERT_SENT("query-block");
        fake_on(rig.fake, "query-block", rig_list(rig_drive("d2", NULL), NULL, NULL));
        ASSERT_OK(rig_walk("block/d2", &entry));
        ASSERT_SENT("query-block");
        ASSERT_OK(rig_walk("block/d2/inserted", &entry));
        ASSERT_SENT("");
        ASSERT_ERROR(rig_walk("block/d2/nosuch", &entry), ENOENT);
        ASSERT_SENT("query-block");
        ASSERT_ERROR(rig_walk("block/d2/inserted/nosuch", &entry), ENOENT);
        ASSERT_SENT("query-block");
        /* a name of ours needs nobody's word */
        ASSERT_ERROR(rig_walk("nosuch", &entry), ENOENT);
        ASSERT_SENT("");
}
END_TEST

START_TEST(missing_member_that_came_is_found)
{
        struct fuse_entry_out entry;

        fake_on(rig.fake, "query-block", "[{\"device\": \"d\"}]");
        ASSERT_LS("block/d", "status remove");
        fake_on(rig.fake, "query-block", "[{\"device\": \"d\", \"inserted\": {\"drv\": \"raw\"}}]");
        ASSERT_OK(rig_walk("block/d/inserted/drv", &entry));
        /* and properties */
        ASSERT_LS("devices/dimm1", "type driver status qom remove");
        rig_qom("/machine/peripheral/dimm1", NULL, "[{\"name\": \"slot\", \"type\": \"int\"}]");
        rig_qom("/machine/peripheral/dimm1", "slot", "7");
        ASSERT_CAT("devices/dimm1/slot", "7\n");
}
END_TEST

START_TEST(missing_names_are_asked_for_within_the_load_limit)
{
        struct fuse_entry_out entry;

        rig.fake->delay_ns = 5 * MS;
        for (unsigned i = 0; i < 20; i++)
                ASSERT_ERROR(rig_walk("block/nosuch", &entry), ENOENT);
        ASSERT_SENT("query-block");
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(cat_status_is_one_command),
                TEST(cat_block_status_is_two_commands),
                TEST(slow_qemu_is_not_asked_again_and_again),
                TEST(several_costly_queries_share_the_limit),
                TEST(without_a_limit_costly_queries_are_not_held_back),
                TEST(write_does_not_wait_for_what_costly_queries_owe),
                TEST(property_is_asked_for_alone),
                TEST(property_can_be_read_long_after_it_was_opened),
                TEST(property_can_be_read_after_its_directory_could_not_be_listed),
                TEST(read_at_the_start_asks_anew_and_later_ones_continue),
                TEST(read_that_begins_further_on_asks_once),
                TEST(readers_at_once_cost_two_queries),
                TEST(readers_share_a_query_that_still_waits_for_its_turn),
                TEST(cheap_content_is_never_used_again),
                TEST(costly_content_is_used_again_within_the_load_limit),
                TEST(costly_content_is_used_again_for_a_tenth_of_a_second_at_most),
                TEST(costly_content_is_not_used_after_an_event),
                TEST(costly_content_is_not_used_after_a_write),
                TEST(costly_content_is_not_used_with_the_limit_off),
                TEST(a_busy_host_makes_no_cheap_query_costly),
                TEST(structure_may_be_a_tenth_of_a_second_old),
                TEST(structure_is_never_older_than_an_event),
                TEST(structure_is_never_older_than_an_event_during_its_query),
                TEST(structure_is_never_older_than_a_write),
                TEST(missing_name_is_asked_for_again),
                TEST(missing_member_that_came_is_found),
                TEST(missing_names_are_asked_for_within_the_load_limit),
        };

        return test_main("fuse_cost", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
