#include "qmp/conceal.h"

#include <errno.h>
#include <stdio.h>

#define HIDDEN "…"

/* --- credentials in names of images ------------------------------------------------------------------------------ */

/* Last parts of keys whose values are secrets themselves. */
static const char *const secret_keys[] = { "apikey", "auth",       "cookie",    "credentials", "key",
                                           "pass",   "passphrase", "passwd",    "password",    "pwd",
                                           "secret", "sig",        "signature", "token" };

static bool is_in_part(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whether the key before @end has a secret as its value; "password-secret" and its like name an object. */
static bool is_secret_key(const char *text, const char *end)
{
        const char *part = end;

        while (part > text && is_in_part(part[-1]))
                part--;
        for (size_t i = 0; i < ARRAY_SIZE(secret_keys); i++)
                if (strlen(secret_keys[i]) == (size_t)(end - part) &&
                    strncasecmp(part, secret_keys[i], (size_t)(end - part)) == 0)
                        return !(streq(secret_keys[i], "secret") && part > text && part[-1] == '-');
        return false;
}

/* Whether it is the notation of arguments, in messages of args.c. */
static bool is_notation(const char *text, const char *at)
{
        static const char notation[] = "KEY=VALUE";
        size_t n = strlen("KEY");

        return (size_t)(at - text) >= n && startswith(at - n, notation) && !is_in_part(at[strlen(notation) - n]);
}

/* The end of the key before the colon of a JSON member, which may itself be in a JSON string; NULL: it is not one. */
static const char *find_json_key(const char *text, const char *colon)
{
        const char *end = colon;
        char quote;

        while (end > text && strchr(" \t\r\n", end[-1]))
                end--;
        if (end == text || !strchr("'\"", end[-1]))
                return NULL;
        quote = *--end;
        /* QEMU takes both quotes, but "Could not open 'key': No such file" is one of its messages */
        if (quote == '\'' && colon[1 + strspn(colon + 1, " \t\r\n")] != '\'')
                return NULL;
        return end > text && end[-1] == '\\' ? end - 1 : end;
}

/* The value of the first "key=value" or "\"key\": value" with such a key, or NULL. */
static const char *find_secret(const char *text)
{
        for (const char *at = text; (at = strpbrk(at, "=:")); at++) {
                const char *end = *at == '=' ? at : find_json_key(text, at);

                if (end && is_secret_key(text, end) && !is_notation(text, at))
                        return at + 1;
        }
        return NULL;
}

/*
 * What follows the "//" of the first URL, or NULL. Without a scheme it has to contain "@", and to begin a word: a
 * path may have two slashes.
 */
static const char *find_url(const char *text)
{
        const char *last = strrchr(text, '@');

        for (const char *at = text; (at = strstr(at, "//")); at++) {
                char before = '\0';

                if (at > text)
                        before = at[-1];
                if (before == ':' ||
                    (last > at && !is_in_part(before) && !(before & 0x80) && (!before || !strchr("-_./~+%", before))))
                        return at + strlen("//");
        }
        return NULL;
}

/* How much of the text is shown: up to options that may contain secrets. The size of all: there are none. */
static size_t open_size(const char *text)
{
        const char *json = strstr(text, "json:"), *rbd = strstr(text, "rbd:"), *secret = find_secret(text);
        const char *end = text + strlen(text);

        if (json)
                end = json + strlen("json:");
        rbd = rbd ? strchr(rbd + strlen("rbd:"), ':') : NULL;
        if (rbd && rbd + 1 < end)
                end = rbd + 1;
        if (secret && secret < end)
                end = secret;
        return (size_t)(end - text);
}

static bool has_credentials(const char *text)
{
        return find_url(text) || open_size(text) < strlen(text);
}

static void print_open(FILE *out, const char *text)
{
        size_t n = open_size(text), size = strlen(text);

        fprintf(out, "%.*s%s", (int)n, text, n < size ? HIDDEN : "");
}

/* A URL is taken to end with the text: where it ends is not known, and a password may have any character. */
static void print_url(FILE *out, const char *rest)
{
        const char *at = strrchr(rest, '@'), *query = strchr(rest, '?');
        _cleanup_(qmp_freep) char *place = NULL;

        /* either may be a part of the other */
        if (at && query && query < at) {
                fputs(HIDDEN, out);
                return;
        }
        if (at) {
                fputs(HIDDEN "@", out);
                rest = at + 1;
        }
        place = query ? strndup(rest, (size_t)(query - rest)) : NULL;
        print_open(out, place ? place : query ? HIDDEN : rest);
        if (place && open_size(place) == strlen(place))
                fputs("?" HIDDEN, out);
}

char *qmp_conceal_text(const char *text)
{
        const char *url = find_url(text);
        char *shown;
        FILE *out;

        if (!has_credentials(text))
                return strdup(text);
        out = open_memstream(&shown, &(size_t){ 0 });
        if (!out)
                return NULL;
        if (url && (size_t)(url - text) <= open_size(text)) {
                fprintf(out, "%.*s", (int)(url - text), text);
                print_url(out, url);
        } else {
                print_open(out, text);
        }
        return qmp_close_text(out, &shown) == 0 ? shown : NULL;
}

static int conceal_string(struct json_object *value)
{
        _cleanup_(qmp_freep) char *shown = NULL;

        if (!has_credentials(json_object_get_string(value)))
                return 0;
        shown = qmp_conceal_text(json_object_get_string(value));
        return shown && json_object_set_string(value, shown) ? 0 : -ENOMEM;
}

/* Keys are the schema's, or names of properties. */
int qmp_conceal_credentials(struct json_object *value)
{
        int r = 0;

        switch (json_object_get_type(value)) {
        case json_type_object: {
                json_object_object_foreach(value, key, member) {
                        (void)key;
                        if (r == 0)
                                r = qmp_conceal_credentials(member);
                }
                return r;
        }
        case json_type_array:
                for (size_t i = 0; i < json_object_array_length(value) && r == 0; i++)
                        r = qmp_conceal_credentials(json_object_array_get_idx(value, i));
                return r;
        case json_type_string:
                return conceal_string(value);
        default:
                return 0;
        }
}

/* --- values in errors ---------------------------------------------------------------------------------------- */

/* Shorter words would match in almost any text. */
#define PART_MIN 4

/* The part of a text that is searched: the longest line shown, and a value that continues beyond it. */
#define TEXT_MAX (80 * 1024)

/* Keys of QMP arguments whose values name an object that QEMU has, is to create, or opens. */
static const char *const naming[] = {
        "base",   "bitmap",   "bus",       "chardev", "device",   "driver",   "drive",    "export",
        "file",   "filename", "format",    "id",      "iothread", "job-id",   "memdev",   "name",
        "netdev", "node",     "node-name", "path",    "property", "qom-path", "qom-type", "snapshot",
        "tag",    "target",   "top",       "type",    "typename",
};

static bool is_name(const char *key, const char *value)
{
        for (size_t i = 0; i < ARRAY_SIZE(naming); i++)
                if (streq(key, naming[i]))
                        return !has_credentials(value);
        return false;
}

static bool is_quoted(const char *text, const char *at, size_t size)
{
        return at > text && strchr("'\"`", at[-1]) && at[size] && strchr("'\"", at[size]);
}

/* Its beginning is enough of a longer value: QEMU 7.2 cuts its messages after 4,095 bytes (monitor_printf(): 1,023). */
#define BEGINNING 32

/* Bytes to be searched for one message: both it and the values may be large, and then nothing of it is shown. */
#define SEARCH_MAX ((size_t)16 << 20)

struct hiding {
        char *text, *marks; /* a mark for each byte of the text that is hidden */
        size_t size, searched;
};

/* How many of the bytes at @at are the value's; 0: too few of them for it. */
static size_t match(const char *at, const char *value, size_t size)
{
        size_t n = 0;

        while (n < size && at[n] == value[n])
                n++;
        if (n < size && at[n] && n < BEGINNING)
                return 0;
        /* no half character is left behind */
        while (n < size && (at[n] & 0xc0) == 0x80)
                n++;
        return n;
}

/*
 * Marks each occurrence in the text, even of parts of what is marked: the text itself stays as it is, so the order of
 * the values does not matter.
 */
static void hide(struct hiding *h, const char *value, size_t size)
{
        const char *end = h->text + h->size, *marked = h->text;

        h->searched += h->size;
        if (size == 0)
                return;
        for (const char *at = h->text; h->searched <= SEARCH_MAX && (at = memchr(at, value[0], (size_t)(end - at)));
             at++) {
                size_t n = match(at, value, size);

                h->searched += n;
                if (n < PART_MIN && !(n == size && is_quoted(h->text, at, n)))
                        continue;
                if (marked < at)
                        marked = at;
                for (; marked < at + n; marked++)
                        h->marks[marked - h->text] = 1;
        }
}

/* A value, and parts of it that QEMU may parse and quote. */
static void hide_string(struct hiding *h, const char *value)
{
        static const char words[] = " \t\n,=", parts[] = " \t\n,=\"'\\`:;@/?&{}[]";

        hide(h, value, strlen(value));
        for (const char *word = value; *word && h->searched <= SEARCH_MAX;) {
                size_t size = strcspn(word, words);

                hide(h, word, size);
                for (const char *part = word; part < word + size && h->searched <= SEARCH_MAX;) {
                        size_t n = strcspn(part, parts);

                        /* parts of URLs and paths: short ones may be any word of QEMU's */
                        if (n >= PART_MIN && n < size)
                                hide(h, part, n);
                        part += n + strspn(part + n, parts);
                }
                word += size;
                word += strspn(word, words);
        }
}

static void hide_values(struct hiding *h, const char *key, struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_object: {
                json_object_object_foreach(value, member_key, member) {
                        hide_values(h, member_key, member);
                }
                break;
        }
        case json_type_array:
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        hide_values(h, key, json_object_array_get_idx(value, i));
                break;
        case json_type_string:
                if (!is_name(key, json_object_get_string(value)))
                        hide_string(h, json_object_get_string(value));
                break;
        default:
                break;
        }
}

/* Replaces each run of marked bytes. NULL: out of memory. */
static char *print_unmarked(const struct hiding *h)
{
        /* the mark is longer than the shortest values, which must be quoted: "'a'" becomes "'…'" */
        char *shown = malloc(2 * h->size + sizeof(HIDDEN)), *to = shown;

        if (!shown)
                return NULL;
        for (size_t i = 0; i < h->size; i++) {
                if (!h->marks[i])
                        *to++ = h->text[i];
                else if (i == 0 || !h->marks[i - 1])
                        to = mempcpy(to, HIDDEN, strlen(HIDDEN));
        }
        *to = '\0';
        return shown;
}

char *qmp_conceal_values(const char *text, struct json_object *arguments)
{
        size_t size = strnlen(text, TEXT_MAX);
        _cleanup_(qmp_freep) char *copy = strndup(text, size), *marks = calloc(size + 1, 1);
        struct hiding h = { .text = copy, .marks = marks, .size = size };

        if (!copy || !marks)
                return NULL;
        hide_values(&h, "", arguments);
        return h.searched > SEARCH_MAX ? strdup(HIDDEN) : print_unmarked(&h);
}

/* --- messages ------------------------------------------------------------------------------------------------ */

/*
 * The members of a message that hold nothing of what was given or asked for; events are shown to everybody in
 * `events`.
 */
static bool is_open(const char *key, size_t size)
{
        static const char *const keys[] = { "execute", "exec-oob", "id", "event", "data", "timestamp", "QMP" };

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (strlen(keys[i]) == size && memcmp(keys[i], key, size) == 0)
                        return true;
        return false;
}

/* The size of the string at @text, including its quotes. */
static size_t string_size(const char *text)
{
        size_t n = 1;

        while (text[n] && text[n] != '"')
                n += text[n] == '\\' && text[n + 1] ? 2 : 1;
        return n + (text[n] == '"');
}

char *qmp_conceal_message(const char *json)
{
        bool is_shown = false, is_class = false, is_error = false, are_numbers_shown = false;
        unsigned depth = 0;
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        for (const char *s = json; *s;) {
                size_t n = 1;
                bool hidden = false;

                if (*s == '"') {
                        n = string_size(s);
                        if (s[n] == ':' && depth == 1) {
                                is_shown = n > 2 && is_open(s + 1, n - 2);
                                is_error = startswith(s, "\"error\"");
                                are_numbers_shown = is_shown || startswith(s, "\"return\"");
                        }
                        if (s[n] == ':')
                                is_class = is_error && depth == 2 && startswith(s, "\"class\"");
                        else
                                hidden = !is_shown && !is_class;
                } else if (*s == '-' || (*s >= '0' && *s <= '9')) {
                        n = strspn(s, "-+.eE0123456789");
                        hidden = !are_numbers_shown;
                } else if (*s == '{' || *s == '[') {
                        depth++;
                } else if (*s == '}' || *s == ']') {
                        depth--;
                }
                if (hidden)
                        fputs("\"" HIDDEN "\"", out);
                else
                        fwrite(s, 1, n, out);
                s += n;
        }
        return qmp_close_text(out, &text) == 0 ? text : NULL;
}
