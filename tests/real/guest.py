"""The guest's shell on its serial line.

The test guest (tests/mkguest.sh) reads commands from ttyS0 without a prompt or an echo, so a command is a line written
and its output is what comes back before a marker that we ask for.

As a program, for scripts:  guest.py SOCKET COMMAND...   runs the command in the guest and exits as it did.
"""

import re
import socket
import sys
import time


class GuestError(AssertionError):
    """The guest did not answer, or its command failed."""


class GuestShell:
    """One connection to the chardev socket behind the guest's ttyS0; QEMU serves one at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.serial = 0

    def close(self):
        self.socket.close()

    def run(self, command, limit=20):
        """Run one line of shell; return (exit status, output)."""
        self.serial += 1
        # The marker is put together by the guest, so that no echo of the line could be taken for it.
        end = re.compile(rb"@@%d:(\d+)@@\r?\n" % self.serial)
        self.socket.sendall(b"%s\necho @@%d:$?@@\n" % (command.encode(), self.serial))
        data = b""
        deadline = time.monotonic() + limit
        while True:
            found = end.search(data)
            if found:
                return int(found[1]), data[:found.start()].decode(errors="replace").replace("\r\n", "\n")
            left = deadline - time.monotonic()
            if left <= 0:
                raise GuestError(f"guest: no end of '{command}' after {limit} s; so far: {data!r}")
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except socket.timeout:
                continue
            if not more:
                raise GuestError(f"guest: serial line closed during '{command}'")
            data += more


def main():
    if len(sys.argv) < 3:
        print("usage: guest.py SOCKET COMMAND...", file=sys.stderr)
        return 2
    try:
        status, output = GuestShell(sys.argv[1]).run(" ".join(sys.argv[2:]))
    except (OSError, GuestError) as error:
        print(f"guest.py: {error}", file=sys.stderr)
        return 125
    sys.stdout.write(output)
    return status


if __name__ == "__main__":
    sys.exit(main())
