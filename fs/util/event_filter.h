/*
 * Selects the events for a reader: "DEVICE_DELETED RESET device=vd0 info.slot-type=DIMM {"a":{"b":1}} timeout=60".
 * Pure.
 *
 * Words in capitals are event names, of which one must match (without names, all events match). All other conditions
 * must hold. KEY=VALUE compares a member of the event's data as text; dots separate nested members. A JSON object
 * must be contained in the data, recursively (event_match() of QEMUMachine).
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
        uint64_t limit_ns;         /* time limit of a read; 0: none */
};

/* 0, -EINVAL (with the reason in *ret_why, owned by the caller), or -ENOMEM. */
int event_filter_parse(const char *line, struct event_filter *ret_filter, char **ret_why);
void event_filter_deinit(struct event_filter *filter);

/* Whether the filter matches @event, the complete QMP event. 1: yes, 0: no, or -ENOMEM. */
int event_filter_matches(const struct event_filter *filter, struct json_object *event);

#endif
