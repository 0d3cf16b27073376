#!/usr/bin/python3
"""nfs.py PORT COMMAND PATH: a small NFSv4 client on libnfs, for what nfs-cat and nfs-cp can't do.

    cat PATH      to the end, whatever size is told
    stat PATH     the size by path
    fstat PATH    the size of the open file
    write PATH    standard input, in one write at 0, into a file opened for writing
    put PATH      the same with O_TRUNC, as a shell's > opens it
"""

import ctypes
import os
import sys

libnfs = ctypes.CDLL("libnfs.so.13")
libnfs.nfs_init_context.restype = ctypes.c_void_p
libnfs.nfs_parse_url_dir.restype = ctypes.c_void_p
libnfs.nfs_get_error.restype = ctypes.c_char_p
ST_SIZE = 7  # in struct nfs_stat_64, which is all of uint64_t


class Client:
    def __init__(self, port):
        self.context = ctypes.c_void_p(libnfs.nfs_init_context())
        url = f"nfs://127.0.0.1/vm?version=4&nfsport={port}"
        assert libnfs.nfs_parse_url_dir(self.context, url.encode())
        self.call("mount", b"127.0.0.1", b"/vm")

    def call(self, name, *args):
        """A function of libnfs; it gives a number, or a negative errno."""
        result = getattr(libnfs, f"nfs_{name}")(self.context, *args)
        if result < 0:
            # "pwrite call failed with "NFS4: WRITE (path (null)) failed with NFS4ERR_INVAL(-22)""
            detail = libnfs.nfs_get_error(self.context).decode(errors="replace")
            sys.exit(f"nfs.py: {name}: {os.strerror(-result)}: {detail}")
        return result

    def open(self, path, flags):
        handle = ctypes.c_void_p()
        self.call("open", path.encode(), flags, ctypes.byref(handle))
        return handle

    def read(self, handle, offset, size=65536):
        buffer = ctypes.create_string_buffer(size)
        n = self.call("pread", handle, ctypes.c_uint64(offset), ctypes.c_uint64(size), buffer)
        return buffer.raw[:n]

    def cat(self, path):
        handle = self.open(path, os.O_RDONLY)
        offset = 0
        while data := self.read(handle, offset):
            sys.stdout.buffer.write(data)
            offset += len(data)
        self.call("close", handle)

    def stat(self, path):
        attributes = (ctypes.c_uint64 * 32)()
        self.call("stat64", path.encode(), attributes)
        print(attributes[ST_SIZE])

    def fstat(self, path):
        attributes = (ctypes.c_uint64 * 32)()
        handle = self.open(path, os.O_RDONLY)
        self.call("fstat64", handle, attributes)
        print(attributes[ST_SIZE])
        self.call("close", handle)

    def write(self, path, flags=os.O_WRONLY):
        data = sys.stdin.buffer.read()
        handle = self.open(path, flags)
        self.call("pwrite", handle, ctypes.c_uint64(0), ctypes.c_uint64(len(data)), data)
        self.call("close", handle)

    def put(self, path):
        self.write(path, os.O_WRONLY | os.O_TRUNC)


def main():
    port, command, path = sys.argv[1:]
    assert command in ("cat", "stat", "fstat", "write", "put")
    getattr(Client(int(port)), command)(path if path.startswith("/") else f"/{path}")


if __name__ == "__main__":
    main()
