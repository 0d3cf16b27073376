#include "fs/vm/introspection.h"

#include <errno.h>
#include <malloc.h>

#include "fs/vm/fetch.h"
#include "qmp/message.h"
#include "fs/vm/peer.h"
#include "fs/vm/waiter.h"

static void forget(struct introspection *i)
{
        i->schema = qmp_schema_free(i->schema);
        json_object_put(take_ptr(i->types));
        i->all_types = false;
}

void introspection_deinit(struct introspection *i)
{
        bus_leave(&i->peer->bus, &i->subscriber);
        forget(i);
        json_object_put(take_ptr(i->commands));
        free(i->error_class);
        free(i->error_text);
}

static int compare(const void *a, const void *b)
{
        struct json_object *const *x = a, *const *y = b;

        return strcmp(json_object_get_string(*x), json_object_get_string(*y));
}

/* A sorted list without duplicates; NULL: out of memory. */
static struct json_object *without_duplicates(struct json_object *sorted)
{
        size_t n = json_object_array_length(sorted);
        struct json_object *list = json_object_new_array_ext((int)n), *last = NULL;

        for (size_t i = 0; list && i < n; i++) {
                struct json_object *item = json_object_array_get_idx(sorted, i);

                if (last && json_object_equal(item, last))
                        continue;
                if (json_object_array_add(list, json_object_get(item)) < 0) {
                        json_object_put(item);
                        json_object_put(list);
                        return NULL;
                }
                last = item;
        }
        return list;
}

int introspection_set_types(struct introspection *i, struct json_object *reply)
{
        _cleanup_(qmp_json_putp) struct json_object *types = NULL;
        struct json_object *unique;

        types = json_object_new_array_ext((int)json_object_array_length(reply));
        for (size_t n = 0; types && n < json_object_array_length(reply); n++) {
                struct json_object *name = NULL;

                json_object_object_get_ex(json_object_array_get_idx(reply, n), "name", &name);
                if (!json_object_is_type(name, json_type_string))
                        continue;
                if (json_object_array_add(types, json_object_get(name)) < 0) {
                        json_object_put(name);
                        return -ENOMEM;
                }
        }
        if (!types)
                return -ENOMEM;
        json_object_array_sort(types, compare);
        unique = without_duplicates(types);
        if (!unique)
                return -ENOMEM;
        json_object_put(i->types);
        i->types = unique;
        i->all_types = true;
        return 0;
}

int introspection_add_type(struct introspection *i, const char *name)
{
        struct json_object *string;

        for (size_t n = 0; i->types && n < json_object_array_length(i->types); n++)
                if (streq(json_object_get_string(json_object_array_get_idx(i->types, n)), name))
                        return 0;
        if (!i->types)
                i->types = json_object_new_array();
        string = i->types ? json_object_new_string(name) : NULL;
        if (!string)
                return -ENOMEM;
        if (json_object_array_add(i->types, string) < 0) {
                json_object_put(string);
                return -ENOMEM;
        }
        json_object_array_sort(i->types, compare);
        return 0;
}

static struct json_object *names_of(const struct qmp_entities *entities)
{
        struct json_object *names = json_object_new_object();

        for (size_t i = 0; names && i < entities->n; i++)
                if (!qmp_json_add(names, entities->all[i]->name, NULL)) {
                        json_object_put(names);
                        return NULL;
                }
        return names;
}

static int take_schema(struct introspection *i, struct json_object *reply)
{
        struct qmp_schema *schema;
        int r = qmp_schema_new(reply, &schema);

        if (r < 0)
                return r;
        if (i->limited && !i->commands)
                i->commands = names_of(&schema->commands);
        if (i->limited && !i->commands) {
                qmp_schema_free(schema);
                return -ENOMEM;
        }
        qmp_schema_free(i->schema);
        i->schema = schema;
        if (!qmp_entities_find(&schema->commands, "qom-list-get"))
                i->peer->plan_memory.no_list_get = true;
        return 0;
}

static void set_failure(struct introspection *i, int error, const char *class, const char *text)
{
        i->error = error;
        free(i->error_class);
        i->error_class = class ? strdup(class) : NULL;
        free(i->error_text);
        i->error_text = text ? strdup(text) : NULL;
        i->error_stamp = ++i->peer->context->stamp;
}

static void schema_fetched(void *userdata, const struct fetch_result *result)
{
        struct introspection *i = userdata;
        int e = result->error;

        i->fetch = NULL;
        /* the commands can't be found out then */
        if (result->error_class && streq(result->error_class, "CommandNotFound"))
                i->limited = false;
        if (e)
                set_failure(i, e, result->error_class, result->text);
        else
                e = take_schema(i, result->value);
        if (e && !result->error)
                set_failure(i, e, NULL, e == -EPROTO ? "QEMU's answer is not a list" : "out of memory");
        waiters_run(&i->waiters);
        /* parsed, the reply took two megabytes, of which a daemon has no use */
        malloc_trim(0);
}

static const struct query_spec schema_spec = { .plan = &plan_command, .a = "query-qmp-schema" };

static int wait(struct introspection *i, struct waiter *w)
{
        int e = 0;

        if (i->error_stamp > w->stamp)
                return waiter_fail(w, i->error, i->error_class, "%s", i->error_text ? i->error_text : "");
        /* the fetch is patient, since a write may join it; a read must not wait that long */
        if (!w->patient && qmp_client_is_overdue(i->peer->client))
                waiter_hurry(w, qmp_client_patience(i->peer->client, i->peer->options.timeout_ns));
        if (!i->fetch)
                e = fetch_start(i->peer, &schema_spec, true, schema_fetched, i, &i->fetch);
        if (e == -EHOSTDOWN)
                return waiter_fail_down(w);
        if (e < 0)
                return e;
        list_append(&i->waiters, &w->link);
        return WAITER_PARKED;
}

int introspection_schema(struct introspection *i, struct waiter *w, const struct qmp_schema **ret_schema)
{
        *ret_schema = i->schema;
        return i->schema ? 0 : wait(i, w);
}

/* query-status was answered, or will not be answered soon. @limited: the server lacks it. */
static void probed(struct introspection *i, bool limited)
{
        i->probing = false;
        i->limited = limited;
        /* should that fail, the first waiter that needs it asks again */
        if (limited && !i->schema && !i->fetch)
                (void)fetch_start(i->peer, &schema_spec, true, schema_fetched, i, &i->fetch);
        waiters_run(&i->probe_waiters);
}

static void status_known(void *userdata, const struct qmp_result *result)
{
        struct introspection *i = userdata;
        struct json_object *running;

        probed(i, result->error_class && streq(result->error_class, "CommandNotFound"));
        /* an event that came meanwhile knows better, but says the same */
        if (result->outcome != QMP_OK)
                return;
        running = qmp_json_get(result->value, "running");
        i->peer->paused = running && !json_object_get_boolean(running);
}

static void up(struct subscriber *subscriber)
{
        struct introspection *i = container_of(subscriber, struct introspection, subscriber);

        forget(i);
        i->limited = false;
        json_object_put(take_ptr(i->commands));
        i->probing = qmp_client_send(i->peer->client, "query-status", NULL, i->peer->options.timeout_ns, NULL,
                                     status_known, i, NULL) == 0;
}

static void down(struct subscriber *subscriber)
{
        forget(container_of(subscriber, struct introspection, subscriber));
}

/* A listing must not wait for a stalled QEMU, which may still answer later. */
static void changed(struct subscriber *subscriber)
{
        struct introspection *i = container_of(subscriber, struct introspection, subscriber);
        struct qmp_client_info info;

        if (!i->probing)
                return;
        qmp_client_get_info(i->peer->client, &info);
        if (info.stalled_in)
                probed(i, false);
}

void introspection_init(struct introspection *i, struct peer *peer)
{
        *i = (struct introspection){
                .peer = peer,
                .subscriber = { .up = up, .down = down, .changed = changed },
        };
        list_init(&i->waiters);
        list_init(&i->probe_waiters);
        bus_join(&peer->bus, &i->subscriber);
}

int introspection_commands(struct introspection *i, struct waiter *w)
{
        const struct qmp_schema *schema;

        if (i->peer->up && i->probing) {
                list_append(&i->probe_waiters, &w->link);
                return WAITER_PARKED;
        }
        return i->peer->up && i->limited && !i->commands ? introspection_schema(i, w, &schema) : 0;
}

bool introspection_has(const struct introspection *i, const char *command)
{
        return !i->commands || json_object_object_get_ex(i->commands, command, NULL);
}
