/*
 * Rows above the VMs: a root that has no VM, and in it a directory that has.
 */
#include <poll.h>

#include "fs/fuse/session.h"
#include "fs/tree/tree.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static unsigned n_written;

static int about_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        ck_assert(!r->vm && !inode->vm && !r->waiter.peer);
        ret_text->data = strdup("two VMs\n");
        ret_text->size = strlen(ret_text->data);
        return 0;
}

static int about_write(struct request *r, struct file *file)
{
        (void)file;
        n_written++;
        return streq(r->data, "ok") ? 0 : request_fail(r, -EINVAL, NULL, "expected ok");
}

static int action_render(struct request *r, struct inode *inode, struct text *ret_text)
{
        FILE *out = open_memstream(&ret_text->data, &ret_text->size);

        (void)r;
        outcomes_print(&inode->session->outcomes, inode->ino, out);
        return qmp_close_text(out, &ret_text->data);
}

static const struct kind kind_about = { .type = S_IFREG, .render = about_render, .write = about_write };

static const struct kind kind_deed = {
        .type = S_IFREG, .own_inode = true, .render = action_render, .write = about_write
};

static const struct row rows[] = {
        { .name = "about", .kind = &kind_about, .mode = 0644 },
        { .name = "action", .kind = &kind_deed, .mode = 0644 },
        /* nobody is there to ask for its command, and nobody to have news */
        { .name = "needy", .kind = &kind_about, .mode = 0644, .needs = "query-x", .channel = CHANNEL_EVENTS },
        { .name = "raw", .kind = &kind_about, .mode = 0644, .raw = true },
        { 0 },
};

static const struct row vm_row = { .name = "NAME", .kind = &kind_dir, .dynamic = true };

/* Two directories lead to the one VM. */
static int root_lookup(struct request *r, struct inode *dir, const char *name, struct inode **ret_inode)
{
        static struct row below;

        if (!streq(name, "vm1") && !streq(name, "vm2"))
                return rows_lookup(r, rows, dir, name, NULL, ret_inode);
        below = vm_row;
        below.data = tree_root.data;
        return inode_child(dir, name, &(struct inode_args){ .kind = below.kind, .row = &below, .vm = rig.vm },
                           ret_inode);
}

static int root_list(struct request *r, struct inode *dir, struct listing *listing)
{
        int e = rows_list(r, rows, dir, NULL, listing);

        if (e == 0)
                e = listing_add(listing, "vm1", S_IFDIR, inode_child_ino(dir, "vm1"));
        return e ? e : listing_add(listing, "vm2", S_IFDIR, inode_child_ino(dir, "vm2"));
}

static const struct kind kind_vms = { .type = S_IFDIR, .lookup = root_lookup, .list = root_list };

static const struct row root = { .name = "/", .kind = &kind_vms };

static void set_up(void)
{
        test_time_virtual();
        rig_mount = (struct rig_mount){ &root, true };
        rig_make("/run/fake.sock");
        k_mount();
        rig_connect();
}

START_TEST(rows_above_need_no_vm)
{
        struct fuse_entry_out entry;
        struct fuse_attr attr;

        ASSERT_LS("/", "about action needy raw vm1 vm2");
        ASSERT_CAT("about", "two VMs\n");
        ASSERT_OK(rig_walk("about", &entry));
        ASSERT_OK(k_getattr(entry.nodeid, &attr));
        ck_assert_uint_eq(attr.size, 8);
        ASSERT_CAT("needy", "two VMs\n");
        ASSERT_ERROR(rig_walk("nothing", &entry), ENOENT);
        ASSERT_OK(k_getattr(FUSE_ROOT_ID, &attr));
        ASSERT_SENT("");
}
END_TEST

START_TEST(writes_above_end_with_their_words)
{
        char piece[1024];
        struct k_file file;

        ASSERT_OK(rig_echo("about", "ok"));
        ASSERT_ERROR(rig_echo("about", "no"), EINVAL);
        ASSERT_ERROR(rig_echo("action", "no"), EINVAL);
        ck_assert_uint_eq(n_written, 3);
        ASSERT_CAT_CONTAINS("action", "EINVAL - expected ok\n");
        /* half a line */
        memset(piece, 'o', sizeof(piece));
        file = rig_must_open("action", O_WRONLY);
        ck_assert_int_eq(k_wait_error(k_send_pwrite(&file, piece, sizeof(piece), 0)), 0);
        k_release(&file);
        SETTLE();
        ck_assert_uint_eq(n_written, 3);
        ASSERT_CAT_CONTAINS("action", "a line of 1024 bytes without a newline");
        ASSERT_CAT("vm1/errors", "");
}
END_TEST

START_TEST(files_above_are_always_ready)
{
        struct k_file file = rig_must_open("needy", O_RDONLY);

        ck_assert_uint_eq(k_poll(&file, 1), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
        rig_event("STOP", "%s", "");
        SETTLE();
        ck_assert(!k_was_woken(1));
}
END_TEST

START_TEST(a_vm_below_is_whole)
{
        char *target = NULL;

        ASSERT_CAT("vm1/state", "running\n");
        ASSERT_CAT_LINE("vm2/block/NVME1/remove", "idle\n");
        ASSERT_OK(rig_readlink("vm1/block/NVME1/device", &target));
        ck_assert_str_eq(target, "../../devices/nv0");
        free(target);
        ASSERT_ERROR(rig_echo("vm1/ctl", "fly"), EINVAL);
        ASSERT_CAT_CONTAINS("vm2/errors", " /vm1/ctl EINVAL ");
        fake_close(rig.fake);
        PUMP(rig.loop, !rig.vm->peer.up);
        ASSERT_CAT("vm1/state", "down\n");
        ASSERT_CAT("about", "two VMs\n");
}
END_TEST

/* Each way has inodes of its own, whose number is the same at any time. */
START_TEST(numbers_stay_the_same)
{
        struct fuse_entry_out a, b;
        uint64_t ino;

        ASSERT_OK(rig_walk("vm1/status", &a));
        ASSERT_OK(rig_walk("vm2/status", &b));
        ck_assert_uint_ne(a.attr.ino, b.attr.ino);
        ino = a.attr.ino;
        k_drop_all();
        SETTLE();
        ASSERT_OK(rig_walk("vm1/status", &a));
        ck_assert_uint_eq(a.attr.ino, ino);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(rows_above_need_no_vm),        TEST(writes_above_end_with_their_words),
                TEST(files_above_are_always_ready), TEST(a_vm_below_is_whole),
                TEST(numbers_stay_the_same),
        };

        return test_main("fuse_above", tests, ARRAY_SIZE(tests), set_up, rig_down);
}
