"""What operations cost: QMP commands and bytes, FUSE requests, system calls; the numbers are in tests/data/counts.txt."""

import contextlib
import os
import shutil
import sys
import threading
import time

import counts
import real

RUNS = 3
# Nothing gets old by itself, nothing is used again for being costly: on a slow machine the counts are the same.
OPTIONS = "structure_ttl=1000000,max_load=100"


def disks(n):
    """`n` disks sd0, sd1, … that need no guest to be removed."""
    args = ["-device", "virtio-scsi-pci,id=scsi0"]
    for i in range(n):
        args += ["-blockdev", f"driver=null-co,node-name=n{i},size=1048576",
                 "-device", f"scsi-hd,drive=n{i},id=sd{i},bus=scsi0.0,scsi-id={i},serial=abc"]
    return args


class Client:
    """What cat, ls and echo do, whatever version of them there is."""

    def __init__(self, mount):
        self.dir = mount.dir

    def path(self, path):
        return f"{self.dir}/{path}"

    def cat(self, path):
        file = os.open(self.path(path), os.O_RDONLY)
        try:
            os.fstat(file)
            while os.read(file, 131072):
                pass
        finally:
            os.close(file)

    def echo(self, text, path):
        file = os.open(self.path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            os.write(file, f"{text}\n".encode())
        finally:
            os.close(file)

    def ls(self, path):
        return os.listdir(self.path(path))

    def ls_long(self, path):
        for name in self.ls(path):
            os.lstat(self.path(f"{path}/{name}"))

    def find(self, path):
        """How many directories there are, this one among them."""
        with os.scandir(self.path(path)) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        return 1 + sum(self.find(f"{path}/{name}") for name in names)

    def warm_up(self):
        """All that the kernel asks only once per mount: what isn't implemented, the names that never change."""
        self.cat("connection")
        with contextlib.suppress(OSError):
            self.echo("no such verb", "ctl")
        for name in self.ls(""):
            os.lstat(self.path(name))


class Counts(real.RealTest):
    """Each test measures some rows; the last one looks whether all rows were."""

    measured = set()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.table = counts.read_table("r")

    def counted(self, vm, options=OPTIONS):
        """A mount, its client, and the daemon under strace, all until the end of the test."""
        client, trace, _ = self.counted_until(vm, options)
        return client, trace

    def counted_until(self, vm, options=OPTIONS):
        """The same, and what ends it."""
        mount = self.mount(vm, options)
        client = Client(mount)
        client.warm_up()
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        stack.callback(mount.unmount)
        return client, stack.enter_context(counts.Trace(mount)), stack

    def open(self, client, path):
        """A file that stays open until the end of the test."""
        file = os.open(client.path(path), os.O_RDONLY)
        self.addCleanup(os.close, file)
        return file

    def event(self, vm, trace):
        """After an event nothing is fresh any more."""
        vm.qmp("cont")
        vm.qmp("stop")
        vm.qmp.event("STOP")
        trace.settle()

    def check(self, trace, operation, state, action, before=lambda: None, runs=RUNS):
        """Each run of the action must cost what the table says."""
        self.measured.add((operation, state))
        want = self.table.get((operation, state))
        for run in range(runs):
            before()
            trace.settle()
            calls = trace.calls(action)
            found = counts.count(calls)
            if found.requests != 1:
                found = found._replace(idle=None)
            if want:
                found = counts.Counts(*(None if w is None else n for n, w in zip(found, want)))
            with self.subTest(operation, state=state, run=run):
                self.assertEqual(found, want, f"\ncounted: {operation} | {state} | {found.row()}\n"
                                 f"{counts.describe(calls)}")

    def test_files_and_directories(self):
        vm = self.vm("-S", *disks(1))
        client, trace = self.counted(vm)

        def cold():
            self.event(vm, trace)

        for path in ("status", "state", "connection"):
            client.cat(path)
            self.check(trace, f"cat {path}", "any", lambda: client.cat(path))
        for path in ("block/sd0/status", "block/sd0/inserted/image/virtual-size", "devices/sd0/serial",
                     "qom/machine/peripheral/sd0/serial"):
            client.cat(path)
            self.check(trace, f"cat {path}", "cold", lambda: client.cat(path), cold)
            self.check(trace, f"cat {path}", "warm", lambda: client.cat(path))

    def test_single_requests(self):
        vm = self.vm("-S", *disks(1))
        client, trace = self.counted(vm)
        file = self.open(client, "status")
        os.pread(file, 4096, 0)
        self.check(trace, "pread(status, offset=0)", "any", lambda: os.pread(file, 4096, 0))
        self.check(trace, "pread(status, offset=1)", "any", lambda: os.pread(file, 4096, 1))
        self.check(trace, "fstat(status)", "after a read", lambda: os.fstat(file), lambda: os.pread(file, 4096, 1))
        self.check(trace, "fstat(status)", "again", lambda: os.fstat(file))
        os.lstat(client.path("block/sd0"))
        self.check(trace, "lstat(block/sd0)", "cold", lambda: os.lstat(client.path("block/sd0")),
                   lambda: self.event(vm, trace))
        self.check(trace, "lstat(block/sd0)", "warm", lambda: os.lstat(client.path("block/sd0")))

    def test_lists_of_disks(self):
        for n in (1, 32, 200):
            with self.subTest(n):
                vm = self.vm("-S", *disks(n))
                client, trace = self.counted(vm)
                client.ls_long("block")
                self.check(trace, f"ls -l block/ of {n}", "cold", lambda: client.ls_long("block"),
                           lambda: self.event(vm, trace))
                self.check(trace, f"ls -l block/ of {n}", "warm", lambda: client.ls_long("block"))
                self.assertEqual(len(client.ls("block")), n)

    def test_first_and_later(self):
        vm = self.vm("-S", *disks(2))
        # Each mount has its own first time.
        for _ in range(2):
            client, trace, stack = self.counted_until(vm)
            client.ls("devices")
            # What can be read of a type is asked for once: each property, unless QEMU has qom-list-get.
            first = counts.count(trace.calls(lambda: client.ls("devices/sd0"))).commands
            properties = vm.qmp("qom-list", path="/machine/peripheral/sd0")
            each = 2 + sum(1 for item in properties if not item["type"].startswith("child<"))
            self.assertIn(first, (1, each))
            self.check(trace, "ls devices/sd1", "second of type", lambda: client.ls("devices/sd1"), runs=1)
            self.check(trace, "ls devices/sd0", "warm", lambda: client.ls("devices/sd0"))
            self.check(trace, "cat query/status", "first", lambda: client.cat("query/status"), runs=1)
            self.check(trace, "cat query/status", "later", lambda: client.cat("query/status"))
            stack.close()
            client, trace, stack = self.counted_until(vm)
            self.check(trace, "echo > cmd/stop", "first", lambda: client.echo("", "cmd/stop"), runs=1)
            self.check(trace, "echo > cmd/stop", "later", lambda: client.echo("", "cmd/stop"))
            stack.close()

    def test_removal(self):
        vm = self.vm("-S", *disks(1))
        client, trace = self.counted(vm)

        def plug():
            if not vm.qmp("query-block"):
                vm.qmp("device_add", {"driver": "scsi-hd", "drive": "n0", "id": "sd0", "bus": "scsi0.0",
                                      "scsi-id": 0})
            # No event tells that a device has come; this one makes the daemon look.
            self.event(vm, trace)
            client.cat("block/sd0/status")
            trace.settle()

        self.check(trace, "echo 1 > block/sd0/remove", "warm", lambda: client.echo("1", "block/sd0/remove"), plug)
        self.assertEqual(vm.qmp("query-block"), [])

    def test_readers_at_once(self):
        """While QEMU is at the first one's query, which a stopped one is for sure, the others come."""
        vm = self.vm("-S", *disks(1))
        client, trace = self.counted(vm)
        files = [self.open(client, "status") for _ in range(16)]
        for file in files:
            os.pread(file, 4096, 0)  # what came with the opening

        def read_all():
            vm.stop()
            threads = [threading.Thread(target=os.pread, args=(file, 4096, 0)) for file in files]
            for thread in threads:
                thread.start()
            # Less than what makes the daemon look whether QEMU lives.
            time.sleep(0.4)
            vm.go_on()
            for thread in threads:
                thread.join()
        self.check(trace, "pread(status, offset=0) by 16 at once", "QEMU is busy", read_all)

    def test_find_asks_once_for_each_object(self):
        """How many objects there are is QEMU's affair."""
        vm = self.vm("-S", *disks(1))
        client, trace = self.counted(vm)
        directories = []
        calls = trace.calls(lambda: directories.append(client.find("qom")))
        self.assertEqual(counts.count(calls).commands, directories[0])
        self.assertGreater(directories[0], 30)

    def test_rest(self):
        """A daemon that nobody asks does nothing, once it has let go of what it knew, 100 ms after it was asked."""
        vm = self.vm("-S", *disks(1))
        client, trace = self.counted(vm, "max_load=100")
        file = self.open(client, "status")
        # The kernel hears of a size that has changed.
        os.pread(file, 4096, 0)
        os.fstat(file)
        os.pread(file, 4096, 0)

        def read_and_rest():
            os.pread(file, 4096, 0)
            time.sleep(0.5)
        self.check(trace, "pread(status, offset=0), and 0.5 s", "any", read_and_rest)
        self.assertEqual(trace.calls(lambda: time.sleep(3)), [])

    def test_zz_every_row_is_measured(self):
        self.assertEqual(set(self.table) - self.measured, set())


if __name__ == "__main__":
    if not shutil.which("strace"):
        print("SKIP: no strace")
        sys.exit(1 if os.environ.get("CI") else real.SKIPPED)
    real.main()
