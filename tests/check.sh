#!/bin/bash
# check.sh [CHECK...] -- install the missing tools, and run all static checks, or the named ones.
#
#   tidy      clang-tidy over qmp/, fs/ and tests/ (.clang-tidy has the list of checks)
#   cppcheck  over qmp/ and fs/
#   analyzer  gcc's static analyzer, over qmp/ and fs/
#   format    clang-format: the C sources match .clang-format
#   shell     shellcheck
#   python    pyflakes
#   layers    which sources may include which headers
# Any warning is a failure. Each suppression has a comment with the reason. Needs the tools of Debian 12 (or similar),
# and root or sudo if packages are missing.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"
cd "$top"

build=$top/build-check jobs=$(nproc)
# shellcheck disable=SC2206 # a list of words
packages=($BUILD_PACKAGES check libsubunit-dev clang-tidy cppcheck clang-format shellcheck python3-pyflakes)

# Only makes compile_commands.json for the tools; nothing is built.
configure() {
    cmake -S "$top" -B "$build" -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug
}

# sources DIR...: the C sources, the largest first, so that the processors finish at about the same time.
sources() {
    find "$@" -name '*.c' -printf '%s %p\n' | sort -rn | cut -d ' ' -f 2
}

# in_parallel N COMMAND...: run the command with N files of standard input at a time, on all processors.
in_parallel() {
    local n=$1
    shift
    tr '\n' '\0' | xargs -0 -r -P "$jobs" -n "$n" "$@"
}

check_tidy() {
    sources qmp fs tests/{lib,qmp,fs,wire} | in_parallel 1 clang-tidy -p "$build" --quiet
}

check_cppcheck() {
    cppcheck --quiet -j "$jobs" --std=c11 --platform=unix64 --enable=warning,style,performance,portability \
        --inline-suppr --suppressions-list=.cppcheck --error-exitcode=1 --template=gcc \
        -I . -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -DQMPFS_VERSION='""' qmp fs
}

# gcc 12 reports memory that is linked into a list or a table as leaked, and takes the release of a reference for that
# of the object; with optimisation it reports variables that a callee sets as uninitialised. The macro: see
# qmp_invalid().
check_analyzer() {
    local flags
    flags=$(pkg-config --cflags fuse3 json-c)
    # shellcheck disable=SC2086 # a list of words
    sources qmp fs | in_parallel 1 gcc -std=gnu11 -O0 -Werror -fanalyzer -Wno-analyzer-malloc-leak \
        -Wno-analyzer-use-after-free -D__clang_analyzer__ -D_GNU_SOURCE -DFUSE_USE_VERSION=314 -DQMPFS_VERSION='""' \
        -I . $flags -c -o /dev/null
}

check_format() {
    find qmp fs tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
}

check_shell() {
    shellcheck -x tests/*.sh tests/real/*.sh .ci/run
}

check_python() {
    /usr/bin/python3 -m pyflakes tests
}

# In addition to the checks of tests/fs/tree/test_tree.c: only fs/ may use libfuse.
check_layers() {
    ! grep -rn '#include [<"]fuse' qmp tests/{lib,qmp,fs,wire}
}

checks=(tidy cppcheck analyzer format shell python layers)
echo "== ${0##*/}: ${*:-${checks[*]}}"
install_packages "${packages[@]}"
step "configure:" configure
failed=()
for check in "${@:-${checks[@]}}"; do
    declare -F "check_$check" > /dev/null || die "no such check: '$check'; the checks are: ${checks[*]}"
    step "$check:" "check_$check" || failed+=("$check")
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
