//! Which training a checkpoint belongs to, and how far that training has come.

use serde::{Deserialize, Serialize};

use crate::{
    event::Evaluation, settings::Settings, train::learning::early_stopping::Standing, trial::TrialId,
};

/// Identifies the training that a checkpoint belongs to. Another training does not use the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingIdentity {
    /// Every setting, but without the path of the pretrained checkpoint.
    pub(crate) settings: Settings,
    /// The trial's seed.
    pub(crate) seed: u64,
    /// Number of classes.
    pub(crate) classes: usize,
    /// Digest of the tokenised data.
    pub(crate) corpus: String,
}

impl TrainingIdentity {
    /// Whether every checkpoint of this training is, to the bit, one that the training `longer` would have written at
    /// the same step.
    pub(super) fn begins(&self, longer: &Self) -> bool {
        let settings = longer.settings.clone();
        self.settings.is_prefix_of(&settings) && Self { settings, ..self.clone() } == *longer
    }
}

/// How far a training has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Optimiser steps done. It is also the number of the next step, counted from 0.
    pub(crate) step: u64,
    /// The epoch of the next step, from 0.
    pub(crate) epoch: u64,
    /// The batch of the next step in its epoch, from 0.
    pub(crate) batch: u64,
    /// Whether training is over, so that only the evaluation on the test set is left.
    pub(crate) over: bool,
    /// Updates that the moments have had.
    pub(crate) updates: i32,
    /// The state of early stopping.
    pub(crate) stopping: Standing,
    /// The training loss since the last evaluation: the bits of its sum, and the number of its documents.
    pub(crate) loss: (u64, usize),
    /// Every evaluation so far.
    pub(crate) evaluations: Vec<Evaluation>,
    /// Wall-clock seconds so far, over all attempts.
    pub(crate) seconds: f64,
    /// The trial whose final checkpoint this training started from, if there is one.
    #[serde(default, alias = "origin", skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<Prefix>,
    /// Whether some step was computed in smaller micro-batches than planned, because memory had run out.
    #[serde(default)]
    pub(crate) is_cut: bool,
}

impl Position {
    /// Whether a checkpoint at this position may have best parameters, or none, as `has_best` says: a training has
    /// best parameters from its first evaluation on.
    pub(super) fn agrees_with(&self, has_best: bool) -> bool {
        let was_best = self.evaluations.iter().any(|evaluation| evaluation.best);
        was_best == has_best && (was_best || self.evaluations.is_empty())
    }
}

/// The trial that made the first steps of this training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prefix {
    /// The other trial.
    pub(crate) trial: TrialId,
    /// Wall-clock seconds that the other trial took for these steps.
    pub(crate) seconds: f64,
}
