#include "tests/lib/check.h"

#include <stdarg.h>
#include <stdio.h>

void (*check_handler)(const char *file, int line, const char *text);

void check_failed(const char *file, int line, const char *format, ...)
{
        static char text[8192];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (check_handler)
                check_handler(file, line, text);
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
        abort();
}
