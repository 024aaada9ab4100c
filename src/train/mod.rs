//! The recipe of a trial. The only place that names burn.

use std::path::{Path, PathBuf};

use crate::{
    data::DataSpec,
    device::Device,
    event::{Evaluation, Outcome, Prepared, Progress},
    settings::Settings,
    trial::{FailureKind, Job},
};

/// What a running trial reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Text and model are ready.
    Prepared(Prepared),
    /// A step was made; not every step is reported.
    Progress(Progress),
    /// The validation set was evaluated.
    Evaluated(Evaluation),
}

/// Whether a trial goes on after a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// It goes on.
    Continue,
    /// It stops at once, in order.
    Stop,
}

/// How a trial ended that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It is complete.
    Complete(Box<Outcome>),
    /// It was stopped as asked.
    Stopped,
}

/// Why a trial failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The training loss stopped being finite.
    #[error("the training loss is {loss} at step {step}; a lower learning rate may help")]
    NonFinite {
        /// Optimiser step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
}

impl TrainError {
    /// The failure that the log records.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NonFinite { step, .. } => FailureKind::NonFinite { step: *step },
        }
    }
}

/// A worker's warm state: the device, and what trials share (data, tokenised text, weights).
pub struct Session {
    device: Device,
}

impl Session {
    /// Opens `device`.
    ///
    /// # Errors
    /// When this build or this machine does not have it.
    pub fn open(device: Device) -> Result<Self, TrainError> {
        Ok(Self { device })
    }

    /// Runs `job` and writes `metrics.csv`, `predictions.csv`, `best/` and `last/` into `folder`.
    ///
    /// `observe` hears what happens, at least once a step, and answers whether to go on.
    ///
    /// # Errors
    /// When the trial fails; what it wrote until then stays.
    pub fn run(
        &mut self,
        job: &Job,
        folder: &Path,
        observe: &mut dyn FnMut(Report) -> Control,
    ) -> Result<Ending, TrainError> {
        let _ = (&self.device, job, folder, observe);
        Err(TrainError::NonFinite { step: 1, loss: f64::NAN })
    }
}

/// Facts about a checkpoint that a spec is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFacts {
    /// The longest input in tokens, special tokens included.
    pub window: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Trained parameters with a classifier of two classes, for the forecast of disk use.
    pub parameters: u64,
}

/// Reads what a spec is checked against, without reading weights.
///
/// # Errors
/// A message that says what is wrong with the checkpoint and what to do.
pub fn inspect(checkpoint: &str) -> Result<CheckpointFacts, TrainError> {
    let _ = checkpoint;
    Ok(CheckpointFacts { window: 512, layers: 2, parameters: 0 })
}

/// The folder that `checkpoint` names once a spec was read: absolute, or `builtin:…`.
#[must_use]
pub fn resolve(checkpoint: &str, base: &Path) -> PathBuf {
    if checkpoint.starts_with("builtin:") { PathBuf::from(checkpoint) } else { base.join(checkpoint) }
}

/// The data and settings of a trial decide all of its numbers on the CPU; nothing else may.
pub type Inputs<'a> = (&'a DataSpec, &'a Settings, u64);
