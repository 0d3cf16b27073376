/*
 * A waiter waits for what QEMU has to tell: the result of a query, an event, or the end of its time limit. It knows
 * nothing of FUSE. The kernel's requests are waiters (request.h).
 *
 * What a waiter waits for has a list of waiters. When it has come, run() is called, which tries again from the top.
 */
#ifndef FS_WAITER_H
#define FS_WAITER_H

#include "qmp/loop.h"
#include "qmp/util.h"

/*
 * The result of a function that has put the waiter into a list. run() is called when what it waits for has come, and
 * everything up to the wait is done again, with the results at hand.
 */
#define WAITER_PARKED 1

struct context;
struct peer;
struct query;

struct waiter {
        struct context *context;
        struct peer *peer; /* whose queries it needs; NULL: none */
        /* It was taken out of its list, since what it waited for has come or has failed. May free the waiter. */
        void (*run)(struct waiter *waiter);
        struct list link; /* in the list of what it waits for */

        struct qmp_timer deadline; /* armed while it is parked; fire is the owner's */
        uint64_t limit_ns;         /* since the arrival; 0: none */
        bool parked;

        uint64_t arrived; /* the time */
        uint64_t stamp;   /* only results of queries that were sent after this stamp answer it … */
        uint64_t arrival; /* … and the first such stamp; a waiter may need newer results later */
        /* A write: its queries also keep their limit while QEMU is stalled, and may send what no read may (reads.h) */
        bool patient;

        struct query **queries; /* that it needs; references */
        size_t n_queries;

        char *reason_class, *reason; /* of a failure; owned */
};

/* The waiter arrives now. @limit_ns: its time limit; 0: none. */
void waiter_init(struct waiter *waiter, struct context *context, struct peer *peer, uint64_t limit_ns,
                 void (*run)(struct waiter *), void (*expired)(struct qmp_timer *deadline));
/* Leaves the list, and frees what the waiter owns. */
void waiter_deinit(struct waiter *waiter);

/* It waits from now on, until run() or its deadline. */
void waiter_park(struct waiter *waiter);

/* Sets the time limit, counted from the arrival and effective while the waiter is parked. 0: none. */
void waiter_set_limit(struct waiter *waiter, uint64_t limit_ns);

/* Shortens the time limit to @within_ns from now. */
void waiter_hurry(struct waiter *waiter, uint64_t within_ns);

/*
 * Sets the reason of a failure; a later reason replaces it. @class may be NULL. Returns @error, for "return
 * waiter_fail(…)".
 */
_printf_(4, 5) int waiter_fail(struct waiter *waiter, int error, const char *class, const char *format, ...);
#ifdef __clang_analyzer__ /* it sees one source at a time, and would take it for a success */
#define waiter_fail(w, error, ...) (waiter_fail(w, error, __VA_ARGS__), (error))
#endif

/* The same for -EHOSTDOWN, with the state of the connection as the reason. */
int waiter_fail_down(struct waiter *waiter);

/* Runs all waiters in the list. Afterwards it contains only waiters that wait again. */
void waiters_run(struct list *waiters);

#endif
