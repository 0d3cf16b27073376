/*
 * Any JSON as files: what a record's members show is what QEMU sent, and all of it.
 *
 * Input: a JSON value, which becomes the member "v" of a record of query-block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon.h"

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
        daemon_init();
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

        CHECK(size > 0 && text[size - 1] == '\n');
        CHECK_MSG(is_json(text, size, DEPTH_MAX + 4), "no JSON: %s", text);
        CHECK(parse_json(text, size, &shown));
        CHECK_MSG(same_json(shown, value), "not what QEMU sent: %s", text);
        json_object_put(shown);
}

static void check_scalar(const char *text, size_t size, struct json_object *value)
{
        if (!json_object_is_type(value, json_type_string)) {
                check_json(text, size, value);
                return;
        }
        CHECK(size == (size_t)json_object_get_string_len(value) + 1);
        CHECK(memcmp(text, json_object_get_string(value), size - 1) == 0);
        CHECK(text[size - 1] == '\n');
}

static void check_file(uint64_t node, struct json_object *value)
{
        struct fuse_attr before, after;
        struct k_file file;
        size_t size;
        char *text;

        CHECK(k_getattr(node, &before) == 0);
        CHECK(k_open(node, O_RDONLY, &file) == 0);
        CHECK(rig_read_all(&file, &text, &size) == 0);
        k_release(&file);
        check_scalar(text, size, value);
        CHECK(k_getattr(node, &after) == 0);
        CHECK(before.size == size && after.size == size);
        free(text);
}

/* Names in the order that they come in; the caller frees. */
static size_t list(uint64_t dir, struct fuse_dirent ***ret_entries)
{
        struct fuse_dirent **entries = NULL;
        const struct fuse_dirent *entry;
        struct k_file file;
        uint64_t offset = 0;
        size_t n = 0;
        bool more = true;

        CHECK(k_opendir(dir, &file) == 0);
        while (more) {
                struct k_reply *reply = k_wait(k_send_readdir(&file, offset, 4096));
                size_t at = 0;

                CHECK(reply->error == 0);
                more = reply->size > 0;
                while ((entry = k_next_entry(reply, &at))) {
                        offset = entry->off;
                        if (entry->off <= 2)
                                continue;
                        entries = reallocarray(entries, n + 1, sizeof(*entries));
                        CHECK(entries);
                        entries[n] = calloc(1, sizeof(*entry) + entry->namelen + 1);
                        CHECK(entries[n]);
                        memcpy(entries[n], entry, FUSE_NAME_OFFSET + entry->namelen);
                        n++;
                }
                free(reply);
        }
        k_release(&file);
        *ret_entries = entries;
        return n;
}

static void check_member(uint64_t node, uint32_t mode, struct json_object *value);

/* The @i-th entry is the @i-th member. */
static void check_entry(uint64_t dir, const struct fuse_dirent *entry, const struct fuse_dirent *before,
                        struct json_object *value)
{
        struct fuse_entry_out found;
        struct fuse_attr attr;

        CHECK(!before || !streq(before->name, entry->name));
        CHECK(entry->type == (is_structure(value) ? S_IFDIR : S_IFREG) >> 12);
        if (looks++ >= LOOKS_MAX)
                return;
        CHECK_MSG(k_lookup(dir, entry->name, &found) == 0, "%s is listed and isn't there", entry->name);
        CHECK(k_getattr(found.nodeid, &attr) == 0);
        CHECK(attr.ino == entry->ino);
        check_member(found.nodeid, attr.mode, value);
}

/* What isn't listed isn't there. */
static void check_absent(uint64_t dir, struct json_object *value)
{
        struct fuse_entry_out found;
        char name[24];

        if (!json_object_is_type(value, json_type_array))
                return;
        snprintf(name, sizeof(name), "%zu", json_object_array_length(value));
        CHECK(k_lookup(dir, name, &found) == -ENOENT);
        CHECK(k_lookup(dir, "00", &found) == -ENOENT);
}

static void check_member(uint64_t node, uint32_t mode, struct json_object *value)
{
        struct fuse_dirent **entries;
        size_t n, i = 0;

        if (!is_structure(value)) {
                CHECK(S_ISREG(mode));
                check_file(node, value);
                return;
        }
        CHECK(S_ISDIR(mode));
        if (levels >= LEVELS_MAX)
                return;
        levels++;
        n = list(node, &entries);
        check_absent(node, value);
        if (json_object_is_type(value, json_type_array)) {
                CHECK(n == json_object_array_length(value));
                for (; i < n; i++)
                        check_entry(node, entries[i], i > 0 ? entries[i - 1] : NULL,
                                    json_object_array_get_idx(value, i));
        } else {
                CHECK(n == (size_t)json_object_object_length(value));
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

        CHECK(parse_json(like_it, strlen(like_it), &record));
        CHECK(json_object_object_add(record, "v", json_object_get(value)) == 0);
        CHECK(rig_cat_all("block/d/status", &text, &size) == 0);
        check_json(text, size, record);
        free(text);
        CHECK(rig_cat_all("query/block", &text, &size) == 0);
        records = json_object_new_array();
        CHECK(json_object_array_add(records, record) == 0);
        check_json(text, size, records);
        json_object_put(records);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct json_object *value;
        struct fuse_entry_out node;
        char *text;

        if (!is_json((const char *)data, size, DEPTH_MAX) || !parse_json((const char *)data, size, &value))
                return 0;
        looks = levels = 0;
        daemon_new();
        daemon_on("query-qmp-schema",
                  "[{\"name\": \"query-block\", \"meta-type\": \"command\", \"arg-type\": \"0\"}, "
                  "{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}]");
        CHECK(asprintf(&text, "[{\"device\": \"d\", \"v\": %.*s}]", (int)size, (const char *)data) >= 0);
        daemon_on("query-block", text);
        free(text);
        daemon_connect(NULL);
        CHECK(rig.vm->peer.up);
        check_record(value);
        CHECK(rig_walk("block/d/v", &node) == 0);
        check_member(node.nodeid, node.attr.mode, value);
        CHECK(rig.vm->peer.up);
        daemon_free();
        json_object_put(value);
        return 0;
}
