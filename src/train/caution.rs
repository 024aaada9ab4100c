//! Settings under which a training learns nothing, or destroys what was learned, found before it starts.
//!
//! The bounds are wide: a value within them may still be a bad choice, but a value beyond them is most likely a
//! mistake.

use super::learning::schedule::LearningRate;
use crate::{
    checkpoint::Checkpoint,
    numbers::{count, count_u64},
    settings::{Freeze, Monitor, Settings, StopRule, TrainOn, Value},
};

/// Usual learning rates for fine-tuning a pretrained encoder. Devlin et al. (2019, "BERT", appendix A.3)
/// recommend 2e-5 to 5e-5; small encoders bear ten times as much.
const PRETRAINED_RATES: (f64, f64) = (1e-6, 1e-3);
/// Usual learning rates for training from random parameters.
const FRESH_RATES: (f64, f64) = (1e-5, 0.05);
/// Usual learning rates of a head by itself, which is a shallow classifier.
const HEAD_RATES: (f64, f64) = (1e-5, 0.1);
/// Largest dropout that is usual; Srivastava et al. (2014) never drop more than half of the hidden units.
const DROPOUT_MAX: f64 = 0.6;
/// Largest share of a label that is usually spread over the classes.
const LABEL_SMOOTHING_MAX: f64 = 0.5;
/// Largest share of each weight that weight decay may take in one step.
const STEP_DECAY_MAX: f64 = 0.05;
/// Gradients with a smaller norm than this vanish beside the epsilon of AdamW, 1e-8 for each parameter.
const GRADIENT_CLIP_MIN: f64 = 1e-5;

/// What a training has besides its settings.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Training documents.
    pub documents: usize,
    /// Classes.
    pub classes: usize,
    /// Layers of the encoder.
    pub layers: usize,
}

/// A setting whose value is most likely a mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Caution {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value.
    pub value: Value,
    /// What follows: the end of a sentence that begins with setting and value. It depends on the value only
    /// where trials with other values should be listed apart.
    pub fault: String,
}

/// The cautions about a training with `settings`.
#[must_use]
pub fn cautions(settings: &Settings, circumstances: Circumstances) -> Vec<Caution> {
    let found = [
        warmup(settings, circumstances),
        frozen(settings, circumstances),
        improvement(settings, circumstances),
        strips(settings),
    ];
    found
        .into_iter()
        .flatten()
        .chain(rates(settings))
        .chain(decay(settings, circumstances))
        .chain(shares(settings))
        .collect()
}

fn caution(setting: &'static str, value: Value, fault: impl Into<String>) -> Caution {
    Caution { setting, value, fault: fault.into() }
}

/// Whether the encoder's parameters come from a pretraining.
fn is_pretrained(settings: &Settings) -> bool {
    settings.checkpoint != Checkpoint::Mini
}

/// The optimiser steps of a training that is not stopped early; `None` where examples are chunks, whose number
/// is not known before the texts are cut.
fn steps(settings: &Settings, documents: usize) -> Option<u64> {
    let is_by_document = settings.train_on == TrainOn::Documents;
    let steps = || documents.div_ceil(settings.batch_size).saturating_mul(settings.epochs) as u64;
    is_by_document.then(steps)
}

/// A warm-up that lasts as long as the training.
fn warmup(settings: &Settings, circumstances: Circumstances) -> Option<Caution> {
    let steps = steps(settings, circumstances.documents).filter(|steps| *steps > 0)?;
    let value = Value::Float(settings.warmup_ratio);
    let rate = LearningRate::new(settings, steps);
    if steps == 1 && rate.at(0) == 0.0 {
        let fault = "leaves a learning rate of 0, since the whole training is a single step: nothing is learned; set \
                     warmup_ratio = 0, more epochs or a smaller batch_size";
        return Some(caution("warmup_ratio", value, fault));
    }
    rate.is_warming_up(steps - 1).then(|| {
        let fault = format!("is a warm-up of all {steps} steps: the learning rate never reaches its peak");
        caution("warmup_ratio", value, fault)
    })
}

/// Layers that cannot learn and hold nothing that was learned.
fn frozen(settings: &Settings, circumstances: Circumstances) -> Option<Caution> {
    let (layers, value) = match settings.freeze {
        Freeze::Layers(0) => return None,
        Freeze::Layers(layers) => (layers, Value::Int(i64::try_from(layers).unwrap_or(i64::MAX))),
        Freeze::Encoder => (circumstances.layers, Value::Text("encoder".to_owned())),
    };
    if !is_pretrained(settings) {
        let fault = "freezes layers of builtin:mini, whose parameters are random: they never learn anything";
        return Some(caution("freeze", value, fault));
    }
    let is_overlap = settings.reinit_layers > 0 && layers + settings.reinit_layers > circumstances.layers;
    is_overlap.then(|| {
        let fault =
            "freezes layers that reinit_layers begins anew: they stay random and never learn anything";
        caution("freeze", value, fault)
    })
}

/// A `min_delta` that no improvement reaches: the loss of a fair guess is the logarithm of the number of
/// classes, and F1 is at most 1.
fn improvement(settings: &Settings, circumstances: Circumstances) -> Option<Caution> {
    let most = match settings.monitor {
        Monitor::ValLoss => count(circumstances.classes.max(2)).ln(),
        Monitor::ValF1 => 1.0,
    };
    (settings.min_delta >= most).then(|| {
        let fault = "is more than validation can improve: the first evaluation counts as the best, and the training \
                     stops after `patience` more";
        caution("min_delta", Value::Float(settings.min_delta), fault)
    })
}

/// A rule that looks at more strips than the training has, where an epoch has one evaluation.
fn strips(settings: &Settings) -> Option<Caution> {
    let needed = match settings.rule {
        StopRule::Patience | StopRule::Gl => return None,
        StopRule::Pq => settings.strip,
        StopRule::Up => settings.strip.saturating_mul(settings.s.saturating_add(1)),
    };
    (settings.eval_every == 0 && needed > settings.epochs).then(|| {
        let fault = format!(
            "stops no trial: it needs {needed} evaluations at least, and the training has {}; set a shorter `strip`, more \
             epochs, or eval_every",
            settings.epochs
        );
        caution("rule", Value::Text(settings.rule.as_str().to_owned()), fault)
    })
}

/// Learning rates far beyond those that are usual.
fn rates(settings: &Settings) -> Vec<Caution> {
    let beyond = |setting, rate: f64, (low, high): (f64, f64), what: &str| {
        let (far, follows) = match rate {
            rate if rate > high => ("above", "training diverges or collapses"),
            rate if rate < low => ("below", "hardly anything is learned"),
            _ => return None,
        };
        let (low, high) = (Value::Float(low), Value::Float(high));
        let fault = format!("is {far} what is usual for {what}, {low} to {high}: most likely {follows}");
        Some(caution(setting, Value::Float(rate), fault))
    };
    let (encoder, what) = match (settings.freeze, is_pretrained(settings)) {
        (Freeze::Encoder, _) => (HEAD_RATES, "training a head alone"),
        (_, true) => (PRETRAINED_RATES, "fine-tuning a pretrained encoder"),
        (_, false) => (FRESH_RATES, "training builtin:mini from random parameters"),
    };
    let has_own = settings.head_learning_rate > 0.0;
    // With a rate of its own for the head and a frozen encoder, nothing is trained with the other rate.
    let is_used = !(has_own && settings.freeze == Freeze::Encoder);
    let encoder = is_used.then(|| beyond("learning_rate", settings.learning_rate, encoder, what));
    let head =
        has_own.then(|| beyond("head_learning_rate", settings.head_learning_rate, HEAD_RATES, "a head"));
    [encoder, head].into_iter().flatten().flatten().collect()
}

/// Weight decay that takes the weights away. The factor of a step is 1 − learning rate · weight decay.
fn decay(settings: &Settings, circumstances: Circumstances) -> Option<Caution> {
    let value = Value::Float(settings.weight_decay);
    if settings.learning_rate * settings.weight_decay > STEP_DECAY_MAX {
        let fault = format!(
            "takes more than {} % of each weight in every step at its learning rate",
            STEP_DECAY_MAX * 100.0
        );
        return Some(caution("weight_decay", value, fault));
    }
    let steps = steps(settings, circumstances.documents)?;
    let rate = LearningRate::new(settings, steps);
    let is_kept = !is_pretrained(settings) || settings.freeze == Freeze::Encoder;
    // Only the order of magnitude matters: up to a hundred steps stand for all.
    let places = steps.clamp(1, 100);
    let sum: f64 = (0..places).map(|place| rate.at(place * steps / places)).sum();
    let taken = sum * count_u64(steps) / count_u64(places) * settings.weight_decay;
    (!is_kept && taken > std::f64::consts::LN_2).then(|| {
        let fault = "takes more than half of each pretrained weight over the training, by itself";
        caution("weight_decay", value, fault)
    })
}

/// Dropout and label smoothing that leave little to learn from.
fn shares(settings: &Settings) -> Vec<Caution> {
    let dropout = (settings.dropout > DROPOUT_MAX).then(|| {
        caution("dropout", Value::Float(settings.dropout), "drops most of the values: 0 to 0.5 is usual")
    });
    let smoothing = (settings.label_smoothing > LABEL_SMOOTHING_MAX).then(|| {
        let fault = "spreads most of each label over all classes: 0 to 0.2 is usual";
        caution("label_smoothing", Value::Float(settings.label_smoothing), fault)
    });
    let is_clipped = settings.gradient_clip > 0.0 && settings.gradient_clip < GRADIENT_CLIP_MIN;
    let clip = is_clipped.then(|| {
        let fault =
            "makes gradients too small for AdamW, so that hardly anything is learned: 0.5 to 5 is usual";
        caution("gradient_clip", Value::Float(settings.gradient_clip), fault)
    });
    [dropout, smoothing, clip].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Circumstances = Circumstances { documents: 1000, classes: 2, layers: 12 };

    /// The settings that cautions about a change of the defaults name; the encoder is a pretrained one.
    fn named(change: fn(&mut Settings)) -> Vec<&'static str> {
        named_on(USUAL, change)
    }

    fn named_on(circumstances: Circumstances, change: fn(&mut Settings)) -> Vec<&'static str> {
        let mut settings = Settings { checkpoint: Checkpoint::parse("/models/bert"), ..Settings::default() };
        change(&mut settings);
        cautions(&settings, circumstances).into_iter().map(|caution| caution.setting).collect()
    }

    #[test]
    fn usual_settings_need_no_caution() {
        assert!(named(|_| ()).is_empty());
        assert!(named(|it| (it.dropout, it.weight_decay, it.epochs) = (0.5, 0.1, 10)).is_empty());
        assert!(named(|it| (it.freeze, it.learning_rate) = (Freeze::Encoder, 1e-2)).is_empty());
        assert!(named(|it| (it.checkpoint, it.learning_rate) = (Checkpoint::Mini, 4e-3)).is_empty());
    }

    #[test]
    fn a_rate_that_ruins_a_pretrained_encoder_is_usual_only_without_pretraining() {
        assert_eq!(named(|it| it.learning_rate = 4e-3), ["learning_rate"]);
        assert_eq!(named(|it| it.learning_rate = 0.5), ["learning_rate"]);
        assert_eq!(
            named(|it| (it.checkpoint, it.learning_rate) = (Checkpoint::Mini, 0.5)),
            ["learning_rate"]
        );
    }

    #[test]
    fn a_rate_that_changes_nothing_is_named() {
        assert_eq!(named(|it| it.learning_rate = 1e-9), ["learning_rate"]);
        assert_eq!(named(|it| it.head_learning_rate = 1e-9), ["head_learning_rate"]);
    }

    #[test]
    fn the_rate_of_a_frozen_encoder_does_not_matter_if_the_head_has_its_own() {
        assert!(
            named(|it| {
                (it.freeze, it.learning_rate, it.head_learning_rate) = (Freeze::Encoder, 0.5, 1e-3);
            })
            .is_empty()
        );
    }

    #[test]
    fn a_single_step_with_warm_up_learns_nothing() {
        let few = Circumstances { documents: 20, ..USUAL };
        assert_eq!(named_on(few, |it| it.epochs = 1), ["warmup_ratio"]);
        assert!(named_on(few, |it| (it.epochs, it.warmup_ratio) = (1, 0.0)).is_empty());
        assert!(named_on(few, |it| it.epochs = 2).is_empty());
    }

    #[test]
    fn a_warm_up_of_all_steps_is_named() {
        assert_eq!(named(|it| it.warmup_ratio = 1.0), ["warmup_ratio"]);
        assert!(named(|it| it.warmup_ratio = 0.5).is_empty());
    }

    #[test]
    fn the_number_of_steps_is_not_guessed_where_chunks_are_examples() {
        assert!(named(|it| (it.warmup_ratio, it.train_on) = (1.0, TrainOn::Chunks)).is_empty());
    }

    #[test]
    fn frozen_random_layers_are_named() {
        assert_eq!(
            named(|it| (it.checkpoint, it.learning_rate, it.freeze) =
                (Checkpoint::Mini, 1e-3, Freeze::Layers(1))),
            ["freeze"]
        );
        assert_eq!(named(|it| (it.freeze, it.reinit_layers) = (Freeze::Layers(10), 3)), ["freeze"]);
        assert!(named(|it| (it.freeze, it.reinit_layers) = (Freeze::Layers(10), 2)).is_empty());
    }

    #[test]
    fn a_rule_that_needs_more_evaluations_than_there_are_is_named() {
        let with = |rule, epochs| {
            let settings = Settings { rule, epochs, strip: 2, s: 3, ..Settings::default() };
            cautions(&settings, USUAL).iter().any(|caution| caution.setting == "rule")
        };
        assert_eq!([with(StopRule::Pq, 1), with(StopRule::Pq, 2)], [true, false]);
        assert_eq!([with(StopRule::Up, 7), with(StopRule::Up, 8)], [true, false]);
        assert!(!with(StopRule::Gl, 1) && !with(StopRule::Patience, 1));
    }

    #[test]
    fn values_that_leave_nothing_to_learn_are_named() {
        assert_eq!(named(|it| it.dropout = 0.9), ["dropout"]);
        assert_eq!(named(|it| it.label_smoothing = 0.95), ["label_smoothing"]);
        assert_eq!(named(|it| it.gradient_clip = 1e-8), ["gradient_clip"]);
        assert_eq!(named(|it| it.weight_decay = 1e4), ["weight_decay"]);
        assert_eq!(named(|it| it.weight_decay = 1e3), ["weight_decay"]);
        assert_eq!(named(|it| it.min_delta = 1.0), ["min_delta"]);
    }
}
