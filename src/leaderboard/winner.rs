//! What is known of the choice of a leader: what it does to the test F1, and what validation would have chosen.

use serde::Serialize;

use crate::trial::TrialId;

/// The set whose figures have chosen the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The test set, whose figures of the leader are therefore too good on average.
    Test,
    /// The validation set: the leader's test figures are those of any trial.
    Validation,
}

impl ChosenBy {
    /// The spelling in files.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
        }
    }
}

/// How the leader was chosen among several trials, and what follows for its test F1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Winner {
    /// The set that has chosen it.
    pub chosen_by: ChosenBy,
    /// By how much the test F1 of such a winner is too high on average, from 0 to 1. `None` where validation has chosen
    /// it, and where no trial could be compared with it.
    pub optimism: Option<f64>,
    /// Whether `optimism` is a lower bound, because there are too few documents to tell it within 0.3 points; `None`
    /// likewise.
    pub optimism_is_bound: Option<bool>,
    /// How likely it is truly the best of the trials that were compared, from 0 to 1; `None` likewise.
    pub chance_best: Option<f64>,
    /// Number of trials that may be the best, the leader included; `None` likewise.
    pub candidates: Option<usize>,
    /// The trial that validation F1 chooses.
    pub validation_choice: Option<ValidationChoice>,
}

/// The trial that validation F1 chooses, with its test F1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "named and described as in `TestFigures`")]
pub struct ValidationChoice {
    pub trial: TrialId,
    pub f1: f64,
    pub f1_low: f64,
    pub f1_high: f64,
}
