"""A proxy between qmpfs and QEMU's monitor, which writes down the commands that pass."""

import json
import os
import socket
import threading


class Proxy:
    """Listens on `path` and passes everything to the monitor at `source`, for one client after the other."""

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.commands = []  # names, as they came
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        """No further client is served."""
        self.listener.close()
        os.unlink(self.path)

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            monitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            monitor.connect(self.source)
            threading.Thread(target=self.copy, args=(monitor, client, None), daemon=True).start()
            self.copy(client, monitor, "")

    def copy(self, source, target, text):
        """Until the end; `text` is what was not written down yet, None: nothing is."""
        decoder = json.JSONDecoder()
        try:
            while data := source.recv(1 << 16):
                if text is not None:
                    text = (text + data.decode()).lstrip()
                    while text:
                        try:
                            command, end = decoder.raw_decode(text)
                        except json.JSONDecodeError:
                            break
                        self.commands.append(command.get("execute") or command["exec-oob"])
                        text = text[end:].lstrip()
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
