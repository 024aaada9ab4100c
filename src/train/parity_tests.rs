//! The encoder, its gradients and its optimiser against `transformers` and PyTorch.
//!
//! The reference is committed; `tests/fixtures/make_tiny_bert.py` made it.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::path::PathBuf;

use burn::{
    backend::{Autodiff, Flex, flex::FlexDevice},
    tensor::Tensor,
};
use serde::Deserialize;

use super::{
    config::EncoderConfig,
    heads,
    masks::Masks,
    model::{self, Batch, Classifier},
    ops::Queries,
    optimizer::{AdamW, Gradients},
    schedule::LearningRate,
    weights::{Pretrained, Weights},
};
use crate::settings::{Pooling, Settings};

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

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert")
}

fn reference() -> Reference {
    serde_json::from_str(&std::fs::read_to_string(folder().join("reference.json")).unwrap()).unwrap()
}

fn tiny() -> (EncoderConfig, Classifier<Backend>) {
    let config = EncoderConfig::read(&folder()).unwrap();
    let weights = Weights::read(&folder().join("model.safetensors")).unwrap();
    let source = Pretrained { weights: &weights, seed: 0, complete: true };
    let model = Classifier::build(&config, Pooling::Cls, 3, &source, &FlexDevice).unwrap();
    (config, model)
}

fn batch<B: burn::tensor::backend::Backend<Device = FlexDevice>>(chunks: &[Vec<u32>]) -> Batch<B> {
    let chunks: Vec<&[u32]> = chunks.iter().map(Vec::as_slice).collect();
    Batch::new(&chunks, &FlexDevice)
}

/// The largest difference as a share of the largest expected value. What is below 1e-3 counts as
/// rounding: a key's bias moves all scores of a softmax alike, so that its true gradient is 0.
fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale
}

fn logits(model: &Classifier<Backend>, chunks: &[Vec<u32>]) -> Tensor<Backend, 2> {
    model.forward(&batch(chunks), &Masks::off())
}

#[test]
fn logits_are_those_of_transformers_padded_or_alone() {
    let (_, model) = tiny();
    let reference = reference();
    let expected = reference.logits.concat();
    assert!(relative_error(&model::values(logits(&model, &reference.chunks)), &expected) < 1e-5);
    for (chunk, row) in reference.chunks.iter().zip(&reference.logits) {
        let alone = logits(&model, std::slice::from_ref(chunk));
        assert!(relative_error(&model::values(alone), row) < 1e-5);
    }
}

#[test]
fn the_last_hidden_states_are_those_of_transformers() {
    let (config, model) = tiny();
    let reference = reference();
    let stored = Weights::read(&folder().join("reference.safetensors")).unwrap();
    let expected = stored.get("hidden").unwrap();
    let found = model::values(model.encode(&batch(&reference.chunks), &Masks::off(), Queries::All));
    let width = config.hidden_size;
    let mut start = 0;
    for (row, chunk) in reference.chunks.iter().enumerate() {
        // The reference is padded to 20 tokens, ours is packed.
        let place = row * 20 * width..(row * 20 + chunk.len()) * width;
        let end = start + chunk.len() * width;
        assert!(relative_error(&found[start..end], &expected.values[place]) < 1e-5);
        start = end;
    }
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_pytorch() {
    let (_, model) = tiny();
    let reference = reference();
    let sum = heads::cross_entropy(logits(&model, &reference.chunks), &reference.labels);
    let loss = sum / 8.0;
    assert!((f64::from(loss.clone().into_scalar()) - reference.loss).abs() < 1e-5);
    let mut gradients = Gradients::new();
    gradients.add(&model, loss.backward());
    let stored = Weights::read(&folder().join("reference.safetensors")).unwrap();
    // A model whose parameters are the gradients tells them under Hugging Face's names.
    let found = gradients.as_weights(&model);
    let mut compared = 0;
    for (name, expected) in
        stored.iter().filter_map(|(name, stored)| Some((name.strip_prefix("gradient.")?, stored)))
    {
        let error = relative_error(&found.get(name).unwrap().values, &expected.values);
        assert!(error < 1e-3, "{name}: {error}");
        compared += 1;
    }
    assert_eq!(compared, found.iter().count());
}

#[test]
fn thirty_steps_of_adamw_follow_pytorch() {
    let (_, mut model) = tiny();
    let reference = reference();
    let settings = Settings {
        learning_rate: reference.learning_rate,
        warmup_ratio: reference.warmup_ratio,
        ..Settings::default()
    };
    let rate = LearningRate::new(&settings, reference.steps);
    let mut optimizer = AdamW::new(reference.weight_decay);
    for (step, expected) in reference.losses.iter().enumerate() {
        let loss = heads::cross_entropy(logits(&model, &reference.chunks), &reference.labels) / 8.0;
        let found = f64::from(loss.clone().into_scalar());
        assert!((found - expected).abs() < 1e-3, "step {step}: {found} {expected}");
        let mut gradients = Gradients::new();
        gradients.add(&model, loss.backward());
        let scale = (1.0 / (gradients.norm() + 1e-6)).min(1.0);
        model = optimizer.step(model, gradients, rate.at(step as u64), scale);
    }
}

#[test]
fn parameters_survive_a_way_out_and_in_again() {
    let (_, model) = tiny();
    let original = Weights::read(&folder().join("model.safetensors")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best").join("model.safetensors");
    model.weights().write(&path).unwrap();
    assert_eq!(Weights::read(&path).unwrap(), original);
}

#[test]
fn a_missing_and_a_misshaped_tensor_are_named() {
    let config = EncoderConfig::read(&folder()).unwrap();
    let mut weights = Weights::read(&folder().join("model.safetensors")).unwrap();
    let build = |weights: &Weights| {
        let source = Pretrained { weights, seed: 0, complete: true };
        Classifier::<Backend>::build(&config, Pooling::Cls, 3, &source, &FlexDevice).unwrap_err().to_string()
    };
    weights.insert("bert.encoder.layer.1.output.dense.bias", vec![2], vec![0.0; 2]);
    assert_eq!(
        build(&weights),
        "tensor \"bert.encoder.layer.1.output.dense.bias\" has shape [2], but config.json asks for [24]"
    );
    assert!(
        build(&Weights::default())
            .contains("\"bert.encoder.layer.0.attention.self.query.weight\" is missing")
    );
}

#[test]
fn a_truncated_safetensors_file_is_an_error() {
    let bytes = std::fs::read(folder().join("model.safetensors")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for length in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(Weights::read(&path).unwrap_err().to_string().ends_with("is not a whole safetensors file"));
    }
}
