"""How time and memory grow with what there is: disks, vCPUs, objects, readers, open files, events.

    QMPFS=build-bench/qmpfs growth.py OUTDIR

The daemon's own processor time and memory, with a QMP server of ours that costs nothing, so that QEMU's growth is none of
ours. Writes growth.md, growth.json and growth.svg. Growth is linear where the exponent between the two largest sizes
(log of the ratio of costs over log of the ratio of sizes) is not much over 1.
"""

import json
import math
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

from chart import picture

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": ["oob"]}}
REPEATS = 5


class Server(threading.Thread):
    """Answers each command with a text made beforehand; events on request."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.answers = {"query-status": {"status": "paused", "running": False}, "query-name": {"name": "x"}}
        self.texts = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.peer = None

    def text(self, command):
        name, arguments = command["execute"], command.get("arguments", {})
        key = name + arguments.get("path", "")
        if key not in self.texts:
            answer = self.answers.get(key, {})
            self.texts[key] = json.dumps({"return": answer}).encode() + b"\n"
        return self.texts[key]

    def run(self):
        self.peer, _ = self.listener.accept()
        self.peer.sendall(json.dumps(GREETING).encode() + b"\n")
        decoder, pending = json.JSONDecoder(), ""
        while data := self.peer.recv(65536):
            pending += data.decode()
            while pending:
                try:
                    command, end = decoder.raw_decode(pending)
                except json.JSONDecodeError:
                    break
                pending = pending[end:].lstrip()
                self.peer.sendall(self.text(command))

    def events(self, count):
        event = b'{"event":"BLOCK_IO_ERROR","data":{"device":"d1"},"timestamp":{"seconds":1,"microseconds":2}}\n'
        self.peer.sendall(event * count)


class Daemon:
    def __init__(self, answers):
        self.base = tempfile.mkdtemp(prefix="qmpfs-growth-")
        self.mount = f"{self.base}/mnt"
        os.mkdir(self.mount)
        self.server = Server(f"{self.base}/qmp")
        self.server.answers.update(answers)
        self.server.start()
        self.process = subprocess.Popen([os.environ["QMPFS"], "-f", f"{self.base}/qmp", self.mount],
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not os.path.ismount(self.mount):
            assert time.monotonic() < deadline and self.process.poll() is None, "no mount"
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["fusermount3", "-u", "-z", self.mount], check=False)
        self.process.wait(20)

    def time_used(self):
        """Seconds of a processor."""
        with open(f"/proc/{self.process.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def cost(self, action):
        """The daemon's time for an action, the least of some."""
        costs = []
        for _ in range(REPEATS):
            time.sleep(0.12)  # what is known of the structure is no longer fresh
            before = self.time_used()
            action()
            costs.append(self.time_used() - before)
        return min(costs)


def read(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def list_long(path):
    with os.scandir(path) as entries:
        for entry in entries:
            os.lstat(entry.path)


def read_all(path):
    for directory, _, files in os.walk(path):
        for name in files:
            if not os.path.islink(f"{directory}/{name}"):
                read(f"{directory}/{name}")


def block(count):
    return [{"device": f"d{i}", "qdev": f"/machine/peripheral/hd{i}", "type": "unknown", "removable": False,
             "locked": False, "io-status": "ok", "inserted": {
                 "file": f"/images/disk{i}.qcow2", "drv": "qcow2", "ro": False, "node-name": f"#block{i}", "bps": 0,
                 "iops": 0, "cache": {"no-flush": False, "direct": False, "writeback": True},
                 "image": {"filename": f"/images/disk{i}.qcow2", "format": "qcow2", "virtual-size": 1 << 30}}}
            for i in range(count)]


def cpus(count):
    return [{"thread-id": 1000 + i, "props": {"core-id": i, "thread-id": 0, "socket-id": 0}, "cpu-index": i,
             "qom-path": f"/machine/unattached/device[{i}]", "target": "x86_64"} for i in range(count)]


def objects(count):
    """A container of so many objects, of eight properties each."""
    properties = [{"name": f"p{i}", "type": "int"} for i in range(8)]
    return {"qom-list/": [{"name": "machine", "type": "child<container>"}],
            "qom-list/machine": [{"name": f"o{i}", "type": "child<device>"} for i in range(count)],
            **{f"qom-list/machine/o{i}": properties for i in range(count)}}


def measure_collection(query, directory, name, make, count):
    with Daemon({query: make(count)}) as daemon:
        listing = daemon.cost(lambda: list_long(f"{daemon.mount}/{directory}"))
        one = daemon.cost(lambda: read(f"{daemon.mount}/{directory}/{name}/status"))
        before = daemon.resident()
        read_all(f"{daemon.mount}/{directory}")
        time.sleep(0.5)
        return {f"`ls -l {directory}/`, ms": listing * 1e3, f"`cat {directory}/{name}/status`, ms": one * 1e3,
                f"memory after reading all of `{directory}/`, MB": max(0, daemon.resident() - before) / 1e6}


def measure_objects(count):
    with Daemon(objects(count)) as daemon:
        def find():
            for _ in os.walk(f"{daemon.mount}/qom"):
                pass
        return {"`find qom/`, ms": daemon.cost(find) * 1e3}


def measure_open_files(count):
    with Daemon({}) as daemon:
        before, begin = daemon.resident(), daemon.time_used()
        files = [os.open(f"{daemon.mount}/name", os.O_RDONLY) for _ in range(count)]
        for file in files:
            os.read(file, 100)
        opened = daemon.time_used() - begin
        memory = daemon.resident() - before
        status = daemon.cost(lambda: [read(f"{daemon.mount}/status") for _ in range(100)]) / 100
        for file in files:
            os.close(file)
        return {"opening and reading N files, ms": opened * 1e3, "memory of open files, MB": memory / 1e6,
                "`cat status` with N open files, ms": status * 1e3}


def measure_parked(count):
    """Streams that wait. Each is read by a thread, which is what blocks."""
    with Daemon({}) as daemon:
        before = daemon.resident()
        files = [os.open(f"{daemon.mount}/events", os.O_RDWR) for _ in range(count)]
        threading.stack_size(64 << 10)
        threads = [threading.Thread(target=os.read, args=(file, 1000), daemon=True) for file in files]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        memory = daemon.resident() - before
        status = daemon.cost(lambda: [read(f"{daemon.mount}/status") for _ in range(100)]) / 100
        begin = daemon.time_used()
        daemon.server.events(1)
        for thread in threads:
            thread.join(30)
        woken = daemon.time_used() - begin
        for file in files:
            os.close(file)
        return {"memory of parked readers, MB": memory / 1e6, "`cat status` with parked readers, ms": status * 1e3,
                "an event that wakes all of them, ms": woken * 1e3}


def measure_events(count):
    """So many events at once, with one reader."""
    with Daemon({}) as daemon:
        file = os.open(f"{daemon.mount}/events", os.O_RDWR)
        begin, wall = daemon.time_used(), time.monotonic()
        threading.Thread(target=daemon.server.events, args=(count,), daemon=True).start()
        seen = 0
        while seen < count and select.select([file], [], [], 10)[0]:
            for line in os.read(file, 1 << 20).splitlines():
                seen += json.loads(line)["data"].get("count", 1)
        wall = time.monotonic() - wall
        used = daemon.time_used() - begin
        os.close(file)
        return {"N events with one reader, ms": used * 1e3, "events per second": seen / wall}


MEASUREMENTS = [
    ("disks", (1, 10, 100, 1000),
     lambda n: measure_collection("query-block", "block", "d0", block, n)),
    ("vCPUs", (1, 16, 64, 255),
     lambda n: measure_collection("query-cpus-fast", "cpus", "0", cpus, n)),
    ("objects in the object model", (10, 100, 1000, 3000), measure_objects),
    ("parked readers", (1, 100, 1000, 10000), measure_parked),
    ("open files", (1, 100, 1000, 10000), measure_open_files),
    ("events", (1000, 10000, 50000), measure_events),
]


def exponent(sizes, values):
    """Of the last step; None where there is nothing to see."""
    if values[-2] <= 0 or values[-1] <= 0:
        return None
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def markdown(results):
    lines = []
    for what, sizes, rows in results:
        lines += ["", f"| {what} | {' | '.join(map(str, sizes))} | exponent |",
                  "| --- |" + " --- |" * (len(sizes) + 1)]
        for name, values in rows.items():
            power = exponent(sizes, values)
            lines.append(f"| {name} | {' | '.join(f'{value:.3g}' for value in values)} | "
                         f"{'' if power is None else f'{power:.2f}'} |")
    return "\n".join(lines[1:]) + "\n"


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 20000), hard), hard))
    # All on one processor, as everything else that is measured: a wake-up of another one costs the daemon several times as
    # much, and the more often the longer the server needs.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    results = []
    for what, sizes, measure in MEASUREMENTS:
        seen = [measure(size) for size in sizes]
        results.append((what, sizes, {name: [one[name] for one in seen] for name in seen[0]}))
        print(what, "done", flush=True)
    for name, text in (("md", markdown(results)), ("svg", picture(results)),
                       ("json", json.dumps(results, indent=1, ensure_ascii=False))):
        with open(f"{out}/growth.{name}", "w") as file:
            file.write(text)
    print(markdown(results))


if __name__ == "__main__":
    main()
