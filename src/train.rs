//! The recipe of a trial. The only place that names burn.
//!
//! [`Session`] is a worker's warm state: it runs one trial after another on one
//! device and shares what they have in common (data, tokenised text, weights).
//! On the CPU a trial's numbers are a function of its [`Job`] alone.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    data::DataError,
    event::{Evaluation, Outcome, Prepared, Progress},
    fingerprint::FingerprintError,
    job::{Attempt, Job},
    settings::{Lowercase, Pooling},
    system::{device::Device, files},
    trial::{FailureKind, TrialId},
};

#[macro_use]
mod simd;

pub(crate) mod arithmetic;
mod backend;
mod checkpoint;
mod config;
mod corpora;
mod corpus;
mod early_stopping;
mod evaluate;
mod exclusive;
mod exported;
mod family;
mod frozen;
mod heads;
mod layout;
mod masks;
mod mini;
mod model;
mod ops;
mod optimizer;
mod outputs;
#[cfg(all(test, feature = "flex"))]
mod parity_tests;
mod predictor;
mod recipe;
mod schedule;
mod state;
mod text;
mod tokenizer;
mod unchanged;
mod weights;

pub use checkpoint::{Catalog, CheckpointError, PickleError};
pub use config::{ConfigError, EncoderConfig};
pub use exported::{Exported, ExportedError};
pub use family::Family;
pub use layout::Misfit;
pub(crate) use layout::listed;
#[doc(hidden)]
pub use state::probe_state;
pub use text::{Chunked, Chunking, TextEncoder, TextError};
pub use tokenizer::{tokenizer_config, tokenizer_json};
pub use weights::{Precision, Weights, WeightsError};

/// What a running trial reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Text and model are ready.
    Prepared(Prepared),
    /// A step was made.
    Progress(Progress),
    /// The validation set was evaluated. A resumed trial tells again what it had evaluated before.
    Evaluated(Evaluation),
    /// The trial goes on from a checkpoint.
    Resumed {
        /// Optimiser steps done.
        step: u64,
        /// Epochs done, with a fraction.
        epoch: f64,
        /// The trial that it shares its beginning with, if it went on from where that one ended.
        from: Option<TrialId>,
    },
    /// A checkpoint is damaged: an older one, or none, is used; why and which.
    CheckpointDamaged(String),
    /// Work that takes long is going on.
    Alive,
    /// The disk of this path is full; the trial waits until it is not.
    DiskFull(PathBuf),
    /// The trial goes on.
    DiskFreed,
}

/// Hears what happens in a trial, and answers whether it goes on.
pub type Observe<'a> = dyn FnMut(Report) -> Control + 'a;

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
    #[error(
        "the training loss is {loss} at step {step}; a lower learning rate or gradient clipping may help"
    )]
    NonFinite {
        /// Optimiser step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The data could not be read.
    #[error("the data could not be used")]
    Data(#[source] Box<DataError>),
    /// The data changed after the plan was made.
    #[error(
        "{files} changed while the sweep was running; put back what was there and run it again with --retry-failed, \
         or run it under a new name"
    )]
    DataChanged {
        /// The files.
        files: String,
    },
    /// The checkpoint's files changed after the plan was made.
    #[error(
        "the checkpoint {folder} changed while the sweep was running; put back what was there and run it again with \
         --retry-failed, or run it under a new name"
    )]
    CheckpointChanged {
        /// Its folder.
        folder: String,
    },
    /// The checkpoint's files could not be read.
    #[error(transparent)]
    Fingerprint(FingerprintError),
    /// The encoder's shape could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tokenizer could not be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The checkpoint's files could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's tensors are not those of its encoder.
    #[error("{folder} does not hold the encoder that its config.json describes")]
    Misfit {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// What is wrong.
        source: Misfit,
    },
    /// The parameters could not be used.
    #[error("the parameters could not be used")]
    Weights(#[from] WeightsError),
    /// The model's folder is not one that predictions can be made with.
    #[error("the model could not be used")]
    Exported(#[from] ExportedError),
    /// The tokenizer has ids that the encoder lacks.
    #[error(
        "the tokenizer has {tokens} tokens, the encoder only {rows} word embeddings: they do not belong together"
    )]
    Vocabulary {
        /// The largest id plus one.
        tokens: usize,
        /// Rows of the word embeddings.
        rows: usize,
    },
    /// Chunks are longer than the encoder's window.
    #[error("chunks of {length} tokens do not fit the encoder's window of {window}")]
    Window {
        /// The chunk length.
        length: usize,
        /// The window.
        window: usize,
    },
    /// A file could not be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The build lacks a backend.
    #[error("this build cannot use {device} devices; build it again with `--features {feature}`")]
    NoBackend {
        /// The kind of device.
        device: &'static str,
        /// The feature of the package.
        feature: &'static str,
    },
    /// The backend has no products of bf16.
    #[error("`matmul_precision = \"bf16\"` is for CPU devices of a build with the feature flex")]
    NoBf16,
    /// There is no NVIDIA driver.
    #[error("no NVIDIA driver was found (libcuda.so.1); use `--devices cpu`")]
    NoDriver,
}

impl TrainError {
    /// The file that a full disk kept from being written.
    fn full_disk(&self) -> Option<&Path> {
        match self {
            Self::Write { path, source } | Self::Weights(WeightsError::Write { path, source }) => {
                files::is_full(source).then_some(path)
            }
            _ => None,
        }
    }

    /// The failure that the log records.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            _ if self.full_disk().is_some() => FailureKind::DiskFull,
            Self::NonFinite { step, .. } => FailureKind::NonFinite { step: *step },
            Self::Data(_) | Self::DataChanged { .. } => FailureKind::Data,
            Self::Weights(WeightsError::Write { .. }) | Self::Write { .. } => FailureKind::Disk,
            Self::Config(_)
            | Self::Text(_)
            | Self::Checkpoint(_)
            | Self::Misfit { .. }
            | Self::Weights(_)
            | Self::Exported(_)
            | Self::Vocabulary { .. }
            | Self::Window { .. }
            | Self::CheckpointChanged { .. }
            | Self::Fingerprint(_) => FailureKind::Checkpoint,
            Self::NoBackend { .. } | Self::NoBf16 | Self::NoDriver => FailureKind::Spawn,
        }
    }
}

/// What a device's backend can do.
trait Engine {
    fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError>;

    fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError>;
}

/// A worker's warm state: the device, and what trials share.
pub struct Session {
    engine: Box<dyn Engine>,
}

impl Session {
    /// Opens `device`.
    ///
    /// # Errors
    /// When this build or this machine does not have it.
    pub fn open(device: Device) -> Result<Self, TrainError> {
        Ok(Self { engine: backend::open(device)? })
    }

    /// Runs `job` and writes `metrics.csv`, `predictions.csv`, `best/` and `last/` into `folder`;
    /// goes on from the checkpoint in `last/` if it is one of this job, or else from that of the
    /// trial beside it that the job names.
    ///
    /// A full disk fails nothing: the trial waits until there is space, or it is told to stop.
    ///
    /// `observe` hears what happens, each step included, and answers whether to go on.
    ///
    /// # Errors
    /// When the trial fails; what it wrote until then stays.
    pub fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        let _alone = exclusive::exclusive();
        self.engine.run(job, attempt, folder, observe)
    }

    /// The probabilities of each text's classes under an exported model, in the order of `texts`.
    ///
    /// The model is read the first time, and kept until another one is asked for.
    ///
    /// # Errors
    /// When the model's files cannot be read or do not fit each other.
    pub fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError> {
        self.engine.predict(model, texts)
    }
}

/// Whether a trial with `matmul_precision = "bf16"` can run on `device`.
pub(crate) const fn takes_bf16(device: Device) -> bool {
    match device {
        Device::Cpu { .. } => cfg!(feature = "flex"),
        Device::Cuda { .. } => false,
    }
}

/// Whether this processor has instructions that make such a trial faster than one with f32.
pub(crate) fn has_bf16() -> bool {
    ops::has_bf16()
}

/// The shape of a checkpoint's encoder.
///
/// # Errors
/// When its `config.json` is missing or damaged, or describes what is not built in.
pub fn encoder_config(checkpoint: &Checkpoint) -> Result<EncoderConfig, ConfigError> {
    checkpoint.folder().map_or_else(|| Ok(mini::config()), |folder| EncoderConfig::read(&folder))
}

/// The tensors of `catalog` that a whole classifier with `classes` classes over an encoder of this shape takes.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn fits(
    config: &EncoderConfig,
    pooling: Pooling,
    classes: usize,
    catalog: &Catalog,
) -> Result<BTreeSet<String>, Misfit> {
    let parameters = layout::parameters(config, pooling, classes);
    layout::fit(&parameters, config.family(), true, catalog.shapes()).map(|fit| fit.used)
}

/// Reads what a spec is checked against: names and shapes, no values.
///
/// Without `with_weights`, for weights that are still to be fetched, those are not looked at.
///
/// # Errors
/// When the checkpoint lacks a file, or describes what is not built in.
pub fn inspect(checkpoint: &Checkpoint, with_weights: bool) -> Result<CheckpointFacts, TrainError> {
    let config = encoder_config(checkpoint)?;
    let tokens = TextEncoder::open(checkpoint, Lowercase::Tokenizer)?.vocabulary();
    if tokens > config.vocab_size {
        return Err(TrainError::Vocabulary { tokens, rows: config.vocab_size });
    }
    let parameters = layout::parameters(&config, Pooling::Cls, 2);
    let unused = match checkpoint.folder().filter(|_| with_weights) {
        Some(folder) => {
            layout::fit(&parameters, config.family(), false, Catalog::open(&folder)?.shapes())
                .map_err(|source| TrainError::Misfit { folder, source })?
                .unused
        }
        None => Vec::new(),
    };
    let sizes = parameters.iter().map(|parameter| parameter.shape.iter().product::<usize>() as u64);
    Ok(CheckpointFacts {
        window: config.window(),
        layers: config.num_hidden_layers,
        parameters: sizes.sum(),
        unused,
    })
}
