#include "fs/daemon/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Of statx(2), Linux 6.8: numbers that are not used again. */
#define MOUNT_ID_UNIQUE 0x4000

static int look(const char *path, unsigned mask, struct statx *ret_st)
{
        _cleanup_(qmp_closep) int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, ret_st) < 0)
                return -errno;
        return (ret_st->stx_mask & mask) != 0 ? 0 : -EOPNOTSUPP;
}

int mountpoint_get_id(const char *path, uint64_t *ret_id, bool *ret_unique)
{
        struct statx st = { 0 };
        int r = look(path, MOUNT_ID_UNIQUE | STATX_MNT_ID, &st);

        if (r < 0)
                return r;
        *ret_id = st.stx_mnt_id;
        *ret_unique = st.stx_mask & MOUNT_ID_UNIQUE;
        return 0;
}

static bool is_octal(const char *s)
{
        return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

/* Blanks, line breaks, '#' and '\' are "\040" and so on in there. */
static char *unescape(const char *text)
{
        char *result = strdup(text), *to = result;

        for (const char *from = result; result && *from; from++) {
                if (from[0] == '\\' && is_octal(from + 1)) {
                        *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                        from += 3;
                } else {
                        *to++ = *from;
                }
        }
        if (result)
                *to = '\0';
        return result;
}

/* "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw": what is behind "-". */
static int take_apart(char *line, char **ret_type, char **ret_source)
{
        char *rest = strstr(line, " - "), *type, *source;

        if (!rest)
                return -EPROTO;
        rest += 3;
        type = strsep(&rest, " \n");
        source = rest ? strsep(&rest, " \n") : NULL;
        if (!source)
                return -EPROTO;
        type = unescape(type);
        source = unescape(source);
        if (!type || !source) {
                free(type);
                free(source);
                return -ENOMEM;
        }
        *ret_type = type;
        *ret_source = source;
        return 0;
}

int mountpoint_read(FILE *mountinfo, uint64_t id, char **ret_type, char **ret_source)
{
        _cleanup_(qmp_freep) char *line = NULL;
        size_t size = 0;

        errno = 0;
        while (getline(&line, &size, mountinfo) >= 0)
                if (strtoull(line, NULL, 10) == id)
                        return take_apart(line, ret_type, ret_source);
        return errno == ENOMEM ? -ENOMEM : -ENOENT;
}

int mountpoint_find_qmpfs(const char *path, char **ret_source)
{
        _cleanup_(qmp_freep) char *type = NULL, *source = NULL;
        struct statx st = { 0 };
        FILE *mountinfo;
        int r = look(path, STATX_MNT_ID, &st);

        if (r < 0)
                return r;
        /* a directory inside such a mount is as good as any other */
        if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                return -ENOENT;
        mountinfo = fopen("/proc/self/mountinfo", "re");
        if (!mountinfo)
                return -errno;
        r = mountpoint_read(mountinfo, st.stx_mnt_id, &type, &source);
        fclose(mountinfo);
        if (r == 0 && !streq(type, "fuse.qmpfs"))
                r = -ENOENT;
        if (r == 0)
                *ret_source = take_ptr(source);
        return r;
}
