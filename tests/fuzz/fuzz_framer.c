/*
 * Bytes of a monitor, in chunks of any size: the framer and what a message is.
 *
 * Input: a byte for the sizes of the chunks, one for the limit of a message's size, the bytes.
 *
 * However the bytes are cut, the same values come and the same end. Each value is written as JSON that
 * reads back the same.
 */
#include <errno.h>

#include "fuzz.h"
#include "qmp/framer.h"
#include "qmp/message.h"

struct run {
        unsigned chunks;
        size_t max_text;
        struct json_object *values; /* an array */
        int end;                    /* 0, or the error */
};

static void check_greeting(struct json_object *greeting)
{
        char *version = NULL;
        int r = qmp_version_format(qmp_json_get(greeting, "version"), &version);

        (void)qmp_greeting_offers(greeting, "oob");
        CHECK(r == 0 || r == -EBADMSG);
        CHECK((r == 0) == (version != NULL));
        free(version);
}

static void check_message(struct json_object *value)
{
        struct qmp_message m;
        int r = qmp_message_classify(value, &m);

        CHECK(r == 0 || r == -EBADMSG);
        if (r < 0)
                return;
        switch (m.kind) {
        case QMP_MESSAGE_GREETING:
                CHECK(json_object_is_type(m.value, json_type_object));
                check_greeting(m.value);
                break;
        case QMP_MESSAGE_RETURN:
                break;
        case QMP_MESSAGE_ERROR:
                CHECK(m.error_class && m.error_desc);
                break;
        case QMP_MESSAGE_EVENT:
                CHECK(m.event);
                CHECK(!m.data || json_object_is_type(m.data, json_type_object));
                break;
        }
}

/* What goes on to files is JSON, and the same. */
static void check_value(struct json_object *value)
{
        struct json_object *again;
        const char *text;
        size_t size;

        CHECK(json_object_is_type(value, json_type_object));
        text = json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN, &size);
        CHECK_MSG(is_json(text, size, QMP_FRAMER_MAX_DEPTH), "no JSON: %s", text);
        CHECK(parse_json(text, size, &again));
        CHECK_MSG(same_json(value, again), "not the same: %s", text);
        json_object_put(again);
}

static size_t chunk_size(struct run *run, size_t n)
{
        size_t size;

        /* 0: all at once; 1: byte by byte; else anything, but always the same */
        if (run->chunks == 0)
                return n;
        if (run->chunks == 1)
                return 1;
        run->chunks = run->chunks * 1103515245 + 12345;
        size = 1 + (run->chunks >> 16) % 64;
        return size < n ? size : n;
}

static void feed(struct run *run, const uint8_t *data, size_t size)
{
        struct qmp_framer framer;

        qmp_framer_init(&framer);
        framer.max_text = run->max_text;
        while (run->end == 0 && size > 0) {
                size_t n = chunk_size(run, size), room_size;
                struct json_object *value;
                char *room;
                int r;

                CHECK(qmp_framer_room(&framer, &room, &room_size) == 0);
                CHECK(room_size > 0);
                n = n < room_size ? n : room_size;
                memcpy(room, data, n);
                qmp_framer_fed(&framer, n);
                data += n;
                size -= n;
                while ((r = qmp_framer_next(&framer, &value)) == QMP_FRAMER_VALUE)
                        CHECK(json_object_array_add(run->values, value) == 0);
                CHECK(r == QMP_FRAMER_MORE || r == -EBADMSG || r == -EMSGSIZE || r == -E2BIG || r == -ELOOP);
                run->end = r;
                /* nobody makes it hold more than a message and what came with it */
                (void)qmp_framer_rest(&framer, &n);
                CHECK(r < 0 || n <= run->max_text);
        }
        qmp_framer_reset(&framer);
        CHECK(framer.max_text == run->max_text);
        qmp_framer_deinit(&framer);
        qmp_framer_deinit(&framer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = { data, size };
        unsigned chunks = input_byte(&input), limit = input_byte(&input);
        size_t max_text = limit < 128 ? QMP_FRAMER_MAX_TEXT : 1 + 8 * (size_t)(limit - 128);
        struct run runs[] = { { 0, max_text, NULL, 0 }, { 1, max_text, NULL, 0 }, { chunks + 2, max_text, NULL, 0 } };

        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                runs[i].values = json_object_new_array();
                CHECK(runs[i].values);
                feed(&runs[i], input.data, input.size);
                CHECK_MSG(runs[i].end == runs[0].end, "%d, not %d", runs[i].end, runs[0].end);
                CHECK(same_json(runs[i].values, runs[0].values));
        }
        for (size_t i = 0; i < json_object_array_length(runs[0].values); i++) {
                check_value(json_object_array_get_idx(runs[0].values, i));
                check_message(json_object_array_get_idx(runs[0].values, i));
        }
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                json_object_put(runs[i].values);
        return 0;
}
