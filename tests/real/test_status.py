"""Each `status` equals what a second monitor returns, and each member of the record is a file with the bare value."""

import json
import os

import real
from expected import object_files
from mount import escaped
from reference import QmpError


def ours(path):
    """The names of files of ours in this object, which win over a member of the same name."""
    return {name for collection, name in object_files() if collection == path.split("/")[0]}


def bare(value):
    """A scalar as the tree shows it."""
    return value if isinstance(value, str) else json.dumps(value)


def values(record, path=""):
    """(path, text) for each scalar in a record, as the tree shows it."""
    items = record.items() if isinstance(record, dict) else ((str(i), v) for i, v in enumerate(record))
    for name, value in items:
        here = f"{path}/{escaped(name)}" if path else escaped(name)
        if isinstance(value, (dict, list)):
            yield from values(value, here)
        else:
            yield here, bare(value)


class Status(real.RealTest):
    def check_object(self, mount, path, record):
        """Every member is a file, every file is a member (or one of ours)."""
        self.assertEqual(self.read(mount, f"{path}/status", True), record, path)
        for member, text in values(record):
            if member.partition("/")[0] not in ours(path):
                self.assertEqual(self.read(mount, f"{path}/{member}"), text, f"{path}/{member}")
        names = set(os.listdir(f"{mount.dir}/{path}"))
        self.assertEqual(names - ours(path), {escaped(name) for name in record} - ours(path), path)

    @staticmethod
    def read(mount, path, parse=False):
        """Thousands of these: without a shell. The test itself is what hangs if one does, so ctest has a limit."""
        with open(f"{mount.dir}/{path}", newline="") as file:
            text = file.read()
        assert text.endswith("\n"), path
        return json.loads(text) if parse else text[:-1]

    def check_collection(self, mount, name, records):
        """`records` by the name they must have."""
        self.assertEqual(mount.list(name), sorted(records))
        for key, record in records.items():
            self.check_object(mount, f"{name}/{key}", record)

    def check_everything(self, vm, mount):
        blocks = {}
        for entry in vm.qmp("query-block"):
            device = entry.get("qdev", "").removesuffix("/virtio-backend").rpartition("/")[2]
            blocks[entry["device"] or device] = entry
        self.check_collection(mount, "block", blocks)
        self.check_collection(mount, "cpus", {str(cpu["cpu-index"]): cpu for cpu in vm.qmp("query-cpus-fast")})
        self.check_collection(mount, "memory", {m["data"]["id"]: m for m in vm.qmp("query-memory-devices")})
        self.check_vm(vm, mount)

    def check_vm(self, vm, mount):
        status, version = vm.qmp("query-status"), vm.qmp("query-version")["qemu"]
        self.assertEqual(self.json(mount, "status"), status)
        self.assertEqual(mount.read("state"), status["status"])
        self.assertEqual(self.ok(mount, "cat name").rstrip("\n"), vm.qmp("query-name").get("name", ""))
        self.assertEqual(mount.read("uuid"), vm.qmp("query-uuid")["UUID"])
        self.assertIn("{major}.{minor}.{micro}".format(**version), mount.read("version"))

    def check_device(self, vm, mount, name, path):
        """`status` has each property whose value QEMU tells, and that value."""
        status = self.json(mount, f"devices/{name}/status")
        readable = {}
        for item in vm.qmp("qom-list", path=path):
            if not item["type"].startswith(("child<", "link<")):
                try:
                    readable[item["name"]] = vm.qmp("qom-get", path=path, property=item["name"])
                except QmpError:
                    continue
        self.assertLessEqual(set(readable), set(status))
        for key, value in status.items():
            if key in readable:
                self.assertEqual(value, readable[key], f"{path} {key}")
            else:
                self.assertEqual(value, vm.qmp("qom-get", path=path, property=key), f"{path} {key}")
        self.assertEqual(mount.read(f"devices/{name}/driver"), readable["type"])
        # Each property is a file: of a value, or of JSON where it is more than that. What can't be read isn't there.
        self.assertEqual(set(mount.list(f"devices/{name}")) - ours("devices"), set(map(escaped, status)) - ours("devices"))
        for key, value in status.items():
            if key not in ours("devices"):
                compound = isinstance(value, (dict, list))
                self.assertEqual(self.read(mount, f"devices/{name}/{escaped(key)}", compound),
                                 value if compound else bare(value), f"{path} {key}")

    def test_one_disk_one_cpu(self):
        vm = self.vm("-S", "-name", "a name/with 100% of é", "-uuid", "0a0b0c0d-1111-2222-3333-444455556666",
                     "-object", "memory-backend-ram,id=mem,size=128M", "-device", "pc-dimm,id=d1,memdev=mem",
                     memory="256M,slots=2,maxmem=1G",
                     prepare=lambda vm: ["-drive", f"file={vm.image('d')},if=virtio"])
        mount = self.mount(vm)
        self.check_everything(vm, mount)
        self.assertEqual(self.ok(mount, "ls -A block cpus memory"), "block:\nvirtio0\n\ncpus:\n0\n\nmemory:\nd1\n")

    def test_nothing_at_all(self):
        vm = self.vm("-S")
        mount = self.mount(vm)
        self.check_everything(vm, mount)
        self.assertEqual(self.ok(mount, "ls block memory devices"), "block:\n\ndevices:\n\nmemory:\n")

    def test_all_kinds_of_devices(self):
        vm = self.vm(
            "-S", "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,id=net0",
            "-device", "virtio-balloon-pci",
            "-device", "virtio-scsi-pci,id=scsi0", "-device", "qemu-xhci,id=xhci", "-device", "VGA,id=vga0",
            "-object", "memory-backend-ram,id=mem,size=128M", "-device", "pc-dimm,id=d1,memdev=mem",
            "-blockdev", "driver=null-co,node-name=node1,size=1048576", "-device", "virtio-blk-pci,drive=node1,id=vb0",
            "-drive", "driver=null-co,if=none,id=cd", "-device", "scsi-cd,drive=cd,bus=scsi0.0",
            memory="256M,slots=2,maxmem=1G",
            prepare=lambda vm: ["-drive", f"file={vm.image('n')},if=none,id=n",
                                "-device", "nvme,drive=n,serial=1,id=nv0"])
        mount = self.mount(vm)
        paths = {}
        for parent in ("/machine/peripheral", "/machine/peripheral-anon"):
            for item in vm.qmp("qom-list", path=parent):
                if item["type"].startswith("child<"):
                    paths[item["name"]] = f"{parent}/{item['name']}"
        self.assertEqual(mount.list("devices"), sorted(paths))
        for name, path in paths.items():
            with self.subTest(name):
                self.check_device(vm, mount, name, path)

    def test_links_from_objects_to_their_devices(self):
        vm = self.vm("-S", "-device", "virtio-scsi-pci,id=scsi0",
                     "-object", "memory-backend-ram,id=mem,size=128M", "-device", "pc-dimm,id=d1,memdev=mem",
                     "-blockdev", "driver=null-co,node-name=node1,size=1048576",
                     "-device", "virtio-blk-pci,drive=node1,id=vb0",
                     "-drive", "driver=null-co,if=none,id=cd", "-device", "scsi-cd,drive=cd,bus=scsi0.0",
                     "-drive", "driver=null-co,if=none,id=lone",
                     memory="256M,slots=2,maxmem=1G", smp="1,maxcpus=2")
        slot = next(s for s in vm.qmp("query-hotpluggable-cpus") if "qom-path" not in s)
        vm.qmp("device_add", {**slot["props"]}, driver=slot["type"], id="cpu1")
        mount = self.mount(vm)
        self.assertEqual(
            self.ok(mount, "readlink block/vb0/device block/cd/device memory/d1/device cpus/1/device"),
            "../../devices/vb0\n../../devices/device[0]\n../../devices/d1\n../../devices/cpu1\n")
        self.assertEqual(self.ok(mount, "cat block/vb0/device/driver cpus/1/device/driver"),
                         "virtio-blk-pci\n" + slot["type"] + "\n")
        self.assertNotEqual(mount.sh("readlink cpus/0/device").code, 0)
        self.assertNotEqual(mount.sh("readlink block/lone/device").code, 0)

    def test_size_is_the_size_of_the_content(self):
        vm = self.vm("-S", "-blockdev", "driver=null-co,node-name=n1,size=1048576",
                     "-device", "virtio-blk-pci,drive=n1,id=d")
        mount = self.mount(vm)
        out = self.ok(mount, "set -- block/d/status block/d/inserted/image/virtual-size; cat $@ > /dev/null; "
                             "for f; do stat -c %s $f; wc -c < $f; done")
        a, b, c, d = out.split()
        self.assertEqual((a, c), (b, d))

    def many_disks(self, count):
        args = ["-device", "virtio-scsi-pci,id=scsi0"]
        for n in range(count):
            args += ["-drive", f"driver=null-co,size={n + 1}M,if=none,id=disk{n}",
                     "-device", f"scsi-hd,drive=disk{n},id=sd{n},bus=scsi0.0,scsi-id={n}"]
        vm = self.vm("-S", *args)
        mount = self.mount(vm)
        self.check_everything(vm, mount)
        self.assertEqual(len(mount.list("devices")), count + 1)

    def test_32_disks(self):
        self.many_disks(32)

    def test_200_disks(self):
        self.many_disks(200)

    def test_64_cpus(self):
        vm = self.vm("-S", smp="64")
        mount = self.mount(vm)
        self.check_everything(vm, mount)
        self.assertEqual(len(mount.list("cpus")), 64)


if __name__ == "__main__":
    real.main()
