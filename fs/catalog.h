/*
 * Catalogs (kind_catalog.c): directories whose names come from QEMU and are all of one sort.
 */
#ifndef FS_CATALOG_H
#define FS_CATALOG_H

#include "fetch.h"
#include "kinds.h"

/* What a catalog's row has for data. */
struct catalog {
        const struct row *rows; /* of its own, before the names; NULL: none */
        const struct row *file; /* what each name is; its own name is what docs/tree.md calls it */
        /* the same for commands that no plain read may send, see reads.h; NULL: like the others */
        const struct row *asked;
        /* makes sure that the names are known: 0, REQUEST_PARKED or an error */
        int (*require)(struct request *r, struct inode *dir);
        /* QEMU's name for a file name, after require(); borrowed. 0, -ENOENT or -ENOMEM */
        int (*find)(struct inode *dir, const char *file_name, const char **ret_name);
        /* The @i-th file name, after require(): the caller's; NULL without memory, empty where it is no file of this
         * directory. False: there are no more. */
        bool (*name)(struct inode *dir, size_t i, char **ret_file_name);
        enum qmp_meta_type meta; /* for schema_*: the list of commands, of events, or (any other) of types */
        bool unstable;           /* for queries_* */
};

/* Makes sure of QEMU's name for a file of a catalog; borrowed until the loop turns. -ENODEV: it has gone. */
int catalog_require_name(struct request *r, struct inode *inode, const char **ret_name);

/* kind_schema.c: for catalogs of what one of the schema's lists has [meta] */
int schema_require(struct request *r, struct inode *dir);
int schema_find(struct inode *dir, const char *file_name, const char **ret_name);
bool schema_name(struct inode *dir, size_t i, char **ret_file_name);
/* Of the entity's description; -1: out of memory. */
int64_t schema_text_size(const struct qmp_schema *schema, const struct qmp_entity *entity);

/* kind_queries.c: for catalogs of the queries that need no arguments, the stable or [unstable] the other ones */
int queries_find(struct inode *dir, const char *file_name, const char **ret_name);
bool queries_name(struct inode *dir, size_t i, char **ret_file_name);

/* kind_types.c: for the catalog of the device types */
int types_require(struct request *r, struct inode *dir); /* asks for nothing: those that are known */
int types_find(struct inode *dir, const char *file_name, const char **ret_name);
bool types_name(struct inode *dir, size_t i, char **ret_file_name);
/* The properties of a type [FETCH_TYPE], which a write has asked for: types/ has them from now on. As asked_keep(). */
int types_keep(struct vm *vm, const struct fetch_spec *spec, struct json_object *properties);

#endif
