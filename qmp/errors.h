/*
 * The one place where a QMP error becomes an errno.
 */
#ifndef QMP_ERRORS_H
#define QMP_ERRORS_H

/*
 * A positive errno for the class and description of a QMP error. QEMU gives nearly all errors the class GenericError
 * and tells them apart by words only, so the words are matched; they are those of QEMU 7.2, and an unknown one is EIO.
 */
int qmp_error_to_errno(const char *error_class, const char *error_desc);

#endif
