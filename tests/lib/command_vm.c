#include "tests/lib/command_vm.h"

#define COMMAND(name, arg, ret, more)                                                                                \
        "{\"name\": \"" name "\", \"meta-type\": \"command\", \"arg-type\": \"" arg "\", \"ret-type\": \"" ret       \
        "\"" more "}"
#define BUILTIN(name, json)   "{\"name\": \"" name "\", \"meta-type\": \"builtin\", \"json-type\": \"" json "\"}"
#define OBJECT(name, members) "{\"name\": \"" name "\", \"meta-type\": \"object\", \"members\": [" members "]}"
#define MEMBER(name, type)    "{\"name\": \"" name "\", \"type\": \"" type "\"}"
#define OPTIONAL(name, type)  "{\"name\": \"" name "\", \"type\": \"" type "\", \"default\": null}"

// clang-format off
const char command_vm_schema[] =
        "[" BUILTIN("str", "string") ", "
        BUILTIN("int", "int") ", "
        BUILTIN("bool", "boolean") ", "
        BUILTIN("any", "value") ", "
        OBJECT("0", "") ", "
        OBJECT("1", OPTIONAL("device", "str") ", " MEMBER("node-name", "str") ", " MEMBER("size", "int")) ", "
        OBJECT("2", MEMBER("driver", "str") ", " OPTIONAL("bus", "str") ", " OPTIONAL("id", "str")) ", "
        OBJECT("3", MEMBER("instances", "[any]")) ", "
        OBJECT("4", OPTIONAL("v", "any")) ", "
        "{\"name\": \"[any]\", \"meta-type\": \"array\", \"element-type\": \"any\"}, "
        "{\"name\": \"5\", \"meta-type\": \"object\", \"members\": [" MEMBER("driver", "6")
        "], \"tag\": \"driver\", \"variants\": [{\"case\": \"file\", \"type\": \"0\"}, "
        "{\"case\": \"https\", \"type\": \"7\"}]}, "
        "{\"name\": \"6\", \"meta-type\": \"enum\", \"values\": [\"file\", \"https\"]}, "
        OBJECT("7", MEMBER("url", "str") ", " OPTIONAL("timeout", "int")) ", "
        COMMAND("blockdev-add", "5", "0", "") ", "
        COMMAND("block_resize", "1", "0", "") ", "
        COMMAND("device_add", "2", "0", "") ", "
        COMMAND("stop", "0", "0", "") ", "
        COMMAND("get", "4", "any", "") ", "
        COMMAND("yank", "3", "0", ", \"allow-oob\": true") "]";
// clang-format on

void command_vm_up(void)
{
        rig_up();
        fake_on(rig.fake, "query-qmp-schema", command_vm_schema);
        fake_on(rig.fake, "stop", "{}");
        fake_on(rig.fake, "get", "{}");
        fake_on(rig.fake, "block_resize", "{}");
        fake_on(rig.fake, "blockdev-add", "{}");
        fake_on(rig.fake, "yank", "{}");
        fake_on(rig.fake, "device_add", "{}");
}

void command_vm_up_again_with_oob(void)
{
        rig_unmake();
        rig_make("/run/fake.sock");
        k_mount();
        rig.fake->greeting = FAKE_GREETING_OOB;
        rig_connect();
        fake_on(rig.fake, "query-qmp-schema", command_vm_schema);
        fake_on(rig.fake, "stop", "{}");
        fake_on(rig.fake, "get", "{}");
        fake_on(rig.fake, "yank", "{}");
}

uint64_t send_text(const struct k_file *file, const char *text)
{
        return k_send_write(file, text, strlen(text));
}

uint64_t send_text_at(const struct k_file *file, uint64_t offset, const char *text)
{
        struct fuse_write_in in = {
                .fh = file->fh,
                .offset = offset,
                .size = (uint32_t)strlen(text),
                .flags = (uint32_t)file->flags,
        };

        return k_send(FUSE_WRITE, file->node, &in, sizeof(in), text, strlen(text));
}

int write_text(const struct k_file *file, const char *text)
{
        return k_wait_error(send_text(file, text));
}

size_t n_errors(void)
{
        _cleanup_(qmp_freep) char *text = NULL;
        size_t n = 0;

        ASSERT_OK(rig_cat("errors", &text));
        for (const char *c = text; *c; c++)
                n += *c == '\n';
        return n;
}

void fill_the_window(struct k_file files[4])
{
        static const char *const paths[] = { "status", "name", "uuid", "version" };
        static const char *const queries[] = { "query-status", "query-name", "query-uuid", "query-version" };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                files[i] = rig_must_open_and_read(paths[i], O_RDONLY);
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                fake_on_nothing(rig.fake, queries[i]);
                (void)k_send_read(&files[i], 0, 4096);
        }
        SETTLE();
}

void empty_the_window(void)
{
        fake_return(rig.fake, rig_last("query-status"), "{\"status\": \"x\"}");
        fake_return(rig.fake, rig_last("query-name"), "{\"name\": \"x\"}");
        fake_return(rig.fake, rig_last("query-uuid"), "{\"UUID\": \"x\"}");
        fake_return(rig.fake, rig_last("query-version"), FAKE_VERSION);
        SETTLE();
}
