"""`ctl`: each verb returns when it is done."""

import errno
import os
import subprocess
import threading

import real


class Ctl(real.RealTest):
    def test_reading_lists_the_verbs(self):
        mount = self.mount(self.vm("-S"))
        lines = self.ok(mount, "cat ctl").splitlines()
        self.assertEqual(lines[-2:], ["", "last write: none"])
        lines = lines[:-2]
        verbs = [line.split()[0] for line in lines]
        self.assertEqual(sorted(verbs), ["cont", "nmi", "powerdown", "quit", "reset", "stop", "wakeup"])
        self.assertTrue(all(len(line.split()) > 1 for line in lines), "a verb without a word about it")

    def test_stop_and_cont(self):
        vm = self.vm("-S")
        mount = self.mount(vm)
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        self.assertEqual(self.ok(mount, "echo cont > ctl && cat state"), "running\n")
        self.assertEqual(self.ok(mount, "echo stop > ctl && cat state"), "paused\n")
        self.assertFalse(vm.qmp("query-status")["running"])
        # Once more is no error, as with QEMU itself.
        self.ok(mount, "echo stop > ctl; echo cont > ctl; echo cont > ctl")
        self.assertTrue(vm.qmp("query-status")["running"])

    def test_reset(self):
        vm = self.vm()
        mount = self.mount(vm)
        self.ok(mount, "echo reset > ctl")
        vm.qmp.event("RESET", reason="host-qmp-system-reset")
        self.assertIn("RESET", self.ok(mount, "cat events"))

    def test_refused_verbs(self):
        mount = self.mount(self.vm())
        # wakeup: nobody sleeps. QEMU's words are in errors.
        self.assertNotEqual(mount.sh("echo wakeup > ctl").code, 0)
        self.assertRegex(mount.read("errors"), r"\S+ /?ctl E[A-Z]+ GenericError .*[Ww]ake")

    def test_nmi(self):
        mount = self.mount(self.vm())
        self.ok(mount, "echo nmi > ctl")

    def test_unknown_verbs(self):
        vm = self.vm("-S")
        mount = self.mount(vm)
        for verb in ("", "halt", "STOP", "stop now", "cont cont", "powerdown later", "stop\0"):
            with self.subTest(verb):
                text = verb.replace("\0", "\\0")
                self.fails(mount, f"printf '{text}\\n' > ctl", "Invalid argument")
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        self.assertEqual(vm.qmp("query-status")["status"], "prelaunch")

    def test_lines_in_pieces(self):
        # What the kernel makes of them: a write that it divides, and whose piece it is.
        vm = self.vm("-S")
        mount = self.mount(vm)
        fd = os.open(f"{mount.dir}/ctl", os.O_WRONLY)
        self.addCleanup(os.close, fd)
        piece = b"cont".ljust(1024)

        def by_thread(text):
            thread = threading.Thread(target=os.write, args=(fd, text))
            thread.start()
            thread.join()

        def refused(text, error):
            with self.assertRaises(OSError) as context:
                os.write(fd, text)
            self.assertEqual(context.exception.errno, error)

        refused(b"cont".ljust(2 << 20) + b"\n", errno.EMSGSIZE)
        refused(b"cont\n", errno.EMSGSIZE)
        os.write(fd, piece)
        self.assertNotEqual(subprocess.call(["bash", "-c", f"echo >&{fd}"], pass_fds=[fd], stderr=subprocess.DEVNULL),
                            0)
        self.assertIn("another process has written the beginning of this line", mount.read("errors"))
        refused(b"\n", errno.EINVAL)
        self.assertEqual(mount.read("state"), "prelaunch")
        os.write(fd, piece)
        by_thread(b"\n")
        self.assertEqual(mount.read("state"), "running")

    def test_quit(self):
        vm = self.vm("-S")
        mount = self.mount(vm)
        self.ok(mount, "echo quit > ctl")
        self.assertEqual(vm.process.wait(10), 0)
        self.assertEqual(self.ok(mount, "cat state"), "down\n")
        self.fails(mount, "echo cont > ctl", "Host is down")

    def test_powerdown_waits_for_the_guest(self):
        vm = self.vm(guest=True)
        mount = self.mount(vm)
        result = mount.sh("echo powerdown > ctl", 35)
        self.assertEqual((result.code, result.err), (0, ""), result)
        # Done means that the guest is off, and with it this QEMU.
        self.assertEqual(vm.process.wait(5), 0)
        self.eventually(lambda: mount.read("state") == "down", "state to be down")

    def test_powerdown_of_a_guest_that_boots(self):
        # It has lost the first press when its kernel comes up.
        vm = self.vm(guest=True, wait=False)
        mount = self.mount(vm)
        self.assertNotIn("GUEST-READY", vm.output())
        result = mount.sh("echo powerdown timeout=60 > ctl", 65)
        self.assertEqual((result.code, result.err), (0, ""), result)
        presses = self.ok(mount, "grep -c POWERDOWN events").strip()
        self.assertGreaterEqual(int(presses), 2, mount.read("events"))
        self.assertEqual(vm.process.wait(5), 0)

    def test_powerdown_once(self):
        vm = self.vm()  # no guest
        mount = self.mount(vm)
        self.fails(mount, "echo powerdown once timeout=12 > ctl", "Connection timed out", 15)
        self.assertEqual(self.ok(mount, "grep -c POWERDOWN events").strip(), "1")

    def test_powerdown_that_qemu_survives(self):
        vm = self.vm("-no-shutdown", guest=True)
        mount = self.mount(vm)
        self.ok(mount, "echo powerdown > ctl && cat state", 35)
        self.assertEqual(mount.read("state"), "shutdown")

    def test_powerdown_nowait(self):
        vm = self.vm()  # no guest: nobody will ever do it
        mount = self.mount(vm)
        result = mount.sh("echo powerdown nowait > ctl")
        self.assertEqual((result.code, result.err), (0, ""), result)
        vm.qmp.event("POWERDOWN")
        self.assertEqual(mount.read("state"), "running")

    def test_other_verbs_while_one_waits(self):
        vm = self.vm()
        mount = self.mount(vm)
        waiting = mount.spawn("echo powerdown > ctl")
        vm.qmp.event("POWERDOWN")
        self.assertEqual(self.ok(mount, "echo stop > ctl && cat state", 3), "paused\n")
        self.assertFalse(waiting.ended())
        self.ok(mount, "echo quit > ctl", 3)
        waiting.wait_more(3)

    def test_powerdown_that_nobody_follows(self):
        mount = self.mount(self.vm(), "unplug_timeout=1")
        result = self.fails(mount, "echo powerdown > ctl", "Connection timed out", 5)
        self.assertLess(result.seconds, 2, result)


if __name__ == "__main__":
    real.main()
