/*
 * Memory that runs out: malloc() and its like are replaced in the programs that are linked with this, so that what libfuse,
 * json-c and libc allocate for the daemon fails, too. Memory is refused only within a turn of the loop, and there not to the
 * peers, see IN_HARNESS().
 *
 * json-c's parser fails as a whole (--wrap, see CMakeLists.txt); what it allocates inside is spared, after
 * qmp_json_reserve() has found out that it is there. All its other functions are refused all.
 */
#ifndef TESTS_SHORTAGE_H
#define TESTS_SHORTAGE_H

#include <json.h>
#include <stdbool.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

struct shortage {
        bool armed;
        unsigned turns;   /* depth of qmp_loop_turn() */
        unsigned inside;  /* of a function that fails as a whole only */
        unsigned long n;  /* allocations since it was armed */
        unsigned long at; /* this one is refused; 0: none */
        bool all;         /* and all that follow */
        unsigned long refused;
};

extern struct shortage shortage;

/* Whether what is asked for now is refused; counts it. */
bool shortage_refuse(void);

/* json-c's own. */
struct json_object *__real_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size);

#endif
