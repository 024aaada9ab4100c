//! AdamW for several trials at once, in a device's memory: parameters, gradients and moments have a leading axis of
//! trials, and what is a number for one trial is a column of numbers, one for each.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::{AdamW, BETA_1, BETA_2, EPSILON, Update};
use crate::train::{
    backend::Compute,
    learning::{flat_tensor::FlatTensor, parameters::decays},
};

/// The path of a parameter of the classifier, all of which have the same learning rate.
const HEAD: &str = "head.weight";

/// The moments of each parameter, `[trials, rows, columns]`, by the parameter's path.
pub(crate) struct StackedMoments<B: Backend> {
    by_name: BTreeMap<&'static str, [Tensor<B, 3>; 2]>,
}

/// The numbers of one update, each `[trials, 1, 1]`.
pub(crate) struct StackedUpdate<B: Backend> {
    /// The factors of clipping; `None`: 1 for all.
    scales: Option<Tensor<B, 3>>,
    /// √(1 − β₂ᵗ)
    roots: Tensor<B, 3>,
    /// η / (1 − β₁ᵗ)
    sizes: Tensor<B, 3>,
    /// 1 − η λ, for parameters that decay
    kept: Tensor<B, 3>,
}

impl<B: Backend> StackedUpdate<B> {
    /// The next update of each trial, by its optimiser and the learning rate of the schedule.
    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    pub(crate) fn next<'a, C: Compute<InnerBackend = B>>(
        optimizers: impl Iterator<Item = (&'a mut AdamW<C>, f64)>,
        scales: Option<Tensor<B, 3>>,
        device: &B::Device,
    ) -> Self {
        let (mut roots, mut sizes, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (optimizer, rate) in optimizers {
            optimizer.steps += 1;
            let own = Update::new(rate * optimizer.rates.of(HEAD), optimizer.steps);
            roots.push(own.correction_2.sqrt() as f32);
            sizes.push((own.rate / own.correction_1) as f32);
            kept.push((1.0 - own.rate * optimizer.weight_decay) as f32);
        }
        let column = |numbers: Vec<f32>| {
            let shape = [numbers.len(), 1, 1];
            Tensor::from_data(TensorData::new(numbers, shape), device)
        };
        Self { scales, roots: column(roots), sizes: column(sizes), kept: column(kept) }
    }
}

impl<B: Backend> StackedMoments<B> {
    /// Stacks the moments of `optimizers` for `parameters`. Moments that do not exist yet are zero.
    pub(crate) fn of<C: Compute<InnerBackend = B>>(
        optimizers: &[&AdamW<C>],
        parameters: &[(&'static str, Tensor<B, 3>)],
    ) -> Self {
        let stack = |&(name, ref parameter): &(&'static str, Tensor<B, 3>)| {
            let ([_, rows, columns], device) = (parameter.dims(), parameter.device());
            let own = |which: usize| {
                let slices = optimizers.iter().map(|optimizer| match optimizer.moments.get(name) {
                    Some(pair) => match &pair[which] {
                        FlatTensor::Host(values) => {
                            Tensor::from_data(TensorData::new(values.clone(), [1, rows, columns]), &device)
                        }
                        FlatTensor::Device(values) => values.clone().reshape([1, rows, columns]),
                    },
                    None => Tensor::zeros([1, rows, columns], &device),
                });
                Tensor::cat(slices.collect(), 0)
            };
            (name, [own(0), own(1)])
        };
        Self { by_name: parameters.iter().map(stack).collect() }
    }

    /// Gives an optimiser the moments of the trial at `place`.
    pub(crate) fn write_to<C: Compute<InnerBackend = B>>(&self, place: usize, optimizer: &mut AdamW<C>) {
        if optimizer.steps == 0 {
            return;
        }
        for (name, pair) in &self.by_name {
            let own = [0, 1].map(|which: usize| {
                FlatTensor::Device(pair[which].clone().narrow(0, place, 1).flatten::<1>(0, 2))
            });
            optimizer.moments.insert((*name).to_owned(), own);
        }
    }

    /// Updates the parameter `name` of all trials by its gradient, both `[trials, rows, columns]`.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        value: Tensor<B, 3>,
        gradient: Tensor<B, 3>,
        update: &StackedUpdate<B>,
    ) -> Tensor<B, 3> {
        let gradient = match &update.scales {
            Some(scales) => gradient * scales.clone(),
            None => gradient,
        };
        let zeros = || [0, 1].map(|_| value.zeros_like());
        let [first, second] = self.by_name.remove(name).unwrap_or_else(zeros);
        let first = first * BETA_1 + gradient.clone() * (1.0 - BETA_1);
        let second = second * BETA_2 + gradient.clone() * gradient * (1.0 - BETA_2);
        let root = second.clone().sqrt() / update.roots.clone() + EPSILON;
        let step = first.clone() / root * update.sizes.clone();
        let kept = if decays(name) { value * update.kept.clone() } else { value };
        self.by_name.insert(name, [first, second]);
        kept - step
    }
}
