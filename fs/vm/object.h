/*
 * Collections: directories with one directory per object of a query, and the identity of those objects.
 *
 * A collection maps the records of its query to objects. An object lives as long as results show its name
 * and identity, and no event has reported its end. Its serial, which is its inode number, is never used again. So a
 * disk that was unplugged and plugged again under the same name is another object, and open files of the old object
 * fail with ENODEV.
 *
 * In a collection that keeps outcomes, an object whose record has gone stays, with its last record, until it is
 * forgotten, its name is used again, or enough others have ended after it. No query concerns it any more.
 */
#ifndef FS_OBJECT_H
#define FS_OBJECT_H

#include "fs/util/gone.h"
#include "fs/vm/bus.h"
#include "fs/vm/ended.h"
#include "fs/vm/query.h"

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

/*
 * All collections of a VM. Embedded in struct vm.
 */
struct objects {
        struct vm *vm;
        struct subscriber subscriber;
        struct list collections;
        struct list ended; /* what events have reported, for each sort of event that ends objects */
        struct gone gone;  /* paths that lead to other objects now, see kind_qom.c */
};

void objects_init(struct objects *objects, struct vm *vm);
/* Frees all collections. Their objects must have no other references. */
void objects_deinit(struct objects *objects);

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

struct object {
        unsigned refs;
        struct collection *collection;
        uint64_t serial;
        char *name;     /* as a file name */
        char *identity; /* or NULL */
        /*
         * The path of its device, or NULL: none, or no usable path. It may change (and be freed) with each
         * collection_require() and object_require(), and with object_is_alive() where objects are kept.
         */
        char *device;
        char *anonymous; /* the path of a device that its record does not name, once found; it stays the same */
        size_t index;    /* of its record */
        bool alive;      /* see object_is_alive() */
        bool kept;       /* its record has gone; alive, too */
        bool removed;    /* removed by `remove` */
        bool deleted;    /* its device was deleted, by any monitor or the guest, … */
        bool doubtful;   /* a device was that may have been its own */
        bool missing;    /* or a result no longer contained it, … */
        uint64_t ended;  /* … when the vm's stamp was this */
        unsigned pass, twins;
        struct timespec born;
        uint64_t epoch; /* the vm's, when it was made */
        /* in collections that keep objects: */
        struct list link;            /* of those that are kept */
        struct json_object *record;  /* its last one */
        struct json_object *outcome; /* see object_set_outcome(); NULL: none */
};

/* Finds the collection of the row's data, or creates it on first use. Owned by the vm. 0 or -ENOMEM. */
int collection_get(struct vm *vm, const struct each *each, struct collection **ret_collection);

/* Ensures that the query is fresh (see query_require()) and updates the objects from it. */
int collection_require(struct collection *collection, struct waiter *waiter, enum freshness freshness);

/* Borrowed; NULL: not found. */
struct object *collection_find(struct collection *collection, const char *name);
struct object *collection_find_device(struct collection *collection, const char *device);

/* Ends this object, whose record has gone. */
void object_kill(struct object *object);
/*
 * The object's device, which its record does not name, has been found at @path. 0, or -ENODEV if it was found
 * elsewhere before: then the object has ended. An object whose device was never found ends when any anonymous device
 * is deleted, since that may have been its own, and another device may have its name and its back end by now.
 */
int object_set_anonymous(struct object *object, const char *path);
/*
 * How the object ends: members that replace those of its record from the time when the record has gone. Without effect
 * in collections that keep no objects; an object that would exceed KEPT_RECORD_MAX is not kept. The caller keeps its
 * reference. 0; of an object that is kept already: -ENOMEM or -E2BIG, and nothing was changed.
 */
int object_set_outcome(struct object *object, struct json_object *outcome);
/* Ends an object that is kept. 0, or -EBUSY: it has not ended. */
int object_forget(struct object *object);
/*
 * Whether the object still exists, or is kept. Carries out first what events have noted; the fields of objects are valid
 * afterwards.
 */
bool object_is_alive(struct object *object);

/* Gets the object's record, borrowed. Returns as collection_require(), or -ENODEV if the object has ended. */
int object_require(struct object *object, struct waiter *waiter, enum freshness freshness,
                   struct json_object **ret_record);

/* The last known record, borrowed; NULL: none. */
struct json_object *object_record(struct object *object);

struct object *object_ref(struct object *object);
struct object *object_unref(struct object *object);

#endif
