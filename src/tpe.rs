//! A tree-structured Parzen estimator (TPE): proposes the next configuration from those that were tried.
//!
//! The history is split into good and bad trials. A density is fitted to each, over all dimensions at once, and of
//! [`CANDIDATES`] points that are drawn from the good density l the one with the highest ln l(x) − ln g(x) is
//! proposed, g being the density of the bad ones. Under the model this is the point of the highest expected
//! improvement (Bergstra, Bardenet, Bengio and Kégl 2011, "Algorithms for Hyper-Parameter Optimization", section 4).
//! One mixture over all dimensions, so that the dimensions of a good trial stay together, is from Falkner, Klein and
//! Hutter 2018, "BOHB"; what each choice below is worth was measured by Watanabe 2023, "Tree-Structured Parzen
//! Estimator: Understanding Its Algorithm Components" (arXiv 2304.11127).
//!
//! The choices are those of Optuna 5.0's `TPESampler`, so that both can be compared to the last digits:
//! - of n trials that ended, ⌈n / 10⌉ are good, and at most 25 ([`split`]);
//! - complete trials are good by their score, the earlier one first among equals. If they are fewer than that, halted
//!   trials follow: those that came furthest first, and by their score among those. A trial that still runs counts
//!   among the bad ones, so that the next proposal lies elsewhere; one that failed does not count at all;
//! - the densities are as `parzen.rs` says.
//!
//! It differs from Optuna in where random numbers come from, and where equal values of a dimension are sorted for
//! their bandwidths: here by the order of the trials, there as an unstable sort leaves them, which depends on
//! the processor. The tests compare both with and without that order.
//!
//! Everything is a function of its arguments. Random numbers come from the stream of a list of names, and logarithms,
//! exponentials and error functions from the `libm` crate: the same history gives the same proposal on every machine.
//! Nothing here knows of specs, plans or logs.

mod dimension;
mod normal;
mod parzen;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

pub use self::dimension::Dimension;
use self::parzen::Parzen;
use crate::chance::Chance;

/// Points that are drawn from the density of the good trials for one proposal.
pub const CANDIDATES: usize = 24;
/// Trials that ended, below which a proposal has too little to go by: Optuna draws at random until then.
pub const STARTUP: usize = 10;
/// The most good trials.
const GOOD_MAX: usize = 25;

/// A configuration that was tried or is being tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// A value for each dimension of the space.
    pub point: Vec<f64>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a configuration. Higher scores are better; a score that is no number is below every other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It ran to its end.
    Complete {
        /// What it reached.
        score: f64,
    },
    /// It was stopped for the sake of others.
    Halted {
        /// The last epoch that it was judged by; 0 if none.
        epoch: u32,
        /// What it had reached then.
        score: f64,
    },
    /// It has not ended yet.
    Running,
    /// It came to nothing: no reason to look elsewhere, since machines fail too.
    Failed,
}

impl Outcome {
    /// Whether it has ended with a score.
    const fn is_scored(self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Halted { .. })
    }
}

/// The good and the bad trials of a history: places in it, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The good ones.
    pub good: Vec<usize>,
    /// The others, without those that failed.
    pub bad: Vec<usize>,
}

/// Divides `history` into good and bad trials.
#[must_use]
pub fn split(history: &[Observation]) -> Split {
    let scored = history.iter().filter(|trial| trial.outcome.is_scored()).count();
    let mut order: Vec<usize> =
        (0..history.len()).filter(|at| history[*at].outcome != Outcome::Failed).collect();
    // A stable sort: the earlier one first among equals.
    order.sort_by(|one, other| better(history[*one].outcome, history[*other].outcome));
    let mut good = order;
    let mut bad = good.split_off(scored.div_ceil(10).min(GOOD_MAX));
    good.sort_unstable();
    bad.sort_unstable();
    Split { good, bad }
}

/// The better outcome first: complete before halted before running, and each by what it reached.
fn better(one: Outcome, other: Outcome) -> Ordering {
    let rank = |outcome| match outcome {
        Outcome::Complete { score } => (0, 0, score),
        Outcome::Halted { epoch, score } => (1, epoch, score),
        Outcome::Running => (2, 0, 0.0),
        Outcome::Failed => (3, 0, 0.0),
    };
    let key = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
    let ((state, epoch, score), (other_state, other_epoch, other_score)) = (rank(one), rank(other));
    let by_score = || key(other_score).total_cmp(&key(score));
    state.cmp(&other_state).then(other_epoch.cmp(&epoch)).then_with(by_score)
}

/// The densities of good and bad trials.
#[derive(Debug)]
pub struct Densities {
    good: Parzen,
    bad: Parzen,
}

impl Densities {
    /// Fits the densities to `history`. A trial whose point is not in `space` is left out.
    #[must_use]
    pub fn new(space: &[Dimension], history: &[Observation]) -> Self {
        let is_in = |trial: &&Observation| {
            trial.point.len() == space.len()
                && space.iter().zip(&trial.point).all(|(dimension, value)| dimension.has(*value))
        };
        let history: Vec<Observation> = history.iter().filter(is_in).cloned().collect();
        let split = split(&history);
        let fit = |places: &[usize]| {
            let points: Vec<&[f64]> = places.iter().map(|at| &*history[*at].point).collect();
            Parzen::new(space, &points)
        };
        Self { good: fit(&split.good), bad: fit(&split.bad) }
    }

    /// ln l(x), up to the logarithm of x on logarithmic scales, as in Optuna: it is the same for both densities.
    #[must_use]
    pub fn log_good(&self, point: &[f64]) -> f64 {
        self.good.log_density(point)
    }

    /// ln g(x), likewise.
    #[must_use]
    pub fn log_bad(&self, point: &[f64]) -> f64 {
        self.bad.log_density(point)
    }

    /// How promising a point is: ln l(x) − ln g(x).
    #[must_use]
    pub fn acquisition(&self, point: &[f64]) -> f64 {
        self.log_good(point) - self.log_bad(point)
    }
}

/// Proposes points of `space`, the most promising one first: [`CANDIDATES`] of them, drawn from the stream of `names`.
///
/// The first is the proposal. The others are for a caller that has had it before, as may happen when its numbers are
/// rounded. A trial whose point is not in `space` is left out. Fewer than [`STARTUP`] trials that ended say little.
#[must_use]
pub fn propose(space: &[Dimension], history: &[Observation], names: &[&str]) -> Vec<Vec<f64>> {
    let densities = Densities::new(space, history);
    let mut chance = Chance::new(names);
    let mut candidates: Vec<(f64, Vec<f64>)> = (0..CANDIDATES)
        .map(|_| {
            let point = densities.good.draw(&mut chance);
            (densities.acquisition(&point), point)
        })
        .collect();
    // A stable sort: the one that was drawn first among equals.
    candidates.sort_by(|one, other| other.0.total_cmp(&one.0));
    candidates.into_iter().map(|(_, point)| point).collect()
}
