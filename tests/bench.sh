#!/bin/bash
# bench.sh [--quick] [--only ROW,...] -- how fast qmpfs is, against the floors that nobody gets below and against other
# ways to ask a QEMU; the table that it prints is kept in build-bench as results.json, table.md and picture.svg.
#
#   --quick  a twentieth of the rounds: two minutes instead of fifteen, and figures that are worth as much less
#   --only   these rows (a row's name is the table's first column), or those whose names begin so
# Needs Debian 12 (or similar), and root or sudo if something has to be installed. The machine should do nothing else.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

build=$top/build-bench
peers=$build/peers # what is compared with and comes in no package
# A row whose peer isn't to be had is not measured, so none of these is a must.
PEER_PACKAGES="socat libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu python3-fusepy xz-utils"

install_peers() {
    local package
    # shellcheck disable=SC2086 # a list of words
    install_packages $PEER_PACKAGES && return
    for package in $PEER_PACKAGES; do
        install_packages "$package" || echo "$package: not to be had"
    done
}

# QEMU's Python tools are in none of Debian's packages, but in QEMU's source. The list of sources and what apt knows by it
# are our own: the system's stay as they are.
fetch_qemu_tools() {
    local options=(-q -o "Dir::Etc::sourcelist=$peers/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
        -o "Dir::State::lists=$peers/lists" -o "Dir::Cache=$peers/cache")
    mkdir -p "$peers/lists/partial" "$peers/cache/archives/partial" "$peers/qemu.tmp"
    apt-cache policy qemu-system-x86 |
        awk '$2 ~ /^https?:/ { split($3, a, "/"); print "deb-src", $2, a[1], a[2]; exit }' > "$peers/sources.list"
    [ -s "$peers/sources.list" ] || { echo "apt knows no source of qemu-system-x86"; return 1; }
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
# In a shell of its own, where a command that fails ends it; and without it the other rows can still be measured.
[ -d "$peers/qemu" ] || step "QEMU's Python tools:" bash -c "set -e
    $(declare -p peers); $(declare -f fetch_qemu_tools)
    fetch_qemu_tools" || echo "going on without them"

export QMPFS=$build/qmpfs QMPFS_GUEST=$build/guest PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 "$top/tests/bench/bench.py" --build "$build" "$@"
# The whole of it has growth, too: about 100 s.
[ $# -gt 0 ] || /usr/bin/python3 "$top/tests/bench/growth.py" "$build"
