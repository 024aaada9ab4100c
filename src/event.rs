//! What happens in a sweep, as the log (`events.jsonl`) says it.

use serde::{Deserialize, Serialize};

use crate::{
    fingerprint::FileDigest,
    metrics::Scores,
    search::RungFigure,
    system::device::Device,
    trial::{Failure, Trial, TrialId, TrialRef},
};

/// The version of the log's records. A reader understands every version up to its own, and refuses
/// a later one.
pub const LOG_VERSION: u32 = 6;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`LOG_VERSION`] of the writer.
    pub v: u32,
    /// Position in the log, from 1, without gaps.
    pub seq: u64,
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// The trial that the event is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialId>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[expect(clippy::large_enum_variant, reason = "events are few, and each lives for a moment")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `sweep run` began, for the first time or again.
    SweepStarted {
        /// Version of the program.
        version: String,
        /// The device slots.
        devices: Vec<Device>,
        /// Planned trials.
        trials: u32,
        /// What decides the last bits of numbers; see `machine::arithmetic`. Older logs lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arithmetic: Option<String>,
        /// What a reader of the figures must know about the data: the notes of the plan. Older logs lack
        /// them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The plan has grown by this trial. Trials that were planned before the run stand in `plan.json`
    /// alone.
    TrialPlanned(Box<Trial>),
    /// A trial was given to a worker.
    Started {
        /// From 1; a retry or a run after an interruption is the next one.
        attempt: u32,
        /// Where.
        device: Device,
        /// The largest number of examples in one forward and backward pass, where memory ran out with more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        micro_batch: Option<usize>,
        /// Whether nothing else runs on the device, since memory ran out beside other trials.
        #[serde(default, skip_serializing_if = "is_false")]
        alone: bool,
        /// The other trials that are trained together with it, as one model.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        with: Vec<TrialId>,
        /// The worker of a cluster that has it; `None`: a process of the orchestrator's own machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker: Option<Box<RemotePlace>>,
    },
    /// Text and model are ready, training begins.
    Prepared(Prepared),
    /// An evaluation on the validation set. A resumed attempt reports the evaluations of earlier attempts
    /// again.
    Evaluated(Evaluation),
    /// The attempt resumes from a checkpoint of an earlier attempt, or starts from another trial's final
    /// checkpoint.
    Resumed {
        /// Optimiser steps done.
        step: u64,
        /// Epochs done, with a fraction.
        epoch: f64,
        /// The trial that made the first steps, if it is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<TrialRef>,
    },
    /// A checkpoint is damaged; an older one, or none, is used instead.
    CheckpointDamaged {
        /// Which, why, and what follows; on one line.
        message: String,
    },
    /// The trial is complete.
    Finished(Outcome),
    /// An attempt failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether the trial will be tried again by itself.
        retry: bool,
    },
    /// The attempt was stopped because the user asked for it; the trial waits for the next run.
    Interrupted,
    /// The trial has come to a rung, with its checkpoint written, and waits for a decision.
    Paused {
        /// The rung's epochs.
        epoch: usize,
    },
    /// The trial is among the best of its generation at a rung, and goes on from its checkpoint.
    Promoted(RungDecision),
    /// Too many of its generation are better at a rung: the trial does not go on.
    Halted(RungDecision),
    /// The user wants this halted trial to go on to its end.
    Continued,
    /// The search plans no further trial.
    SearchEnded {
        /// Why: a whole sentence without a full stop.
        why: String,
    },
    /// The parameters of this complete trial are removed, as the sweep's `keep` says. Version 1 of the
    /// log called it `pruned`, which in this field means a trial that was stopped early.
    #[serde(alias = "pruned")]
    ParametersRemoved,
    /// `sweep run` ended: nothing is left to do, or it was interrupted.
    SweepEnded {
        /// Whether it was interrupted.
        interrupted: bool,
    },
}

/// Where a worker of a cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemotePlace {
    /// The name of its machine.
    pub host: String,
    /// The number of its Slurm job, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// What decides the last bits of numbers there, as in [`Event::SweepStarted`].
    pub arithmetic: String,
}

impl Event {
    /// Whether it changes the state of a trial or of the sweep. Such a record is synced to the disk. All
    /// other records describe the progress of a running trial, which a resumed attempt reports again.
    #[must_use]
    pub const fn is_state_change(&self) -> bool {
        match self {
            Self::SweepStarted { .. }
            | Self::TrialPlanned(_)
            | Self::Started { .. }
            | Self::Finished(_)
            | Self::Failed { .. }
            | Self::Interrupted
            | Self::Paused { .. }
            | Self::Promoted(_)
            | Self::Halted(_)
            | Self::Continued
            | Self::SearchEnded { .. }
            | Self::ParametersRemoved
            | Self::SweepEnded { .. } => true,
            Self::Prepared(_)
            | Self::Evaluated(_)
            | Self::Resumed { .. }
            | Self::CheckpointDamaged { .. } => false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(truth: &bool) -> bool {
    !truth
}

/// What was decided about a trial at a rung, and from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungDecision {
    /// The rung, from 0.
    pub rung: usize,
    /// Its epochs.
    pub epoch: usize,
    /// What was compared.
    pub by: RungFigure,
    /// The configuration's best figures until then; the mean over its repeats.
    pub loss: f64,
    /// As above, of F1.
    pub f1: f64,
    /// The first trials of those configurations that were known to be better.
    pub beaten_by: Vec<TrialId>,
    /// Configurations that go on.
    pub quota: usize,
    /// Configurations of the generation.
    pub configurations: usize,
    /// The trials of the generation. With other members it is decided again.
    pub members: Vec<TrialId>,
}

/// What a trial trains on and with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Documents of the training set.
    pub train_documents: usize,
    /// Chunks of the training set.
    pub train_chunks: usize,
    /// Documents of the validation set.
    pub validation_documents: usize,
    /// Documents of the test set.
    pub test_documents: usize,
    /// Training documents longer than the chunk length; with folds, of all folds together.
    pub long_documents: usize,
    /// Training documents dropped since their text stands in validation or test too.
    pub duplicates_dropped: usize,
    /// Share of unknown tokens in the training set, 0 to 1; with folds, of all folds together.
    pub unknown_share: f64,
    /// Parameters of the model that learn.
    pub parameters: usize,
    /// Optimiser steps planned.
    pub steps: u64,
    /// Wall-clock seconds that preparing took.
    pub seconds: f64,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Epochs trained so far; a fraction when evaluating within an epoch.
    pub epoch: f64,
    /// Optimiser steps so far.
    pub step: u64,
    /// Mean training loss (with dropout) since the evaluation before.
    pub train_loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// On the validation set.
    pub validation: Scores,
    /// Whether this is the best evaluation so far, by the figure whose best epoch is kept.
    pub best: bool,
    /// Wall-clock seconds of training and evaluation so far, over all attempts, including those of the
    /// trial whose final checkpoint it started from. While trials are trained together, each of them counts its
    /// share of a second.
    pub seconds: f64,
}

/// How a complete trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Epoch of the best parameters; a fraction when evaluating within an epoch.
    pub best_epoch: f64,
    /// Step of the best parameters.
    pub best_step: u64,
    /// Epochs trained.
    pub epochs_run: f64,
    /// Whether early stopping ended it before its last epoch.
    pub stopped_early: bool,
    /// Training loss at the best evaluation.
    pub train_loss: f64,
    /// On the validation set, with the best parameters.
    pub validation: Scores,
    /// On the test set, with the best parameters, measured once.
    pub test: Scores,
    /// On training documents, with the best parameters. Older logs lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingSample>,
    /// Wall-clock seconds over all attempts, without those of the trial whose final checkpoint it started
    /// from.
    pub seconds: f64,
    /// The files of the result, as they were written. Older logs lack them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<ResultFiles>,
}

/// What a trial's best parameters are worth on documents that it has learnt from, without dropout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSample {
    /// Training documents, spread evenly over the training set: the same ones for all trials.
    pub documents: u64,
    /// What the predictions for them are worth.
    pub scores: Scores,
}

/// The files that are a complete trial's result, as they were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultFiles {
    /// `best/model.safetensors`.
    pub best: FileDigest,
    /// `last/model.safetensors`.
    pub last: FileDigest,
    /// `metrics.csv`.
    pub metrics: FileDigest,
    /// `predictions.csv`.
    pub predictions: FileDigest,
    /// `validation.csv`, of a trial of a fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<FileDigest>,
}

/// How far a running trial is. Shown live, never logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Current epoch, from 1.
    pub epoch: usize,
    /// Epochs planned.
    pub epochs: usize,
    /// Optimiser steps done.
    pub step: u64,
    /// Optimiser steps planned.
    pub steps: u64,
    /// Running mean of the training loss since the last evaluation.
    pub train_loss: f64,
}
