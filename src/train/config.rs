//! The shape of an encoder, as `config.json` says it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The families that [`EncoderConfig::read`] takes.
pub const MODEL_TYPES: &[&str] = &["bert"];

/// What `config.json` says of a BERT encoder. Names and defaults are Hugging Face's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// The family.
    pub model_type: String,
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of each layer; divide the width.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Activation inside the feed-forward block; `gelu` (exact) only.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// The window: rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embeddings.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// Added to the variance in LayerNorm.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f64,
    /// Standard deviation of fresh weights.
    #[serde(default = "initializer_range")]
    pub initializer_range: f64,
    /// The id that pads.
    #[serde(default)]
    pub pad_token_id: u32,
    /// `absolute` only.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn gelu() -> String {
    "gelu".to_owned()
}
fn absolute() -> String {
    "absolute".to_owned()
}
const fn two() -> usize {
    2
}
const fn epsilon() -> f64 {
    1e-12
}
const fn initializer_range() -> f64 {
    0.02
}

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no JSON, or lacks a key.
    #[error("{path} is not an encoder's config.json")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The family is not built in.
    #[error("{path}: model_type \"{found}\" is not supported; supported: {}", MODEL_TYPES.join(", "))]
    ModelType {
        /// The file.
        path: PathBuf,
        /// The family.
        found: String,
    },
    /// A value that the encoder cannot have.
    #[error("{path}: {what}")]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the key.
        what: String,
    },
}

impl EncoderConfig {
    /// Reads `folder/config.json`.
    ///
    /// # Errors
    /// When the file is missing or damaged, of another family, or describes what is not built in.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let parse = |source| ConfigError::Parse { path: path.clone(), source };
        let json: serde_json::Value = serde_json::from_str(&text).map_err(parse)?;
        let family = json.get("model_type").and_then(serde_json::Value::as_str).unwrap_or("(none)");
        if !MODEL_TYPES.contains(&family) {
            return Err(ConfigError::ModelType { path, found: family.to_owned() });
        }
        let config: Self = serde_json::from_value(json).map_err(parse)?;
        config.check().map_err(|what| ConfigError::Value { path, what })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.hidden_act != "gelu" {
            return Err(format!("hidden_act \"{}\" is not supported; supported: gelu", self.hidden_act));
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "position_embedding_type \"{}\" is not supported; supported: absolute",
                self.position_embedding_type
            ));
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        for (key, size) in sizes {
            if size == 0 || size > 1 << 24 {
                return Err(format!("{key} is {size}"));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "num_attention_heads {} does not divide hidden_size {}",
                self.num_attention_heads, self.hidden_size
            ));
        }
        Ok(())
    }

    /// Parameters of the encoder with its pooler and a classifier of `classes` classes.
    #[must_use]
    pub fn parameters(&self, classes: usize) -> u64 {
        let h = self.hidden_size;
        let embeddings = (self.vocab_size + self.max_position_embeddings + self.type_vocab_size + 2) * h;
        let layer = 4 * (h * h + h) + 2 * h * self.intermediate_size + self.intermediate_size + h + 4 * h;
        let head = h * h + h + (h + 1) * classes;
        (embeddings + self.num_hidden_layers * layer + head) as u64
    }
}
