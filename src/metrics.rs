//! Confusion counts and the figures that follow from them: plain numbers, no tensors.
//!
//! Every figure is computed from whole-set counts, never averaged over batches.
//! A ratio whose denominator is 0 is 0 (as scikit-learn's `zero_division=0`): a
//! class that is never predicted has precision 0, a class that never occurs has
//! recall 0, and F1 is 0 when precision and recall are.
//!
//! Averages are scikit-learn's with all classes of the task as its `labels`: a class
//! that a set does not show counts in the macro mean, with 0.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap behind the intervals of macro and weighted F1.
const RESAMPLES: usize = 2_000;
/// Two-sided 95 % quantile of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// Counts of true against predicted class; row: true, column: predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u64>>", into = "Vec<Vec<u64>>")]
pub struct Confusion {
    /// As many as each has counts; all together stay below [`MOST_DOCUMENTS`].
    rows: Vec<Vec<u64>>,
}

/// Documents that a confusion can count, so that no sum of counts overflows: 2^53.
const MOST_DOCUMENTS: u64 = 1 << 53;

/// Why rows of counts are no confusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoConfusion {
    /// A row has more or fewer counts than there are rows.
    #[error("the confusion is not square")]
    NotSquare,
    /// More documents than any set has.
    #[error("the confusion counts more than {MOST_DOCUMENTS} documents")]
    TooMany,
}

impl TryFrom<Vec<Vec<u64>>> for Confusion {
    type Error = NoConfusion;

    fn try_from(rows: Vec<Vec<u64>>) -> Result<Self, NoConfusion> {
        if rows.iter().any(|row| row.len() != rows.len()) {
            return Err(NoConfusion::NotSquare);
        }
        let total = rows.iter().flatten().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        match total {
            Some(total) if total < MOST_DOCUMENTS => Ok(Self { rows }),
            _ => Err(NoConfusion::TooMany),
        }
    }
}

impl From<Confusion> for Vec<Vec<u64>> {
    fn from(confusion: Confusion) -> Self {
        confusion.rows
    }
}

/// How the classes' figures become one, with more than two classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The unweighted mean over all classes.
    #[default]
    Macro,
    /// From the counts of all classes together. Each document has one class, so precision,
    /// recall and F1 are all equal to the accuracy.
    Micro,
    /// The mean weighted by each class's documents. The recall is equal to the accuracy.
    Weighted,
}

/// Which F1 counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// That of this class, in a binary task.
    Class(usize),
    /// This average over all classes.
    Average(Average),
}

/// Precision, recall and F1 of one class, or an average of them.
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
    /// Of the positive class; an average when there are more than two classes.
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
    /// Which average precision, recall and F1 are; `None` with a positive class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
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

    /// Documents of `class`: its support.
    #[must_use]
    pub fn support(&self, class: usize) -> u64 {
        self.rows[class].iter().sum()
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
            Target::Average(Average::Micro) => {
                // Every error is one class's false positive and another's false negative.
                let accuracy = self.accuracy();
                Rates { precision: accuracy, recall: accuracy, f1: accuracy }
            }
            Target::Average(Average::Macro) => self.mean(|_| 1),
            Target::Average(Average::Weighted) => self.mean(|class| self.support(class)),
        }
    }

    /// The mean of the classes' rates with these weights; 0 when all weights are 0.
    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    fn mean(&self, weight: impl Fn(usize) -> u64) -> Rates {
        let mut sum = Rates { precision: 0.0, recall: 0.0, f1: 0.0 };
        let mut weights = 0;
        for class in 0..self.classes() {
            let (rates, weight) = (self.rates(Target::Class(class)), weight(class));
            sum.precision += rates.precision * weight as f64;
            sum.recall += rates.recall * weight as f64;
            sum.f1 += rates.f1 * weight as f64;
            weights += weight;
        }
        let weights = weights.max(1) as f64;
        Rates { precision: sum.precision / weights, recall: sum.recall / weights, f1: sum.f1 / weights }
    }

    /// The 95 % interval of `target`'s F1.
    ///
    /// One class: F1/(2 − F1) = TP/(TP + FP + FN) is a proportion, so its Wilson
    /// interval maps to one of F1 (Takahashi et al., arXiv 2309.14621). Micro: the
    /// accuracy is a proportion of all documents, and has its Wilson interval. Macro
    /// and weighted: a bootstrap from the counts, each true class resampled by itself,
    /// with a fixed seed, so that the same counts give the same interval.
    #[must_use]
    pub fn f1_interval(&self, target: Target) -> (f64, f64) {
        match target {
            Target::Class(class) => {
                let hit = self.true_positives(class);
                let (low, high) =
                    wilson(hit, hit + self.false_positives(class) + self.false_negatives(class));
                (2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high))
            }
            Target::Average(Average::Micro) => {
                let hits = (0..self.classes()).map(|class| self.true_positives(class)).sum();
                wilson(hits, self.total())
            }
            Target::Average(Average::Macro | Average::Weighted) => self.bootstrap_f1(target),
        }
    }

    fn bootstrap_f1(&self, target: Target) -> (f64, f64) {
        if self.total() == 0 {
            return (0.0, 1.0);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
        let mut f1s: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let rows = self.rows.iter().map(|row| resample(row, &mut rng)).collect();
                Self { rows }.rates(target).f1
            })
            .collect();
        f1s.sort_by(f64::total_cmp);
        (f1s[RESAMPLES / 40], f1s[RESAMPLES - 1 - RESAMPLES / 40])
    }
}

fn resample(row: &[u64], rng: &mut ChaCha8Rng) -> Vec<u64> {
    let total: u64 = row.iter().sum();
    // Where the documents predicted as each class end, when all stand in a row.
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

impl Average {
    /// Every average, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Macro, Self::Micro, Self::Weighted];

    /// The spelling in a spec.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Macro => "macro",
            Self::Micro => "micro",
            Self::Weighted => "weighted",
        }
    }

    /// The average spelled `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }

    /// The name of its F1 within a sentence.
    #[must_use]
    pub const fn f1_name(self) -> &'static str {
        match self {
            Self::Macro => "macro-F1",
            Self::Micro => "micro-F1",
            Self::Weighted => "weighted F1",
        }
    }
}

impl Target {
    /// The F1 that counts for a task with this positive class, or else this average; macro
    /// when neither is said.
    #[must_use]
    pub fn of(positive: Option<usize>, average: Option<Average>) -> Self {
        positive.map_or(Self::Average(average.unwrap_or_default()), Self::Class)
    }

    /// The positive class of a binary task.
    #[must_use]
    pub const fn positive(self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(class),
            Self::Average(_) => None,
        }
    }

    /// The average of a task with more classes.
    #[must_use]
    pub const fn average(self) -> Option<Average> {
        match self {
            Self::Class(_) => None,
            Self::Average(average) => Some(average),
        }
    }

    /// The name of the F1 within a sentence: `F1`, `macro-F1`, `micro-F1` or `weighted F1`.
    #[must_use]
    pub const fn f1_name(self) -> &'static str {
        match self {
            Self::Class(_) => "F1",
            Self::Average(average) => average.f1_name(),
        }
    }
}

impl Scores {
    /// The figures that follow from `confusion` and the mean cross-entropy `loss`.
    #[must_use]
    pub fn new(confusion: Confusion, loss: f64, target: Target) -> Self {
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
            positive: target.positive(),
            average: target.average(),
        }
    }

    /// Which F1 [`Self::f1`] is.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::of(self.positive, self.average)
    }
}

#[cfg(test)]
mod tests;
