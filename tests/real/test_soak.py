"""The short form of soak.py."""

import real
import soak


class Soak(real.RealTest):
    def test_reads(self):
        soak.run(1000, 0, 0)

    def test_mounts(self):
        soak.run(0, 30, 0)

    def test_unplugs(self):
        soak.run(0, 0, 60)


if __name__ == "__main__":
    real.main()
