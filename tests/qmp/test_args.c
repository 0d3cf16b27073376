#include "qmp/args.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/test.h"
#include "qmp/json.h"

static struct qmp_schema *schema;
static struct json_object *properties, *arguments;
static char *why;

static void forget(void)
{
        json_object_put(take_ptr(arguments));
        json_object_put(take_ptr(properties));
        free(take_ptr(why));
}

static void teardown(void)
{
        forget();
        schema = qmp_schema_free(schema);
}

static void load(const char *text)
{
        struct json_object *reply = json_tokener_parse(text);

        ck_assert_ptr_nonnull(reply);
        schema = qmp_schema_free(schema);
        ck_assert_int_eq(qmp_schema_new(reply, &schema), 0);
        json_object_put(reply);
}

static void load_real(void)
{
        _cleanup_(qmp_freep) char *text = test_data("query-qmp-schema.json", NULL);

        load(text);
}

/* With properties, if there are. */
static int build(const char *command, const char *text)
{
        const struct qmp_entity *entity = qmp_entities_find(&schema->commands, command);
        struct qmp_args *args = NULL;
        int r;

        ck_assert_msg(entity != NULL, "no command %s", command);
        json_object_put(take_ptr(arguments));
        free(take_ptr(why));
        r = qmp_args_parse(text, &args, &why);
        if (r == 0)
                r = qmp_args_build(args, entity, properties, &arguments, &why);
        qmp_args_free(args);
        return r;
}

static const char *plain(struct json_object *value)
{
        return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* @json or @error is NULL. */
static void check(const char *command, const char *text, const char *json, const char *error)
{
        int r = build(command, text);

        if (json) {
                ck_assert_msg(r == 0, "%s %s: %s", command, text, why);
                ck_assert_str_eq(plain(arguments), json);
                ck_assert_ptr_null(why);
        } else {
                ck_assert_msg(r == -EINVAL, "%s %s: %d, %s", command, text, r, plain(arguments));
                ck_assert_contains(why, error);
                ck_assert_ptr_null(arguments);
        }
}

#define CAPABILITY(i, on) "capabilities." i ".capability=xbzrle capabilities." i ".state=" on

static const struct {
        const char *command, *text, *json, *error;
} builds[] = {
        /* nothing */
        { "query-block", "", "null", NULL },
        { "query-block", " \t\r", "null", NULL },
        { "query-block", "{}", "null", NULL },
        { "query-block", " { } \n", "null", NULL },
        { "query-block", "a=1", NULL, "the key at character 1 is unknown; the command takes no arguments" },
        { "query-block", "{\"a\":1}", NULL, "key 1 of the arguments is unknown; the command takes no arguments" },
        { "query-block", ",", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "set-action", "", "null", NULL },
        { "block_resize", "", NULL, "'size' is missing; expected integer" },
        { "block_resize", "{}", NULL, "'size' is missing; expected integer" },

        /* a writer with a line buffer would have the first of several lines carried out by itself */
        { "query-block", "\n", NULL, "the arguments must be on one line, unless they are a JSON object" },
        { "block_resize", "device=a\nsize=1", NULL, "the arguments must be on one line" },
        { "block_resize", "device=a size=1\n", NULL, "the arguments must be on one line" },
        { "block_resize", "device=\"a\n\" size=1", NULL, "the arguments must be on one line" },
        { "block_resize", "\n{\"size\":1}", NULL, "the arguments must be on one line" },
        { "block_resize", "{\"device\":\"a\",\n\"size\":1}\n", "{\"device\":\"a\",\"size\":1}", NULL },

        /* pairs and what is between them */
        { "block_resize", "device=a,size=1", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", "device=a size=1", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", " device=a \t\tsize=1\r", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", "device=a, size=1", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", "device=a ,size=1,", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", "device=a , size=1 , ", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", "size=1,device=", "{\"size\":1,\"device\":\"\"}", NULL },
        { "block_resize", "device= size=1", "{\"device\":\"\",\"size\":1}", NULL },
        { "block_resize", "device=a=b size=1", "{\"device\":\"a=b\",\"size\":1}", NULL },
        { "block_resize", "device=a,,size=1", NULL, "'size' is missing" },
        { "block_resize", "size=1 device=a,,b", "{\"size\":1,\"device\":\"a,b\"}", NULL },
        { "block_resize", "size=1 device=,,", "{\"size\":1,\"device\":\",\"}", NULL },
        { "block_resize", "size=1 device=,,,,", "{\"size\":1,\"device\":\",,\"}", NULL },
        { "block_resize", "size=1 device=a,,,node-name=b", "{\"size\":1,\"device\":\"a,\",\"node-name\":\"b\"}",
          NULL },
        { "block_resize", "size=1 device=a\\b'c'd\"e", "{\"size\":1,\"device\":\"a\\\\b'c'd\\\"e\"}", NULL },
        { "block_resize", "size=1 device=\303\251\177", "{\"size\":1,\"device\":\"\303\251\177\"}", NULL },
        { "block_resize", "size=1 device=\v\f\x01", "{\"size\":1,\"device\":\"\\u000b\\f\\u0001\"}", NULL },
        { "block_resize", ",device=a", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "device=a, ,size=1", NULL,
          "expected KEY=VALUE at character 11; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "device", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "device a", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "device = a", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "device=a b size=1", NULL,
          "expected KEY=VALUE at character 10; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "device=a,b,size=1", NULL,
          "expected KEY=VALUE at character 10; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "=a", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "size=1 device=\377", NULL, "invalid UTF-8 at byte 15" },
        { "block_resize", "size=1 \355\240\200=1", NULL, "invalid UTF-8 at byte 8" },
        { "block_resize", "[1]", NULL,
          "expected KEY=VALUE at character 1; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "\"size\"=1", NULL,
          "the key at character 1 is unknown; expected: device, node-name, size" },

        /* keys */
        { "block_resize", "size=1 foo=2", NULL,
          "the key at character 8 is unknown; expected: device, node-name, size" },
        { "block_resize", "size=1 Size=2", NULL,
          "the key at character 8 is unknown (nearest: 'size'); expected: device, node-name, size" },
        { "block_resize", "size=1 size=1", NULL, "the key at character 8 is given twice" },
        { "block_resize", "size=1 device=a size=2", NULL, "the key at character 17 is given twice" },
        { "block_resize", "size=1 device.x=a", NULL, "'device': expected string" },
        { "block_resize", "device=a device.x=a", NULL, "the key at character 10 is below a key that has a value" },
        { "block_resize", "device.x=a device=a", NULL, "the key at character 12 has both a value and members" },
        { "blockdev-add", "driver=qcow2 file.driver=file file.driver.x=1", NULL,
          "the key at character 31 is below a key that has a value" },
        { "blockdev-add", "driver=qcow2 file.driver=file file.driver=raw", NULL,
          "the key at character 31 is given twice" },
        { "block_resize", ".size=1", NULL, "the key at character 1 has an empty part" },
        { "block_resize", "size.=1", NULL, "the key at character 1 has an empty part" },
        { "block_resize", "a..b=1", NULL, "the key at character 1 has an empty part" },
        { "block_resize", ".=1", NULL, "the key at character 1 has an empty part" },

        /* quoted */
        { "block_resize", "size=1 device=\"a b, c,,d=\"", "{\"size\":1,\"device\":\"a b, c,,d=\"}", NULL },
        { "block_resize", "device=\"a\",size=1", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", "device=\"\\u00e9\\n\\\"\" , size=1", "{\"device\":\"\303\251\\n\\\"\",\"size\":1}", NULL },
        { "block_resize", "size=1 device=\"a\\u0000b\"", "{\"size\":1,\"device\":\"a\\u0000b\"}", NULL },
        { "block_resize", "size=1 device=\"\"", "{\"size\":1,\"device\":\"\"}", NULL },
        { "block_resize", "size=\"1\"", NULL, "'size': expected integer, but it is a string" },
        { "block_resize", "size=1 device=\"a", NULL,
          "the value at character 15: a quoted value must be a JSON string" },
        { "block_resize", "size=1 device=\"", NULL,
          "the value at character 15: a quoted value must be a JSON string" },
        { "block_resize", "size=1 device=\"a\"b", NULL,
          "the value at character 15: a quoted value must be a JSON string" },
        { "block_resize", "size=1 device=\"a\"\"b\"", NULL,
          "the value at character 15: a quoted value must be a JSON string" },
        { "block_resize", "size=1 device=\"a\tb\"", NULL,
          "the value at character 15: a quoted value must be a JSON string" },
        { "block_resize", "size=1 device=\"\\x\"", NULL,
          "the value at character 15: a quoted value must be a JSON string" },
        { "block_resize", "size=1 device=\"a\",,", NULL,
          "expected KEY=VALUE at character 19; a value that contains blanks must be quoted: \"…\"" },
        { "block_resize", "size=1 device={\"a\":1}", "{\"size\":1,\"device\":\"{\\\"a\\\":1}\"}", NULL },
        { "block_resize", "size=1 device=[", "{\"size\":1,\"device\":\"[\"}", NULL },
        { "set_password", "protocol=vnc password=\"on\"", "{\"protocol\":\"vnc\",\"password\":\"on\"}", NULL },
        { "set_password", "protocol=\"vnc\" password=1", "{\"protocol\":\"vnc\",\"password\":\"1\"}", NULL },

        /* booleans */
        { "migrate-set-capabilities", CAPABILITY("0", "on"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "yes"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "y"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "true"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "off"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":false}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "no"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":false}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "n"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":false}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "false"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":false}]}", NULL },
        { "migrate-set-capabilities", CAPABILITY("0", "1"), NULL,
          "'capabilities.0.state': expected boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "migrate-set-capabilities", CAPABILITY("0", "ON"), NULL,
          "'capabilities.0.state': expected boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "migrate-set-capabilities", CAPABILITY("0", ""), NULL,
          "'capabilities.0.state': expected boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "migrate-set-capabilities", CAPABILITY("0", "\"on\""), NULL,
          "'capabilities.0.state': expected boolean, but it is a string" },

        /* enums */
        { "set-action", "panic=exit-failure", "{\"panic\":\"exit-failure\"}", NULL },
        { "set-action", "panic=exit", NULL,
          "'panic': no such value; expected one of: pause, shutdown, exit-failure, none" },
        { "set-action", "panic=", NULL,
          "'panic': no such value; expected one of: pause, shutdown, exit-failure, none" },
        { "set-action", "panic=None", NULL,
          "'panic': no such value (nearest: 'none'); expected one of: pause, shutdown, exit-failure, none" },
        { "set-action", "panic=\"none\\u0000\"", NULL,
          "'panic': no such value (nearest: 'none'); expected one of: pause, shutdown, exit-failure, none" },
        { "set-action", "panic.x=1", NULL, "'panic': expected one of pause, shutdown, exit-failure, none" },
        { "set-action", "{\"panic\":1}", NULL,
          "'panic': expected one of pause, shutdown, exit-failure, none, but it is an integer" },

        /* lists */
        { "migrate-set-capabilities", CAPABILITY("1", "on") " " CAPABILITY("0", "off"),
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":false},"
          "{\"capability\":\"xbzrle\",\"state\":true}]}",
          NULL },
        { "migrate-set-capabilities", CAPABILITY("1", "on"), NULL,
          "the key at character 14 leaves a gap in the list" },
        { "migrate-set-capabilities", CAPABILITY("0", "on") " " CAPABILITY("2", "on"), NULL,
          "the key at character 71 leaves a gap in the list" },
        { "migrate-set-capabilities", CAPABILITY("4294967296", "on"), NULL,
          "the key at character 14 leaves a gap in the list" },
        { "migrate-set-capabilities", CAPABILITY("18446744073709551616", "on"), NULL,
          "the key at character 14 leaves a gap in the list" },
        { "migrate-set-capabilities", CAPABILITY("00", "on"), NULL,
          "the key at character 14 is not the index of a list element" },
        { "migrate-set-capabilities", CAPABILITY("-1", "on"), NULL,
          "the key at character 14 is not the index of a list element" },
        { "migrate-set-capabilities", CAPABILITY("x", "on"), NULL,
          "the key at character 14 is not the index of a list element" },
        { "migrate-set-capabilities", "capabilities=xbzrle", NULL,
          "'capabilities': expected list of object {capability, state}, as capabilities.0=… or JSON" },
        { "migrate-set-capabilities", "capabilities=[]", "{\"capabilities\":[]}", NULL },
        { "migrate-set-capabilities", "capabilities=[{\"capability\":\"xbzrle\",\"state\":true}]",
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}", NULL },
        { "migrate-set-capabilities", "capabilities.0={\"capability\":\"xbzrle\", \"state\":true}",
          "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}", NULL },
        { "migrate-set-capabilities", "capabilities=[{\"capability\":\"xbzrle\",\"state\":1}]", NULL,
          "'capabilities.0.state': expected boolean, but it is an integer" },
        { "migrate-set-capabilities", "capabilities={}", NULL, "'capabilities': expected list of object" },
        { "migrate-set-capabilities", "capabilities.0=x", NULL,
          "'capabilities.0': expected object {capability, state}, as capabilities.0.KEY=… or JSON" },
        { "migrate-set-capabilities", "capabilities.0.state=on", NULL,
          "'capabilities.0.capability' is missing; expected one of" },
        { "migrate-set-capabilities", "capabilities=[{\"capability\":\"xbzrle\",", NULL,
          "'capabilities': the JSON value is incomplete" },
        { "migrate-set-capabilities", "capabilities=[1, 2,]", NULL,
          "the value of the key at character 1: invalid JSON at character 7: unexpected character" },
        { "migrate-set-capabilities", "capabilities=[]x", NULL,
          "'capabilities': trailing data after the JSON value" },

        /* members of members, by variants */
        { "blockdev-add", "driver=qcow2,node-name=n,file.driver=file,file.filename=/a,read-only=on",
          "{\"driver\":\"qcow2\",\"node-name\":\"n\",\"file\":{\"driver\":\"file\",\"filename\":\"/a\"},"
          "\"read-only\":true}",
          NULL },
        { "blockdev-add", "file.filename=/a,file.driver=file,l2-cache-size=1M,driver=qcow2",
          "{\"file\":{\"filename\":\"/a\",\"driver\":\"file\"},\"l2-cache-size\":1048576,\"driver\":\"qcow2\"}",
          NULL },
        { "blockdev-add", "driver=qcow2 file=n backing={\"driver\":\"null-co\", \"size\":1}",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":{\"driver\":\"null-co\",\"size\":1}}", NULL },
        { "blockdev-add", "driver=qcow2 file=\"{}\"", "{\"driver\":\"qcow2\",\"file\":\"{}\"}", NULL },
        { "blockdev-add", "driver=qcow2 file=null", "{\"driver\":\"qcow2\",\"file\":\"null\"}", NULL },
        { "blockdev-add", "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":null}",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":null}", NULL },
        { "blockdev-add", "{\"driver\":\"qcow2\",\"file\":null}", NULL,
          "'file': expected object {driver, …} or string, but it is null" },
        { "blockdev-add", "driver=qcow2 file={}", NULL, "'file.driver' is missing; expected one of" },
        { "blockdev-add", "driver=qcow2 file={\"driver\":\"file\"", NULL, "'file': the JSON value is incomplete" },
        { "blockdev-add", "driver=qcow2 file={\"driver\":\"file\", \"filename\":\"x\"", NULL,
          "the value of the key at character 14: the JSON value is incomplete" },
        { "blockdev-add", "driver=qcow2 file.x=1", NULL,
          "the key at character 19 is unknown while 'driver' is missing; expected: driver," },
        { "blockdev-add", "driver=qcow2 file.driver=file file.filename=a file.x=1", NULL,
          "the key at character 52 is unknown when driver is file; expected: driver," },
        { "blockdev-add", "driver=qcow2 file.driver=file", NULL, "'file.filename' is missing; expected string" },
        { "blockdev-add", "driver=qcow2 file.0=a", NULL,
          "the key at character 19 is unknown while 'driver' is missing; expected: driver," },
        { "blockdev-add", "driver=qcow2 file=n filename=/a", NULL,
          "the key at character 21 is unknown when driver is qcow2; expected: driver," },
        { "blockdev-add", "driver=qcow2", NULL, "'file' is missing; expected object {driver, …} or string" },
        { "blockdev-add", "driver=qcow3 file=n", NULL,
          "'driver': no such value (nearest: 'qcow'); expected one of: blkdebug," },
        { "blockdev-add", "file=n node-name=n", NULL,
          "the key at character 1 is unknown while 'driver' is missing; expected: driver," },
        { "blockdev-add", "node-name=n", NULL, "'driver' is missing; expected one of blkdebug," },
        { "blockdev-add", "{\"filename\":\"/a\",\"driver\":1}", NULL, "'driver': expected one of blkdebug," },
        { "blockdev-add", "{\"filename\":\"/a\",\"driver\":null}", NULL, "'driver': expected one of blkdebug," },
        { "blockdev-add", "filename=/a driver.x=1", NULL, "'driver': expected one of blkdebug," },
        { "blockdev-add", "filename=/a driver={\"a\":1}", NULL, "'driver': expected one of blkdebug," },
        { "blockdev-add", "driver=qcow2 file.driver=nbd file.server=x", NULL,
          "'file.server': expected object {type, …}, as file.server.KEY=… or JSON" },
        { "blockdev-add", "driver=nbd server.type=inet server.host=h server.port=1",
          "{\"driver\":\"nbd\",\"server\":{\"type\":\"inet\",\"host\":\"h\",\"port\":\"1\"}}", NULL },
        { "blockdev-add", "driver=nbd server.type=unix server.host=h", NULL,
          "the key at character 36 is unknown when type is unix; expected: type, path, abstract, tight" },
        { "blockdev-add", "driver=qcow2 file=n overlap-check=all",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"overlap-check\":\"all\"}", NULL },
        { "blockdev-add", "driver=qcow2 file=n overlap-check.template=all",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"overlap-check\":{\"template\":\"all\"}}", NULL },
        { "blockdev-add", "driver=qcow2 file=n overlap-check=some", NULL,
          "'overlap-check': no such value; expected one of: none, constant, cached, all" },
        { "blockdev-add", "driver=qcow2 file=n overlap-check.template=x", NULL,
          "'overlap-check.template': no such value" },
        { "blockdev-add", "{\"driver\":\"qcow2\",\"file\":\"n\",\"overlap-check\":1}", NULL,
          "'overlap-check': expected object or one of" },
        { "object-add", "qom-type=memory-backend-ram id=m size=1.5G",
          "{\"qom-type\":\"memory-backend-ram\",\"id\":\"m\",\"size\":1610612736}", NULL },
        { "object-add", "qom-type=memory-backend-ram id=m size=1 host-nodes.0=1 host-nodes.1=2",
          "{\"qom-type\":\"memory-backend-ram\",\"id\":\"m\",\"size\":1,\"host-nodes\":[1,2]}", NULL },
        { "netdev_add", "type=user id=n hostfwd.0.str=x,,y",
          "{\"type\":\"user\",\"id\":\"n\",\"hostfwd\":[{\"str\":\"x,y\"}]}", NULL },

        /* alternates */
        { "migrate-set-parameters", "tls-creds=null", "{\"tls-creds\":null}", NULL },
        { "migrate-set-parameters", "tls-creds=\"null\"", "{\"tls-creds\":\"null\"}", NULL },
        { "migrate-set-parameters", "tls-creds=Null", "{\"tls-creds\":\"Null\"}", NULL },
        { "blockdev-add", "driver=qcow2 file=n backing=null",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":null}", NULL },
        { "blockdev-add", "driver=qcow2 file=n backing=\"null\"",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":\"null\"}", NULL },
        { "blockdev-add", "driver=qcow2 file=n backing=", "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":\"\"}",
          NULL },
        { "migrate-set-parameters", "tls-creds=", "{\"tls-creds\":\"\"}", NULL },
        { "migrate-set-parameters", "{\"tls-creds\":null}", "{\"tls-creds\":null}", NULL },
        { "migrate-set-parameters", "{\"tls-creds\":1}", NULL,
          "'tls-creds': expected string or null, but it is an integer" },
        { "migrate-set-parameters", "tls-creds.x=1", NULL, "'tls-creds': expected string or null" },
        { "block-dirty-bitmap-merge", "node=n target=t bitmaps.0=a bitmaps.1.node=m bitmaps.1.name=b",
          "{\"node\":\"n\",\"target\":\"t\",\"bitmaps\":[\"a\",{\"node\":\"m\",\"name\":\"b\"}]}", NULL },
        { "block-dirty-bitmap-merge", "node=n target=t bitmaps.0.node=m", NULL,
          "'bitmaps.0.name' is missing; expected string" },
        { "block-dirty-bitmap-merge", "{\"node\":\"n\",\"target\":\"t\",\"bitmaps\":[\"a\",1]}", NULL,
          "'bitmaps.1': expected string or object {node, name}, but it is an integer" },

        /* any value */
        { "qom-set", "path=/a property=b value=1", "{\"path\":\"/a\",\"property\":\"b\",\"value\":1}", NULL },
        { "qom-set", "path=/a property=b value=1k", "{\"path\":\"/a\",\"property\":\"b\",\"value\":\"1k\"}", NULL },
        { "qom-set", "path=/a property=b value=true", "{\"path\":\"/a\",\"property\":\"b\",\"value\":true}", NULL },
        { "qom-set", "path=/a property=b value=null", "{\"path\":\"/a\",\"property\":\"b\",\"value\":null}", NULL },
        { "qom-set", "path=/a property=b value=on", "{\"path\":\"/a\",\"property\":\"b\",\"value\":\"on\"}", NULL },
        { "qom-set", "path=/a property=b value=1.", "{\"path\":\"/a\",\"property\":\"b\",\"value\":\"1.\"}", NULL },
        { "qom-set", "path=/a property=b value=NaN", "{\"path\":\"/a\",\"property\":\"b\",\"value\":\"NaN\"}", NULL },
        { "qom-set", "path=/a property=b value=\"1\"", "{\"path\":\"/a\",\"property\":\"b\",\"value\":\"1\"}", NULL },
        { "qom-set", "path=/a property=b value={\"x\":[1,2]}",
          "{\"path\":\"/a\",\"property\":\"b\",\"value\":{\"x\":[1,2]}}", NULL },
        { "qom-set", "path=/a property=b value.x=1 value.y.0=a value.y.1=on",
          "{\"path\":\"/a\",\"property\":\"b\",\"value\":{\"x\":1,\"y\":[\"a\",\"on\"]}}", NULL },
        { "qom-set", "path=/a property=b", NULL, "'value' is missing; expected any value" },
        { "qom-set", "path=1 property=true value=", "{\"path\":\"1\",\"property\":\"true\",\"value\":\"\"}", NULL },

        /* JSON */
        { "block_resize", "{\"device\": \"a\", \"size\": 1}", "{\"device\":\"a\",\"size\":1}", NULL },
        { "block_resize", " {\"size\":\n18446744073709551615}\n", "{\"size\":18446744073709551615}", NULL },
        { "block_resize", "{\"size\": -9223372036854775808}", "{\"size\":-9223372036854775808}", NULL },
        { "block_resize", "{\"size\": 18446744073709551616}", NULL, "the integer at character 10 is out of range" },
        { "block_resize", "{\"size\": 1.0}", NULL,
          "'size': expected integer, but it is a number with a fraction or an exponent" },
        { "block_resize", "{\"size\": 1e3}", NULL,
          "'size': expected integer, but it is a number with a fraction or an exponent" },
        { "block_resize", "{\"size\": \"1k\"}", NULL, "'size': expected integer, but it is a string" },
        { "block_resize", "{\"size\": null}", NULL, "'size': expected integer, but it is null" },
        { "block_resize", "{\"size\": {}}", NULL, "'size': expected integer, but it is an object" },
        { "block_resize", "{\"size\": 1, \"device\": null}", NULL, "'device': expected string, but it is null" },
        { "block_resize", "{\"size\": 1, \"device\": []}", NULL, "'device': expected string, but it is a list" },
        { "block_resize", "{\"size\": 1, \"foo\": 1}", NULL,
          "key 2 of the arguments is unknown; expected: device, node-name, size" },
        { "block_resize", "{\"size\": 1, \"\": 1}", NULL,
          "key 2 of the arguments is unknown; expected: device, node-name, size" },
        { "block_resize", "{\"size\": 1, \"size\": 1}", NULL, "a key occurs twice" },
        { "block_resize", "{\"size\\u0000\": 1}", NULL, "a key contains \\u0000" },
        { "block_resize", "{\"size\": 1", NULL, "incomplete" },
        { "block_resize", "{\"size\": 1} x", NULL, "trailing data after the JSON value, at character 13" },
        { "block_resize", "{\"size\": 1}{}", NULL, "trailing data after the JSON value, at character 12" },
        { "block_resize", "{size: 1}", NULL, "invalid JSON at character 2" },
        { "block_resize", "{'size': 1}", NULL, "invalid JSON" },
        { "block_resize", "{\"size\": 0x10}", NULL, "invalid JSON" },
        { "block_resize", "{\"size\": 1k}", NULL, "invalid JSON" },
        { "block_resize", "{\"size\": 1.}", NULL, "invalid JSON" },
};

START_TEST(arguments_by_the_schema)
{
        check(builds[_i].command, builds[_i].text, builds[_i].json, builds[_i].error);
}
END_TEST

/* tests/qmp/test_number.c has them all. */
static const struct {
        const char *text, *json, *error;
} sizes[] = {
        { "0", "0", NULL },
        { "64M", "67108864", NULL },
        { "0x10", "16", NULL },
        { "18446744073709551615", "18446744073709551615", NULL },
        { "1E", "1152921504606846976", NULL },
        { "+64M", NULL, "but a '+' sign is not accepted" },
        { "064", NULL, "but a leading 0 is not accepted" },
        { "1e3", NULL, "but its digits are followed by something other" },
        { "64MB", NULL, "but its digits are followed by something other" },
        { "1.5", NULL, "but a fraction is not accepted" },
        { "1.0000001k", NULL, "but its value is not an integer" },
        { "18446744073709551616", NULL, "but it is out of range" },
        { "-64M", NULL, "but a negative number takes neither a fraction nor a suffix" },
        { "", NULL, "but it is empty" },
};

START_TEST(integer_as_people_write_it)
{
        char text[128], json[128];
        int r;

        snprintf(text, sizeof(text), "size=%s", sizes[_i].text);
        snprintf(json, sizeof(json), "{\"size\":%s}", sizes[_i].json ? sizes[_i].json : "");
        check("block_resize", text, sizes[_i].json ? json : NULL, sizes[_i].error);
        free(take_ptr(why));
        r = qmp_args_property("uint64", sizes[_i].text, &properties, &why);
        ck_assert_int_eq(r, sizes[_i].json ? 0 : -EINVAL);
        if (r == 0)
                ck_assert_str_eq(plain(properties), sizes[_i].json);
        else
                ck_assert_contains(why, sizes[_i].error);
}
END_TEST

/* Blanks and commas end a value: what is behind them is no part of a number. */
static const char *const cut_numbers[] = { "size=64 M", "size= 64M", "size=1,000", "size=1 000" };

START_TEST(half_a_number_is_refused)
{
        ck_assert_int_eq(build("block_resize", cut_numbers[_i]), -EINVAL);
}
END_TEST

/*
 * Whatever is wrong, and wherever it stands: what was written is in no message. SECRET stands for a value, or for what its
 * writer took for one.
 */
static const struct {
        const char *command, *text;
} secrets[] = {
        { "object-add", "qom-type=secret id=s data=two SECRET" },
        { "object-add", "qom-type=secret id=s data=SECRET two" },
        { "object-add", "qom-type=secret id=s data=two,SECRET" },
        { "object-add", "qom-type=secret id=s data=two SECRET=3" },
        { "object-add", "qom-type=secret id=s data=two data=SECRET" },
        { "object-add", "qom-type=secret id=s data=a data.SECRET=b" },
        { "object-add", "qom-type=secret id=s data.SECRET=b data=a" },
        { "object-add", "qom-type=secret id=s data.SECRET=b" },
        { "object-add", "qom-type=secret id=s .SECRET=b" },
        { "object-add", "qom-type=secret id=s data=a b..SECRET=1" },
        { "object-add", "qom-type=secret id=s data=\"SECRET" },
        { "object-add", "qom-type=secret id=s data=\"SECRET\"SECRET" },
        { "object-add", "qom-type=secret id=s data=\"SECRET\\x\"" },
        { "object-add", "qom-type=secret id=s data=\"SECRET\t\"" },
        { "object-add", "qom-type=secret id=s data={\"SECRET\":1} SECRET" },
        { "object-add", "qom-type=secret id=s data={SECRET}, x" },
        { "object-add", "qom-type=secret id=s dat=SECRET" },
        { "object-add", "qom-type=SECRET id=s data=a" },
        { "object-add", "qom-type=secret id=s data=a format=SECRET" },
        { "object-add", "qom-type=secret id=s data=a loaded=SECRET" },
        { "object-add", "SECRET" },
        { "object-add", "=SECRET" },
        { "object-add", "SECRET=1" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":\"SECRET\"" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":SECRET}" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":\"SECRET\"} SECRET" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":\"SECRET\\ud800\"}" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":{\"SECRET\":\"SECRET\"}}" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":[\"SECRET\"]}" },
        { "object-add", "{\"qom-type\":\"SECRET\",\"id\":\"s\"}" },
        { "object-add", "{\"qom-type\":\"secret\",\"id\":\"s\",\"SECRET\":\"SECRET\"}" },
        { "object-add", "{\"qom-type\":[\"SECRET\"],\"id\":\"s\"}" },
        { "object-add", "{\"SECRET\":1,\"SECRET\":2}" },
        { "object-add", "SECRET\377" },
        { "set_password", "protocol=vnc password=two SECRET" },
        { "set_password", "protocol=SECRET password=vnc" },
        { "set_password", "protocol=vnc password=a connected=SECRET" },
        { "set_password", "protocol=vnc SECRET=password" },
        { "set_password", "protocol=vnc password=a display=x SECRET" },
        { "expire_password", "protocol=vnc time.SECRET=1" },
        { "block_resize", "device=a size=SECRET" },
        { "block_resize", "{\"device\":\"a\",\"size\":\"SECRET\"}" },
        { "blockdev-add", "driver=luks file.driver=file file.filename=/a key-secret=a SECRET=1" },
        { "blockdev-add", "driver=luks file.driver=SECRET file.filename=/a" },
        { "blockdev-add", "driver=luks file.SECRET=file" },
        { "blockdev-add", "driver=luks file=[SECRET" },
        { "blockdev-add", "driver=luks file={\"driver\":\"file\",\"SECRET\":1}" },
        { "migrate-set-capabilities", "capabilities.SECRET.state=on" },
        { "migrate-set-capabilities", "capabilities=SECRET" },
        { "migrate-set-capabilities", "capabilities.0=SECRET" },
        { "qom-set", "path=/objects/s property=data value=two SECRET" },
        { "qom-set", "path=/objects/s property=data value.SECRET.5=1" },
};

START_TEST(what_was_written_is_in_no_message)
{
        ck_assert_int_eq(build(secrets[_i].command, secrets[_i].text), -EINVAL);
        ck_assert_ptr_nonnull(why);
        ck_assert_msg(!strcasestr(why, "SECRET=") && !strstr(why, "SECRET"), "%s: %s", secrets[_i].text, why);
}
END_TEST

static const struct {
        const char *type, *text;
} secret_properties[] = {
        { "bool", "SECRET" },         { "uint32", "SECRET" },      { "size", "5SECRET" },
        { "number", "SECRET" },       { "OnOffAuto", "\"SECRET" }, { "OnOffAuto", "{\"SECRET\":SECRET}" },
        { "OnOffAuto", "[] SECRET" }, { "string", "SECRET\377" },  { "int", "0xSECRET" },
};

START_TEST(value_of_a_property_is_in_no_message)
{
        ck_assert_int_eq(qmp_args_property(secret_properties[_i].type, secret_properties[_i].text, &arguments, &why),
                         -EINVAL);
        ck_assert_msg(!strstr(why, "SECRET"), "%s", why);
}
END_TEST

/* --- other schemas ----------------------------------------------------------------------------------------------- */

#define TYPES                                                                                                        \
        "{\"name\":\"str\",\"meta-type\":\"builtin\",\"json-type\":\"string\"},"                                     \
        "{\"name\":\"int\",\"meta-type\":\"builtin\",\"json-type\":\"int\"},"                                        \
        "{\"name\":\"bool\",\"meta-type\":\"builtin\",\"json-type\":\"boolean\"},"                                   \
        "{\"name\":\"null\",\"meta-type\":\"builtin\",\"json-type\":\"null\"},"                                      \
        "{\"name\":\"number\",\"meta-type\":\"builtin\",\"json-type\":\"number\"},"                                  \
        "{\"name\":\"[int]\",\"meta-type\":\"array\",\"element-type\":\"int\"},"                                     \
        "{\"name\":\"ab\",\"meta-type\":\"enum\",\"values\":[\"a\",\"b\"]},"                                         \
        "{\"name\":\"cd\",\"meta-type\":\"enum\",\"values\":[\"c\",\"d\"]},"                                         \
        "{\"name\":\"empty\",\"meta-type\":\"object\",\"members\":[]},"                                              \
        "{\"name\":\"o\",\"meta-type\":\"object\",\"members\":[{\"name\":\"n\",\"type\":\"int\"}]},"                 \
        "{\"name\":\"alt\",\"meta-type\":\"alternate\",\"members\":[{\"type\":\"int\"},{\"type\":\"bool\"},"         \
        "{\"type\":\"null\"},{\"type\":\"[int]\"}]},"                                                                \
        "{\"name\":\"num\",\"meta-type\":\"alternate\",\"members\":[{\"type\":\"number\"},{\"type\":\"ab\"},"        \
        "{\"type\":\"cd\"}]},"                                                                                       \
        "{\"name\":\"odd\",\"meta-type\":\"alternate\",\"members\":[{\"type\":\"o\"},{\"type\":\"later\"}]},"        \
        "{\"name\":\"none\",\"meta-type\":\"alternate\",\"members\":[]},"                                            \
        "{\"name\":\"inner\",\"meta-type\":\"object\",\"tag\":\"kind\",\"members\":[{\"name\":\"kind\","             \
        "\"type\":\"cd\"}],\"variants\":[{\"case\":\"c\",\"type\":\"o\"},{\"case\":\"d\",\"type\":\"empty\"}]},"     \
        "{\"name\":\"union\",\"meta-type\":\"object\",\"tag\":\"t\",\"members\":[{\"name\":\"t\",\"type\":\"ab\"}]," \
        "\"variants\":[{\"case\":\"a\",\"type\":\"inner\"},{\"case\":\"b\",\"type\":\"later\"}]},"                   \
        "{\"name\":\"circle\",\"meta-type\":\"object\",\"tag\":\"t\",\"members\":[{\"name\":\"t\","                  \
        "\"type\":\"str\"}],\"variants\":[{\"case\":\"a\",\"type\":\"circle\"}]},"                                   \
        "{\"name\":\"twice\",\"meta-type\":\"alternate\",\"members\":[{\"type\":\"r1\"},{\"type\":\"r2\"},"          \
        "{\"type\":\"int\"}]},"                                                                                      \
        "{\"name\":\"r1\",\"meta-type\":\"object\",\"members\":[{\"name\":\"m\",\"type\":\"twice\"}]},"              \
        "{\"name\":\"r2\",\"meta-type\":\"object\",\"members\":[{\"name\":\"m\",\"type\":\"twice\"}]},"              \
        "{\"name\":\"arg\",\"meta-type\":\"object\",\"members\":["                                                   \
        "{\"name\":\"alt\",\"type\":\"alt\",\"default\":null},{\"name\":\"num\",\"type\":\"num\",\"default\":null}," \
        "{\"name\":\"number\",\"type\":\"number\",\"default\":null},"                                                \
        "{\"name\":\"null\",\"type\":\"null\",\"default\":null},"                                                    \
        "{\"name\":\"odd\",\"type\":\"odd\",\"default\":null},{\"name\":\"none\",\"type\":\"none\",\"default\":"     \
        "null},"                                                                                                     \
        "{\"name\":\"later\",\"type\":\"later\",\"default\":null},"                                                  \
        "{\"name\":\"twice\",\"type\":\"twice\",\"default\":null},"                                                  \
        "{\"name\":\"union\",\"type\":\"union\",\"default\":null},"                                                  \
        "{\"name\":\"circle\",\"type\":\"circle\",\"default\":null}]},"

#define SCHEMA                                                                                                       \
        "[" TYPES "{\"name\":\"x\",\"meta-type\":\"command\",\"arg-type\":\"arg\"},"                                 \
        "{\"name\":\"y\",\"meta-type\":\"command\"}]"

static const struct {
        const char *command, *text, *json, *error;
} others[] = {
        { "x", "alt=1", "{\"alt\":1}", NULL },
        { "x", "alt=1k", "{\"alt\":1024}", NULL },
        { "x", "alt=on", "{\"alt\":true}", NULL },
        { "x", "alt=null", "{\"alt\":null}", NULL },
        { "x", "alt.0=1 alt.1=2", "{\"alt\":[1,2]}", NULL },
        { "x", "alt=[1]", "{\"alt\":[1]}", NULL },
        { "x", "alt.0=x", NULL, "'alt.0': expected integer, but it does not begin with a digit" },
        { "x", "alt.x=1", NULL, "'alt': expected integer or boolean or null or list of integer" },
        { "x", "alt=x", NULL, "'alt': expected integer or boolean or null or list of integer, but it is a string" },
        { "x", "{\"alt\":[true]}", NULL, "'alt.0': expected integer, but it is a boolean" },
        { "x", "num=a", "{\"num\":\"a\"}", NULL },
        { "x", "num=d", "{\"num\":\"d\"}", NULL },
        { "x", "num=5", "{\"num\":5}", NULL },
        { "x", "num=e", NULL, "'num': no such value; expected one of: c, d" },
        { "x", "{\"num\":\"d\"}", "{\"num\":\"d\"}", NULL },
        { "x", "{\"num\":true}", NULL, "'num': expected number or one of a, b or one of c, d, but it is a boolean" },
        { "x", "number=1.5", "{\"number\":1.5}", NULL },
        { "x", "number=-1e3", "{\"number\":-1000.0}", NULL },
        { "x", "number=2k", "{\"number\":2048}", NULL },
        { "x", "number=1e999", NULL, "'number': expected number, but it is out of range" },
        { "x", "number=inf", NULL, "'number': expected number, but it does not begin with a digit" },
        { "x", "number=nan", NULL, "'number': expected number, but it does not begin with a digit" },
        { "x", "number=0x1p3", NULL, "'number': expected number" },
        { "x", "number=1.5x", NULL, "'number': expected number" },
        { "x", "number=", NULL, "'number': expected number, but it is empty" },
        { "x", "{\"number\":1}", "{\"number\":1}", NULL },
        { "x", "null=null", "{\"null\":null}", NULL },
        { "x", "null=", NULL, "'null': expected null, but it is not the word null" },
        { "x", "odd=1", "{\"odd\":\"1\"}", NULL },
        { "x", "{\"odd\":1}", "{\"odd\":1}", NULL },
        { "x", "{\"odd\":{\"z\":1}}", "{\"odd\":{\"z\":1}}", NULL },
        { "x", "none=1", NULL, "'none': expected nothing, but it is a string" },
        { "x", "none.a=1", NULL, "'none': expected nothing" },
        { "x", "later=1", "{\"later\":1}", NULL },
        { "x", "later.a.0=b", "{\"later\":{\"a\":[\"b\"]}}", NULL },
        { "x", "{\"later\":[null]}", "{\"later\":[null]}", NULL },
        { "y", "a=1 b.c=on", "{\"a\":1,\"b\":{\"c\":\"on\"}}", NULL },
        { "y", "{\"a\":null}", "{\"a\":null}", NULL },
        /* a union in a union, as MigrationAddress of QEMU 8.2 */
        { "x", "union.t=a union.kind=c union.n=1k", "{\"union\":{\"t\":\"a\",\"kind\":\"c\",\"n\":1024}}", NULL },
        { "x", "union.n=1k union.kind=c union.t=a", "{\"union\":{\"n\":1024,\"kind\":\"c\",\"t\":\"a\"}}", NULL },
        { "x", "{\"union\":{\"n\":1,\"kind\":\"c\",\"t\":\"a\"}}", "{\"union\":{\"n\":1,\"kind\":\"c\",\"t\":\"a\"}}",
          NULL },
        { "x", "union.t=a union.kind=d", "{\"union\":{\"t\":\"a\",\"kind\":\"d\"}}", NULL },
        { "x", "union.t=a union.kind=c", NULL, "'union.n' is missing; expected integer" },
        { "x", "union.t=a union.kind=d union.n=1", NULL,
          "the key at character 30 is unknown when kind is d; expected: t, kind" },
        { "x", "union.t=a", NULL, "'union.kind' is missing; expected one of c, d" },
        { "x", "union.t=a union.n=1", NULL,
          "the key at character 17 is unknown while 'kind' is missing; expected: t, kind" },
        { "x", "union.n=1 union.kind=c", NULL,
          "the key at character 7 is unknown while 't' is missing; expected: t" },
        { "x", "union.t=a union.n=1 union.kind=x", NULL, "'union.kind': no such value; expected one of: c, d" },
        { "x", "{\"union\":{\"n\":1,\"t\":\"a\",\"kind\":1}}", NULL,
          "'union.kind': expected one of c, d, but it is an integer" },
        /* a variant that cannot be known */
        { "x", "union.t=b union.z=1", "{\"union\":{\"t\":\"b\",\"z\":1}}", NULL },
        { "x", "{\"union\":{\"t\":\"b\",\"z\":[1]}}", "{\"union\":{\"t\":\"b\",\"z\":[1]}}", NULL },
        { "x", "circle.t=a", "{\"circle\":{\"t\":\"a\"}}", NULL },
        { "x", "circle.t=a circle.x=1", NULL,
          "the key at character 19 is unknown; expected: t, t, t, t, t, t, t, t" },
};

START_TEST(arguments_by_odd_schemas)
{
        load(SCHEMA);
        check(others[_i].command, others[_i].text, others[_i].json, others[_i].error);
}
END_TEST

START_TEST(alternate_of_two_objects_takes_no_time)
{
        _cleanup_(qmp_freep) char *text = calloc(1, 8192);
        uint64_t start = test_real_now();
        char *to = stpcpy(text, "{\"twice\":");

        load(SCHEMA);
        for (unsigned i = 0; i < 500; i++)
                to = stpcpy(to, "{\"m\":");
        to = stpcpy(to, "\"x\"");
        for (unsigned i = 0; i < 501; i++)
                to = stpcpy(to, "}");
        ck_assert_int_eq(build("x", text), -EINVAL);
        ck_assert_uint_lt(test_real_now() - start, 10 * NSEC_PER_SEC);
}
END_TEST

/* --- limits ------------------------------------------------------------------------------------------------------ */

#define KIB64 65536

/* @again, whose # is a number, up to 64 KiB. The caller frees. */
static char *repeat(const char *begin, const char *again, const char *end, size_t n)
{
        char *text = calloc(1, KIB64 + 1024), *to = stpcpy(text, begin);

        for (size_t i = 0; i < n && (size_t)(to - text) + strlen(again) + 16 < KIB64; i++)
                for (const char *s = again; *s; s++) {
                        if (*s == '#')
                                to += sprintf(to, "%zu", i);
                        else
                                *to++ = *s;
                }
        strcpy(to, end);
        return text;
}

START_TEST(pairs_have_a_limit)
{
        _cleanup_(qmp_freep) char *most = repeat("", "a#=1 ", "", 4096), *more = repeat("", "a#=1 ", "", 4097);

        load(SCHEMA);
        ck_assert_int_eq(build("y", most), 0);
        ck_assert_int_eq(json_object_object_length(arguments), 4096);
        ck_assert_int_eq(build("y", more), -EINVAL);
        ck_assert_str_eq(why, "more than 4096 pairs; use JSON instead");
}
END_TEST

START_TEST(dotted_keys_have_a_limit)
{
        _cleanup_(qmp_freep) char *most = repeat("a", ".a", "=1", 63), *more = repeat("a", ".a", "=1", 64);

        load(SCHEMA);
        ck_assert_int_eq(build("y", most), 0);
        ck_assert_int_eq(build("y", more), -EINVAL);
        ck_assert_contains(why, "the key at character 1 has more than 64 parts");
}
END_TEST

START_TEST(depth_of_json_has_a_limit)
{
        _cleanup_(qmp_freep) char *most = calloc(1, 4096), *more = calloc(1, 4096);

        load(SCHEMA);
        memset(stpcpy(most, "{\"a\":"), '[', 999);
        strcpy(memset(most + 5 + 999, ']', 999) + 999, "}");
        memset(stpcpy(more, "{\"a\":"), '[', 1000);
        strcpy(memset(more + 5 + 1000, ']', 1000) + 1000, "}");
        ck_assert_int_eq(build("y", most), 0);
        ck_assert_int_eq(build("y", more), -EINVAL);
        ck_assert_contains(why, "nesting");
}
END_TEST

START_TEST(depth_of_json_below_dotted_keys_has_the_same_limit)
{
        _cleanup_(qmp_freep) char *most = calloc(1, 4096), *more = calloc(1, 4096);
        char *to;

        load(SCHEMA);
        /* QEMU would lose the thread at 1024 levels of the whole command: neither part is too deep by itself */
        to = stpcpy(most, "a.a.a.a=");
        memset(memset(to, '[', 996) + 996, ']', 996);
        to = stpcpy(more, "a.a.a.a=");
        memset(memset(to, '[', 997) + 997, ']', 997);
        ck_assert_int_eq(build("y", most), 0);
        ck_assert_int_eq(build("y", more), -EINVAL);
        ck_assert_str_eq(why, "the arguments are nested more than 1000 deep");
}
END_TEST

static const struct {
        const char *begin, *again, *end;
} long_texts[] = {
        { "", "a#=1 ", "" },
        { "", "a#={ ", "" },
        { "", "a#=[ ", "" },
        { "", "a#=[1,1 ", "" },
        { "", "a#={\"a\":1} ", "" },
        { "", "a#=\"x\",", "" },
        { "", "a#=[\" ", "" },
        { "", "a.b.c.d.#=1,", "" },
        { "", "a.#=1,", "" },
        { "", "a.#.#=1,", "" },
        { "a=", ",,", "" },
        { "a=", "x", "" },
        { "a=", "[", "" },
        { "a=\"", "\\\"", "" },
        { "a=[", "1,", "" },
        { "a=[", "[],", "[]]" },
        { "", "a.", "=1" },
        { "", ".", "=1" },
        { "", "a", "" },
        { "", "=", "" },
        { "", ",", "" },
        { "", " ", "" },
        { "", "\"", "" },
        { "size=", "1", "" },
        { "size=1.", "1", "k" },
        { "size=0x", "f", "1" },
        { "{", "\"a#\":1,", "\"b\":2}" },
        { "{", "\"a\":1,", "\"a\":1}" },
        { "{\"a\":", "[", "" },
        { "{\"a\":[", "{},", "{}]}" },
        { "{\"size\":", "9", "}" },
        { "{\"a\":\"", "\\u0041", "\"}" },
        { "{", "\"\":", "" },
        { "driver=qcow2 file.driver=", "x", "" },
        { "driver=", "file,", "" },
        { "driver=qcow2 file=", "{\"driver\":\"qcow2\",\"file\":", "" },
};

START_TEST(long_text_takes_no_time)
{
        static const char *const commands[] = { "block_resize", "blockdev-add", "qom-set", "device_add" };
        _cleanup_(qmp_freep) char *text =
                repeat(long_texts[_i].begin, long_texts[_i].again, long_texts[_i].end, SIZE_MAX);

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
                uint64_t start = test_real_now();

                if (i == 3)
                        properties = json_tokener_parse("[{\"name\":\"a\",\"type\":\"str\"}]");
                ck_assert_int_eq(build(commands[i], text), -EINVAL);
                ck_assert_ptr_nonnull(why);
                ck_assert_uint_lt(test_real_now() - start, 10 * NSEC_PER_SEC);
        }
}
END_TEST

START_TEST(any_byte_anywhere_does_no_harm)
{
        static const char *const texts[] = {
                "driver=qcow2,node-name=n,file.driver=file,file.filename=\"a b\\u00e9\" l2-cache-size=1.5k",
                "{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"a\"},\"l2-cache-size\":15}",
        };

        for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
                ck_assert_int_eq(build("blockdev-add", texts[t]), 0);
                for (size_t i = 0; i < strlen(texts[t]); i++) {
                        for (unsigned c = i % 3; c < 256; c += 3) {
                                char changed[128];
                                int r;

                                strcpy(changed, texts[t]);
                                changed[i] = (char)c;
                                r = build("blockdev-add", changed);
                                if (r == 0 ? why || qmp_utf8_check(plain(arguments), &why) < 0 : r != -EINVAL || !why)
                                        ck_abort_msg("%s: %d", changed, r);
                        }
                }
        }
}
END_TEST

/* --- properties -------------------------------------------------------------------------------------------------- */

#define P(name, type) "{\"name\":\"" name "\",\"type\":\"" type "\"}"
#define PROPERTIES                                                                                                   \
        "[" P("addr", "int32") "," P("mac", "str") "," P("count", "uint32") "," P("on", "bool") "," P(               \
                "size",                                                                                              \
                "size") "," P("sse4.1",                                                                              \
                              "bool") "," P("sse4.2",                                                                \
                                            "bool") "," P("mode",                                                    \
                                                          "OnOffAuto") "," P("list",                                 \
                                                                             "list") "," P("drive",                  \
                                                                                           "string") ",{\"name\":"   \
                                                                                                     "\"typeless\"}" \
                                                                                                     ",null,7,{"     \
                                                                                                     "\"type\":"     \
                                                                                                     "\"str\"}]"

static const struct {
        const char *text, *json, *error;
} with_properties[] = {
        { "driver=e1000 id=x bus=b", "{\"driver\":\"e1000\",\"id\":\"x\",\"bus\":\"b\"}", NULL },
        { "driver=d mac=1", "{\"driver\":\"d\",\"mac\":\"1\"}", NULL },
        { "driver=d mac=\"a b\"", "{\"driver\":\"d\",\"mac\":\"a b\"}", NULL },
        { "driver=d count=1k on=off", "{\"driver\":\"d\",\"count\":1024,\"on\":false}", NULL },
        { "driver=d size=1.5G", "{\"driver\":\"d\",\"size\":1610612736}", NULL },
        { "driver=d mode=auto", "{\"driver\":\"d\",\"mode\":\"auto\"}", NULL },
        { "driver=d mode=on", "{\"driver\":\"d\",\"mode\":\"on\"}", NULL },
        { "driver=d drive={x}", "{\"driver\":\"d\",\"drive\":\"{x}\"}", NULL },
        { "driver=d list=[1,2]", "{\"driver\":\"d\",\"list\":[1,2]}", NULL },
        { "driver=d list.0=1 list.1=x", "{\"driver\":\"d\",\"list\":[1,\"x\"]}", NULL },
        /* a PCI address is no integer */
        { "driver=d addr=06.0", "{\"driver\":\"d\",\"addr\":\"06.0\"}", NULL },
        { "driver=d addr=6", "{\"driver\":\"d\",\"addr\":\"6\"}", NULL },
        { "driver=d addr=0x10", "{\"driver\":\"d\",\"addr\":\"0x10\"}", NULL },
        /* a dot in a name */
        { "driver=d sse4.1=on,sse4.2=off", "{\"driver\":\"d\",\"sse4.1\":true,\"sse4.2\":false}", NULL },
        { "driver=d sse4.3=on", NULL,
          "the key at character 15 is not a property of this type (nearest: 'sse4.1'); types/ lists them" },
        { "driver=d sse4=on", NULL, "the key at character 10 is not a property of this type; types/ lists them" },
        { "driver=d sse4.1=1", NULL,
          "'sse4.1': expected a boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "driver=d on=1", NULL,
          "'on': expected a boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "driver=d count=x", NULL, "'count': expected an integer (uint32), but it does not begin with a digit" },
        { "driver=d foo=1", NULL, "the key at character 10 is not a property of this type; types/ lists them" },
        { "driver=d foo.bar=1", NULL, "the key at character 14 is not a property of this type; types/ lists them" },
        { "driver=d typeless=1", NULL, "the key at character 10 is not a property of this type; types/ lists them" },
        { "driver=d mac=1 mac=2", NULL, "the key at character 16 is given twice" },
        { "driver.x=1", NULL, "'driver': expected string" },
        { "id=x mac=1", NULL, "'driver' is missing; expected string" },
        { "driver=d mode=[1", NULL, "'mode': the JSON value is incomplete" },
        { "{\"driver\":\"d\",\"foo\":[1],\"bar\":null}", NULL,
          "key 2 of the arguments is not a property of this type; types/ lists them" },
        { "{\"driver\":\"d\",\"mac\":[1],\"count\":null}", "{\"driver\":\"d\",\"mac\":[1],\"count\":null}", NULL },
        { "{\"driver\":1}", NULL, "'driver': expected string, but it is an integer" },
        { "{\"mac\":1}", NULL, "'driver' is missing; expected string" },
};

START_TEST(arguments_by_properties)
{
        properties = json_tokener_parse(PROPERTIES);
        check("device_add", with_properties[_i].text, with_properties[_i].json, with_properties[_i].error);
}
END_TEST

START_TEST(properties_that_are_none_are_unknown)
{
        static const char *const odd[] = { "[[]]", "[{\"name\":1}]", "[\"mac\"]" };
        static const char *const nothing[] = { "[]", "{}", "1", "\"mac\"", "{\"name\":\"mac\"}" };

        for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
                json_object_put(properties);
                properties = json_tokener_parse(odd[i]);
                check("device_add", "driver=d id=x", "{\"driver\":\"d\",\"id\":\"x\"}", NULL);
                check("device_add", "driver=d mac=x", NULL,
                      "the key at character 10 is not a property of this type; types/ lists them");
        }
        /* where it isn't known what there is, QEMU judges */
        for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
                json_object_put(properties);
                properties = json_tokener_parse(nothing[i]);
                check("device_add", "driver=d mac=x", "{\"driver\":\"d\",\"mac\":\"x\"}", NULL);
        }
}
END_TEST

START_TEST(without_properties_the_schema_decides)
{
        check("device_add", "driver=d mac=x", NULL, "the key at character 10 is unknown; expected: driver, bus, id");
        check("device_add", "{\"driver\":\"d\",\"mac\":1}", NULL,
              "key 2 of the arguments is unknown; expected: driver, bus, id");
}
END_TEST

static const struct {
        const char *type, *text, *json, *error;
} property_values[] = {
        { "string", "a b, c", "\"a b, c\"", NULL },
        { "string", "", "\"\"", NULL },
        { "str", "\"a\"", "\"\\\"a\\\"\"", NULL },
        { "str", "{\"a\":1}", "\"{\\\"a\\\":1}\"", NULL },
        { "string", "[a\nb]", NULL, "a string must be on one line" },
        { "string", "\355\240\200", NULL, "invalid UTF-8 at byte 1" },
        { "bool", "on", "true", NULL },
        { "bool", "off", "false", NULL },
        { "bool", "true", "true", NULL },
        { "bool", "no", "false", NULL },
        { "bool", "2", NULL, "expected a boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "bool", "", NULL, "expected a boolean, but it is not one of on, off, true, false, yes, no, y, n" },
        { "uint32", "1k", "1024", NULL },
        { "int64", "-0x10", "-16", NULL },
        { "size", "1.5M", "1572864", NULL },
        { "int", "18446744073709551615", "18446744073709551615", NULL },
        { "u8", "7", "7", NULL },
        { "uint8", "255", "255", NULL },
        { "uint8", "256", NULL, "expected an integer (uint8), but it is out of range" },
        { "uint8", "-1", NULL, "expected an integer (uint8), but it is negative" },
        { "uint8", "-0", "0", NULL },
        { "int8", "-128", "-128", NULL },
        { "int8", "-129", NULL, "expected an integer (int8), but it is out of range" },
        { "int8", "127", "127", NULL },
        { "int8", "128", NULL, "expected an integer (int8), but it is out of range" },
        { "uint32", "4G", NULL, "expected an integer (uint32), but it is out of range" },
        { "int32", "-1", "-1", NULL },
        { "int64", "9223372036854775808", NULL, "expected an integer (int64), but it is out of range" },
        { "int64", "-9223372036854775808", "-9223372036854775808", NULL },
        { "uint64", "-1", NULL, "expected an integer (uint64), but it is negative" },
        { "size", "-1", NULL, "expected an integer (size), but it is negative" },
        { "size", "+1M", NULL, "expected an integer (size), but a '+' sign is not accepted" },
        { "size", " 1M", NULL, "expected an integer (size), but it does not begin with a digit" },
        { "size", "1M ", NULL, "expected an integer (size), but its digits are followed by something other" },
        { "int", "-5", "-5", NULL },
        { "uint8", "x", NULL, "expected an integer (uint8), but it does not begin with a digit" },
        { "uint64", "18446744073709551616", NULL, "expected an integer (uint64), but it is out of range" },
        { "int", "", NULL, "expected an integer (int), but it is empty" },
        { "number", "1.5", "1.5", NULL },
        { "double", "-1", "-1", NULL },
        { "number", "x", NULL, "expected a number, but it does not begin with a digit" },
        { "OnOffAuto", "auto", "\"auto\"", NULL },
        { "OnOffAuto", "on", "\"on\"", NULL },
        { "link<memory-backend>", "/objects/m", "\"/objects/m\"", NULL },
        { "struct tm", "{\"tm_year\": 1}", "{\"tm_year\":1}", NULL },
        { "list", "[1, \"a\"]", "[1,\"a\"]", NULL },
        { "OnOffAuto", "\"a\\nb\"", "\"a\\nb\"", NULL },
        { "list", "[1", NULL, "incomplete" },
        { "list", "[1] 2", NULL, "trailing data after the JSON value, at character 5" },
        { "OnOffAuto", "\"a", NULL, "incomplete" },
        { "x", "null", "\"null\"", NULL },
};

START_TEST(value_of_a_property)
{
        const char *text = property_values[_i].text;
        int r = qmp_args_property(property_values[_i].type, text, &arguments, &why);

        if (property_values[_i].json) {
                ck_assert_msg(r == 0, "%s: %s", text, why);
                ck_assert_str_eq(plain(arguments), property_values[_i].json);
                ck_assert_ptr_null(why);
        } else {
                ck_assert_int_eq(r, -EINVAL);
                ck_assert_contains(why, property_values[_i].error);
        }
}
END_TEST

static const struct {
        const char *text, *key, *value;
} gets[] = {
        { "driver=e1000 id=x", "driver", "e1000" }, { "driver=e1000 id=x", "id", "x" },
        { "driver=e1000 id=x", "i", NULL },         { "driver=\"a b\"", "driver", "a b" },
        { "driver=a,,b", "driver", "a,b" },         { "driver.x=1", "driver", NULL },
        { "driver.x=1", "driver.x", NULL },         { "", "driver", NULL },
        { "{\"driver\":\"d\"}", "driver", "d" },    { "{\"driver\":1}", "driver", NULL },
        { "{\"driver\":null}", "driver", NULL },    { "{}", "driver", NULL },
};

START_TEST(one_string_before_the_rest)
{
        struct qmp_args *args;
        const char *value;

        ck_assert_int_eq(qmp_args_parse(gets[_i].text, &args, &why), 0);
        value = qmp_args_get(args, gets[_i].key);
        if (gets[_i].value)
                ck_assert_str_eq(value, gets[_i].value);
        else
                ck_assert_ptr_null(value);
        ck_assert_ptr_null(qmp_args_free(args));
        ck_assert_ptr_null(qmp_args_free(NULL));
}
END_TEST

START_TEST(arguments_can_be_built_twice)
{
        static const char *const texts[] = { "device=a size=1k", "{\"device\":\"a\",\"size\":1024}" };
        const struct qmp_entity *command = qmp_entities_find(&schema->commands, "block_resize");

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct qmp_args *args;

                ck_assert_int_eq(qmp_args_parse(texts[i], &args, &why), 0);
                for (unsigned k = 0; k < 2; k++) {
                        ck_assert_int_eq(qmp_args_build(args, command, NULL, &arguments, &why), 0);
                        ck_assert_str_eq(plain(arguments), "{\"device\":\"a\",\"size\":1024}");
                        json_object_put(take_ptr(arguments));
                }
                qmp_args_free(args);
        }
}
END_TEST

/* --- words among the arguments, and values one by one ------------------------------------------------------------ */

/* Takes "go" and "stop", refuses "bad"; notes those taken. */
static int take_word(void *userdata, const char *word, size_t size, char **ret_why)
{
        char *taken = userdata;

        if (size == 3 && memcmp(word, "bad", 3) == 0)
                return qmp_invalid(ret_why, "bad is refused");
        if ((size != 2 || memcmp(word, "go", 2) != 0) && (size != 4 || memcmp(word, "stop", 4) != 0))
                return 0;
        strncat(strcat(taken, "+"), word, size);
        return 1;
}

static const struct {
        const char *text, *taken, *json, *error;
} word_texts[] = {
        { "device=a size=1", "", "{\"device\":\"a\",\"size\":1}", NULL },
        { "device=a size=1 go", "+go", "{\"device\":\"a\",\"size\":1}", NULL },
        { "go device=a stop size=1", "+go+stop", "{\"device\":\"a\",\"size\":1}", NULL },
        { " go stop  {\"size\": 1}", "+go+stop", "{\"size\":1}", NULL },
        { "device=\"go stop\",size=1,go", "+go", "{\"device\":\"go stop\",\"size\":1}", NULL },
        { "device=go size=1", "", "{\"device\":\"go\",\"size\":1}", NULL },
        { "size=1 bad", "", NULL, "bad is refused" },
        { "bad {\"size\": 1}", "", NULL, "bad is refused" },
        { "size=1 gone", "", NULL, "expected KEY=VALUE at character 8" },
        { "go size", "+go", NULL, "expected KEY=VALUE at character 4" },
        { "go size=x", "+go", NULL, "'size': expected integer" },
        { "go sise=1", "+go", NULL, "the key at character 4 is unknown" },
        { "{\"size\": 1} go", "", NULL, "" },
};

START_TEST(words_stand_among_the_arguments)
{
        const struct qmp_entity *command = qmp_entities_find(&schema->commands, "block_resize");
        const char *text = word_texts[_i].text;
        struct qmp_args *args = NULL;
        char taken[100] = "";
        int r = qmp_args_parse_words(text, take_word, taken, &args, &why);

        if (r == 0)
                r = qmp_args_build(args, command, NULL, &arguments, &why);
        qmp_args_free(args);
        ck_assert_str_eq(taken, word_texts[_i].taken);
        if (word_texts[_i].json) {
                ck_assert_msg(r == 0, "%s: %s", text, why);
                ck_assert_str_eq(plain(arguments), word_texts[_i].json);
        } else {
                ck_assert_msg(r == -EINVAL, "%s", text);
                ck_assert_contains(why, word_texts[_i].error);
        }
}
END_TEST

START_TEST(values_one_by_one)
{
        static const char *const texts[] = { "how-long=1k name=x", "{\"how-long\": 1024, \"name\": \"x\"}" };
        static const char *const keys[] = { "how-long", "name", NULL }, *const other[] = { "name", "how-lonk", NULL };
        const struct qmp_entity *command = qmp_entities_find(&schema->commands, "block_resize");

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct json_object *value = NULL, *object = json_object_new_object();
                struct qmp_args *args = NULL;

                ck_assert_int_eq(qmp_args_parse(texts[i], &args, &why), 0);
                ck_assert_int_eq(qmp_args_value(args, "how-long", command, "size", &value, &why), 0);
                ck_assert(json_object_is_type(value, json_type_int));
                ck_assert_int_eq(json_object_get_int(value), 1024);
                json_object_object_add(object, "size", value);
                ck_assert_int_eq(qmp_args_check_command(command, object, &why), 0);
                ck_assert_int_eq(qmp_args_value(args, "size", command, "size", &value, &why), -ENOENT);
                ck_assert_int_eq(qmp_args_check_keys(args, keys, &why), 0);
                ck_assert_int_eq(qmp_args_check_keys(args, other, &why), -EINVAL);
                ck_assert_contains(why, i == 0 ? "the key at character 1 is unknown (nearest: 'how-lonk'); expected: "
                                                 "name, how-lonk"
                                               : "key 1 of the arguments is unknown (nearest: 'how-lonk')");
                free(take_ptr(why));
                json_object_object_add(object, "size", json_object_new_string("x"));
                ck_assert_int_eq(qmp_args_check_command(command, object, &why), -EINVAL);
                ck_assert_contains(why, "'size': expected integer");
                free(take_ptr(why));
                json_object_object_del(object, "size");
                ck_assert_int_eq(qmp_args_check_command(command, object, &why), -EINVAL);
                ck_assert_contains(why, "'size' is missing");
                free(take_ptr(why));
                json_object_put(object);
                qmp_args_free(args);
        }
        {
                struct json_object *value = NULL;
                struct qmp_args *args = NULL;

                /* of a variant, which the tag selects */
                command = qmp_entities_find(&schema->commands, "blockdev-add");
                ck_assert_int_eq(qmp_args_parse("driver=null-co size=1k", &args, &why), 0);
                ck_assert_int_eq(qmp_args_value(args, "size", command, "size", &value, &why), 0);
                ck_assert(json_object_is_type(value, json_type_int));
                json_object_put(value);
                qmp_args_free(args);
                command = qmp_entities_find(&schema->commands, "block_resize");
                ck_assert_int_eq(qmp_args_parse("long=1Q", &args, &why), 0);
                ck_assert_int_eq(qmp_args_value(args, "long", command, "size", &value, &why), -EINVAL);
                ck_assert_contains(why, "'long': expected integer");
                qmp_args_free(args);
        }
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(arguments_by_the_schema, ARRAY_SIZE(builds)),
                TEST_EACH(integer_as_people_write_it, ARRAY_SIZE(sizes)),
                TEST_EACH(half_a_number_is_refused, ARRAY_SIZE(cut_numbers)),
                TEST_EACH(what_was_written_is_in_no_message, ARRAY_SIZE(secrets)),
                TEST_EACH(value_of_a_property_is_in_no_message, ARRAY_SIZE(secret_properties)),
                TEST_EACH(long_text_takes_no_time, ARRAY_SIZE(long_texts)),
                TEST(any_byte_anywhere_does_no_harm),
                TEST_EACH(arguments_by_properties, ARRAY_SIZE(with_properties)),
                TEST(properties_that_are_none_are_unknown),
                TEST(without_properties_the_schema_decides),
                TEST(arguments_can_be_built_twice),
                TEST_EACH(words_stand_among_the_arguments, ARRAY_SIZE(word_texts)),
                TEST(values_one_by_one),
        };
        const struct test odd[] = {
                TEST_EACH(arguments_by_odd_schemas, ARRAY_SIZE(others)),
                TEST(alternate_of_two_objects_takes_no_time),
                TEST(pairs_have_a_limit),
                TEST(dotted_keys_have_a_limit),
                TEST(depth_of_json_has_a_limit),
                TEST(depth_of_json_below_dotted_keys_has_the_same_limit),
                TEST_EACH(value_of_a_property, ARRAY_SIZE(property_values)),
                TEST_EACH(one_string_before_the_rest, ARRAY_SIZE(gets)),
        };
        int r = test_main("args", tests, ARRAY_SIZE(tests), load_real, teardown);
        int s = test_main("args_odd", odd, ARRAY_SIZE(odd), NULL, teardown);

        return r != EXIT_SUCCESS ? r : s;
}
