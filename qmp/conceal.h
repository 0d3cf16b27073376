/*
 * What may be a secret is not shown in logs and traces: neither values that a user gave to a command, where QEMU
 * quotes them in its errors (QEMU 7.2's qom-set: "Parameter 'policy' does not accept value 'hunter2'"), nor what QMP
 * messages carry. Pure. "…" stands in the place of a value.
 */
#ifndef QMP_CONCEAL_H
#define QMP_CONCEAL_H

#include "util.h"

/*
 * What QEMU said to a command with those arguments, without the values in it: all strings among the arguments and the
 * words that they are made of, but for those under keys which name things (device, id, filename, …) and hold no URL.
 * What has less than four bytes is hidden only where it is in quotes. @arguments may be NULL. The caller's; NULL: out
 * of memory.
 */
char *qmp_conceal_values(const char *text, struct json_object *arguments);

/*
 * Hides the credentials in all strings of a value, in place: "http://bob:secret@host/a?token" becomes "http://…@host/a?…",
 * and what follows "json:" or the name of an image behind "rbd:" becomes "…". 0 or -ENOMEM; part of it may be hidden then.
 */
int qmp_conceal_credentials(struct json_object *value);

/*
 * A QMP message for a trace: names of commands and events, the keys, true, false and null, an error's class and what
 * events carry are left; strings under all else, and numbers in arguments, are not. The caller's; NULL: out of
 * memory.
 */
char *qmp_conceal_message(const char *json);

#endif
