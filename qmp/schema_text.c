/*
 * The schema as text. Each structure is spelled out where it first occurs in a text and referred to by its type's number
 * afterwards, so a text is never longer than the schema, whatever refers to what; and below DEPTH_MAX levels only the
 * number is given.
 */
#include <errno.h>
#include <stdio.h>

#include "schema.h"

#define DEPTH_MAX   10
#define NESTING_MAX 40
#define INDENT      4
#define WIDTH       110
#define NAME_WIDTH  24
/* An enum of so few values is spelled out again rather than referred to. */
#define ENUM_FEW 6

struct writer {
        FILE *out;
        const struct qmp_schema *schema;
        bool *seen;       /* by index in schema->types */
        unsigned depth;   /* of indentation */
        unsigned nesting; /* of types in types, which may be circular */
};

static const char *builtin_word(const struct qmp_entity *type)
{
        switch (type->json) {
        case QMP_JSON_STRING:
                return "string";
        case QMP_JSON_INT:
                return "integer";
        case QMP_JSON_NUMBER:
                return "number";
        case QMP_JSON_BOOLEAN:
                return "boolean";
        case QMP_JSON_NULL:
                return "null";
        case QMP_JSON_ANY:
                break;
        }
        return "any value";
}

static void put_words(FILE *out, const struct qmp_entity *type, unsigned depth)
{
        if (!type) {
                fputs("any value", out);
                return;
        }
        switch (type->meta) {
        case QMP_META_BUILTIN:
                fputs(builtin_word(type), out);
                break;
        case QMP_META_ENUM:
                fputs("one of ", out);
                for (size_t i = 0; i < type->n_members; i++)
                        fprintf(out, "%s%s", i > 0 ? ", " : "", type->members[i].name);
                break;
        case QMP_META_ARRAY:
                fputs("list of ", out);
                if (depth < DEPTH_MAX)
                        put_words(out, type->element, depth + 1);
                else
                        fprintf(out, "type %s", type->name);
                break;
        case QMP_META_ALTERNATE:
                for (size_t i = 0; i < type->n_members && depth < DEPTH_MAX; i++) {
                        fputs(i > 0 ? " or " : "", out);
                        put_words(out, type->members[i].type, depth + 1);
                }
                break;
        default:
                fprintf(out, "object (type %s)", type->name);
        }
}

char *qmp_type_words(const struct qmp_entity *type)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        put_words(out, type, 0);
        if (fclose(out) == 0)
                return text;
        free(text);
        return NULL;
}

static void put_members(struct writer *w, const struct qmp_entity *type);
static void put_type(struct writer *w, const struct qmp_entity *type, size_t column);

static void indent(struct writer *w)
{
        fprintf(w->out, "%*s", (int)(INDENT * w->depth), "");
}

/* Whether it was spelled out before; it has been from now on. */
static bool was_seen(struct writer *w, const struct qmp_entity *type)
{
        const struct qmp_entities *types = &w->schema->types;
        size_t low = 0, high = types->n;
        bool was;

        while (low + 1 < high) {
                size_t middle = (low + high) / 2;

                if (strcmp(types->all[middle]->name, type->name) <= 0)
                        low = middle;
                else
                        high = middle;
        }
        was = w->seen[low];
        w->seen[low] = true;
        return was;
}

static bool is_empty(const struct qmp_entity *type)
{
        return type->n_members == 0 && type->n_variants == 0;
}

static void put_enum(struct writer *w, const struct qmp_entity *type, size_t column)
{
        if (type->n_members > ENUM_FEW && was_seen(w, type)) {
                fprintf(w->out, "one of the values of type %s above", type->name);
                return;
        }
        column += (size_t)fprintf(w->out, "one of");
        if (type->n_members > ENUM_FEW)
                column += (size_t)fprintf(w->out, " (type %s)", type->name);
        for (size_t i = 0; i < type->n_members; i++) {
                const struct qmp_member *value = &type->members[i];
                size_t length = strlen(value->name) + 2;

                if (column + length > WIDTH) {
                        column = INDENT * (w->depth + 2);
                        fprintf(w->out, "\n%*s", (int)column, "");
                        column += (size_t)fprintf(w->out, "%s", value->name);
                } else {
                        column += (size_t)fprintf(w->out, " %s", value->name);
                }
                for (qmp_features f = value->features; f && *f; f++)
                        column += (size_t)fprintf(w->out, " (%s)", *f);
                if (i + 1 < type->n_members)
                        column += (size_t)fprintf(w->out, ",");
        }
        if (type->n_members == 0)
                fputs(" nothing", w->out);
}

/* How many of an alternate's branches need lines of their own. */
static size_t count_structures(const struct qmp_entity *type)
{
        size_t n = 0;

        for (size_t i = 0; i < type->n_members; i++)
                n += type->members[i].type && type->members[i].type->meta != QMP_META_BUILTIN;
        return n;
}

static void put_alternate(struct writer *w, const struct qmp_entity *type, size_t column)
{
        const struct qmp_entity *structure = NULL;
        size_t n = 0;

        if (count_structures(type) <= 1) {
                /* "string, null or object (type 49)", and the structure below */
                for (size_t i = 0; i < type->n_members; i++) {
                        if (type->members[i].type && type->members[i].type->meta != QMP_META_BUILTIN) {
                                structure = type->members[i].type;
                                continue;
                        }
                        column += (size_t)fprintf(w->out, "%s", n++ > 0 ? " or " : "");
                        put_words(w->out, type->members[i].type, 0);
                }
                if (structure) {
                        column += (size_t)fprintf(w->out, "%s", n > 0 ? " or " : "");
                        put_type(w, structure, column);
                }
                return;
        }
        fputs("either of", w->out);
        w->depth++;
        for (size_t i = 0; i < type->n_members; i++) {
                fputc('\n', w->out);
                indent(w);
                fputs("- ", w->out);
                put_type(w, type->members[i].type, INDENT * w->depth + 2);
        }
        w->depth--;
}

/* The type, from the middle of a line at @column; leaves the last line open. */
static void put_type(struct writer *w, const struct qmp_entity *type, size_t column)
{
        if (!type || type->meta == QMP_META_BUILTIN) {
                put_words(w->out, type, 0);
                return;
        }
        if (w->depth >= DEPTH_MAX || w->nesting >= NESTING_MAX) {
                fprintf(w->out, "type %s", type->name);
                return;
        }
        w->nesting++;
        switch (type->meta) {
        case QMP_META_ENUM:
                put_enum(w, type, column);
                break;
        case QMP_META_ARRAY:
                column += (size_t)fprintf(w->out, "list of ");
                put_type(w, type->element, column);
                break;
        case QMP_META_ALTERNATE:
                put_alternate(w, type, column);
                break;
        case QMP_META_OBJECT:
                if (is_empty(type)) {
                        fputs("empty object", w->out);
                } else if (was_seen(w, type)) {
                        fprintf(w->out, "object, as type %s above", type->name);
                } else {
                        fprintf(w->out, "object (type %s)", type->name);
                        w->depth++;
                        put_members(w, type);
                        w->depth--;
                }
                break;
        default:
                put_words(w->out, type, 0);
        }
        w->nesting--;
}

static void put_member(struct writer *w, const struct qmp_member *member)
{
        size_t column;

        fputc('\n', w->out);
        indent(w);
        column = INDENT * w->depth + (size_t)fprintf(w->out, "%-*s ", NAME_WIDTH, member->name);
        if (member->optional)
                column += (size_t)fprintf(w->out, "[optional] ");
        for (qmp_features f = member->features; f && *f; f++)
                column += (size_t)fprintf(w->out, "[%s] ", *f);
        put_type(w, member->type, column);
}

/* "when driver is file, host_device:" and the members, for all values of one variant at once. */
static void put_variant(struct writer *w, const struct qmp_entity *type, size_t first)
{
        const struct qmp_entity *variant = type->variants[first].type;
        size_t column;

        for (size_t i = 0; i < first; i++)
                if (type->variants[i].type == variant)
                        return;
        if (variant && is_empty(variant))
                return;
        fputc('\n', w->out);
        indent(w);
        column = INDENT * w->depth + (size_t)fprintf(w->out, "when %s is", type->tag);
        for (size_t i = first; i < type->n_variants; i++) {
                if (type->variants[i].type != variant)
                        continue;
                if (column + strlen(type->variants[i].value) + 2 > WIDTH)
                        column = (size_t)fprintf(w->out, "\n%*s", (int)(INDENT * (w->depth + 2)), "") - 1;
                column += (size_t)fprintf(w->out, "%s%s", i > first ? ", " : " ", type->variants[i].value);
        }
        fputc(':', w->out);
        w->depth++;
        if (!variant) {
                fputs(" any members", w->out);
        } else if (w->depth >= DEPTH_MAX || was_seen(w, variant)) {
                fprintf(w->out, " the members of type %s", variant->name);
        } else {
                put_members(w, variant);
        }
        w->depth--;
}

/* Each on a line of its own, begun by a line break; leaves the last line open. */
static void put_members(struct writer *w, const struct qmp_entity *type)
{
        for (size_t i = 0; i < type->n_members; i++)
                put_member(w, &type->members[i]);
        for (size_t i = 0; i < type->n_variants; i++)
                put_variant(w, type, i);
}

static void put_section(struct writer *w, const char *title, const struct qmp_entity *type)
{
        fprintf(w->out, "\n%s:", title);
        if (!type) {
                fputs(" any members\n", w->out);
        } else if (is_empty(type)) {
                fputs(" none\n", w->out);
        } else {
                bool again = was_seen(w, type);

                w->depth = 1;
                if (again)
                        fprintf(w->out, " as type %s above", type->name);
                else
                        put_members(w, type);
                w->depth = 0;
                fputc('\n', w->out);
        }
}

static void put_features(struct writer *w, const struct qmp_entity *entity)
{
        for (qmp_features f = entity->features; f && *f; f++)
                fprintf(w->out, "%s%s", f == entity->features ? "features: " : ", ", *f);
        if (entity->features)
                fputc('\n', w->out);
        if (entity->allow_oob)
                fputs("runs out of band\n", w->out);
}

static void put_command(struct writer *w, const struct qmp_entity *command)
{
        const struct qmp_entity *ret = command->ret;

        fprintf(w->out, "command %s\n", command->name);
        put_features(w, command);
        put_section(w, "arguments", command->arg);
        fputs("\nreturns: ", w->out);
        if (ret && ret->meta == QMP_META_OBJECT && is_empty(ret))
                fputs("nothing", w->out);
        else
                put_type(w, ret, 9);
        fputc('\n', w->out);
}

static void put_event(struct writer *w, const struct qmp_entity *event)
{
        fprintf(w->out, "event %s\n", event->name);
        put_features(w, event);
        put_section(w, "data", event->arg);
}

static bool refers(const struct qmp_entity *entity, const struct qmp_entity *type)
{
        if (entity->arg == type || entity->ret == type || entity->element == type)
                return true;
        for (size_t i = 0; i < entity->n_members; i++)
                if (entity->members[i].type == type)
                        return true;
        for (size_t i = 0; i < entity->n_variants; i++)
                if (entity->variants[i].type == type)
                        return true;
        return false;
}

/* Types have no names of their own: who uses one tells what it is. */
static void put_users(struct writer *w, const char *what, const struct qmp_entities *users,
                      const struct qmp_entity *type)
{
        size_t column = 0;

        for (size_t i = 0; i < users->n; i++) {
                const char *name = users->all[i]->name;

                if (!refers(users->all[i], type))
                        continue;
                if (column == 0)
                        column = (size_t)fprintf(w->out, "%s", what) - 1;
                else if (column + strlen(name) + 2 > WIDTH)
                        column = (size_t)fprintf(w->out, ",\n    ") - 2;
                else
                        column += (size_t)fprintf(w->out, ",");
                column += (size_t)fprintf(w->out, " %s", name);
        }
        if (column > 0)
                fputc('\n', w->out);
}

static void put_whole_type(struct writer *w, const struct qmp_entity *type)
{
        fprintf(w->out, "type %s: ", type->name);
        put_type(w, type, 8 + strlen(type->name));
        fputs("\n", w->out);
        put_features(w, type);
        put_users(w, "\nused by the commands", &w->schema->commands, type);
        put_users(w, "\nused by the events", &w->schema->events, type);
        put_users(w, "\nused by the types", &w->schema->types, type);
}

int qmp_schema_describe(const struct qmp_schema *schema, const struct qmp_entity *entity, char **ret_text,
                        size_t *ret_size)
{
        struct writer w = { .schema = schema };
        bool failed;
        char *text = NULL;
        size_t size;

        w.seen = calloc(schema->types.n + 1, sizeof(*w.seen));
        w.out = w.seen ? open_memstream(&text, &size) : NULL;
        if (!w.out) {
                free(w.seen);
                return -ENOMEM;
        }
        if (entity->meta == QMP_META_COMMAND)
                put_command(&w, entity);
        else if (entity->meta == QMP_META_EVENT)
                put_event(&w, entity);
        else
                put_whole_type(&w, entity);
        failed = ferror(w.out);
        if (fclose(w.out) != 0 || failed) {
                free(text);
                free(w.seen);
                return -ENOMEM;
        }
        free(w.seen);
        *ret_text = text;
        *ret_size = size;
        return 0;
}
