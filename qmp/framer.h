/*
 * Bytes to JSON values. A monitor's output is a sequence of JSON objects; nothing about newlines is assumed (with
 * -qmp-pretty a value spans many lines, and two may share one). The end of a value is found by counting brackets
 * outside of strings, one pass over each byte; only a complete text is given to the JSON parser. Text, depth and the
 * memory that the parsed tree would take are bounded while it arrives, so a hostile peer costs at most that.
 */
#ifndef QMP_FRAMER_H
#define QMP_FRAMER_H

#include "util.h"

/* Bytes of one message. QEMU has no limit of its own; query-block of 200 disks is 160 KB. */
#define QMP_FRAMER_MAX_TEXT (UINT64_C(64) * 1024 * 1024 + 64 * 1024)
/* Levels of nesting: the limit of QEMU's own parser. */
#define QMP_FRAMER_MAX_DEPTH 1024
/* Estimated bytes of the tree that json-c would build of one message. The list of 5,000 disks has 70 MB, the schema 5. */
#define QMP_FRAMER_MAX_TREE (UINT64_C(256) * 1024 * 1024)

struct qmp_framer {
        char *buffer;
        size_t size, start, end; /* of the buffer: allocated, first byte of the current value, end of the data */
        size_t scanned;          /* where the scan stands; start <= scanned <= end */
        size_t depth;
        uint64_t tree;
        /* behind the last separator, from @start on; and the longest way between two of them */
        size_t token, longest;
        bool in_value, in_string, in_escape;
        bool beyond_ascii; /* something of the value is */
        size_t max_text;   /* tests lower it */
};

/* Cannot fail; deinit works on a zeroed framer and twice. */
void qmp_framer_init(struct qmp_framer *framer);
void qmp_framer_deinit(struct qmp_framer *framer);

/* Forgets everything that was received (for a new connection) and gives large memory back. */
void qmp_framer_reset(struct qmp_framer *framer);

/* Room for at least 1 byte, *ret_size at most, to be filled and told with qmp_framer_fed(). Borrowed until the next
 * call. 0 or -ENOMEM. */
int qmp_framer_room(struct qmp_framer *framer, char **ret_room, size_t *ret_size);
void qmp_framer_fed(struct qmp_framer *framer, size_t n);

enum {
        QMP_FRAMER_MORE = 0,  /* no complete value yet */
        QMP_FRAMER_VALUE = 1, /* *ret_value is the next value, the caller's */
};

/*
 * The next value, if one is complete. Or:
 *   -EBADMSG   not JSON (what is there can be seen with qmp_framer_rest())
 *   -EMSGSIZE  a value of more than max_text bytes
 *   -E2BIG     a value whose tree would be larger than QMP_FRAMER_MAX_TREE
 *   -ELOOP     a value nested deeper than QMP_FRAMER_MAX_DEPTH
 *   -ENOMEM    nothing is lost: it may be called again
 * After another error nothing but reset or deinit makes sense.
 */
int qmp_framer_next(struct qmp_framer *framer, struct json_object **ret_value);

/* What has arrived and was not yet returned, for error messages; borrowed, not terminated. */
const char *qmp_framer_rest(const struct qmp_framer *framer, size_t *ret_size);

#endif
