#!/usr/bin/env python3
"""Which epoch is the best one: validation loss, validation F1 or both, by what each does to test F1.

Usage: benches/monitor_study.py specs DATA MODELS FOLDER     writes the specs of the study into FOLDER
       benches/monitor_study.py collect RESULTS              results folders into benches/data/monitor/*.json
       benches/monitor_study.py                              prints the tables of docs/monitor.md

A trial's `metrics.csv` has validation figures only. So each spec is run twice, with patience off: once with its
validation file, and once with the test file in the place of the validation file. Seed and training data are the same,
so are the steps, and the second run's validation figures are the test figures of the first, epoch by epoch. `collect`
refuses trials whose training losses differ between the two.

DATA has a folder for each data set (`chn`: ChnSentiCorp, `thuc`: THUCNews, `reviews`: `builtin:reviews` of seed 42, as
`sweep::data::reviews::generate` makes it: 2,400 for training, 600, 600) with train.tsv, dev.tsv and test.tsv; MODELS has
m3e-small. Then, for each spec: `sweep run SPEC --results RESULTS`. Needs no library.
"""

import csv
import json
import math
import random
import sys
from pathlib import Path

TABLES = Path(__file__).parent / "data/monitor"
BOOTSTRAPS = 2000
SEARCH = 12
RULES = ["loss", "f1", "ranks", "online", "minus", "last"]
STOPPING = ["loss", "f1", "online", "minus", "f1/loss", "f1/either", "minus/either"]
NAMES = {
    "loss": "validation loss",
    "f1": "validation F1",
    "ranks": "sum of ranks",
    "online": "sum of ranks, as it goes",
    "minus": "F1 less loss",
    "f1/loss": "F1, stopped by loss",
    "f1/either": "F1, stopped by both",
    "minus/either": "F1 less loss, stopped by both",
    "last": "last epoch",
    "oracle": "best epoch by test F1",
}

# Data set, model, documents (train, validation and test), epochs, batch, learning rates, chunk lengths, draws for each.
M3E = 'checkpoint = "{models}/m3e-small"\nfreeze = {freeze}'
STUDIES = {
    "chn-m3e": ("chn", M3E, 2, (400, 500), 6, 16, (2e-5, 1e-3), (24, 32), 12),
    "chn-mini": ("chn", "", 0, (4000, 600), 9, 32, (2e-4, 6e-3), (32, 64), 14),
    "reviews-mini": ("reviews", "", 0, (1000, 600), 9, 32, (2e-4, 1e-2), (16, 32), 14),
    "thuc-m3e": ("thuc", M3E, 3, (600, 600), 9, 16, (5e-5, 3e-3), (32, 64), 12),
}
COLUMNS = {"chn": ("text_a", "1"), "reviews": ("text_a", "positive"), "thuc": ("text", None)}
SPEC = """name = "{name}-{side}"
seed = 15
[data]
train = "{data}/train.tsv"
validation = "{data}/{side}.tsv"
test = "{data}/{other}.tsv"
text = "{text}"
label = "label"
{positive}
limit = {{ train = {train}, validation = {held}, test = {held} }}
[model]
{model}
[text]
chunk_stride = 4
long = "head"
[train]
epochs = {epochs}
batch_size = {batch}
{precision}
[early_stopping]
patience = 100
[run]
keep = 1
[search]
samples = {draws}
[search.space]
learning_rate = {{ log_uniform = [{low}, {high}] }}
dropout = {{ uniform = [0.0, 0.5] }}
weight_decay = {{ log_uniform = [1e-4, 1.0] }}
chunk_length = {{ grid = {lengths} }}
"""


def specs(data, models, folder):
    for name, (corpus, model, freeze, documents, epochs, batch, rates, lengths, draws) in STUDIES.items():
        text, positive = COLUMNS[corpus]
        for side, other in (("dev", "test"), ("test", "dev")):
            spec = SPEC.format(
                name=name, side=side, other=other, data=Path(data).resolve() / corpus, text=text,
                positive=f'positive = "{positive}"' if positive else "", train=documents[0], held=documents[1],
                model=model.format(models=Path(models).resolve(), freeze=freeze), epochs=epochs, batch=batch,
                precision='matmul_precision = "bf16"' if model else "", draws=draws, low=rates[0], high=rates[1],
                lengths=list(lengths),
            )
            (Path(folder) / f"{name}-{side}.toml").write_text(spec)


def curves(folder):
    """By the settings of a trial: its seed, and its training losses, validation losses and F1 by epoch."""
    out = {}
    for trial in json.loads((folder / "plan.json").read_text())["trials"]:
        with open(folder / f"trials/{trial['id']:04}/metrics.csv") as file:
            rows = list(csv.DictReader(file))
        columns = {name: [float(row[name]) for row in rows] for name in ("train_loss", "val_loss", "val_f1")}
        out[json.dumps(trial["params"], sort_keys=True)] = (trial["seed"], columns)
    return out


def collect(results):
    for name in STUDIES:
        folders = [Path(results) / f"{name}-{side}" for side in ("dev", "test")]
        if not all((folder / "leaderboard.json").exists() for folder in folders):
            print(f"{name}: not there")
            continue
        dev, test = map(curves, folders)
        trials = []
        for params, (seed, columns) in dev.items():
            other_seed, other = test[params]
            assert seed == other_seed and columns["train_loss"] == other["train_loss"], (name, params)
            figures = {"val_loss": columns["val_loss"], "val_f1": columns["val_f1"], "test_loss": other["val_loss"], "test_f1": other["val_f1"]}
            short = {key: [round(value, 6) for value in values] for key, values in figures.items()}
            trials.append({"params": json.loads(params), **short})
        corpus, model, freeze, documents, epochs, *_ = STUDIES[name]
        head = {"name": name, "documents": dict(zip(("train", "validation", "test"), (documents[0], documents[1], documents[1]))), "epochs": epochs}
        lines = ",\n".join(json.dumps(trial, separators=(",", ":")) for trial in trials)
        TABLES.mkdir(parents=True, exist_ok=True)
        (TABLES / f"{name}.json").write_text(json.dumps(head)[:-1] + f', "trials": [\n{lines}\n]}}\n')
        print(f"{name}: {len(trials)} trials")


def place(values, value):
    """The place of a value, the lowest first; equal values share the mean of theirs."""
    return sum(v < value for v in values) + (sum(v == value for v in values) - 1) / 2


def rank_sums(trial, upto):
    losses, f1s = trial["val_loss"][:upto], [-f1 for f1 in trial["val_f1"][:upto]]
    return [place(losses, loss) + place(f1s, f1) for loss, f1 in zip(losses, f1s)]


def improves(trial, rule, best, epoch):
    """Whether an epoch takes the place of the best one so far; epochs from 0."""
    if rule == "loss":
        return trial["val_loss"][epoch] < trial["val_loss"][best]
    if rule == "f1":
        return trial["val_f1"][epoch] > trial["val_f1"][best]
    if rule == "f1, then loss":
        f1s, losses = trial["val_f1"], trial["val_loss"]
        return (f1s[epoch], -losses[epoch]) > (f1s[best], -losses[best])
    if rule == "oracle":
        return trial["test_f1"][epoch] > trial["test_f1"][best]
    if rule == "minus":
        score = [f1 - loss for f1, loss in zip(trial["val_f1"], trial["val_loss"])]
        return score[epoch] > score[best]
    if rule == "online":
        sums = rank_sums(trial, epoch + 1)
        return sums[epoch] < sums[best]
    assert rule == "last"
    return True


def chosen(trial, rule, patience=None):
    """The epoch that a rule takes, and how many epochs the trial runs.

    "f1/loss" takes the best epoch by F1, and stops once the loss has not improved for `patience` epochs; "f1/either"
    once neither has.
    """
    take, _, stop = rule.partition("/")
    stop = ["loss", "f1"] if stop == "either" else [stop or take]
    if take == "f1" and (stop != ["f1"] or not patience):
        take = "f1, then loss"  # As `best_epoch = "val_f1"` does beside another `monitor`.
    epochs, best = len(trial["val_loss"]), 0
    if rule == "ranks":
        sums = rank_sums(trial, epochs)
        return sums.index(min(sums)), epochs
    bests, news = dict.fromkeys(stop, 0), 0
    for epoch in range(1, epochs):
        if improves(trial, take, best, epoch):
            best = epoch
        for figure in stop:
            if improves(trial, figure, bests[figure], epoch):
                bests[figure] = news = epoch
        if patience and epoch - news >= patience:
            return best, epoch + 1
    return best, epochs


def quarter(trials):
    """The best quarter, by the best test F1 of any epoch: a choice that favours no rule."""
    return sorted(trials, key=lambda trial: -max(trial["test_f1"]))[: math.ceil(len(trials) / 4)]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def test_f1(trials, rule, patience=None):
    return 100 * mean(trial["test_f1"][chosen(trial, rule, patience)[0]] for trial in trials)


def test_loss(trials, rule, patience=None):
    return mean(trial["test_loss"][chosen(trial, rule, patience)[0]] for trial in trials)


def search(trials, rule, patience=None):
    """Test F1 of the configuration of the highest validation F1, each at its chosen epoch: the mean over all searches of
    SEARCH configurations out of these."""
    found = []
    for trial in trials:
        at = chosen(trial, rule, patience)[0]
        found.append((trial["val_f1"][at], trial["test_f1"][at]))
    found.sort(key=lambda pair: -pair[0])
    # The one at place i is chosen if it is drawn and none of those before it is.
    ways = [math.comb(len(found) - 1 - i, SEARCH - 1) for i in range(len(found))]
    return 100 * sum(way * test for way, (_, test) in zip(ways, found)) / sum(ways)


def interval(tables, figure):
    """The mean of a figure over tables, with its 95 % interval by drawing configurations anew within each table."""
    rng, draws = random.Random(1), []
    for _ in range(BOOTSTRAPS):
        draws.append(mean(figure(rng.choices(table, k=len(table))) for table in tables))
    draws.sort()
    return mean(map(figure, tables)), draws[round(0.025 * BOOTSTRAPS)], draws[round(0.975 * BOOTSTRAPS) - 1]


def difference(tables, figure, rule, patience=None):
    middle, low, high = interval(tables, lambda trials: figure(trials, rule, patience) - figure(trials, "loss", patience))
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]"


def cache():
    """Figures at a trial's chosen epoch are asked for thousands of times."""
    plain, known = chosen, {}

    def remembered(trial, rule, patience=None):
        key = (id(trial), rule, patience)
        if key not in known:
            known[key] = plain(trial, rule, patience)
        return known[key]

    return remembered


def rows(tables, columns, rules, patience=None):
    for rule in rules:
        cells = []
        for part, figure in columns:
            parts = [part(trials) for trials in tables]
            if rule == "loss":
                cells.append(f"{mean(figure(trials, rule, patience) for trials in parts):.2f}")
            else:
                cells.append(difference(parts, figure, rule, patience))
        yield rule, cells


def report():
    global chosen
    chosen = cache()
    tables = {path.stem: json.loads(path.read_text()) for path in sorted(TABLES.glob("*.json"))}
    columns = [(list, test_f1), (quarter, test_f1), (list, search), (list, test_loss)]
    everything = {**{name: [table["trials"]] for name, table in tables.items()}, "mean": [table["trials"] for table in tables.values()]}
    print("Test F1 in points: its level by validation loss, else the difference from that [95 %]\n")
    print("| table | epoch by | all | best quarter | a search of 12 | test loss of all |\n| --- | --- | --: | --: | --: | --: |")
    for name, parts in everything.items():
        for rule, cells in rows(parts, columns, [*RULES, "oracle"]):
            print(f"| {name} | {NAMES[rule]} | {' | '.join(cells)} |")
    print("\nWith patience 2 by the same rule, unless the name says otherwise\n")
    print("| table | epoch by | epochs run | all | best quarter | a search of 12 | test loss of all |\n| --- | --- | --: | --: | --: | --: | --: |")
    for name, parts in everything.items():
        for rule, cells in rows(parts, columns, STOPPING, 2):
            epochs = mean(mean(chosen(trial, rule, 2)[1] / len(trial["val_loss"]) for trial in trials) for trials in parts)
            print(f"| {name} | {NAMES[rule]} | {epochs:.2f} | {' | '.join(cells)} |")
    print("\nThe epoch taken, as a share of all; and of how many trials loss and F1 take different epochs")
    for name, table in tables.items():
        trials = table["trials"]
        shares = {rule: mean((chosen(t, rule)[0] + 1) / table["epochs"] for t in trials) for rule in ("loss", "f1", "ranks", "oracle")}
        differ = sum(chosen(t, "loss")[0] != chosen(t, "f1")[0] for t in trials)
        print(f"{name}: " + ", ".join(f"{NAMES[rule]} {share:.2f}" for rule, share in shares.items()) + f"; {differ} of {len(trials)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["specs"]:
        specs(*sys.argv[2:5])
    elif sys.argv[1:2] == ["collect"]:
        collect(sys.argv[2])
    else:
        report()
