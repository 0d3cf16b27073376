#include "tests/lib/client.h"

#include "tests/lib/test.h"

struct qmp_loop *loop;
struct fake_qemu *fake;
struct qmp_client *client;
size_t n_changed;

void client_set_up(void)
{
        test_time_virtual();
        ck_assert_int_eq(qmp_loop_new(&loop), 0);
        fake = fake_new(loop);
        n_changed = 0;
}

void client_tear_down(void)
{
        client = qmp_client_free(client);
        fake = fake_free(fake);
        loop = qmp_loop_free(loop);
        test_time_real();
}

void called_back(void *userdata, const struct qmp_result *result)
{
        struct call *call = userdata;

        ck_assert_msg(!call->sending, "called back before the send returned");
        ck_assert_uint_eq(call->n, 0);
        call->n++;
        call->command = NULL;
        call->outcome = result->outcome;
        call->error = result->error;
        call->busy_ns = result->busy_ns;
        call->ended_at = qmp_now();
        ck_assert((result->outcome == QMP_OK) == (result->error == 0));
        ck_assert_int_le(result->error, 0);
        ck_assert((result->outcome == QMP_ERROR) == (result->error_class != NULL));
        ck_assert((result->outcome == QMP_OK) == (result->text == NULL));
        if (result->outcome == QMP_OK)
                call->value = strdup(json_object_to_json_string_ext(result->value, JSON_C_TO_STRING_PLAIN));
        else
                call->text = strdup(result->text);
        if (result->error_class)
                call->error_class = strdup(result->error_class);
        if (call->then)
                call->then(call);
}

int try_send(struct call *call, const char *name, uint64_t timeout, bool oob)
{
        struct qmp_send_options options = { .oob = oob };
        int r;

        call->sending = true;
        r = qmp_client_send(client, name, NULL, timeout, oob ? &options : NULL, called_back, call, &call->command);
        call->sending = false;
        if (r < 0)
                ck_assert_uint_eq(call->n, 0);
        return r;
}

void send_limited(struct call *call, const char *name, uint64_t timeout)
{
        ck_assert_int_eq(try_send(call, name, timeout, false), 0);
}

void send_command(struct call *call, const char *name)
{
        send_limited(call, name, 30 * SEC);
}

void call_done(struct call *call)
{
        free(take_ptr(call->value));
        free(take_ptr(call->error_class));
        free(take_ptr(call->text));
        *call = (struct call){ 0 };
}

void calls_done(struct call *calls, size_t n)
{
        for (size_t i = 0; i < n; i++)
                call_done(&calls[i]);
}

void assert_value(const struct call *call, const char *value)
{
        ck_assert_uint_eq(call->n, 1);
        ck_assert_msg(call->outcome == QMP_OK, "%s", call->text);
        ck_assert_str_eq(call->value, value);
}

void assert_ended(const struct call *call, enum qmp_outcome outcome, int error)
{
        ck_assert_uint_eq(call->n, 1);
        ck_assert_int_eq(call->outcome, outcome);
        ck_assert_int_eq(call->error, error);
}

struct qmp_client_info info(void)
{
        struct qmp_client_info i;

        qmp_client_get_info(client, &i);
        return i;
}

enum qmp_client_state state(void)
{
        return info().state;
}

static void changed(void *userdata)
{
        ck_assert_ptr_eq(userdata, &n_changed);
        n_changed++;
        if (client)
                (void)info();
}

bool identify;

void new_client(const char *address)
{
        ck_assert_int_eq(qmp_client_new(loop,
                                        &(struct qmp_client_config){ .address = address,
                                                                     .handshake_ns = 5 * SEC,
                                                                     .identify = identify,
                                                                     .changed = changed,
                                                                     .userdata = &n_changed },
                                        &client),
                         0);
}

void start_pair(int buffer)
{
        new_client("/pair");
        ck_assert_int_eq(qmp_client_start_fd(client, fake_connect(fake, buffer)), 0);
}

void up(void)
{
        start_pair(0);
        PUMP(loop, state() == QMP_CLIENT_UP);
}

void up_oob(void)
{
        fake->greeting = FAKE_GREETING_OOB;
        up();
}

const char *start_listening(void)
{
        const char *path = test_path("qmp.sock");

        fake_listen(fake, path);
        new_client(path);
        qmp_client_start(client);
        return path;
}

void assert_down(const char *why)
{
        struct qmp_client_info i = info();

        ck_assert_int_eq(i.state, QMP_CLIENT_DOWN);
        ck_assert_int_lt(i.error, 0);
        ck_assert_contains(i.failure, why);
        ck_assert_ptr_null(i.version);
        ck_assert_ptr_null(strchr(i.failure, '\n'));
}

void goes_down(const char *why)
{
        PUMP(loop, state() == QMP_CLIENT_DOWN);
        assert_down(why);
}

void count_up(struct fake_qemu *f, const struct fake_command *command, void *userdata)
{
        size_t *n = userdata;
        char text[32];

        snprintf(text, sizeof(text), "%zu", (*n)++);
        fake_return(f, command, text);
}

static void heard(struct qmp_subscription *subscription, const struct qmp_event *event)
{
        struct listener *l = container_of(subscription, struct listener, subscription);

        l->n++;
        if (strlen(l->names) + strlen(event->name) + 2 < sizeof(l->names)) {
                strcat(l->names, event->name);
                strcat(l->names, " ");
        }
        free(l->data);
        l->data = NULL;
        if (event->data)
                l->data = strdup(json_object_to_json_string_ext(event->data, JSON_C_TO_STRING_PLAIN |
                                                                                     JSON_C_TO_STRING_NOSLASHESCAPE));
        ck_assert_str_eq(json_object_get_string(json_object_object_get(event->message, "event")), event->name);
        if (l->leaves)
                qmp_subscription_remove(subscription);
        if (l->sends && l->sends->n == 0 && !l->sends->command)
                send_command(l->sends, "query-status");
}

void leave(struct listener *l)
{
        if (l->subscription.link.next)
                qmp_subscription_remove(&l->subscription);
        free(take_ptr(l->data));
}

void listen_to(struct listener *l)
{
        l->subscription.handle = heard;
        qmp_client_subscribe(client, &l->subscription);
}
