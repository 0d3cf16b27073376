/*
 * Fetches one JSON value from QEMU as a plan says, by one command or by several. Exactly one callback ends each fetch,
 * never before fetch_start() has returned.
 */
#ifndef FS_FETCH_H
#define FS_FETCH_H

#include "fs/vm/plan.h"
#include "qmp/client.h"

struct fetch_result {
        int error;                      /* 0 or a negative errno */
        struct json_object *value;      /* borrowed */
        const char *error_class, *text; /* on error; class may be NULL */
        uint64_t memory;                /* of all replies, estimated */
        uint64_t busy_ns;               /* QEMU's processing time … */
        unsigned n_commands;            /* … and the number of commands */
};

typedef void (*fetch_fn)(void *userdata, const struct fetch_result *result);

/*
 * Starts a fetch. @patient: see struct qmp_send_options. 0, -EHOSTDOWN, -ENOMEM, -EINVAL: the plan's arguments are no
 * JSON object, or -EPERM: the fetch needs a command that no plain read may send, and spec->asked is not set.
 * *ret_fetch is valid until the callback.
 */
int fetch_start(struct peer *peer, const struct query_spec *spec, bool patient, fetch_fn fn, void *userdata,
                struct fetch **ret_fetch);

/* Whether QEMU may have started to carry it out. */
bool fetch_is_sent(const struct fetch *fetch);

/*
 * Ends a fetch of one command that has not been sent, and never will be: its callback runs, with -EINTR. Others go on.
 */
void fetch_withdraw(struct fetch *fetch);

/* --- for plans of several commands ------------------------------------------------------------------------------ */

struct part;

struct fetch {
        struct peer *peer;
        const struct plan *plan;
        char *a, *b;
        struct json_object *value; /* the result so far; NULL: none yet */
        struct json_object *notes; /* the plan's; NULL: none */
        bool oob, asked, patient;
        fetch_fn fn;
        void *userdata;
        struct qmp_command *first; /* NULL once answered */
        bool answered;
        unsigned pending, n_parts;
        uint64_t memory, busy_ns;
        int error;
        char *error_class, *text;
};

/* What becomes of the answer to one command. */
struct part_answer {
        /* adds QEMU's return value to the result, and further parts if need be; false: out of memory */
        bool (*take)(struct part *part, struct json_object *value);
        /* an error of QEMU's, by class and text; 0 or the error of the fetch. NULL: the fetch fails */
        int (*failed)(struct part *part, const char *class, const char *text);
};

struct part {
        struct fetch *fetch;
        struct part_answer answer;
        char *key; /* the plan's; may be NULL */
        bool is_list;
};

/* Adds a command. @arguments is taken over. 0 or a negative errno. */
int fetch_add(struct fetch *fetch, const char *command, struct json_object *arguments,
              const struct part_answer *answer, const char *key);

/* The fetch fails, unless it has failed before. */
void fetch_fail(struct fetch *fetch, int error, const char *class, const char *text);

#endif
