/*
 * SHA-256 (FIPS 180-4), for names that are too long: two strings with the same digest cannot be constructed. A
 * library for this one function would be the largest in the daemon's sandbox. Pure.
 */
#ifndef FS_SHA256_H
#define FS_SHA256_H

#include <stddef.h>

#define SHA256_HEX_SIZE 64

/* The digest of @size bytes in lower-case hexadecimal digits, terminated. */
void sha256_hex(const void *data, size_t size, char ret_hex[static SHA256_HEX_SIZE + 1]);

#endif
