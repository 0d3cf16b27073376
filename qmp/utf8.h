/*
 * UTF-8 by RFC 3629: shortest forms, no surrogates, nothing beyond U+10FFFF.
 */
#ifndef QMP_UTF8_H
#define QMP_UTF8_H

#include "util.h"

/* The length of the character at @text, of @size bytes, which are at least one; 0: there is none. */
size_t qmp_utf8_length(const char *text, size_t size);

/* Whether all of it is. */
bool qmp_utf8_is_valid(const char *text, size_t size);

#endif
