//! The format of Hugging Face `transformers`: which files it has, and how they are written.
//!
//! The folder opens in `transformers`, with `trust_remote_code` if it holds model code of its
//! own, and in `sweep predict`.

mod card;

use serde_json::{Value, json};

use super::{error::ExportError, model::Model};
use crate::{
    checkpoint::Checkpoint,
    fingerprint::{self, FileDigest},
    settings::Pooling,
    system::files::{self, Place, named},
    train::{self, Exported, Family, Weights},
};

/// Files of the tokenizer, each copied if the checkpoint has it.
const TOKENIZER_FILES: [&str; 6] = [
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// All other files that an export writes.
const OWN_FILES: [&str; 6] =
    [PARAMETERS, "config.json", "tokenizer.json", "tokenizer_config.json", "modeling_sweep.py", "README.md"];

/// The file with the parameters.
const PARAMETERS: &str = "model.safetensors";
/// The key in the section of `sweep` for the length and the digest of that file.
const DIGEST: &str = "parameters";

/// Python code of a BERT classifier with mean pooling, which `transformers` lacks.
const MEAN_POOLING_CODE: &str = include_str!("huggingface/modeling_sweep.py");

/// The file with the parameters of the exported model in `folder`, with what it was written as; `None` if the folder
/// holds no exported model, and no digest if an earlier version exported it.
pub(super) fn parameters(folder: &Place) -> Option<(Place, Option<FileDigest>)> {
    let config = folder.join("config.json").read_to_string().ok()?;
    let config: Value = serde_json::from_str(&config).ok()?;
    let digest = config.get("sweep")?.get(DIGEST).cloned();
    let digest = digest.and_then(|digest| serde_json::from_value(digest).ok());
    Some((folder.join(PARAMETERS), digest))
}

/// Whether `folder` holds an exported model: its `config.json` has the section of `sweep`.
pub(super) fn is_export(folder: &Place) -> bool {
    let config = folder.join("config.json").read_to_string().unwrap_or_default();
    serde_json::from_str::<Value>(&config).is_ok_and(|config| config.get("sweep").is_some())
}

/// Whether an export may write a file of this name.
pub(super) fn is_own_file(name: &str) -> bool {
    TOKENIZER_FILES.iter().chain(&OWN_FILES).any(|own| *own == name)
}

/// Writes `model` with these parameters into the new folder `folder`.
pub(super) fn write(model: &Model<'_>, weights: &Weights, folder: &Place) -> Result<(), ExportError> {
    let settings = &model.job.trial.settings;
    let put = |name: &str, bytes: &[u8]| {
        let place = folder.join(name);
        let failed = |source| ExportError::Write { path: place.path().to_owned(), source };
        files::write_atomically(&place, bytes).map_err(failed)
    };
    let parameters = folder.join(PARAMETERS);
    weights.write(&parameters, model.precision)?;
    let encoder = train::encoder_config(&settings.checkpoint)?;
    let family = encoder.family();
    let base = base_config(&settings.checkpoint)?;
    let mut config = Exported::config_json(&base, family, model.labels, settings, model.precision);
    if settings.pooling == Pooling::Mean {
        let class = format!("MeanPooling{}ForSequenceClassification", family.class);
        config["architectures"] = json!([class]);
        config["auto_map"] =
            json!({ "AutoModelForSequenceClassification": format!("modeling_sweep.{class}") });
        put("modeling_sweep.py", mean_pooling_code(family).as_bytes())?;
    }
    let unread = |source| ExportError::Read { path: parameters.path().to_owned(), source };
    config["sweep"][DIGEST] = json!(fingerprint::digest_of(&parameters).map_err(unread)?);
    put("config.json", format!("{config:#}\n").as_bytes())?;
    if let Some(checkpoint) = settings.checkpoint.folder() {
        for name in TOKENIZER_FILES {
            let path = checkpoint.join(name);
            if named::is_file(&path) {
                let bytes = named::read(&path).map_err(|source| ExportError::Read { path, source })?;
                put(name, &bytes)?;
            }
        }
    }
    let tokenizer = train::tokenizer_json(&settings.checkpoint, settings.lowercase)?;
    put("tokenizer.json", tokenizer.as_bytes())?;
    let has_types = encoder.type_vocab_size > 0;
    let config = train::tokenizer_config(&settings.checkpoint, &tokenizer, has_types, encoder.window())?;
    put("tokenizer_config.json", format!("{config:#}\n").as_bytes())?;
    put("README.md", card::card(model).as_bytes())
}

/// The Python code of a classifier with mean pooling over an encoder of `family`: the code for BERT with the
/// names of the family.
fn mean_pooling_code(family: &Family) -> String {
    let prefix = format!("self.{} = ", family.prefix);
    // The argument leaves out the pooler of BERT and RoBERTa. DistilBERT has none, and no such argument.
    let pooler = if family.token_types == 0 { "" } else { ", add_pooling_layer=False" };
    MEAN_POOLING_CODE
        .replace("Bert", family.class)
        .replace("self.bert = ", &prefix)
        .replace("self.bert(", &format!("self.{}(", family.prefix))
        .replace(", add_pooling_layer=False", pooler)
}

/// The checkpoint's own `config.json`, including the entries that `sweep` does not read.
fn base_config(checkpoint: &Checkpoint) -> Result<Value, ExportError> {
    let Some(folder) = checkpoint.folder() else {
        let config = train::encoder_config(checkpoint);
        return Ok(config.map_or(Value::Null, |config| json!(config)));
    };
    let path = folder.join("config.json");
    let text =
        named::read_to_string(&path).map_err(|source| ExportError::Read { path: path.clone(), source })?;
    serde_json::from_str(&text).map_err(|source| ExportError::Config { path, source })
}
