#include "fs/vm/bus.h"

/* One publication under way. */
struct bus_walk {
        struct bus_walk *outer;
        struct list *next; /* whom it comes to next */
        uint64_t serial;
};

void bus_init(struct bus *bus)
{
        *bus = (struct bus){ 0 };
        list_init(&bus->subscribers);
}

void bus_join(struct bus *bus, struct subscriber *subscriber)
{
        subscriber->since = bus->serial;
        list_append(&bus->subscribers, &subscriber->link);
}

void bus_leave(struct bus *bus, struct subscriber *subscriber)
{
        for (struct bus_walk *walk = bus->walks; walk; walk = walk->outer)
                if (walk->next == &subscriber->link)
                        walk->next = subscriber->link.next;
        list_unlink(&subscriber->link);
}

static void begin(struct bus *bus, struct bus_walk *walk)
{
        *walk = (struct bus_walk){ bus->walks, bus->subscribers.next, ++bus->serial };
        bus->walks = walk;
}

/* The next subscriber that had joined when the publication began; NULL: there is none, and the publication has ended. */
static struct subscriber *next(struct bus *bus, struct bus_walk *walk)
{
        while (walk->next != &bus->subscribers) {
                struct subscriber *subscriber = list_entry(walk->next, struct subscriber, link);

                walk->next = walk->next->next;
                if (subscriber->since < walk->serial)
                        return subscriber;
        }
        bus->walks = walk->outer;
        return NULL;
}

static bool wants(const struct subscriber *subscriber, const char *name)
{
        if (!subscriber->event || !subscriber->names)
                return subscriber->event;
        for (const char *const *i = subscriber->names; *i; i++)
                if (streq(*i, name))
                        return true;
        return false;
}

void bus_event(struct bus *bus, const struct qmp_event *event, const struct text *line)
{
        struct subscriber *subscriber;
        struct bus_walk walk;

        begin(bus, &walk);
        while ((subscriber = next(bus, &walk)))
                if (wants(subscriber, event->name))
                        subscriber->event(subscriber, event, line);
}

void bus_up(struct bus *bus)
{
        struct subscriber *subscriber;
        struct bus_walk walk;

        begin(bus, &walk);
        while ((subscriber = next(bus, &walk)))
                if (subscriber->up)
                        subscriber->up(subscriber);
}

void bus_down(struct bus *bus)
{
        struct subscriber *subscriber;
        struct bus_walk walk;

        begin(bus, &walk);
        while ((subscriber = next(bus, &walk)))
                if (subscriber->down)
                        subscriber->down(subscriber);
}

void bus_changed(struct bus *bus)
{
        struct subscriber *subscriber;
        struct bus_walk walk;

        begin(bus, &walk);
        while ((subscriber = next(bus, &walk)))
                if (subscriber->changed)
                        subscriber->changed(subscriber);
}

void bus_commanded(struct bus *bus, const char *command)
{
        struct subscriber *subscriber;
        struct bus_walk walk;

        begin(bus, &walk);
        while ((subscriber = next(bus, &walk)))
                if (subscriber->commanded)
                        subscriber->commanded(subscriber, command);
}
