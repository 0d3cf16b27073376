#include "tests/lib/faults.h"

#include <stdarg.h>
#include <sys/mman.h>

#include "qmp/client_internal.h"

/* As short as they can be: a stall takes no time, but each second of it is a turn of the loop. */
#define TIMEOUT         (2 * SEC)
#define COMMAND_LIMIT   (3 * SEC)
#define UNPLUG_LIMIT    (3 * SEC)
#define LONGEST         (UNPLUG_LIMIT + 2 * SEC)
#define STALL_TOLD      (1 * SEC + 100 * MS)
#define EVENTS_IN_FLOOD 100000
#define DEPTH           100000

/* --- counting ---------------------------------------------------------------------------------------------------- */

static struct counters {
        unsigned long n, tried;
} * counters;
static unsigned stride = 1;

void faults_begin(unsigned of)
{
        const char *all = getenv("QMPFS_FAULTS");

        counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (counters == MAP_FAILED)
                abort();
        stride = all && streq(all, "all") ? 1 : of;
}

bool faults_try_one_of(unsigned of)
{
        /* spread, so that no kind of fault always falls between two that are tried */
        uint64_t hash = (uint64_t)counters->n++ * UINT64_C(0x9e3779b97f4a7c15);
        bool wanted = stride == 1 || (hash >> 32) % of == 0;

        counters->tried += wanted;
        return wanted;
}

bool faults_try(void)
{
        return faults_try_one_of(stride);
}

bool faults_try_always(void)
{
        return faults_try_one_of(1);
}

static void print_number(unsigned long n)
{
        if (n >= 1000) {
                print_number(n / 1000);
                printf(",%03lu", n % 1000);
        } else {
                printf("%lu", n);
        }
}

bool faults_end(unsigned long least)
{
        printf("faults: ");
        print_number(counters->tried);
        printf(" cases");
        if (stride > 1) {
                printf(" of ");
                print_number(counters->n);
                printf("; all are tried with QMPFS_FAULTS=all CK_TIMEOUT_MULTIPLIER=20");
        }
        printf("\n");
        if (counters->n >= least && counters->tried >= counters->n / stride * 9 / 10)
                return true;
        printf("faults: there must be ");
        print_number(least);
        printf(", not ");
        print_number(counters->n);
        printf("\n");
        return false;
}

/* --- what is under test ------------------------------------------------------------------------------------------ */

static const struct scenario *scenario;
static char *status; /* what `status` has when all is well */
static int n_fds;    /* … and how many descriptors are open */

static struct {
        struct op_result *results;
        bool known;
        size_t n_messages, n_bytes, n_handshake_bytes;
} base;

/* Of the last case. */
static size_t last_n_messages, last_n_bytes;

/* The fault of the case that is being played, and what has been seen of it. */
static struct {
        const struct fault *fault; /* NULL: none */
        size_t connection;         /* the one that it is for */
        size_t n_messages, n_bytes;
        size_t n_of_op; /* messages since the operation began */
        size_t n_replies;
        bool fired;
        bool was_first; /* it hit the first message that the operation waited for */
        bool was_whole; /* … of which everything had left */
        bool shared;    /* other commands were under way, or none was */
        bool oob;       /* it was a reply out of band */
        bool was_up;
        ssize_t op; /* which operation was being carried out; -1: none yet */
        enum fault_message what;
        bool silent;     /* nothing more leaves */
        bool ended;      /* the scenario has ended the connection by itself, or … */
        bool ends_later; /* … would have, had anything left */
        bool holding;
        char *held;
        size_t n_held;
        char *swapped;   /* to be sent behind the next message */
        char *again;     /* to be sent when nothing is under way */
        char reason[64]; /* of the last SHUTDOWN */
        char *failure;   /* the client's last words before the case */
} f;

static const char *describe(void)
{
        static char text[300];

        if (!f.fault)
                snprintf(text, sizeof(text), "%s, without a fault", scenario ? scenario->name : "");
        else
                snprintf(text, sizeof(text), "%s, %s at %s %zu", scenario->name, f.fault->kind->name,
                         f.fault->where == AT_HANDSHAKE ? "handshake message"
                         : f.fault->where == AT_MESSAGE ? "message"
                                                        : "byte",
                         f.fault->at);
        return text;
}

_printf_(1, 2) static void fail_case(const char *format, ...)
{
        char text[2000];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        ck_abort_msg("%s: %s", describe(), text);
}

#define EXPECT(condition)                                                                                            \
        do {                                                                                                         \
                if (!(condition))                                                                                    \
                        fail_case("line %d: not so: %s", __LINE__, #condition);                                      \
        } while (0)

/* --- sending ----------------------------------------------------------------------------------------------------- */

static void put(const char *bytes, size_t size)
{
        if (size > 0)
                fake_send(rig.fake, bytes, size);
}

static void put_text(const char *text)
{
        put(text, strlen(text));
}

static void hold(const char *bytes, size_t size)
{
        f.held = realloc(f.held, f.n_held + size + 1);
        CHECK(f.held);
        memcpy(f.held + f.n_held, bytes, size);
        f.n_held += size;
}

static void inject_close(const char *message, size_t size, size_t at)
{
        (void)size;
        put(message, at);
        fake_close_behind(rig.fake);
        f.silent = true;
}

static void inject_reset(const char *message, size_t size, size_t at)
{
        (void)size;
        put(message, at);
        fake_reset_behind(rig.fake);
        f.silent = true;
}

static void inject_stall(const char *message, size_t size, size_t at)
{
        put(message, at);
        hold(message + at, size - at);
        f.silent = f.holding = true;
}

static void inject_between(const char *message, size_t size, size_t at, const char *bytes, size_t n)
{
        put(message, at);
        put(bytes, n);
        put(message + at, size - at);
}

static void inject_garbage(const char *message, size_t size, size_t at)
{
        inject_between(message, size, at, "hello\r\n", 7);
}

static void inject_bracket(const char *message, size_t size, size_t at)
{
        inject_between(message, size, at, "}", 1);
}

static void inject_nul(const char *message, size_t size, size_t at)
{
        inject_between(message, size, at, "\0", 1);
}

static void inject_high(const char *message, size_t size, size_t at)
{
        inject_between(message, size, at, "\xff", 1);
}

static void inject_blanks(const char *message, size_t size, size_t at)
{
        inject_between(message, size, at, "\r\n \t\n", 5);
}

static void inject_nul_in_string(const char *message, size_t size, size_t at)
{
        at = (size_t)(strchr(message, '"') + 2 - message);
        inject_nul(message, size, at);
}

static void inject_bad_utf8(const char *message, size_t size, size_t at)
{
        at = (size_t)(strchr(message, '"') + 2 - message);
        inject_between(message, size, at, "\xc3(", 2);
}

/* The rest of it never comes, what follows does. */
static void inject_half(const char *message, size_t size, size_t at)
{
        (void)at;
        put(message, size / 2);
}

static void inject_nothing(const char *message, size_t size, size_t at)
{
        (void)message, (void)size, (void)at;
}

static void inject_without(const char *message, size_t size, size_t at)
{
        put(message, at);
        put(message + at + 1, size - at - 1);
}

static void inject_flipped(const char *message, size_t size, size_t at)
{
        char c = (char)(message[at] ^ 1);

        put(message, at);
        put(&c, 1);
        put(message + at + 1, size - at - 1);
}

static void inject_twice(const char *message, size_t size, size_t at)
{
        (void)at;
        put(message, size);
        put(message, size);
}

static void inject_later(const char *message, size_t size, size_t at)
{
        (void)at;
        put(message, size);
        f.again = strndup(message, size);
        CHECK(f.again);
}

static void inject_swapped(const char *message, size_t size, size_t at)
{
        (void)at;
        f.swapped = strndup(message, size);
        CHECK(f.swapped);
}

static void inject_id(const char *message, const char *id)
{
        put_text("{\"id\": ");
        put_text(id);
        put_text(", ");
        put_text(message + 1);
}

static void inject_unknown_id(const char *message, size_t size, size_t at)
{
        (void)size, (void)at;
        inject_id(message, "\"nobody\"");
}

static void inject_null_id(const char *message, size_t size, size_t at)
{
        (void)size, (void)at;
        inject_id(message, "null");
}

/* What is between the outer brackets. */
static void put_body(const char *message)
{
        put(message + 1, (size_t)(strrchr(message, '}') - message - 1));
}

static void inject_same_keys(const char *message, size_t size, size_t at)
{
        (void)size, (void)at;
        put_text("{");
        put_body(message);
        put_text(", ");
        put_body(message);
        put_text("}\r\n");
}

static void inject_other_keys(const char *message, size_t size, size_t at)
{
        (void)size, (void)at;
        put_text("{");
        put_body(message);
        put_text(", \"event\": null, \"QMP\": null, \"return\": null}\r\n");
}

static void inject_empty(const char *message, size_t size, size_t at)
{
        (void)at;
        put_text("{}\r\n");
        put(message, size);
}

static void inject_list(const char *message, size_t size, size_t at)
{
        (void)at;
        put_text("[");
        put(message, size);
        put_text("]\r\n");
}

static void inject_greeting(const char *message, size_t size, size_t at)
{
        (void)at;
        put_text(FAKE_GREETING);
        put(message, size);
}

static void inject_reply(const char *message, size_t size, size_t at)
{
        (void)at;
        put_text("{\"return\": {}}\r\n");
        put(message, size);
}

static void inject_error(const char *message, size_t size, size_t at)
{
        (void)message, (void)size, (void)at;
        put_text("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such luck\"}}\r\n");
}

static void inject_deep(const char *message, size_t size, size_t at)
{
        static char deep[DEPTH + 8];
        size_t n = (size_t)sprintf(deep, "{\"x\": ");

        memset(deep + n, '[', DEPTH);
        put(deep, n + DEPTH - 1);
        inject_stall(message, size, at);
}

static void put_value(size_t n)
{
        char *value = malloc(n);

        CHECK(value);
        memset(value, 'x', n);
        put(value, n);
        free(value);
}

static void inject_too_big(const char *message, size_t size, size_t at)
{
        put_text("{\"event\": \"");
        put_value(QMP_FRAMER_MAX_TEXT);
        inject_stall(message, size, at);
}

static void inject_big_event(const char *message, size_t size, size_t at)
{
        (void)at;
        put_text("{\"event\": \"BIG\", \"data\": {\"x\": \"");
        put_value(64 << 20);
        put_text("\"}}\r\n");
        put(message, size);
}

static void inject_flood(const char *message, size_t size, size_t at)
{
        static const char event[] = "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"FLOOD\", "
                                    "\"data\": {\"n\": 12345}}\r\n";
        char *flood = malloc(EVENTS_IN_FLOOD * (sizeof(event) - 1));

        (void)at;
        CHECK(flood);
        for (size_t i = 0; i < EVENTS_IN_FLOOD; i++)
                memcpy(flood + i * (sizeof(event) - 1), event, sizeof(event) - 1);
        put(flood, EVENTS_IN_FLOOD * (sizeof(event) - 1));
        free(flood);
        put(message, size);
}

static void inject_dribble(const char *message, size_t size, size_t at)
{
        (void)at;
        rig.fake->write_chunk = 1;
        put(message, size);
}

#define ALL(x)                                                                                                       \
        {                                                                                                            \
                x, x, x, x                                                                                           \
        }
#define NOT_QMP "sent something that is not QMP: "
#define UNASKED "sent a reply that no command asked for"

const struct fault_kind fault_kinds[] = {
        { .name = "close", .end = ALL(ENDS), .inject = inject_close },
        { .name = "reset", .end = ALL(ENDS), .inject = inject_reset },
        { .name = "stall", .end = ALL(WAITS), .inject = inject_stall },
        { .name = "stall and resume", .end = ALL(WAITS), .resumes = true, .inject = inject_stall },
        { .name = "garbage", .end = ALL(ENDS), .words = ALL(NOT_QMP "hello"), .inject = inject_garbage },
        { .name = "closing bracket", .end = ALL(ENDS), .words = ALL(NOT_QMP "}"), .inject = inject_bracket },
        { .name = "NUL", .end = ALL(ENDS), .words = ALL(NOT_QMP "."), .inject = inject_nul },
        { .name = "byte 255", .end = ALL(ENDS), .words = ALL(NOT_QMP "."), .inject = inject_high },
        { .name = "blanks", .end = ALL(GOES_ON), .inject = inject_blanks },
        { .name = "NUL in a string", .end = ALL(ENDS), .words = ALL(NOT_QMP "{"), .inject = inject_nul_in_string },
        { .name = "bad UTF-8", .end = ALL(ENDS), .words = ALL(NOT_QMP "{"), .inject = inject_bad_utf8 },
        { .name = "half", .end = { WAITS, WAITS, DEPENDS, DEPENDS }, .inject = inject_half },
        { .name = "lost", .end = { WAITS, WAITS, DEPENDS, DEPENDS }, .inject = inject_nothing },
        { .name = "twice",
          .end = { ENDS, ENDS, ENDS, GOES_ON },
          .words = { "unexpected greeting", UNASKED, UNASKED },
          .only_asked = true,
          .inject = inject_twice },
        { .name = "again later",
          .end = { ENDS, ENDS, ENDS, GOES_ON },
          .words = { "unexpected greeting", UNASKED, UNASKED },
          .inject = inject_later },
        { .name = "swapped", .end = { WAITS, WAITS, DEPENDS, DEPENDS }, .inject = inject_swapped },
        { .name = "unknown id",
          .end = { GOES_ON, GOES_ON, ENDS, GOES_ON },
          .words = { NULL, NULL, UNASKED },
          .inject = inject_unknown_id },
        { .name = "null for an id",
          .end = { GOES_ON, GOES_ON, ENDS, GOES_ON },
          .words = { NULL, NULL, UNASKED },
          .inject = inject_null_id },
        { .name = "each key twice", .end = ALL(GOES_ON), .inject = inject_same_keys },
        { .name = "keys of other messages",
          .end = { ENDS, GOES_ON, DEPENDS, DEPENDS },
          .words = { "unexpected reply" },
          .inject = inject_other_keys },
        { .name = "empty object", .end = ALL(ENDS), .words = ALL("is not a QMP message"), .inject = inject_empty },
        { .name = "list", .end = ALL(ENDS), .words = ALL(NOT_QMP "["), .inject = inject_list },
        { .name = "greeting", .end = ALL(ENDS), .words = ALL("unexpected greeting"), .inject = inject_greeting },
        { .name = "reply",
          .end = { ENDS, ENDS, ENDS, DEPENDS },
          .words = { "unexpected reply", UNASKED, UNASKED },
          .only_asked = true,
          .forged = true,
          .inject = inject_reply },
        { .name = "error",
          .end = { ENDS, ENDS, DEPENDS, DEPENDS },
          .words = { "unexpected reply", "refused the negotiation: no such luck" },
          .inject = inject_error },
        { .name = "byte by byte", .end = ALL(GOES_ON), .inject = inject_dribble },
        { .name = "100,000 levels",
          .end = ALL(ENDS),
          .words = ALL("is nested more than 1024 deep"),
          .inject = inject_deep },
        { .name = "over 64 MiB",
          .end = ALL(ENDS),
          .words = ALL("a message of more than 64 MiB"),
          .size = SIZE_LARGE,
          .inject = inject_too_big },
        { .name = "event of 64 MiB", .end = ALL(GOES_ON), .size = SIZE_LARGE, .inject = inject_big_event },
        { .name = "100,000 events", .end = ALL(GOES_ON), .size = SIZE_LARGE, .inject = inject_flood },
};
const size_t n_fault_kinds = ARRAY_SIZE(fault_kinds);

const struct fault_kind fault_byte_kinds[] = {
        { .name = "close", .end = ALL(ENDS), .inject = inject_close },
        { .name = "reset", .end = ALL(ENDS), .inject = inject_reset },
        { .name = "stall", .end = ALL(WAITS), .inject = inject_stall },
        { .name = "stall and resume", .end = ALL(WAITS), .resumes = true, .inject = inject_stall },
        { .name = "garbage", .end = ALL(DEPENDS), .inject = inject_garbage },
        { .name = "NUL", .end = ALL(DEPENDS), .inject = inject_nul },
        { .name = "byte 255", .end = ALL(DEPENDS), .inject = inject_high },
        { .name = "closing bracket", .end = ALL(DEPENDS), .inject = inject_bracket },
        { .name = "lost byte", .end = ALL(DEPENDS), .inject = inject_without },
        { .name = "flipped bit", .end = ALL(DEPENDS), .inject = inject_flipped },
};
const size_t n_fault_byte_kinds = ARRAY_SIZE(fault_byte_kinds);

/* --- the filter: every message of the fake comes by -------------------------------------------------------------- */

static bool is_event(const char *message)
{
        return startswith(message, "{\"timestamp\"");
}

/* Of a connection that ends after it, it is the reason. */
static void note_reason(const char *message)
{
        struct json_object *event, *data, *reason;

        if (!is_event(message))
                return;
        if (strstr(message, "\"RESUME\"") || strstr(message, "\"RESET\""))
                f.reason[0] = '\0';
        if (!strstr(message, "\"SHUTDOWN\""))
                return;
        event = json_tokener_parse(message);
        CHECK(event);
        CHECK(json_object_object_get_ex(event, "data", &data));
        CHECK(json_object_object_get_ex(data, "reason", &reason));
        snprintf(f.reason, sizeof(f.reason), "%s", json_object_get_string(reason));
        json_object_put(event);
}

static void fire(const char *message, size_t size, size_t at)
{
        struct qmp_client *client = rig.vm->peer.client;

        f.fired = true;
        f.what = is_event(message)                 ? FAULT_EVENT
                 : startswith(message, "{\"QMP\"") ? FAULT_GREETING
                 : client->state == QMP_CLIENT_UP  ? FAULT_REPLY
                                                   : FAULT_NEGOTIATION;
        f.was_whole = at + 2 >= size;
        f.was_first = f.n_of_op == 0 && !is_event(message);
        f.shared = client->n_wire != 1 && f.what == FAULT_REPLY;
        f.oob = strstr(message, "\"id\": \"o") && f.what == FAULT_REPLY;
        f.was_up = rig.vm->peer.up;
        if (f.was_whole && f.what == FAULT_GREETING) {
                /* what is missing is the next one */
                f.what = FAULT_NEGOTIATION;
        } else if (f.was_whole && f.what == FAULT_NEGOTIATION) {
                f.what = FAULT_REPLY;
                f.was_up = true;
        }
        f.fault->kind->inject(message, size, at);
}

static bool is_hit(size_t size)
{
        if (!f.fault || f.fired)
                return false;
        if (f.fault->where == AT_BYTE)
                return f.fault->at >= f.n_bytes && f.fault->at < f.n_bytes + size;
        return f.fault->at == f.n_messages;
}

static bool filter(struct fake_qemu *fake, const char *message, size_t size)
{
        bool hit;

        if (f.silent && fake->n_connections == f.connection) {
                if (f.holding)
                        hold(message, size);
                return true;
        }
        if (fake->n_connections != f.connection)
                return false;
        hit = is_hit(size);
        if (hit) {
                fire(message, size, f.fault->where == AT_BYTE ? f.fault->at - f.n_bytes : 0);
        } else if (f.swapped) {
                put(message, size);
                put_text(f.swapped);
                free(take_ptr(f.swapped));
                hit = true;
        }
        if (!f.silent || f.was_whole)
                note_reason(message);
        f.n_messages++;
        f.n_bytes += size;
        f.n_of_op++;
        return hit;
}

void faults_end_connection(bool reset)
{
        if (f.silent) {
                f.ends_later = true;
                return;
        }
        f.ended = true;
        if (reset)
                fake_reset_behind(rig.fake);
        else
                fake_close_behind(rig.fake);
}

static int client_fd(struct fake_qemu *fake)
{
        (void)fake;
        return rig.vm->peer.client->source.fd;
}

/* --- connections ------------------------------------------------------------------------------------------------- */

static int count_fds(void)
{
        int n = 0;

        for (int fd = 0; fd < 64; fd++)
                n += fcntl(fd, F_GETFD) != -1;
        return n;
}

static size_t length(const struct list *list)
{
        size_t n = 0;

        list_for_each(i, list)
                n++;
        return n;
}

/* Of which nothing is under way, and for which nobody waits. */
static unsigned n_queries_held(void)
{
        unsigned n = 0;

        EXPECT(rig.context.n_fetches == 0);
        for (struct lh_entry *i = lh_table_head(rig.vm->peer.queries.all); i; i = lh_entry_next(i)) {
                const struct query *q = lh_entry_v(i);

                EXPECT(!q->fetch && list_empty(&q->waiters) && list_empty(&q->later) && q->n_required == 0);
                n += q->refs > 0;
        }
        return n;
}

/* Up, and the daemon's own query has been answered. */
static bool is_settled(void)
{
        return rig.vm->peer.up && list_empty(&rig.vm->peer.client->wire) && list_empty(&rig.fake->out);
}

static void disarm(void)
{
        free(f.held);
        free(f.swapped);
        free(f.again);
        free(f.failure);
        memset(&f, 0, sizeof(f));
        rig.fake->write_chunk = 0;
}

/* The fault, or what is to be counted, is on this connection, or on the next one. */
static void arm(const struct fault *fault, bool next)
{
        disarm();
        f.fault = fault;
        f.connection = rig.fake->n_connections + next;
        f.op = -1;
        f.failure = strdup(rig.vm->peer.client->failure ? rig.vm->peer.client->failure : "");
        CHECK(f.failure);
}

/* Ends the connection, if there is one. */
static void drop(void)
{
        if (rig.fake->fd >= 0)
                fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
}

static void connect_again(void)
{
        size_t n = rig.fake->n_connections;

        PUMP_WITHIN(rig.loop, 20 * SEC, rig.fake->n_connections > n && is_settled());
        SETTLE();
}

static void check_connection(const char *start, const char *part)
{
        _cleanup_(qmp_freep) char *text = NULL;
        int e = rig_cat("connection", &text);

        if (e < 0 || !startswith(text, start) || !strstr(text, part))
                fail_case("connection is not '%s…%s': %s", start, part, e < 0 ? strerrorname_np(-e) : text);
}

static void check_status(void)
{
        _cleanup_(qmp_freep) char *text = NULL;
        int e = rig_cat("status", &text);

        if (e < 0)
                fail_case("status: %s", strerrorname_np(-e));
        if (status && !streq(text, status))
                fail_case("status: %s", text);
        if (!status)
                status = take_ptr(text);
}

void faults_clean(void)
{
        struct qmp_client *client = rig.vm->peer.client;
        int n;

        rig_forget();
        f.silent = true;
        drop();
        disarm();
        rig.fake->answer = NULL;
        connect_again();
        check_connection("up since ", "QEMU 7.2.22");
        check_status();
        rig_forget();
        EXPECT(list_empty(&client->wire) && list_empty(&client->queue) && list_empty(&client->oob_wire));
        EXPECT(client->n_wire == 0);
        EXPECT(list_empty(&rig.vm->operations.all));
        /* each collection has its own */
        EXPECT(n_queries_held() <= length(&rig.vm->objects.collections));
        EXPECT(list_empty(&kernel.replies));
        n = count_fds();
        if (n_fds == 0)
                n_fds = n;
        if (n != n_fds)
                fail_case("%d descriptors are open, not %d", n, n_fds);
        kernel.n_woken = 0;
        fake_forget(rig.fake);
        rig.mark = 0;
}

/* --- in the background: a stream's reader, and who polls --------------------------------------------------------- */

static struct {
        struct k_file events, connection;
        uint64_t read, handle;
} bg;

static void begin_background(void)
{
        _cleanup_(qmp_freep) char *text = NULL;

        bg.events = rig_must_open("events", O_RDWR);
        bg.read = k_send_read(&bg.events, 0, 65536);
        bg.connection = rig_must_open("connection", O_RDONLY);
        CHECK(rig_read_all(&bg.connection, &text, NULL) == 0);
        bg.handle += 2;
        EXPECT(k_poll(&bg.connection, bg.handle) == 0);
}

static void end_background(bool was_up)
{
        bool down = false;
        int e;

        do {
                SETTLE();
                if (!k_is_answered(bg.read)) {
                        EXPECT(rig.vm->peer.up);
                        k_interrupt(bg.read);
                }
                e = k_wait_error(bg.read);
                if (e == 0)
                        bg.read = k_send_read(&bg.events, 0, 65536);
                else if (e == -EHOSTDOWN)
                        down = true;
                else if (e != -EINTR)
                        fail_case("the stream: %s", strerrorname_np(-e));
        } while (e == 0);
        /* who waited when it ended has been told */
        if (was_up && !rig.vm->peer.up) {
                EXPECT(down);
                EXPECT(k_was_woken(bg.handle));
        }
}

/* --- judging ----------------------------------------------------------------------------------------------------- */

static bool is_same(const struct op_result *a, const struct op_result *b)
{
        return a->error == b->error && !a->text == !b->text && (!a->text || streq(a->text, b->text));
}

static enum fault_end expected_end(void)
{
        const struct fault_kind *kind = f.fault ? f.fault->kind : NULL;

        if (!f.fired)
                return GOES_ON;
        /* the conversation ended by itself after it; or others' commands were under way; or it was about ids, and one had one */
        if (f.ended || (kind->only_asked && f.shared) || (f.oob && kind->end[FAULT_EVENT] == GOES_ON))
                return DEPENDS;
        return kind->end[f.what];
}

/* What the client says of a connection that ended. */
static const char *expected_words(void)
{
        static char text[100];
        const char *words = f.fault->kind->words[f.what];

        if (words)
                return words;
        if (!f.was_up)
                return f.what == FAULT_GREETING ? "closed the connection before the greeting"
                                                : "closed the connection during negotiation";
        if (f.reason[0]) {
                snprintf(text, sizeof(text), "QEMU exited (%s)", f.reason);
                return text;
        }
        return f.fault->kind->inject == inject_reset ? "broke: Connection reset by peer" : "closed the connection";
}

/* What was added to `errors` since it had @from bytes. */
static char *errors_since(uint64_t from)
{
        uint64_t shift = 0;
        size_t size = rig.vm->errors.journal.end - from;
        char *text = calloc(1, size + 1);

        CHECK(text);
        (void)journal_read(&rig.vm->errors.journal, from, &shift, text, size);
        return text;
}

uint64_t faults_errors_from(void)
{
        repeats_deinit(&rig.vm->errors.repeats);
        return rig.vm->errors.journal.end;
}

bool faults_errors_have(uint64_t from, const char *part)
{
        _cleanup_(qmp_freep) char *errors = errors_since(from);

        return strstr(errors, part);
}

static bool has_any(const char *text, const char *const *parts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strstr(text, parts[i]))
                        return true;
        return false;
}

/* An operation that failed has left its errno and the right words. */
static void check_errors(const struct op *op, int error, uint64_t from)
{
        static const char *const waited[] = { "did not answer",   "was sent within", "was not sent",
                                              "no answer within", "timed out after", "not completed within" };
        _cleanup_(qmp_freep) char *errors = errors_since(from);
        char name[40];

        snprintf(name, sizeof(name), " %s ", strerrorname_np(-error));
        if (!strstr(errors, name))
                fail_case("%s failed with %s, but errors has: %s", op->path, strerrorname_np(-error), errors);
        if (error == -ETIMEDOUT && !has_any(errors, waited, ARRAY_SIZE(waited)))
                fail_case("%s ran into its limit, but errors has: %s", op->path, errors);
        if (error == -EHOSTDOWN && expected_end() == ENDS && !strstr(errors, expected_words()))
                fail_case("%s: errors has not '%s': %s", op->path, expected_words(), errors);
}

static bool is_down(const struct op *op, const struct op_result *result)
{
        if (streq(op->path, "state"))
                return result->error == 0 && streq(result->text, "down\n");
        return result->error == -EHOSTDOWN;
}

static void judge(size_t i, const struct op_result *result, bool was_up, uint64_t errors_from)
{
        const struct op *op = &scenario->ops[i];
        const struct op_result *usual = &base.results[i];
        enum fault_end end = expected_end();
        bool hit = f.fired && f.op == (ssize_t)i, same = is_same(result, usual), ok;
        /* it could not have got by without that message */
        bool strict = hit && f.was_first && !f.was_whole && !f.again && f.fault->kind->inject != inject_twice;

        if (op->offline || (was_up && end == GOES_ON))
                ok = same;
        else if (!was_up)
                ok = is_down(op, result);
        else if (end == ENDS)
                ok = is_down(op, result) || (hit && same && !strict) ||
                     (hit && f.fault->kind->forged && op_error_is_documented(result->error));
        else if (end == WAITS)
                ok = result->error == -ETIMEDOUT || (same && !strict);
        else
                ok = op_error_is_documented(result->error);
        if (!ok)
                fail_case("%s%s is %s '%s', usually %s '%s'%s", hit ? "hit " : "", op->path,
                          result->error ? strerrorname_np(-result->error) : "OK", result->text ? result->text : "",
                          usual->error ? strerrorname_np(-usual->error) : "OK", usual->text ? usual->text : "",
                          was_up ? "" : ", when it was down");
        if (result->error == -EHOSTDOWN || result->error == -ETIMEDOUT)
                check_errors(op, result->error, errors_from);
}

/* What is wrong shows in `connection`, too. */
static void judge_connection(void)
{
        switch (expected_end()) {
        case GOES_ON:
                if (f.ended) {
                        EXPECT(!rig.vm->peer.up);
                        check_connection("down: ", f.reason[0] ? "QEMU exited (" : "'");
                        break;
                }
                EXPECT(rig.vm->peer.up);
                EXPECT(rig.fake->n_connections == f.connection);
                check_connection("up since ", "");
                break;
        case ENDS:
                EXPECT(!rig.vm->peer.up);
                check_connection("down: ", expected_words());
                break;
        case WAITS:
                if (f.was_up && !list_empty(&rig.vm->peer.client->wire)) {
                        PUMP_FOR(rig.loop, STALL_TOLD);
                        check_connection("stalled ", " s in ");
                } else if (!f.was_up) {
                        check_connection("down: ", f.what == FAULT_GREETING ? "sent no QMP greeting within"
                                                                            : "did not answer the negotiation");
                }
                break;
        default:
                break;
        }
}

/* What was held back comes after all. */
static void resume(void)
{
        /* after a silent negotiation the connection was given up */
        if (!f.was_up && f.what != FAULT_GREETING)
                return;
        f.silent = f.holding = false;
        rig.fake->answer = NULL;
        put(f.held, f.n_held);
        f.n_held = 0;
        if (f.ends_later) {
                fake_close_behind(rig.fake);
                PUMP(rig.loop, !rig.vm->peer.up);
                return;
        }
        PUMP(rig.loop, is_settled());
        SETTLE();
        EXPECT(rig.fake->n_connections == f.connection);
        check_connection("up since ", "");
        check_status();
}

/* --- a case ------------------------------------------------------------------------------------------------------ */

/* What is to come twice, the second time when nobody asks. */
static void send_again(void)
{
        char *again = take_ptr(f.again);

        if (!again)
                return;
        if (rig.fake->fd >= 0 && rig.fake->n_connections == f.connection)
                put_text(again);
        free(again);
        SETTLE();
}

/* The connection's first messages, with the fault if it is there. */
static void handshake(void)
{
        PUMP_WITHIN(rig.loop, 20 * SEC, f.fired || (rig.fake->n_connections == f.connection && is_settled()));
        SETTLE();
        send_again();
        if (f.fired && !f.was_up && (expected_end() == WAITS || expected_end() == DEPENDS)) {
                /* it is told when the limit for it is over */
                uint64_t until = qmp_now() + 2 * TIMEOUT + SEC;

                PUMP_WITHIN(
                        rig.loop, 20 * SEC,
                        rig.vm->peer.up || qmp_now() >= until ||
                                (rig.vm->peer.client->failure && !streq(rig.vm->peer.client->failure, f.failure)));
        } else if (!f.fired || expected_end() == GOES_ON) {
                PUMP(rig.loop, is_settled());
                SETTLE();
        }
}

static void play(void)
{
        for (size_t i = 0; i < scenario->n_ops; i++) {
                uint64_t errors_from = faults_errors_from(), began = qmp_now();
                bool was_up = rig.vm->peer.up;
                struct op_result result;

                f.op = f.fired ? f.op : (ssize_t)i;
                f.n_of_op = 0;
                if (scenario->turn)
                        scenario->turn(i);
                op_run(&scenario->ops[i], &result);
                /* at once when the connection ends, else within its limit and what it takes to notice */
                EXPECT(qmp_now() - began < (expected_end() == ENDS ? SEC : LONGEST));
                if (base.known) {
                        judge(i, &result, was_up, errors_from);
                        op_result_deinit(&result);
                } else {
                        base.results[i] = result;
                }
                SETTLE();
                send_again();
        }
}

static void run(const struct fault *fault, bool from_handshake)
{
        bool was_up;

        if (from_handshake)
                drop();
        arm(fault, from_handshake);
        rig.fake->answer = scenario->answer;
        if (scenario->begin)
                scenario->begin();
        if (from_handshake)
                handshake();
        begin_background();
        was_up = rig.vm->peer.up;
        play();
        last_n_messages = f.n_messages;
        last_n_bytes = f.n_bytes;
        EXPECT(!fault || f.fired);
        judge_connection();
        end_background(was_up);
        if (fault && fault->kind->resumes)
                resume();
        faults_clean();
}

void faults_case(const struct fault *fault)
{
        run(fault, fault->where != AT_MESSAGE);
}

void faults_try_all(enum fault_where where, size_t n)
{
        for (size_t at = 0; at < n; at++)
                for (size_t i = 0; i < n_fault_kinds; i++)
                        if (fault_kinds[i].size == SIZE_ANY && faults_try())
                                faults_case(&(struct fault){ &fault_kinds[i], where, at });
}

/* --- setting up -------------------------------------------------------------------------------------------------- */

void faults_up_plain(void)
{
        static const char *path;

        if (!path)
                path = test_path("qemu");
        test_time_virtual();
        rig_make_with(path, &(struct peer_options){
                                    .timeout_ns = TIMEOUT,
                                    .unplug_timeout_ns = UNPLUG_LIMIT,
                                    .command_timeout_ns = COMMAND_LIMIT,
                                    .structure_ttl_ns = 100 * MS,
                                    .max_load = 10,
                                    /* a fault in its name would make it another VM: see test_client_connecting */
                                    .any_vm = true,
                            });
        k_mount();
        rig.fake->filter = filter;
        rig.fake->client_fd = client_fd;
        fake_listen(rig.fake, path);
        qmp_client_start(rig.vm->peer.client);
        connect_again();
        /* of what is made once and stays */
        n_fds = 0;
        faults_clean();
        faults_clean();
}

void faults_up(const struct scenario *s)
{
        faults_up_plain();
        scenario = s;
        if (s->setup) {
                s->setup();
                faults_clean();
        }
        base.results = calloc(s->n_ops + 1, sizeof(*base.results));
        CHECK(base.results);
        base.known = false;
        run(NULL, false);
        base.known = true;
        base.n_messages = last_n_messages;
        base.n_handshake_bytes = last_n_bytes;
        run(NULL, true);
        base.n_bytes = last_n_bytes;
        base.n_handshake_bytes = base.n_bytes - base.n_handshake_bytes;
        EXPECT(last_n_messages == FAULTS_HANDSHAKE + base.n_messages);
}

void faults_down(void)
{
        for (size_t i = 0; base.results && i < scenario->n_ops; i++)
                op_result_deinit(&base.results[i]);
        free(take_ptr(base.results));
        disarm();
        free(take_ptr(status));
        rig_unmake();
        /* libcheck takes the time of tests by this clock */
        test_time_real();
        scenario = NULL;
}

size_t faults_n_messages(void)
{
        return base.n_messages;
}

size_t faults_n_bytes(void)
{
        return base.n_bytes;
}

size_t faults_n_handshake_bytes(void)
{
        return base.n_handshake_bytes;
}

const struct op_result *faults_result(size_t op)
{
        return &base.results[op];
}
