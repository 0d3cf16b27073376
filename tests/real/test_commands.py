"""cmd/: each kind of argument, right and wrong, and QEMU did what was asked; a second monitor tells."""

import json
import os
import shlex

import real

# What is written, by command; how a second monitor sees that it was done; how it is undone.
#   (command, written, (query, arguments), what must hold of its result)
BLOCKDEV = ("query-named-block-nodes", {})


def node(name):
    return lambda nodes: next((n for n in nodes if n["node-name"] == name), None)


RIGHT = [
    # strings, sizes, nested members, a comma in a value
    ("blockdev-add", "driver=null-co,node-name=n1,size=10M", BLOCKDEV,
     lambda r: node("n1")(r)["image"]["virtual-size"] == 10 << 20),
    ("blockdev-add", "driver=null-co node-name=n2 size=0x100000 read-zeroes=on", BLOCKDEV,
     lambda r: node("n2")(r)["image"]["virtual-size"] == 1 << 20),
    ("blockdev-add", "driver=null-co\tnode-name=n3\tsize=1.5k", BLOCKDEV,
     lambda r: node("n3")(r)["image"]["virtual-size"] == 1536),
    ("blockdev-add", "driver=qcow2,node-name=q1,file.driver=file,file.filename={d}/a,,b.qcow2", BLOCKDEV,
     lambda r: node("q1")(r)["file"].endswith("a,b.qcow2")),
    ("blockdev-add", 'driver=qcow2 node-name=q2 read-only=yes file.driver=file file.filename="{d}/with blank.qcow2"',
     BLOCKDEV, lambda r: node("q2")(r)["ro"] is True),
    # an alternate: a node's name, or a node
    ("blockdev-add", "driver=raw node-name=r1 file=n1", BLOCKDEV, lambda r: node("r1")(r) is not None),
    ("blockdev-add", 'driver=raw,node-name=r2,file={"driver":"null-co","node-name":"r2f"}', BLOCKDEV,
     lambda r: node("r2f")(r) is not None),
    ("blockdev-add", '{"driver": "raw", "node-name": "r3", "file": {"driver": "null-co"}, "cache": {"direct": true}}',
     BLOCKDEV, lambda r: node("r3")(r)["cache"]["direct"] is True),
    # null among the branches
    ("blockdev-add", '{"driver": "qcow2", "node-name": "q3", "file": "f3", "backing": null}', BLOCKDEV,
     lambda r: node("q3")(r) is not None),
    # lists of scalars
    ("blockdev-add", "driver=quorum node-name=qu vote-threshold=1 children.0=n2 children.1.driver=null-co children.1.size=1M",
     BLOCKDEV,
     lambda r: node("qu")(r) is not None),
    ("block_resize", "node-name=q1 size=128M", BLOCKDEV, lambda r: node("q1")(r)["image"]["virtual-size"] == 128 << 20),
    ("blockdev-del", "node-name=r1", BLOCKDEV, lambda r: node("r1")(r) is None),
    # a union by its type
    ("netdev_add", "type=user,id=u0,ipv6=off,hostname=h,hostfwd.0.str=tcp:127.0.0.1:0-:22",
     ("human-monitor-command", {"command-line": "info usernet"}), lambda r: "HOST_FORWARD" in r),
    ("netdev_add", '{"type": "hubport", "id": "u1", "hubid": 3}',
     ("human-monitor-command", {"command-line": "info network"}), lambda r: "u1" in r),
    ("device_add", "driver=virtio-net-pci,netdev=u0,id=net1,addr=0a.0,mac=52:54:00:12:34:57,mq=off,tx_queue_size=256",
     ("qom-get", {"path": "/machine/peripheral/net1", "property": "mac"}), lambda r: r == "52:54:00:12:34:57"),
    # an alias
    ("device_add", "driver=virtio-rng id=rng0 max-bytes=512",
     ("qom-get", {"path": "/machine/peripheral/rng0", "property": "type"}), lambda r: r == "virtio-rng-pci"),
    ("device_add", '{"driver": "virtio-rng-pci", "id": "rng1", "period": 2000, "max-bytes": 1024}',
     ("qom-get", {"path": "/machine/peripheral/rng1", "property": "period"}), lambda r: r == 2000),
    ("object-add", "qom-type=memory-backend-ram id=m1 size=16M share=on",
     ("qom-get", {"path": "/objects/m1", "property": "size"}), lambda r: r == 16 << 20),
    ("object-add", "qom-type=throttle-group,id=tg,limits.iops-total=100,limits.bps-total=1M",
     ("qom-get", {"path": "/objects/tg", "property": "limits"}),
     lambda r: r["iops-total"] == 100 and r["bps-total"] == 1 << 20),
    ("object-del", "id=m1", ("qom-list", {"path": "/objects"}), lambda r: "m1" not in [o["name"] for o in r]),
    # unions in unions
    ("chardev-add", "id=c1,backend.type=ringbuf,backend.data.size=64k", ("query-chardev", {}),
     lambda r: "c1" in [c["label"] for c in r]),
    ("chardev-add", "id=c2 backend.type=socket backend.data.addr.type=unix backend.data.addr.data.path={d}/c2 "
     "backend.data.server=on backend.data.wait=off", ("query-chardev", {}),
     lambda r: any(c["label"] == "c2" and "c2,server" in c["filename"] for c in r)),
    ("chardev-add", 'id=c3 backend={"type": "null", "data": {}}', ("query-chardev", {}),
     lambda r: "c3" in [c["label"] for c in r]),
    ("ringbuf-write", 'device=c1 data="a, b\\nc" format=utf8',
     ("ringbuf-read", {"device": "c1", "size": 100}), lambda r: r == "a, b\nc"),
    # lists of structures, booleans, enums
    ("migrate-set-capabilities", "capabilities.0.capability=events,capabilities.0.state=on,"
     "capabilities.1.capability=xbzrle,capabilities.1.state=true", ("query-migrate-capabilities", {}),
     lambda r: {"capability": "xbzrle", "state": True} in r and {"capability": "events", "state": True} in r),
    ("migrate-set-capabilities", 'capabilities=[{"capability":"xbzrle","state":false}]',
     ("query-migrate-capabilities", {}), lambda r: {"capability": "xbzrle", "state": False} in r),
    ("migrate-set-parameters", "downtime-limit=500,max-bandwidth=1G,tls-hostname=", ("query-migrate-parameters", {}),
     lambda r: r["downtime-limit"] == 500 and r["max-bandwidth"] == 1 << 30),
    ("block_set_io_throttle", "id=d0 bps=0 bps_rd=1M bps_wr=2M iops=0 iops_rd=0 iops_wr=0", ("query-block", {}),
     lambda r: r[0]["inserted"]["bps_rd"] == 1 << 20 and r[0]["inserted"]["bps_wr"] == 2 << 20),
    ("block_set_io_throttle", "id=d0 bps=0 bps_rd=0 bps_wr=0 iops=0 iops_rd=0 iops_wr=0", ("query-block", {}),
     lambda r: r[0]["inserted"]["bps_rd"] == 0),
    # any value
    ("qom-set", "path=/objects/io0 property=poll-max-ns value=4096",
     ("qom-get", {"path": "/objects/io0", "property": "poll-max-ns"}), lambda r: r == 4096),
    ("qom-set", "path=/objects/tg property=limits value.iops-total=7",
     ("qom-get", {"path": "/objects/tg", "property": "limits"}), lambda r: r["iops-total"] == 7),
    # no arguments
    ("stop", "", ("query-status", {}), lambda r: r["status"] == "paused"),
    ("cont", "", ("query-status", {}), lambda r: r["status"] == "running"),
    ("stop", "{}", ("query-status", {}), lambda r: r["status"] == "paused"),
    ("cont", " ", ("query-status", {}), lambda r: r["status"] == "running"),
    # negative numbers, out of band
    ("set_link", "name=u0 up=off", ("human-monitor-command", {"command-line": "info network"}), lambda r: "u0" in r),
    ("yank", "instances=[]", ("query-yank", {}), lambda r: isinstance(r, list)),
]

# (command, written, words of the line in `errors`); nothing of these may reach QEMU
WRONG = [
    ("block_resize", "node-name=q1", ["'size'", "missing", "integer"]),
    ("block_resize", "node-name=q1 size=ten", ["'size'", "integer", "begin with a digit"]),
    ("block_resize", "node-name=q1 size=10X", ["'size'", "integer", "suffixes"]),
    ("block_resize", "node-name=q1 size=99999999999999999999", ["'size'", "integer", "range"]),
    ("block_resize", "node-name=q1 size=+64M", ["'size'", "integer", "'+'"]),
    ("block_resize", "node-name=q1 size=-64M", ["'size'", "integer", "negative"]),
    ("block_resize", "node-name=q1 size=064", ["'size'", "integer", "octal"]),
    ("block_resize", "node-name=q1 siz=1", ["character 14", "unknown", "nearest: 'size'", "device, node-name, size"]),
    ("block_resize", "node-name=q1 size=1 size=2", ["character 21", "twice"]),
    ("block_resize", "node-name=q1 size", ["character 14", "KEY=VALUE"]),
    ("block_resize", '{"node-name": "q1", "size": "1"}', ["'size'", "integer"]),
    ("block_resize", '{"node-name": "q1", "size": 1', ["complete"]),
    ("block_resize", '{"node-name": "q1", "size": 1} x', ["trailing data"]),
    ("block_resize", '["q1", 1]', ["KEY=VALUE"]),
    ("blockdev-add", "driver=qcow3", ["'driver'", "no such value", "qcow2"]),
    ("blockdev-add", "driver=null-co node-name=x filename=/x", ["character 28", "unknown", "null-co", "read-zeroes"]),
    ("blockdev-add", "driver=qcow2 node-name=x file.driver=file", ["'file.filename'", "missing"]),
    ("blockdev-add", "driver=qcow2 node-name=x file.driver=filo", ["'file.driver'", "no such value", "nearest: 'file'"]),
    ("blockdev-add", "driver=null-co read-zeroes=maybe", ["'read-zeroes'", "boolean", "one of on, off"]),
    ("blockdev-add", "driver=qcow2 file.driver=file file=x", ["character 31", "value and members"]),
    ("blockdev-add", "node-name=x size=1", ["'driver'", "missing"]),
    ("migrate-set-capabilities", "capabilities.0.capability=evens capabilities.0.state=on",
     ["'capabilities.0.capability'", "nearest: 'events'"]),
    ("migrate-set-capabilities", "capabilities.1.capability=events capabilities.1.state=on", ["character 14", "gap in the list"]),
    ("migrate-set-capabilities", "capabilities=events", ["'capabilities'", "list"]),
    ("chardev-add", "id=x backend.type=socket", ["'backend.data'", "missing"]),
    ("send-key", "keys.0.type=qcode keys.0.data=nokey", ["'keys.0.data'", "no such value", "lang2"]),
    ("human-monitor-command", "command-line=info block", ["character 19", "\"…\""]),
    ("human-monitor-command", 'command-line="info', ["character 14", "JSON string"]),
    ("stop", "now=1", ["character 1 ", "unknown"]),
    ("device_add", "driver=nvme id=x nosuch=1", ["character 18", "types/"]),
    ("device_add", '{"driver": "nvme", "id": "x", "nosuch": 1}', ["key 3 ", "types/"]),
    ("device_add", "driver=nvme id=x num_queues=many", ["'num_queues'", "integer", "begin with a digit"]),
    ("device_add", "id=x", ["'driver'", "missing"]),
    ("qom-set", "path=/ =1", ["KEY=VALUE"]),
]

# QEMU's own refusals: (command, written, words of the errno, QEMU's words)
REFUSED = [
    ("blockdev-del", "node-name=nosuch", "No such device", "Failed to find node"),
    ("device_add", "driver=nosuch", "Invalid argument", "is not a valid device model name"),
    ("device_add", "driver=virtio-rng-pci id=rng1", "File exists", "Duplicate"),
    ("object-add", "qom-type=iothread id=io0", "File exists", "duplicate property"),
    ("device_del", "id=nosuch", "No such device", "not found"),
    ("blockdev-add", "driver=null-co node-name=n1", "File exists", "uplicate"),
    ("balloon", "value=1M", "No such device", "No balloon device"),
    ("blockdev-add", "driver=file,node-name=x,filename={d}/nosuch", "No such file or directory", "Could not open"),
    ("blockdev-add", 'driver=file,node-name=x,filename="{d}/is in use"', "No such file or directory", "Could not open"),
    ("blockdev-add", "driver=file,node-name=x,filename={d}", "Is a directory", "Could not open"),
    ("blockdev-add", "driver=qcow2,node-name=x,file=n1", "Invalid argument", "not in qcow2 format"),
    ("device_add", "driver=nvme,id=x,drive=n1", "Invalid argument", "serial property not set"),
    ("device_add", "driver=virtio-blk-pci,id=x", "Invalid argument", "drive property not set"),
    ("device_add", "driver=pc-dimm,id=x,memdev=mem0", "No space left on device", "slots"),
    ("object-add", "qom-type=memory-backend-file,id=x,size=1M,mem-path=/nosuch/x", "No such file or directory",
     "can't open"),
    ("chardev-add", "id=x,backend.type=socket,backend.data.addr.type=unix,backend.data.addr.data.path={d}/nosuch,"
     "backend.data.server=off", "No such file or directory", "Failed to connect"),
]


class Commands(real.RealTest):
    def setUp(self):
        self.machine = self.vm("-object", "iothread,id=io0", "-object", "memory-backend-ram,id=mem0,size=128M",
                               "-device", "virtio-scsi-pci,id=scsi0", prepare=lambda vm: [
            "-drive", f"file={vm.image('d')},if=none,id=disk0", "-device", "scsi-hd,drive=disk0,id=d0,bus=scsi0.0",
            "-blockdev", f"driver=file,filename={vm.image('f3')},node-name=f3"])
        for name in ("a,b", "with blank"):
            self.machine.image(name)
        self.directory = self.mount(self.machine)

    def write(self, command, text):
        """The shell's way: one echo, and its reply from the same open file."""
        text = shlex.quote(text.replace("{d}", self.machine.dir))
        return self.directory.sh(f"exec 3<>cmd/{command}; echo {text} >&3; status=$?; cat <&3; exit $status")

    def last_error(self):
        return self.directory.read("errors").splitlines()[-1]

    def test_each_kind_of_argument(self):
        for command, text, (query, arguments), holds in RIGHT:
            with self.subTest(f"{command} {text}"):
                result = self.write(command, text)
                self.assertEqual((result.code, result.err), (0, ""), result)
                self.assertTrue(result.out.endswith("\n"), result)
                seen = self.machine.qmp(query, **arguments)
                self.assertTrue(holds(seen), f"{result} {seen}")

    def test_what_is_wrong_never_reaches_qemu(self):
        self.machine.qmp("blockdev-add", **{"driver": "null-co", "node-name": "q1"})
        before = [self.machine.qmp(q) for q in ("query-named-block-nodes", "query-chardev", "query-status")]
        for command, text, words in WRONG:
            with self.subTest(f"{command} {text}"):
                lines = self.directory.sh("wc -l < errors").out
                result = self.write(command, text)
                self.assertNotEqual(result.code, 0, result)
                self.assertIn("Invalid argument", result.err)
                self.assertEqual(int(self.directory.sh("wc -l < errors").out), int(lines) + 1)
                line = self.last_error()
                self.assertIn(f" /cmd/{command} EINVAL - ", line)
                for word in words:
                    self.assertIn(word, line)
                # the same words from the same open file
                self.assertEqual(json.loads(result.out)["error"]["desc"], line.split(" EINVAL - ", 1)[1])
        self.assertEqual([self.machine.qmp(q) for q in ("query-named-block-nodes", "query-chardev", "query-status")],
                         before)

    def test_refusals_of_qemu(self):
        self.machine.qmp("blockdev-add", **{"driver": "null-co", "node-name": "n1"})
        self.machine.qmp("device_add", driver="virtio-rng-pci", id="rng1")
        for command, text, errno_words, words in REFUSED:
            with self.subTest(f"{command} {text}"):
                result = self.write(command, text)
                self.assertIn(errno_words, result.err, result)
                self.assertIn(words, json.loads(result.out)["error"]["desc"])
                self.assertIn(words, self.last_error())

    def test_too_long(self):
        path = f"{self.machine.dir}/long"
        with open(path, "w") as file:
            file.write("command-line=" + "x" * 70000 + "\n")
        self.fails(self.directory, f"dd if={path} of=cmd/human-monitor-command bs=100k conv=notrunc",
                   "Message too long")
        # and just not too long
        with open(path, "w") as file:
            file.write("command-line=" + "x" * 65000 + "\n")
        self.ok(self.directory, f"dd if={path} of=cmd/human-monitor-command bs=100k conv=notrunc status=none", 30)

    def test_help_of_each_command(self):
        for name in self.directory.list("cmd"):
            with open(f"{self.directory.dir}/cmd/{name}") as file:
                text = file.read()
            self.assertIn(f"}} 3<>{name}\n", text)
            self.assertIn(f"\ncommand {name}\n", text)

    def test_quit_succeeds(self):
        self.assertEqual(self.write("quit", "").code, 0)
        self.eventually(lambda: self.directory.read("state") == "down", "the end of the connection")
        self.fails(self.directory, "ls cmd", "Host is down")
        self.fails(self.directory, "cat query/status", "Host is down")

    def test_hmp(self):
        self.assertEqual(self.ok(self.directory, "{ echo 'info status' >&3; cat <&3; } 3<>hmp"), "VM status: running\n")
        self.assertNotIn("\r", self.ok(self.directory, "{ echo 'info block' >&3; cat <&3; } 3<>hmp"))
        for line, words in (("nosuch", "unknown command: 'nosuch'"), ("device_del nosuch", "Error: Device 'nosuch' not"),
                            ("info nosuch", "")):
            with self.subTest(line):
                out = self.ok(self.directory, f"{{ echo '{line}' >&3; cat <&3; }} 3<>hmp")
                self.assertIn(words, out)
                if words:
                    self.assertIn("/hmp ", self.last_error())
                    # What was written may hold a password.
                    self.assertIn(words.replace("nosuch", "…"), self.last_error())
                    self.assertNotIn("nosuch", self.last_error())

    def test_secrets_stay_secret(self):
        """Wherever it stands in what is written, and where QEMU quotes it in its error."""
        secret = "hunter2-%%"
        for command, text in (("object-add", f"qom-type=secret id=s1 format=base64 data={secret}"),
                              ("object-add", f"qom-type=secret id=s1 data=two {secret}"),
                              ("object-add", f"qom-type={secret} id=s1 data=x"),
                              ("set_password", f"protocol=vnc password=two {secret}=x"),
                              ("set_password", f"protocol={secret} password=vnc"),
                              ("qom-set", f"path=/objects/io0 property=poll-max-ns value={secret}"),
                              ("qom-set", f"path=/objects/mem0 property=policy value={secret}"),
                              ("human-monitor-command", f"command-line=\"set_password {secret}")):
            with self.subTest(f"{command} {text}"):
                result = self.write(command, text)
                self.assertNotEqual(result.code, 0, result)
                shown = result.out + self.ok(self.directory, f"cat errors cmd/{command}")
                self.assertNotIn("hunter2", shown)
        self.assertRegex(self.directory.read("errors"), r"/cmd/qom-set EINVAL GenericError .*does not accept value '…'\n")

    def test_last_line_is_ones_own(self):
        """While another process polls what fails, the last line of `errors` is one's own, and an action's file says it anyway."""
        poller = self.directory.spawn("while :; do cat query/balloon 2> /dev/null; done")
        self.eventually(lambda: "/query/balloon" in self.directory.sh("cat errors").out, "the poller's failure")
        for n in range(20):
            self.assertNotEqual(self.write("block_resize", f"node-name=n{n} size=1G").code, 0)
            self.assertIn(f"node-name='n{n}'", self.ok(self.directory, "tail -n 1 cmd/block_resize"))
        lines = self.directory.read("errors").splitlines()
        self.assertEqual(sum("/cmd/block_resize" in line for line in lines), 20)
        self.assertLess(sum("/query/balloon" in line for line in lines), 5)
        poller.signal(15)

    def test_qmp_for_several_at_once(self):
        """What two open files are told apart by is the file, even with the same id."""
        script = """
            exec 3<>qmp 4<>qmp
            for i in {1..50}; do
                echo '{"execute":"query-name","id":1}{"execute":"query-uuid","id":1}' >&3
                echo '{"execute":"query-status","id":1}' >&4
            done
            cat <&3 > $0/three & cat <&4 > $0/four; wait
            wc -l < $0/three; grep -c UUID $0/three; wc -l < $0/four; grep -c running $0/four; grep -c UUID $0/four"""
        result = self.directory.sh(f"bash -c {shlex.quote(script)} {self.machine.dir}")
        self.assertEqual(result.out.split(), ["100", "50", "50", "50", "0"], result)


class Raw(real.RealTest):
    def test_without_raw_access(self):
        mount = self.mount(self.vm("-S"), "noraw")
        names = mount.list(".")
        self.assertEqual({"cmd", "qmp", "hmp"} & set(names), set())
        self.assertIn("qom", names)
        self.fails(mount, "cat qmp", "No such file")
        self.fails(mount, "ls cmd", "No such file")
        self.ok(mount, "cat query/status")

    def test_read_only(self):
        mount = self.mount(self.vm("-S", "-object", "iothread,id=io0"), "ro")
        for command in ("echo > cmd/cont", "echo 'info status' > hmp", "echo '{}' > qmp",
                        "echo 1 > qom/objects/io0/poll-max-ns"):
            with self.subTest(command):
                self.fails(mount, command, "Read-only file system")
        self.ok(mount, "cat cmd/cont")

    def test_owner_alone(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become somebody else")
        mount = self.mount(self.vm("-S", "-object", "iothread,id=io0"), "allow_other,gid=12345")
        os.chmod(mount.base, 0o755)
        member = "setpriv --reuid=65534 --regid=12345 --clear-groups bash -c"
        for command in ("ls cmd", "cat cmd/stop", "echo > cmd/stop", "cat qmp", "echo > qmp", "echo > hmp"):
            with self.subTest(command):
                self.fails(mount, f"{member} 'cd {mount.dir} && {command}'", "Permission denied")
        self.ok(mount, f"{member} 'cd {mount.dir} && cat query/status qom/type schema/commands/stop'")
        # Writing there can do more than the files that say what they do; and secrets lie among the objects.
        self.fails(mount, f"{member} 'cd {mount.dir} && echo 1 > qom/machine/graphics'", "Permission denied")
        self.fails(mount, f"{member} 'cd {mount.dir} && ls qom/objects'", "Permission denied")


if __name__ == "__main__":
    real.main()
