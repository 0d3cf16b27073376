/*
 * Which paths of QEMU's object model have led to nothing since when: a device that comes back under its path is
 * another one. A path is noted when its object is deleted, and remembered, since what was looked up before may be
 * used at any time later. Pure.
 */
#ifndef FS_GONE_H
#define FS_GONE_H

#include "qmp/util.h"

/* Beyond so many, or so many bytes of them, all paths count as gone, and what is known starts again. */
#define GONE_MAX       1000
#define GONE_MAX_BYTES (256 * 1024)

struct gone {
        struct json_object *paths; /* {path: epoch}; NULL: none */
        size_t bytes;
        uint64_t all; /* the epoch since when everything is another; 0: never */
};

/* The object at @path ended in this @epoch, which is not 0; NULL: all of them did. Without memory all are taken to
 * have. */
void gone_note(struct gone *gone, const char *path, uint64_t epoch);

/* The last epoch in which the object at @path ended, by itself or with all; 0: never. NULL: all of them. What was
 * known before that epoch is of another object. */
uint64_t gone_since(const struct gone *gone, const char *path);

void gone_deinit(struct gone *gone);

#endif
