#include "wait.h"

#include <ctype.h>
#include <errno.h>

int wait_parse(const char *word, struct wait *ret_wait)
{
        const char *number = startswith(word, "timeout=");
        double seconds;
        char *end;

        if (streq(word, "nowait")) {
                *ret_wait = (struct wait){ .nowait = true };
                return 0;
        }
        /* strtod() would take blanks, signs, "inf" and hexadecimal numbers */
        if (!number || number[strspn(number, "0123456789.")] != '\0' || !isdigit((unsigned char)*number))
                return -EINVAL;
        seconds = strtod(number, &end);
        /* less than a nanosecond would be no limit at all */
        if (*end || seconds < 1e-9 || seconds > 1e6)
                return -EINVAL;
        *ret_wait = (struct wait){ .limit_ns = (uint64_t)(seconds * NSEC_PER_SEC) };
        return 0;
}
