/*
 * Hides possible secrets in logs and traces: argument values that QEMU quotes in its errors (QEMU 7.2's qom-set:
 * "Parameter 'policy' does not accept value 'hunter2'"), and the contents of QMP messages. Each hidden value is
 * replaced by "…". Pure.
 */
#ifndef QMP_CONCEAL_H
#define QMP_CONCEAL_H

#include "util.h"

/*
 * Returns a copy of @text, QEMU's error for a command with these arguments, in which argument values are hidden: all
 * strings among the arguments, and the words that they consist of, except for values without a URL under keys that
 * name something (device, id, filename, …). A word of fewer than four bytes is hidden only where it is quoted.
 * The first 32 bytes of a value count as the value, as does its beginning at the end of the text, which QEMU may have cut
 * there. If the text and the values are so large that the search would take long, the whole text is hidden.
 * @arguments may be NULL. The caller owns the result, which is NULL if out of memory.
 */
char *qmp_conceal_values(const char *text, struct json_object *arguments);

/*
 * Hides the credentials in all strings of a value, in place: "http://bob:secret@host/a?token" becomes
 * "http://…@host/a?…", and the text after "json:", or after the name of an image in "rbd:", becomes "…". Returns 0 or
 * -ENOMEM, after which part of the value may be hidden.
 */
int qmp_conceal_credentials(struct json_object *value);

/*
 * Returns a copy of a QMP message for a trace. Names of commands and events, keys, true, false and null, the class of
 * an error and the data of events are kept; all other strings, and numbers in arguments, are hidden. The caller owns
 * the result, which is NULL if out of memory.
 */
char *qmp_conceal_message(const char *json);

#endif
