"""What every real test shares: what it needs to run at all, a VM and a mount that are cleaned up, and assertions."""

import json
import os
import shutil
import sys
import threading
import unittest

from mount import Mount, binary
from vm import X86, Vm, wait_for

WATCHDOG = 540  # seconds; less than what ctest grants a test
SKIPPED = 77  # what ctest takes for "skipped"

# A bit of all that any machine with PCI can have, for ordinary_vm().
DEVICES = (
    "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,id=net0",
    "-device", "virtio-balloon-pci,id=balloon0", "-device", "virtio-scsi-pci,id=scsi0",
    "-drive", "driver=null-co,size=1M,if=none,id=nvme", "-device", "nvme,drive=nvme,serial=abc,id=nvme0",
    "-blockdev", "driver=null-co,node-name=node0,size=1048576", "-device", "virtio-blk-pci,drive=node0,id=disk0",
    "-drive", "driver=null-co,size=1M,if=none,id=cd", "-device", "scsi-cd,drive=cd,bus=scsi0.0",
    "-object", "rng-random,id=random0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random0,id=rng0",
    "-object", "memory-backend-ram,id=mem0,size=128M", "-device", "virtio-mem-pci,memdev=mem0,id=memory0",
    "-object", "iothread,id=io0", "-object", "throttle-group,id=throttle0,x-iops-total=100",
)


class RealTest(unittest.TestCase):
    maxDiff = 4000
    mounts = []

    def vm(self, *args, start=True, prepare=None, **how):
        """A VM that ends with the test. prepare(vm) returns further arguments, e.g. with images in its directory."""
        vm = Vm(*args, **how)
        self.addCleanup(vm.remove)
        if prepare:
            vm.argv += prepare(vm)
        return vm.start() if start else vm

    def ordinary_vm(self, platform):
        """A VM of this platform that doesn't run, with DEVICES, and two vCPUs."""
        return self.vm("-S", "-name", "ordinary", *DEVICES, platform=platform, memory="256M,slots=2,maxmem=1G", smp="2")

    def mount(self, vm, options="", **how):
        """A mount of this VM (or of a source given as a string) that ends with the test, checked for a clean end."""
        mount = self.new_mount(vm, options, **how)
        return mount.start()

    def new_mount(self, vm, options="", **how):
        mount = Mount(vm if isinstance(vm, str) else vm.socket, options, **how)
        self.mounts.append(mount)
        self.addCleanup(mount.remove)
        return mount

    def ok(self, mount, command, limit=15):
        """The command must succeed and say nothing on stderr; its output."""
        result = mount.sh(command, limit)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.err, "", result)
        return result.out

    def fails(self, mount, command, words, limit=15):
        """The command must fail with these words of errno in its message; the result."""
        result = mount.sh(command, limit)
        self.assertNotEqual(result.code, 0, result)
        self.assertIn(words, result.err, result)
        return result

    def refused(self, mount, path, errno_words, errno_name, words, written="1", limit=15):
        """A removal must fail with this errno, and QEMU's words must be in `remove` and in `errors`."""
        self.fails(mount, f"echo {written} > '{path}'", errno_words, limit)
        self.assertIn(words, mount.read(path))
        last = mount.read("errors").splitlines()[-1]
        self.assertRegex(last, rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\S* uid=\d+ pid=\d+ \S+ {errno_name} \S+ ", last)
        self.assertIn(words, last)
        self.assertIn(path, last)

    def json(self, mount, path, limit=15):
        return json.loads(mount.read(path, limit))

    def eventually(self, condition, what, limit=20):
        return wait_for(condition, what, limit)


def missing(platforms):
    """Why no real test of these platforms can run here, or None."""
    if not os.environ.get("QMPFS"):
        return "QMPFS doesn't name the qmpfs executable"
    if not os.access(binary(), os.X_OK):
        return f"no executable at {binary()}"
    guest = os.environ.get("QMPFS_GUEST", "")
    if not os.path.exists(f"{guest}/initrd.img"):
        return f"no guest in '{guest}' (QMPFS_GUEST; tests/mkguest.sh makes it)"
    for program in (*(platform.emulator for platform in platforms), "qemu-img", "fusermount3", "bash"):
        if not shutil.which(program):
            return f"no {program}"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no access to /dev/fuse"
    return None


def main(*platforms):
    """Run the file's tests; without platforms they are for X86."""
    why = missing(platforms or [X86])
    if why:
        # On the machine that decides, a test that didn't run is a test that failed.
        if os.environ.get("CI"):
            print(f"FAIL: {why}")
            sys.exit(1)
        print(f"SKIP: {why}")
        sys.exit(SKIPPED)
    # A test that reads the mount by itself and gets no answer can't even be killed; the end of the daemon frees it.
    watchdog = threading.Timer(WATCHDOG, lambda: [mount.kill() for mount in RealTest.mounts])
    watchdog.daemon = True
    watchdog.start()
    # Outputs are temporary files that live as long as somebody may ask for them.
    unittest.main(verbosity=2, warnings="ignore")
