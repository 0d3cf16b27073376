#!/bin/bash
# soak.sh [--sanitize] MINUTES [SEED] -- endurance test: change a VM in all ways, kill and stop it, under many
# concurrent users. Nothing may hang, grow or contradict QEMU. Prints the steps, the failures and the resources used.
# soak.sh [--sanitize] --replay LOG -- repeat the steps of a log; some of its lines may have been deleted.
#
#   --sanitize  build with clang, AddressSanitizer and UBSan
# The seed determines all steps. Without SEED a new one is chosen and printed. The steps are in
# build-soak/soak-SEED.log. Needs Debian 12 (or similar), and root or sudo if packages are missing; the check for
# leftovers needs root.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

build=$top/build-soak options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo)
# shellcheck disable=SC2206 # lists of words
packages=($BUILD_PACKAGES $RUN_PACKAGES)
if [ "${1:-}" = --sanitize ]; then
    shift
    build=$top/build-soak-asan
    options+=(-DCMAKE_C_COMPILER=clang -DQMPFS_SANITIZE=ON)
    packages+=(clang libclang-rt-dev llvm)
fi
case "$#:${1:-}" in
2:--replay) what=(--replay "$(realpath "$2")") log=$build/soak-replay.log ;;
[12]:[1-9]*)
    seed=${2:-$((RANDOM << 15 | RANDOM))}
    what=(--minutes "$1" --seed "$seed") log=$build/soak-$seed.log
    ;;
*) die "usage: soak.sh [--sanitize] MINUTES [SEED], or soak.sh [--sanitize] --replay LOG" ;;
esac

echo "== the endurance test of qmpfs, ${what[*]}"
install_packages "${packages[@]}"
[ -w /dev/fuse ] || die "no access to /dev/fuse"
step "configure:" cmake -S "$top" -B "$build" -G Ninja "${options[@]}" -DQMPFS_TESTS=OFF
step "build:" cmake --build "$build"
make_guest "$build/guest"

export QMPFS=$build/qmpfs QMPFS_GUEST=$build/guest PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$top/tests/real/soak.py" "${what[@]}" --log "$log"
