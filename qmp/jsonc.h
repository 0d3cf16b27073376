/*
 * What json-c (0.16) needs to be used without losses when there is no memory.
 */
#ifndef QMP_JSONC_H
#define QMP_JSONC_H

#include "util.h"

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

#endif
