#!/bin/bash
# run.sh [--sanitize] [CTEST-ARGUMENT...] -- install the missing packages, build, and run the tests of all four
# levels.
#
#   --sanitize  build with clang, AddressSanitizer and UBSan into build-asan, and run each fuzz target for a moment;
#               otherwise build with gcc into build, and run only the corpus of each target
# The other arguments are passed to ctest: -L unit, -L real, -R unplug, ...
# These tests try some of the faults in QEMU's messages. To try all of them (half an hour), run
#   for t in build-asan/tests/test_faults_*; do QMPFS_FAULTS=all CK_TIMEOUT_MULTIPLIER=20 "$t"; done
# Needs Debian 12 (or similar), and root or sudo if packages are missing. The real tests need /dev/fuse; without it
# they are skipped, or fail if CI is set.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

build=$top/build compiler=gcc options=(-DCMAKE_BUILD_TYPE=Debug -DQMPFS_WERROR=ON)
# shellcheck disable=SC2206 # lists of words
packages=($BUILD_PACKAGES $RUN_PACKAGES $TOOL_PACKAGES qemu-system-arm qemu-system-common strace check libsubunit-dev)
if [ "${1:-}" = --sanitize ]; then
    shift
    build=$top/build-asan compiler=clang
    options+=(-DQMPFS_SANITIZE=ON -DQMPFS_FUZZ=ON)
    packages+=(clang libclang-rt-dev llvm)
fi

echo "== ${0##*/}: $compiler, $build"
install_packages "${packages[@]}"
step "configure:" cmake -S "$top" -B "$build" -G Ninja -DCMAKE_C_COMPILER="$compiler" "${options[@]}"
step "build:" cmake --build "$build"
make_guest "$build/guest"
make_servers "$build/servers"

# A real test runs up to two VMs and depends on time limits: more tests than processors would only test the machine.
jobs=$(nproc)
[ "$jobs" -le 2 ] || jobs=2
echo "== tests, $jobs at a time"
ctest --test-dir "$build" --output-on-failure -j "$jobs" "$@"
