//! The table of all settings: one row for each.

use super::{
    choices::{
        Aggregate, BestEpoch, ClassWeights, LongText, Lowercase, MatmulPrecision, Monitor, Pooling, Schedule,
        StopRule, TrainOn,
    },
    fields::Freeze,
    key::{Section, SettingKey, ValueKind},
    value::Value,
};
use crate::checkpoint::Checkpoint;

/// The setting called `name`.
#[must_use]
pub fn key(name: &str) -> Option<&'static SettingKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// `value` as a size; `None` unless it is a whole number from 0.
fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(int) => usize::try_from(*int).ok(),
        Value::Float(_) | Value::Text(_) => None,
    }
}

/// `value` as a text; `None` for a number.
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

/// A row of [`KEYS`] for a field of the same name.
macro_rules! key {
    ($section:ident, $field:ident, size $min:literal..=$max:expr, $about:literal) => {
        SettingKey {
            name: stringify!($field),
            section: Section::$section,
            kind: ValueKind::Int { min: $min, max: $max },
            about: $about,
            get: |settings| int(settings.$field),
            set: |settings, value| size(value).map(|size| settings.$field = size),
        }
    };
    ($section:ident, $field:ident, float $min:literal $min_in:literal $max:expr, $max_in:literal, $about:literal) => {
        SettingKey {
            name: stringify!($field),
            section: Section::$section,
            kind: ValueKind::Float { min: $min, min_included: $min_in, max: $max, max_included: $max_in },
            about: $about,
            get: |settings| Value::Float(settings.$field),
            set: |settings, value| value.as_f64().map(|float| settings.$field = float),
        }
    };
    ($section:ident, $field:ident, $choice:ident, $about:literal) => {
        SettingKey {
            name: stringify!($field),
            section: Section::$section,
            kind: ValueKind::Choice($choice::NAMES),
            about: $about,
            get: |settings| Value::Text(settings.$field.as_str().to_owned()),
            set: |settings, value| $choice::parse(text(value)?).map(|choice| settings.$field = choice),
        }
    };
}

/// Every setting, in the order of the reference.
pub static KEYS: &[SettingKey] = &[
    SettingKey {
        name: "checkpoint",
        section: Section::Model,
        kind: ValueKind::Text,
        about: "a hub id such as \"owner/name\", a local folder with a Hugging Face encoder, or \"builtin:mini\"",
        get: |settings| Value::Text(settings.checkpoint.to_string()),
        set: |settings, value| text(value).map(|text| settings.checkpoint = Checkpoint::parse(text)),
    },
    key!(Model, pooling, Pooling, "what stands for a chunk: its first token, or the mean of all"),
    SettingKey {
        name: "freeze",
        section: Section::Model,
        kind: ValueKind::Freeze,
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
    key!(Train, batch_tokens, size 8..=1_000_000_000, "padded tokens of one forward and backward pass at most; a larger batch is computed in parts"),
    key!(Train, warmup_ratio, float 0.0 true 1.0, true, "share of all steps in which the learning rate rises from 0"),
    key!(Train, schedule, Schedule, "the learning rate after warm-up"),
    key!(Train, gradient_clip, float 0.0 true f64::INFINITY, false, "largest norm of the whole gradient; 0: no limit"),
    key!(Train, eval_every, size 0..=1_000_000_000, "steps between evaluations; 0: once an epoch"),
    key!(
        Train,
        matmul_precision,
        MatmulPrecision,
        "factors of the encoder's matrix products: as they are, or rounded to tf32 (NVIDIA GPUs) or bf16 (sums stay f32)"
    ),
    key!(EarlyStopping, monitor, Monitor, "the validation figure that decides when a trial stops"),
    key!(EarlyStopping, best_epoch, BestEpoch, "the validation figure whose best epoch is kept"),
    key!(EarlyStopping, patience, size 1..=1_000_000, "evaluations without improvement before a trial stops"),
    key!(EarlyStopping, min_delta, float 0.0 true f64::INFINITY, false, "the least improvement that counts"),
    key!(
        EarlyStopping,
        rule,
        StopRule,
        "what stops a trial: patience, or one of Prechelt's rules in its place"
    ),
    key!(EarlyStopping, alpha, float 0.0 true f64::INFINITY, false, "with \"gl\" and \"pq\": the value of the rule above which a trial stops"),
    key!(EarlyStopping, strip, size 1..=1_000_000, "with \"pq\" and \"up\": evaluations of a strip, at whose end the rule is looked at"),
    key!(EarlyStopping, s, size 1..=1_000_000, "with \"up\": strips in a row that end worse than the strip before"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::fields::Settings;

    #[test]
    fn every_key_reads_the_value_that_it_has_written() {
        let settings = Settings::default();
        for key in KEYS {
            let mut copy = settings.clone();
            let value = key.get(&settings);
            key.set(&mut copy, &value).expect(key.name);
            assert_eq!(key.get(&copy), value, "{}", key.name);
        }
    }

    #[test]
    fn a_dropout_of_one_is_refused() {
        let error = key("dropout").unwrap().set(&mut Settings::default(), &Value::Float(1.0)).unwrap_err();
        assert_eq!(error.to_string(), "`dropout` must be a number in [0, 1), not 1");
    }

    #[test]
    fn a_value_that_is_refused_changes_nothing() {
        let mut settings = Settings::default();
        assert!(key("dropout").unwrap().set(&mut settings, &Value::Float(1.0)).is_err());
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_whole_number_is_accepted_for_a_number() {
        let mut settings = Settings::default();
        key("gradient_clip").unwrap().set(&mut settings, &Value::Int(2)).unwrap();
        assert!((settings.gradient_clip - 2.0).abs() < f64::EPSILON);
    }
}
