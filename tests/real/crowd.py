"""crowd.py ROLE ARGUMENT...: many users of a mount at once, for test_load.py; programs of their own, so that they can be
ended when they hang. Each says "ready" when it has what it needs and what it found, as JSON, when it ends.

    reads FLAGS PATH COUNT          as many threads, each of which opens the file and reads once
    polls PATH COUNT                as many threads, each of which waits for news in a poll(2) of its own, and reads it
    remove MOUNT DEVICE             waits for the end of its standard input; removes the device, whose file is open by then
    look MOUNT DEVICE NODE          the same; looks at the disk's values until it is gone
    list MOUNT                      the same; lists until there are no disks
"""

import collections
import errno
import json
import os
import resource
import select
import sys
import threading
import time

LIMIT = 100
GONE = (errno.ENOENT, errno.ENODEV)


def threads(count, wait):
    """As many threads, each of which calls wait(); what they came to, and how often."""
    said = collections.Counter()
    lock = threading.Lock()
    begun = threading.Semaphore(0)

    def run():
        try:
            text = wait(begun.release)
        except OSError as error:
            begun.release()
            text = errno.errorcode[error.errno]
        with lock:
            said[text] += 1
    threading.stack_size(1 << 18)
    crowd = [threading.Thread(target=run, daemon=True) for _ in range(int(count))]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        begun.acquire()
    print("ready", flush=True)
    deadline = time.monotonic() + LIMIT
    for thread in crowd:
        thread.join(max(0, deadline - time.monotonic()))
    return said


def reads(flags, path, count):
    def wait(begin):
        begin()
        fd = os.open(path, int(flags))
        text = os.read(fd, 1 << 16).decode()
        os.close(fd)
        return text
    return threads(count, wait)


def read_all(fd):
    text = b""
    while True:
        more = os.pread(fd, 1 << 16, len(text))
        if not more:
            return text.decode()
        text += more


def polls(path, count):
    def wait(begin):
        fd = os.open(path, os.O_RDONLY)
        read_all(fd)
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        early = poller.poll(0)
        begin()
        if early:
            return "news before anything happened"
        if not poller.poll(LIMIT * 1000):
            return "never woken"
        text = read_all(fd)
        os.close(fd)
        return text
    return threads(count, wait)


def start_together():
    print("ready", flush=True)
    sys.stdin.read()
    return time.monotonic() + LIMIT


def remove(mount, device):
    fd = os.open(f"{mount}/devices/{device}/remove", os.O_WRONLY)
    start_together()
    try:
        os.write(fd, b"1\n")
        # What has returned 0 is done, for everybody.
        return "still there" if device in os.listdir(f"{mount}/devices") else "done"
    except OSError as error:
        return errno.errorcode[error.errno]


def value(path):
    """A file's content, or None if it has gone."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def look(mount, device, node):
    deadline = start_together()
    expected = {f"{mount}/block/{device}/inserted/node-name": f"{node}\n",
                f"{mount}/devices/{device}/driver": "scsi-hd\n",
                f"{mount}/devices/{device}/serial": f"serial-{device}\n"}
    looks = 0
    wrong = []
    gone = set()
    while len(gone) < len(expected) and time.monotonic() < deadline:
        for path, right in expected.items():
            text = value(path)
            looks += 1
            if text is None:
                gone.add(path)
            elif text != right or path in gone:
                wrong.append([path, text, path in gone])
        try:
            state = value(f"{mount}/state")
        except OSError as error:
            state = errno.errorcode[error.errno]
        if state != "running\n":
            wrong.append(["state", state])
    return {"looks": looks, "wrong": wrong[:5]}


def list_names(mount):
    deadline = start_together()
    lists = 0
    wrong = []
    left = {}
    while time.monotonic() < deadline:
        for directory in ("block", "devices"):
            names = set(os.listdir(f"{mount}/{directory}"))
            lists += 1
            # What has gone does not come back.
            back = names - left.get(directory, names)
            if back:
                wrong.append([directory, sorted(back)])
            left[directory] = names
        if not left["block"]:
            break
    return {"lists": lists, "wrong": wrong[:5], "left": sorted(left["block"])}


ROLES = {"reads": reads, "polls": polls, "remove": remove, "look": look, "list": list_names}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    print(json.dumps(ROLES[sys.argv[1]](*sys.argv[2:])), flush=True)
