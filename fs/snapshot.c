#include "snapshot.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>

/* What is free within the heap, in bytes, before it is worth the effort to give it back. */
#define TRIM_MIN (1 << 20)

/* Only whole commands are asked by several files; what belongs to one object is its inode's. */
static struct snapshot *find(struct vm *vm, const struct fetch_spec *spec)
{
        list_for_each(i, &vm->snapshots) {
                struct snapshot *s = list_entry(i, struct snapshot, link);

                if (spec->kind == FETCH_COMMAND && streq(s->a, spec->a))
                        return s;
        }
        return NULL;
}

static void resume(struct qmp_timer *timer);

int snapshot_new(struct vm *vm, const struct fetch_spec *spec, struct snapshot **ret_snapshot)
{
        struct snapshot *s = find(vm, spec);

        if (s) {
                *ret_snapshot = snapshot_ref(s);
                return 0;
        }
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->refs = 1;
        s->vm = vm;
        list_init(&s->link);
        list_init(&s->kept);
        s->pause.fire = resume;
        list_init(&s->waiters);
        list_init(&s->later);
        s->a = spec->a ? strdup(spec->a) : NULL;
        s->b = spec->b ? strdup(spec->b) : NULL;
        s->spec = (struct fetch_spec){ spec->kind, s->a, s->b, spec->oob, spec->asked };
        if ((spec->a && !s->a) || (spec->b && !s->b)) {
                snapshot_unref(s);
                return -ENOMEM;
        }
        if (spec->kind == FETCH_COMMAND)
                list_append(&vm->snapshots, &s->link);
        *ret_snapshot = s;
        return 0;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
        s->refs++;
        return s;
}

struct snapshot *snapshot_unref(struct snapshot *s)
{
        if (!s || --s->refs > 0)
                return NULL;
        assert(snapshot_is_idle(s));
        list_unlink(&s->link);
        list_unlink(&s->kept);
        qmp_timer_disarm(s->vm->loop, &s->pause);
        json_object_put(s->value);
        free(s->error_class);
        free(s->error_text);
        free(s->a);
        free(s->b);
        free(s);
        return NULL;
}

/* The cost of a query to QEMU: the minimum of the last few, since cheap queries look costly on a busy host. */
static uint64_t cost(const struct snapshot *s)
{
        unsigned n = s->n_costs < SNAPSHOT_COSTS ? s->n_costs : SNAPSHOT_COSTS;
        uint64_t least = n > 0 ? UINT64_MAX : 0;

        for (unsigned i = 0; i < n; i++)
                if (s->costs[i] < least)
                        least = s->costs[i];
        return least;
}

bool snapshot_is_idle(const struct snapshot *s)
{
        return !s->fetch && list_empty(&s->waiters) && list_empty(&s->later);
}

bool snapshot_is_costly(const struct snapshot *s)
{
        return cost(s) >= SNAPSHOT_COSTLY_NS;
}

/* How long a value may be used again. */
static uint64_t reuse_ns(const struct snapshot *s)
{
        unsigned load = s->vm->options.max_load;
        uint64_t c = cost(s), reuse;

        if (c < SNAPSHOT_COSTLY_NS)
                return 0;
        reuse = c * (100 - load) / load;
        return reuse < SNAPSHOT_REUSE_MAX_NS ? reuse : SNAPSHOT_REUSE_MAX_NS;
}

/*
 * Each costly query by itself is asked so seldom that it takes no more than its share; but there are some twenty of
 * them, and each may have its own readers. So what they take together is counted, and paid off at the rate of the
 * limit.
 *
 * What pays: whole commands that have been costly more than once, since what was so once may have been hit by a busy
 * host.
 */
static bool pays(const struct snapshot *s)
{
        return s->spec.kind == FETCH_COMMAND && s->n_costs > 1 && snapshot_is_costly(s);
}

/*
 * Cheap queries are counted too, since thousands of them a second are felt by a guest that needs QEMU for its own
 * work (port I/O): such a one loses half as much again as the queries take (measured), since it gets QEMU's lock
 * later than we the reply. But with more in advance, so that a walk over thousands of small things need not wait; and
 * not where no guest runs.
 */
static void add_load(const struct snapshot *s, const struct fetch_result *result)
{
        struct vm *vm = s->vm;
        unsigned percent = vm->options.max_load;
        uint64_t now = qmp_now(), busy_ns = result->busy_ns, most = result->n_commands * SNAPSHOT_COMMAND_NS;

        if (busy_ns >= SNAPSHOT_COSTLY_NS)
                load_add(&vm->costly_load, percent, SNAPSHOT_COSTLY_ADVANCE_NS, busy_ns, now);
        if (busy_ns > most && !pays(s))
                busy_ns = most;
        load_add(&vm->load, percent, SNAPSHOT_ADVANCE_NS, busy_ns + busy_ns / 2, now);
}

/* How long the query has to wait. */
static uint64_t pause_ns(const struct snapshot *s)
{
        const struct vm *vm = s->vm;
        unsigned percent = vm->options.max_load;
        uint64_t now = qmp_now();
        uint64_t all = vm->paused ? 0 : load_pause_ns(&vm->load, percent, SNAPSHOT_ADVANCE_NS, now);
        uint64_t costly = pays(s) ? load_pause_ns(&vm->costly_load, percent, SNAPSHOT_COSTLY_ADVANCE_NS, now) : 0;

        return costly > all ? costly : all;
}

bool snapshot_is_news(const struct snapshot *s, const struct request *r)
{
        return s->value_stamp > r->stamp;
}

static bool is_good(const struct snapshot *s, const struct request *r, enum freshness freshness)
{
        uint64_t now;

        if (!s->has_value)
                return false;
        if (s->value_stamp > r->stamp)
                return true;
        if (s->value_epoch != s->vm->epoch)
                return false;
        now = qmp_now();
        if (now < s->value_at + reuse_ns(s))
                return true;
        return freshness == FRESH_STRUCTURE && now < s->value_sent_at + s->vm->options.structure_ttl_ns;
}

static void fetched(void *userdata, const struct fetch_result *result);

/* One of the requests is a write. */
static bool any_patient(const struct list *waiters)
{
        list_for_each(i, waiters)
                if (list_entry(i, struct request, waiter)->patient)
                        return true;
        return false;
}

static int start(struct snapshot *s, bool patient)
{
        int r = fetch_start(s->vm, &s->spec, patient, fetched, s, &s->fetch);

        if (r < 0)
                return r;
        snapshot_ref(s);
        s->patient = patient;
        s->fetch_stamp = ++s->vm->stamp;
        s->fetch_epoch = s->vm->epoch;
        s->fetch_at = qmp_now();
        return 0;
}

static void drop_value(struct snapshot *s)
{
        list_unlink(&s->kept);
        json_object_put(take_ptr(s->value));
        s->has_value = false;
        s->value_stamp = 0;
}

static void set_error(struct snapshot *s, int error, const char *class, const char *text)
{
        free(s->error_class);
        free(s->error_text);
        s->error = error;
        s->error_class = class ? strdup(class) : NULL;
        s->error_text = text ? strdup(text) : NULL;
        s->error_stamp = s->fetch_stamp;
        /* what was true before is not to be used in its place */
        drop_value(s);
}

/* After that long nobody can use a value any more, and a walk over the whole mount asks for thousands. */
static uint64_t keep_ns(const struct vm *vm)
{
        uint64_t ttl = vm->options.structure_ttl_ns;

        return ttl > SNAPSHOT_REUSE_MAX_NS ? ttl : SNAPSHOT_REUSE_MAX_NS;
}

/* What requests that still ask could need again: a step that wants several results begins from the top with each. */
static uint64_t oldest_asking(const struct vm *vm)
{
        uint64_t oldest = UINT64_MAX;

        list_for_each(i, &vm->asking) {
                const struct request *r = list_entry(i, struct request, asking);

                if (r->arrival < oldest)
                        oldest = r->arrival;
        }
        return oldest;
}

void snapshots_sweep(struct qmp_timer *timer)
{
        struct vm *vm = container_of(timer, struct vm, sweep);
        uint64_t now = qmp_now(), oldest = oldest_asking(vm);

        while (!list_empty(&vm->kept)) {
                struct snapshot *s = list_entry(vm->kept.next, struct snapshot, kept);

                if (now < s->value_at + keep_ns(vm) || s->value_stamp > oldest) {
                        /* not for each of thousands by itself */
                        qmp_timer_arm(vm->loop, timer, now + keep_ns(vm) / 4);
                        return;
                }
                drop_value(s);
        }
        if (mallinfo2().fordblks > TRIM_MIN)
                malloc_trim(0);
}

static void keep(struct snapshot *s)
{
        struct vm *vm = s->vm;

        if (list_empty(&vm->kept))
                qmp_timer_arm(vm->loop, &vm->sweep, s->value_at + keep_ns(vm));
        list_unlink(&s->kept);
        list_append(&vm->kept, &s->kept);
}

static void set_value(struct snapshot *s, const struct fetch_result *result)
{
        json_object_put(s->value);
        s->value = json_object_get(result->value);
        s->has_value = true;
        s->serial++;
        s->value_stamp = s->fetch_stamp;
        s->value_epoch = s->fetch_epoch;
        s->value_sent_at = s->fetch_at;
        s->value_at = qmp_now();
        s->costs[s->n_costs++ % SNAPSHOT_COSTS] = result->busy_ns;
        keep(s);
}

/* Starts the query, now or when it may be sent. */
static int begin(struct snapshot *s, bool patient)
{
        uint64_t pause = patient ? 0 : pause_ns(s);

        if (pause == 0)
                return start(s, patient);
        qmp_timer_arm(s->vm->loop, &s->pause, qmp_now() + pause);
        s->paused = true;
        return 0;
}

/* Nothing could be sent: whom that is told. */
static void fail_waiters(struct snapshot *s, int error, const char *text)
{
        struct list ready;

        s->fetch_stamp = ++s->vm->stamp;
        set_error(s, error, NULL, text);
        list_init(&ready);
        list_splice(&ready, &s->waiters);
        requests_run(&ready);
}

static void resume(struct qmp_timer *timer)
{
        _cleanup_(snapshot_unrefp) struct snapshot *s = snapshot_ref(container_of(timer, struct snapshot, pause));
        _cleanup_(qmp_freep) char *why = NULL;
        int r;

        s->paused = false;
        if (list_empty(&s->waiters))
                return;
        r = start(s, any_patient(&s->waiters));
        if (r == -EHOSTDOWN)
                why = vm_describe_connection(s->vm);
        if (r < 0)
                fail_waiters(s, r, why);
}

static void fetched(void *userdata, const struct fetch_result *result)
{
        _cleanup_(snapshot_unrefp) struct snapshot *s = userdata; /* start()'s reference */
        struct list ready;

        s->fetch = NULL;
        if (result->error)
                set_error(s, result->error, result->error_class, result->text);
        else
                set_value(s, result);
        add_load(s, result);
        list_init(&ready);
        list_splice(&ready, &s->waiters);
        if (!list_empty(&s->later)) {
                int r = begin(s, any_patient(&s->later));

                if (r < 0) {
                        s->fetch_stamp = ++s->vm->stamp;
                        set_error(s, r, NULL, result->text);
                        list_splice(&ready, &s->later);
                } else {
                        list_splice(&s->waiters, &s->later);
                }
        }
        requests_run(&ready);
}

int snapshot_require(struct snapshot *s, struct request *r, enum freshness freshness)
{
        struct list *waiters = &s->waiters;
        int e;

        if (is_good(s, r, freshness))
                return 0;
        /* whatever a write has it ask for, nobody else makes it ask again */
        if (s->spec.asked && !r->patient)
                return request_fail(r, -EPERM, NULL, "%s is sent only after a write", fetch_command(&s->spec));
        if (s->error_stamp > r->stamp)
                return request_fail(r, s->error, s->error_class, "%s", s->error_text ? s->error_text : "");
        /* a fetch may be patient for a write; a read must not wait that long */
        if (!r->patient && qmp_client_is_overdue(s->vm->client))
                request_hurry(r, qmp_client_patience(s->vm->client, s->vm->options.timeout_ns));
        if (!s->fetch && (!s->paused || r->patient)) {
                e = begin(s, r->patient);
                if (e == -EHOSTDOWN)
                        return request_fail_down(r);
                if (e < 0)
                        return e;
                /* a write does not wait; if its query could not be sent, those who do wait on */
                if (s->fetch && s->paused) {
                        qmp_timer_disarm(s->vm->loop, &s->pause);
                        s->paused = false;
                }
        } else if (s->fetch && (fetch_is_sent(s->fetch) || (r->patient && !s->patient))) {
                waiters = &s->later;
        } else if (s->fetch) {
                /* it will be sent after this request arrived, so it answers this one too */
                s->fetch_stamp = ++s->vm->stamp;
                s->fetch_epoch = s->vm->epoch;
        }
        list_append(waiters, &r->waiter);
        list_unlink(&r->asking);
        list_append(&s->vm->asking, &r->asking);
        return REQUEST_PARKED;
}
