#include "qmp/number.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/lib/test.h"

/* Each way in which somebody may write a number: what it is, or a part of why it is refused. */
static const struct {
        const char *text, *value, *why;
} integers[] = {
        { "0", "0", NULL },
        { "-0", "0", NULL },
        { "7", "7", NULL },
        { "-1", "-1", NULL },
        { "9223372036854775808", "9223372036854775808", NULL },
        { "18446744073709551615", "18446744073709551615", NULL },
        { "-9223372036854775808", "-9223372036854775808", NULL },
        { "0x0", "0", NULL },
        { "0x10", "16", NULL },
        { "0X10", "16", NULL },
        { "0XfF", "255", NULL },
        { "0x010", "16", NULL },
        { "-0x10", "-16", NULL },
        { "0xffffffffffffffff", "18446744073709551615", NULL },
        /* hexadecimal digits, never suffixes */
        { "0x1B", "27", NULL },
        { "0x1E", "30", NULL },
        { "1B", "1", NULL },
        { "1k", "1024", NULL },
        { "1K", "1024", NULL },
        { "3M", "3145728", NULL },
        { "3m", "3145728", NULL },
        { "1G", "1073741824", NULL },
        { "1g", "1073741824", NULL },
        { "1T", "1099511627776", NULL },
        { "1t", "1099511627776", NULL },
        { "1P", "1125899906842624", NULL },
        { "1p", "1125899906842624", NULL },
        { "1E", "1152921504606846976", NULL },
        { "0.5k", "512", NULL },
        { "1.0k", "1024", NULL },
        { "1.5k", "1536", NULL },
        { "1.5G", "1610612736", NULL },
        { "1.25E", "1441151880758558720", NULL },
        { "0.0009765625k", "1", NULL },
        { "15E", "17293822569102704640", NULL },
        { "18014398509481983k", "18446744073709550592", NULL },

        /* to qemu-img '+' and '-' mean "add" and "subtract" */
        { "+64M", NULL, "a '+' sign" },
        { "+7", NULL, "a '+' sign" },
        { "+0x10", NULL, "a '+' sign" },
        { "+-1", NULL, "a '+' sign" },
        { "+", NULL, "a '+' sign" },
        { "-64M", NULL, "a negative number takes neither" },
        { "-1k", NULL, "a negative number takes neither" },
        { "-1.5", NULL, "a negative number takes neither" },
        { "-1.5k", NULL, "a negative number takes neither" },
        /* octal to C, the shell, and QEMU's command line */
        { "064", NULL, "a leading 0" },
        { "00", NULL, "a leading 0" },
        { "-064", NULL, "a leading 0" },
        { "064M", NULL, "a leading 0" },
        { "00.5k", NULL, "a leading 0" },
        { "0o64", NULL, "its digits are followed by something other" },
        { "0b1", NULL, "its digits are followed by something other" },
        /* powers of 1000 to some, of 1024 to others */
        { "64MB", NULL, "its digits are followed by something other" },
        { "64MiB", NULL, "its digits are followed by something other" },
        { "1kB", NULL, "its digits are followed by something other" },
        { "1kk", NULL, "its digits are followed by something other" },
        /* half an exponent; blocks; bits */
        { "1e", NULL, "its digits are followed by something other" },
        { "1e3", NULL, "its digits are followed by something other" },
        { "1E3", NULL, "its digits are followed by something other" },
        { "64b", NULL, "its digits are followed by something other" },
        { "1Z", NULL, "its digits are followed by something other" },
        { "1s", NULL, "its digits are followed by something other" },
        { "1_000", NULL, "its digits are followed by something other" },
        { "1,000", NULL, "its digits are followed by something other" },
        { "1'000", NULL, "its digits are followed by something other" },
        { "1 000", NULL, "its digits are followed by something other" },
        { "64 M", NULL, "its digits are followed by something other" },
        { "64M ", NULL, "its digits are followed by something other" },
        { "64\n", NULL, "its digits are followed by something other" },
        { "1\302\240000", NULL, "its digits are followed by something other" },
        { "10%", NULL, "its digits are followed by something other" },
        { "1-2", NULL, "its digits are followed by something other" },
        { "1+2", NULL, "its digits are followed by something other" },
        { "1:30", NULL, "its digits are followed by something other" },
        { "1.5.5k", NULL, "its digits are followed by something other" },
        { "1.5kB", NULL, "its digits are followed by something other" },
        { " 64M", NULL, "does not begin with a digit" },
        { "\t1", NULL, "does not begin with a digit" },
        { "- 1", NULL, "does not begin with a digit" },
        { "--1", NULL, "does not begin with a digit" },
        { "-+1", NULL, "does not begin with a digit" },
        { "-", NULL, "does not begin with a digit" },
        { "k", NULL, "does not begin with a digit" },
        { ".5k", NULL, "does not begin with a digit" },
        { "x", NULL, "does not begin with a digit" },
        { "$10", NULL, "does not begin with a digit" },
        { "\302\262", NULL, "does not begin with a digit" },
        { "\357\274\221", NULL, "does not begin with a digit" },
        { "inf", NULL, "does not begin with a digit" },
        { "", NULL, "it is empty" },
        { "0x", NULL, "no hexadecimal digit" },
        { "0xg", NULL, "no hexadecimal digit" },
        { "0x-1", NULL, "no hexadecimal digit" },
        { "0x+1", NULL, "no hexadecimal digit" },
        { "0x 1", NULL, "no hexadecimal digit" },
        { "0x0x1", NULL, "not all characters after 0x are hexadecimal digits" },
        { "0x10k", NULL, "not all characters after 0x are hexadecimal digits" },
        { "0x1.8", NULL, "not all characters after 0x are hexadecimal digits" },
        { "0x10h", NULL, "not all characters after 0x are hexadecimal digits" },
        /* nothing is rounded */
        { "1.5", NULL, "a fraction is not accepted" },
        { "1.0", NULL, "a fraction is not accepted" },
        { "1.5B", NULL, "a fraction is not accepted" },
        { "1.", NULL, "no digit after the decimal point" },
        { "1.k", NULL, "no digit after the decimal point" },
        { "1..5k", NULL, "no digit after the decimal point" },
        { "1.0000001k", NULL, "its value is not an integer" },
        { "0.0001k", NULL, "its value is not an integer" },
        { "1.1G", NULL, "its value is not an integer" },
        { "0.1234567890123456789k", NULL, "too many digits" },
        { "18446744073709551616", NULL, "out of range" },
        { "99999999999999999999999", NULL, "out of range" },
        { "0x10000000000000000", NULL, "out of range" },
        { "16E", NULL, "out of range" },
        { "15.9999999999999999E", NULL, "not an integer" },
        { "18014398509481984k", NULL, "out of range" },
        { "-9223372036854775809", NULL, "out of range" },
        { "-18446744073709551615", NULL, "out of range" },
};

START_TEST(integer)
{
        struct qmp_integer i = { true, 12345 };
        const char *why = qmp_number_integer(integers[_i].text, &i);
        char value[32];

        if (integers[_i].why) {
                ck_assert_msg(why != NULL, "'%s' is %" PRIu64, integers[_i].text, i.magnitude);
                ck_assert_contains(why, integers[_i].why);
                ck_assert(i.negative && i.magnitude == 12345);
        } else {
                ck_assert_msg(!why, "'%s': %s", integers[_i].text, why);
                snprintf(value, sizeof(value), "%s%" PRIu64, i.negative ? "-" : "", i.magnitude);
                ck_assert_str_eq(value, integers[_i].value);
        }
}
END_TEST

static const struct {
        const char *text;
        double decimal; /* -1: it is not one */
        double json;    /* -1.25: it is not one */
} numbers[] = {
        { "0", 0, 0 },          { "0.5", 0.5, 0.5 },    { "60", 60, 60 },     { "1000000", 1e6, 1e6 },
        { "-1", -1, -1 },       { "-0.5", -1, -0.5 },   { "1e3", -1, 1000 },  { "1E-2", -1, 0.01 },
        { "1.5e+1", -1, 15 },   { "1e999", -1, -1.25 }, { "", -1, -1.25 },    { "+1", -1, -1.25 },
        { "05", -1, -1.25 },    { "00", -1, -1.25 },    { ".5", -1, -1.25 },  { "5.", -1, -1.25 },
        { "5.e1", -1, -1.25 },  { "1.2.3", -1, -1.25 }, { "1,5", -1, -1.25 }, { "1e", -1, -1.25 },
        { "1s", -1, -1.25 },    { " 1", -1, -1.25 },    { "1 ", -1, -1.25 },  { "0x10", -1, -1.25 },
        { "1_000", -1, -1.25 }, { "inf", -1, -1.25 },   { "nan", -1, -1.25 }, { "-", -1, -1.25 },
};

START_TEST(decimal_and_json)
{
        double decimal = -1, json = -1.25;
        const char *why = qmp_number_decimal(numbers[_i].text, &decimal);

        ck_assert_msg(decimal == numbers[_i].decimal, "%s: %g", numbers[_i].text, decimal);
        ck_assert_int_eq(!why, decimal >= 0);
        why = qmp_number_json(numbers[_i].text, &json);
        ck_assert_msg(json == numbers[_i].json, "%s: %g", numbers[_i].text, json);
        ck_assert_int_eq(!why, json != -1.25);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(integer, ARRAY_SIZE(integers)),
                TEST_EACH(decimal_and_json, ARRAY_SIZE(numbers)),
        };

        return test_main("number", tests, ARRAY_SIZE(tests), NULL, NULL);
}
