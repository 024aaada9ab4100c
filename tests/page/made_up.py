"""Writes made-up sweeps into a results folder, to look at their pages.

    python3 tests/page/made_up.py FOLDER [--hostile]

Sweeps of 4, 40 and 400 trials with 1, 2 and 5 settings, one of them a text, in nine folders that `sweep report` and
`sweep serve` read. Plan and settings are those of results/sample with other values. Needs Python 3 alone.
"""

import copy
import json
import math
import pathlib
import random
import sys

SAMPLE = pathlib.Path(__file__).parents[2] / "results" / "sample"
DOCUMENTS = 450
# Numbers of documents that the test set of the sample has, so that mistakes have texts.
IDS = [line.split(",")[0] for line in (SAMPLE / "trials/0001/predictions.csv").read_text().splitlines()[1:]]
SETTINGS = {
    "pooling": lambda r: r.choice(["cls", "mean"]),
    "learning_rate": lambda r: float(f"{10 ** r.uniform(-5, -2):.3e}"),
    "dropout": lambda r: round(r.uniform(0, 0.5), 3),
    "weight_decay": lambda r: round(r.uniform(0, 0.1), 4),
    "batch_size": lambda r: r.choice([8, 16, 32, 64]),
}
HOSTILE = ["<script>alert(1)</script>", "\u202eback\"'><img src=x onerror=alert(1)>"]


def scores(r, quality, loss):
    half = DOCUMENTS // 2
    wrong = [max(1, min(half - 1, int(half * (1 - quality) * r.uniform(0.7, 1.3)))) for _ in range(2)]
    confusion = [[half - wrong[0], wrong[0]], [wrong[1], half - wrong[1]]]
    tp, fp, fn = confusion[1][1], confusion[0][1], confusion[1][0]
    precision, recall, f1 = tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)
    return {"loss": loss, "accuracy": (confusion[0][0] + tp) / DOCUMENTS, "precision": precision, "recall": recall,
            "f1": f1, "f1_low": f1 - 0.02, "f1_high": min(1, f1 + 0.02), "confusion": confusion, "positive": 1}


def sweep(folder, trials, settings, labels):
    r = random.Random(f"{trials} {settings}")
    plan = json.loads((SAMPLE / "plan.json").read_text())
    names = list(SETTINGS)[:settings]
    first = plan["trials"][0]
    plan |= {"sweep": folder.name, "swept": names, "labels": labels, "positive": 1, "trials": []}
    plan["data"]["positive"] = labels[1]
    plan["scales"] = {name: "log" if name == "learning_rate" else "linear" for name in names
                      if name in ("learning_rate", "dropout", "weight_decay")}
    events, tables = [], {}
    slot = {"cpu": {"slot": 0, "threads": 1}}
    events.append((None, {"sweep_started": {"version": "0.1.0", "devices": [slot], "trials": trials}}))
    for number in range(1, trials + 1):
        trial = copy.deepcopy(first)
        params = {name: SETTINGS[name](r) for name in names}
        trial |= {"id": number, "params": params, "seed": number}
        trial["settings"] |= params
        plan["trials"].append(trial)
        if number % 37 == 0:
            continue
        rate = params.get("learning_rate", 1e-3)
        quality = 0.95 - 0.06 * abs(math.log10(rate) + 3) - 0.2 * abs(params.get("dropout", 0.1) - 0.1) - r.uniform(0, 0.05)
        quality -= 0.05 if params.get("pooling") == "mean" else 0
        events.append((number, {"started": {"attempt": 1, "device": slot}}))
        evaluations = []
        for epoch in range(1, 13):
            learnt = 1 - math.exp(-epoch / 3)
            loss = 0.69 - (0.69 - 0.9 * (1 - quality)) * learnt + 0.01 * max(0, epoch - 8) + r.uniform(0, 0.01)
            best = not evaluations or loss < min(e["validation"]["loss"] for e in evaluations)
            evaluations.append({"epoch": float(epoch), "step": 80 * epoch, "train_loss": 0.69 * math.exp(-epoch / 6),
                                "learning_rate": 1e-4, "validation": scores(r, 0.5 + (quality - 0.5) * learnt, loss),
                                "best": best, "seconds": 0.6 * epoch})
            events.append((number, {"evaluated": evaluations[-1]}))
        if number % 23 == 0:
            failure = {"kind": {"signal": 9}, "message": "killed <b>here</b>"}
            events.append((number, {"failed": {"failure": failure, "retry": False}}))
            continue
        best = [e for e in evaluations if e["best"]][-1]
        test = scores(r, quality, best["validation"]["loss"] + 0.02)
        events.append((number, {"finished": {"best_epoch": best["epoch"], "best_step": best["step"], "epochs_run": 12.0,
                                             "stopped_early": False, "train_loss": best["train_loss"],
                                             "validation": best["validation"], "test": test,
                                             "seconds": 7.2 + number}}))
        tables[number] = table(r, test["confusion"], labels)
    events.append((None, {"sweep_ended": {"interrupted": False}}))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "sweep.toml").write_text("# made up </pre><script>alert(1)</script>\n")
    log = [{"v": 1, "seq": at + 1, "at": f"2026-01-05T10:{at // 60 % 60:02}:{at % 60:02}.000Z"}
           | ({"trial": number} if number else {}) | {"event": event} for at, (number, event) in enumerate(events)]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    for number, text in tables.items():
        place = folder / "trials" / f"{number:04}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "predictions.csv").write_text(text)


def table(r, confusion, labels):
    def cell(text):
        return '"' + text.replace('"', '""') + '"'
    rows = ["id,label,predicted," + ",".join(cell("p_" + label) for label in labels)]
    ids = iter(IDS)
    for truth, counts in enumerate(confusion):
        for predicted, count in enumerate(counts):
            for _ in range(count):
                p = min(0.999, 0.5 + 0.5 * r.betavariate(3, 1 if truth == predicted else 2))
                shares = [p, 1 - p] if predicted == 0 else [1 - p, p]
                rows.append(f"{next(ids)},{cell(labels[truth])},{cell(labels[predicted])},{shares[0]},{shares[1]}")
    return "\n".join(rows) + "\n"


def main():
    root = pathlib.Path(sys.argv[1])
    labels = HOSTILE if "--hostile" in sys.argv else ["negative", "positive"]
    for trials in (4, 40, 400):
        for settings in (1, 2, 5):
            sweep(root / f"t{trials}s{settings}", trials, settings, labels)


main()
