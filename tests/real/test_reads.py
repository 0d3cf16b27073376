"""What walks over the whole mount make qmpfs send to QEMU: only what docs/security.md says; on two architectures."""

import os

import expected
import real
from proxy import Proxy
from vm import ARM, X86

LIMIT = 120
# The connection's own, see docs/security.md.
OWN = {"qmp_capabilities", "query-yank"}


class Reads:
    platform = None

    def setUp(self):
        self.machine = self.ordinary_vm(self.platform)
        self.proxy = Proxy(f"{self.machine.dir}/proxy.sock", self.machine.socket)
        self.addCleanup(self.proxy.close)
        self.files = self.mount(self.proxy.path, "max_load=100")  # else so many walks are held back

    def check_sent(self, what):
        """All that was sent is harmless; and something was sent."""
        sent = set(self.proxy.commands) - OWN
        self.assertEqual(sent - expected.harmless(), set(), what)
        self.assertGreater(len(self.proxy.commands), 100, what)
        print(f"{self.platform.machine}, {what}: {len(self.proxy.commands)} commands of {len(sent)} kinds")
        self.proxy.commands.clear()

    def test_walks_send_harmless_commands_only(self):
        before = expected.state(self.machine.qmp)
        out = f"{self.machine.dir}/out"
        os.mkdir(out)
        for command in (f"grep -r . . > {out}/grep", f"cp -r . {out}/cp", f"tar cf {out}/all.tar .", "find . -ls",
                        "ls -lRa"):
            with self.subTest(command):
                # QEMU refuses some of it; test_walk.py is about these
                self.files.sh(f"{command} > /dev/null", LIMIT)
                self.check_sent(command.split()[0])
        self.assertEqual(self.files.read("state"), "prelaunch")
        self.assertEqual(expected.state(self.machine.qmp), before)
        self.assertEqual(self.machine.qmp.events, [])

    def test_a_write_asks(self):
        """And nobody else before it."""
        self.assertTrue(self.files.read("types/nvme").startswith("not queried yet: device-list-properties creates "))
        self.assertTrue(self.files.read("query/cpu-definitions").startswith("not queried yet: query-cpu-definitions creates "))
        self.assertEqual(self.ok(self.files, "ls types"), "list\n")
        self.assertEqual(set(self.proxy.commands) - expected.harmless() - OWN, set())
        self.ok(self.files, "echo > types/nvme && echo > query/cpu-definitions")
        self.assertEqual(self.proxy.commands[-2:], ["device-list-properties", "query-cpu-definitions"])
        self.assertIn("use-intel-id", self.ok(self.files, "cat types/nvme"))
        self.assertGreater(len(self.json(self.files, "query/cpu-definitions")), 5)
        self.assertEqual(self.proxy.commands[-2:], ["device-list-properties", "query-cpu-definitions"])
        self.fails(self.files, "echo > types/no-such-type", "No such device")
        self.assertIn("Device 'no-such-type' not found", self.ok(self.files, "tail -n 1 errors"))

    def test_what_device_add_has_asked_is_known(self):
        self.ok(self.files, "echo driver=nvme,drive=nvme,serial=x,nosuch=1 > cmd/device_add 2> /dev/null || :")
        self.assertEqual(self.proxy.commands.count("device-list-properties"), 1)
        self.assertIn("use-intel-id", self.ok(self.files, "cat types/nvme"))
        self.assertEqual(self.ok(self.files, "ls types"), "list\nnvme\n")
        self.assertEqual(self.proxy.commands.count("device-list-properties"), 1)


class ReadsOnX86(Reads, real.RealTest):
    platform = X86


class ReadsOnArm(Reads, real.RealTest):
    platform = ARM


if __name__ == "__main__":
    real.main(X86, ARM)
