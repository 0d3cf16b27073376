#include "fs/util/gone.h"

void gone_deinit(struct gone *gone)
{
        json_object_put(gone->paths);
        *gone = (struct gone){ 0 };
}

static bool add(struct gone *gone, const char *path, uint64_t epoch)
{
        struct json_object *when;

        if (!gone->paths)
                gone->paths = json_object_new_object();
        if (!gone->paths)
                return false;
        if (!json_object_object_get_ex(gone->paths, path, NULL))
                gone->bytes += strlen(path);
        if (gone->bytes > GONE_MAX_BYTES)
                return false;
        when = json_object_new_uint64(epoch);
        if (!when || json_object_object_add(gone->paths, path, when) < 0) {
                json_object_put(when);
                return false;
        }
        return json_object_object_length(gone->paths) <= GONE_MAX;
}

void gone_note(struct gone *gone, const char *path, uint64_t epoch)
{
        if (path && add(gone, path, epoch))
                return;
        gone_deinit(gone);
        gone->all = epoch;
}

uint64_t gone_since(const struct gone *gone, const char *path)
{
        struct json_object *when;

        if (!path || !json_object_object_get_ex(gone->paths, path, &when))
                return gone->all;
        return json_object_get_uint64(when);
}
