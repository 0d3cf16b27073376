/*
 * Memory that runs out while objects of a collection end and are kept: each allocation is refused once, see shortage.h.
 * What is read then is right, or ENOMEM; an outcome for which there is no memory is lost, and never wrong.
 */
#include "tests/wire/shortage.h"

#include "tests/lib/collections.h"
#include "tests/lib/test.h"

/* One of the job's two files. */
static int read_state(const char *path, char **ret_text)
{
        struct k_file file;
        int r = rig_open(path, O_RDONLY, &file);

        if (r < 0)
                return r;
        r = rig_read_all(&file, ret_text, NULL);
        shortage.armed = false;
        k_release(&file);
        return r;
}

/* A job ends, and what is read of it then; whether that needed memory that was refused. */
static bool end_without_memory(unsigned long k)
{
        _cleanup_(qmp_freep) char *text = NULL;
        unsigned long refused;
        int r;

        fake_on(rig.fake, "query-jobs", "[{\"id\": \"j\", \"state\": \"running\"}]");
        PUMP_FOR(rig.loop, 300 * MS);
        ASSERT_CAT("jobs/j/state", "running\n");
        set_outcome("j", "{\"state\": \"failed\"}");
        fake_on(rig.fake, "query-jobs", "[]");
        PUMP_FOR(rig.loop, 300 * MS);
        shortage.n = shortage.refused = 0;
        shortage.at = k;
        kernel.no_memory = shortage.armed = true;
        if (k % 2)
                rig_event("JOB_STATUS_CHANGE", "{\"id\": \"j\", \"status\": \"null\"}");
        r = read_state("jobs/j/state", &text);
        shortage.armed = false;
        refused = shortage.refused;
        ck_assert_msg(r == 0 || (refused && (r == -ENOMEM || r == -ENOENT || r == -ENODEV)), "%lu: %s", k,
                      strerrorname_np(-r));
        if (r == 0)
                ck_assert_str_eq(text, "failed\n");
        PUMP_WITHIN(rig.loop, 100 * SEC, k_n_pending() == 0);
        k_drop_all();
        SETTLE();
        ck_assert(rig.vm->peer.up);
        /* it is kept as a whole, or not at all */
        if (rig_walk("jobs/j", &(struct fuse_entry_out){ 0 }) == 0) {
                ASSERT_LS("jobs/j", "status dismiss id state");
                ASSERT_CAT("jobs/j/state", "failed\n");
        }
        /* a list of our own, whose objects come and go */
        own_set(k % 2 ? "[{\"name\": \"a\"}]" : "[{\"name\": \"b\"}]");
        shortage.armed = true;
        shortage.n = 0;
        r = rig_walk("own/a", &(struct fuse_entry_out){ 0 });
        shortage.armed = false;
        ck_assert_msg(r == (k % 2 ? 0 : -ENOENT) || r == -ENOMEM, "%lu: %s", k, strerrorname_np(-r));
        k_drop_all();
        SETTLE();
        return refused > 0;
}

START_TEST(each_allocation_may_fail_once)
{
        unsigned long k = 1;

        while (end_without_memory(k) || end_without_memory(k + 1))
                k++;
        ck_assert_uint_gt(k, 20);
        shortage.at = 0;
        /* by its own clock this takes longer than libcheck can tell */
        test_time_real();
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(each_allocation_may_fail_once),
        };

        return test_main("alloc_collection", tests, ARRAY_SIZE(tests), collections_up, collections_down);
}
