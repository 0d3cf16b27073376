/*
 * Queries of waiters that are no requests of the kernel: shared, any number for each, kept while they may be of use.
 */
#include "fs/vm/query.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define NEEDS_MAX 3

/* It needs its queries one after the other, from the top, as a kind does. */
struct reader {
        struct waiter waiter;
        struct query_spec needs[NEEDS_MAX];
        size_t n_needs;
        char values[NEEDS_MAX][64]; /* the first characters */
        bool done;
        int error;
        unsigned runs;
};

static struct reader a, b;

static void look(struct waiter *waiter)
{
        struct reader *r = container_of(waiter, struct reader, waiter);
        int e = 0;

        r->runs++;
        for (size_t i = 0; e == 0 && i < r->n_needs; i++) {
                const struct query *query;

                e = query_require(waiter, &r->needs[i], FRESH_CONTENT, &query);
                if (e == 0)
                        snprintf(r->values[i], sizeof(r->values[i]), "%s",
                                 json_object_to_json_string_ext(query->value, JSON_C_TO_STRING_PLAIN));
        }
        if (e == WAITER_PARKED) {
                waiter_park(waiter);
                return;
        }
        r->done = true;
        r->error = e;
}

static void expired(struct qmp_timer *timer)
{
        struct reader *r = container_of(timer, struct reader, waiter.deadline);

        r->done = true;
        r->error = -ETIMEDOUT;
}

static void start(struct reader *r, const struct query_spec *needs, size_t n)
{
        *r = (struct reader){ .n_needs = n };
        memcpy(r->needs, needs, n * sizeof(*needs));
        waiter_init(&r->waiter, &rig.context, &rig.vm->peer, SEC, look, expired);
        look(&r->waiter);
}

static size_t n_queries(void)
{
        return (size_t)lh_table_length(rig.vm->peer.queries.all);
}

static const struct query_spec status = { .plan = &plan_command, .a = "query-status" };
static const struct query_spec name = { .plan = &plan_command, .a = "query-name" };
static const struct query_spec serial = { .plan = &plan_property, .a = "/machine/peripheral/nv0", .b = "serial" };

START_TEST(waiter_needs_any_number_of_queries)
{
        const struct query_spec needs[] = { status, name, serial };

        start(&a, needs, 3);
        ck_assert(!a.done);
        PUMP(rig.loop, a.done);
        ck_assert_int_eq(a.error, 0);
        ck_assert_uint_eq(a.runs, 4);
        ck_assert_str_eq(a.values[2], "\"abc\"");
        ASSERT_SENT("query-status query-name qom-get");
        for (size_t i = 0; i < 3; i++)
                ck_assert(query_is_required(&a.waiter, &needs[i]));
        waiter_deinit(&a.waiter);
}
END_TEST

START_TEST(waiters_that_want_the_same_share_it)
{
        start(&a, &serial, 1);
        start(&b, &serial, 1);
        PUMP(rig.loop, a.done && b.done);
        ck_assert_str_eq(a.values[0], b.values[0]);
        /* the second came when the first was on the wire: at most two */
        ck_assert_uint_le(rig_count("qom-get"), 2);
        ck_assert_uint_eq(a.waiter.n_queries, 1);
        ck_assert_ptr_eq(a.waiter.queries[0], b.waiter.queries[0]);
        waiter_deinit(&a.waiter);
        waiter_deinit(&b.waiter);
}
END_TEST

/* The parts of a key may hold what separates them. */
START_TEST(queries_of_different_arguments_are_different)
{
        const struct query_spec one = { .plan = &plan_property, .a = "/a b", .b = "c" };
        const struct query_spec other = { .plan = &plan_property, .a = "/a", .b = " bc" };
        const struct query_spec list = { .plan = &plan_list, .a = "/a bc" };
        struct query *q[3];

        ck_assert_int_eq(query_get(&rig.vm->peer, &one, &q[0]), 0);
        ck_assert_int_eq(query_get(&rig.vm->peer, &other, &q[1]), 0);
        ck_assert_int_eq(query_get(&rig.vm->peer, &list, &q[2]), 0);
        ck_assert(q[0] != q[1] && q[1] != q[2] && q[0] != q[2]);
        for (size_t i = 0; i < 3; i++)
                query_release(q[i]);
        ck_assert_uint_eq(n_queries(), 0);
}
END_TEST

START_TEST(command_may_have_arguments)
{
        const struct query_spec good = { .plan = &plan_command,
                                         .a = "qom-get",
                                         .b = "{\"path\": \"/machine/peripheral/nv0\", \"property\": \"serial\"}" };
        const struct query_spec bad = { .plan = &plan_command, .a = "qom-get", .b = "{\"path\": " };

        start(&a, &good, 1);
        PUMP(rig.loop, a.done);
        ck_assert_int_eq(a.error, 0);
        ck_assert_str_eq(a.values[0], "\"abc\"");
        waiter_deinit(&a.waiter);
        start(&a, &bad, 1);
        ck_assert(a.done);
        ck_assert_int_eq(a.error, -EINVAL);
        waiter_deinit(&a.waiter);
}
END_TEST

START_TEST(failure_has_a_reason_and_is_asked_again_by_the_next)
{
        const struct query_spec missing = { .plan = &plan_property, .a = "/nowhere", .b = "x" };

        start(&a, &missing, 1);
        PUMP(rig.loop, a.done);
        ck_assert_int_eq(a.error, -ENODEV);
        ck_assert_str_eq(a.waiter.reason_class, "DeviceNotFound");
        ck_assert_ptr_nonnull(a.waiter.reason);
        start(&b, &missing, 1);
        ck_assert(!b.done);
        PUMP(rig.loop, b.done);
        ck_assert_uint_eq(rig_count("qom-get"), 2);
        waiter_deinit(&a.waiter);
        waiter_deinit(&b.waiter);
        ck_assert_uint_eq(n_queries(), 0);
}
END_TEST

/* A property's value is of no use to the next reader; a list of names is, for a while; a command's costs are. */
START_TEST(query_stays_while_it_may_be_of_use)
{
        const struct query_spec list = { .plan = &plan_list, .a = "/machine/peripheral/nv0" };
        const struct query_spec needs[] = { serial, list, status };

        start(&a, needs, 3);
        PUMP(rig.loop, a.done);
        ck_assert_int_eq(a.error, 0);
        ck_assert_uint_eq(n_queries(), 3);
        waiter_deinit(&a.waiter);
        ck_assert_ptr_null(query_peek(&rig.vm->peer, &serial));
        ck_assert_ptr_nonnull(query_peek(&rig.vm->peer, &list));
        ck_assert_ptr_nonnull(query_peek(&rig.vm->peer, &status));
        PUMP_FOR(rig.loop, SEC);
        ck_assert_ptr_null(query_peek(&rig.vm->peer, &list));
        ck_assert_ptr_null(query_peek(&rig.vm->peer, &status));
        ck_assert_uint_eq(n_queries(), 1);
}
END_TEST

/* A value that a waiter has required is there when it looks again, however long the next one takes. */
START_TEST(value_stays_while_a_waiter_needs_it)
{
        const struct query_spec needs[] = { status, name };

        fake_on_nothing(rig.fake, "query-name");
        start(&a, needs, 2);
        waiter_set_limit(&a.waiter, 60 * SEC);
        PUMP_FOR(rig.loop, 5 * SEC);
        ck_assert(!a.done);
        fake_return(rig.fake, rig_last("query-name"), "{}");
        PUMP(rig.loop, a.done);
        ck_assert_int_eq(a.error, 0);
        ASSERT_SENT("query-status query-name");
        waiter_deinit(&a.waiter);
}
END_TEST

START_TEST(waiter_may_go_while_it_waits)
{
        fake_on_nothing(rig.fake, "query-status");
        start(&a, &status, 1);
        PUMP_FOR(rig.loop, 2 * SEC);
        ck_assert(a.done);
        ck_assert_int_eq(a.error, -ETIMEDOUT);
        waiter_deinit(&a.waiter);
        fake_return(rig.fake, rig_last("query-status"), "{}");
        SETTLE();
        ck_assert_uint_eq(rig.context.n_fetches, 0);
}
END_TEST

/* However large replies are, and however long they may be used. */
START_TEST(values_are_bounded)
{
        enum { SIZE = 8 << 20, N = 40 };
        char *big = malloc(SIZE + 100);
        uint64_t most = 0;

        rig.vm->peer.options.structure_ttl_ns = 3600 * SEC;
        ck_assert_ptr_nonnull(big);
        strcpy(big, "[{\"name\": \"x\", \"type\": \"");
        memset(big + strlen(big), 'y', SIZE);
        strcpy(big + SIZE, "\"}]");
        for (unsigned i = 0; i < N; i++) {
                char path[20];
                struct query_spec list = { .plan = &plan_list, .a = path };

                snprintf(path, sizeof(path), "/%u", i);
                rig_qom(path, NULL, big);
                start(&a, &list, 1);
                PUMP(rig.loop, a.done);
                ck_assert_int_eq(a.error, 0);
                waiter_deinit(&a.waiter);
                /* the last one is always there to be used again */
                ck_assert_ptr_nonnull(query_peek(&rig.vm->peer, &list));
                rig_qom(path, NULL, "[]");
                if (rig.vm->peer.queries.memory > most)
                        most = rig.vm->peer.queries.memory;
        }
        ck_assert_uint_gt(most, QUERY_MEMORY_MAX / 2);
        ck_assert_uint_le(most, QUERY_MEMORY_MAX);
        ck_assert_uint_lt(n_queries(), N);
        free(big);
}
END_TEST

START_TEST(without_a_connection_it_fails_at_once)
{
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        start(&a, &status, 1);
        ck_assert(a.done);
        ck_assert_int_eq(a.error, -EHOSTDOWN);
        ck_assert_msg(startswith(a.waiter.reason, "down: "), "%s", a.waiter.reason);
        waiter_deinit(&a.waiter);
}
END_TEST

static void setup(void)
{
        rig_up();
        free(rig_sent());
}

int main(void)
{
        const struct test tests[] = {
                TEST(waiter_needs_any_number_of_queries),
                TEST(waiters_that_want_the_same_share_it),
                TEST(queries_of_different_arguments_are_different),
                TEST(command_may_have_arguments),
                TEST(failure_has_a_reason_and_is_asked_again_by_the_next),
                TEST(query_stays_while_it_may_be_of_use),
                TEST(value_stays_while_a_waiter_needs_it),
                TEST(waiter_may_go_while_it_waits),
                TEST(values_are_bounded),
                TEST(without_a_connection_it_fails_at_once),
        };

        return test_main("query", tests, ARRAY_SIZE(tests), setup, rig_down);
}
