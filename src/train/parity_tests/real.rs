//! The same with real checkpoints, where `SWEEP_MODELS` names their folder.
//!
//! `tests/fixtures/make_references.py` made the references. A table of the
//! largest differences is shown.

use std::io::Write as _;

use serde::Deserialize;

use super::*;
use crate::{
    settings::Lowercase,
    train::{Chunking, TextEncoder},
};

#[derive(Deserialize)]
struct Real {
    texts: Vec<String>,
    hidden: TensorSample,
    gradients: BTreeMap<String, TensorSample>,
    #[serde(flatten)]
    reference: Reference,
}

/// Some values of a tensor, evenly spaced, and the largest of all.
#[derive(Deserialize)]
struct TensorSample {
    most: f32,
    values: Vec<f32>,
}

impl TensorSample {
    const COUNT: usize = 64;

    /// The largest difference as a share of the largest value; see [`relative_error`].
    fn error(&self, found: &[f32]) -> f32 {
        let step = (found.len() / Self::COUNT).max(1);
        let found: Vec<f32> = found.iter().step_by(step).take(Self::COUNT).copied().collect();
        assert_eq!(found.len(), self.values.len());
        let differences = found.iter().zip(&self.values).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max) / self.most.max(1e-3)
    }
}

/// The head that the script makes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a formula of small numbers"
)]
fn wave(weights: &mut Weights, name: &str, shape: &[usize], phase: f64) {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| (0.05 * (0.7 * index as f64 + phase).sin()) as f32).collect();
    weights.insert(name, shape.to_vec(), values);
}

fn check(models: &Path, name: &str) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/references/{name}.json"));
    let Real { texts, hidden, gradients: expected, reference } =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let folder = models.join(name);
    let config = EncoderConfig::read(&folder).unwrap();
    let width = config.hidden_size;

    let encoder =
        TextEncoder::open(&crate::checkpoint::Checkpoint::Folder(folder.clone()), Lowercase::Tokenizer)
            .unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let chunked = encoder.chunk(&texts, Chunking::whole(config.window())).unwrap();
    let chunks: Vec<_> = chunked.into_iter().flat_map(|chunked| chunked.chunks).collect();
    assert_eq!(chunks, reference.chunks, "{name}: token ids");

    let mut weights = Catalog::open(&folder).unwrap().load_all().unwrap();
    wave(&mut weights, "pooler.dense.weight", &[width, width], 1.0);
    wave(&mut weights, "pooler.dense.bias", &[width], 2.0);
    wave(&mut weights, "classifier.weight", &[3, width], 3.0);
    wave(&mut weights, "classifier.bias", &[3], 4.0);
    let source = pretrained(&weights, config.family());
    let mut model = Classifier::<Backend>::build(
        &config,
        Pooling::Cls.into(),
        3,
        &source,
        &burn::backend::flex::FlexDevice,
    )
    .unwrap();

    let states = model.encode(&batch(&chunks), &Masks::off(), Queries::All);
    let hidden = hidden.error(&values(states));
    let logits_error = relative_error(&values(logits(&model, &chunks)), &reference.logits.concat());
    let alone = chunks
        .iter()
        .zip(&reference.logits)
        .map(|(chunk, row)| relative_error(&values(logits(&model, std::slice::from_ref(chunk))), row));
    let alone = alone.fold(0.0, f32::max);

    let mut gradients = Gradients::new();
    gradients.add(&model, loss(&model, &reference).backward());
    let found = gradients.as_weights(&model);
    let errors: Vec<(f32, &String)> = expected
        .iter()
        .map(|(name, expected)| {
            // An embedding's rows without a token have no gradient.
            (expected.error(&found.get(name).unwrap().values), name)
        })
        .collect();
    assert_eq!(errors.len(), found.iter().count(), "every parameter is compared");
    let (gradient, worst) = errors.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();

    let settings = Settings {
        learning_rate: reference.learning_rate,
        warmup_ratio: reference.warmup_ratio,
        ..Settings::default()
    };
    let rate = LearningRate::new(&settings, reference.steps);
    let mut optimizer =
        AdamW::new(reference.weight_decay, RateFactors::new(&settings, config.num_hidden_layers));
    let mut steps = 0.0_f64;
    for (step, expected) in reference.losses.iter().enumerate() {
        let loss = loss(&model, &reference);
        steps = steps.max((f64::from(loss.clone().into_scalar()) - expected).abs());
        let mut gradients = Gradients::new();
        gradients.add(&model, loss.backward());
        let clipping = Clipping::Host((1.0 / (gradients.norm() + 1e-6)).min(1.0));
        model = optimizer.step(model, gradients, &[rate.at(step as u64)], clipping);
    }
    say(&format!(
        "{name:<10} hidden states {hidden:.1e}  logits {logits_error:.1e} (alone {alone:.1e})  \
         gradients {gradient:.1e} ({} of them, worst {worst})  30 steps {steps:.1e}",
        errors.len()
    ));
    assert!(
        hidden < 1e-4 && logits_error < 1e-4 && alone < 1e-4 && *gradient < 1e-3 && steps < 1e-3,
        "{name}"
    );
}

/// Past the test harness, which hides what a test that passes prints.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn real_checkpoints_compute_what_transformers_and_pytorch_compute() {
    let _alone = graph_lock();
    let Some(models) = std::env::var_os("SWEEP_MODELS").map(PathBuf::from) else {
        say(
            "SKIPPED parity with real checkpoints: SWEEP_MODELS does not name a folder with m3e-small and minilm",
        );
        return;
    };
    for name in ["m3e-small", "minilm"] {
        if models.join(name).is_dir() {
            check(&models, name);
        } else {
            say(&format!(
                "SKIPPED parity with a real checkpoint: {} is not there",
                models.join(name).display()
            ));
        }
    }
}
