//! How far the probabilities of a model can be believed.
//!
//! A model is calibrated if, of the predictions that it makes with a probability of p, the share p is right. Here the
//! probability of the predicted class counts. Predictions are put into ten bins of equal width; the expected
//! calibration error (ECE) is the mean distance of a bin's mean probability and its share of right predictions, over
//! documents (Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks"). Few documents have an
//! ECE above 0 even if the model is calibrated, so what chance shows is given beside it.

use super::predictions::Classified;
use crate::{
    chance::Chance,
    metrics::{Average, Confusion, Target},
    numbers::{count, count_u64},
};

/// Documents below which nothing is said.
pub const CALIBRATION_DOCUMENTS_MIN: usize = 50;
/// Bins of equal width from 0 to 1.
const BINS: usize = 10;
/// Sets of documents that are drawn of a calibrated model.
const DRAWN: usize = 400;
/// The share of them that have a lower ECE than is given.
const QUANTILE: f64 = 0.95;

/// A prediction by what counts here.
#[derive(Clone, Copy, Debug)]
struct Confidence {
    /// The probability of the predicted class, 0 to 1.
    confidence: f64,
    /// Whether that class is the document's own.
    is_right: bool,
}

/// The predictions whose probability is in a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// The lower end of the bin, which is a tenth wide.
    pub from: f64,
    /// How many there are; at least one.
    pub documents: u64,
    /// Their mean probability.
    pub confidence: f64,
    /// The share that is right.
    pub right: f64,
    /// The 95 % interval of `right`.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How far probabilities can be believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The bins that have documents, in order.
    pub bins: Vec<CalibrationBin>,
    /// Documents in all.
    pub documents: usize,
    /// The expected calibration error.
    pub ece: f64,
    /// A calibrated model with these probabilities has a lower ECE on 95 of 100 such sets of documents.
    pub by_chance: f64,
}

impl Calibration {
    /// The calibration of these predictions; `None` with fewer than [`CALIBRATION_DOCUMENTS_MIN`].
    #[must_use]
    pub fn of(predictions: &[Classified]) -> Option<Self> {
        let confidence = |each: &Classified| Confidence {
            confidence: each.probability,
            is_right: each.prediction.label == each.prediction.predicted,
        };
        Self::of_confidences(&predictions.iter().map(confidence).collect::<Vec<_>>())
    }

    fn of_confidences(predictions: &[Confidence]) -> Option<Self> {
        if predictions.len() < CALIBRATION_DOCUMENTS_MIN {
            return None;
        }
        let mut sums = [Sum::default(); BINS];
        for each in predictions {
            sums[bin(each.confidence)].add(each.confidence, each.is_right);
        }
        Some(Self {
            bins: sums.iter().enumerate().filter_map(|(at, sum)| sum.bin(at)).collect(),
            documents: predictions.len(),
            ece: ece(&sums),
            by_chance: by_chance(predictions),
        })
    }
}

/// What the predictions of a bin add up to.
#[derive(Clone, Copy, Default)]
struct Sum {
    documents: u64,
    right: u64,
    confidence: f64,
}

impl Sum {
    fn add(&mut self, confidence: f64, is_right: bool) {
        self.documents += 1;
        self.right += u64::from(is_right);
        self.confidence += confidence;
    }

    fn bin(&self, at: usize) -> Option<CalibrationBin> {
        let Self { documents, right, confidence } = *self;
        // The interval of a share of documents is that of micro-F1.
        let counts = Confusion::try_from(vec![vec![right, documents - right], vec![0, 0]]).ok()?;
        let (low, high) = counts.f1_interval(Target::Average(Average::Micro));
        (documents > 0).then(|| CalibrationBin {
            from: count(at) / count(BINS),
            documents,
            confidence: confidence / count_u64(documents),
            right: count_u64(right) / count_u64(documents),
            low,
            high,
        })
    }
}

/// The bin of a probability.
fn bin(confidence: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10")]
    let bin = (confidence.clamp(0.0, 1.0) * 10.0) as usize;
    bin.min(BINS - 1)
}

fn ece(sums: &[Sum; BINS]) -> f64 {
    let documents: u64 = sums.iter().map(|sum| sum.documents).sum();
    let distances = sums.iter().map(|sum| (sum.confidence - count_u64(sum.right)).abs());
    distances.sum::<f64>() / count_u64(documents.max(1))
}

/// The ECE below which that of a calibrated model with these probabilities is on 95 of 100 sets of documents.
fn by_chance(predictions: &[Confidence]) -> f64 {
    let mut chance = Chance::new(&["calibration"]);
    let mut drawn: Vec<f64> = (0..DRAWN)
        .map(|_| {
            let mut sums = [Sum::default(); BINS];
            for each in predictions {
                sums[bin(each.confidence)].add(each.confidence, chance.unit() < each.confidence);
            }
            ece(&sums)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = (QUANTILE * count(DRAWN)) as usize;
    drawn.get(place).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions with these probabilities, `documents` of each, of which the share `right` is right.
    fn predictions(groups: &[(f64, u32, u32)]) -> Vec<Confidence> {
        let group = |&(confidence, documents, right): &(f64, u32, u32)| {
            (0..documents).map(move |at| Confidence { confidence, is_right: at < right })
        };
        groups.iter().flat_map(group).collect()
    }

    #[test]
    fn the_error_is_the_mean_distance_over_documents() {
        // 60 documents are off by .95 − .75 = .2, and 40 by .65 − .6 = .05.
        let calibration =
            Calibration::of_confidences(&predictions(&[(0.95, 60, 45), (0.65, 40, 24)])).unwrap();
        assert!((calibration.ece - (0.6 * 0.2 + 0.4 * 0.05)).abs() < 1e-12, "{calibration:?}");
        assert_eq!(calibration.bins.len(), 2);
    }

    #[test]
    fn a_calibrated_model_is_within_what_chance_shows() {
        let calibration =
            Calibration::of_confidences(&predictions(&[(0.9, 100, 90), (0.7, 100, 70)])).unwrap();
        assert!(calibration.ece < calibration.by_chance, "{calibration:?}");
    }

    #[test]
    fn an_overconfident_model_is_beyond_what_chance_shows() {
        let calibration = Calibration::of_confidences(&predictions(&[(0.99, 400, 320)])).unwrap();
        assert!(calibration.ece > 2.0 * calibration.by_chance, "{calibration:?}");
    }

    #[test]
    fn of_few_documents_nothing_is_said() {
        assert_eq!(Calibration::of_confidences(&predictions(&[(0.9, 49, 45)])), None);
    }

    #[test]
    fn a_probability_of_one_has_a_bin() {
        assert_eq!([bin(0.0), bin(0.95), bin(1.0), bin(f64::NAN)], [0, 9, 9, 0]);
    }
}
