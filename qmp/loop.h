/*
 * The event loop: one thread, one epoll descriptor, timers in a heap, deferred tasks.
 *
 * Arming a timer and deferring a task neither allocate memory nor fail, since operations that depend on them
 * (reconnecting, completing a removal) would otherwise never happen.
 *
 * All callbacks run from qmp_loop_turn(), never from the call that registers them. Sources, timers and tasks are
 * embedded in the caller's objects; a callback receives the embedded struct and finds its object with container_of().
 * A callback may remove or free any of them, including its own.
 */
#ifndef QMP_LOOP_H
#define QMP_LOOP_H

#include "qmp/util.h"

struct qmp_loop;

struct qmp_source {
        int fd; /* not owned; -1 when not registered */
        void (*dispatch)(struct qmp_source *source, uint32_t revents);
};

struct qmp_timer {
        void (*fire)(struct qmp_timer *timer);
        uint64_t deadline; /* CLOCK_MONOTONIC, ns */
        bool armed;
        /* heap: first child, next sibling, previous sibling (for a first child: the parent) */
        struct qmp_timer *child, *next, *before;
};

struct qmp_task {
        void (*run)(struct qmp_task *task);
        struct list link; /* must be initialised with list_init() or qmp_task_init() */
};

/* Returns 0, -ENOMEM or an error of epoll_create1(2). */
int qmp_loop_new(struct qmp_loop **ret_loop);

/* All sources and timers must have been removed. Always returns NULL. */
struct qmp_loop *qmp_loop_free(struct qmp_loop *loop);

/*
 * Watches @fd for @events (EPOLLIN, …). @source must remain valid until it is removed. Returns 0 or a negative errno.
 */
int qmp_loop_add(struct qmp_loop *loop, struct qmp_source *source, int fd, uint32_t events,
                 void (*dispatch)(struct qmp_source *, uint32_t));
int qmp_loop_modify(struct qmp_loop *loop, struct qmp_source *source, uint32_t events);
/* Must be called before the descriptor is closed. Does nothing for a source that was never added (fd -1). */
void qmp_loop_remove(struct qmp_loop *loop, struct qmp_source *source);

/* (Re)arms the timer to fire at @deadline, CLOCK_MONOTONIC in ns. */
void qmp_timer_arm(struct qmp_loop *loop, struct qmp_timer *timer, uint64_t deadline);
void qmp_timer_disarm(struct qmp_loop *loop, struct qmp_timer *timer);

static inline void qmp_task_init(struct qmp_task *task, void (*run)(struct qmp_task *))
{
        task->run = run;
        list_init(&task->link);
}

/* Runs @task once, in this turn or the next, in order. Deferring a task that is already deferred has no effect. */
void qmp_task_defer(struct qmp_loop *loop, struct qmp_task *task);
void qmp_task_cancel(struct qmp_task *task);

/* Waits for events for at most @timeout_ms (-1: no limit) and handles them. Returns 0 or a negative errno. */
int qmp_loop_turn(struct qmp_loop *loop, int timeout_ms);

/* Turns until qmp_loop_quit(). Returns the result passed to it, or a negative errno. */
int qmp_loop_run(struct qmp_loop *loop);
void qmp_loop_quit(struct qmp_loop *loop, int result);

/* CLOCK_MONOTONIC in ns. */
uint64_t qmp_now(void);

#endif
