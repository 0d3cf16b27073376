/*
 * SHA-256 (FIPS 180-4), for names that have to be cut: nobody can make two strings of one digest. A library for that
 * much would be the largest that the daemon has in its sandbox. Pure.
 */
#ifndef FS_SHA256_H
#define FS_SHA256_H

#include <stddef.h>

#define SHA256_HEX_SIZE 64

/* The digest of @size bytes in lower-case hexadecimal digits, terminated. */
void sha256_hex(const void *data, size_t size, char ret_hex[static SHA256_HEX_SIZE + 1]);

#endif
