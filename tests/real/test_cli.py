"""The command: what it says when it can't start, what it takes, and how it ends."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import real
from mount import Running, binary, sanitized


class Cli(real.RealTest):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="qmpfs-cli-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def refuses(self, source, *words, options="", limit=20):
        """It must fail with one line that holds these words, and mount nothing; the line."""
        mount = self.new_mount(source, options)
        result = mount.try_start(limit)
        self.assertNotEqual(result.code, 0, result)
        self.assertEqual(len(result.err.splitlines()), 1, result)
        for word in words:
            self.assertIn(word, result.err, result)
        self.assertFalse(mount.mounted())
        return result

    def run_it(self, *args):
        return Running([binary(), *args]).wait(10)

    def listener(self, say):
        """The path of a socket that accepts everybody, says this, and hangs up if that is None."""
        server = socket.socket(socket.AF_UNIX)
        path = f"{self.dir}/listener"
        server.bind(path)
        server.listen()
        kept = []

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                if say is None:
                    client.close()
                else:
                    kept.append(client)
                    client.sendall(say)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(lambda: (server.shutdown(socket.SHUT_RDWR), server.close(), [c.close() for c in kept]))
        return path

    # -- sources that don't do

    def test_no_such_socket(self):
        self.refuses(f"{self.dir}/none", f"'{self.dir}/none'", "No such file or directory")

    def test_refused(self):
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(f"{self.dir}/stale")
        stale.close()
        self.refuses(f"{self.dir}/stale", f"{self.dir}/stale", "Connection refused")

    def test_held_by_another_client(self):
        vm = self.vm("-S")
        self.refuses(f"{vm.dir}/second.sock", "another client", options="timeout=1", limit=5)
        # The one that holds it is none the worse for it.
        self.assertEqual(vm.qmp("query-status")["status"], "prelaunch")

    def test_two_mounts_of_one_monitor(self):
        vm = self.vm("-S")
        first = self.mount(vm)
        self.refuses(vm.socket, "another client", options="timeout=1", limit=5)
        self.assertEqual(self.ok(first, "cat state"), "prelaunch\n")

    def test_human_monitor(self):
        vm = self.vm("-S", "-monitor", "unix:{d}/hmp.sock,server=on,wait=off")
        self.refuses(f"{vm.dir}/hmp.sock", "HMP")

    def test_not_json(self):
        self.refuses(self.listener(b"SSH-2.0-OpenSSH_9.2\r\n"), "not QMP", "SSH-2.0")

    def test_closed_while_negotiating(self):
        self.refuses(self.listener(None), "closed")

    def test_regular_file(self):
        with open(f"{self.dir}/file", "w"):
            pass
        self.refuses(f"{self.dir}/file", f"{self.dir}/file")

    def test_tcp_refused(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.refuses(f"tcp:127.0.0.1:{port}", "Connection refused")

    def test_bad_tcp_sources(self):
        for source in ("tcp:", "tcp:localhost", "tcp:localhost:", "tcp:localhost:http!", "tcp:localhost:99999"):
            with self.subTest(source):
                self.refuses(source)
        self.refuses("tcp:localhost:99999", "expected a port from 1 to 65535")

    # -- mount points and options that don't do

    def test_mount_point(self):
        vm = self.vm("-S")
        for path, words in ((f"{self.dir}/none", "No such file or directory"), ("/etc/passwd", "Not a directory")):
            with self.subTest(path):
                result = self.run_it(vm.socket, path)
                self.assertNotEqual(result.code, 0, result)
                self.assertEqual(len(result.err.splitlines()), 1, result)
                self.assertIn(path, result.err)
                self.assertIn(words.lower(), result.err.lower())

    def test_mount_on_a_mount_of_qmpfs(self):
        first = self.mount(self.vm("-S"), "fsname=the first")
        second = self.vm("-S")
        os.symlink(first.dir, f"{self.dir}/link")
        for source in (first.argv[-2], second.socket):
            for path in (first.dir, f"{first.dir}/", f"{first.dir}/../vm//.", f"{self.dir}/link", "vm"):
                with self.subTest(source=source, path=path):
                    result = Running(["env", "-C", first.base, binary(), source, path]).wait(10)
                    self.assertEqual((result.code, result.err), (
                        1, f"qmpfs: cannot mount on '{first.dir}': 'the first' is mounted there already\n"))
        self.assertEqual(self.ok(first, "cat state"), "prelaunch\n")
        # The other VM's monitor is free, and the place when the mount is gone.
        first.unmount()
        again = self.new_mount(second)
        again.argv[-1] = again.dir = first.dir
        again.start()
        self.assertEqual(self.ok(again, "cat state"), "prelaunch\n")

    def test_mount_on_another_mount(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        mount = self.new_mount(self.vm("-S"))
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount.dir], check=True)
        try:
            mount.start()
            self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
            Running(["fusermount3", "-u", mount.dir], hung=mount.kill).wait()
            self.assertEqual(mount.wait_end(), 0)
            mount.pid = None
        finally:
            subprocess.run(["umount", mount.dir], check=True)

    def test_dead_mount(self):
        mount = self.mount(self.vm("-S"), "sandbox=off")
        os.kill(mount.pid, signal.SIGKILL)
        self.assertEqual(mount.wait_end(5), -signal.SIGKILL)
        mount.pid = None
        result = self.run_it(mount.argv[-2], mount.dir)
        self.assertEqual(result.code, 1)
        self.assertIn(f"'{mount.dir}': Transport endpoint is not connected (", result.err)

    def test_unknown_options(self):
        vm = self.vm("-S")
        for option in ("colour", "colour=red", "timeouts=3"):
            with self.subTest(option):
                self.refuses(vm.socket, option.partition("=")[0], options=option)
        self.refuses(vm.socket, "unknown option '-o bogus=1'", options="bogus=1")
        for option in ("max_read=4096", "subtype=other", "blkdev", "remount,ro"):
            with self.subTest(option):
                self.refuses(vm.socket, f"option '-o {option.partition(',')[0]}' is not supported", options=option)
        self.assertIn("unknown option '--colour'", self.run_it("--colour", vm.socket, self.dir).err)

    def test_bad_values(self):
        vm = self.vm("-S")
        for option in ("timeout=", "timeout=x", "timeout=-1", "timeout=1x", "timeout", "unplug_timeout=never",
                       "structure_ttl=x", "max_load=101", "max_load=x", "gid=nobody-of-this-name", "uid=-5"):
            with self.subTest(option):
                self.refuses(vm.socket, option.partition("=")[0], options=option)

    def test_missing_operands(self):
        for args in ((), ("only-one",), ("one", "two", "three")):
            result = self.run_it(*args)
            self.assertNotEqual(result.code, 0, result)
            self.assertNotEqual(result.err, "", result)

    def test_what_libfuse_refuses_after_mounting(self):
        if sanitized():
            self.skipTest("nothing can be preloaded before a sanitizer")
        here = os.path.dirname(os.path.abspath(__file__))
        flags = subprocess.run(["pkg-config", "--cflags", "fuse3"], check=True, capture_output=True, text=True).stdout
        subprocess.run(["cc", "-shared", "-fPIC", *flags.split(), "-o", f"{self.dir}/refuse.so", f"{here}/refuse_init.c"],
                       check=True)
        vm = self.vm("-S")
        for foreground, options in itertools.product((False, True), ("", "sandbox=off")):
            with self.subTest(foreground=foreground, options=options):
                mount = self.new_mount(vm, options, foreground=foreground)
                mount.env["LD_PRELOAD"] = f"{self.dir}/refuse.so"
                result = mount.try_start()
                self.assertEqual((result.code, result.out), (1, ""), result)
                self.assertEqual(result.err, f"qmpfs: cannot serve '{mount.dir}': error: nothing suits me\n")
                self.eventually(lambda m=mount: not m.mounted(), "the mount's end")
                self.assertEqual(os.listdir(mount.dir), [])

    # -- what it takes

    def test_help_and_version(self):
        result = self.run_it("-h")
        self.assertEqual((result.code, result.err), (0, ""), result)
        for option in ("timeout", "unplug_timeout", "structure_ttl", "max_load", "allow_other", "uid", "gid", "ro"):
            self.assertRegex(result.out, rf"\b{option}\b")
        result = self.run_it("-V")
        self.assertEqual((result.code, result.err), (0, ""), result)
        for name in ("qmpfs", "fuse", "json-c"):
            self.assertRegex(result.out, rf"(?i){name}.*\b\d+\.\d+")

    def test_sources(self):
        vm = self.vm("-S", "-qmp", "tcp:127.0.0.1:0,server=on,wait=off")
        info = next(c["filename"] for c in vm.qmp("query-chardev") if "tcp:127.0.0.1" in c["filename"])
        port = info.rpartition(":")[2].split(",")[0]
        for source in (f"unix:{vm.socket}", f"tcp:127.0.0.1:{port}", f"tcp:localhost:{port}"):
            with self.subTest(source):
                mount = self.mount(source)
                self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
                mount.unmount()

    def test_relative_paths_survive_going_to_the_background(self):
        vm = self.vm("-S")
        mount = self.new_mount(vm)
        mount.argv = [binary(), "qmp.sock", os.path.relpath(mount.dir, vm.dir)]
        result = mount.try_start(cwd=vm.dir)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        # It reconnects by the same path, wherever it is by now.
        vm.kill()
        vm.start()
        self.eventually(lambda: mount.sh("cat state").out == "prelaunch\n", "the reconnection", 12)

    def test_socket_path_longer_than_an_address(self):
        vm = self.vm("-S")
        deep = f"{self.dir}/{'d' * 120}"
        os.mkdir(deep)
        os.symlink(vm.socket, f"{deep}/qmp.sock")
        mount = self.mount(f"{deep}/qmp.sock")
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")

    def test_options_of_fstab(self):
        vm = self.vm("-S")
        mount = self.mount(vm, "noauto,user,_netdev,rw,x-systemd.automount,nofail,nosuid,nodev,noexec,noatime,"
                               "timeout=3")
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")

    def source_and_type(self, mount):
        with open("/proc/self/mounts") as file:
            return next((words[0], words[2]) for words in map(str.split, file) if words[1] == mount.dir)

    def test_fsname(self):
        vm = self.vm("-S")
        for options, name in (("fsname=web\\,1", "web,1"), ("timeout=3", vm.socket)):
            mount = self.mount(vm, options)
            self.assertEqual(self.source_and_type(mount), (name, "fuse.qmpfs"))
            mount.unmount()

    def test_options_of_libfuse(self):
        vm = self.vm("-S")
        mount = self.mount(vm, "allow_root,auto_unmount,sync,nosuid,noatime,ro")
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        mount.unmount()

    def installed(self, mount, script):
        """The result of a script where qmpfs is installed, and mount(8) finds it."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        build = os.path.dirname(binary())
        if not os.path.exists(f"{build}/CMakeCache.txt"):
            self.skipTest(f"{build} is no build directory")
        prefix = f"{self.dir}/usr"
        subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        # mount(8) starts its helpers with a PATH of its own, so what was installed is put in /usr/local here: in a
        # mount namespace that ends with this shell. (Where / is no mount point, as in a chroot, it can't be made private.)
        script = f"""mount --make-rprivate / 2> /dev/null; mount --bind {prefix} /usr/local || exit
            trap 'umount --lazy /usr/local' EXIT  # the daemon may be about to end
            {script}"""
        argv = ["unshare", "--mount", "--propagation", "unchanged", "bash", "-c", script]
        return Running(argv, mount.env, mount.kill).wait(40)

    def test_mount_helper(self):
        """mount -t fuse.qmpfs after an installation."""
        vm = self.vm("-S")
        mount = self.new_mount(vm)
        result = self.installed(mount, f"""mount -t fuse.qmpfs -o noauto,timeout=3 {vm.socket} {mount.dir} &&
            cat {mount.dir}/state && grep ' {mount.dir} ' /proc/self/mounts && umount {mount.dir}""")
        self.assertEqual((result.code, result.err), (0, ""), result)
        state, line = result.out.splitlines()
        self.assertEqual(state, "prelaunch")
        self.assertEqual(line.split()[:3], [vm.socket, mount.dir, "fuse.qmpfs"])

    HARMLESS = {"nosuid", "nodev", "noexec"}

    def test_mount_is_nosuid_nodev_noexec_by_whatever_way(self):
        """A daemon that was taken over could serve a setuid program or a device node. mount.fuse3 adds suid and dev."""
        vm = self.vm("-S")
        mount = self.new_mount(vm)
        wanted = "suid,dev,exec"
        shown = f"grep ' {mount.dir} ' /proc/self/mounts && umount {mount.dir}"
        fstab = f"{self.dir}/fstab"
        with open(fstab, "w") as file:
            file.write(f"{vm.socket} {mount.dir} fuse.qmpfs noauto,{wanted} 0 0\n")
        ways = [
            f"mount -t fuse.qmpfs {vm.socket} {mount.dir}",
            f"mount -t fuse.qmpfs -o {wanted} {vm.socket} {mount.dir}",
            # What systemd starts for a mount unit, from fstab or not (mount_enter_mounting()).
            f"mount {vm.socket} {mount.dir} -t fuse.qmpfs -o noauto,{wanted}",
            f"mount -T {fstab} {mount.dir}",
            f"mount.fuse3 qmpfs#{vm.socket} {mount.dir} -o {wanted}",
            f"qmpfs {vm.socket} {mount.dir}",
            f"qmpfs {vm.socket} {mount.dir} -o nosuid,{wanted}",
        ]
        result = self.installed(mount, "".join(f"{way} && {shown} || exit\n" for way in ways))
        self.assertEqual((result.code, result.err), (0, ""), result)
        lines = result.out.splitlines()
        self.assertEqual(len(lines), len(ways), result)
        for way, line in zip(ways, lines):
            with self.subTest(way):
                self.assertTrue(self.HARMLESS <= set(line.split()[3].split(",")), line)

    def test_mount_helper_with_closed_descriptors(self):
        vm = self.vm("-S")
        mount = self.new_mount(vm)
        once = "".join(f"mount -t fuse.qmpfs {vm.socket} {mount.dir} {closed} && cat {mount.dir}/state && umount {mount.dir} "
                       "|| exit\n" for closed in self.CLOSED)
        result = self.installed(mount, once)
        self.assertEqual((result.code, result.err, result.out), (0, "", len(self.CLOSED) * "prelaunch\n"), result)

    # -- with standard descriptors closed, as cron jobs and daemons may start it

    CLOSED = ["".join(c) for n in range(4) for c in itertools.combinations(("0<&- ", "1>&- ", "2>&- "), n)]

    def test_closed_descriptors(self):
        vm = self.vm("-S")
        for foreground, closed in itertools.product((False, True), self.CLOSED):
            with self.subTest(closed=closed, foreground=foreground):
                mount = self.new_mount(vm, foreground=foreground)
                mount.argv = ["bash", "-c", f'exec "$@" {closed}', "bash", *mount.argv]
                mount.start()
                self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
                # What was closed is not the monitor now, nor /dev/fuse.
                for fd in (0, 1, 2):
                    if f"{fd}<&-" in closed or f"{fd}>&-" in closed:
                        self.assertEqual(os.readlink(f"/proc/{mount.pid}/fd/{fd}"), "/dev/null")
                mount.unmount()

    def test_failure_with_closed_descriptors_is_one(self):
        for closed in self.CLOSED:
            result = Running(["bash", "-c", f'exec "$@" {closed}', "bash", binary(), f"{self.dir}/none", self.dir]).wait(10)
            self.assertEqual(result.code, 1, result)
            self.assertEqual("No such file" in result.err, "2" not in closed, result)

    # -- with more descriptors than those, as shells and their locks leave them

    def test_descriptors_of_the_caller_do_not_stay(self):
        vm = self.vm("-S")
        lock = f"{self.dir}/lock"
        for foreground in (False, True):
            with self.subTest(foreground=foreground):
                mount = self.new_mount(vm, "sandbox=on", foreground=foreground)
                mount.argv = ["bash", "-c", 'exec 3< /etc/shadow 9> "$0" 200<> /dev/null; flock 9 || exit; exec "$@"',
                              lock, *mount.argv]
                mount.start()
                self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
                held = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self.holds(pid, lock, "/etc/shadow")]
                self.assertEqual(held, [])
                self.assertEqual(Running(["flock", "-n", lock, "true"]).wait().code, 0)
                mount.unmount()

    @staticmethod
    def holds(pid, *paths):
        try:
            return any(os.readlink(f"/proc/{pid}/fd/{fd}") in paths for fd in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return False

    # -- whose caller gives up

    def test_nobody_waits_for_it_any_more(self):
        path = self.listener(b"")
        mount = self.new_mount(path, "timeout=600")
        starter = Running(mount.argv, mount.env)
        daemon = self.eventually(lambda: self.children(starter.process.pid), "the daemon")[0]
        # It waits for a greeting that would come a moment later.
        self.eventually(lambda: self.connected(daemon), "its connection")
        starter.process.kill()
        self.assertEqual(starter.wait().code, -signal.SIGKILL)
        pid, status = self.eventually(lambda: (lambda end: end[0] and end)(os.waitpid(daemon, os.WNOHANG)), "its end", 10)
        self.assertEqual((pid, os.waitstatus_to_exitcode(status)), (daemon, 1))
        self.assertFalse(mount.mounted())

    @staticmethod
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]

    @staticmethod
    def connected(pid):
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))

    # -- how it ends

    def ended_by(self, sig, foreground):
        vm = self.vm("-S")
        mount = self.mount(vm, foreground=foreground)
        self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
        os.kill(mount.pid, sig)
        # Whether that is exit 0 or death by this signal is left open; a dead mount is not.
        mount.check_end(mount.wait_end(5), (0, 128 + sig, -sig))
        self.assertEqual(os.listdir(mount.dir), [])

    def test_sigterm(self):
        self.ended_by(signal.SIGTERM, False)
        self.ended_by(signal.SIGTERM, True)

    def test_sigterm_after_a_relative_mount_point(self):
        """The daemon has left the directory where the path meant something."""
        vm = self.vm("-S")
        mount = self.new_mount(vm)
        mount.argv[-1] = "vm"
        result = mount.try_start(cwd=mount.base)
        self.assertEqual(result.code, 0, result)
        self.assertTrue(mount.mounted())
        mount.pid = mount.find_pid(vm.socket)
        os.kill(mount.pid, signal.SIGTERM)
        mount.check_end(mount.wait_end(5), (0, 128 + signal.SIGTERM, -signal.SIGTERM))
        self.assertEqual(os.listdir(mount.dir), [])

    def test_sigint(self):
        self.ended_by(signal.SIGINT, True)

    def test_monitor_is_free_after_the_end(self):
        vm = self.vm("-S")
        for _ in range(3):
            mount = self.mount(vm)
            self.assertEqual(self.ok(mount, "cat state"), "prelaunch\n")
            mount.unmount()

    def test_in_the_foreground_it_logs_to_stderr(self):
        vm = self.vm("-S")
        mount = self.mount(vm, foreground=True)
        vm.kill()
        self.eventually(lambda: vm.socket in mount.running.errors(), "a line about the lost connection")
        begin = time.monotonic()
        mount.unmount()
        self.assertLess(time.monotonic() - begin, 2)

    def test_daemon_holds_no_terminal_and_no_directory(self):
        vm = self.vm("-S")
        mount = self.mount(vm)
        self.assertEqual(os.readlink(f"/proc/{mount.pid}/cwd"), "/")
        for fd in (0, 1, 2):
            self.assertEqual(os.readlink(f"/proc/{mount.pid}/fd/{fd}"), "/dev/null")


if __name__ == "__main__":
    real.main()
