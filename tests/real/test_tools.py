"""Other people's tools against the mount, directly and through other file systems: each gets all of a file's content,
as long as it is, and what it writes arrives or fails in words. docs/tools.md has what they get as tables.

    test_tools.py --update    writes that table
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import unittest
from typing import Callable, NamedTuple

import real
import ways

PAGE = f"{os.environ.get('QMPFS_SOURCE') or os.path.dirname(os.path.abspath(__file__)) + '/../..'}/docs/tools.md"
OPTIONS = {"--update", "--results"} & set(sys.argv)
DISKS = 60  # one for each tool that reads
NODES = 25
LONG = "".join(f"line {i:4} of a serial number\n" for i in range(400))
SHORT = "short"

# --- the tools ------------------------------------------------------------------------------------------------------


class Tool(NamedTuple):
    """A row. The command is bash: $f is the file, $d and $b its directory and name, $good a plain file of the same
    content, $o where the result goes. `want` makes the right result of the content."""
    title: str
    command: str
    want: Callable = lambda content: content
    only: tuple = ()  # titles of ways
    but: dict = {}  # title of a way -> key of NOTES: what is not as one would like


class Note(NamedTuple):
    """What is not as one would like: why, and in which cases."""
    text: str
    cases: set


LONGER, SHORTER = "never read", "short"
EVER = {LONGER, SHORTER, "grown", "shrunk"}

NOTES = {
    "by path": Note("the size by path: that of the content that is open or was read last, 4096 before that; exact "
                    "with `-o sizes=exact`", EVER),
    "copied by path": Note("copies as many bytes as the size by path was before the file was opened, so the copy is "
                           "cut or padded, with exit status 0; exact with `-o sizes=exact`", EVER),
    "gone": Note("carried out, but the tool then looks at the file again, which is gone with its device, and reports "
                 "that as an error", {"remove"}),
    "read-only": Note("an overlay without an upper layer cannot be written; the error says so",
                      {"remove", "cmd", "ctl", "not in errors"}),
    "cut line": Note("a line whose newline is missing is refused: `Invalid argument`",
                     {"remove", "cmd", "ctl", "errors", "not in errors"}),
    "closed": Note("sshfs lets the write succeed and gives its error to `close`(2), which a shell ignores: the exit "
                   "status is 0, and only `errors` has the failure; use `-o sshfs_sync`", {"not told"}),
}

PYTHON = "/usr/bin/python3 -c"
ALL_WAYS = tuple(way.title for way in ways.ALL)
LOCAL = tuple(way.title for way in ways.ALL if way is not ways.Nfs)
NFS = (ways.Nfs.title,)
SSHFS = (ways.Sshfs.title,)


EXACT = tuple(way.title for way in ways.ALL if way.mount_options == "sizes=exact")


def but(note, titles):
    return {title: note for title in titles}


BY_PATH = but("by path", set(LOCAL) - set(EXACT))


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest().encode() + b"\n"


def sha256(content):
    return hashlib.sha256(content).hexdigest().encode()


def lines(content):
    return content.splitlines(keepends=True)


READERS = [
    Tool("cat", 'cat "$f" > "$o"'),
    Tool("cp", 'cp "$f" "$o"'),
    Tool("install", 'install -m 600 "$f" "$o"'),
    Tool("dd", 'dd if="$f" of="$o" status=none'),
    Tool("dd bs=1M", 'dd if="$f" of="$o" bs=1M status=none'),
    Tool("tar", 'tar -C "$d" -cf - "$b" | tar -xOf - > "$o"; exit ${PIPESTATUS[0]}'),
    Tool("cpio", 'cd "$d" && echo "$b" | cpio -o --quiet | cpio -i --quiet --to-stdout > "$o"',
         but=but("copied by path", set(LOCAL) - set(EXACT))),
    Tool("rsync", 'rsync "$f" "$o"'),
    Tool("rsync -a", 'rsync -aL "$f" "$o"'),
    Tool("curl file://", 'curl -s "file://$f" -o "$o"'),
    Tool("shutil.copyfile", f'{PYTHON} "import shutil, sys; shutil.copyfile(*sys.argv[1:])" "$f" "$o"'),
    Tool("shutil.copytree", f'''{PYTHON} "
import shutil, sys
d, b, o = sys.argv[1:]
shutil.copytree(d, o + '.d', ignore=lambda _, names: [n for n in names if n != b], symlinks=True)
" "$d" "$b" "$o" && mv "$o.d/$b" "$o"'''),
    Tool("read(), Python", f'{PYTHON} "import sys; sys.stdout.write(open(sys.argv[1]).read())" "$f" > "$o"'),
    Tool("mmap, private", f'''{PYTHON} "
import mmap, sys
file = open(sys.argv[1], 'rb')
sys.stdout.buffer.write(mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
" "$f" > "$o"'''),
    Tool("git hash-object", 'git hash-object --no-filters "$f" > "$o"', git_hash),
    Tool("sha256sum", 'sha256sum < "$f" | cut -d " " -f 1 | tr -d "\\n" > "$o"', sha256),
    Tool("wc -c", 'wc -c < "$f" > "$o"', lambda content: b"%d\n" % len(content)),
    Tool("head -c -100", 'head -c -100 "$f" > "$o"', lambda content: content[:-100]),
    Tool("tail -n 2", 'tail -n 2 "$f" > "$o"', lambda content: b"".join(lines(content)[-2:])),
    Tool("tail -c 100", 'tail -c 100 "$f" > "$o"', lambda content: content[-100:]),
    Tool("tac", 'tac "$f" > "$o"', lambda content: b"".join(reversed(lines(content)))),
    Tool("cmp", 'cmp "$f" "$good" && echo same > "$o"', lambda content: b"same\n"),
    Tool("cmp -s", 'cmp -s "$f" "$good" && echo same > "$o"', lambda content: b"same\n"),
    Tool("diff", 'diff "$f" "$good" && echo same > "$o"', lambda content: b"same\n"),
    Tool("grep -c", 'grep -c "" "$f" > "$o"', lambda content: b"%d\n" % len(lines(content))),
    Tool("sort", 'LC_ALL=C sort "$f" > "$o"', lambda content: b"".join(sorted(lines(content)))),
    Tool("sed -n", 'sed -n "\\$p" "$f" > "$o"', lambda content: lines(content)[-1]),
    Tool("od", 'od -An -v -tx1 -w1 "$f" | tail -n 1 > "$o"', lambda content: b" %02x\n" % content[-1]),
    Tool("split -n 2", 'split -n 2 "$f" "$o." && cat "$o".a? > "$o"'),
    Tool("gzip", 'gzip -c "$f" | gunzip > "$o"'),
    Tool("scp", 'scp -q $SSH -P "$PORT" "$HOST:$SOURCE/${f#"$tree"/}" "$o"', only=SSHFS),
    Tool("nfs-cat", 'nfs-cat "$URL$f$QUERY" > "$o"', only=NFS),
    Tool("nfs-cp", 'nfs-cp "$URL$f$QUERY" "$o" > /dev/null', only=NFS),
    Tool("libnfs, to the end", '$NFS cat "$f" > "$o"', only=NFS),
]

SIZE = (lambda content: b"%d\n" % len(content))
SIZES = [
    Tool("fstat", f'''{PYTHON} "
import os, sys
with open(sys.argv[1]) as file:
    print(os.fstat(file.fileno()).st_size)" "$f" > "$o"''', SIZE),
    Tool("lseek(SEEK_END)", f'{PYTHON} "import sys; print(open(sys.argv[1], \'rb\').seek(0, 2))" "$f" > "$o"', SIZE),
    Tool("stat", 'stat -c %s "$f" > "$o"', SIZE, but=BY_PATH),
    Tool("ls -l", 'ls -l "$f" | cut -d " " -f 5 > "$o"', SIZE, but=BY_PATH),
    Tool("find -size", 'find "$f" -printf "%s\\n" > "$o"', SIZE, but=BY_PATH),
    Tool("du -b", 'du -b "$f" | cut -f 1 > "$o"', SIZE, but=BY_PATH),
    Tool("test -s, then stat", 'test -s "$f" && stat -c %s "$f" > "$o"', SIZE, but=BY_PATH),
    Tool("libnfs: fstat", '$NFS fstat "$f" > "$o"', SIZE, only=NFS),
    Tool("libnfs: stat", '$NFS stat "$f" > "$o"', SIZE, only=NFS),
]

# Here $t is what is to be written, and $i a file that holds it.
UNTOLD = but("closed", [ways.SshfsDefaults.title])
WRITERS = [
    Tool("echo >, bash", 'echo "$t" > "$f"', but=UNTOLD),
    Tool("echo >, sh", 'exec /bin/sh -c \'echo "$t" > "$f"\'', but=UNTOLD),
    Tool("echo >>", 'echo "$t" >> "$f"', but=UNTOLD),
    Tool("printf", 'printf "%s\\n" "$t" > "$f"', but=UNTOLD),
    Tool("printf, without a newline", 'printf %s "$t" > "$f"',
         only=tuple(way.title for way in ways.ALL if way is not ways.Nfs and way is not ways.SshfsDefaults),
         but=but("cut line", ALL_WAYS)),
    Tool("cat >", 'cat "$i" > "$f"'),
    Tool("tee", 'echo "$t" | tee "$f" > /dev/null'),
    Tool("dd", 'dd if="$i" of="$f" status=none'),
    Tool("dd conv=notrunc", 'dd if="$i" of="$f" conv=notrunc status=none'),
    Tool("dd conv=fsync", 'dd if="$i" of="$f" conv=fsync status=none'),
    Tool("cp", 'cp "$i" "$f"'),
    Tool("awk", "awk 'BEGIN { printf \"%s\\n\", ENVIRON[\"t\"] > ENVIRON[\"f\"]; exit close(ENVIRON[\"f\"]) != 0 }'"),
    Tool("open('w'), Python", f'''{PYTHON} "
import os
with open(os.environ['f'], 'w') as file:
    file.write(os.environ['t'] + chr(10))"'''),
    Tool("Path.write_text", f'''{PYTHON} "
import os, pathlib
pathlib.Path(os.environ['f']).write_text(os.environ['t'] + chr(10))"'''),
    Tool("pwrite at 0", f'''{PYTHON} "
import os
fd = os.open(os.environ['f'], os.O_WRONLY)
os.pwrite(fd, os.environ['t'].encode() + b'%c' % 10, 0)
os.close(fd)"'''),
    Tool("lseek to 0, write", f'''{PYTHON} "
import os
fd = os.open(os.environ['f'], os.O_WRONLY)
os.lseek(fd, 0, os.SEEK_SET)
os.write(fd, os.environ['t'].encode() + b'%c' % 10)
os.close(fd)"'''),
    Tool("curl -o", 'curl -sS "file://$i" -o "$f"'),
    Tool("rsync --inplace", 'rsync --inplace --whole-file "$i" "$f"',
         only=tuple(way.title for way in ways.ALL if way is not ways.Nfs and not way.keeps_sizes),
         but=but("gone", ALL_WAYS)),
    Tool("scp", 'scp -q $SSH -P "$PORT" "$i" "$HOST:$SOURCE/${f#"$tree"/}"', only=SSHFS),
    Tool("sftp put", 'echo "put $i $SOURCE/${f#"$tree"/}" | sftp -q -b - $SSH -P "$PORT" "$HOST"', only=SSHFS),
    Tool("libnfs: write", '$NFS write "$f" < "$i"', only=NFS, but=but("gone", NFS)),
    Tool("libnfs: with O_TRUNC", '$NFS put "$f" < "$i"', only=NFS, but=but("gone", NFS)),
]

TABLES = (("Reading", READERS), ("Sizes", SIZES), ("Writing", WRITERS))


# --- the tests ------------------------------------------------------------------------------------------------------


def applies(tool, way):
    if tool.only:
        return way.title in tool.only
    return way is not ways.Nfs


def note_of(tool, way):
    """The key of what is not as one would like, or None."""
    return "read-only" if tool in WRITERS and way is ways.Overlay else tool.but.get(way.title)


def disk(i):
    return json.dumps({"driver": "scsi-hd", "drive": f"d{i}", "id": f"s{i}", "bus": "scsi0.0", "serial": LONG,
                       "product": SHORT})


class Tools(real.RealTest):
    results = {}  # (table, tool, way) -> what was found; "" is all as one would like

    @classmethod
    def tearDownClass(cls):
        if "--results" in OPTIONS:
            for (table, tool, way), found in cls.results.items():
                print(f"{table:8} {tool:24} {way:24} {found or 'ok'}")

    def begin(self, way):
        """A VM, its mount, the way to it, and another mount as the measure, whose reading this one can't know of."""
        devices = []
        for i in range(len(WRITERS)):
            # They can't be unplugged. One for each tool, since errors that repeat are counted only; at ports that the
            # firmware leaves alone.
            devices += ["-device", f"isa-debug-exit,id=fixed{i},iobase={0x7000 + 4 * i}"]
        for i in range(DISKS):
            devices += ["-drive", f"driver=null-co,size=1M,if=none,id=d{i}", "-device", disk(i)]
        self.machine = self.vm(
            "-S", "-qmp", "unix:{d}/third.sock,server=on,wait=off", "-device", "virtio-scsi-pci,id=scsi0",
            *devices)
        self.seen_errors = set()
        self.disks = -1  # the last one whose files a tool has read
        self.nodes = 0
        for _ in range(NODES):
            self.grow()
        # What grows here makes no event, so no answer may be used twice.
        self.plain = self.mount(f"{self.machine.dir}/third.sock", "max_load=100")
        self.tree = self.mount(self.machine, ",".join(filter(None, ("max_load=100", way.mount_options))))
        self.way = way(self.tree)
        self.addCleanup(self.way.stop)
        self.work = tempfile.mkdtemp(prefix="qmpfs-tools-")
        self.addCleanup(shutil.rmtree, self.work, True)

    def grow(self):
        self.nodes += 1
        self.machine.qmp("blockdev-add", **{"driver": "null-co", "node-name": f"node{self.nodes}"})

    def shrink(self):
        self.machine.qmp("blockdev-del", **{"node-name": f"node{self.nodes}"})
        self.nodes -= 1

    def content(self, path):
        with open(f"{self.plain.dir}/{path}", "rb", buffering=0) as file:
            content = b""
            while piece := file.read(65536):
                content += piece
        return content

    def variables(self, path):
        f = f"{self.way.dir}/{path}".lstrip("/" if not self.way.dir else "")
        return {"f": f, "d": os.path.dirname(f), "b": os.path.basename(f), "tree": self.way.dir}

    def reads(self, tool, path):
        """What the tool makes of this file, compared with what it should."""
        content = self.content(path)
        shutil.rmtree(self.work)
        os.mkdir(self.work)
        good, o = f"{self.work}/good", f"{self.work}/o"
        with open(good, "wb") as file:
            file.write(content)
        try:
            result = self.way.sh(tool.command, good=good, o=o, **self.variables(path))
        except AssertionError as error:
            return str(error)
        found = b""
        if os.path.exists(o):
            with open(o, "rb") as file:
                found = file.read()
        want = tool.want(content)
        if result.code != 0:
            return f"exit {result.code}: {result.err.strip()[-200:]}"
        if found == want:
            return ""
        return f"{found[-40:]!r} ({len(found)} bytes), not {want[-40:]!r} ({len(want)} bytes)"

    def read_all(self, table, tools):
        for tool in tools:
            if not applies(tool, type(self.way)):
                continue
            nodes = "query/named-block-nodes"
            self.disks += 1
            found = {"never read": self.reads(tool, f"devices/s{self.disks}/serial"),
                     "short": self.reads(tool, f"devices/s{self.disks}/product")}
            if self.way.keeps_sizes:
                self.note(table, tool, {case: words for case, words in found.items() if words})
                continue
            self.content_seen(nodes)
            for _ in range(5):
                self.grow()
            found["grown"] = self.reads(tool, nodes)
            self.content_seen(nodes)
            self.shrink()
            found["shrunk"] = self.reads(tool, nodes)
            self.note(table, tool, {case: words for case, words in found.items() if words})

    def content_seen(self, path):
        """The mount itself knows the size of what it is now."""
        with open(f"{self.tree.dir}/{path}", "rb") as file:
            file.read()

    def note(self, table, tool, found):
        title = type(self.way).title
        self.results[table, tool.title, title] = found
        note = NOTES.get(note_of(tool, type(self.way)), Note("all as one would like", set()))
        with self.subTest(f"{tool.title}, {title}"):
            self.assertEqual(set(found), note.cases, f"{found}; expected: {note.text}")

    def writes(self, tool, path, text):
        i = f"{self.work}/i"
        with open(i, "w") as file:
            file.write(text + "\n")
        return self.way.sh(tool.command, t=text, i=i, **self.variables(path))

    def new_errors(self):
        """The lines of `errors` that are new; one that has been repeated is new, too."""
        lines = self.tree.read("errors").splitlines() if os.path.getsize(f"{self.tree.dir}/errors") else []
        new = [line for line in lines if line not in self.seen_errors]
        self.seen_errors = set(lines)
        return new

    def write_all(self):
        for i, tool in enumerate(tool for tool in WRITERS if applies(tool, type(self.way))):
            found = {}
            refused = f"devices/fixed{i}/remove"
            self.new_errors()
            result = self.writes(tool, f"block/d{i}/remove", "1")
            there = any(block["device"] == f"d{i}" for block in self.machine.qmp("query-block"))
            if result.code or there:
                found["remove"] = f"exit {result.code}, {'still there' if there else 'gone'}: {result.err.strip()}"
            result = self.writes(tool, "cmd/blockdev-add", f"driver=null-co node-name=w{i}")
            there = any(node["node-name"] == f"w{i}" for node in self.machine.qmp("query-named-block-nodes"))
            if result.code or not there:
                found["cmd"] = f"exit {result.code}, {'there' if there else 'not there'}: {result.err.strip()}"
            result = self.writes(tool, "ctl", "cont")
            if result.code or self.machine.qmp("query-status")["status"] != "running":
                found["ctl"] = f"exit {result.code}: {result.err.strip()}"
            self.machine.qmp("stop")
            # That an earlier tool has tried its refused removal twice is told some time later.
            lines = [line for line in self.new_errors() if "/devices/fixed" not in line]
            if lines:
                found["errors"] = lines
            result = self.writes(tool, refused, "1")
            lines = self.new_errors()
            if not any(f"/{refused} EOPNOTSUPP" in line for line in lines):
                found["not in errors"] = lines
            if result.code == 0 or not result.err.strip():
                found["not told"] = f"exit {result.code}: {result.err.strip()}"
            elif tool.title in ("dd", "libnfs: write"):
                self.assertRegex(result.err, self.way.refusal)
            self.note("writing", tool, found)


def add_tests():
    for way in ways.ALL:
        def test(self, way=way):
            why = way.missing()
            if why and os.environ.get("CI"):
                self.fail(why)
            if why:
                self.skipTest(why)
            self.begin(way)
            self.read_all("reading", READERS)
            self.read_all("sizes", SIZES)
            self.write_all()
        setattr(Tools, f"test_{way.__name__.lower()}", test)


# --- the page -------------------------------------------------------------------------------------------------------


def cell(tool, way, notes):
    if not applies(tool, way):
        return ""
    key = note_of(tool, way)
    return f"[{notes.index(key) + 1}]" if key else "yes"


def table(tools, notes):
    used = [way for way in ways.ALL if any(applies(tool, way) for tool in tools)]
    text = [f"| tool | {' | '.join(way.title for way in used)} |", f"| --- |{' --- |' * len(used)}"]
    for tool in tools:
        title = tool.title.replace("|", "\\|")
        text.append(f"| `{title}` | {' | '.join(cell(tool, way, notes) for way in used)} |")
    return text


def made():
    """The part of the page that is made here: what each tool is expected to get, which the tests hold it to."""
    notes = list(NOTES)
    text = []
    for title, tools in TABLES:
        text += [f"### {title}", "", *table(tools, notes), ""]
    text += ["### Notes", ""]
    for i, key in enumerate(notes):
        text += [f"{i + 1}. {NOTES[key].text}"]
    text += ["", "### Mounted with", "", "| way | its options | qmpfs's | `EOPNOTSUPP` reads |",
             "| --- | --- | --- | --- |"]
    for way in ways.ALL:
        options = f"`-o {way.options}`" if way.options else ""
        qmpfs = f"`-o {way.mount_options}`" if way.mount_options else ""
        text.append(f"| {way.title} | {options} | {qmpfs} | {way.refusal.replace('|', ', or ')} |")
    return "\n".join(text) + "\n"


BEGIN, END = "<!-- made by tests/real/test_tools.py --update -->\n", "<!-- to here -->\n"


def read_page():
    """What stands before the part that is made, that part, and what stands behind it."""
    with open(PAGE) as file:
        before, _, rest = file.read().partition(BEGIN)
    part, _, behind = rest.partition(END)
    return before, part, behind


class Page(unittest.TestCase):
    maxDiff = None

    def test_is_what_the_tests_hold_the_tools_to(self):
        self.assertEqual(read_page()[1], made(), "docs/tools.md: run test_tools.py --update")

    def test_each_note_is_used(self):
        used = {note_of(tool, way) for _, tools in TABLES for tool in tools for way in ways.ALL if applies(tool, way)}
        self.assertEqual(used - {None}, set(NOTES))


add_tests()

if __name__ == "__main__":
    sys.argv = [word for word in sys.argv if word not in OPTIONS]
    if "--update" in OPTIONS:
        before, _, behind = read_page()
        with open(PAGE, "w") as page:
            page.write(before + BEGIN + made() + END + behind)
    real.main()
