"""Other ways to ask a QEMU. Each gives what rounds.c runs, after it was seen to work; or NotMeasured, with the reason."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from scene import NotMeasured, background

ANSWER = b'"status"'
NEGOTIATE = '{"execute":"qmp_capabilities"}'
DOMAIN = """
<domain type='qemu'>
  <name>bench</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices><emulator>{emulator}</emulator></devices>
</domain>
"""


def need(program):
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not found:
        raise NotMeasured(f"there is no {program} here")
    return found


def checked(name, argv, given, answer=ANSWER):
    """The operation of rounds.c for this program with this standard input, if it gives the answer."""
    with open(given) as file:
        try:
            result = subprocess.run(argv, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30,
                                    check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotMeasured(f"{name}: {error}") from error
    if answer not in result.stdout:
        raise NotMeasured(f"{name} answered {result.stdout[-200:]!r}")
    return "|".join(["run", given, *argv])


def given(scene, name, text):
    path = f"{scene.scratch}/{name}"
    with open(path, "w") as file:
        file.write(text)
    return path


def socat(scene):
    """One QMP query through socat, as shell scripts do it: text made by printf, piped into socat."""
    path = f"{scene.scratch}/socat.sh"
    words = NEGOTIATE.replace("%", "%%") + '\\n{"execute":"query-status"}\\n'
    with open(path, "w") as file:
        file.write(f"printf '{words}' | {need('socat')} - UNIX-CONNECT:{scene.socket('line')}\n")
    return checked("socat", [need("sh"), path], "/dev/null")


# --- QEMU's own Python tools ------------------------------------------------------------------------------------------

def qemu_tools():
    """The environment in which Python finds them."""
    path = os.path.join(os.path.dirname(os.environ["QMPFS"]), "peers", "qemu", "python")
    if not os.path.isdir(path):
        raise NotMeasured("QEMU's Python tools could not be fetched")
    return {**os.environ, "PYTHONPATH": path}


def qmp_shell(scene):
    tools = qemu_tools()
    text = given(scene, "qmp-shell-input", "query-status\n")
    argv = [need("env"), f"PYTHONPATH={tools['PYTHONPATH']}", "PYTHONDONTWRITEBYTECODE=", "/usr/bin/python3", "-c",
            "from qemu.qmp.qmp_shell import main; main()", scene.socket("line")]
    return checked("qmp-shell", argv, text)


# Debian calls the module fuse of the package fusepy by the package's name.
QOM_FUSE = """
import sys
try:
    import fusepy
    sys.modules["fuse"] = fusepy
except ImportError:
    pass
from qemu.utils.qom_fuse import QOMFuse
sys.exit(QOMFuse.entry_point())
"""


@contextlib.contextmanager
def qom_fuse_mounted(scene):
    with tempfile.TemporaryDirectory(prefix="qom-fuse-") as where:
        with background(["/usr/bin/python3", "-c", QOM_FUSE, "--socket", scene.socket("peer"), where],
                        lambda: os.path.ismount(where), env=qemu_tools()):
            yield where


def qom_fuse(scene):
    """Where qom-fuse has mounted the VM."""
    return scene.once("qom-fuse", lambda: qom_fuse_mounted(scene))


# --- libvirt ----------------------------------------------------------------------------------------------------------

# libvirt waits until the daemons that it has started and killed are gone. They are orphans, and would be ours, since a
# Mount makes this process the parent of all of them; this program buries them instead.
LOOK_AFTER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None)
libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
child = os.fork()
if child == 0:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
while os.wait()[0] != child:
    pass
"""


class Libvirt:
    """A libvirt daemon of a session of its own, and a stopped VM in it.

    libvirt looks after the VMs that it has started only, so it can't be this scene's. Root's daemon would be the
    system's: root's is started as nobody.
    """

    def __init__(self, scratch):
        self.dir = f"{scratch}/libvirt"
        self.uri = f"qemu:///session?socket={self.dir}/libvirt/libvirt-sock"
        for below in ("", "/config", "/config/libvirt"):
            os.makedirs(self.dir + below, exist_ok=True)
        # Else it wants another daemon, for logs.
        with open(f"{self.dir}/config/libvirt/qemu.conf", "w") as file:
            file.write('stdio_handler = "file"\n')
        with open(f"{self.dir}/vm.xml", "w") as file:
            file.write(DOMAIN.format(emulator=need("qemu-system-x86_64")))
        self.as_user = self.nobody() if os.geteuid() == 0 else {}

    def nobody(self):
        user = pwd.getpwnam("nobody")
        for where, _, names in os.walk(self.dir):
            for path in (where, *(f"{where}/{name}" for name in names)):
                os.chown(path, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def environment(self):
        return {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "HOME": self.dir, "XDG_CONFIG_HOME": f"{self.dir}/config",
                "XDG_CACHE_HOME": f"{self.dir}/cache", "XDG_RUNTIME_DIR": self.dir, "LC_ALL": "C"}

    def virsh(self, *args):
        result = subprocess.run([need("virsh"), "-c", self.uri, *args], stdin=subprocess.DEVNULL, timeout=60,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment(), check=False,
                                **self.as_user)
        if result.returncode != 0:
            raise NotMeasured(f"virsh {args[0]}: {result.stdout.decode(errors='replace').strip()}")

    def end_vm(self):
        try:
            with open(f"{self.dir}/libvirt/qemu/run/bench.pid") as file:
                os.kill(int(file.read()), signal.SIGKILL)
        except (OSError, ValueError):
            pass


@contextlib.contextmanager
def libvirt_running(scene):
    libvirt = Libvirt(scene.scratch)
    argv = ["/usr/bin/python3", "-c", LOOK_AFTER, need("libvirtd")]
    with background(argv, lambda: os.path.exists(f"{libvirt.dir}/libvirt/libvirt-sock"), env=libvirt.environment(),
                    **libvirt.as_user):
        libvirt.virsh("create", f"{libvirt.dir}/vm.xml", "--paused")
        try:
            yield libvirt
        finally:
            libvirt.end_vm()


def virsh(scene):
    libvirt = scene.once("libvirt", lambda: libvirt_running(scene))
    argv = [need("virsh"), "-c", libvirt.uri, "qemu-monitor-command", "bench", '{"execute":"query-status"}']
    return checked("virsh", argv, "/dev/null")
