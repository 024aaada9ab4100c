//! What a trial can be told: every setting, its section, kind, bounds and default.
//!
//! [`KEYS`] is the one table that the spec reader, the search space, the plan and
//! the README's reference share. A new setting is one field and one row here.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;

mod choices;
mod prefix;
mod value;

pub use choices::{
    Aggregate, ClassWeights, LongText, Lowercase, MatmulPrecision, Monitor, Pooling, Schedule, TrainOn,
};
pub use prefix::ENDS;
pub use value::Value;

/// Settings that have no part in the choice of seeds and draws: how long a training lasts, and how exactly
/// it computes. Trials that differ in nothing else are then compared without luck.
pub const UNSEEDED: [&str; 3] = ["epochs", "patience", "matmul_precision"];

/// How much of the encoder stays as it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Freeze {
    /// The embeddings and this many lower layers; 0 trains everything.
    #[serde(rename = "layers")]
    Layers(usize),
    /// The whole encoder: only the classifier learns.
    #[serde(rename = "encoder")]
    Encoder,
}

/// Everything that decides how one trial is trained, apart from data and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each field is described by its row in KEYS")]
pub struct Settings {
    pub checkpoint: Checkpoint,
    pub pooling: Pooling,
    pub freeze: Freeze,
    pub reinit_layers: usize,
    pub dropout: f64,
    pub lowercase: Lowercase,
    pub chunk_length: usize,
    pub chunk_stride: usize,
    pub long: LongText,
    pub max_chunks: usize,
    pub aggregate: Aggregate,
    pub train_on: TrainOn,
    pub learning_rate: f64,
    pub head_learning_rate: f64,
    pub layer_decay: f64,
    pub weight_decay: f64,
    pub label_smoothing: f64,
    pub class_weights: ClassWeights,
    pub epochs: usize,
    pub batch_size: usize,
    pub gradient_accumulation: usize,
    pub warmup_ratio: f64,
    pub schedule: Schedule,
    pub gradient_clip: f64,
    pub eval_every: usize,
    pub matmul_precision: MatmulPrecision,
    pub monitor: Monitor,
    pub patience: usize,
    pub min_delta: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            checkpoint: Checkpoint::Mini,
            pooling: Pooling::Cls,
            freeze: Freeze::Layers(0),
            reinit_layers: 0,
            dropout: 0.1,
            lowercase: Lowercase::Tokenizer,
            chunk_length: 128,
            chunk_stride: 32,
            long: LongText::Chunk,
            max_chunks: 0,
            aggregate: Aggregate::Mean,
            train_on: TrainOn::Documents,
            learning_rate: 2e-5,
            head_learning_rate: 0.0,
            layer_decay: 1.0,
            weight_decay: 0.01,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            epochs: 3,
            batch_size: 32,
            gradient_accumulation: 1,
            warmup_ratio: 0.1,
            schedule: Schedule::Linear,
            gradient_clip: 1.0,
            eval_every: 0,
            matmul_precision: MatmulPrecision::F32,
            monitor: Monitor::ValLoss,
            patience: 2,
            min_delta: 0.0,
        }
    }
}

/// The table of a spec in which a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[model]`
    Model,
    /// `[text]`
    Text,
    /// `[train]`
    Train,
    /// `[early_stopping]`
    EarlyStopping,
}

impl Section {
    /// The table's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Text => "text",
            Self::Train => "train",
            Self::EarlyStopping => "early_stopping",
        }
    }
}

/// The values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number, both bounds included.
    Int {
        /// Lowest.
        min: i64,
        /// Highest.
        max: i64,
    },
    /// A number from `min` to `max`; `min` itself only if `min_included`, `max` itself never if `max` is a limit.
    Float {
        /// Lower bound.
        min: f64,
        /// Whether the lower bound itself is allowed.
        min_included: bool,
        /// Upper bound.
        max: f64,
        /// Whether the upper bound itself is allowed.
        max_included: bool,
    },
    /// One of these names.
    Choice(&'static [&'static str]),
    /// Any text but the empty one.
    Text,
    /// A number of layers, or `"encoder"`.
    Freeze,
}

/// One setting.
pub struct Key {
    /// Its name in a spec.
    pub name: &'static str,
    /// Its table.
    pub section: Section,
    /// Its values.
    pub kind: Kind,
    /// What it does, in a line.
    pub about: &'static str,
    get: fn(&Settings) -> Value,
    set: fn(&mut Settings, &Value) -> Option<()>,
}

/// Why a value cannot be given to a setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` must be {expected}, not {found}")]
pub struct ValueError {
    /// The setting.
    pub key: &'static str,
    /// What it takes, in words.
    pub expected: String,
    /// What was given.
    pub found: String,
}

impl Kind {
    /// What the setting takes, in words, for messages and the reference.
    #[must_use]
    pub fn describe(&self) -> String {
        match *self {
            Self::Int { min, max: i64::MAX } => format!("a whole number of at least {min}"),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float { min, min_included, max, .. } if max.is_infinite() => {
                if min_included {
                    format!("a number of at least {min}")
                } else {
                    format!("a number above {min}")
                }
            }
            Self::Float { min, min_included, max, max_included } => format!(
                "a number in {}{min}, {max}{}",
                if min_included { '[' } else { '(' },
                if max_included { ']' } else { ')' },
            ),
            Self::Choice(names) => {
                let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Text => "a text that is not empty".to_owned(),
            Self::Freeze => "a number of layers, or \"encoder\"".to_owned(),
        }
    }

    /// Whether the setting takes `value`. A whole number serves where a number is wanted.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Int { min, max }, Value::Int(int)) => (min..=max).contains(&int),
            (Self::Float { min, min_included, max, max_included }, Value::Int(_) | Value::Float(_)) => {
                value.as_f64().is_some_and(|float| {
                    float.is_finite()
                        && (float > *min || (*min_included && float >= *min))
                        && (float < *max || (*max_included && float <= *max))
                })
            }
            (Self::Choice(names), Value::Text(text)) => names.contains(&text.as_str()),
            (Self::Text, Value::Text(text)) => !text.trim().is_empty(),
            (Self::Freeze, Value::Int(int)) => (0..=1024).contains(int),
            (Self::Freeze, Value::Text(text)) => text == "encoder",
            _ => false,
        }
    }

    /// Whether values of this kind are numbers, so that a range makes sense.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Int { .. } | Self::Float { .. })
    }
}

impl Key {
    /// This setting's value in `settings`.
    #[must_use]
    pub fn get(&self, settings: &Settings) -> Value {
        (self.get)(settings)
    }

    /// Gives this setting `value`.
    ///
    /// # Errors
    /// When the value is of another kind or out of bounds; `settings` is unchanged then.
    pub fn set(&self, settings: &mut Settings, value: &Value) -> Result<(), ValueError> {
        let error = || ValueError { key: self.name, expected: self.kind.describe(), found: quoted(value) };
        if !self.kind.admits(value) {
            return Err(error());
        }
        (self.set)(settings, value).ok_or_else(error)
    }
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Int(_) | Value::Float(_) => value.to_string(),
    }
}

/// The setting called `name`.
#[must_use]
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(int) => usize::try_from(*int).ok(),
        Value::Float(_) | Value::Text(_) => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Int(_) | Value::Float(_) => None,
    }
}

#[expect(clippy::cast_possible_wrap, reason = "sizes come from i64")]
const fn int(size: usize) -> Value {
    Value::Int(size as i64)
}

macro_rules! key {
    ($section:ident, $field:ident, size $min:literal..=$max:expr, $about:literal) => {
        Key {
            name: stringify!($field),
            section: Section::$section,
            kind: Kind::Int { min: $min, max: $max },
            about: $about,
            get: |settings| int(settings.$field),
            set: |settings, value| size(value).map(|size| settings.$field = size),
        }
    };
    ($section:ident, $field:ident, float $min:literal $min_in:literal $max:expr, $max_in:literal, $about:literal) => {
        Key {
            name: stringify!($field),
            section: Section::$section,
            kind: Kind::Float { min: $min, min_included: $min_in, max: $max, max_included: $max_in },
            about: $about,
            get: |settings| Value::Float(settings.$field),
            set: |settings, value| value.as_f64().map(|float| settings.$field = float),
        }
    };
    ($section:ident, $field:ident, $choice:ident, $about:literal) => {
        Key {
            name: stringify!($field),
            section: Section::$section,
            kind: Kind::Choice($choice::NAMES),
            about: $about,
            get: |settings| Value::Text(settings.$field.as_str().to_owned()),
            set: |settings, value| $choice::parse(text(value)?).map(|choice| settings.$field = choice),
        }
    };
}

/// Every setting, in the order in which the reference shows them.
pub static KEYS: &[Key] = &[
    Key {
        name: "checkpoint",
        section: Section::Model,
        kind: Kind::Text,
        about: "a hub id such as \"owner/name\", a local folder with a Hugging Face encoder, or \"builtin:mini\"",
        get: |settings| Value::Text(settings.checkpoint.to_string()),
        set: |settings, value| text(value).map(|text| settings.checkpoint = Checkpoint::parse(text)),
    },
    key!(Model, pooling, Pooling, "what stands for a chunk: its first token, or the mean of all"),
    Key {
        name: "freeze",
        section: Section::Model,
        kind: Kind::Freeze,
        about: "lower layers (with the embeddings) that do not learn; \"encoder\": only the head learns",
        get: |settings| match settings.freeze {
            Freeze::Layers(layers) => int(layers),
            Freeze::Encoder => Value::Text("encoder".to_owned()),
        },
        set: |settings, value| {
            settings.freeze = match value {
                Value::Int(_) => Freeze::Layers(size(value)?),
                Value::Text(_) => Freeze::Encoder,
                Value::Float(_) => return None,
            };
            Some(())
        },
    },
    key!(Model, reinit_layers, size 0..=1024, "top layers that begin anew, and the dense layer of the head with them"),
    key!(Model, dropout, float 0.0 true 1.0, false, "dropout on embeddings, attention and hidden states, and before the classifier"),
    key!(Text, lowercase, Lowercase, "lower-casing: as the tokenizer's files say, always, or never"),
    key!(Text, chunk_length, size 8..=65_536, "tokens of a chunk, special tokens included; at most the encoder's window"),
    key!(Text, chunk_stride, size 0..=65_536, "tokens shared by neighbouring chunks"),
    key!(Text, long, LongText, "what becomes of texts longer than a chunk"),
    key!(Text, max_chunks, size 0..=1_000_000, "chunks of a document at most, the first ones; 0: all"),
    key!(Text, aggregate, Aggregate, "a document's logits from its chunks'"),
    key!(Text, train_on, TrainOn, "what a training example is: a document, or each chunk by itself"),
    key!(Train, learning_rate, float 0.0 false f64::INFINITY, false, "peak learning rate of AdamW"),
    key!(Train, head_learning_rate, float 0.0 true f64::INFINITY, false, "peak learning rate of the head; 0: that of the encoder"),
    key!(Train, layer_decay, float 0.0 false 1.0, true, "factor on the learning rate from each layer to the one below it"),
    key!(Train, weight_decay, float 0.0 true f64::INFINITY, false, "decoupled decay; none on biases and LayerNorm"),
    key!(Train, label_smoothing, float 0.0 true 1.0, false, "share of each label that is spread evenly over all classes"),
    key!(
        Train,
        class_weights,
        ClassWeights,
        "how much classes count in the training loss; balanced: rare ones more"
    ),
    key!(Train, epochs, size 1..=100_000, "passes over the training set at most"),
    key!(Train, batch_size, size 1..=65_536, "training examples of one step"),
    key!(Train, gradient_accumulation, size 1..=65_536, "parts in which a step's batch is computed, to save memory"),
    key!(Train, warmup_ratio, float 0.0 true 1.0, true, "share of all steps in which the learning rate rises from 0"),
    key!(Train, schedule, Schedule, "the learning rate after warm-up"),
    key!(Train, gradient_clip, float 0.0 true f64::INFINITY, false, "largest norm of the whole gradient; 0: no limit"),
    key!(Train, eval_every, size 0..=1_000_000_000, "steps between evaluations; 0: once an epoch"),
    key!(
        Train,
        matmul_precision,
        MatmulPrecision,
        "factors of the encoder's matrix products on the CPU: as they are, or rounded to bf16 (sums stay f32)"
    ),
    key!(EarlyStopping, monitor, Monitor, "the validation figure that decides"),
    key!(EarlyStopping, patience, size 1..=1_000_000, "evaluations without improvement before a trial stops"),
    key!(EarlyStopping, min_delta, float 0.0 true f64::INFINITY, false, "the least improvement that counts"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_gets_what_it_was_set_to() {
        let settings = Settings::default();
        for key in KEYS {
            let mut copy = settings.clone();
            let value = key.get(&settings);
            key.set(&mut copy, &value).expect(key.name);
            assert_eq!(key.get(&copy), value, "{}", key.name);
        }
    }

    #[test]
    fn a_dropout_of_one_is_refused_and_changes_nothing() {
        let mut settings = Settings::default();
        let error = key("dropout").unwrap().set(&mut settings, &Value::Float(1.0)).unwrap_err();
        assert_eq!(error.to_string(), "`dropout` must be a number in [0, 1), not 1");
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_whole_number_serves_as_a_number() {
        let mut settings = Settings::default();
        key("gradient_clip").unwrap().set(&mut settings, &Value::Int(2)).unwrap();
        assert!((settings.gradient_clip - 2.0).abs() < f64::EPSILON);
    }
}
