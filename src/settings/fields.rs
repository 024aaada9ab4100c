//! The settings of a trial: a field for each, and the defaults.

use serde::{Deserialize, Serialize};

use super::choices::{
    Aggregate, BestEpoch, ClassWeights, LongText, Lowercase, MatmulPrecision, Monitor, Pooling, Schedule,
    StopRule, TrainOn,
};
use crate::checkpoint::Checkpoint;

/// The part of the encoder that is not trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Freeze {
    /// The embeddings and this many lower layers; 0 trains everything.
    #[serde(rename = "layers")]
    Layers(usize),
    /// The whole encoder: only the classifier learns.
    #[serde(rename = "encoder")]
    Encoder,
}

/// Everything that decides how one trial is trained, apart from its data and its seed.
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
    #[serde(skip_serializing_if = "is_usual")]
    pub batch_tokens: usize,
    pub warmup_ratio: f64,
    pub schedule: Schedule,
    pub gradient_clip: f64,
    pub eval_every: usize,
    pub matmul_precision: MatmulPrecision,
    pub monitor: Monitor,
    #[serde(default = "as_monitored", skip_serializing_if = "is_monitored")]
    pub best_epoch: BestEpoch,
    pub patience: usize,
    pub min_delta: f64,
    #[serde(skip_serializing_if = "is_patience")]
    pub rule: StopRule,
    #[serde(skip_serializing_if = "is_usual_alpha")]
    pub alpha: f64,
    #[serde(skip_serializing_if = "is_usual_strip")]
    pub strip: usize,
    #[serde(skip_serializing_if = "is_usual_s")]
    pub s: usize,
}

/// Padded tokens of a pass in versions without a setting for it.
const BATCH_TOKENS: usize = 16_384;

/// Plans and jobs of versions without this setting stay as they are.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual(batch_tokens: &usize) -> bool {
    *batch_tokens == BATCH_TOKENS
}

/// What plans and jobs without this setting mean: those of versions that kept the best epoch by `monitor`. Specs
/// without it have the default below.
const fn as_monitored() -> BestEpoch {
    BestEpoch::Monitor
}

/// Likewise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_monitored(best_epoch: &BestEpoch) -> bool {
    *best_epoch == as_monitored()
}

/// Likewise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_patience(rule: &StopRule) -> bool {
    *rule == StopRule::Patience
}

/// The generalisation loss that stops a trial, in percent, unless a spec says another one: the most patient one that
/// Prechelt (1998) examines.
const ALPHA: f64 = 5.0;
/// Evaluations of a strip, likewise: Prechelt's.
const STRIP: usize = 5;
/// Strips in a row that end worse, likewise: one of Prechelt's 2, 3, 4, 6 and 8.
const STRIPS: usize = 3;

/// Likewise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual_alpha(alpha: &f64) -> bool {
    alpha.to_bits() == ALPHA.to_bits()
}

/// Likewise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual_strip(strip: &usize) -> bool {
    *strip == STRIP
}

/// Likewise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual_s(s: &usize) -> bool {
    *s == STRIPS
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
            batch_tokens: BATCH_TOKENS,
            warmup_ratio: 0.1,
            schedule: Schedule::Linear,
            gradient_clip: 1.0,
            eval_every: 0,
            matmul_precision: MatmulPrecision::F32,
            monitor: Monitor::ValLoss,
            best_epoch: BestEpoch::ValF1,
            patience: 2,
            min_delta: 0.0,
            rule: StopRule::Patience,
            alpha: ALPHA,
            strip: STRIP,
            s: STRIPS,
        }
    }
}
