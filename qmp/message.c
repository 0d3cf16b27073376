#include "qmp/message.h"

#include <errno.h>
#include <stdio.h>

#include "qmp/jsonc.h"

bool qmp_json_add(struct json_object *object, const char *key, struct json_object *value)
{
        if (json_object_object_add(object, key, value) == 0)
                return true;
        json_object_put(value);
        return false;
}

bool qmp_json_add_string(struct json_object *object, const char *key, const char *value)
{
        struct json_object *string = json_object_new_string(value);

        return string && qmp_json_add(object, key, string);
}

struct json_object *qmp_json_get(struct json_object *object, const char *key)
{
        struct json_object *member;

        if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &member))
                return NULL;
        return member;
}

const char *qmp_json_get_string(struct json_object *object, const char *key)
{
        struct json_object *member = qmp_json_get(object, key);

        return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : NULL;
}

int qmp_message_classify(struct json_object *value, struct qmp_message *ret_message)
{
        struct qmp_message m = { 0 };
        struct json_object *member;

        if (!json_object_is_type(value, json_type_object))
                return -EBADMSG;
        if (json_object_object_get_ex(value, "return", &m.value)) {
                m.kind = QMP_MESSAGE_RETURN;
                m.has_id = json_object_object_get_ex(value, "id", &m.id);
        } else if (json_object_object_get_ex(value, "error", &member)) {
                m.kind = QMP_MESSAGE_ERROR;
                m.has_id = json_object_object_get_ex(value, "id", &m.id);
                m.error_class = qmp_json_get_string(member, "class");
                m.error_desc = qmp_json_get_string(member, "desc");
                if (!m.error_class || !m.error_desc)
                        return -EBADMSG;
        } else if (json_object_object_get_ex(value, "event", &member)) {
                if (!json_object_is_type(member, json_type_string))
                        return -EBADMSG;
                m.kind = QMP_MESSAGE_EVENT;
                m.event = json_object_get_string(member);
                m.value = value;
                m.data = qmp_json_get(value, "data");
                if (m.data && !json_object_is_type(m.data, json_type_object))
                        return -EBADMSG;
        } else if (json_object_object_get_ex(value, "QMP", &m.value)) {
                if (!json_object_is_type(m.value, json_type_object))
                        return -EBADMSG;
                m.kind = QMP_MESSAGE_GREETING;
        } else {
                return -EBADMSG;
        }
        *ret_message = m;
        return 0;
}

bool qmp_greeting_offers(struct json_object *greeting, const char *capability)
{
        struct json_object *list = qmp_json_get(greeting, "capabilities");

        if (!json_object_is_type(list, json_type_array))
                return false;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                struct json_object *item = json_object_array_get_idx(list, i);

                if (json_object_is_type(item, json_type_string) && streq(json_object_get_string(item), capability))
                        return true;
        }
        return false;
}

size_t qmp_words_size(const char *text)
{
        size_t n = strnlen(text, QMP_WORDS_MAX + 1);

        if (n <= QMP_WORDS_MAX)
                return n;
        for (n = QMP_WORDS_MAX; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
                n--;
        return n;
}

/* The length of the control character at @text, or 0. U+0080 to U+009F are also control characters to terminals. */
static size_t control_length(const char *text)
{
        const unsigned char *s = (const unsigned char *)text;

        if (s[0] < 0x20 || s[0] == 0x7f)
                return 1;
        return s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0 ? 2 : 0;
}

char *qmp_words(const char *text)
{
        static const char cut[] = " …";
        size_t size = qmp_words_size(text);
        char *words = malloc(4 * size + sizeof(cut)), *to = words;

        if (!words)
                return NULL;
        for (const char *end = text + size; text < end;) {
                size_t n = control_length(text);

                if (n == 0)
                        *to++ = *text++;
                for (; n > 0; n--)
                        to += sprintf(to, "\\x%02x", (unsigned char)*text++);
        }
        memcpy(to, *text ? cut : "", *text ? sizeof(cut) : 1);
        return words;
}

int qmp_version_format(struct json_object *version, char **ret_text)
{
        struct json_object *qemu = qmp_json_get(version, "qemu");
        const char *package = qmp_json_get_string(version, "package");
        _cleanup_(qmp_freep) char *text = NULL;

        if (!json_object_is_type(qemu, json_type_object))
                return -EBADMSG;
        if (asprintf(&text, "%d.%d.%d%s%s%s", json_object_get_int(qmp_json_get(qemu, "major")),
                     json_object_get_int(qmp_json_get(qemu, "minor")),
                     json_object_get_int(qmp_json_get(qemu, "micro")), package && *package ? " (" : "",
                     package ? package : "", package && *package ? ")" : "") < 0) {
                text = NULL;
                return -ENOMEM;
        }
        *ret_text = qmp_words(text);
        return *ret_text ? 0 : -ENOMEM;
}

int qmp_command_format(const char *name, struct json_object *arguments, const char *oob_id, char **ret_text,
                       size_t *ret_size)
{
        _cleanup_(qmp_json_putp) struct json_object *command = json_object_new_object();
        struct json_object *string;
        const char *text;
        char *copy;
        size_t size;
        int r;

        if (!command)
                return -ENOMEM;
        string = json_object_new_string(name);
        if (!string || json_object_object_add(command, oob_id ? "exec-oob" : "execute", string) < 0) {
                json_object_put(string);
                return -ENOMEM;
        }
        if (arguments && json_object_object_add(command, "arguments", json_object_get(arguments)) < 0) {
                json_object_put(arguments);
                return -ENOMEM;
        }
        if (oob_id) {
                string = json_object_new_string(oob_id);
                if (!string || json_object_object_add(command, "id", string) < 0) {
                        json_object_put(string);
                        return -ENOMEM;
                }
        }
        r = qmp_json_text(command, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &text, &size);
        if (r < 0)
                return r;
        copy = strndup(text, size);
        if (!copy)
                return -ENOMEM;
        *ret_text = copy;
        *ret_size = size;
        return 0;
}
