#!/usr/bin/env bash
# sweep beside PyTorch, in turn (A B A B), as ratios: below 1 sweep is the faster one. `bf16` is `sweep` with
# bf16 products on both sides.
#
#   PEER_PY=python benches/compare.sh step  MODEL_DIR TEXTS.tsv [ROUNDS] [STEPS]
#   PEER_PY=python benches/compare.sh sweep MODEL_DIR TRAIN.tsv DEV.tsv TEST.tsv [ROUNDS]
#   PEER_PY=python benches/compare.sh bf16  MODEL_DIR TRAIN.tsv DEV.tsv TEST.tsv [ROUNDS]
#   PEER_PY=python benches/compare.sh frozen MODEL_DIR TRAIN.tsv DEV.tsv TEST.tsv [ROUNDS]
#
# PEER_PY has torch, transformers and optuna. PEER_SWEEP is the peer's sweep
# (default ../shared/scripts/peer_sweep.py). Its way to bf16 is torch.autocast.
# Data: `label<TAB>text_a`, with a header.
# Prints one line for each round, then min, median and max of the ratios.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
what=${1:?step, sweep, bf16 or frozen}
model=$(realpath "${2:?a folder with a checkpoint}")
peer_py=${PEER_PY:?the python that has torch}
peer_sweep=${PEER_SWEEP:-../shared/scripts/peer_sweep.py}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HF_HUB_OFFLINE=1

# The median of the `seconds` that a step bench printed.
median() { "$peer_py" -c 'import json,statistics,sys; print(statistics.median(json.load(sys.stdin)["seconds"]))'; }
mean() { "$peer_py" -c 'import json,statistics,sys; print(statistics.mean(json.load(sys.stdin)["seconds"]))'; }
ratio() { "$peer_py" -c 'import sys; print("%.3f" % (float(sys.argv[1]) / float(sys.argv[2])))' "$1" "$2"; }
spread() {
    "$peer_py" -c 'import statistics,sys; x=[float(w) for w in sys.argv[2:]]
print("%s: min %.2f median %.2f max %.2f" % (sys.argv[1], min(x), statistics.median(x), max(x)))' "$@"
}
has_bf16() { grep -q avx512_bf16 /proc/cpuinfo; }
# Wall seconds of a command, and the largest process of it, in MB; what it says goes to a file.
measure() {
    "$peer_py" -c 'import resource,subprocess,sys,time
out, err = (open(name, "w") for name in sys.argv[1:3])
start = time.time()
code = subprocess.call(sys.argv[3:], stdout=out, stderr=err)
print("%.1f %.0f" % (time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))
sys.exit(code)' "$scratch/out" "$scratch/err" "$@" || { tail -20 "$scratch/err" >&2; exit 1; }
}

if [[ $what == step ]]; then
    texts=$(realpath "${3:?a file with texts}")
    rounds=${4:-3} steps=${5:-7}
    cargo bench --bench step --no-run --message-format=json 2>/dev/null |
        "$peer_py" -c 'import json,sys
for line in sys.stdin:
    unit = json.loads(line)
    if unit.get("executable") and unit["target"]["name"] == "step": print(unit["executable"])' >"$scratch/bench"
    bench=$(tail -1 "$scratch/bench")
    # As sweep gives it to its workers (src/executor/process.rs).
    keep_pages=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864
    one() { # name, our shape, peer's shape, pooling, threads, summary, how the peer has bf16 (ours has it then too)
        local name=$1 ours=$2 peer=$3 pooling=$4 threads=$5 summary=$6 precision=${7:-} a b all=()
        for ((round = 0; round < rounds; round++)); do
            a=$(GLIBC_TUNABLES=$keep_pages RAYON_NUM_THREADS=$threads "$bench" "$model" "$texts" "$ours" "$pooling" "$steps" ${precision:+bf16} | $summary)
            b=$("$peer_py" benches/step_peer.py "$model" "$texts" "$peer" "$pooling" "$steps" "$threads" $precision 2>/dev/null | $summary)
            all+=("$(ratio "$a" "$b")")
            printf '%s: sweep %.3f s, peer %.3f s, ratio %s\n' "$name" "$a" "$b" "${all[-1]}" >&2
        done
        spread "$name" "${all[@]}"
    }
    one "full length, CLS, 1 thread" full full cls 1 median
    one "full length, CLS, 2 threads" full full cls 2 median
    one "full length, mean, 1 thread" full full mean 1 median
    if has_bf16; then
        one "full length, CLS, 1 thread, bf16, peer autocast" full full cls 1 median autocast
    fi
    # Batches differ in length: the mean over the same texts is what counts, and more of them.
    steps=$((4 * steps))
    one "real lengths, CLS, 1 thread, peer padded by batch" real real cls 1 mean
    one "real lengths, CLS, 1 thread, peer with length buckets" real bucket cls 1 mean
    if has_bf16; then
        one "real lengths, CLS, 1 thread, bf16, peer with length buckets, autocast" real bucket cls 1 mean autocast
    fi
    exit
fi

train=$(realpath "${3:?training rows}") dev=$(realpath "${4:?validation rows}") test=$(realpath "${5:?test rows}")
rounds=${6:-2}
# The same rows for both: the first of each file whose text stands in no other.
"$peer_py" - "$train" "$dev" "$test" "$scratch" <<'PY'
import sys
train, dev, test, out = sys.argv[1:]
seen = set()
for name, path, rows in (('test', test, 400), ('dev', dev, 400), ('train', train, 800)):
    lines = open(path, encoding='utf8').read().split('\n')
    kept = [line for line in lines[1:] if '\t' in line and not (line.split('\t', 1)[1] in seen or seen.add(line.split('\t', 1)[1]))]
    open(f'{out}/{name}.tsv', 'w', encoding='utf8').write('\n'.join([lines[0]] + kept[:rows]) + '\n')
PY
cargo build --release 2>/dev/null
sweep=$(cargo metadata --format-version 1 --no-deps | "$peer_py" -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/sweep
common=(--set "model.checkpoint=$model" --set "data.train=$scratch/train.tsv" --set "data.validation=$scratch/dev.tsv"
    --set "data.test=$scratch/test.tsv" --set "search.space.chunk_length={ grid = [64] }" --set text.long=head
    --set early_stopping.patience=1)
peer_args=("$model" "$scratch/train.tsv" "$scratch/dev.tsv" "$scratch/test.tsv" "$scratch/peer.json" --rows 800 400 400 --chunk 64)
peer=("$peer_py" "$peer_sweep")
if [[ $what == sweep || $what == bf16 ]]; then
    ours=(--set train.epochs=2 --set "search.space.learning_rate={ grid = [3e-5, 1e-4] }"
        --set "search.space.dropout={ grid = [0.1, 0.2, 0.3, 0.4] }")
    peer_args+=(--epochs 2 --lr 3e-5 1e-4 --dropout 0.1 0.2 0.3 0.4)
    scale=1
    if [[ $what == bf16 ]]; then
        has_bf16 || { echo "this processor has no AVX-512 BF16" >&2; exit 1; }
        ours+=(--set 'train.matmul_precision="bf16"')
        peer=("$peer_py" benches/peer_bf16.py "$peer_sweep")
    fi
else
    ours=(--set train.epochs=5 --set 'model.freeze="encoder"' --set early_stopping.patience=5
        --set "search.space.learning_rate={ grid = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2] }"
        --set "search.space.dropout={ grid = [0.1, 0.2, 0.3, 0.4] }")
    # Four of the 24 trials, times six.
    peer_args+=(--epochs 5 --freeze 4 --patience 5 --lr 1e-3 1e-2 --dropout 0.1 0.3)
    scale=6
fi
all_a=() all_b=()
best_of() { "$peer_py" -c 'import json,sys; print("%.3f" % max(row["test"]["f1"] for row in json.load(open(sys.argv[1])) if row.get("test")))' "$1"; }
for ((round = 0; round < rounds; round++)); do
    rm -rf "$scratch/results" # the cache is in it
    read -r a memory < <(measure "$sweep" run sweeps/chnsenticorp.toml "${common[@]}" "${ours[@]}" --results "$scratch/results" --fresh)
    echo "sweep: $a s, best test F1 $(best_of "$scratch"/results/*/leaderboard.json), largest process $memory MB" >&2
    if [[ $what == frozen ]]; then
        read -r warm memory < <(measure "$sweep" run sweeps/chnsenticorp.toml "${common[@]}" "${ours[@]}" --results "$scratch/results" --fresh)
        echo "sweep again, with the cache of before: $warm s, largest process $memory MB" >&2
    fi
    for form in "1 2" "2 1"; do
        read -r jobs threads <<<"$form"
        read -r b memory < <(measure "${peer[@]}" "${peer_args[@]}" --bucket --jobs "$jobs" --threads "$threads")
        b=$("$peer_py" -c 'import json,sys; print("%.1f" % (json.load(open(sys.argv[1]))["wall_s"] * int(sys.argv[2])))' "$scratch/peer.json" "$scale")
        best=$("$peer_py" -c 'import json,sys; print("%.3f of %d trials" % (max(t["value"] for t in json.load(open(sys.argv[1]))["trials"]), len(json.load(open(sys.argv[1]))["trials"])))' "$scratch/peer.json")
        echo "peer, $jobs job(s) x $threads thread(s), buckets: $b s, best test F1 $best, largest process $memory MB" >&2
        [[ $form == "1 2" ]] && all_a+=("$(ratio "$a" "$b")") || all_b+=("$(ratio "$a" "$b")")
    done
done
spread "$what, peer 1 job x 2 threads" "${all_a[@]}"
spread "$what, peer 2 jobs x 1 thread" "${all_b[@]}"
