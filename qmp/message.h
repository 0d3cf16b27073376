/*
 * What one JSON value from a QMP server is: greeting, return, error or event (QEMU's docs/interop/qmp-spec). Pure;
 * everything borrows from the value that was classified.
 */
#ifndef QMP_MESSAGE_H
#define QMP_MESSAGE_H

#include "util.h"

enum qmp_message_kind {
        QMP_MESSAGE_GREETING,
        QMP_MESSAGE_RETURN,
        QMP_MESSAGE_ERROR,
        QMP_MESSAGE_EVENT,
};

struct qmp_message {
        enum qmp_message_kind kind;
        struct json_object *value; /* greeting: "QMP"; return: its value; event: the whole message */
        struct json_object *id;    /* of a reply; NULL if it has none */
        bool has_id;               /* an id may be JSON null, which is NULL in json-c */
        /* error: class and description; event: name and data (NULL if it has none) */
        const char *error_class, *error_desc;
        const char *event;
        struct json_object *data;
};

/* 0, or -EBADMSG if the value is none of the four. */
int qmp_message_classify(struct json_object *value, struct qmp_message *ret_message);

/* Whether a greeting offers the capability, such as "oob". */
bool qmp_greeting_offers(struct json_object *greeting, const char *capability);

/* What of a text from QEMU goes into a line for people: no description is longer. */
#define QMP_WORDS_MAX 4096

/* How many of the text's bytes to keep: all, or up to QMP_WORDS_MAX, whole characters. */
size_t qmp_words_size(const char *text);

/*
 * A text that QEMU gave, or that has one in it, for a line on somebody's terminal: control characters (the C1 ones too) as
 * \xXX, and cut at QMP_WORDS_MAX. The caller's; NULL: out of memory.
 */
char *qmp_words(const char *text);

/* "7.2.22 (Debian 1:7.2+dfsg-7)" of what query-version returns or of the greeting's "version", as words; the caller frees.
 * 0, -ENOMEM, or -EBADMSG. */
int qmp_version_format(struct json_object *version, char **ret_text);

/*
 * The command as QEMU is to read it: compact, without newline, since QEMU spends 4 µs on each byte. With @oob_id
 * it goes out of band. @arguments may be NULL and stays the caller's. The text is the caller's. 0 or -ENOMEM.
 */
int qmp_command_format(const char *name, struct json_object *arguments, const char *oob_id, char **ret_text,
                       size_t *ret_size);

/* Adds a member, whose value is taken over in any case. False: out of memory. */
bool qmp_json_add(struct json_object *object, const char *key, struct json_object *value);
bool qmp_json_add_string(struct json_object *object, const char *key, const char *value);

/* The member of an object, NULL if @object is no object, lacks it, or it is null. Borrowed. */
struct json_object *qmp_json_get(struct json_object *object, const char *key);
/* The same for a string member; NULL if it is no string. */
const char *qmp_json_get_string(struct json_object *object, const char *key);

#endif
