#include "fs/util/wait.h"

#include <errno.h>

#include "qmp/number.h"

int wait_parse(const char *word, struct wait *ret_wait)
{
        const char *number = startswith(word, "timeout=");
        double seconds;

        if (streq(word, "nowait")) {
                *ret_wait = (struct wait){ .nowait = true };
                return 0;
        }
        /* less than a nanosecond would be no limit at all */
        if (!number || qmp_number_decimal(number, &seconds) || seconds < 1e-9 || seconds > 1e6)
                return -EINVAL;
        *ret_wait = (struct wait){ .limit_ns = (uint64_t)(seconds * NSEC_PER_SEC) };
        return 0;
}
