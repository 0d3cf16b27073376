/*
 * JSON to text, strings to file names, times. Pure.
 */
#ifndef FS_RENDER_H
#define FS_RENDER_H

#include <stdio.h>
#include <time.h>

#include "qmp/util.h"

#define RENDER_NAME_MAX 255

/*
 * The file name for a string from QEMU, owned by the caller; NULL: out of memory. Different strings have different
 * names:
 *   "/", "%", control characters and bytes that are not UTF-8 become %XX; "." is "%2E", ".." is "%2E%2E";
 *   the empty string is "%empty";
 *   a name longer than RENDER_NAME_MAX is cut between characters and ends with "%~" and the SHA-256 of the
 *   whole string in hex digits.
 * In all other cases two hex digits follow "%", so no other string has such a name.
 */
char *render_name(const char *string, size_t size);

/*
 * The name for the @nth (from 2) of several objects with the same name: NAME%~N. If that is too long, NAME is cut and
 * its SHA-256 precedes "%~N". Owned by the caller; NULL: out of memory.
 */
char *render_name_again(const char *name, unsigned nth);

/* A bare value and a newline: strings raw, structures as indented JSON. Owned by the caller; 0 or -ENOMEM. */
int render_value(struct json_object *value, char **ret_text, size_t *ret_size);

/*
 * Indented JSON and a newline. There are no line breaks if the indentation alone would exceed RENDER_INDENT_MAX
 * bytes, which only a hostile QEMU causes. Owned by the caller; 0 or -ENOMEM.
 */
#define RENDER_INDENT_MAX (16 * 1024 * 1024)
int render_json(struct json_object *value, char **ret_text, size_t *ret_size);

/* Compact JSON on one line, without newline. Owned by the caller; 0 or -ENOMEM. */
int render_json_line(struct json_object *value, char **ret_text, size_t *ret_size);

/* A command as it is sent, on a line. @arguments may be NULL. 0 or -ENOMEM. */
int render_command(const char *command, struct json_object *arguments, FILE *out);

/* 2026-11-20T10:11:12.345Z */
#define RENDER_TIME_SIZE 40
void render_time(const struct timespec *ts, char buffer[RENDER_TIME_SIZE]);

#endif
