/*
 * Queries: the latest result of each, its waiters and its age.
 *
 * All who want the same share one query. A waiter may be answered by any fetch that begins after its arrival. Those
 * that arrive while a fetch is under way wait together for the next one, so N readers cost two fetches.
 */
#ifndef FS_QUERY_H
#define FS_QUERY_H

#include "fs/vm/fetch.h"
#include "fs/util/load.h"
#include "fs/vm/waiter.h"

/*
 * Queries that take this much of QEMU's time are "costly": they stop the guest, so their results are used again for a
 * while.
 */
#define QUERY_COSTLY_NS (1 * NSEC_PER_MSEC)
/* But never for longer than this. */
#define QUERY_REUSE_MAX_NS (100 * NSEC_PER_MSEC)
#define QUERY_COSTS        4
/* The advance, in QEMU's time, of all costly queries together over the limit of max_load, … */
#define QUERY_COSTLY_ADVANCE_NS (1 * NSEC_PER_SEC)
/* … and that of all queries, while the guest runs. */
#define QUERY_ADVANCE_NS (10 * NSEC_PER_SEC)
/*
 * The most that a cheap command counts for that limit. It takes 0.15 to 0.35 ms; a longer time is caused by a busy
 * host, and does not show that QEMU's main thread delays the guest.
 */
#define QUERY_COMMAND_NS (NSEC_PER_MSEC * 4 / 10)

/*
 * The limit of the memory of all values, as json-c has them, beyond which the oldest are dropped; but not the last, nor
 * those that somebody needs. 5,000 disks take 70 MB.
 */
#define QUERY_MEMORY_MAX (UINT64_C(128) << 20)

enum freshness {
        FRESH_CONTENT,   /* sent after the waiter arrived, or costly and within the load limit */
        FRESH_STRUCTURE, /* or at most structure_ttl old, without an event since */
};

struct query {
        struct peer *peer;
        struct query_spec spec;
        char *key, *a, *b;   /* the key in the table */
        unsigned refs;       /* 0: it is kept for its value or its costs */
        unsigned n_required; /* by waiters, which may look at the value again */
        struct list kept;    /* in the peer: those with a value, the oldest first */

        bool has_value;            /* false: none yet, or the last fetch failed */
        struct json_object *value; /* NULL too where QEMU returned null */
        uint64_t serial;           /* of the value; never used again for another one of any query */
        uint64_t memory;           /* of the value, estimated */
        uint64_t value_stamp, value_epoch, value_sent_at, value_at;
        int error; /* of the last failed fetch */
        char *error_class, *error_text;
        uint64_t error_stamp;

        struct fetch *fetch; /* under way, or NULL */
        bool patient;        /* it keeps its limit while QEMU is stalled */
        uint64_t fetch_stamp, fetch_epoch, fetch_at;
        struct qmp_timer pause; /* until the fetch may begin */
        bool paused;
        struct list waiters; /* for the fetch under way, or the one that is paused */
        struct list later;   /* for the next one */
        uint64_t costs[QUERY_COSTS];
        unsigned n_costs;
};

/* All queries of a peer. */
struct queries {
        struct peer *peer;
        struct lh_table *all;          /* key to struct query */
        size_t n_left;                 /* the number of keys removed from it since its last rebuild */
        uint64_t serial;               /* of values */
        struct load load, costly_load; /* of QEMU's time: by all queries, by costly ones */
        uint64_t memory;               /* of the values, estimated */
        struct list kept;              /* those with a value, the oldest first … */
        struct qmp_timer sweep;        /* … which is let go of then */
};

/* 0 or -ENOMEM. */
int queries_init(struct queries *queries, struct peer *peer);
/* No fetch may be under way, and nobody may hold a query. */
void queries_deinit(struct queries *queries);
/* There is another QEMU: it owes no time. */
void queries_forget_load(struct queries *queries);

/* Finds the query, or creates it. The caller gets a reference. 0 or -ENOMEM. */
int query_get(struct peer *peer, const struct query_spec *spec, struct query **ret_query);
/* Drops the reference. */
void query_release(struct query *query);

/*
 * Ensures that the query's value is fresh enough for the waiter, which holds the query until its end. 0, WAITER_PARKED
 * (it runs again after the fetch), or the error of the query, with its reason in the waiter. A waiter may need any
 * number of queries, each found again when it runs again from the top. *ret_query is set on success, and its value
 * stays the same until control returns to the event loop.
 */
int query_require(struct waiter *waiter, const struct query_spec *spec, enum freshness freshness,
                  const struct query **ret_query);

/* Whether QEMU may be carrying out a query for the waiter that is sent only after a write. */
bool queries_are_committed(const struct waiter *waiter);

/* Drops the queries that the waiter holds. The waiter has left its list. */
void queries_release(struct waiter *waiter);

/* Whether the waiter has required the query before. */
bool query_is_required(const struct waiter *waiter, const struct query_spec *spec);

/* The query, if it has a value, however old; NULL: it has none. Borrowed. */
const struct query *query_peek(struct peer *peer, const struct query_spec *spec);

/* Whether the value comes from a fetch that began after the waiter's arrival, so that missing entries do not exist. */
bool query_is_news(const struct query *query, const struct waiter *waiter);

#endif
