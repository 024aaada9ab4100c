//! The same comparisons on a GPU through wgpu, or on a Vulkan driver in software.

use burn::backend::{Autodiff, Wgpu};

use super::{FIXTURES, batch, folder, logits, loss, read, reference, relative_error, tiny};
use crate::{
    settings::Settings,
    train::{
        backend::Compute as _,
        encoder::model::classifier::Queries,
        graph_lock::graph_lock,
        learning::{
            adamw::{AdamW, Clipping},
            gradients::Gradients,
            parameters::RateFactors,
            schedule::LearningRate,
        },
        masks::Masks,
        ops::has_vulkan,
        tensors::values,
    },
};

type Gpu = Autodiff<Wgpu>;

/// The bound on all errors: a device's sums have other orders, and its erf and exp other last digits.
const TOLERANCE: f32 = 1e-3;

#[test]
fn a_gpu_computes_what_transformers_and_pytorch_compute() {
    if !has_vulkan() {
        eprintln!("SKIPPED parity on a GPU: this machine has no Vulkan driver (Debian: mesa-vulkan-drivers)");
        return;
    }
    let _alone = graph_lock();
    const { assert!(!Gpu::ON_HOST) };
    for fixture in FIXTURES {
        let errors = [hidden(fixture), logit(fixture), gradient(fixture), steps(fixture)];
        let [hidden, logits, gradients, steps] = errors;
        eprintln!(
            "{fixture:<16} hidden states {hidden:.1e}  logits {logits:.1e}  gradients {gradients:.1e}  \
             30 steps {steps:.1e}"
        );
        assert!(errors.iter().all(|&error| error < TOLERANCE), "{fixture}");
    }
}

fn hidden(fixture: &str) -> f32 {
    let (config, model) = tiny::<Gpu>(fixture);
    let reference = reference(fixture);
    let stored = read(&folder(fixture).join("reference.safetensors"));
    let expected = stored.get("hidden").unwrap();
    let found = values(model.encode(&batch(&reference.chunks), &Masks::off(), Queries::All));
    let width = config.hidden_size;
    let (mut start, mut worst) = (0, 0.0_f32);
    for (row, chunk) in reference.chunks.iter().enumerate() {
        let place = row * 20 * width..(row * 20 + chunk.len()) * width;
        let end = start + chunk.len() * width;
        worst = worst.max(relative_error(&found[start..end], &expected.values[place]));
        start = end;
    }
    worst
}

fn logit(fixture: &str) -> f32 {
    let (_, model) = tiny::<Gpu>(fixture);
    let reference = reference(fixture);
    relative_error(&values(logits(&model, &reference.chunks)), &reference.logits.concat())
}

fn gradient(fixture: &str) -> f32 {
    let (_, model) = tiny::<Gpu>(fixture);
    let mut gradients = Gradients::new();
    gradients.add(&model, loss(&model, &reference(fixture)).backward());
    let stored = read(&folder(fixture).join("reference.safetensors"));
    let found = gradients.as_weights(&model);
    let expected = stored.iter().filter_map(|(name, stored)| Some((name.strip_prefix("gradient.")?, stored)));
    let errors: Vec<f32> = expected
        .map(|(name, expected)| relative_error(&found.get(name).unwrap().values, &expected.values))
        .collect();
    assert_eq!(errors.len(), found.iter().count(), "every parameter is compared");
    errors.into_iter().fold(0.0, f32::max)
}

/// The largest difference of the losses of 30 steps, clipped and updated on the device.
#[expect(clippy::cast_possible_truncation, reason = "a difference, for a comparison")]
fn steps(fixture: &str) -> f32 {
    let (_, mut model) = tiny::<Gpu>(fixture);
    let reference = reference(fixture);
    let settings = Settings {
        learning_rate: reference.learning_rate,
        warmup_ratio: reference.warmup_ratio,
        ..Settings::default()
    };
    let rate = LearningRate::new(&settings, reference.steps);
    let mut optimizer = AdamW::new(reference.weight_decay, RateFactors::new(&settings, 2));
    let mut worst = 0.0_f64;
    for (step, expected) in reference.losses.iter().enumerate() {
        let loss = loss(&model, &reference);
        worst = worst.max((f64::from(loss.clone().into_scalar()) - expected).abs());
        let mut gradients = Gradients::new();
        gradients.add(&model, loss.backward());
        let clipping = Clipping::Device(gradients.clipping_on_device(1.0).unwrap());
        model = optimizer.step(model, gradients, rate.at(step as u64), clipping);
    }
    worst as f32
}
