"""qemu-storage-daemon: the same tree, without what it has no commands for."""

import os
import select
import shutil
import stat
import subprocess
import tempfile

import real
from reference import Qmp
from vm import X86, die_with_parent


class StorageDaemon(real.RealTest):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="qmpfs-qsd-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.socket = f"{self.dir}/qmp.sock"
        argv = ["qemu-storage-daemon", "--blockdev", "null-co,node-name=node0,size=1048576", "--object", "iothread,id=io0",
                "--object", "secret,id=secret0,data=abc"]
        for name in ("qmp", "second"):
            argv += ["--chardev", f"socket,path={self.dir}/{name}.sock,server=on,wait=off,id={name}",
                     "--monitor", f"chardev={name}"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.addCleanup(self.end)
        self.qmp = Qmp(f"{self.dir}/second.sock", limit=20)
        self.commands = {entry["name"] for entry in self.qmp("query-qmp-schema") if entry["meta-type"] == "command"}
        self.files = self.mount(self.socket)

    def end(self):
        self.process.kill()
        self.process.wait()

    def test_first_look_shows_what_it_has(self):
        names = set(self.ok(self.files, "ls").split())
        self.assertEqual(names, {"state", "version", "connection", "ctl", "events", "errors", "block", "query", "cmd",
                                 "schema", "qom", "qmp"})
        self.assertNotIn("query-status", self.commands)
        self.assertEqual(set(self.ok(self.files, "ls cmd").split()), self.commands)
        self.assertEqual(self.files.read("state"), "running")
        self.assertRegex(self.files.read("connection"), "^up since ")
        self.fails(self.files, "cat status", "No such file or directory")
        self.assertEqual(self.ok(self.files, "cat errors"), "")

    def test_nothing_listed_is_a_command_that_it_lacks(self):
        """Everything can be read."""
        count, failed = 0, []
        for base, dirs, names in os.walk(self.files.dir):
            dirs.sort()
            for name in names:
                path = os.path.join(base, name)
                mode = os.lstat(path).st_mode
                if stat.S_ISREG(mode):
                    count += 1
                    try:
                        with open(path, "rb") as file:
                            file.read()
                    except OSError as error:
                        failed.append(f"{path}: {error.strerror}")
        self.assertGreater(count, 150)
        self.assertEqual((failed, self.ok(self.files, "cat errors")), ([], ""))
        # It took no harm.
        self.assertIsNone(self.process.poll())
        self.assertEqual([node["node-name"] for node in self.json(self.files, "query/named-block-nodes")], ["node0"])

    def test_commands_and_events_work(self):
        self.ok(self.files, "echo 'driver=null-co node-name=node1' > cmd/blockdev-add")
        self.ok(self.files, "echo node-name=node1 > cmd/blockdev-del")
        options = '{"driver":"file","filename":"%s/f","size":65536}' % self.dir
        out = self.ok(self.files, "exec 3<>events; echo 'JOB_STATUS_CHANGE timeout=20' >&3; "
                                  f"echo 'job-id=j options={options}' > cmd/blockdev-create; "
                                  "read -r event <&3; echo \"$event\"")
        self.assertIn("JOB_STATUS_CHANGE", out)

    def test_verbs(self):
        verbs = self.ok(self.files, "cat ctl").split("\n\n")[0]
        self.assertEqual([line.split()[0] for line in verbs.splitlines()], ["quit"])
        self.fails(self.files, "echo stop > ctl", "Operation not supported")
        self.ok(self.files, "echo quit > ctl")
        self.process.wait(10)
        self.assertEqual(self.files.read("state"), "down")

    def test_poll_on_state_waits(self):
        state = os.open(f"{self.files.dir}/state", os.O_RDONLY)
        self.addCleanup(os.close, state)
        self.assertEqual(os.read(state, 100), b"running\n")
        poller = select.poll()
        poller.register(state, select.POLLPRI)
        self.assertEqual(poller.poll(300), [])
        self.end()
        self.assertTrue(poller.poll(5000))
        self.assertEqual(os.pread(state, 100, 0), b"down\n")

    def test_qemu_after_it_on_the_same_socket(self):
        """Names that the kernel keeps become right again, both ways."""
        vm = self.vm("-S", start=False)
        self.end()
        os.unlink(self.socket)
        vm.argv = [arg.replace(vm.socket, self.socket) for arg in vm.argv]
        vm.start()
        self.eventually(lambda: self.files.sh("cat state").out == "prelaunch\n", "the VM", 12)
        self.assertEqual(self.json(self.files, "status")["status"], "prelaunch")
        self.assertIn("devices", self.ok(self.files, "ls").split())
        self.ok(self.files, "cat hmp; ls devices types > /dev/null")
        vm.kill()
        os.unlink(self.socket)
        process = subprocess.Popen(
            ["qemu-storage-daemon", "--chardev", f"socket,path={self.socket},server=on,wait=off,id=qmp", "--monitor",
             "chardev=qmp"], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.eventually(lambda: self.files.sh("cat state").out == "running\n", "the storage daemon", 12)
        for path in ("status", "name", "hmp"):
            self.fails(self.files, f"cat {path}", "No such file or directory")
        self.fails(self.files, "ls devices", "No such file or directory")


if __name__ == "__main__":
    real.main(X86)
