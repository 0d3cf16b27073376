#!/bin/bash
# check.sh [CHECK...] -- static checks: install what is missing, and run all of them, or those that are named.
#
#   tidy      clang-tidy over qmp/, fs/ and tests/ (.clang-tidy says what it looks for)
#   cppcheck  over qmp/ and fs/
#   analyzer  gcc's, over qmp/ and fs/
#   format    clang-format: the C sources are as .clang-format has them
#   shell     shellcheck
#   python    pyflakes
#   layers    who may include what
# Success is no warning at all. What is suppressed says why, where it is. Needs Debian 12 (or similar), whose versions
# of the tools these are, and root or sudo if something has to be installed.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"
cd "$top"

build=$top/build-check jobs=$(nproc)
# shellcheck disable=SC2206 # a list of words
packages=($BUILD_PACKAGES check libsubunit-dev clang-tidy cppcheck clang-format shellcheck python3-pyflakes)

# The tools are only told how the files are compiled; nothing is built.
configure() {
    cmake -S "$top" -B "$build" -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug
}

# sources DIR...: the C sources, the largest first, so that no processor is left alone with one of them at the end.
sources() {
    find "$@" -maxdepth 1 -name '*.c' -printf '%s %p\n' | sort -rn | cut -d ' ' -f 2
}

# in_parallel N COMMAND...: with N of the files on standard input at a time, on all processors.
in_parallel() {
    local n=$1
    shift
    tr '\n' '\0' | xargs -0 -r -P "$jobs" -n "$n" "$@"
}

check_tidy() {
    sources qmp fs tests | in_parallel 1 clang-tidy -p "$build" --quiet
}

check_cppcheck() {
    cppcheck --quiet -j "$jobs" --std=c11 --platform=unix64 --enable=warning,style,performance,portability \
        --inline-suppr --suppressions-list=.cppcheck --error-exitcode=1 --template=gcc \
        -I . -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -DQMPFS_VERSION='""' qmp fs
}

# Version 12 takes what goes into a list or a table for lost, and the end of a reference for that of the object; with
# optimisation it takes variables that a callee sets for not initialised. The macro: see qmp_invalid().
check_analyzer() {
    local flags
    flags=$(pkg-config --cflags fuse3 json-c)
    # shellcheck disable=SC2086 # a list of words
    sources qmp fs | in_parallel 1 gcc -std=gnu11 -O0 -Werror -fanalyzer -Wno-analyzer-malloc-leak \
        -Wno-analyzer-use-after-free -D__clang_analyzer__ -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -DQMPFS_VERSION='""' \
        -I . $flags -c -o /dev/null
}

check_format() {
    clang-format --dry-run -Werror qmp/*.[ch] fs/*.[ch] tests/*.[ch] tests/*/*.c
}

check_shell() {
    shellcheck -x tests/*.sh tests/real/*.sh .ci/run
}

check_python() {
    /usr/bin/python3 -m pyflakes tests
}

# What tests/test_tree.c doesn't look at: that all of the daemon's code but fs/ goes without libfuse.
check_layers() {
    ! grep -n '#include [<"]fuse' qmp/*.[ch] tests/*.[ch]
}

checks=(tidy cppcheck analyzer format shell python layers)
echo "== ${0##*/}: ${*:-${checks[*]}}"
install_packages "${packages[@]}"
step "configure:" configure
failed=()
for check in "${@:-${checks[@]}}"; do
    declare -F "check_$check" > /dev/null || die "no such check: '$check'; there are: ${checks[*]}"
    step "$check:" "check_$check" || failed+=("$check")
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
