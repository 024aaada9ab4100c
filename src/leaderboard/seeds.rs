//! The F1 of one configuration over several seeds: mean, standard deviation, and an interval that allows for seeds and
//! test documents together.
//!
//! Seeds are measured on the same documents. Of the variance of the mean F1 of k seeds, the part that comes from documents
//! that are hard or easy for all of them does not become less with more seeds. All else, the seeds' own luck in training
//! and on single documents, shows in the standard deviation s between them: s² / k. The two margins are added as squares
//! (MOVER, Zou and Donner 2008): that of the documents is the mean margin of the trials' own intervals, times the square
//! root of the shared part of the variance; that of the seeds is t · s / √k, with Student's t of k − 1 degrees of freedom.

use serde::Serialize;

use crate::numbers::count;

/// The 97.5 % quantile of Student's t, from 1 degree of freedom on.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
/// That of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// A figure over several seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OverSeeds {
    /// The mean.
    pub mean: f64,
    /// The standard deviation between seeds; `None` with one seed.
    pub sd: Option<f64>,
    /// Lower end of the 95 % interval of the mean over all seeds and documents.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl OverSeeds {
    /// Of the F1s of one configuration, each with the ends of its own interval: F1, low, high. `shared` is the part of
    /// their variance over documents that they have in common, 0 to 1. `None` without an F1.
    ///
    /// With one seed, the interval is that of the trial: it covers the choice of documents alone.
    #[must_use]
    pub fn of(f1s: &[(f64, f64, f64)], shared: f64) -> Option<Self> {
        let number = count(f1s.len());
        let mean_of = |figure: fn(&(f64, f64, f64)) -> f64| f1s.iter().map(figure).sum::<f64>() / number;
        let mean = mean_of(|(f1, ..)| *f1);
        let sd = standard_deviation(f1s.iter().map(|(f1, ..)| *f1));
        let (below, above) = (mean_of(|(f1, low, _)| f1 - low), mean_of(|(f1, _, high)| high - f1));
        let shared = if f1s.len() > 1 { shared } else { 1.0 };
        let seeds = sd.map_or(0.0, |sd| student(f1s.len() - 1) * sd / number.sqrt());
        let margin = |documents: f64| (shared * documents * documents + seeds * seeds).sqrt();
        let (low, high) = ((mean - margin(below)).max(0.0), (mean + margin(above)).min(1.0));
        (!f1s.is_empty()).then_some(Self { mean, sd, low, high })
    }
}

/// The standard deviation of a sample; `None` with fewer than two figures.
pub(super) fn standard_deviation(figures: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let number = figures.clone().count();
    let mean = figures.clone().sum::<f64>() / count(number);
    let squares: f64 = figures.map(|figure| (figure - mean) * (figure - mean)).sum();
    (number > 1).then(|| (squares / count(number - 1)).sqrt())
}

/// The 97.5 % quantile of Student's t. Beyond the table it is an expansion whose error is below .002.
fn student(degrees: usize) -> f64 {
    let beyond = || {
        let (z, n) = (NORMAL, count(degrees));
        let third = (z.powi(3) + z) / (4.0 * n);
        z + third + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
    };
    degrees.checked_sub(1).and_then(|at| STUDENT.get(at).copied()).unwrap_or_else(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const F1S: [(f64, f64, f64); 3] = [(0.90, 0.87, 0.92), (0.91, 0.88, 0.93), (0.92, 0.89, 0.94)];

    fn rounded(seeds: OverSeeds) -> [f64; 4] {
        [seeds.mean, seeds.sd.unwrap_or(f64::NAN), seeds.low, seeds.high].map(|it| (1e4 * it).round() / 1e4)
    }

    #[test]
    fn the_margins_of_documents_and_seeds_are_added_as_squares() {
        // Documents: .03 below and .02 above. Seeds: 4.303 · .01 / √3 = .0248.
        assert_eq!(rounded(OverSeeds::of(&F1S, 1.0).unwrap()), [0.91, 0.01, 0.871, 0.9419]);
    }

    #[test]
    fn noise_that_the_seeds_do_not_share_counts_in_their_standard_deviation_alone() {
        assert_eq!(rounded(OverSeeds::of(&F1S, 0.0).unwrap()), [0.91, 0.01, 0.8852, 0.9348]);
    }

    #[test]
    fn one_seed_has_the_interval_of_its_trial_and_no_standard_deviation() {
        let one = OverSeeds::of(&F1S[..1], 0.3).unwrap();
        assert_eq!(one, OverSeeds { mean: 0.90, sd: None, low: 0.87, high: 0.92 });
    }

    #[test]
    fn no_trial_has_no_figure() {
        assert_eq!(OverSeeds::of(&[], 1.0), None);
    }

    #[test]
    fn an_interval_stays_between_0_and_1() {
        let wide = OverSeeds::of(&[(0.1, 0.05, 0.2), (0.9, 0.8, 0.95)], 1.0).unwrap();
        assert_eq!((wide.low, wide.high), (0.0, 1.0));
    }

    #[test]
    fn students_t_falls_towards_the_normal_quantile_where_the_table_ends_too() {
        let t = [10, 11, 30, 100_000].map(|degrees| (1e3 * student(degrees)).round() / 1e3);
        assert_eq!(t, [2.228, 2.199, 2.042, 1.960]);
    }
}
