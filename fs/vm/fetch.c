/*
 * A fetch is a number of parts, one command each. A part's reply may add further parts (a list of properties adds one
 * qom-get each); when none is left, the result is handed over. A part that fails ends the fetch, unless the plan has
 * a use for the failure (a property that cannot be read is left out); the others' replies are then only counted.
 */
#include "fs/vm/fetch.h"

#include <assert.h>
#include <errno.h>

#include "qmp/conceal.h"
#include "qmp/json.h"
#include "qmp/message.h"
#include "fs/vm/reads.h"
#include "fs/vm/peer.h"

/* A device has up to 300 properties (a CPU). What claims more is not to make as many commands of ours. */
#define PARTS_MAX 4096

static void fetch_end(struct fetch *f)
{
        struct fetch_result result = {
                .error = f->error,
                .value = f->value,
                .error_class = f->error_class,
                .text = f->text,
                .memory = f->memory,
                .busy_ns = f->busy_ns,
                .n_commands = f->n_parts,
        };

        if (f->fn)
                f->fn(f->userdata, &result);
        json_object_put(f->value);
        json_object_put(f->notes);
        free(f->a);
        free(f->b);
        free(f->error_class);
        free(f->text);
        free(f);
}

void fetch_fail(struct fetch *f, int error, const char *class, const char *text)
{
        if (f->error)
                return;
        /* ENOENT would be taken for a missing name in the mount, not for a file that QEMU can't find on its host */
        f->error = error == -ENOENT ? -EIO : error;
        f->error_class = class ? strdup(class) : NULL;
        f->text = text ? strdup(text) : NULL;
}

static void part_returned(struct part *part, struct json_object *value)
{
        struct fetch *f = part->fetch;

        if (part->is_list && !json_object_is_type(value, json_type_array)) {
                fetch_fail(f, -EPROTO, NULL, "QEMU's answer is not a list");
                return;
        }
        if (f->peer->options.conceal && qmp_conceal_credentials(value) < 0) {
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
                return;
        }
        if (f->error || part->answer.take(part, value))
                return;
        if (f->n_parts >= PARTS_MAX)
                fetch_fail(f, -EPROTO, NULL, "QEMU lists too many properties");
        else
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
}

static void part_failed(struct part *part, const struct qmp_result *result)
{
        struct fetch *f = part->fetch;
        int e = result->error;

        if (result->outcome == QMP_ERROR && part->answer.failed)
                e = part->answer.failed(part, result->error_class, result->text);
        if (e == -ENOMEM && e != result->error)
                fetch_fail(f, e, NULL, "out of memory");
        else if (e)
                fetch_fail(f, e, result->error_class, result->text);
}

static void part_done(void *userdata, const struct qmp_result *result)
{
        struct part *part = userdata;
        struct fetch *f = part->fetch;

        f->first = NULL;
        f->answered = true;
        f->busy_ns += result->busy_ns;
        f->memory += result->outcome == QMP_OK ? result->memory : 0;
        if (result->outcome == QMP_OK)
                part_returned(part, result->value);
        else
                part_failed(part, result);
        free(part->key);
        free(part);
        if (--f->pending > 0)
                return;
        if (!f->error && f->plan->finish && !f->plan->finish(f))
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
        fetch_end(f);
}

/* The commands that must answer with one. */
static bool is_list(const char *command)
{
        return startswith(command, "qom-list") || streq(command, "device-list-properties");
}

int fetch_add(struct fetch *f, const char *command, struct json_object *arguments, const struct part_answer *answer,
              const char *key)
{
        struct part *part = f->n_parts < PARTS_MAX ? calloc(1, sizeof(*part)) : NULL;
        /* what no read may send is not without effect */
        struct qmp_send_options options = { .patient = f->patient, .prefer_oob = f->oob, .effect = f->asked };
        struct qmp_command *sent;
        int r = -ENOMEM;

        assert(command);
        if (!f->asked && !reads_may_send(command)) {
                free(part);
                json_object_put(arguments);
                return -EPERM;
        }
        if (part) {
                *part = (struct part){ .fetch = f, .answer = *answer, .is_list = is_list(command) };
                part->key = key ? strdup(key) : NULL;
                if (!key || part->key)
                        r = qmp_client_send(f->peer->client, command, arguments, f->peer->options.timeout_ns,
                                            &options, part_done, part, &sent);
                if (r < 0) {
                        free(part->key);
                        free(part);
                } else {
                        f->n_parts++;
                        if (f->pending++ == 0 && !f->answered)
                                f->first = sent;
                }
        }
        json_object_put(arguments);
        return r;
}

static bool take_value(struct part *part, struct json_object *value)
{
        part->fetch->value = json_object_get(value);
        return true;
}

/* The arguments of a plan of one command, owned by the caller; NULL: it takes none. 0, -EINVAL or -ENOMEM. */
static int only_arguments(const struct fetch *f, struct json_object **ret_arguments)
{
        const struct plan *plan = f->plan;
        const char *json = plan->command ? plan->arguments : f->b;
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        _cleanup_(qmp_freep) char *why = NULL;
        const char *values[] = { f->a, f->b };
        int r = json ? qmp_json_parse(json, &arguments, &why) : 0;

        *ret_arguments = NULL;
        if (r < 0)
                return r;
        if (!json && plan->keys[0]) {
                arguments = json_object_new_object();
                if (!arguments)
                        return -ENOMEM;
        }
        for (size_t i = 0; i < ARRAY_SIZE(plan->keys) && plan->keys[i]; i++)
                if (!qmp_json_add_string(arguments, plan->keys[i], values[i]))
                        return -ENOMEM;
        *ret_arguments = take_ptr(arguments);
        return 0;
}

static int begin(struct fetch *f)
{
        static const struct part_answer answer = { .take = take_value };
        struct json_object *arguments;
        int r;

        if (f->plan->begin)
                return f->plan->begin(f);
        r = only_arguments(f, &arguments);
        return r < 0 ? r : fetch_add(f, f->plan->command ? f->plan->command : f->a, arguments, &answer, NULL);
}

int fetch_start(struct peer *peer, const struct query_spec *spec, bool patient, fetch_fn fn, void *userdata,
                struct fetch **ret_fetch)
{
        struct fetch *f = calloc(1, sizeof(*f));
        int r = -ENOMEM;

        if (!f)
                return -ENOMEM;
        f->peer = peer;
        f->plan = spec->plan;
        f->patient = patient;
        f->oob = spec->oob;
        f->asked = spec->asked;
        f->a = spec->a ? strdup(spec->a) : NULL;
        f->b = spec->b ? strdup(spec->b) : NULL;
        if ((!spec->a || f->a) && (!spec->b || f->b))
                r = begin(f);
        if (r < 0) {
                /* nothing was sent: it ends here, unheard */
                fetch_end(f);
                return r;
        }
        f->fn = fn;
        f->userdata = userdata;
        *ret_fetch = f;
        return 0;
}

bool fetch_is_sent(const struct fetch *f)
{
        return !f->first || qmp_command_is_sent(f->first);
}

void fetch_withdraw(struct fetch *f)
{
        if (f->pending == 1 && !fetch_is_sent(f))
                qmp_command_cancel(f->first);
}
