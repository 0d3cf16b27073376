"""A QEMU to test with: two QMP monitors (one for qmpfs, one for us), images made on the fly, a guest on request."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from typing import NamedTuple

from guest import GuestShell
from reference import Qmp

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Platform(NamedTuple):
    """What a VM is made of."""
    emulator: str
    machine: str
    cpu: str


X86 = Platform("qemu-system-x86_64", "pc", "max")
ARM = Platform("qemu-system-aarch64", "virt", "cortex-a57")  # no firmware, no guest: with -S only


def die_with_parent():
    """For preexec_fn: no QEMU outlives its test, however that ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def wait_for(condition, what, limit=20):
    """Return the first true value of condition(), or fail after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.02)


class Vm:
    """`args` are QEMU's further arguments; {d} in them stands for the VM's own directory.

    guest=True boots the test guest (and start() waits until it is ready); otherwise the VM has firmware only, or, with
    -S among the arguments, nothing that runs. `machine` is another than the platform's own.
    """

    def __init__(self, *args, guest=False, platform=X86, machine=None, memory="256M", smp="1", append="", wait=True):
        self.dir = tempfile.mkdtemp(prefix="qmpfs-vm-")
        self.socket = f"{self.dir}/qmp.sock"
        self.console = f"{self.dir}/console.log"
        self.process = None
        self.qmp = None
        self.shell = None
        self.has_guest = guest
        self.wait = wait
        self.argv = [
            platform.emulator, "-accel", "tcg", "-cpu", platform.cpu, "-M", machine or platform.machine,
            "-m", memory, "-smp", smp,
            "-nodefaults", "-display", "none",
            "-qmp", f"unix:{self.socket},server=on,wait=off",
            "-qmp", f"unix:{self.dir}/second.sock,server=on,wait=off",
            "-chardev", f"socket,id=serial,path={self.dir}/serial.sock,server=on,wait=off,logfile={self.console}",
            "-serial", "chardev:serial",
        ]
        if guest:
            kernel = os.environ["QMPFS_GUEST"]
            self.argv += ["-kernel", f"{kernel}/vmlinuz", "-initrd", f"{kernel}/initrd.img",
                          "-append", f"console=ttyS0 quiet {append}"]
        self.argv += [arg.replace("{d}", self.dir) for arg in args]

    def image(self, name, size="64M"):
        """Make DIR/name.qcow2 and return its path."""
        path = f"{self.dir}/{name}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, size], check=True)
        return path

    def start(self):
        with open(f"{self.dir}/stderr", "ab") as errors:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            cwd=self.dir, preexec_fn=die_with_parent)
        try:
            self.qmp = Qmp(f"{self.dir}/second.sock", limit=20)
            if self.has_guest and self.wait:
                self.wait_ready()
        except Exception as error:
            raise AssertionError(f"QEMU did not start: {error}\n{self.argv}\n{self.output()}") from error
        return self

    def output(self):
        """QEMU's own words and the end of the console, for a failure's message."""
        text = ""
        for path in (f"{self.dir}/stderr", self.console):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += f"--- {os.path.basename(path)}\n{file.read()[-3000:]}\n"
        return text

    def wait_ready(self, limit=60):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("QEMU ended")
            with open(self.console, "rb") as file:
                return b"GUEST-READY" in file.read()
        wait_for(ready, "the guest's GUEST-READY", limit)

    def guest(self, command, limit=20):
        """Run a command in the guest; its output, or a failure if it fails."""
        if not self.shell:
            self.shell = GuestShell(f"{self.dir}/serial.sock")
        status, output = self.shell.run(command, limit)
        assert status == 0, f"guest: '{command}' ended with {status}: {output}"
        return output

    def kill(self, sig=signal.SIGKILL):
        """End QEMU from outside; start() may follow, on the same sockets."""
        for connection in (self.qmp, self.shell):
            if connection:
                connection.close()
        self.qmp = self.shell = None
        if self.process:
            self.process.send_signal(sig)
            # A stopped process takes no signal but this one.
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(20)
            self.process = None

    def stop(self):
        """SIGSTOP: open sockets that say nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def remove(self):
        """The end of it, whatever state it is in."""
        try:
            self.kill()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)
