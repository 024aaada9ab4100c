//! The encoder, its gradients and its optimiser against `transformers` and PyTorch.
//!
//! The references are committed; `tests/fixtures/make_tiny_models.py` made them.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::{
    backend::{Autodiff, Flex},
    tensor::Tensor,
};
use serde::Deserialize;

use super::{
    backend::Compute,
    checkpoint::Catalog,
    encoder::{
        EncoderConfig, Family, Precision, Weights, layout,
        model::{
            batch::Batch,
            classifier::{Classifier, Queries},
        },
        source::Pretrained,
    },
    graph_lock::graph_lock,
    learning::{
        adamw::{AdamW, Clipping},
        gradients::Gradients,
        loss::Objective,
        parameters::RateFactors,
        schedule::LearningRate,
    },
    masks::Masks,
    tensors::values,
};
use crate::{
    error_chain::chain,
    settings::{Pooling, Settings},
};

#[cfg(feature = "wgpu")]
mod gpu;
mod real;

type Backend = Autodiff<Flex>;

#[derive(Deserialize)]
struct Reference {
    chunks: Vec<Vec<u32>>,
    labels: Vec<usize>,
    logits: Vec<Vec<f32>>,
    loss: f64,
    steps: u64,
    learning_rate: f64,
    weight_decay: f64,
    warmup_ratio: f64,
    losses: Vec<f64>,
}

/// One of each family.
const FIXTURES: [&str; 3] = ["tiny-bert", "tiny-roberta", "tiny-distilbert"];

fn folder(fixture: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture)
}

fn reference(fixture: &str) -> Reference {
    let text = std::fs::read_to_string(folder(fixture).join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(path: &Path) -> Weights {
    Catalog::of_file(path).unwrap().load_all().unwrap()
}

const fn pretrained<'a>(weights: &'a Weights, family: &'static Family) -> Pretrained<'a> {
    Pretrained { weights, family, seed: 0, reinitialised: Vec::new(), complete: true }
}

fn tiny<B: Compute>(fixture: &str) -> (EncoderConfig, Classifier<B>) {
    let config = EncoderConfig::read(&folder(fixture)).unwrap();
    let weights = read(&folder(fixture).join("model.safetensors"));
    let source = pretrained(&weights, config.family());
    let model = Classifier::build(&config, Pooling::Cls.into(), 3, &source, &B::Device::default()).unwrap();
    (config, model)
}

fn batch<B: burn::tensor::backend::Backend>(chunks: &[Vec<u32>]) -> Batch<B> {
    let chunks: Vec<&[u32]> = chunks.iter().map(Vec::as_slice).collect();
    Batch::new(&chunks, &B::Device::default())
}

/// The largest difference as a share of the largest expected value. What is below 1e-3 counts as
/// rounding: a key's bias moves all scores of a softmax alike, so that its true gradient is 0.
fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale
}

fn logits<B: Compute>(model: &Classifier<B>, chunks: &[Vec<u32>]) -> Tensor<B, 2> {
    model.forward(&batch(chunks), &Masks::off())
}

fn loss<B: Compute>(model: &Classifier<B>, reference: &Reference) -> Tensor<B, 1> {
    let objective = Objective::new(&Settings::default(), &[3, 3, 2]);
    objective.sum(logits(model, &reference.chunks), &reference.labels) / 8.0
}

#[test]
fn logits_are_those_of_transformers_padded_or_alone() {
    let _alone = graph_lock();
    for fixture in FIXTURES {
        let (_, model) = tiny::<Backend>(fixture);
        let reference = reference(fixture);
        let expected = reference.logits.concat();
        let found = values(logits(&model, &reference.chunks));
        assert!(relative_error(&found, &expected) < 1e-5, "{fixture}");
        for (chunk, row) in reference.chunks.iter().zip(&reference.logits) {
            let alone = logits(&model, std::slice::from_ref(chunk));
            assert!(relative_error(&values(alone), row) < 1e-5, "{fixture}");
        }
    }
}

#[test]
fn the_last_hidden_states_are_those_of_transformers() {
    let _alone = graph_lock();
    for fixture in FIXTURES {
        let (config, model) = tiny::<Backend>(fixture);
        let reference = reference(fixture);
        let stored = read(&folder(fixture).join("reference.safetensors"));
        let expected = stored.get("hidden").unwrap();
        let found = values(model.encode(&batch(&reference.chunks), &Masks::off(), Queries::All));
        let width = config.hidden_size;
        let mut start = 0;
        for (row, chunk) in reference.chunks.iter().enumerate() {
            // The reference is padded to 20 tokens, ours is packed.
            let place = row * 20 * width..(row * 20 + chunk.len()) * width;
            let end = start + chunk.len() * width;
            assert!(relative_error(&found[start..end], &expected.values[place]) < 1e-5, "{fixture}");
            start = end;
        }
    }
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_pytorch() {
    let _alone = graph_lock();
    for fixture in FIXTURES {
        let (_, model) = tiny::<Backend>(fixture);
        let reference = reference(fixture);
        let loss = loss(&model, &reference);
        assert!((f64::from(loss.clone().into_scalar()) - reference.loss).abs() < 1e-5, "{fixture}");
        let mut gradients = Gradients::new();
        gradients.add(&model, loss.backward());
        let stored = read(&folder(fixture).join("reference.safetensors"));
        let found = gradients.as_weights(&model);
        let mut compared = 0;
        for (name, expected) in
            stored.iter().filter_map(|(name, stored)| Some((name.strip_prefix("gradient.")?, stored)))
        {
            let error = relative_error(&found.get(name).unwrap().values, &expected.values);
            assert!(error < 1e-3, "{fixture} {name}: {error}");
            compared += 1;
        }
        assert_eq!(compared, found.iter().count());
    }
}

#[test]
fn thirty_steps_of_adamw_follow_pytorch() {
    let _alone = graph_lock();
    for fixture in FIXTURES {
        let (_, mut model) = tiny::<Backend>(fixture);
        let reference = reference(fixture);
        let settings = Settings {
            learning_rate: reference.learning_rate,
            warmup_ratio: reference.warmup_ratio,
            ..Settings::default()
        };
        let rate = LearningRate::new(&settings, reference.steps);
        let mut optimizer = AdamW::new(reference.weight_decay, RateFactors::new(&settings, 2));
        for (step, expected) in reference.losses.iter().enumerate() {
            let loss = loss(&model, &reference);
            let found = f64::from(loss.clone().into_scalar());
            assert!((found - expected).abs() < 1e-3, "{fixture} step {step}: {found} {expected}");
            let mut gradients = Gradients::new();
            gradients.add(&model, loss.backward());
            let clipping = Clipping::Host((1.0 / (gradients.norm() + 1e-6)).min(1.0));
            model = optimizer.step(model, gradients, &[rate.at(step as u64)], clipping);
        }
    }
}

#[test]
fn parameters_are_written_as_they_were_read() {
    for fixture in FIXTURES {
        let (_, model) = tiny::<Backend>(fixture);
        let written = tempfile::tempdir().unwrap();
        let path = written.path().join("best").join("model.safetensors");
        model.weights().write(&crate::system::files::Place::of(&path), Precision::F32).unwrap();
        assert_eq!(read(&path), read(&folder(fixture).join("model.safetensors")), "{fixture}");
    }
}

#[test]
fn a_checkpoint_has_the_parameters_of_its_layout() {
    for fixture in FIXTURES {
        let config = EncoderConfig::read(&folder(fixture)).unwrap();
        let weights = read(&folder(fixture).join("model.safetensors"));
        let expected = layout::parameters(&config, Pooling::Cls, 3).into_iter();
        let expected: BTreeMap<_, _> = expected.map(|parameter| (parameter.name, parameter.shape)).collect();
        let found = weights.iter().map(|(name, stored)| (name.to_owned(), stored.shape.clone()));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "{fixture}");
    }
}

#[test]
fn a_truncated_safetensors_file_is_an_error() {
    let bytes = std::fs::read(folder("tiny-bert").join("model.safetensors")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for length in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = chain(&Catalog::of_file(&path).unwrap_err());
        assert!(message.contains("is not a whole safetensors file: "), "{message}");
    }
}
