/*
 * A fetch is a number of parts, one command each. A part's reply may add further parts (a list of properties adds one
 * qom-get each); when none is left, the result is handed over. A part that fails ends the fetch, unless it may fail
 * (a property that cannot be read is left out); the others' replies are then only counted.
 */
#include "fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "qdev.h"
#include "qmp/conceal.h"
#include "qmp/message.h"
#include "reads.h"

/* A device has up to 300 properties (a CPU). What claims more is not to make as many commands of ours. */
#define PARTS_MAX 4096
/* QEMU 7.2 has 200, of up to 50 bytes; longer names are not stored. */
#define TYPE_NAMES_MAX 1000
#define TYPE_NAME_MAX  255
/* The limit for all types together, approximately as json-c allocates it; a type has a few such properties. */
#define UNREADABLE_MAX_BYTES (1024 * 1024)
#define UNREADABLE_TYPE      1000
#define UNREADABLE_PROPERTY  100

struct fetch {
        struct vm *vm;
        enum fetch_kind kind;
        char *a, *b;
        bool oob, asked;
        fetch_fn fn;
        void *userdata;
        struct json_object *value;
        struct json_object *refused; /* {key: null}: parts that may not be read */
        struct qmp_command *first;   /* NULL once answered */
        bool answered, patient;
        unsigned pending, n_parts;
        uint64_t busy_ns;
        int error;
        char *error_class, *text;
};

struct part {
        struct fetch *fetch;
        bool (*take)(struct part *part, struct json_object *value); /* false: out of memory */
        bool may_fail, is_list, may_be_unknown;
        char *key;
};

static void fetch_end(struct fetch *f)
{
        struct fetch_result result = {
                .error = f->error,
                .value = f->value,
                .error_class = f->error_class,
                .text = f->text,
                .busy_ns = f->busy_ns,
                .n_commands = f->n_parts,
        };

        if (f->fn)
                f->fn(f->userdata, &result);
        json_object_put(f->value);
        json_object_put(f->refused);
        free(f->a);
        free(f->b);
        free(f->error_class);
        free(f->text);
        free(f);
}

static void fetch_fail(struct fetch *f, int error, const char *class, const char *text)
{
        if (f->error)
                return;
        /* ENOENT would be taken for a missing name in the mount, not for a file that QEMU can't find on its host */
        f->error = error == -ENOENT ? -EIO : error;
        f->error_class = class ? strdup(class) : NULL;
        f->text = text ? strdup(text) : NULL;
}

static bool learn(struct fetch *f);
static int begin_list(struct fetch *f);

/* Of the type, not of this one device (QEMU 7.2, and before). */
static bool is_unreadable(const char *text)
{
        return strstr(text, "is not readable") || strstr(text, "Insufficient permission");
}

static void part_returned(struct part *part, struct json_object *value)
{
        struct fetch *f = part->fetch;

        if (part->is_list && !json_object_is_type(value, json_type_array)) {
                fetch_fail(f, -EPROTO, NULL, "QEMU's answer is not a list");
                return;
        }
        if (f->vm->options.conceal && qmp_conceal_credentials(value) < 0) {
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
                return;
        }
        if (f->error || part->take(part, value))
                return;
        if (f->n_parts >= PARTS_MAX)
                fetch_fail(f, -EPROTO, NULL, "QEMU lists too many properties");
        else
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
}

static void part_done(void *userdata, const struct qmp_result *result)
{
        struct part *part = userdata;
        struct fetch *f = part->fetch;

        f->first = NULL;
        f->answered = true;
        f->busy_ns += result->busy_ns;
        if (result->outcome == QMP_ERROR && part->may_be_unknown && streq(result->error_class, "CommandNotFound")) {
                f->vm->no_list_get = true;
                if (begin_list(f) < 0)
                        fetch_fail(f, -ENOMEM, NULL, "out of memory");
                goto done;
        }
        if (result->outcome == QMP_OK) {
                part_returned(part, result->value);
        } else if (result->outcome != QMP_ERROR || !part->may_fail || streq(result->error_class, "DeviceNotFound")) {
                /* the last case: the object went away meanwhile, which is not a property that can't be read */
                fetch_fail(f, result->error, result->error_class, result->text);
        } else if (f->refused && is_unreadable(result->text) &&
                   json_object_object_add(f->refused, part->key, NULL) < 0) {
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
        }
done:
        free(part->key);
        free(part);
        if (--f->pending > 0)
                return;
        if (f->refused && !f->error && !learn(f))
                fetch_fail(f, -ENOMEM, NULL, "out of memory");
        fetch_end(f);
}

/* The commands that must answer with one. */
static bool is_list(const char *command)
{
        return startswith(command, "qom-list") || streq(command, "device-list-properties");
}

/* A new part. @arguments is taken over. */
static int add_part(struct fetch *f, const char *command, struct json_object *arguments,
                    bool (*take)(struct part *, struct json_object *), const char *key, bool may_fail)
{
        struct part *part = f->n_parts < PARTS_MAX ? calloc(1, sizeof(*part)) : NULL;
        struct qmp_send_options options = { .patient = f->patient, .prefer_oob = f->oob };
        struct qmp_command *sent;
        int r = -ENOMEM;

        assert(command);
        if (!f->asked && !reads_may_send(command)) {
                free(part);
                json_object_put(arguments);
                return -EPERM;
        }
        if (part) {
                *part = (struct part){
                        .fetch = f,
                        .take = take,
                        .may_fail = may_fail,
                        .is_list = is_list(command),
                        .may_be_unknown = streq(command, "qom-list-get"),
                };
                part->key = key ? strdup(key) : NULL;
                if (!key || part->key)
                        r = qmp_client_send(f->vm->client, command, arguments, f->vm->options.timeout_ns, &options,
                                            part_done, part, &sent);
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

        return arguments ? add_part(f, "qom-list", arguments, take, path, false) : -ENOMEM;
}

static int add_get(struct fetch *f, const char *path, const char *property,
                   bool (*take)(struct part *, struct json_object *), const char *key, bool may_fail)
{
        struct json_object *arguments = path_arguments(path, property);

        return arguments ? add_part(f, "qom-get", arguments, take, key, may_fail) : -ENOMEM;
}

static bool take_nothing(struct part *part, struct json_object *value)
{
        (void)part;
        (void)value;
        return true;
}

static bool take_value(struct part *part, struct json_object *value)
{
        part->fetch->value = json_object_get(value);
        return true;
}

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
            !qmp_json_add_string(device, "path", path) || json_object_array_add(devices, device) < 0) {
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
static struct json_object *share_type(struct vm *vm, const char *type)
{
        struct json_object *string;

        if (!vm->type_names)
                vm->type_names = json_object_new_object();
        if (!vm->type_names)
                return NULL;
        if (json_object_object_get_ex(vm->type_names, type, &string))
                return json_object_get(string);
        string = json_object_new_string(type);
        if (string && strlen(type) <= TYPE_NAME_MAX && json_object_object_length(vm->type_names) < TYPE_NAMES_MAX)
                (void)qmp_json_add(vm->type_names, type, json_object_get(string));
        return string;
}

static bool add_property(struct fetch *f, const char *name, const char *type)
{
        struct json_object *string = share_type(f->vm, type);

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
        bool known = !f->refused && json_object_object_get_ex(f->vm->unreadable, f->b, &unreadable);

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                if (startswith(type, "child<") || (known && json_object_object_get_ex(unreadable, name, NULL)))
                        continue;
                if (!add_property(f, name, type))
                        return false;
                if (f->refused && add_get(f, f->a, name, take_nothing, name, true) < 0)
                        return false;
        }
        return true;
}

/* The properties that the probing found to be unreadable leave the list, and are remembered for the type. */
static bool learn(struct fetch *f)
{
        struct vm *vm = f->vm;
        size_t size = UNREADABLE_TYPE + strlen(f->b);

        json_object_object_foreach(f->refused, name, unused) {
                (void)unused;
                json_object_object_del(f->value, name);
                size += UNREADABLE_PROPERTY + strlen(name);
        }
        /* a QEMU with an endless number of types is queried again for each */
        if (vm->unreadable && vm->unreadable_bytes + size > UNREADABLE_MAX_BYTES)
                json_object_put(take_ptr(vm->unreadable));
        if (size > UNREADABLE_MAX_BYTES)
                return true;
        if (!vm->unreadable) {
                vm->unreadable = json_object_new_object();
                vm->unreadable_bytes = 0;
        }
        if (!vm->unreadable || !qmp_json_add(vm->unreadable, f->b, json_object_get(f->refused)))
                return false;
        vm->unreadable_bytes += size;
        return true;
}

static bool take_member(struct part *part, struct json_object *value)
{
        return qmp_json_add(part->fetch->value, part->key, json_object_get(value));
}

static bool take_object(struct part *part, struct json_object *list)
{
        struct fetch *f = part->fetch;
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);)
                if (!startswith(type, "child<") && add_get(f, f->a, name, take_member, name, true) < 0)
                        return false;
        return true;
}

static bool take_memdev(struct part *part, struct json_object *memdev)
{
        if (!json_object_is_type(memdev, json_type_string))
                return true;
        return qmp_json_add_string(part->fetch->value, json_object_get_string(memdev), part->key);
}

static bool take_anonymous(struct part *part, struct json_object *list)
{
        struct fetch *f = part->fetch;
        const char *name, *type;

        for (size_t i = 0; next_property(list, &i, &name, &type);) {
                _cleanup_(qmp_freep) char *path = NULL;

                if (!startswith(type, "child<"))
                        continue;
                if (asprintf(&path, "%s/%s", part->key, name) < 0 ||
                    add_get(f, path, "memdev", take_memdev, path, true) < 0)
                        return false;
        }
        return true;
}

/*
 * QEMU 10.1 has all properties of an object with their values in one answer, without those that can't be read now. An
 * older one is asked once, since that costs less than its schema, unless the schema is known.
 */
static bool may_have_list_get(const struct vm *vm)
{
        const struct qmp_schema *schema = vm->introspection.schema;

        return !vm->no_list_get && (!schema || qmp_entities_find(&schema->commands, "qom-list-get"));
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
                    add_get(f, f->a, name, take_nothing, name, true) < 0)
                        return false;
        }
        return true;
}

/* {"paths": [path]} */
static int add_list_get(struct fetch *f, bool (*take)(struct part *, struct json_object *))
{
        struct json_object *arguments = json_object_new_object(), *paths = json_object_new_array(),
                           *path = json_object_new_string(f->a);

        if (paths && path && json_object_array_add(paths, path) == 0) {
                if (arguments && qmp_json_add(arguments, "paths", take_ptr(paths)))
                        return add_part(f, "qom-list-get", arguments, take, NULL, false);
        } else {
                json_object_put(path);
        }
        json_object_put(paths);
        json_object_put(arguments);
        return -ENOMEM;
}

/* An object's properties, of a QEMU without qom-list-get. */
static int begin_list(struct fetch *f)
{
        return add_list(f, f->a, f->kind == FETCH_OBJECT ? take_object : take_properties);
}

static int begin_types(struct fetch *f)
{
        struct json_object *arguments = json_object_new_object(), *abstract = json_object_new_boolean(false);

        if (arguments && abstract && json_object_object_add(arguments, "abstract", abstract) == 0) {
                if (qmp_json_add_string(arguments, "implements", "device"))
                        return add_part(f, "qom-list-types", arguments, take_value, NULL, false);
        } else {
                json_object_put(abstract);
        }
        json_object_put(arguments);
        return -ENOMEM;
}

static int begin_type(struct fetch *f)
{
        struct json_object *arguments = json_object_new_object();

        if (arguments && qmp_json_add_string(arguments, "typename", f->a))
                return add_part(f, "device-list-properties", arguments, take_value, NULL, false);
        json_object_put(arguments);
        return -ENOMEM;
}

static int begin(struct fetch *f)
{
        int r;

        switch (f->kind) {
        case FETCH_COMMAND:
                return add_part(f, f->a, NULL, take_value, NULL, false);
        case FETCH_DEVICES:
                f->value = json_object_new_array();
                if (!f->value)
                        return -ENOMEM;
                r = add_list(f, QDEV_PERIPHERAL, take_devices);
                if (r == 0 && add_list(f, QDEV_PERIPHERAL_ANON, take_devices) < 0)
                        fetch_fail(f, -ENOMEM, NULL, "out of memory");
                return r;
        case FETCH_PROPERTIES:
                f->value = json_object_new_object();
                if (!f->value)
                        return -ENOMEM;
                if (!json_object_object_get_ex(f->vm->unreadable, f->b, NULL)) {
                        f->refused = json_object_new_object();
                        if (!f->refused)
                                return -ENOMEM;
                }
                /* of a known type there is nothing to find out */
                return f->refused && may_have_list_get(f->vm) ? add_list_get(f, take_valued_properties)
                                                              : begin_list(f);
        case FETCH_PROPERTY:
                return add_get(f, f->a, f->b, take_value, NULL, false);
        case FETCH_OBJECT:
                f->value = json_object_new_object();
                if (!f->value)
                        return -ENOMEM;
                return may_have_list_get(f->vm) ? add_list_get(f, take_values) : begin_list(f);
        case FETCH_MEMDEVS:
                f->value = json_object_new_object();
                return f->value ? add_list(f, QDEV_PERIPHERAL_ANON, take_anonymous) : -ENOMEM;
        case FETCH_LIST:
                f->value = json_object_new_object();
                return f->value ? add_list(f, f->a, take_list) : -ENOMEM;
        case FETCH_TYPES:
                return begin_types(f);
        case FETCH_TYPE:
                return begin_type(f);
        }
        return -EINVAL;
}

int fetch_start(struct vm *vm, const struct fetch_spec *spec, bool patient, fetch_fn fn, void *userdata,
                struct fetch **ret_fetch)
{
        struct fetch *f = calloc(1, sizeof(*f));
        int r = -ENOMEM;

        if (!f)
                return -ENOMEM;
        f->vm = vm;
        f->kind = spec->kind;
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

const char *fetch_command(const struct fetch_spec *spec)
{
        switch (spec->kind) {
        case FETCH_COMMAND:
                return spec->a;
        case FETCH_PROPERTY:
                return "qom-get";
        case FETCH_TYPES:
                return "qom-list-types";
        case FETCH_TYPE:
                return "device-list-properties";
        default:
                return "qom-list";
        }
}

bool fetch_is_sent(const struct fetch *f)
{
        return !f->first || qmp_command_is_sent(f->first);
}
