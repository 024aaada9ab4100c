//! Why a model could not be exported.

use std::path::PathBuf;

use crate::train::{CheckpointError, ConfigError, Misfit, TokenizerError, WeightsError};

/// Why a model could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something that is not an exported model stands where the model is to be written.
    #[error("{path} exists and is no exported model; name another folder with --out")]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of an exported model holds a file that no export writes.
    #[error(
        "{path} holds what sweep did not write ({found}) and would be replaced; name another folder with --out"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The name of the first such file.
        found: String,
    },
    /// Something that is no export of the same format stands where one is to be written.
    #[error("{path} exists and is no such export of sweep; name another place with --to")]
    Occupied {
        /// The place.
        path: PathBuf,
    },
    /// The folder of an export holds a file that no export wrote, or one that was changed since.
    #[error(
        "{path} holds what sweep did not write ({found}) and would be replaced; name another place with --to"
    )]
    Added {
        /// The folder.
        path: PathBuf,
        /// The path of the first such file in the folder.
        found: String,
    },
    /// The trial has no parameters.
    #[error("{path} is missing: the trial's best parameters are gone")]
    Parameters {
        /// The file.
        path: PathBuf,
    },
    /// The trial's parameters are damaged.
    #[error("the trial's best parameters are damaged")]
    Damaged(#[from] CheckpointError),
    /// The trial's parameters do not fit its model.
    #[error("{path} does not hold the trial's model")]
    Misfit {
        /// The file.
        path: PathBuf,
        /// The difference.
        source: Misfit,
    },
    /// The parameters could not be written.
    #[error("the parameters could not be written")]
    Weights(#[from] WeightsError),
    /// The checkpoint's shape could not be read.
    #[error("the checkpoint could not be used")]
    Checkpoint(#[from] ConfigError),
    /// A file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The checkpoint's tokenizer is gone or damaged.
    #[error("the checkpoint's tokenizer could not be used")]
    Tokenizer(#[from] TokenizerError),
    /// The checkpoint's config is damaged.
    #[error("{path} is no JSON")]
    Config {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
}
