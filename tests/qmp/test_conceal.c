#include "qmp/conceal.h"

#include "tests/lib/test.h"

static const struct {
        const char *arguments, *text, *shown;
} values[] = {
        { "null", "Device 'x' not found", "Device 'x' not found" },
        { "{}", "", "" },
        { "{\"id\":\"s\",\"data\":\"hunter2!\"}", "data 'hunter2!' contains invalid characters",
          "data '…' contains invalid characters" },
        { "{\"data\":\"two words\"}", "'two words', words, two", "'…', …, two" },
        { "{\"data\":\"hunter2\"}", "hunter2hunter2 hunter!", "… hunter!" },
        /* names of things stay: one looks for them */
        { "{\"device\":\"disk9\",\"password\":\"disk\"}", "Device 'disk9' not found", "Device '…9' not found" },
        { "{\"device\":\"disk9\"}", "Device 'disk9' not found", "Device 'disk9' not found" },
        { "{\"file\":{\"driver\":\"file\",\"filename\":\"/no/such\"}}", "Could not open '/no/such': No such file",
          "Could not open '/no/such': No such file" },
        { "{\"filename\":\"https://user:pass@host/x\"}", "cannot open https://user:pass@host/x", "cannot open …" },
        { "{\"filename\":\"rbd:pool/image:key=hunter2\"}", "no 'rbd:pool/image:key=hunter2'", "no '…'" },
        { "{\"filename\":\"json:{\\\"cookie\\\":\\\"hunter2\\\"}\"}", "no 'json:{\"cookie\":\"hunter2\"}'",
          "no '…'" },
        { "{\"path\":\"/objects/s\",\"property\":\"data\",\"value\":\"secret\"}",
          "Parameter '/objects/s.data' does not accept value 'secret'",
          "Parameter '/objects/s.data' does not accept value '…'" },
        /* short values only in quotes, else no text would be left */
        { "{\"password\":\"a\"}", "a bad value 'a' or \"a\"", "a bad value '…' or \"…\"" },
        { "{\"password\":\"a\"}", "'a'a'a'", "'…'…'…'" },
        { "{\"password\":\"abc\"}", "abc 'abc'", "abc '…'" },
        { "{\"password\":\"'\"}", "''''", "'…'" },
        { "{\"password\":\"\"}", "''", "''" },
        { "{\"command-line\":\"set_password vnc hunter2 x=secret\"}", "unknown: 'hunter2' vnc secret",
          "unknown: '…' vnc …" },
        { "{\"a\":{\"b\":[{\"c\":[\"hunter2\"]}]}}", "no hunter2", "no …" },
        { "{\"keys\":[\"hunter2\",1,true,null]}", "1 true null hunter2", "1 true null …" },
        { "[\"hunter2\"]", "hunter2", "…" },
        /* values that are parts of others, in any order, and that overlap */
        { "{\"x\":\"data\",\"y\":\"database-hunter2\"}", "no 'database-hunter2', data", "no '…', …" },
        { "{\"y\":\"database-hunter2\",\"x\":\"data\"}", "no 'database-hunter2', data", "no '…', …" },
        { "[\"hunter2-hunt\",\"hunter3\"]", "no 'hunter2-hunter3'", "no '…'" },
        { "[\"hunt\",\"hunter2\"]", "no 'hunter2hunter2'", "no '…'" },
        /* parts of a value that QEMU parses */
        { "{\"command-line\":\"set max \\\"hunter2\\\"\"}", "Invalid size hunter2", "Invalid size …" },
        { "{\"command-line\":\"set max 'hunter2\"}", "Invalid size hunter2", "Invalid size …" },
        { "{\"x\":\"json:{\\\"driver\\\":\\\"hunter2\\\"}\"}", "no 'hunter2'", "no '…'" },
        { "{\"x\":\"json:{'a':['hunter2']}\"}", "no hunter2", "no …" },
        { "{\"uri\":\"https://bob:hunter2@host/x?hunter3&hunter4;hunter5\"}",
          "hunter2 of bob, hunter3 hunter4 hunter5", "… of bob, … … …" },
        { "{\"uri\":\"tcp:hunter2\\\\hunter3`hunter4\"}", "hunter2 hunter3 hunter4", "… … …" },
        /* of those parts only long ones: else no text would be left */
        { "{\"uri\":\"tcp:ab\"}", "'ab' is not a port of 'tcp:ab'", "'ab' is not a port of '…'" },
        /* QEMU cuts what is too long for it */
        { "[\"hunter2hunter2\"]", "bad value 'hunter2hun", "bad value '…" },
        { "[\"hun\"]", "bad value 'hu", "bad value 'hu" },
        { "[\"0123456789012345678901234567890123456789\"]", "'01234567890123456789012345678901234' (cut)",
          "'…' (cut)" },
        { "[\"0123456789012345678901234567890ä234\"]", "0123456789012345678901234567890\303 0123", "… …" },
};

/* As many parts as there are, in as long a text: it ends all the same, and quotes nothing. */
START_TEST(large_values_in_large_texts)
{
        enum { N = 32 * 1024 };
        char *value = malloc(2 * N + 1), *shown;
        struct json_object *arguments;

        for (size_t i = 0; i < N; i++)
                memcpy(value + 2 * i, "a,", 3);
        arguments = json_object_new_string(value);
        for (size_t i = 0; i < N; i++)
                value[2 * i + 1] = '.';
        shown = qmp_conceal_values(value, arguments);
        ck_assert_str_eq(shown, "…");
        free(shown);
        free(value);
        json_object_put(arguments);
}
END_TEST

START_TEST(values_in_words_of_qemu)
{
        struct json_object *arguments = json_tokener_parse(values[_i].arguments);
        char *shown = qmp_conceal_values(values[_i].text, arguments);

        ck_assert_str_eq(shown, values[_i].shown);
        free(shown);
        json_object_put(arguments);
}
END_TEST

static const struct {
        const char *string, *shown;
} credentials[] = {
        { "/images/a.qcow2", "/images/a.qcow2" },
        { "", "" },
        { "nbd:host:10809:exportname=x", "nbd:host:10809:exportname=x" },
        { "https://host/a.img", "https://host/a.img" },
        { "http://bob:hunter2@host/a.img", "http://…@host/a.img" },
        { "http://bob:hun@ter/2@host/a.img", "http://…@host/a.img" },
        { "iscsi://bob%hunter2@host/iqn.x/1", "iscsi://…@host/iqn.x/1" },
        { "https://host/a.img?token=hunter2", "https://host/a.img?…" },
        { "https://bob:hunter2@host/a?token=hunter2", "https://…@host/a?…" },
        { "https://bob:hun?ter2@host/a", "https://…" },
        { "https://host/a?mail=bob@hunter2", "https://…" },
        { "blkdebug:cfg:http://bob:hunter2@host/a", "blkdebug:cfg:http://…@host/a" },
        { "blkverify:http://a:hunter2@h/a:http://b:hunter2@h/b", "blkverify:http://…@h/b" },
        { "json:{\"driver\": \"https\", \"cookie\": \"hunter2\", \"url\": \"https://h\"}", "json:…" },
        { "rbd:pool/image", "rbd:pool/image" },
        { "rbd:pool/image@snapshot:id=admin:key=hunter2", "rbd:pool/image@snapshot:…" },
        { "Could not open 'ftp://bob:hunter2@h/a': no", "Could not open 'ftp://…@h/a': no" },
        /* amid words */
        { "error connecting: rbd:pool/image:key=hunter2", "error connecting: rbd:pool/image:…" },
        { "bad option 'file.cookie=hunter2' of 'disk0'", "bad option 'file.cookie=…" },
        { "password=two words", "password=…" },
        { "password-secret=sec0 key-secret=sec1", "password-secret=sec0 key-secret=sec1" },
        { "expected KEY=VALUE, no monkey=1, key =2, key=", "expected KEY=VALUE, no monkey=1, key =2, key=" },
        { "http://h/a: key=hunter2", "http://h/a: key=…" },
        { "http://h/a: key=hunter2 ?x", "http://h/a: key=…" },
        { "key=hunter2 http://bob:hunter2@h/a", "key=…" },
        { "http://h/a or json:{\"cookie\": \"hunter2\"}", "http://h/a or json:…" },
        { "http://h/a or rbd:pool/image:key=hunter2", "http://h/a or rbd:pool/image:…" },
        { "http://…@h/a?…", "http://…@h/a?…" },
        /* the last part of a key counts, in any case */
        { "bad proxy-password=hunter2 of", "bad proxy-password=…" },
        { "access-token=hunter2", "access-token=…" },
        { "proxy_password=hunter2", "proxy_password=…" },
        { "Password=hunter2", "Password=…" },
        { "pass=hunter2", "pass=…" },
        { "passphrase=hunter2", "passphrase=…" },
        { "pwd=hunter2", "pwd=…" },
        { "sig=hunter2", "sig=…" },
        { "client_secret=hunter2", "client_secret=…" },
        { "KEY=hunter2", "KEY=…" },
        { "KEY=VALUEhunter2", "KEY=…" },
        { "expected KEY=VALUE at character 3", "expected KEY=VALUE at character 3" },
        { "file.key-secret=sec0, Password-Secret=sec1", "file.key-secret=sec0, Password-Secret=sec1" },
        { "compass=1 design=2 secretive=3", "compass=1 design=2 secretive=3" },
        /* JSON */
        { "no {\"password\": \"hunter2\"}", "no {\"password\":…" },
        { "no {\"password\" : \"hunter2\"}", "no {\"password\" :…" },
        { "{\"file.password\":\"hunter2\"}", "{\"file.password\":…" },
        { "{\"key\":12345}", "{\"key\":…" },
        { "{'Password': 'hunter2'}", "{'Password':…" },
        { "{\"key-secret\": \"sec0\"}", "{\"key-secret\": \"sec0\"}" },
        { "Could not open 'key': No such file", "Could not open 'key': No such file" },
        { "password: no", "password: no" },
        /* URLs without a scheme */
        { "//bob:hunter2@host/x", "//…@host/x" },
        { "no '//bob:hunter2@host/x?y'", "no '//…@host/x?…" },
        { "//host/x", "//host/x" },
        { "/images//a@b", "/images//a@b" },
};

START_TEST(credentials_in_names_of_images)
{
        struct json_object *object = json_object_new_object(), *list = json_object_new_array();
        struct json_object *string;
        char *shown, *again;

        ck_assert_int_eq(json_object_array_add(list, json_object_new_string(credentials[_i].string)), 0);
        ck_assert_int_eq(json_object_array_add(list, json_object_new_int(5)), 0);
        ck_assert_int_eq(json_object_array_add(list, NULL), 0);
        ck_assert_int_eq(json_object_object_add(object, "image", list), 0);
        ck_assert_int_eq(qmp_conceal_credentials(object), 0);
        string = json_object_array_get_idx(list, 0);
        ck_assert_str_eq(json_object_get_string(string), credentials[_i].shown);
        ck_assert_int_eq(json_object_get_string_len(string), (int)strlen(credentials[_i].shown));
        json_object_put(object);
        shown = qmp_conceal_text(credentials[_i].string);
        ck_assert_str_eq(shown, credentials[_i].shown);
        again = qmp_conceal_text(shown);
        ck_assert_str_eq(again, shown);
        free(again);
        free(shown);
}
END_TEST

static const struct {
        const char *json, *shown;
} messages[] = {
        { "{\"execute\":\"query-status\"}", "{\"execute\":\"query-status\"}" },
        { "{\"execute\":\"set_password\",\"arguments\":{\"protocol\":\"vnc\",\"password\":\"hunter2\",\"n\":-12.5e+3,"
          "\"connected\":null,\"b\":true}}",
          "{\"execute\":\"set_password\",\"arguments\":{\"protocol\":\"…\",\"password\":\"…\",\"n\":\"…\","
          "\"connected\":null,\"b\":true}}" },
        { "{\"arguments\":{\"execute\":\"hunter2\",\"a\":[\"hunter2\",[5]]},\"exec-oob\":\"x\",\"id\":\"q1\"}",
          "{\"arguments\":{\"execute\":\"…\",\"a\":[\"…\",[\"…\"]]},\"exec-oob\":\"x\",\"id\":\"q1\"}" },
        { "{\"return\":{}}", "{\"return\":{}}" },
        { "{\"return\":\"hunter2\"}", "{\"return\":\"…\"}" },
        { "{\"return\":\"hunter2\\\"},{\\\"id\\\":\\\"hunter2\\\\\"}", "{\"return\":\"…\"}" },
        { "{\"return\":{\"class\":\"hunter2\",\"n\":7,\"l\":[\"hunter2\",{\"event\":\"hunter2\"}]}}",
          "{\"return\":{\"class\":\"…\",\"n\":7,\"l\":[\"…\",{\"event\":\"…\"}]}}" },
        { "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad 'hunter2'\"}}",
          "{\"error\":{\"class\":\"GenericError\",\"desc\":\"…\"}}" },
        { "{\"error\":{\"a\":{\"class\":\"hunter2\"}},\"x\":\"hunter2\"}",
          "{\"error\":{\"a\":{\"class\":\"…\"}},\"x\":\"…\"}" },
        { "{\"timestamp\":{\"seconds\":1},\"event\":\"STOP\",\"data\":{\"a\":\"b\"}}",
          "{\"timestamp\":{\"seconds\":1},\"event\":\"STOP\",\"data\":{\"a\":\"b\"}}" },
        { "{\"QMP\":{\"version\":{\"package\":\"x\"},\"capabilities\":[\"oob\"]}}",
          "{\"QMP\":{\"version\":{\"package\":\"x\"},\"capabilities\":[\"oob\"]}}" },
        { "\"hunter2\"", "\"…\"" },
        { "[\"hunter2\",1]", "[\"…\",\"…\"]" },
        /* what is not JSON is hidden as far as it looks like it, and read to its end only */
        { "\"hunter2", "\"…\"" },
        { "\"hunter2\\", "\"…\"" },
        { "", "" },
};

START_TEST(messages_for_a_trace)
{
        char *shown = qmp_conceal_message(messages[_i].json);

        ck_assert_str_eq(shown, messages[_i].shown);
        free(shown);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(values_in_words_of_qemu, ARRAY_SIZE(values)),
                TEST_EACH(credentials_in_names_of_images, ARRAY_SIZE(credentials)),
                TEST(large_values_in_large_texts),
                TEST_EACH(messages_for_a_trace, ARRAY_SIZE(messages)),
        };

        return test_main("conceal", tests, ARRAY_SIZE(tests), NULL, NULL);
}
