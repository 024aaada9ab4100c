//! The shape of an encoder, as its `config.json` describes it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::{FAMILIES, Family};

/// An encoder's `config.json`, under BERT's keys. Defaults are Hugging Face's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// The family.
    pub model_type: String,
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads of each layer. Their number divides the width.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Activation inside the feed-forward block. Only the exact `gelu` is built in.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// Rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embeddings; 0 when there are none.
    pub type_vocab_size: usize,
    /// The number that LayerNorm adds to the variance.
    #[serde(default = "epsilon")]
    pub layer_norm_eps: f64,
    /// Standard deviation of fresh weights.
    #[serde(default = "initializer_range")]
    pub initializer_range: f64,
    /// The id of the padding token.
    pub pad_token_id: u32,
    /// The kind of position embeddings. Only `absolute` is built in.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn gelu() -> String {
    "gelu".to_owned()
}
fn absolute() -> String {
    "absolute".to_owned()
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
        /// The error below.
        source: std::io::Error,
    },
    /// The file is not JSON, or lacks a key.
    #[error("{path} is not an encoder's config.json")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The error below.
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
    /// A text that is not built in.
    Unsupported {
        /// The key.
        key: &'static str,
        /// The text.
        found: String,
        /// The only text that is built in.
        supported: &'static str,
    },
    /// A size of 0, or one beyond all known encoders.
    Size {
        /// The key.
        key: &'static str,
        /// The size.
        size: usize,
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
                write!(f, "{key} \"{found}\" is not supported; supported: {supported}")
            }
            Self::Size { key, size } => write!(f, "{key} is {size}"),
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

/// The largest size that any key may have: far beyond that of any known encoder.
const SIZE_MAX: usize = 1 << 24;

impl EncoderConfig {
    /// Reads `folder/config.json`.
    ///
    /// # Errors
    /// When the file is missing or damaged, or describes an encoder that is not built in.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let parse = |source| ConfigError::Parse { path: path.clone(), source };
        let mut json: Value = serde_json::from_str(&text).map_err(parse)?;
        let found = json.get("model_type").and_then(Value::as_str).unwrap_or("(none)").to_owned();
        let Some(family) = Family::of(&found) else {
            return Err(ConfigError::ModelType { path, found });
        };
        as_bert(&mut json, family);
        let config: Self = serde_json::from_value(json).map_err(parse)?;
        config.check().map_err(|value| ConfigError::Value { path, value })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), BadValue> {
        let texts = [
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ];
        for (key, found, supported) in texts {
            if found != supported {
                return Err(BadValue::Unsupported { key, found: found.clone(), supported });
            }
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size.max(1)),
        ];
        for (key, size) in sizes {
            if size == 0 || size > SIZE_MAX {
                return Err(BadValue::Size { key, size });
            }
        }
        let (rows, pad_token_id) = (self.max_position_embeddings, self.pad_token_id);
        if self.first_position() >= rows {
            return Err(BadValue::NoPosition { rows, pad_token_id });
        }
        let (heads, width) = (self.num_attention_heads, self.hidden_size);
        if !width.is_multiple_of(heads) {
            return Err(BadValue::Heads { heads, width });
        }
        Ok(())
    }

    /// The encoder's family.
    #[must_use]
    pub fn family(&self) -> &'static Family {
        Family::of(&self.model_type).unwrap_or(&FAMILIES[0])
    }

    /// The row of the position embeddings that a text's first token takes.
    #[must_use]
    pub fn first_position(&self) -> usize {
        if self.family().positions_after_padding { self.pad_token_id as usize + 1 } else { 0 }
    }

    /// The longest input in tokens, special tokens included.
    #[must_use]
    pub fn window(&self) -> usize {
        self.max_position_embeddings - self.first_position()
    }
}

/// Renames a family's own keys to BERT's, and adds the family's defaults for keys that are missing.
fn as_bert(json: &mut Value, family: &Family) {
    let Some(object) = json.as_object_mut() else { return };
    for (own, berts) in family.keys {
        if let Some(value) = object.remove(*own) {
            object.insert((*berts).to_owned(), value);
        }
    }
    if family.token_types == 0 {
        object.remove("type_vocab_size");
    }
    for (key, default) in
        [("type_vocab_size", family.token_types), ("pad_token_id", family.pad_token_id as usize)]
    {
        if object.get(key).is_none_or(Value::is_null) {
            object.insert(key.to_owned(), default.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &Value) -> Result<EncoderConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
        EncoderConfig::read(folder.path())
    }

    fn bert() -> Value {
        json!({ "model_type": "bert", "vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 2,
                "num_attention_heads": 3, "intermediate_size": 40, "max_position_embeddings": 20 })
    }

    #[test]
    fn keys_that_are_left_out_have_berts_defaults() {
        let config = read(&bert()).unwrap();
        assert_eq!((config.type_vocab_size, config.window(), config.first_position()), (2, 20, 0));
    }

    #[test]
    fn keys_that_are_left_out_have_robertas_defaults() {
        let mut roberta = bert();
        roberta["model_type"] = json!("roberta");
        let config = read(&roberta).unwrap();
        assert_eq!((config.pad_token_id, config.window(), config.first_position()), (1, 18, 2));
    }

    #[test]
    fn distilbert_has_keys_of_its_own() {
        let config = read(
            &json!({ "model_type": "distilbert", "vocab_size": 60, "dim": 24, "n_layers": 2, "n_heads": 3,
                "hidden_dim": 40, "activation": "gelu", "max_position_embeddings": 20 }),
        );
        let config = config.unwrap();
        assert_eq!((config.hidden_size, config.num_hidden_layers, config.type_vocab_size), (24, 2, 0));
    }

    #[test]
    fn other_families_are_named_with_those_that_work() {
        let mut other = bert();
        other["model_type"] = json!("electra");
        let message = read(&other).unwrap_err().to_string();
        assert!(message.ends_with(
            "model_type \"electra\" is not supported; supported: bert, roberta, xlm-roberta, camembert, distilbert"
        ));
    }

    #[test]
    fn a_padding_id_that_leaves_no_position_is_refused() {
        let mut roberta = bert();
        roberta["model_type"] = json!("roberta");
        roberta["pad_token_id"] = json!(19);
        assert!(read(&roberta).unwrap_err().to_string().contains("leaves no position"));
    }
}
