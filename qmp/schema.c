#include "qmp/schema.h"

#include <assert.h>
#include <errno.h>

#include "qmp/message.h"

/*
 * --- memory: freed as a whole ------------------------------------------------------------------------------------
 */

#define CHUNK_SIZE (32 * 1024)

/* The longest name of a command and of its file. */
#define NAME_MAX_SIZE 255

struct chunk {
        struct chunk *next;
        size_t used, size;
        _Alignas(max_align_t) char data[];
};

static void *allocate(struct qmp_schema *schema, size_t size)
{
        struct chunk *chunk = schema->arena;
        void *p;

        size = (size + 7) & ~(size_t)7;
        if (!chunk || chunk->size - chunk->used < size) {
                size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

                chunk = calloc(1, sizeof(*chunk) + room);
                if (!chunk)
                        return NULL;
                chunk->size = room;
                chunk->next = schema->arena;
                schema->arena = chunk;
        }
        p = chunk->data + chunk->used;
        chunk->used += size;
        return p;
}

/*
 * QAPI names consist of letters, digits, "-", "_" and "." (QEMU's docs/devel/qapi-code-gen, "Naming rules"), names of
 * masked types of digits and brackets. No other name may reach a file name, a terminal or a command line.
 */
static bool is_name(struct json_object *value)
{
        const char *s = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
        size_t size = strlen(s);

        for (const char *c = s; *c; c++)
                if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
                    !strchr("-_.[]", *c))
                        return false;
        return size > 0 && size <= NAME_MAX_SIZE && size == (size_t)json_object_get_string_len(value) && *s != '.';
}

/* A member that is a valid name, else NULL. */
static const char *get_name(struct json_object *object, const char *key)
{
        struct json_object *value = qmp_json_get(object, key);

        return value && is_name(value) ? json_object_get_string(value) : NULL;
}

static const char *copy(struct qmp_schema *schema, const char *s)
{
        size_t size = strlen(s) + 1;
        char *to = allocate(schema, size);

        return to ? memcpy(to, s, size) : NULL;
}

struct qmp_schema *qmp_schema_free(struct qmp_schema *schema)
{
        if (!schema)
                return NULL;
        for (struct chunk *chunk = schema->arena, *next; chunk; chunk = next) {
                next = chunk->next;
                free(chunk);
        }
        free(schema->commands.all);
        free(schema->events.all);
        free(schema->types.all);
        free(schema);
        return NULL;
}

static void schema_freep(struct qmp_schema **schema)
{
        qmp_schema_free(*schema);
}

/*
 * --- entities ----------------------------------------------------------------------------------------------------
 */

static const char *const meta_types[] = {
        [QMP_META_BUILTIN] = "builtin", [QMP_META_ENUM] = "enum",           [QMP_META_ARRAY] = "array",
        [QMP_META_OBJECT] = "object",   [QMP_META_ALTERNATE] = "alternate", [QMP_META_COMMAND] = "command",
        [QMP_META_EVENT] = "event",
};

static const char *const json_types[] = {
        [QMP_JSON_ANY] = "value",     [QMP_JSON_STRING] = "string",   [QMP_JSON_INT] = "int",
        [QMP_JSON_NUMBER] = "number", [QMP_JSON_BOOLEAN] = "boolean", [QMP_JSON_NULL] = "null",
};

static bool find_word(const char *const *words, size_t n, const char *word, size_t *ret_index)
{
        for (size_t i = 0; word && i < n; i++) {
                if (streq(words[i], word)) {
                        *ret_index = i;
                        return true;
                }
        }
        return false;
}

/* A member that is an array, else NULL. */
static struct json_object *get_array(struct json_object *object, const char *key)
{
        struct json_object *array = qmp_json_get(object, key);

        return json_object_is_type(array, json_type_array) ? array : NULL;
}

static size_t length(struct json_object *array)
{
        return array ? json_object_array_length(array) : 0;
}

static int compare(const void *a, const void *b)
{
        const struct qmp_entity *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

const struct qmp_entity *qmp_entities_find(const struct qmp_entities *entities, const char *name)
{
        struct qmp_entity key = { .name = name };
        const struct qmp_entity *k = &key, **found;

        if (entities->n == 0)
                return NULL;
        found = bsearch(&k, entities->all, entities->n, sizeof(k), compare);
        return found ? *found : NULL;
}

const struct qmp_member *qmp_entity_find_member(const struct qmp_entity *entity, const char *name)
{
        for (size_t i = 0; i < entity->n_members; i++)
                if (entity->members[i].name && streq(entity->members[i].name, name))
                        return &entity->members[i];
        return NULL;
}

const struct qmp_entity *qmp_entity_find_variant(const struct qmp_entity *entity, const char *value)
{
        for (size_t i = 0; i < entity->n_variants; i++)
                if (streq(entity->variants[i].value, value))
                        return entity->variants[i].type;
        return NULL;
}

bool qmp_features_have(qmp_features features, const char *feature)
{
        for (; features && *features; features++)
                if (streq(*features, feature))
                        return true;
        return false;
}

bool qmp_command_needs_nothing(const struct qmp_entity *command)
{
        return !command->arg || !command->arg->has_mandatory;
}

static bool read_features(struct qmp_schema *schema, struct json_object *item, qmp_features *ret_features)
{
        struct json_object *array = get_array(item, "features");
        const char **features;
        size_t n = 0;

        if (length(array) == 0)
                return true;
        features = allocate(schema, (length(array) + 1) * sizeof(*features));
        for (size_t i = 0; features && i < length(array); i++) {
                struct json_object *feature = json_object_array_get_idx(array, i);

                if (!is_name(feature))
                        continue;
                features[n] = copy(schema, json_object_get_string(feature));
                if (!features[n++])
                        return false;
        }
        if (n > 0)
                *ret_features = features;
        return features != NULL;
}

static const struct qmp_entity *find_type(const struct qmp_schema *schema, struct json_object *item, const char *key)
{
        const char *name = qmp_json_get_string(item, key);

        return name ? qmp_entities_find(&schema->types, name) : NULL;
}

/* Only an object type has members. */
static const struct qmp_entity *find_object(const struct qmp_schema *schema, struct json_object *item,
                                            const char *key)
{
        const struct qmp_entity *type = find_type(schema, item, key);

        return type && type->meta == QMP_META_OBJECT ? type : NULL;
}

/* Enums before QEMU 6.2 have "values" only. */
static bool read_values(struct qmp_schema *schema, struct qmp_entity *entity, struct json_object *item)
{
        struct json_object *values = get_array(item, "values");

        entity->members = allocate(schema, length(values) * sizeof(*entity->members));
        for (size_t i = 0; entity->members && i < length(values); i++) {
                struct json_object *value = json_object_array_get_idx(values, i);
                const char *name;

                if (!is_name(value))
                        continue;
                name = copy(schema, json_object_get_string(value));
                if (!name)
                        return false;
                entity->members[entity->n_members++].name = name;
        }
        return entity->members != NULL;
}

static bool read_members(struct qmp_schema *schema, struct qmp_entity *entity, struct json_object *item)
{
        struct json_object *members = get_array(item, "members");

        if (!members && entity->meta == QMP_META_ENUM)
                return read_values(schema, entity, item);
        entity->members = allocate(schema, length(members) * sizeof(*entity->members));
        for (size_t i = 0; entity->members && i < length(members); i++) {
                struct json_object *from = json_object_array_get_idx(members, i);
                struct qmp_member *member = &entity->members[entity->n_members];
                const char *name = get_name(from, "name");

                if (!name && (entity->meta != QMP_META_ALTERNATE || qmp_json_get(from, "name")))
                        continue;
                *member = (struct qmp_member){
                        .name = name ? copy(schema, name) : NULL,
                        .type = find_type(schema, from, "type"),
                        /* the value of "default" has always been null so far */
                        .optional = json_object_object_get_ex(from, "default", NULL),
                };
                if ((name && !member->name) || !read_features(schema, from, &member->features))
                        return false;
                entity->has_mandatory |= !member->optional;
                entity->n_members++;
        }
        return entity->members != NULL;
}

static bool read_variants(struct qmp_schema *schema, struct qmp_entity *entity, struct json_object *item)
{
        struct json_object *variants = get_array(item, "variants");
        const char *tag = get_name(item, "tag");

        if (!tag || !variants)
                return true;
        entity->tag = copy(schema, tag);
        entity->variants = allocate(schema, length(variants) * sizeof(*entity->variants));
        if (!entity->tag || !entity->variants)
                return false;
        for (size_t i = 0; i < length(variants); i++) {
                struct json_object *from = json_object_array_get_idx(variants, i);
                const char *value = get_name(from, "case");
                struct qmp_variant *variant = &entity->variants[entity->n_variants];

                if (!value)
                        continue;
                *variant = (struct qmp_variant){ copy(schema, value), find_object(schema, from, "type") };
                if (!variant->value)
                        return false;
                entity->n_variants++;
        }
        return true;
}

/* Reads everything but the name and the meta type, once types can be looked up. */
static bool read_entity(struct qmp_schema *schema, struct qmp_entity *entity, struct json_object *item)
{
        struct json_object *oob;
        size_t json;

        switch (entity->meta) {
        case QMP_META_BUILTIN:
                entity->json = QMP_JSON_ANY;
                if (find_word(json_types, ARRAY_SIZE(json_types), qmp_json_get_string(item, "json-type"), &json))
                        entity->json = (enum qmp_json_type)json;
                break;
        case QMP_META_ARRAY:
                entity->element = find_type(schema, item, "element-type");
                break;
        case QMP_META_ENUM:
        case QMP_META_OBJECT:
        case QMP_META_ALTERNATE:
                if (!read_members(schema, entity, item) || !read_variants(schema, entity, item))
                        return false;
                break;
        case QMP_META_COMMAND:
                entity->ret = find_type(schema, item, "ret-type");
                oob = qmp_json_get(item, "allow-oob");
                entity->allow_oob = json_object_is_type(oob, json_type_boolean) && json_object_get_boolean(oob);
                /* fall through */
        case QMP_META_EVENT:
                entity->arg = find_object(schema, item, "arg-type");
                break;
        }
        return read_features(schema, item, &entity->features);
}

static struct qmp_entities *entities_of(struct qmp_schema *schema, enum qmp_meta_type meta)
{
        return meta == QMP_META_COMMAND ? &schema->commands
               : meta == QMP_META_EVENT ? &schema->events
                                        : &schema->types;
}

/* Of entities with the same name, the first in QEMU's order is used. It is also the first in memory. */
static int compare_order(const void *a, const void *b)
{
        const struct qmp_entity *const *x = a, *const *y = b;
        int order = compare(a, b);

        return order ? order : *x < *y ? -1 : *x > *y;
}

static void sort(struct qmp_entities *entities)
{
        const struct qmp_entity **all;
        size_t n = 0;

        if (entities->n == 0)
                return;
        assert(entities->all);
        qsort(entities->all, entities->n, sizeof(*entities->all), compare_order);
        for (size_t i = 1; i < entities->n; i++)
                if (!streq(entities->all[n]->name, entities->all[i]->name))
                        entities->all[++n] = entities->all[i];
        entities->n = n + 1;
        all = reallocarray(entities->all, entities->n, sizeof(*all));
        if (all)
                entities->all = all;
}

/* Reads the names of the entities, so that these can refer to each other. */
static bool read_names(struct qmp_schema *schema, struct json_object *reply, struct qmp_entity *entities)
{
        for (size_t i = 0; i < length(reply); i++) {
                struct json_object *item = json_object_array_get_idx(reply, i);
                const char *name = get_name(item, "name");
                struct qmp_entities *group;
                size_t meta;

                /* a meta type of a later QEMU: values of such types are not checked */
                if (!name ||
                    !find_word(meta_types, ARRAY_SIZE(meta_types), qmp_json_get_string(item, "meta-type"), &meta))
                        continue;
                entities[i].meta = (enum qmp_meta_type)meta;
                entities[i].name = copy(schema, name);
                if (!entities[i].name)
                        return false;
                group = entities_of(schema, entities[i].meta);
                group->all[group->n++] = &entities[i];
        }
        sort(&schema->commands);
        sort(&schema->events);
        sort(&schema->types);
        return true;
}

static bool make_room(struct qmp_entities *entities, size_t n)
{
        entities->all = calloc(n + 1, sizeof(*entities->all));
        return entities->all != NULL;
}

/*
 * --- first uses --------------------------------------------------------------------------------------------------
 */

struct queue {
        struct qmp_entity **types;
        size_t n;
};

static void use(struct queue *queue, const struct qmp_entity *type, const struct qmp_use *first_use)
{
        /* the model is still being built */
        struct qmp_entity *t = (struct qmp_entity *)type;

        if (!t || t->first_use.user)
                return;
        t->first_use = *first_use;
        queue->types[queue->n++] = t;
}

static void use_parts(struct queue *queue, const struct qmp_entity *user)
{
        use(queue, user->arg, &(struct qmp_use){ .user = user });
        use(queue, user->ret, &(struct qmp_use){ .user = user });
        use(queue, user->element, &(struct qmp_use){ .user = user });
        for (size_t i = 0; i < user->n_members; i++)
                use(queue, user->members[i].type, &(struct qmp_use){ .user = user, .member = user->members[i].name });
        for (size_t i = 0; i < user->n_variants; i++)
                use(queue, user->variants[i].type,
                    &(struct qmp_use){ .user = user, .value = user->variants[i].value });
}

/* Breadth first: the types used by commands and events, then the types used by these, and so on. */
static int find_first_uses(const struct qmp_schema *schema)
{
        struct queue queue = { .types = calloc(schema->types.n + 1, sizeof(*queue.types)) };

        if (!queue.types)
                return -ENOMEM;
        for (size_t i = 0; i < schema->commands.n; i++)
                use_parts(&queue, schema->commands.all[i]);
        for (size_t i = 0; i < schema->events.n; i++)
                use_parts(&queue, schema->events.all[i]);
        for (size_t i = 0; i < queue.n; i++)
                use_parts(&queue, queue.types[i]);
        free(queue.types);
        return 0;
}

int qmp_schema_new(struct json_object *reply, struct qmp_schema **ret_schema)
{
        _cleanup_(schema_freep) struct qmp_schema *schema = NULL;
        struct qmp_entity *entities;
        size_t n;

        if (!json_object_is_type(reply, json_type_array))
                return -EPROTO;
        n = length(reply);
        schema = calloc(1, sizeof(*schema));
        if (!schema || !make_room(&schema->commands, n) || !make_room(&schema->events, n) ||
            !make_room(&schema->types, n))
                return -ENOMEM;
        entities = allocate(schema, (n + 1) * sizeof(*entities));
        if (!entities || !read_names(schema, reply, entities))
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (entities[i].name && !read_entity(schema, &entities[i], json_object_array_get_idx(reply, i)))
                        return -ENOMEM;
        if (find_first_uses(schema) < 0)
                return -ENOMEM;
        *ret_schema = take_ptr(schema);
        return 0;
}
