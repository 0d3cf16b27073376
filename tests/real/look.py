"""look.py DIRECTORY: all that is below it, as JSON; for tests that read thousands of files, see Mount.look().

A program of its own, so that it can be ended when it hangs. One object per path: its kind, mode, inode number and size
(before and after reading), and a file's content or errno, or a link's target and the inode number of what it leads to
(null: nowhere).
"""

import json
import os
import stat
import sys

KINDS = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


def look_at_file(path, entry):
    try:
        with open(path, "rb") as file:
            entry["text"] = file.read().decode(errors="surrogateescape")
            entry["size_after"] = os.fstat(file.fileno()).st_size
    except OSError as error:
        entry["errno"] = error.errno


def look_at_link(path, entry):
    entry["target"] = os.readlink(path)
    try:
        entry["leads"] = os.stat(path).st_ino
    except FileNotFoundError:
        entry["leads"] = None


def look(path, found):
    with os.scandir(path) as names:
        for name in names:
            status = os.lstat(name.path)
            entry = found[os.path.normpath(name.path)] = {
                "kind": KINDS[stat.S_IFMT(status.st_mode)],
                "mode": stat.S_IMODE(status.st_mode),
                "inode": status.st_ino,
                "size": status.st_size,
            }
            # What the listing says without anybody looking at the file must be the same.
            listed = "link" if name.is_symlink() else "dir" if name.is_dir(follow_symlinks=False) else "file"
            if listed != entry["kind"] or name.inode() != status.st_ino:
                raise AssertionError(f"{name.path} is listed as a {listed} with inode {name.inode()}, and is a "
                                     f"{entry['kind']} with {status.st_ino}")
            if entry["kind"] == "dir":
                look(name.path, found)
            elif entry["kind"] == "link":
                look_at_link(name.path, entry)
            else:
                look_at_file(name.path, entry)


if __name__ == "__main__":
    everything = {}
    look(sys.argv[1], everything)
    json.dump(everything, sys.stdout)
