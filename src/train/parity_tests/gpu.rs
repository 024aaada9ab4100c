//! The same comparisons on a GPU through wgpu, or on a Vulkan driver in software.

use std::path::Path;

use burn::{
    backend::{Autodiff, Wgpu, wgpu::WgpuDevice},
    tensor::Tensor,
};

use super::{FIXTURES, batch, folder, logits, loss, read, reference, relative_error, tiny};
use crate::{
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Limit, Shares, Source},
    event::{Evaluation, Outcome},
    job::{Attempt, Job},
    samples,
    settings::Settings,
    system::files::Place,
    train::{
        backend::{Compute, Engine as _},
        encoder::model::classifier::Queries,
        graph_lock::graph_lock,
        learning::{
            adamw::{AdamW, Clipping},
            gradients::Gradients,
            parameters::RateFactors,
            schedule::LearningRate,
        },
        masks::Masks,
        observe::Report,
        ops::has_vulkan,
        recipe::trainer::Trainer,
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
    let (reference, device) = (reference(fixture), WgpuDevice::default());
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
        let clipping = gradients.clipping_on_device(Tensor::zeros([1], &device), &[1.0]);
        let clipping = Clipping::Device(clipping.unwrap());
        model = optimizer.step(model, gradients, &[rate.at(step as u64)], clipping);
    }
    worst as f32
}

/// A small trial with dropout, over the built-in data and the tiny BERT.
fn job(root: &Path) -> Job {
    let checkpoint = root.join("checkpoint");
    std::fs::create_dir(&checkpoint).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(folder("tiny-bert").join(file), checkpoint.join(file)).unwrap();
    }
    std::fs::write(checkpoint.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n很\n好\n的\n差\n")
        .unwrap();
    let mut plan = samples::plan(1);
    plan.data = DataSpec {
        duplicates: Duplicates::Keep,
        limit: Limit { train: Some(24), validation: Some(12), test: Some(12) },
        ..samples::data_spec(Source::Reviews { split: Shares::default() })
    };
    plan.trials[0].settings = Settings {
        checkpoint: Checkpoint::Folder(checkpoint),
        dropout: 0.2,
        learning_rate: 1e-3,
        epochs: 2,
        batch_size: 8,
        chunk_length: 16,
        chunk_stride: 4,
        ..Settings::default()
    };
    plan.job(&plan.trials[0])
}

/// Runs `job` on `B`'s default device, and returns the evaluations and the outcome.
fn run<B: Compute>(job: &Job, folder: &Path) -> (Vec<Evaluation>, Outcome) {
    let mut evaluations = Vec::new();
    let mut trainer = Trainer::<B>::new(B::Device::default());
    let outcome = trainer.run(job, Attempt::default(), &Place::named(folder), &mut |report| {
        if let Report::Evaluated(evaluation) = report {
            evaluations.push(evaluation);
        }
        Ok(())
    });
    (evaluations, outcome.unwrap())
}

#[test]
fn a_trial_on_a_gpu_has_the_figures_of_the_cpu_dropout_included() {
    if !has_vulkan() {
        eprintln!(
            "SKIPPED a trial on a GPU: this machine has no Vulkan driver (Debian: mesa-vulkan-drivers)"
        );
        return;
    }
    let _alone = graph_lock();
    let root = tempfile::tempdir().unwrap();
    let job = job(root.path());
    let (expected, reference) = run::<super::Backend>(&job, &root.path().join("cpu"));
    let (found, outcome) = run::<Gpu>(&job, &root.path().join("gpu"));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let near = |a: f64, b: f64| assert!((a - b).abs() < f64::from(TOLERANCE), "{found:?} {expected:?}");
        near(found.train_loss, expected.train_loss);
        near(found.validation.loss, expected.validation.loss);
    }
    assert!((outcome.test.loss - reference.test.loss).abs() < f64::from(TOLERANCE));
    assert_eq!(outcome.test.confusion, reference.test.confusion);
}
