//! A trial: one configuration with one seed, and how it can end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    search::RungFigure,
    settings::{Settings, Value},
    system::memory::Memory,
};

/// A trial's number in its sweep, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialId(pub u32);

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// The swept settings of a trial: name and value, in the order of the spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(pub Vec<(String, Value)>);

impl Serialize for Params {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Params;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of settings")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
                let mut params = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    params.push(entry);
                }
                Ok(Params(params))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl fmt::Display for Params {
    /// `learning_rate=3e-5 dropout=0.1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// One planned trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number in the sweep.
    pub id: TrialId,
    /// The values of the swept settings.
    pub params: Params,
    /// Which of the repeats of its configuration it is, from 0.
    pub repeat: u32,
    /// The fold that it validates on, from 1, while it trains on all others; `None` without folds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<u32>,
    /// Seeds initialisation, data order and dropout; a function of the spec's seed, `params`, `repeat` and `fold`.
    pub seed: u64,
    /// Every setting, the swept ones included.
    pub settings: Settings,
    /// Where its configuration comes from, in a search of generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Why its configuration is run again with this seed, once the search is over; `None`: it is part of the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirms: Option<Confirmation>,
}

/// Why a configuration is run again with further seeds: it is one of the best of the search, by validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The first trial of the configuration.
    pub trial: TrialId,
    /// The place of the configuration, from 1.
    pub place: u32,
    /// Configurations that were compared.
    pub of: u32,
    /// By what they were compared.
    pub by: RungFigure,
    /// The configuration's validation loss: the mean over its trials of the search.
    pub loss: f64,
    /// As above, of F1.
    pub f1: f64,
    /// The trials that these are the mean of.
    pub seeds: u32,
}

impl Trial {
    /// Whether it is the first trial of its configuration.
    #[must_use]
    pub fn is_first_of_configuration(&self) -> bool {
        self.repeat == 0 && self.fold.is_none_or(|fold| fold == 1)
    }

    /// What tells it from other trials: `learning_rate=3e-5 fold=2`.
    #[must_use]
    pub fn described(&self) -> String {
        let fold = self.fold.map_or_else(String::new, |fold| format!("fold={fold}"));
        let params = self.params.to_string();
        let space = if params.is_empty() || fold.is_empty() { "" } else { " " };
        format!("{params}{space}{fold}")
    }
}

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Its generation, from 0.
    pub generation: u32,
    /// How its values were found.
    pub source: ConfigurationSource,
}

/// How the values of a configuration were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigurationSource {
    /// The spec lists it under `[[search.enqueue]]`.
    Enqueued,
    /// A cell of the grid.
    Grid,
    /// Every number was drawn by itself.
    Random {
        /// The number of the draw, from 0.
        draw: u32,
    },
    /// A point of a scrambled Sobol sequence.
    Sobol {
        /// The number of the point, from 0.
        draw: u32,
    },
    /// Proposed by a tree-structured Parzen estimator.
    Tpe {
        /// The number of the proposal, from 0.
        draw: u32,
        /// Generations whose results it rests on: those before this one.
        generations: u32,
        /// Configurations among them that it took for good ones.
        good: usize,
        /// The other configurations that it knew.
        others: usize,
    },
}

/// A trial of this sweep or of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialRef {
    /// The other trial's sweep, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<String>,
    /// The other trial.
    pub trial: TrialId,
}

impl fmt::Display for TrialRef {
    /// `0003`, `other-sweep/0003`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sweep {
            Some(sweep) => write!(f, "{sweep}/{}", self.trial),
            None => self.trial.fmt(f),
        }
    }
}

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started, or to be started again.
    Waiting,
    /// A worker has it.
    Running,
    /// It has come to a rung and waits for those that it is compared with.
    Paused,
    /// Others were better at a rung: it does not go on. It was never measured on the test set.
    Halted,
    /// Trained and measured.
    Complete,
    /// Given up.
    Failed,
}

impl State {
    /// The word for it in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

/// Why an attempt at a trial failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The worker process could not be started.
    Spawn,
    /// The worker exited with this code.
    Exit(i32),
    /// The worker was killed by this signal.
    Signal(i32),
    /// The worker did not report ready in time.
    StartupTimeout,
    /// The attempt took longer than its limit.
    TimeLimit,
    /// The worker sent nothing for too long.
    Stalled,
    /// The worker sent something that is not in the protocol.
    Protocol,
    /// Memory ran out.
    OutOfMemory(Memory),
    /// The training loss stopped being finite at this step.
    NonFinite {
        /// Optimiser step, from 1.
        step: u64,
    },
    /// The data could not be read or used.
    Data,
    /// The checkpoint could not be read or does not fit.
    Checkpoint,
    /// A file could not be written.
    Disk,
    /// The disk is full. The trial waits until it is not; no attempt counts as failed for it.
    DiskFull,
    /// The machine had no process, thread or open file to spare. The slot rests; no attempt counts as
    /// failed for it.
    Shortage,
    /// An entry of the cache changed, or lost pages, while the trial used it. The trial is tried again, in the
    /// end without the cache; no attempt counts as failed for it.
    Cache,
    /// The GPU cannot be used any more, at least not by this process. No attempt counts as failed for it; a GPU that
    /// does it again is set aside.
    DeviceLost,
    /// The worker's machine, or its job in a cluster, is gone or silent. The trial goes on elsewhere from its latest
    /// checkpoint, as often as this is not about the trial.
    WorkerLost,
    /// A bug: the worker panicked.
    Panic,
}

impl FailureKind {
    /// Whether nothing but the trial itself can be the cause, so that other trials of the same process may go on.
    #[must_use]
    pub const fn is_of_trial_alone(&self) -> bool {
        matches!(self, Self::NonFinite { .. })
    }

    /// Its name in the log and in `[run.retries]`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Exit(_) => "exit",
            Self::Signal(_) => "signal",
            Self::StartupTimeout => "startup_timeout",
            Self::TimeLimit => "time_limit",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::OutOfMemory(_) => "out_of_memory",
            Self::NonFinite { .. } => "non_finite",
            Self::Data => "data",
            Self::Checkpoint => "checkpoint",
            Self::Disk => "disk",
            Self::DiskFull => "disk_full",
            Self::Shortage => "shortage",
            Self::Cache => "cache",
            Self::DeviceLost => "device_lost",
            Self::WorkerLost => "worker_lost",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn => f.write_str("worker not started"),
            Self::Exit(code) => write!(f, "worker exited with code {code}"),
            Self::Signal(signal) => write!(f, "worker killed by signal {signal}"),
            Self::StartupTimeout => f.write_str("worker not ready in time"),
            Self::TimeLimit => f.write_str("attempt over its time limit"),
            Self::Stalled => f.write_str("worker stalled"),
            Self::Protocol => f.write_str("worker broke the protocol"),
            Self::OutOfMemory(Memory::Host) => f.write_str("out of memory"),
            Self::OutOfMemory(Memory::Gpu) => f.write_str("out of GPU memory"),
            Self::NonFinite { step } => write!(f, "loss not finite at step {step}"),
            Self::Data => f.write_str("data unusable"),
            Self::Checkpoint => f.write_str("checkpoint unusable"),
            Self::Disk => f.write_str("file not written"),
            Self::DiskFull => f.write_str("disk full"),
            Self::Shortage => f.write_str("no process or open file to spare"),
            Self::Cache => f.write_str("cache entry changed"),
            Self::DeviceLost => f.write_str("GPU lost"),
            Self::WorkerLost => f.write_str("worker lost"),
            Self::Panic => f.write_str("worker panicked"),
        }
    }
}

/// A failed attempt: its kind, and the message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// The details, on one line.
    pub message: String,
}
