//! What a search is made of: its plan, its budget, its rungs.

use serde::{Deserialize, Serialize};

use crate::settings::{Monitor, Settings, Value};

/// Configurations of a generation, unless the spec says otherwise.
pub const GENERATION: u32 = 8;

/// How the trials of a plan are searched: the part of `plan.json` that plans without a search of generations lack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// Configurations of a generation.
    pub generation: u32,
    /// Which trials are halted; `None`: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halving: Option<Halving>,
    /// How the plan grows while the sweep runs; `None`: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
}

/// How a plan grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Configurations in all; `None`: as many as the budget pays for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<u32>,
    /// What the search may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// A digest of all that decides which configuration comes next, but for `trials`, `budget` and the history.
    pub space: String,
    /// What other sweeps had found when this one began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Finding>,
}

/// What another sweep has found on the same data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// That sweep.
    pub sweep: String,
    /// The values of this sweep's swept settings, in the order of the spec.
    pub values: Vec<(String, Value)>,
    /// The trial's validation loss at its best epoch.
    pub loss: f64,
    /// Its F1 on validation there.
    pub f1: f64,
}

/// What a search may take. It plans no further generation once that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Epochs of all trials together.
    Epochs(u64),
    /// Seconds of wall-clock time in which the sweep runs.
    Seconds(u64),
}

/// Successive halving within each generation.
///
/// At each rung, a number of epochs, the best one of `eta` configurations goes on
/// (Jamieson and Talwalkar 2016, arXiv 1502.07943). The others are halted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halving {
    /// One of so many goes on.
    pub eta: u32,
    /// The epochs after which trials are compared, in order.
    pub rungs: Vec<usize>,
    /// What is compared.
    pub by: RungFigure,
}

/// The best configurations are run again with further seeds, once the search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// So many configurations.
    pub top: u32,
    /// Further seeds for each.
    pub repeats: u32,
    /// By what they are chosen.
    pub by: RungFigure,
    /// Seeds that each configuration has in the search: further ones are numbered from here on.
    pub after: u32,
}

impl Confirm {
    /// Configurations, or further seeds for each, at most.
    pub const MAX: u32 = 100;

    /// The numbers of the further seeds. A damaged plan asks for no more than a spec can.
    #[must_use]
    pub fn further(&self) -> std::ops::Range<u32> {
        self.after..self.after.saturating_add(self.repeats.min(Self::MAX))
    }

    /// The trials that confirm some of so many configurations, at most.
    #[must_use]
    pub fn trials_max(&self, configurations: usize) -> usize {
        let whole = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        whole(self.top).min(configurations).saturating_mul(whole(self.repeats))
    }
}

/// What a rung compares: the best figure on validation until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungFigure {
    /// The loss; lower is better.
    ValLoss,
    /// F1; higher is better.
    ValF1,
    /// The sum of the places by both.
    Both,
}

impl RungFigure {
    /// Its spelling in a spec.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValLoss => "val_loss",
            Self::ValF1 => "val_f1",
            Self::Both => "both",
        }
    }
}

impl RungFigure {
    /// The figure that is compared, turned so that a higher one is better; of both, the loss.
    #[must_use]
    pub const fn score(self, loss: f64, f1: f64) -> f64 {
        match self {
            Self::ValF1 => f1,
            Self::ValLoss | Self::Both => -loss,
        }
    }
}

impl RungFigure {
    /// What it is, in sentences.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::ValLoss => "validation loss",
            Self::ValF1 => "validation F1",
            Self::Both => "places by validation loss and F1",
        }
    }
}

impl From<Monitor> for RungFigure {
    fn from(monitor: Monitor) -> Self {
        match monitor {
            Monitor::ValLoss => Self::ValLoss,
            Monitor::ValF1 => Self::ValF1,
        }
    }
}

/// The first rung for trials of so many epochs, if the spec does not name one: a third of the epochs, since a cut after
/// the first epoch costs more than it saves (`docs/search.md`), but never before the warm-up ends.
#[must_use]
pub fn first_rung(epochs: usize, warmup_ratio: f64) -> usize {
    epochs.div_ceil(3).max(end_of_warmup(epochs, warmup_ratio))
}

/// The epochs after which the learning rate has reached its peak, rounded up.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of at most 100,000 epochs"
)]
pub fn end_of_warmup(epochs: usize, warmup_ratio: f64) -> usize {
    (epochs as f64 * warmup_ratio).ceil() as usize
}

/// The rungs from the first one on, each `eta` times the one before it, below `epochs`.
#[must_use]
pub fn rungs(epochs: usize, eta: u32, first: usize) -> Vec<usize> {
    let eta = usize::try_from(eta).unwrap_or(usize::MAX).max(2);
    let next = |rung: &usize| rung.checked_mul(eta);
    std::iter::successors(Some(first.max(1)), next).take_while(|rung| *rung < epochs).collect()
}

impl Halving {
    /// How many of a generation of `size` configurations go on at a rung.
    #[must_use]
    pub fn quota(&self, rung: usize, size: usize) -> usize {
        let left = (0..=rung).fold(size as u64, |left, _| quota(left, self.eta));
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Epochs that a generation of `size` configurations with these settings trains at most.
    #[must_use]
    pub fn epochs_max(&self, size: usize, settings: &Settings) -> u64 {
        let mut here = size as u64;
        let (mut epochs, mut before) = (0, 0);
        for rung in &self.rungs {
            epochs += here * (*rung - before) as u64;
            (here, before) = (quota(here, self.eta), *rung);
        }
        epochs + here * (settings.epochs - before) as u64
    }
}

/// How many of `count` configurations go on: one of `eta`, rounded up.
#[must_use]
pub fn quota(count: u64, eta: u32) -> u64 {
    count.div_ceil(u64::from(eta.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_whole_numbers_of_epochs_below_the_last() {
        assert_eq!(rungs(9, 3, 3), [3]);
        assert_eq!(rungs(9, 3, 1), [1, 3]);
        assert_eq!(rungs(243, 3, 1), [1, 3, 9, 27, 81]);
        assert_eq!(rungs(6, 3, 2), [2]);
        assert_eq!(rungs(6, 2, 2), [2, 4]);
        assert_eq!(rungs(2, 3, 1), [1]);
        assert_eq!(rungs(1, 3, 1), [0; 0]);
        assert_eq!(rungs(usize::MAX, u32::MAX, usize::MAX - 1), [usize::MAX - 1]);
    }

    #[test]
    fn the_first_rung_is_a_third_of_the_epochs_or_the_end_of_the_warm_up() {
        assert_eq!((first_rung(9, 0.1), first_rung(10, 0.0), first_rung(6, 0.1)), (3, 4, 2));
        assert_eq!((first_rung(9, 0.5), first_rung(3, 0.1), first_rung(2, 0.0)), (5, 1, 1));
    }

    #[test]
    fn a_generation_trains_at_most_what_its_quotas_let_on() {
        let halving = Halving { eta: 3, rungs: vec![3], by: RungFigure::ValLoss };
        let settings = Settings { epochs: 9, ..Settings::default() };
        // Eight train three epochs, three of them six more.
        assert_eq!(halving.epochs_max(8, &settings), 8 * 3 + 3 * 6);
        let halving = Halving { rungs: vec![1, 3], ..halving };
        assert_eq!(halving.epochs_max(8, &settings), 8 + 3 * 2 + 6);
    }
}
