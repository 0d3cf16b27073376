"""A mount of qmpfs, used as a user does: through bash, with a hard limit on everything.

A FUSE daemon that never answers leaves its callers unkillable, so a command over its limit is followed by SIGKILL for
the daemon: the test fails, and nothing hangs.
"""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

from vm import libc, wait_for

PR_SET_CHILD_SUBREAPER = 36
CRASHES = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}
SANITIZER_EXIT = 99


def binary():
    return os.path.abspath(os.environ["QMPFS"])


@functools.cache
def sanitized():
    """Under ASan freed memory stays in quarantine, so only descriptors can be compared; LeakSanitizer sees the rest."""
    if not os.environ.get("QMPFS"):
        return False
    with open(binary(), "rb") as file:
        return b"__asan_init" in file.read()


def usage(pid):
    """VmRSS and VmHWM in kB, and the number of descriptors."""
    numbers = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                numbers[name] = int(rest.split()[0])
    numbers["fds"] = len(os.listdir(f"/proc/{pid}/fd"))
    return numbers


def restore_interrupt():
    """For preexec_fn: a shell that was started with SIGINT ignored could not be interrupted any more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Result:
    def __init__(self, command, code, out, err, seconds):
        self.command, self.code, self.out, self.err, self.seconds = command, code, out, err, seconds

    def __repr__(self):
        return (f"'{self.command}': exit {self.code} after {self.seconds:.2f} s, out {self.out[-2000:]!r}, "
                f"err {self.err[-2000:]!r}")


class Running:
    """A command under way. Its output goes to files, so that it can neither block nor be held open by a grandchild."""

    def __init__(self, argv, env=None, hung=None):
        self.command = argv[-1] if argv[0] == "bash" else " ".join(argv)
        self.hung = hung
        self.out = tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        self.begin = time.monotonic()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err,
                                        start_new_session=True, preexec_fn=restore_interrupt,
                                        env={**os.environ, "LC_ALL": "C", **(env or {})})

    @staticmethod
    def _text(file):
        return os.pread(file.fileno(), 1 << 26, 0).decode(errors="surrogateescape")

    def output(self):
        """What it has printed so far."""
        return self._text(self.out)

    def errors(self):
        return self._text(self.err)

    def ended(self):
        return self.process.poll() is not None

    def signal(self, sig):
        """To the whole process group, as Ctrl-C does."""
        os.killpg(self.process.pid, sig)

    def wait(self, limit=15):
        try:
            code = self.process.wait(max(0, self.begin + limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.abandon()
            raise AssertionError(f"'{self.command}' took more than {limit} s; out {self.output()!r}, "
                                 f"err {self.errors()!r}") from None
        return Result(self.command, code, self.output(), self.errors(), time.monotonic() - self.begin)

    def wait_more(self, limit):
        """As wait(), with a limit that counts from now."""
        return self.wait(time.monotonic() - self.begin + limit)

    def abandon(self):
        """Get rid of it, whatever it hangs on."""
        for action in (lambda: self.signal(signal.SIGKILL), self.hung):
            if action is None:
                continue
            try:
                action()
            except ProcessLookupError:
                pass
            try:
                self.process.wait(2)
                return
            except subprocess.TimeoutExpired:
                pass


class Mount:
    """qmpfs on a fresh mount point. start() must succeed; try_start() gives the result of the command itself."""

    def __init__(self, source, options="", *, foreground=False, argv=None):
        # LeakSanitizer starts a thread and traces the others at the end, which nobody may do in the sandbox.
        in_sandbox = "sandbox=" in options
        if sanitized() and not in_sandbox:
            options = ",".join(filter(None, (options, "sandbox=off")))
        self.base = tempfile.mkdtemp(prefix="qmpfs-mnt-")
        self.dir = f"{self.base}/vm"
        os.mkdir(self.dir)
        self.argv = argv or [binary(), *(["-f"] if foreground else []), *(["-o", options] if options else []),
                             source, self.dir]
        self.in_foreground = foreground
        self.running = None  # the process, in the foreground
        self.pid = None
        self.spawned = []
        log = f"{self.base}/sanitizer"
        self.env = {
            "ASAN_OPTIONS": f"log_path={log}:exitcode={SANITIZER_EXIT}:detect_leaks={int(not in_sandbox)}",
            "LSAN_OPTIONS": f"log_path={log}:exitcode={SANITIZER_EXIT}",
            "UBSAN_OPTIONS": f"log_path={log}:print_stacktrace=1:halt_on_error=1:exitcode={SANITIZER_EXIT}",
        }
        # The daemon becomes our child, so that its exit status is ours to see.
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def try_start(self, limit=30, cwd=None):
        argv = self.argv if cwd is None else ["env", "-C", cwd, *self.argv]
        return Running(argv, self.env, self.kill).wait(limit)

    def start(self, limit=30):
        if self.in_foreground:
            self.running = Running(self.argv, self.env, self.kill)
            self.pid = self.running.process.pid
            wait_for(lambda: self.mounted() or self.running.ended(), "the mount in the foreground", limit)
            assert not self.running.ended(), self.running.wait()
        else:
            result = self.try_start(limit)
            assert result.code == 0, result
            assert self.mounted(), "qmpfs returned 0, and nothing is mounted"
            self.pid = self.find_pid()
        return self

    def find_pid(self, argument=None):
        """The daemon: the process whose arguments name our mount point, or what else is given."""
        want = (argument or self.dir).encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                with open(f"/proc/{entry}/stat") as file:
                    name, _, rest = file.read().partition("(")[2].rpartition(")")
                    state = rest.split()[0]
            except OSError:
                continue
            if want in words and b"qmpfs" in os.path.basename(words[0]) and name != "qmpfs-outside" \
                    and state != "Z":
                return int(entry)
        raise AssertionError("qmpfs returned 0, and no daemon is there")

    def mounted(self):
        with open("/proc/self/mounts") as file:
            return any(line.split(" ")[1] == self.dir for line in file)

    def sh(self, command, limit=15):
        """Run bash on the mount (its working directory); see Running for what happens over the limit."""
        return self.spawn(command).wait(limit)

    def spawn(self, command):
        running = Running(["bash", "-c", 'cd "$0" && eval "$1"', self.dir, command], hung=self.kill)
        self.spawned = [other for other in self.spawned if not other.ended()] + [running]
        return running

    def read(self, path, limit=15):
        """A file's content through cat, without the last newline; it must succeed."""
        result = self.sh(f"cat -- '{path}'", limit)
        assert result.code == 0, result
        assert result.out.endswith("\n"), result
        return result.out[:-1]

    def list(self, path, limit=15):
        """The names in a directory (they may hold anything, hence NULs). Not by find, which fails when it looks at one
        that goes in between."""
        result = self.sh(f"ls -AU --zero -- '{path}/'", limit)
        assert result.code == 0, result
        return sorted(result.out.split("\0")[:-1])

    def look(self, path, limit=60):
        """All that is below a directory: {path: what look.py says of it}."""
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "look.py")
        result = self.sh(f"exec '{sys.executable}' '{program}' '{path}'", limit)
        assert result.code == 0, result
        return {name: SimpleNamespace(**entry) for name, entry in json.loads(result.out).items()}

    def vanished(self, path):
        return f"{os.path.basename(path)}" not in self.list(os.path.dirname(path))

    def kill(self):
        """SIGKILL for the daemon: it ends whoever waits for it."""
        try:
            os.kill(self.pid or self.find_pid(), signal.SIGKILL)
        except (ProcessLookupError, AssertionError):
            pass

    def reports(self):
        """What the sanitizers wrote."""
        text = ""
        for name in sorted(os.listdir(self.base)):
            if name.startswith("sanitizer"):
                with open(f"{self.base}/{name}", errors="replace") as file:
                    text += file.read()
        return text

    def wait_end(self, limit=20):
        """Wait for the daemon's end; its exit status (negative: the signal that killed it)."""
        if self.running:
            return self.running.wait_more(limit).code

        def ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (os.waitstatus_to_exitcode(status),)
        return wait_for(ended, "the daemon's end", limit)[0]

    def unmount(self, limit=20):
        """As a user does it; the daemon must end by itself, with 0 and without a sanitizer's report."""
        result = Running(["fusermount3", "-u", self.dir], hung=self.kill).wait(limit)
        assert result.code == 0, result
        self.check_end(self.wait_end(limit))

    def check_end(self, code, allowed=(0,)):
        assert code not in CRASHES, f"qmpfs crashed: {signal.Signals(-code).name}\n{self.reports()}"
        assert not self.reports(), self.reports()
        assert code in allowed, f"qmpfs ended with {code}"
        assert not self.mounted(), "a dead mount is left"
        self.pid = None

    def remove(self):
        """Clean up whatever happened; fails only for a daemon that crashed or that a sanitizer complained about."""
        try:
            # What a failed test has left would keep the mount busy.
            for running in self.spawned:
                if not running.ended():
                    running.abandon()
            if self.pid:
                if self.mounted():
                    self.unmount()
                else:
                    self.check_end(self.wait_end())
            elif self.mounted():
                # try_start() without start(): there is nobody to ask for the status.
                subprocess.run(["fusermount3", "-u", self.dir], check=False)
            assert not self.reports(), self.reports()
        finally:
            if self.mounted():
                self.kill()
                subprocess.run(["fusermount3", "-u", "-z", self.dir], check=False)
            shutil.rmtree(self.base, ignore_errors=True)


def escaped(name):
    """The file name for a string of QEMU's (design 2.4), for the names that tests use."""
    if name == "":
        return "%empty"
    if name in (".", ".."):
        return name.replace(".", "%2E")
    return re.sub(r"[/%\x00-\x1f\x7f]", lambda m: f"%{ord(m[0]):02X}", name)
