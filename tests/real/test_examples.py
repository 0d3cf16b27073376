"""The examples: each block of shell or Python in docs/examples.md and README.md runs as it stands there, on a fresh VM,
and prints what is shown behind it. README.md has the VM at /mnt/vm.

The VM has no guest, unless the line above the block is `<!-- guest -->`.
"""

import os
import re

import real
from mount import Running

# No block should depend on how the disks were made.
DISKS = {
    "-drive": "file={path},if=none,id={name}",
    "-blockdev": "driver=qcow2,file.driver=file,file.filename={path},node-name={name}",
}
DEVICES = (
    "-name", "example", "-device", "virtio-scsi-pci,id=scsi0", "-object", "iothread,id=io0",
    "-netdev", "user,id=n0", "-netdev", "user,id=n1", "-device", "virtio-net-pci,netdev=n1,id=net0",
    "-device", "virtio-blk-pci,drive=disk0,id=disk0", "-device", "scsi-hd,drive=disk1,id=disk1,bus=scsi0.0",
    "-drive", "if=none,id=cd0", "-device", "scsi-cd,drive=cd0,id=cd0,bus=scsi0.0",
)


def blocks(page):
    """(line, needs a guest, language, code, expected output or None) for each block of shell or Python."""
    with open(f"{os.environ['QMPFS_SOURCE']}/{page}") as file:
        text = file.read()
    found = [(text.count("\n", 0, match.start(2)) + 1, match[1] is not None, match[2], match[3])
             for match in re.finditer(r"^(<!-- guest -->\n)?```(\w*)\n(.*?)^```$", text, re.M | re.S)]
    for block, after in zip(found, [*found[1:], None]):
        if block[2] in ("sh", "python"):
            yield *block, after[3] if after and after[2] == "text" else None


class Examples(real.RealTest):
    def run_block(self, disks, guest, language, code, shown):
        vm = self.vm(*DEVICES, guest=guest, memory="256M,slots=2,maxmem=1G", prepare=lambda vm: [
            arg for name in ("disk0", "disk1") for arg in (
                disks, DISKS[disks].format(path=vm.image(name), name=name))])
        mount = self.mount(vm)
        iso = f"{vm.dir}/cd.iso"
        with open(iso, "wb") as file:
            file.truncate(1 << 20)
        argv = ["bash", "-eu", "-c"] if language == "sh" else ["/usr/bin/python3", "-c"]
        argv.append(code.replace("/mnt/vm", mount.dir))
        result = Running(argv, {"VM": mount.dir, "ISO": iso}, mount.kill).wait(60)
        self.assertEqual((result.code, result.err), (0, ""), result)
        if shown is not None:
            self.assertEqual(result.out, shown)

    def run_page(self, page, disks, least):
        n = 0
        for line, *block in blocks(page):
            n += 1
            with self.subTest(f"{page}, line {line}, disks by {disks}"):
                try:
                    self.run_block(disks, *block)
                finally:
                    self.doCleanups()
        self.assertGreaterEqual(n, least)

    def test_each_block_alone(self):
        for disks in DISKS:
            self.run_page("docs/examples.md", disks, 20)

    def test_readme(self):
        self.run_page("README.md", "-blockdev", 1)


if __name__ == "__main__":
    real.main()
