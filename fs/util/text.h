/* Bytes of a file. */
#ifndef FS_UTIL_TEXT_H
#define FS_UTIL_TEXT_H

#include <stddef.h>

struct text {
        char *data;
        size_t size;
};

static inline struct text take_text(struct text *text)
{
        struct text result = *text;

        *text = (struct text){ 0 };
        return result;
}

#endif
