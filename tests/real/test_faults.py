"""QEMU silent, dead, back again, and gone in the midst of everything.

Nothing hangs, nothing lists as empty, all comes back. No command may outlast its limit by more than a second.
"""

import errno
import json
import os
import select
import socket
import subprocess
import threading
import time

import real
from reference import QmpError

TIMEOUT, UNPLUG = 2, 4
# Without a limit of the load: otherwise an answer of a tenth of a second ago would do for a QEMU that is silent now.
OPTIONS = f"timeout={TIMEOUT},unplug_timeout={UNPLUG},max_load=100"
SLACK = 1

# What a user might be doing, and how long it may take at most while QEMU is silent. Each asks QEMU something.
QUESTIONS = {
    "ls block": TIMEOUT,
    "ls -l block/d": TIMEOUT,
    "ls cpus": TIMEOUT,
    "ls devices": TIMEOUT,
    "cat status": TIMEOUT,
    "cat block/d/status": TIMEOUT,
    "cat block/d/inserted/image/virtual-size": TIMEOUT,
    "cat devices/vb0/driver": TIMEOUT,
    "echo stop > ctl": TIMEOUT,
    "echo nowait > block/d/remove": UNPLUG,
    "echo 1 > block/d/remove": UNPLUG,
}
TIMED_OUT, DOWN = "Connection timed out", "Host is down"


class Faults(real.RealTest):
    def setUp(self):
        self.machine = self.vm("-device", "virtio-scsi-pci,id=scsi0", smp="2", prepare=lambda vm: [
            "-drive", f"file={vm.image('d')},if=none,id=d", "-device", "virtio-blk-pci,drive=d,id=vb0,addr=5"])
        self.files = self.mount(self.machine, OPTIONS)
        self.assertEqual(self.ok(self.files, "ls block"), "d\n")

    def back(self, limit=12):
        """All is as it was."""
        self.eventually(lambda: self.files.sh("cat state").out == "running\n", "state to be running again", limit)
        self.assertEqual(self.ok(self.files, "ls block devices && cat block/d/inserted/image/virtual-size"),
                         "block:\nd\n\ndevices:\nscsi0\nvb0\n67108864\n")
        self.assertRegex(self.files.read("connection"), "^up since ")

    def ends_badly(self, result, words, limit):
        """It failed in time, with one of these words, and did not pretend that there is nothing."""
        self.assertNotEqual(result.code, 0, result)
        self.assertLess(result.seconds, limit + SLACK, result)
        self.assertTrue(any(word in result.err for word in words), result)
        if result.command != "ls -l block/d":
            self.assertEqual(result.out, "", result)

    def each_fails(self, words):
        for command, limit in QUESTIONS.items():
            with self.subTest(command):
                self.ends_badly(self.files.sh(command), words, limit)

    def each_midway(self, fault, words):
        """All of them over and over, each in a loop that ends with its first failure; then the fault."""
        loops = []
        waiting = "echo 1 > block/d/remove"
        for command, limit in QUESTIONS.items():
            if command == waiting:
                continue
            check = "" if command.startswith("echo") else "[ -n \"$said\" ] || exit 9; "
            loops.append((self.files.spawn(f"while said=$({command}); do {check}echo; done"), command, limit))
        for loop, command, _ in loops:
            self.eventually(lambda: loop.output().count("\n") >= 3, f"three rounds of '{command}'")
        loops.append((self.files.spawn(waiting), waiting, QUESTIONS[waiting]))
        self.eventually(lambda: self.files.read("block/d/remove").startswith("pending"), "a pending request")
        fault()
        begin = time.monotonic()
        for loop, command, limit in sorted(loops, key=lambda item: item[2]):
            with self.subTest(command):
                result = loop.wait_more(limit + SLACK + 1)
                self.assertLess(time.monotonic() - begin, limit + SLACK, result)
                self.assertNotEqual(result.code, 9, "an answer that was empty")
                self.assertTrue(any(word in result.err for word in words), result)

    def test_silent(self):
        self.machine.stop()
        first = self.files.sh("cat status")
        self.ends_badly(first, [TIMED_OUT], TIMEOUT)
        self.assertGreater(first.seconds, TIMEOUT - 0.2, first)
        self.assertRegex(self.files.read("connection"), r"^stalled \d+ s in \S+")
        # It has been silent for longer than the limit already: no second wait of that length.
        again = self.files.sh("cat block/d/status")
        self.ends_badly(again, [TIMED_OUT], 0.2)
        self.each_fails([TIMED_OUT])
        # What asks nobody goes on.
        for command in ("ls", "cat connection", "cat events", "cat errors", "cat ctl", "stat .", "df ."):
            result = self.files.sh(command)
            self.assertEqual(result.code, 0, result)
            self.assertLess(result.seconds, SLACK, result)
        self.machine.go_on()
        self.eventually(lambda: self.files.read("connection").startswith("up since "), "a connection that is up")

    def test_silent_midway(self):
        self.each_midway(self.machine.stop, [TIMED_OUT])
        self.machine.go_on()
        self.eventually(lambda: self.files.read("connection").startswith("up since "), "a connection that is up")

    def test_short_silence_is_no_failure(self):
        self.machine.stop()
        reader = self.files.spawn("cat state")
        threading.Timer(TIMEOUT / 2, self.machine.go_on).start()
        result = reader.wait(TIMEOUT + SLACK)
        self.assertEqual((result.code, result.out), (0, "running\n"), result)
        self.back()

    def test_late_answers_are_not_taken_for_others(self):
        self.machine.stop()
        for command in ("cat status", "ls block", "cat cpus/0/status"):
            self.ends_badly(self.files.sh(command), [TIMED_OUT], TIMEOUT)
        self.machine.go_on()
        self.back()
        self.assertEqual(self.json(self.files, "status"), self.machine.qmp("query-status"))

    def test_many_readers_of_a_silent_qemu(self):
        self.machine.stop()
        readers = [self.files.spawn(f"cat {path}") for path in ("status", "block/d/status", "cpus/1/status") * 20]
        for reader in readers:
            self.ends_badly(reader.wait(TIMEOUT + 5), [TIMED_OUT], TIMEOUT + 0.5)
        self.machine.go_on()
        self.back()

    def test_killed(self):
        self.machine.kill()
        self.eventually(lambda: self.files.read("state") == "down", "state to be down")
        self.assertRegex(self.files.read("connection"), r"^down: .+, next try in \d+(\.\d+)? s")
        self.each_fails([DOWN])
        self.assertEqual(self.files.sh("cat state").out, "down\n")
        self.machine.start()
        self.back()

    def test_killed_midway(self):
        self.each_midway(self.machine.kill, [DOWN])
        self.machine.start()
        self.back()

    def test_killed_while_silent(self):
        self.machine.stop()
        reader = self.files.spawn("cat status")
        self.machine.kill()
        self.ends_badly(reader.wait(TIMEOUT + 5), [DOWN, TIMED_OUT], TIMEOUT)
        self.machine.start()
        self.back()

    def test_quit_by_somebody_else(self):
        self.machine.qmp("quit")
        self.eventually(lambda: self.files.read("state") == "down", "state to be down")
        self.machine.kill()
        self.machine.start()
        self.back()

    def test_restarted_many_times(self):
        for _ in range(3):
            self.machine.kill()
            self.machine.start()
            self.back()

    def test_another_vm_on_the_same_socket(self):
        """What was seen of the old VM is not shown of the new one."""
        inode = self.ok(self.files, "stat -c %i block/d")
        held = self.files.spawn("exec 3< block/d/status; echo ready; until cat connection | grep -q down; do :; done; "
                                "until cat connection | grep -q up; do :; done; cat <&3")
        self.eventually(lambda: held.output() == "ready\n", "the reader's start")
        self.machine.kill()
        self.machine.argv = [arg.replace("id=d", "id=e").replace("drive=d", "drive=e") for arg in self.machine.argv]
        self.machine.start()
        self.eventually(lambda: self.files.sh("cat state").out == "running\n", "state to be running again")
        self.assertEqual(self.ok(self.files, "ls block"), "e\n")
        self.fails(self.files, "cat block/d/status", "No such file or directory")
        result = held.wait_more(10)
        self.assertIn("No such device", result.err, result)
        self.assertNotEqual(self.ok(self.files, "stat -c %i block/e"), inode)

    def test_readers_of_events_and_polls_see_it(self):
        stream = self.files.spawn("while read -r event; do echo \"$event\"; done <> events")
        waiter = self.files.spawn("exec 3<> events; echo 'SHUTDOWN timeout=60' >&3; read -r event <&3; echo \"$?\"")
        poller = select.poll()
        state = os.open(f"{self.files.dir}/state", os.O_RDONLY)
        self.addCleanup(os.close, state)
        os.read(state, 100)
        poller.register(state, select.POLLPRI)
        self.machine.kill()
        self.assertTrue(poller.poll((TIMEOUT + SLACK) * 1000), "poll(2) on state did not wake")
        self.assertEqual(os.pread(state, 100, 0), b"down\n")
        self.machine.start()
        self.back()
        # A stream may outlive the connection or end with it, but it must not become unkillable.
        for command in (stream, waiter):
            command.abandon()
            self.assertTrue(command.ended())

    def test_another_vm_is_marked_in_events(self):
        """Neither the log nor a stream shows the old VM's last words as if they were the new one's."""
        stream = os.open(f"{self.files.dir}/events", os.O_RDWR)
        self.addCleanup(os.close, stream)
        waiter = self.files.spawn("exec 3<> events; echo 'DEVICE_DELETED timeout=60' >&3; echo ready; read -r event <&3")
        self.eventually(lambda: waiter.output() == "ready\n", "the waiter's start")
        self.machine.qmp("quit")
        self.assertIn(DOWN, waiter.wait_more(5).err)
        self.machine.kill()
        self.machine.start()
        self.back()
        log = [json.loads(line) for line in self.files.read("events").splitlines()]
        self.assertEqual([event["event"] for event in log], ["SHUTDOWN", "QMPFS_DOWN", "QMPFS_UP"])
        self.assertEqual(log[1]["data"], {"reason": "QEMU exited (host-qmp-quit)"})
        self.assertEqual(log[2]["data"], {"version": self.files.read("version")})
        times = [event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6 for event in log]
        self.assertEqual(times, sorted(times))
        # A reader who was busy meanwhile hears the same, and of the gap once.
        told = [json.loads(line) for line in os.read(stream, 1 << 16).splitlines()]
        self.assertEqual(told, log[:2])
        with self.assertRaises(OSError) as error:
            os.read(stream, 1 << 16)
        self.assertEqual(error.exception.errno, errno.EHOSTDOWN)
        self.assertEqual([json.loads(line) for line in os.read(stream, 1 << 16).splitlines()], log[2:])
        poller = select.poll()
        poller.register(stream, select.POLLIN)
        self.assertEqual(poller.poll(100), [])

    def test_unmount_while_silent(self):
        self.machine.stop()
        reader = self.files.spawn("cat status")
        remover = self.files.spawn("echo 1 > block/d/remove")
        for command in (reader, remover):
            command.wait_more(UNPLUG + SLACK + 1)
        begin = time.monotonic()
        self.files.unmount()
        self.assertLess(time.monotonic() - begin, SLACK)

    def test_lazy_unmount_in_the_midst_of_a_wait(self):
        reader = self.files.spawn("echo timeout=30 > block/d/remove")
        self.eventually(lambda: self.files.read("block/d/remove").startswith("pending"), "a pending request")
        subprocess.run(["fusermount3", "-u", "-z", self.files.dir], check=True)
        reader.signal(9)
        reader.wait_more(2)
        self.files.check_end(self.files.wait_end())

    def test_terminated_in_the_midst_of_a_wait(self):
        reader = self.files.spawn("echo timeout=30 > block/d/remove")
        self.eventually(lambda: self.files.read("block/d/remove").startswith("pending"), "a pending request")
        os.kill(self.files.pid, 15)
        result = reader.wait_more(3)
        self.assertNotEqual(result.code, 0, result)
        self.files.check_end(self.files.wait_end(), (0, 143, -15))


class Impostors(real.RealTest):
    """The socket's other end after the VM's is gone, or when it is stuck."""

    def test_stuck_command_is_named(self):
        vm = self.vm()
        mount = self.mount(vm, "timeout=1")
        # While the program that a migration goes to doesn't read, one of the next commands waits in QEMU and keeps all
        # others waiting; the first may be too early for that.
        vm.qmp("migrate", uri="exec:sleep 5; cat > /dev/null")

        def get_stuck():
            begin = time.monotonic()
            while time.monotonic() - begin < 3:
                self.assertRaises(QmpError, vm.qmp, "device_add", driver="no")
        stuck = threading.Thread(target=get_stuck)
        stuck.start()
        self.addCleanup(stuck.join)
        self.eventually(lambda: "Connection timed out" in mount.sh("cat status").err, "a time-out", 4)
        self.assertRegex(mount.read("connection"), r"^stalled \d+ s in query-status")
        self.eventually(lambda: mount.sh("cat state").code == 0, "the end of it", 15)
        self.assertRegex(mount.read("connection"), "^up since ")

    def test_garbage_from_a_socket_closes_this_connection_only(self):
        vm = self.vm()
        mount = self.mount(vm, OPTIONS)
        vm.kill()
        os.unlink(vm.socket)
        server = socket.socket(socket.AF_UNIX)
        server.bind(vm.socket)
        server.listen()
        server.settimeout(10)
        client, _ = server.accept()
        client.sendall(b"this is no QMP\n")
        self.eventually(lambda: "this is no QMP" in mount.read("connection"), "connection to name the reason")
        self.assertEqual(mount.read("state"), "down")
        self.fails(mount, "ls block", DOWN)
        client.close()
        server.close()
        os.unlink(vm.socket)
        vm.start()
        self.eventually(lambda: mount.sh("cat state").out == "running\n", "state to be running again", 12)


if __name__ == "__main__":
    real.main()
