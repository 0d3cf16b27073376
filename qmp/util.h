/*
 * Small helpers that both layers use: cleanup attributes, an intrusive list, container_of.
 */
#ifndef QMP_UTIL_H
#define QMP_UTIL_H

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(fn)      __attribute__((__cleanup__(fn)))
#define _printf_(fmt, arg) __attribute__((__format__(__printf__, fmt, arg)))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)

/* Hands the value over: the variable no longer owns it. */
#define take_ptr(p)                                                                                                  \
        ({                                                                                                           \
                __typeof__(p) _p = (p);                                                                              \
                (p) = NULL;                                                                                          \
                _p;                                                                                                  \
        })

static inline void qmp_freep(void *p)
{
        free(*(void **)p);
}

static inline void qmp_closep(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* The same as take_ptr() for a descriptor. */
static inline int take_fd(int *fd)
{
        int had = *fd;

        *fd = -1;
        return had;
}

static inline void qmp_json_putp(struct json_object **object)
{
        json_object_put(*object);
}

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* The same for strings that may be NULL, which equals only itself. */
static inline bool streq_or_null(const char *a, const char *b)
{
        return a == b || (a && b && streq(a, b));
}

/* The part of the string after the prefix, or NULL. */
static inline const char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/*
 * Closes what open_memstream() gave; *text is the caller's. 0 or -ENOMEM. Without memory fclose() (glibc 2.36) may
 * succeed all the same, with a part of the text or none.
 */
static inline int qmp_close_text(FILE *out, char **text)
{
        bool failed = ferror(out);

        if (fclose(out) == 0 && !failed && *text)
                return 0;
        free(*text);
        *text = NULL;
        return -ENOMEM;
}

/* A circular doubly linked list; a head or an unlinked element points at itself. */
struct list {
        struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
        l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_append(struct list *head, struct list *l)
{
        l->prev = head->prev;
        l->next = head;
        head->prev->next = l;
        head->prev = l;
}

/* Unlinking an unlinked element is fine. */
static inline void list_unlink(struct list *l)
{
        l->prev->next = l->next;
        l->next->prev = l->prev;
        list_init(l);
}

/* Moves all of @from to the end of @to; @from is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
        if (list_empty(from))
                return;
        from->next->prev = to->prev;
        from->prev->next = to;
        to->prev->next = from->next;
        to->prev = from->prev;
        list_init(from);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): the argument is a declaration */
#define list_entry(l, type, member) container_of(l, type, member)

#define list_for_each(i, head) for (struct list *i = (head)->next; i != (head); i = i->next)

/* The current element may be unlinked (no other). */
#define list_for_each_safe(i, head)                                                                                  \
        for (struct list *i = (head)->next, *_n = i->next; i != (head); i = _n, _n = i->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
