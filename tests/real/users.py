"""Other users than root: commands, VMs and mounts of theirs. Needs root, and a mount namespace of our own."""

import ctypes
import os
import stat
import subprocess

from vm import libc

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
MNT_DETACH = 2
FUSE_DEVICE = os.makedev(10, 229)


def as_user(uid, gid=None, *more):
    """What comes before a command to run it as this user, without further groups."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid if gid is None else gid}", "--clear-groups", *more]


def mount(source, target, kind, flags, data=None):
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    if libc.mount(*texts, ctypes.c_ulong(flags), None if data is None else data.encode()) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def own_namespace():
    """What this program mounts is seen by itself and its children alone, from now on. Before any thread is started."""
    if libc.unshare(CLONE_NEWNS) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    # Copies of other tests' mounts came along, and would keep those from ending.
    with open("/proc/self/mounts") as file:
        others = [line.split(" ")[1] for line in file if line.split(" ")[2] == "fuse.qmpfs"]
    for path in others:
        libc.umount2(os.fsencode(path), MNT_DETACH)


def open_fuse(directory):
    """Everybody may use /dev/fuse, as on most systems. `directory` is an empty one, for a device of that mode."""
    if stat.S_IMODE(os.stat("/dev/fuse").st_mode) & 0o006 == 0o006:
        return
    mount("none", directory, "tmpfs", 0, "mode=0755")
    os.mknod(f"{directory}/fuse", stat.S_IFCHR, FUSE_DEVICE)
    os.chmod(f"{directory}/fuse", 0o666)
    replace(f"{directory}/fuse", "/dev/fuse")


def add_users(path, *uids):
    """fusermount3 wants users with names. `path` is for a copy of /etc/passwd."""
    with open("/etc/passwd") as old, open(path, "w") as new:
        new.write(old.read())
        for uid in uids:
            new.write(f"qmpfs{uid}:x:{uid}:{uid}::/:/bin/sh\n")
    os.chmod(path, 0o644)
    replace(path, "/etc/passwd")


def replace(source, target):
    mount(source, target, None, MS_BIND)


def restore(target):
    subprocess.run(["umount", target], check=True)
