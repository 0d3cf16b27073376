#include "fs/daemon/options.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "fs/tree/tree.h"
#include "qmp/nearest.h"
#include "qmp/number.h"

enum {
        KEY_TIMEOUT,
        KEY_UNPLUG_TIMEOUT,
        KEY_COMMAND_TIMEOUT,
        KEY_STRUCTURE_TTL,
        KEY_MAX_LOAD,
        KEY_UID,
        KEY_GID,
        KEY_SIZES,
        KEY_NORAW,
        KEY_ANY_VM,
        KEY_SANDBOX,
        KEY_FSNAME,
        KEY_FOREGROUND,
        KEY_DEBUG,
        KEY_HELP,
        KEY_VERSION,
        KEY_IGNORE,
        KEY_ALLOW_OTHER,
        KEY_LIBFUSE,
};

/* All that is taken: libfuse is never left with an option to refuse, since it would not say which in a sentence. */
static const struct fuse_opt templates[] = {
        FUSE_OPT_KEY("timeout=", KEY_TIMEOUT),
        FUSE_OPT_KEY("unplug_timeout=", KEY_UNPLUG_TIMEOUT),
        FUSE_OPT_KEY("command_timeout=", KEY_COMMAND_TIMEOUT),
        FUSE_OPT_KEY("structure_ttl=", KEY_STRUCTURE_TTL),
        FUSE_OPT_KEY("max_load=", KEY_MAX_LOAD),
        FUSE_OPT_KEY("uid=", KEY_UID),
        FUSE_OPT_KEY("gid=", KEY_GID),
        FUSE_OPT_KEY("sizes=", KEY_SIZES),
        FUSE_OPT_KEY("noraw", KEY_NORAW),
        FUSE_OPT_KEY("any_vm", KEY_ANY_VM),
        FUSE_OPT_KEY("sandbox=", KEY_SANDBOX),
        FUSE_OPT_KEY("fsname=", KEY_FSNAME),
        FUSE_OPT_KEY("-f", KEY_FOREGROUND),
        FUSE_OPT_KEY("-d", KEY_DEBUG),
        FUSE_OPT_KEY("debug", KEY_DEBUG),
        FUSE_OPT_KEY("-h", KEY_HELP),
        FUSE_OPT_KEY("--help", KEY_HELP),
        FUSE_OPT_KEY("-V", KEY_VERSION),
        FUSE_OPT_KEY("--version", KEY_VERSION),
        /* what mount(8) passes to a helper and fstab(5) holds for others */
        FUSE_OPT_KEY("-n", KEY_IGNORE),
        FUSE_OPT_KEY("-s", KEY_IGNORE),
        FUSE_OPT_KEY("-v", KEY_IGNORE),
        FUSE_OPT_KEY("-t ", KEY_IGNORE),
        FUSE_OPT_KEY("defaults", KEY_IGNORE),
        FUSE_OPT_KEY("auto", KEY_IGNORE),
        FUSE_OPT_KEY("noauto", KEY_IGNORE),
        FUSE_OPT_KEY("user", KEY_IGNORE),
        FUSE_OPT_KEY("user=", KEY_IGNORE),
        FUSE_OPT_KEY("nouser", KEY_IGNORE),
        FUSE_OPT_KEY("users", KEY_IGNORE),
        FUSE_OPT_KEY("owner", KEY_IGNORE),
        FUSE_OPT_KEY("group", KEY_IGNORE),
        FUSE_OPT_KEY("nofail", KEY_IGNORE),
        FUSE_OPT_KEY("_netdev", KEY_IGNORE),
        FUSE_OPT_KEY("comment=", KEY_IGNORE),
        /* there are no times of access */
        FUSE_OPT_KEY("relatime", KEY_IGNORE),
        FUSE_OPT_KEY("norelatime", KEY_IGNORE),
        FUSE_OPT_KEY("strictatime", KEY_IGNORE),
        FUSE_OPT_KEY("nostrictatime", KEY_IGNORE),
        FUSE_OPT_KEY("diratime", KEY_IGNORE),
        FUSE_OPT_KEY("nodiratime", KEY_IGNORE),
        FUSE_OPT_KEY("lazytime", KEY_IGNORE),
        FUSE_OPT_KEY("nolazytime", KEY_IGNORE),
        /* always nosuid, nodev and noexec, although mount.fuse3 adds "suid,dev": see add_fuse_options() */
        FUSE_OPT_KEY("suid", KEY_IGNORE),
        FUSE_OPT_KEY("nosuid", KEY_IGNORE),
        FUSE_OPT_KEY("dev", KEY_IGNORE),
        FUSE_OPT_KEY("nodev", KEY_IGNORE),
        FUSE_OPT_KEY("exec", KEY_IGNORE),
        FUSE_OPT_KEY("noexec", KEY_IGNORE),
        /* what libfuse and the kernel do */
        FUSE_OPT_KEY("allow_other", KEY_ALLOW_OTHER),
        FUSE_OPT_KEY("allow_root", KEY_LIBFUSE),
        FUSE_OPT_KEY("auto_unmount", KEY_LIBFUSE),
        FUSE_OPT_KEY("default_permissions", KEY_LIBFUSE),
        FUSE_OPT_KEY("-r", KEY_LIBFUSE),
        FUSE_OPT_KEY("ro", KEY_LIBFUSE),
        FUSE_OPT_KEY("rw", KEY_LIBFUSE),
        FUSE_OPT_KEY("sync", KEY_LIBFUSE),
        FUSE_OPT_KEY("async", KEY_LIBFUSE),
        FUSE_OPT_KEY("dirsync", KEY_LIBFUSE),
        FUSE_OPT_KEY("atime", KEY_LIBFUSE),
        FUSE_OPT_KEY("noatime", KEY_LIBFUSE),
        FUSE_OPT_KEY("context=", KEY_LIBFUSE),
        FUSE_OPT_KEY("fscontext=", KEY_LIBFUSE),
        FUSE_OPT_KEY("defcontext=", KEY_LIBFUSE),
        FUSE_OPT_KEY("rootcontext=", KEY_LIBFUSE),
        FUSE_OPT_END,
};

/* What other FUSE file systems take, and people may expect here; without the value. */
static const struct {
        const char *name, *why;
} refused[] = {
        { "subtype", "the type is always fuse.qmpfs" },
        { "max_read", "the kernel chooses the size of reads" },
        { "blkdev", "there is no block device" },
        { "blksize", "there is no block device" },
        { "remount", "unmount, and mount again with other options" },
};

struct parsing {
        struct options *options;
        char *why;
};

_printf_(2, 3) static int fail(struct parsing *p, const char *format, ...)
{
        va_list args;

        free(p->why);
        va_start(args, format);
        if (vasprintf(&p->why, format, args) < 0)
                p->why = NULL;
        va_end(args);
        return -1;
}

/* A decimal number behind the "=", from over 0 to @max. */
static int parse_number(struct parsing *p, const char *arg, const char *unit, double max, double *ret_number)
{
        const char *text = strchr(arg, '=') + 1;
        double number = 0;
        const char *why = qmp_number_decimal(text, &number);

        if (why || number <= 0 || number > max)
                return fail(p, "invalid option '%s': expected %s, over 0 and at most %.15g%s%s", arg, unit, max,
                            why ? ": " : "", why ? why : "");
        *ret_number = number;
        return 0;
}

static int parse_ns(struct parsing *p, const char *arg, const char *unit, uint64_t unit_ns, uint64_t *ret_ns)
{
        double number = 0;
        int r = parse_number(p, arg, unit, 1e6, &number);

        /* 0 would be no limit at all */
        if (r == 0)
                *ret_ns = number * (double)unit_ns < 1 ? 1 : (uint64_t)(number * (double)unit_ns);
        return r;
}

static int parse_id(struct parsing *p, const char *arg, bool group, unsigned *ret_id)
{
        const char *text = strchr(arg, '=') + 1;
        const struct passwd *passwd = group ? NULL : getpwnam(text);
        const struct group *gr = group ? getgrnam(text) : NULL;
        unsigned long id;
        char *end;

        if (passwd || gr) {
                *ret_id = passwd ? passwd->pw_uid : gr->gr_gid;
                return 0;
        }
        errno = 0;
        id = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || (text[0] == '0' && text[1]) || *end || errno || id >= UINT32_MAX)
                return fail(p, "invalid option '%s': no such %s", arg, group ? "group" : "user");
        *ret_id = (unsigned)id;
        return 0;
}

/* One of two words. */
static int parse_choice(struct parsing *p, const char *arg, const char *no, const char *yes, bool *ret_yes)
{
        const char *text = strchr(arg, '=') + 1;

        if (!streq(text, no) && !streq(text, yes))
                return fail(p, "invalid option '%s': expected %s or %s", arg, no, yes);
        *ret_yes = streq(text, yes);
        return 0;
}

static int replace(struct parsing *p, char **text, const char *value)
{
        free(*text);
        *text = strdup(value);
        return *text ? 0 : fail(p, "%s", strerror(ENOMEM));
}

static int parse_fsname(struct parsing *p, const char *arg)
{
        const char *text = strchr(arg, '=') + 1;

        /* the kernel would show "none" */
        return *text ? replace(p, &p->options->fsname, text) : fail(p, "invalid option '%s': expected a name", arg);
}

static int parse_word(struct parsing *p, const char *arg)
{
        struct options *o = p->options;

        if (o->mountpoint)
                return fail(p, "unexpected operand '%s': expected one SOURCE and one MOUNTPOINT", arg);
        return replace(p, o->source ? &o->mountpoint : &o->source, arg);
}

/* An option that is in no template. */
static int refuse(struct parsing *p, const char *arg)
{
        const char *o = arg[0] == '-' ? "" : "-o ";
        size_t size = strcspn(arg, "=");
        _cleanup_(qmp_freep) char *name = strndup(arg, size);
        struct qmp_nearest nearest;

        if (!name)
                return fail(p, "%s", strerror(ENOMEM));
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                if (streq(name, refused[i].name))
                        return fail(p, "option '%s%s' is not supported: %s", o, arg, refused[i].why);
        qmp_nearest_init(&nearest, name);
        for (const struct fuse_opt *t = templates; t->templ; t++) {
                const char *rest = startswith(t->templ, name);

                if (rest && streq(rest, "=") && !arg[size])
                        return fail(p, "option '%s%s' needs a value", o, arg);
                if (rest && !*rest && arg[size])
                        return fail(p, "option '%s%s' takes no value", o, arg);
                if (t->templ[0] != '-' && arg[0] != '-')
                        qmp_nearest_offer(&nearest, t->templ);
        }
        if (qmp_nearest_get(&nearest))
                return fail(p, "unknown option '%s%s', did you mean '%.*s'?", o, arg,
                            (int)strcspn(qmp_nearest_get(&nearest), "="), qmp_nearest_get(&nearest));
        return fail(p, "unknown option '%s%s'", o, arg);
}

static int handle(void *data, const char *arg, int key, struct fuse_args *out)
{
        struct parsing *p = data;
        struct options *o = p->options;
        double percent = 0;

        (void)out;
        switch (key) {
        case KEY_TIMEOUT:
                return parse_ns(p, arg, "seconds", NSEC_PER_SEC, &o->vm.timeout_ns);
        case KEY_UNPLUG_TIMEOUT:
                return parse_ns(p, arg, "seconds", NSEC_PER_SEC, &o->vm.unplug_timeout_ns);
        case KEY_COMMAND_TIMEOUT:
                return parse_ns(p, arg, "seconds", NSEC_PER_SEC, &o->vm.command_timeout_ns);
        case KEY_STRUCTURE_TTL:
                return parse_ns(p, arg, "milliseconds", NSEC_PER_MSEC, &o->vm.structure_ttl_ns);
        case KEY_MAX_LOAD:
                if (parse_number(p, arg, "per cent", 100, &percent) < 0)
                        return -1;
                if (percent != (unsigned)percent)
                        return fail(p, "invalid option '%s': expected an integer, from 1 to 100", arg);
                o->vm.max_load = (unsigned)percent;
                return 0;
        case KEY_UID:
                return parse_id(p, arg, false, &o->session.uid);
        case KEY_GID:
                o->session.group_writes = true;
                return parse_id(p, arg, true, &o->session.gid);
        case KEY_SIZES:
                return parse_choice(p, arg, "cheap", "exact", &o->session.exact_sizes);
        case KEY_NORAW:
                o->session.noraw = true;
                return 0;
        case KEY_ANY_VM:
                o->vm.any_vm = true;
                return 0;
        case KEY_SANDBOX:
                return parse_choice(p, arg, "on", "off", &o->no_sandbox);
        case KEY_FSNAME:
                return parse_fsname(p, arg);
        case KEY_DEBUG:
                o->debug = true;
                o->vm.trace = true;
                o->foreground = true;
                return 0;
        case KEY_FOREGROUND:
                o->foreground = true;
                return 0;
        case KEY_HELP:
                o->help = true;
                return 0;
        case KEY_VERSION:
                o->version = true;
                return 0;
        case KEY_IGNORE:
                return 0;
        case KEY_ALLOW_OTHER:
                o->vm.conceal = true;
                return 1;
        case KEY_LIBFUSE:
                return 1;
        case FUSE_OPT_KEY_NONOPT:
                return parse_word(p, arg);
        default:
                /*
                 * x-systemd.automount and its like; and "" of "ro,,noraw", where mount(8) sees nothing wrong either
                 */
                return startswith(arg, "x-") || !*arg ? 0 : refuse(p, arg);
        }
}

int options_parse(int argc, char **argv, struct options *ret_options, char **ret_why)
{
        struct parsing p = { .options = ret_options };

        *ret_options = (struct options){
                .vm = {
                        .timeout_ns = 10 * NSEC_PER_SEC,
                        .unplug_timeout_ns = 30 * NSEC_PER_SEC,
                        .command_timeout_ns = 60 * NSEC_PER_SEC,
                        .structure_ttl_ns = 100 * NSEC_PER_MSEC,
                        .max_load = 10,
                },
                .session = { .root = &tree_root, .uid = getuid(), .gid = getgid() },
                .fuse = FUSE_ARGS_INIT(argc, argv),
        };
        *ret_why = NULL;
        if (fuse_opt_parse(&ret_options->fuse, &p, templates, handle) < 0) {
                const char *last = argv[argc - 1];

                /* of which fuse_opt_parse() only tells its log */
                if (!p.why && (streq(last, "-o") || streq(last, "-t")))
                        (void)fail(&p, "option '%s' needs a value", last);
                *ret_why = p.why;
                return -EINVAL;
        }
        free(p.why);
        if (!ret_options->help && !ret_options->version && !ret_options->mountpoint) {
                *ret_why = strdup("expected SOURCE and MOUNTPOINT; see qmpfs -h");
                return -EINVAL;
        }
        return 0;
}

void options_deinit(struct options *o)
{
        free(o->source);
        free(o->mountpoint);
        free(o->fsname);
        fuse_opt_free_args(&o->fuse);
}

void options_help(FILE *out)
{
        fputs("usage: qmpfs [-o OPTIONS] [-f] [-d] SOURCE MOUNTPOINT\n"
              "\n"
              "Mounts a running QEMU virtual machine as a directory tree.\n"
              "SOURCE is its QMP socket: PATH, unix:PATH or tcp:HOST:PORT.\n"
              "\n"
              "  -f                     stay in the foreground and log to standard error\n"
              "  -d                     the same, and trace each FUSE request and QMP message\n"
              "  -h, --help             print this text\n"
              "  -V, --version          print the versions of qmpfs, libfuse and json-c\n"
              "  -o timeout=SEC         time limit for an answer from QEMU (10)\n"
              "  -o unplug_timeout=SEC  time limit for the guest to release a device or to\n"
              "                         power down (30)\n"
              "  -o command_timeout=SEC time limit for the reply to a write to cmd/, qmp, hmp\n"
              "                         or qom/ (60)\n"
              "  -o structure_ttl=MSEC  maximum age of names and kinds of files, if no event has\n"
              "                         come (100)\n"
              "  -o max_load=PERCENT    maximum share of QEMU's time that reads may take in the\n"
              "                         long run; 100: no limit (10)\n"
              "  -o uid=USER            owner of the files (the user who mounts)\n"
              "  -o gid=GROUP           group of the files, which may then write\n"
              "                         (that user's group, which may not)\n"
              "  -o sizes=exact         query QEMU for the exact size at each stat, for NFS and\n"
              "                         find -size (cheap)\n"
              "  -o noraw               omit cmd/, qmp and hmp, which can do everything that QEMU can\n"
              "  -o any_vm              reconnect to any VM at SOURCE, not only to the first one\n"
              "  -o sandbox=off         keep all privileges of the user who mounts, for debugging (on)\n"
              "  -o fsname=NAME         the source in /proc/mounts (SOURCE)\n"
              "  -o ro                  mount read-only\n"
              "  -o allow_other         give other users access, within the modes of the files\n"
              "  -o allow_root          give root access\n"
              "  -o auto_unmount        have fusermount3 unmount as well when the process ends\n"
              "\n"
              "Also accepted: sync, dirsync, atime, context=, fscontext=, defcontext= and rootcontext= of\n"
              "mount(8). The mount is always nosuid, nodev and noexec. If an option is given twice, the\n"
              "last one counts.\n",
              out);
}
