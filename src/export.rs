//! `export-best`: a trial's best parameters as a Hugging Face folder.
//!
//! The folder opens in `transformers` and in `sweep predict`. It is made beside
//! its place and moved there whole, so that no half-written model is ever seen.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    checkpoint::Checkpoint,
    data::Source,
    display,
    event::Outcome,
    job::Job,
    leaderboard::ClassFigures,
    metrics::{Average, Scores, Target},
    settings::{KEYS, Pooling, Settings},
    system::files,
    train::{
        self, Catalog, CheckpointError, ConfigError, Exported, Family, Misfit, Precision, TokenizerError,
        Weights, WeightsError,
    },
};

/// The tokenizer's files that are copied when the checkpoint has them.
const TOKENIZER_FILES: [&str; 6] = [
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "added_tokens.json",
];
/// Everything else that [`export`] writes.
const OWN_FILES: [&str; 6] = [
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modeling_sweep.py",
    "README.md",
];

/// The model code that mean pooling needs, since `transformers` has no such classifier; for BERT.
const MEAN_POOLING_CODE: &str = include_str!("export/modeling_sweep.py");

/// What is exported.
pub struct Model<'a> {
    /// The trial.
    pub job: &'a Job,
    /// Its folder.
    pub folder: &'a Path,
    /// Class names, by index.
    pub labels: &'a [String],
    /// Its figures.
    pub outcome: &'a Outcome,
    /// The type of the parameters that are written.
    pub precision: Precision,
}

/// Why a model could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The place is taken by something that is not an exported model.
    #[error("{path} exists and is no exported model; name another folder with --out")]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// Something that is not ours stands among the files of an exported model.
    #[error(
        "{path} holds what sweep did not write ({found}) and would be replaced; name another folder with --out"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The first of those names.
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
    /// The trial's parameters are not those of its model.
    #[error("{path} does not hold the trial's model")]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
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
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
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
        /// Why.
        source: serde_json::Error,
    },
}

/// Writes `model` to `out`. An exported model that stands there is replaced.
///
/// # Errors
/// When something else stands at `out`, the parameters are damaged, or a file cannot be read or
/// written; `out` is unchanged then.
pub fn export(model: &Model<'_>, out: &Path) -> Result<(), ExportError> {
    // Through a link, it is the folder behind it that is replaced.
    let real = std::fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    if real.exists() {
        refuse_others(&real, out)?;
    }
    let write = |path: &Path, source| ExportError::Write { path: path.to_owned(), source };
    let parent = match real.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let weights = parameters(model)?;
    std::fs::create_dir_all(parent).map_err(|source| write(parent, source))?;
    let beside = tempfile::Builder::new()
        .prefix(".tmp-export-")
        .tempdir_in(parent)
        .map_err(|source| write(parent, source))?;
    let made = beside.path().join("model");
    write_files(model, &weights, &made)?;
    if real.exists() {
        // The old one goes with the temporary folder.
        std::fs::rename(&real, beside.path().join("old")).map_err(|source| write(out, source))?;
    }
    std::fs::rename(&made, &real).map_err(|source| write(out, source))
}

/// Refuses a folder that is neither empty nor written by [`export`] alone.
fn refuse_others(folder: &Path, out: &Path) -> Result<(), ExportError> {
    let taken = || ExportError::Taken { path: out.to_owned() };
    let entries = std::fs::read_dir(folder).map_err(|_| taken())?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    if names.is_empty() {
        return Ok(());
    }
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    if !serde_json::from_str::<Value>(&config).is_ok_and(|config| config.get("sweep").is_some()) {
        return Err(taken());
    }
    names.sort();
    let ours = |name: &String| TOKENIZER_FILES.iter().chain(&OWN_FILES).any(|own| own == name);
    match names.into_iter().find(|name| !ours(name)) {
        Some(found) => Err(ExportError::Foreign { path: out.to_owned(), found }),
        None => Ok(()),
    }
}

/// The trial's best parameters, whole and of the right shapes.
fn parameters(model: &Model<'_>) -> Result<Weights, ExportError> {
    let path = model.folder.join("best").join("model.safetensors");
    if !path.is_file() {
        return Err(ExportError::Parameters { path });
    }
    let catalog = Catalog::of_file(&path)?;
    let settings = &model.job.trial.settings;
    let config = train::encoder_config(&settings.checkpoint)?;
    let names = train::fits(&config, settings.pooling, model.labels.len(), &catalog)
        .map_err(|source| ExportError::Misfit { path, source })?;
    Ok(catalog.load(&names)?)
}

fn write_files(model: &Model<'_>, weights: &Weights, made: &Path) -> Result<(), ExportError> {
    let settings = &model.job.trial.settings;
    let put = |name: &str, bytes: &[u8]| {
        let path = made.join(name);
        files::write_atomically(&path, bytes).map_err(|source| ExportError::Write { path, source })
    };
    weights.write(&made.join("model.safetensors"), model.precision)?;
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
    put("config.json", format!("{config:#}\n").as_bytes())?;
    if let Some(folder) = settings.checkpoint.folder() {
        for name in TOKENIZER_FILES {
            let path = folder.join(name);
            if path.is_file() {
                let bytes = std::fs::read(&path).map_err(|source| ExportError::Read { path, source })?;
                put(name, &bytes)?;
            }
        }
    }
    let tokenizer = train::tokenizer_json(&settings.checkpoint, settings.lowercase)?;
    put("tokenizer.json", tokenizer.as_bytes())?;
    let has_types = encoder.type_vocab_size > 0;
    let config = train::tokenizer_config(&settings.checkpoint, &tokenizer, has_types, encoder.window())?;
    put("tokenizer_config.json", format!("{config:#}\n").as_bytes())?;
    put("README.md", card(model).as_bytes())
}

/// The code for mean pooling over an encoder of `family`.
fn mean_pooling_code(family: &Family) -> String {
    let prefix = format!("self.{} = ", family.prefix);
    // DistilBERT has no pooler to leave out.
    let pooler = if family.token_types == 0 { "" } else { ", add_pooling_layer=False" };
    MEAN_POOLING_CODE
        .replace("Bert", family.class)
        .replace("self.bert = ", &prefix)
        .replace("self.bert(", &format!("self.{}(", family.prefix))
        .replace(", add_pooling_layer=False", pooler)
}

/// The checkpoint's own `config.json`, with all that `sweep` does not read.
fn base_config(checkpoint: &Checkpoint) -> Result<Value, ExportError> {
    let Some(folder) = checkpoint.folder() else {
        let config = train::encoder_config(checkpoint);
        return Ok(config.map_or(Value::Null, |config| json!(config)));
    };
    let path = folder.join("config.json");
    let text =
        std::fs::read_to_string(&path).map_err(|source| ExportError::Read { path: path.clone(), source })?;
    serde_json::from_str(&text).map_err(|source| ExportError::Config { path, source })
}

/// The model card: data, settings, figures, and how to use it.
fn card(model: &Model<'_>) -> String {
    let Model { job, labels, outcome, .. } = model;
    let settings = &job.trial.settings;
    let test = &outcome.test;
    let mut card = String::from(
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags: [sweep]\n---\n",
    );
    let figure = match test.target() {
        Target::Class(_) => "F1",
        Target::Average(Average::Macro) => "Macro-F1",
        Target::Average(Average::Micro) => "Micro-F1",
        Target::Average(Average::Weighted) => "Weighted F1",
    };
    // Writing to a String cannot fail.
    let _ = write!(
        card,
        "# {} / trial {}\n\nA text classifier with the classes {}. Fine-tuned from `{}` by `sweep`; the best of \
         its sweep's trials by the figure that it was exported for.\n\n\
         ## Figures\n\n| | validation | test |\n| --- | --- | --- |\n",
        job.sweep,
        job.trial.id,
        labels.iter().map(|label| display::markdown(&display::plain(label))).collect::<Vec<_>>().join(", "),
        settings.checkpoint.title(),
    );
    for (name, validation, test) in [
        (figure, outcome.validation.f1, test.f1),
        ("Precision", outcome.validation.precision, test.precision),
        ("Recall", outcome.validation.recall, test.recall),
        ("Accuracy", outcome.validation.accuracy, test.accuracy),
        ("Loss", outcome.validation.loss, test.loss),
    ] {
        let _ = writeln!(card, "| {name} | {validation:.4} | {test:.4} |");
    }
    let _ = write!(
        card,
        "\n{figure} on the test set ({} documents) with its 95 % interval: {:.4} [{:.4}, {:.4}]. The validation set \
         chose the epoch ({} of {}); the test set was measured once, with these parameters. Where several trials \
         were compared by their test figures, the best of them is an optimistic estimate.\n",
        test.confusion.total(),
        test.f1,
        test.f1_low,
        test.f1_high,
        outcome.best_epoch,
        settings.epochs,
    );
    if let Some(positive) = test.positive.and_then(|positive| labels.get(positive)) {
        let _ = writeln!(
            card,
            "\nPrecision, recall and F1 are those of the class {}.",
            display::markdown(&display::plain(positive))
        );
    }
    card.push_str(&classes_table(test, labels));
    card.push_str(&data_section(job));
    card.push_str(&settings_section(settings, job.trial.seed));
    card.push_str(&use_section(settings));
    card
}

/// The test set by class.
fn classes_table(test: &Scores, labels: &[String]) -> String {
    let mut table = String::from(
        "\nThe test set by class:\n\n| class | precision | recall | F1 | documents |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for class in ClassFigures::of(&test.confusion, labels) {
        let label = display::markdown(&display::plain(&class.label));
        let ClassFigures { precision, recall, f1, support, .. } = class;
        let _ = writeln!(table, "| {label} | {precision:.4} | {recall:.4} | {f1:.4} | {support} |");
    }
    if test.positive.is_none() {
        let f1 = |average| test.confusion.rates(Target::Average(average)).f1;
        let [macro_f1, micro, weighted] = Average::ALL.map(f1);
        let _ = writeln!(table, "\nMacro-F1 {macro_f1:.4}, micro-F1 {micro:.4}, weighted F1 {weighted:.4}.");
    }
    table
}

fn data_section(job: &Job) -> String {
    let name =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let files = match &job.data.source {
        Source::Files { train, validation, test } => {
            format!("train `{}`, validation `{}`, test `{}`", name(train), name(validation), name(test))
        }
        Source::Single { path, .. } => format!("`{}`, split at random within each class", name(path)),
        Source::Reviews { .. } => {
            "`builtin:reviews`, generated, split at random within each class".to_owned()
        }
    };
    format!("\n## Data\n\n{files}; texts in column `{}`, classes in `{}`.\n", job.data.text, job.data.label)
}

fn settings_section(settings: &Settings, seed: u64) -> String {
    let mut section = String::from("\n## Settings\n\n| setting | value |\n| --- | --- |\n");
    for key in KEYS {
        let value = match key.name {
            // Where a folder stood on the training machine is nobody's business.
            "checkpoint" => settings.checkpoint.title(),
            _ => key.get(settings).to_string(),
        };
        let _ = writeln!(section, "| {} | {value} |", key.name);
    }
    let _ = writeln!(section, "| seed | {seed} |");
    section
}

fn use_section(settings: &Settings) -> String {
    let trust = match settings.pooling {
        Pooling::Cls => "",
        Pooling::Mean => ", trust_remote_code=True",
    };
    format!(
        "\n## Use\n\n```sh\nsweep predict --model . \"a text\"\n```\n\n```python\n\
         from transformers import AutoModelForSequenceClassification, AutoTokenizer\n\
         tokenizer = AutoTokenizer.from_pretrained(\".\")\n\
         model = AutoModelForSequenceClassification.from_pretrained(\".\"{trust})\n\
         inputs = tokenizer([\"a text\"], truncation=True, max_length={}, return_tensors=\"pt\")\n\
         print(model.config.id2label[model(**inputs).logits.argmax(-1).item()])\n```\n\n\
         `sweep predict` reads texts longer than {} tokens as they were read in training (`{}`, stride {}, \
         `{}` of the chunks' logits); the lines above read their first tokens only.\n",
        settings.chunk_length,
        settings.chunk_length,
        settings.long.as_str(),
        settings.chunk_stride,
        settings.aggregate.as_str(),
    )
}
