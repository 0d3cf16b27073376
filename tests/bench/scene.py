"""What is measured: VMs, mounts of them, the floor file system; and the programs that measure.

Client, daemons and QEMU share one processor: where the scheduler may move them about, a FUSE round trip has two quite
different durations, and ratios mean nothing.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "real"))

# pylint: disable=wrong-import-position
from mount import Mount  # noqa: E402
from vm import Vm, die_with_parent, wait_for  # noqa: E402

LIMIT = 240  # seconds; nothing takes so long unless it hangs


class NotMeasured(Exception):
    """Why a row has no figure."""


# --- processors -------------------------------------------------------------------------------------------------------

def idle_shares(seconds=0.5):
    """{processor: which part of this time it had nothing to do}, of those that we may use."""
    def ticks():
        with open("/proc/stat") as file:
            rows = (line.split() for line in file if line.startswith("cpu") and line[3].isdigit())
            return {int(row[0][3:]): (int(row[4]) + int(row[5]), sum(map(int, row[1:9]))) for row in rows}
    before = ticks()
    time.sleep(seconds)
    after = ticks()
    return {n: (after[n][0] - before[n][0]) / max(after[n][1] - before[n][1], 1) for n in os.sched_getaffinity(0)}


class Processors:
    """The processor of the measurement, and another one for guests."""

    def __init__(self):
        idle = idle_shares()
        order = sorted(idle, key=lambda n: (round(idle[n], 1), n), reverse=True)
        self.main = order[0]
        self.other = order[1] if len(order) > 1 else None
        self.free = sum(share > 0.8 for share in idle.values())

    def warning(self):
        if self.other is None:
            return "This machine has only one processor for us: what the guest's own speed is, it can't tell."
        if self.free < 2:
            return f"Only {self.free} of {os.cpu_count()} processors had nothing else to do: expect noise."
        return None

    @contextlib.contextmanager
    def on(self, processor):
        """What is started meanwhile runs there."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {processor})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


# --- VMs --------------------------------------------------------------------------------------------------------------

# A monitor serves one client at a time. Vm has one for qmpfs and one of its own.
MONITORS = ("raw", "peer", "line", "other")
DISKS_PER_CONTROLLER = 50


def monitors():
    return [arg for name in MONITORS for arg in ("-qmp", f"unix:{{d}}/{name}.sock,server=on,wait=off")]


def disks(count):
    """Disks without images, disk0 to disk<count - 1>."""
    args = []
    for n in range(count):
        if n % DISKS_PER_CONTROLLER == 0:
            args += ["-device", f"virtio-scsi-pci,id=scsi{n // DISKS_PER_CONTROLLER}"]
        args += ["-drive", f"driver=null-co,size=1M,if=none,id=disk{n}", "-device",
                 f"scsi-hd,drive=disk{n},id=sd{n},serial=s{n},bus=scsi{n // DISKS_PER_CONTROLLER}.0"]
    return args


def dimms(count):
    args = []
    for n in range(count):
        args += ["-object", f"memory-backend-ram,id=ram{n},size=128M,reserve=off", "-device",
                 f"pc-dimm,id=dimm{n},memdev=ram{n}"]
    return args


VMS = {
    "disk-1": {"args": ["-S", *disks(1)]},
    "disks-32": {"args": ["-S", *disks(32)]},
    "disks-200": {"args": ["-S", *disks(200)]},
    "cpus-64": {"args": ["-S", *dimms(64)], "smp": "64", "memory": "256M,slots=64,maxmem=16G"},
    "guest-1": {"args": disks(1), "guest": True},
    "guest-200": {"args": disks(200), "guest": True},
}


class Scene:
    """One VM and all that has to do with it; everything ends with close()."""

    def __init__(self, name, programs, scratch):
        self.programs = programs
        self.scratch = scratch
        self.stack = contextlib.ExitStack()
        self.shared = {}
        self.guest_threads = []
        how = dict(VMS[name])
        self.vm = Vm(*monitors(), *how.pop("args"), **how)
        self.stack.callback(self.vm.remove)
        try:
            self.vm.start()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.stack.close()

    def move_guest(self, processor):
        """The guest gets a processor of its own, apart from QEMU's main thread and from all that asks it: what slows it
        then is that QEMU has no time for it, not that the machine has none."""
        self.guest_threads = [cpu["thread-id"] for cpu in self.vm.qmp("query-cpus-fast")]
        for thread in self.guest_threads:
            os.sched_setaffinity(thread, {processor})

    def guest_waited(self):
        """Seconds that the guest could have run and another process did."""
        return sum(schedstat(self.vm.process.pid, thread)[1] for thread in self.guest_threads)

    def socket(self, name):
        return f"{self.vm.dir}/{name}.sock"

    def once(self, name, make):
        """The same thing for all rows that want it: make() gives it as a context manager."""
        if name not in self.shared:
            self.shared[name] = self.stack.enter_context(make())
        return self.shared[name]

    def mount(self):
        """The mount of qmpfs as a user has it."""
        return self.once("mount", lambda: self.mounted("qmp"))

    def files(self):
        return self.mount().dir

    @contextlib.contextmanager
    def mounted(self, monitor, options="", debug=False):
        """A mount of its own; with debug its `running` tells what is said to QEMU."""
        mount = Mount(self.socket(monitor), options, foreground=debug)
        if debug:
            mount.argv.insert(1, "-d")
        try:
            yield mount.start()
        finally:
            mount.remove()

    def floor(self):
        """The directory of the floor file system."""
        return self.once("floor", self.floor_mounted)

    @contextlib.contextmanager
    def floor_mounted(self):
        with tempfile.TemporaryDirectory(prefix="qmpfs-floor-") as where:
            with background([f"{self.programs}-floorfs", where], lambda: os.path.ismount(where)):
                yield where

    def floor_of(self, path):
        """A file of the floor's that is as long as this one."""
        with open(path, "rb") as file:
            return f"{self.floor()}/s{len(file.read())}"


@contextlib.contextmanager
def background(argv, ready, **how):
    """A daemon that ends with the block; ready() tells when it can be used."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   preexec_fn=die_with_parent, **how)
        try:
            try:
                wait_for(lambda: ready() or process.poll() is not None, f"{argv[0]} is ready")
            except AssertionError as error:
                raise NotMeasured(str(error)) from error
            if process.poll() is not None:
                log.seek(0)
                raise NotMeasured(f"{argv[0]} ended: {log.read()[-300:].decode(errors='replace').strip()}")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# --- measuring --------------------------------------------------------------------------------------------------------

class Times:
    """What bench-rounds tells: of each operation the median of each round, and percentiles over all calls; µs."""

    def __init__(self, data):
        self.data = data

    def rounds(self, name):
        return self.data[name]["rounds"]

    def p50(self, name):
        return self.data[name]["p50"]

    def sums(self, names):
        return [sum(values) for values in zip(*(self.rounds(name) for name in names))]

    def medians(self):
        return {name: entry["p50"] for name, entry in self.data.items()}


def run_json(argv, what):
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=LIMIT, check=False)
    if result.returncode != 0:
        raise NotMeasured(f"{what}: {result.stderr.decode(errors='replace').strip()[-300:] or result.returncode}")
    return json.loads(result.stdout)


def rounds(scene, operations, count, calls=100, budget_ms=300, warm_up=True):
    """Times of these operations, {name: operation as rounds.c has it}, taken round robin."""
    argv = [f"{scene.programs}-rounds", "-r", str(count), "-n", str(calls), "-b", str(budget_ms)]
    argv += [] if warm_up else ["-w"]
    return Times(run_json(argv + [f"{name}={operation}" for name, operation in operations.items()], "rounds"))


def readers(scene, *args):
    return run_json([f"{scene.programs}-readers", *map(str, args)], "readers")


def readers_running(scene, *args):
    return subprocess.Popen([f"{scene.programs}-readers", *map(str, args)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, preexec_fn=die_with_parent)


@contextlib.contextmanager
def parked(scene, path, count):
    """So many readers, each blocked in a read of this file."""
    with readers_running(scene, "park", path, count) as process:
        try:
            if process.stdout.readline() != b"parked\n":
                raise NotMeasured(f"{count} readers could not be parked")
            yield
        finally:
            process.stdin.close()
            process.wait(60)


def resident(pid):
    """Bytes of memory that a process has."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise NotMeasured("no VmRSS")


def schedstat(pid, thread):
    """Seconds that a thread has run, and that it has waited for a processor."""
    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
        ran, waited, _ = file.read().split()
    return int(ran) / 1e9, int(waited) / 1e9


def time_used(pid):
    """Seconds that the main thread of a process has run: QEMU's serves its monitors."""
    return schedstat(pid, pid)[0]


def qmp(command, **arguments):
    """A command as short as it can be: QEMU reads it byte by byte, and slowly."""
    message = {"execute": command, **({"arguments": arguments} if arguments else {})}
    return json.dumps(message, separators=(",", ":"))
