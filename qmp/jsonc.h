/*
 * Wrappers that make json-c (0.16) fail cleanly when memory runs out, rather than lose data.
 */
#ifndef QMP_JSONC_H
#define QMP_JSONC_H

#include "qmp/util.h"

/*
 * json-c checks its own allocations only in part. Its parser silently truncates strings and keys whose buffer cannot
 * grow, loses members, and aborts the process if a key cannot be copied; see json_c_as_it_is in tests/wire/test_alloc_outside.c.
 * This makes the buffer large enough for a token of @longest bytes, and tests whether a tree of @tree bytes, an upper
 * bound, could be allocated. That memory may still be taken by another process in the meantime, but not where the
 * limit is the process's own (RLIMIT_AS). Returns 0 or -ENOMEM.
 */
int qmp_json_reserve(struct json_tokener *tokener, size_t longest, uint64_t tree);

/*
 * Whether a parse without a value has run out of memory. json-c 0.17 has an error for this, older versions report
 * none.
 */
bool qmp_json_lacks_memory(struct json_tokener *tokener);

/*
 * Formats a value as JSON with json-c's flags (except for colors). The text is borrowed until the value is used
 * again. json-c's own function silently omits parts of the text that there is no memory for. Returns 0 or -ENOMEM.
 */
int qmp_json_text(struct json_object *value, int flags, const char **ret_text, size_t *ret_size);

#endif
