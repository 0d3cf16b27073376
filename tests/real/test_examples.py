"""docs/examples.md: each block of shell or Python runs as it stands there, and prints what is shown behind it."""

import os
import re
import shlex

import real


class Examples(real.RealTest):
    def blocks(self):
        """(line, language, code, expected output or None) for each block."""
        with open(f"{os.environ['QMPFS_SOURCE']}/docs/examples.md") as file:
            text = file.read()
        found = [(text.count("\n", 0, match.start()) + 1, match[1], match[2])
                 for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)]
        for i, (line, language, code) in enumerate(found):
            shown = found[i + 1][2] if i + 1 < len(found) and found[i + 1][1] == "text" else None
            if language != "text":
                yield line, language, code, shown

    def test_every_example(self):
        vm = self.vm("-name", "example", "-device", "virtio-scsi-pci,id=scsi0", "-object", "iothread,id=io0",
                     "-device", "virtio-net-pci,id=net0", memory="256M,slots=2,maxmem=1G",
                     prepare=lambda vm: [arg for name in ("disk0", "disk1") for arg in (
                         "-drive", f"file={vm.image(name)},if=none,id={name}",
                         "-device", f"scsi-hd,drive={name},id={name},bus=scsi0.0")] + [
                             "-drive", "if=none,id=cd0", "-device", "scsi-cd,drive=cd0,id=cd0,bus=scsi0.0"])
        mount = self.mount(vm)
        iso = f"{vm.dir}/cd.iso"
        with open(iso, "wb") as file:
            file.truncate(1 << 20)
        n = 0
        for line, language, code, shown in self.blocks():
            n += 1
            with self.subTest(f"docs/examples.md, line {line}"):
                program = ["bash", "-eu", "-c"] if language == "sh" else ["/usr/bin/python3", "-c"]
                result = mount.sh(f"VM={shlex.quote(mount.dir)} ISO={shlex.quote(iso)} {shlex.join(program)} {shlex.quote(code)}", 60)
                self.assertEqual((result.code, result.err), (0, ""), result)
                if shown is not None:
                    self.assertEqual(result.out, shown)
        self.assertGreater(n, 15)
        print(f"{n} examples")


if __name__ == "__main__":
    real.main()
