"""`events`: a log that ends for those who read it, a stream for those who open it for reading and writing."""

import json
import os
import select

import real


class Events(real.RealTest):
    def setUp(self):
        self.machine = self.vm("-S", "-device", "virtio-scsi-pci,id=scsi0")
        self.files = self.mount(self.machine)

    def plug(self, name):
        self.machine.qmp("blockdev-add", {"node-name": f"node-{name}"}, driver="null-co", size=1 << 20)
        self.machine.qmp("device_add", driver="scsi-hd", id=name, drive=f"node-{name}", bus="scsi0.0")

    def names(self, text):
        return [json.loads(line)["event"] for line in text.splitlines()]

    def test_reading_it_ends(self):
        self.assertEqual(self.ok(self.files, "cat events"), "")
        self.machine.qmp("cont")
        self.machine.qmp("stop")
        self.eventually(lambda: "STOP" in self.files.sh("cat events").out, "the STOP event")
        out = self.ok(self.files, "cat events")
        self.assertEqual(self.names(out), ["RESUME", "STOP"])
        for line in out.splitlines():
            event = json.loads(line)
            self.assertEqual(line, json.dumps(event, separators=(",", ":")))
            self.assertIn("seconds", event["timestamp"])
        # It has consumed nothing.
        self.assertEqual(self.ok(self.files, "cat events"), out)
        self.assertEqual(self.ok(self.files, "tail -n 1 events; grep -c RESUME events"), out.splitlines()[1] + "\n1\n")

    def test_tail_follows(self):
        follower = self.files.spawn("exec tail -n +1 -s 0.1 -f events")
        self.machine.qmp("cont")
        self.eventually(lambda: "RESUME" in follower.output(), "tail -f to show the event")
        self.machine.qmp("stop")
        self.eventually(lambda: self.names(follower.output()) == ["RESUME", "STOP"], "tail -f to show the next")
        follower.signal(15)
        follower.wait_more(2)

    def test_loop_gets_each_event_once(self):
        self.machine.qmp("cont")
        self.eventually(lambda: "RESUME" in self.files.sh("cat events").out, "an event before the loop")
        loop = self.files.spawn("exec 3<>events; echo ready; while read -r event <&3; do echo \"$event\"; done")
        self.eventually(lambda: loop.output() == "ready\n", "the loop's start")
        for _ in range(3):
            self.machine.qmp("stop")
            self.machine.qmp("cont")
        seen = lambda: self.names(loop.output().removeprefix("ready\n"))
        self.eventually(lambda: len(seen()) >= 6, "six events")
        self.assertEqual(seen(), ["STOP", "RESUME"] * 3)
        self.assertFalse(loop.ended())
        loop.signal(2)
        loop.wait_more(2)

    def test_loop_with_a_redirection_as_in_the_manual(self):
        loop = self.files.spawn("while read -r event; do echo \"$event\"; done <> events")
        # When the loop has opened the file is not to be seen from outside.
        self.eventually(lambda: self.machine.qmp("cont") or self.machine.qmp("stop") or "STOP" in loop.output(),
                        "an event")
        loop.signal(2)
        loop.wait_more(2)

    def test_filter_and_removal(self):
        self.plug("d")
        out = self.ok(self.files, "exec 3<>events; echo 'DEVICE_DELETED timeout=20' >&3; echo 1 > block/d/remove; "
                                  "read -r event <&3; echo \"$event\"")
        event = json.loads(out)
        self.assertEqual((event["event"], event["data"]["device"]), ("DEVICE_DELETED", "d"))

    def test_filter_on_data(self):
        self.plug("d1")
        self.plug("d2")
        waiter = self.files.spawn("exec 3<>events; echo 'DEVICE_DELETED device=d2 timeout=20' >&3; echo ready; "
                                  "read -r event <&3; echo \"$event\"")
        self.eventually(lambda: waiter.output() == "ready\n", "the waiter's start")
        self.machine.qmp("device_del", id="d1")
        self.machine.qmp("cont")
        self.machine.qmp.event("RESUME")
        self.assertEqual(waiter.output(), "ready\n")
        self.machine.qmp("device_del", id="d2")
        result = waiter.wait_more(10)
        self.assertEqual(json.loads(result.out.splitlines()[1])["data"]["device"], "d2")

    def test_limit_of_a_filter(self):
        result = self.fails(self.files, "exec 3<>events; echo 'DEVICE_DELETED timeout=1' >&3; cat <&3",
                            "Connection timed out", 5)
        self.assertGreater(result.seconds, 0.9, result)
        self.assertLess(result.seconds, 2, result)

    def test_bad_filters(self):
        for text in ("timeout=x", "timeout=-1", "=x"):
            with self.subTest(text):
                self.fails(self.files, f"exec 3<>events; echo '{text}' >&3", "Invalid argument")

    def test_mistyped_event_is_refused_at_once(self):
        result = self.fails(self.files, "exec 3<>events; echo 'DEVICE_DELETE timeout=60' >&3 && read -r event <&3",
                            "Invalid argument", 5)
        self.assertLess(result.seconds, 5, result)
        self.assertIn("'DEVICE_DELETED'", self.files.read("errors").splitlines()[-1])
        # Every name of the schema, and ours.
        names = self.ok(self.files, "ls schema/events").split() + ["QMPFS_DOWN", "QMPFS_UP", "QMPFS_EVENTS_LOST"]
        self.ok(self.files, f"exec 3<>events; echo '{' '.join(names)}' >&3")

    def test_two_streams_have_a_queue_each(self):
        loops = [self.files.spawn("exec 3<>events; echo ready; read -r event <&3; echo \"$event\"") for _ in range(2)]
        for loop in loops:
            self.eventually(lambda: loop.output() == "ready\n", "the loops' start")
        self.machine.qmp("cont")
        for loop in loops:
            self.assertEqual(self.names(loop.wait_more(5).out.removeprefix("ready\n")), ["RESUME"])

    def test_interrupted_reader_of_a_stream(self):
        reader = self.files.spawn("exec cat <> events")
        self.eventually(lambda: self.reading(reader), "cat in its read")
        reader.signal(2)
        self.assertNotEqual(reader.wait_more(1).code, 0)

    @staticmethod
    def reading(command):
        """Whether the process (exec'ed by its shell) is in read(2), number 0 on x86-64."""
        try:
            proc = f"/proc/{command.process.pid}"
            with open(f"{proc}/syscall") as file, open(f"{proc}/comm") as comm:
                return file.read().split()[0] == "0" and comm.read() == "cat\n"
        except OSError:
            return False

    def wakes(self, path, flags, cause, first=b""):
        """poll(2) on an open file: nothing new, then news after `cause`, then its content."""
        fd = os.open(f"{self.files.dir}/{path}", flags)
        try:
            if flags == os.O_RDONLY:
                while os.read(fd, 1 << 16):
                    pass
            poller = select.poll()
            poller.register(fd, select.POLLPRI | (select.POLLIN if flags == os.O_RDWR else 0))
            self.assertEqual(poller.poll(200), [], f"{path} has news before anything happened")
            cause()
            self.assertTrue(poller.poll(3000), f"poll(2) on {path} did not wake")
            return os.read(fd, 1 << 16) if flags == os.O_RDWR else os.pread(fd, 1 << 16, 0)
        finally:
            os.close(fd)

    def test_poll_on_state(self):
        self.assertEqual(self.wakes("state", os.O_RDONLY, lambda: self.machine.qmp("cont")), b"running\n")
        self.assertEqual(self.wakes("state", os.O_RDONLY, lambda: self.machine.qmp("stop")), b"paused\n")

    def test_poll_on_events(self):
        self.assertIn(b"RESUME", self.wakes("events", os.O_RDONLY, lambda: self.machine.qmp("cont")))

    def test_poll_on_a_stream(self):
        self.assertIn(b"RESUME", self.wakes("events", os.O_RDWR, lambda: self.machine.qmp("cont")))

    def test_poll_on_connection(self):
        self.assertIn(b"down: ", self.wakes("connection", os.O_RDONLY, self.machine.kill))

    def test_log_keeps_the_last_thousand(self):
        for _ in range(550):
            self.machine.qmp("cont")
            self.machine.qmp("stop")
        self.eventually(lambda: self.ok(self.files, "wc -l < events").strip() == "1000", "a full log")

    def test_errors_is_a_log_too(self):
        self.assertEqual(self.ok(self.files, "cat errors"), "")
        follower = self.files.spawn("exec tail -n +1 -s 0.1 -f errors")
        self.assertNotEqual(self.files.sh("echo nmi-typo > ctl; echo 1 > cpus/0/remove").code, 0)
        self.eventually(lambda: "Boot CPU is unpluggable" in follower.output(), "tail -f to show the error")
        follower.signal(15)
        follower.wait_more(2)
        self.assertEqual(self.ok(self.files, "cat errors"), self.ok(self.files, "cat errors"))


if __name__ == "__main__":
    real.main()
