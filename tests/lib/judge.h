/*
 * What the tests judge texts by. It is made here again, from the documents, and not taken from the code under test.
 */
#ifndef TESTS_JUDGE_H
#define TESTS_JUDGE_H

#include "qmp/util.h"

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
