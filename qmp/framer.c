#include "qmp/framer.h"

#include <assert.h>
#include <errno.h>

#include "qmp/jsonc.h"
#include "qmp/utf8.h"

#define ROOM_MIN   4096
#define ROOM_MAX   (256 * 1024)
#define KEEP_LARGE (64 * 1024)

/* What json-c 0.16 allocates, rounded up: an empty object has a table of 16 entries, an empty array of 32. */
#define TREE_OBJECT 900
#define TREE_ARRAY  400
#define TREE_VALUE  120

void qmp_framer_init(struct qmp_framer *framer)
{
        *framer = (struct qmp_framer){ .max_text = QMP_FRAMER_MAX_TEXT };
}

void qmp_framer_deinit(struct qmp_framer *framer)
{
        free(framer->buffer);
        framer->buffer = NULL;
        framer->size = framer->start = framer->end = framer->scanned = 0;
}

void qmp_framer_reset(struct qmp_framer *framer)
{
        size_t max_text = framer->max_text;

        qmp_framer_deinit(framer);
        qmp_framer_init(framer);
        framer->max_text = max_text;
}

int qmp_framer_room(struct qmp_framer *framer, char **ret_room, size_t *ret_size)
{
        if (framer->start == framer->end) {
                framer->start = framer->end = framer->scanned = 0;
                /* one large reply must not keep its memory for ever */
                if (framer->size > KEEP_LARGE) {
                        free(framer->buffer);
                        framer->buffer = NULL;
                        framer->size = 0;
                }
        }
        if (framer->size - framer->end < ROOM_MIN) {
                size_t used = framer->end - framer->start;

                if (framer->start >= used + ROOM_MIN) {
                        memmove(framer->buffer, framer->buffer + framer->start, used);
                } else {
                        size_t size = 2 * used + 2 * ROOM_MIN;
                        char *buffer = malloc(size);

                        if (!buffer)
                                return -ENOMEM;
                        if (used > 0)
                                memcpy(buffer, framer->buffer + framer->start, used);
                        free(framer->buffer);
                        framer->buffer = buffer;
                        framer->size = size;
                }
                framer->scanned -= framer->start;
                framer->start = 0;
                framer->end = used;
        }
        *ret_room = framer->buffer + framer->end;
        *ret_size = framer->size - framer->end;
        if (*ret_size > ROOM_MAX)
                *ret_size = ROOM_MAX;
        return 0;
}

void qmp_framer_fed(struct qmp_framer *framer, size_t n)
{
        assert(n <= framer->size - framer->end);
        framer->end += n;
}

const char *qmp_framer_rest(const struct qmp_framer *framer, size_t *ret_size)
{
        *ret_size = framer->end - framer->start;
        return framer->buffer ? framer->buffer + framer->start : "";
}

static int parse(struct qmp_framer *framer, size_t size, struct json_object **ret_value)
{
        struct json_tokener *tokener;
        struct json_object *value;
        int r;

        /* json-c's own check accepts overlong forms, surrogates and values beyond Unicode; QEMU sends only ASCII */
        if (framer->beyond_ascii && !qmp_utf8_is_valid(framer->buffer + framer->start, size))
                return -EBADMSG;
        tokener = json_tokener_new_ex(QMP_FRAMER_MAX_DEPTH + 1);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        r = qmp_json_reserve(tokener, framer->longest, framer->tree + size);
        if (r < 0) {
                json_tokener_free(tokener);
                return r;
        }
        /* size <= max_text, which fits an int. The tokener answers "continue" for a text that is not terminated. */
        value = json_tokener_parse_ex(tokener, framer->buffer + framer->start, (int)size);
        if (!value || json_tokener_get_parse_end(tokener) != size) {
                json_object_put(value);
                r = qmp_json_lacks_memory(tokener)                                ? -ENOMEM
                    : json_tokener_get_error(tokener) == json_tokener_error_depth ? -ELOOP
                                                                                  : -EBADMSG;
        } else {
                *ret_value = value;
        }
        json_tokener_free(tokener);
        return r;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Called after a byte that separates tokens. */
static void end_token(struct qmp_framer *framer)
{
        size_t at = framer->scanned - framer->start;

        if (at - framer->token > framer->longest)
                framer->longest = at - framer->token;
        framer->token = at;
}

/* Whether the 0 is the first digit of a number. There is always a byte before it. */
static bool is_leading(const char *zero)
{
        char before = zero[-1];

        if (before == '-' || before == '+')
                before = zero[-2];
        return !strchr("0123456789.eE", before);
}

/*
 * json-c also accepts 1. and -.5 and 01.5 as numbers and passes them on unchanged, but not every parser of our files
 * does. Returns true if the number is invalid at @c.
 */
static bool is_bad_number(const struct qmp_framer *framer, char c)
{
        const char *before = framer->buffer + framer->scanned - 2;

        if (c == '.')
                return *before < '0' || *before > '9';
        if (c >= '0' && c <= '9')
                return *before == '0' && is_leading(before);
        return *before == '.';
}

/* Scans one byte outside of strings. Returns 1 if the value is complete. */
static int scan_byte(struct qmp_framer *framer, char c)
{
        if (is_bad_number(framer, c))
                return -EBADMSG;
        switch (c) {
        case 'N':
        case 'I':
        case '\'':
                /* NaN, Infinity and keys in single quotes, which json-c also accepts */
                return -EBADMSG;
        case '"':
                framer->in_string = true;
                framer->tree += TREE_VALUE;
                return 0;
        case ':':
                end_token(framer);
                return 0;
        case ',':
                end_token(framer);
                framer->tree += TREE_VALUE;
                return 0;
        case '{':
        case '[':
                end_token(framer);
                framer->tree += c == '{' ? TREE_OBJECT : TREE_ARRAY;
                if (++framer->depth > QMP_FRAMER_MAX_DEPTH)
                        return -ELOOP;
                return 0;
        case '}':
        case ']':
                end_token(framer);
                return --framer->depth == 0;
        default:
                return 0;
        }
}

/* Scans the inside of a string, where most bytes of a reply are. */
static void scan_string(struct qmp_framer *framer)
{
        while (framer->scanned < framer->end) {
                char c = framer->buffer[framer->scanned++];

                framer->beyond_ascii |= c & 0x80;
                if (framer->in_escape) {
                        framer->in_escape = false;
                } else if (c == '\\') {
                        framer->in_escape = true;
                } else if (c == '"') {
                        framer->in_string = false;
                        return;
                }
        }
}

static int take_value(struct qmp_framer *framer, struct json_object **ret_value)
{
        int r = parse(framer, framer->scanned - framer->start, ret_value);

        if (r < 0)
                return r;
        framer->memory = framer->tree + (framer->scanned - framer->start);
        framer->start = framer->scanned;
        framer->in_value = false;
        return QMP_FRAMER_VALUE;
}

int qmp_framer_next(struct qmp_framer *framer, struct json_object **ret_value)
{
        /* complete, but parsing ran out of memory */
        if (framer->in_value && framer->depth == 0)
                return take_value(framer, ret_value);
        while (framer->scanned < framer->end) {
                int r;

                if (!framer->in_value) {
                        char c = framer->buffer[framer->start];

                        framer->scanned = framer->start + 1;
                        if (is_blank(c)) {
                                framer->start++;
                                continue;
                        }
                        /* every message is an object; anything else is a different protocol */
                        if (c != '{') {
                                framer->scanned = framer->start;
                                return -EBADMSG;
                        }
                        framer->in_value = true;
                        framer->beyond_ascii = false;
                        framer->depth = 1;
                        framer->tree = TREE_OBJECT;
                        framer->token = framer->longest = 0;
                        continue;
                }
                if (framer->in_string) {
                        scan_string(framer);
                        r = 0;
                } else {
                        r = scan_byte(framer, framer->buffer[framer->scanned++]);
                }
                if (r < 0)
                        return r;
                if (framer->scanned - framer->start > framer->max_text)
                        return -EMSGSIZE;
                if (framer->tree > QMP_FRAMER_MAX_TREE)
                        return -E2BIG;
                if (r > 0)
                        return take_value(framer, ret_value);
        }
        return QMP_FRAMER_MORE;
}
