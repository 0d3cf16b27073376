/*
 * UTF-8 by RFC 3629: shortest forms, no surrogates, nothing beyond U+10FFFF.
 */
#ifndef QMP_UTF8_H
#define QMP_UTF8_H

#include "qmp/util.h"

/* The length of the character at the start of @text, which has @size bytes (at least 1); 0 if it is not valid. */
size_t qmp_utf8_length(const char *text, size_t size);

/* Whether the whole text is valid UTF-8. */
bool qmp_utf8_is_valid(const char *text, size_t size);

#endif
