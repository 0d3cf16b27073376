/*
 * Channels of news: what may have changed since somebody looked, for poll(2) and the like.
 */
#ifndef FS_VM_NEWS_H
#define FS_VM_NEWS_H

#include "qmp/util.h"

enum channel {
        CHANNEL_NONE,
        CHANNEL_STATE,      /* the run state may have changed */
        CHANNEL_CONNECTION, /* up, down, stalled, recovered */
        CHANNEL_EVENTS,     /* an event has arrived */
        CHANNEL_ERRORS,     /* a request has failed */
        N_CHANNELS,
};

/* Embedded in what wants to know. */
struct watcher {
        struct list link;
        void (*wake)(struct watcher *watcher); /* may leave, and may free its own watcher, but no other */
};

struct news {
        uint64_t generation; /* grows with each piece of news; never 0 */
        struct list watchers;
};

void news_init(struct news *news);
/* @watcher is initialised, and is in no list or in this one. */
void news_watch(struct news *news, struct watcher *watcher);
/* There is news: wakes all watchers. */
void news_add(struct news *news);

#endif
