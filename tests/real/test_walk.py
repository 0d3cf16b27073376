"""What walks over the whole tree ends, fails only where QEMU refuses, and changes nothing; on two architectures."""

import os
import re

import expected
import real
from vm import ARM, X86

LIMIT = 120
# What each says of a file that can't be read; the rest of what tar says is below.
ERRORS = {
    "grep": r"grep: \./(?P<path>.*): (?P<words>[^:]*)$",
    "cp": r"cp: cannot open '\./(?P<path>.*)' for reading: (?P<words>[^:]*)$",
    "tar": r"tar: \./(?P<path>.*): Cannot open: (?P<words>[^:]*)$",
    "find": r"(?!)",
}
# A size that isn't known before the first reading is 4096: tar pads what is shorter, cuts what is longer, and says so.
TAR_SAYS = re.compile(r"tar: \./.*: (File shrank by \d+ bytes?; padding with zeros|file changed as we read it)$|"
                      r"tar: Exiting with failure status due to previous errors$")
WORDS = {"EACCES": "Permission denied", "EIO": "Input/output error", "ENODEV": "No such device",
         "EOPNOTSUPP": "Operation not supported"}


class Walk:
    platform = None

    def setUp(self):
        self.machine = self.ordinary_vm(self.platform)
        self.files = self.mount(self.machine)
        self.out = f"{self.machine.dir}/out"
        os.mkdir(self.out)
        self.commands = {
            "grep": f"grep -r . . > {self.out}/grep",
            "cp": f"cp -r . {self.out}/cp",
            "tar": f"tar cf {self.out}/all.tar .",
            "find": f"find . -ls > {self.out}/find",
        }

    def check_errors(self, name, result, refused):
        """It has failed for these files and for no others."""
        said = {}
        for line in result.err.splitlines():
            match = re.match(ERRORS[name], line)
            if match:
                said[match["path"]] = match["words"]
            else:
                self.assertTrue(name == "tar" and TAR_SAYS.match(line), line)
        if name == "find":
            self.assertEqual(result.code, 0, result)
        else:
            self.assertEqual(said, {path: WORDS[expected.errno_name(error)] for path, error in refused.items()})
            self.assertNotEqual(result.code, 0, result)

    def check_results(self, refused):
        """They have seen all there is, and copied all but what can't be opened."""
        with open(f"{self.out}/find", errors="surrogateescape") as file:
            count = len(file.readlines())
        self.assertEqual(self.ok(self.files, f"find {self.out}/cp | wc -l; tar tf {self.out}/all.tar | wc -l", LIMIT),
                         f"{count - len(refused)}\n{count - len(refused)}\n")
        with open(f"{self.out}/grep", errors="surrogateescape") as file:
            lines = {" ".join(line.split()) for line in file}
        for line in ("./state:prelaunch", './query/name: "name": "ordinary"', "./types/nvme:use-intel-id bool false",
                     "./qom/objects/io0/type:iothread", "./schema/commands/stop:returns: nothing",
                     "./devices/nvme0/serial:abc"):
            self.assertIn(line, lines)
        print(f"{self.platform.machine}: {count} names, {len(lines)} different lines")

    def check_copy(self):
        """What was copied is what is there."""
        for part in ("qom/machine/peripheral", "schema/commands"):
            copy = self.files.look(f"{self.out}/cp/{part}", LIMIT)
            for path, entry in self.files.look(part, LIMIT).items():
                if hasattr(entry, "errno"):
                    self.assertNotIn(f"{self.out}/cp/{path}", copy)
                    continue
                copied = copy[f"{self.out}/cp/{path}"]
                self.assertEqual(copied.kind, entry.kind, path)
                if entry.kind == "link":
                    self.assertEqual(copied.target, entry.target, path)
                elif entry.kind == "file":
                    self.assertEqual(copied.text, entry.text, path)

    def unchanged(self, before):
        self.assertEqual(expected.state(self.machine.qmp), before)
        self.assertEqual(self.machine.qmp.events, [])
        self.assertEqual(self.ok(self.files, "cat events"), "")

    def test_walks(self):
        """One alone, then three at once."""
        self.ok(self.files, "echo > types/nvme")
        refused = expected.refused(self.machine.qmp)
        before = expected.state(self.machine.qmp)
        self.check_errors("find", self.files.sh(self.commands["find"], LIMIT), refused)
        walkers = {name: self.files.spawn(self.commands[name]) for name in ("grep", "cp", "tar")}
        for name, walker in walkers.items():
            with self.subTest(name):
                self.check_errors(name, walker.wait(LIMIT), refused)
        self.unchanged(before)
        self.check_results(refused)
        self.check_copy()

    def test_qemu_dies_in_the_middle(self):
        walkers = [self.files.spawn(self.commands[name]) for name in ("cp", "tar")]
        walkers.append(self.files.spawn("grep -r --line-buffered . qom"))
        self.eventually(lambda: walkers[-1].output().count("\n") > 100, "the first lines")
        self.eventually(lambda: os.path.isdir(f"{self.out}/cp"), "the first copy")
        self.machine.kill()
        for walker in walkers:
            result = walker.wait_more(20)
            self.assertNotEqual(result.code, 0, result)
            self.assertIn("Host is down", result.err, result.command)
        self.assertEqual(self.files.read("state"), "down")
        # Nothing looks as if it were empty.
        for path in ("query", "schema/types", "qom", "qom/machine"):
            self.fails(self.files, f"ls {path}", "Host is down")
        # Whoever comes next has another one.
        self.machine.start()
        self.eventually(lambda: self.files.sh("cat qom/objects/io0/type query/name").out.startswith("iothread\n{"),
                        "the reconnection", 12)


class WalkOnX86(Walk, real.RealTest):
    platform = X86

    def test_qemu_is_silent_in_the_middle(self):
        """Each file in the directories that are open by then costs the walker a fiftieth of the time limit."""
        self.files.unmount()
        mount = self.files = self.mount(self.machine, "timeout=1")
        walker = mount.spawn("grep -r --line-buffered . qom")
        self.eventually(lambda: walker.output().count("\n") > 100, "the first lines")
        self.machine.stop()
        result = walker.wait_more(30)
        self.assertEqual(result.code, 2, result)
        self.assertIn("Connection timed out", result.err)
        self.machine.go_on()
        self.eventually(lambda: mount.read("connection").startswith("up since "), "a connection that is up")
        self.assertEqual(self.ok(mount, "cat qom/objects/io0/type"), "iothread\n")


class WalkOnArm(Walk, real.RealTest):
    platform = ARM


if __name__ == "__main__":
    real.main(X86, ARM)
