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

/* Of the path, which is the part up to the whole device. */
static size_t target_size(const char *path)
{
        const char *rest = below(path, QDEV_PERIPHERAL);

        if (!rest)
                rest = below(path, QDEV_PERIPHERAL_ANON);
        return rest ? (size_t)(rest - path) + strcspn(rest, "/") : strlen(path);
}

char *qdev_target(const char *qdev)
{
        return *qdev == '/' ? strndup(qdev, target_size(qdev)) : qdev_path(qdev);
}

const char *qdev_target_name(const char *path, size_t *ret_size)
{
        size_t size = target_size(path);
        const char *slash = memrchr(path, '/', size), *name = slash ? slash + 1 : path;

        *ret_size = size - (size_t)(name - path);
        return name;
}

bool qdev_is_pluggable(const char *path)
{
        return below(path, QDEV_PERIPHERAL) || below(path, QDEV_PERIPHERAL_ANON);
}

const char *qdev_id(const char *path)
{
        return below(path, QDEV_PERIPHERAL);
}
