/*
 * Objects of collections, and their identity. The collections of a VM.
 *
 * A collection (collection.h) maps the records of its query to objects. An object lives as long as results show its name
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

struct collection;
struct each;
struct vm;

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

struct object *object_ref(struct object *object);
struct object *object_unref(struct object *object);

/* --- for collections -------------------------------------------------------------------------------------------- */

/* The collection lets go of the object. */
void object_end(struct object *object);
/* Its record has gone: it ends, or is kept if its collection says so; then collection_forget_oldest() is to be called. */
void object_lose(struct object *object);
/* The same because of an event of that stamp. */
void object_kill_at(struct object *object, uint64_t stamp);
/* Carries out what events have noted. */
void objects_settle(struct objects *objects);
/* What is noted of the event that ends objects, shared by all collections that it concerns alike. 0 or -ENOMEM. */
int objects_get_ended(struct objects *objects, const struct each *each, struct ended **ret_ended);

#endif
