/*
 * Collections: directories with one directory per object of a query.
 */
#ifndef FS_VM_COLLECTION_H
#define FS_VM_COLLECTION_H

#include "fs/vm/object.h"

struct lh_table;

/* The data of a collection's row (kind_collection). The texts are bindings to a record, see binding.h. */
struct each {
        struct query_spec query; /* gives an array of records; its plan may be one of the daemon's own lists */
        const char *name;        /* the name, before its conversion to a file name */
        const char *device;      /* the device; NULL: the objects have none */
        const char *identity;    /* what identifies the object together with its name; NULL: the name alone */
        struct ending ended;     /* the event that reports the end of an object */
        unsigned keep;           /* so many objects whose records have gone stay; 0: none */
        const struct row *rows;  /* the files of each object, which come before its members */
        bool has_anonymous;      /* an object without a path may have a device, see object_set_anonymous() */
        bool properties; /* the object's files are the QOM properties of its device, not the record's members */
};

struct collection {
        struct list link; /* in the vm */
        struct vm *vm;
        const struct each *each;
        struct query *query;
        struct ended *ended; /* borrowed from the vm's; NULL: no event ends objects */
        uint64_t synced;     /* the query's serial */
        uint64_t ended_at;   /* the vm's stamp when an object was ended by an event: older results still show it */
        unsigned pass;
        struct lh_table *objects; /* name to struct object; … */
        size_t n_left;            /* … the number of objects removed from it since its last rebuild */
        struct list kept;         /* the objects whose records have gone, the oldest first */
        unsigned n_kept;
};

/* Finds the collection of the row's data, or creates it on first use. Owned by the vm. 0 or -ENOMEM. */
int collection_get(struct vm *vm, const struct each *each, struct collection **ret_collection);

/* Ensures that the query is fresh (see query_require()) and updates the objects from it. */
int collection_require(struct collection *collection, struct waiter *waiter, enum freshness freshness);

/* Borrowed; NULL: not found. */
struct object *collection_find(struct collection *collection, const char *name);
struct object *collection_find_device(struct collection *collection, const char *device);

/* Gets the object's record, borrowed. Returns as collection_require(), or -ENODEV if the object has ended. */
int object_require(struct object *object, struct waiter *waiter, enum freshness freshness,
                   struct json_object **ret_record);

/* The last known record, borrowed; NULL: none. */
struct json_object *object_record(struct object *object);

/* --- for objects ------------------------------------------------------------------------------------------------ */

/* Ends those of @values, see ended.h; NULL: all objects. @stamp: of the event. */
void collection_kill(struct collection *collection, struct json_object *values, uint64_t stamp);
/* Ends the oldest of the objects that are kept, if they are too many. Not while somebody walks through the objects. */
void collection_forget_oldest(struct collection *collection);
/* Ends all objects, which must have no other references. Always returns NULL. */
struct collection *collection_free(struct collection *collection);

#endif
