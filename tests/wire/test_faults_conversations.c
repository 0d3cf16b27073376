/*
 * Every recorded conversation with a QEMU, played to the whole daemon, with one fault at each message: whatever comes or
 * does not come in its place, each operation ends as it must and says why, and the next connection works.
 */
#include "tests/lib/conversation.h"
#include "tests/lib/test.h"

/* Of the cases that there are the continuous integration tries one of so many. */
#define STRIDE 10
/* What there must be at least: every recorded message with every fault, and the handshakes. */
#define LEAST 58000

static char **names;
static size_t n_names;

START_TEST(any_fault_at_each_message)
{
        struct conversation *conversation = conversation_load(names[_i]);

        for (size_t part = 0; part < conversation_n_parts(conversation); part++) {
                faults_up(conversation_part(conversation, part));
                ck_assert(conversation_is_played());
                ck_assert_uint_ge(faults_n_messages(), conversation_n_messages(conversation, part));
                if (part == 0)
                        faults_try_all(AT_HANDSHAKE, FAULTS_HANDSHAKE);
                faults_try_all(AT_MESSAGE, faults_n_messages());
                faults_down();
        }
        conversation_free(conversation);
}
END_TEST

int main(void)
{
        int r;

        names = conversations_list(&n_names);
        faults_begin(STRIDE);
        {
                const struct test tests[] = {
                        TEST_EACH(any_fault_at_each_message, n_names),
                };

                r = test_main("faults_conversations", tests, ARRAY_SIZE(tests), NULL, NULL);
        }
        if (!faults_end(LEAST))
                r = EXIT_FAILURE;
        conversations_free(names, n_names);
        return r;
}
