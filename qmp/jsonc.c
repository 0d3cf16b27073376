#include "qmp/jsonc.h"

#include <errno.h>
#include <sys/mman.h>

/* For larger sizes malloc() would also use mmap(), and adjust its threshold for doing so. */
#define TREE_MAPPED (64 * 1024)

static bool may_have(uint64_t size)
{
        bool has;
        void *p;

        if (size >= TREE_MAPPED) {
                p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                return p != MAP_FAILED && munmap(p, size) == 0;
        }
        p = malloc(size);
        /* keeps the compiler from removing both calls */
        __asm__ volatile("" : : "r"(p) : "memory");
        has = p;
        free(p);
        return has;
}

int qmp_json_reserve(struct json_tokener *tokener, size_t longest, uint64_t tree)
{
        if (longest > INT32_MAX - 16 || printbuf_memset(tokener->pb, (int)longest + 1, 0, 1) < 0)
                return -ENOMEM;
        printbuf_reset(tokener->pb);
        return tree == 0 || may_have(tree) ? 0 : -ENOMEM;
}

bool qmp_json_lacks_memory(struct json_tokener *tokener)
{
        enum json_tokener_error error = json_tokener_get_error(tokener);

#if JSON_C_VERSION_NUM >= (0 << 16 | 17 << 8)
        if (error == json_tokener_error_memory)
                return true;
#endif
        return error == json_tokener_success;
}

/* json-c's "%.17g", true, false and null need less. */
#define NUMBER_MAX 32

static size_t string_bound(const char *s, size_t size)
{
        size_t n = 2;

        for (size_t i = 0; i < size; i++)
                n += (unsigned char)s[i] < 0x20 ? 6 : s[i] == '"' || s[i] == '\\' || s[i] == '/' ? 2 : 1;
        return n;
}

/* An upper bound of the size of the text, with or without line breaks and indentation. */
static size_t text_bound(struct json_object *value, size_t depth, bool pretty)
{
        size_t line = 3 + (pretty ? 2 * depth + 2 : 0), n = 2 * line;

        switch (json_object_get_type(value)) {
        case json_type_string:
                return string_bound(json_object_get_string(value), (size_t)json_object_get_string_len(value));
        case json_type_double:
                /* in its original notation, if it was parsed */
                return NUMBER_MAX + (json_object_get_userdata(value) ? strlen(json_object_get_userdata(value)) : 0);
        case json_type_object: {
                json_object_object_foreach(value, key, member)
                        n += line + string_bound(key, strlen(key)) + 2 + text_bound(member, depth + 1, pretty);
                return n;
        }
        case json_type_array:
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        n += line + text_bound(json_object_array_get_idx(value, i), depth + 1, pretty);
                return n;
        default:
                return NUMBER_MAX;
        }
}

/* Used as a serializer: enlarges the value's buffer, which is kept. */
static int make_room(struct json_object *value, struct printbuf *buffer, int level, int flags)
{
        const size_t *size = json_object_get_userdata(value);

        (void)level;
        (void)flags;
        return *size < INT32_MAX - 16 ? printbuf_memset(buffer, (int)*size + 1, 0, 1) : -1;
}

int qmp_json_text(struct json_object *value, int flags, const char **ret_text, size_t *ret_size)
{
        enum json_type type = json_object_get_type(value);
        const char *text;
        size_t size;

        if (type == json_type_double && json_object_get_userdata(value)) {
                *ret_text = json_object_get_userdata(value);
                *ret_size = strlen(*ret_text);
                return 0;
        }
        /* all others fit into the initial buffer */
        if (type == json_type_object || type == json_type_array || type == json_type_string) {
                size = text_bound(value, 0, flags & JSON_C_TO_STRING_PRETTY);
                json_object_set_serializer(value, make_room, &size, NULL);
                text = json_object_to_json_string_length(value, flags, NULL);
                json_object_set_serializer(value, NULL, NULL, NULL);
                if (!text)
                        return -ENOMEM;
        }
        text = json_object_to_json_string_length(value, flags, &size);
        if (!text)
                return -ENOMEM;
        *ret_text = text;
        *ret_size = size;
        return 0;
}
