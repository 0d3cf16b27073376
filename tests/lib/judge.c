#include "tests/lib/judge.h"

#include "tests/lib/check.h"

#define DEPTH_MAX 2000

/* --- UTF-8: the table of RFC 3629, section 4 --------------------------------------------------------------------- */

static bool is_between(const unsigned char *s, size_t size, size_t i, unsigned from, unsigned to)
{
        return i < size && s[i] >= from && s[i] <= to;
}

/* The length of the character at @s; 0: that is none. */
static size_t utf8_character(const unsigned char *s, size_t size)
{
        static const struct {
                unsigned char from, to, second_from, second_to;
                size_t length;
        } rows[] = {
                { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
                { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
                { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (s[0] < rows[i].from || s[0] > rows[i].to)
                        continue;
                if (rows[i].length > 1 && !is_between(s, size, 1, rows[i].second_from, rows[i].second_to))
                        return 0;
                for (size_t k = 2; k < rows[i].length; k++)
                        if (!is_between(s, size, k, 0x80, 0xbf))
                                return 0;
                return rows[i].length;
        }
        return 0;
}

bool is_utf8(const char *text, size_t size)
{
        for (size_t i = 0, n; i < size; i += n) {
                n = utf8_character((const unsigned char *)text + i, size - i);
                if (n == 0)
                        return false;
        }
        return true;
}

bool is_printable(const char *text, size_t size, const char *but)
{
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char)text[i];

                if ((c < 0x20 || c == 0x7f) && (c == 0 || !strchr(but, c)))
                        return false;
        }
        return true;
}

/* --- JSON: the grammar of RFC 8259 ------------------------------------------------------------------------------- */

struct scan {
        const char *at, *end;
        unsigned depth;
        size_t n_members;
};

static bool scan_value(struct scan *s);

static int peek(const struct scan *s)
{
        return s->at < s->end ? (unsigned char)*s->at : -1;
}

static bool scan_char(struct scan *s, char c)
{
        if (peek(s) != c)
                return false;
        s->at++;
        return true;
}

static void scan_blanks(struct scan *s)
{
        while (scan_char(s, ' ') || scan_char(s, '\t') || scan_char(s, '\n') || scan_char(s, '\r'))
                ;
}

static bool scan_digits(struct scan *s)
{
        const char *from = s->at;

        while (peek(s) >= '0' && peek(s) <= '9')
                s->at++;
        return s->at > from;
}

static bool scan_number(struct scan *s)
{
        (void)scan_char(s, '-');
        if (!scan_char(s, '0') && !scan_digits(s))
                return false;
        if (scan_char(s, '.') && !scan_digits(s))
                return false;
        if (!scan_char(s, 'e') && !scan_char(s, 'E'))
                return true;
        if (!scan_char(s, '+'))
                (void)scan_char(s, '-');
        return scan_digits(s);
}

static bool scan_escape(struct scan *s)
{
        static const char hex[] = "0123456789abcdefABCDEF", simple[] = "\"\\/bfnrt";
        int c = peek(s);

        if (c <= 0)
                return false;
        s->at++;
        if (c != 'u')
                return strchr(simple, c);
        for (unsigned i = 0; i < 4; i++) {
                if (peek(s) <= 0 || !strchr(hex, peek(s)))
                        return false;
                s->at++;
        }
        return true;
}

static bool scan_string(struct scan *s)
{
        if (!scan_char(s, '"'))
                return false;
        while (s->at < s->end) {
                size_t n;

                if (scan_char(s, '"'))
                        return true;
                if (scan_char(s, '\\')) {
                        if (!scan_escape(s))
                                return false;
                        continue;
                }
                n = utf8_character((const unsigned char *)s->at, (size_t)(s->end - s->at));
                if (n == 0 || (unsigned char)*s->at < 0x20)
                        return false;
                s->at += n;
        }
        return false;
}

static bool scan_word(struct scan *s, const char *word)
{
        size_t n = strlen(word);

        if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
                return false;
        s->at += n;
        return true;
}

/* Behind the opening bracket. */
static bool scan_structure(struct scan *s, bool is_object, char close)
{
        scan_blanks(s);
        if (scan_char(s, close))
                return true;
        do {
                if (is_object) {
                        scan_blanks(s);
                        if (!scan_string(s))
                                return false;
                        scan_blanks(s);
                        if (!scan_char(s, ':'))
                                return false;
                        s->n_members++;
                }
                if (!scan_value(s))
                        return false;
        } while (scan_char(s, ','));
        return scan_char(s, close);
}

/* With the blanks around it. */
static bool scan_value(struct scan *s)
{
        bool ok;

        scan_blanks(s);
        if (peek(s) == '{' || peek(s) == '[') {
                bool is_object = *s->at++ == '{';

                if (s->depth == 0)
                        return false;
                s->depth--;
                ok = scan_structure(s, is_object, is_object ? '}' : ']');
                s->depth++;
        } else if (peek(s) == '"') {
                ok = scan_string(s);
        } else {
                ok = scan_word(s, "true") || scan_word(s, "false") || scan_word(s, "null") || scan_number(s);
        }
        scan_blanks(s);
        return ok;
}

bool is_json(const char *text, size_t size, unsigned depth)
{
        struct scan scan = { text, text + size, depth, 0 };

        return scan_value(&scan) && scan.at == scan.end;
}

size_t count_json_members(const char *text, size_t size)
{
        struct scan scan = { text, text + size, DEPTH_MAX, 0 };

        (void)scan_value(&scan);
        return scan.n_members;
}

/* The next number outside of strings; its length, 0: there is none. */
static size_t next_number(const char **at)
{
        bool in_string = false;

        for (; **at; (*at)++) {
                if (in_string && **at == '\\')
                        (*at)++;
                else if (**at == '"')
                        in_string = !in_string;
                else if (!in_string && strchr("-0123456789", **at))
                        return strspn(*at, "-+.eE0123456789");
        }
        return 0;
}

bool same_json_numbers(const char *a, const char *b)
{
        for (;;) {
                size_t n = next_number(&a), m = next_number(&b);

                /* an integer has no sign of its own at 0 */
                if (n == 2 && a[0] == '-' && a[1] == '0' && m == 1) {
                        a++;
                        n--;
                }
                if (n != m || memcmp(a, b, n) != 0)
                        return false;
                if (n == 0)
                        return true;
                a += n;
                b += m;
        }
}

bool parse_json(const char *text, size_t size, struct json_object **ret_value)
{
        struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
        char *copy = strndup(text, size);
        struct json_object *value;
        bool ok;

        CHECK(tokener && copy);
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        /* with its NUL, which ends a number */
        value = json_tokener_parse_ex(tokener, copy, (int)strlen(copy) + 1);
        ok = json_tokener_get_error(tokener) == json_tokener_success && strlen(copy) == size;
        json_tokener_free(tokener);
        free(copy);
        if (ok)
                *ret_value = value;
        else
                json_object_put(value);
        return ok;
}

bool same_json(struct json_object *a, struct json_object *b)
{
        if (json_object_get_type(a) != json_object_get_type(b))
                return false;
        if (json_object_is_type(a, json_type_object)) {
                if (json_object_object_length(a) != json_object_object_length(b))
                        return false;
                json_object_object_foreach(a, key, value) {
                        struct json_object *other;

                        if (!json_object_object_get_ex(b, key, &other) || !same_json(value, other))
                                return false;
                }
                return true;
        }
        if (json_object_is_type(a, json_type_array)) {
                if (json_object_array_length(a) != json_object_array_length(b))
                        return false;
                for (size_t i = 0; i < json_object_array_length(a); i++)
                        if (!same_json(json_object_array_get_idx(a, i), json_object_array_get_idx(b, i)))
                                return false;
                return true;
        }
        if (json_object_is_type(a, json_type_string))
                return json_object_get_string_len(a) == json_object_get_string_len(b) &&
                       memcmp(json_object_get_string(a), json_object_get_string(b),
                              (size_t)json_object_get_string_len(a)) == 0;
        /* json-c keeps the text of what isn't an integer */
        return streq(json_object_to_json_string(a), json_object_to_json_string(b));
}
