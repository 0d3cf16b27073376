/*
 * Actions: what a write to a file does, as a table. A kind says what was written and to what; the action checks it,
 * sends the commands, and ends the request when they have had their effect.
 *
 *   steps   commands, one after the other. If one fails, the steps before it are undone in reverse order, and what
 *           could not be undone is named in the error. A step that is under way when its writer gives up (interrupt,
 *           time limit) is undone when QEMU has answered it, and so are those before it: the effect is whole or none.
 *   until   what has to happen after the last reply
 *   limit   the class of the time limit
 *   words   which the action takes besides those of every action, see arguments.h
 */
#ifndef FS_KINDS_ACTION_H
#define FS_KINDS_ACTION_H

#include "fs/kinds/arguments.h"
#include "fs/kinds/call.h"

#define ACTION_STEPS_MAX     4
#define ACTION_ARGUMENTS_MAX 6
#define ACTION_EVENTS_MAX    3

/* An argument of a command, and where its value comes from: exactly one of the four. Without a value it is absent. */
struct action_argument {
        const char *name;     /* NULL: the end of the list */
        const char *record;   /* a plain binding (binding.h) to the record of the object */
        const char *written;  /* what was written under this name, typed by the schema as the argument @name */
        const char *constant; /* JSON */
        const char *reply;    /* a plain binding to the reply of … */
        unsigned step;        /* … this earlier step */
        bool otherwise;       /* only if the argument before it has no value */
};

struct action_command {
        const char *command; /* NULL: none; of the first step: the user of the action names it */
        struct action_argument arguments[ACTION_ARGUMENTS_MAX + 1];
};

struct action_step {
        struct action_command does;
        struct action_command undo; /* may be nothing */
};

enum action_until {
        ACTION_REPLY, /* the last reply is enough */
        ACTION_EVENT, /* one of the events, from the time that the last command may have caused it */
        ACTION_SHOWN, /* shown() says so: the file shows what was written */
        ACTION_GONE,  /* the object has ended */
        ACTION_DOWN,  /* the server has ended the connection */
        /* to come: ACTION_JOB, the end of a job */
};

enum action_limit {
        ACTION_WRITTEN, /* command_timeout: a command that somebody wrote */
        ACTION_ANSWER,  /* timeout: QEMU does it at once */
        ACTION_GUEST,   /* unplug_timeout: the guest carries it out. An interrupt leaves it to the guest */
        ACTION_ENDLESS, /* none: its progress can be read */
};

struct action {
        struct action_step steps[ACTION_STEPS_MAX + 1]; /* ended by one without a command */
        enum action_until until;
        const char *events[ACTION_EVENTS_MAX + 1]; /* ACTION_EVENT: any of these, … */
        const char *member, *equals; /* … if a member of its data equals this plain binding to the record; or NULL */
        enum action_limit limit;
        const char *words[WORDS_OWN_MAX + 1];
        /*
         * The guest may lose the request. While a writer waits, and unless "once" was written, the last command is
         * repeated at this interval; 0: never.
         */
        uint64_t repeat_ns;
        const char *told_by; /* the event that reports each execution, by any monitor */
};

/* A single command, which the user of the action names. */
extern const struct action action_written;

/* One use of an action. All but the functions is borrowed during action_start(). */
struct action_use {
        const struct action *action;
        const char *name;              /* for messages: the verb, the file or the command */
        struct json_object *record;    /* of the object; or NULL */
        const struct qmp_args *args;   /* what was written; or NULL */
        const char *command;           /* of a first step that has none … */
        struct json_object *arguments; /* … and its arguments */
        bool oob;                      /* out of band, if the connection supports it */
        struct words words;
        /* receives the last return value when all is done; 0 or a negative errno. May be NULL */
        int (*done)(struct request *r, struct json_object *value);
        /* the request is about to fail, see r->waiter.reason; may be NULL */
        void (*failed)(struct request *r, int error);
        /* ACTION_SHOWN: whether it has had its effect. 0, WAITER_PARKED, or the error of the request */
        int (*shown)(struct request *r, bool *ret_shown);
};

/*
 * Checks all that can be checked, and sends the first command. For a kind's write(), which runs again from the top
 * after WAITER_PARKED while r->op is NULL. 0: it was only to be explained, and the file's answer has the commands;
 * WAITER_PARKED; or a negative errno.
 */
int action_start(struct request *r, const struct action_use *use);

/* For a kind's write() when r->op is set: the action looks whether it has had its effect. As action_start(). */
int action_continue(struct request *r);

/* Whether the server has the commands of all steps, as far as is known. */
bool action_is_supported(const struct vm *vm, const struct action *action);

/* For tests of the tables: the first mistake in it, static; NULL: none. */
const char *action_mistake(const struct action *action);

#endif
