//! AdamW with PyTorch's arithmetic (`torch/optim/adamw.py`; Loshchilov & Hutter 2019, arXiv 1711.05101).
//!
//! For a parameter θ with the gradient g, clipped, at step t, with the learning rate η and the
//! weight decay λ:
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g          v ← β₂ v + (1 − β₂) g²
//! θ ← (1 − η λ) θ − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! ```
//!
//! m and v begin at 0; the divisions by 1 − βᵗ take away their bias towards it. The decay is
//! decoupled: it is not a part of g and so not divided by √v. Biases and LayerNorm do not
//! decay. Where tensors live in this process's memory the update is one loop over each
//! parameter; on a device it is one kernel for each, for all trials that are trained together
//! (`stacked`): each of them has its own numbers.

mod stacked;
mod table;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};

use self::table::NumbersTable;
use super::{
    flat_tensor::{DeviceTensor, FlatTensor},
    gradients::Gradients,
    parameters::{ParameterPath, RateFactors, WORDS, decays},
};
use crate::train::{
    backend::Compute,
    encoder::model::classifier::Classifier,
    ops::{
        fused::Fused as _,
        inputs::{AdamWNumbers, AdamWTensors},
    },
    tensors::values,
};

/// β₁
const BETA_1: f64 = 0.9;
/// β₂
const BETA_2: f64 = 0.999;
/// ε, as in PyTorch; burn's own AdamW has 1e-5.
const EPSILON: f64 = 1e-8;

/// AdamW's first and second moment of each parameter that has had a gradient, flat, by the parameter's path in the
/// model.
pub(crate) type Moments<'a> = BTreeMap<Cow<'a, str>, [Cow<'a, [f32]>; 2]>;

/// Why a factor of clipping lies where the gradients lie.
const CLIPPED_WHERE_THEY_LIE: &str = "the factor of clipping is computed from the gradients, where they lie";

/// The optimiser's state.
pub(crate) struct AdamW<B: AutodiffBackend> {
    moments: HashMap<String, [FlatTensor<B>; 2]>,
    /// By row of the word embeddings: whether the row has had a gradient. The moments of the other rows are zero.
    touched: Vec<bool>,
    /// What each trial has for itself: one, or on a device those that are trained together.
    trials: Vec<TrialNumbers>,
}

/// What the updates of one trial are computed from.
#[derive(Clone, Copy)]
struct TrialNumbers {
    /// The updates until now.
    steps: i32,
    weight_decay: f64,
    rates: RateFactors,
}

impl TrialNumbers {
    /// The next update of the parameter `name`, where the schedule gives the learning rate `rate`.
    fn update(&self, name: &str, rate: f64) -> Update {
        let update = Update::new(rate * self.rates.of(name), self.steps);
        let decay = if decays(name) { update.rate * self.weight_decay } else { 0.0 };
        Update { decay, ..update }
    }
}

impl<B: Compute> AdamW<B> {
    pub(crate) fn new(weight_decay: f64, rates: RateFactors) -> Self {
        let trials = vec![TrialNumbers { steps: 0, weight_decay, rates }];
        Self { moments: HashMap::new(), touched: Vec::new(), trials }
    }

    /// The moments, and the number of updates that they have had: all of the state that a resumed trial needs.
    pub(crate) fn moments(&self) -> (Moments<'_>, i32) {
        let moments = self.moments.iter().map(|(name, [first, second])| {
            (Cow::Borrowed(name.as_str()), [first.on_host(), second.on_host()])
        });
        (moments.collect(), self.trials[0].steps)
    }

    /// Replaces the state by `moments` that have had `updates` updates.
    pub(crate) fn resume(&mut self, moments: Moments<'static>, updates: i32) {
        self.trials[0].steps = updates;
        self.touched = Vec::new();
        let flat = |values: Cow<'static, [f32]>| FlatTensor::Host(values.into_owned());
        self.moments = moments.into_iter().map(|(name, pair)| (name.into_owned(), pair.map(flat))).collect();
    }

    /// Makes one step at the learning rates `rates`, by trial, with `gradients` times the factor of `clipping`.
    pub(crate) fn step(
        &mut self,
        model: Classifier<B>,
        gradients: Gradients<B>,
        rates: &[f64],
        clipping: Clipping<B>,
    ) -> Classifier<B> {
        self.trials.iter_mut().for_each(|trial| trial.steps += 1);
        let numbers = match &clipping {
            Clipping::Host(_) => None,
            Clipping::Device(tensor) => {
                let trials = || self.trials.iter().zip(rates);
                let of = |name: &str| trials().map(|(own, &rate)| own.update(name, rate).numbers()).collect();
                Some(NumbersTable::upload(gradients.by_name.keys(), of, &tensor.device()))
            }
        };
        let path = ParameterPath::default();
        model.map(&mut Apply { path, optimizer: self, gradients, clipping, rate: rates[0], numbers })
    }
}

/// What the gradients of a step are multiplied by.
pub(crate) enum Clipping<B: AutodiffBackend> {
    /// The factor.
    Host(f64),
    /// By trial the norm, the factor and another number; see [`crate::train::ops::fused::Fused::clipping`].
    Device(DeviceTensor<B>),
}

/// The numbers of one update.
#[derive(Clone, Copy)]
struct Update {
    /// The learning rate η.
    rate: f64,
    /// 1 − β₁ᵗ
    correction_1: f64,
    /// 1 − β₂ᵗ
    correction_2: f64,
    /// η λ
    decay: f64,
}

impl Update {
    /// The update with the number `step`, counted from 1, without decay.
    fn new(rate: f64, step: i32) -> Self {
        let (correction_1, correction_2) = (1.0 - BETA_1.powi(step), 1.0 - BETA_2.powi(step));
        Self { rate, correction_1, correction_2, decay: 0.0 }
    }

    // The scalars are computed in f64 and rounded once.
    #[expect(clippy::cast_possible_truncation, reason = "parameters are f32, as in PyTorch")]
    fn numbers(self) -> AdamWNumbers {
        AdamWNumbers {
            keep: (1.0 - self.decay) as f32,
            step_size: (self.rate / self.correction_1) as f32,
            root: self.correction_2.sqrt() as f32,
        }
    }
}

/// A walk over a model that updates each parameter.
struct Apply<'a, B: AutodiffBackend> {
    path: ParameterPath,
    optimizer: &'a mut AdamW<B>,
    gradients: Gradients<B>,
    clipping: Clipping<B>,
    /// The learning rate of the only trial.
    rate: f64,
    /// The numbers of all trials, where the update is made on a device.
    numbers: Option<NumbersTable<B::InnerBackend>>,
}

impl<B: Compute> Apply<'_, B> {
    /// Updates `values` by `gradient`, or by `rows` where there are any, in this process's memory.
    fn on_host(
        &mut self,
        name: String,
        values: &mut [f32],
        gradient: &[f32],
        rows: &BTreeMap<u32, Vec<f32>>,
    ) {
        let update = self.optimizer.trials[0].update(&name, self.rate);
        let Clipping::Host(scale) = self.clipping else { unreachable!("{CLIPPED_WHERE_THEY_LIE}") };
        let touched = &mut self.optimizer.touched;
        let moments = self.optimizer.moments.entry(name).or_insert_with(|| {
            if let Some(row) = rows.values().next() {
                *touched = vec![false; values.len() / row.len()];
            }
            [FlatTensor::Host(vec![0.0; values.len()]), FlatTensor::Host(vec![0.0; values.len()])]
        });
        if let [FlatTensor::Host(first), FlatTensor::Host(second)] = moments {
            let moments = HostMoments { first, second };
            let step = HostStep { update, scale };
            if rows.is_empty() {
                on_host(values, gradient, moments, step);
            } else {
                by_rows(values, rows, touched, moments, step);
            }
        }
    }

    /// Updates `value`, flat, by `gradient` in the device's memory.
    fn on_device(
        &mut self,
        name: String,
        value: DeviceTensor<B>,
        gradient: DeviceTensor<B>,
    ) -> DeviceTensor<B> {
        let device = value.device();
        let (Clipping::Device(clipping), Some(numbers)) = (&self.clipping, &self.numbers) else {
            unreachable!("{CLIPPED_WHERE_THEY_LIE}")
        };
        let numbers = numbers.of(&name);
        let moments = self.optimizer.moments.remove(&name);
        let moments = moments.unwrap_or_else(|| [0, 1].map(|_| FlatTensor::Device(gradient.zeros_like())));
        let moments = moments.map(|moment| match moment {
            FlatTensor::Device(tensor) => tensor,
            FlatTensor::Host(values) => Tensor::from_data(TensorData::from(values.as_slice()), &device),
        });
        let tensors = AdamWTensors { value, gradient, moments };
        let updated = B::InnerBackend::adamw(tensors, clipping.clone(), numbers);
        self.optimizer.moments.insert(name, updated.moments.map(FlatTensor::Device));
        updated.value
    }
}

impl<B: Compute> ModuleMapper<B> for Apply<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let name = self.path.name();
        let rows = if name == WORDS { std::mem::take(&mut self.gradients.rows) } else { BTreeMap::new() };
        let gradient = match self.gradients.by_name.remove(&name) {
            Some(gradient) => gradient,
            None if !rows.is_empty() => FlatTensor::Host(Vec::new()),
            None => return param,
        };
        let (id, tensor, mapper) = param.consume();
        let (device, shape) = (tensor.device(), tensor.shape());
        let inner = tensor.inner();
        let updated = match gradient {
            FlatTensor::Host(gradient) => {
                let mut values = values(inner);
                self.on_host(name, &mut values, &gradient, &rows);
                Tensor::from_data(TensorData::new(values, shape), &device)
            }
            FlatTensor::Device(gradient) => {
                self.on_device(name, inner.flatten(0, D - 1), gradient).reshape(shape)
            }
        };
        let updated = Tensor::from_inner(updated).require_grad();
        Param::from_mapped_value(id, updated, mapper)
    }
}

/// The moments of one parameter, or of one row of it, in this process's memory.
struct HostMoments<'a> {
    first: &'a mut [f32],
    second: &'a mut [f32],
}

/// An update in this process's memory, with the factor of clipping.
#[derive(Clone, Copy)]
struct HostStep {
    update: Update,
    scale: f64,
}

vectorised! {
    /// Updates `values` and `moments` by `gradient`, element by element.
    // In f32 and in the order of PyTorch's single-tensor form.
    #[expect(clippy::cast_possible_truncation, reason = "parameters are f32, as in PyTorch")]
    fn on_host<'a>(values: &'a mut [f32], gradient: &'a [f32], moments: HostMoments<'a>, step: HostStep) {
        let (beta_1, beta_2, epsilon) = (BETA_1 as f32, BETA_2 as f32, EPSILON as f32);
        let (rest_1, rest_2) = ((1.0 - BETA_1) as f32, (1.0 - BETA_2) as f32);
        let AdamWNumbers { keep, step_size, root } = step.update.numbers();
        let scale = step.scale as f32;
        let HostMoments { first, second } = moments;
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((value, &gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * scale;
            *first = beta_1 * *first + rest_1 * gradient;
            *second = beta_2 * *second + rest_2 * gradient * gradient;
            *value = *value * keep - step_size * *first / (second.sqrt() / root + epsilon);
        }
    }
}

/// As [`on_host`], over a matrix whose gradient is zero but for `rows`, the gradients by row index.
///
/// `touched`, by row: whether the row has had a gradient. A vector of another length is computed from the moments.
// A batch reads a small share of the word embeddings, and the other rows of the gradient are zero. A row that has had a
// gradient before still moves by its moments. For a row that never had one m = v = 0, and the rule becomes θ ← (1 − η λ)
// θ − 0: such a row only decays, to the same bits, and its moments need neither be read nor written.
fn by_rows(
    values: &mut [f32],
    rows: &BTreeMap<u32, Vec<f32>>,
    touched: &mut Vec<bool>,
    moments: HostMoments<'_>,
    step: HostStep,
) {
    let Some(width) = rows.values().next().map(Vec::len) else { return };
    let HostMoments { first, second } = moments;
    if touched.len() != values.len() / width {
        // The moments come from a checkpoint, which does not record the rows. A row without a gradient has moments of
        // exactly 0; a row that had one and still has such moments moves as little as if it had none.
        let is_zero = |row: &[f32]| row.iter().all(|value| value.to_bits() == 0);
        let known = first.chunks_exact(width).zip(second.chunks_exact(width));
        *touched = known.map(|(first, second)| !is_zero(first) || !is_zero(second)).collect();
    }
    let (keep, no_gradient) = (step.update.numbers().keep, vec![0.0; width]);
    let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
    let mut gradients = rows.iter().peekable();
    for (row, ((values, (first, second)), touched)) in
        values.chunks_exact_mut(width).zip(moments).zip(touched).enumerate()
    {
        let gradient = gradients.next_if(|(next, _)| **next as usize == row).map(|(_, gradient)| gradient);
        *touched |= gradient.is_some();
        if *touched {
            on_host(values, gradient.unwrap_or(&no_gradient), HostMoments { first, second }, step);
        } else if step.update.decay > 0.0 {
            for value in values {
                *value *= keep;
            }
        }
    }
}

#[cfg(test)]
mod tests;
