//! The gradients of one optimiser step.

use std::collections::{BTreeMap, HashMap};

#[cfg(test)]
use burn::{module::ModuleMapper, tensor::TensorData};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Tensor, backend::AutodiffBackend},
};

#[cfg(test)]
use super::parameters::WORDS;
use super::{
    flat_tensor::{DeviceTensor, FlatTensor},
    parameters::ParameterPath,
};
#[cfg(test)]
use crate::train::encoder::weights::Weights;
use crate::train::{
    backend::Compute,
    encoder::model::classifier::Classifier,
    ops::{fused::Fused as _, row_sink::RowSink},
    tensors::values,
};

/// Gradients summed over the micro-batches of one step, by the path of their parameter.
pub(crate) struct Gradients<B: AutodiffBackend> {
    pub(super) by_name: HashMap<String, FlatTensor<B>>,
    /// The gradients of those rows of the word embeddings that the step has read, by row, where the backend returns
    /// them row by row.
    pub(super) rows: BTreeMap<u32, Vec<f32>>,
}

impl<B: Compute> Gradients<B> {
    pub(crate) fn new() -> Self {
        Self { by_name: HashMap::new(), rows: BTreeMap::new() }
    }

    /// Adds the gradients of one backward pass by the parameters that learn.
    pub(crate) fn add(&mut self, model: &Classifier<B>, mut gradients: B::Gradients) {
        let gradients = &mut gradients;
        let mut visitor = Collect { path: ParameterPath::default(), sums: self, gradients };
        model.visit(&mut visitor);
    }

    /// Adds the gradients of the word embeddings that a backward pass has left in `sink`.
    pub(crate) fn add_rows(&mut self, sink: &RowSink) {
        for found in sink.take() {
            let width = found.values.len() / found.rows.len().max(1);
            for (&row, values) in found.rows.iter().zip(found.values.chunks_exact(width.max(1))) {
                let sums = self.rows.entry(row).or_insert_with(|| vec![0.0; width]);
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// The gradients under the Hugging Face names of their parameters.
    #[cfg(test)]
    pub(crate) fn as_weights(&self, model: &Classifier<B>) -> Weights {
        struct Replace<'a, B: AutodiffBackend>(ParameterPath, &'a Gradients<B>);
        impl<B: Compute> ModuleMapper<B> for Replace<'_, B> {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.0.enter(name);
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.exit();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
                let name = self.0.name();
                let values = match self.1.by_name.get(&name) {
                    Some(gradient) => gradient.on_host().into_owned(),
                    _ if name == WORDS => {
                        let [_, width] = param.val().dims()[..] else { return param };
                        let mut values = vec![0.0; param.val().shape().num_elements()];
                        for (&row, gradient) in &self.1.rows {
                            values[row as usize * width..][..width].copy_from_slice(gradient);
                        }
                        values
                    }
                    _ => return param,
                };
                let (shape, device) = (param.val().shape(), param.val().device());
                Param::from_data(TensorData::new(values, shape), &device)
            }
        }
        // A model whose parameters are the gradients has the gradients under Hugging Face's names.
        model.clone().map(&mut Replace(ParameterPath::default(), self)).weights()
    }

    /// See [`crate::train::ops::fused::Fused::clipping`]. `None` where a gradient is in this process's memory, or without
    /// gradients.
    pub(crate) fn clipping_on_device(
        &self,
        beside: DeviceTensor<B>,
        norms_max: &[f32],
    ) -> Option<DeviceTensor<B>> {
        let mut names: Vec<&String> = self.by_name.keys().collect();
        // In a fixed order, as below.
        names.sort();
        let on_device = |name: &String| match &self.by_name[name] {
            FlatTensor::Host(_) => None,
            FlatTensor::Device(tensor) => Some(tensor.clone()),
        };
        let gradients: Option<Vec<_>> = names.into_iter().map(on_device).collect();
        B::InnerBackend::clipping(gradients?, beside, norms_max)
    }

    /// The Euclidean norm of all gradients as one vector, as in `torch.nn.utils.clip_grad_norm_`.
    pub(crate) fn norm(&self) -> f64 {
        let mut names: Vec<&String> = self.by_name.keys().collect();
        // In a fixed order: a hash map has another one in each process, and a sum of floats depends on its order.
        names.sort();
        let square = |name: &String| match &self.by_name[name] {
            FlatTensor::Host(values) => squares(values),
            FlatTensor::Device(tensor) => f64::from(tensor.clone().powi_scalar(2).sum().into_scalar()),
        };
        let rows = self.rows.values().map(|values| squares(values)).sum::<f64>();
        (names.into_iter().map(square).sum::<f64>() + rows).sqrt()
    }
}

/// The sum of squares.
// In f32 over each 4096 values, in 16 sums side by side so that the compiler can use vectors, and in f64 over those: a
// gradient of millions of values would lose digits in one f32 sum.
fn squares(values: &[f32]) -> f64 {
    let of_chunk = |chunk: &[f32]| {
        let (wide, rest) = chunk.as_chunks::<16>();
        let mut lanes = [0.0_f32; 16];
        for values in wide {
            lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value * value);
        }
        f64::from(lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>())
    };
    values.chunks(4096).map(of_chunk).sum()
}

/// A walk over a model that adds the gradient of each parameter to the sums.
struct Collect<'a, B: AutodiffBackend> {
    path: ParameterPath,
    sums: &'a mut Gradients<B>,
    gradients: &'a mut B::Gradients,
}

impl<B: Compute> ModuleVisitor<B> for Collect<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        let Some(gradient) = param.val().grad_remove(self.gradients) else { return };
        let sums = &mut self.sums.by_name;
        if B::ON_HOST {
            let values = values(gradient);
            match sums.get_mut(&name) {
                Some(FlatTensor::Host(sum)) => {
                    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
                _ => drop(sums.insert(name, FlatTensor::Host(values))),
            }
        } else {
            let flat = gradient.flatten::<1>(0, D - 1);
            let sum = match sums.remove(&name) {
                Some(FlatTensor::Device(sum)) => sum + flat,
                _ => flat,
            };
            sums.insert(name, FlatTensor::Device(sum));
        }
    }
}
