/*
 * The latest result of a query, its waiters and its age.
 *
 * All readers of a query share one snapshot. A request may be answered by any query that is sent after its arrival.
 * Readers that arrive while a query is under way wait together for the next one, so N readers cost two queries.
 */
#ifndef FS_SNAPSHOT_H
#define FS_SNAPSHOT_H

#include "fetch.h"
#include "request.h"

/*
 * Queries that take this much of QEMU's time are "costly": they stop the guest, so their results are used again for a
 * while.
 */
#define SNAPSHOT_COSTLY_NS (1 * NSEC_PER_MSEC)
/* But never for longer than this. */
#define SNAPSHOT_REUSE_MAX_NS (100 * NSEC_PER_MSEC)
#define SNAPSHOT_COSTS        4
/* The advance, in QEMU's time, of all costly queries together over the limit of max_load, … */
#define SNAPSHOT_COSTLY_ADVANCE_NS (1 * NSEC_PER_SEC)
/* … and that of all queries, while the guest runs. */
#define SNAPSHOT_ADVANCE_NS (10 * NSEC_PER_SEC)
/*
 * The most that a cheap command counts for that limit. It takes 0.15 to 0.35 ms; a longer time is caused by a busy
 * host, and does not show that QEMU's main thread delays the guest.
 */
#define SNAPSHOT_COMMAND_NS (NSEC_PER_MSEC * 4 / 10)

enum freshness {
        FRESH_CONTENT,   /* sent after the request arrived, or costly and within the load limit */
        FRESH_STRUCTURE, /* or at most structure_ttl old, without an event since */
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
        struct qmp_timer pause; /* until the query may be sent */
        bool paused;
        struct list waiters; /* for the query under way, or the one that is paused */
        struct list later;   /* for the next one */
        uint64_t costs[SNAPSHOT_COSTS];
        unsigned n_costs;
};

/* Finds the snapshot of the same command, or creates one. The caller gets a reference. 0 or -ENOMEM. */
int snapshot_new(struct vm *vm, const struct fetch_spec *spec, struct snapshot **ret_snapshot);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
struct snapshot *snapshot_unref(struct snapshot *snapshot);

static inline void snapshot_unrefp(struct snapshot **s)
{
        snapshot_unref(*s);
}

/*
 * Ensures that snapshot->value is fresh enough for @r. 0, REQUEST_PARKED (@r runs again after the query), or the
 * error of the query, with its reason in @r.
 */
int snapshot_require(struct snapshot *snapshot, struct request *r, enum freshness freshness);

/* Whether no query is under way and no request waits. */
bool snapshot_is_idle(const struct snapshot *snapshot);
/* Whether its value may be used again for a while, to spare QEMU. */
bool snapshot_is_costly(const struct snapshot *snapshot);

/* The vm's timer: drops values that are too old to be used. */
void snapshots_sweep(struct qmp_timer *timer);

/* Whether the value comes from a query sent after the arrival of @r, so that missing entries do not exist. */
bool snapshot_is_news(const struct snapshot *snapshot, const struct request *r);

#endif
