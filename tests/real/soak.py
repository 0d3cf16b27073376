"""Everything at once and for long: a VM that is changed in every way, under users of all sorts, and nothing may hang,
grow or contradict what QEMU itself says.

soak.py [--minutes M | --steps N] [--seed S] [--log FILE] [--replay FILE]; tests/soak.sh builds what it needs and starts it,
test_soak.py is a short form of it. One random generator decides all steps, whatever becomes of them: a seed always
gives the same ones. Each is written to the log before it is done, and --replay does those of a log (from which some may
have been deleted). Between periods of steps the mount rests, and its memory and descriptors must be where they were.
"""

import argparse
import collections
import contextlib
import ctypes
import json
import mmap
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import soak_worker
import users
from mount import Mount, sanitized
from reference import Qmp, QmpError
from soak_worker import COMMAND_TIMEOUT, TIMEOUT, WORDS, Slot
from vm import Vm, die_with_parent, libc, wait_for

UNPLUG_TIMEOUT = 30
OPTIONS = f"timeout={TIMEOUT},command_timeout={COMMAND_TIMEOUT},unplug_timeout={UNPLUG_TIMEOUT}"
BOOT = 90
# What `events` and `errors` keep each.
LINES = 1000
# What is in use, without the lines of `events` and `errors`, moves by the devices that there are and by tables that keep
# the size that they once needed; what malloc keeps besides, by the largest of what was ever there at once.
USED_TOLERANCE_KB = 512
TOLERANCE_KB = 2048
# Of a long run the second quarter and the last one must not differ by more.
TREND_TOLERANCE_KB = 64
MS_NOSUID, MS_NODEV, MS_REMOUNT = 2, 4, 32

# Devices that come and go: what device_add wants, and whether the guest must let go of it. {k} is 0 or 1.
DEVICES = {
    "sd": ("driver=scsi-hd,drive=node-sd{k},bus=scsi0.0", False),
    "virtio": ("driver=virtio-blk-pci,drive=node-virtio{k}", True),
    "nvme": ("driver=nvme,drive=node-nvme{k},serial=s{k}", True),
    "legacy": ("driver=nvme,drive=drive{k},serial=d{k}", True),  # its drive comes by hmp, and goes with it
    "net": ("driver=virtio-net-pci,netdev=net{k}", True),
    "rng": ("driver=virtio-rng-pci", True),
    "dimm": ("driver=pc-dimm,memdev=mem{k}", True),  # its memory comes and goes by cmd/
}
DISKS = ("sd", "virtio", "nvme", "legacy")
# How often each step comes in a period, and in the short form.
DECK = {"toggle": 14, "stop_cont": 4, "snapshot": 2, "savevm": 1, "migrate": 1, "reset": 1, "kill": 1, "sigstop": 2,
        "kill_readers": 4, "burst": 3, "interrupt": 2, "cpu": 1}
SHORT_DECK = {**dict.fromkeys(DECK, 1), "toggle": 4}
# Of those who write to qom/.
OBJECTS = 4
# An answer of QEMU's that takes as long is late, in s.
SLOW = 0.3
# And one that takes as long will not come any more.
STUCK = 20
# Reading these asks nobody.
NEVER_FAIL = ("connection", "ctl", "events", "errors")


class Failure(AssertionError):
    """What must not be."""


class Slow(Exception):
    """QEMU did not answer anybody in time, so a step could not be done."""


def make_plan(seed, deck):
    """The steps, without end."""
    generator = random.Random(seed)

    def readers(n):
        # More than one who pauses the VM all the time would leave nobody else a turn.
        kinds = [kind for kind in soak_worker.KINDS if kind != "ctl"]
        return [[generator.choice(kinds), generator.getrandbits(32)] for _ in range(n)]

    def moment(least, most):
        return round(generator.uniform(least, most), 2)
    parameters = {
        "toggle": lambda: {"kind": generator.choice(list(DEVICES)), "k": generator.randrange(2),
                           "through": generator.choice(("mount", "mount", "monitor")),
                           "by": generator.choice(("block", "devices"))},
        "stop_cont": lambda: {"through": generator.choice(("mount", "monitor")), "hold": moment(0, 0.5)},
        "sigstop": lambda: {"hold": moment(0.05, generator.choice((1, TIMEOUT + 2)))},
        "savevm": lambda: {"without": generator.random() < 0.8},
        "migrate": lambda: {"without": generator.random() < 0.8},
        "kill": lambda: {"down": moment(0, 1.5), "cpu": generator.random() < 0.5},
        "kill_readers": lambda: {"which": sorted(generator.sample(range(12), 3)), "instead": readers(3)},
        "burst": lambda: {"readers": generator.randrange(10, 40), "after": moment(0, 0.3)},
        "interrupt": lambda: {"kind": generator.choice(("virtio", "nvme", "net", "rng")), "k": generator.randrange(2),
                              "name": generator.choice(("SIGINT", "SIGKILL"))},
    }
    while True:
        kinds = generator.sample(soak_worker.KINDS, len(soak_worker.KINDS))
        yield {"do": "period", "readers": [[kind, generator.getrandbits(32)] for kind in kinds]}
        names = [name for name, n in deck.items() for _ in range(n)]
        generator.shuffle(names)
        for name in names:
            yield {"do": name, **parameters.get(name, dict)()}
        yield {"do": "rest"}


def read_plan(path):
    with open(path) as file:
        for line in file:
            if not line.startswith("#"):
                step = json.loads(line)
                step.pop("n", None)
                yield step
    yield {"do": "rest"}


def usage(pid):
    """kB of memory, and what each descriptor is, without numbers."""
    with open(f"/proc/{pid}/status") as file:
        rss = int(re.search(r"VmRSS:\s*(\d+)", file.read())[1])
    fds = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            fds.append(re.sub(r"\d+", "", os.readlink(f"/proc/{pid}/fd/{fd}")))
    return rss, sorted(fds)


def errnos(text):
    """The errnos that the tools' messages speak of."""
    return [WORDS[words] for line in text.splitlines() for words in [line.rpartition(": ")[2]] if words in WORDS]


class Heap:
    """How much of the daemon's heap is in use, by soak_heap.c."""

    STRUCT = struct.Struct("=QQ")

    def __init__(self, compiler, base):
        self.library = f"{base}/heap.so"
        self.path = f"{base}/heap"
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "soak_heap.c")
        subprocess.run([compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", self.library, source], check=True)
        with open(self.path, "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self.map = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def environment(self):
        return {"LD_PRELOAD": self.library, "SOAK_HEAP": self.path}

    def used(self, pid):
        """In kB."""
        count, _ = self.STRUCT.unpack_from(self.map)
        os.kill(pid, signal.SIGUSR1)
        wait_for(lambda: self.STRUCT.unpack_from(self.map)[0] > count, "the daemon's heap", 5)
        return self.STRUCT.unpack_from(self.map)[1] // 1024


class User:
    """A worker's process."""

    serial = 0

    def __init__(self, base, mount, kind, seed, own):
        User.serial += 1
        self.kind = kind
        self.own = own
        self.log = f"{base}/{User.serial}.log"
        slot = f"{base}/{User.serial}.slot"
        self.slot = Slot(slot, create=True)
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "soak_worker.py")
        with open(f"{base}/{User.serial}.err", "wb") as self.errors:
            self.process = subprocess.Popen(
                [sys.executable, program, kind, str(seed), mount, slot, self.log, str(own)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors, start_new_session=True,
                preexec_fn=die_with_parent)

    def overdue(self):
        """What it is at for too long, or None."""
        deadline, what = self.slot.deadline(), self.slot.what()
        late = time.monotonic() - deadline
        # It may have begun something else meanwhile.
        if deadline and late > 0 and deadline == self.slot.deadline():
            return f"{what} takes {late:.1f} s more than it may"
        return None

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self):
        """Wait for the end of one that was killed."""
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            raise Failure(f"a reader that was killed does not end: {self.slot.what()}") from None
        with open(self.errors.name) as file:
            words = file.read()
        if words:
            raise Failure(f"a reader failed: {words}")

    def notes(self):
        if not os.path.exists(self.log):
            return
        with open(self.log) as file:
            for line in file:
                # One that was killed may have left half a line.
                if line.endswith("\n"):
                    yield json.loads(line)


class Soak:
    def __init__(self, plan, log):
        self.plan = plan
        self.log = log
        self.base = tempfile.mkdtemp(prefix="qmpfs-soak-")
        self.vm = self.mount = None
        self.users = []
        self.windows = []  # [kind, begin, end]: when what may fail
        self.ready = 0  # how often the guest must have come up
        self.n = 0
        self.doing = "start"
        self.failure = None
        self.over = threading.Event()
        self.baseline = None
        self.counts = collections.Counter()
        self.errors = collections.Counter()
        self.deaths = []
        self.usages = []
        self.longest = 0
        self.fusectl = None
        self.asked = None
        compiler = shutil.which("gcc") or shutil.which("cc")
        self.heap = Heap(compiler, self.base) if compiler and not sanitized() else None

    # -- the machine

    def new_vm(self):
        args = ["-qmp", "unix:{d}/third.sock,server=on,wait=off", "-name", "soak", "-device", "virtio-scsi-pci,id=scsi0", "-device", "virtio-balloon-pci,id=balloon0"]
        for n in range(OBJECTS):
            args += ["-object", f"iothread,id=io{n}"]
        for k in range(2):
            args += ["-netdev", f"user,id=net{k}"]
            for kind in ("sd", "virtio", "nvme"):
                args += ["-blockdev", f"driver=null-co,read-only=on,node-name=node-{kind}{k},size=1048576"]
        self.vm = Vm(*args, guest=True, memory="256M,slots=4,maxmem=2G", smp="1,maxcpus=4", wait=False)
        self.vm.argv += ["-drive", f"file={self.vm.image('keep')},if=none,id=keep",
                         "-device", "virtio-blk-pci,drive=keep,id=keep0"]

    def start_vm(self):
        self.vm.start()
        self.ready = 1

    def boots(self):
        with open(self.vm.console, "rb") as file:
            return file.read().count(b"GUEST-READY")

    def need_guest(self):
        """It runs, and has come up."""
        def ready():
            if self.vm.qmp("query-status")["status"] != "running":
                self.vm.qmp("cont")
            return self.boots() >= self.ready
        wait_for(ready, "the guest", BOOT)

    def is_there(self, name):
        return any(item["name"] == name for item in self.vm.qmp("qom-list", path="/machine/peripheral"))

    @contextlib.contextmanager
    def window(self, kind):
        """What the users may meet meanwhile: "stall" or "down"."""
        window = [kind, time.monotonic() - 0.1, float("inf")]
        self.windows.append(window)
        try:
            yield
        finally:
            window[2] = time.monotonic() + 1

    def observe(self):
        """In a thread of its own, on a monitor of its own: when QEMU was slow to answer, whatever the reason."""
        while not self.over.wait(0.1):
            try:
                qmp = Qmp(f"{self.vm.dir}/third.sock", 1)
                while not self.over.wait(0.1):
                    self.asked = time.monotonic()
                    qmp("query-status", limit=300)
                    begin, self.asked = self.asked, None
                    qmp.events.clear()
                    if time.monotonic() - begin > SLOW:
                        self.windows.append(["stall", begin - 0.1, time.monotonic() + 1])
            except (OSError, TimeoutError, QmpError):
                self.asked = None

    def disturbances(self, begin, end):
        """What was the matter then."""
        asked = self.asked
        slow = [["stall", asked - 0.1, float("inf")]] if asked and time.monotonic() - asked > SLOW else []
        return {kind for kind, b, e in [*self.windows, *slow] if b <= end and begin <= e}

    def wait_up(self):
        wait_for(lambda: self.mount.read("connection").startswith("up since "), "the connection", 30)

    def sh(self, command, allowed=(), limit=None):
        """On the mount; it must succeed or fail with one of these errnos. Its output, or None."""
        begin = time.monotonic()
        result = self.mount.sh(command, limit or COMMAND_TIMEOUT + 2 * TIMEOUT + 5)
        self.longest = max(self.longest, result.seconds)
        found = errnos(result.err)
        for name in found:
            self.errors["step " + self.doing, name] += 1
        if set(found) - set(allowed) == {"ETIMEDOUT"} and "stall" in self.disturbances(begin, time.monotonic()):
            raise Slow
        if result.code and (not found or set(found) - set(allowed)):
            raise Failure(f"{result}; allowed: {sorted(allowed) or 'no error'}")
        return None if result.code else result.out

    # -- what QEMU says and what the mount says

    def said(self):
        q = self.vm.qmp

        def name(entry):
            path = entry.get("qdev", "").removesuffix("/virtio-backend")
            return entry["device"] or path.rpartition("/")[2] or entry["inserted"]["node-name"]
        block = q("query-block")
        devices = [p["name"] for parent in ("peripheral", "peripheral-anon")
                   for p in q("qom-list", path=f"/machine/{parent}") if p["type"].startswith("child<")]
        return {"state": q("query-status")["status"], "block": sorted(map(name, block)),
                "devices": sorted(devices), "cpus": sorted(str(c["cpu-index"]) for c in q("query-cpus-fast")),
                "memory": sorted(m["data"]["id"] for m in q("query-memory-devices")), "query/block": block,
                "query/migrate": q("query-migrate").get("status")}

    def shown(self):
        lists = ("block", "devices", "cpus", "memory")
        command = "; ".join(["cat state", *(f"echo @; ls -1 {name}" for name in lists),
                             "echo @; cat query/block; echo @; cat query/migrate"])
        parts = self.sh(f"set -e; {command}").split("@\n")
        shown = {"state": parts[0].strip(), **{name: sorted(part.split()) for name, part in zip(lists, parts[1:5])}}
        return {**shown, "query/block": json.loads(parts[5]), "query/migrate": json.loads(parts[6]).get("status")}

    def compare(self):
        """What both monitors say of one moment must be the same. Without an event names may be a tenth of a second old."""
        deadline = time.monotonic() + 2
        while True:
            self.vm.qmp("query-status")
            self.vm.qmp.events.clear()
            before = self.said()
            shown = self.shown()
            after = self.said()
            if before == after and not self.vm.qmp.events:
                wrong = {name: (value, shown[name]) for name, value in before.items() if value != shown[name]}
                self.counts["comparisons"] += 1
                if not wrong:
                    return
                if "state" in wrong or time.monotonic() > deadline:
                    raise Failure(f"QEMU says and the mount shows: {wrong}")
            elif time.monotonic() > deadline:
                self.counts["comparisons of what moved"] += 1
                return

    # -- steps

    def plug(self, kind, k, through):
        name = f"{kind}{k}"
        device = f"id={name},{DEVICES[kind][0].format(k=k)}"
        if kind == "legacy":
            self.sh(f"exec 3<> hmp; echo 'drive_add 0 if=none,id=drive{k},driver=null-co,read-only=on,size=1M' >&3; cat <&3")
        if kind == "dimm":
            self.sh(f"echo 'qom-type=memory-backend-ram,id=mem{k},size=128M' > cmd/object-add", {"EEXIST"})
        if through == "mount":
            self.sh(f"echo '{device}' > cmd/device_add")
        else:
            self.vm.qmp("device_add", dict(pair.split("=") for pair in device.split(",")))
        # A name that wasn't there is asked for, as far as the limit of the load allows.
        wait_for(lambda: self.sh(f"cat devices/{name}/driver", {"ENOENT"}), f"{name} to be there", 5)

    def unplug(self, kind, k, by):
        name = f"{kind}{k}"
        if DEVICES[kind][1]:
            self.need_guest()
        entry = f"devices/{name}"
        if kind == "legacy":
            entry = f"block/drive{k}"
        elif by == "block" and kind in DISKS:
            entry = f"block/{name}"
        # A guest may keep memory that it uses, and one that is busy may be late.
        late = {"ETIMEDOUT", "EBUSY"} if kind == "dimm" else {"ETIMEDOUT"}
        if self.sh(f"echo 1 > {entry}/remove", late, UNPLUG_TIMEOUT + 15) is None:
            return
        if self.is_there(name) or f"{name}\n" in self.sh("ls -1 devices block"):
            raise Failure(f"{name} was removed, and is there")
        if kind == "dimm":
            self.sh(f"echo 'id=mem{k}' > cmd/object-del")

    def step_toggle(self, kind, k, through, by):
        if self.is_there(f"{kind}{k}"):
            self.unplug(kind, k, by)
        else:
            self.plug(kind, k, through)

    def step_stop_cont(self, through, hold):
        for verb in ("stop", "cont"):
            if through == "mount":
                self.sh(f"echo {verb} > ctl")
            else:
                self.vm.qmp(verb)
            self.compare()
            time.sleep(hold)

    def step_snapshot(self):
        name = f"s{self.n}"
        with self.window("stall"):
            self.sh(f"echo 'device=keep name={name}' > cmd/blockdev-snapshot-internal-sync", limit=60)
            if name not in (self.sh("cat query/named-block-nodes", {"ETIMEDOUT"}) or name):
                raise Failure(f"no snapshot {name}")
            self.sh(f"echo 'device=keep name={name}' > cmd/blockdev-snapshot-delete-internal-sync", limit=60)

    def unmigratable(self, without):
        """Whether there is an nvme, whose state QEMU can't save; `without`: after removing them all."""
        for k in range(2):
            for kind in ("nvme", "legacy"):
                if without and self.is_there(f"{kind}{k}"):
                    self.unplug(kind, k, "devices")
        return any(item["type"] == "child<nvme>" for item in self.vm.qmp("qom-list", path="/machine/peripheral"))

    def step_savevm(self, without):
        self.need_guest()
        nvme = self.unmigratable(without)
        with self.window("stall"):
            for command in ("savevm tag", "loadvm tag", "delvm tag"):
                said = self.sh(f"exec 3<> hmp; echo {command} >&3; cat <&3", {"ETIMEDOUT"}, 60)
                if said is None:
                    # It is still carried out, and what comes next waits for it.
                    self.vm.qmp("query-status", limit=60)
                elif nvme and command == "savevm tag":
                    if "non-migratable" not in said:
                        raise Failure(f"savevm with an nvme: {said!r}")
                    return
                elif said:
                    raise Failure(f"{command}: {said!r}")
            self.need_guest()

    def step_migrate(self, without):
        path = f"{self.vm.dir}/migration"
        nvme = self.unmigratable(without)
        with self.window("stall"):
            allowed = {"EIO", "EOPNOTSUPP", "ENOTSUP", "ETIMEDOUT"} if nvme else {"ETIMEDOUT"}
            done = self.sh(f"echo 'uri=\"exec:cat > {path}\"' > cmd/migrate", allowed, 60)
            if nvme and done is not None:
                raise Failure("an nvme has migrated")
            if not nvme:
                wait_for(lambda: self.vm.qmp("query-migrate", limit=60).get("status") in ("completed", "failed"),
                         "the migration", 120)
                status = self.vm.qmp("query-migrate")
                if status["status"] != "completed" or not os.path.getsize(path):
                    raise Failure(f"migration: {status}")
                os.unlink(path)
                self.vm.qmp("cont")

    def step_reset(self):
        wanted = self.boots() + 1
        self.sh("echo reset > ctl")
        self.ready = wanted

    def step_cpu(self):
        self.need_guest()
        slots = [slot for slot in self.vm.qmp("query-hotpluggable-cpus") if "qom-path" not in slot]
        if slots:
            slot = min(slots, key=lambda slot: slot["props"]["core-id"])
            props = ",".join(f"{name}={value}" for name, value in slot["props"].items())
            self.sh(f"echo 'driver={slot['type']},{props},id=cpu{slot['props']['core-id']}' > cmd/device_add")

    def step_kill(self, down, cpu):
        with self.window("down"):
            cpus = [f"cpu{n}" for n in range(1, 4) if self.is_there(f"cpu{n}")]
            if cpu and cpus:
                # The next device_add would crash this QEMU (7.2, TCG); so it is the last thing it does.
                self.need_guest()
                self.sh(f"echo 1 > devices/{cpus[-1]}/remove", {"ETIMEDOUT", "EBUSY"}, UNPLUG_TIMEOUT + 15)
            self.vm.kill()
            wait_for(lambda: self.mount.read("state") == "down", "state to be down", 5)
            self.sh("cat status", {"EHOSTDOWN"})
            time.sleep(down)
            self.start_vm()
            self.counts["restarts of QEMU"] += 1
            self.wait_up()

    def step_sigstop(self, hold):
        with self.window("stall"):
            self.vm.stop()
            try:
                time.sleep(hold)
            finally:
                self.vm.go_on()
            self.vm.qmp("query-status")
            self.wait_up()

    def step_kill_readers(self, which, instead):
        victims = [self.users[n] for n in which if n < len(self.users)]
        for user in victims:
            user.kill()
            self.counts["readers killed"] += 1
        for user, (kind, seed) in zip(victims, instead):
            user.end()
            self.collect(user)
            self.users.remove(user)
            self.new_user(kind, seed)

    def step_burst(self, readers, after):
        """Many at once, all killed while they wait."""
        running = self.mount.spawn(f"for n in {{1..{readers}}}; do cat status query/block devices/*/status & done > /dev/null 2>&1; wait")
        time.sleep(after)
        running.signal(signal.SIGKILL)
        running.wait_more(10)
        self.counts["readers killed"] += readers

    def step_interrupt(self, kind, k, name):
        """A wait for a guest that doesn't run, ended by who waits; the request stays with the guest."""
        sig, name = signal.Signals[name], f"{kind}{k}"
        if not self.is_there(name):
            self.plug(kind, k, "mount")
        self.need_guest()
        with self.ctl_rests():
            self.sh("echo stop > ctl")
            running = self.mount.spawn(f"exec bash -c 'echo 1 > devices/{name}/remove'")
            wait_for(lambda: running.ended() or self.mount.read(f"devices/{name}/remove").startswith("pending"),
                     "the request", 15)
            running.signal(sig)
            result = running.wait_more(5)
            if result.code == 0 and self.is_there(name):
                raise Failure(f"{result}, and {name} is there")
            self.sh("echo cont > ctl")
        try:
            wait_for(lambda: not self.is_there(name), f"{name} to go", UNPLUG_TIMEOUT)
        except AssertionError:
            # A guest that has missed it gets it again.
            self.unplug(kind, k, "devices")

    @contextlib.contextmanager
    def ctl_rests(self):
        """Nobody else stops the VM and lets it go on meanwhile."""
        resting = [user for user in self.users if user.kind == "ctl"]
        for user in resting:
            user.kill()
            user.end()
            self.collect(user)
            self.users.remove(user)
        yield

    # -- periods

    def step_period(self, readers):
        for kind, seed in readers:
            self.new_user(kind, seed)

    def new_user(self, kind, seed):
        """Each who writes to qom/ has an object of his own."""
        free = set(range(OBJECTS)) - {user.own for user in self.users if user.kind == "qom"}
        if kind == "qom" and not free:
            kind = "cat"
        self.users.append(User(self.base, self.mount.dir, kind, seed, min(free, default=0)))

    def step_rest(self):
        for user in self.users:
            user.kill()
        for user in self.users:
            user.end()
            self.collect(user)
        self.users = []
        self.windows = [window for window in self.windows if window[2] == float("inf")]
        self.wait_up()
        self.vm.qmp("query-status")
        self.vm.qmp("cont")
        wait_for(lambda: self.mount.sh("cat state", 60).out == "running\n", "an answer of QEMU", 60)
        self.measure()

    def forget(self):
        """Have the kernel drop all names and inodes of the mount that nobody uses."""
        if os.geteuid() == 0 and libc.mount(None, self.mount.dir.encode(), None,
                                            ctypes.c_ulong(MS_REMOUNT | MS_NOSUID | MS_NODEV), None) < 0:
            raise Failure(f"remount: {os.strerror(ctypes.get_errno())}")

    def waiting(self):
        """The requests that the kernel has and that are not answered; None where it can't be asked."""
        if not self.fusectl:
            return None
        with open(f"{self.fusectl}/{os.minor(os.stat(self.mount.dir).st_dev)}/waiting") as file:
            return int(file.read())

    def measure(self):
        logs = int(self.mount.sh("cat events errors | wc -c").out) // 1024
        self.forget()
        seen = []

        def settled():
            seen.append((usage(self.mount.pid), self.waiting()))
            time.sleep(0.1)
            return len(seen) > 5 and len({json.dumps(one) for one in seen[-5:]}) == 1
        wait_for(settled, "the daemon's rest", 15)
        (rss, fds), waiting = seen[-1]
        used = self.heap.used(self.mount.pid) - logs if self.heap else None
        self.usages.append((self.n, rss, used, len(fds)))
        print(f"{self.elapsed():7.1f} s, step {self.n}: at rest {rss} kB, {used or '?'} kB in use besides logs, {len(fds)} descriptors, "
              f"{'?' if waiting is None else waiting} requests of the kernel; {self.summary()}", flush=True)
        if waiting:
            raise Failure(f"{waiting} requests of the kernel are not answered, and nobody is left who waits for them")
        if self.baseline is None:
            self.baseline = rss, fds, used
            return
        if fds != self.baseline[1]:
            raise Failure(f"descriptors: {self.baseline[1]} before, {fds} now")
        if not sanitized() and rss > self.baseline[0] + TOLERANCE_KB:
            raise Failure(f"memory: {self.baseline[0]} kB before, {rss} kB now")
        if self.heap and used > self.baseline[2] + USED_TOLERANCE_KB:
            raise Failure(f"memory in use: {self.baseline[2]} kB before, {used} kB now")

    def collect(self, user):
        """What a user did and met, when it is over."""
        self.counts["operations of users"] += user.slot.count()
        for begin, end, kind, place, what, how in user.notes():
            self.errors[kind if place != "tool" else "tool", how if how in WORDS.values() else "contradiction"] += 1
            if not self.is_allowed(begin, end, place, what, how):
                raise Failure(f"{kind}, {what}: {how} after {end - begin:.2f} s at {begin:.2f}, disturbed by "
                              f"{[(name, round(b, 2), round(e, 2)) for name, b, e in self.windows]}")

    def is_allowed(self, begin, end, place, what, how):
        meets = self.disturbances(begin, end)
        if place == "written":
            return "down" in meets
        if place == "fixed" and what in NEVER_FAIL:
            return False
        # A stream tells of a gap when it is read next, however long ago that was.
        allowed = {"stream": {"ETIMEDOUT", "EHOSTDOWN"}, "device": {"ENOENT", "ENODEV"},
                   "tool": {"ENOENT", "ENODEV", "EACCES", "EIO", "EOPNOTSUPP", "ENOTSUP"},
                   "qom": {"ENOENT", "ENODEV", "EACCES", "EIO", "EOPNOTSUPP", "ENOTSUP"}}.get(place, set())
        if place.startswith("expect "):
            allowed = {place.partition(" ")[2]}
        if "stall" in meets or "down" in meets:
            allowed = allowed | {"ETIMEDOUT"}
        if "down" in meets:
            # What was looked up before is not there any more.
            allowed = allowed | {"EHOSTDOWN", "ENODEV"}
        if place == "ctl" and "stall" in meets:
            # Not while QEMU writes or reads a state.
            allowed = allowed | {"EIO", "EAGAIN", "EBUSY"}
        return how in allowed

    # -- all of it

    def elapsed(self):
        return time.monotonic() - self.begin

    def summary(self):
        return (f"{self.counts['operations of users']} operations, {self.counts['restarts of QEMU']} restarts, "
                f"{len(self.deaths)} deaths")

    def watch(self):
        """In a thread of its own: whether anybody is kept waiting too long."""
        while not self.over.wait(0.25):
            for user in list(self.users):
                late = user.overdue()
                if late and user.process.poll() is None and not self.failure:
                    self.failure = Failure(late)

    def do(self, step):
        self.n += 1
        self.doing = step["do"]
        self.log.write(json.dumps({"n": self.n, **step}) + "\n")
        self.log.flush()
        begin = time.monotonic()
        how = {name: value for name, value in step.items() if name != "do"}
        try:
            getattr(self, f"step_{self.doing}")(**how)
            if self.doing not in ("period", "rest"):
                self.compare()
        except Slow:
            self.counts["steps that QEMU was too slow for"] += 1
        except (AssertionError, ConnectionError, TimeoutError, ValueError, KeyError) as error:
            if not self.is_dead(isinstance(error, ConnectionError)) and not self.is_stuck():
                raise
            self.restart_dead(begin, error)
        self.counts[f"step {self.doing}"] += 1
        self.log.write(f"# {time.monotonic() - begin:.2f} s\n")
        if self.failure:
            raise self.failure

    def is_dead(self, dying):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.vm.process is not None and self.vm.process.wait(2 if dying else 0) is not None
        return False

    def is_stuck(self):
        """Whether QEMU has answered none of its monitors for long, not only ours: a deadlock of its own."""
        asked = self.asked
        stuck = asked and time.monotonic() - asked > STUCK
        if stuck and shutil.which("gdb"):
            result = subprocess.run(["gdb", "-p", str(self.vm.process.pid), "-batch", "-ex", "thread apply all bt 12"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    timeout=60)
            self.log.write("".join(f"# {line}\n" for line in result.stdout.splitlines() if line.startswith(("#", "Th"))))
        return stuck

    def restart_dead(self, begin, error):
        """QEMU has ended by itself: a fault of its own, which the mount has to bear."""
        code = self.vm.process.returncode
        how = "was stuck" if code is None else f"ended with {code}"
        self.deaths.append(f"step {self.n} ({self.doing}): QEMU {how}: {self.vm.output()[-300:]!r}")
        self.log.write(f"# QEMU {how}: {error}\n")
        with self.window("down"):
            self.windows[-1][1] = begin - 1
            self.vm.kill()
            self.start_vm()
            self.wait_up()

    def warm_up(self):
        """Both logs are full, and each sort of thing has been asked for once, before anything is measured."""
        for _ in range(LINES // 2 + 10):
            self.vm.qmp("stop")
            self.vm.qmp("cont")
        self.vm.qmp.events.clear()
        self.doing = "warm-up"
        self.mount.sh(f"for n in {{1..{LINES + 10}}}; do echo no-such-verb-as-this-one-of-some-length > ctl; done", 60)
        self.mount.sh("ls -lR . > /dev/null; cat query/* schema/commands/* block/*/status cmd/stop > /dev/null", 60)

    def mount_fusectl(self):
        """In a namespace of this program's own, so that nobody else sees it."""
        path = f"{self.base}/fusectl"
        os.mkdir(path)
        try:
            users.own_namespace()
            users.mount("none", path, "fusectl", 0)
            self.fusectl = path
        except OSError as error:
            print(f"the kernel's count of requests can't be had: {error}")

    def run(self, over):
        self.begin = time.monotonic()
        self.mount_fusectl()
        watcher = threading.Thread(target=self.watch, daemon=True)
        try:
            self.new_vm()
            self.start_vm()
            self.mount = Mount(self.vm.socket, OPTIONS)
            self.mount.env.update(self.heap.environment() if self.heap else {})
            self.mount.start()
            self.warm_up()
            self.need_guest()
            self.measure()
            watcher.start()
            threading.Thread(target=self.observe, daemon=True).start()
            for step in self.plan:
                self.do(step)
                if step["do"] == "rest" and over(self):
                    break
            self.mount.unmount()
        except BaseException as error:
            print(f"FAIL in step {self.n}: {error}", flush=True)
            self.log.write(f"# {error}\n")
            self.explain()
            raise
        finally:
            self.clean_up()
        self.report()
        self.check_trend()

    def explain(self):
        """What may help to understand a failure: how things are, in the words of the mount, and what disturbed it."""
        now = time.monotonic()
        print("disturbed lately:", [(kind, round(b - now, 2), round(e - now, 2)) for kind, b, e in self.windows[-5:]],
              "; an answer is awaited for:", self.asked and round(now - self.asked, 2))
        with contextlib.suppress(AssertionError):
            print(self.mount.sh("cat connection; tail -n 15 errors").out)

    def check_trend(self):
        """What grows a little all the time."""
        quarter = len(self.usages) // 4
        if quarter < 3 or not self.heap:
            return
        before, after = (min(usage[2] for usage in part)
                         for part in (self.usages[quarter:2 * quarter], self.usages[-quarter:]))
        print(f"in use: {before} kB at least in the second quarter, {after} kB in the last")
        if after > before + TREND_TOLERANCE_KB:
            print("FAIL: memory in use grows")
            raise Failure("memory in use grows")

    def clean_up(self):
        self.over.set()
        for user in self.users:
            user.kill()
        try:
            if self.mount:
                self.mount.remove()
        finally:
            if self.vm:
                self.vm.remove()
            if self.fusectl:
                subprocess.run(["umount", self.fusectl], check=False)
            shutil.rmtree(self.base, ignore_errors=True)

    def report(self):
        print(f"\n{self.elapsed() / 60:.1f} minutes, {self.n} steps, {self.summary()}")
        for name, count in sorted(self.counts.items()):
            print(f"  {name}: {count}")
        print("errors, each expected where it came:")
        for (who, name), count in sorted(self.errors.items()):
            print(f"  {who}: {name} {count}")
        print(f"longest command of a step: {self.longest:.1f} s")
        first, last = self.usages[0], self.usages[-1]
        peak = max(self.usages, key=lambda usage: usage[1])
        for when, (_, rss, used, fds) in (("before", first), ("after", last), (f"most, in step {peak[0]}", peak)):
            print(f"at rest {when}: {rss} kB, {used or '?'} kB of them in use, {fds} descriptors")
        for death in self.deaths:
            print(f"QEMU's own: {death}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--log", default="soak.log")
    parser.add_argument("--replay", metavar="LOG", help="the steps of this log instead of a seed's")
    parser.add_argument("--short", action="store_true", help="short periods")
    args = parser.parse_args()
    if not os.environ.get("QMPFS") or not os.environ.get("QMPFS_GUEST"):
        parser.error("QMPFS and QMPFS_GUEST don't name the qmpfs executable and a guest")
    plan = read_plan(args.replay) if args.replay else make_plan(args.seed, SHORT_DECK if args.short else DECK)
    over = (lambda soak: False) if args.replay else (lambda soak: soak.n >= args.steps) if args.steps else \
        (lambda soak: soak.elapsed() >= args.minutes * 60)
    print(f"replay of {args.replay}" if args.replay else f"seed {args.seed}", f"; log: {args.log}", sep="", flush=True)
    # Read before it is written, should it be the same.
    if args.replay:
        plan = iter(list(plan))
    with open(args.log, "w") as log:
        log.write(f"# seed {args.seed}\n")
        try:
            Soak(plan, log).run(over)
        except AssertionError:
            print(f"to repeat it: --replay {args.log}" + ("" if args.replay else f", or the same seed: {args.seed}"))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
