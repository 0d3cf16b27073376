"""Sizes are exact from the opening on, for each way in which the kernel uses them; writes arrive at offset 0."""

import mmap
import os

import real

LONG = "query/named-block-nodes"  # over 4096 bytes with eight disks
SHORT = "status"


def by_read(fd):
    os.lseek(fd, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(fd, 65536), b""))


def by_pread(fd):
    """Further on only: what was fetched with the opening."""
    data = b""
    while piece := os.pread(fd, 1000, len(data) + 1):
        data += piece
    return data


def by_sendfile(fd):
    """Without asking for the size before."""
    with open(os.memfd_create("copy"), "r+b") as out:
        while os.sendfile(out.fileno(), fd, None, 1 << 20):
            pass
        out.seek(0)
        return out.read()


def by_mmap(fd):
    with mmap.mmap(fd, os.fstat(fd).st_size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as pages:
        return pages[:]


class Content(real.RealTest):
    def up(self, *options):
        disks = [word for i in range(8) for word in ("-blockdev", f"null-co,node-name=n{i},size=1048576",
                                                     "-device", f"virtio-blk-pci,drive=n{i},id=d{i}")]
        vm = self.vm("-S", *disks, guest=False)
        return vm, self.mount(vm, *options)

    def check(self, path):
        """A file that nobody has read yet, opened once for each way."""
        sizes = {}
        for way in (by_sendfile, by_mmap, by_read, by_pread):
            fd = os.open(path, os.O_RDONLY)
            try:
                data = way(fd)
                sizes[way.__name__] = (len(data) + (way is by_pread), os.fstat(fd).st_size,
                                       os.lseek(fd, 0, os.SEEK_END))
            finally:
                os.close(fd)
        self.assertEqual({len(set(size)) for size in sizes.values()}, {1}, sizes)
        self.assertEqual(len(set(sizes.values())), 1, sizes)
        return sizes["by_read"][0]

    def size(self, path):
        with open(path, "rb", buffering=0) as file:
            return len(by_read(file.fileno()))

    def test_size_is_exact_from_the_opening_on(self):
        for way in (by_sendfile, by_mmap, by_read):
            with self.subTest(way=way.__name__):
                _, mount = self.up()
                for name, (least, most) in {LONG: (4097, 1 << 20), SHORT: (10, 4095)}.items():
                    with open(f"{mount.dir}/{name}", "rb", buffering=0) as file:
                        data = way(file.fileno())
                        self.assertEqual(os.fstat(file.fileno()).st_size, len(data))
                    self.assertTrue(least <= len(data) <= most, (name, len(data)))
                    self.assertTrue(data.endswith(b"\n"))

    def test_content_that_grows_and_shrinks(self):
        vm, mount = self.up()
        path = f"{mount.dir}/{LONG}"
        before = self.check(path)
        for i in range(3):
            vm.qmp("blockdev-add", driver="null-co", **{"node-name": f"more{i}"})
        # no event tells of a node, and the query is one whose result may be used again for 0.1 s
        self.eventually(lambda: self.size(path) > before, "the longer content")
        self.assertGreater(self.check(path), before)
        for i in range(3):
            vm.qmp("blockdev-del", **{"node-name": f"more{i}"})
        self.eventually(lambda: self.size(path) == before, "the shorter content")
        self.assertEqual(self.check(path), before)

    def test_contents_of_two_openings_do_not_mix(self):
        vm, mount = self.up()
        path = f"{mount.dir}/{LONG}"
        with open(path, "rb", buffering=0) as first:
            data = by_read(first.fileno())
            vm.qmp("blockdev-add", driver="null-co", **{"node-name": "one-more"})

            def grown():
                with open(path, "rb", buffering=0) as second:
                    return b"one-more" in by_sendfile(second.fileno())

            self.eventually(grown, "the longer content")
            with open(path, "rb", buffering=0) as second:
                self.assertIn(b"one-more", by_sendfile(second.fileno()))
                self.assertEqual(by_mmap(first.fileno()), data)
                self.assertEqual(os.fstat(first.fileno()).st_ino, os.fstat(second.fileno()).st_ino)

    def test_exact_sizes_by_path(self):
        _, mount = self.up("sizes=exact")
        for name in (LONG, SHORT, "block/d0/status", "block/d0/remove", "qom/machine/type", "ctl", "cmd/stop"):
            size = os.stat(f"{mount.dir}/{name}").st_size
            with open(f"{mount.dir}/{name}", "rb") as file:
                self.assertEqual(len(file.read()), size, name)

    def test_writes_at_the_start_whichever_way(self):
        vm, mount = self.up()
        fd = os.open(f"{mount.dir}/ctl", os.O_WRONLY)
        try:
            os.pwrite(fd, b"cont\n", 0)
            self.assertEqual(vm.qmp("query-status")["status"], "running")
            os.lseek(fd, 0, os.SEEK_SET)
            os.write(fd, b"stop\n")
            self.assertEqual(vm.qmp("query-status")["status"], "paused")
            with self.assertRaisesRegex(OSError, "Invalid argument"):
                os.pwrite(fd, b"cont\n", 1000)
            self.assertEqual(vm.qmp("query-status")["status"], "paused")
        finally:
            os.close(fd)
        self.ok(mount, "echo cont >> ctl")
        self.assertEqual(vm.qmp("query-status")["status"], "running")


if __name__ == "__main__":
    real.main()
