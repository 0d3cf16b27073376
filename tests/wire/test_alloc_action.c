/*
 * Memory that runs out while an action of three steps is under way and is undone: each allocation is refused once, see
 * shortage.h. The write ends in time, as it would with memory or with ENOMEM, and nothing is left behind; what there is
 * no memory to undo is named.
 */
#include "tests/wire/shortage.h"

#include "tests/lib/compose.h"
#include "tests/lib/test.h"

enum {
        WHOLE,
        FAILS,
        INTERRUPTED,
        EXPLAINED,
        N_WAYS,
};

static const char *const texts[] = { "name=x size=1k nowait", "name=x size=1k", "name=x size=1k timeout=100",
                                     "explain name=x size=1k" };
static const int ends[] = { 0, -EIO, -ECANCELED, 0 };

static void forget(void)
{
        fake_forget(rig.fake);
        rig.mark = rig.fake->n_commands;
}

/* Whether memory was refused. */
static bool compose(int way, unsigned long k)
{
        unsigned long refused;
        uint64_t write;
        int r;

        forget();
        k_release(&compose_file);
        compose_file = rig_must_open("compose", O_RDWR);
        if (way == FAILS)
                fake_on_error(rig.fake, "make-c", "GenericError", "no c");
        if (way == INTERRUPTED)
                fake_on_nothing(rig.fake, "make-b");
        shortage.n = shortage.refused = 0;
        shortage.at = k;
        kernel.no_memory = shortage.armed = true;
        write = compose_begin(texts[way]);
        if (way == INTERRUPTED && !k_is_answered(write)) {
                k_interrupt(write);
                PUMP_FOR(rig.loop, SEC);
                if (rig_count("make-b") > 0)
                        fake_return(rig.fake, rig_last("make-b"), "{\"name\": \"b0\"}");
        }
        r = k_wait_error(write);
        SETTLE();
        shortage.armed = false;
        refused = shortage.refused;
        ck_assert_msg(r == ends[way] || (refused && (r == -ENOMEM || r == -EINTR || r == -ETIMEDOUT)), "%d, %lu: %s",
                      way, k, strerrorname_np(-r));
        ck_assert(rig.vm->peer.up && list_empty(&rig.session->requests));
        if (!refused) {
                ck_assert_uint_eq(rig_count("make-a"), way != EXPLAINED);
                ck_assert_uint_eq(rig_count("drop-a"), way == FAILS || way == INTERRUPTED);
                ck_assert_uint_eq(rig_count("drop-b"), way == FAILS || way == INTERRUPTED);
        }
        return refused > 0;
}

START_TEST(each_allocation_may_fail_once)
{
        unsigned long k = 1;

        while (compose(_i, k))
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
                TEST_EACH(each_allocation_may_fail_once, N_WAYS),
        };

        return test_main("alloc_action", tests, ARRAY_SIZE(tests), compose_up, rig_down);
}
