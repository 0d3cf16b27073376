#include "qmp/utf8.h"

#include "tests/lib/test.h"

/* Each text is one character, or none. */
static const struct {
        const char *text;
        size_t length;
} characters[] = {
        { "a", 1 },
        { "\x7f", 1 },
        { "\302\200", 2 },
        { "\337\277", 2 },
        { "\340\240\200", 3 },
        { "\355\237\277", 3 },
        { "\356\200\200", 3 },
        { "\357\277\277", 3 },
        { "\360\220\200\200", 4 },
        { "\364\217\277\277", 4 },
        /* alone, cut, too long, surrogates, too high */
        { "\200", 0 },
        { "\302", 0 },
        { "\302a", 0 },
        { "\342\202", 0 },
        { "\360\220\200", 0 },
        { "\300\257", 0 },
        { "\301\277", 0 },
        { "\340\237\277", 0 },
        { "\360\217\277\277", 0 },
        { "\355\240\200", 0 },
        { "\355\277\277", 0 },
        { "\364\220\200\200", 0 },
        { "\365\200\200\200", 0 },
        { "\377", 0 },
};

START_TEST(length_of_a_character)
{
        const char *text = characters[_i].text;

        ck_assert_uint_eq(qmp_utf8_length(text, strlen(text)), characters[_i].length);
        ck_assert_int_eq(qmp_utf8_is_valid(text, strlen(text)), characters[_i].length > 0);
}
END_TEST

START_TEST(text_is_valid_if_all_of_it_is)
{
        ck_assert(qmp_utf8_is_valid("", 0));
        ck_assert(qmp_utf8_is_valid("a\0\303\251", 4));
        ck_assert(!qmp_utf8_is_valid("a\303\251\300\257", 5));
        /* not a byte beyond its size is looked at */
        ck_assert(!qmp_utf8_is_valid("\303\251", 1));
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(length_of_a_character, ARRAY_SIZE(characters)),
                TEST(text_is_valid_if_all_of_it_is),
        };

        return test_main("utf8", tests, ARRAY_SIZE(tests), NULL, NULL);
}
