/*
 * JSON that people write: strict, whole, and without losses. And what json-c (0.16) needs to be used without losses when
 * there is no memory.
 */
#ifndef QMP_JSON_H
#define QMP_JSON_H

#include <errno.h>

#include "util.h"

/* Levels of nesting. QEMU's own limit is 1024, for the whole command. */
#define QMP_JSON_DEPTH_MAX 1000

/*
 * The next value of @text, from *offset on, which is moved behind it and the blanks that follow. Strict JSON (RFC 8259);
 * besides, what json-c would change in silence is refused: a key that occurs twice in an object or has a NUL, an integer
 * that fits neither in 64 bits with sign nor without; and what QEMU takes for no UTF-8. 0, -ENOMEM, or -EINVAL with *ret_why, the caller's. A value may be JSON null,
 * which is NULL.
 */
int qmp_json_next(const char *text, size_t *offset, struct json_object **ret_value, char **ret_why);

/* The same for a text that is one value. */
int qmp_json_parse(const char *text, struct json_object **ret_value, char **ret_why);

/* Whether it is nested deeper than QMP_JSON_DEPTH_MAX, as nothing is that was parsed here. */
bool qmp_json_is_too_deep(struct json_object *value);

/*
 * Whether that is the UTF-8 which QEMU accepts. What is not must never be sent: QEMU could not tell then where the next
 * command begins, nor whom it answers. 0 or -EINVAL.
 */
int qmp_utf8_check(const char *text, char **ret_why);

/*
 * json-c checks its own allocations only in part. Of its parser all strings and keys are cut in silence whose buffer can't
 * grow, members get lost, and a key that can't be copied ends the process; see json_c_as_it_is in tests/test_alloc.c.
 * This makes the buffer large enough for a token of @longest bytes, and finds out whether there is memory for a tree of @tree
 * bytes, by an estimate from above. What is left is that somebody else takes it in between, which a limit of the
 * process's own (RLIMIT_AS) can't bring about. 0 or -ENOMEM.
 */
int qmp_json_reserve(struct json_tokener *tokener, size_t longest, uint64_t tree);

/* Whether that is why a parse gave no value: json-c 0.17 has an error for it, before it ended without any. */
bool qmp_json_lacks_memory(struct json_tokener *tokener);

/*
 * The JSON text of a value, by json-c's flags (without colors), borrowed until the value is used again. json-c's own function
 * leaves parts of the text out in silence if there is no memory for them: half a command, or a part of a name. 0 or -ENOMEM.
 */
int qmp_json_text(struct json_object *value, int flags, const char **ret_text, size_t *ret_size);

/* *ret_why is set to the words, or NULL without memory. Returns -EINVAL. */
_printf_(2, 3) int qmp_invalid(char **ret_why, const char *format, ...);
#ifdef __clang_analyzer__ /* it sees one source at a time, and would take it for a success */
#define qmp_invalid(...) (qmp_invalid(__VA_ARGS__), -EINVAL)
#endif

#endif
