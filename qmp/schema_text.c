/*
 * The schema as text. Each structure is spelled out where it first occurs in a text and referred to by its type's number
 * afterwards; below DEPTH_MAX levels only the number is given, and at TEXT_MAX bytes it ends.
 */
#include <errno.h>
#include <stdio.h>

#include "schema.h"

#define DEPTH_MAX   10
#define NESTING_MAX 40
#define INDENT      4
#define WIDTH       110
#define NAME_WIDTH  24
/* So few values of an enum, or branches of an alternate, are spelled out again rather than referred to; … */
#define FEW 6
/* … together no longer than this. */
#define SHORT_MAX 200
/* Of so many variants those of one type are told together; of more, which nobody has, it would take too long. */
#define VARIANTS_MAX 1000
/* How many bytes qmp_type_words() spends on one type. */
#define WORDS_MAX 1000
/* The longest of QEMU 7.2 has 25 KB; what is longer is cut. */
#define TEXT_MAX (256 * 1024)

struct writer {
        FILE *out;
        const struct qmp_schema *schema;
        bool *seen;       /* by index in schema->types */
        bool *referred;   /* of these, what is referred to afterwards, and so must show its number */
        bool is_draft;    /* only to learn what is referred to */
        unsigned depth;   /* of indentation */
        unsigned nesting; /* of types in types, which may be circular */
};

static const char *builtin_word(const struct qmp_entity *type)
{
        switch (type ? type->json : QMP_JSON_ANY) {
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

/* Spends *left bytes at most: a message is no place for more. */
static void put_word(FILE *out, const char *separator, const char *word, size_t *left)
{
        /* at least 1: types may be in circles of nothing but themselves */
        size_t size = strlen(separator) + strlen(word) + 1;

        if (*left == 0)
                return;
        fprintf(out, "%s%s", separator, size < *left ? word : "…");
        *left = size < *left ? *left - size : 0;
}

static void put_words(FILE *out, const struct qmp_entity *type, size_t *left)
{
        switch (type ? type->meta : QMP_META_BUILTIN) {
        case QMP_META_BUILTIN:
                put_word(out, "", builtin_word(type), left);
                break;
        case QMP_META_ENUM:
                for (size_t i = 0; i<type->n_members && * left> 0; i++)
                        put_word(out, i > 0 ? ", " : "one of ", type->members[i].name, left);
                if (type->n_members == 0)
                        put_word(out, "", "nothing", left);
                break;
        case QMP_META_ARRAY:
                put_word(out, "list of ", "", left);
                if (*left > 0)
                        put_words(out, type->element, left);
                break;
        case QMP_META_ALTERNATE:
                for (size_t i = 0; i<type->n_members && * left> 0; i++) {
                        put_word(out, i > 0 ? " or " : "", "", left);
                        put_words(out, type->members[i].type, left);
                }
                if (type->n_members == 0)
                        put_word(out, "", "nothing", left);
                break;
        default:
                put_word(out, "object (type ", type->name, left);
                put_word(out, ")", "", left);
        }
}

char *qmp_type_words(const struct qmp_entity *type)
{
        char *text = NULL;
        size_t size, left = WORDS_MAX;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        put_words(out, type, &left);
        return qmp_close_text(out, &text) == 0 ? text : NULL;
}

static void put_members(struct writer *w, const struct qmp_entity *type);
static void put_type(struct writer *w, const struct qmp_entity *type, size_t column);

static bool is_full(const struct writer *w)
{
        return ftell(w->out) > TEXT_MAX;
}

static void indent(struct writer *w)
{
        fprintf(w->out, "%*s", (int)(INDENT * w->depth), "");
}

static size_t index_of(const struct writer *w, const struct qmp_entity *type)
{
        const struct qmp_entities *types = &w->schema->types;
        size_t low = 0, high = types->n;

        while (low + 1 < high) {
                size_t middle = (low + high) / 2;

                if (strcmp(types->all[middle]->name, type->name) <= 0)
                        low = middle;
                else
                        high = middle;
        }
        return low;
}

/* Whether it was spelled out before; it has been from now on. */
static bool was_seen(struct writer *w, const struct qmp_entity *type)
{
        size_t i = index_of(w, type);
        bool was = w->seen[i];

        w->seen[i] = true;
        w->referred[i] = w->referred[i] || was;
        return was;
}

/* The number of a type whose members stand in a place that does not tell it. */
static void put_number(struct writer *w, const struct qmp_entity *type)
{
        if (w->referred[index_of(w, type)])
                fprintf(w->out, " (type %s)", type->name);
}

static bool is_empty(const struct qmp_entity *type)
{
        return type->n_members == 0 && type->n_variants == 0;
}

/* Short enough to be spelled out again. */
static bool is_short(const struct qmp_entity *type)
{
        size_t length = 0;

        if (type->n_members > FEW)
                return false;
        for (size_t i = 0; i < type->n_members; i++) {
                length += type->members[i].name ? strlen(type->members[i].name) : 0;
                for (qmp_features f = type->members[i].features; f && *f && length <= SHORT_MAX; f++)
                        length += strlen(*f);
        }
        return length <= SHORT_MAX;
}

static void put_enum(struct writer *w, const struct qmp_entity *type, size_t column)
{
        bool is_long = !is_short(type);

        if (is_long && was_seen(w, type)) {
                fprintf(w->out, "one of the values of type %s above", type->name);
                return;
        }
        column += (size_t)fprintf(w->out, "one of");
        if (is_long)
                column += (size_t)fprintf(w->out, " (type %s)", type->name);
        for (size_t i = 0; i < type->n_members && !is_full(w); i++) {
                const struct qmp_member *value = &type->members[i];
                size_t length = strlen(value->name) + 2;

                if (column + length > WIDTH) {
                        column = INDENT * (w->depth + 2);
                        fprintf(w->out, "\n%*s", (int)column, "");
                        column += (size_t)fprintf(w->out, "%s", value->name);
                } else {
                        column += (size_t)fprintf(w->out, " %s", value->name);
                }
                for (qmp_features f = value->features; f && *f && !is_full(w); f++)
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
        bool simple = count_structures(type) <= 1;

        if ((!simple || !is_short(type)) && was_seen(w, type)) {
                fprintf(w->out, "as type %s above", type->name);
                return;
        }
        if (type->n_members == 0)
                fputs("nothing", w->out);
        if (simple) {
                /* "string, null or object (type 49)", and the structure below */
                for (size_t i = 0; i < type->n_members && !is_full(w); i++) {
                        if (type->members[i].type && type->members[i].type->meta != QMP_META_BUILTIN) {
                                structure = type->members[i].type;
                                continue;
                        }
                        column += (size_t)fprintf(w->out, "%s%s", n++ > 0 ? " or " : "",
                                                  builtin_word(type->members[i].type));
                }
                if (structure) {
                        column += (size_t)fprintf(w->out, "%s", n > 0 ? " or " : "");
                        put_type(w, structure, column);
                }
                return;
        }
        fprintf(w->out, "either of (type %s)", type->name);
        w->depth++;
        for (size_t i = 0; i < type->n_members && !is_full(w); i++) {
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
                fputs(builtin_word(type), w->out);
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
                fprintf(w->out, "type %s", type->name);
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
        for (qmp_features f = member->features; f && *f && !is_full(w); f++)
                column += (size_t)fprintf(w->out, "[%s] ", *f);
        put_type(w, member->type, column);
}

/* "when driver is file, host_device:" and the members, for all values of one variant at once. */
static void put_variant(struct writer *w, const struct qmp_entity *type, size_t first)
{
        const struct qmp_entity *variant = type->variants[first].type;
        bool together = type->n_variants <= VARIANTS_MAX;
        size_t column;

        for (size_t i = 0; together && i < first; i++)
                if (type->variants[i].type == variant)
                        return;
        if (variant && is_empty(variant))
                return;
        fputc('\n', w->out);
        indent(w);
        column = INDENT * w->depth + (size_t)fprintf(w->out, "when %s is", type->tag);
        for (size_t i = first; i < (together ? type->n_variants : first + 1) && !is_full(w); i++) {
                if (type->variants[i].type != variant)
                        continue;
                if (i > first)
                        column += (size_t)fprintf(w->out, ",");
                if (column + strlen(type->variants[i].value) + 2 > WIDTH)
                        column = (size_t)fprintf(w->out, "\n%*s%s", (int)(INDENT * (w->depth + 2)), "",
                                                 type->variants[i].value) -
                                 1;
                else
                        column += (size_t)fprintf(w->out, " %s", type->variants[i].value);
        }
        fputc(':', w->out);
        w->depth++;
        if (!variant) {
                fputs(" any members", w->out);
        } else if (w->depth >= DEPTH_MAX) {
                fprintf(w->out, " the members of type %s", variant->name);
        } else if (was_seen(w, variant)) {
                fprintf(w->out, " the members of type %s above", variant->name);
        } else {
                put_number(w, variant);
                put_members(w, variant);
        }
        w->depth--;
}

/* Each on a line of its own, begun by a line break; leaves the last line open. */
static void put_members(struct writer *w, const struct qmp_entity *type)
{
        for (size_t i = 0; i < type->n_members && !is_full(w); i++)
                put_member(w, &type->members[i]);
        for (size_t i = 0; i < type->n_variants && !is_full(w); i++)
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
                if (again) {
                        fprintf(w->out, " as type %s above", type->name);
                } else {
                        put_number(w, type);
                        put_members(w, type);
                }
                w->depth = 0;
                fputc('\n', w->out);
        }
}

static void put_features(struct writer *w, const struct qmp_entity *entity)
{
        for (qmp_features f = entity->features; f && *f && !is_full(w); f++)
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

        for (size_t i = 0; i < users->n && !is_full(w); i++) {
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
        if (w->is_draft)
                return;
        put_users(w, "\nused by the commands", &w->schema->commands, type);
        put_users(w, "\nused by the events", &w->schema->events, type);
        put_users(w, "\nused by the types", &w->schema->types, type);
}

static int describe(struct writer *w, const struct qmp_entity *entity, char **ret_text, size_t *ret_size)
{
        char *text = NULL;
        int r;

        memset(w->seen, 0, w->schema->types.n * sizeof(*w->seen));
        w->out = open_memstream(&text, ret_size);
        if (!w->out)
                return -ENOMEM;
        if (entity->meta == QMP_META_COMMAND)
                put_command(w, entity);
        else if (entity->meta == QMP_META_EVENT)
                put_event(w, entity);
        else
                put_whole_type(w, entity);
        if (is_full(w))
                fputs("…\n", w->out);
        r = qmp_close_text(w->out, &text);
        if (r == 0)
                *ret_text = text;
        return r;
}

int qmp_schema_describe(const struct qmp_schema *schema, const struct qmp_entity *entity, char **ret_text,
                        size_t *ret_size)
{
        _cleanup_(qmp_freep) bool *seen = calloc(schema->types.n + 1, sizeof(*seen));
        _cleanup_(qmp_freep) bool *referred = calloc(schema->types.n + 1, sizeof(*referred));
        _cleanup_(qmp_freep) char *first = NULL;
        struct writer w = { .schema = schema, .seen = seen, .referred = referred };
        int r;

        if (!seen || !referred)
                return -ENOMEM;
        /* what is referred to is known after the first time only */
        w.is_draft = true;
        r = describe(&w, entity, &first, ret_size);
        if (r < 0)
                return r;
        w.is_draft = false;
        r = describe(&w, entity, ret_text, ret_size);
        if (r == 0)
                ((struct qmp_entity *)entity)->text_size = *ret_size;
        return r;
}
