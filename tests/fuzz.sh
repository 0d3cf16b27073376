#!/bin/bash
# fuzz.sh SECONDS [TARGET...] -- install the missing packages, build the fuzz targets, and run each for SECONDS.
# fuzz.sh --runs N [TARGET...] -- the same, with N inputs for each.
#
# TARGET is a name in tests/fuzz/corpus; the default is all of them. One target runs on each processor. New inputs are
# kept in build-fuzz/corpus and are used again. Inputs that found a defect in the last run are in build-fuzz/findings;
# to run one:
#   build-fuzz/tests/fuzz/fuzz-TARGET FILE
# Needs Debian 12 (or similar), and root or sudo if packages are missing. Fails if a defect was found.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

build=$top/build-fuzz
usage="usage: ${0##*/} SECONDS [TARGET...], or ${0##*/} --runs N [TARGET...]"

case ${1:-} in
--runs)
    limit=(-runs="${2:?$usage}")
    shift 2
    ;;
'' | *[!0-9]*)
    die "$usage"
    ;;
*)
    limit=(-max_total_time="$1")
    shift
    ;;
esac
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for corpus in "$top"/tests/fuzz/corpus/*/; do
        targets+=("$(basename "$corpus")")
    done
fi

# shellcheck disable=SC2206 # lists of words
packages=($BUILD_PACKAGES check libsubunit-dev clang libclang-rt-dev llvm)
install_packages "${packages[@]}"
step "configure:" cmake -S "$top" -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DQMPFS_WERROR=ON -DQMPFS_FUZZ=ON
step "build:" cmake --build "$build" --target fuzz

# run TARGET: writes its log; libFuzzer ends at the first defect.
run() {
    local name=$1 seeds=$top/tests/fuzz/corpus/$1 dict=$top/tests/fuzz/$1.dict options=()
    rm -rf "$build/findings/$name"
    mkdir -p "$build/corpus/$name" "$build/findings/$name"
    [ ! -e "$dict" ] || options+=(-dict="$dict")
    # Freed memory is kept just long enough to detect its use.
    ASAN_OPTIONS=quarantine_size_mb=32:malloc_context_size=10:${ASAN_OPTIONS:-} "$build/tests/fuzz/fuzz-$name" "${limit[@]}" -timeout=20 \
        -report_slow_units=20 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 -artifact_prefix="$build/findings/$name/" \
        "${options[@]}" "$build/corpus/$name" "$seeds" > "$build/$name.log" 2>&1
}

# tell TARGET: print one line of its log.
tell() {
    local name=$1 log=$build/$1.log last found runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -n 1)
    found=$(find "$build/findings/$name" -type f | wc -l)
    printf '%-8s %10s runs, coverage %s, %s features, corpus %s, %s findings\n' "$name" "${runs:-?}" \
        "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<< "$last")" "$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' <<< "$last")" \
        "$(sed -n 's/.* corp: \([^ ]*\).*/\1/p' <<< "$last")" "$found"
}

echo "== ${#targets[@]} fuzz targets, $(nproc) at a time"
failed=0
for name in "${targets[@]}"; do
    [ -x "$build/tests/fuzz/fuzz-$name" ] || die "no such fuzz target: '$name'"
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
        wait -n || :
    done
    { run "$name" || :; tell "$name"; } &
done
wait
for name in "${targets[@]}"; do
    if [ -n "$(find "$build/findings/$name" -type f)" ] || ! grep -q '^stat::number_of_executed_units' "$build/$name.log"; then
        failed=1
        echo "== $name: $build/$name.log" >&2
        find "$build/findings/$name" -type f >&2
        grep -aE 'ERROR|SUMMARY|not so|^/.*: ' "$build/$name.log" | head -n 10 >&2
    fi
done
exit "$failed"
