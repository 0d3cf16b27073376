#include "fs/vm/query.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "fs/util/table.h"
#include "fs/vm/peer.h"

/* What is free within the heap, in bytes, before it is worth the effort to give it back. */
#define TRIM_MIN (1 << 20)

static bool is_spec(const struct query *q, const struct query_spec *spec)
{
        return q->spec.plan == spec->plan && q->spec.asked == spec->asked && streq_or_null(q->a, spec->a) &&
               streq_or_null(q->b, spec->b);
}

/* A command without arguments. There are as many as the schema has, and their costs are not forgotten. */
static bool is_whole(const struct query_spec *spec)
{
        return spec->plan == &plan_command && !spec->b;
}

/*
 * The key in the table; NULL: out of memory. Most are the command's name, which is not copied: *ret_copy is what the
 * caller has to free. The parts of others may hold any character.
 */
static const char *key_of(const struct query_spec *spec, char **ret_copy)
{
        const char *a = spec->a ? spec->a : "", *b = spec->b ? spec->b : "";

        *ret_copy = NULL;
        if (is_whole(spec) && !spec->asked)
                return spec->a;
        if (asprintf(ret_copy, "%s %d %zu %s%s", spec->plan->name, spec->asked, strlen(a), a, b) < 0)
                *ret_copy = NULL;
        return *ret_copy;
}

static void resume(struct qmp_timer *timer);
static void sweep(struct qmp_timer *timer);
static uint64_t reuse_ns(const struct query *q);
static void drop_value(struct query *q);

static void query_free(struct query *q)
{
        assert(!q->fetch && list_empty(&q->waiters) && list_empty(&q->later));
        drop_value(q);
        qmp_timer_disarm(q->peer->context->loop, &q->pause);
        free(q->error_class);
        free(q->error_text);
        free(q->key);
        free(q->a);
        free(q->b);
        free(q);
}

static int query_new(struct peer *peer, const struct query_spec *spec, const char *key, struct query **ret_query)
{
        struct query *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->peer = peer;
        list_init(&q->kept);
        q->pause.fire = resume;
        list_init(&q->waiters);
        list_init(&q->later);
        q->key = strdup(key);
        q->a = spec->a ? strdup(spec->a) : NULL;
        q->b = spec->b ? strdup(spec->b) : NULL;
        q->spec = (struct query_spec){ spec->plan, q->a, q->b, spec->oob, spec->asked };
        table_renew(peer->queries.all, &peer->queries.n_left);
        if (!q->key || (spec->a && !q->a) || (spec->b && !q->b) ||
            lh_table_insert(peer->queries.all, q->key, q) != 0) {
                query_free(q);
                return -ENOMEM;
        }
        *ret_query = q;
        return 0;
}

int query_get(struct peer *peer, const struct query_spec *spec, struct query **ret_query)
{
        _cleanup_(qmp_freep) char *copy = NULL;
        const char *key = key_of(spec, &copy);
        void *found;
        int r;

        if (!key)
                return -ENOMEM;
        if (lh_table_lookup_ex(peer->queries.all, key, &found)) {
                *ret_query = found;
        } else {
                r = query_new(peer, spec, key, ret_query);
                if (r < 0)
                        return r;
        }
        (*ret_query)->refs++;
        return 0;
}

const struct query *query_peek(struct peer *peer, const struct query_spec *spec)
{
        _cleanup_(qmp_freep) char *copy = NULL;
        const char *key = key_of(spec, &copy);
        void *found;

        if (!key || !lh_table_lookup_ex(peer->queries.all, key, &found))
                return NULL;
        return ((struct query *)found)->has_value ? found : NULL;
}

static void forget(struct query *q)
{
        struct queries *queries = &q->peer->queries;

        lh_table_delete(queries->all, q->key);
        queries->n_left++;
        query_free(q);
}

/*
 * Nobody holds it any more. A value that names depend on is used again for a while, and a costly one spares QEMU; the
 * sweep drops them. A walk over thousands of properties must not leave thousands of queries until then.
 */
void query_release(struct query *q)
{
        if (--q->refs > 0 || q->fetch)
                return;
        if (q->has_value && (!q->spec.plan->transient || reuse_ns(q) > 0))
                return;
        if (is_whole(&q->spec))
                drop_value(q);
        else
                forget(q);
}

static void query_releasep(struct query **q)
{
        query_release(*q);
}

int queries_init(struct queries *queries, struct peer *peer)
{
        queries->peer = peer;
        list_init(&queries->kept);
        queries->sweep.fire = sweep;
        queries->all = lh_kchar_table_new(64, NULL);
        return queries->all ? 0 : -ENOMEM;
}

void queries_deinit(struct queries *queries)
{
        qmp_timer_disarm(queries->peer->context->loop, &queries->sweep);
        for (struct lh_entry *i = lh_table_head(queries->all), *next; i; i = next) {
                next = lh_entry_next(i);
                query_free(lh_entry_v(i));
        }
        lh_table_free(queries->all);
}

void queries_forget_load(struct queries *queries)
{
        queries->load = queries->costly_load = (struct load){ 0 };
}

/* The cost of a query to QEMU: the minimum of the last few, since cheap queries look costly on a busy host. */
static uint64_t cost(const struct query *q)
{
        unsigned n = q->n_costs < QUERY_COSTS ? q->n_costs : QUERY_COSTS;
        uint64_t least = n > 0 ? UINT64_MAX : 0;

        for (unsigned i = 0; i < n; i++)
                if (q->costs[i] < least)
                        least = q->costs[i];
        return least;
}

static bool is_costly(const struct query *q)
{
        return cost(q) >= QUERY_COSTLY_NS;
}

/* How long a value may be used again. */
static uint64_t reuse_ns(const struct query *q)
{
        unsigned load = q->peer->options.max_load;
        uint64_t c = cost(q), reuse;

        if (c < QUERY_COSTLY_NS)
                return 0;
        reuse = c * (100 - load) / load;
        return reuse < QUERY_REUSE_MAX_NS ? reuse : QUERY_REUSE_MAX_NS;
}

/*
 * Each costly query by itself is asked so seldom that it takes no more than its share; but there are some twenty of
 * them, and each may have its own readers. So what they take together is counted, and paid off at the rate of the
 * limit.
 *
 * What pays: whole commands that have been costly more than once, since what was so once may have been hit by a busy
 * host.
 */
static bool pays(const struct query *q)
{
        return is_whole(&q->spec) && q->n_costs > 1 && is_costly(q);
}

/*
 * Cheap queries are counted too, since thousands of them a second are felt by a guest that needs QEMU for its own
 * work (port I/O): such a one loses half as much again as the queries take (measured), since it gets QEMU's lock
 * later than we the reply. But with more in advance, so that a walk over thousands of small things need not wait; and
 * not where no guest runs.
 */
static void add_load(const struct query *q, const struct fetch_result *result)
{
        struct peer *peer = q->peer;
        unsigned percent = peer->options.max_load;
        uint64_t now = qmp_now(), busy_ns = result->busy_ns, most = result->n_commands * QUERY_COMMAND_NS;

        if (busy_ns >= QUERY_COSTLY_NS)
                load_add(&peer->queries.costly_load, percent, QUERY_COSTLY_ADVANCE_NS, busy_ns, now);
        if (busy_ns > most && !pays(q))
                busy_ns = most;
        load_add(&peer->queries.load, percent, QUERY_ADVANCE_NS, busy_ns + busy_ns / 2, now);
}

/* How long the query has to wait. */
static uint64_t pause_ns(const struct query *q)
{
        const struct peer *peer = q->peer;
        unsigned percent = peer->options.max_load;
        uint64_t now = qmp_now();
        uint64_t all = peer->paused ? 0 : load_pause_ns(&peer->queries.load, percent, QUERY_ADVANCE_NS, now);
        uint64_t costly =
                pays(q) ? load_pause_ns(&peer->queries.costly_load, percent, QUERY_COSTLY_ADVANCE_NS, now) : 0;

        return costly > all ? costly : all;
}

bool query_is_news(const struct query *q, const struct waiter *w)
{
        return q->value_stamp > w->stamp;
}

static bool is_good(const struct query *q, const struct waiter *w, enum freshness freshness)
{
        uint64_t now;

        if (!q->has_value)
                return false;
        if (q->value_stamp > w->stamp)
                return true;
        if (q->value_epoch != q->peer->epoch)
                return false;
        now = qmp_now();
        if (now < q->value_at + reuse_ns(q))
                return true;
        return freshness == FRESH_STRUCTURE && now < q->value_sent_at + q->peer->options.structure_ttl_ns;
}

static void fetched(void *userdata, const struct fetch_result *result);

/* One of them is a write. */
static bool any_patient(const struct list *waiters)
{
        list_for_each(i, waiters)
                if (list_entry(i, struct waiter, link)->patient)
                        return true;
        return false;
}

static int start(struct query *q, bool patient)
{
        int r = fetch_start(q->peer, &q->spec, patient, fetched, q, &q->fetch);

        if (r < 0)
                return r;
        q->refs++;
        q->peer->context->n_fetches++;
        q->patient = patient;
        q->fetch_stamp = ++q->peer->context->stamp;
        q->fetch_epoch = q->peer->epoch;
        q->fetch_at = qmp_now();
        return 0;
}

static void drop_value(struct query *q)
{
        list_unlink(&q->kept);
        json_object_put(take_ptr(q->value));
        q->peer->queries.memory -= q->memory;
        q->memory = 0;
        q->has_value = false;
        q->value_stamp = 0;
}

static void set_error(struct query *q, int error, const char *class, const char *text)
{
        free(q->error_class);
        free(q->error_text);
        q->error = error;
        q->error_class = class ? strdup(class) : NULL;
        q->error_text = text ? strdup(text) : NULL;
        q->error_stamp = q->fetch_stamp;
        /* what was true before is not to be used in its place */
        drop_value(q);
}

/* After that long nobody can use a value any more, and a walk over the whole mount asks for thousands. */
static uint64_t keep_ns(const struct peer *peer)
{
        uint64_t ttl = peer->options.structure_ttl_ns;

        return ttl > QUERY_REUSE_MAX_NS ? ttl : QUERY_REUSE_MAX_NS;
}

/* The value is not used any more, unless a waiter needs it: its step begins from the top with each result. */
static void let_go(struct query *q)
{
        if (q->n_required > 0)
                return;
        drop_value(q);
        if (q->refs == 0 && !q->fetch && !is_whole(&q->spec))
                forget(q);
}

/* A hostile QEMU decides how large its replies are, and a walk asks for thousands. */
static void bound(struct queries *queries)
{
        list_for_each_safe(i, &queries->kept) {
                if (queries->memory <= QUERY_MEMORY_MAX || i->next == &queries->kept)
                        return;
                let_go(list_entry(i, struct query, kept));
        }
}

static void sweep(struct qmp_timer *timer)
{
        struct peer *peer = container_of(timer, struct peer, queries.sweep);
        uint64_t now = qmp_now();

        list_for_each_safe(i, &peer->queries.kept) {
                struct query *q = list_entry(i, struct query, kept);

                if (now < q->value_at + keep_ns(peer))
                        break;
                let_go(q);
        }
        /* not for each of thousands by itself */
        if (!list_empty(&peer->queries.kept))
                qmp_timer_arm(peer->context->loop, timer, now + keep_ns(peer) / 4);
        else if (mallinfo2().fordblks > TRIM_MIN)
                malloc_trim(0);
}

static void keep(struct query *q)
{
        struct peer *peer = q->peer;

        if (list_empty(&peer->queries.kept))
                qmp_timer_arm(peer->context->loop, &peer->queries.sweep, q->value_at + keep_ns(peer));
        list_unlink(&q->kept);
        list_append(&peer->queries.kept, &q->kept);
        bound(&peer->queries);
}

static void set_value(struct query *q, const struct fetch_result *result)
{
        json_object_put(q->value);
        q->value = json_object_get(result->value);
        q->peer->queries.memory += result->memory - q->memory;
        q->memory = result->memory;
        q->has_value = true;
        q->serial = ++q->peer->queries.serial;
        q->value_stamp = q->fetch_stamp;
        q->value_epoch = q->fetch_epoch;
        q->value_sent_at = q->fetch_at;
        q->value_at = qmp_now();
        q->costs[q->n_costs++ % QUERY_COSTS] = result->busy_ns;
        keep(q);
}

/* Starts the query, now or when it may be sent. */
static int begin(struct query *q, bool patient)
{
        uint64_t pause = patient ? 0 : pause_ns(q);

        if (pause == 0)
                return start(q, patient);
        qmp_timer_arm(q->peer->context->loop, &q->pause, qmp_now() + pause);
        q->paused = true;
        return 0;
}

/* Nothing could be sent: whom that is told. */
static void fail_waiters(struct query *q, int error, const char *text)
{
        struct list ready;

        q->fetch_stamp = ++q->peer->context->stamp;
        set_error(q, error, NULL, text);
        list_init(&ready);
        list_splice(&ready, &q->waiters);
        waiters_run(&ready);
}

static void resume(struct qmp_timer *timer)
{
        _cleanup_(query_releasep) struct query *q = container_of(timer, struct query, pause);
        _cleanup_(qmp_freep) char *why = NULL;
        int r;

        q->refs++;
        q->paused = false;
        if (list_empty(&q->waiters))
                return;
        r = start(q, any_patient(&q->waiters));
        if (r == -EHOSTDOWN)
                why = peer_describe(q->peer);
        if (r < 0)
                fail_waiters(q, r, why);
}

static void fetched(void *userdata, const struct fetch_result *result)
{
        _cleanup_(query_releasep) struct query *q = userdata; /* start()'s reference */
        struct list ready;

        q->fetch = NULL;
        q->peer->context->n_fetches--;
        if (result->error)
                set_error(q, result->error, result->error_class, result->text);
        else
                set_value(q, result);
        add_load(q, result);
        list_init(&ready);
        list_splice(&ready, &q->waiters);
        if (!list_empty(&q->later)) {
                int r = begin(q, any_patient(&q->later));

                if (r < 0) {
                        q->fetch_stamp = ++q->peer->context->stamp;
                        set_error(q, r, NULL, result->text);
                        list_splice(&ready, &q->later);
                } else {
                        list_splice(&q->waiters, &q->later);
                }
        }
        waiters_run(&ready);
}

/* It is there at once, connected or not. */
static int take_own(struct query *q)
{
        struct json_object *value;
        int r = q->spec.plan->own(q->peer, &q->spec, &value);

        if (r < 0)
                return r;
        q->fetch_stamp = ++q->peer->context->stamp;
        q->fetch_epoch = q->peer->epoch;
        q->fetch_at = qmp_now();
        if (q->has_value && q->value == value)
                q->value_stamp = q->fetch_stamp;
        else
                set_value(q, &(struct fetch_result){ .value = value });
        return 0;
}

static int wait(struct query *q, struct waiter *w, enum freshness freshness)
{
        struct list *waiters = &q->waiters;
        int e;

        if (q->spec.plan->own)
                return take_own(q);
        if (is_good(q, w, freshness))
                return 0;
        /* whatever a write has it ask for, nobody else makes it ask again */
        if (q->spec.asked && !w->patient)
                return waiter_fail(w, -EPERM, NULL, "%s is sent only after a write", query_command(&q->spec));
        if (q->error_stamp > w->stamp)
                return waiter_fail(w, q->error, q->error_class, "%s", q->error_text ? q->error_text : "");
        /* a fetch may be patient for a write; a read must not wait that long */
        if (!w->patient && qmp_client_is_overdue(q->peer->client))
                waiter_hurry(w, qmp_client_patience(q->peer->client, q->peer->options.timeout_ns));
        if (!q->fetch && (!q->paused || w->patient)) {
                e = begin(q, w->patient);
                if (e == -EHOSTDOWN)
                        return waiter_fail_down(w);
                if (e < 0)
                        return e;
                /* a write does not wait; if its query could not be sent, those who do wait on */
                if (q->fetch && q->paused) {
                        qmp_timer_disarm(q->peer->context->loop, &q->pause);
                        q->paused = false;
                }
        } else if (q->fetch && (fetch_is_sent(q->fetch) || (w->patient && !q->patient))) {
                waiters = &q->later;
        } else if (q->fetch) {
                /* it will be sent after this waiter arrived, so it answers this one too */
                q->fetch_stamp = ++q->peer->context->stamp;
                q->fetch_epoch = q->peer->epoch;
        }
        list_append(waiters, &w->link);
        return WAITER_PARKED;
}

/* One of the queries that the waiter holds; NULL: it does not hold this one. */
static struct query *required(const struct waiter *w, const struct query_spec *spec)
{
        for (size_t i = 0; i < w->n_queries; i++)
                if (is_spec(w->queries[i], spec))
                        return w->queries[i];
        return NULL;
}

bool query_is_required(const struct waiter *w, const struct query_spec *spec)
{
        return required(w, spec);
}

int query_require(struct waiter *w, const struct query_spec *spec, enum freshness freshness,
                  const struct query **ret_query)
{
        struct query *q = required(w, spec), **queries;
        int r;

        if (!q) {
                queries = reallocarray(w->queries, w->n_queries + 1, sizeof(struct query *));
                if (!queries)
                        return -ENOMEM;
                w->queries = queries;
                r = query_get(w->peer, spec, &q);
                if (r < 0)
                        return r;
                w->queries[w->n_queries++] = q;
                q->n_required++;
        }
        r = wait(q, w, freshness);
        if (r == 0)
                *ret_query = q;
        return r;
}

bool queries_are_committed(const struct waiter *w)
{
        for (size_t i = 0; i < w->n_queries; i++) {
                const struct query *q = w->queries[i];

                if (!q->spec.asked || !q->fetch || !fetch_is_sent(q->fetch))
                        continue;
                list_for_each(l, &q->waiters)
                        if (l == &w->link)
                                return true;
        }
        return false;
}

void queries_release(struct waiter *w)
{
        for (size_t i = 0; i < w->n_queries; i++) {
                struct query *q = w->queries[i];

                /* what only a write has QEMU do is not done once the writer has gone */
                if (--q->n_required == 0 && q->spec.asked && q->fetch)
                        fetch_withdraw(q->fetch);
                query_release(q);
        }
        free(take_ptr(w->queries));
        w->n_queries = 0;
}
