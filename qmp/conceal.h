/*
 * Hides possible secrets in logs and traces: argument values that QEMU quotes in its errors (QEMU 7.2's qom-set:
 * "Parameter 'policy' does not accept value 'hunter2'"), and the contents of QMP messages. Each hidden value is
 * replaced by "…". Pure.
 */
#ifndef QMP_CONCEAL_H
#define QMP_CONCEAL_H

#include "qmp/util.h"

/*
 * Returns a copy of @text, QEMU's error for a command with these arguments, in which argument values are hidden: all
 * strings among the arguments, and their words and parts, except for values without credentials (see below) under
 * keys that name something (device, id, filename, …). Words are separated by blanks, commas and "=", parts also by
 * quotes and by the characters that URLs and JSON have between names. A word of fewer than four bytes is hidden only
 * where it is quoted, a shorter part not at all. The first 32 bytes of a value count as the value, as does its
 * beginning at the end of the text, which QEMU may have cut there. Adjacent values become one "…". If the text and
 * the values are so large that the search would take long, the whole text is hidden. @arguments may be NULL. The
 * caller owns the result, which is NULL if out of memory.
 */
char *qmp_conceal_values(const char *text, struct json_object *arguments);

/*
 * Returns a copy of @text in which the credentials of images are hidden: "http://bob:secret@host/a?token" becomes
 * "http://…@host/a?…" (without a scheme as well), and the text after "json:", after the name of an image in "rbd:",
 * or after "key=", "proxy-password=", "Token=", "\"cookie\":" and their like becomes "…". The last part of a key
 * counts, but "…-secret" names an object. They may be amid words. It is not known where one of them ends, as a
 * password may contain any character; in doubt more is hidden, up to the end of the text. Hiding it again changes
 * nothing. The caller owns the result, which is NULL if out of memory.
 */
char *qmp_conceal_text(const char *text);

/*
 * Does this to all strings of a value, in place. Returns 0 or -ENOMEM, after which part of the value may be hidden.
 */
int qmp_conceal_credentials(struct json_object *value);

/*
 * Returns a copy of a QMP message for a trace. Names of commands and events, keys, true, false and null, the class of
 * an error and the data of events are kept; all other strings, and numbers in arguments, are hidden. The caller owns
 * the result, which is NULL if out of memory.
 */
char *qmp_conceal_message(const char *json);

#endif
