//! AdamW for several trials at once, in a device's memory: parameters, gradients and moments have the values of one trial
//! after the other, and each trial has its own numbers.

use std::collections::HashMap;

use burn::tensor::{Tensor, TensorData};

use super::{AdamW, TrialNumbers};
use crate::train::{
    backend::Compute,
    learning::flat_tensor::{DeviceTensor, FlatTensor},
};

impl<B: Compute> AdamW<B> {
    /// The optimisers of several trials as one.
    pub(crate) fn side_by_side(optimizers: &[&Self], device: &B::Device) -> Self {
        let mut moments = HashMap::new();
        // Trials of one shape that have made the same number of steps have moments of the same parameters.
        for name in optimizers.iter().flat_map(|own| own.moments.keys()) {
            if moments.contains_key(name) {
                continue;
            }
            let own: Vec<Option<[DeviceTensor<B>; 2]>> = optimizers
                .iter()
                .map(|own| Some(own.moments.get(name)?.each_ref().map(|moment| on_device(moment, device))))
                .collect();
            let Some([like, _]) = own.iter().flatten().next().cloned() else { continue };
            let stack = |which: usize| {
                let part = |own: &Option<[DeviceTensor<B>; 2]>| {
                    own.as_ref().map_or_else(|| like.zeros_like(), |pair| pair[which].clone())
                };
                FlatTensor::Device(Tensor::cat(own.iter().map(part).collect(), 0))
            };
            moments.insert(name.clone(), [0, 1].map(stack));
        }
        let trials: Vec<TrialNumbers> =
            optimizers.iter().flat_map(|own| own.trials.iter().copied()).collect();
        Self { moments, touched: Vec::new(), trials }
    }

    /// Gives the optimiser the moments of the trial at `place` of `all`, and its number of updates.
    pub(crate) fn take_trial_of(&mut self, all: &Self, place: usize) {
        let trials = all.trials.len();
        self.trials = vec![all.trials[place]];
        let own = |moment: &FlatTensor<B>| match moment {
            FlatTensor::Host(values) => {
                let own = values.len() / trials;
                FlatTensor::Host(values[place * own..][..own].to_vec())
            }
            FlatTensor::Device(tensor) => {
                let own = tensor.shape().num_elements() / trials;
                FlatTensor::Device(tensor.clone().narrow(0, place * own, own))
            }
        };
        let moments = all.moments.iter();
        self.moments = moments.map(|(name, pair)| (name.clone(), pair.each_ref().map(own))).collect();
    }

    /// Drops the moments, which [`Self::take_trial_of`] brings back.
    pub(crate) fn drop_moments(&mut self) {
        self.moments.clear();
    }
}

fn on_device<B: Compute>(moment: &FlatTensor<B>, device: &B::Device) -> DeviceTensor<B> {
    match moment {
        FlatTensor::Host(values) => Tensor::from_data(TensorData::from(values.as_slice()), device),
        FlatTensor::Device(tensor) => tensor.clone(),
    }
}
