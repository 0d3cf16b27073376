#!/bin/bash
# bench.sh [--quick] [--only ROW,...] -- measure qmpfs against lower bounds and against other ways to query QEMU.
# Prints a table, and writes results.json, table.md and picture.svg to build-bench.
#
#   --quick  a twentieth of the rounds: two minutes instead of fifteen, with less accurate figures
#   --only   only the rows with these names (the first column of the table), or with names that begin with one of them
# Needs Debian 12 (or similar), and root or sudo if packages are missing. The machine should be idle.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

build=$top/build-bench
peers=$build/peers # peers that are in no package
# None of these is mandatory: a row without its peer is not measured.
PEER_PACKAGES="socat libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu python3-fusepy xz-utils"

install_peers() {
    local package
    # shellcheck disable=SC2086 # a list of words
    install_packages $PEER_PACKAGES && return
    for package in $PEER_PACKAGES; do
        install_packages "$package" || echo "$package: not available"
    done
}

# QEMU's Python tools are not in Debian's packages, but in QEMU's source. apt uses its own list of sources and its own
# package lists here: those of the system stay unchanged.
fetch_qemu_tools() {
    local options=(-q -o "Dir::Etc::sourcelist=$peers/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
        -o "Dir::State::lists=$peers/lists" -o "Dir::Cache=$peers/cache")
    mkdir -p "$peers/lists/partial" "$peers/cache/archives/partial" "$peers/qemu.tmp"
    apt-cache policy qemu-system-x86 |
        awk '$2 ~ /^https?:/ { split($3, a, "/"); print "deb-src", $2, a[1], a[2]; exit }' > "$peers/sources.list"
    [ -s "$peers/sources.list" ] || { echo "apt has no source for qemu-system-x86"; return 1; }
    apt-get "${options[@]}" update
    (cd "$peers" && apt-get "${options[@]}" source --download-only --tar-only qemu)
    tar -xJf "$peers"/qemu_*.orig.tar.xz -C "$peers/qemu.tmp" --strip-components=1 --wildcards '*/python/qemu'
    rm -rf "$peers"/qemu_*.orig.tar.xz "$peers/lists" "$peers/cache"
    mv "$peers/qemu.tmp" "$peers/qemu"
}

build_programs() {
    local name flags
    flags=$(pkg-config --cflags --libs fuse3 json-c)
    for name in rounds readers floorfs; do
        # shellcheck disable=SC2086 # a list of words
        gcc -std=gnu11 -O2 -Wall -Wextra -D_GNU_SOURCE -o "$build/bench-$name" "$top/tests/bench/$name.c" -pthread $flags
    done
}

case " $* " in *" --help "* | *" -h "*)
    exec /usr/bin/python3 "$top/tests/bench/bench.py" --help
    ;;
esac

echo "== the benchmark of qmpfs"
# shellcheck disable=SC2086 # lists of words
install_packages $BUILD_PACKAGES $RUN_PACKAGES util-linux
install_peers
[ -w /dev/fuse ] || die "no access to /dev/fuse"
step "configure:" cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DQMPFS_TESTS=OFF
step "build:" cmake --build "$build"
step "the benchmark's programs:" build_programs
# The kernel and busybox of the guest are downloaded once for all build directories.
make_guest "$build/guest"
# In a separate shell, so that a failing command ends only this step; the other rows can be measured without it.
[ -d "$peers/qemu" ] || step "QEMU's Python tools:" bash -c "set -e
    $(declare -p peers); $(declare -f fetch_qemu_tools)
    fetch_qemu_tools" || echo "continuing without them"

export QMPFS=$build/qmpfs QMPFS_GUEST=$build/guest PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 "$top/tests/bench/bench.py" --build "$build" "$@"
# A complete run also measures growth: about 100 s.
[ $# -gt 0 ] || /usr/bin/python3 "$top/tests/bench/growth.py" "$build"
