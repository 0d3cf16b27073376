/*
 * Classifies a JSON value from a QMP server as greeting, return, error or event (QEMU's docs/interop/qmp-spec), and
 * formats commands. Pure; all results are borrowed from the classified value.
 */
#ifndef QMP_MESSAGE_H
#define QMP_MESSAGE_H

#include "qmp/util.h"

enum qmp_message_kind {
        QMP_MESSAGE_GREETING,
        QMP_MESSAGE_RETURN,
        QMP_MESSAGE_ERROR,
        QMP_MESSAGE_EVENT,
};

struct qmp_message {
        enum qmp_message_kind kind;
        struct json_object *value; /* greeting: "QMP"; return: its value; event: the whole message */
        struct json_object *id;    /* of a reply; NULL if absent */
        bool has_id;               /* an id may be JSON null, which is NULL in json-c */
        /* error: class and description; event: name and data (NULL if absent) */
        const char *error_class, *error_desc;
        const char *event;
        struct json_object *data;
};

/* Returns 0, or -EBADMSG if the value is not one of the four. */
int qmp_message_classify(struct json_object *value, struct qmp_message *ret_message);

/* Whether a greeting offers the capability, such as "oob". */
bool qmp_greeting_offers(struct json_object *greeting, const char *capability);

/* The number of bytes of a text from QEMU that are shown in a line; no description of QEMU 7.2 is longer. */
#define QMP_WORDS_MAX 4096

/* The number of bytes of the text to keep: at most QMP_WORDS_MAX, and whole characters. */
size_t qmp_words_size(const char *text);

/*
 * Makes a text from QEMU, or one that contains such a text, safe to be shown in one line of a terminal: control
 * characters, including C1, become \xXX, and the text is cut at QMP_WORDS_MAX. The caller owns the result; NULL if
 * out of memory.
 */
char *qmp_words(const char *text);

/*
 * Formats the return value of query-version, or "version" of the greeting, as "7.2.22 (Debian 1:7.2+dfsg-7)". The
 * caller owns the text. Returns 0, -ENOMEM, or -EBADMSG.
 */
int qmp_version_format(struct json_object *version, char **ret_text);

/*
 * Formats a command for QEMU: compact and without a newline, since QEMU spends 4 µs on each byte. With @oob_id it is
 * executed out of band. @arguments may be NULL and remains the caller's. The caller owns the text. Returns 0 or
 * -ENOMEM.
 */
int qmp_command_format(const char *name, struct json_object *arguments, const char *oob_id, char **ret_text,
                       size_t *ret_size);

/* Adds a member and takes ownership of its value, also on failure. Returns false if out of memory. */
bool qmp_json_add(struct json_object *object, const char *key, struct json_object *value);
bool qmp_json_add_string(struct json_object *object, const char *key, const char *value);

/* The member of an object. NULL if @object is not an object, or the member is missing or null. Borrowed. */
struct json_object *qmp_json_get(struct json_object *object, const char *key);
/* The same for a string member; NULL if it is not a string. */
const char *qmp_json_get_string(struct json_object *object, const char *key);

#endif
