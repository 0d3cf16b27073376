/*
 * A fuzz target as a plain program: runs each file that it is given, and each in the directories that it is given. So any
 * compiler's build runs every input that was ever of interest.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"

#pragma weak LLVMFuzzerInitialize

static unsigned long n_runs;

static void run_file(const char *path)
{
        FILE *f = fopen(path, "re");
        struct stat st;
        uint8_t *data;

        CHECK_MSG(f && fstat(fileno(f), &st) == 0, "cannot open '%s': %s", path, strerror(errno));
        /* exactly as large as it is, so that the sanitizers see each byte beyond */
        data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
        CHECK(data);
        CHECK(fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
        fclose(f);
        (void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
        free(data);
        n_runs++;
}

static int is_file(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

static void run_directory(const char *path)
{
        struct dirent **entries;
        int n = scandir(path, &entries, is_file, alphasort);

        CHECK_MSG(n >= 0, "cannot read '%s': %s", path, strerror(errno));
        for (int i = 0; i < n; i++) {
                char *file;

                CHECK(asprintf(&file, "%s/%s", path, entries[i]->d_name) >= 0);
                run_file(file);
                free(file);
                free(entries[i]);
        }
        free(entries);
}

int main(int argc, char **argv)
{
        if (LLVMFuzzerInitialize)
                LLVMFuzzerInitialize(&argc, &argv);
        /* an empty one, too */
        (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
        for (int i = 1; i < argc; i++) {
                struct stat st;

                CHECK_MSG(stat(argv[i], &st) == 0, "cannot find '%s': %s", argv[i], strerror(errno));
                if (S_ISDIR(st.st_mode))
                        run_directory(argv[i]);
                else
                        run_file(argv[i]);
        }
        printf("%lu inputs\n", n_runs);
        /* a corpus that is not found must not look like one that passes */
        return n_runs > 0 ? 0 : 1;
}
