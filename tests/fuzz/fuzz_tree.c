/*
 * Any JSON as files: what a record's members show is what QEMU sent, and all of it.
 *
 * Input: a JSON value, which becomes the member "v" of a record of query-block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "rig.h"

/* What of a large tree is looked at. */
#define LOOKS_MAX  40
#define LEVELS_MAX 30
/* The record's own is inside of two more, and QEMU's message of another one. */
#define DEPTH_MAX 1000

static unsigned looks, levels;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        rig_init();
        return 0;
}

static bool is_structure(struct json_object *value)
{
        return json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array);
}

/* A file of JSON: it is JSON, and the value. */
static void check_json(const char *text, size_t size, struct json_object *value)
{
        struct json_object *shown;

        MUST(size > 0 && text[size - 1] == '\n');
        MUST_MSG(is_json(text, size, DEPTH_MAX + 4), "no JSON: %s", text);
        MUST(parse_json(text, size, &shown));
        MUST_MSG(same_json(shown, value), "not what QEMU sent: %s", text);
        json_object_put(shown);
}

static void check_scalar(const char *text, size_t size, struct json_object *value)
{
        if (!json_object_is_type(value, json_type_string)) {
                check_json(text, size, value);
                return;
        }
        MUST(size == (size_t)json_object_get_string_len(value) + 1);
        MUST(memcmp(text, json_object_get_string(value), size - 1) == 0);
        MUST(text[size - 1] == '\n');
}

static void check_file(const struct rig_node *node, struct json_object *value)
{
        struct rig_file *file;
        struct fuse_attr before, after;
        size_t size;
        char *text;

        MUST(rig_getattr(node, &before) == 0);
        MUST(rig_open(node, O_RDONLY, &file) == 0);
        MUST(rig_read_all(file, &text, &size) == 0);
        rig_release(&rig.files[rig.n_files - 1]);
        rig_settle();
        check_scalar(text, size, value);
        MUST(rig_getattr(node, &after) == 0);
        MUST(before.size == size && after.size == size);
        free(text);
}

/* Names in the order that they come in; the caller frees. */
static size_t list(const struct rig_node *dir, struct fuse_dirent ***ret_entries)
{
        struct fuse_dirent **entries = NULL;
        const struct fuse_dirent *entry;
        struct rig_file *file, copy;
        uint64_t offset = 0;
        size_t n = 0;
        bool more = true;

        MUST(rig_open(dir, O_RDONLY | O_DIRECTORY, &file) == 0);
        copy = *file;
        while (more) {
                size_t at = 0;

                MUST(rig_read(&copy, offset, 4096) == 0);
                more = rig.reply.size > 0;
                while ((entry = rig_next_entry(&rig.reply, &at))) {
                        offset = entry->off;
                        if (entry->off <= 2)
                                continue;
                        entries = reallocarray(entries, n + 1, sizeof(*entries));
                        MUST(entries);
                        entries[n] = calloc(1, sizeof(*entry) + entry->namelen + 1);
                        MUST(entries[n]);
                        memcpy(entries[n], entry, FUSE_NAME_OFFSET + entry->namelen);
                        n++;
                }
        }
        rig_release(&copy);
        rig_settle();
        *ret_entries = entries;
        return n;
}

static void check_member(const struct rig_node *node, struct json_object *value);

/* The @i-th entry is the @i-th member. */
static void check_entry(const struct rig_node *dir, const struct fuse_dirent *entry, const struct fuse_dirent *before,
                        struct json_object *value)
{
        struct rig_node *found, node;
        struct fuse_attr attr;

        MUST(!before || !streq(before->name, entry->name));
        MUST(entry->type == (is_structure(value) ? S_IFDIR : S_IFREG) >> 12);
        if (looks++ >= LOOKS_MAX)
                return;
        MUST_MSG(rig_lookup(dir, entry->name, &found) == 0, "%s is listed and isn't there", entry->name);
        node = *found;
        MUST(rig_getattr(&node, &attr) == 0);
        MUST(attr.ino == entry->ino);
        check_member(&node, value);
}

/* What isn't listed isn't there. */
static void check_absent(const struct rig_node *dir, struct json_object *value)
{
        struct rig_node *found;
        char name[24];

        if (!json_object_is_type(value, json_type_array))
                return;
        snprintf(name, sizeof(name), "%zu", json_object_array_length(value));
        MUST(rig_lookup(dir, name, &found) == -ENOENT);
        MUST(rig_lookup(dir, "00", &found) == -ENOENT);
}

static void check_member(const struct rig_node *node, struct json_object *value)
{
        struct fuse_dirent **entries;
        size_t n, i = 0;

        if (!is_structure(value)) {
                MUST(S_ISREG(node->mode));
                check_file(node, value);
                return;
        }
        MUST(S_ISDIR(node->mode));
        if (levels >= LEVELS_MAX)
                return;
        levels++;
        n = list(node, &entries);
        check_absent(node, value);
        if (json_object_is_type(value, json_type_array)) {
                MUST(n == json_object_array_length(value));
                for (; i < n; i++)
                        check_entry(node, entries[i], i > 0 ? entries[i - 1] : NULL,
                                    json_object_array_get_idx(value, i));
        } else {
                MUST(n == (size_t)json_object_object_length(value));
                json_object_object_foreach(value, key, member) {
                        (void)key;
                        check_entry(node, entries[i], i > 0 ? entries[i - 1] : NULL, member);
                        i++;
                }
        }
        for (i = 0; i < n; i++)
                free(entries[i]);
        free(entries);
        levels--;
}

static void check_record(struct json_object *value)
{
        static const char like_it[] = "{\"device\": \"d\", \"v\": 0}";
        struct json_object *records, *record;
        size_t size;
        char *text;

        MUST(parse_json(like_it, strlen(like_it), &record));
        MUST(json_object_object_add(record, "v", json_object_get(value)) == 0);
        MUST(rig_cat("block/d/status", &text, &size) == 0);
        check_json(text, size, record);
        free(text);
        MUST(rig_cat("query/block", &text, &size) == 0);
        records = json_object_new_array();
        MUST(json_object_array_add(records, record) == 0);
        check_json(text, size, records);
        json_object_put(records);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct json_object *value;
        struct rig_node *node, copy;
        char *text;

        if (!is_json((const char *)data, size, DEPTH_MAX) || !parse_json((const char *)data, size, &value))
                return 0;
        looks = levels = 0;
        rig_new();
        rig_plain_vm();
        rig_on("query-qmp-schema", "[{\"name\": \"query-block\", \"meta-type\": \"command\", \"arg-type\": \"0\"}, "
                                   "{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}]");
        MUST(asprintf(&text, "[{\"device\": \"d\", \"v\": %.*s}]", (int)size, (const char *)data) >= 0);
        rig_on("query-block", text);
        free(text);
        rig_connect(NULL);
        MUST(rig.vm->up);
        check_record(value);
        MUST(rig_walk("block/d/v", &node) == 0);
        copy = *node;
        check_member(&copy, value);
        MUST(rig.vm->up);
        rig_free();
        json_object_put(value);
        return 0;
}
