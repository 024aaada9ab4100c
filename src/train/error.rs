//! Why a trial failed, or ended before it was complete.

use std::path::{Path, PathBuf};

use super::{
    checkpoint::error::CheckpointError,
    encoder::{config::ConfigError, layout::Misfit, source::SourceError, weights::WeightsError},
    exported::ExportedError,
    observe::{Ending, Stopped},
    text::{TextError, tokenizer::TokenizerError},
};
use crate::{
    cache::ChangedEntry,
    data::DataError,
    display::plain,
    fingerprint::FingerprintError,
    settings::MatmulPrecision,
    system::files,
    trial::{FailureKind, TrialId},
};

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
    /// The digest of the checkpoint's files could not be computed.
    #[error(transparent)]
    Fingerprint(FingerprintError),
    /// An entry of the cache is not what it was when the trial began.
    #[error(transparent)]
    Cache(#[from] ChangedEntry),
    /// The encoder's shape could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Texts could not be tokenised.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The checkpoint's files could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's tensors do not fit its encoder.
    #[error("{folder} does not hold the encoder that its config.json describes")]
    Misfit {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// The tensors that are missing or have another shape.
        source: Misfit,
    },
    /// The model could not be built from the parameters.
    #[error("the parameters could not be used")]
    Parameters(#[from] SourceError),
    /// The parameters could not be written.
    #[error("the parameters could not be used")]
    Weights(#[from] WeightsError),
    /// The folder of a model does not hold a classifier.
    #[error("the model could not be used")]
    Exported(#[from] ExportedError),
    /// The tokenizer has ids that the encoder lacks.
    #[error(
        "the tokenizer has {tokens} tokens, the encoder only {rows} word embeddings: they do not belong together; without \
         an embedding: {beyond}"
    )]
    Vocabulary {
        /// The largest id plus one.
        tokens: usize,
        /// Rows of the word embeddings.
        rows: usize,
        /// Some of the tokens without an embedding.
        beyond: String,
    },
    /// The tokenizer puts a token around each text that the encoder lacks.
    #[error(
        "the tokenizer's post_processor puts the token {id} around each text, but the encoder has only {rows} word \
         embeddings: they do not belong together; get the model's files again"
    )]
    Special {
        /// The token's id.
        id: u32,
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
        /// The system's error.
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
    /// The backend has no products of this precision.
    #[error("`matmul_precision = \"{}\"` is for {}", .0.as_str(), devices_with(*.0))]
    Precision(MatmulPrecision),
    /// Trials that were to be trained together are not of one shape.
    #[error("trials {first} and {trial} cannot be trained together: their jobs do not have the same shape")]
    NotTogether {
        /// The trial of another shape.
        trial: TrialId,
        /// The first of the trials.
        first: TrialId,
    },
    /// A thread of the device's own has panicked, and what is computed since then means nothing.
    #[error("the device failed: {message}")]
    Device {
        /// What the panic says.
        message: String,
    },
    /// wgpu reaches no such device.
    #[error("`wgpu:{index}` is not there: wgpu reaches {found} device{}", if *found == 1 { "" } else { "s" })]
    NoAdapter {
        /// The number that was asked for.
        index: usize,
        /// Number of devices that were found.
        found: usize,
    },
}

impl From<TokenizerError> for TrainError {
    fn from(error: TokenizerError) -> Self {
        Self::Text(error.into())
    }
}

impl TrainError {
    /// The error for data in `files` that changed after the plan was made.
    pub(super) fn data_changed(files: &[String]) -> Self {
        Self::DataChanged { files: plain(&files.join(", ")) }
    }

    /// The file that could not be written because its disk is full.
    pub(super) fn full_disk(&self) -> Option<&Path> {
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
            Self::Text(TextError::Text { source, .. }) if source.is_of_text() => FailureKind::Data,
            Self::Cache(_) => FailureKind::Cache,
            Self::Weights(WeightsError::Write { .. }) | Self::Write { .. } => FailureKind::Disk,
            Self::Config(_)
            | Self::Text(_)
            | Self::Checkpoint(_)
            | Self::Misfit { .. }
            | Self::Parameters(_)
            | Self::Weights(_)
            | Self::Exported(_)
            | Self::Vocabulary { .. }
            | Self::Special { .. }
            | Self::Window { .. }
            | Self::CheckpointChanged { .. }
            | Self::Fingerprint(_) => FailureKind::Checkpoint,
            Self::NoBackend { .. }
            | Self::Precision(_)
            | Self::NoAdapter { .. }
            | Self::NotTogether { .. } => FailureKind::Spawn,
            Self::Device { .. } => FailureKind::Panic,
        }
    }
}

/// Why a trial ended before it was complete.
///
/// Functions that return it propagate a stop and a failure alike with `?`.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// It was asked to stop.
    Stopped,
    /// It paused after these epochs, as its attempt says.
    Paused(usize),
    /// It failed.
    Failed(TrainError),
}

impl Unfinished {
    /// How the trial ended therefore.
    pub(crate) fn ending(self) -> Result<Ending, TrainError> {
        match self {
            Self::Stopped => Ok(Ending::Stopped),
            Self::Paused(epochs) => Ok(Ending::Paused(epochs)),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<Stopped> for Unfinished {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl<E: Into<TrainError>> From<E> for Unfinished {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Lets a stop wait: returns it as a value, and a failure as the error.
///
/// For work that is finished even when a stop is asked for on the way.
pub(crate) fn stop_later(result: Result<(), Unfinished>) -> Result<Result<(), Stopped>, TrainError> {
    match result {
        Ok(()) => Ok(Ok(())),
        // Only between two steps does a trial pause, never in the midst of work.
        Err(Unfinished::Stopped | Unfinished::Paused(_)) => Ok(Err(Stopped)),
        Err(Unfinished::Failed(error)) => Err(error),
    }
}
/// The devices that have products of this precision, in the words of an error.
const fn devices_with(precision: MatmulPrecision) -> &'static str {
    match precision {
        MatmulPrecision::F32 => "all devices",
        MatmulPrecision::Tf32 => "NVIDIA GPUs",
        MatmulPrecision::Bf16 => "CPU devices of a build with the feature flex, and NVIDIA GPUs",
    }
}
