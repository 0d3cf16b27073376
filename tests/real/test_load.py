"""Many at once: readers that wait, processes that look and unplug, and more events than anybody can read."""

import json
import os
import select
import statistics
import subprocess
import sys
import time

import real
from mount import sanitized, usage

HERE = os.path.dirname(os.path.abspath(__file__))
READERS = 1000
READ, WRITE, POLL, OPENAT = "0", "1", "7", "257"  # system calls of x86-64
DISKS = 16
# Of the daemon's heap, which has found its size after the first crowd.
FIRST_CROWD_KB = 2048
# How many are there at the same moment differs; two thousand open files that are left would be more.
LATER_CROWDS_KB = 300

RATE = 10000
QUEUE = 10000  # what a stream keeps
# Under the sanitizers the daemon is a tenth as fast.
SECONDS = 2 if sanitized() else 8
SAMPLES = 200
READ_LIMIT = 2


class Program:
    """One of the programs beside this file, with its standard input to be closed and its lines to be read."""

    def __init__(self, program, *args):
        self.words = [program, *args]
        self.process = subprocess.Popen([sys.executable, f"{HERE}/{program}", *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self, limit=30):
        ready, _, _ = select.select([self.process.stdout], [], [], limit)
        assert ready, f"{self.words}: nothing within {limit} s"
        line = self.process.stdout.readline()
        assert line, f"{self.words}: {self.process.stderr.read()}"
        return line.strip()

    def result(self, limit=60):
        result = json.loads(self.line(limit))
        assert self.process.wait(limit) == 0
        return result

    def threads_in(self, syscall):
        """How many of its threads are in this system call."""
        count = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                with open(f"/proc/{self.process.pid}/task/{task}/syscall") as file:
                    count += file.read().split()[0] == syscall
            except OSError:
                pass
        return count

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            file.close()


class Load(real.RealTest):
    def program(self, *words):
        program = Program(*words)
        self.addCleanup(program.end)
        return program


class Parked(Load):
    """A thousand who wait are woken by one event, and when they have gone nothing of them is left."""

    def setUp(self):
        self.machine = self.vm()
        self.files = self.mount(self.machine)

    def crowds(self, what, crowd):
        """Three times; the daemon is as large afterwards as after the first time, and that is not much more than before."""
        before = usage(self.files.pid)
        crowd()
        first = usage(self.files.pid)
        crowd()
        crowd()
        after = usage(self.files.pid)
        print(f"{what}: before {before}, after the first crowd {first}, after the third {after}", flush=True)
        self.assertEqual(before["fds"], after["fds"])
        if not sanitized():
            self.assertLess(after["VmRSS"], before["VmRSS"] + FIRST_CROWD_KB)
            self.assertLess(after["VmRSS"], first["VmRSS"] + LATER_CROWDS_KB)

    def parked(self, path, flags, wake, expected):
        reader = self.program("crowd.py", "reads", str(flags), f"{self.files.dir}/{path}", str(READERS))
        self.assertEqual(reader.line(), "ready")
        # A stream is read without an end, any other content comes with the opening.
        call = READ if flags == os.O_RDWR else OPENAT
        self.eventually(lambda: reader.threads_in(call) == READERS, "all readers waiting")
        begin = time.monotonic()
        wake()
        said = reader.result()
        print(f"{READERS} readers of {path}: {time.monotonic() - begin:.2f} s to wake", flush=True)
        self.assertEqual(sum(said.values()), READERS, said)
        for text in said:
            self.assertIn(expected, text)

    def pause(self):
        """With nothing under way that could wake anybody."""
        self.machine.qmp("stop")
        self.eventually(lambda: '"STOP"' in self.files.sh("tail -n 1 events").out, "the event in the log")

    def go_on(self):
        self.machine.qmp("cont")

    def test_blocked_readers_of_events(self):
        def crowd():
            self.pause()
            self.parked("events", os.O_RDWR, self.go_on, '"event":"RESUME"')
        self.crowds("readers of a stream", crowd)

    def test_blocked_readers_of_state(self):
        def crowd():
            self.machine.stop()
            self.parked("state", os.O_RDONLY, self.machine.go_on, "running\n")
        self.crowds("readers of state", crowd)

    def test_pollers_of_state(self):
        def crowd():
            self.pause()
            self.polled("state", lambda text: text == "running\n")
        self.crowds("pollers of state", crowd)

    def test_pollers_of_events(self):
        def crowd():
            self.pause()
            self.polled("events", lambda text: '"RESUME"' in text.splitlines()[-1])
        self.crowds("pollers of events", crowd)

    def polled(self, path, is_right):
        poller = self.program("crowd.py", "polls", f"{self.files.dir}/{path}", str(READERS))
        self.assertEqual(poller.line(), "ready")
        self.eventually(lambda: poller.threads_in(POLL) == READERS, "all pollers in their poll")
        begin = time.monotonic()
        self.go_on()
        said = poller.result()
        print(f"{READERS} pollers of {path}: {time.monotonic() - begin:.2f} s to wake", flush=True)
        self.assertEqual(sum(said.values()), READERS, said)
        for text in said:
            self.assertTrue(is_right(text), text)


class Crowd(Load):
    def test_sixty_four_look_list_and_unplug_at_once(self):
        vm = self.vm("-device", "virtio-scsi-pci,id=scsi0", *(
            arg for n in range(DISKS) for arg in (
                "-blockdev", f"driver=null-co,node-name=node{n},size=1048576",
                "-device", f"scsi-hd,id=d{n},drive=node{n},bus=scsi0.0,serial=serial-d{n}")))
        mount = self.mount(vm)
        self.assertEqual(len(mount.list("block")), DISKS)
        removers = {n: [self.program("crowd.py", "remove", mount.dir, f"d{n}") for _ in range(2)]
                    for n in range(DISKS)}
        lookers = [self.program("crowd.py", "look", mount.dir, f"d{n}", f"node{n}") for n in range(DISKS)]
        listers = [self.program("crowd.py", "list", mount.dir) for _ in range(DISKS)]
        everybody = [program for pair in removers.values() for program in pair] + lookers + listers
        self.assertEqual(len(everybody), 64)
        for program in everybody:
            self.assertEqual(program.line(), "ready")
        # Those who look are under way before the first disk goes, and QEMU holds its breath until all have asked.
        for program in lookers + listers:
            program.process.stdin.close()
        vm.stop()
        for pair in removers.values():
            for program in pair:
                program.process.stdin.close()
        self.eventually(lambda: all(program.threads_in(WRITE) for pair in removers.values() for program in pair),
                        "all in their write", 8)
        vm.go_on()
        begin = time.monotonic()
        outcomes = {n: sorted(program.result() for program in pair) for n, pair in removers.items()}
        print(f"{DISKS} disks gone after {time.monotonic() - begin:.2f} s: {outcomes}", flush=True)
        for n, outcome in outcomes.items():
            with self.subTest(f"d{n}"):
                # Whether both waited for it, or one came when it had gone already.
                self.assertEqual(outcome, ["done", "done"])
        looks = [program.result() for program in lookers]
        lists = [program.result() for program in listers]
        print(f"{sum(l['looks'] for l in looks)} looks, {sum(l['lists'] for l in lists)} lists", flush=True)
        for found in looks + lists:
            self.assertEqual(found["wrong"], [])
        for found in lists:
            self.assertEqual(found["left"], [])
        # What the other monitor has seen: each disk went once, and nothing else did.
        self.assertEqual(vm.qmp("query-block"), [])
        gone = [event["data"].get("device") for event in vm.qmp.events if event["event"] == "DEVICE_DELETED"]
        self.assertEqual(sorted(gone), sorted(f"d{n}" for n in range(DISKS)))
        self.assertEqual(mount.list("block"), [])
        self.assertEqual(mount.list("devices"),
                         [p["name"] for p in vm.qmp("qom-list", path="/machine/peripheral") if "child<" in p["type"]])


class Flood(Load):
    def setUp(self):
        # A VM that is never started has a directory, too.
        self.socket = f"{self.vm(start=False).dir}/flood.sock"
        self.server = self.program("flood.py", self.socket)
        self.assertEqual(self.server.line(), "listening")
        self.files = self.mount(self.socket)

    def flood(self, count):
        self.server.process.stdin.write(f"{RATE} {count}\n")
        self.server.process.stdin.flush()

    def reads(self):
        """The median of what `status` takes, in ms."""
        times = []
        for _ in range(SAMPLES):
            begin = time.monotonic()
            with open(f"{self.files.dir}/status") as file:
                self.assertIn('"running": true', file.read())
            times.append(time.monotonic() - begin)
        self.assertLess(max(times), READ_LIMIT)
        return statistics.median(times) * 1000, max(times) * 1000

    def test_nobody_pays_for_a_stream_that_is_not_read(self):
        self.reads()
        quiet, _ = self.reads()
        count = RATE * SECONDS
        before = usage(self.files.pid)
        stream = os.open(f"{self.files.dir}/events", os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, stream)
        self.flood(count)
        # By then its queue is full, and has been full once over.
        self.eventually(lambda: self.last_number() >= 1.5 * QUEUE, "the queue to be full", 60)
        full = usage(self.files.pid)
        loud, worst = self.reads()
        sent, seconds = self.server.line(120).split()
        self.assertEqual(int(sent), count)
        # The socket has it all; the daemon has when the last one is in the log.
        self.eventually(lambda: self.last_number() == count - 1, "the last event", 60)
        after = usage(self.files.pid)
        print(f"{count / float(seconds):.0f} events/s for {float(seconds):.1f} s; cat status: {quiet:.3f} ms, in the "
              f"flood {loud:.3f} ms ({loud / quiet:.1f} times), {worst:.1f} ms at worst; daemon: {before} -> {full} -> "
              f"{after}", flush=True)
        if not sanitized():
            self.assertLess(after["VmRSS"], full["VmRSS"] + 512)
        self.assertEqual(after["fds"], before["fds"])
        self.check_stream(stream, count)

    def last_number(self):
        lines = self.files.read("events").splitlines() if os.stat(f"{self.files.dir}/events").st_size else []
        return json.loads(lines[-1])["data"]["n"] if lines else -1

    def check_stream(self, stream, count):
        """It tells first how many were lost, and has all the others, in order."""
        text = b""
        while True:
            try:
                text += os.read(stream, 1 << 17)
            except BlockingIOError:
                break
        events = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(events[0]["event"], "QMPFS_EVENTS_LOST")
        lost = events[0]["data"]["count"]
        self.assertEqual([event["data"]["n"] for event in events[1:]], list(range(lost, count)))
        self.assertLessEqual(len(events), QUEUE + 1)
        self.assertGreaterEqual(len(events), QUEUE)


if __name__ == "__main__":
    real.main()
