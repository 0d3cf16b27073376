#include "fs/vm/bus.h"

#include <stdio.h>

#include "tests/lib/test.h"

static struct bus bus;
static char heard[1000];

/* What it does, besides noting that it heard, is told by @also. */
struct ear {
        struct subscriber subscriber;
        const char *name;
        void (*also)(struct ear *ear);
};

static struct ear a = { .name = "a" }, b = { .name = "b" }, c = { .name = "c" };

static void note(struct subscriber *subscriber, const char *what)
{
        struct ear *ear = container_of(subscriber, struct ear, subscriber);
        size_t n = strlen(heard);

        snprintf(heard + n, sizeof(heard) - n, "%s%s:%s", n ? " " : "", ear->name, what);
        if (ear->also)
                ear->also(ear);
}

static void event(struct subscriber *subscriber, const struct qmp_event *e, const struct text *line)
{
        ck_assert_ptr_nonnull(line);
        note(subscriber, e->name);
}

static void up(struct subscriber *subscriber)
{
        note(subscriber, "up");
}

static void down(struct subscriber *subscriber)
{
        note(subscriber, "down");
}

static void changed(struct subscriber *subscriber)
{
        note(subscriber, "changed");
}

static void join(struct ear *ear)
{
        bus_join(&bus, &ear->subscriber);
}

static void leave(struct ear *ear)
{
        bus_leave(&bus, &ear->subscriber);
}

static void publish(const char *name)
{
        static const struct text line;

        bus_event(&bus, &(struct qmp_event){ .name = name }, &line);
}

static void setup(void)
{
        struct ear *const ears[] = { &a, &b, &c };

        bus_init(&bus);
        *heard = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(ears); i++) {
                ears[i]->also = NULL;
                ears[i]->subscriber =
                        (struct subscriber){ .event = event, .up = up, .down = down, .changed = changed };
                list_init(&ears[i]->subscriber.link);
        }
}

static void expect(const char *what)
{
        ck_assert_str_eq(heard, what);
        *heard = '\0';
}

START_TEST(subscribers_hear_in_the_order_of_joining)
{
        join(&b);
        join(&a);
        publish("X");
        bus_up(&bus);
        bus_down(&bus);
        bus_changed(&bus);
        expect("b:X a:X b:up a:up b:down a:down b:changed a:changed");
        leave(&b);
        leave(&b);
        publish("Y");
        expect("a:Y");
}
END_TEST

START_TEST(subscriber_hears_the_events_that_it_names)
{
        static const char *const names[] = { "X", "Y", NULL };

        a.subscriber.names = names;
        b.subscriber.event = NULL;
        c.subscriber = (struct subscriber){ .event = event };
        join(&a);
        join(&b);
        join(&c);
        publish("X");
        publish("Z");
        bus_down(&bus);
        expect("a:X c:X c:Z a:down b:down");
}
END_TEST

static void leave_itself(struct ear *ear)
{
        leave(ear);
}

static void leave_others(struct ear *ear)
{
        (void)ear;
        leave(&a);
        leave(&c);
}

START_TEST(subscribers_may_leave_meanwhile)
{
        a.also = leave_itself;
        join(&a);
        join(&b);
        join(&c);
        publish("X");
        publish("Y");
        expect("a:X b:X c:X b:Y c:Y");
        join(&a);
        a.also = NULL;
        b.also = leave_others;
        /* b, c, a: the next two of the walk leave */
        publish("Z");
        expect("b:Z");
}
END_TEST

static void join_c(struct ear *ear)
{
        ear->also = NULL;
        join(&c);
}

START_TEST(who_joins_meanwhile_hears_the_next)
{
        a.also = join_c;
        join(&a);
        join(&b);
        publish("X");
        expect("a:X b:X");
        publish("Y");
        expect("a:Y b:Y c:Y");
}
END_TEST

static void publish_more(struct ear *ear)
{
        ear->also = NULL;
        publish("MORE");
        leave(&c);
}

START_TEST(events_may_cause_events)
{
        b.also = publish_more;
        join(&a);
        join(&b);
        join(&c);
        publish("X");
        expect("a:X b:X a:MORE b:MORE c:MORE");
        publish("Y");
        expect("a:Y b:Y");
        ck_assert_ptr_null(bus.walks);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(subscribers_hear_in_the_order_of_joining),
                TEST(subscriber_hears_the_events_that_it_names),
                TEST(subscribers_may_leave_meanwhile),
                TEST(who_joins_meanwhile_hears_the_next),
                TEST(events_may_cause_events),
        };

        return test_main("bus", tests, ARRAY_SIZE(tests), setup, NULL);
}
