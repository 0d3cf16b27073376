#include "fs/kinds/call.h"

#include <errno.h>

#include "qmp/conceal.h"

void calls_init(struct calls *calls, struct request *r, uint64_t limit_ns,
                void (*replied)(struct call *call, const struct qmp_result *result))
{
        *calls = (struct calls){ .vm = r->vm, .r = r, .limit_ns = limit_ns, .replied = replied };
        list_init(&calls->under_way);
}

void call_deinit(struct call *call)
{
        free(take_ptr(call->name));
        json_object_put(take_ptr(call->arguments));
}

static void call_replied(void *userdata, const struct qmp_result *result)
{
        struct call *call = userdata;
        struct calls *calls = call->calls;

        call->command = NULL;
        list_unlink(&call->link);
        if (result->outcome == QMP_CANCELLED)
                return;
        if (result->outcome == QMP_OK || result->outcome == QMP_ERROR) {
                calls->n_answered++;
                peer_note_command(&calls->vm->peer, call->name);
        }
        calls->replied(call, result);
}

int calls_send(struct calls *calls, struct call *call, const char *command, struct json_object *arguments,
               struct qmp_send_options options)
{
        int e;

        options.effect = true;
        options.lasting = calls->lasting;
        call_deinit(call);
        call->calls = calls;
        call->name = strdup(command);
        if (!call->name)
                return -ENOMEM;
        call->arguments = json_object_get(arguments);
        e = qmp_client_send(calls->vm->peer.client, command, arguments, calls->limit_ns, &options, call_replied, call,
                            &call->command);
        if (e == -EHOSTDOWN && calls->r)
                return request_fail_down(calls->r);
        if (e < 0)
                return e;
        list_append(&calls->under_way, &call->link);
        peer_invalidate(&calls->vm->peer);
        return 0;
}

bool calls_is_any_sent(const struct calls *calls)
{
        list_for_each(i, &calls->under_way)
                if (qmp_command_is_sent(list_entry(i, struct call, link)->command))
                        return true;
        return false;
}

bool calls_is_committed(const struct calls *calls)
{
        return calls->n_answered > 0 || calls_is_any_sent(calls);
}

char *call_words(const struct call *call, const struct qmp_result *result)
{
        /* the words for the end of a connection are ours, and quote nothing */
        _cleanup_(qmp_freep) char *words = result->outcome == QMP_ERROR
                                                   ? qmp_conceal_values(result->text, call->arguments)
                                                   : strdup(result->text);
        const char *more = "";
        char *all;

        if (result->outcome != QMP_ERROR && result->sent)
                more = result->outcome == QMP_TIMEOUT ? "; it may still carry it out"
                                                      : "; it may have been carried out";
        return words && asprintf(&all, "%s%s", words, more) >= 0 ? all : NULL;
}

int call_fail(const struct call *call, const struct qmp_result *result)
{
        _cleanup_(qmp_freep) char *words = call_words(call, result);

        return request_fail(call->calls->r, result->error, result->error_class, "%s",
                            words ? words : "no memory for QEMU's error message");
}

int calls_fail_memory(struct calls *calls)
{
        return request_fail(calls->r, -ENOMEM, NULL, "no memory for QEMU's reply; %s been carried out",
                            list_empty(&calls->under_way) ? "it has" : "some may have");
}

void calls_expire(struct calls *calls, const char *name, const char *then)
{
        double limit = (double)calls->limit_ns / NSEC_PER_SEC;

        if (list_empty(&calls->under_way))
                return;
        if (calls_is_any_sent(calls))
                request_fail(calls->r, -ETIMEDOUT, NULL, "QEMU did not answer %s%swithin %.3g s; %s",
                             name ? name : "", name ? " " : "", limit, then);
        else
                request_fail(calls->r, -ETIMEDOUT, NULL, "QEMU is stalled: %s was%s sent within %.3g s",
                             name                    ? name
                             : calls->n_answered > 0 ? "not all"
                                                     : "nothing",
                             name ? " not" : "", limit);
}

void calls_end(struct calls *calls)
{
        list_for_each_safe(i, &calls->under_way)
                qmp_command_cancel(list_entry(i, struct call, link)->command);
}
