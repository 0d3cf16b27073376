"""The benchmark's table: what shall be reached, and what was. tests/bench.sh prepares all that it needs."""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Callable, NamedTuple

from scene import NotMeasured, Processors, Scene
import report
import rows
from rows import FULL, QUICK, per_round


class Row(NamedTuple):
    """`scene` and `measure` say what is looked at, `figure` what is made of it. Without a goal it is for information."""
    name: str
    what: str
    goal: float
    unit: str
    scene: str
    measure: Callable
    figure: Callable
    at_least: bool = False


def guest_rows():
    """A guest's own speed while grep -r runs over its mount in a loop."""
    return [Row(f"guest-{work.split()[-1].replace('/', '').lower()}-{disks}-{count}",
                f"speed of a guest that {work}, {disks} {'disk' if disks == 1 else 'disks'}, while {count} `grep -r` run "
                "over the mount in a loop", 0.9, "×", f"guest-{disks}", rows.guest(work, count), rows.guest_speed, True)
            for disks in (1, 200) for work in rows.WORK for count in (1, rows.READERS)]


# Rows of one scene stand together: only one VM runs at a time.
TABLE = [
    Row("status", "`cat status` (open, fstat, read, close): FUSE floor + raw `query-status`", 1.05, "×", "disk-1",
        rows.measure_files, per_round(None, "status", "status floor", "query-status")),
    Row("property", "one QOM property (`devices/ID/serial`): FUSE floor + raw `qom-get`", 1.05, "×", "disk-1",
        rows.measure_files, per_round(None, "property", "property floor", "qom-get")),
    Row("property-qom", "the same in `qom/`", None, "×", "disk-1",
        rows.measure_files, per_round(None, "qom property", "property floor", "qom-get")),
    Row("property-peer", "one QOM property: qom-fuse", 1 / 8, "1/", "disk-1",
        rows.measure_qom_fuse_property, per_round(None, "property", "qom-fuse")),
    Row("find", "`find qom/`, cold: a raw walk with `qom-list`", 1.15, "×", "disk-1",
        rows.measure_walk, per_round(None, "find qom/", "qom-list")),
    Row("find-peer", "`find qom/`, cold: qom-fuse", 1 / 40, "1/", "disk-1",
        rows.measure_find, per_round(None, "qmpfs", "qom-fuse")),
    Row("find-ls-peer", "`find qom/ -ls`: qom-fuse", 1 / 20, "1/", "disk-1",
        rows.measure_find_ls, per_round(None, "qmpfs", "qom-fuse")),
    Row("grep-peer", "`grep -r . qom/`: qom-fuse", 1 / 9, "1/", "disk-1",
        rows.measure_grep_qom, per_round(None, "qmpfs", "qom-fuse")),
    Row("process", "whole process `cat status`: `cat` of a tmpfs file", 1.6, "×", "disk-1",
        rows.measure_process, per_round(None, "cat status", "cat of a tmpfs file")),
    Row("process-socat", "whole process `cat status`: `printf … | socat`, QMP, in a shell script", 1 / 3, "1/", "disk-1",
        rows.measure_socat, per_round(None, "cat status", "socat")),
    Row("process-virsh", "whole process `cat status`: `virsh qemu-monitor-command`", 1 / 14, "1/", "disk-1",
        rows.measure_virsh, per_round(None, "cat status", "virsh")),
    Row("process-qmp-shell", "whole process `cat status`: qmp-shell", 1 / 57, "1/", "disk-1",
        rows.measure_qmp_shell, per_round(None, "cat status", "qmp_shell")),
    Row("interrupt-p50", "signal to `EINTR` of a blocked read, p50", 60, "µs", "disk-1",
        rows.measure_interrupt, rows.interrupted(0.5)),
    Row("interrupt-p99", "signal to `EINTR` of a blocked read, p99", 200, "µs", "disk-1",
        rows.measure_interrupt, rows.interrupted(0.99)),
    Row("readers-errors", "16 readers in parallel: errors", 0, "", "disk-1",
        rows.measure_readers, rows.reader_errors),
    Row("readers-queries", "16 readers in parallel: queries for one read of each", 2, "", "disk-1",
        rows.measure_readers, rows.reader_queries),
    Row("parked-memory", "10,000 parked readers: the daemon's memory for each", 2048, "B", "disk-1",
        rows.measure_parked, rows.parked_memory),
    Row("parked-others", "other operations, with 10,000 parked readers: without them", 1.1, "×", "disk-1",
        rows.measure_parked, rows.parked_slows),
    Row("block-32", "`block/X/status` with 32 disks: round trip + parse + print", None, "×", "disks-32",
        rows.measure_block, rows.block_status),
    Row("block-200", "`block/X/status` with 200 disks: round trip + parse + print", 1.15, "×", "disks-200",
        rows.measure_block, rows.block_status),
    Row("ls-queries", "`ls -l block/` with 200 disks: QMP commands", 1, "", "disks-200",
        rows.measure_ls, rows.ls_queries),
    Row("ls-time", "`ls -l block/` with 200 disks: round trip + parse", 1.5, "×", "disks-200",
        rows.measure_ls, per_round("times", "ls -l", "parse")),
    Row("grep-share", "`grep -r . block/` with 200 disks: share of QEMU's time", 0.1, "%", "disks-200",
        rows.measure_grep, rows.grep_share),
    Row("grep-time", "`grep -r . block/` with 200 disks: the sum of its queries", 1, "×", "disks-200",
        rows.measure_grep, rows.grep_time),
    Row("memory-idle", "resident memory, idle, with 200 disks", 3e6, "MB", "disks-200",
        rows.measure_memory, lambda saw: rows.Figure(saw["idle"])),
    Row("memory-find", "resident memory after `find` over everything with 200 disks", 8e6, "MB", "disks-200",
        rows.measure_memory, rows.memory_after),
    Row("cpus-64", "`cpus/63/status` with 64 CPUs: round trip + parse + print", None, "×", "cpus-64",
        rows.measure_cpus, per_round(None, "status", "print")),
    Row("dimms-64", "`memory/dimm63/status` with 64 DIMMs: round trip + parse + print", None, "×", "cpus-64",
        rows.measure_dimms, per_round(None, "status", "print")),
    *guest_rows(),
]


class Result(NamedTuple):
    figure: rows.Figure = None
    why: str = None


class Bench:
    """Goes through the rows, with one scene at a time."""

    def __init__(self, programs, effort):
        self.programs = programs
        self.effort = effort
        self.processors = Processors()
        self.name = self.scene = None
        self.seen = {}
        self.scratch = tempfile.mkdtemp(prefix="qmpfs-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        os.chmod(self.scratch, 0o755)

    def close(self):
        self.leave()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def leave(self):
        scene, self.name, self.scene = self.scene, None, None
        try:
            if scene:
                scene.close()
        except (AssertionError, OSError, subprocess.SubprocessError):
            # What was measured stays measured.
            traceback.print_exc()

    def enter(self, name):
        """This scene, and no other."""
        if self.name != name:
            self.leave()
            if name.startswith("guest") and self.processors.other is None:
                raise NotMeasured("that takes two processors")
            self.scene, self.name = Scene(name, self.programs, self.scratch), name
            if name.startswith("guest"):
                self.scene.move_guest(self.processors.other)
        return self.scene

    def measured(self, row):
        """What the row's measure saw; its failure is remembered too."""
        key = row.scene, row.measure
        if key not in self.seen:
            try:
                self.seen[key] = row.measure(self.enter(row.scene), self.effort)
            except NotMeasured as why:
                self.seen[key] = why
            except (AssertionError, OSError, LookupError, ValueError, subprocess.SubprocessError) as error:
                traceback.print_exc()
                self.seen[key] = NotMeasured(f"{type(error).__name__}: {error}")
                # Whatever has happened to this VM or its mounts shall not spoil the next row.
                self.leave()
        if isinstance(self.seen[key], NotMeasured):
            raise self.seen[key]
        return self.seen[key]

    def result(self, row):
        try:
            return Result(row.figure(self.measured(row)))
        except NotMeasured as why:
            return Result(why=" ".join(str(why).split())[:300])


def facts(quick, processors, seconds):
    """What one has to know to judge the figures."""
    version = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return {"QEMU": version.split()[3], "kernel": platform.release(), "processors": os.cpu_count(),
            "of these free": processors.free, "effort": "quick" if quick else "full", "seconds": round(seconds)}


def chosen(names):
    """The rows with these names, or beginnings of names."""
    if not names:
        return TABLE
    wanted = names.split(",")
    found = [row for row in TABLE if any(row.name.startswith(name) for name in wanted)]
    if not found:
        sys.exit(f"bench.py: no such row; there are {', '.join(row.name for row in TABLE)}")
    return found


def run(bench, table):
    results = []
    for row in table:
        begin = time.monotonic()
        result = bench.result(row)
        results.append((row, result))
        print(f"{time.monotonic() - begin:6.1f} s  {'  '.join(report.cells(row, result)[n] for n in (0, 2, 3, 6))}",
              flush=True)
    return results


def write(build, results, known):
    for name, content in (("results.json", report.as_json(results, known)),
                          ("table.md", report.markdown(results, known)),
                          ("picture.svg", report.picture(results, known))):
        with open(f"{build}/{name}", "w") as file:
            file.write(content)


def main():
    parser = argparse.ArgumentParser(prog="bench.sh", description="How fast qmpfs is.")
    parser.add_argument("--quick", action="store_true", help="few rounds: two minutes instead of fifteen")
    parser.add_argument("--only", metavar="ROW,...", help="these rows, or those whose names begin so")
    parser.add_argument("--build", help=argparse.SUPPRESS)
    args = parser.parse_args()
    table = chosen(args.only)
    # Programs take longer to start with other locales, and what they say is the same everywhere.
    os.environ["LC_ALL"] = "C"
    # So that mounts end also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begin = time.monotonic()
    bench = Bench(f"{args.build}/bench", QUICK if args.quick else FULL)
    if bench.processors.warning():
        print(bench.processors.warning())
    print(f"== {len(table)} rows", flush=True)
    try:
        with bench.processors.on(bench.processors.main):
            results = run(bench, table)
    finally:
        bench.close()
    known = facts(args.quick, bench.processors, time.monotonic() - begin)
    write(args.build, results, known)
    print(f"\n{report.terminal(results)}\n\nIn {args.build}: results.json, table.md, picture.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
