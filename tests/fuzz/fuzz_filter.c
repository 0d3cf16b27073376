/*
 * The filter of an event stream, and QEMU's events.
 *
 * Input: a line for the filter, then the event.
 */
#include <errno.h>

#include "fs/util/event_filter.h"
#include "fs/util/wait.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };
        char *line = input_until(&input, '\n', NULL), *why;
        struct event_filter filter, nothing;
        struct json_object *event;
        struct wait wait;
        int r = event_filter_parse(line, &filter, &why);

        CHECK(r == 0 || r == -EINVAL);
        if (r < 0) {
                CHECK(why && *why);
                free(why);
        } else if (parse_json((const char *)input.data, input.size, &event)) {
                bool matches = event_filter_matches(&filter, event);

                CHECK(event_filter_matches(&filter, event) == matches);
                CHECK(matches || filter.n_names > 0 || filter.n_conditions > 0 || filter.parts);
                CHECK(event_filter_parse("", &nothing, &why) == 0);
                CHECK(event_filter_matches(&nothing, event));
                event_filter_deinit(&nothing);
                json_object_put(event);
        }
        if (r == 0) {
                CHECK(filter.limit_ns <= UINT64_C(1000000) * NSEC_PER_SEC);
                event_filter_deinit(&filter);
                event_filter_deinit(&filter);
        }
        if (wait_parse(line, &wait) == 0)
                CHECK(wait.nowait != (wait.limit_ns > 0));
        free(line);
        return 0;
}
