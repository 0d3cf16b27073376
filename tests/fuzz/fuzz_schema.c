/*
 * What query-qmp-schema returned, as the model, and what is told of it to people.
 *
 * Input: any JSON.
 */
#include <errno.h>

#include "fs/util/render.h"
#include "fuzz.h"
#include "qmp/schema.h"

/* What schema_text.c promises, and the line that it may be in. */
#define TEXT_MAX (256 * 1024 + 4096)
/* Of qmp_type_words(). */
#define WORDS_MAX (1000 + 300)

/* It is a file's name as it is, and a word in a shell. */
static void check_name(const char *name)
{
        char *file_name = render_name(name, strlen(name));

        CHECK(*name);
        CHECK_MSG(streq(file_name, name), "'%s' is not a file name", name);
        CHECK(!strpbrk(name, " \t\n'\"\\$`&|;<>(){}*?!#~="));
        free(file_name);
}

static void check_features(qmp_features features)
{
        for (; features && *features; features++)
                check_name(*features);
}

static void check_words(const struct qmp_entity *type)
{
        char *words = qmp_type_words(type);

        CHECK(words && *words);
        CHECK(strlen(words) < WORDS_MAX);
        CHECK(is_utf8(words, strlen(words)) && is_printable(words, strlen(words), ""));
        free(words);
}

static void check_members(const struct qmp_entity *entity)
{
        for (size_t i = 0; i < entity->n_members; i++) {
                const struct qmp_member *member = &entity->members[i];

                CHECK(member->name || entity->meta == QMP_META_ALTERNATE);
                if (member->name) {
                        check_name(member->name);
                        CHECK(streq(qmp_entity_find_member(entity, member->name)->name, member->name));
                }
                check_features(member->features);
                check_words(member->type);
        }
        for (size_t i = 0; i < entity->n_variants; i++) {
                CHECK(entity->tag);
                check_name(entity->variants[i].value);
                (void)qmp_entity_find_variant(entity, entity->variants[i].value);
                CHECK(!entity->variants[i].type || entity->variants[i].type->meta == QMP_META_OBJECT);
        }
}

static void check_text(const struct qmp_schema *schema, const struct qmp_entity *entity)
{
        char *text, *again;
        size_t size, size_again;

        CHECK(qmp_schema_describe(schema, entity, &text, &size) == 0);
        CHECK(size == strlen(text));
        CHECK(size > 0 && text[size - 1] == '\n');
        CHECK_MSG(size < TEXT_MAX, "%zu bytes of %s", size, entity->name);
        CHECK(is_utf8(text, size) && is_printable(text, size, "\n"));
        CHECK(entity->text_size == size);
        CHECK(qmp_schema_describe(schema, entity, &again, &size_again) == 0);
        CHECK(size_again == size && streq(text, again));
        free(text);
        free(again);
}

static void check_entities(const struct qmp_schema *schema, const struct qmp_entities *entities)
{
        for (size_t i = 0; i < entities->n; i++) {
                const struct qmp_entity *entity = entities->all[i];

                check_name(entity->name);
                CHECK(i == 0 || strcmp(entities->all[i - 1]->name, entity->name) < 0);
                CHECK(qmp_entities_find(entities, entity->name) == entity);
                CHECK(!entity->arg || entity->arg->meta == QMP_META_OBJECT);
                check_features(entity->features);
                check_members(entity);
                check_words(entity);
                (void)qmp_command_needs_nothing(entity);
                (void)qmp_features_have(entity->features, "unstable");
                check_text(schema, entity);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct qmp_schema *schema;
        struct json_object *reply;
        int r;

        if (!parse_json((const char *)data, size, &reply))
                return 0;
        r = qmp_schema_new(reply, &schema);
        CHECK(r == 0 || r == -EPROTO);
        CHECK((r == 0) == json_object_is_type(reply, json_type_array));
        /* it keeps nothing of what it was made of */
        json_object_put(reply);
        if (r < 0)
                return 0;
        check_entities(schema, &schema->commands);
        check_entities(schema, &schema->events);
        check_entities(schema, &schema->types);
        qmp_schema_free(schema);
        return 0;
}
