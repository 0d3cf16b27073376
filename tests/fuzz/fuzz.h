/*
 * What the fuzz targets share. A target is a fuzz_NAME.c with LLVMFuzzerTestOneInput(); whatever it finds wrong ends the
 * process.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "tests/lib/check.h"
#include "tests/lib/judge.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input that is read from its start; what there is no more reads as 0, or as empty. */
struct input {
        const uint8_t *data;
        size_t size;
};

unsigned input_byte(struct input *input);
/* Up to the next @end, which is taken too, or all there is; terminated, the caller's. *ret_size (which may be NULL) may be
 * more than its strlen(). */
char *input_until(struct input *input, uint8_t end, size_t *ret_size);

#endif
