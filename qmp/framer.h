/*
 * Splits a byte stream into JSON values. A monitor's output is a sequence of JSON objects; nothing is assumed about
 * newlines (with -qmp-pretty a value spans many lines, and two values may share a line). The end of a value is found
 * by counting brackets outside of strings, in one pass over the bytes; the JSON parser only sees complete texts. The
 * size of the text, its depth and the estimated memory of the parsed tree are limited as the bytes arrive, which
 * bounds the resources that a hostile peer can consume.
 */
#ifndef QMP_FRAMER_H
#define QMP_FRAMER_H

#include "qmp/util.h"

/* Bytes per message. QEMU has no limit of its own; query-block with 200 disks returns 160 KB. */
#define QMP_FRAMER_MAX_TEXT (UINT64_C(64) * 1024 * 1024 + 64 * 1024)
/* Levels of nesting: the limit of QEMU's own parser. */
#define QMP_FRAMER_MAX_DEPTH 1024
/* Estimated bytes of json-c's tree per message. The list of 5,000 disks takes 70 MB, the schema 5 MB. */
#define QMP_FRAMER_MAX_TREE (UINT64_C(256) * 1024 * 1024)

struct qmp_framer {
        char *buffer;
        size_t size, start, end; /* buffer size, first byte of the current value, end of the data */
        size_t scanned;          /* position of the scan; start <= scanned <= end */
        size_t depth;
        uint64_t tree;
        uint64_t memory; /* of the last value, its strings included, estimated */
        /* offset from @start after the last separator; greatest distance between two separators */
        size_t token, longest;
        bool in_value, in_string, in_escape;
        bool beyond_ascii; /* the value contains bytes that are not ASCII */
        size_t max_text;   /* tests lower it */
};

/* Cannot fail; deinit works on a zeroed framer and twice. */
void qmp_framer_init(struct qmp_framer *framer);
void qmp_framer_deinit(struct qmp_framer *framer);

/* Discards all received data, for a new connection, and frees the buffer. */
void qmp_framer_reset(struct qmp_framer *framer);

/*
 * Provides *ret_size bytes of room, at least 1. The caller reports how many it has filled with qmp_framer_fed().
 * Borrowed until the next call. Returns 0 or -ENOMEM.
 */
int qmp_framer_room(struct qmp_framer *framer, char **ret_room, size_t *ret_size);
void qmp_framer_fed(struct qmp_framer *framer, size_t n);

enum {
        QMP_FRAMER_MORE = 0,  /* no complete value yet */
        QMP_FRAMER_VALUE = 1, /* *ret_value is the next value, owned by the caller */
};

/*
 * Returns the next value if it is complete, or one of these errors:
 *   -EBADMSG   the data is not JSON (qmp_framer_rest() returns it)
 *   -EMSGSIZE  the value has more than max_text bytes
 *   -E2BIG     the tree of the value would be larger than QMP_FRAMER_MAX_TREE
 *   -ELOOP     the value is nested deeper than QMP_FRAMER_MAX_DEPTH
 *   -ENOMEM    nothing is lost: the call can be repeated
 * After any error other than -ENOMEM the framer can only be reset or deinitialised.
 */
int qmp_framer_next(struct qmp_framer *framer, struct json_object **ret_value);

/* The data that was received but not yet returned, for error messages. Borrowed, not terminated. */
const char *qmp_framer_rest(const struct qmp_framer *framer, size_t *ret_size);

#endif
