/*
 * What the fuzz targets share. A target is a fuzz_NAME.c with LLVMFuzzerTestOneInput(); whatever it finds wrong ends the
 * process. What it judges by is made here again, from the documents, and not taken from the code under test.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "qmp/util.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_printf_(3, 4) _Noreturn void fuzz_failed(const char *file, int line, const char *format, ...);

#define MUST(condition)                                                                                              \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        fuzz_failed(__FILE__, __LINE__, "not so: %s", #condition);                                   \
        } while (0)
#define MUST_MSG(condition, ...)                                                                                     \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        fuzz_failed(__FILE__, __LINE__, __VA_ARGS__);                                                \
        } while (0)

/* An input that is read from its start; what there is no more reads as 0, or as empty. */
struct input {
        const uint8_t *data;
        size_t size;
};

unsigned input_byte(struct input *input);
/* Up to the next @end, which is taken too, or all there is; terminated, the caller's. *ret_size (which may be NULL) may be
 * more than its strlen(). */
char *input_until(struct input *input, uint8_t end, size_t *ret_size);

/* UTF-8 by RFC 3629. */
bool is_utf8(const char *text, size_t size);
/* No control characters but those in @but. */
bool is_printable(const char *text, size_t size, const char *but);

/* Whether that is one JSON value by RFC 8259, nested no deeper than @depth, with blanks before and behind it. */
bool is_json(const char *text, size_t size, unsigned depth);
/* How many members its objects have, by its text; one that occurs twice counts twice. */
size_t count_json_members(const char *text, size_t size);
/* Whether two texts of JSON have the same numbers, digit by digit, in the same order. */
bool same_json_numbers(const char *a, const char *b);
/* What json-c makes of it, as strictly as it can; false: it doesn't. JSON null is NULL. */
bool parse_json(const char *text, size_t size, struct json_object **ret_value);
/* As json_object_equal(), but a number is what its text says. */
bool same_json(struct json_object *a, struct json_object *b);

#endif
