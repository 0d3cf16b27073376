#include "fs/util/repeats.h"

#define INTERVAL_MIN_NS (10 * NSEC_PER_SEC)
#define INTERVAL_MAX_NS (300 * NSEC_PER_SEC)

void repeats_init(struct repeats *repeats)
{
        list_init(&repeats->all);
        repeats->n = 0;
}

static void drop(struct repeats *repeats, struct repeated *repeat)
{
        list_unlink(&repeat->link);
        repeats->n--;
        free(repeat);
}

void repeats_deinit(struct repeats *repeats)
{
        while (repeats->n > 0)
                drop(repeats, list_entry(repeats->all.next, struct repeated, link));
}

static struct repeated *find(const struct repeats *repeats, unsigned uid, const char *text)
{
        list_for_each(i, &repeats->all) {
                struct repeated *repeat = list_entry(i, struct repeated, link);

                if (repeat->uid == uid && streq(repeat->text, text))
                        return repeat;
        }
        return NULL;
}

/* Makes room: one that has been said once goes, the oldest first. */
static bool make_room(struct repeats *repeats)
{
        if (repeats->n < REPEATS_TEXTS_MAX)
                return true;
        list_for_each(i, &repeats->all) {
                struct repeated *repeat = list_entry(i, struct repeated, link);

                if (repeat->count == 0) {
                        drop(repeats, repeat);
                        return true;
                }
        }
        return false;
}

bool repeats_note(struct repeats *repeats, unsigned uid, int pid, const char *text, uint64_t now)
{
        struct repeated *repeat = find(repeats, uid, text);

        if (repeat && (now < repeat->due || repeat->count > 0)) {
                repeat->count++;
                repeat->pid = pid;
                return false;
        }
        if (repeat)
                drop(repeats, repeat);
        repeat = make_room(repeats) ? malloc(sizeof(*repeat) + strlen(text) + 1) : NULL;
        if (!repeat)
                return true;
        *repeat = (struct repeated){
                .uid = uid,
                .pid = pid,
                .due = now + INTERVAL_MIN_NS,
                .interval_ns = INTERVAL_MIN_NS,
        };
        memcpy(repeat->text, text, strlen(text) + 1);
        list_append(&repeats->all, &repeat->link);
        repeats->n++;
        return true;
}

struct repeated *repeats_next(struct repeats *repeats, uint64_t now)
{
        list_for_each_safe(i, &repeats->all) {
                struct repeated *repeat = list_entry(i, struct repeated, link);

                if (now < repeat->due)
                        continue;
                if (repeat->count == 0) {
                        drop(repeats, repeat);
                        continue;
                }
                repeat->interval_ns =
                        2 * repeat->interval_ns < INTERVAL_MAX_NS ? 2 * repeat->interval_ns : INTERVAL_MAX_NS;
                repeat->due = now + repeat->interval_ns;
                return repeat;
        }
        return NULL;
}

uint64_t repeats_due(const struct repeats *repeats)
{
        uint64_t due = 0;

        list_for_each(i, &repeats->all) {
                const struct repeated *repeat = list_entry(i, struct repeated, link);

                if (due == 0 || repeat->due < due)
                        due = repeat->due;
        }
        return due;
}
