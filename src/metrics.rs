//! Confusion counts and the figures that follow from them: plain numbers, no tensors.
//!
//! Every figure is computed from whole-set counts, never averaged over batches.
//! A ratio whose denominator is 0 is 0 (as scikit-learn's `zero_division=0`): a
//! class that is never predicted has precision 0, a class that never occurs has
//! recall 0, and F1 is 0 when precision and recall are.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap behind the interval of macro-F1.
const RESAMPLES: usize = 2_000;
/// Two-sided 95 % quantile of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// Counts of true against predicted class; row: true, column: predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confusion {
    rows: Vec<Vec<u64>>,
}

/// Which F1 counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// That of this class, in a binary task.
    Class(usize),
    /// The unweighted mean over all classes.
    Macro,
}

/// Precision, recall and F1 of one class, or their macro means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// TP / (TP + FP).
    pub precision: f64,
    /// TP / (TP + FN).
    pub recall: f64,
    /// 2 TP / (2 TP + FP + FN).
    pub f1: f64,
}

/// The figures of one set under one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean cross-entropy over documents, natural logarithm.
    pub loss: f64,
    /// Share of documents classified rightly.
    pub accuracy: f64,
    /// Of the positive class; macro mean when there are more than two classes.
    pub precision: f64,
    /// As `precision`.
    pub recall: f64,
    /// As `precision`.
    pub f1: f64,
    /// Lower end of the 95 % interval of `f1`.
    pub f1_low: f64,
    /// Upper end.
    pub f1_high: f64,
    /// The counts behind them; row: true, column: predicted.
    pub confusion: Confusion,
    /// The positive class in a binary task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<usize>,
}

fn ratio(numerator: u64, denominator: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    if denominator == 0 { 0.0 } else { numerator as f64 / denominator as f64 }
}

impl Confusion {
    /// No document yet, among `classes` classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { rows: vec![vec![0; classes]; classes] }
    }

    /// Counts one document.
    ///
    /// # Panics
    /// When a class is not below the number of classes.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.rows[truth][predicted] += 1;
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.rows.len()
    }

    /// Counts by true class, then predicted class.
    #[must_use]
    pub fn rows(&self) -> &[Vec<u64>] {
        &self.rows
    }

    /// Number of documents.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.iter().flatten().sum()
    }

    /// Documents of `class` that were predicted as `class`.
    #[must_use]
    pub fn true_positives(&self, class: usize) -> u64 {
        self.rows[class][class]
    }

    /// Documents of other classes that were predicted as `class`.
    #[must_use]
    pub fn false_positives(&self, class: usize) -> u64 {
        self.rows.iter().map(|row| row[class]).sum::<u64>() - self.rows[class][class]
    }

    /// Documents of `class` that were predicted as another.
    #[must_use]
    pub fn false_negatives(&self, class: usize) -> u64 {
        self.rows[class].iter().sum::<u64>() - self.rows[class][class]
    }

    /// Documents of other classes that were predicted as others.
    #[must_use]
    pub fn true_negatives(&self, class: usize) -> u64 {
        self.total() - self.true_positives(class) - self.false_positives(class) - self.false_negatives(class)
    }

    /// Share of documents on the diagonal; 0 when there is none.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio((0..self.classes()).map(|class| self.rows[class][class]).sum(), self.total())
    }

    /// Share of the most frequent true class; 0 when there is no document.
    #[must_use]
    pub fn majority_share(&self) -> f64 {
        ratio(self.rows.iter().map(|row| row.iter().sum()).max().unwrap_or(0), self.total())
    }

    /// Precision, recall and F1 of `target`.
    #[must_use]
    pub fn rates(&self, target: Target) -> Rates {
        match target {
            Target::Class(class) => {
                let (hit, false_hit, miss) =
                    (self.true_positives(class), self.false_positives(class), self.false_negatives(class));
                Rates {
                    precision: ratio(hit, hit + false_hit),
                    recall: ratio(hit, hit + miss),
                    f1: ratio(2 * hit, 2 * hit + false_hit + miss),
                }
            }
            Target::Macro => {
                let each: Vec<Rates> =
                    (0..self.classes()).map(|class| self.rates(Target::Class(class))).collect();
                let mean = |figure: fn(&Rates) -> f64| {
                    #[expect(clippy::cast_precision_loss, reason = "few classes")]
                    let classes = each.len().max(1) as f64;
                    each.iter().map(figure).sum::<f64>() / classes
                };
                Rates { precision: mean(|r| r.precision), recall: mean(|r| r.recall), f1: mean(|r| r.f1) }
            }
        }
    }

    /// The 95 % interval of `target`'s F1.
    ///
    /// One class: F1/(2 − F1) = TP/(TP + FP + FN) is a proportion, so its Wilson
    /// interval maps to one of F1 (Takahashi et al., arXiv 2309.14621). Macro: a
    /// bootstrap from the counts, each true class resampled by itself, with a
    /// fixed seed, so that the same counts give the same interval.
    #[must_use]
    pub fn f1_interval(&self, target: Target) -> (f64, f64) {
        match target {
            Target::Class(class) => {
                let hit = self.true_positives(class);
                let (low, high) =
                    wilson(hit, hit + self.false_positives(class) + self.false_negatives(class));
                (2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high))
            }
            Target::Macro => self.bootstrap_macro_f1(),
        }
    }

    fn bootstrap_macro_f1(&self) -> (f64, f64) {
        if self.total() == 0 {
            return (0.0, 1.0);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
        let mut f1s: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let rows = self.rows.iter().map(|row| resample(row, &mut rng)).collect();
                Self { rows }.rates(Target::Macro).f1
            })
            .collect();
        f1s.sort_by(f64::total_cmp);
        (f1s[RESAMPLES / 40], f1s[RESAMPLES - 1 - RESAMPLES / 40])
    }
}

fn resample(row: &[u64], rng: &mut ChaCha8Rng) -> Vec<u64> {
    let total: u64 = row.iter().sum();
    let mut counts = vec![0; row.len()];
    for _ in 0..total {
        let mut pick = rng.random_range(0..total);
        for (class, &count) in row.iter().enumerate() {
            if pick < count {
                counts[class] += 1;
                break;
            }
            pick -= count;
        }
    }
    counts
}

/// Wilson's 95 % interval of a proportion; all of \[0, 1\] without a trial.
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    let n = trials as f64;
    let p = ratio(successes, trials);
    let z2 = Z95 * Z95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

impl Target {
    /// The F1 that counts for a task with this positive class, if it has one.
    #[must_use]
    pub fn of(positive: Option<usize>) -> Self {
        positive.map_or(Self::Macro, Self::Class)
    }
}

impl Scores {
    /// The figures that follow from `confusion` and the mean cross-entropy `loss`.
    #[must_use]
    pub fn new(confusion: Confusion, loss: f64, positive: Option<usize>) -> Self {
        let target = Target::of(positive);
        let rates = confusion.rates(target);
        let (f1_low, f1_high) = confusion.f1_interval(target);
        Self {
            loss,
            accuracy: confusion.accuracy(),
            precision: rates.precision,
            recall: rates.recall,
            f1: rates.f1,
            f1_low,
            f1_high,
            confusion,
            positive,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn confusion(rows: &[&[u64]]) -> Confusion {
        Confusion { rows: rows.iter().map(|row| row.to_vec()).collect() }
    }

    #[test]
    fn binary_figures_follow_from_the_four_counts() {
        let counts = confusion(&[&[50, 10], &[5, 35]]);
        let rates = counts.rates(Target::Class(1));
        assert!((rates.precision - 35.0 / 45.0).abs() < 1e-12);
        assert!((rates.recall - 35.0 / 40.0).abs() < 1e-12);
        assert!((rates.f1 - 70.0 / 85.0).abs() < 1e-12);
        assert_eq!(counts.true_negatives(1), 50);
        assert!((counts.accuracy() - 0.85).abs() < 1e-12);
    }

    #[test]
    fn a_class_never_predicted_has_precision_and_f1_zero() {
        let rates = confusion(&[&[5, 0], &[5, 0]]).rates(Target::Class(1));
        assert_eq!(rates, Rates { precision: 0.0, recall: 0.0, f1: 0.0 });
    }

    #[test]
    fn the_interval_of_f1_is_about_as_wide_as_the_delta_method_says() {
        // n = 500, F1 = .909: ±2.6 points at 95 % (simulated sd 0.01357).
        let counts = confusion(&[&[225, 25], &[20, 230]]);
        let (low, high) = counts.f1_interval(Target::Class(1));
        assert!((high - low - 2.0 * 0.0263).abs() < 0.003, "{low} {high}");
    }

    #[test]
    fn the_macro_interval_is_the_same_each_time_and_holds_the_estimate() {
        let counts = confusion(&[&[30, 5, 5], &[4, 40, 2], &[1, 3, 20]]);
        let (low, high) = counts.f1_interval(Target::Macro);
        assert_eq!((low, high), counts.f1_interval(Target::Macro));
        let f1 = counts.rates(Target::Macro).f1;
        assert!(low < f1 && f1 < high && high - low < 0.2);
    }

    proptest! {
        #[test]
        fn counts_add_up_whatever_is_counted(pairs in prop::collection::vec((0_usize..4, 0_usize..4), 0..200)) {
            let mut counts = Confusion::new(4);
            for &(truth, predicted) in &pairs {
                counts.add(truth, predicted);
            }
            prop_assert_eq!(counts.total(), pairs.len() as u64);
            let right = pairs.iter().filter(|(truth, predicted)| truth == predicted).count() as u64;
            prop_assert!((counts.accuracy() - ratio(right, pairs.len() as u64)).abs() < 1e-12);
            for class in 0..4 {
                let all = counts.true_positives(class) + counts.false_positives(class)
                    + counts.false_negatives(class) + counts.true_negatives(class);
                prop_assert_eq!(all, pairs.len() as u64);
                let rates = counts.rates(Target::Class(class));
                let (low, high) = counts.f1_interval(Target::Class(class));
                prop_assert!(low <= rates.f1 + 1e-9 && rates.f1 <= high + 1e-9);
            }
        }
    }
}
