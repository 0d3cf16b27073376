"""Names that nobody should give, and that QEMU takes: each is a file name, and each can be listed and read."""

import json

import real
from mount import escaped


class Names(real.RealTest):
    @staticmethod
    def args_for(ids):
        """A device of each id; an id in JSON on the command line is not checked by QEMU."""
        return [arg for name in ids for arg in ("-device", json.dumps({"driver": "pci-testdev", "id": name}))]

    def test_odd_ids_of_devices(self):
        ids = ["..", ".", "a b", "é", "new\nline", "100%", "-n", "*", "'", "tab\t", "\\", "#block", " "]
        vm = self.vm("-S", *self.args_for(ids))
        mount = self.mount(vm)
        self.assertEqual(mount.list("devices"), sorted(escaped(name) for name in ids))
        for name in ids:
            with self.subTest(name):
                path = f"{mount.dir}/devices/{escaped(name)}"
                with open(f"{path}/driver") as file:
                    self.assertEqual(file.read(), "pci-testdev\n")
                with open(f"{path}/status") as file:
                    self.assertEqual(json.load(file)["type"], "pci-testdev")
                with open(f"{path}/remove") as file:
                    self.assertEqual(file.readline(), "idle\n")
        result = mount.sh("find . -print0 | xargs -0 stat > /dev/null; tar cf /dev/null .; ls -lR > /dev/null", 60)
        self.assertEqual(result.code, 0, result)

    def test_ids_that_are_no_part_of_a_path(self):
        """QEMU can't address these devices: a slash in an id separates, an empty id is the container. What it answers
        for such a path is about something else, and must not be taken for the device (or be removed instead of it)."""
        ids = ["a/b", "/", "", "rng/virtio-backend"]
        vm = self.vm("-device", "virtio-rng-pci,id=rng", *self.args_for(ids))
        mount = self.mount(vm, "unplug_timeout=1")
        names = [escaped(name) for name in ids]
        self.assertEqual(mount.list("devices"), sorted([*names, "rng"]))
        for name in names:
            with self.subTest(name):
                result = mount.sh(f"cat 'devices/{name}/driver'")
                self.assertTrue(result.out == "pci-testdev\n" or "No such device" in result.err, result)
                result = mount.sh(f"cat 'devices/{name}/status'")
                if result.code == 0:
                    self.assertEqual(json.loads(result.out)["type"], "pci-testdev", result)
                self.assertNotEqual(mount.sh(f"echo 1 > 'devices/{name}/remove'").code, 0)
        # Whatever was asked for by then happens at a reset.
        vm.qmp("system_reset")
        vm.qmp.event("RESET")
        self.eventually(lambda: mount.read("state") == "running", "the VM after its reset")
        self.assertEqual(mount.list("devices"), sorted([*names, "rng"]))
        mount.sh("find . -print0 | xargs -0 stat > /dev/null; tar cf /dev/null .; ls -lR > /dev/null", 60)

    def test_removal_finds_the_device_behind_the_name(self):
        """Played without a guest: PCI slot 6 lets go of whatever was in it."""
        vm = self.vm("-device", json.dumps({"driver": "pci-testdev", "id": "a%b c", "addr": "6"}))
        mount = self.mount(vm)
        writer = mount.spawn("echo 1 > 'devices/a%25b c/remove'")
        self.eventually(lambda: mount.read("devices/a%25b c/remove").startswith("pending"), "a pending request")
        # while its vCPU runs, this QEMU (7.2) dies now and then of what follows
        vm.qmp("stop")
        vm.qmp.port("w", 0xae10, 0)
        vm.qmp.port("w", 0xae08, 1 << 6)
        result = writer.wait_more(5)
        self.assertEqual((result.code, result.err), (0, ""), result)
        self.assertEqual(mount.list("devices"), [])

    def test_long_names(self):
        """Ids from QMP may be longer than a file name; two that share their first 255 bytes are still two."""
        vm = self.vm("-S")
        names = ["x" * 255, "x" * 256, "x" * 300, "x" * 299 + "y"]
        for name in names:
            vm.qmp("device_add", driver="pci-testdev", id=name)
        mount = self.mount(vm)
        shown = mount.list("devices")
        self.assertEqual(len(set(shown)), 4, shown)
        self.assertTrue(all(len(name.encode()) <= 255 for name in shown))
        self.assertIn(names[0], shown)
        self.assertEqual(self.ok(mount, "cat devices/*/driver"), "pci-testdev\n" * 4)

    def test_equal_names_get_a_suffix(self):
        """query-block may list one name twice: here one drive's id is the other's device."""
        vm = self.vm("-S", "-device", "virtio-scsi-pci,id=scsi0",
                     "-drive", "driver=null-co,size=1M,if=none,id=same",
                     "-device", "scsi-hd,drive=same,id=other,bus=scsi0.0",
                     "-blockdev", "driver=null-co,node-name=node,size=2097152",
                     "-device", "scsi-hd,drive=node,id=same,bus=scsi0.0")
        mount = self.mount(vm)
        self.assertEqual(mount.list("block"), ["same", "same%~2"])
        sizes = self.ok(mount, "cat block/*/inserted/image/virtual-size").split()
        self.assertEqual(sorted(sizes), ["1048576", "2097152"])
        # The second's name doesn't go over to it when the first goes.
        first = next(name for name in ("same", "same%~2")
                     if mount.read(f"block/{name}/inserted/image/virtual-size") == "1048576")
        self.ok(mount, f"echo 1 > 'block/{first}/remove'")
        left = mount.list("block")
        self.assertEqual(len(left), 1)
        self.assertEqual(mount.read(f"block/{left[0]}/inserted/image/virtual-size"), "2097152")
        self.assertEqual(vm.qmp("query-block")[0]["qdev"], "same")

    def test_drive_names_from_the_command_line(self):
        vm = self.vm("-S", "-device", "virtio-scsi-pci,id=scsi0", "-drive", "driver=null-co,if=none,id=Drive-1.x_y",
                     "-device", "scsi-hd,drive=Drive-1.x_y,bus=scsi0.0")
        mount = self.mount(vm)
        self.assertEqual(mount.list("block"), ["Drive-1.x_y"])

    def test_values_are_shown_raw(self):
        vm = self.vm("-S", "-name", "two\nlines and \x1b[31m%", "-device", "nvme,drive=d,serial=é ü,id=n0",
                     "-drive", "driver=null-co,size=1M,if=none,id=d")
        mount = self.mount(vm)
        self.assertEqual(mount.read("name"), "two\nlines and \x1b[31m%")
        self.assertEqual(mount.read("devices/n0/serial"), "é ü")


if __name__ == "__main__":
    real.main()
