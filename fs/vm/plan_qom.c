/*
 * Plans for the object model: qom-list tells which properties there are, one qom-get each what they are.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/vm/fetch.h"
#include "fs/util/qdev.h"
#include "qmp/errors.h"
#include "qmp/message.h"
#include "fs/vm/peer.h"

/* QEMU 7.2 has 200, of up to 50 bytes; longer names are not stored. */
#define TYPE_NAMES_MAX 1000
#define TYPE_NAME_MAX  255
/* The limit for all types together, approximately as json-c allocates it; a type has a few such properties. */
#define UNREADABLE_MAX_BYTES (1024 * 1024)
#define UNREADABLE_TYPE      1000
#define UNREADABLE_PROPERTY  100

void plan_memory_forget(struct plan_memory *memory)
{
        json_object_put(memory->unreadable);
        json_object_put(memory->type_names);
        *memory = (struct plan_memory){ 0 };
}

/* Of the type, not of this one device (QEMU 7.2, and before). */
static bool is_unreadable(const char *text)
{
        return strstr(text, "is not readable") || strstr(text, "Insufficient permission");
}

/* A property that can't be read now; but if the object has gone meanwhile, all of the fetch fails. */
static int pass_over(struct part *part, const char *class, const char *text)
{
        (void)part;
        (void)text;
        return streq(class, "DeviceNotFound") ? -ENODEV : 0;
}

/* The same; those that nobody can read are noted. */
static int note_unreadable(struct part *part, const char *class, const char *text)
{
        int e = pass_over(part, class, text);

        if (e == 0 && is_unreadable(text) && json_object_object_add(part->fetch->notes, part->key, NULL) < 0)
                return -ENOMEM;
        return e;
}

static struct json_object *path_arguments(const char *path, const char *property)
{
        struct json_object *arguments = json_object_new_object();

        if (arguments && qmp_json_add_string(arguments, "path", path) &&
            (!property || qmp_json_add_string(arguments, "property", property)))
                return arguments;
        json_object_put(arguments);
        return NULL;
}

static int add_list(struct fetch *f, const char *path, bool (*take)(struct part *, struct json_object *))
{
        struct json_object *arguments = path_arguments(path, NULL);

        return arguments ? fetch_add(f, "qom-list", arguments, &(struct part_answer){ .take = take }, path) : -ENOMEM;
}

static int add_get(struct fetch *f, const char *path, const char *property, const struct part_answer *answer,
                   const char *key)
{
        struct json_object *arguments = path_arguments(path, property);

        return arguments ? fetch_add(f, "qom-get", arguments, answer, key) : -ENOMEM;
}

static bool take_nothing(struct part *part, struct json_object *value)
{
        (void)part;
        (void)value;
        return true;
}

/* For a property of which only the failure is of interest. */
static const struct part_answer probe = { .take = take_nothing, .failed = note_unreadable };

/* The next { "name", "type" } of a qom-list reply, from *i on; false at the end. What is malformed is passed over. */
static bool next_property(struct json_object *list, size_t *i, const char **ret_name, const char **ret_type)
{
        if (!json_object_is_type(list, json_type_array))
                return false;
        while (*i < json_object_array_length(list)) {
                struct json_object *item = json_object_array_get_idx(list, (*i)++);

                *ret_name = qmp_json_get_string(item, "name");
                *ret_type = qmp_json_get_string(item, "type");
                if (*ret_name && *ret_type)
                        return true;
        }
        return false;
}

static bool add_device(struct json_object *devices, const char *container, const char *name, const char *driver,
                       size_t driver_size)
{
        struct json_object *device = json_object_new_object();
        struct json_object *type = json_object_new_string_len(driver, (int)driver_size);
        _cleanup_(qmp_freep) char *path = NULL;

        if (asprintf(&path, "%s/%s", container, name) < 0)
                path = NULL;
        if (!device || !type || !path) {
                json_object_put(type);
                json_object_put(device);
                return false;
        }
        if (!qmp_json_add(device, "driver", type) || !qmp_json_add_string(device, "id", name) ||
            (qdev_id_is_usable(name) && !qmp_json_add_string(device, "path", path)) ||
            json_object_array_add(devices, device) < 0) {
                json_object_put(device);
                return false;
        }
        return true;
}

static bool take_devices(struct part *part, struct json_object *list)
{
        const char *name, *type, *driver;

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                driver = startswith(type, "child<");
                if (driver && !add_device(part->fetch->value, part->key, name, driver, strcspn(driver, ">")))
                        return false;
        }
        return true;
}

/* Lists have thousands of properties and some dozens of types: those of one type share its string. */
static struct json_object *share_type(struct peer *peer, const char *type)
{
        struct json_object *string;

        if (!peer->plan_memory.type_names)
                peer->plan_memory.type_names = json_object_new_object();
        if (!peer->plan_memory.type_names)
                return NULL;
        if (json_object_object_get_ex(peer->plan_memory.type_names, type, &string))
                return json_object_get(string);
        string = json_object_new_string(type);
        if (string && strlen(type) <= TYPE_NAME_MAX &&
            json_object_object_length(peer->plan_memory.type_names) < TYPE_NAMES_MAX)
                (void)qmp_json_add(peer->plan_memory.type_names, type, json_object_get(string));
        return string;
}

static bool add_property(struct fetch *f, const char *name, const char *type)
{
        struct json_object *string = share_type(f->peer, type);

        return string && qmp_json_add(f->value, name, string);
}

/* All of the list. */
static bool take_list(struct part *part, struct json_object *list)
{
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);)
                if (!add_property(part->fetch, name, type))
                        return false;
        return true;
}

/*
 * qom-list doesn't tell which properties can be read, and a file that never can be would make each cp -r fail. Which
 * ones belong to the type, so the first device of a type is asked for each, and the others of the type are spared.
 */
static bool take_properties(struct part *part, struct json_object *list)
{
        struct fetch *f = part->fetch;
        struct json_object *unreadable = NULL;
        const char *name, *type;
        bool known = !f->notes && json_object_object_get_ex(f->peer->plan_memory.unreadable, f->b, &unreadable);

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                if (startswith(type, "child<") || (known && json_object_object_get_ex(unreadable, name, NULL)))
                        continue;
                if (!add_property(f, name, type))
                        return false;
                if (f->notes && add_get(f, f->a, name, &probe, name) < 0)
                        return false;
        }
        return true;
}

/* The properties that the probing found to be unreadable leave the list, and are remembered for the type. */
static bool learn(struct fetch *f)
{
        struct peer *peer = f->peer;
        size_t size = UNREADABLE_TYPE + strlen(f->b);

        if (!f->notes)
                return true;
        json_object_object_foreach(f->notes, name, unused) {
                (void)unused;
                json_object_object_del(f->value, name);
                size += UNREADABLE_PROPERTY + strlen(name);
        }
        /* a QEMU with an endless number of types is queried again for each */
        if (peer->plan_memory.unreadable && peer->plan_memory.unreadable_bytes + size > UNREADABLE_MAX_BYTES)
                json_object_put(take_ptr(peer->plan_memory.unreadable));
        if (size > UNREADABLE_MAX_BYTES)
                return true;
        if (!peer->plan_memory.unreadable) {
                peer->plan_memory.unreadable = json_object_new_object();
                peer->plan_memory.unreadable_bytes = 0;
        }
        if (!peer->plan_memory.unreadable ||
            !qmp_json_add(peer->plan_memory.unreadable, f->b, json_object_get(f->notes)))
                return false;
        peer->plan_memory.unreadable_bytes += size;
        return true;
}

static bool take_member(struct part *part, struct json_object *value)
{
        return qmp_json_add(part->fetch->value, part->key, json_object_get(value));
}

static const struct part_answer member = { .take = take_member, .failed = pass_over };

static bool take_object(struct part *part, struct json_object *list)
{
        struct fetch *f = part->fetch;
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);)
                if (!startswith(type, "child<") && add_get(f, f->a, name, &member, name) < 0)
                        return false;
        return true;
}

static bool take_memdev(struct part *part, struct json_object *memdev)
{
        if (!json_object_is_type(memdev, json_type_string))
                return true;
        return qmp_json_add_string(part->fetch->value, json_object_get_string(memdev), part->key);
}

static const struct part_answer memdev = { .take = take_memdev, .failed = pass_over };

static bool take_anonymous(struct part *part, struct json_object *list)
{
        struct fetch *f = part->fetch;
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                _cleanup_(qmp_freep) char *path = NULL;

                if (!startswith(type, "child<"))
                        continue;
                if (asprintf(&path, "%s/%s", part->key, name) < 0 || add_get(f, path, "memdev", &memdev, path) < 0)
                        return false;
        }
        return true;
}

/*
 * QEMU 10.1 has all properties of an object with their values in one answer, without those that can't be read now. An
 * older one is asked once, since that costs less than its schema, unless the schema is known.
 */
static bool may_have_list_get(const struct peer *peer)
{
        return !peer->plan_memory.no_list_get;
}

/* The list of the one queried object; NULL: it is not a list, and the fetch has failed. */
static struct json_object *get_properties(struct fetch *f, struct json_object *objects)
{
        struct json_object *list = qmp_json_get(json_object_array_get_idx(objects, 0), "properties");

        if (json_object_is_type(list, json_type_array))
                return list;
        fetch_fail(f, -EPROTO, NULL, "QEMU's answer to qom-list-get has no list of properties");
        return NULL;
}

static bool take_values(struct part *part, struct json_object *objects)
{
        struct fetch *f = part->fetch;
        struct json_object *list = get_properties(f, objects), *value;
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                if (startswith(type, "child<") ||
                    !json_object_object_get_ex(json_object_array_get_idx(list, i - 1), "value", &value))
                        continue;
                if (!qmp_json_add(f->value, name, json_object_get(value)))
                        return false;
        }
        return true;
}

/* Which of the properties lack a value: those are asked for one by one, since only so QEMU says why. */
static bool take_valued_properties(struct part *part, struct json_object *objects)
{
        struct fetch *f = part->fetch;
        struct json_object *list = get_properties(f, objects);
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                if (startswith(type, "child<"))
                        continue;
                if (!add_property(f, name, type))
                        return false;
                if (!json_object_object_get_ex(json_object_array_get_idx(list, i - 1), "value", NULL) &&
                    add_get(f, f->a, name, &probe, name) < 0)
                        return false;
        }
        return true;
}

/* An object's properties, of a QEMU without qom-list-get. */
static int begin_list(struct fetch *f)
{
        return add_list(f, f->a, f->plan == &plan_object ? take_object : take_properties);
}

static int list_get_failed(struct part *part, const char *class, const char *text)
{
        struct fetch *f = part->fetch;

        if (!streq(class, "CommandNotFound"))
                return -qmp_error_to_errno(class, text);
        f->peer->plan_memory.no_list_get = true;
        return begin_list(f);
}

/* {"paths": [path]} */
static int add_list_get(struct fetch *f, bool (*take)(struct part *, struct json_object *))
{
        const struct part_answer answer = { .take = take, .failed = list_get_failed };
        struct json_object *arguments = json_object_new_object(), *paths = json_object_new_array(),
                           *path = json_object_new_string(f->a);

        if (paths && path && json_object_array_add(paths, path) == 0) {
                if (arguments && qmp_json_add(arguments, "paths", take_ptr(paths)))
                        return fetch_add(f, "qom-list-get", arguments, &answer, NULL);
        } else {
                json_object_put(path);
        }
        json_object_put(paths);
        json_object_put(arguments);
        return -ENOMEM;
}

static int begin_object(struct fetch *f)
{
        f->value = json_object_new_object();
        if (!f->value)
                return -ENOMEM;
        return may_have_list_get(f->peer) ? add_list_get(f, take_values) : begin_list(f);
}

const struct plan plan_object = {
        .name = "object",
        .command = "qom-list",
        .begin = begin_object,
        .transient = true,
};

static int begin_properties(struct fetch *f)
{
        f->value = json_object_new_object();
        if (!f->value)
                return -ENOMEM;
        /* of a known type there is nothing to find out */
        if (json_object_object_get_ex(f->peer->plan_memory.unreadable, f->b, NULL))
                return begin_list(f);
        f->notes = json_object_new_object();
        if (!f->notes)
                return -ENOMEM;
        return may_have_list_get(f->peer) ? add_list_get(f, take_valued_properties) : begin_list(f);
}

const struct plan plan_properties = {
        .name = "properties",
        .command = "qom-list",
        .begin = begin_properties,
        .finish = learn,
};

static int begin_devices(struct fetch *f)
{
        int r;

        f->value = json_object_new_array();
        if (!f->value)
                return -ENOMEM;
        r = add_list(f, QDEV_PERIPHERAL, take_devices);
        if (r == 0 && add_list(f, QDEV_PERIPHERAL_ANON, take_devices) < 0)
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
        return r;
}

const struct plan plan_devices = {
        .name = "devices",
        .command = "qom-list",
        .begin = begin_devices,
};

static int begin_memdevs(struct fetch *f)
{
        f->value = json_object_new_object();
        return f->value ? add_list(f, QDEV_PERIPHERAL_ANON, take_anonymous) : -ENOMEM;
}

const struct plan plan_memdevs = {
        .name = "memdevs",
        .command = "qom-list",
        .begin = begin_memdevs,
        .transient = true,
};

static int begin_all(struct fetch *f)
{
        f->value = json_object_new_object();
        return f->value ? add_list(f, f->a, take_list) : -ENOMEM;
}

const struct plan plan_list = {
        .name = "list",
        .command = "qom-list",
        .begin = begin_all,
};
