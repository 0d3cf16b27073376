#include "fs/daemon/options.h"

#include <errno.h>

#include "tests/lib/test.h"

static struct options options;
static char *why;

/* Parses a command line of words with blanks between. */
static int parse(const char *line)
{
        char *copy = strdup(line), *save = NULL, *argv[32];
        int argc = 0, r;

        free(take_ptr(why));
        options_deinit(&options);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
                argv[argc++] = word;
        argv[argc] = NULL;
        r = options_parse(argc, argv, &options, &why);
        free(copy);
        return r;
}

static void setup(void)
{
        options = (struct options){ 0 };
}

static void teardown(void)
{
        options_deinit(&options);
        free(take_ptr(why));
}

static bool is_left_for_fuse(const char *arg)
{
        for (int i = 1; i < options.fuse.argc; i++)
                if (strstr(options.fuse.argv[i], arg))
                        return true;
        return false;
}

START_TEST(source_and_mountpoint)
{
        ck_assert_int_eq(parse("qmpfs vm.qmp /mnt/vm"), 0);
        ck_assert_str_eq(options.source, "vm.qmp");
        ck_assert_str_eq(options.mountpoint, "/mnt/vm");
        ck_assert(!options.foreground && !options.debug && !options.help && !options.version);
        ck_assert_uint_eq(options.vm.timeout_ns, 10 * NSEC_PER_SEC);
        ck_assert_uint_eq(options.vm.unplug_timeout_ns, 30 * NSEC_PER_SEC);
        ck_assert_uint_eq(options.vm.command_timeout_ns, 60 * NSEC_PER_SEC);
        ck_assert(!options.session.noraw);
        ck_assert(!options.vm.any_vm);
        ck_assert_uint_eq(options.vm.structure_ttl_ns, 100 * NSEC_PER_MSEC);
        ck_assert_uint_eq(options.vm.max_load, 10);
        ck_assert_uint_eq(options.session.uid, getuid());
        ck_assert_uint_eq(options.session.gid, getgid());
        ck_assert(!options.session.group_writes);
        ck_assert_int_eq(options.fuse.argc, 1);
}
END_TEST

START_TEST(as_mount_calls_a_helper)
{
        /* mount(8) and mount.fuse3(8), with what fstab(5) may hold */
        ck_assert_int_eq(parse("qmpfs tcp:localhost:4444 /mnt/vm -n -s -v -t fuse.qmpfs -o "
                               "rw,defaults,auto,noauto,user,user=joe,nouser,users,owner,group,nofail,_netdev,"
                               "comment=x,relatime,lazytime,x-systemd.automount,x-gvfs-show,timeout=3,"
                               "dev,suid,exec,nodev,nosuid,noexec"),
                         0);
        ck_assert_str_eq(options.source, "tcp:localhost:4444");
        ck_assert_str_eq(options.mountpoint, "/mnt/vm");
        ck_assert_uint_eq(options.vm.timeout_ns, 3 * NSEC_PER_SEC);
        for (int i = 1; i < options.fuse.argc; i++)
                ck_assert_msg(strstr("-o rw", options.fuse.argv[i]), "%s", options.fuse.argv[i]);
}
END_TEST

START_TEST(every_option)
{
        ck_assert_int_eq(
                parse("qmpfs -o timeout=2.5,unplug_timeout=60,structure_ttl=50,max_load=25,uid=12,gid=34 a b"), 0);
        ck_assert_uint_eq(options.vm.timeout_ns, 2500 * NSEC_PER_MSEC);
        ck_assert_uint_eq(options.vm.unplug_timeout_ns, 60 * NSEC_PER_SEC);
        ck_assert_uint_eq(options.vm.structure_ttl_ns, 50 * NSEC_PER_MSEC);
        ck_assert_uint_eq(options.vm.max_load, 25);
        ck_assert_uint_eq(options.session.uid, 12);
        ck_assert_uint_eq(options.session.gid, 34);
        ck_assert(options.session.group_writes);
        ck_assert_int_eq(options.fuse.argc, 1);
        ck_assert_int_eq(parse("qmpfs -o uid=root,gid=root a b"), 0);
        ck_assert_uint_eq(options.session.uid, 0);
        ck_assert_uint_eq(options.session.gid, 0);
        ck_assert(!options.no_sandbox);
        ck_assert_int_eq(parse("qmpfs -o sandbox=off a b"), 0);
        ck_assert(options.no_sandbox);
        ck_assert_int_eq(parse("qmpfs -o sandbox=off,sandbox=on a b"), 0);
        ck_assert(!options.no_sandbox);
        ck_assert_int_eq(parse("qmpfs -o any_vm a b"), 0);
        ck_assert(options.vm.any_vm);
        ck_assert(!options.session.exact_sizes);
        ck_assert_int_eq(parse("qmpfs -o sizes=exact a b"), 0);
        ck_assert(options.session.exact_sizes);
        ck_assert_int_eq(parse("qmpfs -o sizes=exact,sizes=cheap a b"), 0);
        ck_assert(!options.session.exact_sizes);
        ck_assert_int_eq(parse("qmpfs -o max_load=100 a b"), 0);
        ck_assert_uint_eq(options.vm.max_load, 100);
        /* the last one counts, -o may come often and anywhere */
        ck_assert_int_eq(parse("qmpfs a -otimeout=1 b -o timeout=2 -o timeout=4"), 0);
        ck_assert_uint_eq(options.vm.timeout_ns, 4 * NSEC_PER_SEC);
        /* less than can be counted is not "for ever" */
        ck_assert_int_eq(parse("qmpfs a b -o timeout=0.0000000001"), 0);
        ck_assert_uint_eq(options.vm.timeout_ns, 1);
}
END_TEST

START_TEST(foreground_and_debug)
{
        ck_assert_int_eq(parse("qmpfs -f a b"), 0);
        ck_assert(options.foreground && !options.debug);
        ck_assert_int_eq(parse("qmpfs -d a b"), 0);
        ck_assert(options.foreground && options.debug);
        ck_assert_int_eq(parse("qmpfs -o debug a b"), 0);
        ck_assert(options.foreground && options.debug);
        /* libfuse is told of it by main */
        ck_assert_int_eq(options.fuse.argc, 1);
}
END_TEST

START_TEST(help_and_version_need_no_arguments)
{
        static const char *const lines[] = { "qmpfs -h", "qmpfs --help", "qmpfs -V", "qmpfs --version",
                                             "qmpfs -h a" };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                ck_assert_int_eq(parse(lines[i]), 0);
                ck_assert(options.help != options.version);
        }
}
END_TEST

START_TEST(what_libfuse_does_is_left_for_it)
{
        static const char *const names[] = {
                "allow_other", "allow_root", "auto_unmount", "ro", "sync", "context=x:y"
        };

        ck_assert_int_eq(
                parse("qmpfs -o ro,allow_other,allow_root,auto_unmount,sync,context=x:y,timeout=1,,fsname=n a "
                      "b"),
                0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                ck_assert_msg(is_left_for_fuse(names[i]), "%s", names[i]);
        ck_assert(!is_left_for_fuse("timeout"));
        ck_assert(options.vm.conceal);
        /* main tells libfuse */
        ck_assert(!is_left_for_fuse("fsname"));
        ck_assert_str_eq(options.fsname, "n");
        ck_assert_str_eq(options.source, "a");
        ck_assert_int_eq(parse("qmpfs -o fsname=n,fsname=m\\,k -r -- a -b"), 0);
        ck_assert_str_eq(options.fsname, "m,k");
        ck_assert_str_eq(options.mountpoint, "-b");
        ck_assert(is_left_for_fuse("-r"));
}
END_TEST

static const struct {
        const char *line, *why;
} wrong[] = {
        { "qmpfs", "SOURCE and MOUNTPOINT" },
        { "qmpfs a", "SOURCE and MOUNTPOINT" },
        { "qmpfs -o timeout=1 a", "SOURCE and MOUNTPOINT" },
        { "qmpfs a b c", "unexpected operand 'c'" },
        { "qmpfs -o bogus=1 a b", "unknown option '-o bogus=1'" },
        { "qmpfs -obogus a b", "unknown option '-o bogus'" },
        { "qmpfs -x a b", "unknown option '-x'" },
        { "qmpfs --wrong=1 a b", "unknown option '--wrong=1'" },
        { "qmpfs -o timeouts=1 a b", "unknown option '-o timeouts=1', did you mean 'timeout'?" },
        { "qmpfs -o Timeout=1 a b", "unknown option '-o Timeout=1', did you mean 'timeout'?" },
        { "qmpfs -o alow_other a b", "unknown option '-o alow_other', did you mean 'allow_other'?" },
        { "qmpfs -o uidx=1 a b", "unknown option '-o uidx=1', did you mean 'uid'?" },
        { "qmpfs -o fd=3 a b", "unknown option '-o fd=3'" },
        { "qmpfs -o rootmode=40000 a b", "unknown option '-o rootmode=40000'" },
        { "qmpfs -o user_id=0 a b", "unknown option '-o user_id=0'" },
        { "qmpfs -o max_read=4096 a b", "option '-o max_read=4096' is not supported: " },
        { "qmpfs -o blkdev a b", "option '-o blkdev' is not supported: " },
        { "qmpfs -o blksize=512 a b", "option '-o blksize=512' is not supported: " },
        { "qmpfs -o subtype=x a b", "option '-o subtype=x' is not supported: the type is always fuse.qmpfs" },
        { "qmpfs -o remount,ro a b", "option '-o remount' is not supported: unmount" },
        { "qmpfs -o fsname= a b", "invalid option 'fsname=': expected a name" },
        { "qmpfs -o timeout a b", "option '-o timeout' needs a value" },
        { "qmpfs -o sandbox a b", "option '-o sandbox' needs a value" },
        { "qmpfs -o noraw=1 a b", "option '-o noraw=1' takes no value" },
        { "qmpfs -o ro=1 a b", "option '-o ro=1' takes no value" },
        { "qmpfs a b -o", "option '-o' needs a value" },
        { "qmpfs a b -t", "option '-t' needs a value" },
        { "qmpfs -o timeout= a b", "'timeout='" },
        { "qmpfs -o timeout=0 a b", "'timeout=0': expected seconds" },
        { "qmpfs -o timeout=-1 a b", "'timeout=-1'" },
        { "qmpfs -o timeout=1s a b", "'timeout=1s'" },
        { "qmpfs -o timeout=inf a b", "'timeout=inf'" },
        { "qmpfs -o timeout=nan a b", "'timeout=nan'" },
        { "qmpfs -o timeout=1e3 a b", "'timeout=1e3'" },
        { "qmpfs -o timeout=0x5 a b", "'timeout=0x5'" },
        { "qmpfs -o timeout=. a b", "'timeout=.'" },
        { "qmpfs -o timeout=1.2.3 a b", "'timeout=1.2.3'" },
        { "qmpfs -o timeout=9999999 a b", "at most 1000000" },
        { "qmpfs -o unplug_timeout=x a b", "'unplug_timeout=x': expected seconds" },
        { "qmpfs -o command_timeout=x a b", "'command_timeout=x': expected seconds" },
        { "qmpfs -o structure_ttl=x a b", "'structure_ttl=x': expected milliseconds" },
        { "qmpfs -o max_load=0 a b", "'max_load=0': expected per cent" },
        { "qmpfs -o max_load=101 a b", "at most 100" },
        { "qmpfs -o max_load=0.5 a b", "'max_load=0.5': expected an integer, from 1 to 100" },
        { "qmpfs -o max_load=12.7 a b", "'max_load=12.7': expected an integer, from 1 to 100" },
        { "qmpfs -o timeout=010 a b", "'timeout=010': expected seconds, over 0 and at most 1000000: a leading 0" },
        { "qmpfs -o timeout=+5 a b", "a '+' sign" },
        { "qmpfs -o timeout=5. a b", "no digit after the decimal point" },
        { "qmpfs -o timeout=1_000 a b", "it ends with something other than a digit" },
        { "qmpfs -o uid=010 a b", "'uid=010': no such user" },
        { "qmpfs -o uid= a b", "'uid=': no such user" },
        { "qmpfs -o uid=no-such-user a b", "'uid=no-such-user': no such user" },
        { "qmpfs -o uid=-1 a b", "'uid=-1'" },
        { "qmpfs -o uid=4294967295 a b", "'uid=4294967295'" },
        { "qmpfs -o uid=99999999999999999999 a b", "no such user" },
        { "qmpfs -o sizes=huge a b", "'sizes=huge': expected cheap or exact" },
        { "qmpfs -o gid=1x a b", "'gid=1x': no such group" },
};

START_TEST(wrong_command_line_is_refused_with_a_reason)
{
        ck_assert_int_eq(parse(wrong[_i].line), -EINVAL);
        ck_assert_contains(why, wrong[_i].why);
        ck_assert_ptr_null(strchr(why, '\n'));
}
END_TEST

START_TEST(help_tells_every_option)
{
        static const char *const wanted[] = { "timeout=SEC",
                                              "unplug_timeout=SEC",
                                              "command_timeout=SEC",
                                              "-o sizes=exact",
                                              "-o noraw",
                                              "-o any_vm",
                                              "structure_ttl=MSEC",
                                              "max_load=PERCENT",
                                              "uid=USER",
                                              "gid=GROUP",
                                              "-o ro",
                                              "-o sandbox=off",
                                              "-o allow_other",
                                              "-o allow_root",
                                              "-o auto_unmount",
                                              "fsname=NAME",
                                              "-h",
                                              "-V",
                                              "-f",
                                              "-d" };
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        options_help(out);
        fclose(out);
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                ck_assert_contains(text, wanted[i]);
        free(text);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(source_and_mountpoint),
                TEST(as_mount_calls_a_helper),
                TEST(every_option),
                TEST(foreground_and_debug),
                TEST(help_and_version_need_no_arguments),
                TEST(what_libfuse_does_is_left_for_it),
                TEST_EACH(wrong_command_line_is_refused_with_a_reason, ARRAY_SIZE(wrong)),
                TEST(help_tells_every_option),
        };

        return test_main("options", tests, ARRAY_SIZE(tests), setup, teardown);
}
