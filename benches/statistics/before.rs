//! The methods of before, for comparison: pairwise tests against the leader with Holm's correction, and the
//! percentile bootstrap.

use std::collections::BTreeMap;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sweep::{
    leaderboard::Prediction,
    metrics::{Average, Confusion, Target},
};

/// Smallest number of rounds of a test. The standard error of a p-value near .05 is then under .005.
const ROUNDS_MIN: u32 = 2_000;
/// Rounds of a test for each comparison with the leader.
///
/// The lowest p-value that a test can give is 1 / (rounds + 1). Holm's correction multiplies it by up to the
/// number of comparisons. With 25 rounds for each comparison the product is below 1/25 = .04, which is under
/// the significance level of .05. With 19 rounds it could exceed .05, and then every trial counts as tied.
const ROUNDS_PER_COMPARISON: u32 = 25;
/// Number of rounds with a difference at least as large as observed after which a test ends early.
///
/// The p-value is then this number divided by the rounds so far, which is a valid p-value too: sequential
/// Monte Carlo testing (Besag and Clifford 1991, "Sequential Monte Carlo p-values", Biometrika 78).
const EXCEEDANCES_MAX: u32 = 200;
/// Seed of the random swaps: any fixed number, so that the same predictions give the same p-value.
const SEED: u64 = 0x5eed;
/// Sums of floating-point numbers in another order may differ in their last bits, so a difference that is
/// smaller than the observed one by less than this counts as equal.
const ROUNDING_ERROR: f64 = 1e-12;

/// The number of rounds of each test, if there are this many comparisons with the leader.
pub(crate) fn rounds(comparisons: usize) -> u32 {
    u32::try_from(comparisons).unwrap_or(u32::MAX).saturating_mul(ROUNDS_PER_COMPARISON).max(ROUNDS_MIN)
}

/// The counts by class from which a model's F1 follows.
#[derive(Clone)]
struct Tally {
    /// Documents of the class that were predicted as such.
    hits: Vec<i64>,
    /// Documents that were predicted as of the class.
    predicted: Vec<i64>,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self { hits: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Counts `documents` more predictions; fewer, if negative.
    fn add(&mut self, truth: usize, predicted: usize, documents: i64) {
        self.predicted[predicted] += documents;
        if truth == predicted {
            self.hits[truth] += documents;
        }
    }

    /// Copies the counts of `other`, which has the same number of classes, without a new allocation.
    fn reset(&mut self, other: &Self) {
        self.hits.copy_from_slice(&other.hits);
        self.predicted.copy_from_slice(&other.predicted);
    }

    /// The F1 that `target` names; `truths` are the documents of each class.
    ///
    /// F1 of a class is 2 · hits / (predicted + true), the harmonic mean of precision and recall.
    fn f1(&self, target: Target, truths: &[i64]) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
        let class_f1 = |class: usize| match self.predicted[class] + truths[class] {
            0 => 0.0,
            both => 2.0 * self.hits[class] as f64 / both as f64,
        };
        match target {
            Target::Class(class) if class < truths.len() => class_f1(class),
            Target::Class(_) => 0.0,
            Target::Average(average) => self.average_f1(average, truths, class_f1),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    fn average_f1(&self, average: Average, truths: &[i64], class_f1: impl Fn(usize) -> f64) -> f64 {
        let documents = truths.iter().sum::<i64>().max(1) as f64;
        match average {
            Average::Macro => (0..truths.len()).map(class_f1).sum::<f64>() / truths.len().max(1) as f64,
            Average::Micro => self.hits.iter().sum::<i64>() as f64 / documents,
            Average::Weighted => {
                let weighted = |(class, &truths): (usize, &i64)| truths as f64 * class_f1(class);
                truths.iter().enumerate().map(weighted).sum::<f64>() / documents
            }
        }
    }
}

/// Documents that are interchangeable in a test: same true class and same pair of different predictions.
///
/// The order of the fields is the order in which a round draws its random numbers, so it must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// The true class.
    truth: usize,
    /// The class that the first model predicted.
    first: usize,
    /// The class that the second model predicted.
    second: usize,
}

/// The two-sided p-value of the hypothesis that both models have the same F1, from at most `rounds` rounds.
///
/// The same input gives the same value. `None` when the predictions are not about the same documents.
pub(crate) fn p_value(
    first: &[Prediction],
    second: &[Prediction],
    target: Target,
    rounds: u32,
) -> Option<f64> {
    let PairedCounts { truths, tallies, groups } = paired_counts(first, second)?;
    let difference =
        |tallies: &[Tally; 2]| (tallies[0].f1(target, &truths) - tallies[1].f1(target, &truths)).abs();
    let observed = difference(&tallies) - ROUNDING_ERROR;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut exceedances = 0;
    let mut shuffled = tallies.clone();
    for round in 1..=rounds {
        for (shuffled, tally) in shuffled.iter_mut().zip(&tallies) {
            shuffled.reset(tally);
        }
        for (&group, &documents) in &groups {
            swap(&mut shuffled, group, i64::from(heads(documents, &mut rng)));
        }
        exceedances += u32::from(difference(&shuffled) >= observed);
        if exceedances == EXCEEDANCES_MAX {
            return Some(f64::from(exceedances) / f64::from(round));
        }
    }
    // The observed assignment is one of the possible ones, so it counts as a round too: without it,
    // p could be 0 and the test would reject too often (Noreen 1989,
    // "Computer-intensive methods for testing hypotheses").
    Some(f64::from(exceedances + 1) / f64::from(rounds + 1))
}

/// The counts of two models' predictions that a test needs.
struct PairedCounts {
    /// Number of documents by true class.
    truths: Vec<i64>,
    /// The tally of the first model and of the second.
    tallies: [Tally; 2],
    /// Number of documents of each group.
    groups: BTreeMap<Group, u32>,
}

/// Counts two models' predictions. `None` unless both are about the same documents, at least one.
fn paired_counts(first: &[Prediction], second: &[Prediction]) -> Option<PairedCounts> {
    let is_same = |(a, b): (&Prediction, &Prediction)| a.id == b.id && a.label == b.label;
    if first.len() != second.len() || !first.iter().zip(second).all(is_same) {
        return None;
    }
    let classes = first.iter().chain(second).map(|each| each.label.max(each.predicted) + 1).max()?;
    let (mut truths, mut tallies) = (vec![0; classes], [Tally::new(classes), Tally::new(classes)]);
    let mut groups: BTreeMap<Group, u32> = BTreeMap::new();
    for (a, b) in first.iter().zip(second) {
        truths[a.label] += 1;
        tallies[0].add(a.label, a.predicted, 1);
        tallies[1].add(b.label, b.predicted, 1);
        if a.predicted != b.predicted {
            let group = Group { truth: a.label, first: a.predicted, second: b.predicted };
            *groups.entry(group).or_default() += 1;
        }
    }
    Some(PairedCounts { truths, tallies, groups })
}

/// Swaps the two models' predictions for `documents` documents of a group.
fn swap(tallies: &mut [Tally; 2], group: Group, documents: i64) {
    let [first, second] = tallies;
    first.add(group.truth, group.first, -documents);
    first.add(group.truth, group.second, documents);
    second.add(group.truth, group.second, -documents);
    second.add(group.truth, group.first, documents);
}

/// The number of heads among `tosses` fair coins: a binomial number with p = 1/2.
///
/// Each random bit is one coin, so 64 tosses take one random word.
fn heads(tosses: u32, rng: &mut ChaCha8Rng) -> u32 {
    let whole: u32 = (0..tosses / 64).map(|_| rng.next_u64().count_ones()).sum();
    let rest = tosses % 64;
    if rest == 0 { whole } else { whole + (rng.next_u64() >> (64 - rest)).count_ones() }
}

/// Holm's step-down correction of p-values for multiple comparisons; the order of the values stays.
///
/// The k-th lowest of n values (k from 0) is multiplied by n - k, held to at most 1, and raised to the
/// corrected value before it if that value is higher (Holm 1979, "A simple sequentially rejective multiple
/// test procedure", Scandinavian Journal of Statistics 6). Rejecting where the result is at most α keeps
/// the chance of any false rejection under α, whatever the dependence between the tests; here all tests
/// share the leader's predictions.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut floor = 0.0_f64;
    for (position, &index) in order.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "few comparisons")]
        let factor = (p_values.len() - position) as f64;
        floor = floor.max(factor * p_values[index]).min(1.0);
        adjusted[index] = floor;
    }
    adjusted
}

/// The percentile interval of an average F1 over 2,000 resamples of each true class.
pub(crate) fn bootstrap(confusion: &Confusion, target: Target) -> (f64, f64) {
    const RESAMPLES: usize = 2_000;
    const TAIL: usize = RESAMPLES / 40;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut f1s: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let rows: Vec<Vec<u64>> = confusion.rows().iter().map(|row| resample(row, &mut rng)).collect();
            Confusion::try_from(rows).map_or(f64::NAN, |counts| counts.rates(target).f1)
        })
        .collect();
    f1s.sort_by(f64::total_cmp);
    (f1s[TAIL], f1s[RESAMPLES - 1 - TAIL])
}

/// As many draws with replacement from the documents of `row` as there are documents, counted by class.
fn resample(row: &[u64], rng: &mut ChaCha8Rng) -> Vec<u64> {
    let total: u64 = row.iter().sum();
    let ends: Vec<u64> = row
        .iter()
        .scan(0, |end, count| {
            *end += count;
            Some(*end)
        })
        .collect();
    let mut counts = vec![0; row.len()];
    for _ in 0..total {
        let pick = rng.random_range(0..total);
        counts[ends.partition_point(|&end| end <= pick)] += 1;
    }
    counts
}

/// Wilson's interval of a proportion, without what is added near its ends today.
pub(crate) fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    let (x, n, z2) = (successes as f64, trials as f64, 1.959_963_984_540_054_f64.powi(2));
    if trials == 0 {
        return (0.0, 1.0);
    }
    let p = x / n;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
    ((centre - half).max(0.0), (centre + half).min(1.0))
}
