/*
 * Operations in the mount as data: what a shell does with a path, and what became of it.
 */
#ifndef TESTS_OPERATION_H
#define TESTS_OPERATION_H

#include "tests/lib/rig.h"

enum op_verb {
        OP_CAT,
        OP_LS,
        OP_LINK,
        OP_ECHO, /* opened for writing only */
        OP_ASK,  /* written, and the answer read from the same open file */
        OP_HERD, /* many at once: @path is "PATH PATH=TEXT …", what is opened and read, and what is written */
};

struct op {
        enum op_verb verb;
        const char *path;
        const char *text; /* what is written */
        bool offline;     /* it needs no QEMU */
};

struct op_result {
        int error;  /* 0 or a negative errno */
        char *text; /* what was read or listed; NULL on error, and of OP_ECHO */
};

void op_run(const struct op *op, struct op_result *ret_result);
void op_result_deinit(struct op_result *result);
/* Whether an errno is one that docs/tree.md knows. @error is negative or 0. */
bool op_error_is_documented(int error);

#endif
