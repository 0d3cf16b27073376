"""The short form of soak.py; and mounts over and over, where what must not pile up is on QEMU's side."""

import tempfile

import real
import soak

SEED = 20
MOUNTS = 20


class Short(real.RealTest):
    def test_everything_at_once(self):
        with tempfile.NamedTemporaryFile("w", prefix="qmpfs-soak-", suffix=".log") as log:
            try:
                soak.Soak(soak.make_plan(SEED, soak.SHORT_DECK), log).run(lambda _: True)
            except AssertionError as error:
                with open(log.name) as steps:
                    raise AssertionError(f"{error}; the steps:\n{steps.read()}") from error

    def test_mounts_leave_nothing_in_qemu(self):
        vm = self.vm("-S")
        sizes = []
        for n in range(MOUNTS):
            mount = self.mount(vm)
            self.assertEqual(mount.read("state"), "prelaunch")
            mount.unmount()
            if n in (MOUNTS // 4, MOUNTS - 1):
                vm.qmp("query-status")
                sizes.append(soak.usage(vm.process.pid))
        (before, fds_before), (after, fds_after) = sizes
        self.assertEqual(fds_before, fds_after)
        self.assertLess(after - before, soak.TOLERANCE_KB)


if __name__ == "__main__":
    real.main()
