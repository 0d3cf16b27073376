#include "fs/vm/removal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "fs/util/qdev.h"
#include "fs/vm/vm.h"
#include "qmp/errors.h"
#include "qmp/message.h"

/* A guest that is still booting loses the request: it is repeated after 1, 2, 4, 5, 5, … seconds. */
#define RETRY_FIRST_NS (1 * NSEC_PER_SEC)
#define RETRY_MAX_NS   (5 * NSEC_PER_SEC)
/*
 * A device that is no longer in the object tree is about to send DEVICE_DELETED (virtio takes 50 ms, more if
 * something still holds it), except for a CPU under TCG, which never does (QEMU 7.2). After this long without the
 * event it counts as gone.
 */
#define GRACE_CPU_NS (500 * NSEC_PER_MSEC)
#define GRACE_NS     (5 * NSEC_PER_SEC)
/* How soon a question is tried again that there was no memory for. */
#define RECHECK_NS (100 * NSEC_PER_MSEC)
/* For an answer of QEMU. */
#define ANSWER_LIMIT_NS (1000000 * NSEC_PER_SEC)

/* ACPI 6.5, 6.3.5: _OST of an ejection request. */
#define OST_SOURCE_EJECT      0x3
#define OST_SOURCE_OSPM_EJECT 0x103
#define OST_SUCCESS           0x0
#define OST_IN_PROGRESS       0x84

enum phase {
        PENDING,  /* the guest has the request, or will */
        CLEANING, /* the device is gone, its drive is being deleted */
        OVER,     /* nothing is under way; the outcome can be read */
};

struct removal {
        struct list link; /* in the vm; unlinked when it has been forgotten */
        unsigned refs;    /* the vm's and one for each command under way */
        struct vm *vm;
        char *path;  /* NULL once the device is gone (a new one may have its path), or if there never was one */
        char *drive; /* to be deleted with it, or NULL */
        char *node;  /* of the drive that stayed */
        int slot;
        enum phase phase;
        bool had_device;
        struct qmp_command *request; /* the device_del under way */
        bool accepted;               /* QEMU took one */
        bool checking, check_again;  /* whether the path still exists is being asked */
        bool refused;                /* by the guest, while a repeated request was on its way */
        bool is_cpu;
        uint64_t started, timed_out_ns, retry_ns;
        struct qmp_timer retry, grace, recheck;
        struct list waiters;
        /* in QEMU's words, see vm_words() */
        char *outcome; /* OVER: why it was refused */
        char *delayed; /* PENDING: why the last request was not taken */
};

static struct removal *removal_unref(struct removal *m)
{
        if (--m->refs > 0)
                return NULL;
        assert(list_empty(&m->waiters));
        qmp_timer_disarm(m->vm->peer.context->loop, &m->retry);
        qmp_timer_disarm(m->vm->peer.context->loop, &m->grace);
        qmp_timer_disarm(m->vm->peer.context->loop, &m->recheck);
        free(m->path);
        free(m->drive);
        free(m->node);
        free(m->outcome);
        free(m->delayed);
        free(m);
        return NULL;
}

/*
 * Nothing more is to be asked of the guest. A request that still waits to be sent must not go out any more: by then a
 * new device may have the path.
 */
static void settle(struct removal *m, enum phase phase)
{
        m->phase = phase;
        qmp_timer_disarm(m->vm->peer.context->loop, &m->retry);
        qmp_timer_disarm(m->vm->peer.context->loop, &m->grace);
        qmp_timer_disarm(m->vm->peer.context->loop, &m->recheck);
        if (m->request)
                qmp_command_cancel(m->request);
}

/* The vm no longer knows of it; replies that are still to come find nothing to do. */
static void forget(struct removal *m)
{
        if (list_empty(&m->link))
                return;
        list_unlink(&m->link);
        settle(m, OVER);
        removal_unref(m);
}

static bool copy(const char *string, char **ret_copy)
{
        char *copied = string ? strdup(string) : NULL;

        /* what is there stays if it can't be replaced */
        if (string && !copied)
                return false;
        free(*ret_copy);
        *ret_copy = copied;
        return true;
}

enum which { ALL, ACCEPTED, GONE };

static bool is_meant(const struct removal_waiter *w, enum which which)
{
        switch (which) {
        case ACCEPTED:
                return w->until_accepted;
        case GONE:
                return w->until_accepted || !w->wants_drive;
        default:
                return true;
        }
}

static void answer(struct removal *m, enum which which, int error, const char *class, const char *text)
{
        struct list answering;

        /* what a waiter does when it is told must not meet a half-walked list */
        list_init(&answering);
        list_for_each_safe(i, &m->waiters) {
                struct removal_waiter *w = list_entry(i, struct removal_waiter, link);

                if (is_meant(w, which)) {
                        list_unlink(i);
                        list_append(&answering, i);
                }
        }
        while (!list_empty(&answering)) {
                struct removal_waiter *w = list_entry(answering.next, struct removal_waiter, link);

                list_unlink(&w->link);
                w->done(w, error, class, text);
        }
}

/* Nothing more is under way; the reason stays to be read. */
static void refuse(struct removal *m, int error, const char *class, const char *text)
{
        m->refs++;
        settle(m, OVER);
        free(m->outcome);
        m->outcome = vm_words(m->vm, text);
        peer_invalidate(&m->vm->peer);
        answer(m, ALL, error, class, text);
        removal_unref(m);
}

static void succeed(struct removal *m)
{
        m->refs++;
        peer_invalidate(&m->vm->peer);
        answer(m, ALL, 0, NULL, NULL);
        forget(m);
        removal_unref(m);
}

/* QEMU may take its time: it is the waiters who have limits. @effect: see struct qmp_send_options. */
static int send(struct removal *m, const char *command, const char *key, const char *value, bool effect,
                qmp_reply_fn fn, struct qmp_command **ret_command)
{
        struct qmp_send_options options = { .effect = effect, .patient = true };
        _cleanup_(qmp_json_putp) struct json_object *arguments = key ? json_object_new_object() : NULL;
        struct json_object *string = key ? json_object_new_string(value) : NULL;
        int r;

        if (key && (!arguments || !string || json_object_object_add(arguments, key, string) < 0)) {
                json_object_put(string);
                return -ENOMEM;
        }
        r = qmp_client_send(m->vm->peer.client, command, arguments, ANSWER_LIMIT_NS, &options, fn, m, ret_command);
        if (r == 0)
                m->refs++;
        return r;
}

static void drive_failed(struct removal *m, int error, const char *class, const char *why)
{
        _cleanup_(qmp_freep) char *text = NULL;

        if (asprintf(&text, "%sdrive '%s' stays: %s", m->had_device ? "the device is gone, but its " : "", m->drive,
                     why) < 0)
                text = NULL;
        refuse(m, error, class, text ? text : why);
}

/* "Device 'NVME1' not found": somebody else was faster. */
static bool is_gone(const struct removal *m, const char *said)
{
        const char *rest = strstr(said, "Device '");

        rest = rest ? startswith(rest + strlen("Device '"), m->drive) : NULL;
        return rest && streq(rest, "' not found");
}

static void drive_deleted(void *userdata, const struct qmp_result *result)
{
        struct removal *m = userdata;
        _cleanup_(qmp_freep) char *said = NULL;

        if (m->phase == CLEANING && result->outcome != QMP_OK) {
                drive_failed(m, result->error, result->error_class, result->text);
        } else if (m->phase == CLEANING) {
                /* HMP says nothing when it is done, and tells of a failure in its text: "Device 'x' not found\r\n" */
                const char *text = json_object_is_type(result->value, json_type_string)
                                           ? json_object_get_string(result->value)
                                           : "no answer";
                size_t n = strcspn(text, "\r\n");

                said = n > 0 ? strndup(text, n) : NULL;
                if (n == 0 || (said && is_gone(m, said)))
                        succeed(m);
                else
                        drive_failed(m, -qmp_error_to_errno("GenericError", said ? said : ""), NULL,
                                     said ? said : "?");
        }
        removal_unref(m);
}

/* Only what an HMP word may hold without quoting; ids that QEMU makes or accepts do. */
static bool is_plain_word(const char *s)
{
        return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._#")] == '\0';
}

static void delete_drive(struct removal *m)
{
        _cleanup_(qmp_freep) char *line = NULL;
        int r = -ENOMEM;

        if (!is_plain_word(m->drive)) {
                drive_failed(m, -EINVAL, NULL, "drive_del does not accept its name");
                return;
        }
        if (asprintf(&line, "drive_del %s", m->drive) < 0)
                line = NULL;
        if (line)
                r = send(m, "human-monitor-command", "command-line", line, true, drive_deleted, NULL);
        if (r < 0)
                drive_failed(m, r, NULL, strerror(-r));
}

/* The device is gone. Has QEMU left its drive behind, as it does for nvme? */
static void blocks_known(void *userdata, const struct qmp_result *result)
{
        struct removal *m = userdata;

        if (m->phase == CLEANING && result->outcome != QMP_OK) {
                drive_failed(m, result->error, result->error_class, result->text);
        } else if (m->phase == CLEANING) {
                bool left = false;

                if (json_object_is_type(result->value, json_type_array)) {
                        for (size_t i = 0; i < json_object_array_length(result->value); i++) {
                                struct json_object *block = json_object_array_get_idx(result->value, i);
                                const char *name = qmp_json_get_string(block, "device");

                                /* one that has a device again is somebody else's */
                                if (!name || !streq(name, m->drive) || qmp_json_get(block, "qdev"))
                                        continue;
                                left = true;
                                (void)copy(qmp_json_get_string(qmp_json_get(block, "inserted"), "node-name"),
                                           &m->node);
                        }
                }
                if (left)
                        delete_drive(m);
                else
                        succeed(m);
        }
        removal_unref(m);
}

static void clean(struct removal *m)
{
        int r;

        r = send(m, "query-block", NULL, NULL, false, blocks_known, NULL);
        if (r < 0)
                drive_failed(m, r, NULL, strerror(-r));
}

static void gone(struct removal *m)
{
        m->refs++;
        settle(m, m->drive ? CLEANING : OVER);
        free(take_ptr(m->path));
        peer_invalidate(&m->vm->peer);
        answer(m, GONE, 0, NULL, NULL);
        if (m->drive)
                clean(m);
        else
                succeed(m);
        removal_unref(m);
}

static void grace_over(struct qmp_timer *timer)
{
        gone(container_of(timer, struct removal, grace));
}

/* It has left the object tree; its path may already be another's, so nothing more is asked for it. */
static void vanished(struct removal *m)
{
        if (m->grace.armed)
                return;
        qmp_timer_disarm(m->vm->peer.context->loop, &m->retry);
        if (m->request && !qmp_command_is_sent(m->request))
                qmp_command_cancel(m->request);
        qmp_timer_arm(m->vm->peer.context->loop, &m->grace, qmp_now() + (m->is_cpu ? GRACE_CPU_NS : GRACE_NS));
}

static void check(struct removal *m);

static void existence_known(void *userdata, const struct qmp_result *result)
{
        struct removal *m = userdata;
        bool missing = result->outcome == QMP_ERROR && streq(result->error_class, "DeviceNotFound");
        bool again = m->check_again;

        m->checking = m->check_again = false;
        if (missing && m->phase == PENDING)
                vanished(m);
        else if (missing && m->phase == OVER && m->path)
                forget(m); /* refused, and gone all the same */
        else if (again && m->path)
                check(m);
        removal_unref(m);
}

static void check(struct removal *m)
{
        if (m->checking)
                m->check_again = true;
        else if (send(m, "qom-list", "path", m->path, false, existence_known, NULL) == 0)
                m->checking = true;
        else
                /* no memory: what made us ask may not come again */
                qmp_timer_arm(m->vm->peer.context->loop, &m->recheck, qmp_now() + RECHECK_NS);
}

static void recheck(struct qmp_timer *timer)
{
        struct removal *m = container_of(timer, struct removal, recheck);

        if (m->path)
                check(m);
}

static void schedule(struct removal *m)
{
        if (m->phase != PENDING || list_empty(&m->waiters) || m->retry.armed || m->grace.armed)
                return;
        qmp_timer_arm(m->vm->peer.context->loop, &m->retry, qmp_now() + m->retry_ns);
        m->retry_ns = 2 * m->retry_ns < RETRY_MAX_NS ? 2 * m->retry_ns : RETRY_MAX_NS;
}

static void cpus_known(void *userdata, const struct qmp_result *result)
{
        struct removal *m = userdata;

        if (m->path && json_object_is_type(result->value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(result->value); i++) {
                        const char *path =
                                qmp_json_get_string(json_object_array_get_idx(result->value, i), "qom-path");

                        if (path && streq(path, m->path))
                                m->is_cpu = true;
                }
        }
        removal_unref(m);
}

static void taken(struct removal *m)
{
        /* it tells what to expect of the end; where there are no such CPUs it fails, which says enough */
        if (!m->accepted)
                (void)send(m, "query-hotpluggable-cpus", NULL, NULL, false, cpus_known, NULL);
        m->accepted = true;
        answer(m, ACCEPTED, 0, NULL, NULL);
        schedule(m);
}

/* Not taken this time, but it may be next time: "power indicator blinking", or migrating meanwhile. */
static void delayed(struct removal *m, const struct qmp_result *result)
{
        free(m->delayed);
        m->delayed = vm_words(m->vm, result->text);
        answer(m, ACCEPTED, result->error, result->error_class, result->text);
        if (!m->accepted && list_empty(&m->waiters))
                refuse(m, result->error, result->error_class, result->text);
        else
                schedule(m);
}

static void asked(void *userdata, const struct qmp_result *result)
{
        struct removal *m = userdata;

        bool refused = m->refused;

        m->request = NULL;
        m->refused = false;
        if (m->phase != PENDING || result->outcome == QMP_CANCELLED) {
                /* DEVICE_DELETED came first: whatever this says, it is done */
        } else if (result->outcome == QMP_OK ||
                   (result->outcome == QMP_ERROR && strstr(result->text, "already in the process of unplug"))) {
                free(take_ptr(m->delayed));
                taken(m);
        } else if (refused) {
                refuse(m, result->error, NULL, m->delayed ? m->delayed : "the guest refused");
        } else if (result->outcome == QMP_ERROR && m->accepted && streq(result->error_class, "DeviceNotFound")) {
                vanished(m);
        } else if (result->outcome == QMP_ERROR && (m->accepted || strstr(result->text, "guest is busy"))) {
                delayed(m, result);
        } else {
                refuse(m, result->error, result->error_class, result->text);
        }
        removal_unref(m);
}

static int ask(struct removal *m)
{
        if (m->request)
                return 0;
        return send(m, "device_del", "id", m->path, true, asked, &m->request);
}

static void retry(struct qmp_timer *timer)
{
        struct removal *m = container_of(timer, struct removal, retry);

        if (list_empty(&m->waiters))
                return;
        if (ask(m) < 0)
                schedule(m);
}

/* By its device; or, where that is gone or there is none, by its drive. */
static struct removal *find(struct vm *vm, const struct removal_target *t)
{
        list_for_each(i, &vm->removals.all) {
                struct removal *m = list_entry(i, struct removal, link);

                if (t->path && m->path && streq(m->path, t->path))
                        return m;
                /* another drive of the same name does not concern this removal */
                if (!t->path && !m->path && t->drive && m->drive && streq(m->drive, t->drive) &&
                    (!m->node || (t->node && streq(m->node, t->node))))
                        return m;
        }
        return NULL;
}

static int removal_new(struct vm *vm, const char *path, struct removal **ret_removal)
{
        struct removal *m = calloc(1, sizeof(*m));

        if (!m || !copy(path, &m->path)) {
                free(m);
                return -ENOMEM;
        }
        m->refs = 1;
        m->vm = vm;
        m->phase = OVER;
        m->had_device = path;
        m->retry.fire = retry;
        m->grace.fire = grace_over;
        m->recheck.fire = recheck;
        list_init(&m->waiters);
        list_append(&vm->removals.all, &m->link);
        *ret_removal = m;
        return 0;
}

/* From OVER: what an earlier request wanted or met no longer counts. */
static int begin(struct removal *m, const struct removal_target *target)
{
        int r;

        if (!copy(target->drive, &m->drive))
                return -ENOMEM;
        free(take_ptr(m->node));
        m->started = qmp_now();
        m->slot = target->slot;
        m->accepted = m->refused = false;
        m->timed_out_ns = 0;
        m->retry_ns = RETRY_FIRST_NS;
        free(take_ptr(m->delayed));
        free(take_ptr(m->outcome));
        if (!m->path) {
                r = send(m, "query-block", NULL, NULL, false, blocks_known, NULL);
                m->phase = r < 0 ? OVER : CLEANING;
                return r;
        }
        r = ask(m);
        if (r < 0)
                return r;
        m->phase = PENDING;
        return 0;
}

/* Somebody asks again for what is under way: the guest is asked again too. */
static int join(struct removal *m, const struct removal_target *target)
{
        if (m->phase != PENDING)
                return 0;
        if (target->drive && !copy(target->drive, &m->drive))
                return -ENOMEM;
        /* not each path to a device knows its slot */
        if (target->slot >= 0)
                m->slot = target->slot;
        m->timed_out_ns = 0;
        m->retry_ns = RETRY_FIRST_NS;
        qmp_timer_disarm(m->vm->peer.context->loop, &m->retry);
        return ask(m);
}

int removal_start(struct vm *vm, const struct removal_target *target, struct removal_waiter *waiter)
{
        struct removal *m = find(vm, target);
        int r;

        if (m && m->grace.armed) {
                /* that one has left the tree, and the caller has just seen its path: a new device has it */
                gone(m);
                m = NULL;
        }
        r = m ? 0 : removal_new(vm, target->path, &m);
        if (r < 0)
                return r;
        r = m->phase == OVER ? begin(m, target) : join(m, target);
        if (r < 0) {
                /* nothing was asked, and an earlier outcome no longer counts */
                if (m->phase == OVER)
                        forget(m);
                return r;
        }
        waiter->removal = m;
        list_append(&m->waiters, &waiter->link);
        return 0;
}

/* The state of @m, which may be NULL. */
static char *describe(const struct removal *m)
{
        const char *paused = m && m->vm->peer.paused ? ", the VM is paused" : "";
        const char *colon = "", *why = "";
        char *text;
        int n;

        if (m && m->delayed) {
                colon = ": ";
                why = m->delayed;
        } else if (m && m->request && !m->accepted) {
                why = ", QEMU has not answered yet";
        }
        if (!m)
                n = asprintf(&text, "idle");
        else if (m->phase == OVER)
                n = asprintf(&text, "refused: %s", m->outcome ? m->outcome : "unknown");
        else if (m->timed_out_ns > 0)
                n = asprintf(&text, "timed out after %.3g s, still pending%s%s%s",
                             (double)m->timed_out_ns / NSEC_PER_SEC, paused, colon, why);
        else
                n = asprintf(&text, "pending %.1f s%s%s%s", (double)(qmp_now() - m->started) / NSEC_PER_SEC, paused,
                             colon, why);
        return n < 0 ? NULL : text;
}

char *removal_describe(struct vm *vm, const struct removal_target *target)
{
        return describe(find(vm, target));
}

char *removal_waiter_remove(struct removal_waiter *waiter, uint64_t timed_out_ns)
{
        struct removal *m = waiter->removal;
        char *state;

        if (list_empty(&waiter->link))
                return NULL;
        list_unlink(&waiter->link);
        if (!list_empty(&m->waiters) || m->phase == OVER)
                return describe(m);
        m->timed_out_ns = timed_out_ns;
        state = describe(m);
        if (m->phase != PENDING)
                return state;
        /* the last waiter left: an unsent request must not be sent, and an unaccepted one is not pending */
        if (m->request && !qmp_command_is_sent(m->request))
                qmp_command_cancel(m->request);
        if (m->request || m->accepted || m->grace.armed)
                return state;
        if (m->delayed) {
                refuse(m, -EBUSY, NULL, m->delayed);
        } else {
                free(state);
                state = strdup("QEMU is stalled: the request was not sent");
                forget(m);
        }
        return state;
}

static bool is_string(struct json_object *object, const char *key, const char *value)
{
        const char *s = qmp_json_get_string(object, key);

        return s && value && streq(s, value);
}

/* A repeated request that QEMU may have by now can't be taken back: its answer tells how this goes on. */
static void guest_refused(struct removal *m, const char *text)
{
        if (!m->request || !qmp_command_is_sent(m->request)) {
                refuse(m, -EBUSY, NULL, text);
                return;
        }
        m->refused = true;
        free(m->delayed);
        m->delayed = vm_words(m->vm, text);
        m->refs++;
        answer(m, ALL, -EBUSY, NULL, text);
        removal_unref(m);
}

static const char *ost_words(int status)
{
        switch (status) {
        case 0x1:
                return "non-specific failure";
        case 0x2:
                return "it does not recognize the request";
        case 0x80:
                return "it does not support ejecting this device";
        case 0x81:
                return "the device is in use by an application";
        case 0x82:
                return "the device is busy";
        case 0x83:
                return "a device that it depends on is busy or cannot be ejected";
        default:
                return "unknown reason";
        }
}

/*
 * The guest's answer on x86, {"device": id, "source", "status", "slot", "slot-type"}; without "device" if it has no
 * id.
 */
static void handle_ost(struct removal *m, struct json_object *info)
{
        int source = json_object_get_int(qmp_json_get(info, "source"));
        int status = json_object_get_int(qmp_json_get(info, "status"));
        _cleanup_(qmp_freep) char *text = NULL;
        char slot[16];
        bool mine;

        if (source != OST_SOURCE_EJECT && source != OST_SOURCE_OSPM_EJECT)
                return;
        if (status == OST_SUCCESS) {
                /* by now it has left the tree, if it was this one; its name is no longer told */
                check(m);
                return;
        }
        if (status == OST_IN_PROGRESS)
                return;
        snprintf(slot, sizeof(slot), "%d", m->slot);
        if (qmp_json_get(info, "device"))
                mine = is_string(info, "device", qdev_id(m->path));
        else
                mine = m->slot >= 0 && is_string(info, "slot", slot) && is_string(info, "slot-type", "DIMM");
        if (!mine)
                return;
        if (asprintf(&text, "the guest refused: %s (ACPI _OST status %d)", ost_words(status), status) < 0)
                text = NULL;
        guest_refused(m, text ? text : "the guest refused");
}

static void handle_event(struct removal *m, const struct qmp_event *event)
{
        const char *path = qmp_json_get_string(event->data, "path");
        const char *rest;

        if (streq(event->name, "DEVICE_DELETED") && path) {
                rest = startswith(path, m->path);
                if (rest && *rest == '\0') {
                        if (m->phase == OVER)
                                forget(m);
                        else if (m->phase == PENDING)
                                gone(m);
                } else if (rest && *rest == '/') {
                        /* a part of it: its own event follows, or, for a CPU under TCG, never comes */
                        check(m);
                }
                return;
        }
        if (m->phase != PENDING)
                return;
        if (streq(event->name, "DEVICE_UNPLUG_GUEST_ERROR") && is_string(event->data, "path", m->path)) {
                guest_refused(m, "the guest refused (DEVICE_UNPLUG_GUEST_ERROR)");
        } else if (streq(event->name, "MEM_UNPLUG_ERROR") && is_string(event->data, "device", qdev_id(m->path))) {
                const char *msg = qmp_json_get_string(event->data, "msg");

                guest_refused(m, msg ? msg : "the guest refused (MEM_UNPLUG_ERROR)");
        } else if (streq(event->name, "ACPI_DEVICE_OST")) {
                handle_ost(m, qmp_json_get(event->data, "info"));
        }
}

static void hear(struct subscriber *subscriber, const struct qmp_event *event, const struct text *line)
{
        struct removals *removals = container_of(subscriber, struct removals, subscriber);

        (void)line;
        list_for_each_safe(i, &removals->all) {
                struct removal *m = list_entry(i, struct removal, link);

                if (m->path)
                        handle_event(m, event);
        }
}

static void down(struct subscriber *subscriber)
{
        struct removals *removals = container_of(subscriber, struct removals, subscriber);

        while (!list_empty(&removals->all)) {
                struct removal *m = list_entry(removals->all.next, struct removal, link);
                _cleanup_(qmp_freep) char *why = peer_describe(&m->vm->peer);

                m->refs++;
                answer(m, ALL, -EHOSTDOWN, NULL, why ? why : "the connection ended");
                forget(m);
                removal_unref(m);
        }
}

void removals_init(struct removals *removals, struct peer *peer)
{
        static const char *const names[] = {
                "DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR", "ACPI_DEVICE_OST", NULL,
        };

        removals->subscriber = (struct subscriber){ .names = names, .event = hear, .down = down };
        list_init(&removals->all);
        bus_join(&peer->bus, &removals->subscriber);
}

void removals_deinit(struct removals *removals, struct peer *peer)
{
        bus_leave(&peer->bus, &removals->subscriber);
}
