/*
 * A binding says where in a JSON record a value is, so that a row can declare it as data. Pure.
 *
 * A binding consists of alternatives separated by '|': the first one that gives a value counts. An alternative is a
 * text with at most one "{path}", a path the names of nested members separated by '.':
 *
 *   {device}|{qdev}|{inserted.node-name}
 *   slot-{data.slot}|{data.memdev}
 *
 * "{path/}" says that the value is an id or, if it begins with '/', a QOM path. Of a path, the text is the name of the
 * whole device or object, see qdev_target(); an id is taken as it is.
 *
 * A missing member, null, an empty string and a negative integer give no value. A plain binding has only
 * alternatives that are nothing but "{path}"; one of devices may also have "{path/}".
 *
 * Bindings are part of our tables: the functions assert that they are valid.
 */
#ifndef FS_BINDING_H
#define FS_BINDING_H

#include "qmp/util.h"

/* The limit of a member name in a binding. */
#define BINDING_NAME_MAX 63

/* For tests of the tables. */
bool binding_is_valid(const char *binding);
bool binding_is_plain(const char *binding);
bool binding_is_of_devices(const char *binding);

/*
 * The value as text: a string as it is, which may contain NUL, an integer in decimal, a boolean as true or false; any
 * other type gives no value. *ret_text is owned by the caller and ends with a NUL that *ret_size does not count. 0,
 * -ENOENT: no alternative has a value, or -ENOMEM.
 */
int binding_text(const char *binding, struct json_object *record, char **ret_text, size_t *ret_size);

/*
 * The path of the device that the value names, see qdev_target(): "{path/}" has an id or a path, "{path}" an id, which
 * may begin with '/'. A string that contains NUL, and an id to which no path leads (qdev_id_is_usable()), give no value.
 * The binding must be one of devices. *ret_path is owned by the caller. 0, -ENOENT: no alternative has a value, or
 * -ENOMEM.
 */
int binding_device(const char *binding, struct json_object *record, char **ret_path);

/*
 * The same as binding_text() for strings alone, borrowed from the record: any other type, and a string that contains NUL, gives no
 * value. The binding must be plain. NULL: no value.
 */
const char *binding_string(const char *binding, struct json_object *record);

/* The value of any type, borrowed from the record. The binding must be plain. NULL: no value. */
struct json_object *binding_get(const char *binding, struct json_object *record);

#endif
