//! Why a `config.json` cannot be used.

use std::{fmt, path::PathBuf};

use crate::train::encoder::family::Family;

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder has Google's `bert_config.json` instead.
    #[error(
        "{folder} has bert_config.json and no config.json; rename it to config.json and add the line \
         \"model_type\": \"bert\" to it"
    )]
    OldName {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is not JSON.
    #[error("{path} is not an encoder's config.json")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The JSON library's error.
        source: serde_json::Error,
    },
    /// The encoder's family is not built in.
    #[error("{path}: model_type \"{found}\" is not supported; supported: {}", Family::names())]
    ModelType {
        /// The file.
        path: PathBuf,
        /// The family.
        found: String,
    },
    /// The file does not tell the encoder's family.
    #[error(
        "{path} has no model_type, and neither its architectures nor the names of the weights tell the family; add a \
         line such as \"model_type\": \"bert\" to it; supported: {}",
        Family::names()
    )]
    NoModelType {
        /// The file.
        path: PathBuf,
    },
    /// A value that the encoder cannot have.
    #[error("{path}: {value}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The value.
        value: BadValue,
    },
}

/// A value of a `config.json` that an encoder cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadValue {
    /// A value that would make another function of the encoder than the one that is built in.
    Unsupported {
        /// The key.
        key: String,
        /// The value, as JSON.
        found: String,
        /// The values that are built in.
        supported: String,
    },
    /// A value of another kind, such as a text where a number is expected.
    Kind {
        /// The key.
        key: String,
        /// The value, as JSON.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Two keys for one number that disagree.
    Twice {
        /// The keys.
        keys: [String; 2],
        /// Their values.
        values: [usize; 2],
    },
    /// A number that no encoder can have, or one beyond all known encoders.
    Range {
        /// The key.
        key: String,
        /// The number, as JSON.
        found: String,
        /// The numbers that are taken, such as `1 to 1000`.
        range: String,
    },
    /// Positions begin after the padding id, and the table of position embeddings has no more rows.
    NoPosition {
        /// Rows of the position embeddings.
        rows: usize,
        /// The padding id.
        pad_token_id: u32,
    },
    /// The number of heads does not divide the width.
    Heads {
        /// The number of heads.
        heads: usize,
        /// The width.
        width: usize,
    },
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { key, found, supported } => {
                write!(f, "{key} {found} is not supported; supported: {supported}")
            }
            Self::Kind { key, found, expected } => write!(f, "{key} is {found}, not {expected}"),
            Self::Twice { keys: [one, two], values: [a, b] } => {
                write!(f, "{one} is {a} and {two} is {b}, but both mean the same; remove the wrong one")
            }
            Self::Range { key, found, range } => {
                write!(f, "{key} is {found}; it must be from {range}: correct it, or get the file again")
            }
            Self::NoPosition { rows, pad_token_id } => write!(
                f,
                "max_position_embeddings {rows} leaves no position after pad_token_id {pad_token_id}"
            ),
            Self::Heads { heads, width } => {
                write!(f, "num_attention_heads {heads} does not divide hidden_size {width}")
            }
        }
    }
}
