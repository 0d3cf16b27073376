/*
 * The latest result of a query: who waits for it, how fresh it is, what ends its use.
 *
 * Everyone who wants the same thing shares one snapshot. A request may be answered by any query that is sent after the
 * request arrived; readers who come while one is under way wait together for the next, so N of them cost two queries.
 */
#ifndef FS_SNAPSHOT_H
#define FS_SNAPSHOT_H

#include "fetch.h"
#include "request.h"

/* Queries that cost QEMU as much are "costly": they stop the guest, so their results are used again for a while. */
#define SNAPSHOT_COSTLY_NS (1 * NSEC_PER_MSEC)
/* But never for longer than this. */
#define SNAPSHOT_REUSE_MAX_NS (100 * NSEC_PER_MSEC)
#define SNAPSHOT_COSTS        4
/* Of QEMU's time costly queries together may have so much in advance of what max_load allows, … */
#define SNAPSHOT_COSTLY_ADVANCE_NS (1 * NSEC_PER_SEC)
/* … and all queries so much, while the guest runs. */
#define SNAPSHOT_ADVANCE_NS (10 * NSEC_PER_SEC)
/* For that a cheap command counts for so much at most. It takes 0.15 to 0.35 ms; what is beyond is a busy host's, and says nothing
 * of what QEMU's main thread does to its guest. */
#define SNAPSHOT_COMMAND_NS (NSEC_PER_MSEC * 4 / 10)

enum freshness {
        FRESH_CONTENT,   /* sent after the request arrived, or costly and within the load limit */
        FRESH_STRUCTURE, /* or at most structure_ttl old, and nothing happened since */
};

struct snapshot {
        struct list link; /* in the vm: those of whole commands */
        struct list kept; /* in the vm: those with a value, the oldest first */
        unsigned refs;
        struct vm *vm;
        struct fetch_spec spec;
        char *a, *b;

        bool has_value;            /* false: none yet, or the last query failed */
        struct json_object *value; /* NULL too where QEMU returned null */
        uint64_t serial;           /* grows with each value */
        uint64_t value_stamp, value_epoch, value_sent_at, value_at;
        int error; /* of the last failed query */
        char *error_class, *error_text;
        uint64_t error_stamp;

        struct fetch *fetch; /* under way, or NULL */
        bool patient;        /* it keeps its limit while QEMU is stalled */
        uint64_t fetch_stamp, fetch_epoch, fetch_at;
        struct qmp_timer pause; /* till the query may be sent */
        bool paused;
        struct list waiters; /* for the query under way, or the one that is paused */
        struct list later;   /* for the next one */
        uint64_t costs[SNAPSHOT_COSTS];
        unsigned n_costs;
};

/* Makes a snapshot, or finds the one of the same command; the caller gets a reference. 0 or -ENOMEM. */
int snapshot_new(struct vm *vm, const struct fetch_spec *spec, struct snapshot **ret_snapshot);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
struct snapshot *snapshot_unref(struct snapshot *snapshot);

static inline void snapshot_unrefp(struct snapshot **s)
{
        snapshot_unref(*s);
}

/*
 * Makes sure that snapshot->value is good enough for @r. 0; REQUEST_PARKED: @r runs again when there is news; or the
 * query's error, with its reason noted in @r.
 */
int snapshot_require(struct snapshot *snapshot, struct request *r, enum freshness freshness);

/* Whether nothing is under way and nobody waits. */
bool snapshot_is_idle(const struct snapshot *snapshot);
/* Whether its value may be used again for a while, to spare QEMU. */
bool snapshot_is_costly(const struct snapshot *snapshot);

/* The vm's timer: lets go of values that are too old to be used. */
void snapshots_sweep(struct qmp_timer *timer);

/* Whether a query sent since @r arrived made the value: what it doesn't show isn't there. */
bool snapshot_is_news(const struct snapshot *snapshot, const struct request *r);

#endif
