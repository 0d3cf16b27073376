"""Removal works for every kind of device, on every kind of hot-plug, through each of the four collections.

One guest per kind of hot-plug holds all the devices; each test removes another one.
"""

import json

import real
from mount import Mount
from vm import Vm, wait_for

DIMM = 128 << 20


class Jobs(real.RealTest):
    """A disk can be removed while a job has a node of its own between it and its device; that needs no guest."""

    def test_disk_is_removed_while_a_job_runs(self):
        vm = self.vm("-S", "-device", "virtio-scsi-pci,id=scsi0",
                     "-blockdev", "driver=null-co,node-name=disk0,size=1073741824,read-zeroes=on",
                     "-blockdev", "driver=null-co,node-name=target,size=1073741824",
                     "-device", "scsi-hd,drive=disk0,id=sd0,bus=scsi0.0")
        mount = self.mount(vm)
        self.ok(mount, "echo job-id=j0 device=disk0 target=target sync=full speed=65536 > cmd/blockdev-mirror")
        self.assertEqual(vm.qmp("query-block")[0]["inserted"]["node-name"], "disk0")
        self.assertRegex(vm.qmp("qom-get", path="/machine/peripheral/sd0", property="drive"), "^#block")
        self.ok(mount, "echo 1 > block/sd0/remove")
        self.assertNotIn("sd0", self.ok(mount, "ls devices").split())


class Machine(real.RealTest):
    """A VM with all the devices, shared by the tests of a class."""

    MACHINE = "pc"
    ARGS = ()

    @classmethod
    def bus(cls):
        """The `bus=` of the next PCI device, as far as this machine wants one."""
        return ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine = Vm(*cls.ARGS, guest=True, machine=cls.MACHINE, memory="256M,slots=4,maxmem=2G", smp="1,maxcpus=4")
        cls.addClassCleanup(cls.machine.remove)
        cls.machine.argv += cls.devices(cls.machine)
        cls.machine.start()
        cls.hot_add(cls.machine)
        cls.files = Mount(cls.machine.socket)
        cls.addClassCleanup(cls.files.remove)
        cls.files.start()

    @staticmethod
    def hot_add(vm):
        """Two DIMMs and two CPUs. No device_add may follow the unplugging of a CPU under TCG: it crashes this QEMU."""
        for name in ("dimm1", "dimm2"):
            vm.qmp("object-add", {"qom-type": "memory-backend-ram"}, id=f"mem-{name}", size=DIMM)
            vm.qmp("device_add", driver="pc-dimm", id=name, memdev=f"mem-{name}")
            vm.qmp.event("ACPI_DEVICE_OST", limit=20)
        slots = {slot["props"]["core-id"]: slot for slot in vm.qmp("query-hotpluggable-cpus")}
        for core, more in ((1, {"id": "cpu1"}), (2, {})):
            vm.qmp("device_add", {**slots[core]["props"], **more}, driver=slots[core]["type"])
            vm.qmp.event("ACPI_DEVICE_OST", limit=20)
        wait_for(lambda: vm.guest("grep -c ^processor /proc/cpuinfo").strip() == "3", "CPUs online in the guest")

    @classmethod
    def devices(cls, vm):
        """An image and the arguments for each device. `anon` has no id."""
        drive = lambda name: ["-drive", f"file={vm.image(name)},if=none,id=drive-{name}"]
        pci = lambda driver, *more: ["-device", ",".join([driver, *more]) + cls.bus()]
        return [
            *drive("nv0"), *pci("nvme", "drive=drive-nv0", "serial=a", "id=nv0"),
            *drive("nv1"), *pci("nvme", "drive=drive-nv1", "serial=b", "id=nv1"),
            *drive("vb0"), *pci("virtio-blk-pci", "drive=drive-vb0", "id=vb0"),
            "-blockdev", f"driver=qcow2,node-name=node-bd0,file.driver=file,file.filename={vm.image('bd0')}",
            *pci("virtio-blk-pci", "drive=node-bd0", "id=bd0"),
            "-netdev", "user,id=net0", *pci("virtio-net-pci", "netdev=net0", "id=vn0"),
            *pci("virtio-balloon-pci", "id=bal0"),
            *drive("anon"), *pci("virtio-blk-pci", "drive=drive-anon"),
            *pci("virtio-scsi-pci", "id=scsi0"),
            *drive("sd0"), "-device", "scsi-hd,drive=drive-sd0,id=sd0,bus=scsi0.0",
            *pci("qemu-xhci", "id=xhci"),
            *drive("us0"), "-device", "usb-storage,drive=drive-us0,id=us0,bus=xhci.0",
        ]

    @staticmethod
    def entries(vm):
        """What QEMU itself lists, by collection, in the mount's names (as far as these VMs need them)."""
        last = lambda path: path.removesuffix("/virtio-backend").rpartition("/")[2]
        return {
            "block": [b["device"] or last(b["qdev"]) for b in vm.qmp("query-block")],
            "cpus": [str(c["cpu-index"]) for c in vm.qmp("query-cpus-fast")],
            "memory": [m["data"]["id"] for m in vm.qmp("query-memory-devices")],
            "devices": [p["name"] for parent in ("peripheral", "peripheral-anon")
                        for p in vm.qmp("qom-list", path=f"/machine/{parent}") if p["type"].startswith("child<")],
        }

    def removed(self, path, gone_too=()):
        """Remove through this directory: it and the others must be gone at once, from the mount and from QEMU."""
        vm, mount = self.machine, self.files
        paths = [path, *gone_too]
        listing = "; echo ::; ".join(f"ls '{p.partition('/')[0]}'" for p in paths)
        for p in paths:
            collection, _, name = p.partition("/")
            self.assertIn(name, mount.list(collection))
            self.assertIn(name, self.entries(vm)[collection])
        # what would be sent, which changes nothing
        out = self.ok(mount, f"{{ echo explain >&3 && cat <&3; }} 3<>'{path}/remove'; head -n 1 '{path}/remove'")
        *commands, state = out.splitlines()
        self.assertEqual(json.loads(commands[0])["execute"], "device_del")
        drive = next((b["device"] for b in vm.qmp("query-block") if f"block/{b['device']}" == path), None)
        self.assertEqual([json.loads(command)["arguments"] for command in commands[1:]],
                         [{"command-line": f"drive_del {drive}"}] if drive else [])
        self.assertEqual(state, "idle")
        out = self.ok(mount, f"echo 1 > '{path}/remove' && {{ {listing}; }}", 20)
        for p, names in zip(paths, out.split("::\n")):
            self.assertNotIn(p.partition("/")[2], names.split("\n"), f"{p} still listed")
        for p in paths:
            collection, _, name = p.partition("/")
            self.assertNotIn(name, self.entries(vm)[collection], f"QEMU still has {p}")
            self.fails(mount, f"cat '{p}/status'", "No such file or directory")

    def anonymous(self):
        """The name of the device without an id (QEMU's choice: one of the CPUs has none either)."""
        qdev = next(b["qdev"] for b in self.machine.qmp("query-block") if b["device"] == "drive-anon")
        return qdev.removesuffix("/virtio-backend").rpartition("/")[2]


class Unplug:
    """The tests; the classes below say on which machine."""

    def test_nvme_and_its_legacy_drive_go_together(self):
        self.removed("block/drive-nv0", ["devices/nv0"])

    def test_nvme_as_a_device_leaves_its_drive(self):
        self.removed("devices/nv1")
        self.assertIn("drive-nv1", self.files.list("block"))

    def test_virtio_blk_with_legacy_drive(self):
        self.removed("block/drive-vb0", ["devices/vb0"])

    def test_virtio_blk_with_blockdev_leaves_its_node(self):
        self.removed("block/bd0", ["devices/bd0"])
        self.assertIn("node-bd0", [node["node-name"] for node in self.machine.qmp("query-named-block-nodes")])

    def test_scsi_hd(self):
        self.removed("block/drive-sd0", ["devices/sd0"])

    def test_usb_storage(self):
        self.removed("block/drive-us0", ["devices/us0"])

    def test_virtio_net(self):
        self.removed("devices/vn0")

    def test_virtio_balloon(self):
        self.removed("devices/bal0")

    def test_device_without_id(self):
        self.removed(f"devices/{self.anonymous()}", ["block/drive-anon"])

    def test_dimm_through_memory(self):
        self.removed("memory/dimm1", ["devices/dimm1"])

    def test_dimm_through_devices(self):
        self.removed("devices/dimm2", ["memory/dimm2"])

    def test_z_hotplugged_cpu(self):
        """The last by its name, and only one: after a CPU was unplugged under TCG, this QEMU may crash or hang at the
        next hot-plug of any kind."""
        paths = [slot.get("qom-path") for slot in self.machine.qmp("query-hotpluggable-cpus")]
        self.removed(f"cpus/{self.CPU}")
        left = [slot.get("qom-path") for slot in self.machine.qmp("query-hotpluggable-cpus")]
        self.assertEqual(len(set(paths) - set(left)), 1)


class Pc(Unplug, Machine):
    """i440fx: ACPI hot-plug on the root bus."""

    CPU = 1  # has an id


class RootPorts(Machine):
    MACHINE = "q35"
    ARGS = [arg for n in range(1, 10) for arg in ("-device", f"pcie-root-port,id=rp{n},chassis={n},slot={n}")]

    @classmethod
    def bus(cls):
        cls.used = getattr(cls, "used", 0) + 1
        return f",bus=rp{cls.used}"


class Q35(Unplug, RootPorts):
    """q35: ACPI hot-plug behind root ports."""

    CPU = 2  # has none


class Q35Native(RootPorts):
    """q35 with PCI Express's own hot-plug. A removal takes more than 6 s there, so all are asked for at once."""

    ARGS = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", *RootPorts.ARGS]

    def test_all_at_once(self):
        vm, mount = self.machine, self.files
        doomed = ["block/drive-nv0", "devices/nv1", "block/drive-vb0", "block/bd0", "devices/vn0", "devices/bal0",
                  f"devices/{self.anonymous()}", "block/drive-us0", "block/drive-sd0", "memory/dimm1", "devices/dimm2"]
        commands = {path: mount.spawn(f"echo 1 > '{path}/remove' && ls '{path.partition('/')[0]}'") for path in doomed}
        for path, command in commands.items():
            with self.subTest(path):
                collection, _, name = path.partition("/")
                result = command.wait(30)
                self.assertEqual((result.code, result.err), (0, ""), result)
                self.assertNotIn(name, result.out.splitlines())
                self.assertNotIn(name, self.entries(vm)[collection])
        self.assertEqual(mount.list("block"), ["drive-nv1"])
        self.removed("cpus/1")


if __name__ == "__main__":
    real.main()
