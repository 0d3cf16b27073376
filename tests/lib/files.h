/*
 * Files of a test: a directory that goes away with the program, and recorded files.
 */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <stddef.h>

/* "DIR/NAME" in a temporary directory that is removed when the test process ends. Valid until the end. */
const char *test_path(const char *name);

/* A file of tests/data, terminated; the caller frees. @ret_size may be NULL. */
char *test_data(const char *name, size_t *ret_size);

#endif
