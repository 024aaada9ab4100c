//! The messages between a worker process and the orchestrator: JSON Lines on the worker's standard
//! output and standard input.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, Outcome, Progress},
    job::Attempt,
    system::files::FolderIdentity,
    trial::{Failure, TrialId},
};

/// The version of the protocol. Orchestrator and workers are the same program, so each accepts this
/// version alone.
pub const PROTOCOL_VERSION: u32 = 6;

/// A line on a worker's standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerLine {
    /// The worker can take a trial.
    Ready {
        /// [`PROTOCOL_VERSION`] of the worker.
        v: u32,
    },
    /// The progress of the trial; shown, never logged.
    Progress(TrialId, Progress),
    /// A sign of life during long work.
    Alive(TrialId),
    /// The disk of this path is full: the trial waits until it is not.
    DiskFull(TrialId, PathBuf),
    /// The trial that waited for space continues.
    DiskFreed(TrialId),
    /// Something to be logged: `prepared`, `evaluated`, `resumed`, `checkpoint_damaged`.
    Event(TrialId, Event),
    /// Bytes of GPU memory that the worker has at the end of this trial, its first: what others like it will take.
    GpuMemory(TrialId, u64),
    /// The trial is complete; the worker can take the next one.
    Finished(TrialId, Outcome),
    /// The trial failed. The worker leaves after this line, unless it trains others together with the trial
    /// and the failure [is the trial's alone](crate::trial::FailureKind::is_of_trial_alone): then it goes on with those.
    Failed(TrialId, Failure),
    /// All trials that the worker trains together failed, by something of which no single trial is known to be
    /// the cause; the worker leaves after this line.
    AllFailed(Failure),
    /// The trial was stopped as asked; the worker can take the next one.
    Stopped(TrialId),
    /// The trial has paused after these epochs, as its attempt says; the worker can take the next one.
    Paused(TrialId, usize),
}

impl WorkerLine {
    /// The trial that the line is about.
    #[must_use]
    pub const fn trial(&self) -> Option<TrialId> {
        match self {
            Self::Ready { .. } | Self::AllFailed(_) => None,
            Self::Progress(trial, _)
            | Self::Alive(trial)
            | Self::DiskFull(trial, _)
            | Self::DiskFreed(trial)
            | Self::Event(trial, _)
            | Self::GpuMemory(trial, _)
            | Self::Finished(trial, _)
            | Self::Failed(trial, _)
            | Self::Paused(trial, _)
            | Self::Stopped(trial) => Some(*trial),
        }
    }
}

/// A line on a worker's standard input. The end of the input means: leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerRequest {
    /// Run these trials: several are trained together.
    Run {
        /// The trials.
        trials: Vec<Assignment>,
    },
    /// Stop this trial at the next step, or do not begin it.
    Stop(TrialId),
}

/// A trial that a worker is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The trial.
    pub trial: TrialId,
    /// The sweep's folder, an absolute path.
    pub sweep: PathBuf,
    /// Which folder that must be; any, if it is not said. A path alone may lead to another folder by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<FolderIdentity>,
    /// The trial's folder below that one; it holds `trial.json`.
    pub folder: PathBuf,
    /// How this attempt is made.
    #[serde(default)]
    pub attempt: Attempt,
}
