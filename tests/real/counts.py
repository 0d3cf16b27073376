"""Counts of what an operation on a mount costs: strace on the daemon, its output taken apart; and the table."""

import os
import re
import struct
import subprocess
import time
from typing import NamedTuple

from vm import die_with_parent, wait_for

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/counts.txt")
COLUMNS = ("commands", "bytes", "requests", "calls", "idle")

# QEMU's whole reply is there when the daemon looks: how many reads a long one takes is no race then.
QEMU_DELAY = 20000  # us
QUIET = 0.08  # s without any system call, the daemon waiting

FORGET, READDIR, INTERRUPT, BATCH_FORGET, READDIRPLUS = 2, 28, 36, 42, 44
OPCODES = {1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 4: "SETATTR", 5: "READLINK", 14: "OPEN", 15: "READ", 16: "WRITE",
           18: "RELEASE", 22: "GETXATTR", 25: "FLUSH", 27: "OPENDIR", 28: "READDIR", 29: "RELEASEDIR", 34: "ACCESS",
           36: "INTERRUPT", 40: "POLL", 42: "BATCH_FORGET", 44: "READDIRPLUS", 52: "STATX"}
# How often malloc asks the kernel depends on all that went before; sysinfo is from the first qsort.
MALLOC = {"brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "sysinfo"}


class Counts(NamedTuple):
    """None: not counted."""
    commands: int = None
    bytes: int = None
    requests: int = None
    calls: int = None
    idle: int = None

    def row(self):
        return " | ".join("-" if n is None else str(n) for n in self)


class Call(NamedTuple):
    name: str
    fuse: bool  # on /dev/fuse
    result: int
    data: bytes  # the first string among the arguments

    def is_idle(self):
        return (self.name in ("epoll_wait", "epoll_pwait", "epoll_pwait2")
                or self.name in ("read", "recvfrom") and self.result < 0)


def read_table(by):
    """The rows of the tests `by`: {(operation, state): Counts}."""
    rows = {}
    with open(TABLE) as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            words = [word.strip() for word in line.split(" | ")]
            assert len(words) == 3 + len(COLUMNS), line
            assert tuple(words[:2]) not in rows, f"twice: {line}"
            if by in words[-1]:
                rows[tuple(words[:2])] = Counts(*(None if word == "-" else int(word) for word in words[2:-1]))
    return rows


def parse(line, fuse):
    """A line of strace -xx; `fuse`: the descriptor of /dev/fuse. None for what is no call: a signal, the end."""
    match = re.match(r"\d+ +(\w+)\((.*)\) += +(-?\d+|\?)", line)
    if not match:
        assert not re.match(r"\d+ +(\w+\(|<)", line), f"half a call: {line!r}"
        return None
    name, arguments, result = match.groups()
    string = re.search(r'"((?:\\x[0-9a-f]{2})*)"', arguments)
    data = bytes.fromhex(string[1].replace("\\x", "")) if string else b""
    return Call(name, arguments.partition(",")[0] == str(fuse), int(result) if result != "?" else 0, data)


def request(call):
    """The request that a call has received: its opcode, and whether it counts; else None."""
    if not (call.fuse and call.name == "read" and call.result > 0):
        return None
    opcode = struct.unpack_from("=I", call.data, 4)[0]
    further = opcode in (READDIR, READDIRPLUS) and struct.unpack_from("=Q", call.data, 48)[0] > 0
    return opcode, opcode not in (FORGET, BATCH_FORGET, INTERRUPT) and not further


def count(calls):
    counted = []
    skip_reply = False
    for call in calls:
        what = request(call)
        if what and not what[1]:
            # A further piece of a listing is answered at once, the others never.
            skip_reply = what[0] in (READDIR, READDIRPLUS)
        elif skip_reply and call.fuse and call.name == "writev":
            skip_reply = False
        else:
            counted.append(call)
    sent = [call.data for call in counted if call.name == "sendto"]
    idle = [call for call in counted if call.is_idle()]
    return Counts(commands=sum(data.count(b'{"execute":') + data.count(b'{"exec-oob":') for data in sent),
                  bytes=sum(len(data) for data in sent), requests=sum(1 for call in counted if request(call)),
                  calls=len(counted) - len(idle), idle=len(idle))


def describe(calls):
    """For a failure: what there was, a line each."""
    lines = []
    for call in calls:
        what = request(call)
        note = ""
        if what:
            note = OPCODES.get(what[0], f"opcode {what[0]}") + ("" if what[1] else " (not counted)")
        elif call.name == "sendto":
            note = call.data.decode(errors="replace")
        lines.append(f"    {call.name} = {call.result} {note}".rstrip())
    return "\n".join(lines)


class Trace:
    """strace on a daemon, for a `with`."""

    def __init__(self, mount):
        self.mount = mount
        self.path = f"{mount.base}/strace"
        self.strace = None
        fds = f"/proc/{mount.pid}/fd"
        self.fuse = next(int(fd) for fd in os.listdir(fds) if os.readlink(f"{fds}/{fd}") == "/dev/fuse")

    def __enter__(self):
        with open(f"{self.mount.base}/strace.err", "wb") as errors:
            self.strace = subprocess.Popen(["strace", "-f", "-xx", "-s", "4096", "-o", self.path,
                                            "-e", f"inject=sendto:delay_exit={QEMU_DELAY}", "-p", str(self.mount.pid)],
                                           stdin=subprocess.DEVNULL, stderr=errors, preexec_fn=die_with_parent)
        try:
            wait_for(lambda: self.strace.poll() is not None or self._is_waiting(), "strace on the daemon")
            assert self.strace.poll() is None, self._errors()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # It lets go of the daemon, which goes on.
        self.strace.terminate()
        self.strace.wait(10)

    def _errors(self):
        with open(f"{self.mount.base}/strace.err", errors="replace") as file:
            return f"strace: {file.read()}"

    def _is_waiting(self):
        """Whether the last that was seen of the daemon is that it waits."""
        try:
            with open(self.path, "rb") as file:
                file.seek(max(0, os.path.getsize(self.path) - 200))
                return b"epoll_wait(" in file.read().rpartition(b"\n")[2]
        except FileNotFoundError:
            return False

    def settle(self, limit=60):
        """Wait until the daemon has nothing more to do."""
        deadline = time.monotonic() + limit
        size, since = -1, 0
        while True:
            now, new = time.monotonic(), os.path.getsize(self.path)
            if new != size:
                size, since = new, now
            elif now - since >= QUIET and self._is_waiting():
                return
            assert now < deadline, "the daemon has no rest"
            time.sleep(0.01)

    def calls(self, operation):
        """The daemon's system calls from before the operation until it has nothing more to do. Whole ones: the first is
        the epoll_wait() that the operation ends, the last is what comes before it waits again."""
        self.settle()
        begin = self._last_line()
        operation()
        self.settle()
        end = self._last_line()
        with open(self.path, "rb") as file:
            file.seek(begin)
            lines = file.read(end - begin).decode().splitlines()
        calls = (parse(line, self.fuse) for line in lines)
        return [call for call in calls if call and call.name not in MALLOC]

    def _last_line(self):
        with open(self.path, "rb") as file:
            return file.read().rfind(b"\n") + 1
