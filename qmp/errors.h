/*
 * The one place where a QMP error becomes an errno.
 */
#ifndef QMP_ERRORS_H
#define QMP_ERRORS_H

/*
 * Returns a positive errno for the class and description of a QMP error, or for a line of the human monitor that
 * reports one.
 *
 * QEMU gives nearly all errors the class GenericError and tells them apart by words only, so the words are matched:
 * first the cause that error_setg_errno() adds (": No such file or directory"), then those of QEMU 7.2. Unknown words
 * are EIO. User input that QEMU quotes does not influence the result.
 *
 * Some errnos mean something else when they come from a file system, and are replaced: ENOSYS by EOPNOTSUPP,
 * EHOSTDOWN and ETIMEDOUT by EHOSTUNREACH; EINTR, ECANCELED, ENOTCONN, ECONNABORTED and ESTALE by EIO. A caller that
 * looks up a name must not take ENOENT from here for a missing name.
 */
int qmp_error_to_errno(const char *error_class, const char *error_desc);

#endif
