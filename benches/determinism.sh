#!/usr/bin/env bash
# The same sweep with other threads, slots and caches: a digest of all that its trials leave.
#
#   benches/determinism.sh SPEC [OPTIONS OF sweep run]
#
# Exits with 1 when two digests differ. Times and devices are left out, since they differ. Linux, for `taskset`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
spec=${1:?a spec}
shift
cargo build --release 2>/dev/null
sweep=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/sweep
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cores=$(nproc)

digest() {
    (
        cd "$scratch"/results/*/
        sha256sum trials/*/{metrics.csv,predictions.csv} trials/*/best/model.safetensors
        sed -E 's/"(seconds|device)": *("[^"]*"|[0-9.e+-]+)//g' leaderboard.json | sha256sum
    ) | sha256sum | cut -c1-16
}

declare -A seen
run() { # what it is, a prefix of the command, then options
    local name=$1 prefix=$2
    shift 2
    rm -rf "$scratch"/results/[!.]*
    $prefix "$sweep" run "$spec" --results "$scratch/results" --fresh "$@" >/dev/null 2>"$scratch/err" || {
        tail -5 "$scratch/err" >&2
        exit 1
    }
    local found
    found=$(digest)
    seen[$found]=1
    printf '%-44s %s\n' "$name" "$found"
}

run "1 slot x 1 thread, no cache" "taskset -c 0" --devices cpu:1 --set 'run.cache="none"' "$@"
run "1 slot x $cores threads, no cache" "" --devices cpu:1 --set 'run.cache="none"' "$@"
run "$cores slots x 1 thread, no cache" "" --devices "cpu:$cores" --set 'run.cache="none"' "$@"
run "1 slot x $cores threads, cold cache" "" --devices cpu:1 "$@"
run "1 slot x $cores threads, warm cache" "" --devices cpu:1 "$@"
rm -rf "$scratch/results"
run "$cores slots x 1 thread, cold cache" "" --devices "cpu:$cores" "$@"
run "$cores slots x 1 thread, warm cache" "" --devices "cpu:$cores" "$@"
[[ ${#seen[@]} == 1 ]]
