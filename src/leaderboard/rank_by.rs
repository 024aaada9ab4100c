//! The figures by which trials can be ranked.

use std::cmp::Ordering;

use super::verdict::{self, Verdict};
use crate::{study::TrialRecord, trial::State};

/// The figure that ranks trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankBy {
    /// Test F1, higher is better.
    #[default]
    TestF1,
    /// Validation F1 of the best parameters, higher is better.
    ValF1,
    /// Validation loss of the best parameters, lower is better.
    ValLoss,
}

impl RankBy {
    /// Every spelling, in the order of the variants.
    pub const NAMES: &'static [&'static str] = &["test-f1", "val-f1", "val-loss"];

    /// The spelling on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TestF1 => "test-f1",
            Self::ValF1 => "val-f1",
            Self::ValLoss => "val-loss",
        }
    }

    /// The variant spelled `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::TestF1, Self::ValF1, Self::ValLoss].into_iter().find(|each| each.as_str() == text)
    }

    /// The figure's name in sentences.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::TestF1 => "test F1",
            Self::ValF1 => "validation F1",
            Self::ValLoss => "validation loss",
        }
    }

    /// Where a trial stands among the others by this figure.
    ///
    /// `None` unless the trial is complete and its figure is finite.
    pub(crate) fn standing(self, record: &TrialRecord) -> Option<Standing> {
        let key = self.key(record)?;
        Some(Standing { is_last: verdict::judge(record).is_some_and(Verdict::is_unfit), key })
    }

    /// The sort key of a trial, where the best trial has the lowest key.
    ///
    /// `None` unless the trial is complete and its figure is finite.
    fn key(self, record: &TrialRecord) -> Option<f64> {
        let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete)?;
        let key = match self {
            Self::TestF1 => -outcome.test.f1,
            Self::ValF1 => -outcome.validation.f1,
            Self::ValLoss => outcome.validation.loss,
        };
        key.is_finite().then_some(key)
    }
}

/// Where a trial stands among others; the best trial has the least standing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Whether the trial is unfit for use by its verdict. It then stands behind all other trials.
    pub(crate) is_last: bool,
    /// The sort key: the lower the better.
    pub(crate) key: f64,
}

impl Standing {
    /// Compares two standings; the better one is less.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        self.is_last.cmp(&other.is_last).then(self.key.total_cmp(&other.key))
    }
}
