/*
 * A tree of collections that the product does not have: each is a table.
 */
#ifndef TESTS_COLLECTIONS_H
#define TESTS_COLLECTIONS_H

#include "tests/lib/rig.h"

/* How many jobs are kept that have ended. */
#define JOBS_KEPT 3

extern const struct each test_jobs; /* jobs/, which are kept */

extern struct json_object *own_list; /* of own/ */
extern unsigned n_own_calls;

/* The fixture. */
void collections_up(void);
void collections_down(void);

/* What own/ shows from now on. */
void own_set(const char *json);
/* NULL: no job has the name. */
struct object *find_job(const char *name);
void set_outcome(const char *name, const char *json);

#endif
