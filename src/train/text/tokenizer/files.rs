//! The files of a checkpoint that say something about its tokenizer beside the vocabulary.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::TokenizerError;
use crate::system::files::named;
use crate::train::{
    encoder::{config, family::Family},
    model_file::{self, SMALL_BYTES_MAX, VOCABULARY_BYTES_MAX},
};

/// The parsed files beside the vocabulary. A file that the checkpoint lacks is an empty object.
pub(super) struct TokenizerFiles {
    pub(super) folder: PathBuf,
    /// `tokenizer_config.json`
    pub(super) config: Value,
    /// `special_tokens_map.json`
    pub(super) map: Value,
    /// `added_tokens.json`
    pub(super) added: Value,
    /// The encoder's family, where `config.json` tells it.
    pub(super) family: Option<&'static Family>,
    /// `tokenizer_class` of `config.json`.
    model_class: Option<String>,
}

impl TokenizerFiles {
    /// Reads the files of `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let object = |name: &str| {
            let path = folder.join(name);
            let value = if named::is_file(&path) { parse_small(&path)? } else { json!({}) };
            if value.is_object() { Ok(value) } else { Err(kind(&path, "the file", &value, "an object")) }
        };
        // A damaged `config.json` is reported by whoever reads the encoder's shape.
        let model = object(config::FILE).unwrap_or_else(|_| json!({}));
        Ok(Self {
            folder: folder.to_owned(),
            config: object("tokenizer_config.json")?,
            map: object("special_tokens_map.json")?,
            added: object("added_tokens.json")?,
            family: config::family_of(&model),
            model_class: model.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// The path of `tokenizer_config.json`.
    pub(super) fn config_path(&self) -> PathBuf {
        self.folder.join("tokenizer_config.json")
    }

    /// The class that the files name, without the ending `Fast`, and the file that names it.
    pub(super) fn class(&self) -> Option<(PathBuf, &str)> {
        let of_config = self.config.get("tokenizer_class").and_then(Value::as_str);
        let of_model = || Some((self.folder.join(config::FILE), self.model_class.as_deref()?));
        let (path, class) = of_config.map(|class| (self.config_path(), class)).or_else(of_model)?;
        let is_generic = class == "PreTrainedTokenizerFast";
        Some((path, if is_generic { class } else { class.strip_suffix("Fast").unwrap_or(class) }))
    }

    /// A switch of `tokenizer_config.json`; `None` where it is not set.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, TokenizerError> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(other) => Err(kind(&self.config_path(), key, other, "true or false")),
        }
    }
}

/// What `tokenizer_config.json` says about texts that are too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truncation {
    /// The largest number of tokens, special tokens included.
    pub(crate) length: Option<usize>,
    /// Whether the first tokens are cut off, not the last.
    pub(crate) is_left: bool,
}

impl Truncation {
    /// Reads the files of `folder`. A damaged file says nothing here; it is reported where the tokenizer is opened.
    pub(crate) fn of(folder: &Path) -> Self {
        let config = parse_small(&folder.join("tokenizer_config.json")).unwrap_or_default();
        let length = config.get("model_max_length").filter(|length| !length.is_null());
        // The length of a tokenizer without a bound is 1e30.
        let length = length.or_else(|| config.get("max_len")).and_then(Value::as_u64);
        let length = length.and_then(|length| usize::try_from(length).ok());
        Self { length, is_left: config.get("truncation_side").is_some_and(|side| side == "left") }
    }
}

/// The error for an entry of another kind than expected.
pub(super) fn kind(path: &Path, key: &str, found: &Value, expected: &'static str) -> TokenizerError {
    let (path, key, found) = (path.to_owned(), key.to_owned(), found.to_string().chars().take(60).collect());
    TokenizerError::Kind { path, key, found, expected }
}

/// Reads a file with a vocabulary as text.
pub(super) fn read(path: &Path) -> Result<String, TokenizerError> {
    read_within(path, VOCABULARY_BYTES_MAX)
}

fn read_within(path: &Path, bytes_max: u64) -> Result<String, TokenizerError> {
    model_file::read(path, bytes_max).map_err(|source| TokenizerError::Read { path: path.to_owned(), source })
}

/// Reads a file with a vocabulary as JSON.
pub(super) fn parse(path: &Path) -> Result<Value, TokenizerError> {
    parsed(&read(path)?, path)
}

/// Reads a file beside the vocabulary as JSON.
fn parse_small(path: &Path) -> Result<Value, TokenizerError> {
    parsed(&read_within(path, SMALL_BYTES_MAX)?, path)
}

/// Parses `text`, the contents of the file `path`.
pub(super) fn parsed(text: &str, path: &Path) -> Result<Value, TokenizerError> {
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| TokenizerError::Unusable { path: path.to_owned(), source: error.into() })
}
