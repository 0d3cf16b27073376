"""A plain QMP client for the VM's second monitor: what QEMU itself says, to compare with what the mount says."""

import json
import socket
import time


class QmpError(Exception):
    """QEMU's error reply."""

    def __init__(self, error):
        super().__init__(error["desc"])
        self.kind = error["class"]
        self.desc = error["desc"]


class Qmp:
    """Synchronous: a command returns its reply; events that come meanwhile are kept in `events`."""

    def __init__(self, path, limit=30):
        self.limit = limit
        self.events = []
        self.buffer = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        deadline = time.monotonic() + limit
        while True:
            try:
                self.socket.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                # QEMU has only just been started.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._message(deadline)  # the greeting
        self("qmp_capabilities")

    def close(self):
        self.socket.close()

    def _message(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer from the second monitor")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 20)
            except socket.timeout:
                continue
            if not data:
                raise ConnectionError("the second monitor closed")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def __call__(self, command, arguments=None, limit=None, **more):
        """Run a command; its arguments as a dict (for names with dashes), as keywords, or both."""
        arguments = {**(arguments or {}), **more}
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        deadline = time.monotonic() + (limit or self.limit)
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._message(deadline)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(message["error"])
            else:
                return message["return"]

    def event(self, name, limit=30, **data):
        """The next event of this name whose data has these members; it and those before it are taken off `events`."""
        deadline = time.monotonic() + limit
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event
            try:
                message = self._message(deadline)
            except TimeoutError:
                raise AssertionError(f"no event {name} {data} within {limit} s") from None
            if "event" in message:
                self.events.append(message)

    def port(self, size, address, value):
        """Write an I/O port as a guest would; with these, ACPI's hot-plug registers can be used without any guest."""
        out = self("human-monitor-command", {"command-line": f"o /{size} {address:#x} {value:#x}"})
        assert out == "", out
