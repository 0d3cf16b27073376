/*
 * The kinds of rows, one behaviour each. The fields of the row that a kind uses are in brackets.
 */
#ifndef FS_KINDS_H
#define FS_KINDS_H

#include "fs/fuse/node.h"
#include "fs/vm/collection.h"
#include "fs/fuse/request.h"
#include "fs/fuse/rows.h"
#include "fs/kinds/action.h"

/* kind_dir.c: a directory of rows [data: the rows, ended by one without a name]. */
extern const struct kind kind_dir;

/* kind_collection.c: one directory for each object of a query [data: struct each]. */
extern const struct kind kind_collection;

/* kind_member.c: JSON members as files and directories; in objects only, made by kind_collection. */
int member_lookup(struct inode *dir, struct json_object *value, const char *name, struct inode **ret_inode);
int member_list(struct inode *dir, struct json_object *value, const struct row *hidden, struct listing *listing);

/* kind_property.c: QOM properties as files; in objects only, made by kind_collection. */
int property_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode);
int property_list(struct request *r, struct inode *dir, const struct row *hidden, struct listing *listing);
/*
 * Finds the property of a file name in @properties ({name: type}, or NULL), and its type, if @ret_type isn't NULL.
 * Both are borrowed. 0, -ENOENT or -ENOMEM.
 */
int property_find(struct json_object *properties, const char *file_name, const char **ret_name,
                  const char **ret_type);
/*
 * Whether a read of a property failed because the property no longer exists. Its name was in the object's list, so
 * the error "Property 'nvme.x' not found" means that it was removed meanwhile.
 */
bool property_has_gone(const struct request *r, int error);
/* All readable properties of the object's device, as one JSON object. */
extern const struct kind kind_properties;

/* kind_query.c: the current result of a query [query]. */
extern const struct kind kind_json;  /* the complete result, indented */
extern const struct kind kind_value; /* [member] the bare value of a member; an absent member is an empty line */
extern const struct kind
        kind_state; /* the same, but "down" without a connection, and "running" if the server lacks the query */
extern const struct kind kind_version;      /* "7.2.22 (Debian …)" of query-version */
extern const struct kind kind_record;       /* in objects: the object's record, indented */
extern const struct kind kind_record_value; /* in objects: [member] the bare value of a member of the record */

/* kind_connection.c: the state of the connection. */
extern const struct kind kind_connection;

/* kind_ctl.c: verbs [data: struct verb, ended by one without a name]. */
struct verb {
        const char *name;
        const char *help;
        struct action action;
};
extern const struct kind kind_ctl;

/* kind_action.c: what a write does, to the object that the file is in, if any [data: struct action_file]. */
struct action_file {
        const char *help; /* how it is used, a line or several, without the last newline */
        struct action action;
};
extern const struct kind kind_action;

/*
 * kind_attribute.c: in objects: a value of the record that can be set [data: struct attribute]. A write is done when
 * the value is shown, if the action is ACTION_SHOWN.
 */
struct attribute {
        const char *value;    /* a plain binding to the record */
        const char *argument; /* what is written has this name for the action */
        unsigned multiple_of; /* an integer must be a multiple of this; 0: any */
        const char *lower;    /* the word of the action without which no lower value is accepted; NULL: none */
        struct action action;
};
extern const struct kind kind_attribute;

/* kind_log.c: the log of failed requests. */
extern const struct kind kind_errors;
/* kind_events.c: events, as a log and as a stream. */
extern const struct kind kind_events;

/* kind_remove.c: in objects: removal of the object's device [data: struct remove]. */
struct remove { /* plain bindings (binding.h) to the record */
        /*
         * The device, by id or path, whose "drive" is checked; NULL: the device is the object's own, without a drive.
         */
        const char *qdev;
        const char *drive;        /* the name of the entry, which must equal the device's "drive" */
        const char *legacy_drive; /* the name of the legacy drive that is removed with the device; or NULL */
        const char *node;         /* its node; or NULL */
        const char *slot;         /* of a memory device; or NULL */
};
extern const struct kind kind_remove;

/* kind_link.c: in objects: a link to the object's device in devices/ [data: its struct each], and in qom/. */
extern const struct kind kind_device_link;
extern const struct kind kind_qom_object_link;

/* kind_catalog.c: names from QEMU, all files of one kind [data: struct catalog]. */
extern const struct kind kind_catalog;
/* In catalogs: */
extern const struct kind kind_schema;      /* kind_schema.c: the schema's entity of this name, as text */
extern const struct kind kind_query_file;  /* kind_queries.c: the result of the query */
extern const struct kind kind_query_asked; /* the same, after a write to the file */
extern const struct kind kind_type; /* kind_types.c: the properties of a device type, after a write to the file */
extern const struct kind kind_type_list; /* the names of all device types, after a write to the file */
extern const struct kind kind_command;   /* kind_command.c: write arguments, read the reply */

/* kind_qom.c: the object model [data: struct qom_rows]. */
struct qom_rows {
        const struct row *property; /* of each property */
        const struct row *objects;  /* of the directory "objects" in the root */
};
extern const struct kind kind_qom;
extern const struct kind kind_qom_property;
/*
 * The target of a link to the object at @path, from @up directories below the root of qom/. Owned by the caller; 0,
 * -ENOMEM or -ENAMETOOLONG.
 */
int qom_target(const char *path, unsigned up, char **ret_target);

/* kind_qmp.c, kind_hmp.c: direct access to the monitors. */
extern const struct kind kind_qmp;
extern const struct kind kind_hmp;

/*
 * Finds the QOM path of the object's device, by its record or, for an anonymous memory device, by its memdev. 0,
 * WAITER_PARKED or a negative errno; -ENODEV: it has no device. *ret_path is borrowed from the object or the
 * query.
 */
int object_device(struct request *r, struct object *object, const char **ret_path);

#endif
