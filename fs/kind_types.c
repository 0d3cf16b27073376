/*
 * types/: the properties of each device type, a line each.
 */
#include <errno.h>
#include <stdio.h>

#include "catalog.h"
#include "inode.h"
#include "qmp/jsonc.h"
#include "qmp/message.h"
#include "render.h"
#include "snapshot.h"

int types_require(struct request *r, struct inode *dir)
{
        struct json_object *types;

        (void)dir;
        return introspection_types(r, &types);
}

static struct json_object *type_at(const struct inode *dir, size_t i)
{
        struct json_object *types = dir->vm->introspection.types;

        return i < json_object_array_length(types) ? json_object_array_get_idx(types, i) : NULL;
}

bool types_name(struct inode *dir, size_t i, char **ret_file_name)
{
        struct json_object *type = type_at(dir, i);

        if (type)
                *ret_file_name = render_name(json_object_get_string(type), (size_t)json_object_get_string_len(type));
        return type != NULL;
}

int types_find(struct inode *dir, const char *file_name, const char **ret_name)
{
        bool plain = !strchr(file_name, '%');
        struct json_object *type;

        for (size_t i = 0; (type = type_at(dir, i)); i++) {
                const char *name = json_object_get_string(type);
                size_t size = (size_t)json_object_get_string_len(type);
                _cleanup_(qmp_freep) char *encoded = NULL;

                if (plain && !streq(name, file_name))
                        continue;
                encoded = render_name(name, size);
                if (!encoded)
                        return -ENOMEM;
                if (streq(encoded, file_name)) {
                        *ret_name = name;
                        return 0;
                }
        }
        return -ENOENT;
}

static int compare(const void *a, const void *b)
{
        struct json_object *const *x = a, *const *y = b;

        return strcmp(qmp_json_get_string(*x, "name"), qmp_json_get_string(*y, "name"));
}

static int put_property(FILE *out, struct json_object *property)
{
        struct json_object *value = NULL;
        bool has_default = json_object_object_get_ex(property, "default-value", &value);
        const char *description = qmp_json_get_string(property, "description");
        const char *type = qmp_json_get_string(property, "type"), *text = "-";
        _cleanup_(qmp_freep) char *line = NULL, *plain = NULL;
        size_t size;

        if (has_default &&
            qmp_json_text(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &text, &size) < 0)
                return -ENOMEM;
        if (asprintf(&line, "%-32s %-20s %-12s %s", qmp_json_get_string(property, "name"), type ? type : "-", text,
                     description ? description : "") < 0) {
                line = NULL;
                return -ENOMEM;
        }
        for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
                line[n - 1] = '\0';
        plain = qmp_words(line);
        if (!plain)
                return -ENOMEM;
        fprintf(out, "%s\n", plain);
        return 0;
}

/* Sorted by name; what has none is passed over. */
static int render(struct json_object *properties, struct text *ret_text)
{
        size_t n = json_object_array_length(properties), n_named = 0;
        struct json_object **sorted = calloc(n + 1, sizeof(*sorted));
        FILE *out = sorted ? open_memstream(&ret_text->data, &ret_text->size) : NULL;
        int e = 0, closed;

        if (!out) {
                free(sorted);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++) {
                struct json_object *property = json_object_array_get_idx(properties, i);

                const char *type = qmp_json_get_string(property, "type");

                /* what it makes for itself is nobody's to set */
                if (qmp_json_get_string(property, "name") && !(type && startswith(type, "child<")))
                        sorted[n_named++] = property;
        }
        qsort(sorted, n_named, sizeof(*sorted), compare);
        for (size_t i = 0; e == 0 && i < n_named; i++)
                e = put_property(out, sorted[i]);
        free(sorted);
        closed = qmp_close_text(out, &ret_text->data);
        if (e < 0)
                free(take_ptr(ret_text->data));
        return e < 0 ? e : closed;
}

static int type_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        struct fetch_spec spec = { .kind = FETCH_TYPE };
        int e = inode->snapshot ? 0 : catalog_require_name(r, inode, &spec.a);

        if (e == 0 && !inode->snapshot)
                e = snapshot_new(inode->vm, &spec, &inode->snapshot);
        if (e == 0)
                e = snapshot_require(inode->snapshot, r, FRESH_CONTENT);
        return e ? e : render(inode->snapshot->value, ret_text);
}

const struct kind kind_type = {
        .type = S_IFREG,
        .render = type_render,
        .release = property_release,
};
