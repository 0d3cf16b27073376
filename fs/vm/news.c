#include "fs/vm/news.h"

void news_init(struct news *news)
{
        news->generation = 1;
        list_init(&news->watchers);
}

void news_watch(struct news *news, struct watcher *watcher)
{
        list_unlink(&watcher->link);
        list_append(&news->watchers, &watcher->link);
}

void news_add(struct news *news)
{
        news->generation++;
        list_for_each_safe(i, &news->watchers) {
                struct watcher *watcher = list_entry(i, struct watcher, link);

                watcher->wake(watcher);
        }
}
