/*
 * Numbers as people write them, and only those that can't be read in two ways. A sign '+' means "add" to some tools,
 * a leading 0 octal digits, "MB" a power of 1000, "64b" blocks: such a number is refused with the reason, and never
 * guessed. Pure.
 *
 * Functions return NULL, or why the text is not such a number, for "expected …, but REASON": static words, which
 * quote nothing of it, since a text in the wrong place may be a secret.
 */
#ifndef QMP_NUMBER_H
#define QMP_NUMBER_H

#include "util.h"

struct qmp_integer {
        bool negative; /* false for -0 */
        uint64_t magnitude;
};

/*
 * Decimal digits, with '-' before them or not; or such digits, without sign, with k, M, G, T, P (or a small letter),
 * E or B (bytes) behind them: powers of 1024; before a suffix other than B there may be a fraction, as long as the
 * result is an integer; or 0x and hexadecimal digits. In the range of a signed or an unsigned integer of 64 bits.
 */
const char *qmp_number_integer(const char *text, struct qmp_integer *ret_integer);

/* Digits, with a fraction or not. */
const char *qmp_number_decimal(const char *text, double *ret_number);

/* A JSON number of any sort. */
const char *qmp_number_json(const char *text, double *ret_number);

#endif
