#include "fs/util/qdev.h"

#include <stdio.h>

/* The rest of the path after "CONTAINER/"; NULL: the path isn't below it. */
static const char *below(const char *path, const char *container)
{
        const char *rest = startswith(path, container);

        return rest && *rest == '/' ? rest + 1 : NULL;
}

bool qdev_id_is_usable(const char *id)
{
        return *id && !strchr(id, '/') && strlen(id) <= QDEV_ID_MAX;
}

char *qdev_path(const char *qdev)
{
        char *path;

        if (*qdev == '/')
                return strdup(qdev);
        return asprintf(&path, QDEV_PERIPHERAL "/%s", qdev) < 0 ? NULL : path;
}

char *qdev_target(const char *qdev)
{
        char *path = qdev_path(qdev);
        const char *rest;
        char *slash;

        if (!path || *qdev != '/')
                return path;
        rest = below(path, QDEV_PERIPHERAL);
        if (!rest)
                rest = below(path, QDEV_PERIPHERAL_ANON);
        slash = rest ? strchr(rest, '/') : NULL;
        if (slash)
                *slash = '\0';
        return path;
}

bool qdev_is_pluggable(const char *path)
{
        return below(path, QDEV_PERIPHERAL) || below(path, QDEV_PERIPHERAL_ANON);
}

const char *qdev_id(const char *path)
{
        return below(path, QDEV_PERIPHERAL);
}

const char *qdev_last(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}
