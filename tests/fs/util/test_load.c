#include "fs/util/load.h"

#include "tests/lib/test.h"

#define S       NSEC_PER_SEC
#define ADVANCE (1 * S)

static struct load load;
static uint64_t now;

static void setup(void)
{
        load = (struct load){ 0 };
        now = 1000 * S;
}

static void add(uint64_t busy_ns)
{
        load_add(&load, 10, ADVANCE, busy_ns, now);
}

static uint64_t pause_ns(void)
{
        return load_pause_ns(&load, 10, ADVANCE, now);
}

START_TEST(nothing_waits_at_first)
{
        ck_assert_uint_eq(pause_ns(), 0);
}
END_TEST

START_TEST(advance_is_had_at_once)
{
        add(ADVANCE);
        ck_assert_uint_eq(pause_ns(), 0);
        add(1 * MS);
        ck_assert_uint_eq(pause_ns(), 10 * MS);
}
END_TEST

START_TEST(what_is_owed_is_earned_at_the_limit)
{
        add(ADVANCE + 10 * MS);
        ck_assert_uint_eq(pause_ns(), 100 * MS);
        now += 60 * MS;
        ck_assert_uint_eq(pause_ns(), 40 * MS);
        now += 40 * MS;
        ck_assert_uint_eq(pause_ns(), 0);
        /* and then there is no more than the same again */
        add(1 * MS);
        ck_assert_uint_eq(pause_ns(), 10 * MS);
}
END_TEST

START_TEST(quiet_times_give_the_advance_back_and_no_more)
{
        add(ADVANCE);
        now += 3600 * S;
        add(ADVANCE);
        ck_assert_uint_eq(pause_ns(), 0);
        add(1 * MS);
        ck_assert_uint_eq(pause_ns(), 10 * MS);
}
END_TEST

START_TEST(nobody_waits_for_longer_than_the_limit)
{
        add(3600 * S);
        ck_assert_uint_eq(pause_ns(), LOAD_PAUSE_MAX_NS);
        add(UINT64_MAX);
        add(UINT64_MAX - 1);
        ck_assert_uint_eq(pause_ns(), LOAD_PAUSE_MAX_NS);
        now += LOAD_PAUSE_MAX_NS;
        ck_assert_uint_eq(pause_ns(), 0);
}
END_TEST

START_TEST(hundred_per_cent_is_no_limit)
{
        load_add(&load, 100, ADVANCE, 3600 * S, now);
        ck_assert_uint_eq(load_pause_ns(&load, 100, ADVANCE, now), 0);
}
END_TEST

START_TEST(one_per_cent)
{
        load_add(&load, 1, ADVANCE, ADVANCE + 1 * MS, now);
        ck_assert_uint_eq(load_pause_ns(&load, 1, ADVANCE, now), 100 * MS);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(nothing_waits_at_first),
                TEST(advance_is_had_at_once),
                TEST(what_is_owed_is_earned_at_the_limit),
                TEST(quiet_times_give_the_advance_back_and_no_more),
                TEST(nobody_waits_for_longer_than_the_limit),
                TEST(hundred_per_cent_is_no_limit),
                TEST(one_per_cent),
        };

        return test_main("load", tests, ARRAY_SIZE(tests), setup, NULL);
}
