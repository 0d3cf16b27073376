#!/bin/bash
# run.sh [--sanitize] [CTEST-ARGUMENT...] -- install what is missing, build, and run every test of all four levels.
#
#   --sanitize  build with clang, AddressSanitizer and UBSan, into build-asan, and run each fuzz target for a moment;
#               otherwise with gcc into build, and run their inputs only
# The other arguments go to ctest: -L unit, -L real, -R unplug, ...
# Of the faults in what QEMU sends some are tried here, and all of them (half an hour) by
#   for t in build-asan/tests/test_faults_*; do QMPFS_FAULTS=all CK_TIMEOUT_MULTIPLIER=20 "$t"; done
# Needs Debian 12 (or similar), and root or sudo if something has to be installed. The real tests need /dev/fuse;
# without it they are skipped, and fail where CI is set.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

build=$top/build compiler=gcc options=(-DCMAKE_BUILD_TYPE=Debug -DQMPFS_WERROR=ON)
# shellcheck disable=SC2206 # lists of words
packages=($BUILD_PACKAGES $RUN_PACKAGES qemu-system-arm qemu-system-common strace check libsubunit-dev)
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

# A real test runs up to two VMs, and they measure time: more at once than processors would only test the machine.
jobs=$(nproc)
[ "$jobs" -le 2 ] || jobs=2
echo "== tests, $jobs at a time"
ctest --test-dir "$build" --output-on-failure -j "$jobs" "$@"
