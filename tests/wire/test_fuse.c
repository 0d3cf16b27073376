/*
 * The mount by way of the protocol: names, attributes, lookup counts, listings.
 */
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

/* --- what is there ----------------------------------------------------------------------------------------------- */

/* The one place that has the names literally; others derive them, see ASSERT_LS_ROOT(). */
START_TEST(the_root_lists_its_rows_without_asking_qemu)
{
        ASSERT_LS("/", "status state name uuid version connection ctl events errors block cpus memory devices query "
                       "cmd schema types qom qmp hmp");
        ASSERT_LS_ROOT(NULL);
        ASSERT_SENT("");
}
END_TEST

START_TEST(every_kind_of_row_reads)
{
        ASSERT_CAT("status", "{\n  \"status\": \"running\",\n  \"singlestep\": false,\n  \"running\": true\n}\n");
        ASSERT_CAT("state", "running\n");
        ASSERT_CAT("name", "vm1\n");
        ASSERT_CAT("uuid", "00000000-0000-0000-0000-00000000000a\n");
        ASSERT_CAT("version", "7.2.22 (Debian 1:7.2)\n");
        ASSERT_CAT_CONTAINS("connection", "up since ");
        ASSERT_CAT_CONTAINS("ctl", "powerdown");
        ASSERT_CAT("events", "");
        ASSERT_CAT("errors", "");
        ASSERT_LS("block", "NVME1 virtio0");
        ASSERT_LS("block/NVME1", "status device qom size remove locked removable qdev inserted type");
        ASSERT_CAT("block/NVME1/inserted/image/virtual-size", "42949672960\n");
        ASSERT_CAT("block/NVME1/locked", "false\n");
        ASSERT_CAT_LINE("block/NVME1/remove", "idle\n");
        ASSERT_LS("cpus", "0 1");
        ASSERT_LS("cpus/0", "status qom remove thread-id props qom-path cpu-index target");
        ASSERT_LS("cpus/1", "status device qom remove thread-id props qom-path cpu-index target");
        ASSERT_CAT("cpus/1/props/core-id", "1\n");
        ASSERT_LS("memory", "dimm1");
        ASSERT_LS("memory/dimm1", "status device qom remove type data");
        ASSERT_CAT("memory/dimm1/data/size", "134217728\n");
        ASSERT_LS("devices", "nv0 dimm1 cpu1 device[0]");
        ASSERT_LS("devices/nv0", "type drive serial addr driver status qom remove");
        ASSERT_CAT("devices/nv0/driver", "nvme\n");
        ASSERT_CAT("devices/nv0/serial", "abc\n");
        ASSERT_CAT("devices/nv0/addr", "32\n");
        ASSERT_CAT("devices/nv0/status",
                   "{\n  \"type\": \"nvme\",\n  \"drive\": \"NVME1\",\n  \"serial\": \"abc\",\n  \"addr\": 32\n}\n");
        ASSERT_CAT("errors", "");
}
END_TEST

START_TEST(unnamed_vm_has_an_empty_name)
{
        fake_on(rig.fake, "query-name", "{}");
        ASSERT_CAT("name", "\n");
}
END_TEST

START_TEST(links_lead_to_the_device)
{
        static const struct {
                const char *path, *target;
        } links[] = {
                { "block/NVME1/device", "../../devices/nv0" },
                { "block/virtio0/device", "../../devices/device[0]" },
                { "cpus/1/device", "../../devices/cpu1" },
                { "memory/dimm1/device", "../../devices/dimm1" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
                _cleanup_(qmp_freep) char *target = NULL;

                ASSERT_OK(rig_readlink(links[i].path, &target));
                ck_assert_str_eq(target, links[i].target);
        }
        ASSERT_ERROR(rig_walk("cpus/0/device", &(struct fuse_entry_out){ 0 }), ENOENT);
}
END_TEST

START_TEST(link_of_an_anonymous_dimm_is_found_by_its_back_end)
{
        _cleanup_(qmp_freep) char *target = NULL;

        fake_on(rig.fake, "query-memory-devices",
                "[{\"type\": \"dimm\", \"data\": {\"memdev\": \"/objects/m0\", \"slot\": 3}}]");
        rig_qom("/machine/peripheral-anon", NULL,
                "[{\"name\": \"device[0]\", \"type\": \"child<virtio-blk-pci>\"}, "
                "{\"name\": \"device[1]\", \"type\": \"child<pc-dimm>\"}]");
        rig_qom("/machine/peripheral-anon/device[1]", NULL, "[]");
        rig_qom("/machine/peripheral-anon/device[1]", "memdev", "\"/objects/m0\"");
        ASSERT_LS("memory", "slot-3");
        ASSERT_OK(rig_readlink("memory/slot-3/device", &target));
        ck_assert_str_eq(target, "../../devices/device[1]");
}
END_TEST

START_TEST(names_of_block_entries)
{
        fake_on(rig.fake, "query-block",
                "[{\"device\": \"\", \"qdev\": \"/machine/peripheral/vd0/virtio-backend\"}, "
                "{\"device\": \"\", \"qdev\": \"/machine/peripheral-anon/device[0]\"}, "
                "{\"device\": \"\", \"qdev\": \"nv1\"}, {\"device\": \"\", \"inserted\": {\"node-name\": "
                "\"node1\"}}, "
                "{\"device\": \"\"}, {\"device\": \"ide1-cd0\", \"qdev\": \"/machine/unattached/device[23]\"}, "
                "{\"device\": \"\", \"qdev\": \"a/b\"}]");
        ASSERT_LS("block", "vd0 device[0] nv1 node1 %empty ide1-cd0 a%2Fb");
        ASSERT_LS("block/ide1-cd0", "status qom remove qdev");
        ASSERT_LS("block/nv1", "status device qom remove qdev");
}
END_TEST

START_TEST(values_are_exact)
{
        fake_on(rig.fake, "query-block",
                "[{\"device\": \"d\", \"u\": 18446744073709551615, \"i\": -9223372036854775808, \"f\": 1.50, \"n\": "
                "null, "
                "\"s\": \"two\\nlines\", \"a\": [true, {\"k\": \"v\"}, []], \"o\": {}}]");
        ASSERT_CAT("block/d/u", "18446744073709551615\n");
        ASSERT_CAT("block/d/i", "-9223372036854775808\n");
        ASSERT_CAT("block/d/f", "1.50\n");
        ASSERT_CAT("block/d/n", "null\n");
        ASSERT_CAT("block/d/s", "two\nlines\n");
        ASSERT_LS("block/d/a", "0 1 2");
        ASSERT_CAT("block/d/a/0", "true\n");
        ASSERT_CAT("block/d/a/1/k", "v\n");
        ASSERT_LS("block/d/a/2", "");
        ASSERT_LS("block/d/o", "");
        ASSERT_ERROR(rig_walk("block/d/a/00", &(struct fuse_entry_out){ 0 }), ENOENT);
        ASSERT_ERROR(rig_walk("block/d/a/3", &(struct fuse_entry_out){ 0 }), ENOENT);
        ASSERT_ERROR(rig_walk("block/d/a/-1", &(struct fuse_entry_out){ 0 }), ENOENT);
        ASSERT_ERROR(rig_walk("block/d/a/+0", &(struct fuse_entry_out){ 0 }), ENOENT);
}
END_TEST

START_TEST(our_file_wins_over_a_member_of_its_name)
{
        fake_on(rig.fake, "query-block",
                "[{\"device\": \"d\", \"status\": \"theirs\", \"remove\": {\"x\": 1}, \"own\": 1}]");
        ASSERT_LS("block/d", "status remove own");
        ASSERT_CAT_LINE("block/d/remove", "idle\n");
        ASSERT_CAT_CONTAINS("block/d/status", "\"theirs\"");
        /* a row that this object lacks hides its member all the same */
        ASSERT_ERROR(rig_walk("block/d/device", &(struct fuse_entry_out){ 0 }), ENOENT);
}
END_TEST

START_TEST(property_that_cannot_be_read_is_left_out)
{
        struct fuse_entry_out entry;

        rig_qom("/machine/peripheral/nv0", NULL,
                "[{\"name\": \"good\", \"type\": \"int\"}, {\"name\": \"bad\", \"type\": \"int\"}, "
                "{\"name\": \"part\", \"type\": \"child<x>\"}, {\"name\": \"tree\", \"type\": \"struct\"}]");
        rig_qom("/machine/peripheral/nv0", "good", "1");
        rig_qom("/machine/peripheral/nv0", "tree", "{\"a\": [1]}");
        rig_qom_error("/machine/peripheral/nv0", "bad", "GenericError", "Property 'nvme.bad' is not readable");
        ASSERT_LS("devices/nv0", "good tree driver status qom remove");
        ASSERT_ERROR(rig_walk("devices/nv0/bad", &entry), ENOENT);
        ASSERT_CAT("devices/nv0/good", "1\n");
        ASSERT_CAT_CONTAINS("devices/nv0/tree", "\"a\"");
        ASSERT_CAT("devices/nv0/status", "{\n  \"good\": 1,\n  \"tree\": {\n    \"a\": [\n      1\n    ]\n  }\n}\n");
        ASSERT_CAT("errors", "");
        /* what fails for another reason is there, and fails */
        rig_qom_error("/machine/peripheral/nv0", "good", "GenericError", "Property 'nvme.good' is not readable");
        ASSERT_ERROR(rig_cat("devices/nv0/good", NULL), EACCES);
        ASSERT_CAT_CONTAINS("errors",
                            " /devices/nv0/good EACCES GenericError Property 'nvme.good' is not readable\n");
}
END_TEST

START_TEST(which_properties_can_be_read_is_learned_once_for_each_type)
{
        rig_qom("/machine/peripheral", NULL,
                "[{\"name\": \"a\", \"type\": \"child<nvme>\"}, {\"name\": \"b\", \"type\": \"child<nvme>\"}]");
        for (unsigned i = 0; i < 2; i++) {
                const char *path = i ? "/machine/peripheral/b" : "/machine/peripheral/a";

                rig_qom(path, NULL, "[{\"name\": \"x\", \"type\": \"int\"}, {\"name\": \"y\", \"type\": \"int\"}]");
                rig_qom(path, "x", "1");
                rig_qom_error(path, "y", "GenericError", "Property 'nvme.y' is not readable");
        }
        ASSERT_LS("devices/a", "x driver status qom remove");
        ck_assert_uint_eq(rig_count("qom-get"), 2);
        ASSERT_LS("devices/b", "x driver status qom remove");
        ck_assert_uint_eq(rig_count("qom-get"), 2);
}
END_TEST

START_TEST(device_that_goes_while_its_properties_are_read_is_gone)
{
        struct fuse_entry_out entry;
        struct k_file file;

        ASSERT_OK(rig_walk("devices/nv0/status", &entry));
        rig_qom_error("/machine/peripheral/nv0", "serial", "DeviceNotFound",
                      "Device '/machine/peripheral/nv0' not found");
        ASSERT_ERROR(k_open(entry.nodeid, O_RDONLY, &file), ENODEV);
}
END_TEST

/* --- attributes -------------------------------------------------------------------------------------------------- */

START_TEST(attributes)
{
        enum { ANY = 77777 };
        static const struct {
                const char *path;
                unsigned mode;
                uint64_t size;
                bool cached; /* the name is good for long */
        } rows[] = {
                { "/", S_IFDIR | 0755, 0, true },
                { "status", S_IFREG | 0444, 4096, true },
                { "ctl", S_IFREG | 0644, ANY, false },
                { "events", S_IFREG | 0644, 0, true },
                { "errors", S_IFREG | 0400, 0, true },
                { "block", S_IFDIR | 0755, 0, true },
                { "block/NVME1", S_IFDIR | 0755, 0, false },
                { "block/NVME1/device", S_IFLNK | 0777, 0, false },
                { "block/NVME1/remove", S_IFREG | 0644, ANY, false },
                { "block/NVME1/status", S_IFREG | 0444, 251, true },
                { "block/NVME1/inserted", S_IFDIR | 0755, 0, false },
                { "block/NVME1/inserted/node-name", S_IFREG | 0444, 8, false },
                { "cpus/0/thread-id", S_IFREG | 0444, 4, false },
                { "devices/nv0/serial", S_IFREG | 0444, 4096, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fuse_entry_out entry;
                struct fuse_attr attr;

                ASSERT_OK(rig_walk(rows[i].path, &entry));
                ASSERT_OK(k_getattr(entry.nodeid, &attr));
                ck_assert_msg(attr.mode == rows[i].mode, "%s: %o", rows[i].path, attr.mode);
                ck_assert_msg(attr.size == rows[i].size || rows[i].size == ANY, "%s: %llu", rows[i].path,
                              (unsigned long long)attr.size);
                ck_assert_uint_eq(attr.uid, 1000);
                ck_assert_uint_eq(attr.gid, 100);
                ck_assert_uint_ge(attr.nlink, 1);
                if (i == 0)
                        continue;
                ck_assert_uint_eq(attr.ino, entry.attr.ino);
                ck_assert_msg((entry.entry_valid > 0) == rows[i].cached, "%s", rows[i].path);
        }
}
END_TEST

START_TEST(group_may_write_with_the_option_gid)
{
        struct fuse_entry_out entry;

        rig.session->options.group_writes = true;
        ASSERT_OK(rig_walk("ctl", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0664);
        ASSERT_OK(rig_walk("status", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0444);
        /* the group's to read */
        ASSERT_OK(rig_walk("errors", &entry));
        ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0440);
}
END_TEST

START_TEST(size_is_that_of_the_latest_snapshot)
{
        static const char *const paths[] = { "status",
                                             "name",
                                             "block/NVME1/status",
                                             "block/NVME1/type",
                                             "devices/nv0/serial",
                                             "devices/nv0/status",
                                             "devices/nv0/driver",
                                             "version",
                                             "connection",
                                             "ctl",
                                             "block/NVME1/remove",
                                             "events",
                                             "errors" };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct k_file file = rig_must_open(paths[i], O_RDONLY);
                _cleanup_(qmp_freep) char *text = NULL;
                struct fuse_attr attr;
                size_t size;

                ASSERT_OK(rig_read_all(&file, &text, &size));
                ASSERT_OK(k_getattr(file.node, &attr));
                ck_assert_msg(attr.size == size, "%s: %llu, not %zu", paths[i], (unsigned long long)attr.size, size);
        }
}
END_TEST

START_TEST(statfs_answers_as_proc_does)
{
        struct k_reply *reply = k_wait(k_send(FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0));
        struct fuse_statfs_out out;

        ck_assert_int_eq(reply->error, 0);
        ck_assert_uint_eq(reply->size, sizeof(out));
        memcpy(&out, reply->data, sizeof(out));
        ck_assert_uint_eq(out.st.namelen, 255);
        ck_assert_uint_eq(out.st.blocks, 0);
        free(reply);
}
END_TEST

START_TEST(wrong_kinds_of_files_are_refused)
{
        struct fuse_entry_out dir, file, link;
        struct k_file open;

        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_OK(rig_walk("status", &file));
        ASSERT_OK(rig_walk("block/NVME1/device", &link));
        ASSERT_ERROR(k_lookup(file.nodeid, "x", &dir), ENOTDIR);
        ASSERT_ERROR(k_opendir(file.nodeid, &open), ENOTDIR);
        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_ERROR(k_open(dir.nodeid, O_RDONLY, &open), EISDIR);
        ASSERT_ERROR(k_open(link.nodeid, O_RDONLY, &open), ELOOP);
        ASSERT_ERROR(k_wait_error(k_send_readlink(file.nodeid)), EINVAL);
        ASSERT_ERROR(k_wait_error(k_send_readlink(dir.nodeid)), EINVAL);
        ASSERT_ERROR(rig_open("status", O_RDWR, &open), EPERM);
        ASSERT_ERROR(rig_open("block/NVME1/type", O_WRONLY, &open), EPERM);
}
END_TEST

START_TEST(handles_that_were_never_issued_are_refused)
{
        struct fuse_entry_out a, b;
        struct k_file file = rig_must_open("status", O_RDONLY), bad;
        struct fuse_attr attr;

        ASSERT_OK(rig_walk("name", &b));
        ASSERT_ERROR(k_getattr(0, &attr), ENOENT);
        ASSERT_ERROR(k_getattr(12345, &attr), ENOENT);
        ASSERT_ERROR(k_getattr(UINT64_MAX, &attr), ENOENT);
        ASSERT_ERROR(k_lookup(UINT64_MAX - 1, "status", &a), ENOENT);
        bad = file;
        bad.fh = 77;
        ASSERT_ERROR(k_wait_error(k_send_read(&bad, 0, 100)), EBADF);
        bad.fh = file.fh | UINT64_C(1) << 32;
        ASSERT_ERROR(k_wait_error(k_send_read(&bad, 0, 100)), EBADF);
        /* another node's handle */
        bad.fh = file.fh;
        bad.node = b.nodeid;
        ASSERT_ERROR(k_wait_error(k_send_read(&bad, 0, 100)), EBADF);
        ASSERT_ERROR(k_wait_error(k_send_write(&bad, "x", 1)), EBADF);
        ASSERT_ERROR(k_wait_error(k_send_readdir(&bad, 0, 100)), EBADF);
        /* a file is no directory */
        ASSERT_ERROR(k_wait_error(k_send_readdir(&file, 0, 100)), ENOTDIR);
        ASSERT_ERROR(k_wait_error(k_send_write(&file, "x", 1)), EBADF);
}
END_TEST

/* --- lookup counts ----------------------------------------------------------------------------------------------- */

START_TEST(two_lookups_find_one_inode_until_both_are_forgotten)
{
        struct fuse_entry_out a, b;
        struct fuse_attr attr;

        ASSERT_OK(rig_walk("status", &a));
        ASSERT_OK(rig_walk("status", &b));
        ck_assert_uint_eq(a.nodeid, b.nodeid);
        k_forget(a.nodeid, 1);
        ASSERT_OK(k_getattr(a.nodeid, &attr));
        k_forget(a.nodeid, 1);
        ASSERT_ERROR(k_getattr(a.nodeid, &attr), ENOENT);
        ASSERT_OK(rig_walk("status", &b));
        ck_assert_uint_ne(a.nodeid, b.nodeid);
        ck_assert_uint_eq(a.attr.ino, b.attr.ino);
}
END_TEST

START_TEST(parent_outlives_its_forgetting_while_a_child_is_known)
{
        struct fuse_entry_out object, member;
        struct k_file file;

        ASSERT_OK(rig_walk("block/NVME1", &object));
        ASSERT_OK(rig_walk("block/NVME1/inserted/ro", &member));
        while (kernel.n_nodes > 2) {
                size_t i = kernel.nodes[1].id == member.nodeid ? 2 : 1;

                k_forget(kernel.nodes[i].id, kernel.nodes[i].lookups);
        }
        ASSERT_OK(k_open(member.nodeid, O_RDONLY, &file));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "false\n");
}
END_TEST

START_TEST(open_file_outlives_the_forgetting_of_its_node)
{
        struct k_file file = rig_must_open("block/NVME1/type", O_RDONLY);

        k_forget_all();
        ASSERT_REPLY(k_send_read(&file, 0, 100), "unknown\n");
}
END_TEST

START_TEST(batch_forget)
{
        struct {
                struct fuse_batch_forget_in in;
                struct fuse_forget_one one[3];
        } batch = { .in.count = 3 };
        struct fuse_entry_out a, b;
        struct fuse_attr attr;

        ASSERT_OK(rig_walk("status", &a));
        ASSERT_OK(rig_walk("name", &b));
        batch.one[0] = (struct fuse_forget_one){ a.nodeid, 1 };
        batch.one[1] = (struct fuse_forget_one){ 999, 1 };
        batch.one[2] = (struct fuse_forget_one){ b.nodeid, 1 };
        kernel.n_nodes = 1;
        k_send_only(FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
        ASSERT_ERROR(k_getattr(a.nodeid, &attr), ENOENT);
        ASSERT_ERROR(k_getattr(b.nodeid, &attr), ENOENT);
}
END_TEST

START_TEST(forgetting_too_much_is_harmless)
{
        struct fuse_forget_in in = { .nlookup = 1000000 };
        struct fuse_entry_out a;
        struct fuse_attr attr;

        ASSERT_OK(rig_walk("status", &a));
        kernel.n_nodes = 1;
        k_send_only(FUSE_FORGET, a.nodeid, &in, sizeof(in));
        k_send_only(FUSE_FORGET, a.nodeid, &in, sizeof(in));
        k_send_only(FUSE_FORGET, FUSE_ROOT_ID, &in, sizeof(in));
        ASSERT_ERROR(k_getattr(a.nodeid, &attr), ENOENT);
        ASSERT_OK(k_getattr(FUSE_ROOT_ID, &attr));
}
END_TEST

START_TEST(a_walk_over_everything_leaves_nothing_behind)
{
        static const char *const dirs[] = {
                "/",          "block",        "block/NVME1", "block/NVME1/inserted", "cpus",
                "cpus/1",     "cpus/1/props", "memory",      "memory/dimm1/data",    "devices",
                "devices/nv0"
        };

        /* rig_down() counts */
        for (unsigned round = 0; round < 3; round++) {
                for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                        _cleanup_(qmp_freep) char *names = NULL;
                        char *save = NULL;

                        ASSERT_OK(rig_ls(dirs[i], &names));
                        for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
                                _cleanup_(qmp_freep) char *path = NULL, *text = NULL;
                                struct fuse_entry_out entry;

                                ck_assert_int_gt(asprintf(&path, "%s/%s", dirs[i], name), 0);
                                ASSERT_OK(rig_walk(path, &entry));
                                if (S_ISREG(entry.attr.mode))
                                        ASSERT_OK(rig_cat(path, &text));
                        }
                }
                if (round == 1)
                        rig_deleted("/machine/peripheral/nv0");
        }
}
END_TEST

/* --- listings ---------------------------------------------------------------------------------------------------- */

START_TEST(listing_agrees_with_lookup)
{
        static const char *const dirs[] = { "/", "block", "block/NVME1", "block/NVME1/inserted", "devices/nv0" };

        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                struct fuse_entry_out dir, entry;
                struct k_file file;
                struct k_reply *reply;
                size_t n = 0;

                ASSERT_OK(rig_walk(dirs[i], &dir));
                ASSERT_OK(k_opendir(dir.nodeid, &file));
                reply = k_wait(k_send_readdir(&file, 0, 65536));
                ck_assert_int_eq(reply->error, 0);
                for (size_t at = 0; at < reply->size; n++) {
                        struct fuse_dirent *e = (struct fuse_dirent *)(void *)(reply->data + at);
                        _cleanup_(qmp_freep) char *name = strndup(e->name, e->namelen);

                        at += FUSE_DIRENT_SIZE(e);
                        ck_assert_uint_ne(e->ino, 0);
                        ck_assert_uint_eq(e->off, n + 1);
                        if (n < 2) {
                                ck_assert_str_eq(name, n == 0 ? "." : "..");
                                ck_assert_uint_eq(e->type, S_IFDIR >> 12);
                                continue;
                        }
                        ASSERT_OK(k_lookup(dir.nodeid, name, &entry));
                        ck_assert_uint_eq(e->type, (entry.attr.mode & S_IFMT) >> 12);
                        ck_assert_msg(e->ino == entry.attr.ino, "%s/%s", dirs[i], name);
                }
                ck_assert_uint_gt(n, 2);
                free(reply);
        }
}
END_TEST

START_TEST(listing_goes_on_although_its_objects_have_ended)
{
        struct fuse_entry_out dir;
        struct k_file file;

        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_OK(k_opendir(dir.nodeid, &file));
        ck_assert_int_eq(k_wait_error(k_send_readdir(&file, 0, 80)), 0);
        rig_deleted("/machine/peripheral/nv0");
        rig_deleted("/machine/peripheral-anon/device[0]");
        SETTLE();
        free(rig_sent());
        for (uint64_t offset = 2; offset < 4; offset++) {
                struct k_reply *reply = k_wait(k_send_readdir(&file, offset, 80));

                ck_assert_int_eq(reply->error, 0);
                ck_assert_uint_gt(reply->size, 0);
                free(reply);
        }
        ASSERT_SENT("");
}
END_TEST

START_TEST(kernel_is_told_when_a_read_finds_another_size)
{
        struct fuse_entry_out entry;
        struct k_file file;

        fake_on(rig.fake, "query-name", "{\"name\": \"longer-name\"}");
        ASSERT_OK(rig_walk("name", &entry));
        ck_assert_uint_gt(entry.attr_valid * 1000000000 + entry.attr_valid_nsec, 0);
        file = rig_must_open("name", O_RDONLY);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "longer-name\n");
        ck_assert_uint_eq(kernel.n_invalidated, 1);
        ASSERT_REPLY(k_send_read(&file, 0, 100), "longer-name\n");
        /* it has asked again meanwhile, or it would not have to know */
        ck_assert_uint_eq(kernel.n_invalidated, 1);
        ASSERT_OK(rig_walk("name", &entry));
        ck_assert_uint_eq(entry.attr.size, strlen("longer-name\n"));
        ASSERT_REPLY(k_send_read(&file, 0, 100), "longer-name\n");
        ck_assert_uint_eq(kernel.n_invalidated, 1);
}
END_TEST

START_TEST(sizes_of_logs_are_asked_for_each_time)
{
        static const char *const paths[] = { "events", "errors", "cmd", "qmp" };
        struct fuse_entry_out entry;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                ASSERT_OK(rig_walk(paths[i], &entry));
                if (S_ISREG(entry.attr.mode))
                        ck_assert_uint_eq(entry.attr_valid * 1000000000 + entry.attr_valid_nsec, 0);
        }
}
END_TEST

START_TEST(sizes_of_actions_are_those_of_the_lookup)
{
        static const char *const paths[] = { "ctl", "hmp", "block/NVME1/remove", "block/NVME1/size" };
        struct fuse_entry_out entry;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                ASSERT_OK(rig_walk(paths[i], &entry));
                ck_assert_uint_gt(entry.attr_valid * 1000000000 + entry.attr_valid_nsec, 0);
                /* the next one has an inode of its own */
                ck_assert_uint_eq(entry.entry_valid * 1000000000 + entry.entry_valid_nsec, 0);
        }
}
END_TEST

START_TEST(listing_in_small_pieces_is_one_listing)
{
        struct fuse_entry_out dir;
        struct k_file file;
        uint64_t offset = 0;
        char names[200] = "";

        ASSERT_OK(rig_walk("block", &dir));
        ASSERT_OK(k_opendir(dir.nodeid, &file));
        for (;;) {
                struct k_reply *reply = k_wait(k_send_readdir(&file, offset, 40));
                struct fuse_dirent *e = (struct fuse_dirent *)(void *)reply->data;

                ck_assert_int_eq(reply->error, 0);
                if (reply->size == 0) {
                        free(reply);
                        break;
                }
                sprintf(names + strlen(names), "%.*s ", (int)e->namelen, e->name);
                offset = e->off;
                free(reply);
                /* what comes and goes meanwhile makes no name appear twice or get lost */
                fake_on(rig.fake, "query-block", "[]");
                rig_event("X", "%s", "");
                SETTLE();
        }
        ck_assert_str_eq(names, ". .. NVME1 virtio0 ");
        /* rewound, it is new */
        offset = 0;
        ck_assert_int_eq(k_wait_error(k_send_readdir(&file, 0, 4096)), 0);
        ASSERT_LS("block", "");
        /* too small for a single entry: no endless loop, no overflow */
        ck_assert_int_eq(k_wait_error(k_send_readdir(&file, 0, 8)), 0);
        ck_assert_int_eq(k_wait_error(k_send_readdir(&file, 0, 0)), 0);
        ck_assert_int_eq(k_wait_error(k_send_readdir(&file, 1000000, 4096)), 0);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST(the_root_lists_its_rows_without_asking_qemu),
                TEST(every_kind_of_row_reads),
                TEST(unnamed_vm_has_an_empty_name),
                TEST(links_lead_to_the_device),
                TEST(link_of_an_anonymous_dimm_is_found_by_its_back_end),
                TEST(names_of_block_entries),
                TEST(values_are_exact),
                TEST(our_file_wins_over_a_member_of_its_name),
                TEST(property_that_cannot_be_read_is_left_out),
                TEST(which_properties_can_be_read_is_learned_once_for_each_type),
                TEST(device_that_goes_while_its_properties_are_read_is_gone),
                TEST(attributes),
                TEST(group_may_write_with_the_option_gid),
                TEST(size_is_that_of_the_latest_snapshot),
                TEST(statfs_answers_as_proc_does),
                TEST(wrong_kinds_of_files_are_refused),
                TEST(handles_that_were_never_issued_are_refused),
                TEST(two_lookups_find_one_inode_until_both_are_forgotten),
                TEST(parent_outlives_its_forgetting_while_a_child_is_known),
                TEST(open_file_outlives_the_forgetting_of_its_node),
                TEST(batch_forget),
                TEST(forgetting_too_much_is_harmless),
                TEST(a_walk_over_everything_leaves_nothing_behind),
                TEST(listing_agrees_with_lookup),
                TEST(listing_goes_on_although_its_objects_have_ended),
                TEST(kernel_is_told_when_a_read_finds_another_size),
                TEST(sizes_of_logs_are_asked_for_each_time),
                TEST(sizes_of_actions_are_those_of_the_lookup),
                TEST(listing_in_small_pieces_is_one_listing),
        };

        return test_main("fuse", tests, ARRAY_SIZE(tests), rig_up, rig_down);
}
