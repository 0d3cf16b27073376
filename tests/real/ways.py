"""The ways to a mount: directly, and through the file systems that people put in between. Each runs on this machine
only, with servers of the test's own, and leaves nothing behind."""

import os
import platform
import pwd
import shutil
import socket
import subprocess
import tempfile

from mount import Running
from vm import die_with_parent, wait_for

SERVERS = os.environ.get("QMPFS_SERVERS", "")  # what tests/mkservers.sh has unpacked
LIBRARIES = f"lib/{platform.machine()}-linux-gnu"
GANESHA = "ganesha.nfsd"


def program(name):
    """Where this program is, installed or unpacked, or None."""
    directories = [f"{root}/usr/{part}" for root in (SERVERS, "") for part in ("sbin", "bin")]
    return shutil.which(name, path=":".join([*directories, os.environ["PATH"]]))


def unpacked(*parts):
    """A directory of a package, installed or unpacked."""
    paths = [os.path.join(root, *parts) for root in (f"{SERVERS}/usr", "/usr")]
    return next(filter(os.path.isdir, paths), paths[-1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Way:
    """The tree of `mount` as one sees it in `dir`. start() is the constructor's last step; stop() undoes it all."""

    needs = ()
    needs_root = False
    options = ""  # of the file system in between
    mount_options = ""  # of qmpfs
    keeps_sizes = False  # it goes by sizes that are up to 20 s old, so that what grows is cut
    refusal = "Operation not supported"  # how EOPNOTSUPP arrives; alternatives as in a regular expression

    def __init__(self, mount):
        self.mount = mount
        self.base = tempfile.mkdtemp(prefix="qmpfs-way-")
        self.dir = f"{self.base}/vm"
        os.mkdir(self.dir)
        self.processes = []
        self.env = {}
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @classmethod
    def missing(cls):
        """Why this way can't be taken here, or None."""
        for name in cls.needs:
            if not program(name):
                return f"no {name}"
        if cls.needs_root and os.geteuid() != 0:
            return "it needs root"
        return None

    def start(self):
        self.dir = self.mount.dir

    def run(self, *argv):
        """A process that serves until stop()."""
        env = {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(
            f"{SERVERS}/{part}" for part in (f"usr/{LIBRARIES}", LIBRARIES, "usr/lib/ganesha"))} if SERVERS else None
        with open(f"{self.base}/log", "ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                       start_new_session=True, preexec_fn=die_with_parent)
        self.processes.append(process)
        return process

    def wait_ready(self, process, ready, what):
        def is_ready():
            assert process.poll() is None, f"{what} ended:\n{self.log()}"
            return ready()
        wait_for(is_ready, what)

    def run_mount(self, *argv):
        """The same for a FUSE daemon in the foreground."""
        process = self.run(*argv)
        self.wait_ready(process, lambda: os.path.ismount(self.dir), argv[0])

    def log(self):
        text = ""
        for name in ("log", "ganesha.log"):
            if os.path.exists(f"{self.base}/{name}"):
                with open(f"{self.base}/{name}", errors="replace") as file:
                    text += file.read()[-3000:]
        return text

    def sh(self, command, limit=15, **variables):
        """Run bash with these variables; its working directory is the test's, not the mount."""
        running = Running(["bash", "-c", command], {**self.env, **variables}, self.mount.kill)
        result = running.wait(limit)
        # What it leaves behind for a moment, as rsync does, would keep the mount busy.
        wait_for(lambda: self.all_ended(running.process.pid), f"the end of all processes of '{command}'")
        return result

    @staticmethod
    def all_ended(group):
        """Orphans become our children (see Mount)."""
        try:
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
            return False
        except ChildProcessError:
            return True

    def stop(self):
        if os.path.ismount(self.dir) and self.dir != self.mount.dir:
            subprocess.run(["fusermount3", "-u", "-z", self.dir], check=False)
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        shutil.rmtree(self.base, ignore_errors=True)


class Direct(Way):
    title = "direct"


class Exact(Way):
    title = "direct, `sizes=exact`"
    mount_options = "sizes=exact"


class Sshfs(Way):
    """Over sshfs, sshd and sftp-server. sshd has the user and the directory that it wants in a mount namespace."""

    title = "sshfs"
    options = "sshfs_sync,direct_io,dir_cache=no,attr_timeout=0"
    refusal = "Input/output error"
    needs = ("sshfs", "ssh", "sftp", "ssh-keygen", "sshd", "unshare")

    CONFIG = """
        ListenAddress 127.0.0.1
        HostKey {base}/host
        AuthorizedKeysFile {base}/user.pub
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin prohibit-password
        Subsystem sftp /usr/lib/openssh/sftp-server
    """
    IN_NAMESPACE = """
        set -e
        if ! getent passwd sshd > /dev/null; then
            cat /etc/passwd - > "$1/passwd" <<end
sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin
end
            mount --bind "$1/passwd" /etc/passwd
        fi
        mount -t tmpfs none /run
        mkdir -m 755 /run/sshd
        shift
        exec "$@"
    """

    def start(self):
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.base}/{key}"], check=True)
        with open(f"{self.base}/sshd_config", "w") as file:
            file.write(self.CONFIG.format(base=self.base))
        port = free_port()
        argv = [program("sshd"), "-D", "-e", "-f", f"{self.base}/sshd_config", "-p", str(port)]
        if os.geteuid() == 0:
            argv = ["unshare", "--mount", "sh", "-c", self.IN_NAMESPACE, "sh", self.base, *argv]
        self.wait_ready(self.run(*argv), lambda: listens(port), "sshd")
        user = pwd.getpwuid(os.geteuid()).pw_name
        ssh = (f"-F none -i {self.base}/user -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null "
               "-oLogLevel=ERROR")
        self.env = {"SSH": ssh, "PORT": str(port), "HOST": f"{user}@127.0.0.1", "SOURCE": self.mount.dir}
        self.run_mount("sshfs", "-f", "-o", f"ssh_command=ssh {ssh}", "-p", str(port),
                       *(["-o", self.options] if self.options else []),
                       f"{user}@127.0.0.1:{self.mount.dir}", self.dir)


class SshfsDefaults(Sshfs):
    title = "sshfs, its defaults"
    options = ""
    mount_options = "sizes=exact"
    keeps_sizes = True


class Bindfs(Way):
    title = "bindfs"
    needs = ("bindfs",)
    options = "direct_io,attr_timeout=0"

    def start(self):
        self.run_mount("bindfs", "-f", *(["-o", self.options] if self.options else []), self.mount.dir, self.dir)


class BindfsDefaults(Bindfs):
    title = "bindfs, its defaults"
    options = ""
    mount_options = "sizes=exact"
    keeps_sizes = True


class Nfs(Way):
    """Over NFSv4: nfs-ganesha on the mount, and libnfs, which needs no NFS in this kernel."""

    title = "NFS"
    refusal = "NFS4ERR_NOTSUPP"
    mount_options = "sizes=exact"
    needs = (GANESHA, "nfs-cat", "nfs-cp", "nfs-ls")
    needs_root = True  # open_by_handle_at()

    CONFIG = """
        NFS_CORE_PARAM {{
            Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; Plugins_Dir = "{plugins}";
            Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; fsid_device = true;
        }}
        NFSV4 {{
            Graceless = true; RecoveryBackend = fs; RecoveryRoot = "{base}"; UseGetpwnam = true;
            Only_Numeric_Owners = true;
        }}
        EXPORT {{
            Export_Id = 1; Path = "{path}"; Pseudo = /vm; Protocols = 4; Transports = TCP; Access_Type = RW;
            Squash = None; SecType = sys; Filesystem_Id = 1.1; Attr_Expiration_Time = 0;
            FSAL {{ Name = VFS; }}
        }}
    """

    def start(self):
        port = free_port()
        with open(f"{self.base}/ganesha.conf", "w") as file:
            file.write(self.CONFIG.format(port=port, base=self.base, path=self.mount.dir,
                                          plugins=unpacked(LIBRARIES, "ganesha")))
        process = self.run(program(GANESHA), "-F", "-L", f"{self.base}/ganesha.log",
                           "-f", f"{self.base}/ganesha.conf", "-p", f"{self.base}/ganesha.pid")
        self.wait_ready(process, lambda: listens(port), "ganesha")
        url = f"nfs://127.0.0.1/vm?version=4&nfsport={port}"
        wait_for(lambda: Running(["nfs-ls", url]).wait().code == 0, f"an answer of ganesha\n{self.log()}", 30)
        here = os.path.dirname(os.path.abspath(__file__))
        self.env = {"NFS": f"/usr/bin/python3 {here}/nfs.py {port}", "URL": "nfs://127.0.0.1/vm/",
                    "QUERY": f"?version=4&nfsport={port}"}
        self.dir = ""


class Overlay(Way):
    """The lower layer of an overlay. With an upper one a write would go there, and QEMU would never hear of it."""

    title = "overlayfs"
    refusal = "Read-only file system|Stale file handle"
    needs_root = True

    def start(self):
        os.mkdir(f"{self.base}/second")
        subprocess.run(["mount", "-t", "overlay", "none", "-o", f"lowerdir={self.mount.dir}:{self.base}/second",
                        self.dir], check=True)

    def stop(self):
        if os.path.ismount(self.dir):
            subprocess.run(["umount", self.dir], check=True)
        super().stop()


ALL = (Direct, Exact, Sshfs, SshfsDefaults, Bindfs, BindfsDefaults, Nfs, Overlay)
