"""What QEMU refuses: each refusal has its errno in the shell's message, and QEMU's words in `remove` and `errors`."""

import real
from reference import QmpError

DIMM = 128 << 20


class Refused(real.RealTest):
    """QEMU says no at once. No guest is needed."""

    def test_bus_without_hotplug(self):
        vm = self.vm("-S", prepare=lambda vm: [
            "-drive", f"file={vm.image('ide')},if=none,id=hda", "-device", "ide-hd,drive=hda,id=ide0"])
        mount = self.mount(vm)
        words = "does not support hotplugging"
        for path in ("block/hda/remove", "devices/ide0/remove"):
            self.refused(mount, path, "Operation not supported", "EOPNOTSUPP", words)
        self.assertTrue(mount.read("block/hda/remove").startswith("refused: "))
        self.assertEqual(self.ok(mount, "ls block"), "hda\n")

    def test_device_without_hotplug(self):
        mount = self.mount(self.vm("-S", "-device", "VGA,id=vga0"))
        self.refused(mount, "devices/vga0/remove", "Operation not supported", "EOPNOTSUPP",
                     "Device 'VGA' does not support hotplugging")

    def test_root_complex_of_q35(self):
        mount = self.mount(self.vm("-S", "-device", "virtio-rng-pci,id=rng0", machine="q35"))
        self.refused(mount, "devices/rng0/remove", "Operation not supported", "EOPNOTSUPP",
                     "Bus 'pcie.0' does not support hotplugging")

    def test_boot_cpu(self):
        mount = self.mount(self.vm("-S", smp="2"))
        self.refused(mount, "cpus/0/remove", "Operation not supported", "EOPNOTSUPP", "Boot CPU is unpluggable")
        self.assertEqual(self.ok(mount, "ls cpus"), "0\n1\n")

    def test_cpu_that_no_guest_can_give_up(self):
        # A CPU that was there from the start, and nothing that speaks ACPI yet.
        mount = self.mount(self.vm("-S", smp="2"))
        self.refused(mount, "cpus/1/remove", "Operation not supported", "EOPNOTSUPP",
                     "device unplug request for not supported device type")

    def test_nvdimm(self):
        vm = self.vm("-S", "-object", f"memory-backend-ram,id=mem,size={DIMM}", "-device", "nvdimm,id=nv,memdev=mem",
                     machine="pc,nvdimm=on", memory="256M,slots=2,maxmem=1G")
        mount = self.mount(vm)
        for path in ("memory/nv/remove", "devices/nv/remove"):
            self.refused(mount, path, "Operation not supported", "EOPNOTSUPP",
                         "nvdimm device hot unplug is not supported yet.")

    def test_virtio_mem(self):
        vm = self.vm("-S", "-object", "memory-backend-ram,id=mem,size=256M",
                     "-device", "virtio-mem-pci,id=vmem,memdev=mem,requested-size=0", memory="256M,slots=2,maxmem=1G")
        # QEMU says "cannot be unplugged", in a GenericError.
        self.refused(self.mount(vm), "memory/vmem/remove", "Operation not supported", "EOPNOTSUPP",
                     "virtio based memory devices cannot be unplugged.")

    def test_migrating(self):
        vm = self.vm("-device", "virtio-rng-pci,id=rng0")
        # It stays in this state until it is told to go on.
        vm.qmp("migrate-set-capabilities", capabilities=[{"capability": "pause-before-switchover", "state": True}])
        vm.qmp("migrate", uri="exec:cat > /dev/null")
        self.eventually(lambda: vm.qmp("query-migrate").get("status") == "pre-switchover", "a migration under way")
        mount = self.mount(vm)
        self.refused(mount, "devices/rng0/remove", "Resource temporarily unavailable", "EAGAIN",
                     "device_del not allowed while migrating")
        vm.qmp("migrate_cancel")

    def test_drive_without_a_device(self):
        """There is nobody to ask, so it goes at once: as what is left of an nvme removed by devices/ID/remove."""
        vm = self.vm("-S", prepare=lambda vm: ["-drive", f"file={vm.image('x')},if=none,id=lone"])
        mount = self.mount(vm)
        self.assertEqual(self.ok(mount, "echo 1 > block/lone/remove && ls block"), "")
        self.assertEqual(vm.qmp("query-block"), [])

    def test_invalid_writes(self):
        vm = self.vm("-device", "virtio-scsi-pci,id=scsi0",
                     prepare=lambda vm: ["-drive", f"file={vm.image('x')},if=none,id=d",
                                         "-device", "scsi-hd,drive=d,id=sd0,bus=scsi0.0"])
        mount = self.mount(vm)
        for written in ("0", "", "yes", "11", "1 2", "timeout=", "timeout=x", "timeout=-1", "timeout=1x", "NOWAIT",
                        "timeout=nan", "timeout=99999999999999999999999"):
            with self.subTest(written):
                self.fails(mount, f"echo '{written}' > block/d/remove", "Invalid argument")
        self.fails(mount, "head -c 65537 /dev/zero | dd of=block/d/remove bs=65537 iflag=fullblock status=none", "")
        self.assertEqual(self.ok(mount, "ls block; ls devices"), "d\nscsi0\nsd0\n")
        self.assertEqual(mount.read("block/d/remove").splitlines()[0], "idle")
        # Half of a line is nothing.
        self.fails(mount, "printf 1 > block/d/remove", "Invalid argument")
        self.assertEqual(self.ok(mount, "ls block"), "d\n")
        self.ok(mount, "echo 1 > block/d/remove")

    def test_lying_qdev_deletes_no_other_device(self):
        vm = self.vm("-S", prepare=lambda vm: [
            "-drive", "if=none,id=empty0", "-drive", f"if=none,id=ok0,format=qcow2,file={vm.image('ok')}"])
        # A failed device_add leaves its id behind in `qdev`; then a device of that id comes, for another drive.
        with self.assertRaises(QmpError):
            vm.qmp("device_add", driver="nvme", id="nv1", drive="empty0", serial="1")
        mount = self.mount(vm, "unplug_timeout=1")
        self.assertNotEqual(mount.sh("echo 1 > block/empty0/remove").code, 0)
        vm.qmp("device_add", driver="nvme", id="nv1", drive="ok0", serial="1")
        self.assertEqual([b.get("qdev") for b in vm.qmp("query-block")], ["nv1", "nv1"])
        result = mount.sh("echo 1 > block/empty0/remove")
        self.assertNotEqual(result.code, 0, result)
        self.assertNotIn("timed out", result.err)
        # Had anything asked for nv1, this would let it go (the eject needs no request).
        self.assertEqual(self.ok(mount, "ls block; ls devices; head -n 1 devices/nv1/remove"), "empty0\nok0\nnv1\nidle\n")


class DimmWithoutGuest(real.RealTest):
    """The guest's side of a DIMM, played with its ACPI registers."""

    def setUp(self):
        self.machine = self.vm("-S", "-object", f"memory-backend-ram,id=mem,size={DIMM}",
                               "-device", "pc-dimm,id=d1,memdev=mem", memory="256M,slots=2,maxmem=1G")
        self.files = self.mount(self.machine, "unplug_timeout=10")
        self.writer = self.files.spawn("echo 1 > memory/d1/remove")
        self.eventually(lambda: self.files.read("memory/d1/remove").startswith("pending "), "a pending request")

    def ost(self, status):
        for size, address, value in (("w", 0xa00, 0), ("w", 0xa04, 3), ("w", 0xa08, status)):
            self.machine.qmp.port(size, address, value)

    def test_refusal(self):
        self.ost(132)  # "in progress" is not the end
        self.assertTrue(self.files.read("memory/d1/remove").startswith("pending "))
        self.assertFalse(self.writer.ended())
        self.ost(130)
        result = self.writer.wait_more(3)
        self.assertIn("Device or resource busy", result.err, result)
        self.assertTrue(self.files.read("memory/d1/remove").startswith("refused: "))
        self.assertIn("EBUSY", self.files.read("errors"))
        self.assertEqual(self.ok(self.files, "ls memory"), "d1\n")

    def test_consent(self):
        for size, address, value in (("w", 0xa00, 0), ("b", 0xa14, 8)):
            self.machine.qmp.port(size, address, value)
        result = self.writer.wait_more(3)
        self.assertEqual((result.code, result.err), (0, ""), result)
        self.assertEqual(self.ok(self.files, "ls memory"), "")


class DimmRefusedByGuest(real.RealTest):
    def test_memory_in_use(self):
        vm = self.vm(guest=True, memory="256M,slots=2,maxmem=1G")
        total = "awk '/MemTotal/ {print $2}' /proc/meminfo"
        before = int(vm.guest(total))
        vm.guest("echo online_kernel > /sys/devices/system/memory/auto_online_blocks")
        vm.qmp("object-add", {"qom-type": "memory-backend-ram"}, id="mem", size=DIMM)
        vm.qmp("device_add", driver="pc-dimm", id="d1", memdev="mem")
        self.eventually(lambda: int(vm.guest(total)) > before + DIMM / 1024 * 0.9, "the new memory in use")
        # What the kernel itself uses can't be moved. It takes the old memory first, so that is filled meanwhile.
        vm.guest("mount -t tmpfs -o size=90% t /tmp && free=$(awk '/MemFree/ {print $2}' /proc/meminfo) && "
                 "dd if=/dev/zero of=/tmp/fill bs=1k count=$((free - 40000)) 2> /dev/null; "
                 "for n in $(seq 100); do sleep 1000 & done; rm /tmp/fill", 60)
        mount = self.mount(vm)
        result = mount.sh("echo 1 > memory/d1/remove", 20)
        self.assertIn("Device or resource busy", result.err, result)
        self.assertTrue(mount.read("memory/d1/remove").startswith("refused: "))
        self.assertEqual(self.ok(mount, "ls memory"), "d1\n")


if __name__ == "__main__":
    real.main()
