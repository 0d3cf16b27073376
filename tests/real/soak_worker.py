"""soak_worker.py KIND SEED MOUNT SLOT LOG: one user of the mount for soak.py, who goes on until he is killed.

What he is at is in SLOT, so that whoever looks there sees when it takes too long; what failed is in LOG, a line of JSON
each: [begin, end, kind, place, what, how]. `how` is an errno's name, or words where an answer can't be right, with "!".
"""

import errno
import json
import mmap
import os
import random
import re
import select
import subprocess
import sys
import time

# Mount options that soak.py gives, in seconds; what one operation may take is made from them.
TIMEOUT, COMMAND_TIMEOUT = 3, 10
SLACK = 4
LOOK = 2 * TIMEOUT + SLACK
WRITE = COMMAND_TIMEOUT + TIMEOUT + SLACK
TOOL = 90

TEXT = 200
STATES = {"running", "paused", "prelaunch", "shutdown", "postmigrate", "finish-migrate", "save-vm", "restore-vm", "down"}
FIXED = ("status", "state", "name", "uuid", "version", "connection", "ctl", "events", "errors", "query/status",
         "query/block", "query/cpus-fast", "query/name", "query/iothreads", "cpus/0/status", "cpus/0/qom-path", "block/keep/status",
         "block/keep/inserted/image/virtual-size", "block/keep/remove", "devices/keep0/driver", "devices/scsi0/status",
         "schema/commands/stop", "qom/type", "qom/objects/io0/poll-max-ns")
COLLECTIONS = ("block", "cpus", "memory", "devices")
WORDS = {os.strerror(number): name for number, name in errno.errorcode.items()}


class Slot:
    """Where the one who looks after a worker sees what that is at: the time when it must be over (0: nothing), how many it
    has done, and words. The numbers are stored whole, so that neither is ever half another."""

    def __init__(self, path, create=False):
        with open(path, "w+b" if create else "r+b") as file:
            if create:
                file.truncate(mmap.PAGESIZE)
            self.map = mmap.mmap(file.fileno(), mmap.PAGESIZE)

        self.numbers = memoryview(self.map)[:16].cast("d")

    def begin(self, limit, what):
        self.map[16:16 + TEXT] = what.encode(errors="replace")[:TEXT].ljust(TEXT, b"\0")
        self.numbers[0] = time.monotonic() + limit

    def end(self):
        self.numbers[0] = 0
        self.numbers[1] += 1

    def deadline(self):
        return self.numbers[0]

    def count(self):
        return int(self.numbers[1])

    def what(self):
        return self.map[16:16 + TEXT].rstrip(b"\0").decode(errors="replace")


class Worker:
    def __init__(self, kind, seed, mount, slot, log, own):
        self.kind = kind
        self.own = own  # which I/O thread is this one's
        self.random = random.Random(seed)
        self.mount = mount
        self.slot = Slot(slot)
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, begin, place, what, how):
        line = json.dumps([begin, time.monotonic(), self.kind, place, what, how])
        os.write(self.log, line.encode() + b"\n")

    def do(self, place, what, limit, function, *args):
        """One operation; its result, or None if it failed."""
        begin = time.monotonic()
        self.slot.begin(limit, f"{self.kind}: {what}")
        try:
            return function(*args)
        except OSError as error:
            self.note(begin, place, what, errno.errorcode.get(error.errno, str(error)))
        except ValueError as error:
            self.note(begin, place, what, f"! {error}")
        finally:
            self.slot.end()
        return None

    def run(self):
        os.chdir(self.mount)
        turn = getattr(self, self.kind)
        while True:
            turn()
            # A crowd, but one that leaves the VM some of the processor.
            time.sleep(self.random.uniform(0, 0.04))

    # -- operations

    @staticmethod
    def read(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            data = b""
            while more := os.read(fd, 65536):
                data += more
            return data
        finally:
            os.close(fd)

    def read_sane(self, path):
        data = self.read(path)
        if path in ("events", "errors"):
            return data
        if path in FIXED and data in (b"", b"\n"):
            raise ValueError("nothing in it")
        if path == "state" and data.decode().strip() not in STATES:
            raise ValueError(f"no state: {data!r}")
        if re.fullmatch("((block|cpus|memory|devices)/[^/]+/)?status|query/.*", path):
            if not data.startswith(b"not queried yet: "):
                json.loads(data)
        return data

    @staticmethod
    def talk(path, text):
        """Write a request, read its answer from the same open file."""
        fd = os.open(path, os.O_RDWR)
        try:
            os.write(fd, text.encode() + b"\n")
            data = b""
            while more := os.read(fd, 65536):
                data += more
            return data
        finally:
            os.close(fd)

    @staticmethod
    def look(path):
        for name in os.listdir(path):
            try:
                os.lstat(f"{path}/{name}")
            except OSError as error:
                # It may have gone in between.
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise

    # -- kinds of users

    def cat(self):
        path = self.random.choice(FIXED)
        self.do("fixed", path, LOOK, self.read_sane, path)

    def wander(self):
        """From the top down to some file."""
        path = self.random.choice((*COLLECTIONS, *COLLECTIONS, "query", "schema", "qom", "types", "cmd"))
        place = "fixed"
        for _ in range(20):
            names = self.do(place, path, LOOK, os.listdir, path)
            if not names:
                return
            path = f"{path}/{self.random.choice(sorted(names))}"
            place = "qom" if path.startswith(("qom/", "query/")) else "types" if path.startswith("types/") else "device"
            status = self.do(place, path, LOOK, os.lstat, path)
            if status is None or (status.st_mode & 0o170000) == 0o120000:
                return
            if (status.st_mode & 0o170000) != 0o040000:
                self.do("qom" if path.startswith("devices/") else place, path, LOOK, self.read_sane, path)
                return

    def ls(self):
        path = self.random.choice((".", *COLLECTIONS, "query", "qom", "qom/machine", "qom/machine/peripheral", "schema"))
        self.do("fixed", f"{path}/", 2 * LOOK, self.look, path)

    def tool(self):
        """What users walk trees with."""
        place = self.random.choice((*COLLECTIONS, "query", "qom/machine/peripheral", "qom/objects", "."))
        argv = self.random.choice((["ls", "-lR"], ["find", "-P"], ["grep", "-r", "no-such-word"], ["du", "-a"]))
        if place == "." and argv[0] == "grep":
            place = "block"
        begin = time.monotonic()
        result = self.do("tool", f"{' '.join(argv)} {place}", TOOL, lambda: subprocess.run(
            [*argv, place], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", env={**os.environ, "LC_ALL": "C"}))
        for line in (result.stderr.splitlines() if result else ()):
            words = next((words for words in WORDS if line.endswith(f": {words}")), None)
            if words:
                self.note(begin, "tool", line, WORDS[words])
            else:
                self.note(begin, "tool", line, "! unknown words")

    def events(self):
        """A stream; its own limit ends a wait."""
        fd = self.do("fixed", "events", LOOK, os.open, "events", os.O_RDWR)
        if fd is None:
            return
        try:
            limit = self.random.choice((0.2, 0.5, 1, 2))
            words = self.random.choice(("", "STOP RESUME ", "DEVICE_DELETED ", "RESET "))
            self.do("fixed", "events filter", LOOK, os.write, fd, f"{words}timeout={limit}\n".encode())
            for _ in range(self.random.randrange(1, 5)):
                data = self.do("stream", "events", limit + SLACK, os.read, fd, 65536)
                for line in (data or b"").splitlines():
                    self.do("stream", "an event", 1, json.loads, line)
        finally:
            os.close(fd)

    def poll(self):
        path = self.random.choice(("state", "connection", "events", "errors"))
        fd = self.do("fixed", path, LOOK, os.open, path, os.O_RDONLY)
        if fd is None:
            return
        try:
            poller = select.poll()
            poller.register(fd, select.POLLPRI)
            for _ in range(self.random.randrange(1, 4)):
                data = self.do("fixed", path, LOOK, os.pread, fd, 65536, 0)
                if path in ("state", "connection") and data == b"":
                    self.note(time.monotonic(), "fixed", path, "! empty")
                poller.poll(self.random.choice((10, 100, 500)))
        finally:
            os.close(fd)

    def cmd(self):
        command, arguments, wrong = self.random.choice((
            ("query-status", "", None), ("query-block", "", None), ("query-cpus-fast", "", None),
            ("qom-list", "path=/machine/peripheral", None), ("device-list-properties", "typename=nvme", None),
            ("query-named-block-nodes", '{"flat": true}', None), ("stop", "now=1", "EINVAL"),
            ("block_resize", "node-name=no-such-node size=1M", "ENODEV"), ("device_del", "id=no-such-device", "ENODEV"),
            ("device_add", "driver=no-such-driver", "EINVAL")))
        place = f"expect {wrong}" if wrong else "fixed"
        data = self.do(place, f"cmd/{command}", WRITE, self.talk, f"cmd/{command}", arguments)
        if data is not None:
            if wrong:
                self.note(time.monotonic(), place, f"cmd/{command}", "! no error")
            self.do(place, f"cmd/{command}", 1, json.loads, data)

    def qom(self):
        """Success means done: what was written is what is read."""
        path = f"qom/objects/io{self.own}/poll-max-ns"
        value = self.random.randrange(1, 1 << 30)
        begin = time.monotonic()
        written = self.do("fixed", f"write {path}", WRITE, self.write, path, str(value))
        if written is None:
            return
        data = self.do("fixed", path, LOOK, self.read, path)
        if data is not None and data != b"%d\n" % value:
            # A QEMU that was restarted or that went back to a snapshot knows nothing of it.
            self.note(begin, "written", path, f"{value} was written and {data!r} read")

    @staticmethod
    def write(path, text):
        fd = os.open(path, os.O_WRONLY)
        try:
            return os.write(fd, text.encode() + b"\n")
        finally:
            os.close(fd)

    def ctl(self):
        for verb in ("stop", "cont"):
            self.do("ctl", verb, WRITE, self.write, "ctl", verb)
            time.sleep(self.random.uniform(0, 0.1))
        self.do("expect EINVAL", "ctl", WRITE, self.write, "ctl", "no-such-verb")
        time.sleep(self.random.uniform(0.2, 1))

    def qmp(self):
        identity = self.random.randrange(1 << 40)
        command = self.random.choice(("query-status", "query-block", "query-cpus-fast", "no-such-command"))
        data = self.do("fixed", "qmp", WRITE, self.talk, "qmp", json.dumps({"execute": command, "id": identity}))
        if data is not None:
            reply = self.do("fixed", "qmp", 1, json.loads, data)
            if not isinstance(reply, dict) or reply.get("id") != identity or ("error" in reply) != (command[0] == "n"):
                self.note(time.monotonic(), "fixed", "qmp", f"! {command} {identity} was answered {data[:300]!r}")

    def hmp(self):
        data = self.do("fixed", "hmp", WRITE, self.talk, "hmp", "info status")
        if data is not None and not data.startswith(b"VM status: "):
            self.note(time.monotonic(), "fixed", "hmp", f"! {data[:300]!r}")

    def hold(self):
        """Many open files, read in part or not at all."""
        fds = []
        try:
            for _ in range(self.random.randrange(5, 40)):
                path = self.random.choice((*FIXED, *COLLECTIONS, "query", "qom/machine"))
                fd = self.do("fixed", path, LOOK, os.open, path, os.O_RDONLY)
                if fd is None:
                    continue
                fds.append(fd)
                if path in FIXED and self.random.random() < 0.5:
                    self.do("fixed", path, LOOK, os.read, fd, self.random.choice((1, 10, 100)))
            time.sleep(self.random.uniform(0, 0.5))
        finally:
            for fd in fds:
                os.close(fd)


KINDS = ("cat", "wander", "ls", "tool", "events", "poll", "cmd", "qom", "ctl", "qmp", "hmp", "hold")


def main():
    kind, seed, mount, slot, log, own = sys.argv[1:]
    Worker(kind, int(seed), mount, slot, log, int(own)).run()


if __name__ == "__main__":
    main()
