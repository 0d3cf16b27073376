/*
 * Collections: directories with one directory per object of a query, and the identity of those objects.
 *
 * A collection maps the records of its latest snapshot to objects. An object lives as long as snapshots show it under
 * its name, with its identity, and no event told of its end; its serial, which is its inode number, is never used again.
 * So a disk that was unplugged and plugged again under the same name is another object, and whoever has a file of the
 * old one open gets ENODEV.
 */
#ifndef FS_OBJECT_H
#define FS_OBJECT_H

#include "snapshot.h"

struct lh_table;

/* What a collection's row (kind_collection) has for data. */
struct each {
        struct fetch_spec fetch; /* gives an array of records */
        /* the name before it is made a file name; the caller's, *ret_size bytes; NULL: out of memory */
        char *(*name)(struct json_object *record, size_t *ret_size);
        /* the path of the device it belongs to (see qdev_target()), the caller's; NULL: none. 0 or -ENOMEM */
        int (*device)(struct json_object *record, char **ret_path);
        /* what besides the name makes it the same object; may be NULL; borrowed until it is called again */
        const char *(*identity)(struct json_object *record);
        const struct row *rows; /* the files of each object, which come before its members */
        bool has_anonymous;     /* an object without a path may have a device, see object_set_anonymous() */
        bool properties; /* the QOM properties of its device are the object's files, instead of the record's members */
};

struct collection {
        struct list link; /* in the vm */
        struct vm *vm;
        const struct each *each;
        struct snapshot *snapshot;
        uint64_t synced; /* the snapshot's serial */
        uint64_t ended;  /* the vm's stamp when an object was ended by an event: older results still show it */
        unsigned pass;
        struct lh_table *objects; /* name to struct object; … */
        size_t n_left;            /* … so many have left it since it was made anew */
};

struct object {
        unsigned refs;
        struct collection *collection;
        uint64_t serial;
        char *name;     /* as a file name */
        char *identity; /* or NULL */
        /* The path of its device, or NULL: none, or none that QEMU could be told. It may change (and be freed) whenever the
         * collection or the object is required anew. */
        char *device;
        char *anonymous; /* the path of a device that its record does not name, once found; it stays the same */
        size_t index;    /* of its record */
        bool alive;      /* see object_is_alive() */
        bool removed;    /* by `remove` */
        bool deleted;    /* its device was, by whomever, … */
        bool doubtful;   /* a device was that may have been its own */
        bool missing;    /* or a result did not show it any more, … */
        uint64_t ended;  /* … when the vm's stamp was this */
        unsigned pass, twins;
        struct timespec born;
        uint64_t epoch; /* the vm's, when it was made */
};

/* The collection of the row's data, made when it is first asked for; the vm's. 0 or -ENOMEM. */
int collection_get(struct vm *vm, const struct each *each, struct collection **ret_collection);
/* All of the vm's collections; their objects must have no other users. */
void collections_free(struct vm *vm);

/* Makes sure of the snapshot (see snapshot_require()) and brings the objects up to date with it. */
int collection_require(struct collection *collection, struct request *r, enum freshness freshness);

/* Borrowed; NULL: there is none. */
struct object *collection_find(struct collection *collection, const char *name);
struct object *collection_find_device(struct collection *collection, const char *device);

/*
 * The device at @path is gone, or all of them (NULL): their objects have ended. It is only noted, and done when somebody
 * looks next, since QEMU may send any number of events.
 */
void objects_kill(struct vm *vm, const char *path);
/* This one has ended. */
void object_kill(struct object *object);
/*
 * The object's device, which its record does not name, has been found at @path. 0, or -ENODEV if it was found elsewhere
 * before: then the object has ended. An object whose device was never found ends when any anonymous device is deleted,
 * since that may have been its own, and another device may have its name and its back end by now.
 */
int object_set_anonymous(struct object *object, const char *path);
/* All of the vm's notes are carried out; objects' members may be looked at afterwards. */
bool object_is_alive(struct object *object);

/* Makes sure of the object's record, which is borrowed. As collection_require(), and -ENODEV if the object has gone. */
int object_require(struct object *object, struct request *r, enum freshness freshness,
                   struct json_object **ret_record);

/* The record by what is known; NULL if there is none. Borrowed. */
struct json_object *object_record(struct object *object);

struct object *object_ref(struct object *object);
struct object *object_unref(struct object *object);

#endif
