/*
 * JSON to text, strings to file names, times. Pure.
 */
#ifndef FS_RENDER_H
#define FS_RENDER_H

#include <time.h>

#include "qmp/util.h"

#define RENDER_NAME_MAX 255

/*
 * The file name for a string from QEMU, the caller's; NULL when out of memory. No two strings have the same:
 *   "/", "%", control characters and bytes that are not UTF-8 become %XX; "." is "%2E", ".." is "%2E%2E";
 *   the empty string is "%empty";
 *   what would be longer than RENDER_NAME_MAX is cut between characters and closed with "%~" and the SHA-256 of the whole string in hex digits.
 * "%" is followed by two hex digits in all other cases, so neither mark can be the name of another string.
 */
char *render_name(const char *string, size_t size);

/* The name for the @nth (from 2) of several objects of one name: NAME%~N, or, if that is too long, cut and closed
 * with its SHA-256 before the "%~N". The caller's; NULL when out of memory. */
char *render_name_again(const char *name, unsigned nth);

/* A bare value and a newline; strings raw, structures as pretty JSON. The caller's; 0 or -ENOMEM. */
int render_value(struct json_object *value, char **ret_text, size_t *ret_size);

/* Pretty JSON and a newline; without line breaks where the indentation alone would be over RENDER_INDENT_MAX bytes,
 * which only a hostile QEMU sends. The caller's; 0 or -ENOMEM. */
#define RENDER_INDENT_MAX (16 * 1024 * 1024)
int render_json(struct json_object *value, char **ret_text, size_t *ret_size);

/* Compact JSON on one line, without newline. The caller's; 0 or -ENOMEM. */
int render_json_line(struct json_object *value, char **ret_text, size_t *ret_size);

/* 2026-11-20T10:11:12.345Z */
#define RENDER_TIME_SIZE 40
void render_time(const struct timespec *ts, char buffer[RENDER_TIME_SIZE]);

#endif
