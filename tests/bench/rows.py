"""How each figure of the table comes about.

A measure_…() looks at one scene and returns whatever it saw; it runs once, however many rows are made from it. A row is a
short function from that to a Figure.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import time
from typing import NamedTuple

import peers
from scene import LIMIT, NotMeasured, die_with_parent, parked, qmp, readers, readers_running, resident, rounds, time_used


class Figure(NamedTuple):
    """A row's result; p10 and p90 are of the rounds, None where there are none. `seen`: what it was made of."""
    value: float
    p10: float = None
    p90: float = None
    seen: dict = {}
    note: str = ""


class Effort(NamedTuple):
    """How much is done."""
    rounds: int  # of fast operations
    calls: int  # of each in a round
    slow: int  # rounds of operations that take 10 ms and more
    walks: int  # of what takes seconds
    interrupts: int
    bursts: int
    parked: int
    segments: int  # pairs of undisturbed and disturbed
    segment: float  # seconds of each
    advance: float  # seconds of the greps before that


FULL = Effort(rounds=30, calls=100, slow=20, walks=3, interrupts=3000, bursts=30, parked=10000, segments=6, segment=1.5,
              advance=15)
QUICK = Effort(rounds=5, calls=40, slow=3, walks=1, interrupts=300, bursts=10, parked=2000, segments=2, segment=0.4,
               advance=3)


# --- from times to figures --------------------------------------------------------------------------------------------

def percentile(values, share):
    values = sorted(values)
    return values[round(share * (len(values) - 1))]


def figure(values, seen=None, note=""):
    """The median of the rounds, with p10 and p90."""
    values = list(values)
    return Figure(statistics.median(values), percentile(values, 0.1), percentile(values, 0.9), seen or {}, note)


def ratio(times, over, *under, note=""):
    """Of one operation to the sum of others, round by round: what disturbs a round disturbs all of it."""
    pairs = zip(times.rounds(over), times.sums(under))
    medians = times.medians()
    return figure((a / b for a, b in pairs), {name: medians[name] for name in (over, *under)}, note)


def per_round(name, over, *under, note=""):
    """A row that is nothing but such a ratio. `name`: which Times, if the measure saw several."""
    return lambda saw: ratio(saw[name] if name else saw, over, *under, note=note)


# --- one disk: single files -------------------------------------------------------------------------------------------

PROPERTY = "/machine/peripheral/sd0"


def measure_files(scene, effort):
    files, raw = scene.files(), scene.socket("raw")
    get = qmp("qom-get", path=PROPERTY, property="serial")
    operations = {
        "status": f"cat|{files}/status",
        "status floor": f"cat|{scene.floor_of(files + '/status')}",
        "query-status": f"qmp|{raw}|{qmp('query-status')}",
        "property": f"cat|{files}/devices/sd0/serial",
        "qom property": f"cat|{files}/qom{PROPERTY}/serial",
        "property floor": f"cat|{scene.floor_of(files + '/devices/sd0/serial')}",
        "qom-get": f"qmp|{raw}|{get}",
    }
    return rounds(scene, operations, effort.rounds, effort.calls)


def measure_qom_fuse_property(scene, effort):
    other = peers.qom_fuse(scene)
    operations = {"property": f"cat|{scene.files()}/devices/sd0/serial", "qom-fuse": f"cat|{other}{PROPERTY}/serial"}
    return rounds(scene, operations, effort.slow, effort.calls, budget_ms=200)


# --- one disk: the object model ---------------------------------------------------------------------------------------

def measure_walk(scene, effort):
    operations = {"find qom/": f"cold:find|{scene.files()}/qom", "qom-list": f"cold:tree|{scene.socket('raw')}"}
    return rounds(scene, operations, effort.slow, 2, budget_ms=500)


def walk_of(scene, *argv):
    """The operation for this walk over qom/, and the one for qom-fuse; {} stands for the directory."""
    def operation(where):
        return "cold:" + "|".join(["run", "/dev/null", *(arg.replace("{}", where) for arg in argv)])
    return {"qmpfs": operation(f"{scene.files()}/qom"), "qom-fuse": operation(peers.qom_fuse(scene))}


def measure_find(scene, effort):
    return rounds(scene, walk_of(scene, "find", "{}"), effort.walks, 1, warm_up=False)


def measure_find_ls(scene, effort):
    return rounds(scene, walk_of(scene, "find", "{}", "-ls"), effort.walks, 1, warm_up=False)


def measure_grep_qom(scene, effort):
    return rounds(scene, walk_of(scene, "grep", "-rs", ".", "{}"), effort.walks, 1, warm_up=False)


# --- one disk: whole processes ----------------------------------------------------------------------------------------

def whole_process(peer):
    """`cat status` against another program; together with `cat` of a file in memory."""
    def measure(scene, effort):
        status = f"{scene.files()}/status"
        in_memory = f"{scene.scratch}/status"
        with open(status) as source, open(in_memory, "w") as copy:
            copy.write(source.read())
        operations = {"cat status": f"run|/dev/null|cat|{status}", "cat of a tmpfs file": f"run|/dev/null|cat|{in_memory}"}
        if peer:
            operations[peer.__name__] = peer(scene)
        return rounds(scene, operations, effort.slow, effort.calls)
    return measure


measure_process = whole_process(None)
measure_socat = whole_process(peers.socat)
measure_virsh = whole_process(peers.virsh)
measure_qmp_shell = whole_process(peers.qmp_shell)


# --- one disk: who waits ----------------------------------------------------------------------------------------------

def measure_interrupt(scene, effort):
    saw = {"events": readers(scene, "interrupt", "rw", f"{scene.files()}/events", effort.interrupts)}
    scene.vm.stop()
    try:
        saw["status of a stopped QEMU"] = readers(scene, "interrupt", "r", f"{scene.files()}/status",
                                                  min(effort.interrupts, 500))
    finally:
        scene.vm.go_on()
    return saw


def interrupted(share):
    def row(saw):
        seen = {name: percentile(values, share) for name, values in saw.items()}
        return Figure(seen["events"], seen=seen, note="a reader of `events`")
    return row


def sent(mount, text):
    """How often qmpfs, mounted with -d, has told QEMU this."""
    return sum(line.find("-> ") >= 0 and text in line for line in mount.running.errors().splitlines())


READERS = 16


def burst(scene, mount):
    """All read while QEMU is stopped, so that they are there together; the errors, and the queries that it took."""
    before = sent(mount, "query-status")
    scene.vm.stop()
    try:
        with readers_running(scene, "together", f"{mount.dir}/status", READERS, 0) as process:
            time.sleep(0.1)
            scene.vm.go_on()
            errors = json.loads(process.communicate(timeout=LIMIT)[0])["errors"]
    finally:
        scene.vm.go_on()
    return errors, sent(mount, "query-status") - before


def measure_readers(scene, effort):
    """Bursts on a mount that tells its queries, then all in a loop on one that doesn't."""
    with scene.mounted("other", debug=True) as mount:
        bursts = [burst(scene, mount) for _ in range(effort.bursts)]
    loop = readers(scene, "together", f"{scene.files()}/status", READERS, 1000)
    alone = rounds(scene, {"query-status": f"qmp|{scene.socket('raw')}|{qmp('query-status')}"}, 5)
    return {"bursts": [queries for _, queries in bursts], "errors": sum(errors for errors, _ in bursts) + loop["errors"],
            "loop": loop, "query": alone.p50("query-status")}


def reader_errors(saw):
    return Figure(saw["errors"], note=f"{saw['loop']['reads']} reads in a second's loop")


def reader_queries(saw):
    loop = saw["loop"]
    each = loop["seconds"] / loop["reads"] * 1e6
    return figure(saw["bursts"], {"µs per read in a loop": each, "query-status": saw["query"]},
                  f"{READERS} readers at once; in a loop {saw['query'] / each:.1f} reads per round trip")


def measure_parked(scene, effort):
    """Two mounts of one VM, with and without parked readers, measured side by side."""
    with scene.mounted("other") as crowded:
        operations = {"with": f"cat|{crowded.dir}/status", "without": f"cat|{scene.files()}/status"}
        empty = rounds(scene, operations, effort.slow, effort.calls)
        before = resident(crowded.pid)
        with parked(scene, f"{crowded.dir}/events", effort.parked):
            each = (resident(crowded.pid) - before) / effort.parked
            times = rounds(scene, operations, effort.rounds, effort.calls)
    return {"bytes": each, "times": times, "empty": empty, "count": effort.parked}


def parked_memory(saw):
    return Figure(saw["bytes"], note=f"{saw['count']} readers")


def parked_slows(saw):
    nobody = ratio(saw["empty"], "with", "without").value
    return ratio(saw["times"], "with", "without", note=f"`cat status`; {nobody:.3f} × before anybody is parked")


# --- many disks, processors, DIMMs ------------------------------------------------------------------------------------

def record(scene, effort, path, query, index, options=""):
    """A record's status, read from a mount with these options, and what a client of its own would need for it."""
    with scene.mounted("other", options) as mount:
        command = f"{scene.socket('raw')}|{qmp(query)}"
        operations = {
            "status": f"cat|{mount.dir}/{path}/status",
            "query": f"qmp|{command}",
            "print": f"print|{command}|{index}",
        }
        return rounds(scene, operations, effort.slow, effort.calls)


def measure_block(scene, effort):
    """With max_load=100: each read is a query of its own. And as it is by default, where they are shared."""
    return {"each": record(scene, effort, "block/disk7", "query-block", 7, "max_load=100"),
            "shared": record(scene, effort, "block/disk7", "query-block", 7)}


def block_status(saw):
    return ratio(saw["each"], "status", "print",
                 note=f"with `max_load=100`; {ratio(saw['shared'], 'status', 'print').value:.3f} × by default")


def measure_cpus(scene, effort):
    return record(scene, effort, "cpus/63", "query-cpus-fast", 63, "max_load=100")


def measure_dimms(scene, effort):
    return record(scene, effort, "memory/dimm63", "query-memory-devices", 63, "max_load=100")


def measure_ls(scene, effort):
    operations = {
        "ls -l": f"cold:ls|{scene.files()}/block",
        "parse": f"cold:parse|{scene.socket('raw')}|{qmp('query-block')}",
    }
    saw = {"times": rounds(scene, operations, effort.slow, 3, budget_ms=450), "queries": []}
    with scene.mounted("other", debug=True) as mount:
        for _ in range(min(effort.bursts, 10)):
            time.sleep(0.15)
            before = sent(mount, "")
            subprocess.run(["ls", "-l", f"{mount.dir}/block"], stdout=subprocess.PIPE, check=True, timeout=LIMIT)
            saw["queries"].append(sent(mount, "") - before)
    return saw


def ls_queries(saw):
    return figure(saw["queries"])


def measure_grep(scene, effort):
    """Grep by grep, with one raw query before each."""
    block, pid = f"{scene.files()}/block", scene.vm.process.pid
    count = int(subprocess.run(["sh", "-c", f"find {block} -type f ! -name remove | wc -l"], stdout=subprocess.PIPE,
                               check=True, timeout=LIMIT).stdout)
    saw = {"files": count, "share": [], "walls": [], "query": []}
    for _ in range(effort.slow):
        query = rounds(scene, {"query": f"qmp|{scene.socket('raw')}|{qmp('query-block')}"}, 1, 10)
        used, begin = time_used(pid), time.monotonic()
        with open(f"{scene.scratch}/grep", "w") as out:
            subprocess.run(["grep", "-rs", ".", block], stdout=out, check=False, timeout=LIMIT)
        wall = time.monotonic() - begin
        saw["share"].append((time_used(pid) - used) / wall)
        saw["walls"].append(wall * 1e6)
        saw["query"].append(query.p50("query"))
    return saw


def grep_share(saw):
    return figure(saw["share"], {"grep -r . block/": statistics.median(saw["walls"])})


def grep_time(saw):
    sums = [saw["files"] * query for query in saw["query"]]
    return figure((wall / all_queries for wall, all_queries in zip(saw["walls"], sums)),
                  {"grep -r . block/": statistics.median(saw["walls"]), "sum of queries": statistics.median(sums)},
                  f"{saw['files']} files, a query each")


def measure_memory(scene, effort):
    """A daemon of its own, which nobody has used before."""
    del effort
    with scene.mounted("other") as mount:
        idle = resident(mount.pid)
        subprocess.run(["find", mount.dir], stdout=subprocess.DEVNULL, check=True, timeout=LIMIT)
        at_once = resident(mount.pid)
        time.sleep(0.5)  # results are kept for 0.1 s
        return {"idle": idle, "after": resident(mount.pid), "at once": at_once}


def memory_after(saw):
    return Figure(saw["after"], note=f"at once, while the last results are still kept: {saw['at once'] / 1e6:.1f} MB")


# --- a guest that has something to do ---------------------------------------------------------------------------------

WORK = {
    "computes": "j=$((i*7))",
    # Each byte is two accesses to the ports of the PCI configuration space, and no process is needed for it.
    "does port I/O": "read -r x < /sys/bus/pci/devices/0000:00:00.0/config",
}


def guest_loop(scene, work, count):
    """Seconds that the guest takes for so much of this work."""
    begin = time.monotonic()
    scene.vm.guest(f"i=0; while [ $i -lt {count} ]; do {WORK[work]}; i=$((i+1)); done", limit=LIMIT)
    return time.monotonic() - begin


def how_much(scene, work, seconds):
    """Of this work for so many seconds of an undisturbed guest."""
    count = 50
    while True:
        took = guest_loop(scene, work, count)
        if took > seconds / 4:
            return max(round(count * seconds / took), 1)
        count *= 4


@contextlib.contextmanager
def greps(scene, count):
    """So many grep -r over the whole mount, each in a loop."""
    loop = 'while :; do grep -rs . "$0" > "$1"; done'
    running = [subprocess.Popen(["sh", "-c", loop, scene.files(), f"{scene.scratch}/grep-{n}"], start_new_session=True,
                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
               for n in range(count)]
    try:
        yield running
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
        for process in running:
            process.wait(30)
            bury(process.pid)


def bury(group):
    """Wait for the orphans of this process group: since there is a Mount they are ours."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)


def signal_all(processes, sig):
    for process in processes:
        os.killpg(process.pid, sig)


def guest_segment(scene, work, amount):
    """Seconds for so much work, and which part of them the guest's processor was taken by somebody else of the machine."""
    waited, begin = scene.guest_waited(), time.monotonic()
    took = guest_loop(scene, work, amount)
    return took, (scene.guest_waited() - waited) / (time.monotonic() - begin)


# More of a processor than this is taken by processes that have nothing to do with us: the segment says nothing.
FOREIGN = 0.03


def guest_pair(scene, work, amount, running):
    """Undisturbed and disturbed seconds and QEMU's share of the latter; None if it was another who disturbed. The greps
    rest meanwhile, and then go on where they were."""
    pid = scene.vm.process.pid
    signal_all(running, signal.SIGSTOP)
    time.sleep(0.2)
    undisturbed, foreign = guest_segment(scene, work, amount)
    signal_all(running, signal.SIGCONT)
    time.sleep(0.1)
    used = time_used(pid)
    disturbed, more_foreign = guest_segment(scene, work, amount)
    if max(foreign, more_foreign) > FOREIGN:
        return None
    return {"undisturbed": undisturbed, "disturbed": disturbed, "share": (time_used(pid) - used) / disturbed}


def guest_speeds(scene, effort, work, count):
    """As many pairs as wanted, in turns; those that don't count are tried again, for a while."""
    amount, pairs, tried = how_much(scene, work, effort.segment), [], 0
    with greps(scene, count) as running:
        # What queries may have in advance is used up by then: it is about loops.
        time.sleep(effort.advance)
        while len(pairs) < effort.segments and tried < 3 * effort.segments:
            tried += 1
            pair = guest_pair(scene, work, amount, running)
            pairs += [pair] if pair else []
    if not pairs:
        raise NotMeasured("other processes of this machine took the guest's processor")
    return {"tried": tried, **{name: [pair[name] for pair in pairs] for name in pairs[0]}}


def guest(work, count):
    """The measure for a guest with this work, and so many greps."""
    return lambda scene, effort: guest_speeds(scene, effort, work, count)


def guest_speed(saw):
    return figure((alone / disturbed for alone, disturbed in zip(saw["undisturbed"], saw["disturbed"])),
                  {name: statistics.median(saw[name]) * 1e6 for name in ("undisturbed", "disturbed")},
                  f"QEMU's main thread was busy for {statistics.median(saw['share']) * 100:.0f} % of it; "
                  f"{len(saw['share'])} of {saw['tried']} pairs were undisturbed by others")
