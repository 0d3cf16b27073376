/*
 * Which events a reader wants: "DEVICE_DELETED RESET device=vd0 info.slot-type=DIMM {"a":{"b":1}} timeout=60". Pure.
 *
 * Words in capitals are event names, any of which will do (none: all). All other conditions must hold: KEY=VALUE for a
 * member of the event's data, with dots for members of members, compared as text; a JSON object as a part of the data,
 * recursively (QEMUMachine's event_match()).
 */
#ifndef FS_EVENT_FILTER_H
#define FS_EVENT_FILTER_H

#include "qmp/util.h"

struct event_filter {
        char **names;
        size_t n_names;
        struct condition {
                char *key, *value;
        } * conditions;
        size_t n_conditions;
        struct json_object *parts; /* an array, or NULL */
        uint64_t limit_ns;         /* how long a read waits; 0: for ever */
};

/* 0, -EINVAL (with the caller's *ret_why), or -ENOMEM. */
int event_filter_parse(const char *line, struct event_filter *ret_filter, char **ret_why);
void event_filter_deinit(struct event_filter *filter);

/* @event: the whole QMP event. 1: yes, 0: no, or -ENOMEM. */
int event_filter_matches(const struct event_filter *filter, struct json_object *event);

#endif
