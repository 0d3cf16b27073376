"""The sandbox around a daemon that serves: what the kernel says of it, that all goes on in there, and who unmounts."""

import os
import signal

import real
from mount import Running, sanitized

PENDING = 4  # seconds in which a dead daemon's mount must be gone


def status(pid):
    """/proc/PID/status."""
    with open(f"/proc/{pid}/status") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def descriptors(pid):
    where = f"/proc/{pid}/fd"
    return sorted(os.readlink(f"{where}/{fd}").split(":")[0] for fd in os.listdir(where))


def has_ended(pid):
    return not os.path.exists(f"/proc/{pid}") or status(pid)["State"][0] == "Z"


class Sandbox(real.RealTest):
    def setUp(self):
        self.machine = self.vm("-S")

    def sandboxed(self, options="", **how):
        return self.mount(self.machine, ",".join(filter(None, ("sandbox=on", options))), **how)

    def outside(self, mount, but=None):
        """The process that waits for the one outside, and that one: another one than this."""
        waits, = children(mount.pid)

        def serving():
            return [pid for pid in children(waits) if pid != but and status(pid)["Name"] == "qmpfs-outside"]
        return waits, self.eventually(serving, "the process outside")[0]

    def reconnects_by_it(self, mount):
        self.machine.kill()
        self.eventually(lambda: mount.sh("cat state").out == "down\n", "down")
        self.machine.start()
        self.eventually(lambda: mount.sh("cat state").out == "prelaunch\n", "up again")

    def is_gone(self, mount):
        return not mount.mounted()

    # -- what it may do

    def test_kernel_says_what_it_may_not(self):
        mount = self.sandboxed()
        says = status(mount.pid)
        for key in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(says[key], 16), 0, key)
        if os.geteuid() == 0:
            self.assertEqual(int(says["CapBnd"], 16), 0)
        self.assertEqual((says["NoNewPrivs"], says["Seccomp"]), ("1", "2"))
        self.assertEqual(says["Threads"], "1")
        with open(f"/proc/{mount.pid}/limits") as file:
            self.assertRegex(file.read(), r"Max core file size +0 +0 ")
        self.assertRegex(mount.read("connection"), r"^up since .*, QEMU .*\nsandbox: seccomp")

    def test_without_it(self):
        mount = self.mount(self.machine, "sandbox=off")
        self.assertEqual(status(mount.pid)["Seccomp"], "0")
        self.assertEqual(children(mount.pid), [])
        self.assertRegex(mount.read("connection"), r"^up since .*\nsandbox: off$")

    def test_wrong_value(self):
        result = self.new_mount(self.machine, "sandbox=maybe").try_start()
        self.assertNotEqual(result.code, 0)
        self.assertIn("'sandbox=maybe': expected on or off", result.err)

    def test_process_outside_holds_nothing_of_the_daemons(self):
        for foreground in (False, True):
            with self.subTest(foreground=foreground):
                mount = self.sandboxed(foreground=foreground)
                # In the foreground the mount is seen before all is done; it answers when it is.
                self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
                both = self.outside(mount)
                for pid in both:
                    # A socket to the daemon; in the foreground standard error, too.
                    others = [name for name in descriptors(pid) if name != "/dev/null"]
                    self.assertEqual(others.count("socket"), 1, others)
                    self.assertEqual(len(others), 1 + foreground, others)
                    self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
                mount.unmount()
                self.eventually(lambda: all(map(has_ended, both)), "the end of the processes outside")

    # -- all goes on in there

    def test_walk_meets_no_error_of_the_sandbox(self):
        mount = self.sandboxed("max_load=100")
        # What QEMU doesn't let anybody read is "Permission denied"; the filter says "Operation not permitted".
        result = mount.sh("ls -lR > /dev/null; grep -r . . > /dev/null", 120)
        self.assertIn("Permission denied", result.err)
        self.assertNotIn("not permitted", result.err)
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        self.assertEqual(self.ok(mount, "echo cont > ctl && cat state && echo 'command-line=info version' > hmp"), "running\n")

    def test_reconnects(self):
        mount = self.sandboxed()
        for _ in range(2):
            self.reconnects_by_it(mount)
        self.assertRegex(mount.read("connection"), r"^up since ")

    def test_logs_in_the_foreground(self):
        mount = self.sandboxed(foreground=True)
        self.machine.kill()
        self.eventually(lambda: self.machine.socket in mount.running.errors(), "a line about the lost connection")

    # -- who unmounts

    def test_ends_by_signals(self):
        for sig, foreground in ((signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGHUP, True)):
            with self.subTest(sig=sig):
                mount = self.sandboxed(foreground=foreground)
                self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
                os.kill(mount.pid, sig)
                # when the process has ended the mount is gone, not a moment later
                mount.check_end(mount.wait_end(5))
                self.assertEqual(os.listdir(mount.dir), [])
                if foreground:
                    self.assertNotIn("mount", mount.running.errors().replace(mount.dir, ""))

    def test_ends_while_somebody_is_in_there(self):
        mount = self.sandboxed()
        # An open file and a working directory keep a mount busy; whoever waits in it is told that it is gone.
        reader = mount.spawn("cd block; exec 3<>../events; echo in; read -r line <&3; echo left")
        self.eventually(lambda: reader.output() == "in\n", "the reader to wait")
        os.kill(mount.pid, signal.SIGTERM)
        mount.check_end(mount.wait_end(5))
        self.eventually(reader.ended, "the reader's end")
        self.assertEqual(reader.output(), "in\nleft\n")

    def test_killed_daemon_leaves_no_dead_mount(self):
        mount = self.sandboxed()
        os.kill(mount.pid, signal.SIGKILL)
        self.eventually(lambda: self.is_gone(mount), "the end of the mount", PENDING)
        self.assertEqual(mount.wait_end(5), -signal.SIGKILL)
        mount.pid = None
        self.assertEqual(os.listdir(mount.dir), [])
        # the monitor is free at once
        again = self.sandboxed()
        self.assertEqual(self.ok(again, "cat state"), "prelaunch\n")

    def test_another_mount_at_the_same_place_is_left_alone(self):
        second = self.vm("-S")
        mount = self.sandboxed()
        _, serves = self.outside(mount)
        os.kill(serves, signal.SIGSTOP)
        try:
            # The daemon can't tell any more that there is nothing left to do.
            os.kill(mount.pid, signal.SIGKILL)
            self.assertEqual(mount.wait_end(5), -signal.SIGKILL)
            mount.pid = None
            self.assertEqual(Running(["fusermount3", "-u", mount.dir]).wait().code, 0)
            other = self.new_mount(second, "sandbox=on", argv=None)
            other.argv[-1] = other.dir = mount.dir
            other.start()
        finally:
            os.kill(serves, signal.SIGCONT)
        self.eventually(lambda: has_ended(serves), "the end of the first one's process outside")
        self.assertEqual(self.ok(other, "cat state"), "prelaunch\n")

    def test_severed_connection_leaves_no_dead_mount(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        mount = self.sandboxed()
        control = f"{mount.base}/control"
        os.mkdir(control)
        if Running(["mount", "-t", "fusectl", "fusectl", control]).wait().code != 0:
            self.skipTest("the kernel has no fusectl")
        try:
            with open(f"{control}/{os.minor(os.stat(mount.dir).st_dev)}/abort", "w") as file:
                file.write("1")
        finally:
            Running(["umount", control]).wait()
        self.eventually(lambda: self.is_gone(mount), "the end of the mount", PENDING)
        mount.check_end(mount.wait_end(5))
        self.assertEqual(os.listdir(mount.dir), [])

    def test_process_outside_is_started_again(self):
        mount = self.sandboxed()
        waits, first = self.outside(mount)
        os.kill(first, signal.SIGKILL)
        self.assertEqual(self.outside(mount, first)[0], waits)
        self.reconnects_by_it(mount)
        # and the one that starts it is not needed, either
        os.kill(waits, signal.SIGKILL)
        self.reconnects_by_it(mount)
        self.assertRegex(mount.read("connection"), "\nsandbox: [^;]*$")
        os.kill(mount.pid, signal.SIGTERM)
        mount.check_end(mount.wait_end(5))
        self.assertEqual(os.listdir(mount.dir), [])

    def test_death_of_the_processes_outside(self):
        mount = self.sandboxed(foreground=True)
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        for pid in self.outside(mount):
            os.kill(pid, signal.SIGKILL)
        gone = "the process outside the sandbox has ended"
        self.eventually(lambda: gone in mount.read("connection"), "a word about it")
        self.assertRegex(mount.read("connection"), rf"^up since .*\nsandbox: .*; {gone}: unmount and mount again$")
        self.assertIn(f"qmpfs: {gone}: unmount '{mount.dir}' and mount again\n", mount.running.errors())
        # the daemon serves on, what it can
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        self.machine.kill()
        self.eventually(lambda: f"{gone}; unmount and mount again\n" in mount.sh("head -n 1 connection").out, "the last attempt")
        # it can't unmount, and says so
        os.kill(mount.pid, signal.SIGTERM)
        self.assertEqual(mount.wait_end(5), 1)
        mount.pid = None
        self.assertIn(f"cannot unmount '{mount.dir}': {gone}; fusermount3 -u removes the mount\n", mount.running.errors())
        self.assertEqual(Running(["fusermount3", "-u", mount.dir]).wait().code, 0)

    def test_unmount_without_the_processes_outside(self):
        mount = self.sandboxed()
        for pid in self.outside(mount):
            os.kill(pid, signal.SIGKILL)
        mount.unmount()


if __name__ == "__main__":
    if sanitized():
        print("Under the sanitizers: their own threads and files are what the sandbox forbids, so leaks are not looked for here")
    real.main()
