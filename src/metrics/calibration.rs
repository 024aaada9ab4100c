//! How far predicted probabilities can be taken at their word.

use crate::numbers::{count, count_u64};

/// Bins of equal width between 0 and 1.
const BINS: usize = 10;

/// The documents whose predicted class has a probability within a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationBin {
    /// Number of documents.
    pub documents: u64,
    /// Mean probability of the predicted class, 0 to 1; 0 without a document.
    pub confidence: f64,
    /// Share of the documents that are classified rightly; 0 without a document.
    pub accuracy: f64,
}

/// The probabilities of predicted classes beside how often these classes were right.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Ten bins of equal width, from 0 to 1.
    pub bins: Vec<CalibrationBin>,
    /// The expected calibration error: the mean over documents of the distance between the accuracy and the mean
    /// probability of their bin (Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using
    /// Bayesian binning", AAAI). 0 to 1.
    pub error: f64,
}

impl Calibration {
    /// The calibration of predictions: the probability of each predicted class, and whether that was right. A
    /// probability that is not within 0 and 1 counts at the nearest end.
    #[must_use]
    pub fn of(predictions: impl Iterator<Item = (f64, bool)>) -> Self {
        let mut sums = [(0_u64, 0.0_f64, 0_u64); BINS];
        for (probability, is_right) in predictions {
            let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
            // A probability at a border belongs to the bin below it, as in the paper.
            let is_within = |bin: &usize| probability <= count(bin + 1) / count(BINS);
            let (documents, confidence, right) = &mut sums[(0..BINS).find(is_within).unwrap_or(BINS - 1)];
            *documents += 1;
            *confidence += probability;
            *right += u64::from(is_right);
        }
        let bin = |(documents, confidence, right): (u64, f64, u64)| match documents {
            0 => CalibrationBin::default(),
            _ => CalibrationBin {
                documents,
                confidence: confidence / count_u64(documents),
                accuracy: count_u64(right) / count_u64(documents),
            },
        };
        let bins: Vec<CalibrationBin> = sums.into_iter().map(bin).collect();
        let total: u64 = bins.iter().map(|bin| bin.documents).sum();
        let distance =
            |bin: &CalibrationBin| count_u64(bin.documents) * (bin.accuracy - bin.confidence).abs();
        let error = bins.iter().map(distance).sum::<f64>() / count_u64(total.max(1));
        Self { bins, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_mean_distance_weighted_by_documents() {
        // Three documents at .95, of which two are right; one at .55, which is wrong.
        let seen = [(0.95, true), (0.95, true), (0.95, false), (0.55, false)];
        let found = Calibration::of(seen.into_iter());
        let expected = (3.0 * (0.95 - 2.0 / 3.0) + 0.55) / 4.0;
        assert!((found.error - expected).abs() < 1e-12, "{found:?}");
        assert_eq!((found.bins[9].documents, found.bins[5].documents), (3, 1));
    }

    #[test]
    fn certain_and_right_predictions_have_no_error() {
        assert_eq!(Calibration::of([(1.0, true), (1.0, true)].into_iter()).error, 0.0);
    }

    #[test]
    fn a_set_without_documents_has_no_error() {
        assert_eq!(Calibration::of(std::iter::empty()).error, 0.0);
    }

    #[test]
    fn a_probability_at_a_border_belongs_to_the_bin_below() {
        assert_eq!(Calibration::of([(0.5, true)].into_iter()).bins[4].documents, 1);
    }
}
