"""qom/ is QEMU's object model: the same objects, properties and values, and what can be set can be set, on two
architectures."""

import errno
import json
import os
import re
import shlex
import sys

import expected
import real
from reference import QmpError
from vm import ARM, X86

KINDS = (("child<", "dir"), ("link<", "link"), ("", "file"))
# The clock goes on in a VM that doesn't run.
CLOCKS = "struct tm"
# Otherwise what takes a slow machine a millisecond could be used again.
LIVE = "max_load=100"
UNITS = ("tm_year", "tm_mon", "tm_mday", "tm_hour", "tm_min", "tm_sec")


def kind_of(type_name):
    return next(kind for prefix, kind in KINDS if type_name.startswith(prefix))


def moment(value):
    return [value[unit] for unit in UNITS]


class Qom:
    platform = None

    def setUp(self):
        self.machine = self.ordinary_vm(self.platform)
        self.files = self.mount(self.machine, LIVE)

    def get(self, path, name):
        return self.machine.qmp("qom-get", path=path, property=name)

    def write(self, path, text):
        return self.files.sh(f"printf '%s\\n' {shlex.quote(text)} > {shlex.quote(path)}")

    # -- reading

    def check_link(self, path, found, value):
        """It leads to the object that QEMU names, or nowhere."""
        link = found[path]
        if value:
            there = os.path.normpath(f"{os.path.dirname(path)}/{link.target}")
            self.assertEqual((there, link.leads), (expected.qom_path(value), found[there].inode), path)
        else:
            self.assertEqual((link.target, link.leads), ("%none", None), path)

    def test_the_whole_model(self):
        tree = expected.objects(self.machine.qmp)
        before = expected.properties(self.machine.qmp, tree)
        found = self.files.look("qom")

        names = {f"{expected.qom_path(path)}/{expected.escaped(name)}": kind_of(type_name)
                 for path, items in tree.items() for name, type_name in items.items()}
        self.assertEqual({path: entry.kind for path, entry in found.items()}, names)
        refusals = []
        clocks = {}
        for path, (type_name, value) in before.items():
            entry = found[path]
            if isinstance(value, QmpError):
                refusals.append(expected.error_line(path, value))
                self.assertEqual(getattr(entry, "errno", 0), expected.errno_of(value), f"{path}: {value}")
                continue
            self.assertFalse(hasattr(entry, "errno"), f"{path}: {entry}")
            if entry.kind == "link":
                self.check_link(path, found, value)
            elif type_name == CLOCKS:
                clocks[path] = moment(value), moment(json.loads(entry.text))
            else:
                self.assertTrue(expected.shown(entry.text, value), f"{path}: {entry.text!r} isn't {value!r}")
            if entry.kind == "file":
                self.assertEqual((entry.mode, entry.size_after),
                                 (0o644, len(entry.text.encode(errors="surrogateescape"))), path)
        lines = [line.split(" ", 3)[3] for line in self.ok(self.files, "cat errors").splitlines()]
        self.assertEqual(sorted(lines), sorted(refusals))
        self.assertGreater(sum("EACCES" in line for line in lines), 3, lines)
        only_clocks = {path: {name: type_name for name, type_name in items.items() if type_name == CLOCKS}
                       for path, items in tree.items()}
        for path, (_, value) in expected.properties(self.machine.qmp, only_clocks).items():
            earlier, shown = clocks.pop(path)
            self.assertTrue(earlier <= shown <= moment(value), (path, earlier, shown, value))
        self.assertEqual(clocks, {})
        # find(1) sees what look.py sees.
        out = self.ok(self.files, "find qom -mindepth 1 -printf '%y %p\\0'", 60)
        self.assertEqual(sorted(out.split("\0")[:-1]), sorted(f"{kind[0]} {path}" for path, kind in names.items()))
        kinds = list(names.values())
        dangling = sum(entry.kind == "link" and not entry.leads for entry in found.values())
        print(f"{self.platform.machine}: {len(tree)} objects, {kinds.count('file')} files, {kinds.count('link')} links "
              f"({dangling} to nothing), {len(refusals)} refusals")

    def test_values_are_live(self):
        """A value that was read is not used again; of a property that is set elsewhere nothing tells."""
        path = "qom/objects/io0/poll-max-ns"
        for n in range(20):
            self.machine.qmp("qom-set", path="/objects/io0", property="poll-max-ns", value=n)
            self.assertEqual(self.files.read(path), str(n))
        # The same through a file that stays open: each read from its start asks.
        program = (f"import os, sys; fd = os.open('{path}', os.O_RDONLY)\n"
                   "while sys.stdin.readline() != 'end\\n': print(os.pread(fd, 100, 0).decode().strip(), flush=True)")
        turns = f"{self.machine.dir}/turns"
        os.mkfifo(turns)
        with open(os.open(turns, os.O_RDWR), "w") as file:
            reader = self.files.spawn(f"exec {sys.executable} -c {shlex.quote(program)} < {turns}")
            seen = []
            for n in range(20, 30):
                self.machine.qmp("qom-set", path="/objects/io0", property="poll-max-ns", value=n)
                print(n, file=file, flush=True)
                seen.append(str(n))
                self.eventually(lambda: len(reader.output().split()) == len(seen), "an answer", 10)
                self.assertEqual(reader.output().split(), seen)
            print("end", file=file, flush=True)
            self.assertEqual(reader.wait().code, 0)

    def test_objects_come_and_go(self):
        for n in range(5):
            self.machine.qmp("object-add", {"qom-type": "iothread", "id": "passing", "poll-max-ns": n})
            self.assertEqual(self.files.read("qom/objects/passing/poll-max-ns"), str(n))
            self.assertEqual(self.files.read("qom/objects/passing/type"), "iothread")
            self.machine.qmp("object-del", id="passing")
            self.eventually(lambda: "passing" not in self.files.list("qom/objects"), "an end of the object", 5)
            self.fails(self.files, "cat qom/objects/passing/poll-max-ns", "No such")
        for path in ("qom/nothing", "qom/objects/nothing", "qom/objects/io0/nothing",
                     "qom/objects/io0/poll-max-ns/type"):
            self.assertNotEqual(self.files.sh(f"stat {path}").code, 0)

    # -- writing

    def test_what_can_be_set(self):
        """(object, property, written, value); each is compared with the second monitor, and read back."""
        limits = self.get("/objects/throttle0", "limits")
        cases = [
            ("/objects/io0", "poll-max-ns", "77", 77),
            ("/objects/io0", "poll-max-ns", "64k", 65536),
            ("/objects/io0", "poll-max-ns", "0x20", 32),
            ("/objects/io0", "poll-max-ns", "1.5M", 3 << 19),
            ("/objects/io0", "poll-max-ns", "9223372036854775807", (1 << 63) - 1),
            ("/objects/io0", "poll-max-ns", "0", 0),
            ("/objects/mem0", "dump", "off", False),
            ("/objects/mem0", "dump", "yes", True),
            ("/objects/mem0", "dump", "false", False),
            ("/objects/mem0", "policy", "default", "default"),
            ("/objects/throttle0", "limits", '{"iops-total": 7}', {**limits, "iops-total": 7}),
            ("/objects/throttle0", "limits", '{"bps-total": 0, "iops-total": 100}', limits),
            ("/machine", "append", "quiet é  two blanks, root=/dev/vda", "quiet é  two blanks, root=/dev/vda"),
            ("/machine", "append", " 12", " 12"),
            ("/machine", "append", "true", "true"),
            ("/machine", "append", "", ""),
            ("/machine", "append", '"quoted" {', '"quoted" {'),
            ("/machine", "phandle-start", "1k", 1024),
            ("/machine/peripheral/balloon0", "guest-stats-polling-interval", "4", 4),
        ]
        for path, name, text, value in cases:
            with self.subTest(f"{path} {name} {text!r}"):
                file = f"{expected.qom_path(path)}/{name}"
                result = self.write(file, text)
                self.assertEqual((result.code, result.err), (0, ""), result)
                self.assertEqual(expected.canonical(self.get(path, name)), expected.canonical(value))
                self.assertTrue(expected.shown(self.ok(self.files, f"cat {file}"), value), self.files.sh(f"cat {file}"))
        self.assertEqual(self.ok(self.files, "cat errors"), "")

    def test_what_cannot_be_set(self):
        """(object, property, written, errno, words that `errors` must have); nothing may have changed."""
        cases = [
            # What isn't of the type is not sent.
            ("/objects/io0", "poll-max-ns", "many", "EINVAL", "integer"),
            ("/objects/io0", "poll-max-ns", "12x", "EINVAL", "suffixes"),
            ("/objects/io0", "poll-max-ns", "", "EINVAL", "integer"),
            ("/objects/mem0", "dump", "maybe", "EINVAL", "boolean"),
            ("/objects/mem0", "dump", "1", "EINVAL", "boolean"),
            ("/objects/throttle0", "limits", '{"iops-total": 7', "EINVAL", "JSON"),
            # The rest is in QEMU's words.
            ("/objects/io0", "poll-max-ns", "-5", None, "must be in range"),
            ("/objects/throttle0", "limits", '{"iops-total": "x"}', "EINVAL", "Invalid parameter type"),
            ("/objects/throttle0", "limits", '{"nothing": 1}', "EINVAL", "nothing"),
            ("/objects/mem0", "policy", "none", "EINVAL", "does not accept value '…'"),
            ("/objects/io0", "type", "x", "EACCES", "Property 'iothread.type' is not writable"),
            ("/objects/random0", "opened", "off", "EACCES", "Property 'rng-random.opened' is not writable"),
            ("/objects/mem0", "size", "1G", None, "cannot change property size"),
            ("/machine/peripheral/nvme0", "serial", "x", "EBUSY", "after it was realized"),
            ("/machine/peripheral/scsi0", "hotplugged", "on", "EACCES", "is not writable"),
        ]
        words_of = {"EINVAL": "Invalid argument", "EACCES": "Permission denied", "EBUSY": "Device or resource busy",
                    None: ""}
        for path, name, text, errno_name, words in cases:
            with self.subTest(f"{path} {name} {text!r}"):
                before = self.get(path, name)
                file = f"{expected.qom_path(path)}/{name}"
                result = self.write(file, text)
                self.assertNotEqual(result.code, 0, result)
                self.assertIn(words_of[errno_name], result.err)
                last = self.files.read("errors").splitlines()[-1]
                self.assertRegex(last, rf"^\S+ uid=\d+ pid=\d+ /{re.escape(file)} {errno_name or 'E[A-Z]+'} \S+ .*{re.escape(words)}")
                self.assertEqual(self.get(path, name), before)
        # The kernel knows which are files at all.
        self.fails(self.files, "echo x > qom/machine", "Is a directory")
        self.assertNotEqual(self.files.sh("echo x > qom/machine/peripheral/rng0/parent_bus").code, 0)
        self.assertNotEqual(self.files.sh("rm qom/objects/io0/poll-max-ns || rm -r qom/objects/io0").code, 0)
        self.fails(self.files, "rmdir qom/objects/io0", "Operation not permitted")

    def test_read_only(self):
        self.files.unmount()
        mount = self.mount(self.machine, "ro")
        before = self.get("/objects/io0", "poll-max-ns")
        self.fails(mount, "echo 5 > qom/objects/io0/poll-max-ns", "Read-only file system")
        self.assertEqual(mount.read("qom/objects/io0/poll-max-ns"), str(before))
        self.assertEqual(self.get("/objects/io0", "poll-max-ns"), before)

    # -- links from elsewhere

    def check_object_link(self, link, path):
        """It leads to this object, whose type can be read through it."""
        there = self.ok(self.files, f"realpath --relative-to=. '{link}'")
        self.assertEqual(there, expected.qom_path(path) + "\n", link)
        self.assertEqual(self.files.read(f"{link}/type"), self.get(path, "type"), link)

    def test_objects_lead_here(self):
        qmp = self.machine.qmp
        for cpu in qmp("query-cpus-fast"):
            self.check_object_link(f"cpus/{cpu['cpu-index']}/qom", cpu["qom-path"])
        self.check_object_link("memory/memory0/qom", "/machine/peripheral/memory0")
        for parent in ("/machine/peripheral", "/machine/peripheral-anon"):
            for name, type_name in expected.objects(qmp, parent)[parent].items():
                if type_name.startswith("child<"):
                    self.check_object_link(f"devices/{name}/qom", f"{parent}/{name}")
                    self.assertEqual(self.files.read(f"devices/{name}/driver"), type_name[len("child<"):-1])
        for name, path in (("disk0", "/machine/peripheral/disk0"), ("nvme", "/machine/peripheral/nvme0"),
                           ("cd", "/machine/peripheral-anon/device[0]")):
            self.check_object_link(f"block/{name}/qom", path)
        # A device that is none of devices/, and a drive that has none.
        qmp("human-monitor-command", {"command-line": "drive_add 0 if=none,id=lone,driver=null-co"})
        self.eventually(lambda: "lone" in self.files.list("block"), "the drive")
        self.fails(self.files, "stat block/lone/qom", "No such file or directory")

    def test_writing_through_a_link(self):
        self.ok(self.files, "echo 3 > devices/balloon0/qom/guest-stats-polling-interval")
        self.assertEqual(self.get("/machine/peripheral/balloon0", "guest-stats-polling-interval"), 3)


class QomOnX86(Qom, real.RealTest):
    platform = X86

    def test_a_disk_that_is_no_pluggable_device(self):
        vm = self.vm("-S", "-drive", "driver=null-co,size=1M,if=ide,id=ide")
        self.machine, self.files = vm, self.mount(vm, LIVE)
        qdev = vm.qmp("query-block")[0]["qdev"]
        self.assertTrue(qdev.startswith("/machine/unattached/"), qdev)
        self.check_object_link("block/ide/qom", qdev)
        self.fails(self.files, "stat block/ide/device", "No such file or directory")


    def test_open_file_ends_with_its_device(self):
        device = {"driver": "scsi-hd", "drive": "n0", "id": "sd0", "bus": "scsi0.0"}
        vm = self.vm("-S", "-device", "virtio-scsi-pci,id=scsi0", "-blockdev", "driver=null-co,node-name=n0",
                     "-device", "scsi-hd,drive=n0,id=sd0,bus=scsi0.0,serial=first")
        self.machine, self.files = vm, self.mount(vm)
        path = f"{self.files.dir}/qom/machine/peripheral/sd0"
        inode = os.stat(path).st_ino
        old = os.open(f"{path}/serial", os.O_RDWR)
        try:
            self.assertEqual(os.pread(old, 100, 0), b"first\n")
            vm.qmp("device_del", id="sd0")
            self.eventually(lambda: "sd0" not in self.files.list("qom/machine/peripheral"), "the end of sd0")
            vm.qmp("device_add", serial="second", **device)
            self.assertEqual(self.files.read("qom/machine/peripheral/sd0/serial"), "second")
            for use in (lambda: os.pread(old, 100, 0), lambda: os.write(old, b"third\n")):
                with self.assertRaises(OSError) as failure:
                    use()
                self.assertEqual(failure.exception.errno, errno.ENODEV)
            self.assertNotEqual(os.stat(path).st_ino, inode)
        finally:
            os.close(old)

    def test_odd_names(self):
        """Ids from JSON may hold anything. To those with a slash, and to the empty one, QEMU has no path."""
        ids = ["..", ".", "a b", "é", "new\nline", "100%", "-n", "%none", "a/b", ""]
        devices = [json.dumps({"driver": "pci-testdev", "id": name}) for name in ids]
        vm = self.vm("-S", *(arg for device in devices for arg in ("-device", device)))
        self.machine, self.files = vm, self.mount(vm, LIVE)
        self.assertEqual(self.files.list("qom/machine/peripheral"), sorted(["type", *map(expected.escaped, ids)]))
        for name in ids:
            with self.subTest(name):
                path = f"qom/machine/peripheral/{expected.escaped(name)}"
                if name and "/" not in name:
                    self.assertEqual(self.files.read(f"{path}/type"), "pci-testdev")
                    self.assertEqual(self.files.read(f"devices/{expected.escaped(name)}/qom/type"), "pci-testdev")
                else:
                    self.fails(self.files, f"cat '{path}/type'", "No such device")


class QomOnArm(Qom, real.RealTest):
    platform = ARM


if __name__ == "__main__":
    real.main(X86, ARM)
