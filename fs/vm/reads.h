/*
 * Which QMP commands a plain read (lookup, listing, stat, open, read, readlink, poll) may send.
 *
 * Those that make QEMU create, open, load or instantiate something can end it: QEMU 7.2 aborts in
 * device-list-properties of a type whose module is not installed. So each command is judged by QEMU's source (7.2 to
 * 10.0). A command that is not in the table, such as a query of a newer QEMU, is not sent for a read. fetch.c, which
 * sends the commands of all reads, checks this table.
 */
#ifndef FS_READS_H
#define FS_READS_H

#include <stdbool.h>
#include <stddef.h>

struct reads_command {
        const char *name;
        bool harmless;   /* a plain read may send it */
        const char *why; /* the effect in QEMU; continues "query-block …" */
};

/* Sorted by name. */
extern const struct reads_command reads_commands[];
extern const size_t n_reads_commands;

/* Whether a plain read may send the command. */
bool reads_may_send(const char *name);

/* The effect of the command in QEMU, static: "opens /dev/sev". */
const char *reads_why(const char *name);

#endif
