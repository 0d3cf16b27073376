/*
 * Catalogs (kind_catalog.c): directories whose names come from QEMU and whose files are of one kind.
 */
#ifndef FS_CATALOG_H
#define FS_CATALOG_H

#include "fs/vm/fetch.h"
#include "fs/kinds/kinds.h"

/* The data of a catalog's row. */
struct catalog {
        const struct row *rows; /* files of its own, listed before the names; NULL: none */
        const struct row *file; /* the row of each name; the row's own name is the placeholder in docs/tree.md */
        /* the row of commands that no plain read may send, see reads.h; NULL: the same as file */
        const struct row *asked;
        /* ensures that the names are known; 0, WAITER_PARKED or a negative errno */
        int (*require)(struct request *r, struct inode *dir);
        /* QEMU's name for a file name, after require(); borrowed. 0, -ENOENT or -ENOMEM */
        int (*find)(struct inode *dir, const char *file_name, const char **ret_name);
        /*
         * The @i-th file name, after require(); owned by the caller. NULL: out of memory; empty: the directory has no
         * file for this name. Returns false after the last name.
         */
        bool (*name)(struct inode *dir, size_t i, char **ret_file_name);
        enum qmp_meta_type meta; /* for schema_*: selects the commands, the events, or (any other value) the types */
        bool unstable;           /* for queries_* */
};

/*
 * Ensures that QEMU's name for a file of a catalog is known. The name is borrowed until control returns to the event
 * loop. -ENODEV: it no longer exists.
 */
int catalog_require_name(struct request *r, struct inode *inode, const char **ret_name);

/* kind_schema.c: for catalogs of the commands, events or types of the schema [meta] */
int schema_require(struct request *r, struct inode *dir);
int schema_find(struct inode *dir, const char *file_name, const char **ret_name);
bool schema_name(struct inode *dir, size_t i, char **ret_file_name);
/* The size of the entity's description; -1: out of memory. */
int64_t schema_text_size(const struct qmp_schema *schema, const struct qmp_entity *entity);

/*
 * kind_queries.c: for catalogs of the queries that need no arguments: the stable ones or, with [unstable], the others
 */
int queries_find(struct inode *dir, const char *file_name, const char **ret_name);
bool queries_name(struct inode *dir, size_t i, char **ret_file_name);

/* kind_types.c: for the catalog of the device types */
int types_require(struct request *r, struct inode *dir); /* sends no command: the types that are known */
int types_find(struct inode *dir, const char *file_name, const char **ret_name);
bool types_name(struct inode *dir, size_t i, char **ret_file_name);
/* Stores the properties of a type [plan_type] that a write has queried, for types/. Returns as asked_keep(). */
int types_keep(struct vm *vm, const struct query_spec *spec, struct json_object *properties);

#endif
