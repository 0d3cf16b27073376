#include "fs/util/slots.h"

#include "tests/lib/test.h"

/* Of ck_assert() libcheck remembers each: too slow for what is checked a million times. */

static struct slots slots;

static void teardown(void)
{
        slots_deinit(&slots);
        slots_deinit(&slots);
}

static uint64_t add(void *pointer)
{
        uint64_t handle;

        CHECK(slots_add(&slots, pointer, &handle) == 0);
        CHECK(handle != 0);
        return handle;
}

START_TEST(first_handle_is_one)
{
        int a;

        CHECK(add(&a) == 1);
        CHECK(slots_find(&slots, 1) == &a);
}
END_TEST

START_TEST(what_was_not_issued_finds_nothing)
{
        int a;

        ck_assert_ptr_null(slots_find(&slots, 0));
        ck_assert_ptr_null(slots_find(&slots, 1));
        (void)add(&a);
        ck_assert_ptr_null(slots_find(&slots, 0));
        ck_assert_ptr_null(slots_find(&slots, 2));
        ck_assert_ptr_null(slots_find(&slots, 65));
        ck_assert_ptr_null(slots_find(&slots, UINT64_MAX));
        ck_assert_ptr_null(slots_find(&slots, UINT32_MAX));
        ck_assert_ptr_null(slots_find(&slots, UINT64_C(1) << 32 | 1));
        ck_assert_ptr_null(slots_find(&slots, UINT64_C(1) << 32));
}
END_TEST

START_TEST(handles_are_never_used_again)
{
        uint64_t seen[1000];
        int a;

        for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
                seen[i] = add(&a);
                for (size_t j = 0; j < i; j++) {
                        CHECK(seen[i] != seen[j]);
                        ck_assert_ptr_null(slots_find(&slots, seen[j]));
                }
                CHECK(slots_find(&slots, seen[i]) == &a);
                slots_remove(&slots, seen[i]);
        }
        /* a place is */
        CHECK(slots.n == 1);
}
END_TEST

START_TEST(many_come_and_go)
{
        enum { N = 5000 };
        static uint64_t handles[N];
        static int things[N];
        static bool there[N];

        srandom(1);
        for (unsigned round = 0; round < 100000; round++) {
                size_t i = (size_t)random() % N;

                if (there[i]) {
                        CHECK(slots_find(&slots, handles[i]) == &things[i]);
                        slots_remove(&slots, handles[i]);
                        ck_assert_ptr_null(slots_find(&slots, handles[i]));
                } else {
                        handles[i] = add(&things[i]);
                }
                there[i] = !there[i];
        }
        for (size_t i = 0; i < N; i++)
                CHECK((handles[i] ? slots_find(&slots, handles[i]) : NULL) == (there[i] ? &things[i] : NULL));
        CHECK(slots.n <= N);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(first_handle_is_one),
                TEST(what_was_not_issued_finds_nothing),
                TEST(handles_are_never_used_again),
                TEST(many_come_and_go),
        };

        return test_main("slots", tests, ARRAY_SIZE(tests), NULL, teardown);
}
