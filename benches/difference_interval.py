#!/usr/bin/env python3
"""How often the interval of a difference in F1 (`sweep compare`) holds the true difference, by simulation.

Computes the interval by itself, from docs/statistics.md, for two classes. Needs numpy. Takes a minute.

    python benches/difference_interval.py [SIMULATIONS]

Each row is a pair of classifiers by recall and false positive rate, and the share of documents on which both draw the same
random number, so that they err together. Prints Markdown: coverage in percent, and the mean width.
"""

import sys

import numpy as np

DOCUMENTS = (40, 150, 600, 5000)
POSITIVE = (0.5, 0.1)
PAIRS = (
    ("equal, independent errors", (0.9, 0.1), (0.9, 0.1), 0.0),
    ("equal, mostly the same errors", (0.9, 0.1), (0.9, 0.1), 0.8),
    ("better and worse", (0.95, 0.05), (0.85, 0.1), 0.0),
    ("high recall against high precision", (0.95, 0.3), (0.7, 0.02), 0.0),
    ("1 % errors, half of them the same", (0.99, 0.01), (0.99, 0.01), 0.5),
    ("weak, half of the errors the same", (0.8, 0.2), (0.6, 0.2), 0.5),
)


def influences(label, predicted):
    """F1, and what a hit adds to it and a miss takes from it."""
    both = label.sum() + predicted.sum()
    if both == 0:
        return 0.0, 0.0, 0.0
    f1 = 2 * (label & predicted).sum() / both
    return f1, (2 - 2 * f1) / both, f1 / both


def interval(label, first, second):
    """The difference in F1, and half of its interval."""
    (f1, hit, miss), (other_f1, other_hit, other_miss) = influences(label, first), influences(label, second)

    def moved(predicted, hit, miss):
        return np.where(label & predicted, hit, np.where(label ^ predicted, -miss, 0.0))

    d = moved(first, hit, miss) - moved(second, other_hit, other_miss)
    more = ((hit + other_miss) ** 2 + (other_hit + miss) ** 2) / 2
    return f1 - other_f1, 1.959963984540054 * np.sqrt((d**2).sum() + more)


def true_f1(positive, recall, false_positives):
    return 2 * positive * recall / (positive + positive * recall + (1 - positive) * false_positives)


def main():
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rng = np.random.default_rng(1)
    print("| classifiers | positive |", " | ".join(f"{count:,} documents" for count in DOCUMENTS), "|")
    print("| --- | --: |", " | ".join("--:" for _ in DOCUMENTS), "|")
    for positive in POSITIVE:
        for name, first, second, shared in PAIRS:
            truth = true_f1(positive, *first) - true_f1(positive, *second)
            cells = []
            for count in DOCUMENTS:
                held, width = 0, 0.0
                for _ in range(simulations):
                    label = rng.random(count) < positive
                    one = rng.random(count)
                    other = np.where(rng.random(count) < shared, one, rng.random(count))
                    predicted = [
                        np.where(label, draw < recall, draw > 1 - wrong)
                        for draw, (recall, wrong) in ((one, first), (other, second))
                    ]
                    difference, half = interval(label, *predicted)
                    held += abs(difference - truth) <= half
                    width += 2 * half
                cells.append(f"{100 * held / simulations:.1f} ({width / simulations:.3f})")
            print(f"| {name} | {100 * positive:.0f} % |", " | ".join(cells), "|")


main()
