"""The same thing thousands of times: memory and descriptors must be where they were.

soak.py [-r READS] [-m MOUNTS] [-u UNPLUGS]; test_soak.py is a short form of it. Not a test of ctest's by itself: the
whole of it takes minutes. Needs QMPFS in the environment, and no guest.
"""

import argparse
import os
import subprocess
import sys
import time

from mount import Mount, binary
from vm import Vm, wait_for

# A heap that has found its size still moves by a few pages.
TOLERANCE_KB = 64
# What `events` keeps.
EVENTS = 1000


class Grown(AssertionError):
    """Something was not where it had been."""


def usage(pid):
    """VmRSS and VmHWM in kB, and the number of descriptors."""
    numbers = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                numbers[name] = int(rest.split()[0])
    numbers["fds"] = len(os.listdir(f"/proc/{pid}/fd"))
    return numbers


def sanitized():
    """Under ASan freed memory stays in quarantine, so only descriptors can be compared; LeakSanitizer sees the rest."""
    with open(binary(), "rb") as file:
        return b"__asan_init" in file.read()


def compare(what, before, after, memory=True):
    print(f"{what}: {before} -> {after}", flush=True)
    if after["fds"] > before["fds"]:
        raise Grown(f"{what}: {after['fds'] - before['fds']} more descriptors")
    if memory and after["VmRSS"] > before["VmRSS"] + TOLERANCE_KB:
        raise Grown(f"{what}: {after['VmRSS'] - before['VmRSS']} kB more memory")


def repeat(what, pid, action, count):
    """A tenth of it to warm up, then the rest under watch."""
    warm = max(count // 10, 10)
    for n in range(warm):
        action(n)
    before = usage(pid)
    begin = time.monotonic()
    for n in range(warm, count):
        action(n)
    seconds = time.monotonic() - begin
    each = seconds / max(count - warm, 1) * 1000
    compare(f"{count} {what} ({each:.1f} ms each)", before, usage(pid), not sanitized())


def reads(mount, count):
    """cat status; in lots of a hundred, since it isn't bash that is on trial."""
    def hundred(_):
        subprocess.run(["bash", "-c", 'for n in {1..100}; do cat "$0/status" || exit; done > /dev/null', mount.dir],
                       check=True, timeout=60)
    repeat("times 100 cat status", mount.pid, hundred, max(count // 100, 1))


def unplugs(vm, mount, count):
    def cycle(_):
        vm.qmp("device_add", driver="scsi-hd", id="sd0", drive="node", bus="scsi0.0")
        # Nothing tells of a device that comes; names may be a tenth of a second old.
        wait_for(lambda: os.path.exists(f"{mount.dir}/block/sd0/remove"), "the new disk")
        with open(f"{mount.dir}/block/sd0/remove", "w") as file:
            file.write("1\n")
        assert os.listdir(f"{mount.dir}/block") == [], "the disk is still there"
        vm.qmp.events.clear()
    # Each cycle leaves an event in `events`, which grows until it is full.
    for _ in range(EVENTS // 2):
        vm.qmp("stop")
        vm.qmp("cont")
    repeat("unplug-and-plug cycles", mount.pid, cycle, count)


def mounts(vm, count):
    """Each daemon is a new process, so what must not pile up is on QEMU's side."""
    def cycle(_):
        mount = Mount(vm.socket)
        try:
            mount.start()
            with open(f"{mount.dir}/state") as file:
                assert file.read() == "running\n"
        finally:
            mount.remove()
    repeat("mounts and unmounts", vm.process.pid, cycle, count)


def run(read_count, mount_count, unplug_count):
    vm = Vm("-device", "virtio-scsi-pci,id=scsi0", "-blockdev", "driver=null-co,node-name=node,size=1048576")
    try:
        vm.start()
        if mount_count:
            mounts(vm, mount_count)
        if read_count or unplug_count:
            mount = Mount(vm.socket)
            try:
                mount.start()
                if read_count:
                    reads(mount, read_count)
                if unplug_count:
                    unplugs(vm, mount, unplug_count)
            finally:
                mount.remove()
    finally:
        vm.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--reads", type=int, default=10000)
    parser.add_argument("-m", "--mounts", type=int, default=1000)
    parser.add_argument("-u", "--unplugs", type=int, default=1000)
    args = parser.parse_args()
    if not os.environ.get("QMPFS"):
        parser.error("QMPFS doesn't name the qmpfs executable")
    try:
        run(args.reads, args.mounts, args.unplugs)
    except Grown as error:
        print(f"FAIL: {error}")
        return 1
    print("nothing grew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
