//! Confusion counts and the figures that follow from them: plain numbers, no tensors.
//!
//! Every figure is computed from whole-set counts, never averaged over batches.
//! A ratio whose denominator is 0 is 0 (as scikit-learn's `zero_division=0`): a
//! class that is never predicted has precision 0, a class that never occurs has
//! recall 0, and F1 is 0 when precision and recall are.
//!
//! Averages are scikit-learn's with all classes of the task as its `labels`: a class
//! that a set does not show counts in the macro mean, with 0.

mod class_counts;
mod informedness;
mod interval;
mod target;

use serde::{Deserialize, Serialize};

pub use self::{
    class_counts::ClassCounts,
    target::{Average, Target},
};

use crate::numbers::count_u64;

/// Documents that a confusion can count: below 2^53 every count is exact as an `f64`, and no sum overflows.
const DOCUMENTS_MAX: u64 = 1 << 53;

/// Counts of true against predicted class; row: true, column: predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u64>>", into = "Vec<Vec<u64>>")]
pub struct Confusion {
    /// One row for each class, with one count for each class; all counts sum to less than [`DOCUMENTS_MAX`].
    rows: Vec<Vec<u64>>,
}

/// Why rows of counts are not a confusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoConfusion {
    /// A row has more or fewer counts than there are rows.
    #[error("the confusion is not square")]
    NotSquare,
    /// More documents than any set has.
    #[error("the confusion counts more than {DOCUMENTS_MAX} documents")]
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
            Some(total) if total < DOCUMENTS_MAX => Ok(Self { rows }),
            _ => Err(NoConfusion::TooMany),
        }
    }
}

impl From<Confusion> for Vec<Vec<u64>> {
    fn from(confusion: Confusion) -> Self {
        confusion.rows
    }
}

/// Precision, recall and F1 of one class, or an average of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecallF1 {
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
    /// The positive class's in a binary task, otherwise the average's.
    pub precision: f64,
    /// Of the same class or average as `precision`.
    pub recall: f64,
    /// Of the same class or average as `precision`.
    pub f1: f64,
    /// Lower end of the 95 % interval of `f1`.
    pub f1_low: f64,
    /// Upper end of the 95 % interval of `f1`.
    pub f1_high: f64,
    /// The counts that all figures but the loss follow from; row: true, column: predicted.
    pub confusion: Confusion,
    /// The positive class in a binary task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<usize>,
    /// The average that `precision`, `recall` and `f1` are; `None` with a positive class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
}

/// `numerator` / `denominator`; 0 when the denominator is 0, as scikit-learn's `zero_division=0`.
fn ratio(numerator: u64, denominator: u64) -> f64 {
    if denominator == 0 { 0.0 } else { count_u64(numerator) / count_u64(denominator) }
}

impl Confusion {
    /// The confusion of `classes` classes without any document.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { rows: vec![vec![0; classes]; classes] }
    }

    /// Counts one document of the class `truth` that was classified as `predicted`.
    ///
    /// # Panics
    /// When a class is not below the number of classes.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.rows[truth][predicted] += 1;
    }

    /// Adds the documents of `other`, which are others of the same classes.
    pub fn join(&mut self, other: &Self) {
        for (row, other) in self.rows.iter_mut().zip(&other.rows) {
            row.iter_mut().zip(other).for_each(|(count, other)| *count += other);
        }
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

    /// Number of documents of `class`: its support.
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

    /// Precision, recall and F1 of `target`.
    #[must_use]
    pub fn rates(&self, target: Target) -> PrecisionRecallF1 {
        match target {
            Target::Class(class) => {
                let (hit, false_hit, miss) =
                    (self.true_positives(class), self.false_positives(class), self.false_negatives(class));
                PrecisionRecallF1 {
                    precision: ratio(hit, hit + false_hit),
                    recall: ratio(hit, hit + miss),
                    f1: ratio(2 * hit, 2 * hit + false_hit + miss),
                }
            }
            Target::Average(Average::Micro) => {
                // Every error is one class's false positive and another's false negative.
                let accuracy = self.accuracy();
                PrecisionRecallF1 { precision: accuracy, recall: accuracy, f1: accuracy }
            }
            Target::Average(Average::Macro) => self.mean(|_| 1),
            Target::Average(Average::Weighted) => self.mean(|class| self.support(class)),
        }
    }

    /// The mean of the classes' rates with these weights; 0 when all weights are 0.
    fn mean(&self, weight: impl Fn(usize) -> u64) -> PrecisionRecallF1 {
        let mut sum = PrecisionRecallF1 { precision: 0.0, recall: 0.0, f1: 0.0 };
        let mut weights = 0;
        for class in 0..self.classes() {
            let (rates, weight) = (self.rates(Target::Class(class)), weight(class));
            sum.precision += rates.precision * count_u64(weight);
            sum.recall += rates.recall * count_u64(weight);
            sum.f1 += rates.f1 * count_u64(weight);
            weights += weight;
        }
        let weights = count_u64(weights.max(1));
        PrecisionRecallF1 {
            precision: sum.precision / weights,
            recall: sum.recall / weights,
            f1: sum.f1 / weights,
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

    /// The same figures with the interval that follows from the counts today. An older log has the interval of the
    /// program that wrote it.
    #[must_use]
    pub fn with_interval_of_today(self) -> Self {
        // What was read may name a class that the counts do not have.
        if self.positive.is_some_and(|class| class >= self.confusion.classes()) {
            return self;
        }
        let (f1_low, f1_high) = self.confusion.f1_interval(self.target());
        Self { f1_low, f1_high, ..self }
    }

    /// The class or average of [`Self::f1`].
    #[must_use]
    pub fn target(&self) -> Target {
        Target::of(self.positive, self.average)
    }
}

#[cfg(test)]
mod tests;
