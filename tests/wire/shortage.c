#include "tests/wire/shortage.h"

#include <errno.h>

#include "qmp/loop.h"
#include "tests/lib/pump.h"

#ifdef __SANITIZE_ADDRESS__
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
#define PLAIN __attribute__((__no_sanitize__("address", "undefined")))

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *p, size_t size);

struct shortage shortage;

PLAIN bool shortage_refuse(void)
{
        if (!shortage.armed || shortage.turns == 0 || shortage.inside > 0 || test_in_harness > 0)
                return false;
        shortage.n++;
        if (shortage.at == 0 || shortage.n < shortage.at || (shortage.n > shortage.at && !shortage.all))
                return false;
        shortage.refused++;
        errno = ENOMEM;
        return true;
}

PLAIN void *malloc(size_t size)
{
        return shortage_refuse() ? NULL : REAL(malloc)(size);
}

PLAIN void *calloc(size_t n, size_t size)
{
        return shortage_refuse() ? NULL : REAL(calloc)(n, size);
}

PLAIN void *realloc(void *p, size_t size)
{
        return shortage_refuse() ? NULL : REAL(realloc)(p, size);
}

PLAIN void *reallocarray(void *p, size_t n, size_t size)
{
        size_t bytes;

        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(p, bytes);
}

/* AddressSanitizer's own would not ask malloc(). */
PLAIN char *strndup(const char *s, size_t n)
{
        size_t size = strnlen(s, n);
        char *copy = malloc(size + 1);

        if (copy) {
                memcpy(copy, s, size);
                copy[size] = '\0';
        }
        return copy;
}

PLAIN char *strdup(const char *s)
{
        return strndup(s, strlen(s));
}

int __real_qmp_loop_turn(struct qmp_loop *loop, int timeout_ms);
int __wrap_qmp_loop_turn(struct qmp_loop *loop, int timeout_ms);

int __wrap_qmp_loop_turn(struct qmp_loop *loop, int timeout_ms)
{
        int r;

        shortage.turns++;
        r = __real_qmp_loop_turn(loop, timeout_ms);
        shortage.turns--;
        return r;
}

struct json_object *__wrap_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size);

/* Fails as a whole, as it does when it is refused its first object. */
struct json_object *__wrap_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size)
{
        int room = tokener->pb->size;
        struct json_object *value;

        if (shortage_refuse()) {
                tokener->char_offset = 0;
                tokener->err = json_tokener_success;
                return NULL;
        }
        shortage.inside++;
        value = __real_json_tokener_parse_ex(tokener, text, size);
        shortage.inside--;
        /* strings whose buffer has to grow would be cut in silence; qmp_json_reserve() has made it large enough */
        if (tokener->pb->size != room) {
                shortage.armed = false;
                check_failed(__FILE__, __LINE__, "a token that was not reckoned with: %.200s", text);
        }
        return value;
}

/* json-c's: when a table can't grow, json_object_object_add() loses its copy of the key. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:json_object_object_add_ex\n";
}
