#!/usr/bin/env python3
"""How often the interval of out-of-fold F1 holds what a configuration is worth, by simulation, and how often two
configurations that are equally good are told apart by out-of-fold predictions.

Classifiers are linear discriminants with shrinkage, trained on Gaussian features, so that their true F1 is known from many
further documents. For two classes the interval is that of docs/statistics.md. Needs numpy. Takes some minutes.

    python benches/fold_interval.py [SIMULATIONS]

Each row is a number of documents and of folds. Prints Markdown, in percent: how often the interval of the pooled
out-of-fold predictions holds the mean true F1 of the models of the folds, and the expected true F1 of such models over all
sets of documents; for comparison, how often that of a single validation set of a fifth of the documents holds the true F1 of
its model; the mean widths of both intervals; how often two equally good configurations are told apart at 5 %, without and
with the corrected variance of Nadeau and Bengio; and likewise how often two of which one is better are.
"""

import sys

import numpy as np

DOCUMENTS = (60, 120, 300, 1000)
FOLDS = (5, 10)
FEATURES = 20
# By how much the means of the classes lie apart in each of the first features.
APART, USEFUL = 0.55, 8
POSITIVE = 0.4
# Standard deviation of the noise in the features of the worse of two configurations; that of the better one is 0.5.
WORSE = 1.0
FURTHER = 20_000
Z = 1.959963984540054
RARE = (0.05129329438755053, 0.3553615106986625, 0.817691447145651)


def documents(rng, count):
    label = np.zeros(count, dtype=bool)
    label[: round(POSITIVE * count)] = True
    rng.shuffle(label)
    features = rng.standard_normal((count, FEATURES))
    features[:, :USEFUL] += APART * label[:, None]
    return features, label


def train(features, label, shrinkage):
    means = [features[label == value].mean(axis=0) for value in (False, True)]
    rest = features - np.where(label[:, None], means[1], means[0])
    covariance = rest.T @ rest / len(label)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.eye(FEATURES)
    weights = np.linalg.solve(covariance, means[1] - means[0])
    middle = (means[0] + means[1]) / 2
    odds = np.log(label.mean() / (1 - label.mean()))
    return weights, odds - weights @ middle


def predict(model, features):
    weights, bias = model
    return features @ weights + bias > 0


def counts(label, predicted):
    hits = int((label & predicted).sum())
    return hits, int((label != predicted).sum())


def f1_of(label, predicted):
    hits, errors = counts(label, predicted)
    return 2 * hits / max(2 * hits + errors, 1)


def interval(label, predicted):
    hits, errors = counts(label, predicted)
    n = hits + errors
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    rare = lambda events: RARE[events - 1] / n if 1 <= events <= 3 else 1.0
    low = min(max(min(centre - half, rare(hits)), 0.0), p)
    high = max(min(max(centre + half, 1 - rare(errors)), 1.0), p)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def folds_of(rng, label, folds):
    fold = np.empty(len(label), dtype=int)
    start = 0
    for value in (False, True):
        own = np.flatnonzero(label == value)
        rng.shuffle(own)
        fold[own] = (np.arange(len(own)) + start) % folds
        start += len(own)
    return fold


def out_of_fold(features, label, fold, shrinkage):
    predicted, models = np.empty(len(label), dtype=bool), []
    for held_out in range(fold.max() + 1):
        model = train(features[fold != held_out], label[fold != held_out], shrinkage)
        predicted[fold == held_out] = predict(model, features[fold == held_out])
        models.append(model)
    return predicted, models


def t_of(label, first, second):
    """The statistic of a difference in F1, as docs/statistics.md has it."""
    hits = [float((label & own).sum()) for own in (first, second)]
    both = [float(label.sum() + own.sum()) for own in (first, second)]
    f0, mean = 2 * sum(hits) / sum(both), 2 * both[0] * both[1] / sum(both)
    own = [(label & each).astype(float) * 2 - f0 * each for each in (first, second)]
    d = (own[0] - own[1]) / mean
    error = np.sqrt((d * d).sum())
    return d.sum() / error if error > 0 else 0.0


def main():
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rng = np.random.default_rng(1)
    further = documents(rng, FURTHER)
    print("| documents | folds | holds mean of its models | holds expected F1 | width | single set holds | width "
          "| equal ones told apart | a better one told apart |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    for count in DOCUMENTS:
        for folds in FOLDS:
            print(row(rng, further, count, folds, simulations), flush=True)


def row(rng, further, count, folds, simulations):
    true, intervals, single, equal, better = [], [], [], [], []
    for _ in range(simulations):
        features, label = documents(rng, count)
        predicted, models = out_of_fold(features, label, folds_of(rng, label, folds), 0.1)
        true.append(np.mean([f1_of(further[1], predict(model, further[0])) for model in models]))
        intervals.append(interval(label, predicted))
        # Of equal worth: the same training with features of another, independent noise of the same kind.
        noisy = [features + noise * rng.standard_normal(features.shape) for noise in (0.5, 0.5, WORSE)]
        fold = folds_of(rng, label, folds)
        each = [out_of_fold(own, label, fold, 0.1)[0] for own in noisy]
        equal.append(abs(t_of(label, each[0], each[1])))
        better.append(t_of(label, each[0], each[2]))
        held_out = folds_of(rng, label, 5) == 0
        model = train(features[~held_out], label[~held_out], 0.1)
        ends = interval(label[held_out], predict(model, features[held_out]))
        worth = f1_of(further[1], predict(model, further[0]))
        single.append((*ends, worth))
    low, high = np.array(intervals).T
    true, single = np.array(true), np.array(single)
    expected = true.mean()
    percent = lambda holds: f"{100 * np.mean(holds):.1f}"
    # The variance of Nadeau and Bengio (2003) for that over documents.
    corrected = np.sqrt(1 / (1 + folds / (folds - 1)))
    apart = lambda t: f"{percent(np.array(t) > Z)} → {percent(np.array(t) * corrected > Z)}"
    cells = [
        str(count), str(folds),
        percent((low <= true) & (true <= high)),
        percent((low <= expected) & (expected <= high)),
        f"{np.mean(high - low):.3f}",
        percent((single[:, 0] <= single[:, 2]) & (single[:, 2] <= single[:, 1])),
        f"{np.mean(single[:, 1] - single[:, 0]):.3f}",
        apart(equal), apart(better),
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
