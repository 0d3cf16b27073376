#include "qmp/number.h"

#include <ctype.h>
#include <errno.h>

#define DIGITS "0123456789"

static const char out_of_range[] = "it is out of range";

/* Checks the text up to the first digits. @s: the position after the sign. Returns NULL or the error. */
static const char *check_start(const char *text, const char *s)
{
        if (*text == '+')
                return "a '+' sign is not accepted, since some programs read it as \"add\"";
        if (!*text)
                return "it is empty";
        if (!isdigit((unsigned char)*s))
                return "it does not begin with a digit";
        if (s[0] == '0' && isdigit((unsigned char)s[1]))
                return "a leading 0 is not accepted, since some programs read it as octal; 0x… is hexadecimal";
        return NULL;
}

/* Parses the digits at *at, and advances *at past them. */
static const char *parse_digits(const char **at, int base, uint64_t *ret_value)
{
        unsigned long long value;
        char *end;

        errno = 0;
        value = strtoull(*at, &end, base);
        if (errno == ERANGE)
                return out_of_range;
        *at = end;
        *ret_value = value;
        return NULL;
}

/* Parses the fraction and the suffix, and applies them to @whole. */
static const char *scale(uint64_t whole, const char *fraction, uint64_t *ret_value)
{
        static const char suffixes[] = "BKMGTPE";
        unsigned __int128 part = 0, ten = 1, value;
        const char *s = fraction, *suffix;
        unsigned shift;

        for (; isdigit((unsigned char)*s); s++) {
                if (ten >= UINT64_C(1000000000000000000))
                        return "it has too many digits after the decimal point";
                part = part * 10 + (unsigned)(*s - '0');
                ten *= 10;
        }
        suffix = *s ? strchr(suffixes, toupper((unsigned char)*s)) : NULL;
        /* "1e" may be the start of 1e3, and "64b" is 64 blocks to dd and find */
        if (*s == 'e' || *s == 'b')
                suffix = NULL;
        if (*s && (!suffix || s[1]))
                return "its digits are followed by something other than one of the suffixes k, M, G, T, P, E "
                       "(powers of 1024)";
        shift = suffix ? 10 * (unsigned)(suffix - suffixes) : 0;
        if (s > fraction && shift == 0)
                return "a fraction is not accepted without one of the suffixes k, M, G, T, P, E";
        if ((part << shift) % ten != 0)
                return "its value is not an integer";
        value = ((unsigned __int128)whole << shift) + (part << shift) / ten;
        if (value > UINT64_MAX)
                return out_of_range;
        *ret_value = (uint64_t)value;
        return NULL;
}

const char *qmp_number_integer(const char *text, struct qmp_integer *ret_integer)
{
        bool negative = *text == '-';
        const char *s = text + negative, *why = check_start(text, s);
        bool hex = !why && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
        uint64_t value = 0;

        if (why)
                return why;
        s += hex ? 2 : 0;
        if (hex && !isxdigit((unsigned char)*s))
                return "there is no hexadecimal digit after 0x";
        /* strtoull() would accept another 0x */
        if (hex && s[strspn(s, DIGITS "abcdefABCDEF")])
                return "not all characters after 0x are hexadecimal digits";
        why = parse_digits(&s, hex ? 16 : 10, &value);
        if (why)
                return why;
        if (negative && *s)
                return "a negative number takes neither a fraction nor a suffix";
        if (s[0] == '.' && !isdigit((unsigned char)s[1]))
                return "there is no digit after the decimal point";
        if (*s)
                why = scale(value, s + (*s == '.'), &value);
        if (why)
                return why;
        if (negative && value > (uint64_t)INT64_MAX + 1)
                return out_of_range;
        *ret_integer = (struct qmp_integer){ negative && value > 0, value };
        return NULL;
}

const char *qmp_number_decimal(const char *text, double *ret_number)
{
        const char *why = check_start(text, text), *s = text + strspn(text, DIGITS);

        if (why)
                return why;
        if (*s == '.' && !isdigit((unsigned char)s[1]))
                return "there is no digit after the decimal point";
        s += *s == '.' ? 1 + strspn(s + 1, DIGITS) : 0;
        if (*s)
                return "it ends with something other than a digit";
        *ret_number = strtod(text, NULL);
        return NULL;
}

const char *qmp_number_json(const char *text, double *ret_number)
{
        const char *s = text + (*text == '-'), *why = check_start(text, s);
        double number;
        size_t n;

        if (why)
                return why;
        s += strspn(s, DIGITS);
        if (*s == '.') {
                n = strspn(++s, DIGITS);
                if (n == 0)
                        return "there is no digit after the decimal point";
                s += n;
        }
        if (*s == 'e' || *s == 'E') {
                s += 1 + (s[1] == '-' || s[1] == '+');
                n = strspn(s, DIGITS);
                if (n == 0)
                        return "there is no digit in its exponent";
                s += n;
        }
        if (*s)
                return "it is not a JSON number";
        number = strtod(text, NULL);
        if (number - number != 0)
                return out_of_range;
        *ret_number = number;
        return NULL;
}
