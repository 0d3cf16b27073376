"""rights.py DIRECTORY: what whoever runs it may do with all that is below it, as JSON; for test_access.py.

{path: {kind, mode, uid, gid, and errno names (or "") of what was tried}}: of files "read", "write" and "both" by open(2)
alone, of directories "list" and "make". Of the files of one mode in one directory only the first few are opened.
"""

import errno
import json
import os
import stat
import sys

FEW = 3


def attempt(function, *args):
    try:
        result = function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    if isinstance(result, int):
        os.close(result)
    return ""


def look(path, found):
    entry = found[os.path.relpath(path, sys.argv[1])] = describe(path)
    entry["list"] = attempt(os.listdir, path)
    entry["make"] = attempt(os.mkdir, f"{path}/new-name")
    opened = {}
    try:
        names = sorted(os.listdir(path))
    except PermissionError:
        return
    for name in names:
        below = f"{path}/{name}"
        entry = describe(below)
        if entry["kind"] == "dir":
            look(below, found)
            continue
        found[os.path.relpath(below, sys.argv[1])] = entry
        mode = entry["mode"]
        if entry["kind"] == "file" and opened.setdefault(mode, 0) < FEW:
            opened[mode] += 1
            for what, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY), ("both", os.O_RDWR)):
                entry[what] = attempt(os.open, below, flags)
            # The content comes with the opening: what QEMU refuses to all is no matter of rights.
            if os.access(below, os.R_OK):
                entry["read"] = ""


def describe(path):
    status = os.lstat(path)
    kinds = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    return {"kind": kinds[stat.S_IFMT(status.st_mode)], "mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid,
            "gid": status.st_gid}


if __name__ == "__main__":
    everything = {}
    look(sys.argv[1], everything)
    json.dump(everything, sys.stdout)
