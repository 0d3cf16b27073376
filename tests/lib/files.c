#include "tests/lib/files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/check.h"

static char *directory;
static pid_t directory_owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static void remove_directory(void)
{
        if (directory_owner == getpid())
                nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(take_ptr(directory));
}

static char *paths[64];
static size_t n_paths;

static void free_paths(void)
{
        while (n_paths > 0)
                free(paths[--n_paths]);
}

const char *test_path(const char *name)
{
        if (!directory) {
                const char *tmp = getenv("TMPDIR");

                CHECK(asprintf(&directory, "%s/qmpfs-test-XXXXXX", tmp ? tmp : "/tmp") > 0);
                CHECK(mkdtemp(directory));
                directory_owner = getpid();
                atexit(remove_directory);
                atexit(free_paths);
        }
        CHECK(n_paths < ARRAY_SIZE(paths));
        CHECK(asprintf(&paths[n_paths], "%s/%s", directory, name) > 0);
        return paths[n_paths++];
}

char *test_data(const char *name, size_t *ret_size)
{
        _cleanup_(qmp_freep) char *path = NULL;
        struct stat st;
        char *bytes;
        FILE *f;

        CHECK(asprintf(&path, "%s/%s", TEST_DATA, name) > 0);
        f = fopen(path, "re");
        CHECK_MSG(f && fstat(fileno(f), &st) == 0, "cannot open '%s': %s", path, strerror(errno));
        bytes = calloc(1, (size_t)st.st_size + 1);
        CHECK(bytes);
        CHECK(fread(bytes, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
        fclose(f);
        if (ret_size)
                *ret_size = (size_t)st.st_size;
        return bytes;
}
