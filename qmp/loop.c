#include "qmp/loop.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

/* Bounds the work of one turn, so that timers and tasks get their share. */
#define EVENTS_PER_TURN 64

struct qmp_loop {
        int epoll_fd;
        struct qmp_timer *timers; /* root of the heap: the timer that is due first */
        size_t n_timers;
        struct list tasks;
        /* the batch in progress; a source that is removed during it is deleted from the batch */
        struct epoll_event batch[EVENTS_PER_TURN];
        int n_batch;
        bool quit;
        int result;
};

uint64_t qmp_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

int qmp_loop_new(struct qmp_loop **ret_loop)
{
        struct qmp_loop *loop = calloc(1, sizeof(*loop));

        if (!loop)
                return -ENOMEM;
        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll_fd < 0) {
                int r = -errno;

                free(loop);
                return r;
        }
        list_init(&loop->tasks);
        *ret_loop = loop;
        return 0;
}

struct qmp_loop *qmp_loop_free(struct qmp_loop *loop)
{
        if (!loop)
                return NULL;
        assert(!loop->timers);
        list_for_each_safe(i, &loop->tasks)
                list_unlink(i);
        close(loop->epoll_fd);
        free(loop);
        return NULL;
}

int qmp_loop_add(struct qmp_loop *loop, struct qmp_source *source, int fd, uint32_t events,
                 void (*dispatch)(struct qmp_source *, uint32_t))
{
        struct epoll_event event = { .events = events, .data.ptr = source };

        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        source->fd = fd;
        source->dispatch = dispatch;
        return 0;
}

int qmp_loop_modify(struct qmp_loop *loop, struct qmp_source *source, uint32_t events)
{
        struct epoll_event event = { .events = events, .data.ptr = source };

        return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0 ? -errno : 0;
}

void qmp_loop_remove(struct qmp_loop *loop, struct qmp_source *source)
{
        if (source->fd < 0)
                return;
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
        source->fd = -1;
        for (int i = 0; i < loop->n_batch; i++)
                if (loop->batch[i].data.ptr == source)
                        loop->batch[i].data.ptr = NULL;
}

/*
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): each timer is due before its children. Joining two heaps
 * makes one the first child of the other's root.
 */
static struct qmp_timer *join(struct qmp_timer *a, struct qmp_timer *b)
{
        if (!a || !b)
                return a ? a : b;
        if (b->deadline < a->deadline) {
                struct qmp_timer *later = a;

                a = b;
                b = later;
        }
        b->before = a;
        b->next = a->child;
        if (b->next)
                b->next->before = b;
        a->child = b;
        return a;
}

/* Joins siblings to one heap: first in pairs, then the pairs from last to first. */
static struct qmp_timer *join_siblings(struct qmp_timer *first)
{
        struct qmp_timer *pairs = NULL, *root = NULL;

        while (first) {
                struct qmp_timer *a = first, *b = a->next;

                first = b ? b->next : NULL;
                a->next = a->before = NULL;
                if (b)
                        b->next = b->before = NULL;
                a = join(a, b);
                a->next = pairs;
                pairs = a;
        }
        while (pairs) {
                struct qmp_timer *pair = pairs;

                pairs = pair->next;
                pair->next = NULL;
                root = join(root, pair);
        }
        return root;
}

void qmp_timer_arm(struct qmp_loop *loop, struct qmp_timer *timer, uint64_t deadline)
{
        qmp_timer_disarm(loop, timer);
        timer->armed = true;
        timer->deadline = deadline;
        timer->child = timer->next = timer->before = NULL;
        loop->timers = join(loop->timers, timer);
        loop->n_timers++;
}

void qmp_timer_disarm(struct qmp_loop *loop, struct qmp_timer *timer)
{
        struct qmp_timer *children;

        if (!timer->armed)
                return;
        children = join_siblings(timer->child);
        if (timer == loop->timers) {
                loop->timers = children;
        } else {
                if (timer->before->child == timer)
                        timer->before->child = timer->next;
                else
                        timer->before->next = timer->next;
                if (timer->next)
                        timer->next->before = timer->before;
                loop->timers = join(loop->timers, children);
        }
        timer->armed = false;
        loop->n_timers--;
}

void qmp_task_defer(struct qmp_loop *loop, struct qmp_task *task)
{
        if (list_empty(&task->link))
                list_append(&loop->tasks, &task->link);
}

void qmp_task_cancel(struct qmp_task *task)
{
        list_unlink(&task->link);
}

static int next_timeout(struct qmp_loop *loop, int timeout_ms)
{
        uint64_t now, ms;

        if (!list_empty(&loop->tasks))
                return 0;
        if (!loop->timers)
                return timeout_ms;
        now = qmp_now();
        if (loop->timers->deadline <= now)
                return 0;
        /* rounded up, since waking early would only spin */
        ms = (loop->timers->deadline - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
        if (timeout_ms >= 0 && (uint64_t)timeout_ms < ms)
                return timeout_ms;
        return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void run_timers(struct qmp_loop *loop)
{
        uint64_t now;

        if (!loop->timers)
                return;
        /* the clock is read once: a timer that rearms itself waits for the next turn */
        now = qmp_now();
        /* at most as many as there are now, in case a timer is rearmed with a deadline in the past */
        for (size_t n = loop->n_timers; n > 0 && loop->timers && loop->timers->deadline <= now; n--) {
                struct qmp_timer *timer = loop->timers;

                qmp_timer_disarm(loop, timer);
                timer->fire(timer);
        }
}

static void run_tasks(struct qmp_loop *loop)
{
        struct list tasks;

        /* only tasks that are queued now: a task that defers itself waits for the next turn */
        list_init(&tasks);
        list_splice(&tasks, &loop->tasks);
        while (!list_empty(&tasks)) {
                struct qmp_task *task = list_entry(tasks.next, struct qmp_task, link);

                list_unlink(&task->link);
                task->run(task);
        }
}

int qmp_loop_turn(struct qmp_loop *loop, int timeout_ms)
{
        int n = epoll_wait(loop->epoll_fd, loop->batch, EVENTS_PER_TURN, next_timeout(loop, timeout_ms));

        if (n < 0) {
                if (errno != EINTR)
                        return -errno;
                n = 0;
        }
        loop->n_batch = n;
        for (int i = 0; i < n; i++) {
                struct qmp_source *source = loop->batch[i].data.ptr;

                if (source)
                        source->dispatch(source, loop->batch[i].events);
        }
        loop->n_batch = 0;
        run_tasks(loop);
        run_timers(loop);
        return 0;
}

int qmp_loop_run(struct qmp_loop *loop)
{
        /* qmp_loop_quit() may have been called before the loop runs */
        while (!loop->quit) {
                int r = qmp_loop_turn(loop, -1);

                if (r < 0)
                        return r;
        }
        loop->quit = false;
        return loop->result;
}

void qmp_loop_quit(struct qmp_loop *loop, int result)
{
        loop->quit = true;
        loop->result = result;
}
