"""Only a write to a documented file changes anything: not what walks the tree, and not what works on trees."""

import os

import expected
import real

# The guest itself changes what is unattached: its firmware and its kernel map and unmap ROMs.
NAMES = "find . -path ./qom/machine/unattached -prune -o -print | sort"


class ReadOnly(real.RealTest):
    def setUp(self):
        self.machine = self.vm("-device", "virtio-scsi-pci,id=scsi0", prepare=lambda vm: [
            "-drive", f"file={vm.image('d')},if=none,id=d", "-device", "scsi-hd,drive=d,id=sd0,bus=scsi0.0",
            "-drive", f"file={vm.image('n')},if=none,id=n", "-device", "nvme,drive=n,serial=1,id=nv0"])

    def state(self):
        """What must stay as it is."""
        return [self.machine.qmp(query) for query in
                ("query-status", "query-block", "query-cpus-fast", "query-memory-devices", "query-named-block-nodes",
                 "query-jobs")] + [self.machine.qmp("qom-list", path="/machine/peripheral")]

    def events(self):
        self.machine.qmp("query-status")
        return self.machine.qmp.events

    def test_tools_on_trees_are_not_permitted(self):
        mount = self.mount(self.machine)
        before = self.state()
        tree = self.ok(mount, NAMES)
        for command in ("rm -r block/d", "rm -rf block", "rm -f block/d/status", "rmdir block/d", "mkdir block/new",
                        "mv block/d block/e", "mv state status", "chmod 777 ctl",
                        "chown 12:12 ctl", "touch -d yesterday ctl", "rm -rf ./*", "truncate -s 100 state",
                        f"mv block/d {self.machine.dir}"):
            with self.subTest(command):
                result = mount.sh(command)
                self.assertNotEqual(result.code, 0, result)
                # Some of these tools try twice and report the last try.
                self.assertRegex(result.err, "Operation not permitted|Permission denied", result)
        for command in ("ln state new", "ln -s state new", "ln -s state block/new", "mkfifo new"):
            with self.subTest(command):
                # The kernel may have been told that there is no such thing.
                self.assertRegex(mount.sh(command).err,
                                 "Operation not permitted|Function not implemented|Operation not supported")
        for command in ("rm -r block/d", "rmdir block/d", "mkdir block/new", "mv block/d block/e", "chmod 777 ctl"):
            with self.subTest(command):
                self.fails(mount, command, "Operation not permitted")
        # What would have to be made, by a typo mostly, is not there; the nearest name is.
        for command, nearest in (("touch block/new", None), ("echo > cmd/blockdev_add", "'blockdev-add'"),
                                 ("echo > stat", "'state'"), ("echo > qom/typ", "'type'"), ("echo > query/blok", "'block'")):
            with self.subTest(command):
                self.fails(mount, command, "No such file or directory")
                if nearest:
                    self.assertIn(f"(nearest: {nearest})", self.ok(mount, "tail -n 1 errors"))
        self.assertEqual(self.ok(mount, NAMES), tree)
        self.assertEqual(self.state(), before)
        self.assertEqual(self.events(), [])

    def test_opening_with_truncation_is_fine(self):
        mount = self.mount(self.machine)
        self.ok(mount, ": > ctl; : > block/d/remove; dd if=/dev/null of=ctl status=none")
        self.assertEqual(self.ok(mount, "cat state"), "running\n")
        self.assertEqual(self.ok(mount, "head -n 1 block/d/remove"), "idle\n")

    def test_read_only_files_cannot_be_written(self):
        mount = self.mount(self.machine)
        # As root, the kernel lets the open pass, so the answer is ours.
        for path in ("state", "status", "block/d/status", "connection", "errors"):
            with self.subTest(path):
                self.assertNotEqual(mount.sh(f"echo x > {path}").code, 0)
        self.assertEqual(self.ok(mount, "stat -c '%a %n' state ctl block/d/status"),
                         "444 state\n644 ctl\n444 block/d/status\n")

    def test_walks_over_the_mount_end_and_change_nothing(self):
        mount = self.mount(self.machine, "max_load=100")  # so many of them in a row would be held back
        before = self.state()
        out = f"{self.machine.dir}/out"
        os.mkdir(out)
        refused = expected.refused(self.machine.qmp)

        def unexpected(result):
            """The errors but those about files that QEMU refuses to read; test_walk.py is about these."""
            return [line for line in result.err.splitlines() if not any(f"./{path}" in line for path in refused)]
        result = mount.sh(f"tar cf {out}/all.tar .; tar tf {out}/all.tar", 60)
        # Sizes that are not known beforehand are 4096 as in sysfs, and tar says so.
        self.assertEqual([line for line in unexpected(result) if "File shrank by" not in line
                          and "file changed as we read it" not in line
                          and "Exiting with failure status due to previous errors" not in line], [], result)
        for command in (f"cp -r . {out}/cp", "grep -r no-such-word . || :",
                        "find . -type f -print0 | xargs -0 cat > /dev/null", "ls -lRa", "du -a", "find . -newer state",
                        "find ./block ./query -type f -exec head -c 1 {} + > /dev/null"):
            with self.subTest(command):
                result = mount.sh(command, 60)
                self.assertEqual(unexpected(result), [], result)
                self.assertTrue(result.code == 0 or result.err, result)
        self.assertEqual(self.state(), before)
        self.assertEqual(self.events(), [])
        # And the copies hold the content.
        with open(f"{out}/cp/block/d/inserted/image/virtual-size") as file:
            self.assertEqual(file.read(), "67108864\n")

    def test_archive_holds_whole_files(self):
        mount = self.mount(self.machine)
        # tar stores as many bytes as stat(2) has told, so that has to be right where the content is known.
        for path in ("block/d/status", "block/d/inserted/image/virtual-size", "block/d/remove", "ctl", "connection"):
            with self.subTest(path):
                self.assertEqual(self.ok(mount, f"cat block/d/status > /dev/null; tar cf - {path} | tar xOf -"),
                                 self.ok(mount, f"cat {path}"))

    def test_mounted_read_only(self):
        mount = self.mount(self.machine, "ro")
        before = self.state()
        for command in ("echo stop > ctl", "echo 1 > block/d/remove", "rm -r block/d", "mkdir new", "touch state",
                        "exec 3<>events"):
            with self.subTest(command):
                self.fails(mount, command, "Read-only file system")
        self.assertEqual(self.ok(mount, "ls block; cat state"), "d\nn\nrunning\n")
        self.assertEqual(self.state(), before)

    def test_attributes_and_statfs(self):
        mount = self.mount(self.machine)
        with self.assertRaises(OSError):
            os.getxattr(f"{mount.dir}/state", "user.x")
        with self.assertRaises(OSError):
            os.setxattr(f"{mount.dir}/state", "user.x", b"1")
        self.ok(mount, "df . && df -i . && stat -f .")
        line = self.ok(mount, "grep \" $PWD \" /proc/self/mounts")
        self.assertTrue(line.split()[2].startswith("fuse"), line)

    def test_reads_at_odd_offsets_and_sizes(self):
        mount = self.mount(self.machine)
        whole = self.ok(mount, "cat block/d/status")
        for size in (1, 7, 4096):
            self.assertEqual(self.ok(mount, f"dd if=block/d/status bs={size} status=none"), whole)
        self.assertEqual(self.ok(mount, "tail -c 10 block/d/status"), whole[-10:])
        self.assertEqual(self.ok(mount, "dd if=block/d/status bs=1 skip=100000 status=none"), "")


if __name__ == "__main__":
    real.main()
