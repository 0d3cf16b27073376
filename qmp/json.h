/*
 * JSON that people write: strict, whole, and without losses.
 */
#ifndef QMP_JSON_H
#define QMP_JSON_H

#include <errno.h>

#include "util.h"

/* Levels of nesting. QEMU's own limit is 1024, for the whole command. */
#define QMP_JSON_DEPTH_MAX 1000

/*
 * The next value of @text, from *offset on, which is moved behind it and the blanks that follow. Strict JSON (RFC
 * 8259); besides, what json-c would change in silence is refused: a key that occurs twice in an object or has a NUL,
 * an integer that fits neither in 64 bits with sign nor without; and what QEMU takes for no UTF-8. 0, -ENOMEM, or
 * -EINVAL with *ret_why, the caller's, which quotes nothing of the text. A value may be JSON null, which is NULL.
 */
int qmp_json_next(const char *text, size_t *offset, struct json_object **ret_value, char **ret_why);

/* The same for a text that is one value. */
int qmp_json_parse(const char *text, struct json_object **ret_value, char **ret_why);

/* Whether it is nested deeper than QMP_JSON_DEPTH_MAX, as nothing is that was parsed here. */
bool qmp_json_is_too_deep(struct json_object *value);

/*
 * Whether that is the UTF-8 which QEMU accepts. What is not must never be sent: QEMU could not tell then where the
 * next command begins, nor whom it answers. 0 or -EINVAL.
 */
int qmp_utf8_check(const char *text, char **ret_why);

/* *ret_why is set to the words, or NULL without memory. Returns -EINVAL. */
_printf_(2, 3) int qmp_invalid(char **ret_why, const char *format, ...);
#ifdef __clang_analyzer__ /* it sees one source at a time, and would take it for a success */
#define qmp_invalid(...) (qmp_invalid(__VA_ARGS__), -EINVAL)
#endif

#endif
