/*
 * The bus: who wants to hear of which events, and of the end and the beginning of the connection.
 *
 * Subscribers may join, leave and publish while something is being published. One that joins then hears of the next
 * event first; one that has left hears of nothing more.
 */
#ifndef FS_VM_BUS_H
#define FS_VM_BUS_H

#include "fs/util/text.h"
#include "qmp/client.h"

/* Embedded in what wants to hear. */
struct subscriber {
        struct list link;
        uint64_t since; /* the bus's */
        /* the names of the events, ended by NULL; NULL: all of them, those of qmpfs itself included */
        const char *const *names;
        /*
         * @line: the event as a line of JSON, without newline and without credentials that others must not see; its
         * data is NULL if there was no memory for it. An event of qmpfs for which there was none has no data and no
         * message either.
         */
        void (*event)(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line);
        void (*up)(struct subscriber *subscriber);   /* there is a connection, to what may be another QEMU; or NULL */
        void (*down)(struct subscriber *subscriber); /* there is none any more; or NULL */
        /* the connection is in another state: up, down, stalled, recovered; after up() and down(); or NULL */
        void (*changed)(struct subscriber *subscriber);
        /*
         * A command that somebody wrote has been answered, in time or late: what it changed may be something of which
         * no event tells. May be NULL.
         */
        void (*commanded)(struct subscriber *subscriber, const char *command);
};

struct bus {
        struct list subscribers;
        uint64_t serial; /* of what was published last */
        struct bus_walk *walks;
};

void bus_init(struct bus *bus);

/* Later subscribers hear later. */
void bus_join(struct bus *bus, struct subscriber *subscriber);
/* Leaving twice, or without having joined, is fine if the link was initialised. */
void bus_leave(struct bus *bus, struct subscriber *subscriber);

void bus_event(struct bus *bus, const struct qmp_event *event, const struct text *line);
void bus_up(struct bus *bus);
void bus_down(struct bus *bus);
void bus_changed(struct bus *bus);
void bus_commanded(struct bus *bus, const char *command);

#endif
