/*
 * One fault at every byte of the first kilobyte that QEMU sends, the greeting and the negotiation included: for a plain VM,
 * and for the begin of every recorded conversation.
 */
#include "tests/lib/conversation.h"
#include "tests/lib/test.h"

#define KILOBYTE 1024
/* Of the recorded conversations' cases the continuous integration tries one of so many. */
#define STRIDE 151
#define LEAST  425000

static char **names;
static size_t n_names;

static const struct op ops[] = {
        { .verb = OP_CAT, .path = "status" },
        { .verb = OP_CAT, .path = "name" },
        { .verb = OP_LS, .path = "block" },
        { .verb = OP_CAT, .path = "cpus/1/props/core-id" },
};

static const struct scenario plain = { .name = "plain", .ops = ops, .n_ops = ARRAY_SIZE(ops) };

static void try_at(size_t at, bool is_plain)
{
        for (size_t i = 0; i < n_fault_byte_kinds; i++) {
                struct fault fault = { .kind = &fault_byte_kinds[i], .where = AT_BYTE, .at = at };

                if (is_plain ? faults_try_one_of(fault.kind->end[FAULT_REPLY] == DEPENDS ? 4 : 1) : faults_try())
                        faults_case(&fault);
        }
}

/* Of a plain VM nearly all are tried, in pieces that take a second or two. */
#define PIECE 128
START_TEST(any_fault_at_each_byte_of_a_plain_vm)
{
        faults_up(&plain);
        ck_assert_uint_ge(faults_n_bytes(), KILOBYTE);
        for (size_t at = (size_t)_i * PIECE; at < ((size_t)_i + 1) * PIECE; at++)
                try_at(at, true);
        faults_down();
}
END_TEST

START_TEST(any_fault_at_each_byte_of_a_conversation)
{
        struct conversation *conversation = conversation_load(names[_i]);
        size_t done = 0;

        /* the handshake once, then what follows it, in whichever part */
        for (size_t part = 0; part < conversation_n_parts(conversation) && done < KILOBYTE; part++) {
                faults_up(conversation_part(conversation, part));
                for (size_t at = part ? faults_n_handshake_bytes() : 0; at < faults_n_bytes() && done < KILOBYTE;
                     at++, done++)
                        try_at(at, false);
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
                        TEST_EACH(any_fault_at_each_byte_of_a_plain_vm, KILOBYTE / PIECE),
                        TEST_EACH(any_fault_at_each_byte_of_a_conversation, n_names),
                };

                r = test_main("faults_bytes", tests, ARRAY_SIZE(tests), NULL, NULL);
        }
        if (!faults_end(LEAST))
                r = EXIT_FAILURE;
        conversations_free(names, n_names);
        return r;
}
