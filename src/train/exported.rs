//! A model as a Hugging Face folder, which `export-best` writes and `predict` reads.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    encoder::{
        config::{ConfigError, EncoderConfig},
        family::Family,
        weights::Precision,
    },
    model_file, shape,
    text::{chunking::Chunking, tokenizer::Truncation},
};
use crate::settings::{Aggregate, LongText, MatmulPrecision, Pooling, Settings};

/// The file with the parameters.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// The largest number of classes that a `config.json` may count without naming them.
const LABELS_MAX: u64 = 10_000;

/// Keys of an encoder's `config.json` that its classifier must not have.
const STALE_KEYS: [&str; 7] = [
    "_name_or_path",
    "num_labels",
    "transformers_version",
    "auto_map",
    "tokenizer_class",
    "classifier_dropout",
    // `transformers` fails at texts whose length is no multiple of it.
    "chunk_size_feed_forward",
];

/// The `problem_type` of a classifier with one class for each text.
const SINGLE_LABEL: &str = "single_label_classification";

/// A classifier in a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// The encoder's shape.
    pub config: EncoderConfig,
    /// Class names, by index.
    pub labels: Vec<String>,
    /// How texts become chunks, and chunks documents.
    pub recipe: Recipe,
}

/// The part of `config.json` under `sweep`: how the model was trained to read texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// How the tokens of a chunk become its one vector.
    pub pooling: Pooling,
    /// The largest number of tokens in a chunk.
    pub chunk_length: usize,
    /// Tokens that neighbouring chunks share.
    pub chunk_stride: usize,
    /// How a text that one chunk cannot hold is cut.
    pub long: LongText,
    /// The largest number of chunks of a document; 0 for no bound.
    #[serde(default)]
    pub max_chunks: usize,
    /// How the logits of a document's chunks become the logits of the document.
    pub aggregate: Aggregate,
    /// The precision that matrix products round their factors to.
    #[serde(default)]
    pub matmul_precision: MatmulPrecision,
}

/// Why a folder does not hold a usable classifier.
#[derive(Debug, thiserror::Error)]
pub enum ExportedError {
    /// The encoder's shape could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `config.json` has no class names, or damaged ones.
    #[error(
        "{path} has no usable id2label: is this a classifier's folder, as `sweep export-best` writes it?"
    )]
    Labels {
        /// The file.
        path: PathBuf,
    },
    /// A classifier whose classes do not exclude each other, or a regression.
    #[error("{path} has problem_type \"{found}\"; supported: single_label_classification")]
    Problem {
        /// The file.
        path: PathBuf,
        /// The `problem_type`.
        found: String,
    },
    /// The part under `sweep` is damaged.
    #[error("{path}: the part under \"sweep\" is damaged")]
    Recipe {
        /// The file.
        path: PathBuf,
        /// The error of the JSON library.
        source: serde_json::Error,
    },
}

impl Recipe {
    /// The recipe that `settings` ask for.
    #[must_use]
    pub const fn of(settings: &Settings) -> Self {
        Self {
            pooling: settings.pooling,
            chunk_length: settings.chunk_length,
            chunk_stride: settings.chunk_stride,
            long: settings.long,
            max_chunks: settings.max_chunks,
            aggregate: settings.aggregate,
            matmul_precision: settings.matmul_precision,
        }
    }

    pub(crate) const fn chunking(self) -> Chunking {
        Chunking {
            length: self.chunk_length,
            stride: self.chunk_stride,
            long: self.long,
            chunks_max: self.max_chunks,
        }
    }
}

impl Exported {
    /// Reads `folder/config.json`. A folder that `sweep` did not write gets the recipe of `transformers`: the first
    /// tokens of a text up to the window, or what the tokenizer says about truncation, and CLS pooling.
    ///
    /// # Errors
    /// When the folder does not hold a supported classifier.
    pub fn read(folder: &Path) -> Result<Self, ExportedError> {
        let config = shape::of_folder(folder)?;
        let path = folder.join("config.json");
        let read = || -> Option<Value> {
            serde_json::from_str(&model_file::read(&path, model_file::SMALL_BYTES_MAX).ok()?).ok()
        };
        let json = read().unwrap_or(Value::Null);
        if let Some(found) = json.get("problem_type").and_then(Value::as_str)
            && found != SINGLE_LABEL
        {
            return Err(ExportedError::Problem { path, found: found.to_owned() });
        }
        let labels = labels(&json).ok_or_else(|| ExportedError::Labels { path: path.clone() })?;
        let truncation = Truncation::of(folder);
        let recipe = match json.get("sweep") {
            Some(recipe) => Recipe::deserialize(recipe)
                .map_err(|source| ExportedError::Recipe { path: path.clone(), source })?,
            None => Recipe {
                pooling: Pooling::Cls,
                chunk_length: truncation.length.map_or(config.window(), |length| length.min(config.window())),
                chunk_stride: 0,
                long: if truncation.is_left { LongText::Tail } else { LongText::Head },
                max_chunks: 0,
                aggregate: Aggregate::Mean,
                matmul_precision: MatmulPrecision::F32,
            },
        };
        Ok(Self { folder: folder.to_owned(), config, labels, recipe })
    }

    /// Returns the `config.json` of a classifier over `base`, the `config.json` of its encoder.
    #[must_use]
    pub fn config_json(
        base: &Value,
        family: &Family,
        labels: &[String],
        settings: &Settings,
        precision: Precision,
    ) -> Value {
        let mut config = base.clone();
        let id2label: serde_json::Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
        let label2id: serde_json::Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id))).collect();
        if let Some(object) = config.as_object_mut() {
            for stale in STALE_KEYS {
                object.remove(stale);
            }
            let dtype = precision.torch_name();
            let entries = [
                ("model_type", json!(family.model_type)),
                ("architectures", json!([format!("{}ForSequenceClassification", family.class)])),
                ("problem_type", json!(SINGLE_LABEL)),
                ("id2label", Value::Object(id2label)),
                ("label2id", Value::Object(label2id)),
                // `transformers` 5 reads `dtype`, older versions read `torch_dtype`.
                ("dtype", json!(dtype)),
                ("torch_dtype", json!(dtype)),
                ("sweep", json!(Recipe::of(settings))),
            ];
            for key in family.dropout_keys {
                object.insert((*key).to_owned(), json!(settings.dropout));
            }
            object.extend(entries.map(|(key, value)| (key.to_owned(), value)));
        }
        config
    }
}

/// The class names under `id2label`, by index; `None` unless there are at least two, with the indices from 0 on.
///
/// `transformers` writes no `id2label` where the names are its own, `LABEL_0` and so on.
pub(super) fn labels(json: &Value) -> Option<Vec<String>> {
    if json.get("id2label").is_none_or(Value::is_null) {
        let architecture = json.get("architectures")?.get(0)?.as_str()?;
        let count = json.get("num_labels").and_then(Value::as_u64).unwrap_or(2);
        let is_classifier =
            architecture.ends_with("ForSequenceClassification") && (2..=LABELS_MAX).contains(&count);
        return is_classifier.then(|| (0..count).map(|index| format!("LABEL_{index}")).collect());
    }
    let by_id: BTreeMap<usize, &str> = json
        .get("id2label")?
        .as_object()?
        .iter()
        .map(|(id, label)| Some((id.parse().ok()?, label.as_str()?)))
        .collect::<Option<_>>()?;
    let contiguous = by_id.keys().copied().eq(0..by_id.len());
    (contiguous && by_id.len() >= 2).then(|| by_id.into_values().map(str::to_owned).collect())
}
