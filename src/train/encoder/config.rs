//! The shape of an encoder, as its `config.json` describes it.

mod error;
mod fields;

use std::{io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::error::BadValue;
pub use self::{
    error::ConfigError,
    fields::{FIELDS, Field},
};
use super::family::{FAMILIES, Family};
use crate::system::files::named;
use crate::train::model_file;

/// The file's name.
pub(crate) const FILE: &str = "config.json";

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

/// The largest size that any key may have: far beyond that of any known encoder.
const SIZE_MAX: usize = 1 << 24;
/// The largest number of layers. Each has names of its own, so that more of them would fill the memory before any is
/// looked for; the deepest known encoders have less than 100.
const LAYERS_MAX: usize = 1_000;
/// The largest number of attention heads of a layer; known encoders have up to 64. Memory for attention grows with them.
const HEADS_MAX: usize = 1_024;
/// The largest LayerNorm epsilon; known encoders have 1e-12 to 1e-5.
const EPSILON_MAX: f64 = 1.0;
/// The largest standard deviation of fresh weights; known encoders have 0.01 to 0.1.
const DEVIATION_MAX: f64 = 100.0;

impl EncoderConfig {
    /// Reads `folder/config.json`.
    ///
    /// # Errors
    /// When the file is missing or damaged, or describes an encoder that is not built in.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        Self::read_as(folder, None)
    }

    /// [`Self::read`], with the family of a file that does not tell it.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) fn read_as(folder: &Path, family: Option<&'static Family>) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let text = match model_file::read(&path, model_file::SMALL_BYTES_MAX) {
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && named::is_file(&folder.join("bert_config.json")) =>
            {
                return Err(ConfigError::OldName { folder: folder.to_owned() });
            }
            text => text.map_err(|source| ConfigError::Read { path: path.clone(), source })?,
        };
        let parse = |source| ConfigError::Parse { path: path.clone(), source };
        let json: Map<String, Value> =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(parse)?;
        let json = Value::Object(json);
        let found = json.get("model_type").and_then(Value::as_str);
        let Some(family) = family_of(&json).or(if found.is_none() { family } else { None }) else {
            return Err(match found {
                Some(found) => ConfigError::ModelType { path, found: found.to_owned() },
                None => ConfigError::NoModelType { path },
            });
        };
        let checked = fields::check(&json).and_then(|()| Self::of(&json, family));
        let keys = Keys { json: &json, family };
        let checked = checked.and_then(|config| config.check(&keys).map(|()| config));
        checked.map_err(|value| ConfigError::Value { path, value })
    }

    /// Reads the values of `json`. Where a key is missing, the value is that of the family in `transformers`.
    fn of(json: &Value, family: &Family) -> Result<Self, BadValue> {
        let keys = Keys { json, family };
        let has_types = family.token_types > 0;
        let pad_token_id = keys.size("pad_token_id", family.pad_token_id as usize)?;
        Ok(Self {
            model_type: family.model_type.to_owned(),
            vocab_size: keys.size("vocab_size", family.vocab_size)?,
            hidden_size: keys.size("hidden_size", 768)?,
            num_hidden_layers: keys.size("num_hidden_layers", family.layers)?,
            num_attention_heads: keys.size("num_attention_heads", 12)?,
            intermediate_size: keys.size("intermediate_size", 3_072)?,
            hidden_act: gelu(),
            max_position_embeddings: keys.size("max_position_embeddings", 512)?,
            type_vocab_size: if has_types { keys.size("type_vocab_size", family.token_types)? } else { 0 },
            // A family without token types has no key for LayerNorm either.
            layer_norm_eps: if has_types {
                keys.number("layer_norm_eps", epsilon(), EPSILON_MAX)?
            } else {
                epsilon()
            },
            initializer_range: keys.number("initializer_range", initializer_range(), DEVIATION_MAX)?,
            pad_token_id: u32::try_from(pad_token_id)
                .map_err(|_| keys.beyond("pad_token_id", pad_token_id, 0, u32::MAX as usize))?,
            position_embedding_type: absolute(),
        })
    }

    fn check(&self, keys: &Keys<'_>) -> Result<(), BadValue> {
        let sizes = [
            ("vocab_size", self.vocab_size, SIZE_MAX),
            ("hidden_size", self.hidden_size, SIZE_MAX),
            ("num_hidden_layers", self.num_hidden_layers, LAYERS_MAX),
            ("num_attention_heads", self.num_attention_heads, HEADS_MAX),
            ("intermediate_size", self.intermediate_size, SIZE_MAX),
            ("max_position_embeddings", self.max_position_embeddings, SIZE_MAX),
            ("type_vocab_size", self.type_vocab_size.max(1), SIZE_MAX),
        ];
        for (key, size, max) in sizes {
            if size == 0 || size > max {
                return Err(keys.beyond(key, size, 1, max));
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

    /// How the tokens of a text are counted.
    pub(crate) fn positions(&self) -> Positions {
        let padding = self.family().positions_after_padding.then_some(self.pad_token_id);
        Positions { first: i32::try_from(self.first_position()).unwrap_or(0), padding }
    }

    /// The longest input in tokens, special tokens included.
    #[must_use]
    pub fn window(&self) -> usize {
        self.max_position_embeddings - self.first_position()
    }
}

/// How the tokens of a text are counted: which row of the position embeddings each of them takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Positions {
    /// The row of the first token.
    first: i32,
    /// The token that is not counted and takes the row before the first one. It is a padding token by name, but may stand
    /// in a text, above all where `config.json` names the id of another token.
    padding: Option<u32>,
}

impl Positions {
    /// The row of each token of a text.
    // `create_position_ids_from_input_ids` in `models/roberta/modeling_roberta.py` of `transformers`.
    pub(crate) fn rows(self, tokens: &[u32]) -> impl Iterator<Item = i32> {
        let mut next = self.first;
        tokens.iter().map(move |token| {
            if Some(*token) == self.padding {
                return self.first - 1;
            }
            next += 1;
            next - 1
        })
    }
}

/// The family that a `config.json` names: by its `model_type`, or else by the class of its first architecture.
pub(crate) fn family_of(json: &Value) -> Option<&'static Family> {
    if let Some(model_type) = json.get("model_type").filter(|found| !found.is_null()) {
        return Family::of(model_type.as_str()?);
    }
    let architecture = json.get("architectures")?.get(0)?.as_str()?;
    FAMILIES.iter().find(|family| {
        architecture.strip_prefix(family.class).is_some_and(|task| task.starts_with("For") || task == "Model")
    })
}

/// The keys of a `config.json`, asked for by BERT's names.
struct Keys<'a> {
    json: &'a Value,
    family: &'a Family,
}

impl Keys<'_> {
    fn size(&self, key: &'static str, default: usize) -> Result<usize, BadValue> {
        let own = self.family.own_key(key);
        let of = |key: &str| match self.json.get(key).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => match value.as_u64().and_then(|size| usize::try_from(size).ok()) {
                Some(size) => Ok(Some(size)),
                None => Err(kind(key, value, "a whole number")),
            },
        };
        let (size, other) = (of(own)?, if own == key || !ALIASES.contains(&key) { None } else { of(key)? });
        match (size, other) {
            (Some(size), Some(other)) if size != other => {
                let keys = [own, key].map(str::to_owned);
                Err(BadValue::Twice { keys, values: [size, other] })
            }
            (size, other) => Ok(size.or(other).unwrap_or(default)),
        }
    }

    /// A number from 0 to `max`.
    fn number(&self, key: &'static str, default: f64, max: f64) -> Result<f64, BadValue> {
        let Some(value) = self.json.get(key).filter(|value| !value.is_null()) else { return Ok(default) };
        let number = value.as_f64().ok_or_else(|| kind(key, value, "a number"))?;
        if (0.0..=max).contains(&number) {
            Ok(number)
        } else {
            let range = format!("0 to {max}");
            Err(BadValue::Range { key: key.to_owned(), found: value.to_string(), range })
        }
    }

    /// The error for a size outside of `min..=max`, under the family's own name of the key that BERT calls `key`.
    fn beyond(&self, key: &str, size: usize, min: usize, max: usize) -> BadValue {
        let range = format!("{min} to {max}");
        BadValue::Range { key: self.family.own_key(key).to_owned(), found: size.to_string(), range }
    }
}

/// The keys of BERT that every family understands beside its own names (`attribute_map` in `transformers`).
const ALIASES: [&str; 3] = ["hidden_size", "num_hidden_layers", "num_attention_heads"];

/// The error for a value of another kind than expected.
fn kind(key: &str, found: &Value, expected: &'static str) -> BadValue {
    let (key, found) = (key.to_owned(), found.to_string().chars().take(60).collect());
    BadValue::Kind { key, found, expected }
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

    /// The message for BERT's `config.json` with this value.
    fn refusal(key: &str, value: Value) -> String {
        let mut json = bert();
        json[key] = value;
        read(&json).unwrap_err().to_string()
    }

    #[test]
    fn values_that_would_make_another_function_are_refused_by_name() {
        for (key, value) in [
            ("hidden_act", json!("relu")),
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("add_cross_attention", json!(true)),
            ("embedding_size", json!(12)),
            ("quantization_config", json!({ "bits": 4 })),
            ("pruned_heads", json!({ "1": [0] })),
            ("auto_map", json!({ "AutoModel": "modeling.Model" })),
        ] {
            let message = refusal(key, value.clone());
            assert!(message.contains(&format!("{key} {value} is not supported; supported: ")), "{message}");
        }
    }

    #[test]
    fn a_text_where_a_number_is_expected_is_named() {
        let message = refusal("layer_norm_eps", json!("1e-12"));
        assert!(message.ends_with("layer_norm_eps is \"1e-12\", not a number"), "{message}");
        let message = refusal("hidden_size", json!("24"));
        assert!(message.ends_with("hidden_size is \"24\", not a whole number"), "{message}");
    }

    #[test]
    fn sizes_beyond_every_known_encoder_are_refused_with_what_is_taken() {
        let message = refusal("num_hidden_layers", json!(1_000_000));
        assert!(
            message.contains("num_hidden_layers is 1000000; it must be from 1 to 1000: correct"),
            "{message}"
        );
        for (key, value) in [
            ("hidden_size", json!(1_u64 << 40)),
            ("vocab_size", json!(0)),
            ("max_position_embeddings", json!(u64::MAX)),
            ("pad_token_id", json!(1_u64 << 32)),
            ("num_attention_heads", json!(1_000_000)),
            ("layer_norm_eps", json!(-1e-12)),
            ("initializer_range", json!(1e300)),
        ] {
            let message = refusal(key, value.clone());
            assert!(message.contains(&format!("{key} is {value}; it must be from ")), "{message}");
        }
    }

    #[test]
    fn a_size_is_refused_under_the_familys_own_name() {
        let json = json!({ "model_type": "distilbert", "n_layers": 1_000_000 });
        assert!(read(&json).unwrap_err().to_string().contains("n_layers is 1000000; it must be"));
    }

    #[test]
    fn two_names_for_one_size_must_agree() {
        let json = json!({ "model_type": "distilbert", "dim": 24, "hidden_size": 48, "n_heads": 3 });
        let message = read(&json).unwrap_err().to_string();
        assert!(
            message
                .ends_with("dim is 24 and hidden_size is 48, but both mean the same; remove the wrong one")
        );
    }

    #[test]
    fn distilbert_does_not_read_berts_layer_norm() {
        let json = json!({ "model_type": "distilbert", "layer_norm_eps": 0.5 });
        assert_eq!(read(&json).unwrap().layer_norm_eps.to_bits(), 1e-12_f64.to_bits());
    }

    #[test]
    fn an_architecture_tells_the_family_where_the_model_type_is_missing() {
        for (architecture, expected) in [
            ("BertForMaskedLM", "bert"),
            ("RobertaModel", "roberta"),
            ("XLMRobertaForSequenceClassification", "xlm-roberta"),
            ("DistilBertForMaskedLM", "distilbert"),
        ] {
            let mut json = bert();
            json["model_type"] = Value::Null;
            json["architectures"] = json!([architecture]);
            assert_eq!(read(&json).unwrap().model_type, expected);
        }
    }

    #[test]
    fn without_any_word_about_the_family_the_line_to_add_is_named() {
        let mut json = bert();
        json["model_type"] = Value::Null;
        let message = read(&json).unwrap_err().to_string();
        assert!(message.contains("add a line such as \"model_type\": \"bert\" to it"), "{message}");
    }

    #[test]
    fn googles_name_of_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bert_config.json"), bert().to_string()).unwrap();
        let message = EncoderConfig::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("has bert_config.json and no config.json; rename it"), "{message}");
    }

    /// Values of `create_position_ids_from_input_ids` in `transformers` 5.24, for padding id 1.
    #[test]
    fn roberta_does_not_count_padding_tokens_in_a_text() {
        let mut roberta = bert();
        roberta["model_type"] = json!("roberta");
        let positions = read(&roberta).unwrap().positions();
        assert_eq!(positions.rows(&[0, 7, 1, 8, 1, 2]).collect::<Vec<_>>(), [2, 3, 1, 4, 1, 5]);
    }

    #[test]
    fn a_padding_id_that_leaves_no_position_is_refused() {
        let mut roberta = bert();
        roberta["model_type"] = json!("roberta");
        roberta["pad_token_id"] = json!(19);
        assert!(read(&roberta).unwrap_err().to_string().contains("leaves no position"));
    }
}
