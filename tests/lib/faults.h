/*
 * Faults: the whole daemon is connected to a fake QEMU that listens, does what a scenario says, and meets one fault in what
 * QEMU sends. What becomes of each operation, of those that wait in the background and of the connection is judged by a
 * table of the faults; then nothing may be left of it, and the next connection must work.
 *
 * A case costs a millisecond, so thousands of them share a process and a daemon. They are counted over all processes of a
 * program, which says so at its end and fails if there were fewer than it must have. Where there are more than the
 * continuous integration has the time for, one of so many is tried; QMPFS_FAULTS=all tries all (with CK_TIMEOUT_MULTIPLIER=20).
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include "tests/lib/operation.h"
#include "tests/lib/test.h"

/* --- counting ---------------------------------------------------------------------------------------------------- */

/* To be called first in main(). @stride: of how many cases one is tried, unless all are wanted. */
void faults_begin(unsigned stride);
/* At the end of main(): prints what was tried. False: it was less than @least of those that there are. */
bool faults_end(unsigned long least);
/* There is a case; whether it is to be tried. */
bool faults_try(void);
/* … of which one of so many is tried, or each; all if all are wanted. */
bool faults_try_one_of(unsigned of);
bool faults_try_always(void);

/* Where `errors` ends now; from there on each failure has a line again, the repeat of an earlier one, too. */
uint64_t faults_errors_from(void);
/* Whether what was added to `errors` since it had @from bytes has that. */
bool faults_errors_have(uint64_t from, const char *part);

/* --- scenarios --------------------------------------------------------------------------------------------------- */

struct scenario {
        const char *name;
        const struct op *ops;
        size_t n_ops;
        /* Once, when there is a daemon; when a case begins; before each operation; for each command, before the table of
         * the fake. All may be NULL. */
        void (*setup)(void);
        void (*begin)(void);
        void (*turn)(size_t op);
        bool (*answer)(struct fake_qemu *fake, const struct fake_command *command);
};

/*
 * Makes the daemon, connects it, and plays the scenario without a fault, twice, which must be the same; then come cases;
 * faults_down() ends it all. In one process.
 */
void faults_up(const struct scenario *scenario);
void faults_down(void);
/* The same for tests that have operations of their own: only what faults_clean() needs. */
void faults_up_plain(void);
/* Whether nothing is left of what was done before, and the next connection works. The connection is a new one afterwards. */
void faults_clean(void);

/* A scenario's own end of the connection, behind all that was to be sent. */
void faults_end_connection(bool reset);

/* What the scenario has without a fault. */
size_t faults_n_messages(void); /* from QEMU, those of the handshake not counted */
size_t faults_n_bytes(void);    /* from QEMU, from the start of the connection */
size_t faults_n_handshake_bytes(void);
const struct op_result *faults_result(size_t op);

/* Messages of the handshake: the greeting, the answer to the negotiation, that to the daemon's own query-status. */
#define FAULTS_HANDSHAKE 3

/* --- faults ------------------------------------------------------------------------------------------------------ */

/* What a message is. */
enum fault_message {
        FAULT_GREETING,
        FAULT_NEGOTIATION,
        FAULT_REPLY,
        FAULT_EVENT,
        N_FAULT_MESSAGES,
};

enum fault_end {
        GOES_ON, /* as if nothing had been: each operation has its usual result */
        ENDS,    /* the connection ends at once, with the words; who waits gets EHOSTDOWN */
        WAITS,   /* nothing comes any more: who waits runs into the limit */
        DEPENDS, /* on what else comes, or on what the message was; any outcome that is clean */
};

struct fault_kind {
        const char *name;
        enum fault_end end[N_FAULT_MESSAGES];
        const char *words[N_FAULT_MESSAGES]; /* of `connection` when it ENDS; NULL: those of a closed connection */
        enum { SIZE_ANY, SIZE_LARGE } size;  /* LARGE: takes so long that a few places must do */
        bool only_asked;                     /* it ENDS only if no other command is under way, else it DEPENDS */
        bool forged;  /* the operation may have any result, and only then the connection ends */
        bool resumes; /* it WAITS, then what was held back comes after all */
        /* Sends what is to be sent instead of the message; @at: how many of its bytes have left before. */
        void (*inject)(const char *message, size_t size, size_t at);
};

/* Those of whole messages, and those that can hit any byte (there, all but closing, resetting and stalling DEPEND). */
extern const struct fault_kind fault_kinds[], fault_byte_kinds[];
extern const size_t n_fault_kinds, n_fault_byte_kinds;

enum fault_where { AT_HANDSHAKE, AT_MESSAGE, AT_BYTE };

struct fault {
        const struct fault_kind *kind;
        enum fault_where where;
        size_t at; /* the Nth message of the handshake, message of the scenario, or byte of the connection, from 0 */
};

/* Plays the scenario with the fault, judges, and cleans. */
void faults_case(const struct fault *fault);
/* Tries each kind that is not large at each of the first @n messages of the handshake, or of the scenario. */
void faults_try_all(enum fault_where where, size_t n);

#endif
