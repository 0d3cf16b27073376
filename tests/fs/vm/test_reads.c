/*
 * Which commands plain reads send: the table, its page in the documentation, and a walk over the whole mount.
 */
#include "fs/vm/reads.h"

#include <glob.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

/* A source file or page, the caller's. */
static char *read_source(const char *name)
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

START_TEST(table_is_sorted_and_whole)
{
        for (size_t i = 0; i < n_reads_commands; i++) {
                const struct reads_command *command = &reads_commands[i];

                ck_assert_msg(i == 0 || strcmp(reads_commands[i - 1].name, command->name) < 0, "%s", command->name);
                ck_assert_msg(command->why && *command->why && !strpbrk(command->why, "|\n`"), "%s", command->name);
                ck_assert(reads_may_send(command->name) == command->harmless);
                ck_assert_str_eq(reads_why(command->name), command->why);
        }
        ck_assert(!reads_may_send("query-nothing"));
        ck_assert(!reads_may_send(""));
        ck_assert_str_eq(reads_why("query-nothing"), "is not known to be harmless");
}
END_TEST

/* What changes something, or makes QEMU make or open something, is never harmless. */
START_TEST(known_culprits_are_not_harmless)
{
        static const char *const culprits[] = { "device-list-properties",
                                                "qom-list-properties",
                                                "qom-list-types",
                                                "query-cpu-definitions",
                                                "query-gic-capabilities",
                                                "query-sev-capabilities",
                                                "query-sgx-capabilities",
                                                "stop",
                                                "qom-set",
                                                "human-monitor-command" };

        for (size_t i = 0; i < ARRAY_SIZE(culprits); i++)
                ck_assert_msg(!reads_may_send(culprits[i]), "%s", culprits[i]);
        for (size_t i = 0; i < n_reads_commands; i++)
                ck_assert_msg(!reads_commands[i].harmless || startswith(reads_commands[i].name, "query-") ||
                                      startswith(reads_commands[i].name, "x-query-") ||
                                      startswith(reads_commands[i].name, "qom-"),
                              "%s", reads_commands[i].name);
}
END_TEST

START_TEST(documentation_has_the_table)
{
        _cleanup_(qmp_freep) char *text = read_source("docs/security.md");
        const char *at = strstr(text, "| command | by a read | what QEMU does |\n| --- | --- | --- |\n");

        ck_assert_ptr_nonnull(at);
        at = strchr(strchr(at, '\n') + 1, '\n') + 1;
        for (size_t i = 0; i < n_reads_commands; i++) {
                const struct reads_command *command = &reads_commands[i];
                _cleanup_(qmp_freep) char *line = NULL;

                ck_assert_int_gt(asprintf(&line, "| `%s` | %s | %s |\n", command->name,
                                          command->harmless ? "yes" : "no", command->why),
                                 0);
                ck_assert_msg(startswith(at, line), "docs/security.md has\n%.*s\nnot\n%s", (int)strcspn(at, "\n"), at,
                              line);
                at += strlen(line);
        }
        ck_assert_msg(*at == '\n', "docs/security.md has more: %.40s", at);
}
END_TEST

/* Reads send by fetch.c; these others only what was written, and introspection.c one command when the connection is made. */
START_TEST(nobody_else_sends)
{
        static const char *const senders[] = {
                "kinds/call.c",
                "vm/fetch.c",
                "vm/introspection.c",
                "vm/operation.c",
        };
        glob_t files;
        size_t n = 0;

        ck_assert_int_eq(glob(SOURCE_DIR "/fs/*/*.c", 0, NULL, &files), 0);
        ck_assert_uint_gt(files.gl_pathc, 50);
        for (size_t f = 0; f < files.gl_pathc; f++) {
                const char *name = startswith(files.gl_pathv[f], SOURCE_DIR "/");
                _cleanup_(qmp_freep) char *text = read_source(name);
                bool known = false;

                if (!strstr(text, "qmp_client_send("))
                        continue;
                for (size_t i = 0; i < ARRAY_SIZE(senders); i++)
                        known |= streq(name + strlen("fs/"), senders[i]);
                ck_assert_msg(known, "%s sends commands", name);
                n++;
        }
        globfree(&files);
        ck_assert_uint_eq(n, ARRAY_SIZE(senders));
}
END_TEST

/* --- a walk ------------------------------------------------------------------------------------------------------ */

static size_t n_files, n_refused;

static void walk(const char *dir)
{
        _cleanup_(qmp_freep) char *names = NULL;
        char *save = NULL;

        ASSERT_OK(rig_ls(dir, &names));
        for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                _cleanup_(qmp_freep) char *path = NULL, *text = NULL;
                struct fuse_entry_out entry;

                ck_assert_int_gt(asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name), 0);
                ck_assert_msg(rig_walk(path, &entry) == 0, "%s", path);
                n_files++;
                if (S_ISDIR(entry.attr.mode)) {
                        walk(path);
                } else if (S_ISLNK(entry.attr.mode)) {
                        ASSERT_OK(rig_readlink(path, &text));
                } else {
                        struct k_file file;
                        int r = rig_open(path, O_RDONLY, &file);

                        /* queries that this QEMU has no answer to */
                        n_refused += r < 0;
                        if (r < 0)
                                continue;
                        ASSERT_OK(rig_read_all(&file, &text, NULL));
                        (void)k_poll(&file, 0);
                        k_release(&file);
                }
        }
}

static void check_sent(void)
{
        _cleanup_(qmp_freep) char *sent = rig_sent();
        char *save = NULL;

        for (char *name = strtok_r(sent, " ", &save); name; name = strtok_r(NULL, " ", &save))
                ck_assert_msg(reads_may_send(name), "a read has sent %s", name);
}

static void up(void)
{
        _cleanup_(qmp_freep) char *schema = test_data("query-qmp-schema.json", NULL);

        rig_up();
        fake_on(rig.fake, "query-qmp-schema", schema);
        rig_qom("/", NULL,
                "[{\"name\": \"machine\", \"type\": \"child<pc>\"}, {\"name\": \"objects\", \"type\": "
                "\"child<container>\"}]");
        rig_qom("/objects", NULL, "[]");
        rig_qom("/machine", NULL,
                "[{\"name\": \"vcpu\", \"type\": \"link<cpu>\"}, {\"name\": \"x\", \"type\": \"str\"}]");
        rig_qom("/machine", "vcpu", "\"\"");
        n_files = n_refused = 0;
}

/* Of a QEMU with any of the queries of 7.2, of an old one without qom-list-get, and once more with all that is
 * known. */
START_TEST(walk_sends_what_reads_may_send)
{
        fake_on(rig.fake, "qom-list-types", "[{\"name\": \"nvme\"}, {\"name\": \"e1000\"}]");
        fake_on(rig.fake, "device-list-properties", "[]");
        walk("");
        check_sent();
        ck_assert_uint_gt(n_files, 1000);
        ck_assert_uint_gt(n_refused, 30);
        ck_assert_uint_eq(rig_count("query-cpu-definitions"), 0);
        ck_assert_uint_eq(rig_count("qom-list-types"), 0);
        ck_assert_uint_eq(rig_count("query-kvm"), 1);
        ASSERT_OK(rig_echo("types/list", ""));
        ASSERT_OK(rig_echo("types/nvme", ""));
        free(rig_sent());
        walk("types");
        walk("query");
        check_sent();
        ck_assert_uint_eq(rig_count("device-list-properties"), 1);
}
END_TEST

int main(void)
{
        const struct test pure[] = {
                TEST(table_is_sorted_and_whole),
                TEST(known_culprits_are_not_harmless),
                TEST(documentation_has_the_table),
                TEST(nobody_else_sends),
        };
        const struct test tests[] = { TEST(walk_sends_what_reads_may_send) };
        int pure_r = test_main("reads, table", pure, ARRAY_SIZE(pure), NULL, NULL);
        int r = test_main("reads", tests, ARRAY_SIZE(tests), up, rig_down);

        return pure_r ? pure_r : r;
}
