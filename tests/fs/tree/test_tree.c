/*
 * The tables, what is written of them, and the layers.
 */
#include <ctype.h>
#include <fts.h>
#include <stdio.h>
#include <sys/wait.h>

#include "fs/kinds/catalog.h"
#include "fs/tree/tree.h"
#include "fs/util/binding.h"
#include "tests/lib/test.h"

struct path {
        char *path; /* as docs/tree.md has it: collections end in "/" */
        mode_t type;
        unsigned mode;
        bool found;
};

static struct path paths[500];
static size_t n_paths;

static void setup(void)
{
        n_paths = 0;
}

static void teardown(void)
{
        while (n_paths > 0)
                free(paths[--n_paths].path);
}

static const char *placeholder(const char *collection)
{
        if (streq(collection, "cpus"))
                return "N";
        return streq(collection, "devices") ? "ID" : "NAME";
}

/* Calls @fn for each row, with the path of what it is in ("", "block/NAME/"). */
static void walk(const struct row *rows, const char *prefix, bool in_object,
                 void (*fn)(const struct row *, const char *, bool))
{
        for (const struct row *row = rows; row->name; row++) {
                _cleanup_(qmp_freep) char *below = NULL;

                fn(row, prefix, in_object);
                if (row->kind == &kind_dir) {
                        ck_assert_int_gt(asprintf(&below, "%s%s/", prefix, row->name), 0);
                        walk(row->data, below, in_object, fn);
                } else if (row->kind == &kind_collection) {
                        const struct each *each = row->data;

                        ck_assert_int_gt(asprintf(&below, "%s%s/%s/", prefix, row->name, placeholder(row->name)), 0);
                        walk(each->rows, below, true, fn);
                } else if (row->kind == &kind_catalog) {
                        const struct catalog *catalog = row->data;

                        ck_assert_int_gt(asprintf(&below, "%s%s/", prefix, row->name), 0);
                        fn(catalog->file, below, in_object);
                        if (catalog->asked)
                                fn(catalog->asked, below, in_object);
                        if (catalog->rows)
                                walk(catalog->rows, below, in_object, fn);
                } else if (row->kind == &kind_qom) {
                        const struct qom_rows *qom = row->data;

                        fn(qom->property, "qom/", in_object);
                } else if (S_ISDIR(row->kind->type)) {
                        /* it would be passed over with all that is in it */
                        ck_abort_msg("%s%s is a directory of a kind that this test does not know", prefix, row->name);
                }
        }
}

static void collect(const struct row *row, const char *prefix, bool in_object)
{
        struct path *path = &paths[n_paths];
        bool is_dir = S_ISDIR(row->kind->type);

        (void)in_object;
        ck_assert_uint_lt(n_paths, ARRAY_SIZE(paths));
        *path = (struct path){ .type = row->kind->type, .mode = is_dir && !row->mode ? 0755 : row->mode };
        ck_assert_int_gt(asprintf(&path->path, "%s%s%s", prefix, row->name, is_dir ? "/" : ""), 0);
        n_paths++;
}

static void check_remove(const struct remove *spec)
{
        const char *const bindings[] = { spec->qdev, spec->drive, spec->legacy_drive, spec->node, spec->slot };

        for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
                ck_assert_msg(!bindings[i] || binding_is_plain(bindings[i]), "%s", bindings[i]);
        /* what is compared with the device's "drive" */
        ck_assert_int_eq(!spec->qdev, !spec->drive);
}

static void check_attribute(const struct attribute *attribute, bool in_object)
{
        bool has_word = !attribute->lower;

        ck_assert(in_object && binding_is_plain(attribute->value) && attribute->argument);
        ck_assert_ptr_null(action_mistake(&attribute->action));
        for (const char *const *word = attribute->action.words; *word; word++)
                has_word |= attribute->lower && streq(*word, attribute->lower);
        ck_assert(has_word);
}

static void check_row(const struct row *row, const char *prefix, bool in_object)
{
        const struct kind *kind = row->kind;

        ck_assert_msg(row->name[0] && !strchr(row->name, '/') && !strchr(row->name, '%') && row->name[0] != '.',
                      "%s%s", prefix, row->name);
        /* what QEMU names has a placeholder in capitals */
        for (const char *c = row->name; *c; c++)
                ck_assert_msg(row->dynamic ? isupper((unsigned char)*c)
                                           : islower((unsigned char)*c) || *c == '-' || isdigit((unsigned char)*c),
                              "%s%s", prefix, row->name);
        switch (kind->type) {
        case S_IFDIR:
                ck_assert(kind->lookup && kind->list && !kind->render && !kind->read && !kind->write &&
                          !kind->readlink);
                ck_assert_uint_eq(row->mode, row->raw ? 0700 : 0);
                ck_assert(row->data || kind == &kind_qom);
                break;
        case S_IFLNK:
                ck_assert(kind->readlink && !kind->lookup && !kind->list && !kind->render && !kind->read &&
                          !kind->write);
                ck_assert_uint_eq(row->mode, 0);
                break;
        case S_IFREG:
                ck_assert(!kind->lookup && !kind->list && !kind->readlink);
                /* what has both shows the one until something was written */
                ck_assert(!kind->render || !kind->read || kind->write);
                /* what can be read has a mode for it, and what can be written; nothing is executable or for others to
                 * write */
                ck_assert_msg(!!(row->mode & 0444) == (kind->render || kind->read), "%s%s", prefix, row->name);
                ck_assert_msg(!!(row->mode & 0200) == !!kind->write, "%s%s", prefix, row->name);
                ck_assert_uint_eq(row->mode & ~0644u, 0);
                /* full power over QEMU is nobody else's */
                if (row->raw || kind == &kind_command)
                        ck_assert_uint_eq(row->mode, 0600);
                break;
        default:
                ck_abort_msg("%s%s is of no type", prefix, row->name);
        }
        if (kind == &kind_json || kind == &kind_value || kind == &kind_state || kind == &kind_version) {
                ck_assert_ptr_nonnull(row->query);
                ck_assert_msg(startswith(row->query, "query-"), "reading %s must only query", row->name);
        }
        if (kind == &kind_value || kind == &kind_state || kind == &kind_record_value)
                ck_assert_ptr_nonnull(row->member);
        if (kind == &kind_record || kind == &kind_record_value || kind == &kind_properties || kind == &kind_remove ||
            kind == &kind_device_link)
                ck_assert(in_object);
        if (kind == &kind_remove || kind == &kind_ctl)
                ck_assert_ptr_nonnull(row->data);
        if (kind == &kind_remove)
                check_remove(row->data);
        if (kind == &kind_attribute)
                check_attribute(row->data, in_object);
        ck_assert_uint_lt(row->channel, N_CHANNELS);
        ck_assert(!row->present || (in_object && binding_is_plain(row->present)));
        ck_assert(!kind->present || in_object);
}

START_TEST(rows_are_sane)
{
        ck_assert_ptr_eq(tree_root.kind, &kind_dir);
        walk(tree_root.data, "", false, check_row);
}
END_TEST

START_TEST(names_are_unique)
{
        walk(tree_root.data, "", false, collect);
        ck_assert_uint_gt(n_paths, 20);
        for (size_t i = 0; i < n_paths; i++)
                for (size_t j = 0; j < i; j++)
                        ck_assert_str_ne(paths[i].path, paths[j].path);
}
END_TEST

static void check_each(const struct row *row, const char *prefix, bool in_object)
{
        const struct each *each = row->data;

        (void)in_object;
        if (row->kind != &kind_collection)
                return;
        ck_assert(binding_is_valid(each->name));
        ck_assert(!each->device || binding_is_of_devices(each->device));
        ck_assert(!each->identity || binding_is_valid(each->identity));
        ck_assert(!each->ended.event == !each->ended.member);
        ck_assert(!each->ended.when == !each->ended.equals && (each->ended.event || !each->ended.when));
        ck_assert_ptr_nonnull(each->rows);
        if (each->query.plan == &plan_command)
                ck_assert(startswith(each->query.a, "query-"));
        /* each object tells all of itself */
        ck_assert_msg(rows_have(each->rows, "status"), "%s%s", prefix, row->name);
}

START_TEST(collections_are_sane)
{
        walk(tree_root.data, "", false, check_each);
}
END_TEST

START_TEST(verbs_are_sane)
{
        size_t n = 0;

        for (const struct row *row = tree_root.data; row->name; row++) {
                if (row->kind != &kind_ctl)
                        continue;
                for (const struct verb *verb = row->data; verb->name; verb++, n++) {
                        ck_assert(verb->help && *verb->help && !strchr(verb->help, '\n'));
                        ck_assert_ptr_nonnull(verb->action.steps[0].does.command);
                        ck_assert_ptr_null(action_mistake(&verb->action));
                        for (const struct verb *other = row->data; other != verb; other++)
                                ck_assert_str_ne(verb->name, other->name);
                }
        }
        ck_assert_uint_eq(n, 7);
}
END_TEST

/* --- docs/tree.md ------------------------------------------------------------------------------------------------ */

static char *read_file(const char *name)
{
        _cleanup_(qmp_freep) char *path = NULL;
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        ck_assert_int_gt(asprintf(&path, "%s/%s", SOURCE_DIR, name), 0);
        f = fopen(path, "re");
        ck_assert_msg(f != NULL, "cannot open %s", path);
        ck_assert_int_gt(getdelim(&text, &size, '\0', f), 0);
        fclose(f);
        return text;
}

/* The mode in the second column, as the row has it. */
static void check_mode(const struct path *path, const char *cell)
{
        unsigned mode;

        if (S_ISLNK(path->type)) {
                ck_assert_msg(startswith(cell, "link "), "%s: %.10s", path->path, cell);
                return;
        }
        ck_assert_msg(sscanf(cell, "%o", &mode) == 1, "%s: %.10s", path->path, cell);
        ck_assert_msg(mode == path->mode, "%s: %.10s", path->path, cell);
}

START_TEST(documentation_has_each_path_and_no_other)
{
        _cleanup_(qmp_freep) char *text = read_file("docs/tree.md");
        bool in_table = false;
        char *save = NULL;

        walk(tree_root.data, "", false, collect);
        /* tables of paths have "path" for their first column */
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *rest = startswith(line, "| `");
                _cleanup_(qmp_freep) char *path = NULL;
                struct path *known = NULL;

                if (*line != '|' || startswith(line, "| path "))
                        in_table = *line == '|';
                else if (line[1] == ' ' && !rest && !startswith(line, "| -"))
                        in_table = false;
                if (!in_table || !rest)
                        continue;
                path = strndup(rest, strcspn(rest, "`"));
                for (size_t i = 0; i < n_paths; i++) {
                        if (!streq(paths[i].path, path))
                                continue;
                        ck_assert_msg(!paths[i].found, "docs/tree.md has '%s' twice", path);
                        paths[i].found = true;
                        known = &paths[i];
                }
                ck_assert_msg(known != NULL, "docs/tree.md has '%s', fs/tree/tree.c has not", path);
                rest += strlen(path);
                ck_assert_msg(startswith(rest, "` | "), "docs/tree.md, '%s': what follows is no column", path);
                check_mode(known, rest + 4);
        }
        for (size_t i = 0; i < n_paths; i++)
                ck_assert_msg(paths[i].found, "fs/tree/tree.c has '%s', docs/tree.md has not", paths[i].path);
}
END_TEST

START_TEST(documentation_has_each_verb)
{
        _cleanup_(qmp_freep) char *text = read_file("docs/tree.md");

        for (const struct row *row = tree_root.data; row->name; row++) {
                for (const struct verb *verb = row->kind == &kind_ctl ? row->data : NULL; verb && verb->name;
                     verb++) {
                        char word[40];

                        snprintf(word, sizeof(word), "`%s`", verb->name);
                        ck_assert_contains(text, word);
                }
        }
}
END_TEST

/* --- layers ------------------------------------------------------------------------------------------------------ */

/* Of all folders below; the caller frees. */
static char *list_sources(const char *dir, const char *suffix)
{
        char *root = NULL, *roots[2] = { NULL };
        char *all = strdup(""), *more;
        FTSENT *entry;
        FTS *fts;

        ck_assert_int_gt(asprintf(&root, "%s/%s", SOURCE_DIR, dir), 0);
        roots[0] = root;
        fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        ck_assert_ptr_nonnull(fts);
        while ((entry = fts_read(fts))) {
                size_t n = strlen(entry->fts_path);

                ck_assert_int_ne(entry->fts_info, FTS_ERR);
                if (entry->fts_info != FTS_F || (!streq(entry->fts_path + n - 2, suffix) && *suffix))
                        continue;
                ck_assert_int_gt(
                        asprintf(&more, "%s%s%s", all, *all ? " " : "", entry->fts_path + strlen(SOURCE_DIR) + 1), 0);
                free(all);
                all = more;
        }
        fts_close(fts);
        free(root);
        ck_assert_uint_gt(strlen(all), 10);
        return all;
}

START_TEST(the_qmp_library_knows_nothing_of_fuse)
{
        _cleanup_(qmp_freep) char *files = list_sources("qmp", "");
        char *save = NULL;

        for (char *name = strtok_r(files, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                _cleanup_(qmp_freep) char *text = read_file(name);

                for (const char *at = text; (at = strstr(at, "#include")); at++) {
                        _cleanup_(qmp_freep) char *line = strndup(at, strcspn(at, "\n"));

                        ck_assert_msg(!strstr(line, "fuse") && !strstr(line, "fs/") && !strstr(line, ".."), "%s: %s",
                                      name, line);
                }
        }
}
END_TEST

/*
 * The folders of fs/, each of which may include those before it. An arrow back is an error of the design: the one below
 * needs an interface (a waiter, a subscriber, a row) for the one above to use.
 */
static const char *const folders[] = { "util", "vm", "fuse", "kinds", "tree", "daemon" };

/* The position of the folder of @path, "fs/FOLDER/NAME". */
static size_t folder_of(const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                const char *rest = startswith(path + strlen("fs/"), folders[i]);

                if (rest && *rest == '/')
                        return i;
        }
        ck_abort_msg("%s is in no folder that this test knows", path);
}

static void check_arrows(const char *name, const char *text)
{
        for (const char *at = text; (at = strstr(at, "#include \"")); at++) {
                const char *path = at + strlen("#include \"");

                ck_assert_msg(startswith(path, "fs/") || startswith(path, "qmp/"), "%s: %.40s is not from the root",
                              name, path);
                if (startswith(path, "fs/"))
                        ck_assert_msg(folder_of(path) <= folder_of(name), "%s includes %.*s", name,
                                      (int)strcspn(path, "\""), path);
        }
}

START_TEST(folders_have_no_circle)
{
        _cleanup_(qmp_freep) char *files = list_sources("fs", "");
        char *save = NULL;

        for (char *name = strtok_r(files, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                _cleanup_(qmp_freep) char *text = read_file(name);

                check_arrows(name, text);
        }
}
END_TEST

/* Only fs/ includes libfuse, and of the tests those that play the kernel: linux/fuse.h. */
START_TEST(each_source_includes_its_own_header_first)
{
        static const char *const dirs[] = { "qmp", "fs" };

        for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
                _cleanup_(qmp_freep) char *files = list_sources(dirs[d], ".c");
                char *save = NULL;

                for (char *name = strtok_r(files, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                        _cleanup_(qmp_freep) char *text = read_file(name), *header = strdup(name), *path = NULL;
                        const char *first = strstr(text, "#include ");
                        const char *base = strrchr(header, '/') + 1;

                        header[strlen(header) - 1] = 'h';
                        ck_assert_int_gt(asprintf(&path, "%s/%s", SOURCE_DIR, header), 0);
                        if (access(path, F_OK) < 0)
                                continue;
                        ck_assert_msg(first && first[9] == '"' &&
                                              (startswith(first + 10, base) || startswith(first + 10, header)),
                                      "%s: %.40s", name, first);
                }
        }
}
END_TEST

START_TEST(headers_compile_alone)
{
        static const char *const dirs[] = { "qmp", "fs" };
        const char *cc = getenv("CC");

        for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
                _cleanup_(qmp_freep) char *files = list_sources(dirs[d], ".h"), *command = NULL;
                int status;

                ck_assert_int_gt(
                        asprintf(&command,
                                 "cd '%s' && %s -std=gnu11 -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -Wall -Wextra "
                                 "-Werror -fsyntax-only -x c -I. $(pkg-config --cflags %s json-c) %s",
                                 SOURCE_DIR, cc && *cc ? cc : "cc", d == 0 ? "" : "fuse3", files),
                        0);
                status = system(command);
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", command);
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(rows_are_sane),
                TEST(names_are_unique),
                TEST(collections_are_sane),
                TEST(verbs_are_sane),
                TEST(documentation_has_each_path_and_no_other),
                TEST(documentation_has_each_verb),
                TEST(the_qmp_library_knows_nothing_of_fuse),
                TEST(folders_have_no_circle),
                TEST(each_source_includes_its_own_header_first),
                TEST(headers_compile_alone),
        };

        return test_main("tree", tests, ARRAY_SIZE(tests), setup, teardown);
}
