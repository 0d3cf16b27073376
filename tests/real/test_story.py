"""The example of the README, on a real guest."""

import re

import real


class Story(real.RealTest):
    def test_look_and_pull_a_disk(self):
        vm = self.vm(guest=True, prepare=lambda vm: [
            "-drive", f"file={vm.image('nvme', '40G')},if=none,id=NVME1", "-device", "nvme,drive=NVME1,serial=abc",
            "-drive", f"file={vm.image('root', '1G')},if=virtio",
        ])
        mount = self.mount(vm)
        self.assertEqual(self.ok(mount, "ls block"), "NVME1\nvirtio0\n")
        self.assertEqual(self.ok(mount, "cat block/NVME1/inserted/image/virtual-size"), "42949672960\n")
        self.assertEqual(self.ok(mount, "cat state"), "running\n")
        self.assertRegex(self.ok(mount, "cat connection"),
                         r"^up since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, QEMU \d+\.\d+\.\d+")
        self.assertEqual(vm.guest("ls /sys/block").split(), ["nvme0n1", "vda"])

        self.assertEqual(self.ok(mount, "head -n 1 block/NVME1/remove"), "idle\n")
        self.assertEqual(self.ok(mount, "echo 1 > block/NVME1/remove && ls block"), "virtio0\n")

        self.assertEqual(vm.guest("ls /sys/block").split(), ["vda"])
        self.assertEqual([entry["device"] for entry in vm.qmp("query-block")], ["virtio0"])
        self.assertEqual(self.ok(mount, "cat errors"), "")
        deleted = [line for line in self.ok(mount, "cat events").splitlines() if "DEVICE_DELETED" in line]
        self.assertTrue(any(re.search(r'"path":"/machine/peripheral-anon/device\[\d+\]"', line) for line in deleted),
                        deleted)

    def test_the_disk_comes_back_under_its_name(self):
        vm = self.vm("-device", "virtio-scsi-pci,id=scsi0", guest=True,
                     prepare=lambda vm: ["-drive", f"file={vm.image('a')},if=none,id=spare"])
        mount = self.mount(vm)
        vm.qmp("device_add", driver="scsi-hd", id="disk", drive="spare", bus="scsi0.0")
        self.assertEqual(self.ok(mount, "ls block"), "spare\n")
        old = self.ok(mount, "exec 3< block/spare/status; stat -c %i block/spare; echo 1 > block/spare/remove; "
                             "cat <&3 2>&1 || :")
        inode, _, said = old.partition("\n")
        self.assertIn("No such device", said)
        vm.qmp("blockdev-add", {"node-name": "again"}, driver="null-co", size=1 << 20)
        vm.qmp("device_add", driver="scsi-hd", id="spare", drive="again", bus="scsi0.0")
        # Nothing tells of a device that comes; names may be a tenth of a second old.
        self.eventually(lambda: mount.list("block") == ["spare"], "the new disk")
        self.assertNotEqual(self.ok(mount, "stat -c %i block/spare").strip(), inode)


if __name__ == "__main__":
    real.main()
