/*
 * The kinds that rows are made of, one behaviour each; in brackets what of the row a kind uses.
 */
#ifndef FS_KINDS_H
#define FS_KINDS_H

#include "node.h"
#include "object.h"
#include "request.h"

/* kind_dir.c: a directory of rows [data: the rows, ended by one without a name]. */
extern const struct kind kind_dir;

/*
 * Finds or makes the child for the row of that name in @rows; -ENOENT. @record: of the object, or NULL. Rows whose commands the
 * server lacks are absent; to know that may take a wait (REQUEST_PARKED), or fail.
 */
int rows_lookup(struct request *r, const struct row *rows, struct inode *dir, const char *name,
                struct json_object *record, struct inode **ret_inode);
int rows_list(struct request *r, const struct row *rows, struct inode *dir, struct json_object *record,
              struct listing *listing);
/* Whether the server has what the row needs, as far as is known. */
bool row_is_supported(const struct vm *vm, const struct row *row);
/* Whether a row has that name, present or not: it hides a member's. */
bool rows_have(const struct row *rows, const char *name);

/* kind_collection.c: one directory for each object of a query [data: a struct each]. */
extern const struct kind kind_collection;

/* kind_member.c: JSON members as files and directories; in objects only, made by kind_collection. */
int member_lookup(struct inode *dir, struct json_object *value, const char *name, struct inode **ret_inode);
int member_list(struct inode *dir, struct json_object *value, const struct row *hidden, struct listing *listing);

/* kind_property.c: QOM properties as files; in objects only, made by kind_collection. */
int property_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode);
int property_list(struct request *r, struct inode *dir, const struct row *hidden, struct listing *listing);
/* The property's own name behind a file's, in {name: type}, which may be NULL; with its type, if @ret_type isn't NULL. Both
 * borrowed. 0, -ENOENT or -ENOMEM. */
int property_find(struct json_object *properties, const char *file_name, const char **ret_name,
                  const char **ret_type);
/* Whether reading a property failed because it isn't there any more: its name was in the object's list, so what QEMU
 * calls a wrong name ("Property 'nvme.x' not found") has gone. */
bool property_has_gone(const struct request *r, int error);
/* For release: lets go of the inode's query, of which a walk over thousands of properties would leave as many. */
void property_release(struct file *file);
/* All properties of the object's device that can be read, as one JSON object. */
extern const struct kind kind_properties;

/* kind_query.c: what a query returns [query], live. */
extern const struct kind kind_json;  /* all of it, pretty */
extern const struct kind kind_value; /* [member] the bare value of a member; an absent one is empty */
extern const struct kind kind_state; /* the same, or "down" without a connection, or "running" without such a query */
extern const struct kind kind_version;      /* "7.2.22 (Debian …)" of query-version */
extern const struct kind kind_record;       /* in objects: the object's record, pretty */
extern const struct kind kind_record_value; /* in objects: [member] the bare value of a member of the record */

/* kind_connection.c: how the connection is. */
extern const struct kind kind_connection;

/* kind_ctl.c: verbs [data: struct verb, ended by one without a name]. */
struct verb {
        const char *name;
        const char *help;
        const char *command;  /* the QMP command */
        const char *until[3]; /* done after the reply and one of these events; none: with the reply */
        bool ends;            /* done with the end of the connection */
        bool guest;           /* the guest has to do it: unplug_timeout, "nowait" and "timeout=SEC" */
        /*
         * It may get lost in the guest: while somebody waits it is sent again, so long after it was sent the last time,
         * unless "once" was written; 0: not.
         */
        uint64_t repeat_ns;
        const char *told_by; /* the event that tells of each time, whoever sent it */
};
extern const struct kind kind_ctl;

/* kind_log.c: the lines that failed requests left. */
extern const struct kind kind_errors;
/* kind_events.c: events, as a log and as a stream. */
extern const struct kind kind_events;

/* kind_remove.c: in objects: removal of the object's device [data: a struct remove]. */
struct remove {
        /* What names the device in the record, an id or a path, and what must be found as its "drive"; NULL: the device
         * of the object is it and there is no drive. Borrowed from the record. */
        const char *(*qdev)(struct json_object *record);
        /* The name of the entry, by which the device's "drive" must know it; borrowed. */
        const char *(*drive)(struct json_object *record);
        /* The name of the legacy drive that goes with the device, or NULL; borrowed. */
        const char *(*legacy_drive)(struct json_object *record);
        /* Its node, or NULL; borrowed. */
        const char *(*node)(struct json_object *record);
        /* The slot of a memory device, or -1. */
        int (*slot)(struct json_object *record);
};
extern const struct kind kind_remove;

/* kind_link.c: in objects: a link to the object's device in devices/, and in qom/. */
extern const struct kind kind_device_link;
extern const struct kind kind_qom_object_link;

/* kind_catalog.c: names that QEMU gives, each a file of one sort [data: a struct catalog]. */
extern const struct kind kind_catalog;
/* In catalogs: */
extern const struct kind kind_schema;      /* kind_schema.c: what the schema has of that name, as text */
extern const struct kind kind_query_file;  /* kind_queries.c: what the query returns */
extern const struct kind kind_query_asked; /* the same, once a write has asked for it */
extern const struct kind kind_type; /* kind_types.c: a device type's properties, once a write has asked for them */
extern const struct kind kind_type_list; /* the names of all device types, once a write has asked for them */
extern const struct kind kind_command;   /* kind_command.c: write arguments, read the reply */

/* kind_qom.c: the object model. */
extern const struct kind kind_qom;
extern const struct kind kind_qom_property;
/* The object at @path as a link's target, seen from @up directories below the model's root. The caller's; 0, -ENOMEM,
 * or -ENAMETOOLONG. */
int qom_target(const char *path, unsigned up, char **ret_target);

/* kind_qmp.c, kind_hmp.c: the monitors themselves. */
extern const struct kind kind_qmp;
extern const struct kind kind_hmp;

/*
 * Makes sure of the path of the object's device: by its record or, for an anonymous memory device, by its memdev.
 * @ret_path is borrowed from the object or the snapshot. -ENODEV: it has none.
 */
int object_device(struct request *r, struct object *object, const char **ret_path);

/* tree.c */
extern const struct row tree_root;
extern const struct row qom_property; /* each property in qom/ */
extern const struct row qom_objects;  /* qom/objects */
extern const struct each devices_each;

#endif
