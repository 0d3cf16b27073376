#include "tests/lib/collections.h"

#include "fs/kinds/action.h"
#include "fs/kinds/kinds.h"

struct json_object *own_list;
unsigned n_own_calls;

static int own(struct peer *peer, const struct query_spec *spec, struct json_object **ret_value)
{
        (void)peer;
        CHECK(streq(spec->a, "vms"));
        n_own_calls++;
        *ret_value = own_list;
        return own_list ? 0 : -ENOMEM;
}

/* jobs/NAME/dismiss */
static const struct action dismiss = {
        .steps = { { .does = { "job-dismiss", { { .name = "id", .record = "{id}" } } } } },
        .until = ACTION_GONE,
};

static int dismiss_write(struct request *r, struct file *file)
{
        struct action_use use = { .action = &dismiss, .name = "dismiss" };
        int e;

        (void)file;
        if (r->op)
                return action_continue(r);
        e = object_require(r->inode->object, &r->waiter, FRESH_CONTENT, &use.record);
        return e ? e : action_start(r, &use);
}

static const struct kind kind_dismiss = { .type = S_IFREG, .own_inode = true, .write = dismiss_write };

static const struct plan plan_own = { .name = "own", .own = own };

static const struct row rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "thread",
          .kind = &kind_record_value,
          .mode = 0444,
          .member = "thread-id",
          .present = "{thread-id}" },
        { 0 },
};

static const struct row job_rows[] = {
        { .name = "status", .kind = &kind_record, .mode = 0444 },
        { .name = "dismiss", .kind = &kind_dismiss, .mode = 0200 },
        { 0 },
};

/* a new collection is this much */
static const struct each iothreads = {
        .query = { .plan = &plan_command, .a = "query-iothreads" },
        .name = "{id}",
        .rows = rows,
};

static const struct each nodes = {
        .query = { .plan = &plan_command, .a = "query-named-block-nodes" },
        .name = "{node-name}",
        .identity = "{drv}",
        .rows = rows,
};

static const struct each exports = {
        .query = { .plan = &plan_command, .a = "query-block-exports" },
        .name = "{id}",
        .ended = { .event = "BLOCK_EXPORT_DELETED", .member = "id" },
        .rows = rows,
};

const struct each test_jobs = {
        .query = { .plan = &plan_command, .a = "query-jobs" },
        .name = "{id}",
        .ended = { .event = "JOB_STATUS_CHANGE", .member = "id", .when = "status", .equals = "null" },
        .keep = JOBS_KEPT,
        .rows = job_rows,
};

static const struct each owns = {
        .query = { .plan = &plan_own, .a = "vms" },
        .name = "{name}",
        .rows = rows,
};

static const struct row collections[] = {
        { .name = "iothreads", .kind = &kind_collection, .data = &iothreads },
        { .name = "nodes", .kind = &kind_collection, .data = &nodes },
        { .name = "exports", .kind = &kind_collection, .data = &exports },
        { .name = "jobs", .kind = &kind_collection, .data = &test_jobs },
        { .name = "own", .kind = &kind_collection, .data = &owns },
        { 0 },
};

static const struct row root = { .name = "/", .kind = &kind_dir, .data = collections };

void collections_up(void)
{
        test_time_virtual();
        rig_mount.root = &root;
        rig_make("/run/fake.sock");
        k_mount();
        rig_connect();
        own_set("[]");
}

void collections_down(void)
{
        rig_down();
        json_object_put(take_ptr(own_list));
}

void own_set(const char *json)
{
        json_object_put(own_list);
        own_list = json_tokener_parse(json);
        CHECK(own_list);
}

struct object *find_job(const char *name)
{
        struct collection *c;

        CHECK(collection_get(rig.vm, &test_jobs, &c) == 0);
        return collection_find(c, name);
}

void set_outcome(const char *name, const char *json)
{
        struct json_object *outcome = json_tokener_parse(json);

        CHECK(outcome);
        CHECK(object_set_outcome(find_job(name), outcome) == 0);
        json_object_put(outcome);
}
