/*
 * An action of three steps in a tree of its own: `compose` takes name= and size=, and sends make-a, make-b and make-c,
 * of which drop-b and drop-a undo the first two. Then it waits for the event MADE.
 */
#ifndef TESTS_COMPOSE_H
#define TESTS_COMPOSE_H

#include "fs/kinds/action.h"
#include "tests/lib/rig.h"

extern const struct action compose_action;
/* Open for reading and writing, after compose_up(). */
extern struct k_file compose_file;

/* The fixture: the daemon with that tree, mounted and connected; it knows the schema. */
void compose_up(void);

/* Writes, and lets happen what can. The request. */
uint64_t compose_begin(const char *text);

#endif
