"""flood.py SOCKET: a QMP server that sends events faster than any QEMU does.

It answers what a mount asks of an idle VM. A line on standard input, "RATE COUNT", makes it send COUNT events, RATE a
second, numbered from 0; what it has done then is a line on standard output, "COUNT SECONDS".
"""

import json
import os
import selectors
import socket
import sys
import time

VERSION = {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": "flood"}
ANSWERS = {
    "qmp_capabilities": {},
    "query-status": {"status": "running", "singlestep": False, "running": True},
    "query-name": {"name": "flood"},
    "query-version": VERSION,
    "query-block": [],
}
INTERVAL = 0.01
# What a socket's buffer doesn't take waits here; no more is made then.
BACKLOG = 1 << 18


class Server:
    def __init__(self, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        self.left = self.sent = self.rate = 0
        self.begin = 0.0
        self.input, self.output, self.lines = "", bytearray(), b""
        print("listening", flush=True)
        self.client, _ = listener.accept()
        self.client.setblocking(False)
        self.send({"QMP": {"version": VERSION, "capabilities": []}})

    def send(self, message):
        self.output += json.dumps(message).encode() + b"\r\n"

    def answer(self, command):
        name = command["execute"]
        if name in ANSWERS:
            self.send({"return": ANSWERS[name]})
        else:
            self.send({"error": {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}})

    def receive(self):
        data = self.client.recv(1 << 16)
        if not data:
            sys.exit(0)
        self.input += data.decode()
        while self.input:
            try:
                command, end = json.JSONDecoder().raw_decode(self.input)
            except ValueError:
                return
            self.input = self.input[end:].lstrip()
            self.answer(command)

    def control(self):
        more = os.read(sys.stdin.fileno(), 1000)
        if not more:
            sys.exit(0)
        self.lines += more
        while b"\n" in self.lines:
            line, _, self.lines = self.lines.partition(b"\n")
            self.rate, self.left = map(int, line.split())
            self.sent, self.begin = 0, time.monotonic()

    def flood(self):
        due = min(int((time.monotonic() - self.begin) * self.rate), self.sent + self.left)
        while self.left and self.sent < due and len(self.output) < BACKLOG:
            self.output += (b'{"timestamp": {"seconds": 1795164681, "microseconds": 361414}, "event": "BLOCK_IO_ERROR", '
                            b'"data": {"n": %d, "device": "drive-virtio-disk0", "operation": "write"}}\r\n' % self.sent)
            self.sent += 1
            self.left -= 1
        if self.rate and not self.left and not self.output:
            print(self.sent, time.monotonic() - self.begin, flush=True)
            self.rate = 0

    def run(self):
        self.selector.register(self.client, selectors.EVENT_READ)
        while True:
            self.flood()
            if self.output:
                try:
                    del self.output[:self.client.send(self.output)]
                except BlockingIOError:
                    pass
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.output else 0)
            self.selector.modify(self.client, wanted)
            for key, events in self.selector.select(INTERVAL if self.rate else None):
                if key.fileobj is not self.client:
                    self.control()
                elif events & selectors.EVENT_READ:
                    self.receive()


if __name__ == "__main__":
    Server(sys.argv[1]).run()
