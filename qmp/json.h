/*
 * Strict parsing of JSON written by users, without any loss of information.
 */
#ifndef QMP_JSON_H
#define QMP_JSON_H

#include <errno.h>

#include "qmp/util.h"

/* Levels of nesting. QEMU's own limit is 1024, for the whole command. */
#define QMP_JSON_DEPTH_MAX 1000

/*
 * Parses the next value of @text at *offset, and advances *offset past the value and any blanks that follow. The
 * input must be strict JSON (RFC 8259). Input that json-c would change silently is rejected: a key that occurs twice
 * in an object or contains a NUL, and an integer outside the range of int64_t and uint64_t. So is UTF-8 that QEMU
 * does not accept. Returns 0, -ENOMEM, or -EINVAL with *ret_why, which the caller owns and which does not quote the
 * text. JSON null is NULL.
 */
int qmp_json_next(const char *text, size_t *offset, struct json_object **ret_value, char **ret_why);

/* The same for a text that consists of one value. */
int qmp_json_parse(const char *text, struct json_object **ret_value, char **ret_why);

#define QMP_JSON_INCOMPLETE 1

/*
 * Whether @text consists of JSON objects and lists, any number of them: 0, -EINVAL or -ENOMEM. QMP_JSON_INCOMPLETE: so
 * far, but the end of the last one is missing.
 */
int qmp_json_check(const char *text);

/* Whether a value is nested deeper than QMP_JSON_DEPTH_MAX. Values parsed by the functions above never are. */
bool qmp_json_is_too_deep(struct json_object *value);

/*
 * Checks that the text is UTF-8 as QEMU accepts it. Other text must never be sent: QEMU's parser would lose track of
 * where the next command begins, and replies could no longer be matched. Returns 0 or -EINVAL.
 */
int qmp_utf8_check(const char *text, char **ret_why);

/* Sets *ret_why to the formatted message, or to NULL if out of memory. Returns -EINVAL. */
_printf_(2, 3) int qmp_invalid(char **ret_why, const char *format, ...);
#ifdef __clang_analyzer__ /* analyses one source file at a time, and would assume success */
#define qmp_invalid(...) (qmp_invalid(__VA_ARGS__), -EINVAL)
#endif

#endif
