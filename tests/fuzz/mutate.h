/*
 * Mutators that know what an input is made of; only libFuzzer's builds have them. One to a target.
 */
#ifndef MUTATE_H
#define MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's own: bytes, words of the dictionary, numbers. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max, unsigned seed);

static inline unsigned mutate_random(unsigned *state)
{
        *state = *state * 1103515245 + 12345;
        return *state >> 16;
}

#endif
