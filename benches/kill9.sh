#!/usr/bin/env bash
# Kills `sweep run` (SIGKILL) at random times and runs it again, until it is complete; then compares the
# leaderboard with that of an undisturbed run, byte for byte, but for `seconds` and `device`.
#
#   benches/kill9.sh SPEC KILLS LONGEST_SECONDS [sweep run's options…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
spec=${1:?a spec} kills=${2:?how many kills} longest=${3:?seconds between two kills at most}
shift 3
cargo build --release 2>/dev/null
sweep=${CARGO_TARGET_DIR:-target}/release/sweep
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
RANDOM=${SEED:-1}

"$sweep" run "$spec" --results "$scratch/quiet" "$@" >/dev/null 2>&1
for ((kill = 1; kill <= kills; kill++)); do
    "$sweep" run "$spec" --results "$scratch/killed" "$@" >"$scratch/out" 2>"$scratch/err" &
    pid=$!
    wait_for=$((RANDOM % (longest * 1000)))
    sleep "$(printf '%d.%03d' $((wait_for / 1000)) $((wait_for % 1000)))"
    if ! kill -9 $pid 2>/dev/null; then
        echo "complete before kill $kill" >&2
        break
    fi
    wait $pid 2>/dev/null || true
    # The lock of the dead one is free at once; its workers leave by themselves.
done
done_kills=$((kill - 1))
"$sweep" run "$spec" --results "$scratch/killed" "$@" >"$scratch/out" 2>"$scratch/err"
timeless='s/"seconds": [0-9.e-]*/"seconds": 0/; s/"device": "[^"]*"/"device": ""/'
name=$(basename "$(ls -d "$scratch"/quiet/*/)")
if diff <(sed "$timeless" "$scratch/quiet/$name/leaderboard.json") <(sed "$timeless" "$scratch/killed/$name/leaderboard.json") >/dev/null; then
    same=equal
else
    same=DIFFERENT
fi
differing=0
for file in $(cd "$scratch/quiet/$name" && find . -name predictions.csv -o -name 'model.safetensors' -o -name metrics.csv); do
    cmp -s "$scratch/quiet/$name/$file" "$scratch/killed/$name/$file" || differing=$((differing + 1))
done
resumed=$(grep -c '"resumed"' "$scratch/killed/$name/events.jsonl" || true)
echo "$done_kills kills, $resumed trials gone on with from a checkpoint: leaderboard.json $same, $differing parameters, metrics or predictions differ"
sleep 1
left=$(pgrep -fc "$sweep worker" || true)
echo "workers left: $left"
[[ $same == equal && $differing == 0 ]]
