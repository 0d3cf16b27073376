"""Who may do what: the mount of root and of others, as seen by its owner, by a group, by everybody else."""

import contextlib
import functools
import json
import os
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import real
import users
from expected import object_files
from mount import Running, binary, sanitized
from users import as_user

USER, OTHER, GROUP = 20001, 20002, 20100
SECRET = "hunter2-of-the-disk"
DENIED, READ_ONLY = "Permission denied", "Read-only file system"
# What -object made, secrets among it, and what can do anything.
CLOSED = ("cmd", "hmp", "qmp", "qom/objects")
# What -o gid= opens.
GROUPS = ("ctl", "events")
# What it leaves to the owner, since data can be lost.
OWNERS = ("size",)

# A QMP server that has everything but a VM. It tells what it was told.
IMPOSTOR = r"""
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
while True:
    client, _ = server.accept()
    try:
        client.sendall(b'{"QMP": {"version": {"qemu": {"micro": 9, "minor": 9, "major": 9}, "package": ""}, '
                       b'"capabilities": []}}\r\n')
        said = client.recv(1000)
        print("told", said, flush=True)
        while said:
            client.sendall(b'{"return": {}}\r\n')
            said = client.recv(1000)
    except OSError:
        print("left", flush=True)
"""


def expected_mode(path, kind):
    """docs/tree.md."""
    parts = path.split("/")
    if kind == "link":
        return 0o777
    if kind == "dir":
        return 0o700 if path in ("cmd", "qom/objects") else 0o755
    if path in ("qmp", "hmp") or parts[0] == "cmd":
        return 0o600
    if path == "errors":
        return 0o400
    if path in ("ctl", "events") or parts[0] == "qom" or is_action(parts):
        return 0o644
    if parts[0] == "types" or (parts[0] == "query" and command_of(parts) in asked_by_writes()):
        return 0o644
    return 0o444


def command_of(parts):
    return f"x-query-{parts[2]}" if len(parts) == 3 else f"query-{parts[1]}"


@functools.cache
def asked_by_writes():
    """The commands that no plain read sends, by docs/security.md."""
    with open(os.path.join(os.path.dirname(__file__), "../../docs/security.md")) as page:
        return set(re.findall(r"^\| `([\w-]+)` \| no \|", page.read(), re.MULTILINE))


def is_action(parts):
    return len(parts) == 3 and object_files().get((parts[0], parts[2])) == 0o644


def group_writes(path):
    parts = path.split("/")
    return path in GROUPS or (is_action(parts) and parts[2] not in OWNERS)


class Access(real.RealTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root to become somebody else")
        # Where the build is may be nobody else's business.
        cls.public = tempfile.mkdtemp(prefix="qmpfs-access-")
        cls.addClassCleanup(shutil.rmtree, cls.public, True)
        os.chmod(cls.public, 0o755)
        cls.binary = shutil.copy(binary(), f"{cls.public}/qmpfs")
        device = f"{cls.public}/dev"
        os.mkdir(device)
        try:
            users.own_namespace()
            users.open_fuse(device)
            users.add_users(f"{cls.public}/passwd", USER, OTHER)
        except OSError as error:
            raise unittest.SkipTest(f"no namespace of our own with a /dev/fuse for all: {error}") from None
        cls.addClassCleanup(users.restore, "/etc/passwd")
        if os.path.ismount("/dev/fuse"):
            cls.addClassCleanup(users.restore, device)
            cls.addClassCleanup(users.restore, "/dev/fuse")

    def users_vm(self, uid=USER, *args):
        """A VM that runs as this user, in a directory of his."""
        vm = self.vm("-S", "-object", f"secret,id=secret0,data={SECRET}", "-object", "iothread,id=io0",
                     "-blockdev", "driver=null-co,node-name=node0,size=1048576",
                     "-device", "virtio-blk-pci,drive=node0,id=disk0",
                     "-object", "memory-backend-ram,id=mem0,size=128M", "-device", "pc-dimm,memdev=mem0,id=dimm0",
                     *args, memory="256M,slots=1,maxmem=1G", start=False)
        os.chown(vm.dir, uid, uid)
        vm.argv = [*as_user(uid, None, "--pdeathsig=KILL"), *vm.argv]
        return vm.start()

    def users_new_mount(self, vm, uid=USER, options="", **how):
        mount = self.new_mount(vm, options, **how)
        os.chown(mount.base, uid, uid)
        os.chown(mount.dir, uid, uid)
        mount.argv = [*as_user(uid), self.binary, *mount.argv[1:]]
        return mount

    def users_mount(self, vm, uid=USER, options=""):
        return self.users_new_mount(vm, uid, options).start()

    def shared_mount(self, vm, options):
        """One of root's that others come to."""
        mount = self.mount(vm, options)
        os.chmod(mount.base, 0o755)
        return mount

    def somebodys_directory(self, uid):
        path = tempfile.mkdtemp(dir=self.public)
        os.chmod(path, 0o755)
        os.chown(path, uid, uid)
        return path

    def run_as(self, mount, command, uid, gid=None, limit=15):
        return Running([*as_user(uid, gid), "bash", "-c", 'cd "$0" && eval "$1"', mount.dir, command],
                       hung=mount.kill).wait(limit)

    def succeeds_as(self, mount, command, uid, gid=None):
        result = self.run_as(mount, command, uid, gid)
        self.assertEqual((result.code, result.err), (0, ""), result)
        return result.out

    def fails_as(self, mount, command, words, uid, gid=None):
        result = self.run_as(mount, command, uid, gid)
        self.assertNotEqual(result.code, 0, result)
        self.assertIn(words, result.err, result)

    def rights(self, mount, uid, gid=None):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rights.py")) as file:
            program = file.read()
        result = Running([*as_user(uid, gid), sys.executable, "-c", program, mount.dir], hung=mount.kill).wait(60)
        self.assertEqual(result.code, 0, result)
        found = json.loads(result.out)
        for path in ("ctl", "state", "block/disk0/remove", "block/disk0/status", "cpus/0/remove", "memory/dimm0/remove",
                     "devices/disk0/remove", "query/status", "schema/commands/stop", "qom/type", "events", "errors"):
            self.assertIn(path, found)
        return found

    def check(self, found, owner, group, read, write, refusal="EACCES", make="EACCES"):
        """All that was found is of these owners and modes; read(path) and write(path) tell what could be opened, `refusal`
        what a write gets else, and `make` a mkdir where one gets in."""
        wrong = []
        tried = 0
        for path, entry in found.items():
            mode = expected_mode(path, entry["kind"])
            if group != owner and entry["kind"] == "file" and group_writes(path):
                mode |= 0o020
            if group != owner and path == "errors":
                mode |= 0o040
            want = {"uid": owner, "gid": group, "mode": mode}
            if entry["kind"] == "dir":
                # Before the list is known each name in types/ is one.
                want.update({"list": "", "make": "EEXIST" if path == "types" else make} if read(path)
                            else {"list": "EACCES", "make": "EACCES"})
            elif "read" in entry:
                tried += 1
                want.update({"read": "" if read(path) else "EACCES", "write": "" if write(path) else refusal,
                             "both": "" if read(path) and write(path) else refusal})
            wrong += [f"{path}: {entry}, not {want}"] if not want.items() <= entry.items() else []
        self.assertEqual(wrong, [])
        self.assertGreater(tried, 100)

    # -- modes, as the kernel enforces them

    def test_owner_may_what_the_modes_say_and_no_more(self):
        mount = self.users_mount(self.users_vm())
        found = self.rights(mount, USER)
        for path in (*CLOSED, "cmd/stop", "qom/objects/secret0/data"):
            self.assertIn(path, found)
        self.check(found, USER, USER, lambda path: True,
                   lambda path: expected_mode(path, "file") & 0o200 != 0, make="EPERM")

    def test_nobody_else_gets_in_without_allow_other(self):
        mount = self.users_mount(self.users_vm())
        os.chmod(mount.base, 0o755)
        self.assertEqual(self.succeeds_as(mount, "cat state", USER), "prelaunch\n")
        for command in ("ls", "cat state", "cat qmp", "echo cont > ctl"):
            for uid, gid in ((OTHER, OTHER), (OTHER, USER), (USER, OTHER)):
                with self.subTest(command, uid=uid, gid=gid):
                    self.fails_as(mount, command, DENIED, uid, gid)
        # Nor is root let in by the kernel, whom it protects from files that never answer, unless it was told to.
        try:
            with open("/sys/module/fuse/parameters/allow_sys_admin_access") as file:
                root_may = file.read() == "Y\n"
        except FileNotFoundError:
            root_may = False
        result = mount.sh("cat state")
        self.assertEqual(result.code == 0, root_may, result)
        # By the name of the mount neither.
        self.fails_as(self.shared_mount(self.users_vm(), ""), "ls", DENIED, USER)

    def test_everybody_may_read_with_allow_other_and_nobody_write(self):
        mount = self.shared_mount(self.users_vm(), "allow_other")
        found = self.rights(mount, OTHER)
        self.assertEqual([path for path in found if path.startswith(("cmd/", "qom/objects/"))], [])
        self.check(found, 0, 0, lambda path: path not in (*CLOSED, "errors"), lambda path: False)
        self.assertEqual(self.succeeds_as(mount, "cat state && ls block && head -n 1 block/disk0/remove && head -n 1 ctl",
                                          OTHER).splitlines()[:3], ["prelaunch", "disk0", "idle"])
        for command in ("echo cont > ctl", "echo 1 > block/disk0/remove", "exec 3<> events", "cat qmp", "cat errors", "cat hmp",
                        "ls cmd", "cat cmd/stop", "echo > cmd/cont", "ls qom/objects",
                        "cat qom/objects/secret0/data", "echo on > qom/machine/graphics"):
            with self.subTest(command):
                self.fails_as(mount, command, DENIED, OTHER)
        for command in ("rm -r block/disk0", "mkdir block/x", "chmod 666 ctl", "touch state", "mv state x"):
            with self.subTest(command):
                result = self.run_as(mount, command, OTHER)
                self.assertRegex(result.err, f"{DENIED}|Operation not permitted", result)
        self.assertEqual(mount.read("state"), "prelaunch")
        self.assertEqual(self.ok(mount, "ls block"), "disk0\n")

    def test_no_secret_is_in_what_others_may_read(self):
        mount = self.shared_mount(self.users_vm(), "allow_other,max_load=100")
        places = "block cpus devices memory query qom schema/commands connection events name status version"
        command = f"grep -rl {SECRET} {places} 2> /dev/null"
        self.assertEqual(self.run_as(mount, command, OTHER, limit=60).out, "")
        # It is there to be found.
        self.assertEqual(mount.sh(command, 60).out, "qom/objects/secret0/data\n")

    def image_from_elsewhere(self, vm):
        """An image whose header names a backing file by a URL with a password."""
        path = f"{vm.dir}/above.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", f"https://bob:{SECRET}@host/below", "-F", "raw", path,
                        "1M"], check=True)
        return ["-blockdev", f"driver=qcow2,node-name=above,backing=,file.driver=file,file.filename={path}",
                "-device", "virtio-blk-pci,drive=above,id=disk1"]

    def test_credentials_of_images_are_hidden_from_others(self):
        machine = self.vm("-S", prepare=self.image_from_elsewhere)
        places = "block query devices qom/machine events"
        find = f"grep -rl {SECRET} {places} 2> /dev/null"
        mount = self.shared_mount(machine, "allow_other,max_load=100")
        self.assertEqual(self.run_as(mount, find, OTHER, limit=60).out, "")
        name = "cat block/disk1/inserted/image/backing-filename"
        self.assertEqual(self.succeeds_as(mount, name, OTHER), "https://…@host/below\n")
        # What is cached is shared between users: the owner reads it first, and reads the same.
        self.assertEqual(self.ok(mount, name), "https://…@host/below\n")
        self.assertEqual(mount.sh(find, 60).out, "")
        # It is there to be asked for.
        asked = "{ echo >&3 && cat <&3; } 3<> cmd/query-block"
        self.assertIn(SECRET, self.ok(mount, asked))
        self.fails_as(mount, asked, DENIED, OTHER)
        mount.unmount()
        mount = self.mount(machine)
        self.assertIn(SECRET, self.ok(mount, name))

    def test_many_openings_of_others_share_their_content(self):
        mount = self.shared_mount(self.vm("-S"), "allow_other,max_load=100")

        def memory():
            with open(f"/proc/{mount.pid}/status") as file:
                return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) / 1024
        self.ok(mount, "cat query/qmp-schema > /dev/null")
        before = memory()
        program = ("import os, resource, sys\n"
                   "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
                   "files = [os.open('query/qmp-schema', os.O_RDONLY) for _ in range(100)]\n"
                   "print(sum(len(os.read(file, 1)) for file in files), flush=True)\n"
                   "sys.stdin.readline()")
        reader = self.spawn_as(mount, f"exec {sys.executable} -c \"{program}\" < <(sleep 300)", OTHER)
        try:
            self.eventually(lambda: reader.output() == "100\n" or reader.ended(), "100 openings", 60)
            self.assertEqual((reader.output(), reader.errors()), ("100\n", ""))
            during = memory()
        finally:
            reader.abandon()
        # Each would take 300 KB by itself. The quarantine of AddressSanitizer keeps what has been freed.
        if sanitized():
            return
        self.assertLess(during - before, 15)
        self.eventually(lambda: memory() - before < 10, "memory that is given back")

    def spawn_as(self, mount, command, uid):
        return Running([*as_user(uid), "bash", "-c", 'cd "$0" && eval "$1"', mount.dir, command], hung=mount.kill)

    def test_group_may_write_what_gid_opens(self):
        mount = self.shared_mount(self.users_vm(), f"allow_other,gid={GROUP}")
        read = lambda path: path not in CLOSED
        self.check(self.rights(mount, OTHER, GROUP), 0, GROUP, read, group_writes)
        # And those outside of the group write nothing.
        self.check(self.rights(mount, OTHER), 0, GROUP, lambda path: read(path) and path != "errors", lambda path: False)
        self.succeeds_as(mount, "echo cont > ctl", OTHER, GROUP)
        self.assertEqual(mount.read("state"), "running")
        for command in ("echo on > qom/machine/graphics", "ls qom/objects", "echo > cmd/stop", "cat qmp",
                        "echo 'info status' > hmp"):
            with self.subTest(command):
                self.fails_as(mount, command, DENIED, OTHER, GROUP)

    def test_gid_lets_nobody_in_without_allow_other(self):
        mount = self.shared_mount(self.users_vm(), f"gid={GROUP}")
        self.fails_as(mount, "cat state", DENIED, OTHER, GROUP)

    def test_owner_is_whom_uid_names(self):
        mount = self.shared_mount(self.users_vm(), f"allow_other,uid={USER}")
        self.assertEqual(self.ok(mount, "stat -c %u . ctl block block/disk0/remove qom/type qmp"), f"{USER}\n" * 6)
        self.succeeds_as(mount, "echo cont > ctl && ls cmd && ls qom/objects", USER)
        self.assertEqual(self.succeeds_as(mount, "{ echo 'info status' >&3 && cat <&3; } 3<> hmp", USER),
                         "VM status: running\n")
        self.fails_as(mount, "echo stop > ctl", DENIED, OTHER)
        self.fails_as(mount, "ls cmd", DENIED, OTHER)

    def test_read_only_means_every_write_of_everybody(self):
        mount = self.shared_mount(self.users_vm(), f"ro,allow_other,gid={GROUP}")
        read = lambda path: path not in CLOSED
        self.check(self.rights(mount, OTHER, GROUP), 0, GROUP, read, lambda path: False, "EROFS", "EROFS")
        found = self.rights(mount, 0)
        self.assertIn("cmd/stop", found)
        self.check(found, 0, GROUP, lambda path: True, lambda path: False, "EROFS", "EROFS")
        for command in ("echo cont > ctl", "echo > cmd/cont", "echo cont > hmp", "echo '{}' > qmp",
                        "echo 1 > block/disk0/remove", "echo 1 > qom/objects/io0/poll-max-ns", "exec 3<> events",
                        "rm -r block/disk0", "mkdir x", "chmod 600 ctl", "touch state"):
            with self.subTest(command):
                self.fails(mount, command, READ_ONLY)
        self.assertEqual(mount.read("state"), "prelaunch")

    def test_without_raw_access_its_names_are_absent(self):
        mount = self.users_mount(self.users_vm(), options="noraw")
        names = self.succeeds_as(mount, "ls -A", USER).split()
        self.assertEqual({"cmd", "qmp", "hmp"} & set(names), set())
        self.assertTrue({"qom", "ctl", "query"} <= set(names))
        for command in ("cat qmp", "cat hmp", "ls cmd", "cat cmd/stop", "echo > cmd/stop"):
            with self.subTest(command):
                self.fails_as(mount, command, "No such file or directory", USER)
        self.fails_as(mount, "echo > qmp", "No such file or directory", USER)

    # -- a mount of somebody who is not root

    def test_daemon_and_all_it_holds_belong_to_who_mounts(self):
        mount = self.users_mount(self.users_vm())
        with open(f"/proc/{mount.pid}/status") as file:
            status = file.read()
        self.assertRegex(status, rf"(?m)^Uid:\t{USER}\t{USER}\t{USER}\t{USER}$")
        self.assertRegex(status, rf"(?m)^Gid:\t{USER}\t{USER}\t{USER}\t{USER}$")
        self.assertRegex(status, r"(?m)^CapEff:\t0+$")
        fds = f"/proc/{mount.pid}/fd"
        sockets = [fd for fd in os.listdir(fds) if os.readlink(f"{fds}/{fd}").startswith("socket:")]
        self.assertGreaterEqual(len(sockets), 1)
        for fd in sockets:
            self.assertEqual(os.stat(f"{fds}/{fd}").st_uid, USER)
        line = subprocess.run(["grep", f" {mount.dir} ", "/proc/self/mounts"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        options = line.split()[3].split(",")
        self.assertTrue({"nosuid", "nodev", f"user_id={USER}", "default_permissions"} <= set(options), line)
        self.assertNotIn("allow_other", options)

    def test_mount_of_root_is_nosuid_and_nodev_too(self):
        mount = self.shared_mount(self.users_vm(), "allow_other")
        line = self.ok(mount, "grep \" $PWD \" /proc/self/mounts")
        self.assertTrue({"nosuid", "nodev", "default_permissions"} <= set(line.split()[3].split(",")), line)

    def test_only_who_mounted_unmounts(self):
        mount = self.users_mount(self.users_vm())
        os.chmod(mount.base, 0o755)
        for argv in (["fusermount3", "-u", mount.dir], ["fusermount3", "-u", "-z", mount.dir], ["umount", mount.dir]):
            with self.subTest(argv[0]):
                result = Running([*as_user(OTHER), *argv]).wait(10)
                self.assertNotEqual(result.code, 0, result)
                self.assertTrue(mount.mounted())
        for sig in ("TERM", "KILL"):
            result = Running([*as_user(OTHER), "bash", "-c", f"kill -{sig} {mount.pid}"]).wait(10)
            self.assertIn("Operation not permitted", result.err)
        self.assertEqual(self.succeeds_as(mount, "cat state", USER), "prelaunch\n")
        result = Running([*as_user(USER), "fusermount3", "-u", mount.dir]).wait(10)
        self.assertEqual((result.code, result.err), (0, ""), result)
        mount.check_end(mount.wait_end())

    def test_end_of_the_daemon_takes_its_mount_away(self):
        """Also in the sandbox, where it can't run fusermount3."""
        vm = self.users_vm()
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(sig=sig):
                mount = self.users_mount(vm, options="sandbox=on")
                os.kill(mount.pid, sig)
                code = mount.wait_end(5)
                self.assertEqual(code, 0 if sig == signal.SIGTERM else -sig)
                self.eventually(lambda m=mount: not m.mounted(), "the end of the mount", 5)
                mount.pid = None

    def test_allow_other_wants_the_consent_of_root(self):
        vm = self.users_vm()
        with open("/etc/fuse.conf") as file:
            consent = re.search(r"(?m)^user_allow_other\b", file.read())
        if not consent:
            mount = self.users_new_mount(vm, options="allow_other")
            result = mount.try_start()
            self.assertNotEqual(result.code, 0, result)
            self.assertIn("user_allow_other", result.err)
            self.assertIn("/etc/fuse.conf", result.err)
            self.assertFalse(mount.mounted())
            path = f"{vm.dir}/fuse.conf"
            with open(path, "w") as file:
                file.write("user_allow_other\n")
            users.replace(path, "/etc/fuse.conf")
            self.addCleanup(users.restore, "/etc/fuse.conf")
        mount = self.users_mount(vm, options="allow_other")
        os.chmod(mount.base, 0o755)
        self.assertEqual(self.succeeds_as(mount, "cat state", OTHER), "prelaunch\n")
        self.fails_as(mount, "echo cont > ctl", DENIED, OTHER)
        self.fails_as(mount, "cat qmp", DENIED, OTHER)
        self.fails_as(mount, "ls qom/objects", DENIED, OTHER)
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")

    def test_socket_that_is_not_ours_is_not_reached(self):
        mount = self.users_new_mount(self.users_vm(OTHER))
        result = mount.try_start()
        self.assertNotEqual(result.code, 0, result)
        self.assertIn(DENIED, result.err)
        self.assertEqual(len(result.err.splitlines()), 1, result)

    # -- paths that somebody changes

    def test_mount_point_of_somebody_else_is_refused_through_a_link_too(self):
        vm = self.users_vm()
        theirs = self.somebodys_directory(OTHER)
        for link in (False, True):
            with self.subTest(link=link):
                mount = self.users_new_mount(vm)
                if link:
                    os.symlink(theirs, f"{mount.base}/link")
                mount.argv[-1] = f"{mount.base}/link" if link else theirs
                result = mount.try_start()
                self.assertNotEqual(result.code, 0, result)
                self.assertIn("mount", result.err)
                self.assertFalse(os.path.ismount(theirs))

    @contextlib.contextmanager
    def swapped(self, link, targets):
        """A symbolic link that leads to each of the targets in turn, as fast as it can be changed."""
        stop = threading.Event()
        swaps = []

        def swap():
            n = 0
            while not stop.is_set():
                n += 1
                os.symlink(targets[n % len(targets)], f"{link}.new")
                os.replace(f"{link}.new", link)
            swaps.append(n)
        os.symlink(targets[0], link)
        thread = threading.Thread(target=swap)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        self.assertGreater(swaps[0], 100)

    def test_mount_point_swapped_in_between_is_never_somebody_elses(self):
        """fusermount3 does not follow a link at the end of the path, so it is one on the way."""
        vm = self.users_vm()
        parent = self.somebodys_directory(OTHER)
        theirs = f"{parent}/vm"
        os.mkdir(theirs)
        os.chown(theirs, OTHER, OTHER)
        link = f"{self.public}/link"
        mounted = 0
        mount = self.users_new_mount(vm, foreground=True)
        os.chmod(mount.base, 0o755)
        mount.argv[-1] = f"{link}/vm"
        with self.swapped(link, (parent, mount.base)):
            for _ in range(12):
                mount.running = Running(mount.argv, mount.env, mount.kill)
                mount.pid = mount.running.process.pid
                self.eventually(lambda: mount.running.ended() or mount.mounted() or os.path.ismount(theirs),
                                "the mount, or its refusal")
                self.assertFalse(os.path.ismount(theirs))
                if mount.mounted():
                    mounted += 1
                    mount.unmount()
                else:
                    self.assertNotEqual(mount.running.wait().code, 0)
                    mount.pid = None
        self.assertGreater(mounted, 0)

    def test_socket_is_found_by_connecting_to_it_and_nothing_else(self):
        """There is no moment between a look at the path and its use."""
        if not shutil.which("strace"):
            self.skipTest("no strace")
        vm = self.users_vm()
        mount = self.new_mount(vm, foreground=True)
        trace = f"{vm.dir}/trace"
        mount.argv = ["strace", "-f", "-e", "trace=%file,connect", "-s", "4096", "-o", trace, *mount.argv]
        mount.env = {**mount.env, "ASAN_OPTIONS": mount.env["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")}
        mount.start()
        self.assertEqual(mount.read("state"), "prelaunch")
        mount.unmount()
        with open(trace) as file:
            calls = [re.match(r"\d+ +(\w+)\(", line)[1] for line in file if f'"{vm.socket}"' in line]
        # It is the name of what is mounted, too.
        self.assertEqual([call for call in calls if call not in ("execve", "mount")], ["connect"])

    def impostor(self, uid):
        """Somebody else's QMP server: its socket's path, and what is running."""
        directory = self.somebodys_directory(uid)
        server = Running([*as_user(uid, None, "--pdeathsig=KILL"), sys.executable, "-c", IMPOSTOR,
                          f"{directory}/qmp.sock"])
        self.addCleanup(server.abandon)
        self.eventually(lambda: server.output().startswith("listening"), "the impostor")
        return f"{directory}/qmp.sock", server

    def test_socket_of_another_user_is_not_taken_for_the_one_before(self):
        path, server = self.impostor(OTHER)
        vm = self.users_vm()
        link = f"{self.public}/source"
        os.symlink(vm.socket, link)
        self.addCleanup(os.unlink, link)
        mount = self.mount(link)
        self.assertEqual(mount.read("state"), "prelaunch")
        vm.kill()
        os.symlink(path, f"{link}.new")
        os.replace(f"{link}.new", link)
        self.eventually(lambda: re.fullmatch(rf"down: '{link}' is now served by user {OTHER}, not by user {USER} as "
                                             r"before: not trusted; mount again to accept it, next try in \d+(\.\d+)? s",
                                             mount.read("connection").splitlines()[0]), "the refusal")
        self.assertEqual(mount.read("state"), "down")
        for command in ("ls block", "cat status", "echo stop > ctl"):
            self.fails(mount, command, "Host is down")
        # It was told nothing.
        self.assertEqual(set(server.output().splitlines()[1:]) - {"told b''", "left"}, set())
        os.symlink(vm.socket, f"{link}.new")
        os.replace(f"{link}.new", link)
        vm.start()
        self.eventually(lambda: mount.sh("cat state").out == "prelaunch\n", "the first one's return", 12)

    def test_another_vm_of_the_same_user_is_not_taken_for_the_one_before(self):
        first, second = self.vm("-S", "-name", "first"), self.vm("-S", "-name", "second")
        link = f"{self.public}/reused"
        os.symlink(first.socket, link)
        self.addCleanup(os.unlink, link)
        mount = self.mount(link)
        self.assertEqual(mount.read("name"), "first")
        first.kill()
        os.symlink(second.socket, f"{link}.new")
        os.replace(f"{link}.new", link)
        self.eventually(lambda: re.fullmatch(rf"down: '{link}' is another VM now, its name is 'second', at first it was "
                                             r"'first': mount again to accept it, next try in \d+(\.\d+)? s",
                                             mount.read("connection").splitlines()[0]), "the refusal")
        for command in ("ls block", "cat status", "echo cont > ctl"):
            self.fails(mount, command, "Host is down")
        self.assertNotIn("QMPFS_UP", mount.sh("cat events").out)
        # The first one, started again, is the same VM.
        os.symlink(first.socket, f"{link}.new")
        os.replace(f"{link}.new", link)
        first.start()
        self.eventually(lambda: mount.sh("cat name").out == "first\n", "the first one's return", 12)
        mount.unmount()
        # Mounting again accepts any; and the second one was not resumed.
        mount = self.mount(second.socket, "any_vm")
        self.assertEqual((mount.read("name"), mount.read("state")), ("second", "prelaunch"))

    def test_socket_swapped_in_between_is_never_another_users(self):
        path, server = self.impostor(OTHER)
        vm = self.users_vm()
        link = f"{self.public}/swapped"
        os.symlink(vm.socket, link)
        mount = self.mount(link)
        os.unlink(link)
        with self.swapped(link, (vm.socket, path, vm.socket)):
            for _ in range(3):
                vm.kill()
                vm.start()

                def up():
                    connection = mount.read("connection")
                    self.assertNotIn("9.9.9", connection)
                    return connection.startswith("up since ")
                self.eventually(up, "the connection to the right one", 30)
                self.assertEqual(mount.read("state"), "prelaunch")
        self.assertEqual(set(server.output().splitlines()[1:]) - {"told b''", "left"}, set())


if __name__ == "__main__":
    real.main()
