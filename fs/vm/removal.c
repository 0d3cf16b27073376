#include "fs/vm/removal.h"

#include <errno.h>
#include <stdio.h>

#include "fs/util/qdev.h"
#include "fs/util/render.h"
#include "qmp/errors.h"
#include "qmp/message.h"

/* A guest that is still booting loses the request: it is repeated after 1, 2, 4, 5, 5, … seconds. */
#define RETRY_FIRST_NS (1 * NSEC_PER_SEC)
#define RETRY_MAX_NS   (5 * NSEC_PER_SEC)
/*
 * QEMU soon sends DEVICE_DELETED for a device that has left the object tree (virtio takes 50 ms, more if
 * something still holds it), except for a CPU under TCG, which never does (QEMU 7.2). After this long without the
 * event it counts as gone.
 */
#define GRACE_CPU_NS (500 * NSEC_PER_MSEC)
#define GRACE_NS     (5 * NSEC_PER_SEC)
/* How soon a question is tried again that there was no memory for. */
#define RECHECK_NS (100 * NSEC_PER_MSEC)

/* ACPI 6.5, 6.3.5: _OST of an ejection request. */
#define OST_SOURCE_EJECT      0x3
#define OST_SOURCE_OSPM_EJECT 0x103
#define OST_SUCCESS           0x0
#define OST_IN_PROGRESS       0x84

enum phase {
        PENDING,  /* the guest has the request, or will */
        CLEANING, /* the device is gone, its drive is being deleted */
};

struct removal {
        struct operation op;
        char *path;  /* NULL once the device is gone (a new one may have its path), or if there never was one */
        char *drive; /* to be deleted with it, or NULL */
        char *node;  /* of the drive that stayed */
        int slot;
        enum phase phase; /* unless it is over */
        bool had_device;
        struct operation_command request;   /* device_del */
        struct operation_command existence; /* qom-list: whether the path still exists */
        struct operation_command cpus;      /* query-hotpluggable-cpus: whether it is a CPU */
        struct operation_command cleaning;  /* query-block or drive_del */
        bool accepted;                      /* QEMU took a request */
        bool check_again;                   /* the path, after the answer about it that is under way */
        bool refused;                       /* by the guest, while a repeated request was on its way */
        bool is_cpu;
        uint64_t retry_ns;
        struct qmp_timer retry, grace, recheck;
        char *delayed; /* PENDING: why the last request was not taken, see peer_words() */
};

static struct removal *removal_of(struct operation *op)
{
        return container_of(op, struct removal, op);
}

static bool is_in(const struct removal *m, enum phase phase)
{
        return !m->op.over && m->phase == phase;
}

static void arm(struct removal *m, struct qmp_timer *timer, uint64_t in_ns)
{
        qmp_timer_arm(m->op.peer->context->loop, timer, qmp_now() + in_ns);
}

static void disarm(struct removal *m, struct qmp_timer *timer)
{
        qmp_timer_disarm(m->op.peer->context->loop, timer);
}

static void disarm_all(struct removal *m)
{
        disarm(m, &m->retry);
        disarm(m, &m->grace);
        disarm(m, &m->recheck);
}

/* A request that still waits to be sent must not go out any more: by then a new device may have the path. */
static void removal_settle(struct operation *op)
{
        struct removal *m = removal_of(op);

        disarm_all(m);
        operation_command_cancel(&m->request);
}

static void removal_free(struct operation *op)
{
        struct removal *m = removal_of(op);

        disarm_all(m);
        free(m->path);
        free(m->drive);
        free(m->node);
        free(m->delayed);
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

/* The arguments of a command that has a single one, the caller's. 0 or -ENOMEM. */
static int argument(const char *key, const char *value, struct json_object **ret_arguments)
{
        struct json_object *arguments = json_object_new_object();

        if (!arguments || !qmp_json_add_string(arguments, key, value)) {
                json_object_put(arguments);
                return -ENOMEM;
        }
        *ret_arguments = arguments;
        return 0;
}

/* Only what an HMP word may hold without quoting; ids that QEMU makes or accepts do. */
static bool is_plain_word(const char *s)
{
        return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._#")] == '\0';
}

/* The arguments of human-monitor-command for drive_del. 0, -EINVAL: it does not accept the name, or -ENOMEM. */
static int drive_del_arguments(const char *drive, struct json_object **ret_arguments)
{
        _cleanup_(qmp_freep) char *line = NULL;

        if (!is_plain_word(drive))
                return -EINVAL;
        if (asprintf(&line, "drive_del %s", drive) < 0) {
                line = NULL;
                return -ENOMEM;
        }
        return argument("command-line", line, ret_arguments);
}

int removal_explain(const struct removal_target *target, FILE *out)
{
        _cleanup_(qmp_json_putp) struct json_object *device = NULL, *drive = NULL;
        int r = 0;

        if (target->path)
                r = argument("id", target->path, &device);
        if (device)
                r = render_command("device_del", device, out);
        if (r == 0 && target->drive)
                r = drive_del_arguments(target->drive, &drive);
        if (drive)
                r = render_command("human-monitor-command", drive, out);
        return r;
}

static void drive_failed(struct removal *m, int error, const char *class, const char *why)
{
        _cleanup_(qmp_freep) char *text = NULL;

        if (asprintf(&text, "%sdrive '%s' stays: %s", m->had_device ? "the device is gone, but its " : "", m->drive,
                     why) < 0)
                text = NULL;
        operation_end(&m->op, error, class, text ? text : why);
}

/* "Device 'NVME1' not found": somebody else was faster. */
static bool is_gone(const struct removal *m, const char *said)
{
        const char *rest = strstr(said, "Device '");

        rest = rest ? startswith(rest + strlen("Device '"), m->drive) : NULL;
        return rest && streq(rest, "' not found");
}

static void drive_deleted(struct operation *op, const struct qmp_result *result)
{
        struct removal *m = removal_of(op);
        _cleanup_(qmp_freep) char *said = NULL;

        if (is_in(m, CLEANING) && result->outcome != QMP_OK) {
                drive_failed(m, result->error, result->error_class, result->text);
        } else if (is_in(m, CLEANING)) {
                /* HMP says nothing when it is done, and tells of a failure in its text: "Device 'x' not found\r\n" */
                const char *text = json_object_is_type(result->value, json_type_string)
                                           ? json_object_get_string(result->value)
                                           : "no answer";
                size_t n = strcspn(text, "\r\n");

                said = n > 0 ? strndup(text, n) : NULL;
                if (n == 0 || (said && is_gone(m, said)))
                        operation_end(&m->op, 0, NULL, NULL);
                else
                        drive_failed(m, -qmp_error_to_errno("GenericError", said ? said : ""), NULL,
                                     said ? said : "?");
        }
}

static void delete_drive(struct removal *m)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        int r = drive_del_arguments(m->drive, &arguments);

        if (r == 0)
                r = operation_send(&m->op, &m->cleaning, "human-monitor-command", arguments, true, drive_deleted);
        if (r < 0)
                drive_failed(m, r, NULL, r == -EINVAL ? "drive_del does not accept its name" : strerror(-r));
}

/* The device is gone. Has QEMU left its drive behind, as it does for nvme? */
static void blocks_known(struct operation *op, const struct qmp_result *result)
{
        struct removal *m = removal_of(op);
        bool left = false;

        if (!is_in(m, CLEANING))
                return;
        if (result->outcome != QMP_OK) {
                drive_failed(m, result->error, result->error_class, result->text);
                return;
        }
        for (size_t i = 0;
             json_object_is_type(result->value, json_type_array) && i < json_object_array_length(result->value);
             i++) {
                struct json_object *block = json_object_array_get_idx(result->value, i);
                const char *name = qmp_json_get_string(block, "device");

                /* one that has a device again is somebody else's */
                if (!name || !streq(name, m->drive) || qmp_json_get(block, "qdev"))
                        continue;
                left = true;
                (void)copy(qmp_json_get_string(qmp_json_get(block, "inserted"), "node-name"), &m->node);
        }
        if (left)
                delete_drive(m);
        else
                operation_end(op, 0, NULL, NULL);
}

static int find_drive(struct removal *m)
{
        return operation_send(&m->op, &m->cleaning, "query-block", NULL, false, blocks_known);
}

static void gone(struct removal *m)
{
        int r;

        operation_ref(&m->op);
        removal_settle(&m->op);
        m->phase = CLEANING;
        free(take_ptr(m->path));
        peer_invalidate(m->op.peer);
        operation_answer(&m->op, REMOVAL_GONE, 0, NULL, NULL);
        r = m->drive ? find_drive(m) : 0;
        if (r < 0)
                drive_failed(m, r, NULL, strerror(-r));
        else if (!m->drive)
                operation_end(&m->op, 0, NULL, NULL);
        operation_unref(&m->op);
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
        disarm(m, &m->retry);
        (void)operation_command_withdraw(&m->request);
        arm(m, &m->grace, m->is_cpu ? GRACE_CPU_NS : GRACE_NS);
}

static void check(struct removal *m);

static void existence_known(struct operation *op, const struct qmp_result *result)
{
        struct removal *m = removal_of(op);
        bool missing = result->outcome == QMP_ERROR && streq(result->error_class, "DeviceNotFound");
        bool again = m->check_again;

        m->check_again = false;
        if (missing && is_in(m, PENDING))
                vanished(m);
        else if (missing && op->over && m->path)
                operation_forget(op); /* refused, and gone all the same */
        else if (again && m->path)
                check(m);
}

static void check(struct removal *m)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;

        if (m->existence.command)
                m->check_again = true;
        else if (argument("path", m->path, &arguments) < 0 ||
                 operation_send(&m->op, &m->existence, "qom-list", arguments, false, existence_known) < 0)
                /* no memory: what made us ask may not come again */
                arm(m, &m->recheck, RECHECK_NS);
}

static void recheck(struct qmp_timer *timer)
{
        struct removal *m = container_of(timer, struct removal, recheck);

        if (m->path)
                check(m);
}

static void schedule(struct removal *m)
{
        if (!is_in(m, PENDING) || !operation_is_awaited(&m->op) || m->retry.armed || m->grace.armed)
                return;
        arm(m, &m->retry, m->retry_ns);
        m->retry_ns = 2 * m->retry_ns < RETRY_MAX_NS ? 2 * m->retry_ns : RETRY_MAX_NS;
}

static void cpus_known(struct operation *op, const struct qmp_result *result)
{
        struct removal *m = removal_of(op);

        if (m->path && json_object_is_type(result->value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(result->value); i++) {
                        const char *path =
                                qmp_json_get_string(json_object_array_get_idx(result->value, i), "qom-path");

                        if (path && streq(path, m->path))
                                m->is_cpu = true;
                }
        }
}

static void taken(struct removal *m)
{
        /* shows how the removal will end; fails on machines without such CPUs, which shows it as well */
        if (!m->accepted && !m->cpus.command)
                (void)operation_send(&m->op, &m->cpus, "query-hotpluggable-cpus", NULL, false, cpus_known);
        m->accepted = true;
        operation_answer(&m->op, REMOVAL_ACCEPTED, 0, NULL, NULL);
        schedule(m);
}

/* Not taken this time, but it may be next time: "power indicator blinking", or migrating meanwhile. */
static void delayed(struct removal *m, const struct qmp_result *result)
{
        free(m->delayed);
        m->delayed = peer_words(m->op.peer, result->text);
        operation_answer(&m->op, REMOVAL_ACCEPTED, result->error, result->error_class, result->text);
        if (!m->accepted && !operation_is_awaited(&m->op))
                operation_end(&m->op, result->error, result->error_class, result->text);
        else
                schedule(m);
}

static void asked(struct operation *op, const struct qmp_result *result)
{
        struct removal *m = removal_of(op);
        bool refused = m->refused;

        m->refused = false;
        if (!is_in(m, PENDING) || result->outcome == QMP_CANCELLED) {
                /* DEVICE_DELETED came first: whatever this says, it is done */
        } else if (result->outcome == QMP_OK ||
                   (result->outcome == QMP_ERROR && strstr(result->text, "already in the process of unplug"))) {
                free(take_ptr(m->delayed));
                taken(m);
        } else if (refused) {
                operation_end(op, result->error, NULL, m->delayed ? m->delayed : "the guest refused");
        } else if (result->outcome == QMP_ERROR && m->accepted && streq(result->error_class, "DeviceNotFound")) {
                vanished(m);
        } else if (result->outcome == QMP_ERROR && (m->accepted || strstr(result->text, "guest is busy"))) {
                delayed(m, result);
        } else {
                operation_end(op, result->error, result->error_class, result->text);
        }
}

static int ask(struct removal *m)
{
        _cleanup_(qmp_json_putp) struct json_object *arguments = NULL;
        int r;

        if (m->request.command)
                return 0;
        r = argument("id", m->path, &arguments);
        return r < 0 ? r : operation_send(&m->op, &m->request, "device_del", arguments, true, asked);
}

static void retry(struct qmp_timer *timer)
{
        struct removal *m = container_of(timer, struct removal, retry);

        if (!operation_is_awaited(&m->op))
                return;
        if (ask(m) < 0)
                schedule(m);
}

/* By its device; or, where that is gone or there is none, by its drive. */
static bool removal_is_for(const struct operation *op, const void *target)
{
        const struct removal *m = container_of(op, struct removal, op);
        const struct removal_target *t = target;

        if (t->path || m->path)
                return t->path && m->path && streq(m->path, t->path);
        /* another drive of the same name does not concern this removal */
        return t->drive && m->drive && streq(m->drive, t->drive) &&
               (!m->node || (t->node && streq(m->node, t->node)));
}

static int removal_init(struct operation *op, const void *target)
{
        const struct removal_target *t = target;
        struct removal *m = removal_of(op);

        m->had_device = t->path;
        m->retry.fire = retry;
        m->grace.fire = grace_over;
        m->recheck.fire = recheck;
        return copy(t->path, &m->path) ? 0 : -ENOMEM;
}

static int removal_begin(struct operation *op, const void *target)
{
        const struct removal_target *t = target;
        struct removal *m = removal_of(op);

        if (!copy(t->drive, &m->drive))
                return -ENOMEM;
        free(take_ptr(m->node));
        m->slot = t->slot;
        m->accepted = m->refused = false;
        m->retry_ns = RETRY_FIRST_NS;
        free(take_ptr(m->delayed));
        m->phase = m->path ? PENDING : CLEANING;
        return m->path ? ask(m) : find_drive(m);
}

/* Somebody asks again for what is under way: the guest is asked again too. */
static int removal_join(struct operation *op, const void *target)
{
        const struct removal_target *t = target;
        struct removal *m = removal_of(op);

        if (m->grace.armed) {
                /* that one has left the tree, and the caller has just seen its path: a new device has it */
                gone(m);
                return OPERATION_REPLACED;
        }
        if (m->phase != PENDING)
                return 0;
        if (t->drive && !copy(t->drive, &m->drive))
                return -ENOMEM;
        /* not each path to a device knows its slot */
        if (t->slot >= 0)
                m->slot = t->slot;
        m->retry_ns = RETRY_FIRST_NS;
        disarm(m, &m->retry);
        return ask(m);
}

static void removal_describe(const struct operation *op, FILE *out)
{
        const struct removal *m = container_of(op, struct removal, op);

        if (op->peer->paused)
                fputs(", the VM is paused", out);
        if (m->delayed)
                fprintf(out, ": %s", m->delayed);
        else if (m->request.command && !m->accepted)
                fputs(", QEMU has not answered yet", out);
}

static const char *removal_give_up(struct operation *op)
{
        struct removal *m = removal_of(op);

        if (m->phase != PENDING)
                return NULL;
        /* an unsent request must not be sent, and an unaccepted one is not pending */
        if (!operation_command_withdraw(&m->request) || m->accepted || m->grace.armed)
                return NULL;
        if (m->delayed) {
                operation_end(op, -EBUSY, NULL, m->delayed);
                return NULL;
        }
        operation_forget(op);
        return "QEMU is stalled: the request was not sent";
}

static bool is_string(struct json_object *object, const char *key, const char *value)
{
        const char *s = qmp_json_get_string(object, key);

        return s && value && streq(s, value);
}

/* A repeated request that QEMU may have by now can't be taken back: its answer tells how this goes on. */
static void guest_refused(struct removal *m, const char *text)
{
        if (!operation_command_is_sent(&m->request)) {
                operation_end(&m->op, -EBUSY, NULL, text);
                return;
        }
        m->refused = true;
        free(m->delayed);
        m->delayed = peer_words(m->op.peer, text);
        operation_answer(&m->op, OPERATION_ALL, -EBUSY, NULL, text);
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
                /* if the report concerns this device, it has left the tree by now; the report no longer has its name */
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

static void removal_event(struct operation *op, const struct qmp_event *event)
{
        const char *path = qmp_json_get_string(event->data, "path");
        struct removal *m = removal_of(op);
        const char *rest;

        if (!m->path)
                return;
        if (streq(event->name, "DEVICE_DELETED") && path) {
                rest = startswith(path, m->path);
                if (rest && *rest == '\0') {
                        if (op->over)
                                operation_forget(op);
                        else
                                gone(m);
                } else if (rest && *rest == '/') {
                        /* a part of it: its own event follows, or, for a CPU under TCG, never comes */
                        check(m);
                }
                return;
        }
        if (!is_in(m, PENDING))
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

static const char *const removal_events[] = {
        "DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR", "ACPI_DEVICE_OST", NULL,
};

const struct operation_class removal_class = {
        .size = sizeof(struct removal),
        .kept = 1000,
        .failed = "refused",
        .events = removal_events,
        .is_for = removal_is_for,
        .init = removal_init,
        .begin = removal_begin,
        .join = removal_join,
        .event = removal_event,
        .describe = removal_describe,
        .give_up = removal_give_up,
        .settle = removal_settle,
        .free = removal_free,
};
