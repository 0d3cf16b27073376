#include "fs/util/outcomes.h"

#include "qmp/message.h"
#include "fs/util/render.h"

struct outcome {
        struct list link;
        uint64_t ino;
        struct timespec at;
        struct who who;
        int error;
        char *class, *words; /* for people, see qmp_words(); NULL: none, or there was no memory */
};

void outcomes_init(struct outcomes *outcomes)
{
        list_init(&outcomes->all);
        outcomes->n = 0;
}

static void drop(struct outcomes *outcomes, struct outcome *outcome)
{
        list_unlink(&outcome->link);
        outcomes->n--;
        free(outcome->class);
        free(outcome->words);
        free(outcome);
}

void outcomes_deinit(struct outcomes *outcomes)
{
        while (outcomes->n > 0)
                drop(outcomes, list_entry(outcomes->all.next, struct outcome, link));
}

static struct outcome *find(const struct outcomes *outcomes, uint64_t ino)
{
        list_for_each(i, &outcomes->all) {
                struct outcome *outcome = list_entry(i, struct outcome, link);

                if (outcome->ino == ino)
                        return outcome;
        }
        return NULL;
}

void outcomes_note(struct outcomes *outcomes, uint64_t ino, struct who who, int error, const char *class,
                   const char *words)
{
        struct outcome *outcome = find(outcomes, ino);

        if (outcome)
                drop(outcomes, outcome);
        else if (outcomes->n == OUTCOMES_MAX)
                drop(outcomes, list_entry(outcomes->all.next, struct outcome, link));
        outcome = calloc(1, sizeof(*outcome));
        /* nothing is known then, which is not wrong */
        if (!outcome)
                return;
        outcome->ino = ino;
        outcome->who = who;
        outcome->error = error;
        clock_gettime(CLOCK_REALTIME, &outcome->at);
        outcome->class = error && class ? qmp_words(class) : NULL;
        outcome->words = error && words ? qmp_words(words) : NULL;
        list_append(&outcomes->all, &outcome->link);
        outcomes->n++;
}

void outcomes_print(const struct outcomes *outcomes, uint64_t ino, FILE *out)
{
        const struct outcome *outcome = find(outcomes, ino);
        const char *name = outcome && outcome->error ? strerrorname_np(outcome->error) : NULL;
        char at[RENDER_TIME_SIZE];

        if (!outcome) {
                fputs("last write: none\n", out);
                return;
        }
        render_time(&outcome->at, at);
        fprintf(out, "last write: %s uid=%u pid=%d ", at, outcome->who.uid, outcome->who.pid);
        if (outcome->error)
                fprintf(out, "%s %s %s\n", name ? name : "?", outcome->class ? outcome->class : "-",
                        outcome->words ? outcome->words : strerror(outcome->error));
        else
                fputs("OK\n", out);
}
