/*
 * A VM whose schema has commands of all sorts, and what it takes to write to cmd/, hmp and qmp.
 */
#ifndef TESTS_COMMAND_VM_H
#define TESTS_COMMAND_VM_H

#include "tests/lib/rig.h"

extern const char command_vm_schema[];

/* The fixture: the daemon, mounted and connected. */
void command_vm_up(void);
/* The same of a QEMU that executes out of band. */
void command_vm_up_again_with_oob(void);

/* A line, see k_send_write(); or bytes as they are. */
uint64_t send_text(const struct k_file *file, const char *text);
uint64_t send_text_at(const struct k_file *file, uint64_t offset, const char *text);
int write_text(const struct k_file *file, const char *text);

/* How many lines `errors` has. */
size_t n_errors(void);

/* Fills the window of commands on the wire with reads that QEMU leaves open. */
void fill_the_window(struct k_file files[4]);
void empty_the_window(void);

#define ASSERT_READ(file, offset, size, expected) ASSERT_REPLY(k_send_read((file), (offset), (size)), (expected))

#define ASSERT_READ_CONTAINS(file, expected)                                                                         \
        do {                                                                                                         \
                struct k_reply *_read = k_wait(k_send_read((file), 0, 65536));                                       \
                                                                                                                     \
                CHECK_MSG(_read->error == 0, "%s", strerrorname_np(-_read->error));                                  \
                CHECK_MSG(strstr(_read->data, (expected)), "'%s' is not in '%s'", (expected), _read->data);          \
                free(_read);                                                                                         \
        } while (0)

#endif
