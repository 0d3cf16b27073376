/*
 * Parsing of numbers written by users. Only unambiguous numbers are accepted. To some tools a '+' sign means "add", a
 * leading 0 means octal, "MB" is a power of 1000 and "64b" counts blocks: such a number is rejected with the reason
 * rather than guessed at. Pure.
 *
 * Functions return NULL on success. Otherwise they return the reason for "expected …, but REASON" as a static string.
 * It never quotes the text, which may be a secret written in the wrong place.
 */
#ifndef QMP_NUMBER_H
#define QMP_NUMBER_H

#include "qmp/util.h"

struct qmp_integer {
        bool negative; /* false for -0 */
        uint64_t magnitude;
};

/*
 * Decimal digits with an optional '-'; or digits without a sign, followed by one of the suffixes k, M, G, T, P (upper
 * or lower case), E, which are powers of 1024, or B (bytes); or 0x and hexadecimal digits. A fraction is accepted
 * before a suffix other than B if the result is an integer. The value must be in the range of int64_t or uint64_t.
 */
const char *qmp_number_integer(const char *text, struct qmp_integer *ret_integer);

/* Decimal digits with an optional fraction. */
const char *qmp_number_decimal(const char *text, double *ret_number);

/* Any JSON number. */
const char *qmp_number_json(const char *text, double *ret_number);

#endif
