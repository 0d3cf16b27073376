/*
 * types/: the properties of device types, a line each, and which types there are. QEMU makes a device of the
 * type to tell of it, and loads modules to tell which types it has, so both are asked for by a write.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/kinds/asked_file.h"
#include "fs/kinds/catalog.h"
#include "fs/fuse/inode.h"
#include "fs/vm/query.h"
#include "qmp/jsonc.h"
#include "qmp/message.h"
#include "fs/util/render.h"

int types_require(struct request *r, struct inode *dir)
{
        (void)r;
        (void)dir;
        return 0;
}

static struct json_object *type_at(const struct vm *vm, size_t i)
{
        struct json_object *types = vm->introspection.types;

        return types && i < json_object_array_length(types) ? json_object_array_get_idx(types, i) : NULL;
}

bool types_name(struct inode *dir, size_t i, char **ret_file_name)
{
        const struct catalog *catalog = dir->row->data;
        struct json_object *type = type_at(dir->vm, i);

        if (!type)
                return false;
        *ret_file_name = render_name(json_object_get_string(type), (size_t)json_object_get_string_len(type));
        if (*ret_file_name && rows_have(catalog->rows, *ret_file_name))
                **ret_file_name = '\0';
        return true;
}

/* Whether a type may be called so, as QEMU's are ("SUNW,fdtwo", "Sun-UltraSparc-IIIi+-sparc64-cpu"). */
static bool may_be_type(const char *name)
{
        static const char digits[] = "0123456789", letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        bool begins_well = *name && (strchr(digits, *name) || strchr(letters, *name));

        while (*name && (strchr(digits, *name) || strchr(letters, *name) || strchr("-_.,+", *name)))
                name++;
        return begins_well && !*name;
}

int types_find(struct inode *dir, const char *file_name, const char **ret_name)
{
        bool plain = !strchr(file_name, '%');
        struct json_object *type;

        for (size_t i = 0; (type = type_at(dir->vm, i)); i++) {
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
        /* which ones there are isn't known before somebody asks */
        if (dir->vm->introspection.all_types || !may_be_type(file_name))
                return -ENOENT;
        *ret_name = file_name;
        return 0;
}

int types_keep(struct vm *vm, const struct query_spec *spec, struct json_object *properties)
{
        int e = asked_keep(&vm->asked, spec, properties);

        return e ? e : introspection_add_type(&vm->introspection, spec->a);
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

/* Sorted by name; properties without a name are skipped. */
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

                /* users can't set the children that it creates itself */
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

static int type_text(struct inode *inode, const char *name, struct text *ret_text)
{
        const struct query_spec spec = { .plan = &plan_type, .a = name };
        _cleanup_(qmp_json_putp) struct json_object *properties = NULL;
        int e = asked_find(&inode->vm->asked, &spec, &properties);

        if (e == -ENOENT)
                return asked_usage(inode, query_command(&spec), ret_text);
        return e ? e : render(properties, ret_text);
}

static int type_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        const char *name;
        int e = catalog_require_name(r, inode, &name);

        return e ? e : type_text(inode, name, ret_text);
}

static int64_t type_size(struct inode *inode)
{
        struct text text = { 0 };
        const char *name;

        if (types_find(inode->parent, inode->name, &name) < 0 || type_text(inode, name, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

static int type_write(struct request *r, struct file *file)
{
        struct query_spec spec = { .plan = &plan_type, .asked = true };
        int e = catalog_require_name(r, file->inode, &spec.a);

        return e ? e : asked_write(r, &spec, types_keep);
}

const struct kind kind_type = {
        .type = S_IFREG,
        .own_inode = true,
        .render = type_render,
        .write = type_write,
        .size = type_size,
};

/* --- types/list ------------------------------------------------------------------------------------------------- */

static int list_text(struct inode *inode, struct text *ret_text)
{
        const struct query_spec spec = { .plan = &plan_types };
        struct json_object *type;
        FILE *out;

        if (!inode->vm->introspection.all_types)
                return asked_usage(inode, query_command(&spec), ret_text);
        out = open_memstream(&ret_text->data, &ret_text->size);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; (type = type_at(inode->vm, i)); i++) {
                _cleanup_(qmp_freep) char *name =
                        render_name(json_object_get_string(type), (size_t)json_object_get_string_len(type));

                if (!name) {
                        fclose(out);
                        free(take_ptr(ret_text->data));
                        return -ENOMEM;
                }
                fprintf(out, "%s\n", name);
        }
        return qmp_close_text(out, &ret_text->data);
}

static int list_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        (void)r;
        return list_text(inode, ret_text);
}

static int64_t list_size(struct inode *inode)
{
        struct text text;

        if (list_text(inode, &text) < 0)
                return -1;
        free(text.data);
        return (int64_t)text.size;
}

static int list_keep(struct vm *vm, const struct query_spec *spec, struct json_object *types)
{
        (void)spec;
        return introspection_set_types(&vm->introspection, types);
}

static int list_write(struct request *r, struct file *file)
{
        static const struct query_spec spec = { .plan = &plan_types, .asked = true };

        (void)file;
        return asked_write(r, &spec, list_keep);
}

const struct kind kind_type_list = {
        .type = S_IFREG,
        .own_inode = true,
        .render = list_render,
        .write = list_write,
        .size = list_size,
};
