/*
 * Describes the schema as text. Each structure is spelled out where it first occurs in a text and later referred to
 * by that place, since QEMU's number of a type means nothing to a reader. Below DEPTH_MAX levels only the file of the
 * type is named. A text is cut at TEXT_MAX bytes.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "qmp/schema.h"

#define DEPTH_MAX   10
#define NESTING_MAX 40
#define INDENT      4
#define WIDTH       110
#define NAME_WIDTH  24
/* Enums and alternates with at most this many values or branches are spelled out again rather than referred to, … */
#define FEW 6
/* … if together they are not longer than this. */
#define SHORT_MAX 200
/* Up to this many variants, those of the same type are grouped. QEMU has far fewer; grouping takes quadratic time. */
#define VARIANTS_MAX 1000
/* The maximum size of the result of qmp_type_words(). */
#define WORDS_MAX 1000
/* The longest text of QEMU 7.2 has 25 KB; longer texts are cut. */
#define TEXT_MAX (256 * 1024)

/* The maximum length of the name of a place, and of types on the way to it. */
#define PLACE_MAX 200
#define STEPS_MAX 40
/* The maximum number of uses of a type that are listed, and of scans through all types to find them. */
#define USES_MAX  100
#define SCANS_MAX 10

/* A place in the text: "argument file", "the arguments when driver is qcow2". */
struct place {
        const char *what;         /* "argument", "member" */
        const char *whole;        /* its name for an empty path: "the arguments above" */
        char path[PLACE_MAX + 1]; /* "inserted.image" */
        char when[PLACE_MAX + 1]; /* conditions of the variants in the path: "driver is qcow2 and format is luks" */
};

struct writer {
        FILE *out;
        const struct qmp_schema *schema;
        char **seen;        /* by index in schema->types: the place where the type is spelled out, or NULL */
        struct place place; /* the current place */
        unsigned depth;     /* of indentation */
        unsigned nesting;   /* of types in types, which may form cycles */
        bool failed;        /* out of memory */
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

/* Writes at most *left bytes, to keep messages short. */
static void put_word(FILE *out, const char *separator, const char *word, size_t *left)
{
        /* at least 1, since types may form cycles without any words */
        size_t size = strlen(separator) + strlen(word) + 1;

        if (*left == 0)
                return;
        fprintf(out, "%s%s", separator, size < *left ? word : "…");
        *left = size < *left ? *left - size : 0;
}

/* "object {driver, …}": the mandatory members, and whether there are others. */
static void put_object_words(FILE *out, const struct qmp_entity *type, size_t *left)
{
        size_t n = 0;

        put_word(out, "object", "", left);
        for (size_t i = 0; i < type->n_members && type->has_mandatory && *left > 0; i++)
                if (!type->members[i].optional)
                        put_word(out, n++ > 0 ? ", " : " {", type->members[i].name, left);
        if (n > 0)
                put_word(out, n < type->n_members || type->n_variants > 0 ? ", …}" : "}", "", left);
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
                put_object_words(out, type, left);
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

static void begin_place(struct writer *w, const char *what, const char *whole)
{
        w->place = (struct place){ .what = what, .whole = whole };
}

/* Appends to a text. One that is too long keeps its end, which is where places differ. */
static void append(char text[PLACE_MAX + 1], const char *separator, const char *more)
{
        size_t n = strlen(text), n_more;

        if (n == 0)
                separator = "";
        n_more = strlen(separator) + strlen(more);
        if (n + n_more > PLACE_MAX) {
                size_t cut = n_more > PLACE_MAX ? n : n + n_more - PLACE_MAX;

                memmove(text, text + cut, n - cut + 1);
                n -= cut;
        }
        snprintf(text + n, PLACE_MAX + 1 - n, "%s%s", separator, more);
}

static void append_variant(char when[PLACE_MAX + 1], const struct qmp_entity *type, const char *value)
{
        append(when, " and ", type->tag);
        append(when, " is ", value);
}

static char *name_place(const struct place *place)
{
        bool whole = !*place->path;
        char *name;

        if (whole && !*place->when)
                return strdup(place->whole);
        if (asprintf(&name, "%s%s%s%s%s above", whole ? "the members" : place->what, whole ? "" : " ", place->path,
                     *place->when ? " when " : "", place->when) < 0)
                return NULL;
        return name;
}

/* Returns the place where the type was spelled out before, or NULL after recording the current place. */
static const char *seen_at(struct writer *w, const struct qmp_entity *type)
{
        size_t i = index_of(w, type);

        if (w->seen[i])
                return w->seen[i];
        w->seen[i] = name_place(&w->place);
        w->failed |= !w->seen[i];
        return NULL;
}

/* "as argument file above", from @column on. */
static void put_reference(struct writer *w, const char *what, const char *at, size_t column)
{
        column += (size_t)fprintf(w->out, "%s", what);
        while (*at) {
                size_t n = strcspn(at, " ");

                if (column + n + 1 > WIDTH && n + INDENT * (w->depth + 2) < column)
                        column = (size_t)fprintf(w->out, "\n%*s", (int)(INDENT * (w->depth + 2)), "") - 1;
                else
                        column += (size_t)fprintf(w->out, " ");
                column += (size_t)fprintf(w->out, "%.*s", (int)n, at);
                at += n + (at[n] == ' ');
        }
}

/* " (features: deprecated)" of a nested type. */
static void put_nested_features(struct writer *w, const struct qmp_entity *type)
{
        for (qmp_features f = type->features; f && *f && !is_full(w); f++)
                fprintf(w->out, "%s%s", f == type->features ? " (features: " : ", ", *f);
        if (type->features)
                fputc(')', w->out);
}

static bool is_empty(const struct qmp_entity *type)
{
        return type->n_members == 0 && type->n_variants == 0;
}

/* Whether an enum or alternate is short enough to be spelled out again. */
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
        const char *at = is_short(type) ? NULL : seen_at(w, type);

        if (at) {
                put_reference(w, "one of the values of", at, column);
                return;
        }
        column += (size_t)fprintf(w->out, "one of");
        put_nested_features(w, type);
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

/* The number of an alternate's branches that need their own lines. */
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
        const char *at = simple && is_short(type) ? NULL : seen_at(w, type);

        if (at) {
                put_reference(w, "as", at, column);
                return;
        }
        if (type->n_members == 0)
                fputs("nothing", w->out);
        if (simple) {
                /* "string or null or object", and the structure below */
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
                put_nested_features(w, type);
                return;
        }
        fputs("either of", w->out);
        put_nested_features(w, type);
        w->depth++;
        for (size_t i = 0; i < type->n_members && !is_full(w); i++) {
                fputc('\n', w->out);
                indent(w);
                fputs("- ", w->out);
                put_type(w, type->members[i].type, INDENT * w->depth + 2);
        }
        w->depth--;
}

/* Writes a type, starting at @column of a line; leaves the last line open. */
static void put_type(struct writer *w, const struct qmp_entity *type, size_t column)
{
        const char *at;

        if (!type || type->meta == QMP_META_BUILTIN) {
                fputs(builtin_word(type), w->out);
                return;
        }
        if (w->depth >= DEPTH_MAX || w->nesting >= NESTING_MAX) {
                fprintf(w->out, "see schema/types/%s", type->name);
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
                at = is_empty(type) ? NULL : seen_at(w, type);
                if (is_empty(type)) {
                        fputs("empty object", w->out);
                        put_nested_features(w, type);
                } else if (at) {
                        put_reference(w, "object, as", at, column);
                } else {
                        fputs("object", w->out);
                        put_nested_features(w, type);
                        w->depth++;
                        put_members(w, type);
                        w->depth--;
                }
                break;
        default:
                fprintf(w->out, "see schema/types/%s", type->name);
        }
        w->nesting--;
}

static void put_member(struct writer *w, const struct qmp_member *member)
{
        struct place outer = w->place;
        size_t column;

        append(w->place.path, ".", member->name);
        fputc('\n', w->out);
        indent(w);
        column = INDENT * w->depth + (size_t)fprintf(w->out, "%-*s ", NAME_WIDTH, member->name);
        if (member->optional)
                column += (size_t)fprintf(w->out, "[optional] ");
        for (qmp_features f = member->features; f && *f && !is_full(w); f++)
                column += (size_t)fprintf(w->out, "[%s] ", *f);
        put_type(w, member->type, column);
        w->place = outer;
}

/* "when driver is file, host_device:" and the members, for all values of one variant at once. */
static void put_variant(struct writer *w, const struct qmp_entity *type, size_t first)
{
        const struct qmp_entity *variant = type->variants[first].type;
        bool together = type->n_variants <= VARIANTS_MAX;
        struct place outer = w->place;
        const char *at;
        size_t column;

        for (size_t i = 0; together && i < first; i++)
                if (type->variants[i].type == variant)
                        return;
        if (variant && is_empty(variant) && !variant->features)
                return;
        append_variant(w->place.when, type, type->variants[first].value);
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
                fprintf(w->out, " see schema/types/%s", variant->name);
        } else if (is_empty(variant)) {
                fputs(" none", w->out);
                put_nested_features(w, variant);
        } else if ((at = seen_at(w, variant))) {
                put_reference(w, strstr(at, "the members ") == at ? "" : " the members of", at, column);
        } else {
                put_nested_features(w, variant);
                put_members(w, variant);
        }
        w->depth--;
        w->place = outer;
}

/* Writes each member on a new line, after a line break; leaves the last line open. */
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
                fputs(" none", w->out);
                put_nested_features(w, type);
                fputc('\n', w->out);
        } else {
                (void)seen_at(w, type);
                put_nested_features(w, type);
                w->depth = 1;
                put_members(w, type);
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
                fputs("can run out of band\n", w->out);
}

static void put_command(struct writer *w, const struct qmp_entity *command)
{
        const struct qmp_entity *ret = command->ret;

        fprintf(w->out, "command %s\n", command->name);
        put_features(w, command);
        begin_place(w, "argument", "the arguments above");
        put_section(w, "arguments", command->arg);
        begin_place(w, "member", "the return value above");
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
        begin_place(w, "member", "the data above");
        put_section(w, "data", event->arg);
}

/* "argument bitmap of blockdev-add when driver is copy-before-write" */
static void put_use(FILE *out, const struct qmp_use *use)
{
        const struct qmp_use *steps[STEPS_MAX];
        const struct qmp_entity *top = use->user;
        char path[PLACE_MAX + 1] = "", when[PLACE_MAX + 1] = "";
        bool is_argument;
        size_t n = 0;

        assert(top);
        for (const struct qmp_use *u = use; u->user && n < STEPS_MAX; u = &u->user->first_use) {
                top = u->user;
                steps[n++] = u;
        }
        for (size_t i = n; i-- > 0;) {
                if (steps[i]->member)
                        append(path, ".", steps[i]->member);
                if (steps[i]->value)
                        append_variant(when, steps[i]->user, steps[i]->value);
        }
        /* a command or event is not used itself: the step before it is in a type */
        is_argument = n > 1 && top->meta == QMP_META_COMMAND && steps[n - 2]->user == top->arg;
        if (*path)
                fprintf(out, "%s %s of ", is_argument ? "argument" : "member", path);
        else if (is_argument)
                fputs("the arguments of ", out);
        else if (top->meta == QMP_META_EVENT)
                fputs("the data of ", out);
        if (top->meta == QMP_META_COMMAND && !is_argument)
                fprintf(out, "the return value of %s", top->name);
        else
                fprintf(out, "%s%s", is_argument || top->meta == QMP_META_EVENT ? "" : "type ", top->name);
        if (*when)
                fprintf(out, " when %s", when);
}

/* The progress of writing the uses of a type. */
struct uses {
        const struct qmp_entity *type;
        size_t n;     /* uses so far */
        size_t scans; /* scans of all types so far */
};

static void begin_use(struct writer *w, struct uses *uses)
{
        fputs(uses->n++ == 0 ? "\nused as\n    " : "    ", w->out);
}

static const struct qmp_entity *argument_type(const struct qmp_entity *user)
{
        return user->arg;
}

static const struct qmp_entity *result_type(const struct qmp_entity *user)
{
        return user->ret;
}

/* "the arguments of block-dirty-bitmap-clear, block-dirty-bitmap-disable" */
static void put_direct_uses(struct writer *w, const char *what, const struct qmp_entities *users,
                            const struct qmp_entity *(*get)(const struct qmp_entity *), struct uses *uses)
{
        size_t column = 0;

        for (size_t i = 0; i < users->n && !is_full(w); i++) {
                const char *name = users->all[i]->name;

                if (get(users->all[i]) != uses->type)
                        continue;
                if (column == 0) {
                        begin_use(w, uses);
                        column = INDENT + (size_t)fprintf(w->out, "%s", what);
                } else if (column + strlen(name) + 2 > WIDTH) {
                        fprintf(w->out, ",\n%*s", 3 * INDENT - 1, "");
                        column = 3 * INDENT - 1;
                } else {
                        column += (size_t)fprintf(w->out, ",");
                }
                column += (size_t)fprintf(w->out, " %s", name);
        }
        if (column > 0)
                fputc('\n', w->out);
}

static void put_uses_of(struct writer *w, const struct qmp_entity *type, struct uses *uses);

static void put_use_by(struct writer *w, const struct qmp_use *use, struct uses *uses)
{
        const struct qmp_entity *user = use->user;

        /* the uses of a list are more informative than "an element of the list" */
        if ((user->meta == QMP_META_ARRAY || user->meta == QMP_META_ALTERNATE) && uses->scans < SCANS_MAX) {
                put_uses_of(w, user, uses);
                return;
        }
        if (uses->n >= USES_MAX) {
                uses->n++;
                return;
        }
        begin_use(w, uses);
        put_use(w->out, use);
        fputc('\n', w->out);
}

/* Writes the uses in types; for a list, also its direct uses by commands and events. */
static void put_uses_of(struct writer *w, const struct qmp_entity *type, struct uses *uses)
{
        const struct qmp_entities *types = &w->schema->types;

        uses->scans++;
        if (type != uses->type) {
                const struct uses all = *uses;

                uses->type = type;
                put_direct_uses(w, "an element of the return value of", &w->schema->commands, result_type, uses);
                uses->type = all.type;
        }
        for (size_t i = 0; i < types->n && !is_full(w); i++) {
                const struct qmp_entity *user = types->all[i];

                if (user->element == type)
                        put_use_by(w, &(struct qmp_use){ .user = user }, uses);
                for (size_t k = 0; k < user->n_members && !is_full(w); k++)
                        if (user->members[k].type == type)
                                put_use_by(w, &(struct qmp_use){ .user = user, .member = user->members[k].name },
                                           uses);
                for (size_t k = 0; k < user->n_variants && !is_full(w); k++)
                        if (user->variants[k].type == type)
                                put_use_by(w, &(struct qmp_use){ .user = user, .value = user->variants[k].value },
                                           uses);
        }
}

static void put_uses(struct writer *w, const struct qmp_entity *type)
{
        struct uses uses = { .type = type };

        put_direct_uses(w, "the arguments of", &w->schema->commands, argument_type, &uses);
        put_direct_uses(w, "the return value of", &w->schema->commands, result_type, &uses);
        put_direct_uses(w, "the data of", &w->schema->events, argument_type, &uses);
        put_uses_of(w, type, &uses);
        if (uses.n > USES_MAX)
                fprintf(w->out, "    … and in %zu more places\n", uses.n - USES_MAX);
}

static void put_whole_type(struct writer *w, const struct qmp_entity *type)
{
        begin_place(w, "member", "the type above");
        fprintf(w->out, "type %s: ", type->name);
        put_type(w, type, 8 + strlen(type->name));
        fputs("\n", w->out);
        put_uses(w, type);
}

static int describe(struct writer *w, const struct qmp_entity *entity, char **ret_text, size_t *ret_size)
{
        char *text = NULL;
        int r;

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
        if (r == 0 && w->failed) {
                free(text);
                r = -ENOMEM;
        }
        if (r == 0)
                *ret_text = text;
        return r;
}

int qmp_schema_describe(const struct qmp_schema *schema, const struct qmp_entity *entity, char **ret_text,
                        size_t *ret_size)
{
        struct writer w = { .schema = schema, .seen = calloc(schema->types.n + 1, sizeof(*w.seen)) };
        int r = w.seen ? describe(&w, entity, ret_text, ret_size) : -ENOMEM;

        for (size_t i = 0; w.seen && i < schema->types.n; i++)
                free(w.seen[i]);
        free(w.seen);
        if (r == 0)
                ((struct qmp_entity *)entity)->text_size = *ret_size;
        return r;
}
