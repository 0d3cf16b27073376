"""Removals that take their time: how long a writer waits, what `remove` says meanwhile, and what ends the wait."""

import signal

import real

SLOT = 5


class WithoutGuest(real.RealTest):
    """Nobody in this VM answers, until the test plays the guest with ACPI's eject register."""

    def setUp(self):
        self.machine = self.vm(prepare=lambda vm: [
            "-drive", f"file={vm.image('d')},if=none,id=d", "-device", f"virtio-blk-pci,drive=d,id=vb0,addr={SLOT}"])
        self.files = self.mount(self.machine, "unplug_timeout=30")

    def eject(self):
        # While its vCPU runs, this QEMU (7.2) dies now and then (SIGSEGV) when the monitor writes to this register.
        self.machine.qmp("stop")
        self.machine.qmp.port("w", 0xae10, 0)
        self.machine.qmp.port("w", 0xae08, 1 << SLOT)

    def pending(self, path="block/d/remove"):
        self.eventually(lambda: self.files.read(path).startswith("pending "), f"a pending request in {path}")

    def finishes(self, command, limit=3):
        result = command.wait_more(limit)
        self.assertEqual((result.code, result.err), (0, ""), result)

    def test_writer_waits_for_the_end(self):
        writer = self.files.spawn("echo 1 > block/d/remove && ls block devices")
        self.pending()
        self.assertRegex(self.files.read("block/d/remove"), r"^pending \d+(\.\d+)? s")
        self.assertFalse(writer.ended())
        self.assertEqual(self.ok(self.files, "ls block"), "d\n")
        self.eject()
        self.finishes(writer)
        self.assertEqual(writer.output(), "block:\n\ndevices:\n")

    def test_timeout_as_written(self):
        result = self.fails(self.files, "echo timeout=1 > block/d/remove", "Connection timed out", 5)
        self.assertGreater(result.seconds, 0.9, result)
        self.assertLess(result.seconds, 2, result)
        self.assertRegex(self.files.read("block/d/remove"), r"^timed out after 1(\.0)? s, still pending")
        self.assertIn("ETIMEDOUT", self.files.read("errors").splitlines()[-1])
        self.assertEqual(self.ok(self.files, "ls block"), "d\n")
        # The guest is free to do it later.
        self.eject()
        self.eventually(lambda: self.files.list("block") == [], "an empty block/")

    def test_fraction_of_a_second(self):
        result = self.fails(self.files, "echo timeout=0.5 > block/d/remove", "Connection timed out", 5)
        self.assertGreater(result.seconds, 0.4, result)
        self.assertLess(result.seconds, 1.5, result)

    def test_another_try_after_a_timeout(self):
        self.fails(self.files, "echo timeout=1 > block/d/remove", "Connection timed out", 5)
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        self.eject()
        self.finishes(writer)

    def test_nowait(self):
        result = self.files.sh("echo nowait > block/d/remove")
        self.assertEqual((result.code, result.err), (0, ""), result)
        self.assertLess(result.seconds, 2, result)
        self.pending()
        self.assertEqual(self.ok(self.files, "ls block"), "d\n")
        self.eject()
        self.eventually(lambda: self.files.list("block") == [], "an empty block/")

    def test_two_writers_wait_for_one_removal(self):
        first = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        second = self.files.spawn("echo 1 > block/d/remove")
        third = self.files.spawn("echo 1 > devices/vb0/remove")
        self.pending("devices/vb0/remove")
        self.eject()
        for writer in (first, second, third):
            self.finishes(writer)

    def test_interrupt_ends_the_wait_and_not_the_request(self):
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        writer.signal(signal.SIGINT)
        result = writer.wait_more(1)
        self.assertNotEqual(result.code, 0, result)
        self.pending()
        self.eject()
        self.eventually(lambda: self.files.list("block") == [], "an empty block/")

    def test_killed_writer(self):
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        writer.signal(signal.SIGKILL)
        self.assertEqual(writer.wait_more(1).code, -signal.SIGKILL)
        self.assertEqual(self.ok(self.files, "ls block"), "d\n")

    def test_one_interrupted_writer_leaves_the_other(self):
        first = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        second = self.files.spawn("echo 1 > block/d/remove")
        self.eventually(lambda: self.waits(second), "the second writer to wait")
        first.signal(signal.SIGINT)
        first.wait_more(1)
        self.assertFalse(second.ended())
        self.eject()
        self.finishes(second)

    @staticmethod
    def waits(command):
        """Whether the process is in write(2), by its number on x86-64."""
        with open(f"/proc/{command.process.pid}/syscall") as file:
            return file.read().split()[0] == "1"

    def test_interrupt_reaches_each_of_two_writers(self):
        # As in an interactive shell, which survives the signal and so depends on its writes' ending by it.
        command = "trap : INT; echo 1 > block/d/remove"
        first = self.files.spawn(command)
        self.pending()
        second = self.files.spawn(command)
        self.eventually(lambda: self.waits(second), "the second writer to wait")
        for writer in (second, first):
            writer.signal(signal.SIGINT)
            result = writer.wait_more(1)
            self.assertIn("Interrupted system call", result.err, result)

    def test_paused_vm_is_named_as_the_reason(self):
        self.ok(self.files, "echo stop > ctl")
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        self.assertIn("paused", self.files.read("block/d/remove"))
        self.ok(self.files, "echo cont > ctl")
        self.eventually(lambda: "paused" not in self.files.read("block/d/remove"), "no more talk of a pause")
        self.eject()
        self.finishes(writer)

    def test_vm_that_was_paused_before_the_mount(self):
        self.files.unmount()
        self.machine.qmp("stop")
        self.files = self.mount(self.machine)
        self.ok(self.files, "echo nowait > block/d/remove")
        self.eventually(lambda: "paused" in self.files.read("block/d/remove"), "remove to name the pause")

    def test_guest_ejects_by_itself(self):
        self.assertEqual(self.ok(self.files, "ls block devices"), "block:\nd\n\ndevices:\nvb0\n")
        self.eject()
        self.eventually(lambda: self.machine.qmp("query-block") == [], "QEMU without the disk")
        self.assertEqual(self.ok(self.files, "ls block devices"), "block:\n\ndevices:\n")

    def test_another_monitor_removes(self):
        self.assertEqual(self.ok(self.files, "ls block"), "d\n")
        self.machine.qmp("device_del", id="vb0")
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        self.eject()
        self.finishes(writer)
        self.assertEqual(self.ok(self.files, "ls block devices"), "block:\n\ndevices:\n")

    def test_reset_completes_it(self):
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        self.machine.qmp("system_reset")
        self.finishes(writer)

    def test_writers_end_with_qemu(self):
        writer = self.files.spawn("echo 1 > block/d/remove")
        self.pending()
        self.machine.kill()
        result = writer.wait_more(3)
        self.assertIn("Host is down", result.err, result)


class WithGuest(real.RealTest):
    def disk(self, **how):
        return self.vm(guest=True, prepare=lambda vm: [
            "-drive", f"file={vm.image('d')},if=none,id=d",
            "-device", f"nvme,drive=d,serial=a,id=nv0,addr={SLOT}"], **how)

    def test_request_during_firmware_is_repeated(self):
        vm = self.disk(wait=False)
        mount = self.mount(vm)
        self.assertEqual(self.ok(mount, "echo 1 > block/d/remove && ls block", 30), "")
        vm.wait_ready()
        self.assertEqual(vm.guest("ls /sys/block").split(), [])

    def test_guest_that_ignores_the_request(self):
        vm = self.disk(append="acpiphp.disable=1")
        mount = self.mount(vm, "unplug_timeout=3")
        result = self.fails(mount, "echo 1 > block/d/remove", "Connection timed out")
        self.assertGreater(result.seconds, 2.9, result)
        self.assertLess(result.seconds, 4, result)
        self.assertRegex(mount.read("block/d/remove"), r"^timed out after 3(\.0)? s, still pending")
        self.assertEqual(self.ok(mount, "ls block"), "d\n")
        self.assertEqual(vm.guest("ls /sys/block").split(), ["nvme0n1"])
        # A reset lets go of what was asked for. Nobody waits for it any more, and yet it is the same removal: the
        # legacy drive goes with its nvme.
        self.ok(mount, "echo reset > ctl")
        self.eventually(lambda: mount.list("devices") == [], "an empty devices/")
        self.eventually(lambda: mount.list("block") == [], "an empty block/")

    def test_guest_ejects_by_itself(self):
        vm = self.disk()
        mount = self.mount(vm)
        self.assertEqual(self.ok(mount, "ls devices"), "nv0\n")
        vm.guest(f"echo 0 > /sys/bus/pci/slots/{SLOT}/power")
        vm.qmp.event("DEVICE_DELETED", device="nv0")
        self.assertEqual(self.ok(mount, "ls devices"), "")
        self.fails(mount, "cat devices/nv0/driver", "No such file or directory")


if __name__ == "__main__":
    real.main()
