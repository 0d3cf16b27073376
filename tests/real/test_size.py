"""`block/X/size`: reads the virtual size, and a write changes it live, whichever way the disk was made."""

import os
import subprocess

import real

M = 1 << 20


class Size(real.RealTest):
    def images(self, vm):
        """A disk of each sort: by -drive and by -blockdev, qcow2 and raw; and a drive without a medium."""
        with open(f"{vm.dir}/raw.img", "wb") as raw:
            raw.truncate(64 * M)
        old, new = vm.image("old"), vm.image("new")
        return ["-drive", f"if=none,id=OLD,file={old},format=qcow2", "-device", "virtio-blk-pci,drive=OLD,id=old",
                "-drive", f"if=none,id=RAW,file={vm.dir}/raw.img,format=raw", "-device", "virtio-blk-pci,drive=RAW,id=raw",
                "-blockdev", f"qcow2,node-name=node,file.driver=file,file.filename={new}",
                "-device", "virtio-blk-pci,drive=node,id=new",
                "-device", "ide-cd,id=cd"]

    def up(self):
        self.machine = self.vm("-S", prepare=self.images)
        return self.mount(self.machine)

    def sizes(self, mount, name):
        """What the file shows, what QEMU says and, of the image, what is on the disk."""
        device = self.machine.qmp("qom-get", path="/machine/peripheral/" + {"OLD": "old", "RAW": "raw"}.get(name, name),
                                  property="drive")
        for record in self.machine.qmp("query-block"):
            inserted = record.get("inserted")
            if inserted and device in (record["device"], inserted["node-name"]):
                return int(mount.read(f"block/{name}/size")), inserted["image"]["virtual-size"]
        self.fail(f"no {name}")

    def test_disks_grow_and_shrink(self):
        mount = self.up()
        for name in ("OLD", "RAW", "new"):
            with self.subTest(name):
                self.assertEqual(self.sizes(mount, name), (64 * M, 64 * M))
                self.ok(mount, f"echo 100M > block/{name}/size")
                self.assertEqual(self.sizes(mount, name), (100 * M, 100 * M))
                self.ok(mount, f"echo {100 * M + 512} > block/{name}/size")
                self.assertEqual(self.sizes(mount, name), (100 * M + 512, 100 * M + 512))
                # The same again is nothing to do, and no shrinking.
                self.ok(mount, f"echo {100 * M + 512} > block/{name}/size")
                self.fails(mount, f"echo 32M > block/{name}/size", "Invalid argument")
                self.assertIn("a lower value needs the word 'shrink'", mount.read("errors").splitlines()[-1])
                self.assertEqual(self.sizes(mount, name), (100 * M + 512, 100 * M + 512))
                self.ok(mount, f"echo 32M shrink > block/{name}/size")
                self.assertEqual(self.sizes(mount, name), (32 * M, 32 * M))
        self.assertEqual(os.path.getsize(f"{self.machine.dir}/raw.img"), 32 * M)
        info = subprocess.run(["qemu-img", "info", "-U", f"{self.machine.dir}/new.qcow2"], check=True,
                              capture_output=True, text=True).stdout
        self.assertIn(f"({32 * M} bytes)", info)

    def test_bad_sizes(self):
        mount = self.up()
        for size in ("1000", str(64 * M + 1), "-512", "10Q", "100M 200M", "100M grow", "size=100M", '"100M"', "0"):
            with self.subTest(size):
                self.fails(mount, f"echo '{size}' > block/OLD/size", "Invalid argument")
        self.assertEqual(self.sizes(mount, "OLD"), (64 * M, 64 * M))

    def test_explain(self):
        mount = self.up()
        explain = "{ echo 100M explain >&3 && cat <&3; } 3<>block/%s/size"
        self.assertEqual(self.ok(mount, explain % "OLD"),
                         '{"execute":"block_resize","arguments":{"device":"OLD","size":104857600}}\n')
        self.assertEqual(self.ok(mount, explain % "new"),
                         '{"execute":"block_resize","arguments":{"node-name":"node","size":104857600}}\n')
        self.assertEqual(self.sizes(mount, "new"), (64 * M, 64 * M))

    def test_nothing_inserted(self):
        mount = self.up()
        self.assertNotIn("size", self.ok(mount, "ls block/cd").split())
        self.fails(mount, "cat block/cd/size", "No such file")

    def test_refused_by_qemu(self):
        mount = self.up()
        # A block job holds the node.
        self.machine.qmp("blockdev-add", **{"driver": "null-co", "node-name": "target", "size": 64 * M})
        self.machine.qmp("blockdev-mirror", **{"job-id": "j", "device": "node", "target": "target", "sync": "full"})
        self.fails(mount, "echo 100M > block/new/size", "Device or resource busy")
        self.assertEqual(mount.read("block/new/size"), str(64 * M))


if __name__ == "__main__":
    real.main()
