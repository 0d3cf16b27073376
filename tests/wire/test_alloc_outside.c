/*
 * Memory that runs out outside of the tree's operations (those are in test_alloc.c): mounting, timers, what libfuse and json-c
 * make of it.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/wire/shortage.h"
#include "fs/tree/tree.h"
#include "qmp/jsonc.h"
#include "tests/lib/pluggable_vm.h"
#include "tests/lib/test.h"

/* As the daemon starts. */
START_TEST(mounting_without_memory_fails)
{
        struct peer_options options = { .timeout_ns = SEC, .max_load = 10 };
        struct session_options session_options = { .root = &tree_root };
        bool refused_any = true;

        for (unsigned long k = 1; refused_any; k++) {
                char *argv[] = { (char *)(uintptr_t) "qmpfs", NULL };
                struct fuse_args args = FUSE_ARGS_INIT(1, argv);
                struct session *session = NULL;
                struct qmp_loop *loop = NULL;
                struct context context;
                struct vm *made = NULL;
                int r;

                shortage.n = shortage.refused = 0;
                shortage.at = k;
                shortage.turns = 1;
                shortage.armed = true;
                r = qmp_loop_new(&loop);
                if (r == 0)
                        context_init(&context, loop);
                if (r == 0)
                        r = vm_new(&context, "/run/vm.sock", &options, &made);
                if (r == 0)
                        r = session_new(&context, made, &args, &session_options, &session);
                shortage.armed = false;
                shortage.turns = 0;
                refused_any = shortage.refused > 0;
                /* EINVAL: libfuse does not tell why */
                ck_assert_msg(r == (refused_any ? -ENOMEM : 0) || (refused_any && r == -EINVAL), "%lu: %s", k,
                              strerrorname_np(-r));
                fuse_opt_free_args(&args);
                session_free(session);
                vm_free(made);
                qmp_loop_free(loop);
        }
}
END_TEST

static void fired(struct qmp_timer *timer)
{
        timer->deadline = 0;
}

/* Reconnecting, ending a removal, letting go of what is old: what depends on a timer would never happen. */
START_TEST(timers_need_no_memory)
{
        struct qmp_timer timers[1000];
        struct qmp_loop *loop;

        test_time_virtual();
        CHECK(qmp_loop_new(&loop) == 0);
        shortage.at = 1;
        shortage.all = true;
        shortage.armed = true;
        for (size_t i = 0; i < ARRAY_SIZE(timers); i++) {
                shortage.turns = 1;
                timers[i] = (struct qmp_timer){ .fire = fired };
                qmp_timer_arm(loop, &timers[i], qmp_now() + (i * 7919 % 1000 + 1) * MS);
                shortage.turns = 0;
        }
        PUMP_FOR(loop, 2 * SEC);
        shortage.armed = false;
        for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
                CHECK(timers[i].deadline == 0);
        qmp_loop_free(loop);
        test_time_real();
}
END_TEST

/* It has no memory for the request, says so to a kernel that pays no heed, and calls nobody. */
START_TEST(what_libfuse_loses)
{
        struct fuse_release_in in;
        struct k_file file;

        pluggable_up();
        file = rig_must_open("status", O_RDONLY);
        in = (struct fuse_release_in){ .fh = file.fh };
        shortage.all = kernel.no_memory = shortage.armed = true;
        shortage.n = 0;
        shortage.at = 1;
        CHECK(k_wait_error(k_send(FUSE_RELEASE, file.node, &in, sizeof(in), NULL, 0)) == -ENOMEM);
        k_forget(file.node, 1);
        SETTLE();
        shortage.armed = false;
        CHECK(rig.session->inodes.n == 1);
        CHECK(file_find(rig.session, file.fh) != NULL);
        /* it takes nothing else with it: both can still be done, though no kernel would */
        k_forget(file.node, 1);
        k_drop_all();
        SETTLE();
        CHECK(rig.session->inodes.n == 0);
        rig_down();
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
static void limit_memory(rlim_t more)
{
        struct rlimit limit;
        unsigned long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");

        CHECK(f && fscanf(f, "%lu", &pages) == 1);
        fclose(f);
        CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
        limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

/*
 * Not refused one by one, but for real: QEMU sends an object for which there is no memory. json-c would have left out what it
 * had no memory for, or dereferenced NULL.
 */
START_TEST(a_message_beyond_the_limit_of_memory_is_no_answer)
{
        size_t n = 200000, size = 0;
        char *big = malloc(n * 48), *text = NULL;
        struct k_file file;
        uint64_t read;
        int r;

        CHECK(big);
        for (size_t i = 0; i < n; i++)
                size += (size_t)sprintf(big + size, "%c\"a key of about thirty bytes %zu\":0", i > 0 ? ',' : '{', i);
        strcpy(big + size, "}");
        pluggable_up();
        file = rig_must_open_and_read("status", O_RDONLY);
        fake_on_nothing(rig.fake, "query-status");
        read = k_send_read(&file, 0, 65536);
        SETTLE();
        fake_return(rig.fake, rig_last("query-status"), big);
        fake_on(rig.fake, "query-status", "{\"status\": \"running\", \"running\": true}");
        limit_memory(48 << 20);
        r = k_wait_error(read);
        ck_assert_msg(r == -ETIMEDOUT || r == -EHOSTDOWN, "%s", strerrorname_np(-r));
        PUMP(rig.loop, !rig.vm->peer.up);
        limit_memory(RLIM_INFINITY);
        ASSERT_OK(rig_cat("connection", &text));
        ck_assert_contains(text, "out of memory for a message");
        free(text);
        PUMP(rig.loop, rig.vm->peer.up);
        ASSERT_CAT("name", "vm1\n");
        free(big);
        rig_down();
}
END_TEST
#endif

/* --- json-c ------------------------------------------------------------------------------------------------------ */

enum outcome { TOLD = 10, RIGHT, WRONG, NOT_REACHED };

static const char sample[] =
        "{\"return\": [{\"a key that is longer than forty bytes, which is the first buffer\": \"a text that is "
        "longer "
        "than forty bytes, which is the first buffer\", \"b\": 1}, {\"c\": [1, 2.5, true, null], \"d\": "
        "18446744073709551615, \"e\": {}, \"f\": 1, \"g\": 2, \"h\": 3, \"i\": 4, \"j\": 5, \"k\": 6, \"l\": 7, "
        "\"m\": 8, \"n\": 9, \"o\": 10, \"p\": 11, \"q\": 12, \"r\": 13, \"s\": 14, \"t\": 15, \"u\": 16}]}";

static enum outcome parse_sample(struct json_object *expected, bool reserved)
{
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *value;

        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        if (reserved)
                CHECK(qmp_json_reserve(tokener, sizeof(sample), 0) == 0);
        shortage.armed = true;
        value = __real_json_tokener_parse_ex(tokener, sample, sizeof(sample) - 1);
        shortage.armed = false;
        if (!value || json_tokener_get_parse_end(tokener) != sizeof(sample) - 1)
                return TOLD;
        return json_object_equal(value, expected) ? RIGHT : WRONG;
}

static enum outcome print_sample(struct json_object *expected, bool reserved)
{
        _cleanup_(qmp_freep) char *text = strdup(json_object_to_json_string_ext(expected, JSON_C_TO_STRING_PRETTY));
        struct json_object *again = json_tokener_parse(sample);
        const char *said = NULL;
        size_t size;

        shortage.armed = true;
        if (!reserved)
                said = json_object_to_json_string_length(again, JSON_C_TO_STRING_PRETTY, &size);
        else if (qmp_json_text(again, JSON_C_TO_STRING_PRETTY, &said, &size) < 0)
                said = NULL;
        shortage.armed = false;
        return !said ? TOLD : streq(said, text) ? RIGHT : WRONG;
}

static enum outcome add_sample(struct json_object *expected, bool reserved)
{
        struct json_object *object = json_object_new_object();
        int r;

        (void)expected;
        (void)reserved;
        shortage.armed = true;
        r = json_object_object_add(object, "key", NULL);
        shortage.armed = false;
        return r < 0 ? TOLD : json_object_object_get_ex(object, "key", NULL) ? RIGHT : WRONG;
}

/* Refuses the @k-th allocation in a process of its own. What ASan or a signal ends has crashed. */
static int try(enum outcome (*fn)(struct json_object *, bool), struct json_object *expected, bool reserved,
               unsigned long k)
{
        enum outcome r;
        int status;
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
                CHECK(freopen("/dev/null", "w", stderr) != NULL);
                /* a sanitizer would take its time to tell */
                signal(SIGSEGV, SIG_DFL);
                shortage.at = k;
                shortage.n = 0;
                shortage.turns = 1;
                r = fn(expected, reserved);
                _exit(shortage.refused > 0 ? (int)r : (int)NOT_REACHED);
        }
        CHECK(waitpid(child, &status, 0) == child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Not what ought to be, but what is: why the functions above fail as a whole here, and what qmp/json.c does about it. */
START_TEST(json_c_as_it_is)
{
        static const struct {
                const char *name;
                enum outcome (*fn)(struct json_object *, bool);
                bool reserved, safe;
        } functions[] = {
                { "json_object_object_add()", add_sample, false, true },
                { "json_object_to_json_string_length()", print_sample, false, false },
                { "  by qmp_json_text()", print_sample, true, true },
                { "json_tokener_parse_ex()", parse_sample, false, false },
                { "  after qmp_json_reserve()", parse_sample, true, false },
        };
        struct json_object *expected = json_tokener_parse(sample);

        printf("json-c %s, allocations refused one by one: %-38s %6s %6s %6s %6s\n", json_c_version(), "", "told",
               "right", "wrong", "crash");
        for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
                unsigned n[4] = { 0 };

                for (unsigned long k = 1; k < 1000; k++) {
                        int outcome = try(functions[i].fn, expected, functions[i].reserved, k);

                        if (outcome == NOT_REACHED)
                                break;
                        n[outcome == TOLD ? 0 : outcome == RIGHT ? 1 : outcome == WRONG ? 2 : 3]++;
                }
                printf("%-80s %6u %6u %6u %6u\n", functions[i].name, n[0], n[1], n[2], n[3]);
                if (functions[i].safe)
                        CHECK(n[2] == 0 && n[3] == 0);
        }
        json_object_put(expected);
}
END_TEST

/* The room that qmp_json_text() makes is enough: there is nothing to be asked for afterwards. */
START_TEST(a_text_needs_room_only_once)
{
        static const char *const texts[] = {
                sample,
                pluggable_schema,
                "[]",
                "{}",
                "[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]",
                "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":[null,true,false,0,-9223372036854775808]}}}}}",
                "[\"\\u0000\\u0001\\u001f\\u007f\\b\\n\\r\\t\\f/////////////////////\\\"\\\"\\\"\\\\\\\\\"]",
                "{\"\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001//////\":1.5e+300,\"\":0.1}",
                "[1.0000000000000000000000000000000000000000000000000000000000000001,1e1]",
                "\"////////////////////////////////////////////////\"",
                "1.0000000000000000000000000000000000000000000000000000000000000001",
                "-9223372036854775808",
                "true",
        };
        static const int flags[] = {
                JSON_C_TO_STRING_PLAIN,
                JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                JSON_C_TO_STRING_SPACED,
                JSON_C_TO_STRING_PRETTY,
                JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE,
        };
        size_t size;

        shortage.turns = 1;
        for (size_t i = 0; i < ARRAY_SIZE(texts) * ARRAY_SIZE(flags); i++) {
                struct json_object *value = json_tokener_parse(texts[i / ARRAY_SIZE(flags)]);
                int how = flags[i % ARRAY_SIZE(flags)];
                _cleanup_(qmp_freep) char *expected = strdup(json_object_to_json_string_ext(value, how));
                const char *text;

                json_object_put(value);
                value = json_tokener_parse(texts[i / ARRAY_SIZE(flags)]);
                shortage.n = shortage.at = 0;
                shortage.armed = true;
                CHECK(qmp_json_text(value, how, &text, &size) == 0);
                shortage.armed = false;
                ck_assert_str_eq(text, expected);
                CHECK(size == strlen(expected));
                /* the buffer, its first room, and all the room */
                ck_assert_msg(shortage.n <= 3, "%lu allocations for %s", shortage.n, expected);
                json_object_put(value);
        }
        shortage.turns = 0;
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(mounting_without_memory_fails),
                TEST(timers_need_no_memory),
                TEST(what_libfuse_loses),
#ifndef __SANITIZE_ADDRESS__
                /* AddressSanitizer's shadow alone is beyond any limit */
                TEST(a_message_beyond_the_limit_of_memory_is_no_answer),
#endif

                TEST(json_c_as_it_is),
                TEST(a_text_needs_room_only_once),
        };

        return test_main("alloc_outside", tests, ARRAY_SIZE(tests), NULL, NULL);
}
