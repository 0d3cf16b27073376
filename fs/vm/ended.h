/*
 * The ends of objects that events have reported.
 *
 * QEMU may send any number of events, so they are only noted, in bounded memory; the next use of the objects carries
 * all of them out in one walk.
 */
#ifndef FS_VM_ENDED_H
#define FS_VM_ENDED_H

#include "qmp/client.h"

/* In a collection's table: the event that reports the end of an object. */
struct ending {
        const char *event; /* NULL: none does */
        /*
         * the member of its data that says which object: the path of the device, if the objects of the collection have
         * devices, and the name of the object otherwise
         */
        const char *member;
        const char *when, *equals; /* only if this member of its data is that string; NULL: always */
};

/* Limits. Beyond this number of values, or of bytes, they are to be carried out at once. */
#define ENDED_MAX       1000
#define ENDED_MAX_BYTES (256 * 1024)

/* What one sort of event has reported. */
struct ended {
        struct list link;
        const struct ending *ending;
        bool by_name;               /* the values are file names; false: paths of devices */
        struct json_object *values; /* {value: null}; NULL: none */
        size_t bytes;               /* of the values */
        uint64_t stamp;             /* when the last one was noted */
};

bool ended_is_of(const struct ended *ended, const struct ending *ending, bool by_name);

/*
 * Notes an event; others than the ending's are ignored. 0, ENDED_FULL: noted, and to be carried out now, or -ENOMEM:
 * any object may have ended.
 */
#define ENDED_FULL 1
int ended_note(struct ended *ended, const struct qmp_event *event, uint64_t stamp);

/* The values, owned by the caller; NULL: none. Forgets them. */
struct json_object *ended_take(struct ended *ended);

/* Whether the value is one of them. */
bool ended_has(struct json_object *values, const char *value);

#endif
